//! How does a robot in DingTalk (钉钉) speak?
//!
//! DingTalk posts what was said to the robot, with a time and a signature over that
//! time alone; so what is old is refused, and what came before is not heard again. It is
//! replied to through the address that stands in the message, which is called only
//! where that is DingTalk's. Events of the company are encrypted, and the answer to
//! them is an encrypted `success`.
//!
//! Shapes: open.dingtalk.com, 机器人接收消息 and 事件订阅 (HTTP).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::envelope::{is_signed, same, signature};
use super::{
    Answer, Arrival, Call, Cards, Event, Fault, Kind, Limits, Meaning, Request, Saying, Settings, What,
    cards, wechat,
};

/// The official host.
pub(super) const API: &str = "https://api.dingtalk.com";

/// Whose hosts replies are sent to.
const HOSTS: [&str; 2] = ["dingtalk.com", "dingtalk.cn"];

/// What fits into a message.
pub(super) const LIMITS: Limits = Limits {
    text: 18_000,
    choices: 0,
    choice: 0,
    head: 0,
    links: true,
    images: false,
    cards: Cards::of(Kind::DingTalk),
    quota: None,
};

/// Verifies a request, and says what it is.
pub(super) fn arrive(settings: &Settings, request: &Request<'_>) -> Result<Arrival, Fault> {
    let Some(body) = request.body else {
        return Err(Fault::Malformed("DingTalk only posts to this address".to_owned()));
    };
    let value: Value =
        serde_json::from_str(body).map_err(|e| Fault::Malformed(format!("the body is not JSON: {e}")))?;
    if let Some(sealed) = value.get("encrypt").and_then(Value::as_str) {
        return event_of_company(settings, request, sealed);
    }
    verify(settings, request)?;
    let event = message(settings, &value).map_err(Fault::Malformed)?;
    // What it is answered would be said; `empty` says nothing.
    Ok(Arrival::Later(event, Answer::json(&json!({"msgtype": "empty"}))))
}

/// Verifies the signature over the time.
fn verify(settings: &Settings, request: &Request<'_>) -> Result<(), Fault> {
    let unsigned = |why: &str| Fault::Unsigned(why.to_owned());
    let stamp = (request.header)("timestamp").ok_or_else(|| unsigned("header `timestamp` is missing"))?;
    let given = (request.header)("sign").ok_or_else(|| unsigned("header `sign` is missing"))?;
    let millis: i64 = stamp.trim().parse().map_err(|_| unsigned("header `timestamp` is no number"))?;
    request.is_recent(&(millis / 1000).to_string())?;
    let secret = settings.app_secret.as_deref().unwrap_or_default();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|e| Fault::Unsigned(e.to_string()))?;
    mac.update(format!("{}\n{secret}", stamp.trim()).as_bytes());
    let expected = STANDARD.encode(mac.finalize().into_bytes());
    if same(given.trim().as_bytes(), expected.as_bytes()) {
        Ok(())
    } else {
        Err(unsigned("the signature is not made with this robot's AppSecret"))
    }
}

fn message(settings: &Settings, value: &Value) -> Result<Event, String> {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    let need = |name: &str| {
        text(&format!("/{name}"))
            .filter(|text| (1..=300).contains(&text.len()))
            .ok_or_else(|| format!("field `{name}` is missing or too long"))
    };
    let hook = value.get("sessionWebhook").and_then(Value::as_str).unwrap_or_default();
    if let Some(fault) = host_fault(settings, hook) {
        return Err(fault);
    }
    let (conversation, sender) = (need("conversationId")?, text("/senderStaffId").or(text("/senderId")));
    let sender = sender
        .filter(|sender| (1..=300).contains(&sender.len()))
        .ok_or("field `senderStaffId` is missing")?;
    let what = match value.get("msgtype").and_then(Value::as_str).unwrap_or_default() {
        "text" => {
            let said = text("/text/content").ok_or("field `text.content` is missing")?;
            What::Said { text: said.trim().to_owned(), choice: None }
        }
        "audio" => match text("/content/recognition") {
            Some(said) => What::Said { text: said.trim().to_owned(), choice: None },
            None => What::Showed { text: "[语音]".to_owned() },
        },
        "richText" => {
            let pieces = value.pointer("/content/richText").and_then(Value::as_array).into_iter().flatten();
            let said: Vec<&str> = pieces.filter_map(|piece| piece.get("text")?.as_str()).collect();
            let said = said.concat().trim().to_owned();
            if said.is_empty() {
                What::Showed { text: "[图片]".to_owned() }
            } else {
                What::Said { text: said, choice: None }
            }
        }
        "picture" => What::Showed { text: "[图片]".to_owned() },
        "file" => {
            What::Showed { text: format!("[文件] {}", text("/content/fileName").unwrap_or_default()) }
        }
        "video" => What::Showed { text: "[视频]".to_owned() },
        other => What::Showed { text: format!("[{}]", other.chars().take(20).collect::<String>()) },
    };
    Ok(Event {
        id: need("msgId")?.to_owned(),
        // In a group each of its people has a conversation of their own.
        customer: format!("{conversation}:{sender}"),
        address: json!({
            "hook": hook, "until": value.get("sessionWebhookExpiredTime").and_then(Value::as_i64),
            "group": text("/conversationType") == Some("2"), "to": sender,
        }),
        at: value.get("createAt").and_then(Value::as_i64),
        name: text("/senderNick").map(|name| name.chars().take(100).collect()),
        what,
    })
}

/// Why replies are not sent to an address, if they are not.
fn host_fault(settings: &Settings, url: &str) -> Option<String> {
    let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Some("field `sessionWebhook` is missing or no address".to_owned()),
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if authority.contains('@') || url.len() > 1_000 || url.contains(char::is_whitespace) {
        return Some("field `sessionWebhook` is no address that is called".to_owned());
    }
    let lower = authority.to_ascii_lowercase();
    let host = lower.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = host.map_or(lower.as_str(), |(host, _)| host);
    let theirs = HOSTS.iter().any(|known| host == *known || host.ends_with(&format!(".{known}")));
    let ours = settings.reply_hosts.iter().any(|known| *known == lower || known == host);
    if ours || (theirs && secure) {
        return None;
    }
    Some(format!(
        "replies would go to {host}, which is not DingTalk's; allow it with `reply_hosts`, if that is meant"
    ))
}

/// Verifies an event of the company and answers it; robots have nothing to do with them.
fn event_of_company(settings: &Settings, request: &Request<'_>, sealed: &str) -> Result<Arrival, Fault> {
    let (stamp, nonce) = (request.need("timestamp")?, request.need("nonce")?);
    let given = (request.query)("msg_signature").or_else(|| (request.query)("signature"));
    let given = given.ok_or_else(|| Fault::Unsigned("parameter `msg_signature` is missing".to_owned()))?;
    if !is_signed(&given, &[settings.signing(), &stamp, &nonce, sealed]) {
        return Err(Fault::Unsigned("the signature is not made with this channel's token".to_owned()));
    }
    let millis: i64 =
        stamp.trim().parse().map_err(|_| Fault::Unsigned("the timestamp is no number".to_owned()))?;
    request.is_recent(&(millis / 1000).to_string())?;
    let receiver = settings.receiver.as_deref().unwrap_or(&settings.app_id);
    let (_, key) = wechat::unsealed(&settings.keys(), sealed, receiver)?;
    let now = request.now.to_string();
    let sealed = key.seal(b"success", receiver, request.random);
    let signed = signature(&[settings.signing(), &now, &nonce, &sealed]);
    Ok(Arrival::Nothing(Answer::json(
        &json!({"msg_signature": signed, "timeStamp": now, "nonce": nonce, "encrypt": sealed}),
    )))
}

/// Says something where the customer wrote, as long as DingTalk takes it there.
pub(super) fn say(settings: &Settings, saying: &Saying<'_>) -> Result<Call, String> {
    let hook = saying.address.get("hook").and_then(Value::as_str).unwrap_or_default();
    if let Some(fault) = host_fault(settings, hook) {
        return Err(fault);
    }
    let until = saying.address.get("until").and_then(Value::as_i64);
    if until.is_some_and(|until| until <= saying.now) {
        return Err(
            "DingTalk takes no reply to this message any more; the customer must write again".to_owned()
        );
    }
    if !saying.part.cards.is_empty() {
        // Who is meant was said with the words before.
        return Ok(Call::post(hook.to_owned(), cards::dingtalk(&saying.part.cards)));
    }
    let mut body = json!({"msgtype": "text", "text": {"content": saying.part.text}});
    if saying.address.get("group").and_then(Value::as_bool) == Some(true) {
        body["at"] = json!({"atUserIds": [saying.address.get("to")]});
    }
    Ok(Call::post(hook.to_owned(), body))
}

/// Asks for a token, which shows whether the key and secret are right.
pub fn test_call(settings: &Settings) -> Call {
    let url = format!("{}/v1.0/oauth2/accessToken", settings.api(Kind::DingTalk));
    Call::post(url, json!({"appKey": settings.app_id, "appSecret": settings.app_secret}))
}

/// Whether the reply to that holds a token.
///
/// # Errors
/// What is wrong.
pub fn admitted(status: u16, body: &str) -> Result<(), String> {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    if value.get("accessToken").is_some() {
        return Ok(());
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = text("code");
    let why = match code.as_str() {
        "invalidClientIdOrSecret" | "invalidParameter.appKeyOrSecret" => {
            "the AppKey (`app_id`) or AppSecret (`app_secret`) is wrong"
        }
        code if code.contains("ip") || code.contains("IP") => {
            "this machine's address is not on the app's IP white list"
        }
        _ => "DingTalk does not let us in",
    };
    Err(format!("HTTP {status} {code} {}: {why}", text("message")))
}

pub(super) fn meaning(code: i64) -> Meaning {
    match code {
        -1 | 130101 | 410100 | 90018 => Meaning::Busy,
        300001 | 310000 | 400002 | 400013 => {
            Meaning::Never("DingTalk does not take replies to this message any more")
        }
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::{Part, Platform};

    const NOW: i64 = 1_700_000_000_000;

    fn channel(more: Value) -> Platform {
        let mut settings = json!({"app_id": "ding1", "app_secret": "s3cret"});
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            settings[&name] = value;
        }
        Platform::of(Kind::DingTalk, &settings).expect("sound")
    }

    fn arrive(platform: &Platform, stamp: i64, secret: &str, body: &Value) -> Result<Arrival, Fault> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update(format!("{stamp}\n{secret}").as_bytes());
        let sign = STANDARD.encode(mac.finalize().into_bytes());
        let header = |name: &str| match name {
            "timestamp" => Some(stamp.to_string()),
            "sign" => Some(sign.clone()),
            _ => None,
        };
        let body = body.to_string();
        let request =
            Request { query: &|_| None, header: &header, body: Some(&body), now: NOW, random: [3; 16] };
        platform.arrive(&request)
    }

    fn said(hook: &str) -> Value {
        json!({
            "msgtype": "text", "text": {"content": " 怎么退货 "}, "msgId": "m1", "conversationType": "2",
            "conversationId": "cid1", "senderStaffId": "u1", "senderNick": "张三", "createAt": NOW,
            "sessionWebhook": hook, "sessionWebhookExpiredTime": NOW + 1_000,
        })
    }

    #[test]
    fn robots_are_heard_when_it_is_signed_and_fresh() {
        let platform = channel(json!({}));
        let hook = "https://oapi.dingtalk.com/robot/sendBySession?session=x";
        let Ok(Arrival::Later(event, answer)) = arrive(&platform, NOW, "s3cret", &said(hook)) else {
            panic!("it is sound")
        };
        assert_eq!((event.id.as_str(), event.customer.as_str()), ("m1", "cid1:u1"));
        assert_eq!(event.what, What::Said { text: "怎么退货".to_owned(), choice: None });
        assert_eq!(answer.body, "{\"msgtype\":\"empty\"}");
        assert!(matches!(arrive(&platform, NOW, "other", &said(hook)), Err(Fault::Unsigned(_))));
        let hour = 3_600_000;
        assert!(arrive(&platform, NOW - hour, "s3cret", &said(hook)).is_ok());
        assert!(matches!(
            arrive(&platform, NOW - hour - 1_000, "s3cret", &said(hook)),
            Err(Fault::Unsigned(_))
        ));

        let part = Part { text: "好".to_owned(), ..Part::default() };
        let say = |now| {
            platform.say(&Saying {
                address: &event.address,
                part: &part,
                id: "x",
                token: "",
                now,
                is_again: false,
            })
        };
        let call = say(NOW).expect("said");
        assert_eq!(
            (call.url.as_str(), &call.body.expect("a body")["at"]),
            (hook, &json!({"atUserIds": ["u1"]}))
        );
        assert!(say(NOW + 1_000).is_err(), "the address is not good any more");
    }

    #[test]
    fn replies_go_to_dingtalk_or_where_the_settings_say() {
        for hook in [
            "https://evil.example/x",
            "https://dingtalk.com.evil.example/x",
            "https://evildingtalk.com/x",
            "https://oapi.dingtalk.com@evil.example/x",
            "https://evil.example\\@oapi.dingtalk.com/x",
            "http://oapi.dingtalk.com/x",
            "ftp://oapi.dingtalk.com/x",
            "http://127.0.0.1:9/x",
            "",
        ] {
            let heard = arrive(&channel(json!({})), NOW, "s3cret", &said(hook));
            assert!(matches!(heard, Err(Fault::Malformed(_))), "{hook}");
        }
        let own = channel(json!({"reply_hosts": ["127.0.0.1:9"]}));
        assert!(arrive(&own, NOW, "s3cret", &said("http://127.0.0.1:9/x")).is_ok());
        assert!(arrive(&own, NOW, "s3cret", &said("http://127.0.0.1:8/x")).is_err());
    }

    #[test]
    fn dingtalks_own_example_of_an_event() {
        let platform = channel(json!({
            "token": "mryue", "aes_key": "Yue0EfdN5900c1ce5cf6A152c63DDe1808a60c5ecd7",
            "receiver": "ding6ccabc44d2c8d38b",
        }));
        let body = json!({"encrypt": "0vJiX6vliEpwG3U45CtXqi+m8PXbQRARJ8p8BbDuD1EMTDf0jKpQ79QS93qEk7XHpP6u+oTTrd15NRPvNvmBKyDCYxxOK+HZeKju4yhELOFchzNukR+t8SB/qk4ROMu3"}).to_string();
        let query = |name: &str| match name {
            "msg_signature" => Some("03044561471240d4a14bb09372dfcfd4fd0e40cb".to_owned()),
            "timestamp" => Some("1608001896814".to_owned()),
            "nonce" => Some("WL4PK6yA".to_owned()),
            _ => None,
        };
        let request = Request {
            query: &query,
            header: &|_| None,
            body: Some(&body),
            now: 1_608_001_896_900,
            random: [3; 16],
        };
        let Ok(Arrival::Nothing(answer)) = platform.arrive(&request) else { panic!("it is sound") };
        let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
        let text = |name: &str| answer[name].as_str().expect("a text").to_owned();
        let sealed = text("encrypt");
        assert!(is_signed(&text("msg_signature"), &["mryue", &text("timeStamp"), "WL4PK6yA", &sealed]));
        let keys = platform.settings.keys();
        assert_eq!(keys[0].open(&sealed, "ding6ccabc44d2c8d38b"), Ok(b"success".to_vec()));
    }
}

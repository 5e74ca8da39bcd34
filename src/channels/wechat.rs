//! How does a WeChat Official Account (公众号, 服务号) speak?
//!
//! WeChat posts each message and waits five seconds for what is replied; three times in
//! all, so the same message may come again and gets the same reply. In safe mode both
//! are encrypted and only `msg_signature` counts; in the compatible mode the cipher text
//! stands beside the plain one and is the one that is read. What is said later goes
//! through the customer-service interface, five messages within 48 hours, where the
//! account has it.
//!
//! Shapes: developers.weixin.qq.com, 消息推送 and 客服消息.

use serde_json::json;

use super::cards::articles;
use super::envelope::{Key, is_signed, signature};
use super::fields::{Fields, Format, xml};
use super::parts::cut;
use super::{
    Answer, Arrival, Call, Cards, Choice, Event, Fault, Kind, Limits, Meaning, People, Quota, Request,
    Saying, Settings, What,
};

/// The official host.
pub(super) const API: &str = "https://api.weixin.qq.com";

/// Bytes of a text, in both directions.
const TEXT: usize = 2_048;

/// After a message of the customer.
const AFTER_MESSAGE: Quota = Quota { messages: 5, millis: 48 * 60 * 60 * 1000 };

/// After a press of the account's menu, a subscription or a scan.
pub(super) const AFTER_EVENT: Quota = Quota { messages: 3, millis: 60 * 1000 };

/// What fits into a message.
pub(super) fn limits(settings: &Settings) -> Limits {
    Limits {
        text: TEXT,
        choices: if settings.menus { 10 } else { 0 },
        choice: 128,
        head: 1_024,
        links: true,
        images: false,
        cards: if settings.app_secret.is_some() { Cards::of(Kind::WeChat) } else { Cards::Lines },
        quota: Some(AFTER_MESSAGE),
    }
}

/// How a reply to a request is written: like the request.
#[derive(Debug, Clone)]
pub struct Envelope {
    format: Format,
    /// The key that the request was sealed with.
    key: Option<Key>,
    app_id: String,
    token: String,
    /// The account, and the customer.
    from: String,
    to: String,
    nonce: String,
    random: [u8; 16],
    now: i64,
}

impl Envelope {
    /// Nothing is said.
    pub fn nothing(&self) -> Answer {
        Answer::text("success")
    }

    /// Words, cut where they are too long.
    pub fn text(&self, text: &str) -> Answer {
        if text.trim().is_empty() {
            return self.nothing();
        }
        self.wrapped("text", &[("Content", &cut(text, TEXT))])
    }

    /// The platform's own desk takes over.
    pub fn hand_over(&self) -> Answer {
        self.wrapped("transfer_customer_service", &[])
    }

    fn wrapped(&self, kind: &str, more: &[(&str, &str)]) -> Answer {
        let seconds = (self.now / 1000).to_string();
        let mut fields = vec![
            ("ToUserName", self.to.as_str()),
            ("FromUserName", self.from.as_str()),
            ("CreateTime", seconds.as_str()),
            ("MsgType", kind),
        ];
        fields.extend_from_slice(more);
        let plain = self.written(&fields);
        let Some(key) = &self.key else { return self.answer(plain) };
        let sealed = key.seal(plain.as_bytes(), &self.app_id, self.random);
        let signed = signature(&[&self.token, &seconds, &self.nonce, &sealed]);
        self.answer(self.written(&[
            ("Encrypt", &sealed),
            ("MsgSignature", &signed),
            ("TimeStamp", &seconds),
            ("Nonce", &self.nonce),
        ]))
    }

    fn written(&self, fields: &[(&str, &str)]) -> String {
        match self.format {
            Format::Xml => xml(fields),
            Format::Json => {
                let value = |name: &str, text: &str| match name {
                    "CreateTime" | "TimeStamp" => json!(text.parse::<i64>().unwrap_or_default()),
                    _ => json!(text),
                };
                let all = fields.iter().map(|(name, text)| ((*name).to_owned(), value(name, text)));
                serde_json::Value::Object(all.collect()).to_string()
            }
        }
    }

    fn answer(&self, body: String) -> Answer {
        let content_type = match self.format {
            Format::Xml => "application/xml; charset=utf-8",
            Format::Json => "application/json",
        };
        Answer { content_type, body }
    }
}

/// Verifies a request, and says what it is.
pub(super) fn arrive(settings: &Settings, request: &Request<'_>) -> Result<Arrival, Fault> {
    let Some(body) = request.body else {
        let (stamp, nonce) = (request.need("timestamp")?, request.need("nonce")?);
        if !is_signed(&request.need("signature")?, &[settings.signing(), &stamp, &nonce]) {
            return Err(Fault::Unsigned("the signature is not made with this channel's token".to_owned()));
        }
        return Ok(Arrival::Nothing(Answer::text(request.need("echostr")?)));
    };
    let (fields, envelope) = opened(settings, request, body)?;
    let event = event(&fields).map_err(Fault::Malformed)?;
    Ok(match event {
        Some(event) => Arrival::Now(event, envelope),
        None => Arrival::Nothing(envelope.nothing()),
    })
}

/// Verifies a message, opens it if it is sealed, and says how it is replied to.
pub(super) fn opened(
    settings: &Settings,
    request: &Request<'_>,
    body: &str,
) -> Result<(Fields, Envelope), Fault> {
    let (stamp, nonce) = (request.need("timestamp")?, request.need("nonce")?);
    request.is_recent(&stamp)?;
    let outer = Fields::read(body).map_err(Fault::Malformed)?;
    let unsigned = |why: &str| Fault::Unsigned(why.to_owned());
    let keys = settings.keys();
    let (fields, key) = match outer.get("Encrypt") {
        Some(sealed) if !keys.is_empty() => {
            if !is_signed(&request.need("msg_signature")?, &[settings.signing(), &stamp, &nonce, sealed]) {
                return Err(unsigned("the signature is not made with this channel's token"));
            }
            let (plain, key) = unsealed(&keys, sealed, &settings.app_id)?;
            let text = String::from_utf8(plain)
                .map_err(|_| Fault::Malformed("the encrypted message is not UTF-8".to_owned()))?;
            (Fields::read(&text).map_err(Fault::Malformed)?, Some(key))
        }
        Some(_) => return Err(unsigned("it is encrypted, and the channel has no `aes_key`")),
        // The signature of a plain message does not cover it: whoever has seen one could
        // send anything.
        None if !keys.is_empty() => {
            return Err(unsigned(
                "it is not encrypted, and the channel has an `aes_key`; choose the safe or the compatible mode",
            ));
        }
        None => {
            if !is_signed(&request.need("signature")?, &[settings.signing(), &stamp, &nonce]) {
                return Err(unsigned("the signature is not made with this channel's token"));
            }
            (outer.clone(), None)
        }
    };
    let named = |name: &str| fields.get(name).or_else(|| outer.get(name)).unwrap_or_default().to_owned();
    let envelope = Envelope {
        format: outer.format,
        key,
        app_id: settings.app_id.clone(),
        token: settings.signing().to_owned(),
        from: named("ToUserName"),
        to: named("FromUserName"),
        nonce,
        random: request.random,
        now: request.now,
    };
    Ok((fields, envelope))
}

/// What a sealed text says, and the key that opens it.
pub(super) fn unsealed(keys: &[Key], sealed: &str, receiver: &str) -> Result<(Vec<u8>, Key), Fault> {
    let mut first = None;
    for key in keys {
        match key.open(sealed, receiver) {
            Ok(plain) => return Ok((plain, key.clone())),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.map_or_else(|| Fault::Unsigned("the channel has no `aes_key`".to_owned()), Fault::from))
}

/// What a message is; `None` for what nobody has to do anything about.
pub(super) fn event(fields: &Fields) -> Result<Option<Event>, String> {
    let from = fields.need("FromUserName")?.to_owned();
    let at = fields.get("CreateTime").and_then(|text| text.parse::<i64>().ok());
    let text = |name: &str| fields.get(name).unwrap_or_default();
    let kind = fields.need("MsgType")?.to_ascii_lowercase();
    let what = match kind.as_str() {
        "text" => What::Said {
            text: text("Content").to_owned(),
            choice: fields.get("bizmsgmenuid").and_then(Choice::entry_of),
        },
        // What the platform has understood of a voice, where the account has that.
        "voice" if !text("Recognition").is_empty() => {
            What::Said { text: text("Recognition").to_owned(), choice: None }
        }
        "event" => match text("Event").to_ascii_lowercase().as_str() {
            "subscribe" | "enter_agent" => What::Came { code: None },
            // A key of the account's own menu is what pressing it says.
            "click" => What::Said { text: fields.need("EventKey")?.to_owned(), choice: None },
            "kf_create_session" => What::Taken { agent: text("KfAccount").to_owned() },
            "kf_close_session" => What::Ended,
            _ => return Ok(None),
        },
        other => What::Showed { text: shown(other, fields) },
    };
    let id = match fields.get("MsgId") {
        Some(id) => id.to_owned(),
        None => format!("{}-{}-{}", at.unwrap_or_default(), text("Event"), text("EventKey")),
    };
    // A name is a key here, and keys have an end.
    if from.len() > 100 || id.len() > 200 {
        return Err("`FromUserName` or `MsgId` is longer than the platform's".to_owned());
    }
    Ok(Some(Event {
        id,
        address: json!({"to": from}),
        customer: from,
        at: at.map(|seconds| seconds.saturating_mul(1000)),
        name: None,
        what,
    }))
}

/// What a person reads of a message that is no text.
fn shown(kind: &str, fields: &Fields) -> String {
    let text = |name: &str| fields.get(name).unwrap_or_default();
    let told = match kind {
        "image" => format!("[图片] {}", text("PicUrl")),
        "voice" => "[语音]".to_owned(),
        "video" | "shortvideo" => "[视频]".to_owned(),
        "location" => format!("[位置] {} {},{}", text("Label"), text("Location_X"), text("Location_Y")),
        "link" => format!("[链接] {} {}", text("Title"), text("Url")),
        "file" => format!("[文件] {}", text("Title")),
        other => format!("[{other}]"),
    };
    told.trim_end_matches([' ', ',']).chars().take(500).collect()
}

/// Asks for an access token: the stable kind, of which several processes may ask
/// without making each other's worthless.
pub(super) fn token_call(settings: &Settings) -> Option<Call> {
    let secret = settings.app_secret.as_ref()?;
    let url = format!("{}/cgi-bin/stable_token", settings.api(Kind::WeChat));
    let body = json!({"grant_type": "client_credential", "appid": settings.app_id, "secret": secret});
    Some(Call::post(url, body))
}

/// Says something through the customer-service interface.
pub(super) fn say(settings: &Settings, saying: &Saying<'_>) -> Result<Call, String> {
    if settings.app_secret.is_none() {
        return Err(
            "this account can only reply: it has no customer-service messages (`app_secret`)".to_owned()
        );
    }
    let to =
        saying.address.get("to").and_then(|to| to.as_str()).ok_or("the customer's OpenID is not known")?;
    let url =
        format!("{}/cgi-bin/message/custom/send?access_token={}", settings.api(Kind::WeChat), saying.token);
    let part = saying.part;
    let body = if !part.cards.is_empty() {
        json!({"touser": to, "msgtype": "news", "news": {"articles": articles(&part.cards)}})
    } else if part.choices.is_empty() {
        json!({"touser": to, "msgtype": "text", "text": {"content": part.text}})
    } else {
        let list: Vec<_> = (1..)
            .zip(&part.choices)
            .map(|(number, choice)| json!({"id": choice.id(number), "content": choice.question}))
            .collect();
        json!({"touser": to, "msgtype": "msgmenu",
            "msgmenu": {"head_content": part.text, "list": list, "tail_content": ""}})
    };
    Ok(Call::post(url, body))
}

/// Whether the platform's own desk takes over.
pub fn hands_over(settings: &Settings) -> bool {
    settings.people == People::Platform
}

pub(super) fn meaning(code: i64) -> Meaning {
    match code {
        40001 | 40014 | 42001 => Meaning::Token,
        -1 | 45009 | 45011 => Meaning::Busy,
        45015 => Meaning::Never("the customer has not written for 48 hours"),
        45047 => Meaning::Never("five messages were sent since the customer wrote last"),
        43004 => Meaning::Never("the customer does not follow the account any more"),
        40003 => Meaning::Never("the customer is not known to this account, or has left it"),
        40013 => Meaning::Never("the AppID (`app_id`) is wrong"),
        40125 | 41004 => Meaning::Never("the AppSecret (`app_secret`) is wrong or was reset"),
        40164 | 61004 => Meaning::Never("this machine's address is not on the account's IP white list"),
        48001 => Meaning::Never("the account has no customer-service messages; it needs to be verified"),
        45002 => Meaning::Never("the message is too long"),
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::channels::{Part, Platform, Verdict};

    const NOW: i64 = 1_714_112_445_000;

    fn channel(settings: Value) -> Platform {
        let mut all = json!({"app_id": "wxba5fad812f8e6fb9", "token": "AAAAA"});
        for (name, value) in settings.as_object().cloned().unwrap_or_default() {
            all[&name] = value;
        }
        Platform::of(Kind::WeChat, &all).expect("sound")
    }

    fn arrive(
        platform: &Platform,
        query: &[(&str, &str)],
        body: Option<&str>,
        now: i64,
    ) -> Result<Arrival, Fault> {
        let find =
            |name: &str| query.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        platform.arrive(&Request { query: &find, header: &|_| None, body, now, random: [1; 16] })
    }

    #[test]
    fn the_address_is_checked_with_wechats_own_example() {
        let query = [
            ("signature", "f464b24fc39322e44b38aa78f5edd27bd1441696"),
            ("echostr", "4375120948345356249"),
            ("timestamp", "1714036504"),
            ("nonce", "1514711492"),
        ];
        let Ok(Arrival::Nothing(answer)) = arrive(&channel(json!({})), &query, None, NOW) else {
            panic!("it is sound")
        };
        assert_eq!(answer.body, "4375120948345356249");
        let other = channel(json!({"token": "B"}));
        assert!(matches!(arrive(&other, &query, None, NOW), Err(Fault::Unsigned(_))));
        assert!(matches!(arrive(&other, &query[1..], None, NOW), Err(Fault::Unsigned(_))));
    }

    #[test]
    fn safe_mode_is_read_and_replied_to_with_the_key_that_opened_it() {
        let sealed = "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04=";
        let body = json!({"ToUserName": "gh_97417a04a28d", "Encrypt": sealed}).to_string();
        let query = [
            ("signature", "6c5c811b55cc85e0e1b54100749188c20beb3f5d"),
            ("timestamp", "1714112445"),
            ("nonce", "415670741"),
            ("encrypt_type", "aes"),
            ("msg_signature", "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"),
        ];
        let old = "A".repeat(43);
        let platform = channel(json!({"aes_key": "B".repeat(43), "previous_aes_key": old}));
        // An event that nobody knows is no matter.
        assert!(matches!(arrive(&platform, &query, Some(&body), NOW), Ok(Arrival::Nothing(_))));
        let settings = &platform.settings;
        let find =
            |name: &str| query.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let request =
            Request { query: &find, header: &|_| None, body: Some(&body), now: NOW, random: [1; 16] };
        let (fields, envelope) = opened(settings, &request, &body).expect("opened");
        assert_eq!(fields.get("debug_str"), Some("hello world"));
        let reply: Value = serde_json::from_str(&envelope.text("你好").body).expect("JSON like the request");
        let sealed = reply["Encrypt"].as_str().expect("sealed");
        let stamp = reply["TimeStamp"].to_string();
        assert!(is_signed(
            reply["MsgSignature"].as_str().expect("signed"),
            &["AAAAA", &stamp, "415670741", sealed]
        ));
        let plain =
            Key::read(&old).and_then(|key| key.open(sealed, &settings.app_id).map_err(|e| e.to_string()));
        let plain: Value = serde_json::from_slice(&plain.expect("the old key")).expect("JSON");
        assert_eq!(
            (&plain["Content"], &plain["ToUserName"]),
            (&json!("你好"), &json!("o9AgO5Kd5ggOC-bXrbNODIiE3bGY"))
        );

        let refused = |query: &[(&str, &str)], body: &str, now| {
            matches!(arrive(&platform, query, Some(body), now), Err(Fault::Unsigned(_)))
        };
        assert!(refused(&query, &body, NOW + 3_700_000), "too old");
        assert!(refused(&query[..4], &body, NOW), "only the signature that does not cover it");
        assert!(refused(&query, "{\"Encrypt\":\"AAAA\"}", NOW));
        assert!(refused(&query, "{\"FromUserName\":\"u\",\"MsgType\":\"text\",\"Content\":\"x\"}", NOW));
    }

    #[test]
    fn plain_messages_and_events_are_told_apart() {
        let query = [
            ("signature", "899cf89e464efb63f54ddac96b0a0a235f53aa78"),
            ("timestamp", "1714037059"),
            ("nonce", "486452656"),
        ];
        let come = |inner: &str| {
            let body = format!(
                "<xml><ToUserName><![CDATA[gh]]></ToUserName><FromUserName>u1</FromUserName>\
                 <CreateTime>1714037059</CreateTime>{inner}</xml>"
            );
            match arrive(&channel(json!({})), &query, Some(&body), 1_714_037_059_000) {
                Ok(Arrival::Now(event, envelope)) => Some((event, envelope)),
                Ok(_) => None,
                Err(fault) => panic!("{fault:?}"),
            }
        };
        let (event, envelope) =
            come("<MsgType>text</MsgType><Content>退货</Content><MsgId>7</MsgId>").expect("a message");
        assert_eq!((event.id.as_str(), event.customer.as_str()), ("7", "u1"));
        assert_eq!(event.what, What::Said { text: "退货".to_owned(), choice: None });
        let reply = Fields::read(&envelope.text("好").body).expect("XML");
        assert_eq!(
            (reply.get("Content"), reply.get("FromUserName"), reply.get("MsgType")),
            (Some("好"), Some("gh"), Some("text"))
        );
        assert_eq!(envelope.text(" ").body, "success");
        let given = Fields::read(&envelope.hand_over().body).expect("XML");
        assert_eq!(given.get("MsgType"), Some("transfer_customer_service"));
        assert!(
            Fields::read(&envelope.text(&"长".repeat(2_000)).body)
                .expect("XML")
                .get("Content")
                .expect("cut")
                .len()
                <= TEXT
        );

        let what = |inner: &str| come(inner).map(|(event, _)| event.what);
        assert_eq!(
            what(
                "<MsgType>text</MsgType><Content>怎么退货</Content><MsgId>8</MsgId><bizmsgmenuid>refund</bizmsgmenuid>"
            ),
            Some(What::Said { text: "怎么退货".to_owned(), choice: Some("refund".to_owned()) })
        );
        assert_eq!(what("<MsgType>event</MsgType><Event>subscribe</Event>"), Some(What::Came { code: None }));
        assert_eq!(what("<MsgType>event</MsgType><Event>unsubscribe</Event>"), None);
        assert_eq!(what("<MsgType>event</MsgType><Event>kf_close_session</Event>"), Some(What::Ended));
        assert_eq!(
            what("<MsgType>image</MsgType><PicUrl>http://a/b</PicUrl><MsgId>9</MsgId>"),
            Some(What::Showed { text: "[图片] http://a/b".to_owned() })
        );
    }

    #[test]
    fn errors_say_what_to_do() {
        let platform = channel(json!({"app_secret": "s", "menus": true}));
        let heard = |code: i64| platform.verdict(200, &json!({"errcode": code, "errmsg": "e"}).to_string());
        assert_eq!(heard(0), Verdict::Done(json!({"errcode": 0, "errmsg": "e"})));
        assert!(matches!(heard(42001), Verdict::TokenGone(_)));
        assert!(matches!(heard(45009), Verdict::Again(_)));
        assert!(matches!(heard(40164), Verdict::Never(why) if why.contains("white list")));
        assert!(matches!(platform.verdict(502, "<html>"), Verdict::Again(_)));
        assert!(matches!(
            platform.verdict(200, r#"{"access_token":"t","expires_in":7200}"#),
            Verdict::Done(_)
        ));
        let part = Part {
            text: "哪一个？".to_owned(),
            choices: vec![Choice { entry: "refund".to_owned(), question: "怎么退款".to_owned() }],
            ..Part::default()
        };
        let address = json!({"to": "u1"});
        let saying =
            Saying { address: &address, part: &part, id: "x", token: "T", now: NOW, is_again: false };
        let call = platform.say(&saying).expect("said");
        assert_eq!(call.url, "https://api.weixin.qq.com/cgi-bin/message/custom/send?access_token=T");
        assert_eq!(
            call.body.expect("a body")["msgmenu"]["list"][0],
            json!({"id": "refund", "content": "怎么退款"})
        );
        assert!(channel(json!({})).say(&saying).is_err());
    }
}

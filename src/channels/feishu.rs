//! How does a robot in Feishu (飞书) speak?
//!
//! Feishu posts events, encrypted under the app's Encrypt Key and signed over the bytes
//! of the body; an event that is not answered within three seconds comes again under
//! the same id. What is said is a message of the app, whose `uuid` keeps a second copy
//! away for an hour.
//!
//! Shapes: open.feishu.cn, 事件订阅 and 消息管理.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cards::post;
use super::envelope::{hex, open_feishu, same, signature};
use super::{
    Answer, Arrival, Call, Cards, Event, Fault, Kind, Limits, Meaning, Request, Saying, Settings, What,
};

/// The official host.
pub(super) const API: &str = "https://open.feishu.cn";

/// What fits into a message: the platform takes 150 KB with what stands around it.
pub(super) const LIMITS: Limits = Limits {
    text: 30_000,
    choices: 0,
    choice: 0,
    head: 0,
    links: true,
    images: false,
    cards: Cards::of(Kind::Feishu),
    quota: None,
};

/// Verifies a request, and says what it is.
pub(super) fn arrive(settings: &Settings, request: &Request<'_>) -> Result<Arrival, Fault> {
    let Some(body) = request.body else {
        return Err(Fault::Malformed("Feishu only posts to this address".to_owned()));
    };
    let malformed = |why: String| Fault::Malformed(why);
    let outer: Value =
        serde_json::from_str(body).map_err(|e| malformed(format!("the body is not JSON: {e}")))?;
    let Some(sealed) = outer.get("encrypt").and_then(Value::as_str) else {
        return Err(Fault::Unsigned(
            "it is not encrypted; set an Encrypt Key in Feishu's console".to_owned(),
        ));
    };
    let keys = [&settings.encrypt_key, &settings.previous_encrypt_key];
    let mut found = None;
    let mut fault = None;
    for key in keys.into_iter().flatten() {
        match open_feishu(sealed, key) {
            Ok(plain) => {
                found = Some((plain, key));
                break;
            }
            Err(why) => fault = fault.or(Some(why)),
        }
    }
    let Some((plain, key)) = found else {
        let why = fault.map_or_else(String::new, |why| why.to_string());
        return Err(Fault::Unsigned(why.replace("EncodingAESKey", "Encrypt Key")));
    };
    let value: Value =
        serde_json::from_slice(&plain).map_err(|e| malformed(format!("the event is not JSON: {e}")))?;
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    // The check of the address is not signed; that it is encrypted and has the token is
    // all there is, and the reply tells nothing but what was sent.
    let asks = text("/type") == "url_verification";
    if !asks {
        verify(request, key, body)?;
    }
    let token = if asks { text("/token") } else { text("/header/token") };
    if let Some(expected) = settings.token.as_deref().filter(|token| !token.is_empty())
        && !same(expected.as_bytes(), token.as_bytes())
    {
        return Err(Fault::Unsigned("the Verification Token (`token`) is another one".to_owned()));
    }
    if asks {
        return Ok(Arrival::Nothing(Answer::json(&json!({"challenge": text("/challenge")}))));
    }
    let done = Answer::json(&json!({}));
    match event(&value).map_err(Fault::Malformed)? {
        Some(event) => Ok(Arrival::Later(event, done)),
        None => Ok(Arrival::Nothing(done)),
    }
}

/// Verifies the signature over the body as it came.
fn verify(request: &Request<'_>, key: &str, body: &str) -> Result<(), Fault> {
    let need = |name: &str| {
        (request.header)(name).ok_or_else(|| Fault::Unsigned(format!("header `{name}` is missing")))
    };
    let stamp = need("x-lark-request-timestamp")?;
    let nonce = need("x-lark-request-nonce")?;
    let given = need("x-lark-signature")?;
    request.is_recent(&stamp)?;
    let mut hasher = Sha256::new();
    for part in [stamp.as_str(), nonce.as_str(), key, body] {
        hasher.update(part.as_bytes());
    }
    if same(given.to_ascii_lowercase().as_bytes(), hex(&hasher.finalize()).as_bytes()) {
        Ok(())
    } else {
        Err(Fault::Unsigned("the signature is not made with this app's Encrypt Key".to_owned()))
    }
}

fn event(value: &Value) -> Result<Option<Event>, String> {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    if text("/header/event_type") != Some("im.message.receive_v1")
        || text("/event/sender/sender_type") == Some("app")
    {
        return Ok(None);
    }
    let need = |path: &str| {
        text(path)
            .filter(|text| (1..=200).contains(&text.len()))
            .ok_or_else(|| format!("field `{}` is missing or too long", path.trim_start_matches('/')))
    };
    let chat = need("/event/message/chat_id")?;
    let (message, sender) = (need("/event/message/message_id")?, need("/event/sender/sender_id/open_id")?);
    let content: Value =
        text("/event/message/content").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let what = match text("/event/message/message_type").unwrap_or_default() {
        "text" => {
            let mut said = content.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
            // Who is spoken to in a group stands in the text under a key; @_user_1 begins
            // @_user_10 too.
            let mentions = value.pointer("/event/message/mentions").and_then(Value::as_array);
            let mut keys: Vec<&str> =
                mentions.into_iter().flatten().filter_map(|mention| mention.get("key")?.as_str()).collect();
            keys.sort_by_key(|key| std::cmp::Reverse(key.len()));
            for key in keys.into_iter().filter(|key| !key.is_empty()) {
                said = said.replace(key, "");
            }
            What::Said { text: said.trim().to_owned(), choice: None }
        }
        // Words with a list, a link or a picture among them.
        "post" if !written(&content).is_empty() => What::Said { text: written(&content), choice: None },
        "image" => What::Showed { text: "[图片]".to_owned() },
        "audio" => What::Showed { text: "[语音]".to_owned() },
        "media" => What::Showed { text: "[视频]".to_owned() },
        "file" => What::Showed { text: "[文件]".to_owned() },
        other => What::Showed { text: format!("[{}]", other.chars().take(20).collect::<String>()) },
    };
    let at = text("/event/message/create_time").and_then(|text| text.parse().ok());
    Ok(Some(Event {
        // Feishu may push a message twice under two ids of events.
        id: message.to_owned(),
        customer: format!("{chat}:{sender}"),
        address: json!({"chat": chat, "message": message}),
        at,
        name: None,
        what,
    }))
}

/// The words of a rich text: its title and its lines.
fn written(content: &Value) -> String {
    let lines = content.get("content").and_then(Value::as_array);
    let words = |line: &Value| -> String {
        let pieces = line.as_array().into_iter().flatten();
        let said = pieces.filter(|piece| matches!(piece["tag"].as_str(), Some("text" | "a" | "md")));
        said.filter_map(|piece| piece["text"].as_str()).collect()
    };
    let title = content.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = std::iter::once(title).chain(lines.into_iter().flatten().map(words));
    let all: Vec<String> = all.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    all.join("\n")
}

/// Asks for a tenant's access token. While one is good for longer than half an hour the
/// platform gives the same again.
pub(super) fn token_call(settings: &Settings) -> Option<Call> {
    let secret = settings.app_secret.as_ref()?;
    let url = format!("{}/open-apis/auth/v3/tenant_access_token/internal", settings.api(Kind::Feishu));
    Some(Call::post(url, json!({"app_id": settings.app_id, "app_secret": secret})))
}

/// Replies to the customer's last message.
pub(super) fn say(settings: &Settings, saying: &Saying<'_>) -> Result<Call, String> {
    let message = saying.address.get("message").and_then(Value::as_str).ok_or("the message is not known")?;
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if message.is_empty() || !message.chars().all(sound) {
        return Err("the message's id is none of Feishu's".to_owned());
    }
    let url = format!("{}/open-apis/im/v1/messages/{message}/reply", settings.api(Kind::Feishu));
    let (kind, content) = match saying.part.cards.as_slice() {
        [] => ("text", json!({"text": saying.part.text})),
        cards => ("post", post(cards)),
    };
    let body = json!({"msg_type": kind, "content": content.to_string(), "uuid": signature(&[saying.id])});
    Ok(Call { headers: vec![("authorization", format!("Bearer {}", saying.token))], ..Call::post(url, body) })
}

pub(super) fn meaning(code: i64) -> Meaning {
    match code {
        99_991_661 | 99_991_663 | 99_991_664 | 99_991_665 | 99_991_668 => Meaning::Token,
        99_991_400 | 230_020 | 1_500 | 2_200 => Meaning::Busy,
        10_003 | 10_014 => Meaning::Never("the App ID (`app_id`) or App Secret (`app_secret`) is wrong"),
        99_991_401 => Meaning::Never("this machine's address is not on the app's IP white list"),
        99_991_672 | 99_991_679 => {
            Meaning::Never("the app lacks a permission; grant it im:message in the console")
        }
        230_002 => Meaning::Never("the robot is not in this chat any more"),
        230_011 | 230_110 => Meaning::Never("the message that is replied to was withdrawn"),
        230_013 => Meaning::Never("the customer is not within the robot's reach"),
        230_025 => Meaning::Never("the message is too long"),
        230_001 => Meaning::Never("a parameter is wrong"),
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::Platform;
    use crate::channels::envelope::seal_feishu;

    const NOW: i64 = 1_700_000_000_000;
    const WORD: &str = "encrypt-word";

    fn channel() -> Platform {
        let settings = json!({
            "app_id": "cli_1", "app_secret": "s", "token": "v-token", "encrypt_key": "new-word",
            "previous_encrypt_key": WORD,
        });
        Platform::of(Kind::Feishu, &settings).expect("sound")
    }

    fn arrive(event: &Value, word: &str, stamp: &str) -> Result<Arrival, Fault> {
        let body = json!({"encrypt": seal_feishu(event.to_string().as_bytes(), word, [9; 16])}).to_string();
        let signed = hex(&Sha256::digest(format!("{stamp}n-1{word}{body}").as_bytes()));
        let header = |name: &str| match name {
            "x-lark-request-timestamp" => Some(stamp.to_owned()),
            "x-lark-request-nonce" => Some("n-1".to_owned()),
            "x-lark-signature" => Some(signed.clone()),
            _ => None,
        };
        let request =
            Request { query: &|_| None, header: &header, body: Some(&body), now: NOW, random: [0; 16] };
        channel().arrive(&request)
    }

    fn said() -> Value {
        json!({
            "schema": "2.0",
            "header": {"event_id": "e1", "event_type": "im.message.receive_v1", "token": "v-token"},
            "event": {
                "sender": {"sender_id": {"open_id": "ou_1"}, "sender_type": "user"},
                "message": {"message_id": "om_1", "chat_id": "oc_1", "chat_type": "group", "message_type": "text",
                    "content": "{\"text\":\"@_user_1 怎么退货\"}", "mentions": [{"key": "@_user_1"}]},
            },
        })
    }

    #[test]
    fn messages_are_heard_when_they_are_signed() {
        let stamp = (NOW / 1000).to_string();
        let Ok(Arrival::Later(event, _)) = arrive(&said(), WORD, &stamp) else { panic!("it is sound") };
        // Of the message: it may be pushed again under another id of the event.
        assert_eq!((event.id.as_str(), event.customer.as_str()), ("om_1", "oc_1:ou_1"));
        assert_eq!(event.what, What::Said { text: "怎么退货".to_owned(), choice: None });
        let mut rich = said();
        rich["event"]["message"]["message_type"] = json!("post");
        let content = json!({"title": "退货", "content": [
            [{"tag": "text", "text": "订单 "}, {"tag": "a", "text": "12"}, {"tag": "img", "image_key": "i"}],
            [{"tag": "at", "user_id": "u"}, {"tag": "text", "text": "能退吗"}]]});
        rich["event"]["message"]["content"] = json!(content.to_string());
        let Ok(Arrival::Later(event, _)) = arrive(&rich, WORD, &stamp) else { panic!("it is sound") };
        assert_eq!(event.what, What::Said { text: "退货\n订单 12\n能退吗".to_owned(), choice: None });
        assert!(matches!(arrive(&said(), "third-word", &stamp), Err(Fault::Unsigned(_))));
        assert!(matches!(arrive(&said(), WORD, "1"), Err(Fault::Unsigned(_))));
        let mut other = said();
        other["header"]["token"] = json!("x");
        assert!(matches!(arrive(&other, WORD, &stamp), Err(Fault::Unsigned(_))));
        let mut own = said();
        own["event"]["sender"]["sender_type"] = json!("app");
        assert!(matches!(arrive(&own, WORD, &stamp), Ok(Arrival::Nothing(_))));
        let mut broken = said();
        broken["event"]["message"]["chat_id"] = Value::Null;
        assert!(matches!(arrive(&broken, WORD, &stamp), Err(Fault::Malformed(_))));
    }

    #[test]
    fn the_address_is_checked() {
        let asks = json!({"type": "url_verification", "challenge": "c-1", "token": "v-token"});
        let body = json!({"encrypt": seal_feishu(asks.to_string().as_bytes(), WORD, [9; 16])}).to_string();
        let request =
            Request { query: &|_| None, header: &|_| None, body: Some(&body), now: NOW, random: [0; 16] };
        let Ok(Arrival::Nothing(answer)) = channel().arrive(&request) else { panic!("it is sound") };
        assert_eq!(answer.body, "{\"challenge\":\"c-1\"}");
        let plain = said().to_string();
        let request = Request { body: Some(&plain), ..request };
        assert!(matches!(channel().arrive(&request), Err(Fault::Unsigned(_))));
    }
}

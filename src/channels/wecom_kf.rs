//! How does WeCom's customer service (微信客服) speak?
//!
//! The callback only says that there is something; it is fetched page by page, and the
//! cursor says up to where. A page may be empty and not the last one. A session is the
//! robot's (1), in the pool (2), a person's (3) or over (4); we may speak in 0 and 1.
//!
//! Shapes: developer.work.weixin.qq.com/document/path/94670, 94677, 94669, 95122.

use serde_json::{Value, json};

use super::cards::menu;
use super::envelope::signature;
use super::{
    Answer, Arrival, Call, Cards, Choice, Event, Fault, Kind, Limits, Quota, Request, Saying, Settings, What,
    wechat, wecom,
};

/// What fits into a message.
pub(super) const LIMITS: Limits = Limits {
    text: 2_048,
    choices: 10,
    choice: 128,
    head: 1_024,
    links: true,
    images: false,
    cards: Cards::of(Kind::WeComKf),
    quota: Some(Quota { messages: 5, millis: 48 * 60 * 60 * 1000 }),
};

/// Messages of a page.
const PAGE: u32 = 1_000;

/// Somebody of the pool shall take the session.
pub(super) const POOL: u8 = 2;

/// Verifies a request, and says what it is.
pub(super) fn arrive(settings: &Settings, request: &Request<'_>) -> Result<Arrival, Fault> {
    let Some(body) = request.body else { return wecom::checked(settings, request) };
    let (fields, envelope) = wechat::opened(settings, request, body)?;
    if fields.get("Event") != Some("kf_msg_or_event") {
        return Ok(Arrival::Nothing(envelope.nothing()));
    }
    let account = fields.need("OpenKfId").map_err(Fault::Malformed)?.to_owned();
    let token = fields.need("Token").map_err(Fault::Malformed)?.to_owned();
    let created = fields.get("CreateTime").unwrap_or_default();
    let event = Event {
        // The same request gets the same name, and another one another name.
        id: signature(&[&account, &token, created]),
        customer: account.clone(),
        address: Value::Null,
        at: None,
        name: None,
        what: What::News { token, account },
    };
    Ok(Arrival::Later(event, Answer::text("success")))
}

/// Asks for the page behind a cursor. `news` is the callback's own token.
pub fn page_call(settings: &Settings, cursor: &str, news: &str, account: &str, token: &str) -> Call {
    let url = format!("{}/cgi-bin/kf/sync_msg?access_token={token}", settings.api(Kind::WeComKf));
    let body =
        json!({"cursor": cursor, "token": news, "limit": PAGE, "voice_format": 0, "open_kfid": account});
    Call::post(url, body)
}

/// What a page holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Where the next one begins; `None` when it says nothing of that.
    pub next: Option<String>,
    /// Whether there is more, even if this one is empty.
    pub more: bool,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Reads a page. What is no message of a customer and no event that matters is left out.
pub fn page_of(reply: &Value) -> Page {
    let next = reply.get("next_cursor").and_then(Value::as_str).filter(|next| !next.is_empty());
    let messages = reply.get("msg_list").and_then(Value::as_array).into_iter().flatten();
    Page {
        next: next.map(str::to_owned),
        more: reply.get("has_more").and_then(Value::as_i64) == Some(1),
        events: messages.filter_map(event).collect(),
    }
}

fn event(message: &Value) -> Option<Event> {
    let text = |path: &str| message.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/msgtype");
    let is_event = kind == "event";
    let (account, customer) = if is_event {
        (text("/event/open_kfid"), text("/event/external_userid"))
    } else {
        (text("/open_kfid"), text("/external_userid"))
    };
    let id = text("/msgid");
    if account.is_empty() || customer.is_empty() || id.is_empty() || id.len() > 200 {
        return None;
    }
    let agent = || text("/servicer_userid").to_owned();
    let what = match (message.get("origin").and_then(Value::as_i64), kind) {
        (_, "event") => match text("/event/event_type") {
            "enter_session" => {
                let code = text("/event/welcome_code");
                What::Came { code: (!code.is_empty()).then(|| code.to_owned()) }
            }
            "msg_send_fail" => What::Lost { why: failed(message).to_owned() },
            "session_status_change" => match message.pointer("/event/change_type").and_then(Value::as_i64) {
                Some(1) => What::Taken { agent: text("/event/new_servicer_userid").to_owned() },
                Some(2 | 4) => What::Taken { agent: text("/event/new_servicer_userid").to_owned() },
                Some(3) => What::Ended,
                _ => return None,
            },
            _ => return None,
        },
        (Some(3), "text") => What::Said {
            text: text("/text/content").to_owned(),
            choice: Choice::entry_of(text("/text/menu_id")),
        },
        (Some(3), other) => What::Showed { text: shown(other, message) },
        (Some(5), "text") => What::Answered { agent: agent(), text: text("/text/content").to_owned() },
        (Some(5), other) => What::Answered { agent: agent(), text: shown(other, message) },
        _ => return None,
    };
    let at = message.get("send_time").and_then(Value::as_i64);
    Some(Event {
        id: id.to_owned(),
        customer: format!("{account}:{customer}"),
        address: json!({"account": account, "to": customer}),
        at: at.map(|seconds| seconds.saturating_mul(1000)),
        name: None,
        what,
    })
}

fn failed(message: &Value) -> &'static str {
    match message.pointer("/event/fail_type").and_then(Value::as_i64) {
        Some(4) => "the session is over: the customer has not written for 48 hours",
        Some(6) => "five messages were sent since the customer wrote last",
        Some(10) => "the customer has refused messages of this account",
        Some(1) => "the account was removed",
        Some(2) => "the app is closed",
        Some(11..=13) => "the company's account is restricted",
        _ => "the platform does not say why",
    }
}

fn shown(kind: &str, message: &Value) -> String {
    let text = |path: &str| message.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let told = match kind {
        "image" => "[图片]".to_owned(),
        "voice" => "[语音]".to_owned(),
        "video" => "[视频]".to_owned(),
        "file" => "[文件]".to_owned(),
        "location" => format!("[位置] {} {}", text("/location/name"), text("/location/address")),
        "link" => format!("[链接] {} {}", text("/link/title"), text("/link/url")),
        other => format!("[{other}]"),
    };
    told.trim_end().chars().take(500).collect()
}

/// Says something in a session.
pub(super) fn say(settings: &Settings, saying: &Saying<'_>) -> Result<Call, String> {
    let (account, to) = place(saying.address).ok_or("the customer's place is not known")?;
    let url = format!("{}/cgi-bin/kf/send_msg?access_token={}", settings.api(Kind::WeComKf), saying.token);
    let mut body = json!({"touser": to, "open_kfid": account, "msgid": short(saying.id)});
    say_into(&mut body, saying);
    Ok(Call::post(url, body))
}

/// Greets whoever has come in, with the code that the platform gave for it.
pub fn greet(settings: &Settings, code: &str, saying: &Saying<'_>) -> Call {
    let url =
        format!("{}/cgi-bin/kf/send_msg_on_event?access_token={}", settings.api(Kind::WeComKf), saying.token);
    let mut body = json!({"code": code, "msgid": short(saying.id)});
    say_into(&mut body, saying);
    Call::post(url, body)
}

fn say_into(body: &mut Value, saying: &Saying<'_>) {
    let part = saying.part;
    if !part.cards.is_empty() {
        body["msgtype"] = json!("msgmenu");
        body["msgmenu"] = menu(&part.cards);
        return;
    }
    if part.choices.is_empty() {
        body["msgtype"] = json!("text");
        body["text"] = json!({"content": part.text});
        return;
    }
    let list: Vec<_> = (1..)
        .zip(&part.choices)
        .map(|(number, choice)| {
            json!({"type": "click", "click": {"id": choice.id(number), "content": choice.question}})
        })
        .collect();
    body["msgtype"] = json!("msgmenu");
    body["msgmenu"] = json!({"head_content": part.text, "list": list});
}

/// Puts a session into a state.
pub(super) fn state(settings: &Settings, address: &Value, token: &str, state: u8) -> Option<Call> {
    let (account, to) = place(address)?;
    let url = format!("{}/cgi-bin/kf/service_state/trans?access_token={token}", settings.api(Kind::WeComKf));
    Some(Call::post(url, json!({"open_kfid": account, "external_userid": to, "service_state": state})))
}

/// Lists the accounts, which needs everything that a channel needs.
pub fn list_call(settings: &Settings, token: &str) -> Call {
    let url = format!("{}/cgi-bin/kf/account/list?access_token={token}", settings.api(Kind::WeComKf));
    Call::post(url, json!({"offset": 0, "limit": 100}))
}

fn place(address: &Value) -> Option<(&str, &str)> {
    Some((address.get("account")?.as_str()?, address.get("to")?.as_str()?))
}

/// A name of at most 32 letters and digits.
fn short(id: &str) -> String {
    let own = id.len() <= 32 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if own { id.to_owned() } else { signature(&[id])[..32].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read() {
        let page = page_of(&json!({
            "errcode": 0, "next_cursor": "c2", "has_more": 1,
            "msg_list": [
                {"msgid": "m1", "open_kfid": "wk1", "external_userid": "wm1", "send_time": 1615478585, "origin": 3,
                 "msgtype": "text", "text": {"content": "怎么退货", "menu_id": "refund"}},
                {"msgid": "m2", "send_time": 1615478586, "origin": 4, "msgtype": "event", "event": {
                    "event_type": "enter_session", "open_kfid": "wk1", "external_userid": "wm1", "welcome_code": "W"}},
                {"msgid": "m3", "send_time": 1615478587, "origin": 4, "msgtype": "event", "event": {
                    "event_type": "session_status_change", "open_kfid": "wk1", "external_userid": "wm1",
                    "change_type": 3, "old_servicer_userid": "s"}},
                {"msgid": "m4", "open_kfid": "wk1", "external_userid": "wm1", "send_time": 1615478588, "origin": 5,
                 "servicer_userid": "lisi", "msgtype": "text", "text": {"content": "您好"}},
                {"msgid": "m5", "send_time": 1615478589, "origin": 4, "msgtype": "event", "event": {
                    "event_type": "msg_send_fail", "open_kfid": "wk1", "external_userid": "wm1", "fail_type": 6}},
                {"msgid": "m6", "open_kfid": "wk1", "external_userid": "wm1", "origin": 3, "msgtype": "image"},
                {"msgid": "", "open_kfid": "wk1", "external_userid": "wm1", "origin": 3, "msgtype": "text"},
            ],
        }));
        assert_eq!((page.next.as_deref(), page.more, page.events.len()), (Some("c2"), true, 6));
        let whats: Vec<&str> = page.events.iter().map(|event| event.what.name()).collect();
        assert_eq!(whats, ["message", "came", "ended", "person_message", "lost", "other_message"]);
        assert_eq!(page.events[0].customer, "wk1:wm1");
        assert_eq!(page.events[0].at, Some(1_615_478_585_000));
        assert_eq!(page_of(&json!({"has_more": 0})), Page { next: None, more: false, events: Vec::new() });
    }

    #[test]
    fn names_of_messages_fit() {
        let trace = "0197b3c2a1b47cc0a0b1c2d3e4f50617-reply-1";
        assert_eq!(short(trace).len(), 32);
        assert_ne!(short(trace), short("0197b3c2a1b47cc0a0b1c2d3e4f50617-reply-2"));
        assert_eq!(short("abc-1"), "abc-1");
    }
}

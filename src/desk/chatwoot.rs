//! How is a robot an agent bot of Chatwoot?
//!
//! Chatwoot posts its events to the channel's address and takes an answer within
//! five seconds or hands the conversation to people; so an event is stored, told
//! to be, and worked on afterwards. The robot answers while the conversation is
//! `pending` and is silent in any other state. A handoff is a private note with
//! the summary, then labels, then the state `open`, last and only if it is still
//! pending. When it is resolved or made pending again the robot takes over again.
//!
//! Shapes: Chatwoot's `app/listeners/agent_bot_listener.rb`, `lib/webhooks/trigger.rb`
//! and its API reference.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Desk;
use super::addresses::Reach;
use super::client::{Call, Failed, Replied, address_fault};
use super::platforms::{Callback, Headers, Refused, Told, numbered, step, told};
use super::reception::Incoming;
use crate::channels::{Card, Spoken};
use crate::decide::Generation;
use crate::dialogue::conversation::Owner;
use crate::dialogue::handoff::Step;
use crate::engine::Options;
use crate::error::{Error, Result};
use crate::store::{Channel, Conversation, Taken};

/// The kind's name.
pub const KIND: &str = "chatwoot";

/// Under which name Chatwoot's people have a handoff of ours.
const PEOPLE: &str = "chatwoot";

/// A request is not older or newer than this, in seconds.
const SKEW: i64 = 300;

/// The settings of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where Chatwoot is: `https://chat.example`.
    pub url: String,
    /// The bot's access token.
    pub token: String,
    /// What events are signed with; without it they are taken unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whether Chatwoot is inside the house.
    #[serde(default)]
    pub private: bool,
    /// Labels that a conversation gets when it goes to people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The team that it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<i64>,
}

/// Where a conversation is in Chatwoot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Address {
    account: i64,
    conversation: i64,
}

/// What an event says that matters here.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: String,
    address: Address,
    /// The state of the conversation when the event was made.
    status: String,
    message: Option<Message>,
}

/// A customer's message.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    id: i64,
    text: String,
    choice: Option<String>,
    customer: Map<String, Value>,
}

impl Settings {
    /// Reads settings.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of(settings: &Value) -> std::result::Result<Self, String> {
        let settings: Self = serde_json::from_value(settings.clone()).map_err(|e| e.to_string())?;
        if let Some(fault) = address_fault(&settings.url) {
            return Err(format!("`url`: {fault}"));
        }
        if settings.token.trim().is_empty() {
            return Err("`token` is empty; it is the agent bot's access token".to_owned());
        }
        Ok(settings)
    }

    fn reach(&self) -> Reach {
        if self.private { Reach::Private } else { Reach::Public }
    }

    /// Verifies an event and says where it belongs; `None` for what nobody has to
    /// work on.
    pub(super) fn callback(
        &self,
        headers: &Headers<'_>,
        body: &str,
        now: i64,
    ) -> std::result::Result<Option<Callback>, Refused> {
        if let Some(secret) = &self.secret {
            verify(secret, headers, body, now / 1000).map_err(Refused::Unsigned)?;
        }
        let value: Value = serde_json::from_str(body)
            .map_err(|e| Refused::Malformed(format!("the body is not JSON: {e}")))?;
        let Some(event) = event(&value) else { return Ok(None) };
        // Older servers name no delivery; they send the same bytes again.
        let delivery = headers("x-chatwoot-delivery")
            .filter(|id| (1..=200).contains(&id.len()))
            .unwrap_or_else(|| hex(&Sha256::digest(body.as_bytes())));
        Ok(Some(Callback {
            delivery,
            lane: format!("{}-{}", event.address.account, event.address.conversation),
            kind: event.name,
        }))
    }
}

/// Verifies the signature over the body as it was sent: written anew it would be
/// another one.
fn verify(secret: &str, headers: &Headers<'_>, body: &str, now: i64) -> std::result::Result<(), String> {
    let given = headers("x-chatwoot-signature").ok_or("header `X-Chatwoot-Signature` is missing")?;
    let stamp = headers("x-chatwoot-timestamp").ok_or("header `X-Chatwoot-Timestamp` is missing")?;
    let at: i64 =
        stamp.trim().parse().map_err(|_| "header `X-Chatwoot-Timestamp` is no number".to_owned())?;
    if at.abs_diff(now) > SKEW.unsigned_abs() {
        return Err(format!("the timestamp is {} s away from this machine's clock", at.abs_diff(now)));
    }
    let given = given
        .strip_prefix("sha256=")
        .and_then(unhex)
        .ok_or("the signature is not `sha256=` and hex digits")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|e| e.to_string())?;
    mac.update(stamp.trim().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.verify_slice(&given).map_err(|_| "the signature is not made with this channel's secret".to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Reads an event; `None` when the robot has nothing to do with it. Its own
/// messages and private notes come back as events too.
fn event(value: &Value) -> Option<Event> {
    let name = value.get("event")?.as_str()?;
    let int = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_i64);
    let account = int(value, "/account/id").or_else(|| int(value, "/account_id"));
    match name {
        "message_created" | "message_updated" => {
            let incoming = value.get("message_type")?.as_str()? == "incoming";
            let private = value.get("private").and_then(Value::as_bool).unwrap_or(false);
            let submitted = value.pointer("/content_attributes/submitted_values/0");
            // A list that was pressed is the robot's own message with the choice in it.
            let pressed = name == "message_updated" && submitted.is_some();
            if private || !(pressed || (name == "message_created" && incoming)) {
                return None;
            }
            let text =
                |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
            let (words, choice) = match submitted.filter(|_| pressed) {
                Some(submitted) => (text(submitted, "title")?, Some(text(submitted, "value")?)),
                None => (
                    text(value, "content")
                        .filter(|text| !text.trim().is_empty())
                        .or_else(|| attached(value))?,
                    None,
                ),
            };
            let mut customer = Map::new();
            // A list is the robot's own message, and it is not the robot who pressed it.
            let sender = value.get("sender").filter(|_| !pressed);
            if let Some(sender) = sender.or_else(|| value.pointer("/conversation/meta/sender")) {
                for field in ["id", "name", "email", "phone_number"] {
                    // Ids are numbers there, and names here.
                    match sender.get(field) {
                        Some(Value::String(text)) => customer.insert(field.to_owned(), json!(text)),
                        Some(Value::Number(number)) => {
                            customer.insert(field.to_owned(), json!(number.to_string()))
                        }
                        _ => None,
                    };
                }
            }
            Some(Event {
                name: name.to_owned(),
                address: Address { account: account?, conversation: int(value, "/conversation/id")? },
                status: value.pointer("/conversation/status")?.as_str()?.to_owned(),
                message: Some(Message { id: int(value, "/id")?, text: words, choice, customer }),
            })
        }
        "conversation_resolved" | "conversation_opened" => {
            let account = account.or_else(|| int(value, "/messages/0/account_id"))?;
            Some(Event {
                name: name.to_owned(),
                address: Address { account, conversation: int(value, "/id")? },
                status: value.get("status").and_then(Value::as_str).unwrap_or_default().to_owned(),
                message: None,
            })
        }
        _ => None,
    }
}

/// What stands for pictures and files that come without a word.
fn attached(value: &Value) -> Option<String> {
    let first = value.get("attachments")?.as_array()?.first()?;
    let is_picture = first.get("file_type").and_then(Value::as_str) == Some("image");
    Some(if is_picture { "[图片]" } else { "[文件]" }.to_owned())
}

/// The name of a conversation of Chatwoot's here.
fn session(channel: &Channel, address: &Address) -> String {
    format!("chatwoot:{}:{}-{}", channel.id, address.account, address.conversation)
}

/// Works on an event.
pub(super) fn work(desk: &Desk, channel: &Channel, settings: &Value, taken: &Taken) -> Result<()> {
    let settings = Settings::of(settings).map_err(Error::Refused)?;
    let value: Value = serde_json::from_str(&taken.body).map_err(|e| Error::internal("chatwoot", e))?;
    let Some(event) = event(&value) else { return Ok(()) };
    let session = session(channel, &event.address);
    let known = desk.talk().find(&channel.kb, &session)?;
    let Some(message) = event.message else {
        // Somebody has ended it: the next message begins anew.
        if event.name == "conversation_resolved"
            && let Some(open) = known.and_then(|known| known.handoff)
        {
            step(desk, &open, Step::Close, PEOPLE)?;
        }
        return Ok(());
    };
    if event.status != "pending" {
        return Ok(());
    }
    if let Some(known) = &known
        && !may_speak(desk, &settings, &event.address, known)?
    {
        return Ok(());
    }
    let (engine, service) = desk.answering(channel)?;
    let address = serde_json::to_string(&event.address).map_err(|e| Error::internal("chatwoot", e))?;
    let client_id = format!("{}-{}", event.name, message.id);
    let incoming = Incoming {
        engine: &engine,
        service: &service,
        session: &session,
        text: &message.text,
        choice: message.choice.as_deref(),
        channel: Some(KIND),
        customer: Some(&message.customer),
        options: Options { generation: Generation::Two, ..Options::default() },
        may_ask: true,
        explain: false,
        client_id: Some(&client_id),
        via: Some((channel, &address)),
    };
    let said = desk.hear(&incoming)?;
    desk.listened(&incoming, &said);
    Ok(())
}

/// Whether the robot may answer in a conversation that an event calls pending:
/// events say how it was when they were made.
fn may_speak(desk: &Desk, settings: &Settings, address: &Address, known: &Conversation) -> Result<bool> {
    let Some(open) = &known.handoff else { return Ok(true) };
    match known.owner {
        // People had it, and now it is pending: either that is old, or they gave it back.
        Owner::Agent => {
            if status(desk, settings, address)?.is_some_and(|status| status != "pending") {
                return Ok(false);
            }
            step(desk, open, Step::Return, PEOPLE)?;
            Ok(true)
        }
        // It is on its way to people; what is said goes into the transcript there.
        Owner::Queued => Ok(false),
        Owner::Bot | Owner::Closed => Ok(true),
    }
}

/// The state of a conversation now; `None` where a bot may not ask.
fn status(desk: &Desk, settings: &Settings, address: &Address) -> Result<Option<String>> {
    match call(desk, settings, address, "GET", "", None, "") {
        Ok(replied) if replied.is_success() => {
            let value: Value = serde_json::from_str(&replied.body).unwrap_or_default();
            Ok(value.get("status").and_then(Value::as_str).map(str::to_owned))
        }
        Ok(replied) if not_here(&replied) => Ok(None),
        Ok(replied) => Err(Error::Refused(replied.told())),
        Err(Failed::Refused(why) | Failed::Unreached(why)) => Err(Error::Refused(why)),
    }
}

/// Older servers do not let bots see conversations and labels.
fn not_here(replied: &Replied) -> bool {
    matches!(replied.status, 401 | 403 | 404 | 405)
}

fn call(
    desk: &Desk,
    settings: &Settings,
    address: &Address,
    method: &str,
    path: &str,
    body: Option<&Value>,
    key: &str,
) -> std::result::Result<Replied, Failed> {
    let base = settings.url.trim_end_matches('/');
    let url =
        format!("{base}/api/v1/accounts/{}/conversations/{}{path}", address.account, address.conversation);
    let mut headers = vec![("api_access_token", settings.token.clone())];
    if !key.is_empty() {
        headers.push(("idempotency-key", key.to_owned()));
    }
    let body = body.map(Value::to_string);
    desk.0.client.call(settings.reach(), &Call { method, url: &url, headers, body })
}

/// Says something in Chatwoot.
pub(super) fn say(desk: &Desk, channel: &Channel, settings: &Value, taken: &Taken) -> Told {
    let settings = match Settings::of(settings) {
        Ok(settings) => settings,
        Err(why) => return Told::Never(why),
    };
    let body: Value = serde_json::from_str(&taken.body).unwrap_or_default();
    let Some(address) = body.get("address").and_then(|known| serde_json::from_value(known.clone()).ok())
    else {
        return Told::Never("the conversation's place in Chatwoot is not known".to_owned());
    };
    let post =
        |path: &str, sent: &Value| call(desk, &settings, &address, "POST", path, Some(sent), &taken.id);
    match taken.kind.as_str() {
        "reply" => {
            let empty = Vec::new();
            let options = body.get("suggestions").and_then(Value::as_array).unwrap_or(&empty);
            let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
            if text.is_empty() && options.is_empty() {
                return Told::Done;
            }
            told(post("/messages", &message(text, options, &taken.id)))
        }
        // A message of its own, so that what fails of it is no end of the words before.
        "cards" => {
            let sent = json!({
                "content": body.get("text"), "message_type": "outgoing", "private": false,
                "content_type": "cards",
                "content_attributes": {"zhida_id": taken.id, "items": body.get("items")},
            });
            told(post("/messages", &sent))
        }
        "note" => {
            let sent = json!({
                "content": note(&body), "message_type": "outgoing", "private": true, "content_type": "text",
                "content_attributes": {"zhida_id": taken.id},
            });
            told(post("/messages", &sent))
        }
        "labels" => labels(&settings, &|method, path, sent| {
            call(desk, &settings, &address, method, path, sent, &taken.id)
        }),
        "open" => open(desk, &settings, &address, &body, &taken.id),
        // It is Chatwoot that told us of the end.
        "closed" | "returned" | "expired" | "withdrawn" => Told::Done,
        other => Told::Never(format!("channel {} does not know {other:?}", channel.id)),
    }
}

/// A message with questions to press, which are in its text with numbers too:
/// not every inbox draws them. The id lets a reader tell a second copy.
fn message(text: &str, options: &[Value], id: &str) -> Value {
    let items: Vec<Value> = options
        .iter()
        .map(|option| json!({"title": option.get("question"), "value": option.get("entry")}))
        .collect();
    let mut attributes = json!({"zhida_id": id});
    let kind = if items.is_empty() { "text" } else { "input_select" };
    if !items.is_empty() {
        attributes["items"] = Value::Array(items);
    }
    json!({
        "content": numbered(text, options), "message_type": "outgoing", "private": false,
        "content_type": kind, "content_attributes": attributes,
    })
}

/// What brings the pictures and links beside the words of a reply, if there are any;
/// inboxes that draw no cards send its lines.
pub(super) fn cards_job(said: &Value) -> Option<Value> {
    let cards = Spoken::of(said).cards;
    if cards.is_empty() {
        return None;
    }
    let lines: Vec<String> = cards.iter().map(Card::line).collect();
    Some(json!({
        "conversation": said.get("conversation"), "kb": said.get("kb"), "address": said.get("address"),
        "text": lines.join("\n"), "items": crate::channels::cards::chatwoot(&cards),
    }))
}

/// What people read before they say the first word.
fn note(body: &Value) -> String {
    let summary = body.get("summary").and_then(Value::as_str).unwrap_or_default();
    let mut text = summary.to_owned();
    let candidates = body.get("candidates").and_then(Value::as_array);
    for candidate in candidates.into_iter().flatten().take(3) {
        let question = candidate.get("question").and_then(Value::as_str).unwrap_or_default();
        let confidence = candidate.get("confidence").and_then(Value::as_f64).unwrap_or_default();
        text.push_str(&format!("\n· {question}（{:.0}%）", confidence * 100.0));
    }
    text
}

type Caller<'a> = dyn Fn(&str, &str, Option<&Value>) -> std::result::Result<Replied, Failed> + 'a;

/// Adds labels to those that are there: writing replaces all of them.
fn labels(settings: &Settings, call: &Caller<'_>) -> Told {
    if settings.labels.is_empty() {
        return Told::Done;
    }
    let mut all: Vec<String> = match call("GET", "/labels", None) {
        Ok(replied) if replied.is_success() => {
            let value: Value = serde_json::from_str(&replied.body).unwrap_or_default();
            value
                .get("payload")
                .and_then(|list| serde_json::from_value(list.clone()).ok())
                .unwrap_or_default()
        }
        Ok(replied) if not_here(&replied) => return Told::Done,
        other => return told(other),
    };
    for label in &settings.labels {
        if !all.contains(label) {
            all.push(label.clone());
        }
    }
    match call("POST", "/labels", Some(&json!({"labels": all}))) {
        Ok(replied) if not_here(&replied) => Told::Done,
        other => told(other),
    }
}

/// Gives the conversation to people, unless somebody has taken it since.
fn open(desk: &Desk, settings: &Settings, address: &Address, body: &Value, id: &str) -> Told {
    let taken_over = || {
        let handoff = body.get("handoff").and_then(Value::as_str).unwrap_or_default();
        match step(desk, handoff, Step::Claim, PEOPLE) {
            Ok(()) => Told::Done,
            Err(e) => Told::Again(e.to_string(), None),
        }
    };
    match status(desk, settings, address) {
        Ok(Some(status)) if status != "pending" => return taken_over(),
        Ok(_) => {}
        Err(e) => return Told::Again(e.to_string(), None),
    }
    if let Some(team) = settings.team {
        let assigned =
            told(call(desk, settings, address, "POST", "/assignments", Some(&json!({"team_id": team})), id));
        if let Told::Again(why, again) = assigned {
            return Told::Again(why, again);
        }
    }
    match told(call(desk, settings, address, "POST", "/toggle_status", Some(&json!({"status": "open"})), id))
    {
        Told::Done => taken_over(),
        other => other,
    }
}

/// Whether Chatwoot can be reached with these settings, in words.
pub(super) fn test(desk: &Desk, settings: &Value) -> std::result::Result<String, String> {
    let settings = Settings::of(settings)?;
    let url = format!("{}/api", settings.url.trim_end_matches('/'));
    let headers = vec![("api_access_token", settings.token.clone())];
    let call = Call { method: "GET", url: &url, headers, body: None };
    match desk.0.client.call(settings.reach(), &call) {
        Ok(replied) if replied.is_success() => {
            let value: Value = serde_json::from_str(&replied.body).unwrap_or_default();
            let version = value.get("version").and_then(Value::as_str).unwrap_or("unknown");
            Ok(format!("Chatwoot {version} answers"))
        }
        Ok(replied) => Err(replied.told()),
        Err(Failed::Refused(why) | Failed::Unreached(why)) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(fields: Value) -> Value {
        let mut event = json!({
            "event": "message_created", "id": 7, "content": "怎么退货", "message_type": "incoming",
            "private": false, "account": {"id": 3}, "sender": {"id": 9, "name": "张三", "type": "contact"},
            "conversation": {"id": 12, "status": "pending"},
        });
        for (name, value) in fields.as_object().cloned().unwrap_or_default() {
            event[&name] = value;
        }
        event
    }

    #[test]
    fn only_what_a_customer_says_is_heard() {
        let heard = event(&created(json!({}))).expect("an event");
        assert_eq!(heard.address, Address { account: 3, conversation: 12 });
        let message = heard.message.expect("a message");
        assert_eq!((message.id, message.text.as_str()), (7, "怎么退货"));
        assert_eq!(Value::Object(message.customer), json!({"id": "9", "name": "张三"}));
        for other in [
            json!({"message_type": "outgoing"}),
            json!({"message_type": "template"}),
            json!({"private": true}),
            json!({"event": "message_updated"}),
            json!({"event": "webwidget_triggered"}),
            json!({"content": null}),
        ] {
            assert_eq!(event(&created(other.clone())), None, "{other}");
        }
    }

    #[test]
    fn a_question_that_was_pressed_is_a_choice() {
        let pressed = created(json!({
            "event": "message_updated", "message_type": "outgoing",
            "content_attributes": {"submitted_values": [{"title": "怎么开发票", "value": "invoice"}]},
        }));
        let message = event(&pressed).and_then(|event| event.message).expect("a message");
        assert_eq!((message.text.as_str(), message.choice.as_deref()), ("怎么开发票", Some("invoice")));
    }

    #[test]
    fn signatures_are_over_the_bytes() {
        let (secret, body, now) = ("s3cret", "{\"a\":\"\\u003cb\\u003e\"}", 1_700_000_000);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update(format!("{now}.{body}").as_bytes());
        let signed = format!("sha256={}", hex(&mac.finalize().into_bytes()));
        let check = |signature: Option<&str>, stamp: i64, body: &str| {
            let headers = |name: &str| match name {
                "x-chatwoot-signature" => signature.map(str::to_owned),
                "x-chatwoot-timestamp" => Some(stamp.to_string()),
                _ => None,
            };
            verify(secret, &headers, body, now)
        };
        assert_eq!(check(Some(&signed), now, body), Ok(()));
        assert!(check(Some(&signed), now, "{\"a\":\"<b>\"}").is_err(), "the same JSON, other bytes");
        assert!(check(Some(&signed), now - 301, body).is_err());
        assert!(check(None, now, body).is_err());
        assert!(check(Some("sha256=zz"), now, body).is_err());
    }

    #[test]
    fn questions_to_press_are_numbered_too() {
        let options =
            [json!({"entry": "a", "question": "怎么退货"}), json!({"entry": "b", "question": "怎么换货"})];
        let sent = message("请问是哪一个？", &options, "t-reply");
        assert_eq!(sent["content"], "请问是哪一个？\n1. 怎么退货\n2. 怎么换货");
        assert_eq!(sent["content_type"], "input_select");
        assert_eq!(sent["content_attributes"]["items"][1], json!({"title": "怎么换货", "value": "b"}));
        assert_eq!(message("好", &[], "x")["content_type"], "text");
    }
}

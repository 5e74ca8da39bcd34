//! How does any other platform speak with us?
//!
//! By two plain requests in both directions, signed as Standard Webhooks with the
//! channel's secret.
//!
//! In, to `POST /channels/generic/ID`:
//! ```json
//! {"conversation":"u-42","message_id":"m-1","text":"怎么退货","choice":null,"customer":{"vip":true},"channel":"app"}
//! ```
//! It is replied to with 200 when it is on the disk, and worked on afterwards;
//! `webhook-id` (else `message_id`) names the delivery, and a second one of the same
//! name does nothing. A recogniser of speech may add up to ten other readings of the
//! message, `"alternatives":[{"text":"怎么退火","confidence":0.3}]`: all are read, the one
//! that the engine is surest of is taken, and the reply says in `heard` which that was
//! (`alternative`: 0 for `text` itself).
//!
//! Out, to the channel's `url`, in the order of the conversation, with a
//! `webhook-id` that stays the same over all attempts: `{"type":…,"data":{…}}`, where
//! `type` is `reply` (`text`, `suggestions`, `decision`, `heard`, `images` and `links` beside the
//! words, of the robot or, with `author`, of a person), `handoff` (`reason`, `summary`, `candidates`), `closed`, `returned`, `expired`
//! or `withdrawn`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use standardwebhooks::Webhook as Verifier;

use super::Desk;
use super::addresses::Reach;
use super::client::{Call, address_fault};
use super::platforms::{Callback, Headers, Refused, Told, told};
use super::reception::Incoming;
use super::webhooks::{headers, is_secret};
use crate::dialogue::conversation::{CUSTOMER_BYTES, TEXT_CHARS, is_sound_id};
use crate::engine::Options;
use crate::error::{Error, Result};
use crate::events::check_channel;
use crate::store::{Channel, Taken};

/// The kind's name.
pub const KIND: &str = "generic";

/// A request is not older or newer than this, in seconds.
const SKEW: i64 = 300;

/// The settings of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where replies go.
    pub url: String,
    /// What both directions are signed with, `whsec_` and base64.
    pub secret: String,
    /// Whether the platform is inside the house.
    #[serde(default)]
    pub private: bool,
}

/// The most other readings of a message.
const ALTERNATIVES: usize = 10;

/// Another reading of a message that was spoken.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alternative {
    text: String,
    /// How sure the recogniser is; told again, and not reckoned with.
    confidence: Option<f64>,
}

/// What a platform sends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    conversation: String,
    message_id: String,
    text: String,
    choice: Option<String>,
    customer: Option<Map<String, Value>>,
    channel: Option<String>,
    #[serde(default)]
    alternatives: Vec<Alternative>,
}

impl Message {
    fn of(body: &str) -> std::result::Result<Self, String> {
        let message: Self = serde_json::from_str(body).map_err(|e| e.to_string())?;
        if !is_sound_id(&message.conversation) || !is_sound_id(&message.message_id) {
            return Err("`conversation` and `message_id` are 1 to 128 visible characters".to_owned());
        }
        message.channel.as_deref().map_or(Ok(()), check_channel)?;
        let chars = message.text.chars().count();
        if chars > TEXT_CHARS {
            return Err(format!("`text` has {chars} characters; the limit is {TEXT_CHARS}"));
        }
        if message.alternatives.len() > ALTERNATIVES {
            let count = message.alternatives.len();
            return Err(format!("`alternatives` has {count} readings; the limit is {ALTERNATIVES}"));
        }
        if message.alternatives.iter().any(|one| one.text.chars().count() > TEXT_CHARS) {
            return Err(format!("a text in `alternatives` has more than {TEXT_CHARS} characters"));
        }
        let bytes =
            message.customer.as_ref().map_or(0, |fields| Value::Object(fields.clone()).to_string().len());
        if bytes > CUSTOMER_BYTES {
            return Err(format!("`customer` has {bytes} bytes; the limit is {CUSTOMER_BYTES}"));
        }
        Ok(message)
    }
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
        if !is_secret(&settings.secret) {
            return Err("`secret` is `whsec_` and 24 to 64 bytes in base64".to_owned());
        }
        Ok(settings)
    }

    /// Verifies a message and says where it belongs.
    pub(super) fn callback(
        &self,
        headers: &Headers<'_>,
        body: &str,
        now: i64,
    ) -> std::result::Result<Option<Callback>, Refused> {
        let unsigned = |why: &str| Refused::Unsigned(why.to_owned());
        let need = |name: &'static str| {
            headers(name).ok_or_else(|| Refused::Unsigned(format!("header `{name}` is missing")))
        };
        let (id, stamp, given) =
            (need("webhook-id")?, need("webhook-timestamp")?, need("webhook-signature")?);
        let at: i64 =
            stamp.trim().parse().map_err(|_| unsigned("header `webhook-timestamp` is no number"))?;
        if at.abs_diff(now / 1000) > SKEW.unsigned_abs() {
            return Err(unsigned("the timestamp is too far from this machine's clock"));
        }
        let expected = Verifier::new(&self.secret)
            .and_then(|signer| signer.sign(&id, at, body.as_bytes()))
            .map_err(|e| Refused::Failed(Error::internal("signature", e)))?;
        let is_ours = given
            .split(' ')
            .any(|one| subtle::ConstantTimeEq::ct_eq(one.as_bytes(), expected.as_bytes()).into());
        if !is_ours {
            return Err(unsigned("the signature is not made with this channel's secret"));
        }
        let message = Message::of(body).map_err(Refused::Malformed)?;
        let delivery = if id.is_empty() { message.message_id } else { id.chars().take(200).collect() };
        Ok(Some(Callback { delivery, lane: message.conversation, kind: "message".to_owned() }))
    }
}

/// Works on a message.
pub(super) fn work(desk: &Desk, channel: &Channel, taken: &Taken) -> Result<()> {
    let message = Message::of(&taken.body).map_err(|e| Error::internal("generic", e))?;
    let (engine, service) = desk.answering(channel)?;
    let mut address = json!({"conversation": message.conversation});
    let shown = message.channel.as_deref().unwrap_or(KIND);
    let session = format!("generic:{}:{}", channel.id, message.conversation);
    let mut text = message.text.as_str();
    if !message.alternatives.is_empty() && message.choice.is_none() {
        let others = message.alternatives.iter().map(|one| one.text.as_str());
        let texts: Vec<&str> = std::iter::once(text).chain(others).collect();
        let best = super::alternatives::best(desk, &engine, &service, &session, &texts)?;
        text = texts[best];
        let confidence = best.checked_sub(1).and_then(|at| message.alternatives.get(at)?.confidence);
        address["heard"] = json!({"text": text, "alternative": best, "confidence": confidence});
    }
    let address = address.to_string();
    let incoming = Incoming {
        engine: &engine,
        service: &service,
        session: &session,
        text,
        choice: message.choice.as_deref(),
        channel: Some(shown),
        customer: message.customer.as_ref(),
        options: Options::default(),
        may_ask: true,
        explain: false,
        client_id: Some(&message.message_id),
        via: Some((channel, &address)),
    };
    let said = desk.hear(&incoming)?;
    desk.listened(&incoming, &said);
    Ok(())
}

/// Says something on the platform.
pub(super) fn say(desk: &Desk, settings: &Value, taken: &Taken) -> Told {
    let settings = match Settings::of(settings) {
        Ok(settings) => settings,
        Err(why) => return Told::Never(why),
    };
    let mut data: Value = serde_json::from_str(&taken.body).unwrap_or_default();
    if let Some(fields) = data.as_object_mut() {
        // The platform's own name for the conversation, not ours.
        let address = fields.remove("address").unwrap_or_default();
        let theirs = address.get("conversation").cloned();
        fields.extend(theirs.map(|id| ("conversation".to_owned(), id)));
        // What a person says is no reply to one reading.
        let heard = address.get("heard").filter(|_| !fields.contains_key("author")).cloned();
        fields.extend(heard.map(|heard| ("heard".to_owned(), heard)));
    }
    let body = json!({"type": taken.kind, "data": data}).to_string();
    let signed = match headers(&[&settings.secret], &taken.id, desk.now() / 1000, &body) {
        Ok(signed) => signed,
        Err(e) => return Told::Never(e.to_string()),
    };
    let reach = if settings.private { Reach::Private } else { Reach::Public };
    let call = Call { method: "POST", url: &settings.url, headers: signed, body: Some(body) };
    told(desk.0.client.call(reach, &call))
}

/// Whether the platform takes a signed request, in words.
pub(super) fn test(desk: &Desk, settings: &Value) -> std::result::Result<String, String> {
    let taken = Taken {
        seq: 0,
        id: format!("test_{}", super::new_id()),
        target: String::new(),
        lane: String::new(),
        kind: "test".to_owned(),
        kb: String::new(),
        body: "{}".to_owned(),
        state: String::new(),
        attempts: 0,
        worker: None,
        error: None,
        created_at: 0,
    };
    match say(desk, settings, &taken) {
        Told::Done => Ok("the platform takes what we send".to_owned()),
        Told::Again(why, _) | Told::Never(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYq=";

    #[test]
    fn a_message_is_taken_when_it_is_signed_and_sound() {
        let settings = Settings::of(&json!({"url": "https://app.example/in", "secret": crate::desk::webhooks::new_secret().expect("random")}))
            .expect("sound");
        let now = 1_700_000_000_000;
        let send = |body: &str, stamp: i64, secret: &str| {
            let signed = headers(&[secret], "d-1", stamp, body).expect("signed");
            let get =
                |name: &str| signed.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            settings.callback(&get, body, now)
        };
        let body = json!({"conversation": "u-1", "message_id": "m-1", "text": "怎么退货"}).to_string();
        let taken = send(&body, now / 1000, &settings.secret).expect("taken").expect("a message");
        assert_eq!((taken.delivery.as_str(), taken.lane.as_str()), ("d-1", "u-1"));
        assert!(matches!(send(&body, now / 1000 - 301, &settings.secret), Err(Refused::Unsigned(_))));
        let other = crate::desk::webhooks::new_secret().expect("random");
        assert!(matches!(send(&body, now / 1000, &other), Err(Refused::Unsigned(_))));
        for wrong in [
            json!({"conversation": "", "message_id": "m", "text": "x"}),
            json!({"conversation": "u", "message_id": "m", "text": "x".repeat(TEXT_CHARS + 1)}),
            json!({"conversation": "u", "message_id": "m", "text": "x", "more": 1}),
            json!({"conversation": "u", "message_id": "m", "text": "x", "customer": {"a": "x".repeat(5_000)}}),
        ] {
            let sent = send(&wrong.to_string(), now / 1000, &settings.secret);
            assert!(matches!(sent, Err(Refused::Malformed(_))), "{wrong}");
        }
        assert!(Settings::of(&json!({"url": "https://a.example/", "secret": "x"})).is_err());
        assert!(Settings::of(&json!({"url": "gopher://a/", "secret": SECRET})).is_err());
    }
}

//! Which platform is it, and how is it spoken to?
//!
//! The one place that knows all kinds. What a platform sends is verified and
//! stored before it is told so; it is worked on afterwards, by the threads that
//! deliver, in the order of its conversation.

use serde_json::{Value, json};

use super::client::{Failed, Replied};
use super::messengers::{self, Delivery};
use super::reception::{Asked, Incoming, Said};
use super::{Desk, chatwoot, email, generic, web};
use crate::channels::{self, Kind, Platform, email as letters};
use crate::dialogue::handoff::Step;
use crate::engine::Reply;
use crate::error::{Error, Result};
use crate::store::{Act, Channel, Job, NewHandoff, Taken, Undelivered};

/// The kinds that there are.
pub const KINDS: [&str; 9] = [
    chatwoot::KIND,
    generic::KIND,
    web::KIND,
    letters::KIND,
    "wechat",
    "wecom",
    "wecom-kf",
    "dingtalk",
    "feishu",
];

/// People on a platform have a conversation until it says otherwise, in milliseconds.
const HELD: i64 = 365 * 24 * 60 * 60 * 1000;

/// Why a callback is not taken.
#[derive(Debug)]
pub enum Refused {
    /// It is not from the platform.
    Unsigned(String),
    /// It is not what the platform sends.
    Malformed(String),
    /// We could not store it.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A header of a callback by its name in lower case.
pub type Headers<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What became of what a platform sent.
#[derive(Debug)]
pub enum Received {
    /// It is on the disk; whether it was new.
    Stored(bool),
    /// It is answered in the platform's own words.
    Answered(channels::Answer),
}

/// A callback that is to be stored.
pub(super) struct Callback {
    /// The platform's name for the delivery.
    pub(super) delivery: String,
    /// The conversation, so that its messages are worked on in order.
    pub(super) lane: String,
    /// What happened.
    pub(super) kind: String,
}

/// What became of something that was to be told or worked on.
pub(super) enum Told {
    /// It is done.
    Done,
    /// It may be tried again.
    Again(String, Option<u64>),
    /// It is of no use to try again.
    Never(String),
}

/// Whether people take over on the platform itself; the robot is silent then.
pub fn has_people(channel: &Channel) -> bool {
    channel.kind == chatwoot::KIND || messengers::has_people(channel)
}

/// Makes a step with a handoff for people on a platform. Where it is there already, or
/// somebody else has seen to it, nothing happens.
pub(super) fn step(desk: &Desk, handoff: &str, step: Step, who: &str) -> Result<()> {
    does(desk, handoff, &Act { lease: HELD, ..Act::of(step, who, desk.now()) })
}

fn does(desk: &Desk, handoff: &str, act: &Act<'_>) -> Result<()> {
    match desk.talk().act(handoff, act) {
        Ok(_) | Err(Error::Conflict(_) | Error::Absent { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Gives a handoff from one of the platform's people to another one; nothing where it is
/// not theirs any more.
pub(super) fn pass(desk: &Desk, handoff: &str, from: &str, to: &str) -> Result<()> {
    does(desk, handoff, &Act { lease: HELD, to: Some(to), ..Act::of(Step::Transfer, from, desk.now()) })
}

/// What is wrong with the settings of a channel, if anything is.
pub fn settings_fault(kind: &str, settings: &Value) -> Option<String> {
    match kind {
        chatwoot::KIND => chatwoot::Settings::of(settings).err(),
        generic::KIND => generic::Settings::of(settings).err(),
        web::KIND => web::Settings::of(settings).err(),
        letters::KIND => letters::Settings::of(settings).err(),
        other => match Kind::named(other) {
            Some(kind) => Platform::of(kind, settings).err(),
            None => Some(format!("the kind {kind:?} is unknown; known: {}", KINDS.join(", "))),
        },
    }
}

/// What is to be said on a platform when the robot has replied.
pub(super) fn jobs(
    channel: &Channel,
    address: &str,
    session: &str,
    reply: &Reply,
    handoff: Option<&NewHandoff>,
) -> Vec<Job> {
    let address: Value = serde_json::from_str(address).unwrap_or_default();
    let options: Vec<Value> =
        reply.to_choose().iter().map(|one| json!({"entry": one.entry, "question": one.question})).collect();
    let mut said = json!({
        "conversation": session, "kb": reply.kb, "text": super::reception::words(reply),
        "suggestions": options, "decision": reply.decision.name(), "reason": reply.reason.name(),
        "trace_id": reply.trace_id, "address": address,
    });
    if let Some(fields) = said.as_object_mut() {
        fields.extend(super::reception::shown(reply));
    }
    let given = handoff.map(|handoff| {
        let told = json!({
            "conversation": session, "kb": reply.kb, "handoff": handoff.id, "reason": handoff.reason,
            "summary": handoff.summary, "candidates": handoff.candidates, "address": address,
        });
        (handoff, told)
    });
    if channel.kind == letters::KIND {
        return email::jobs(channel, session, &said, &reply.trace_id);
    }
    if let Ok(Some(platform)) = messengers::platform(channel) {
        return messengers::jobs(channel, &platform, session, &said, given, &reply.trace_id);
    }
    let id = |what: &str| format!("{}-{what}", reply.trace_id);
    let mut jobs = vec![Job::to_channel(&channel.id, session, id("reply"), "reply", &said)];
    if channel.kind == chatwoot::KIND
        && let Some(cards) = chatwoot::cards_job(&said)
    {
        jobs.push(Job::to_channel(&channel.id, session, id("cards"), "cards", &cards));
    }
    if let Some((_, given)) = given {
        let kinds: &[&str] = match channel.kind.as_str() {
            // One call each, so that one that fails is not the end of the others.
            chatwoot::KIND => &["note", "labels", "open"],
            _ => &["handoff"],
        };
        jobs.extend(kinds.iter().map(|kind| Job::to_channel(&channel.id, session, id(kind), kind, &given)));
    }
    jobs
}

impl Desk {
    /// Takes what a platform has sent. When this returns it is on the disk, and
    /// the platform may be told so; whether it is new is told. A platform that waits for
    /// the robot's words gets them.
    ///
    /// # Errors
    /// When it is not the platform's or could not be stored.
    pub fn receive(
        &self,
        channel: &Channel,
        delivery: &Delivery<'_>,
    ) -> std::result::Result<Received, Refused> {
        let headers = delivery.header;
        let settings: Value = serde_json::from_str(&channel.settings).unwrap_or_default();
        let broken = |why: String| Refused::Failed(Error::internal("channel", why));
        let now = self.now();
        if let Some(platform) = messengers::platform(channel).map_err(broken)? {
            return messengers::receive(self, channel, &platform, delivery).map(Received::Answered);
        }
        let body = delivery.body.ok_or_else(|| {
            Refused::Malformed("this channel only takes requests that are posted".to_owned())
        })?;
        let text =
            std::str::from_utf8(body).map_err(|_| Refused::Malformed("the body is not UTF-8".to_owned()))?;
        let callback = match channel.kind.as_str() {
            chatwoot::KIND => {
                chatwoot::Settings::of(&settings).map_err(broken)?.callback(headers, text, now)?
            }
            generic::KIND => {
                generic::Settings::of(&settings).map_err(broken)?.callback(headers, text, now)?
            }
            web::KIND => return Err(Refused::Malformed("the widget sends no callbacks".to_owned())),
            letters::KIND => return Err(Refused::Malformed("mail is fetched, not sent here".to_owned())),
            other => return Err(broken(format!("kind {other:?} is not known"))),
        };
        let Some(callback) = callback else { return Ok(Received::Stored(false)) };
        let job = Job {
            id: callback.delivery.clone(),
            target: format!("inbox:{}", channel.id),
            lane: callback.lane,
            kind: callback.kind,
            body: text.to_owned(),
        };
        let new = self.talk().receive(&channel.id, &callback.delivery, &job, &channel.kb, now)?;
        self.wake();
        Ok(Received::Stored(new))
    }

    /// Works on what a platform has sent.
    pub(super) fn work(&self, channel: &Channel, taken: &Taken) -> Told {
        let settings: Value = serde_json::from_str(&channel.settings).unwrap_or_default();
        let done = match channel.kind.as_str() {
            chatwoot::KIND => chatwoot::work(self, channel, &settings, taken),
            generic::KIND => generic::work(self, channel, taken),
            letters::KIND => email::work(self, channel, taken),
            other => match messengers::platform(channel) {
                Ok(Some(platform)) => messengers::work(self, channel, &platform, taken),
                Ok(None) => return Told::Never(format!("kind {other:?} is not known")),
                Err(why) => return Told::Again(why, None),
            },
        };
        match done {
            Ok(()) => Told::Done,
            // What a customer wrote cannot be mended by trying again.
            Err(Error::Question(_)) => Told::Done,
            Err(Error::Corpus(_) | Error::Absent { .. }) => Told::Done,
            Err(e) => Told::Again(e.to_string(), None),
        }
    }

    /// Whether a platform can be reached and hears us, in words.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub fn test_channel(&self, channel: &Channel) -> std::result::Result<String, String> {
        let settings: Value = serde_json::from_str(&channel.settings).unwrap_or_default();
        match channel.kind.as_str() {
            chatwoot::KIND => chatwoot::test(self, &settings),
            generic::KIND => generic::test(self, &settings),
            web::KIND => web::Settings::of(&settings).map(|site| site.told()),
            letters::KIND => email::test(self, channel),
            other => match messengers::platform(channel)? {
                Some(platform) => messengers::test(self, &platform),
                None => Err(format!("kind {other:?} is not known")),
            },
        }
    }

    /// Says something on a platform.
    pub(super) fn say(&self, channel: &Channel, taken: &Taken) -> Told {
        let settings: Value = serde_json::from_str(&channel.settings).unwrap_or_default();
        match channel.kind.as_str() {
            chatwoot::KIND => chatwoot::say(self, channel, &settings, taken),
            generic::KIND => generic::say(self, &settings, taken),
            letters::KIND => email::say(self, channel, taken),
            other => match messengers::platform(channel) {
                Ok(Some(platform)) => messengers::say(self, channel, &platform, taken),
                Ok(None) => Told::Never(format!("kind {other:?} is not known")),
                Err(why) => Told::Again(why, None),
            },
        }
    }

    /// Tells the desk of words that nobody tries to say on a platform any more.
    pub(super) fn gave_up(&self, taken: &Taken, why: &str) {
        if !taken.target.starts_with("channel:") || !matches!(taken.kind.as_str(), "reply" | "cards") {
            return;
        }
        let body: Value = serde_json::from_str(&taken.body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let seq = body.get("seq").and_then(Value::as_i64);
        let lost = Undelivered::Lost { seq, text: text("text"), why };
        if let Err(error) = self.talk().tell_undelivered(&taken.kb, &taken.lane, lost, self.now()) {
            tracing::error!(%error, id = taken.id, "cannot tell a desk that words did not get there");
        }
    }

    /// What answers on a channel, as an error when nothing does now.
    pub(super) fn answering(
        &self,
        channel: &Channel,
    ) -> Result<(std::sync::Arc<crate::engine::Engine>, std::sync::Arc<crate::dialogue::Service>)> {
        (self.0.find)(&channel.kb).ok_or_else(|| {
            Error::Refused(format!(
                "knowledge base {} of channel {} does not answer now",
                channel.kb, channel.id
            ))
        })
    }

    /// Tells whoever listens of a turn on a platform.
    pub(super) fn listened(&self, incoming: &Incoming<'_>, said: &Said) {
        if let Said::Replied(turned) = said {
            let asked =
                Asked { session: Some(incoming.session), text: incoming.text, channel: incoming.channel };
            (self.0.listen)(incoming.engine, turned, &asked);
        }
    }
}

/// What became of a call that should end with 2xx.
pub(super) fn told(outcome: std::result::Result<Replied, Failed>) -> Told {
    match outcome {
        Ok(replied) if replied.is_success() => Told::Done,
        // Gone for good, by HTTP's own word.
        Ok(replied) if replied.status == 410 => Told::Never(replied.told()),
        Ok(replied) => {
            let again = replied.again;
            Told::Again(replied.told(), again)
        }
        Err(Failed::Refused(why)) => Told::Never(why),
        Err(Failed::Unreached(why)) => Told::Again(why, None),
    }
}

/// Words with the questions to choose from below them, numbered: a customer can
/// reply with the number wherever nothing can be pressed.
pub(super) fn numbered(text: &str, options: &[Value]) -> String {
    let mut all = text.to_owned();
    for (number, option) in (1..).zip(options) {
        let question = option.get("question").and_then(Value::as_str).unwrap_or_default();
        if !all.is_empty() {
            all.push('\n');
        }
        all.push_str(&format!("{number}. {question}"));
    }
    all
}

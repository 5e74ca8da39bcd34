//! How are WeChat, WeCom, DingTalk and Feishu served?
//!
//! [`crate::channels`] knows how each of them speaks; here what it says is taken to a
//! conversation, and what comes of it is brought back. Where the platform waits for the
//! reply (`at_once`), the robot takes its turn while it waits, and a message that comes
//! again gets what was recorded for it. Everywhere else the event is on the disk before
//! the platform is told so. What is said later goes through the outbox (`speak`).

mod news;
mod opening;
mod speak;
mod test;

pub use opening::{Opening, opening};
pub(super) use speak::say;
pub(super) use test::test;

use serde_json::{Map, Value, json};

use super::platforms::{Refused, pass, step};
use super::reception::{Incoming, Said, TRIES};
use super::{Desk, new_id};
use crate::channels::{
    Answer, Arrival, Event, Fault, Kind, Part, People, Platform, Request, Spoken, What, envelope, wechat,
};
use crate::dialogue::conversation::{Owner, Role};
use crate::dialogue::handoff::Step;
use crate::engine::{Options, Reply};
use crate::error::{Error, Result};
use crate::store::{Channel, Conversation, Heard, Job, NewHandoff, NewLine, Place, Taken};

/// The longest name of a conversation, in characters; a platform's own names can be longer.
const NAME: usize = 128;

/// A text by its name: a parameter of an address, or a header in lower case.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A request of a platform.
pub struct Delivery<'a> {
    /// A parameter of its address, decoded.
    pub query: &'a Lookup<'a>,
    /// A header by its name in lower case.
    pub header: &'a Lookup<'a>,
    /// The body as it came; `None` when the platform only looks at the address (`GET`).
    pub body: Option<&'a [u8]>,
}

/// The platform of a channel; `None` when it is one of another sort.
pub(super) fn platform(channel: &Channel) -> std::result::Result<Option<Platform>, String> {
    let Some(kind) = Kind::named(&channel.kind) else { return Ok(None) };
    let settings: Value = serde_json::from_str(&channel.settings).map_err(|e| e.to_string())?;
    Platform::of(kind, &settings).map(Some)
}

/// Whether the platform's own people take over on a channel.
pub(super) fn has_people(channel: &Channel) -> bool {
    platform(channel).ok().flatten().is_some_and(|platform| platform.settings.people == People::Platform)
}

/// The name that entries have answers for and figures count under: the kind's, or another
/// one that the settings say.
fn counted_as(channel: &Channel) -> String {
    let named = platform(channel).ok().flatten().and_then(|platform| platform.settings.channel);
    named.unwrap_or_else(|| channel.kind.clone())
}

/// How the names of conversations begin that a platform's own people see to. Secrets may be
/// sealed.
pub(super) fn theirs(channels: &[Channel]) -> Vec<String> {
    let is_theirs = |channel: &&Channel| {
        let settings = serde_json::from_str::<Value>(&channel.settings).unwrap_or_default();
        Kind::named(&channel.kind).is_some() && settings["people"] == "platform"
    };
    channels.iter().filter(is_theirs).map(|channel| format!("{}:{}:", channel.kind, channel.id)).collect()
}

/// The name of a customer's conversation here.
fn session(channel: &Channel, customer: &str) -> String {
    let name = format!("{}:{}:{customer}", channel.kind, channel.id);
    if name.chars().count() <= NAME && !name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return name;
    }
    format!("{}:{}:{}", channel.kind, channel.id, envelope::signature(&[customer]))
}

/// Takes what a platform has sent, and says what it is replied.
pub(super) fn receive(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    delivery: &Delivery<'_>,
) -> std::result::Result<Answer, Refused> {
    let body = delivery.body.map(std::str::from_utf8).transpose();
    let body = body.map_err(|_| Refused::Malformed("the body is not UTF-8".to_owned()))?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|e| Refused::Failed(Error::internal("randomness", e)))?;
    let now = desk.now();
    let request = Request { query: delivery.query, header: delivery.header, body, now, random };
    match platform.arrive(&request) {
        Err(Fault::Unsigned(why)) => Err(Refused::Unsigned(why)),
        Err(Fault::Malformed(why)) => Err(Refused::Malformed(why)),
        Ok(Arrival::Nothing(answer)) => Ok(answer),
        Ok(Arrival::Later(event, answer)) => {
            let job = inbox(channel, &event)?;
            desk.talk().receive(&channel.id, &event.id, &job, &channel.kb, now)?;
            desk.wake();
            Ok(answer)
        }
        Ok(Arrival::Now(event, wrapping)) => Ok(at_once(desk, channel, platform, &event, &wrapping)?),
    }
}

/// Something to be worked on, in the order of its customer.
fn inbox(channel: &Channel, event: &Event) -> Result<Job> {
    Ok(Job {
        id: event.id.clone(),
        target: format!("inbox:{}", channel.id),
        // News are all alike: whichever is heard next brings everything, and none waits for one
        // that cannot be heard any more.
        lane: if matches!(event.what, What::News { .. }) { event.id.clone() } else { event.customer.clone() },
        kind: event.what.name().to_owned(),
        body: serde_json::to_string(event).map_err(|e| Error::internal("event", e))?,
    })
}

/// Works on what was kept.
pub(super) fn work(desk: &Desk, channel: &Channel, platform: &Platform, taken: &Taken) -> Result<()> {
    let event: Event = serde_json::from_str(&taken.body).map_err(|e| Error::internal("event", e))?;
    if let What::News { token, account } = &event.what {
        return news::fetch(desk, channel, platform, token, account);
    }
    happened(desk, channel, platform, &event).map(|_| ())
}

/// What comes of an event, for whoever waits for it.
enum Outcome {
    /// Nothing is said.
    Silence,
    /// This is said; where nobody waits for it, it lies in the outbox.
    Words(Spoken),
    /// The platform's own people take over.
    Given,
}

fn at_once(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    event: &Event,
    wrapping: &wechat::Envelope,
) -> Result<Answer> {
    Ok(match happened(desk, channel, platform, event)? {
        Outcome::Silence => wrapping.nothing(),
        Outcome::Given => wrapping.hand_over(),
        Outcome::Words(spoken) if fits(platform, &spoken) => {
            let parts = spoken.parts(&platform.limits());
            let text: Vec<String> = parts.into_iter().map(|part| part.text).collect();
            wrapping.text(&text.join("\n"))
        }
        // It is on its way through the outbox.
        Outcome::Words(_) => wrapping.nothing(),
    })
}

/// Whether words are the answer to the request; where nothing else can be said they
/// are, and are cut.
fn fits(platform: &Platform, spoken: &Spoken) -> bool {
    let parts: Vec<Part> = spoken.parts(&platform.limits());
    !platform.can_speak() || (parts.len() <= 1 && parts.iter().all(|part| part.choices.is_empty()))
}

/// What is to be said through the outbox when the robot has replied.
pub(super) fn jobs(
    channel: &Channel,
    platform: &Platform,
    session: &str,
    said: &Value,
    given: Option<(&NewHandoff, Value)>,
    trace: &str,
) -> Vec<Job> {
    let job = |kind: &str, body: &Value| {
        Job::to_channel(&channel.id, session, format!("{trace}-{kind}"), kind, body)
    };
    let theirs = platform.settings.people == People::Platform;
    // A request that is answered by giving the customer away has no room for words.
    let crowded = theirs && given.is_some() && platform.replies_at_once();
    let spoken = Spoken::of(said);
    let later = !platform.replies_at_once() || !fits(platform, &spoken) || (crowded && platform.can_speak());
    let mut jobs = Vec::new();
    if later {
        jobs.push(job("reply", said));
    }
    if let Some((_, given)) = given.filter(|_| theirs && platform.kind == Kind::WeComKf) {
        jobs.push(job("handoff", &given));
    }
    jobs
}

/// Takes an event to its conversation.
fn happened(desk: &Desk, channel: &Channel, platform: &Platform, event: &Event) -> Result<Outcome> {
    let session = session(channel, &event.customer);
    if let Some(quota) = platform.quota_after(&event.what) {
        desk.talk().grant(&channel.id, &session, quota.messages, quota.millis, desk.now())?;
    }
    let known = desk.talk().find(&channel.kb, &session)?;
    let open = known.as_ref().and_then(|known| known.handoff.clone());
    match &event.what {
        What::Said { text, choice } => {
            said(desk, channel, platform, event, &session, text, choice.as_deref(), known.as_ref())
        }
        What::Showed { text } => showed(desk, channel, platform, event, &session, text),
        What::Came { code } => {
            opening::greet(desk, channel, platform, event, &session, code.as_deref(), known.as_ref())
        }
        What::Taken { agent } => {
            taken(desk, channel, &session, agent, known.as_ref())?;
            Ok(Outcome::Silence)
        }
        What::Answered { agent, text } => {
            let line = NewLine {
                author: Some(agent.clone()),
                client_id: Some(event.id.clone()),
                ..NewLine::of(Role::Agent, text)
            };
            note(desk, channel, event, &session, None, |_| Some((vec![line.clone()], Vec::new())))?;
            Ok(Outcome::Silence)
        }
        What::Ended => {
            if let Some(open) = open {
                end(desk, &open, Step::Close, &channel.kind)?;
            }
            Ok(Outcome::Silence)
        }
        What::Lost { why } => {
            let lost = crate::store::Undelivered::Lost { seq: None, text: "", why };
            desk.talk().tell_undelivered(&channel.kb, &session, lost, desk.now())?;
            Ok(Outcome::Silence)
        }
        What::News { .. } => Ok(Outcome::Silence),
    }
}

/// Somebody of the platform's people has the conversation now.
fn taken(
    desk: &Desk,
    channel: &Channel,
    session: &str,
    agent: &str,
    known: Option<&Conversation>,
) -> Result<()> {
    let Some(known) = known else { return Ok(()) };
    let agent = if agent.is_empty() { channel.kind.as_str() } else { agent };
    let open = match &known.handoff {
        Some(open) => open.clone(),
        // They took it of their own accord.
        None => {
            let (engine, service) = desk.answering(channel)?;
            desk.give_to_people(&channel.kb, session, &engine, &service)?.id
        }
    };
    // A colleague who had it has passed it on.
    let holder = desk.talk().handoff(&open)?.and_then(|handoff| handoff.agent);
    if let Some(holder) = holder.filter(|holder| holder != agent) {
        pass(desk, &open, &holder, agent)?;
    }
    step(desk, &open, Step::Claim, agent)
}

/// Ends a handoff for whoever of the platform's people has it: nobody else may.
fn end(desk: &Desk, open: &str, by: Step, kind: &str) -> Result<()> {
    let agent = desk.talk().handoff(open)?.and_then(|handoff| handoff.agent);
    step(desk, open, by, agent.as_deref().unwrap_or(kind))
}

/// A customer's words.
#[expect(clippy::too_many_arguments, reason = "an event in its parts beside where it happened")]
fn said(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    event: &Event,
    session: &str,
    text: &str,
    choice: Option<&str>,
    known: Option<&Conversation>,
) -> Result<Outcome> {
    let theirs = platform.settings.people == People::Platform;
    let waiting = theirs && known.is_some_and(|known| known.owner == Owner::Queued);
    if let Some(known) = known.filter(|known| theirs && known.owner == Owner::Agent)
        && let (Some(open), true) = (&known.handoff, platform.replies_at_once())
    {
        // What is said to people does not come here: their session is over.
        end(desk, open, Step::Return, &channel.kind)?;
    }
    let (engine, service) = desk.answering(channel)?;
    let address = event.address.to_string();
    let mut customer = Map::new();
    customer.insert("id".to_owned(), json!(event.customer));
    customer.extend(event.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
    let name = counted_as(channel);
    let incoming = Incoming {
        engine: &engine,
        service: &service,
        session,
        text,
        choice,
        channel: Some(&name),
        customer: Some(&customer),
        options: Options::default(),
        may_ask: true,
        explain: false,
        client_id: Some(&event.id),
        via: Some((channel, &address)),
    };
    let heard = match desk.hear(&incoming) {
        // A question of a list that is long gone is a question all the same.
        Err(Error::Question(crate::error::QuestionError::NotOffered { .. })) => {
            desk.hear(&Incoming { choice: None, ..incoming })
        }
        other => other,
    };
    let heard = match heard {
        Ok(heard) => heard,
        // Blank, or a letter: nothing that could be answered.
        Err(Error::Question(_)) => return Ok(Outcome::Silence),
        Err(e) => return Err(e),
    };
    desk.listened(&incoming, &heard);
    if waiting {
        return Ok(Outcome::Given);
    }
    let reply = match heard {
        Said::WithPerson(_) => return Ok(Outcome::Silence),
        Said::Replied(turned) => value(&turned.reply)?,
        Said::Again(reply) => reply,
    };
    let spoken = spoken(&reply);
    let given = theirs && reply.get("owner").and_then(Value::as_str) == Some(Owner::Queued.name());
    // Words that nothing else can bring go first; the next message is given away.
    let only_words = reply.get("answer").is_some_and(|answer| !answer.is_null()) && !platform.can_speak();
    Ok(if given && !only_words { Outcome::Given } else { Outcome::Words(spoken) })
}

fn value(reply: &Reply) -> Result<Value> {
    serde_json::to_value(reply).map_err(|e| Error::internal("reply", e))
}

/// What the customer reads of a reply, as [`super::reception::words`] says it.
fn spoken(reply: &Value) -> Spoken {
    let several = reply.get("answers").and_then(Value::as_array).filter(|all| !all.is_empty());
    let given: Vec<&Value> = match several {
        Some(all) => all.iter().collect(),
        None => reply.get("answer").into_iter().collect(),
    };
    let mut words: Vec<&str> = given.iter().filter_map(|answer| answer.get("text")?.as_str()).collect();
    words.extend(reply.get("message").and_then(Value::as_str));
    let of_all = |name: &str| -> Vec<&Value> {
        let mut all: Vec<&Value> = Vec::new();
        for item in given.iter().filter_map(|answer| answer.get(name)?.as_array()).flatten() {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        all
    };
    // As [`Reply::to_choose`]: what is answered is not to be chosen.
    let entry = |one: &Value| one.get("entry").cloned();
    let told = |one: &Value| several.is_some_and(|all| all.iter().any(|answer| entry(answer) == entry(one)));
    let open = reply
        .get("suggestions")
        .filter(|list| list.as_array().is_some_and(|all| all.iter().any(|one| !told(one))));
    Spoken::of(&json!({
        "text": words.join("\n\n"), "suggestions": open,
        "images": of_all("images"), "links": of_all("links"),
    }))
}

/// A picture or the like: a person sees that there is one, the robot asks for words.
fn showed(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    event: &Event,
    session: &str,
    text: &str,
) -> Result<Outcome> {
    let theirs = platform.settings.people == People::Platform;
    let words = platform.settings.not_text.as_str();
    let line = NewLine { client_id: Some(event.id.clone()), ..NewLine::of(Role::Customer, text) };
    let owner = note(desk, channel, event, session, None, |owner| {
        if is_with_people(owner) || words.is_empty() {
            return Some((vec![line.clone()], Vec::new()));
        }
        let jobs = if platform.replies_at_once() {
            Vec::new()
        } else {
            let body =
                json!({"conversation": session, "kb": channel.kb, "text": words, "address": event.address});
            vec![Job::to_channel(&channel.id, session, format!("{}-reply", new_id()), "reply", &body)]
        };
        Some((vec![line.clone(), NewLine::of(Role::Bot, words)], jobs))
    })?;
    if is_with_people(owner) {
        let given = theirs && owner == Owner::Queued && platform.replies_at_once();
        return Ok(if given { Outcome::Given } else { Outcome::Silence });
    }
    if words.is_empty() {
        return Ok(Outcome::Silence);
    }
    Ok(Outcome::Words(Spoken { text: words.to_owned(), ..Spoken::default() }))
}

/// Whether a person has a conversation, or somebody waits in it for one.
fn is_with_people(owner: Owner) -> bool {
    matches!(owner, Owner::Agent | Owner::Queued)
}

/// Records lines of a customer as said, once for each name of what happened.
pub(super) fn note_lines(
    desk: &Desk,
    channel: &Channel,
    address: &Value,
    id: &str,
    session: &str,
    lines: &[NewLine],
) -> Result<Owner> {
    let event = Event {
        id: id.to_owned(),
        customer: String::new(),
        address: address.clone(),
        at: None,
        name: None,
        what: What::Showed { text: String::new() },
    };
    note(desk, channel, &event, session, None, |_| Some((lines.to_vec(), Vec::new())))
}

/// What is recorded of an event, and what is to be said because of it.
type Noted = (Vec<NewLine>, Vec<Job>);

/// Records what happened, once for each event. Whoever has the conversation keeps it: `said`
/// tells what is recorded where it is theirs, if anything, and is asked again when somebody
/// was faster. Comes back with whose it is.
fn note(
    desk: &Desk,
    channel: &Channel,
    event: &Event,
    session: &str,
    context: Option<&str>,
    said: impl Fn(Owner) -> Option<Noted>,
) -> Result<Owner> {
    let address = event.address.to_string();
    let name = counted_as(channel);
    for _ in 0..TRIES {
        let known = desk.talk().find(&channel.kb, session)?;
        let before = known.as_ref().map_or(Owner::Bot, |known| known.owner);
        let Some((lines, jobs)) = said(before) else { return Ok(before) };
        // What a person says of a conversation that is over does not open it again.
        let is_opened = before == Owner::Closed && lines.iter().all(|line| line.role != Some(Role::Agent));
        let owner = if is_opened { Owner::Bot } else { before };
        if let Some(known) = &known
            && !desk.talk().heard_before(known.key, &event.id)?.is_empty()
        {
            return Ok(owner);
        }
        let place = match &known {
            Some(known) => Place::Known(known),
            None => {
                Place::New { kb: &channel.kb, id: session, via: Some(&channel.id), address: Some(&address) }
            }
        };
        let heard = Heard {
            lines,
            context: context.map(str::to_owned),
            channel: Some(&name),
            address: Some(&address),
            jobs,
            ..Heard::of(place, desk.now(), owner)
        };
        if desk.talk().record(&heard)?.is_some() {
            desk.wake();
            return Ok(owner);
        }
    }
    Err(Error::Conflict(format!("conversation {session:?} changes all the time")))
}

//! How do customers who write letters come to the robot and to people?
//!
//! [`mailbox`] fetches what came, each letter once, and keeps it; here it is taken to the
//! conversation of its thread. The robot replies only where it is sure, and asks back with
//! a list where that is wanted. Everything else goes to people, and the customer is told
//! once, with the number of the request. What is said goes out by [`sending`], through
//! the outbox.

pub(super) mod mailbox;
mod reach;
mod sending;

pub(super) use sending::say;

use serde_json::{Map, Value, json};

use super::messengers::note_lines;
use super::reception::{Incoming, Said};
use super::{Desk, addresses::Reach};
use crate::channels::email::writing::{Place, choices};
use crate::channels::email::{KIND, Letter, Settings};
use crate::dialogue::conversation::{Owner, Role};
use crate::engine::Options;
use crate::error::{Error, Result};
use crate::store::{Channel, Job, NewLine, Spent, Taken};
use crate::text::MAX_CHARS;

/// In this time only so much is said to one address, in milliseconds.
const HOUR: i64 = 60 * 60 * 1000;

/// What is told whose letter goes to people.
const ACKNOWLEDGED: &str = "您好，您的来信已经收到，我们的同事会尽快回复您。\n您的受理编号是 {number}；如需补充，请直接回复这封邮件。\n\nYour message has been passed to our team. The number of your request is {number}; to add something, reply to this mail.";

/// The settings of a channel.
pub(super) fn settings(channel: &Channel) -> std::result::Result<Settings, String> {
    let settings: Value = serde_json::from_str(&channel.settings).map_err(|e| e.to_string())?;
    Settings::of(&settings)
}

fn reach_of(settings: &Settings) -> Reach {
    if settings.private { Reach::Private } else { Reach::Public }
}

/// The name of a thread's conversation here.
fn session(channel: &Channel, thread: &str) -> String {
    format!("{KIND}:{}:{thread}", channel.id)
}

/// What is said at once when the robot has taken its turn: only what it is sure of.
pub(super) fn jobs(channel: &Channel, session: &str, said: &Value, trace: &str) -> Vec<Job> {
    let is_asked_back = settings(channel).is_ok_and(|settings| settings.choices);
    let is_said = match said.get("decision").and_then(Value::as_str) {
        Some("answer") => true,
        Some("clarify") => is_asked_back,
        _ => false,
    };
    let job = || Job::to_channel(&channel.id, session, format!("{trace}-reply"), "reply", said);
    is_said.then(job).into_iter().collect()
}

/// Words of the robot or of a person, with the questions to choose from below them.
fn words(body: &Value) -> String {
    let options = body.get("suggestions").and_then(Value::as_array);
    let questions = options.into_iter().flatten().filter_map(|one| one.get("question")?.as_str());
    let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
    // Behind an answer they are only what comes near.
    let questions: Vec<String> = match body.get("decision").and_then(Value::as_str) {
        Some("clarify") => questions.map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    choices(text, &questions)
}

/// Works on a letter that was kept.
pub(super) fn work(desk: &Desk, channel: &Channel, taken: &Taken) -> Result<()> {
    let broken = |why: String| Error::Refused(why);
    let settings = settings(channel).map_err(broken)?;
    let letter: Letter = serde_json::from_str(&taken.body).map_err(|e| Error::internal("letter", e))?;
    let thread = settings.thread(&letter);
    let session = session(channel, &thread);
    let place = serde_json::to_value(Place::of(&letter, thread)).map_err(|e| Error::internal("letter", e))?;
    let attached =
        (!letter.attachments.is_empty()).then(|| format!("〔附件：{}〕", letter.attachments.join("、")));
    let known = desk.talk().find(&channel.kb, &session)?;
    let owner = known.as_ref().map_or(Owner::Bot, |known| known.owner);
    let question = letter.question();
    if owner != Owner::Agent && !may_reply(desk, channel, &settings, &letter.from)? {
        tracing::warn!(channel = channel.id, from = letter.from, "writes too much; only people reply now");
        return given(desk, channel, &settings, &letter, &session, &place, false);
    }
    if question.trim().is_empty() || question.chars().count() > MAX_CHARS {
        return given(desk, channel, &settings, &letter, &session, &place, true);
    }
    let (engine, service) = desk.answering(channel)?;
    let address = place.to_string();
    let mut customer = Map::new();
    customer.insert("id".to_owned(), json!(letter.from));
    customer.insert("email".to_owned(), json!(letter.from));
    customer.extend(letter.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
    customer.insert("subject".to_owned(), json!(letter.subject));
    let incoming = Incoming {
        engine: &engine,
        service: &service,
        session: &session,
        text: &question,
        choice: None,
        channel: Some(settings.channel.as_deref().unwrap_or(KIND)),
        customer: Some(&customer),
        options: Options::default(),
        may_ask: true,
        explain: false,
        client_id: Some(&letter.id),
        via: Some((channel, &address)),
    };
    let heard = desk.hear(&incoming)?;
    desk.listened(&incoming, &heard);
    let reply = match heard {
        Said::WithPerson(_) => None,
        Said::Replied(turned) => {
            Some(serde_json::to_value(&turned.reply).map_err(|e| Error::internal("reply", e))?)
        }
        Said::Again(reply) => Some(reply),
    };
    if let Some(attached) = attached {
        let id = format!("{}-attached", letter.id);
        note_lines(desk, channel, &place, &id, &session, &[line(&id, &attached)])?;
    }
    let Some(reply) = reply else { return Ok(()) };
    let needs_person = match reply.get("decision").and_then(Value::as_str) {
        Some("answer") => reply.pointer("/handoff/id").is_some_and(Value::is_string),
        Some("clarify") => !settings.choices,
        _ => true,
    };
    if needs_person { acknowledge(desk, channel, &settings, &session, &place) } else { Ok(()) }
}

fn line(id: &str, text: &str) -> NewLine {
    NewLine { client_id: Some(id.to_owned()), ..NewLine::of(Role::Customer, text) }
}

/// Whether the robot may say one more thing to an address in this hour.
fn may_reply(desk: &Desk, channel: &Channel, settings: &Settings, from: &str) -> Result<bool> {
    let who = format!("{KIND}:{from}");
    match desk.talk().spend(&channel.id, &who, desk.now())? {
        Spent::Left(_) => Ok(true),
        Spent::UsedUp => Ok(false),
        Spent::Over | Spent::Unknown => {
            desk.talk().grant(&channel.id, &who, i32::from(settings.most_per_hour), HOUR, desk.now())?;
            Ok(!matches!(desk.talk().spend(&channel.id, &who, desk.now())?, Spent::UsedUp))
        }
    }
}

/// Gives a letter to people that the robot does not look at.
fn given(
    desk: &Desk,
    channel: &Channel,
    settings: &Settings,
    letter: &Letter,
    session: &str,
    place: &Value,
    is_told: bool,
) -> Result<()> {
    let mut text = letter.text.clone();
    if text.is_empty() {
        text.clone_from(&letter.subject);
    }
    if !letter.attachments.is_empty() {
        text = format!("{text}\n〔附件：{}〕", letter.attachments.join("、")).trim_start().to_owned();
    }
    let owner = note_lines(desk, channel, place, &letter.id, session, &[line(&letter.id, &text)])?;
    if owner == Owner::Agent {
        return Ok(());
    }
    if is_told {
        return acknowledge(desk, channel, settings, session, place);
    }
    let (engine, service) = desk.answering(channel)?;
    desk.give_to_people(&channel.kb, session, &engine, &service).map(|_| ())
}

/// Sees to it that people have a conversation, and tells the customer so, once.
fn acknowledge(
    desk: &Desk,
    channel: &Channel,
    settings: &Settings,
    session: &str,
    place: &Value,
) -> Result<()> {
    let (engine, service) = desk.answering(channel)?;
    let handoff = desk.give_to_people(&channel.kb, session, &engine, &service)?;
    let text = settings.acknowledgement.as_deref().unwrap_or(ACKNOWLEDGED);
    let text = text.replace("{number}", &handoff.number.to_string());
    let body = json!({"conversation": session, "kb": channel.kb, "text": text, "address": place});
    let name = format!("{}-acknowledged", handoff.id);
    let job = Job::to_channel(&channel.id, session, name.clone(), "acknowledgement", &body);
    // Once for each handoff, however often this is tried.
    desk.talk().receive(&channel.id, &name, &job, &channel.kb, desk.now())?;
    desk.wake();
    Ok(())
}

/// Whether both servers let us in, in words.
pub(super) fn test(desk: &Desk, channel: &Channel) -> std::result::Result<String, String> {
    let settings = settings(channel)?;
    let lies = mailbox::test(&settings)?;
    sending::test(desk, &settings)?;
    Ok(format!(
        "{} lets {} in, {lies}; {} takes mail",
        settings.imap_host,
        settings.user(),
        settings.smtp_host
    ))
}

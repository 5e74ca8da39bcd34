//! What does whoever comes in read first?

use serde_json::json;

use super::{Outcome, fits, is_with_people, note};
use crate::channels::{Choice, Event, Kind, Platform, Spoken};
use crate::desk::Desk;
use crate::dialogue::conversation::{Owner, Role};
use crate::dialogue::{Context, Service};
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::events::habits::Habits;
use crate::kb::EntryId;
use crate::store::{Channel, Conversation, Job, NewLine};

/// What a conversation begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The questions to choose, by entry.
    pub questions: Vec<(EntryId, String)>,
    /// Whether the author chose them; else they are those that are asked most.
    pub authored: bool,
}

/// The questions below a greeting: those that the author chose, or those that are asked
/// most, which are looked for only then.
pub fn opening<'a, H: std::ops::Deref<Target = Habits> + 'a>(
    engine: &Engine,
    service: &Service,
    habits: impl FnOnce() -> Option<H>,
) -> Opening {
    let quick = &service.voice.quick_questions;
    let question = |id: &EntryId| {
        let at = engine.available(id, Options::default())?;
        Some((id.clone(), engine.release().entries()[at].question.clone()))
    };
    if !quick.entries.is_empty() {
        return Opening { questions: quick.entries.iter().filter_map(question).collect(), authored: true };
    }
    let questions = habits().map_or_else(Vec::new, |habits| {
        let most = habits.most.iter().map(|often| EntryId(often.entry.clone()));
        most.filter_map(|id| question(&id)).take(quick.most_asked).collect()
    });
    Opening { questions, authored: false }
}

/// Greets whoever has come in, once for each time, where the platform lets us.
pub(super) fn greet(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    event: &Event,
    session: &str,
    code: Option<&str>,
    known: Option<&Conversation>,
) -> Result<Outcome> {
    let owner = known.map_or(Owner::Bot, |known| known.owner);
    // Whoever talks to a person or waits for one is not greeted by a robot.
    if is_with_people(owner) || (platform.kind == Kind::WeComKf && code.is_none()) {
        return Ok(Outcome::Silence);
    }
    let before = known
        .and_then(|known| known.context.as_deref())
        .and_then(|text| serde_json::from_str::<Context>(text).ok())
        .unwrap_or_default();
    // Whoever only looks at the app again goes on where they were.
    let expires = desk.settings().expires;
    if platform.kind == Kind::WeCom && before.last_at > 0 && desk.now() - before.last_at < expires {
        return Ok(Outcome::Silence);
    }
    let (engine, service) = desk.answering(channel)?;
    let text = platform.settings.greeting.clone().unwrap_or_else(|| service.voice.greeting.clone());
    if text.trim().is_empty() {
        return Ok(Outcome::Silence);
    }
    let opening = opening(&engine, &service, || desk.habits(&channel.kb));
    let ids: Vec<EntryId> = opening.questions.iter().map(|(id, _)| id.clone()).collect();
    let choices = opening.questions.into_iter();
    let choices = choices.map(|(id, question)| Choice { entry: id.to_string(), question });
    let mut spoken = Spoken { text, choices: choices.collect(), ..Spoken::default() };
    if platform.replies_at_once() {
        // A press of the account's menu allows no menu of ours beside the reply.
        spoken = Spoken { text: spoken.numbered(), ..Spoken::default() };
    }
    let mut context = before.at(desk.now(), desk.settings().expires);
    context.show(ids.iter().cloned());
    context.offered = ids;
    context.asked_back = false;
    context.last_at = desk.now();
    let context = serde_json::to_string(&context).map_err(|e| Error::internal("context", e))?;
    let line = NewLine { client_id: Some(event.id.clone()), ..NewLine::of(Role::Bot, spoken.numbered()) };
    let jobs = match code {
        Some(code) => {
            let suggestions: Vec<_> = spoken
                .choices
                .iter()
                .map(|choice| json!({"entry": choice.entry, "question": choice.question}))
                .collect();
            let body = json!({"conversation": session, "kb": channel.kb, "text": spoken.text,
                "suggestions": suggestions, "code": code, "address": event.address});
            vec![Job::to_channel(&channel.id, session, format!("{}-greeting", event.id), "greeting", &body)]
        }
        // Too long for the reply that is waited for.
        None if platform.replies_at_once() && !fits(platform, &spoken) => {
            let body = json!({"conversation": session, "kb": channel.kb, "text": spoken.text,
                "address": event.address});
            vec![Job::to_channel(&channel.id, session, format!("{}-greeting", event.id), "reply", &body)]
        }
        None => Vec::new(),
    };
    let owner = note(desk, channel, event, session, Some(&context), |owner| {
        (!is_with_people(owner)).then(|| (vec![line.clone()], jobs.clone()))
    })?;
    Ok(if is_with_people(owner) { Outcome::Silence } else { Outcome::Words(spoken) })
}

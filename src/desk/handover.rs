//! What does a person get with a conversation that the robot gives up?
//!
//! What was said, in one paragraph; the question and the entries that come near;
//! what the customer was shown already.

use serde_json::{Map, Value};

use super::reception::{Incoming, TRIES, moment};
use super::{Desk, new_id};
use crate::decide::{Decision, Reason};
use crate::dialogue::conversation::{Line, Owner, Role};
use crate::dialogue::handoff::{Candidate, Handoff, Shown};
use crate::dialogue::ruling::Ruled;
use crate::dialogue::summary::{Material, summary};
use crate::dialogue::{Context, Service, Turn};
use crate::engine::{Engine, Options, Outcome};
use crate::error::{Error, Result};
use crate::store::{Conversation, Heard, NewHandoff, NewLine, Place};
use crate::text::Normalized;

/// What a list is made of that a person gets with a conversation.
const CANDIDATES: usize = 5;

/// Lines of a conversation that a summary looks at.
const LOOKED_AT: i64 = 200;

impl Desk {
    /// Puts together what a person gets.
    pub(super) fn handoff(
        &self,
        known: Option<&Conversation>,
        context: &Context,
        incoming: &Incoming<'_>,
        ruled: &Ruled<Turn>,
        customer: Option<&Map<String, Value>>,
    ) -> Result<NewHandoff> {
        let engine = incoming.engine;
        let mut lines = match known {
            Some(known) => self.talk().last_lines(known.key, LOOKED_AT)?,
            None => Vec::new(),
        };
        // What was said before the robot got the conversation is another matter.
        let begin = lines.iter().rposition(|line| line.role == Role::Event && line.text == Owner::Bot.name());
        lines.drain(..begin.map_or(0, |at| at + 1));
        lines.push(Line {
            seq: 0,
            role: Role::Customer,
            text: incoming.text.to_owned(),
            at: 0,
            author: None,
            trace_id: None,
            decision: None,
            data: None,
            client_id: None,
        });
        let mut outcome = ruled.outcome.clone();
        // Who asks for a person has said before what about.
        if let (None, Some(asked)) = (outcome.best(), &context.asked) {
            outcome = engine.answer(asked, incoming.options)?;
        }
        let candidates: Vec<Candidate> = candidates(engine, &outcome);
        let shown = shown(&lines);
        let fired = ruled.fired.as_ref();
        let reason =
            fired.map_or_else(|| ruled.outcome.reason.name().to_owned(), |fired| fired.reason.clone());
        let known_of: Vec<(String, String)> = customer
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_object() && !value.is_array() && !value.is_null())
            .map(|(name, value)| {
                (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        let questions: Vec<String> = shown.iter().map(|shown| shown.question.clone()).collect();
        let nearest: Vec<(String, f64)> =
            candidates.iter().map(|one| (one.question.clone(), one.confidence)).collect();
        let summary = summary(&Material {
            reason: &reason,
            channel: incoming.channel.or_else(|| known?.channel.as_deref()),
            lines: &lines,
            shown: &questions,
            candidates: &nearest,
            customer: &known_of,
        });
        Ok(NewHandoff {
            id: new_id(),
            reason,
            rule: fired.map(|fired| fired.rule.clone()),
            question: incoming.text.to_owned(),
            normalized: Normalized::new(incoming.text).core,
            candidates,
            shown,
            summary,
            release: engine.release().label(),
        })
    }

    /// What was said in a conversation, in one paragraph.
    pub fn summary_of(&self, known: &Conversation) -> Result<String> {
        let lines = self.talk().last_lines(known.key, LOOKED_AT)?;
        let questions: Vec<String> = shown(&lines).into_iter().map(|shown| shown.question).collect();
        Ok(summary(&Material {
            reason: "ticket",
            channel: known.channel.as_deref(),
            lines: &lines,
            shown: &questions,
            candidates: &[],
            customer: &[],
        }))
    }

    /// Gives a conversation to people because the customer pressed the button for
    /// that, whatever was said; the handoff that is open if there is one. `None` where nobody
    /// is there: the customer is told so, as who asks in words.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is no such conversation.
    pub fn ask_for_person(
        &self,
        kb: &str,
        session: &str,
        engine: &Engine,
        service: &Service,
    ) -> Result<Option<Handoff>> {
        self.called(kb, session, engine, service, false)
    }

    /// The same for whoever does not sit there and wait, or has somebody already: at any hour.
    pub(super) fn give_to_people(
        &self,
        kb: &str,
        session: &str,
        engine: &Engine,
        service: &Service,
    ) -> Result<Handoff> {
        let given = self.called(kb, session, engine, service, true)?;
        given.ok_or_else(|| Error::internal("handoff", "nobody was called"))
    }

    fn called(
        &self,
        kb: &str,
        session: &str,
        engine: &Engine,
        service: &Service,
        at_any_hour: bool,
    ) -> Result<Option<Handoff>> {
        let _mine = self.place(kb, session);
        for _ in 0..TRIES {
            let known = self
                .talk()
                .find(kb, session)?
                .ok_or_else(|| Error::Absent { what: "conversation", name: session.to_owned() })?;
            if let Some(open) = &known.handoff
                && matches!(known.owner, Owner::Queued | Owner::Agent)
                && let Some(handoff) = self.talk().handoff(open)?
            {
                return Ok(Some(handoff));
            }
            let now = self.now();
            let silent = Heard::of(Place::Known(&known), now, Owner::Bot);
            if !at_any_hour && service.is_left(moment(now)) {
                let told = vec![NewLine::of(Role::Bot, &service.voice.outside_hours)];
                if self.talk().record(&Heard { lines: told, ..silent })?.is_some() {
                    return Ok(None);
                }
                continue;
            }
            let lines = self.talk().last_lines(known.key, LOOKED_AT)?;
            let last = lines.iter().rev().find(|line| line.role == Role::Customer);
            let question = last.map(|line| line.text.clone()).unwrap_or_default();
            let outcome = match question.trim() {
                "" => Outcome::bare(Decision::Handoff, Reason::Requested),
                text => engine
                    .answer(text, Options::default())
                    .unwrap_or_else(|_| Outcome::bare(Decision::Handoff, Reason::Requested)),
            };
            let (candidates, shown) = (candidates(engine, &outcome), shown(&lines));
            let questions: Vec<String> = shown.iter().map(|shown| shown.question.clone()).collect();
            let nearest: Vec<(String, f64)> =
                candidates.iter().map(|one| (one.question.clone(), one.confidence)).collect();
            let new = NewHandoff {
                id: new_id(),
                reason: "button".to_owned(),
                rule: None,
                normalized: Normalized::new(&question).core,
                summary: summary(&Material {
                    reason: "button",
                    channel: known.channel.as_deref(),
                    lines: &lines,
                    shown: &questions,
                    candidates: &nearest,
                    customer: &[],
                }),
                question,
                candidates,
                shown,
                release: engine.release().label(),
            };
            let id = new.id.clone();
            let heard = Heard {
                lines: vec![NewLine::of(Role::Bot, &service.voice.handed_off)],
                owner: Owner::Queued,
                handoff: Some(new),
                ..silent
            };
            if self.talk().record(&heard)?.is_some() {
                self.wake();
                let made = self.talk().handoff(&id)?;
                let gone = || Error::internal("handoff", "it is gone as soon as it was made");
                return made.ok_or_else(gone).map(Some);
            }
        }
        Err(Error::Conflict(format!("conversation {session:?} changes all the time; try again")))
    }
}

/// The entries that the robot has answered with, each once, in order.
fn shown(lines: &[Line]) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for line in lines.iter().filter(|line| line.role == Role::Bot) {
        let field = |name: &str| Some(line.data.as_ref()?.get(name)?.as_str()?.to_owned());
        if let (Some(entry), Some(question)) = (field("entry"), field("question"))
            && !shown.iter().any(|known| known.entry == entry)
        {
            shown.push(Shown { entry, question });
        }
    }
    shown
}

fn candidates(engine: &Engine, outcome: &Outcome) -> Vec<Candidate> {
    let entries = engine.release().entries();
    let nearest = outcome.candidates.iter().take(CANDIDATES);
    nearest
        .map(|scored| {
            let entry = &entries[scored.entry];
            Candidate {
                entry: entry.id.to_string(),
                question: entry.question.clone(),
                confidence: scored.confidence.value(),
            }
        })
        .collect()
}

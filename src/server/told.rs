//! What is kept of a reply?

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::desk::reception::{Asked, Turned};
use crate::dialogue::conversation::customer_id;
use crate::engine::{Engine, Outcome, Reply};
use crate::events::{Candidate, Doing, Event, Kind};

use super::caller::Caller;
use super::error::Problem;
use super::request::AnswerRequest;

/// Questions that were taken of somebody's month; those that are not asked are given back.
pub(super) struct Reserved {
    caller: Caller,
    left: AtomicU64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.caller.server().gate().release(self.caller.identity(), *self.left.get_mut());
    }
}

impl Caller {
    /// Takes questions of the month before they are asked, all of them or none. Whoever
    /// answers one of them keeps it, and lets go of this when it is over.
    ///
    /// # Errors
    /// When not so many are left.
    pub(super) fn reserve(&self, questions: u64) -> Result<Reserved, Problem> {
        self.server().gate().reserve(self.identity(), questions)?;
        Ok(Reserved { caller: self.clone(), left: AtomicU64::new(questions) })
    }

    /// Takes one question though none is left, for what is decided all the same.
    pub(super) fn reserved_beyond(&self) -> Reserved {
        self.server().gate().reserve_beyond(self.identity());
        Reserved { caller: self.clone(), left: AtomicU64::new(1) }
    }
}

impl Reserved {
    /// Keeps what was decided, before the reply goes out. Whatever becomes of it,
    /// the customer gets the reply: what cannot be stored is counted.
    pub(super) fn tell(&self, engine: &Engine, question: &AnswerRequest, outcome: &Outcome, reply: &Reply) {
        let asked = Asked {
            session: question.session.as_deref(),
            text: &question.text,
            channel: question.channel.as_deref(),
        };
        let customer = question.fields.as_ref().and_then(customer_id);
        self.asked(Event { customer, ..decided(engine, outcome, reply, &asked) });
    }

    /// The same of a turn in a conversation.
    pub(super) fn tell_turn(&self, engine: &Engine, turned: &Turned, asked: &Asked<'_>) {
        self.asked(decision(engine, turned, asked));
    }

    /// Keeps a question; from now on it counts, whatever becomes of it. What is none is kept
    /// and does not count.
    fn asked(&self, event: Event) {
        if !event.is_question() {
            self.caller.keep(event);
            return;
        }
        let is_taken = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        debug_assert!(is_taken, "every question is reserved before it is asked");
        if !self.caller.keep(event) {
            self.caller.server().gate().not_stored(self.caller.identity());
        }
    }
}

impl Caller {
    /// Keeps what somebody at a desk did.
    pub(super) fn tell_doing(
        &self,
        kb: &str,
        session: &str,
        agent: &str,
        doing: Doing,
        text: Option<&str>,
        entry: Option<&str>,
    ) {
        let event = Event {
            text: text.map(str::to_owned),
            entry: entry.map(str::to_owned),
            ..Event::agent(kb, session, agent, doing)
        };
        self.keep(event);
        if doing == Doing::Closed {
            self.keep(Event::ended(kb, session));
        }
    }

    /// Keeps what happened; whether it is stored.
    fn keep(&self, event: Event) -> bool {
        let event = Event { key: self.identity().id.clone(), ..event };
        // A replica changes nothing in the data directory. Elsewhere what cannot be stored
        // is told by the health.
        !self.registry().is_read_only() && self.log().append(event).is_ok()
    }
}

/// A turn of a conversation as it is kept.
pub(super) fn decision(engine: &Engine, turned: &Turned, asked: &Asked<'_>) -> Event {
    Event {
        rule: turned.rule.clone(),
        reading: turned.reading.map(str::to_owned),
        chosen: turned.chosen.clone(),
        customer: turned.customer.clone(),
        ..decided(engine, &turned.outcome, &turned.reply, asked)
    }
}

fn decided(engine: &Engine, outcome: &Outcome, reply: &Reply, asked: &Asked<'_>) -> Event {
    let entries = engine.release().entries();
    let best = outcome.best().map(|best| &entries[best.entry]);
    let kept = Event::CANDIDATES.max(outcome.offered);
    Event {
        trace_id: Some(reply.trace_id.clone()),
        release: Some(reply.release.clone()),
        conversation: asked.session.map(str::to_owned),
        channel: asked.channel.map(str::to_owned),
        text: Some(asked.text.to_owned()),
        normalized: Some(match outcome.core.as_str() {
            "" => engine.release().analyzer().normalize(asked.text).core,
            core => core.to_owned(),
        }),
        decision: Some(reply.decision.name().to_owned()),
        reason: Some(reply.reason.name().to_owned()),
        entry: best.map(|entry| entry.id.to_string()),
        topic: best.and_then(|entry| entry.topic.clone()),
        confidence: outcome.best().map(|best| best.confidence.value()),
        candidates: outcome
            .candidates
            .iter()
            .take(kept)
            .map(|scored| Candidate {
                entry: entries[scored.entry].id.to_string(),
                confidence: scored.confidence.value(),
            })
            .collect(),
        offered: i64::try_from(reply.suggestions.len()).ok(),
        generation: Some(i64::from(reply.generation)),
        micros: i64::try_from(reply.took_us).ok(),
        ..Event::now(Kind::Decision, &reply.kb)
    }
}

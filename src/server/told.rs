//! What is kept of a reply?

use crate::engine::{Engine, Outcome, Reply};
use crate::events::{Candidate, Event, Kind};

use super::caller::Caller;
use super::request::AnswerRequest;

impl Caller {
    /// Keeps what was decided, before the reply goes out. Whatever becomes of it,
    /// the customer gets the reply: what cannot be stored is counted.
    pub(super) fn tell(&self, engine: &Engine, question: &AnswerRequest, outcome: &Outcome, reply: &Reply) {
        // A replica changes nothing in the data directory.
        if self.registry().is_read_only() {
            return;
        }
        let entries = engine.release().entries();
        let best = outcome.best().map(|best| &entries[best.entry]);
        let kept = Event::CANDIDATES.max(outcome.offered);
        let event = Event {
            trace_id: Some(reply.trace_id.clone()),
            release: Some(reply.release.clone()),
            conversation: question.session.clone(),
            channel: question.channel.clone(),
            key: self.identity().id.clone(),
            text: Some(question.text.clone()),
            normalized: Some(engine.release().analyzer().normalize(&question.text).core),
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
        };
        // Its health tells the operator.
        let _ = self.log().append(&event);
    }
}

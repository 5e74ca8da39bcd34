//! How do the handoff rules stand around the engine?

use serde::Serialize;
use time::OffsetDateTime;

use super::facts::{Facts, Standing};
use super::rules::{Action, Fired, TriedRule, When};
use super::service::Service;
use crate::decide::Decision;
use crate::engine::{Answer, Engine, HandoffReply, Options, Outcome, Reply, Trace};
use crate::error::Result;
use crate::text::MAX_CHARS;

/// A message that went through the rules of `before`, the engine, and the
/// rules of `after`.
#[derive(Debug, Clone)]
pub struct Ruled<T> {
    /// What the engine said; `None` when a rule spared the search.
    pub asked: Option<T>,
    /// What is to be done, with the rules heeded.
    pub outcome: Outcome,
    /// The rule that fired.
    pub fired: Option<Fired>,
    /// What became of every rule; empty unless it is asked for.
    pub tried: Vec<TriedRule>,
}

/// The rules' part of `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RulesTrace {
    /// In the order in which they were asked.
    pub tried: Vec<TriedRule>,
    /// The one that fired.
    pub fired: Option<Fired>,
}

impl<T> Ruled<T> {
    /// What no rule was asked about.
    pub fn unruled(asked: T, outcome: impl FnOnce(&T) -> Outcome) -> Self {
        Self { outcome: outcome(&asked), asked: Some(asked), fired: None, tried: Vec::new() }
    }

    /// What `explain` tells of the rules.
    pub fn trace(&self) -> RulesTrace {
        RulesTrace { tried: self.tried.clone(), fired: self.fired.clone() }
    }
}

/// Answers a message under a knowledge base's rules, in a conversation or
/// outside of one: the one way from a message to what is done with it.
///
/// `ask` has the engine answer, by itself or in the light of a conversation;
/// `told` gives from that the outcome, and how the conversation stands then.
/// With `explain` nothing is spared, and every rule says what became of it; the
/// outcome is the same.
///
/// # Errors
/// Those of `ask`.
pub fn under_rules<'a, T>(
    engine: &'a Engine,
    service: &Service,
    mut facts: Facts<'a>,
    explain: bool,
    ask: impl FnOnce() -> Result<T>,
    told: impl Fn(&T) -> (&Outcome, Option<Standing>),
) -> Result<Ruled<T>> {
    let rules = &service.rules;
    let mut tried = if explain { rules.tried(When::Before, &facts, None) } else { Vec::new() };
    // What is no question is refused by whoever answers, and by no rule.
    let is_question = !facts.text.trim().is_empty() && facts.text.chars().nth(MAX_CHARS).is_none();
    let early = rules.before(&facts).filter(|_| is_question);
    if let (Some(fired), false) = (&early, explain) {
        let outcome = changed(None, fired);
        return Ok(Ruled { asked: None, outcome, fired: early, tried });
    }
    let asked = ask()?;
    let (outcome, standing) = told(&asked);
    let outcome = outcome.clone();
    facts.standing = standing.or(facts.standing);
    facts.entry = outcome
        .best()
        .filter(|_| outcome.decision == Decision::Answer)
        .map(|best| &engine.release().entries()[best.entry]);
    let late = rules.after(&facts, &outcome);
    if explain {
        let mut after = rules.tried(When::After, &facts, Some(&outcome));
        if early.is_some() {
            after.iter_mut().for_each(|rule| rule.wins = false);
        }
        tried.extend(after);
    }
    let outcome = match (&early, &late) {
        (Some(fired), _) => changed(None, fired),
        (None, Some(fired)) => changed(Some(outcome), fired),
        (None, None) => outcome,
    };
    let asked = early.is_none().then_some(asked);
    Ok(Ruled { asked, outcome, fired: early.or(late), tried })
}

/// Answers a question that stands for itself, under the rules that need no
/// conversation.
///
/// # Errors
/// As [`Engine::answer`].
pub fn answer(
    engine: &Engine,
    service: &Service,
    facts: Facts<'_>,
    options: Options<'_>,
    explain: bool,
) -> Result<(Outcome, Reply)> {
    let (text, channel, now) = (facts.text, facts.channel, facts.now);
    let ask = || {
        if !explain {
            return Ok((engine.answer(text, options)?, None));
        }
        engine.explain(text, options).map(|(outcome, trace)| (outcome, Some(trace)))
    };
    let ruled = under_rules(engine, service, facts, explain, ask, |(outcome, _)| (outcome, None))?;
    let trace = explain.then(|| {
        let seen = ruled.asked.as_ref().and_then(|(_, trace)| trace.clone()).unwrap_or_default();
        Trace { rules: serde_json::to_value(ruled.trace()).ok(), ..seen }
    });
    let mut reply = Reply::new(engine, &ruled.outcome, channel, trace);
    if let Some(fired) = &ruled.fired {
        heed(&mut reply, fired, service, now);
    }
    Ok((ruled.outcome, reply))
}

/// Puts what a rule says into a reply outside of a conversation: nobody takes
/// over there, so nothing is promised but what the author wrote.
fn heed(reply: &mut Reply, fired: &Fired, service: &Service, now: OffsetDateTime) {
    reply.message.clone_from(&fired.message);
    match &fired.action {
        Action::Answer { text } => {
            reply.answer = Some(Answer::of_words(text.clone()));
        }
        Action::AnswerThenHandoff if reply.handoff.is_none() => {
            reply.handoff = Some(HandoffReply::new(fired.as_reason(), Vec::new()));
        }
        _ => {}
    }
    let Some(handoff) = &mut reply.handoff else { return };
    handoff.rule = Some(fired.rule.clone());
    handoff.code = Some(fired.reason.clone());
    if fired.action == Action::Ticket && service.ticket.enabled {
        handoff.ticket = serde_json::to_value(&service.ticket).ok();
        handoff.opens_at = service.opens_at(now);
    }
}

/// An outcome as a rule changes it. A text of the author's is an answer without
/// an entry; an answer before a handoff stays what it is.
fn changed(outcome: Option<Outcome>, fired: &Fired) -> Outcome {
    let reason = fired.as_reason();
    let decision = match fired.action {
        Action::Handoff | Action::Ticket => Decision::Handoff,
        Action::Answer { .. } => Decision::Answer,
        Action::AnswerThenHandoff => {
            return outcome.unwrap_or_else(|| Outcome::bare(Decision::Handoff, reason));
        }
    };
    match (decision, outcome) {
        // Who takes over sees what came nearest.
        (Decision::Handoff, Some(outcome)) => Outcome { decision, reason, sure: Vec::new(), ..outcome },
        _ => Outcome::bare(decision, reason),
    }
}

//! What does a client get to read?

use serde::Serialize;

use super::{Engine, Outcome, Trace};
use crate::decide::policy::Policy;
use crate::decide::{Decision, Reason};
use crate::kb::{Image, Link};

/// The reply of `POST /v1/answer` and of `zhida ask --json`.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Reply {
    /// What is to be done.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// The probability that the best candidate is right, 0..=1.
    pub confidence: f64,
    /// The answer, when the decision is `answer`.
    pub answer: Option<Answer>,
    /// With `several_questions`: the answers to those of the questions that
    /// would be answered alone, in the order of the message; empty else. Their
    /// questions share the probability of the list with the others. They
    /// are among the suggestions too, so that a client that does not read them
    /// loses none of the questions. With `chosen` where the customer chose
    /// several: all of them, the one in `answer` first.
    pub answers: Vec<Answer>,
    /// Questions worth offering: with `clarify` those to choose from.
    pub suggestions: Vec<Suggestion>,
    /// What a person needs to go on, when the decision is `handoff`.
    pub handoff: Option<HandoffReply>,
    /// The knowledge base that was asked.
    pub kb: String,
    /// Its release: `12`, or `12+3` with three live edits on top.
    pub release: String,
    /// The model of the release; `null` in lexical-only mode.
    pub model: Option<String>,
    /// The generation that decided, 1 or 2.
    pub generation: u8,
    /// The goal that the decision keeps.
    pub goal: Kept,
    /// Time from text to decision, in microseconds.
    pub took_us: u64,
    /// Names this reply in the logs.
    pub trace_id: String,
    /// In a conversation: the client's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// In a conversation: who has it now, `bot` or `queued`; with `agent` in `messages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<&'static str>,
    /// In a conversation: what the customer is told beside an answer or above the
    /// questions to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// In a conversation: questions that belong to what was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Vec<Suggestion>>,
    /// What every stage saw; only on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explanation>,
}

/// A goal, and what keeping it gave on the calibration questions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Kept {
    /// The goal: at most this share wrong among the answered.
    pub max_wrong: f64,
    /// The confidence from which on it is answered.
    pub bar: f64,
    /// Whose bar that is: `common`, or `look_alike` for an entry that cannot be told
    /// from another one.
    pub group: &'static str,
    /// The share wrong among the answered.
    pub expected_wrong_rate: f64,
    /// Its upper confidence bound (one-sided 90 %).
    pub wrong_rate_bound: f64,
}

impl From<&Policy> for Kept {
    fn from(policy: &Policy) -> Self {
        Self {
            max_wrong: policy.max_wrong,
            bar: policy.bar.value(),
            group: policy.group.name(),
            expected_wrong_rate: policy.expected.wrong_rate,
            wrong_rate_bound: policy.expected.wrong_rate_bound,
        }
    }
}

/// An authored answer, verbatim. In a conversation `entry` and `question` are empty
/// when the words are the knowledge base's own and no entry's: small talk, a rule's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Answer {
    /// The entry's id.
    pub entry: String,
    /// Its standard question.
    pub question: String,
    /// The answer for the channel.
    pub text: String,
    /// Pictures that stand beside it; a client that cannot show them shows the words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Links and cards that stand beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

impl Answer {
    /// Words that are no entry's.
    pub fn of_words(text: String) -> Self {
        Self { entry: String::new(), question: String::new(), text, images: Vec::new(), links: Vec::new() }
    }
}

/// A question that may have been meant.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Suggestion {
    /// The entry's id.
    pub entry: String,
    /// Its standard question.
    pub question: String,
    /// The probability that it is right, 0..=1.
    pub confidence: f64,
}

/// What a person needs to go on.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct HandoffReply {
    /// Why.
    pub reason: Reason,
    /// The entries that came nearest.
    pub candidates: Vec<Suggestion>,
    /// In a conversation that waits for a person: the handoff's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The rule that said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The rule's own reason code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The place in the queue, from 1 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// How long it will probably take until somebody comes, when enough came lately to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_wait_s: Option<i64>,
    /// When nobody is there: the form to leave the question with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub ticket: Option<serde_json::Value>,
    /// When nobody is there: when somebody is again, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<String>,
}

impl HandoffReply {
    /// A handoff outside of a conversation.
    pub fn new(reason: Reason, candidates: Vec<Suggestion>) -> Self {
        Self {
            reason,
            candidates,
            id: None,
            rule: None,
            code: None,
            position: None,
            estimated_wait_s: None,
            ticket: None,
            opens_at: None,
        }
    }
}

/// What every stage saw.
pub type Explanation = Trace;

impl Reply {
    /// The answers that are given: those to several questions, or the one.
    pub fn given(&self) -> &[Answer] {
        if self.answers.is_empty() { self.answer.as_slice() } else { &self.answers }
    }

    /// The questions that the customer is to choose from: none where all of them are
    /// answered beside them.
    pub fn to_choose(&self) -> &[Suggestion] {
        let told = |one: &Suggestion| self.answers.iter().any(|answer| answer.entry == one.entry);
        if self.suggestions.iter().all(told) { &[] } else { &self.suggestions }
    }

    /// The pictures and links of all answers that are given, each once, in their order.
    pub fn shown(&self) -> (Vec<Image>, Vec<Link>) {
        let (mut images, mut links): (Vec<Image>, Vec<Link>) = (Vec::new(), Vec::new());
        for answer in self.given() {
            for image in &answer.images {
                if !images.contains(image) {
                    images.push(image.clone());
                }
            }
            for link in &answer.links {
                if !links.contains(link) {
                    links.push(link.clone());
                }
            }
        }
        (images, links)
    }

    /// Puts an outcome into words for a channel.
    pub fn new(engine: &Engine, outcome: &Outcome, channel: Option<&str>, explain: Option<Trace>) -> Self {
        let release = engine.release();
        let listed = |count: usize, skip: usize| -> Vec<Suggestion> {
            outcome
                .candidates
                .iter()
                .take(count)
                .skip(skip)
                .map(|scored| {
                    let entry = &release.entries()[scored.entry];
                    Suggestion {
                        entry: entry.id.to_string(),
                        question: entry.question.clone(),
                        confidence: scored.confidence.value(),
                    }
                })
                .collect()
        };
        let told = |entry: usize| {
            let entry = &release.entries()[entry];
            Answer {
                entry: entry.id.to_string(),
                question: entry.question.clone(),
                text: entry.answer_for(channel).to_owned(),
                images: entry.images.clone(),
                links: entry.links.clone(),
            }
        };
        let best = outcome.best().filter(|_| outcome.decision == Decision::Answer);
        let answer = best.map(|best| told(best.entry));
        let answers = outcome.sure.iter().map(|&entry| told(entry)).collect();
        let suggestions = match outcome.decision {
            // What else was asked for often follows from what was answered.
            Decision::Answer => listed(outcome.offered, 1),
            Decision::Clarify => listed(outcome.offered, 0),
            Decision::Handoff => Vec::new(),
        };
        let handoff = (outcome.decision == Decision::Handoff)
            .then(|| HandoffReply::new(outcome.reason, listed(outcome.offered, 0)));
        let manifest = release.manifest();
        Self {
            decision: outcome.decision,
            reason: outcome.reason,
            confidence: outcome.confidence().value(),
            answer,
            answers,
            suggestions,
            handoff,
            kb: manifest.kb.clone(),
            release: release.label(),
            model: manifest.model.as_ref().map(|model| model.id.clone()),
            generation: outcome.generation.number(),
            goal: engine.policy_for(outcome.best().map(|best| best.entry), outcome.generation).into(),
            took_us: outcome.micros,
            trace_id: uuid::Uuid::now_v7().simple().to_string(),
            session: None,
            owner: None,
            message: None,
            related: None,
            explain,
        }
    }
}

//! Why this decision?

use serde::Serialize;

use super::Verdict;
use crate::decide::evidence::{Evidence, Scale};
use crate::decide::policy::Policy;
use crate::release::Release;
use crate::retrieve::Candidate;
use crate::retrieve::exact::{Hit, Match};
use crate::text::{StepTrace, Token};

/// What each stage saw, scored and took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Trace {
    /// The text after every step of the normalisation.
    pub steps: Vec<StepTrace>,
    /// What the exact matcher compared.
    pub exact_key: String,
    /// What the scoring matchers saw.
    pub core: String,
    /// Its words.
    pub tokens: Vec<Token>,
    /// Entries that may be found: in their time, and let through by the filter.
    pub eligible: usize,
    /// The entry that claimed the question outright.
    pub exact: Option<TracedHit>,
    /// BM25's candidates.
    pub lexical: Vec<TracedCandidate>,
    /// The encoder's candidates.
    pub semantic: Vec<TracedCandidate>,
    /// How near strangers come here, which is what cosines are measured by.
    pub scale: Option<Scale>,
    /// What generation 1 alone would say.
    pub generation1: TracedVerdict,
    /// The confidence from which on generation 1 answers before the encoder has run.
    pub exit: f64,
    /// What generation 2 would say.
    pub generation2: TracedVerdict,
    /// The clauses that ask, when there are several; empty else.
    pub clauses: Vec<TracedClause>,
    /// In which way the message was read; only in a conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<TracedReading>,
    /// What became of the knowledge base's handoff rules, in a conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub rules: Option<serde_json::Value>,
    /// The rule that decided.
    pub rule: String,
    /// Time per stage.
    pub stages: Vec<TracedStage>,
}

/// How a message of a conversation was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TracedReading {
    /// `as_is`, `chosen`, `unclear_choice`, `none_of_these`, `in_light`, `ended`, `small_talk`.
    pub name: &'static str,
    /// Why.
    pub why: String,
    /// The entry in whose light it was read; `null` when there is none.
    pub of: Option<String>,
    /// The words that were asked instead; `null` when the message's own were.
    pub text: Option<String>,
}

/// An entry that claimed the question outright.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TracedHit {
    /// Its id.
    pub entry: String,
    /// Why.
    pub how: Match,
}

impl TracedHit {
    pub(super) fn new(release: &Release, hit: Hit) -> Self {
        Self { entry: release.entries()[hit.entry].id.to_string(), how: hit.how }
    }
}

/// A clause of a message, read as a question of its own.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TracedClause {
    /// Its words.
    pub text: String,
    /// What would be decided if it were the whole message.
    pub decision: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The best candidate's id; `null` without candidates.
    pub entry: Option<String>,
    /// The probability that it is right.
    pub confidence: f64,
}

/// A candidate with the score of its own matcher.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TracedCandidate {
    /// The entry's id.
    pub entry: String,
    /// The phrasing that scored best.
    pub phrasing: String,
    /// The matcher's own score; scores of different matchers share no scale.
    pub score: f32,
}

impl TracedCandidate {
    pub(super) fn new(release: &Release, candidate: &Candidate) -> Self {
        Self {
            entry: release.entries()[candidate.entry].id.to_string(),
            phrasing: release.phrasings()[candidate.phrasing].text.clone(),
            score: candidate.score,
        }
    }
}

/// What one generation would say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TracedVerdict {
    /// `answer`, `clarify` or `handoff`; empty when the generation is not there.
    pub decision: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The entries with their probabilities.
    pub candidates: Vec<TracedScore>,
    /// What speaks for the first of them.
    pub evidence: Option<Evidence>,
    /// The confidence from which on it answers with the first of them.
    pub bar: f64,
    /// Whose bar that is: `common`, or `look_alike` where the first of them cannot
    /// be told from another entry; empty when the generation is not there.
    pub group: &'static str,
    /// The goal that the bar keeps: the share wrong among the answered.
    pub max_wrong: f64,
}

/// An entry with its probability.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TracedScore {
    /// The entry's id.
    pub entry: String,
    /// Its standard question.
    pub question: String,
    /// The probability that it is right.
    pub confidence: f64,
}

impl TracedVerdict {
    pub(super) fn fill(
        &mut self,
        release: &Release,
        verdict: &Verdict,
        evidence: Option<Evidence>,
        policy: &Policy,
    ) {
        *self = Self {
            decision: verdict.decision.name(),
            reason: verdict.reason.name(),
            candidates: verdict
                .candidates
                .iter()
                .map(|scored| {
                    let entry = &release.entries()[scored.entry];
                    TracedScore {
                        entry: entry.id.to_string(),
                        question: entry.question.clone(),
                        confidence: scored.confidence.value(),
                    }
                })
                .collect(),
            evidence,
            bar: policy.bar.value(),
            group: policy.group.name(),
            max_wrong: policy.max_wrong,
        };
    }
}

/// Time that a stage took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TracedStage {
    /// `text`, `exact`, `lexical`, `encoder`, `semantic`.
    pub stage: &'static str,
    /// Microseconds.
    pub micros: u64,
}

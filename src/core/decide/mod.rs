//! Are we sure enough?
//!
//! Raw scores end here. [`evidence`] looks at all ranked lists together,
//! [`calibrate`] turns the evidence into a [`Confidence`], a probability, and
//! [`policy`] turns that into a [`Decision`] that keeps the operator's goal;
//! [`apart`] keeps what look-alike entries teach to these entries.
//! No other module compares a score with a threshold.

pub mod anger;
pub mod apart;
pub mod calibrate;
pub mod characters;
mod claims;
pub mod evidence;
pub mod handoff;
pub mod light;
pub mod policy;

use serde::{Deserialize, Serialize};

/// Which matchers took part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generation {
    /// Whole questions, keywords, rules and BM25.
    One,
    /// The same, and the encoder where they are not sure.
    Two,
}

impl Generation {
    /// 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// The probability that a candidate is right, between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidence(f64);

impl Confidence {
    /// What nobody claims.
    pub const NONE: Self = Self(0.0);
    /// The stored question itself.
    pub const CERTAIN: Self = Self(1.0);
    /// A keyword or a rule that an author wrote for this very case.
    pub const BY_RULE: Self = Self(0.99);

    /// A probability; what is outside 0..=1 (or no number) is moved inside.
    pub fn new(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// What to do with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Give the best candidate's answer.
    Answer,
    /// Ask which of a few questions was meant.
    Clarify,
    /// Give it to a person.
    Handoff,
}

impl Decision {
    /// The word in replies and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Clarify => "clarify",
            Self::Handoff => "handoff",
        }
    }
}

/// Why it was decided so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The text equals a stored question, but perhaps for politeness, emoji
    /// and what programs write around it.
    ExactQuestion,
    /// The text is nothing but a keyword of the entry.
    Keyword,
    /// A rule of the entry fired.
    Rule,
    /// The confidence reaches the bar of the goal.
    Confident,
    /// Several entries share the probability.
    Ambiguous,
    /// The message asks several things that different entries answer.
    SeveralQuestions,
    /// One entry is likely, but not likely enough.
    LowConfidence,
    /// Nothing in the knowledge base is likely.
    NoMatch,
    /// The text holds no letter, digit or character.
    NoText,
    /// The text asks nothing: thanks, agreement, a farewell.
    NoQuestion,
    /// The user asks for a person.
    Requested,
    /// The text holds a word that a person must see.
    Sensitive,
    /// A handoff rule: several messages in a row got no answer.
    RepeatedMiss,
    /// A handoff rule: the same question was asked again and again.
    RepeatedQuestion,
    /// A handoff rule: the customer is angry.
    Angry,
    /// Another handoff rule of the knowledge base, whose own code says more.
    HandoffRule,
    /// In a conversation: the customer took a question that was offered.
    Chosen,
    /// In a conversation: the customer chose, but not what could be given.
    UnclearChoice,
    /// In a conversation: none of the questions offered was meant.
    NoneOfThese,
    /// In a conversation: small talk, replied to in the knowledge base's voice.
    SmallTalk,
    /// In a conversation: the customer says that this is all.
    Closed,
    /// In a conversation: the customer waits for a person no longer.
    Withdrawn,
    /// In a conversation: a person has it, and reads the message.
    WithPerson,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::ExactQuestion,
        Self::Keyword,
        Self::Rule,
        Self::Confident,
        Self::Ambiguous,
        Self::SeveralQuestions,
        Self::LowConfidence,
        Self::NoMatch,
        Self::NoText,
        Self::NoQuestion,
        Self::Requested,
        Self::Sensitive,
        Self::RepeatedMiss,
        Self::RepeatedQuestion,
        Self::Angry,
        Self::HandoffRule,
        Self::Chosen,
        Self::UnclearChoice,
        Self::NoneOfThese,
        Self::SmallTalk,
        Self::Closed,
        Self::Withdrawn,
    ];

    /// The reason with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The reason with the code of a handoff rule, among those that a rule may
    /// give; codes of authors are [`Self::HandoffRule`].
    pub fn of_rule(code: &str) -> Self {
        let given =
            [Self::Requested, Self::Sensitive, Self::RepeatedMiss, Self::RepeatedQuestion, Self::Angry];
        given.into_iter().find(|reason| reason.name() == code).unwrap_or(Self::HandoffRule)
    }

    /// What is decided for it, as far as the engine itself decides.
    pub fn decision(self) -> Decision {
        match self {
            Self::ExactQuestion | Self::Keyword | Self::Rule | Self::Confident | Self::Chosen => {
                Decision::Answer
            }
            Self::Ambiguous | Self::SeveralQuestions | Self::UnclearChoice => Decision::Clarify,
            _ => Decision::Handoff,
        }
    }

    /// Whether scores decided, and no word of an author or of the customer.
    pub fn is_scored(self) -> bool {
        matches!(self, Self::Confident | Self::Ambiguous | Self::LowConfidence | Self::NoMatch)
    }

    /// The word in replies and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactQuestion => "exact_question",
            Self::Keyword => "keyword",
            Self::Rule => "rule",
            Self::Confident => "confident",
            Self::Ambiguous => "ambiguous",
            Self::SeveralQuestions => "several_questions",
            Self::LowConfidence => "low_confidence",
            Self::NoMatch => "no_match",
            Self::NoText => "no_text",
            Self::NoQuestion => "no_question",
            Self::Requested => "requested",
            Self::Sensitive => "sensitive",
            Self::RepeatedMiss => "repeated_miss",
            Self::RepeatedQuestion => "repeated_question",
            Self::Angry => "angry",
            Self::HandoffRule => "handoff_rule",
            Self::Chosen => "chosen",
            Self::UnclearChoice => "unclear_choice",
            Self::NoneOfThese => "none_of_these",
            Self::SmallTalk => "small_talk",
            Self::Closed => "closed",
            Self::Withdrawn => "withdrawn",
            Self::WithPerson => "with_person",
        }
    }
}

/// The confidences of a ranked list: the best candidate's, then what is left
/// of the probability that the right entry is listed, shared out by score.
///
/// `scores` stand in the order of the list, on any scale.
pub fn share_out(first: Confidence, listed: Confidence, scores: &[f32]) -> Vec<Confidence> {
    /// A candidate this share of the list's spread behind gets 1/e of the probability.
    const SOFTNESS: f64 = 0.25;
    let (Some(&best), Some(&last)) = (scores.first(), scores.last()) else {
        return Vec::new();
    };
    let spread = f64::from(best - last).max(1e-6);
    let rest = (listed.value() - first.value()).max(0.0);
    let weights: Vec<f64> = scores
        .iter()
        .enumerate()
        .skip(1)
        .map(|(rank, &score)| {
            // What stands below the list that `listed` speaks of gets crumbs.
            let reach = if rank < calibrate::LISTED { 1.0 } else { 0.05 };
            reach * (f64::from(score - best) / (SOFTNESS * spread)).exp()
        })
        .collect();
    let total: f64 = weights.iter().sum();
    let mut confidences = vec![first];
    confidences
        .extend(weights.iter().map(|weight| Confidence::new((rest * weight / total).min(first.value()))));
    confidences
}

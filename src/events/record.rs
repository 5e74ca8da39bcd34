//! What is told of something that happened?
//!
//! One flat record for all kinds, because the same fields are the keys of a
//! line in a segment and the columns of the Parquet files; what a kind does not
//! tell is `None`.

use serde::{Deserialize, Serialize};

use super::day::now;
use crate::decide::Reason;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A question came, and something was decided.
    #[default]
    Decision,
    /// A customer said what a decision was worth.
    Feedback,
    /// An agent did something with a conversation.
    Agent,
    /// A conversation ended.
    Ended,
    /// Events could not be stored; `count` says how many.
    Lost,
}

impl Kind {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Feedback => "feedback",
            Self::Agent => "agent",
            Self::Ended => "ended",
            Self::Lost => "lost",
        }
    }

    /// The kind that a word names.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Decision, Self::Feedback, Self::Agent, Self::Ended, Self::Lost]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// What an agent did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Took the conversation.
    Claimed,
    /// Wrote to the customer in own words.
    Replied,
    /// Sent what the engine proposed; `entry` says which.
    Proposal,
    /// Gave the conversation to a colleague, or put it back into the queue.
    Transferred,
    /// Gave the conversation back to the robot.
    Returned,
    /// Closed it.
    Closed,
}

impl Doing {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Claimed, Self::Replied, Self::Proposal, Self::Transferred, Self::Returned, Self::Closed];

    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Replied => "replied",
            Self::Proposal => "proposal",
            Self::Transferred => "transferred",
            Self::Returned => "returned",
            Self::Closed => "closed",
        }
    }

    /// The doing that a word names.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doing| doing.name() == name)
    }
}

/// An entry that came near.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The entry's id.
    pub entry: String,
    /// The probability that it is right, 0..=1.
    pub confidence: f64,
}

/// Something that happened in one knowledge base.
///
/// `text`, `normalized` and `comment` hold what [`super::Settings`] let be
/// stored: [`super::Log::append`] masks or drops them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// What kind of thing it was. The first field of a line, which readers rely on.
    pub kind: Kind,
    /// When, in Unix milliseconds.
    pub at: i64,
    /// The decision's trace id; for feedback, that of the decision which it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The knowledge base.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kb: String,
    /// The release that answered: `12`, `12+3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The conversation's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The customer: a name made of the id that the client or the channel gave, or the
    /// id itself where everything is kept in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// `web`, `wechat`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The id of the key that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the customer typed, or what an agent wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The text in the form that the matchers compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalized: Option<String>,
    /// `answer`, `clarify`, `handoff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Why; the names of [`crate::decide::Reason`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The best candidate's entry, whatever the decision; of a proposal, the one that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// That entry's topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The probability that the entry is right, 0..=1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The best few, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// How many of them the customer was shown to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered: Option<i64>,
    /// The generation that decided, 1 or 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Time from text to decision, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micros: Option<i64>,
    /// The rule that spoke, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How the message was read in its conversation: `chosen`, `rejected`, `in_light`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<String>,
    /// The offered entry that the customer took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// Whether the customer says that it helped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solved: Option<bool>,
    /// Stars, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<i64>,
    /// The customer's own words about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What an agent did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doing: Option<Doing>,
    /// Which agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Of [`Kind::Lost`]: how many events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}

impl Event {
    /// The most candidates that are stored.
    pub const CANDIDATES: usize = 5;

    /// Whether it is one of a month's questions: a message that the robot decided on. Whoever
    /// leaves the queue for a person asks it nothing.
    pub fn is_question(&self) -> bool {
        self.kind == Kind::Decision && self.reason.as_deref() != Some(Reason::Withdrawn.name())
    }

    /// Something that happened now.
    pub fn now(kind: Kind, kb: impl Into<String>) -> Self {
        Self { kind, at: now(), kb: kb.into(), ..Self::default() }
    }

    /// Feedback on a decision. It carries what the decision was, so that nobody
    /// has to look for the decision to count it.
    pub fn feedback(decision: &Self, feedback: Feedback) -> Self {
        let Feedback { solved, rating, chosen, comment } = feedback;
        Self {
            kind: Kind::Feedback,
            at: now(),
            text: None,
            normalized: None,
            candidates: Vec::new(),
            micros: None,
            solved,
            rating,
            chosen,
            comment,
            ..decision.clone()
        }
    }

    /// What an agent did.
    pub fn agent(kb: &str, conversation: &str, agent: &str, doing: Doing) -> Self {
        Self {
            conversation: Some(conversation.to_owned()),
            agent: Some(agent.to_owned()),
            doing: Some(doing),
            ..Self::now(Kind::Agent, kb)
        }
    }

    /// The end of a conversation.
    pub fn ended(kb: &str, conversation: &str) -> Self {
        Self { conversation: Some(conversation.to_owned()), ..Self::now(Kind::Ended, kb) }
    }
}

/// What a customer says of a decision; what is `None` is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedback {
    /// Whether it helped.
    pub solved: Option<bool>,
    /// Stars, 1 to 5.
    pub rating: Option<i64>,
    /// The offered entry that was meant.
    pub chosen: Option<String>,
    /// Own words.
    pub comment: Option<String>,
}

impl Feedback {
    /// What an event says.
    pub fn of(event: &Event) -> Self {
        Self {
            solved: event.solved,
            rating: event.rating,
            chosen: event.chosen.clone(),
            comment: event.comment.clone(),
        }
    }

    /// Takes in later feedback on the same decision: what it says counts, what
    /// it does not say stays.
    pub fn then(&mut self, later: Self) {
        let Self { solved, rating, chosen, comment } = later;
        self.solved = solved.or(self.solved);
        self.rating = rating.or(self.rating);
        self.chosen = chosen.or_else(|| self.chosen.take());
        self.comment = comment.or_else(|| self.comment.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_feedback_counts_and_what_it_does_not_say_stays() {
        let mut known = Feedback { solved: Some(true), rating: Some(3), ..Feedback::default() };
        let later = Feedback { rating: Some(5), ..Feedback::default() };
        known.then(later.clone());
        let once = known.clone();
        known.then(later);
        assert_eq!(known, once, "a repetition changes nothing");
        assert_eq!((known.solved, known.rating), (Some(true), Some(5)));
    }

    #[test]
    fn names_and_kinds_belong_together() {
        for kind in [Kind::Decision, Kind::Feedback, Kind::Agent, Kind::Ended, Kind::Lost] {
            assert_eq!(Kind::named(kind.name()), Some(kind));
            let line = serde_json::to_string(&Event { kind, ..Event::default() }).expect("writes");
            assert!(line.starts_with(&format!("{{\"kind\":\"{}\"", kind.name())), "{line}");
        }
        for doing in Doing::ALL {
            assert_eq!(Doing::named(doing.name()), Some(doing));
            assert_eq!(serde_json::to_string(&doing).expect("writes"), format!("\"{}\"", doing.name()));
        }
    }
}

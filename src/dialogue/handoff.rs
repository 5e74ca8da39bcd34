//! What becomes of a conversation that was given to a person?
//!
//! ```text
//!            claim              reply
//! waiting ──────────► claimed ────────► answered
//!    ▲                  │ lease over        │ lease over
//!    └──────────────────┴───────────────────┘
//! any of these ── transfer ──► claimed, by a colleague
//! any of these ── close ──► closed     ── return ──► returned
//! waiting ── nobody came ──► expired
//! waiting ── the customer does not wait ──► withdrawn
//! ```
//! A [`State`] says who has the conversation, so the two cannot contradict each
//! other. All of it is pure; who stores it changes a handoff only from the state
//! in which it was looked at.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conversation::Owner;
use crate::decide::Reason;

/// How long a claim holds without anything being done, in milliseconds.
pub const LEASE: i64 = 10 * 60 * 1000;

/// How far a handoff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HandoffState)]
pub enum State {
    /// Nobody has it.
    Waiting,
    /// Somebody has it and has not replied yet.
    Claimed,
    /// Somebody has it and has replied.
    Answered,
    /// It is done.
    Closed,
    /// The robot has the conversation again.
    Returned,
    /// Nobody came; the robot has the conversation again.
    Expired,
    /// The customer did not want to wait; the robot has the conversation again.
    Withdrawn,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Somebody takes it.
    Claim,
    /// Whoever has it says something to the customer.
    Reply,
    /// Whoever has it is still there.
    Renew,
    /// It is done.
    Close,
    /// The robot is to go on.
    Return,
    /// Whoever had it is gone, or puts it back into the queue.
    Release,
    /// Whoever has it gives it to a colleague; what waits is given by whoever looks after
    /// the queue.
    Transfer,
    /// Nobody comes any more.
    Expire,
    /// The customer waits no longer.
    Withdraw,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Claimed,
        Self::Answered,
        Self::Closed,
        Self::Returned,
        Self::Expired,
        Self::Withdrawn,
    ];

    /// The word in interfaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Answered => "answered",
            Self::Closed => "closed",
            Self::Returned => "returned",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The one with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Who has the word in the conversation.
    pub fn owner(self) -> Owner {
        match self {
            Self::Waiting => Owner::Queued,
            Self::Claimed | Self::Answered => Owner::Agent,
            Self::Closed => Owner::Closed,
            Self::Returned | Self::Expired | Self::Withdrawn => Owner::Bot,
        }
    }

    /// Whether somebody may still do something with it.
    pub fn is_open(self) -> bool {
        matches!(self.owner(), Owner::Queued | Owner::Agent)
    }

    /// Where a step leads; `None` when it cannot be made here.
    pub fn after(self, step: Step) -> Option<Self> {
        use State::{Answered, Claimed, Closed, Expired, Returned, Waiting, Withdrawn};
        match (self, step) {
            (Waiting, Step::Claim) | (Waiting | Claimed | Answered, Step::Transfer) => Some(Claimed),
            (Claimed | Answered, Step::Reply) => Some(Answered),
            (Claimed | Answered, Step::Renew | Step::Claim) => Some(self),
            (Waiting | Claimed | Answered, Step::Close) => Some(Closed),
            (Waiting | Claimed | Answered, Step::Return) => Some(Returned),
            (Claimed | Answered, Step::Release) => Some(Waiting),
            (Waiting, Step::Expire) => Some(Expired),
            (Waiting, Step::Withdraw) => Some(Withdrawn),
            _ => None,
        }
    }
}

/// A stretch of time. Whoever only asked whether its end has passed would wait
/// for hours when a clock is set back; a moment before its beginning lies outside
/// as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first millisecond since 1970 (UTC).
    pub from: i64,
    /// The first one after it.
    pub until: i64,
}

impl Span {
    /// A stretch that begins now.
    pub fn of(now: i64, millis: i64) -> Self {
        Self { from: now, until: now.saturating_add(millis) }
    }

    /// Two clocks of one installation may differ by so many milliseconds: what begins no
    /// later than that after now has begun. What begins later was written by a clock that
    /// was put back since.
    pub const SLACK: i64 = 5_000;

    /// Whether a moment lies in it, or so shortly before it that only a clock is to blame.
    pub fn holds(self, now: i64) -> bool {
        (self.from.saturating_sub(Self::SLACK)..self.until).contains(&now)
    }
}

/// A conversation that was given to a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Handoff {
    /// Its place in the order of all handoffs.
    pub number: i64,
    /// Its name: time-ordered, not to be guessed.
    pub id: String,
    /// The conversation's number in the database.
    pub key: i64,
    /// The client's name for the conversation.
    pub conversation: String,
    /// The knowledge base.
    pub kb: String,
    /// How far it is.
    pub state: State,
    /// Which change this is.
    pub version: i64,
    /// Why the robot gave it away.
    pub reason: String,
    /// The rule that said so.
    pub rule: Option<String>,
    /// The message with which it came about.
    pub question: String,
    /// The same as the matchers read it.
    pub normalized: String,
    /// What came nearest, best first.
    pub candidates: Vec<Candidate>,
    /// The entries that the robot had answered with, in order.
    pub shown: Vec<Shown>,
    /// Where the customer is.
    pub channel: Option<String>,
    /// What the client says of the customer.
    pub customer: Option<Value>,
    /// One paragraph, by rule.
    pub summary: String,
    /// The release that was asked.
    pub release: String,
    /// Its place in the queue when it came, from 1 on.
    pub place: i64,
    /// Who has it, or had it last.
    pub agent: Option<String>,
    /// When it came, in milliseconds since 1970 (UTC), as all of these.
    pub created_at: i64,
    /// Since when nobody has it.
    pub waiting_since: i64,
    /// When somebody took it.
    pub claimed_at: Option<i64>,
    /// When somebody replied first.
    pub answered_at: Option<i64>,
    /// When it was over.
    pub ended_at: Option<i64>,
    /// How long the claim holds.
    pub lease: Option<Span>,
}

/// An entry that may have been meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = HandoffCandidate)]
pub struct Candidate {
    /// Its id.
    pub entry: String,
    /// Its standard question.
    pub question: String,
    /// The probability that it is right.
    pub confidence: f64,
}

/// An entry that the customer has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ShownEntry)]
pub struct Shown {
    /// Its id.
    pub entry: String,
    /// Its standard question.
    pub question: String,
}

/// The reason of those in which somebody may be in danger: they come before all others
/// that wait.
pub const URGENT: Reason = Reason::Sensitive;

/// Whether a handoff for a reason, once it waits, comes before the others.
pub fn is_urgent(reason: &str) -> bool {
    reason == URGENT.name()
}

/// So much smaller is the rank of those that come first. Every number that is made with it
/// is one that JavaScript has.
const FIRST: i64 = 1 << 52;

/// Whether a rank is that of an urgent handoff that waits, and its number.
pub fn ranked(rank: i64) -> (bool, i64) {
    if rank < 0 { (true, rank.saturating_add(FIRST)) } else { (false, rank) }
}

impl Handoff {
    /// Whether it comes before the others that wait.
    pub fn is_urgent(&self) -> bool {
        self.state == State::Waiting && is_urgent(&self.reason)
    }

    /// Its place in the order of the queue: smaller ones come first. Urgent ones that wait
    /// have one below zero, all others their number.
    pub fn rank(&self) -> i64 {
        if self.is_urgent() { self.number - FIRST } else { self.number }
    }

    /// Whether somebody has it at a moment.
    pub fn is_held(&self, now: i64) -> bool {
        self.state.owner() == Owner::Agent && self.lease.is_some_and(|lease| lease.holds(now))
    }
}

/// A handoff that somebody took: its place in the queue when it came, and how
/// long it waited, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// 1 for the first in the queue.
    pub place: i64,
    /// Milliseconds until it was claimed.
    pub millis: i64,
}

/// From fewer handoffs nobody can tell how long it takes.
const ENOUGH: usize = 3;

/// How long somebody at a place of the queue will probably wait, in seconds: as
/// many times as places the median of what a place took lately. `None` when too
/// few were taken to tell.
pub fn estimated_wait(place: i64, recent: &[Waited]) -> Option<i64> {
    let mut each: Vec<i64> = recent.iter().map(|waited| waited.millis.max(0) / waited.place.max(1)).collect();
    if each.len() < ENOUGH {
        return None;
    }
    each.sort_unstable();
    let median = each[each.len() / 2];
    Some(median.saturating_mul(place.max(1)).saturating_add(999) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_end() {
        let steps = [
            Step::Claim,
            Step::Reply,
            Step::Renew,
            Step::Close,
            Step::Return,
            Step::Release,
            Step::Transfer,
            Step::Expire,
            Step::Withdraw,
        ];
        for state in State::ALL {
            assert_eq!(State::named(state.name()), Some(state));
            for step in steps {
                let next = state.after(step);
                assert!(state.is_open() || next.is_none(), "{state:?} {step:?}");
            }
        }
        assert_eq!(State::Waiting.after(Step::Reply), None, "who replies has claimed");
        assert_eq!(State::Answered.after(Step::Release), Some(State::Waiting));
        assert_eq!(State::Claimed.after(Step::Expire), None);
        assert_eq!(State::Claimed.after(Step::Withdraw), None, "a person who has come is told so");
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_span() {
        let span = Span::of(100_000, 500);
        assert!(span.holds(100_000) && span.holds(100_499));
        assert!(!span.holds(100_500) && !span.holds(94_999));
        // Another clock of the same installation may be a little behind.
        assert!(span.holds(99_900) && span.holds(95_000));
    }

    #[test]
    fn waits_are_told_by_places() {
        let waited = |place, seconds: i64| Waited { place, millis: seconds * 1000 };
        assert_eq!(estimated_wait(1, &[waited(1, 60), waited(1, 60)]), None);
        let recent = [waited(1, 60), waited(2, 120), waited(4, 3_600)];
        assert_eq!(estimated_wait(3, &recent), Some(180));
        assert_eq!(estimated_wait(1, &[waited(1, -5), waited(1, 0), waited(0, 0)]), Some(0));
    }
}

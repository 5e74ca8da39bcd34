//! What do desks and webhooks read of a handoff?

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::conversation::{Line, Picture, Role};
use super::handoff::{Candidate, Handoff, Shown, State};
use super::hours::CHINA;
use crate::kb::{Image, Link};

/// A moment in milliseconds since 1970 as RFC 3339 in UTC.
pub fn moment(millis: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// A moment in milliseconds since 1970 as a person in China reads it.
pub fn in_china(millis: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        .map(|at| at.to_offset(CHINA))
        .and_then(|at| at.format(&format).ok())
        .unwrap_or_default()
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Turn)]
pub struct ToldLine {
    /// Its number in the conversation; numbers grow.
    pub seq: i64,
    /// Whose it is; of an `event`, `text` is who has the conversation now, `undelivered`
    /// when words before it did not get to the customer, or `quota` when the customer's
    /// platform takes only few more.
    pub role: Role,
    /// The words.
    pub text: String,
    /// When, RFC 3339.
    pub at: String,
    /// Who, when a person said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Names the robot's decision.
    pub trace_id: Option<String>,
    /// The robot's decision.
    pub decision: Option<String>,
    /// The questions that were offered beside the words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<Shown>,
    /// The picture that was shown; `GET /v1/conversations/{id}/pictures/{picture}` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// The pictures that an answer showed beside its words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// The links and cards that an answer showed beside its words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

impl From<&Line> for ToldLine {
    fn from(line: &Line) -> Self {
        let offered = line.data.as_ref().and_then(|data| data.get("suggestions"));
        let suggestions = offered.and_then(|list| serde_json::from_value(list.clone()).ok());
        Self {
            seq: line.seq,
            role: line.role,
            text: line.text.clone(),
            at: moment(line.at),
            author: line.author.clone(),
            trace_id: line.trace_id.clone(),
            decision: line.decision.clone(),
            suggestions: suggestions.unwrap_or_default(),
            picture: line.picture(),
            images: line.images(),
            links: line.links(),
        }
    }
}

/// A handoff as desks and webhooks read it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Handoff)]
pub struct ToldHandoff {
    /// Its id.
    pub id: String,
    /// Its number, which customers are told by mail; numbers grow.
    pub number: i64,
    /// The conversation.
    pub conversation: String,
    /// The knowledge base.
    pub kb: String,
    /// How far it is.
    pub state: State,
    /// Which change this is.
    pub version: i64,
    /// Why the robot gave it away: a stable code.
    pub reason: String,
    /// The rule that said so.
    pub rule: Option<String>,
    /// Where the customer is.
    pub channel: Option<String>,
    /// What the client says of the customer.
    #[schema(value_type = Option<Object>)]
    pub customer: Option<Value>,
    /// Seconds that it waits or has waited.
    pub waiting_s: i64,
    /// Its place in the queue, from 1 on, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// How long it will probably wait, when enough were taken lately to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_wait_s: Option<i64>,
    /// One paragraph about it, by rule.
    pub summary: String,
    /// The message with which it came about.
    pub question: String,
    /// The same as the matchers read it.
    pub normalized: String,
    /// What came nearest, best first.
    pub candidates: Vec<Candidate>,
    /// The entries that the robot had answered with.
    pub shown: Vec<Shown>,
    /// What was said last, at most 50 lines.
    pub transcript: Vec<ToldLine>,
    /// The release that was asked.
    pub release: String,
    /// Who has it.
    pub agent: Option<String>,
    /// When it came, RFC 3339, as all of these.
    pub created_at: String,
    /// When somebody took it.
    pub claimed_at: Option<String>,
    /// When somebody replied first.
    pub answered_at: Option<String>,
    /// When it was over.
    pub ended_at: Option<String>,
    /// Until when the claim holds if nothing is done.
    pub lease_until: Option<String>,
}

/// Lines of a conversation that go along with its handoff.
pub const TRANSCRIPT: i64 = 50;

impl ToldHandoff {
    /// A handoff at a moment with what was said.
    pub fn of(handoff: &Handoff, lines: &[Line], now: i64) -> Self {
        let waits = handoff.state == State::Waiting;
        let until = if waits { now } else { handoff.claimed_at.or(handoff.ended_at).unwrap_or(now) };
        // Whoever took it and left it alone has not shortened the customer's wait.
        let is_again = waits && handoff.answered_at.is_some();
        let since = if is_again { handoff.waiting_since } else { handoff.created_at };
        let held = !waits && handoff.state.is_open();
        Self {
            id: handoff.id.clone(),
            number: handoff.number,
            conversation: handoff.conversation.clone(),
            kb: handoff.kb.clone(),
            state: handoff.state,
            version: handoff.version,
            reason: handoff.reason.clone(),
            rule: handoff.rule.clone(),
            channel: handoff.channel.clone(),
            customer: handoff.customer.clone(),
            waiting_s: (until - since).max(0) / 1000,
            position: None,
            estimated_wait_s: None,
            summary: handoff.summary.clone(),
            question: handoff.question.clone(),
            normalized: handoff.normalized.clone(),
            candidates: handoff.candidates.clone(),
            shown: handoff.shown.clone(),
            transcript: lines.iter().map(ToldLine::from).collect(),
            release: handoff.release.clone(),
            // Who had it before does not have it while it waits.
            agent: handoff.agent.clone().filter(|_| !waits),
            created_at: moment(handoff.created_at),
            claimed_at: handoff.claimed_at.map(moment),
            answered_at: handoff.answered_at.map(moment),
            ended_at: handoff.ended_at.map(moment),
            lease_until: handoff.lease.filter(|_| held).map(|lease| moment(lease.until)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_by_everybody() {
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(1_764_268_800_123), "2025-11-27T18:40:00.123Z");
        assert_eq!(moment(i64::MAX), "");
    }
}

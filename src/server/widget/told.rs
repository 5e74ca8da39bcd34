//! What does a visitor see of the conversation?
//!
//! The words and what can be pressed. Not who answered at the desk, which is the
//! company's own affair, nor how sure the robot was.

use axum::response::sse::Event;
use serde::Serialize;
use serde_json::Value;

use crate::dialogue::conversation::{Line, Owner, Picture, Role};
use crate::dialogue::handoff::Shown;
use crate::dialogue::told::moment;
use crate::kb::{Image, Link};

/// A line of the conversation.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = VisitorLine)]
pub(super) struct Seen {
    /// Its number; numbers grow.
    seq: i64,
    /// Whose it is; of an `event`, `text` is who has the conversation now.
    role: Role,
    /// The words, never HTML.
    text: String,
    /// When, RFC 3339.
    at: String,
    /// The panel's name for the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Names the robot's reply; `feedback` says whether it helped.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// What the robot decided: `answer`, `clarify` or `handoff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    /// Whether an entry answered, so that one can say whether it helped.
    #[serde(skip_serializing_if = "is_false")]
    is_entry: bool,
    /// Questions to press.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<Shown>,
    /// The picture that was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<Picture>,
    /// The pictures that an answer shows beside its words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image>,
    /// The links and cards that an answer shows beside its words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    /// Questions that are worth reading next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Shown>,
    /// The form to leave the question with, when nobody is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    ticket: Option<Value>,
    /// When somebody is there again, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_at: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl From<&Line> for Seen {
    fn from(line: &Line) -> Self {
        let data = line.data.as_ref();
        let reply = data.and_then(|data| data.get("reply"));
        let handoff = reply.and_then(|reply| reply.get("handoff"));
        let list = |of: Option<&Value>, name: &str| -> Vec<Shown> {
            let list = of.and_then(|of| of.get(name)).cloned();
            list.and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default()
        };
        Self {
            seq: line.seq,
            role: line.role,
            text: line.text.clone(),
            at: moment(line.at),
            client_id: line.client_id.clone(),
            trace_id: line.trace_id.clone(),
            decision: line.decision.clone(),
            is_entry: data.is_some_and(|data| data.get("entry").is_some()),
            suggestions: list(data, "suggestions"),
            picture: line.picture(),
            images: line.images(),
            links: line.links(),
            related: list(reply, "related"),
            ticket: handoff
                .and_then(|handoff| handoff.get("ticket"))
                .filter(|form| form.is_object())
                .cloned(),
            opens_at: handoff.and_then(|handoff| handoff.get("opens_at")?.as_str()).map(str::to_owned),
        }
    }
}

impl Seen {
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// The line as a stream tells it.
    pub(super) fn event(&self) -> Event {
        let name = if self.role == Role::Event { "owner" } else { "message" };
        let data = serde_json::to_string(self).unwrap_or_default();
        Event::default().id(self.seq.to_string()).event(name).data(data)
    }
}

/// Somebody's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = VisitorWaits)]
pub(super) struct Waits {
    /// From 1 on.
    position: i64,
    /// How many seconds it will probably take, when enough were served lately to tell.
    estimated_wait_s: Option<i64>,
}

impl Waits {
    pub(super) fn of((position, estimated_wait_s): (i64, Option<i64>)) -> Self {
        Self { position, estimated_wait_s }
    }

    /// The place as a stream tells it: it has no number, for it is no line.
    pub(super) fn event(waits: Option<Self>) -> Event {
        Event::default().event("waits").data(serde_json::to_string(&waits).unwrap_or_default())
    }
}

/// How a conversation stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = VisitorStanding)]
pub(super) struct Standing {
    /// What was said behind the number that was named, in order.
    pub(super) items: Vec<Seen>,
    /// The number that goes on from here.
    pub(super) next: i64,
    /// Who answers the next message.
    pub(super) owner: Owner,
    /// The place in the queue, while it waits for a person.
    pub(super) waits: Option<Waits>,
}

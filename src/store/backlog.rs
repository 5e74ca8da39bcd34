//! What waits for people, and for receivers?
//!
//! Counts for monitoring; each is read from an index in well under a millisecond.

use diesel::dsl::{count_star, min};
use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::talk::{handoffs, outbox};
use super::handoffs::waits_since;
use crate::dialogue::handoff::State;
use crate::error::Result;

/// What waits in a data directory. Moments are in milliseconds since 1970 (UTC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Handoffs that nobody has taken.
    pub waiting: i64,
    /// Since when the first of them waits.
    pub waiting_since: Option<i64>,
    /// Handoffs that somebody has.
    pub taken: i64,
    /// Webhooks and messages to platforms that are still to be delivered.
    pub due: i64,
    /// When the oldest of them was written.
    pub due_since: Option<i64>,
    /// Those that nobody tries any more.
    pub dead: i64,
}

impl Backlog {
    /// Whether a process has to tend it though no customer calls: something is to
    /// be delivered, a claim may run out, or somebody may wait in vain.
    pub fn is_work(&self) -> bool {
        self.waiting + self.taken + self.due > 0
    }
}

impl Conversations {
    /// What waits now.
    pub fn backlog(&self) -> Result<Backlog> {
        if !self.is_there() {
            return Ok(Backlog::default());
        }
        let found = self.database.read(|connection| {
            let taken = [State::Claimed.name(), State::Answered.name()];
            let (waiting, waiting_since) = handoffs::table
                .filter(handoffs::state.eq(State::Waiting.name()))
                .select((count_star(), min(waits_since())))
                .first(connection)?;
            let taken =
                handoffs::table.filter(handoffs::state.eq_any(taken)).count().get_result(connection)?;
            let (due, due_since) = outbox::table
                .filter(outbox::state.eq("due"))
                .select((count_star(), min(outbox::created_at)))
                .first(connection)?;
            let dead = outbox::table.filter(outbox::state.eq("dead")).count().get_result(connection)?;
            Ok(Backlog { waiting, waiting_since, taken, due, due_since, dead })
        })?;
        Ok(found.unwrap_or_default())
    }
}

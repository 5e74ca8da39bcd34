//! How much waits for somebody?

use diesel::dsl::{count_star, min};
use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::talk::{handoffs, outbox, tickets};
use super::handoffs::waits_since;
use crate::dialogue::handoff::State;
use crate::dialogue::ticket::TicketState;
use crate::error::Result;

/// What waits in a data directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Handoffs that nobody has taken, by knowledge base.
    pub handoffs: Vec<Pending>,
    /// Tickets that are open, by knowledge base.
    pub tickets: Vec<Pending>,
    /// What is to be delivered.
    pub outbox: Pending,
    /// What was given up.
    pub dead: i64,
}

/// Something that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// The knowledge base; empty when all are meant.
    pub kb: String,
    /// How many.
    pub count: i64,
    /// Since when the oldest does, in milliseconds since 1970 (UTC).
    pub since: Option<i64>,
}

impl Pending {
    /// How long the oldest has been waiting at a moment, in seconds; 0 when nothing waits.
    pub fn seconds(&self, now: i64) -> f64 {
        self.since.map_or(0.0, |since| now.saturating_sub(since).max(0) as f64 / 1000.0)
    }
}

impl From<(String, i64, Option<i64>)> for Pending {
    fn from((kb, count, since): (String, i64, Option<i64>)) -> Self {
        Self { kb, count, since }
    }
}

impl Conversations {
    /// What waits now. A knowledge base for which nothing waits is not named.
    pub fn overview(&self) -> Result<Overview> {
        let found = self.database.read(|connection| {
            let waiting: Vec<(String, i64, Option<i64>)> = handoffs::table
                .filter(handoffs::state.eq(State::Waiting.name()))
                .group_by(handoffs::kb)
                .select((handoffs::kb, count_star(), min(waits_since())))
                .load(connection)?;
            let open: Vec<(String, i64, Option<i64>)> = tickets::table
                .filter(tickets::state.eq(TicketState::Open.name()))
                .group_by(tickets::kb)
                .select((tickets::kb, count_star(), min(tickets::created_at)))
                .load(connection)?;
            let due: (i64, Option<i64>) = outbox::table
                .filter(outbox::state.eq("due"))
                .select((count_star(), min(outbox::created_at)))
                .first(connection)?;
            let dead: i64 = outbox::table.filter(outbox::state.eq("dead")).count().get_result(connection)?;
            Ok(Overview {
                handoffs: waiting.into_iter().map(Pending::from).collect(),
                tickets: open.into_iter().map(Pending::from).collect(),
                outbox: Pending { kb: String::new(), count: due.0, since: due.1 },
                dead,
            })
        })?;
        Ok(found.unwrap_or_default())
    }
}

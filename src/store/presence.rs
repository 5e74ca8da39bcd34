//! Who is at the desk?
//!
//! Whoever works there says so now and then, in whatever process; who says nothing
//! for a while is gone.

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::Durability;
use super::database::talk::presence;
use super::database::upsert::OnConflict;
use crate::error::Result;

/// Somebody at the desk.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = presence)]
pub struct Present {
    /// Under which name they act.
    pub agent: String,
    /// `online` or `away`.
    pub state: String,
    /// When they said so last, in milliseconds since 1970 (UTC).
    pub seen_at: i64,
}

impl Conversations {
    /// Who has said something since a moment, by name.
    pub fn present(&self, since: i64) -> Result<Vec<Present>> {
        let rows = self.database.read(|connection| {
            let found = presence::table.filter(presence::seen_at.ge(since)).order(presence::agent);
            Ok(found.select(Present::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default())
    }

    /// Notes that somebody is there or away; without a state, that they have left.
    pub fn note_present(&self, agent: &str, state: Option<&str>, at: i64) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            let Some(state) = state else {
                diesel::delete(presence::table.find(agent)).execute(connection)?;
                return Ok(());
            };
            let now = Present { agent: agent.to_owned(), state: state.to_owned(), seen_at: at };
            diesel::insert_into(presence::table)
                .values(&now)
                .or("(agent) DO UPDATE SET state = excluded.state, seen_at = excluded.seen_at")
                .execute(connection)?;
            Ok(())
        })
    }
}

//! What happens at the desk?
//!
//! Every desk reads the same numbered list from where it left off, in whatever
//! process it asks. There is one writer at a time, so a number that shows never
//! has a smaller one behind it that is still to come.

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::talk::stream;
use super::database::{Connection, Durability, Outcome};
use crate::error::Result;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = stream)]
pub struct News {
    /// Its number; numbers grow.
    pub seq: i64,
    /// The knowledge base.
    pub kb: String,
    /// `waiting`, `claimed`, `answered`, `closed`, `returned`, `expired`, `withdrawn`, `message`
    /// from the customer, `undelivered` of words that did not get there, or `quota` of few more.
    pub kind: String,
    /// The handoff.
    pub handoff: String,
    /// The customer's words, who has it, or why.
    pub data: String,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// So many are kept for desks that were away.
const KEPT: i64 = 100_000;

impl Conversations {
    /// What happened after a number, in order; at most `limit` items.
    pub fn news(&self, after: i64, limit: i64) -> Result<Vec<News>> {
        let rows = self.database.read(|connection| {
            let found = stream::table.filter(stream::seq.gt(after)).order(stream::seq).limit(limit);
            Ok(found.select(News::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default())
    }

    /// The number of what happened last.
    pub fn last_news(&self) -> Result<i64> {
        let last = self.database.read(|connection| {
            let last: Option<i64> = stream::table.select(diesel::dsl::max(stream::seq)).first(connection)?;
            Ok(last)
        })?;
        Ok(last.flatten().unwrap_or_default())
    }

    /// Forgets what happened long ago.
    pub fn sweep_news(&self) -> Result<usize> {
        if !self.is_there() {
            return Ok(0);
        }
        let last = self.last_news()?;
        self.database.write_as(Durability::Written, |connection| {
            Ok(diesel::delete(stream::table.filter(stream::seq.le(last - KEPT))).execute(connection)?)
        })
    }
}

/// Adds something that happened.
pub(super) fn tell(
    connection: &mut Connection,
    kb: &str,
    kind: &str,
    handoff: &str,
    data: &str,
    at: i64,
) -> Outcome<()> {
    diesel::insert_into(stream::table)
        .values((
            stream::kb.eq(kb),
            stream::kind.eq(kind),
            stream::handoff.eq(handoff),
            stream::data.eq(data),
            stream::at.eq(at),
        ))
        .execute(connection)?;
    Ok(())
}

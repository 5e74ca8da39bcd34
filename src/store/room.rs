//! Which conversations go when they are too old or too many?
//!
//! A little at a time, so that no customer's message waits for it; nobody loses a
//! conversation in which a person is or is waited for.

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::Durability;
use super::database::talk::{conversations, lines};
use crate::dialogue::conversation::Owner;
use crate::error::Result;

impl Conversations {
    /// How many conversations are kept.
    pub fn count(&self) -> Result<i64> {
        let count =
            self.database.read(|connection| Ok(conversations::table.count().get_result(connection)?))?;
        Ok(count.unwrap_or_default())
    }

    /// Makes room: conversations whose last word was before `before`, and the oldest
    /// ones beyond `most`, go with everything that was said, unless somebody waits
    /// in them or has them. Gives back how many went; a call removes a limited
    /// number and is repeated until it removes none.
    pub fn sweep(&self, before: i64, most: i64) -> Result<usize> {
        /// A customer's message waits no longer than this many take.
        const AT_ONCE: i64 = 500;
        if !self.is_there() {
            return Ok(0);
        }
        let held: i64 = self.count()?;
        self.database.write_as(Durability::Written, |connection| {
            let idle = conversations::table
                .filter(conversations::owner.eq_any([Owner::Bot.name(), Owner::Closed.name()]))
                .order(conversations::last_at)
                .select((conversations::key, conversations::last_at))
                .limit(AT_ONCE);
            let oldest: Vec<(i64, i64)> = idle.load(connection)?;
            let over = usize::try_from(held - most).unwrap_or(0);
            let go: Vec<i64> = oldest
                .iter()
                .enumerate()
                .filter(|(at, (_, last))| *at < over || *last < before)
                .map(|(_, (key, _))| *key)
                .collect();
            Ok(diesel::delete(conversations::table.filter(conversations::key.eq_any(go)))
                .execute(connection)?)
        })
    }

    /// Removes what customers and others said before a moment, in conversations
    /// that go on. Gives back how many lines went.
    pub fn sweep_lines(&self, before: i64) -> Result<usize> {
        if !self.is_there() {
            return Ok(0);
        }
        self.database.write_as(Durability::Written, |connection| {
            let longest = conversations::table
                .filter(conversations::started_at.lt(before))
                .filter(conversations::owner.eq_any([Owner::Bot.name(), Owner::Closed.name()]))
                .order(conversations::started_at)
                .select(conversations::key)
                .limit(500);
            let keys: Vec<i64> = longest.load(connection)?;
            let old = lines::table.filter(lines::conversation.eq_any(&keys).and(lines::at.lt(before)));
            let gone = diesel::delete(old).execute(connection)?;
            // What is left of them begins later.
            diesel::update(conversations::table.filter(conversations::key.eq_any(&keys)))
                .set(conversations::started_at.eq(before))
                .execute(connection)?;
            Ok(gone)
        })
    }

    /// Moves what was written into the file itself, beside those who read and write.
    pub fn checkpoint(&self) -> Result<()> {
        self.database.checkpoint()
    }
}

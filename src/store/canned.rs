//! Which replies are written once and sent often?
//!
//! Some are everybody's at the desk, some somebody's own.

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::talk::canned_replies;
use crate::error::{Error, Result};

/// A reply that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = canned_replies)]
pub struct CannedReply {
    /// Its id.
    pub id: String,
    /// Whose it is; everybody's when it is nobody's.
    pub owner: Option<String>,
    /// What it is found by.
    pub title: String,
    /// The words.
    pub text: String,
    /// When it was changed last, in milliseconds since 1970 (UTC).
    pub updated_at: i64,
}

impl CannedReply {
    /// The most that somebody keeps, and that all keep together.
    pub const MOST: i64 = 500;
    /// The longest title, in characters.
    pub const TITLE_CHARS: usize = 60;
}

impl Conversations {
    /// Those that somebody may send: everybody's and their own, by title.
    pub fn canned_replies(&self, owner: &str) -> Result<Vec<CannedReply>> {
        let rows = self.database.read(|connection| {
            let found = canned_replies::table
                .filter(canned_replies::owner.is_null().or(canned_replies::owner.eq(owner)))
                .order((canned_replies::title, canned_replies::id));
            Ok(found.select(CannedReply::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default())
    }

    /// Keeps one: a new one, or another text of one that is there.
    ///
    /// # Errors
    /// [`Error::Conflict`] when whoever owns it has as many as there may be.
    pub fn keep_canned(&self, reply: &CannedReply) -> Result<()> {
        self.database.write(|connection| {
            let changed = diesel::update(canned_replies::table.find(&reply.id))
                .set((
                    canned_replies::owner.eq(&reply.owner),
                    canned_replies::title.eq(&reply.title),
                    canned_replies::text.eq(&reply.text),
                    canned_replies::updated_at.eq(reply.updated_at),
                ))
                .execute(connection)?;
            if changed > 0 {
                return Ok(());
            }
            let kept: i64 = match &reply.owner {
                Some(owner) => canned_replies::table
                    .filter(canned_replies::owner.eq(owner))
                    .count()
                    .get_result(connection)?,
                None => canned_replies::table
                    .filter(canned_replies::owner.is_null())
                    .count()
                    .get_result(connection)?,
            };
            if kept >= CannedReply::MOST {
                let message = format!("there are {kept} canned replies already; remove one first");
                return Err(Error::Conflict(message).into());
            }
            diesel::insert_into(canned_replies::table).values(reply).execute(connection)?;
            Ok(())
        })
    }

    /// Removes one.
    pub fn remove_canned(&self, id: &str) -> Result<()> {
        self.database.write(|connection| {
            diesel::delete(canned_replies::table.find(id)).execute(connection)?;
            Ok(())
        })
    }
}

//! What do people at the desk tell each other of a conversation?
//!
//! No customer and no platform hears of it.

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::talk::notes;
use super::database::{Connection, Outcome};
use super::tickets::Note;
use crate::dialogue::ticket::NOTES;
use crate::error::{Error, Result};

impl Conversations {
    /// What was noted on a conversation, in order.
    pub fn notes(&self, conversation: i64) -> Result<Vec<Note>> {
        let rows: Option<Vec<(String, String, i64)>> = self.database.read(|connection| {
            let found = notes::table.filter(notes::conversation.eq(conversation)).order(notes::seq);
            Ok(found.select((notes::author, notes::text, notes::at)).load(connection)?)
        })?;
        let rows = rows.unwrap_or_default().into_iter();
        Ok(rows.map(|(author, text, at)| Note { author, text, at }).collect())
    }

    /// Adds a note to a conversation.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has as many as there may be.
    pub fn add_note(&self, conversation: i64, note: &Note) -> Result<()> {
        self.database.write(|connection| put(connection, conversation, note))
    }
}

/// Adds a note within a change.
pub(super) fn put(connection: &mut Connection, conversation: i64, note: &Note) -> Outcome<()> {
    let mine = notes::table.filter(notes::conversation.eq(conversation));
    let last: Option<i64> = mine.select(diesel::dsl::max(notes::seq)).first(connection)?;
    let seq = last.map_or(0, |last| last + 1);
    if usize::try_from(seq).unwrap_or(usize::MAX) >= NOTES {
        let message = format!("the conversation has {NOTES} notes already");
        return Err(Error::Conflict(message).into());
    }
    diesel::insert_into(notes::table)
        .values((
            notes::conversation.eq(conversation),
            notes::seq.eq(seq),
            notes::author.eq(&note.author),
            notes::text.eq(&note.text),
            notes::at.eq(note.at),
        ))
        .execute(connection)?;
    Ok(())
}

//! What does a desk hear of words that did not get to the customer?
//!
//! It stands in the conversation, behind the words themselves, in the news of the desks
//! and in a webhook's event; the letter lies with the dead ones.

use diesel::prelude::*;
use serde_json::json;

use super::conversations::{self, Conversations, NewLine};
use super::database::talk::conversations as talks;
use super::{outbox, stream};
use crate::dialogue::conversation::Role;
use crate::error::Result;

/// Something about words to a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered<'a> {
    /// They did not get there, and nobody tries it any more.
    Lost {
        /// The number of the line, where it is known.
        seq: Option<i64>,
        /// The words.
        text: &'a str,
        /// Why.
        why: &'a str,
    },
    /// The platform takes only so many more until the customer says something.
    Few {
        /// How many.
        left: i32,
    },
}

impl Undelivered<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "undelivered",
            Self::Few { .. } => "quota",
        }
    }
}

impl Conversations {
    /// Tells a desk about words to a customer. Does nothing when the conversation is gone.
    pub fn tell_undelivered(&self, kb: &str, session: &str, told: Undelivered<'_>, at: i64) -> Result<()> {
        self.database.write(|connection| {
            let found = talks::table.filter(talks::kb.eq(kb).and(talks::id.eq(session)));
            let Some(key) = found.select(talks::key).first(connection).optional()? else { return Ok(()) };
            let Some(known) = conversations::by_key(connection, key)? else { return Ok(()) };
            let (seq, text, why, left) = match told {
                Undelivered::Lost { seq, text, why } => (seq, Some(text), why.to_owned(), None),
                Undelivered::Few { left } => {
                    (None, None, format!("{left} more until the customer writes again"), Some(left))
                }
            };
            let data = json!({"seq": seq, "why": why, "left": left});
            let line = NewLine { data: Some(data.to_string()), ..NewLine::of(Role::Event, told.name()) };
            let last = conversations::add_lines(connection, known.key, known.last_seq, at, &[line])?;
            let now = conversations::Conversation {
                last_seq: last,
                // Whoever looked at it before has not seen this.
                version: known.version + 1,
                ..known
            };
            conversations::save(connection, &now)?;
            if let Some(handoff) = &now.handoff {
                stream::tell(connection, &now.kb, told.name(), handoff, &why, at)?;
            }
            if text.is_some() {
                let body = json!({
                    "conversation": now.id, "kb": now.kb, "handoff": now.handoff, "channel": now.channel,
                    "seq": seq, "text": text, "why": why,
                });
                outbox::announce(connection, "message.undelivered", &now.kb, &body, at)?;
            }
            Ok(())
        })
    }
}

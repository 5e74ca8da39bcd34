//! What has happened in this conversation so far?
//!
//! A [`Context`] is small and bounded whatever a customer writes: it is read
//! and stored with every message. It holds ids and not positions, since the
//! next message may meet another release.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::kb::EntryId;

/// More characters of a message are not kept: what is read in the light of a
/// longer one would be a letter.
const KEPT: usize = 200;

/// Questions that were shown in a conversation and can still be chosen by
/// their id; a button far above in the chat is pressed by nobody.
const SHOWN: usize = 64;

/// What a conversation knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The customer's messages so far.
    pub turns: u32,
    /// The questions of the list that was shown last, in its order; numbers
    /// speak of it.
    pub offered: Vec<EntryId>,
    /// Whether that list asked which question is meant; else it stood below an
    /// answer.
    pub asked_back: bool,
    /// What was shown beside the last answer (`related`).
    pub beside: Vec<EntryId>,
    /// Whatever was shown to be chosen, the latest last.
    pub shown: VecDeque<EntryId>,
    /// The entry that was answered last.
    pub answered: Option<Answered>,
    /// The entry that was answered before that one.
    pub before: Option<EntryId>,
    /// Whether what was answered last was the neighbour, in the list, of what was taken
    /// from it before.
    pub walks: bool,
    /// The last question of the customer, in words that stand for themselves.
    pub asked: Option<String>,
    /// Questions in a row that were not answered.
    pub misses: u32,
    /// How often the last question was asked again, in a row.
    pub repeats: u32,
    /// The customer has said that this is all.
    pub ended: bool,
    /// When the last message came, in milliseconds since 1970 (UTC).
    pub last_at: i64,
}

/// An entry that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Its id.
    pub entry: EntryId,
    /// The customer's question that it answered.
    pub text: String,
}

impl Context {
    /// The context as it is read at a moment, in milliseconds since 1970: after
    /// a silence of `expires` milliseconds a conversation begins anew. Buttons
    /// that are still on the customer's screen keep their meaning.
    #[must_use]
    pub fn at(self, now: i64, expires: i64) -> Self {
        if now.saturating_sub(self.last_at) <= expires {
            return self;
        }
        Self { shown: self.shown, last_at: self.last_at, ..Self::default() }
    }

    /// Notes that questions were shown outside of a turn (quick questions below
    /// the greeting): they may be chosen by their ids and words.
    pub fn show(&mut self, entries: impl IntoIterator<Item = EntryId>) {
        for entry in entries {
            self.shown.retain(|known| *known != entry);
            self.shown.push_back(entry);
        }
        while self.shown.len() > SHOWN {
            self.shown.pop_front();
        }
    }

    /// The same where the customer was shown something else than this turn's list; `before`
    /// is the context before the turn.
    #[must_use]
    pub fn without_list(self, before: &Self) -> Self {
        let shown = before.shown.clone();
        Self { offered: Vec::new(), beside: Vec::new(), asked_back: false, shown, ..self }
    }

    /// Whether there is nothing in whose light a message could be read.
    pub fn is_new(&self) -> bool {
        self.offered.is_empty() && self.beside.is_empty() && self.answered.is_none() && self.asked.is_none()
    }
}

/// What of a message is kept.
pub(super) fn kept(text: &str) -> String {
    text.trim().chars().take(KEPT).collect()
}

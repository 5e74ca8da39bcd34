//! Which entries are asked for, which ones disappoint, and which ones nobody asks for?

use std::collections::HashMap;

use serde::Serialize;

use super::collect::Names;
use super::sessions::Told;
use crate::events::day::{DAY_MS, Days, now, rfc3339};
use crate::events::record::Feedback;

/// An entry counts as cold only after so many days.
const SETTLED_DAYS: i64 = 30;

/// An entry that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: String,
    /// Its standard question.
    pub question: String,
    /// Whether it may be found.
    pub enabled: bool,
    /// Since when, in Unix milliseconds; `None` where nobody knows.
    pub since: Option<i64>,
}

/// What became of an entry's answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = EntryFigures)]
pub struct OfEntry {
    /// The entry's id.
    pub entry: String,
    /// Answers with it, those after a choice included.
    pub answered: u64,
    /// Times that it was chosen among offered questions.
    pub clicked: u64,
    /// Sessions in which it was answered with; a question without a conversation counts as one.
    pub sessions: u64,
    /// Answers of which the customer says that they helped.
    pub solved: u64,
    /// Answers of which the customer says that they did not, or that have one or two stars.
    pub disliked: u64,
    /// Sessions in which it was answered with last before a person was brought in.
    pub handed_off_after: u64,
    /// When it was answered with last, RFC 3339.
    pub last_hit: String,
}

/// The entries, by number, while events come in.
#[derive(Default)]
pub(super) struct Entries {
    counts: HashMap<u32, (OfEntry, i64)>,
}

impl Entries {
    fn of(&mut self, entry: u32) -> &mut OfEntry {
        &mut self.counts.entry(entry).or_default().0
    }

    pub(super) fn hit(&mut self, entry: u32, at: i64, clicked: bool) {
        let (count, last) = self.counts.entry(entry).or_default();
        count.answered += 1;
        count.clicked += u64::from(clicked);
        *last = at.max(*last);
    }

    pub(super) fn session(&mut self, entry: u32) {
        self.of(entry).sessions += 1;
    }

    pub(super) fn of_session(&mut self, told: &Told) {
        for entry in &told.entries {
            self.session(*entry);
        }
        if let Some(entry) = told.transferred_after {
            self.of(entry).handed_off_after += 1;
        }
    }

    pub(super) fn feedback(&mut self, entry: Option<u32>, chosen: Option<u32>, word: &Feedback) {
        if let Some(entry) = entry {
            let of = self.of(entry);
            of.solved += u64::from(word.solved == Some(true));
            of.disliked += u64::from(is_dislike(word));
        }
        if let Some(chosen) = chosen {
            self.of(chosen).clicked += 1;
        }
    }

    /// All of them, those of most sessions first.
    pub(super) fn told(self, names: &Names) -> Vec<OfEntry> {
        let told = self.counts.into_iter().map(|(number, (count, last))| OfEntry {
            entry: names.name(number).to_owned(),
            last_hit: if last > 0 { rfc3339(last) } else { String::new() },
            ..count
        });
        let mut told: Vec<OfEntry> = told.collect();
        told.sort_by(|a, b| {
            (b.sessions, b.answered).cmp(&(a.sessions, a.answered)).then_with(|| a.entry.cmp(&b.entry))
        });
        told
    }
}

/// Whether somebody was not helped.
pub(super) fn is_dislike(word: &Feedback) -> bool {
    word.solved == Some(false) || word.rating.is_some_and(|rating| rating <= 2)
}

/// Entries that may be found, were there for 30 days, and were answered with in none of the days.
pub(super) fn cold(known: &[Known], told: &[OfEntry], days: Days) -> Vec<String> {
    let end = days.to.end().min(now());
    let settled = |entry: &&Known| entry.since.is_none_or(|since| end - since >= SETTLED_DAYS * DAY_MS);
    let hit: std::collections::HashSet<&str> =
        told.iter().filter(|entry| entry.answered > 0).map(|entry| entry.entry.as_str()).collect();
    known
        .iter()
        .filter(|entry| entry.enabled && !hit.contains(entry.id.as_str()))
        .filter(settled)
        .map(|entry| entry.id.clone())
        .collect()
}

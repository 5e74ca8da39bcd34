//! What does a draft hold, in numbers?

use std::collections::{BTreeMap, BTreeSet};

use diesel::QueryDsl;
use diesel::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::database::schema::{entries, revisions};
use super::edit::held;
use super::{Shelf, draft, pending};
use crate::error::{Error, Result};

/// A draft in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Outline {
    /// Entries.
    pub entries: usize,
    /// Those that are switched off.
    pub off: usize,
    /// Phrasings of all of them.
    pub phrasings: usize,
    /// Entries that customers get only with the next publication, removed ones apart.
    pub pending: usize,
    /// Entries that customers get and the draft has no more.
    pub gone: usize,
    /// The last revision of any kind.
    pub revision: i64,
    /// The release that is served; `null` when nothing was published.
    pub current: Option<i32>,
    /// Topics with how many entries each has, by name.
    pub topics: BTreeMap<String, usize>,
    /// Tags with how many entries each has, by name.
    pub tags: BTreeMap<String, usize>,
    /// Channels that have answers of their own, by name.
    pub channels: BTreeMap<String, usize>,
}

/// What is counted of an entry; the rest of it is not read, for ten thousand of them
/// are gone through whenever a page opens.
#[derive(Deserialize)]
struct Counted {
    #[serde(default = "on")]
    enabled: bool,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    similar: Vec<IgnoredAny>,
    #[serde(default)]
    answers: BTreeMap<String, IgnoredAny>,
}

const fn on() -> bool {
    true
}

impl Shelf {
    /// The draft in numbers; all zero when there is none.
    pub fn outline(&self) -> Result<Outline> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(None) };
            let rows = entries::table
                .inner_join(revisions::table.on(held()))
                .filter(entries::kb.eq(kb.id))
                .select(revisions::content)
                .load::<Option<String>>(connection)?;
            let waiting = pending::waiting(connection, &kb, None)?;
            let gone = waiting.iter().filter(|one| one.draft.is_none()).count();
            Ok(Some((kb, rows, waiting.len() - gone, gone)))
        })?;
        let Some((kb, rows, pending, gone)) = found.flatten() else { return Ok(Outline::default()) };
        let mut told =
            Outline { revision: kb.revision, current: kb.current, pending, gone, ..Outline::default() };
        for content in rows {
            let content = content.unwrap_or_default();
            let entry: Counted = serde_json::from_str(&content).map_err(|e| Error::internal("outline", e))?;
            told.entries += 1;
            told.off += usize::from(!entry.enabled);
            told.phrasings += 1 + entry.similar.len();
            if let Some(topic) = entry.topic {
                *told.topics.entry(topic).or_default() += 1;
            }
            // Twice the same is one.
            for tag in entry.tags.into_iter().collect::<BTreeSet<_>>() {
                *told.tags.entry(tag).or_default() += 1;
            }
            for channel in entry.answers.into_keys() {
                *told.channels.entry(channel).or_default() += 1;
            }
        }
        Ok(told)
    }
}

//! How does the draft become what was published once?

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;

use super::database::schema::revisions;
use super::{Shelf, draft, service, words};
use crate::error::Result;
use crate::kb::diff::Diff;
use crate::kb::{Entry, EntryId, KnowledgeBase, formats};
use crate::release::base_of;
use crate::text::lexicon::LexiconChanges;

/// What a restoration changed in the draft.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restored {
    /// The release that the draft equals now.
    pub release: u32,
    /// Its entries against those of the draft before.
    pub diff: Diff,
    /// Its words against those of the draft before.
    pub lexicon: LexiconChanges,
    /// Whether its service document is another one than that of the draft before.
    pub service: bool,
}

impl Restored {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        let LexiconChanges { added, removed, changed, .. } = &self.lexicon;
        self.diff.is_empty() && !self.service && added.is_empty() && removed.is_empty() && changed.is_empty()
    }
}

impl Shelf {
    /// What the authors had when they published a release: what is in it, and
    /// the entries that were switched off then, which no release holds.
    ///
    /// # Errors
    /// [`crate::error::Error::Unknown`] when there is no such release, and when
    /// its entries cannot be read.
    pub fn authored(&self, number: u32) -> Result<KnowledgeBase> {
        let record = self.record(number)?;
        let base = base_of(&self.fetched_folder(number)?)?;
        let known: HashSet<&EntryId> = base.entries().iter().map(|entry| &entry.id).collect();
        let off: Vec<Entry> = self
            .switched_off(record.revision)?
            .into_iter()
            .filter(|entry| !known.contains(&entry.id))
            .collect();
        if off.is_empty() {
            return Ok(base);
        }
        let entries = base.entries().iter().cloned().chain(off).collect();
        Ok(KnowledgeBase::of_validated(entries)
            .with_lexicon(base.lexicon().clone())
            .with_service(base.service().to_owned()))
    }

    /// The entries of the draft that were off at a revision.
    fn switched_off(&self, revision: i64) -> Result<Vec<Entry>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            let until =
                || revisions::table.filter(revisions::kb.eq(kb.id)).filter(revisions::number.le(revision));
            let off: Vec<(String, i64, Option<String>)> = until()
                .filter(revisions::content.like("%\"enabled\":false%"))
                .order(revisions::number)
                .select((revisions::entry, revisions::number, revisions::content))
                .load(connection)?;
            if off.is_empty() {
                return Ok(Vec::new());
            }
            let last: Vec<(String, Option<i64>)> = until()
                .group_by(revisions::entry)
                .select((revisions::entry, diesel::dsl::max(revisions::number)))
                .load(connection)?;
            let last: HashMap<String, Option<i64>> = last.into_iter().collect();
            let mut entries = Vec::new();
            for (id, number, content) in off {
                if last.get(&id) == Some(&Some(number)) {
                    entries.push(draft::parse(&id, content.as_deref())?);
                }
            }
            // The words may stand in an answer.
            entries.retain(|entry: &Entry| !entry.enabled);
            Ok(entries)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// What restoring a release would change in the draft.
    ///
    /// # Errors
    /// As [`Self::authored`].
    pub fn draft_against(&self, number: u32) -> Result<Restored> {
        let (draft, base) = (self.draft()?, self.authored(number)?);
        let diff = Diff::between(draft.entries(), base.entries());
        Ok(Restored {
            release: number,
            diff,
            lexicon: draft.lexicon().changes(base.lexicon()),
            service: draft.service() != base.service(),
        })
    }

    /// Makes the draft, its words and its service document included, equal to what a release holds;
    /// what differs is in the history. What is served stays.
    ///
    /// # Errors
    /// As [`Self::authored`]; [`crate::error::Error::Corpus`] when entries of
    /// an old release contradict each other by today's rules. Then nothing is
    /// changed.
    pub fn restore(&self, number: u32) -> Result<Restored> {
        let base = self.authored(number)?;
        formats::recheck(&format!("release {number}"), base.entries())?;
        let mut signature = self.signature.clone();
        signature.reason.get_or_insert_with(|| format!("release {number} restored"));
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let before = draft::load(connection, kb.id)?;
            let words_before = words::load(connection, kb.id)?;
            draft::replace(connection, &self.name, &base, &signature)?;
            // The entries have taken numbers.
            let kb = draft::known(connection, &self.name)?;
            words::replace(connection, &kb, base.lexicon(), &signature)?;
            let kb = draft::known(connection, &self.name)?;
            let service = service::replace(connection, &kb, base.service(), &signature)?;
            Ok(Restored {
                release: number,
                diff: Diff::between(&before, base.entries()),
                lexicon: words_before.changes(base.lexicon()),
                service,
            })
        })
    }
}

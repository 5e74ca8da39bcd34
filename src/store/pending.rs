//! Which entries of the draft do customers not get yet?
//!
//! One reckoning for the numbers, the lists and the comparisons: the draft against
//! what is live now, which is the release that is served with the live edits on top.
//! After a rollback that is what the draft had when that release was published,
//! however long ago. An entry that was changed and changed back does not wait.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::Shelf;
use super::database::schema::{entries, revisions};
use super::database::{Connection, Outcome};
use super::draft::{self, Kb};
use super::edit::held;
use crate::error::{Error, Result};
use crate::kb::{Entry, EntryId, KnowledgeBase};

/// Revisions whose content is fetched at a time.
const FETCHED: usize = 500;

/// An entry that the draft and customers have otherwise.
pub(super) struct Waiting {
    pub(super) id: EntryId,
    /// As customers get it, or as it was when it was switched off for them; `None`
    /// when they never got it.
    pub(super) live: Option<Entry>,
    /// As the draft has it; `None` when it has it no more.
    pub(super) draft: Option<Entry>,
}

/// The entries that wait for a publication, or the one of an id if it does.
pub(super) fn waiting(connection: &mut Connection, kb: &Kb, only: Option<&EntryId>) -> Outcome<Vec<Waiting>> {
    let published = draft::Reach::of(connection, kb)?.released;
    let mut touched = revisions::table
        .filter(revisions::kb.eq(kb.id))
        .filter(revisions::number.gt(published))
        .order(revisions::number)
        .select((revisions::entry, revisions::number, revisions::live, revisions::content))
        .into_boxed();
    if let Some(id) = only {
        touched = touched.filter(revisions::entry.eq(&id.0));
    }
    let rows: Vec<(String, i64, bool, Option<String>)> = touched.load(connection)?;
    // What customers have of each: the last live edit, or else what was published.
    let mut live: BTreeMap<String, Option<Option<String>>> = BTreeMap::new();
    for (entry, number, is_live, content) in rows {
        let known = live.entry(entry).or_default();
        if is_live && number > kb.live_from {
            *known = Some(content);
        }
    }
    if live.is_empty() {
        return Ok(Vec::new());
    }
    let mut before = contents_until(connection, kb.id, published, &live)?;
    let mut now = draft_of(connection, kb.id, published, only)?;
    let mut found = Vec::new();
    for (id, edited) in live {
        let served = edited.unwrap_or_else(|| before.remove(&id).flatten());
        let draft = now.remove(&id);
        if served == draft {
            continue;
        }
        let read =
            |content: Option<String>| content.map(|content| draft::parse(&id, Some(&content))).transpose();
        let (served, draft) = (read(served)?, read(draft)?);
        // Written by another version, and the same entry all the same.
        if served != draft {
            found.push(Waiting { id: EntryId(id), live: served, draft });
        }
    }
    Ok(found)
}

/// What some entries were at a revision; `None` for those that were removed.
fn contents_until(
    connection: &mut Connection,
    kb: i32,
    until: i64,
    wanted: &BTreeMap<String, Option<Option<String>>>,
) -> Outcome<HashMap<String, Option<String>>> {
    if until == 0 {
        return Ok(HashMap::new());
    }
    let last: Vec<(String, Option<i64>)> = revisions::table
        .filter(revisions::kb.eq(kb))
        .filter(revisions::number.le(until))
        .group_by(revisions::entry)
        .select((revisions::entry, diesel::dsl::max(revisions::number)))
        .load(connection)?;
    let numbers: Vec<i64> = last
        .into_iter()
        .filter(|(entry, _)| wanted.get(entry).is_some_and(Option::is_none))
        .filter_map(|(_, number)| number)
        .collect();
    let mut contents = HashMap::with_capacity(numbers.len());
    for some in numbers.chunks(FETCHED) {
        let rows: Vec<(String, Option<String>)> = revisions::table
            .filter(revisions::kb.eq(kb))
            .filter(revisions::number.eq_any(some))
            .select((revisions::entry, revisions::content))
            .load(connection)?;
        contents.extend(rows);
    }
    Ok(contents)
}

/// What the draft has of entries that were changed after a revision.
fn draft_of(
    connection: &mut Connection,
    kb: i32,
    after: i64,
    only: Option<&EntryId>,
) -> Outcome<HashMap<String, String>> {
    let mut rows = entries::table
        .inner_join(revisions::table.on(held()))
        .filter(entries::kb.eq(kb))
        .filter(entries::revision.gt(after))
        .select((entries::id, revisions::content))
        .into_boxed();
    if let Some(id) = only {
        rows = rows.filter(entries::id.eq(&id.0));
    }
    let rows: Vec<(String, Option<String>)> = rows.load(connection)?;
    Ok(rows.into_iter().filter_map(|(id, content)| Some((id, content?))).collect())
}

impl Shelf {
    /// What customers get now, as authors have it: with the entries that are switched
    /// off, and in the order of the draft.
    ///
    /// # Errors
    /// [`Error::Refused`] when nothing was published; when the release cannot be read.
    pub fn live(&self) -> Result<KnowledgeBase> {
        let served = self.served()?.ok_or_else(|| Error::Refused("nothing was published yet".to_owned()))?;
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(None) };
            let waiting = waiting(connection, &kb, None)?;
            Ok(Some((draft::load(connection, kb.id)?, waiting)))
        })?;
        let (mut entries, waiting) = found.flatten().unwrap_or_default();
        let mut live: HashMap<EntryId, Option<Entry>> =
            waiting.into_iter().map(|one| (one.id, one.live)).collect();
        entries =
            entries.into_iter().filter_map(|entry| live.remove(&entry.id).unwrap_or(Some(entry))).collect();
        let mut gone: Vec<Entry> = live.into_values().flatten().collect();
        gone.sort_by(|one, other| one.id.cmp(&other.id));
        entries.extend(gone);
        Ok(KnowledgeBase::of_validated(entries)
            .with_lexicon(served.lexicon().clone())
            .with_service(served.service().to_owned()))
    }
}

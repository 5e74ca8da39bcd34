//! How is what somebody did to the draft taken back?
//!
//! Every change of an entry says what was there before. Taking back a stretch of
//! the history puts that in its place again, unless somebody has changed the entry
//! since: theirs stays.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;

use super::database::schema::revisions;
use super::{Edit, Expected, IgnoredColumns, Shelf, draft};
use crate::error::{Error, Result};
use crate::kb::diff::Diff;
use crate::kb::{Entry, EntryId, KnowledgeBase, formats};

/// Revisions that are read at a time.
const PAGE: usize = 1_000;

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rewound {
    /// The draft now against the draft before.
    pub diff: Diff,
    /// Entries that somebody has changed since; they stay as they are.
    pub kept: Vec<EntryId>,
    /// Entries that customers had got at once: they get what was there before, too.
    pub live: Vec<EntryId>,
    /// Such entries of which customers had never got what was there before: they keep what
    /// they have until the next publication.
    pub still_live: Vec<EntryId>,
}

/// What a stretch of the history did.
struct Stretch {
    /// By entry that nobody has changed since: what was there before its first revision.
    before: HashMap<EntryId, Option<Entry>>,
    /// Those that somebody has changed since.
    kept: Vec<EntryId>,
    /// Those of `before` that customers had got at once.
    at_once: Vec<(EntryId, Option<Entry>)>,
}

impl Shelf {
    /// Takes back what was done to entries after one revision and up to another one,
    /// both by their numbers; it is in the history like any other change. What customers
    /// got at once is taken back for them too, where they had what was there before.
    ///
    /// # Errors
    /// [`Error::Corpus`] when what was there before contradicts what was added since.
    pub fn rewind(&self, after: i64, until: i64) -> Result<Rewound> {
        let (stretch, diff, written) = loop {
            let seen = self.head()?.map_or(0, |head| head.revision);
            let stretch = self.stretch(after, until)?;
            let (mut before, order) = (stretch.before.clone(), self.order_of_arrival()?);
            let (mut diff, mut is_moved) = (Diff::default(), false);
            let changed = self.change_draft_at(IgnoredColumns::default(), |draft, revision| {
                is_moved = revision != seen;
                if is_moved {
                    return Err(Error::Conflict("the draft has changed meanwhile".to_owned()));
                }
                let mut entries = Vec::with_capacity(draft.entries().len());
                for entry in draft.entries() {
                    match before.remove(&entry.id) {
                        None => entries.push(entry.clone()),
                        Some(Some(old)) => entries.push(old),
                        Some(None) => {}
                    }
                }
                let entries = in_place(entries, before.into_values().flatten().collect(), &order);
                formats::recheck("draft", &entries)?;
                diff = Diff::between(draft.entries(), &entries);
                Ok(KnowledgeBase::of_validated(entries))
            });
            // What somebody has changed in between is theirs, and looked at again.
            if !is_moved {
                let (_, until) = changed?;
                break (stretch, diff, until);
            }
        };
        let Stretch { before, kept, at_once } = stretch;
        let back: Vec<EntryId> = before.keys().cloned().collect();
        // What was suggested, and is in the draft no more, is open again.
        self.reopen_accepted(&back, (after, until))?;
        let mut done = Rewound { diff, kept, live: Vec::new(), still_live: Vec::new() };
        if at_once.is_empty() {
            return Ok(done);
        }
        let reach = self.store.database.read(|connection| {
            let kb = draft::known(connection, &self.name)?;
            draft::Reach::of(connection, &kb)
        })?;
        let Some(reach) = reach else { return Ok(done) };
        for (id, old) in at_once {
            let last = self.history(Some(&id), Some(after + 1), 1)?.pop();
            let was_served = last.is_none_or(|last| !reach.lacks(last.number, last.live));
            if !was_served {
                done.still_live.push(id);
                continue;
            }
            // What somebody has done to it in this moment is theirs.
            let now = self.entry(&id)?.map(|stored| stored.revision);
            let is_theirs = now.is_some_and(|revision| revision > written) || now.is_some() != old.is_some();
            let expected = now.map_or(Expected::Anything, |revision| Expected::Revisions(vec![revision]));
            let edit = old.map_or(Edit::Remove, Edit::Put);
            match if is_theirs { Ok(None) } else { self.edit(&id, edit, &expected, true).map(Some) } {
                Ok(Some(_)) => done.live.push(id),
                Ok(None) | Err(Error::Stale { .. } | Error::NoEntry { .. }) => done.kept.push(id),
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    /// What was done to entries in a stretch of the history, and by others since.
    fn stretch(&self, after: i64, until: i64) -> Result<Stretch> {
        let mut before: HashMap<EntryId, Option<Entry>> = HashMap::new();
        let mut since: HashSet<EntryId> = HashSet::new();
        let mut at_once: HashSet<EntryId> = HashSet::new();
        let mut below = None;
        'pages: loop {
            let page = self.history(None, below, PAGE)?;
            let Some(last) = page.last() else { break };
            below = Some(last.number);
            for revision in page {
                if revision.number <= after {
                    break 'pages;
                }
                let Some(id) = revision.entry else { continue };
                if revision.number > until {
                    since.insert(id);
                    continue;
                }
                if revision.live {
                    at_once.insert(id.clone());
                }
                let entry = revision.before.map(serde_json::from_value).transpose();
                before.insert(id, entry.map_err(|e| Error::internal("rewind", e))?);
            }
        }
        let mut kept: Vec<EntryId> = before.keys().filter(|id| since.contains(*id)).cloned().collect();
        kept.sort();
        before.retain(|id, _| !since.contains(id));
        let mut at_once: Vec<(EntryId, Option<Entry>)> = before
            .iter()
            .filter(|(id, _)| at_once.contains(id))
            .map(|(id, old)| (id.clone(), old.clone()))
            .collect();
        at_once.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Stretch { before, kept, at_once })
    }

    /// By entry, when it came first: that is where authors look for it.
    fn order_of_arrival(&self) -> Result<HashMap<EntryId, i64>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(revisions::table
                .filter(revisions::kb.eq(kb.id))
                .group_by(revisions::entry)
                .select((revisions::entry, diesel::dsl::min(revisions::number)))
                .load::<(String, Option<i64>)>(connection)?)
        })?;
        let found = found.unwrap_or_default();
        Ok(found.into_iter().filter_map(|(id, number)| Some((EntryId(id), number?))).collect())
    }
}

/// Puts what comes back behind the entry that came just before it, of those that are
/// there: a record does not say which place a removed entry had.
fn in_place(there: Vec<Entry>, mut back: Vec<Entry>, order: &HashMap<EntryId, i64>) -> Vec<Entry> {
    let rank = |entry: &Entry| order.get(&entry.id).copied().unwrap_or(i64::MAX);
    back.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| one.id.cmp(&other.id)));
    let places: BTreeMap<i64, usize> = there.iter().enumerate().map(|(at, one)| (rank(one), at)).collect();
    let mut behind: Vec<Vec<Entry>> = vec![Vec::new(); there.len() + 1];
    for entry in back {
        let before = places.range(..rank(&entry)).next_back();
        behind[before.map_or(0, |(_, at)| at + 1)].push(entry);
    }
    let mut behind = behind.into_iter();
    let mut entries = behind.next().unwrap_or_default();
    for (entry, followers) in there.into_iter().zip(behind) {
        entries.push(entry);
        entries.extend(followers);
    }
    entries
}

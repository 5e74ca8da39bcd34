//! How is one entry changed?
//!
//! Whoever changes an entry says which state of it they saw; when somebody
//! else was faster, nothing happens and they hear of it. An edit is one
//! transaction: the draft, its history, and the mark that it is served at once.

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;
use serde_json::Value;

use super::database::schema::{entries, revisions};
use super::database::{Connection, Outcome, lower};
use super::draft::{self, Action};
use super::pattern::{ESCAPE, holding};
use super::{Shelf, pending};
use crate::engine::Change;
use crate::error::{Error, Result};
use crate::kb::{Entry, EntryId};

/// The state of an entry that an edit is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Anything,
    /// It is there, in whatever state.
    Present,
    /// It is not there.
    Absent,
    /// It is there in one of these states.
    Revisions(Vec<i64>),
}

impl Expected {
    /// Whether a state is the expected one; `None` when it is not there.
    pub fn allows(&self, current: Option<i64>) -> bool {
        match self {
            Self::Anything => true,
            Self::Present => current.is_some(),
            Self::Absent => current.is_none(),
            Self::Revisions(seen) => current.is_some_and(|revision| seen.contains(&revision)),
        }
    }
}

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once per edit and moved once")]
pub enum Edit {
    /// It is this from now on.
    Put(Entry),
    /// It is switched on or off.
    Enable(bool),
    /// It is removed.
    Remove,
}

/// An entry of the draft.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stored {
    /// The entry.
    pub entry: Entry,
    /// The revision that holds it: what an edit has to name.
    pub revision: i64,
    /// When it got that way, RFC 3339 in UTC.
    pub at: String,
    /// By whom.
    pub author: String,
}

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edited {
    /// What was done; `None` when the entry was like that already.
    pub action: Option<Action>,
    /// The revision that holds the entry now, or its removal.
    pub revision: i64,
    /// Whether customers get it without a publication.
    pub live: bool,
    /// The entry now; `None` when it was removed.
    pub entry: Option<Entry>,
}

/// Which entries of a draft are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only entries after this place.
    pub after: Option<i64>,
    /// Only entries with this text in them.
    pub text: Option<String>,
    /// Only entries that are on, or off.
    pub enabled: Option<bool>,
    /// Only entries of this topic.
    pub topic: Option<String>,
    /// Only entries whose record has this tag, or the same text as an item of another
    /// list; who wants to be sure looks at them ([`Shelf::entries_where`]).
    pub tag: Option<String>,
    /// Only entries that customers get only with the next publication.
    pub pending: bool,
    /// At most this many.
    pub limit: usize,
}

/// Some entries of a draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In the author's order.
    pub items: Vec<Stored>,
    /// What [`Filter::after`] has to be for the next ones; `None` at the end.
    pub next: Option<i64>,
    /// How many entries there are on all pages.
    pub total: i64,
}

/// Live edits of some time.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveChanges {
    /// Oldest first; of every entry the last edit, and its last removal
    /// before that, which frees its place.
    pub changes: Vec<Change>,
    /// The service document, if an edit has put another one in its place.
    pub service: Option<String>,
    /// How many edits of entries there were.
    pub edits: usize,
    /// The revision of the last edit of any kind.
    pub last: i64,
}

/// Entries that a statement can name.
const NAMED: usize = 30_000;

type Found = (i64, i64, String, Option<String>, String, String);

/// The columns of [`Found`].
macro_rules! columns {
    () => {
        (
            entries::position,
            entries::revision,
            entries::id,
            revisions::content,
            revisions::at,
            revisions::author,
        )
    };
}

/// Whether a text, in small letters, stands in something that an author has written into an
/// entry; case counts for no Latin letter.
fn has_text(entry: &Entry, text: &str) -> bool {
    fn stands(value: &Value, text: &str) -> bool {
        match value {
            Value::String(own) => own.to_ascii_lowercase().contains(text),
            Value::Array(items) => items.iter().any(|item| stands(item, text)),
            Value::Object(fields) => fields.values().any(|field| stands(field, text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    serde_json::to_value(entry).is_ok_and(|value| stands(&value, text))
}

impl Shelf {
    /// An entry of the draft; `None` when there is none with the id.
    pub fn entry(&self, id: &EntryId) -> Result<Option<Stored>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(None) };
            Ok(stored(connection, kb.id, id)?.map(|(stored, _)| stored))
        })?;
        Ok(found.flatten())
    }

    /// Entries of the draft, page by page.
    pub fn entries(&self, filter: &Filter) -> Result<Page> {
        match filter.text {
            // What stands in the record may be the name of a field.
            Some(_) => self.entries_where(filter, |_| true, |_| ()),
            None => self.listed(filter, false),
        }
    }

    /// The entries that a filter finds, whatever their number, that pass `keep` too;
    /// the highest `rank` first, then in the author's order. `after` and `next` count
    /// entries here.
    pub fn entries_where<R: Ord>(
        &self,
        filter: &Filter,
        keep: impl Fn(&Entry) -> bool,
        rank: impl Fn(&Entry) -> R,
    ) -> Result<Page> {
        let mut items = self.listed(filter, true)?.items;
        let text = filter.text.as_ref().map(|text| text.to_ascii_lowercase());
        let has_text = |entry: &Entry| text.as_ref().is_none_or(|text| has_text(entry, text));
        items.retain(|stored| has_text(&stored.entry) && keep(&stored.entry));
        items.sort_by_cached_key(|stored| std::cmp::Reverse(rank(&stored.entry)));
        let from = filter.after.and_then(|after| usize::try_from(after).ok()).unwrap_or(0);
        let (total, until) = (items.len(), from.saturating_add(filter.limit));
        let next = (until < total).then(|| i64::try_from(until).unwrap_or(i64::MAX));
        let items = items.into_iter().skip(from).take(filter.limit).collect();
        Ok(Page { items, next, total: i64::try_from(total).unwrap_or(i64::MAX) })
    }

    /// A page, or all that there is.
    fn listed(&self, filter: &Filter, all: bool) -> Result<Page> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok((Vec::new(), 0)) };
            let waiting: Vec<String> = match filter.pending {
                true => pending::waiting(connection, &kb, None)?.into_iter().map(|one| one.id.0).collect(),
                false => Vec::new(),
            };
            let query = || {
                let mut query = entries::table
                    .inner_join(revisions::table.on(held()))
                    .filter(entries::kb.eq(kb.id))
                    .into_boxed();
                if let Some(text) = &filter.text {
                    // As it stands in the record.
                    let quoted = serde_json::to_string(text).map_err(|e| Error::internal("store", e))?;
                    let pattern = holding(&quoted[1..quoted.len() - 1].to_ascii_lowercase());
                    query = query.filter(lower(revisions::content).like(pattern).escape(ESCAPE));
                }
                if let Some(enabled) = filter.enabled {
                    query = query.filter(
                        revisions::content.like(holding(&format!("\"enabled\":{enabled}"))).escape(ESCAPE),
                    );
                }
                if let Some(topic) = &filter.topic {
                    let quoted = serde_json::to_string(topic).map_err(|e| Error::internal("store", e))?;
                    query = query.filter(
                        revisions::content.like(holding(&format!("\"topic\":{quoted}"))).escape(ESCAPE),
                    );
                }
                if let Some(tag) = &filter.tag {
                    let quoted = serde_json::to_string(tag).map_err(|e| Error::internal("store", e))?;
                    query = query.filter(revisions::content.like(holding(&quoted)).escape(ESCAPE));
                }
                // So many are a first import; a statement cannot name them all.
                if filter.pending && waiting.len() < NAMED {
                    query = query.filter(entries::id.eq_any(&waiting));
                }
                Ok::<_, Error>(query)
            };
            let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX).saturating_add(1);
            let mut page = query()?;
            if all {
                let rows = page.order(entries::position).select(columns!()).load::<Found>(connection)?;
                return Ok((rows, 0));
            }
            if let Some(after) = filter.after {
                page = page.filter(entries::position.gt(after));
            }
            let page =
                page.order(entries::position).limit(limit).select(columns!()).load::<Found>(connection)?;
            Ok((page, query()?.count().get_result::<i64>(connection)?))
        })?;
        let (mut rows, total) = found.unwrap_or_default();
        let more = !all && rows.len() > filter.limit;
        if !all {
            rows.truncate(filter.limit);
        }
        let next = rows.last().filter(|_| more).map(|row| row.0);
        let items = rows.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Page { items, next, total })
    }

    /// Changes one entry. With `live`, customers get it at once, on top of
    /// the release that is served; otherwise with the next publication.
    ///
    /// # Errors
    /// [`Error::Stale`] when the entry is not what was expected;
    /// [`Error::Corpus`] when it would be an error in a check, naming the
    /// field; [`Error::Taken`] when another entry has one of its questions or
    /// keywords; [`Error::NoEntry`] when it is not there to be changed.
    pub fn edit(&self, id: &EntryId, edit: Edit, expected: &Expected, live: bool) -> Result<Edited> {
        // What only customers know can still be switched off and on and be removed.
        let again = match &edit {
            Edit::Enable(_) | Edit::Remove if live => Some(edit.clone()),
            _ => None,
        };
        let outcome = self.edit_draft(id, edit, expected, live);
        let (Some(again), Err(Error::NoEntry { .. } | Error::Stale { current: None, .. })) =
            (again, &outcome)
        else {
            return outcome;
        };
        match self.edit_served(id, &again, expected) {
            Err(Error::NoEntry { .. }) => outcome,
            found => found,
        }
    }

    /// The live edits after a revision.
    pub fn live_changes(&self, after: i64) -> Result<LiveChanges> {
        type Live = (i64, String, Option<String>);
        type Found = (Vec<Live>, Option<(i64, String)>);
        let found: Option<Found> = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Found::default()) };
            if kb.live_to <= after {
                return Ok(Found::default());
            }
            let service = Self::live_service(connection, kb.id, after)?;
            let rows = revisions::table
                .filter(revisions::kb.eq(kb.id))
                .filter(revisions::number.gt(after))
                .filter(revisions::live.eq(true))
                .order(revisions::number)
                .select((revisions::number, revisions::entry, revisions::content))
                .load(connection)?;
            Ok((rows, service))
        })?;
        let (rows, service) = found.unwrap_or_default();
        let edits = rows.len();
        let last = rows.last().map_or(after, |row| row.0);
        let last = service.as_ref().map_or(last, |(number, _)| last.max(*number));
        let service = service.map(|(_, text)| text);
        Ok(LiveChanges { changes: folded(rows)?, service, edits, last })
    }
}

/// The revision that holds an entry.
#[diesel::dsl::auto_type]
pub(super) fn held() -> _ {
    revisions::kb.eq(entries::kb).and(revisions::number.eq(entries::revision))
}

fn read((_, revision, id, content, at, author): Found) -> Result<Stored> {
    Ok(Stored { entry: draft::parse(&id, content.as_deref())?, revision, at, author })
}

/// An entry with its place in the author's order.
pub(super) fn stored(connection: &mut Connection, kb: i32, id: &EntryId) -> Outcome<Option<(Stored, i64)>> {
    let found: Option<Found> = entries::table
        .inner_join(revisions::table.on(held()))
        .filter(entries::kb.eq(kb))
        .filter(entries::id.eq(&id.0))
        .select(columns!())
        .first(connection)
        .optional()?;
    Ok(found
        .map(|found| (found.0, read(found)))
        .map(|(place, stored)| stored.map(|s| (s, place)))
        .transpose()?)
}

fn folded(rows: Vec<(i64, String, Option<String>)>) -> Result<Vec<Change>> {
    /// By entry: its last removal, and since then where it came and what it is.
    #[derive(Default)]
    struct Fate {
        removed: Option<i64>,
        put: Option<(i64, Entry)>,
    }
    let mut fates: std::collections::HashMap<String, Fate> = std::collections::HashMap::new();
    for (number, id, content) in rows {
        let entry = content.map(|content| draft::parse(&id, Some(&content))).transpose()?;
        let fate = fates.entry(id).or_default();
        match entry.filter(|entry| entry.enabled) {
            None => *fate = Fate { removed: Some(number), put: None },
            Some(entry) => {
                let came = fate.put.as_ref().map_or(number, |(came, _)| *came);
                fate.put = Some((came, entry));
            }
        }
    }
    let mut changes: Vec<Change> = fates
        .into_iter()
        .flat_map(|(id, fate)| {
            let id = EntryId(id);
            let removal = fate.removed.map(|revision| Change { revision, id: id.clone(), entry: None });
            let put = fate.put.map(|(revision, entry)| Change { revision, id, entry: Some(entry) });
            removal.into_iter().chain(put)
        })
        .collect();
    changes.sort_by_key(|change| change.revision);
    Ok(changes)
}

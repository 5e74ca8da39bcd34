//! How is one entry changed?
//!
//! Whoever changes an entry says which state of it they saw; when somebody
//! else was faster, nothing happens and they hear of it. An edit is one
//! transaction: the draft, its history, and the mark that it is served at once.

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;

use super::Shelf;
use super::database::schema::{claims, entries, kbs, revisions};
use super::database::{Connection, Outcome, lower};
use super::draft::{self, Action, Kb, Row};
use super::signature::now;
use crate::engine::Change;
use crate::error::{Error, Problem, Result};
use crate::kb::check::{Severity, check};
use crate::kb::{Entry, EntryId, KnowledgeBase};

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

/// The longest id or topic, in characters.
const LABEL_CHARS: usize = 1_000;

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
        self.listed(filter, false)
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
        items.retain(|stored| keep(&stored.entry));
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
            let query = || {
                let mut query = entries::table
                    .inner_join(revisions::table.on(held()))
                    .filter(entries::kb.eq(kb.id))
                    .into_boxed();
                if let Some(text) = &filter.text {
                    // As it stands in the record.
                    let quoted = serde_json::to_string(text).map_err(|e| Error::internal("store", e))?;
                    let pattern = with(&quoted[1..quoted.len() - 1].to_ascii_lowercase());
                    query = query.filter(lower(revisions::content).like(pattern).escape('!'));
                }
                if let Some(enabled) = filter.enabled {
                    query = query
                        .filter(revisions::content.like(with(&format!("\"enabled\":{enabled}"))).escape('!'));
                }
                if let Some(topic) = &filter.topic {
                    let quoted = serde_json::to_string(topic).map_err(|e| Error::internal("store", e))?;
                    query = query
                        .filter(revisions::content.like(with(&format!("\"topic\":{quoted}"))).escape('!'));
                }
                if let Some(tag) = &filter.tag {
                    let quoted = serde_json::to_string(tag).map_err(|e| Error::internal("store", e))?;
                    query = query.filter(revisions::content.like(with(&quoted)).escape('!'));
                }
                if filter.pending {
                    query =
                        query.filter(entries::revision.gt(kb.live_from)).filter(revisions::live.eq(false));
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

    fn edit_draft(&self, id: &EntryId, edit: Edit, expected: &Expected, live: bool) -> Result<Edited> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let known = stored(connection, kb.id, id)?;
            let current = known.as_ref().map(|(stored, _)| stored.revision);
            if !expected.allows(current) {
                return Err(Error::stale(id, current).into());
            }
            let before = known.as_ref().map(|(stored, _)| &stored.entry);
            let after = match (edit, before) {
                (Edit::Put(entry), _) => Some(entry),
                (Edit::Enable(enabled), Some(before)) => Some(Entry { enabled, ..before.clone() }),
                (Edit::Remove, Some(_)) => None,
                (Edit::Enable(_) | Edit::Remove, None) => {
                    return Err(Error::NoEntry { kb: self.name.clone(), entry: id.0.clone() }.into());
                }
            };
            let live = live && kb.current.is_some();
            if let (Some(entry), Some((stored, _))) = (&after, &known)
                && *entry == stored.entry
                && !(live && pending(connection, &kb, stored.revision)?)
            {
                let (entry, revision) = (Some(entry.clone()), stored.revision);
                return Ok(Edited { action: None, revision, live, entry });
            }
            if let Some(entry) = &after {
                sound(id, entry)?;
                free(connection, kb.id, entry)?;
            }
            let action = Action::between(before, after.as_ref());
            let place = match known.as_ref() {
                Some((_, place)) => *place,
                None => last_place(connection, kb.id)? + 1,
            };
            let row = Row {
                kb: kb.id,
                number: kb.revision + 1,
                entry: id.0.clone(),
                action: action.name().to_owned(),
                content: after.as_ref().map(draft::written).transpose()?,
                previous: current,
                at: now(),
                author: self.signature.author.clone(),
                reason: self.signature.reason.clone(),
                live,
            };
            diesel::insert_into(revisions::table).values(&row).execute(connection)?;
            draft::disclaim(connection, kb.id, &id.0)?;
            match &after {
                Some(entry) => {
                    draft::point(connection, kb.id, id, place, row.number)?;
                    for (kind, text, _) in draft::claims_of(entry) {
                        draft::claim(connection, kb.id, kind, &text, id)?;
                    }
                }
                None => {
                    diesel::delete(entries::table.find((kb.id, &id.0))).execute(connection)?;
                }
            }
            let live_to = if live { row.number } else { kb.live_to };
            diesel::update(kbs::table.find(kb.id))
                .set((kbs::revision.eq(row.number), kbs::live_to.eq(live_to)))
                .execute(connection)?;
            Ok(Edited { action: Some(action), revision: row.number, live, entry: after })
        })
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

/// The pattern of records with a text in them.
fn with(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
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

fn last_place(connection: &mut Connection, kb: i32) -> Outcome<i64> {
    let last: Option<i64> = entries::table
        .filter(entries::kb.eq(kb))
        .select(diesel::dsl::max(entries::position))
        .first(connection)?;
    Ok(last.unwrap_or(0))
}

/// Whether a revision of an entry waits for a publication: then saying it
/// again makes it live.
fn pending(connection: &mut Connection, kb: &Kb, revision: i64) -> Outcome<bool> {
    if revision <= kb.live_from {
        return Ok(false);
    }
    let live: Option<bool> =
        revisions::table.find((kb.id, revision)).select(revisions::live).first(connection).optional()?;
    Ok(live == Some(false))
}

/// Refuses an entry that would be an error in a check.
fn sound(id: &EntryId, entry: &Entry) -> Result<()> {
    let problem = |field: &str, message: String| Problem {
        file: id.0.clone(),
        line: 0,
        column: 0,
        field: Some(field.to_owned()),
        message,
    };
    if entry.id != *id {
        let message = format!("编号“{}”与要修改的条目“{id}”不同；编号不能修改", entry.id);
        return Err(Error::Corpus(vec![problem("id", message)]));
    }
    for (field, text) in [("id", Some(&entry.id.0)), ("topic", entry.topic.as_ref())] {
        let chars = text.map_or(0, |text| text.chars().count());
        if chars > LABEL_CHARS {
            let message = format!("有 {chars} 个字，最多 {LABEL_CHARS} 个");
            return Err(Error::Corpus(vec![problem(field, message)]));
        }
    }
    if !entry.enabled {
        return Ok(());
    }
    let base = KnowledgeBase::of_validated(vec![entry.clone()]);
    let problems: Vec<Problem> = check(&base, time::OffsetDateTime::now_utc())
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| {
            let field = if finding.code.contains("answer") { "answer" } else { "question" };
            problem(field, format!("{}；{}", finding.message, finding.fix))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Corpus(problems)) }
}

/// Refuses an entry that claims what another one has.
fn free(connection: &mut Connection, kb: i32, entry: &Entry) -> Outcome<()> {
    for (kind, text, field) in draft::claims_of(entry) {
        let owner: Option<String> =
            claims::table.find((kb, kind, &text)).select(claims::entry).first(connection).optional()?;
        let Some(owner) = owner.filter(|owner| *owner != entry.id.0) else { continue };
        // What it claimed under the rules of an older version it may have no more.
        let holder = stored(connection, kb, &EntryId(owner.clone()))?.map(|(stored, _)| stored.entry);
        let Some(holder) = holder.filter(|one| {
            draft::claims_of(one).iter().any(|(other, claimed, _)| *other == kind && *claimed == text)
        }) else {
            continue;
        };
        let (entry, question) = (entry.id.0.clone(), holder.question);
        return Err(Error::Taken { entry, field, text, owner, question }.into());
    }
    Ok(())
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

//! What do the authors have, and how did it come to be?
//!
//! A draft is a list of entries, each of which points at the revision that
//! holds its content. A revision is never changed or removed.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;
use serde_json::Value;

use super::database::schema::{claims, entries, kbs, releases, revisions};
use super::database::upsert::OnConflict;
use super::database::{Connection, Outcome};
use super::deletions;
use super::signature::{Signature, now};
use crate::error::{Error, Result};
use crate::kb::{Entry, EntryId, KnowledgeBase};
use crate::text::exact_key;

/// A knowledge base's row.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = kbs)]
pub(super) struct Kb {
    pub id: i32,
    pub name: String,
    pub current: Option<i32>,
    pub revision: i64,
    pub live_from: i64,
    pub live_to: i64,
    pub max_wrong: Option<f64>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = revisions)]
pub(super) struct Row {
    pub kb: i32,
    pub number: i64,
    pub entry: String,
    pub action: String,
    pub content: Option<String>,
    pub previous: Option<i64>,
    pub at: String,
    pub author: String,
    pub reason: Option<String>,
    pub live: bool,
}

/// What a revision did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The entry is new.
    Add,
    /// The entry was changed.
    Change,
    /// The entry was removed.
    Remove,
    /// The entry was switched on, and nothing else.
    Enable,
    /// The entry was switched off, and nothing else.
    Disable,
}

impl Action {
    const ALL: [Self; 5] = [Self::Add, Self::Change, Self::Remove, Self::Enable, Self::Disable];

    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }

    /// What a record means by a name.
    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|action| action.name() == name).unwrap_or(Self::Change)
    }

    /// What leads from one state of an entry to another one.
    pub(super) fn between(before: Option<&Entry>, after: Option<&Entry>) -> Self {
        match (before, after) {
            (None, _) => Self::Add,
            (_, None) => Self::Remove,
            (Some(before), Some(after)) => {
                let switched = Entry { enabled: after.enabled, ..before.clone() };
                match (switched == *after && before.enabled != after.enabled, after.enabled) {
                    (true, true) => Self::Enable,
                    (true, false) => Self::Disable,
                    (false, _) => Self::Change,
                }
            }
        }
    }
}

/// One change of one entry, or of one line of the lexicon.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Revision {
    /// Counts up from 1 within a knowledge base.
    pub number: i64,
    /// The entry's id; `null` for a line of the lexicon.
    #[schema(value_type = Option<String>)]
    pub entry: Option<EntryId>,
    /// What was done.
    pub action: Action,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// By whom.
    pub author: String,
    /// Why, if the author said so.
    pub reason: Option<String>,
    /// Whether customers got it at once, without a publication.
    pub live: bool,
    /// The entry or the line before; `null` when it is new.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// The entry or the line afterwards; `null` when it was removed.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

/// The row of a knowledge base, if it exists.
pub(super) fn find(connection: &mut Connection, name: &str) -> Outcome<Option<Kb>> {
    Ok(kbs::table.filter(kbs::name.eq(name)).select(Kb::as_select()).first(connection).optional()?)
}

/// What customers have of the revisions of a knowledge base.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// What the served release has in it ends with this revision. After a rollback that
    /// lies before …
    pub(super) released: i64,
    /// … the last one before which live edits count no more.
    pub(super) live_from: i64,
}

impl Reach {
    pub(super) fn of(connection: &mut Connection, kb: &Kb) -> Outcome<Self> {
        let recorded: Option<i64> = match kb.current {
            Some(number) => releases::table
                .find((kb.id, number))
                .select(releases::revision)
                .first(connection)
                .optional()?,
            None => None,
        };
        // A release that was found without a record does not say.
        let released = recorded.filter(|revision| *revision > 0).unwrap_or(kb.live_from);
        Ok(Self { released: released.min(kb.live_from), live_from: kb.live_from })
    }

    /// Whether customers get what a revision holds only with a publication.
    pub(super) fn lacks(self, revision: i64, live: bool) -> bool {
        revision > self.released && !(live && revision > self.live_from)
    }
}

/// The row of a knowledge base.
///
/// # Errors
/// When it does not exist.
pub(super) fn known(connection: &mut Connection, name: &str) -> Outcome<Kb> {
    if let Some(kb) = find(connection, name)? {
        return Ok(kb);
    }
    let known = kbs::table.order(kbs::name).select(kbs::name).load(connection)?;
    Err(Error::Unknown { what: "knowledge base", name: name.to_owned(), known }.into())
}

/// The row of a knowledge base, which is made if it does not exist.
fn find_or_create(connection: &mut Connection, name: &str) -> Outcome<Kb> {
    if let Some(known) = find(connection, name)? {
        return Ok(known);
    }
    let last: Option<i32> = kbs::table.select(diesel::dsl::max(kbs::id)).first(connection)?;
    let new = Kb {
        id: last.unwrap_or(0).max(deletions::last(connection)?) + 1,
        name: name.to_owned(),
        current: None,
        revision: 0,
        live_from: 0,
        live_to: 0,
        max_wrong: None,
    };
    diesel::insert_into(kbs::table)
        .values((
            kbs::id.eq(new.id),
            kbs::name.eq(name),
            kbs::revision.eq(0),
            kbs::live_from.eq(0),
            kbs::live_to.eq(0),
        ))
        .execute(connection)?;
    Ok(new)
}

/// Everything in the draft, in the author's order.
pub(super) fn load(connection: &mut Connection, kb: i32) -> Outcome<Vec<Entry>> {
    let contents: Vec<(String, Option<String>)> = entries::table
        .inner_join(
            revisions::table.on(revisions::kb.eq(entries::kb).and(revisions::number.eq(entries::revision))),
        )
        .filter(entries::kb.eq(kb))
        .order((entries::position, entries::id))
        .select((entries::id, revisions::content))
        .load(connection)?;
    contents.iter().map(|(id, content)| Ok(parse(id, content.as_deref())?)).collect()
}

/// The entry that a record holds.
pub(super) fn parse(id: &str, content: Option<&str>) -> Result<Entry> {
    let content =
        content.ok_or_else(|| Error::internal("store", format!("entry {id} points at its own removal")))?;
    serde_json::from_str(content).map_err(|e| Error::internal("store", format!("entry {id}: {e}")))
}

/// An entry as a record.
pub(super) fn written(entry: &Entry) -> Result<String> {
    serde_json::to_string(entry).map_err(|e| Error::internal("store", e))
}

/// An entry of the draft as it was.
struct Known {
    position: i64,
    revision: i64,
    content: Option<String>,
}

/// Makes a draft equal to some entries, with a revision for each that differs.
pub(super) fn replace(
    connection: &mut Connection,
    name: &str,
    base: &KnowledgeBase,
    signature: &Signature,
) -> Outcome<()> {
    let kb = find_or_create(connection, name)?;
    let known: Vec<(String, i64, i64, Option<String>)> = entries::table
        .inner_join(
            revisions::table.on(revisions::kb.eq(entries::kb).and(revisions::number.eq(entries::revision))),
        )
        .filter(entries::kb.eq(kb.id))
        .order((entries::position, entries::id))
        .select((entries::id, entries::position, entries::revision, revisions::content))
        .load(connection)?;
    let mut known: HashMap<String, Known> = known
        .into_iter()
        .map(|(id, position, revision, content)| (id, Known { position, revision, content }))
        .collect();
    let mut changes: Vec<(Option<&Entry>, i64, Row)> = Vec::new();
    let (mut number, at) = (kb.revision, now());
    let mut row = |entry: &EntryId, action: Action, content: Option<String>, previous: Option<i64>| {
        number += 1;
        Row {
            kb: kb.id,
            number,
            entry: entry.0.clone(),
            action: action.name().to_owned(),
            content,
            previous,
            at: at.clone(),
            author: signature.author.clone(),
            reason: signature.reason.clone(),
            live: false,
        }
    };
    for (position, entry) in (1i64..).zip(base.entries()) {
        let content = written(entry)?;
        match known.remove(&entry.id.0) {
            Some(old) if old.content.as_deref() == Some(&content) => {
                if old.position != position {
                    diesel::update(entries::table.find((kb.id, &entry.id.0)))
                        .set(entries::position.eq(position))
                        .execute(connection)?;
                }
            }
            Some(old) => {
                let before = parse(&entry.id.0, old.content.as_deref())?;
                // Written by another version, and the same entry all the same.
                let action = Action::between(Some(&before), Some(entry));
                changes.push((
                    Some(entry),
                    position,
                    row(&entry.id, action, Some(content), Some(old.revision)),
                ));
            }
            None => changes.push((Some(entry), position, row(&entry.id, Action::Add, Some(content), None))),
        }
    }
    let mut removed: Vec<(String, Known)> = known.into_iter().collect();
    removed.sort_by_key(|(_, old)| old.position);
    for (id, old) in removed {
        changes.push((None, old.position, row(&EntryId(id), Action::Remove, None, Some(old.revision))));
    }
    // Questions move between entries: all claims go before any is made.
    for (_, _, row) in &changes {
        if row.previous.is_some() {
            disclaim(connection, kb.id, &row.entry)?;
        }
    }
    for (entry, position, row) in changes {
        diesel::insert_into(revisions::table).values(&row).execute(connection)?;
        match entry {
            Some(entry) => {
                point(connection, kb.id, &entry.id, position, row.number)?;
                for (kind, text, _) in claims_of(entry) {
                    claim(connection, kb.id, kind, &text, &entry.id)?;
                }
            }
            None => {
                diesel::delete(entries::table.find((kb.id, &row.entry))).execute(connection)?;
            }
        }
    }
    diesel::update(kbs::table.find(kb.id)).set(kbs::revision.eq(number)).execute(connection)?;
    Ok(())
}

/// Puts an entry into the draft at a place, with the revision that holds it.
pub(super) fn point(
    connection: &mut Connection,
    kb: i32,
    id: &EntryId,
    position: i64,
    revision: i64,
) -> Outcome<()> {
    let place = (entries::position.eq(position), entries::revision.eq(revision));
    diesel::insert_into(entries::table)
        .values((entries::kb.eq(kb), entries::id.eq(&id.0), place))
        .or("(kb, id) DO UPDATE SET position = excluded.position, revision = excluded.revision")
        .execute(connection)?;
    Ok(())
}

/// What only one entry of a draft may have, with the field where it stands.
pub(super) fn claims_of(entry: &Entry) -> Vec<(&'static str, String, &'static str)> {
    let questions = entry
        .phrasings()
        .enumerate()
        .map(|(index, text)| ("question", exact_key(text), if index == 0 { "question" } else { "similar" }));
    let keywords = entry.keywords.iter().map(|text| ("keyword", exact_key(text), "keywords"));
    let mut seen = HashSet::new();
    questions.chain(keywords).filter(|(kind, text, _)| seen.insert((*kind, text.clone()))).collect()
}

/// Records that a question or a keyword belongs to an entry.
pub(super) fn claim(
    connection: &mut Connection,
    kb: i32,
    kind: &str,
    text: &str,
    entry: &EntryId,
) -> Outcome<()> {
    diesel::insert_into(claims::table)
        .values((claims::kb.eq(kb), claims::kind.eq(kind), claims::text.eq(text), claims::entry.eq(&entry.0)))
        // Whoever claims was looked at; what stands there was claimed by the
        // rules of an older version.
        .or("(kb, kind, text) DO UPDATE SET entry = excluded.entry")
        .execute(connection)?;
    Ok(())
}

/// Takes back every claim of an entry.
pub(super) fn disclaim(connection: &mut Connection, kb: i32, entry: &str) -> Outcome<()> {
    diesel::delete(claims::table.filter(claims::kb.eq(kb)).filter(claims::entry.eq(entry)))
        .execute(connection)?;
    Ok(())
}

/// The revisions of all entries or of one, newest first.
pub(super) fn history(
    connection: &mut Connection,
    kb: i32,
    entry: Option<&EntryId>,
    before: Option<i64>,
    limit: usize,
) -> Outcome<Vec<Revision>> {
    let mut query = revisions::table.filter(revisions::kb.eq(kb)).into_boxed();
    if let Some(entry) = entry {
        query = query.filter(revisions::entry.eq(&entry.0));
    }
    if let Some(before) = before {
        query = query.filter(revisions::number.lt(before));
    }
    let rows: Vec<Row> = query
        .order(revisions::number.desc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter()
        .map(|row| {
            let before = match row.previous {
                None => None,
                Some(number) => revisions::table
                    .find((kb, number))
                    .select(revisions::content)
                    .first::<Option<String>>(connection)
                    .optional()?
                    .flatten(),
            };
            let value = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
            Ok(Revision {
                number: row.number,
                entry: Some(EntryId(row.entry)),
                action: Action::named(&row.action),
                at: row.at,
                author: row.author,
                reason: row.reason,
                live: row.live,
                before: value(before),
                after: value(row.content),
            })
        })
        .collect()
}

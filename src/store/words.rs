//! Which words do the authors add, and how did it come to be?
//!
//! The lexicon of a draft is a list of lines, each of which points at the
//! revision that holds it, as the entries do; the numbers are one row, so that
//! one history tells of both.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::Shelf;
use super::database::schema::{kbs, lexicon, lexicon_revisions};
use super::database::{Connection, Outcome};
use super::draft::{self, Action, Kb, Revision};
use super::edit::Expected;
use super::signature::{Signature, now};
use crate::error::{Error, Result};
use crate::text::AuthoredLexicon;
use crate::text::lexicon::{Item, LexiconChanges};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = lexicon_revisions)]
struct Row {
    kb: i32,
    number: i64,
    action: String,
    before: Option<String>,
    content: Option<String>,
    at: String,
    author: String,
    reason: Option<String>,
}

/// The words that the authors add, at a moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Words {
    /// All lines.
    pub lexicon: AuthoredLexicon,
    /// The last revision of any line; 0 before the first one.
    pub revision: i64,
}

impl Shelf {
    /// The words that the authors add to the shipped ones.
    pub fn lexicon(&self) -> Result<AuthoredLexicon> {
        Ok(self.words()?.lexicon)
    }

    /// The same, with the revision that an edit has to name.
    pub fn words(&self) -> Result<Words> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Words::default()) };
            Ok(Words { lexicon: load(connection, kb.id)?, revision: last(connection, kb.id)? })
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The revisions of the words, newest first; with `before` only those with a lower
    /// number.
    pub fn words_history(&self, before: Option<i64>, limit: usize) -> Result<Vec<Revision>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            history(connection, kb.id, before, limit)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Makes the words what they were right after a revision; that is in the history
    /// like any other change. Says what differs, and the last revision afterwards.
    ///
    /// # Errors
    /// [`Error::Stale`] when the words are not what was expected.
    pub fn restore_words(&self, expected: &Expected, number: i64) -> Result<(LexiconChanges, i64)> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let current = Some(last(connection, kb.id)?);
            if !expected.allows(current) {
                return Err(Error::Stale { what: "the lexicon".to_owned(), current }.into());
            }
            let now = load(connection, kb.id)?;
            let mut items = now.items().to_vec();
            let later: Vec<Row> = lexicon_revisions::table
                .filter(lexicon_revisions::kb.eq(kb.id))
                .filter(lexicon_revisions::number.gt(number))
                .order(lexicon_revisions::number.desc())
                .select(Row::as_select())
                .load(connection)?;
            let read = |line: &String| -> Result<Item> {
                serde_json::from_str(line).map_err(|e| Error::internal("store", e))
            };
            for row in &later {
                let before = row.before.as_ref().map(read).transpose()?;
                let after = row.content.as_ref().map(read).transpose()?;
                let place = after
                    .as_ref()
                    .and_then(|after| items.iter().position(|item| item.what.key() == after.what.key()));
                match (place, before) {
                    (Some(at), Some(before)) => items[at] = before,
                    (Some(at), None) => {
                        items.remove(at);
                    }
                    (None, Some(before)) => items.push(before),
                    (None, None) => {}
                }
            }
            let then = AuthoredLexicon::of_validated(items);
            replace(connection, &kb, &then, &self.signature)?;
            Ok((now.changes(&then), last(connection, kb.id)?))
        })
    }

    /// Changes the authors' words as a whole: `change` gets what is there, and
    /// nobody else writes until its outcome is recorded. Says what differs,
    /// and the last revision afterwards.
    ///
    /// # Errors
    /// What `change` says, and [`Error::Stale`] when the words are not what was
    /// expected; then nothing is changed.
    pub fn change_lexicon(
        &self,
        expected: &Expected,
        change: impl FnOnce(&AuthoredLexicon) -> Result<AuthoredLexicon>,
    ) -> Result<(LexiconChanges, i64)> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let current = Some(last(connection, kb.id)?);
            if !expected.allows(current) {
                return Err(Error::Stale { what: "the lexicon".to_owned(), current }.into());
            }
            let before = load(connection, kb.id)?;
            let after = change(&before)?;
            replace(connection, &kb, &after, &self.signature)?;
            Ok((before.changes(&after), last(connection, kb.id)?))
        })
    }
}

/// Every line with the revision that holds it, in the authors' order.
fn lines(connection: &mut Connection, kb: i32) -> Outcome<Vec<(Item, i64)>> {
    let rows: Vec<(i64, Option<String>)> =
        lexicon::table
            .inner_join(lexicon_revisions::table.on(
                lexicon_revisions::kb.eq(lexicon::kb).and(lexicon_revisions::number.eq(lexicon::revision)),
            ))
            .filter(lexicon::kb.eq(kb))
            .order(lexicon::position)
            .select((lexicon::revision, lexicon_revisions::content))
            .load(connection)?;
    rows.into_iter()
        .map(|(revision, content)| {
            let content = content.unwrap_or_default();
            let item = serde_json::from_str(&content)
                .map_err(|e| Error::internal("store", format!("line {content:?} of a lexicon: {e}")))?;
            Ok((item, revision))
        })
        .collect()
}

/// The lexicon of a draft.
pub(super) fn load(connection: &mut Connection, kb: i32) -> Outcome<AuthoredLexicon> {
    Ok(AuthoredLexicon::of_validated(lines(connection, kb)?.into_iter().map(|(item, _)| item).collect()))
}

fn last(connection: &mut Connection, kb: i32) -> Outcome<i64> {
    let last: Option<i64> = lexicon_revisions::table
        .filter(lexicon_revisions::kb.eq(kb))
        .select(diesel::dsl::max(lexicon_revisions::number))
        .first(connection)?;
    Ok(last.unwrap_or(0))
}

/// Makes a draft's lexicon equal to another one, with a revision for each line
/// that differs.
pub(super) fn replace(
    connection: &mut Connection,
    kb: &Kb,
    after: &AuthoredLexicon,
    signature: &Signature,
) -> Outcome<()> {
    let known = lines(connection, kb.id)?;
    let mut old: HashMap<_, (&Item, i64)> =
        known.iter().map(|(item, revision)| (item.what.key(), (item, *revision))).collect();
    let written = |item: &Item| serde_json::to_string(item).map_err(|e| Error::internal("store", e));
    let (mut number, at) = (kb.revision, now());
    let mut record = |before: Option<&Item>, after: Option<&Item>| -> Outcome<Row> {
        number += 1;
        let action = match (before, after) {
            (None, _) => Action::Add,
            (_, None) => Action::Remove,
            _ => Action::Change,
        };
        Ok(Row {
            kb: kb.id,
            number,
            action: action.name().to_owned(),
            before: before.map(written).transpose()?,
            content: after.map(written).transpose()?,
            at: at.clone(),
            author: signature.author.clone(),
            reason: signature.reason.clone(),
        })
    };
    let (mut rows, mut revisions) = (Vec::new(), Vec::new());
    for item in after.items() {
        match old.remove(&item.what.key()) {
            Some((before, revision)) if before == item => revisions.push(revision),
            before => {
                let row = record(before.map(|(item, _)| item), Some(item))?;
                revisions.push(row.number);
                rows.push(row);
            }
        }
    }
    for (item, _) in known.iter().filter(|(item, _)| old.contains_key(&item.what.key())) {
        rows.push(record(Some(item), None)?);
    }
    for row in &rows {
        diesel::insert_into(lexicon_revisions::table).values(row).execute(connection)?;
    }
    diesel::delete(lexicon::table.filter(lexicon::kb.eq(kb.id))).execute(connection)?;
    for (position, revision) in (1i64..).zip(revisions) {
        diesel::insert_into(lexicon::table)
            .values((lexicon::kb.eq(kb.id), lexicon::position.eq(position), lexicon::revision.eq(revision)))
            .execute(connection)?;
    }
    diesel::update(kbs::table.find(kb.id)).set(kbs::revision.eq(number)).execute(connection)?;
    Ok(())
}

/// Takes in the lexicon of an older data directory, unless there has been one
/// since; says whether it did.
pub(super) fn adopt(
    connection: &mut Connection,
    name: &str,
    lexicon: &AuthoredLexicon,
    signature: &Signature,
) -> Outcome<bool> {
    let kb = draft::known(connection, name)?;
    let is_first = last(connection, kb.id)? == 0;
    if is_first {
        replace(connection, &kb, lexicon, signature)?;
    }
    Ok(is_first)
}

/// The revisions of the lexicon, newest first.
pub(super) fn history(
    connection: &mut Connection,
    kb: i32,
    before: Option<i64>,
    limit: usize,
) -> Outcome<Vec<Revision>> {
    let mut query = lexicon_revisions::table.filter(lexicon_revisions::kb.eq(kb)).into_boxed();
    if let Some(before) = before {
        query = query.filter(lexicon_revisions::number.lt(before));
    }
    let rows: Vec<Row> = query
        .order(lexicon_revisions::number.desc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(Row::as_select())
        .load(connection)?;
    let value = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let revision = |row: Row| Revision {
        number: row.number,
        entry: None,
        action: Action::named(&row.action),
        at: row.at,
        author: row.author,
        reason: row.reason,
        live: false,
        before: value(row.before),
        after: value(row.content),
    };
    Ok(rows.into_iter().map(revision).collect())
}

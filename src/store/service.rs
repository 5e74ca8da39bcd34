//! How does a knowledge base serve, and how did it come to be?
//!
//! The service document of a draft is one text, and every change of it is kept
//! whole. Nothing gets in that cannot be read.

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde_json::{Value, json};

use super::Shelf;
use super::database::schema::{kbs, service_revisions};
use super::database::{Connection, Outcome};
use super::draft::{self, Action, Kb, Revision};
use super::edit::Expected;
use super::signature::{Signature, now};
use crate::dialogue::Service;
use crate::error::{Error, Problem, Result};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = service_revisions)]
struct Row {
    kb: i32,
    number: i64,
    content: Option<String>,
    at: String,
    author: String,
    reason: Option<String>,
    live: bool,
}

/// The service document of a draft, at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceText {
    /// As the author wrote it; blank when it is the shipped one.
    pub text: String,
    /// The revision that holds it; 0 before the first one.
    pub revision: i64,
}

/// What a change of the service document did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceEdit {
    /// What was done; `None` when it was like that already.
    pub action: Option<Action>,
    /// The revision that holds the document now.
    pub revision: i64,
    /// Whether customers get it without a publication.
    pub live: bool,
}

impl Shelf {
    /// The service document of the draft.
    pub fn service(&self) -> Result<ServiceText> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(ServiceText::default()) };
            current(connection, kb.id)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The revisions of the service document, newest first; with `before` only those
    /// with a lower number.
    pub fn service_history(&self, before: Option<i64>, limit: usize) -> Result<Vec<Revision>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            history(connection, kb.id, before, limit)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Puts a service document in the place of the one that was expected; a
    /// blank one is the shipped one. With `live`, customers get it at once, on
    /// top of the release that is served; otherwise with the next publication.
    ///
    /// # Errors
    /// [`Error::Corpus`] with every fault of the document, with `live` also the
    /// tests of its rules that fail, and [`Error::Stale`]
    /// when what is there is not what was expected; then nothing is changed.
    pub fn put_service(&self, expected: &Expected, text: &str, live: bool) -> Result<ServiceEdit> {
        let service = Service::read(text)?;
        let failed = service.rules.test().into_iter().filter(|test| live && !test.passed);
        // A publication would refuse it, and there is none in between.
        let problems: Vec<Problem> = failed.map(|test| fault(test.told())).collect();
        if !problems.is_empty() {
            return Err(Error::Corpus(problems));
        }
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let before = current(connection, kb.id)?;
            if !expected.allows(Some(before.revision)) {
                let current = Some(before.revision);
                return Err(Error::Stale { what: "the service document".to_owned(), current }.into());
            }
            let live = live && kb.current.is_some();
            let was_live = is_live(connection, kb.id, before.revision)?;
            let waits = draft::Reach::of(connection, &kb)?.lacks(before.revision, was_live);
            if before.text == kept(text) && !(live && waits) {
                return Ok(ServiceEdit { action: None, revision: before.revision, live });
            }
            let action = match (before.text.is_empty(), kept(text).is_empty()) {
                (true, _) => Action::Add,
                (_, true) => Action::Remove,
                _ => Action::Change,
            };
            let revision = record(connection, &kb, text, &self.signature, live)?;
            Ok(ServiceEdit { action: Some(action), revision, live })
        })
    }

    /// The service document that a live edit after a revision has put on top of
    /// the release, with the edit's own revision.
    pub(super) fn live_service(
        connection: &mut Connection,
        kb: i32,
        after: i64,
    ) -> Outcome<Option<(i64, String)>> {
        let found: Option<(i64, Option<String>)> = service_revisions::table
            .filter(service_revisions::kb.eq(kb))
            .filter(service_revisions::number.gt(after))
            .filter(service_revisions::live.eq(true))
            .order(service_revisions::number.desc())
            .select((service_revisions::number, service_revisions::content))
            .first(connection)
            .optional()?;
        Ok(found.map(|(number, content)| (number, content.unwrap_or_default())))
    }
}

fn fault(message: String) -> Problem {
    Problem { file: "service.toml".to_owned(), line: 0, column: 0, field: None, message }
}

/// A document as it is kept.
fn kept(text: &str) -> &str {
    if text.trim().is_empty() { "" } else { text }
}

fn current(connection: &mut Connection, kb: i32) -> Outcome<ServiceText> {
    let found: Option<(i64, Option<String>)> = service_revisions::table
        .filter(service_revisions::kb.eq(kb))
        .order(service_revisions::number.desc())
        .select((service_revisions::number, service_revisions::content))
        .first(connection)
        .optional()?;
    let (revision, content) = found.unwrap_or_default();
    Ok(ServiceText { text: content.unwrap_or_default(), revision })
}

fn is_live(connection: &mut Connection, kb: i32, number: i64) -> Outcome<bool> {
    let found = service_revisions::table.find((kb, number)).select(service_revisions::live);
    Ok(found.first(connection).optional()?.unwrap_or_default())
}

/// The service document of a draft.
pub(super) fn load(connection: &mut Connection, kb: i32) -> Outcome<String> {
    Ok(current(connection, kb)?.text)
}

fn record(
    connection: &mut Connection,
    kb: &Kb,
    text: &str,
    signature: &Signature,
    live: bool,
) -> Outcome<i64> {
    let text = kept(text);
    let row = Row {
        kb: kb.id,
        number: kb.revision + 1,
        content: (!text.is_empty()).then(|| text.to_owned()),
        at: now(),
        author: signature.author.clone(),
        reason: signature.reason.clone(),
        live,
    };
    diesel::insert_into(service_revisions::table).values(&row).execute(connection)?;
    let live_to = if live { row.number } else { kb.live_to };
    diesel::update(kbs::table.find(kb.id))
        .set((kbs::revision.eq(row.number), kbs::live_to.eq(live_to)))
        .execute(connection)?;
    Ok(row.number)
}

/// Makes a draft's service document equal to another one; says whether it
/// differed.
pub(super) fn replace(
    connection: &mut Connection,
    kb: &Kb,
    text: &str,
    signature: &Signature,
) -> Outcome<bool> {
    let differs = load(connection, kb.id)? != kept(text);
    if differs {
        record(connection, kb, text, signature, false)?;
    }
    Ok(differs)
}

/// The revisions of the service document, newest first.
pub(super) fn history(
    connection: &mut Connection,
    kb: i32,
    before: Option<i64>,
    limit: usize,
) -> Outcome<Vec<Revision>> {
    let mut query = service_revisions::table.filter(service_revisions::kb.eq(kb)).into_boxed();
    if let Some(before) = before {
        query = query.filter(service_revisions::number.lt(before));
    }
    let rows: Vec<Row> = query
        .order(service_revisions::number.desc())
        // One more, for what stood before the last one.
        .limit(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
        .select(Row::as_select())
        .load(connection)?;
    let told = |content: &Option<String>| -> Option<Value> {
        content.as_ref().map(|content| json!({"service": content}))
    };
    let mut revisions = Vec::new();
    for (place, row) in rows.iter().enumerate().take(limit) {
        let before = rows.get(place + 1).and_then(|older| told(&older.content));
        let after = told(&row.content);
        let action = match (&before, &after) {
            (None, _) => Action::Add,
            (_, None) => Action::Remove,
            _ => Action::Change,
        };
        revisions.push(Revision {
            number: row.number,
            entry: None,
            action,
            at: row.at.clone(),
            author: row.author.clone(),
            reason: row.reason.clone(),
            live: row.live,
            before,
            after,
        });
    }
    Ok(revisions)
}

//! How do edits get into the draft: one, or several that belong together?
//!
//! Two entries that become one are two edits, and so is one that becomes two. Either
//! all of them are in the draft or none is: a phrasing that has left its entry and
//! has not come to the other one would be lost to customers.

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::database::schema::{claims, entries, kbs, revisions};
use super::database::{Connection, Outcome};
use super::draft::{self, Action, Row};
use super::edit::{Edit, Edited, Expected, stored};
use super::signature::now;
use super::{Shelf, pending};
use crate::error::{Error, Problem, Result};
use crate::kb::check::{Severity, check};
use crate::kb::{Entry, EntryId, KnowledgeBase};

/// The longest id or topic, in characters.
const LABEL_CHARS: usize = 1_000;

impl Shelf {
    /// Changes several entries in the given order, all of them or none; what an entry
    /// gives up, a later one may have.
    ///
    /// # Errors
    /// As [`Shelf::edit`], for the first edit that cannot be made.
    pub fn edit_together(&self, edits: Vec<(EntryId, Edit, Expected)>, live: bool) -> Result<Vec<Edited>> {
        self.store.database.write(|connection| {
            edits
                .into_iter()
                .map(|(id, edit, expected)| self.make(connection, &id, edit, &expected, live))
                .collect()
        })
    }

    /// One edit of the draft.
    pub(super) fn edit_draft(
        &self,
        id: &EntryId,
        edit: Edit,
        expected: &Expected,
        live: bool,
    ) -> Result<Edited> {
        self.store.database.write(|connection| self.make(connection, id, edit, expected, live))
    }

    fn make(
        &self,
        connection: &mut Connection,
        id: &EntryId,
        edit: Edit,
        expected: &Expected,
        live: bool,
    ) -> Outcome<Edited> {
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
        // What waits for a publication becomes live by being said again.
        if let (Some(entry), Some((stored, _))) = (&after, &known)
            && *entry == stored.entry
            && (!live || pending::waiting(connection, &kb, Some(id))?.is_empty())
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
    }
}

fn last_place(connection: &mut Connection, kb: i32) -> Outcome<i64> {
    let last: Option<i64> = entries::table
        .filter(entries::kb.eq(kb))
        .select(diesel::dsl::max(entries::position))
        .first(connection)?;
    Ok(last.unwrap_or(0))
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

//! What do customers' questions suggest, and what did authors make of it?
//!
//! What is open is written anew by every look at the questions. What was decided
//! stays, with the words that it was decided on and nothing else of the customers.

use std::collections::{BTreeSet, HashSet};

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::database::Durability;
use super::database::schema::suggestions;
use super::database::upsert::OnConflict;
use super::signature::now;
use super::{Shelf, Store, draft};
use crate::error::Result;
use crate::kb::EntryId;
use crate::release::Labelled;

/// A decision on a suggestion.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Decided {
    /// The suggestion's name.
    pub id: String,
    /// What kind it was of.
    pub kind: String,
    /// The entry that it was about.
    pub entry: Option<String>,
    /// Its text.
    pub text: String,
    /// How often it had been asked.
    pub count: i64,
    /// `accepted`, `ignored` or `never`.
    pub verdict: String,
    /// The revision that holds what was accepted.
    pub revision: Option<i64>,
}

/// When a decision was made, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedBy {
    /// The decision.
    pub decided: Decided,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// By whom.
    pub author: String,
}

/// What a phrasing counts that an author said is not meant so: it may be meant
/// otherwise.
const NOT_SO: f64 = 0.5;

/// Entries that a statement names at a time.
const REOPENED: usize = 500;

impl Decided {
    /// What it says of its question, for the calibration: which entry is right, or
    /// that none is. It was not answered, or badly, so it may have become a phrasing:
    /// it is asked without itself, and the phrasing is not asked once more.
    pub fn label(&self) -> Option<Labelled> {
        let (right, weight) = match (self.kind.as_str(), self.verdict.as_str(), &self.entry) {
            ("similar" | "keyword" | "entry" | "split", "accepted", Some(entry)) => {
                (vec![EntryId(entry.clone())], 1.0)
            }
            ("entry", "never", _) => (Vec::new(), 1.0),
            ("similar" | "keyword", "never", _) => (Vec::new(), NOT_SO),
            _ => return None,
        };
        Some(Labelled { text: self.text.clone(), right, weight, learned: true })
    }

    /// The same without saying anything: what was accepted is left out of the
    /// calibration. A phrasing that was added because it was not answered is one of
    /// the hard ones; asked as if it were any, it makes a knowledge base trust itself
    /// less with every phrasing that it learns.
    pub fn learned(&self) -> Option<Labelled> {
        let entry = self.entry.as_ref().filter(|_| self.verdict == "accepted")?;
        Some(Labelled {
            text: self.text.clone(),
            right: vec![EntryId(entry.clone())],
            weight: 0.0,
            learned: true,
        })
    }
}

/// The columns of [`Decided`].
macro_rules! decided {
    () => {
        (
            suggestions::id,
            suggestions::kind,
            suggestions::entry,
            suggestions::text,
            suggestions::count,
            suggestions::verdict.assume_not_null(),
            suggestions::revision,
        )
    };
}

impl Store {
    /// Removes what was made of a customer's words in all knowledge bases, and not accepted:
    /// suggestions that are open or were left. What an author has taken in is the author's.
    /// As where conversations go, no page of the database keeps it. Says how many went.
    ///
    /// # Errors
    /// When the records cannot be written.
    pub fn forget_suggestions(&self, words: &BTreeSet<String>) -> Result<usize> {
        if words.is_empty() || !self.database.is_there() {
            return Ok(0);
        }
        // As they stand in a body, which is JSON.
        let quoted: Vec<String> = words.iter().filter_map(|text| serde_json::to_string(text).ok()).collect();
        let gone = self.database.write_as(Durability::Synced, |connection| {
            let rows: Vec<(i32, String, String, String)> = suggestions::table
                .filter(suggestions::verdict.is_null().or(suggestions::verdict.ne("accepted")))
                .select((suggestions::kb, suggestions::id, suggestions::text, suggestions::body))
                .load(connection)?;
            let mut gone = 0;
            for (kb, id, text, body) in rows {
                if words.contains(&text) || quoted.iter().any(|quoted| body.contains(quoted.as_str())) {
                    gone += diesel::delete(suggestions::table.find((kb, &id))).execute(connection)?;
                }
            }
            Ok(gone)
        })?;
        self.database.truncate_log()?;
        Ok(gone)
    }
}

impl Shelf {
    /// Puts suggestions, each a name and a body, in the place of those that were
    /// open. One that was left for now is open again, and what was decided stays that was
    /// not `known` when these were looked for, each by its name and the verdict.
    ///
    /// # Errors
    /// When the knowledge base does not exist, or cannot be written.
    pub fn propose_suggestions(
        &self,
        bodies: &[(String, String)],
        known: &HashSet<(&str, &str)>,
    ) -> Result<()> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let open =
                suggestions::table.filter(suggestions::kb.eq(kb.id)).filter(suggestions::verdict.is_null());
            diesel::delete(open).execute(connection)?;
            let decided: Vec<(String, Option<String>)> = suggestions::table
                .filter(suggestions::kb.eq(kb.id))
                .filter(suggestions::verdict.is_not_null())
                .select((suggestions::id, suggestions::verdict))
                .load(connection)?;
            let is_new = |(id, verdict): &&(String, Option<String>)| {
                !known.contains(&(id.as_str(), verdict.as_deref().unwrap_or_default()))
            };
            let meanwhile: HashSet<&str> = decided.iter().filter(is_new).map(|(id, _)| id.as_str()).collect();
            let bodies = bodies.iter().filter(|(id, _)| !meanwhile.contains(id.as_str()));
            for (position, (id, body)) in (1i64..).zip(bodies) {
                let place = (suggestions::position.eq(position), suggestions::body.eq(body));
                let key = (suggestions::kb.eq(kb.id), suggestions::id.eq(id));
                let nothing = (suggestions::kind.eq(""), suggestions::text.eq(""), suggestions::count.eq(0));
                diesel::insert_into(suggestions::table)
                    .values((key, place, nothing))
                    .or("(kb, id) DO UPDATE SET position = excluded.position, body = excluded.body, verdict = NULL")
                    .execute(connection)?;
            }
            Ok(())
        })
    }

    /// The bodies of what is open, in order.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn open_suggestions(&self) -> Result<Vec<String>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(suggestions::table
                .filter(suggestions::kb.eq(kb.id))
                .filter(suggestions::verdict.is_null())
                .order(suggestions::position)
                .select(suggestions::body)
                .load::<String>(connection)?)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// What was decided.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn decided_suggestions(&self) -> Result<Vec<Decided>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(suggestions::table
                .filter(suggestions::kb.eq(kb.id))
                .filter(suggestions::verdict.is_not_null())
                .order(suggestions::id)
                .select(decided!())
                .load::<Decided>(connection)?)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// What was left, for now or for ever, the last decision first.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn left_suggestions(&self) -> Result<Vec<DecidedBy>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(suggestions::table
                .filter(suggestions::kb.eq(kb.id))
                .filter(suggestions::verdict.eq_any(["ignored", "never"]))
                .order(suggestions::at.desc())
                .select((decided!(), suggestions::at, suggestions::author))
                .load::<(Decided, Option<String>, Option<String>)>(connection)?)
        })?;
        let told = found.unwrap_or_default().into_iter().map(|(decided, at, author)| DecidedBy {
            decided,
            at: at.unwrap_or_default(),
            author: author.unwrap_or_default(),
        });
        Ok(told.collect())
    }

    /// Takes decisions back, and says how many there were: the next look at the
    /// questions finds what they were about again.
    ///
    /// # Errors
    /// When the records cannot be written.
    pub fn reopen_suggestions(&self, ids: &[String]) -> Result<usize> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let decided = suggestions::table
                .filter(suggestions::kb.eq(kb.id))
                .filter(suggestions::verdict.is_not_null())
                .filter(suggestions::id.eq_any(ids));
            Ok(diesel::delete(decided).execute(connection)?)
        })
    }

    /// The same for what was accepted, of which the draft has been rid again: by the
    /// entries, and the revisions after the first and up to the second number.
    pub(super) fn reopen_accepted(&self, entries: &[EntryId], (after, until): (i64, i64)) -> Result<()> {
        let entries: Vec<&str> = entries.iter().map(|id| id.0.as_str()).collect();
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            for some in entries.chunks(REOPENED) {
                let accepted = suggestions::table
                    .filter(suggestions::kb.eq(kb.id))
                    .filter(suggestions::verdict.eq("accepted"))
                    .filter(suggestions::revision.gt(after))
                    .filter(suggestions::revision.le(until))
                    .filter(suggestions::entry.eq_any(some));
                diesel::delete(accepted).execute(connection)?;
            }
            Ok(())
        })
    }

    /// Writes down what was decided on a suggestion, signed.
    ///
    /// # Errors
    /// When the knowledge base does not exist, or cannot be written.
    pub fn decide_suggestion(&self, decided: &Decided) -> Result<()> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let told = (
                suggestions::position.eq(0),
                suggestions::body.eq(""),
                suggestions::verdict.eq(Some(&decided.verdict)),
                suggestions::kind.eq(&decided.kind),
                suggestions::entry.eq(&decided.entry),
                suggestions::text.eq(&decided.text),
                suggestions::count.eq(decided.count),
                suggestions::revision.eq(decided.revision),
                suggestions::at.eq(Some(now())),
                suggestions::author.eq(Some(&self.signature.author)),
                suggestions::reason.eq(&self.signature.reason),
            );
            diesel::delete(suggestions::table.find((kb.id, &decided.id))).execute(connection)?;
            diesel::insert_into(suggestions::table)
                .values((suggestions::kb.eq(kb.id), suggestions::id.eq(&decided.id), told))
                .execute(connection)?;
            Ok(())
        })
    }
}

//! What did the labelled questions come to, run by run?

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde_json::Value;

use super::database::schema::evaluations;
use super::signature::now;
use super::{Shelf, draft};
use crate::error::{Error, Result};

/// Runs of a knowledge base that are kept.
pub const KEPT: i64 = 20;

/// A run as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// Counts up from 1 within a knowledge base.
    pub number: i64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Who ran it.
    pub author: String,
    /// What a list shows.
    pub summary: Value,
}

impl Shelf {
    /// Keeps what a run came to; the oldest ones go. Gives its number.
    ///
    /// # Errors
    /// When the knowledge base does not exist.
    pub fn keep_evaluation(&self, summary: &Value, body: &Value) -> Result<i64> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let of_kb = || evaluations::table.filter(evaluations::kb.eq(kb.id));
            let last: Option<i64> =
                of_kb().select(diesel::dsl::max(evaluations::number)).first(connection)?;
            let number = last.unwrap_or(0) + 1;
            diesel::insert_into(evaluations::table)
                .values((
                    evaluations::kb.eq(kb.id),
                    evaluations::number.eq(number),
                    evaluations::at.eq(now()),
                    evaluations::author.eq(&self.signature.author),
                    evaluations::summary.eq(summary.to_string()),
                    evaluations::body.eq(body.to_string()),
                ))
                .execute(connection)?;
            let old = of_kb().filter(evaluations::number.le(number - KEPT));
            diesel::delete(old).execute(connection)?;
            Ok(number)
        })
    }

    /// The runs that are kept, newest first.
    pub fn evaluations(&self) -> Result<Vec<Evaluated>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(evaluations::table
                .filter(evaluations::kb.eq(kb.id))
                .order(evaluations::number.desc())
                .select((evaluations::number, evaluations::at, evaluations::author, evaluations::summary))
                .load::<(i64, String, String, String)>(connection)?)
        })?;
        let rows = found.unwrap_or_default().into_iter();
        rows.map(|(number, at, author, summary)| {
            Ok(Evaluated { number, at, author, summary: read(&summary)? })
        })
        .collect()
    }

    /// All of one run.
    pub fn evaluation(&self, number: i64) -> Result<Option<(Evaluated, Value)>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(None) };
            Ok(evaluations::table
                .find((kb.id, number))
                .select((evaluations::at, evaluations::author, evaluations::summary, evaluations::body))
                .first::<(String, String, String, String)>(connection)
                .optional()?)
        })?;
        let Some((at, author, summary, body)) = found.flatten() else { return Ok(None) };
        Ok(Some((Evaluated { number, at, author, summary: read(&summary)? }, read(&body)?)))
    }

    /// Forgets a run; says whether it was there.
    pub fn forget_evaluation(&self, number: i64) -> Result<bool> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            Ok(diesel::delete(evaluations::table.find((kb.id, number))).execute(connection)? > 0)
        })
    }
}

fn read(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| Error::internal("evaluation", e))
}

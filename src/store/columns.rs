//! Which columns of an author's files hold nothing of the knowledge base?
//!
//! Who imports the same spreadsheet every week says it once.

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::database::schema::ignored_columns;
use super::database::upsert::OnConflict;
use super::database::{Connection, Outcome};
use super::{Shelf, draft};
use crate::error::Result;

/// What an import says of the columns that later ones pass over.
#[derive(Debug, Clone, Copy, Default)]
pub struct IgnoredColumns<'a> {
    /// What was said before no longer counts.
    pub forget: bool,
    /// Headings that are passed over from now on.
    pub add: &'a [String],
    /// What somebody said that columns hold, by heading; an empty field leaves one out.
    pub mapped: &'a [(String, String)],
}

impl Shelf {
    /// The headings of columns that imports pass over, in order.
    pub fn ignored_columns(&self) -> Result<Vec<String>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(ignored_columns::table
                .filter(ignored_columns::kb.eq(kb.id))
                .filter(ignored_columns::field.is_null())
                .order(ignored_columns::heading)
                .select(ignored_columns::heading)
                .load(connection)?)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// What somebody said that columns hold, by heading.
    pub fn mapped_columns(&self) -> Result<Vec<(String, String)>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(ignored_columns::table
                .filter(ignored_columns::kb.eq(kb.id))
                .filter(ignored_columns::field.is_not_null())
                .order(ignored_columns::heading)
                .select((ignored_columns::heading, ignored_columns::field.assume_not_null()))
                .load(connection)?)
        })?;
        Ok(found.unwrap_or_default())
    }
}

/// Records what an import says.
pub(super) fn remember(connection: &mut Connection, kb: i32, said: IgnoredColumns<'_>) -> Outcome<()> {
    if said.forget {
        forget(connection, kb)?;
    }
    for heading in said.add {
        diesel::insert_into(ignored_columns::table)
            .values((ignored_columns::kb.eq(kb), ignored_columns::heading.eq(heading)))
            // Whatever was said of it before.
            .or("(kb, heading) DO UPDATE SET field = NULL")
            .execute(connection)?;
    }
    for (heading, field) in said.mapped {
        diesel::insert_into(ignored_columns::table)
            .values((
                ignored_columns::kb.eq(kb),
                ignored_columns::heading.eq(heading),
                ignored_columns::field.eq(field),
            ))
            .or("(kb, heading) DO UPDATE SET field = excluded.field")
            .execute(connection)?;
    }
    Ok(())
}

/// Forgets all of a knowledge base.
pub(super) fn forget(connection: &mut Connection, kb: i32) -> Outcome<()> {
    diesel::delete(ignored_columns::table.filter(ignored_columns::kb.eq(kb))).execute(connection)?;
    Ok(())
}

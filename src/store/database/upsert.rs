//! What becomes of a row that is there already?
//!
//! SQLite and PostgreSQL say it in the same words, which diesel writes for one of
//! them at a time only: so they stand here as they are sent.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};

use super::Connection;

/// An insert that says what becomes of a row that is there already.
pub(in crate::store) struct Upsert<I> {
    insert: I,
    conflict: &'static str,
}

/// What an insert may say of rows that are there already.
pub(in crate::store) trait OnConflict: Sized {
    /// They stay as they are.
    fn or_nothing(self) -> Upsert<Self> {
        self.or("DO NOTHING")
    }

    /// They are changed as the SQL after `ON CONFLICT` says; the new row is `excluded` in it.
    fn or(self, conflict: &'static str) -> Upsert<Self> {
        Upsert { insert: self, conflict }
    }
}

impl<T, U, Op> OnConflict for diesel::query_builder::InsertStatement<T, U, Op> where T: QuerySource {}

impl<I, DB: Backend> QueryFragment<DB> for Upsert<I>
where
    I: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.insert.walk_ast(out.reborrow())?;
        out.push_sql(" ON CONFLICT ");
        out.push_sql(self.conflict);
        Ok(())
    }
}

impl<I> QueryId for Upsert<I> {
    type QueryId = ();
    // The words are not in the type: the statement is known by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<I> RunQueryDsl<Connection> for Upsert<I> {}

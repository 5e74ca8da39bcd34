//! Which database is spoken to?
//!
//! The same queries go to either of the two; the compiler checks every one for both.
//! What only one of them understands is said here, by name.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::result::{DatabaseErrorKind, Error as Sql, QueryResult};
use diesel::{PgConnection, RunQueryDsl, SqliteConnection};

use super::Outcome;
use crate::access::moment;

/// What records are read and written over.
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    /// A file.
    Sqlite(SqliteConnection),
    /// A server.
    Postgres(PgConnection),
}

/// What a transaction does first on PostgreSQL when it writes: it counts itself, and so
/// waits until nobody else writes in the same schema. So what was read in it is still so
/// when it ends, as in a file, which one connection writes at a time; and whoever looks
/// sees by one number whether anything may have changed.
const ALONE: &str = "UPDATE writes SET number = number + 1";

/// What one does instead that changes only what nobody looks for: it waits as well, and is
/// not counted.
const ASIDE: &str = "SELECT number FROM writes FOR UPDATE";

/// What makes room for that.
pub(super) const COUNTED: &str =
    "CREATE TABLE writes (number BIGINT NOT NULL); INSERT INTO writes VALUES (0);";

impl AnyConnection {
    /// Reads in one state of everything, whoever writes meanwhile.
    pub(in crate::store) fn reading<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.begin("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        self.finish(work)
    }

    /// Writes, all of it or nothing, and nobody else between its first look and its end.
    pub(in crate::store) fn writing<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.writing_after(ALONE, work)
    }

    /// The same for what nobody looks for.
    pub(in crate::store) fn writing_aside<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<T> {
        self.writing_after(ASIDE, work)
    }

    fn writing_after<T>(&mut self, first: &str, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        // Who reads first and writes later could find that somebody else has
        // written meanwhile; who begins by writing waits instead.
        self.begin("BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL READ COMMITTED")?;
        if let Self::Postgres(server) = self
            && let Err(error) = server.batch_execute(first)
        {
            // What failed is told, not what came of the end.
            let _ = Self::rollback_transaction(self);
            return Err(error.into());
        }
        self.finish(work)
    }

    /// Begins a transaction, in the words of either.
    pub(super) fn begin(&mut self, file: &str, server: &str) -> QueryResult<()> {
        match self {
            Self::Sqlite(connection) => AnsiTransactionManager::begin_transaction_sql(connection, file),
            Self::Postgres(connection) => AnsiTransactionManager::begin_transaction_sql(connection, server),
        }
    }

    fn finish<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        match work(self) {
            Ok(value) => {
                Self::commit_transaction(self)?;
                Ok(value)
            }
            Err(failure) => {
                let _ = Self::rollback_transaction(self);
                Err(failure)
            }
        }
    }

    /// How often somebody has written in this schema; 0 in a file, which `watch.rs` looks at.
    pub(in crate::store) fn writes(&mut self) -> QueryResult<i64> {
        #[derive(diesel::QueryableByName)]
        struct Writes {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            number: i64,
        }
        match self {
            Self::Sqlite(_) => Ok(0),
            Self::Postgres(server) => diesel::sql_query("SELECT number FROM writes")
                .get_result::<Writes>(server)
                .map(|one| one.number),
        }
    }

    /// What time it is there, in milliseconds since 1970 (UTC).
    pub(in crate::store) fn now(&mut self) -> QueryResult<i64> {
        #[derive(diesel::QueryableByName)]
        struct Told {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            at: i64,
        }
        match self {
            Self::Sqlite(_) => Ok(moment::now()),
            Self::Postgres(server) => {
                diesel::sql_query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at")
                    .get_result::<Told>(server)
                    .map(|told| told.at)
            }
        }
    }
}

/// Whether the other end is gone, so that the connection is of no use any more.
pub(super) fn is_lost(error: &Sql) -> bool {
    match error {
        Sql::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _,
        )
        | Sql::BrokenTransactionManager => true,
        Sql::DatabaseError(_, told) => {
            let told = told.message();
            told.contains("server closed the connection")
                || told.contains("terminating connection")
                || told.contains("no connection to the server")
                || told.contains("could not receive data from server")
                || told.contains("the database system is ")
        }
        Sql::RollbackErrorOnCommit { rollback_error, .. } => is_lost(rollback_error),
        _ => false,
    }
}

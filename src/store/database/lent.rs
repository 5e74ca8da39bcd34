//! How is a connection to a server lent for the records of one tenant and kind?
//!
//! They are in a schema of their own; a connection is turned to it while it is lent, and
//! looks after its tables the first time.

use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use sha2::{Digest as _, Sha256};

use super::cluster::{Cluster, Permit, Turned};
use super::connection::COUNTED;
use super::{Connection, Database, Outcome, sheet};
use crate::error::{Error, Result};

/// A schema on a server.
pub(in crate::store) struct Schema {
    cluster: Arc<Cluster>,
    name: String,
    tenant: Option<String>,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

impl Schema {
    /// That of a kind of records: the first tenant's, or another one's. Their names would be
    /// too long for PostgreSQL, so it is named by their hash.
    pub(in crate::store) fn of(cluster: &Arc<Cluster>, kind: &str, tenant: Option<&str>) -> Self {
        let mut name = format!("zhida_{kind}");
        if let Some(tenant) = tenant {
            let digest = Sha256::digest(tenant.as_bytes());
            name.push('_');
            for byte in digest.iter().take(8) {
                let _ = write!(name, "{byte:02x}");
            }
        }
        Self { cluster: Arc::clone(cluster), name, tenant: tenant.map(str::to_owned) }
    }

    /// The server that it is on.
    pub(in crate::store) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Whether other machines call it by this name.
    pub(in crate::store) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    /// Where it is, in words.
    pub(in crate::store) fn shown(&self) -> String {
        format!("{} (schema {})", self.cluster.shown(), self.name)
    }

    /// Whether it is there.
    pub(super) fn is_there(&self) -> Result<bool> {
        let mut lent = self.raw()?;
        self.has_tables(&mut lent)
    }

    fn has_tables(&self, connection: &mut Connection) -> Result<bool> {
        diesel::sql_query("SELECT to_regclass(quote_ident($1) || '.writes') IS NOT NULL AS yes")
            .bind::<Text, _>(&self.name)
            .get_result::<Answer>(connection)
            .map(|answer| answer.yes)
            .map_err(|e| self.cluster.unreachable(e))
    }

    /// A connection that works and is turned here, whether or not the schema is there.
    fn raw(&self) -> Result<Lent<'_>> {
        self.cluster.admit()?;
        let permit = self.cluster.permit();
        let asked = Instant::now();
        if let Some(Turned { mut connection, schema, mut turns }) = self.cluster.take(&self.name) {
            // Turning asks the server something; one that needs no turning is asked too.
            let works = if schema == self.name {
                connection.batch_execute("SELECT 1")
            } else {
                turns += 1;
                self.turn(&mut connection)
            };
            if works.is_ok() {
                self.cluster.found(asked);
                return Ok(self.lent(connection, turns, permit));
            }
            // The others were lost with it, or will be noticed when they are taken.
            self.cluster.forget_idle();
        }
        let opened = self.cluster.open().and_then(|mut connection| {
            self.turn(&mut connection).map_err(|e| self.cluster.unreachable(e))?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => {
                self.cluster.found(asked);
                Ok(self.lent(connection, 0, permit))
            }
            Err(Error::Unreachable { why, .. }) => Err(self.cluster.lost(asked, why)),
            Err(error) => Err(error),
        }
    }

    fn turn(&self, connection: &mut Connection) -> QueryResult<()> {
        connection.batch_execute(&format!("SET search_path TO {}", self.name))
    }

    fn lent(&self, connection: Connection, turns: u32, permit: Permit) -> Lent<'_> {
        Lent { schema: self, connection: Some(connection), turns, works: true, _permit: permit }
    }

    /// How often anybody had written in it, as far as that is known without asking.
    pub(in crate::store) fn noted(&self) -> Option<i64> {
        self.cluster.sheet().number(&self.name)
    }

    /// A connection for a database whose tables are there and up to date.
    pub(super) fn lend(&self, database: &Database) -> Result<Lent<'_>> {
        let mut lent = self.raw()?;
        let mut prepared = database.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if !*prepared {
            database.refuse_elsewhere()?;
            // Two processes that come first must not both make the tables.
            let told = |e: diesel::result::Error| database.explain(e.into());
            lent.batch_execute("SELECT pg_advisory_lock(hashtextextended('zhida: tables', 0))")
                .map_err(told)?;
            let outcome = self.prepare(database, &mut lent);
            let unlocked =
                lent.batch_execute("SELECT pg_advisory_unlock(hashtextextended('zhida: tables', 0))");
            outcome?;
            unlocked.map_err(told)?;
            if !database.read_only && !database.is_moving {
                super::note_place(&database.root, Some(self))?;
            }
            *prepared = true;
        }
        drop(prepared);
        Ok(lent)
    }

    fn prepare(&self, database: &Database, connection: &mut Connection) -> Result<()> {
        if !self.has_tables(connection)? {
            if database.read_only {
                return Err(Error::ReadOnly {
                    path: database.root.clone(),
                    why: format!("{} is not there, and is not made as the operator has said", self.shown()),
                });
            }
            self.refuse_encoding(connection)?;
            let mut sql = format!("CREATE SCHEMA {}; {COUNTED}", self.name);
            if let Some(tenant) = &self.tenant {
                let _ = write!(sql, "COMMENT ON SCHEMA {} IS 'tenant {tenant}';", self.name);
            }
            connection.batch_execute(&sql).map_err(|e| database.explain(e.into()))?;
        }
        database.prepare(connection)?;
        if !database.read_only {
            match sheet::keep(connection, &self.name) {
                Ok(()) => database.is_noted.store(true, Ordering::Release),
                // All of it goes on without, by asking more.
                Err(error) => tracing::warn!(%error, place = self.shown(), "who writes there is not noted"),
            }
        }
        Ok(())
    }

    /// Chinese texts need Unicode.
    fn refuse_encoding(&self, connection: &mut Connection) -> Result<()> {
        let answer: Answer = diesel::sql_query("SELECT current_setting('server_encoding') = 'UTF8' AS yes")
            .get_result(connection)
            .map_err(|e| self.cluster.unreachable(e))?;
        if answer.yes {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "{} does not hold texts in UTF-8; make the database anew with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`",
            self.cluster.shown()
        )))
    }

    /// Removes it with all that is in it.
    pub(in crate::store) fn remove(&self) -> Result<()> {
        let mut lent = self.raw()?;
        lent.batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name))
            .and_then(|()| sheet::forget(&mut lent, &self.name))
            .map_err(|e| self.cluster.unreachable(e))
    }

    /// Something that only one holder at a time has, on any machine, until it is dropped
    /// or its process ends; `None` when somebody has it.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(in crate::store) fn hold(&self, what: &str) -> Result<Option<Hold>> {
        let mut connection = self.cluster.open()?;
        let yes = try_lock(&mut connection, "pg_try_advisory_lock", &format!("{}: {what}", self.name))
            .map_err(|e| self.cluster.unreachable(e))?;
        Ok(yes.then_some(Hold { _connection: Mutex::new(connection) }))
    }

    /// That no server works on any of the records there; `None` while one does.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(in crate::store) fn alone(&self) -> Result<Option<Hold>> {
        let mut connection = self.cluster.open()?;
        let since = Instant::now();
        // One that was just killed is let go by its database server in its own time.
        while !try_lock(&mut connection, "pg_try_advisory_lock", SERVED)
            .map_err(|e| self.cluster.unreachable(e))?
        {
            if since.elapsed() > LETTING_GO {
                return Ok(None);
            }
            std::thread::sleep(LETTING_GO / 20);
        }
        Ok(Some(Hold { _connection: Mutex::new(connection) }))
    }
}

/// What every server has together with the others, as long as it works on records.
const SERVED: &str = "zhida: served";

/// How long what a process had may outlive it.
const LETTING_GO: Duration = Duration::from_secs(2);

/// Says over a connection that a server works on the records, until it is closed.
pub(super) fn serves(connection: &mut Connection) -> QueryResult<()> {
    // Where somebody has them alone, that one was there first and is told nothing.
    try_lock(connection, "pg_try_advisory_lock_shared", SERVED).map(drop)
}

fn try_lock(connection: &mut Connection, how: &str, name: &str) -> QueryResult<bool> {
    let answer: Answer = diesel::sql_query(format!("SELECT {how}(hashtextextended($1, 0)) AS yes"))
        .bind::<Text, _>(name)
        .get_result(connection)?;
    Ok(answer.yes)
}

/// Something that nobody else has meanwhile. It goes with its connection, which nobody
/// else uses.
pub(in crate::store) struct Hold {
    _connection: Mutex<Connection>,
}

/// A connection while it is lent.
pub(super) struct Lent<'a> {
    schema: &'a Schema,
    connection: Option<Connection>,
    turns: u32,
    works: bool,
    _permit: Permit,
}

impl Lent<'_> {
    pub(super) fn reading<T>(&mut self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Outcome<T> {
        let outcome = self.deref_mut().reading(work);
        self.judge(outcome)
    }

    pub(super) fn writing<T>(&mut self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Outcome<T> {
        let outcome = self.deref_mut().writing(work);
        self.judge(outcome)
    }

    pub(super) fn writing_aside<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Outcome<T>,
    ) -> Outcome<T> {
        let outcome = self.deref_mut().writing_aside(work);
        self.judge(outcome)
    }

    /// Tells other machines that something was written. Nothing depends on it.
    pub(super) fn tell(&mut self) {
        let schema = self.schema;
        if let Err(error) = schema.cluster.news().say(self, &schema.name) {
            tracing::debug!(%error, "other nodes hear of a change at their next look");
            self.works = false;
        }
    }

    /// One that was lost is not lent again.
    fn judge<T>(&mut self, outcome: Outcome<T>) -> Outcome<T> {
        if let Err(super::Failure::Sql(error)) = &outcome
            && super::connection::is_lost(error)
        {
            self.works = false;
            self.schema.cluster.lost(Instant::now(), error);
        }
        outcome
    }
}

impl Deref for Lent<'_> {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "it is taken only when this is dropped")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("lent")
    }
}

impl DerefMut for Lent<'_> {
    #[expect(clippy::expect_used, reason = "it is taken only when this is dropped")]
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("lent")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.works
            && !std::thread::panicking()
        {
            let Self { schema, turns, .. } = self;
            schema.cluster.put(Turned { connection, schema: schema.name.clone(), turns: *turns });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenant_has_a_schema() {
        let cluster = Cluster::at("postgresql:///zhida").expect("an address");
        let own = Schema::of(&cluster, "drafts", None);
        let other = Schema::of(&cluster, "drafts", Some("乙公司"));
        assert_eq!(own.name, "zhida_drafts");
        assert!(other.name.starts_with("zhida_drafts_") && other.name.len() < 63, "{}", other.name);
    }
}

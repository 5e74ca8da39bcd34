//! How is a PostgreSQL server reached?
//!
//! Every tenant's records of every kind have a schema of their own there, so that no
//! query could reach another tenant's. All schemas share the connections: one is
//! turned to the schema that it is lent for. One that was lost meanwhile is noticed
//! before a transaction begins, and another one takes its place. A server that cannot be
//! reached is left alone for a moment, so that nobody waits for it who need not.

use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel::{PgConnection, QueryableByName};
use sha2::{Digest as _, Sha256};

use super::connection::COUNTED;
use super::{Connection, Database, Outcome};
use crate::access::moment;
use crate::error::{Error, Result};

/// Connections that are kept open while nobody needs them.
const IDLE: usize = 8;

/// A writer waits this long for another one before it gives up, and a transaction of
/// a process that was cut off ends by itself, so that the others go on.
const SETTINGS: &str = "SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'; \
                        SET client_min_messages = warning; SET application_name = 'zhida';";

/// What is added to an address that does not say it: a server that is cut off is
/// noticed within seconds, and not after the hours that TCP gives it.
const PATIENCE: [(&str, &str); 3] =
    [("connect_timeout", "3"), ("tcp_user_timeout", "5000"), ("keepalives_idle", "5")];

/// How long a server that could not be reached is left alone.
const REST: Duration = Duration::from_secs(1);

/// How often a server is asked whether it is there.
const PULSE: Duration = Duration::from_millis(250);

/// A server that has said nothing for so long does not answer.
const MUTE: Duration = Duration::from_secs(2);

/// A server, and connections to it.
pub struct Cluster {
    url: String,
    /// The address without its password.
    shown: String,
    idle: Mutex<Vec<Turned>>,
    /// What is wrong with it, if anything.
    trouble: Mutex<Option<Trouble>>,
    /// When it was heard of last, where somebody listens.
    pulse: Mutex<Option<Instant>>,
    /// How far its clock is ahead of this machine's, in milliseconds.
    ahead: AtomicI64,
}

/// A server that could not be reached.
struct Trouble {
    why: String,
    /// When somebody may try again.
    again: Instant,
    /// Whether somebody does.
    is_tried: bool,
}

/// A connection, and the schema that it is turned to.
struct Turned {
    connection: Connection,
    schema: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Cluster {
    /// The server at `postgres://user:password@host:port/database`. Nothing is asked of
    /// it yet.
    ///
    /// # Errors
    /// When that is no such address.
    pub fn at(url: &str) -> Result<Arc<Self>> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let Some(rest) = rest else {
            return Err(Error::Refused(
                "the database is named by an address such as postgres://user:password@host:5432/zhida"
                    .to_owned(),
            ));
        };
        let mut full = url.to_owned();
        for (name, value) in PATIENCE {
            if !rest.contains(name) {
                let sign = if full.contains('?') { '&' } else { '?' };
                let _ = write!(full, "{sign}{name}={value}");
            }
        }
        let place = rest.split('?').next().unwrap_or_default();
        let shown = match place.rsplit_once('@') {
            Some((who, host)) => {
                let user = who.split(':').next().unwrap_or_default();
                format!("postgres://{user}@{host}")
            }
            None => format!("postgres://{place}"),
        };
        Ok(Arc::new(Self {
            url: full,
            shown,
            idle: Mutex::default(),
            trouble: Mutex::default(),
            pulse: Mutex::default(),
            ahead: AtomicI64::new(0),
        }))
    }

    /// The schema of a kind of records: the first tenant's, or another one's. Their names
    /// would be too long for PostgreSQL, so it is named by their hash.
    pub(in crate::store) fn schema(self: &Arc<Self>, kind: &str, tenant: Option<&str>) -> Schema {
        let mut name = format!("zhida_{kind}");
        if let Some(tenant) = tenant {
            let digest = Sha256::digest(tenant.as_bytes());
            name.push('_');
            for byte in digest.iter().take(8) {
                let _ = write!(name, "{byte:02x}");
            }
        }
        Schema { cluster: Arc::clone(self), name, tenant: tenant.map(str::to_owned) }
    }

    fn unreachable(&self, why: impl ToString) -> Error {
        Error::Unreachable { what: self.shown.clone(), why: why.to_string().trim().to_owned() }
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is worth trying: one tries a server again that could not be reached, and
    /// the others go on without it.
    fn admit(&self) -> Result<()> {
        if self.is_mute() {
            return Err(self.unreachable("it does not answer"));
        }
        match &mut *self.trouble() {
            Some(trouble) if trouble.is_tried || Instant::now() < trouble.again => {
                Err(self.unreachable(&trouble.why))
            }
            Some(trouble) => {
                trouble.is_tried = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether it has said nothing for too long: it is cut off, or hangs. Whoever asked it
    /// something waits; nobody else needs to.
    fn is_mute(&self) -> bool {
        let pulse = *self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        pulse.is_some_and(|heard| heard.elapsed() > MUTE)
    }

    /// How far its clock is ahead of this machine's, in milliseconds, where somebody listens:
    /// what several machines measure by a clock they measure by this one.
    pub(in crate::store) fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Whether it answers, as far as is known.
    pub(in crate::store) fn is_reachable(&self) -> bool {
        !self.is_mute() && self.trouble().is_none()
    }

    /// Asks it all the time whether it is there, as long as anybody holds this.
    pub(in crate::store) fn watch(self: &Arc<Self>) {
        let beat = || Some(Instant::now());
        if std::mem::replace(&mut *self.pulse.lock().unwrap_or_else(PoisonError::into_inner), beat())
            .is_some()
        {
            return;
        }
        let held = Arc::downgrade(self);
        let listening = std::thread::Builder::new().name("pulse".to_owned()).spawn(move || {
            let mut open: Option<Connection> = None;
            while let Some(cluster) = held.upgrade() {
                let asked = match open.take() {
                    Some(connection) => Ok(connection),
                    None => cluster.open(),
                };
                let heard = asked.ok().and_then(|mut connection| {
                    let asked = moment::now();
                    let told = clock(&mut connection).ok()?;
                    // It looked at its clock between the question and the answer.
                    let here = asked + (moment::now() - asked) / 2;
                    cluster.ahead.store(told - here, Ordering::Relaxed);
                    Some(connection)
                });
                if heard.is_some() {
                    *cluster.pulse.lock().unwrap_or_else(PoisonError::into_inner) = beat();
                    cluster.found();
                }
                open = heard;
                drop(cluster);
                std::thread::sleep(PULSE);
            }
        });
        if let Err(error) = listening {
            tracing::warn!(%error, "nobody listens whether the database server answers");
            *self.pulse.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// It was reached.
    fn found(&self) {
        *self.trouble() = None;
    }

    /// It was not, and what is open is of no use any more.
    fn lost(&self, why: impl ToString) -> Error {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let why = why.to_string();
        *self.trouble() = Some(Trouble { why: why.clone(), again: Instant::now() + REST, is_tried: false });
        self.unreachable(why)
    }

    /// A connection of its own.
    fn open(&self) -> Result<Connection> {
        let server = PgConnection::establish(&self.url).map_err(|e| self.unreachable(e))?;
        let mut connection = Connection::Postgres(server);
        connection.batch_execute(SETTINGS).map_err(|e| self.unreachable(e))?;
        Ok(connection)
    }

    fn take(&self, schema: &str) -> Option<Turned> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().rposition(|one| one.schema == schema).or(idle.len().checked_sub(1))?;
        Some(idle.remove(at))
    }

    fn put(&self, turned: Turned) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(turned);
        }
    }
}

/// What time it is there, in milliseconds since 1970 (UTC).
fn clock(connection: &mut Connection) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Told {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        at: i64,
    }
    diesel::sql_query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at")
        .get_result::<Told>(connection)
        .map(|told| told.at)
}

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
    /// The server that it is on.
    pub(in crate::store) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Where it is, in words.
    pub(super) fn shown(&self) -> String {
        format!("{} (schema {})", self.cluster.shown, self.name)
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
        if let Some(Turned { mut connection, schema }) = self.cluster.take(&self.name) {
            // Turning asks the server something; one that needs no turning is asked too.
            let works = if schema == self.name {
                connection.batch_execute("SELECT 1")
            } else {
                self.turn(&mut connection)
            };
            if works.is_ok() {
                self.cluster.found();
                return Ok(self.lent(connection));
            }
            // The others were lost with it, or will be noticed when they are taken.
            self.cluster.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let opened = self.cluster.open().and_then(|mut connection| {
            self.turn(&mut connection).map_err(|e| self.cluster.unreachable(e))?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => {
                self.cluster.found();
                Ok(self.lent(connection))
            }
            Err(Error::Unreachable { why, .. }) => Err(self.cluster.lost(why)),
            Err(error) => Err(error),
        }
    }

    fn turn(&self, connection: &mut Connection) -> QueryResult<()> {
        connection.batch_execute(&format!("SET search_path TO {}", self.name))
    }

    fn lent(&self, connection: Connection) -> Lent<'_> {
        Lent { schema: self, connection: Some(connection), works: true }
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
        database.prepare(connection)
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
            self.cluster.shown
        )))
    }

    /// Removes it with all that is in it.
    pub(in crate::store) fn remove(&self) -> Result<()> {
        let mut lent = self.raw()?;
        lent.batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name))
            .map_err(|e| self.cluster.unreachable(e))
    }

    /// Something that only one holder at a time has, on any machine, until it is dropped
    /// or its process ends; `None` when somebody has it.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(in crate::store) fn hold(&self, what: &str) -> Result<Option<Hold>> {
        let mut connection = self.cluster.open()?;
        let answer: Answer = diesel::sql_query("SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS yes")
            .bind::<Text, _>(format!("{}: {what}", self.name))
            .get_result(&mut connection)
            .map_err(|e| self.cluster.unreachable(e))?;
        Ok(answer.yes.then_some(Hold { _connection: Mutex::new(connection) }))
    }
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
    works: bool,
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

    /// One that was lost is not lent again.
    fn judge<T>(&mut self, outcome: Outcome<T>) -> Outcome<T> {
        if let Err(super::Failure::Sql(error)) = &outcome
            && super::connection::is_lost(error)
        {
            self.works = false;
            self.schema.cluster.lost(error);
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
            self.schema.cluster.put(Turned { connection, schema: self.schema.name.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password() {
        let cluster = Cluster::at("postgres://me:hush@db.example:5432/zhida?sslmode=disable");
        assert_eq!(format!("{:?}", cluster.expect("an address")), "postgres://me@db.example:5432/zhida");
        assert!(Cluster::at("mysql://db").is_err());
    }

    #[test]
    fn every_tenant_has_a_schema() {
        let cluster = Cluster::at("postgresql:///zhida").expect("an address");
        let own = cluster.schema("drafts", None);
        let other = cluster.schema("drafts", Some("乙公司"));
        assert_eq!(own.name, "zhida_drafts");
        assert!(other.name.starts_with("zhida_drafts_") && other.name.len() < 63, "{}", other.name);
    }
}

//! Where are records kept?
//!
//! In SQLite files in WAL mode, where readers never wait and writers of one file
//! wait for each other; or on a PostgreSQL server that several machines share,
//! where they do the same in a schema. What a [`Database`] holds is its [`Kind`];
//! every kind is a file or a schema of its own, so that a long import does not keep
//! a customer waiting. Everything that knows SQL stands in this folder, and
//! [`Connection`] is the one type that it is spoken over.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::result::DatabaseErrorKind;
use diesel_migrations::MigrationHarness;

use self::cluster::Cluster;
use self::file::DatabaseFile;
use self::lent::Schema;
use self::migrations::{Step, Steps};
use crate::error::{Disk, Error, Result};

pub(in crate::store) use self::connection::AnyConnection as Connection;
pub(in crate::store) use self::file::connect;

pub(in crate::store) mod cluster;
mod connection;
pub(in crate::store) mod copy;
pub(in crate::store) mod door;
mod encrypted;
mod file;
pub(in crate::store) mod lent;
pub(in crate::store) mod migrations;
pub(in crate::store) mod news;
pub(in crate::store) mod nodes;
pub(in crate::store) mod objects;
pub(in crate::store) mod schema;
mod sheet;
mod snapshot;
pub(in crate::store) mod talk;
pub(in crate::store) mod transfer;
pub(in crate::store) mod upsert;
pub(in crate::store) mod watch;

diesel::define_sql_function! {
    /// A text with small letters for A to Z: PostgreSQL's `LIKE` tells them apart, SQLite's does not.
    fn lower<T: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>(text: T) -> T;
}

/// What one of the databases holds.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// The file's name.
    pub(super) file: &'static str,
    /// The name of the schema on a server.
    pub(super) schema: &'static str,
    /// Its tables.
    pub(super) steps: &'static [Step],
    /// What a process does with it when it opens it first.
    pub(super) prepare: fn(&Path, &mut Connection) -> Outcome<()>,
    /// Whether something waits in the data directory to be taken in, so that
    /// even reading makes the file.
    pub(super) waits: fn(&Path) -> bool,
    /// Whether other machines hear of changes at once.
    pub(super) is_told: bool,
}

/// How soon a change is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// When it is acknowledged, whatever happens then.
    Synced,
    /// When it is acknowledged the system has it: no end of the process can lose
    /// it, a power cut can lose the last ones. The next synced change of the same
    /// file takes it along. A server syncs it all the same.
    Written,
}

/// How often was written somewhere: by this process, and by anybody, who may be noted later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    here: u64,
    anywhere: Option<i64>,
}

/// The file of a data directory that says that its records are on a server, and on which.
pub(super) const MARK: &str = "records.on-server";

/// Notes where the records of a data directory are from now on.
pub(super) fn note_place(root: &Path, schema: Option<&Schema>) -> Result<()> {
    let mark = root.join(MARK);
    let Some(schema) = schema else {
        return match fs::remove_file(&mark) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", mark, e)),
            _ => Ok(()),
        };
    };
    let line = format!("{:?}\n", schema.cluster());
    if fs::read_to_string(&mark).is_ok_and(|known| known == line) {
        return Ok(());
    }
    fs::create_dir_all(root).map_err(|e| Error::io("create", root, e))?;
    fs::write(&mark, line).map_err(|e| Error::io("write", mark, e))
}

/// The records of one kind in a data directory, or of it on a server.
pub(super) struct Database {
    kind: Kind,
    root: PathBuf,
    place: Place,
    /// Whether this process has looked after the tables.
    prepared: Mutex<bool>,
    /// Whether nothing is written, whatever the file system allows.
    read_only: bool,
    /// How much may be in it.
    ceiling: Mutex<Option<Ceiling>>,
    /// How often this process has written.
    written: AtomicU64,
    /// Whether its server notes who writes in it.
    is_noted: AtomicBool,
    /// Whether it does not matter that records are at another place too.
    is_moving: bool,
}

/// Where a database is.
enum Place {
    File(DatabaseFile),
    Server(Schema),
}

/// How much of something may be in a database: no change may add to what is more.
#[derive(Clone, Copy)]
pub(super) struct Ceiling {
    /// What is counted, in words.
    pub(super) what: &'static str,
    /// How much there may be.
    pub(super) most: u64,
    /// How much there is.
    pub(super) count: fn(&mut Connection) -> Outcome<u64>,
}

impl Ceiling {
    /// Does something that may not end above it, unless it takes away.
    fn watch<T>(
        self,
        connection: &mut Connection,
        work: impl FnOnce(&mut Connection) -> Outcome<T>,
    ) -> Outcome<T> {
        let before = (self.count)(connection)?;
        let outcome = work(connection)?;
        let would = (self.count)(connection)?;
        if would > before && would > self.most {
            return Err(Error::Quota { what: self.what, most: self.most, would }.into());
        }
        Ok(outcome)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("place", &self.shown()).finish_non_exhaustive()
    }
}

/// What can go wrong between two records: the database's fault or ours.
pub(super) enum Failure {
    Sql(diesel::result::Error),
    Ours(Error),
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// The result of anything that happens inside the database.
pub(super) type Outcome<T> = std::result::Result<T, Failure>;

impl Database {
    /// The file of a kind in a data directory.
    pub(super) fn at(root: &Path, kind: Kind) -> Self {
        Self::in_place(root, kind, Place::File(DatabaseFile::at(root.join(kind.file))))
    }

    /// What belongs to a data directory, on a server; with a tenant in a schema of its own.
    pub(super) fn on(cluster: &Arc<Cluster>, tenant: Option<&str>, root: &Path, kind: Kind) -> Self {
        Self::in_place(root, kind, Place::Server(Schema::of(cluster, kind.schema, tenant)))
    }

    fn in_place(root: &Path, kind: Kind, place: Place) -> Self {
        Self {
            kind,
            root: root.to_path_buf(),
            place,
            prepared: Mutex::default(),
            read_only: false,
            ceiling: Mutex::default(),
            written: AtomicU64::new(0),
            is_noted: AtomicBool::new(false),
            is_moving: false,
        }
    }

    /// The same; it does not matter that records are at another place too.
    pub(super) fn moving(self) -> Self {
        Self { is_moving: true, ..self }
    }

    /// The same; nothing is written, whatever the file system allows.
    pub(super) fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Whether nothing is written, whatever the file system allows.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Looks something up; `None` when the data directory holds nothing yet,
    /// and then it stays that way.
    pub(super) fn read<T>(&self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Result<Option<T>> {
        if !self.is_there() && !(self.kind.waits)(&self.root) {
            self.refuse_elsewhere()?;
            return Ok(None);
        }
        // One state for all that is read, whoever writes meanwhile.
        let file = match &self.place {
            Place::Server(schema) => {
                let mut lent = schema.lend(self)?;
                return lent.reading(work).map(Some).map_err(|failure| self.explain(failure));
            }
            Place::File(file) => file,
        };
        match self.writable() {
            Ok(()) => file.with(self, |connection| connection.reading(work)).map(Some),
            Err(Error::ReadOnly { why, .. }) => {
                file.peek(self, &why, |connection| connection.reading(work)).map(Some)
            }
            Err(e) => Err(e),
        }
    }

    /// Changes something, all of it or nothing.
    pub(super) fn write<T>(&self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Result<T> {
        self.write_as(Durability::Synced, work)
    }

    /// Changes what nobody looks for: counts, and traces of use. On a server nobody else
    /// looks again because of it.
    pub(super) fn write_aside<T>(&self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Result<T> {
        match &self.place {
            Place::File(_) => self.write_as(Durability::Written, work),
            Place::Server(schema) => {
                self.writable()?;
                schema.lend(self)?.writing_aside(work).map_err(|failure| self.explain(failure))
            }
        }
    }

    /// The same as [`Self::write`], and says how soon it is on the disk.
    pub(super) fn write_as<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&mut Connection) -> Outcome<T>,
    ) -> Result<T> {
        self.writable()?;
        let ceiling = *self.ceiling.lock().unwrap_or_else(PoisonError::into_inner);
        let work = move |connection: &mut Connection| match ceiling {
            None => work(connection),
            Some(ceiling) => ceiling.watch(connection, work),
        };
        let outcome = match &self.place {
            Place::Server(schema) => {
                let mut lent = schema.lend(self)?;
                let outcome = lent.writing(work).map_err(|failure| self.explain(failure));
                if outcome.is_ok() && self.kind.is_told && durability == Durability::Synced {
                    lent.tell();
                }
                outcome
            }
            Place::File(file) => file.with(self, |connection| {
                if durability == Durability::Synced {
                    return connection.writing(work);
                }
                // Nor does it move the log into the file, which would wait for the disk
                // now and then: others do that.
                connection.batch_execute("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;")?;
                let outcome = connection.writing(work);
                connection.batch_execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000;")?;
                outcome
            }),
        };
        if outcome.is_ok() {
            self.written.fetch_add(1, Ordering::Release);
        }
        outcome
    }

    /// How often this process has written.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// What can be told without asking: while it is the same, nobody has written. `None`
    /// where that cannot be told.
    pub(super) fn noted(&self) -> Option<Noted> {
        let schema = self.schema().filter(|_| self.is_noted.load(Ordering::Acquire))?;
        let is_read = schema.cluster().sheet().is_read();
        is_read.then(|| Noted { here: self.written(), anywhere: schema.noted() })
    }

    /// Says how much may be in it.
    pub(super) fn limit(&self, ceiling: Option<Ceiling>) {
        *self.ceiling.lock().unwrap_or_else(PoisonError::into_inner) = ceiling;
    }

    /// Where the file is, or would be; `None` on a server.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(file) => Some(file.path()),
            Place::Server(_) => None,
        }
    }

    /// The schema on a server.
    pub(super) fn schema(&self) -> Option<&Schema> {
        match &self.place {
            Place::File(_) => None,
            Place::Server(schema) => Some(schema),
        }
    }

    /// Whether it is there. A server that does not answer has it, and a folder that cannot
    /// be entered: the next look says what is wrong.
    pub(super) fn is_there(&self) -> bool {
        match &self.place {
            Place::File(file) => file.path().try_exists().unwrap_or(true),
            Place::Server(schema) => {
                *self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
                    || schema.is_there().unwrap_or(true)
            }
        }
    }

    /// Moves what was written from the log into the file itself, as far as no
    /// reader needs it. A server does so by itself.
    pub(super) fn checkpoint(&self) -> Result<()> {
        match &self.place {
            Place::File(file) if file.path().exists() => {
                file.with(self, |connection| Ok(connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE);")?))
            }
            _ => Ok(()),
        }
    }

    /// Moves everything from the log into the file and empties the log, so that what
    /// was overwritten stands in neither. Whoever reads meanwhile is waited for.
    pub(super) fn truncate_log(&self) -> Result<()> {
        match &self.place {
            Place::File(file) => file
                .with(self, |connection| Ok(connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE);")?)),
            Place::Server(_) => Ok(()),
        }
    }

    /// Closes what is open of a file; whoever closes it last leaves no log beside it.
    pub(super) fn close(&self) {
        if let Place::File(file) = &self.place {
            file.close();
        }
    }

    /// Whether the data directory may be written. Asked of the file system until
    /// this process has written there, and cheap after that.
    pub(super) fn writable(&self) -> Result<()> {
        let refused = |why: String| Error::ReadOnly { path: self.root.clone(), why };
        if self.read_only {
            return Err(refused("as the operator has said".to_owned()));
        }
        if *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        snapshot::try_writing(&self.root, self.file()).map_err(|e| match e.kind() {
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                refused(e.to_string())
            }
            _ => Error::io("write", &self.root, e),
        })
    }

    /// The server that a data directory says its records are on; `None` where these are
    /// on a server, or in files.
    pub(super) fn moved_to(&self) -> Option<String> {
        let Place::File(_) = &self.place else { return None };
        fs::read_to_string(self.root.join(MARK)).ok().map(|place| place.trim().to_owned())
    }

    /// Whoever forgets the server, or forgets to copy the records there, must not go on
    /// with other ones.
    fn refuse_elsewhere(&self) -> Result<()> {
        if self.is_moving {
            return Ok(());
        }
        let mark = self.root.join(MARK);
        match &self.place {
            Place::File(_) => match self.moved_to() {
                Some(place) => Err(Error::Refused(format!(
                    "the records of {} are on {place}; name that server with --database or ZHIDA_DATABASE (`zhida store copy --from` brings them back)",
                    self.root.display()
                ))),
                None => Ok(()),
            },
            Place::Server(_) if self.root.join(self.kind.file).exists() && !mark.exists() => {
                Err(Error::Refused(format!(
                    "{} holds records in files; copy them to the server with `zhida store copy --to`, or name another data directory",
                    self.root.display()
                )))
            }
            Place::Server(schema) => {
                let here = format!("{:?}", schema.cluster());
                match fs::read_to_string(&mark) {
                    // Whoever asks prepares it, so it cannot be prepared yet.
                    Ok(place) if place.trim() != here && !schema.is_there().unwrap_or(true) => {
                        Err(Error::Refused(format!(
                            "the records of {} are on {}, and {here} has none; name the first one",
                            self.root.display(),
                            place.trim()
                        )))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Makes the tables or brings them up to date, once in the life of a process. The
    /// caller sees to it that no other process does so at the same time.
    fn prepare(&self, connection: &mut Connection) -> Result<()> {
        self.refuse_newer(connection)?;
        let steps = Steps::of(self.kind.steps, connection);
        connection.run_pending_migrations(steps).map_err(|e| {
            self.wrong("open the database", format!("its tables cannot be made or brought up to date: {e}"))
        })?;
        (self.kind.prepare)(&self.root, connection).map_err(|failure| self.explain(failure))
    }

    /// A newer zhida may mean something else by what it finds in its tables.
    fn refuse_newer(&self, connection: &mut Connection) -> Result<()> {
        let wrong = |e: Box<dyn std::error::Error + Send + Sync>| self.wrong("open the database", e);
        let known = Steps::of(self.kind.steps, connection).migrations().map_err(wrong)?;
        let applied = connection.applied_migrations().map_err(wrong)?;
        let known: Vec<_> = known.iter().map(|migration| migration.name().version().as_owned()).collect();
        let strange = || applied.iter().filter(|version| !known.contains(version));
        let Some(newest) = strange().max() else { return Ok(()) };
        let place = self.shown();
        match &self.place {
            Place::File(_) => Err(Error::Refused(format!(
                "{place} is of a newer zhida (its tables are at {newest}, which this one does not know); use that version, or restore a backup of this one"
            ))),
            // While nodes are replaced one by one, some are older than the tables.
            Place::Server(_) => {
                match strange().find(|version| migrations::takes_away(&version.to_string())) {
                    None => {
                        tracing::warn!(
                            place,
                            tables = %newest,
                            "the tables are of a newer zhida, which has only added to them: this one goes on with what it knows; replace it by the newer one"
                        );
                        Ok(())
                    }
                    Some(version) => Err(Error::Refused(format!(
                        "{place} is of a newer zhida (step {version} has taken away what this one needs); start the newer zhida in its place: nodes of this version that still run lose that too, and only a backup from before the step brings it back"
                    ))),
                }
            }
        }
    }

    /// Where it is, in words.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Place::File(file) => file.path().display().to_string(),
            Place::Server(schema) => schema.shown(),
        }
    }

    fn wrong(&self, action: &'static str, why: impl ToString) -> Error {
        Error::io(action, self.shown(), Disk::source(why))
    }

    /// Puts a failure into words for the operator.
    fn explain(&self, failure: Failure) -> Error {
        let error = match failure {
            Failure::Ours(error) => return error,
            Failure::Sql(error) => error,
        };
        let text = error.to_string();
        match &error {
            error if connection::is_lost(error) => Error::Unreachable { what: self.shown(), why: text },
            diesel::result::Error::DatabaseError(DatabaseErrorKind::Unknown, told)
                if told.message().contains("locked") || told.message().contains("lock timeout") =>
            {
                Error::Refused(format!(
                    "{} is being written by another process; try again when it is done",
                    self.shown()
                ))
            }
            _ => match self.wrong("use the database", text) {
                error if error.disk() == Some(Disk::ReadOnly) => Error::ReadOnly {
                    path: self.root.clone(),
                    why: "its database cannot be written".to_owned(),
                },
                error => error,
            },
        }
    }
}

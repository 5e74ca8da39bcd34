//! Where are records kept?
//!
//! In SQLite files in WAL mode: readers never wait, writers of one file wait for
//! each other. What a [`Database`] holds is its [`Kind`]; every kind is a file of
//! its own, so that a long import does not keep a customer waiting. Everything
//! that knows SQL stands in this folder, and [`Connection`] is the one type that
//! it is spoken over.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use diesel::connection::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::result::DatabaseErrorKind;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use crate::error::{Error, Result};

/// What records are read and written over.
pub(super) type Connection = diesel::SqliteConnection;

/// What one of the files holds.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// The file's name.
    pub(super) file: &'static str,
    /// Its tables.
    pub(super) migrations: fn() -> EmbeddedMigrations,
    /// What a process does with it when it opens it first.
    pub(super) prepare: fn(&Path, &mut Connection) -> Outcome<()>,
    /// Whether something waits in the data directory to be taken in, so that
    /// even reading makes the file.
    pub(super) waits: fn(&Path) -> bool,
}

/// How soon a change is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// When it is acknowledged, whatever happens then.
    Synced,
    /// When it is acknowledged the system has it: no end of the process can lose
    /// it, a power cut can lose the last ones. The next synced change of the same
    /// file takes it along.
    Written,
}

/// Connections that are kept open while nobody needs them.
const IDLE: usize = 4;

/// A writer waits this long for another one before it gives up: an import of
/// a hundred thousand phrasings takes a few seconds.
const SETTINGS: &str = "PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON; \
                        PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;";

pub(in crate::store) mod copy;
pub(in crate::store) mod door;
pub(in crate::store) mod schema;
mod snapshot;
pub(in crate::store) mod talk;
pub(in crate::store) mod watch;

/// A file of records in a data directory.
pub(super) struct Database {
    kind: Kind,
    root: PathBuf,
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// Whether this process has looked after the tables.
    prepared: Mutex<bool>,
    /// Whether nothing is written, whatever the file system allows.
    read_only: bool,
    /// How much may be in it.
    ceiling: Mutex<Option<Ceiling>>,
}

/// How much of something may be in a file: no change may add to what is more.
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
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
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
    pub(super) fn at(root: &Path, kind: Kind) -> Self {
        Self {
            kind,
            root: root.to_path_buf(),
            path: root.join(kind.file),
            idle: Mutex::default(),
            prepared: Mutex::default(),
            read_only: false,
            ceiling: Mutex::default(),
        }
    }

    pub(super) fn read_only(root: &Path, kind: Kind) -> Self {
        Self { read_only: true, ..Self::at(root, kind) }
    }

    /// Whether nothing is written, whatever the file system allows.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Looks something up; `None` when the data directory holds nothing yet,
    /// and then it stays that way.
    pub(super) fn read<T>(&self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Result<Option<T>> {
        if !self.path.exists() && !(self.kind.waits)(&self.root) {
            return Ok(None);
        }
        // One state for all that is read, whoever writes meanwhile.
        match self.writable() {
            Ok(()) => self.with(|connection| connection.transaction(work)).map(Some),
            Err(Error::ReadOnly { why, .. }) => {
                self.peek(&why, |connection| connection.transaction(work)).map(Some)
            }
            Err(e) => Err(e),
        }
    }

    /// Changes something, all of it or nothing.
    pub(super) fn write<T>(&self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Result<T> {
        self.write_as(Durability::Synced, work)
    }

    /// The same, and says how soon it is on the disk.
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
        // Who reads first and writes later could find that somebody else has
        // written meanwhile; who begins by writing waits instead.
        self.with(|connection| {
            if durability == Durability::Synced {
                return connection.immediate_transaction(work);
            }
            // Nor does it move the log into the file, which would wait for the disk
            // now and then: others do that.
            connection.batch_execute("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;")?;
            let outcome = connection.immediate_transaction(work);
            connection.batch_execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000;")?;
            outcome
        })
    }

    /// Says how much may be in it.
    pub(super) fn limit(&self, ceiling: Option<Ceiling>) {
        *self.ceiling.lock().unwrap_or_else(PoisonError::into_inner) = ceiling;
    }

    /// Where the file is, or would be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is there.
    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Moves what was written from the log into the file itself, as far as no
    /// reader needs it.
    pub(super) fn checkpoint(&self) -> Result<()> {
        if !self.is_there() {
            return Ok(());
        }
        self.with(|connection| Ok(connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE);")?))
    }

    /// Moves everything from the log into the file and empties the log, so that what
    /// was overwritten stands in neither. Whoever reads meanwhile is waited for.
    pub(super) fn truncate_log(&self) -> Result<()> {
        self.with(|connection| Ok(connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE);")?))
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
        snapshot::try_writing(&self.root, &self.path).map_err(|e| match e.kind() {
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                refused(e.to_string())
            }
            _ => Error::io("write", &self.root, e),
        })
    }

    /// Looks something up in a database that cannot be written.
    fn peek<T>(&self, why: &str, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Result<T> {
        let wrong =
            |message: String| Error::io("open the database", &self.path, std::io::Error::other(message));
        if !self.path.exists() {
            return Err(Error::Refused(format!(
                "the data directory {} is of an older zhida and must be brought up to date, but it is read-only ({why}); open it once where it can be written",
                self.root.display()
            )));
        }
        let view = snapshot::View::of(&self.path)?;
        let mut connection = Connection::establish(&view.url).map_err(|e| wrong(e.to_string()))?;
        connection.batch_execute(SETTINGS).map_err(|e| wrong(e.to_string()))?;
        self.refuse_newer(&mut connection)?;
        if connection.has_pending_migration((self.kind.migrations)()).map_err(|e| wrong(e.to_string()))? {
            return Err(Error::Refused(format!(
                "{} is of an older zhida and must be brought up to date, but the data directory is read-only ({why}); open it once where it can be written",
                self.path.display()
            )));
        }
        work(&mut connection).map_err(|failure| self.explain(failure))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Result<T> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.open()?,
        };
        let result = work(&mut connection).map_err(|failure| self.explain(failure));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        result
    }

    fn open(&self) -> Result<Connection> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong =
            |message: String| Error::io("open the database", &self.path, std::io::Error::other(message));
        fs::create_dir_all(&self.root).map_err(|e| Error::io("create", &self.root, e))?;
        // Two processes that come first must not both make the tables.
        let lock = if *prepared { None } else { Some(self.lock()?) };
        let url = self.path.to_str().ok_or_else(|| {
            Error::Refused(format!("the data directory {} must have a name in UTF-8", self.root.display()))
        })?;
        let mut connection = Connection::establish(url).map_err(|e| wrong(e.to_string()))?;
        connection.batch_execute(SETTINGS).map_err(|e| wrong(e.to_string()))?;
        if lock.is_some() {
            connection.batch_execute("PRAGMA journal_mode = WAL;").map_err(|e| wrong(e.to_string()))?;
            self.refuse_newer(&mut connection)?;
            connection
                .run_pending_migrations((self.kind.migrations)())
                .map_err(|e| wrong(format!("its tables cannot be made or brought up to date: {e}")))?;
            (self.kind.prepare)(&self.root, &mut connection).map_err(|failure| self.explain(failure))?;
            *prepared = true;
        }
        Ok(connection)
    }

    /// A newer zhida may mean something else by what it finds in its tables.
    fn refuse_newer(&self, connection: &mut Connection) -> Result<()> {
        let wrong = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::io("open the database", &self.path, std::io::Error::other(e.to_string()))
        };
        let known = MigrationSource::<<Connection as diesel::Connection>::Backend>::migrations(&(self
            .kind
            .migrations)(
        ))
        .map_err(wrong)?;
        let applied = connection.applied_migrations().map_err(wrong)?;
        let known: Vec<_> = known.iter().map(|migration| migration.name().version().as_owned()).collect();
        match applied.iter().find(|version| !known.contains(version)) {
            None => Ok(()),
            Some(version) => Err(Error::Refused(format!(
                "{} is of a newer zhida (its tables are at {version}, which this one does not know); use that version, or restore a backup of this one",
                self.path.display()
            ))),
        }
    }

    fn lock(&self) -> Result<File> {
        let path = self.root.join(format!("{}.lock", self.kind.file));
        let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        file.lock().map_err(|e| Error::io("lock", &path, e))?;
        Ok(file)
    }

    /// Puts a failure into words for the operator.
    fn explain(&self, failure: Failure) -> Error {
        let error = match failure {
            Failure::Ours(error) => return error,
            Failure::Sql(error) => error,
        };
        let text = error.to_string();
        match &error {
            diesel::result::Error::DatabaseError(DatabaseErrorKind::Unknown, told)
                if told.message().contains("locked") =>
            {
                Error::Refused(format!(
                    "{} is being written by another process; try again when it is done",
                    self.path.display()
                ))
            }
            _ if text.contains("readonly database") => {
                Error::ReadOnly { path: self.root.clone(), why: "its database cannot be written".to_owned() }
            }
            _ if text.contains("disk is full") => {
                Error::io("write", &self.path, std::io::Error::new(std::io::ErrorKind::StorageFull, text))
            }
            _ => Error::io("use the database", &self.path, std::io::Error::other(text)),
        }
    }
}

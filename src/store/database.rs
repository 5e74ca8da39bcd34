//! Where are records kept?
//!
//! One SQLite file, `zhida.db`, in WAL mode: readers never wait, writers wait
//! for each other, and a commit is on the disk when it returns. Everything
//! that knows SQL stands in this folder.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::result::DatabaseErrorKind;
use diesel::{Connection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{deletions, legacy, snapshot};
use crate::error::{Error, Result};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("src/store/migrations");

/// Connections that are kept open while nobody needs them.
const IDLE: usize = 4;

/// A writer waits this long for another one before it gives up: an import of
/// a hundred thousand phrasings takes a few seconds.
const SETTINGS: &str = "PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON; \
                        PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;";

pub(super) mod schema {
    diesel::table! {
        kbs (id) {
            id -> Integer,
            name -> Text,
            current -> Nullable<Integer>,
            revision -> BigInt,
            live_from -> BigInt,
            live_to -> BigInt,
            keep -> Nullable<Integer>,
            max_wrong -> Nullable<Double>,
        }
    }
    diesel::table! {
        queries (kb, position) {
            kb -> Integer,
            position -> BigInt,
            content -> Text,
        }
    }
    diesel::table! {
        revisions (kb, number) {
            kb -> Integer,
            number -> BigInt,
            entry -> Text,
            action -> Text,
            content -> Nullable<Text>,
            previous -> Nullable<BigInt>,
            at -> Text,
            author -> Text,
            reason -> Nullable<Text>,
            live -> Bool,
        }
    }
    diesel::table! {
        entries (kb, id) {
            kb -> Integer,
            id -> Text,
            position -> BigInt,
            revision -> BigInt,
        }
    }
    diesel::table! {
        lexicon (kb, position) {
            kb -> Integer,
            position -> BigInt,
            revision -> BigInt,
        }
    }
    diesel::table! {
        lexicon_revisions (kb, number) {
            kb -> Integer,
            number -> BigInt,
            action -> Text,
            before -> Nullable<Text>,
            content -> Nullable<Text>,
            at -> Text,
            author -> Text,
            reason -> Nullable<Text>,
        }
    }
    diesel::table! {
        claims (kb, kind, text) {
            kb -> Integer,
            kind -> Text,
            text -> Text,
            entry -> Text,
        }
    }
    diesel::table! {
        releases (kb, number) {
            kb -> Integer,
            number -> Integer,
            at -> Text,
            author -> Text,
            reason -> Nullable<Text>,
            forced -> Bool,
            findings -> Nullable<Text>,
            revision -> BigInt,
            removed -> Nullable<Text>,
        }
    }
    diesel::table! {
        servings (kb, number) {
            kb -> Integer,
            number -> BigInt,
            action -> Text,
            release -> Integer,
            at -> Text,
            author -> Text,
            reason -> Nullable<Text>,
        }
    }
    diesel::table! {
        deletions (kb) {
            kb -> Integer,
            name -> Text,
            at -> Text,
            author -> Text,
            reason -> Nullable<Text>,
            swept -> Bool,
        }
    }
    diesel::allow_tables_to_appear_in_same_query!(entries, revisions);
    diesel::allow_tables_to_appear_in_same_query!(lexicon, lexicon_revisions);
}

/// The database of a data directory.
pub(super) struct Database {
    root: PathBuf,
    path: PathBuf,
    idle: Mutex<Vec<SqliteConnection>>,
    /// Whether this process has looked after the tables.
    prepared: Mutex<bool>,
    /// Whether nothing is written, whatever the file system allows.
    read_only: bool,
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
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            path: root.join("zhida.db"),
            idle: Mutex::default(),
            prepared: Mutex::default(),
            read_only: false,
        }
    }

    pub(super) fn read_only(root: &Path) -> Self {
        Self { read_only: true, ..Self::at(root) }
    }

    /// Looks something up; `None` when the data directory holds nothing yet,
    /// and then it stays that way.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Outcome<T>,
    ) -> Result<Option<T>> {
        if !self.path.exists() && !legacy::is_there(&self.root) {
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
    pub(super) fn write<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Outcome<T>) -> Result<T> {
        self.writable()?;
        // Who reads first and writes later could find that somebody else has
        // written meanwhile; who begins by writing waits instead.
        self.with(|connection| connection.immediate_transaction(work))
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
    fn peek<T>(&self, why: &str, work: impl FnOnce(&mut SqliteConnection) -> Outcome<T>) -> Result<T> {
        let wrong =
            |message: String| Error::io("open the database", &self.path, std::io::Error::other(message));
        if !self.path.exists() {
            return Err(Error::Refused(format!(
                "the data directory {} is of an older zhida and must be brought up to date, but it is read-only ({why}); open it once where it can be written",
                self.root.display()
            )));
        }
        let view = snapshot::View::of(&self.path)?;
        let mut connection = SqliteConnection::establish(&view.url).map_err(|e| wrong(e.to_string()))?;
        connection.batch_execute(SETTINGS).map_err(|e| wrong(e.to_string()))?;
        if connection.has_pending_migration(MIGRATIONS).map_err(|e| wrong(e.to_string()))? {
            return Err(Error::Refused(format!(
                "{} is of an older zhida and must be brought up to date, but the data directory is read-only ({why}); open it once where it can be written",
                self.path.display()
            )));
        }
        work(&mut connection).map_err(|failure| self.explain(failure))
    }

    fn with<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Outcome<T>) -> Result<T> {
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

    fn open(&self) -> Result<SqliteConnection> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong =
            |message: String| Error::io("open the database", &self.path, std::io::Error::other(message));
        fs::create_dir_all(&self.root).map_err(|e| Error::io("create", &self.root, e))?;
        // Two processes that come first must not both make the tables.
        let lock = if *prepared { None } else { Some(self.lock()?) };
        let url = self.path.to_str().ok_or_else(|| {
            Error::Refused(format!("the data directory {} must have a name in UTF-8", self.root.display()))
        })?;
        let mut connection = SqliteConnection::establish(url).map_err(|e| wrong(e.to_string()))?;
        connection.batch_execute(SETTINGS).map_err(|e| wrong(e.to_string()))?;
        if lock.is_some() {
            connection.batch_execute("PRAGMA journal_mode = WAL;").map_err(|e| wrong(e.to_string()))?;
            connection
                .run_pending_migrations(MIGRATIONS)
                .map_err(|e| wrong(format!("its tables cannot be made or brought up to date: {e}")))?;
            deletions::sweep(&mut connection, &self.root);
            legacy::move_in(&self.root, &mut connection).map_err(|failure| self.explain(failure))?;
            *prepared = true;
        }
        Ok(connection)
    }

    fn lock(&self) -> Result<File> {
        let path = self.root.join("zhida.db.lock");
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

//! How is a database in a file opened, and kept open?

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use diesel::SqliteConnection;
use diesel::connection::{Connection as _, SimpleConnection};
use diesel_migrations::MigrationHarness;

use super::migrations::Steps;
use super::{Connection, Database, Outcome, snapshot};
use crate::disk::private_folder;
use crate::error::{Error, Result};

/// Connections that are kept open while nobody needs them.
const IDLE: usize = 4;

/// A writer waits this long for another one before it gives up: an import of
/// a hundred thousand phrasings takes a few seconds. What goes, a customer's words or a
/// secret, is overwritten and not found in the free space of the file, whoever removed it and
/// whenever; a server keeps its files where only its operator reads, and takes the space up
/// again.
const SETTINGS: &str = "PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON; \
                        PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304; \
                        PRAGMA secure_delete = ON;";

/// A file, and connections to it.
pub(super) struct DatabaseFile {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// Opens a file, with what holds for every connection.
pub(in crate::store) fn connect(url: &str) -> std::result::Result<Connection, String> {
    let mut connection = Connection::Sqlite(SqliteConnection::establish(url).map_err(|e| e.to_string())?);
    connection.batch_execute(SETTINGS).map_err(|e| e.to_string())?;
    Ok(connection)
}

impl DatabaseFile {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Does something with a connection that is lent for it.
    pub(super) fn with<T>(
        &self,
        database: &Database,
        work: impl FnOnce(&mut Connection) -> Outcome<T>,
    ) -> Result<T> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.open(database)?,
        };
        let result = work(&mut connection).map_err(|failure| database.explain(failure));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        result
    }

    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn open(&self, database: &Database) -> Result<Connection> {
        let mut prepared = database.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let root = &database.root;
        database.refuse_elsewhere()?;
        private_folder(root)?;
        // Two processes that come first must not both make the tables.
        let lock = if *prepared { None } else { Some(self.lock(database)?) };
        let url = self.path.to_str().ok_or_else(|| {
            Error::Refused(format!("the data directory {} must have a name in UTF-8", root.display()))
        })?;
        let wrong = |message: String| database.wrong("open the database", message);
        let mut connection = connect(url).map_err(wrong)?;
        if lock.is_some() {
            connection.batch_execute("PRAGMA journal_mode = WAL;").map_err(|e| wrong(e.to_string()))?;
            database.prepare(&mut connection)?;
            *prepared = true;
        }
        Ok(connection)
    }

    /// Looks something up in a database that cannot be written.
    pub(super) fn peek<T>(
        &self,
        database: &Database,
        why: &str,
        work: impl FnOnce(&mut Connection) -> Outcome<T>,
    ) -> Result<T> {
        let older = |what: String| {
            Error::Refused(format!(
                "{what} is of an older zhida and must be brought up to date, but the data directory is read-only ({why}); open it once where it can be written"
            ))
        };
        if !self.path.try_exists().map_err(|e| Error::io("open", &self.path, e))? {
            return Err(older(format!("the data directory {}", database.root.display())));
        }
        let view = snapshot::View::of(&self.path)?;
        let wrong = |message: String| database.wrong("open the database", message);
        let mut connection = connect(&view.url).map_err(wrong)?;
        database.refuse_newer(&mut connection)?;
        let steps = Steps::of(database.kind.steps, &connection);
        if connection.has_pending_migration(steps).map_err(|e| wrong(e.to_string()))? {
            return Err(older(self.path.display().to_string()));
        }
        work(&mut connection).map_err(|failure| database.explain(failure))
    }

    fn lock(&self, database: &Database) -> Result<File> {
        let path = database.root.join(format!("{}.lock", database.kind.file));
        let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        file.lock().map_err(|e| Error::io("lock", &path, e))?;
        Ok(file)
    }
}

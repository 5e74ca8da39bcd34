//! How is a database read where nothing may be written?
//!
//! In WAL mode even readers want to write: the index of the log is shared
//! memory in a file beside it. Without the right to do so there are three
//! cases, which this file tells apart.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Result};

/// Does to a data directory what writing would, and leaves nothing behind. One
/// that does not exist can be made, or whoever makes it hears why not.
pub(super) fn try_writing(root: &Path, database: Option<&Path>) -> io::Result<()> {
    if !root.exists() {
        return Ok(());
    }
    tempfile::tempfile_in(root)?;
    let Some(database) = database else { return Ok(()) };
    match OpenOptions::new().write(true).open(database) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// How a database is opened to be read only.
pub(super) struct View {
    /// What SQLite opens.
    pub(super) url: String,
    /// Holds the copy, if there is one.
    _copy: Option<TempDir>,
}

impl View {
    /// The way for a database in its present state.
    pub(super) fn of(database: &Path) -> Result<Self> {
        let log = beside(database, "-wal");
        let logged = fs::metadata(&log).ok().map(|found| found.len());
        if logged.is_some() && beside(database, "-shm").exists() {
            // Somebody writes elsewhere, or was killed: the index is there to be read.
            return Ok(Self { url: url(database, "mode=ro")?, _copy: None });
        }
        if logged.unwrap_or(0) == 0 {
            // All of it is in one file, and nobody is writing.
            return Ok(Self { url: url(database, "mode=ro&immutable=1")?, _copy: None });
        }
        // A copy that somebody made of the two files: the index has to be made anew.
        let folder =
            tempfile::tempdir().map_err(|e| Error::io("create a folder in", std::env::temp_dir(), e))?;
        let copy = folder.path().join("zhida.db");
        for (from, to) in [(database, &copy), (&log, &beside(&copy, "-wal"))] {
            fs::copy(from, to).map_err(|e| Error::io("copy", from, e))?;
        }
        Ok(Self { url: url(&copy, "mode=rw")?, _copy: Some(folder) })
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A file as SQLite's URIs name it.
fn url(path: &Path, how: &str) -> Result<String> {
    let absolute = std::path::absolute(path).map_err(|e| Error::io("find", path, e))?;
    let text = absolute.to_str().ok_or_else(|| {
        Error::Refused(format!("the data directory {} must have a name in UTF-8", absolute.display()))
    })?;
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Ok(format!("file:{escaped}?{how}"))
}

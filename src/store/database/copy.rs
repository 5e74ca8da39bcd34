//! How is a database copied, checked and known to be in use, whatever is in it?

use std::path::{Path, PathBuf};

use diesel::SqliteConnection;
use diesel::connection::{Connection as _, SimpleConnection};
use diesel::prelude::{QueryableByName, RunQueryDsl};
use diesel::sql_types::Text;

use super::snapshot::View;
use crate::error::{Disk, Error, Result};
use crate::store::{DOOR, DRAFTS, TALK};

/// Writes a database as it is at one moment into a new file; whoever writes
/// meanwhile goes on.
pub(in crate::store) fn copy(database: &Path, to: &Path) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| match Error::io("write", to, Disk::source(e)) {
        // What is read takes no room.
        full if full.disk() == Some(Disk::Full) => full,
        _ => {
            let text = format!("{e}, on the way to {}", to.display());
            Error::io("copy the database", database, std::io::Error::other(text))
        }
    };
    let is_writable = std::fs::OpenOptions::new().write(true).open(database).is_ok();
    // Where nothing may be written it is read in its own way.
    let view = if is_writable { None } else { Some(View::of(database)?) };
    let url = match &view {
        Some(view) => view.url.as_str(),
        None => database.to_str().ok_or_else(|| failed(&"its name is not UTF-8"))?,
    };
    let target = to.to_str().ok_or_else(|| failed(&"the copy's name is not UTF-8"))?;
    let mut connection = SqliteConnection::establish(url).map_err(|e| failed(&e))?;
    connection.batch_execute("PRAGMA busy_timeout = 30000;").map_err(|e| failed(&e))?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(target)
        .execute(&mut connection)
        .map_err(|e| failed(&e))?;
    Ok(())
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Looks at every page and index of a database.
pub(in crate::store) fn check(database: &Path) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| {
        Error::io("check the database", database, std::io::Error::other(e.to_string()))
    };
    let url = database.to_str().ok_or_else(|| failed(&"its name is not UTF-8"))?;
    let mut connection = SqliteConnection::establish(url).map_err(|e| failed(&e))?;
    let lines: Vec<Line> =
        diesel::sql_query("PRAGMA integrity_check").load(&mut connection).map_err(|e| failed(&e))?;
    match &lines[..] {
        [Line { integrity_check }] if integrity_check == "ok" => Ok(()),
        [first, ..] => Err(failed(&first.integrity_check)),
        [] => Err(failed(&"it says nothing of itself")),
    }
}

/// A database in a data directory that somebody works on, if one is.
pub(in crate::store) fn in_use(root: &Path) -> Option<PathBuf> {
    let mut all = [DRAFTS, TALK, DOOR].map(|kind| root.join(kind.file)).into_iter();
    all.find(|database| database.is_file() && is_in_use(database))
}

/// Whether anybody has a database open: then nobody else can have it alone. Changes
/// nothing in it.
fn is_in_use(database: &Path) -> bool {
    let Some(Ok(mut connection)) = database.to_str().map(SqliteConnection::establish) else { return false };
    let asked = "PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; ROLLBACK;";
    match connection.batch_execute(asked) {
        Ok(()) => false,
        // What is no database is nobody's.
        Err(error) => error.to_string().contains("locked"),
    }
}

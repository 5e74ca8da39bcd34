//! Has another process written?
//!
//! `PRAGMA data_version` answers that for the connection that asks it, without
//! reading anything but the shared memory of the log: a few microseconds.

use std::fs;
use std::path::Path;

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::prelude::RunQueryDsl;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Integer;

use super::Connection;
use super::file::connect;
use crate::error::{Error, Result};

/// A connection that only asks.
#[derive(Default)]
pub(in crate::store) struct Watch {
    open: Option<(Connection, Place)>,
    seen: Option<i32>,
}

/// Which file it is: one that was restored in its place is another one.
type Place = (u64, u64);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// `PRAGMA data_version`. Every request asks it, so it is prepared once, which no query
/// in plain text is.
#[derive(QueryId)]
struct DataVersion;

impl<DB: Backend> QueryFragment<DB> for DataVersion {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("PRAGMA data_version");
        Ok(())
    }
}

impl Query for DataVersion {
    type SqlType = Integer;
}

impl<C> RunQueryDsl<C> for DataVersion {}

impl Watch {
    /// Whether the file has changed since the last time; always the first time.
    /// `None` when it is not there.
    pub(in crate::store) fn changed(&mut self, path: &Path) -> Result<Option<bool>> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::io("watch the database", path, std::io::Error::other(e.to_string()))
        };
        let Some(place) = place(path)? else {
            (self.open, self.seen) = (None, None);
            return Ok(None);
        };
        if self.open.as_ref().is_none_or(|(_, known)| *known != place) {
            let url = path.to_str().ok_or_else(|| failed(&"its name is not UTF-8"))?;
            let connection = connect(url).map_err(|e| failed(&e))?;
            (self.open, self.seen) = (Some((connection, place)), None);
        }
        let Some((connection, _)) = &mut self.open else { return Ok(None) };
        let version: i32 = DataVersion.get_result(connection).map_err(|e| failed(&e))?;
        Ok(Some(self.seen.replace(version) != Some(version)))
    }
}

fn place(path: &Path) -> Result<Option<Place>> {
    match fs::metadata(path) {
        Ok(found) => {
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                Ok(Some((found.dev(), found.ino())))
            }
            #[cfg(not(unix))]
            {
                let _ = found;
                Ok(Some((0, 0)))
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("look at", path, e)),
    }
}

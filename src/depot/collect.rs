//! Which files of a depot does nobody need any more?
//!
//! Those that no name leads to, once they are older than a grace: a release that is just
//! being put has written its name before its files, and writes anew what is old.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use object_store::ObjectStoreExt;
use serde::Serialize;

use super::place::Form;
use super::put::FRESH;
use super::{Depot, Listed, age, named_at, run};
use crate::error::{Error, Result};

/// What a collection did or would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Collected {
    /// Files that were looked at.
    pub files: usize,
    /// Files that went.
    pub removed: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that no name leads to and that are too young.
    pub young: usize,
}

impl Depot {
    /// Removes what no name leads to and what is older than `grace`. With `dry_run` it
    /// only says what it would do.
    ///
    /// # Errors
    /// [`Error::Refused`] when the grace is so short that a release in the making could
    /// lose a file. When a name cannot be read: then nothing is removed.
    pub fn collect(&self, grace: Duration, dry_run: bool) -> Result<Collected> {
        if grace < FRESH * 2 {
            return Err(Error::Refused(format!(
                "a grace of less than {} minutes could take files from a release that is being published; give a longer one",
                FRESH.as_secs() / 30
            )));
        }
        let store = self.store()?;
        let mut collected = Collected::default();
        run(async {
            // Files first: what is put after this is no candidate, and what was put before
            // has its name by now.
            let blobs = self.list(&store, "blobs").await?;
            let mut needed = HashSet::new();
            for meta in self.list(&store, "names").await? {
                let text = match self.read(&store, &meta.location).await {
                    Ok(text) => text,
                    // It was taken away meanwhile.
                    Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                        continue;
                    }
                    Err(e) => return Err(e),
                };
                let path = self.told(&meta.location);
                let listed = Listed::of(&text).map_err(|e| Error::release(&path, e))?;
                let named = named_at(&meta.location)
                    .ok_or_else(|| Error::release(&path, "is no name of a release; remove it by hand"))?;
                needed.insert(named.digest);
                needed.extend(listed.files.into_values().map(|file| file.sha256));
            }
            for meta in blobs {
                collected.files += 1;
                if meta.location.filename().is_some_and(|name| needed.contains(name)) {
                    continue;
                }
                // Somebody may have written it anew since.
                let Some(meta) = self.found(&store, &meta.location).await? else { continue };
                if age(&meta) < grace {
                    collected.young += 1;
                    continue;
                }
                if !dry_run {
                    match store.delete(&meta.location).await {
                        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(e) => return Err(self.failed("remove", &meta.location, e)),
                    }
                }
                collected.removed += 1;
                collected.bytes += meta.size;
            }
            Ok(())
        })??;
        match &self.0.form {
            Form::Folder(folder) => {
                for below in ["blobs", "names"] {
                    sweep(&folder.join(below), grace, dry_run, &mut collected);
                }
            }
            Form::Table(table) => {
                let (removed, bytes) = table.sweep(grace, dry_run)?;
                collected.removed += removed;
                collected.bytes += bytes;
            }
            // A bucket has rules of its own for that.
            Form::Objects(_) => {}
        }
        Ok(collected)
    }
}

/// Removes what killed writers have left in a folder: a file is written under its name
/// with `#` and a number, and renamed.
fn sweep(folder: &Path, grace: Duration, dry_run: bool, collected: &mut Collected) {
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(data) = item.metadata() else { continue };
        if data.is_dir() {
            sweep(&item.path(), grace, dry_run, collected);
            continue;
        }
        let name = item.file_name().to_string_lossy().into_owned();
        let is_unfinished = name.rsplit_once('#').is_some_and(|(_, number)| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        let is_old = data.modified().is_ok_and(|at| at.elapsed().unwrap_or_default() >= grace);
        // Space that cannot be freed now can be freed next time.
        if is_unfinished && is_old && (dry_run || fs::remove_file(item.path()).is_ok()) {
            collected.removed += 1;
            collected.bytes += data.len();
        }
    }
}

//! How does a file appear whole or not at all, and what of one that is damaged?

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};

/// More files than anything here has open.
#[cfg(unix)]
const MANY_FILES: u64 = 65_536;

/// Writes a file so that it appears whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let failed = |e| Error::io("write", path, e);
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    beside.write_all(bytes).and_then(|()| beside.as_file().sync_all()).map_err(failed)?;
    // A temporary file is its owner's alone; what it becomes is an ordinary one.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(beside.path(), fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    beside.persist(path).map_err(|e| failed(e.error))?;
    sync_folder(folder)
}

/// Makes a folder, and those around it, that only its owner may enter; one that is there stays
/// as it is. What customers say lies in it.
pub fn private_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|e| Error::io("create", folder, e))
}

/// How long what a process leaves behind may be another one's that is still at work.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder for copies of a data directory, that only its owner may enter. Those of the same
/// kind that a process has left a day ago or more, killed before it could, go.
pub fn private_temporary(prefix: &str, parent: &Path) -> std::io::Result<tempfile::TempDir> {
    for item in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = item.file_name().to_string_lossy().starts_with(prefix);
        let age = item.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
        if is_ours && age.is_some_and(|age| age > ABANDONED) {
            // Another process may be doing the same.
            let _ = if item.path().is_dir() {
                fs::remove_dir_all(item.path())
            } else {
                fs::remove_file(item.path())
            };
        }
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    builder.tempdir_in(parent)
}

/// Puts a folder in the place of another one, which gets its place: at every
/// moment one of them is there.
pub fn swap_folders(new: &Path, old: &Path) -> Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE)
            .map_err(|e| Error::io("put a folder in the place of", old, e.into()))
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let aside = new.with_extension("swap");
        let failed = |e| Error::io("put a folder in the place of", old, e);
        fs::rename(old, &aside).map_err(failed)?;
        fs::rename(new, old).map_err(failed)?;
        fs::rename(&aside, new).map_err(failed)
    }
}

/// Removes the folders in a folder whose names begin like this: what a process that died
/// has left. Space that cannot be freed now can be freed next time.
pub fn remove_leftovers(folder: &Path, beginning: &str) {
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        if item.file_name().to_string_lossy().starts_with(beginning) {
            // Another process may be doing the same.
            let _ = fs::remove_dir_all(item.path());
        }
    }
}

/// Makes renames in a folder survive a power cut.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|e| Error::io("write", folder, e))
}

/// How many bytes may still be written where a path lies; `None` where that cannot
/// be told.
pub fn room(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let found = rustix::fs::statvfs(path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Lets this process have as many files open as it may allow itself: many systems begin with
/// 1,024 for the sake of old programs, and every tenant has one for what happens in it.
pub fn open_many() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // No bound at all is not for every system.
        let wanted = maximum.unwrap_or(MANY_FILES).min(MANY_FILES);
        if current.is_some_and(|current| current < wanted)
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        {
            tracing::debug!(%error, "no more files can be open than before");
        }
    }
}

/// Reads a file with a library that may panic over damage instead of saying so.
///
/// # Errors
/// What it panicked with.
pub fn contained<T>(read: impl FnOnce() -> T) -> std::result::Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).map_err(|thrown| {
        let text = thrown.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| thrown.downcast_ref::<&str>().copied()).unwrap_or("damaged");
        format!("it is damaged ({text})")
    })
}

//! How is a file of events written anew?
//!
//! Beside its place, and renamed when it is whole and on the disk: who reads it has
//! the old one or the new one.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::day::{Day, Days};
use super::forget::Requests;
use super::record::Event;
use super::wanted::{Read, Wanted};
use super::{parquet, segment};
use crate::disk::sync_folder;
use crate::error::{Error, Result};

/// How files are called that are not whole yet.
pub(super) const BESIDE: &str = ".beside-";

/// Whether a process writes a segment.
pub(super) fn is_busy(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => {
            file.unlock().map_err(|e| Error::io("lock", path, e))?;
            Ok(false)
        }
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(Error::io("lock", path, e)),
    }
}

/// All events of a file, whatever their day.
pub(super) fn each_of(reader: &parquet::Reader<'_>, day: Day, each: &mut dyn FnMut(Event)) -> Result<()> {
    // A folder holds events of its day and a few of the neighbours.
    let days = Days { from: day.plus(-36_500), to: day.plus(36_500) };
    reader.read(&Wanted::all(days), &mut Read::default(), each)
}

/// Writes a day's file beside its place and renames it; gives back how many events are in it.
pub(super) fn write_parquet(
    folder: &Path,
    path: &Path,
    segments: &[String],
    damaged: u64,
    fill: impl FnOnce(&mut dyn FnMut(Event)) -> Result<()>,
) -> Result<u64> {
    let failed = |e: std::io::Error| Error::io("write", path, e);
    let broken = |e| Error::Refused(format!("{}: {e}", path.display()));
    let beside = tempfile::Builder::new().prefix(BESIDE).tempfile_in(folder).map_err(failed)?;
    let out = std::io::BufWriter::with_capacity(1 << 20, beside.as_file().try_clone().map_err(failed)?);
    let mut writer = parquet::Writer::new(out).map_err(broken)?;
    let mut fault = None;
    fill(&mut |event| {
        if fault.is_none() {
            fault = writer.push(event).err();
        }
    })?;
    if let Some(e) = fault {
        return Err(broken(e));
    }
    let (out, count) = writer.finish(segments, damaged).map_err(broken)?;
    drop(out.into_inner().map_err(|e| failed(e.into_error()))?);
    persist(beside, path)?;
    sync_folder(folder)?;
    Ok(count)
}

fn persist(beside: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    let failed = |e| Error::io("write", path, e);
    beside.as_file().sync_all().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(beside.path(), fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    beside.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Applies requests to a closed segment; gives back how many events changed.
pub(super) fn rewrite_segment(
    path: &Path,
    file: File,
    requests: &Requests,
    words: &mut BTreeSet<String>,
) -> Result<u64> {
    use std::io::Write as _;
    let failed = |e| Error::io("write", path, e);
    let mut reader = segment::Reader::new(file);
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let beside = tempfile::Builder::new().prefix(BESIDE).tempfile_in(folder).map_err(failed)?;
    let mut out = std::io::BufWriter::new(beside.as_file());
    let mut changed = 0;
    while let Some(mut event) = reader.next(&[]).map_err(|e| Error::io("read", path, e))? {
        words.extend(requests.words(&event));
        changed += u64::from(requests.apply(&mut event));
        out.write_all(&segment::line(&event)?).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    drop(out);
    if changed > 0 {
        persist(beside, path)?;
        sync_folder(folder)?;
    }
    Ok(changed)
}

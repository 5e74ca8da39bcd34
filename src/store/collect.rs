//! Which old releases may go?
//!
//! The newest ones stay, the one that is served stays, and so does one that a
//! process has open: an open release holds a shared lock on its manifest. The
//! record of a release stays for ever; only its folder goes.

use std::fs::{self, File};
use std::path::Path;

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;

use super::database::schema::{kbs, releases};
use super::signature::now;
use super::{Shelf, draft};
use crate::error::{Error, Result};
use crate::release::MANIFEST;

/// What a collection did or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct Collected {
    /// Releases whose folders go.
    pub removed: Vec<u32>,
    /// Releases that would go and are in use.
    pub in_use: Vec<u32>,
    /// Bytes that become free.
    pub bytes: u64,
}

impl Shelf {
    /// Removes all but the newest `keep` releases, the one that is served and
    /// those in use. With `dry_run` it only says what it would do.
    ///
    /// # Errors
    /// When another process is publishing, or a folder cannot be removed.
    pub fn collect(&self, keep: usize, dry_run: bool) -> Result<Collected> {
        let _lock = self.lock()?;
        self.collect_locked(keep, dry_run)
    }

    /// As [`Self::collect`], for who holds the lock.
    pub(super) fn collect_locked(&self, keep: usize, dry_run: bool) -> Result<Collected> {
        let current = self.current()?;
        let versions = self.versions()?;
        let old = versions.len().saturating_sub(keep.max(1));
        let mut collected = Collected::default();
        for &number in &versions[..old] {
            if current == Some(number) {
                continue;
            }
            let folder = self.release_folder(number);
            let Some(_held) = claim(&folder) else {
                collected.in_use.push(number);
                continue;
            };
            collected.bytes += size_of(&folder);
            if !dry_run {
                let digest = self.digest(number)?;
                self.forget(number)?;
                self.forget_names(&[(number, digest)]);
                // The record says that it is gone; what a crash leaves is
                // swept by the next publication.
                match fs::remove_dir_all(&folder) {
                    Ok(()) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                    Err(e) => return Err(Error::io("remove", folder, e)),
                }
            }
            collected.removed.push(number);
        }
        Ok(collected)
    }

    /// Marks a release as gone, unless it is served by now.
    fn forget(&self, number: u32) -> Result<()> {
        self.store.database.write(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(()) };
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            if kb.current == Some(number) {
                return Err(Error::Refused(format!("release {number} is served now")).into());
            }
            diesel::update(releases::table.find((kb.id, number)))
                .set(releases::removed.eq(now()))
                .execute(connection)?;
            Ok(())
        })
    }

    /// How many releases a publication leaves; `None` for all.
    pub fn keeps(&self) -> Result<Option<u32>> {
        let kept = self.store.database.read(|connection| {
            Ok(kbs::table
                .filter(kbs::name.eq(&self.name))
                .select(kbs::keep)
                .first::<Option<i32>>(connection)
                .optional()?
                .flatten())
        })?;
        Ok(kept.flatten().and_then(|kept| u32::try_from(kept).ok()))
    }

    /// Sets how many releases every publication leaves.
    pub fn keep(&self, releases: Option<u32>) -> Result<()> {
        let releases = releases.map(|kept| i32::try_from(kept).unwrap_or(i32::MAX));
        self.store.database.write(|connection| {
            diesel::update(kbs::table.filter(kbs::name.eq(&self.name)))
                .set(kbs::keep.eq(releases))
                .execute(connection)?;
            Ok(())
        })
    }

    /// Folders of releases that are marked as gone: what a crash has left.
    pub(super) fn sweep_forgotten(&self) -> Result<()> {
        let gone: Option<Vec<i32>> = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(releases::table
                .filter(releases::kb.eq(kb.id))
                .filter(releases::removed.is_not_null())
                .select(releases::number)
                .load(connection)?)
        })?;
        for number in gone.unwrap_or_default() {
            let folder = self.releases().join(number.to_string());
            // Another node may have collected what this one still has open; and space that
            // cannot be freed now can be freed next time.
            if let Some(_held) = claim(&folder) {
                let _ = fs::remove_dir_all(&folder);
            }
        }
        Ok(())
    }
}

/// The lock of a release that nobody has open, if its folder is there; `None` when
/// somebody has.
fn claim(folder: &Path) -> Option<Option<File>> {
    let held = File::open(folder.join(MANIFEST)).ok();
    if held.as_ref().is_some_and(|file| file.try_lock().is_err()) { None } else { Some(held) }
}

fn size_of(folder: &Path) -> u64 {
    let items = fs::read_dir(folder).into_iter().flatten().flatten();
    items
        .map(|item| match item.metadata() {
            Ok(data) if data.is_dir() => size_of(&item.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

//! How does a release get to a node that has not made it?
//!
//! With a depot, the folder of a release is a copy: what counts is the digest in the
//! record. A folder that is not there, or that holds something else, is fetched, beside
//! its place, verified, and renamed into it; until then what was served goes on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::database::schema::releases;
use super::ground::tenant_at;
use super::{Shelf, Store, draft};
use crate::access::DEFAULT_TENANT;
use crate::depot::{self, Depot, Kept, Name, Named};
use crate::disk::{remove_leftovers, swap_folders, sync_folder};
use crate::error::{Error, Result};
use crate::release::Manifest;

/// The beginning of the names of folders that are being fetched.
const FETCHING: &str = ".fetching-";

/// What of a release in the depot is looked at before it is taken for whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Whether its manifest is there.
    Manifest,
    /// Whether every file is there and has its length.
    Lengths,
    /// Every byte.
    Bytes,
}

impl Store {
    /// The same; releases lie in a depot, and the data directory holds copies of them.
    #[must_use]
    pub fn with_depot(self, depot: Depot) -> Self {
        let ground = super::Ground { depot: Some(depot), ..self.ground.clone() };
        Self { ground, ..self }
    }

    /// Where releases lie that every node can reach; `None` when they are only here.
    pub fn depot(&self) -> Option<&Depot> {
        self.ground.depot.as_ref()
    }

    /// The tenant that the data directory is of.
    pub fn tenant_name(&self) -> String {
        let known = self.ground.tenant.clone().or_else(|| tenant_at(&self.root));
        known.unwrap_or_else(|| DEFAULT_TENANT.to_owned())
    }

    /// This data directory and those of the tenants in it.
    ///
    /// # Errors
    /// When it cannot be read who they are.
    pub(super) fn homes(&self) -> Result<Vec<Self>> {
        let mut homes = vec![self.clone()];
        if self.tenant_name() == DEFAULT_TENANT {
            let tenants = self.access().tenants()?;
            for tenant in tenants.into_iter().filter(|tenant| tenant.name != DEFAULT_TENANT) {
                homes.push(self.tenant(&tenant.name)?);
            }
        }
        Ok(homes)
    }
}

impl Shelf {
    /// The folder of a release; with a depot it is there afterwards, and what the record
    /// says.
    ///
    /// # Errors
    /// As [`Depot::fetch`]; [`Error::ReadOnly`] when it had to be fetched and nothing may
    /// be written.
    pub fn fetched_folder(&self, number: u32) -> Result<PathBuf> {
        let place = self.release_folder(number);
        let Some(depot) = self.store.depot() else { return Ok(place) };
        let Some(digest) = self.digest(number)? else {
            if place.is_dir() {
                return Ok(place);
            }
            return Err(Error::release(
                place,
                format!(
                    "is not here, and was published without a depot; run `zhida depot put --kb {}` where its folder is",
                    self.name
                ),
            ));
        };
        if !holds(&place, &digest) {
            self.fetch(depot, number, &digest, &place)?;
        }
        Ok(place)
    }

    fn fetch(&self, depot: &Depot, number: u32, digest: &str, place: &Path) -> Result<()> {
        self.store.writable()?;
        let releases = self.releases();
        fs::create_dir_all(&releases).map_err(|e| Error::io("create", &releases, e))?;
        // One at a time: who comes second finds what the first has fetched.
        let path = self.folder().join("fetch.lock");
        let lock = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        lock.lock().map_err(|e| Error::io("lock", &path, e))?;
        if holds(place, digest) {
            return Ok(());
        }
        remove_leftovers(&releases, FETCHING);
        let start = std::time::Instant::now();
        let beside = tempfile::Builder::new()
            .prefix(FETCHING)
            .tempdir_in(&releases)
            .map_err(|e| Error::io("create a folder in", &releases, e))?;
        depot.fetch(digest, beside.path())?;
        if place.is_dir() {
            // Somebody's release of that number which is not the recorded one; it goes.
            swap_folders(beside.path(), place)?;
        } else {
            fs::rename(beside.keep(), place).map_err(|e| Error::io("rename to", place, e))?;
        }
        sync_folder(&releases)?;
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(kb = self.name, release = number, ms, "fetched a release");
        // Others may have collected what this node still has.
        self.sweep_forgotten()
    }

    /// What a release says of itself, without fetching the rest of it.
    ///
    /// # Errors
    /// As [`Manifest::read`] and [`Depot::manifest`].
    pub fn manifest(&self, number: u32) -> Result<Manifest> {
        let place = self.release_folder(number);
        if let (false, Some(depot)) = (place.is_dir(), self.store.depot())
            && let Some(digest) = self.digest(number)?
        {
            return Manifest::parse(&depot.manifest(&digest)?, &place);
        }
        Manifest::read(&place)
    }

    /// Puts a release into the depot, if there is one and it does not hold it; how much is
    /// compared before that is the caller's choice.
    ///
    /// # Errors
    /// As [`Depot::put`].
    pub(super) fn put(&self, number: u32, folder: &Path, compared: Compared) -> Result<Option<Kept>> {
        let Some(depot) = self.store.depot() else { return Ok(None) };
        let known = self.digest(number)?;
        let digest = match &known {
            Some(digest) => digest.clone(),
            None => depot::digest_of(folder)?,
        };
        let name = self.name_of(number);
        let is_there = depot.holds(&digest)?;
        let kept = match compared {
            _ if !is_there => Some(depot.put(folder, &name)?),
            Compared::Manifest => None,
            Compared::Lengths if depot.check(&digest, false)?.is_empty() => None,
            Compared::Lengths => Some(depot.put(folder, &name)?),
            Compared::Bytes if depot.check(&digest, true)?.is_empty() => None,
            Compared::Bytes => Some(depot.put_anew(folder, &name)?),
        };
        if known.is_none() {
            self.store.database.write(|connection| {
                let Some(kb) = draft::find(connection, &self.name)? else { return Ok(()) };
                let number = i32::try_from(number).unwrap_or(i32::MAX);
                diesel::update(releases::table.find((kb.id, number)))
                    .set(releases::digest.eq(&digest))
                    .execute(connection)?;
                Ok(())
            })?;
        }
        Ok(kept)
    }

    /// What a release is called in the depot.
    pub(super) fn name_of(&self, number: u32) -> Name {
        Name { tenant: self.store.tenant_name(), kb: self.name.clone(), number }
    }

    /// The digest in the record of a release; `None` where there is none, or no record.
    pub(super) fn digest(&self, number: u32) -> Result<Option<String>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(None) };
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            let row = releases::table.find((kb.id, number)).select(releases::digest);
            Ok(row.first::<Option<String>>(connection).optional()?.flatten())
        })?;
        Ok(found.flatten())
    }

    /// Takes the names of releases out of the depot whose records are gone or say so. What
    /// cannot be taken now `zhida depot gc` takes later.
    pub(super) fn forget_names(&self, digests: &[(u32, Option<String>)]) {
        let Some(depot) = self.store.depot() else { return };
        for (number, digest) in digests {
            let Some(digest) = digest else { continue };
            let named = Named { name: self.name_of(*number), digest: digest.clone() };
            if let Err(error) = depot.forget(&named) {
                tracing::warn!(kb = self.name, release = number, %error, "a collected release keeps its name in the depot");
            }
        }
    }
}

/// Whether a folder holds the release of this digest.
pub(super) fn holds(folder: &Path, digest: &str) -> bool {
    depot::digest_of(folder).is_ok_and(|found| found == digest)
}

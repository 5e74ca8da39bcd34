//! Does the depot hold what the records say, and what of it may go?

use std::time::Duration;

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;

use super::database::schema::releases;
use super::fetched::{Compared, holds};
use super::{Shelf, Store, draft};
use crate::depot::{self, Depot, Fault, Kept, Name, Named};
use crate::error::{Error, Result};

/// A release that the depot has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The release.
    pub name: Name,
    /// What was written; `None` when it was there, and whole.
    pub kept: Option<Kept>,
    /// Why it could not be put: its folder is not here.
    pub fault: Option<String>,
}

/// A release that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The release.
    pub name: Name,
    /// What of it cannot be fetched as it was.
    pub faults: Vec<Fault>,
}

/// What a collection of the depot did or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CollectedDepot {
    /// Names of releases that were collected before and still had their name.
    pub forgotten: usize,
    /// Names that no record here knows, in words; they stay unless that was asked for.
    pub unknown: Vec<String>,
    /// The files.
    pub files: depot::Collected,
}

/// Which releases are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// Every one that is kept.
    All,
    /// Those of this knowledge base.
    Of(&'a str),
    /// Those that are served now.
    Served,
}

impl Store {
    fn the_depot(&self) -> Result<&Depot> {
        self.depot().ok_or_else(|| {
            Error::Refused(
                "releases lie in the data directory alone; say where every node finds them with --releases or ZHIDA_RELEASES, or name a server with --database".to_owned(),
            )
        })
    }

    /// The knowledge bases of this data directory and the tenants in it with the numbers
    /// of the releases that are meant.
    fn meant(&self, which: Which<'_>) -> Result<Vec<(Shelf, Vec<u32>)>> {
        let mut meant = Vec::new();
        for home in self.homes()? {
            for head in home.heads()? {
                let shelf = home.shelf_to_create(&head.name)?;
                match which {
                    Which::Of(kb) if kb != head.name => {}
                    Which::All | Which::Of(_) => {
                        let versions = shelf.versions()?;
                        meant.push((shelf, versions));
                    }
                    Which::Served => meant.push((shelf, head.current.into_iter().collect())),
                }
            }
        }
        match which {
            Which::Of(kb) if meant.is_empty() => {
                Err(Error::Unknown { what: "knowledge base", name: kb.to_owned(), known: self.names()? })
            }
            _ => Ok(meant),
        }
    }

    /// Puts releases into the depot that it does not hold, or not whole: those of before
    /// there was one, and those that somebody has taken from.
    ///
    /// # Errors
    /// [`Error::Refused`] without a depot; [`Error::Io`] when it cannot be reached.
    pub fn put_releases(&self, which: Which<'_>, compared: Compared) -> Result<Vec<Put>> {
        let depot = self.the_depot()?;
        let mut all = Vec::new();
        for (shelf, numbers) in self.meant(which)? {
            for number in numbers {
                let (name, folder) = (shelf.name_of(number), shelf.release_folder(number));
                let digest = shelf.digest(number)?;
                let is_here = match &digest {
                    Some(digest) => holds(&folder, digest),
                    None => folder.is_dir(),
                };
                let (kept, fault) = if is_here {
                    (shelf.put(number, &folder, compared)?, None)
                } else {
                    let is_whole = match &digest {
                        Some(digest) => depot.holds(digest)? && depot.check(digest, false)?.is_empty(),
                        None => false,
                    };
                    let told = "its folder is not here, and the depot does not hold it, or not whole";
                    (None, (!is_whole).then(|| told.to_owned()))
                };
                all.push(Put { name, kept, fault });
            }
        }
        Ok(all)
    }

    /// Fetches every release that is kept, lies with the records and is not here: before the
    /// records leave. Which could not be fetched, and why.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when the server cannot be reached.
    pub fn fetch_releases(&self) -> Result<Vec<String>> {
        let mut lacking = Vec::new();
        for (shelf, number, _) in self.only_in_records()? {
            match shelf.fetched_folder(number) {
                Ok(_) => {}
                Err(error @ Error::Release { .. }) => {
                    lacking.push(format!("{}: {error}", shelf.name_of(number)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(lacking)
    }

    /// The releases that are kept, lie with the records and are not here, with their digests.
    pub(super) fn only_in_records(&self) -> Result<Vec<(Shelf, u32, String)>> {
        let mut all = Vec::new();
        if !self.depot().is_some_and(Depot::is_in_table) {
            return Ok(all);
        }
        for (shelf, numbers) in self.meant(Which::All)? {
            for number in numbers {
                if let Some(digest) = shelf.digest(number)?
                    && !holds(&shelf.release_folder(number), &digest)
                {
                    all.push((shelf.clone(), number, digest));
                }
            }
        }
        Ok(all)
    }

    /// Looks at what the depot holds of releases; with `read` at every byte, else at
    /// lengths.
    ///
    /// # Errors
    /// As [`Self::put_releases`].
    pub fn check_releases(&self, which: Which<'_>, read: bool) -> Result<Vec<Looked>> {
        let depot = self.the_depot()?;
        let mut all = Vec::new();
        for (shelf, numbers) in self.meant(which)? {
            for number in numbers {
                let faults = match shelf.digest(number)? {
                    Some(digest) => depot.check(&digest, read)?,
                    None => vec![Fault {
                        file: crate::release::MANIFEST.to_owned(),
                        message: "it was never put into the depot".to_owned(),
                    }],
                };
                all.push(Looked { name: shelf.name_of(number), faults });
            }
        }
        Ok(all)
    }

    /// Removes from the depot what no release needs, if it is older than `grace`. With
    /// `forget_unknown`, names go too that no record here knows: those of publications
    /// that died, of knowledge bases that were deleted, and of anybody else who uses the
    /// same depot. With `dry_run` nothing goes.
    ///
    /// # Errors
    /// As [`Self::put_releases`] and [`Depot::collect`].
    pub fn collect_depot(
        &self,
        grace: Duration,
        forget_unknown: bool,
        dry_run: bool,
    ) -> Result<CollectedDepot> {
        let depot = self.the_depot()?;
        let mut collected = CollectedDepot::default();
        let homes = self.homes()?;
        for (named, age) in depot.names()? {
            let home = homes.iter().find(|home| home.tenant_name() == named.name.tenant);
            let standing = match home {
                Some(home) => home.standing(&named)?,
                None => None,
            };
            let goes = match standing {
                Some(is_kept) => {
                    collected.forgotten += usize::from(!is_kept);
                    !is_kept
                }
                None => {
                    collected.unknown.push(named.name.to_string());
                    forget_unknown && age >= grace
                }
            };
            if goes && !dry_run {
                depot.forget(&named)?;
            }
        }
        collected.files = depot.collect(grace, dry_run)?;
        Ok(collected)
    }

    /// Whether a release of this name and digest is kept; `None` when no record knows it.
    fn standing(&self, named: &Named) -> Result<Option<bool>> {
        let found = self.database.read(|connection| {
            let number = i32::try_from(named.name.number).unwrap_or(i32::MAX);
            let Some(kb) = draft::find(connection, &named.name.kb)? else { return Ok(None) };
            let row = releases::table
                .find((kb.id, number))
                .filter(releases::digest.eq(&named.digest))
                .select(releases::removed);
            Ok(row.first::<Option<String>>(connection).optional()?.map(|removed| removed.is_none()))
        })?;
        Ok(found.flatten())
    }
}

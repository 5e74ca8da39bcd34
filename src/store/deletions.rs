//! How does a whole knowledge base go?
//!
//! Its records go in one transaction, which also notes that its folder has to
//! follow. The folder is first renamed out of the way and then removed; what a
//! crash leaves of that is done by the next process that opens the data
//! directory, and before a knowledge base of the same name is made.

use std::fs;
use std::path::Path;

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;

use super::database::schema::{
    claims, deletions, entries, evaluations, kbs, lexicon, lexicon_revisions, queries, releases, revisions,
    schedules, service_revisions, servings, suggestions,
};
use super::database::{Connection, Outcome};
use super::signature::now;
use super::{Shelf, Store, columns, draft, kb_folder};
use crate::disk::remove_leftovers;
use crate::error::{Error, Result};

/// The beginning of the names of folders that only wait to be removed.
const DOOMED: &str = ".deleted-";

/// What went with a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Deleted {
    /// Its name.
    pub kb: String,
    /// Entries of its draft.
    pub entries: usize,
    /// Releases that were kept.
    pub releases: usize,
    /// The release that was served.
    pub served: Option<u32>,
}

impl Shelf {
    /// What [`Self::delete`] would remove.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is no such knowledge base.
    pub fn deletable(&self) -> Result<Deleted> {
        let found = self.store.database.read(|connection| self.holdings(connection))?;
        found.ok_or_else(|| Error::Unknown {
            what: "knowledge base",
            name: self.name.clone(),
            known: Vec::new(),
        })
    }

    /// Removes the knowledge base: draft, history, words, labelled questions
    /// and releases. Servers stop serving it as soon as they look.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is no such knowledge base;
    /// [`Error::Refused`] when it is being published.
    pub fn delete(&self) -> Result<Deleted> {
        self.deletable()?;
        let lock = self.lock()?;
        let (deleted, digests) = self.store.database.write(|connection| {
            let holdings = self.holdings(connection)?;
            let kb = draft::known(connection, &self.name)?;
            let digests: Vec<(i32, Option<String>)> = releases::table
                .filter(releases::kb.eq(kb.id))
                .select((releases::number, releases::digest))
                .load(connection)?;
            columns::forget(connection, kb.id)?;
            diesel::delete(claims::table.filter(claims::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(entries::table.filter(entries::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(revisions::table.filter(revisions::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(lexicon::table.filter(lexicon::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(lexicon_revisions::table.filter(lexicon_revisions::kb.eq(kb.id)))
                .execute(connection)?;
            diesel::delete(service_revisions::table.filter(service_revisions::kb.eq(kb.id)))
                .execute(connection)?;
            diesel::delete(queries::table.filter(queries::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(evaluations::table.filter(evaluations::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(schedules::table.filter(schedules::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(suggestions::table.filter(suggestions::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(servings::table.filter(servings::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(releases::table.filter(releases::kb.eq(kb.id))).execute(connection)?;
            diesel::delete(kbs::table.find(kb.id)).execute(connection)?;
            diesel::insert_into(deletions::table)
                .values((
                    deletions::kb.eq(kb.id),
                    deletions::name.eq(&self.name),
                    deletions::at.eq(now()),
                    deletions::author.eq(&self.signature.author),
                    deletions::reason.eq(&self.signature.reason),
                    deletions::swept.eq(false),
                ))
                .execute(connection)?;
            Ok((holdings, digests))
        })?;
        let digests: Vec<_> = digests
            .into_iter()
            .map(|(number, digest)| (u32::try_from(number).unwrap_or_default(), digest))
            .collect();
        self.forget_names(&digests);
        // It is gone; space that cannot be freed now can be freed next time.
        let root = self.store.root();
        let buried = self.store.database.write(|connection| bury(connection, root, Some(&self.name)));
        drop(lock);
        match buried {
            Ok(()) => clear(root),
            Err(error) => {
                tracing::warn!(kb = self.name, %error, "the folder of a deleted knowledge base stays")
            }
        }
        Ok(deleted)
    }

    fn holdings(&self, connection: &mut Connection) -> Outcome<Deleted> {
        let kb = draft::known(connection, &self.name)?;
        let count = |number: i64| usize::try_from(number).unwrap_or_default();
        Ok(Deleted {
            kb: self.name.clone(),
            entries: count(entries::table.filter(entries::kb.eq(kb.id)).count().get_result(connection)?),
            releases: count(
                releases::table
                    .filter(releases::kb.eq(kb.id))
                    .filter(releases::removed.is_null())
                    .count()
                    .get_result(connection)?,
            ),
            served: kb.current.and_then(|number| u32::try_from(number).ok()),
        })
    }
}

impl Store {
    /// Whether a knowledge base of this name was deleted at some time.
    pub fn was_deleted(&self, name: &str) -> Result<bool> {
        let found = self.database.read(|connection| {
            let of_name = deletions::table.filter(deletions::name.eq(name));
            Ok(of_name.select(deletions::kb).first::<i32>(connection).optional()?.is_some())
        })?;
        Ok(found.unwrap_or_default())
    }
}

impl Store {
    /// Removes the folders of knowledge bases that another node has deleted: each node has
    /// its own.
    ///
    /// # Errors
    /// When the records cannot be read, or a folder cannot be renamed.
    pub(super) fn clear_deleted(&self) -> Result<()> {
        let gone: Option<Vec<(i32, String)>> = self.database.read(|connection| {
            let there: Vec<String> = kbs::table.select(kbs::name).load(connection)?;
            let mut gone: Vec<(i32, String)> =
                deletions::table.select((deletions::kb, deletions::name)).load(connection)?;
            gone.retain(|(_, name)| !there.contains(name));
            Ok(gone)
        })?;
        let mut is_any = false;
        for (kb, name) in gone.unwrap_or_default() {
            let folder = kb_folder(&self.root, &name);
            if folder.is_dir() {
                let doomed = kb_folder(&self.root, &format!("{DOOMED}{kb}"));
                fs::rename(&folder, doomed).map_err(|e| Error::io("rename", &folder, e))?;
                is_any = true;
            }
        }
        if is_any {
            clear(&self.root);
        }
        Ok(())
    }
}

/// Renames the folders of deleted knowledge bases out of the way, all or those
/// of one name.
pub(super) fn bury(connection: &mut Connection, root: &Path, name: Option<&str>) -> Outcome<()> {
    let mut waiting = deletions::table.filter(deletions::swept.eq(false)).into_boxed();
    if let Some(name) = name {
        waiting = waiting.filter(deletions::name.eq(name));
    }
    let waiting: Vec<(i32, String)> = waiting.select((deletions::kb, deletions::name)).load(connection)?;
    for (kb, name) in waiting {
        // Somebody moved in before it could be done, which `create` rules out.
        if draft::find(connection, &name)?.is_none() {
            let (folder, doomed) = (kb_folder(root, &name), kb_folder(root, &format!("{DOOMED}{kb}")));
            match fs::rename(&folder, &doomed) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("rename", folder, e).into()),
            }
        }
        diesel::update(deletions::table.find(kb)).set(deletions::swept.eq(true)).execute(connection)?;
    }
    Ok(())
}

/// Does what a crash has left to do. Nothing depends on it, so a failure is
/// only told to the log.
pub(super) fn sweep(connection: &mut Connection, root: &Path) {
    let waits = deletions::table.filter(deletions::swept.eq(false)).count().get_result::<i64>(connection);
    if waits.is_ok_and(|count| count > 0)
        && connection.writing(|connection| bury(connection, root, None)).is_err()
    {
        tracing::warn!("the folder of a deleted knowledge base cannot be removed");
    }
    clear(root);
}

/// Removes what was renamed out of the way.
fn clear(root: &Path) {
    remove_leftovers(&root.join("kbs"), DOOMED);
}

/// The highest number that a deleted knowledge base had.
pub(super) fn last(connection: &mut Connection) -> Outcome<i32> {
    let last: Option<i32> = deletions::table.select(diesel::dsl::max(deletions::kb)).first(connection)?;
    Ok(last.unwrap_or(0))
}

//! What was published, what is served, and by whose decision?
//!
//! A release is a folder that never changes and a record in the database. The
//! folder is complete before the record is written, and in the depot if there is
//! one; the record and the pointer to what is served change in one transaction.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use serde::Serialize;
use serde_json::Value;

use super::database::lent::Hold;
use super::database::schema::{kbs, releases, servings};
use super::database::{Connection, Outcome};
use super::draft;
use super::fetched::Compared;
use super::signature::{Signature, now};
use super::{Published, Shelf, kb_folder};
use crate::depot::digest_of;
use crate::disk::{remove_leftovers, sync_folder};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::kb::KnowledgeBase;
use crate::release::{Build, Labelled, Manifest, Past, Progress, Teachers, base_of};

/// What is recorded of a release.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Record {
    /// Its number.
    pub release: u32,
    /// When it was recorded, RFC 3339 in UTC.
    pub at: String,
    /// Who published it.
    pub author: String,
    /// Why, if the author said so.
    pub reason: Option<String>,
    /// Whether it was published in spite of errors.
    pub forced: bool,
    /// What the check had found when it was forced.
    #[schema(value_type = Option<Object>)]
    pub findings: Option<Value>,
    /// The last revision that is in it.
    pub revision: i64,
}

/// When which release began to be served.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Served {
    /// `publish`, `rollback` or `moved`.
    pub action: String,
    /// The release.
    pub release: u32,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// By whose decision.
    pub author: String,
    /// Why, if the author said so.
    pub reason: Option<String>,
}

/// Why another release is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serving {
    /// It was just published; revisions after this one are not in it.
    Published { revision: i64 },
    /// What is in this release was just published once more.
    Republished { of: u32 },
    /// Somebody went back to it.
    RolledBack,
    /// It came with an older data directory.
    Moved,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = releases)]
struct Row {
    kb: i32,
    number: i32,
    at: String,
    author: String,
    reason: Option<String>,
    forced: bool,
    findings: Option<String>,
    revision: i64,
    removed: Option<String>,
    digest: Option<String>,
}

/// What publishing needs to know.
pub struct Publication<'a> {
    /// The release whose entries and words are published once more; `None`:
    /// the draft is published.
    pub release: Option<u32>,
    /// The model; `None` for a lexical-only release.
    pub encoder: Option<std::sync::Arc<Encoder>>,
    /// Questions of its customers that it is calibrated by.
    pub labelled: &'a [Labelled],
    /// Hears how far it is.
    pub progress: Progress<'a>,
    /// Looks at what is published and the finished folder made of it before that is
    /// served; with an error it is not served and goes.
    pub review: &'a dyn Fn(&KnowledgeBase, i64, &Path) -> Result<Approval>,
}

/// What is recorded of the look at a release.
#[derive(Debug, Clone, Default)]
pub struct Approval {
    /// Whether it is served in spite of what was found.
    pub forced: bool,
    /// What was found.
    pub findings: Option<Value>,
}

/// Nobody else publishes a knowledge base or deletes it until this is dropped.
pub(super) enum Building {
    /// On this machine.
    Here(#[expect(dead_code, reason = "it is held")] File),
    /// On any machine.
    OnServer(#[expect(dead_code, reason = "it is held")] Hold),
}

/// How long whoever else makes or collects releases is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The beginning of the names of folders that are not finished.
const UNFINISHED: &str = ".unfinished-";

fn stored(number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|_| Error::Refused(format!("there is no release {number}")))
}

fn shown(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// Serves a release from now on: the one place where the pointer changes.
pub(super) fn serve(
    connection: &mut Connection,
    name: &str,
    number: u32,
    why: Serving,
    signature: &Signature,
) -> Outcome<()> {
    let Some(kb) = draft::find(connection, name)? else {
        return Err(Error::internal("store", format!("{name} was removed")).into());
    };
    // Live edits up to here are part of the release or were left behind with
    // the one before.
    let (action, live_from) = match why {
        Serving::Published { revision } => ("publish", revision),
        // Live edits of what is served stay in force.
        Serving::Republished { of } if kb.current == Some(stored(of)?) => ("publish", kb.live_from),
        Serving::Republished { .. } => ("publish", kb.revision),
        Serving::RolledBack => ("rollback", kb.revision),
        Serving::Moved => ("moved", kb.revision),
    };
    diesel::update(kbs::table.find(kb.id))
        .set((kbs::current.eq(Some(stored(number)?)), kbs::live_from.eq(live_from)))
        .execute(connection)?;
    let last: Option<i64> = servings::table
        .filter(servings::kb.eq(kb.id))
        .select(diesel::dsl::max(servings::number))
        .first(connection)?;
    diesel::insert_into(servings::table)
        .values((
            servings::kb.eq(kb.id),
            servings::number.eq(last.unwrap_or(0) + 1),
            servings::action.eq(action),
            servings::release.eq(stored(number)?),
            servings::at.eq(now()),
            servings::author.eq(&signature.author),
            servings::reason.eq(&signature.reason),
        ))
        .execute(connection)?;
    Ok(())
}

/// Records releases that have a folder and no record: those of the first
/// layout, one whose publisher died just before the record, one that was
/// copied back from a backup. `except` is about to be recorded properly.
pub(super) fn adopt(
    connection: &mut Connection,
    root: &Path,
    name: &str,
    except: Option<u32>,
) -> Outcome<()> {
    let Some(kb) = draft::find(connection, name)? else { return Ok(()) };
    let folder = kb_folder(root, name).join("releases");
    let recorded: Vec<i32> =
        releases::table.filter(releases::kb.eq(kb.id)).select(releases::number).load(connection)?;
    for number in numbers_in(&folder)? {
        if recorded.contains(&stored(number)?) || except == Some(number) {
            continue;
        }
        let manifest = Manifest::read(&folder.join(number.to_string())).ok();
        let created = manifest.and_then(|manifest| {
            manifest.created.format(&time::format_description::well_known::Rfc3339).ok()
        });
        let row = Row {
            kb: kb.id,
            number: stored(number)?,
            at: created.unwrap_or_else(now),
            author: "unknown".to_owned(),
            reason: Some("found without a record".to_owned()),
            forced: false,
            findings: None,
            revision: 0,
            removed: None,
            digest: digest_of(&folder.join(number.to_string())).ok(),
        };
        diesel::insert_into(releases::table).values(&row).execute(connection)?;
    }
    Ok(())
}

fn numbers_in(folder: &Path) -> Result<Vec<u32>> {
    let items = match fs::read_dir(folder) {
        Ok(items) => items,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", folder, e)),
    };
    let mut numbers: Vec<u32> =
        items.flatten().filter_map(|item| item.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

impl Shelf {
    /// What is recorded of the releases that are kept, in order.
    pub fn records(&self) -> Result<Vec<Record>> {
        let rows = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(releases::table
                .filter(releases::kb.eq(kb.id))
                .filter(releases::removed.is_null())
                .order(releases::number)
                .select(Row::as_select())
                .load(connection)?)
        })?;
        let record = |row: Row| Record {
            release: shown(row.number),
            at: row.at,
            author: row.author,
            reason: row.reason,
            forced: row.forced,
            findings: row.findings.and_then(|text| serde_json::from_str(&text).ok()),
            revision: row.revision,
        };
        Ok(rows.unwrap_or_default().into_iter().map(record).collect())
    }

    /// The numbers of all releases that are kept, in order.
    pub fn versions(&self) -> Result<Vec<u32>> {
        Ok(self.records()?.into_iter().map(|record| record.release).collect())
    }

    /// What is recorded of one of them.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is not kept.
    pub(super) fn record(&self, number: u32) -> Result<Record> {
        let mut records = self.records()?;
        match records.iter().position(|record| record.release == number) {
            Some(at) => Ok(records.swap_remove(at)),
            None => Err(Error::Unknown {
                what: "release",
                name: number.to_string(),
                known: records.iter().map(|record| record.release.to_string()).collect(),
            }),
        }
    }

    /// What a release holds, or the draft, and the last revision in it.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is no such release, and when its entries
    /// cannot be read.
    pub fn content(&self, release: Option<u32>) -> Result<(KnowledgeBase, i64)> {
        let Some(number) = release else { return self.draft_and_revision() };
        let record = self.record(number)?;
        Ok((base_of(&self.fetched_folder(number)?)?, record.revision))
    }

    /// What was served from when on, newest first.
    pub fn servings(&self, limit: usize) -> Result<Vec<Served>> {
        let rows = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(servings::table
                .filter(servings::kb.eq(kb.id))
                .order(servings::number.desc())
                .limit(i64::try_from(limit).unwrap_or(i64::MAX))
                .select((
                    servings::action,
                    servings::release,
                    servings::at,
                    servings::author,
                    servings::reason,
                ))
                .load::<(String, i32, String, String, Option<String>)>(connection)?)
        })?;
        let served = |(action, release, at, author, reason)| Served {
            action,
            release: shown(release),
            at,
            author,
            reason,
        };
        Ok(rows.unwrap_or_default().into_iter().map(served).collect())
    }

    /// Makes a release of the draft and serves it from now on.
    ///
    /// # Errors
    /// When another process is publishing this knowledge base, the draft is
    /// faulty, or the disk is full; the release served before stays.
    pub fn publish(
        &self,
        encoder: Option<std::sync::Arc<Encoder>>,
        progress: Progress<'_>,
    ) -> Result<Published> {
        self.publish_as(Publication {
            release: None,
            encoder,
            labelled: &[],
            progress,
            review: &|_, _, _| Ok(Approval::default()),
        })
    }

    /// As [`Self::publish`], and says more.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn publish_as(&self, publication: Publication<'_>) -> Result<Published> {
        let Publication { release, encoder, labelled, progress, review } = publication;
        let mut signature = self.signature.clone();
        if let Some(of) = release {
            signature.reason.get_or_insert_with(|| format!("release {of} once more"));
        }
        let _lock = self.lock()?;
        let (base, revision) = self.content(release)?;
        base.require_enabled(&self.name, "publish")?;
        let releases = self.releases();
        fs::create_dir_all(&releases).map_err(|e| Error::io("create", &releases, e))?;
        // The lock is held, so nobody is writing there now.
        remove_leftovers(&releases, UNFINISHED);
        self.sweep_forgotten()?;
        let number = self.next_number(&releases)?;
        let previous = self.folder_served();
        let beside = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&releases)
            .map_err(|e| Error::io("create a folder in", &releases, e))?;
        let build = Build {
            number,
            encoder,
            previous: previous.as_deref().map(Past::In),
            calibrate_by: Teachers { labelled, ..Teachers::default() },
            progress,
            ..Build::of(&self.name, &base)
        };
        let built = build.write(beside.path())?;
        let Approval { forced, findings } = review(&base, revision, beside.path())?;
        let digest = digest_of(beside.path())?;
        // Every node can fetch it before anybody is told to serve it.
        if let Some(depot) = self.store.depot() {
            let kept = depot.put(beside.path(), &self.name_of(number))?;
            tracing::info!(kb = self.name, release = number, bytes = kept.bytes, "put into the depot");
        }
        let place = self.release_folder(number);
        let finished = beside.keep();
        fs::rename(&finished, &place).map_err(|e| Error::io("rename to", &place, e))?;
        sync_folder(&releases)?;
        self.store.database.write(|connection| {
            adopt(connection, self.store.root(), &self.name, Some(number))?;
            let Some(kb) = draft::find(connection, &self.name)? else {
                return Err(Error::internal("store", format!("{} was removed", self.name)).into());
            };
            let row = Row {
                kb: kb.id,
                number: stored(number)?,
                at: now(),
                author: signature.author.clone(),
                reason: signature.reason.clone(),
                forced,
                findings: findings.map(|found| found.to_string()),
                revision,
                removed: None,
                digest: Some(digest.clone()),
            };
            diesel::insert_into(releases::table).values(&row).execute(connection)?;
            let why = release.map_or(Serving::Published { revision }, |of| Serving::Republished { of });
            serve(connection, &self.name, number, why, &signature)?;
            self.done_at_its_time(connection, kb.id, number)
        })?;
        if let Some(keep) = self.keeps()? {
            let collected = self.collect_locked(usize::try_from(keep).unwrap_or(usize::MAX), false)?;
            tracing::info!(kb = self.name, removed = ?collected.removed, "old releases are gone");
        }
        Ok(Published { number, built })
    }

    /// Serves a release that was made before, exactly as it was published.
    pub fn rollback(&self, number: u32) -> Result<()> {
        let _lock = self.lock()?;
        self.record(number)?;
        let folder = self.fetched_folder(number)?;
        Manifest::read(&folder)?.verify(&folder)?;
        self.put(number, &folder, Compared::Lengths)?;
        self.store.database.write(|connection| {
            serve(connection, &self.name, number, Serving::RolledBack, &self.signature)?;
            let kb = draft::known(connection, &self.name)?;
            self.done_at_its_time(connection, kb.id, number)
        })
    }

    /// A number that no release had, whether it is still there or not.
    fn next_number(&self, folder: &Path) -> Result<u32> {
        let recorded: Option<Option<i32>> = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(None) };
            Ok(releases::table
                .filter(releases::kb.eq(kb.id))
                .select(diesel::dsl::max(releases::number))
                .first::<Option<i32>>(connection)?)
        })?;
        let found = numbers_in(folder)?.last().copied().unwrap_or(0);
        Ok(recorded.flatten().map_or(0, shown).max(found) + 1)
    }

    /// Held while a release is made, so that two of them cannot take one number. Whoever holds
    /// it for a moment only, to collect old ones, is waited for.
    pub(super) fn lock(&self) -> Result<Building> {
        self.store.writable()?;
        let began = Instant::now();
        loop {
            if let Some(building) = self.try_lock()? {
                return Ok(building);
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::Refused(format!(
                    "another process is publishing knowledge base {}; try again when it is done",
                    self.name
                )));
            }
            std::thread::sleep(PATIENCE / 50);
        }
    }

    /// Whether somebody makes a release, or serves another one, just now.
    ///
    /// # Errors
    /// When that cannot be seen.
    pub fn is_busy(&self) -> Result<bool> {
        Ok(self.try_lock()?.is_none())
    }

    /// The same when nobody else holds it.
    fn try_lock(&self) -> Result<Option<Building>> {
        if let Some(schema) = self.store.database.schema() {
            let held = schema.hold(&format!("publishing {}", self.name))?;
            return Ok(held.map(Building::OnServer));
        }
        let folder = self.folder();
        fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
        let path = folder.join("lock");
        let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Building::Here(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(Error::io("lock", path, e)),
        }
    }
}

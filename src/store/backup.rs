//! How does everything get into one file, while others write?
//!
//! A backup is a ZIP archive: the databases as they are at one moment, each
//! (`VACUUM INTO`, or copied from the server into files), releases, events, models and tenants, and `manifest.json`
//! with the size and SHA-256 of every file; releases also where only the database has them. It is written beside its place and
//! renamed, so that half a backup never has its name. Databases come first:
//! what they name is then in the folders.
//!
//! It holds what the data directory holds: hashes of keys and passwords; but not
//! what opens something as it is (`left_out.rs`). The file is its owner's alone.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::database::copy;
use super::sealed::KEY_FILE;
use super::{Store, database, left_out};
use crate::access::{DEFAULT_TENANT, moment};
use crate::disk::{private_temporary, sync_folder};
use crate::error::{Error, Result};
use crate::release::Progress;

/// The form of backups that this zhida writes and reads.
pub(super) const FORM: u32 = 1;
/// What a backup says of itself.
pub(super) const MANIFEST: &str = "manifest.json";
/// How often it begins anew when a release went while it was read.
const ATTEMPTS: usize = 3;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Files in it.
    pub files: usize,
    /// Bytes that they have.
    pub bytes: u64,
    /// Bytes of the backup.
    pub packed: u64,
    /// Whether it holds what customers said.
    pub holds_conversations: bool,
    /// Releases that are kept and that it does not hold, and why.
    pub lacking: Vec<String>,
}

/// What a backup says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup.
    pub form: u32,
    /// The version of zhida that wrote it.
    pub zhida: String,
    /// When, RFC 3339 in UTC.
    pub created: String,
    /// Every file in it.
    pub files: Vec<Filed>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// Its place in the data directory, with `/`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

/// A file that is to be in it.
struct Source {
    path: String,
    place: PathBuf,
}

impl Store {
    /// Writes everything in the data directory into a file, which appears whole or
    /// not at all.
    ///
    /// # Errors
    /// When there is nothing, when the file would lie in the data directory, and
    /// when the disk says no.
    pub fn backup(&self, file: &Path, progress: Progress<'_>) -> Result<Backup> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let real = |path: &Path| fs::canonicalize(path).map_err(|e| Error::io("find", path, e));
        let root = real(self.root())?;
        if real(folder)?.starts_with(&root) {
            return Err(Error::Refused(format!(
                "{} lies in the data directory, and would hold itself; write the backup elsewhere",
                file.display()
            )));
        }
        // It takes the place of an earlier one, and of nothing else.
        match fs::symlink_metadata(file) {
            Ok(there) if !there.is_file() => {
                return Err(Error::Refused(format!(
                    "{} is no regular file; name a file for the backup",
                    file.display()
                )));
            }
            Ok(there) if there.len() > 0 && !is_archive(file)? => {
                return Err(Error::Refused(format!(
                    "{} is there already and is no backup; name another file, or remove it first",
                    file.display()
                )));
            }
            _ => {}
        }
        let mut attempt = 1;
        loop {
            match write(self, &root, folder, file, progress) {
                Err(Error::Io { action: "read", source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether a file begins as an archive does.
pub(super) fn is_archive(file: &Path) -> Result<bool> {
    let failed = |e: std::io::Error| Error::io("read", file, e);
    let mut begins = Vec::new();
    File::open(file).map_err(failed)?.take(4).read_to_end(&mut begins).map_err(failed)?;
    Ok(begins == *b"PK\x03\x04")
}

fn write(store: &Store, root: &Path, folder: &Path, file: &Path, progress: Progress<'_>) -> Result<Backup> {
    let failed = |e: std::io::Error| Error::io("write", file, e);
    let copies = private_temporary(".zhida-backup-", folder).map_err(failed)?;
    // Copies lie where the backup will, and go: whoever makes room needs to know where.
    let beside = |error: Error| match error {
        Error::Io { path, source, .. } if path.starts_with(copies.path()) => failed(source),
        other => other,
    };
    let mut sources = Vec::new();
    let mut homes = vec![(String::new(), root.to_path_buf(), store.clone())];
    let mut tenants = folders(&root.join("tenants"))?;
    if store.is_on_server() {
        // One may have nothing on this machine, and what is here may be left of a deleted one.
        tenants = store.access().tenants()?.into_iter().map(|tenant| tenant.name).collect();
        tenants.retain(|name| name != DEFAULT_TENANT);
    }
    for name in tenants {
        homes.push((format!("tenants/{name}/"), root.join("tenants").join(&name), store.tenant(&name)?));
    }
    let mut is_empty = true;
    for (number, (prefix, home, store)) in homes.iter().enumerate() {
        // What was noted of the audit is in the database that is copied after it.
        let noted = home.join("audit.heads");
        if noted.is_file() {
            let place = copies.path().join(format!("{number}.heads"));
            let text = fs::read(&noted).map_err(|e| Error::io("read", &noted, e))?;
            fs::write(&place, text).map_err(failed)?;
            sources.push(Source { path: format!("{prefix}audit.heads"), place });
        }
        // What is on a server is copied into files first.
        let on_server = copies.path().join(format!("{number}.records"));
        let records = if store.is_on_server() {
            store.records_into(&on_server).map_err(beside)?;
            &on_server
        } else {
            home
        };
        for (index, name) in files(records)?.into_iter().filter(|name| name.ends_with(".db")).enumerate() {
            progress("databases", index, 3);
            let place = copies.path().join(format!("{number}.{name}"));
            copy::copy(&records.join(&name), &place).map_err(beside)?;
            left_out::leave_out(&name, &place).map_err(beside)?;
            sources.push(Source { path: format!("{prefix}{name}"), place });
            is_empty = false;
        }
        for name in files(home)? {
            let is_ours = name.ends_with(".db")
                || name.ends_with(".lock")
                || name.ends_with("-wal")
                || name.ends_with("-shm")
                // What was copied to a server, as it was then.
                || name.ends_with(".db.copied")
                || name == "audit.heads"
                // What comes back comes back as files.
                || name == database::MARK
                // What it opens is not in a backup either.
                || name == KEY_FILE;
            if !is_ours {
                sources.push(Source { path: format!("{prefix}{name}"), place: home.join(&name) });
            }
        }
        for name in folders(home)?.into_iter().filter(|name| name != "tenants") {
            is_empty = false;
            gather(&home.join(&name), &format!("{prefix}{name}/"), &mut sources)?;
        }
    }
    let lacking = only_in_database(store, &copies.path().join("releases"), &mut sources).map_err(beside)?;
    if is_empty {
        return Err(Error::Refused(format!("{} holds nothing to back up", root.display())));
    }
    let holds_conversations = sources.iter().any(|source| source.path.ends_with("conversations.db"));
    let mut archive =
        tempfile::Builder::new().prefix(".zhida-backup-").tempfile_in(folder).map_err(failed)?;
    let filed = pack(archive.as_file_mut(), file, &sources, progress)?;
    let packed = archive.as_file().metadata().map_err(failed)?.len();
    archive.as_file().sync_all().map_err(failed)?;
    archive.persist(file).map_err(|e| failed(e.error))?;
    sync_folder(folder)?;
    let bytes = filed.iter().map(|one| one.bytes).sum();
    Ok(Backup { files: filed.len(), bytes, packed, holds_conversations, lacking })
}

/// Fetches the releases that lie with the records on a server and not here: who loses the
/// server has them in the backup. What cannot be fetched is told.
fn only_in_database(store: &Store, into: &Path, sources: &mut Vec<Source>) -> Result<Vec<String>> {
    let mut lacking = Vec::new();
    for (shelf, number, digest) in store.only_in_records()? {
        let name = shelf.name_of(number);
        let is_own = shelf.store().root() == store.root();
        let home = if is_own { String::new() } else { format!("tenants/{}/", name.tenant) };
        let prefix = format!("{home}kbs/{}/releases/{number}/", name.kb);
        let place = into.join(&prefix);
        fs::create_dir_all(&place).map_err(|e| Error::io("create", &place, e))?;
        let Some(depot) = store.depot() else { break };
        match depot.fetch(&digest, &place) {
            Ok(()) => {
                // What lies here under its number is another one.
                sources.retain(|source| !source.path.starts_with(&prefix));
                gather(&place, &prefix, sources)?;
            }
            Err(error @ Error::Release { .. }) => lacking.push(format!("{name}: {error}")),
            Err(error) => return Err(error),
        }
    }
    Ok(lacking)
}

/// Writes files into an archive, and what they are.
fn pack(
    to: &mut (impl Write + Seek),
    name: &Path,
    sources: &[Source],
    progress: Progress<'_>,
) -> Result<Vec<Filed>> {
    let wrong = |e: zip::result::ZipError| Error::io("write", name, std::io::Error::other(e));
    let failed = |e: std::io::Error| Error::io("write", name, e);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1))
        .large_file(true);
    let mut archive = ZipWriter::new(to);
    let mut filed = Vec::with_capacity(sources.len());
    let mut buffer = vec![0; 1 << 20];
    for (number, source) in sources.iter().enumerate() {
        progress("files", number, sources.len());
        let missing = |e| Error::io("read", &source.place, e);
        let mut from = File::open(&source.place).map_err(missing)?;
        archive.start_file(source.path.as_str(), options).map_err(wrong)?;
        // Events are added to meanwhile: what is there now is in the backup.
        let mut left = from.metadata().map_err(missing)?.len();
        let (mut hasher, mut bytes) = (Sha256::new(), 0);
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = from.read(&mut buffer[..most]).map_err(missing)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            archive.write_all(&buffer[..read]).map_err(failed)?;
            bytes += read as u64;
            left -= read as u64;
        }
        filed.push(Filed { path: source.path.clone(), bytes, sha256: hex(&hasher.finalize()) });
    }
    progress("files", sources.len(), sources.len());
    let manifest = Manifest {
        form: FORM,
        zhida: env!("CARGO_PKG_VERSION").to_owned(),
        created: moment::told(moment::now()),
        files: filed.clone(),
    };
    archive.start_file(MANIFEST, options).map_err(wrong)?;
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::internal("backup", e))?;
    archive.write_all(&text).map_err(failed)?;
    archive.finish().map_err(wrong)?;
    Ok(filed)
}

/// Every file below a folder; what begins with a dot only waits to be removed or
/// to get its name.
fn gather(folder: &Path, prefix: &str, sources: &mut Vec<Source>) -> Result<()> {
    for name in files(folder)? {
        sources.push(Source { path: format!("{prefix}{name}"), place: folder.join(&name) });
    }
    for name in folders(folder)? {
        gather(&folder.join(&name), &format!("{prefix}{name}/"), sources)?;
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<String>> {
    names(folder, |kind| kind.is_file())
}

fn folders(folder: &Path) -> Result<Vec<String>> {
    names(folder, |kind| kind.is_dir())
}

/// The names in a folder, in order.
fn names(folder: &Path, is_wanted: impl Fn(fs::FileType) -> bool) -> Result<Vec<String>> {
    let failed = |e| Error::io("read", folder, e);
    let items = match fs::read_dir(folder) {
        Ok(items) => items,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for item in items {
        let item = item.map_err(failed)?;
        let name = item.file_name().into_string().map_err(|name| {
            Error::Refused(format!("{} holds {}, whose name is not UTF-8", folder.display(), name.display()))
        })?;
        let kind = item.file_type().map_err(failed)?;
        // What is not finished has such a name; files of an index may begin with a dot too.
        let is_unfinished = if kind.is_dir() {
            name.starts_with('.')
        } else {
            name.starts_with(".tmp") || name.starts_with(".zhida-")
        };
        if !is_unfinished && is_wanted(kind) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

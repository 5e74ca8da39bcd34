//! How does a backup become a data directory again?
//!
//! It is unpacked beside the place where it shall be, every file is compared
//! with the manifest, every database is checked and opened, and only then one
//! step puts the whole into its place. Whatever fails before leaves everything
//! as it was.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::ZipArchive;

use super::Store;
use super::backup::{FORM, MANIFEST, Manifest, hex, is_archive};
use super::database::copy;
use crate::access::moment;
use crate::disk::{private_temporary, swap_folders, sync_folder};
use crate::error::{Error, Result};
use crate::release::Progress;

/// The longest manifest: a million files.
const MANIFEST_BYTES: u64 = 256 << 20;

/// A backup that was unpacked beside its place and found whole.
#[derive(Debug)]
pub struct Checked {
    /// What it says of itself.
    pub manifest: Manifest,
    staged: TempDir,
    target: PathBuf,
}

/// Unpacks and checks a backup that shall become a data directory.
///
/// # Errors
/// [`Error::Refused`] when it is none, is damaged, or is of a newer zhida, and
/// when somebody works on what is in its place. Nothing has changed then.
pub fn check(file: &Path, target: &Path, progress: Progress<'_>) -> Result<Checked> {
    let damaged = |why: String| Error::Refused(format!("{}: {why}; nothing was changed", file.display()));
    let opened = File::open(file).map_err(|e| Error::io("read", file, e))?;
    let mut archive = ZipArchive::new(opened).map_err(|e| match is_archive(file) {
        Ok(true) => damaged(format!("is cut off or damaged, copy it again from where it was made: {e}")),
        _ => damaged("is no backup of zhida".to_owned()),
    })?;
    let manifest: Manifest = {
        let entry = archive.by_name(MANIFEST).map_err(|_| damaged("is no backup of zhida".to_owned()))?;
        let mut text = Vec::new();
        entry.take(MANIFEST_BYTES).read_to_end(&mut text).map_err(|e| damaged(format!("is damaged: {e}")))?;
        serde_json::from_slice(&text).map_err(|e| damaged(format!("its manifest cannot be read: {e}")))?
    };
    if manifest.form > FORM {
        return Err(damaged(format!(
            "was written by zhida {}, in a form that this one does not know; use that version",
            manifest.zhida
        )));
    }
    let parent = parent(target);
    fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
    refuse_in_use(target)?;
    let staged = private_temporary(".zhida-restore-", parent).map_err(|e| Error::io("write", parent, e))?;
    let mut wanted: HashMap<&str, usize> = HashMap::new();
    for (number, one) in manifest.files.iter().enumerate() {
        if !is_inside(&one.path) || wanted.insert(&one.path, number).is_some() {
            return Err(damaged(format!("names {:?}, which no backup has", one.path)));
        }
    }
    if archive.len() != wanted.len() + 1 {
        return Err(damaged("holds other files than its manifest says".to_owned()));
    }
    for (number, one) in manifest.files.iter().enumerate() {
        progress("files", number, manifest.files.len());
        let entry = archive.by_name(&one.path).map_err(|_| damaged(format!("lacks {}", one.path)))?;
        let place = staged.path().join(&one.path);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        }
        unpack(entry, &place, one.bytes)?
            .filter(|(bytes, hash)| *bytes == one.bytes && *hash == one.sha256)
            .ok_or_else(|| damaged(format!("{} in it is damaged", one.path)))?;
    }
    progress("files", manifest.files.len(), manifest.files.len());
    for one in manifest.files.iter().filter(|one| one.path.ends_with(".db")) {
        copy::check(&staged.path().join(&one.path)).map_err(|e| damaged(e.to_string()))?;
    }
    // Opened as a server would: what is of an older zhida is brought up to date,
    // and what is of a newer one refused, here and not in its place.
    open(staged.path()).map_err(|e| damaged(e.to_string()))?;
    sync(staged.path())?;
    Ok(Checked { manifest, staged, target: target.to_path_buf() })
}

impl Checked {
    /// Whether something is in its place that would have to go.
    pub fn replaces(&self) -> Result<bool> {
        match fs::read_dir(&self.target) {
            Ok(mut items) => Ok(items.next().is_some()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io("read", &self.target, e)),
        }
    }

    /// Puts it into its place in one step. What was there gets another name,
    /// which is given back.
    ///
    /// # Errors
    /// When the disk says no; then everything is as it was.
    pub fn put(self) -> Result<Option<PathBuf>> {
        let Self { staged, target, .. } = self;
        refuse_in_use(&target)?;
        let parent = parent(&target).to_path_buf();
        let advice = |e: Error| match e {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => {
                Error::Refused(format!(
                    "{} is a mounted volume and cannot be replaced in one step; restore into a folder in it with `--into` and serve that",
                    target.display()
                ))
            }
            other => other,
        };
        if !target.exists() {
            let from = staged.keep();
            fs::rename(&from, &target).map_err(|e| Error::io("rename", &from, e))?;
            sync_folder(&parent)?;
            return Ok(None);
        }
        swap_folders(staged.path(), &target).map_err(advice)?;
        sync_folder(&parent)?;
        // Now the folder beside holds what was there.
        let old = staged.keep();
        let was_empty = fs::read_dir(&old).is_ok_and(|mut items| items.next().is_none());
        if was_empty {
            fs::remove_dir(&old).map_err(|e| Error::io("remove", &old, e))?;
            return Ok(None);
        }
        let name =
            target.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
        // Two restorations may fall into one second.
        let mut moments =
            (moment::now() / 1_000..).map(|at| parent.join(format!("{name}.before-restore-{at}")));
        let kept = moments.find(|place| !place.exists()).unwrap_or_else(|| parent.clone());
        fs::rename(&old, &kept).map_err(|e| Error::io("rename", &old, e))?;
        sync_folder(&parent)?;
        Ok(Some(kept))
    }
}

/// Writes a file of an archive; `None` when it cannot be unpacked or is longer than it should be.
fn unpack(entry: impl Read, place: &Path, bytes: u64) -> Result<Option<(u64, String)>> {
    let mut to = File::create(place).map_err(|e| Error::io("write", place, e))?;
    let mut from = entry.take(bytes.saturating_add(1));
    let (mut hasher, mut length, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 20]);
    loop {
        let Ok(read) = from.read(&mut buffer) else { return Ok(None) };
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(|e| Error::io("write", place, e))?;
        length += read as u64;
    }
    to.sync_all().map_err(|e| Error::io("write", place, e))?;
    Ok(Some((length, hex(&hasher.finalize()))))
}

/// Whether a path stays in the folder that it is unpacked into.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\\')
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Opens every database of a data directory and of the tenants in it.
fn open(root: &Path) -> Result<()> {
    let store = Store::at(root);
    store.heads()?;
    store.conversations().channels_sealed()?;
    for tenant in store.access().tenants()? {
        let home = root.join("tenants").join(&tenant.name);
        if home.is_dir() {
            let tenant = store.tenant(&tenant.name)?;
            tenant.heads()?;
            tenant.conversations().channels_sealed()?;
        }
    }
    Ok(())
}

/// Makes all folders below one survive a power cut.
fn sync(folder: &Path) -> Result<()> {
    for item in fs::read_dir(folder).map_err(|e| Error::io("read", folder, e))?.flatten() {
        if item.path().is_dir() {
            sync(&item.path())?;
        }
    }
    sync_folder(folder)
}

/// Refuses to take a data directory away from whoever works on it.
fn refuse_in_use(target: &Path) -> Result<()> {
    match copy::in_use(target) {
        None => Ok(()),
        Some(_) => Err(Error::Refused(format!(
            "a server or command works on {}; stop it first, or restore elsewhere with `--into`",
            target.display()
        ))),
    }
}

fn parent(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        for inside in ["zhida.db", "kbs/商城/releases/1/entries.jsonl"] {
            assert!(is_inside(inside), "{inside}");
        }
        for outside in ["../x", "/etc/passwd", "a/../../b", "", "..\\x", "a/.."] {
            assert!(!is_inside(outside), "{outside}");
        }
    }
}

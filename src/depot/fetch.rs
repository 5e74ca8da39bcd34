//! How does a release get out of a depot, and is it whole there?

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use object_store::{GetOptions, ObjectStore};

use super::{Depot, Listed, PART, blob, run};
use crate::disk::{self, sync_folder};
use crate::encoder::{Digesting, FileDigest};
use crate::error::{Error, Result};
use crate::release::MANIFEST;

/// A file of a release that cannot be fetched as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file's name in the release.
    pub file: String,
    /// What is wrong with it, with the blob's name.
    pub message: String,
}

impl Depot {
    /// Brings the release of this digest into an empty folder, verified and on the disk.
    ///
    /// # Errors
    /// [`Error::Release`] when a file is missing or damaged, naming it; [`Error::Io`]
    /// when the depot cannot be reached, or the disk is full.
    pub fn fetch(&self, digest: &str, into: &Path) -> Result<()> {
        let store = self.store()?;
        run(async {
            let manifest = self.manifest_in(&store, digest).await?;
            let listed = self.listed(digest, &manifest)?;
            let needed: u64 = listed.files.values().map(|file| file.bytes).sum();
            if let Some(room) = disk::room(into).filter(|room| *room < needed) {
                let told = format!("the release has {needed} bytes, and {room} are free");
                return Err(Error::io("write", into, std::io::Error::new(ErrorKind::StorageFull, told)));
            }
            let mut folders = vec![into.to_path_buf()];
            for (file, expected) in &listed.files {
                let path = into.join(file);
                let parent = path.parent().unwrap_or(into).to_path_buf();
                fs::create_dir_all(&parent).map_err(|e| Error::io("create", &parent, e))?;
                if !folders.contains(&parent) {
                    folders.push(parent);
                }
                self.receive(&store, file, expected, Some(&path)).await?;
            }
            let path = into.join(MANIFEST);
            File::create(&path)
                .and_then(|mut file| file.write_all(&manifest).and_then(|()| file.sync_all()))
                .map_err(|e| Error::io("write", &path, e))?;
            folders.iter().rev().try_for_each(|folder| sync_folder(folder))
        })?
    }

    /// The manifest of the release of this digest, as it was written.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub fn manifest(&self, digest: &str) -> Result<Vec<u8>> {
        let store = self.store()?;
        run(self.manifest_in(&store, digest))?
    }

    /// What of a release cannot be fetched as it was. With `read` every byte is read,
    /// without it only lengths are compared.
    ///
    /// # Errors
    /// [`Error::Io`] when the depot cannot be reached.
    pub fn check(&self, digest: &str, read: bool) -> Result<Vec<Fault>> {
        let store = self.store()?;
        run(async {
            let listed = self.manifest_in(&store, digest).await.and_then(|text| self.listed(digest, &text));
            let listed = match listed {
                Ok(listed) => listed,
                Err(Error::Release { message, .. }) => {
                    return Ok(vec![Fault { file: MANIFEST.to_owned(), message }]);
                }
                Err(e) => return Err(e),
            };
            let mut faults = Vec::new();
            for (file, expected) in &listed.files {
                let outcome = if read {
                    self.receive(&store, file, expected, None).await
                } else {
                    let found = self.found(&store, &blob(&expected.sha256)).await?;
                    self.measured(file, expected, found.map(|meta| meta.size))
                };
                match outcome {
                    Ok(()) => {}
                    Err(Error::Release { message, .. }) => {
                        faults.push(Fault { file: file.clone(), message });
                    }
                    Err(e) => return Err(e),
                }
            }
            Ok(faults)
        })?
    }

    /// Reads a file of a release, in parts, and compares it with its name; with a path
    /// it is written there, and is on the disk then.
    async fn receive(
        &self,
        store: &Arc<dyn ObjectStore>,
        file: &str,
        expected: &FileDigest,
        path: Option<&Path>,
    ) -> Result<()> {
        let unwritten = |e| Error::io("write", path.unwrap_or_else(|| Path::new(file)), e);
        let blob = blob(&expected.sha256);
        let mut target = path.map(File::create).transpose().map_err(unwritten)?;
        let mut digesting = Digesting::default();
        let mut from = 0;
        while from < expected.bytes {
            let to = expected.bytes.min(from + PART as u64);
            let options = GetOptions::new().with_range(Some(from..to));
            let part = match store.get_opts(&blob, options).await {
                Ok(found) if found.meta.size == expected.bytes => found.bytes().await,
                Ok(found) => return self.measured(file, expected, Some(found.meta.size)),
                Err(e) => Err(e),
            };
            let part = match part {
                Ok(part) => part,
                Err(object_store::Error::NotFound { .. }) => return self.measured(file, expected, None),
                Err(e) => {
                    // Of a blob that is shorter, this part cannot be had.
                    let found = self.found(store, &blob).await?.map(|meta| meta.size);
                    self.measured(file, expected, found)?;
                    return Err(self.failed("read", &blob, e));
                }
            };
            if part.len() as u64 != to - from {
                return self.measured(file, expected, Some(from + part.len() as u64));
            }
            digesting.update(&part);
            if let Some(target) = &mut target {
                target.write_all(&part).map_err(unwritten)?;
            }
            from = to;
        }
        let actual = digesting.finish();
        if actual != *expected {
            return Err(self.damaged(format!(
                "{file}: blob {} has the right length and SHA-256 {}",
                expected.sha256, actual.sha256
            )));
        }
        target.map_or(Ok(()), |target| target.sync_all()).map_err(unwritten)
    }

    /// Whether a blob has its length.
    fn measured(&self, file: &str, expected: &FileDigest, found: Option<u64>) -> Result<()> {
        let FileDigest { bytes, sha256 } = expected;
        match found {
            Some(found) if found == *bytes => Ok(()),
            Some(found) => Err(self.damaged(format!("{file}: blob {sha256} has {found} bytes, not {bytes}"))),
            None => Err(self.damaged(format!("{file}: blob {sha256} is missing"))),
        }
    }

    fn damaged(&self, fault: String) -> Error {
        Error::release(
            self.url(),
            format!(
                "{fault}; the depot is damaged: where the release's folder still is, `zhida depot put --read` puts it back, else roll back or publish again"
            ),
        )
    }

    async fn manifest_in(&self, store: &Arc<dyn ObjectStore>, digest: &str) -> Result<Vec<u8>> {
        let blob = blob(digest);
        let bytes = match self.read(store, &blob).await {
            Ok(bytes) => bytes,
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(self.damaged(format!("{MANIFEST}: blob {digest} is missing")));
            }
            Err(e) => return Err(e),
        };
        let actual = FileDigest::of(&bytes);
        if actual.sha256 == digest {
            return Ok(bytes);
        }
        Err(self.damaged(format!(
            "{MANIFEST}: blob {digest} has {} bytes and SHA-256 {}",
            actual.bytes, actual.sha256
        )))
    }

    fn listed(&self, digest: &str, manifest: &[u8]) -> Result<Listed> {
        Listed::of(manifest).map_err(|e| self.damaged(format!("{MANIFEST}: blob {digest}: {e}")))
    }
}

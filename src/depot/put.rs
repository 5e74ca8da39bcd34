//! How does a release get into a depot?

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path as Place;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};

use super::{Depot, Listed, Name, PART, age, blob, place_of, run};
use crate::encoder::{Digesting, FileDigest};
use crate::error::{Error, Result};
use crate::release::MANIFEST;

/// A file that lies here longer is written once more when a release needs it again: a
/// collection that has begun earlier takes only what is older than its grace, which is
/// longer than this.
pub(super) const FRESH: Duration = Duration::from_secs(30 * 60);

/// What a release brought along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The SHA-256 of its manifest, in hex: what it is fetched by.
    pub digest: String,
    /// Its files, the manifest included.
    pub files: usize,
    /// Those that were written; the others lay there already.
    pub written: usize,
    /// The bytes of the ones that were written.
    pub bytes: u64,
}

impl Depot {
    /// Puts the release in a folder here, under a name.
    ///
    /// # Errors
    /// [`Error::Release`] when the folder is damaged; [`Error::Io`] when the depot
    /// cannot be reached or written. Then nothing can be fetched that was not before.
    pub fn put(&self, folder: &Path, name: &Name) -> Result<Kept> {
        self.put_as(folder, name, false)
    }

    /// The same; all of it is written, whatever lies there: some of that is damaged.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_anew(&self, folder: &Path, name: &Name) -> Result<Kept> {
        self.put_as(folder, name, true)
    }

    fn put_as(&self, folder: &Path, name: &Name, anew: bool) -> Result<Kept> {
        let path = folder.join(MANIFEST);
        let manifest = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let listed = Listed::of(&manifest).map_err(|e| Error::release(&path, e))?;
        let digest = FileDigest::of(&manifest).sha256;
        let label = place_of(name, &digest);
        let store = self.store()?;
        run(async {
            let was_named = self.found(&store, &label).await?.is_some();
            self.write(&store, &label, manifest.clone()).await?;
            let outcome = self.put_files(&store, folder, (&listed, &manifest, &digest), anew).await;
            if outcome.is_err() && !was_named {
                // What keeps it from being collected; should this fail too, it is told as unknown.
                let _ = store.delete(&label).await;
            }
            outcome
        })?
    }

    async fn put_files(
        &self,
        store: &Arc<dyn ObjectStore>,
        folder: &Path,
        (listed, manifest, digest): (&Listed, &[u8], &str),
        anew: bool,
    ) -> Result<Kept> {
        let mut kept =
            Kept { digest: digest.to_owned(), files: listed.files.len() + 1, written: 0, bytes: 0 };
        for (file, expected) in &listed.files {
            let blob = blob(&expected.sha256);
            if !anew && self.is_fresh(store, &blob, expected.bytes).await? {
                continue;
            }
            self.send(store, &folder.join(file), expected, &blob).await?;
            kept.written += 1;
            kept.bytes += expected.bytes;
        }
        let last = blob(digest);
        if anew || !self.is_fresh(store, &last, manifest.len() as u64).await? {
            self.write(store, &last, manifest.to_vec()).await?;
            kept.written += 1;
            kept.bytes += manifest.len() as u64;
        }
        Ok(kept)
    }

    /// Whether a blob is there, whole as far as its length says, and young enough.
    async fn is_fresh(&self, store: &Arc<dyn ObjectStore>, blob: &Place, bytes: u64) -> Result<bool> {
        let found = self.found(store, blob).await?;
        Ok(found.is_some_and(|meta| meta.size == bytes && age(&meta) < FRESH))
    }

    /// Writes a file of a release, in parts if it is large.
    async fn send(
        &self,
        store: &Arc<dyn ObjectStore>,
        path: &Path,
        expected: &FileDigest,
        blob: &Place,
    ) -> Result<()> {
        let unread = |e| Error::io("read", path, e);
        let differs = || {
            Error::release(path, "is not what the manifest says: the release is damaged, publish once more")
        };
        let mut file = File::open(path).map_err(unread)?;
        let mut part = read_part(&mut file).map_err(unread)?;
        if expected.bytes <= PART as u64 {
            if FileDigest::of(&part) != *expected {
                return Err(differs());
            }
            return self.write(store, blob, part).await;
        }
        let failed = |e| self.failed("write", blob, e);
        let upload = store.put_multipart(blob).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut digesting = Digesting::default();
        while !part.is_empty() {
            digesting.update(&part);
            // One part under way at a time: memory stays bounded.
            upload.wait_for_capacity(1).await.map_err(failed)?;
            upload.put(part.into());
            part = read_part(&mut file).map_err(unread)?;
        }
        if digesting.finish() != *expected {
            let _ = upload.abort().await;
            return Err(differs());
        }
        upload.finish().await.map(drop).map_err(failed)
    }
}

/// The next part of a file; empty at its end.
fn read_part(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART as u64).read_to_end(&mut part)?;
    Ok(part)
}

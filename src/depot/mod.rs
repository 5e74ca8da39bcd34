//! Where do releases lie that every node can reach?
//!
//! ```text
//! blobs/3f/3fa9…              a file of a release or its manifest, named by its SHA-256
//! names/TENANT/KB/12.3fa9…    a manifest that is in use, under the release that it is
//! ```
//!
//! A release is called by the SHA-256 of its manifest, which names every other file
//! with its own. So nothing that lies here ever changes, equal files lie here once, and
//! what is fetched is compared with its name. [`Depot::put`] writes the name first, so
//! that no collection takes what it builds on, then the files, and the manifest last:
//! who finds a manifest finds all of it. [`Depot::fetch`] writes into a folder that has
//! no name yet; giving it one is the caller's step.
//!
//! A name is what keeps files from being collected, and nothing reads it to serve.

mod collect;
mod fetch;
mod place;
mod put;
mod sender;
mod table;

pub use collect::Collected;
pub use fetch::Fault;
pub use put::Kept;
pub use table::{Found, ObjectTable};

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::path::Path as Place;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use self::place::Form;
use crate::encoder::FileDigest;
use crate::error::{Error, Result};
use crate::release::MANIFEST;

/// Of a file so much is held in memory, and goes in one request.
const PART: usize = 8 << 20;

/// The largest manifest that is read, in bytes.
const MANIFEST_BYTES: u64 = 4 << 20;

/// A place for releases that every node can reach.
#[derive(Clone)]
pub struct Depot(Arc<Parts>);

struct Parts {
    url: String,
    form: Form,
}

/// A release, as a person calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The tenant.
    pub tenant: String,
    /// The knowledge base.
    pub kb: String,
    /// Its number.
    pub number: u32,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release {} of {}", self.number, self.kb)?;
        if self.tenant == crate::access::DEFAULT_TENANT { Ok(()) } else { write!(f, " ({})", self.tenant) }
    }
}

/// What a release is called here, by people and by its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// By people.
    pub name: Name,
    /// The SHA-256 of its manifest, in hex.
    pub digest: String,
}

/// What a manifest of any format says of its files.
#[derive(Deserialize)]
struct Listed {
    files: BTreeMap<String, FileDigest>,
}

impl Listed {
    fn of(manifest: &[u8]) -> std::result::Result<Self, String> {
        let listed: Self = serde_json::from_slice(manifest).map_err(|e| e.to_string())?;
        match listed.files.keys().find(|name| !is_below(name)) {
            None => Ok(listed),
            Some(name) => Err(format!("it names {name:?}, which lies in no release")),
        }
    }
}

/// Whether a file's name leads nowhere else than below its folder.
fn is_below(name: &str) -> bool {
    !name.is_empty()
        && !name.contains('\\')
        && name != MANIFEST
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The SHA-256 of the manifest in a release's folder: what the release is called.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(folder: &Path) -> Result<String> {
    let path = folder.join(MANIFEST);
    let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
    Ok(FileDigest::of(&bytes).sha256)
}

impl fmt::Debug for Depot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Depot").field(&self.0.url).finish()
    }
}

impl Depot {
    /// The depot at a URL: `file:///folder` (the folder must be there),
    /// `s3://bucket/prefix`, or `memory:` for tests. `settings` are names and values
    /// as S3's own tools take them from the environment: `AWS_ENDPOINT_URL`,
    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_CA_BUNDLE`, …
    ///
    /// # Errors
    /// [`Error::Refused`] when the URL is none of these or a setting does not fit.
    /// Whether anybody is there shows when it is used.
    pub fn at(url: &str, settings: &[(String, String)]) -> Result<Self> {
        Ok(Self(Arc::new(Parts { url: url.to_owned(), form: Form::at(url, settings)? })))
    }

    /// The depot that lies in a database, which says where that is.
    pub fn in_table(place: &str, table: Arc<dyn ObjectTable>) -> Self {
        Self(Arc::new(Parts { url: place.to_owned(), form: Form::Table(table) }))
    }

    /// Whether it lies in a database, and is gone with that.
    pub fn is_in_table(&self) -> bool {
        matches!(self.0.form, Form::Table(_))
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Whether the manifest of this digest is here: then all of the release is, unless
    /// somebody has taken from it.
    ///
    /// # Errors
    /// [`Error::Io`] when the depot cannot be reached.
    pub fn holds(&self, digest: &str) -> Result<bool> {
        let store = self.store()?;
        run(async { Ok(self.found(&store, &blob(digest)).await?.is_some()) })?
    }

    /// Takes a name away, so that a collection may take what only it needs. It need not
    /// be there.
    ///
    /// # Errors
    /// [`Error::Io`] when the depot cannot be reached.
    pub fn forget(&self, named: &Named) -> Result<()> {
        let store = self.store()?;
        let label = place_of(&named.name, &named.digest);
        run(async {
            match store.delete(&label).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(e) => Err(self.failed("remove", &label, e)),
            }
        })?
    }

    /// All names, in order, and since when each is there.
    ///
    /// # Errors
    /// [`Error::Io`] when the depot cannot be reached.
    pub fn names(&self) -> Result<Vec<(Named, Duration)>> {
        let store = self.store()?;
        let found = run(self.list(&store, "names"))??;
        let named = |meta: &ObjectMeta| Some((named_at(&meta.location)?, age(meta)));
        let mut names: Vec<_> = found.iter().filter_map(named).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// A small object, whole.
    async fn read(&self, store: &Arc<dyn ObjectStore>, place: &Place) -> Result<Vec<u8>> {
        let failed = |e| self.failed("read", place, e);
        let found = store.get(place).await.map_err(failed)?;
        if found.meta.size > MANIFEST_BYTES {
            let told = format!("it has {} bytes, a manifest has {MANIFEST_BYTES} at most", found.meta.size);
            return Err(Error::io("read", self.told(place), std::io::Error::other(told)));
        }
        Ok(found.bytes().await.map_err(failed)?.to_vec())
    }

    async fn write(&self, store: &Arc<dyn ObjectStore>, place: &Place, bytes: Vec<u8>) -> Result<()> {
        store.put(place, PutPayload::from(bytes)).await.map(drop).map_err(|e| self.failed("write", place, e))
    }

    /// What is known of an object; `None` when it is not there.
    async fn found(&self, store: &Arc<dyn ObjectStore>, place: &Place) -> Result<Option<ObjectMeta>> {
        match store.head(place).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("look at", place, e)),
        }
    }

    async fn list(&self, store: &Arc<dyn ObjectStore>, below: &str) -> Result<Vec<ObjectMeta>> {
        let place = Place::from(below);
        store.list(Some(&place)).try_collect().await.map_err(|e| self.failed("list", &place, e))
    }

    fn store(&self) -> Result<Arc<dyn ObjectStore>> {
        self.0.form.open(&self.0.url)
    }

    /// An object, as a person finds it.
    fn told(&self, place: &Place) -> PathBuf {
        PathBuf::from(format!("{}/{place}", self.url().trim_end_matches('/')))
    }

    fn failed(&self, action: &'static str, place: &Place, error: object_store::Error) -> Error {
        match table::own(error) {
            // It says itself what could not be reached, or is full.
            Ok(own) => own,
            Err(error) => Error::io(action, self.told(place), place::io_error(&error)),
        }
    }
}

/// Where a blob lies.
fn blob(sha256: &str) -> Place {
    Place::from_iter(["blobs", sha256.get(..2).unwrap_or("__"), sha256])
}

/// Where a name lies.
fn place_of(name: &Name, digest: &str) -> Place {
    let last = format!("{}.{digest}", name.number);
    Place::from_iter(["names", &name.tenant, &name.kb, &last])
}

/// The name that lies at a place, if one does.
fn named_at(place: &Place) -> Option<Named> {
    // Chinese is written with percent signs there.
    let plain = |part: object_store::path::PathPart<'_>| {
        percent_decode_str(part.as_ref()).decode_utf8().ok().map(|text| text.into_owned())
    };
    let parts: Vec<String> = place.parts().map(plain).collect::<Option<_>>()?;
    let [_, tenant, kb, last] = parts.as_slice() else { return None };
    let (number, digest) = last.split_once('.')?;
    let name = Name { tenant: tenant.clone(), kb: kb.clone(), number: number.parse().ok()? };
    Some(Named { name, digest: digest.to_owned() })
}

/// How long an object has been there; nothing for one from the future.
fn age(meta: &ObjectMeta) -> Duration {
    std::time::SystemTime::from(meta.last_modified).elapsed().unwrap_or_default()
}

/// Waits for something; everything above the depot is synchronous.
fn run<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|e| Error::internal("depot", e))?;
    Ok(runtime.block_on(work))
}

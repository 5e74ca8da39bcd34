//! What must survive?
//!
//! A data directory holds one folder per knowledge base:
//!
//! ```text
//! data/kbs/NAME/draft.jsonl      what the authors edit
//! data/kbs/NAME/lexicon.jsonl    the words that they add, if any
//! data/kbs/NAME/releases/12/     what was published, never changed again
//! data/kbs/NAME/current          the number that is served
//! data/models/NAME/              models that were fetched or adapted
//! ```
//!
//! Every file is written beside its place and renamed into it, so a crash
//! leaves the old state or the new one.

mod models;

pub use models::Models;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{sync_folder, write_whole};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::kb::{KnowledgeBase, formats};
use crate::release::{Build, Built, Manifest, Progress, Release};
use crate::text::AuthoredLexicon;

/// A data directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A knowledge base in a data directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    name: String,
    folder: PathBuf,
}

/// A release that was just made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub number: u32,
    /// What making it took.
    pub built: Built,
}

impl Store {
    /// The data directory at a path; it need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where fetched and adapted models lie.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The names of all knowledge bases, in order.
    pub fn names(&self) -> Result<Vec<String>> {
        let folder = self.root.join("kbs");
        let items = match fs::read_dir(&folder) {
            Ok(items) => items,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("read", folder, e)),
        };
        let mut names = Vec::new();
        for item in items {
            let item = item.map_err(|e| Error::io("read", &folder, e))?;
            if item.path().is_dir() {
                let name = item.file_name().to_string_lossy().into_owned();
                // A folder whose name no knowledge base can have is not ours.
                if self.shelf_to_create(&name).is_ok() {
                    names.push(name);
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// A knowledge base that exists.
    pub fn shelf(&self, name: &str) -> Result<Shelf> {
        let shelf = self.shelf_to_create(name)?;
        if shelf.folder.is_dir() {
            Ok(shelf)
        } else {
            Err(Error::Unknown { what: "knowledge base", name: name.to_owned(), known: self.names()? })
        }
    }

    /// A knowledge base that may not exist yet.
    ///
    /// # Errors
    /// When the name could not be a folder's.
    pub fn shelf_to_create(&self, name: &str) -> Result<Shelf> {
        let sound = !name.is_empty()
            && name.chars().count() <= 64
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !sound {
            return Err(Error::Refused(format!(
                "knowledge base name {name:?}: use 1 to 64 letters, digits, Chinese characters, '-', '_' or '.', not beginning with '.'"
            )));
        }
        Ok(Shelf { name: name.to_owned(), folder: self.root.join("kbs").join(name) })
    }
}

impl Shelf {
    /// The knowledge base's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Replaces the draft.
    pub fn save_draft(&self, base: &KnowledgeBase) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|e| Error::io("create", &self.folder, e))?;
        formats::write(base, &self.draft_path())
    }

    /// The draft, with its lexicon.
    pub fn draft(&self) -> Result<KnowledgeBase> {
        Ok(formats::read(&self.draft_path())?.with_lexicon(self.lexicon()?))
    }

    /// The words that the authors add to the shipped ones.
    pub fn lexicon(&self) -> Result<AuthoredLexicon> {
        formats::read_lexicon(&self.lexicon_path()).map(Option::unwrap_or_default)
    }

    /// Replaces the authors' words.
    pub fn save_lexicon(&self, lexicon: &AuthoredLexicon) -> Result<()> {
        write_whole(&self.lexicon_path(), &lexicon.write()?)
    }

    fn lexicon_path(&self) -> PathBuf {
        self.folder.join("lexicon.jsonl")
    }

    fn draft_path(&self) -> PathBuf {
        self.folder.join("draft.jsonl")
    }

    fn releases(&self) -> PathBuf {
        self.folder.join("releases")
    }

    /// The folder of a release.
    pub fn release_folder(&self, number: u32) -> PathBuf {
        self.releases().join(number.to_string())
    }

    /// The numbers of all releases, in order.
    pub fn versions(&self) -> Result<Vec<u32>> {
        let items = match fs::read_dir(self.releases()) {
            Ok(items) => items,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("read", self.releases(), e)),
        };
        let mut numbers: Vec<u32> =
            items.flatten().filter_map(|item| item.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The number that is served, if anything was published.
    pub fn current(&self) -> Result<Option<u32>> {
        let path = self.folder.join("current");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Some).map_err(|_| {
                Error::release(
                    &path,
                    format!(
                        "holds {:?}, not a release number; run `zhida kb rollback --kb {} N`",
                        text.trim(),
                        self.name
                    ),
                )
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path, e)),
        }
    }

    /// Opens the release that is served.
    pub fn open_current(&self, encoder: Option<Arc<Encoder>>) -> Result<Release> {
        self.open_release(self.current_number()?, encoder)
    }

    /// The number that is served.
    ///
    /// # Errors
    /// When nothing was published.
    pub fn current_number(&self) -> Result<u32> {
        self.current()?.ok_or_else(|| {
            Error::Refused(format!(
                "knowledge base {} has no release yet; run `zhida kb publish --kb {}`",
                self.name, self.name
            ))
        })
    }

    /// Opens a release by its number.
    ///
    /// # Errors
    /// When it does not open, or its manifest says that it is another one: a
    /// folder that was copied by hand.
    pub fn open_release(&self, number: u32, encoder: Option<Arc<Encoder>>) -> Result<Release> {
        let folder = self.release_folder(number);
        let release = Release::open(&folder, encoder)?;
        let manifest = release.manifest();
        if manifest.number != number || manifest.kb != self.name {
            return Err(Error::release(
                folder,
                format!(
                    "should be release {number} of {}, its manifest says release {} of {}; run `zhida kb rollback --kb {} {}` or publish again",
                    self.name, manifest.number, manifest.kb, self.name, manifest.number
                ),
            ));
        }
        Ok(release)
    }

    /// Makes a release of the draft and serves it from now on.
    ///
    /// # Errors
    /// When another process is publishing this knowledge base, the draft is
    /// faulty, or the disk is full; the release served before stays.
    pub fn publish(&self, encoder: Option<Arc<Encoder>>, progress: Progress<'_>) -> Result<Published> {
        let _lock = self.lock()?;
        let base = self.draft()?;
        if !base.entries().iter().any(|entry| entry.enabled) {
            return Err(Error::Refused(format!(
                "knowledge base {} has no enabled entry; there is nothing to publish",
                self.name
            )));
        }
        let releases = self.releases();
        fs::create_dir_all(&releases).map_err(|e| Error::io("create", &releases, e))?;
        self.sweep(&releases);
        let number = self.versions()?.last().map_or(1, |last| last + 1);
        // Vectors of a release that no longer opens are simply made again.
        let previous = self.open_current(encoder.clone()).ok();
        let beside = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&releases)
            .map_err(|e| Error::io("create a folder in", &releases, e))?;
        let build =
            Build { kb: &self.name, number, base: &base, encoder, previous: previous.as_ref(), progress };
        let built = build.write(beside.path())?;
        let place = self.release_folder(number);
        let finished = beside.keep();
        fs::rename(&finished, &place).map_err(|e| Error::io("rename to", &place, e))?;
        sync_folder(&releases)?;
        self.serve(number)?;
        Ok(Published { number, built })
    }

    /// Serves a release that was made before.
    pub fn rollback(&self, number: u32) -> Result<()> {
        let _lock = self.lock()?;
        let known = self.versions()?;
        if !known.contains(&number) {
            return Err(Error::Unknown {
                what: "release",
                name: number.to_string(),
                known: known.iter().map(u32::to_string).collect(),
            });
        }
        let folder = self.release_folder(number);
        Manifest::read(&folder)?.verify(&folder)?;
        self.serve(number)
    }

    fn serve(&self, number: u32) -> Result<()> {
        write_whole(&self.folder.join("current"), format!("{number}\n").as_bytes())
    }

    /// Held while a release is made, so that two of them cannot take one number.
    fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.folder).map_err(|e| Error::io("create", &self.folder, e))?;
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Refused(format!(
                "another process is publishing knowledge base {}; try again when it is done",
                self.name
            ))),
            Err(TryLockError::Error(e)) => Err(Error::io("lock", path, e)),
        }
    }

    /// Removes what publishing processes that died have left. The lock is
    /// held, so nobody is writing there now.
    fn sweep(&self, releases: &Path) {
        let leftovers = fs::read_dir(releases).into_iter().flatten().flatten();
        for item in leftovers.filter(|item| item.file_name().to_string_lossy().starts_with(UNFINISHED)) {
            // Space that cannot be freed now can be freed next time.
            let _ = fs::remove_dir_all(item.path());
        }
    }
}

/// The beginning of the names of folders that are not finished.
const UNFINISHED: &str = ".unfinished-";

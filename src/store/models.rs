//! Which model does a release need, and where is it?
//!
//! A release names the model that made its vectors. Unless the operator chose
//! a model, it is looked for in the binary and then below `DATA/models`, where
//! fetched and adapted models lie. A model that several releases need is
//! loaded once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Shelf, Store};
use crate::encoder::{Encoder, Files, hub};
use crate::engine::replay;
use crate::error::{Error, Result};
use crate::release::{Manifest, Model, Release, mend};

/// Where releases get their models from.
#[derive(Debug)]
pub struct Models {
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// What the operator chose, for every release; `None` for no model at all.
    Given(Option<Arc<Encoder>>),
    /// What the release says.
    Named {
        folder: PathBuf,
        /// By fingerprint; what no release holds any more may go.
        open: Arc<Mutex<BTreeMap<String, Weak<Encoder>>>>,
    },
}

impl From<Option<Arc<Encoder>>> for Models {
    fn from(encoder: Option<Arc<Encoder>>) -> Self {
        Self::given(encoder)
    }
}

impl Models {
    /// One model for every release, or none; a release that holds vectors of
    /// another one does not open.
    pub fn given(encoder: Option<Arc<Encoder>>) -> Self {
        Self { source: Source::Given(encoder) }
    }

    /// For every release the model that it names: the one in the binary, or
    /// one below the data directory's `models`.
    pub fn named(store: &Store) -> Self {
        Self { source: Source::Named { folder: store.models(), open: Arc::default() } }
    }

    /// The same for another data directory; what both need is loaded once.
    pub(crate) fn of(&self, store: &Store) -> Self {
        let source = match &self.source {
            Source::Given(encoder) => Source::Given(encoder.clone()),
            Source::Named { open, .. } => Source::Named { folder: store.models(), open: Arc::clone(open) },
        };
        Self { source }
    }

    /// The model for a new release: the one that was chosen, or the one in
    /// the binary.
    pub fn for_building(&self) -> Result<Option<Arc<Encoder>>> {
        match &self.source {
            Source::Given(encoder) => Ok(encoder.clone()),
            Source::Named { .. } => {
                let encoder = Encoder::built_in()?;
                Ok(Some(self.shared(encoder)))
            }
        }
    }

    /// Opens a release with its model.
    ///
    /// # Errors
    /// As [`Release::open`], and [`Error::Release`] when the model is not
    /// here, naming the release, the model and what to do.
    pub fn open(&self, shelf: &Shelf, number: u32) -> Result<Release> {
        shelf.open_release(number, self.encoder_of(shelf, number)?)
    }

    /// The model that a release is opened with.
    ///
    /// # Errors
    /// As [`Self::open`], where the model is not here.
    pub fn encoder_of(&self, shelf: &Shelf, number: u32) -> Result<Option<Arc<Encoder>>> {
        match &self.source {
            Source::Given(encoder) => Ok(encoder.clone()),
            Source::Named { folder, .. } => {
                let release = shelf.fetched_folder(number)?;
                let manifest = Manifest::read(&release)?;
                manifest.model.as_ref().map(|model| self.find(folder, &release, &manifest, model)).transpose()
            }
        }
    }

    /// Opens the release that is served.
    ///
    /// # Errors
    /// As [`Self::open`], and when nothing was published.
    pub fn open_current(&self, shelf: &Shelf) -> Result<Release> {
        self.open(shelf, shelf.current_number()?)
    }

    /// Opens what is served: the release with the live edits on top.
    ///
    /// # Errors
    /// As [`Self::open_current`].
    pub fn open_served(&self, shelf: &Shelf) -> Result<Release> {
        let number = shelf.current_number()?;
        let from = shelf.head()?.map_or(0, |head| head.live_from);
        let mut release = self.open(shelf, number)?;
        let news = shelf.live_changes(from)?;
        replay(&mut release, news.changes, news.edits)?;
        Ok(match news.service {
            Some(text) => release.with_service(text),
            None => release,
        })
    }

    /// One and the same for all who hold a model with this fingerprint.
    fn shared(&self, encoder: Encoder) -> Arc<Encoder> {
        let encoder = Arc::new(encoder);
        let Source::Named { open, .. } = &self.source else { return encoder };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, held| held.strong_count() > 0);
        if let Some(known) = open.get(encoder.fingerprint()).and_then(Weak::upgrade)
            && Model::of(&known) == Model::of(&encoder)
        {
            return known;
        }
        open.insert(encoder.fingerprint().to_owned(), Arc::downgrade(&encoder));
        encoder
    }

    fn find(
        &self,
        models: &Path,
        release: &Path,
        manifest: &Manifest,
        wanted: &Model,
    ) -> Result<Arc<Encoder>> {
        if let Source::Named { open, .. } = &self.source {
            let open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = open.get(&wanted.fingerprint).and_then(Weak::upgrade)
                && Model::of(&known) == *wanted
            {
                return Ok(known);
            }
        }
        let is_wanted = |files: &Files, place: &Path| {
            files.interpret(place, None).is_ok_and(|(_, manifest, fingerprint)| {
                manifest.id == wanted.id && fingerprint == wanted.fingerprint
            })
        };
        let built_in = Files::built_in();
        if is_wanted(&built_in, Path::new("built-in")) {
            return Encoder::of(built_in, Path::new("built-in"), None).map(|encoder| self.shared(encoder));
        }
        let mut others = Vec::new();
        for folder in hub::named(models, &wanted.id)? {
            match Files::read(&folder) {
                Ok(files) if is_wanted(&files, &folder) => {
                    return Encoder::of(files, &folder, None).map(|encoder| self.shared(encoder));
                }
                Ok(files) => others.push(match files.interpret(&folder, None) {
                    Ok((_, _, fingerprint)) => format!("{} has fingerprint {fingerprint}", folder.display()),
                    Err(e) => e.to_string(),
                }),
                Err(e) => others.push(e.to_string()),
            }
        }
        let seen = if others.is_empty() { String::new() } else { format!(" ({})", others.join("; ")) };
        Err(Error::release(
            release,
            format!(
                "holds vectors of model {wanted}, which is neither the one in this binary nor below {}{seen}; put the model's folder there, or {}, or go back to another release with `zhida kb rollback --kb {} N`",
                models.display(),
                mend(&manifest.kb, manifest.number),
                manifest.kb
            ),
        ))
    }
}

//! Which vectors are there already?
//!
//! Most phrasings of a release are those of the one before it, and so are their vectors.
//! They are of use while the new ones are made and no longer: of a release that is not open
//! anyway only they are read, for two large ones in memory would be twice the memory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::{
    LEXICON, Manifest, Model, Release, STRANGERS, VECTORS, background_with, base_of, lexicon_of,
    text_fingerprint, verify_those,
};
use crate::encoder::{Embedding, Encoder, Matrix};
use crate::error::{Error, Result};
use crate::kb;
use crate::retrieve::distinct;
use crate::retrieve::semantic::Semantic;

/// A release whose vectors may be used again.
#[derive(Clone, Copy)]
pub enum Past<'a> {
    /// One that is open.
    Open(&'a Release),
    /// One in a folder.
    In(&'a Path),
}

impl<'a> Past<'a> {
    /// The vectors of its phrasings; `None` when they are of another model. Those of a
    /// release that is damaged, or that this zhida does not open, are made again.
    pub(super) fn phrasings(self, encoder: &Encoder) -> Option<Made<'a>> {
        match self {
            Self::Open(release) => {
                let semantic = release.semantic().filter(|_| is_of(&release.manifest, encoder))?;
                let texts = release.phrasings().iter().map(|phrasing| Cow::Borrowed(&*phrasing.text));
                Some(Made { rows: texts.zip(0..).collect(), vectors: Vectors::Open(semantic) })
            }
            Self::In(folder) => told(folder, read(folder, encoder)),
        }
    }

    /// The vectors of its background questions, by their texts.
    pub(super) fn strangers(self, encoder: &Encoder) -> HashMap<String, Embedding> {
        let read = || match self {
            Self::Open(release) if is_of(&release.manifest, encoder) => {
                let vectors = Matrix::open(&release.folder.join(STRANGERS))?;
                Ok((background_with(release.lexicon())?, vectors))
            }
            Self::Open(_) => Ok(Default::default()),
            Self::In(folder) => read_strangers(folder, encoder),
        };
        let folder = match self {
            Self::Open(release) => &release.folder,
            Self::In(folder) => folder,
        };
        let (texts, vectors) = told(folder, read().map(Some)).unwrap_or_default();
        // Another number: of another zhida, with other questions.
        let fits = texts.len() == vectors.len();
        texts.into_iter().enumerate().filter(|_| fits).map(|(row, text)| (text, vectors.row(row))).collect()
    }
}

/// Vectors of phrasings by what was written.
pub(super) struct Made<'a> {
    rows: HashMap<Cow<'a, str>, usize>,
    vectors: Vectors<'a>,
}

enum Vectors<'a> {
    Open(&'a Semantic),
    Read(Matrix),
}

impl Made<'_> {
    pub(super) fn has(&self, text: &str) -> bool {
        self.rows.contains_key(text)
    }

    pub(super) fn vector(&self, text: &str) -> Option<Embedding> {
        let row = *self.rows.get(text)?;
        Some(match &self.vectors {
            Vectors::Open(semantic) => semantic.vector(row),
            Vectors::Read(matrix) => matrix.row(row),
        })
    }
}

fn is_of(manifest: &Manifest, encoder: &Encoder) -> bool {
    manifest.model.as_ref() == Some(&Model::of(encoder))
}

/// What could be read; that something could not costs time and nothing else.
fn told<T>(folder: &Path, read: Result<Option<T>>) -> Option<T> {
    read.unwrap_or_else(|error| {
        tracing::debug!(%error, folder = %folder.display(), "its vectors are made again");
        None
    })
}

fn read<'a>(folder: &Path, encoder: &Encoder) -> Result<Option<Made<'a>>> {
    let manifest = Manifest::read(folder)?;
    if !is_of(&manifest, encoder) {
        return Ok(None);
    }
    // Entries and words are compared with their checksums there.
    let base = base_of(folder)?;
    verify_those(folder, &manifest.kb, &manifest.files, &[VECTORS])?;
    let analyzer = kb::analyzer(base.lexicon(), base.entries());
    // Other rules might find other phrasings to be twins.
    if text_fingerprint(&analyzer) != manifest.text {
        return Ok(None);
    }
    let vectors = Matrix::open(&folder.join(VECTORS))?;
    let mut rows = HashMap::with_capacity(vectors.len());
    let mut count = 0;
    for entry in base.entries() {
        for (text, _) in distinct(entry, &analyzer) {
            rows.insert(Cow::Owned(text.to_owned()), count);
            count += 1;
        }
    }
    if count != vectors.len() {
        return Err(Error::release(folder, format!("holds {} vectors for {count} phrasings", vectors.len())));
    }
    Ok(Some(Made { rows, vectors: Vectors::Read(vectors) }))
}

fn read_strangers(folder: &Path, encoder: &Encoder) -> Result<(Vec<String>, Matrix)> {
    let manifest = Manifest::read(folder)?;
    if !is_of(&manifest, encoder) {
        return Ok(Default::default());
    }
    verify_those(folder, &manifest.kb, &manifest.files, &[LEXICON, STRANGERS])?;
    let lexicon = lexicon_of(folder, &manifest.files)?;
    Ok((background_with(&lexicon)?, Matrix::open(&folder.join(STRANGERS))?))
}

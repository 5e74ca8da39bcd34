//! What is asked of an engine on behalf of one open release?

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Fault, Index, Name, Parts, Row};
use crate::encoder::{Embedding, Matrix};
use crate::release::Release;
use crate::retrieve::elsewhere::{Asked, Elsewhere};
use crate::retrieve::lexical::Sparse;

/// An open release whose rows are put into an engine, and asked for there.
pub struct Held {
    parts: Arc<Parts>,
    name: Name,
    words: Sparse,
    meanings: Option<Arc<Matrix>>,
    /// By place of a phrasing.
    entry_of: Vec<u32>,
    /// Whether its rows are there, as far as is known.
    ready: AtomicBool,
    progress: Mutex<Progress>,
}

/// How far the rows are.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Since when all of them are there.
    pub(super) there: Option<Instant>,
    /// When they were counted last.
    pub(super) counted: Option<Instant>,
    /// Whether those of other releases were removed.
    pub(super) swept: bool,
    /// Why they could not be put, and when.
    pub(super) refused: Option<(Instant, String)>,
}

/// What a search may look for that finds something.
pub(super) struct Sample {
    pub(super) words: Vec<u32>,
    pub(super) meaning: Option<Embedding>,
}

impl Held {
    pub(super) fn new(parts: Arc<Parts>, tenant: &str, release: &Release) -> Self {
        let meanings = release.semantic().map(|semantic| Arc::clone(semantic.vectors()));
        let width = meanings.as_ref().map_or(0, |vectors| vectors.width());
        Self {
            parts,
            name: Name::of(tenant, release.manifest(), width),
            words: release.lexical().sparse(),
            meanings,
            entry_of: release.phrasings().iter().map(|phrasing| phrasing.entry as u32).collect(),
            ready: AtomicBool::new(false),
            progress: Mutex::default(),
        }
    }

    /// Whose rows they are.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether they are there, as far as is known.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Why they could not be put, if they could not.
    pub(super) fn trouble(&self) -> Option<String> {
        self.progress().refused.as_ref().map(|(_, why)| why.clone())
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.entry_of.len()
    }

    /// Some of its rows.
    pub(super) fn rows(&self, places: Range<usize>) -> Vec<Row> {
        let row = |(place, words): (usize, Vec<(u32, f32)>)| Row {
            place: place as u32,
            entry: self.entry_of[place],
            words,
            meaning: self.meanings.as_ref().map(|meanings| meanings.row(place)),
        };
        places.clone().zip(self.words.rows(places)).map(row).collect()
    }

    /// A row that a search for what is in it finds.
    pub(super) fn sample(&self) -> Sample {
        let first = self.rows(0..1).pop();
        let words = first.iter().flat_map(|row| row.words.iter().map(|(dimension, _)| *dimension)).collect();
        Sample { words, meaning: first.and_then(|row| row.meaning) }
    }

    fn ask(&self, search: impl FnOnce(&dyn Index) -> Result<Vec<u32>, Fault>) -> Asked<Vec<u32>> {
        let Parts { breaker, counts, index, .. } = &*self.parts;
        let lost = || {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            Asked::Lost
        };
        if !breaker.admits() {
            return lost();
        }
        if !self.is_ready() {
            counts.here.fetch_add(1, Ordering::Relaxed);
            return Asked::Not;
        }
        match search(&**index) {
            // What is asked for is there, so its rows are not.
            Ok(places) if places.is_empty() => {
                self.set_ready(false);
                *self.progress() = Progress::default();
                tracing::warn!(
                    base = self.name.base,
                    release = self.name.release,
                    "candidates are gone; they are put again"
                );
                lost()
            }
            Ok(places) => {
                breaker.answered();
                counts.told.fetch_add(1, Ordering::Relaxed);
                Asked::Told(places)
            }
            Err(fault) => {
                self.parts.failed(&fault);
                lost()
            }
        }
    }
}

impl Elsewhere for Held {
    fn worded(&self, dimensions: &[u32], limit: usize) -> Asked<Vec<u32>> {
        let patience = self.parts.manner.patience;
        self.ask(|index| index.worded(&self.name, dimensions, limit, patience))
    }

    fn meant(&self, vector: &Embedding, limit: usize) -> Asked<Vec<u32>> {
        let patience = self.parts.manner.patience;
        self.ask(|index| index.meant(&self.name, vector, limit, patience))
    }
}

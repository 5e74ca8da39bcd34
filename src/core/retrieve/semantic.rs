//! Which entries mean the same as the question?
//!
//! Up to some size every phrasing is compared with it. In a large knowledge
//! base a [`Graph`] leads to the phrasings that are near; from there on both
//! ways are one: what is said of an entry is said of all its phrasings, and
//! exactly.

mod graph;
mod scan;

use std::sync::Arc;

pub use self::graph::Graph;
pub use self::scan::{Nearness, Scan};
use super::elsewhere::{Asked, Elsewhere};
use super::{Except, GONE, Phrasing};
use crate::encoder::{Embedding, Matrix, Question};

/// From so many phrasings on a release has a graph. Comparing with all of them
/// takes 4 ms for 100,000 on one core, as long as all the rest of an answer;
/// below, exactness costs less than anybody notices.
pub const LINKED_FROM: usize = 100_000;

/// The vectors of all phrasings.
#[derive(Clone)]
pub struct Semantic {
    /// Of the published phrasings.
    vectors: Arc<Matrix>,
    /// Their links; `None` in a release of few, or of an older zhida.
    graph: Option<Arc<Graph>>,
    /// Of phrasings that came with live edits.
    added: Matrix,
    /// By phrasing; [`GONE`] for one that is not there any more.
    entry_of: Vec<usize>,
    /// By published entry, where its phrasings begin; one more for the end.
    starts: Arc<[usize]>,
    /// Published phrasings that live edits have taken away.
    taken: usize,
    entries: usize,
}

impl Semantic {
    /// Takes the vectors of the phrasings, row by row, and their links, if
    /// there are any. Phrasings of an entry stand together.
    pub fn new(vectors: Matrix, graph: Option<Graph>, phrasings: &[Phrasing], entries: usize) -> Self {
        let start = |entry: usize| phrasings.partition_point(|phrasing| phrasing.entry < entry);
        Self {
            vectors: Arc::new(vectors),
            graph: graph.map(Arc::new),
            added: Matrix::default(),
            entry_of: phrasings.iter().map(|phrasing| phrasing.entry).collect(),
            starts: (0..=entries).map(start).collect(),
            taken: 0,
            entries,
        }
    }

    /// The vectors of the published phrasings, one row each.
    pub fn vectors(&self) -> &Arc<Matrix> {
        &self.vectors
    }

    /// The vector of a phrasing, published or not.
    pub fn vector(&self, phrasing: usize) -> Embedding {
        match phrasing.checked_sub(self.vectors.len()) {
            None => self.vectors.row(phrasing),
            Some(place) => self.added.row(place),
        }
    }

    /// Takes a phrasing away.
    pub fn remove(&mut self, place: usize) {
        self.entry_of[place] = GONE;
        self.taken += usize::from(place < self.vectors.len());
    }

    /// Puts a phrasing of an entry at a place that is free or the next one;
    /// never at one of a published phrasing.
    pub fn add(&mut self, place: usize, entry: usize, vector: &Embedding) {
        self.entries = self.entries.max(entry + 1);
        self.added.put(place - self.vectors.len(), vector);
        if place == self.entry_of.len() {
            self.entry_of.push(entry);
        } else {
            self.entry_of[place] = entry;
        }
    }

    /// Whether there are links.
    pub fn is_linked(&self) -> bool {
        self.graph.is_some()
    }

    /// The same without links: what compares a question with every phrasing.
    #[must_use]
    pub fn without_graph(&self) -> Self {
        Self { graph: None, ..self.clone() }
    }

    /// Compares a question with every phrasing, or with those that are near.
    pub fn scan<'a>(&'a self, question: &Embedding, except: Except<'a>) -> Scan<'a> {
        Scan::of(self, Matrix::question(question), except)
    }

    /// Compares a question with those entries whose published phrasings another engine
    /// names, and with those that live edits have changed.
    pub fn scan_by<'a>(
        &'a self,
        elsewhere: &dyn Elsewhere,
        question: &Embedding,
        except: Except<'a>,
    ) -> Asked<Scan<'a>> {
        Scan::by(self, elsewhere, question, except)
    }

    /// The entry of a phrasing that is there and not hidden.
    fn shown(&self, phrasing: usize, except: Except<'_>) -> Option<usize> {
        let entry = self.entry_of[phrasing];
        (entry != GONE && !except.hides(phrasing, entry)).then_some(entry)
    }

    /// The share of the published phrasings that may be found.
    fn share(&self, except: Except<'_>) -> f64 {
        let mut out = self.taken;
        if let Except::Entries(hidden) = except {
            let lengths = self.starts.windows(2).map(|pair| pair[1] - pair[0]);
            // Of what was taken away and is hidden as well, too much is left out.
            out +=
                lengths.zip(hidden).filter(|(_, hidden)| **hidden).map(|(length, _)| length).sum::<usize>();
        }
        let all = self.vectors.len().max(1);
        all.saturating_sub(out) as f64 / all as f64
    }

    /// The cosines with what live edits have added.
    fn cosines_of_added(&self, question: &Question) -> Vec<f32> {
        let mut cosines = Vec::new();
        if !self.added.is_empty() {
            self.added.cosines(question, &mut cosines);
        }
        cosines
    }
}

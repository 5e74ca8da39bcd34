//! Which entries mean the same as the question?

use std::sync::Arc;

use super::{Candidate, Except, GONE, Phrasing, by_score};
use crate::encoder::{Embedding, Matrix};

/// An exact scan over the vectors of all phrasings.
#[derive(Clone)]
pub struct Semantic {
    /// Of the published phrasings.
    vectors: Arc<Matrix>,
    /// Of phrasings that came with live edits.
    added: Matrix,
    /// By phrasing; [`GONE`] for one that is not there any more.
    entry_of: Vec<usize>,
    entries: usize,
}

/// How near an entry is to a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearness {
    /// The entry by its nearest phrasing; the score is the cosine.
    pub best: Candidate,
    /// The mean cosine of all its phrasings: an entry whose phrasings all
    /// point the same way is a better guess than one with a lucky phrasing.
    pub mean: f32,
}

/// Every entry's nearness, in the order of the release; `None` for an entry
/// that is hidden or gone.
pub type Scan = Vec<Option<Nearness>>;

impl Semantic {
    /// Takes the vectors of the phrasings, row by row.
    pub fn new(vectors: Matrix, phrasings: &[Phrasing], entries: usize) -> Self {
        Self {
            vectors: Arc::new(vectors),
            added: Matrix::default(),
            entry_of: phrasings.iter().map(|phrasing| phrasing.entry).collect(),
            entries,
        }
    }

    /// The vectors of the published phrasings, one row each.
    pub fn vectors(&self) -> &Matrix {
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

    /// Compares a question with every phrasing.
    pub fn scan(&self, question: &Embedding, except: Except) -> Scan {
        let mut scan: Scan = vec![None; self.entries];
        let mut seen = vec![0u32; self.entries];
        let mut cosines = Vec::new();
        self.vectors.cosines(question, &mut cosines);
        if !self.added.is_empty() {
            let mut added = Vec::new();
            self.added.cosines(question, &mut added);
            cosines.append(&mut added);
        }
        for (phrasing, (&score, &entry)) in cosines.iter().zip(&self.entry_of).enumerate() {
            if entry == GONE || except.hides(phrasing, entry) {
                continue;
            }
            seen[entry] += 1;
            let candidate = Candidate { entry, phrasing, score };
            match &mut scan[entry] {
                Some(known) => {
                    known.mean += score;
                    if score > known.best.score {
                        known.best = candidate;
                    }
                }
                none => *none = Some(Nearness { best: candidate, mean: score }),
            }
        }
        for (nearness, count) in scan.iter_mut().zip(seen) {
            if let Some(nearness) = nearness {
                nearness.mean /= count as f32;
            }
        }
        scan
    }
}

/// The best `k` of a scan by their nearest phrasing.
pub fn top(scan: &Scan, k: usize) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = scan.iter().flatten().map(|nearness| nearness.best).collect();
    if candidates.len() > k && k > 0 {
        candidates.select_nth_unstable_by(k - 1, by_score);
    }
    candidates.truncate(k);
    candidates.sort_by(by_score);
    candidates
}

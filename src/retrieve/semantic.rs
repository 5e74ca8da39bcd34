//! Which entries mean the same as the question?

use super::{Candidate, Except, Phrasing, by_score};
use crate::encoder::{Embedding, Matrix};

/// An exact scan over the vectors of all phrasings.
pub struct Semantic {
    vectors: Matrix,
    entry_of: Vec<usize>,
    entries: usize,
}

/// The best phrasing of every entry, in the order of the release; `None` for
/// an entry that is hidden.
pub type BestPerEntry = Vec<Option<Candidate>>;

impl Semantic {
    /// Takes the vectors of the phrasings, row by row.
    pub fn new(vectors: Matrix, phrasings: &[Phrasing], entries: usize) -> Self {
        Self { vectors, entry_of: phrasings.iter().map(|phrasing| phrasing.entry).collect(), entries }
    }

    /// The vectors, one row per phrasing.
    pub fn vectors(&self) -> &Matrix {
        &self.vectors
    }

    /// The highest cosine of every entry with any of the vectors of a question.
    pub fn scan(&self, questions: &[Embedding], except: Except) -> BestPerEntry {
        let mut best: BestPerEntry = vec![None; self.entries];
        let mut cosines = Vec::new();
        for question in questions {
            self.vectors.cosines(question, &mut cosines);
            for (phrasing, (&score, &entry)) in cosines.iter().zip(&self.entry_of).enumerate() {
                if except.hides(phrasing, entry) {
                    continue;
                }
                if best[entry].is_none_or(|known| score > known.score) {
                    best[entry] = Some(Candidate { entry, phrasing, score });
                }
            }
        }
        best
    }
}

/// The best `k` of a scan.
pub fn top(best: &BestPerEntry, k: usize) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = best.iter().flatten().copied().collect();
    if candidates.len() > k && k > 0 {
        candidates.select_nth_unstable_by(k - 1, by_score);
    }
    candidates.truncate(k);
    candidates.sort_by(by_score);
    candidates
}

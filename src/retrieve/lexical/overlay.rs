//! What have live edits changed in the published index?
//!
//! Postings of the phrasings that came, in memory, and how the published
//! statistics differ now. Its size is that of the phrasings that are
//! different, however many edits led there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use tantivy::fieldnorm::FieldNormReader;
use tantivy::query::{Bm25StatisticsProvider, Bm25Weight, EnableScoring, Query};
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

/// The difference between what is published and what is there.
#[derive(Clone, Default)]
pub(super) struct Overlay {
    /// By term, the phrasings that came, with how often they have it.
    postings: HashMap<Term, Vec<(usize, u32)>>,
    /// By phrasing that came and field, the number of its terms.
    lengths: HashMap<(usize, Field), u32>,
    /// By term, how many more phrasings have it than in the published index.
    frequencies: HashMap<Term, i64>,
    /// By field, how many more terms there are.
    tokens: HashMap<Field, i64>,
    /// How many more phrasings there are.
    phrasings: i64,
}

/// Each term with how often it occurs.
fn counted(terms: &[Term]) -> HashMap<&Term, u32> {
    let mut counts = HashMap::new();
    for term in terms {
        *counts.entry(term).or_default() += 1;
    }
    counts
}

impl Overlay {
    /// A phrasing came.
    pub(super) fn add(&mut self, place: usize, terms: &[Term]) {
        for (term, count) in counted(terms) {
            self.postings.entry(term.clone()).or_default().push((place, count));
        }
        for term in terms {
            *self.lengths.entry((place, term.field())).or_default() += 1;
        }
        self.count(terms, 1);
    }

    /// A phrasing went, published or not.
    pub(super) fn remove(&mut self, place: usize, terms: &[Term]) {
        for term in counted(terms).into_keys() {
            self.lengths.remove(&(place, term.field()));
            let Some(postings) = self.postings.get_mut(term) else { continue };
            postings.retain(|&(other, _)| other != place);
            if postings.is_empty() {
                self.postings.remove(term);
            }
        }
        self.count(terms, -1);
    }

    fn count(&mut self, terms: &[Term], sign: i64) {
        for term in counted(terms).into_keys() {
            let more = self.frequencies.entry(term.clone()).or_default();
            *more += sign;
            if *more == 0 {
                self.frequencies.remove(term);
            }
        }
        for term in terms {
            *self.tokens.entry(term.field()).or_default() += sign;
        }
        self.phrasings += sign;
    }

    /// Searches the published phrasings that are still visible.
    pub(super) fn search_segment(
        &self,
        searcher: &Searcher,
        query: &dyn Query,
        visible: &dyn Fn(usize) -> bool,
        best: &mut Best,
    ) -> tantivy::Result<()> {
        let counts = Counts { overlay: self, published: searcher };
        let weight = query.weight(EnableScoring::enabled_from_statistics_provider(&counts, searcher))?;
        for reader in searcher.segment_readers() {
            weight.for_each_pruning(best.bar(), reader, &mut |document, score| {
                if visible(document as usize) {
                    best.offer(score, document as usize);
                }
                best.bar()
            })?;
        }
        Ok(())
    }

    /// Scores the phrasings that came.
    pub(super) fn search_added(
        &self,
        searcher: &Searcher,
        terms: &[Term],
        visible: &dyn Fn(usize) -> bool,
        best: &mut Best,
    ) -> tantivy::Result<()> {
        let counts = Counts { overlay: self, published: searcher };
        let mut scores: HashMap<usize, f32> = HashMap::new();
        for term in terms {
            let Some(postings) = self.postings.get(term) else { continue };
            let weight = Bm25Weight::for_terms(&counts, std::slice::from_ref(term))?;
            for &(place, count) in postings {
                let length = self.lengths.get(&(place, term.field())).copied().unwrap_or(0);
                // A segment keeps lengths in one byte; so does this score.
                let length = FieldNormReader::constant(1, length).fieldnorm_id(0);
                *scores.entry(place).or_default() += weight.score(length, count);
            }
        }
        for (place, score) in scores {
            if visible(place) {
                best.offer(score, place);
            }
        }
        Ok(())
    }
}

/// The statistics of what is there now.
struct Counts<'a> {
    overlay: &'a Overlay,
    published: &'a Searcher,
}

fn plus(published: u64, more: i64) -> u64 {
    published.saturating_add_signed(more)
}

impl Bm25StatisticsProvider for Counts<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let more = self.overlay.tokens.get(&field).copied().unwrap_or(0);
        Ok(plus(self.published.total_num_tokens(field)?, more))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(plus(self.published.total_num_docs()?, self.overlay.phrasings).max(1))
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let more = self.overlay.frequencies.get(term).copied().unwrap_or(0);
        Ok(plus(self.published.doc_freq(term)?, more).min(self.total_num_docs()?))
    }
}

/// The best phrasings so far; of equal scores those with the lower places.
pub(super) struct Best {
    limit: usize,
    heap: BinaryHeap<Reverse<Ranked>>,
}

#[derive(PartialEq)]
struct Ranked {
    score: f32,
    place: Reverse<usize>,
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then_with(|| self.place.cmp(&other.place))
    }
}

impl Best {
    pub(super) fn of(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::with_capacity(limit + 1) }
    }

    /// The score that a phrasing must exceed to get in.
    fn bar(&self) -> f32 {
        match self.heap.peek() {
            Some(Reverse(worst)) if self.heap.len() >= self.limit => worst.score,
            _ => f32::MIN,
        }
    }

    fn offer(&mut self, score: f32, place: usize) {
        self.heap.push(Reverse(Ranked { score, place: Reverse(place) }));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// Best first.
    pub(super) fn into_sorted(self) -> Vec<(f32, usize)> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(one)| (one.score, one.place.0)).collect()
    }
}

//! What is a phrasing as a sparse vector?
//!
//! Every term of the published phrasings is a dimension, and a phrasing's value in it is
//! what the term adds to its BM25. So the sum of its values over the dimensions of a
//! question's terms (the inner product with a vector that is 1 there) is its BM25. Weights
//! are those of the published phrasings alone: a release never changes.

use std::ops::Range;
use std::sync::Arc;

use super::{KINDS, Published, kind, weight};

/// The published phrasings of a release as sparse vectors.
#[derive(Clone)]
pub struct Sparse(Arc<Published>);

impl Sparse {
    pub(super) fn of(published: &Arc<Published>) -> Self {
        Self(Arc::clone(published))
    }

    /// How many phrasings there are.
    pub fn len(&self) -> usize {
        self.0.phrasings as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.phrasings == 0
    }

    /// The vectors of the phrasings at some places, in their order: dimension and value, by
    /// rising dimension. No vector is empty, for engines refuse those: a phrasing without
    /// terms has a dimension that no question has. Takes a look at every term, so many
    /// places at a time are better than few.
    pub fn rows(&self, places: Range<usize>) -> Vec<Vec<(u32, f32)>> {
        let published = &*self.0;
        let average: [f32; KINDS] =
            std::array::from_fn(|kind| published.tokens[kind] as f32 / published.phrasings.max(1) as f32);
        let mut rows = vec![Vec::new(); places.len()];
        for (term, range) in &published.terms {
            let postings = published.of(term);
            let before = |end: usize| postings.partition_point(|posting| (posting.phrasing as usize) < end);
            let here = &postings[before(places.start)..before(places.end)];
            if here.is_empty() {
                continue;
            }
            let weight = weight(postings.len() as u64, published.phrasings, average[kind(term)]);
            for posting in here {
                let value = weight.score(posting.length, u32::from(posting.count));
                rows[posting.phrasing as usize - places.start].push((range.start, value));
            }
        }
        for row in &mut rows {
            row.sort_unstable_by_key(|(dimension, _)| *dimension);
            if row.is_empty() {
                row.push((published.all.len() as u32, 1.0));
            }
        }
        rows
    }
}

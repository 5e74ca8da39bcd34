//! Where else may candidates come from?
//!
//! A knowledge base may be too large to be searched in this process. Then another engine
//! says which phrasings could be meant, and nothing else: their scores, the evidence and
//! the decision are computed here from the release, so that a candidate gets the same
//! numbers wherever it was found. What live edits have added is looked at here as well,
//! for the other engine knows only what was published.

use crate::encoder::Embedding;

/// An index in another engine that knows the published phrasings of one release by
/// their places in it.
pub trait Elsewhere: Send + Sync {
    /// At most `limit` phrasings whose sparse vectors have the highest sums over some of
    /// their dimensions; see [`crate::retrieve::lexical::Sparse`].
    fn worded(&self, dimensions: &[u32], limit: usize) -> Asked<Vec<u32>>;

    /// The phrasing nearest to a vector of each of the `limit` nearest entries.
    fn meant(&self, vector: &Embedding, limit: usize) -> Asked<Vec<u32>>;
}

/// What became of a question to another engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<T> {
    /// It answered.
    Told(T),
    /// It was not asked: it does not have the release yet, or would have to name too much
    /// of which too little may be found.
    Not,
    /// It did not answer, or not in time.
    Lost,
}

/// More than this is not asked for; what remains of it may then be too little, and the
/// release itself is searched.
const MOST: usize = 1_000;

/// How many to ask for, so that about `wanted` of them may be found when only a `share` of
/// all may; `None` where that is too many.
pub(super) fn limit(wanted: usize, share: f64) -> Option<usize> {
    let limit = (wanted as f64 / share.max(f64::MIN_POSITIVE)).ceil();
    (limit <= MOST as f64).then_some(limit as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_asked_for_where_less_may_be_found() {
        assert_eq!(limit(65, 1.0), Some(65));
        assert_eq!(limit(65, 0.5), Some(130));
        assert_eq!(limit(50, 0.3), Some(167));
        assert_eq!(limit(50, 0.05), Some(1_000));
        assert_eq!(limit(50, 0.04), None);
        assert_eq!(limit(50, 0.0), None);
    }
}

//! Which mistakes are worth an author's time?

use std::collections::BTreeMap;

use super::GenerationReport;
use crate::decide::Decision;
use crate::eval::dataset::Expect;
use crate::eval::metrics::best_is_right;
use crate::eval::run::Prediction;
use crate::kb::EntryId;

/// Questions for one entry that went to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// What would have been right; none for questions outside.
    pub expected: Vec<EntryId>,
    /// The best candidate instead.
    pub predicted: EntryId,
    /// How often.
    pub count: usize,
    /// How often it was even answered.
    pub answered: usize,
}

/// The entries that are taken for one another, the harmful ones first.
/// Questions outside count only when they were answered: an entry is always
/// nearest to something.
pub fn confusions(generation: &GenerationReport, limit: usize) -> Vec<Confusion> {
    let mut counts: BTreeMap<(Vec<EntryId>, &EntryId), (usize, usize)> = BTreeMap::new();
    for prediction in &generation.predictions {
        let Some(entry) = &prediction.entry else { continue };
        let answered = prediction.decision == Decision::Answer;
        if best_is_right(prediction) || !(prediction.expect.is_inside() || answered) {
            continue;
        }
        let count = counts.entry((expected(&prediction.expect), entry)).or_default();
        *count = (count.0 + 1, count.1 + usize::from(answered));
    }
    let mut list: Vec<Confusion> = counts
        .into_iter()
        .map(|((expected, predicted), (count, answered))| Confusion {
            expected,
            predicted: predicted.clone(),
            count,
            answered,
        })
        .collect();
    // Stable, so that equals stay in the order of their ids.
    list.sort_by_key(|confusion| std::cmp::Reverse((confusion.answered, confusion.count)));
    list.truncate(limit);
    list
}

/// The questions whose best candidate is wrong, the surest first, in the order
/// of the query set where they are equally sure.
pub fn worst(generation: &GenerationReport, limit: usize) -> Vec<&Prediction> {
    let mut list: Vec<&Prediction> =
        generation.predictions.iter().filter(|p| p.entry.is_some() && !best_is_right(p)).collect();
    list.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    list.truncate(limit);
    list
}

/// The right entries; none for a question outside.
pub fn expected(expect: &Expect) -> Vec<EntryId> {
    match expect {
        Expect::One(id) => vec![id.clone()],
        Expect::AnyOf(ids) => ids.clone(),
        Expect::Outside => Vec::new(),
    }
}

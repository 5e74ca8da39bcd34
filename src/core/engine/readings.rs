//! Which of several readings of a message is meant?

use super::Outcome;
use crate::decide::policy::{MOST_OFFERED, is_rival};
use crate::decide::{Confidence, Decision, Reason};

/// What comes of a message that may be read in several ways: that of the
/// surest reading, or a question back where another one leads elsewhere about
/// as surely. “zp吗” is 专票吗 and 正品吗.
pub(super) fn among(first: Outcome, others: Vec<Outcome>) -> Outcome {
    let mut all = others;
    all.insert(0, first);
    // The likeliest reading first where none is surer; the sort is stable.
    all.sort_by(|a, b| b.confidence().value().total_cmp(&a.confidence().value()));
    let mut all = all.into_iter();
    let Some(mut surest) = all.next() else { unreachable!("one reading is there always") };
    let Some(best) = surest.best() else { return surest };
    let mut rivals: Vec<Outcome> = Vec::new();
    for other in all {
        let entries =
            || std::iter::once(best.entry).chain(rivals.iter().filter_map(|it| Some(it.best()?.entry)));
        let leads = |it: &Outcome| it.best().is_some_and(|it| entries().all(|entry| entry != it.entry));
        if leads(&other) && is_rival(best.confidence, other.confidence(), other.decision) {
            rivals.push(other);
        }
    }
    if rivals.is_empty() {
        return surest;
    }
    // Which reading is meant, nobody knows.
    let share = 1.0 / (1 + rivals.len()) as f64;
    let firsts = rivals.len() + 1;
    let mut candidates = Vec::new();
    let heads = std::iter::once(&surest).chain(&rivals).filter_map(|it| it.candidates.first());
    let tails = std::iter::once(&surest).chain(&rivals).flat_map(|it| it.candidates.iter().skip(1));
    for candidate in heads.chain(tails) {
        if candidates.iter().all(|it: &super::Scored| it.entry != candidate.entry) {
            let confidence = Confidence::new(candidate.confidence.value() * share);
            candidates.push(super::Scored { confidence, ..*candidate });
        }
    }
    candidates[firsts..].sort_by(|a, b| b.confidence.value().total_cmp(&a.confidence.value()));
    // No later one is surer than the firsts of the readings.
    let least = candidates[firsts - 1].confidence;
    for candidate in &mut candidates[firsts..] {
        candidate.confidence = Confidence::new(candidate.confidence.value().min(least.value()));
    }
    candidates.truncate(Outcome::CANDIDATES);
    surest.offered = surest.offered.max(firsts).min(MOST_OFFERED).min(candidates.len());
    surest.candidates = candidates;
    (surest.decision, surest.reason) = (Decision::Clarify, Reason::Ambiguous);
    surest
}

#[cfg(test)]
mod tests {
    use super::super::Scored;
    use super::*;
    use crate::decide::Generation;

    fn outcome(decision: Decision, candidates: &[(usize, f64)]) -> Outcome {
        let scored =
            |&(entry, confidence): &(usize, f64)| Scored { entry, confidence: Confidence::new(confidence) };
        Outcome {
            candidates: candidates.iter().map(scored).collect(),
            offered: 1,
            generation: Generation::Two,
            ..Outcome::bare(decision, Reason::Confident)
        }
    }

    #[test]
    fn readings_that_lead_to_different_entries_are_asked_about() {
        let first = outcome(Decision::Answer, &[(3, 0.9), (4, 0.05)]);
        let other = outcome(Decision::Clarify, &[(7, 0.6), (3, 0.1), (8, 0.08)]);
        let both = among(first, vec![other]);
        assert_eq!((both.decision, both.reason, both.offered), (Decision::Clarify, Reason::Ambiguous, 2));
        let entries: Vec<usize> = both.candidates.iter().map(|it| it.entry).collect();
        assert_eq!(entries, [3, 7, 8, 4]);
        assert!(both.candidates.windows(2).all(|pair| pair[0].confidence >= pair[1].confidence));
        assert_eq!(both.confidence().value(), 0.45);
    }

    #[test]
    fn a_reading_that_leads_nowhere_or_to_the_same_entry_asks_nothing() {
        let first = outcome(Decision::Answer, &[(3, 0.9)]);
        let nowhere = outcome(Decision::Handoff, &[(7, 0.2)]);
        let same = outcome(Decision::Answer, &[(3, 0.8)]);
        assert_eq!(among(first.clone(), vec![nowhere.clone(), same]), first);
        assert_eq!(among(nowhere, vec![first.clone()]), first, "the surer one is meant");
    }
}

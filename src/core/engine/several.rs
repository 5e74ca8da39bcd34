//! Does the message ask several things?
//!
//! "怎么退货，运费谁出？" is two questions. Read as one it is answered with the
//! better half, or is too strange to be answered at all. So each clause that
//! asks is read by the same stages as a message of its own. Where they point
//! to different entries the customer is asked back with all of them, and gets
//! the answers to those that are sure: a single answer would lose the others
//! without a word. Where all clauses but idle ones ask and point to one entry,
//! that reading can make sure what the whole left open. A story before a
//! question stays part of it: it says which of two look-alike entries is meant,
//! and reading the question without it was measured to be wrong too often.

use super::{Engine, Options, Outcome, Scored, Trace, TracedClause};
use crate::decide::{Confidence, Decision, Reason};
use crate::error::{Error, Result};
use crate::text::clauses;

/// More questions are not one message but a letter; a person reads it.
const MOST: usize = 5;

/// What one clause points to.
struct Reading {
    best: Scored,
    /// It would be answered if it were the whole message.
    sure: bool,
    /// The entries that it would be asked back with.
    offered: Vec<usize>,
}

impl Reading {
    /// `None` when the clause points to nothing in particular.
    fn of(outcome: &Outcome) -> Option<Self> {
        let points = match outcome.decision {
            Decision::Answer => true,
            Decision::Clarify => outcome.reason == Reason::LowConfidence,
            Decision::Handoff => false,
        };
        let best = outcome.best().filter(|_| points)?;
        let offered = outcome.candidates.iter().take(outcome.offered).map(|scored| scored.entry).collect();
        Some(Self { best, sure: outcome.decision == Decision::Answer, offered })
    }

    /// Whether both may well speak of the same entry.
    fn same_matter(&self, other: &Self) -> bool {
        self.best.entry == other.best.entry
            || !self.sure && self.offered.contains(&other.best.entry)
            || !other.sure && other.offered.contains(&self.best.entry)
    }
}

impl Engine {
    /// What becomes of a message that was read as one question, when it is
    /// read by its clauses.
    pub(super) fn several(
        &self,
        text: &str,
        whole: Outcome,
        options: Options<'_>,
        trace: Option<&mut Trace>,
    ) -> Result<Outcome> {
        // An author's word and a request for a person stand.
        if !whole.reason.is_scored() {
            return Ok(whole);
        }
        let clauses = clauses(text);
        let asking: Vec<&str> =
            clauses.iter().filter(|clause| clause.asks).map(|clause| clause.text.as_str()).collect();
        let told = clauses.iter().any(|clause| !clause.asks && !clause.idle);
        // One question is worth a look only where the whole is not sure, and
        // nothing but idle words stands beside it.
        let single = asking.len() == 1 && clauses.len() > 1 && !told && whole.decision != Decision::Answer;
        if !single && !(2..=MOST).contains(&asking.len()) {
            return Ok(whole);
        }
        let mut outcomes = Vec::with_capacity(asking.len());
        for clause in &asking {
            match self.question(clause, options, None) {
                Ok(outcome) => outcomes.push(outcome),
                // A clause of signs alone.
                Err(Error::Question(_)) => {}
                Err(e) => return Err(e),
            }
        }
        if let Some(trace) = trace {
            let traced = asking.iter().zip(&outcomes).map(|(clause, outcome)| self.traced(clause, outcome));
            trace.clauses = traced.collect();
        }
        Ok(settled(whole, &outcomes, asking.len(), told))
    }

    fn traced(&self, clause: &str, outcome: &Outcome) -> TracedClause {
        TracedClause {
            text: clause.to_owned(),
            decision: outcome.decision.name(),
            reason: outcome.reason.name(),
            entry: outcome.best().map(|best| self.release.entries()[best.entry].id.to_string()),
            confidence: outcome.confidence().value(),
        }
    }
}

/// `asking` clauses ask; `told` says whether others tell something.
fn settled(whole: Outcome, outcomes: &[Outcome], asking: usize, told: bool) -> Outcome {
    let readings: Vec<Reading> = outcomes.iter().filter_map(Reading::of).collect();
    // The matters in the order of the message, each by its surest reading.
    let mut matters: Vec<&Reading> = Vec::new();
    for reading in &readings {
        match matters.iter_mut().find(|matter| matter.same_matter(reading)) {
            Some(matter) if reading.sure && !matter.sure => *matter = reading,
            Some(_) => {}
            None => matters.push(reading),
        }
    }
    // Clauses of a story are likely this and that; one that is sure shows that
    // there are questions that stand for themselves.
    if matters.len() > 1 && matters.iter().any(|matter| matter.sure) {
        return Outcome { open: outcomes.len() - readings.len(), ..asked_back(whole, &matters) };
    }
    // All clauses that ask point to one entry, which the whole found best too.
    if let [matter] = matters.as_slice()
        && !told
        && whole.decision != Decision::Answer
        && matter.sure
        && readings.len() == asking
        && whole.best().is_some_and(|best| best.entry == matter.best.entry)
    {
        return answered(whole, matter.best, outcomes);
    }
    whole
}

fn asked_back(whole: Outcome, matters: &[&Reading]) -> Outcome {
    // The candidates of a list share one probability, whatever is asked.
    let share = 1.0 / matters.len() as f64;
    let shared =
        |best: Scored| Scored { confidence: Confidence::new(best.confidence.value() * share), ..best };
    let mut candidates: Vec<Scored> = matters.iter().map(|matter| shared(matter.best)).collect();
    let offered = candidates.len();
    candidates.sort_by(|a, b| b.confidence.value().total_cmp(&a.confidence.value()));
    below(&mut candidates, &whole.candidates);
    let sure = matters.iter().filter(|matter| matter.sure).map(|matter| matter.best.entry).collect();
    Outcome {
        decision: Decision::Clarify,
        reason: Reason::SeveralQuestions,
        candidates,
        offered,
        sure,
        ..whole
    }
}

fn answered(whole: Outcome, best: Scored, outcomes: &[Outcome]) -> Outcome {
    let by = outcomes.iter().find(|outcome| {
        outcome.decision == Decision::Answer && outcome.best().is_some_and(|own| own.entry == best.entry)
    });
    let Some(by) = by else { return whole };
    let mut candidates = vec![best];
    below(&mut candidates, &whole.candidates);
    Outcome { decision: Decision::Answer, reason: by.reason, candidates, generation: by.generation, ..whole }
}

/// Puts the other candidates of the whole message below those of its clauses,
/// with what these leave of the probability.
fn below(candidates: &mut Vec<Scored>, whole: &[Scored]) {
    let listed = candidates.len();
    let left = 1.0 - candidates.iter().map(|scored| scored.confidence.value()).sum::<f64>();
    let least = candidates.last().map_or(0.0, |last| last.confidence.value());
    for other in whole {
        if candidates[..listed].iter().all(|own| own.entry != other.entry) {
            let confidence = Confidence::new((other.confidence.value() * left).min(least));
            candidates.push(Scored { confidence, ..*other });
        }
    }
    candidates.truncate(Outcome::CANDIDATES);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(decision: Decision, reason: Reason, candidates: &[(usize, f64)]) -> Outcome {
        let scored = |&(entry, confidence)| Scored { entry, confidence: Confidence::new(confidence) };
        Outcome {
            decision,
            reason,
            candidates: candidates.iter().map(scored).collect(),
            offered: candidates.len(),
            ..Outcome::bare(decision, reason)
        }
    }

    fn sure(entry: usize) -> Outcome {
        outcome(Decision::Answer, Reason::Confident, &[(entry, 0.97), (9, 0.01)])
    }

    fn likely(entry: usize, other: usize) -> Outcome {
        outcome(Decision::Clarify, Reason::LowConfidence, &[(entry, 0.6), (other, 0.2)])
    }

    #[test]
    fn different_entries_are_all_offered_and_the_sure_ones_told() {
        for whole in [sure(1), likely(1, 2), outcome(Decision::Handoff, Reason::NoMatch, &[(5, 0.1)])] {
            let told = settled(whole, &[sure(1), likely(2, 3)], 2, true);
            assert_eq!((told.decision, told.reason), (Decision::Clarify, Reason::SeveralQuestions));
            let offered: Vec<usize> = told.candidates.iter().take(told.offered).map(|c| c.entry).collect();
            assert_eq!((offered, told.sure), (vec![1, 2], vec![1]));
            assert!(told.candidates.iter().map(|c| c.confidence.value()).sum::<f64>() <= 1.0 + 1e-9);
            assert!(told.candidates.is_sorted_by(|a, b| a.confidence >= b.confidence));
        }
    }

    #[test]
    fn what_leads_nowhere_is_counted() {
        let nothing = || outcome(Decision::Handoff, Reason::NoMatch, &[]);
        let told = settled(nothing(), &[sure(1), nothing(), sure(2)], 3, false);
        assert_eq!((told.sure.as_slice(), told.offered, told.open), (&[1, 2][..], 2, 1));
        assert!(told.is_all_answered(), "of those that lead somewhere");
        assert_eq!(settled(sure(1), &[sure(1), sure(2)], 2, false).open, 0);
    }

    #[test]
    fn what_may_be_one_matter_stays_one() {
        // The second clause may well speak of the first one's entry.
        assert_eq!(settled(sure(1), &[sure(1), likely(2, 1)], 2, false), sure(1));
        // Nothing stands for itself.
        assert_eq!(settled(sure(1), &[likely(1, 4), likely(2, 3)], 2, false), sure(1));
        assert_eq!(settled(likely(1, 2), &[likely(1, 4), likely(2, 3)], 2, false), likely(1, 2));
    }

    #[test]
    fn clauses_of_one_entry_make_it_sure_unless_something_was_told() {
        assert_eq!(settled(likely(1, 2), &[sure(1), sure(1)], 2, false).decision, Decision::Answer);
        assert_eq!(settled(likely(1, 2), &[sure(1)], 1, true), likely(1, 2));
        assert_eq!(settled(likely(1, 2), &[sure(3)], 1, false), likely(1, 2), "not what the whole says");
    }
}

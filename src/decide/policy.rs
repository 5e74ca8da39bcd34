//! What follows from a confidence?

use serde::{Deserialize, Serialize};

use super::calibrate::{LISTED, Outcome};
use super::{Confidence, Decision, Reason};

/// The goal of an operator and the bar that keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The goal: at most this share wrong among the answered.
    pub max_wrong: f64,
    /// Answer from this confidence on.
    pub bar: Confidence,
    /// The share answered and the upper bound of the share wrong among them,
    /// on the calibration questions.
    pub expected: Expected,
}

/// What a bar gives on the calibration questions.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Expected {
    /// Share of all questions that are answered.
    pub answer_rate: f64,
    /// Share wrong among the answered.
    pub wrong_rate: f64,
    /// Its upper confidence bound.
    pub wrong_rate_bound: f64,
}

/// The goal unless the operator states another.
pub const DEFAULT_MAX_WRONG: f64 = 0.05;

/// Goals that operators choose from, strictest first.
pub const GOALS: [f64; 9] = [0.01, 0.02, 0.03, 0.05, 0.08, 0.10, 0.15, 0.20, 0.30];

/// One-sided 90 %. The search begins where the first bar passes instead of at
/// one that was fixed beforehand, and customers are not the calibration
/// questions: this is a margin, not a guarantee.
const Z: f64 = 1.281_55;

/// A clarification is offered when the right entry is on the list at least
/// this likely; below, a person is faster than a guess.
const WORTH_ASKING: f64 = 0.5;

/// The share of the list's probability that the offered questions must hold.
const HOLDS: f64 = 0.9;

impl Policy {
    /// The lowest bar whose share wrong, by its upper confidence bound, keeps
    /// the goal on the calibration questions. When none does, the policy
    /// answers only what the exact matcher settles.
    ///
    /// This is fixed-sequence testing as in Learn then Test (Angelopoulos et
    /// al. 2021, arXiv:2110.01052): bars are tested from the strictest down,
    /// and the first that fails ends the search, for a later one that passes by
    /// chance is no better. The test of one bar is the score test (Wilson 1927)
    /// on the effective number of questions; bars with too few to pass are
    /// skipped.
    pub fn for_goal(max_wrong: f64, outcomes: &[Option<Outcome>]) -> Self {
        let total: f64 = outcomes.iter().flatten().map(|Outcome(_, _, weight)| weight).sum();
        let mut order: Vec<&Outcome> = outcomes.iter().flatten().collect();
        order.sort_by(|a, b| b.0.value().total_cmp(&a.0.value()));
        let mut policy = Self { max_wrong, bar: Confidence::CERTAIN, expected: Expected::default() };
        let mut tally = Tally::default();
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            same.iter().for_each(|outcome| tally.add(outcome));
            let bound = tally.bound();
            if bound <= max_wrong {
                policy.bar = same[0].0;
                policy.expected = Expected {
                    answer_rate: tally.answered / total,
                    wrong_rate: tally.rate(),
                    wrong_rate_bound: bound,
                };
            } else if policy.bar < Confidence::CERTAIN {
                break;
            }
        }
        policy
    }

    /// The confidence from which on generation 1 may answer before the encoder
    /// has run: the lowest one, not below its own bar, at which answering first
    /// makes no larger share wrong than leaving everything to generation 2. Two
    /// bars that keep a goal each do not keep it
    /// together: what only the first is sure of is wrong more often.
    ///
    /// A looser goal never has the higher value, so that no question is answered
    /// under a strict goal and handed off under a loose one.
    ///
    /// Both lists of outcomes speak of the same questions, in one order.
    pub fn exit(max_wrong: f64, one: &[Option<Outcome>], two: &[Option<Outcome>]) -> Confidence {
        let looser = GOALS.iter().copied().filter(|&goal| goal > max_wrong);
        let exits = std::iter::once(max_wrong).chain(looser).map(|goal| {
            let (first, second) = (Self::for_goal(goal, one), Self::for_goal(goal, two));
            first.exit_before(&second, one, two).value()
        });
        Confidence::new(exits.fold(0.0, f64::max))
    }

    fn exit_before(&self, two: &Self, one: &[Option<Outcome>], outcomes: &[Option<Outcome>]) -> Confidence {
        let both = || one.iter().zip(outcomes).filter_map(|(one, two)| Some((one.as_ref()?, two.as_ref()?)));
        let mut tally = Tally::default();
        both().filter(|(_, o)| o.0 >= two.bar).for_each(|(_, o)| tally.add(o));
        let alone = tally.rate();
        let mut order: Vec<(&Outcome, &Outcome)> = both().filter(|(o, _)| o.0 >= self.bar).collect();
        order.sort_by(|a, b| b.0.0.value().total_cmp(&a.0.0.value()));
        let mut exit = Confidence::CERTAIN;
        for same in order.chunk_by(|a, b| a.0.0 == b.0.0) {
            for (first, second) in same {
                if second.0 >= two.bar {
                    tally.remove(second);
                }
                tally.add(first);
            }
            if tally.rate() <= alone {
                exit = same[0].0.0;
            }
        }
        exit
    }

    /// Decides by the candidates' confidences, best first, and the probability
    /// that the right entry is among them. Also says how many to offer.
    pub fn decide(&self, confidences: &[Confidence], listed: Confidence) -> (Decision, Reason, usize) {
        let Some(&best) = confidences.first() else {
            return (Decision::Handoff, Reason::NoMatch, 0);
        };
        let mut held = 0.0;
        let needed = confidences
            .iter()
            .take(LISTED)
            .take_while(|confidence| {
                let enough = held >= HOLDS * listed.value();
                held += confidence.value();
                !enough
            })
            .count();
        let offered = needed.clamp(2.min(confidences.len()), LISTED);
        if best >= self.bar {
            (Decision::Answer, Reason::Confident, offered)
        } else if listed.value() >= WORTH_ASKING && confidences.len() > 1 {
            let reason = if best.value() >= WORTH_ASKING { Reason::LowConfidence } else { Reason::Ambiguous };
            (Decision::Clarify, reason, offered)
        } else if listed.value() >= WORTH_ASKING / 2.0 {
            (Decision::Handoff, Reason::LowConfidence, offered)
        } else {
            (Decision::Handoff, Reason::NoMatch, offered)
        }
    }
}

/// Questions answered so far, by weight.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    answered: f64,
    squares: f64,
    wrong: f64,
}

impl Tally {
    fn add(&mut self, &Outcome(_, right, weight): &Outcome) {
        self.answered += weight;
        self.squares += weight * weight;
        self.wrong += if right { 0.0 } else { weight };
    }

    fn remove(&mut self, &Outcome(_, right, weight): &Outcome) {
        self.answered -= weight;
        self.squares -= weight * weight;
        self.wrong -= if right { 0.0 } else { weight };
    }

    /// Wrong / answered; 0 of nothing.
    fn rate(&self) -> f64 {
        if self.answered > 0.0 { (self.wrong / self.answered).max(0.0) } else { 0.0 }
    }

    /// The upper bound of the rate, for as many questions as the weights are worth.
    fn bound(&self) -> f64 {
        wilson_upper(self.rate(), self.answered * self.answered / self.squares)
    }
}

/// The upper end of Wilson's interval for a share of `n` observations.
fn wilson_upper(share: f64, n: f64) -> f64 {
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    ((middle + spread) / (1.0 + z2 / n)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(confidence: f64, right: bool) -> Option<Outcome> {
        Some(Outcome(Confidence::new(confidence), right, 1.0))
    }

    #[test]
    fn the_search_ends_at_the_first_bar_that_fails() {
        // 100 right, then 20 wrong, then 1,000 right: the last would pass again.
        let outcomes: Vec<_> = (0..1120)
            .map(|index| outcome(0.99 - f64::from(index) * 1e-4, !(100..120).contains(&index)))
            .collect();
        let policy = Policy::for_goal(0.05, &outcomes);
        assert!((0.979..=0.981).contains(&policy.bar.value()), "{policy:?}");
        assert!(policy.expected.wrong_rate <= policy.expected.wrong_rate_bound);
        assert_eq!(Policy::for_goal(0.05, &outcomes[..5]).bar, Confidence::CERTAIN, "five tell nothing");
    }

    #[test]
    fn answering_first_costs_no_precision() {
        // Generation 1 is right above 0.9 where it agrees with generation 2,
        // and wrong half of the time between 0.8 and 0.9, where 2 hands off.
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for index in 0..200 {
            one.push(outcome(0.95, true));
            two.push(outcome(0.97, true));
            one.push(outcome(0.85, index % 2 == 0));
            two.push(outcome(0.30, index % 2 == 0));
            one.push(outcome(0.20, false));
            two.push(outcome(0.96, index % 50 != 0));
        }
        let exit = Policy::exit(0.05, &one, &two);
        assert!((0.86..=0.95).contains(&exit.value()), "{exit:?}");
        for (strict, loose) in [(0.01, 0.05), (0.05, 0.1), (0.1, 0.3)] {
            assert!(Policy::exit(strict, &one, &two) >= Policy::exit(loose, &one, &two));
        }
    }
}

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

/// One-sided 90 %. The questions are those that the regression was fitted to
/// and the bar is chosen among many, so this is a margin, not a guarantee.
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
    pub fn for_goal(max_wrong: f64, outcomes: &[Outcome]) -> Self {
        let total: f64 = outcomes.iter().map(|(_, _, weight)| weight).sum();
        let mut order: Vec<&Outcome> = outcomes.iter().collect();
        order.sort_by(|(a, ..), (b, ..)| b.value().total_cmp(&a.value()));
        let mut policy = Self { max_wrong, bar: Confidence::CERTAIN, expected: Expected::default() };
        let (mut answered, mut squares, mut wrong) = (0.0, 0.0, 0.0);
        for same in order.chunk_by(|(a, ..), (b, ..)| a == b) {
            for (_, right, weight) in same {
                answered += weight;
                squares += weight * weight;
                wrong += if *right { 0.0 } else { *weight };
            }
            let rate = wrong / answered;
            let bound = wilson_upper(rate, answered * answered / squares);
            if bound <= max_wrong {
                policy.bar = same[0].0;
                policy.expected =
                    Expected { answer_rate: answered / total, wrong_rate: rate, wrong_rate_bound: bound };
            } else if policy.bar < Confidence::CERTAIN {
                // The first bar that fails ends the search: a later one that
                // passes by chance is no better.
                break;
            }
        }
        policy
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

/// The upper end of Wilson's interval for a share of `n` observations.
fn wilson_upper(share: f64, n: f64) -> f64 {
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    ((middle + spread) / (1.0 + z2 / n)).min(1.0)
}

//! What is the evidence worth here?
//!
//! The same cosine means different things in different knowledge bases and
//! with different models. So each release learns from itself: every phrasing
//! is asked with itself removed, every entry is asked with the whole entry
//! removed (its questions become strangers of the same trade), and shipped
//! background questions are asked as strangers of all trades. A logistic
//! regression with few weights, none of which may turn the wrong way, and a
//! ridge toward shipped weights, turns the evidence into a probability
//! (Platt 1999; the ridge makes small knowledge bases behave).

use serde::{Deserialize, Serialize};

use super::Confidence;
use super::evidence::FEATURES;

/// One calibration question with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The evidence for the best candidate.
    pub features: Vec<f64>,
    /// Whether the best candidate is the right entry.
    pub right: bool,
    /// Whether the right entry is among the first [`LISTED`].
    pub listed: bool,
    /// How much the sample counts.
    pub weight: f64,
}

/// How many candidates a clarification may offer.
pub const LISTED: usize = 5;

/// What customers ask that a knowledge base cannot know: the share of strangers
/// among questions, and the share of strangers from the same trade among them.
/// An assumption, and stated in the release; operators who know better give a
/// labelled query set.
pub const OUTSIDE: f64 = 0.35;
/// See [`OUTSIDE`].
pub const SAME_TRADE: f64 = 0.6;

/// A fitted logistic regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// The weight of no evidence at all.
    pub bias: f64,
    /// One weight per feature, in the order of [`FEATURES`].
    pub weights: Vec<f64>,
}

impl Logistic {
    /// The probability for some evidence.
    pub fn probability(&self, features: &[f64]) -> f64 {
        let sum = self.bias + self.weights.iter().zip(features).map(|(w, x)| w * x).sum::<f64>();
        1.0 / (1.0 + (-sum).exp())
    }

    /// Fits to samples, starting from and pulled toward `prior`. The pull
    /// counts like `strength` samples.
    fn fit(samples: &[Sample], label: impl Fn(&Sample) -> bool, prior: &Self, strength: f64) -> Self {
        let total: f64 = samples.iter().map(|sample| sample.weight).sum();
        if total <= 0.0 {
            return prior.clone();
        }
        let width = prior.weights.len();
        // Accelerated projected gradient descent (Beck and Teboulle 2009):
        // the problem is convex and tiny, and projection keeps the signs.
        let ridge = strength / (total + strength) * 0.05;
        let norm = samples
            .iter()
            .map(|s| s.weight * (1.0 + s.features.iter().map(|x| x * x).sum::<f64>()))
            .sum::<f64>()
            / total;
        let step = 1.0 / (0.25 * norm + ridge);
        let mut current = prior.clone();
        let mut ahead = prior.clone();
        let mut momentum = 1.0f64;
        for _ in 0..1500 {
            let mut gradient = vec![0.0; width + 1];
            for sample in samples {
                let target = f64::from(u8::from(label(sample)));
                let error = sample.weight * (ahead.probability(&sample.features) - target) / total;
                gradient[width] += error;
                for (g, x) in gradient.iter_mut().zip(&sample.features) {
                    *g += error * x;
                }
            }
            let mut next = ahead.clone();
            next.bias -= step * gradient[width];
            for (index, weight) in next.weights.iter_mut().enumerate() {
                *weight -= step * (gradient[index] + ridge * (ahead.weights[index] - prior.weights[index]));
                *weight = match sign(index) {
                    Sign::Positive => weight.max(0.0),
                    Sign::Negative => weight.min(0.0),
                    Sign::Free => *weight,
                };
            }
            let grown = f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
            let push = (momentum - 1.0) / grown;
            ahead.bias = next.bias + push * (next.bias - current.bias);
            for index in 0..width {
                ahead.weights[index] = next.weights[index] + push * (next.weights[index] - current.weights[index]);
            }
            let moved = (next.bias - current.bias).abs()
                + next.weights.iter().zip(&current.weights).map(|(a, b)| (a - b).abs()).sum::<f64>();
            current = next;
            momentum = grown;
            if moved < 1e-7 {
                break;
            }
        }
        current
    }
}

enum Sign {
    Positive,
    Negative,
    Free,
}

/// Which way a feature may turn the confidence.
fn sign(feature: usize) -> Sign {
    match FEATURES[feature] {
        "unknown" => Sign::Negative,
        "length" => Sign::Free,
        _ => Sign::Positive,
    }
}

/// How evidence becomes confidence, for one generation of one release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// P(the best candidate is right).
    pub first: Logistic,
    /// P(the right entry is among the first [`LISTED`]).
    pub listed: Logistic,
    /// What the calibration questions gave: confidence, right or not, weight.
    /// The policy draws its bar from these.
    pub outcomes: Vec<Outcome>,
}

/// One calibration question as the policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The confidence in the best candidate.
    pub confidence: Confidence,
    /// Whether it was right.
    pub right: bool,
    /// How much the question counts.
    pub weight: f64,
}

impl Calibration {
    /// Fits both regressions to samples.
    pub fn fit(samples: &[Sample], features: usize) -> Self {
        let prior = Prior::shipped(features);
        let first = Logistic::fit(samples, |sample| sample.right, &prior.first, prior.strength);
        let listed = Logistic::fit(samples, |sample| sample.listed, &prior.listed, prior.strength);
        let outcomes = samples
            .iter()
            .map(|sample| Outcome {
                confidence: Confidence::new(first.probability(&sample.features)),
                right: sample.right,
                weight: sample.weight,
            })
            .collect();
        Self { first, listed, outcomes }
    }
}

/// The shipped weights that small knowledge bases lean on.
struct Prior {
    first: Logistic,
    listed: Logistic,
    strength: f64,
}

impl Prior {
    fn shipped(features: usize) -> Self {
        let zero = Logistic { bias: -1.0, weights: vec![0.0; features] };
        Self { first: zero.clone(), listed: zero, strength: 50.0 }
    }
}

//! How are the detectors of anger and of requests for a person trained?
//!
//! Logistic regression over what [`crate::decide::characters`] sees by stochastic
//! gradient descent, in one fixed order, so that the same sentences give the same
//! weights on every machine. Ordinary questions of customers are what nobody is angry
//! in; they are many, and count less each. Where the bar lies says
//! cross-validation: where both the precision that is wanted and the peace of
//! ordinary questions are kept.

use std::collections::BTreeMap;

use crate::decide::characters::weigh;
use crate::eval::detectors::{Bounds, Detector, Labelled};

const FOLDS: usize = 5;
const ROUNDS: usize = 15;
const STEP: f64 = 1.2;
/// The bias moves by this share of a step: it is in every sentence.
const OF_BIAS: f64 = 0.075;
/// How fast the steps become shorter.
const DECAY: f64 = 0.3;
/// What keeps weights small.
const SHRINK: f64 = 2.5e-4;
/// How much an ordinary question counts.
const ORDINARY: f64 = 0.1;
/// Weights below this say nothing and are not kept.
const LEAST: f64 = 0.15;

type Weights = BTreeMap<String, f64>;

/// A sentence with what it counts.
struct Lesson {
    features: Vec<String>,
    label: bool,
    counts: f64,
}

/// A model, and what cross-validation says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// A feature a line, then a tab and its weight.
    pub weights: String,
    /// Right among what is heard.
    pub precision: f64,
    /// Heard among what is there.
    pub recall: f64,
}

/// Trains the model on labelled sentences and ordinary questions.
pub fn train(detector: Detector, labelled: &[&Labelled], ordinary: &[String]) -> Trained {
    let lesson = |text: &str, label, counts| {
        let seen = detector.sees(text);
        Lesson { features: seen.features().into_iter().map(str::to_owned).collect(), label, counts }
    };
    let is_short = |text: &str| detector.is_short(&detector.sees(text));
    let long = labelled.iter().filter(|one| !is_short(&one.text));
    let lessons: Vec<Lesson> = long.map(|one| lesson(&one.text, one.label, 1.0)).collect();
    // Some ordinary collections hold a curse for a question that nobody answers.
    let plain = ordinary.iter().filter(|text| !detector.is_listed(text) && !is_short(text));
    let plain: Vec<Lesson> = plain.map(|text| lesson(text, false, ORDINARY)).collect();
    let all: Vec<&Lesson> = lessons.iter().chain(&plain).collect();
    let mut scored: Vec<(f64, &Lesson)> = Vec::new();
    for fold in 0..FOLDS {
        let part = |own: bool| all.iter().enumerate().filter(move |(at, _)| (at % FOLDS == fold) == own);
        let weights = fit(&part(false).map(|(_, one)| *one).collect::<Vec<_>>());
        scored.extend(part(true).map(|(_, one)| (score(&weights, &one.features), *one)));
    }
    let (bar, precision, recall) = bar(scored, plain.len(), detector.bounds());
    let mut weights = fit(&all);
    *weights.entry(String::new()).or_default() -= bar;
    let kept = weights.iter().filter(|(feature, weight)| feature.is_empty() || weight.abs() >= LEAST);
    let weights = kept.map(|(feature, weight)| format!("{feature}\t{weight:.3}\n")).collect();
    Trained { weights, precision, recall }
}

fn score(weights: &Weights, features: &[String]) -> f64 {
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    weigh(&features, |feature| weights.get(feature).copied().unwrap_or_default())
}

fn fit(lessons: &[&Lesson]) -> Weights {
    let mut weights = Weights::from([(String::new(), -1.0)]);
    let count = lessons.len();
    // A stride that shares no divisor with the number visits every lesson.
    let stride = (count * 2 / 5..).find(|stride| coprime(*stride, count)).unwrap_or(1);
    for round in 0..ROUNDS {
        let step = STEP / (1.0 + DECAY * round as f64);
        for visit in 0..count {
            let Lesson { features, label, counts } = lessons[(visit * stride + round) % count];
            let likely = 1.0 / (1.0 + (-score(&weights, features)).exp());
            let gradient = (likely - f64::from(u8::from(*label))) * counts * step;
            *weights.entry(String::new()).or_default() -= gradient * OF_BIAS;
            let share = gradient / (features.len().max(1) as f64).sqrt();
            for feature in features {
                let weight = weights.entry(feature.clone()).or_default();
                *weight = *weight * (1.0 - SHRINK * step) - share;
            }
        }
    }
    weights
}

fn coprime(one: usize, other: usize) -> bool {
    let (mut one, mut other) = (one, other);
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one == 1
}

/// The lowest bar above which precision and peace are kept, with what is right
/// and heard there.
fn bar(mut scored: Vec<(f64, &Lesson)>, ordinary: usize, bounds: Bounds) -> (f64, f64, f64) {
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    let there = scored.iter().filter(|(_, lesson)| lesson.label).count().max(1) as f64;
    let (mut right, mut wrong, mut alarms, mut best) = (0.0, 0.0, 0.0, (0.0, 1.0, 0.0));
    for (rank, (score, lesson)) in scored.iter().enumerate() {
        match (lesson.label, lesson.counts < 1.0) {
            (true, _) => right += 1.0,
            (false, true) => alarms += 1.0,
            (false, false) => wrong += 1.0,
        }
        let precision = right / f64::max(right + wrong, 1.0);
        if precision >= bounds.precision && alarms <= bounds.alarms * ordinary as f64 {
            let next = scored.get(rank + 1).map_or(*score - 1.0, |(next, _)| *next);
            best = ((score + next) / 2.0, precision, right / there);
        }
    }
    best
}

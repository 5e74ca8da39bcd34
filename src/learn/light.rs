//! What does each sign count for an entry that is meant in the light of the turn before?
//!
//! A multinomial regression over the entries that a message may mean and "none of
//! them", fitted by gradient descent on labelled conversations. Few weights and a
//! prior that keeps them small: some hundred messages are enough.

use crate::decide::light::{Evidence, Field, NONE, Weights};

/// A message with what may be meant, and which of it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// What may be meant.
    pub field: Field,
    /// The places of what is meant; none when it is none of them.
    pub right: Vec<usize>,
}

const ROUNDS: usize = 3_000;
const STEP: f64 = 0.5;
/// What keeps weights small, per lesson.
const SHRINK: f64 = 0.003;

/// The weights that make what was meant likeliest.
pub fn train(lessons: &[Lesson]) -> Weights {
    let mut weights = Weights::default();
    for round in 0..ROUNDS {
        let mut slope = Weights::default();
        for lesson in lessons {
            add(&mut slope, lesson, &weights);
        }
        let count = lessons.len().max(1) as f64;
        let step = STEP / (1.0 + round as f64 / 1_000.0);
        let go = |weight: &mut f64, slope: f64| *weight -= step * (slope / count + SHRINK * *weight);
        weights.entry.iter_mut().zip(slope.entry).for_each(|(weight, slope)| go(weight, slope));
        weights.none.iter_mut().zip(slope.none).for_each(|(weight, slope)| go(weight, slope));
    }
    weights
}

/// Adds what one lesson says about the direction.
fn add(slope: &mut Weights, lesson: &Lesson, weights: &Weights) {
    let shares = lesson.field.shares(weights);
    let none = 1.0 - shares.iter().sum::<f64>();
    let right: f64 = lesson.right.iter().map(|&at| shares[at]).sum();
    let of_right = |at: usize| {
        let is_right = lesson.right.contains(&at);
        if is_right { shares[at] / right.max(1e-12) } else { 0.0 }
    };
    for (at, evidence) in lesson.field.entries.iter().enumerate() {
        let pull = shares[at] - of_right(at);
        slope.entry.iter_mut().zip(evidence.0).for_each(|(slope, value)| *slope += pull * value);
    }
    let pull = if lesson.right.is_empty() { none - 1.0 } else { none };
    slope.none.iter_mut().zip(lesson.field.none).for_each(|(slope, value)| *slope += pull * value);
}

/// The weights as `src/core/decide/data/light.tsv` has them: a name a line, then a tab
/// and its weight.
pub fn written(weights: &Weights) -> String {
    let names = Evidence::NAMES.into_iter().chain(NONE);
    let values = weights.entry.iter().chain(&weights.none);
    names.zip(values).map(|(name, weight)| format!("{name}\t{weight:.3}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_the_right_entry_gets_weight() {
        let one = |at: usize| {
            let mut evidence = Evidence::default();
            evidence.0[at] = 1.0;
            evidence
        };
        let field = Field { entries: vec![one(0), one(1)], none: [1.0, 0.0, 0.0, 0.0] };
        let lessons = vec![Lesson { field: field.clone(), right: vec![0] }; 20];
        let weights = train(&lessons);
        assert!(weights.entry[0] > 1.0 && weights.entry[1] < 0.0, "{weights:?}");
        let shares = field.shares(&weights);
        assert!(shares[0] > 0.8, "{shares:?}");
        assert_eq!(written(&weights).lines().count(), Evidence::NAMES.len() + NONE.len());
        assert!(train(&[]).entry.iter().all(|weight| *weight == 0.0));
    }
}

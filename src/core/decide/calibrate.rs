//! What is the evidence worth here?
//!
//! A logistic regression turns evidence into a probability (Platt 1999). It is
//! fitted when a release is made, to two sets of questions:
//!
//! - what the knowledge base says when it asks itself: every phrasing with
//!   itself removed, every entry's phrasings with the whole entry removed (they
//!   become strangers of the same trade), and background questions as
//!   strangers of all trades;
//! - the shipped [`Reference`]: the evidence of labelled questions to other
//!   knowledge bases, numbers without any text. Authors write phrasings to
//!   differ from each other, so a phrasing without itself is harder than what
//!   customers type; the reference holds the regression where customers are.
//!
//! Labelled questions of the knowledge base's own customers, where an operator
//! has attached some, join them and weigh more with their number. In drawing the
//! bar they weigh less: a few hundred that count as much as everything else are
//! too few to show that any bar keeps a goal.
//!
//! Questions whose best candidate has a look-alike count less
//! ([`apart`](super::apart)).
//!
//! The evidence is in units that mean the same in every knowledge base, no
//! weight may turn the wrong way, and a small knowledge base leans on the
//! reference more.
//!
//! The policy must not draw its bar from the questions that the regression was
//! fitted to: it would believe too much. So every question of the
//! [outcomes](Calibration::outcomes) is judged by a regression that has not
//! seen it: one without the whole query set that it belongs to, for questions
//! of the reference, since a new knowledge base differs from the known ones as
//! these differ from each other; one without a fifth of them, for the
//! knowledge base's own (cross-fitting).

use std::borrow::Cow;
use std::sync::LazyLock;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::apart::Apart;
use super::evidence::{FEATURES, OTHER_MATTER, feature_count};
use super::{Confidence, Generation};
use crate::error::{Error, Result};

/// One calibration question with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The evidence for the best candidate, in the order of [`FEATURES`].
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

/// The share of questions that a knowledge base cannot know, and the share of
/// them that comes from the same trade. Assumptions about customers: the
/// self-asked questions are weighted to these shares.
pub const OUTSIDE: f64 = 0.35;
/// See [`OUTSIDE`].
pub const SAME_TRADE: f64 = 0.6;

/// Parts that a knowledge base's own questions are judged in.
const FOLDS: usize = 5;

/// The share of the fit that a large knowledge base's own questions get; the
/// reference gets the rest. Measured, see corpora/README.md.
const OWN_SHARE: f64 = 0.23;

/// With this many own questions inside, the share is half of [`OWN_SHARE`].
const HALF_SHARE_AT: f64 = 100.0;

/// With this many labelled questions of its own customers, these get half of
/// the fit. Measured, see corpora/README.md.
const HALF_LABELLED_AT: f64 = 100.0;

/// In drawing the bar, a labelled question of its own customers counts as many of
/// the reference. Measured, see corpora/README.md.
const LABELLED_IN_BAR: f64 = 5.0;

/// What the best candidate of such a question can be trusted at most. The
/// regression has seen too few of them: on nine query sets 34 of 54 are right,
/// on two sets of changed details none of 81, see corpora/README.md.
const TRUST_IN_OTHER_MATTER: f64 = 0.5;

/// The place of `contradicted` in [`FEATURES`].
const CONTRADICTED: usize = 4;

/// The place of `length` in [`FEATURES`].
const LENGTH: usize = 7;

/// Keeps weights finite where the samples can be told apart perfectly.
const RIDGE: f64 = 1e-4;

/// The shipped evidence of labelled questions; `zhida reference` makes it.
const REFERENCE: &str = include_str!("data/reference.json");

/// Evidence of labelled questions to other knowledge bases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Where the questions came from, one name per set, with their numbers.
    pub sets: Vec<(String, usize)>,
    /// [`FEATURES`] when it was made; another list is refused.
    pub features: Vec<String>,
    /// One row per question.
    pub rows: Vec<Row>,
}

/// A question of the reference: the position of its set, and what each
/// generation made of it; `None` where a generation found nothing at all.
/// Written as an array, because there are thousands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row(pub usize, pub Option<Judged>, pub Option<Judged>);

/// The features of a best candidate, whether it is right, and whether the
/// right one is listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged(pub Vec<f64>, pub bool, pub bool);

impl Reference {
    /// What zhida ships.
    pub fn shipped() -> Result<&'static Self> {
        static PARSED: LazyLock<std::result::Result<Reference, String>> = LazyLock::new(|| {
            let reference: Reference = serde_json::from_str(REFERENCE).map_err(|e| e.to_string())?;
            if reference.features == FEATURES {
                Ok(reference)
            } else {
                Err(format!("made for the features {:?}", reference.features))
            }
        });
        PARSED.as_ref().map_err(|e| Error::internal("calibration reference", e))
    }

    /// The shipped reference without some of its sets: what is measured on a
    /// set must not have been learned from it.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that no set has.
    pub fn without(names: &[String]) -> Result<Cow<'static, Self>> {
        let shipped = Self::shipped()?;
        let known = || shipped.sets.iter().map(|(name, _)| name);
        if let Some(name) = names.iter().find(|&name| !known().any(|set| set == name)) {
            let known = known().cloned().collect();
            return Err(Error::Unknown { what: "query set of the reference", name: name.clone(), known });
        }
        if names.is_empty() {
            return Ok(Cow::Borrowed(shipped));
        }
        let mut left = shipped.clone();
        let stays = |row: &Row| shipped.sets.get(row.0).is_some_and(|(name, _)| !names.contains(name));
        left.rows.retain(stays);
        Ok(Cow::Owned(left))
    }

    /// One generation's sample of every row. All sets count alike.
    fn samples(&self, generation: Generation) -> Vec<Option<Sample>> {
        let judged = |row: &Row| match generation {
            Generation::One => row.1.clone(),
            Generation::Two => row.2.clone(),
        };
        let mut sizes = vec![0usize; self.sets.len()];
        for row in self.rows.iter().filter(|row| judged(row).is_some()) {
            if let Some(size) = sizes.get_mut(row.0) {
                *size += 1;
            }
        }
        self.rows
            .iter()
            .map(|row| {
                let weight = 1.0 / sizes.get(row.0).copied().unwrap_or(1).max(1) as f64;
                judged(row).map(|Judged(features, right, listed)| Sample { features, right, listed, weight })
            })
            .collect()
    }
}

/// A fitted logistic regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// One weight per feature in the order of [`FEATURES`], then the bias.
    pub weights: Vec<f64>,
}

impl Logistic {
    /// The probability for some evidence.
    pub fn probability(&self, features: &[f64]) -> f64 {
        1.0 / (1.0 + (-self.logit(features)).exp())
    }

    fn logit(&self, features: &[f64]) -> f64 {
        // The bias is the weight of a feature that is always 1.
        self.weights.iter().zip(features.iter().chain([&1.0])).map(|(w, x)| w * x).sum()
    }

    /// Newton's method on the weighted log loss with a small ridge; weights
    /// that would turn the wrong way stay at 0.
    fn fit<S: std::borrow::Borrow<Sample>>(
        samples: &[S],
        label: impl Fn(&Sample) -> bool,
        features: usize,
    ) -> Self {
        Self { weights: vec![0.0; features + 1] }.refit(samples, label)
    }

    /// The same, beginning at this model: quick when the samples are almost
    /// those that it was fitted to.
    fn refit<S: std::borrow::Borrow<Sample>>(&self, samples: &[S], label: impl Fn(&Sample) -> bool) -> Self {
        const ROUNDS: usize = 40;
        let size = self.weights.len();
        let features = size - 1;
        let samples: Vec<&Sample> = samples.iter().map(std::borrow::Borrow::borrow).collect();
        let total: f64 = samples.iter().map(|sample| sample.weight).sum();
        let mut model = self.clone();
        if total <= 0.0 {
            return model;
        }
        let loss = |model: &Self| {
            let data: f64 = samples
                .iter()
                .map(|sample| {
                    let z = model.logit(&sample.features);
                    let z = if label(sample) { -z } else { z };
                    // ln(1 + e^z) without overflow.
                    sample.weight / total * (z.max(0.0) + (-z.abs()).exp().ln_1p())
                })
                .sum();
            data + RIDGE / 2.0 * model.weights.iter().map(|w| w * w).sum::<f64>()
        };
        let mut current = loss(&model);
        for _ in 0..ROUNDS {
            let mut gradient: Vec<f64> = model.weights.iter().map(|w| RIDGE * w).collect();
            let mut curvature = vec![vec![0.0; size]; size];
            for (index, row) in curvature.iter_mut().enumerate() {
                row[index] = RIDGE;
            }
            for sample in &samples {
                let p = model.probability(&sample.features);
                let share = sample.weight / total;
                let error = share * (p - f64::from(u8::from(label(sample))));
                let bend = share * p * (1.0 - p);
                let x = |index: usize| if index < features { sample.features[index] } else { 1.0 };
                for (row, (slope, bends)) in gradient.iter_mut().zip(&mut curvature).enumerate() {
                    *slope += error * x(row);
                    for (column, entry) in bends.iter_mut().enumerate() {
                        *entry += bend * x(row) * x(column);
                    }
                }
            }
            // A weight at its bound that would cross it stays out of this step.
            let held: Vec<bool> = (0..size)
                .map(|index| model.weights[index] == 0.0 && !allowed(index, features, -gradient[index]))
                .collect();
            let Some(step) = solve(&curvature, &gradient, &held) else { break };
            let mut length = 1.0;
            let mut next = model.clone();
            let improved = loop {
                for (index, (weight, step)) in next.weights.iter_mut().zip(&step).enumerate() {
                    let moved = model.weights[index] - length * step;
                    *weight = if allowed(index, features, moved) { moved } else { 0.0 };
                }
                let value = loss(&next);
                if value <= current {
                    let gain = current - value;
                    current = value;
                    break gain;
                }
                length /= 2.0;
                if length < 1e-4 {
                    break 0.0;
                }
            };
            if improved < 1e-10 {
                break;
            }
            model = next;
        }
        model
    }
}

/// Whether a feature's weight may have this value: evidence for a candidate
/// must not lower its confidence.
fn allowed(index: usize, features: usize, value: f64) -> bool {
    if index >= features {
        return true;
    }
    match FEATURES[index] {
        "unknown" | "contradicted" => value <= 0.0,
        "length" => true,
        _ => value >= 0.0,
    }
}

/// Solves a symmetric system, leaving held unknowns at 0 (Gaussian elimination).
fn solve(matrix: &[Vec<f64>], right: &[f64], held: &[bool]) -> Option<Vec<f64>> {
    let free: Vec<usize> = (0..right.len()).filter(|&index| !held[index]).collect();
    let mut rows: Vec<Vec<f64>> = free
        .iter()
        .map(|&row| free.iter().map(|&column| matrix[row][column]).chain([right[row]]).collect())
        .collect();
    let size = free.len();
    for pivot in 0..size {
        let best = (pivot..size).max_by(|&a, &b| rows[a][pivot].abs().total_cmp(&rows[b][pivot].abs()))?;
        rows.swap(pivot, best);
        if rows[pivot][pivot].abs() < 1e-15 {
            return None;
        }
        let (above, below) = rows.split_at_mut(pivot + 1);
        for row in below {
            let factor = row[pivot] / above[pivot][pivot];
            for (x, y) in row.iter_mut().zip(&above[pivot]).skip(pivot) {
                *x -= factor * y;
            }
        }
    }
    let mut solution = vec![0.0; right.len()];
    for pivot in (0..size).rev() {
        let known: f64 = (pivot + 1..size).map(|column| rows[pivot][column] * solution[free[column]]).sum();
        solution[free[pivot]] = (rows[pivot][size] - known) / rows[pivot][pivot];
    }
    Some(solution)
}

/// How evidence becomes confidence, for one generation of one release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// P(the best candidate is right).
    pub first: Logistic,
    /// P(the right entry is among the first [`LISTED`]).
    pub listed: Logistic,
    /// What the calibration questions gave, in the order of the reference and
    /// then of the own questions, the same for both generations; `None` where
    /// the generation was not asked or found nothing. The policy draws its bar
    /// from these.
    pub outcomes: Vec<Option<Outcome>>,
    /// Those whose best candidates have look-alikes. Releases of older versions
    /// have none of them.
    #[serde(default)]
    pub apart: Vec<Apart>,
    /// Whether labelled questions of its own customers are among the outcomes:
    /// there are few of them, and each weighs much, so the bar is drawn from
    /// smoothed shares ([`Rankings::smoothed`](super::policy::Rankings::smoothed)).
    #[serde(default)]
    pub heard: bool,
}

/// One calibration question as the policy sees it: the confidence in the best
/// candidate by a regression that has not seen the question, whether it was
/// right, and how much the question counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome(pub Confidence, pub bool, pub f64);

/// Whether the evidence says that the best candidate is about another matter
/// than the question, although their words are the same.
pub fn is_other_matter(features: &[f64]) -> bool {
    features[CONTRADICTED] >= OTHER_MATTER
}

/// Whether the question is one character: 退 may mean anything that an entry
/// about it says. Query sets have no such questions to learn it from.
fn is_one_character(features: &[f64]) -> bool {
    features[LENGTH] <= std::f64::consts::LN_2 + 1e-3
}

/// What a regression makes of some evidence for the best candidate.
fn confidence(first: &Logistic, features: &[f64]) -> Confidence {
    let probability = first.probability(features);
    let doubtful = is_other_matter(features) || is_one_character(features);
    Confidence::new(if doubtful { probability.min(TRUST_IN_OTHER_MATTER) } else { probability })
}

impl Calibration {
    /// P(the best candidate is right).
    pub fn confidence(&self, features: &[f64]) -> Confidence {
        confidence(&self.first, features)
    }

    /// Fits both regressions to a knowledge base's own questions and a
    /// reference. An own question is `None` where it was not asked of this
    /// generation. `inside` of them ask for an entry that is there: where no
    /// entry has a second phrasing there are none, and strangers alone would
    /// teach nothing but refusal. `labelled` are questions of its customers,
    /// which tell more than either.
    pub fn fit(
        own: Vec<Option<Sample>>,
        inside: f64,
        labelled: Vec<Option<Sample>>,
        reference: &Reference,
        generation: Generation,
    ) -> Self {
        let share = OWN_SHARE * inside / (inside + HALF_SHARE_AT);
        let customers: f64 = labelled.iter().flatten().map(|sample| sample.weight).sum();
        let heard = customers / (customers + HALF_LABELLED_AT);
        let (mut elsewhere, mut own, mut labelled) = (reference.samples(generation), own, labelled);
        rescale(&mut elsewhere, (1.0 - share) * (1.0 - heard));
        rescale(&mut own, share * (1.0 - heard));
        rescale(&mut labelled, heard);
        // What each part counts in drawing the bar, by what it counts in the fit.
        let (size, faded) = (elsewhere.iter().flatten().count() as f64, share * (1.0 - heard));
        let in_bar = if customers > 0.0 {
            let of_labelled = LABELLED_IN_BAR * (customers + HALF_LABELLED_AT);
            [size * (1.0 - faded) / ((1.0 - share) * (1.0 - heard)), size, of_labelled]
        } else {
            [1.0; 3]
        };
        let (strangers, questions) = (elsewhere.len(), elsewhere.len() + own.len());
        own.append(&mut labelled);
        // The part of each question: its set, or its fold behind all sets.
        let sets = reference.rows.iter().map(|row| row.0);
        let folds = own.len().min(FOLDS);
        let own_parts = (0..own.len()).map(|index| reference.sets.len() + index % folds);
        let parts: Vec<usize> = sets.chain(own_parts).collect();
        let asked: Vec<Option<Sample>> = elsewhere.into_iter().chain(own).collect();
        let samples: Vec<&Sample> = asked.iter().flatten().collect();
        let features = feature_count(generation);
        let first = Logistic::fit(&samples, |sample| sample.right, features);
        let listed = Logistic::fit(&samples, |sample| sample.listed, features);
        let judges: Vec<Logistic> = (0..reference.sets.len() + folds)
            .into_par_iter()
            .map(|part| {
                let others: Vec<&Sample> = asked
                    .iter()
                    .zip(&parts)
                    .filter(|(_, its)| **its != part)
                    .filter_map(|(sample, _)| sample.as_ref())
                    .collect();
                first.refit(&others, |sample| sample.right)
            })
            .collect();
        let outcomes = asked
            .iter()
            .zip(parts)
            .enumerate()
            .map(|(place, (sample, part))| {
                let counts = in_bar[usize::from(place >= strangers) + usize::from(place >= questions)];
                sample.as_ref().map(|sample| {
                    let weight = sample.weight * counts;
                    Outcome(confidence(&judges[part], &sample.features), sample.right, weight)
                })
            })
            .collect();
        Self { first, listed, outcomes, apart: Vec::new(), heard: customers > 0.0 }
    }
}

/// Makes the weights of some samples add up to `total`.
fn rescale(samples: &mut [Option<Sample>], total: f64) {
    let sum: f64 = samples.iter().flatten().map(|sample| sample.weight).sum();
    if sum > 0.0 {
        samples.iter_mut().flatten().for_each(|sample| sample.weight *= total / sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples whose chance to be right follows a known curve in `relative`.
    fn samples() -> Vec<Sample> {
        let mut state = 7u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 31) as f64
        };
        (0..4000)
            .map(|_| {
                let relative = random();
                let noise = random();
                let right = random() < 1.0 / (1.0 + (-(6.0 * relative - 3.0)).exp());
                let features = vec![relative, noise, 0.0, 0.0, 0.0, 0.0];
                Sample { features, right, listed: right, weight: 1.0 }
            })
            .collect()
    }

    #[test]
    fn a_known_curve_is_found_again() {
        let model = Logistic::fit(&samples(), |sample| sample.right, 6);
        assert!((model.weights[0] - 6.0).abs() < 0.6, "{:?}", model.weights);
        assert!(model.weights[1] < 0.3, "{:?}", model.weights);
        assert!((model.weights[6] + 3.0).abs() < 0.4, "{:?}", model.weights);
    }

    #[test]
    fn no_weight_turns_the_wrong_way() {
        let upside_down: Vec<Sample> =
            samples().into_iter().map(|sample| Sample { right: !sample.right, ..sample }).collect();
        let model = Logistic::fit(&upside_down, |sample| sample.right, 6);
        assert!(model.weights[0] >= 0.0 && model.weights[1] >= 0.0, "{:?}", model.weights);
    }

    #[test]
    fn nothing_to_learn_from_is_no_crash() {
        let none: [Sample; 0] = [];
        assert_eq!(Logistic::fit(&none, |sample| sample.right, 6).weights, vec![0.0; 7]);
        let one_sided: Vec<Sample> =
            samples().into_iter().map(|sample| Sample { right: true, ..sample }).collect();
        let model = Logistic::fit(&one_sided, |sample| sample.right, 6);
        assert!(model.weights.iter().all(|weight| weight.is_finite()));
    }

    #[test]
    fn the_shipped_reference_fits_this_version_and_can_be_left_in_parts() {
        let shipped = Reference::shipped().unwrap();
        let (name, _) = shipped.sets[0].clone();
        let left = Reference::without(std::slice::from_ref(&name)).unwrap();
        assert!(left.rows.len() < shipped.rows.len() && left.rows.iter().all(|row| row.0 != 0));
        assert!(Reference::without(&["no such set".to_owned()]).is_err());
    }

    #[test]
    fn another_matter_in_the_same_words_is_never_sure() {
        assert_eq!((FEATURES[CONTRADICTED], FEATURES[LENGTH]), ("contradicted", "length"));
        let first = Logistic { weights: vec![9.0; feature_count(Generation::One) + 1] };
        let mut features = vec![1.0; feature_count(Generation::One)];
        features[CONTRADICTED] = OTHER_MATTER;
        assert_eq!(confidence(&first, &features).value(), TRUST_IN_OTHER_MATTER);
        features[CONTRADICTED] = OTHER_MATTER - 0.01;
        assert!(confidence(&first, &features).value() > 0.99);
    }

    #[test]
    fn no_question_is_judged_by_a_regression_that_saw_it() {
        // A set whose answers turn the other way: judged by the others alone
        // it looks sure and is wrong; a regression that saw it would know.
        let row = |set: usize, sure: bool, right: bool| {
            let x = f64::from(u8::from(sure));
            let mut features = vec![1.0; feature_count(Generation::One)];
            features[..4].fill(x);
            features[CONTRADICTED] = 0.0;
            Row(set, Some(Judged(features, right, right)), None)
        };
        let rows = |set: usize, upside_down: bool| {
            (0..200).map(move |index| row(set, index % 2 == 0, (index % 2 == 0) != upside_down))
        };
        let reference = Reference {
            sets: vec![("a".to_owned(), 200), ("b".to_owned(), 200), ("odd".to_owned(), 200)],
            features: FEATURES.iter().map(|&name| name.to_owned()).collect(),
            rows: rows(0, false).chain(rows(1, false)).chain(rows(2, true)).collect(),
        };
        let calibration = Calibration::fit(Vec::new(), 0.0, Vec::new(), &reference, Generation::One);
        let odd = calibration.outcomes[400..].iter().flatten();
        let sure: Vec<_> = odd.filter(|Outcome(confidence, ..)| confidence.value() > 0.9).collect();
        assert_eq!(sure.len(), 100);
        assert!(sure.iter().all(|Outcome(_, right, _)| !right));
    }
}

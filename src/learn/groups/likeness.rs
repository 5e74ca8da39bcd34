//! From which nearness on do two questions mean the same?
//!
//! It differs from one knowledge base to the next, so each one teaches its own:
//! phrasings of one entry mean the same, those of different entries do not. The
//! teachers are near pairs only, since only such pairs are ever asked about.

use serde::{Deserialize, Serialize};

use super::near::near;
use super::space::Space;
use crate::error::Result;

/// P(two questions mean the same) by their nearness, a logistic curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Likeness {
    slope: f64,
    shift: f64,
}

/// What holds where a knowledge base has too few phrasings to say otherwise:
/// measured over the labelled knowledge bases in `corpora`.
const USUAL: Likeness = Likeness { slope: 14.0, shift: -6.3 };

/// The usual curve weighs as much as so many pairs, per unit of the slope and
/// of the shift.
const TRUST: (f64, f64) = (0.05, 1.0);

/// Pairs that are farther apart than this teach nothing.
const NEAR: f32 = 0.15;

impl Default for Likeness {
    fn default() -> Self {
        USUAL
    }
}

impl Likeness {
    /// Learns from phrasings, whose entries are given by number.
    ///
    /// # Errors
    /// When a product fails, which is a defect.
    pub fn of(space: &Space, entries: &[usize]) -> Result<Self> {
        let pairs = near(space, NEAR)?;
        let same =
            |&(a, b, score): &(u32, u32, f32)| (f64::from(score), entries[a as usize] == entries[b as usize]);
        Ok(Self::fit(&pairs.iter().map(same).collect::<Vec<_>>()))
    }

    /// Newton's method on the log loss; the usual curve is the prior.
    fn fit(pairs: &[(f64, bool)]) -> Self {
        let mut own = USUAL;
        for _ in 0..50 {
            let mut slope = (TRUST.0 * (own.slope - USUAL.slope), TRUST.0);
            let mut shift = (TRUST.1 * (own.shift - USUAL.shift), TRUST.1);
            let mut both = 0.0;
            for &(score, same) in pairs {
                let p = own.probability(score);
                let (error, bend) = (p - f64::from(u8::from(same)), p * (1.0 - p));
                slope = (slope.0 + error * score, slope.1 + bend * score * score);
                shift = (shift.0 + error, shift.1 + bend);
                both += bend * score;
            }
            let determinant = slope.1 * shift.1 - both * both;
            if determinant <= 0.0 {
                break;
            }
            let step = (
                (slope.0 * shift.1 - shift.0 * both) / determinant,
                (shift.0 * slope.1 - slope.0 * both) / determinant,
            );
            // Far from the solution a whole step may leap over it.
            let length = (5.0 / (step.0.abs() + step.1.abs()).max(1e-12)).min(1.0);
            own = Self { slope: own.slope - length * step.0, shift: own.shift - length * step.1 };
            if step.0.abs() + step.1.abs() < 1e-9 {
                break;
            }
        }
        // Nearer must never be less alike.
        if own.slope > 1.0 { own } else { USUAL }
    }

    /// The probability that two questions so near mean the same.
    pub fn probability(&self, score: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * score + self.shift)).exp())
    }

    /// The nearness from which on the probability is at least this.
    pub fn score(&self, probability: f64) -> f64 {
        ((probability / (1.0 - probability)).ln() - self.shift) / self.slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_curve_is_found_again_and_without_pairs_the_usual_one_holds() {
        assert_eq!(Likeness::fit(&[]), USUAL);
        let truth = Likeness { slope: 20.0, shift: -12.0 };
        let mut state = 3u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 31) as f64
        };
        let pairs: Vec<(f64, bool)> = (0..20_000)
            .map(|_| {
                let score = random();
                (score, random() < truth.probability(score))
            })
            .collect();
        let found = Likeness::fit(&pairs);
        assert!((found.score(0.5) - 0.6).abs() < 0.02, "{found:?}");
        assert!((found.probability(found.score(0.8)) - 0.8).abs() < 1e-9);
    }

    #[test]
    fn pairs_that_say_nothing_keep_the_usual_curve() {
        let upside_down: Vec<(f64, bool)> = (0..400).map(|at| (f64::from(at) / 400.0, at < 200)).collect();
        assert_eq!(Likeness::fit(&upside_down), USUAL);
    }
}

//! How far does every weight move?
//!
//! Adam (Kingma and Ba 2015), with the whole gradient cut to a length. Of the
//! word embedding only the rows move that a step saw.

use rayon::prelude::*;

use super::network::{Network, Parameter};
use super::training::Gradients;

/// The longest gradient.
const LONGEST: f32 = 2.0;
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.98;
const EPSILON: f32 = 1e-8;

/// The running means of one parameter's derivatives and of their squares.
struct Moments {
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Moments {
    fn new(parameter: &Parameter) -> Self {
        Self { mean: vec![0.0; parameter.values.len()], square: vec![0.0; parameter.values.len()] }
    }
}

/// Adam's memory of a network.
pub(super) struct Adam {
    words: Moments,
    others: Vec<Moments>,
    /// The sum of the parts' gradients; zero between two steps.
    word_slopes: Vec<f32>,
    steps: i32,
}

impl Adam {
    /// Before the first step.
    pub fn new(network: &Network) -> Self {
        Self {
            words: Moments::new(&network.words),
            others: network.others.iter().map(Moments::new).collect(),
            word_slopes: vec![0.0; network.words.values.len()],
            steps: 0,
        }
    }

    /// Moves every weight, and of the word embedding those rows that the
    /// batch saw.
    pub fn step(&mut self, network: &mut Network, gradients: &Gradients, rate: f32) {
        let width = network.config.hidden_size;
        let mut seen: Vec<usize> = Vec::new();
        for (rows, slopes) in &gradients.words {
            for (&row, slope) in rows.iter().zip(slopes.chunks_exact(width)) {
                let at = row as usize * width;
                seen.push(at);
                self.word_slopes[at..at + width].iter_mut().zip(slope).for_each(|(s, x)| *s += x);
            }
        }
        seen.sort_unstable();
        seen.dedup();
        let square = |values: &[f32]| values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
        let length = gradients.others.iter().map(|values| square(values)).sum::<f64>()
            + seen.iter().map(|&at| square(&self.word_slopes[at..at + width])).sum::<f64>();
        let shorten = (LONGEST / (length.sqrt() as f32 + 1e-6)).min(1.0);
        self.steps += 1;
        let step = Step {
            rate: rate * (1.0 - BETA2.powi(self.steps)).sqrt() / (1.0 - BETA1.powi(self.steps)),
            shorten,
        };
        network.others.par_iter_mut().zip(&mut self.others).zip(&gradients.others).for_each(
            |((parameter, moments), slopes)| {
                step.take(&mut parameter.values, slopes, &mut moments.mean, &mut moments.square);
            },
        );
        for at in seen {
            let range = at..at + width;
            let slopes = &mut self.word_slopes[range.clone()];
            let words = &mut self.words;
            step.take(
                &mut network.words.values[range.clone()],
                slopes,
                &mut words.mean[range.clone()],
                &mut words.square[range],
            );
            slopes.fill(0.0);
        }
    }
}

#[derive(Clone, Copy)]
struct Step {
    /// Corrected for the means' beginning at zero.
    rate: f32,
    shorten: f32,
}

impl Step {
    fn take(self, values: &mut [f32], slopes: &[f32], mean: &mut [f32], square: &mut [f32]) {
        for (((x, g), m), s) in values.iter_mut().zip(slopes).zip(mean).zip(square) {
            let g = g * self.shorten;
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *s = BETA2 * *s + (1.0 - BETA2) * g * g;
            *x -= self.rate * *m / (s.sqrt() + EPSILON);
        }
    }
}

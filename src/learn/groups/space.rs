//! How near is a question to another one?
//!
//! Two measures are mixed half and half: the cosine of the encoder's vectors
//! after their common mean is taken away (without that, any two questions of a
//! trade are at 0.5), and the cosine of the characters and pairs that they
//! share, the rare ones counting more. The second one is the guard: questions
//! that mean alike and have no word in common are near, but not the same.

use std::collections::HashMap;

use crate::encoder::Embedding;
use crate::text::grams;

/// The share of the vectors in a mixed score; the rest is that of the words.
const MEANING: f32 = 0.5;

/// A question that is to be placed.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The text in the form that matchers compare.
    pub core: String,
    /// Its vector; `None` without an encoder.
    pub vector: Option<Embedding>,
}

/// The characters and pairs of a question: number and weight, by number; the
/// squares of the weights add up to 1.
pub(super) type Words = Vec<(u32, f32)>;

/// Questions with the distances between them.
pub struct Space {
    width: usize,
    /// Unit vectors, one after the other; empty without an encoder.
    vectors: Vec<f32>,
    words: Vec<Words>,
    grams: usize,
}

impl Space {
    /// Places questions. `anchors` only help to say what is common and what is
    /// rare, so that a handful of questions does not stand for all there are.
    pub fn of(questions: &[Placed], anchors: &[Placed]) -> Self {
        let all = || questions.iter().chain(anchors);
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut found: Vec<u32> = Vec::new();
        let mut cut: Vec<Vec<u32>> = Vec::with_capacity(questions.len());
        for (index, placed) in all().enumerate() {
            let mut own: Vec<u32> = grams(&placed.core)
                .into_iter()
                .map(|gram| {
                    let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                    *numbers.entry(gram).or_insert(next)
                })
                .collect();
            own.sort_unstable();
            own.dedup();
            found.resize(numbers.len(), 0);
            own.iter().for_each(|&gram| found[gram as usize] += 1);
            if index < questions.len() {
                cut.push(own);
            }
        }
        let total = (questions.len() + anchors.len()) as f32;
        let idf: Vec<f32> = found.iter().map(|&count| (1.0 + total / (1.0 + count as f32)).ln()).collect();
        let words = cut
            .into_iter()
            .map(|own| {
                let square: f32 = own.iter().map(|&gram| idf[gram as usize].powi(2)).sum();
                let scale = if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
                own.into_iter().map(|gram| (gram, idf[gram as usize] * scale)).collect()
            })
            .collect();
        let (width, vectors) = centred(questions, anchors);
        Self { width, vectors, words, grams: found.len() }
    }

    /// How many questions there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Coordinates of a vector; 0 without an encoder.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// How many characters and pairs there are.
    pub(super) fn grams(&self) -> usize {
        self.grams
    }

    /// The vector of a question; empty without an encoder.
    pub(super) fn vector(&self, at: usize) -> &[f32] {
        &self.vectors[at * self.width..(at + 1) * self.width]
    }

    /// The characters and pairs of a question.
    pub(super) fn words(&self, at: usize) -> &Words {
        &self.words[at]
    }

    /// How near two questions are, from about -0.5 to 1.
    pub fn score(&self, a: usize, b: usize) -> f32 {
        let shared = shared(&self.words[a], &self.words[b]);
        if self.width == 0 {
            return shared;
        }
        let cosine: f32 = self.vector(a).iter().zip(self.vector(b)).map(|(x, y)| x * y).sum();
        MEANING * cosine + (1.0 - MEANING) * shared
    }
}

/// The vectors without what all have in common, of unit length.
fn centred(questions: &[Placed], anchors: &[Placed]) -> (usize, Vec<f32>) {
    let all = || questions.iter().chain(anchors).filter_map(|placed| placed.vector.as_ref());
    let Some(width) = all().next().map(|vector| vector.as_slice().len()) else { return (0, Vec::new()) };
    let mut mean = vec![0.0f32; width];
    for vector in all() {
        mean.iter_mut().zip(vector.as_slice()).for_each(|(sum, x)| *sum += x);
    }
    let count = all().count() as f32;
    mean.iter_mut().for_each(|sum| *sum /= count);
    let mut vectors = Vec::with_capacity(width * questions.len());
    for placed in questions {
        let from = vectors.len();
        match &placed.vector {
            Some(vector) => vectors.extend(vector.as_slice().iter().zip(&mean).map(|(x, common)| x - common)),
            None => vectors.resize(from + width, 0.0),
        }
        let length = vectors[from..].iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            vectors[from..].iter_mut().for_each(|x| *x /= length);
        }
    }
    (width, vectors)
}

/// The cosine of two questions' characters and pairs.
fn shared(a: &Words, b: &Words) -> f32 {
    let (mut left, mut right, mut sum) = (a.iter().peekable(), b.iter().peekable(), 0.0);
    while let (Some(&&(x, own)), Some(&&(y, other))) = (left.peek(), right.peek()) {
        match x.cmp(&y) {
            std::cmp::Ordering::Less => left.next(),
            std::cmp::Ordering::Greater => right.next(),
            std::cmp::Ordering::Equal => {
                sum += own * other;
                left.next();
                right.next()
            }
        };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(core: &str) -> Placed {
        Placed { core: core.to_owned(), vector: None }
    }

    #[test]
    fn a_question_is_nearest_to_itself_and_far_from_what_shares_nothing() {
        let space =
            Space::of(&[placed("怎么退货"), placed("退货怎么弄"), placed("明天天气")], &[placed("怎么开票")]);
        assert!((space.score(0, 0) - 1.0).abs() < 1e-5);
        assert!(space.score(0, 1) > 0.3, "{}", space.score(0, 1));
        assert_eq!(space.score(0, 2), 0.0);
        assert_eq!(space.score(0, 1), space.score(1, 0));
    }

    #[test]
    fn what_all_vectors_have_in_common_says_nothing() {
        let vector = |x: f32, y: f32| Some(Embedding::unit(vec![5.0, x, y]));
        let question = |x, y| Placed { core: "问".to_owned(), vector: vector(x, y) };
        let space =
            Space::of(&[question(1.0, 0.0), question(-1.0, 0.0)], &[question(0.0, 1.0), question(0.0, -1.0)]);
        let cosine: f32 = space.vector(0).iter().zip(space.vector(1)).map(|(x, y)| x * y).sum();
        assert!(cosine < -0.99, "{cosine}");
    }
}

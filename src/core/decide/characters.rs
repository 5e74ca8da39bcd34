//! What do the characters of a message say?
//!
//! No list holds all the ways in which people say that they are angry or want a
//! person. What a list does not find is weighed by a small linear model over the
//! message's runs of characters and what else is seen of it; `zhida eval detectors
//! --train` trains one on labelled sentences.

use foldhash::HashMap;

use crate::text::written;

/// The longest piece of a message that is looked at, in characters: feeling and
/// wishes show at once, and a letter holds every pair of characters.
const LONGEST: usize = 200;

/// The longest run of characters that is a feature.
const GRAM: usize = 3;

/// Roughly how long a message is, five characters a step.
const LENGTHS: [&str; 5] = ["#length0", "#length1", "#length2", "#length3", "#length4"];

/// A trained model.
pub(super) struct Model(HashMap<&'static str, f64>);

impl Model {
    /// Reads a feature a line, then a tab and its weight; the empty feature is the bias.
    pub(super) fn read(weights: &'static str) -> Self {
        let line = |line: &'static str| {
            let (feature, weight) = line.rsplit_once('\t')?;
            Some((feature, weight.parse().ok()?))
        };
        Self(weights.lines().filter_map(line).collect())
    }

    /// Whether more speaks for than against.
    pub(super) fn says(&self, seen: &Seen) -> bool {
        weigh(&seen.features(), |feature| self.0.get(feature).copied().unwrap_or_default()) > 0.0
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What a model sees of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The message between a beginning and an end.
    whole: String,
    /// How many characters it has.
    length: usize,
    /// What else is seen, such as `#asks`.
    signs: Vec<&'static str>,
}

impl Seen {
    /// A message with what else is seen of it.
    pub(super) fn of(text: &str, mut signs: Vec<&'static str>) -> Self {
        let cut: String = text.chars().take(LONGEST).collect();
        let whole = written(&cut);
        let length = whole.chars().count();
        signs.push(LENGTHS[(length / 5).min(LENGTHS.len() - 1)]);
        Self { whole: format!("^{whole}$"), length, signs }
    }

    /// How many characters the message has, as far as it is looked at.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The features, each once and in order: the runs of one to three characters
    /// between a beginning (`^`) and an end (`$`), and the signs.
    pub fn features(&self) -> Vec<&str> {
        let starts: Vec<usize> =
            self.whole.char_indices().map(|(at, _)| at).chain([self.whole.len()]).collect();
        let mut features = self.signs.clone();
        for size in 1..=GRAM {
            features.extend(starts.windows(size + 1).map(|ends| &self.whole[ends[0]..ends[size]]));
        }
        features.sort_unstable();
        features.dedup();
        features
    }
}

/// What speaks for and against: the weights of the features over the root of
/// their number, so that long messages are no surer than short ones, and the
/// bias.
pub fn weigh(features: &[&str], weight: impl Fn(&str) -> f64) -> f64 {
    let sum: f64 = features.iter().map(|feature| weight(feature)).sum();
    weight("") + sum / (features.len().max(1) as f64).sqrt()
}

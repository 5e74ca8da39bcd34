//! Which entry is meant by a message in the light of the turn before?
//!
//! A message that leaves something out ("那要多久呢") is compared with every entry
//! that it may mean: those that it finds alone, those that it finds together with
//! the question before, and the entry that was answered. What speaks for each of
//! them is weighed against the others and against "none of these" in one
//! multinomial regression, which is trained on the labelled conversations
//! (`zhida eval dialogues --train`). So what comes out is the probability that an
//! entry is meant, and the knowledge base's own policy decides as it does for
//! every other question.

use std::sync::LazyLock;

use super::{Confidence, Decision};

/// What speaks for an entry; every value lies in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evidence(pub [f64; Evidence::NAMES.len()]);

impl Evidence {
    /// What each value says, in order; shares are by the rarity of characters
    /// and pairs.
    pub const NAMES: [&str; 16] = [
        // How much of the message the best phrasing has, and the entry with its answer.
        "asked",
        "asked_anywhere",
        // How much of the message and of the question before the best phrasing has.
        "whole",
        // How much of the question before the entry's phrasings have.
        "matter",
        // How much of the best phrasing neither of them has.
        "unsaid",
        // Its confidence when the message is read alone, and in the light.
        "alone",
        "light",
        // Whether it is the first of those readings.
        "first_alone",
        "first_light",
        // Whether it is of the topic that was answered before.
        "topic",
        // Whether it was answered before, by what the message has.
        "answered_ask",
        "answered_topic",
        "answered_both",
        // Whether it speaks of what the message asks, and whether it was answered before too.
        "spoken",
        "answered_spoken",
        // How much of the message the best phrasing has, if it is of the topic.
        "topic_asked",
    ];
}

/// The values that speak for none of the entries.
pub const NONE: [&str; 4] = ["none", "none_ask", "none_both", "none_exchanged"];

/// A name a line, then a tab and its weight.
const WEIGHTS: &str = include_str!("data/light.tsv");

static SHIPPED: LazyLock<Weights> = LazyLock::new(|| {
    let known = |name: &str| {
        let line = WEIGHTS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        line.and_then(|weight| weight.parse().ok()).unwrap_or_default()
    };
    Weights { entry: Evidence::NAMES.map(known), none: NONE.map(known) }
});

/// What each value counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weights {
    /// Those of an entry, in the order of [`Evidence::NAMES`].
    pub entry: [f64; Evidence::NAMES.len()],
    /// Those of none, in the order of [`NONE`].
    pub none: [f64; NONE.len()],
}

/// The entries that a message may mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What speaks for each of them.
    pub entries: Vec<Evidence>,
    /// What speaks for none, in the order of [`NONE`].
    pub none: [f64; NONE.len()],
}

impl Field {
    /// The probability of each entry; what they lack to 1 is that of none.
    pub fn confidences(&self) -> Vec<Confidence> {
        self.shares(&SHIPPED).into_iter().map(Confidence::new).collect()
    }

    /// The same by weights of one's own, as plain numbers.
    pub fn shares(&self, weights: &Weights) -> Vec<f64> {
        let score = |values: &[f64], weights: &[f64]| -> f64 {
            values.iter().zip(weights).map(|(value, weight)| value * weight).sum()
        };
        let none = score(&self.none, &weights.none);
        let scores: Vec<f64> = self.entries.iter().map(|one| score(&one.0, &weights.entry)).collect();
        let most = scores.iter().copied().fold(none, f64::max);
        let total: f64 = scores.iter().map(|score| (score - most).exp()).sum::<f64>() + (none - most).exp();
        scores.iter().map(|score| (score - most).exp() / total).collect()
    }
}

/// So many times the share wrong that a goal allows may a single answer's
/// probability lack to 1: most answers are surer than the bar. With 6, five-fold
/// cross-validation over the part `dev` of the labelled conversations had 5.9 %
/// wrong of 101 at the goal of 5 %, and the part held back 2.0 % of 50.
const LACKS: f64 = 3.5;

/// No answer in the light is less sure than this, whatever the goal.
const LOWEST: f64 = 0.6;

/// The probability from which on a reading in the light is answered, under the
/// goal that at most this share of the answers is wrong.
pub fn bar(max_wrong: f64) -> Confidence {
    Confidence::new((1.0 - LACKS * max_wrong).max(LOWEST))
}

/// What an answer that the message alone would get must have in the light, if
/// the message lacks what it is about: below, something else is meant.
const KEEPS: f64 = 0.2;

/// Whether what the message alone would get answered gives way to its reading in
/// the light: only where the message lacks what it is about (`lacking`), the light
/// answers by itself, and the other entry is hardly meant there. `alone` is that
/// entry's probability in the light.
pub fn gives_way(in_light: Decision, alone: Confidence, lacking: bool) -> bool {
    lacking && in_light == Decision::Answer && alone.value() < KEEPS
}

/// Whether the reading in the light is better than one that would not be answered
/// alone: it says more, or the message lacks what it is about.
pub fn is_better(in_light: Decision, alone: Decision, lacking: bool) -> bool {
    match (in_light, alone) {
        (Decision::Handoff, _) | (_, Decision::Answer) => false,
        (Decision::Answer, _) | (Decision::Clarify, Decision::Handoff) => true,
        (Decision::Clarify, Decision::Clarify) => lacking,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_weight() {
        let names: Vec<&str> =
            WEIGHTS.lines().filter_map(|line| line.split_once('\t')).map(|it| it.0).collect();
        let expected: Vec<&str> = Evidence::NAMES.into_iter().chain(NONE).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn what_speaks_for_an_entry_makes_it_likelier_and_the_others_less() {
        let plain = Field { entries: vec![Evidence::default(); 2], none: [1.0, 0.0, 0.0, 0.0] };
        let mut told = plain.clone();
        told.entries[0].0[0] = 1.0;
        let (before, after) = (plain.confidences(), told.confidences());
        assert_eq!(before[0], before[1]);
        assert!(after[0] > before[0] && after[1] < before[1]);
        assert!(after.iter().map(|it| it.value()).sum::<f64>() < 1.0, "none is possible too");
    }

    #[test]
    fn an_answer_gives_way_only_where_the_message_lacks_something() {
        let (low, high) = (Confidence::new(0.05), Confidence::new(0.5));
        assert!(gives_way(Decision::Answer, low, true));
        assert!(!gives_way(Decision::Answer, low, false));
        assert!(!gives_way(Decision::Answer, high, true));
        assert!(!gives_way(Decision::Clarify, low, true));
        assert!(is_better(Decision::Answer, Decision::Clarify, false));
        assert!(is_better(Decision::Clarify, Decision::Handoff, false));
        assert!(is_better(Decision::Clarify, Decision::Clarify, true));
        assert!(!is_better(Decision::Clarify, Decision::Clarify, false));
        assert!(!is_better(Decision::Answer, Decision::Answer, true));
        assert!(!is_better(Decision::Handoff, Decision::Handoff, true));
    }
}

//! Which of a question's words does an entry use anywhere?
//!
//! BM25 looks at one phrasing at a time. A customer's words may stand in
//! several phrasings of the right entry, or only in its answer: "三十块的话费什么
//! 时候到" shares more with the answer "充值后 10 分钟内到账" than with "怎么查余额".
//! [`Wording`] knows every entry's characters and pairs, answers included.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Except, Phrasing};
use crate::kb::Entry;
use crate::text::{Normalized, grams};

/// Characters of an answer that are looked at: what stands behind them in a
/// long text is rarely what was asked for, and holds every common character.
const ANSWER: usize = 600;

/// The characters and pairs of a text as sorted digests; two of a release's
/// share one digest less often than once in a million.
type Digests = Arc<[u32]>;

/// The characters and pairs of every entry.
#[derive(Debug, Clone)]
pub struct Wording {
    phrasings: Vec<Digests>,
    entries: Vec<Words>,
}

/// What one entry says.
#[derive(Debug, Clone, Default)]
struct Words {
    /// The places of its phrasings.
    phrasings: Vec<usize>,
    /// Its answers'.
    answers: Digests,
    /// Those of all of them.
    every: Digests,
}

/// A question's characters and pairs with their weights.
#[derive(Debug)]
pub struct Weighted {
    digests: Vec<(u32, f32)>,
    total: f32,
}

impl Weighted {
    /// The characters and pairs of a question, each with its weight.
    pub fn new(question: &[String], weights: impl Iterator<Item = f32>) -> Self {
        let digests: Vec<(u32, f32)> = question.iter().map(|gram| digest(gram)).zip(weights).collect();
        let total = digests.iter().map(|(_, weight)| weight).sum();
        Self { digests, total }
    }
}

impl Wording {
    /// Reads all phrasings and answers.
    pub fn new(entries: &[Entry], phrasings: &[Phrasing]) -> Self {
        let mut of_entry: Vec<Vec<usize>> = vec![Vec::new(); entries.len()];
        for (index, phrasing) in phrasings.iter().enumerate() {
            of_entry[phrasing.entry].push(index);
        }
        let phrasings: Vec<Digests> =
            phrasings.par_iter().map(|phrasing| of_phrasing(&phrasing.normalized)).collect();
        let words = entries.par_iter().zip(of_entry).map(|(entry, places)| {
            let answers = of_answers(entry);
            let parts = places.iter().map(|&place| &phrasings[place]).chain([&answers]);
            let every = sorted(parts.flat_map(|part| part.iter().copied()));
            Words { phrasings: places, answers, every }
        });
        Self { entries: words.collect(), phrasings }
    }

    /// Takes an entry away.
    pub fn remove(&mut self, at: usize) {
        self.entries[at] = Words::default();
    }

    /// Puts an entry at a place that is free or the next one; its phrasings
    /// come with [`Self::add_phrasing`].
    pub fn add(&mut self, at: usize, entry: &Entry) {
        let answers = of_answers(entry);
        let taken = Words { phrasings: Vec::new(), every: Digests::clone(&answers), answers };
        if at == self.entries.len() {
            self.entries.push(taken);
        } else {
            self.entries[at] = taken;
        }
    }

    /// Puts a phrasing of an entry at a place that is free or the next one.
    pub fn add_phrasing(&mut self, place: usize, at: usize, normalized: &Normalized) {
        let digests = of_phrasing(normalized);
        let words = &mut self.entries[at];
        words.every = sorted(words.every.iter().chain(&*digests).copied());
        words.phrasings.push(place);
        if place == self.phrasings.len() {
            self.phrasings.push(digests);
        } else {
            self.phrasings[place] = digests;
        }
    }

    /// The places of an entry's phrasings that are not hidden.
    pub fn phrasings_of(&self, entry: usize, except: Except) -> impl Iterator<Item = usize> + Clone {
        let places = self.entries[entry].phrasings.iter().copied();
        places.filter(move |&phrasing| !except.hides(phrasing, entry))
    }

    /// How much of a question, by weight, an entry has in any phrasing that is
    /// not hidden or in an answer.
    pub fn share(&self, question: &Weighted, entry: usize, except: Except) -> f32 {
        let words = &self.entries[entry];
        let some_hidden = words.phrasings.iter().any(|&place| except.hides(place, entry));
        let places: Vec<&Digests> = if some_hidden {
            let phrasings = self.phrasings_of(entry, except).map(|phrasing| &self.phrasings[phrasing]);
            phrasings.chain([&words.answers]).collect()
        } else {
            vec![&words.every]
        };
        let held: f32 = question
            .digests
            .iter()
            .filter(|(digest, _)| places.iter().any(|place| place.binary_search(digest).is_ok()))
            .map(|(_, weight)| weight)
            .sum();
        if question.total > 0.0 { held / question.total } else { 0.0 }
    }
}

fn of_phrasing(normalized: &Normalized) -> Digests {
    sorted(grams(&normalized.core).iter().map(|gram| digest(gram)))
}

fn of_answers(entry: &Entry) -> Digests {
    let every = std::iter::once(&entry.answer).chain(entry.answers.values());
    sorted(every.flat_map(|answer| {
        let start: String = answer.chars().take(ANSWER).collect();
        grams(&Normalized::new(&start).core).into_iter().map(|gram| digest(&gram))
    }))
}

fn sorted(digests: impl Iterator<Item = u32>) -> Digests {
    let mut digests: Vec<u32> = digests.collect();
    digests.sort_unstable();
    digests.dedup();
    digests.into()
}

/// FNV-1a: short keys, no seed, the same on every machine.
fn digest(gram: &str) -> u32 {
    gram.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieve::phrasings;

    fn analyzer() -> crate::text::Analyzer {
        crate::text::Analyzer::new(crate::text::Lexicon::shipped())
    }

    fn entries() -> Vec<Entry> {
        let entry = |text: &str| serde_json::from_str(text).unwrap();
        vec![
            entry(r#"{"id":"a","question":"怎么退货","similar":["不想要了"],"answer":"请在七天内申请"}"#),
            entry(r#"{"id":"b","question":"怎么充值","answer":"到账要十分钟","answers":{"web":"看余额"}}"#),
        ]
    }

    #[test]
    fn phrasings_and_answers_count_and_hidden_ones_do_not() {
        let entries = entries();
        let phrasings = phrasings(&entries, &analyzer());
        let wording = Wording::new(&entries, &phrasings);
        let share = |text: &str, entry: usize, except: Except| {
            wording.share(&Weighted::new(&grams(text), std::iter::repeat(1.0)), entry, except)
        };
        assert_eq!(share("退货申请", 0, Except::Nothing), 6.0 / 7.0, "all but the pair 货申");
        assert_eq!(share("不想", 0, Except::Phrasing(1)), 0.0);
        assert_eq!(share("不想", 0, Except::Phrasing(0)), 1.0);
        assert_eq!(share("余额", 1, Except::Nothing), 1.0, "any channel's answer");
        assert_eq!(share("余额", 0, Except::Nothing), 0.0);
        assert_eq!(share("", 0, Except::Nothing), 0.0);
    }

    #[test]
    fn an_edited_entry_is_as_if_it_had_always_been_so() {
        let mut entries = entries();
        let all = phrasings(&entries, &analyzer());
        let mut wording = Wording::new(&entries, &all);
        entries[0].answer = "不退".to_owned();
        entries[0].similar.clear();
        wording.remove(0);
        let question = Weighted::new(&grams("退货申请不想"), std::iter::repeat(1.0));
        assert_eq!(wording.share(&question, 0, Except::Nothing), 0.0);
        wording.add(0, &entries[0]);
        wording.add_phrasing(all.len(), 0, &all[0].normalized);
        let fresh = Wording::new(&entries, &phrasings(&entries, &analyzer()));
        let share = |wording: &Wording| wording.share(&question, 0, Except::Nothing);
        assert!(share(&wording) > 0.0);
        assert_eq!(share(&wording), share(&fresh));
    }
}

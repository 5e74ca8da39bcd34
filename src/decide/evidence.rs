//! What do the ranked lists say together?

use std::collections::HashMap;

use serde::Serialize;

use super::Generation;
use crate::retrieve::lexical::Statistics;
use crate::retrieve::semantic::{self, BestPerEntry};
use crate::retrieve::{Candidate, Phrasing};
use crate::text::{Query, grams};

/// Entries that each matcher contributes.
pub const CANDIDATES: usize = 20;

/// How much BM25 (as a share of the best in its list) adds to the cosine when
/// candidates are put in one order. Measured on `faq/dev`; see corpora/README.md.
const LEXICAL_SHARE: f32 = 0.15;

/// What the ranker reads.
pub struct Lists<'a> {
    /// The question.
    pub query: &'a Query,
    /// Entries by BM25, best first.
    pub lexical: &'a [Candidate],
    /// Every entry's best cosine; `None` when the encoder did not run.
    pub semantic: Option<&'a BestPerEntry>,
    /// The cosine of the nearest background stranger; `None` likewise.
    pub stranger: Option<f32>,
}

/// What evidence is measured against.
pub struct Yardstick<'a> {
    /// How rare each character is.
    pub statistics: &'a Statistics,
    /// The phrasings of the release.
    pub phrasings: &'a [Phrasing],
}

/// One entry in the common order of all matchers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Position of the entry in the release.
    pub entry: usize,
    /// Position of the phrasing that spoke for it.
    pub phrasing: usize,
    /// BM25, 0 when the entry is not in that list.
    pub lexical: f32,
    /// Cosine, when the encoder ran.
    pub cosine: Option<f32>,
    /// What the order is by; comparable only within this list.
    pub score: f32,
}

/// The common order of the candidates.
pub fn rank(lists: &Lists<'_>) -> Vec<Ranked> {
    let best_lexical = lists.lexical.first().map_or(0.0, |candidate| candidate.score);
    let mut ranked: HashMap<usize, Ranked> = HashMap::new();
    for candidate in lists.lexical.iter().take(CANDIDATES) {
        ranked.insert(
            candidate.entry,
            Ranked {
                entry: candidate.entry,
                phrasing: candidate.phrasing,
                lexical: candidate.score,
                cosine: None,
                score: candidate.score,
            },
        );
    }
    if let Some(best) = lists.semantic {
        for candidate in semantic::top(best, CANDIDATES) {
            ranked.entry(candidate.entry).or_insert(Ranked {
                entry: candidate.entry,
                phrasing: candidate.phrasing,
                lexical: 0.0,
                cosine: None,
                score: 0.0,
            });
        }
        for item in ranked.values_mut() {
            let Some(by_meaning) = best[item.entry] else { continue };
            item.cosine = Some(by_meaning.score);
            item.phrasing = by_meaning.phrasing;
            let share = if best_lexical > 0.0 { item.lexical / best_lexical } else { 0.0 };
            item.score = by_meaning.score + LEXICAL_SHARE * share;
        }
    }
    let mut ranked: Vec<Ranked> = ranked.into_values().collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.entry.cmp(&b.entry)));
    ranked
}

/// The names of the numbers in [`Evidence`], in their order. Every one but
/// `length` and `unknown` speaks for the best candidate when it is high.
pub const FEATURES: [&str; 10] =
    ["relative", "covered", "covers", "margin", "length", "unknown", "cosine", "lead", "clearance", "agreement"];

/// The features that generation 1 has.
pub const LEXICAL_FEATURES: usize = 6;

/// What speaks for the best candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evidence {
    /// Its BM25 as a share of what a phrasing with all the question's terms would get.
    pub relative: f32,
    /// How much of the question's characters and pairs (by idf) its phrasing has.
    pub covered: f32,
    /// How much of its phrasing's characters and pairs (by idf) the question has.
    pub covers: f32,
    /// BM25's distance to the next entry, as a share of the best.
    pub margin: f32,
    /// ln(1 + characters) of the question.
    pub length: f32,
    /// How much of the question's characters (by idf) no phrasing at all has.
    pub unknown: f32,
    /// Its cosine.
    pub cosine: f32,
    /// Its score's distance to the next entry in the common order.
    pub lead: f32,
    /// How much nearer it is than the nearest background stranger.
    pub clearance: f32,
    /// 1 when BM25 has the same entry first.
    pub agreement: f32,
}

impl Evidence {
    /// Gathers the evidence for the first of `ranked`; `None` when it is empty.
    pub fn gather(lists: &Lists<'_>, ranked: &[Ranked], yardstick: &Yardstick<'_>) -> Option<Self> {
        let first = ranked.first()?;
        let core = &lists.query.text.core;
        let question = grams(core);
        let phrasing = grams(&yardstick.phrasings[first.phrasing].normalized.core);
        let idf = |gram: &String| yardstick.statistics.idf(gram);
        let total: f32 = question.iter().map(idf).sum();
        let share_in = |part: &[String], whole: &[String]| {
            let all: f32 = part.iter().map(idf).sum();
            let common: f32 = part.iter().filter(|gram| whole.contains(gram)).map(idf).sum();
            if all > 0.0 { common / all } else { 0.0 }
        };
        // A term that occurs once in a phrasing of average length scores its idf.
        let relative = if total > 0.0 { first.lexical / total } else { 0.0 };
        let lexical_best = lists.lexical.first();
        let next_lexical =
            lists.lexical.iter().filter(|other| other.entry != first.entry).map(|other| other.score).next();
        let margin = match (first.lexical, next_lexical) {
            (own, _) if own <= 0.0 => -1.0,
            (_, None) => 1.0,
            (own, Some(other)) => (own - other) / own.max(other),
        };
        let unknown_weight: f32 = question.iter().filter(|gram| !yardstick.statistics.knows(gram)).map(idf).sum();
        let cosine = first.cosine.unwrap_or(0.0);
        let lead = ranked.get(1).map_or(first.score, |second| first.score - second.score);
        Some(Self {
            relative,
            covered: share_in(&question, &phrasing),
            covers: share_in(&phrasing, &question),
            margin,
            length: (1.0 + core.chars().count() as f32).ln(),
            unknown: if total > 0.0 { unknown_weight / total } else { 1.0 },
            cosine,
            lead: if lists.semantic.is_some() { lead } else { 0.0 },
            clearance: lists.stranger.map_or(0.0, |stranger| cosine - stranger),
            agreement: f32::from(lexical_best.is_some_and(|best| best.entry == first.entry)),
        })
    }

    /// The numbers that a generation's calibration reads, in the order of [`FEATURES`].
    pub fn features(&self, generation: Generation) -> Vec<f64> {
        let all = [
            self.relative,
            self.covered,
            self.covers,
            self.margin,
            self.length,
            self.unknown,
            self.cosine,
            self.lead,
            self.clearance,
            self.agreement,
        ];
        let taken = match generation {
            Generation::One => LEXICAL_FEATURES,
            Generation::Two => FEATURES.len(),
        };
        all[..taken].iter().map(|&value| f64::from(value)).collect()
    }
}

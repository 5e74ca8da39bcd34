//! What do the predictions add up to?
//!
//! Pure functions from [`Prediction`]s to numbers. A number that the
//! questions leave undefined (a precision without answers, a coverage without
//! questions inside) is `None` and `null` in JSON, never NaN.
//!
//! Proportions carry Wilson's 95 % interval (Wilson 1927), which keeps inside
//! 0..=1 and does not vanish at 0 or 1. What is no proportion of independent
//! questions ([`Metrics::coverage_at_precision`], [`Metrics::auroc`],
//! [`Metrics::ece`], [`Metrics::mrr`]) carries the percentile interval of a
//! bootstrap over questions with a fixed seed, so the same predictions always
//! give the same interval.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::dataset::Expect;
use super::run::Prediction;
use crate::decide::Decision;
pub use crate::estimate::Estimate;
use crate::kb::EntryId;

/// The precisions at which a coverage is reported, as their keys.
pub const PRECISIONS: [(&str, f64); 4] = [("0.80", 0.80), ("0.90", 0.90), ("0.95", 0.95), ("0.98", 0.98)];

/// The list lengths at which a recall is reported, as their keys.
pub const LENGTHS: [(&str, usize); 4] = [("1", 1), ("3", 3), ("5", 5), ("10", 10)];

/// Bins of the calibration error.
pub const BINS: usize = 15;

/// How often the questions are drawn again for an interval.
const RESAMPLES: usize = 500;

/// What a decision came to, given what would have been right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Answered with a right entry.
    Right,
    /// Answered with a wrong entry, or at all where nothing is right.
    Wrong,
    /// Asked back.
    Clarify,
    /// Handed to a person.
    Handoff,
}

impl Verdict {
    /// What a decision for an entry came to.
    pub fn new(expect: &Expect, decision: Decision, entry: Option<&EntryId>) -> Self {
        match decision {
            Decision::Answer if entry.is_some_and(|entry| expect.accepts(entry)) => Self::Right,
            Decision::Answer => Self::Wrong,
            Decision::Clarify => Self::Clarify,
            Decision::Handoff => Self::Handoff,
        }
    }

    /// What a prediction came to.
    pub fn of(prediction: &Prediction) -> Self {
        Self::new(&prediction.expect, prediction.decision, prediction.entry.as_ref())
    }

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Clarify => "clarify",
            Self::Handoff => "handoff",
        }
    }
}

/// Numbers under fixed keys, in a fixed order.
pub type Keyed = Vec<(&'static str, Option<Estimate>)>;

/// Times in microseconds (nearest rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Latency {
    /// Half of the questions took at most this.
    pub p50: u64,
    /// 95 in 100 took at most this.
    pub p95: u64,
    /// 99 in 100 took at most this.
    pub p99: u64,
}

/// What a list of predictions adds up to.
///
/// In JSON every number stands under its own name, and its interval
/// `[low, high]` under the same name below `intervals`.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Questions.
    pub n: usize,
    /// Questions that the knowledge base can answer.
    pub inside: usize,
    /// Questions that it cannot.
    pub outside: usize,
    /// Questions answered.
    pub answered: usize,
    /// Questions answered right.
    pub right: usize,
    /// Questions answered wrong, inside or outside.
    pub wrong: usize,
    /// Questions answered that are outside.
    pub false_answers: usize,
    /// Questions asked back.
    pub clarified: usize,
    /// Questions handed to a person.
    pub handed_off: usize,
    /// Answered / all.
    pub answer_rate: Option<Estimate>,
    /// Right / answered.
    pub precision: Option<Estimate>,
    /// Wrong / answered.
    pub wrong_rate: Option<Estimate>,
    /// Answered / outside, of those outside.
    pub false_answer_rate: Option<Estimate>,
    /// Answered right / inside.
    pub coverage: Option<Estimate>,
    /// The largest coverage that a threshold on the confidence reaches with
    /// at least this precision among all that reach the threshold, whatever
    /// was decided; equal confidences go together; 0 when none does.
    pub coverage_at_precision: Keyed,
    /// A right entry is among the first k candidates / inside.
    pub recall_at: Keyed,
    /// Mean of 1/rank of the first right candidate, inside; 0 where none is listed.
    pub mrr: Option<Estimate>,
    /// The chance that a question whose best candidate is right has a higher
    /// confidence than one whose is not (or that is outside); ties count half.
    pub auroc: Option<Estimate>,
    /// Expected calibration error over all questions, [`BINS`] bins of equal
    /// width. Drawing again adds noise that looks like miscalibration, so the
    /// interval leans upward.
    pub ece: Option<Estimate>,
    /// The same with bins of (as nearly as ties allow) equally many questions.
    pub ece_equal_mass: Option<Estimate>,
    /// Asked back / all.
    pub clarify_rate: Option<Estimate>,
    /// Handed to a person / all.
    pub handoff_rate: Option<Estimate>,
    /// A right entry is among those offered / asked back, of those inside.
    pub clarify_hit: Option<Estimate>,
    /// Time from text to decision.
    pub latency_us: Option<Latency>,
}

impl Metrics {
    /// Adds up predictions.
    pub fn of<'a>(predictions: impl IntoIterator<Item = &'a Prediction>) -> Self {
        let predictions: Vec<&Prediction> = predictions.into_iter().collect();
        let n = predictions.len();
        let count = |keep: &dyn Fn(&Prediction) -> bool| predictions.iter().filter(|p| keep(p)).count();
        let inside = count(&|p| p.expect.is_inside());
        let outside = n - inside;
        let verdicts = |wanted: Verdict| count(&|p| Verdict::of(p) == wanted);
        let (right, wrong) = (verdicts(Verdict::Right), verdicts(Verdict::Wrong));
        let (clarified, handed_off) = (verdicts(Verdict::Clarify), verdicts(Verdict::Handoff));
        let answered = right + wrong;
        let false_answers = count(&|p| p.decision == Decision::Answer && !p.expect.is_inside());
        let clarified_inside = count(&|p| p.decision == Decision::Clarify && p.expect.is_inside());
        let clarify_hits = count(&|p| {
            p.decision == Decision::Clarify && rank_of_right(p).is_some_and(|rank| rank < p.offered)
        });
        let recall = |k: usize| count(&|p| rank_of_right(p).is_some_and(|rank| rank < k));

        let ranking = Ranking::new(&predictions);
        let (drawn, intervals) = ranking.bootstrap();
        let estimate = |index: usize, n: usize| {
            let (value, [low, high]) = (drawn[index]?, intervals[index]?);
            Some(Estimate { value, low, high, n })
        };
        let mut latencies: Vec<u64> = predictions.iter().map(|p| p.micros).collect();
        latencies.sort_unstable();
        let nearest =
            |share: f64| latencies.get(((share * n as f64).ceil() as usize).saturating_sub(1)).copied();
        let latency_us = match (nearest(0.50), nearest(0.95), nearest(0.99)) {
            (Some(p50), Some(p95), Some(p99)) => Some(Latency { p50, p95, p99 }),
            _ => None,
        };
        Self {
            n,
            inside,
            outside,
            answered,
            right,
            wrong,
            false_answers,
            clarified,
            handed_off,
            answer_rate: Estimate::share(answered, n),
            precision: Estimate::share(right, answered),
            wrong_rate: Estimate::share(wrong, answered),
            false_answer_rate: Estimate::share(false_answers, outside),
            coverage: Estimate::share(right, inside),
            coverage_at_precision: PRECISIONS
                .iter()
                .enumerate()
                .map(|(index, &(key, _))| (key, estimate(index, inside)))
                .collect(),
            recall_at: LENGTHS.iter().map(|&(key, k)| (key, Estimate::share(recall(k), inside))).collect(),
            mrr: estimate(MRR, inside),
            auroc: estimate(AUROC, n),
            ece: estimate(ECE, n),
            ece_equal_mass: estimate(ECE_MASS, n),
            clarify_rate: Estimate::share(clarified, n),
            handoff_rate: Estimate::share(handed_off, n),
            clarify_hit: Estimate::share(clarify_hits, clarified_inside),
            latency_us,
        }
    }

    /// Adds up predictions per tag, in the order of the tags.
    pub fn by_tag(predictions: &[Prediction]) -> BTreeMap<String, Self> {
        let mut groups: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
        for prediction in predictions {
            let mut tags: Vec<&str> = prediction.tags.iter().map(String::as_str).collect();
            // A tag that is written twice still counts its question once.
            tags.sort_unstable();
            tags.dedup();
            for tag in tags {
                groups.entry(tag).or_default().push(prediction);
            }
        }
        groups.into_iter().map(|(tag, group)| (tag.to_owned(), Self::of(group))).collect()
    }

    /// The single numbers under their names, in the order of the report.
    pub fn named(&self) -> [(&'static str, Option<Estimate>); 12] {
        [
            ("answer_rate", self.answer_rate),
            ("precision", self.precision),
            ("wrong_rate", self.wrong_rate),
            ("false_answer_rate", self.false_answer_rate),
            ("coverage", self.coverage),
            ("mrr", self.mrr),
            ("auroc", self.auroc),
            ("ece", self.ece),
            ("ece_equal_mass", self.ece_equal_mass),
            ("clarify_rate", self.clarify_rate),
            ("handoff_rate", self.handoff_rate),
            ("clarify_hit", self.clarify_hit),
        ]
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = |estimate: Option<Estimate>| estimate.map(|e| e.value);
        let interval = |estimate: Option<Estimate>| estimate.map(|e| [e.low, e.high]);
        let groups = [("coverage_at_precision", &self.coverage_at_precision), ("recall_at", &self.recall_at)];
        let mut intervals = serde_json::Map::new();
        let mut map = serializer.serialize_map(None)?;
        for (name, count) in [
            ("n", self.n),
            ("inside", self.inside),
            ("outside", self.outside),
            ("answered", self.answered),
            ("right", self.right),
            ("wrong", self.wrong),
            ("false_answers", self.false_answers),
            ("clarified", self.clarified),
            ("handed_off", self.handed_off),
        ] {
            map.serialize_entry(name, &count)?;
        }
        for (name, estimate) in self.named() {
            map.serialize_entry(name, &value(estimate))?;
            intervals.insert(name.to_owned(), serde_json::json!(interval(estimate)));
        }
        for (name, keyed) in groups {
            let values: serde_json::Map<_, _> =
                keyed.iter().map(|(key, e)| ((*key).to_owned(), serde_json::json!(value(*e)))).collect();
            let ranges: serde_json::Map<_, _> =
                keyed.iter().map(|(key, e)| ((*key).to_owned(), serde_json::json!(interval(*e)))).collect();
            map.serialize_entry(name, &values)?;
            intervals.insert(name.to_owned(), ranges.into());
        }
        map.serialize_entry("latency_us", &self.latency_us)?;
        map.serialize_entry("intervals", &intervals)?;
        map.end()
    }
}

/// Whether the best candidate is right, whatever was decided.
pub fn best_is_right(prediction: &Prediction) -> bool {
    prediction.entry.as_ref().is_some_and(|entry| prediction.expect.accepts(entry))
}

/// The place of the first right candidate, from 0.
fn rank_of_right(prediction: &Prediction) -> Option<usize> {
    prediction.candidates.iter().position(|candidate| prediction.expect.accepts(&candidate.entry))
}

/// One point of the risk–coverage curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Everything from this confidence on is answered.
    pub confidence: f64,
    /// Share of the inside questions that are answered right then.
    pub coverage: f64,
    /// Share of all questions that are answered then.
    pub answered: f64,
    /// Share wrong among the answered.
    pub risk: f64,
}

/// What each threshold on the confidence would give, from high to low.
/// Empty when nothing has a candidate.
pub fn risk_coverage(predictions: &[Prediction]) -> Vec<Point> {
    let inside = predictions.iter().filter(|p| p.expect.is_inside()).count();
    let mut sorted: Vec<&Prediction> = predictions.iter().filter(|p| p.entry.is_some()).collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let (mut answered, mut right) = (0usize, 0usize);
    sorted
        .chunk_by(|a, b| a.confidence == b.confidence)
        .map(|same| {
            answered += same.len();
            right += same.iter().filter(|p| best_is_right(p)).count();
            Point {
                confidence: same[0].confidence,
                coverage: if inside == 0 { 0.0 } else { right as f64 / inside as f64 },
                answered: answered as f64 / predictions.len() as f64,
                risk: (answered - right) as f64 / answered as f64,
            }
        })
        .collect()
}

/// One bin of the reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Questions in it.
    pub n: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them whose best candidate is right.
    pub right: f64,
}

/// The [`BINS`] bins of equal width, those without questions left out.
pub fn reliability(predictions: &[Prediction]) -> Vec<Bin> {
    let mut sums = [(0usize, 0.0, 0usize); BINS];
    for prediction in predictions {
        let sum = &mut sums[bin_of(prediction.confidence)];
        sum.0 += 1;
        sum.1 += prediction.confidence;
        sum.2 += usize::from(best_is_right(prediction));
    }
    let filled = sums.into_iter().filter(|(n, ..)| *n > 0);
    filled
        .map(|(n, confidence, right)| Bin {
            n,
            confidence: confidence / n as f64,
            right: right as f64 / n as f64,
        })
        .collect()
}

/// The bin of equal width that a confidence falls into; 1.0 is in the last one.
pub fn bin_of(confidence: f64) -> usize {
    ((confidence * BINS as f64) as usize).min(BINS - 1)
}

/// Numbers that come from the order of the confidences: places in a [`Numbers`].
const AUROC: usize = PRECISIONS.len();
const ECE: usize = AUROC + 1;
const ECE_MASS: usize = AUROC + 2;
const MRR: usize = AUROC + 3;

/// Coverage at each of [`PRECISIONS`], then the constants above.
type Numbers = [Option<f64>; PRECISIONS.len() + 4];

/// A question as the order of the confidences sees it.
struct Item {
    confidence: f64,
    /// Has a candidate, so that a lower bar would answer it.
    answerable: bool,
    inside: bool,
    right: bool,
    reciprocal_rank: f64,
}

/// Questions by falling confidence. One pass over them, with a count of how
/// often each was drawn, gives all numbers; that keeps the bootstrap cheap.
struct Ranking {
    items: Vec<Item>,
}

impl Ranking {
    fn new(predictions: &[&Prediction]) -> Self {
        let mut items: Vec<Item> = predictions
            .iter()
            .map(|p| Item {
                confidence: p.confidence,
                answerable: p.entry.is_some(),
                inside: p.expect.is_inside(),
                right: best_is_right(p),
                reciprocal_rank: rank_of_right(p).map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
            })
            .collect();
        // Equals are ordered too, so that the order of the query set, which
        // means nothing, cannot move the bootstrap's draws.
        items.sort_by(|a, b| {
            let key = |item: &Item| (item.right, item.inside, item.answerable);
            b.confidence
                .total_cmp(&a.confidence)
                .then(key(b).cmp(&key(a)))
                .then(b.reciprocal_rank.total_cmp(&a.reciprocal_rank))
        });
        Self { items }
    }

    /// The numbers and their intervals.
    fn bootstrap(&self) -> (Numbers, [Option<[f64; 2]>; PRECISIONS.len() + 4]) {
        let n = self.items.len();
        let numbers = self.numbers(&vec![1.0; n]);
        let mut drawn: [Vec<f64>; PRECISIONS.len() + 4] =
            std::array::from_fn(|_| Vec::with_capacity(RESAMPLES));
        let mut dice = Dice(0x5EED);
        let mut counts = vec![0.0; n];
        for _ in 0..if n == 0 { 0 } else { RESAMPLES } {
            counts.fill(0.0);
            for _ in 0..n {
                counts[dice.below(n)] += 1.0;
            }
            for (values, number) in drawn.iter_mut().zip(self.numbers(&counts)) {
                values.extend(number);
            }
        }
        let intervals = std::array::from_fn(|index| {
            let value = numbers[index]?;
            let values = &mut drawn[index];
            values.sort_unstable_by(f64::total_cmp);
            let at = |share: f64| {
                let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
                values.get(place).copied().unwrap_or(value)
            };
            Some([at(0.025).min(value), at(0.975).max(value)])
        });
        (numbers, intervals)
    }

    /// The numbers when each question counts as often as `counts` says.
    fn numbers(&self, counts: &[f64]) -> Numbers {
        let (mut total, mut inside, mut positive, mut ranks) = (0.0, 0.0, 0.0, 0.0);
        for (item, &count) in self.items.iter().zip(counts) {
            total += count;
            positive += if item.right { count } else { 0.0 };
            inside += if item.inside { count } else { 0.0 };
            ranks += if item.inside { count * item.reciprocal_rank } else { 0.0 };
        }
        let negative = total - positive;
        let mut covered = [0.0; PRECISIONS.len()];
        // Sums of confidence and of right ones per bin of equal width.
        let mut width = [(0.0, 0.0); BINS];
        let (mut mass_error, mut mass_bin, mut mass_closed) = (0.0, (0.0, 0.0), 0usize);
        let (mut seen, mut answered, mut right, mut negative_seen, mut pairs) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let mut start = 0;
        while start < self.items.len() {
            let confidence = self.items[start].confidence;
            let (mut group, mut group_right, mut group_answerable) = (0.0, 0.0, 0.0);
            let mut end = start;
            while end < self.items.len() && self.items[end].confidence == confidence {
                let (item, count) = (&self.items[end], counts[end]);
                group += count;
                group_right += if item.right { count } else { 0.0 };
                group_answerable += if item.answerable { count } else { 0.0 };
                end += 1;
            }
            start = end;
            if group == 0.0 {
                continue;
            }
            seen += group;
            answered += group_answerable;
            right += group_right;
            for (covered, (_, precision)) in covered.iter_mut().zip(PRECISIONS) {
                // A hair's breadth, so that 19 of 20 is 0.95.
                if answered > 0.0 && right + 1e-9 >= precision * answered {
                    *covered = right;
                }
            }
            let group_negative = group - group_right;
            negative_seen += group_negative;
            pairs += group_right * (negative - negative_seen + 0.5 * group_negative);
            let bin = &mut width[bin_of(confidence)];
            *bin = (bin.0 + group * confidence, bin.1 + group_right);
            mass_bin = (mass_bin.0 + group * confidence, mass_bin.1 + group_right);
            // Ties stay together, so one large group may fill several bins.
            let filled = ((seen / total) * BINS as f64 + 1e-9).floor() as usize;
            if filled > mass_closed {
                mass_error += (mass_bin.0 - mass_bin.1).abs();
                (mass_bin, mass_closed) = ((0.0, 0.0), filled);
            }
        }
        mass_error += (mass_bin.0 - mass_bin.1).abs();
        let defined = |denominator: f64, numerator: f64| (denominator > 0.0).then(|| numerator / denominator);
        let mut numbers: Numbers = [None; PRECISIONS.len() + 4];
        for (number, covered) in numbers.iter_mut().zip(covered) {
            *number = defined(inside, covered);
        }
        numbers[AUROC] = defined(positive * negative, pairs);
        numbers[ECE] = defined(total, width.iter().map(|(sum, right)| (sum - right).abs()).sum());
        numbers[ECE_MASS] = defined(total, mass_error);
        numbers[MRR] = defined(inside, ranks);
        numbers
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a few lines that give the same draws
/// on every machine and with every version of every library.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::run::PredictedEntry;

    /// `expect` is an id or "" for outside; the candidates stand best first.
    fn told(expect: &str, decision: Decision, confidence: f64, candidates: &[&str]) -> Prediction {
        let id = |id: &str| EntryId(id.to_owned());
        Prediction {
            text: "问".to_owned(),
            expect: if expect.is_empty() { Expect::Outside } else { Expect::One(id(expect)) },
            decision,
            reason: String::new(),
            entry: candidates.first().map(|c| id(c)),
            confidence,
            candidates: candidates.iter().map(|c| PredictedEntry { entry: id(c), confidence }).collect(),
            micros: 100,
            tags: Vec::new(),
            generation: 1,
            offered: 2.min(candidates.len()),
        }
    }

    fn keyed(list: &Keyed, key: &str) -> Option<f64> {
        list.iter().find(|(name, _)| *name == key).and_then(|(_, e)| *e).map(|e| e.value)
    }

    fn near(estimate: Option<Estimate>, expected: f64) {
        let estimate = estimate.expect("defined");
        assert!((estimate.value - expected).abs() < 1e-9, "{estimate:?} is not {expected}");
        assert!(estimate.low <= estimate.value && estimate.value <= estimate.high, "{estimate:?}");
        assert!(estimate.low >= 0.0 && estimate.high <= 1.0, "{estimate:?}");
    }

    fn mixed() -> Vec<Prediction> {
        use Decision::{Answer, Clarify, Handoff};
        vec![
            told("a", Answer, 0.9, &["a"]),
            told("b", Answer, 0.8, &["a", "b"]),
            told("c", Clarify, 0.5, &["x", "c", "y"]),
            told("d", Handoff, 0.0, &[]),
            told("", Answer, 0.7, &["a"]),
            told("", Handoff, 0.1, &["a"]),
        ]
    }

    #[test]
    fn by_hand() {
        let m = Metrics::of(&mixed());
        assert_eq!((m.n, m.inside, m.outside, m.answered, m.right, m.wrong), (6, 4, 2, 3, 1, 2));
        assert_eq!((m.false_answers, m.clarified, m.handed_off), (1, 1, 2));
        near(m.answer_rate, 0.5);
        near(m.precision, 1.0 / 3.0);
        near(m.wrong_rate, 2.0 / 3.0);
        near(m.false_answer_rate, 0.5);
        near(m.coverage, 0.25);
        near(m.clarify_rate, 1.0 / 6.0);
        near(m.handoff_rate, 2.0 / 6.0);
        near(m.clarify_hit, 1.0);
        near(m.mrr, (1.0 + 0.5 + 0.5) / 4.0);
        near(m.auroc, 1.0);
        near(m.ece, (0.1 + 0.8 + 0.5 + 0.0 + 0.7 + 0.1) / 6.0);
        near(m.ece_equal_mass, (0.1 + 0.8 + 0.5 + 0.0 + 0.7 + 0.1) / 6.0);
        assert_eq!(keyed(&m.recall_at, "1"), Some(0.25));
        assert_eq!(keyed(&m.recall_at, "3"), Some(0.75));
        for (key, _) in PRECISIONS {
            assert_eq!(keyed(&m.coverage_at_precision, key), Some(0.25));
        }
        assert_eq!(m.latency_us, Some(Latency { p50: 100, p95: 100, p99: 100 }));
    }

    #[test]
    fn clarify_hits_only_among_the_offered() {
        let mut missed = told("y", Decision::Clarify, 0.5, &["x", "c", "y"]);
        near(Metrics::of([&missed]).clarify_hit, 0.0);
        missed.offered = 3;
        near(Metrics::of([&missed]).clarify_hit, 1.0);
    }

    #[test]
    fn ties_go_together_and_count_half() {
        use Decision::Handoff;
        let mut list = vec![
            told("a", Handoff, 0.5, &["a"]),
            told("a", Handoff, 0.5, &["a"]),
            told("a", Handoff, 0.5, &["b"]),
        ];
        let m = Metrics::of(&list);
        assert_eq!(keyed(&m.coverage_at_precision, "0.80"), Some(0.0));
        near(m.auroc, 0.5);
        list.push(told("a", Handoff, 0.9, &["a"]));
        let m = Metrics::of(&list);
        assert_eq!(keyed(&m.coverage_at_precision, "0.80"), Some(0.25));
        near(m.auroc, (1.0 + 0.5 + 0.5) / 3.0);
        // All ties: one bin holds everything, however many bins there are.
        near(Metrics::of(&list[..3]).ece_equal_mass, 2.0 / 3.0 - 0.5);
    }

    #[test]
    fn nineteen_of_twenty_is_precise_enough() {
        let mut list = vec![told("a", Decision::Answer, 0.9, &["a"]); 19];
        list.push(told("", Decision::Answer, 0.9, &["a"]));
        let m = Metrics::of(&list);
        assert_eq!(keyed(&m.coverage_at_precision, "0.95"), Some(1.0));
        assert_eq!(keyed(&m.coverage_at_precision, "0.98"), Some(0.0));
    }

    #[test]
    fn thresholds_ignore_decisions_and_go_on_after_a_dip() {
        // Right, wrong, then eight right: 0.5 at two, 0.9 at ten.
        let mut list =
            vec![told("a", Decision::Handoff, 0.99, &["a"]), told("a", Decision::Handoff, 0.98, &["b"])];
        list.extend((0..8).map(|i| told("a", Decision::Handoff, 0.9 - f64::from(i) / 100.0, &["a"])));
        let m = Metrics::of(&list);
        assert_eq!(keyed(&m.coverage_at_precision, "0.90"), Some(0.9));
        assert_eq!(keyed(&m.coverage_at_precision, "0.95"), Some(0.1));
        assert_eq!(risk_coverage(&list).last().map(|p| (p.answered, p.coverage)), Some((1.0, 0.9)));
    }

    #[test]
    fn the_undefined_is_null_and_never_nan() {
        let silent = [told("a", Decision::Handoff, 0.0, &[])];
        let strangers = [told("", Decision::Handoff, 0.2, &["a"])];
        for list in [&[][..], &silent[..], &strangers[..]] {
            let m = Metrics::of(list);
            assert!(
                m.precision.is_none()
                    && m.wrong_rate.is_none()
                    && m.auroc.is_none()
                    && m.clarify_hit.is_none()
            );
            let json = serde_json::to_value(&m).expect("serialises");
            assert!(json["precision"].is_null() && json["intervals"]["precision"].is_null());
            // serde_json writes NaN as null; only what has no denominator may be.
            assert_eq!(json["ece"].is_null(), list.is_empty());
            assert_eq!(json["coverage_at_precision"]["0.95"].is_null(), m.inside == 0);
        }
        assert!(Metrics::of([]).latency_us.is_none());
        assert!(risk_coverage(&silent).is_empty());
        assert!(reliability(&[]).is_empty());
    }

    #[test]
    fn the_order_of_the_questions_means_nothing() {
        let mut list = mixed();
        list.extend((0..40).map(|i| {
            told(if i % 3 == 0 { "a" } else { "" }, Decision::Answer, f64::from(i % 7) / 7.0, &["a"])
        }));
        let forward = Metrics::of(&list);
        list.reverse();
        assert_eq!(forward, Metrics::of(&list));
    }

    #[test]
    fn tags_group() {
        let mut list = mixed();
        list[0].tags = vec!["typo".to_owned(), "typo".to_owned()];
        list[1].tags = vec!["typo".to_owned(), "short".to_owned()];
        let tags = Metrics::by_tag(&list);
        let sizes: Vec<(&str, usize)> = tags.iter().map(|(tag, m)| (tag.as_str(), m.n)).collect();
        assert_eq!(sizes, [("short", 1), ("typo", 2)]);
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let list: Vec<Prediction> =
            (1..=100).map(|i| Prediction { micros: i, ..told("a", Decision::Answer, 1.0, &["a"]) }).collect();
        assert_eq!(Metrics::of(&list).latency_us, Some(Latency { p50: 50, p95: 95, p99: 99 }));
    }
}

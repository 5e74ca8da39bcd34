//! What would a threshold on one score do?
//!
//! The usual way to decide is a hand-set threshold: answer when the cosine (or
//! the BM25 score) of the best entry is at least so high. This measures that
//! way, twice:
//!
//! - *transferred*: the threshold that answers most while it keeps the goal on
//!   the other sets, all counting alike, put to the set in question, as an
//!   operator without labelled questions would have to;
//! - *at the same precision*: how much each score answers right when its
//!   threshold is set by the very set that it is measured on. That flatters the
//!   thresholds; zhida's confidence is measured the same way beside them.

use super::compare::Paired;
use super::evidence::{Line, Seen, Verdict};
use super::metrics::Estimate;
use crate::decide::Decision;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// The score of BM25's best entry.
    Bm25,
    /// The cosine of the encoder's best entry.
    Cosine,
    /// zhida's calibrated confidence, generation 2.
    Zhida,
}

impl Score {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Bm25, Self::Cosine, Self::Zhida];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bm25 => "BM25",
            Self::Cosine => "cosine",
            Self::Zhida => "zhida",
        }
    }
}

/// A question as one score sees it: the score, whether its best entry is
/// right, whether the knowledge base knows an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// The best entry's score; 0 when there is none.
    pub score: f64,
    /// Whether that entry is right.
    pub right: bool,
    /// Whether an entry is right at all.
    pub inside: bool,
}

/// The questions of a set that no exact match settles, as a score sees them.
pub fn asked(lines: &[Line], score: Score) -> Vec<Asked> {
    lines
        .iter()
        .filter_map(|line| line.trace.as_ref().filter(|seen| seen.exact.is_none()).map(|seen| (line, seen)))
        .map(|(line, seen)| {
            let best = match score {
                Score::Bm25 => seen.lexical.first().map(|hit| (&hit.entry, hit.score)),
                Score::Cosine => seen.semantic.first().map(|hit| (&hit.entry, hit.score)),
                Score::Zhida => seen.generation2.candidates.first().map(|c| (&c.entry, c.confidence)),
            };
            Asked {
                score: best.map_or(0.0, |(_, score)| score),
                right: best.is_some_and(|(entry, _)| line.expect.accepts(entry)),
                inside: line.expect.is_inside(),
            }
        })
        .collect()
}

/// What a threshold does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Answers from this score on.
    pub threshold: f64,
    /// Questions answered.
    pub answered: usize,
    /// Answered right.
    pub right: usize,
    /// Wrong among the answered.
    pub wrong_rate: Option<Estimate>,
    /// Answered right among those inside.
    pub coverage: Option<Estimate>,
    /// Answered among those outside.
    pub false_answer_rate: Option<Estimate>,
}

/// The lowest threshold that keeps the goal on some sets, all counting alike;
/// infinite when none does.
pub fn tuned(sets: &[&[Asked]], goal: f64) -> f64 {
    let mut all: Vec<(f64, bool, f64)> = Vec::new();
    for set in sets {
        let weight = 1.0 / set.len().max(1) as f64;
        all.extend(set.iter().map(|asked| (asked.score, asked.right, weight)));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut answered, mut wrong, mut threshold) = (0.0, 0.0, f64::INFINITY);
    for same in all.chunk_by(|a, b| a.0 == b.0) {
        for (_, right, weight) in same {
            answered += weight;
            wrong += if *right { 0.0 } else { *weight };
        }
        // A hair's breadth, so that 1 of 10 is 1 - 0.9.
        if wrong <= goal * answered + 1e-9 * answered {
            threshold = same[0].0;
        }
    }
    threshold
}

/// What a threshold does on a set.
pub fn apply(set: &[Asked], threshold: f64) -> Kept {
    let answered: Vec<&Asked> = set.iter().filter(|asked| asked.score >= threshold).collect();
    let count = |wanted: &dyn Fn(&Asked) -> bool| answered.iter().filter(|asked| wanted(asked)).count();
    let right = count(&|asked| asked.right);
    let inside = set.iter().filter(|asked| asked.inside).count();
    Kept {
        threshold,
        answered: answered.len(),
        right,
        wrong_rate: Estimate::share(answered.len() - right, answered.len()),
        coverage: Estimate::share(right, inside),
        false_answer_rate: Estimate::share(count(&|asked| !asked.inside), set.len() - inside),
    }
}

/// The share of the questions inside that is answered right at a precision,
/// by the best threshold for this very set; `None` when nothing is inside.
pub fn at_precision(set: &[Asked], precision: f64) -> Option<f64> {
    let inside = set.iter().filter(|asked| asked.inside).count();
    let right = apply(set, tuned(&[set], 1.0 - precision)).right;
    (inside > 0).then(|| right as f64 / inside as f64)
}

/// What the order of the stages costs: generation 1 answers first where it is
/// sure, and the encoder runs only for the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cascade {
    /// Wrong / answered when the encoder always runs and generation 2 decides.
    pub alone: Option<Estimate>,
    /// Wrong / answered in the engine's order.
    pub cascade: Option<Estimate>,
    /// Answered right: before is generation 2 alone, after is the cascade.
    pub right: Paired,
    /// Answered wrong, likewise.
    pub wrong: Paired,
    /// Questions that the encoder need not read.
    pub spared: usize,
}

/// Compares the engine's order with generation 2 alone, over the questions
/// that no exact match settles.
pub fn cascade(lines: &[Line]) -> Cascade {
    /// Whether it answers, and rightly.
    fn deed(line: &Line, verdict: &Verdict) -> (bool, bool) {
        let answers = verdict.decision == Some(Decision::Answer);
        let right = verdict.candidates.first().is_some_and(|best| line.expect.accepts(&best.entry));
        (answers && right, answers && !right)
    }
    /// Whether generation 1 is sure enough that the encoder need not run.
    fn is_first(seen: &Seen) -> bool {
        let best = seen.generation1.candidates.first();
        seen.generation1.decision == Some(Decision::Answer)
            && best.is_some_and(|best| best.confidence >= seen.exit)
    }
    let deeds: Vec<[(bool, bool); 2]> = lines
        .iter()
        .filter_map(|line| line.trace.as_ref().filter(|seen| seen.exact.is_none()).map(|seen| (line, seen)))
        .map(|(line, seen)| {
            let two = deed(line, &seen.generation2);
            [two, if is_first(seen) { deed(line, &seen.generation1) } else { two }]
        })
        .collect();
    let rate = |which: usize| {
        let wrong = deeds.iter().filter(|deed| deed[which].1).count();
        let right = deeds.iter().filter(|deed| deed[which].0).count();
        Estimate::share(wrong, wrong + right)
    };
    let spared = |line: &&Line| {
        let seen = line.trace.as_ref().filter(|seen| seen.exact.is_none());
        seen.is_some_and(is_first)
    };
    Cascade {
        alone: rate(0),
        cascade: rate(1),
        right: Paired::new(deeds.iter().map(|deed| (deed[0].0, deed[1].0))),
        wrong: Paired::new(deeds.iter().map(|deed| (deed[0].1, deed[1].1))),
        spared: lines.iter().filter(spared).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &[(f64, bool, bool)]) -> Vec<Asked> {
        list.iter().map(|&(score, right, inside)| Asked { score, right, inside }).collect()
    }

    #[test]
    fn a_threshold_keeps_the_goal_where_it_was_tuned() {
        let easy = set(&[(0.9, true, true), (0.8, true, true), (0.7, false, false), (0.6, true, true)]);
        assert_eq!(tuned(&[&easy], 0.25), 0.6, "one of four is wrong");
        assert_eq!(tuned(&[&easy], 0.2), 0.8);
        assert_eq!(tuned(&[&set(&[(0.5, false, true)])], 0.05), f64::INFINITY);
        let kept = apply(&easy, 0.7);
        assert_eq!((kept.answered, kept.right), (3, 2));
        assert_eq!(kept.false_answer_rate.map(|e| e.value), Some(1.0));
        assert_eq!(at_precision(&easy, 0.9), Some(2.0 / 3.0));
        assert_eq!(at_precision(&[], 0.9), None);
    }

    #[test]
    fn the_cascade_answers_what_either_generation_answers() {
        let line = |one: (&str, &str), two: (&str, &str)| -> Line {
            let verdict = |(decision, entry): (&str, &str)| serde_json::json!({"decision": decision, "candidates": [{"entry": entry, "confidence": 0.9}], "evidence": null});
            serde_json::from_value(serde_json::json!({
                "text": "?", "expect": "a",
                "trace": {"exact": null, "lexical": [], "semantic": [], "generation1": verdict(one), "exit": 0.8, "generation2": verdict(two)},
            }))
            .unwrap()
        };
        let found = cascade(&[
            line(("answer", "a"), ("handoff", "a")),
            line(("answer", "b"), ("answer", "a")),
            line(("handoff", "b"), ("answer", "a")),
            line(("clarify", "b"), ("clarify", "a")),
            line(("handoff", "b"), ("", "")),
        ]);
        assert_eq!(found.spared, 2);
        assert_eq!(
            (found.right.before, found.right.after, found.right.gained, found.right.lost),
            (2, 2, 1, 1)
        );
        assert_eq!((found.wrong.before, found.wrong.after), (0, 1));
        assert_eq!(found.cascade.map(|e| (e.value * 3.0).round()), Some(1.0));
    }

    #[test]
    fn equal_scores_go_together_and_sets_count_alike() {
        let tied = set(&[(0.9, true, true), (0.9, false, true)]);
        assert_eq!(tuned(&[&tied], 0.4), f64::INFINITY);
        let large = set(&[(0.9, true, true); 100]);
        let small = set(&[(0.9, false, true)]);
        assert_eq!(tuned(&[&large, &small], 0.4), f64::INFINITY, "half of the weight is wrong");
    }
}

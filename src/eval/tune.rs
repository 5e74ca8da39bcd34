//! Which goal would serve these customers best?
//!
//! A goal is kept on calibration questions; how a knowledge base's own
//! customers compare with these only labelled questions tell. [`trade_off`]
//! asks them all at several goals, [`propose`] picks the goal to *set* so that
//! the goal that is *wanted* is kept on them.

use serde::Serialize;

use super::dataset::LabelledQuery;
use super::metrics::{Estimate, Verdict};
use super::run;
use crate::decide::policy::GOALS;
use crate::decide::{Decision, Generation};
use crate::engine::{Engine, Options};
use crate::error::Result;

/// What one goal gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// The goal that was set: at most this share wrong among the answered.
    pub max_wrong: f64,
    /// The confidence from which on the generation answers.
    pub bar: f64,
    /// Questions answered.
    pub answered: usize,
    /// Answered / all.
    pub answer_rate: Option<Share>,
    /// Wrong / answered.
    pub wrong_rate: Option<Share>,
    /// Answered right / inside.
    pub coverage: Option<Share>,
    /// Answered / outside.
    pub false_answer_rate: Option<Share>,
    /// Asked back / all.
    pub clarify_rate: Option<Share>,
}

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// The share.
    pub value: f64,
    /// Its interval (Wilson).
    pub interval: [f64; 2],
}

impl From<Share> for Estimate {
    fn from(Share { value, interval: [low, high] }: Share) -> Self {
        Self { value, low, high, n: 0 }
    }
}

fn share(hits: usize, n: usize) -> Option<Share> {
    Estimate::share(hits, n).map(|e| Share { value: e.value, interval: [e.low, e.high] })
}

/// Asks an engine every question at each of [`GOALS`]. `progress` hears how
/// many are done, of all goals together.
///
/// # Errors
/// What the engine fails with.
pub fn trade_off(
    engine: &Engine,
    queries: &[LabelledQuery],
    generation: Generation,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Choice>> {
    let options = Options { generation, ..Options::default() };
    GOALS
        .iter()
        .enumerate()
        .map(|(index, &max_wrong)| {
            let engine = engine.with_goal(max_wrong);
            let before = index * queries.len();
            let predictions = run::predict(&engine, queries, options, &|done| progress(before + done))?;
            let count = |wanted: Verdict| predictions.iter().filter(|p| Verdict::of(p) == wanted).count();
            let (right, wrong) = (count(Verdict::Right), count(Verdict::Wrong));
            let inside = queries.iter().filter(|query| query.expect.is_inside()).count();
            let falsely = predictions
                .iter()
                .filter(|p| p.decision == Decision::Answer && !p.expect.is_inside())
                .count();
            Ok(Choice {
                max_wrong,
                bar: engine.policy(generation).bar.value(),
                answered: right + wrong,
                answer_rate: share(right + wrong, queries.len()),
                wrong_rate: share(wrong, right + wrong),
                coverage: share(right, inside),
                false_answer_rate: share(falsely, queries.len() - inside),
                clarify_rate: share(count(Verdict::Clarify), queries.len()),
            })
        })
        .collect()
}

/// Of the goals whose answers to these questions were wrong at most as often
/// as is wanted, the one that answers most; `None` when none answers anything
/// so well.
pub fn propose(choices: &[Choice], wanted: f64) -> Option<&Choice> {
    let kept = |choice: &&Choice| choice.wrong_rate.is_some_and(|rate| rate.value <= wanted);
    let right = |choice: &Choice| choice.coverage.map_or(0.0, |coverage| coverage.value);
    // Of equals the stricter goal, which comes first.
    choices.iter().filter(kept).rev().max_by(|a, b| right(a).total_cmp(&right(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(max_wrong: f64, right: usize, wrong: usize) -> Choice {
        Choice {
            max_wrong,
            bar: 0.9,
            answered: right + wrong,
            answer_rate: share(right + wrong, 100),
            wrong_rate: share(wrong, right + wrong),
            coverage: share(right, 70),
            false_answer_rate: share(0, 30),
            clarify_rate: share(0, 100),
        }
    }

    #[test]
    fn the_proposal_answers_most_within_what_is_wanted() {
        let choices = [
            choice(0.01, 0, 0),
            choice(0.02, 20, 0),
            choice(0.05, 40, 1),
            choice(0.08, 40, 2),
            choice(0.1, 50, 10),
        ];
        assert_eq!(propose(&choices, 0.05).map(|c| c.max_wrong), Some(0.05), "the stricter of two equals");
        assert_eq!(propose(&choices, 0.02).map(|c| c.max_wrong), Some(0.02));
        assert_eq!(propose(&choices, 0.5).map(|c| c.max_wrong), Some(0.1));
        assert_eq!(propose(&choices[..1], 0.5), None, "silence keeps every goal and serves nobody");
    }
}

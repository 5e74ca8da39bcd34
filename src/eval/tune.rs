//! Which goal would serve these customers best?
//!
//! A goal is kept on calibration questions; how a knowledge base's own
//! customers compare with these only labelled questions tell. [`trade_off`]
//! asks them all at several goals, [`propose`] picks the goal to *set* so that
//! the goal that is *wanted* is kept on them.

use serde::Serialize;

use super::dataset::LabelledQuery;
use super::metrics::{Estimate, Metrics};
use super::run;
use crate::decide::Generation;
use crate::decide::policy::GOALS;
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
    pub answer_rate: Option<Estimate>,
    /// Wrong / answered.
    pub wrong_rate: Option<Estimate>,
    /// Answered right / inside.
    pub coverage: Option<Estimate>,
    /// Answered / outside.
    pub false_answer_rate: Option<Estimate>,
    /// Asked back / all.
    pub clarify_rate: Option<Estimate>,
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
            let metrics = Metrics::of(&predictions);
            Ok(Choice {
                max_wrong,
                bar: engine.policy(generation).bar.value(),
                answered: metrics.answered,
                answer_rate: metrics.answer_rate,
                wrong_rate: metrics.wrong_rate,
                coverage: metrics.coverage,
                false_answer_rate: metrics.false_answer_rate,
                clarify_rate: metrics.clarify_rate,
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
            answer_rate: Estimate::share(right + wrong, 100),
            wrong_rate: Estimate::share(wrong, right + wrong),
            coverage: Estimate::share(right, 70),
            false_answer_rate: Estimate::share(0, 30),
            clarify_rate: Estimate::share(0, 100),
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

//! What is asked more than last week, and has anything drifted?
//!
//! A burst is a question or an entry that was asked more in the last seven days
//! than the seven days before explain by chance: counts are taken for Poisson's,
//! so of two that are really alike the later one has its share of both by a
//! coin, and a burst is what the coin would do once in a thousand times.
//!
//! What moves all questions together is drift ([`crate::events::drift`]).

use std::collections::BTreeMap;

use serde::Serialize;

use super::asked::{Asked, Questions};
use crate::events::drift::{ByDay, Drift, drift};
use crate::events::{Day, Days};

/// A burst is what chance does less often than this.
const CHANCE: f64 = 0.001;

/// Fewer questions than these are no burst.
const LEAST: u64 = 5;

/// Examples that are shown.
const EXAMPLES: usize = 3;

/// Something that is asked more than the week before.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Burst {
    /// The entry, or `null` for a question without an answer.
    pub entry: Option<String>,
    /// The wordings asked most.
    pub examples: Vec<String>,
    /// Asked in the last seven days.
    pub count: u64,
    /// Asked in the seven days before.
    pub before: u64,
    /// How likely chance alone would do that.
    pub p_value: f64,
}

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// What is asked more, the most surprising first.
    pub bursts: Vec<Burst>,
    /// Days out of the band, the last one first.
    pub drift: Vec<Drift>,
    /// All questions of the last seven days.
    pub questions: u64,
    /// All questions of the seven days before; of 0 nothing can be said to have grown.
    pub questions_before: u64,
    /// Nodes whose questions are not among these: they could not be asked.
    pub missing_nodes: Vec<String>,
}

/// Looks at the questions up to a day, and at the sums of the days before it.
pub fn report(questions: &Questions, sums: &ByDay, today: Day) -> Report {
    let week = Days { from: today.plus(-6), to: today };
    let (now, then) = weeks(today);
    Report {
        bursts: bursts(questions, today),
        drift: drift(sums, week),
        questions: total(questions, now),
        questions_before: total(questions, then),
        missing_nodes: questions.missing.clone(),
    }
}

/// The last seven days, and the seven before.
fn weeks(today: Day) -> (Days, Days) {
    let week = |from: i64, to: i64| Days { from: today.plus(from), to: today.plus(to) };
    (week(-6, 0), week(-13, -7))
}

fn total(questions: &Questions, days: Days) -> u64 {
    questions.all.iter().map(|asked| asked.between(days)).sum()
}

fn bursts(questions: &Questions, today: Day) -> Vec<Burst> {
    let (now, then) = weeks(today);
    // More customers overall make no burst of every question.
    let (all, all_before) = (total(questions, now).max(1) as f64, total(questions, then) as f64);
    let share = all / (all + all_before);
    type Counts<'a> = (u64, u64, Vec<&'a Asked>);
    let mut subjects: BTreeMap<(Option<&str>, &str), Counts<'_>> = BTreeMap::new();
    for asked in &questions.all {
        // Answered ones by entry; others stand for themselves.
        let key = match &asked.answer {
            Some(entry) => (Some(entry.as_str()), ""),
            None => (None, asked.text.as_str()),
        };
        let (count, before, own) = subjects.entry(key).or_default();
        *count += asked.between(now);
        *before += asked.between(then);
        own.push(asked);
    }
    let mut found: Vec<Burst> = subjects
        .into_iter()
        .filter(|(_, (count, ..))| *count >= LEAST && all_before > 0.0)
        .map(|((entry, _), (count, before, mut own))| {
            own.sort_by_key(|asked| std::cmp::Reverse(asked.between(now)));
            Burst {
                entry: entry.map(str::to_owned),
                examples: own.iter().take(EXAMPLES).map(|asked| asked.text.clone()).collect(),
                count,
                before,
                p_value: at_least(count, count + before, share),
            }
        })
        .filter(|burst| burst.p_value < CHANCE)
        .collect();
    found.sort_by(|a, b| a.p_value.total_cmp(&b.p_value).then(b.count.cmp(&a.count)));
    found
}

/// The probability of at least so many of `n` by a coin that shows heads with
/// the probability `p`.
fn at_least(count: u64, n: u64, p: f64) -> f64 {
    // Terms of the sum by their logarithms, each from the one before.
    let (mut log_term, mut sum) = (n as f64 * (1.0 - p).max(1e-300).ln(), 0.0);
    for k in 0..=n {
        if k >= count {
            sum += log_term.exp();
        }
        log_term += ((n - k) as f64 / (k + 1) as f64).ln() + (p / (1.0 - p).max(1e-300)).ln();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().expect("a day")
    }

    fn asked(text: &str, days: &[(Day, u64)], unanswered: u64) -> Asked {
        let count = days.iter().map(|(_, count)| count).sum();
        Asked {
            text: text.to_owned(),
            count,
            unanswered,
            days: days.iter().copied().collect(),
            ..Asked::default()
        }
    }

    #[test]
    fn a_burst_is_more_than_all_questions_grew_by() {
        let today = day("2026-11-27");
        let (now, then) = (today.plus(-1), today.plus(-8));
        let all = vec![
            asked("快递停运了吗", &[(then, 2), (now, 40)], 0),
            asked("怎么退货", &[(then, 50), (now, 100)], 0),
            asked("怎么开票", &[(then, 60), (now, 95)], 0),
        ];
        let found = report(&Questions { all, ..Questions::default() }, &ByDay::new(), today).bursts;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].examples[0].as_str(), found[0].count, found[0].before), ("快递停运了吗", 40, 2));
    }

    #[test]
    fn the_coin_is_fair() {
        assert!((at_least(1, 2, 0.5) - 0.75).abs() < 1e-12);
        assert!((at_least(0, 10, 0.3) - 1.0).abs() < 1e-9);
        assert!(at_least(30, 30, 0.5) < 1e-8);
    }
}

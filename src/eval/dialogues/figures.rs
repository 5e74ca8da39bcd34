//! What do played conversations add up to?

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::play::{Played, Reply, Talk, Verdict};
use super::script::Split;
use crate::decide::Decision;
use crate::eval::metrics::Estimate;
use crate::eval::report::table::Table;

/// The figures of some turns, in their conversations or alone. Shares carry
/// Wilson's 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The turns.
    pub n: usize,
    /// Turns whose decision is right: the right entry answered, or none where
    /// none is right.
    pub accuracy: Option<Estimate>,
    /// Turns whose right entry was answered or offered.
    pub served: Option<Estimate>,
    /// Wrong answers among all turns.
    pub wrong: Option<Estimate>,
    /// Wrong answers among those that answered with an entry: what a goal limits.
    pub wrong_rate: Option<Estimate>,
    /// Turns that were read as they are meant.
    pub reading: Option<Estimate>,
    /// From text to decision, in microseconds: the median and the 95th percentile.
    pub latency_us: [u64; 2],
}

/// The same turns in their conversations and alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Both {
    /// In their conversations.
    pub with: Figures,
    /// Alone.
    pub without: Figures,
}

/// Everything that is told of some played conversations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Conversations.
    pub dialogues: usize,
    /// Turns about a list that was not shown, or not with what is wanted.
    pub left_out: usize,
    /// All turns.
    pub all: Both,
    /// Those that were held back.
    pub test: Both,
    /// Those that were written late.
    pub late: Both,
    /// By knowledge base, by how they are meant, by tag.
    pub by: BTreeMap<String, Both>,
}

impl Figures {
    fn of<'a>(turns: impl Iterator<Item = (&'a Played, &'a Reply)>) -> Self {
        let turns: Vec<(&Played, &Reply)> = turns.collect();
        let n = turns.len();
        let count = |holds: &dyn Fn(&Played, &Reply) -> bool| {
            turns.iter().filter(|(turn, reply)| holds(turn, reply)).count()
        };
        let wrong = count(&|_, reply| reply.verdict == Verdict::Wrong);
        let answered = count(&|_, reply| reply.decision == Decision::Answer && !reply.entries.is_empty());
        let mut micros: Vec<u64> = turns.iter().map(|(_, reply)| reply.micros).collect();
        micros.sort_unstable();
        let percentile =
            |share: usize| micros.get((n * share / 100).min(n.saturating_sub(1))).copied().unwrap_or(0);
        Self {
            n,
            accuracy: Estimate::share(count(&|_, reply| reply.verdict == Verdict::Right), n),
            served: Estimate::share(
                count(&|_, reply| matches!(reply.verdict, Verdict::Right | Verdict::Offered)),
                n,
            ),
            wrong: Estimate::share(wrong, n),
            wrong_rate: Estimate::share(wrong, answered),
            reading: Estimate::share(count(&|turn, reply| reply.reading == turn.meant), n),
            latency_us: [percentile(50), percentile(95)],
        }
    }
}

impl Both {
    fn of<'a>(turns: impl Iterator<Item = &'a Played> + Clone) -> Self {
        Self {
            with: Figures::of(turns.clone().map(|turn| (turn, &turn.with))),
            without: Figures::of(turns.map(|turn| (turn, &turn.without))),
        }
    }
}

impl Summary {
    /// Adds up talks.
    pub fn of(talks: &[Talk]) -> Self {
        let turns = || talks.iter().flat_map(|talk| &talk.turns);
        let groups = |turn: &Played| {
            let own = turn.tags.iter().cloned();
            std::iter::once(format!("kb {}", turn.kb)).chain(own).collect::<BTreeSet<String>>()
        };
        let names: BTreeSet<String> = turns().flat_map(groups).collect();
        let by = names.into_iter().map(|name| {
            let both = Both::of(turns().filter(|turn| groups(turn).contains(&name)));
            (name, both)
        });
        Self {
            dialogues: talks.len(),
            left_out: talks.iter().map(|talk| talk.left_out).sum(),
            all: Both::of(turns()),
            test: Both::of(turns().filter(|turn| turn.split == Split::Test)),
            late: Both::of(turns().filter(|turn| turn.split == Split::Late)),
            by: by.collect(),
        }
    }

    /// The figures for people.
    pub fn table(&self) -> Table {
        let head = [
            "turns",
            "n",
            "right alone",
            "right",
            "right or offered",
            "wrong alone",
            "wrong",
            "wrong of answered",
            "read as meant",
        ];
        let share = |estimate: Option<Estimate>| {
            estimate.map_or("–".to_owned(), |e| {
                format!("{:.1} ({:.1}–{:.1})", e.value * 100.0, e.low * 100.0, e.high * 100.0)
            })
        };
        let row = |name: &str, both: &Both| {
            vec![
                name.to_owned(),
                both.with.n.to_string(),
                share(both.without.accuracy),
                share(both.with.accuracy),
                share(both.with.served),
                share(both.without.wrong),
                share(both.with.wrong),
                share(both.with.wrong_rate),
                share(both.with.reading),
            ]
        };
        let mut rows = vec![row("all", &self.all), row("held back", &self.test), row("late", &self.late)];
        rows.extend(self.by.iter().map(|(name, both)| row(name, both)));
        Table { head: head.map(str::to_owned).to_vec(), rows }
    }
}

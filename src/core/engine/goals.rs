//! Which goals do single entries have?

use crate::decide::policy::{Policies, Rankings};
use crate::kb::Entry;

/// The policies of goals that single entries have, by rising goal.
#[derive(Clone, Default)]
pub(super) struct Goals {
    own: Vec<Own>,
}

#[derive(Clone)]
struct Own {
    policies: Policies,
    /// How many entries have this goal.
    entries: usize,
}

impl Goals {
    pub(super) fn of(entries: &[Entry], rankings: &Rankings) -> Self {
        let mut goals = Self::default();
        // What is switched off is a place that a live edit left free.
        for goal in entries.iter().filter(|entry| entry.enabled).filter_map(|entry| entry.max_wrong) {
            goals.add(goal, rankings);
        }
        goals
    }

    /// Counts an entry with a goal of its own. The first one with a goal has
    /// its policies drawn.
    pub(super) fn add(&mut self, goal: f64, rankings: &Rankings) {
        match self.place(goal) {
            Ok(index) => self.own[index].entries += 1,
            Err(index) => self.own.insert(index, Own { policies: rankings.policies(goal), entries: 1 }),
        }
    }

    /// Counts one entry less. With the last one its goal goes.
    pub(super) fn remove(&mut self, goal: f64) {
        if let Ok(index) = self.place(goal) {
            self.own[index].entries -= 1;
            if self.own[index].entries == 0 {
                self.own.remove(index);
            }
        }
    }

    /// The policies of a goal that an entry has.
    pub(super) fn policies(&self, goal: f64) -> Option<&Policies> {
        self.place(goal).ok().map(|index| &self.own[index].policies)
    }

    fn place(&self, goal: f64) -> Result<usize, usize> {
        self.own.binary_search_by(|own| own.policies.one.max_wrong.total_cmp(&goal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Confidence;
    use crate::decide::calibrate::Outcome;

    #[test]
    fn a_goal_is_there_as_long_as_an_entry_has_it() {
        let outcomes: Vec<Option<Outcome>> = (0..1000)
            .map(|index| Some(Outcome(Confidence::new(1.0 - f64::from(index) / 1e3), index % 40 != 7, 1.0)))
            .collect();
        let rankings = Rankings::new(&outcomes, None);
        let entry = |max_wrong, enabled| {
            let mut entry: Entry =
                serde_json::from_str(r#"{"id":"a","question":"问","answer":"答"}"#).unwrap();
            (entry.max_wrong, entry.enabled) = (max_wrong, enabled);
            entry
        };
        let entries =
            [entry(Some(0.05), true), entry(None, true), entry(Some(0.01), true), entry(Some(0.02), false)];
        let mut goals = Goals::of(&entries, &rankings);
        let known =
            |goals: &Goals| goals.own.iter().map(|own| own.policies.one.max_wrong).collect::<Vec<_>>();
        assert_eq!(known(&goals), [0.01, 0.05], "an entry that was taken away has no goal");
        goals.add(0.05, &rankings);
        goals.add(0.03, &rankings);
        assert_eq!(known(&goals), [0.01, 0.03, 0.05]);
        for goal in [0.01, 0.03, 0.05] {
            assert_eq!(goals.policies(goal), Some(&rankings.policies(goal)));
        }
        assert_eq!(goals.policies(0.02), None);
        goals.remove(0.05);
        goals.remove(0.01);
        assert_eq!(known(&goals), [0.03, 0.05], "another entry has it still");
        goals.remove(0.05);
        goals.remove(0.05);
        assert_eq!(known(&goals), [0.03]);
    }
}

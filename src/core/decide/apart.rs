//! What do entries that look alike teach, and whom?
//!
//! "iPhone 15 多少钱" stands beside "iPhone 15 Pro Max 多少钱", and nothing here
//! knows one from the other. When the knowledge base asks itself about either
//! with that one taken away, the other answers, wrongly and surer than anything
//! else. That is true of these two and says nothing of the rest; over all
//! questions alike it would move the regression, raise the bar for everybody,
//! and silence a whole knowledge base for the sake of one pair.
//!
//! So the calibration questions are sorted by something that is known when a
//! customer asks, as in Mondrian conformal prediction (Vovk et al. 2005, section
//! 4.5): whether the best candidate has a look-alike. Which entries have one is
//! told from their texts, never from how the questions end. A question whose
//! best candidate has one says from which confidence on this one entry may
//! answer. In the regression and in the common bar it counts the less the fewer
//! such entries there are: a few are anecdotes, hundreds of them say that
//! customers of this trade will also ask for the likes of entries that have no
//! look-alike here.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::calibrate::Outcome;
use super::policy::{Policy, Ranking};
use crate::kb::EntryId;

/// Two phrasings look alike when they share this much of their characters and
/// pairs, by idf …
const SAME_SHARE: f32 = 0.6;

/// … or less of them, when the model puts them very near each other. In the
/// shipped knowledge bases about one entry in twenty has a look-alike by both.
const NEAR_SHARE: f32 = 0.45;
const NEAR_COSINE: f32 = 0.93;

/// Whether two phrasings, of two entries, look alike by their common share and
/// their cosine.
pub fn look_alike(share: f32, cosine: Option<f32>) -> bool {
    share >= SAME_SHARE || share >= NEAR_SHARE && cosine.is_some_and(|cosine| cosine >= NEAR_COSINE)
}

/// With this many entries that have a look-alike, what these teach counts half
/// for the rest. Measured on small knowledge bases with 2 to 15 such entries,
/// where one pair must not matter, and on the development sets, made from
/// published paraphrases, with 59 to 184, which do not keep their goals without
/// (corpora/README.md).
const HALF_FOR_ALL_AT: f64 = 50.0;

/// How much of what look-alikes teach counts for all entries, by the number of
/// entries that have one.
pub fn share_for_all(entries: usize) -> f64 {
    // Steep: five pairs among fifty entries are still five pairs.
    let (many, half) = ((entries as f64).powi(4), HALF_FOR_ALL_AT.powi(4));
    many / (many + half)
}

/// A calibration question whose best candidate has a look-alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apart {
    /// The best candidate.
    pub found: EntryId,
    /// The entry whose phrasing was asked; `None` for a question of others.
    pub asked: Option<EntryId>,
    /// What came of it, at its full weight.
    pub outcome: Outcome,
}

/// The questions of one generation whose best candidates have look-alikes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LookAlikes {
    questions: Vec<Apart>,
    /// By the best candidate.
    rankings: HashMap<EntryId, Ranking>,
}

/// What the likeness of two entries costs them under a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The two.
    pub entries: [EntryId; 2],
    /// How often one of them was asked its own question and one of them came first …
    pub asked: usize,
    /// … how often that was the other one, surely enough for an answer elsewhere …
    pub confused: usize,
    /// … and how often it was the right one, surely enough for an answer
    /// elsewhere and not enough for one here.
    pub silenced: usize,
}

impl LookAlikes {
    /// Sorts the questions by their best candidates.
    pub fn new(questions: &[Apart]) -> Self {
        let mut outcomes: HashMap<&EntryId, Vec<Option<Outcome>>> = HashMap::new();
        for question in questions {
            outcomes.entry(&question.found).or_default().push(Some(question.outcome));
        }
        let rankings = outcomes.into_iter().map(|(id, outcomes)| (id.clone(), Ranking::new(&outcomes)));
        Self { rankings: rankings.collect(), questions: questions.to_vec() }
    }

    /// The policies of entries whose bar is above the common one.
    pub fn policies(&self, common: &Policy) -> HashMap<EntryId, Policy> {
        let own = self.rankings.iter().map(|(id, ranking)| (id, Policy::for_look_alike(common, ranking)));
        own.filter(|(_, policy)| policy.bar > common.bar).map(|(id, policy)| (id.clone(), policy)).collect()
    }

    /// The pairs that cost something, the dearest first.
    pub fn costs(&self, common: &Policy) -> Vec<Cost> {
        let own = self.policies(common);
        let sure = |question: &&Apart| question.outcome.0 >= common.bar;
        let mut pairs: BTreeMap<[EntryId; 2], Cost> = BTreeMap::new();
        for Apart { found, asked, .. } in self.questions.iter().filter(sure) {
            let Some(asked) = asked.as_ref().filter(|asked| *asked != found) else { continue };
            if !own.contains_key(found) {
                continue;
            }
            let mut entries = [asked.clone(), found.clone()];
            entries.sort();
            let cost = Cost { entries: entries.clone(), asked: 0, confused: 0, silenced: 0 };
            pairs.entry(entries).or_insert(cost).confused += 1;
        }
        for cost in pairs.values_mut() {
            let within = |question: &&Apart| {
                let of_both = |id: &EntryId| cost.entries.contains(id);
                of_both(&question.found) && question.asked.as_ref().is_some_and(of_both)
            };
            let asked: Vec<&Apart> = self.questions.iter().filter(within).collect();
            cost.asked = asked.len();
            let below = |question: &&Apart| {
                own.get(&question.found).is_some_and(|policy| question.outcome.0 < policy.bar)
            };
            let right = asked.iter().copied().filter(sure).filter(|question| question.outcome.1);
            cost.silenced = right.filter(below).count();
        }
        let mut costs: Vec<Cost> = pairs.into_values().collect();
        costs.sort_by_key(|cost| std::cmp::Reverse(cost.confused + cost.silenced));
        costs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Confidence;
    use crate::decide::policy::Group;

    fn id(name: &str) -> EntryId {
        EntryId(name.to_owned())
    }

    fn apart(asked: &str, found: &str, confidence: f64) -> Apart {
        let outcome = Outcome(Confidence::new(confidence), asked == found, 1.0);
        Apart { found: id(found), asked: Some(id(asked)), outcome }
    }

    fn common() -> Policy {
        let right: Vec<_> = (0..200).map(|_| Some(Outcome(Confidence::new(0.9), true, 1.0))).collect();
        Policy::for_goal(0.05, &Ranking::new(&right))
    }

    #[test]
    fn an_entry_is_as_sure_as_it_was_right() {
        let common = common();
        assert_eq!(common.bar.value(), 0.9);
        let questions = [
            // Taken for each other from the top on.
            apart("a", "b", 0.99),
            apart("b", "b", 0.95),
            apart("b", "a", 0.98),
            // Right, and wrong only below that.
            apart("c", "c", 0.97),
            apart("c", "c", 0.96),
            apart("d", "c", 0.93),
            // Told apart: wrong only where nobody answers.
            apart("c", "d", 0.5),
            apart("d", "d", 0.94),
        ];
        let found = LookAlikes::new(&questions);
        let policies = found.policies(&common);
        let bar = |name: &str| policies.get(&id(name)).map(|policy| policy.bar.value());
        assert_eq!((bar("a"), bar("b"), bar("c"), bar("d")), (Some(1.0), Some(1.0), Some(0.96), None));
        assert!(policies.values().all(|policy| policy.group == Group::LookAlike));
        let costs = found.costs(&common);
        assert_eq!(costs.len(), 2, "{costs:?}");
        let dear = Cost { entries: [id("a"), id("b")], asked: 3, confused: 2, silenced: 1 };
        assert_eq!(costs[0], dear);
        let cheap = Cost { entries: [id("c"), id("d")], asked: 5, confused: 1, silenced: 0 };
        assert_eq!(costs[1], cheap);
    }

    #[test]
    fn a_looser_goal_has_no_higher_bar() {
        let wrong_one_in = |every: u32| -> Vec<Apart> {
            (0..60u32)
                .map(|index| {
                    let asked = if index % every == every - 1 { "b" } else { "a" };
                    apart(asked, "a", 0.99 - f64::from(index) * 1e-3)
                })
                .collect()
        };
        for every in [2, 5, 10, 30] {
            let found = LookAlikes::new(&wrong_one_in(every));
            let bars: Vec<f64> = [0.01, 0.05, 0.1, 0.3]
                .iter()
                .map(|&goal| {
                    let common = Policy { max_wrong: goal, ..common() };
                    found.policies(&common).get(&id("a")).map_or(common.bar, |policy| policy.bar).value()
                })
                .collect();
            assert!(bars.is_sorted_by(|strict, loose| strict >= loose), "1 in {every}: {bars:?}");
        }
    }

    #[test]
    fn likeness_is_told_from_texts() {
        assert!(look_alike(0.7, None) && look_alike(0.5, Some(0.95)));
        assert!(!look_alike(0.5, None) && !look_alike(0.5, Some(0.9)) && !look_alike(0.3, Some(0.99)));
    }
}

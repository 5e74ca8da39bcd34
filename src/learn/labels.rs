//! What does use say of right and wrong?
//!
//! What an author decided is a label by hand. Beside it stands what customers and
//! agents did: an agent's choice is nearly always right; a click says that an entry
//! was the best of those that were offered; a word on an answer comes from few, and
//! from the unhappy ones sooner; silence says nothing. So each counts by how often
//! it is true, and all of a question together never as much as a label by hand.
//!
//! Publications leave out what was learned ([`Decided::learned`]) and use none of
//! these: `zhida eval loop` says what they would add.

use std::collections::HashSet;

use super::asked::{Asked, Votes};
use crate::kb::EntryId;
use crate::release::Labelled;
use crate::store::Decided;
use crate::text::exact_key;

/// What one voice of each kind counts, and all of a question at most.
const AGENT: f64 = 0.6;
const CLICK: f64 = 0.35;
const SOLVED: f64 = 0.25;
const UNSOLVED: f64 = 0.25;
const MOST: f64 = 0.7;

/// The labels from decisions, and with them, if there are any, those from use.
pub fn of(decided: &[Decided], questions: &[Asked]) -> Vec<Labelled> {
    let mut labels: Vec<Labelled> = decided.iter().filter_map(Decided::label).collect();
    let known: HashSet<String> = labels.iter().map(|one| exact_key(&one.text)).collect();
    let open = questions.iter().filter(|asked| !known.contains(&exact_key(&asked.text)));
    labels.extend(open.filter_map(of_use));
    labels
}

/// What use says of a question.
fn of_use(asked: &Asked) -> Option<Labelled> {
    let label = |right, weight: f64| Labelled {
        text: asked.text.clone(),
        right,
        weight: weight.min(MOST),
        learned: true,
    };
    if let Some((entry, votes)) = asked.confirmed() {
        let Votes { clicked, agents, solved, .. } = votes;
        let weight = AGENT * agents as f64 + CLICK * clicked as f64 + SOLVED * solved as f64;
        return Some(label(vec![EntryId(entry.to_owned())], weight));
    }
    // The answer did not help, and nothing else was said to be right.
    let unsolved: u64 = asked.votes.values().map(|votes| votes.unsolved).sum();
    let voices: u64 = asked.votes.values().map(|votes| votes.clicked + votes.agents + votes.solved).sum();
    (unsolved > 0 && voices == 0).then(|| label(Vec::new(), UNSOLVED * unsolved as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, entry: &str, votes: Votes) -> Asked {
        Asked { text: text.to_owned(), votes: [(entry.to_owned(), votes)].into(), ..Asked::default() }
    }

    #[test]
    fn use_never_counts_as_much_as_a_hand_and_gives_way_to_it() {
        let decided = Decided {
            id: "s1".to_owned(),
            kind: "similar".to_owned(),
            entry: Some("a".to_owned()),
            text: "怎么退".to_owned(),
            count: 1,
            verdict: "accepted".to_owned(),
            revision: None,
        };
        let questions = [
            asked("怎么退？", "b", Votes { agents: 9, ..Votes::default() }),
            asked("钱呢", "b", Votes { agents: 9, clicked: 4, ..Votes::default() }),
            asked("发货了吗", "b", Votes { unsolved: 1, ..Votes::default() }),
            asked("在吗", "b", Votes::default()),
        ];
        let labels = of(&[decided], &questions);
        let told: Vec<(&str, usize, f64)> =
            labels.iter().map(|one| (one.text.as_str(), one.right.len(), one.weight)).collect();
        assert_eq!(told, [("怎么退", 1, 1.0), ("钱呢", 1, MOST), ("发货了吗", 0, UNSOLVED)]);
    }
}

//! Which entries are wrong themselves, whatever words they are asked in?

use std::collections::{BTreeMap, HashSet};

use super::group::{SHOWN, draft};
use super::{Halves, Kind, Near, Suggestion, Trial};
use crate::engine::Engine;
use crate::kb::{Entry, EntryId};
use crate::learn::asked::{Asked, Votes};
use crate::retrieve::exact::Match;
use crate::text::grams;

/// Answers that did not help before an entry is suspected to be outdated, and
/// their share of all that was said.
const OUTDATED: (u64, f64) = (3, 0.5);

/// Times that each of two entries was taken for the same question before they are
/// suspected to be one.
const MERGED: u64 = 2;

/// What two answers must share of their pairs of characters to say the same.
const SAME_ANSWER: f64 = 0.6;

/// What was said of each entry.
pub(super) fn said(questions: &[Asked]) -> BTreeMap<&str, Votes> {
    let mut said: BTreeMap<&str, Votes> = BTreeMap::new();
    for (entry, votes) in questions.iter().flat_map(|asked| &asked.votes) {
        let sum = said.entry(entry).or_default();
        sum.clicked += votes.clicked;
        sum.agents += votes.agents;
        sum.solved += votes.solved;
        sum.unsolved += votes.unsolved;
    }
    said
}

/// The entry that a question is stored in, as a phrasing or a keyword: nothing is to be
/// added for it, and no other entry can have it.
pub(super) fn owner<'a>(engine: &'a Engine, text: &str) -> Option<&'a Entry> {
    let release = engine.release();
    let hit = release.exact().find(&release.analyzer().normalize(text), |_| true);
    let hit = hit.filter(|hit| matches!(hit.how, Match::Question | Match::Keyword));
    hit.map(|hit| &release.entries()[hit.entry])
}

/// Entries whose answers do not help, whatever words they are asked in, or do not help
/// who asks in their own words. Those that are to be `split` are known to be two.
pub(super) fn outdated(engine: &Engine, questions: &[Asked], split: &HashSet<&str>) -> Vec<Suggestion> {
    let mut said: BTreeMap<&str, (Votes, Vec<&Asked>, bool)> = BTreeMap::new();
    for asked in questions {
        // A question that belongs elsewhere says nothing against the answer.
        let elsewhere = asked.confirmed().map(|(entry, _)| entry);
        for (entry, votes) in &asked.votes {
            if asked.answer.as_ref() != Some(entry) {
                continue;
            }
            // Whoever asks a stored question and is not helped gets no other phrasing: it is
            // the answer that somebody has to look at.
            let own_words = votes.unsolved > votes.solved
                && owner(engine, &asked.text).is_some_and(|owner| owner.id.0 == *entry);
            if own_words || elsewhere.is_none_or(|right| right == entry) {
                let (sum, own, stored) = said.entry(entry).or_default();
                sum.solved += votes.solved;
                sum.unsolved += votes.unsolved;
                own.push(asked);
                *stored |= own_words;
            }
        }
    }
    let mut found = Vec::new();
    for (id, (votes, mut own, stored)) in said {
        let share = votes.unsolved as f64 / (votes.unsolved + votes.solved).max(1) as f64;
        let Some(entry) = engine.release().entry(&EntryId(id.to_owned())) else { continue };
        let many = votes.unsolved >= OUTDATED.0 && share > OUTDATED.1;
        if !many && (!stored || split.contains(id)) {
            continue;
        }
        let mut why = format!("{} 次回答后客户说没有解决，{} 次说解决了", votes.unsolved, votes.solved);
        if stored {
            why.push_str("；问的就是条目里已有的问法，请看答案是不是还对");
            own.sort_by_key(|asked| std::cmp::Reverse(asked.disliked));
        }
        let text = entry.question.clone();
        found.push(Suggestion {
            id: Suggestion::id_of(Kind::Outdated, Some(id), &entry.answer),
            kind: Kind::Outdated,
            entry: Some(id.to_owned()),
            other: None,
            text,
            examples: own.iter().take(SHOWN).map(|asked| asked.text.clone()).collect(),
            count: own.iter().map(|asked| asked.count).sum(),
            gain: 0,
            harm: 0,
            sure: false,
            confirmed: 0,
            against: votes.unsolved,
            why,
            draft: draft(own.into_iter()),
            halves: None,
            nearest: Vec::new(),
            group: None,
            trial: Trial::default(),
        });
    }
    found
}

/// Pairs of entries that customers and agents take for one another, and whose
/// answers say the same: the one that is taken more often should be the only one.
pub(super) fn merged(engine: &Engine, questions: &[Asked]) -> Vec<Suggestion> {
    let mut pairs: BTreeMap<[&str; 2], (Votes, Votes, Vec<&Asked>)> = BTreeMap::new();
    for asked in questions {
        let taken: Vec<(&str, Votes)> = asked
            .votes
            .iter()
            .filter(|(_, votes)| votes.clicked + votes.agents + votes.solved > votes.unsolved)
            .map(|(entry, votes)| (entry.as_str(), *votes))
            .collect();
        for (at, (one, own)) in taken.iter().enumerate() {
            for (other, its) in &taken[at + 1..] {
                let (first, second, questions) = pairs.entry([one, other]).or_default();
                for (sum, votes) in [(first, own), (second, its)] {
                    sum.clicked += votes.clicked;
                    sum.agents += votes.agents;
                    sum.solved += votes.solved;
                }
                questions.push(asked);
            }
        }
    }
    let known = |id: &str| engine.release().entry(&EntryId(id.to_owned()));
    let mut found = Vec::new();
    for ([one, other], (first, second, mut own)) in pairs {
        let times = |votes: &Votes| votes.clicked + votes.agents + votes.solved;
        let (Some(a), Some(b)) = (known(one), known(other)) else { continue };
        if times(&first) < MERGED || times(&second) < MERGED || !say_the_same(engine, a, b) {
            continue;
        }
        let (kept, gone) = if times(&first) >= times(&second) { (a, b) } else { (b, a) };
        own.sort_by_key(|asked| std::cmp::Reverse(asked.count));
        found.push(Suggestion {
            id: Suggestion::id_of(Kind::Merge, Some(&kept.id.0), &gone.id.0),
            kind: Kind::Merge,
            entry: Some(kept.id.0.clone()),
            other: Some(gone.id.0.clone()),
            text: kept.question.clone(),
            examples: own.iter().take(SHOWN).map(|asked| asked.text.clone()).collect(),
            count: own.iter().map(|asked| asked.count).sum(),
            gain: 0,
            harm: 0,
            sure: false,
            confirmed: times(&first) + times(&second),
            against: 0,
            why: format!(
                "同样的 {} 个问法，客户和坐席 {} 次选“{}”，{} 次选“{}”，两个答案说的是一件事",
                own.len(),
                times(&first),
                a.question,
                times(&second),
                b.question
            ),
            draft: None,
            halves: Some(Halves::merged(kept, gone)),
            nearest: [kept, gone].into_iter().map(Near::surely).collect(),
            group: None,
            trial: Trial::default(),
        });
    }
    found
}

/// Whether the answers of two entries say the same.
fn say_the_same(engine: &Engine, one: &Entry, other: &Entry) -> bool {
    let grams = |entry: &Entry| {
        let mut grams = grams(&engine.release().analyzer().normalize(&entry.answer).core);
        grams.sort();
        grams.dedup();
        grams
    };
    let (mine, its) = (grams(one), grams(other));
    let shared = mine.iter().filter(|gram| its.binary_search(gram).is_ok()).count();
    let all = mine.len() + its.len();
    all > 0 && 2.0 * shared as f64 / all as f64 >= SAME_ANSWER
}

//! Which words stand for each other, and which must not?
//!
//! A question that somebody joined with an entry is laid beside the phrasing of
//! it that has most words in common. Where exactly one word of each is left over,
//! customers say one for the other. The same, of an answer that did not help:
//! those two words must not be taken for each other.

use std::collections::{BTreeMap, HashSet};

use super::{Kind, Suggestion};
use crate::engine::Engine;
use crate::kb::EntryId;
use crate::learn::asked::Asked;

/// Different questions that must speak for a pair of words.
const QUESTIONS: usize = 2;

/// Phrasings of an entry that are looked at.
const PHRASINGS: usize = 50;

/// Examples that are kept.
const EXAMPLES: usize = 5;

/// Two words, with the questions that speak for the pair.
#[derive(Default)]
struct Pair {
    questions: Vec<String>,
    count: u64,
    agents: u64,
}

/// Suggestions about words, those that most speaks for first.
pub(super) fn words(engine: &Engine, questions: &[Asked]) -> Vec<Suggestion> {
    let mut pairs: BTreeMap<(Kind, String, String), Pair> = BTreeMap::new();
    for asked in questions {
        let confirmed = asked.confirmed().map(|(entry, votes)| (entry.to_owned(), votes));
        if let Some((entry, votes)) = &confirmed
            && let Some((known, own)) = exchanged(engine, &asked.text, entry)
        {
            let pair = pairs.entry((Kind::Synonym, known, own)).or_default();
            pair.take(asked, votes.clicked + votes.agents + votes.solved);
            pair.agents += votes.agents;
        }
        for (entry, votes) in asked.votes.iter().filter(|(_, votes)| votes.unsolved > 0) {
            let Some((known, own)) = exchanged(engine, &asked.text, entry) else { continue };
            let other = confirmed.as_ref().filter(|(right, _)| right != entry);
            // Where the right entry is known, the word must be one of its own.
            if other.is_some_and(|(right, _)| !says(engine, right, &own)) || says(engine, entry, &own) {
                continue;
            }
            let pair = pairs.entry((Kind::Contrast, known, own)).or_default();
            pair.take(asked, votes.unsolved);
            pair.agents += other.map_or(0, |(_, votes)| votes.agents);
        }
    }
    // What an answer got wrong must not be suggested as the same.
    let apart: HashSet<(String, String)> = pairs
        .keys()
        .filter(|(kind, ..)| *kind == Kind::Contrast)
        .map(|(_, a, b)| (a.clone(), b.clone()))
        .collect();
    let mut found: Vec<Suggestion> = pairs
        .into_iter()
        .filter(|((kind, a, b), pair)| {
            let enough = pair.questions.len() >= QUESTIONS || pair.agents > 0;
            enough && (*kind == Kind::Contrast || !apart.contains(&(a.clone(), b.clone())))
        })
        .map(|((kind, a, b), pair)| pair.suggestion(kind, &a, &b))
        .collect();
    found.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.id.cmp(&b.id)));
    found
}

impl Pair {
    fn take(&mut self, asked: &Asked, count: u64) {
        self.questions.push(asked.text.clone());
        self.count += count;
    }

    fn suggestion(mut self, kind: Kind, a: &str, b: &str) -> Suggestion {
        let questions = self.questions.len();
        self.questions.truncate(EXAMPLES);
        let text = format!("{a}|{b}");
        let why = match kind {
            Kind::Synonym => format!("客户问“{b}”时，{questions} 个问法被确认是在问“{a}”"),
            _ => format!("{questions} 个问“{b}”的问法得到了“{a}”的答案，客户说没有解决"),
        };
        Suggestion {
            id: Suggestion::id_of(kind, None, &text),
            kind,
            entry: None,
            other: None,
            text,
            examples: self.questions,
            count: self.count,
            gain: 0,
            harm: 0,
            sure: false,
            confirmed: 0,
            against: 0,
            why,
            draft: None,
            halves: None,
            nearest: Vec::new(),
            group: None,
            trial: super::Trial::default(),
        }
    }
}

/// The words of a text that say something of the matter.
fn content(engine: &Engine, text: &str) -> Option<Vec<String>> {
    let query = engine.release().analyzer().query(text).ok()?;
    let tokens = query.tokens.into_iter().filter(|token| !token.stop);
    let mut words: Vec<String> =
        tokens.map(|token| token.canonical).filter(|word| word.chars().any(char::is_alphanumeric)).collect();
    words.sort();
    words.dedup();
    Some(words)
}

/// The phrasings of an entry.
fn phrasings<'a>(engine: &'a Engine, entry: &str) -> impl Iterator<Item = &'a str> {
    let found = engine.release().entry(&EntryId(entry.to_owned()));
    found.into_iter().flat_map(|entry| entry.phrasings()).take(PHRASINGS)
}

/// Whether a phrasing of an entry has a word.
fn says(engine: &Engine, entry: &str, word: &str) -> bool {
    phrasings(engine, entry)
        .any(|text| content(engine, text).is_some_and(|words| words.iter().any(|one| one == word)))
}

/// The word of an entry's phrasing and the one of the question that stands in its
/// place, where those are all that differs.
fn exchanged(engine: &Engine, question: &str, entry: &str) -> Option<(String, String)> {
    let asked = content(engine, question)?;
    let mut best: Option<(usize, (String, String))> = None;
    for text in phrasings(engine, entry) {
        let known = content(engine, text)?;
        let shared = asked.iter().filter(|word| known.contains(word)).count();
        if shared == 0 || asked.len() != shared + 1 || known.len() != shared + 1 {
            continue;
        }
        let own = asked.iter().find(|word| !known.contains(word));
        let its = known.iter().find(|word| !asked.contains(word));
        if let (Some(own), Some(its)) = (own, its)
            && own.chars().count() > 1
            && its.chars().count() > 1
            && best.as_ref().is_none_or(|(most, _)| shared > *most)
        {
            best = Some((shared, (its.clone(), own.clone())));
        }
    }
    best.map(|(_, pair)| pair)
}

//! Which phrasings has each of two entries, after a split or a merger?
//!
//! An author who is told “split this” would still have to sort the phrasings. So
//! they are sorted beforehand: a phrasing goes with the questions that the answer
//! does not help, when it comes nearer to them than to the entry's own question
//! and to those that it helps, and is likely to mean the same as one of them.

use serde::{Deserialize, Serialize};

use super::Suggestion;
use super::review::place;
use crate::engine::Engine;
use crate::error::Result;
use crate::kb::{Entry, EntryId};
use crate::learn::asked::Asked;
use crate::learn::groups::{Memory, SAME, Teacher};
use crate::text::exact_key;

/// Questions of each half that phrasings are compared with.
const COMPARED: usize = 30;

/// Which phrasings each of two entries has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SuggestedHalves)]
pub struct Halves {
    /// Those of the entry that is there, its standard question first.
    pub stays: Vec<String>,
    /// Of a split: what the new entry gets beside its question, the entry's phrasings
    /// first, then what customers asked. Of a merger: what the entry that stays gets.
    pub goes: Vec<String>,
}

impl Halves {
    /// Of two entries that become one: nothing is left behind.
    pub(super) fn merged(kept: &Entry, gone: &Entry) -> Self {
        let all = |entry: &Entry| entry.phrasings().map(str::to_owned).collect();
        Self { stays: all(kept), goes: all(gone) }
    }

    /// Of an entry that is split for the questions of a group; `None` when the
    /// suggestion is about no entry that is there.
    pub(super) fn split(
        engine: &Engine,
        teacher: &Teacher,
        memory: &mut Memory,
        suggestion: &Suggestion,
        unhelped: &[&Asked],
        questions: &[Asked],
    ) -> Result<Option<Self>> {
        let id = suggestion.entry.clone().map(EntryId);
        let Some(entry) = id.as_ref().and_then(|id| engine.release().entry(id)) else { return Ok(None) };
        let helped = questions.iter().filter(|asked| {
            let votes = asked.votes.get(&entry.id.0);
            votes.is_some_and(|votes| votes.weight() > 0.0)
        });
        let near: Vec<&str> = unhelped.iter().take(COMPARED).map(|asked| asked.text.as_str()).collect();
        let own = std::iter::once(entry.question.as_str());
        let far: Vec<&str> = own.chain(helped.take(COMPARED).map(|asked| asked.text.as_str())).collect();
        let texts = entry.similar.iter().map(String::as_str);
        let places = place(engine, memory, texts.chain(near.iter().copied()).chain(far.iter().copied()))?;
        let (likeness, space) = (teacher.likeness(&places)?, teacher.space(&places));
        let count = entry.similar.len();
        let nearest = |at: usize, among: std::ops::Range<usize>| {
            among.map(|other| space.score(at, other)).fold(f32::NEG_INFINITY, f32::max)
        };
        let title = exact_key(&suggestion.text);
        let mut halves = Self { stays: vec![entry.question.clone()], goes: Vec::new() };
        for (at, text) in entry.similar.iter().enumerate() {
            let to_it = nearest(at, count..count + near.len());
            let to_own = nearest(at, count + near.len()..count + near.len() + far.len());
            let same = likeness.probability(f64::from(to_it)) >= f64::from(SAME);
            if exact_key(text) == title {
                continue;
            }
            if same && to_it > to_own { &mut halves.goes } else { &mut halves.stays }.push(text.clone());
        }
        for text in &suggestion.examples {
            let key = exact_key(text);
            if !halves.goes.iter().chain(&halves.stays).any(|known| exact_key(known) == key) {
                halves.goes.push(text.clone());
            }
        }
        Ok(Some(halves))
    }
}

/// An entry without some of its phrasings; its standard question stays.
pub(super) fn without(entry: &Entry, texts: &[String]) -> Entry {
    let keys: Vec<String> = texts.iter().map(|text| exact_key(text)).collect();
    let mut left = entry.clone();
    left.similar.retain(|known| !keys.contains(&exact_key(known)));
    left
}

/// Adds phrasings that an entry does not have.
pub(super) fn add(entry: &mut Entry, texts: &[String]) {
    for text in texts {
        let key = exact_key(text);
        if !entry.phrasings().any(|known| exact_key(known) == key) {
            entry.similar.push(text.clone());
        }
    }
}

/// Two entries as the one that stays.
pub(super) fn as_one(kept: &Entry, gone: &Entry) -> Entry {
    let mut both = kept.clone();
    add(&mut both, &gone.phrasings().map(str::to_owned).collect::<Vec<_>>());
    let keywords = gone.keywords.iter().filter(|one| !kept.keywords.contains(one));
    both.keywords.extend(keywords.cloned());
    both.rules.extend(gone.rules.iter().filter(|one| !kept.rules.contains(one)).cloned());
    both.related.extend(gone.related.iter().filter(|one| !kept.related.contains(one)).cloned());
    both.related.retain(|id| *id != kept.id && *id != gone.id);
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, similar: &[&str]) -> Entry {
        let mut entry = Entry::of(EntryId(id.to_owned()), format!("{id}怎么办"), "答案".to_owned());
        entry.similar = similar.iter().map(|&text| text.to_owned()).collect();
        entry
    }

    #[test]
    fn what_leaves_an_entry_and_comes_to_another_is_neither_lost_nor_doubled() {
        let both = as_one(&entry("甲", &["共有", "甲一"]), &entry("乙", &["共有？", "乙一"]));
        assert_eq!(both.phrasings().collect::<Vec<_>>(), ["甲怎么办", "共有", "甲一", "乙怎么办", "乙一"]);
        let left = without(&both, &["共有！".to_owned(), "甲怎么办".to_owned()]);
        assert_eq!(left.phrasings().collect::<Vec<_>>(), ["甲怎么办", "甲一", "乙怎么办", "乙一"]);
    }

    #[test]
    fn related_entries_of_both_are_kept_but_for_the_two_themselves() {
        let (mut kept, mut gone) = (entry("甲", &[]), entry("乙", &[]));
        kept.related = vec![gone.id.clone(), EntryId("丙".to_owned())];
        gone.related = vec![kept.id.clone(), EntryId("丁".to_owned())];
        let related = as_one(&kept, &gone).related;
        assert_eq!(related, [EntryId("丙".to_owned()), EntryId("丁".to_owned())]);
    }
}

//! What may only one entry have?
//!
//! Entries are looked at one after the other; the first one that has an id, a
//! phrasing or a keyword keeps it, and a later one hears where it stands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rayon::prelude::*;

use super::{Located, alone};
use crate::error::Problem;
use crate::kb::{self, EntryId};
use crate::text::exact_key;

/// What is wrong with an id that another row has.
pub(super) const DOUBLED: &str = "每个编号只能用一次";

/// What is compared of an entry's phrasings and keywords, in their order. Most of the
/// time that reading a large file takes goes into these.
pub(super) struct Keys {
    phrasings: Vec<String>,
    keywords: Vec<String>,
}

impl Keys {
    fn of(entry: &kb::Entry) -> Self {
        Self {
            phrasings: entry.phrasings().map(exact_key).collect(),
            keywords: entry.keywords.iter().map(|keyword| exact_key(keyword)).collect(),
        }
    }

    /// Those of many entries, in their order, on all cores.
    pub(super) fn of_all(located: &[Located]) -> Vec<Self> {
        located.par_iter().map(|one| Self::of(&one.entry)).collect()
    }
}

/// What the entries so far have.
#[derive(Default)]
pub(super) struct Claims<'a> {
    ids: HashMap<&'a EntryId, &'a Located>,
    questions: HashMap<&'a str, &'a Located>,
    keywords: HashMap<&'a str, &'a Located>,
}

impl<'a> Claims<'a> {
    /// Everything that is wrong with an entry beside those so far, which it
    /// joins whatever is wrong.
    pub(super) fn add(&mut self, one: &'a Located, keys: &'a Keys) -> Vec<Problem> {
        let problems = self.faults(one, keys);
        self.join(one, keys);
        problems
    }

    /// The same; an entry with a fault does not join, so that nobody is
    /// blamed for having something in common with it.
    pub(super) fn add_if_sound(&mut self, one: &'a Located, keys: &'a Keys) -> Vec<Problem> {
        let problems = self.faults(one, keys);
        if problems.is_empty() {
            self.join(one, keys);
        }
        problems
    }

    /// What is wrong with the id of an entry that has other faults, and no more: nobody is
    /// blamed for having something else in common with it. An id is another matter: of two rows
    /// that have it one would take the other's place as soon as the fault is mended.
    pub(super) fn name(&mut self, one: &'a Located) -> Option<Problem> {
        if one.has_derived_id() {
            return None;
        }
        match self.ids.entry(&one.entry.id) {
            Entry::Occupied(first) => Some(doubled(one, first.get())),
            Entry::Vacant(place) => {
                place.insert(one);
                None
            }
        }
    }

    /// Takes an entry for sound.
    pub(super) fn join(&mut self, one: &'a Located, keys: &'a Keys) {
        if self.ids.contains_key(&one.entry.id) {
            return;
        }
        self.ids.insert(&one.entry.id, one);
        for key in &keys.phrasings {
            self.questions.entry(key).or_insert(one);
        }
        for key in &keys.keywords {
            self.keywords.entry(key).or_insert(one);
        }
    }

    fn faults(&self, one: &Located, keys: &Keys) -> Vec<Problem> {
        let entry = &one.entry;
        if let Some(first) = self.ids.get(&entry.id) {
            return vec![doubled(one, first)];
        }
        let mut problems = Vec::new();
        alone(one, &mut problems);
        for (index, (text, key)) in entry.phrasings().zip(&keys.phrasings).enumerate() {
            let field = if index == 0 { "question" } else { "similar" };
            if key.is_empty() {
                problems.push(one.problem(field, format!("问法“{text}”只有标点或空白，请删除或改写")));
                continue;
            }
            // The same question twice in one entry does no harm; `kb check` mentions it.
            if let Some(first) = self.questions.get(key.as_str()) {
                let message = format!(
                    "问法“{text}”在{}的“{}”（{}）下已经有了，同一个问题只能属于一个条目",
                    first.place(one),
                    first.entry.id,
                    first.entry.question
                );
                problems.push(one.problem(field, message));
            }
        }
        for (keyword, key) in entry.keywords.iter().zip(&keys.keywords) {
            if key.is_empty() {
                problems.push(one.problem("keywords", format!("关键词“{keyword}”只有标点或空白，请删除")));
                continue;
            }
            if let Some(first) = self.keywords.get(key.as_str()) {
                let message = format!(
                    "关键词“{keyword}”在{}的“{}”（{}）下已经有了",
                    first.place(one),
                    first.entry.id,
                    first.entry.question
                );
                problems.push(one.problem("keywords", message));
            }
        }
        problems
    }
}

/// What is wrong with an entry whose id another one has.
pub(super) fn doubled(one: &Located, first: &Located) -> Problem {
    let (entry, place) = (&one.entry, first.place(one));
    // Ids that were derived are equal because the questions are.
    if one.has_derived_id() {
        return one
            .problem("question", format!("问题“{}”在{place}已经有了，请合并成一个条目", entry.question));
    }
    let of = &first.entry.question;
    one.problem("id", format!("编号“{}”在{place}已经用过（问题是“{of}”），{DOUBLED}", entry.id))
}

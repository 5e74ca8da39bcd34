//! Which entries could it be?
//!
//! Three matchers look at the phrasings of the published entries: [`exact`]
//! settles a question, [`lexical`] and [`semantic`] rank entries, and
//! [`wording`] knows what else these say. Every score here is raw: scores of
//! different matchers share no scale, and only `decide` may compare them. Which
//! phrasings are looked at another engine may say ([`elsewhere`]).

pub mod elsewhere;
pub mod exact;
pub mod lexical;
pub mod semantic;
pub mod wording;

use std::collections::HashSet;

use crate::kb::Entry;
use crate::text::{Analyzer, Normalized};

/// One way to ask for an entry, in the order of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrasing {
    /// Position of its entry in the release.
    pub entry: usize,
    /// As the author wrote it.
    pub text: String,
    /// Its normal forms.
    pub normalized: Normalized,
}

/// The phrasings of an entry. One that stands twice under it counts once: its twin would
/// be found when it is asked without itself.
pub fn distinct<'a>(entry: &'a Entry, analyzer: &Analyzer) -> impl Iterator<Item = (&'a str, Normalized)> {
    let mut seen = HashSet::new();
    entry.phrasings().filter_map(move |text| {
        let normalized = analyzer.normalize(text);
        seen.insert(normalized.exact.clone()).then_some((text, normalized))
    })
}

/// All phrasings of some entries.
pub fn phrasings(entries: &[Entry], analyzer: &Analyzer) -> Vec<Phrasing> {
    let of = |(index, entry)| {
        let all = distinct(entry, analyzer);
        all.map(move |(text, normalized)| Phrasing { entry: index, text: text.to_owned(), normalized })
    };
    entries.iter().enumerate().flat_map(of).collect()
}

/// Stands for the entry of a phrasing that is not there any more.
pub const GONE: usize = usize::MAX;

/// An entry that a matcher found, by its best phrasing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Position of the entry in the release.
    pub entry: usize,
    /// Position of the phrasing that scored best.
    pub phrasing: usize,
    /// The matcher's own score.
    pub score: f32,
}

/// What a search must not find. Calibration asks a knowledge base its own
/// questions, and a question must not find itself then; a customer must not
/// find what is outside its time or was not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Except<'a> {
    /// Everything may be found.
    #[default]
    Nothing,
    /// One phrasing is not there.
    Phrasing(usize),
    /// A whole entry is not there.
    Entry(usize),
    /// The entries whose place says `true` are not there.
    Entries(&'a [bool]),
}

impl Except<'_> {
    /// Whether a phrasing of an entry must not be found.
    pub fn hides(self, phrasing: usize, entry: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Phrasing(hidden) => hidden == phrasing,
            Self::Entry(hidden) => hidden == entry,
            Self::Entries(hidden) => hidden[entry],
        }
    }
}

/// Best first; equal scores in the order of the release.
fn by_score(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.entry.cmp(&b.entry)).then(a.phrasing.cmp(&b.phrasing))
}

//! Does the text settle the question outright?

use std::collections::HashMap;

use regex::Regex;

use super::Phrasing;
use crate::kb::{Entry, Rule};
use crate::text::{Normalized, exact_key};

/// How a text settled the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// It equals a standard or similar question.
    Question,
    /// It is nothing but a keyword of the entry.
    Keyword,
    /// A rule of the entry fired.
    Rule,
}

/// An entry that claims the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Position of the entry in the release.
    pub entry: usize,
    /// Why.
    pub how: Match,
}

/// The matcher for whole questions, keywords and rules.
///
/// In a release every question and keyword has one owner. A live edit may
/// claim one that a published entry has and the draft has not any more; then
/// the edit comes first.
#[derive(Clone, Default)]
pub struct Exact {
    questions: HashMap<String, Owners>,
    keywords: HashMap<String, Owners>,
    /// In the order of the release.
    rules: Vec<Claim>,
}

/// Positions of entries, the one that is asked first in front.
type Owners = Vec<usize>;

#[derive(Clone)]
struct Claim {
    /// The entry's place among all that have rules.
    order: i64,
    entry: usize,
    rule: Compiled,
}

#[derive(Clone)]
enum Compiled {
    Exact(String),
    Contains { all: Vec<String>, none: Vec<String> },
    Regex { pattern: Regex, none: Vec<String> },
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self, regex::Error> {
        let keys = |texts: &[String]| texts.iter().map(|text| exact_key(text)).collect();
        Ok(match rule {
            Rule::Exact { exact } => Self::Exact(exact_key(exact)),
            Rule::Contains { contains, without } => {
                Self::Contains { all: keys(contains), none: keys(without) }
            }
            Rule::Regex { regex, without } => {
                Self::Regex { pattern: Rule::pattern(regex)?, none: keys(without) }
            }
        })
    }

    fn fires(&self, key: &str) -> bool {
        let free_of = |none: &[String]| !none.iter().any(|word| key.contains(word.as_str()));
        match self {
            Self::Exact(text) => key == text,
            Self::Contains { all, none } => {
                all.iter().all(|word| key.contains(word.as_str())) && free_of(none)
            }
            Self::Regex { pattern, none } => pattern.is_match(key) && free_of(none),
        }
    }
}

impl Exact {
    /// Indexes the phrasings, keywords and rules of some entries.
    ///
    /// # Errors
    /// When a rule's pattern is no regular expression; [`crate::kb`] refuses
    /// such entries, so only a damaged release gets here.
    pub fn new(entries: &[Entry], phrasings: &[Phrasing]) -> Result<Self, regex::Error> {
        let mut exact = Self { questions: HashMap::with_capacity(phrasings.len()), ..Self::default() };
        for phrasing in phrasings {
            let owners = exact.questions.entry(phrasing.normalized.exact.clone()).or_default();
            if !owners.contains(&phrasing.entry) {
                owners.push(phrasing.entry);
            }
        }
        for (order, (index, entry)) in (0..).zip(entries.iter().enumerate()) {
            for keyword in &entry.keywords {
                exact.keywords.entry(exact_key(keyword)).or_default().push(index);
            }
            for rule in &entry.rules {
                exact.rules.push(Claim { order, entry: index, rule: Compiled::new(rule)? });
            }
        }
        Ok(exact)
    }

    /// Adds an entry with its phrasings; its rules are tried at its place in
    /// the order.
    ///
    /// # Errors
    /// When a rule's pattern is no regular expression; then nothing is added.
    pub fn add(
        &mut self,
        index: usize,
        entry: &Entry,
        phrasings: &[Normalized],
        order: i64,
    ) -> Result<(), regex::Error> {
        let rules = entry.rules.iter().map(Compiled::new).collect::<Result<Vec<_>, _>>()?;
        for normalized in phrasings {
            claim(&mut self.questions, normalized.exact.clone(), index);
        }
        for keyword in &entry.keywords {
            claim(&mut self.keywords, exact_key(keyword), index);
        }
        let at = self.rules.partition_point(|claim| claim.order <= order);
        self.rules.splice(at..at, rules.into_iter().map(|rule| Claim { order, entry: index, rule }));
        Ok(())
    }

    /// Takes away an entry with its phrasings.
    pub fn remove<'a>(
        &mut self,
        index: usize,
        entry: &Entry,
        phrasings: impl Iterator<Item = &'a Normalized>,
    ) {
        for normalized in phrasings {
            disclaim(&mut self.questions, &normalized.exact, index);
        }
        for keyword in &entry.keywords {
            disclaim(&mut self.keywords, &exact_key(keyword), index);
        }
        if !entry.rules.is_empty() {
            self.rules.retain(|claim| claim.entry != index);
        }
    }

    /// The entry that claims the text, if there is one: the very question
    /// first, then a bare keyword, then the rules in the order of the release.
    /// Entries that `may` refuses claim nothing.
    pub fn find(&self, text: &Normalized, may: impl Fn(usize) -> bool) -> Option<Hit> {
        let first = |owners: &Owners| owners.iter().copied().find(|&entry| may(entry));
        if let Some(entry) = self.questions.get(&text.exact).and_then(first) {
            return Some(Hit { entry, how: Match::Question });
        }
        // A keyword with a greeting around it is still nothing but a keyword.
        let keyword = self.keywords.get(&text.exact).or_else(|| self.keywords.get(&text.core));
        if let Some(entry) = keyword.and_then(first) {
            return Some(Hit { entry, how: Match::Keyword });
        }
        self.rules
            .iter()
            .find(|claim| may(claim.entry) && claim.rule.fires(&text.exact))
            .map(|claim| Hit { entry: claim.entry, how: Match::Rule })
    }
}

fn claim(claims: &mut HashMap<String, Owners>, text: String, entry: usize) {
    let owners = claims.entry(text).or_default();
    owners.retain(|&owner| owner != entry);
    owners.insert(0, entry);
}

fn disclaim(claims: &mut HashMap<String, Owners>, text: &str, entry: usize) {
    if let Some(owners) = claims.get_mut(text) {
        owners.retain(|&owner| owner != entry);
        if owners.is_empty() {
            claims.remove(text);
        }
    }
}

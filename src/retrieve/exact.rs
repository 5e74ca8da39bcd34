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
pub struct Exact {
    questions: HashMap<String, usize>,
    keywords: HashMap<String, usize>,
    rules: Vec<(usize, Compiled)>,
}

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
        let mut questions = HashMap::with_capacity(phrasings.len());
        for phrasing in phrasings {
            questions.entry(phrasing.normalized.exact.clone()).or_insert(phrasing.entry);
        }
        let mut keywords = HashMap::new();
        let mut rules = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            for keyword in &entry.keywords {
                keywords.entry(exact_key(keyword)).or_insert(index);
            }
            for rule in &entry.rules {
                rules.push((index, Compiled::new(rule)?));
            }
        }
        Ok(Self { questions, keywords, rules })
    }

    /// The entry that claims the text, if there is one: the very question
    /// first, then a bare keyword, then the rules in the order of the release.
    /// Entries that `may` refuses claim nothing.
    pub fn find(&self, text: &Normalized, may: impl Fn(usize) -> bool) -> Option<Hit> {
        let allowed = |entry: &&usize| may(**entry);
        let hit = |how| move |&entry: &usize| Hit { entry, how };
        if let Some(found) = self.questions.get(&text.exact).filter(allowed).map(hit(Match::Question)) {
            return Some(found);
        }
        // A keyword with a greeting around it is still nothing but a keyword.
        let keyword = self.keywords.get(&text.exact).or_else(|| self.keywords.get(&text.core));
        if let Some(found) = keyword.filter(allowed).map(hit(Match::Keyword)) {
            return Some(found);
        }
        self.rules
            .iter()
            .find(|(entry, rule)| may(*entry) && rule.fires(&text.exact))
            .map(|&(entry, _)| Hit { entry, how: Match::Rule })
    }
}

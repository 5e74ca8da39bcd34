//! Does the text settle the question outright?

use std::collections::HashMap;

use regex::Regex;

use super::Phrasing;
use crate::kb::{Entry, Rule};
use crate::text::{Normalized, Normalizer};

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

/// What an entry has to say to a text: a claim that [`Exact::find`] would
/// grant, or one that is silenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Position of the entry in the release.
    pub entry: usize,
    /// Why.
    pub how: Match,
    /// Which of the entry's rules it is, when it is one.
    pub rule: Option<usize>,
    /// Which of the rule's `without` words silences it, if one does.
    pub silenced_by: Option<usize>,
}

/// The matcher for whole questions, keywords and rules.
pub struct Exact {
    questions: HashMap<String, usize>,
    keywords: HashMap<String, usize>,
    rules: Vec<CompiledRule>,
}

struct CompiledRule {
    entry: usize,
    /// Its place among the rules of the entry.
    number: usize,
    rule: Compiled,
}

enum Compiled {
    Exact(String),
    Contains { all: Vec<String>, none: Vec<String> },
    Regex { pattern: Regex, none: Vec<String> },
}

impl Compiled {
    fn new(rule: &Rule, normalizer: &Normalizer) -> Result<Self, regex::Error> {
        let keys = |texts: &[String]| texts.iter().map(|text| normalizer.exact_key(text)).collect();
        Ok(match rule {
            Rule::Exact { exact } => Self::Exact(normalizer.exact_key(exact)),
            Rule::Contains { contains, without } => {
                Self::Contains { all: keys(contains), none: keys(without) }
            }
            Rule::Regex { regex, without } => {
                Self::Regex { pattern: Rule::pattern(regex)?, none: keys(without) }
            }
        })
    }

    fn fires(&self, key: &str) -> bool {
        self.matches(key) && self.silenced_by(key).is_none()
    }

    /// Whether it would fire if there were no `without`.
    fn matches(&self, key: &str) -> bool {
        match self {
            Self::Exact(text) => key == text,
            Self::Contains { all, .. } => all.iter().all(|word| key.contains(word.as_str())),
            Self::Regex { pattern, .. } => pattern.is_match(key),
        }
    }

    /// The first word of `without` that occurs.
    fn silenced_by(&self, key: &str) -> Option<usize> {
        match self {
            Self::Exact(_) => None,
            Self::Contains { none, .. } | Self::Regex { none, .. } => {
                none.iter().position(|word| key.contains(word.as_str()))
            }
        }
    }
}

impl Exact {
    /// Indexes the phrasings, keywords and rules of some entries.
    ///
    /// # Errors
    /// When a rule's pattern is no regular expression; [`crate::kb`] refuses
    /// such entries, so only a damaged release gets here.
    pub fn new(
        entries: &[Entry],
        phrasings: &[Phrasing],
        normalizer: &Normalizer,
    ) -> Result<Self, regex::Error> {
        let mut questions = HashMap::with_capacity(phrasings.len());
        for phrasing in phrasings {
            questions.entry(phrasing.normalized.exact.clone()).or_insert(phrasing.entry);
        }
        let mut keywords = HashMap::new();
        let mut rules = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            for keyword in &entry.keywords {
                keywords.entry(normalizer.exact_key(keyword)).or_insert(index);
            }
            for (number, rule) in entry.rules.iter().enumerate() {
                rules.push(CompiledRule { entry: index, number, rule: Compiled::new(rule, normalizer)? });
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
        if let Some(found) = self.keyword(text).filter(allowed).map(hit(Match::Keyword)) {
            return Some(found);
        }
        self.rules
            .iter()
            .find(|one| may(one.entry) && one.rule.fires(&text.exact))
            .map(|one| Hit { entry: one.entry, how: Match::Rule })
    }

    /// A keyword with a greeting around it is still nothing but a keyword.
    fn keyword(&self, text: &Normalized) -> Option<&usize> {
        self.keywords.get(&text.exact).or_else(|| self.keywords.get(&text.core))
    }

    /// Everything that [`Self::find`] looks at, in its order: the first claim
    /// that nothing silences, of an entry that may claim, is what it finds.
    pub fn claims(&self, text: &Normalized) -> Vec<Claim> {
        let whole = |how| move |&entry: &usize| Claim { entry, how, rule: None, silenced_by: None };
        let mut claims: Vec<Claim> =
            self.questions.get(&text.exact).map(whole(Match::Question)).into_iter().collect();
        claims.extend(self.keyword(text).map(whole(Match::Keyword)));
        claims.extend(self.rules.iter().filter(|one| one.rule.matches(&text.exact)).map(|one| Claim {
            entry: one.entry,
            how: Match::Rule,
            rule: Some(one.number),
            silenced_by: one.rule.silenced_by(&text.exact),
        }));
        claims
    }
}

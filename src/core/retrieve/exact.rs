//! Does the text settle the question outright?

use std::borrow::Cow;
use std::collections::HashMap;

use regex::Regex;

use super::Phrasing;
use crate::kb::{Entry, Rule};
use crate::text::{Normalized, Normalizer, spelling};

/// A word of a rule. It occurs where it is written, or where an amount in it
/// is written in another way: 七天 in “7天内”.
#[derive(Debug, Clone)]
pub struct Word {
    written: String,
    /// Its exact key; `None` when it holds no number.
    amount: Option<String>,
}

impl Word {
    /// The word that an author has written.
    pub fn new(text: &str, normalizer: &Normalizer) -> Self {
        let written = normalizer.written(text);
        let key = normalizer.key_of_written(&written);
        let amount = key.chars().any(|c| c.is_ascii_digit()).then_some(key);
        Self { written, amount }
    }

    /// Whether it occurs in a text.
    pub fn occurs(&self, text: &Normalized) -> bool {
        stands_in(&self.written, &text.written)
            || self.amount.as_ref().is_some_and(|amount| stands_in(amount, &text.exact))
    }
}

/// Whether an amount stands in a text and is no part of a longer number.
fn stands_in(amount: &str, text: &str) -> bool {
    let of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    text.match_indices(amount).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + amount.len()..].chars().next();
        let begins_before = amount.starts_with(of_number) && before.is_some_and(of_number);
        let goes_on = amount.ends_with(of_number) && after.is_some_and(of_number);
        !begins_before && !goes_on
    })
}

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
///
/// In a release every question and keyword has one owner. A live edit may
/// claim one that a published entry has and the draft has not any more; then
/// the edit comes first.
#[derive(Clone, Default)]
pub struct Exact {
    questions: HashMap<String, Owners>,
    /// Those with a name of a model that has another spelling than the one
    /// that stands for all, by that one ([`spelling`]).
    respelled: HashMap<String, Owners>,
    /// By what is left of them without greetings and particles.
    cores: HashMap<String, Owners>,
    keywords: HashMap<String, Owners>,
    /// In the order of the release.
    rules: Vec<CompiledRule>,
}

/// Positions of entries, the one that is asked first in front.
type Owners = Vec<usize>;

#[derive(Clone)]
struct CompiledRule {
    /// The entry's place among all that have rules.
    order: i64,
    entry: usize,
    /// Its place among the rules of the entry.
    number: usize,
    rule: Compiled,
}

#[derive(Clone)]
enum Compiled {
    Exact(String),
    Contains {
        all: Vec<Word>,
        none: Vec<Word>,
    },
    /// Runs on numbers as they were written: the author's pattern says which
    /// writings it means.
    Regex {
        pattern: Regex,
        none: Vec<Word>,
    },
}

impl Compiled {
    fn new(rule: &Rule, normalizer: &Normalizer) -> Result<Self, regex::Error> {
        let words = |texts: &[String]| texts.iter().map(|text| Word::new(text, normalizer)).collect();
        Ok(match rule {
            Rule::Exact { exact } => Self::Exact(normalizer.exact_key(exact)),
            Rule::Contains { contains, without } => {
                Self::Contains { all: words(contains), none: words(without) }
            }
            Rule::Regex { regex, without } => {
                Self::Regex { pattern: Rule::pattern(regex)?, none: words(without) }
            }
        })
    }

    fn fires(&self, text: &Normalized) -> bool {
        self.matches(text) && self.silenced_by(text).is_none()
    }

    /// Whether it would fire if there were no `without`.
    fn matches(&self, text: &Normalized) -> bool {
        match self {
            Self::Exact(key) => *key == text.exact,
            Self::Contains { all, .. } => all.iter().all(|word| word.occurs(text)),
            Self::Regex { pattern, .. } => pattern.is_match(&text.written),
        }
    }

    /// The first word of `without` that occurs.
    fn silenced_by(&self, text: &Normalized) -> Option<usize> {
        match self {
            Self::Exact(_) => None,
            Self::Contains { none, .. } | Self::Regex { none, .. } => {
                none.iter().position(|word| word.occurs(text))
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
        let mut exact = Self { questions: HashMap::with_capacity(phrasings.len()), ..Self::default() };
        for phrasing in phrasings {
            let add = |claims: &mut HashMap<String, Owners>, text: String| {
                let owners = claims.entry(text).or_default();
                if !owners.contains(&phrasing.entry) {
                    owners.push(phrasing.entry);
                }
            };
            let key = &phrasing.normalized.exact;
            if let Cow::Owned(respelled) = spelling(key) {
                add(&mut exact.respelled, respelled);
            }
            add(&mut exact.questions, key.clone());
            add(&mut exact.cores, core_key(&phrasing.normalized.core, normalizer));
        }
        for (order, (index, entry)) in (0..).zip(entries.iter().enumerate()) {
            for keyword in &entry.keywords {
                exact.keywords.entry(normalizer.exact_key(keyword)).or_default().push(index);
            }
            for (number, rule) in entry.rules.iter().enumerate() {
                let rule = Compiled::new(rule, normalizer)?;
                exact.rules.push(CompiledRule { order, entry: index, number, rule });
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
        normalizer: &Normalizer,
    ) -> Result<(), regex::Error> {
        let rule = |rule| Compiled::new(rule, normalizer);
        let rules = entry.rules.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
        for normalized in phrasings {
            if let Cow::Owned(respelled) = spelling(&normalized.exact) {
                claim(&mut self.respelled, respelled, index);
            }
            claim(&mut self.questions, normalized.exact.clone(), index);
            claim(&mut self.cores, core_key(&normalized.core, normalizer), index);
        }
        for keyword in &entry.keywords {
            claim(&mut self.keywords, normalizer.exact_key(keyword), index);
        }
        let at = self.rules.partition_point(|one| one.order <= order);
        let rules = rules.into_iter().enumerate();
        self.rules
            .splice(at..at, rules.map(|(number, rule)| CompiledRule { order, entry: index, number, rule }));
        Ok(())
    }

    /// Takes away an entry with its phrasings.
    pub fn remove<'a>(
        &mut self,
        index: usize,
        entry: &Entry,
        phrasings: impl Iterator<Item = &'a Normalized>,
        normalizer: &Normalizer,
    ) {
        for normalized in phrasings {
            disclaim(&mut self.respelled, &spelling(&normalized.exact), index);
            disclaim(&mut self.questions, &normalized.exact, index);
            disclaim(&mut self.cores, &core_key(&normalized.core, normalizer), index);
        }
        for keyword in &entry.keywords {
            disclaim(&mut self.keywords, &normalizer.exact_key(keyword), index);
        }
        if !entry.rules.is_empty() {
            self.rules.retain(|one| one.entry != index);
        }
    }

    /// The entry that claims the text, if there is one: the very question
    /// first, then a bare keyword, then the rules in the order of the release.
    /// Entries that `may` refuses claim nothing.
    pub fn find(&self, text: &Normalized, may: impl Fn(usize) -> bool) -> Option<Hit> {
        let first = |owners: &Owners| owners.iter().copied().find(|&entry| may(entry));
        if let Some(entry) = self.questions(text).find_map(first) {
            return Some(Hit { entry, how: Match::Question });
        }
        if let Some(entry) = self.keyword(text).and_then(first) {
            return Some(Hit { entry, how: Match::Keyword });
        }
        self.rules
            .iter()
            .find(|one| may(one.entry) && one.rule.fires(text))
            .map(|one| Hit { entry: one.entry, how: Match::Rule })
    }

    /// Who has the very question: as it is typed, then with the names of models
    /// in another spelling.
    fn questions(&self, text: &Normalized) -> impl Iterator<Item = &Owners> {
        let typed = self.questions.get(&text.exact);
        let key = spelling(&text.exact);
        let plain = if matches!(key, Cow::Owned(_)) { self.questions.get(&*key) } else { None };
        typed.into_iter().chain(plain).chain(self.respelled.get(&*key))
    }

    /// The entry whose question it is but for politeness, hesitation, emoji and
    /// repetition; none when several entries that `may` be found have such a
    /// question. `core` is what was typed, not what was heard in it.
    pub fn find_core(&self, core: &str, normalizer: &Normalizer, may: impl Fn(usize) -> bool) -> Option<Hit> {
        /// Less is left of "怎么求助" and of "怎么呢", and they are not the same.
        const TELLING: usize = 3;
        let key = core_key(core, normalizer);
        // What is stored in just these words is no remainder.
        let owners = if key.chars().nth(TELLING - 1).is_some() { &self.cores } else { &self.questions };
        let mut owners = owners.get(&key)?.iter().copied().filter(|&entry| may(entry));
        match (owners.next(), owners.next()) {
            (Some(entry), None) => Some(Hit { entry, how: Match::Question }),
            _ => None,
        }
    }

    /// A keyword with a greeting around it is still nothing but a keyword.
    fn keyword(&self, text: &Normalized) -> Option<&Owners> {
        self.keywords.get(&text.exact).or_else(|| self.keywords.get(&text.core_key()))
    }

    /// Everything that [`Self::find`] looks at, in its order: the first claim
    /// that nothing silences, of an entry that may claim, is what it finds.
    pub fn claims(&self, text: &Normalized) -> Vec<Claim> {
        let whole = |how| move |&entry: &usize| Claim { entry, how, rule: None, silenced_by: None };
        let questions = self.questions(text).flatten();
        let mut claims: Vec<Claim> = questions.map(whole(Match::Question)).collect();
        claims.extend(self.keyword(text).into_iter().flatten().map(whole(Match::Keyword)));
        claims.extend(self.rules.iter().filter(|one| one.rule.matches(text)).map(|one| Claim {
            entry: one.entry,
            how: Match::Rule,
            rule: Some(one.number),
            silenced_by: one.rule.silenced_by(text),
        }));
        claims
    }
}

/// The form in which what is left of two questions is equal.
fn core_key(core: &str, normalizer: &Normalizer) -> String {
    spelling(&normalizer.key_of_written(core)).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a rule fires on a text.
    fn fires(rule: &str, text: &str) -> bool {
        let normalizer = Normalizer::default();
        let rule: Rule = serde_json::from_str(rule).unwrap();
        Compiled::new(&rule, &normalizer).unwrap().fires(&normalizer.normalize(text))
    }

    #[test]
    fn rules_meet_numbers_in_every_writing() {
        for word in ["七天", "7天"] {
            let rule = format!("{{\"contains\":[\"{word}\"]}}");
            for text in ["七天能退吗", "7天能退吗", "一周内能退吗", "超过7天能退吗"] {
                assert!(fires(&rule, text), "{word}: {text}");
            }
            assert!(!fires(&rule, "二十八天能退吗"), "{word}");
        }
        assert!(!fires("{\"contains\":[\"七天\"]}", "17天能退吗"));
        assert!(!fires("{\"contains\":[\"7天\"]}", "17天能退吗"));
        assert!(!fires("{\"contains\":[\"5元券\"]}", "15元券怎么用"));
        assert!(fires("{\"contains\":[\"5元券\"]}", "有5元券怎么用"));
        assert!(fires("{\"contains\":[\"百元券\"]}", "三百元券怎么用"), "as it is written");
        assert!(fires("{\"exact\":\"七天能退吗\"}", "7天能退吗"));
        assert!(!fires("{\"contains\":[\"退\"],\"without\":[\"七天\"]}", "7天内能退吗"));
    }

    #[test]
    fn patterns_run_on_numbers_as_they_were_written() {
        assert!(fires("{\"regex\":\"七天|7天\"}", "七天能退吗"));
        assert!(fires("{\"regex\":\"[一二三]年\"}", "保修一年吗"));
        assert!(!fires("{\"regex\":\"[0-9]{6}\"}", "存二十万"), "six digits that nobody wrote");
    }
}

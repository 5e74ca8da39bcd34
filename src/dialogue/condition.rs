//! When does a handoff rule hold?

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::facts::Facts;
use super::hours::Hours;
use super::rules::{When, plain};
use crate::decide::{Decision, Reason};
use crate::engine::Outcome;
use crate::kb::Rule as Pattern;
use crate::retrieve::exact::Word;
use crate::text::{Normalizer, exact_key};

/// The `if` of a rule: everything that is written must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    words: Option<Vec<String>>,
    #[serde(default)]
    without: Vec<String>,
    patterns: Option<Vec<String>>,
    asks_for_person: Option<bool>,
    angry: Option<bool>,
    misses: Option<Count>,
    repeats: Option<Count>,
    session: Option<bool>,
    outcome: Option<Vec<String>>,
    entries: Option<Vec<String>>,
    topics: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    fields: Option<BTreeMap<String, Wanted>>,
    open: Option<bool>,
    queue: Option<Count>,
}

/// A number of things: so many at least, or a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "要写一个数（至少这么多），或者 { at_least = 数, at_most = 数 }")]
pub(super) enum Count {
    AtLeast(u32),
    Range(Range),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    at_least: Option<u32>,
    at_most: Option<u32>,
}

impl Count {
    fn holds(self, count: u32) -> bool {
        match self {
            Self::AtLeast(least) => count >= least,
            Self::Range(Range { at_least, at_most }) => {
                at_least.is_none_or(|least| count >= least) && at_most.is_none_or(|most| count <= most)
            }
        }
    }
}

/// What a customer's field must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "要写一个值、几个值的列表（任一即可），或者 { at_least, at_most, not, contains, present } 里的条件"
)]
pub(super) enum Wanted {
    Is(Scalar),
    OneOf(Vec<Scalar>),
    Meets(Bounds),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bounds {
    at_least: Option<f64>,
    at_most: Option<f64>,
    #[serde(default)]
    not: Vec<Scalar>,
    contains: Option<String>,
    present: Option<bool>,
}

impl Scalar {
    fn is(&self, value: Option<&Value>) -> bool {
        let own = match self {
            Self::Flag(flag) => Value::Bool(*flag),
            Self::Whole(number) => Value::from(*number),
            Self::Number(number) => Value::from(*number),
            Self::Text(text) => Value::String(text.clone()),
        };
        match value {
            // Nothing said is as good as "no".
            None | Some(Value::Null) => own == Value::Bool(false),
            Some(Value::Array(values)) => values.iter().any(|value| self.is(Some(value))),
            Some(value) => {
                let numbers = number(&own).zip(number(value));
                plain(&own) == plain(value) || numbers.is_some_and(|(one, other)| one == other)
            }
        }
    }
}

/// A number, also one that a client has sent as a text.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    }
}

impl Wanted {
    fn holds(&self, value: Option<&Value>) -> bool {
        let value = value.filter(|value| !value.is_null());
        match self {
            Self::Is(wanted) => wanted.is(value),
            Self::OneOf(wanted) => wanted.iter().any(|wanted| wanted.is(value)),
            Self::Meets(Bounds { at_least, at_most, not, contains, present }) => {
                let measured = value.and_then(number);
                at_least.is_none_or(|least| measured.is_some_and(|is| is >= least))
                    && at_most.is_none_or(|most| measured.is_some_and(|is| is <= most))
                    && !not.iter().any(|unwanted| unwanted.is(value))
                    && contains.as_ref().is_none_or(|part| {
                        let part = exact_key(part);
                        value.and_then(plain).is_some_and(|text| text.contains(&part))
                    })
                    && present.is_none_or(|present| present == value.is_some())
            }
        }
    }
}

/// What the engine's decision must be: a decision or a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Decision(Decision),
    Reason(Reason),
}

/// A condition that is ready to be asked.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    words: Option<Vec<Word>>,
    without: Vec<Word>,
    patterns: Option<Vec<Regex>>,
    asks_for_person: Option<bool>,
    angry: Option<bool>,
    misses: Option<Count>,
    repeats: Option<Count>,
    session: Option<bool>,
    outcome: Option<Vec<Told>>,
    entries: Option<Vec<String>>,
    topics: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    fields: BTreeMap<String, Wanted>,
    open: Option<bool>,
    queue: Option<Count>,
}

/// The most words or patterns of a condition.
const WORDS: usize = 5_000;
const PATTERNS: usize = 100;
/// The longest of them in characters.
const WORD_CHARS: usize = 100;
const PATTERN_CHARS: usize = 1_000;

impl Compiled {
    /// Makes a condition ready; every fault is told with its key, in Chinese.
    pub(super) fn of(written: Condition, when: When) -> Result<Self, Vec<(&'static str, String)>> {
        let mut faults: Vec<(&'static str, String)> = Vec::new();
        let says_something = written.says_something();
        let Condition {
            words,
            without,
            patterns,
            asks_for_person,
            angry,
            misses,
            repeats,
            session,
            outcome,
            entries,
            topics,
            tags,
            channels,
            fields,
            open,
            queue,
        } = written;
        if !says_something {
            faults.push(("words", "没有任何条件，会对每条消息生效；请至少写一个".to_owned()));
        }
        if when == When::Before {
            let late = [
                ("outcome", outcome.is_some()),
                ("entries", entries.is_some()),
                ("topics", topics.is_some()),
                ("tags", tags.is_some()),
            ];
            for (key, _) in late.into_iter().filter(|(_, there)| *there) {
                faults.push((key, "检索以后才知道，不能和 when = \"before\" 一起用".to_owned()));
            }
        }
        let normalizer = Normalizer::default();
        let mut word = |key: &'static str, text: &String| {
            if exact_key(text).is_empty() {
                faults.push((key, format!("“{text}”是空白或纯标点，请删除")));
            } else if text.chars().count() > WORD_CHARS {
                faults.push((key, format!("“{text}”太长，一个词最多 {WORD_CHARS} 个字")));
            }
            Word::new(text, &normalizer)
        };
        let compiled_words = words.as_ref().map(|all| all.iter().map(|text| word("words", text)).collect());
        let compiled_without = without.iter().map(|text| word("without", text)).collect();
        for (key, list) in [("words", words.as_ref()), ("without", Some(&without))] {
            if list.is_some_and(|list| list.len() > WORDS) {
                faults.push((key, format!("最多 {WORDS} 个词")));
            }
        }
        let lists = [
            ("words", words.as_ref()),
            ("patterns", patterns.as_ref()),
            ("outcome", outcome.as_ref()),
            ("entries", entries.as_ref()),
            ("topics", topics.as_ref()),
            ("tags", tags.as_ref()),
            ("channels", channels.as_ref()),
        ];
        for (key, _) in lists.iter().filter(|(_, list)| list.is_some_and(Vec::is_empty)) {
            faults.push((key, "是空的列表，永远不会成立；请写上内容，或者删去这一项".to_owned()));
        }
        let compiled_patterns = patterns.map(|patterns| {
            if patterns.len() > PATTERNS {
                faults.push(("patterns", format!("最多 {PATTERNS} 个正则表达式")));
            }
            patterns
                .iter()
                .filter_map(|text| pattern(text).map_err(|e| faults.push(("patterns", e))).ok())
                .collect()
        });
        let told = outcome.map(|names| {
            names.iter().filter_map(|name| told(name).map_err(|e| faults.push(("outcome", e))).ok()).collect()
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let keys = |texts: Option<Vec<String>>| -> Option<Vec<String>> {
            texts.map(|texts| texts.iter().map(|text| exact_key(text)).collect())
        };
        Ok(Self {
            words: compiled_words,
            without: compiled_without,
            patterns: compiled_patterns,
            asks_for_person,
            angry,
            misses,
            repeats,
            session,
            outcome: told,
            entries,
            topics: keys(topics),
            tags: keys(tags),
            channels: keys(channels),
            fields: fields.unwrap_or_default(),
            open,
            queue,
        })
    }

    pub(super) fn entries(&self) -> &[String] {
        self.entries.as_deref().unwrap_or_default()
    }

    /// Whether it is about how a conversation goes, and not about what is asked.
    pub(super) fn is_about_the_course(&self) -> bool {
        self.misses.is_some() || self.repeats.is_some() || self.angry.is_some()
    }

    /// The name of the first condition that does not hold.
    pub(super) fn fails(
        &self,
        facts: &Facts<'_>,
        outcome: Option<&Outcome>,
        hours: &Hours,
    ) -> Option<&'static str> {
        let text = &facts.normalized;
        let is_one = |wanted: &Option<Vec<String>>, has: Option<&str>| match wanted {
            None => true,
            Some(wanted) => has.map(exact_key).is_some_and(|has| wanted.contains(&has)),
        };
        let count = |wanted: Option<Count>, has: Option<u32>| match wanted {
            None => true,
            Some(wanted) => has.is_some_and(|has| wanted.holds(has)),
        };
        // What costs least is asked first; the detectors come last.
        let checks: [(&'static str, &dyn Fn() -> bool); 14] = [
            ("session", &|| self.session.is_none_or(|wanted| wanted == facts.standing.is_some())),
            ("channels", &|| is_one(&self.channels, facts.channel)),
            ("outcome", &|| match (&self.outcome, outcome) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(wanted), Some(outcome)) => wanted.iter().any(|told| told.is(outcome)),
            }),
            ("entries", &|| {
                self.entries
                    .as_ref()
                    .is_none_or(|ids| facts.entry.is_some_and(|entry| ids.contains(&entry.id.0)))
            }),
            ("topics", &|| is_one(&self.topics, facts.entry.and_then(|entry| entry.topic.as_deref()))),
            ("tags", &|| {
                self.tags.as_ref().is_none_or(|wanted| {
                    let mut has = facts.entry.into_iter().flat_map(|entry| &entry.tags);
                    has.any(|tag| wanted.contains(&exact_key(tag)))
                })
            }),
            ("misses", &|| count(self.misses, facts.standing.map(|standing| standing.misses))),
            ("repeats", &|| count(self.repeats, facts.standing.map(|standing| standing.repeats))),
            ("queue", &|| {
                count(self.queue, facts.queue.map(|queue| u32::try_from(queue).unwrap_or(u32::MAX)))
            }),
            ("fields", &|| {
                self.fields.iter().all(|(name, wanted)| {
                    // The channel is a field of the request like the others.
                    let channel = || facts.channel.map(|channel| Value::String(channel.to_owned()));
                    match facts.fields.and_then(|fields| fields.get(name)) {
                        Some(value) => wanted.holds(Some(value)),
                        None if name == "channel" => wanted.holds(channel().as_ref()),
                        None => wanted.holds(None),
                    }
                })
            }),
            ("open", &|| self.open.is_none_or(|open| hours.is_open(facts.now) == open)),
            ("without", &|| !self.without.iter().any(|word| word.occurs(text))),
            ("words", &|| self.words.as_ref().is_none_or(|words| words.iter().any(|word| word.occurs(text)))),
            ("patterns", &|| {
                let found = |pattern: &Regex| pattern.is_match(&text.written);
                self.patterns.as_ref().is_none_or(|patterns| patterns.iter().any(found))
            }),
        ];
        if let Some((name, _)) = checks.iter().find(|(_, holds)| !holds()) {
            return Some(name);
        }
        // A stored question goes before a request for a person: after the
        // search the engine has said which of the two it was.
        let requested = || match outcome {
            Some(outcome) => outcome.reason == Reason::Requested,
            None => facts.asks_for_person(),
        };
        if self.asks_for_person.is_some_and(|wanted| wanted != requested()) {
            return Some("asks_for_person");
        }
        if self.angry.is_some_and(|wanted| wanted != facts.is_angry()) {
            return Some("angry");
        }
        None
    }
}

impl Condition {
    /// Whether anything but exceptions is written.
    fn says_something(&self) -> bool {
        let Self { words, without: _, patterns, outcome, entries, topics, tags, channels, fields, .. } = self;
        let Self { asks_for_person, angry, misses, repeats, session, open, queue, .. } = self;
        [words, patterns, outcome, entries, topics, tags, channels].iter().any(|list| list.is_some())
            || [asks_for_person, angry, session, open].iter().any(|flag| flag.is_some())
            || [misses, repeats, queue].iter().any(|count| count.is_some())
            || fields.as_ref().is_some_and(|fields| !fields.is_empty())
    }
}

impl Told {
    fn is(self, outcome: &Outcome) -> bool {
        match self {
            Self::Decision(decision) => outcome.decision == decision,
            Self::Reason(reason) => outcome.reason == reason,
        }
    }
}

fn told(name: &str) -> Result<Told, String> {
    let decision = [Decision::Answer, Decision::Clarify, Decision::Handoff];
    let found = decision.into_iter().find(|decision| decision.name() == name).map(Told::Decision);
    found.or_else(|| Reason::named(name).map(Told::Reason)).ok_or_else(|| {
        let decisions = decision.iter().map(|decision| decision.name());
        let known: Vec<&str> = decisions.chain(Reason::ALL.iter().map(|reason| reason.name())).collect();
        format!("不认识“{name}”；可用的有 {}", known.join("、"))
    })
}

/// A pattern under the rules of those of entries: linear in time, and not one
/// that matches everything.
fn pattern(text: &str) -> Result<Regex, String> {
    let chars = text.chars().count();
    if chars > PATTERN_CHARS {
        return Err(format!("正则表达式有 {chars} 个字，最多 {PATTERN_CHARS} 个"));
    }
    Pattern::Regex { regex: text.to_owned(), without: Vec::new() }.check()?;
    Pattern::pattern(text).map_err(|e| e.to_string())
}

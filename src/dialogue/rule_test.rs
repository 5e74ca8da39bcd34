//! Does a handoff rule do what its author says it does?
//!
//! Tests stand beside their rule: a message with everything that is known of
//! it, and whether the rule fires. A rule fires when it is the first whose
//! conditions hold, so a test also shows that no rule before it is faster.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::facts::{Facts, Standing};
use super::hours::Hours;
use super::rules::{Rule, Rules, When};
use crate::decide::{Decision, Reason, handoff};
use crate::engine::Outcome;
use crate::kb::{Entry, EntryId};

/// A test as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What the customer writes.
    #[serde(default)]
    text: String,
    channel: Option<String>,
    fields: Option<Map<String, Value>>,
    /// Whether it is in a conversation; said by `misses` and `repeats` too.
    session: Option<bool>,
    misses: Option<u32>,
    repeats: Option<u32>,
    queue: Option<usize>,
    /// RFC 3339; without it somebody is there.
    now: Option<String>,
    /// The engine's decision or reason.
    outcome: Option<String>,
    /// The id of the entry that is answered.
    entry: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    /// Whether the rule fires.
    fires: bool,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = HandoffRuleTest)]
pub struct TestOutcome {
    /// The rule.
    pub rule: String,
    /// The test's place among those of the rule, from 1.
    pub number: usize,
    /// What the customer writes.
    pub text: String,
    /// Whether the rule should fire.
    pub expected: bool,
    /// Whether it does.
    pub fired: bool,
    /// The rule that fires, this one or another.
    pub winner: Option<String>,
    /// Of a rule that does not hold: the first condition that fails.
    pub failed: Option<&'static str>,
    /// Whether it is as the author says.
    pub passed: bool,
}

/// What came of the tests of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RuleTestReport)]
pub struct TestReport {
    /// How many rules there are.
    pub rules: usize,
    /// The rules without a test.
    pub untested: Vec<String>,
    /// Every test, in the order of the document.
    pub tests: Vec<TestOutcome>,
    /// How many passed.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
}

impl TestOutcome {
    /// What happened, in Chinese: authors read it.
    pub fn told(&self) -> String {
        let should = if self.expected { "应生效" } else { "不应生效" };
        let did = match (&self.winner, self.failed) {
            (Some(winner), _) if *winner == self.rule => "生效了".to_owned(),
            (Some(winner), None) => format!("先生效的是规则“{winner}”"),
            (_, Some(failed)) => format!("没有生效（条件 {failed} 不成立）"),
            (None, None) => "没有生效".to_owned(),
        };
        format!("规则“{}”第 {} 个测试“{}”：{should}，{did}", self.rule, self.number, self.text)
    }
}

impl Test {
    /// What an author must mend, with its key.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if let Some(text) = &self.now
            && moment(text).is_none()
        {
            faults.push(("now", format!("“{text}”不是时间；要写成“2026-10-01T20:00:00+08:00”")));
        }
        if let Some(name) = &self.outcome
            && decided(name).is_none()
        {
            faults.push((
                "outcome",
                format!("不认识“{name}”；写 answer、clarify、handoff 或一个原因，如 no_match"),
            ));
        }
        faults
    }

    fn facts<'a>(&'a self, entry: Option<&'a Entry>, hours: &Hours) -> Facts<'a> {
        let in_session = self.session.unwrap_or(self.misses.is_some() || self.repeats.is_some());
        let standing = in_session.then(|| Standing {
            misses: self.misses.unwrap_or_default(),
            repeats: self.repeats.unwrap_or_default(),
        });
        let mut facts = Facts::of(&self.text);
        facts.channel = self.channel.as_deref();
        facts.fields = self.fields.as_ref();
        facts.standing = standing;
        facts.entry = entry;
        facts.queue = self.queue;
        let given = self.now.as_deref().and_then(moment);
        facts.now = given.or_else(|| hours.next_opening(facts.now)).unwrap_or(facts.now);
        facts
    }

    /// The entry that is answered, as far as rules look at it.
    fn entry(&self) -> Option<Entry> {
        if self.entry.is_none() && self.topic.is_none() && self.tags.is_empty() {
            return None;
        }
        let mut entry =
            Entry::of(EntryId(self.entry.clone().unwrap_or_default()), String::new(), String::new());
        entry.topic.clone_from(&self.topic);
        entry.tags.clone_from(&self.tags);
        Some(entry)
    }

    /// What the engine would do: what the test says, or what the message asks
    /// for outright, or the answer of the entry that is named.
    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        let (decision, reason) = self
            .outcome
            .as_deref()
            .and_then(decided)
            .or_else(|| {
                handoff::before_search(&facts.normalized.core).map(|reason| (Decision::Handoff, reason))
            })
            .or_else(|| facts.asks_for_person().then_some((Decision::Handoff, Reason::Requested)))
            .unwrap_or(match facts.entry {
                Some(_) => (Decision::Answer, Reason::Confident),
                None => (Decision::Handoff, Reason::NoMatch),
            });
        Outcome::bare(decision, reason)
    }
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// The decision and the reason that a word of a test means.
fn decided(name: &str) -> Option<(Decision, Reason)> {
    match name {
        "answer" => Some((Decision::Answer, Reason::Confident)),
        "clarify" => Some((Decision::Clarify, Reason::Ambiguous)),
        "handoff" => Some((Decision::Handoff, Reason::NoMatch)),
        name => Reason::named(name).map(|reason| (reason.decision(), reason)),
    }
}

impl Rules {
    /// Runs every test of every rule. Those of a rule that is switched off run
    /// as if it were the only one.
    pub fn test(&self) -> Vec<TestOutcome> {
        let of_rule = |rule: &Rule| -> Vec<TestOutcome> {
            (1..).zip(&rule.tests).map(|(number, test)| self.run(rule, number, test)).collect()
        };
        self.all().iter().flat_map(of_rule).collect()
    }

    /// The same with its sums.
    pub fn report(&self) -> TestReport {
        let tests = self.test();
        let passed = tests.iter().filter(|test| test.passed).count();
        let untested = self.all().iter().filter(|rule| rule.tests.is_empty());
        TestReport {
            rules: self.all().len(),
            untested: untested.map(|rule| rule.id.clone()).collect(),
            failed: tests.len() - passed,
            passed,
            tests,
        }
    }

    fn run(&self, rule: &Rule, number: usize, test: &Test) -> TestOutcome {
        let entry = test.entry();
        let facts = test.facts(entry.as_ref(), self.hours());
        if test.now.is_none() && self.hours().next_opening(facts.now).is_none() {
            // What names no moment is of one when somebody is there, also where nobody ever is.
            return Self::new(self.all().to_vec(), &Hours::default()).run(rule, number, test);
        }
        let outcome = test.outcome(&facts);
        let known = (rule.when == When::After).then_some(&outcome);
        let failed = self.failed(rule, &facts, known);
        let winner = if rule.enabled {
            let before = Facts { entry: None, ..facts.clone() };
            let first = self.first(When::Before, &before, None);
            first.or_else(|| known.and_then(|outcome| self.first(When::After, &facts, Some(outcome))))
        } else {
            failed.is_none().then_some(rule)
        };
        let winner = winner.map(|winner| winner.id.clone());
        let fired = winner.as_ref() == Some(&rule.id);
        TestOutcome {
            rule: rule.id.clone(),
            number,
            text: test.text.clone(),
            expected: test.fires,
            fired,
            winner,
            failed,
            passed: fired == test.fires,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dialogue::Service;

    #[test]
    fn where_nobody_is_ever_there_the_shipped_tests_hold_too() {
        let service = Service::of("[hours]\nweekdays = []\nweekend = []\n").expect("sound");
        let report = service.rules.report();
        let failed: Vec<_> = report.tests.iter().filter(|test| !test.passed).collect();
        assert!(report.passed > 20 && failed.is_empty(), "{failed:?}");
    }
}

//! Which messages go to a person by the house's own rules?
//!
//! Rules are data: the `[[rules]]` of a knowledge base's service document.
//! Those of `before` look at a message before the search and spare it; those
//! of `after` know what the engine would do. Of each kind the first one whose
//! conditions all hold wins, and the trace says what became of every other.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::{Compiled, Condition};
use super::facts::Facts;
use super::hours::Hours;
use super::rule_test::Test;
use crate::decide::{Decision, Reason};
use crate::engine::Outcome;

/// When a rule looks at a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RuleMoment)]
pub enum When {
    /// Before the search: nothing is looked for when it fires.
    Before,
    /// After it, when the engine's decision is known.
    #[default]
    After,
}

/// What a rule that fires does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "do")]
#[schema(as = RuleAction)]
pub enum Action {
    /// A person gets the conversation.
    Handoff,
    /// The answer is given, and then a person gets the conversation.
    AnswerThenHandoff,
    /// The customer gets this text.
    Answer {
        /// As the author wrote it.
        text: String,
    },
    /// The customer is offered the form of a ticket.
    Ticket,
}

impl Action {
    /// The word in documents and traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Handoff => "handoff",
            Self::AnswerThenHandoff => "answer_then_handoff",
            Self::Answer { .. } => "answer",
            Self::Ticket => "ticket",
        }
    }
}

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub id: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub when: When,
    #[serde(rename = "if")]
    pub condition: Condition,
    pub action: Option<ActionName>,
    pub answer: Option<String>,
    pub reason: Option<String>,
    pub message: Option<String>,
    /// For authors.
    #[serde(rename = "note")]
    pub _note: Option<String>,
    #[serde(default)]
    pub tests: Vec<Test>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionName {
    Handoff,
    AnswerThenHandoff,
    Answer,
    Ticket,
}

fn yes() -> bool {
    true
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name in the document.
    pub id: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// When it looks.
    pub when: When,
    /// What it does.
    pub action: Action,
    /// Its stable code, for programs and statistics.
    pub reason: String,
    /// What the customer is told beside it.
    pub message: Option<String>,
    /// Its own tests.
    pub tests: Vec<Test>,
    condition: Compiled,
}

/// The longest id and reason code, in bytes.
const CODE_BYTES: usize = 64;
/// The longest message or answer, in characters.
const TEXT_CHARS: usize = 4_000;
/// The most tests of a rule.
const TESTS: usize = 200;

impl Rule {
    /// Reads a rule; every fault is told with its key, in Chinese.
    pub(super) fn of(written: Written) -> Result<Self, Vec<(String, String)>> {
        let mut faults: Vec<(String, String)> = Vec::new();
        let mut fault = |key: &str, message: &str| faults.push((key.to_owned(), message.to_owned()));
        let is_code = |text: &str| {
            let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
            !text.is_empty() && text.len() <= CODE_BYTES && text.chars().all(sound)
        };
        if !is_code(&written.id) {
            fault("id", "id 用 1 到 64 个小写字母、数字、“-”或“_”");
        }
        let given = written.reason.is_some();
        let reason = written.reason.unwrap_or_else(|| written.id.replace('-', "_"));
        if given && !is_code(&reason) {
            fault("reason", "reason 是原因代码，用 1 到 64 个小写字母、数字、“-”或“_”");
        }
        let long = |text: Option<&String>| text.is_some_and(|text| text.chars().count() > TEXT_CHARS);
        if long(written.message.as_ref()) {
            fault("message", "message 最多 4000 个字");
        }
        if long(written.answer.as_ref()) {
            fault("answer", "answer 最多 4000 个字");
        }
        if written.tests.len() > TESTS {
            fault("tests", "一条规则最多 200 个测试");
        }
        let answer = written.answer.filter(|text| !text.trim().is_empty());
        let action = match (written.action, answer) {
            (None | Some(ActionName::Answer), Some(text)) => Action::Answer { text },
            (Some(ActionName::Answer), None) => {
                fault("answer", "action = \"answer\" 时要写 answer：给顾客的话");
                Action::Handoff
            }
            (Some(_), Some(_)) => {
                fault("answer", "只有 action = \"answer\" 才写 answer；转人工时的话写在 message 里");
                Action::Handoff
            }
            (None | Some(ActionName::Handoff), None) => Action::Handoff,
            (Some(ActionName::Ticket), None) => Action::Ticket,
            (Some(ActionName::AnswerThenHandoff), None) => Action::AnswerThenHandoff,
        };
        if action == Action::AnswerThenHandoff && written.when == When::Before {
            fault("action", "answer_then_handoff 要等检索出答案，不能和 when = \"before\" 一起用");
        }
        let condition = match Compiled::of(written.condition, written.when) {
            Ok(condition) => Some(condition),
            Err(inner) => {
                faults.extend(inner.into_iter().map(|(key, message)| (format!("if.{key}"), message)));
                None
            }
        };
        match condition {
            Some(condition) if faults.is_empty() => Ok(Self {
                id: written.id,
                enabled: written.enabled,
                when: written.when,
                action,
                reason,
                message: written.message.filter(|text| !text.trim().is_empty()),
                tests: written.tests,
                condition,
            }),
            _ => Err(faults),
        }
    }

    /// The first condition that does not hold; `None` when the rule fires.
    /// The ids of the entries that it is about, if it names any.
    pub fn entries(&self) -> &[String] {
        self.condition.entries()
    }

    fn fails(&self, facts: &Facts<'_>, outcome: Option<&Outcome>, hours: &Hours) -> Option<&'static str> {
        self.condition.fails(facts, outcome, hours)
    }

    fn fired(&self) -> Fired {
        Fired {
            rule: self.id.clone(),
            reason: self.reason.clone(),
            message: self.message.clone(),
            action: self.action.clone(),
        }
    }
}

/// A rule that fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = FiredRule)]
pub struct Fired {
    /// Its id.
    pub rule: String,
    /// Its reason code.
    pub reason: String,
    /// What the customer is told beside it.
    pub message: Option<String>,
    /// What is to be done.
    pub action: Action,
}

impl Fired {
    /// The reason among the engine's own that has the rule's code;
    /// [`Reason::HandoffRule`] for a code of the author's.
    pub fn as_reason(&self) -> Reason {
        Reason::of_rule(&self.reason)
    }
}

/// What became of a rule, for `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TriedRule {
    /// Its id.
    pub rule: String,
    /// When it looks.
    pub when: When,
    /// Whether all of its conditions hold.
    pub holds: bool,
    /// The first condition that does not.
    pub failed: Option<&'static str>,
    /// Whether it is the one that fires: the first of those that hold.
    pub wins: bool,
}

/// The rules of a service document, in their order of precedence.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    list: Vec<Rule>,
    /// What `open` means.
    hours: Hours,
}

impl Rules {
    pub(super) fn new(list: Vec<Rule>, hours: &Hours) -> Self {
        Self { list, hours: hours.clone() }
    }

    /// All of them, also those that are switched off.
    pub fn all(&self) -> &[Rule] {
        &self.list
    }

    /// The rule that takes a message before it is looked for.
    pub fn before(&self, facts: &Facts<'_>) -> Option<Fired> {
        self.first(When::Before, facts, None).map(Rule::fired)
    }

    /// The rule that takes a message when it is known what the engine would
    /// do; `facts.entry` is what it would answer.
    pub fn after(&self, facts: &Facts<'_>, outcome: &Outcome) -> Option<Fired> {
        self.first(When::After, facts, Some(outcome)).map(Rule::fired)
    }

    pub(super) fn first(&self, when: When, facts: &Facts<'_>, outcome: Option<&Outcome>) -> Option<&Rule> {
        self.in_force(when).find(|rule| self.failed(rule, facts, outcome).is_none())
    }

    pub(super) fn hours(&self) -> &Hours {
        &self.hours
    }

    /// The first condition of a rule that does not hold; `None` when all do.
    pub(super) fn failed(
        &self,
        rule: &Rule,
        facts: &Facts<'_>,
        outcome: Option<&Outcome>,
    ) -> Option<&'static str> {
        // Whoever asks for a person is brought one for that, however the conversation went.
        let is_due = outcome.is_some_and(|outcome| {
            outcome.decision == Decision::Handoff
                && matches!(outcome.reason, Reason::Requested | Reason::Sensitive)
        });
        if is_due && rule.action == Action::Handoff && rule.condition.is_about_the_course() {
            return Some("outcome");
        }
        rule.fails(facts, outcome, &self.hours)
    }

    /// What becomes of every rule of a moment.
    pub fn tried(&self, when: When, facts: &Facts<'_>, outcome: Option<&Outcome>) -> Vec<TriedRule> {
        let mut won = false;
        self.in_force(when)
            .map(|rule| {
                let failed = self.failed(rule, facts, outcome);
                let holds = failed.is_none();
                let wins = holds && !won;
                won |= wins;
                TriedRule { rule: rule.id.clone(), when, holds, failed, wins }
            })
            .collect()
    }

    fn in_force(&self, when: When) -> impl Iterator<Item = &Rule> {
        self.list.iter().filter(move |rule| rule.enabled && rule.when == when)
    }
}

/// A value as a text in its simplest form: `true` and `"True"` are one.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(crate::text::exact_key(text)),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

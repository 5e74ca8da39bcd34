//! How does a knowledge base serve its customers, beside its answers?
//!
//! One document in TOML says it: `[voice]`, `[hours]`, `[ticket]` and
//! `[[rules]]`. What it leaves out is as shipped (`data/service.toml`, which is
//! also its manual), rules included; `rules = []` is no rule at all. It is
//! kept, versioned and published with the knowledge base.

use std::sync::LazyLock;

use time::OffsetDateTime;

use super::document::{Document, NAME};
use super::hours::{self, Hours};
use super::rules::{self, Rule, Rules};
use super::ticket_form::TicketForm;
use super::told;
use super::voice::Voice;
use crate::error::{Error, Problem, Result};

/// The shipped document, with what every table and key means.
pub const SHIPPED: &str = include_str!("data/service.toml");

/// The largest document, in bytes.
pub const BYTES: usize = 1 << 20;
/// The most rules.
const RULES: usize = 500;

/// A service document that was read.
#[derive(Debug, Clone)]
pub struct Service {
    /// What the robot says of itself.
    pub voice: Voice,
    /// When people are there.
    pub hours: Hours,
    /// What is filled in when they are not.
    pub ticket: TicketForm,
    /// Which messages go to a person.
    pub rules: Rules,
}

static DEFAULT: LazyLock<Service> = LazyLock::new(|| {
    Service::of(SHIPPED).unwrap_or_else(|_| Service {
        voice: Voice::default(),
        hours: Hours::default(),
        ticket: TicketForm::default(),
        rules: Rules::default(),
    })
});

impl Service {
    /// Whether nobody is there at a moment, and customers leave their question behind.
    pub fn is_left(&self, at: OffsetDateTime) -> bool {
        self.ticket.enabled && !self.hours.is_open(at)
    }

    /// When somebody is there again who is not there at a moment, RFC 3339.
    pub fn opens_at(&self, at: OffsetDateTime) -> Option<String> {
        let opens = self.hours.next_opening(at).filter(|opens| *opens > at)?;
        Some(told::moment(opens.unix_timestamp().saturating_mul(1000)))
    }
}

impl Default for Service {
    /// What the shipped document says.
    fn default() -> Self {
        DEFAULT.clone()
    }
}

impl Service {
    /// Reads a document; a blank one is the shipped one.
    ///
    /// # Errors
    /// Every fault, with its line and its table and key.
    pub fn of(text: &str) -> std::result::Result<Self, Vec<Problem>> {
        let text = text.trim_start_matches('\u{feff}');
        if text.len() > BYTES {
            let message = format!("有 {} 字节，最多 {BYTES} 字节", text.len());
            return Err(vec![Problem { file: NAME.to_owned(), line: 0, column: 0, field: None, message }]);
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut document = Document::parse(text)?;
        for key in document.keys() {
            if !["voice", "hours", "ticket", "rules"].contains(&key.as_str()) {
                document.fault(&key, format!("没有“{key}”这张表；可以写的有 voice、hours、ticket、rules"));
            }
        }
        let voice: Voice = document.read("voice").unwrap_or_default();
        for (key, message) in voice.faults() {
            document.fault(&format!("voice.{key}"), message);
        }
        let hours = read_hours(&mut document);
        let ticket: TicketForm = document.read("ticket").unwrap_or_default();
        for (at, key, message) in ticket.faults() {
            document.fault(&format!("ticket.fields[{}].{key}", at + 1), message);
        }
        let rules = match document.items("rules") {
            Some(count) => Rules::new(read_rules(&mut document, count), &hours),
            None => shipped_rules(&hours),
        };
        let problems = document.problems();
        if problems.is_empty() { Ok(Self { voice, hours, ticket, rules }) } else { Err(problems) }
    }

    /// The same; faults are an error for authors.
    ///
    /// # Errors
    /// [`Error::Corpus`] with every fault.
    pub fn read(text: &str) -> Result<Self> {
        Self::of(text).map_err(Error::Corpus)
    }
}

fn read_hours(document: &mut Document<'_>) -> Hours {
    match document.read::<hours::Written>("hours").map(Hours::of) {
        None => Hours::default(),
        Some(Ok(hours)) => hours,
        Some(Err(faults)) => {
            for (key, message) in faults {
                document.fault(&format!("hours.{key}"), message);
            }
            Hours::default()
        }
    }
}

fn read_rules(document: &mut Document<'_>, count: usize) -> Vec<Rule> {
    if count > RULES {
        document.fault("rules", format!("有 {count} 条规则，最多 {RULES} 条"));
        return Vec::new();
    }
    let mut rules: Vec<Rule> = Vec::new();
    for number in 1..=count {
        let path = format!("rules[{number}]");
        let Some(written) = document.read::<rules::Written>(&path) else { continue };
        for (place, test) in (1..).zip(&written.tests) {
            for (key, message) in test.faults() {
                document.fault(&format!("{path}.tests[{place}].{key}"), message);
            }
        }
        let id = written.id.clone();
        match Rule::of(written) {
            Ok(rule) if rules.iter().any(|other| other.id == rule.id) => {
                document.fault(&format!("{path}.id"), format!("已经有 id 为“{id}”的规则"));
            }
            Ok(rule) => rules.push(rule),
            Err(faults) => {
                for (key, message) in faults {
                    document.fault(&format!("{path}.{key}"), format!("规则“{id}”：{message}"));
                }
            }
        }
    }
    rules
}

/// The shipped rules, under a document's own hours.
fn shipped_rules(hours: &Hours) -> Rules {
    let Ok(mut document) = Document::parse(SHIPPED) else { return Rules::default() };
    let count = document.items("rules").unwrap_or_default();
    Rules::new(read_rules(&mut document, count), hours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Decision, Reason};
    use crate::dialogue::rules::{Action, When};
    use crate::dialogue::{Facts, Standing};
    use crate::engine::Outcome;

    fn told(text: &str) -> Vec<String> {
        Service::of(text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_shipped_document_is_sound_and_its_tests_pass() {
        assert_eq!(told(SHIPPED), Vec::<String>::new());
        let service = Service::default();
        let tests = service.rules.test();
        assert!(tests.len() >= 18, "{} tests", tests.len());
        let failed: Vec<String> = tests.iter().filter(|test| !test.passed).map(|test| test.told()).collect();
        assert_eq!(failed, Vec::<String>::new());
        assert_eq!(service.voice, Voice::default(), "the manual shows what the code does");
        assert_eq!(service.ticket, TicketForm::default());
    }

    #[test]
    fn what_is_left_out_is_as_shipped() {
        let service = Service::of("[hours]\nweekdays = [\"09:00-18:00\"]").unwrap();
        assert_eq!(service.rules.all().len(), Service::default().rules.all().len());
        assert_eq!(Service::of(" \n").unwrap().rules.all().len(), service.rules.all().len());
        assert!(Service::of("rules = []").unwrap().rules.all().is_empty());
    }

    #[test]
    fn faults_name_line_table_and_key() {
        for (text, faults) in [
            (
                "[hours]\nmonday = \"9-18\"",
                vec!["service.toml:2:10 [hours.monday] 要写列表，如 [\"…\", \"…\"]，写的是 string \"9-18\""],
            ),
            (
                "[hours]\nmonday = [\"9-18\"]",
                vec![
                    "service.toml:2:1 [hours.monday] “9-18”不是时间段；要写成“09:00-18:00”，过夜写成“22:00-06:00”",
                ],
            ),
            (
                "[hour]\n",
                vec!["service.toml:1:2 [hour] 没有“hour”这张表；可以写的有 voice、hours、ticket、rules"],
            ),
            (
                "[[rules]]\nid = \"a\"\nif = { word = [\"x\"] }",
                vec![
                    "service.toml:3:8 [rules[1].if.word] 没有“word”这一项；可以写的有 words、without、patterns、asks_for_person、angry、misses、repeats、session、outcome、entries、topics、tags、channels、fields、open、queue",
                ],
            ),
            (
                "[[rules]]\nid = \"a\"\nfi = 1",
                vec![
                    "service.toml:3:1 [rules[1].fi] 没有“fi”这一项；可以写的有 id、enabled、when、if、action、answer、reason、message、note、tests",
                ],
            ),
            ("[[rules]]\nid = \"a\"", vec!["service.toml:1:1 [rules[1]] 缺少 if"]),
            (
                "[[rules]]\nid = \"a\"\nif = { misses = \"2\" }",
                vec![
                    "service.toml:3:17 [rules[1].if.misses] 要写一个数（至少这么多），或者 { at_least = 数, at_most = 数 }",
                ],
            ),
            ("voice = {\n", vec!["service.toml:1:10 [voice] TOML 写法不对"]),
            (&format!("hours = {{ zone =n{}", " =n".repeat(20_000)), vec!["service.toml:1:"; 100]),
        ] {
            let got = told(text);
            assert_eq!(got.len(), faults.len(), "{text}: {got:?}");
            for (got, fault) in got.iter().zip(faults) {
                assert!(got.starts_with(fault), "{text}\n got {got}\nwant {fault}");
            }
        }
    }

    #[test]
    fn every_fault_of_a_rule_is_told_at_once() {
        let text = r#"
[[rules]]
id = "好"
when = "before"
action = "answer"
[rules.if]
words = ["，", "行"]
patterns = ["(", ".*"]
outcome = ["nothing"]
tags = []

[[rules]]
id = "b"
if = {}

[[rules]]
id = "b"
if = { angry = true }
tests = [{ text = "x", now = "明天", outcome = "?", fires = true }]

[[rules]]
id = "b"
if = { angry = true }
"#;
        let problems = Service::of(text).unwrap_err();
        let places: Vec<(usize, &str)> =
            problems.iter().map(|one| (one.line, one.field.as_deref().unwrap_or_default())).collect();
        assert_eq!(
            places,
            [
                (2, "rules[1].answer"),
                (3, "rules[1].id"),
                (7, "rules[1].if.words"),
                (8, "rules[1].if.patterns"),
                (8, "rules[1].if.patterns"),
                (9, "rules[1].if.outcome"),
                (9, "rules[1].if.outcome"),
                (10, "rules[1].if.tags"),
                (10, "rules[1].if.tags"),
                (14, "rules[2].if.words"),
                (19, "rules[3].tests[1].now"),
                (19, "rules[3].tests[1].outcome"),
                (22, "rules[4].id"),
            ]
        );
    }

    /// The rule that fires on some facts.
    fn fires(condition: &str, facts: &Facts<'_>, outcome: Option<&Outcome>) -> bool {
        let when = if outcome.is_some() { "after" } else { "before" };
        let text = format!("[[rules]]\nid = \"r\"\nwhen = \"{when}\"\nif = {{ {condition} }}");
        let service = Service::of(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        match outcome {
            Some(outcome) => service.rules.after(facts, outcome).is_some(),
            None => service.rules.before(facts).is_some(),
        }
    }

    #[test]
    fn conditions_on_the_text() {
        let on = |condition: &str, text: &str| fires(condition, &Facts::of(text), None);
        assert!(on("words = [\"律师函\"]", "我要發律師函！"));
        assert!(on("words = [\"VIP\"]", "ｖｉｐ怎么买"));
        assert!(!on("words = [\"法院\"], without = [\"方法院子\"]", "这个方法院子里能用吗"));
        assert!(on("patterns = [\"1[23]315\"]", "打12315"));
        assert!(on("asks_for_person = true", "快递三天没动了，帮我转人工"));
        assert!(!on("asks_for_person = true", "人工智能是什么"));
        assert!(on("asks_for_person = false", "人工智能是什么"));
    }

    #[test]
    fn conditions_on_fields_and_channel() {
        let fields = serde_json::json!({
            "vip": true, "level": "4", "city": "上海", "tags": ["new", "web"], "empty": null
        });
        let mut facts = Facts::of("在吗");
        facts.fields = fields.as_object();
        facts.channel = Some("WeChat");
        for (condition, holds) in [
            ("fields = { vip = true }", true),
            ("fields = { vip = \"True\" }", true),
            ("fields = { vip = false }", false),
            ("fields = { other = false }", true),
            ("fields = { level = 4 }", true),
            ("fields = { level = { at_least = 4 } }", true),
            ("fields = { level = { at_least = 5 } }", false),
            ("fields = { other = { at_most = 5 } }", false),
            ("fields = { city = [\"北京\", \"上海\"] }", true),
            ("fields = { city = { not = [\"上海\"] } }", false),
            ("fields = { city = { contains = \"上\" } }", true),
            ("fields = { tags = \"new\" }", true),
            ("fields = { empty = { present = false } }", true),
            ("fields = { vip = { present = true }, level = 5 }", false),
            ("fields = { channel = \"wechat\" }", true),
            ("channels = [\"wechat\", \"web\"]", true),
            ("channels = [\"web\"]", false),
        ] {
            assert_eq!(fires(condition, &facts, None), holds, "{condition}");
        }
    }

    #[test]
    fn conditions_on_the_conversation_and_the_outcome() {
        let missed = Outcome::bare(Decision::Handoff, Reason::NoMatch);
        let mut facts = Facts::of("这个呢");
        assert!(!fires("misses = 0", &facts, Some(&missed)), "outside of a conversation nothing is counted");
        assert!(fires("session = false", &facts, Some(&missed)));
        assert!(!fires("queue = 0", &facts, Some(&missed)), "nobody counts the queue");
        facts.standing = Some(Standing { misses: 2, repeats: 1 });
        facts.queue = Some(20);
        for (condition, holds) in [
            ("misses = 2", true),
            ("misses = 3", false),
            ("misses = { at_most = 2 }, outcome = [\"no_match\"]", true),
            ("misses = { at_least = 1, at_most = 1 }", false),
            ("outcome = [\"handoff\"]", true),
            ("outcome = [\"answer\", \"low_confidence\"]", false),
            ("queue = 20", true),
            ("queue = 21", false),
            ("entries = [\"a\"]", false),
        ] {
            assert_eq!(fires(condition, &facts, Some(&missed)), holds, "{condition}");
        }
    }

    #[test]
    fn a_request_after_the_search_is_what_the_engine_says() {
        // The author has an entry with this very question.
        let stored = Outcome::bare(Decision::Answer, Reason::ExactQuestion);
        assert!(!fires("asks_for_person = true", &Facts::of("人工"), Some(&stored)));
        let requested = Outcome::bare(Decision::Handoff, Reason::Requested);
        assert!(fires("asks_for_person = true", &Facts::of("人工"), Some(&requested)));
    }

    #[test]
    fn the_first_rule_wins_and_the_trace_says_why() {
        let text = r#"
[[rules]]
id = "off"
enabled = false
if = { words = ["退"] }
[[rules]]
id = "one"
if = { words = ["退款"] }
[[rules]]
id = "two"
if = { words = ["退"] }
answer = "好"
[[rules]]
id = "three"
if = { words = ["退货"] }
message = "稍等"
"#;
        let service = Service::of(text).unwrap();
        let facts = Facts::of("怎么退货");
        let outcome = Outcome::bare(Decision::Handoff, Reason::NoMatch);
        let fired = service.rules.after(&facts, &outcome).unwrap();
        assert_eq!((fired.rule.as_str(), &fired.action), ("two", &Action::Answer { text: "好".to_owned() }));
        let tried = service.rules.tried(When::After, &facts, Some(&outcome));
        let seen: Vec<_> =
            tried.iter().map(|one| (one.rule.as_str(), one.holds, one.failed, one.wins)).collect();
        assert_eq!(
            seen,
            [("one", false, Some("words"), false), ("two", true, None, true), ("three", true, None, false)]
        );
    }
}

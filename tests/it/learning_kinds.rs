//! What else than phrasings and new entries is suggested, tried and taken up?

use std::path::Path;

use serde_json::{Value, json};
use zhida::events::stats::{Asked, stats};
use zhida::events::{Candidate, Day, Days, Doing, Event, Feedback, Kind, Log};
use zhida::kb::EntryId;
use zhida::store::Shelf;

use crate::http::publish;
use crate::support::{SMALL_KB, run, stderr, stdout, zhida};

/// A question that was decided on, with the entry that came first.
fn decided(number: usize, text: &str, decision: &str, entry: Option<&str>) -> Event {
    let reason = match decision {
        "answer" => "confident",
        "clarify" => "ambiguous",
        _ => "no_match",
    };
    Event {
        trace_id: Some(format!("{number:032x}")),
        conversation: Some(format!("c{number}")),
        text: Some(text.to_owned()),
        decision: Some(decision.to_owned()),
        reason: Some(reason.to_owned()),
        entry: entry.map(str::to_owned),
        confidence: Some(0.9),
        candidates: entry.map(|id| Candidate { entry: id.to_owned(), confidence: 0.9 }).into_iter().collect(),
        ..Event::now(Kind::Decision, "demo")
    }
}

fn said(log: &Log, event: &Event, feedback: Feedback) {
    log.append(event.clone()).expect("stored");
    log.append(Event::feedback(event, feedback)).expect("stored");
}

fn learn(data: &Path, words: &[&str]) -> Value {
    let mut command = zhida();
    command.args(["learn", words[0], "--kb", "demo", "--data"]).arg(data).args(&words[1..]);
    let output = run(&mut command);
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap_or(Value::Null)
}

fn suggested(data: &Path, kind: &str) -> Value {
    let found = learn(data, &["suggestions", "--json"]);
    let items = found["items"].as_array().expect("a list");
    items.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {found}")).clone()
}

fn shelf(data: &Path) -> Shelf {
    crate::support::store(data).shelf("demo").expect("there")
}

#[test]
fn two_entries_that_are_taken_for_one_another_become_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let twin = json!({"id": "ticket", "question": "报销凭证怎么拿", "similar": ["要凭证去哪里领"], "answer": "订单完成后，在“我的发票”里申请。", "keywords": ["凭证"]});
    publish(data, "demo", &format!("{SMALL_KB}{twin}\n"), None);
    let log = Log::open(data);
    for number in 0..6 {
        let chosen = Some(if number % 3 == 0 { "ticket" } else { "invoice" }.to_owned());
        let event = decided(number, "开票拿去报账", "clarify", Some("invoice"));
        said(&log, &event, Feedback { chosen, ..Feedback::default() });
    }
    let one = suggested(data, "merge");
    assert_eq!((&one["entry"], &one["other"]), (&json!("invoice"), &json!("ticket")), "{one}");
    assert_eq!((&one["trial"]["tried"], &one["harm"]), (&json!(true), &json!(0)), "{one}");
    learn(data, &["accept", one["id"].as_str().expect("an id")]);
    let draft = shelf(data).draft().expect("readable");
    assert!(draft.entries().iter().all(|entry| entry.id.0 != "ticket"));
    let kept = draft.entries().iter().find(|entry| entry.id.0 == "invoice").expect("kept");
    assert!(kept.phrasings().any(|text| text == "报销凭证怎么拿"));
    assert!(kept.keywords.contains(&"凭证".to_owned()) && kept.answer.contains("我的发票"));
}

#[test]
fn who_is_not_helped_by_what_helps_others_gets_an_entry_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    publish(data, "demo", SMALL_KB, None);
    let log = Log::open(data);
    for number in 0..4 {
        let helped = decided(number, "发票在哪里开", "answer", Some("invoice"));
        said(&log, &helped, Feedback { solved: Some(true), ..Feedback::default() });
        let not = decided(number + 100, "增值税专票要什么资料", "answer", Some("invoice"));
        said(&log, &not, Feedback { solved: Some(false), ..Feedback::default() });
    }
    let one = suggested(data, "split");
    assert_eq!((&one["entry"], &one["text"]), (&json!("invoice"), &json!("增值税专票要什么资料")), "{one}");
    assert_eq!(one["trial"]["tried"], json!(true));
    let id = one["id"].as_str().expect("an id");
    let mut command = zhida();
    command.args(["learn", "accept", "--kb", "demo", id, "--data"]).arg(data);
    let output = run(&mut command);
    assert!(!output.status.success() && stderr(&output).contains("--answer"), "{}", stderr(&output));
    learn(data, &["accept", id, "--answer", "营业执照和开票信息。"]);
    let draft = shelf(data).draft().expect("readable");
    let made = draft.entries().iter().find(|entry| entry.question == "增值税专票要什么资料").expect("made");
    assert_eq!(made.answer, "营业执照和开票信息。");
    let stays = shelf(data).entry(&EntryId("invoice".to_owned())).expect("readable").expect("there").entry;
    assert!(stays.phrasings().any(|text| text == "发票在哪里开"));
}

#[test]
fn what_is_no_matter_of_the_business_gets_a_reply() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    publish(data, "demo", SMALL_KB, None);
    let log = Log::open(data);
    for number in 0..3 {
        log.append(decided(number, "你吃饭了吗", "handoff", None)).expect("stored");
        let agent = Event {
            text: Some("我是机器人，不用吃饭。".to_owned()),
            ..Event::agent("demo", &format!("c{number}"), "小王", Doing::Replied)
        };
        log.append(agent).expect("stored");
    }
    let one = suggested(data, "small_talk");
    assert_eq!((&one["text"], &one["gain"], &one["harm"]), (&json!("你吃饭了吗"), &json!(3), &json!(0)));
    learn(data, &["accept", one["id"].as_str().expect("an id")]);
    let text = shelf(data).service().expect("readable").text;
    assert!(text.contains("你吃饭了吗") && text.contains("我是机器人，不用吃饭。"), "{text}");
}

#[test]
fn a_day_with_less_confidence_than_the_days_before_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path());
    let today = Day::today();
    let mut number = 0;
    for back in 0..8 {
        for nth in 0..60 {
            number += 1;
            let sure = if back == 0 { 0.4 } else { 0.9 - 0.1 * f64::from(nth % 3) };
            let event = decided(number, "怎么退货", "answer", Some("invoice"));
            let at = today.plus(-back).start() + i64::from(nth);
            log.append(Event { at, confidence: Some(sure), ..event }).expect("stored");
        }
    }
    let days = Days::new(today.plus(-1), today).expect("in order");
    let asked = Asked { kb: "demo", days, by: None, entries: &[] };
    let drift = stats(&log, asked).expect("figures").drift;
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert_eq!((drift[0].day.clone(), drift[0].out.clone()), (today.to_string(), vec!["confidence"]));
    // The same over the command line.
    let mut command = zhida();
    publish(folder.path(), "demo", SMALL_KB, None);
    command.args(["learn", "bursts", "--kb", "demo", "--json", "--data"]).arg(folder.path());
    let found: Value = serde_json::from_str(&stdout(&run(&mut command))).expect("JSON");
    assert_eq!(found["drift"][0]["out"], json!(["confidence"]), "{found}");
}

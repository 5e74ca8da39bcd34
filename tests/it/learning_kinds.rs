//! What else than phrasings and new entries is suggested, tried and taken up?

use std::path::Path;

use serde_json::{Value, json};
use zhida::events::stats::{Asked, stats};
use zhida::events::{Candidate, Day, Days, Doing, Event, Feedback, Kind, Log};
use zhida::kb::EntryId;
use zhida::store::{Edit, Expected, Shelf};

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
    assert_eq!(one["halves"]["goes"], json!(["报销凭证怎么拿", "要凭证去哪里领"]), "{one}");
    // What points to the one that goes: another entry, and a labelled question.
    let shelf = shelf(data);
    let mut other = shelf.entry(&EntryId("cod".to_owned())).expect("readable").expect("there").entry;
    other.related = vec![EntryId("ticket".to_owned())];
    let before =
        shelf.edit(&other.id.clone(), Edit::Put(other), &Expected::Present, false).expect("edited").revision;
    let label = json!({"text": "凭证什么时候给我", "expect": "ticket", "tags": []}).to_string();
    shelf.save_queries(&[label]).expect("attached");
    let id = one["id"].as_str().expect("an id");
    let mut command = zhida();
    command.args(["learn", "accept", "--kb", "demo", id, "--entry", "cod", "--data"]).arg(data);
    let output = run(&mut command);
    assert!(!output.status.success() && stderr(&output).contains("ticket"), "{}", stderr(&output));
    learn(data, &["accept", id]);
    // One step of the history, all edits under its reason.
    let draft = shelf.draft().expect("readable");
    let related = &draft.entries().iter().find(|entry| entry.id.0 == "cod").expect("there").related;
    assert_eq!(related, &[EntryId("invoice".to_owned())]);
    assert!(shelf.queries().expect("readable")[0].contains("\"expect\":\"invoice\""));
    assert_eq!(
        shelf.entry(&EntryId("invoice".to_owned())).expect("readable").expect("there").revision,
        before + 3
    );
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
    let halves = &one["halves"];
    assert!(halves["stays"][0].is_string() && halves["goes"].is_array(), "{one}");
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

/// An entry whose phrasings ask two things.
fn of_two_matters() -> String {
    let similar = ["专票要交什么资料", "开专票需要什么资料", "电子发票发到哪里", "发票多久能收到"];
    let one =
        json!({"id": "tax", "question": "发票怎么开", "similar": similar, "answer": "在“我的发票”里申请。"});
    format!("{SMALL_KB}{one}\n")
}

#[test]
fn a_split_sorts_the_phrasings_and_takes_one_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    publish(data, "demo", &of_two_matters(), None);
    let log = Log::open(data);
    for number in 0..4 {
        let helped = decided(number, "电子发票什么时候发", "answer", Some("tax"));
        said(&log, &helped, Feedback { solved: Some(true), ..Feedback::default() });
        for (nth, text) in ["专票资料要交哪些", "开专票的资料要什么"].into_iter().enumerate()
        {
            let not = decided(100 + 10 * number + nth, text, "answer", Some("tax"));
            said(&log, &not, Feedback { solved: Some(false), ..Feedback::default() });
        }
    }
    let one = suggested(data, "split");
    let texts =
        |side: &str| -> Vec<String> { serde_json::from_value(one["halves"][side].clone()).expect("texts") };
    let (stays, goes) = (texts("stays"), texts("goes"));
    assert_eq!(stays, ["发票怎么开", "电子发票发到哪里", "发票多久能收到"], "{one}");
    assert!(goes.starts_with(&["专票要交什么资料".to_owned(), "开专票需要什么资料".to_owned()]), "{one}");
    assert_eq!(one["trial"]["tried"], json!(true));
    let id = one["id"].as_str().expect("an id");
    // The author leaves one of them where it is.
    learn(data, &["accept", id, "--answer", "营业执照。", "--move", "开专票需要什么资料"]);
    let found =
        |id: &str| shelf(data).entry(&EntryId(id.to_owned())).expect("readable").expect("there").entry;
    let old = found("tax");
    assert_eq!(old.similar, ["专票要交什么资料", "电子发票发到哪里", "发票多久能收到"]);
    let draft = shelf(data).draft().expect("readable");
    let made = draft.entries().iter().find(|entry| entry.answer == "营业执照。").expect("made");
    assert_eq!(made.similar, ["开专票需要什么资料"]);
    // The same over HTTP or by another author: it is decided.
    assert!(
        learn(data, &["suggestions", "--json"])["items"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|one| one["id"] != id)
    );
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
fn a_stored_question_that_is_not_helped_is_about_its_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let card = json!({"id": "card-month", "question": "月卡多少钱", "similar": ["包月什么价"], "keywords": ["月卡"], "answer": "看门店。"});
    publish(data, "demo", &format!("{SMALL_KB}{card}\n"), None);
    let log = Log::open(data);
    for (number, text) in ["月卡多少钱", "包月什么价", "月卡"].into_iter().enumerate() {
        let asked = decided(number, text, "answer", Some("card-month"));
        said(&log, &asked, Feedback { solved: Some(false), ..Feedback::default() });
        let found = learn(data, &["suggestions", "--json"]);
        let items = found["items"].as_array().expect("a list");
        assert_eq!(items.len(), 1, "{text}: {found}");
        assert_eq!(
            (&items[0]["kind"], &items[0]["entry"]),
            (&json!("outdated"), &json!("card-month")),
            "{found}"
        );
        let groups = learn(data, &["groups", "--json"]);
        let proposals = groups["items"].as_array().expect("a list").iter().map(|group| &group["proposal"]);
        assert!(proposals.clone().count() > 0 && proposals.clone().all(|one| one == "outdated"), "{groups}");
    }
    let one = suggested(data, "outdated");
    let id = one["id"].as_str().expect("an id");
    assert!(one["why"].as_str().expect("words").contains("已有的问法"), "{one}");
    let accept = |id: &str, words: &[&str]| {
        let mut command = zhida();
        command.args(["learn", "accept", "--kb", "demo", "--data"]).arg(data).arg(id).args(words);
        run(&mut command)
    };
    let revision =
        || shelf(data).entry(&EntryId("card-month".to_owned())).expect("readable").expect("there").revision;
    let before = revision();
    let same = accept(id, &["--answer", "看门店。"]);
    assert!(!same.status.success() && stderr(&same).contains("不会改变什么"), "{}", stderr(&same));
    assert_eq!(revision(), before);
    let done = accept(id, &["--answer", "每月 199 元。"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(revision() > before);
    // What was said of the old answer says nothing of the new one.
    let mut command = zhida();
    command.args(["kb", "publish", "--kb", "demo", "--data"]).arg(data);
    let output = run(&mut command);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(learn(data, &["suggestions", "--json"])["items"], json!([]));
}

#[test]
fn what_the_draft_has_already_is_no_suggestion_and_accepting_it_no_success() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    publish(data, "demo", SMALL_KB, None);
    let log = Log::open(data);
    for number in 0..3 {
        log.append(decided(number, "货款何日重返账户", "handoff", None)).expect("stored");
        let mut sent = Event::agent("demo", &format!("c{number}"), "小王", Doing::Proposal);
        sent.entry = Some("refund-time".to_owned());
        log.append(sent).expect("stored");
    }
    let one = suggested(data, "similar");
    let id = one["id"].as_str().expect("an id").to_owned();
    let stored = || shelf(data).entry(&EntryId("refund-time".to_owned())).expect("readable").expect("there");
    let mut entry = stored().entry;
    entry.similar.push("货款何日重返账户？".to_owned());
    shelf(data).edit(&entry.id.clone(), Edit::Put(entry), &Expected::Anything, false).expect("edited");
    let before = stored().revision;
    let mut command = zhida();
    command.args(["learn", "accept", "--kb", "demo", &id, "--data"]).arg(data);
    let refused = run(&mut command);
    assert!(!refused.status.success() && stderr(&refused).contains("已经有这个问法"), "{}", stderr(&refused));
    assert_eq!(stored().revision, before);
    assert_eq!(learn(data, &["suggestions", "--json"])["items"], json!([]), "an author was faster");
    // Those that are taken up without an author do not stumble over it.
    learn(data, &["auto", "--least", "1", "--json"]);
    assert_eq!(stored().revision, before);
}

#[test]
fn that_nothing_is_asked_more_is_told_apart_from_nothing_to_compare() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    publish(data, "demo", SMALL_KB, None);
    let log = Log::open(data);
    let told = || {
        let mut command = zhida();
        command.args(["learn", "bursts", "--kb", "demo", "--data"]).arg(data);
        let output = run(&mut command);
        assert!(output.status.success() && stdout(&output).is_empty(), "{}", stderr(&output));
        stderr(&output)
    };
    let none = told();
    assert!(none.contains("nothing was asked in the last 7 days"), "{none}");
    log.append(decided(1, "怎么开电子发票", "answer", Some("invoice"))).expect("stored");
    let first = told();
    assert!(first.contains("to compare with"), "{first}");
    let at = Day::today().plus(-8).start();
    log.append(Event { at, ..decided(2, "怎么开电子发票", "answer", Some("invoice")) }).expect("stored");
    let same = told();
    assert!(same.contains("nothing was asked more") && same.contains("1 before"), "{same}");
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

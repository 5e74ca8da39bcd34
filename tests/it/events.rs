//! What happened is kept: feedback, figures, usage, forgetting, and what was
//! acknowledged before the process was killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use zhida::engine::Outcome;
use zhida::events::{Candidate, Day, Days, Event, Kind, Log, Settings, Text, Wanted};
use zhida::server::router;
use zhida::store::Decided;

use crate::http::{Running, admission, ask, get, post, publish, server_over};
use crate::store::Desk;
use crate::support::SMALL_KB;

const QUESTION: &str = "几点上班";
const STRANGE: &str = "你们老板的生日是几号呀";

/// A data directory of its own with one knowledge base, and what answers over it.
fn place() -> (tempfile::TempDir, Router) {
    let data = tempfile::tempdir().expect("a folder");
    let entry = json!({"id": "hours", "question": QUESTION, "answer": "九点。", "topic": "服务"});
    publish(data.path(), "demo", &format!("{SMALL_KB}{entry}\n"), None);
    let app = router(server_over(data.path(), admission()));
    (data, app)
}

fn events(data: &Path) -> Vec<Event> {
    let days = Days::new(Day::today().plus(-400), Day::today()).expect("in order");
    let mut events = Vec::new();
    Log::open(data).read(&Wanted::all(days), |event| events.push(event)).expect("readable");
    events
}

#[tokio::test]
async fn a_decision_is_stored_masked_before_its_reply_is_there() {
    let (data, app) = place();
    let text = "几点上班？我叫王伟，电话13812345678";
    let reply = ask(&app, json!({"text": text, "session": "c1", "channel": "web"})).await.json();
    let stored = events(data.path());
    assert_eq!(stored.len(), 1);
    let event = &stored[0];
    assert_eq!(event.trace_id.as_deref(), reply["trace_id"].as_str());
    assert_eq!(event.text.as_deref(), Some("几点上班？我叫[姓名]，电话[电话]"));
    assert!(!event.normalized.as_deref().unwrap_or_default().contains("王伟"), "{event:?}");
    assert_eq!(
        (event.kb.as_str(), event.conversation.as_deref(), event.channel.as_deref()),
        ("demo", Some("c1"), Some("web"))
    );
    assert_eq!(
        (event.decision.as_deref(), event.reason.as_deref()),
        (reply["decision"].as_str(), reply["reason"].as_str())
    );
    assert_eq!(event.micros, reply["took_us"].as_i64());
    let bytes = std::fs::read_dir(data.path().join("events").join(Day::today().to_string())).expect("a day");
    for file in bytes {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        assert!(!String::from_utf8_lossy(&bytes).contains("13812345678"));
    }
}

#[tokio::test]
async fn each_question_of_a_batch_is_an_event_and_a_faulty_one_is_none() {
    let (data, app) = place();
    let items = json!([{"text": QUESTION}, {"text": " "}, {"text": STRANGE}]);
    assert_eq!(post(&app, "/v1/answer/batch", json!({"items": items})).await.status, StatusCode::OK);
    assert_eq!(events(data.path()).len(), 2);
    let usage = get(&app, "/v1/usage").await.json();
    assert_eq!((&usage["questions"], &usage["items"][0]["kb"]), (&json!(2), &json!("demo")));
    let csv = get(&app, "/v1/usage?format=csv").await.text();
    assert!(csv.starts_with("day,kb,channel,key,questions,answered\n"), "{csv}");
}

#[tokio::test]
async fn feedback_finds_its_reply_and_what_is_said_later_counts() {
    let (data, app) = place();
    let trace = ask(&app, json!({"text": QUESTION, "session": "c"})).await.json()["trace_id"].clone();
    for (solved, rating) in [(false, 1), (true, 5), (true, 5)] {
        let got =
            post(&app, "/v1/feedback", json!({"trace_id": trace, "solved": solved, "rating": rating})).await;
        assert_eq!((got.status, &got.json()["kb"]), (StatusCode::OK, &json!("demo")));
    }
    let got = post(&app, "/v1/feedback", json!({"trace_id": trace, "comment": "打13812345678"})).await;
    assert_eq!(got.status, StatusCode::OK);
    let stats = get(&app, "/v1/kbs/demo/stats").await.json();
    let counts = &stats["all"]["counts"];
    assert_eq!((&counts["said_solved"], &counts["said_unsolved"]), (&json!(1), &json!(0)), "{stats}");
    assert_eq!(
        (&counts["rated"], &counts["satisfied"], &stats["all"]["rating"]),
        (&json!(1), &json!(1), &json!(5.0))
    );
    assert_eq!(counts["solved_confirmed"], json!(1));
    assert_eq!(stats["entries"][0]["solved"], json!(1));
    // Who starts later finds it as well, and what was said is masked.
    let later = router(server_over(data.path(), admission()));
    assert_eq!(
        post(&later, "/v1/feedback", json!({"trace_id": trace, "solved": false})).await.status,
        StatusCode::OK
    );
    assert_eq!(get(&later, "/v1/kbs/demo/stats").await.json()["all"]["counts"]["said_unsolved"], json!(1));
    assert!(events(data.path()).iter().any(|event| event.comment.as_deref() == Some("打[电话]")));
}

#[tokio::test]
async fn feedback_that_says_nothing_or_of_nothing_is_refused() {
    let (_data, app) = place();
    let reply = ask(&app, json!({"text": QUESTION})).await.json();
    let trace = &reply["trace_id"];
    let unknown = "0193f0c2a5d17c3e8a1b2c3d4e5f6071";
    for trace in [unknown, "x", "../../../etc"] {
        post(&app, "/v1/feedback", json!({"trace_id": trace, "solved": true})).await.problem(404, "not-here");
    }
    post(&app, "/v1/feedback", json!({"trace_id": trace})).await.problem(422, "missing-field");
    post(&app, "/v1/feedback", json!({"trace_id": trace, "rating": 6})).await.problem(422, "invalid-field");
    post(&app, "/v1/feedback", json!({"trace_id": trace, "chosen": "nobody"}))
        .await
        .problem(422, "invalid-field");
    post(&app, "/v1/feedback", json!({"trace_id": trace, "stars": 6})).await.problem(422, "invalid-field");
    post(&app, "/v1/feedback", json!({"trace_id": trace, "comment": "好".repeat(2_001)}))
        .await
        .problem(422, "invalid-field");
}

#[tokio::test]
async fn figures_carry_numerator_denominator_interval_and_definition() {
    let (_data, app) = place();
    for _ in 0..3 {
        ask(&app, json!({"text": QUESTION, "channel": "web"})).await;
    }
    ask(&app, json!({"text": STRANGE, "channel": "wechat"})).await;
    ask(&app, json!({"text": "谢谢", "channel": "web"})).await;
    let stats = get(&app, "/v1/kbs/demo/stats?by=channel").await.json();
    let rate = &stats["all"]["shares"]["answer_rate"];
    assert_eq!(
        (&rate["numerator"], &rate["denominator"], &rate["value"]),
        (&json!(3), &json!(4), &json!(0.75)),
        "{stats}"
    );
    assert!(rate["interval"][0].as_f64() < Some(0.75) && rate["interval"][1].as_f64() > Some(0.75));
    assert_eq!(stats["all"]["counts"]["chat"], json!(1), "thanks are no question");
    assert_eq!(stats["groups"][0]["key"], json!("web"));
    assert!(
        stats["definitions"]["solved_assumed_rate"].as_str().is_some_and(|text| text.contains("24 hours"))
    );
    assert_eq!(stats["unanswered"][0]["text"], json!(STRANGE));
    get(&app, "/v1/kbs/nobody/stats").await.problem(404, "unknown-kb");
    get(&app, "/v1/kbs/demo/stats?from=yesterday").await.problem(422, "invalid-field");
    get(&app, "/v1/kbs/demo/stats?from=2026-02-01&to=2026-01-01").await.problem(422, "invalid-field");
    get(&app, "/v1/kbs/demo/stats?from=2020-01-01&to=2026-01-01").await.problem(422, "invalid-field");
    let csv = get(&app, "/v1/kbs/demo/stats?by=hour&format=csv").await.text();
    assert!(csv.starts_with("hour,questions,questions_before,answered"), "{csv}");
    let xlsx = get(&app, "/v1/kbs/demo/stats?format=xlsx").await;
    assert!(xlsx.body.starts_with(b"PK"));
}

#[test]
fn the_commands_tell_the_same_and_forget() {
    let (data, app) = place();
    let desk = |args: &[&str]| {
        let mut command = crate::support::zhida();
        command.args(args).args(["--data", &data.path().display().to_string()]);
        let output = crate::support::run(&mut command);
        assert!(output.status.success(), "{args:?}: {}", crate::support::stderr(&output));
        crate::support::stdout(&output)
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for session in ["wx-1001", "wx-1002"] {
            ask(&app, json!({"text": format!("{QUESTION}，{session}"), "session": session})).await;
        }
        ask(&app, json!({"text": QUESTION})).await;
    });
    let over_http = runtime.block_on(get(&app, "/v1/kbs/demo/stats?by=day")).json();
    let printed: Value =
        serde_json::from_str(&desk(&["stats", "--kb", "demo", "--by", "day", "--json"])).expect("JSON");
    assert_eq!(printed, over_http);
    assert_eq!(printed["all"]["counts"]["questions"], json!(3));
    assert!(desk(&["stats", "--kb", "demo", "--csv"]).starts_with("all,questions"));
    assert!(desk(&["stats", "--kb", "demo"]).contains("answer_rate"));
    let usage: Value = serde_json::from_str(&desk(&["usage", "--json"])).expect("JSON");
    assert_eq!(usage["questions"], json!(3));
    let schema = crate::support::run(crate::support::zhida().args(["events", "schema"]));
    assert!(crate::support::stdout(&schema).contains("trace_id\tSTRING\toptional"));
    assert!(desk(&["events", "keep", "--text", "none", "--text-days", "30"]).contains("text = none\n"));
    // The server that writes is another process in truth; here it is gone first.
    drop(app);
    desk(&["forget", "--conversation", "wx-1001"]);
    let left = events(data.path());
    assert_eq!(left.len(), 3, "counts stay");
    assert!(left.iter().all(|event| event.conversation.as_deref() != Some("wx-1001")));
    assert_eq!(left.iter().filter(|event| event.text.is_some()).count(), 2);
    // What is still to come would erase everything.
    let mut command = crate::support::zhida();
    command.args(["forget", "--text-before", &Day::today().plus(1).to_string(), "--data"]).arg(data.path());
    let refused = crate::support::run(&mut command);
    let told = crate::support::stderr(&refused);
    assert!(!refused.status.success() && told.contains(&Day::today().to_string()), "{told}");
    assert_eq!(events(data.path()).iter().filter(|event| event.text.is_some()).count(), 2);
    let old = Event {
        at: Day::today().plus(-1).start(),
        text: Some(QUESTION.to_owned()),
        ..Event::now(Kind::Decision, "demo")
    };
    Settings { text: Text::Full, ..Settings::default() }.write(&data.path().join("events")).expect("written");
    Log::open(data.path()).append(old).expect("stored");
    assert_eq!(events(data.path()).iter().filter(|event| event.text.is_some()).count(), 3);
    let mut command = crate::support::zhida();
    command.args(["forget", "--text-before", &Day::today().to_string(), "--data"]).arg(data.path());
    let done = crate::support::run(&mut command);
    let told = crate::support::stderr(&done);
    assert!(done.status.success() && told.contains("conversations stays"), "{told}");
    let left = events(data.path());
    assert!(left.iter().filter(|event| event.text.is_some()).all(|event| event.at >= Day::today().start()));
    assert_eq!(left.iter().filter(|event| event.text.is_some()).count(), 2);
}

#[tokio::test]
async fn a_customer_is_forgotten_over_http() {
    let (data, app) = place();
    for (session, id) in [("c1", "wx-77"), ("c2", "wx-77"), ("c3", "wx-78")] {
        ask(&app, json!({"text": QUESTION, "session": session, "fields": {"id": id}})).await;
    }
    let reply = post(&app, "/v1/forget", json!({"customer": "wx-77"})).await.json();
    assert_eq!((&reply["events"], &reply["conversations"]), (&json!(2), &json!(2)), "{reply}");
    let left = events(data.path());
    let of =
        |session: &str| left.iter().filter(|event| event.conversation.as_deref() == Some(session)).count();
    assert_eq!((left.len(), of("c1"), of("c2"), of("c3")), (3, 0, 0, 1), "counts stay");
    get(&app, "/v1/conversations/c1?kb=demo").await.problem(404, "not-here");
    assert_eq!(get(&app, "/v1/conversations/c3?kb=demo").await.status, 200);
    // Whoever is known to nobody has been forgotten already.
    let reply = post(&app, "/v1/forget", json!({"conversation": "c1"})).await.json();
    assert_eq!((&reply["events"], &reply["conversations"]), (&json!(0), &json!(0)), "{reply}");
    post(&app, "/v1/forget", json!({})).await.problem(422, "missing-field");
    post(&app, "/v1/forget", json!({"customer": " "})).await.problem(422, "invalid-field");
    post(&app, "/v1/forget", json!({"customer": "a", "conversation": "b"}))
        .await
        .problem(422, "invalid-field");
    let audit = get(&app, "/v1/audit?action=forget").await.text();
    assert!(audit.contains("the conversations of a customer") && !audit.contains("wx-77"), "{audit}");
}

#[test]
fn a_customer_is_kept_under_a_made_name_and_forgotten_by_their_own() {
    let (data, app) = place();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let said = |session: &str, id: serde_json::Value| json!({"text": QUESTION, "session": session, "fields": {"id": id, "vip": true}});
        let trace = ask(&app, said("c1", json!("wx-77"))).await.json()["trace_id"].clone();
        // What is known of a customer stays known in the conversation.
        ask(&app, json!({"text": STRANGE, "session": "c1"})).await;
        ask(&app, said("c2", json!(78))).await;
        ask(&app, json!({"text": QUESTION, "fields": {"id": "wx-77"}})).await;
        ask(&app, json!({"text": QUESTION})).await;
        post(&app, "/v1/feedback", json!({"trace_id": trace, "solved": true})).await;
    });
    let stored = events(data.path());
    let names: Vec<Option<&str>> = stored.iter().map(|event| event.customer.as_deref()).collect();
    let (one, two) = (names[0].expect("a name"), names[2].expect("a name"));
    assert_ne!(one, two);
    assert_eq!(names, [Some(one), Some(one), Some(two), Some(one), None, Some(one)]);
    assert!(stored.iter().all(|event| !format!("{event:?}").contains("wx-77")));
    drop(app);
    // What was made of a customer's words goes with them; what others said stays.
    let shelf = crate::support::store(data.path()).shelf("demo").expect("there");
    let body = |text: &str| json!({"texts": [text]}).to_string();
    let open = [("s1".to_owned(), body(STRANGE)), ("s2".to_owned(), body("别人问的"))];
    shelf.propose_suggestions(&open, &Default::default()).expect("proposed");
    for (id, text, verdict) in
        [("s3", STRANGE, "never"), ("s4", "别人问的", "ignored"), ("s5", STRANGE, "accepted")]
    {
        let (id, text, verdict) = (id.to_owned(), text.to_owned(), verdict.to_owned());
        let decided =
            Decided { id, kind: "similar".to_owned(), entry: None, text, count: 1, verdict, revision: None };
        shelf.decide_suggestion(&decided).expect("decided");
    }
    let mut command = crate::support::zhida();
    command.args(["forget", "--customer", "wx-77", "--data", &data.path().display().to_string()]);
    let output = crate::support::run(&mut command);
    assert!(output.status.success(), "{}", crate::support::stderr(&output));
    let left = events(data.path());
    assert_eq!(left.len(), stored.len(), "counts stay");
    let known: Vec<&Event> = left.iter().filter(|event| event.customer.is_some()).collect();
    assert_eq!((known.len(), known[0].conversation.as_deref()), (1, Some("c2")));
    assert_eq!(left.iter().filter(|event| event.text.is_some()).count(), 2);
    assert!(left.iter().all(|event| event.conversation.as_deref() != Some("c1")));
    assert_eq!(shelf.open_suggestions().expect("read"), [body("别人问的")]);
    let decided: Vec<String> =
        shelf.decided_suggestions().expect("read").into_iter().map(|one| one.id).collect();
    assert_eq!(decided, ["s4", "s5"]);
}

#[test]
fn what_cannot_be_asked_of_the_commands_is_said() {
    let desk = Desk::new();
    for (args, says) in [
        (&["stats", "--kb", "nobody"][..], "nobody"),
        (&["stats", "--kb", "nobody", "--from", "heute"], "2026-11-27"),
        (&["forget"], "--conversation"),
        (&["forget", "--conversation", "a", "--customer", "b"], "--customer"),
        (&["events", "keep", "--text", "some"], "masked"),
    ] {
        let output = desk.run(args);
        assert!(!output.status.success());
        let told = crate::support::stderr(&output);
        assert!(told.contains(says), "{args:?}: {told}");
    }
}

#[test]
fn the_figures_are_tables_in_the_language_of_the_run_and_tell_what_was_written() {
    let (data, app) = place();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        ask(&app, json!({"text": STRANGE, "session": "s1"})).await;
        for (number, comment) in ["太笼统了，请打13812345678", "第二次好多了"].into_iter().enumerate()
        {
            let reply = ask(&app, json!({"text": QUESTION, "session": format!("c{number}")})).await.json();
            let said = json!({"trace_id": reply["trace_id"], "solved": number == 1, "comment": comment});
            post(&app, "/v1/feedback", said).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let told = runtime.block_on(get(&app, "/v1/kbs/demo/stats")).json();
    let comments = told["comments"].as_array().expect("comments");
    let texts: Vec<&str> = comments.iter().filter_map(|one| one["text"].as_str()).collect();
    assert_eq!(texts, ["第二次好多了", "太笼统了，请打[电话]"], "{told}");
    assert_eq!((&comments[1]["entry"], &comments[1]["solved"]), (&json!("hours"), &json!(false)));
    let page = runtime.block_on(get(&app, "/console/stats?kb=demo&by=entry")).text();
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(place("第二次好多了") < place("太笼统了，请打[电话]") && page.contains("没有解决"));

    let printed = |language: &str| {
        let mut command = crate::support::zhida();
        command.env("ZHIDA_LANG", language).args(["stats", "--kb", "demo", "--by", "day", "--data"]);
        crate::support::stdout(&crate::support::run(command.arg(data.path())))
    };
    let reason = told["all"]["counts"]["handed_off_by_reason"].as_object().expect("reasons");
    let code = reason.keys().next().expect("a reason");
    let english = printed("en");
    assert!(english.contains("answer_rate") && english.contains(code), "{english}");
    let row = english.lines().find(|line| line.starts_with(code)).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), [code.as_str(), "1"], "{english}");
    let chinese = printed("zh");
    for part in ["直接回答率", "没答上的原因", "日期", "含义"] {
        assert!(chinese.contains(part), "{part}: {chinese}");
    }
    assert!(!chinese.contains("answer_rate") && !chinese.contains(code.as_str()), "{chinese}");
    drop(app);
    let mut command = crate::support::zhida();
    command.args(["forget", "--conversation", "c0", "--data"]).arg(data.path());
    assert!(crate::support::run(&mut command).status.success());
    let mut command = crate::support::zhida();
    command.args(["stats", "--kb", "demo", "--json", "--data"]).arg(data.path());
    let told: Value =
        serde_json::from_str(&crate::support::stdout(&crate::support::run(&mut command))).expect("JSON");
    assert_eq!(told["comments"].as_array().map(Vec::len), Some(1), "{told}");
}

#[test]
fn nothing_is_stored_of_texts_where_nothing_may_be() {
    for (text, stored) in
        [(Text::None, None), (Text::Full, Some("我叫王伟")), (Text::Masked, Some("我叫[姓名]"))]
    {
        let data = tempfile::tempdir().expect("a folder");
        Settings { text, ..Settings::default() }.write(&data.path().join("events")).expect("written");
        let event = Event { text: Some("我叫王伟".to_owned()), ..Event::now(Kind::Decision, "demo") };
        Log::open(data.path()).append(event).expect("stored");
        assert_eq!(events(data.path())[0].text.as_deref(), stored);
    }
}

/// Kills a server under load again and again: every reply that arrived is in the
/// events exactly once. `ZHIDA_KILLS` says how often; 5 unless it does.
#[test]
fn what_was_acknowledged_survives_being_killed() {
    let kills: u64 = std::env::var("ZHIDA_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..kills {
        let server = Running::start(&desk.data());
        let gone = Arc::new(AtomicBool::new(false));
        let askers: Vec<_> = (0..4)
            .map(|_| {
                let (address, gone) = (server.address.clone(), Arc::clone(&gone));
                std::thread::spawn(move || {
                    let mut traces = Vec::new();
                    while !gone.load(Ordering::Relaxed) {
                        let Some(trace) = crate::http::trace_of(&address, STRANGE) else { break };
                        traces.push(trace);
                    }
                    traces
                })
            })
            .collect();
        // Moments that differ from round to round and are the same in every run.
        let moment = Duration::from_millis(60 + round * 37 % 190);
        let start = Instant::now();
        while start.elapsed() < moment {
            std::thread::yield_now();
        }
        server.kill();
        gone.store(true, Ordering::Relaxed);
        for asker in askers {
            acknowledged.extend(asker.join().expect("no panic"));
        }
    }
    let mut stored: BTreeMap<String, u32> = BTreeMap::new();
    for event in events(&desk.data()) {
        *stored.entry(event.trace_id.expect("a decision")).or_default() += 1;
    }
    println!("{kills} kills, {} acknowledged, {} stored", acknowledged.len(), stored.len());
    assert!(acknowledged.len() as u64 >= kills, "the server hardly answered");
    assert!(stored.values().all(|count| *count == 1), "an event is there twice");
    for trace in &acknowledged {
        assert!(stored.contains_key(trace), "{trace} was acknowledged and is not there");
    }
    // And what is counted for an invoice is the same.
    let usage: Value = serde_json::from_str(&desk.sound(&["usage", "--json"])).expect("JSON");
    assert_eq!(usage["questions"].as_u64(), Some(stored.len() as u64));
}

/// What storing an event costs, beside what an answer does. Prints both.
#[test]
fn storing_costs_little_beside_answering() {
    let engine = crate::support::corpus_engine("shop");
    let data = tempfile::tempdir().expect("a folder");
    let log = Log::open(data.path());
    let text = "我上周买的鞋子想退，联系电话13812345678，收件人王伟";
    let event = |number: usize, outcome: Outcome| Event {
        trace_id: Some(format!("{number:032x}")),
        release: Some("12".to_owned()),
        conversation: Some(format!("c{}", number / 3)),
        channel: Some("web".to_owned()),
        text: Some(text.to_owned()),
        normalized: Some(outcome.core),
        decision: Some("answer".to_owned()),
        reason: Some("confident".to_owned()),
        entry: Some("return-7day".to_owned()),
        confidence: Some(0.93),
        candidates: vec![Candidate { entry: "return-7day".to_owned(), confidence: 0.93 }; 5],
        micros: Some(812),
        ..Event::now(Kind::Decision, "shop")
    };
    let middle = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (mut storing, mut answering) = (Vec::new(), Vec::new());
    for number in 0..500 {
        let start = Instant::now();
        let outcome = engine.answer(text, zhida::engine::Options::default()).expect("answers");
        answering.push(start.elapsed());
        let start = Instant::now();
        log.append(event(number, outcome)).expect("stored");
        storing.push(start.elapsed());
    }
    let (storing, answering) = (middle(storing), middle(answering));
    println!(
        "storing an event takes {storing:?}, an answer {answering:?}: {:.1} %",
        100.0 * storing.as_secs_f64() / answering.as_secs_f64()
    );
    // Unoptimised, as tests are, it takes several times as long, and answering does not; what it
    // costs a server benches/keeping.py says.
    let times = if cfg!(debug_assertions) { 1 } else { 5 };
    assert!(storing * times < answering, "storing takes {storing:?}, answering {answering:?}");
}

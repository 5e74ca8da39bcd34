//! From a question nobody could answer to one that is answered.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::events::{Doing, Event, Feedback, Kind, Log};
use zhida::learn::asked::{Asked, Gathering, Votes};
use zhida::learn::groups::{Memory, Placed, Teacher};
use zhida::text::exact_key;

use crate::http::{Got, admission, ask, get, publish, send, server_over};
use crate::support::{SMALL_KB, corpus, corpus_engine, run, stderr, stdout, zhida};

fn app(data: &Path) -> Router {
    zhida::server::router(server_over(data, admission()))
}

/// Asks over the router, and sees to it that the decision is among the events.
async fn asked(app: &Router, data: &Path, conversation: &str, text: &str) -> Value {
    let reply = ask(app, json!({"text": text, "kb": "demo", "session": conversation})).await.json();
    let log = Log::open(data);
    let trace = reply["trace_id"].as_str().expect("a trace id").to_owned();
    if log.find(&trace).expect("readable").is_none() {
        let name = |field: &str| reply[field].as_str().map(str::to_owned);
        let event = Event {
            trace_id: Some(trace),
            conversation: Some(conversation.to_owned()),
            text: Some(text.to_owned()),
            decision: name("decision"),
            reason: name("reason"),
            entry: reply["answer"]["entry"].as_str().map(str::to_owned),
            confidence: reply["confidence"].as_f64(),
            ..Event::now(Kind::Decision, "demo")
        };
        log.append(event).expect("stored");
    }
    reply
}

async fn signed(app: &Router, path: &str, body: Value) -> Got {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header("zhida-author", "%E6%9D%8E%E9%9B%B7");
    send(app, request.body(Body::from(body.to_string())).expect("a request")).await
}

fn items(got: &Got) -> Vec<Value> {
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    got.json()["items"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn before_anybody_has_asked_nothing_is_suggested() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    assert!(items(&get(&app(folder.path()), "/v1/kbs/demo/suggestions").await).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_suggested_accepted_published_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    publish(data, "demo", SMALL_KB, None);
    let app = app(data);

    // Customers ask in words of their own, and one says what was meant.
    let question = "买错尺码想把钞票要回来要几天";
    let reply = asked(&app, data, "c1", question).await;
    assert_ne!(reply["decision"], "answer", "{reply}");
    asked(&app, data, "c2", question).await;
    let log = Log::open(data);
    let trace = reply["trace_id"].as_str().expect("a trace id");
    let decision = log.find(trace).expect("readable").expect("stored");
    let chosen = Feedback { chosen: Some("refund-time".to_owned()), ..Feedback::default() };
    log.append(Event::feedback(&decision, chosen)).expect("stored");
    // Something that nobody has written down yet; an agent answered it.
    asked(&app, data, "c3", "门店可以停车吗").await;
    let agent = Event {
        text: Some("地下车库两小时内免费。".to_owned()),
        ..Event::agent("demo", "c3", "小王", Doing::Replied)
    };
    log.append(agent).expect("stored");

    let groups = items(&get(&app, "/v1/kbs/demo/groups").await);
    let title = |group: &Value| group["title"].as_str().unwrap_or_default().to_owned();
    assert!(groups.iter().any(|group| title(group) == question && group["count"] == 2), "{groups:?}");

    let found = items(&get(&app, "/v1/kbs/demo/suggestions").await);
    let of = |kind: &str| {
        found.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("{found:?}")).clone()
    };
    let similar = of("similar");
    assert_eq!(
        (&similar["entry"], &similar["text"], &similar["count"]),
        (&json!("refund-time"), &json!(question), &json!(2))
    );
    assert_eq!((&similar["gain"], &similar["harm"]), (&json!(2), &json!(0)), "{similar}");
    let entry = of("entry");
    assert_eq!((&entry["entry"], &entry["draft"]), (&Value::Null, &json!("地下车库两小时内免费。")));

    // Taken up: the draft has it, signed, and customers wait for the publication.
    let id = |one: &Value| one["id"].as_str().expect("an id").to_owned();
    let accept = |one: &Value| format!("/v1/kbs/demo/suggestions/{}/accept", id(one));
    let got = signed(&app, &accept(&similar), json!({})).await;
    assert_eq!((got.status, &got.json()["entry"]), (StatusCode::OK, &json!("refund-time")), "{}", got.text());
    assert_eq!(signed(&app, &accept(&entry), json!({})).await.status, StatusCode::OK);
    signed(&app, &accept(&similar), json!({})).await.problem(404, "not-here");
    assert!(items(&get(&app, "/v1/kbs/demo/suggestions").await).is_empty());
    let shelf = crate::support::store(data).shelf("demo").expect("there");
    let history = shelf.history(None, None, 10).expect("readable");
    let made = history
        .iter()
        .find(|one| one.entry.as_ref().is_some_and(|id| id.0 == "refund-time"))
        .expect("changed");
    assert_eq!(made.author, "李雷");
    assert!(made.reason.as_ref().is_some_and(|why| why.contains(&id(&similar))), "{:?}", made.reason);

    // Published: the question is answered, and nothing is open any more.
    shelf.publish(None, &|_, _, _| ()).expect("a release");
    let app = self::app(data);
    let reply = ask(&app, json!({"text": question, "kb": "demo"})).await.json();
    assert_eq!(
        (&reply["decision"], &reply["answer"]["entry"]),
        (&json!("answer"), &json!("refund-time")),
        "{reply}"
    );
    let reply = ask(&app, json!({"text": "门店可以停车吗", "kb": "demo"})).await.json();
    assert_eq!(reply["answer"]["text"], "地下车库两小时内免费。", "{reply}");
    assert!(items(&get(&app, "/v1/kbs/demo/suggestions").await).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_for_ever_does_not_come_back_and_what_is_left_for_now_does_when_many_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    publish(data, "demo", SMALL_KB, None);
    let app = app(data);
    for text in ["隔壁奶茶店开门了没", "附近有没有电影院"] {
        asked(&app, data, text, text).await;
    }
    let found = items(&get(&app, "/v1/kbs/demo/suggestions").await);
    let of = |text: &str| {
        let found = found.iter().find(|one| one["text"] == text).unwrap_or_else(|| panic!("{found:?}"));
        found["id"].as_str().expect("an id").to_owned()
    };
    let bulk =
        json!({"never": [of("隔壁奶茶店开门了没"), "s000000000000"], "ignore": [of("附近有没有电影院")]});
    let got = signed(&app, "/v1/kbs/demo/suggestions", bulk).await;
    let outcomes: Vec<bool> = items(&got).iter().map(|one| one["problem"].is_null()).collect();
    assert_eq!(outcomes, [true, true, false], "ignored, never again, unknown");
    for text in ["隔壁奶茶店开门了没", "附近有没有电影院"] {
        asked(&app, data, &format!("{text}又问"), text).await;
    }
    let texts = |got: Got| -> Vec<String> {
        items(&got).iter().map(|one| one["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(texts(get(&app, "/v1/kbs/demo/suggestions").await), ["附近有没有电影院"]);
    let one =
        items(&get(&app, "/v1/kbs/demo/suggestions").await)[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/kbs/demo/suggestions/{one}/accept");
    // It was asked in the words of an entry that is there, says the author.
    let got = signed(&app, &path, json!({"entry": "cod"})).await;
    assert_eq!(got.json()["entry"], "cod", "{}", got.text());
}

#[test]
fn the_command_line_shows_and_takes_up_what_the_server_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    publish(data, "demo", SMALL_KB, None);
    let log = Log::open(data);
    for number in 0..3 {
        let event = Event {
            trace_id: Some(format!("{number}")),
            text: Some("保修期有多久".to_owned()),
            decision: Some("handoff".to_owned()),
            reason: Some("no_match".to_owned()),
            ..Event::now(Kind::Decision, "demo")
        };
        log.append(event).expect("stored");
    }
    let command = |words: &[&str]| {
        let mut command = zhida();
        command.args(["learn", words[0], "--kb", "demo", "--data"]).arg(data).args(&words[1..]);
        command
    };
    let output = run(&mut command(&["suggestions", "--json"]));
    let found: Value =
        serde_json::from_str(&stdout(&output)).unwrap_or_else(|e| panic!("{e}: {}", stderr(&output)));
    assert_eq!(
        (&found["items"][0]["kind"], &found["items"][0]["count"]),
        (&json!("entry"), &json!(3)),
        "{found}"
    );
    let id = found["items"][0]["id"].as_str().expect("an id");
    let output = run(&mut command(&["accept", id]));
    assert!(!output.status.success() && stderr(&output).contains("--answer"), "{}", stderr(&output));
    let output = run(&mut command(&["accept", id, "--answer", "一年。", "--author", "韩梅梅"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let draft = crate::support::store(data).shelf("demo").expect("there").draft().expect("readable");
    assert!(draft.entries().iter().any(|entry| entry.question == "保修期有多久" && entry.answer == "一年。"));
    let output = run(&mut command(&["ignore", "--never", "s111111111111"]));
    assert!(!output.status.success());
    let output = run(&mut command(&["groups", "--json"]));
    let found: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(found["items"][0]["title"], "保修期有多久");
}

#[test]
fn wordings_of_one_question_are_one_group_and_its_neighbours_are_not() {
    let release = corpus("shop");
    let teacher = Teacher::of(&release).expect("a teacher");
    let texts = ["退款什么时候到账", "请问退款什么时候能到账呢", "怎么开发票", "能修改收货地址吗"];
    let encoder = release.encoder().expect("a model");
    let vectors = encoder.embed_all(&texts, &|_| ()).expect("vectors");
    let placed: Vec<Placed> = texts
        .iter()
        .zip(vectors)
        .map(|(text, vector)| Placed { core: release.analyzer().normalize(text).core, vector: Some(vector) })
        .collect();
    let keys: Vec<_> = texts.iter().map(|text| zhida::learn::groups::Key::of(&exact_key(text))).collect();
    let mut memory = Memory::default();
    let groups = zhida::learn::groups::group(&teacher, &placed, &[1; 4], &keys, &mut memory).expect("groups");
    let of = |at: usize| groups.iter().position(|group| group.members.contains(&at)).expect("in a group");
    assert!(of(0) == of(1) && of(2) != of(0) && of(3) != of(0) && of(3) != of(2), "{groups:?}");
}

#[test]
fn a_question_that_agents_answered_with_an_entry_is_suggested_for_it_and_tried() {
    use zhida::learn::suggest::{Kind as What, Limits, Material, review};
    let engine = corpus_engine("shop");
    let entry = engine.release().entries().iter().find(|entry| entry.enabled).expect("an entry");
    let votes = Votes { agents: 2, ..Votes::default() };
    let asked: Vec<Asked> = ["申领发票凭条", "怎么申领发票凭条"]
        .iter()
        .map(|text| Asked {
            text: (*text).to_owned(),
            count: 1,
            unanswered: 1,
            votes: [(entry.id.0.clone(), votes)].into(),
            ..Asked::default()
        })
        .collect();
    let material = Material {
        engine: &engine,
        questions: &asked,
        labelled: &[],
        settled: &[],
        today: zhida::events::Day::today(),
    };
    let found =
        review(&material, Limits { words: 0, ..Limits::default() }, &mut Memory::default()).expect("found");
    let one = found.suggestions.first().expect("a suggestion");
    assert_eq!((one.kind, one.entry.as_ref(), one.sure), (What::Similar, Some(&entry.id.0), true));
    assert!(one.trial.tried && one.gain >= 1, "{one:?}");
}

#[test]
fn words_that_point_at_a_list_are_no_question_of_anybody() {
    use zhida::learn::suggest::{Limits, Material, review};
    let engine = corpus_engine("shop");
    let asked: Vec<Asked> = ["第一个", "都不是", "上一个", "保修卡掉进水里了能补一张吗"]
        .iter()
        .map(|text| Asked { text: (*text).to_owned(), count: 5, unanswered: 5, ..Asked::default() })
        .collect();
    let material = Material {
        engine: &engine,
        questions: &asked,
        labelled: &[],
        settled: &[],
        today: zhida::events::Day::today(),
    };
    let found =
        review(&material, Limits { words: 0, ..Limits::default() }, &mut Memory::default()).expect("found");
    assert_eq!(found.open, 1);
    let texts: Vec<&str> = found.suggestions.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(texts, ["保修卡掉进水里了能补一张吗"]);
}

#[test]
fn what_nobody_has_confirmed_is_no_gain() {
    use zhida::learn::suggest::{Kind as What, Limits, Material, review};
    let engine = corpus_engine("shop");
    // Likely, and not answered: who agrees with it says so.
    let text = "钱退了几天能回到卡里头";
    let outcome = engine.answer(text, zhida::engine::Options::default()).expect("answers");
    let nearest = outcome.best().expect("an entry");
    let entry = engine.release().entries()[nearest.entry].id.0.clone();
    let suggestion = |votes: Votes| {
        let one = Asked {
            text: text.to_owned(),
            count: 4,
            unanswered: 4,
            votes: [(entry.clone(), votes)].into(),
            ..Asked::default()
        };
        let material = Material {
            engine: &engine,
            questions: &[one],
            labelled: &[],
            settled: &[],
            today: zhida::events::Day::today(),
        };
        let limits = Limits { words: 0, ..Limits::default() };
        let found = review(&material, limits, &mut Memory::default()).expect("found");
        found.suggestions.into_iter().next().expect("a suggestion")
    };
    let guessed = suggestion(Votes::default());
    assert_eq!((guessed.kind, guessed.entry.as_ref()), (What::Similar, Some(&entry)), "{guessed:?}");
    assert_eq!((guessed.gain, guessed.harm, guessed.trial.open), (0, 0, 4), "{guessed:?}");
    let confirmed = suggestion(Votes { agents: 1, ..Votes::default() });
    assert_eq!((confirmed.gain, confirmed.trial.open), (4, 0), "{confirmed:?}");
}

#[test]
fn what_a_rule_hands_over_is_no_gap_unless_it_is_for_the_hour() {
    let mut gathering = Gathering::default();
    let handed = |text: &str, reason: &str, rule: Option<&str>| Event {
        conversation: Some("c1".to_owned()),
        text: Some(text.to_owned()),
        decision: Some("handoff".to_owned()),
        reason: Some(reason.to_owned()),
        rule: rule.map(str::to_owned),
        ..Event::now(Kind::Decision, "shop")
    };
    gathering.decision(&handed("要投诉你们", "handoff_rule", Some("complaints")));
    gathering.decision(&handed("气死我了", "angry", None));
    gathering.decision(&handed("都不是", "none_of_these", None));
    gathering.decision(&handed("可以停车吗", "handoff_rule", Some("outside-hours")));
    let texts: Vec<String> = gathering.finish().all.into_iter().map(|asked| asked.text).collect();
    assert_eq!(texts, ["可以停车吗"]);
}

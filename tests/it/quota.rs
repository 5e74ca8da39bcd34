//! Does nobody ask more in a month than they may?

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures_util::future::join_all;
use serde_json::{Value, json};
use zhida::access::{Limits, Role};
use zhida::server::{Registry, Server, router};
use zhida::store::NewKey;

use crate::http::{Got, MAX_WRONG, Running, admission, exchange, publish, send};
use crate::support::{SMALL_KB, run, stderr, store, zhida};

const QUESTION: &str = "怎么开电子发票";

/// A key for so many questions a month.
fn key(data: &Path, per_month: Option<u64>) -> String {
    let change = |new: &mut NewKey| {
        new.name = "shop".to_owned();
        new.limits = Limits { per_month, ..Limits::default() };
    };
    crate::support::key(&store(data), "default", Role::Ask, change).0
}

fn over(data: &Path) -> Router {
    let registry = Arc::new(Registry::new(store(data), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    router(Server::new(registry, admission()))
}

async fn posted(app: &Router, key: &str, path: &str, body: Value) -> Got {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json");
    send(app, request.body(Body::from(body.to_string())).expect("a request")).await
}

fn batch(questions: usize) -> Value {
    json!({"items": vec![json!({"text": QUESTION}); questions]})
}

/// How many of requests that are sent together are answered, each in a conversation of its
/// own or in none; the others hear that nothing is left.
async fn answered(app: &Router, key: &str, requests: usize) -> usize {
    let asked = (0..requests).map(|number| {
        let question = match number % 2 {
            0 => json!({"text": QUESTION}),
            _ => json!({"text": QUESTION, "session": format!("s-{number}")}),
        };
        posted(app, key, "/v1/answer", question)
    });
    let got = join_all(asked).await;
    let right = got.iter().filter(|got| got.status == StatusCode::OK).count();
    for refused in got.iter().filter(|got| got.status != StatusCode::OK) {
        refused.problem(429, "quota-used-up");
    }
    right
}

#[tokio::test]
async fn who_ask_at_the_same_time_get_no_more_than_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let (few, many) = (key(root, Some(5)), key(root, None));
    let limits = Limits { per_month: Some(8), ..Limits::default() };
    store(root).access().limit_tenant("default", &limits).expect("limited");
    let app = over(root);
    assert_eq!(answered(&app, &few, 12).await, 5);
    // What is wrong takes nothing.
    posted(&app, &many, "/v1/answer", json!({"text": " "})).await.problem(422, "blank-text");
    assert_eq!(answered(&app, &many, 12).await, 3, "of the tenant's eight five were asked with another key");
}

#[tokio::test]
async fn a_batch_is_asked_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let few = key(root, Some(5));
    let app = over(root);
    let refused = posted(&app, &few, "/v1/answer/batch", batch(64)).await;
    refused.problem(429, "quota-used-up");
    assert!(refused.json()["detail"].as_str().is_some_and(|told| told.contains("no more than 5")));
    assert!(refused.header("ratelimit".parse().expect("a name")).starts_with("\"key\";r=5;"));
    assert_eq!(refused.header(header::RETRY_AFTER), "", "a smaller one is answered at once");
    // An item with a fault is no question.
    let mut mixed = batch(4);
    mixed["items"].as_array_mut().expect("items").push(json!({"text": ""}));
    let got = posted(&app, &few, "/v1/answer/batch", mixed).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    assert_eq!(got.json()["items"].as_array().map(Vec::len), Some(5));
    posted(&app, &few, "/v1/answer/batch", batch(2)).await.problem(429, "quota-used-up");
    assert_eq!(posted(&app, &few, "/v1/answer/batch", batch(1)).await.status, StatusCode::OK);
    posted(&app, &few, "/v1/answer", json!({"text": QUESTION})).await.problem(429, "quota-used-up");
}

/// While a server counts what was asked, second by second, nothing is counted twice and
/// nothing is missed.
#[test]
fn counting_while_people_ask_gives_and_takes_no_question() {
    const MONTH: usize = 60;
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let few = key(root, Some(MONTH as u64));
    let server = Running::start(root);
    let address = server.address.clone();
    let bearer = format!("Bearer {few}");
    let answered = AtomicUsize::new(0);
    let ask = || {
        for _ in 0..30 {
            let body = json!({"text": QUESTION}).to_string();
            let (status, _, told) =
                exchange(&address, "POST", "/v1/answer", &[("authorization", &bearer)], &body);
            match status {
                200 => drop(answered.fetch_add(1, Ordering::Relaxed)),
                _ => assert!(status == 429 && told.contains("quota-used-up"), "{status} {told}"),
            }
            std::thread::sleep(Duration::from_millis(60));
        }
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().for_each(|one| one.join().expect("everybody is answered"));
    });
    assert_eq!(answered.load(Ordering::Relaxed), MONTH);
    let (status, log) = server.stop();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn limits_are_shown_by_whom_gives_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let secret = key(root, Some(5));
    let id = secret.strip_prefix("zk_ask_").and_then(|rest| rest.get(..8)).expect("an id").to_owned();
    store(root)
        .access()
        .create_tenant("acme", &Limits { entries: Some(7), ..Limits::default() })
        .expect("made");
    let told = |args: &[&str]| {
        let output = run(zhida().args(args).arg("--data").arg(root));
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    for _ in 0..2 {
        assert!(told(&["key", "limit", &id]).contains("questions a month: 5"));
        assert!(told(&["tenant", "limit", "acme"]).contains("entries: 7"));
    }
    assert!(told(&["key", "limit", &id, "--per-second", "2"]).contains("a month: no limit"));
    assert!(told(&["tenant", "limit", "acme", "--unlimited"]).contains("entries: no limit"));
    assert!(store(root).access().tenants().expect("read").iter().all(|one| one.limits == Limits::default()));
}

#[tokio::test]
async fn whoever_is_with_people_or_leaves_them_asks_no_question() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let few = key(root, Some(2));
    let people = crate::doors::key_of(root, "default");
    let app = over(root);
    let say = async |session: &str, text: &str| {
        posted(&app, &few, &format!("/v1/conversations/{session}/messages"), json!({"text": text})).await
    };
    let button = async |session: &str| {
        posted(&app, &few, &format!("/v1/conversations/{session}/handoff"), json!({})).await
    };
    let id = say("a", "转人工").await.json()["handoff"]["id"].as_str().expect("a handoff").to_owned();
    assert_eq!(say("b", "转人工").await.json()["owner"], "queued");
    // Nothing is left for the robot to answer; people will read what is said by who waits.
    let waits = say("a", QUESTION).await;
    assert_eq!(
        (waits.status, &waits.json()["owner"]),
        (StatusCode::ACCEPTED, &json!("queued")),
        "{}",
        waits.text()
    );
    say("c", QUESTION).await.problem(429, "quota-used-up");
    // Who asks for a person in words gets one, and who is in danger.
    for (session, words, reason) in [("d", "我要找人工客服", "requested"), ("e", "着火了", "sensitive")]
    {
        let called = say(session, words).await;
        assert_eq!(called.json()["owner"], "queued", "{}", called.text());
        assert_eq!(called.json()["reason"], reason, "{}", called.text());
    }
    // The queue is left and the button pressed all the same.
    let gone = say("b", "不用人工了").await;
    assert_eq!(
        (gone.status, &gone.json()["reason"]),
        (StatusCode::OK, &json!("withdrawn")),
        "{}",
        gone.text()
    );
    let back = button("b").await;
    assert_eq!((back.status, &back.json()["owner"]), (StatusCode::OK, &json!("queued")), "{}", back.text());
    // A person hears what they are told.
    let claimed = posted(&app, &people, &format!("/v1/handoffs/{id}/claim"), json!({"agent": "小王"})).await;
    assert_eq!(claimed.status, StatusCode::OK, "{}", claimed.text());
    let heard = say("a", QUESTION).await;
    assert_eq!(heard.status, StatusCode::ACCEPTED, "{}", heard.text());
    let silent = posted(&app, &few, "/v1/answer", json!({"text": "在吗", "session": "a"})).await;
    assert_eq!((silent.status, &silent.json()["reason"]), (StatusCode::OK, &json!("with_person")));
    let left = json!({"fields": {"contact": "13800001111", "text": "请回电"}});
    assert_eq!(posted(&app, &few, "/v1/tickets", left).await.status, StatusCode::CREATED);
    // Nothing was counted but the four who asked for a person: of five questions one is left.
    let limits = json!({"limits": {"per_month": 5}});
    let few_id = few.strip_prefix("zk_ask_").and_then(|rest| rest.get(..8)).expect("an id");
    let request = Request::patch(format!("/v1/keys/{few_id}"))
        .header(header::AUTHORIZATION, format!("Bearer {people}"))
        .header(header::CONTENT_TYPE, "application/json");
    let got = send(&app, request.body(Body::from(limits.to_string())).expect("a request")).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    assert_eq!(say("c", QUESTION).await.status, StatusCode::OK);
    say("c", QUESTION).await.problem(429, "quota-used-up");
}

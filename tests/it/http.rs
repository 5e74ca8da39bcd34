//! HTTP: the contract's shapes, bad input, saturation, new releases under
//! load, and the real binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use zhida::encoder::Encoder;
use zhida::kb::formats;
use zhida::server::{Admission, Registry, Server, router};

use crate::support::{SMALL_KB, run, stderr, zhida};

pub const MAX_WRONG: f64 = 0.05;

pub fn publish(data: &Path, name: &str, entries: &str, encoder: Option<Arc<Encoder>>) -> u32 {
    let shelf = crate::support::store(data).shelf_to_create(name).expect("a sound name");
    shelf
        .save_draft(&formats::read_jsonl("test", entries.as_bytes()).expect("sound entries"))
        .expect("a draft");
    shelf.publish(encoder, &|_, _, _| ()).expect("a release").number
}

/// A data directory with two lexical-only knowledge bases; tests only read it.
pub fn data() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    DATA.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        publish(folder.path(), "demo", SMALL_KB, None);
        publish(folder.path(), "second", SMALL_KB, None);
        folder
    })
    .path()
}

pub fn admission() -> Admission {
    Admission::new(2, Duration::from_secs(5), Duration::from_secs(30))
}

/// A server over a data directory, everything open.
pub fn server_over(data: &Path, admission: Admission) -> Server {
    let registry = Arc::new(Registry::new(crate::support::store(data), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    Server::new(registry, admission)
}

pub fn server() -> Server {
    server_over(data(), admission())
}

pub struct Got {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Checks that this is a problem document of a kind and gives it back.
    #[track_caller]
    pub fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json");
        let body = self.json();
        assert_eq!(body["type"], format!("/problems/{slug}"), "{body}");
        assert_eq!(body["status"], status);
        for member in ["title", "detail"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {body}");
        }
        body
    }
}

pub async fn send(app: &Router, request: Request<Body>) -> Got {
    let response = app.clone().oneshot(request).await.expect("a response");
    let (parts, body) = response.into_parts();
    // A stream of events has no end.
    let is_stream = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let body = if is_stream { Vec::new() } else { body.collect().await.expect("a body").to_bytes().to_vec() };
    Got { status: parts.status, headers: parts.headers, body }
}

pub async fn get(app: &Router, path: &str) -> Got {
    send(app, Request::get(path).body(Body::empty()).expect("a request")).await
}

async fn post_bytes(app: &Router, path: &str, body: impl Into<Body>) -> Got {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    send(app, request.body(body.into()).expect("a request")).await
}

pub async fn post(app: &Router, path: &str, body: Value) -> Got {
    post_bytes(app, path, body.to_string()).await
}

pub async fn ask(app: &Router, body: Value) -> Got {
    post(app, "/v1/answer", body).await
}

/// Checks everything that the contract says of a reply.
#[track_caller]
fn check_reply(reply: &Value) {
    let decision = reply["decision"].as_str().expect("a decision");
    assert!(["answer", "clarify", "handoff"].contains(&decision), "{reply}");
    assert!(reply["reason"].is_string(), "{reply}");
    assert!(reply["confidence"].as_f64().is_some_and(|c| (0.0..=1.0).contains(&c)), "{reply}");
    for suggestion in reply["suggestions"].as_array().expect("suggestions") {
        check_suggestion(suggestion);
    }
    if decision == "answer" {
        for member in ["entry", "question", "text"] {
            assert!(reply["answer"][member].is_string(), "{reply}");
        }
    } else {
        assert_eq!(reply.get("answer"), Some(&Value::Null), "{reply}");
    }
    if decision == "handoff" {
        assert_eq!(reply["handoff"]["reason"], reply["reason"]);
        for candidate in reply["handoff"]["candidates"].as_array().expect("candidates") {
            check_suggestion(candidate);
        }
    } else {
        assert_eq!(reply.get("handoff"), Some(&Value::Null), "{reply}");
    }
    assert!(
        reply["kb"].is_string() && reply["release"].is_string() && reply["trace_id"].is_string(),
        "{reply}"
    );
    assert!(reply.get("model").is_some(), "{reply}");
    assert!([json!(1), json!(2)].contains(&reply["generation"]), "{reply}");
    assert!(reply["took_us"].is_u64(), "{reply}");
}

#[track_caller]
fn check_suggestion(suggestion: &Value) {
    assert!(suggestion["entry"].is_string() && suggestion["question"].is_string(), "{suggestion}");
    assert!(suggestion["confidence"].is_f64(), "{suggestion}");
}

#[tokio::test]
async fn an_answer_has_the_contracts_shape() {
    let app = router(server());
    let got =
        ask(&app, json!({"text": "怎么修改收货地址", "session": "u-42", "generation": 2, "explain": false}))
            .await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.header(header::CONTENT_TYPE), "application/json");
    let reply = got.json();
    check_reply(&reply);
    assert_eq!(reply["decision"], "answer");
    assert_eq!(reply["answer"]["entry"], "address-change");
    assert_eq!((&reply["kb"], &reply["release"]), (&json!("demo"), &json!("1")));
    assert_eq!(reply["model"], Value::Null, "lexical-only");
    assert!(reply.get("explain").is_none());
}

#[tokio::test]
async fn a_filter_narrows_what_may_be_found_and_a_faulty_one_is_refused() {
    let app = router(server());
    let question = |filter: Value| json!({"text": "退款多久到账", "filter": filter});
    for open in [json!(null), json!({}), json!({"topic": ["别的", "退款"]})] {
        let reply = ask(&app, question(open)).await.json();
        assert_eq!(reply["answer"]["entry"], "refund-time", "{reply}");
    }
    let batch = json!({"items": [
        question(json!({"tags": ["vip"]})),
        {"text": "怎么修改收货地址", "channel": "WeChat"},
        question(json!({"topic": []})),
    ]});
    let items = post(&app, "/v1/answer/batch", batch).await.json();
    assert_eq!(
        (&items["items"][0]["decision"], &items["items"][0]["reason"]),
        (&json!("handoff"), &json!("no_match"))
    );
    assert_eq!(items["items"][1]["answer"]["text"], "点菜单“我的订单”修改。");
    assert_eq!(items["items"][2]["field"], "filter.topic");
    for (filter, slug, field) in [
        (json!({"colour": ["红"]}), "unknown-field", "filter.colour"),
        (json!(["vip"]), "invalid-field", "filter"),
        (json!({"tags": "vip"}), "invalid-field", "filter.tags"),
        (json!({"tags": [""]}), "invalid-field", "filter.tags"),
        (json!({"tags": [1]}), "invalid-field", "filter.tags"),
        (json!({"topic": vec!["x"; 65]}), "invalid-field", "filter.topic"),
    ] {
        let problem = ask(&app, question(filter)).await.problem(422, slug);
        assert_eq!(problem["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn the_channel_chooses_the_wording_and_the_kb_is_heard() {
    let app = router(server());
    let reply =
        ask(&app, json!({"text": "怎么修改收货地址", "channel": "wechat", "kb": "second"})).await.json();
    assert_eq!(reply["answer"]["text"], "点菜单“我的订单”修改。");
    assert_eq!(reply["kb"], "second");
}

#[tokio::test]
async fn null_means_not_given() {
    let app = router(server());
    let body = json!({"text": "怎么修改收货地址", "kb": null, "session": null, "channel": null, "generation": null, "explain": null});
    assert_eq!(ask(&app, body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_handoff_has_the_contracts_shape() {
    let app = router(server());
    for (text, reason) in [
        ("转人工", "requested"),
        ("😊👍", "no_text"),
        ("好的，谢谢！", "no_question"),
        ("windows", "no_match"),
    ] {
        let got = ask(&app, json!({"text": text})).await;
        assert_eq!(got.status, StatusCode::OK);
        let reply = got.json();
        check_reply(&reply);
        assert_eq!((&reply["decision"], &reply["reason"]), (&json!("handoff"), &json!(reason)), "{reply}");
    }
}

/// The only entry that a question can mean, but not for sure; what a policy
/// makes of that is its own matter, so the shape is checked on whichever of a
/// few questions gets a clarification.
#[tokio::test]
async fn a_clarification_has_the_contracts_shape() {
    let shop =
        std::fs::read_to_string(crate::support::repository("corpora/shop.kb.jsonl")).expect("the demo");
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", &shop, None);
    let app = router(server_over(folder.path(), admission()));
    let mut clarified = 0;
    for text in [
        "退款",
        "怎么退",
        "换货运费",
        "发票怎么弄",
        "订单取消",
        "优惠券不能用",
        "退货要运费吗我不想要了",
        "快递到哪了",
    ] {
        let reply = ask(&app, json!({"text": text})).await.json();
        check_reply(&reply);
        if reply["decision"] == "clarify" {
            clarified += 1;
            let offered = reply["suggestions"].as_array().expect("suggestions").len();
            assert!((2..=5).contains(&offered), "{reply}");
        }
    }
    assert!(clarified > 0, "none of the questions was clarified");
}

#[tokio::test]
async fn explain_tells_every_stage_and_decides_the_same() {
    let app = router(server());
    for text in ["怎么修改收货地址", "钱退回来要几天", "转人工"] {
        let plain = ask(&app, json!({"text": text})).await.json();
        let explained = ask(&app, json!({"text": text, "explain": true})).await.json();
        for member in ["decision", "reason", "confidence", "answer", "suggestions", "handoff"] {
            assert_eq!(plain[member], explained[member], "{text}");
        }
        let explain = &explained["explain"];
        for member in ["tokens", "lexical", "semantic", "steps", "stages"] {
            assert!(explain[member].is_array(), "{member}: {explain}");
        }
        assert!(explain["rule"].is_string());
        assert!(explain["stages"].as_array().expect("stages").iter().all(|stage| stage["micros"].is_u64()));
    }
}

#[tokio::test]
async fn bad_input_gets_a_problem_that_says_what_to_change() {
    let app = router(server());
    for text in ["", " \u{3000}\n\t "] {
        let problem = ask(&app, json!({"text": text})).await.problem(422, "blank-text");
        assert_eq!(problem["field"], "text");
    }
    ask(&app, json!({"text": "问".repeat(2_000)})).await.json();
    let problem = ask(&app, json!({"text": "问".repeat(2_001)})).await.problem(422, "text-too-long");
    assert_eq!(problem["field"], "text");

    let cases = [
        (json!({}), "missing-field", "text"),
        (json!({"text": "怎么退", "color": 1}), "unknown-field", "color"),
        (json!({"text": null}), "invalid-field", "text"),
        (json!({"text": 5}), "invalid-field", "text"),
        (json!({"text": ["怎么退"]}), "invalid-field", "text"),
        (json!({"text": "怎么退", "kb": 1}), "invalid-field", "kb"),
        (json!({"text": "怎么退", "session": {}}), "invalid-field", "session"),
        (json!({"text": "怎么退", "channel": true}), "invalid-field", "channel"),
        (json!({"text": "怎么退", "explain": "yes"}), "invalid-field", "explain"),
        (json!({"text": "怎么退", "generation": 0}), "invalid-field", "generation"),
        (json!({"text": "怎么退", "generation": 3}), "invalid-field", "generation"),
        (json!({"text": "怎么退", "generation": 1.5}), "invalid-field", "generation"),
        (json!({"text": "怎么退", "generation": "2"}), "invalid-field", "generation"),
    ];
    for (body, slug, field) in cases {
        let problem = ask(&app, body).await.problem(422, slug);
        assert_eq!(problem["field"], field);
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(field)), "{problem}");
    }
    for body in [json!("怎么退"), json!([]), json!(null)] {
        ask(&app, body).await.problem(422, "invalid-field");
    }
    let problem = ask(&app, json!({"text": "怎么退", "kb": "nope"})).await.problem(404, "unknown-kb");
    assert_eq!((&problem["field"], &problem["known"]), (&json!("kb"), &json!(["demo", "second"])));
}

#[tokio::test]
async fn bad_bodies_get_a_problem() {
    let app = router(server());
    let problem =
        post_bytes(&app, "/v1/answer", "{\"text\": \"怎么退\",\n  oops}").await.problem(400, "broken-json");
    assert_eq!((&problem["line"], &problem["column"]), (&json!(2), &json!(3)));
    for body in ["", "{", "{\"text\":\"\\ud800\"}", "{\"text\":\"a\"} x"] {
        post_bytes(&app, "/v1/answer", body).await.problem(400, "broken-json");
    }
    post_bytes(&app, "/v1/answer", "[".repeat(10_000)).await.problem(400, "broken-json");
    post_bytes(&app, "/v1/answer", b"{\"text\":\"\xff\xfe\"}".to_vec()).await.problem(400, "not-utf8");
    ask(&app, json!({"text": "a".repeat(100_000)})).await.problem(413, "body-too-large");

    for declared in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = Request::post("/v1/answer");
        if let Some(declared) = declared {
            request = request.header(header::CONTENT_TYPE, declared);
        }
        let request = request.body(Body::from("{\"text\":\"怎么退\"}")).expect("a request");
        send(&app, request).await.problem(415, "wrong-content-type");
    }
    let request = Request::post("/v1/answer").header(header::CONTENT_TYPE, "Application/JSON; charset=utf-8");
    let request = request.body(Body::from("{\"text\":\"怎么退\"}")).expect("a request");
    assert_eq!(send(&app, request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn unknown_paths_and_methods_get_a_problem() {
    let app = router(server());
    for path in ["/nope", "/v1/", "/v1/answer/", "/%ff"] {
        get(&app, path).await.problem(404, "not-found");
    }
    let got = get(&app, "/v1/answer").await;
    got.problem(405, "method-not-allowed");
    assert_eq!(got.header(header::ALLOW), "POST");
    let request =
        Request::builder().method(Method::DELETE).uri("/healthz").body(Body::empty()).expect("a request");
    send(&app, request).await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_batch_answers_in_order_and_a_faulty_item_costs_only_itself() {
    let app = router(server());
    let items = json!({"items": [
        {"text": "怎么修改收货地址"}, {"text": " "}, {"text": "怎么开电子发票", "kb": "second"},
        {"text": "x", "kb": "nope"}, {"txt": "x"}, 7, {"text": "转人工"},
        {"text": "转人工", "session": "s"}, {"choice": "invoice"}, {"text": "转人工", "client_id": "m"},
    ]});
    let got = post(&app, "/v1/answer/batch", items).await;
    assert_eq!(got.status, StatusCode::OK);
    let body = got.json();
    let items = body["items"].as_array().expect("items");
    let shown: Vec<&str> = items
        .iter()
        .map(|item| item["answer"]["entry"].as_str().or(item["type"].as_str()).unwrap_or("handoff"))
        .collect();
    let wanted = [
        "address-change",
        "/problems/blank-text",
        "invoice",
        "/problems/unknown-kb",
        "/problems/unknown-field",
        "/problems/invalid-field",
        "handoff",
        // Nobody would be called, and nothing be remembered.
        "/problems/invalid-field",
        "/problems/invalid-field",
        "/problems/invalid-field",
    ];
    assert_eq!(shown, wanted);
    assert_eq!(items[7]["field"], "session");
    check_reply(&items[0]);
    check_reply(&items[6]);

    assert_eq!(post(&app, "/v1/answer/batch", json!({"items": []})).await.json(), json!({"items": []}));
    let many = |count: usize| json!({"items": vec![json!({"text": "怎么开电子发票"}); count]});
    let body = post(&app, "/v1/answer/batch", many(64)).await.json();
    assert_eq!(body["items"].as_array().map(Vec::len), Some(64));
    let problem = post(&app, "/v1/answer/batch", many(65)).await.problem(422, "batch-too-large");
    assert_eq!(problem["field"], "items");
    post(&app, "/v1/answer/batch", json!({"items": {}})).await.problem(422, "invalid-field");
    post(&app, "/v1/answer/batch", json!({})).await.problem(422, "missing-field");
    post(&app, "/v1/answer/batch", json!({"items": [], "kb": "demo"})).await.problem(422, "unknown-field");
    let large = json!({"items": [{"text": "a".repeat(1_100_000)}]});
    post(&app, "/v1/answer/batch", large).await.problem(413, "body-too-large");
    let medium = json!({"items": [{"text": "a".repeat(100_000)}]});
    assert_eq!(
        post(&app, "/v1/answer/batch", medium).await.json()["items"][0]["type"],
        "/problems/text-too-long"
    );
}

#[tokio::test]
async fn openapi_lists_the_paths_and_the_requests_fields() {
    let app = router(server());
    let document = get(&app, "/openapi.json").await.json();
    let paths: Vec<&String> = document["paths"].as_object().expect("paths").keys().collect();
    for path in
        ["/v1/answer", "/v1/answer/batch", "/v1/kbs", "/healthz", "/readyz", "/metrics", "/openapi.json"]
    {
        assert!(paths.iter().any(|known| *known == path), "{path} in {paths:?}");
    }
    let schemas = &document["components"]["schemas"];
    let fields: Vec<&String> =
        schemas["AnswerRequest"]["properties"].as_object().expect("fields").keys().collect();
    for field in ["text", "kb", "session", "channel", "generation", "explain"] {
        assert!(fields.iter().any(|known| *known == field), "{field} in {fields:?}");
    }
    assert_eq!(schemas["AnswerRequest"]["required"], json!(["text"]));
    for field in ["decision", "answer", "suggestions", "handoff", "explain", "took_us"] {
        assert!(schemas["Reply"]["properties"][field].is_object(), "{field}: {}", schemas["Reply"]);
    }
    assert!(schemas["Problem"]["properties"]["type"].is_object(), "{}", schemas["Problem"]);
    assert!(schemas["Problem"]["properties"]["kind"].is_null());
    assert!(
        document["info"]["description"].as_str().is_some_and(|text| text.contains("/problems/blank-text"))
    );
}

#[tokio::test]
async fn knowledge_bases_are_listed() {
    let app = router(server());
    let body = get(&app, "/v1/kbs").await.json();
    let items = body["items"].as_array().expect("items");
    assert_eq!(items.len(), 2);
    assert_eq!((&items[0]["kb"], &items[0]["default"]), (&json!("demo"), &json!(true)));
    assert_eq!((&items[0]["release"], &items[0]["entries"]), (&json!("1"), &json!(4)));
    assert_eq!(items[0]["goal"]["max_wrong"], json!(MAX_WRONG));
}

#[tokio::test]
async fn the_only_knowledge_base_is_the_default_one() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "bank", SMALL_KB, None);
    let app = router(server_over(folder.path(), admission()));
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["kb"], "bank");
}

#[tokio::test]
async fn readiness_follows_the_data_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Arc::new(Registry::new(crate::support::store(folder.path()), None, MAX_WRONG, "demo"));
    let app = router(Server::new(Arc::clone(&registry), admission()));
    assert_eq!(get(&app, "/healthz").await.json()["status"], "ok");
    registry.refresh();
    let got = get(&app, "/readyz").await;
    assert_eq!((got.status, &got.json()["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
    let got = ask(&app, json!({"text": "怎么退"})).await;
    got.problem(503, "not-ready");
    assert_eq!(got.header(header::RETRY_AFTER), "1");

    publish(folder.path(), "demo", SMALL_KB, None);
    registry.refresh();
    let got = get(&app, "/readyz").await;
    assert_eq!(
        (got.status, got.json()),
        (
            StatusCode::OK,
            json!({"ready": true, "status": "ready", "read_only": false, "kbs": {"demo": "1"}, "warnings": []})
        )
    );

    // A new knowledge base appears; one without a release costs no readiness.
    publish(folder.path(), "second", SMALL_KB, None);
    let third = crate::support::store(folder.path()).shelf_to_create("third").expect("a name");
    third.save_draft(&formats::read_jsonl("test", SMALL_KB.as_bytes()).expect("entries")).expect("a draft");
    registry.refresh();
    let got = get(&app, "/readyz").await;
    assert_eq!((got.status, &got.json()["kbs"]), (StatusCode::OK, &json!({"demo": "1", "second": "1"})));
    ask(&app, json!({"text": "怎么退", "kb": "third"})).await.problem(503, "not-ready");
}

#[tokio::test]
async fn a_damaged_release_leaves_the_old_one_serving() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let server = server_over(folder.path(), admission());
    let app = router(server.clone());
    let number = publish(folder.path(), "demo", SMALL_KB, None);
    let entries = folder.path().join(format!("kbs/demo/releases/{number}/entries.jsonl"));
    let mut bytes = std::fs::read(&entries).expect("entries");
    bytes[10] ^= 1;
    std::fs::write(&entries, bytes).expect("a flipped bit");
    server.registry().refresh();
    let got = get(&app, "/readyz").await;
    let body = got.json();
    assert_eq!((got.status, &body["kbs"]["demo"]), (StatusCode::OK, &json!("1")));
    assert_eq!(body["warnings"][0]["kb"], "demo");
    assert!(body["warnings"][0]["message"].as_str().is_some_and(|text| text.contains("release 2")), "{body}");
    assert!(
        !body.to_string().contains(&*folder.path().to_string_lossy()),
        "no path leaves the server: {body}"
    );
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["release"], "1");

    publish(folder.path(), "demo", SMALL_KB, None);
    server.registry().refresh();
    assert_eq!(
        get(&app, "/readyz").await.json(),
        json!({"ready": true, "status": "ready", "read_only": false, "kbs": {"demo": "3"}, "warnings": []})
    );
}

#[tokio::test]
async fn a_full_server_turns_questions_away_and_takes_them_again() {
    let server = server_over(data(), Admission::new(2, Duration::ZERO, Duration::from_secs(30)));
    let app = router(server.clone());
    let held = [server.admission().admit().await, server.admission().admit().await];
    assert!(held.iter().all(Result::is_ok));
    for (path, body) in [
        ("/v1/answer", json!({"text": "怎么退"})),
        ("/v1/answer/batch", json!({"items": [{"text": "怎么退"}]})),
    ] {
        let got = post(&app, path, body).await;
        got.problem(429, "overloaded");
        assert_eq!(got.header(header::RETRY_AFTER), "1");
    }
    let metrics = get(&app, "/metrics").await.text();
    assert!(metrics.contains("zhida_in_flight{pool=\"questions\"} 2\n"), "{metrics}");
    assert!(metrics.contains("zhida_rejected_total{reason=\"overloaded\"} 2\n"), "{metrics}");
    assert_eq!(get(&app, "/readyz").await.status, StatusCode::OK, "health needs no permit");
    drop(held);
    assert_eq!(ask(&app, json!({"text": "怎么退"})).await.status, StatusCode::OK);
    assert_eq!(server.admission().in_flight(), 0);
}

#[tokio::test]
async fn a_question_in_the_queue_is_answered_when_a_permit_comes_free() {
    let server = server_over(data(), Admission::new(1, Duration::from_secs(60), Duration::from_secs(60)));
    let app = router(server.clone());
    let held = server.admission().admit().await.expect("a permit");
    let waiting = tokio::spawn({
        let app = app.clone();
        async move { ask(&app, json!({"text": "怎么开电子发票"})).await.status }
    });
    tokio::task::yield_now().await;
    drop(held);
    assert_eq!(waiting.await.expect("a response"), StatusCode::OK);
}

#[tokio::test]
async fn work_that_nobody_waits_for_keeps_its_permit_until_it_ends() {
    let admission = Arc::new(Admission::new(1, Duration::ZERO, Duration::from_secs(60)));
    let (started, begun) = tokio::sync::oneshot::channel();
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let (end, ended) = tokio::sync::oneshot::channel();
    let handler = tokio::spawn({
        let admission = Arc::clone(&admission);
        async move {
            let work = admission.work(move |abandoned| {
                let _ = started.send(());
                let _ = finished.recv();
                let _ = end.send(abandoned.is_set());
            });
            work.await
        }
    });
    begun.await.expect("the work begins");
    handler.abort();
    assert!(handler.await.is_err());
    assert_eq!(admission.in_flight(), 1, "the work still uses a core");
    assert!(admission.admit().await.is_err());
    finish.send(()).expect("the work still runs");
    assert!(ended.await.expect("the work ends"), "it was told");
    while admission.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_question_past_its_deadline_is_given_up() {
    let app = router(server_over(data(), Admission::new(1, Duration::ZERO, Duration::ZERO)));
    let got = ask(&app, json!({"text": "怎么退"})).await;
    got.problem(503, "deadline-exceeded");
    assert_eq!(got.header(header::RETRY_AFTER), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_releases_arrive_without_failing_a_request() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let server = server_over(folder.path(), admission());
    let app = router(server.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let (app, stop) = (app.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    let got = ask(&app, json!({"text": "怎么开电子发票"})).await;
                    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
                    let number: u32 =
                        got.json()["release"].as_str().and_then(|n| n.parse().ok()).expect("a number");
                    assert!(number >= last, "release {number} after {last}");
                    last = number;
                }
                last
            })
        })
        .collect();
    let path = folder.path().to_path_buf();
    tokio::task::spawn_blocking(move || {
        for wanted in [2, 3] {
            assert_eq!(publish(&path, "demo", SMALL_KB, None), wanted);
            server.registry().refresh();
        }
    })
    .await
    .expect("two releases");
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["release"], "3");
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.expect("no request failed") >= 1);
    }
}

#[tokio::test]
async fn metrics_count_decisions_and_rejections() {
    let app = router(server());
    ask(&app, json!({"text": "怎么开电子发票"})).await;
    ask(&app, json!({"text": "转人工"})).await;
    ask(&app, json!({"text": " "})).await;
    post(&app, "/v1/answer/batch", json!({"items": [{"text": "转人工"}, {"text": ""}]})).await;
    let got = get(&app, "/metrics").await;
    assert!(got.header(header::CONTENT_TYPE).starts_with("text/plain; version=0.0.4"));
    let text = got.text();
    for line in [
        "zhida_answers_total{kb=\"demo\",decision=\"answer\",reason=\"exact_question\",generation=\"1\"} 1",
        "zhida_answers_total{kb=\"demo\",decision=\"handoff\",reason=\"requested\",generation=\"1\"} 2",
        "zhida_rejected_total{reason=\"blank-text\"} 2",
        "zhida_answer_seconds_count 3",
        "zhida_in_flight{pool=\"questions\"} 0",
        "zhida_stage_seconds_count{stage=\"text\"} 3",
        "zhida_stage_seconds_count{stage=\"encoder\"} 0",
        "zhida_http_requests_total{method=\"POST\",route=\"/v1/answer\",status=\"200\"} 2",
        "zhida_http_requests_total{method=\"POST\",route=\"/v1/answer\",status=\"422\"} 1",
        "zhida_outbox_waiting{tenant=\"default\"} 0",
        "zhida_handoffs_waiting{kb=\"demo\"} 0",
        "zhida_release{kb=\"demo\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_outside() {
    let app = router(server());
    for (path, kind) in [
        ("/", "text/html"),
        ("/login", "text/html"),
        ("/setup", "text/html"),
        ("/console.css", "text/css"),
        ("/console/frame.js", "text/javascript"),
        ("/door.js", "text/javascript"),
    ] {
        let got = get(&app, path).await;
        assert_eq!(got.status, StatusCode::OK);
        assert!(got.header(header::CONTENT_TYPE).starts_with(kind));
        assert!(got.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
        let text = got.text().replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http://") && !text.contains("https://"), "{path} names another site");
        assert!(!text.contains("innerHTML"), "{path}");
    }
}

#[tokio::test]
async fn the_built_in_model_answers_in_generation_two() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = Some(Arc::new(Encoder::built_in().expect("the built-in model")));
    publish(folder.path(), "demo", SMALL_KB, encoder.clone());
    let registry = Arc::new(Registry::new(crate::support::store(folder.path()), encoder, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    let app = router(Server::new(registry, admission()));
    let reply = ask(&app, json!({"text": "我填的送货地点不对", "explain": true})).await.json();
    check_reply(&reply);
    assert_eq!(reply["generation"], 2, "{reply}");
    assert!(reply["model"].is_string());
    assert!(reply["explain"]["semantic"].as_array().is_some_and(|list| !list.is_empty()), "{reply}");
    assert_eq!(reply["explain"]["generation2"]["candidates"][0]["entry"], "address-change", "{reply}");
    let reply = ask(&app, json!({"text": "我填的送货地点不对", "generation": 1})).await.json();
    assert_eq!(reply["generation"], 1);
    // A server without the model must not open this release.
    let without = Registry::new(crate::support::store(folder.path()), None, MAX_WRONG, "demo");
    let message = without.open_all().expect_err("another model").to_string();
    assert!(message.contains("zhida kb publish --kb demo"), "{message}");
}

/// The trace id of a server's reply; `None` when the server is gone before it came whole.
pub fn trace_of(address: &str, text: &str) -> Option<String> {
    let body = json!({"text": text}).to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    write!(
        stream,
        "POST /v1/answer HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (_, body) = response.split_once("\r\n\r\n")?;
    let reply: Value = serde_json::from_str(body).ok()?;
    reply["trace_id"].as_str().map(str::to_owned)
}

/// Sends a request over a connection of its own; the status, the head and the body of the reply.
pub fn exchange(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String, String) {
    let stream = TcpStream::connect(address).expect("a connection");
    exchange_over(stream, address, method, path, headers, body)
}

/// The same over a connection that stands.
pub fn exchange_over(
    mut stream: impl Read + Write,
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String, String) {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    if !body.is_empty() {
        head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    write!(stream, "{head}\r\n{body}").expect("sent");
    let mut response = String::new();
    // TLS peers may end without saying goodbye.
    let _ = stream.read_to_string(&mut response);
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

/// A running `zhida serve`; it is killed when a test fails.
pub struct Running {
    child: Child,
    pub address: String,
    log: std::thread::JoinHandle<String>,
}

impl Running {
    pub fn start(data: &Path) -> Self {
        Self::of(serve(data, "127.0.0.1:0"))
    }

    /// A server that some command starts.
    pub fn of(mut command: Command) -> Self {
        let mut child =
            crate::support::ground(&mut command).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let mut log = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else { panic!("no address in:\n{log}") };
            if let Some(address) = line.strip_prefix("zhida: listening on http://") {
                break address.to_owned();
            }
            log.push_str(&line);
            log.push('\n');
        };
        // Somebody has to read on, or the server stops at a full pipe.
        let log =
            std::thread::spawn(move || lines.map_while(Result::ok).fold(log, |log, line| log + &line + "\n"));
        Self { child, address, log }
    }

    pub fn ask(&self, text: &str) -> Value {
        let (status, body) = self.reply(text);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The status of the reply to a question, and its body.
    pub fn reply(&self, text: &str) -> (u16, Value) {
        let body = json!({"text": text}).to_string();
        let (status, _, body) = exchange(&self.address, "POST", "/v1/answer", &[], &body);
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// The status of the reply to a GET, and its body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = exchange(&self.address, "GET", path, &[], "");
        (status, body)
    }

    /// Ends it at once, whatever it does.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an end");
    }

    /// Sends SIGTERM; gives back the exit status and the log.
    pub fn stop(self) -> (Option<i32>, String) {
        self.signal("TERM");
        self.ended()
    }

    /// Which process it is.
    #[cfg(target_os = "linux")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
    }

    /// Waits until it ends; the exit status and the log.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("an end");
        (
            status.code(),
            std::mem::replace(&mut self.log, std::thread::spawn(String::new)).join().expect("the log"),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn serve(data: &Path, listen: &str) -> Command {
    let mut command = zhida();
    command.args(["serve", "--model", "none", "--log", "json", "--listen", listen, "--data"]).arg(data);
    command.env_remove("RUST_LOG");
    command
}

/// What a system lets a process have at first is not what it may have.
#[cfg(target_os = "linux")]
#[test]
fn a_server_has_as_many_files_open_as_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", crate::support::SMALL_KB, None);
    let plain = serve(folder.path(), "127.0.0.1:0");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 300 && ulimit -Hn 700 && exec \"$0\" \"$@\""]);
    command.arg(plain.get_program()).args(plain.get_args());
    let server = Running::of(command);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).expect("readable");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line of it");
    assert_eq!(files.split_whitespace().nth(3), Some("700"), "{files}");
    server.stop();
}

#[cfg(unix)]
#[test]
fn the_binary_publishes_the_demo_serves_it_and_stops_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let first = Running::start(&data);
    let reply = first.ask("还没付款的订单怎么取消");
    check_reply(&reply);
    assert_eq!(
        (&reply["decision"], &reply["answer"]["entry"]),
        (&json!("answer"), &json!("order-cancel-unpaid"))
    );
    let (status, log) = first.stop();
    assert_eq!(status, Some(0), "{log}");
    let answered: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "answered")
        .collect();
    assert_eq!(answered.len(), 1, "{log}");
    for member in ["decision", "reason", "confidence", "generation", "kb", "release", "micros", "trace_id"] {
        assert!(answered[0].get(member).is_some(), "{member}: {log}");
    }
    assert_eq!(answered[0]["trace_id"], reply["trace_id"]);
    assert!(!log.contains("还没付款"), "the customer's words are in the log:\n{log}");
    // Without a terminal it says in plain lines what it does.
    let told: Vec<&str> = log.lines().filter(|line| line.starts_with("zhida: ")).collect();
    for words in ["importing the demo knowledge base", "publishing demo", "published demo as release 1"] {
        assert!(told.iter().any(|line| line.contains(words)), "{words}: {told:?}");
    }

    // The second start finds everything there.
    let second = Running::start(&data);
    assert_eq!(second.ask("转人工")["release"], "1");
    assert_eq!(crate::support::store(&data).shelf("demo").expect("demo").versions().expect("versions"), [1]);

    // The port is taken now.
    let other = tempfile::tempdir().expect("a folder");
    let output = run(&mut serve(other.path(), &second.address));
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.contains(&second.address) && message.contains("--listen"), "{message}");
    assert_eq!(second.stop().0, Some(0));
}

#[cfg(unix)]
#[test]
fn a_first_start_that_was_cut_off_is_completed_by_the_next() {
    let demo = std::fs::read(crate::support::repository("corpora/shop.kb.jsonl")).expect("the demo");
    let demo = formats::read_jsonl("demo", &demo).expect("sound entries");
    // Cut off before the draft, before the release, and inside it.
    for state in ["folder", "draft", "unfinished"] {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = crate::support::store(folder.path()).shelf_to_create("demo").expect("a name");
        std::fs::create_dir_all(folder.path().join("kbs/demo")).expect("a folder");
        if state != "folder" {
            shelf.save_draft(&demo).expect("a draft");
        }
        if state == "unfinished" {
            let left = folder.path().join("kbs/demo/releases/.unfinished-x");
            std::fs::create_dir_all(&left).expect("a folder");
            std::fs::write(left.join("entries.jsonl"), "half").expect("a file");
        }
        let server = Running::start(folder.path());
        assert_eq!(server.ask("转人工")["release"], "1", "{state}");
        assert_eq!(server.stop().0, Some(0), "{state}");
    }
}

#[test]
fn somebodys_own_draft_named_demo_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = crate::support::store(folder.path()).shelf_to_create("demo").expect("a name");
    shelf.save_draft(&formats::read_jsonl("own", SMALL_KB.as_bytes()).expect("entries")).expect("a draft");
    let server = Running::start(folder.path());
    drop(server);
    assert!(shelf.versions().expect("versions").is_empty());
}

#[test]
fn a_release_of_another_model_is_not_served_and_the_start_names_the_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let number = publish(folder.path(), "demo", SMALL_KB, None);
    // What another version of zhida would have written.
    let path = folder.path().join(format!("kbs/demo/releases/{number}/manifest.json"));
    let mut manifest: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a manifest")).expect("JSON");
    manifest["text"] = json!("0-other");
    std::fs::write(&path, manifest.to_string()).expect("written");
    // The server goes on, so that the command can be run beside it.
    let server = Running::start(folder.path());
    let (status, body) = server.get("/readyz");
    assert!(status == 503 && body.contains("zhida kb publish --kb demo"), "{status} {body}");
    assert_eq!(server.reply("怎么开电子发票").0, 503);
    let (status, log) = server.stop();
    assert_eq!(status, Some(0));
    assert!(log.contains("zhida kb publish --kb demo"), "{log}");
}

#[test]
fn wrong_flags_are_wrong_usage() {
    for flags in [["--max-in-flight", "0"], ["--deadline-ms", "0"], ["--log", "xml"], ["--max-wrong", "2"]] {
        let output = run(zhida().arg("serve").args(flags));
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
    }
    let output = run(&mut serve(Path::new("/nonexistent"), "not an address"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--listen"), "{}", stderr(&output));
}

//! What `zhida kb` does, over HTTP: files, releases, history, jobs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::kb::formats;
use zhida::server::{Registry, Server, router};

use crate::http::{Got, MAX_WRONG, admission, ask, get, post, publish, send};
use crate::support::{SMALL_KB, repository};

fn app(data: &Path) -> Router {
    let registry = Arc::new(Registry::new(crate::support::store(data), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    router(Server::new(registry, admission()))
}

async fn put_file(app: &Router, method: Method, path: &str, bytes: impl Into<Body>) -> Got {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header("zhida-author", "李雷")
        .header("zhida-reason", "季度更新");
    send(app, request.body(bytes.into()).expect("a request")).await
}

async fn without_body(app: &Router, method: Method, path: &str) -> Got {
    send(app, Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")).await
}

/// Waits for the end of a job and gives it back.
async fn ended(app: &Router, started: &Got) -> Value {
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.text());
    let place = started.headers["location"].to_str().expect("text").to_owned();
    let start = Instant::now();
    loop {
        let job = get(app, &place).await.json();
        if job["state"] != "running" {
            return job;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{job}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_file_to_a_release_and_back_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = app(folder.path());
    let import = |more: &str| format!("/v1/kbs/demo/import?format=jsonl{more}");

    // A dry run writes nothing, not even the knowledge base.
    let got = put_file(&app, Method::POST, &import("&dry_run=true"), SMALL_KB).await;
    assert_eq!((got.status, got.json()["diff"]["added"].as_array().map(Vec::len)), (StatusCode::OK, Some(4)));
    get(&app, "/v1/kbs/demo/releases").await.problem(404, "unknown-kb");
    let got = put_file(&app, Method::POST, &import(""), SMALL_KB).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());

    // Published as a job.
    let job = ended(&app, &post(&app, "/v1/kbs/demo/releases", json!({})).await).await;
    assert_eq!((&job["state"], &job["result"]["release"]), (&json!("done"), &json!(1)), "{job}");
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["release"], "1");

    // Every format comes back as it went.
    for format in ["csv", "xlsx", "jsonl"] {
        let file = get(&app, &format!("/v1/kbs/demo/export?format={format}")).await;
        assert_eq!(file.status, StatusCode::OK);
        let path = format!("/v1/kbs/demo/import?format={format}&mode=replace");
        let got = put_file(&app, Method::POST, &path, file.body).await.json();
        assert_eq!(
            (&got["diff"]["unchanged"], &got["diff"]["changed"]),
            (&json!(4), &json!([])),
            "{format}: {got}"
        );
    }

    // Something new, compared, published, and back.
    let more = r#"{"id":"hours","question":"几点上班","answer":"早上九点。"}"#;
    let got = put_file(&app, Method::POST, &import("&mode=update"), more).await.json();
    assert_eq!((&got["diff"]["added"][0]["id"], &got["diff"]["removed"]), (&json!("hours"), &json!([])));
    let diff = get(&app, "/v1/kbs/demo/diff?from=1&to=draft").await.json();
    assert_eq!((&diff["added"][0]["id"], &diff["queries"]), (&json!("hours"), &Value::Null));
    ended(&app, &post(&app, "/v1/kbs/demo/releases", json!({"force": false})).await).await;
    assert_eq!(ask(&app, json!({"text": "几点上班"})).await.json()["release"], "2");
    let got = post(&app, "/v1/kbs/demo/rollback", json!({"release": 1})).await;
    assert_eq!((got.status, &got.json()["current"]), (StatusCode::OK, &json!(1)));
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["release"], "1");
    let problem =
        post(&app, "/v1/kbs/demo/rollback", json!({"release": 9})).await.problem(404, "unknown-release");
    assert_eq!(problem["known"], json!(["1", "2"]));

    // Who, when, what and why.
    let history = get(&app, "/v1/kbs/demo/history").await.json();
    let newest = &history["revisions"][0];
    assert_eq!(
        (&newest["entry"], &newest["author"], &newest["reason"]),
        (&json!("hours"), &json!("李雷"), &json!("季度更新"))
    );
    assert_eq!(history["releases"][0]["action"], "rollback");
    let one = get(&app, "/v1/kbs/demo/history?entry=cod&limit=5").await.json();
    assert_eq!(one["revisions"].as_array().map(Vec::len), Some(1));

    // Old releases.
    let got = post(&app, "/v1/kbs/demo/gc", json!({"keep": 1, "dry_run": true})).await.json();
    assert_eq!(got["removed"], json!([]), "release 1 is served, 2 is the newest");
    post(&app, "/v1/kbs/demo/gc", json!({"keep": 0})).await.problem(422, "invalid-field");

    // What another release holds, once more.
    let job = ended(&app, &post(&app, "/v1/kbs/demo/releases", json!({"release": 2})).await).await;
    assert_eq!(job["result"]["release"], 3, "{job}");
    assert_eq!(ask(&app, json!({"text": "几点上班"})).await.json()["release"], "3");
    let job = ended(&app, &post(&app, "/v1/kbs/demo/releases", json!({"release": 9})).await).await;
    assert_eq!(job["state"], "failed", "{job}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_published_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = app(folder.path());
    let empty = r#"{"id":"empty","question":"几点上班","answer":"。。。"}"#;
    put_file(&app, Method::POST, "/v1/kbs/demo/import?format=jsonl&mode=add", empty).await;
    let job = ended(&app, &post(&app, "/v1/kbs/demo/check", json!({})).await).await;
    let codes: Vec<&str> = job["result"]["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|f| f["code"].as_str())
        .collect();
    assert!(codes.contains(&"empty_answer"), "{codes:?}");
    let job = ended(&app, &post(&app, "/v1/kbs/demo/releases", json!({})).await).await;
    assert_eq!(job["result"]["published"], false);
    assert_eq!(job["result"]["report"]["errors"][0]["entries"], json!(["empty"]));
    let problem =
        post(&app, "/v1/kbs/demo/releases", json!({"force": true})).await.problem(422, "missing-field");
    assert_eq!(problem["field"], "zhida-reason");
    let request = Request::post("/v1/kbs/demo/releases")
        .header(header::CONTENT_TYPE, "application/json")
        .header("zhida-reason", "%E5%85%88%E4%B8%8A%E7%BA%BF");
    let forced = send(&app, request.body(Body::from("{\"force\":true}")).expect("a request")).await;
    let job = ended(&app, &forced).await;
    assert_eq!(job["result"]["release"], 2, "{job}");
    let list = get(&app, "/v1/kbs/demo/releases").await.json();
    assert_eq!((&list["items"][1]["reason"], &list["items"][1]["forced"]), (&json!("先上线"), &json!(true)));

    // Faulty files and requests name the place.
    let faulty = "question,answer\n几点上班,\n";
    let problem = put_file(&app, Method::POST, "/v1/kbs/demo/import?format=csv", faulty)
        .await
        .problem(422, "invalid-entry");
    assert_eq!(
        (&problem["problems"][0]["line"], &problem["problems"][0]["field"]),
        (&json!(2), &json!("answer"))
    );
    put_file(&app, Method::POST, "/v1/kbs/demo/import?format=doc", "x").await.problem(422, "invalid-field");
    put_file(&app, Method::POST, "/v1/kbs/..x/import?format=csv", faulty).await.problem(422, "invalid-field");
    let simple = Request::post("/v1/kbs/demo/import?format=csv").header(header::CONTENT_TYPE, "text/plain");
    send(&app, simple.body(Body::from(faulty)).expect("a request")).await.problem(415, "wrong-content-type");
    get(&app, "/v1/kbs/demo/diff?from=1&to=7").await.problem(404, "unknown-release");
    let unknown = get(&app, "/v1/jobs/none").await.problem(404, "unknown-job");
    assert!(unknown["detail"].as_str().is_some_and(|told| told.contains("begun again")), "{unknown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labelled_questions_are_attached_and_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = app(folder.path());
    let path = "/v1/kbs/demo/queries";
    let lines =
        "{\"text\":\"怎么开电子发票\",\"expect\":\"invoice\"}\n{\"text\":\"今天天气\",\"expect\":null}\n";
    assert_eq!(put_file(&app, Method::PUT, path, lines).await.status, StatusCode::NO_CONTENT);
    assert_eq!(get(&app, path).await.text().lines().count(), 2);
    let job = ended(&app, &post(&app, "/v1/kbs/demo/releases", json!({})).await).await;
    let comparison = &job["result"]["report"]["comparison"];
    assert_eq!((&comparison["queries"], &comparison["regressed"]), (&json!(2), &json!(false)), "{job}");
    let faulty = put_file(&app, Method::PUT, path, "{\"text\":\"怎么退\",\"expect\":\"nobody\"}").await;
    assert_eq!(faulty.problem(422, "invalid-entry")["problems"][0]["line"], 1);
    assert_eq!(without_body(&app, Method::DELETE, path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(get(&app, path).await.text(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_warns_of_what_has_changed_and_of_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = app(folder.path());
    put_file(&app, Method::POST, "/v1/kbs/demo/import?format=jsonl", SMALL_KB).await;
    let report = async |app: &Router| {
        let job = ended(app, &post(app, "/v1/kbs/demo/releases", json!({})).await).await;
        assert_eq!(job["result"]["published"], true, "{job}");
        job["result"]["report"].clone()
    };
    assert_eq!(report(&app).await["asked"], 11, "all of them are new");
    assert_eq!(report(&app).await["asked"], 0, "none of them is");
    let copy = json!({"id": "copy", "question": "电子发票怎么开", "answer": "联系客服。"});
    assert_eq!(post(&app, "/v1/kbs/demo/entries", copy).await.status, StatusCode::CREATED);
    let told = report(&app).await;
    assert_eq!(told["asked"], 1, "a live edit was not asked yet: {told}");
    let warnings = told["warnings"].as_array().expect("a list");
    let conflict = warnings.iter().find(|finding| finding["code"] == "conflict").expect("{told}");
    assert_eq!(conflict["entries"], json!(["invoice", "copy"]));
    let again = report(&app).await;
    let again = again["warnings"].as_array().expect("a list").iter();
    let again: Vec<_> = again.map(|finding| &finding["code"]).collect();
    assert_eq!(again, ["look_alike"], "a conflict is told once, what costs answers each time");
    // Other words change every entry.
    let words = json!({"put": [{"stop": "麻烦"}]}).to_string();
    let request = Request::builder().method(Method::PATCH).uri("/v1/kbs/demo/lexicon");
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(words));
    assert_eq!(send(&app, request.expect("a request")).await.status, StatusCode::OK);
    let told = report(&app).await;
    assert_eq!(told["asked"], 12, "{told}");
    assert_ne!(told["warnings"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_changed_and_tried_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = app(folder.path());
    let path = "/v1/kbs/demo/lexicon";
    let lexicon = |method: Method, tag: Option<&str>, text: &str| {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(
                header::CONTENT_TYPE,
                if method == Method::PUT { "application/x-ndjson" } else { "application/json" },
            )
            .header("zhida-author", "韩梅梅");
        let request = if let Some(tag) = tag { request.header(header::IF_MATCH, tag) } else { request };
        let request = request.body(Body::from(text.to_owned())).expect("a request");
        let app = app.clone();
        async move { send(&app, request).await }
    };
    let tag = |got: &Got| got.headers["etag"].to_str().expect("text").to_owned();

    let empty = get(&app, path).await;
    assert_eq!((empty.text().as_str(), tag(&empty).as_str()), ("", "\"0\""));
    let lines = "{\"synonyms\":[\"发票\",\"凭条\"]}\n{\"stop\":\"麻烦\"}\n";
    let problem = lexicon(Method::PUT, None, lines).await.problem(428, "precondition-required");
    assert_eq!(problem["current"], "\"0\"");
    let got = lexicon(Method::PUT, Some("\"0\""), lines).await;
    assert_eq!(got.json()["added"].as_array().map(Vec::len), Some(2));
    let first = tag(&got);
    assert_eq!(get(&app, path).await.text(), lines);
    let table = get(&app, &format!("{path}?format=csv")).await.text();
    assert_eq!(table.lines().nth(2), Some("停用词,麻烦,,,,"));
    get(&app, &format!("{path}?format=doc")).await.problem(422, "invalid-field");
    lexicon(Method::PUT, Some("\"0\""), lines).await.problem(412, "stale-entry");
    lexicon(Method::PUT, Some(&first), "").await.problem(422, "invalid-entry");
    lexicon(Method::PATCH, None, "[[],[]]").await.problem(422, "invalid-field");
    let faulty = lexicon(Method::PUT, Some(&first), "{\"stop\":\"麻烦\"}\n{\"stop\":\"\"}").await;
    assert_eq!(faulty.problem(422, "invalid-entry")["problems"][0]["line"], 2);

    let edit = json!({"put": [{"word": "蓝票卡"}], "remove": [{"stop": "麻烦"}]}).to_string();
    let got = lexicon(Method::PATCH, None, &edit).await;
    assert_ne!(tag(&got), first);
    assert_eq!(got.json()["removed"], json!([{"stop": "麻烦"}]));
    let gone = lexicon(Method::PATCH, None, &edit).await.problem(422, "invalid-entry");
    assert_eq!(gone["problems"][0]["field"], "remove[0].stop");
    let faulty = json!({"put": [{"word": "好的吧"}, {"word": "好"}]}).to_string();
    let faulty = lexicon(Method::PATCH, None, &faulty).await.problem(422, "invalid-entry");
    assert_eq!(faulty["field"], "put[1].word");
    lexicon(Method::PATCH, Some(&first), "{}").await.problem(412, "stale-entry");
    lexicon(Method::PATCH, None, "{\"add\":[]}").await.problem(422, "invalid-field");
    let history = get(&app, "/v1/kbs/demo/history?limit=3").await.json();
    assert_eq!(
        (&history["revisions"][0]["author"], &history["revisions"][0]["entry"]),
        (&json!("韩梅梅"), &Value::Null)
    );

    // They are tried before they are served, and compared.
    let cut = post(&app, "/v1/kbs/demo/tokens", json!({"text": "凭条"})).await.json();
    assert_eq!(
        (&cut["words"][0]["canonical"], &cut["words"][0]["own_group"]),
        (&json!("发票"), &json!(true))
    );
    post(&app, "/v1/kbs/demo/tokens", json!({"text": " "})).await.problem(422, "blank-text");
    let diff = get(&app, "/v1/kbs/demo/diff?from=1&to=draft").await.json();
    assert_eq!(diff["lexicon"]["added"].as_array().map(Vec::len), Some(2), "{diff}");
    assert_eq!((&diff["from"], &diff["unchanged"]), (&json!("1"), &json!(4)));
    let job = ended(&app, &post(&app, "/v1/kbs/demo/releases", json!({})).await).await;
    assert_eq!(job["result"]["release"], 2, "{job}");
    let diff = get(&app, "/v1/kbs/demo/diff?from=2&to=draft").await.json();
    assert_eq!(diff["lexicon"]["unchanged"], 2, "{diff}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_tried_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = app(folder.path());
    let path = "/v1/kbs/demo/rule-test";
    let rule = json!({"id": "gold", "question": "金卡有什么用", "answer": "打九折。",
        "rules": [{"contains": ["金卡"], "without": ["注销"]}]});
    let texts = json!({"texts": ["我的金卡呢", "注销金卡"]});
    // An edit that customers do not get yet is tried in the draft.
    let created = post(&app, "/v1/kbs/demo/entries?draft=true", rule).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    let served = post(&app, path, texts.clone()).await.json();
    assert_eq!(served["items"][0]["claims"], json!([]), "{served}");
    let job = ended(&app, &post(&app, &format!("{path}?draft=true"), texts.clone()).await).await;
    let items = &job["result"]["items"];
    assert_eq!((&items[0]["entry"], &items[0]["reason"]), (&json!("gold"), &json!("rule")), "{job}");
    assert_eq!(items[1]["claims"][0]["silenced_by"], "注销", "{job}");
    let filtered = json!({"texts": ["我的金卡呢"], "filter": {"topic": ["没有"]}});
    let job = ended(&app, &post(&app, &format!("{path}?draft=true"), filtered).await).await;
    assert_eq!(job["result"]["items"][0]["claims"][0]["eligible"], false, "{job}");
    post(&app, path, json!({"texts": []})).await.problem(422, "invalid-field");
    post(&app, path, json!({"texts": ["好"], "filter": {"colour": ["x"]}}))
        .await
        .problem(422, "unknown-field");
    let codes = get(&app, "/v1/check-codes").await.json();
    assert!(codes.as_array().is_some_and(|codes| codes.len() > 20 && codes[0]["meaning"].is_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_read_as_the_request_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = app(folder.path());
    let table = "编号,标准问题,答案,生效时间,内部备注\na,活动什么时候,看首页公告。,2026年11月1日,别外传\n";
    let place = "/v1/kbs/demo/import?format=csv&time_zone=-05:00";
    let got = put_file(&app, Method::POST, place, table).await.problem(422, "invalid-entry");
    assert_eq!(got["problems"][0]["line"], 1, "a heading that nobody knows: {got}");
    let ignoring = format!("{place}&ignore_columns=%E5%86%85%E9%83%A8%E5%A4%87%E6%B3%A8");
    assert_eq!(put_file(&app, Method::POST, &ignoring, table).await.status, StatusCode::OK);
    let entry = get(&app, "/v1/kbs/demo/entries/a").await.json();
    assert_eq!(entry["valid_from"], "2026-11-01T00:00:00-05:00");
    let wrong = "/v1/kbs/demo/import?format=csv&time_zone=soon";
    put_file(&app, Method::POST, wrong, table).await.problem(422, "invalid-field");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_cancelled_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = app(folder.path());
    let shop = std::fs::read(repository("corpora/shop.kb.jsonl")).expect("there");
    put_file(&app, Method::POST, "/v1/kbs/demo/import?format=jsonl", shop).await;
    let started = post(&app, "/v1/kbs/demo/releases", json!({})).await;
    let place = started.headers["location"].to_str().expect("text").to_owned();
    // One at a time.
    let problem = post(&app, "/v1/kbs/demo/check", json!({})).await.problem(409, "not-now");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| place.ends_with(detail.split(' ').nth(1).unwrap_or("-")))
    );
    assert_eq!(without_body(&app, Method::DELETE, &place).await.status, StatusCode::ACCEPTED);
    let job = ended(&app, &started).await;
    assert_eq!((&job["state"], &job["result"]), (&json!("cancelled"), &Value::Null), "{job}");
    let shelf = crate::support::store(folder.path()).shelf("demo").expect("there");
    assert_eq!((shelf.current().expect("readable"), shelf.versions().expect("readable")), (Some(1), vec![1]));
    let names: Vec<_> = std::fs::read_dir(folder.path().join("kbs/demo/releases")).expect("there").collect();
    assert_eq!(names.len(), 1, "nothing half made is left");
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["release"], "1");
    // And the next one goes through.
    let job = ended(&app, &post(&app, "/v1/kbs/demo/releases", json!({})).await).await;
    assert_eq!(job["result"]["release"], 2, "{job}");
    let list = get(&app, "/v1/jobs").await.json();
    let states: Vec<_> =
        list["items"].as_array().expect("jobs").iter().map(|job| job["state"].clone()).collect();
    assert_eq!(states, ["done", "cancelled"]);
    assert!(formats::read(&repository("corpora/shop.kb.jsonl")).is_ok());
}

#[tokio::test]
async fn the_description_has_every_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let document = get(&app(folder.path()), "/openapi.json").await.json();
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in [
        ("/v1/kbs/{kb}/entries", &["get", "post"][..]),
        ("/v1/kbs/{kb}/entries/{id}", &["get", "put", "patch", "delete"]),
        ("/v1/kbs/{kb}/import", &["post"]),
        ("/v1/kbs/{kb}/export", &["get"]),
        ("/v1/kbs/{kb}/check", &["post"]),
        ("/v1/kbs/{kb}/releases", &["get", "post"]),
        ("/v1/kbs/{kb}/diff", &["get"]),
        ("/v1/kbs/{kb}/rollback", &["post"]),
        ("/v1/kbs/{kb}/history", &["get"]),
        ("/v1/kbs/{kb}/gc", &["post"]),
        ("/v1/kbs/{kb}/queries", &["get", "put", "delete"]),
        ("/v1/kbs/{kb}/goal", &["get", "put"]),
        ("/v1/kbs/{kb}/lexicon", &["get", "put", "patch"]),
        ("/v1/kbs/{kb}/service", &["get", "put"]),
        ("/v1/kbs/{kb}/service/test", &["post"]),
        ("/v1/kbs/{kb}/tokens", &["post"]),
        ("/v1/kbs/{kb}/rule-test", &["post"]),
        ("/v1/check-codes", &["get"]),
        ("/v1/jobs", &["get"]),
        ("/v1/jobs/{id}", &["get", "delete"]),
    ] {
        for method in methods {
            assert!(paths.get(path).is_some_and(|item| item.get(*method).is_some()), "{method} {path}");
        }
    }
}

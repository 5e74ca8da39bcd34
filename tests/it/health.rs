//! Do readiness and metrics say what is the case, and nothing that is nobody's business?

use axum::Router;
use axum::http::StatusCode;
use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use serde_json::{Map, Value, json};
use zhida::server::router;
use zhida::store::NewTicket;

use crate::http::{Running, admission, ask, get, post, publish, server_over};
use crate::store::Desk;
use crate::support::SMALL_KB;

#[track_caller]
fn has(metrics: &str, line: &str) {
    assert!(metrics.lines().any(|known| known == line), "{line} in\n{metrics}");
}

/// The reasons that readiness gives.
async fn reasons(app: &Router) -> Vec<String> {
    let body = get(app, "/readyz").await.json();
    let warnings = body["warnings"].as_array().expect("a list").iter();
    warnings.map(|one| one["reason"].as_str().expect("a reason").to_owned()).collect()
}

#[tokio::test]
async fn a_database_that_is_gone_is_told_and_answers_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let server = server_over(folder.path(), admission());
    let app = router(server.clone());
    assert!(reasons(&app).await.is_empty());
    let files = ["zhida.db", "zhida.db-wal", "zhida.db-shm"];
    let away = folder.path().join("away");
    std::fs::create_dir(&away).expect("made");
    let move_all = |from: &std::path::Path, to: &std::path::Path| {
        for name in files {
            let _ = std::fs::rename(from.join(name), to.join(name));
        }
    };
    move_all(folder.path(), &away);
    server.registry().refresh();
    assert_eq!(reasons(&app).await, ["database_unreadable"]);
    assert_eq!(get(&app, "/readyz").await.json()["status"], "degraded");
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["decision"], "answer");
    has(&get(&app, "/metrics").await.text(), "zhida_database_readable{tenant=\"default\"} 0");
    move_all(&away, folder.path());
    server.registry().refresh();
    assert!(reasons(&app).await.is_empty());
    has(&get(&app, "/metrics").await.text(), "zhida_database_readable{tenant=\"default\"} 1");
}

#[tokio::test]
async fn with_keys_the_reasons_are_told_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    publish(folder.path(), "secret", SMALL_KB, None);
    let release = crate::support::store(folder.path()).shelf("secret").expect("there").release_folder(1);
    std::fs::write(release.join("entries.jsonl"), "{}").expect("written");
    let done = crate::support::run(
        crate::support::zhida()
            .args(["key", "create", "--role", "admin", "--json", "--data"])
            .arg(folder.path()),
    );
    assert!(done.status.success());
    let app = router(server_over(folder.path(), admission()));
    let body = get(&app, "/readyz").await.json();
    assert_eq!(body["warnings"][0]["reason"], "release_damaged");
    assert_eq!((&body["warnings"][0]["kb"], &body["kbs"]), (&json!(""), &json!({})));
    assert!(!body.to_string().contains("secret"), "{body}");
    assert_eq!(get(&app, "/metrics").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_counted_and_no_label_is_a_clients() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let talk = crate::support::store(folder.path()).conversations();
    let ticket = NewTicket {
        kb: "demo",
        conversation: None,
        channel: None,
        fields: &Map::new(),
        summary: "",
        client_id: None,
        at: 0,
    };
    talk.make_ticket(&ticket).expect("a ticket");
    let app = router(server_over(folder.path(), admission()));
    // Nobody listens on this port, so the delivery stays due.
    let hook = json!({"url": "http://127.0.0.1:9/x", "private": true});
    assert!(post(&app, "/v1/webhooks", hook).await.status.is_success());
    let said = json!({"text": "转人工", "session": "session-of-somebody", "channel": "channel-of-somebody"});
    assert_eq!(ask(&app, said).await.json()["owner"], "queued");
    let metrics = get(&app, "/metrics").await.text();
    for line in [
        "zhida_handoffs_waiting{kb=\"demo\"} 1",
        "zhida_tickets_open{kb=\"demo\"} 1",
        "zhida_outbox_dead_letters{tenant=\"default\"} 0",
        "zhida_conversations_readable{tenant=\"default\"} 1",
        "zhida_release_open_failures_total{tenant=\"default\"} 0",
        "zhida_events_lost_total{tenant=\"default\"} 0",
        "zhida_permits{pool=\"desks\"} 2",
        "zhida_ready 1",
    ] {
        has(&metrics, line);
    }
    let due = metrics.lines().find_map(|line| line.strip_prefix("zhida_outbox_waiting{tenant=\"default\"} "));
    assert!(due.is_some_and(|due| due.parse::<u32>().is_ok_and(|due| due >= 1)), "{metrics}");
    get(&app, "/path-of-somebody").await;
    get(&app, "/v1/kbs/kb-of-somebody/entries").await;
    let metrics = get(&app, "/metrics").await.text();
    assert!(!metrics.contains("somebody"), "{metrics}");
    has(&metrics, "zhida_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1");
}

#[test]
fn a_record_of_changes_that_was_tampered_with_is_told() {
    let desk = Desk::new();
    let root = desk.data();
    publish(&root, "demo", SMALL_KB, None);
    for name in ["one", "two", "three"] {
        desk.sound(&["tenant", "create", name]);
    }
    let path = root.join("access.db");
    let mut connection = diesel::SqliteConnection::establish(path.to_str().expect("a path")).expect("open");
    connection
        .batch_execute("DROP TRIGGER audit_is_never_changed; UPDATE audit SET name = 'x' WHERE seq = 2")
        .expect("tampered");
    drop(connection);
    let server = Running::start(&root);
    // It is looked at right after the start, beside everything else.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let told = |body: &str| {
        let body: Value = serde_json::from_str(body).expect("JSON");
        body["warnings"].as_array().is_some_and(|all| all.iter().any(|one| one["reason"] == "audit_broken"))
    };
    loop {
        let (status, body) = server.get("/readyz");
        if told(&body) {
            assert_eq!(status, 200, "answers go on");
            break;
        }
        assert!(std::time::Instant::now() < until, "{body}");
        std::thread::yield_now();
    }
    has(&server.get("/metrics").1, "zhida_audit_sound{tenant=\"default\"} 0");
    assert_eq!(server.stop().0, Some(0));
}

//! What stands in the audit that no state of a knowledge base shows: commands that
//! change something else, and what came of jobs.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use zhida::access::Role;
use zhida::server::{Registry, Server, router};
use zhida::store::WantedAudit;

use crate::http::{MAX_WRONG, admission, publish};
use crate::people::{Browser, person};
use crate::store::Desk;
use crate::support::SMALL_KB;

/// The actions, objects and outcomes in the audit of a tenant, the oldest first.
fn told(data: &std::path::Path, tenant: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let access = crate::support::store(data).access();
    access
        .every_link(tenant, |link| {
            all.push((link.deed.action, link.deed.object, link.deed.after.unwrap_or_default()));
            Ok(())
        })
        .expect("the audit");
    assert!(access.verify(tenant, None).expect("a verdict").sound);
    all
}

#[test]
fn commands_whose_change_no_state_shows_are_recorded_too() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let queries = desk.file("q.jsonl", "{\"text\":\"怎么开电子发票\",\"expect\":[\"invoice\"]}\n");
    desk.sound(&["kb", "queries", "--kb", "demo", &queries]);
    desk.sound(&["kb", "queries", "--kb", "demo"]);
    desk.sound(&["kb", "gc", "--kb", "demo", "--keep", "1"]);
    desk.sound(&["kb", "gc", "--kb", "demo", "--keep", "1", "--dry-run"]);
    let add = ["channel", "add", "--kind", "generic", "--kb", "demo", "--url", "https://desk.example/hook"];
    desk.sound(&[add.as_slice(), &["shop"]].concat());
    assert!(!desk.run(&[add.as_slice(), &["shop"]].concat()).status.success(), "there is one already");
    desk.sound(&["channel", "list"]);
    desk.sound(&["channel", "remove", "shop"]);
    desk.sound(&["events", "keep", "--text", "none"]);
    desk.sound(&["events", "keep"]);
    desk.sound(&["forget", "--customer", "openid-of-somebody"]);
    // Of nothing, nothing is whole and nobody is forgotten.
    let nowhere = desk.data().join("nowhere");
    for args in [&["audit", "verify"][..], &["forget", "--customer", "x"]] {
        let mut command = crate::support::zhida();
        let output = crate::support::run(command.args(args).arg("--data").arg(&nowhere));
        assert!(!output.status.success(), "{args:?}: {}", crate::support::stdout(&output));
        assert!(!nowhere.exists());
    }
    for args in [
        &["audit", "verify", "--tenant", "nobody"][..],
        &["audit", "prune", "--before", "2099-01-01"],
        &["forget", "--customer", " "],
    ] {
        assert!(!desk.run(args).status.success(), "{args:?}");
    }
    let service = desk.file("s.toml", "[voice]\ngreeting = \"您好\"\n");
    desk.sound(&["rules", "set", "--kb", "demo", &service, "--reason", "friendlier"]);
    desk.sound(&["rules", "show", "--kb", "demo"]);
    let all = told(&desk.data(), "default");
    let actions: Vec<&str> = all.iter().map(|(action, _, _)| action.as_str()).collect();
    let expected = [
        "put_queries",
        "collect_releases",
        "add_channel",
        "remove_channel",
        "keep_events",
        "forget",
        "put_service",
    ];
    assert_eq!(actions, expected, "{all:?}");
    assert_eq!(all[0].1, "/v1/kbs/demo");
    assert_eq!((all[2].1.as_str(), all[2].2.as_str()), ("channel shop", "a generic channel of demo"));
    assert_eq!(all[4].2, "text = none");
    assert!(!format!("{all:?}").contains("openid-of-somebody"), "who was forgotten is not told there");
    // What happens in a tenant's own directory stands in its chain of the whole.
    desk.sound(&["tenant", "create", "acme"]);
    let data = desk.data().join("tenants/acme");
    let command = |args: &[&str]| {
        let mut command = crate::support::zhida();
        command.args(args).arg("--data").arg(&data).env("ZHIDA_MODEL", "none");
        let output = crate::support::run(&mut command);
        assert!(output.status.success(), "{}", crate::support::stderr(&output));
    };
    let file = desk.file("kb.jsonl", SMALL_KB);
    command(&["kb", "import", "--kb", "own", &file]);
    command(&["kb", "goal", "--kb", "own", "0.02"]);
    let actions: Vec<String> = told(&desk.data(), "acme").into_iter().map(|(action, _, _)| action).collect();
    assert_eq!(actions, ["import_kb", "set_goal"]);
    assert!(!data.join("access.db").exists());
}

#[tokio::test]
async fn a_job_records_what_came_of_it_and_who_began_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let browser = Browser::of(root, &person(root, "default", "anna", Role::Author));
    let registry = Arc::new(Registry::new(crate::support::store(root), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    let app = router(Server::new(registry, admission()));
    let got = browser.send(&app, "post", "/v1/kbs/demo/releases", Some(json!({}))).await;
    assert_eq!(got.status, StatusCode::ACCEPTED, "{}", got.text());
    let job = got.json()["id"].as_str().expect("an id").to_owned();
    let done = loop {
        let state = browser.send(&app, "get", &format!("/v1/jobs/{job}"), None).await.json();
        if state["state"] != "running" {
            break state;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&done["state"], &done["result"]["release"]), (&json!("done"), &json!(2)), "{done}");
    let wanted = WantedAudit { action: Some("publish_kb".to_owned()), limit: 10, ..WantedAudit::default() };
    let links = crate::support::store(root).access().audit("default", &wanted).expect("the audit");
    assert_eq!(links.len(), 2, "that it began, and what came of it");
    // The two may come in either order: the job is not waited for.
    let outcome = format!("job {job}: release 2");
    let ended = links.iter().find(|link| link.deed.after.as_deref() == Some(&outcome)).expect("recorded");
    assert_eq!((ended.deed.name.as_str(), ended.deed.object.as_str()), ("anna", "/v1/kbs/demo"));
    assert!(ended.deed.who.is_some() && ended.deed.request.is_some());
}

#[tokio::test]
async fn how_much_may_be_sent_depends_on_what_somebody_is_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let registry = Arc::new(Registry::new(crate::support::store(root), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    let app = router(Server::new(registry, admission()));
    let store = crate::support::store(root);
    let key = |role| crate::support::key(&store, "default", role, |_| {}).0;
    for role in Role::ALL {
        // A size that is declared is enough: nothing of it has to be sent.
        let request = axum::http::Request::post("/v1/answer/batch")
            .header("authorization", format!("Bearer {}", key(role)))
            .header("content-type", "application/json")
            .header("content-length", (role.largest_body() + 1).to_string());
        let got = crate::http::send(&app, request.body(axum::body::Body::empty()).expect("a request")).await;
        let problem: Value = got.problem(413, "body-too-large");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains(role.name())), "{problem}");
    }
    assert!(Role::Ask.largest_body() < Role::Author.largest_body());
}

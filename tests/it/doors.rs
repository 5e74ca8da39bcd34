//! Does nobody come in where nobody was let in?

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::access::{Limits, Role};
use zhida::server::{Registry, Server, router};

use crate::http::{Got, MAX_WRONG, admission, get, publish, send, serve};
use crate::support::{SMALL_KB, run, stderr, zhida};

pub(crate) fn key_of(data: &std::path::Path, tenant: &str) -> String {
    let store = crate::support::store(data);
    crate::support::key(&store, tenant, Role::Admin, |new| new.name = format!("admin of {tenant}")).0
}

fn app(data: &std::path::Path) -> axum::Router {
    let registry = Arc::new(Registry::new(crate::support::store(data), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    router(Server::new(registry, admission()))
}

async fn posted(app: &axum::Router, key: &str, path: &str, body: &Value) -> Got {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json");
    send(app, request.body(Body::from(body.to_string())).expect("a request")).await
}

#[tokio::test]
async fn only_the_operator_has_addresses_inside_the_house_called() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let store = crate::support::store(folder.path());
    store.access().create_tenant("acme", &Limits::default()).expect("a tenant");
    let (own, other) = (key_of(folder.path(), "default"), key_of(folder.path(), "acme"));
    let app = app(folder.path());
    let hook = |private: bool| json!({"url": "http://127.0.0.1:9/in", "private": private});
    let refused = posted(&app, &other, "/v1/webhooks", &hook(true)).await;
    refused.problem(403, "forbidden");
    assert_eq!(refused.json()["field"], "private");
    assert_eq!(posted(&app, &own, "/v1/webhooks", &hook(true)).await.status, StatusCode::CREATED);
    let channel = json!({"name": "cw", "kind": "chatwoot", "kb": "demo",
        "settings": {"url": "http://127.0.0.1:9", "token": "t", "secret": "s", "private": true}});
    posted(&app, &other, "/v1/channels", &channel).await.problem(403, "forbidden");
    assert_eq!(posted(&app, &own, "/v1/channels", &channel).await.status, StatusCode::CREATED);

    // Without that, such an address is refused where it is given, not when it is called.
    let refused = posted(&app, &own, "/v1/webhooks", &hook(false)).await;
    refused.problem(422, "invalid-field");
    assert_eq!(refused.json()["field"], "url");
    assert!(refused.text().contains("`private`"), "{}", refused.text());
    let cloud = json!({"url": "http://169.254.169.254/latest", "private": true});
    assert_eq!(posted(&app, &own, "/v1/webhooks", &cloud).await.json()["field"], "url");
    // A name that nobody knows now may be known when it is called.
    let later = json!({"url": "https://desk.invalid/in"});
    assert_eq!(posted(&app, &other, "/v1/webhooks", &later).await.status, StatusCode::CREATED);
    for (kind, settings, field) in [
        ("chatwoot", json!({"url": "http://127.0.0.1:9", "token": "t", "secret": "s"}), "url"),
        ("generic", json!({"url": "http://[::1]:9/in"}), "url"),
        (
            "email",
            json!({"address": "k@shop.invalid", "password": "p", "imap_host": "localhost", "smtp_host": "mail.invalid"}),
            "imap_host",
        ),
        ("dingtalk", json!({"app_id": "a", "app_secret": "s", "reply_hosts": ["10.0.0.1:9"]}), "reply_hosts"),
    ] {
        let channel = json!({"name": "inside", "kind": kind, "kb": "demo", "settings": settings});
        let refused = posted(&app, &own, "/v1/channels", &channel).await;
        assert_eq!(refused.json()["field"], field, "{kind}: {}", refused.text());
    }
    let change = |settings: Value| {
        let request = Request::patch("/v1/channels/cw")
            .header(header::AUTHORIZATION, format!("Bearer {own}"))
            .header(header::CONTENT_TYPE, "application/json");
        request.body(Body::from(json!({"settings": settings}).to_string())).expect("a request")
    };
    let refused = send(&app, change(json!({"private": null}))).await;
    assert_eq!(refused.json()["field"], "url", "{}", refused.text());
    assert_eq!(send(&app, change(json!({"token": "other"}))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn tenants_are_told_apart_by_more_than_capitals() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let key = key_of(folder.path(), "default");
    let app = app(folder.path());
    let make = async |name: &str| posted(&app, &key, "/v1/tenants", &json!({"name": name})).await;
    assert_eq!(make("Acme").await.status, StatusCode::CREATED);
    for name in ["ACME", "acme", "DEFAULT"] {
        let refused = make(name).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{name}: {}", refused.text());
        assert!(refused.text().contains("differ in capitals only"), "{}", refused.text());
    }
    assert_eq!(make("acme2").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_proxy_is_no_program_of_this_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = app(folder.path());
    let asked = async |name: &str| {
        let request = Request::get("/v1/kbs").header(header::HOST, "127.0.0.1").header(name, "8.8.8.8");
        send(&app, request.body(Body::empty()).expect("a request")).await
    };
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
        let got = asked(name).await;
        assert_eq!(got.json()["type"], "/problems/foreign-host", "{name}: {}", got.text());
        assert!(got.text().contains("zhida key create"), "{}", got.text());
    }
    assert_eq!(asked("x-anything").await.status, StatusCode::OK);
    assert_eq!(get(&app, "/v1/kbs").await.status, StatusCode::OK);
}

#[test]
fn a_lost_database_of_keys_opens_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    publish(&data, "demo", SMALL_KB, None);
    let made = run(zhida().args(["key", "create", "--role", "admin", "--data"]).arg(&data));
    assert!(made.status.success(), "{}", stderr(&made));
    assert!(data.join("audit.heads").exists());
    for name in ["access.db", "access.db-wal", "access.db-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    for emptied in [false, true] {
        if emptied {
            std::fs::write(data.join("access.db"), "").expect("written");
        }
        let refused = run(&mut serve(&data, "127.0.0.1:0"));
        assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("access.db is missing or empty"), "{}", stderr(&refused));
    }
}

#[cfg(unix)]
#[test]
fn what_is_kept_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    publish(&data, "demo", SMALL_KB, None);
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let backup = folder.path().join("b.zhida");
    let made = run(zhida().arg("backup").arg(&backup).arg("--data").arg(&data));
    assert!(made.status.success(), "{}", stderr(&made));
    let restored = folder.path().join("restored");
    let back = run(zhida().arg("restore").arg(&backup).arg("--into").arg(&restored));
    assert!(back.status.success(), "{}", stderr(&back));
    assert_eq!(mode(&restored), 0o700);
}

#[test]
fn verifying_the_record_of_changes_looks_at_every_tenant() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    publish(&data, "demo", SMALL_KB, None);
    let done = |args: &[&str]| {
        let output = run(zhida().args(args).arg("--data").arg(&data));
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stderr(&output)
    };
    done(&["tenant", "create", "acme"]);
    done(&["key", "create", "--role", "ask", "--tenant", "acme"]);
    let told = done(&["audit", "verify"]);
    assert!(told.contains("the records of 1 more tenants are whole"), "{told}");
}

/// Nothing that was noted of the record is not the same as nothing to note.
#[test]
fn a_record_of_changes_without_what_was_noted_of_it_is_not_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let verify = || run(zhida().args(["audit", "verify", "--data"]).arg(&data));
    assert!(!verify().status.success(), "of nothing, nothing is whole");
    let create = |name: &str| {
        let made = run(zhida().args(["tenant", "create", name, "--data"]).arg(&data));
        assert!(made.status.success(), "{}", stderr(&made));
    };
    create("one");
    create("two");
    assert!(verify().status.success());
    let (heads, kept) = (data.join("audit.heads"), folder.path().join("kept"));
    std::fs::rename(&heads, &kept).expect("moved");
    let told = verify();
    assert_eq!(told.status.code(), Some(1), "{}", stderr(&told));
    let words = crate::support::stdout(&told);
    assert!(words.contains("audit.heads is missing") && words.contains("cut off"), "{words}");
    std::fs::rename(&kept, &heads).expect("put back");
    assert!(verify().status.success());
    // Whoever wants it to begin anew does so by the next change.
    std::fs::remove_file(&heads).expect("removed");
    create("three");
    assert!(verify().status.success());
}

//! Who may keep which channels, and how they lie in the database.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use zhida::access::{Limits, Role};
use zhida::server::router;
use zhida::store::Job;

use crate::http::{admission, publish, send, server_over};
use crate::store::Desk;
use crate::support::{SMALL_KB, stderr};

#[test]
fn what_came_in_has_been_due_since_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let talk = crate::support::store(folder.path()).conversations();
    let put = |id: &str, at: i64| {
        let job = Job {
            id: id.to_owned(),
            target: "inbox:shop".to_owned(),
            lane: id.to_owned(),
            kind: "said".to_owned(),
            body: "{}".to_owned(),
        };
        talk.put_jobs(&[job], "demo", at).expect("written");
    };
    let due_since = |target: &str| talk.due_since(target, 9_000).expect("read");
    assert_eq!(due_since("inbox:shop"), None);
    put("m1", 1_000);
    put("m2", 3_000);
    assert_eq!((due_since("inbox:shop"), due_since("inbox:other")), (Some(1_000), None));
    // What somebody works on is not due.
    talk.take("inbox:shop", "somebody", 9_000, 60_000).expect("taken").expect("one");
    assert_eq!(due_since("inbox:shop"), Some(3_000));
    assert_eq!(talk.channel_sealed("shop").expect("read"), None);
}

#[tokio::test]
async fn a_tenant_and_a_key_for_some_knowledge_bases_see_their_own_channels() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    publish(folder.path(), "other", SMALL_KB, None);
    let store = crate::support::store(folder.path());
    store.access().create_tenant("acme", &Limits::default()).expect("a tenant");
    let key = |tenant: &str, kbs: Option<Vec<String>>| {
        crate::support::key(&store, tenant, Role::Admin, |new| new.kbs = kbs).0
    };
    let (all, some) = (key("default", None), key("default", Some(vec!["other".to_owned()])));
    let guest = key("acme", None);
    let app = router(server_over(folder.path(), admission()));
    let with = async |key: &str, method: &str, path: &str, body: Value| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let body = if method == "GET" { Body::empty() } else { Body::from(body.to_string()) };
        send(&app, request.body(body).expect("a request")).await
    };
    let wanted = |kb: &str| json!({"name": "gzh", "kind": "wechat", "kb": kb, "settings": {"app_id": "wx1", "token": "tok-1"}});
    assert_eq!(with(&all, "POST", "/v1/channels", wanted("demo")).await.status, StatusCode::CREATED);
    with(&all, "POST", "/v1/channels", wanted("demo")).await.problem(409, "not-now");
    for key in [&some, &guest] {
        assert_eq!(with(key, "GET", "/v1/channels", json!({})).await.json()["items"], json!([]));
        with(key, "GET", "/v1/channels/gzh", json!({})).await.problem(404, "not-here");
        with(key, "PATCH", "/v1/channels/gzh", json!({"kb": "other"})).await.problem(404, "not-here");
        with(key, "POST", "/v1/channels/gzh/test", json!({})).await.problem(404, "not-here");
        with(key, "DELETE", "/v1/channels/gzh", json!({})).await.problem(404, "not-here");
        with(key, "POST", "/v1/channels", wanted("demo")).await.problem(404, "unknown-kb");
    }
    // A change keeps the secrets; what is wrong is named, and nothing of it is kept.
    let change = json!({"kb": "other", "settings": {"greeting": "您好", "menus": null}});
    let got = with(&all, "PATCH", "/v1/channels/gzh", change).await.json();
    assert_eq!((&got["kb"], &got["secrets"]), (&json!("other"), &json!(["token"])), "{got}");
    let got = with(&all, "PATCH", "/v1/channels/gzh", json!({"settings": {"token": null}})).await;
    assert_eq!(got.problem(422, "invalid-field")["field"], "token");
    let got = with(&all, "PATCH", "/v1/channels/gzh", json!({"settings": {"tokn": "x"}})).await;
    assert_eq!(got.problem(422, "invalid-field")["field"], "tokn");
    assert_eq!(
        with(&some, "GET", "/v1/channels/gzh", json!({})).await.json()["settings"]["greeting"],
        "您好"
    );
    // Without the key file nothing is sealed or opened, and it is told instead of a fault of ours.
    let file = folder.path().join("secret.key");
    let kept = std::fs::read(&file).expect("the key");
    std::fs::remove_file(&file).expect("gone");
    let app = router(server_over(folder.path(), admission()));
    let request = Request::get("/v1/channels").header("authorization", format!("Bearer {all}"));
    let listed = send(&app, request.body(Body::empty()).expect("a request")).await.json();
    assert!(listed["items"][0]["fault"].as_str().is_some_and(|why| why.contains("secret.key")), "{listed}");
    let request = Request::post("/v1/channels/gzh/test").header("authorization", format!("Bearer {all}"));
    send(&app, request.body(Body::empty()).expect("a request")).await.problem(409, "not-now");
    std::fs::write(&file, kept).expect("it is back");
    let audit = with(&all, "GET", "/v1/audit?object=gzh", json!({})).await.text();
    assert!(
        audit.contains("add_channel") && audit.contains("changed: greeting, menus, kb: other"),
        "{audit}"
    );
    assert!(!audit.contains("tok-1"), "{audit}");
}

#[test]
fn every_kind_is_kept_from_the_command_line_for_every_tenant() {
    let desk = Desk::new();
    let file = desk.file("kb.jsonl", SMALL_KB);
    desk.sound(&["tenant", "create", "acme"]);
    let data = desk.data();
    publish(&data.join("tenants/acme"), "demo", SMALL_KB, None);
    desk.sound(&["kb", "import", "--kb", "demo", &file]);
    let aes = "k".repeat(43);
    let given: [(&str, &[&str]); 8] = [
        ("chatwoot", &["--url", "https://chat.example", "--token", "t-secret"]),
        ("generic", &["--url", "https://app.example/in"]),
        ("web", &["--origin", "https://shop.example"]),
        ("wechat", &["--app-id", "wx1", "--token", "t-secret"]),
        ("wecom", &["--app-id", "ww1", "--token", "t-secret", "--aes-key", &aes]),
        (
            "wecom-kf",
            &["--app-id", "ww1", "--token", "t-secret", "--aes-key", &aes, "--app-secret", "a-secret"],
        ),
        ("dingtalk", &["--app-id", "d1", "--app-secret", "a-secret"]),
        ("feishu", &["--app-id", "f1", "--app-secret", "a-secret", "--encrypt-key", "e-secret"]),
    ];
    for (kind, flags) in given {
        let name = format!("c-{kind}");
        let mut args = vec!["channel", "add", &name, "--tenant", "acme", "--kb", "demo", "--kind", kind];
        args.extend(flags);
        let told = desk.sound(&args);
        let first = told.lines().next().unwrap_or_default();
        if kind == "web" {
            assert!(first.contains("data-site=\"acme~zw_"), "{told}");
        } else {
            assert_eq!(first, format!("/channels/{kind}/acme~{name}"));
        }
    }
    let listed = desk.sound(&["channel", "list", "--tenant", "acme"]);
    assert_eq!(listed.lines().count(), given.len(), "{listed}");
    assert!(!listed.contains("secret") && !listed.contains(&aes), "{listed}");
    assert_eq!(desk.sound(&["channel", "list"]), "", "another tenant's are not listed");
    let unknown = desk.run(&["channel", "list", "--tenant", "nobody"]);
    assert!(!unknown.status.success() && stderr(&unknown).contains("acme"), "{}", stderr(&unknown));
    // Every secret lies sealed, and a row that is moved does not open.
    let talk = crate::support::store(data.join("tenants/acme")).conversations();
    for channel in talk.channels_sealed().expect("read") {
        for secret in ["t-secret", "a-secret", "e-secret", aes.as_str(), "whsec_"] {
            assert!(!channel.settings.contains(secret), "{}: {}", channel.id, channel.settings);
        }
    }
    let opened = talk.channel("c-wechat").expect("opens").expect("there");
    assert!(opened.settings.contains("t-secret"));
    let mut moved =
        talk.channels_sealed().expect("read").into_iter().find(|one| one.id == "c-wechat").expect("there");
    moved.id = "copy".to_owned();
    talk.add_channel(&moved).expect("a row is a row");
    let why = talk.channel("copy").expect_err("it belongs to another channel").to_string();
    assert!(why.contains("do not open") && why.contains("set the secrets anew"), "{why}");
    desk.sound(&["channel", "remove", "copy", "--tenant", "acme"]);
    desk.sound(&["channel", "test", "c-web", "--tenant", "acme"]);
    for (kind, _) in given {
        desk.sound(&["channel", "remove", &format!("c-{kind}"), "--tenant", "acme"]);
    }
    let audit = desk.sound(&["audit", "show", "--tenant", "acme"]);
    assert!(audit.contains("add_channel") && audit.contains("remove_channel"), "{audit}");
}

//! Who is let in: every route with every role and with none, two tenants
//! crosswise, keys over two processes, limits, the audit, TLS, and the door of a
//! server without keys.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use diesel::connection::{Connection as _, SimpleConnection};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::rustls;
use zhida::access::{Limits, Right, Role};
use zhida::server::{Admission, Exposure, Openness, Registry, Server, router};
use zhida::store::NewKey;

use crate::http::{Got, MAX_WRONG, Running, admission, get, publish, send, serve};
use crate::people::{Browser, person};
use crate::store::Desk;
use crate::support::{SMALL_KB, repository, run, stderr, stdout};

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// A new key, and its id.
fn key(data: &Path, tenant: &str, role: Role, change: impl FnOnce(&mut NewKey)) -> (String, String) {
    crate::support::key(&crate::support::store(data), tenant, role, |new| {
        new.name = format!("{} of {tenant}", role.name());
        change(new);
    })
}

fn over(data: &Path) -> Router {
    let registry = Arc::new(Registry::new(crate::support::store(data), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    router(Server::new(registry, admission()))
}

async fn with(app: &Router, key: Option<&str>, method: &str, path: &str, body: Option<Value>) -> Got {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let body = match body {
        None => Body::empty(),
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
    };
    send(app, request.body(body).expect("a request")).await
}

async fn asks(app: &Router, key: &str) -> Got {
    with(app, Some(key), "post", "/v1/answer", Some(json!({"text": "怎么开电子发票"}))).await
}

/// Every operation of the description: method, path, its name and its right.
async fn operations(app: &Router) -> Vec<(String, String, String, Right)> {
    let document = get(app, "/openapi.json").await.json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let right = operation["x-zhida-right"].as_str().expect("every route has a right");
            let right = Right::ALL.into_iter().find(|known| known.name() == right).expect("a known right");
            let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
            all.push((method.to_owned(), path.clone(), name, right));
        }
    }
    assert!(all.len() > 40, "{}", all.len());
    all
}

/// A path with something in the place of every part.
fn filled(path: &str, kb: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{kb}" => kb,
        "{number}" => "1",
        part if part.starts_with('{') => "nope",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_lets_in_exactly_whom_the_table_names() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    crate::support::store(folder.path())
        .access()
        .create_tenant("acme", &Limits::default())
        .expect("a tenant");
    let keys = Role::ALL.map(|role| (role, key(folder.path(), "default", role, |_| ()).0));
    let (guest, _) = key(folder.path(), "acme", Role::Admin, |_| ());
    let people = Role::ALL.map(|role| (role, person(folder.path(), "default", role.name(), role)));
    let app = over(folder.path());
    for (method, path, name, right) in operations(&app).await {
        let place = filled(&path, "nope");
        let got = with(&app, None, &method, &place, None).await;
        if right == Right::Public {
            // What anybody may do changes nothing, but for what platforms sign themselves, and
            // what the widget asks, which looks at its visitors itself (`widget.rs`).
            let lets_in = ["/v1/login", "/v1/setup", "/v1/setup/look"].contains(&path.as_str());
            assert!(
                method == "get"
                    || ["/channels/", "/widget/"].iter().any(|own| path.starts_with(own))
                    || lets_in,
                "{name}"
            );
            assert_ne!(got.status, StatusCode::UNAUTHORIZED, "{name}");
            continue;
        }
        got.problem(401, "unauthorized");
        assert!(got.header(header::WWW_AUTHENTICATE).starts_with("Bearer"), "{name}");
        for (role, key) in &keys {
            let got = with(&app, Some(key), &method, &place, None).await;
            let is_refused = got.status == StatusCode::FORBIDDEN;
            assert_eq!(is_refused, !role.may(right), "{name} with {}: {}", role.name(), got.text());
            assert_ne!(got.status, StatusCode::UNAUTHORIZED, "{name}");
            assert!(!got.status.is_server_error(), "{name} with {}: {}", role.name(), got.text());
        }
        // Somebody who signed in has the rights of a key, neither more nor fewer.
        for (role, person) in &people {
            let browser = Browser::of(folder.path(), person);
            let got = browser.send(&app, &method, &place, None).await;
            let is_refused = got.status == StatusCode::FORBIDDEN;
            assert_eq!(is_refused, !role.may(right), "{name} as {}: {}", role.name(), got.text());
            assert_ne!(got.status, StatusCode::UNAUTHORIZED, "{name}");
            assert!(!got.status.is_server_error(), "{name} as {}: {}", role.name(), got.text());
            if method != "get" {
                let forged = Browser { csrf: String::new(), ..browser };
                let got = forged.send(&app, &method, &place, None).await;
                assert!(
                    matches!(got.status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED),
                    "{name}: {}",
                    got.text()
                );
            }
        }
        if right == Right::Operator {
            with(&app, Some(&guest), &method, &place, None).await.problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn a_key_for_some_knowledge_bases_knows_of_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    publish(folder.path(), "second", SMALL_KB, None);
    let some = |role| key(folder.path(), "default", role, |new| new.kbs = Some(vec!["second".into()])).0;
    let (asker, author, admin) = (some(Role::Ask), some(Role::Author), some(Role::Admin));
    let app = over(folder.path());
    let got = with(&app, Some(&asker), "post", "/v1/answer", Some(json!({"text": "怎么开电子发票"}))).await;
    assert_eq!(got.json()["kb"], "second", "the only one that it knows of is the one that is meant");
    let foreign = json!({"text": "怎么开电子发票", "kb": "demo"});
    let problem =
        with(&app, Some(&asker), "post", "/v1/answer", Some(foreign)).await.problem(404, "unknown-kb");
    assert_eq!(problem["known"], json!(["second"]));
    let listed = with(&app, Some(&asker), "get", "/v1/kbs", None).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    for (method, path, name, right) in operations(&app).await {
        if !path.contains("{kb}") || !Role::Author.may(right) {
            continue;
        }
        let got = with(&app, Some(&author), &method, &filled(&path, "demo"), None).await;
        let unknown = with(&app, Some(&author), &method, &filled(&path, "nope"), None).await;
        assert_eq!(got.status, unknown.status, "{name}: {}", got.text());
        assert_eq!(told(&got), told(&unknown).replace("nope", "demo"), "{name}");
    }
    // Who keeps some must not make keys for all.
    with(&app, Some(&admin), "post", "/v1/keys", Some(json!({"role": "admin"})))
        .await
        .problem(403, "forbidden");
    with(&app, Some(&admin), "get", "/v1/audit", None).await.problem(403, "forbidden");
}

/// A body without what differs from request to request.
fn told(got: &Got) -> String {
    let mut body = serde_json::from_slice::<Value>(&got.body).unwrap_or(Value::Null);
    if let Some(fields) = body.as_object_mut() {
        fields.remove("request_id");
        fields.remove("trace_id");
    }
    body.to_string()
}

#[tokio::test]
async fn two_tenants_see_nothing_of_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    crate::support::store(root).access().create_tenant("acme", &Limits::default()).expect("a tenant");
    publish(root, "demo", SMALL_KB, None);
    publish(root, "first-only", SMALL_KB, None);
    publish(&root.join("tenants/acme"), "acme-only", SMALL_KB, None);
    let (first, first_id) = key(root, "default", Role::Admin, |_| ());
    let (second, second_id) = key(root, "acme", Role::Admin, |_| ());
    let app = over(root);
    // Both leave traces: changes, jobs, answers.
    for (key, kb) in [(&first, "first-only"), (&second, "acme-only")] {
        let question = json!({"text": "怎么开电子发票", "kb": kb});
        let got = with(&app, Some(key), "post", "/v1/answer", Some(question)).await;
        assert_eq!((got.status, &got.json()["kb"]), (StatusCode::OK, &json!(kb)));
        let path = format!("/v1/kbs/{kb}/goal");
        let got = with(&app, Some(key), "put", &path, Some(json!({"max_wrong": 0.1}))).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
        let got = with(&app, Some(key), "post", &format!("/v1/kbs/{kb}/check"), Some(json!({}))).await;
        assert_eq!(got.status, StatusCode::ACCEPTED, "{}", got.text());
    }
    let sides = [
        (&first, "acme-only", &second_id, ["acme-only", "acme", &second_id]),
        (&second, "first-only", &first_id, ["first-only", "first-only", &first_id]),
    ];
    for (key, theirs, id, secrets) in sides {
        for (method, path, name, right) in operations(&app).await {
            if right == Right::Public || (right == Right::Operator && path.contains("tenants")) {
                continue;
            }
            let got = with(&app, Some(key), &method, &filled(&path, theirs), None).await;
            let unknown = with(&app, Some(key), &method, &filled(&path, "nope"), None).await;
            assert_eq!(got.status, unknown.status, "{name}: {}", got.text());
            if path.contains("{kb}") {
                assert_eq!(told(&got), told(&unknown).replace("nope", theirs), "{name}");
            } else if right != Right::Operator {
                // Lists, counts and documents.
                for secret in secrets {
                    assert!(!got.text().contains(secret), "{name} tells of {secret}: {}", got.text());
                }
            }
        }
        // Ids of the other one are unknown ids.
        for (method, path) in
            [("delete", format!("/v1/keys/{id}")), ("post", format!("/v1/keys/{id}/rotate"))]
        {
            let got = with(&app, Some(key), method, &path, Some(json!({}))).await;
            got.problem(404, "not-here");
        }
        let got = with(&app, Some(key), "get", "/v1/jobs", None).await.json();
        assert_eq!(got["items"].as_array().map(Vec::len), Some(1), "{got}");
        let got = with(&app, Some(key), "get", "/v1/audit", None).await.json();
        assert_eq!(got["items"][0]["seq"], 1, "numbers count the tenant's own: {got}");
    }
    // A tenant makes keys for itself only, and has no say over tenants.
    let wanted = json!({"role": "ask", "tenant": "default"});
    with(&app, Some(&second), "post", "/v1/keys", Some(wanted)).await.problem(404, "not-here");
    with(&app, Some(&second), "get", "/v1/tenants", None).await.problem(403, "forbidden");
    // Probes that need no key name nothing.
    assert_eq!(get(&app, "/readyz").await.json()["kbs"], json!({}));
    // A tenant that goes takes its keys and data along, and its name.
    let got = with(&app, Some(&first), "delete", "/v1/tenants/acme", None).await;
    got.problem(409, "needs-confirmation");
    let got = with(&app, Some(&first), "delete", "/v1/tenants/acme?yes=true", None).await;
    assert_eq!(got.status, StatusCode::NO_CONTENT, "{}", got.text());
    asks(&app, &second).await.problem(401, "unauthorized");
    assert!(!root.join("tenants/acme").exists());
    let got = with(&app, Some(&first), "post", "/v1/tenants", Some(json!({"name": "acme"}))).await;
    got.problem(409, "not-now");
}

#[tokio::test]
async fn keys_are_made_listed_replaced_and_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = over(folder.path());
    // On a server without keys, programs of the machine may make the first one.
    let body = json!({"role": "admin", "name": "王芳", "expires": "2999-01-01"});
    let got = with(&app, None, "post", "/v1/keys", Some(body)).await;
    assert_eq!(got.status, StatusCode::CREATED, "{}", got.text());
    let made = got.json();
    let (admin, id) = (made["key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
    assert!(admin.starts_with(&format!("zk_admin_{id}")), "{made}");
    assert_eq!(made["record"]["expires_at"], "2998-12-31T16:00:00Z");
    // From then on nobody comes in without one.
    with(&app, None, "get", "/v1/kbs", None).await.problem(401, "unauthorized");
    let listed = with(&app, Some(admin), "get", "/v1/keys", None).await;
    assert_eq!(listed.json()["items"][0]["name"], "王芳");
    assert!(!listed.text().contains(admin) && !listed.text().contains("digest"), "{}", listed.text());
    for (body, field) in [
        (json!({"role": "admin", "expires": "soon"}), "expires"),
        (json!({"role": "admin", "origins": ["shop.example"]}), "origins"),
        (json!({"role": "admin", "origins": ["*"]}), "origins"),
        (json!({"role": "admin", "kbs": []}), "kbs"),
        (json!({"role": "admin", "kbs": ["../x"]}), "kbs"),
        (json!({"role": "admin", "expires": "2020-01-01"}), "expires"),
        (json!({"role": "admin", "name": "两\n行"}), "name"),
    ] {
        let problem =
            with(&app, Some(admin), "post", "/v1/keys", Some(body)).await.problem(422, "invalid-field");
        assert_eq!(problem["field"], field);
    }
    let path = format!("/v1/keys/{id}/rotate");
    let got = with(&app, Some(admin), "post", &path, Some(json!({"overlap": "1h"}))).await;
    let second = got.json()["key"].as_str().expect("a key").to_owned();
    // Both are valid for the overlap; the old one once.
    assert_eq!(asks(&app, admin).await.status, StatusCode::OK);
    assert_eq!(asks(&app, &second).await.status, StatusCode::OK);
    with(&app, Some(&second), "post", &path, Some(json!({}))).await.problem(409, "not-now");
    let got = with(&app, Some(&second), "delete", &format!("/v1/keys/{id}"), None).await;
    assert!(got.json()["revoked_at"].is_string(), "{}", got.text());
    asks(&app, admin).await.problem(401, "unauthorized");
    // A mistyped key is told from an unknown one.
    let mut mistyped = second.clone();
    mistyped.pop();
    mistyped.push(if second.ends_with('a') { 'b' } else { 'a' });
    let problem = asks(&app, &mistyped).await.problem(401, "unauthorized");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("mistyped")), "{problem}");
    // Keys in addresses are refused, and are not told again.
    let got = get(&app, &format!("/v1/kbs?key={second}")).await;
    got.problem(400, "key-in-address");
    assert!(!got.text().contains(&second));
}

#[test]
fn a_revoked_key_is_refused_by_the_next_request_of_another_process() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let key = desk.json(&["key", "create", "--role", "ask", "--name", "机器人", "--json"]);
    let (id, secret) = (key["id"].as_str().expect("an id"), key["key"].as_str().expect("a key"));
    let server = Running::start(&desk.data());
    let ask =
        || with_key(&server.address, Some(secret), "POST", "/v1/answer", r#"{"text":"怎么开电子发票"}"#);
    assert_eq!(ask().0, 200);
    assert_eq!(with_key(&server.address, None, "GET", "/v1/kbs", "").0, 401);
    // The second process makes one, and it counts at once.
    let admin = desk.json(&["key", "create", "--role", "admin", "--json"]);
    let admin = admin["key"].as_str().expect("a key").to_owned();
    assert_eq!(with_key(&server.address, Some(&admin), "GET", "/v1/keys", "").0, 200);
    desk.sound(&["key", "revoke", id]);
    let (status, body) = ask();
    assert_eq!(status, 401, "{body}");
    assert!(desk.sound(&["key", "list"]).contains("revoked"));
    // Once there were keys, the door stays shut, whatever becomes of the file.
    desk.sound(&["key", "revoke", desk.json(&["key", "list", "--json"])[1]["id"].as_str().expect("an id")]);
    assert_eq!(with_key(&server.address, None, "GET", "/v1/kbs", "").0, 401);
    std::fs::rename(desk.data().join("access.db"), desk.data().join("away.db")).expect("moved");
    assert_eq!(with_key(&server.address, None, "GET", "/v1/kbs", "").0, 401);
    let (_, log) = server.stop();
    assert!(!log.contains(secret) && !log.contains(&admin), "a key stands in the log");
}

/// The status and body of a request to a running server.
fn with_key(address: &str, key: Option<&str>, method: &str, path: &str, body: &str) -> (u16, String) {
    let stream = TcpStream::connect(address).expect("a connection");
    spoken(stream, address, key, method, path, body)
}

fn spoken(
    mut stream: impl Read + Write,
    host: &str,
    key: Option<&str>,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String) {
    let key = key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{key}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut response = Vec::new();
    // TLS peers may end without saying goodbye.
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response).into_owned();
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, response)
}

#[tokio::test]
async fn limits_are_told_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let (slow, slow_id) = key(root, "default", Role::Ask, |new| {
        new.limits.per_second = std::num::NonZeroU32::new(2);
    });
    let (few, _) = key(root, "default", Role::Ask, |new| new.limits.per_month = Some(2));
    let (admin, _) = key(root, "default", Role::Admin, |_| ());
    let app = over(root);
    let header = |got: &Got, name: &str| {
        got.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let first = asks(&app, &slow).await;
    assert_eq!((first.status, header(&first, "ratelimit").as_str()), (StatusCode::OK, "\"key\";r=1;t=1"));
    assert_eq!(header(&first, "ratelimit-policy"), "\"key\";q=2;w=1");
    let mut refused = None;
    for _ in 0..50 {
        let got = asks(&app, &slow).await;
        if got.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(got);
            break;
        }
    }
    let refused = refused.expect("fifty requests are more than two a second");
    refused.problem(429, "rate-limited");
    assert_eq!(header(&refused, "retry-after"), "1");
    assert!(header(&refused, "ratelimit").contains("r=0"));
    // Others are not slowed, and a raised limit counts at once.
    assert_eq!(asks(&app, &admin).await.status, StatusCode::OK);
    let path = format!("/v1/keys/{slow_id}");
    let got = with(&app, Some(&admin), "patch", &path, Some(json!({"limits": {"per_second": 1000}}))).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    assert_eq!(asks(&app, &slow).await.status, StatusCode::OK);
    // Questions of a month.
    assert_eq!(asks(&app, &few).await.status, StatusCode::OK);
    assert_eq!(asks(&app, &few).await.status, StatusCode::OK);
    let refused = asks(&app, &few).await;
    refused.problem(429, "quota-used-up");
    assert!(header(&refused, "retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    // Entries: what would be more is not done, taking away always may be.
    let limits = json!({"entries": 4});
    let got = with(&app, Some(&admin), "put", "/v1/tenants/default", Some(limits)).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let entry = json!({"question": "能开专票吗", "answer": "可以。"});
    let new = "/v1/kbs/demo/entries";
    with(&app, Some(&admin), "post", new, Some(entry.clone())).await.problem(409, "over-quota");
    assert_eq!(
        crate::support::store(root).shelf("demo").expect("there").draft().expect("a draft").entries().len(),
        4
    );
    let got = with(&app, Some(&admin), "get", "/v1/kbs/demo/entries/cod", None).await;
    let tag = header(&got, "etag");
    let request = Request::delete("/v1/kbs/demo/entries/cod")
        .header(header::AUTHORIZATION, format!("Bearer {admin}"))
        .header(header::IF_MATCH, tag);
    let got = send(&app, request.body(Body::empty()).expect("a request")).await;
    assert!(got.status.is_success(), "{}", got.text());
    let got = with(&app, Some(&admin), "post", new, Some(entry)).await;
    assert!(got.status.is_success(), "{}", got.text());
}

#[tokio::test]
async fn a_key_may_be_for_pages_of_some_origins() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let (page, _) = key(folder.path(), "default", Role::Ask, |new| {
        new.origins = vec!["https://shop.example".into()];
    });
    let app = over(folder.path());
    let asked = async |origin: &str| {
        let request = Request::post("/v1/answer")
            .header(header::AUTHORIZATION, format!("Bearer {page}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ORIGIN, origin);
        send(&app, request.body(Body::from(r#"{"text":"发票"}"#)).expect("a request")).await
    };
    let got = asked("https://shop.example").await;
    assert_eq!(
        (got.status, got.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)),
        (StatusCode::OK, "https://shop.example")
    );
    let got = asked("https://evil.example").await;
    got.problem(403, "foreign-origin");
    assert_eq!(got.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "");
}

#[tokio::test]
async fn without_keys_only_the_own_machine_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let of = |exposure| {
        let registry = Arc::new(Registry::new(crate::support::store(folder.path()), None, MAX_WRONG, "demo"));
        registry.open_all().expect("everything opens");
        router(Server::with(registry, admission(), Openness { exposure, ..Openness::default() }))
    };
    let (machine, anybody) = (of(Exposure::Machine), of(Exposure::Anybody));
    let sent = async |app: &Router, host: &str, origin: Option<&str>| {
        let mut request = Request::get("/v1/kbs").header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        send(app, request.body(Body::empty()).expect("a request")).await
    };
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(sent(&machine, host, None).await.status, StatusCode::OK, "{host}");
        let own = format!("http://{host}");
        assert_eq!(sent(&machine, host, Some(&own)).await.status, StatusCode::OK, "{host}");
    }
    sent(&machine, "evil.example", None).await.problem(403, "foreign-host");
    sent(&machine, "evil.example", Some("http://evil.example")).await.problem(403, "foreign-host");
    sent(&machine, "localhost:8080", Some("https://evil.example")).await.problem(403, "foreign-origin");
    sent(&machine, "localhost:8080", Some("null")).await.problem(403, "foreign-origin");
    assert_eq!(sent(&anybody, "faq.example", Some("https://x.example")).await.status, StatusCode::OK);
    // Every response is careful, and carries the id of its request.
    let request = Request::get("/v1/nope").header("x-request-id", "r-42").body(Body::empty());
    let got = send(&machine, request.expect("a request")).await;
    assert_eq!(got.problem(404, "not-found")["request_id"], "r-42");
    for (name, value) in [
        ("x-request-id", "r-42"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(got.headers.get(name).and_then(|value| value.to_str().ok()), Some(value), "{name}");
    }
    let request = Request::get("/v1/nope").header("x-request-id", "a b").body(Body::empty());
    let got = send(&machine, request.expect("a request")).await;
    assert_eq!(got.json()["request_id"].as_str().map(str::len), Some(32));
}

#[test]
fn other_addresses_need_a_key_or_a_word() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let output = run(&mut serve(&desk.data(), "0.0.0.0:0"));
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("zhida key create") && told.contains("--insecure"), "{told}");
    let mut command = serve(&desk.data(), "0.0.0.0:0");
    command.arg("--insecure");
    let (status, log) = Running::of(command).stop();
    assert!(status == Some(0) && log.contains("whoever reaches"), "{log}");
    let (_, log) = Running::start(&desk.data()).stop();
    assert!(log.contains("without keys: only programs of this machine"), "{log}");
    desk.sound(&["key", "create", "--role", "admin"]);
    let (status, log) = Running::of(serve(&desk.data(), "0.0.0.0:0")).stop();
    assert!(status == Some(0) && !log.contains("without keys"), "{log}");
}

#[tokio::test]
async fn what_was_changed_stands_in_the_audit() {
    let desk = Desk::new();
    let root = desk.data();
    publish(&root, "demo", SMALL_KB, None);
    let (admin, id) = key(&root, "default", Role::Admin, |new| new.name = "王芳".into());
    let app = over(&root);
    let request = Request::put("/v1/kbs/demo/goal")
        .header(header::AUTHORIZATION, format!("Bearer {admin}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-request-id", "r-7")
        .header("zhida-reason", "stricter")
        .body(Body::from(r#"{"max_wrong":0.01}"#));
    assert_eq!(send(&app, request.expect("a request")).await.status, StatusCode::OK);
    // What was refused, and what only looks, is no change.
    with(&app, Some(&admin), "put", "/v1/kbs/demo/goal", Some(json!({"max_wrong": 7}))).await;
    with(&app, Some(&admin), "get", "/v1/kbs/demo/goal", None).await;
    asks(&app, &admin).await;
    let file = desk.file("kb.jsonl", &SMALL_KB.replace("部分地区支持", "全国支持"));
    desk.sound(&["kb", "import", "--kb", "demo", &file, "--reason", "news"]);
    desk.sound(&["kb", "import", "--kb", "demo", &file, "--dry-run"]);
    let items = with(&app, Some(&admin), "get", "/v1/audit", None).await.json()["items"].clone();
    let items = items.as_array().expect("records");
    assert_eq!(items.len(), 2, "{items:?}");
    let (import, goal) = (&items[0], &items[1]);
    assert_eq!(
        (&goal["who"], &goal["name"], &goal["action"], &goal["object"], &goal["request"], &goal["reason"]),
        (
            &json!(id),
            &json!("王芳"),
            &json!("set_goal"),
            &json!("/v1/kbs/demo/goal"),
            &json!("r-7"),
            &json!("stricter")
        )
    );
    assert_eq!(goal["before"], "revision 4, release 1");
    assert_eq!(goal["after"], "revision 4, release 1, goal 0.01");
    assert_eq!(
        (&import["name"], &import["from"], &import["action"]),
        (&json!("tester"), &json!("cli"), &json!("import_kb"))
    );
    assert_eq!(import["after"], "revision 5, release 1, goal 0.01");
    assert!(!json!(items).to_string().contains("全国支持"), "texts stand in the history, not here");
    let got = with(&app, Some(&admin), "get", "/v1/audit?who=tester&object=demo", None).await.json();
    assert_eq!(got["items"].as_array().map(Vec::len), Some(1));
    let got = with(&app, Some(&admin), "get", "/v1/audit/verify", None).await.json();
    assert_eq!((&got["sound"], &got["records"]), (&json!(true), &json!(2)));
    // Retention keeps it verifiable.
    let head = desk.sound(&["audit", "verify"]);
    assert!(!desk.run(&["audit", "prune", "--before", "2999-01-01"]).status.success(), "it is still to come");
    // The moment is told to the second.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    desk.sound(&["audit", "prune", "--before", &zhida::access::moment::told(zhida::access::moment::now())]);
    assert_eq!(desk.json(&["audit", "verify", "--json"])["records"], 2, "the last one, and that others went");
    // The database has been written to by somebody else.
    let tampered = |sql: &str, words: &str| {
        let path = root.join("access.db");
        let copy = desk.data().join("sound.db");
        let mut connection =
            diesel::SqliteConnection::establish(path.to_str().expect("a path")).expect("open");
        connection.batch_execute(&format!("VACUUM INTO '{}'", copy.display())).expect("a copy");
        assert!(connection.batch_execute("UPDATE audit SET name = 'x'").is_err(), "the table refuses");
        connection.batch_execute(sql).expect("tampered");
        drop(connection);
        let output = desk.run(&["audit", "verify"]);
        assert_eq!(output.status.code(), Some(1), "{sql}");
        assert!(stdout(&output).contains(words), "{sql}: {}", stdout(&output));
        for ending in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(root.join(format!("access.db{ending}")));
        }
        std::fs::rename(&copy, &path).expect("as it was");
        desk.sound(&["audit", "verify"]);
    };
    tampered(
        "DROP TRIGGER audit_is_never_changed; UPDATE audit SET name = 'x' WHERE seq = 2",
        "record 2 was altered",
    );
    tampered("DELETE FROM audit WHERE seq = 3", "the end was cut off");
    tampered("DELETE FROM audit WHERE seq = 2", "record 2 is missing");
    tampered("DELETE FROM audit_begins", "is missing");
    // A head that was kept elsewhere convicts whoever replaced all of it.
    let forged = format!("3:{}", "0".repeat(64));
    assert_eq!(desk.run(&["audit", "verify", "--head", &forged]).status.code(), Some(1));
    assert!(desk.run(&["audit", "verify", "--head", head.trim()]).status.success());
}

/// A server with TLS, and what it says.
struct Encrypted {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
    address: String,
}

impl Encrypted {
    fn start(data: &Path, folder: &TempDir) -> Self {
        let mut command: Command = serve(data, "127.0.0.1:0");
        command.arg("--tls-cert").arg(folder.path().join("it.crt"));
        command.arg("--tls-key").arg(folder.path().join("it.key"));
        let mut child =
            crate::support::ground(&mut command).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let mut server = Self { child, lines, address: String::new() };
        let line = server.until("listening on https://");
        server.address = line.rsplit_once("https://").expect("an address").1.to_owned();
        server
    }

    /// Reads on until a line holds some words.
    fn until(&mut self, words: &str) -> String {
        loop {
            let line = self.lines.next().expect("more to come").expect("text");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// A request by a client that trusts one certificate only.
    fn get(&self, certificate: &str) -> Result<(u16, String), std::io::Error> {
        self.get_at(certificate, "/v1/kbs")
    }

    fn get_at(&self, certificate: &str, asked: &str) -> Result<(u16, String), std::io::Error> {
        use rustls::pki_types::pem::PemObject;
        let mut roots = rustls::RootCertStore::empty();
        let path = repository(&format!("tests/reference/tls/{certificate}.crt"));
        let der = rustls::pki_types::CertificateDer::from_pem_file(path).expect("a certificate");
        roots.add(der).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let connection = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
        let stream = TcpStream::connect(&self.address)?;
        let mut stream = rustls::StreamOwned::new(connection, stream);
        stream.flush()?;
        Ok(spoken(stream, "localhost", None, "GET", asked, ""))
    }
}

#[test]
fn a_certificate_is_read_anew_and_a_broken_one_is_not_taken() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let folder = tempfile::tempdir().expect("a folder");
    let put = |from: &str| {
        for ending in ["crt", "key"] {
            let text =
                std::fs::read(repository(&format!("tests/reference/tls/{from}.{ending}"))).expect("read");
            std::fs::write(folder.path().join(format!("it.{ending}")), text).expect("written");
        }
    };
    put("one");
    let mut server = Encrypted::start(&desk.data(), &folder);
    let (status, head) = server.get("one").expect("encrypted");
    assert_eq!(status, 200, "{head}");
    assert!(head.contains("strict-transport-security: max-age="), "{head}");
    assert!(server.get("two").is_err(), "another certificate is not trusted");
    std::fs::write(folder.path().join("it.crt"), "not a certificate").expect("written");
    server.until("the old one stays");
    assert_eq!(server.get("one").expect("still the old one").0, 200);
    // Whoever looks at the server hears of it before the old one has expired.
    let ready = server.get_at("one", "/readyz").expect("an answer");
    assert!(ready.0 == 200 && ready.1.contains("\"degraded\""), "{}", ready.1);
    assert!(ready.1.contains("certificate_refused") && ready.1.contains("valid until 2126-"), "{}", ready.1);
    let metrics = server.get_at("one", "/metrics").expect("metrics").1;
    assert!(metrics.contains("\nzhida_certificate_current 0\n"), "{metrics}");
    put("two");
    server.until("the new certificate is used");
    assert_eq!(server.get("two").expect("the new one").0, 200);
    let ready = server.get_at("two", "/readyz").expect("an answer").1;
    assert!(ready.contains("\"status\":\"ready\"") && !ready.contains("certificate_refused"), "{ready}");
    let metrics = server.get_at("two", "/metrics").expect("metrics").1;
    assert!(metrics.contains("\nzhida_certificate_current 1\n"), "{metrics}");
    server.child.kill().expect("killed");
    server.child.wait().expect("an end");
    // What cannot work is said at the start.
    std::fs::write(folder.path().join("it.crt"), "not a certificate").expect("written");
    let mut command = serve(&desk.data(), "127.0.0.1:0");
    command.arg("--tls-cert").arg(folder.path().join("it.crt"));
    command.arg("--tls-key").arg(folder.path().join("it.key"));
    let output = run(&mut command);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("--tls-cert"), "{}", stderr(&output));
}

/// Nobody waits longer for a wrong key of somebody else.
#[tokio::test]
async fn guessing_slows_the_guesser_only() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let (sound, _) = key(folder.path(), "default", Role::Ask, |_| ());
    let (gone, id) = key(folder.path(), "default", Role::Ask, |_| ());
    crate::support::store(folder.path()).access().revoke_key("default", &id).expect("revoked");
    let registry = Arc::new(Registry::new(crate::support::store(folder.path()), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    let patient = Admission::new(2, std::time::Duration::from_secs(5), std::time::Duration::from_secs(30));
    let app = router(Server::new(registry, patient));
    let start = std::time::Instant::now();
    for _ in 0..5 {
        asks(&app, &gone).await.problem(401, "unauthorized");
    }
    let quick = start.elapsed();
    let start = std::time::Instant::now();
    asks(&app, &gone).await.problem(401, "unauthorized");
    assert!(start.elapsed() >= std::time::Duration::from_millis(100), "{quick:?}");
    assert_eq!(asks(&app, &sound).await.status, StatusCode::OK);
}

/// What a process had answered when it was killed, and had not counted, the next one counts.
#[tokio::test]
async fn questions_count_though_the_process_died_before_it_counted_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let (few, few_id) = key(root, "default", Role::Ask, |new| new.limits.per_month = Some(3));
    let (admin, _) = key(root, "default", Role::Admin, |_| ());
    {
        // Nobody looks after this one, so nothing is counted before it goes.
        let app = over(root);
        assert_eq!(asks(&app, &few).await.status, StatusCode::OK);
        assert_eq!(asks(&app, &few).await.status, StatusCode::OK);
        let counted = crate::support::store(root).access().count("2000-01", &Default::default());
        assert!(counted.expect("readable").is_empty());
    }
    let server = Running::start(root);
    let address = &server.address;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let (_, metrics) = with_key(address, Some(&admin), "GET", "/metrics", "");
        if metrics.contains("zhida_tenant_questions_this_month{tenant=\"default\"} 2\n") {
            break;
        }
        assert!(std::time::Instant::now() < until, "they are not counted: {metrics}");
    }
    let body = json!({"text": "怎么开电子发票"}).to_string();
    let ask = || with_key(address, Some(&few), "POST", "/v1/answer", &body);
    assert_eq!(ask().0, 200, "the third one");
    let (status, told) = ask();
    assert_eq!(status, 429, "{told}");
    assert!(told.contains("quota-used-up"), "{told}");
    let (_, usage) = with_key(address, Some(&admin), "GET", "/v1/usage", "");
    assert!(usage.contains(&format!("\"key\":\"{few_id}\",\"questions\":3")), "{usage}");
    let (status, log) = server.stop();
    assert_eq!(status, Some(0), "{log}");
    // What the last second brought it has counted itself, and another start counts nothing twice.
    let server = Running::start(root);
    let (_, metrics) = with_key(&server.address, Some(&admin), "GET", "/metrics", "");
    assert!(!metrics.contains("zhida_tenant_questions_this_month{tenant=\"default\"} 6"), "{metrics}");
    let (status, log) = server.stop();
    assert_eq!(status, Some(0), "{log}");
    let month = zhida::access::moment::month(zhida::access::moment::now());
    let counted = crate::support::store(root).access().count(&month, &Default::default()).expect("readable");
    assert_eq!(counted.get(&("default".to_owned(), few_id)), Some(&3));
    assert_eq!(counted.get(&("default".to_owned(), String::new())), Some(&3));
}

#[tokio::test]
async fn a_key_without_a_name_signs_with_its_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let bare = |new: &mut NewKey| new.name.clear();
    let (one, one_id) = key(root, "default", Role::Agent, bare);
    let (other, _) = key(root, "default", Role::Agent, bare);
    let app = over(root);
    let name = format!("key {one_id}");
    let wanted = json!({"text": "转人工", "session": "u"});
    let reply = with(&app, Some(&one), "post", "/v1/answer", Some(wanted)).await.json();
    let id = reply["handoff"]["id"].as_str().expect("a handoff");
    let path = |what: &str| format!("/v1/handoffs/{id}/{what}");
    let act = async |key: &str, what: &str, body: Value| {
        with(&app, Some(key), "post", &path(what), Some(body)).await
    };
    let claimed = act(&one, "claim", json!({})).await;
    assert_eq!((claimed.status, &claimed.json()["agent"]), (StatusCode::OK, &json!(name)));
    let said = act(&one, "reply", json!({"text": "您好"})).await;
    assert_eq!(said.status, StatusCode::OK, "{}", said.text());
    // Two that have no name are two.
    for (what, body) in [("reply", json!({"text": "我来"})), ("close", json!({}))] {
        act(&other, what, body).await.problem(409, "not-now");
    }
    let noted = act(&one, "notes", json!({"text": "老顾客"})).await;
    assert_eq!((noted.status, &noted.json()["author"]), (StatusCode::CREATED, &json!(name)));
    let there = with(&app, Some(&one), "put", "/v1/presence", Some(json!({"state": "online"}))).await.json();
    assert_eq!((&there["you"], &there["items"][0]["agent"]), (&json!(name), &json!(name)));
    // What a person says is never the robot's.
    let told = with(&app, Some(&one), "get", "/v1/conversations/u/messages", None).await.json();
    let line = told["items"].as_array().and_then(|lines| lines.last()).expect("a line").clone();
    assert_eq!(
        (&line["role"], &line["author"], &line["text"]),
        (&json!("agent"), &json!(name), &json!("您好"))
    );
}

#[tokio::test]
async fn limits_that_are_left_out_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let (admin, id) = key(folder.path(), "default", Role::Admin, |new| {
        new.limits = Limits { per_month: Some(900), ..Limits::default() };
    });
    let app = over(folder.path());
    let path = format!("/v1/keys/{id}");
    let change = async |limits: Value| {
        let got = with(&app, Some(&admin), "patch", &path, Some(json!({"limits": limits}))).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
        let limits = got.json()["limits"].clone();
        (limits["per_second"].clone(), limits["per_month"].clone())
    };
    assert_eq!(change(json!({"per_second": 50})).await, (json!(50), json!(900)));
    assert_eq!(change(json!({})).await, (json!(50), json!(900)));
    assert_eq!(change(json!({"per_month": null})).await, (json!(50), Value::Null));
    assert_eq!(change(json!({"per_second": null, "per_month": 7})).await, (Value::Null, json!(7)));
    // A key has no drafts of its own.
    let wrong = with(&app, Some(&admin), "patch", &path, Some(json!({"limits": {"entries": 4}}))).await;
    assert!(wrong.status.is_client_error(), "{}", wrong.text());
}

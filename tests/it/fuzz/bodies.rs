//! Bodies, addresses and headers, of every route.
//!
//! The OpenAPI document says which routes there are and what a sound body looks
//! like; a route that is added is asked from then on.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use serde_json::{Map, Value, json};
use zhida::server::{Registry, Server, router};
use zhida::store::{Channel, Store};

use super::fuzz;
use crate::http::{MAX_WRONG, admission, get, publish, send};
use crate::support::SMALL_KB;

/// A value that a schema allows, with all of its fields.
fn sample(document: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        let target = document.pointer(path.trim_start_matches('#')).cloned().unwrap_or_default();
        return if depth > 6 { Value::Null } else { sample(document, &target, depth + 1) };
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[several].as_array() {
            let sound = all.iter().find(|one| one["type"] != "null");
            return sound.map_or(Value::Null, |one| sample(document, one, depth + 1));
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default(),
        kind => kind.clone(),
    };
    match kind.as_str() {
        Some("string") => json!("怎么退货"),
        Some("integer") => json!(1),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        Some("array") => json!([sample(document, &schema["items"], depth + 1)]),
        _ => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let fields = fields.map(|(name, field)| (name.clone(), sample(document, field, depth + 1)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

/// A request that may be written as text: `METHOD PATH\nNAME: VALUE\n\nBODY`.
fn written(method: &str, path: &str, kind: &str, body: &str) -> Vec<u8> {
    let condition = if method == "get" { String::new() } else { "if-match: \"1\"\n".to_owned() };
    format!("{} {path}\ncontent-type: {kind}\n{condition}\n{body}", method.to_uppercase()).into_bytes()
}

/// Reads such a text; `None` when no HTTP client could send it.
fn read(bytes: &[u8]) -> Option<Request<Body>> {
    let end = bytes.windows(2).position(|two| two == b"\n\n")?;
    let (head, body) = (&bytes[..end], bytes[end + 2..].to_vec());
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    // The server's own parser has refused what is no address before a handler sees it.
    let address = axum::http::Uri::try_from(&first[space + 1..]).ok()?;
    let method = Method::from_bytes(&first[..space]).ok()?;
    let mut request = Request::builder().method(method).uri(address);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request = request.header(&line[..colon], value);
    }
    request.body(Body::from(body)).ok()
}

/// What would not end, would leave nothing to ask, or makes whoever guesses wait on
/// purpose.
const LEFT_OUT: [&str; 6] =
    ["follow_conversation", "follow_handoffs", "revoke_key", "delete_kb", "login", "redeem_link"];

#[test]
fn requests() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    for (id, kind, settings) in [
        ("shop", "chatwoot", json!({"url": "http://127.0.0.1:9", "token": "t", "private": true})),
        (
            "app",
            "generic",
            json!({"url": "http://127.0.0.1:9/out", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZg==", "private": true}),
        ),
    ] {
        let channel = Channel {
            id: id.to_owned(),
            kind: kind.to_owned(),
            kb: "demo".to_owned(),
            settings: settings.to_string(),
            created_at: 0,
        };
        Store::at(folder.path()).conversations().add_channel(&channel).expect("added");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let fresh = || {
        let registry = Arc::new(Registry::new(Store::at(folder.path()), None, MAX_WRONG, "demo"));
        // What was asked before may have left nothing to open.
        let _ = registry.open_all();
        router(Server::new(registry, admission()))
    };
    let mut app = fresh();
    let document = runtime.block_on(get(&app, "/openapi.json")).json();
    let mut seeds = Vec::new();
    let mut words: HashSet<String> = [
        "demo",
        "null",
        "%2e%2e",
        "%00",
        "?limit=0",
        "?limit=99999999999999999999",
        "&",
        "=",
        "\\ud800",
        "gzip",
        "text/plain",
    ]
    .map(str::to_owned)
    .into();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let name = operation["operationId"].as_str().unwrap_or_default();
            if LEFT_OUT.contains(&name)
                || !["get", "post", "put", "patch", "delete"].contains(&method.as_str())
            {
                continue;
            }
            let mut path = path.replace("{kb}", "demo").replace("{kind}/{id}", "chatwoot/shop");
            if path.contains("/entries/") {
                path = path.replace("{id}", "invoice");
            }
            path = path.replace("{id}", "1").replace("{number}", "1").replace("{name}", "acme");
            let query: Vec<String> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|one| one["in"] == "query")
                .filter_map(|one| {
                    let name = one["name"].as_str()?;
                    words.insert(format!("{name}="));
                    let value = match sample(&document, &one["schema"], 0) {
                        Value::String(text) if text.is_ascii() => text,
                        Value::String(_) => "a".to_owned(),
                        other => other.to_string(),
                    };
                    Some(format!("{name}={value}"))
                })
                .collect();
            if !query.is_empty() {
                path = format!("{path}?{}", query.join("&"));
            }
            let content = operation["requestBody"]["content"].as_object();
            let Some((kind, content)) = content.and_then(|content| content.iter().next()) else {
                seeds.push(written(method, &path, "", ""));
                continue;
            };
            let body = sample(&document, &content["schema"], 0);
            let body = if kind == "application/json" { body.to_string() } else { SMALL_KB.to_owned() };
            seeds.push(written(method, &path, kind, &body));
        }
    }
    assert!(seeds.len() > 60, "{} routes", seeds.len());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut asked = 0;
    fuzz("requests", &seeds, &words, |bytes| {
        let Some(request) = read(bytes) else { return Ok(()) };
        asked += 1;
        if asked % 500 == 0 {
            // Whoever guesses names of sites waits longer and longer, on purpose.
            app = fresh();
        }
        let told = format!("{} {}", request.method(), request.uri());
        let got = runtime.block_on(send(&app, request));
        let status = got.status.as_u16();
        // 503 says that the server is busy with what was asked before.
        if status >= 500 && status != 503 {
            return Err(format!("{told}: {}", got.text()));
        }
        let is_problem =
            got.headers.get("content-type").is_some_and(|kind| kind == "application/problem+json");
        // Readiness says in its own words that it is none.
        if status >= 400 && !told.ends_with("/readyz") && !(is_problem && got.json()["status"] == status) {
            return Err(format!("{told}: {status} without a problem document: {}", got.text()));
        }
        if got.headers.get("x-content-type-options").is_none() || got.headers.get("x-request-id").is_none() {
            return Err(format!("{told}: {status} without its headers"));
        }
        Ok(())
    });
}

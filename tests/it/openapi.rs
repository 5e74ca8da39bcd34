//! Is the description of the API true, and of use to a generator of clients?

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::http::{get, send, server};
use crate::support::repository;

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

async fn document() -> Value {
    get(&zhida::server::router(server()), "/openapi.json").await.json()
}

/// Every operation as path, method and description.
fn operations(document: &Value) -> Vec<(String, &'static str, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let operations: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            METHODS
                .iter()
                .filter_map(move |method| item.get(*method).map(|found| (path.clone(), *method, found)))
        })
        .collect();
    assert!(operations.len() > 30, "{} operations", operations.len());
    operations
}

/// Every value below a name, wherever it stands.
fn below<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(name));
            fields.values().for_each(|field| below(field, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| below(item, name, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_response_is_described_and_every_operation_has_a_name_of_its_own() {
    let document = document().await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let mut names = BTreeMap::new();
    let mut faults = Vec::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let name = operation["operationId"].as_str().unwrap_or_default();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            faults.push(format!("{place}: the operation id is {name:?}"));
        }
        if let Some(other) = names.insert(name.to_owned(), place.clone()) {
            faults.push(format!("{place} and {other} are both {name}"));
        }
        if operation["summary"].as_str().is_none_or(str::is_empty) {
            faults.push(format!("{place} has no summary"));
        }
        let responses = operation["responses"].as_object().expect("responses");
        for (status, response) in responses {
            if response["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
                faults.push(format!("{place}: response {status} has no description"));
            }
        }
        // A browser that is sent on has got what it came for.
        if !responses.keys().any(|status| status.starts_with('2') || status == "303") {
            faults.push(format!("{place} never succeeds"));
        }
        // Whatever reads something from the request, or needs a key, may refuse it.
        let reads = operation.get("parameters").is_some()
            || operation.get("requestBody").is_some()
            || operation["x-zhida-right"] != "public";
        if reads && !responses.contains_key("4XX") {
            faults.push(format!("{place}: nothing is said of problems; add `Problems` to its responses"));
        }
        // A client that was made of this can send what is demanded.
        let has_header = |wanted: &str| {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.any(|one| one["in"] == "header" && one["name"] == wanted)
        };
        let demands = |response: &Value| {
            response["description"].as_str().is_some_and(|text| text.contains("`If-Match`"))
        };
        if responses.values().any(demands) && !has_header("If-Match") {
            faults.push(format!("{place}: `If-Match` is not among the parameters"));
        }
        // The path's parts are the parameters.
        let parts: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let named: BTreeSet<&str> =
            parameters.filter(|one| one["in"] == "path").filter_map(|one| one["name"].as_str()).collect();
        if parts != named {
            faults.push(format!("{place}: the path has {parts:?}, the parameters are {named:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = document().await;
    let mut references = Vec::new();
    below(&document, "$ref", &mut references);
    assert!(references.len() > 30);
    for reference in references {
        let path =
            reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a place in the document");
        assert!(document.pointer(path).is_some_and(Value::is_object), "{path} is not described");
    }
}

#[tokio::test]
async fn an_entry_is_described_as_it_is_sent_and_as_it_comes() {
    let document = document().await;
    let paths = &document["paths"];
    let entry = "#/components/schemas/Entry";
    let got = &paths["/v1/kbs/{kb}/entries/{id}"]["get"]["responses"]["200"];
    assert_eq!(got["content"]["application/json"]["schema"]["$ref"], entry);
    assert!(got["headers"]["ETag"].is_object());
    let sent = &paths["/v1/kbs/{kb}/entries"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(sent["$ref"], "#/components/schemas/SentEntry");
    let schemas = &document["components"]["schemas"];
    // What is written by hand is what a JSONL file may hold.
    assert_eq!(schemas["Entry"]["required"], json!(["id", "question", "answer"]));
    assert_eq!(schemas["SentEntry"]["required"], json!(["question", "answer"]));
    assert_eq!(schemas["Entry"]["properties"], schemas["SentEntry"]["properties"]);
    assert_eq!(schemas["SentEntry"]["additionalProperties"], json!(false));
    // A body without a name of its fields helps nobody who makes a client; a merge patch has none.
    let bare = |operation: &Value| {
        let content = operation["requestBody"]["content"].as_object().cloned().unwrap_or_default();
        content
            .iter()
            .any(|(kind, body)| kind == "application/json" && body["schema"] == json!({"type": "object"}))
    };
    let bare: Vec<String> = operations(&document)
        .into_iter()
        .filter(|(.., operation)| bare(operation))
        .map(|(path, method, _)| format!("{method} {path}"))
        .collect();
    assert_eq!(bare, ["post /channels/{kind}/{id}"], "what platforms send is theirs");
}

#[tokio::test]
async fn closed_lists_of_words_are_enums() {
    let document = document().await;
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Decision"]["enum"], json!(["answer", "clarify", "handoff"]));
    let reasons = schemas["Reason"]["enum"].as_array().expect("an enum");
    for reason in ["exact_question", "confident", "requested", "no_match", "low_confidence", "ambiguous"] {
        assert!(reasons.contains(&json!(reason)), "{reason}");
    }
    assert_eq!(schemas["JobState"]["enum"], json!(["running", "done", "failed", "cancelled"]));
    for (schema, field, target) in [
        ("Reply", "decision", "Decision"),
        ("Reply", "reason", "Reason"),
        ("HandoffReply", "reason", "Reason"),
        ("RuleTest", "decision", "Decision"),
        ("RuleTest", "reason", "Reason"),
        ("Job", "state", "JobState"),
    ] {
        let mut targets = Vec::new();
        below(&schemas[schema]["properties"][field], "$ref", &mut targets);
        assert_eq!(targets, [&json!(format!("#/components/schemas/{target}"))], "{schema}.{field}");
    }
}

#[tokio::test]
async fn files_are_binary_and_not_lists_of_numbers() {
    let document = document().await;
    let mut contents = Vec::new();
    below(&document["paths"], "application/octet-stream", &mut contents);
    assert!(contents.len() > 2);
    for content in contents {
        let schema = &content["schema"];
        assert_eq!((&schema["type"], &schema["format"]), (&json!("string"), &json!("binary")), "{schema}");
    }
}

/// The router and its description are one thing (`routes!`), unless somebody
/// puts a route beside it.
#[tokio::test]
async fn every_route_is_described_and_every_description_is_served() {
    let mut open = vec![repository("src/server")];
    while let Some(folder) = open.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                // Pages for people, and what nodes ask of each other: not the API.
                if !path.ends_with("console") && !path.ends_with("neighbours") {
                    open.push(path);
                }
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                // Before there is an API, what watches over it is answered all the same.
                let is_before = path.ends_with("server/waiting.rs");
                assert!(
                    is_before || !text.contains(".route("),
                    "{}: use `routes!`, which describes",
                    path.display()
                );
                let described = text.matches("#[utoipa::path(").count();
                let routed: usize = text
                    .split("routes!(")
                    .skip(1)
                    .filter_map(|rest| rest.split_once(')'))
                    .map(|(names, _)| names.split(',').filter(|name| !name.trim().is_empty()).count())
                    .sum();
                assert_eq!(described, routed, "{}: a description without a route", path.display());
            }
        }
    }
    let app = zhida::server::router(server());
    let document = document().await;
    for (path, method, _) in operations(&document) {
        let address = path
            .replace("{kb}", "nope")
            .replace("{id}", "nope")
            .replace("{file}", "nope")
            .replace("{picture}", "nope")
            .replace("{number}", "1")
            .replace("{name}", "nope")
            .replace("{kind}", "generic")
            .replace("{session}", "nope")
            .replace("{site}", "nope");
        assert!(!address.contains('{'), "{address}: give the part a value here");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        let request =
            Request::builder().method(&method).uri(&address).body(Body::empty()).expect("a request");
        if address == "/v1/handoffs/events" {
            // A stream without end.
            let response = app.clone().oneshot(request).await.expect("a response");
            assert_eq!(response.status(), StatusCode::OK);
            continue;
        }
        let got = send(&app, request).await;
        assert_ne!(got.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let is_served = got.status != StatusCode::NOT_FOUND || got.json()["type"] != "/problems/not-found";
        assert!(is_served, "{method} {path}: {}", got.text());
        let kind = got.header(axum::http::header::CONTENT_TYPE);
        assert!(got.status.is_success() || kind == "application/problem+json", "{method} {path}: {kind}");
        assert!(!got.status.is_server_error(), "{method} {path}: {}", got.text());
    }
}

/// Two types of one name are one schema in the document, and one of them a lie.
#[test]
fn every_schema_has_a_name_of_its_own() {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut open = vec![repository("src")];
    while let Some(folder) = open.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let mut lines = text.lines().enumerate();
            while let Some((number, line)) = lines.next() {
                if !line.contains("ToSchema)]") {
                    continue;
                }
                let mut said = None;
                // Its attributes and comments, up to the line that names it.
                for (_, line) in lines.by_ref() {
                    if let Some((_, rest)) = line.split_once("schema(as = ") {
                        said = Some(rest.trim_end_matches(")]").to_owned());
                    }
                    let mut words =
                        line.split_whitespace().skip_while(|word| !["struct", "enum"].contains(word));
                    if let (Some(_), Some(name)) = (words.next(), words.next()) {
                        let name = name.split(['<', '(', ';']).next().unwrap_or_default().to_owned();
                        let place = format!("{}:{}", path.display(), number + 1);
                        if let Some(other) = names.insert(said.unwrap_or(name.clone()), place.clone()) {
                            panic!("{place} and {other} have the same schema; give one `#[schema(as = …)]`");
                        }
                        break;
                    }
                }
            }
        }
    }
    assert!(names.len() > 60, "{} schemas", names.len());
}

//! What clients send by mistake gets a reply that says what to change: bodies
//! that are packed, marked or cut off, addresses that are no text, texts that
//! nobody sees, pages of other sites.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::server::{Registry, Server, router};

use crate::http::{Got, MAX_WRONG, admission, ask, data, get, send, server};

const QUESTION: &str = r#"{"text":"怎么开电子发票"}"#;

async fn sent(app: &Router, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Got {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(app, request.body(Body::from(body)).expect("a request")).await
}

async fn asked(app: &Router, headers: &[(&str, &str)], body: Vec<u8>) -> Got {
    let headers: Vec<_> = [("content-type", "application/json")].iter().chain(headers).copied().collect();
    sent(app, Method::POST, "/v1/answer", &headers, body).await
}

/// A gzip file that stores a text without making it shorter (RFC 1951, 1952).
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = text.chunks(0xFFFF).peekable();
    while let Some(block) = blocks.next() {
        file.push(u8::from(blocks.peek().is_none()));
        let length = u16::try_from(block.len()).expect("a short block");
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(block);
    }
    let sum = text.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    });
    file.extend((!sum).to_le_bytes());
    file.extend(u32::try_from(text.len()).expect("a short text").to_le_bytes());
    file
}

#[tokio::test]
async fn a_byte_order_mark_is_passed_over() {
    let app = router(server());
    let got = asked(&app, &[], format!("\u{feff}{QUESTION}").into_bytes()).await;
    assert_eq!((got.status, &got.json()["answer"]["entry"]), (StatusCode::OK, &json!("invoice")));
    // One more is no JSON, and none of it is a question.
    asked(&app, &[], format!("\u{feff}\u{feff}{QUESTION}").into_bytes()).await.problem(400, "broken-json");
    asked(&app, &[], "\u{feff}".as_bytes().to_vec()).await.problem(400, "broken-json");
    let utf16 = |mark: u16, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(mark).chain(QUESTION.encode_utf16()).flat_map(bytes).collect()
    };
    for body in [utf16(0xFEFF, u16::to_le_bytes), utf16(0xFEFF, u16::to_be_bytes)] {
        let problem = asked(&app, &[], body).await.problem(400, "not-utf8");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("UTF-16")), "{problem}");
    }
}

#[tokio::test]
async fn half_a_character_is_named_as_such() {
    let app = router(server());
    for text in [r"退款\ud83d", r"\ud83d退款", r"\ude0a", r"\ud83d\u0041", r"\ud83d\ud83d"] {
        let body = format!("{{\"text\":\"{text}\"}}");
        let problem = asked(&app, &[], body.into_bytes()).await.problem(400, "broken-json");
        assert!(
            problem["detail"].as_str().is_some_and(|text| text.contains("half a character")),
            "{problem}"
        );
        assert!(problem["line"] == 1 && problem["column"].as_u64().is_some_and(|at| at > 9), "{problem}");
    }
    // A whole one is text, and other faults keep their own words.
    let got = asked(&app, &[], br#"{"text":"\ud83d\ude0a"}"#.to_vec()).await;
    assert_eq!(got.json()["reason"], "no_text");
    let problem = asked(&app, &[], br#"{"text":"\ud8"}"#.to_vec()).await.problem(400, "broken-json");
    assert!(!problem["detail"].as_str().expect("a detail").contains("half"), "{problem}");
}

#[tokio::test]
async fn a_packed_body_is_read_as_far_as_the_limit_goes() {
    let app = router(server());
    for encoding in ["gzip", "GZIP", "x-gzip"] {
        let got = asked(&app, &[("content-encoding", encoding)], gzip(QUESTION.as_bytes())).await;
        assert_eq!(
            (got.status, &got.json()["answer"]["entry"]),
            (StatusCode::OK, &json!("invoice")),
            "{encoding}"
        );
    }
    let got = asked(&app, &[("content-encoding", "identity")], QUESTION.into()).await;
    assert_eq!(got.status, StatusCode::OK);
    let large = json!({"text": "a".repeat(100_000)}).to_string();
    let packed = gzip(large.as_bytes());
    let problem = asked(&app, &[("content-encoding", "gzip")], packed).await.problem(413, "body-too-large");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("unpacked")), "{problem}");

    let whole = gzip(QUESTION.as_bytes());
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    for body in [QUESTION.as_bytes().to_vec(), whole[..whole.len() / 2].to_vec(), wrong_sum] {
        let problem = asked(&app, &[("content-encoding", "gzip")], body).await.problem(400, "broken-body");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("gzip")), "{problem}");
    }
    for encoding in ["br", "deflate", "zstd", "gzip, br", "rot13"] {
        let got = asked(&app, &[("content-encoding", encoding)], QUESTION.into()).await;
        got.problem(415, "wrong-content-encoding");
        assert_eq!(got.header(header::ACCEPT_ENCODING), "gzip", "{encoding}");
    }
    // Files too: a dry run of an import that nobody keeps.
    let line = "{\"question\":\"几点上班\",\"answer\":\"九点。\"}\n";
    let headers = [("content-type", "application/octet-stream"), ("content-encoding", "gzip")];
    let path = "/v1/kbs/demo/import?format=jsonl&dry_run=true";
    let got = sent(&app, Method::POST, path, &headers, gzip(line.as_bytes())).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let got = sent(&app, Method::POST, path, &headers, line.into()).await;
    got.problem(400, "broken-body");
}

#[tokio::test]
async fn an_address_that_is_no_text_gets_a_problem() {
    let app = router(server());
    for path in [
        "/v1/kbs/%ff/entries",
        "/v1/kbs/demo/entries/%e4%b8",
        "/v1/kbs/demo/entries/a%C0%AF",
        "/v1/jobs/%80",
        "/v1/kbs/demo/entries?q=%ff",
        "/v1/kbs/demo/entries?topic=%e9%80",
    ] {
        get(&app, path).await.problem(400, "broken-address");
    }
    // What is no escape is text.
    get(&app, "/v1/kbs/%zz/entries").await.problem(404, "unknown-kb");
    for (path, field) in [
        ("/v1/kbs/demo/entries?limit=x", Some("limit")),
        ("/v1/kbs/demo/entries?enabled=maybe", Some("enabled")),
        ("/v1/kbs/demo/entries?colour=1", Some("colour")),
        ("/v1/kbs/demo/entries?limit=1&limit=2", None),
        ("/v1/kbs/demo/export", None),
        ("/v1/kbs/demo/history?before=x", Some("before")),
    ] {
        let problem = get(&app, path).await.problem(422, "invalid-field");
        if let Some(field) = field {
            assert!(problem.to_string().contains(field), "{path}: {problem}");
        }
    }
    let json = [("content-type", "application/json")];
    let entry = json!({"question": "几点上班", "answer": "九点。"}).to_string();
    for (method, path) in [
        (Method::POST, "/v1/kbs/demo/entries?draft=xyz"),
        (Method::PUT, "/v1/kbs/demo/entries/x?draft=xyz"),
        (Method::PATCH, "/v1/kbs/demo/entries/x?draft=xyz"),
        (Method::DELETE, "/v1/kbs/demo/entries/x?draft=xyz"),
        (Method::POST, "/v1/kbs/demo/entries?draft=%ff"),
        (Method::POST, "/v1/kbs/demo/rule-test?draft=xyz"),
    ] {
        let got = sent(&app, method.clone(), path, &json, entry.clone().into_bytes()).await;
        let (status, slug) =
            if path.contains('%') { (400, "broken-address") } else { (422, "invalid-field") };
        got.problem(status, slug);
    }
}

#[tokio::test]
async fn what_is_too_long_to_look_for_is_refused_before_the_database_is_asked() {
    let app = router(server());
    let long = "退".repeat(20_000);
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    // A real address has at most 64 KiB.
    for (field, text) in [("q", "q".repeat(60_000)), ("topic", "%".repeat(1_001).replace('%', "%25"))] {
        let problem =
            get(&app, &format!("/v1/kbs/demo/entries?{field}={text}")).await.problem(422, "invalid-field");
        assert_eq!(problem["field"], field);
    }
    let got = get(&app, &format!("/v1/kbs/demo/entries?q={}", encoded(&"%".repeat(1_000)))).await;
    assert_eq!((got.status, &got.json()["items"]), (StatusCode::OK, &json!([])));
    // A name of 64 characters that no folder takes, and one of Chinese ones that it does.
    for (name, status) in [("𠀀".repeat(64), 422), ("问".repeat(64), 200)] {
        let path = format!("/v1/kbs/{}/import?format=jsonl&dry_run=true", encoded(&name));
        let line = "{\"question\":\"几点上班\",\"answer\":\"九点。\"}\n";
        let got =
            sent(&app, Method::POST, &path, &[("content-type", "application/octet-stream")], line.into())
                .await;
        assert_eq!(got.status.as_u16(), status, "{}", got.text());
    }
    let folder = tempfile::tempdir().expect("a folder");
    crate::http::publish(folder.path(), "demo", crate::support::SMALL_KB, None);
    let app = router(crate::http::server_over(folder.path(), admission()));
    for (id, topic, field) in [(&long[..], "题", "id"), ("x", &long[..], "topic")] {
        let entry = json!({"id": id, "question": "几点上班", "answer": "九点。", "topic": topic});
        let problem =
            crate::http::post(&app, "/v1/kbs/demo/entries", entry).await.problem(422, "invalid-entry");
        assert_eq!(problem["field"], field);
    }
}

#[tokio::test]
async fn a_text_that_nobody_sees_is_blank() {
    let app = router(server());
    for text in [
        "\u{200b}",
        "\u{feff}",
        "\u{200b}\u{200d} \u{2060}",
        "\u{ad}",
        "\u{fe0f}",
        "\u{202e}",
        "\u{2800}",
        "\u{3164}\n",
    ] {
        let problem = ask(&app, json!({"text": text})).await.problem(422, "blank-text");
        assert_eq!(problem["field"], "text", "{text:?}");
    }
    assert_eq!(
        ask(&app, json!({"text": "\u{200b}怎么开电子\u{200d}发票\u{feff}"})).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn pages_of_other_sites_may_ask_only_when_they_are_named() {
    let registry = || {
        let registry = Arc::new(Registry::new(crate::support::store(data()), None, MAX_WRONG, "demo"));
        registry.open_all().expect("everything opens");
        registry
    };
    let origins =
        ["https://shop.example", "http://localhost:3000"].map(|text| text.parse().expect("an origin"));
    let open = router(Server::open_to(registry(), admission(), origins.to_vec()));
    let closed = router(Server::new(registry(), admission()));
    let allowed = |got: &Got| got.header(header::ACCESS_CONTROL_ALLOW_ORIGIN).to_owned();
    for (app, origin, wanted) in [
        (&open, "https://shop.example", "https://shop.example"),
        (&open, "http://localhost:3000", "http://localhost:3000"),
        (&open, "https://evil.example", ""),
        (&closed, "https://shop.example", ""),
    ] {
        if wanted.is_empty() {
            // Without keys the page of another site is not answered at all, nor
            // is what its browser asks before.
            let preflight = [("origin", origin), ("access-control-request-method", "POST")];
            for got in [
                asked(app, &[("origin", origin)], QUESTION.into()).await,
                sent(app, Method::OPTIONS, "/v1/answer", &preflight, Vec::new()).await,
            ] {
                got.problem(403, "foreign-origin");
                assert_eq!(allowed(&got), "");
            }
            continue;
        }
        let got = asked(app, &[("origin", origin)], QUESTION.into()).await;
        assert_eq!((got.status, allowed(&got).as_str()), (StatusCode::OK, wanted), "{origin}");
        // A problem is read by the page too.
        let got = asked(app, &[("origin", origin)], b"{".to_vec()).await;
        got.problem(400, "broken-json");
        assert_eq!(allowed(&got), wanted);
        // What a browser asks before it sends JSON.
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ];
        let got = sent(app, Method::OPTIONS, "/v1/answer", &headers, Vec::new()).await;
        assert_eq!(allowed(&got), wanted);
        let may = got.header(header::ACCESS_CONTROL_ALLOW_HEADERS).to_owned();
        // What the API has pages send, and lets them read.
        for name in [
            "content-type",
            "authorization",
            "if-match",
            "idempotency-key",
            "zhida-min-release",
            "last-event-id",
        ] {
            assert!(may.contains(name), "{name}: {may}");
        }
        let got = asked(app, &[("origin", origin)], QUESTION.into()).await;
        let told = got.header(header::ACCESS_CONTROL_EXPOSE_HEADERS).to_owned();
        for name in ["etag", "location", "retry-after", "ratelimit", "x-request-id"] {
            assert!(told.contains(name), "{name}: {told}");
        }
    }
    let everybody = router(Server::open_to(registry(), admission(), vec!["*".parse().expect("all")]));
    let got = asked(&everybody, &[("origin", "https://any.example")], QUESTION.into()).await;
    assert_eq!(allowed(&got), "*");
}

#[tokio::test]
async fn metrics_are_what_they_declare() {
    let app = router(server());
    ask(&app, json!({"text": "怎么开电子发票"})).await;
    ask(&app, json!({"text": " "})).await;
    for (accept, declared, is_open) in [
        ("*/*", "text/plain; version=0.0.4", false),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", true),
    ] {
        let got = sent(&app, Method::GET, "/metrics", &[("accept", accept)], Vec::new()).await;
        assert!(got.header(header::CONTENT_TYPE).starts_with(declared), "{accept}");
        let text = got.text();
        assert_eq!(text.ends_with("# EOF\n"), is_open, "{text}");
        assert_eq!(text.matches("# EOF").count(), usize::from(is_open));
        let mut kinds = std::collections::BTreeMap::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a kind");
                assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
                kinds.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let sample = line.split(['{', ' ']).next().expect("a name");
                // In the plain format a counter is declared under the name of its sample.
                let endings: &[&str] = if is_open {
                    &["_total", "_bucket", "_sum", "_count", ""]
                } else {
                    &["_bucket", "_sum", "_count", ""]
                };
                let known = endings.iter().find_map(|ending| kinds.get(sample.strip_suffix(ending)?));
                assert!(known.is_some(), "{sample} is not declared in\n{text}");
            }
        }
        let counter = if is_open { "zhida_answers" } else { "zhida_answers_total" };
        assert_eq!(kinds.get(counter).map(String::as_str), Some("counter"), "{text}");
        assert!(text.contains("zhida_degraded{kb=\"demo\"} 0"), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_name_is_told_the_right_ones() {
    let app = router(server());
    for path in
        ["/v1/kbs/typo/entries", "/v1/kbs/typo/releases", "/v1/kbs/.x/goal", "/v1/kbs/typo/export?format=csv"]
    {
        let problem = get(&app, path).await.problem(404, "unknown-kb");
        assert_eq!(problem["known"], json!(["demo", "second"]), "{path}");
    }
    let problem: Value = ask(&app, json!({"text": "怎么退", "kb": "typo"})).await.problem(404, "unknown-kb");
    assert_eq!(problem["known"], json!(["demo", "second"]));
}

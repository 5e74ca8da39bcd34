//! Does a collector get spans of requests and stages, and no words of customers?

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::http::{Running, publish, serve};
use crate::receiver::{Answer, Receiver};
use crate::support::{SMALL_KB, run, stderr};

/// All spans that a collector got.
fn spans(receiver: &Receiver) -> Vec<Span> {
    let mut spans = Vec::new();
    for call in receiver.calls() {
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/v1/traces"));
        assert_eq!(call.header("content-type"), "application/x-protobuf");
        let request = ExportTraceServiceRequest::decode(&call.bytes[..]).expect("protobuf");
        for resource in request.resource_spans {
            let named = resource.resource.expect("a resource").attributes;
            assert!(named.iter().any(|one| one.key == "service.name"), "{named:?}");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

fn text(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|one| one.key == key);
    match found.and_then(|one| one.value.as_ref()?.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        other => panic!("{key}: {other:?} in {span:?}"),
    }
}

#[test]
fn a_collector_gets_requests_with_their_stages_and_no_words() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let collector = Receiver::start();
    let mut command = serve(folder.path(), "127.0.0.1:0");
    command.args(["--otlp", &collector.url]);
    let server = Running::of(command);
    let reply = server.ask("我想知道发票在哪里可以开呢");
    assert_eq!(server.get("/v1/kbs/demo/entries/nobody").0, 404);
    assert_eq!(server.stop().0, Some(0), "what is left goes out at the end");
    let spans = spans(&collector);
    let asked = spans.iter().find(|span| span.name == "POST /v1/answer").expect("the request's span");
    assert_eq!(text(asked, "http.route"), "/v1/answer");
    assert_eq!(text(asked, "http.response.status_code"), "200");
    assert_eq!(
        (text(asked, "zhida.kb"), text(asked, "zhida.trace_id")),
        ("demo".into(), reply["trace_id"].as_str().expect("one").to_owned())
    );
    assert_eq!(json!(text(asked, "zhida.decision")), reply["decision"]);
    let stages: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == asked.span_id).collect();
    let names: Vec<&str> = stages.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["text", "exact", "lexical"], "in lexical-only mode");
    for stage in stages {
        assert_eq!(stage.trace_id, asked.trace_id);
        assert!(stage.start_time_unix_nano < stage.end_time_unix_nano);
    }
    assert!(spans.iter().any(|span| span.name == "GET /v1/kbs/{kb}/entries/{id}"
        && text(span, "http.response.status_code") == "404"));
    let all = format!("{spans:?}");
    assert!(!all.contains("发票") && !all.contains("nobody"), "words of a customer are in {all}");
}

#[test]
fn a_collector_that_is_broken_or_hangs_costs_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    for answer in [Answer::Status(500), Answer::Hang] {
        let collector = Receiver::scripted(move |_| answer.clone());
        let mut command = serve(folder.path(), "127.0.0.1:0");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
        let server = Running::of(command);
        for _ in 0..20 {
            assert_eq!(server.ask("怎么开电子发票")["decision"], "answer");
        }
        let start = std::time::Instant::now();
        assert_eq!(server.stop().0, Some(0));
        assert!(start.elapsed() < std::time::Duration::from_secs(15), "{:?}", start.elapsed());
    }
    let mut command = serve(folder.path(), "127.0.0.1:0");
    command.args(["--otlp", "collector:4318"]);
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("http://collector:4318"), "{}", stderr(&output));
}

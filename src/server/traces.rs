//! Where did the time of a single request go?
//!
//! On request (`serve --otlp`) every request is a span and every stage of a question
//! one below it, sent to a collector as OTLP over HTTP. A span says what a metric
//! says, and the id of the request; never words of a customer. A collector that is
//! slow or away costs spans and nothing else: they wait in a line of limited length
//! and are sent from a thread of their own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::Request;
use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::engine::{Reply, Stages};
use crate::error::{Error, Result};

/// How long a collector may take for what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the last spans may take at the end of the process.
const FAREWELL: Duration = Duration::from_secs(3);

/// Where spans go.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Sends spans to a collector: `http://collector:4318`, or a whole address with
    /// its path.
    ///
    /// # Errors
    /// When that is no address.
    pub fn to(endpoint: &str) -> Result<Self> {
        let wrong = |e: &dyn std::fmt::Display| {
            Error::Refused(format!(
                "--otlp {endpoint}: {e}; it takes an address such as http://collector:4318"
            ))
        };
        let uri: axum::http::Uri = endpoint.parse().map_err(|e| wrong(&e))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(wrong(&"is no address"));
        }
        let whole = if uri.path() == "/" {
            format!("{}/v1/traces", endpoint.trim_end_matches('/'))
        } else {
            endpoint.to_owned()
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(whole)
            .with_timeout(PATIENCE)
            .build()
            .map_err(|e| wrong(&e))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("zhida").with_attribute(version).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer("zhida");
        Ok(Self { provider, tracer })
    }

    /// Begins the span of a request, below the one of whoever sent it (`traceparent`).
    pub(super) fn begin(&self, request: &Request, id: &str) -> Traced {
        let sender = TraceContextPropagator::new().extract(&Headers(request.headers()));
        let span = self
            .tracer
            .span_builder(request.method().as_str().to_owned())
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", request.method().as_str().to_owned()),
                KeyValue::new("zhida.request_id", id.to_owned()),
            ])
            .start_with_context(&self.tracer, &sender);
        Traced { tracer: self.tracer.clone(), context: Arc::new(Context::new().with_span(span)) }
    }

    /// Sends what is left; waits a little for it.
    pub(super) fn close(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FAREWELL) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// The span of a request; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    tracer: SdkTracer,
    context: Arc<Context>,
}

impl Traced {
    /// Adds a span for each stage of a question that was begun at a moment. Stages
    /// of several readings take turns; here each is one span, one after the other.
    pub(super) fn staged(&self, began: SystemTime, stages: &Stages) {
        let mut from = began;
        for (stage, took) in stages.taken() {
            let span = self.tracer.span_builder(stage).with_start_time(from);
            let span = span.start_with_context(&self.tracer, &self.context);
            from += took;
            Context::new().with_span(span).span().end_with_timestamp(from);
        }
    }

    /// Notes what was decided.
    pub(super) fn decided(&self, kb: &str, reply: &Reply) {
        self.context.span().set_attributes([
            KeyValue::new("zhida.kb", kb.to_owned()),
            KeyValue::new("zhida.release", reply.release.clone()),
            KeyValue::new("zhida.decision", reply.decision.name()),
            KeyValue::new("zhida.reason", reply.reason.name()),
            KeyValue::new("zhida.generation", i64::from(reply.generation)),
            KeyValue::new("zhida.trace_id", reply.trace_id.clone()),
        ]);
    }

    /// Ends the span of a request; `route` is the pattern that its path fits.
    pub(super) fn end(&self, method: &str, route: Option<&str>, status: u16) {
        let span = self.context.span();
        if let Some(route) = route {
            span.update_name(format!("{method} {route}"));
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// Sends with the client that everything else is fetched with; it blocks, and only
/// the thread of the spans waits.
#[derive(Debug)]
struct Sender(ureq::Agent);

impl Sender {
    fn new() -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        Self(config.into())
    }
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(
        &self,
        request: axum::http::Request<Bytes>,
    ) -> std::result::Result<axum::http::Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let response = self.0.run(axum::http::Request::from_parts(parts, body.to_vec()))?;
        let (parts, mut body) = response.into_parts();
        let bytes = body.with_config().limit(1 << 20).read_to_vec()?;
        Ok(axum::http::Response::from_parts(parts, bytes.into()))
    }
}

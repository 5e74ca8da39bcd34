//! What does the monitoring read?
//!
//! What happens is counted here; what is the case at the moment of reading is
//! gathered then ([`states`]). Names end in what they count (`_total`,
//! `_seconds`, `_bytes`), as Prometheus has it. No label holds what a client
//! chooses: knowledge bases, tenants and models are the operator's, reasons and
//! routes are ours. All tenants are in it, so it is for the operator alone.

mod form;
mod process;
mod states;

pub(super) use form::Form;
pub(super) use process::most_files;

use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Registered;

use super::Server;
use super::error::Kind;
use crate::engine::{Reply, STAGES, Stages};
use crate::error::{Error, Result};

/// Seconds; from an exact match to beyond the deadline.
const ANSWERED: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Seconds; from a look-up to a long text in the encoder.
const STAGE: [f64; 13] =
    [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Seconds; from a probe to an import.
const REQUEST: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    kb: String,
    decision: &'static str,
    reason: &'static str,
    generation: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejected {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Requested {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// What one server has counted.
pub(super) struct Metrics {
    registered: Registered,
    answers: Family<Answered, Counter>,
    rejected: Family<Rejected, Counter>,
    seconds: Histogram,
    stages: Family<Stage, Histogram>,
    requests: Family<Requested, Counter>,
    request_seconds: Family<Route, Histogram>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registered = Registered::with_prefix("zhida");
        let answers = Family::default();
        let rejected = Family::<Rejected, Counter>::default();
        let seconds = Histogram::new(ANSWERED);
        let stages = Family::<Stage, Histogram>::new_with_constructor(|| Histogram::new(STAGE));
        let requests = Family::default();
        let request_seconds = Family::<Route, Histogram>::new_with_constructor(|| Histogram::new(REQUEST));
        registered.register("answers", "Decisions given", answers.clone());
        registered.register(
            "rejected",
            "Requests and batch items that got a problem document",
            rejected.clone(),
        );
        registered.register(
            "answer_seconds",
            "Time from request to reply of one question, waiting included",
            seconds.clone(),
        );
        registered.register(
            "stage_seconds",
            "Time that a stage took for one question, over all its readings",
            stages.clone(),
        );
        registered.register("http_requests", "Requests by what they got", requests.clone());
        registered.register(
            "http_request_seconds",
            "Time from the head of a request to the head of its response",
            request_seconds.clone(),
        );
        // What has not happened yet is seen too: the first time is a change like any other.
        for kind in Kind::ALL {
            drop(rejected.get_or_create(&Rejected { reason: kind.slug() }));
        }
        for stage in STAGES {
            drop(stages.get_or_create(&Stage { stage }));
        }
        Self { registered, answers, rejected, seconds, stages, requests, request_seconds }
    }

    pub(super) fn answered(&self, kb: &str, reply: &Reply, took: Duration) {
        let labels = Answered {
            kb: kb.to_owned(),
            decision: reply.decision.name(),
            reason: reply.reason.name(),
            generation: reply.generation,
        };
        self.answers.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn stages(&self, stages: &Stages) {
        for (stage, took) in stages.taken() {
            self.stages.get_or_create(&Stage { stage }).observe(took.as_secs_f64());
        }
    }

    pub(super) fn rejected(&self, kind: Kind) {
        self.rejected.get_or_create(&Rejected { reason: kind.slug() }).inc();
    }

    /// Counts a request; `route` is the pattern that its path fits, if any does.
    pub(super) fn requested(&self, method: &Method, route: Option<&str>, status: u16, took: Duration) {
        let route = route.unwrap_or("none").to_owned();
        let labels = Requested { method: known(method), route: route.clone(), status };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }

    /// The text of all metrics. Reads what the disk knows: not for an async thread.
    pub(super) fn text(&self, form: Form, server: &Server) -> Result<String> {
        let failed = |e: std::fmt::Error| Error::internal("metrics", e);
        let mut text = String::new();
        encode_registry(&mut text, &self.registered).map_err(failed)?;
        encode_registry(&mut text, &states::gathered(server)).map_err(failed)?;
        encode_registry(&mut text, &process::gathered()).map_err(failed)?;
        encode_eof(&mut text).map_err(failed)?;
        Ok(form.of(text))
    }
}

/// A method that we serve, by name; clients may send any other word.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

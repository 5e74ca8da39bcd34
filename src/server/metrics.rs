//! What does the monitoring read?

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Registered;

use super::error::Kind;
use super::registry::View;
use crate::engine::Reply;

/// Seconds; from an exact match to the deadline.
const BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    kb: String,
    decision: &'static str,
    generation: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejected {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    kb: String,
}

/// The numbers of one server.
pub(super) struct Metrics {
    registered: Registered,
    answers: Family<Answered, Counter>,
    rejected: Family<Rejected, Counter>,
    seconds: Histogram,
    in_flight: Gauge,
    release: Family<Of, Gauge>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registered = Registered::with_prefix("zhida");
        let answers = Family::default();
        let rejected = Family::default();
        let seconds = Histogram::new(BUCKETS);
        let in_flight = Gauge::default();
        let release = Family::default();
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
        registered.register("in_flight", "Requests being worked on", in_flight.clone());
        registered.register("release", "Number of the release that is served", release.clone());
        Self { registered, answers, rejected, seconds, in_flight, release }
    }

    pub(super) fn answered(&self, reply: &Reply, took: Duration) {
        let labels =
            Answered { kb: reply.kb.clone(), decision: reply.decision, generation: reply.generation };
        self.answers.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn rejected(&self, kind: Kind) {
        self.rejected.get_or_create(&Rejected { reason: kind.slug() }).inc();
    }

    /// The text of all metrics, in a form that readers of Prometheus' text
    /// format and of OpenMetrics both understand.
    pub(super) fn text(&self, in_flight: usize, view: &View) -> Result<String, std::fmt::Error> {
        self.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        // Knowledge bases come and go; what is no longer served is not shown.
        self.release.clear();
        for (kb, engine) in view.engines() {
            let number = engine.release().manifest().number;
            self.release.get_or_create(&Of { kb: kb.to_owned() }).set(i64::from(number));
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registered)?;
        Ok(text)
    }
}

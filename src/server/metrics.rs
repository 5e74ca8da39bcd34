//! What does the monitoring read?

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Registered;

use super::admission::Admission;
use super::error::Kind;
use super::registry::View;
use crate::engine::Reply;
use crate::events::Health;

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
    waiting: Gauge,
    release: Family<Of, Gauge>,
    degraded: Family<Of, Gauge>,
    events_lost: Gauge,
    events_failing: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registered = Registered::with_prefix("zhida");
        let answers = Family::default();
        let rejected = Family::default();
        let seconds = Histogram::new(BUCKETS);
        let in_flight = Gauge::default();
        let waiting = Gauge::default();
        let (release, degraded) = (Family::default(), Family::default());
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
        registered.register("waiting", "Requests waiting for their turn", waiting.clone());
        registered.register("release", "Number of the release that is served", release.clone());
        registered.register(
            "degraded",
            "Whether another release than the one that should be is served, or none",
            degraded.clone(),
        );
        let (events_lost, events_failing) = (Gauge::default(), Gauge::default());
        registered.register(
            "events_lost",
            "Events that could not be stored since the start",
            events_lost.clone(),
        );
        registered.register("events_failing", "Whether events cannot be stored now", events_failing.clone());
        Self {
            events_lost,
            events_failing,
            registered,
            answers,
            rejected,
            seconds,
            in_flight,
            waiting,
            release,
            degraded,
        }
    }

    pub(super) fn answered(&self, kb: &str, reply: &Reply, took: Duration) {
        let labels =
            Answered { kb: kb.to_owned(), decision: reply.decision.name(), generation: reply.generation };
        self.answers.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn rejected(&self, kind: Kind) {
        self.rejected.get_or_create(&Rejected { reason: kind.slug() }).inc();
    }

    /// The text of all metrics.
    pub(super) fn text(
        &self,
        form: Form,
        admission: &Admission,
        view: &View,
        events: &Health,
    ) -> Result<String, std::fmt::Error> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.in_flight.set(number(admission.in_flight()));
        self.waiting.set(number(admission.waiting()));
        self.events_lost.set(i64::try_from(events.lost).unwrap_or(i64::MAX));
        self.events_failing.set(i64::from(events.trouble().is_some()));
        // Knowledge bases come and go; what is no longer served is not shown.
        self.release.clear();
        for (kb, engine) in view.engines() {
            let number = engine.release().manifest().number;
            self.release.get_or_create(&Of { kb: kb.to_owned() }).set(i64::from(number));
        }
        self.degraded.clear();
        for (kb, _) in view.engines() {
            self.degraded.get_or_create(&Of { kb: kb.to_owned() }).set(0);
        }
        for kb in view.degraded() {
            self.degraded.get_or_create(&Of { kb: kb.to_owned() }).set(1);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registered)?;
        Ok(match form {
            Form::OpenMetrics => text,
            Form::Prometheus => prometheus(&text),
        })
    }
}

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own text format.
    Prometheus,
}

impl Form {
    /// The one that a client asks for in `Accept`; Prometheus' own for who asks
    /// for nothing.
    pub(super) fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// What it declares itself to be.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// OpenMetrics as Prometheus' text format: there a counter is described under
/// the name of its sample, and nothing marks the end.
fn prometheus(open: &str) -> String {
    let counters: Vec<&str> =
        open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines().filter(|line| *line != "# EOF") {
        let described =
            ["# HELP ", "# TYPE "].iter().find_map(|mark| Some((*mark, line.strip_prefix(mark)?)));
        match described.and_then(|(mark, rest)| Some((mark, rest.split_once(' ')?))) {
            Some((mark, (name, rest))) if counters.contains(&name) => {
                text.extend([mark, name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

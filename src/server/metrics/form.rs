//! In which of the two text formats are metrics written?

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own text format.
    Prometheus,
}

impl Form {
    /// The one that a client asks for in `Accept`; Prometheus' own for who asks
    /// for nothing.
    pub(in crate::server) fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// What it declares itself to be.
    pub(in crate::server) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Form {
    /// What was written as OpenMetrics, in this form.
    pub(super) fn of(self, open: String) -> String {
        match self {
            Self::OpenMetrics => open,
            Self::Prometheus => prometheus(&open),
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

//! Which events are read, and what does reading come upon?

use super::day::Days;
use super::record::{Event, Kind};

/// Which events are read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// When they happened.
    pub days: Days,
    /// Of one knowledge base only.
    pub kb: Option<&'a str>,
    /// Of these kinds only; empty for all.
    pub kinds: &'a [Kind],
    /// Whether `text`, `normalized` and `comment` are needed; reading Parquet files is faster without.
    pub texts: bool,
    /// Whether `candidates` are.
    pub candidates: bool,
}

impl Wanted<'_> {
    /// All events of some days.
    pub fn all(days: Days) -> Self {
        Self { days, kb: None, kinds: &[], texts: true, candidates: true }
    }

    /// Whether an event is one of them.
    pub(super) fn takes(&self, event: &Event) -> bool {
        self.days.hold(event.at)
            && self.kb.is_none_or(|kb| event.kb == kb || event.kind == Kind::Lost)
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
    }
}

/// What reading came upon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Events given out.
    pub events: u64,
    /// Lines that were torn or damaged, and passed over.
    pub damaged: u64,
    /// Nodes whose events are not among them: they could not be asked, or broke off.
    pub missing: Vec<String>,
}

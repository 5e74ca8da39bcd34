//! How long did the stages of a question take?

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The stages in their order.
pub const STAGES: [&str; 5] = ["text", "exact", "lexical", "encoder", "semantic"];

/// Gathers the time that each stage takes, over all readings and clauses of a
/// message. A stage that did not run has none.
#[derive(Debug, Default)]
pub struct Stages([AtomicU64; STAGES.len()]);

impl Stages {
    /// Adds to a stage's time.
    pub(super) fn add(&self, stage: &str, micros: u64) {
        if let Some(at) = STAGES.iter().position(|known| *known == stage) {
            // One more than none: a stage that took no time has run.
            self.0[at].fetch_add(micros.max(1), Ordering::Relaxed);
        }
    }

    /// The stages that ran with the time that each took, in their order.
    pub fn taken(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let taken = STAGES.into_iter().zip(&self.0);
        taken.filter_map(|(stage, micros)| {
            let micros = micros.load(Ordering::Relaxed);
            (micros > 0).then(|| (stage, Duration::from_micros(micros)))
        })
    }
}

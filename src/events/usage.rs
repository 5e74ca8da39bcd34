//! How much was asked, for an invoice?
//!
//! Every decision that was acknowledged counts once, small talk and batches
//! included: exact after `kill -9`, because an event is stored before its reply
//! goes out.

use serde::Serialize;

use super::day::Days;
use super::log::Log;
use super::tally::Tally;
use super::wanted::Wanted;
use crate::error::{Error, Result};
use crate::kb::formats::guarded;

/// Questions of one day, knowledge base, channel and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = UsageRow)]
pub struct Row {
    /// The day, +08:00.
    pub day: String,
    /// The knowledge base.
    pub kb: String,
    /// The channel; empty where none was said.
    pub channel: String,
    /// The key's id; empty where none was needed.
    pub key: String,
    /// Messages that were decided on.
    pub questions: u64,
    /// Of them: answered.
    pub answered: u64,
}

/// What was asked in some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Usage {
    /// The first day.
    pub from: String,
    /// The last.
    pub to: String,
    /// Messages that were decided on.
    pub questions: u64,
    /// By day, knowledge base, channel and key, in that order.
    pub items: Vec<Row>,
    /// Decisions that could not be stored, and are in no row.
    pub lost: u64,
    /// Nodes that vanished within the last day and are not back: what they were asked in
    /// their last second may be in no row until they are.
    pub missing_nodes: Vec<String>,
}

/// Counts what was asked in some days in one folder; of one knowledge base, or of all.
///
/// # Errors
/// When a file cannot be read.
pub fn tallied(log: &Log, days: Days, kb: Option<&str>) -> Result<Tally> {
    let mut tally = Tally::default();
    let wanted = Wanted { days, kb, kinds: &Tally::KINDS, texts: false, candidates: false };
    log.read(&wanted, |event| tally.add(&event))?;
    Ok(tally)
}

impl Usage {
    /// What was counted in some days, as rows.
    pub fn of(days: Days, tally: &Tally, missing_nodes: Vec<String>) -> Self {
        let lost = tally.rows().map(|(_, count)| count.lost).sum();
        let items: Vec<Row> = tally
            .rows()
            .filter(|(_, count)| count.questions > 0)
            .map(|(cell, count)| Row {
                day: cell.day.to_string(),
                kb: cell.kb.clone(),
                channel: cell.channel.clone(),
                key: cell.key.clone(),
                questions: count.questions,
                answered: count.answered,
            })
            .collect();
        let questions = items.iter().map(|row| row.questions).sum();
        Self { from: days.from.to_string(), to: days.to.to_string(), questions, items, lost, missing_nodes }
    }
}

impl Usage {
    /// The rows as CSV.
    ///
    /// # Errors
    /// When they cannot be written, which is a defect of zhida.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut out = csv::Writer::from_writer(Vec::new());
        for row in &self.items {
            // Whoever asks may name a channel as they like.
            let shown = Row { kb: guarded(&row.kb), channel: guarded(&row.channel), ..row.clone() };
            out.serialize(shown).map_err(|e| Error::internal("usage", e))?;
        }
        out.into_inner().map_err(|e| Error::internal("usage", e))
    }
}

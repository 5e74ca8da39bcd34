//! How is an evaluation told?
//!
//! A [`Report`] is one run of `zhida eval`; [`json`] is for programs,
//! [`markdown`] for a terminal or a merge request, [`html`] for a browser. All
//! three say the same numbers; [`table`] and [`findings`] prepare what the
//! last two share.

pub mod findings;
pub mod html;
pub mod json;
pub mod markdown;
pub mod plots;
pub mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use super::compare::Comparison;
use super::metrics::Metrics;
use super::run::Prediction;
use super::tune::Choice;
use crate::kb::{Entry, EntryId};

/// One run over one query set.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The version of zhida.
    pub zhida: String,
    /// When it was run, RFC 3339.
    pub created: String,
    /// The knowledge base.
    pub kb: String,
    /// Its entries.
    pub entries: usize,
    /// Its release; `0` when it was asked straight from a file.
    pub release: String,
    /// The model; `None` in lexical-only mode.
    pub model: Option<String>,
    /// The goal: at most this share wrong among the answered.
    pub max_wrong: f64,
    /// What was asked.
    pub queries: QuerySet,
    /// What each generation gave, in order.
    pub generations: Vec<GenerationReport>,
    /// What flipped since a baseline.
    pub baseline: Option<Comparison>,
    /// The standard questions of the entries that the report speaks of.
    pub questions: BTreeMap<EntryId, String>,
}

/// A query set as the report names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuerySet {
    /// The file.
    pub file: String,
    /// How many questions.
    pub n: usize,
    /// [`super::compare::fingerprint`].
    pub sha256: String,
}

/// What one generation gave.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationReport {
    /// 1 or 2.
    pub number: u8,
    /// The goal and the bar that was to keep it, as the engine says.
    pub policy: serde_json::Value,
    /// One per question, in the order of the query set.
    pub predictions: Vec<Prediction>,
    /// Over all questions.
    pub overall: Metrics,
    /// Per tag.
    pub by_tag: BTreeMap<String, Metrics>,
    /// What other goals would give; empty unless that was asked for.
    pub trade_off: Vec<Choice>,
}

impl GenerationReport {
    /// Adds up a run.
    pub fn new(number: u8, policy: serde_json::Value, predictions: Vec<Prediction>) -> Self {
        let overall = Metrics::of(&predictions);
        let by_tag = Metrics::by_tag(&predictions);
        Self { number, policy, predictions, overall, by_tag, trade_off: Vec::new() }
    }

    /// Whether the goal was kept.
    pub fn goal(&self, max_wrong: f64) -> Goal {
        match self.overall.wrong_rate {
            None => Goal::Silent,
            Some(rate) if rate.value <= max_wrong => Goal::Kept,
            Some(rate) if rate.low <= max_wrong => Goal::WithinInterval,
            Some(_) => Goal::Broken,
        }
    }
}

/// Whether the share wrong kept its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Nothing was answered.
    Silent,
    /// The share itself is within the goal.
    Kept,
    /// The share is not, but so few questions cannot tell.
    WithinInterval,
    /// The whole interval is beyond the goal.
    Broken,
}

impl Goal {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "nothing answered",
            Self::Kept => "kept",
            Self::WithinInterval => "missed, within the interval",
            Self::Broken => "broken",
        }
    }

    fn chinese(self) -> &'static str {
        match self {
            Self::Silent => "没有作答",
            Self::Kept => "已达到",
            Self::WithinInterval => "略超，但在误差范围内",
            Self::Broken => "未达到",
        }
    }
}

impl Report {
    /// Takes the standard questions of entries along.
    pub fn questions_of(entries: &[Entry]) -> BTreeMap<EntryId, String> {
        entries.iter().map(|entry| (entry.id.clone(), entry.question.clone())).collect()
    }

    /// An entry's standard question.
    fn question(&self, id: &EntryId) -> &str {
        self.questions.get(id).map_or("", String::as_str)
    }

    /// One sentence per generation for whoever runs the desk.
    pub fn summary_zh(&self) -> Vec<String> {
        let percent = |estimate: Option<super::metrics::Estimate>| {
            estimate.map_or("—".to_owned(), |e| {
                format!("{:.1}%（95% 区间 {:.1}–{:.1}%）", e.value * 100.0, e.low * 100.0, e.high * 100.0)
            })
        };
        self.generations
            .iter()
            .map(|generation| {
                let m = &generation.overall;
                format!(
                    "第 {} 代：{} 个问题中直接回答 {} 个，答对率 {}；知识库能答的问题答对了 {}；知识库之外的问题误答 {}。目标“错答不超过 {:.1}%”：{}。",
                    generation.number,
                    m.n,
                    m.answered,
                    percent(m.precision),
                    percent(m.coverage),
                    percent(m.false_answer_rate),
                    self.max_wrong * 100.0,
                    generation.goal(self.max_wrong).chinese(),
                )
            })
            .collect()
    }
}

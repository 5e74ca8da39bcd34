//! What does the engine say to every question?

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::dataset::{Expect, LabelledQuery};
use crate::decide::Decision;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::kb::EntryId;

/// One line of a predictions file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// What the customer typed.
    pub text: String,
    /// What is right.
    pub expect: Expect,
    /// What the engine did.
    pub decision: Decision,
    /// Why, as a code.
    pub reason: String,
    /// The best candidate, whatever the decision.
    pub entry: Option<EntryId>,
    /// The probability that it is right.
    pub confidence: f64,
    /// At most ten, best first.
    pub candidates: Vec<PredictedEntry>,
    /// Time from text to decision, in microseconds.
    pub micros: u64,
    /// The question's groups.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The generation that decided, 1 or 2.
    pub generation: u8,
    /// How many of the candidates the customer was offered to choose from.
    #[serde(default)]
    pub offered: usize,
}

/// A candidate with its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictedEntry {
    /// The entry's id.
    pub entry: EntryId,
    /// The probability that it is right.
    pub confidence: f64,
}

/// Asks every question on all cores; the predictions stand in the order of
/// the questions. `progress` hears how many are done.
pub fn predict(
    engine: &Engine,
    queries: &[LabelledQuery],
    options: Options,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Prediction>> {
    let done = AtomicUsize::new(0);
    queries
        .par_iter()
        .map(|query| {
            let prediction = one(engine, query, options);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            prediction
        })
        .collect()
}

fn one(engine: &Engine, query: &LabelledQuery, options: Options) -> Result<Prediction> {
    let mut prediction = Prediction {
        text: query.text.clone(),
        expect: query.expect.clone(),
        decision: Decision::Handoff,
        reason: "invalid_text".to_owned(),
        entry: None,
        confidence: 0.0,
        candidates: Vec::new(),
        micros: 0,
        tags: query.tags.clone(),
        generation: 1,
        offered: 0,
    };
    let outcome = match engine.answer(&query.text, options) {
        Ok(outcome) => outcome,
        // A server refuses such a text; no answer is given, a person takes it.
        Err(Error::Question(_)) => return Ok(prediction),
        Err(e) => return Err(e),
    };
    let entries = engine.release().entries();
    prediction.decision = outcome.decision;
    prediction.reason = outcome.reason.name().to_owned();
    prediction.candidates = outcome
        .candidates
        .iter()
        .map(|scored| PredictedEntry {
            entry: entries[scored.entry].id.clone(),
            confidence: scored.confidence.value(),
        })
        .collect();
    prediction.entry = prediction.candidates.first().map(|best| best.entry.clone());
    prediction.confidence = outcome.confidence().value();
    prediction.micros = outcome.micros;
    prediction.generation = outcome.generation.number();
    prediction.offered = outcome.offered.min(prediction.candidates.len());
    Ok(prediction)
}

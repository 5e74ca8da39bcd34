//! What did every stage see?
//!
//! `zhida eval --evidence` writes one JSON line per question; this reads them
//! back, for those who study calibration: `zhida reference` and
//! `zhida eval thresholds`.

use std::path::Path;

use serde::Deserialize;

use super::dataset::Expect;
use super::lines::Lines;
use crate::decide::Decision;
use crate::decide::evidence::Evidence;
use crate::error::Result;
use crate::kb::EntryId;

/// A question with what is right and what every stage saw.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// What the customer typed.
    pub text: String,
    /// What is right.
    pub expect: Expect,
    /// `None` for a text that is no question.
    pub trace: Option<Seen>,
}

/// The parts of [`crate::engine::Trace`] that are read back.
#[derive(Debug, Deserialize)]
pub struct Seen {
    /// Set when an entry claimed the question outright.
    pub exact: Option<serde::de::IgnoredAny>,
    /// BM25's candidates, best first.
    pub lexical: Vec<Hit>,
    /// The encoder's candidates, best first.
    pub semantic: Vec<Hit>,
    /// What generation 1 alone would say.
    pub generation1: Verdict,
    /// The confidence from which on generation 1 answers before the encoder has run.
    pub exit: f64,
    /// What generation 2 would say.
    pub generation2: Verdict,
}

/// An entry with the score of one matcher.
#[derive(Debug, Deserialize)]
pub struct Hit {
    /// The entry.
    pub entry: EntryId,
    /// The matcher's own score.
    pub score: f64,
}

/// What one generation would say.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    /// What it would do; `None` when the generation is not there.
    #[serde(deserialize_with = "decision")]
    pub decision: Option<Decision>,
    /// The entries, best first.
    pub candidates: Vec<Scored>,
    /// What speaks for the first of them.
    pub evidence: Option<Evidence>,
}

/// An entry with its probability.
#[derive(Debug, Deserialize)]
pub struct Scored {
    /// The entry.
    pub entry: EntryId,
    /// The probability that it is right.
    pub confidence: f64,
}

/// The empty word stands for no decision.
fn decision<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<Decision>, D::Error> {
    use serde::de::{Error, IntoDeserializer};
    let word = String::deserialize(from)?;
    if word.is_empty() {
        return Ok(None);
    }
    let word: serde::de::value::StrDeserializer<'_, D::Error> = word.as_str().into_deserializer();
    Decision::deserialize(word).map(Some).map_err(D::Error::custom)
}

/// Reads a file of evidence.
///
/// # Errors
/// [`crate::error::Error::Corpus`] naming the first line that is none.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    Lines::read(path)?.json("不是 `zhida eval --evidence` 写出的内容")
}

//! What flipped since the last report?
//!
//! Two runs over the same questions are compared question by question, which
//! sees far smaller changes than two intervals side by side: McNemar's exact
//! test (McNemar 1947) looks only at the questions that changed, and asks
//! whether as lopsided a change could be chance.
//!
//! A *regression* is, in any generation that both runs hold, fewer questions
//! answered right or more answered wrong, with p < [`SIGNIFICANT`]. That is
//! the same as a 95 % interval of the difference that leaves out zero: six
//! changes for the worse and none for the better are enough, five are not.
//! Two generations and two counts make four tests, so of the runs that changed
//! nothing but luck up to one in five may be stopped; as answers are
//! deterministic, a run that changed nothing at all never is.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::dataset::LabelledQuery;
use super::metrics::Verdict;
use super::run::Prediction;
use crate::decide::Decision;
use crate::error::{Error, Result};
use crate::kb::EntryId;

/// A change is beyond chance when it would come about by chance more rarely.
pub const SIGNIFICANT: f64 = 0.05;

/// What a run did with one question: decision, best entry, confidence. Written
/// as an array, because a report holds one per question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deed(pub Decision, pub Option<EntryId>, pub f64);

impl Deed {
    /// The part of a prediction that a later run compares itself with.
    pub fn of(prediction: &Prediction) -> Self {
        Self(prediction.decision, prediction.entry.clone(), prediction.confidence)
    }
}

/// The digest of a query set's texts and labels, in order. Tags do not count:
/// a new tag changes no outcome.
pub fn fingerprint(queries: &[LabelledQuery]) -> Result<String> {
    let mut digest = Sha256::new();
    for query in queries {
        let line =
            serde_json::to_vec(&(&query.text, &query.expect)).map_err(|e| Error::internal("eval", e))?;
        digest.update(line);
        digest.update(b"\n");
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The parts of an earlier `report.json` that a comparison needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Baseline {
    /// When it was made.
    pub created: String,
    /// The knowledge base that was asked.
    pub kb: String,
    /// Its release.
    pub release: String,
    /// The model; `None` in lexical-only mode.
    pub model: Option<String>,
    /// The goal.
    pub max_wrong: f64,
    queries: Asked,
    /// What each generation did, in the order of the query set.
    outcomes: BTreeMap<u8, Vec<Deed>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Asked {
    file: String,
    n: usize,
    sha256: String,
}

impl Baseline {
    /// Reads a report.
    ///
    /// # Errors
    /// When the file cannot be read, or is no report of `zhida eval`.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Error::Refused(format!(
                "{}: not a report.json that `zhida eval` can compare with ({e}); make one with `zhida eval … --out DIR` and name DIR/report.json",
                path.display()
            ))
        })
    }

    /// Checks that the same questions were asked.
    ///
    /// # Errors
    /// [`Error::Refused`] with both query sets.
    pub fn check(&self, path: &Path, queries: &[LabelledQuery]) -> Result<()> {
        let sha256 = fingerprint(queries)?;
        if self.queries.sha256 == sha256 {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "{}: was made with another query set ({}, {} questions, SHA-256 {}; now {} questions, SHA-256 {sha256}); only runs over the same texts and labels can be compared: run the old release over this query set first",
            path.display(),
            self.queries.file,
            self.queries.n,
            self.queries.sha256,
            queries.len(),
        )))
    }
}

/// A question whose outcome is another one now; a line of `flips.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flip {
    /// The generation.
    pub generation: u8,
    /// `right_to_wrong`, `handoff_to_right`, and so on.
    pub flip: String,
    /// What the customer typed.
    pub text: String,
    /// What is right.
    pub expect: super::dataset::Expect,
    /// The question's groups.
    pub tags: Vec<String>,
    /// What the baseline did.
    pub before: Told,
    /// What this run did.
    pub after: Told,
}

/// One side of a flip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// The decision.
    pub decision: Decision,
    /// The best candidate.
    pub entry: Option<EntryId>,
    /// The probability that it is right.
    pub confidence: f64,
}

impl From<&Deed> for Told {
    fn from(Deed(decision, entry, confidence): &Deed) -> Self {
        Self { decision: *decision, entry: entry.clone(), confidence: *confidence }
    }
}

/// A paired comparison of a property that a question has or lacks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Questions that had it before.
    pub before: usize,
    /// Questions that have it now.
    pub after: usize,
    /// Questions that have it only now.
    pub gained: usize,
    /// Questions that had it only before.
    pub lost: usize,
    /// The two-sided p-value of McNemar's exact test.
    pub p: f64,
}

impl Paired {
    /// Counts questions, each with whether it had the property before and has
    /// it now.
    pub fn new(pairs: impl Iterator<Item = (bool, bool)>) -> Self {
        let mut paired = Self { before: 0, after: 0, gained: 0, lost: 0, p: 1.0 };
        for (before, after) in pairs {
            paired.before += usize::from(before);
            paired.after += usize::from(after);
            paired.gained += usize::from(after && !before);
            paired.lost += usize::from(before && !after);
        }
        paired.p = mcnemar(paired.gained, paired.lost);
        paired
    }
}

/// What changed in one generation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Questions answered right.
    pub right: Paired,
    /// Questions answered wrong, inside or outside.
    pub wrong: Paired,
    /// How many flips of each kind.
    pub flips: BTreeMap<String, usize>,
    /// Fewer right or more wrong, beyond chance.
    pub regressed: bool,
}

/// A run beside its baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The baseline's file.
    pub file: String,
    /// When it was made.
    pub created: String,
    /// Its knowledge base.
    pub kb: String,
    /// Its release.
    pub release: String,
    /// Its model.
    pub model: Option<String>,
    /// Its goal.
    pub max_wrong: f64,
    /// Any generation regressed.
    pub regressed: bool,
    /// What changed, per generation that both ran.
    pub generations: BTreeMap<u8, Change>,
}

/// Compares runs, given with their generation's number, with a baseline that
/// was [checked](Baseline::check). The flips stand by generation, then in the
/// order of the query set.
///
/// # Errors
/// When no generation was run both times.
pub fn compare(
    path: &Path,
    baseline: &Baseline,
    runs: &[(u8, &[Prediction])],
) -> Result<(Comparison, Vec<Flip>)> {
    let (mut generations, mut flips) = (BTreeMap::new(), Vec::new());
    for &(number, predictions) in runs {
        let Some(before) = baseline.outcomes.get(&number) else { continue };
        if before.len() != predictions.len() {
            return Err(Error::Refused(format!(
                "{}: holds {} outcomes of generation {number} for {} questions; the file is damaged, make it again",
                path.display(),
                before.len(),
                predictions.len()
            )));
        }
        let (change, flipped) = changes(number, before, predictions);
        flips.extend(flipped);
        generations.insert(number, change);
    }
    if generations.is_empty() {
        let known: Vec<String> = baseline.outcomes.keys().map(u8::to_string).collect();
        return Err(Error::Refused(format!(
            "{}: holds generation {}, which this run leaves out; choose it with `--generation`",
            path.display(),
            known.join(" and ")
        )));
    }
    let comparison = Comparison {
        file: path.display().to_string(),
        created: baseline.created.clone(),
        kb: baseline.kb.clone(),
        release: baseline.release.clone(),
        model: baseline.model.clone(),
        max_wrong: baseline.max_wrong,
        regressed: generations.values().any(|change: &Change| change.regressed),
        generations,
    };
    Ok((comparison, flips))
}

/// What changed from one run of a generation to another one over the same
/// questions, with the questions whose outcome is another one.
pub fn changes(number: u8, before: &[Deed], predictions: &[Prediction]) -> (Change, Vec<Flip>) {
    let pairs: Vec<(Verdict, Verdict)> = before
        .iter()
        .zip(predictions)
        .map(|(Deed(decision, entry, _), now)| {
            (Verdict::new(&now.expect, *decision, entry.as_ref()), Verdict::of(now))
        })
        .collect();
    let paired = |wanted: Verdict| Paired::new(pairs.iter().map(|(a, b)| (*a == wanted, *b == wanted)));
    let (right, wrong) = (paired(Verdict::Right), paired(Verdict::Wrong));
    let regressed = (right.lost > right.gained && right.p < SIGNIFICANT)
        || (wrong.gained > wrong.lost && wrong.p < SIGNIFICANT);
    let mut kinds = BTreeMap::new();
    let mut flips = Vec::new();
    for ((deed, now), (was, is)) in before.iter().zip(predictions).zip(&pairs) {
        if was == is {
            continue;
        }
        let flip = format!("{}_to_{}", was.name(), is.name());
        *kinds.entry(flip.clone()).or_insert(0) += 1;
        flips.push(Flip {
            generation: number,
            flip,
            text: now.text.clone(),
            expect: now.expect.clone(),
            tags: now.tags.clone(),
            before: deed.into(),
            after: (&Deed::of(now)).into(),
        });
    }
    (Change { right, wrong, flips: kinds, regressed }, flips)
}

/// The chance, two-sided, that `gained + lost` fair coins fall as lopsidedly.
fn mcnemar(gained: usize, lost: usize) -> f64 {
    let n = gained + lost;
    // In logarithms: 2^-n is no number any more from n = 1075 on.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for i in 0..gained.min(lost) {
        log_term += ((n - i) as f64).ln() - ((i + 1) as f64).ln();
        sum += log_term.exp();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_by_hand() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(mcnemar(0, 0), 1.0);
        near(mcnemar(3, 3), 1.0);
        near(mcnemar(0, 5), 2.0 / 32.0);
        near(mcnemar(6, 0), 2.0 / 64.0);
        near(mcnemar(1, 7), 2.0 * (1.0 + 8.0) / 256.0);
        assert!(mcnemar(1000, 1400) < 1e-10, "no underflow to a wrong answer");
        assert!((mcnemar(1500, 1510) - 1.0).abs() < 0.2);
    }
}

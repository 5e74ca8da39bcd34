//! What did labelled questions look like elsewhere?
//!
//! Makes the shipped calibration reference ([`Reference`]) from the evidence
//! that `zhida eval --evidence` writes. Only numbers go into it, no text.

use std::path::Path;

use serde::Deserialize;

use crate::decide::Generation;
use crate::decide::calibrate::{LISTED, Reference};
use crate::decide::evidence::{Evidence, FEATURES};
use crate::error::{Error, Problem, Result};
use crate::eval::dataset::Expect;
use crate::kb::EntryId;

/// Questions taken from each set, evenly spaced: sets count alike, whatever
/// their size.
const PER_SET: usize = 250;

/// Digits kept of a number.
const PRECISION: f64 = 1e3;

#[derive(Deserialize)]
struct Line {
    expect: Expect,
    /// `null` for a text that is no question.
    trace: Option<Trace>,
}

#[derive(Deserialize)]
struct Trace {
    exact: Option<serde::de::IgnoredAny>,
    generation1: Verdict,
    generation2: Verdict,
}

#[derive(Deserialize)]
struct Verdict {
    candidates: Vec<Scored>,
    evidence: Option<Evidence>,
}

#[derive(Deserialize)]
struct Scored {
    entry: EntryId,
}

/// Gathers the reference from evidence files, one per labelled query set. A
/// set is called by its file's name.
pub fn gather(files: &[impl AsRef<Path>]) -> Result<Reference> {
    let mut reference = Reference {
        features: FEATURES.iter().map(|&name| name.to_owned()).collect(),
        ..Reference::default()
    };
    for path in files.iter().map(AsRef::as_ref) {
        let lines = read(path)?;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let taken = lines.len().min(PER_SET);
        for index in 0..taken {
            let (expect, trace) = &lines[index * lines.len() / taken];
            let weight = 1.0 / taken as f64;
            let row = |verdict: &Verdict, generation| {
                let accepts = |scored: &Scored| expect.accepts(&scored.entry);
                verdict.evidence.map(|evidence| {
                    let features = evidence
                        .features(generation)
                        .iter()
                        .map(|x| (x * PRECISION).round() / PRECISION)
                        .collect();
                    let right = verdict.candidates.first().is_some_and(accepts);
                    let listed = verdict.candidates.iter().take(LISTED).any(accepts);
                    (features, right, listed, weight)
                })
            };
            reference.one.extend(row(&trace.generation1, Generation::One));
            reference.two.extend(row(&trace.generation2, Generation::Two));
        }
        reference.sets.push((name, taken));
    }
    Ok(reference)
}

/// The lines of one file that the exact matcher did not settle: only those
/// ever meet the calibration.
fn read(path: &Path) -> Result<Vec<(Expect, Trace)>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line).map_err(|e| {
            Error::Corpus(vec![Problem {
                file: path.display().to_string(),
                line: index + 1,
                column: e.column(),
                field: None,
                message: format!("不是 `zhida eval --evidence` 写出的内容：{e}"),
            }])
        })?;
        if let Line { expect, trace: Some(trace) } = line
            && trace.exact.is_none()
        {
            lines.push((expect, trace));
        }
    }
    Ok(lines)
}

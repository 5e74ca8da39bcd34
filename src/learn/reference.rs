//! What did labelled questions look like elsewhere?
//!
//! Makes the shipped calibration reference ([`Reference`]) from the evidence
//! that `zhida eval --evidence` writes. Only numbers go into it, no text.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use crate::decide::Generation;
use crate::decide::calibrate::{Judged, LISTED, Reference, Row};
use crate::decide::evidence::FEATURES;
use crate::error::Result;
use crate::eval::dataset::Expect;
use crate::eval::evidence::{self, Line, Scored, Seen, Verdict};
use crate::eval::lines::Lines;
use crate::kb::EntryId;

/// Questions taken from each set, evenly spaced: sets count alike, whatever
/// their size.
const PER_SET: usize = 250;

/// Digits kept of a number.
const PRECISION: f64 = 1e3;

/// A question and an entry that answers it though the label says otherwise:
/// published paraphrase sets label few of the pairs that mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlsoRight {
    /// The question as it stands in the query set.
    pub text: String,
    /// The entry.
    pub entry: EntryId,
}

/// Reads pairs that somebody read again, one JSON object a line.
pub fn also_right(path: &Path) -> Result<HashSet<AlsoRight>> {
    Ok(Lines::read(path)?.json(r#"应为 {"text":…,"entry":…}"#)?.into_iter().collect())
}

/// Gathers the reference from evidence files, one per labelled query set. A
/// set is called by its file's name.
pub fn gather(files: &[impl AsRef<Path>], also_right: &HashSet<AlsoRight>) -> Result<Reference> {
    let mut reference = Reference {
        features: FEATURES.iter().map(|&name| name.to_owned()).collect(),
        ..Reference::default()
    };
    for (set, path) in files.iter().map(AsRef::as_ref).enumerate() {
        // What the exact matcher settles never meets the calibration.
        let mut lines: Vec<(String, Expect, Seen)> = Vec::new();
        for Line { text, expect, trace } in evidence::read(path)? {
            lines.extend(trace.filter(|seen| seen.exact.is_none()).map(|seen| (text, expect, seen)));
        }
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let taken = lines.len().min(PER_SET);
        for index in 0..taken {
            let (text, expect, trace) = &lines[index * lines.len() / taken];
            let judged = |verdict: &Verdict, generation| {
                let accepts = |scored: &Scored| {
                    let pair = AlsoRight { text: text.clone(), entry: scored.entry.clone() };
                    expect.accepts(&scored.entry) || also_right.contains(&pair)
                };
                verdict.evidence.map(|evidence| {
                    let features = evidence
                        .features(generation)
                        .iter()
                        .map(|x| (x * PRECISION).round() / PRECISION)
                        .collect();
                    let right = verdict.candidates.first().is_some_and(accepts);
                    let listed = verdict.candidates.iter().take(LISTED).any(accepts);
                    Judged(features, right, listed)
                })
            };
            let one = judged(&trace.generation1, Generation::One);
            reference.rows.push(Row(set, one, judged(&trace.generation2, Generation::Two)));
        }
        reference.sets.push((name, taken));
    }
    Ok(reference)
}

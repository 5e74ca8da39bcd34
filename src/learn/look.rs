//! What does a knowledge base's day look like?
//!
//! Reads the events of the last days, the labelled questions and what authors
//! decided, and looks at all of it with the engine that answers now. The CLI and
//! the server both come through here.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::eval::dataset::LabelledQuery;
use crate::events::drift;
use crate::events::{Day, Days, Log};
use crate::learn::asked::Questions;
use crate::learn::bursts;
use crate::learn::groups::Memory;
use crate::learn::suggest::{Findings, Limits, Material, is_there, review, verdicts};
use crate::store::Shelf;

/// Days that are looked at when nobody says otherwise.
pub const DAYS: u16 = 30;

/// Where the names of groups and the vectors of open questions lie.
fn folder(shelf: &Shelf) -> PathBuf {
    shelf.store().root().join("learn").join(shelf.name())
}

/// The days up to today.
pub fn last_days(days: u16) -> Days {
    let today = Day::today();
    let from = today.plus(1 - i64::from(days.max(1)));
    Days { from, to: today }
}

/// The questions of a knowledge base in the last days.
///
/// # Errors
/// When events cannot be read.
pub fn questions(log: &Log, kb: &str, days: u16) -> Result<Questions> {
    Questions::read(log, kb, last_days(days))
}

/// What is asked more than last week, and what has drifted, up to today.
///
/// # Errors
/// When events cannot be read.
pub fn changes(log: &Log, kb: &str, days: u16) -> Result<bursts::Report> {
    let (questions, today) = (questions(log, kb, days)?, Day::today());
    let span = drift::around(Days { from: today.plus(-6), to: today });
    let sums = drift::by_day(log, kb, span)?;
    Ok(bursts::report(&questions, &sums, today))
}

/// What tells whether anything was asked since: the files of the last two days
/// with their lengths. What other nodes are asked is looked at anew every minute.
pub fn state(log: &Log) -> String {
    if log.is_joined() {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        return format!("minute {}", since.as_secs() / 60);
    }
    let files =
        last_days(2).each().filter_map(|day| std::fs::read_dir(log.folder().join(day.to_string())).ok());
    let mut files: Vec<String> = files
        .flatten()
        .filter_map(|file| {
            let file = file.ok()?;
            let length = file.metadata().ok()?.len();
            Some(format!("{}:{length}", file.file_name().to_string_lossy()))
        })
        .collect();
    files.sort();
    files.join(" ")
}

/// Looks at the questions of the last days, and writes down what they suggest.
/// In a data directory that cannot be written nothing is written down.
///
/// # Errors
/// When events or records cannot be read, or the engine fails.
pub fn look(
    shelf: &Shelf,
    log: &Log,
    engine: &Engine,
    labelled: &[LabelledQuery],
    days: u16,
    limits: Limits,
) -> Result<Findings> {
    let questions = questions(log, shelf.name(), days)?;
    let settled = verdicts::settled(shelf)?;
    let folder = folder(shelf);
    let mut memory = Memory::read(&folder);
    let material =
        Material { engine, questions: &questions.all, labelled, settled: &settled, today: Day::today() };
    let mut findings = review(&material, limits, &mut memory)?;
    // The release does not know yet what the draft has already.
    let mut open = Vec::with_capacity(findings.suggestions.len());
    for one in findings.suggestions {
        if !is_there(shelf, &one)? {
            open.push(one);
        }
    }
    findings.suggestions = open;
    match verdicts::propose(shelf, &findings.suggestions, &settled).and_then(|()| memory.write(&folder)) {
        Ok(()) | Err(Error::ReadOnly { .. }) => Ok(findings),
        Err(e) => Err(e),
    }
}

//! `zhida kb history`: who changed what, when and why?

use std::process::ExitCode;

use serde_json::{Value, json};

use super::lexicon;
use crate::error::{Error, Result};
use crate::kb::EntryId;
use crate::store::{Revision, Served, Shelf};
use crate::text::lexicon::Item;

/// Prints the history, newest first.
pub(crate) fn run(shelf: &Shelf, entry: Option<&str>, limit: usize, as_json: bool) -> Result<ExitCode> {
    let id = entry.map(|id| EntryId(id.to_owned()));
    let revisions = shelf.history(id.as_ref(), None, limit)?;
    if let (Some(id), true) = (&id, revisions.is_empty()) {
        return Err(Error::Refused(format!("no entry of {} ever had the id {:?}", shelf.name(), id.0)));
    }
    // What an entry went through; the releases are those of all entries.
    let servings = if entry.is_none() { shelf.servings(limit)? } else { Vec::new() };
    if as_json {
        let report = json!({"kb": shelf.name(), "revisions": revisions, "releases": servings});
        say!("{}", serde_json::to_string_pretty(&report).map_err(|e| Error::internal("history", e))?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines: Vec<(&str, String)> =
        revisions.iter().map(|one| (one.at.as_str(), revision(one))).collect();
    lines.extend(servings.iter().map(|one| (one.at.as_str(), serving(one))));
    // Stable: within a moment, revisions stay in their order.
    lines.sort_by(|a, b| b.0.cmp(a.0));
    for (_, line) in lines.iter().take(limit) {
        say!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

fn revision(one: &Revision) -> String {
    let side = one.after.as_ref().or(one.before.as_ref());
    let subject = match &one.entry {
        Some(id) => {
            format!("[{id}] {}", side.and_then(|entry| entry["question"].as_str()).unwrap_or_default())
        }
        None => {
            let line = side.and_then(|line| serde_json::from_value::<Item>(line.clone()).ok());
            format!("[词表] {}", line.as_ref().map(lexicon::in_words).unwrap_or_default())
        }
    };
    let mut line = format!(
        "#{}\t{}\t{}\t{}{}\t{subject}{}",
        one.number,
        one.at,
        one.author,
        one.action.name(),
        if one.live { " (live)" } else { "" },
        because(one.reason.as_deref())
    );
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (&one.before, &one.after) {
        for (field, value) in after {
            let old = before.get(field).unwrap_or(&Value::Null);
            if old != value {
                line.push_str(&format!("\n    {field}: {old} → {value}"));
            }
        }
    }
    line
}

fn serving(one: &Served) -> String {
    format!(
        "*\t{}\t{}\t{}\trelease {}{}",
        one.at,
        one.author,
        one.action,
        one.release,
        because(one.reason.as_deref())
    )
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!("（{reason}）"))
}

//! `zhida kb history`: who changed what, when and why?

use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::language;
use super::super::listing::in_china;
use super::{changes, lexicon};
use crate::error::{Error, Result};
use crate::kb::EntryId;
use crate::kb::diff::{FieldChange, TextChange};
use crate::store::{Action, Revision, Served, Shelf};
use crate::text::lexicon::Item;

/// Prints the history, newest first.
pub(crate) fn run(shelf: &Shelf, entry: Option<&str>, limit: usize, as_json: bool) -> Result<ExitCode> {
    let id = entry.map(|id| EntryId(id.to_owned()));
    let revisions = shelf.history(id.as_ref(), None, limit)?;
    if let (Some(id), true) = (&id, revisions.is_empty()) {
        return Err(Error::Refused(either!(
            "no entry of {} ever had the id {:?}",
            "{} 从来没有编号为 {:?} 的条目",
            shelf.name(),
            id.0
        )));
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
        None if side.is_some_and(|side| side.get("service").is_some()) => {
            either!("[service document]", "[服务文件]")
        }
        None => {
            let line = side.and_then(|line| serde_json::from_value::<Item>(line.clone()).ok());
            format!("[词表] {}", line.as_ref().map(lexicon::in_words).unwrap_or_default())
        }
    };
    let mut line = format!(
        "#{}\t{}\t{}\t{}{}\t{subject}{}",
        one.number,
        in_china(&one.at),
        one.author,
        action(one.action),
        if one.live { either!(" (live)", "（即时生效）") } else { String::new() },
        because(one.reason.as_deref())
    );
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (&one.before, &one.after) {
        for (field, value) in after {
            let old = before.get(field).unwrap_or(&Value::Null);
            if let ("service", Some(old), Some(new)) = (field.as_str(), old.as_str(), value.as_str()) {
                let lines = TextChange::of(old, new).map_or_else(Vec::new, |change| change.lines());
                lines.iter().for_each(|told| line.push_str(&format!("\n    {told}")));
            } else if old != value {
                let change = FieldChange::of(field, old.clone(), value.clone());
                for told in changes::field(&change) {
                    line.push_str(&format!("\n    {told}"));
                }
            }
        }
    }
    line
}

fn action(action: Action) -> String {
    if !language::is_chinese() {
        return action.name().to_owned();
    }
    let chinese = match action {
        Action::Add => "新增",
        Action::Change => "修改",
        Action::Remove => "删除",
        Action::Enable => "启用",
        Action::Disable => "停用",
    };
    chinese.to_owned()
}

fn serving(one: &Served) -> String {
    let what = match one.action.as_str() {
        "publish" => either!("publish", "发布"),
        "rollback" => either!("rollback", "回退"),
        "moved" => either!("moved", "迁入"),
        other => other.to_owned(),
    };
    either!(
        "*\t{}\t{}\t{}\trelease {}{}",
        "*\t{}\t{}\t{}\t版本 {}{}",
        in_china(&one.at),
        one.author,
        what,
        one.release,
        because(one.reason.as_deref())
    )
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!("（{reason}）"))
}

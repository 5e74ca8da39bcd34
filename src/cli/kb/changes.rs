//! How are the differences between two states told?

use serde_json::Value;

use crate::kb::diff::{Diff, FieldChange, TextChange};

/// Prints what has changed, at most so many entries of each kind.
pub(super) fn print(diff: &Diff, most: usize) {
    let more = |mark: &str, count: usize| {
        if count > most {
            say!("{mark} {}", either!("… {} more", "…… 另有 {} 条", count - most));
        }
    };
    for (mark, entries) in [("+", &diff.added), ("-", &diff.removed)] {
        for entry in entries.iter().take(most) {
            say!("{mark} [{}] {}", entry.id, entry.question);
        }
        more(mark, entries.len());
    }
    for entry in diff.changed.iter().take(most) {
        say!("~ [{}] {}", entry.id, entry.question);
        for line in entry.fields.iter().flat_map(field) {
            say!("    {line}");
        }
    }
    more("~", diff.changed.len());
}

/// Prints what differs between two service documents.
pub(super) fn print_service(change: &TextChange) {
    say!("~ {}", either!("service document", "服务文件"));
    for line in change.lines() {
        say!("    {line}");
    }
}

/// How many entries of each kind, in one line.
pub(super) fn counted(diff: &Diff) -> String {
    let Diff { added, removed, changed, unchanged } = diff;
    either!(
        "{} added, {} changed, {} removed, {} unchanged",
        "新增 {} 条，修改 {} 条，删除 {} 条，不变 {} 条",
        added.len(),
        changed.len(),
        removed.len(),
        unchanged
    )
}

/// A field that differs: of lists and answers by channel only what does.
pub(super) fn field(change: &FieldChange) -> Vec<String> {
    let FieldChange { field: name, before, after, added, removed } = change;
    if let (Some(added), Some(removed)) = (added, removed) {
        if added.is_empty() && removed.is_empty() {
            return vec![format!("{name}: {}", either!("in another order", "只换了次序"))];
        }
        let head = format!("{name}: +{} −{}", added.len(), removed.len());
        let items = |mark: char, items: &[Value]| -> Vec<String> {
            items.iter().map(|item| format!("  {mark} {}", plain(item))).collect()
        };
        return [vec![head], items('+', added), items('-', removed)].concat();
    }
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
        let value =
            |side: &serde_json::Map<String, Value>, key: &String| side.get(key).cloned().unwrap_or_default();
        let pairs = names.map(|key| (key, value(old, key), value(new, key)));
        return pairs
            .filter(|(_, old, new)| old != new)
            .map(|(key, old, new)| format!("{name}.{key}: {old} → {new}"))
            .collect();
    }
    vec![format!("{name}: {before} → {after}")]
}

fn plain(item: &Value) -> String {
    item.as_str().map_or_else(|| item.to_string(), str::to_owned)
}

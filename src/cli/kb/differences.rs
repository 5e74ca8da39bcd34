//! How does an author see what changed?

use crate::kb::diff::Diff;

/// Lines that are printed at most: nobody reads more on a screen.
const SHOWN: usize = 200;

/// Prints added, removed and changed entries, and what changed of them.
pub(crate) fn print(diff: &Diff) {
    let mut lines = Vec::new();
    for entry in &diff.added {
        lines.push(format!("+ [{}] {}", entry.id, entry.question));
    }
    for entry in &diff.removed {
        lines.push(format!("- [{}] {}", entry.id, entry.question));
    }
    for entry in &diff.changed {
        lines.push(format!("~ [{}] {}", entry.id, entry.question));
        for change in &entry.fields {
            lines.push(format!("    {}: {} → {}", change.field, change.before, change.after));
        }
    }
    for line in lines.iter().take(SHOWN) {
        say!("{line}");
    }
    if lines.len() > SHOWN {
        say!("……另有 {} 行未列出，加 --json 可看全部", lines.len() - SHOWN);
    }
}

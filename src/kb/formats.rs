//! How is a knowledge base written down?
//!
//! One table of fields serves all formats: JSONL with an object a line, CSV
//! and XLSX with a header row. Reading never stops at the first fault: the
//! author gets all of them at once, each with file, line and column.

mod jsonl;

use std::collections::HashMap;
use std::path::Path;

use super::{Entry, EntryId, KnowledgeBase};
use crate::error::{Error, Problem, Result};
use crate::text::exact_key;

/// An entry as read, with where it stood.
pub(crate) struct Located {
    entry: Entry,
    line: usize,
}

/// Reads a knowledge base; the format follows from the file's ending.
///
/// # Errors
/// [`Error::Corpus`] with every fault found; [`Error::Io`] when the file
/// cannot be read; [`Error::Refused`] when the ending is unknown.
pub fn read(path: &Path) -> Result<KnowledgeBase> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    match ending(path)? {
        Ending::Jsonl => read_jsonl(&name, &bytes),
    }
}

/// Reads a knowledge base from JSONL bytes; `name` is what problems call the file.
pub fn read_jsonl(name: &str, bytes: &[u8]) -> Result<KnowledgeBase> {
    let mut problems = Vec::new();
    let located = jsonl::read(name, bytes, &mut problems);
    assemble(name, located, problems)
}

/// Writes a knowledge base; the format follows from the file's ending. The
/// file appears whole or not at all.
pub fn write(base: &KnowledgeBase, path: &Path) -> Result<()> {
    let bytes = match ending(path)? {
        Ending::Jsonl => jsonl::write(base)?,
    };
    crate::store::write_whole(path, &bytes)
}

enum Ending {
    Jsonl,
}

fn ending(path: &Path) -> Result<Ending> {
    match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("jsonl" | "ndjson") => Ok(Ending::Jsonl),
        _ => Err(Error::Refused(format!("{}: the file's ending must be .jsonl, .csv or .xlsx", path.display()))),
    }
}

/// Checks what holds between entries and makes the knowledge base.
fn assemble(name: &str, located: Vec<Located>, mut problems: Vec<Problem>) -> Result<KnowledgeBase> {
    let mut problem = |line: usize, field: &str, message: String| {
        problems.push(Problem { file: name.to_owned(), line, column: 0, field: Some(field.to_owned()), message });
    };
    let mut ids: HashMap<&EntryId, usize> = HashMap::new();
    let mut questions: HashMap<String, (&EntryId, usize)> = HashMap::new();
    let mut keywords: HashMap<String, (&EntryId, usize)> = HashMap::new();
    for Located { entry, line } in &located {
        if let Some(first) = ids.insert(&entry.id, *line) {
            problem(*line, "id", format!("编号“{}”在第 {first} 行已经用过，每个编号只能用一次", entry.id));
            continue;
        }
        for text in entry.phrasings() {
            let key = exact_key(text);
            if key.is_empty() {
                problem(*line, "question", format!("问法“{text}”只有标点或空白，请删除或改写"));
                continue;
            }
            match questions.get(&key) {
                Some((other, first)) if *other != &entry.id => problem(
                    *line,
                    "question",
                    format!("问法“{text}”在第 {first} 行的“{other}”下已经有了，同一个问题只能属于一个条目"),
                ),
                _ => {
                    questions.insert(key, (&entry.id, *line));
                }
            }
        }
        for keyword in &entry.keywords {
            if let Some((other, first)) = keywords.insert(exact_key(keyword), (&entry.id, *line))
                && other != &entry.id
            {
                problem(*line, "keywords", format!("关键词“{keyword}”在第 {first} 行的“{other}”下已经有了"));
            }
        }
        for rule in &entry.rules {
            if let Err(message) = rule.check() {
                problem(*line, "rules", message);
            }
        }
        if entry.valid_from.zip(entry.valid_until).is_some_and(|(from, until)| from >= until) {
            problem(*line, "valid_until", "失效时间不晚于生效时间".to_owned());
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        return Err(Error::Corpus(problems));
    }
    Ok(KnowledgeBase { entries: located.into_iter().map(|located| located.entry).collect() })
}

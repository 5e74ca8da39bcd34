//! Which questions are asked, and what would be right?

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem, Result};
use crate::kb::{Entry, EntryId};

/// A labelled question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelledQuery {
    /// What the customer types.
    pub text: String,
    /// What is right.
    pub expect: Expect,
    /// Groups to report on.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// What is right for a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Expect {
    /// One entry.
    One(EntryId),
    /// Any of these entries.
    AnyOf(Vec<EntryId>),
    /// `null`: the question is outside the knowledge base, a handoff is right.
    Outside,
}

impl Expect {
    /// Whether an entry is right.
    pub fn accepts(&self, entry: &EntryId) -> bool {
        match self {
            Self::One(id) => id == entry,
            Self::AnyOf(ids) => ids.contains(entry),
            Self::Outside => false,
        }
    }

    /// Whether the knowledge base knows an answer.
    pub fn is_inside(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::AnyOf(ids) => !ids.is_empty(),
            Self::Outside => false,
        }
    }

    /// Every entry that is right.
    pub fn ids(&self) -> &[EntryId] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::AnyOf(ids) => ids,
            Self::Outside => &[],
        }
    }
}

/// Reads a query set and checks it against the entries it is asked of.
///
/// # Errors
/// [`Error::Corpus`] with every line that is no query or expects an entry
/// that is not there.
pub fn read(path: &Path, entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    read_bytes(&path.display().to_string(), &bytes, entries)
}

/// As [`read`], from what a file called `name` holds.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(name: &str, bytes: &[u8], entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    let name = name.to_owned();
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let known: HashSet<&EntryId> = entries.iter().map(|entry| &entry.id).collect();
    let (mut queries, mut problems) = (Vec::new(), Vec::new());
    for (index, raw) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if raw.trim_ascii().is_empty() {
            continue;
        }
        let mut problem = |column: usize, field: Option<&str>, message: String| {
            let field = field.map(str::to_owned);
            problems.push(Problem { file: name.clone(), line: index + 1, column, field, message });
        };
        match serde_json::from_slice::<LabelledQuery>(raw) {
            Err(e) => problem(e.column(), None, format!("不是有效的测试问题：{e}")),
            Ok(query) => {
                for id in query.expect.ids().iter().filter(|id| !known.contains(id)) {
                    problem(0, Some("expect"), format!("知识库里没有编号为“{id}”的条目"));
                }
                queries.push(query);
            }
        }
    }
    if problems.is_empty() && queries.is_empty() {
        problems.push(Problem {
            file: name,
            line: 0,
            column: 0,
            field: None,
            message: "文件里没有测试问题".to_owned(),
        });
    }
    if problems.is_empty() { Ok(queries) } else { Err(Error::Corpus(problems)) }
}

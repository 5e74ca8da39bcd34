//! Which questions are asked, and what would be right?

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lines::Lines;
use crate::error::Result;
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
/// [`crate::error::Error::Corpus`] with every line that is no query or expects
/// an entry that is not there.
pub fn read(path: &Path, entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    checked(Lines::read(path)?, entries)
}

/// As [`read`], from what a file called `name` holds.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(name: &str, bytes: &[u8], entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    checked(Lines::of(name, bytes), entries)
}

fn checked(mut lines: Lines, entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    let known: HashSet<&EntryId> = entries.iter().map(|entry| &entry.id).collect();
    let mut queries = Vec::new();
    for (number, text) in std::mem::take(&mut lines.texts) {
        match serde_json::from_str::<LabelledQuery>(&text) {
            Err(e) => lines.problem_at(number, e.column(), None, format!("不是有效的测试问题：{e}")),
            Ok(query) => {
                for id in query.expect.ids().iter().filter(|id| !known.contains(id)) {
                    lines.problem_at(number, 0, Some("expect"), format!("知识库里没有编号为“{id}”的条目"));
                }
                queries.push(query);
            }
        }
    }
    if queries.is_empty() && lines.are_good() {
        lines.problem(0, "文件里没有测试问题".to_owned());
    }
    lines.finish(queries)
}

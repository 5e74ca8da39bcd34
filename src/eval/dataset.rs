//! Which questions are asked, and what would be right?

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lines::Lines;
use crate::error::{Error, Problem, Result};
use crate::kb::formats::{self, Format, LabelledRow};
use crate::kb::{Entry, EntryId};
use crate::text::exact_key;

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

    /// Puts an entry in the place of another one; whether that was right.
    pub fn replace(&mut self, from: &EntryId, to: &EntryId) -> bool {
        if !self.accepts(from) {
            return false;
        }
        match self {
            Self::AnyOf(ids) => {
                ids.retain(|id| id != to);
                ids.iter_mut().filter(|id| *id == from).for_each(|id| *id = to.clone());
            }
            _ => *self = Self::One(to.clone()),
        }
        true
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

/// Reads a query set and checks it against the entries it is asked of. A file
/// that is no spreadsheet holds one JSON object a line.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with every line that is no query or expects
/// an entry that is not there.
pub fn read(path: &Path, entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    let format = Format::of(path).unwrap_or_default();
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    read_bytes(&path.display().to_string(), format, &bytes, entries)
}

/// As [`read`], from what a file called `name` holds.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(name: &str, format: Format, bytes: &[u8], entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    match format {
        Format::Jsonl => checked(Lines::of(name, bytes), entries),
        table => of_table(name, table, bytes, entries),
    }
}

/// The query set in a table, where an entry may be named by one of its questions.
fn of_table(name: &str, format: Format, bytes: &[u8], entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    let (rows, mut problems) = formats::labelled(name, format, bytes);
    let ids: HashMap<&str, &EntryId> = entries.iter().map(|entry| (entry.id.0.as_str(), &entry.id)).collect();
    let asked: HashMap<String, &EntryId> =
        entries.iter().flat_map(|entry| entry.phrasings().map(|text| (exact_key(text), &entry.id))).collect();
    let mut queries = Vec::with_capacity(rows.len());
    for LabelledRow { file, line, column, text, expect, tags } in rows {
        let mut right: Vec<EntryId> = Vec::new();
        for wanted in expect {
            match ids.get(wanted.as_str()).or_else(|| asked.get(&exact_key(&wanted))) {
                Some(&id) if right.contains(id) => {}
                Some(&id) => right.push(id.clone()),
                None => problems.push(Problem {
                    file: file.clone(),
                    line,
                    column,
                    field: Some("expect".to_owned()),
                    message: format!(
                        "知识库里没有编号或问题是“{wanted}”的条目；不属于知识库的问题，这一格请留空"
                    ),
                }),
            }
        }
        let expect = match (right.pop(), right.is_empty()) {
            (None, _) => Expect::Outside,
            (Some(only), true) => Expect::One(only),
            (Some(last), false) => {
                right.push(last);
                Expect::AnyOf(right)
            }
        };
        queries.push(LabelledQuery { text, expect, tags });
    }
    if queries.is_empty() && problems.is_empty() {
        let message = "文件里没有测试问题".to_owned();
        problems.push(Problem { file: name.to_owned(), line: 0, column: 0, field: None, message });
    }
    if problems.is_empty() { Ok(queries) } else { Err(Error::Corpus(problems)) }
}

fn checked(mut lines: Lines, entries: &[Entry]) -> Result<Vec<LabelledQuery>> {
    let known: HashSet<&EntryId> = entries.iter().map(|entry| &entry.id).collect();
    let mut queries = Vec::new();
    for (number, text) in std::mem::take(&mut lines.texts) {
        match serde_json::from_str::<LabelledQuery>(&text) {
            Err(e) => lines.problem_at(number, e.column(), None, format!("不是有效的测试问题：{e}")),
            Ok(query) => {
                // Customers do send nothing at all, and then no entry is right.
                if query.text.trim().is_empty() && query.expect != Expect::Outside {
                    let message = "是空白的，没有条目能回答；请写上顾客会说的话，或者删去这一行".to_owned();
                    lines.problem_at(number, 0, Some("text"), message);
                }
                if matches!(&query.expect, Expect::AnyOf(ids) if ids.is_empty()) {
                    let message = "是空的列表；知识库里有答案的，写上条目的编号，没有的写 null".to_owned();
                    lines.problem_at(number, 0, Some("expect"), message);
                }
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

//! Which questions are asked, and what would be right?

use std::collections::HashMap;
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

    /// Whether the same entries are right, in whatever order.
    fn same(&self, other: &Self) -> bool {
        let (mine, its) = (self.ids(), other.ids());
        mine.len() == its.len() && mine.iter().all(|id| its.contains(id))
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

/// A query set, and what its author should know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct QuerySet {
    /// The questions, in the order of the file.
    pub queries: Vec<LabelledQuery>,
    /// Lines that are no fault and are hardly meant: what is said twice, and labels that
    /// another line or the knowledge base itself contradicts.
    pub notes: Vec<Problem>,
}

/// Reads a query set and checks it against the entries it is asked of. A file
/// that is no spreadsheet holds one JSON object a line.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with every line that is no query or expects
/// an entry that is not there.
pub fn read(path: &Path, entries: &[Entry]) -> Result<QuerySet> {
    let format = Format::of(path).unwrap_or_default();
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    read_bytes(&path.display().to_string(), format, &bytes, entries)
}

/// As [`read`], from what a file called `name` holds.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(name: &str, format: Format, bytes: &[u8], entries: &[Entry]) -> Result<QuerySet> {
    let (rows, mut problems) = match format {
        Format::Jsonl => of_lines(Lines::of(name, bytes)),
        table => formats::labelled(name, table, bytes),
    };
    let set = checked(rows, entries, &mut problems);
    if set.queries.is_empty() && problems.is_empty() {
        let message = "文件里没有测试问题".to_owned();
        problems.push(Problem { file: name.to_owned(), line: 0, column: 0, field: None, message });
    }
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    if problems.is_empty() { Ok(set) } else { Err(Error::Corpus(problems)) }
}

/// The rows of a file with one JSON object a line.
fn of_lines(mut lines: Lines) -> (Vec<LabelledRow>, Vec<Problem>) {
    let mut rows = Vec::new();
    for (line, text) in std::mem::take(&mut lines.texts) {
        match serde_json::from_str::<LabelledQuery>(&text) {
            Err(e) => lines.problem_at(line, e.column(), None, format!("不是有效的测试问题：{e}")),
            Ok(query) if matches!(&query.expect, Expect::AnyOf(ids) if ids.is_empty()) => {
                let message = "是空的列表；知识库里有答案的，写上条目的编号，没有的写 null".to_owned();
                lines.problem_at(line, 0, Some("expect"), message);
            }
            Ok(LabelledQuery { text, expect, tags }) => rows.push(LabelledRow {
                file: lines.file().to_owned(),
                line,
                column: 0,
                text,
                is_list: matches!(expect, Expect::AnyOf(_)),
                expect: expect.ids().iter().map(|id| id.0.clone()).collect(),
                tags,
            }),
        }
    }
    (rows, lines.into_problems())
}

/// The queries of some rows, in which an entry is named by its id or one of its questions.
fn checked(rows: Vec<LabelledRow>, entries: &[Entry], problems: &mut Vec<Problem>) -> QuerySet {
    let ids: HashMap<&str, &EntryId> = entries.iter().map(|entry| (entry.id.0.as_str(), &entry.id)).collect();
    let asked: HashMap<String, &Entry> = entries
        .iter()
        .flat_map(|entry| entry.phrasings().map(move |text| (exact_key(text), entry)))
        .collect();
    let mut set = QuerySet { queries: Vec::with_capacity(rows.len()), notes: Vec::new() };
    // By exact key: the line and the place in the set.
    let mut before: HashMap<String, (usize, usize)> = HashMap::with_capacity(rows.len());
    for LabelledRow { file, line, column, text, expect, is_list, tags } in rows {
        let of = |column: usize, field: &str, message: String| Problem {
            file: file.clone(),
            line,
            column,
            field: Some(field.to_owned()),
            message,
        };
        // Customers do send nothing at all, and then no entry is right.
        if text.trim().is_empty() && !expect.is_empty() {
            let message = "是空白的，没有条目能回答；请写上顾客会说的话，或者删去这一行".to_owned();
            problems.push(of(0, "text", message));
        }
        let mut right: Vec<EntryId> = Vec::new();
        for wanted in &expect {
            let named = ids.get(wanted.as_str()).copied();
            match named.or_else(|| asked.get(&exact_key(wanted)).map(|entry| &entry.id)) {
                Some(id) if right.contains(id) => {}
                Some(id) => right.push(id.clone()),
                None => {
                    // In a table the cell of what is outside is blank.
                    let outside = if column > 0 { "这一格请留空" } else { "请写 null" };
                    let message =
                        format!("知识库里没有编号或问题是“{wanted}”的条目；不属于知识库的问题，{outside}");
                    problems.push(of(column, "expect", message));
                }
            }
        }
        let expect = match (right.pop(), right.is_empty()) {
            (None, _) => Expect::Outside,
            (Some(only), true) if !is_list => Expect::One(only),
            (Some(last), _) => {
                right.push(last);
                Expect::AnyOf(right)
            }
        };
        let key = exact_key(&text);
        // Of signs alone nothing is left to compare.
        let earlier = before.get(&key).filter(|_| !key.is_empty());
        if let Some(&(first, place)) = earlier {
            let (at, field, message) = if set.queries[place].expect.same(&expect) {
                (0, "text", format!("“{text}”和第 {first} 行是同一个问题，期望也一样，算了两次"))
            } else {
                let message = format!(
                    "“{text}”和第 {first} 行是同一个问题，期望却不一样，总有一行算错；请删去其中一行，几个条目都算对的，在一行里都写上"
                );
                (column, "expect", message)
            };
            set.notes.push(of(at, field, message));
        } else if let Some(owner) =
            asked.get(&key).filter(|owner| owner.enabled && !expect.accepts(&owner.id))
        {
            let message = format!(
                "“{text}”是条目“{}”里的问法，问到它就会这样回答，按这里的期望总是算错；请改期望，或从条目里删去这个问法",
                owner.id
            );
            set.notes.push(of(column, "expect", message));
        }
        before.entry(key).or_insert((line, set.queries.len()));
        set.queries.push(LabelledQuery { text, expect, tags });
    }
    set
}

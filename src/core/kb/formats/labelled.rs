//! How do authors write labelled questions in a spreadsheet?
//!
//! One row a question: what the customer types, the entries that are right
//! (by id or by one of their questions; none for a question that is outside),
//! and labels to report on.

use super::cells::{list, shortened};
use super::fixed::{Columns, Fixed};
use super::table::{Row, Table as _};
use super::{FileName, Format, Reading};
use crate::error::Problem;

/// What stands for “outside the knowledge base” beside an empty cell.
const OUTSIDE: [&str; 5] = ["无", "没有", "null", "-", "—"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Text,
    Expect,
    Tags,
}

/// A labelled question as it stands in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledRow {
    /// The file or sheet.
    pub file: String,
    /// 1-based row.
    pub line: usize,
    /// Where the entries that are right stand, from 1.
    pub column: usize,
    /// What the customer types.
    pub text: String,
    /// Ids or questions of the entries that are right; none when it is outside.
    pub expect: Vec<String>,
    /// Whether a list is written, though it may be of one; cells hold no lists of one.
    pub is_list: bool,
    /// Groups to report on.
    pub tags: Vec<String>,
}

/// The labelled questions of a table, and what is wrong with its rows; `name`
/// is what problems call the file.
pub fn labelled(name: &str, format: Format, bytes: &[u8]) -> (Vec<LabelledRow>, Vec<Problem>) {
    let (name, mut problems): (FileName, _) = (name.into(), Vec::new());
    let tables = Fixed::<Column>::of_file(&name, format, bytes, &Reading::default(), &mut problems);
    let mut rows = Vec::new();
    for mut table in tables {
        if !table.has_header() {
            let message = "找不到表头：第一行应写列名“问题”（text）和“期望”（expect），另可有“标签”（tags）";
            table.problem(table.first.unwrap_or(0), 0, None, message.to_owned());
        }
        rows.append(&mut table.lines);
        problems.append(&mut table.problems);
    }
    (rows, problems)
}

impl Columns for Column {
    type Line = LabelledRow;

    const ALL: &'static [(Self, &'static [&'static str])] = &[
        (
            Self::Text,
            &["问题", "text", "question", "query", "提问", "顾客问题", "用户问题", "测试问题", "问句"],
        ),
        (
            Self::Expect,
            &["期望", "expect", "expected", "期望条目", "期望编号", "期望答案", "正确条目", "编号"],
        ),
        (Self::Tags, &["标签", "tags", "tag"]),
    ];

    const NEEDED: [Self; 2] = [Self::Text, Self::Expect];

    fn take_line(table: &mut Fixed<Self>, row: &Row) {
        let place = |wanted| table.place(wanted).unwrap_or(0);
        let cell = |wanted| table.cell(row, wanted).map_or("", |(_, cell)| cell);
        let text = cell(Self::Text).trim();
        if text.is_empty() {
            let filled = row.cells.first().map_or("", |(_, cell)| cell.as_str());
            let message = format!("这一行有“{}”，却没有写问题", shortened(filled));
            let column = place(Self::Text);
            table.problem(row.line, column, Some("text"), message);
            return;
        }
        let expect = match cell(Self::Expect).trim() {
            cell if OUTSIDE.contains(&cell.to_lowercase().as_str()) => Vec::new(),
            cell => list(cell),
        };
        let line = LabelledRow {
            file: table.file.to_string(),
            line: row.line,
            column: place(Self::Expect),
            text: text.to_owned(),
            expect,
            is_list: false,
            tags: list(cell(Self::Tags)),
        };
        table.lines.push(line);
    }
}

//! How do authors write labelled questions in a spreadsheet?
//!
//! One row a question: what the customer types, the entries that are right
//! (by id or by one of their questions; none for a question that is outside),
//! and labels to report on.

use super::cells::{list, shortened, unguarded};
use super::headings::plain;
use super::table::{Row, TITLES, Table, of_cell};
use super::{FileName, Format, Reading, csv, xlsx};
use crate::error::Problem;

/// A column with the headings it goes by.
const COLUMNS: [(Column, &[&str]); 3] = [
    (
        Column::Text,
        &["问题", "text", "question", "query", "提问", "顾客问题", "用户问题", "测试问题", "问句"],
    ),
    (Column::Expect, &["期望", "expect", "expected", "期望条目", "期望编号", "期望答案", "正确条目", "编号"]),
    (Column::Tags, &["标签", "tags", "tag"]),
];

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
    let reading = Reading::default();
    let new = |file: FileName| Questions { file, ..Questions::default() };
    let tables = match format {
        Format::Jsonl => Vec::new(),
        Format::Csv => {
            let mut table = new(name.clone());
            csv::rows(&name, bytes, &reading, &mut table, &mut problems);
            vec![table]
        }
        Format::Xlsx => xlsx::tables(&name, bytes, &reading, new, &mut problems),
    };
    let mut rows = Vec::new();
    for mut table in tables.into_iter().filter(Questions::has_text) {
        if !table.has_header() {
            let message = "找不到表头：第一行应写列名“问题”（text）和“期望”（expect），另可有“标签”（tags）";
            table.problem(table.first.unwrap_or(0), 0, None, message.to_owned());
        }
        rows.append(&mut table.rows);
        problems.append(&mut table.problems);
    }
    (rows, problems)
}

/// Takes the rows of one sheet.
#[derive(Default)]
struct Questions {
    file: FileName,
    problems: Vec<Problem>,
    /// The row of the first cell that is not blank.
    first: Option<usize>,
    /// Filled rows in front of the header.
    titles: usize,
    /// What the columns hold, by their number; empty before the header.
    columns: Vec<(usize, Option<Column>)>,
    rows: Vec<LabelledRow>,
}

impl Table for Questions {
    fn take(&mut self, row: &Row) {
        if row.cells.is_empty() {
            return;
        }
        self.first.get_or_insert(row.line);
        if self.has_header() {
            for (column, message) in row.ruined() {
                self.problem(row.line, column, None, message.to_owned());
            }
            self.take_question(row);
        } else if self.titles < TITLES {
            self.titles += 1;
            let has = |wanted| row.cells.iter().any(|(_, cell)| column_named(cell) == Some(wanted));
            if has(Column::Text) && has(Column::Expect) {
                self.columns = row.cells.iter().map(|(number, cell)| (*number, column_named(cell))).collect();
            }
        }
    }

    fn problem(&mut self, line: usize, column: usize, field: Option<&str>, message: String) {
        self.problems.push(of_cell(&self.file, line, column, field, &message));
    }

    fn has_text(&self) -> bool {
        self.first.is_some()
    }

    fn has_header(&self) -> bool {
        !self.columns.is_empty()
    }
}

impl Questions {
    fn take_question(&mut self, row: &Row) {
        let place = |wanted| {
            let mut columns = self.columns.iter().filter(|(_, column)| *column == Some(wanted));
            columns.next().map_or(0, |(number, _)| *number)
        };
        let cell = |wanted| {
            let number = place(wanted);
            row.cells.iter().find(|(other, _)| *other == number).map_or("", |(_, cell)| unguarded(cell))
        };
        let text = cell(Column::Text).trim();
        if text.is_empty() {
            let filled = row.cells.first().map_or("", |(_, cell)| cell.as_str());
            let message = format!("这一行有“{}”，却没有写问题", shortened(filled));
            let column = place(Column::Text);
            self.problem(row.line, column, Some("text"), message);
            return;
        }
        let expect = match cell(Column::Expect).trim() {
            cell if OUTSIDE.contains(&cell.to_lowercase().as_str()) => Vec::new(),
            cell => list(cell),
        };
        self.rows.push(LabelledRow {
            file: self.file.to_string(),
            line: row.line,
            column: place(Column::Expect),
            text: text.to_owned(),
            expect,
            is_list: false,
            tags: list(cell(Column::Tags)),
        });
    }
}

fn column_named(heading: &str) -> Option<Column> {
    let plain = plain(heading);
    COLUMNS.iter().find(|(_, headings)| headings.contains(&plain.as_str())).map(|(column, _)| *column)
}

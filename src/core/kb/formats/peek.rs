//! What does an author's file look like before it is imported?
//!
//! The first rows as they stand, and what each column is taken for: the author
//! looks at it and says where the guess is wrong.

use serde::Serialize;

use super::headings::{heads, is_empty_column};
use super::rejected::is_remark;
use super::table::{Row, TITLES, Table, letters};
use super::{FIELDS, FileName, Format, Reading, csv, xlsx};
use crate::error::Problem;

/// Rows below the header that are shown.
const SHOWN: usize = 8;

/// Characters of a cell that are shown.
const CELL: usize = 200;

/// Columns that are shown: more are no table that anybody maps by hand.
const COLUMNS: usize = 100;

/// The first rows of a sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PeekedSheet {
    /// The sheet of a workbook.
    pub sheet: Option<String>,
    /// 1-based row of the header; `null` when none was recognised, then the first
    /// row with anything in it stands in its place.
    pub header: Option<usize>,
    /// From left to right.
    pub columns: Vec<PeekedColumn>,
    /// The rows below, each with a text for every column.
    pub rows: Vec<Vec<String>>,
    /// How many rows with anything in them there are below the header.
    pub total: usize,
}

/// A column of a sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PeekedColumn {
    /// As a spreadsheet shows it, such as `C`.
    pub letter: String,
    /// What stands above it.
    pub heading: String,
    /// The field of an entry that it is taken for; `null` for none.
    pub field: Option<String>,
    /// Whether it is left out because somebody said so, or because nothing of an
    /// entry could stand there, such as row numbers.
    pub ignored: bool,
}

/// Shows the first rows of a table; empty for JSONL, which has no columns. What
/// keeps the file from being read at all is a problem.
pub fn peek(
    name: &str,
    format: Format,
    bytes: &[u8],
    reading: &Reading<'_>,
) -> (Vec<PeekedSheet>, Vec<Problem>) {
    let name: FileName = name.into();
    let mut problems = Vec::new();
    let tables = match format {
        Format::Jsonl => Vec::new(),
        Format::Csv => {
            let mut table = Peek::of(name.clone(), reading);
            csv::rows(&name, bytes, reading, &mut table, &mut problems);
            vec![table]
        }
        Format::Xlsx => xlsx::tables(&name, bytes, reading, |file| Peek::of(file, reading), &mut problems),
    };
    let sheets = tables.into_iter().filter(Table::has_text);
    (sheets.map(|table| table.finish(&name)).collect(), problems)
}

/// Keeps the first rows of a sheet.
struct Peek<'a> {
    file: FileName,
    reading: &'a Reading<'a>,
    /// Filled rows so far, in front of the header.
    titles: usize,
    /// The first row, in case none is a header.
    first: Option<(usize, Vec<(usize, String)>)>,
    header: Option<(usize, Vec<(usize, String)>)>,
    rows: Vec<Vec<(usize, String)>>,
    total: usize,
}

impl<'a> Peek<'a> {
    fn of(file: FileName, reading: &'a Reading<'a>) -> Self {
        Self { file, reading, titles: 0, first: None, header: None, rows: Vec::new(), total: 0 }
    }

    fn finish(self, name: &str) -> PeekedSheet {
        let is_headed = self.header.is_some();
        let (line, mut headings) = self.header.or(self.first).unwrap_or_default();
        headings.truncate(COLUMNS);
        let columns: Vec<PeekedColumn> = headings
            .iter()
            .map(|(number, heading)| {
                let field = self.reading.field_named(heading);
                let is_left_out = self.reading.said_of(heading).is_some()
                    || is_remark(heading)
                    || is_empty_column(heading)
                    || self.reading.remembered.iter().chain(self.reading.ignore).any(|said| said == heading);
                PeekedColumn {
                    letter: letters(*number),
                    heading: shown(heading),
                    field: field.map(str::to_owned),
                    ignored: field.is_none() && is_left_out,
                }
            })
            .collect();
        let below = |row: &Vec<(usize, String)>| -> Vec<String> {
            let cell = |number: usize| row.iter().find(|(known, _)| *known == number);
            headings
                .iter()
                .map(|(number, _)| cell(*number).map_or_else(String::new, |(_, text)| shown(text)))
                .collect()
        };
        let sheet = self.file.strip_prefix(name).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
        PeekedSheet {
            sheet: sheet.map(str::to_owned),
            header: is_headed.then_some(line),
            rows: self.rows.iter().map(below).collect(),
            columns,
            total: self.total,
        }
    }
}

fn shown(text: &str) -> String {
    text.trim().chars().take(CELL).collect()
}

impl Table for Peek<'_> {
    fn take(&mut self, row: &Row) {
        if row.cells.is_empty() {
            return;
        }
        if self.header.is_none() && self.titles < TITLES && heads(row, self.reading) {
            self.header = Some((row.line, row.cells.clone()));
            self.rows.clear();
            self.total = 0;
            return;
        }
        // Below a header every row holds something.
        if self.header.is_none() {
            self.titles += 1;
            if self.first.is_none() {
                self.first = Some((row.line, row.cells.clone()));
                return;
            }
        }
        self.total += 1;
        if self.rows.len() < SHOWN {
            self.rows.push(row.cells.clone());
        }
    }

    fn problem(&mut self, _: usize, _: usize, _: Option<&str>, _: String) {
        // What is wrong with cells is told when the file is read.
    }

    fn has_text(&self) -> bool {
        self.first.is_some() || self.header.is_some()
    }

    fn has_header(&self) -> bool {
        self.header.is_some()
    }
}

/// The fields of an entry that a column may hold, with their usual Chinese headings.
pub fn column_fields() -> impl Iterator<Item = (&'static str, &'static str)> {
    FIELDS.iter().map(|field| (field.name, field.headings.first().copied().unwrap_or(field.name)))
}

//! How are tables read in which every row says one thing under columns that we name?

use super::cells::unguarded;
use super::headings::plain;
use super::table::{Row, TITLES, Table, of_cell};
use super::{FileName, Format, Reading, csv, xlsx};
use crate::error::Problem;

/// What the columns of such a table hold, and how its rows are taken.
pub(super) trait Columns: Copy + PartialEq + 'static {
    /// What a row becomes.
    type Line;

    /// Each column with the headings it goes by, the written one first.
    const ALL: &'static [(Self, &'static [&'static str])];

    /// A row that names both of these is the header.
    const NEEDED: [Self; 2];

    /// Complains of what is wrong with the header.
    fn look_at_header(_table: &mut Fixed<Self>, _row: &Row) {}

    /// Takes a row below the header.
    fn take_line(table: &mut Fixed<Self>, row: &Row);

    /// The column of a heading.
    fn named(heading: &str) -> Option<Self> {
        let plain = plain(heading);
        Self::ALL.iter().find(|(_, headings)| headings.contains(&plain.as_str())).map(|(column, _)| *column)
    }
}

/// A table as far as it was read.
pub(super) struct Fixed<C: Columns> {
    pub file: FileName,
    pub problems: Vec<Problem>,
    /// The row of the first cell that is not blank.
    pub first: Option<usize>,
    /// Filled rows in front of the header.
    titles: usize,
    /// What the columns hold, by their number; empty before the header.
    pub columns: Vec<(usize, Option<C>)>,
    pub lines: Vec<C::Line>,
}

impl<C: Columns> Fixed<C> {
    pub(super) fn new(file: FileName) -> Self {
        Self { file, problems: Vec::new(), first: None, titles: 0, columns: Vec::new(), lines: Vec::new() }
    }

    /// The tables of a file that hold anything; none of a format that has no tables.
    pub(super) fn of_file(
        name: &FileName,
        format: Format,
        bytes: &[u8],
        reading: &Reading<'_>,
        problems: &mut Vec<Problem>,
    ) -> Vec<Self> {
        let mut tables = match format {
            Format::Jsonl => Vec::new(),
            Format::Csv => {
                let mut table = Self::new(name.clone());
                csv::rows(name, bytes, reading, &mut table, problems);
                vec![table]
            }
            Format::Xlsx => xlsx::tables(name, bytes, reading, Self::new, problems),
        };
        tables.retain(Self::has_text);
        tables
    }

    /// The number of a column; the first one where it stands twice.
    pub(super) fn place(&self, wanted: C) -> Option<usize> {
        self.columns.iter().find(|(_, column)| *column == Some(wanted)).map(|(number, _)| *number)
    }

    /// What a row has in a column, with the column's number.
    pub(super) fn cell<'a>(&self, row: &'a Row, wanted: C) -> Option<(usize, &'a str)> {
        let number = self.place(wanted)?;
        let (_, cell) = row.cells.iter().find(|(other, _)| *other == number)?;
        Some((number, unguarded(cell)))
    }
}

impl<C: Columns> Table for Fixed<C> {
    fn take(&mut self, row: &Row) {
        if row.cells.is_empty() {
            return;
        }
        self.first.get_or_insert(row.line);
        if self.has_header() {
            for (column, message) in row.ruined() {
                self.problem(row.line, column, None, message.to_owned());
            }
            C::take_line(self, row);
        } else if self.titles < TITLES {
            self.titles += 1;
            let named: Vec<_> = row.cells.iter().map(|(number, cell)| (*number, C::named(cell))).collect();
            if C::NEEDED.iter().all(|needed| named.iter().any(|(_, column)| *column == Some(*needed))) {
                self.columns = named;
                C::look_at_header(self, row);
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

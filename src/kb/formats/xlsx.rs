//! Spreadsheets of Excel and its relatives.
//!
//! Cells are read one by one: a sheet with one stray cell at its far end would
//! fill the memory if it were laid out as a grid.

use std::io::Cursor;

use calamine::{DataRef, Dimensions, Reader as _, Xlsx};
use rust_xlsxwriter::{Format, FormatAlign, Workbook};

use super::table::{Row, Sheet, Table};
use super::{FIELDS, FileName, Headings, Located, Reading, cells, whole};
use crate::error::{Error, Problem, Result};
use crate::kb::KnowledgeBase;

/// Reads the entries of every sheet that names a question's column.
pub(super) fn read(
    name: &FileName,
    bytes: &[u8],
    reading: &Reading<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Located> {
    let sheets = tables(name, bytes, reading, |file| Sheet::new(file, reading), problems);
    sheets.into_iter().flat_map(|sheet| sheet.finish(problems)).collect()
}

/// What the sheets of a workbook hold: those with a header, or else the first one.
pub(super) fn tables<T: Table>(
    name: &FileName,
    bytes: &[u8],
    reading: &Reading<'_>,
    new: impl Fn(FileName) -> T,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut book = match Xlsx::new(Cursor::new(bytes)) {
        Ok(book) => book,
        Err(e) => {
            problems.push(whole(
                name,
                format!("不是能打开的 Excel（.xlsx）文件：{e}；请在 Excel 里重新另存为 .xlsx"),
            ));
            return Vec::new();
        }
    };
    let mut sheets = Vec::new();
    for title in book.sheet_names() {
        let file: FileName = format!("{name}[{title}]").into();
        let mut sheet = new(file.clone());
        match rows(&mut book, &title, &mut sheet, reading) {
            Ok(()) if sheet.has_text() => sheets.push(sheet),
            Ok(()) => {}
            Err(e) => problems.push(whole(&file, format!("这个工作表读不出来：{e}"))),
        }
    }
    // Other sheets hold notes; only when no sheet is what is looked for does one get blamed.
    if sheets.iter().any(T::has_header) {
        sheets.retain(T::has_header);
    } else {
        sheets.truncate(1);
    }
    sheets
}

/// Hands the rows of a sheet on, merged cells filled downwards.
fn rows(
    book: &mut Xlsx<Cursor<&[u8]>>,
    title: &str,
    sheet: &mut impl Table,
    reading: &Reading<'_>,
) -> std::result::Result<(), calamine::XlsxError> {
    let mut merged = Merged::new(book.merge_cells_by_sheet_name(title)?);
    let mut cells = book.worksheet_cells_reader(title)?;
    let total = cells.dimensions().end.0 as usize + 1;
    let mut row = Row { line: 0, cells: Vec::new(), spans: Vec::new() };
    let mut finish = |row: &mut Row, sheet: &mut dyn Table| {
        merged.fill(row);
        sheet.take(row);
        (reading.progress)("rows", row.line, total.max(row.line));
        row.cells.clear();
        row.spans.clear();
    };
    while let Some(cell) = cells.next_cell()? {
        let (line, column) = (cell.get_position().0 as usize + 1, cell.get_position().1 as usize + 1);
        if line != row.line {
            if row.line > 0 {
                finish(&mut row, sheet);
            }
            row.line = line;
        }
        if let DataRef::Error(error) = cell.get_value() {
            let message = format!("这一格是 Excel 的错误值 {error}，请改正公式或填入文字");
            sheet.problem(line, column, None, message);
        }
        let text = text(cell.get_value());
        if !text.trim().is_empty() {
            row.cells.push((column, text));
        }
    }
    if row.line > 0 {
        finish(&mut row, sheet);
    }
    Ok(())
}

/// The merged cells of a sheet, while its rows go by.
struct Merged {
    /// Regions that have not begun, the next one last.
    waiting: Vec<Dimensions>,
    /// Last row, column and text of the regions that reach into later rows.
    open: Vec<(usize, usize, String)>,
}

impl Merged {
    fn new(mut regions: Vec<Dimensions>) -> Self {
        regions.sort_unstable_by_key(|region| std::cmp::Reverse(region.start));
        Self { waiting: regions, open: Vec::new() }
    }

    /// Says in a row what merged cells above say in it. Only down: a title
    /// merged over several columns is not said in each of them.
    fn fill(&mut self, row: &mut Row) {
        self.open.retain(|(last, ..)| *last >= row.line);
        for (_, column, text) in &self.open {
            match row.cells.binary_search_by_key(column, |(number, _)| *number) {
                Ok(at) => row.cells[at].1.clone_from(text),
                Err(at) => row.cells.insert(at, (*column, text.clone())),
            }
        }
        while let Some(region) = self.waiting.last().filter(|region| region.start.0 < row.line as u32) {
            let (first, last) = (region.start.0 as usize + 1, region.end.0 as usize + 1);
            let (column, end) = (region.start.1 as usize + 1, region.end.1 as usize + 1);
            self.waiting.pop();
            // A region whose first row is not there has nothing to say.
            if first != row.line {
                continue;
            }
            if end > column {
                row.spans.push((column, end));
            }
            if let Some((_, text)) = row.cells.iter().find(|(number, _)| *number == column)
                && last > first
            {
                self.open.push((last, column, text.clone()));
            }
        }
    }
}

/// A cell as text: numbers without a needless `.0`, dates in ISO order.
fn text(data: &DataRef<'_>) -> String {
    match data {
        DataRef::Empty | DataRef::Error(_) => String::new(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Bool(value) => value.to_string(),
        DataRef::Int(value) => value.to_string(),
        DataRef::Float(value) => value.to_string(),
        DataRef::DateTime(value) if value.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
        DataRef::DateTime(value) => value.as_f64().to_string(),
    }
}

/// The characters (UTF-16 units) that a cell of Excel holds.
const CELL: usize = 32_767;

/// Writes entries under a header.
pub(super) fn write(base: &KnowledgeBase, headings: Headings) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for entry in base.entries() {
        // Half of what a cell holds: a character may be two of its units.
        rows.extend(cells::rows(entry, CELL / 2)?);
    }
    let widths = FIELDS.map(|field| match field.name {
        "question" | "similar" => 40.0,
        "answer" => 60.0,
        _ => 18.0,
    });
    written("knowledge base", &cells::headings(headings), &widths, rows)
}

/// A sheet to be written: rows under a header, the columns so wide.
pub(super) struct Written<'a> {
    pub title: &'a str,
    pub headings: Vec<String>,
    pub widths: Vec<f64>,
    pub rows: Vec<Vec<String>>,
}

/// A workbook with one sheet.
pub(super) fn written(
    title: &str,
    headings: &[&str],
    widths: &[f64],
    rows: Vec<Vec<String>>,
) -> Result<Vec<u8>> {
    let headings = headings.iter().map(|&heading| heading.to_owned()).collect();
    written_sheets(vec![Written { title, headings, widths: widths.to_vec(), rows }])
}

/// A workbook with some sheets.
pub(super) fn written_sheets(sheets: Vec<Written<'_>>) -> Result<Vec<u8>> {
    let failed = |e: rust_xlsxwriter::XlsxError| Error::internal("export", e);
    let mut book = Workbook::new();
    let heading = Format::new().set_bold();
    let body = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    for Written { title, headings, widths, rows } in sheets {
        let sheet = book.add_worksheet();
        sheet.set_name(title).map_err(failed)?;
        for (column, (name, width)) in (0u16..).zip(headings.iter().zip(widths)) {
            sheet.write_string_with_format(0, column, name, &heading).map_err(failed)?;
            sheet.set_column_width(column, width).map_err(failed)?;
        }
        sheet.set_freeze_panes(1, 0).map_err(failed)?;
        for (line, row) in (1u32..).zip(rows) {
            for (column, cell) in (0u16..).zip(row).filter(|(_, cell)| !cell.is_empty()) {
                if cell.encode_utf16().count() > CELL {
                    return Err(Error::Refused(format!(
                        "a text of row {} has more than the {CELL} characters that a cell of .xlsx holds; choose a file that ends in .csv",
                        line + 1
                    )));
                }
                sheet.write_string_with_format(line, column, cell, &body).map_err(failed)?;
            }
        }
    }
    book.save_to_buffer().map_err(failed)
}

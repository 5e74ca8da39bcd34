//! Spreadsheets of Excel and its relatives.

use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
use rust_xlsxwriter::{Format, FormatAlign, Workbook};
use time::UtcOffset;

use super::table::{self, Row};
use super::{FileName, Located, whole};
use crate::error::{Error, Problem, Result};
use crate::kb::KnowledgeBase;

/// Reads the entries of every sheet that names a question's column.
pub(super) fn read(
    name: &FileName,
    bytes: &[u8],
    zone: UtcOffset,
    problems: &mut Vec<Problem>,
) -> Vec<Located> {
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
    for sheet in book.sheet_names() {
        let file: FileName = format!("{name}[{sheet}]").into();
        let mut faults = Vec::new();
        match rows(&mut book, &sheet, &file, &mut faults) {
            Ok(rows) if rows.iter().all(|row| row.cells.iter().all(|cell| cell.trim().is_empty())) => {}
            Ok(rows) => sheets.push((file, rows, faults)),
            Err(e) => problems.push(whole(&file, format!("这个工作表读不出来：{e}"))),
        }
    }
    // Other sheets hold notes; only when no sheet is a knowledge base does one get blamed.
    if sheets.iter().any(|(_, rows, _)| table::header(rows).is_some()) {
        sheets.retain(|(_, rows, _)| table::header(rows).is_some());
    } else {
        sheets.truncate(1);
    }
    let mut located = Vec::new();
    for (file, rows, faults) in sheets {
        problems.extend(faults);
        located.extend(table::read(&file, &rows, zone, problems));
    }
    located
}

/// The rows of a sheet, merged cells filled downwards.
fn rows(
    book: &mut Xlsx<Cursor<&[u8]>>,
    sheet: &str,
    file: &FileName,
    faults: &mut Vec<Problem>,
) -> std::result::Result<Vec<Row>, calamine::XlsxError> {
    let range = book.worksheet_range(sheet)?;
    let merged = book.merge_cells_by_sheet_name(sheet)?;
    let (first_row, first_column) = range.start().unwrap_or_default();
    let mut rows: Vec<Row> = range
        .rows()
        .enumerate()
        .map(|(index, cells)| {
            let line = first_row as usize + index + 1;
            let left = std::iter::repeat_n(String::new(), first_column as usize);
            let cells = left.chain(cells.iter().enumerate().map(|(cell, data)| {
                if let Data::Error(error) = data {
                    let column = first_column as usize + cell + 1;
                    let message = format!("这一格是 Excel 的错误值 {error}，请改正公式或填入文字");
                    faults.push(Problem { file: file.to_string(), line, column, field: None, message });
                }
                text(data)
            }));
            Row { line, cells: cells.collect() }
        })
        .collect();
    for region in merged {
        // Only down: a title merged over several columns is not said in each of them.
        let (top, column) = (region.start.0 as usize, region.start.1 as usize);
        let Some(from) = top.checked_sub(first_row as usize) else { continue };
        let Some(value) = rows.get(from).and_then(|row| row.cells.get(column)).cloned() else { continue };
        let to = (region.end.0 as usize).saturating_sub(first_row as usize).min(rows.len().saturating_sub(1));
        for row in rows.iter_mut().take(to + 1).skip(from + 1) {
            if let Some(cell) = row.cells.get_mut(column) {
                cell.clone_from(&value);
            }
        }
    }
    Ok(rows)
}

/// A cell as text: numbers without a needless `.0`, dates in ISO order.
fn text(data: &Data) -> String {
    match data {
        Data::Empty | Data::Error(_) => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(value) => value.to_string(),
        Data::Int(value) => value.to_string(),
        Data::Float(value) => value.to_string(),
        Data::DateTime(value) if value.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
        Data::DateTime(value) => value.as_f64().to_string(),
    }
}

/// The characters (UTF-16 units) that a cell of Excel holds.
const CELL: usize = 32_767;

/// Writes entries under a header.
pub(super) fn write(base: &KnowledgeBase) -> Result<Vec<u8>> {
    let failed = |e: rust_xlsxwriter::XlsxError| Error::internal("export", e);
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name("knowledge base").map_err(failed)?;
    let heading = Format::new().set_bold();
    let body = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    for (column, name) in (0u16..).zip(table::headings()) {
        sheet.write_string_with_format(0, column, name, &heading).map_err(failed)?;
        let width = match name {
            "question" | "similar" => 40.0,
            "answer" => 60.0,
            _ => 18.0,
        };
        sheet.set_column_width(column, width).map_err(failed)?;
    }
    sheet.set_freeze_panes(1, 0).map_err(failed)?;
    let mut row = 1;
    for entry in base.entries() {
        // Half of what a cell holds: a character may be two of its units.
        for cells in table::rows(entry, CELL / 2)? {
            for (column, cell) in (0u16..).zip(cells).filter(|(_, cell)| !cell.is_empty()) {
                sheet.write_string_with_format(row, column, cell, &body).map_err(failed)?;
            }
            row += 1;
        }
    }
    book.save_to_buffer().map_err(failed)
}

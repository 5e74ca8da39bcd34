//! What do spreadsheets of other programs hold: .xls, .xlsb and .ods?
//!
//! calamine reads them; it lays a sheet out as a grid, where it cannot be read cell by cell.

mod grid;

use std::io::Cursor;

use calamine::{
    Cell, Data, DataRef, Reader as _, SheetVisible, Sheets, Xls, XlsError, open_workbook_auto_from_rs,
};

use super::table::{Aside, Row, Table, of_cell};
use super::{FileName, OLD_EXCEL, Reading, ZIP, whole};

/// Bytes that such a file may have: all of it is laid out in memory.
const LARGEST: usize = 32 << 20;

/// Bytes that one part of it may unpack to.
const UNPACKED: u64 = 128 << 20;

/// The sheets of a workbook that hold anything; the error is for the author.
pub(super) fn tables<T: Table>(
    name: &FileName,
    bytes: &[u8],
    reading: &Reading<'_>,
    new: &impl Fn(FileName) -> T,
) -> Result<Vec<T>, String> {
    if !bytes.starts_with(ZIP) && !bytes.starts_with(OLD_EXCEL) {
        return Err(if bytes.trim_ascii_start().starts_with(b"<") {
            "它其实是网页（HTML），只是用了表格的后缀".to_owned()
        } else {
            "它的内容不是表格；如果是文本，后缀应是 .csv".to_owned()
        });
    }
    if bytes.len() > LARGEST {
        return Err(format!("这种格式的文件不能超过 {} MB", LARGEST >> 20));
    }
    unpacks_to_little(bytes)?;
    let book;
    let bytes = if bytes.starts_with(OLD_EXCEL) {
        book = grid::of_xls(bytes)?;
        &book
    } else {
        bytes
    };
    let mut book = if bytes.starts_with(OLD_EXCEL) {
        let told = |error: XlsError| match error {
            XlsError::Password => grid::LOCKED.to_owned(),
            error => error.to_string(),
        };
        Xls::new(Cursor::new(bytes)).map(Sheets::Xls).map_err(told)?
    } else {
        open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|e| e.to_string())?
    };
    let sheets = book.sheets_metadata().to_vec();
    let (mut tables, mut hidden) = (Vec::new(), Vec::new());
    for sheet in sheets {
        if sheet.visible != SheetVisible::Visible && !reading.hidden {
            hidden.push(format!("“{}”", sheet.name));
            continue;
        }
        let file: FileName = format!("{name}[{}]", sheet.name).into();
        let mut table = new(file.clone());
        match &mut book {
            Sheets::Xlsb(book) => {
                let mut cells = book.worksheet_cells_reader(&sheet.name).map_err(|e| e.to_string())?;
                let next = || cells.next_cell().map_err(|e| e.to_string());
                rows(next, &mut table, reading)?;
            }
            Sheets::Xlsx(book) => {
                let mut cells = book.worksheet_cells_reader(&sheet.name).map_err(|e| e.to_string())?;
                let next = || cells.next_cell().map_err(|e| e.to_string());
                rows(next, &mut table, reading)?;
            }
            laid_out @ (Sheets::Xls(_) | Sheets::Ods(_)) => {
                let range = laid_out.worksheet_range(&sheet.name).map_err(|e| e.to_string())?;
                let (first_row, first_column) = range.start().unwrap_or((0, 0));
                for (line, cells) in (first_row as usize + 1..).zip(range.rows()) {
                    let mut row = Row { line, ..Row::default() };
                    for (column, data) in (first_column as usize + 1..).zip(cells) {
                        take(&mut row, column, data);
                    }
                    table.take(&row);
                    (reading.progress)("rows", line, line.max(range.height()));
                }
            }
        }
        if table.has_text() {
            tables.push(table);
        }
    }
    if let (Some(first), false) = (tables.first_mut(), hidden.is_empty()) {
        let message = format!(
            "工作表{}是隐藏的，没有导入；确实要导入，请加上 --hidden（接口里是 hidden=true）",
            hidden.join("、")
        );
        first.note(whole(name, message));
    }
    if let Some(first) = tables.first_mut() {
        let message = "这种格式（.xls、.xlsb、.ods）里数字的显示格式、隐藏的行和划掉的文字读不到：答案里有价格、日期、百分比的，请核对，或另存为 .xlsx 再导入";
        first.note(of_cell(name, 0, 0, None, message));
    }
    Ok(tables)
}

/// Takes the rows of a sheet from its cells, one after the other.
fn rows<'a, T: Table>(
    mut next: impl FnMut() -> Result<Option<Cell<DataRef<'a>>>, String>,
    table: &mut T,
    reading: &Reading<'_>,
) -> Result<(), String> {
    let mut row = Row::default();
    while let Some(cell) = next()? {
        let (line, column) = cell.get_position();
        let line = line as usize + 1;
        if line != row.line {
            if row.line > 0 {
                table.take(&row);
                (reading.progress)("rows", row.line, row.line);
            }
            row = Row { line, ..Row::default() };
        }
        take(&mut row, column as usize + 1, &Data::from(cell.get_value().clone()));
    }
    if row.line > 0 {
        table.take(&row);
    }
    Ok(())
}

/// Refuses what claims little and unpacks to much.
fn unpacks_to_little(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(ZIP) {
        return Ok(());
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    for at in 0..archive.len() {
        let part = archive.by_index(at).map_err(|e| e.to_string())?;
        // Not what it says of itself: what it really is.
        let mut part = std::io::Read::take(part, UNPACKED + 1);
        let read = std::io::copy(&mut part, &mut std::io::sink()).map_err(|e| e.to_string())?;
        if read > UNPACKED {
            return Err(format!("解压后超过 {} MB，请拆成几个文件", UNPACKED >> 20));
        }
    }
    let Ok(mut content) = archive.by_name("content.xml") else { return Ok(()) };
    let mut text = String::new();
    std::io::Read::read_to_string(&mut content, &mut text).map_err(|e| e.to_string())?;
    grid::of_ods(&text)
}

/// Takes a cell as text: numbers without a needless `.0`, dates in ISO order.
fn take(row: &mut Row, column: usize, data: &Data) {
    let text = match data {
        Data::Empty => return,
        Data::Error(error) => {
            let message = format!("这一格是 Excel 的错误值 {error}，请改正公式或填入文字");
            row.asides.push((column, Aside::Ruined(message)));
            return;
        }
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        Data::Int(value) => value.to_string(),
        Data::Float(value) => decimal(*value),
        Data::DateTime(value) if value.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
            let iso = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
            row.asides.push((column, Aside::Value(iso)));
            match (value.as_f64() < 1.0, (hour, minute, second)) {
                (true, _) => format!("{hour}:{minute:02}"),
                (false, (0, 0, 0)) => format!("{year}/{month}/{day}"),
                (false, _) => format!("{year}/{month}/{day} {hour}:{minute:02}"),
            }
        }
        Data::DateTime(value) => decimal(value.as_f64()),
    };
    if !text.trim().is_empty() {
        row.cells.push((column, text));
    }
}

/// A number with the fifteen digits that are sure.
fn decimal(value: f64) -> String {
    format!("{value:.14e}").parse().unwrap_or(value).to_string()
}

//! Comma-separated values, as spreadsheets write them.

use super::encoding::{Decoded, decoded, is_shifted};
use super::headings::field_named;
use super::table::{Row, Sheet, Table};
use super::{FileName, Found, Headings, Located, Reading, cells, whole};
use crate::error::{Error, Problem, Result};
use crate::kb::KnowledgeBase;

/// Reads entries and gathers the faults of single rows.
pub(super) fn read(name: &FileName, bytes: &[u8], reading: &Reading<'_>, found: &mut Found) -> Vec<Located> {
    let mut sheet = Sheet::new(name.clone(), reading);
    let sound = rows(name, bytes, reading, &mut sheet, &mut found.problems);
    if sound { sheet.finish(found) } else { Vec::new() }
}

/// Hands the rows on; whether there are any, and they could be read.
pub(super) fn rows(
    name: &FileName,
    bytes: &[u8],
    reading: &Reading<'_>,
    table: &mut impl Table,
    problems: &mut Vec<Problem>,
) -> bool {
    let Decoded { text, note, unsure } = match decoded(bytes) {
        Ok(decoded) => decoded,
        Err(offset) => {
            let before = String::from_utf8_lossy(&bytes[..offset]);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let message =
                "这里不是有效的文字：文件既不是完好的 UTF-8，也不是 GB18030（GBK）、Big5 或 Shift-JIS，请用 UTF-8 编码重新保存"
                    .to_owned();
            problems.push(Problem { file: name.to_string(), line, column, field: None, message });
            return false;
        }
    };
    if text.trim().is_empty() {
        return false;
    }
    if let Some(note) = note {
        table.note(whole(name, note));
    }
    let delimiter = delimiter(&text);
    if let Some(offset) = open_quote(text.as_bytes(), delimiter) {
        let line = text[..offset].matches('\n').count() + 1;
        let column = text[..offset].rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let message = "这里的引号一直到文件末尾都没有结束；格子里的引号要写成两个（\"\"）".to_owned();
        problems.push(Problem { file: name.to_string(), line, column, field: None, message });
        return false;
    }
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let (mut line, mut counted, mut width) = (1, 0, 0);
    let mut record = ::csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {
                let from =
                    record.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(0));
                // The reader counts blank lines before a record as its own.
                let blank = text[from..].bytes().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
                line += text.as_bytes()[counted..from + blank].iter().filter(|&&byte| byte == b'\n').count();
                counted = from + blank;
                let filled = record.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
                let cells: Vec<(usize, String)> =
                    filled.map(|(index, cell)| (index + 1, cell.to_owned())).collect();
                let row = Row { line, cells, ..Row::default() };
                if unsure {
                    damaged(&row, record.len(), width, table);
                }
                table.take(&row);
                // A byte that was lost takes the comma behind it along.
                if width == 0 && table.has_header() {
                    width = record.len();
                }
                (reading.progress)("rows", counted, text.len());
            }
            Ok(false) => break,
            Err(e) => {
                problems.push(whole(name, format!("不是有效的 CSV：{e}")));
                return false;
            }
        }
    }
    (reading.progress)("rows", text.len(), text.len());
    true
}

/// Complains of a row in which a byte seems to have been lost: the encoding
/// does not notice, and what follows slips into another column.
fn damaged(row: &Row, cells: usize, width: usize, table: &mut impl Table) {
    if let Some((column, _)) = row.cells.iter().find(|(_, cell)| is_shifted(cell)) {
        let message =
            "这里的文字像是坏了一个字节，后面的字和列可能都错了：请对照原文件改正，并用 UTF-8 重新保存";
        table.problem(row.line, *column, None, message.to_owned());
    } else if cells > 1 && cells < width {
        let message = format!(
            "这一行只有 {cells} 列，表头有 {width} 列：可能坏了一个字节，请对照原文件改正，并用 UTF-8 重新保存"
        );
        table.problem(row.line, 0, None, message);
    }
}

/// Writes entries under a header.
pub(super) fn write(base: &KnowledgeBase, headings: Headings) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for entry in base.entries() {
        rows.extend(cells::rows(entry, usize::MAX)?);
    }
    written(&cells::headings(headings), rows)
}

/// Rows under a header, in UTF-8 with the mark by which Excel knows it.
pub(super) fn written(headings: &[&str], rows: Vec<Vec<String>>) -> Result<Vec<u8>> {
    let failed = |e: ::csv::Error| Error::internal("export", e);
    let mut writer = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record(headings).map_err(failed)?;
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    writer.into_inner().map_err(|e| Error::internal("export", e))
}

/// What separates the cells: spreadsheets also write tabs and semicolons, and
/// some programs bars.
fn delimiter(text: &str) -> u8 {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(super::table::TITLES);
    let marks = [b'|', b';', b'\t', b','];
    // The line that names columns settles it; above it a title may stand.
    for line in lines.clone() {
        let named = |mark: u8| {
            let cells = line.trim_start_matches('\u{feff}').split(char::from(mark));
            cells.filter(|cell| field_named(cell.trim_matches('"')).is_some()).count()
        };
        if let Some(mark) = marks.into_iter().max_by_key(|mark| named(*mark)).filter(|mark| named(*mark) > 1)
        {
            return mark;
        }
    }
    let first = lines.clone().next().unwrap_or_default();
    let count = |mark: &u8| first.bytes().filter(|byte| byte == mark).count();
    // The last of equals wins: a comma unless another one is more frequent.
    [b';', b'\t', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// The offset of a quote that opens a cell and is never closed. The CSV reader
/// would take the rest of the file for one cell without a word.
fn open_quote(bytes: &[u8], delimiter: u8) -> Option<usize> {
    let mut open = None;
    let mut at_start = true;
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        match open {
            Some(_) if byte == b'"' => {
                if bytes.get(index + 1) == Some(&b'"') {
                    index += 1;
                } else {
                    open = None;
                }
            }
            Some(_) => {}
            None if byte == b'"' && at_start => open = Some(index),
            None => at_start = byte == delimiter || byte == b'\n' || byte == b'\r',
        }
        if open.is_some() {
            at_start = false;
        }
        index += 1;
    }
    open
}

//! Comma-separated values, as spreadsheets write them.

use encoding_rs::{GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::table::{Row, Sheet, Table};
use super::{FileName, Headings, Located, Reading, cells, whole};
use crate::error::{Error, Problem, Result};
use crate::kb::KnowledgeBase;

/// Reads entries and gathers the faults of single rows.
pub(super) fn read(
    name: &FileName,
    bytes: &[u8],
    reading: &Reading<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Located> {
    let mut sheet = Sheet::new(name.clone(), reading);
    if rows(name, bytes, reading, &mut sheet, problems) { sheet.finish(problems) } else { Vec::new() }
}

/// Hands the rows on; whether there are any, and they could be read.
pub(super) fn rows(
    name: &FileName,
    bytes: &[u8],
    reading: &Reading<'_>,
    table: &mut impl Table,
    problems: &mut Vec<Problem>,
) -> bool {
    let text = match decoded(bytes) {
        Ok(text) => text,
        Err(offset) => {
            let before = String::from_utf8_lossy(&bytes[..offset]);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let message =
                "这里不是有效的文字：文件既不是完好的 UTF-8，也不是 GB18030（GBK），请用 UTF-8 编码重新保存"
                    .to_owned();
            problems.push(Problem { file: name.to_string(), line, column, field: None, message });
            return false;
        }
    };
    if text.trim().is_empty() {
        return false;
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
    let (mut line, mut counted) = (1, 0);
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
                let cells = filled.map(|(index, cell)| (index + 1, cell.to_owned())).collect();
                table.take(&Row { line, cells, spans: Vec::new() });
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

/// The text of a file in UTF-8, UTF-16 with a mark, or GB18030; otherwise the
/// offset of the first byte that is none of them.
fn decoded(bytes: &[u8]) -> std::result::Result<String, usize> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes)
        && (encoding == UTF_16LE || encoding == UTF_16BE)
    {
        let (text, wrong) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return if wrong { Err(0) } else { Ok(text.into_owned()) };
    }
    let marked = bytes.starts_with(b"\xEF\xBB\xBF");
    let (text, _) = UTF_8.decode_with_bom_removal(bytes);
    let Err(fault) = std::str::from_utf8(bytes) else { return Ok(text.into_owned()) };
    // Bytes in GB18030 form a valid UTF-8 character only by accident. A file
    // with many of those and few faults is UTF-8 that was damaged, and reading
    // it as GB18030 would turn all of it into nonsense.
    let faults = text.matches('\u{fffd}').count();
    let sound = text.chars().filter(|c| c.len_utf8() > 2 && *c != '\u{fffd}').count();
    if marked || sound > 4 * faults {
        return Err(fault.valid_up_to());
    }
    match GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => Ok(text.into_owned()),
        None => Err(fault.valid_up_to()),
    }
}

/// What separates the cells: spreadsheets also write tabs and semicolons.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
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

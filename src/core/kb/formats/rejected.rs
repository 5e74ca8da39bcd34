//! How does an author get rows back that could not be taken?
//!
//! As a table with the columns of the file and one more that says what is
//! wrong. Mended, it is imported like any other; that column is not read.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::cells::{guarded, listed};
use super::claims::DOUBLED;
use super::good::Rejects;
use super::headings::{field_named, heads, is_list};
use super::table::{Row, TITLES, Table};
use super::{FIELDS, FileName, Format, Kind, Reading, csv, jsonl, xlsx};
use crate::error::{Error, Problem, Result};

/// The heading of the column that says what is wrong.
const REASON: &str = "不能导入的原因";

/// The heading of a line that could not be taken apart; it says nothing of an entry.
const RAW: &str = "原来的一行";

/// Whether a column only helped the author who mended the rows.
pub(super) fn is_remark(heading: &str) -> bool {
    [REASON, RAW].contains(&heading.trim())
}

/// Rows of one file or sheet that are handed back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RejectedSheet {
    /// The sheet of a workbook.
    pub sheet: Option<String>,
    /// The headings of the file.
    pub headings: Vec<String>,
    /// In the order of the file.
    pub rows: Vec<RejectedRow>,
}

/// A row that is handed back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RejectedRow {
    /// 1-based row of the file or sheet.
    pub line: usize,
    /// What stands below each heading.
    pub cells: Vec<String>,
    /// What is wrong and what to do, in Chinese.
    pub reason: String,
}

/// The rows of a file that are handed back; `name`, `format` and `bytes` are
/// those of the file.
pub fn rejected(
    name: &str,
    format: Format,
    bytes: &[u8],
    reading: &Reading<'_>,
    rejects: &Rejects,
) -> Vec<RejectedSheet> {
    let name: FileName = name.into();
    let reasons = Reasons::of(rejects);
    // What is wrong is known already.
    let mut known = Vec::new();
    let tables = match format {
        Format::Xlsx => {
            xlsx::tables(&name, bytes, reading, |file| Raw::of(file, reading, &reasons), &mut known)
        }
        Format::Csv => {
            let mut table = Raw::of(name.clone(), reading, &reasons);
            csv::rows(&name, bytes, reading, &mut table, &mut known);
            vec![table]
        }
        Format::Jsonl => return vec![lines(&name, bytes, &reasons)],
    };
    let sheets = tables.into_iter().map(|table| table.finish(&name));
    sheets.filter(|sheet| !sheet.rows.is_empty()).collect()
}

/// Rows that are handed back as the content of a file.
///
/// # Errors
/// [`Error::Refused`] when the format cannot hold them.
pub fn write_rejected(sheets: &[RejectedSheet], format: Format) -> Result<Vec<u8>> {
    let of = |sheet: &RejectedSheet| {
        let headings: Vec<String> = sheet.headings.iter().cloned().chain([REASON.to_owned()]).collect();
        let rows: Vec<Vec<String>> = sheet
            .rows
            .iter()
            .map(|row| row.cells.iter().cloned().chain([row.reason.clone()]).collect())
            .collect();
        (headings, rows)
    };
    match (format, sheets) {
        (Format::Xlsx, sheets) => {
            let tables = sheets.iter().map(|sheet| {
                let (headings, rows) = of(sheet);
                let widths = headings.iter().map(|name| if name == REASON { 60.0 } else { 24.0 }).collect();
                xlsx::Written { title: sheet.sheet.as_deref().unwrap_or("rejected"), headings, widths, rows }
            });
            xlsx::written_sheets(tables.collect())
        }
        (Format::Csv, [sheet]) => {
            let (headings, rows) = of(sheet);
            let rows = rows.iter().map(|row| row.iter().map(|cell| guarded(cell)).collect()).collect();
            csv::written(&headings.iter().map(String::as_str).collect::<Vec<_>>(), rows)
        }
        _ => Err(Error::Refused(
            "rows are handed back as .xlsx, or as .csv when they come from one sheet".to_owned(),
        )),
    }
}

/// What is wrong, by file and row.
struct Reasons {
    by_row: HashMap<String, HashMap<usize, String>>,
}

impl Reasons {
    fn of(rejects: &Rejects) -> Self {
        let mut told: HashMap<(&str, usize), Vec<&Problem>> = HashMap::new();
        for problem in &rejects.problems {
            told.entry((&problem.file, problem.line)).or_default().push(problem);
        }
        let mut by_row: HashMap<String, HashMap<usize, String>> = HashMap::new();
        for (file, groups) in &rejects.rows {
            let of_file = by_row.entry(file.to_string()).or_default();
            for lines in groups {
                let bad = lines.iter().find(|line| told.contains_key(&(&**file, **line)));
                for line in lines {
                    let reason = match told.get(&(&**file, *line)) {
                        Some(problems) => {
                            let messages: Vec<&str> =
                                problems.iter().map(|problem| problem.message.as_str()).collect();
                            format!("原第 {line} 行：{}", messages.join("\n"))
                        }
                        None => format!(
                            "原第 {line} 行：与第 {} 行是同一个条目，那一行有问题",
                            bad.unwrap_or(line)
                        ),
                    };
                    of_file.insert(*line, reason);
                }
            }
        }
        Self { by_row }
    }

    fn at(&self, file: &str, line: usize) -> Option<&String> {
        self.by_row.get(file)?.get(&line)
    }
}

/// Keeps the rows of a sheet that are handed back, as they are.
struct Raw<'a> {
    file: FileName,
    reading: &'a Reading<'a>,
    reasons: &'a Reasons,
    /// Whether anything was there.
    begun: bool,
    /// Filled rows in front of the header.
    titles: usize,
    /// Headings by their column.
    headings: Vec<(usize, String)>,
    rows: Vec<(usize, Vec<(usize, String)>)>,
}

impl<'a> Raw<'a> {
    fn of(file: FileName, reading: &'a Reading<'a>, reasons: &'a Reasons) -> Self {
        Self { file, reading, reasons, begun: false, titles: 0, headings: Vec::new(), rows: Vec::new() }
    }

    fn finish(self, name: &str) -> RejectedSheet {
        let headings: Vec<(usize, String)> =
            self.headings.iter().filter(|(_, heading)| !is_remark(heading)).cloned().collect();
        let cells = self.rows.iter().flat_map(|(_, cells)| cells).map(|(column, _)| *column);
        let last = headings.iter().map(|(column, _)| *column).chain(cells).max().unwrap_or(0);
        // Columns stay where they are, so that “（C 列）” stays true.
        let laid = |cells: &[(usize, String)]| -> Vec<String> {
            let mut row = vec![String::new(); last];
            for (column, text) in cells {
                row[column - 1].clone_from(text);
            }
            row
        };
        let sheet = self.file.strip_prefix(name).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
        let rows = self.rows.iter().map(|(line, cells)| RejectedRow {
            line: *line,
            cells: laid(cells),
            reason: self.reasons.at(&self.file, *line).cloned().unwrap_or_default(),
        });
        RejectedSheet { sheet: sheet.map(str::to_owned), headings: laid(&headings), rows: rows.collect() }
    }
}

impl Table for Raw<'_> {
    fn take(&mut self, row: &Row) {
        if row.cells.is_empty() {
            return;
        }
        self.begun = true;
        if self.has_header() {
            if self.reasons.at(&self.file, row.line).is_some() {
                // What was wrong the last time is not what is wrong now.
                let remarks: Vec<usize> = self
                    .headings
                    .iter()
                    .filter(|(_, heading)| is_remark(heading))
                    .map(|(column, _)| *column)
                    .collect();
                let cells = row.cells.iter().filter(|(column, _)| !remarks.contains(column));
                self.rows.push((row.line, cells.cloned().collect()));
            }
        } else if self.titles < TITLES {
            self.titles += 1;
            if heads(row, self.reading) {
                self.headings.clone_from(&row.cells);
                for (first, last) in &row.spans {
                    let heading = row.cells.iter().find(|(column, _)| column == first);
                    if let Some((_, heading)) =
                        heading.filter(|(_, heading)| is_list(self.reading.field_named(heading)))
                    {
                        self.headings.extend((first + 1..=*last).map(|next| (next, heading.clone())));
                    }
                }
            }
        }
    }

    fn problem(&mut self, _: usize, _: usize, _: Option<&str>, _: String) {
        // They are known already.
    }

    fn has_text(&self) -> bool {
        self.begun
    }

    fn has_header(&self) -> bool {
        !self.headings.is_empty()
    }
}

/// Lines of JSON as the rows of a table.
fn lines(name: &FileName, bytes: &[u8], reasons: &Reasons) -> RejectedSheet {
    let mut headings: Vec<String> = Vec::new();
    let mut rows: Vec<(usize, String, HashMap<String, String>)> = Vec::new();
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // The elements of a list stand where they like, a line of its own is as good as one.
    let texts: Vec<(usize, Cow<'_, str>)> = match std::str::from_utf8(bytes).ok().and_then(jsonl::elements) {
        Some(elements) => elements.into_iter().map(|(line, text)| (line, Cow::Borrowed(text))).collect(),
        None => (1..).zip(bytes.split(|&byte| byte == b'\n').map(String::from_utf8_lossy)).collect(),
    };
    for (line, text) in texts {
        let Some(reason) = reasons.at(name, line) else { continue };
        let mut fields = match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::from_iter([(RAW.to_owned(), Value::String(text.trim().to_owned()))]),
        };
        // Left as it is, the id would put this entry in the place of the other one.
        let doubled = reason.contains(DOUBLED);
        if doubled {
            fields.retain(|name, _| field_named(name) != Some("id"));
        }
        for name in fields.keys().filter(|name| !headings.contains(name)).cloned().collect::<Vec<_>>() {
            headings.push(name);
        }
        let reason = if doubled {
            format!("{reason}；这里已清空编号，导入时会另编一个")
        } else {
            reason.clone()
        };
        rows.push((
            line,
            reason,
            fields.iter().map(|(name, value)| (name.clone(), cell(name, value))).collect(),
        ));
    }
    // Whoever mends a line needs these.
    for wanted in ["answer", "question"] {
        if !headings.iter().any(|heading| heading == wanted) {
            headings.insert(0, wanted.to_owned());
        }
    }
    let rows = rows.into_iter().map(|(line, reason, cells)| RejectedRow {
        line,
        cells: headings.iter().map(|name| cells.get(name).cloned().unwrap_or_default()).collect(),
        reason,
    });
    let rows = rows.collect();
    RejectedSheet { sheet: None, headings, rows }
}

/// A field of a line as a cell.
fn cell(name: &str, value: &Value) -> String {
    let is_texts = FIELDS.iter().any(|field| field.name == name && field.kind == Kind::Texts);
    match value {
        Value::Null => String::new(),
        Value::String(text) => guarded(text),
        Value::Array(items) if is_texts && items.iter().all(Value::is_string) => {
            let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            guarded(&listed(name, &texts).unwrap_or_else(|_| value.to_string()))
        }
        // One rule, picture or link a line.
        Value::Array(items) if matches!(name, "rules" | "images" | "links") => {
            items.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}

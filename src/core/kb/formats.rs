//! How is a knowledge base written down?
//!
//! One table of fields serves all formats: JSONL with an object a line, CSV
//! and XLSX with a header row. Reading never stops at the first fault: the
//! author gets all of them at once, each with file, line and column.

mod cells;
mod claims;
mod csv;
mod encoding;
mod fields;
mod fixed;
mod foreign;
mod good;
mod group;
mod headings;
mod instant;
mod jsonl;
mod labelled;
mod peek;
mod phrasings;
mod rejected;
mod ruined;
mod shown;
mod table;
mod words;
mod xlsx;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub use cells::guarded;
pub use good::{Rejects, recheck};
pub use instant::{BEIJING, zone};
pub use labelled::{LabelledRow, labelled};
pub use peek::{PeekedColumn, PeekedSheet, column_fields, peek};
pub use rejected::{RejectedRow, RejectedSheet, rejected, write_rejected};
pub use shown::{images as read_images, images_cell as written_images};
pub use shown::{links as read_links, links_cell as written_links};
use time::UtcOffset;

use self::claims::{Claims, Keys};
use self::fields::{FIELDS, Field, Kind, known_fields};

use self::headings::plain;
use super::merge::Mode;
use super::{Entry, EntryId, KnowledgeBase};
use crate::error::{Error, Problem, Result};
use crate::text::{AuthoredLexicon, exact_key};

/// How a file is read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The zone of dates and times that come without one.
    pub zone: UtcOffset,
    /// Columns of a table that hold nothing of the knowledge base.
    pub ignore: &'a [String],
    /// Whether every column that nobody knows is such a one.
    pub ignore_unknown: bool,
    /// Headings that an earlier import passed over.
    pub remembered: &'a [String],
    /// What somebody said of columns: heading and field, an empty one leaves it out.
    pub columns: &'a [(String, String)],
    /// Whether what is hidden or struck out in a spreadsheet is read too.
    pub hidden: bool,
    /// Hears which stage it is, how much is done and how much there is.
    pub progress: &'a dyn Fn(&'static str, usize, usize),
}

impl Default for Reading<'_> {
    fn default() -> Self {
        Self {
            zone: BEIJING,
            ignore: &[],
            ignore_unknown: false,
            remembered: &[],
            columns: &[],
            hidden: false,
            progress: &|_, _, _| (),
        }
    }
}

/// What there is to say of a file beside its entries.
#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    /// What the author should know although it is no fault.
    notes: Vec<Problem>,
    passed: Passed,
}

/// Adds a heading that is not there yet.
fn add(list: &mut Vec<String>, heading: String) {
    if !list.contains(&heading) {
        list.push(heading);
    }
}

/// What was said of a column that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Nothing: it is a fault.
    Nothing,
    /// It was named.
    Named,
    /// All of its kind are passed over.
    All,
}

/// Headings of columns that are passed over because somebody said so.
#[derive(Default, Clone)]
struct Passed {
    /// In this import, …
    now: Vec<String>,
    /// … or in an earlier one.
    before: Vec<String>,
}

impl Passed {
    /// Whether a column that nobody knows is passed over.
    fn takes(&mut self, heading: &str, reading: &Reading<'_>) -> Said {
        let named = |list: &[String]| list.iter().any(|said| plain(said) == plain(heading));
        let (list, said) = if named(reading.ignore) {
            (&mut self.now, Said::Named)
        } else if named(reading.remembered) {
            (&mut self.before, Said::Named)
        } else if reading.ignore_unknown {
            (&mut self.now, Said::All)
        } else {
            return Said::Nothing;
        };
        add(list, heading.to_owned());
        said
    }

    /// Takes what was passed over in another part of the file.
    fn append(&mut self, other: &mut Self) {
        other.now.drain(..).for_each(|heading| add(&mut self.now, heading));
        other.before.drain(..).for_each(|heading| add(&mut self.before, heading));
    }

    /// The one note about what an earlier import said.
    fn note(&self, file: &FileName) -> Option<Problem> {
        let names: Vec<String> = self.before.iter().map(|heading| format!("“{heading}”")).collect();
        (!names.is_empty()).then(|| {
            let message = format!(
                "{}没有导入：以前导入时说过不需要；要重新检查这些列，请加上 --forget-columns（接口里是 forget_columns=true）",
                names.join("、")
            );
            whole(file, message)
        })
    }
}

/// Where a file, or one sheet of it, is being read.
type FileName = Arc<str>;

/// An entry as read, with where it stood.
#[derive(Clone)]
struct Located {
    entry: Entry,
    file: FileName,
    /// Line or sheet row.
    line: usize,
    /// All rows that speak of it.
    lines: Vec<usize>,
    /// Whether it is only here so that its rows are known: it cannot be taken.
    faulty: bool,
    /// Where each field stands: in characters, or as the number of its cell.
    columns: Arc<Vec<(String, usize)>>,
}

impl Located {
    fn problem(&self, field: &str, message: String) -> Problem {
        let column = self.columns.iter().find(|(name, _)| name == field).map_or(0, |(_, column)| *column);
        Problem {
            file: self.file.to_string(),
            line: self.line,
            column,
            field: Some(field.to_owned()),
            message,
        }
    }

    /// Whether its id is none that somebody has given it.
    fn has_derived_id(&self) -> bool {
        self.entry.id.0.is_empty() || self.entry.id == EntryId::derived(&self.entry.question)
    }

    /// How another entry's message calls this place.
    fn place(&self, seen_from: &Self) -> String {
        if self.file == seen_from.file {
            format!("第 {} 行", self.line)
        } else {
            format!("{} 第 {} 行", self.file, self.line)
        }
    }
}

/// Reads a knowledge base; the format follows from the file's ending.
///
/// # Errors
/// [`Error::Corpus`] with every fault found; [`Error::Io`] when the file
/// cannot be read; [`Error::Refused`] when the ending is unknown.
pub fn read(path: &Path) -> Result<KnowledgeBase> {
    Incoming::read(path, &Reading::default())?.into_base(&KnowledgeBase::default(), Mode::Replace)
}

/// What a file brings, with the places of everything in it.
#[derive(Clone)]
pub struct Incoming {
    located: Vec<Located>,
    problems: Vec<Problem>,
    notes: Vec<Problem>,
    passed: Vec<String>,
}

impl Incoming {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Refused`] when its ending
    /// is unknown; what is wrong with its content is told by [`Self::into_base`].
    pub fn read(path: &Path, reading: &Reading<'_>) -> Result<Self> {
        let format = Format::of_source(path)?;
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        Ok(Self::of_bytes(&path.display().to_string(), format, &bytes, reading))
    }

    /// Reads a file that did not come from the disk; `name` is what problems
    /// call it.
    pub fn of_bytes(name: &str, format: Format, bytes: &[u8], reading: &Reading<'_>) -> Self {
        let name: FileName = name.into();
        let mut found = Found::default();
        let mut located = match format {
            Format::Xlsx => xlsx::read(&name, bytes, reading, &mut found),
            Format::Csv | Format::Jsonl if bytes.starts_with(ZIP) || bytes.starts_with(OLD_EXCEL) => {
                let message = "这是 Excel 文件，不是文本：请在 Excel 里另存为 .xlsx，并保留 .xlsx 后缀";
                found.problems.push(whole(&name, message.to_owned()));
                Vec::new()
            }
            Format::Csv => csv::read(&name, bytes, reading, &mut found),
            Format::Jsonl => jsonl::read(&name, bytes, reading, &mut found),
        };
        trim(&mut located);
        let Found { problems, mut notes, passed } = found;
        notes.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        notes.extend(passed.note(&name));
        Self { located, problems, notes, passed: passed.now }
    }

    /// What the author should know although it is no fault: what was left out
    /// because it is hidden, what looks like several questions in one.
    pub fn notes(&self) -> &[Problem] {
        &self.notes
    }

    /// Headings of columns that this import was told to pass over and that the
    /// file has, each once.
    pub fn passed_over(&self) -> &[String] {
        &self.passed
    }

    /// How many entries it brings, those with faults included.
    pub fn len(&self) -> usize {
        self.located.len()
    }

    /// Whether it brings nothing, not even a fault.
    pub fn is_empty(&self) -> bool {
        self.located.is_empty() && self.problems.is_empty()
    }

    /// Brings it into a knowledge base that is there already.
    ///
    /// # Errors
    /// Like [`read`]; what the file and the entries that stay contradict each
    /// other in is a fault too.
    pub fn into_base(self, base: &KnowledgeBase, mode: Mode) -> Result<KnowledgeBase> {
        let Self { located, mut problems, .. } = self;
        if mode == Mode::Replace {
            return assemble(located, problems).map(|read| read.with_lexicon(base.lexicon.clone()));
        }
        check(&located, &mut problems);
        if !problems.is_empty() {
            return Err(faulty(problems));
        }
        let mut all = good::known("现有草稿", &base.entries);
        let places: HashMap<EntryId, usize> =
            all.iter().enumerate().map(|(at, one)| (one.entry.id.clone(), at)).collect();
        for one in located {
            match places.get(&one.entry.id) {
                Some(&at) if mode == Mode::Update => all[at] = one,
                Some(_) => {}
                None => all.push(one),
            }
        }
        assemble(all, problems).map(|merged| merged.with_lexicon(base.lexicon.clone()))
    }
}

/// The first bytes of an XLSX file.
const ZIP: &[u8] = b"PK\x03\x04";
/// The first bytes of a file of the Excels before 2007.
const OLD_EXCEL: &[u8] = b"\xD0\xCF\x11\xE0";

/// Reads a knowledge base from JSONL bytes; `name` is what problems call the file.
///
/// # Errors
/// [`Error::Corpus`] with every fault found.
pub fn read_jsonl(name: &str, bytes: &[u8]) -> Result<KnowledgeBase> {
    let mut found = Found::default();
    let mut located = jsonl::read(&name.into(), bytes, &Reading::default(), &mut found);
    trim(&mut located);
    assemble(located, found.problems)
}

/// Writes a knowledge base; the format follows from the file's ending. The
/// file appears whole or not at all.
///
/// # Errors
/// [`Error::Io`] when it cannot be written; [`Error::Refused`] when the ending
/// is unknown or a text does not fit into a cell of the format.
pub fn write(base: &KnowledgeBase, path: &Path) -> Result<()> {
    crate::disk::write_whole(path, &written(base, Format::of(path)?)?)
}

/// A knowledge base as the content of a file.
///
/// # Errors
/// [`Error::Refused`] when a text does not fit into a cell of the format.
pub fn written(base: &KnowledgeBase, format: Format) -> Result<Vec<u8>> {
    written_with(base, format, Headings::default())
}

/// The same; tables get headings in a language.
///
/// # Errors
/// As [`written`].
pub fn written_with(base: &KnowledgeBase, format: Format, headings: Headings) -> Result<Vec<u8>> {
    match format {
        Format::Jsonl => jsonl::write(base),
        Format::Csv => csv::write(base, headings),
        Format::Xlsx => xlsx::write(base, headings),
    }
}

/// Rows of something else than entries as a table, in CSV or XLSX.
///
/// # Errors
/// [`Error::Refused`] when a text does not fit into a cell, or for another format.
pub fn written_table(
    title: &str,
    headings: &[&str],
    rows: Vec<Vec<String>>,
    format: Format,
) -> Result<Vec<u8>> {
    match format {
        Format::Csv => {
            let rows = rows.iter().map(|row| row.iter().map(|cell| cells::guarded(cell)).collect()).collect();
            csv::written(headings, rows)
        }
        Format::Xlsx => {
            let widths = headings.iter().map(|_| 24.0).collect();
            let headings = headings.iter().map(|name| (*name).to_owned()).collect();
            xlsx::written_sheets(vec![xlsx::Written { title, headings, widths, rows }])
        }
        Format::Jsonl => Err(Error::Refused("a table is written as csv or xlsx".to_owned())),
    }
}

/// The language of the headings of a table that is written; both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Headings {
    /// The names of the fields: `question`, `answer`, …
    #[default]
    En,
    /// 标准问题, 答案, …
    Zh,
}

impl std::str::FromStr for Headings {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "en" => Ok(Self::En),
            "zh" => Ok(Self::Zh),
            _ => Err("headings are zh or en".to_owned()),
        }
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// Values between commas, semicolons or tabs.
    Csv,
    /// A workbook of Excel.
    Xlsx,
}

impl Format {
    /// That of a file, by its ending.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is unknown.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            Some("csv") => Ok(Self::Csv),
            Some("xlsx") => Ok(Self::Xlsx),
            _ => Err(Error::Refused(format!(
                "{}: the file's ending must be .jsonl, .csv or .xlsx",
                path.display()
            ))),
        }
    }

    /// That of a file which is read: beside those that are written, workbooks
    /// of other kinds and tables under other names.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is unknown.
    pub fn of_source(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Ok(Self::Jsonl),
            // Read with tabs, written with commas.
            Some("txt" | "tsv") => Ok(Self::Csv),
            Some("xlsm" | "xltx" | "xltm" | "xls" | "xlsb" | "ods" | "et") => Ok(Self::Xlsx),
            _ => Self::of(path).map_err(|_| {
                Error::Refused(format!(
                    "{}: the file's ending must be .jsonl, .json, .csv, .tsv, .txt, .xlsx, .xlsm, .xls or .ods",
                    path.display()
                ))
            }),
        }
    }

    /// The one that goes by a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Jsonl, Self::Csv, Self::Xlsx].into_iter().find(|format| format.name() == name)
    }

    /// Its name, which is also the ending of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

/// The lexicon that lies beside a knowledge base's file: `faq.lexicon.jsonl`
/// beside `faq.kb.jsonl`, `faq.jsonl`, `faq.csv` or `faq.xlsx`; an empty one
/// when there is none.
///
/// # Errors
/// [`Error::Corpus`] with every fault found; [`Error::Io`] when it is there
/// and cannot be read.
pub fn lexicon_beside(path: &Path) -> Result<AuthoredLexicon> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_suffix(".kb").unwrap_or(&stem);
    read_lexicon(&path.with_file_name(format!("{stem}.lexicon.jsonl"))).map(Option::unwrap_or_default)
}

/// The service document that lies beside a knowledge base's file: `NAME.service.toml`
/// beside `NAME.kb.jsonl` or `NAME.jsonl`; blank when there is none.
///
/// # Errors
/// [`Error::Io`] when it is there and cannot be read.
pub fn service_beside(path: &Path) -> Result<String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_suffix(".kb").unwrap_or(&stem);
    let path = path.with_file_name(format!("{stem}.service.toml"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Error::io("read", path, e)),
    }
}

/// The lexicon in a file; `None` when there is no such file.
///
/// # Errors
/// Like [`lexicon_beside`].
pub fn read_lexicon(path: &Path) -> Result<Option<AuthoredLexicon>> {
    match std::fs::read(path) {
        Ok(bytes) => lexicon_of_bytes(&path.display().to_string(), Format::of(path)?, &bytes).map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path, e)),
    }
}

/// The lexicon in a file that did not come from the disk; `name` is what
/// problems call it.
///
/// # Errors
/// [`Error::Corpus`] with every fault found.
pub fn lexicon_of_bytes(name: &str, format: Format, bytes: &[u8]) -> Result<AuthoredLexicon> {
    words::read(name, format, bytes, &Reading::default())
}

/// A lexicon as the content of a file.
///
/// # Errors
/// [`Error::Refused`] when a text does not fit into a cell of the format.
pub fn written_lexicon(lexicon: &AuthoredLexicon, format: Format) -> Result<Vec<u8>> {
    words::write(lexicon, format)
}

/// A problem of a file as a whole.
fn whole(file: &FileName, message: String) -> Problem {
    Problem { file: file.to_string(), line: 0, column: 0, field: None, message }
}

/// Takes away what nobody means to write.
fn trim(located: &mut [Located]) {
    for one in located {
        one.entry.topic =
            one.entry.topic.take().map(|topic| topic.trim().to_owned()).filter(|topic| !topic.is_empty());
    }
}

/// Checks what holds between entries and makes the knowledge base.
fn assemble(located: Vec<Located>, mut problems: Vec<Problem>) -> Result<KnowledgeBase> {
    check(&located, &mut problems);
    if !problems.is_empty() {
        return Err(faulty(problems));
    }
    let entries = located.into_iter().map(|located| located.entry).collect();
    Ok(KnowledgeBase { entries, ..KnowledgeBase::default() })
}

/// All faults, in the order of the file.
fn faulty(mut problems: Vec<Problem>) -> Error {
    problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    Error::Corpus(problems)
}

/// Checks what holds between entries.
fn check(located: &[Located], problems: &mut Vec<Problem>) {
    let keys = Keys::of_all(located);
    let mut claims = Claims::default();
    for (one, keys) in located.iter().zip(&keys) {
        if one.faulty {
            problems.extend(claims.name(one));
        } else {
            problems.extend(claims.add(one, keys));
        }
    }
}

/// Checks what an entry says by itself.
fn alone(one: &Located, problems: &mut Vec<Problem>) {
    let entry = &one.entry;
    if entry.id.0.trim() != entry.id.0 {
        problems.push(one.problem("id", format!("编号“{}”前后有空白，请删除空白", entry.id)));
    }
    for rule in &entry.rules {
        if let Err(message) = rule.check() {
            problems.push(one.problem("rules", message));
        }
    }
    if let Some((channel, _)) =
        entry.answers.iter().find(|(channel, text)| channel.trim().is_empty() || text.trim().is_empty())
    {
        problems.push(one.problem("answers", format!("渠道“{channel}”的名称或答案是空白，请补上或删除")));
    }
    if entry.tags.iter().any(|tag| exact_key(tag).is_empty()) {
        problems.push(one.problem("tags", "标签里有空白或纯标点，请删除".to_owned()));
    }
    problems
        .extend(super::shown::faults(entry).into_iter().map(|(field, message)| one.problem(field, message)));
    if entry.max_wrong.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
        problems.push(one.problem("max_wrong", "错答上限应是 0 到 1 之间的小数，如 0.01".to_owned()));
    }
    if entry.related.iter().any(|id| id.0.trim().is_empty()) {
        problems.push(one.problem("related", "相关问题里有空白的编号，请删除".to_owned()));
    }
    if entry.valid_from.zip(entry.valid_until).is_some_and(|(from, until)| from >= until) {
        problems.push(one.problem("valid_until", "失效时间不晚于生效时间".to_owned()));
    }
}

//! How do authors write their words in a spreadsheet?
//!
//! One row a line of the lexicon: its kind, the words, and what belongs to
//! them. A row may hold several stop words, protected terms and so on; each of
//! them becomes a line.

use super::cells::{guarded, list, listed, shortened};
use super::fixed::{Columns, Fixed};
use super::table::{Row, Table as _};
use super::{FileName, Format, Reading, csv, whole, xlsx};
use crate::error::{Problem, Result};
use crate::text::lexicon::{Item, MOST_FREQUENT, What};
use crate::text::{AuthoredLexicon, exact_key};

/// A column with the headings it goes by, the written one first.
const COLUMNS: [(Column, &[&str]); 6] = [
    (Column::Kind, &["类型", "种类", "类别", "kind", "type"]),
    (Column::Words, &["词", "词语", "内容", "words", "word", "text"]),
    (Column::Canonical, &["标准词", "代表词", "canonical"]),
    (Column::Frequency, &["词频", "频率", "frequency"]),
    (Column::Tag, &["词性", "tag"]),
    (Column::Note, &["备注", "说明", "note"]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Kind,
    Words,
    Canonical,
    Frequency,
    Tag,
    Note,
}

/// The kinds as authors write them; the first one of each is written.
const KINDS: [(&str, &[&str]); 6] = [
    ("word", &["用户词", "自定义词", "新词"]),
    ("synonyms", &["同义词", "近义词"]),
    ("stop", &["停用词"]),
    ("protected", &["保护词", "专有名词"]),
    ("contrast", &["区分词", "对立词"]),
    ("background", &["无关问题", "背景问题"]),
];

/// What a lexicon's file says.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with every fault, each with its place.
pub(super) fn read(
    name: &str,
    format: Format,
    bytes: &[u8],
    reading: &Reading<'_>,
) -> Result<AuthoredLexicon> {
    let name: FileName = name.into();
    if format == Format::Jsonl {
        return AuthoredLexicon::read(&name, bytes);
    }
    let mut problems = Vec::new();
    let mut tables = Fixed::<Column>::of_file(&name, format, bytes, reading, &mut problems).into_iter();
    let table = tables.next().unwrap_or_else(|| Fixed::new(FileName::default()));
    let others = tables.len();
    if others > 0 && table.has_header() {
        problems.push(whole(&name, format!("有 {} 个工作表都像词表，请合并成一个", others + 1)));
    }
    let Fixed { file, first, columns, lines, problems: found, .. } = table;
    problems.extend(found);
    if let (Some(line), true) = (first, columns.is_empty()) {
        let message = "找不到表头：第一行应写列名，至少要有“类型”和“词”；另可有标准词、词频、词性、备注";
        problems.push(Problem { line, ..whole(&file, message.to_owned()) });
    }
    AuthoredLexicon::of_lines(&file, lines, problems)
}

/// A lexicon as rows of cells below [`headings`].
pub(super) fn rows(lexicon: &AuthoredLexicon) -> Result<Vec<Vec<String>>> {
    let row = |item: &Item| {
        let (kind, _) = item.what.name();
        let kind = KINDS.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, names)| names[0]);
        let words = listed("related", item.what.texts())?;
        let (canonical, frequency, tag) = match &item.what {
            What::Synonyms { canonical, .. } => (canonical.clone(), None, None),
            What::Word { frequency, tag, .. } => (None, frequency.map(|n| n.to_string()), tag.clone()),
            _ => (None, None, None),
        };
        let cells = [Some(kind.to_owned()), Some(words), canonical, frequency, tag, item.note.clone()];
        Ok(cells.into_iter().map(|cell| guarded(&cell.unwrap_or_default())).collect())
    };
    lexicon.items().iter().map(row).collect()
}

/// The headings of [`rows`].
pub(super) fn headings() -> [&'static str; COLUMNS.len()] {
    COLUMNS.map(|(_, headings)| headings[0])
}

impl Columns for Column {
    /// The row, and the line of the lexicon.
    type Line = (usize, Item);

    const ALL: &'static [(Self, &'static [&'static str])] = &COLUMNS;

    const NEEDED: [Self; 2] = [Self::Kind, Self::Words];

    fn look_at_header(table: &mut Fixed<Self>, row: &Row) {
        for (at, (number, heading)) in row.cells.iter().enumerate() {
            let (_, column) = table.columns[at];
            if column.is_none() {
                let known = headings().join("、");
                let message = format!("没有“{}”这一列；可用的列名：{known}", heading.trim());
                table.problem(row.line, *number, Some(heading.trim()), message);
            } else if table.columns[..at].iter().any(|(_, other)| *other == column) {
                let message = format!("“{}”这一列出现了两次，请合并", heading.trim());
                table.problem(row.line, *number, Some(heading.trim()), message);
            }
        }
    }

    fn take_line(table: &mut Fixed<Self>, row: &Row) {
        let place = |wanted| table.place(wanted);
        let cell = |wanted| table.cell(row, wanted).map(|(number, cell)| (number, cell.trim()));
        let (kind, words) = (cell(Column::Kind), cell(Column::Words));
        let text = |column| cell(column).map(|(_, text)| text.to_owned());
        let (canonical, tag, note) = (text(Column::Canonical), text(Column::Tag), text(Column::Note));
        let frequency = cell(Column::Frequency);
        let mut faults: Vec<(usize, &str, String)> = row
            .cells
            .iter()
            .filter(|(number, _)| !table.columns.iter().any(|(known, _)| known == number))
            .map(|(number, cell)| {
                (*number, "", format!("这一格有内容“{}”，但这一列没有表头", shortened(cell)))
            })
            .collect();
        let known = KINDS.map(|(_, names)| names[0]).join("、");
        let (at, kind) = kind.unwrap_or((place(Column::Kind).unwrap_or(0), ""));
        let is = |names: &[&str]| names.contains(&kind);
        let kind = match KINDS.iter().find(|(name, names)| kind.eq_ignore_ascii_case(name) || is(names)) {
            Some((name, _)) => *name,
            None if kind.is_empty() => {
                faults.push((at, "类型", format!("没有写类型；应是 {known} 之一")));
                ""
            }
            None => {
                faults.push((at, "类型", format!("没有“{}”这个类型；应是 {known} 之一", shortened(kind))));
                ""
            }
        };
        let read = frequency.map(|(at, text)| {
            // “１００” and “100.0” are whole numbers too.
            let plain = exact_key(text.strip_suffix(".0").unwrap_or(text));
            let number = plain.parse::<usize>().ok();
            let number = number.filter(|&number| u64::try_from(number).is_ok_and(|n| n <= MOST_FREQUENT));
            if number.is_none() {
                faults.push((at, "词频", format!("“{}”应是 0 到 {MOST_FREQUENT} 的整数", shortened(text))));
            }
            number
        });
        let foreign = [
            (Column::Canonical, "标准词", "synonyms", "同义词"),
            (Column::Frequency, "词频", "word", "用户词"),
            (Column::Tag, "词性", "word", "用户词"),
        ];
        for (column, heading, owner, name) in foreign {
            if let (Some((at, _)), true) = (cell(column), !kind.is_empty() && kind != owner) {
                faults.push((at, heading, format!("{heading}只用于{name}，请清空这一格")));
            }
        }
        let mut texts = words.map(|(_, cell)| list(cell)).unwrap_or_default();
        if ["word", "synonyms", "stop", "contrast"].contains(&kind) {
            // No word holds one of these.
            let pieces = texts.iter().flat_map(|text| text.split(['、', '，', ',', '；', ';']));
            texts = pieces.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        }
        if texts.is_empty() {
            faults.push((place(Column::Words).unwrap_or(0), "词", "没有写词".to_owned()));
        }
        if !faults.is_empty() {
            for (at, field, message) in faults {
                table.problem(row.line, at, Some(field).filter(|field| !field.is_empty()), message);
            }
            return;
        }
        let frequency = read.flatten();
        let one = |text: String| match kind {
            "word" => What::Word { word: text, frequency, tag: tag.clone() },
            "stop" => What::Stop { stop: text },
            "protected" => What::Protected { protected: text },
            _ => What::Background { background: text },
        };
        let whats: Vec<What> = match kind {
            "synonyms" => vec![What::Synonyms { synonyms: texts, canonical }],
            "contrast" => vec![What::Contrast { contrast: texts }],
            _ => texts.into_iter().map(one).collect(),
        };
        table.lines.extend(whats.into_iter().map(|what| (row.line, Item { what, note: note.clone() })));
    }
}

/// A lexicon in a table format.
///
/// # Errors
/// When a text does not fit into a cell of the format.
pub(super) fn write(lexicon: &AuthoredLexicon, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Jsonl => lexicon.write(),
        Format::Csv => csv::written(&headings(), rows(lexicon)?),
        Format::Xlsx => {
            xlsx::written("lexicon", &headings(), &[12.0, 48.0, 18.0, 12.0, 12.0, 40.0], rows(lexicon)?)
        }
    }
}

//! What do the rows of a sheet say?
//!
//! CSV and XLSX give rows of text cells, one after the other; this makes
//! entries of them. Nothing of a row is kept but what its entry needs, so a
//! large sheet takes no more memory than its entries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use time::{OffsetDateTime, UtcOffset};

use super::cells::{answers, list, rules, share, shortened, switch, unguarded};
use super::instant::{self, instant};
use super::rejected::is_remark;
use super::{FIELDS, FileName, Kind, Located, Reading};
use crate::error::Problem;
use crate::kb::{Entry, EntryId, Rule};

/// A row with its number in the file or sheet.
pub(super) struct Row {
    pub line: usize,
    /// The cells that are not blank, by their column from 1, from left to right.
    pub cells: Vec<(usize, String)>,
    /// Cells that reach over several columns: the first and the last of them.
    pub spans: Vec<(usize, usize)>,
}

/// What takes the rows of a sheet, one after the other.
pub(super) trait Table {
    /// Takes the next row.
    fn take(&mut self, row: &Row);

    /// Complains of a cell.
    fn problem(&mut self, line: usize, column: usize, field: Option<&str>, message: String);

    /// Whether it has had a row with anything in it.
    fn has_text(&self) -> bool;

    /// Whether a header was found: other sheets are notes.
    fn has_header(&self) -> bool;
}

/// Rows in front of the header that may hold a title.
pub(super) const TITLES: usize = 5;

/// The canonical name of a column, by its English or Chinese heading.
fn field_named(heading: &str) -> Option<&'static str> {
    let plain = plain(heading);
    // Several columns “相似问1”, “相似问2” are common.
    let plain = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    let is = |field: &&super::Field| field.name.replace('_', "") == plain || field.headings.contains(&plain);
    FIELDS.iter().find(is).map(|field| field.name)
}

/// Whether a row is the header of entries.
pub(super) fn heads(row: &Row) -> bool {
    row.cells.iter().any(|(_, cell)| field_named(cell) == Some("question"))
}

/// Whether several columns may have a heading, each with some items of a list.
pub(super) fn is_list(heading: &str) -> bool {
    let name = field_named(heading);
    FIELDS.iter().any(|field| Some(field.name) == name && field.kind == Kind::Texts)
}

/// A heading without what templates write around it: “* 标准问题（必填）”.
pub(super) fn plain(heading: &str) -> String {
    const REMARKS: [&str; 10] =
        ["必填", "选填", "可选", "非必", "required", "optional", "换行", "分隔", "格式", "例"];
    let mut text: String = heading.trim().to_lowercase();
    if let Some((name, remark)) = text.split_once(['（', '(', '【', '['])
        && REMARKS.iter().any(|known| remark.contains(known))
    {
        text = name.to_owned();
    }
    text.retain(|c| !c.is_whitespace() && !matches!(c, '\u{feff}' | '*' | '＊' | ':' | '：' | '_' | '-'));
    text
}

/// The columns that there are, for messages.
fn known_columns() -> String {
    let names = FIELDS.iter().map(|field| format!("{}（{}）", field.name, field.headings[0]));
    names.collect::<Vec<_>>().join("、")
}

/// The letter that a spreadsheet shows above a column.
fn letters(column: usize) -> String {
    let (mut rest, mut letters) = (column, Vec::new());
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    letters.into_iter().rev().collect()
}

/// A complaint of a cell, or of its row without a column.
pub(super) fn of_cell(file: &str, line: usize, column: usize, field: Option<&str>, message: &str) -> Problem {
    let message =
        if column > 0 { format!("（{} 列）{message}", letters(column)) } else { message.to_owned() };
    Problem { file: file.to_owned(), line, column, field: field.map(str::to_owned), message }
}

/// One entry and the rows that speak of it.
#[derive(Default)]
struct Group {
    line: usize,
    /// All rows that speak of it, in order.
    lines: Vec<usize>,
    /// Fields that hold one text.
    single: Vec<(&'static str, String)>,
    similar: Vec<String>,
    keywords: Vec<String>,
    related: Vec<String>,
    tags: Vec<String>,
    rules: Vec<Rule>,
    answers: BTreeMap<String, String>,
    valid_from: Option<OffsetDateTime>,
    valid_until: Option<OffsetDateTime>,
    max_wrong: Option<f64>,
    enabled: Option<bool>,
    faulty: bool,
}

impl Group {
    fn text(&self, field: &str) -> &str {
        self.single.iter().find(|(name, _)| *name == field).map_or("", |(_, text)| text.as_str())
    }
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Field(&'static str),
    /// The author said that it does not matter, or it has been complained of.
    Ignored,
}

/// Takes the rows of one sheet.
pub(super) struct Sheet<'a> {
    file: FileName,
    reading: &'a Reading<'a>,
    problems: Vec<Problem>,
    /// The row of the first cell that is not blank.
    first: Option<usize>,
    /// Filled rows in front of the header.
    titles: usize,
    /// What the columns hold, by their number; empty before the header.
    columns: Vec<(usize, Column)>,
    /// Whether rows below the header can be read at all.
    readable: bool,
    groups: Vec<Group>,
    by_id: HashMap<String, usize>,
}

impl<'a> Sheet<'a> {
    /// A sheet of which nothing was read yet.
    pub(super) fn new(file: FileName, reading: &'a Reading<'a>) -> Self {
        Self {
            file,
            reading,
            problems: Vec::new(),
            first: None,
            titles: 0,
            columns: Vec::new(),
            readable: false,
            groups: Vec::new(),
            by_id: HashMap::new(),
        }
    }
}

impl Table for Sheet<'_> {
    fn has_text(&self) -> bool {
        self.first.is_some()
    }

    fn has_header(&self) -> bool {
        !self.columns.is_empty()
    }

    fn take(&mut self, row: &Row) {
        if row.cells.is_empty() {
            return;
        }
        self.first.get_or_insert(row.line);
        if self.has_header() {
            if self.readable {
                self.take_entry(row);
            }
        } else if self.titles < TITLES {
            self.titles += 1;
            if heads(row) {
                self.take_header(row);
            }
        }
    }

    fn problem(&mut self, line: usize, column: usize, field: Option<&str>, message: String) {
        self.problems.push(of_cell(&self.file, line, column, field, &message));
    }
}

impl Sheet<'_> {
    fn column(&self, field: &str) -> usize {
        let is = |column: &&(usize, Column)| matches!(column.1, Column::Field(name) if name == field);
        self.columns.iter().find(is).map_or(0, |(number, _)| *number)
    }

    fn take_header(&mut self, row: &Row) {
        for (number, heading) in &row.cells {
            let heading = heading.trim();
            let named = field_named(heading);
            let column = match named {
                Some(name) if !is_list(heading) && self.column(name) > 0 => {
                    let message = format!("“{heading}”这一列出现了两次（都是 {name}），请合并");
                    self.problem(row.line, *number, Some(name), message);
                    Column::Ignored
                }
                Some(name) => Column::Field(name),
                None => {
                    if !is_remark(heading)
                        && !self.reading.ignore.iter().any(|ignored| plain(ignored) == plain(heading))
                    {
                        let message = format!(
                            "没有“{heading}”这一列；可用的列名：{}。不需要的列请删除，或在导入时加上 --ignore-column {heading}",
                            known_columns()
                        );
                        self.problem(row.line, *number, Some(heading), message);
                    }
                    Column::Ignored
                }
            };
            self.columns.push((*number, column));
            // “相似问法” over three columns heads all of them.
            if let (Column::Field(_), Some((_, last))) =
                (column, row.spans.iter().find(|(first, _)| first == number))
                && is_list(heading)
            {
                self.columns.extend((number + 1..=*last).map(|next| (next, column)));
            }
        }
        self.readable = self.column("answer") > 0;
        if !self.readable {
            let message = "表头里没有 answer（答案）这一列".to_owned();
            self.problem(row.line, 0, Some("answer"), message);
        }
    }

    fn take_entry(&mut self, row: &Row) {
        let mut cells: Vec<(usize, &'static str, &str)> = Vec::with_capacity(row.cells.len());
        for (number, cell) in &row.cells {
            match self.columns.iter().find(|(known, _)| known == number) {
                Some((_, Column::Field(field))) => cells.push((*number, field, unguarded(cell))),
                Some((_, Column::Ignored)) => {}
                None => {
                    let message = format!("这一格有内容“{}”，但这一列没有表头", shortened(cell));
                    self.problem(row.line, *number, None, message);
                }
            }
        }
        if cells.is_empty() {
            return;
        }
        let text =
            |field: &str| cells.iter().find(|(_, name, _)| *name == field).map_or("", |(_, _, text)| *text);
        let (id, question, answer) = (text("id").trim(), text("question"), text("answer"));
        let alike = |known: &str, here: &str| here.is_empty() || known == here;
        let earlier =
            if id.is_empty() { self.groups.len().checked_sub(1) } else { self.by_id.get(id).copied() };
        let earlier = earlier.filter(|&index| {
            let group = &self.groups[index];
            let known = group.text("answer");
            let same_question = alike(group.text("question"), question);
            let same_answer = alike(known, answer) || (known.is_empty() && same_question);
            same_answer && (same_question || !id.is_empty())
        });
        let index = match earlier {
            Some(index) => index,
            None => {
                self.groups.push(Group { line: row.line, ..Group::default() });
                let index = self.groups.len() - 1;
                if !id.is_empty() {
                    self.by_id.entry(id.to_owned()).or_insert(index);
                }
                index
            }
        };
        self.groups[index].lines.push(row.line);
        for (column, field, text) in cells {
            if let Err(message) = self.groups[index].add(field, text, earlier.is_some(), self.reading.zone) {
                self.groups[index].faulty = true;
                self.problem(row.line, column, Some(field), message);
            }
        }
    }

    /// The entries of all rows, and what is wrong with them.
    pub(super) fn finish(mut self, problems: &mut Vec<Problem>) -> Vec<Located> {
        if !self.has_header() {
            let message = format!(
                "找不到表头：第一行应写列名，至少要有 question（标准问题）和 answer（答案）；可用的列名：{}",
                known_columns()
            );
            self.problem(self.first.unwrap_or(0), 0, None, message);
        }
        let columns: Vec<(String, usize)> = self
            .columns
            .iter()
            .filter_map(|(number, column)| match column {
                Column::Field(field) => Some(((*field).to_owned(), *number)),
                Column::Ignored => None,
            })
            .collect();
        let columns = Arc::new(columns);
        let mut located = Vec::with_capacity(self.groups.len());
        for mut group in std::mem::take(&mut self.groups) {
            for (field, name) in [("question", "标准问题"), ("answer", "答案")] {
                if group.text(field).is_empty() {
                    let column = self.column(field);
                    let message = format!("缺少{name}：每个条目都要有问题（question）和答案（answer）");
                    self.problem(group.line, column, Some(field), message);
                    group.faulty = true;
                }
            }
            let (line, file, columns) = (group.line, self.file.clone(), columns.clone());
            let (lines, faulty) = (std::mem::take(&mut group.lines), group.faulty);
            located.push(Located { entry: group.entry(), file, line, lines, faulty, columns });
        }
        problems.append(&mut self.problems);
        located
    }
}

impl Group {
    fn entry(mut self) -> Entry {
        let mut single = |field: &str| {
            let at = self.single.iter().position(|(name, _)| *name == field)?;
            Some(self.single.swap_remove(at).1)
        };
        let question = single("question").unwrap_or_default();
        Entry {
            id: single("id").map_or_else(|| EntryId::derived(&question), EntryId),
            question,
            similar: self.similar,
            answer: single("answer").unwrap_or_default(),
            keywords: self.keywords,
            rules: self.rules,
            topic: single("topic"),
            tags: self.tags,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            answers: self.answers,
            max_wrong: self.max_wrong,
            related: self.related.into_iter().map(EntryId).collect(),
            enabled: self.enabled.unwrap_or(true),
        }
    }

    /// Takes what a cell says. In a further row of the same entry, single
    /// values must agree and lists grow.
    fn add(
        &mut self,
        field: &'static str,
        cell: &str,
        further: bool,
        zone: UtcOffset,
    ) -> std::result::Result<(), String> {
        let differs = || "同一个条目的几行在这一列写得不一样，请只在第一行写，或写成一样".to_owned();
        // In further rows what is known already is a repetition, for instance
        // of a merged cell; in the first row the author's list is kept as it is.
        let extend = |known: &mut Vec<String>, more: Vec<String>| {
            for item in more {
                if !(further && known.contains(&item)) {
                    known.push(item);
                }
            }
        };
        let set = |known: &mut Option<OffsetDateTime>| {
            let new = instant(cell, zone).ok_or_else(|| {
                let cell = cell.trim();
                // What a spreadsheet stores for a date that is formatted as a number.
                let hint = if cell.parse::<f64>().is_ok() {
                    "；如果它本来是日期，请把这一列设成日期格式"
                } else {
                    ""
                };
                format!("“{cell}”不是有效的时间，应写成 {}{hint}", instant::FORMS)
            })?;
            if known.replace(new).is_some_and(|old| old != new) { Err(differs()) } else { Ok(()) }
        };
        match field {
            "similar" => {
                let more: Vec<String> =
                    list(cell).into_iter().filter(|text| !further || text != self.text("question")).collect();
                extend(&mut self.similar, more);
            }
            "keywords" => extend(&mut self.keywords, list(cell)),
            "related" => extend(&mut self.related, list(cell)),
            "tags" => extend(&mut self.tags, list(cell)),
            "rules" => {
                for rule in rules(cell)? {
                    if !(further && self.rules.contains(&rule)) {
                        self.rules.push(rule);
                    }
                }
            }
            "answers" => {
                for (channel, text) in answers(cell)? {
                    if self.answers.get(&channel).is_some_and(|known| *known != text) {
                        return Err(differs());
                    }
                    self.answers.insert(channel, text);
                }
            }
            "valid_from" => return set(&mut self.valid_from),
            "valid_until" => return set(&mut self.valid_until),
            "max_wrong" => {
                let share = share(cell).ok_or_else(|| {
                    format!("“{}”应写成 0 到 1 之间的小数，如 0.01，或百分数，如 1%", cell.trim())
                })?;
                if self.max_wrong.replace(share).is_some_and(|old| old != share) {
                    return Err(differs());
                }
            }
            "enabled" => {
                let on = switch(cell)
                    .ok_or_else(|| format!("“{}”应写成 true/false、是/否 或 1/0", cell.trim()))?;
                if self.enabled.replace(on).is_some_and(|old| old != on) {
                    return Err(differs());
                }
            }
            _ => {
                let text = if matches!(field, "id" | "topic") { cell.trim() } else { cell };
                match self.single.iter().find(|(name, _)| *name == field) {
                    None => self.single.push((field, text.to_owned())),
                    Some((_, known)) if known == text => {}
                    // One more question under the same id is one more phrasing.
                    Some(_) if field == "question" => {
                        if !self.similar.iter().any(|known| known == text) {
                            self.similar.push(text.to_owned());
                        }
                    }
                    Some(_) => return Err(differs()),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_count_like_a_spreadsheet() {
        assert_eq!([1, 26, 27, 52, 703].map(letters), ["A", "Z", "AA", "AZ", "AAA"]);
    }

    #[test]
    fn headings_as_templates_write_them() {
        for (heading, field) in [
            ("* 标准问题（必填）", "question"),
            ("标准问：", "question"),
            ("相似问 12", "similar"),
            ("Similar Questions", "similar"),
            ("相似问法(多个用换行分隔)", "similar"),
            ("答案*", "answer"),
            ("Valid_Until", "valid_until"),
            ("valid until", "valid_until"),
            ("是否启用", "enabled"),
            ("知识分类", "topic"),
            ("关键字", "keywords"),
        ] {
            assert_eq!(field_named(heading), Some(field), "{heading}");
        }
        for other in ["答案（微信）", "备注", "", "1", "序号"] {
            assert_eq!(field_named(other), None, "{other}");
        }
    }
}

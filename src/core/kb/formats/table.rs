//! What do the rows of a sheet say?
//!
//! CSV and XLSX give rows of text cells, one after the other; this makes
//! entries of them. Nothing of a row is kept but what its entry needs, so a
//! large sheet takes no more memory than its entries.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::cells::shortened;
use super::group::{Group, apart_again, said};
use super::headings::{
    has_segments, heads, is_empty_column, is_list, known_columns, segment_field, without_header,
};
use super::rejected::is_remark;
use super::{FileName, Found, Located, Passed, Reading, Said, whole};
use crate::error::Problem;

/// A row with its number in the file or sheet.
#[derive(Default)]
pub(super) struct Row {
    pub line: usize,
    /// The cells that are not blank, by their column from 1, from left to right.
    pub cells: Vec<(usize, String)>,
    /// Cells that reach over several columns: the first and the last of them.
    pub spans: Vec<(usize, usize)>,
    /// What else there is to cells, by their column.
    pub asides: Vec<(usize, Aside)>,
}

/// What a cell does not show.
pub(super) enum Aside {
    /// Where it leads to.
    Link(String),
    /// What it says to a machine: a moment in ISO order, or a plain number.
    Value(String),
    /// Nobody can know what should stand there: why, and what to do.
    Ruined(String),
    /// A picture lies over it.
    Pictured,
}

impl Row {
    /// The columns of cells with a picture over them.
    pub(super) fn pictured(&self) -> impl Iterator<Item = usize> {
        self.asides.iter().filter(|(_, aside)| matches!(aside, Aside::Pictured)).map(|(column, _)| *column)
    }

    /// Cells of which nobody can know what should stand there.
    pub(super) fn ruined(&self) -> impl Iterator<Item = (usize, &str)> {
        self.asides.iter().filter_map(|(column, aside)| match aside {
            Aside::Ruined(message) => Some((*column, message.as_str())),
            _ => None,
        })
    }
}

/// What takes the rows of a sheet, one after the other.
pub(super) trait Table {
    /// Takes the next row.
    fn take(&mut self, row: &Row);

    /// Complains of a cell.
    fn problem(&mut self, line: usize, column: usize, field: Option<&str>, message: String);

    /// Hears what the author should know although it is no fault.
    fn note(&mut self, _note: Problem) {}

    /// Hears which columns are hidden, in stretches, before the first row.
    fn hides(&mut self, _columns: &[(usize, usize)]) {}

    /// Whether it has had a row with anything in it.
    fn has_text(&self) -> bool;

    /// Whether a header was found: other sheets are notes.
    fn has_header(&self) -> bool;
}

/// Rows in front of the header that may hold a title.
pub(super) const TITLES: usize = 5;

/// Rows below the header that may say how to fill in the table.
const EXPLAINED: usize = 3;

/// Faults that are listed of one file: who has more needs no longer list.
const LISTED: usize = 10_000;

/// The letter that a spreadsheet shows above a column.
pub(super) fn letters(column: usize) -> String {
    let (mut rest, mut letters) = (column, Vec::new());
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    letters.into_iter().rev().collect()
}

/// Rows in the words of an author: 3、5–7.
pub(super) fn ranges(rows: &[usize]) -> String {
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for &row in rows {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == row => *last = row,
            _ => stretches.push((row, row)),
        }
    }
    let named = stretches
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}–{last}") });
    named.collect::<Vec<_>>().join("、")
}

/// A complaint of a cell, or of its row without a column.
pub(super) fn of_cell(file: &str, line: usize, column: usize, field: Option<&str>, message: &str) -> Problem {
    let message =
        if column > 0 { format!("（{} 列）{message}", letters(column)) } else { message.to_owned() };
    Problem { file: file.to_owned(), line, column, field: field.map(str::to_owned), message }
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
    notes: Vec<Problem>,
    /// What stood in the first row with anything in it, for the message.
    opening: Vec<String>,
    /// Hidden columns, in stretches.
    hidden: Vec<(usize, usize)>,
    passed: Passed,
    /// Whether the table is made of segments with their questions.
    segments: bool,
    /// The last row that may explain how to fill in the table.
    explains_until: usize,
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
            notes: Vec::new(),
            opening: Vec::new(),
            hidden: Vec::new(),
            passed: Passed::default(),
            segments: false,
            explains_until: 0,
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
        if row.cells.is_empty() && row.asides.is_empty() {
            return;
        }
        if self.first.is_none() {
            self.first = Some(row.line);
            self.opening = row.cells.iter().map(|(_, cell)| cell.clone()).collect();
        }
        if self.has_header() {
            if self.readable {
                self.take_entry(row);
            }
        } else if self.titles < TITLES {
            self.titles += 1;
            if heads(row, self.reading) {
                self.take_header(row);
            }
        }
    }

    fn problem(&mut self, line: usize, column: usize, field: Option<&str>, message: String) {
        if self.problems.len() == LISTED {
            let message =
                format!("问题超过 {LISTED} 处，后面的没有再检查：请先改好前面这些，或看看是不是列名写错了");
            self.problems.push(whole(&self.file, message));
            self.readable = false;
        } else if self.problems.len() < LISTED {
            self.problems.push(of_cell(&self.file, line, column, field, &message));
        }
    }

    fn note(&mut self, note: Problem) {
        if self.notes.len() < LISTED {
            self.notes.push(note);
        }
    }

    fn hides(&mut self, columns: &[(usize, usize)]) {
        self.hidden = columns.to_vec();
    }
}

impl Sheet<'_> {
    fn column(&self, field: &str) -> usize {
        let is = |column: &&(usize, Column)| matches!(column.1, Column::Field(name) if name == field);
        self.columns.iter().find(is).map_or(0, |(number, _)| *number)
    }

    fn take_header(&mut self, row: &Row) {
        self.segments = has_segments(row);
        self.explains_until = row.line + EXPLAINED;
        let mut strange: Vec<(usize, &str)> = Vec::new();
        let mut hidden: Vec<&str> = Vec::new();
        for (number, heading) in &row.cells {
            let heading = heading.trim();
            let is_ignored = self.reading.ignores(heading);
            let said = self.reading.said_of(heading).filter(|_| !is_ignored);
            let named = match said {
                None if is_ignored => None,
                None if self.segments => segment_field(heading),
                _ => self.reading.field_named(heading),
            };
            let is_hidden = self.hidden.iter().any(|(first, last)| (first..=last).contains(&number));
            let column = match named {
                // An id is seldom shown, and it says which entry the row is.
                Some(name) if is_hidden && name != "id" => {
                    hidden.push(heading);
                    Column::Ignored
                }
                Some(name) if !is_list(Some(name)) && self.column(name) > 0 => {
                    let message = format!("“{heading}”这一列出现了两次（都是 {name}），请合并");
                    self.problem(row.line, *number, Some(name), message);
                    Column::Ignored
                }
                Some(name) => Column::Field(name),
                None => {
                    let is_read =
                        said.is_none() && !is_hidden && !is_remark(heading) && !is_empty_column(heading);
                    if is_read && self.passed.takes(heading, self.reading) != Said::Named {
                        strange.push((*number, heading));
                    }
                    Column::Ignored
                }
            };
            self.columns.push((*number, column));
            // “相似问法” over three columns heads all of them.
            if let (Column::Field(_), Some((_, last))) =
                (column, row.spans.iter().find(|(first, _)| first == number))
                && is_list(named)
            {
                self.columns.extend((number + 1..=*last).map(|next| (next, column)));
            }
        }
        self.tell_of_columns(row.line, &strange, &hidden);
        self.readable = self.column("answer") > 0;
        if !self.readable {
            let message = "表头里没有 answer（答案）这一列".to_owned();
            self.problem(row.line, 0, Some("answer"), message);
        }
    }

    /// Names columns that are not read, each kind once.
    fn tell_of_columns(&mut self, line: usize, strange: &[(usize, &str)], hidden: &[&str]) {
        let listed = |headings: &[&str]| {
            headings.iter().map(|heading| format!("“{}”", shortened(heading))).collect::<Vec<_>>().join("、")
        };
        if !hidden.is_empty() {
            let message = format!(
                "{}列是隐藏的，没有导入；确实要导入，请加上 --hidden（接口里是 hidden=true）",
                listed(hidden)
            );
            self.note(of_cell(&self.file, line, 0, None, &message));
        }
        let Some((first, heading)) = strange.first() else { return };
        let headings: Vec<&str> = strange.iter().map(|(_, heading)| *heading).collect();
        if self.reading.ignore_unknown {
            let message = format!("{}没有导入：知识库里没有这些列", listed(&headings));
            self.note(of_cell(&self.file, line, 0, None, &message));
            return;
        }
        let one = format!("--ignore-column {heading}");
        let message = format!(
            "没有{}这{}列；可用的列名：{}。不需要的列请删除，或在导入时加上 --ignore-columns（接口里是 ignore_unknown=true；一次忽略所有不认识的列）{}",
            listed(&headings),
            if headings.len() == 1 { "一" } else { "几" },
            known_columns(),
            if headings.len() == 1 { format!("，或 {one}") } else { String::new() },
        );
        self.problem(line, *first, Some(heading), message);
    }

    /// Whether a row below the header says how to fill in the table.
    fn explains(&self, row: &Row) -> bool {
        const STARTS: [&str; 20] = [
            "填写说明",
            "填写要求",
            "填写示例",
            "填写规则",
            "说明：",
            "说明:",
            "示例：",
            "示例:",
            "例：",
            "例如",
            "必填",
            "选填",
            "请输入",
            "请填写",
            "此处填写",
            "这里填写",
            "不超过",
            "最多",
            "【示例】",
            "（示例）",
        ];
        row.line <= self.explains_until
            && self.groups.is_empty()
            && !row.cells.is_empty()
            && row.cells.iter().all(|(_, cell)| {
                let cell = cell.trim().trim_start_matches(['*', '(', '（']);
                STARTS.iter().any(|start| cell.starts_with(start))
            })
    }

    fn take_entry(&mut self, row: &Row) {
        if self.explains(row) {
            let message = "这一行像是填写说明，没有导入".to_owned();
            self.note(of_cell(&self.file, row.line, 0, None, &message));
            return;
        }
        let mut cells: Vec<(usize, &'static str, Cow<'_, str>)> = Vec::with_capacity(row.cells.len());
        let mut faults: Vec<(usize, &'static str, String)> = Vec::new();
        let field_of = |number: usize| self.columns.iter().find(|(known, _)| *known == number);
        for (column, message) in row.ruined() {
            if let Some((_, Column::Field(field))) = field_of(column) {
                faults.push((column, field, message.to_owned()));
            }
        }
        let mut seen = Vec::new();
        for column in row.pictured() {
            let is_empty = !row.cells.is_empty() && row.cells.iter().all(|(number, _)| *number != column);
            match field_of(column) {
                Some((_, Column::Field(field))) if is_empty && ["question", "answer"].contains(field) => {
                    let message =
                        "这一格上只有图片，图片不会导入：请把内容写成文字，图片的网址填在“图片”一列";
                    faults.push((column, field, message.to_owned()));
                }
                _ => seen.push(column),
            }
        }
        let mut unheaded = Vec::new();
        for (number, cell) in &row.cells {
            match field_of(*number) {
                Some((_, Column::Field(field))) => match said(field, *number, cell, row) {
                    Ok(said) => cells.push((*number, field, said)),
                    Err(message) => faults.push((*number, field, message)),
                },
                Some((_, Column::Ignored)) => {}
                None => unheaded.push((*number, cell)),
            }
        }
        for column in seen {
            let message = "这一格上有图片，图片不会导入：要发给顾客，请把图片的网址填在“图片”一列";
            self.note(of_cell(&self.file, row.line, column, None, message));
        }
        if !self.reading.ignore_unknown {
            for (number, cell) in unheaded {
                if self.hidden.iter().any(|(first, last)| (*first..=*last).contains(&number)) {
                    continue;
                }
                let message = format!("这一格有内容“{}”，但这一列没有表头", shortened(cell));
                self.problem(row.line, number, None, message);
            }
        }
        if cells.is_empty() && faults.is_empty() {
            return;
        }
        let text =
            |field: &str| cells.iter().find(|(_, name, _)| *name == field).map_or("", |(_, _, text)| text);
        let (id, question, answer) = (text("id").trim(), text("question"), text("answer"));
        let alike = |known: &str, here: &str| here.is_empty() || known == here;
        let earlier =
            if id.is_empty() { self.groups.len().checked_sub(1) } else { self.by_id.get(id).copied() };
        let earlier = earlier.filter(|&index| {
            let group = &self.groups[index];
            let known = group.text("answer");
            let same_question = alike(&group.as_written, question);
            let same_answer = alike(known, answer) || (known.is_empty() && same_question);
            let ruined =
                id.is_empty() && faults.iter().any(|(_, field, _)| ["question", "answer"].contains(field));
            same_answer && (same_question || !id.is_empty()) && !ruined
        });
        let index = match earlier {
            Some(index) => index,
            None => {
                self.groups.push(Group::at(row.line));
                let index = self.groups.len() - 1;
                if !id.is_empty() {
                    self.by_id.entry(id.to_owned()).or_insert(index);
                }
                index
            }
        };
        // The answer may stand below its question, and two rows may each lack a half.
        let half = earlier.map(|index| &self.groups[index]).filter(|group| {
            id.is_empty() && question.is_empty() && !answer.is_empty() && group.text("answer").is_empty()
        });
        if let Some(asked) =
            half.map(|group| shortened(group.text("question"))).filter(|asked| !asked.is_empty())
        {
            let message = format!(
                "这一行只有答案，作为上面的问题“{asked}”的答案导入；如果不是，请给这一行写上标准问题，给“{asked}”写上答案"
            );
            self.note(of_cell(&self.file, row.line, 0, Some("answer"), &message));
        }
        self.groups[index].lines.push(row.line);
        for (column, field, message) in faults {
            self.groups[index].faulty = true;
            self.groups[index].told.push(field);
            self.problem(row.line, column, Some(field), message);
        }
        for (column, field, text) in cells {
            match self.groups[index].add(field, &text, earlier.is_some(), self.reading.zone) {
                Ok(None) => {}
                Ok(Some(note)) => self.note(of_cell(&self.file, row.line, column, Some(field), &note)),
                Err(message) => {
                    self.groups[index].faulty = true;
                    self.problem(row.line, column, Some(field), message);
                }
            }
        }
    }

    /// The entries of all rows, and what is wrong with them.
    pub(super) fn finish(mut self, found: &mut Found) -> Vec<Located> {
        if !self.has_header() {
            let message = format!(
                "找不到表头：第一行应写列名，至少要有 question（标准问题）和 answer（答案）。{}。可用的列名：{}",
                without_header(&self.opening),
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
        let mut groups = std::mem::take(&mut self.groups);
        apart_again(&mut groups);
        for mut group in groups {
            group.find_question(self.segments);
            for (field, name) in [("question", "标准问题"), ("answer", "答案")] {
                // What is ruined has been told of.
                if group.text(field).is_empty() && !group.told.contains(&field) {
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
        found.problems.append(&mut self.problems);
        found.notes.append(&mut self.notes);
        found.passed.append(&mut self.passed);
        located
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
    fn rows_are_named_in_stretches() {
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[3, 5, 6, 7, 9, 10]), "3、5–7、9–10");
    }
}

//! What do the rows of a sheet say?
//!
//! CSV and XLSX give rows of text cells; this makes entries of them and rows
//! of entries. A cell is written the way an author would type it as long as
//! reading that gives back the very same value, and as JSON otherwise, so that
//! nothing is lost on the way out and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::instant::{self, instant};
use super::{FIELDS, FileName, Kind, Located};
use crate::error::{Error, Problem, Result};
use crate::kb::{Entry, EntryId, Rule};

/// A row with its number in the file or sheet.
pub(super) struct Row {
    pub line: usize,
    pub cells: Vec<String>,
}

impl Row {
    fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

/// Rows in front of the header that may hold a title.
const TITLES: usize = 5;

/// The rows of one sheet with the header taken off; `None` when no row names
/// the question's column.
pub(super) fn header(rows: &[Row]) -> Option<usize> {
    let mut filled = rows.iter().enumerate().filter(|(_, row)| !row.is_blank()).take(TITLES);
    filled
        .find(|(_, row)| row.cells.iter().any(|cell| field_named(cell) == Some("question")))
        .map(|(index, _)| index)
}

/// Reads the rows of one sheet.
pub(super) fn read(
    file: &FileName,
    rows: &[Row],
    zone: UtcOffset,
    problems: &mut Vec<Problem>,
) -> Vec<Located> {
    let Some(head) = header(rows) else {
        let message = format!(
            "找不到表头：第一行应写列名，至少要有 question（标准问题）和 answer（答案）；可用的列名：{}",
            known_columns()
        );
        let line = rows.iter().find(|row| !row.is_blank()).map_or(0, |row| row.line);
        problems.push(Problem { file: file.to_string(), line, column: 0, field: None, message });
        return Vec::new();
    };
    let mut reader =
        Reader { file, zone, problems, columns: Vec::new(), groups: Vec::new(), by_id: HashMap::new() };
    if !reader.take_header(&rows[head]) {
        return Vec::new();
    }
    for row in rows[head + 1..].iter().filter(|row| !row.is_blank()) {
        reader.take(row);
    }
    reader.finish()
}

/// The canonical name of a column, by its English or Chinese heading.
fn field_named(heading: &str) -> Option<&'static str> {
    let heading = heading.trim().trim_start_matches('\u{feff}').to_lowercase();
    // Several columns “相似问1”, “相似问2” are common.
    let plain = heading.trim_end_matches(|c: char| c.is_ascii_digit());
    FIELDS.iter().find(|field| field.name == plain || field.chinese.contains(&plain)).map(|field| field.name)
}

fn known_columns() -> String {
    let names = FIELDS.iter().map(|field| format!("{}（{}）", field.name, field.chinese.join("/")));
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

/// One entry and the rows that speak of it.
#[derive(Default)]
struct Group {
    line: usize,
    /// Fields that hold one text.
    single: HashMap<&'static str, String>,
    similar: Vec<String>,
    keywords: Vec<String>,
    related: Vec<String>,
    tags: Vec<String>,
    rules: Vec<Rule>,
    answers: BTreeMap<String, String>,
    valid_from: Option<OffsetDateTime>,
    valid_until: Option<OffsetDateTime>,
    enabled: Option<bool>,
    faulty: bool,
}

impl Group {
    fn text(&self, field: &str) -> &str {
        self.single.get(field).map_or("", String::as_str)
    }
}

struct Reader<'a> {
    file: &'a FileName,
    zone: UtcOffset,
    problems: &'a mut Vec<Problem>,
    /// Field of each column; `None` where the heading is blank.
    columns: Vec<Option<&'static str>>,
    groups: Vec<Group>,
    by_id: HashMap<String, usize>,
}

impl Reader<'_> {
    fn problem(&mut self, line: usize, column: usize, field: Option<&str>, message: String) {
        let message = if column > 0 { format!("（{} 列）{message}", letters(column)) } else { message };
        let (file, field) = (self.file.to_string(), field.map(str::to_owned));
        self.problems.push(Problem { file, line, column, field, message });
    }

    fn column(&self, field: &str) -> usize {
        self.columns.iter().position(|column| *column == Some(field)).map_or(0, |index| index + 1)
    }

    fn take_header(&mut self, row: &Row) -> bool {
        let mut sound = true;
        for (index, heading) in row.cells.iter().enumerate() {
            let heading = heading.trim();
            let field = field_named(heading);
            if field.is_none() && !heading.is_empty() {
                let message = format!("没有“{heading}”这一列；可用的列名：{}", known_columns());
                self.problem(row.line, index + 1, Some(heading), message);
                sound = false;
            }
            let is_list =
                |name: &str| FIELDS.iter().any(|field| field.name == name && field.kind == Kind::Texts);
            if let Some(name) = field.filter(|name| !is_list(name) && self.columns.contains(&Some(*name))) {
                let message = format!("“{heading}”这一列出现了两次（都是 {name}），请合并");
                self.problem(row.line, index + 1, Some(name), message);
                sound = false;
            }
            self.columns.push(field);
        }
        if self.column("answer") == 0 {
            let message = "表头里没有 answer（答案）这一列".to_owned();
            self.problem(row.line, 0, Some("answer"), message);
            sound = false;
        }
        sound
    }

    fn take(&mut self, row: &Row) {
        let cells: Vec<(usize, &'static str, String)> = row
            .cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| !cell.trim().is_empty())
            .filter_map(|(index, cell)| {
                let Some(field) = self.columns.get(index).copied().flatten() else {
                    let message = format!("这一格有内容“{}”，但这一列没有表头", shortened(cell));
                    self.problem(row.line, index + 1, None, message);
                    return None;
                };
                Some((index + 1, field, unguarded(cell).to_owned()))
            })
            .collect();
        let text = |field: &str| {
            cells.iter().find(|(_, name, _)| *name == field).map_or("", |(_, _, text)| text.as_str())
        };
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
        for (column, field, text) in cells {
            if let Err(message) = self.groups[index].add(field, &text, earlier.is_some(), self.zone) {
                self.groups[index].faulty = true;
                self.problem(row.line, column, Some(field), message);
            }
        }
    }

    fn finish(mut self) -> Vec<Located> {
        let columns: Vec<(String, usize)> = self
            .columns
            .iter()
            .enumerate()
            .filter_map(|(index, field)| field.map(|field| (field.to_owned(), index + 1)))
            .collect();
        let columns = Arc::new(columns);
        let mut located = Vec::new();
        for mut group in std::mem::take(&mut self.groups) {
            for (field, name) in [("question", "标准问题"), ("answer", "答案")] {
                if group.text(field).is_empty() {
                    let column = self.column(field);
                    let message = format!("缺少{name}：每个条目都要有问题（question）和答案（answer）");
                    self.problem(group.line, column, Some(field), message);
                    group.faulty = true;
                }
            }
            if group.faulty {
                continue;
            }
            let mut single = |field| group.single.remove(field);
            let question = single("question").unwrap_or_default();
            let entry = Entry {
                id: single("id").map_or_else(|| EntryId::derived(&question), EntryId),
                question,
                similar: group.similar,
                answer: single("answer").unwrap_or_default(),
                keywords: group.keywords,
                rules: group.rules,
                topic: single("topic"),
                tags: group.tags,
                valid_from: group.valid_from,
                valid_until: group.valid_until,
                answers: group.answers,
                related: group.related.into_iter().map(EntryId).collect(),
                enabled: group.enabled.unwrap_or(true),
            };
            located.push(Located {
                entry,
                file: self.file.clone(),
                line: group.line,
                columns: columns.clone(),
            });
        }
        located
    }
}

impl Group {
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
            let new = instant(cell, zone)
                .ok_or_else(|| format!("“{}”不是有效的时间，应写成 {}", cell.trim(), instant::FORMS))?;
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
            "enabled" => {
                let on = switch(cell)
                    .ok_or_else(|| format!("“{}”应写成 true/false、是/否 或 1/0", cell.trim()))?;
                if self.enabled.replace(on).is_some_and(|old| old != on) {
                    return Err(differs());
                }
            }
            _ => {
                let text = if matches!(field, "id" | "topic") { cell.trim() } else { cell };
                match self.single.get(field) {
                    None => {
                        self.single.insert(field, text.to_owned());
                    }
                    Some(known) if known == text => {}
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

fn shortened(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() > 20 { text.chars().take(20).chain(['…']).collect() } else { text.to_owned() }
}

/// The headings of the columns that are written.
pub(super) fn headings() -> [&'static str; FIELDS.len()] {
    FIELDS.map(|field| field.name)
}

/// The rows that say what an entry says: one, or more where a list does not
/// fit into a cell of `limit` characters.
pub(super) fn rows(entry: &Entry, limit: usize) -> Result<Vec<Vec<String>>> {
    let related = entry.related.iter().map(|id| id.0.clone()).collect();
    let lists = [
        ("similar", entry.similar.clone()),
        ("keywords", entry.keywords.clone()),
        ("tags", entry.tags.clone()),
        ("related", related),
    ];
    let mut columns: HashMap<&str, Vec<String>> = HashMap::new();
    for (field, items) in lists {
        columns.insert(field, list_cells(&items, limit)?);
    }
    let instant = |instant: Option<OffsetDateTime>| match instant {
        Some(instant) => instant.format(&Rfc3339).map_err(|e| Error::internal("export", e)),
        None => Ok(String::new()),
    };
    for (field, text) in [
        ("id", entry.id.0.clone()),
        ("question", entry.question.clone()),
        ("answer", entry.answer.clone()),
        ("rules", rules_cell(&entry.rules)?),
        ("topic", entry.topic.clone().unwrap_or_default()),
        ("valid_from", instant(entry.valid_from)?),
        ("valid_until", instant(entry.valid_until)?),
        ("answers", answers_cell(&entry.answers)?),
        ("enabled", entry.enabled.to_string()),
    ] {
        columns.insert(field, vec![text]);
    }
    let count = columns.values().map(Vec::len).max().unwrap_or(1).max(1);
    let mut rows = Vec::with_capacity(count);
    for index in 0..count {
        let mut row = Vec::with_capacity(FIELDS.len());
        for field in &FIELDS {
            let cell = match columns.get(field.name).and_then(|cells| cells.get(index)) {
                Some(cell) => guarded(cell),
                // Further rows belong to the entry by its id.
                None if field.name == "id" => guarded(&entry.id.0),
                None => String::new(),
            };
            if cell.chars().count() > limit {
                return Err(Error::Refused(format!(
                    "entry {}: {} has {} characters, a cell of this format holds {limit}; export to .jsonl or .csv",
                    entry.id,
                    field.name,
                    cell.chars().count()
                )));
            }
            row.push(cell);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Characters that make a spreadsheet take a text for a formula when they come
/// first, or first after blanks.
fn begins_a_formula(text: &str) -> bool {
    let first = text.trim_start_matches([' ', '\u{a0}', '\u{3000}']).chars().next();
    first.is_some_and(|c| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '\t' | '\r' | '\n'))
}

/// A cell that a spreadsheet shows as text: an apostrophe goes before what
/// would be a formula, and before what looks like the result of doing that.
fn guarded(text: &str) -> String {
    if begins_a_formula(text.trim_start_matches('\'')) { format!("'{text}") } else { text.to_owned() }
}

/// Undoes [`guarded`] and nothing else.
fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if begins_a_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

/// The items of a cell: a JSON list, or texts between `|` or line breaks.
fn list(cell: &str) -> Vec<String> {
    if cell.trim_start().starts_with('[')
        && let Ok(items) = serde_json::from_str(cell)
    {
        return items;
    }
    let items = cell.split(['|', '｜', '\n', '\r']).map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// The cells that hold a list: as few as the limit of a cell allows.
fn list_cells(items: &[String], limit: usize) -> Result<Vec<String>> {
    // Quotes, commas, escapes and the guard: a list in JSON is longer than its texts.
    let room = limit / 3;
    let mut cells = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let mut taken = 0;
        let mut length = 0;
        while taken < rest.len() && (taken == 0 || length + rest[taken].chars().count() <= room) {
            length += rest[taken].chars().count() + 1;
            taken += 1;
        }
        let (now, later) = rest.split_at(taken);
        let plain = now.join("|");
        cells.push(if list(&plain) == now { plain } else { json(&now)? });
        rest = later;
    }
    Ok(cells)
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("export", e))
}

/// The rules of a cell, one a line.
fn rules(cell: &str) -> std::result::Result<Vec<Rule>, String> {
    cell.lines().map(str::trim).filter(|line| !line.is_empty()).map(rule).collect()
}

fn rule(line: &str) -> std::result::Result<Rule, String> {
    let wrong = || {
        format!(
            "规则“{}”写得不对；每行一条，写成“exact: …”、“contains: 词1 词2 without: 词3”或“regex: … without: …”",
            shortened(line)
        )
    };
    if line.starts_with('{') {
        return serde_json::from_str(line).map_err(|_| wrong());
    }
    let (name, rest) = line.split_once([':', '：']).ok_or_else(wrong)?;
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let (body, without) = [" without:", " without：", " 不含:", " 不含："]
        .iter()
        .find_map(|mark| rest.split_once(mark))
        .map_or((rest, Vec::new()), |(body, without)| (body, words(without)));
    let body = body.trim();
    match name.trim().to_lowercase().as_str() {
        "exact" | "完全一致" if without.is_empty() => Ok(Rule::Exact { exact: rest.trim().to_owned() }),
        "contains" | "包含" => Ok(Rule::Contains { contains: words(body), without }),
        "regex" | "正则" => Ok(Rule::Regex { regex: body.to_owned(), without }),
        _ => Err(wrong()),
    }
}

fn rules_cell(rules: &[Rule]) -> Result<String> {
    let mut lines = Vec::with_capacity(rules.len());
    for one in rules {
        let ending = |without: &[String]| {
            if without.is_empty() { String::new() } else { format!(" without: {}", without.join(" ")) }
        };
        let plain = match one {
            Rule::Exact { exact } => format!("exact: {exact}"),
            Rule::Contains { contains, without } => {
                format!("contains: {}{}", contains.join(" "), ending(without))
            }
            Rule::Regex { regex, without } => format!("regex: {regex}{}", ending(without)),
        };
        let lossless = !plain.contains(['\n', '\r']) && rule(&plain).as_ref() == Ok(one);
        lines.push(if lossless { plain } else { json(one)? });
    }
    Ok(lines.join("\n"))
}

/// The answers of a cell by channel: a JSON object, or `channel: text` a line.
fn answers(cell: &str) -> std::result::Result<BTreeMap<String, String>, String> {
    let wrong = |line: &str| format!("“{}”应写成“渠道: 答案”，每行一个渠道，如“wechat: …”", shortened(line));
    if cell.trim_start().starts_with('{') {
        return serde_json::from_str(cell).map_err(|_| wrong(cell));
    }
    let mut answers = BTreeMap::new();
    for line in cell.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (channel, text) = line.split_once([':', '：']).ok_or_else(|| wrong(line))?;
        if answers.insert(channel.trim().to_owned(), text.trim().to_owned()).is_some() {
            return Err(format!("渠道“{}”写了两次", channel.trim()));
        }
    }
    Ok(answers)
}

fn answers_cell(texts: &BTreeMap<String, String>) -> Result<String> {
    let lines: Vec<String> = texts.iter().map(|(channel, text)| format!("{channel}: {text}")).collect();
    let plain = lines.join("\n");
    let lossless = !plain.contains('\r') && answers(&plain).as_ref() == Ok(texts);
    if lossless { Ok(plain) } else { json(texts) }
}

fn switch(cell: &str) -> Option<bool> {
    match cell.trim().to_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "是" | "启用" | "开" | "√" => Some(true),
        "false" | "0" | "no" | "n" | "否" | "停用" | "禁用" | "关" | "×" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_undone_exactly() {
        for text in [
            "=1+1", "'=1", "''=x", "+86", "-", "@a", " =1", "＝1", "\t=1", "'你好", "普通", "'", "''", "\n=1",
        ] {
            assert_eq!(unguarded(&guarded(text)), text, "{text:?}");
            assert!(!begins_a_formula(&guarded(text)), "{text:?}");
        }
        assert_eq!(guarded("'你好"), "'你好");
    }

    #[test]
    fn rules_as_authors_write_them() {
        let read = rules("exact: 转人工\ncontains: 余额 提现 without: 红包 失败\n正则：^退.*款$ 不含：不")
            .expect("sound");
        assert_eq!(
            read,
            [
                Rule::Exact { exact: "转人工".into() },
                Rule::Contains {
                    contains: vec!["余额".into(), "提现".into()],
                    without: vec!["红包".into(), "失败".into()]
                },
                Rule::Regex { regex: "^退.*款$".into(), without: vec!["不".into()] },
            ]
        );
        assert!(rules("随便写写").is_err());
        assert!(rules("{\"contains\":3}").is_err());
    }

    #[test]
    fn letters_count_like_a_spreadsheet() {
        assert_eq!([1, 26, 27, 52, 703].map(letters), ["A", "Z", "AA", "AZ", "AAA"]);
    }
}

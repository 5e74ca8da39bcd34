//! How does a value stand in a cell?
//!
//! A cell is written the way an author would type it as long as reading that
//! gives back the very same value, and as JSON otherwise, so that nothing is
//! lost on the way out and back.

use std::collections::{BTreeMap, HashMap};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::phrasings::{phrasings, questions, tidied_answer, words};
use super::ruined::looks_ruined;
use super::shown::{images_cell, links_cell};
use super::{FIELDS, Headings};
use crate::error::{Error, Result};
use crate::kb::{Entry, Rule};

pub(super) fn shortened(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() > 20 { text.chars().take(20).chain(['…']).collect() } else { text.to_owned() }
}

/// Characters that make a spreadsheet take a text for a formula when they come
/// first, or first after blanks.
fn begins_a_formula(text: &str) -> bool {
    let first = text.trim_start_matches([' ', '\u{a0}', '\u{3000}']).chars().next();
    first.is_some_and(|c| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '\t' | '\r' | '\n'))
}

/// Whether a text needs an apostrophe before it: what would be a formula, and
/// what reading would take for ruined.
fn needs_guard(text: &str) -> bool {
    begins_a_formula(text) || looks_ruined(text)
}

/// Whether a text of a field would be read as another one without a guard.
fn would_change(field: &str, text: &str) -> bool {
    match field {
        "question" => {
            let read = questions(text);
            !matches!(&read.texts[..], [one] if one == text)
        }
        "answer" => tidied_answer(text) != text,
        _ => false,
    }
}

/// A cell that a spreadsheet shows as text: an apostrophe goes before what
/// would be a formula, and before what looks like the result of doing that.
pub fn guarded(text: &str) -> String {
    guarded_in("", text)
}

/// The same, for a field: what stands in the file is what is meant.
pub(super) fn guarded_in(field: &str, text: &str) -> String {
    let bare = text.trim_start_matches('\'');
    if needs_guard(bare) || would_change(field, bare) { format!("'{text}") } else { text.to_owned() }
}

/// Undoes [`guarded`] and nothing else.
pub(super) fn unguarded(cell: &str) -> &str {
    unguarded_in("", cell).unwrap_or(cell)
}

/// Undoes [`guarded_in`]; `None` when the cell has no guard.
pub(super) fn unguarded_in<'a>(field: &str, cell: &'a str) -> Option<&'a str> {
    let rest = cell.strip_prefix('\'')?;
    let bare = rest.trim_start_matches('\'');
    (needs_guard(bare) || would_change(field, bare)).then_some(rest)
}

/// The items of a cell: a JSON list, or texts between `|` or line breaks.
pub(super) fn list(cell: &str) -> Vec<String> {
    if let Some(items) = json_list(cell) {
        return items;
    }
    let items = lines_of(cell);
    let numbered: Option<Vec<&str>> =
        items.iter().enumerate().map(|(index, item)| without_number(item, index + 1)).collect();
    // Only lines are numbered by hand; one line with a number is a text.
    let numbered = numbered.filter(|items| items.len() > 1 && cell.contains(['\n', '\r']));
    numbered.unwrap_or(items).into_iter().map(str::to_owned).collect()
}

/// A list that is written in JSON, as it is where nothing else is safe.
pub(super) fn json_list(cell: &str) -> Option<Vec<String>> {
    if !cell.trim_start().starts_with('[') {
        return None;
    }
    serde_json::from_str(cell).ok()
}

/// The texts between `|` or line breaks.
pub(super) fn lines_of(cell: &str) -> Vec<&str> {
    let items = cell.split(['|', '｜', '\n', '\r', '\u{b}', '\u{2028}']);
    items.map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// The items of a field's cell.
fn items(field: &str, cell: &str) -> Vec<String> {
    match field {
        "similar" => phrasings(cell).texts,
        "keywords" | "tags" => words(cell).texts,
        _ => list(cell),
    }
}

/// What stands behind “2.”, “2、”, “(2)” or “（2）”, if the number is the one expected.
fn without_number(item: &str, expected: usize) -> Option<&str> {
    let rest = item.trim_start_matches(['(', '（']);
    let rest = rest.strip_prefix(&expected.to_string())?;
    let text = rest.strip_prefix(['.', '．', '、', ')', '）'])?;
    // “1.5 元” is no numbering.
    let is_decimal = rest.starts_with('.') && text.starts_with(|c: char| c.is_ascii_digit());
    let text = text.trim_start();
    (!text.is_empty() && !is_decimal).then_some(text)
}

/// The cell that holds a list.
pub(super) fn listed(field: &str, texts: &[String]) -> Result<String> {
    let plain = texts.join("|");
    let lossless = items(field, &plain) == texts && super::ruined::ruined(&plain).is_none();
    if lossless { Ok(plain) } else { json(&texts) }
}

/// The cells that hold a list: as few as the limit of a cell allows.
fn list_cells(field: &str, items: &[String], limit: usize) -> Result<Vec<String>> {
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
        cells.push(listed(field, now)?);
        rest = later;
    }
    Ok(cells)
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("export", e))
}

/// The rules of a cell, one a line.
pub(super) fn rules(cell: &str) -> std::result::Result<Vec<Rule>, String> {
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
pub(super) fn answers(cell: &str) -> std::result::Result<BTreeMap<String, String>, String> {
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

/// A share as a number or in percent.
pub(super) fn share(cell: &str) -> Option<f64> {
    let cell = cell.trim();
    let value = match cell.strip_suffix(['%', '％']) {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => cell.parse().ok()?,
    };
    (value > 0.0 && value < 1.0).then_some(value)
}

pub(super) fn switch(cell: &str) -> Option<bool> {
    match cell.trim().to_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "是" | "启用" | "开" | "√" => Some(true),
        "false" | "0" | "no" | "n" | "否" | "停用" | "禁用" | "关" | "×" => Some(false),
        _ => None,
    }
}

/// The headings of the columns that are written.
pub(super) fn headings(language: Headings) -> [&'static str; FIELDS.len()] {
    FIELDS.map(|field| match language {
        Headings::En => field.name,
        Headings::Zh => field.headings[0],
    })
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
        columns.insert(field, list_cells(field, &items, limit)?);
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
        ("images", images_cell(&entry.images)?),
        ("links", links_cell(&entry.links)?),
        ("max_wrong", entry.max_wrong.map(|share| share.to_string()).unwrap_or_default()),
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
                Some(cell) => guarded_in(field.name, cell),
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
    fn lists_as_authors_write_them() {
        for (cell, items) in [
            ("怎么退|退货流程", vec!["怎么退", "退货流程"]),
            ("怎么退\r\n\r\n 退货流程 ", vec!["怎么退", "退货流程"]),
            ("1、怎么退\n2、退货流程", vec!["怎么退", "退货流程"]),
            ("(1) 怎么退\n（2）退货流程", vec!["怎么退", "退货流程"]),
            ("1.怎么退\n3.退货流程", vec!["1.怎么退", "3.退货流程"]),
            ("1.5 元的券\n2.5 元的券", vec!["1.5 元的券", "2.5 元的券"]),
            ("1、怎么退", vec!["1、怎么退"]),
        ] {
            assert_eq!(list(cell), items, "{cell:?}");
        }
        let numbered = ["1、甲".to_owned(), "2、乙".to_owned()];
        let cells = list_cells("related", &numbered, 1000).expect("short");
        assert_eq!(cells.iter().flat_map(|cell| list(cell)).collect::<Vec<_>>(), numbered);
    }
}

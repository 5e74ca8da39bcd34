//! One JSON object a line.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::UtcOffset;
use time::format_description::well_known::Rfc3339;

use super::headings::{field_named, is_empty_column};
use super::instant::{self, instant};
use super::phrasings::{phrasings, words};
use super::ruined::lost_characters;
use super::shown::{images, links};
use super::{FIELDS, FileName, Found, Kind, Located, Passed, Reading, Said, known_fields, whole};
use crate::error::{Error, Problem};
use crate::kb::{Entry, EntryId, Image, KnowledgeBase, Link, Rule};

/// Fields that a line may have: the names of a hundred thousand would be
/// compared with each other.
const MOST_FIELDS: usize = 200;

/// Faults that are listed of one file.
const LISTED: usize = 10_000;

/// Reads entries and gathers the faults of single lines.
pub(super) fn read(name: &FileName, bytes: &[u8], reading: &Reading<'_>, found: &mut Found) -> Vec<Located> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut located = Vec::new();
    if let Some(elements) = std::str::from_utf8(bytes).ok().and_then(elements) {
        for (line, text) in elements {
            // Columns are those of a line, and an element has several.
            let read = entry(text, reading, &mut found.passed).map(|(entry, _)| (entry, Vec::new()));
            let read = read.map_err(|mut faults| {
                faults.iter_mut().for_each(|fault| fault.column = 0);
                faults
            });
            take(name, line, text, read, found, &mut located);
        }
        return located;
    }
    for (index, raw) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        if found.problems.len() >= LISTED {
            let message = format!("问题超过 {LISTED} 处，后面的没有再检查：请先改好前面这些");
            found.problems.push(whole(name, message));
            break;
        }
        match std::str::from_utf8(raw) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => {
                let text = text.trim_end_matches('\r');
                let read = entry(text, reading, &mut found.passed);
                take(name, line, text, read, found, &mut located);
            }
            Err(e) => {
                let column = String::from_utf8_lossy(&raw[..e.valid_up_to()]).chars().count() + 1;
                let message = "不是有效的 UTF-8 文字，请用 UTF-8 编码保存文件".to_owned();
                take(name, line, "", Err(vec![Fault { column, field: None, message }]), found, &mut located);
            }
        }
    }
    located
}

/// Takes what a line says, or its faults.
fn take(
    name: &FileName,
    line: usize,
    text: &str,
    read: Result<(Entry, Columns), Vec<Fault>>,
    found: &mut Found,
    located: &mut Vec<Located>,
) {
    match read {
        Ok((entry, columns)) => {
            let (file, columns) = (name.clone(), Arc::new(columns));
            located.push(Located { entry, file, line, lines: vec![line], faulty: false, columns });
        }
        Err(faults) => {
            let problem = |fault: Fault| {
                let Fault { column, field, message } = fault;
                Problem { file: name.to_string(), line, column, field, message }
            };
            found.problems.extend(faults.into_iter().map(problem));
            located.push(lost(name.clone(), line, text));
        }
    }
}

/// The objects of a file that is one list, or whose objects take several
/// lines, with the lines where they begin; `None` for an object a line.
pub(super) fn elements(text: &str) -> Option<Vec<(usize, &str)>> {
    let inner = text.trim_start();
    let first = inner.lines().next().unwrap_or_default();
    // A list of anything else is told of as the line that it is.
    let is_list = inner.strip_prefix('[').is_some_and(|list| list.trim_start().starts_with(['{', ']']));
    let opened = inner.starts_with('{') && first.trim_end().ends_with(['{', ',']);
    // An object a line with a comma behind it is a fault of that line.
    let whole = |line: &str| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    let spread = opened && !whole(first.trim_end().trim_end_matches(','));
    if !is_list && !spread {
        return None;
    }
    // A list that is damaged is told of as what it is.
    if is_list && !whole(inner) {
        return None;
    }
    let top = usize::from(is_list);
    let (mut elements, mut depth, mut start) = (Vec::new(), 0usize, None);
    let (mut quoted, mut escaped) = (false, false);
    let (mut line, mut line_of_start) = (1, 1);
    for (at, byte) in text.bytes().enumerate() {
        line += usize::from(byte == b'\n');
        if quoted {
            (quoted, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        let begins = depth == top && start.is_none() && !byte.is_ascii_whitespace() && !b",]".contains(&byte);
        if begins && !(is_list && depth == 0) {
            (start, line_of_start) = (Some(at), line);
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let ends = depth == top && matches!(byte, b'}' | b']' | b',');
        if let Some(from) = start.filter(|_| ends || depth < top) {
            let until = if byte == b',' || depth < top { at } else { at + 1 };
            elements.push((line_of_start, text[from..until].trim()));
            start = None;
        }
    }
    if let Some(from) = start {
        elements.push((line_of_start, text[from..].trim()));
    }
    Some(elements)
}

/// A line that is no entry, under the id that it was meant to have.
fn lost(file: FileName, line: usize, text: &str) -> Located {
    let fields: Value = serde_json::from_str(text).unwrap_or_default();
    let said = |field: &str| fields[field].as_str().unwrap_or_default().trim().to_owned();
    let (id, question) = (said("id"), said("question"));
    let id = if id.is_empty() { EntryId::derived(&question) } else { EntryId(id) };
    let columns = Arc::new(Vec::new());
    let entry = Entry::of(id, question, String::new());
    Located { entry, file, line, lines: vec![line], faulty: true, columns }
}

/// Writes entries, one a line.
pub(super) fn write(base: &KnowledgeBase) -> crate::error::Result<Vec<u8>> {
    let mut out = Vec::new();
    for entry in base.entries() {
        serde_json::to_writer(&mut out, entry).map_err(|e| Error::internal("export", e))?;
        out.push(b'\n');
    }
    Ok(out)
}

struct Fault {
    /// 1-based, in characters; 0 for the whole line.
    column: usize,
    field: Option<String>,
    message: String,
}

/// Every field's column: where its value begins.
type Columns = Vec<(String, usize)>;

fn entry(text: &str, reading: &Reading<'_>, passed: &mut Passed) -> Result<(Entry, Columns), Vec<Fault>> {
    let zone = reading.zone;
    let value: Value = serde_json::from_str(text).map_err(|e| {
        // The parser's "at line 1" would contradict the line in the file.
        let reason = e.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let message = if e.is_eof() {
            "这一行没有写完，不是有效的 JSON：缺少引号、逗号后的内容或右括号".to_owned()
        } else {
            format!("不是有效的 JSON：{reason}")
        };
        vec![Fault { column: column_of(text, e.column().saturating_sub(1)), field: None, message }]
    })?;
    let Value::Object(written) = value else {
        let column = column_of(text, text.len() - text.trim_start().len());
        let message = "每行应是一个条目，写成一个 JSON 对象 {…}，不是数组、文字或数字".to_owned();
        return Err(vec![Fault { column, field: None, message }]);
    };
    // With those that are written twice, each of which would be told.
    let places = places(text);
    if places.len() > MOST_FIELDS {
        let message = format!("这一行的字段超过 {MOST_FIELDS} 个");
        return Err(vec![Fault { column: 0, field: None, message }]);
    }
    let mut object = Map::new();
    for (name, value) in written {
        let field = field_of(&name).map_or_else(|| name.clone(), |field| field.name.to_owned());
        let is_cell = field != name || matches!(field.as_str(), "images" | "links");
        let value = if is_cell { taken_apart(&field, value) } else { value };
        object.entry(field).or_insert(value);
    }
    let mut faults = Vec::new();
    let mut fault = |column: usize, field: &str, message: String| {
        faults.push(Fault { column, field: Some(field.to_owned()), message });
    };
    for (index, place) in places.iter().enumerate() {
        let known = field_of(&place.name).filter(|_| !reading.ignores(&place.name));
        let same = |earlier: &&Place| match known {
            Some(field) => field_of(&earlier.name).is_some_and(|other| other.name == field.name),
            None => earlier.name == place.name,
        };
        if places[..index].iter().any(|earlier| same(&earlier)) {
            fault(place.name_column, &place.name, format!("字段 {} 在这一行写了两次", place.name));
        }
        let Some(field) = known else {
            if is_empty_column(&place.name) || passed.takes(&place.name, reading) != Said::Nothing {
                object.remove(&place.name);
            } else {
                let message = format!("没有 {} 这个字段；可用的字段：{}", place.name, known_fields());
                fault(place.name_column, &place.name, message);
            }
            continue;
        };
        // `null` means "not given" for everything that may be left out.
        let Some(value) = object.get(field.name).filter(|value| !value.is_null()) else { continue };
        if let Err(message) = sound(field.kind, value, zone) {
            fault(place.value_column, &place.name, format!("{} {message}", place.name));
        } else if let Some(message) = lost_text(value) {
            fault(place.value_column, &place.name, format!("{} {message}", place.name));
        }
    }
    let column = |field: &str| {
        let is = |place: &&Place| field_of(&place.name).is_some_and(|known| known.name == field);
        places.iter().find(is).map_or(0, |place| place.value_column)
    };
    for field in ["question", "answer"] {
        if is_blank(&object, field) {
            let message = format!("缺少 {field}：每个条目都要有问题（question）和答案（answer）");
            fault(column(field), field, message);
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if is_blank(&object, "id") {
        let question = object.get("question").and_then(Value::as_str).unwrap_or_default();
        object.insert("id".to_owned(), Value::String(EntryId::derived(question).0));
    }
    object.retain(|_, value| !value.is_null());
    for field in FIELDS.iter().filter(|field| field.kind == Kind::Instant) {
        let Some(value) = object.get_mut(field.name) else { continue };
        let moment = value.as_str().and_then(|text| instant(text, zone));
        if let Some(moment) = moment.and_then(|moment| moment.format(&Rfc3339).ok()) {
            *value = Value::String(moment);
        }
    }
    let entry = serde_json::from_value(Value::Object(object)).map_err(|e| {
        vec![Fault { column: 0, field: None, message: format!("字段的名称或类型不对：{e}") }]
    })?;
    let named = |place: Place| {
        let name = field_of(&place.name).map_or(place.name, |field| field.name.to_owned());
        (name, place.value_column)
    };
    Ok((entry, places.into_iter().map(named).collect()))
}

/// The field that a key means: by its name, or as the heading of a column.
fn field_of(key: &str) -> Option<&'static super::Field> {
    let name = FIELDS_BY_NAME.iter().find(|field| field.name == key);
    name.or_else(|| {
        let name = field_named(key)?;
        FIELDS_BY_NAME.iter().find(|field| field.name == name)
    })
}

/// The fields where they can be pointed at.
static FIELDS_BY_NAME: [super::Field; FIELDS.len()] = FIELDS;

/// A list that stands in one text, as in a cell.
fn taken_apart(field: &str, value: Value) -> Value {
    match (field, &value) {
        ("similar", Value::String(text)) => phrasings(text).texts.into(),
        ("keywords" | "tags", Value::String(text)) => words(text).texts.into(),
        ("images", Value::String(text)) => images(text).map_or(value, |read| json!(read)),
        ("links", Value::String(text)) => links(text).map_or(value, |read| json!(read)),
        _ => value,
    }
}

/// What is wrong with a text of which characters were lost on the way.
fn lost_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => lost_characters(text),
        Value::Array(items) => items.iter().find_map(lost_text),
        Value::Object(items) => items.values().find_map(lost_text),
        _ => None,
    }
}

fn is_blank(object: &Map<String, Value>, field: &str) -> bool {
    object
        .get(field)
        .is_none_or(|value| value.is_null() || value.as_str().is_some_and(|s| s.trim().is_empty()))
}

/// Says in Chinese what a field should hold, when it holds something else.
fn sound(kind: Kind, value: &Value, zone: UtcOffset) -> Result<(), String> {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "真假值",
        Value::Number(_) => "数字",
        Value::String(_) => "文字",
        Value::Array(_) => "列表",
        Value::Object(_) => "对象",
    };
    let unless = |right: bool, wanted: &str| {
        if right { Ok(()) } else { Err(format!("应是{wanted}，这里是{found}")) }
    };
    match kind {
        Kind::Text => unless(value.is_string(), "带引号的文字"),
        Kind::Switch => unless(value.is_boolean(), " true 或 false（不带引号）"),
        Kind::Share => unless(value.is_number(), " 0 到 1 之间的小数（不带引号），如 0.01"),
        Kind::Texts => match value {
            Value::Array(items) if items.iter().all(Value::is_string) => Ok(()),
            Value::Array(_) => Err("列表里的每一项都应是带引号的文字".to_owned()),
            _ => unless(false, "文字的列表，如 [\"甲\",\"乙\"]"),
        },
        Kind::Answers => match value {
            Value::Object(items) if items.values().all(Value::is_string) => Ok(()),
            Value::Object(_) => Err("里每个渠道的答案都应是带引号的文字".to_owned()),
            _ => unless(false, "按渠道写的答案，如 {\"wechat\":\"…\"}"),
        },
        Kind::Images | Kind::Links if value.is_string() => {
            let cell = value.as_str().unwrap_or_default();
            let read = if kind == Kind::Images { images(cell).map(drop) } else { links(cell).map(drop) };
            read.map_err(|message| format!("里{message}"))
        }
        Kind::Images => {
            let form = "图片的列表，如 [{\"url\":\"https://…\",\"alt\":\"图片说明\"}]";
            let read = serde_json::from_value::<Vec<Image>>(value.clone());
            read.map(drop).map_err(|e| format!("应是{form}（{e}）"))
        }
        Kind::Links => {
            let form = "链接的列表，如 [{\"title\":\"标题\",\"url\":\"https://…\"}]";
            let read = serde_json::from_value::<Vec<Link>>(value.clone());
            read.map(drop).map_err(|e| format!("应是{form}（{e}）"))
        }
        Kind::Instant => match value.as_str() {
            Some(text) if instant(text, zone).is_some() => Ok(()),
            Some(text) => Err(format!("“{text}”不是有效的时间，应写成 {}", instant::FORMS)),
            None => unless(false, "带引号的时间，如 \"2026-01-31T00:00:00+08:00\""),
        },
        Kind::Rules => {
            let Value::Array(items) = value else { return unless(false, "规则的列表 […]") };
            match items.iter().position(|item| serde_json::from_value::<Rule>(item.clone()).is_err()) {
                None => Ok(()),
                Some(index) => Err(format!(
                    "的第 {} 条规则不对：应是 {{\"exact\":\"…\"}}、{{\"contains\":[…],\"without\":[…]}} 或 {{\"regex\":\"…\",\"without\":[…]}}",
                    index + 1
                )),
            }
        }
    }
}

/// Where a field stands in its line, in characters from 1.
struct Place {
    name: String,
    name_column: usize,
    value_column: usize,
}

/// The fields of a line that is a valid JSON object, in their order. The JSON
/// parser keeps no positions, and a column is what an author looks for.
fn places(text: &str) -> Vec<Place> {
    let bytes = text.as_bytes();
    let mut places: Vec<Place> = Vec::new();
    let (mut depth, mut at) = (0usize, 0usize);
    let mut name: Option<(String, usize)> = None;
    // Whether the next string at depth 1 is a name and not a value.
    let mut names = true;
    let mut awaiting = false;
    // More are refused, and every column is counted from the beginning of the line.
    while at < bytes.len() && places.len() <= MOST_FIELDS {
        let byte = bytes[at];
        if awaiting && !byte.is_ascii_whitespace() {
            awaiting = false;
            if let Some((name, from)) = name.take() {
                places.push(Place {
                    name,
                    name_column: column_of(text, from),
                    value_column: column_of(text, at),
                });
            }
        }
        match byte {
            b'"' => {
                let from = at;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if depth == 1 && names {
                    let read = text.get(from..=at).and_then(|quoted| serde_json::from_str(quoted).ok());
                    name = read.map(|read| (read, from));
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => (names, awaiting) = (false, true),
            b',' if depth == 1 => names = true,
            _ => {}
        }
        at += 1;
    }
    places
}

/// 1-based column in characters of a byte offset.
fn column_of(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count() + 1
}

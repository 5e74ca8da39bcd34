//! One JSON object a line.

use std::result::Result;

use serde_json::{Map, Value};

use super::Located;
use crate::error::{Error, Problem};
use crate::kb::{Entry, EntryId, KnowledgeBase};

/// Reads entries and gathers the faults of single lines.
pub(super) fn read(name: &str, bytes: &[u8], problems: &mut Vec<Problem>) -> Vec<Located> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut located = Vec::new();
    for (index, raw) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        let mut problem = |column: usize, field: Option<&str>, message: String| {
            problems.push(Problem { file: name.to_owned(), line, column, field: field.map(str::to_owned), message });
        };
        let text = match std::str::from_utf8(raw) {
            Ok(text) => text.trim_end_matches('\r'),
            Err(e) => {
                problem(e.valid_up_to() + 1, None, "不是有效的 UTF-8 文字，请用 UTF-8 编码保存文件".to_owned());
                continue;
            }
        };
        if text.trim().is_empty() {
            continue;
        }
        match entry(text) {
            Ok(entry) => located.push(Located { entry, line }),
            Err(fault) => {
                let column = fault.column.map_or(0, |byte| column_of(text, byte));
                problem(column, fault.field.as_deref(), fault.message);
            }
        }
    }
    located
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
    /// 1-based byte column, as serde_json counts.
    column: Option<usize>,
    field: Option<String>,
    message: String,
}

fn entry(text: &str) -> Result<Entry, Fault> {
    let mut object: Map<String, Value> = serde_json::from_str(text).map_err(|e| Fault {
        column: Some(e.column()),
        field: None,
        message: format!("不是有效的 JSON 对象：{e}"),
    })?;
    let blank = |object: &Map<String, Value>, field: &str| {
        object.get(field).is_none_or(|value| value.is_null() || value.as_str().is_some_and(|s| s.trim().is_empty()))
    };
    for field in ["question", "answer"] {
        if blank(&object, field) {
            let message = format!("缺少 {field}：每个条目都要有问题（question）和答案（answer）");
            return Err(Fault { column: None, field: Some(field.to_owned()), message });
        }
    }
    if blank(&object, "id") {
        let question = object.get("question").and_then(Value::as_str).unwrap_or_default();
        object.insert("id".to_owned(), Value::String(EntryId::derived(question).0));
    }
    // `null` means "not given" for everything that may be left out.
    object.retain(|_, value| !value.is_null());
    let keys: Vec<String> = object.keys().cloned().collect();
    serde_json::from_value(Value::Object(object)).map_err(|e| {
        let reason = e.to_string();
        let field = keys.into_iter().find(|key| fails_alone(text, key));
        // The position of the field's name in the line is what an author looks for.
        let column = field.as_ref().and_then(|field| text.find(&format!("\"{field}\""))).map(|byte| byte + 1);
        Fault { column, field, message: format!("字段的名称或类型不对：{reason}") }
    })
}

/// Whether a field, put into an otherwise sound entry, makes it unreadable.
fn fails_alone(text: &str, field: &str) -> bool {
    let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) else { return false };
    let mut probe = serde_json::json!({"id": "x", "question": "x", "answer": "x"});
    probe[field] = object.get(field).cloned().unwrap_or_default();
    serde_json::from_value::<Entry>(probe).is_err()
}

/// 1-based column in characters of a 1-based column in bytes.
fn column_of(text: &str, byte: usize) -> usize {
    let before = byte.saturating_sub(1).min(text.len());
    text.char_indices().take_while(|(at, _)| *at < before).count() + 1
}

//! How is a part of a service document changed without touching the rest of it?
//!
//! A form knows values; the document is a text with its authors' comments. What a
//! form changes is put into the text where it stands, and the text is then read
//! again: when it does not say exactly what was meant, nothing is changed.

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::document::NAME;
use super::service::{SHIPPED, Service};
use crate::error::{Error, Problem, Result};

/// What is to be changed; what is not named stays as it is.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ServicePatch)]
pub struct Patch {
    /// Keys of `[voice]` with their values; `null` takes a key out, so that it is as shipped.
    #[schema(value_type = Object)]
    pub voice: Map<String, Value>,
    /// The same of `[hours]`.
    #[schema(value_type = Object)]
    pub hours: Map<String, Value>,
    /// The same of `[ticket]`.
    #[schema(value_type = Object)]
    pub ticket: Map<String, Value>,
    /// Rules by their ids, each with the keys to change; `null` removes a rule, an
    /// id that is not there adds one at the end.
    #[schema(value_type = Object)]
    pub rules: Map<String, Value>,
    /// All ids in the order in which the rules are to stand.
    pub rule_order: Option<Vec<String>>,
}

/// The keys of a rule in the order in which they are written.
const RULE: [&str; 10] =
    ["id", "enabled", "when", "if", "action", "answer", "reason", "message", "note", "tests"];

/// What a document says, with what it leaves out as shipped: `voice`, `hours`,
/// `ticket` and `rules`, each as it is written.
///
/// # Errors
/// [`Error::Corpus`] with every fault of the document.
pub fn values(text: &str) -> Result<Value> {
    let service = Service::read(text)?;
    let written = raw(whole(text))?;
    let failed = |e: serde_json::Error| Error::internal("service", e);
    let mut hours = written.get("hours").cloned().unwrap_or_else(|| json!({}));
    if hours["time_zone"].is_null() {
        hours["time_zone"] = json!("+08:00");
    }
    let rules = match written.get("rules") {
        Some(rules) => rules.clone(),
        None => raw(SHIPPED)?.remove("rules").unwrap_or_default(),
    };
    Ok(json!({
        "voice": serde_json::to_value(&service.voice).map_err(failed)?,
        "hours": hours,
        "ticket": serde_json::to_value(&service.ticket).map_err(failed)?,
        "rules": rules,
    }))
}

/// A document with a part of it changed.
///
/// # Errors
/// [`Error::Corpus`] when the document has a fault before or afterwards, and when a
/// part of it is written in a way that cannot be changed here.
pub fn patched(text: &str, patch: &Patch) -> Result<String> {
    Service::read(text)?;
    let mut text = whole(text).trim_start_matches('\u{feff}').to_owned();
    let mut wanted = raw(&text)?;
    for (table, changes) in [("voice", &patch.voice), ("hours", &patch.hours), ("ticket", &patch.ticket)] {
        for (key, value) in changes {
            let place = format!("{table}.{key}");
            text = set(&text, table, key, value).ok_or_else(|| stuck(&place))?;
            let told = wanted.entry(table).or_insert_with(|| json!({}));
            put(told, key, value);
            agree(&text, &wanted, &place)?;
        }
    }
    if !patch.rules.is_empty() || patch.rule_order.is_some() {
        text = with_rules(&text, &mut wanted, patch)?;
        agree(&text, &wanted, "rules")?;
    }
    Service::read(&text)?;
    Ok(text)
}

/// A blank document is the shipped one.
fn whole(text: &str) -> &str {
    if text.trim().is_empty() { SHIPPED } else { text }
}

fn raw(text: &str) -> Result<Map<String, Value>> {
    toml::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| Error::internal("service", e))
}

fn put(table: &mut Value, key: &str, value: &Value) {
    let Some(table) = table.as_object_mut() else { return };
    if value.is_null() {
        table.remove(key);
    } else {
        table.insert(key.to_owned(), value.clone());
    }
}

fn stuck(place: &str) -> Error {
    let message = "这一段的写法表单改不了，请在“全文”里改";
    Error::Corpus(vec![Problem {
        file: NAME.to_owned(),
        line: 0,
        column: 0,
        field: Some(place.to_owned()),
        message: message.to_owned(),
    }])
}

/// Whether a text says what is wanted; empty tables say nothing.
fn agree(text: &str, wanted: &Map<String, Value>, place: &str) -> Result<()> {
    let plain = |map: &Map<String, Value>| -> Map<String, Value> {
        let said = map.iter().filter(|(_, value)| value.as_object().is_none_or(|table| !table.is_empty()));
        said.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let found = toml::from_str::<Map<String, Value>>(text).ok();
    if found.is_some_and(|found| plain(&found) == plain(wanted)) { Ok(()) } else { Err(stuck(place)) }
}

fn root(text: &str) -> Option<DeTable<'_>> {
    let (root, faults) = DeTable::parse_recoverable(text);
    faults.is_empty().then(|| root.into_inner())
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the line after a place begins.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// Whether a value stands behind its key and a `=`.
fn is_inline(text: &str, key_end: usize, value_start: usize) -> bool {
    text.get(key_end..value_start).is_some_and(|between| between.trim() == "=")
}

/// A text with a range of it replaced.
fn spliced(text: &str, range: std::ops::Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}

/// Puts a line at a place, which is the beginning of one or the end of the text.
fn with_line(text: &str, at: usize, line: &str) -> String {
    let gap = if at > 0 && !text[..at].ends_with('\n') { "\n" } else { "" };
    spliced(text, at..at, &format!("{gap}{line}\n"))
}

/// Sets a key of a table, which is written with a header if it is there.
fn set(text: &str, table: &str, key: &str, value: &Value) -> Option<String> {
    let root = root(text)?;
    let Some((name, found)) = root.get_key_value(table) else {
        if value.is_null() {
            return Some(text.to_owned());
        }
        let lines = format!("\n[{table}]\n{} = {}", bare(key), written(value));
        return Some(with_line(text, text.len(), &lines));
    };
    let DeValue::Table(inner) = found.get_ref() else { return None };
    let has_header = text[..name.span().start].trim_end().ends_with('[');
    let header = has_header.then(|| line_end(text, name.span().end));
    change(text, inner, header, key, value)
}

/// Sets a key in what was read of a table; new ones come at `free`.
fn change(text: &str, inner: &DeTable<'_>, free: Option<usize>, key: &str, value: &Value) -> Option<String> {
    match inner.get_key_value(key) {
        None if value.is_null() => Some(text.to_owned()),
        None => Some(with_line(text, free?, &format!("{} = {}", bare(key), written(value)))),
        Some((own, old)) => {
            if !is_inline(text, own.span().end, old.span().start) {
                return None;
            }
            if value.is_null() {
                let (start, end) = (line_start(text, own.span().start), line_end(text, old.span().end));
                return Some(spliced(text, start..end, ""));
            }
            Some(spliced(text, old.span(), &written(value)))
        }
    }
}

/// The rules of a text: the range of each, with the comment that stands right above.
fn blocks(text: &str) -> Option<Vec<std::ops::Range<usize>>> {
    let root = root(text)?;
    let Some(found) = root.get("rules") else { return Some(Vec::new()) };
    let DeValue::Array(items) = found.get_ref() else { return None };
    let mut starts = Vec::new();
    for item in items.iter() {
        let mut start = line_start(text, item.span().start);
        if !text[start..].trim_start().starts_with("[[") {
            return None;
        }
        while start > 0 {
            let above = line_start(text, start - 1);
            if !text[above..start].trim_start().starts_with('#') {
                break;
            }
            start = above;
        }
        starts.push(start);
    }
    let others = root.iter().filter(|(key, _)| key.get_ref() != "rules");
    let mut ends: Vec<usize> = others.map(|(key, _)| line_start(text, key.span().start)).collect();
    ends.extend(&starts);
    ends.push(text.len());
    let end = |start: usize| ends.iter().copied().filter(|end| *end > start).min().unwrap_or(text.len());
    Some(starts.iter().map(|&start| start..end(start)).collect())
}

/// The rules as they are wanted.
fn with_rules(text: &str, wanted: &mut Map<String, Value>, patch: &Patch) -> Result<String> {
    let mut text = text.to_owned();
    let stuck_here = || stuck("rules");
    if !wanted.contains_key("rules") {
        // Whoever writes one rule writes all of them.
        let shipped = blocks(SHIPPED).and_then(|all| Some(&SHIPPED[all.first()?.start..]));
        text = with_line(&text, text.len(), &format!("\n{}", shipped.unwrap_or_default().trim_end()));
        wanted.insert("rules".to_owned(), raw(SHIPPED)?.remove("rules").unwrap_or_default());
    }
    let mut rules: Vec<Value> = wanted.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    if rules.is_empty()
        && let Some((key, value)) = root(&text).as_ref().and_then(|root| root.get_key_value("rules"))
    {
        // `rules = []` says that there are none.
        let range = line_start(&text, key.span().start)..line_end(&text, value.span().end);
        text = spliced(&text, range, "");
    }
    let place = |rules: &[Value], id: &str| rules.iter().position(|rule| rule["id"] == id);
    for (id, changes) in &patch.rules {
        let ranges = blocks(&text).ok_or_else(stuck_here)?;
        match (place(&rules, id), changes) {
            (Some(at), Value::Null) => {
                text = spliced(&text, ranges[at].clone(), "");
                rules.remove(at);
            }
            (None, Value::Null) => {}
            (Some(at), changes) => {
                for (key, value) in changes.as_object().into_iter().flatten() {
                    put(&mut rules[at], key, value);
                }
                text = one_changed(&text, at, &rules[at], changes)
                    .ok_or_else(|| stuck(&format!("rules.{id}")))?;
            }
            (None, changes) => {
                let mut rule = json!({"id": id});
                for (key, value) in changes.as_object().into_iter().flatten() {
                    put(&mut rule, key, value);
                }
                let end = ranges.last().map_or(text.len(), |last| last.end);
                text = with_line(&text, end, &format!("\n{}", block(&rule)));
                rules.push(rule);
            }
        }
    }
    if let Some(order) = &patch.rule_order {
        let ranges = blocks(&text).ok_or_else(stuck_here)?;
        let places: Vec<usize> = order.iter().filter_map(|id| place(&rules, id)).collect();
        let mut seen = places.clone();
        seen.sort_unstable();
        if seen != (0..rules.len()).collect::<Vec<_>>() {
            return Err(stuck("rule_order"));
        }
        // Each takes the room of the one that stood there.
        let mut moved = text.clone();
        for (range, &from) in ranges.iter().zip(&places).rev() {
            let own = text[ranges[from].clone()].trim_end();
            moved = spliced(&moved, range.clone(), &format!("{own}\n\n"));
        }
        text = moved;
        rules = places.into_iter().map(|at| rules[at].clone()).collect();
    }
    if rules.is_empty() {
        text = format!("rules = []\n{text}");
    }
    wanted.insert("rules".to_owned(), rules.into());
    Ok(text)
}

/// A text with one rule changed: key by key, or as a whole where its keys are tables.
fn one_changed(text: &str, at: usize, rule: &Value, changes: &Value) -> Option<String> {
    let mut new = text.to_owned();
    for (key, value) in changes.as_object()? {
        let step = {
            let root = root(&new)?;
            let DeValue::Array(items) = root.get("rules")?.get_ref() else { return None };
            let item = items.get(at)?;
            let DeValue::Table(inner) = item.get_ref() else { return None };
            // Behind the name, which comes first.
            let free = inner.get("id").map(|id| line_end(&new, id.span().end));
            change(&new, inner, free, key, value)
        };
        match step {
            Some(changed) => new = changed,
            None => {
                let range = blocks(text)?.get(at)?.clone();
                let own = &text[range.clone()];
                let header = own.find("[[")?;
                let comment = &own[..header];
                return Some(spliced(text, range, &format!("{comment}{}\n", block(rule))));
            }
        }
    }
    Some(new)
}

/// A rule as it is written.
fn block(rule: &Value) -> String {
    let mut lines = vec!["[[rules]]".to_owned()];
    let known = RULE.iter().filter_map(|key| Some((*key, rule.get(key)?)));
    let others = rule.as_object().into_iter().flatten();
    let others =
        others.filter(|(key, _)| !RULE.contains(&key.as_str())).map(|(key, value)| (key.as_str(), value));
    lines.extend(known.chain(others).map(|(key, value)| format!("{} = {}", bare(key), written(value))));
    lines.join("\n") + "\n"
}

/// A key.
fn bare(key: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_plain) { key.to_owned() } else { quoted(key) }
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    // The escapes of JSON are those of TOML, which escapes one character more.
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A value.
fn written(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let lines: String = items.iter().map(|item| format!("  {},\n", written(item))).collect();
            format!("[\n{lines}]")
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(_, value)| !value.is_null());
            let told: Vec<String> =
                said.map(|(key, value)| format!("{} = {}", bare(key), written(value))).collect();
            format!("{{ {} }}", told.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(value: Value) -> Patch {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_what_is_changed_changes() {
        let text = "# 我们的\n[voice]\n# 欢迎语\ngreeting = \"你好\" # 短\nclosing = \"再见\"\n";
        let changed =
            patched(text, &patch(json!({"voice": {"greeting": "您好\"！\n请说", "no_answer": "不知道"}})));
        assert_eq!(
            changed.unwrap(),
            "# 我们的\n[voice]\nno_answer = \"不知道\"\n# 欢迎语\ngreeting = \"您好\\\"！\\n请说\" # 短\nclosing = \"再见\"\n"
        );
        let shorter = patched(text, &patch(json!({"voice": {"greeting": null}}))).unwrap();
        assert_eq!(shorter, "# 我们的\n[voice]\n# 欢迎语\nclosing = \"再见\"\n");
    }

    #[test]
    fn the_shipped_document_keeps_its_manual() {
        let hours = json!({"hours": {"weekdays": ["09:00-18:00"], "holidays": ["2026-10-01..2026-10-08"]}});
        let text = patched(" \n", &patch(hours)).unwrap();
        assert!(text.contains("# workdays = [\"2026-10-10\"]"), "{text}");
        assert_eq!(values(&text).unwrap()["hours"]["weekdays"], json!(["09:00-18:00"]));
        let lines = |text: &str| text.lines().count();
        assert_eq!(lines(&text), lines(SHIPPED) + 2);
        let fields = json!({"ticket": {"fields": [{"name": "a", "label": "A", "kind": "choice", "options": ["一", "二"]}]}});
        let text = patched(&text, &patch(fields)).unwrap();
        assert_eq!(values(&text).unwrap()["ticket"]["fields"][0]["options"], json!(["一", "二"]));
    }

    #[test]
    fn rules_are_switched_changed_added_moved_and_removed_by_their_ids() {
        let ids = |text: &str| -> Vec<String> {
            let told = values(text).unwrap();
            told["rules"]
                .as_array()
                .unwrap()
                .iter()
                .map(|rule| rule["id"].as_str().unwrap().to_owned())
                .collect()
        };
        let shipped = ids("");
        let on = json!({"rules": {
            "sensitive-words": {"enabled": true, "if": {"words": ["曝光"]}, "tests": null},
            "mine": {"if": {"topics": ["投诉"]}, "message": "马上转"},
            "vip": null,
        }});
        let text = patched("", &patch(on)).unwrap();
        let told = values(&text).unwrap();
        let rule = |id: &str| told["rules"].as_array().unwrap().iter().find(|rule| rule["id"] == id).cloned();
        assert_eq!(rule("sensitive-words").unwrap()["if"], json!({"words": ["曝光"]}));
        assert_eq!(rule("sensitive-words").unwrap()["reason"], json!("sensitive"));
        assert_eq!((rule("vip"), rule("mine").unwrap()["message"].clone()), (None, json!("马上转")));
        assert!(text.contains("# 会话里连续三条没有答案。"), "comments stay");
        let mut order = ids(&text);
        order.reverse();
        let moved = patched(&text, &patch(json!({"rule_order": order}))).unwrap();
        assert_eq!(ids(&moved), order);
        assert!(
            moved.contains("# 会话里连续三条没有答案。\n[[rules]]\nid = \"misses\""),
            "with their comments"
        );
        let lost = patch(json!({"rule_order": ["mine"]}));
        assert!(patched(&text, &lost).is_err(), "no rule gets lost by an order");
        // A document without rules of its own gets the shipped ones first.
        let own =
            patched("[voice]\nclosing = \"再见\"\n", &patch(json!({"rules": {"angry": {"enabled": false}}})));
        assert_eq!(ids(&own.unwrap()), shipped);
        let none = patched("rules = []\n", &patch(json!({"rules": {"a": {"if": {"angry": true}}}}))).unwrap();
        assert_eq!(ids(&none), ["a"]);
        let gone = patched(&none, &patch(json!({"rules": {"a": null}}))).unwrap();
        assert_eq!(ids(&gone), Vec::<String>::new());
    }

    #[test]
    fn a_rule_with_tables_of_its_own_is_written_anew() {
        let text = "# 上面\n[[rules]]\nid = \"a\"\n[rules.if]\nwords = [\"x\"]\n[[rules.tests]]\ntext = \"x\"\nfires = true\n\n[voice]\nclosing = \"再见\"\n";
        let new = patched(text, &patch(json!({"rules": {"a": {"if": {"words": ["x", "y"]}}}}))).unwrap();
        assert!(
            new.starts_with("# 上面\n[[rules]]\nid = \"a\"\nif = { words = [\"x\", \"y\"] }\ntests = ["),
            "{new}"
        );
        assert!(new.ends_with("[voice]\nclosing = \"再见\"\n"), "{new}");
    }

    #[test]
    fn what_cannot_be_changed_here_and_what_would_be_wrong_is_refused() {
        let inline = "voice = { greeting = \"a\" }\n";
        assert!(patched(inline, &patch(json!({"voice": {"closing": "b"}}))).is_err());
        let changed = patched(inline, &patch(json!({"voice": {"greeting": "b"}}))).unwrap();
        assert_eq!(changed, "voice = { greeting = \"b\" }\n");
        let wrong = patched("", &patch(json!({"hours": {"weekdays": ["9-18"]}}))).unwrap_err();
        let Error::Corpus(problems) = wrong else { panic!("{wrong}") };
        assert_eq!(problems[0].field.as_deref(), Some("hours.weekdays"));
    }
}

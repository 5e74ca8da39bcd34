//! What has changed between two states of a knowledge base?

use serde::Serialize;
use serde_json::Value;

use super::{Entry, EntryId};

/// The differences between two lists of entries, by id.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Diff {
    /// Entries that only the later state has, in its order.
    pub added: Vec<Named>,
    /// Entries that only the earlier state has, in its order.
    pub removed: Vec<Named>,
    /// Entries that both have and that differ, in the later order.
    pub changed: Vec<Changed>,
    /// Entries that are the same in both.
    pub unchanged: usize,
}

/// An entry by its id and question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The entry's id.
    pub id: EntryId,
    /// Its standard question.
    pub question: String,
}

/// An entry that differs, with the fields that do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    /// The entry's id.
    pub id: EntryId,
    /// Its standard question in the later state.
    pub question: String,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
}

/// A field before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// The field's name in the file formats.
    pub field: String,
    /// Its value in the earlier state.
    pub before: Value,
    /// Its value in the later state.
    pub after: Value,
    /// Of a list, the items that only the later state has; empty lists where
    /// nothing but the order differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<Vec<Value>>,
    /// Of a list, the items that only the earlier state has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Vec<Value>>,
}

impl FieldChange {
    /// How a field has changed.
    pub fn of(field: impl Into<String>, before: Value, after: Value) -> Self {
        let (added, removed) = match (&before, &after) {
            (Value::Array(old), Value::Array(new)) => (Some(only(new, old)), Some(only(old, new))),
            (Value::Array(old), Value::Null) => (Some(Vec::new()), Some(old.clone())),
            (Value::Null, Value::Array(new)) => (Some(new.clone()), Some(Vec::new())),
            _ => (None, None),
        };
        Self { field: field.into(), before, after, added, removed }
    }
}

/// A text of several lines before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextChange {
    /// The earlier one.
    pub before: String,
    /// The later one.
    pub after: String,
}

impl TextChange {
    /// How a text has changed; `None` when it has not.
    pub fn of(before: &str, after: &str) -> Option<Self> {
        (before != after).then(|| Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The lines that differ, with `-` or `+` before them: all from the first
    /// to the last one that does.
    pub fn lines(&self) -> Vec<String> {
        let (old, new): (Vec<&str>, Vec<&str>) =
            (self.before.lines().collect(), self.after.lines().collect());
        let same = |(one, other): &(&&str, &&str)| one == other;
        let head = old.iter().zip(&new).take_while(same).count();
        let rest = old.len().min(new.len()) - head;
        let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
        let told = |mark: char, lines: &[&str]| -> Vec<String> {
            lines[head..lines.len() - tail].iter().map(|line| format!("{mark} {line}")).collect()
        };
        [told('-', &old), told('+', &new)].concat()
    }
}

/// The items that `these` have more often than `those`.
fn only(these: &[Value], those: &[Value]) -> Vec<Value> {
    let mut rest: Vec<&Value> = those.iter().collect();
    let is_new = |item: &&Value| match rest.iter().position(|other| other == item) {
        Some(at) => {
            rest.swap_remove(at);
            false
        }
        None => true,
    };
    these.iter().filter(is_new).cloned().collect()
}

impl Diff {
    /// Compares two lists of entries with unique ids.
    pub fn between(before: &[Entry], after: &[Entry]) -> Self {
        let index = |entries: &[Entry]| -> std::collections::HashMap<EntryId, usize> {
            entries.iter().enumerate().map(|(index, entry)| (entry.id.clone(), index)).collect()
        };
        let (old, new) = (index(before), index(after));
        let named = |entry: &Entry| Named { id: entry.id.clone(), question: entry.question.clone() };
        let mut diff = Self {
            removed: before.iter().filter(|entry| !new.contains_key(&entry.id)).map(named).collect(),
            ..Self::default()
        };
        for entry in after {
            match old.get(&entry.id).map(|&index| &before[index]) {
                None => diff.added.push(named(entry)),
                Some(known) if known == entry => diff.unchanged += 1,
                Some(known) => diff.changed.push(Changed {
                    id: entry.id.clone(),
                    question: entry.question.clone(),
                    fields: fields(known, entry),
                }),
            }
        }
        diff
    }

    /// Whether both states are the same, apart from the order of entries.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

fn fields(before: &Entry, after: &Entry) -> Vec<FieldChange> {
    // Entries are plain data; they always have a JSON form.
    let value = |entry: &Entry| serde_json::to_value(entry).unwrap_or_default();
    let (Value::Object(before), Value::Object(after)) = (value(before), value(after)) else {
        return Vec::new();
    };
    after
        .into_iter()
        .filter_map(|(field, after)| {
            let before = before.get(&field).cloned().unwrap_or_default();
            (before != after).then(|| FieldChange::of(field, before, after))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_list_only_what_differs_is_told() {
        let change = FieldChange::of("similar", json!(["甲", "乙", "乙"]), json!(["丙", "乙", "甲", "丁"]));
        assert_eq!(change.added, Some(vec![json!("丙"), json!("丁")]));
        assert_eq!(change.removed, Some(vec![json!("乙")]));
        let order = FieldChange::of("similar", json!(["甲", "乙"]), json!(["乙", "甲"]));
        assert_eq!((order.added, order.removed), (Some(Vec::new()), Some(Vec::new())));
        let text = FieldChange::of("answer", json!("旧"), json!("新"));
        assert_eq!((text.added, text.removed), (None, None));
    }
}

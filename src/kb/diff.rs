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
            (before != after).then_some(FieldChange { field, before, after })
        })
        .collect()
}

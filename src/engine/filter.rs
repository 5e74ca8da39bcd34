//! Which entries may be found?
//!
//! What a filter or the time leaves out is no candidate of any matcher; it is
//! not taken out of a list afterwards, where it would leave gaps.

use std::collections::HashMap;

use serde_json::Value;
use time::OffsetDateTime;

use crate::kb::Entry;
use crate::text::exact_key;

/// What an entry must be labelled with. Keys add up, and of the values of one
/// key any will do; width, case and traditional characters do not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, utoipa::ToSchema)]
#[schema(example = json!({"topic": ["售后"], "tags": ["vip"]}))]
pub struct Filter {
    /// The entry's topic is one of these.
    #[schema(min_items = 1, max_items = 64)]
    pub topic: Option<Vec<String>>,
    /// The entry has one of these tags.
    #[schema(min_items = 1, max_items = 64)]
    pub tags: Option<Vec<String>>,
}

/// Why something is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterFault {
    /// A key that entries cannot be filtered by.
    #[error("entries cannot be filtered by `{0}`; known: topic, tags")]
    UnknownKey(String),
    /// A value of the wrong type.
    #[error("`{field}` must be {expected}")]
    Invalid {
        /// The path of the value.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl FilterFault {
    /// The path of what is wrong.
    pub fn field(&self) -> String {
        match self {
            Self::UnknownKey(key) => format!("filter.{key}"),
            Self::Invalid { field, .. } => field.clone(),
        }
    }
}

/// Values of one key at most.
const VALUES: usize = 64;

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// When it is no object of lists of texts, or has another key.
    pub fn read(value: &Value) -> Result<Self, FilterFault> {
        let Value::Object(fields) = value else {
            let expected = "an object such as {\"topic\":[\"…\"],\"tags\":[\"…\"]}";
            return Err(FilterFault::Invalid { field: "filter".to_owned(), expected });
        };
        let mut filter = Self::default();
        for (key, value) in fields {
            let place = match key.as_str() {
                "topic" => &mut filter.topic,
                "tags" => &mut filter.tags,
                _ => return Err(FilterFault::UnknownKey(key.clone())),
            };
            // `null` means "not given", as everywhere.
            if !value.is_null() {
                let texts = texts(value);
                let fault = || FilterFault::Invalid {
                    field: format!("filter.{key}"),
                    expected: "a list of 1 to 64 strings that are not blank",
                };
                *place = Some(texts.ok_or_else(fault)?);
            }
        }
        Ok(filter)
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let items = value.as_array().filter(|items| (1..=VALUES).contains(&items.len()))?;
    items.iter().map(|item| item.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)).collect()
}

/// By what the entries of a release can be told apart, as positions in it.
#[derive(Clone, Default)]
pub(super) struct Labels {
    topics: HashMap<String, Vec<usize>>,
    tags: HashMap<String, Vec<usize>>,
    /// Entries that are not valid always.
    timed: Vec<usize>,
}

impl Labels {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut labels = Self { topics: HashMap::new(), tags: HashMap::new(), timed: Vec::new() };
        for (index, entry) in entries.iter().enumerate() {
            if let Some(topic) = &entry.topic {
                labels.topics.entry(exact_key(topic)).or_default().push(index);
            }
            for tag in &entry.tags {
                labels.tags.entry(exact_key(tag)).or_default().push(index);
            }
            if entry.valid_from.is_some() || entry.valid_until.is_some() {
                labels.timed.push(index);
            }
        }
        labels
    }

    /// Which entries may not be found; `None` when all may.
    pub(super) fn hidden(
        &self,
        entries: &[Entry],
        filter: Option<&Filter>,
        now: OffsetDateTime,
    ) -> Option<Vec<bool>> {
        let mut hidden: Option<Vec<bool>> = None;
        for &index in self.timed.iter().filter(|&&index| !entries[index].valid_at(now)) {
            hidden.get_or_insert_with(|| vec![false; entries.len()])[index] = true;
        }
        let Some(filter) = filter else { return hidden };
        for (known, wanted) in [(&self.topics, &filter.topic), (&self.tags, &filter.tags)] {
            let Some(wanted) = wanted else { continue };
            let mut matching = vec![false; entries.len()];
            for &index in wanted.iter().filter_map(|value| known.get(&exact_key(value))).flatten() {
                matching[index] = true;
            }
            let hidden = hidden.get_or_insert_with(|| vec![false; entries.len()]);
            for (hidden, matching) in hidden.iter_mut().zip(matching) {
                *hidden |= !matching;
            }
        }
        hidden
    }
}

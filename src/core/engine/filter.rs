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

impl Filter {
    /// Whether it lets an entry through.
    pub fn accepts(&self, entry: &Entry) -> bool {
        let among = |wanted: &Option<Vec<String>>, has: &[String]| {
            let Some(wanted) = wanted else { return true };
            let has: Vec<String> = has.iter().map(|value| exact_key(value)).collect();
            wanted.iter().any(|value| has.contains(&exact_key(value)))
        };
        among(&self.topic, entry.topic.as_slice()) && among(&self.tags, &entry.tags)
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let items = value.as_array().filter(|items| (1..=VALUES).contains(&items.len()))?;
    items.iter().map(|item| item.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)).collect()
}

/// By what the entries of a release can be told apart, as positions in it.
///
/// Positions stand in ascending order: every question reads many of them, an
/// edit moves one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Labels {
    topics: HashMap<String, Vec<usize>>,
    tags: HashMap<String, Vec<usize>>,
    /// Entries that are not valid always.
    timed: Vec<usize>,
}

impl Labels {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut labels = Self::default();
        // What is switched off is a place that a live edit left free.
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.enabled) {
            labels.add(at, entry);
        }
        labels
    }

    /// Puts an entry at a place that has none.
    pub(super) fn add(&mut self, at: usize, entry: &Entry) {
        if let Some(topic) = &entry.topic {
            insert(self.topics.entry(exact_key(topic)).or_default(), at);
        }
        for tag in &entry.tags {
            insert(self.tags.entry(exact_key(tag)).or_default(), at);
        }
        if entry.valid_from.is_some() || entry.valid_until.is_some() {
            insert(&mut self.timed, at);
        }
    }

    /// Takes away the entry at a place.
    pub(super) fn remove(&mut self, at: usize, entry: &Entry) {
        if let Some(topic) = &entry.topic {
            forget(&mut self.topics, topic, at);
        }
        for tag in &entry.tags {
            forget(&mut self.tags, tag, at);
        }
        take(&mut self.timed, at);
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

/// An entry may have a tag twice, in two ways of writing.
fn insert(places: &mut Vec<usize>, at: usize) {
    if let Err(index) = places.binary_search(&at) {
        places.insert(index, at);
    }
}

fn take(places: &mut Vec<usize>, at: usize) {
    if let Ok(index) = places.binary_search(&at) {
        places.remove(index);
    }
}

fn forget(known: &mut HashMap<String, Vec<usize>>, label: &str, at: usize) {
    let key = exact_key(label);
    if let Some(places) = known.get_mut(&key) {
        take(places, at);
        if places.is_empty() {
            known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same every time (Knuth's MMIX).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % n
        }

        fn entry(&mut self) -> Entry {
            let mut entry: Entry =
                serde_json::from_str(r#"{"id":"a","question":"问","answer":"答"}"#).unwrap();
            entry.topic = [None, Some("售后"), Some("付款"), Some("付 款")][self.below(4)].map(str::to_owned);
            let tags = ["vip", "VIP", "ＶＩＰ", "新客"];
            entry.tags = (0..self.below(4)).map(|_| tags[self.below(tags.len())].to_owned()).collect();
            entry.valid_from = (self.below(3) == 0).then_some(OffsetDateTime::UNIX_EPOCH);
            entry.valid_until = (self.below(3) == 0).then_some(OffsetDateTime::UNIX_EPOCH);
            entry
        }
    }

    #[test]
    fn a_filter_lets_through_what_the_labels_do() {
        let mut dice = Dice(7);
        let entries: Vec<Entry> =
            (0..200).map(|_| Entry { valid_from: None, valid_until: None, ..dice.entry() }).collect();
        let labels = Labels::of(&entries);
        for (topic, tags) in
            [(Some("付款"), None), (None, Some("vip")), (Some("售 后"), Some("新客")), (None, None)]
        {
            let some = |value: Option<&str>| value.map(|value| vec![value.to_owned(), "别的".to_owned()]);
            let filter = Filter { topic: some(topic), tags: some(tags) };
            let hidden = labels.hidden(&entries, Some(&filter), OffsetDateTime::UNIX_EPOCH);
            for (at, entry) in entries.iter().enumerate() {
                let lets = !hidden.as_ref().is_some_and(|hidden| hidden[at]);
                assert_eq!(filter.accepts(entry), lets, "{filter:?} {entry:?}");
            }
        }
    }

    #[test]
    fn labels_after_edits_are_those_of_the_entries() {
        let mut dice = Dice(1);
        let mut entries: Vec<Entry> = (0..5).map(|_| dice.entry()).collect();
        let mut labels = Labels::of(&entries);
        let mut free = Vec::new();
        for step in 0..600 {
            let taken: Vec<usize> = (0..entries.len()).filter(|&at| entries[at].enabled).collect();
            // As many entries come as go, so that places become free and are taken again.
            match (dice.below(3), taken.is_empty()) {
                (0, _) | (_, true) => {
                    let (at, entry) = (free.pop().unwrap_or(entries.len()), dice.entry());
                    labels.add(at, &entry);
                    if at == entries.len() {
                        entries.push(entry);
                    } else {
                        entries[at] = entry;
                    }
                }
                (1, false) => {
                    let at = taken[dice.below(taken.len())];
                    labels.remove(at, &entries[at]);
                    entries[at].enabled = false;
                    free.push(at);
                }
                _ => {
                    let at = taken[dice.below(taken.len())];
                    labels.remove(at, &entries[at]);
                    entries[at] = dice.entry();
                    labels.add(at, &entries[at]);
                }
            }
            assert_eq!(labels, Labels::of(&entries), "step {step}");
        }
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.enabled) {
            labels.remove(at, entry);
        }
        assert_eq!(labels, Labels::default(), "labels that no entry has are gone");
    }
}

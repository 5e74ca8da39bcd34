//! What is learned, and what is held out?

use std::collections::HashMap;

use serde::Serialize;

use super::Settings;
use super::dice::lot;
use crate::encoder::Seen;
use crate::error::{Error, Result};
use crate::eval::dataset::{Expect, LabelledQuery};
use crate::kb::{Entry, EntryId};
use crate::release::background;
use crate::text::exact_key;

/// Fewer phrasings than these cannot tell a better model from luck.
const FEWEST_HELD_OUT: usize = 50;

/// What was learned and what was held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Entries with phrasings.
    pub entries: usize,
    /// Phrasings trained on, accepted queries among them.
    pub trained: usize,
    /// Phrasings held out, accepted queries among them.
    pub held_out: usize,
    /// Queries among both.
    pub queries: usize,
    /// Queries that were left out: known already, or right under several entries.
    pub queries_left_out: usize,
    /// Strangers trained on.
    pub strangers: usize,
    /// Strangers held out.
    pub strangers_held_out: usize,
}

/// Texts for training and texts for the check. An entry is its position among
/// all entries.
#[derive(Debug)]
pub(super) struct Material {
    pub trained: Vec<(String, usize)>,
    pub held_out: Vec<(String, usize)>,
    pub strangers: Vec<String>,
    pub strangers_held_out: Vec<String>,
    pub sizes: Sizes,
}

impl Material {
    /// Gathers texts and splits them. What the model to begin with has `seen`
    /// is never held out.
    pub fn gather(
        entries: &[Entry],
        queries: &[LabelledQuery],
        seen: &Seen,
        settings: Settings,
    ) -> Result<Self> {
        let place: HashMap<&EntryId, usize> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.enabled)
            .map(|(index, entry)| (&entry.id, index))
            .collect();
        let mut known: HashMap<String, Option<usize>> = HashMap::new();
        let mut by_entry: Vec<Vec<String>> = vec![Vec::new(); entries.len()];
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.enabled) {
            for text in entry.phrasings() {
                if known.insert(exact_key(text), Some(index)).is_none() {
                    by_entry[index].push(text.to_owned());
                }
            }
        }
        let (mut used, mut left_out) = (0, 0);
        let mut outside: Vec<String> = Vec::new();
        for query in queries {
            let entry = match &query.expect {
                Expect::One(id) => place.get(id).copied().map(Some),
                Expect::AnyOf(ids) if ids.len() == 1 => place.get(&ids[0]).copied().map(Some),
                Expect::AnyOf(ids) if !ids.is_empty() => None,
                _ => Some(None),
            };
            let key = exact_key(&query.text);
            match entry {
                Some(entry) if !key.is_empty() && !known.contains_key(&key) => {
                    known.insert(key, entry);
                    used += 1;
                    match entry {
                        Some(entry) => by_entry[entry].push(query.text.clone()),
                        None => outside.push(query.text.clone()),
                    }
                }
                _ => left_out += 1,
            }
        }
        // A background question that the knowledge base knows is no stranger.
        let background = background()?.into_iter().filter(|text| !known.contains_key(&exact_key(text)));
        let mut material = Self::split(&by_entry, background.chain(outside).collect(), seen, settings);
        material.sizes.queries = used;
        material.sizes.queries_left_out = left_out;
        if material.held_out.len() < FEWEST_HELD_OUT {
            return Err(Error::Refused(format!(
                "{} phrasings can be held out to judge an adapted model by, {FEWEST_HELD_OUT} are needed: {} entries have {} phrasings in all; add similar questions, or questions that customers asked with `--queries FILE`",
                material.held_out.len(),
                material.sizes.entries,
                material.trained.len() + material.held_out.len(),
            )));
        }
        Ok(material)
    }

    fn split(by_entry: &[Vec<String>], others: Vec<String>, seen: &Seen, settings: Settings) -> Self {
        let (mut trained, mut held_out) = (Vec::new(), Vec::new());
        // What an entry is too small to give, a later one gives.
        let mut owed = 0.0f64;
        for (entry, texts) in by_entry.iter().enumerate() {
            let mut order: Vec<&String> = texts.iter().collect();
            order.sort_by_key(|text| (lot(settings.seed, text), text.as_str()));
            owed = (owed + settings.held_out * texts.len() as f64)
                .min(1.0 + settings.held_out * texts.len() as f64);
            // A hair more, for sums of shares that should be whole.
            let mut room = ((owed + 1e-9) as usize).min(texts.len().saturating_sub(1));
            for text in order {
                if room > 0 && !seen.contains(text) {
                    room -= 1;
                    owed -= 1.0;
                    held_out.push((text.clone(), entry));
                } else {
                    trained.push((text.clone(), entry));
                }
            }
        }
        let (strangers_held_out, strangers): (Vec<String>, Vec<String>) = others
            .into_iter()
            .partition(|text| lot(settings.seed, text).is_multiple_of(2) && !seen.contains(text));
        let sizes = Sizes {
            entries: by_entry.iter().filter(|texts| !texts.is_empty()).count(),
            trained: trained.len(),
            held_out: held_out.len(),
            queries: 0,
            queries_left_out: 0,
            strangers: strangers.len(),
            strangers_held_out: strangers_held_out.len(),
        };
        Self { trained, held_out, strangers, strangers_held_out, sizes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(entries: usize, phrasings: usize) -> Vec<Vec<String>> {
        (0..entries).map(|e| (0..phrasings).map(|p| format!("条目{e}问法{p}")).collect()).collect()
    }

    const SETTINGS: Settings = Settings { seed: 1, held_out: 0.2, limit: None };

    #[test]
    fn a_share_is_held_out_and_every_entry_keeps_a_phrasing() {
        for phrasings in 1..8 {
            let split = Material::split(&texts(100, phrasings), Vec::new(), &Seen::default(), SETTINGS);
            assert_eq!(split.trained.len() + split.held_out.len(), 100 * phrasings);
            let expected = if phrasings == 1 { 0 } else { 20 * phrasings };
            assert_eq!(split.held_out.len(), expected, "{phrasings} phrasings an entry");
            for entry in 0..100 {
                assert!(split.trained.iter().any(|(_, trained)| *trained == entry), "entry {entry}");
            }
        }
    }

    #[test]
    fn what_was_seen_is_never_held_out() {
        let texts = texts(50, 6);
        let first = Material::split(&texts, Vec::new(), &Seen::default(), SETTINGS);
        let mut seen = Seen::default();
        first.trained.iter().for_each(|(text, _)| seen.add(text));
        let other_seed = Settings { seed: 2, ..SETTINGS };
        let second = Material::split(&texts, Vec::new(), &seen, other_seed);
        assert!(!second.held_out.is_empty());
        assert!(second.held_out.iter().all(|(text, _)| !seen.contains(text)));
    }
}

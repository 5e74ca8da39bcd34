//! How does an edit get into an open release?
//!
//! A release in memory takes edits one by one: an entry is put or taken away,
//! and nothing else is made anew. Places of entries and phrasings stay what
//! they are; those that edits left free are used again, so that memory
//! depends on what is there and not on how many edits led to it. Calibration
//! and dictionary stay those of the release until the next publication.

use std::collections::{HashMap, HashSet};

use super::Release;
use crate::decide::handoff;
use crate::encoder::Embedding;
use crate::error::{Error, Result};
use crate::kb::{Entry, EntryId};
use crate::retrieve::Phrasing;
use crate::text::{Normalized, Term, written};

/// One entry as it shall be from a revision on, with all that takes time
/// done: it is applied to two copies of a release (see [`crate::engine::Live`]).
#[derive(Debug, Clone)]
pub struct Edit {
    /// The revision.
    revision: i64,
    id: EntryId,
    /// `None` when it is not to be found any more.
    entry: Option<Entry>,
    phrasings: Vec<Prepared>,
}

impl Edit {
    /// The entry that it is about.
    pub fn id(&self) -> &EntryId {
        &self.id
    }
}

#[derive(Debug, Clone)]
struct Prepared {
    text: String,
    normalized: Normalized,
    terms: Vec<Term>,
    vector: Option<Embedding>,
}

/// Where everything is, in a release that takes edits.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    entries: HashMap<EntryId, usize>,
    /// By place of an entry.
    phrasings: Vec<Vec<usize>>,
    /// By place of an entry: where its rules stand among all rules.
    orders: Vec<i64>,
    free_entries: Vec<usize>,
    /// Those of published phrasings are never among them.
    free_phrasings: Vec<usize>,
    /// Phrasings in the published index.
    published: usize,
    /// Phrasings that are there now.
    count: usize,
}

impl Places {
    fn of(release: &Release) -> Self {
        let mut phrasings = vec![Vec::new(); release.entries.len()];
        for (place, phrasing) in release.phrasings.iter().enumerate() {
            phrasings[phrasing.entry].push(place);
        }
        Self {
            entries: release.entries.iter().enumerate().map(|(at, entry)| (entry.id.clone(), at)).collect(),
            phrasings,
            orders: (0..).take(release.entries.len()).collect(),
            free_entries: Vec::new(),
            free_phrasings: Vec::new(),
            published: release.phrasings.len(),
            count: release.phrasings.len(),
        }
    }
}

impl Release {
    /// Prepares edits, each an entry as it is to be from a revision on:
    /// everything that takes time. Only phrasings that the entry did not have
    /// are embedded, many of them on all cores.
    ///
    /// # Errors
    /// When the model fails.
    pub fn prepare(&self, changes: Vec<(i64, EntryId, Option<Entry>)>) -> Result<Vec<Edit>> {
        let made;
        let places = match &self.places {
            Some(places) => places,
            None => {
                made = Places::of(self);
                &made
            }
        };
        let mut edits: Vec<Edit> = changes
            .into_iter()
            .map(|(revision, id, entry)| self.prepared(places, revision, id, entry))
            .collect();
        if let Some(encoder) = &self.encoder {
            let waiting = |phrasing: &&mut Prepared| phrasing.vector.is_none();
            let all = edits.iter_mut().flat_map(|edit| edit.phrasings.iter_mut());
            let mut missing: Vec<&mut Prepared> = all.filter(waiting).collect();
            let texts: Vec<String> = missing.iter().map(|phrasing| phrasing.text.clone()).collect();
            let vectors = match texts.as_slice() {
                // The encoder remembers a single one.
                [text] => vec![encoder.embed(text)?],
                texts => encoder.embed_all(texts, &|_| ())?,
            };
            for (phrasing, vector) in missing.iter_mut().zip(vectors) {
                phrasing.vector = Some(vector);
            }
        }
        Ok(edits)
    }

    fn prepared(&self, places: &Places, revision: i64, id: EntryId, entry: Option<Entry>) -> Edit {
        // A switched off entry is not to be found.
        let entry = entry.filter(|entry| entry.enabled);
        let mut phrasings = Vec::new();
        let mut seen = HashSet::new();
        for text in entry.iter().flat_map(Entry::phrasings) {
            let normalized = self.analyzer.normalize(text);
            if !seen.insert(normalized.exact.clone()) {
                continue;
            }
            let terms = self.analyzer.analyze(text, normalized.clone()).terms();
            let vector = self.known_vector(places, &id, text);
            phrasings.push(Prepared { text: text.to_owned(), normalized, terms, vector });
        }
        Edit { revision, id, entry, phrasings }
    }

    /// The vector of a phrasing that the entry has already.
    fn known_vector(&self, places: &Places, id: &EntryId, text: &str) -> Option<Embedding> {
        let semantic = self.semantic.as_ref()?;
        let entry = *places.entries.get(id)?;
        let phrasing = places.phrasings[entry].iter().find(|&&place| self.phrasings[place].text == text)?;
        Some(semantic.vector(*phrasing))
    }

    /// Applies an edit.
    ///
    /// # Errors
    /// When the entry has a rule that is no regular expression; then nothing
    /// is changed.
    pub fn apply(&mut self, edit: &Edit) -> Result<()> {
        let mut places = match self.places.take() {
            Some(places) => places,
            None => Places::of(self),
        };
        let result = self.apply_in(&mut places, edit);
        self.places = Some(places);
        result
    }

    fn apply_in(&mut self, places: &mut Places, edit: &Edit) -> Result<()> {
        let known = places.entries.get(&edit.id).copied();
        if let Some(entry) = &edit.entry {
            for rule in &entry.rules {
                if let Err(message) = rule.check() {
                    return Err(Error::internal("rules", message));
                }
            }
        }
        if let Some(at) = known {
            self.take_away(places, at);
        }
        let Some(entry) = &edit.entry else {
            if let Some(at) = known {
                places.entries.remove(&edit.id);
                places.free_entries.push(at);
                // Whoever holds its place must not find anything to give.
                self.entries[at] = Entry { enabled: false, ..self.entries[at].clone() };
            }
            return Ok(());
        };
        let at = known.unwrap_or_else(|| self.new_place(places, edit));
        self.entries[at] = entry.clone();
        let normalized: Vec<Normalized> =
            edit.phrasings.iter().map(|phrasing| phrasing.normalized.clone()).collect();
        self.wording.add(at, entry);
        self.exact
            .add(at, entry, &normalized, places.orders[at], self.analyzer.lexicon().normalizer())
            .map_err(|e| Error::internal("rules", e))?;
        for keyword in &entry.keywords {
            std::sync::Arc::make_mut(&mut self.sounds).teach(&written(keyword));
        }
        for prepared in &edit.phrasings {
            let place = places.free_phrasings.pop().unwrap_or(self.phrasings.len());
            let phrasing =
                Phrasing { entry: at, text: prepared.text.clone(), normalized: prepared.normalized.clone() };
            self.lexical.add(place, &phrasing, &prepared.terms);
            self.wording.add_phrasing(place, at, &phrasing.normalized);
            std::sync::Arc::make_mut(&mut self.sounds).learn(&phrasing.normalized.core);
            std::sync::Arc::make_mut(&mut self.writings).learn(&phrasing.normalized.core);
            if let (Some(semantic), Some(vector)) = (&mut self.semantic, &prepared.vector) {
                semantic.add(place, at, vector);
            }
            if handoff::is_pleasantry(&phrasing.normalized.core) {
                self.pleasantries.push(place);
            }
            if place == self.phrasings.len() {
                self.phrasings.push(phrasing);
            } else {
                self.phrasings[place] = phrasing;
            }
            places.phrasings[at].push(place);
            places.count += 1;
        }
        Ok(())
    }

    /// A place for an entry that was not there; its rules come after all others.
    fn new_place(&mut self, places: &mut Places, edit: &Edit) -> usize {
        let at = places.free_entries.pop().unwrap_or(self.entries.len());
        let order = i64::try_from(places.published).unwrap_or(i64::MAX).saturating_add(edit.revision);
        if at == self.entries.len() {
            if let Some(entry) = &edit.entry {
                self.entries.push(entry.clone());
            }
            places.phrasings.push(Vec::new());
            places.orders.push(order);
        } else {
            places.orders[at] = order;
        }
        places.entries.insert(edit.id.clone(), at);
        at
    }

    fn take_away(&mut self, places: &mut Places, at: usize) {
        let gone = std::mem::take(&mut places.phrasings[at]);
        let normalized = gone.iter().map(|&place| &self.phrasings[place].normalized);
        self.exact.remove(at, &self.entries[at], normalized, self.analyzer.lexicon().normalizer());
        self.wording.remove(at);
        for place in gone {
            let phrasing = &self.phrasings[place];
            let terms = self.analyzer.analyze(&phrasing.text, phrasing.normalized.clone()).terms();
            self.lexical.remove(place, phrasing, &terms);
            if let Some(semantic) = &mut self.semantic {
                semantic.remove(place);
            }
            places.count -= 1;
            if place >= places.published {
                places.free_phrasings.push(place);
            }
        }
    }

    /// How many edits were made since it was published.
    pub fn edits(&self) -> usize {
        self.edits
    }

    /// Says how many edits there were: of several ones of an entry only the
    /// last one needs to be applied.
    pub fn count_edits(&mut self, edits: usize) {
        self.edits = edits;
    }

    /// What replies call it: `12`, or `12+3` after three edits.
    pub fn label(&self) -> String {
        match self.edits {
            0 => self.manifest.number.to_string(),
            edits => format!("{}+{edits}", self.manifest.number),
        }
    }

    /// The entry with an id, unless it is not to be found.
    pub fn entry(&self, id: &EntryId) -> Option<&Entry> {
        self.position(id).map(|at| &self.entries[at])
    }

    /// The position of the entry with an id, unless it is not to be found.
    pub fn position(&self, id: &EntryId) -> Option<usize> {
        match &self.places {
            Some(places) => places.entries.get(id).copied(),
            None => self.entries.iter().position(|entry| entry.id == *id),
        }
    }

    /// Entries and phrasings that are there now.
    pub fn counts(&self) -> (usize, usize) {
        match &self.places {
            Some(places) => (places.entries.len(), places.count),
            None => (self.entries.len(), self.phrasings.len()),
        }
    }

    /// How much memory it takes while it is open, in bytes: an estimate, measured with
    /// releases of 1,000 and 10,000 phrasings (`benches/capacity.py`). The model is not in it:
    /// it is there once.
    pub fn weight(&self) -> u64 {
        /// What a release of next to nothing takes: its index, rules and calibration.
        const BASE: u64 = 2 << 20;
        /// What a phrasing takes, with its share of the index and of its entry.
        const PHRASING: u64 = 2_700;
        let (_, phrasings) = self.places();
        BASE + PHRASING * u64::try_from(phrasings).unwrap_or(u64::MAX / PHRASING / 2)
    }

    /// Places of entries and phrasings that memory is taken for.
    pub fn places(&self) -> (usize, usize) {
        (self.entries.len(), self.phrasings.len())
    }
}

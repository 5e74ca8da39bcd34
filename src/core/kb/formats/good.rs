//! Which entries of a file can be taken although others have faults?
//!
//! What has a fault is handed back, and so is what contradicts an entry that
//! came before it: the first one keeps. A column that nobody knows is told of
//! and not read. Other faults belong to no row, such as that of a sheet without
//! a header, and nothing can be handed back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::claims::{Claims, Keys, doubled};
use super::{FileName, Incoming, Located, faulty};
use crate::error::{Problem, Result};
use crate::kb::merge::Mode;
use crate::kb::{Entry, EntryId, KnowledgeBase};

/// What is not taken from a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rejects {
    /// Everything that is wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// Entries, or rows that are none, that are handed back.
    pub entries: usize,
    /// Entries of the knowledge base that stay because the row that was to
    /// take their place is handed back.
    pub kept: usize,
    /// By file or sheet the rows of each of them.
    pub(super) rows: HashMap<FileName, Vec<Vec<usize>>>,
}

impl Rejects {
    /// Whether everything is taken.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }
}

/// Whether entries that were validated under another set of rules still hold
/// together; `name` is what problems call the place where they stand.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with every fault found.
pub fn recheck(name: &str, entries: &[Entry]) -> Result<()> {
    let known = known(name, entries);
    let keys = Keys::of_all(&known);
    let mut claims = Claims::default();
    let problems: Vec<Problem> =
        known.iter().zip(&keys).flat_map(|(one, keys)| claims.add(one, keys)).collect();
    if problems.is_empty() { Ok(()) } else { Err(faulty(problems)) }
}

/// Entries that stand in no file.
pub(super) fn known(name: &str, entries: &[Entry]) -> Vec<Located> {
    let (file, columns): (FileName, _) = (name.into(), Arc::new(Vec::new()));
    let numbered = (1..).zip(entries);
    numbered
        .map(|(line, entry)| {
            let (entry, file, columns) = (entry.clone(), file.clone(), columns.clone());
            Located { entry, file, line, lines: Vec::new(), faulty: false, columns }
        })
        .collect()
}

impl Incoming {
    /// Brings what is good into a knowledge base that is there already, and
    /// says what is handed back. An entry whose new row is handed back stays
    /// as it is in every mode.
    ///
    /// # Errors
    /// [`crate::error::Error::Corpus`] with the faults that belong neither to a
    /// row nor to a column.
    pub fn good_into_base(self, base: &KnowledgeBase, mode: Mode) -> Result<(KnowledgeBase, Rejects)> {
        let Self { located, problems, .. } = self;
        let mut first: HashMap<String, usize> = HashMap::new();
        for one in &located {
            let line = first.entry(one.file.to_string()).or_insert(one.line);
            *line = (*line).min(one.line);
        }
        // The header stands above all entries of its sheet.
        let is_of_row = |problem: &Problem| {
            problem.line > 0 && first.get(problem.file.as_str()).is_some_and(|line| *line <= problem.line)
        };
        let (mut problems, of_files): (Vec<_>, Vec<_>) = problems.into_iter().partition(is_of_row);
        // A column of a sheet whose other columns can be read.
        let is_of_column =
            |problem: &Problem| problem.column > 0 && first.contains_key(problem.file.as_str());
        if !of_files.iter().all(is_of_column) {
            return Err(faulty(of_files));
        }
        let bad: HashSet<(String, usize)> =
            problems.iter().map(|problem| (problem.file.clone(), problem.line)).collect();
        let is_bad = |one: &Located| {
            one.faulty || one.lines.iter().any(|line| bad.contains(&(one.file.to_string(), *line)))
        };
        let mut taken: Vec<bool> = located.iter().map(|one| !is_bad(one)).collect();
        // Of rows with one id all are handed back as soon as one of them is: by itself and mended
        // it would take the place of the one that was taken.
        let mut found = Vec::new();
        let mut named: HashMap<&EntryId, Vec<usize>> = HashMap::new();
        for (at, one) in located.iter().enumerate().filter(|(_, one)| !one.has_derived_id()) {
            named.entry(&one.entry.id).or_default().push(at);
        }
        for places in named.into_values().filter(|places| places.len() > 1) {
            if places.iter().any(|&at| is_bad(&located[at])) {
                for &at in &places {
                    let other = if at == places[0] { places[1] } else { places[0] };
                    found.push(doubled(&located[at], &located[other]));
                    taken[at] = false;
                }
            }
        }
        let known = known("现有草稿", base.entries());
        let places: HashMap<&EntryId, usize> =
            known.iter().enumerate().map(|(at, one)| (&one.entry.id, at)).collect();
        if mode == Mode::Add {
            // What is there already is no fault; it is not looked at.
            for (one, taken) in located.iter().zip(&mut taken) {
                *taken &= !places.contains_key(&one.entry.id);
            }
        }
        let skipped: Vec<bool> = located
            .iter()
            .zip(&taken)
            .map(|(one, taken)| mode == Mode::Add && !taken && !is_bad(one))
            .collect();
        let (keys, known_keys) = (Keys::of_all(&located), Keys::of_all(&known));
        // What is handed back leaves the old entry where it is, and that may
        // have what another row wants: until nothing more goes.
        let stays = loop {
            let stays = staying(&located, &taken, &skipped, &known, mode);
            let mut claims = Claims::default();
            let staying = known.iter().zip(&known_keys).zip(&stays).filter(|(_, stays)| **stays);
            staying.for_each(|((one, keys), _)| claims.join(one, keys));
            let before = found.len();
            let taking = located.iter().zip(&keys).zip(&mut taken).filter(|(_, taken)| **taken);
            for ((one, keys), taken) in taking {
                let faults = claims.add_if_sound(one, keys);
                *taken = faults.is_empty();
                found.extend(faults);
            }
            if found.len() == before {
                break stays;
            }
        };
        problems.extend(found);
        problems.extend(of_files);
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        let mut rejects = Rejects { problems, ..Rejects::default() };
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: HashMap<EntryId, usize> = HashMap::new();
        if mode != Mode::Replace {
            entries = base.entries().to_vec();
            merged = entries.iter().enumerate().map(|(at, entry)| (entry.id.clone(), at)).collect();
        }
        let mut rows: BTreeSet<(String, usize)> = bad.into_iter().collect();
        let mut placed: HashSet<usize> = HashSet::new();
        for ((one, taken), skipped) in located.into_iter().zip(taken).zip(skipped) {
            for line in &one.lines {
                rows.remove(&(one.file.to_string(), *line));
            }
            let old = places.get(&one.entry.id).copied().filter(|at| stays[*at]);
            if taken {
                match merged.get(&one.entry.id) {
                    Some(&at) => entries[at] = one.entry,
                    None => {
                        merged.insert(one.entry.id.clone(), entries.len());
                        entries.push(one.entry);
                    }
                }
            } else if !skipped {
                rejects.entries += 1;
                if let Some(at) = old.filter(|at| placed.insert(*at)) {
                    rejects.kept += 1;
                    if mode == Mode::Replace {
                        entries.push(known[at].entry.clone());
                    }
                }
                rejects.rows.entry(one.file).or_default().push(one.lines);
            }
        }
        // Rows in which nothing stands but what is wrong.
        for (file, line) in rows {
            rejects.entries += 1;
            rejects.rows.entry(file.into()).or_default().push(vec![line]);
        }
        let taken = KnowledgeBase::of_validated(entries).with_lexicon(base.lexicon().clone());
        Ok((taken, rejects))
    }
}

/// Which entries of the knowledge base will be there beside those of the file.
fn staying(
    located: &[Located],
    taken: &[bool],
    skipped: &[bool],
    known: &[Located],
    mode: Mode,
) -> Vec<bool> {
    let ids = |wanted: &dyn Fn(usize) -> bool| -> HashSet<&EntryId> {
        let chosen = located.iter().enumerate().filter(|(at, _)| wanted(*at));
        chosen.map(|(_, one)| &one.entry.id).collect()
    };
    let replaced = ids(&|at| taken[at]);
    let handed_back = ids(&|at| !taken[at] && !skipped[at]);
    known
        .iter()
        .map(|one| match mode {
            // A file that is everything still names what is handed back.
            Mode::Replace => handed_back.contains(&one.entry.id) && !replaced.contains(&one.entry.id),
            Mode::Update | Mode::Add => !replaced.contains(&one.entry.id),
        })
        .collect()
}

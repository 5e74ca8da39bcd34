//! What would the release answer differently?
//!
//! A phrasing or an entry is put into a copy of the running engine, as a live
//! edit would be, and the questions that come nearest to it are asked again:
//! those that are labelled, and those of the last days. Words change how every
//! text is read, so a release is built with them and asked everything.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Suggestion;
use super::halves::{as_one, without};
use crate::decide::{Decision, Generation};
use crate::engine::{Change, Engine, Live, Options};
use crate::error::{Error, Result};
use crate::eval::dataset::Expect;
use crate::kb::{Entry, EntryId, KnowledgeBase};
use crate::learn::groups::{Placed, Space, Teacher};
use crate::release::{Build, Past};
use crate::text::lexicon::{Item, What};
use crate::text::{AuthoredLexicon, exact_key};

/// Questions that are asked again for a phrasing.
const NEAREST: usize = 40;

/// Questions farther away than this are not asked again.
const FAR: f32 = 0.1;

/// Changes that are told one by one.
const TOLD: usize = 10;

/// A question whose answer would change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = TrialChange)]
pub struct Changed {
    /// The question.
    pub text: String,
    /// How often it was asked; 1 for a labelled one.
    pub count: u64,
    /// Whether it is a labelled question of the knowledge base.
    pub labelled: bool,
    /// The entry that it is answered with now.
    pub before: Option<String>,
    /// The entry that it would be answered with.
    pub after: Option<String>,
    /// `better`, `worse`, or `open` where nobody said what is right.
    pub verdict: String,
}

/// What was tried, and what it changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Trial {
    /// Whether it was tried at all; words are not where building a release
    /// would take too long.
    pub tried: bool,
    /// Questions that were asked again.
    pub asked: usize,
    /// Labelled ones that would be answered right and are not now.
    pub labelled_gain: u64,
    /// Labelled ones that would be answered wrong, or no longer right.
    pub labelled_harm: u64,
    /// Questions of which nobody knows, by how often they were asked, that would
    /// be answered and are not now, or otherwise.
    pub open: u64,
    /// The first changes, those for the worse before the others.
    pub changes: Vec<Changed>,
}

/// A question that is asked again.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) text: String,
    pub(super) count: u64,
    /// What is right, where somebody said so.
    pub(super) right: Option<Expect>,
    pub(super) labelled: bool,
}

/// Questions to try suggestions on, and what the engine says to them now.
pub(super) struct Bench<'a> {
    engine: &'a Engine,
    live: Live,
    revision: i64,
    probes: Vec<Probe>,
    before: HashMap<usize, Option<EntryId>>,
    /// The probes, and after them the texts of the suggestions.
    space: Space,
}

/// The entry that a question is answered with.
fn answer(engine: &Engine, text: &str) -> Result<Option<EntryId>> {
    match engine.answer(text, Options::default()) {
        Ok(outcome) if outcome.decision == Decision::Answer => {
            Ok(outcome.best().map(|best| engine.release().entries()[best.entry].id.clone()))
        }
        Ok(_) | Err(Error::Question(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

impl<'a> Bench<'a> {
    /// `places` are those of the probes and then of the texts that will be tried.
    pub(super) fn new(engine: &'a Engine, teacher: &Teacher, probes: Vec<Probe>, places: &[Placed]) -> Self {
        let space = teacher.space(places);
        let live = Live::new(engine.clone());
        Self { engine, live, revision: i64::from(u32::MAX), probes, before: HashMap::new(), space }
    }

    /// Tries an entry as it would be; `place` is the number of the text that is
    /// new in it, `own` are the questions of its group, by probe, for which it is right if
    /// that is `agreed`.
    pub(super) fn entry(
        &mut self,
        entry: &Entry,
        place: usize,
        own: &[usize],
        agreed: bool,
    ) -> Result<Trial> {
        let text = self.probes.len() + place;
        let mut near: Vec<(f32, usize)> = (0..self.probes.len())
            .map(|probe| (self.space.score(text, probe), probe))
            .filter(|(score, _)| *score >= FAR)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        near.truncate(NEAREST);
        let mut asked: Vec<usize> =
            near.into_iter().map(|(_, probe)| probe).chain(own.iter().copied()).collect();
        asked.sort_unstable();
        asked.dedup();
        self.ask_before(&asked)?;
        let known = self.engine.release().entry(&entry.id).cloned();
        let after = self.with([(entry.id.clone(), Some(entry.clone()), known)], &asked)?;
        Ok(self.told(&asked, &after, agreed.then_some((&entry.id, own))))
    }

    /// Tries an entry as two: what goes to the new one is taken from it.
    pub(super) fn split(
        &mut self,
        of: &EntryId,
        made: &Entry,
        goes: &[String],
        own: &[usize],
    ) -> Result<Trial> {
        let Some(whole) = self.engine.release().entry(of).cloned() else { return Ok(Trial::default()) };
        let mut texts = goes.to_vec();
        texts.push(made.question.clone());
        let left = without(&whole, &texts);
        let asked: Vec<usize> = (0..self.probes.len()).collect();
        self.ask_before(&asked)?;
        let parts = [(of.clone(), Some(left), Some(whole)), (made.id.clone(), Some(made.clone()), None)];
        let after = self.with(parts, &asked)?;
        Ok(self.told(&asked, &after, Some((&made.id, own))))
    }

    /// What is answered with some entries, each as it is to be, which then are again
    /// what they were.
    fn with<const N: usize>(
        &mut self,
        entries: [(EntryId, Option<Entry>, Option<Entry>); N],
        asked: &[usize],
    ) -> Result<Vec<Option<EntryId>>> {
        let (mut puts, mut backs) = (Vec::new(), Vec::new());
        for (id, entry, before) in entries {
            puts.push((id.clone(), entry));
            backs.push((id, before));
        }
        self.put(puts)?;
        let changed = self.live.shown().clone();
        let after = self.ask(&changed, asked);
        drop(changed);
        self.put(backs)?;
        after
    }

    fn put(&mut self, entries: Vec<(EntryId, Option<Entry>)>) -> Result<()> {
        let count = entries.len();
        let changes = entries.into_iter().map(|(id, entry)| {
            self.revision += 1;
            Change { revision: self.revision, id, entry }
        });
        let changes = changes.collect();
        self.live.apply(changes, count)
    }

    /// Tries two entries as one; an answer with either was one with both.
    pub(super) fn merge(&mut self, kept: &EntryId, gone: &EntryId) -> Result<Trial> {
        let release = self.engine.release();
        let (Some(one), Some(other)) = (release.entry(kept).cloned(), release.entry(gone).cloned()) else {
            return Ok(Trial::default());
        };
        let both = as_one(&one, &other);
        let asked: Vec<usize> = (0..self.probes.len()).collect();
        self.ask_before(&asked)?;
        // The one that goes is first: what it asks belongs to nobody then.
        self.put(vec![(gone.clone(), None), (kept.clone(), Some(both))])?;
        let changed = self.live.shown().clone();
        let after = self.ask(&changed, &asked);
        drop(changed);
        self.put(vec![(kept.clone(), Some(one)), (gone.clone(), Some(other))])?;
        let mut after = after?;
        // Told as if the one that stays had answered before as well.
        let as_one = |answer: &mut Option<EntryId>| {
            if answer.as_ref() == Some(gone) {
                *answer = Some(kept.clone());
            }
        };
        after.iter_mut().for_each(as_one);
        let before = self.before.clone();
        self.before.values_mut().for_each(as_one);
        let rights: Vec<Option<Expect>> = self.probes.iter().map(|probe| probe.right.clone()).collect();
        for probe in &mut self.probes {
            if probe.right.as_ref().is_some_and(|right| right.accepts(gone)) {
                probe.right = Some(Expect::One(kept.clone()));
            }
        }
        let trial = self.told(&asked, &after, None);
        self.before = before;
        self.probes.iter_mut().zip(rights).for_each(|(probe, right)| probe.right = right);
        Ok(trial)
    }

    /// Tries a phrase of small talk: whoever says just that gets the reply, and no entry.
    pub(super) fn talk(&mut self, text: &str) -> Result<Trial> {
        let key = exact_key(text);
        let asked: Vec<usize> =
            (0..self.probes.len()).filter(|&probe| exact_key(&self.probes[probe].text) == key).collect();
        self.ask_before(&asked)?;
        let mut trial = Trial { tried: true, asked: asked.len(), ..Trial::default() };
        for at in asked {
            let (probe, before) = (&self.probes[at], &self.before[&at]);
            let meant = probe.right.as_ref().is_some_and(Expect::is_inside);
            let verdict = if meant || before.is_some() { "worse" } else { "better" };
            match (verdict, probe.labelled) {
                ("worse", true) => trial.labelled_harm += 1,
                (_, true) => trial.labelled_gain += 1,
                _ => {}
            }
            trial.changes.push(Changed {
                text: probe.text.clone(),
                count: probe.count,
                labelled: probe.labelled,
                before: before.as_ref().map(|id| id.0.clone()),
                after: None,
                verdict: verdict.to_owned(),
            });
        }
        Ok(trial)
    }

    /// Tries lines of a lexicon.
    pub(super) fn words(&mut self, what: What) -> Result<Trial> {
        let release = self.engine.release();
        let line = AuthoredLexicon::of_lines("suggestion", vec![(1, Item { what, note: None })], Vec::new())?;
        let lexicon = release.lexicon().edited(&line, &AuthoredLexicon::default())?;
        let entries = release.entries().iter().filter(|entry| entry.enabled).cloned().collect();
        let base = KnowledgeBase::of_validated(entries).with_lexicon(lexicon);
        let build = Build {
            encoder: release.encoder().cloned(),
            previous: Some(Past::Open(release)),
            ..Build::of(&release.manifest().kb, &base)
        };
        let max_wrong = self.engine.policy(Generation::One).max_wrong;
        let changed = Engine::new(Arc::new(build.temporary()?), max_wrong);
        let asked: Vec<usize> = (0..self.probes.len()).collect();
        self.ask_before(&asked)?;
        let after = self.ask(&changed, &asked)?;
        Ok(self.told(&asked, &after, None))
    }

    fn ask_before(&mut self, asked: &[usize]) -> Result<()> {
        let missing: Vec<usize> =
            asked.iter().copied().filter(|probe| !self.before.contains_key(probe)).collect();
        let answers = self.ask(self.engine, &missing)?;
        self.before.extend(missing.into_iter().zip(answers));
        Ok(())
    }

    fn ask(&self, engine: &Engine, asked: &[usize]) -> Result<Vec<Option<EntryId>>> {
        asked.par_iter().map(|&probe| answer(engine, &self.probes[probe].text)).collect()
    }

    /// What changed. Questions of a `group` that would be answered with the suggested
    /// entry count as right: that is what somebody has said, or the author agrees to.
    fn told(&self, asked: &[usize], after: &[Option<EntryId>], group: Option<(&EntryId, &[usize])>) -> Trial {
        let mut trial = Trial { tried: true, asked: asked.len(), ..Trial::default() };
        let mut changes: BTreeMap<(u8, std::cmp::Reverse<u64>, usize), Changed> = BTreeMap::new();
        for (&at, after) in asked.iter().zip(after) {
            let (probe, before) = (&self.probes[at], &self.before[&at]);
            if before == after {
                continue;
            }
            let meant = group.filter(|(_, own)| own.contains(&at)).map(|(id, _)| Expect::One(id.clone()));
            let right = probe.right.clone().or(meant);
            let is_right = |answer: &Option<EntryId>| {
                right.as_ref().map(|right| answer.as_ref().is_some_and(|entry| right.accepts(entry)))
            };
            let verdict = match (is_right(before), is_right(after)) {
                (Some(false), Some(true)) => "better",
                // A wrong answer that is gone is better than it was.
                (Some(false), Some(false)) if after.is_none() => "better",
                (Some(true), Some(true)) => continue,
                (Some(_), Some(_)) => "worse",
                _ => "open",
            };
            match (verdict, probe.labelled) {
                ("better", true) => trial.labelled_gain += 1,
                ("worse", true) => trial.labelled_harm += 1,
                ("open", _) => trial.open += probe.count,
                _ => {}
            }
            let rank = match verdict {
                "worse" => 0,
                "open" => 1,
                _ => 2,
            };
            let told = Changed {
                text: probe.text.clone(),
                count: probe.count,
                labelled: probe.labelled,
                before: before.as_ref().map(|id| id.0.clone()),
                after: after.as_ref().map(|id| id.0.clone()),
                verdict: verdict.to_owned(),
            };
            changes.insert((rank, std::cmp::Reverse(probe.count), at), told);
        }
        trial.changes = changes.into_values().collect();
        trial
    }
}

impl Trial {
    /// Writes what it came to into a suggestion, and keeps the first changes.
    pub(super) fn note(mut self, suggestion: &mut Suggestion) {
        let sum = |verdict: &str| {
            self.changes.iter().filter(|one| one.verdict == verdict).map(|one| one.count).sum::<u64>()
        };
        (suggestion.gain, suggestion.harm) = (sum("better"), sum("worse"));
        self.changes.truncate(TOLD);
        suggestion.trial = self;
    }
}

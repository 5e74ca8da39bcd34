//! What do the questions of the last days suggest?

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::entries::{merged, outdated, owner, said};
use super::group::{Look, of_group, told};
use super::halves::{Halves, add};
use super::trial::{Bench, Probe};
use super::verdicts::{Settled, Verdict};
use super::words::words;
use super::{Group, Kind, Suggestion};
use crate::decide::{anger, handoff};
use crate::dialogue::only_points;
use crate::encoder::Embedding;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::eval::dataset::{Expect, LabelledQuery};
use crate::events::Day;
use crate::kb::{Entry, EntryId};
use crate::learn::asked::Asked;
use crate::learn::groups::{Grouped, Key, Memory, Placed, SAME, Teacher, group};
use crate::text::exact_key;
use crate::text::lexicon::What;

/// A phrasing this likely to mean the same as a settled one was settled with it.
const SETTLED: f64 = 0.7;

/// Half of the weight of a question is gone after so many days.
const HALF_LIFE: f64 = 7.0;

/// What is looked at.
pub struct Material<'a> {
    /// What answers now.
    pub engine: &'a Engine,
    /// What was asked.
    pub questions: &'a [Asked],
    /// The labelled questions of the knowledge base.
    pub labelled: &'a [LabelledQuery],
    /// What authors have decided.
    pub settled: &'a [Settled],
    /// The day on which it is looked at.
    pub today: Day,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open questions that are grouped, those asked most and last first.
    pub questions: usize,
    /// Groups that the engine is asked about.
    pub groups: usize,
    /// Suggestions that are tried.
    pub suggestions: usize,
    /// Suggestions about words that are tried, which takes a release each.
    pub words: usize,
    /// Questions that a suggestion is tried on.
    pub probes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { questions: 100_000, groups: 200, suggestions: 50, words: 3, probes: 2_000 }
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Groups of open questions, the weightiest first.
    pub groups: Vec<Group>,
    /// What to do, most useful first.
    pub suggestions: Vec<Suggestion>,
    /// Open questions.
    pub open: usize,
}

/// Looks at what was asked. `memory` is what the last look left behind.
///
/// # Errors
/// When the engine or the encoder fails, which is a defect.
pub fn review(material: &Material<'_>, limits: Limits, memory: &mut Memory) -> Result<Findings> {
    let Material { engine, questions, settled, today, .. } = *material;
    let release = engine.release();
    let mut open: Vec<usize> = (0..questions.len()).filter(|&at| questions[at].is_open()).collect();
    open.retain(|&at| {
        let text = &questions[at].text;
        !is_stored(engine, &questions[at]) && !wants_person(engine, text) && !is_choice(engine, text)
    });
    let weights: HashMap<usize, f64> = open.iter().map(|&at| (at, weight(&questions[at], today))).collect();
    open.sort_by(|a, b| weights[b].total_cmp(&weights[a]).then(a.cmp(b)));
    open.truncate(limits.questions);
    let looked_at: Vec<&Asked> = open.iter().map(|&at| &questions[at]).collect();

    let teacher = Teacher::of(release)?;
    let placed = place(engine, memory, looked_at.iter().map(|asked| asked.text.as_str()))?;
    let counts: Vec<u64> = looked_at.iter().map(|asked| asked.count).collect();
    let keys: Vec<Key> = looked_at.iter().map(|asked| Key::of(&exact_key(&asked.text))).collect();
    let mut grouped = group(&teacher, &placed, &counts, &keys, memory)?;
    let heavy = |group: &Grouped| group.members.iter().map(|&at| weights[&open[at]]).sum::<f64>();
    grouped.sort_by(|a, b| heavy(b).total_cmp(&heavy(a)).then_with(|| a.id.cmp(&b.id)));
    grouped.truncate(limits.groups);

    let looks: Vec<Look> =
        grouped.par_iter().map(|group| Look::of(engine, group, &looked_at)).collect::<Result<_>>()?;
    let groups = grouped
        .iter()
        .zip(&looks)
        .map(|(group, look)| told(engine, group, look, &looked_at, today))
        .collect();

    // What to do about each group, and then about words and answers.
    let mut wanted: Vec<(Suggestion, Vec<usize>)> = Vec::new();
    let said = said(questions);
    for (group, look) in grouped.iter().zip(&looks) {
        if let Some(suggestion) = of_group(engine, group, look, &looked_at, &said) {
            wanted.push((suggestion, group.members.clone()));
        }
    }
    let split = wanted.iter().filter(|(one, _)| one.kind == Kind::Split);
    let split: HashSet<&str> = split.filter_map(|(one, _)| one.entry.as_deref()).collect();
    let mut others = outdated(engine, questions, &split);
    others.extend(merged(engine, questions));
    others.extend(words(engine, questions).into_iter().take(limits.words));
    let waiting = Waiting::new(engine, &teacher, memory, settled, &wanted)?;
    let mut place_of = 0..wanted.len();
    wanted.retain(|(suggestion, _)| place_of.next().is_some_and(|at| !waiting.settles(at, suggestion)));
    others.retain(|suggestion| !waiting.knows(suggestion));
    wanted.truncate(limits.suggestions);
    for (suggestion, members) in wanted.iter_mut().filter(|(one, _)| one.kind == Kind::Split) {
        let own: Vec<&Asked> = members.iter().map(|&at| looked_at[at]).collect();
        suggestion.halves = Halves::split(engine, &teacher, memory, suggestion, &own, questions)?;
    }

    let probes = probes(material, &looked_at, &wanted, limits);
    let own_places: HashMap<String, usize> =
        probes.iter().enumerate().map(|(at, probe)| (exact_key(&probe.text), at)).collect();
    let texts = probes.iter().map(|probe| probe.text.as_str());
    let places = place(engine, memory, texts.chain(wanted.iter().map(|(one, _)| one.text.as_str())))?;
    let mut bench = Bench::new(engine, &teacher, probes, &places);
    let mut suggestions = Vec::new();
    for (at, (mut suggestion, members)) in wanted.into_iter().enumerate() {
        if let Some(entry) = with(engine, &suggestion) {
            let own: Vec<usize> = members
                .iter()
                .filter_map(|&member| own_places.get(&exact_key(&looked_at[member].text)).copied())
                .collect();
            let trial = match (&suggestion.entry, &suggestion.halves) {
                (Some(of), Some(halves)) if suggestion.kind == Kind::Split => {
                    bench.split(&EntryId(of.clone()), &entry, &halves.goes, &own)?
                }
                // That an entry is right for questions that nobody answered is a guess, until
                // somebody has taken or sent it; a new one is written for them.
                _ => {
                    let agreed = suggestion.kind == Kind::Entry || suggestion.confirmed > suggestion.against;
                    bench.entry(&entry, at, &own, agreed)?
                }
            };
            trial.note(&mut suggestion);
        } else if suggestion.kind == Kind::SmallTalk {
            bench.talk(&suggestion.text)?.note(&mut suggestion);
        }
        suggestions.push(suggestion);
    }
    for mut suggestion in others {
        if let (Kind::Merge, Some(kept), Some(gone)) = (suggestion.kind, &suggestion.entry, &suggestion.other)
        {
            let (kept, gone) = (EntryId(kept.clone()), EntryId(gone.clone()));
            bench.merge(&kept, &gone)?.note(&mut suggestion);
            suggestions.push(suggestion);
            continue;
        }
        let what = suggestion.pair().map(|(a, b)| {
            let both = vec![a.to_owned(), b.to_owned()];
            match suggestion.kind {
                Kind::Synonym => What::Synonyms { synonyms: both, canonical: None },
                _ => What::Contrast { contrast: both },
            }
        });
        match what.map(|what| bench.words(what)) {
            None => suggestions.push(suggestion),
            Some(Ok(trial)) => {
                trial.note(&mut suggestion);
                suggestions.push(suggestion);
            }
            // The lexicon says so already, or the opposite.
            Some(Err(Error::Corpus(_))) => {}
            Some(Err(e)) => return Err(e),
        }
    }
    // What helps most and harms least first; order is kept among equals.
    suggestions.sort_by_key(|one| {
        let worth =
            i64::try_from(one.gain).unwrap_or(i64::MAX) - 3 * i64::try_from(one.harm).unwrap_or(i64::MAX / 4);
        (Reverse(one.sure && one.harm == 0), Reverse(worth), Reverse(one.count))
    });
    Ok(Findings { groups, suggestions, open: open.len() })
}

/// Whether a question is stored by now.
fn is_stored(engine: &Engine, asked: &Asked) -> bool {
    let votes = owner(engine, &asked.text).map(|entry| asked.votes.get(&entry.id.0));
    // A stored question whose answer does not help stays open.
    votes.is_some_and(|votes| votes.is_none_or(|votes| votes.unsolved <= votes.solved))
}

/// Whether somebody asks for a person or is angry, whatever it was handed over for:
/// outside of hours that is told as any other question is. No entry can help.
fn wants_person(engine: &Engine, text: &str) -> bool {
    let core = |text: &str| engine.release().analyzer().normalize(text).core;
    handoff::heard(text, &core(text), core).is_some() || anger::is_angry(text)
}

/// Whether somebody points at a list that is gone: in other conversations the same words
/// mean something else, so no entry may have them.
fn is_choice(engine: &Engine, text: &str) -> bool {
    only_points(text, &|text| engine.release().analyzer().written(text))
}

/// How much a question asks to be looked at.
fn weight(asked: &Asked, today: Day) -> f64 {
    let votes: u64 = asked.votes.values().map(|votes| votes.clicked + votes.agents).sum();
    let asked_for =
        asked.unanswered as f64 + 0.7 * asked.asked_back as f64 + 1.5 * asked.disliked as f64 + votes as f64;
    let days = (today.end() - asked.last) as f64 / 86_400_000.0;
    asked_for * 0.5f64.powf(days.max(0.0) / HALF_LIFE)
}

/// Texts with their vectors.
pub(super) fn place<'a>(
    engine: &Engine,
    memory: &mut Memory,
    texts: impl Iterator<Item = &'a str>,
) -> Result<Vec<Placed>> {
    let release = engine.release();
    let texts: Vec<&str> = texts.collect();
    let mut vectors: Option<std::vec::IntoIter<Embedding>> = None;
    if let Some(encoder) = release.encoder() {
        let keys: Vec<Key> = texts.iter().map(|text| Key::of(&exact_key(text))).collect();
        let made = memory.vectors(encoder.fingerprint(), &keys, |missing| {
            let missing: Vec<&str> = missing.iter().map(|&at| texts[at]).collect();
            encoder.embed_all(&missing, &|_| ())
        })?;
        vectors = Some(made.into_iter());
    }
    let mut next = || vectors.as_mut().and_then(Iterator::next);
    let core = |text: &str| release.analyzer().normalize(text).core;
    Ok(texts.into_iter().map(|text| Placed { core: core(text), vector: next() }).collect())
}

/// The entry as it would be with a suggestion; `None` for what changes no entry.
fn with(engine: &Engine, suggestion: &Suggestion) -> Option<Entry> {
    let known =
        suggestion.entry.as_ref().and_then(|id| engine.release().entry(&EntryId(id.clone()))).cloned();
    match suggestion.kind {
        Kind::Similar => known.map(|mut entry| {
            entry.similar.push(suggestion.text.clone());
            entry
        }),
        Kind::Keyword => known.map(|mut entry| {
            entry.keywords.push(suggestion.text.clone());
            entry
        }),
        Kind::Entry | Kind::Split => {
            let mut entry =
                Entry::of(EntryId::derived(&suggestion.text), suggestion.text.clone(), String::new());
            let halves = suggestion.halves.as_ref();
            add(&mut entry, halves.map_or(&suggestion.examples, |halves| &halves.goes));
            Some(entry)
        }
        Kind::Synonym | Kind::Contrast | Kind::Outdated | Kind::Merge | Kind::SmallTalk => None,
    }
}

/// The questions that suggestions are tried on: labelled ones, those of the
/// groups, and the last ones of all others.
fn probes(
    material: &Material<'_>,
    looked_at: &[&Asked],
    wanted: &[(Suggestion, Vec<usize>)],
    limits: Limits,
) -> Vec<Probe> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut probes = Vec::new();
    for query in material.labelled.iter().take(limits.probes) {
        if seen.insert(exact_key(&query.text)) {
            let right = Some(query.expect.clone());
            probes.push(Probe { text: query.text.clone(), count: 1, right, labelled: true });
        }
    }
    let own = wanted.iter().flat_map(|(_, members)| members.iter().take(20)).map(|&at| looked_at[at]);
    let mut last: Vec<&Asked> = material.questions.iter().collect();
    last.sort_by_key(|asked| Reverse(asked.last));
    for asked in own.chain(last.into_iter().take(limits.probes)) {
        if seen.insert(exact_key(&asked.text)) {
            let right = asked.confirmed().map(|(entry, _)| Expect::One(EntryId(entry.to_owned())));
            probes.push(Probe { text: asked.text.clone(), count: asked.count, right, labelled: false });
        }
    }
    probes
}

/// What authors have decided, and which suggestions that settles.
struct Waiting<'a> {
    settled: &'a [Settled],
    by_id: HashMap<&'a str, &'a Settled>,
    /// By suggestion: decided ones that mean the same.
    same: Vec<Vec<&'a Settled>>,
}

impl<'a> Waiting<'a> {
    fn new(
        engine: &Engine,
        teacher: &Teacher,
        memory: &mut Memory,
        settled: &'a [Settled],
        wanted: &[(Suggestion, Vec<usize>)],
    ) -> Result<Self> {
        let by_id = settled.iter().map(|one| (one.id.as_str(), one)).collect();
        let mut same = vec![Vec::new(); wanted.len()];
        // What was accepted and published is stored and needs no comparison.
        let release = engine.release();
        let stored =
            |text: &str| release.exact().find(&release.analyzer().normalize(text), |_| true).is_some();
        let open: Vec<&Settled> = settled
            .iter()
            .filter(|one| match one.verdict {
                Verdict::Never => true,
                Verdict::Accepted => !stored(&one.text),
                Verdict::Ignored => false,
            })
            .collect();
        if !open.is_empty() && !wanted.is_empty() {
            let texts = wanted.iter().map(|(one, _)| one.text.as_str());
            let places = place(engine, memory, texts.chain(open.iter().map(|one| one.text.as_str())))?;
            let likeness = teacher.likeness(&places)?;
            let space = teacher.space(&places);
            for (at, same) in same.iter_mut().enumerate() {
                for (other, one) in open.iter().enumerate() {
                    let score = f64::from(space.score(at, wanted.len() + other));
                    if likeness.probability(score) >= SETTLED.max(f64::from(SAME)) {
                        same.push(*one);
                    }
                }
            }
        }
        Ok(Self { settled, by_id, same })
    }

    /// Whether a suggestion itself was decided.
    fn knows(&self, suggestion: &Suggestion) -> bool {
        // What customers said of an answer that was mended since says nothing of the new one.
        let mended = |one: &&Settled| {
            one.kind == Kind::Outdated
                && one.verdict == Verdict::Accepted
                && one.entry == suggestion.entry
                && suggestion.count < 2 * one.count.max(1)
        };
        if suggestion.kind == Kind::Outdated && self.settled.iter().any(|one| mended(&one)) {
            return true;
        }
        self.by_id.get(suggestion.id.as_str()).is_some_and(|one| match one.verdict {
            Verdict::Accepted | Verdict::Never => true,
            // Twice as many ask by now.
            Verdict::Ignored => suggestion.count < 2 * one.count.max(1),
        })
    }

    /// Whether it was decided, or something that means the same.
    fn settles(&self, at: usize, suggestion: &Suggestion) -> bool {
        self.knows(suggestion)
            || self.same[at].iter().any(|one| match one.verdict {
                Verdict::Never => one.entry == suggestion.entry && one.kind == suggestion.kind,
                _ => one.entry == suggestion.entry,
            })
    }
}

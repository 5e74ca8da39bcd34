//! What does a knowledge base answer when it asks itself?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::build::Progress;
use super::{Calibrations, Semantics};
use crate::decide::Generation;
use crate::decide::apart::{Apart, look_alike, share_for_all};
use crate::decide::calibrate::{
    Calibration, LISTED, OUTSIDE, Outcome, Reference, SAME_TRADE, Sample, is_other_matter,
};
use crate::decide::evidence::{CANDIDATES, Evidence, Known, Lists, Scale, Yardstick, rank, weighted_share};
use crate::encoder::{Embedding, Encoder, Matrix, Seen};
use crate::kb::Entry;
use crate::retrieve::exact::Exact;
use crate::retrieve::lexical::Lexical;
use crate::retrieve::semantic::{Nearness, Semantic};
use crate::retrieve::wording::Wording;
use crate::retrieve::{Except, Phrasing};
use crate::text::{Analyzer, Normalized, grams};

/// The parts of a release that answer questions.
pub(super) struct Subject<'a> {
    pub entries: &'a [Entry],
    pub phrasings: &'a [Phrasing],
    pub analyzer: &'a Analyzer,
    pub exact: &'a Exact,
    pub lexical: &'a Lexical,
    pub wording: &'a Wording,
    pub semantic: Option<&'a Semantic>,
    pub encoder: Option<&'a Encoder>,
    pub strangers: Option<&'a Matrix>,
    pub background: &'a [String],
    /// Questions of its customers with the entries that are right, …
    pub labelled: &'a [Heard<'a>],
    /// … and their vectors.
    pub labelled_vectors: Option<&'a Matrix>,
    /// Labelled questions to other knowledge bases.
    pub reference: &'a Reference,
    /// What the model was trained on.
    pub seen: Option<&'a Seen>,
}

/// A question of a customer; see [`super::Labelled`].
pub(super) struct Heard<'a> {
    pub text: &'a str,
    /// Places of the right entries.
    pub right: Vec<usize>,
    pub weight: f64,
    pub learned: bool,
}

/// Questions of each kind that are asked at most, taken evenly from all:
/// more of them move the regression less than the choice of questions does.
const ASKED: usize = 800;

/// Where a question comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A phrasing asked of the rest of its entry.
    Inside,
    /// A phrasing asked of the other entries.
    SameTrade,
    /// A background question.
    Stranger,
    /// A question of a customer.
    Labelled,
}

/// One question to ask, and what must not be found.
struct Question<'a> {
    raw: &'a str,
    text: Normalized,
    vector: Option<Embedding>,
    except: Except<'static>,
    /// The entry whose phrasing it is; `None` for a question of others.
    of: Option<usize>,
    /// The right entries; none for a stranger.
    expect: Vec<usize>,
    kind: Kind,
    /// What it counts in each generation's calibration; `None` where it is
    /// not asked: a model is too good at what it was trained on to be judged
    /// by it.
    weights: [Option<f64>; 2],
}

/// What one generation found for a question.
struct Found {
    sample: Sample,
    /// The best candidate.
    best: usize,
    /// Whether it looks like the entry that was asked, and is another one.
    alike: bool,
}

/// Asks and fits both generations.
pub(super) fn calibrate(subject: &Subject<'_>, progress: Progress<'_>) -> Calibrations {
    let questions = questions(subject);
    let scale = scale(subject, &questions);
    let total = questions.len();
    let done = AtomicUsize::new(0);
    let asked: Vec<[Option<Found>; 2]> = questions
        .par_iter()
        .map(|question| {
            let found = ask(subject, question, scale.as_ref());
            progress("calibration", done.fetch_add(1, Ordering::Relaxed) + 1, total);
            found
        })
        .collect();
    // By either generation, so that a question has one place in both.
    let mut alike = HashSet::new();
    for (question, found) in questions.iter().zip(&asked) {
        let found = found.iter().flatten().filter(|found| found.alike).map(|found| found.best);
        alike.extend(found.flat_map(|best| question.of.into_iter().chain([best])));
    }
    let (one, two): (Vec<_>, Vec<_>) = asked.into_iter().map(<(_, _)>::from).unzip();
    let one = fit(subject, &questions, one, &alike, Generation::One);
    let two = scale.map(|scale| Semantics {
        calibration: fit(subject, &questions, two, &alike, Generation::Two),
        scale,
    });
    Calibrations { one, two }
}

/// Fits one generation to what it found. Questions whose best candidate is one
/// of those that look alike count less, and are kept for that candidate.
fn fit(
    subject: &Subject<'_>,
    questions: &[Question<'_>],
    found: Vec<Option<Found>>,
    alike: &HashSet<usize>,
    generation: Generation,
) -> Calibration {
    let share = share_for_all(alike.len());
    let (mut samples, mut labelled, mut apart) = (Vec::new(), Vec::new(), Vec::new());
    let mut inside = 0.0;
    for (place, (question, found)) in questions.iter().zip(found).enumerate() {
        let mut counts = 1.0;
        let sample = found.map(|Found { mut sample, best, .. }| {
            if alike.contains(&best) {
                apart.push((place, question.of, best, sample.weight));
                counts = share;
                sample.weight *= share;
            }
            sample
        });
        if question.kind == Kind::Inside && question.weights[usize::from(generation.number()) - 1].is_some() {
            inside += counts;
        }
        let list = if question.kind == Kind::Labelled { &mut labelled } else { &mut samples };
        list.push(sample);
    }
    let mut calibration = Calibration::fit(samples, inside, labelled, subject.reference, generation);
    let id = |entry: usize| subject.entries[entry].id.clone();
    // The outcomes of the reference stand before those of the questions.
    let own = &calibration.outcomes[subject.reference.rows.len()..];
    let kept = apart.into_iter().filter_map(|(place, asked, best, weight)| {
        let Outcome(confidence, right, _) = own[place]?;
        Some(Apart { found: id(best), asked: asked.map(id), outcome: Outcome(confidence, right, weight) })
    });
    calibration.apart = kept.collect();
    calibration
}

/// What cosines mean here, from the strangers among the questions.
fn scale(subject: &Subject<'_>, questions: &[Question<'_>]) -> Option<Scale> {
    let semantic = subject.semantic?;
    let nearest: Vec<Nearness> = questions
        .par_iter()
        .filter(|question| question.kind == Kind::Stranger && question.weights[1].is_some())
        .filter_map(|question| question.vector.as_ref())
        .filter_map(|vector| semantic.scan(vector, Except::Nothing).nearest())
        .collect();
    Scale::measure(&nearest)
}

fn questions<'a>(subject: &Subject<'a>) -> Vec<Question<'a>> {
    let vector = |row: usize| subject.semantic.map(|semantic| semantic.vectors().row(row));
    let mut phrasings_of = vec![0usize; subject.entries.len()];
    for phrasing in subject.phrasings {
        phrasings_of[phrasing.entry] += 1;
    }
    let own = |(index, asked): (usize, Asked), except, expect: Option<usize>, kind| {
        let phrasing = &subject.phrasings[index];
        Question {
            raw: phrasing.text.as_str(),
            text: phrasing.normalized.clone(),
            vector: vector(index),
            except,
            of: Some(phrasing.entry),
            expect: expect.into_iter().collect(),
            kind,
            weights: asked.map(|asked| asked.then_some(1.0)),
        }
    };
    let seen = |text: &str| subject.seen.is_some_and(|seen| seen.contains(text));
    let own_seen = |index: usize| seen(&subject.phrasings[index].text);
    let learned = learned(subject);
    let taught: HashSet<usize> = learned.values().copied().collect();
    // An entry with one phrasing has nothing left to be found by, and one whose others
    // were all learned has only what was hard to find it by: asked of these, it would
    // make a new knowledge base trust itself less with every phrasing that it learns.
    let mut authored_of = phrasings_of;
    for &index in &taught {
        authored_of[subject.phrasings[index].entry] -= 1;
    }
    let with_others: Vec<usize> = (0..subject.phrasings.len())
        .filter(|&index| authored_of[subject.phrasings[index].entry] > 1 && !taught.contains(&index))
        .collect();
    let mut inside: Vec<Question<'a>> = for_both(&with_others, own_seen)
        .map(|(index, asked)| {
            let entry = subject.phrasings[index].entry;
            own((index, asked), Except::Phrasing(index), Some(entry), Kind::Inside)
        })
        .collect();
    let every: Vec<usize> = (0..subject.phrasings.len()).collect();
    let mut near: Vec<Question<'a>> = for_both(&every, own_seen)
        .map(|(index, asked)| {
            own((index, asked), Except::Entry(subject.phrasings[index].entry), None, Kind::SameTrade)
        })
        .collect();
    let everyone: Vec<usize> = (0..subject.background.len()).collect();
    let mut far: Vec<Question<'a>> = for_both(&everyone, |index| seen(&subject.background[index]))
        .filter_map(|(index, asked)| {
            let raw = subject.background[index].as_str();
            let text = subject.analyzer.normalize(raw);
            // What the exact matcher settles never gets to the calibration,
            // and what a knowledge base knows is no stranger to it.
            if text.core.is_empty() || subject.exact.find(&text, |_| true).is_some() {
                return None;
            }
            Some(Question {
                raw,
                text,
                vector: subject.strangers.map(|strangers| strangers.row(index)),
                except: Except::Nothing,
                of: None,
                expect: Vec::new(),
                kind: Kind::Stranger,
                weights: asked.map(|asked| asked.then_some(1.0)),
            })
        })
        .collect();
    let count = |group: &[Question<'_>], generation: usize| {
        group.iter().filter(|question| question.weights[generation].is_some()).count()
    };
    let totals = [0, 1]
        .map(|generation| [&inside, &near, &far].map(|group| count(group, generation)).iter().sum::<usize>());
    let shares = [
        (&mut inside, 1.0 - OUTSIDE),
        (&mut near, OUTSIDE * SAME_TRADE),
        (&mut far, OUTSIDE * (1.0 - SAME_TRADE)),
    ];
    for (group, share) in shares {
        for (generation, total) in totals.into_iter().enumerate() {
            let weight = share * total as f64 / count(group, generation).max(1) as f64;
            group
                .iter_mut()
                .filter_map(|question| question.weights[generation].as_mut())
                .for_each(|w| *w = weight);
        }
    }
    inside.into_iter().chain(near).chain(far).chain(labelled(subject, &learned)).collect()
}

/// By labelled question, the phrasing that it has become.
fn learned(subject: &Subject<'_>) -> HashMap<usize, usize> {
    let mut places: HashMap<(usize, &str), usize> = HashMap::new();
    if subject.labelled.iter().any(|one| one.learned) {
        let phrasings = subject.phrasings.iter().enumerate();
        places.extend(phrasings.map(|(index, one)| ((one.entry, one.normalized.exact.as_str()), index)));
    }
    let found =
        subject.labelled.iter().enumerate().filter(|(_, one)| one.learned).filter_map(|(row, one)| {
            let text = subject.analyzer.normalize(one.text);
            let index = one.right.iter().find_map(|&entry| places.get(&(entry, text.exact.as_str())))?;
            Some((row, *index))
        });
    found.collect()
}

/// The customers' questions that the exact matcher does not settle, or did not
/// before they became phrasings.
fn labelled<'a>(subject: &Subject<'a>, learned: &HashMap<usize, usize>) -> Vec<Question<'a>> {
    let questions = subject.labelled.iter().enumerate().filter_map(|(row, one)| {
        let text = subject.analyzer.normalize(one.text);
        let itself = learned.get(&row).copied();
        let settled = || subject.exact.find(&text, |_| true).is_some();
        if text.core.is_empty() || one.weight <= 0.0 || (itself.is_none() && settled()) {
            return None;
        }
        // What the model was trained on it understands too well.
        let seen = subject.seen.is_some_and(|seen| seen.contains(one.text));
        Some(Question {
            raw: one.text,
            text,
            vector: subject.labelled_vectors.map(|vectors| vectors.row(row)),
            except: itself.map_or(Except::Nothing, Except::Phrasing),
            of: None,
            expect: one.right.clone(),
            kind: Kind::Labelled,
            weights: [Some(one.weight), (!seen).then_some(one.weight)],
        })
    });
    questions.collect()
}

/// Whether a question is asked for each generation's calibration.
type Asked = [bool; 2];

/// At most [`ASKED`] items for generation 1, and as many that the model has
/// not seen for generation 2: the same ones, unless it was adapted.
fn for_both(items: &[usize], seen: impl Fn(usize) -> bool) -> impl Iterator<Item = (usize, Asked)> {
    let unseen: Vec<usize> = items.iter().copied().filter(|&item| !seen(item)).collect();
    let mut asked: BTreeMap<usize, Asked> = BTreeMap::new();
    for (generation, items) in [items, &unseen].into_iter().enumerate() {
        for item in evenly(items) {
            asked.entry(item).or_default()[generation] = true;
        }
    }
    asked.into_iter()
}

/// At most [`ASKED`] items, evenly spaced.
fn evenly(items: &[usize]) -> impl Iterator<Item = usize> {
    let taken = items.len().min(ASKED);
    (0..taken).map(move |index| items[index * items.len() / taken])
}

/// What both generations find for a question.
fn ask(subject: &Subject<'_>, question: &Question<'_>, scale: Option<&Scale>) -> [Option<Found>; 2] {
    let query = subject.analyzer.analyze(question.raw, question.text.clone());
    let lexical = subject.lexical.search(&query, CANDIDATES, question.except);
    let known = Known {
        lexicon: subject.analyzer.lexicon(),
        statistics: subject.lexical.statistics(),
        phrasings: subject.phrasings,
        wording: subject.wording,
    };
    let yardstick = Yardstick::new(known, &query, question.except);
    let scan = subject
        .semantic
        .zip(question.vector.as_ref())
        .map(|(semantic, vector)| semantic.scan(vector, question.except));
    let found = |lists: &Lists<'_>, generation: Generation| {
        let weight = question.weights[usize::from(generation.number()) - 1]?;
        let ranked = rank(lists, &yardstick);
        let evidence = Evidence::gather(lists, &ranked, &yardstick)?;
        let best = ranked.first()?;
        let place = ranked.iter().position(|item| question.expect.contains(&item.entry));
        // What the evidence tells from each other does not look alike to it; but a customer may
        // leave out the thing that alone tells them apart.
        let left_out = evidence.by_details().features(generation);
        let alike = question.of.is_some_and(|own| own != best.entry) && !is_other_matter(&left_out) && {
            let nearness = scan.as_ref().and_then(|scan| scan.entry(best.entry));
            let nearest = nearness.map(|nearness| nearness.best.phrasing);
            let share = best.worded.into_iter().chain(nearest).map(|other| share(subject, question, other));
            look_alike(share.fold(0.0, f32::max), nearness.map(|nearness| nearness.best.score))
        };
        let sample = Sample {
            features: if alike { left_out } else { evidence.features(generation) },
            right: place == Some(0),
            listed: place.is_some_and(|place| place < LISTED),
            weight,
        };
        Some(Found { sample, best: best.entry, alike })
    };
    let lists = Lists { query: &query, lexical: &lexical, semantic: None, encoder: subject.encoder };
    let one = found(&lists, Generation::One);
    let two = scan
        .as_ref()
        .zip(scale)
        .and_then(|semantic| found(&Lists { semantic: Some(semantic), ..lists }, Generation::Two));
    [one, two]
}

/// What a question and a phrasing share of the characters and pairs of both, by
/// idf over the whole knowledge base.
fn share(subject: &Subject<'_>, question: &Question<'_>, other: usize) -> f32 {
    let visible = subject.lexical.statistics().without(std::iter::empty());
    let idf = |gram: &String| visible.idf(gram);
    let (mine, theirs) = (grams(&question.text.core), grams(&subject.phrasings[other].normalized.core));
    let part = weighted_share(&mine, &theirs, idf);
    let rest = weighted_share(&theirs, &mine, idf);
    // Both are the common weight over the weight of one side.
    if part > 0.0 && rest > 0.0 { 2.0 / (1.0 / part + 1.0 / rest) } else { 0.0 }
}

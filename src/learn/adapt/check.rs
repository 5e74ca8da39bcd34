//! Is the adapted model better, and for no price?
//!
//! Both models answer the phrasings that were held out with those that were
//! trained on, by the nearest cosine, and each in a whole engine beside what
//! reads the words. Four things are asked:
//!
//! - Is the right entry first more often? McNemar's exact test (1947) on the
//!   phrasings where the models differ must give p < [`SIGNIFICANT`].
//! - Does the engine profit, or at least not suffer? What the words say already
//!   is no gain there: an adapted model that finds more by itself often makes
//!   the engine find as much as before. Fewer right entries first, beyond
//!   chance by the same test, are too few.
//! - Are strangers still told apart? With a bar that [`PASSED`] of the
//!   strangers pass, phrasings that are right and pass it must not be fewer,
//!   again by McNemar's test. And of the phrasings that both models find, the
//!   area under the curve (the chance that such a phrasing is nearer to its
//!   entry than a stranger is to any) must not be worse beyond chance, by the
//!   paired test of DeLong et al. (1988), nor by more than [`WORST_LOSS`] at
//!   all. Only what both find is compared there: a model that finds more finds
//!   what is harder to tell from strangers.
//! - Does the model still know what it knew? The rank correlation of its
//!   cosines with those of the base model, over pairs of strangers that were
//!   held out, must be at least [`LEAST_ALIKE`].

use std::collections::HashSet;
use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;

use super::material::Material;
use crate::decide::Generation;
use crate::decide::policy::DEFAULT_MAX_WRONG;
use crate::encoder::{Embedding, Encoder, Matrix, pairs};
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::eval::compare::{Paired, SIGNIFICANT};
use crate::eval::dataset::{Expect, LabelledQuery};
use crate::eval::metrics::best_is_right;
use crate::eval::run::predict;
use crate::kb::{Entry, KnowledgeBase};
use crate::release::{Build, Progress};

/// The share of strangers that pass the bar.
pub const PASSED: f64 = 0.05;

/// The area under the curve that may be lost where chance explains it.
pub const WORST_LOSS: f64 = 0.05;

/// The least rank correlation of the cosines of strangers.
pub const LEAST_ALIKE: f64 = 0.85;

/// Strangers whose cosines with each other are compared.
const COMPARED: usize = 400;

/// Before and after, on what was held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Phrasings held out.
    pub held_out: usize,
    /// The right entry was first.
    pub first: Paired,
    /// The right entry was first in the whole engine.
    pub engine: Paired,
    /// The right entry was first, and nearer than most strangers come.
    pub sure: Paired,
    /// A phrasing is nearer to its entry than a stranger to any.
    pub apart: Areas,
    /// The rank correlation of new and old cosines between strangers.
    pub alike: f64,
}

/// Two areas under the curve, over the phrasings that both models find and all
/// strangers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Areas {
    /// The phrasings.
    pub phrasings: usize,
    /// That of the base model.
    pub before: f64,
    /// That of the adapted model.
    pub after: f64,
    /// The standard error of the difference.
    pub error: f64,
}

/// A reason to refuse a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The right entry is not first more often beyond chance.
    NotBetter,
    /// The whole engine puts the right entry first less often beyond chance.
    EngineWorse,
    /// Strangers are told apart worse.
    StrangersNearer,
    /// Cosines outside the knowledge base are no longer what they were.
    Forgot,
}

impl Figures {
    /// Every reason to refuse the model.
    pub fn refusals(&self) -> Vec<Refusal> {
        let better = self.first.gained > self.first.lost && self.first.p < SIGNIFICANT;
        let suffers = self.engine.lost > self.engine.gained && self.engine.p < SIGNIFICANT;
        let lost = self.apart.before - self.apart.after;
        // 1.645: one side of a normal distribution, 5 %.
        let nearer = lost > WORST_LOSS
            || (lost > 0.0 && lost > 1.645 * self.apart.error)
            || (self.sure.lost > self.sure.gained && self.sure.p < SIGNIFICANT);
        let forgot = self.alike.is_nan() || self.alike < LEAST_ALIKE;
        [
            (!better, Refusal::NotBetter),
            (suffers, Refusal::EngineWorse),
            (nearer, Refusal::StrangersNearer),
            (forgot, Refusal::Forgot),
        ]
        .into_iter()
        .filter_map(|(holds, refusal)| holds.then_some(refusal))
        .collect()
    }
}

impl Refusal {
    /// The reason in words, with the figures.
    pub fn words(self, figures: &Figures) -> String {
        let Figures { held_out, first, engine, sure, apart, alike } = figures;
        match self {
            Self::NotBetter => format!(
                "not better beyond chance: of {held_out} phrasings held out it finds {} where the model before found {} ({} gained, {} lost, p = {:.3}; p < {SIGNIFICANT} is needed)",
                first.after, first.before, first.gained, first.lost, first.p
            ),
            Self::EngineWorse => format!(
                "the engine answers worse with it: of {held_out} phrasings held out it puts the right entry first for {}, with the model before for {} ({} gained, {} lost, p = {:.3})",
                engine.after, engine.before, engine.gained, engine.lost, engine.p
            ),
            Self::StrangersNearer => format!(
                "strangers are told apart worse: {} phrasings are found and nearer than {:.0} % of strangers, {} before (p = {:.3}); over the {} that both models find, the area under the curve goes from {:.3} to {:.3} (standard error of the difference {:.3}; no fall beyond chance nor beyond {WORST_LOSS} is allowed)",
                sure.after,
                100.0 * (1.0 - PASSED),
                sure.before,
                sure.p,
                apart.phrasings,
                apart.before,
                apart.after,
                apart.error
            ),
            Self::Forgot => format!(
                "it forgot what it knew: its cosines between strangers agree with those before by a rank correlation of {alike:.3} ({LEAST_ALIKE} is needed)"
            ),
        }
    }
}

/// Asks both models.
pub(super) fn compare(
    base: &Arc<Encoder>,
    adapted: &Arc<Encoder>,
    knowledge: &KnowledgeBase,
    material: &Material,
    progress: Progress<'_>,
) -> Result<(Figures, Vec<Refusal>)> {
    let stages = 4;
    progress("check", 0, stages);
    let before = Answers::of(base, material)?;
    progress("check", 1, stages);
    let after = Answers::of(adapted, material)?;
    progress("check", 2, stages);
    let (served, held_out) = (served(knowledge, material), held_out(knowledge, material));
    let found_before = found(base, &served, &held_out)?;
    progress("check", 3, stages);
    let found_after = found(adapted, &served, &held_out)?;
    progress("check", stages, stages);
    let figures = Figures {
        held_out: material.held_out.len(),
        first: Paired::new(before.right.iter().copied().zip(after.right.iter().copied())),
        engine: Paired::new(found_before.into_iter().zip(found_after)),
        sure: Paired::new(before.sure().into_iter().zip(after.sure())),
        apart: areas(&before, &after),
        alike: pairs::spearman(&before.between, &after.between),
    };
    Ok((figures, figures.refusals()))
}

/// For which questions the whole engine has the right entry first.
fn found(encoder: &Arc<Encoder>, served: &KnowledgeBase, queries: &[LabelledQuery]) -> Result<Vec<bool>> {
    let release = Build { encoder: Some(encoder.clone()), ..Build::of("adapt", served) }.temporary()?;
    // Who is first depends on no goal.
    let engine = Engine::new(Arc::new(release), DEFAULT_MAX_WRONG);
    let options = Options { generation: Generation::Two, ..Options::default() };
    let predictions = predict(&engine, queries, options, &|_| ())?;
    Ok(predictions.iter().map(best_is_right).collect())
}

/// What was held out, as questions with their entries.
fn held_out(knowledge: &KnowledgeBase, material: &Material) -> Vec<LabelledQuery> {
    let query = |(text, entry): &(String, usize)| LabelledQuery {
        text: text.clone(),
        expect: Expect::One(knowledge.entries()[*entry].id.clone()),
        tags: Vec::new(),
    };
    material.held_out.iter().map(query).collect()
}

/// The entries with what was trained on of their own phrasings. Of an entry
/// that lost them all, accepted queries stand for it.
fn served(knowledge: &KnowledgeBase, material: &Material) -> KnowledgeBase {
    let mut trained: Vec<Vec<&str>> = vec![Vec::new(); knowledge.entries().len()];
    for (text, entry) in &material.trained {
        trained[*entry].push(text);
    }
    let entries = knowledge.entries().iter().zip(trained).filter_map(|(entry, trained)| {
        let own: HashSet<&str> = entry.phrasings().collect();
        let (mut texts, queries): (Vec<&str>, Vec<&str>) =
            trained.into_iter().partition(|text| own.contains(text));
        if texts.is_empty() {
            texts = queries;
        }
        let (question, similar) = texts.split_first()?;
        Some(Entry {
            question: (*question).to_owned(),
            similar: similar.iter().map(|text| (*text).to_owned()).collect(),
            ..entry.clone()
        })
    });
    KnowledgeBase::of_validated(entries.collect()).with_lexicon(knowledge.lexicon().clone())
}

/// What a model says to everything that was held out.
struct Answers {
    /// Whether the right entry is first, per phrasing.
    right: Vec<bool>,
    /// The cosine with the nearest phrasing of its own entry, per phrasing.
    own: Vec<f32>,
    /// The cosine with the nearest phrasing of any entry, per stranger.
    strangers: Vec<f32>,
    /// The cosines of pairs of strangers.
    between: Vec<f64>,
}

impl Answers {
    fn of(encoder: &Encoder, material: &Material) -> Result<Self> {
        let embed = |texts: Vec<&str>| encoder.embed_all(&texts, &|_| ());
        let known = embed(material.trained.iter().map(|(text, _)| text.as_str()).collect())?;
        let known = Matrix::new(encoder.dimensions(), &known);
        let asked = embed(material.held_out.iter().map(|(text, _)| text.as_str()).collect())?;
        let strangers = embed(material.strangers_held_out.iter().map(String::as_str).collect())?;
        if strangers.is_empty() {
            return Err(Error::internal("adapt", "no stranger was held out"));
        }
        let cosines = |vector: &Embedding| {
            let mut cosines = Vec::new();
            known.cosines(&Matrix::question(vector), &mut cosines);
            cosines
        };
        let (right, own) = asked
            .par_iter()
            .zip(&material.held_out)
            .map(|(vector, (_, entry))| {
                let (mut own, mut other) = (f32::MIN, f32::MIN);
                for (cosine, (_, of)) in cosines(vector).into_iter().zip(&material.trained) {
                    let best = if of == entry { &mut own } else { &mut other };
                    *best = best.max(cosine);
                }
                (own > other, own)
            })
            .unzip();
        let nearest = |vector: &Embedding| cosines(vector).into_iter().fold(f32::MIN, f32::max);
        let compared = &strangers[..strangers.len().min(COMPARED)];
        let between = compared
            .iter()
            .enumerate()
            .flat_map(|(index, a)| compared[index + 1..].iter().map(|b| f64::from(a.cosine(b))))
            .collect();
        Ok(Self { right, own, strangers: strangers.par_iter().map(nearest).collect(), between })
    }
}

impl Answers {
    /// The phrasings that are right and nearer than most strangers.
    fn sure(&self) -> Vec<bool> {
        let mut strangers = self.strangers.clone();
        strangers.sort_by(|a, b| b.total_cmp(a));
        let passing = (PASSED * strangers.len() as f64) as usize;
        let bar = strangers.get(passing).copied().unwrap_or(f32::MAX);
        self.right.iter().zip(&self.own).map(|(right, own)| *right && *own > bar).collect()
    }
}

/// Both areas and the standard error of their difference (DeLong et al. 1988).
fn areas(before: &Answers, after: &Answers) -> Areas {
    let wins = |x: f32, y: f32| match x.total_cmp(&y) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let found: Vec<usize> = (0..before.own.len()).filter(|&i| before.right[i] && after.right[i]).collect();
    if found.is_empty() {
        return Areas { phrasings: 0, before: 0.0, after: 0.0, error: 0.0 };
    }
    // The share of the other side that a phrasing, or a stranger, stands on the right side of.
    let inside = |answers: &Answers| -> Vec<f64> {
        let mean = |x: &f32| {
            answers.strangers.iter().map(|y| wins(*x, *y)).sum::<f64>() / answers.strangers.len() as f64
        };
        found.par_iter().map(|&phrasing| mean(&answers.own[phrasing])).collect()
    };
    let outside = |answers: &Answers| -> Vec<f64> {
        let mean = |y: &f32| {
            let won = found.iter().map(|&phrasing| wins(answers.own[phrasing], *y));
            won.sum::<f64>() / found.len() as f64
        };
        answers.strangers.par_iter().map(mean).collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let spread = |a: &[f64], b: &[f64]| {
        let moved: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        let centre = mean(&moved);
        let squares: f64 = moved.iter().map(|x| (x - centre).powi(2)).sum();
        squares / (moved.len() as f64 - 1.0).max(1.0) / moved.len() as f64
    };
    let (inside_before, inside_after) = (inside(before), inside(after));
    let error = spread(&inside_before, &inside_after) + spread(&outside(before), &outside(after));
    Areas {
        phrasings: found.len(),
        before: mean(&inside_before),
        after: mean(&inside_after),
        error: error.sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(gained: usize, lost: usize, after: f64, alike: f64) -> Figures {
        let flips =
            std::iter::repeat_n((false, true), gained).chain(std::iter::repeat_n((true, false), lost));
        Figures {
            held_out: 100,
            first: Paired::new(flips),
            engine: Paired::new(std::iter::empty()),
            sure: Paired::new(std::iter::empty()),
            apart: Areas { phrasings: 50, before: 0.9, after, error: 0.005 },
            alike,
        }
    }

    #[test]
    fn a_model_must_be_better_and_pay_nothing() {
        assert!(figures(6, 0, 0.9, 0.95).refusals().is_empty());
        assert_eq!(figures(5, 0, 0.9, 0.95).refusals(), [Refusal::NotBetter]);
        assert_eq!(figures(0, 9, 0.9, 0.95).refusals(), [Refusal::NotBetter]);
        assert!(figures(9, 0, 0.895, 0.95).refusals().is_empty(), "within chance");
        assert_eq!(figures(9, 0, 0.89, 0.95).refusals(), [Refusal::StrangersNearer]);
        let fewer = Paired::new(std::iter::repeat_n((true, false), 6));
        let fewer = Figures { sure: fewer, ..figures(9, 0, 0.9, 0.95) };
        assert_eq!(fewer.refusals(), [Refusal::StrangersNearer]);
        let engine = |lost| Paired::new(std::iter::repeat_n((true, false), lost));
        let suffers = |lost| Figures { engine: engine(lost), ..figures(9, 0, 0.9, 0.95) };
        assert!(suffers(5).refusals().is_empty(), "within chance");
        assert_eq!(suffers(6).refusals(), [Refusal::EngineWorse]);
        assert_eq!(figures(9, 0, 0.9, 0.5).refusals(), [Refusal::Forgot]);
        assert_eq!(figures(9, 0, 0.9, f64::NAN).refusals(), [Refusal::Forgot]);
    }

    #[test]
    fn areas_by_hand() {
        let answers = |own: &[f32], strangers: &[f32]| Answers {
            right: vec![true, true, own.len() == 4],
            own: own.to_vec(),
            strangers: strangers.to_vec(),
            between: Vec::new(),
        };
        let before = answers(&[0.9, 0.5, 0.1], &[0.4, 0.6]);
        let same = areas(&before, &before);
        assert_eq!((same.before, same.after, same.error), (0.75, 0.75, 0.0));
        let after = answers(&[0.9, 0.7, 0.9], &[0.4, 0.6]);
        let moved = areas(&before, &after);
        assert!((moved.after - 1.0).abs() < 1e-12);
        // Two sides with changes 0 and 0.5: variance 0.125 over two, twice.
        assert!((moved.error - 0.125f64.sqrt()).abs() < 1e-12);
    }
}

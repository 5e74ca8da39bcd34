//! How does the network learn what belongs together?
//!
//! A batch is an entry, entries that the base model finds near it, and others,
//! each with some of its phrasings, and some strangers. The loss is InfoNCE
//! (van den Oord et al. 2018) in its form for several positives (Khosla et al.
//! 2020): a phrasing shall be nearer to the other phrasings of its entry than
//! to those of other entries and to strangers. Two more terms hold on to what
//! the base model knows: cosines between strangers stay what they were, and
//! strangers come no nearer to phrasings (Hinton et al. 2015 call matching a
//! teacher's outputs distillation).
//!
//! A batch is split over the cores. All parts are run forward, the loss is
//! taken over the vectors of all of them, and its derivative is sent back
//! through each part, which gives exactly the gradient of the whole batch
//! (Gao et al. 2021). How it is split does not depend on the cores: sums come
//! in one order, and a run gives the same weights on one core and on sixteen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;

use super::adam::Adam;
use super::dice::Dice;
use super::network::{Embeddings, Network, Packed};
use super::operations::Tape;
use crate::encoder::Matrix;

/// What cosines are multiplied with before they compete.
const SCALE: f64 = 20.0;
/// The largest step of a weight.
const RATE: f64 = 3e-4;
/// The share of the steps in which the rate rises; then it falls to zero.
const WARM: f64 = 0.1;
/// How often a phrasing is seen on average.
const ROUNDS: usize = 15;
/// Steps of a large knowledge base, which has minutes for them, not hours.
const MOST_STEPS: usize = 800;
/// Entries per batch, and half of them near the first.
const ENTRIES: usize = 16;
/// Phrasings of an entry per batch.
const PHRASINGS: usize = 6;
/// Strangers per batch.
const STRANGERS: usize = 32;
/// The weight of keeping cosines between strangers.
const KEEP: f64 = 300.0;
/// The weight of strangers that come nearer to phrasings.
const APART: f64 = 100.0;
/// The share of numbers that are left out between the layers.
const DROPOUT: f32 = 0.1;
/// Tokens of a part of a batch.
const TOKENS_PER_PART: usize = 400;
/// Numbers in a tensor of one part at most: candle shares larger ones among
/// threads of its own, which the parts would wait for.
const LARGEST_ARRAY: usize = 65_000;

/// What is learned from.
pub(super) struct Lessons {
    /// The tokens of every sentence.
    pub sentences: Vec<Vec<u32>>,
    /// The entry of every sentence; `None` for a stranger.
    pub entries: Vec<Option<usize>>,
    /// The base model's vectors, row by row.
    pub base: Matrix,
}

/// How training went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    pub steps: usize,
    pub tokens: usize,
    /// Whether time ran out first.
    pub cut_short: bool,
    /// The loss of the first step and of the last.
    pub loss: (f32, f32),
}

/// Trains the network. `progress` hears steps done and all steps.
pub(super) fn train(
    network: &mut Network,
    lessons: &Lessons,
    seed: u64,
    limit: Option<Duration>,
    progress: &dyn Fn(usize, usize),
) -> candle_core::Result<Course> {
    let start = Instant::now();
    let mut batches = Batches::new(lessons, seed);
    let phrasings = lessons.entries.iter().flatten().count();
    let planned = (ROUNDS * phrasings).div_ceil(ENTRIES * PHRASINGS).clamp(1, MOST_STEPS);
    let mut adam = Adam::new(network);
    let mut course = Course { steps: 0, tokens: 0, cut_short: false, loss: (0.0, 0.0) };
    while course.steps < planned {
        progress(course.steps, planned);
        // A run that will not be done in time slows its steps down like any
        // other, only sooner.
        let mut part = course.steps as f64 / planned as f64;
        if let Some(limit) = limit {
            let used = start.elapsed().as_secs_f64() / limit.as_secs_f64().max(1e-3);
            if used >= 1.0 {
                course.cut_short = true;
                break;
            }
            course.cut_short |= used > part && used > 0.5;
            if course.cut_short {
                part = part.max(used);
            }
        }
        let warm = (course.steps + 1) as f64 / (WARM * planned as f64).max(1.0);
        let rate = RATE * warm.min(1.0) * (1.0 - part);
        let batch = batches.next();
        let gradients = gradients(network, lessons, &batch, seed, course.steps as u64)?;
        course.tokens += gradients.tokens;
        course.loss.1 = gradients.loss;
        if course.steps == 0 {
            course.loss.0 = gradients.loss;
        }
        adam.step(network, &gradients, rate as f32);
        course.steps += 1;
    }
    progress(planned, planned);
    Ok(course)
}

/// Draws the batches.
struct Batches<'a> {
    lessons: &'a Lessons,
    /// Sentences by entry; entries without any are left out.
    members: Vec<Vec<usize>>,
    strangers: Vec<usize>,
    /// For every entry the others, nearest first, as far as they are drawn from.
    near: Vec<Vec<usize>>,
    waiting: Vec<usize>,
    dice: Dice,
}

impl<'a> Batches<'a> {
    fn new(lessons: &'a Lessons, seed: u64) -> Self {
        let count = lessons.entries.iter().flatten().max().map_or(0, |last| last + 1);
        let mut members = vec![Vec::new(); count];
        let mut strangers = Vec::new();
        for (sentence, entry) in lessons.entries.iter().enumerate() {
            match entry {
                Some(entry) => members[*entry].push(sentence),
                None => strangers.push(sentence),
            }
        }
        members.retain(|members| !members.is_empty());
        let centres: Vec<Vec<f32>> = members.iter().map(|members| centre(&lessons.base, members)).collect();
        let near = centres
            .par_iter()
            .enumerate()
            .map(|(own, centre)| {
                let mut others: Vec<(f32, usize)> = centres
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != own)
                    .map(|(other, there)| (centre.iter().zip(there).map(|(x, y)| x * y).sum(), other))
                    .collect();
                others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                others.into_iter().take(3 * ENTRIES).map(|(_, other)| other).collect()
            })
            .collect();
        Self { lessons, members, strangers, near, waiting: Vec::new(), dice: Dice::new(seed, &[1]) }
    }

    /// Sentences in ascending order of length.
    fn next(&mut self) -> Vec<usize> {
        let first = self.waiting.pop().unwrap_or_else(|| {
            self.waiting = (0..self.members.len()).collect();
            self.dice.shuffle(&mut self.waiting);
            self.waiting.pop().unwrap_or_default()
        });
        let mut chosen = vec![first];
        chosen.extend(self.dice.choose(&self.near[first], ENTRIES / 2));
        let others: Vec<usize> = (0..self.members.len()).filter(|entry| !chosen.contains(entry)).collect();
        chosen.extend(self.dice.choose(&others, ENTRIES - chosen.len()));
        let mut batch: Vec<usize> =
            chosen.iter().flat_map(|&entry| self.dice.choose(&self.members[entry], PHRASINGS)).collect();
        batch.extend(self.dice.choose(&self.strangers, STRANGERS));
        batch.sort_by_key(|&sentence| (self.lessons.sentences[sentence].len(), sentence));
        batch
    }
}

/// The direction of some rows' mean.
fn centre(vectors: &Matrix, rows: &[usize]) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    for &row in rows {
        let row = vectors.row(row);
        sum.resize(row.as_slice().len(), 0.0);
        sum.iter_mut().zip(row.as_slice()).for_each(|(s, x)| *s += x);
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    sum.iter_mut().for_each(|x| *x /= length);
    sum
}

/// The derivative of a batch's loss.
pub(super) struct Gradients {
    pub loss: f32,
    /// In the order of [`Network::others`].
    pub others: Vec<Vec<f32>>,
    /// Rows of the word embedding, part by part.
    pub words: Vec<(Vec<u32>, Vec<f32>)>,
    tokens: usize,
}

/// A part of a batch that was run forward.
struct Part {
    packed: Packed,
    embeddings: Embeddings,
    tape: Arc<Tape>,
    vectors: Tensor,
}

/// Runs a batch forward and back.
pub(super) fn gradients(
    network: &Network,
    lessons: &Lessons,
    batch: &[usize],
    seed: u64,
    step: u64,
) -> candle_core::Result<Gradients> {
    let weights = network.tensors()?;
    let total: usize = batch.iter().map(|&sentence| lessons.sentences[sentence].len()).sum();
    let count = total.div_ceil(TOKENS_PER_PART.min(LARGEST_ARRAY / network.config.hidden_size)).max(1);
    let mut shares: Vec<Vec<&[u32]>> = vec![Vec::new(); count];
    let mut before = 0;
    for &sentence in batch {
        let ids = lessons.sentences[sentence].as_slice();
        shares[before * count / total.max(1)].push(ids);
        before += ids.len();
    }
    shares.retain(|share| !share.is_empty());
    let parts: Vec<Part> = shares
        .par_iter()
        .enumerate()
        .map(|(part, sentences)| {
            let packed = Packed::new(sentences);
            let embeddings = network.embeddings(&packed)?;
            let tape = Tape::new(network.others.len());
            let mut dice = Dice::new(seed, &[2, step, part as u64]);
            let dropout = Some((DROPOUT, &mut dice));
            let vectors = network.forward(&weights, &embeddings, &packed, &tape, dropout)?;
            Ok(Part { packed, embeddings, tape, vectors })
        })
        .collect::<candle_core::Result<_>>()?;
    let vectors: Vec<Tensor> = parts.iter().map(|part| part.vectors.detach()).collect();
    let vectors = Var::from_tensor(&Tensor::cat(&vectors, 0)?)?;
    let entries: Vec<Option<usize>> = batch.iter().map(|&sentence| lessons.entries[sentence]).collect();
    let loss = loss(&vectors, &entries, &base_cosines(lessons, batch)?)?;
    let slopes = loss.backward()?;
    let Some(slope) = slopes.get(&vectors) else { candle_core::bail!("the loss has no derivative") };
    let mut starts = Vec::new();
    let mut at = 0;
    for part in &parts {
        starts.push(at);
        at += part.vectors.dim(0)?;
    }
    let backward: Vec<(Vec<Vec<f32>>, Vec<f32>)> = parts
        .par_iter()
        .zip(&starts)
        .map(|(part, &start)| {
            let slope = slope.narrow(0, start, part.vectors.dim(0)?)?;
            let store = part.vectors.mul(&slope)?.sum_all()?.backward()?;
            let read = |variable: &Var| match store.get(variable) {
                Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>(),
                None => Ok(vec![0.0; variable.elem_count()]),
            };
            let places = read(&part.embeddings.places)?;
            Ok((network.slopes(&part.tape, &places), read(&part.embeddings.words)?))
        })
        .collect::<candle_core::Result<_>>()?;
    let mut others: Vec<Vec<f32>> = Vec::new();
    let mut words = Vec::new();
    for ((of_part, of_rows), part) in backward.into_iter().zip(parts) {
        if others.is_empty() {
            others = of_part;
        } else {
            for (sum, slopes) in others.iter_mut().zip(&of_part) {
                sum.iter_mut().zip(slopes).for_each(|(s, x)| *s += x);
            }
        }
        words.push((part.packed.rows, of_rows));
    }
    Ok(Gradients { loss: loss.to_scalar()?, others, words, tokens: total })
}

/// The cosines that the base model gives the sentences of a batch.
fn base_cosines(lessons: &Lessons, batch: &[usize]) -> candle_core::Result<Tensor> {
    let rows: Vec<_> = batch.iter().map(|&sentence| lessons.base.row(sentence)).collect();
    let cosines: Vec<f32> = rows.iter().flat_map(|a| rows.iter().map(|b| a.cosine(b))).collect();
    Tensor::from_vec(cosines, (batch.len(), batch.len()), &Device::Cpu)
}

/// The loss of a batch: a number. `vectors` are rows of unit length, `base`
/// the cosines of all pairs that the base model gives.
pub(super) fn loss(
    vectors: &Tensor,
    entries: &[Option<usize>],
    base: &Tensor,
) -> candle_core::Result<Tensor> {
    let count = entries.len();
    let same = |i: usize, j: usize| i != j && entries[i].is_some() && entries[i] == entries[j];
    let positives: Vec<usize> = (0..count).map(|i| (0..count).filter(|&j| same(i, j)).count()).collect();
    let anchors = positives.iter().filter(|&&n| n > 0).count().max(1);
    let strangers = entries.iter().filter(|entry| entry.is_none()).count();
    let pairs = |weight: &dyn Fn(usize, usize) -> f64| {
        let weights: Vec<f32> = (0..count)
            .flat_map(|i| (0..count).map(move |j| (i, j)))
            .map(|(i, j)| weight(i, j) as f32)
            .collect();
        Tensor::from_vec(weights, (count, count), &Device::Cpu)
    };
    let pull = pairs(&|i, j| if same(i, j) { 1.0 / (positives[i] * anchors) as f64 } else { 0.0 })?;
    let push = pairs(&|i, j| f64::from(u8::from(entries[i].is_some() && entries[i] != entries[j])))?;
    let keep = pairs(&|i, j| match (entries[i], entries[j]) {
        (None, None) => KEEP / (strangers * strangers) as f64,
        _ => 0.0,
    })?;
    let apart = pairs(&|i, j| match (entries[i], entries[j]) {
        (Some(_), None) => APART / (strangers * (count - strangers)) as f64,
        _ => 0.0,
    })?;
    let cosines = vectors.matmul(&vectors.t()?)?;
    // From -40 to 0: no power overflows.
    let scaled = ((&cosines - 1.0)? * SCALE)?;
    let powers = scaled.exp()?;
    let against = powers.mul(&push)?.sum_keepdim(1)?;
    let contrast = powers.broadcast_add(&against)?.log()?.sub(&scaled)?.mul(&pull)?.sum_all()?;
    let moved = cosines.sub(base)?;
    let kept = moved.sqr()?.mul(&keep)?.sum_all()?;
    let nearer = moved.relu()?.sqr()?.mul(&apart)?.sum_all()?;
    contrast.add(&kept)?.add(&nearer)
}

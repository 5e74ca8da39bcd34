//! Which questions are near each other?
//!
//! Every question gets its nearest ones by vector and by rare characters; what
//! both find is scored alike. Up to [`EXACT`] questions each is compared with
//! each. Beyond that they are sorted into cells around common points first, and
//! a question is compared with the cells around its own: a hundred thousand
//! questions then take seconds instead of minutes, and of the pairs that are
//! near enough to be one question hardly any is missed.

use std::cmp::Ordering;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::space::Space;
use crate::error::{Error, Result};

/// Neighbours of a question.
pub(super) const NEIGHBOURS: usize = 50;

/// Up to so many questions all pairs are compared.
const EXACT: usize = 16_000;

/// Cells that a question is compared with.
const PROBED: usize = 16;

/// Rows of a product.
const BLOCK: usize = 256;

/// Characters and pairs that more questions have say too little to look for.
const COMMON: usize = 300;

/// Neighbours found by characters alone.
const WORDED: usize = 20;

/// Two questions and how near they are; the first has the lower number.
pub(super) type Pair = (u32, u32, f32);

/// The pairs of questions that are near, each once, in order.
///
/// # Errors
/// When a product fails, which is a defect.
pub(super) fn near(space: &Space, least: f32) -> Result<Vec<Pair>> {
    let meant = meant(space)?;
    let worded = worded(space);
    let mut pairs: Vec<Pair> = meant
        .into_par_iter()
        .zip(worded)
        .enumerate()
        .flat_map_iter(|(at, (mut own, worded))| {
            own.extend(worded);
            own.sort_unstable();
            own.dedup();
            let mut scored: Vec<(u32, f32)> = own
                .into_iter()
                .map(|other| (other, space.score(at, other as usize)))
                .filter(|(_, score)| *score >= least)
                .collect();
            scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            scored.truncate(NEIGHBOURS);
            let at = number(at);
            scored.into_iter().map(move |(other, score)| (at.min(other), at.max(other), score))
        })
        .collect();
    pairs.par_sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    pairs.dedup_by_key(|pair| (pair.0, pair.1));
    Ok(pairs)
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// By question, those that have the nearest vectors.
fn meant(space: &Space) -> Result<Vec<Vec<u32>>> {
    let count = space.len();
    if space.width() == 0 {
        return Ok(vec![Vec::new(); count]);
    }
    let all: Vec<u32> = (0..number(count)).collect();
    // Who is compared with whom.
    let tasks: Vec<(Vec<u32>, Vec<u32>)> = if count <= EXACT {
        all.chunks(BLOCK).map(|rows| (rows.to_vec(), all.clone())).collect()
    } else {
        cells(space)?
    };
    let found: Vec<Vec<(u32, Vec<u32>)>> = tasks
        .par_iter()
        .map(|(rows, others)| {
            let mut found = Vec::with_capacity(rows.len());
            let columns = rows_of(space, others)?.t().map_err(wrong)?;
            for rows in rows.chunks(BLOCK) {
                let product = rows_of(space, rows)?.matmul(&columns).map_err(wrong)?;
                let product: Vec<Vec<f32>> = product.to_vec2().map_err(wrong)?;
                found.extend(
                    rows.iter().zip(product).map(|(&row, cosines)| (row, best(row, others, &cosines))),
                );
            }
            Ok(found)
        })
        .collect::<Result<_>>()?;
    let mut near = vec![Vec::new(); count];
    for (row, others) in found.into_iter().flatten() {
        near[row as usize] = others;
    }
    Ok(near)
}

fn wrong(error: candle_core::Error) -> Error {
    Error::internal("groups", error)
}

/// Some questions' vectors as a matrix.
fn rows_of(space: &Space, rows: &[u32]) -> Result<Tensor> {
    let values: Vec<f32> = rows.iter().flat_map(|&row| space.vector(row as usize)).copied().collect();
    Tensor::from_vec(values, (rows.len(), space.width()), &Device::Cpu).map_err(wrong)
}

/// The nearest of some questions, itself left out.
fn best(row: u32, others: &[u32], cosines: &[f32]) -> Vec<u32> {
    let mut kept: Vec<(f32, u32)> = Vec::with_capacity(4 * NEIGHBOURS);
    let mut least = f32::NEG_INFINITY;
    let order = |a: &(f32, u32), b: &(f32, u32)| -> Ordering { b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)) };
    for (&other, &cosine) in others.iter().zip(cosines) {
        if cosine > least && other != row {
            kept.push((cosine, other));
            if kept.len() == 4 * NEIGHBOURS {
                kept.select_nth_unstable_by(NEIGHBOURS - 1, order);
                kept.truncate(NEIGHBOURS);
                least = kept.iter().fold(f32::INFINITY, |least, one| least.min(one.0));
            }
        }
    }
    kept.sort_unstable_by(order);
    kept.truncate(NEIGHBOURS);
    kept.into_iter().map(|(_, other)| other).collect()
}

/// The questions of each cell, with those that they are compared with.
fn cells(space: &Space) -> Result<Vec<(Vec<u32>, Vec<u32>)>> {
    const ROUNDS: usize = 4;
    let (count, width) = (space.len(), space.width());
    let wanted = (count as f64).sqrt() as usize;
    let mut centres: Vec<f32> =
        (0..wanted).flat_map(|cell| space.vector(cell * count / wanted)).copied().collect();
    let mut members: Vec<Vec<u32>> = Vec::new();
    let all: Vec<u32> = (0..number(count)).collect();
    let matrix = |values: &[f32]| Tensor::from_slice(values, (wanted, width), &Device::Cpu).map_err(wrong);
    for _ in 0..ROUNDS {
        let columns = matrix(&centres)?.t().map_err(wrong)?;
        let places: Vec<u32> = all
            .par_chunks(1024)
            .map(|rows| {
                let product = rows_of(space, rows)?.matmul(&columns).map_err(wrong)?;
                product.argmax(1).and_then(|places| places.to_vec1::<u32>()).map_err(wrong)
            })
            .collect::<Result<Vec<_>>>()?
            .concat();
        members = vec![Vec::new(); wanted];
        centres.fill(0.0);
        for (at, place) in places.into_iter().enumerate() {
            let place = place as usize;
            members[place].push(number(at));
            let centre = &mut centres[place * width..(place + 1) * width];
            centre.iter_mut().zip(space.vector(at)).for_each(|(sum, x)| *sum += x);
        }
        for centre in centres.chunks_mut(width) {
            let length = centre.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
            centre.iter_mut().for_each(|x| *x /= length);
        }
    }
    let centres = matrix(&centres)?;
    let between: Vec<Vec<f32>> =
        centres.matmul(&centres.t().map_err(wrong)?).and_then(|product| product.to_vec2()).map_err(wrong)?;
    let tasks = members.iter().zip(between).map(|(own, nearness)| {
        let mut order: Vec<usize> = (0..wanted).collect();
        order.sort_unstable_by(|&a, &b| nearness[b].total_cmp(&nearness[a]).then(a.cmp(&b)));
        let others = order.iter().take(PROBED).flat_map(|&cell| &members[cell]).copied().collect();
        (own.clone(), others)
    });
    Ok(tasks.filter(|(own, _): &(Vec<u32>, _)| !own.is_empty()).collect())
}

/// By question, those that share its rarest characters and pairs.
fn worded(space: &Space) -> Vec<Vec<u32>> {
    let mut having: Vec<Vec<(u32, f32)>> = vec![Vec::new(); space.grams()];
    for at in 0..space.len() {
        for &(gram, weight) in space.words(at) {
            let having = &mut having[gram as usize];
            // One more than is looked at, which tells that it is too common.
            if having.len() <= COMMON {
                having.push((number(at), weight));
            }
        }
    }
    // A few questions share their common characters, and all of these count.
    let small = space.len() <= COMMON;
    let at_all: Vec<usize> = (0..space.len()).collect();
    at_all
        .par_iter()
        .map_init(
            || (vec![0.0f32; space.len()], Vec::new()),
            |(sums, touched): &mut (Vec<f32>, Vec<u32>), &at| {
                for &(gram, weight) in space.words(at) {
                    let having = &having[gram as usize];
                    if having.len() > COMMON && !small {
                        continue;
                    }
                    for &(other, its) in having {
                        if sums[other as usize] == 0.0 {
                            touched.push(other);
                        }
                        sums[other as usize] += weight * its;
                    }
                }
                let mut found: Vec<(f32, u32)> = touched
                    .iter()
                    .filter(|&&other| other as usize != at)
                    .map(|&other| (sums[other as usize], other))
                    .collect();
                touched.drain(..).for_each(|other| sums[other as usize] = 0.0);
                found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                found.truncate(WORDED);
                found.into_iter().map(|(_, other)| other).collect()
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::space::Placed;
    use super::*;
    use crate::encoder::Embedding;

    /// Points around some centres, by a small linear congruence.
    fn points(count: usize, centres: usize) -> Vec<Placed> {
        let mut state = 11u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let middles: Vec<Vec<f32>> = (0..centres).map(|_| (0..16).map(|_| next()).collect()).collect();
        (0..count)
            .map(|at| {
                let middle = &middles[at % centres];
                let vector = middle.iter().map(|x| x + 0.1 * next()).collect();
                Placed { core: String::new(), vector: Some(Embedding::unit(vector)) }
            })
            .collect()
    }

    #[test]
    fn cells_miss_hardly_any_of_the_nearest() {
        let space = Space::of(&points(3_000, 100), &[]);
        let all: Vec<u32> = (0..3_000).collect();
        let exact: Vec<Vec<u32>> = (0..3_000usize)
            .map(|at| {
                let cosine = |&other: &u32| {
                    space.vector(at).iter().zip(space.vector(other as usize)).map(|(x, y)| x * y).sum()
                };
                best(number(at), &all, &all.iter().map(cosine).collect::<Vec<f32>>())
            })
            .collect();
        let (mut found, mut there) = (0, 0);
        for (rows, others) in cells(&space).expect("cells") {
            for row in rows {
                there += 20;
                found += exact[row as usize][..20].iter().filter(|near| others.contains(near)).count();
            }
        }
        assert!(found * 100 >= there * 98, "{found} of {there}");
    }

    #[test]
    fn each_pair_comes_once_and_is_near_enough() {
        let space = Space::of(&points(200, 20), &[]);
        let pairs = near(&space, 0.4).expect("pairs");
        assert!(!pairs.is_empty());
        assert!(pairs.windows(2).all(|two| (two[0].0, two[0].1) < (two[1].0, two[1].1)));
        assert!(pairs.iter().all(|&(a, b, score)| a < b && score >= 0.4));
        // Those around one centre and no others.
        assert!(pairs.iter().all(|&(a, b, _)| a % 20 == b % 20));
        assert_eq!(pairs.len(), 20 * 10 * 9 / 2);
    }
}

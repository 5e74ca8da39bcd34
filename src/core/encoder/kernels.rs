//! How is one row computed fast?
//!
//! The element-wise parts of a transformer, in safe Rust that the compiler
//! turns into vector code once per instruction set; the best one is chosen at
//! run time. Where the compiler does badly, the block of instructions for a
//! processor is in a file of its own.

use multiversion::multiversion;

use super::bytes::Word;
use super::product::{HALF, PANEL, each_block, write};

/// Independent sums per loop turn: enough to hide the latency of an addition.
const LANES: usize = 32;

/// The dot product of two vectors of equal length.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0] + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

/// Writes the dot products of every `query`-long row of `rows` with `query` to `out`.
pub(crate) fn whole_dots(rows: &[i8], query: &[i16], out: &mut Vec<i32>) {
    out.clear();
    #[cfg(target_arch = "x86_64")]
    if super::avx2::is_here() {
        return super::avx2::dots(rows, query, out);
    }
    out.extend(rows.chunks_exact(query.len()).map(|row| whole_dot(row, query)));
}

/// The same for some of the rows, named by their numbers.
pub(crate) fn whole_dots_of(rows: &[i8], some: &[u32], query: &[i16], out: &mut Vec<i32>) {
    out.clear();
    #[cfg(target_arch = "x86_64")]
    if super::avx2::is_here() {
        return super::avx2::dots_of(rows, some, query, out);
    }
    let row = |number: u32| &rows[number as usize * query.len()..(number as usize + 1) * query.len()];
    out.extend(some.iter().map(|&number| whole_dot(row(number), query)));
}

/// Sums of whole numbers come in any order, so the compiler needs no lanes here.
#[multiversion(targets("aarch64+neon"))]
fn whole_dot(row: &[i8], query: &[i16]) -> i32 {
    row.iter().zip(query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// Added to a number below 2^22 and taken away again, it rounds to the nearest
/// whole number, ties to the even one; the sum holds that number in its lowest
/// bits. A conversion to an integer would do the same one number at a time.
const ROUND: f32 = 12_582_912.0;

/// e^x for x ≤ 0, relative error below 2e-7; zero below -87.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    let x = x.max(-87.0);
    // x = n ln 2 + r with |r| <= ln 2 / 2.
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut poly = 1.987_569_2e-4;
    poly = poly * r + 1.398_199_9e-3;
    poly = poly * r + 8.333_452e-3;
    poly = poly * r + 4.166_579_6e-2;
    poly = poly * r + 1.666_666_5e-1;
    poly = poly * r + 0.5;
    let value = poly * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    value * f32::from_bits(exponent << 23)
}

/// The error function, absolute error below 5e-7: the rational approximation
/// of Eigen's `generic_fast_erf` (MPL 2.0), an odd over an even polynomial.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut odd = -2.726_142_3e-10;
    for coefficient in
        [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_3e-2]
    {
        odd = odd * square + coefficient;
    }
    let mut even = -1.456_607_2e-5;
    for coefficient in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        even = even * square + coefficient;
    }
    x * odd / even
}

/// The activation of the feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x Φ(x), exactly.
    Gelu,
    /// The tanh approximation of it (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// max(0, x).
    Relu,
}

/// Adds the bias to every row and applies the activation, in place.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn bias_activation(rows: &mut [f32], bias: &[f32], activation: Activation) {
    for row in rows.chunks_exact_mut(bias.len()) {
        match activation {
            Activation::Gelu => {
                for (x, b) in row.iter_mut().zip(bias) {
                    let v = *x + b;
                    *x = 0.5 * v * (1.0 + erf(v * std::f32::consts::FRAC_1_SQRT_2));
                }
            }
            Activation::GeluTanh => {
                for (x, b) in row.iter_mut().zip(bias) {
                    let v = *x + b;
                    let inner = 0.797_884_6 * (v + 0.044_715 * v * v * v);
                    let e = exp_of_negative(-2.0 * inner.abs());
                    let tanh = ((1.0 - e) / (1.0 + e)).copysign(inner);
                    *x = 0.5 * v * (1.0 + tanh);
                }
            }
            Activation::Relu => {
                for (x, b) in row.iter_mut().zip(bias) {
                    *x = (*x + b).max(0.0);
                }
            }
        }
    }
}

/// Layer normalisation of every row of `rows`, after adding `residual` and
/// `bias` to it, in place.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn add_norm(
    rows: &mut [f32],
    residual: &[f32],
    bias: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
) {
    let width = gamma.len();
    for (row, from) in rows.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
        for ((x, r), b) in row.iter_mut().zip(from).zip(bias) {
            *x += r + b;
        }
        let mut sums = [0f32; LANES];
        let (blocks, rest) = row.as_chunks::<LANES>();
        for block in blocks {
            for lane in 0..LANES {
                sums[lane] += block[lane];
            }
        }
        let mean = (sums.iter().sum::<f32>() + rest.iter().sum::<f32>()) / width as f32;
        let mut squares = [0f32; LANES];
        for block in blocks {
            for lane in 0..LANES {
                let d = block[lane] - mean;
                squares[lane] += d * d;
            }
        }
        let rest: f32 = rest.iter().map(|x| (x - mean) * (x - mean)).sum();
        let variance = (squares.iter().sum::<f32>() + rest) / width as f32;
        let scale = 1.0 / (variance + eps).sqrt();
        for ((x, g), b) in row.iter_mut().zip(gamma).zip(beta) {
            *x = (*x - mean) * scale * g + b;
        }
    }
}

/// Writes the product of `rows` (`[rows, inner]`) and a matrix that
/// [`super::product::pack`] put in panels of single columns to `out`
/// (`[rows, columns]`).
///
/// A question has few tokens, so what counts is to read the weights once, at
/// the speed of the memory; a general product reorders them on every call.
pub(crate) fn product(rows: &[f32], inner: usize, panels: &[f32], columns: usize, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if super::avx512::has_f32() {
        return super::avx512::product(rows, inner, panels, columns, out);
    } else if super::avx2::is_here() {
        return super::avx2::product(rows, inner, panels, columns, out);
    }
    #[cfg(target_arch = "aarch64")]
    if super::neon::is_here() {
        return super::neon::product(rows, inner, panels, columns, out);
    }
    portable_product(rows, inner, panels, columns, out);
}

/// For processors whose vector instructions nobody wrote a block for.
fn portable_product(rows: &[f32], inner: usize, panels: &[f32], columns: usize, out: &mut [f32]) {
    each_block(
        rows,
        inner,
        out,
        columns,
        |_| 1,
        |block| {
            let panel = panels[block.panel * inner * PANEL..][..inner * PANEL].as_chunks::<PANEL>().0;
            let mut sums = [0f32; PANEL];
            for (weights, x) in panel.iter().zip(block.rows) {
                for lane in 0..PANEL {
                    sums[lane] += weights[lane] * x;
                }
            }
            write(block.out, block.panel * PANEL, &sums);
        },
    );
}

/// The largest whole number that a rounded weight or activation becomes.
pub(super) const LARGEST: f32 = 127.0;

/// How rounded rows lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Four numbers of 8 bits without a sign in a word, 128 too large.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "how another processor wants them"))]
    Unsigned,
    /// Four numbers of 8 bits with a sign.
    #[cfg_attr(not(target_arch = "aarch64"), expect(dead_code, reason = "how another processor wants them"))]
    Signed,
    /// Two numbers of 16 bits with a sign.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "how another processor wants them"))]
    Pairs,
}

impl Form {
    /// Numbers in a word.
    pub(super) fn unit(self) -> usize {
        match self {
            Self::Unsigned | Self::Signed => 4,
            Self::Pairs => 2,
        }
    }

    /// What is added to every number.
    pub(super) fn shift(self) -> i32 {
        match self {
            Self::Unsigned => 128,
            Self::Signed | Self::Pairs => 0,
        }
    }
}

/// What a row is multiplied with before it is rounded, and what undoes it.
#[inline(always)]
fn row_scale(row: &[f32]) -> (f32, f32) {
    let mut largest = [0f32; LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            largest[lane] = largest[lane].max(block[lane].abs());
        }
    }
    let largest = largest.iter().chain(rest).fold(0f32, |top, x| top.max(x.abs()));
    if largest > 0.0 { (LARGEST / largest, largest / LARGEST) } else { (0.0, 0.0) }
}

/// Rounds rows of `inner` numbers to whole numbers up to [`LARGEST`], each row
/// filled up to whole words; `scales` gets what undoes it, one number per row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
pub(super) fn round_to_words(
    rows: &[f32],
    inner: usize,
    form: Form,
    words: &mut Vec<Word>,
    scales: &mut Vec<f32>,
) {
    let width = inner.div_ceil(form.unit());
    let shift = form.shift() as u8;
    words.clear();
    words.resize(rows.len() / inner * width, [shift; 4]);
    scales.clear();
    for (row, to) in rows.chunks_exact(inner).zip(words.chunks_exact_mut(width)) {
        let (up, down) = row_scale(row);
        scales.push(down);
        let to = to.as_flattened_mut();
        match form {
            Form::Unsigned | Form::Signed => {
                for (to, x) in to.iter_mut().zip(row) {
                    *to = ((x * up + ROUND).to_bits() as u8).wrapping_add(shift);
                }
            }
            Form::Pairs => {
                for (to, x) in to.as_chunks_mut::<2>().0.iter_mut().zip(row) {
                    *to = ((x * up + ROUND).to_bits() as u16).to_le_bytes();
                }
            }
        }
    }
}

/// Rounds rows of `inner` numbers to whole numbers up to [`LARGEST`]; `scales`
/// gets what undoes it, one number per row.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(super) fn round_in_place(rows: &mut [f32], inner: usize, scales: &mut Vec<f32>) {
    scales.clear();
    for row in rows.chunks_exact_mut(inner) {
        let (up, down) = row_scale(row);
        scales.push(down);
        row.iter_mut().for_each(|x| *x = (*x * up + ROUND) - ROUND);
    }
}

/// Multi-head attention over one sequence.
///
/// `qkv` holds a row of `3 * width` per token (query, key, value, without
/// biases), `bias` the biases in the same order, `out` a row of `width`.
pub(crate) fn attention(qkv: &mut [f32], bias: &[f32], heads: usize, out: &mut [f32]) {
    let width = bias.len() / 3;
    let size = width / heads;
    let tokens = out.len() / width;
    for row in qkv.chunks_exact_mut(3 * width) {
        for (x, b) in row.iter_mut().zip(bias) {
            *x += b;
        }
    }
    let mut queries = vec![0f32; tokens * size];
    let mut keys = vec![0f32; size * tokens.next_multiple_of(PANEL)];
    let mut values = vec![0f32; tokens * size.next_multiple_of(PANEL)];
    let mut scores = vec![0f32; tokens * tokens];
    let mut context = vec![0f32; tokens * size];
    for head in 0..heads {
        let at = head * size;
        for (token, row) in qkv.chunks_exact(3 * width).enumerate() {
            queries[token * size..][..size].copy_from_slice(&row[at..][..size]);
            // Panels as `pack` makes them, of the transposed keys and of the values.
            let (panel, lane) = (token / PANEL * size, token % PANEL);
            for (index, x) in row[width + at..][..size].iter().enumerate() {
                keys[(panel + index) * PANEL + lane] = *x;
            }
            for (panel, part) in row[2 * width + at..][..size].chunks(PANEL).enumerate() {
                values[(panel * tokens + token) * PANEL..][..part.len()].copy_from_slice(part);
            }
        }
        product(&queries, size, &keys, tokens, &mut scores);
        softmax(&mut scores, tokens, 1.0 / (size as f32).sqrt());
        product(&scores, tokens, &values, size, &mut context);
        for (out, context) in out.chunks_exact_mut(width).zip(context.chunks_exact(size)) {
            out[at..][..size].copy_from_slice(context);
        }
    }
}

/// The softmax of `scale` times every row, in place.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn softmax(rows: &mut [f32], columns: usize, scale: f32) {
    for row in rows.chunks_exact_mut(columns) {
        let (blocks, rest) = row.as_chunks_mut::<HALF>();
        let mut tops = [f32::NEG_INFINITY; HALF];
        for block in blocks.iter() {
            for lane in 0..HALF {
                tops[lane] = if block[lane] > tops[lane] { block[lane] } else { tops[lane] };
            }
        }
        let top = tops.iter().chain(rest.iter()).fold(f32::NEG_INFINITY, |top, x| top.max(*x));
        let mut sums = [0f32; HALF];
        for block in blocks.iter_mut() {
            for lane in 0..HALF {
                block[lane] = exp_of_negative((block[lane] - top) * scale);
                sums[lane] += block[lane];
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for x in rest {
            *x = exp_of_negative((*x - top) * scale);
            sum += *x;
        }
        let share = 1.0 / sum;
        row.iter_mut().for_each(|x| *x *= share);
    }
}

#[cfg(test)]
mod tests {
    use super::super::product::pack;
    use super::*;

    #[test]
    fn exp_and_erf_are_as_exact_as_they_say() {
        let mut worst_exp = 0f64;
        let mut worst_erf = 0f64;
        for step in 0..=80_000 {
            let x = f64::from(step) / 1000.0;
            let exact = (-x).exp();
            worst_exp = worst_exp
                .max(((f64::from(exp_of_negative(-x as f32)) - (-f64::from(x as f32)).exp()) / exact).abs());
        }
        // erf by its series, in double precision.
        for step in -3000..=3000 {
            let x = f64::from(step) / 1000.0;
            let (mut term, mut sum, mut n) = (x, x, 0.0);
            while term.abs() > 1e-16 {
                n += 1.0;
                term *= -x * x / n;
                sum += term / (2.0 * n + 1.0);
            }
            let exact = sum * 2.0 / std::f64::consts::PI.sqrt();
            worst_erf = worst_erf.max((f64::from(erf(x as f32)) - exact).abs());
        }
        assert!(worst_exp < 2e-7 * 2.0, "exp: {worst_exp:e}");
        assert!(worst_erf < 5e-7, "erf: {worst_erf:e}");
    }

    #[test]
    fn product_handles_every_shape() {
        for (rows, inner, columns) in
            [(1, 1, 1), (2, 5, 31), (3, 16, 32), (7, 33, 33), (15, 40, 100), (130, 8, 64)]
        {
            let a: Vec<f32> = (0..rows * inner).map(|i| (i * 7 % 13) as f32 - 6.0).collect();
            let b: Vec<f32> = (0..inner * columns).map(|i| (i * 5 % 11) as f32 - 5.0).collect();
            let mut out = vec![f32::NAN; rows * columns];
            product(&a, inner, &pack(&b, columns, 1), columns, &mut out);
            for row in 0..rows {
                for column in 0..columns {
                    // Small whole numbers: the sums are exact in any order.
                    let exact: f32 = (0..inner).map(|i| a[row * inner + i] * b[i * columns + column]).sum();
                    assert_eq!(
                        out[row * columns + column],
                        exact,
                        "{rows}x{inner}x{columns} at {row}, {column}"
                    );
                }
            }
        }
    }

    #[test]
    fn dot_handles_every_length() {
        for length in [0, 1, 31, 32, 33, 100] {
            let a: Vec<f32> = (0..length).map(|i| i as f32 * 0.5).collect();
            let b: Vec<f32> = (0..length).map(|i| 1.0 - i as f32 * 0.25).collect();
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() <= exact.abs() * 1e-5);
        }
    }
}

//! How is one row computed fast?
//!
//! The element-wise parts of a transformer, in safe Rust that the compiler
//! turns into vector code once per instruction set; the best one is chosen at
//! run time. So is the product of rows with weights that were packed at load.

use multiversion::multiversion;

/// Independent sums per loop turn: enough to hide the latency of an addition.
const LANES: usize = 32;

/// The dot product of two vectors of equal length.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_inline(a, b)
}

/// Writes the dot products of every `row`-long row of `rows` with `query` to `out`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn dots(rows: &[f32], query: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend(rows.chunks_exact(query.len()).map(|row| dot_inline(row, query)));
}

#[inline(always)]
fn dot_inline(a: &[f32], b: &[f32]) -> f32 {
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

/// e^x for x ≤ 0, relative error below 2e-7; zero below -87.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    let x = x.max(-87.0);
    // x = n ln 2 + r with |r| <= ln 2 / 2. Adding and taking away 1.5 * 2^23
    // rounds to the nearest integer without a call.
    const ROUND: f32 = 12_582_912.0;
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut poly = 1.987_569_2e-4;
    poly = poly * r + 1.398_199_9e-3;
    poly = poly * r + 8.333_452e-3;
    poly = poly * r + 4.166_579_6e-2;
    poly = poly * r + 1.666_666_5e-1;
    poly = poly * r + 0.5;
    let value = poly * r * r + r + 1.0;
    value * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// The error function, absolute error below 2e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let magnitude = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * magnitude);
    let mut poly = 1.061_405_4;
    poly = poly * t - 1.453_152;
    poly = poly * t + 1.421_413_7;
    poly = poly * t - 0.284_496_74;
    poly = poly * t + 0.254_829_6;
    let value = 1.0 - poly * t * exp_of_negative(-magnitude * magnitude);
    value.copysign(x)
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

/// Columns of a panel: two vector registers of the widest kind.
pub(crate) const PANEL: usize = 32;
const HALF: usize = PANEL / 2;

/// Rows that are multiplied with all panels before the next ones: their
/// numbers stay in the first- and second-level cache meanwhile.
const ROWS: usize = 64;

/// Puts a row-major `[inner, columns]` matrix in panels of [`PANEL`] columns,
/// each row after row, the last one filled up with zeros: [`product`] then
/// reads every weight once, in order.
pub(crate) fn pack(matrix: &[f32], columns: usize) -> Vec<f32> {
    let mut panels = Vec::with_capacity(matrix.len().div_ceil(columns) * columns.next_multiple_of(PANEL));
    for at in (0..columns).step_by(PANEL) {
        let width = PANEL.min(columns - at);
        for row in matrix.chunks_exact(columns) {
            panels.extend_from_slice(&row[at..at + width]);
            panels.extend(std::iter::repeat_n(0.0, PANEL - width));
        }
    }
    panels
}

/// Writes the product of `rows` (`[rows, inner]`) and a packed matrix to
/// `out` (`[rows, columns]`).
///
/// A question has few tokens, so what counts is to read the weights once, at
/// the speed of the memory; a general product reorders them on every call.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn product(rows: &[f32], inner: usize, panels: &[f32], columns: usize, out: &mut [f32]) {
    // Without the instruction, a fused multiplication is a slow call.
    if multiversion::target::target_cfg_f!(any(target_feature = "fma", target_feature = "neon")) {
        product_inline::<true>(rows, inner, panels, columns, out);
    } else {
        product_inline::<false>(rows, inner, panels, columns, out);
    }
}

#[inline(always)]
fn product_inline<const FUSED: bool>(
    rows: &[f32],
    inner: usize,
    panels: &[f32],
    columns: usize,
    out: &mut [f32],
) {
    for (rows, out) in rows.chunks(ROWS * inner).zip(out.chunks_mut(ROWS * columns)) {
        let count = out.len() / columns;
        for (index, panel) in panels.chunks_exact(inner * PANEL).enumerate() {
            let panel = panel.as_chunks::<HALF>().0.as_chunks::<2>().0;
            let at = index * PANEL;
            let mut row = 0;
            while count - row >= 8 {
                eight_rows::<FUSED>(
                    &rows[row * inner..],
                    inner,
                    panel,
                    &mut out[row * columns..],
                    columns,
                    at,
                );
                row += 8;
            }
            if count - row >= 4 {
                four_rows::<FUSED>(
                    &rows[row * inner..],
                    inner,
                    panel,
                    &mut out[row * columns..],
                    columns,
                    at,
                );
                row += 4;
            }
            if count - row >= 2 {
                two_rows::<FUSED>(&rows[row * inner..], inner, panel, &mut out[row * columns..], columns, at);
                row += 2;
            }
            if count > row {
                one_row::<FUSED>(&rows[row * inner..], inner, panel, &mut out[row * columns..], columns, at);
            }
        }
    }
}

/// `sums + x * weights`.
#[inline(always)]
fn add_multiple<const FUSED: bool>(mut sums: [f32; HALF], x: f32, weights: &[f32; HALF]) -> [f32; HALF] {
    for lane in 0..HALF {
        sums[lane] =
            if FUSED { weights[lane].mul_add(x, sums[lane]) } else { sums[lane] + weights[lane] * x };
    }
    sums
}

/// The product of some rows with one panel. Every sum has a name of its own:
/// the compiler keeps those in registers, but not an array of arrays.
macro_rules! rows_by_panel {
    ($name:ident, $($row:literal $left:ident $right:ident),*) => {
        #[inline(always)]
        fn $name<const FUSED: bool>(
            rows: &[f32],
            inner: usize,
            panel: &[[[f32; HALF]; 2]],
            out: &mut [f32],
            columns: usize,
            at: usize,
        ) {
            $(let (mut $left, mut $right) = ([0f32; HALF], [0f32; HALF]);)*
            let rows = [$(&rows[$row * inner..][..panel.len()]),*];
            for (index, weights) in panel.iter().enumerate() {
                $(
                    let x = rows[$row][index];
                    $left = add_multiple::<FUSED>($left, x, &weights[0]);
                    $right = add_multiple::<FUSED>($right, x, &weights[1]);
                )*
            }
            $(
                let row = &mut out[$row * columns + at..($row + 1) * columns];
                if let Some((to, _)) = row.split_first_chunk_mut::<PANEL>() {
                    to[..HALF].copy_from_slice(&$left);
                    to[HALF..].copy_from_slice(&$right);
                } else {
                    for (to, sum) in row.iter_mut().zip($left.iter().chain(&$right)) {
                        *to = *sum;
                    }
                }
            )*
        }
    };
}

rows_by_panel!(eight_rows, 0 a b, 1 c d, 2 e f, 3 g h, 4 i j, 5 k l, 6 m n, 7 o p);
rows_by_panel!(four_rows, 0 a b, 1 c d, 2 e f, 3 g h);
rows_by_panel!(two_rows, 0 a b, 1 c d);
rows_by_panel!(one_row, 0 a b);

/// Multi-head attention over one sequence.
///
/// `qkv` holds a row of `3 * width` per token (query, key, value, without
/// biases), `bias` the biases in the same order, `out` a row of `width`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
pub(crate) fn attention(qkv: &mut [f32], bias: &[f32], heads: usize, out: &mut [f32]) {
    let width = bias.len() / 3;
    let size = width / heads;
    let scale = 1.0 / (size as f32).sqrt();
    for row in qkv.chunks_exact_mut(3 * width) {
        for (x, b) in row.iter_mut().zip(bias) {
            *x += b;
        }
    }
    let tokens = out.len() / width;
    let mut weights = vec![0f32; tokens];
    for head in 0..heads {
        let at = head * size;
        for i in 0..tokens {
            let query = &qkv[i * 3 * width + at..][..size];
            let mut top = f32::NEG_INFINITY;
            for (j, weight) in weights.iter_mut().enumerate() {
                let key = &qkv[j * 3 * width + width + at..][..size];
                *weight = dot_inline(query, key) * scale;
                top = top.max(*weight);
            }
            let mut sum = 0.0;
            for weight in &mut weights {
                *weight = exp_of_negative(*weight - top);
                sum += *weight;
            }
            let context = &mut out[i * width + at..][..size];
            context.fill(0.0);
            for (j, weight) in weights.iter().enumerate() {
                let share = weight / sum;
                let value = &qkv[j * 3 * width + 2 * width + at..][..size];
                for (c, v) in context.iter_mut().zip(value) {
                    *c += share * v;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
            product(&a, inner, &pack(&b, columns), columns, &mut out);
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

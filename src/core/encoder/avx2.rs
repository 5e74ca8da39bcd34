//! How do processors with AVX2, but without AVX-512, multiply rows with packed
//! weights, and compare a vector with many?
//!
//! A block is up to six rows times half a panel: twelve registers of sums, two
//! of weights, one of a row. Bytes are widened to 16 bits on the way into a
//! register, because the 8-bit product of AVX2 saturates; `madd` then adds two
//! exact products at once. Processors with AVX-VNNI add four.

// The loads and stores of the vector instructions take pointers, and a function that uses an instruction may only be
// called after asking the processor for it.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m256, __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_shuffle_epi32, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32,
    _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_storeu_ps, _mm256_sub_epi32,
};

use super::bytes::{Columns, Word, each_block_of_words};
use super::product::{Block, HALF, PANEL, by_size, each_block, halves, up_to_six, write};

/// Numbers of 32 bits in a register.
const LANES: usize = 8;

/// Whether [`product`], [`product_pairs`], [`dots`] and [`dots_of`] can run here.
pub(super) fn is_here() -> bool {
    std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")
}

/// Whether [`product_quads`] can run here.
pub(super) fn has_vnni() -> bool {
    is_here() && std::is_x86_feature_detected!("avxvnni")
}

/// Writes the product of `rows` (`[rows, inner]`) and panels of single columns
/// to `out` (`[rows, columns]`).
///
/// Panics when [`is_here`] is false, or when the lengths do not fit.
pub(super) fn product(rows: &[f32], inner: usize, panels: &[f32], columns: usize, out: &mut [f32]) {
    assert!(is_here(), "the processor has no AVX2");
    each_block(rows, inner, out, columns, up_to_six, |block| {
        let panel = &panels[block.panel * inner * PANEL..][..inner * PANEL];
        // SAFETY: the processor was asked for AVX2 above.
        unsafe { by_size!(sums, block, panel, columns) }
    });
}

#[target_feature(enable = "avx2,fma")]
fn sums<const R: usize>(block: Block<'_, f32>, panel: &[f32], columns: usize) {
    for half in 0..halves(block.panel, columns) {
        let mut sums = [[_mm256_setzero_ps(); 2]; R];
        for (weights, x) in panel.as_chunks::<PANEL>().0.iter().zip(block.rows.as_chunks::<R>().0) {
            let weights = &weights.as_chunks::<LANES>().0[2 * half..];
            // SAFETY: LANES floats each, as many as a register holds.
            let (left, right) =
                unsafe { (_mm256_loadu_ps(weights[0].as_ptr()), _mm256_loadu_ps(weights[1].as_ptr())) };
            for row in 0..R {
                let x = _mm256_set1_ps(x[row]);
                sums[row][0] = _mm256_fmadd_ps(x, left, sums[row][0]);
                sums[row][1] = _mm256_fmadd_ps(x, right, sums[row][1]);
            }
        }
        for (row, sums) in block.out.chunks_exact_mut(columns).zip(&sums) {
            write(row, block.panel * PANEL + half * HALF, &line(sums));
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn line(sums: &[__m256; 2]) -> [f32; HALF] {
    let mut line = [0f32; HALF];
    for (part, sum) in line.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
        // SAFETY: LANES floats, as many as a register holds.
        unsafe { _mm256_storeu_ps(part.as_mut_ptr(), *sum) };
    }
    line
}

/// Writes `scales[row] * scale[column] * rows · weights` to `out`
/// (`[rows, columns]`): words are pairs of 16-bit numbers.
///
/// Panics when [`is_here`] is false, or when the lengths do not fit.
pub(super) fn product_pairs(rows: &[Word], row_scales: &[f32], weights: &Columns<'_>, out: &mut [f32]) {
    assert!(is_here(), "the processor has no AVX2");
    each_block_of_words(rows, row_scales, weights, out, up_to_six, |block, panel, columns| {
        // SAFETY: the processor was asked for AVX2 above.
        unsafe { by_size!(pairs, block, row_scales, panel, columns) }
    });
}

/// Writes `scales[row] * scale[column] * (rows - 128) · weights` to `out`
/// (`[rows, columns]`): words are four numbers without a sign, 128 too large.
///
/// Panics when [`has_vnni`] is false, or when the lengths do not fit.
pub(super) fn product_quads(rows: &[Word], row_scales: &[f32], weights: &Columns<'_>, out: &mut [f32]) {
    assert!(has_vnni(), "the processor has no AVX-VNNI");
    each_block_of_words(rows, row_scales, weights, out, up_to_six, |block, panel, columns| {
        // SAFETY: the processor was asked for AVX-VNNI above.
        unsafe { by_size!(quads, block, row_scales, panel, columns) }
    });
}

/// A block of bytes; `$add` adds the products of a word and the weights at a
/// place to a register of sums.
macro_rules! block_of_bytes {
    ($name:ident, $features:literal, $unit:literal, $load:ident, $add:expr) => {
        #[target_feature(enable = $features)]
        fn $name<const R: usize>(
            block: Block<'_, Word>,
            row_scales: &[f32],
            panel: &Columns<'_>,
            columns: usize,
        ) {
            for half in 0..halves(block.panel, columns) {
                let mut totals = [[_mm256_setzero_si256(); 2]; R];
                let weights = panel.weights.as_chunks::<{ PANEL * $unit }>().0;
                for (weights, x) in weights.iter().zip(block.rows.as_chunks::<R>().0) {
                    let weights = &weights.as_chunks::<{ LANES * $unit }>().0[2 * half..];
                    let (left, right) = ($load(&weights[0]), $load(&weights[1]));
                    for row in 0..R {
                        let x = _mm256_set1_epi32(i32::from_le_bytes(x[row]));
                        totals[row][0] = $add(totals[row][0], x, left);
                        totals[row][1] = $add(totals[row][1], x, right);
                    }
                }
                let row_scales = &row_scales[block.first..];
                for ((row, totals), row_scale) in
                    block.out.chunks_exact_mut(columns).zip(&totals).zip(row_scales)
                {
                    let scaled = scaled(totals, panel, half, *row_scale);
                    write(row, block.panel * PANEL + half * HALF, &line(&scaled));
                }
            }
        }
    };
}

block_of_bytes!(pairs, "avx2,fma", 2, widened, |total, x, weights| {
    _mm256_add_epi32(total, _mm256_madd_epi16(x, weights))
});
block_of_bytes!(quads, "avx2,fma,avxvnni", 4, bytes, |total, x, weights| {
    _mm256_dpbusd_avx_epi32(total, x, weights)
});

#[target_feature(enable = "avx2")]
#[inline]
fn widened(bytes: &[i8; 2 * LANES]) -> __m256i {
    // SAFETY: 16 bytes, as many as half a register holds.
    unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes.as_ptr().cast())) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn bytes(bytes: &[i8; 4 * LANES]) -> __m256i {
    // SAFETY: 32 bytes, as many as a register holds.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Whole sums of half a panel's columns as what they stand for.
#[target_feature(enable = "avx2")]
#[inline]
fn scaled(totals: &[__m256i; 2], panel: &Columns<'_>, half: usize, row_scale: f32) -> [__m256; 2] {
    let mut scaled = [_mm256_setzero_ps(); 2];
    let sums = &panel.sums.as_chunks::<LANES>().0[2 * half..];
    let scales = &panel.scales.as_chunks::<LANES>().0[2 * half..];
    for (part, scaled) in scaled.iter_mut().enumerate() {
        // SAFETY: LANES numbers of 32 bits each, as many as a register holds.
        let (sums, scales) = unsafe {
            (_mm256_loadu_si256(sums[part].as_ptr().cast()), _mm256_loadu_ps(scales[part].as_ptr()))
        };
        let scales = _mm256_mul_ps(scales, _mm256_set1_ps(row_scale));
        *scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(totals[part], sums)), scales);
    }
    scaled
}

/// Rows of a scan that share the loads of the question.
const TOGETHER: usize = 4;

/// Coordinates that one instruction takes.
const STEP: usize = 2 * LANES;

/// Appends the dot products of every `query`-long row of `rows` with `query`.
///
/// Panics when [`is_here`] is false.
pub(super) fn dots(rows: &[i8], query: &[i16], out: &mut Vec<i32>) {
    assert!(is_here(), "the processor has no AVX2");
    let width = query.len();
    let mut groups = rows.chunks_exact(TOGETHER * width);
    for group in &mut groups {
        let group = std::array::from_fn(|row| &group[row * width..(row + 1) * width]);
        // SAFETY: the processor was asked for AVX2 above.
        out.extend(unsafe { row_dots::<TOGETHER>(group, query) });
    }
    for row in groups.remainder().chunks_exact(width) {
        // SAFETY: as above.
        out.extend(unsafe { row_dots::<1>([row], query) });
    }
}

/// The same for some of the rows, named by their numbers.
///
/// Panics when [`is_here`] is false, or when there is no such row.
pub(super) fn dots_of(rows: &[i8], some: &[u32], query: &[i16], out: &mut Vec<i32>) {
    assert!(is_here(), "the processor has no AVX2");
    let width = query.len();
    let row = |number: u32| &rows[number as usize * width..(number as usize + 1) * width];
    let (groups, rest) = some.as_chunks::<TOGETHER>();
    for group in groups {
        // SAFETY: the processor was asked for AVX2 above.
        out.extend(unsafe { row_dots::<TOGETHER>(group.map(row), query) });
    }
    for &number in rest {
        // SAFETY: as above.
        out.extend(unsafe { row_dots::<1>([row(number)], query) });
    }
}

#[target_feature(enable = "avx2")]
fn row_dots<const R: usize>(rows: [&[i8]; R], query: &[i16]) -> [i32; R] {
    let mut totals = [_mm256_setzero_si256(); R];
    let (steps, rest) = query.as_chunks::<STEP>();
    for (index, step) in steps.iter().enumerate() {
        // SAFETY: STEP numbers of 16 bits, as many as a register holds.
        let question = unsafe { _mm256_loadu_si256(step.as_ptr().cast()) };
        for (row, total) in rows.iter().zip(&mut totals) {
            let at = &row.as_chunks::<STEP>().0[index];
            *total = _mm256_add_epi32(*total, _mm256_madd_epi16(widened(at), question));
        }
    }
    std::array::from_fn(|row| {
        let tail = &rows[row][query.len() - rest.len()..];
        let tail: i32 = tail.iter().zip(rest).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
        total(totals[row]) + tail
    })
}

/// The sum of a register's numbers.
#[target_feature(enable = "avx2")]
#[inline]
fn total(sums: __m256i) -> i32 {
    let halves = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let pairs = _mm_add_epi32(halves, _mm_shuffle_epi32::<0b01_00_11_10>(halves));
    _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32::<0b10_11_00_01>(pairs)))
}

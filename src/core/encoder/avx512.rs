//! How do AVX-512 processors multiply rows with packed weights?
//!
//! A block is up to twelve rows times one panel. Measured on a Cascade Lake
//! core, the 8-bit product is 3 times as fast as the one in f32.

// The loads and stores of the vector instructions take pointers, and a function that uses an instruction may only be
// called after asking the processor for it.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_storeu_ps, _mm512_sub_epi32,
};

use super::bytes::{Columns, Word, each_block_of_words};
use super::product::{Block, HALF, PANEL, each_block, write};

/// Neighbouring inner indices that one 8-bit instruction multiplies and adds.
const QUAD: usize = 4;

/// Whether [`product`] can run here.
pub(super) fn has_f32() -> bool {
    std::is_x86_feature_detected!("avx512f")
}

/// Whether [`product_int8`] can run here.
pub(super) fn has_int8() -> bool {
    has_f32() && std::is_x86_feature_detected!("avx512vnni")
}

/// As many rows as the registers allow, and no more than needed.
fn size(rows: usize) -> usize {
    match rows {
        16 | 8..12 => 8,
        12.. => 12,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Writes the product of `rows` (`[rows, inner]`) and panels of single columns
/// to `out` (`[rows, columns]`).
///
/// Panics when [`has_f32`] is false, or when the lengths do not fit.
pub(super) fn product(rows: &[f32], inner: usize, panels: &[f32], columns: usize, out: &mut [f32]) {
    assert!(has_f32(), "the processor has no AVX-512");
    each_block(rows, inner, out, columns, size, |block| {
        let panel = &panels[block.panel * inner * PANEL..][..inner * PANEL];
        let panel = panel.as_chunks::<HALF>().0.as_chunks::<2>().0;
        // SAFETY: the processor was asked for AVX-512 above.
        unsafe {
            match block.size {
                12 => sums::<12>(block, panel, columns),
                8 => sums::<8>(block, panel, columns),
                4 => sums::<4>(block, panel, columns),
                2 => sums::<2>(block, panel, columns),
                _ => sums::<1>(block, panel, columns),
            }
        }
    });
}

/// One group of rows times one panel.
#[target_feature(enable = "avx512f")]
fn sums<const R: usize>(block: Block<'_, f32>, panel: &[[[f32; HALF]; 2]], columns: usize) {
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    for (weights, x) in panel.iter().zip(block.rows.as_chunks::<R>().0) {
        // SAFETY: each half is HALF floats, as many as a register holds.
        let (left, right) =
            unsafe { (_mm512_loadu_ps(weights[0].as_ptr()), _mm512_loadu_ps(weights[1].as_ptr())) };
        for row in 0..R {
            let x = _mm512_set1_ps(x[row]);
            sums[row][0] = _mm512_fmadd_ps(x, left, sums[row][0]);
            sums[row][1] = _mm512_fmadd_ps(x, right, sums[row][1]);
        }
    }
    for (row, sums) in block.out.chunks_exact_mut(columns).zip(&sums) {
        let mut line = [0f32; PANEL];
        for (half, sum) in line.as_chunks_mut::<HALF>().0.iter_mut().zip(sums) {
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(half.as_mut_ptr(), *sum) };
        }
        write(row, block.panel * PANEL, &line);
    }
}

/// Writes `scales[row] * scale[column] * (rows - 128) · weights` to `out`
/// (`[rows, columns]`): words are four numbers without a sign, 128 too large.
///
/// Panics when [`has_int8`] is false, or when the lengths do not fit.
pub(super) fn product_int8(rows: &[Word], row_scales: &[f32], weights: &Columns<'_>, out: &mut [f32]) {
    assert!(has_int8(), "the processor has no 8-bit vector products");
    each_block_of_words(rows, row_scales, weights, out, size, |block, panel, columns| {
        // SAFETY: the processor was asked for the instructions above.
        unsafe {
            match block.size {
                12 => sums_int8::<12>(block, row_scales, panel, columns),
                8 => sums_int8::<8>(block, row_scales, panel, columns),
                4 => sums_int8::<4>(block, row_scales, panel, columns),
                2 => sums_int8::<2>(block, row_scales, panel, columns),
                _ => sums_int8::<1>(block, row_scales, panel, columns),
            }
        }
    });
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn sums_int8<const R: usize>(
    block: Block<'_, Word>,
    row_scales: &[f32],
    panel: &Columns<'_>,
    columns: usize,
) {
    let mut totals = [[_mm512_setzero_si512(); 2]; R];
    let halves = panel.weights.as_chunks::<{ HALF * QUAD }>().0.as_chunks::<2>().0;
    for (weights, x) in halves.iter().zip(block.rows.as_chunks::<R>().0) {
        let (left, right) = (load_bytes(&weights[0]), load_bytes(&weights[1]));
        for row in 0..R {
            let x = _mm512_set1_epi32(i32::from_le_bytes(x[row]));
            totals[row][0] = _mm512_dpbusd_epi32(totals[row][0], x, left);
            totals[row][1] = _mm512_dpbusd_epi32(totals[row][1], x, right);
        }
    }
    let row_scales = &row_scales[block.first..];
    for ((row, totals), row_scale) in block.out.chunks_exact_mut(columns).zip(&totals).zip(row_scales) {
        let mut line = [0f32; PANEL];
        let halves = panel.sums.as_chunks::<HALF>().0.iter().zip(panel.scales.as_chunks::<HALF>().0);
        for ((half, total), (sums, scales)) in
            line.as_chunks_mut::<HALF>().0.iter_mut().zip(totals).zip(halves)
        {
            // SAFETY: all of them are HALF numbers of 32 bits, as many as a register holds.
            unsafe {
                let sums = _mm512_loadu_si512(sums.as_ptr().cast());
                let scales = _mm512_mul_ps(_mm512_loadu_ps(scales.as_ptr()), _mm512_set1_ps(*row_scale));
                let exact = _mm512_cvtepi32_ps(_mm512_sub_epi32(*total, sums));
                _mm512_storeu_ps(half.as_mut_ptr(), _mm512_mul_ps(exact, scales));
            }
        }
        write(row, block.panel * PANEL, &line);
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_bytes(bytes: &[i8; HALF * QUAD]) -> __m512i {
    // SAFETY: 64 bytes, as many as a register holds.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

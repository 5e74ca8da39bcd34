//! How do Arm processors multiply rows with packed weights?
//!
//! A block is up to six rows times half a panel: 24 of 32 registers hold sums.
//! The dot product (Armv8.2) takes four bytes of every column at once; without
//! it, products of bytes are added in 16 bits, two of which cannot overflow.

// The loads and stores of the vector instructions take pointers, and a function that uses an instruction may only be
// called after asking the processor for it.
#![allow(unsafe_code)]

use core::arch::aarch64::{
    float32x4_t, int8x16_t, int32x4_t, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32, vfmaq_n_f32, vget_low_s8,
    vld1q_f32, vld1q_s8, vld1q_s32, vmull_high_s8, vmull_s8, vmulq_f32, vmulq_n_f32, vpadalq_s16, vpaddq_s16,
    vreinterpretq_s8_s32, vst1q_f32, vsubq_s32,
};
use core::arch::asm;

use super::bytes::{Columns, Word, each_block_of_words};
use super::product::{Block, HALF, PANEL, by_size, each_block, halves, up_to_six, write};

/// Numbers of 32 bits in a register.
const LANES: usize = 4;

/// Registers for half a panel.
const PARTS: usize = HALF / LANES;

/// Neighbouring inner indices in a word.
const QUAD: usize = 4;

/// Whether [`product`] and [`product_int8`] can run here.
pub(super) fn is_here() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}

/// Whether [`product_dot`] can run here.
pub(super) fn has_dot() -> bool {
    is_here() && std::arch::is_aarch64_feature_detected!("dotprod")
}

/// Writes the product of `rows` (`[rows, inner]`) and panels of single columns
/// to `out` (`[rows, columns]`).
///
/// Panics when [`is_here`] is false, or when the lengths do not fit.
pub(super) fn product(rows: &[f32], inner: usize, panels: &[f32], columns: usize, out: &mut [f32]) {
    assert!(is_here(), "the processor has no NEON");
    each_block(rows, inner, out, columns, up_to_six, |block| {
        let panel = &panels[block.panel * inner * PANEL..][..inner * PANEL];
        // SAFETY: the processor was asked for NEON above.
        unsafe { by_size!(sums, block, panel, columns) }
    });
}

#[target_feature(enable = "neon")]
fn sums<const R: usize>(block: Block<'_, f32>, panel: &[f32], columns: usize) {
    for half in 0..halves(block.panel, columns) {
        let mut sums = [[vdupq_n_f32(0.0); PARTS]; R];
        for (weights, x) in panel.as_chunks::<PANEL>().0.iter().zip(block.rows.as_chunks::<R>().0) {
            let weights = &weights.as_chunks::<LANES>().0[PARTS * half..][..PARTS];
            for (part, weights) in weights.iter().enumerate() {
                // SAFETY: LANES floats, as many as a register holds.
                let weights = unsafe { vld1q_f32(weights.as_ptr()) };
                for row in 0..R {
                    sums[row][part] = vfmaq_n_f32(sums[row][part], weights, x[row]);
                }
            }
        }
        for (row, sums) in block.out.chunks_exact_mut(columns).zip(&sums) {
            write(row, block.panel * PANEL + half * HALF, &line(sums));
        }
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn line(sums: &[float32x4_t; PARTS]) -> [f32; HALF] {
    let mut line = [0f32; HALF];
    for (part, sum) in line.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
        // SAFETY: LANES floats, as many as a register holds.
        unsafe { vst1q_f32(part.as_mut_ptr(), *sum) };
    }
    line
}

/// Writes `scales[row] * scale[column] * rows · weights` to `out`
/// (`[rows, columns]`): words are four numbers with a sign.
///
/// Panics when [`is_here`] is false, or when the lengths do not fit.
pub(super) fn product_int8(rows: &[Word], row_scales: &[f32], weights: &Columns<'_>, out: &mut [f32]) {
    assert!(is_here(), "the processor has no NEON");
    each_block_of_words(rows, row_scales, weights, out, up_to_six, |block, panel, columns| {
        // SAFETY: the processor was asked for NEON above.
        unsafe { by_size!(pairs, block, row_scales, panel, columns) }
    });
}

/// As [`product_int8`], with the dot product.
///
/// Panics when [`has_dot`] is false, or when the lengths do not fit.
pub(super) fn product_dot(rows: &[Word], row_scales: &[f32], weights: &Columns<'_>, out: &mut [f32]) {
    assert!(has_dot(), "the processor has no dot product of bytes");
    each_block_of_words(rows, row_scales, weights, out, up_to_six, |block, panel, columns| {
        // SAFETY: the processor was asked for the dot product above.
        unsafe { by_size!(dots, block, row_scales, panel, columns) }
    });
}

/// A block of bytes; `$add` adds the products of a word and the weights at a
/// place to a register of sums.
macro_rules! block_of_bytes {
    ($name:ident, $features:literal, $add:ident) => {
        #[target_feature(enable = $features)]
        fn $name<const R: usize>(
            block: Block<'_, Word>,
            row_scales: &[f32],
            panel: &Columns<'_>,
            columns: usize,
        ) {
            for half in 0..halves(block.panel, columns) {
                let mut totals = [[vdupq_n_s32(0); PARTS]; R];
                let weights = panel.weights.as_chunks::<{ PANEL * QUAD }>().0;
                for (weights, x) in weights.iter().zip(block.rows.as_chunks::<R>().0) {
                    let weights = &weights.as_chunks::<{ LANES * QUAD }>().0[PARTS * half..][..PARTS];
                    // SAFETY: 16 bytes, as many as a register holds.
                    let weights: [int8x16_t; PARTS] =
                        std::array::from_fn(|part| unsafe { vld1q_s8(weights[part].as_ptr()) });
                    for row in 0..R {
                        let x = vreinterpretq_s8_s32(vdupq_n_s32(i32::from_le_bytes(x[row])));
                        for part in 0..PARTS {
                            totals[row][part] = $add(totals[row][part], x, weights[part]);
                        }
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

block_of_bytes!(pairs, "neon", add_pairs);
block_of_bytes!(dots, "neon,dotprod", add_dots);

#[target_feature(enable = "neon")]
#[inline]
fn add_pairs(total: int32x4_t, x: int8x16_t, weights: int8x16_t) -> int32x4_t {
    let low = vmull_s8(vget_low_s8(weights), vget_low_s8(x));
    let high = vmull_high_s8(weights, x);
    vpadalq_s16(total, vpaddq_s16(low, high))
}

/// The standard library has no stable name for this instruction.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn add_dots(mut total: int32x4_t, x: int8x16_t, weights: int8x16_t) -> int32x4_t {
    // SAFETY: it reads and writes registers only.
    unsafe {
        asm!(
            "sdot {total:v}.4s, {weights:v}.16b, {x:v}.16b",
            total = inout(vreg) total,
            weights = in(vreg) weights,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    total
}

/// Whole sums of half a panel's columns as what they stand for.
#[target_feature(enable = "neon")]
#[inline]
fn scaled(
    totals: &[int32x4_t; PARTS],
    panel: &Columns<'_>,
    half: usize,
    row_scale: f32,
) -> [float32x4_t; PARTS] {
    let sums = &panel.sums.as_chunks::<LANES>().0[PARTS * half..][..PARTS];
    let scales = &panel.scales.as_chunks::<LANES>().0[PARTS * half..][..PARTS];
    std::array::from_fn(|part| {
        // SAFETY: LANES numbers of 32 bits each, as many as a register holds.
        let (sums, scales) = unsafe { (vld1q_s32(sums[part].as_ptr()), vld1q_f32(scales[part].as_ptr())) };
        vmulq_f32(vcvtq_f32_s32(vsubq_s32(totals[part], sums)), vmulq_n_f32(scales, row_scale))
    })
}

//! Do all products of the encoder give the right numbers on this processor?
//!
//! Products of bytes must be exact on every processor, so that a sentence has
//! the same vector everywhere; products in f32 may differ in their rounding.

#![allow(dead_code, reason = "only the products are looked at")]

#[cfg(target_arch = "x86_64")]
#[path = "../../../src/core/encoder/avx2.rs"]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[path = "../../../src/core/encoder/avx512.rs"]
mod avx512;
#[path = "../../../src/core/encoder/bytes.rs"]
mod bytes;
#[path = "../../../src/core/encoder/kernels.rs"]
mod kernels;
#[cfg(target_arch = "aarch64")]
#[path = "../../../src/core/encoder/neon.rs"]
mod neon;
#[path = "../../../src/core/encoder/product.rs"]
mod product;

/// Whole numbers from -127 to 127 in no order.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) % 255) as f32 - 127.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn main() {
    let here: Vec<_> = bytes::Kernel::ALL.iter().copied().filter(|kernel| kernel.is_here()).collect();
    println!("{} {here:?}", std::env::consts::ARCH);
    for (rows, inner, columns) in [
        (1, 1, 1),
        (1, 5, 3),
        (2, 16, 16),
        (5, 7, 17),
        (7, 33, 40),
        (13, 64, 48),
        (100, 20, 33),
        (29, 1024, 96),
    ] {
        // The largest number is in every row and column, so nothing is rounded.
        let mut x = numbers(rows * inner, 1);
        let mut weights = numbers(inner * columns, 2);
        x.chunks_exact_mut(inner).for_each(|row| row[0] = 127.0);
        weights[..columns].fill(-127.0);
        let exact = |row: usize, column: usize| -> f64 {
            (0..inner).map(|i| f64::from(x[row * inner + i]) * f64::from(weights[i * columns + column])).sum()
        };
        let whole: Vec<i8> = weights.iter().map(|weight| *weight as i8).collect();
        let ones = vec![1f32; columns.next_multiple_of(product::PANEL)];
        for kernel in &here {
            let mut out = vec![f32::NAN; rows * columns];
            bytes::Bytes::new(*kernel, &whole, columns).product(&x, &ones, &mut out);
            for (at, sum) in out.iter().enumerate() {
                assert_eq!(
                    f64::from(*sum),
                    exact(at / columns, at % columns),
                    "{kernel:?} {rows}x{inner}x{columns}"
                );
            }
        }
        let mut out = vec![f32::NAN; rows * columns];
        kernels::product(&x, inner, &product::pack(&weights, columns, 1), columns, &mut out);
        for (at, sum) in out.iter().enumerate() {
            assert_eq!(f64::from(*sum), exact(at / columns, at % columns), "f32 {rows}x{inner}x{columns}");
        }
    }
    for (rows, width) in [(1, 1), (3, 15), (4, 16), (9, 256), (11, 300)] {
        let stored: Vec<i8> = numbers(rows * width, 3).iter().map(|x| *x as i8).collect();
        let query: Vec<i16> = numbers(width, 4).iter().map(|x| *x as i16 * 8).collect();
        let mut sums = Vec::new();
        kernels::whole_dots(&stored, &query, &mut sums);
        let exact = stored
            .chunks_exact(width)
            .map(|row| row.iter().zip(&query).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>());
        assert_eq!(sums, exact.collect::<Vec<_>>(), "{rows}x{width}");
    }
    println!("all products are right");
}

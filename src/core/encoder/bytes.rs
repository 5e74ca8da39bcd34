//! Which instruction multiplies bytes on this processor?
//!
//! Weights and rows are whole numbers from -127 to 127, and their sums are
//! exact, so every processor gives the same vector for a sentence. What
//! differs is how the numbers must lie beside each other.

use super::kernels::{self, Form};
use super::product::{self, Block, each_block};

/// What one instruction takes of a row: four numbers of 8 bits or two of 16.
pub(super) type Word = [u8; 4];

/// Ways to multiply bytes, the fastest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// AVX-512 with VNNI: 64 products an instruction.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-VNNI: 32 products.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX2: 16 products, and an addition.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Arm's dot product: 16 products.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// Arm's first vectors: 16 products in four instructions.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kernel {
    #[cfg(target_arch = "x86_64")]
    pub(super) const ALL: &[Self] = &[Self::Avx512, Self::AvxVnni, Self::Avx2];
    #[cfg(target_arch = "aarch64")]
    pub(super) const ALL: &[Self] = &[Self::NeonDot, Self::Neon];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) const ALL: &[Self] = &[];

    /// The best one of this processor.
    pub(super) fn best() -> Option<Self> {
        Self::ALL.iter().copied().find(|kernel| kernel.is_here())
    }

    /// Whether this processor has it.
    pub(super) fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => super::avx512::has_int8(),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => super::avx2::has_vnni(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => super::avx2::is_here(),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => super::neon::has_dot(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => super::neon::is_here(),
        }
    }

    /// How it wants its rows.
    fn form(self) -> Form {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::AvxVnni => Form::Unsigned,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Form::Pairs,
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot | Self::Neon => Form::Signed,
        }
    }
}

/// Weights in the order in which a kernel reads them.
pub(super) struct Bytes {
    kernel: Kernel,
    inner: usize,
    columns: usize,
    weights: Vec<i8>,
    /// What the form of the rows adds to every column's sum, up to whole panels.
    sums: Vec<i32>,
}

/// The weights of some columns, whole panels of them.
pub(super) struct Columns<'a> {
    /// Panel after panel.
    pub(super) weights: &'a [i8],
    /// To be taken from a column's sum.
    pub(super) sums: &'a [i32],
    /// What a column's sum is multiplied with.
    pub(super) scales: &'a [f32],
}

impl Columns<'_> {
    /// One panel.
    pub(super) fn panel(&self, index: usize) -> Columns<'_> {
        let bytes = self.weights.len() / (self.sums.len() / product::PANEL);
        let columns = index * product::PANEL..(index + 1) * product::PANEL;
        Columns {
            weights: &self.weights[index * bytes..(index + 1) * bytes],
            sums: &self.sums[columns.clone()],
            scales: &self.scales[columns],
        }
    }
}

/// Cuts a product of words into blocks, as [`each_block`] does; each gets its panel
/// of weights and the number of columns too.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    expect(dead_code, reason = "no processor that multiplies bytes")
)]
pub(super) fn each_block_of_words(
    rows: &[Word],
    row_scales: &[f32],
    weights: &Columns<'_>,
    out: &mut [f32],
    size: impl Fn(usize) -> usize,
    mut block: impl FnMut(Block<'_, Word>, &Columns<'_>, usize),
) {
    let (inner, columns) = (rows.len() / row_scales.len(), out.len() / row_scales.len());
    each_block(rows, inner, out, columns, size, |one| {
        let panel = weights.panel(one.panel);
        block(one, &panel, columns);
    });
}

impl Bytes {
    /// From a row-major `[inner, columns]` matrix.
    pub(super) fn new(kernel: Kernel, matrix: &[i8], columns: usize) -> Self {
        let mut sums = vec![0; columns.next_multiple_of(product::PANEL)];
        for row in matrix.chunks_exact(columns) {
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += kernel.form().shift() * i32::from(*weight);
            }
        }
        let weights = product::pack(matrix, columns, kernel.form().unit());
        Self { kernel, inner: matrix.len() / columns, columns, weights, sums }
    }

    /// Writes the product of `rows` (`[rows, inner]`), rounded, and the
    /// weights to `out` (`[rows, columns]`); `scales` undoes the rounding of
    /// the weights, up to whole panels.
    pub(super) fn product(&self, rows: &[f32], scales: &[f32], out: &mut [f32]) {
        let (mut words, mut row_scales) = (Vec::new(), Vec::new());
        kernels::round_to_words(rows, self.inner, self.kernel.form(), &mut words, &mut row_scales);
        debug_assert_eq!(out.len(), row_scales.len() * self.columns);
        let weights = Columns { weights: &self.weights, sums: &self.sums, scales };
        match self.kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => super::avx512::product_int8(&words, &row_scales, &weights, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::AvxVnni => super::avx2::product_quads(&words, &row_scales, &weights, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => super::avx2::product_pairs(&words, &row_scales, &weights, out),
            #[cfg(target_arch = "aarch64")]
            Kernel::NeonDot => super::neon::product_dot(&words, &row_scales, &weights, out),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => super::neon::product_int8(&words, &row_scales, &weights, out),
        }
    }
}

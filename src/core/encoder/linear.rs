//! How are rows multiplied with the weights of a linear layer?
//!
//! In f32, or with weights and rows rounded to 8 bits: weights once, one scale
//! per column; rows on the way, one scale per row (dynamic quantisation, as in
//! Zafrir et al. 2019, "Q8BERT", but symmetric). The 8-bit sums are whole
//! numbers and exact on every machine: where the processor has no instruction
//! for them, the f32 product of the same whole numbers gives the same sums, as
//! long as they stay below 2^24, which holds for up to 1,040 addends.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};
use serde::{Deserialize, Serialize};

use super::bytes::{Bytes, Kernel};
use super::{kernels, product};

/// How exactly the large products are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// In f32, as the weights were trained.
    #[default]
    F32,
    /// With weights and rows rounded to 8 bits; several times faster.
    Int8,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::F32, Self::Int8];

    /// Its name in manifests and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

/// The weights of a linear layer, or of several side by side, without biases.
pub(super) enum Linear {
    /// In the order in which the kernel reads them.
    Packed { panels: Vec<f32>, inner: usize, columns: usize },
    /// As candle multiplies them.
    Plain(Tensor),
    /// Rounded to 8 bits.
    Rounded(Rounded),
}

/// An unoptimised build leaves the f32 products to candle, which is optimised
/// there too; the kernels would take seconds for a sentence.
const PACKED: bool = !cfg!(debug_assertions);

impl Linear {
    /// From a contiguous `[inner, columns]` matrix.
    pub(super) fn new(weight: Tensor, precision: Precision) -> candle_core::Result<Self> {
        match precision {
            Precision::Int8 => Rounded::new(&weight).map(Self::Rounded),
            Precision::F32 if PACKED => {
                let (inner, columns) = weight.dims2()?;
                let weight: Vec<f32> = weight.flatten_all()?.to_vec1()?;
                Ok(Self::Packed { panels: product::pack(&weight, columns, 1), inner, columns })
            }
            Precision::F32 => Ok(Self::Plain(weight)),
        }
    }

    /// The product of rows (`[rows, inner]`) with the weights.
    pub(super) fn of(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Plain(weight) => rows.matmul(weight),
            Self::Packed { .. } | Self::Rounded(Rounded { weights: Weights::Bytes(_), .. }) => {
                rows.apply_op1_no_bwd(self)
            }
            Self::Rounded(rounded) => rounded.without_bytes(rows),
        }
    }
}

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let rows = contiguous(storage, layout)?;
        let (Self::Packed { inner, columns, .. } | Self::Rounded(Rounded { inner, columns, .. })) = self
        else {
            candle_core::bail!("candle multiplies plain weights itself")
        };
        let count = rows.len() / inner;
        let mut out = vec![0f32; count * columns];
        match self {
            Self::Packed { panels, .. } => kernels::product(rows, *inner, panels, *columns, &mut out),
            Self::Rounded(rounded) => rounded.multiply(rows, &mut out),
            Self::Plain(_) => {}
        }
        Ok((CpuStorage::F32(out), Shape::from((count, *columns))))
    }
}

/// The numbers of a contiguous f32 tensor.
pub(super) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (all, Some((from, to))) => Ok(&all[from..to]),
        _ => candle_core::bail!("the encoder's ops need contiguous f32"),
    }
}

/// Weights in 8 bits.
pub(super) struct Rounded {
    inner: usize,
    columns: usize,
    /// What a column's whole numbers are multiplied with; up to whole panels.
    scales: Vec<f32>,
    weights: Weights,
}

enum Weights {
    /// For the processor's 8-bit products.
    Bytes(Bytes),
    /// The same whole numbers in f32, for other processors.
    Floats(Box<Linear>),
}

impl Rounded {
    fn new(weight: &Tensor) -> candle_core::Result<Self> {
        let (inner, columns) = weight.dims2()?;
        let matrix: Vec<f32> = weight.flatten_all()?.to_vec1()?;
        let mut scales = vec![0f32; columns.next_multiple_of(product::PANEL)];
        for row in matrix.chunks_exact(columns) {
            for (scale, x) in scales.iter_mut().zip(row) {
                *scale = scale.max(x.abs());
            }
        }
        scales.iter_mut().for_each(|scale| *scale /= kernels::LARGEST);
        let whole: Vec<f32> = matrix
            .iter()
            .enumerate()
            .map(|(at, x)| if *x == 0.0 { 0.0 } else { (x / scales[at % columns]).round_ties_even() })
            .collect();
        let weights = Weights::new(whole, inner, columns)?;
        Ok(Self { inner, columns, scales, weights })
    }

    fn multiply(&self, rows: &[f32], out: &mut [f32]) {
        if let Weights::Bytes(bytes) = &self.weights {
            bytes.product(rows, &self.scales, out);
        }
    }

    /// The product where the processor has none for bytes.
    fn without_bytes(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let Weights::Floats(weights) = &self.weights else {
            candle_core::bail!("only weights in f32 are multiplied here");
        };
        let shape = rows.dims2()?;
        let mut rows: Vec<f32> = rows.flatten_all()?.to_vec1()?;
        let mut row_scales = Vec::new();
        kernels::round_in_place(&mut rows, self.inner, &mut row_scales);
        let exact = weights.of(&Tensor::from_vec(rows, shape, &Device::Cpu)?)?;
        let mut out: Vec<f32> = exact.flatten_all()?.to_vec1()?;
        for (row, row_scale) in out.chunks_exact_mut(self.columns).zip(&row_scales) {
            for (x, scale) in row.iter_mut().zip(&self.scales) {
                *x *= scale * row_scale;
            }
        }
        Tensor::from_vec(out, (shape.0, self.columns), &Device::Cpu)
    }
}

impl Weights {
    /// From a row-major `[inner, columns]` matrix of whole numbers.
    fn new(whole: Vec<f32>, inner: usize, columns: usize) -> candle_core::Result<Self> {
        if let Some(kernel) = Kernel::best().filter(|_| PACKED) {
            return Ok(Self::bytes(kernel, &whole, columns));
        }
        let weight = Tensor::from_vec(whole, (inner, columns), &Device::Cpu)?;
        Linear::new(weight, Precision::F32).map(|weights| Self::Floats(Box::new(weights)))
    }

    fn bytes(kernel: Kernel, whole: &[f32], columns: usize) -> Self {
        let bytes: Vec<i8> = whole.iter().map(|x| *x as i8).collect();
        Self::Bytes(Bytes::new(kernel, &bytes, columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of mixed size and sign, the same on every run.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state >> 8) / f64::from(1u32 << 23) - 1.0) as f32
        })
        .take(count)
        .collect()
    }

    #[test]
    fn bytes_and_floats_give_the_same_sums() {
        for (rows, inner, columns) in [(1, 5, 3), (7, 33, 40), (16, 256, 64), (29, 1024, 33)] {
            let weight =
                Tensor::from_vec(numbers(inner * columns, 1), (inner, columns), &Device::Cpu).unwrap();
            let rounded = Rounded::new(&weight).unwrap();
            let whole: Vec<f32> = weight
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
                .iter()
                .enumerate()
                .map(|(at, x)| (x / rounded.scales[at % columns]).round_ties_even())
                .collect();
            let x = numbers(rows * inner, 2);
            let rows_of = Tensor::from_vec(x.clone(), (rows, inner), &Device::Cpu).unwrap();
            let plain = Tensor::from_vec(whole.clone(), (inner, columns), &Device::Cpu).unwrap();
            let floats = Rounded {
                weights: Weights::Floats(Box::new(Linear::Plain(plain))),
                scales: rounded.scales.clone(),
                inner,
                columns,
            };
            let expected: Vec<f32> =
                floats.without_bytes(&rows_of).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            // Rounding costs at most half a step per factor.
            let exact: Vec<f32> = rows_of.matmul(&weight).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            for (a, b) in expected.iter().zip(&exact) {
                assert!((a - b).abs() < 0.01 * (inner as f32).sqrt(), "{a} {b}");
            }
            let mut rounded = floats;
            for kernel in Kernel::ALL.iter().copied().filter(|kernel| kernel.is_here()) {
                rounded.weights = Weights::bytes(kernel, &whole, columns);
                let mut out = vec![f32::NAN; rows * columns];
                rounded.multiply(&x, &mut out);
                for (a, b) in out.iter().zip(&expected) {
                    let place = format!("{kernel:?} {rows}x{inner}x{columns}: {a} {b}");
                    assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{place}");
                }
            }
        }
    }
}

//! Which operations have a derivative here?
//!
//! A linear layer, a feed-forward layer and a layer normalisation, each as one
//! candle operation with its own way back. The plain operations of candle would
//! do, but they share every large array among the threads of one pool of
//! candle's, and the parts of a batch, which run side by side already, wait
//! there for each other: a profile showed a third of all time spent on it.
//!
//! The derivatives of weights leave the way back through a [`Tape`]: candle's
//! own store would add every one of them to an array of zeros.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};

/// The derivatives of a part of a batch, by parameter; empty where none came.
#[derive(Debug, Default)]
pub(super) struct Tape {
    slopes: Mutex<Vec<Vec<f32>>>,
}

impl Tape {
    /// A tape for some parameters.
    pub fn new(parameters: usize) -> Arc<Self> {
        Arc::new(Self { slopes: Mutex::new(vec![Vec::new(); parameters]) })
    }

    /// Notes the derivative of a parameter. Every parameter is used once.
    pub fn note(&self, which: usize, slopes: Vec<f32>) {
        self.slopes.lock().unwrap_or_else(PoisonError::into_inner)[which] = slopes;
    }

    /// Everything that was noted.
    pub fn take(&self) -> Vec<Vec<f32>> {
        std::mem::take(&mut *self.slopes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Weight `[output, input]` and bias `[output]`, and the place of the weight
/// among the parameters; the bias stands behind it.
#[derive(Clone)]
pub(super) struct Affine {
    pub weight: Tensor,
    pub bias: Tensor,
    pub which: usize,
}

impl Affine {
    /// Rows times weight plus bias.
    fn of(&self, rows: &Tensor) -> candle_core::Result<Vec<f32>> {
        let mut out: Vec<f32> = rows.matmul(&self.weight.t()?)?.flatten_all()?.to_vec1()?;
        let bias: Vec<f32> = self.bias.to_vec1()?;
        for row in out.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(&bias).for_each(|(y, b)| *y += b);
        }
        Ok(out)
    }

    /// Notes the derivatives of weight and bias; gives that of the rows.
    fn back(&self, rows: &Tensor, slopes: &Tensor, tape: &Tape) -> candle_core::Result<Tensor> {
        tape.note(self.which, slopes.t()?.matmul(rows)?.flatten_all()?.to_vec1()?);
        tape.note(self.which + 1, column_sums(&flat(slopes)?, self.bias.elem_count()));
        slopes.matmul(&self.weight)
    }
}

fn flat(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

fn column_sums(values: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for row in values.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(s, x)| *s += x);
    }
    sums
}

/// The rows that an operation is applied to.
fn rows<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<(&'a [f32], usize, usize)> {
    let (count, width) = layout.shape().dims2()?;
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (all, Some((from, to))) => Ok((&all[from..to], count, width)),
        _ => candle_core::bail!("training needs contiguous f32"),
    }
}

/// A linear layer.
pub(super) struct Linear {
    pub affine: Affine,
    pub tape: Arc<Tape>,
}

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (values, count, width) = rows(storage, layout)?;
        let out = self.affine.of(&Tensor::from_slice(values, (count, width), &Device::Cpu)?)?;
        Ok((CpuStorage::F32(out), Shape::from((count, self.affine.bias.elem_count()))))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, slopes: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.affine.back(arg, &slopes.contiguous()?, &self.tape).map(Some)
    }
}

/// The activation between the two halves of a feed-forward layer.
#[derive(Clone, Copy)]
pub(super) enum Activation {
    Gelu,
    GeluTanh,
    Relu,
}

impl Activation {
    /// By the name in `config.json`, which the encoder has checked.
    pub fn named(name: &str) -> Self {
        match name {
            "relu" => Self::Relu,
            "gelu" => Self::Gelu,
            _ => Self::GeluTanh,
        }
    }

    /// The value and its derivative.
    fn at(self, x: f32) -> (f32, f32) {
        match self {
            Self::Relu => (x.max(0.0), f32::from(u8::from(x > 0.0))),
            Self::Gelu => {
                // The error function by Abramowitz and Stegun 7.1.26, right to 1.5e-7.
                let bell = (-0.5 * x * x).exp();
                let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
                let series = t
                    * (0.254_829_6
                        + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
                let below = 0.5 * (1.0 + (1.0 - series * bell).copysign(x));
                (x * below, below + x * bell * 0.398_942_3)
            }
            Self::GeluTanh => {
                const A: f32 = 0.797_884_6;
                const B: f32 = 0.044_715;
                let tanh = (A * (x + B * x * x * x)).tanh();
                let slope = A * (1.0 + 3.0 * B * x * x) * (1.0 - tanh * tanh);
                (0.5 * x * (1.0 + tanh), 0.5 * (1.0 + tanh) + 0.5 * x * slope)
            }
        }
    }
}

/// A feed-forward layer: up, activation, down.
pub(super) struct FeedForward {
    pub up: Affine,
    pub down: Affine,
    pub activation: Activation,
    pub tape: Arc<Tape>,
    /// What the way back needs of the way there: activations and their derivatives.
    pub between: Mutex<Option<(Tensor, Vec<f32>)>>,
}

impl CustomOp1 for FeedForward {
    fn name(&self) -> &'static str {
        "feed-forward"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (values, count, width) = rows(storage, layout)?;
        let mut inner = self.up.of(&Tensor::from_slice(values, (count, width), &Device::Cpu)?)?;
        let slopes = inner
            .iter_mut()
            .map(|x| {
                let (value, slope) = self.activation.at(*x);
                *x = value;
                slope
            })
            .collect();
        let inner = Tensor::from_vec(inner, (count, self.up.bias.elem_count()), &Device::Cpu)?;
        let out = self.down.of(&inner)?;
        *self.between.lock().unwrap_or_else(PoisonError::into_inner) = Some((inner, slopes));
        Ok((CpuStorage::F32(out), Shape::from((count, width))))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, slopes: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let between = self.between.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((inner, steepness)) = between else { candle_core::bail!("there was no way there") };
        let back = self.down.back(&inner, &slopes.contiguous()?, &self.tape)?;
        let mut values = flat(&back)?;
        values.iter_mut().zip(&steepness).for_each(|(x, s)| *x *= s);
        let back = Tensor::from_vec(values, inner.dims(), &Device::Cpu)?;
        self.up.back(arg, &back, &self.tape).map(Some)
    }
}

/// Layer normalisation of every row (Ba et al. 2016).
pub(super) struct Normalise {
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
    pub eps: f32,
    /// The place of gamma among the parameters; beta stands behind it.
    pub which: usize,
    pub tape: Arc<Tape>,
}

impl Normalise {
    /// Scales a row to mean 0 and variance 1; gives what it was multiplied with.
    fn standardise(&self, row: &[f32], out: &mut [f32]) -> f32 {
        let width = row.len() as f32;
        let mean = row.iter().sum::<f32>() / width;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width;
        let scale = 1.0 / (variance + self.eps).sqrt();
        out.iter_mut().zip(row).for_each(|(y, x)| *y = (x - mean) * scale);
        scale
    }
}

impl CustomOp1 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (values, count, width) = rows(storage, layout)?;
        let mut out = vec![0.0; values.len()];
        for (row, out) in values.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            self.standardise(row, out);
            for ((y, g), b) in out.iter_mut().zip(&self.gamma).zip(&self.beta) {
                *y = *y * g + b;
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((count, width))))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, slopes: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let width = self.gamma.len();
        let (values, slopes) = (flat(arg)?, flat(slopes)?);
        let mut standard = vec![0.0; width];
        let mut gamma = vec![0.0; width];
        let mut back = Vec::with_capacity(values.len());
        for (row, slopes) in values.chunks_exact(width).zip(slopes.chunks_exact(width)) {
            let scale = self.standardise(row, &mut standard);
            let (mut sum, mut along) = (0.0, 0.0);
            for (((s, x), g), total) in slopes.iter().zip(&standard).zip(&self.gamma).zip(&mut gamma) {
                *total += s * x;
                sum += s * g;
                along += s * g * x;
            }
            let (sum, along) = (sum / width as f32, along / width as f32);
            let inputs = slopes.iter().zip(&standard).zip(&self.gamma);
            back.extend(inputs.map(|((s, x), g)| scale * (s * g - sum - x * along)));
        }
        self.tape.note(self.which, gamma);
        self.tape.note(self.which + 1, column_sums(&slopes, width));
        Tensor::from_vec(back, arg.dims(), &Device::Cpu).map(Some)
    }
}

//! What does the network compute?
//!
//! A BERT encoder (Devlin et al. 2019) over a *ragged* batch: the tokens of
//! all sentences stand in one matrix, so no arithmetic goes into padding. The
//! three projections of attention are one product, weights are transposed and
//! packed once at load, and everything between two products is one fused
//! candle op.

use std::collections::HashMap;

use candle_core::{CpuStorage, CustomOp1, DType, Device, InplaceOp1, InplaceOp2, Layout, Shape, Tensor};
use serde::Deserialize;

use super::kernels::{self, Activation};
use super::linear::{Linear, Precision, contiguous};

/// The parts of `config.json` that shape the network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Config {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of a token's vector.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads; they divide `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// The longest sentence, in tokens.
    pub max_position_embeddings: usize,
    /// Rows of the segment embedding; only the first is used.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// `gelu`, `gelu_new`, `gelu_pytorch_tanh` or `relu`.
    #[serde(default = "gelu")]
    pub hidden_act: String,
    /// Added to the variance in layer normalisation.
    #[serde(default = "small")]
    pub layer_norm_eps: f64,
    /// Must be `bert` when given.
    #[serde(default)]
    pub model_type: Option<String>,
    /// Must be `absolute` when given.
    #[serde(default)]
    pub position_embedding_type: Option<String>,
}

fn two() -> usize {
    2
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn small() -> f64 {
    1e-12
}

impl Config {
    /// Says whether the text of a `config.json` is about another kind of
    /// network, whose config need not even have BERT's fields.
    pub(super) fn check_kind(json: &[u8]) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(default)]
            model_type: Option<String>,
        }
        let kind: Kind = serde_json::from_slice(json).map_err(|e| format!("config.json: {e}"))?;
        match kind.model_type.as_deref().filter(|kind| *kind != "bert") {
            Some(kind) => Err(format!("config.json: model_type is {kind:?}; zhida runs \"bert\"")),
            None => Ok(()),
        }
    }

    /// How many numbers the network has.
    pub fn parameters(&self) -> usize {
        let (width, inner) = (self.hidden_size, self.intermediate_size);
        let rows = self.vocab_size + self.max_position_embeddings + self.type_vocab_size;
        let norm = 2 * width;
        let attention = 4 * (width * width + width);
        let feed_forward = width * inner + inner + inner * width + width;
        rows * width + norm + self.num_hidden_layers * (attention + feed_forward + 2 * norm)
    }

    /// Says what zhida cannot run, if anything.
    pub fn check(&self) -> Result<(), String> {
        if let Some(kind) = self.model_type.as_deref().filter(|kind| *kind != "bert") {
            return Err(format!("config.json: model_type is {kind:?}; zhida runs \"bert\""));
        }
        if let Some(kind) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(format!("config.json: position_embedding_type is {kind:?}; zhida runs \"absolute\""));
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(format!("config.json: {name} is 0"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "config.json: hidden_size {} is no multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        self.activation().map(|_| ())
    }

    fn activation(&self) -> Result<Activation, String> {
        match self.hidden_act.as_str() {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            other => Err(format!("config.json: hidden_act is {other:?}; zhida runs gelu, gelu_new and relu")),
        }
    }
}

struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

struct Layer {
    /// `[hidden, 3 * hidden]`.
    qkv: Linear,
    qkv_bias: Vec<f32>,
    /// `[hidden, hidden]`.
    output: Linear,
    output_bias: Vec<f32>,
    attention_norm: Norm,
    /// `[hidden, intermediate]`.
    up: Linear,
    up_bias: Vec<f32>,
    /// `[intermediate, hidden]`.
    down: Linear,
    down_bias: Vec<f32>,
    output_norm: Norm,
}

/// The network with its weights in memory, in f32.
pub struct Transformer {
    config: Config,
    activation: Activation,
    words: Vec<f32>,
    /// Position plus segment embedding, one row per position.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// Why a set of weights does not fit its config, in words.
type Misfit = String;

/// Weights by name, with the prefixes and old names of other programs undone.
struct Weights {
    tensors: HashMap<String, Tensor>,
    precision: Precision,
}

impl Weights {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, Misfit> {
        let old_name =
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let tensor = [name, &format!("bert.{name}"), &old_name, &format!("bert.{old_name}")]
            .iter()
            .find_map(|candidate| self.tensors.remove(*candidate))
            .ok_or_else(|| format!("model.safetensors has no tensor {name:?}"))?;
        if tensor.dims() != shape {
            return Err(format!(
                "model.safetensors: {name} has shape {:?}, config.json asks for {shape:?}",
                tensor.dims()
            ));
        }
        tensor.to_dtype(DType::F32).map_err(|e| format!("model.safetensors: {name}: {e}"))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, Misfit> {
        self.take(name, &[length])?.to_vec1().map_err(|e| format!("model.safetensors: {name}: {e}"))
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>, Misfit> {
        let tensor = self.take(name, &[rows, columns])?;
        tensor
            .flatten_all()
            .and_then(|flat| flat.to_vec1())
            .map_err(|e| format!("model.safetensors: {name}: {e}"))
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<Norm, Misfit> {
        Ok(Norm {
            gamma: self.vector(&format!("{name}.weight"), width)?,
            beta: self.vector(&format!("{name}.bias"), width)?,
        })
    }

    /// Several linear layers side by side, as one `[input, sum of outputs]` matrix and one bias.
    fn linear(
        &mut self,
        names: &[String],
        input: usize,
        output: usize,
    ) -> Result<(Linear, Vec<f32>), Misfit> {
        let mut columns = Vec::new();
        let mut bias = Vec::new();
        for name in names {
            let weight = self.take(&format!("{name}.weight"), &[output, input])?;
            columns.push(weight.t().map_err(|e| e.to_string())?);
            bias.extend(self.vector(&format!("{name}.bias"), output)?);
        }
        let weight = Tensor::cat(&columns, 1)
            .and_then(|w| w.contiguous())
            .and_then(|weight| Linear::new(weight, self.precision))
            .map_err(|e| e.to_string())?;
        Ok((weight, bias))
    }
}

impl Transformer {
    /// Builds the network from the bytes of a safetensors file.
    ///
    /// # Errors
    /// In words, when the file is no safetensors file, or a tensor is missing
    /// or has another shape than the config says.
    pub fn new(config: Config, safetensors: &[u8], precision: Precision) -> Result<Self, Misfit> {
        config.check()?;
        let tensors = candle_core::safetensors::load_buffer(safetensors, &Device::Cpu)
            .map_err(|e| format!("model.safetensors is damaged or cut off: {e}"))?;
        let mut weights = Weights { tensors, precision };
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let words = weights.matrix("embeddings.word_embeddings.weight", config.vocab_size, width)?;
        let mut positions =
            weights.matrix("embeddings.position_embeddings.weight", config.max_position_embeddings, width)?;
        let segments =
            weights.matrix("embeddings.token_type_embeddings.weight", config.type_vocab_size, width)?;
        for row in positions.chunks_exact_mut(width) {
            for (x, s) in row.iter_mut().zip(&segments) {
                *x += s;
            }
        }
        let norm = weights.norm("embeddings.LayerNorm", width)?;
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for index in 0..config.num_hidden_layers {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let projections = ["query", "key", "value"].map(|p| name(&format!("attention.self.{p}")));
            let (qkv, qkv_bias) = weights.linear(&projections, width, width)?;
            let (output, output_bias) = weights.linear(&[name("attention.output.dense")], width, width)?;
            let (up, up_bias) = weights.linear(&[name("intermediate.dense")], width, inner)?;
            let (down, down_bias) = weights.linear(&[name("output.dense")], inner, width)?;
            layers.push(Layer {
                qkv,
                qkv_bias,
                output,
                output_bias,
                attention_norm: weights.norm(&name("attention.output.LayerNorm"), width)?,
                up,
                up_bias,
                down,
                down_bias,
                output_norm: weights.norm(&name("output.LayerNorm"), width)?,
            });
        }
        let activation = config.activation()?;
        // Sentences are short: splitting one product over threads costs more
        // than it gains, and batches are split by sentence instead.
        gemm_common::gemm::set_threading_threshold(usize::MAX);
        Ok(Self { config, activation, words, positions, norm, layers })
    }

    /// The shape of the network.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The last layer's vectors: one row of `hidden_size` per token, sentence
    /// after sentence.
    ///
    /// Sentences must not be empty, nor longer than `max_position_embeddings`;
    /// ids must be below `vocab_size`.
    pub fn forward(&self, sentences: &[&[u32]]) -> candle_core::Result<Vec<f32>> {
        let width = self.config.hidden_size;
        let tokens: usize = sentences.iter().map(|ids| ids.len()).sum();
        let mut embedded = Vec::with_capacity(tokens * width);
        for ids in sentences {
            for (position, &id) in ids.iter().enumerate() {
                let row = id as usize * width..(id as usize + 1) * width;
                let Some(word) = self.words.get(row) else {
                    candle_core::bail!("token id {id} is not below vocab_size {}", self.config.vocab_size);
                };
                let Some(place) = self.positions.get(position * width..(position + 1) * width) else {
                    candle_core::bail!(
                        "a sentence has more than {} tokens",
                        self.config.max_position_embeddings
                    );
                };
                embedded.extend(word.iter().zip(place).map(|(w, p)| w + p));
            }
        }
        let zeros = vec![0f32; embedded.len().max(width)];
        let eps = self.config.layer_norm_eps as f32;
        kernels::add_norm(&mut embedded, &zeros, &zeros[..width], &self.norm.gamma, &self.norm.beta, eps);
        let mut hidden = Tensor::from_vec(embedded, (tokens, width), &Device::Cpu)?;
        for layer in &self.layers {
            let qkv = layer.qkv.of(&hidden)?;
            let context = qkv.apply_op1_no_bwd(&Attention {
                bias: &layer.qkv_bias,
                heads: self.config.num_attention_heads,
                sentences,
            })?;
            let attended = layer.output.of(&context)?;
            attended.inplace_op2(
                &hidden,
                &AddNorm { bias: &layer.output_bias, norm: &layer.attention_norm, eps },
            )?;
            let inner = layer.up.of(&attended)?;
            inner.inplace_op1(&BiasActivation { bias: &layer.up_bias, activation: self.activation })?;
            let next = layer.down.of(&inner)?;
            next.inplace_op2(&attended, &AddNorm { bias: &layer.down_bias, norm: &layer.output_norm, eps })?;
            hidden = next;
        }
        hidden.flatten_all()?.to_vec1()
    }
}

fn rows_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> candle_core::Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((from, to))) => Ok(&mut all[from..to]),
        _ => candle_core::bail!("the encoder's ops need contiguous f32"),
    }
}

struct Attention<'a> {
    bias: &'a [f32],
    heads: usize,
    sentences: &'a [&'a [u32]],
}

impl CustomOp1 for Attention<'_> {
    fn name(&self) -> &'static str {
        "ragged-attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut qkv = contiguous(storage, layout)?.to_vec();
        let width = self.bias.len() / 3;
        let tokens = qkv.len() / self.bias.len();
        let mut out = vec![0f32; tokens * width];
        let mut at = 0;
        for ids in self.sentences {
            let end = at + ids.len();
            kernels::attention(
                &mut qkv[at * 3 * width..end * 3 * width],
                self.bias,
                self.heads,
                &mut out[at * width..end * width],
            );
            at = end;
        }
        Ok((CpuStorage::F32(out), Shape::from((tokens, width))))
    }
}

struct AddNorm<'a> {
    bias: &'a [f32],
    norm: &'a Norm,
    eps: f32,
}

impl InplaceOp2 for AddNorm<'_> {
    fn name(&self) -> &'static str {
        "add-norm"
    }

    fn cpu_fwd(
        &self,
        storage: &mut CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> candle_core::Result<()> {
        let residual = contiguous(residual, residual_layout)?;
        let out = rows_mut(storage, layout)?;
        kernels::add_norm(out, residual, self.bias, &self.norm.gamma, &self.norm.beta, self.eps);
        Ok(())
    }
}

struct BiasActivation<'a> {
    bias: &'a [f32],
    activation: Activation,
}

impl InplaceOp1 for BiasActivation<'_> {
    fn name(&self) -> &'static str {
        "bias-activation"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        kernels::bias_activation(rows_mut(storage, layout)?, self.bias, self.activation);
        Ok(())
    }
}

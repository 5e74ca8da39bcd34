//! What does the network compute, such that it can be trained?
//!
//! The encoder's own forward pass is made of fused operations that have no
//! derivative. This is the same BERT (Devlin et al. 2019) over the same
//! *ragged* batch in operations which all have one, candle's and those in
//! [`super::operations`]; tests hold it against the encoder and the derivative
//! against finite differences. Weights live here as plain numbers and become
//! tensors for one step: of the word embedding only the rows that a step sees,
//! so that a vocabulary of any size costs nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor, Var};

use super::dice::Dice;
use super::operations::{Activation, Affine, FeedForward, Linear, Normalise, Tape};
use crate::encoder::{Config, Pooling};

/// Added to the squared length of a vector, whose root has no derivative at 0.
const TINY: f64 = 1e-12;

/// A named tensor of the model, in f32.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The network with its weights.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub config: Config,
    pub pooling: Pooling,
    /// The word embedding, `[vocabulary, hidden]`.
    pub words: Parameter,
    /// All others: positions, segments, then weight and bias of everything in
    /// the order in which it is used.
    pub others: Vec<Parameter>,
}

const WORDS: &str = "embeddings.word_embeddings";
const POSITIONS: &str = "embeddings.position_embeddings";
const SEGMENTS: &str = "embeddings.token_type_embeddings";

/// The tensors of one layer in the order in which they are used.
const LAYER: [&str; 8] = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
];

/// Parameters before the first layer: positions, segments, weight and bias of
/// the first normalisation.
const BEFORE: usize = 4;

/// The batch of one step or a part of it: tokens of all sentences in one row,
/// sentences of a length together.
pub(super) struct Packed {
    /// The rows of the word embedding that occur, each once.
    pub rows: Vec<u32>,
    /// For every token its place in `rows`.
    places: Vec<u32>,
    positions: Vec<u32>,
    /// How many sentences of which length follow each other.
    groups: Vec<(usize, usize)>,
}

/// The rows of the embeddings that a part of a step sees.
pub(super) struct Embeddings {
    /// `[rows of the part, hidden]`.
    pub words: Var,
    /// Position plus segment, `[longest sentence, hidden]`.
    pub places: Var,
}

impl Packed {
    /// Packs sentences, none of them empty, in ascending order of length.
    pub fn new(sentences: &[&[u32]]) -> Self {
        let mut packed =
            Self { rows: Vec::new(), places: Vec::new(), positions: Vec::new(), groups: Vec::new() };
        let mut known: HashMap<u32, u32> = HashMap::new();
        for sentence in sentences {
            for (position, &id) in sentence.iter().enumerate() {
                let place = *known.entry(id).or_insert_with(|| {
                    packed.rows.push(id);
                    packed.rows.len() as u32 - 1
                });
                packed.places.push(place);
                packed.positions.push(position as u32);
            }
            match packed.groups.last_mut() {
                Some((count, length)) if *length == sentence.len() => *count += 1,
                _ => packed.groups.push((1, sentence.len())),
            }
        }
        packed
    }

    /// The length of the longest sentence.
    fn longest(&self) -> usize {
        self.groups.last().map_or(0, |(_, length)| *length)
    }

    /// Tokens in all.
    fn tokens(&self) -> usize {
        self.places.len()
    }
}

impl Network {
    /// Reads the weights of a model that [`crate::encoder::Encoder`] opened.
    ///
    /// # Errors
    /// Words on the tensor that is missing or has another shape.
    pub fn read(config: &Config, pooling: Pooling, weights: &[u8]) -> Result<Self, String> {
        let damaged = |e: candle_core::Error| format!("model.safetensors: {e}");
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        for (name, tensor) in candle_core::safetensors::load_buffer(weights, &Device::Cpu).map_err(damaged)? {
            // Other programs' prefix and old names.
            let name = name.strip_prefix("bert.").unwrap_or(&name);
            let name = name
                .replace("LayerNorm.gamma", "LayerNorm.weight")
                .replace("LayerNorm.beta", "LayerNorm.bias");
            tensors.insert(name, tensor);
        }
        let mut take = |name: String, shape: &[usize]| -> Result<Parameter, String> {
            let tensor =
                tensors.remove(&name).ok_or_else(|| format!("model.safetensors has no tensor {name:?}"))?;
            if tensor.dims() != shape {
                return Err(format!(
                    "model.safetensors: {name} has shape {:?}, config.json asks for {shape:?}",
                    tensor.dims()
                ));
            }
            let values = tensor
                .to_dtype(DType::F32)
                .and_then(|tensor| tensor.flatten_all()?.to_vec1())
                .map_err(damaged)?;
            Ok(Parameter { name, shape: shape.to_vec(), values })
        };
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let words = take(format!("{WORDS}.weight"), &[config.vocab_size, width])?;
        let mut others = vec![
            take(format!("{POSITIONS}.weight"), &[config.max_position_embeddings, width])?,
            take(format!("{SEGMENTS}.weight"), &[config.type_vocab_size, width])?,
            take("embeddings.LayerNorm.weight".to_owned(), &[width])?,
            take("embeddings.LayerNorm.bias".to_owned(), &[width])?,
        ];
        for layer in 0..config.num_hidden_layers {
            for part in LAYER {
                let (rows, columns) = match part {
                    "intermediate.dense" => (inner, Some(width)),
                    "output.dense" => (width, Some(inner)),
                    norm if norm.ends_with("LayerNorm") => (width, None),
                    _ => (width, Some(width)),
                };
                let shape: Vec<usize> = std::iter::once(rows).chain(columns).collect();
                others.push(take(format!("encoder.layer.{layer}.{part}.weight"), &shape)?);
                others.push(take(format!("encoder.layer.{layer}.{part}.bias"), &[rows])?);
            }
        }
        Ok(Self { config: config.clone(), pooling, words, others })
    }

    /// The layers' weights as tensors, for all parts of a step; in the order
    /// of [`Self::others`].
    pub fn tensors(&self) -> candle_core::Result<Vec<Tensor>> {
        self.others
            .iter()
            .map(|parameter| Tensor::from_slice(&parameter.values, parameter.shape.as_slice(), &Device::Cpu))
            .collect()
    }

    /// The rows of the embeddings that a part of a step sees, as variables.
    pub fn embeddings(&self, packed: &Packed) -> candle_core::Result<Embeddings> {
        let width = self.config.hidden_size;
        let mut words = Vec::with_capacity(packed.rows.len() * width);
        for &row in &packed.rows {
            words.extend_from_slice(&self.words.values[row as usize * width..(row as usize + 1) * width]);
        }
        let length = packed.longest();
        let mut places = self.others[0].values[..length * width].to_vec();
        for place in places.chunks_exact_mut(width) {
            place.iter_mut().zip(&self.others[1].values).for_each(|(x, segment)| *x += segment);
        }
        Ok(Embeddings {
            words: Var::from_vec(words, (packed.rows.len(), width), &Device::Cpu)?,
            places: Var::from_vec(places, (length, width), &Device::Cpu)?,
        })
    }

    /// Vectors of unit length, `[sentences, hidden]`, in the order of the
    /// batch; `tape` hears the derivatives of the layers' weights on the way
    /// back. With `dropout`, that share of the numbers between the layers is
    /// left out (Srivastava et al. 2014), as `dice` falls.
    pub fn forward(
        &self,
        weights: &[Tensor],
        embeddings: &Embeddings,
        packed: &Packed,
        tape: &Arc<Tape>,
        mut dropout: Option<(f32, &mut Dice)>,
    ) -> candle_core::Result<Tensor> {
        let mut drop = |x: Tensor| match &mut dropout {
            Some((share, dice)) => x.mul(&dice.mask(x.dims(), *share)?),
            None => Ok(x),
        };
        let affine =
            |which: usize| Affine { weight: weights[which].clone(), bias: weights[which + 1].clone(), which };
        let linear =
            |x: &Tensor, which| x.apply_op1(Linear { affine: affine(which), tape: Arc::clone(tape) });
        let normalise = |x: &Tensor, which: usize| {
            x.apply_op1(Normalise {
                gamma: self.others[which].values.clone(),
                beta: self.others[which + 1].values.clone(),
                eps: self.config.layer_norm_eps as f32,
                which,
                tape: Arc::clone(tape),
            })
        };
        let tokens = packed.tokens();
        let words = Tensor::from_slice(&packed.places, tokens, &Device::Cpu)?;
        let positions = Tensor::from_slice(&packed.positions, tokens, &Device::Cpu)?;
        let x = embeddings.words.index_select(&words, 0)?;
        let x = x.add(&embeddings.places.index_select(&positions, 0)?)?;
        let mut x = drop(normalise(&x, 2)?)?;
        for layer in 0..self.config.num_hidden_layers {
            let at = |part: usize| BEFORE + 2 * (layer * LAYER.len() + part);
            let context =
                self.attention(&linear(&x, at(0))?, &linear(&x, at(1))?, &linear(&x, at(2))?, packed)?;
            let attended = normalise(&x.add(&drop(linear(&context, at(3))?)?)?, at(4))?;
            let fed = attended.apply_op1(FeedForward {
                up: affine(at(5)),
                down: affine(at(6)),
                activation: Activation::named(&self.config.hidden_act),
                tape: Arc::clone(tape),
                between: Mutex::new(None),
            })?;
            x = normalise(&attended.add(&drop(fed)?)?, at(7))?;
        }
        let pooled = self.pool(&x, packed)?;
        let length = (pooled.sqr()?.sum_keepdim(1)? + TINY)?.sqrt()?;
        pooled.broadcast_div(&length)
    }

    /// The derivatives of all parameters but the words, from the tape and from
    /// those of the places.
    pub fn slopes(&self, tape: &Tape, places: &[f32]) -> Vec<Vec<f32>> {
        let width = self.config.hidden_size;
        let mut slopes = tape.take();
        slopes[0] = places.to_vec();
        slopes[0].resize(self.others[0].values.len(), 0.0);
        slopes[1] = vec![0.0; self.others[1].values.len()];
        for place in places.chunks_exact(width) {
            slopes[1].iter_mut().zip(place).for_each(|(s, x)| *s += x);
        }
        slopes
    }

    /// Attention of every sentence to itself (Vaswani et al. 2017).
    fn attention(&self, q: &Tensor, k: &Tensor, v: &Tensor, packed: &Packed) -> candle_core::Result<Tensor> {
        let heads = self.config.num_attention_heads;
        let width = self.config.hidden_size;
        let scale = 1.0 / ((width / heads) as f64).sqrt();
        let mut parts = Vec::with_capacity(packed.groups.len());
        let mut at = 0;
        for &(count, length) in &packed.groups {
            let tokens = count * length;
            let split = |x: &Tensor| {
                x.narrow(0, at, tokens)?
                    .reshape((count, length, heads, width / heads))?
                    .transpose(1, 2)?
                    .contiguous()
            };
            let scores = (split(q)?.matmul(&split(k)?.t()?)? * scale)?;
            // A constant per row changes nothing and keeps the powers small.
            let scores = scores.broadcast_sub(&scores.max_keepdim(3)?.detach())?.exp()?;
            let shares = scores.broadcast_div(&scores.sum_keepdim(3)?)?;
            parts.push(shares.matmul(&split(v)?)?.transpose(1, 2)?.reshape((tokens, width))?);
            at += tokens;
        }
        Tensor::cat(&parts, 0)
    }

    fn pool(&self, x: &Tensor, packed: &Packed) -> candle_core::Result<Tensor> {
        let width = self.config.hidden_size;
        let mut parts = Vec::with_capacity(packed.groups.len());
        let mut at = 0;
        for &(count, length) in &packed.groups {
            let rows = x.narrow(0, at, count * length)?.reshape((count, length, width))?;
            parts.push(match self.pooling {
                Pooling::Mean => (rows.sum(1)? / length as f64)?,
                Pooling::Cls => rows.narrow(1, 0, 1)?.squeeze(1)?,
            });
            at += count * length;
        }
        Tensor::cat(&parts, 0)
    }

    /// The average of this network's weights, `share` of it, and another's
    /// (model soups, Wortsman et al. 2022).
    pub fn mix(&mut self, other: &Self, share: f32) {
        let pairs =
            std::iter::once((&mut self.words, &other.words)).chain(self.others.iter_mut().zip(&other.others));
        for (own, other) in pairs {
            for (x, y) in own.values.iter_mut().zip(&other.values) {
                *x = share * *x + (1.0 - share) * y;
            }
        }
    }

    /// The weights as a safetensors file in half precision.
    ///
    /// # Errors
    /// Words on a number that half precision cannot hold.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        let mut header = BTreeMap::new();
        let mut data: Vec<u8> = Vec::new();
        header.insert("__metadata__", serde_json::json!({"format": "pt"}));
        let all = std::iter::once(&self.words).chain(&self.others);
        for parameter in all {
            let begin = data.len();
            half(&parameter.values, &mut data).map_err(|e| format!("{}: {e}", parameter.name))?;
            header.insert(
                &parameter.name,
                serde_json::json!({"dtype": "F16", "shape": parameter.shape, "data_offsets": [begin, data.len()]}),
            );
        }
        let mut text = serde_json::to_vec(&header).map_err(|e| e.to_string())?;
        // The data begins at a multiple of eight bytes.
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut file = (text.len() as u64).to_le_bytes().to_vec();
        file.append(&mut text);
        file.append(&mut data);
        Ok(file)
    }
}

fn half(values: &[f32], out: &mut Vec<u8>) -> Result<(), String> {
    use candle_core::{CpuStorage, Storage};
    let rounded = Tensor::from_slice(values, values.len(), &Device::Cpu)
        .and_then(|tensor| tensor.to_dtype(DType::F16))
        .map_err(|e| e.to_string())?;
    let (storage, _) = rounded.storage_and_layout();
    let Storage::Cpu(CpuStorage::F16(values)) = &*storage else {
        return Err("no half precision on this machine".to_owned());
    };
    for value in values {
        if !value.is_finite() {
            return Err("holds a number too large for half precision".to_owned());
        }
        out.extend_from_slice(&value.to_le_bytes());
    }
    Ok(())
}

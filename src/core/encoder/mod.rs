//! What does a sentence mean, as a vector?
//!
//! An [`Encoder`] is a BERT-type network with its tokenizer and pooling. The
//! one in the binary is `models/zhida-base`; any other folder in the Hugging
//! Face layout works the same way. Nothing outside this module knows candle.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bytes;
mod folder;
pub mod hub;
pub(crate) mod kernels;
mod linear;
mod matrix;
#[cfg(target_arch = "aarch64")]
mod neon;
pub mod pairs;
mod product;
mod seen;
mod transformer;

pub use folder::{Digesting, FileDigest, Files, Manifest, Pooling};
pub use linear::Precision;
pub use matrix::{Matrix, Question};
pub use seen::Seen;
pub use transformer::{Config, Transformer};

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quick_cache::sync::Cache;
use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationParams};

use crate::error::{Error, Result};
use crate::text::encoder_text;

/// What of this processor the model's arithmetic makes use of; empty where portable code
/// runs.
pub fn processor_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let known = [
        (avx2::is_here(), "AVX2"),
        (avx2::has_vnni(), "AVX-VNNI"),
        (avx512::has_f32(), "AVX-512"),
        (avx512::has_int8(), "AVX-512 VNNI"),
    ];
    #[cfg(target_arch = "aarch64")]
    let known = [(neon::is_here(), "NEON"), (neon::has_dot(), "dot product")];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let known: [(bool, &'static str); 0] = [];
    known.into_iter().filter(|(is_here, _)| *is_here).map(|(_, name)| name).collect()
}

/// A vector of unit length; the dot product of two is their cosine.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(Arc<[f32]>);

impl Embedding {
    /// Scales a vector to unit length; the zero vector stays what it is.
    pub fn unit(mut vector: Vec<f32>) -> Self {
        let length = kernels::dot(&vector, &vector).sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|x| *x /= length);
        }
        Self(vector.into())
    }

    /// The coordinates.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The cosine with another vector, between -1 and 1.
    pub fn cosine(&self, other: &Self) -> f32 {
        kernels::dot(&self.0, &other.0)
    }
}

/// A loaded model.
pub struct Encoder {
    manifest: Manifest,
    fingerprint: String,
    tokenizer: Tokenizer,
    network: Transformer,
    seen: Seen,
    /// The vectors of the last questions: customers repeat each other.
    recent: Cache<String, Embedding>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("id", &self.manifest.id)
            .field("fingerprint", &self.fingerprint)
            .finish()
    }
}

/// Questions whose vectors are kept: 10 MB at 256 dimensions.
const RECENT: usize = 10_000;

/// The longest text whose vector is kept, in bytes: nobody repeats a story,
/// and the texts are kept too.
const LONGEST_KEPT: usize = 512;

/// Tokens per product: enough to keep the processor busy, few enough to stay
/// in its second-level cache.
const TOKENS_PER_BLOCK: usize = 192;

impl Encoder {
    /// The model inside the binary.
    pub fn built_in() -> Result<Self> {
        Self::of(Files::built_in(), Path::new("built-in"), None)
    }

    /// The model in a folder.
    ///
    /// # Errors
    /// [`Error::Model`] naming the file and what to do, when one is missing,
    /// damaged, or does not fit the others.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::of(Files::read(folder)?, folder, None)
    }

    /// The model that some files make; errors name `folder`. `precision`
    /// stands in for what the manifest says.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(files: Files, folder: &Path, precision: Option<Precision>) -> Result<Self> {
        let (config, manifest, fingerprint) = files.interpret(folder, precision)?;
        let seen = files.seen(folder)?;
        let wrong = |message: String| Error::model(folder, message);
        let mut tokenizer = Tokenizer::from_bytes(&files.tokenizer)
            .map_err(|e| wrong(format!("tokenizer.json cannot be read: {e}")))?;
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(Some(TruncationParams {
                max_length: manifest.max_tokens,
                ..TruncationParams::default()
            }))
            .map_err(|e| wrong(format!("tokenizer.json: {e}")))?;
        if tokenizer.get_vocab_size(true) > config.vocab_size {
            return Err(wrong(format!(
                "tokenizer.json knows {} tokens, config.json has vocab_size {}; they belong to different models",
                tokenizer.get_vocab_size(true),
                config.vocab_size
            )));
        }
        let network = Transformer::new(config, &files.weights, manifest.precision).map_err(wrong)?;
        Ok(Self { manifest, fingerprint, tokenizer, network, seen, recent: Cache::new(RECENT) })
    }

    /// What the model says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A digest of everything that shapes a vector: weights, tokenizer,
    /// config, pooling. Vectors of different fingerprints never meet.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The texts that an adapted model was trained on; none for others.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The shape of the network.
    pub fn config(&self) -> &Config {
        self.network.config()
    }

    /// The network without tokenizer and pooling.
    pub fn network(&self) -> &Transformer {
        &self.network
    }

    /// Coordinates per vector.
    pub fn dimensions(&self) -> usize {
        self.network.config().hidden_size
    }

    /// The vector of one text.
    pub fn embed(&self, text: &str) -> Result<Embedding> {
        let text = encoder_text(text);
        if let Some(known) = self.recent.get(&text) {
            return Ok(known);
        }
        let ids = self.token_ids(&text)?;
        let mut vectors = self.encode_block(&[&ids])?;
        let vector = vectors.pop().ok_or_else(|| Error::internal("encoder", "no vector for one sentence"))?;
        if text.len() <= LONGEST_KEPT {
            self.recent.insert(text, vector.clone());
        }
        Ok(vector)
    }

    /// How often the vector of a text was known already, and how often not.
    pub fn recalled(&self) -> (u64, u64) {
        (self.recent.hits(), self.recent.misses())
    }

    /// The vectors of many texts, in their order, on all cores. `progress`
    /// hears how many are done.
    pub fn embed_all<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Embedding>> {
        let ids: Vec<Vec<u32>> = texts
            .par_iter()
            .map(|text| self.token_ids(&encoder_text(text.as_ref())))
            .collect::<Result<_>>()?;
        // Sentences of a length together, so that all blocks are alike.
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&index| ids[index].len());
        let mut blocks: Vec<Vec<usize>> = Vec::new();
        let mut room = 0;
        for index in order {
            let tokens = ids[index].len();
            match blocks.last_mut() {
                Some(block) if tokens <= room => {
                    block.push(index);
                    room -= tokens;
                }
                _ => {
                    blocks.push(vec![index]);
                    room = TOKENS_PER_BLOCK.saturating_sub(tokens);
                }
            }
        }
        let done = AtomicUsize::new(0);
        let encoded: Vec<(usize, Embedding)> = blocks
            .par_iter()
            .map(|block| {
                let sentences: Vec<&[u32]> = block.iter().map(|&index| ids[index].as_slice()).collect();
                let vectors = self.encode_block(&sentences)?;
                progress(done.fetch_add(block.len(), Ordering::Relaxed) + block.len());
                Ok(block.iter().copied().zip(vectors).collect::<Vec<_>>())
            })
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect();
        let mut vectors: Vec<Option<Embedding>> = vec![None; texts.len()];
        for (index, vector) in encoded {
            vectors[index] = Some(vector);
        }
        vectors
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::internal("encoder", "a sentence was left out of every block"))
    }

    /// The token ids that the network sees for a text; at least one.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(|e| Error::internal("tokenizer", e))?;
        let mut ids = encoding.get_ids().to_vec();
        if ids.is_empty() {
            // A text of nothing but what the tokenizer drops still needs a vector.
            ids.push(self.tokenizer.token_to_id("[UNK]").unwrap_or_default());
        }
        Ok(ids)
    }

    fn encode_block(&self, sentences: &[&[u32]]) -> Result<Vec<Embedding>> {
        let rows = self.network.forward(sentences).map_err(|e| Error::internal("encoder", e))?;
        let width = self.dimensions();
        let mut at = 0;
        Ok(sentences
            .iter()
            .map(|ids| {
                let tokens = &rows[at * width..(at + ids.len()) * width];
                at += ids.len();
                Embedding::unit(self.manifest.pooling.pool(tokens, width))
            })
            .collect())
    }
}

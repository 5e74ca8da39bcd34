//! Which files make a model, and do they fit together?

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hub::Source;
use super::linear::Precision;
use super::seen::Seen;
use super::transformer::Config;
use crate::error::{Error, Result};

/// The files of a model folder, in memory.
#[derive(Clone)]
pub struct Files {
    config: Cow<'static, [u8]>,
    pub(super) tokenizer: Cow<'static, [u8]>,
    pub(super) weights: Cow<'static, [u8]>,
    manifest: Option<Cow<'static, [u8]>>,
    /// `1_Pooling/config.json`, where sentence-transformers says how to pool.
    pooling: Option<Vec<u8>>,
    /// `sentence_bert_config.json`, where it says how long sentences may be.
    length: Option<Vec<u8>>,
    /// `seen.txt` of an adapted model.
    seen: Option<Vec<u8>>,
}

/// What a model says of itself: `manifest.json`, or what could be gathered
/// where a folder has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this file's form; 1.
    pub format: u32,
    /// The model's name.
    pub id: String,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Coordinates per vector.
    pub dimensions: usize,
    /// The longest text the model sees, in tokens; the rest is cut off.
    pub max_tokens: usize,
    /// How exactly the engine computes with it.
    #[serde(default)]
    pub precision: Precision,
    /// What it was trained on, in words.
    #[serde(default)]
    pub trained_on: Vec<String>,
    /// Size and SHA-256 of every file that shapes a vector.
    #[serde(default)]
    pub files: BTreeMap<String, FileDigest>,
    /// Where it was fetched from, for a model from the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Size and digest of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl FileDigest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
    }

    /// The digest of a file, which may be larger than the memory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> std::io::Result<Self> {
        const PART: usize = 1 << 20;
        let mut file = std::fs::File::open(path)?;
        let (mut part, mut digesting) = (vec![0; PART], Digesting::default());
        loop {
            match file.read(&mut part)? {
                0 => return Ok(digesting.finish()),
                read => digesting.update(&part[..read]),
            }
        }
    }
}

/// Makes the digest of a file that is read in parts.
#[derive(Debug, Default)]
pub struct Digesting {
    bytes: u64,
    hasher: Sha256,
}

impl Digesting {
    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hasher.update(bytes);
    }

    /// The digest of all of them.
    pub fn finish(self) -> FileDigest {
        FileDigest { bytes: self.bytes, sha256: hex(&self.hasher.finalize()) }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How the vectors of a sentence's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one, of `[CLS]`.
    Cls,
}

impl Pooling {
    /// Pools the rows of one sentence.
    pub(super) fn pool(self, rows: &[f32], width: usize) -> Vec<f32> {
        match self {
            Self::Cls => rows[..width].to_vec(),
            Self::Mean => {
                let mut mean = vec![0f32; width];
                for row in rows.chunks_exact(width) {
                    for (m, x) in mean.iter_mut().zip(row) {
                        *m += x;
                    }
                }
                let count = (rows.len() / width) as f32;
                mean.iter_mut().for_each(|m| *m /= count);
                mean
            }
        }
    }
}

/// The part of sentence-transformers' `1_Pooling/config.json` that matters.
#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

#[derive(Deserialize)]
struct LengthConfig {
    max_seq_length: Option<usize>,
}

/// The digests of what an adapted model was trained on.
const SEEN: &str = "seen.txt";

/// The model inside the binary. Statics, for a constant may be stored once for
/// every place that uses it.
mod shipped {
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/zhida-base/", $name))
        };
    }

    pub(super) static CONFIG: &[u8] = file!("config.json");
    pub(super) static TOKENIZER: &[u8] = file!("tokenizer.json");
    pub(super) static WEIGHTS: &[u8] = file!("model.safetensors");
    pub(super) static MANIFEST: &[u8] = file!("manifest.json");
}

impl Files {
    /// The files inside the binary.
    pub fn built_in() -> Self {
        Self {
            config: Cow::Borrowed(shipped::CONFIG),
            tokenizer: Cow::Borrowed(shipped::TOKENIZER),
            weights: Cow::Borrowed(shipped::WEIGHTS),
            manifest: Some(Cow::Borrowed(shipped::MANIFEST)),
            pooling: None,
            length: None,
            seen: None,
        }
    }

    /// The files of a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::model(
                folder,
                "is no folder; give one with config.json, tokenizer.json and model.safetensors, or fetch one with `zhida model pull ORG/NAME`",
            ));
        }
        let optional = |name: &str| match std::fs::read(folder.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", folder.join(name), e)),
        };
        let required = |name: &str, hint: &str| {
            optional(name)?
                .map(Cow::Owned)
                .ok_or_else(|| Error::model(folder, format!("{name} is missing; {hint}")))
        };
        Ok(Self {
            config: required("config.json", "it comes with every Hugging Face model")?,
            tokenizer: required(
                "tokenizer.json",
                "a folder with only vocab.txt needs converting once: `AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)` in Python writes it",
            )?,
            weights: required(
                "model.safetensors",
                "a folder with only pytorch_model.bin needs converting once, with safetensors' convert script",
            )?,
            manifest: optional("manifest.json")?.map(Cow::Owned),
            pooling: optional("1_Pooling/config.json")?,
            length: optional("sentence_bert_config.json")?,
            seen: optional(SEEN)?,
        })
    }

    /// The same model with other weights: what it says of itself, and the
    /// texts that it was trained on. The manifest's sizes and digests are
    /// filled in here.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn adapted(&self, weights: Vec<u8>, mut manifest: Manifest, seen: &Seen) -> Result<Self> {
        let mut files = Self {
            config: self.config.clone(),
            tokenizer: self.tokenizer.clone(),
            weights: Cow::Owned(weights),
            manifest: None,
            pooling: None,
            length: None,
            seen: Some(seen.render().into_bytes()),
        };
        manifest.files = files.with_seen(files.digests());
        let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::internal("manifest", e))?;
        files.manifest = Some(Cow::Owned(text));
        Ok(files)
    }

    /// Writes the files into a folder that exists.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let manifest = self.manifest.as_deref();
        for (name, bytes) in [
            ("config.json", Some(&*self.config)),
            ("tokenizer.json", Some(&*self.tokenizer)),
            ("model.safetensors", Some(&*self.weights)),
            (SEEN, self.seen.as_deref()),
            ("manifest.json", manifest),
        ] {
            if let Some(bytes) = bytes {
                crate::disk::write_whole(&folder.join(name), bytes)?;
            }
        }
        Ok(())
    }

    /// The weights, a safetensors file.
    pub fn weights(&self) -> &[u8] {
        &self.weights
    }

    /// The texts that the model was trained on, if it was adapted.
    pub(super) fn seen(&self, folder: &Path) -> Result<Seen> {
        let seen = self.seen.as_deref().map(Seen::parse).transpose();
        let seen = seen.map_err(|line| {
            Error::model(
                folder,
                format!("{SEEN}:{line}: no digest of a text; run `zhida adapt` again or remove the file"),
            )
        })?;
        Ok(seen.unwrap_or_default())
    }

    /// The name of the model in a folder, read without the rest; `None` where
    /// there is no model.
    pub fn peek(folder: &Path) -> Option<String> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        if !folder.join("config.json").is_file() {
            return None;
        }
        match std::fs::read(folder.join("manifest.json")) {
            Ok(bytes) => serde_json::from_slice::<Named>(&bytes).ok().map(|named| named.id),
            Err(_) => folder.file_name().map(|name| name.to_string_lossy().into_owned()),
        }
    }

    /// The files that shape a vector, by name.
    pub fn digests(&self) -> BTreeMap<String, FileDigest> {
        [
            ("config.json", &self.config),
            ("tokenizer.json", &self.tokenizer),
            ("model.safetensors", &self.weights),
        ]
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), FileDigest::of(bytes)))
        .collect()
    }

    /// [`Self::digests`] and those of what tells about the model.
    fn with_seen(&self, mut digests: BTreeMap<String, FileDigest>) -> BTreeMap<String, FileDigest> {
        digests.extend(self.seen.as_deref().map(|bytes| (SEEN.to_owned(), FileDigest::of(bytes))));
        digests
    }

    /// The network's config, the manifest (given or gathered), and the
    /// fingerprint of both with the weights. `precision` stands in for what
    /// the manifest says.
    pub fn interpret(
        &self,
        folder: &Path,
        precision: Option<Precision>,
    ) -> Result<(Config, Manifest, String)> {
        Config::check_kind(&self.config).map_err(|message| Error::model(folder, message))?;
        let config: Config = parse(folder, "config.json", &self.config)?;
        let digests = self.digests();
        let mut manifest = match &self.manifest {
            Some(bytes) => {
                let manifest: Manifest = parse(folder, "manifest.json", bytes)?;
                manifest.check(folder, &config, &self.with_seen(digests.clone()))?;
                manifest
            }
            None => self.gather(folder, &config, digests.clone())?,
        };
        manifest.precision = precision.unwrap_or(manifest.precision);
        let mut hasher = Sha256::new();
        for digest in digests.values() {
            hasher.update(digest.sha256.as_bytes());
        }
        hasher.update(format!(
            "{:?} {} {}",
            manifest.pooling,
            manifest.max_tokens,
            manifest.precision.name()
        ));
        let fingerprint = hex(&hasher.finalize()[..8]);
        Ok((config, manifest, fingerprint))
    }

    fn gather(
        &self,
        folder: &Path,
        config: &Config,
        files: BTreeMap<String, FileDigest>,
    ) -> Result<Manifest> {
        let pooling = match &self.pooling {
            None => Pooling::Mean,
            Some(bytes) => {
                let modes: PoolingConfig = parse(folder, "1_Pooling/config.json", bytes)?;
                match (modes.pooling_mode_cls_token, modes.pooling_mode_mean_tokens) {
                    (true, false) => Pooling::Cls,
                    (false, true) => Pooling::Mean,
                    _ => {
                        return Err(Error::model(
                            folder,
                            "1_Pooling/config.json asks for a pooling other than the mean or [CLS]; zhida has these two",
                        ));
                    }
                }
            }
        };
        let length = match &self.length {
            None => None,
            Some(bytes) => parse::<LengthConfig>(folder, "sentence_bert_config.json", bytes)?.max_seq_length,
        };
        let name =
            folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
        Ok(Manifest {
            format: 1,
            id: name,
            pooling,
            dimensions: config.hidden_size,
            max_tokens: length
                .unwrap_or(config.max_position_embeddings)
                .clamp(1, config.max_position_embeddings),
            precision: Precision::F32,
            trained_on: Vec::new(),
            files,
            source: None,
        })
    }
}

impl Manifest {
    fn check(&self, folder: &Path, config: &Config, digests: &BTreeMap<String, FileDigest>) -> Result<()> {
        let wrong = |message: String| Err(Error::model(folder, message));
        if self.format != 1 {
            return wrong(format!("manifest.json has format {}, this zhida reads format 1", self.format));
        }
        if self.dimensions != config.hidden_size {
            return wrong(format!(
                "manifest.json says {} dimensions, config.json has hidden_size {}",
                self.dimensions, config.hidden_size
            ));
        }
        if self.max_tokens == 0 || self.max_tokens > config.max_position_embeddings {
            return wrong(format!(
                "manifest.json says max_tokens {}, config.json has max_position_embeddings {}",
                self.max_tokens, config.max_position_embeddings
            ));
        }
        for (name, expected) in &self.files {
            let Some(actual) = digests.get(name) else {
                return wrong(format!("manifest.json lists {name}, which is no file of a model"));
            };
            if actual != expected {
                return wrong(format!(
                    "{name} has {} bytes and SHA-256 {}, manifest.json says {} bytes and {}; fetch or copy the model again",
                    actual.bytes, actual.sha256, expected.bytes, expected.sha256
                ));
            }
        }
        Ok(())
    }
}

fn parse<T: serde::de::DeserializeOwned>(folder: &Path, name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::model(folder, format!("{name}: {e}")))
}

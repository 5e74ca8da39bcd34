//! An encoder learns a company's own words, and only what is better is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use zhida::encoder::{Encoder, Files};
use zhida::server::Registry;
use zhida::store::Models;

use crate::support::{run, stderr, stdout, zhida};

/// Numbers that look random and are the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

const CHARACTERS: usize = 400;
const WIDTH: usize = 32;

fn character(number: usize) -> char {
    char::from_u32(0x4e00 + number as u32).expect("a character")
}

/// A network that has learned nothing, over characters.
fn tiny_model(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let vocabulary: serde_json::Map<String, Value> = ["[PAD]", "[UNK]"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..CHARACTERS).map(|number| character(number).to_string()))
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    let config = json!({
        "model_type": "bert", "vocab_size": CHARACTERS + 2, "hidden_size": WIDTH, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 24,
        "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
    });
    let mut dice = Dice(7);
    let mut tensors = BTreeMap::new();
    let mut put = |name: String, shape: &[usize], middle: f32, spread: f32| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| middle + spread * (dice.below(2001) as f32 / 1000.0 - 1.0)).collect();
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor"));
    };
    // Small numbers, which a short training can move far.
    put("embeddings.word_embeddings.weight".to_owned(), &[CHARACTERS + 2, WIDTH], 0.0, 0.003);
    put("embeddings.position_embeddings.weight".to_owned(), &[24, WIDTH], 0.0, 0.001);
    put("embeddings.token_type_embeddings.weight".to_owned(), &[2, WIDTH], 0.0, 0.001);
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..2 {
        let at = format!("encoder.layer.{layer}");
        for (part, rows, columns) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", 64, WIDTH),
            ("output.dense", WIDTH, 64),
        ] {
            put(format!("{at}.{part}.weight"), &[rows, columns], 0.0, 0.05);
            put(format!("{at}.{part}.bias"), &[rows], 0.0, 0.01);
        }
        norms.extend([format!("{at}.attention.output.LayerNorm"), format!("{at}.output.LayerNorm")]);
    }
    for norm in norms {
        put(format!("{norm}.weight"), &[WIDTH], 1.0, 0.0);
        put(format!("{norm}.bias"), &[WIDTH], 0.0, 0.0);
    }
    std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).expect("written");
    candle_core::safetensors::save(&tensors.into_iter().collect(), folder.join("model.safetensors"))
        .expect("written");
}

/// Entries whose phrasings share characters only by meaning: every entry has
/// `own` characters that stand nowhere else, and a phrasing is two of them
/// among four that say nothing. With 0 of its own, nothing can be learned.
fn entries(count: usize, phrasings: usize, own: usize) -> String {
    let mut dice = Dice(11);
    let mut lines = String::new();
    for entry in 0..count {
        let mut texts = BTreeSet::new();
        while texts.len() < phrasings {
            let mut text: Vec<char> = (0..4).map(|_| character(CHARACTERS - 1 - dice.below(60))).collect();
            for _ in 0..2 {
                let number = if own == 0 { dice.below(300) } else { entry * own + dice.below(own) };
                text.insert(dice.below(text.len() + 1), character(number));
            }
            texts.insert(text.into_iter().collect::<String>());
        }
        let mut texts = texts.into_iter();
        let line = json!({
            "id": format!("e{entry}"), "question": texts.next(), "similar": texts.collect::<Vec<_>>(),
            "answer": format!("第{entry}条的答案"),
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    lines
}

/// A data directory with the tiny model and a draft.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new(draft: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        tiny_model(&desk.models().join("tiny"));
        let file = desk.folder.path().join("in.jsonl");
        std::fs::write(&file, draft).expect("written");
        desk.sound(&["kb", "import", "--kb", "t", &file.display().to_string()]);
        desk
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn models(&self) -> PathBuf {
        self.data().join("models")
    }

    fn zhida(&self, args: &[&str]) -> Output {
        run(zhida().args(args).env("ZHIDA_DATA", self.data()).env_remove("ZHIDA_MODEL"))
    }

    fn sound(&self, args: &[&str]) -> String {
        let output = self.zhida(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.models())
            .expect("the models")
            .map(|item| item.expect("an item").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }
}

const ADAPT: [&str; 6] = ["adapt", "--kb", "t", "--model", "tiny", "--json"];

#[test]
fn an_adapted_model_is_better_published_served_and_rolled_back() {
    let desk = Desk::new(&entries(40, 10, 4));
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t", "--model", "tiny"]), "1\n");
    let output = desk.zhida(&ADAPT);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["sizes"]["held_out"], 80, "{report}");
    let first = &report["figures"]["first"];
    assert!(first["after"].as_u64() > first["before"].as_u64(), "{report}");
    assert!(stderr(&output).contains("--kb t --model t-1"), "{}", stderr(&output));

    // A folder like any other, that says where it comes from.
    let folder = desk.models().join("t-1");
    assert_eq!(desk.names(), ["t-1", "tiny"]);
    let adapted = Encoder::open(&folder).expect("it opens");
    assert_eq!(report["model"]["fingerprint"], adapted.fingerprint());
    assert!(adapted.manifest().files.contains_key("seen.txt"));
    let card = std::fs::read_to_string(folder.join("README.md")).expect("a card");
    let parent = Encoder::open(&desk.models().join("tiny")).expect("it opens");
    assert!(card.contains(parent.fingerprint()) && card.contains("--kb t --model t-1"), "{card}");
    assert_eq!(Files::peek(&folder).as_deref(), Some("t-1"));

    // It knows what it was trained on: four of five phrasings.
    let known = desk.sound(&["kb", "export", "--kb", "t", "--out", &desk.file("out.jsonl")]);
    assert_eq!(known, "");
    let texts: Vec<String> = std::fs::read_to_string(desk.file("out.jsonl"))
        .expect("exported")
        .lines()
        .flat_map(|line| {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            let similar = entry["similar"].as_array().expect("a list").clone();
            std::iter::once(entry["question"].clone()).chain(similar)
        })
        .map(|text| text.as_str().expect("a text").to_owned())
        .collect();
    let seen = texts.iter().filter(|text| adapted.seen().contains(text)).count();
    assert_eq!((texts.len(), seen), (400, 320));

    // The release brings its model, whoever opens it.
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t", "--model", "t-1"]), "2\n");
    let store = crate::support::store(desk.data());
    let shelf = store.shelf("t").expect("known");
    let models = Models::named(&store);
    let first = models.open(&shelf, 1).expect("it opens");
    let second = models.open_current(&shelf).expect("it opens");
    assert_eq!(first.encoder().expect("a model").fingerprint(), parent.fingerprint());
    assert_eq!(second.encoder().expect("a model").fingerprint(), adapted.fingerprint());
    let again = models.open_current(&shelf).expect("it opens");
    assert!(
        std::sync::Arc::ptr_eq(second.encoder().expect("a model"), again.encoder().expect("a model")),
        "a model is loaded once"
    );
    let registry = Registry::new(store.clone(), Models::named(&store), 0.05, "t");
    let served = |registry: &Registry| {
        registry.refresh();
        let engine = registry.engine(Some("t")).expect("served");
        engine.release().encoder().expect("a model").fingerprint().to_owned()
    };
    assert_eq!(served(&registry), adapted.fingerprint());
    let asked = ["ask", "--kb", "t", texts[0].as_str()];
    assert!(desk.sound(&asked).contains("第0条的答案"));
    desk.sound(&["kb", "rollback", "--kb", "t", "1"]);
    assert_eq!(served(&registry), parent.fingerprint());
    assert!(desk.sound(&asked).contains("第0条的答案"));
    desk.sound(&["kb", "rollback", "--kb", "t", "2"]);
    // What is chosen by hand and contradicts the release is refused.
    let output = desk.zhida(&["ask", "--kb", "t", "--model", "tiny", "x"]);
    assert!(!output.status.success() && stderr(&output).contains("t-1"), "{}", stderr(&output));
    // A model that is gone is named, with what to do.
    std::fs::rename(&folder, desk.folder.path().join("elsewhere")).expect("moved");
    let output = desk.zhida(&asked);
    let said = stderr(&output);
    assert!(!output.status.success(), "{said}");
    for part in ["releases/2", "t-1", adapted.fingerprint(), "kb publish --kb t --release 2", "rollback"] {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

impl Desk {
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[test]
fn the_same_seed_gives_the_same_model() {
    let desk = Desk::new(&entries(30, 10, 4));
    let adapt = |out: &str, threads: &str| {
        let out = desk.file(out);
        let mut command = zhida();
        command.args(ADAPT).args(["--out", &out]).env("ZHIDA_DATA", desk.data());
        let output = run(command.env("RAYON_NUM_THREADS", threads));
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read(Path::new(&out).join("model.safetensors")).expect("weights")
    };
    assert!(adapt("one", "1") == adapt("two", "3"), "other weights");
}

#[test]
fn a_model_that_is_no_better_is_refused_and_nothing_is_left() {
    // Phrasings that have nothing in common but their entry.
    let desk = Desk::new(&entries(30, 10, 0));
    let output = desk.zhida(&ADAPT);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("refused") && said.contains("p = ") && said.contains("held out"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("the figures all the same");
    assert_eq!(report["refused"][0], "not_better");
    assert_eq!(report["folder"], Value::Null);
    assert_eq!(desk.names(), ["tiny"]);
}

#[test]
fn too_few_phrasings_to_judge_by_are_refused() {
    let desk = Desk::new(&entries(12, 10, 4));
    let output = desk.zhida(&ADAPT);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("24 phrasings") && said.contains("50") && said.contains("--queries"), "{said}");
    assert_eq!(desk.names(), ["tiny"]);
}

#[test]
fn accepted_questions_are_learned_and_wrong_files_are_named() {
    let desk = Desk::new(&entries(12, 10, 4));
    // Other phrasings of the same entries, as customers would ask them.
    let more = entries(12, 40, 4);
    let queries: String = more
        .lines()
        .flat_map(|line| {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            let similar = entry["similar"].as_array().expect("a list").clone();
            similar.into_iter().map(move |text| json!({"text": text, "expect": entry["id"]}))
        })
        .chain([json!({"text": "完全无关的问题", "expect": null})])
        .map(|query| format!("{query}\n"))
        .collect();
    std::fs::write(desk.file("asked.jsonl"), queries).expect("written");
    let asked = desk.file("asked.jsonl");
    let with_queries = [&ADAPT[..], &["--queries", &asked]].concat();
    let output = desk.zhida(&with_queries);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert!(report["sizes"]["queries"].as_u64() > Some(400), "{report}");
    assert!(report["sizes"]["held_out"].as_u64() > Some(80), "{report}");

    std::fs::write(desk.file("asked.jsonl"), r#"{"text":"问题","expect":"nobody"}"#).expect("written");
    let output = desk.zhida(&with_queries);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("asked.jsonl:1") && stderr(&output).contains("nobody"));
    for (args, part) in [
        (&["--out", &desk.data().display().to_string()][..], "--out"),
        (&["--held-out", "0.9"], "0.05 to 0.5"),
        (&["--minutes", "0"], "minutes"),
    ] {
        let output = desk.zhida(&[&ADAPT[..], args].concat());
        assert!(!output.status.success() && stderr(&output).contains(part), "{}", stderr(&output));
    }
    let output = desk.zhida(&["adapt", "--kb", "t", "--model", "none"]);
    assert!(!output.status.success() && stderr(&output).contains("--model none"), "{}", stderr(&output));
}

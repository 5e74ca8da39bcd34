//! Does every module keep to its level, and every foreign crate to its owner?

use std::path::{Path, PathBuf};

use crate::support::repository;

/// Modules by level; a module uses only lower levels and itself.
const LEVELS: &[(&str, u8)] = &[
    ("error", 0),
    ("estimate", 0),
    ("disk", 0),
    ("trust", 0),
    ("explained", 0),
    ("text", 0),
    ("kb", 1),
    ("encoder", 1),
    ("retrieve", 2),
    ("decide", 3),
    ("release", 4),
    ("engine", 5),
    ("candidates", 5),
    ("access", 5),
    ("events", 5),
    ("depot", 6),
    ("dialogue", 6),
    ("store", 7),
    ("eval", 7),
    ("channels", 7),
    ("learn", 8),
    ("publish", 8),
    ("desk", 8),
    ("server", 9),
    ("cli", 10),
    ("main", 11),
];

/// Foreign crates and the places that may name them.
const OWNERS: &[(&str, &[&str])] = &[
    ("jieba_rs", &["text"]),
    ("aho_corasick", &["text"]),
    ("pinyin", &["text"]),
    ("ferrous_opencc", &["text"]),
    ("unicode_normalization", &["text", "access"]),
    ("tantivy", &["retrieve"]),
    ("toml", &["dialogue", "events"]),
    ("toml_parser", &["dialogue"]),
    ("parquet", &["events"]),
    ("candle_core", &["encoder", "learn"]),
    ("tokenizers", &["encoder", "learn"]),
    ("gemm_common", &["encoder"]),
    ("multiversion", &["encoder"]),
    ("hf_hub", &["encoder"]),
    ("axum", &["server"]),
    ("tower_http", &["server"]),
    ("arc_swap", &["server"]),
    ("argon2", &["access"]),
    ("ipnet", &["server", "cli"]),
    ("openidconnect", &["server"]),
    ("opentelemetry", &["server"]),
    ("opentelemetry_otlp", &["server"]),
    ("opentelemetry_sdk", &["server"]),
    ("flate2", &["server"]),
    ("hyper", &["server"]),
    ("hyper_util", &["server"]),
    ("hyper_rustls", &["server"]),
    ("socket2", &["store"]),
    ("maud", &["server"]),
    ("form_urlencoded", &["server"]),
    ("serde_path_to_error", &["server"]),
    ("prometheus_client", &["server"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("calamine", &["kb"]),
    ("cfb", &["kb"]),
    ("quick_xml", &["kb", "channels"]),
    ("ssfmt", &["kb"]),
    ("chardetng", &["kb"]),
    ("rust_xlsxwriter", &["kb", "events"]),
    ("percent_encoding", &["server", "depot", "store"]),
    ("object_store", &["depot"]),
    ("milvus", &["candidates"]),
    ("http_body_util", &["depot"]),
    ("ureq", &["encoder", "desk", "server", "depot"]),
    ("standardwebhooks", &["desk"]),
    ("diesel", &["store"]),
    ("diesel_migrations", &["store"]),
    ("governor", &["access"]),
    ("subtle", &["access", "channels", "desk"]),
    ("getrandom", &["access", "desk", "events"]),
    ("tokio_rustls", &["trust", "server", "desk", "store"]),
    ("x509_cert", &["server"]),
    ("lettre", &["channels", "desk"]),
    ("mail_parser", &["channels"]),
    ("async_imap", &["desk"]),
    ("webpki_roots", &["trust"]),
    ("infer", &["desk"]),
    ("rustix", &["disk"]),
    ("aes", &["channels"]),
    ("cbc", &["channels"]),
    ("sha1", &["channels"]),
    ("ring", &["trust", "desk", "server", "store"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    let root = repository("src");
    let mut files = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap();
                files.push((path.strip_prefix("core").unwrap_or(path).to_path_buf(), text));
            }
        }
    }
    files
}

fn module(path: &Path) -> String {
    let first = path.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn level(module: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|(_, level)| *level)
}

/// The code of a line: comments say what they like.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn modules_use_only_lower_levels() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let own = module(&path);
        if own == "lib" {
            continue;
        }
        let own_level = level(&own)
            .unwrap_or_else(|| panic!("src/{own} has no level; add it to LEVELS in tests/it/tidy.rs"));
        for (number, line) in text.lines().enumerate() {
            for (at, _) in code(line).match_indices("crate::") {
                let rest = &code(line)[at + "crate::".len()..];
                let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(used_level) = level(&used) else { continue };
                let allowed = used == own || used_level < own_level || (used_level == 0 && own_level == 0);
                if !allowed {
                    faults.push(format!(
                        "src/{}:{}: {own} (level {own_level}) uses {used} (level {used_level}); a module uses only lower levels",
                        path.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn foreign_crates_have_one_owner() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let own = module(&path);
        for (number, line) in text.lines().enumerate() {
            for (name, owners) in OWNERS {
                let named = code(line).match_indices(name).any(|(at, _)| {
                    let before = code(line)[..at].chars().next_back();
                    let after = code(line)[at + name.len()..].chars().next();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '.')
                        && after == Some(':')
                });
                if named && !owners.contains(&own.as_str()) {
                    faults.push(format!(
                        "src/{}:{}: {name} belongs to {}",
                        path.display(),
                        number + 1,
                        owners.join(", ")
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_says_which_question_it_answers() {
    for (path, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//! "),
            "src/{}: the first line must say what the file is for",
            path.display()
        );
    }
}

#[test]
fn only_decide_names_a_threshold() {
    // Raw scores are compared in `decide`; `release/checkup` reports on them to
    // authors and decides nothing.
    for (path, text) in sources() {
        if ["decide", "release", "eval", "encoder", "cli"].contains(&module(&path).as_str()) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let lower = code(line).to_lowercase();
            assert!(
                !lower.contains("threshold"),
                "src/{}:{}: only `decide` knows thresholds",
                path.display(),
                number + 1
            );
        }
    }
}

//! How long does an answer take, stage by stage and end to end?
//!
//! The knowledge base has 10,000 phrasings: those of the three corpora, and
//! pairs of them. Questions are the corpora's query sets, each made new by a
//! number at its end, so that no cached vector helps.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up must stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use zhida::decide::Generation;
use zhida::encoder::Encoder;
use zhida::engine::{Engine, Options};
use zhida::kb::{KnowledgeBase, formats};
use zhida::release::{Build, Release};
use zhida::retrieve::Except;
use zhida::text::Normalized;

const PHRASINGS: usize = 10_000;

fn read(name: &str) -> String {
    let path = format!("{}/corpora/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn large_base() -> KnowledgeBase {
    let mut lines = String::new();
    let mut count = 0;
    'all: for round in 0.. {
        for name in ["shop", "bank", "telecom"] {
            for line in read(&format!("{name}.kb")).lines() {
                let mut entry: serde_json::Value = serde_json::from_str(line).unwrap();
                let mut phrasings = vec![entry["question"].as_str().unwrap().to_owned()];
                phrasings.extend(
                    entry["similar"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()),
                );
                if round == 0 {
                    for text in &mut phrasings {
                        // The trades share a few phrasings.
                        text.push_str(match name {
                            "shop" => "（商城）",
                            "bank" => "（银行）",
                            _ => "（通讯）",
                        });
                    }
                } else {
                    let next = phrasings[1..].iter().chain([&phrasings[0]]).cloned().collect::<Vec<_>>();
                    phrasings =
                        phrasings.iter().zip(next).map(|(a, b)| format!("{name}{round} {a}，{b}")).collect();
                }
                let room = PHRASINGS - count;
                phrasings.truncate(room);
                let Some((question, similar)) = phrasings.split_first() else { break 'all };
                count += phrasings.len();
                entry["id"] = format!("{name}-{round}-{}", entry["id"].as_str().unwrap()).into();
                entry["question"] = question.as_str().into();
                entry["similar"] = similar.into();
                entry["keywords"] = serde_json::json!([]);
                entry["rules"] = serde_json::json!([]);
                entry["related"] = serde_json::json!([]);
                lines.push_str(&entry.to_string());
                lines.push('\n');
            }
        }
    }
    formats::read_jsonl("bench", lines.as_bytes()).unwrap()
}

fn queries() -> Vec<String> {
    ["shop", "bank", "telecom"]
        .iter()
        .flat_map(|name| {
            read(&format!("{name}.queries"))
                .lines()
                .map(|line| {
                    serde_json::from_str::<serde_json::Value>(line).unwrap()["text"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect::<Vec<_>>()
        })
        .filter(|text| text.chars().count() <= 30)
        .collect()
}

fn pipeline(c: &mut Criterion) {
    let base = large_base();
    assert_eq!(base.phrasing_count(), PHRASINGS);
    let encoder = Some(Arc::new(Encoder::built_in().unwrap()));
    let build = Build { encoder, ..Build::of("bench", &base) };
    let release: Arc<Release> = Arc::new(build.temporary().unwrap());
    // A bar that nothing reaches: every question goes through all stages.
    let engine = Engine::new(release.clone(), 1e-9);
    let queries = queries();
    let turn = AtomicUsize::new(0);
    let next = || {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        format!("{}{turn}", queries[turn % queries.len()])
    };
    let encoder = release.encoder().unwrap();
    let semantic = release.semantic().unwrap();

    let mut group = c.benchmark_group("stage");
    group.bench_function("normalize", |b| b.iter_with_setup(next, |text| Normalized::new(&text)));
    group
        .bench_function("text", |b| b.iter_with_setup(next, |text| release.analyzer().query(&text).unwrap()));
    group.bench_function("exact", |b| {
        b.iter_with_setup(|| Normalized::new(&next()), |text| release.exact().find(&text, |_| true));
    });
    group.bench_function("lexical", |b| {
        b.iter_with_setup(
            || release.analyzer().query(&next()).unwrap(),
            |query| release.lexical().search(&query, 20, Except::Nothing),
        );
    });
    group.bench_function("encoder", |b| b.iter_with_setup(next, |text| encoder.embed(&text).unwrap()));
    group.bench_function("semantic", |b| {
        let vector = encoder.embed("怎么退款").unwrap();
        b.iter(|| semantic.scan(black_box(&vector), Except::Nothing));
    });
    group.finish();

    let mut group = c.benchmark_group("answer");
    let one = Options { generation: Generation::One, ..Options::default() };
    let two = Options::default();
    let stored: Vec<&str> = base.entries().iter().map(|entry| entry.question.as_str()).collect();
    group.bench_function("exact question", |b| {
        let mut turn = 0;
        b.iter(|| {
            turn += 1;
            engine.answer(stored[turn % stored.len()], two).unwrap()
        });
    });
    group.bench_function("generation 1", |b| {
        b.iter_with_setup(next, |text| engine.answer(&text, one).unwrap())
    });
    group.bench_function("generation 2", |b| {
        b.iter_with_setup(next, |text| engine.answer(&text, two).unwrap())
    });
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        const BATCH: usize = 256;
        group.throughput(Throughput::Elements(BATCH as u64));
        for (name, options) in [("generation 1", one), ("generation 2", two)] {
            group.bench_function(format!("{name}, {BATCH} questions, {threads} threads"), |b| {
                b.iter_with_setup(
                    || (0..BATCH).map(|_| next()).collect::<Vec<_>>(),
                    |texts| {
                        pool.install(|| {
                            texts
                                .par_iter()
                                .map(|text| engine.answer(text, options).unwrap().micros)
                                .sum::<u64>()
                        })
                    },
                );
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = pipeline
}
criterion_main!(benches);

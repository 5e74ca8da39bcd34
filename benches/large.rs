//! What does a large release lose and gain by looking at the near phrasings only?
//!
//! usage: cargo bench --bench large -- RELEASE_FOLDER [QUESTIONS]
//!
//! Asks a published release that has links the questions of a file, one a line
//! (without one: those of corpora/), once by its links and once comparing with
//! every phrasing, in the same run. Prints the recall of the 50 nearest
//! entries and of the 20 that evidence looks at, the share of equal decisions,
//! and the milliseconds of BM25, of the search and of whole answers.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up must stop")]

use std::sync::Arc;
use std::time::Instant;

use zhida::encoder::Encoder;
use zhida::engine::{Engine, Options};
use zhida::release::Release;
use zhida::retrieve::Except;

fn questions(path: Option<&String>) -> Vec<String> {
    let lines = |path: &str| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        text.lines().map(str::to_owned).collect()
    };
    if let Some(path) = path {
        return lines(path);
    }
    let of = |trade| lines(&format!("{}/corpora/{trade}.queries.jsonl", env!("CARGO_MANIFEST_DIR")));
    let text = |line: String| {
        serde_json::from_str::<serde_json::Value>(&line).unwrap()["text"].as_str().unwrap().to_owned()
    };
    ["shop", "bank", "telecom", "travel", "hospital"].into_iter().flat_map(of).map(text).collect()
}

/// The median and the 99th percentile, in milliseconds.
fn told(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| 1e3 * seconds[(share * (seconds.len() - 1) as f64) as usize];
    format!("p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99))
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|given| !given.starts_with("--")).collect();
    let Some(folder) = given.first() else {
        return println!("name the folder of a release; see the first lines of benches/large.rs");
    };
    let encoder = Arc::new(Encoder::built_in().unwrap());
    let start = Instant::now();
    let linked = Release::open(folder.as_ref(), Some(encoder.clone())).unwrap();
    println!("{} phrasings, opened in {:.1} s", linked.manifest().phrasings, start.elapsed().as_secs_f64());
    assert!(linked.semantic().unwrap().is_linked(), "the release has no links");
    let exact = linked.clone().without_links();
    let questions = questions(given.get(1));

    let analyzer = linked.analyzer();
    let searched = questions.iter().map(|text| {
        let query = analyzer.analyze(text, analyzer.normalize(text));
        let start = Instant::now();
        std::hint::black_box(linked.lexical().search(&query, 50, Except::Nothing));
        start.elapsed().as_secs_f64()
    });
    println!("BM25: {}", told(searched.collect()));

    let (mut recall_50, mut recall_20) = (0.0, 0.0);
    let mut times = [Vec::new(), Vec::new()];
    for text in &questions {
        let Ok(vector) = encoder.embed(text) else { continue };
        let mut near = [Vec::new(), Vec::new()];
        for (side, release) in [&linked, &exact].into_iter().enumerate() {
            let start = Instant::now();
            near[side] = release.semantic().unwrap().scan(&vector, Except::Nothing).top(50);
            times[side].push(start.elapsed().as_secs_f64());
        }
        let [near, exact] = near;
        // Of entries that are equally near any will do.
        let share = |k: usize| {
            let bar = exact[k - 1].score;
            near.iter().filter(|one| one.score >= bar).count().min(k) as f64 / k as f64
        };
        recall_50 += share(50);
        recall_20 += share(20);
    }
    let count = times[0].len() as f64;
    println!("{count} questions; recall at 50 {:.4}, at 20 {:.4}", recall_50 / count, recall_20 / count);
    let [by_links, all] = times;
    println!("search by links: {}; of all: {}", told(by_links), told(all));

    let engines = [linked, exact].map(|release| Engine::new(Arc::new(release), 0.05));
    let mut times = [Vec::new(), Vec::new()];
    let (mut decisions, mut first, mut asked) = (0, 0, 0);
    for text in &questions {
        let outcomes = engines.each_ref().map(|engine| {
            let start = Instant::now();
            (engine.answer(text, Options::default()), start.elapsed().as_secs_f64())
        });
        let [(Ok(by_links), one), (Ok(of_all), other)] = outcomes else { continue };
        asked += 1;
        times[0].push(one);
        times[1].push(other);
        let entry = |outcome: &zhida::engine::Outcome| outcome.best().map(|best| best.entry);
        let same = by_links.decision == of_all.decision && entry(&by_links) == entry(&of_all);
        decisions += u32::from(by_links.decision == of_all.decision);
        first += u32::from(same);
    }
    let share = |count: u32| 100.0 * f64::from(count) / f64::from(asked);
    println!(
        "{asked} answers: decisions equal {:.2} %, and the best entry {:.2} %",
        share(decisions),
        share(first)
    );
    let [by_links, all] = times;
    println!("answer by links: {}; with a look at all: {}", told(by_links), told(all));
}

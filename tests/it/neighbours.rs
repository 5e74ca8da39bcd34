//! A large knowledge base, whose vectors are linked: does it answer as one
//! that compares a question with every phrasing?

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use zhida::decide::policy::DEFAULT_MAX_WRONG;
use zhida::encoder::Encoder;
use zhida::engine::{Change, Engine, Live, Options, Outcome};
use zhida::kb::{Entry, EntryId, KnowledgeBase, formats};
use zhida::release::{Build, Release};
use zhida::text::exact_key;

use crate::support::{labelled_corpus, repository};

static ENCODER: LazyLock<Arc<Encoder>> = LazyLock::new(|| Arc::new(Encoder::built_in().unwrap()));

const TRADES: [&str; 2] = ["shop", "bank"];

/// The phrasings of two corpora in one knowledge base, linked.
static LINKED: LazyLock<Release> = LazyLock::new(|| {
    let build = Build { number: 1, encoder: Some(ENCODER.clone()), linked_from: 0, ..Build::of("t", &BASE) };
    build.temporary().unwrap()
});

static BASE: LazyLock<KnowledgeBase> = LazyLock::new(|| {
    let (mut lines, mut seen) = (String::new(), HashSet::new());
    for trade in TRADES {
        let file = std::fs::read_to_string(repository(&format!("corpora/{trade}.kb.jsonl"))).unwrap();
        for line in file.lines() {
            let mut entry: serde_json::Value = serde_json::from_str(line).unwrap();
            entry["id"] = format!("{trade}-{}", entry["id"].as_str().unwrap()).into();
            // The trades share some.
            if let Some(similar) = entry["similar"].as_array_mut() {
                similar.retain(|text| seen.insert(text.as_str().map(exact_key)));
            }
            for list in ["keywords", "rules", "related"] {
                entry[list] = serde_json::json!([]);
            }
            entry["question"] = format!("{}（{trade}）", entry["question"].as_str().unwrap()).into();
            lines.push_str(&format!("{entry}\n"));
        }
    }
    formats::read_jsonl("all", lines.as_bytes()).unwrap()
});

fn questions() -> Vec<String> {
    let of = |trade: &str| labelled_corpus(trade).1.into_iter().map(|query| query.text);
    TRADES.into_iter().flat_map(of).collect()
}

fn engine(release: Release) -> Engine {
    Engine::new(Arc::new(release), DEFAULT_MAX_WRONG)
}

fn outcomes(engine: &Engine, questions: &[String]) -> Vec<Outcome> {
    let answer = |text: &String| Outcome { micros: 0, ..engine.answer(text, Options::default()).unwrap() };
    questions.iter().map(answer).collect()
}

/// The share of equal decisions with an equal best entry.
fn agreement(one: &[Outcome], other: &[Outcome]) -> f64 {
    let same = |one: &Outcome, other: &Outcome| {
        one.decision == other.decision
            && one.best().map(|best| best.entry) == other.best().map(|best| best.entry)
    };
    let equal = one.iter().zip(other).filter(|(one, other)| same(one, other)).count();
    equal as f64 / one.len() as f64
}

#[test]
fn nearly_all_decisions_are_those_of_an_exact_scan_and_always_the_same() {
    assert!(LINKED.semantic().unwrap().is_linked());
    let questions = questions();
    let linked = outcomes(&engine(LINKED.clone()), &questions);
    let exact = outcomes(&engine(LINKED.clone().without_links()), &questions);
    let agreement = agreement(&linked, &exact);
    assert!(agreement >= 0.995, "{agreement}");
    // Published again it is the same to the last bit.
    let again = Build { number: 1, encoder: Some(ENCODER.clone()), linked_from: 0, ..Build::of("t", &BASE) };
    let again = again.temporary().unwrap();
    assert_eq!(again.manifest().files["links.bin"], LINKED.manifest().files["links.bin"]);
    assert!(linked == outcomes(&engine(again), &questions), "the same release, the same answers");
}

#[test]
fn live_edits_stand_on_top_of_links() {
    let mut live = Live::new(engine(LINKED.clone()));
    let new = r#"{"id":"new","question":"火星营地的船票能改签到下个月吗","answer":"可以。"}"#;
    let new: Entry = serde_json::from_str(new).unwrap();
    let gone = EntryId("shop-order-place".to_owned());
    let changes = vec![
        Change { revision: 1, id: new.id.clone(), entry: Some(new.clone()) },
        Change { revision: 2, id: gone.clone(), entry: None },
    ];
    live.apply(changes, 2).unwrap();
    let release = live.shown().release();
    let near = |text: &str| {
        let vector = ENCODER.embed(text).unwrap();
        let top = release.semantic().unwrap().scan(&vector, zhida::retrieve::Except::Nothing).top(20);
        top.into_iter().map(|one| release.entries()[one.entry].id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(near("到火星营地的船票想改到下个月")[0], new.id);
    assert!(!near("怎么在App里下单").contains(&gone), "what was taken away is not found");
    let questions: Vec<String> = questions().into_iter().step_by(5).collect();
    let linked = outcomes(live.shown(), &questions);
    let exact = outcomes(&engine(release.clone().without_links()), &questions);
    let agreement = agreement(&linked, &exact);
    assert!(agreement >= 0.99, "{agreement}");
}

#[test]
fn links_are_a_file_of_the_release_like_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let kb = concat!(
        r#"{"id":"a","question":"退款多久到账","similar":["钱什么时候退回来"],"answer":"三天"}"#,
        "\n",
        r#"{"id":"b","question":"怎么开发票","answer":"在订单里"}"#,
    );
    let base = formats::read_jsonl("t", kb.as_bytes()).unwrap();
    let build = |linked_from| Build { encoder: Some(ENCODER.clone()), linked_from, ..Build::of("t", &base) };
    build(3).write(folder.path()).unwrap();
    let open = || Release::open(folder.path(), Some(ENCODER.clone()));
    assert!(open().unwrap().semantic().unwrap().is_linked());
    let path = folder.path().join("links.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let refused = open().err().unwrap().to_string();
    assert!(refused.contains("links.bin") && refused.contains("SHA-256"), "{refused}");
    // One of few phrasings, or of an older zhida, has no such file.
    let small = tempfile::tempdir().unwrap();
    build(4).write(small.path()).unwrap();
    assert!(!small.path().join("links.bin").exists());
    let small = Release::open(small.path(), Some(ENCODER.clone())).unwrap();
    assert!(!small.semantic().unwrap().is_linked());
}

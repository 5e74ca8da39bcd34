//! Candidates from another engine: the same decisions, live edits on top, and an engine
//! that is slow, gone, or has lost its rows. The engine is one in memory; a real one is
//! asked by tests/milvus/check.py.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use zhida::candidates::{Candidates, Fault, Index, Manner, Name, Row};
use zhida::decide::Generation;
use zhida::encoder::Embedding;
use zhida::engine::{Change, Engine, Live, Options, Outcome};
use zhida::kb::{EntryId, formats};
use zhida::release::{Build, Release};
use zhida::server::{Registry, Server, router};

use crate::http::{MAX_WRONG, admission, ask, get, publish};
use crate::support::{SMALL_KB, corpus, labelled_corpus, run, stderr, zhida};

/// Every knowledge base is asked for elsewhere.
const MANNER: Manner = Manner { patience: Duration::from_secs(1), from: 1 };

/// The rows of releases, by knowledge base and release.
type Rows = BTreeMap<(String, String), BTreeMap<u32, Row>>;

/// An engine in memory that compares with every row.
#[derive(Default)]
struct Memory {
    rows: Mutex<Rows>,
    /// What is wrong with it, if anything.
    fault: Mutex<Option<Fault>>,
    /// Whether only putting goes wrong.
    full: Mutex<bool>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Memory>);

impl Shared {
    fn set(&self, fault: Option<Fault>) {
        *self.0.fault.lock().unwrap() = fault;
    }

    fn well(&self) -> Result<std::sync::MutexGuard<'_, Rows>, Fault> {
        match self.0.fault.lock().unwrap().clone() {
            Some(fault) => Err(fault),
            None => Ok(self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// The places of a release by falling score.
    fn best(&self, of: &Name, score: impl Fn(&Row) -> f32) -> Result<Vec<(u32, u32)>, Fault> {
        let rows = self.well()?;
        let Some(rows) = rows.get(&(of.base.clone(), of.release.clone())) else { return Ok(Vec::new()) };
        let scored = rows.values().map(|row| (score(row), row.place, row.entry));
        let mut scored: Vec<_> = scored.filter(|(score, ..)| *score > 0.0).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Ok(scored.into_iter().map(|(_, place, entry)| (place, entry)).collect())
    }
}

impl Index for Shared {
    fn is_there(&self, _: Duration) -> Result<(), Fault> {
        self.well().map(drop)
    }

    fn prepare(&self, _: usize) -> Result<(), Fault> {
        self.well().map(drop)
    }

    fn count(&self, release: &Name) -> Result<usize, Fault> {
        let key = (release.base.clone(), release.release.clone());
        Ok(self.well()?.get(&key).map_or(0, BTreeMap::len))
    }

    fn put(&self, release: &Name, rows: Vec<Row>) -> Result<(), Fault> {
        if *self.0.full.lock().unwrap() {
            return Err(Fault::Refused("no room".to_owned()));
        }
        let key = (release.base.clone(), release.release.clone());
        assert!(rows.iter().all(|row| !row.words.is_empty()), "engines refuse empty vectors");
        self.well()?.entry(key).or_default().extend(rows.into_iter().map(|row| (row.place, row)));
        Ok(())
    }

    fn complete(&self, _: &Name) -> Result<(), Fault> {
        self.well().map(drop)
    }

    fn sweep(&self, base: &str, but: &[String]) -> Result<(), Fault> {
        self.well()?.retain(|(one, release), _| one != base || but.contains(release));
        Ok(())
    }

    fn worded(
        &self,
        release: &Name,
        dimensions: &[u32],
        limit: usize,
        _: Duration,
    ) -> Result<Vec<u32>, Fault> {
        let asked: HashSet<u32> = dimensions.iter().copied().collect();
        let sum = |row: &Row| {
            row.words.iter().filter(|(dimension, _)| asked.contains(dimension)).map(|(_, value)| value).sum()
        };
        Ok(self.best(release, sum)?.into_iter().map(|(place, _)| place).take(limit).collect())
    }

    fn meant(
        &self,
        release: &Name,
        vector: &Embedding,
        limit: usize,
        _: Duration,
    ) -> Result<Vec<u32>, Fault> {
        let near = |row: &Row| row.meaning.as_ref().map_or(0.0, |meaning| 1.0 + meaning.cosine(vector));
        let mut entries = HashSet::new();
        let nearest = self.best(release, near)?.into_iter().filter(|(_, entry)| entries.insert(*entry));
        Ok(nearest.map(|(place, _)| place).take(limit).collect())
    }
}

/// A release of a few entries without vectors.
fn small(name: &str) -> Arc<Release> {
    let base = formats::read_jsonl("test", SMALL_KB.as_bytes()).unwrap();
    Arc::new(Build { number: 1, ..Build::of(name, &base) }.temporary().unwrap())
}

/// An engine over a set in `corpora/`, the same with candidates from elsewhere, and these.
fn both(name: &str) -> (Engine, Engine, Candidates, Shared) {
    let (release, memory) = (corpus(name), Shared::default());
    let candidates = Candidates::over(Box::new(memory.clone()), MANNER);
    let held = candidates.hold("default", &release).expect("it is large enough");
    let here = Engine::new(release, MAX_WRONG);
    let elsewhere = here.clone().with_candidates(held);
    bring(&candidates);
    (here, elsewhere, candidates, memory)
}

/// Puts rows, and asks for them from then on.
fn bring(candidates: &Candidates) {
    candidates.keep();
    candidates.keep();
    assert!(candidates.report().ready.iter().all(|(_, ready)| *ready));
}

/// Looks until the engine is asked again.
fn recover(candidates: &Candidates) {
    while candidates.report().lost.is_some() {
        candidates.look();
    }
}

fn same(mut a: Outcome, mut b: Outcome) -> bool {
    (a.micros, b.micros) = (0, 0);
    a == b
}

#[test]
fn decisions_are_those_of_memory() {
    let (here, elsewhere, candidates, _) = both("shop");
    let (_, queries) = labelled_corpus("shop");
    for query in queries.iter().step_by(3) {
        let (a, b) =
            (here.answer(&query.text, Options::default()), elsewhere.answer(&query.text, Options::default()));
        assert!(same(a.unwrap(), b.unwrap()), "{}", query.text);
    }
    let report = candidates.report();
    assert!(report.told > queries.len() as u64 / 3 && report.failed == 0, "{report:?}");
    // What explains asks as well.
    let text = &queries[3].text;
    let (outcome, trace) = elsewhere.explain(text, Options::default()).unwrap();
    assert!(same(outcome, elsewhere.answer(text, Options::default()).unwrap()));
    assert!(!trace.lexical.is_empty() && !trace.semantic.is_empty());
}

#[test]
fn an_engine_that_is_lost_leaves_generation_1() {
    let (here, elsewhere, candidates, memory) = both("shop");
    let (_, queries) = labelled_corpus("shop");
    let one = Options { generation: Generation::One, ..Options::default() };
    let as_one = || {
        queries.iter().step_by(40).all(|query| {
            let (a, b) = (here.answer(&query.text, one), elsewhere.answer(&query.text, Options::default()));
            same(a.unwrap(), b.unwrap())
        })
    };
    for fault in [Fault::Slow, Fault::Gone("refused".to_owned()), Fault::Refused("not loaded".to_owned())] {
        memory.set(Some(fault));
        assert!(as_one());
        let report = candidates.report();
        assert!(report.lost.is_some() && report.failed > 0, "{report:?}");
        memory.set(None);
        recover(&candidates);
        assert!(!as_one(), "generation 2 is back");
    }
    // It has lost its rows: they are put again.
    memory.0.rows.lock().unwrap().clear();
    assert!(same(
        elsewhere.answer("钱啥时候能退回来呀", Options::default()).unwrap(),
        here.answer("钱啥时候能退回来呀", one).unwrap()
    ));
    assert!(!candidates.report().ready[0].1);
    bring(&candidates);
    assert!(!as_one());
}

#[test]
fn live_edits_are_found_though_the_engine_does_not_know_them() {
    let (here, elsewhere, _, _) = both("shop");
    let (base, queries) = labelled_corpus("shop");
    let (mut here, mut elsewhere) = (Live::new(here), Live::new(elsewhere));
    let mut new = base.entries()[0].clone();
    new.id = EntryId("balloon".to_owned());
    new.question = "热气球活动怎么报名".to_owned();
    new.similar = vec!["想坐热气球在哪里登记".to_owned()];
    (new.keywords, new.rules) = (Vec::new(), Vec::new());
    let mut changed = base.entries()[5].clone();
    changed.similar.push("热气球能不能改期".to_owned());
    let gone = base.entries()[9].id.clone();
    let changes = vec![
        Change { revision: 1, id: new.id.clone(), entry: Some(new) },
        Change { revision: 2, id: changed.id.clone(), entry: Some(changed.clone()) },
        Change { revision: 3, id: gone.clone(), entry: None },
    ];
    here.apply(changes.clone(), 3).unwrap();
    elsewhere.apply(changes, 3).unwrap();
    let best = |text: &str| {
        let outcome = elsewhere.shown().answer(text, Options::default()).unwrap();
        let entries = elsewhere.shown().release().entries();
        outcome.best().map(|best| entries[best.entry].id.to_string())
    };
    assert_eq!(best("热气球到底去哪儿登记呢").as_deref(), Some("balloon"));
    assert_eq!(best("热气球能改期不").as_deref(), Some(changed.id.to_string().as_str()));
    assert_ne!(best(&base.entries()[9].question), Some(gone.to_string()));
    let mut equal = 0;
    for query in queries.iter().step_by(3) {
        let answer = |live: &Live| live.shown().answer(&query.text, Options::default()).unwrap();
        equal += usize::from(same(answer(&here), answer(&elsewhere)));
    }
    // Weights are frozen there and not here, which may change who is the last of 65.
    assert!(equal * 100 >= 99 * queries.iter().step_by(3).count(), "{equal}");
}

#[test]
fn rows_belong_to_one_release_and_go_with_their_knowledge_base() {
    let memory = Shared::default();
    let candidates = Candidates::over(Box::new(memory.clone()), MANNER);
    let held: Vec<_> =
        ["shop", "bank"].map(|name| candidates.hold("default", &small(name)).unwrap()).into_iter().collect();
    let other = candidates.hold("acme", &small("shop")).unwrap();
    bring(&candidates);
    let count = |memory: &Shared| -> HashMap<String, usize> {
        memory.0.rows.lock().unwrap().iter().map(|((base, _), rows)| (base.clone(), rows.len())).collect()
    };
    let there = count(&memory);
    assert_eq!(there.len(), 3);
    assert_eq!(there["acme/shop"], there["default/shop"]);
    assert_eq!(there["default/bank"], small("bank").phrasings().len());
    // Putting it again changes nothing.
    candidates.keep();
    assert_eq!(count(&memory), there);
    // What is open keeps its rows, what is not does not.
    candidates.forget("default", "bank");
    candidates.forget("acme", "shop");
    drop(other);
    candidates.keep();
    let left = count(&memory);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.contains_key("acme/shop"));
    drop(held);
    // A small one is searched where it is opened.
    let manner = Manner { from: 1_000_000, ..MANNER };
    assert!(Candidates::over(Box::new(memory), manner).hold("default", &small("shop")).is_none());
}

#[test]
fn rows_that_are_refused_are_told_of_and_not_missed() {
    let (release, memory) = (small("shop"), Shared::default());
    *memory.0.full.lock().unwrap() = true;
    let candidates = Candidates::over(Box::new(memory), MANNER);
    let held = candidates.hold("default", &release).unwrap();
    let here = Engine::new(release, MAX_WRONG);
    let elsewhere = here.clone().with_candidates(held);
    candidates.keep();
    let report = candidates.report();
    assert_eq!(report.refused, [("default/shop".to_owned(), "no room".to_owned())]);
    assert_eq!(report.lost, None);
    let answer = |engine: &Engine| engine.answer("退的钱要等多久", Options::default()).unwrap();
    assert!(same(answer(&here), answer(&elsewhere)), "as if there were no engine");
}

fn registry(data: &Path, candidates: &Candidates) -> Arc<Registry> {
    let registry = Registry::new(crate::support::store(data), None, MAX_WRONG, "demo");
    Arc::new(registry.with_candidates(Some(candidates.clone())))
}

#[tokio::test]
async fn a_lost_engine_is_an_alarm_and_no_error() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Shared::default());
    publish(folder.path(), "demo", SMALL_KB, None);
    let candidates = Candidates::over(Box::new(memory.clone()), MANNER);
    let registry = registry(folder.path(), &candidates);
    registry.open_all().unwrap();
    bring(&candidates);
    let app = router(Server::new(registry, admission()));
    let text = json!({"text": "退的钱要等多久"});
    let before = ask(&app, text.clone()).await.json();
    let ready = get(&app, "/readyz").await.json();
    assert_eq!(
        (ready["status"].as_str(), ready["warnings"].as_array().map(Vec::len)),
        (Some("ready"), Some(0))
    );
    memory.set(Some(Fault::Gone("connection refused".to_owned())));
    let during = ask(&app, text.clone()).await;
    assert_eq!(during.status, StatusCode::OK, "{}", during.text());
    assert_eq!(during.json()["decision"], before["decision"]);
    let ready = get(&app, "/readyz").await;
    assert_eq!(ready.status, StatusCode::OK);
    let ready = ready.json();
    assert_eq!(
        (&ready["status"], &ready["warnings"][0]["reason"]),
        (&json!("degraded"), &json!("candidates_lost"))
    );
    let metrics = get(&app, "/metrics").await.text();
    assert!(metrics.contains("zhida_candidates_reachable 0"), "{metrics}");
    assert!(!metrics.contains("zhida_candidates_searches_total{outcome=\"lost\"} 0"), "{metrics}");
    memory.set(None);
    recover(&candidates);
    assert_eq!(get(&app, "/readyz").await.json()["status"], "ready");
    assert!(get(&app, "/metrics").await.text().contains("zhida_candidates_reachable 1"));
}

#[test]
fn the_next_release_has_rows_of_its_own() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Shared::default());
    publish(folder.path(), "demo", SMALL_KB, None);
    let candidates = Candidates::over(Box::new(memory.clone()), MANNER);
    let registry = registry(folder.path(), &candidates);
    registry.open_all().unwrap();
    bring(&candidates);
    publish(folder.path(), "demo", &SMALL_KB.replace("货到付款", "先收货后付钱"), None);
    registry.refresh();
    // Until its rows are there it is searched itself.
    let best = |text: &str| {
        let engine = registry.engine(None).unwrap();
        let outcome = engine.answer(text, Options::default()).unwrap();
        outcome.best().map(|best| engine.release().entries()[best.entry].id.to_string())
    };
    assert_eq!(best("可不可以先收货后给钱").as_deref(), Some("cod"));
    let report = candidates.report();
    assert!(report.told == 0 && report.here > 0, "{report:?}");
    bring(&candidates);
    assert_eq!(best("可不可以先收货后给钱").as_deref(), Some("cod"));
    assert!(candidates.report().told > 0);
    let releases: Vec<String> = memory.0.rows.lock().unwrap().keys().map(|(_, one)| one.clone()).collect();
    assert_eq!(releases.len(), 2, "the one before may be served elsewhere still: {releases:?}");
    assert!(releases[0].starts_with("1-") && releases[1].starts_with("2-"));
}

#[test]
fn a_program_without_milvus_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let started = |address: &str| {
        let mut command = zhida();
        command.args(["serve", "--model", "none", "--listen", "127.0.0.1:0", "--candidates", address]);
        run(command.arg("--data").arg(folder.path()))
    };
    let refused = started("redis://cache");
    assert!(!refused.status.success() && stderr(&refused).contains("milvus://HOST"), "{}", stderr(&refused));
    if cfg!(feature = "milvus") {
        eprintln!("built with Milvus: nothing to say");
        return;
    }
    let refused = started("milvus://127.0.0.1:9");
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("--features milvus"), "{}", stderr(&refused));
}

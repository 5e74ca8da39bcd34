//! Live edits: seen by the next question, safe among several authors, as good
//! as published ones, and flat in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::encoder::Encoder;
use zhida::engine::{Change, Engine, Live, Options};
use zhida::kb::{Entry, EntryId, KnowledgeBase, formats};
use zhida::release::{Build, Release};
use zhida::retrieve::Except;
use zhida::retrieve::lexical::Overlap;
use zhida::server::{Registry, Server, router};
use zhida::store::{Edit, Expected, Signature};

use crate::http::{Got, MAX_WRONG, Running, admission, ask, get, post, publish, send};
use crate::store::Desk;
use crate::support::{SMALL_KB, repository, stderr};

fn shop() -> KnowledgeBase {
    formats::read(&repository("corpora/shop.kb.jsonl")).unwrap()
}

fn base(entries: &[Entry]) -> KnowledgeBase {
    let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    formats::read_jsonl("test", lines.join("\n").as_bytes()).unwrap()
}

fn release(base: &KnowledgeBase, encoder: Option<Arc<Encoder>>) -> Release {
    Build { number: 1, encoder, ..Build::of("t", base) }.temporary().unwrap()
}

fn tiny() -> Arc<Encoder> {
    let model = crate::model::folder_with(&crate::model::tiny_files());
    Arc::new(Encoder::open(model.path()).unwrap())
}

/// A few hundred edits of every kind, always the same ones, and what is there afterwards.
fn edits(base: &KnowledgeBase) -> (Vec<Change>, Vec<Entry>) {
    let mut entries: Vec<Entry> = base.entries().to_vec();
    let mut changes = Vec::new();
    let mut revision = 0;
    let mut record = |id: &EntryId, entry: Option<&Entry>| {
        revision += 1;
        changes.push(Change { revision, id: id.clone(), entry: entry.cloned() });
    };
    for round in 0..300 {
        let at = (round * 37) % entries.len();
        match round % 5 {
            0 => {
                let removed = entries.remove(at);
                record(&removed.id, None);
            }
            1 => {
                let mut entry = entries[at].clone();
                entry.id = EntryId(format!("new-{round}"));
                entry.question = format!("第{round}号活动怎么报名参加");
                entry.similar = vec![format!("想参加第{round}号活动在哪里报名")];
                entry.keywords.clear();
                entry.rules.clear();
                record(&entry.id, Some(&entry));
                entries.push(entry);
            }
            2 => {
                let more = format!("请问{}第{round}次", entries[at].question);
                entries[at].similar.push(more);
                record(&entries[at].id.clone(), Some(&entries[at]));
            }
            3 => {
                entries[at].similar.pop();
                record(&entries[at].id.clone(), Some(&entries[at]));
            }
            _ => {
                // Off and on again: the same place or another one.
                record(&entries[at].id.clone(), None);
                record(&entries[at].id.clone(), Some(&entries[at]));
            }
        }
    }
    (changes, entries)
}

/// The entries that a release finds, by id, with their scores.
fn found(release: &Release, text: &str) -> BTreeMap<String, (f32, f32)> {
    let query = release.analyzer().query(text).unwrap();
    let found = release.lexical().search(&query, 20, Except::Nothing);
    let scores = |found: Overlap| (found.best.score, found.together);
    found.into_iter().map(|one| (release.entries()[one.best.entry].id.to_string(), scores(one))).collect()
}

fn near(release: &Release, encoder: &Encoder, text: &str) -> BTreeMap<String, (f32, f32)> {
    let question = encoder.embed(text).unwrap();
    let scan = release.semantic().unwrap().scan(&question, Except::Nothing);
    (0..release.entries().len())
        .filter_map(|at| scan.entry(at))
        .map(|n| (release.entries()[n.best.entry].id.to_string(), (n.best.score, n.mean)))
        .collect()
}

#[test]
fn an_edited_release_finds_what_a_published_one_finds() {
    let encoder = tiny();
    // Keywords are words of the dictionary, which is made with a publication.
    let plain = |entry: &Entry| Entry { keywords: Vec::new(), ..entry.clone() };
    let before = base(&shop().entries().iter().map(plain).collect::<Vec<_>>());
    let (changes, entries) = edits(&before);
    let mut live = Live::new(Engine::new(Arc::new(release(&before, Some(encoder.clone()))), MAX_WRONG));
    for change in changes.clone() {
        live.apply(vec![change], 1).unwrap();
    }
    let edited = Arc::clone(live.shown());
    let edited = edited.release();
    let published = release(&base(&entries), Some(encoder.clone()));
    assert_eq!(edited.counts(), (published.entries().len(), published.phrasings().len()));
    assert_eq!(edited.label(), format!("1+{}", changes.len()));

    let mut questions: Vec<String> = entries
        .iter()
        .step_by(3)
        .flat_map(|entry| entry.phrasings().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    questions.extend(["活动报名", "我想退货怎么弄啊", "今天天气怎么样", "发票"].map(str::to_owned));
    for text in ["zenme tuihuo", "huodong在哪baoming", "我要推货", "yhq怎么ling", "发飘什么时候开"]
    {
        assert_eq!(edited.hear(text), published.hear(text), "{text}");
    }
    for text in &questions {
        let (ours, theirs) = (found(edited, text), found(&published, text));
        // The list ends somewhere, and equal scores may end it differently.
        let last = theirs.values().map(|(score, _)| *score).fold(f32::INFINITY, f32::min);
        for (id, scores) in &theirs {
            let close = |a: (f32, f32), b: (f32, f32)| (a.0 - b.0).abs() < 1e-3 && (a.1 - b.1).abs() < 1e-3;
            let same = ours.get(id).is_some_and(|ours| close(*ours, *scores));
            assert!(same || (scores.0 - last).abs() < 1e-3, "{text}: {id} {scores:?}, {:?}", ours.get(id));
        }
        let (ours, theirs) = (near(edited, &encoder, text), near(&published, &encoder, text));
        assert_eq!(ours.len(), theirs.len());
        for (id, (best, mean)) in &theirs {
            let (our_best, our_mean) = ours[id];
            assert!((our_best - best).abs() < 1e-4 && (our_mean - mean).abs() < 1e-4, "{text}: {id}");
        }
        let key = zhida::text::Normalized::new(text);
        let id = |release: &Release| {
            release.exact().find(&key, |_| true).map(|hit| (release.entries()[hit.entry].id.clone(), hit.how))
        };
        assert_eq!(id(edited), id(&published), "{text}");
    }
    // What was removed is nowhere.
    for change in &changes {
        let is_there = entries.iter().any(|entry| entry.id == change.id);
        assert_eq!(edited.entry(&change.id).is_some(), is_there, "{}", change.id);
    }
}

#[test]
fn memory_depends_on_what_is_there_and_not_on_the_edits() {
    let before = shop();
    let mut live = Live::new(Engine::new(Arc::new(release(&before, None)), MAX_WRONG));
    let start = live.shown().release().places();
    let mut most = (0, 0);
    for round in 0..4_000i64 {
        let place = usize::try_from(round * 7).unwrap() % before.entries().len();
        let mut entry = before.entries()[place].clone();
        entry.answer = format!("第{round}版答案在这里。");
        let change = |id: &EntryId, entry| Change { revision: round, id: id.clone(), entry };
        match round % 4 {
            0 => {
                let id = EntryId(format!("x{round}"));
                let new = Entry {
                    id: id.clone(),
                    question: format!("第{round}个问题"),
                    similar: Vec::new(),
                    keywords: Vec::new(),
                    rules: Vec::new(),
                    ..entry
                };
                live.apply(vec![change(&id, Some(new))], 1).unwrap();
                live.apply(vec![change(&id, None)], 1).unwrap();
            }
            1 => live.apply(vec![change(&entry.id.clone(), None)], 1).unwrap(),
            _ => live.apply(vec![change(&entry.id.clone(), Some(entry))], 1).unwrap(),
        }
        let (entries, phrasings) = live.shown().release().places();
        most = (most.0.max(entries), most.1.max(phrasings));
    }
    // Every published phrasing may have been replaced once, and one entry comes and goes.
    assert!(most.0 <= start.0 + 1, "{start:?} → {most:?}");
    assert!(most.1 <= 2 * start.1 + 1, "{start:?} → {most:?}");
    assert_eq!(live.shown().release().edits(), 5_000);
}

#[test]
fn readers_see_one_state_or_the_other() {
    let mut live = Live::new(Engine::new(
        Arc::new(release(&base(formats::read_jsonl("t", SMALL_KB.as_bytes()).unwrap().entries()), None)),
        MAX_WRONG,
    ));
    let shown = Arc::new(std::sync::Mutex::new(Arc::clone(live.shown())));
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (shown, stop) = (Arc::clone(&shown), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut read = 0;
                while !stop.load(Ordering::Relaxed) {
                    let engine = Arc::clone(&shown.lock().unwrap());
                    let outcome = engine.answer("退款多久到账", Options::default()).unwrap();
                    let entry = &engine.release().entries()[outcome.best().unwrap().entry];
                    let version = entry.topic.clone().unwrap_or_default();
                    if version != "退款" {
                        assert_eq!(entry.answer, format!("答案{version}。"));
                        assert_eq!(entry.similar, [format!("说法{version}")]);
                        let hit = engine.answer(&format!("说法{version}"), Options::default()).unwrap();
                        assert_eq!(hit.best().map(|best| best.entry), outcome.best().map(|best| best.entry));
                    }
                    read += 1;
                }
                read
            })
        })
        .collect();
    let entry = live.shown().release().entry(&EntryId("refund-time".into())).unwrap().clone();
    for version in 0..400i64 {
        let entry = Entry {
            topic: Some(version.to_string()),
            answer: format!("答案{version}。"),
            similar: vec![format!("说法{version}")],
            ..entry.clone()
        };
        live.apply(vec![Change { revision: version, id: entry.id.clone(), entry: Some(entry) }], 1).unwrap();
        *shown.lock().unwrap() = Arc::clone(live.shown());
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().expect("no reader saw a half state") > 0);
    }
}

// ---- over HTTP ---------------------------------------------------------------

fn app(data: &Path) -> (Router, Arc<Registry>) {
    let registry = Arc::new(Registry::new(crate::support::store(data), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    (router(Server::new(Arc::clone(&registry), admission())), registry)
}

async fn change(app: &Router, method: Method, path: &str, tag: &str, body: Option<Value>) -> Got {
    let mut request =
        Request::builder().method(method).uri(path).header("zhida-author", "%E7%8E%8B%E8%8A%B3");
    if !tag.is_empty() {
        request = request.header(header::IF_MATCH, tag);
    }
    let request = match body {
        Some(body) => {
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
        }
        None => request.body(Body::empty()),
    };
    send(app, request.expect("a request")).await
}

const ENTRIES: &str = "/v1/kbs/demo/entries";

#[tokio::test]
async fn an_entry_is_created_changed_switched_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let (app, registry) = app(folder.path());
    let text = |reply: &Value| reply["answer"]["text"].as_str().unwrap_or_default().to_owned();

    // Created: the very next question sees it.
    let body = json!({"question": "几点上班", "similar": ["什么时候营业"], "answer": "早上九点。"});
    let got = post(&app, ENTRIES, body).await;
    assert_eq!(got.status, StatusCode::CREATED, "{}", got.text());
    let place = got.headers["location"].to_str().expect("text").to_owned();
    assert!(got.json()["id"].as_str().is_some_and(|id| place.ends_with(&id.replace('-', "%2D"))), "{place}");
    assert_eq!((&got.headers["zhida-release"], got.header(header::ETAG)), (&"1+1".parse().unwrap(), "\"5\""));
    let reply = ask(&app, json!({"text": "什么时候营业？"})).await.json();
    assert_eq!((text(&reply), &reply["release"]), ("早上九点。".to_owned(), &json!("1+1")));

    // Read and changed, under the condition that nobody else did.
    let got = get(&app, &place).await;
    let tag = got.header(header::ETAG).to_owned();
    let mut entry = got.json();
    entry["answer"] = json!("早上八点。");
    let problem = change(&app, Method::PUT, &place, "", Some(entry.clone()))
        .await
        .problem(428, "precondition-required");
    assert_eq!(problem["current"], json!(tag));
    assert_eq!(text(&ask(&app, json!({"text": "几点上班"})).await.json()), "早上九点。");
    let got = change(&app, Method::PUT, &place, &tag, Some(entry.clone())).await;
    assert_eq!((got.status, got.header(header::ETAG)), (StatusCode::OK, "\"6\""), "{}", got.text());
    assert_eq!(text(&ask(&app, json!({"text": "几点上班"})).await.json()), "早上八点。");
    entry["answer"] = json!("早上七点。");
    let problem =
        change(&app, Method::PUT, &place, &tag, Some(entry.clone())).await.problem(412, "stale-entry");
    assert_eq!(problem["current"], "\"6\"");
    assert_eq!(text(&ask(&app, json!({"text": "几点上班"})).await.json()), "早上八点。");

    // Switched off and on.
    let got = change(&app, Method::PATCH, &place, "\"6\"", Some(json!({"enabled": false}))).await;
    assert_eq!((got.status, got.json()["enabled"].clone()), (StatusCode::OK, json!(false)), "{}", got.text());
    assert_ne!(ask(&app, json!({"text": "几点上班"})).await.json()["decision"], "answer");
    let got = change(&app, Method::PATCH, &place, "*", Some(json!({"enabled": true, "topic": "门店"}))).await;
    assert_eq!(got.json()["topic"], "门店");
    let reply = ask(&app, json!({"text": "几点上班"})).await.json();
    assert_eq!((text(&reply), &reply["release"]), ("早上八点。".to_owned(), &json!("1+4")));

    // Removed.
    change(&app, Method::DELETE, &place, "", None).await.problem(428, "precondition-required");
    let got = change(&app, Method::DELETE, &place, "\"8\"", None).await;
    assert_eq!((got.status, got.body.len()), (StatusCode::NO_CONTENT, 0));
    get(&app, &place).await.problem(404, "unknown-entry");
    change(&app, Method::DELETE, &place, "*", None).await.problem(404, "unknown-entry");
    assert_ne!(ask(&app, json!({"text": "几点上班"})).await.json()["decision"], "answer");

    // Who did it is known.
    let shelf = crate::support::store(folder.path()).shelf("demo").expect("there");
    let newest = &shelf.history(None, None, 1).expect("readable")[0];
    assert_eq!((newest.author.as_str(), newest.live, newest.action.name()), ("王芳", true, "remove"));

    // A restart serves the same, and publishing folds it all in.
    let before = ask(&app, json!({"text": "怎么开电子发票"})).await.json();
    assert_eq!(before["release"], "1+5");
    let (again, _) = self::app(folder.path());
    let reply = ask(&again, json!({"text": "怎么开电子发票"})).await.json();
    assert_eq!((&reply["release"], &reply["answer"]), (&before["release"], &before["answer"]));
    assert_eq!(shelf.publish(None, &|_, _, _| ()).expect("published").number, 2);
    registry.refresh();
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["release"], "2");
}

#[tokio::test]
async fn going_back_serves_a_release_without_its_edits() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let (app, registry) = app(folder.path());
    let place = format!("{ENTRIES}/invoice");
    let answer = |answer: &str| json!({"question": "怎么开电子发票", "answer": answer});
    let got = change(&app, Method::PUT, &place, "*", Some(answer("新的开票办法。"))).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let shelf = crate::support::store(folder.path()).shelf("demo").expect("there");
    shelf.rollback(1).expect("back");
    registry.refresh();
    let reply = ask(&app, json!({"text": "怎么开电子发票"})).await.json();
    assert_eq!(reply["release"], "1");
    assert!(reply["answer"]["text"].as_str().is_some_and(|text| text.contains("我的发票")), "{reply}");
    // The edit is not lost: it is in the draft, and an edit goes on from there.
    let got = get(&app, &place).await;
    assert_eq!(got.json()["answer"], "新的开票办法。");
    let got = change(&app, Method::PUT, &place, got.header(header::ETAG), Some(answer("更新的办法。"))).await;
    assert_eq!(got.headers["zhida-release"], "1+1");
    assert_eq!(shelf.publish(None, &|_, _, _| ()).expect("published").number, 2);
    registry.refresh();
    assert_eq!(ask(&app, json!({"text": "怎么开电子发票"})).await.json()["answer"]["text"], "更新的办法。");
}

#[tokio::test]
async fn a_bad_edit_changes_nothing_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let (app, _) = app(folder.path());
    let put = |id: &'static str, body: Value| change_of(&app, id, body);
    let field = |got: &Got, status: u16, slug: &str| got.problem(status, slug)["field"].clone();

    assert_eq!(field(&put("a", json!({"question": "几点上班"})).await, 422, "invalid-entry"), "answer");
    assert_eq!(
        field(&put("a", json!({"question": "几点上班", "answer": "。。。"})).await, 422, "invalid-entry"),
        "answer"
    );
    assert_eq!(
        field(&put("a", json!({"question": "？！", "answer": "早上九点。"})).await, 422, "invalid-entry"),
        "question"
    );
    let rules = json!({"question": "几点上班", "answer": "早上九点。", "rules": [{"regex": "("}]});
    assert_eq!(field(&put("a", rules).await, 422, "invalid-entry"), "rules");
    let unknown = json!({"question": "几点上班", "answer": "早上九点。", "colour": "red"});
    assert_eq!(field(&put("a", unknown).await, 422, "invalid-entry"), "colour");
    let other = json!({"id": "b", "question": "几点上班", "answer": "早上九点。"});
    assert_eq!(field(&put("a", other).await, 422, "invalid-entry"), "id");
    put("a", json!([1])).await.problem(422, "invalid-field");

    // A question or keyword belongs to one entry; the problem names it.
    let taken =
        put("a", json!({"question": "几点上班", "similar": ["退款多久到账？"], "answer": "早上九点。"}))
            .await;
    let problem = taken.problem(409, "question-taken");
    assert_eq!((&problem["field"], &problem["owner"]), (&json!("similar"), &json!("refund-time")));
    let taken = put("a", json!({"question": "几点上班", "keywords": ["发票"], "answer": "早上九点。"})).await;
    assert_eq!(taken.problem(409, "question-taken")["owner"], "invoice");

    post(&app, ENTRIES, json!({"id": "cod", "question": "几点上班", "answer": "九点。"}))
        .await
        .problem(409, "entry-exists");
    post(&app, "/v1/kbs/nobody/entries", json!({"question": "几点上班", "answer": "九点。"}))
        .await
        .problem(404, "unknown-kb");
    let request = Request::put(format!("{ENTRIES}/cod"))
        .header(header::IF_MATCH, "5")
        .header(header::CONTENT_TYPE, "application/json");
    let got = send(&app, request.body(Body::from("{}")).expect("a request")).await;
    assert_eq!(got.problem(422, "invalid-field")["field"], "if-match");
    let reply = ask(&app, json!({"text": "怎么开电子发票"})).await.json();
    assert_eq!(reply["release"], "1", "nothing was changed");
    assert_eq!(get(&app, ENTRIES).await.json()["items"].as_array().map(Vec::len), Some(4));
}

async fn change_of(app: &Router, id: &str, body: Value) -> Got {
    change(app, Method::PUT, &format!("{ENTRIES}/{id}"), "", Some(body)).await
}

#[tokio::test]
async fn entries_are_listed_page_by_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = std::fs::read_to_string(repository("corpora/shop.kb.jsonl")).expect("there");
    publish(folder.path(), "demo", &shop, None);
    let (app, _) = app(folder.path());
    let mut seen = Vec::new();
    let mut path = format!("{ENTRIES}?limit=100");
    loop {
        let page = get(&app, &path).await.json();
        for item in page["items"].as_array().expect("items") {
            assert!(item["etag"].as_str().is_some_and(|tag| tag.starts_with('"')));
            seen.push(item["entry"]["id"].as_str().expect("an id").to_owned());
        }
        match page["next"].as_i64() {
            Some(next) => path = format!("{ENTRIES}?limit=100&after={next}"),
            None => break,
        }
    }
    let ids: Vec<String> = self::shop().entries().iter().map(|entry| entry.id.to_string()).collect();
    assert_eq!(seen, ids);
    let found = get(&app, &format!("{ENTRIES}?q=%E5%8F%91%E7%A5%A8&limit=1000")).await.json();
    let items = found["items"].as_array().expect("items").clone();
    assert!(!items.is_empty() && items.len() < ids.len());
    assert!(items.iter().all(|item| item["entry"].to_string().contains("发票")));
    assert_eq!(get(&app, &format!("{ENTRIES}?enabled=false")).await.json()["items"], json!([]));
    get(&app, &format!("{ENTRIES}?limit=0")).await.problem(422, "invalid-field");
    get(&app, &format!("{ENTRIES}?page=2")).await.problem(422, "invalid-field");
}

// ---- several processes -------------------------------------------------------

#[cfg(unix)]
#[test]
fn a_running_server_takes_in_edits_of_the_command_line() {
    let desk = Desk::new();
    let path = desk.file("a.jsonl", SMALL_KB);
    desk.sound(&["kb", "import", "--kb", "demo", &path]);
    desk.sound(&["kb", "publish", "--kb", "demo"]);
    let server = Running::start(&desk.data());
    let entry = desk.file(
        "e.json",
        "{\n \"id\": \"hours\",\n \"question\": \"几点上班\",\n \"answer\": \"早上九点。\"\n}",
    );
    assert_eq!(desk.sound(&["kb", "entry", "put", "--kb", "demo", "--reason", "新店", &entry]), "5\n");
    let start = Instant::now();
    while server.ask("几点上班")["answer"]["text"] != "早上九点。" {
        assert!(start.elapsed() < Duration::from_secs(20), "the edit did not arrive");
        std::thread::yield_now();
    }
    // Half a second between two looks, and a busy machine.
    eprintln!("the edit arrived after {:?}", start.elapsed());
    let reply = desk.json(&["ask", "--kb", "demo", "--json", "几点上班"]);
    assert_eq!((&reply["answer"]["text"], &reply["release"]), (&json!("早上九点。"), &json!("1+1")));

    let stale = desk.run(&["kb", "entry", "disable", "--kb", "demo", "--if-match", "4", "hours"]);
    assert_eq!(stale.status.code(), Some(1));
    assert!(stderr(&stale).contains("revision 5"), "{}", stderr(&stale));
    assert_eq!(desk.sound(&["kb", "entry", "disable", "--kb", "demo", "--if-match", "5", "hours"]), "6\n");
    assert!(desk.sound(&["kb", "entry", "get", "--kb", "demo", "hours"]).contains("\"enabled\": false"));
    assert_eq!(desk.sound(&["kb", "entry", "enable", "--kb", "demo", "hours"]), "7\n");
    assert_eq!(desk.sound(&["kb", "entry", "delete", "--kb", "demo", "hours"]), "8\n");
    let gone = desk.run(&["kb", "entry", "get", "--kb", "demo", "hours"]);
    assert!(gone.status.code() == Some(1) && stderr(&gone).contains("hours"), "{}", stderr(&gone));
    let start = Instant::now();
    while server.ask("转人工")["release"] != "1+4" {
        assert!(start.elapsed() < Duration::from_secs(20), "the edits did not arrive");
        std::thread::yield_now();
    }
    assert_ne!(server.ask("几点上班")["decision"], "answer");
    // An edit of the draft alone waits for a publication.
    desk.sound(&["kb", "entry", "put", "--draft", "--kb", "demo", &entry]);
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "demo"]), "2\n");
    let start = Instant::now();
    while server.ask("几点上班")["release"] != "2" {
        assert!(start.elapsed() < Duration::from_secs(20), "the release did not arrive");
        std::thread::yield_now();
    }
    assert_eq!(server.ask("几点上班")["answer"]["text"], "早上九点。");
}

#[test]
fn many_authors_at_once_lose_no_edit() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let store = crate::support::store(folder.path());
    let id = EntryId("invoice".into());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, id) = (store.clone(), id.clone());
            std::thread::spawn(move || {
                let shelf = store.shelf("demo").expect("there").signed(Signature::of(format!("w{writer}")));
                let mut done = 0;
                while done < 10 {
                    let stored = shelf.entry(&id).expect("readable").expect("there");
                    let mut entry = stored.entry;
                    entry.similar.push(format!("第{writer}人的第{done}种说法"));
                    let seen = Expected::Revisions(vec![stored.revision]);
                    match shelf.edit(&id, Edit::Put(entry), &seen, true) {
                        Ok(_) => done += 1,
                        Err(zhida::error::Error::Stale { .. }) => {}
                        Err(e) => panic!("{e}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().expect("no panic");
    }
    let entry = store.shelf("demo").expect("there").entry(&id).expect("readable").expect("there").entry;
    assert_eq!(entry.similar.len(), 2 + 40, "every edit was made on top of all others");
    let (_, registry) = app(folder.path());
    let engine = registry.engine(Some("demo")).expect("open");
    assert_eq!(engine.release().label(), "1+40");
    assert_eq!(engine.release().entry(&id).map(|entry| entry.similar.len()), Some(42));
}

//! What is served in bad times: damaged releases, a directory that cannot be
//! written, more questions than can be answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use zhida::kb::{Entry, EntryId, formats};
use zhida::server::{Admission, Registry, Server, router};
use zhida::store::{Edit, Expected};

use crate::http::{MAX_WRONG, Running, admission, ask, data, get, post, publish, send, serve, server_over};
use crate::support::{SMALL_KB, run, stderr, stdout, zhida};

/// Turns a bit in a file of a release.
fn damage(data: &Path, kb: &str, number: u32) {
    let file = data.join(format!("kbs/{kb}/releases/{number}/entries.jsonl"));
    let mut bytes = std::fs::read(&file).expect("entries");
    bytes[10] ^= 1;
    std::fs::write(&file, bytes).expect("a flipped bit");
}

fn entry(text: &str) -> Entry {
    formats::read_jsonl("entry", text.as_bytes()).expect("sound").entries()[0].clone()
}

/// Changes the answer of an entry for customers at once.
fn edit(data: &Path, answer: &str) {
    let text = json!({"id": "invoice", "question": "怎么开电子发票", "answer": answer}).to_string();
    let shelf = crate::support::store(data).shelf("demo").expect("there");
    let edited = shelf.edit(&EntryId("invoice".into()), Edit::Put(entry(&text)), &Expected::Anything, true);
    assert!(edited.expect("an edit").live);
}

async fn answer(app: &Router, kb: &str) -> Value {
    ask(app, json!({"text": "怎么开电子发票", "kb": kb})).await.json()
}

#[tokio::test]
async fn a_damaged_release_costs_its_own_knowledge_base_only() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    publish(folder.path(), "second", SMALL_KB, None);
    damage(folder.path(), "second", 1);
    let app = router(server_over(folder.path(), admission()));
    let got = get(&app, "/readyz").await;
    let body = got.json();
    assert_eq!(
        (got.status, &body["ready"], &body["status"], &body["kbs"]),
        (StatusCode::OK, &json!(true), &json!("degraded"), &json!({"demo": "1"}))
    );
    let warning = body["warnings"][0]["message"].as_str().expect("a message");
    assert_eq!(body["warnings"][0]["kb"], "second");
    for words in ["release 1 cannot be opened", "nothing is served instead", "entries.jsonl", "damaged"] {
        assert!(warning.contains(words), "{words}: {warning}");
    }
    assert!(!body.to_string().contains(&*folder.path().to_string_lossy()), "{body}");
    assert_eq!(answer(&app, "demo").await["decision"], "answer");
    let problem = ask(&app, json!({"text": "怎么退", "kb": "second"})).await.problem(503, "not-ready");
    assert!(
        problem["detail"].as_str().is_some_and(|text| text.contains("release 1 cannot be opened")),
        "{problem}"
    );
    let metrics = get(&app, "/metrics").await.text();
    for line in ["zhida_degraded{kb=\"demo\"} 0", "zhida_degraded{kb=\"second\"} 1"] {
        assert!(metrics.lines().any(|known| known == line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn the_last_good_release_stands_in_with_the_edits_on_top() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    publish(folder.path(), "demo", SMALL_KB, None);
    edit(folder.path(), "改过的答案。");
    damage(folder.path(), "demo", 2);
    let server = server_over(folder.path(), admission());
    let app = router(server.clone());
    let degraded = async |app: &Router| {
        let got = get(app, "/readyz").await;
        assert_eq!((got.status, &got.json()["status"]), (StatusCode::OK, &json!("degraded")));
        let message = got.json()["warnings"][0]["message"].as_str().expect("a message").to_owned();
        assert!(message.starts_with("release 2 cannot be opened, release 1+"), "{message}");
    };
    degraded(&app).await;
    let reply = answer(&app, "demo").await;
    assert_eq!((&reply["release"], &reply["answer"]["text"]), (&json!("1+1"), &json!("改过的答案。")));
    // Edits and goals arrive as before, however they were made, and the alarm stays.
    edit(folder.path(), "又改过的答案。");
    crate::support::store(folder.path()).shelf("demo").expect("there").set_goal(Some(0.2)).expect("a goal");
    server.registry().refresh();
    let reply = answer(&app, "demo").await;
    assert_eq!((&reply["release"], &reply["answer"]["text"]), (&json!("1+2"), &json!("又改过的答案。")));
    assert_eq!(reply["goal"]["max_wrong"], 0.2);
    server.registry().catch_up("demo");
    degraded(&app).await;
    // A publication ends it.
    publish(folder.path(), "demo", SMALL_KB, None);
    server.registry().refresh();
    assert_eq!(get(&app, "/readyz").await.json()["status"], "ready");
    assert_eq!(answer(&app, "demo").await["release"], "3");
}

#[tokio::test]
async fn without_any_answer_the_server_is_not_ready_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    damage(folder.path(), "demo", 1);
    let registry = Arc::new(Registry::new(crate::support::store(folder.path()), None, MAX_WRONG, "demo"));
    let app = router(Server::new(Arc::clone(&registry), admission()));
    assert_eq!(get(&app, "/readyz").await.json()["status"], "starting");
    let message = registry.open_all().expect_err("nothing opens").to_string();
    assert!(message.contains("damaged") && message.contains("zhida kb publish --kb demo"), "{message}");
    let got = get(&app, "/readyz").await;
    assert_eq!(
        (got.status, &got.json()["status"], &got.json()["ready"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"), &json!(false))
    );
    assert_eq!(got.json()["warnings"][0]["kb"], "demo");
}

#[test]
fn the_start_names_what_does_not_answer_and_serves_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    publish(folder.path(), "second", SMALL_KB, None);
    damage(folder.path(), "second", 1);
    let server = Running::start(folder.path());
    assert_eq!(server.ask("怎么开电子发票")["kb"], "demo");
    let (status, log) = server.stop();
    assert_eq!(status, Some(0));
    assert!(log.contains("zhida: second: release 1 cannot be opened, nothing is served instead"), "{log}");
    assert!(!log.contains("nothing is published"), "{log}");
}

/// Whether the server says that it is ready, and what it says.
fn readiness(server: &Running) -> (u16, String) {
    server.get("/readyz")
}

#[test]
fn a_server_without_any_answer_goes_on_and_is_mended_while_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    publish(folder.path(), "demo", SMALL_KB, None);
    for number in [1, 2] {
        damage(folder.path(), "demo", number);
    }
    let server = Running::start(folder.path());
    let (status, body) = readiness(&server);
    assert!(status == 503 && body.contains("release 2 cannot be opened"), "{status} {body}");
    // Somebody puts a good one there.
    publish(folder.path(), "demo", SMALL_KB, None);
    let patience = Instant::now();
    while readiness(&server).0 != 200 {
        assert!(patience.elapsed() < Duration::from_secs(20), "it does not look again");
        std::thread::yield_now();
    }
    assert_eq!(server.ask("怎么开电子发票")["release"], "3");
    let (status, log) = server.stop();
    assert_eq!(status, Some(0));
    assert!(log.contains("no knowledge base answers"), "{log}");
}

#[test]
fn a_default_knowledge_base_must_be_there() {
    for (names, known) in [(vec!["demo", "second"], "known: demo, second"), (vec![], "there is none yet")] {
        let folder = tempfile::tempdir().expect("a folder");
        names.iter().for_each(|name| assert_eq!(publish(folder.path(), name, SMALL_KB, None), 1));
        let output = run(serve(folder.path(), "127.0.0.1:0").args(["--default-kb", "typo"]));
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        for words in ["--default-kb", "\"typo\"", known] {
            assert!(message.contains(words), "{words}: {message}");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    publish(folder.path(), "second", SMALL_KB, None);
    let mut command = serve(folder.path(), "127.0.0.1:0");
    command.args(["--default-kb", "second", "--cors-origin", "https://shop.example"]);
    let server = Running::of(command);
    assert_eq!(server.ask("怎么开电子发票")["kb"], "second");
    let output = run(zhida().args(["serve", "--cors-origin", "shop.example"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("https://shop.example"), "{}", stderr(&output));
}

// ---- a directory that cannot be written -------------------------------------

#[tokio::test]
async fn a_replica_answers_and_refuses_every_change() {
    let registry =
        Arc::new(Registry::new(crate::support::store(data()).read_only(), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    let app = router(Server::new(registry, admission()));
    assert_eq!(answer(&app, "demo").await["decision"], "answer");
    let readiness = get(&app, "/readyz").await.json();
    assert_eq!((&readiness["status"], &readiness["read_only"]), (&json!("ready"), &json!(true)));
    for path in ["entries", "releases", "history", "export?format=csv", "lexicon", "goal", "queries"] {
        assert_eq!(get(&app, &format!("/v1/kbs/demo/{path}")).await.status, StatusCode::OK, "{path}");
    }
    let entry = r#"{"id":"x","question":"几点上班","answer":"九点。"}"#;
    for (method, path, kind, body) in [
        ("POST", "entries", "application/json", entry),
        ("PUT", "entries/x", "application/json", entry),
        ("PATCH", "entries/invoice", "application/json", r#"{"answer":"另一个。"}"#),
        ("DELETE", "entries/invoice", "application/json", ""),
        ("POST", "import?format=jsonl", "application/octet-stream", entry),
        ("POST", "releases", "application/json", "{}"),
        ("POST", "rollback", "application/json", r#"{"release":1}"#),
        ("POST", "gc", "application/json", r#"{"keep":1}"#),
        ("PUT", "goal", "application/json", r#"{"max_wrong":0.1}"#),
        ("PUT", "queries", "application/x-ndjson", r#"{"text":"几点","expect":null}"#),
        ("PUT", "lexicon", "application/octet-stream", r#"{"stop":"劳驾"}"#),
        ("PATCH", "lexicon", "application/json", r#"{"put":[{"stop":"劳驾"}]}"#),
    ] {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(format!("/v1/kbs/demo/{path}"))
            .header(header::CONTENT_TYPE, kind)
            .header(header::IF_MATCH, "*")
            .body(axum::body::Body::from(body));
        let mut request = request.expect("a request");
        if (method, path) == ("POST", "entries") {
            request.headers_mut().remove(header::IF_MATCH);
        }
        let problem = send(&app, request).await.problem(409, "read-only");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("read-only")), "{method} {path}");
    }
    // What changes nothing is done.
    let dry = axum::http::Request::post("/v1/kbs/demo/import?format=jsonl&dry_run=true")
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .body(axum::body::Body::from(entry));
    assert_eq!(send(&app, dry.expect("a request")).await.status, StatusCode::OK);
}

/// Makes a command run where a folder is mounted read-only; `None` where that
/// is not allowed, and then the test says so.
fn where_it_is_read_only(folder: &Path, command: &Command) -> Option<Command> {
    let mut mounted = Command::new("unshare");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && shift && exec \"$@\"";
    mounted.args(["-m", "sh", "-c", script, "sh"]).arg(folder);
    let mut probe = Command::new("unshare");
    probe.args(["-m", "sh", "-c", script, "sh"]).arg(folder).arg("true");
    if !probe.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this test needs the right to mount a folder read-only");
        return None;
    }
    mounted.arg(command.get_program()).args(command.get_args()).env_remove("RUST_LOG");
    Some(mounted)
}

/// A data directory as it is left: closed, killed, and copied without the
/// database's index of its log.
fn left_behind(how: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let written = folder.path().join("written");
    let shelf = crate::support::store(&written).shelf_to_create("demo").expect("a name");
    shelf.save_draft(&formats::read_jsonl("test", SMALL_KB.as_bytes()).expect("entries")).expect("a draft");
    shelf.publish(None, &|_, _, _| ()).expect("a release");
    drop(shelf);
    let data = folder.path().join("data");
    if how == "closed" {
        std::fs::rename(&written, &data).expect("moved");
        assert!(!data.join("zhida.db-wal").exists());
        return (folder, data);
    }
    // While somebody has it open, the last edit is in the log and nowhere else.
    let open = crate::support::store(&written);
    assert_eq!(open.names().expect("readable"), ["demo"]);
    edit(&written, "日志里的答案。");
    assert!(Command::new("cp").arg("-r").arg(&written).arg(&data).status().expect("cp").success());
    assert!(data.join("zhida.db-wal").metadata().expect("a log").len() > 0);
    if how == "copied" {
        std::fs::remove_file(data.join("zhida.db-shm")).expect("removed");
    }
    drop(open);
    (folder, data)
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_is_served_and_asked() {
    for how in ["closed", "killed", "copied"] {
        let (_folder, data) = left_behind(how);
        let label = if how == "closed" { "1" } else { "1+1" };
        let mut asked = zhida();
        asked.args(["ask", "--model", "none", "--json", "--data"]).arg(&data).arg("怎么开电子发票");
        let Some(mut asked) = where_it_is_read_only(&data, &asked) else { return };
        let output = run(&mut asked);
        assert!(output.status.success(), "{how}: {}", stderr(&output));
        let reply: Value = serde_json::from_str(&stdout(&output)).expect("a reply");
        assert_eq!((&reply["decision"], &reply["release"]), (&json!("answer"), &json!(label)), "{how}");

        let Some(command) = where_it_is_read_only(&data, &serve(&data, "127.0.0.1:0")) else { return };
        let server = Running::of(command);
        assert_eq!(server.ask("怎么开电子发票")["release"], label, "{how}");
        let (status, log) = server.stop();
        assert_eq!(status, Some(0), "{how}: {log}");
        assert!(log.contains("is read-only (Read-only file system"), "{how}: {log}");

        let mut publish = zhida();
        publish.args(["kb", "publish", "--kb", "demo", "--model", "none", "--data"]).arg(&data);
        let Some(mut publish) = where_it_is_read_only(&data, &publish) else { return };
        let output = run(&mut publish);
        assert_eq!(output.status.code(), Some(1), "{how}");
        assert!(stderr(&output).contains("is read-only"), "{how}: {}", stderr(&output));
    }
}

#[test]
fn an_empty_directory_that_cannot_be_written_gets_no_demo() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = serve(folder.path(), "127.0.0.1:0");
    command.arg("--read-only");
    let (status, log) = Running::of(command).stop();
    assert_eq!(status, Some(0));
    assert!(log.contains("is read-only (as the operator has said)"), "{log}");
    assert!(log.contains("nothing is published"), "{log}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing was written");
}

// ---- many at once -----------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_are_all_answered() {
    let app = router(server_over(data(), Admission::new(2, Duration::from_secs(2), Duration::from_secs(4))));
    let asked: Vec<_> = (0..100)
        .map(|number| {
            let app = app.clone();
            tokio::spawn(async move {
                ask(&app, json!({"text": format!("第{number}单的发票在哪里开")})).await.status
            })
        })
        .collect();
    for one in asked {
        assert_eq!(one.await.expect("a response"), StatusCode::OK);
    }
}

/// Ten times what can be done, for two seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_overload_those_let_in_are_answered_soon_and_the_others_told_at_once() {
    const WORK: Duration = Duration::from_millis(10);
    let queue = Duration::from_millis(500);
    let admission = Arc::new(Admission::new(2, queue, Duration::from_secs(10)));
    let stop = Arc::new(AtomicBool::new(false));
    let longest = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    // Whoever is refused comes again at once, as impatient clients do.
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let (admission, stop, longest) =
                (Arc::clone(&admission), Arc::clone(&stop), Arc::clone(&longest));
            tokio::spawn(async move {
                let (mut accepted, mut refused) = (Vec::new(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let outcome = admission.work(|_| std::thread::sleep(WORK)).await;
                    longest.fetch_max(admission.waiting(), Ordering::Relaxed);
                    let late = start.elapsed() > Duration::from_millis(1_500);
                    match outcome {
                        Ok(()) => accepted.push((late, begun.elapsed())),
                        Err(problem) => {
                            assert_eq!(problem.status, 429);
                            refused.push(begun.elapsed());
                            tokio::time::sleep(WORK * 5).await;
                        }
                    }
                }
                (accepted, refused)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);
    let mut took: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for client in clients {
        let (accepted, refused) = client.await.expect("no panic");
        for (late, time) in accepted {
            took.entry(if late { "late" } else { "early" }).or_default().push(time);
        }
        took.entry("refused").or_default().extend(refused);
    }
    let at = |kind: &str, share: f64| -> Duration {
        let mut times = took[kind].clone();
        times.sort_unstable();
        times[((times.len() - 1) as f64 * share) as usize]
    };
    assert!(took["refused"].len() > took["late"].len(), "that was no overload: {:?}", took["refused"].len());
    assert!(at("refused", 0.9) < Duration::from_millis(250), "{:?}", at("refused", 0.9));
    assert!(at("early", 1.0) < queue * 4, "{:?}", at("early", 1.0));
    // The line stands, so the patience is a tenth: nobody waits half a second any more.
    assert!(at("late", 0.9) < queue, "{:?}", at("late", 0.9));
    assert!(longest.load(Ordering::Relaxed) <= 2 * 128);
    // And when it is over, it is over.
    while admission.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(admission.waiting(), 0);
    assert!(admission.work(|_| ()).await.is_ok());
}

#[tokio::test]
async fn edits_and_health_need_no_turn_of_the_customers() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let server = server_over(folder.path(), Admission::new(1, Duration::ZERO, Duration::from_secs(10)));
    let app = router(server.clone());
    let _held = server.admission().admit().await.expect("the only permit");
    ask(&app, json!({"text": "怎么退"})).await.problem(429, "overloaded");
    for path in ["/healthz", "/readyz", "/metrics", "/v1/kbs", "/v1/kbs/demo/entries"] {
        assert_eq!(get(&app, path).await.status, StatusCode::OK, "{path}");
    }
    let entry = json!({"id": "hours", "question": "几点上班", "answer": "九点。"});
    assert_eq!(post(&app, "/v1/kbs/demo/entries", entry).await.status, StatusCode::CREATED);
}

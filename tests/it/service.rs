//! How a knowledge base serves: its document is checked, kept, published with
//! it, edited live, and its rules are tested.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::Value;
use zhida::decide::{Decision, Reason};
use zhida::dialogue::rules::Action;
use zhida::dialogue::ruling::under_rules;
use zhida::dialogue::{Facts, Service, Standing};
use zhida::engine::{Engine, Options};
use zhida::error::Error;
use zhida::kb::formats;
use zhida::release::Build;
use zhida::server::{Registry, router};
use zhida::store::{Action as Done, Expected, Signature};

use crate::http::{admission, get, send, server_over};
use crate::support::{SMALL_KB, run, stderr, stdout, zhida};

const SERVICE: &str = r#"
[hours]
weekdays = ["09:00-18:00"]

[[rules]]
id = "lawyer"
when = "before"
if = { words = ["律师"] }
reason = "sensitive"
message = "正在为您转接专人。"
tests = [{ text = "我要找律师告你们", fires = true }, { text = "退款多久到账", fires = false }]

[[rules]]
id = "invoice"
if = { entries = ["invoice"] }
action = "answer_then_handoff"

[[rules]]
id = "vip"
if = { fields = { vip = true }, outcome = ["handoff"] }
answer = "您的专属客服马上联系您。"
"#;

fn in_folder(folder: &Path, args: &[&str]) -> Output {
    run(zhida().current_dir(folder).args(args))
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    stdout(output)
}

/// A data directory with a knowledge base `t`, and its folder.
fn desk() -> (tempfile::TempDir, zhida::store::Shelf) {
    let folder = tempfile::tempdir().unwrap();
    let shelf = crate::support::store(folder.path().join("data")).shelf_to_create("t").unwrap();
    let shelf = shelf.signed(Signature { author: "小李".to_owned(), reason: Some("试".to_owned()) });
    shelf.save_draft(&formats::read_jsonl("small", SMALL_KB.as_bytes()).unwrap()).unwrap();
    (folder, shelf)
}

#[test]
fn a_document_is_kept_with_its_history_published_and_restored() {
    let (folder, shelf) = desk();
    assert_eq!(shelf.service().unwrap(), Default::default());
    let first = shelf.put_service(&Expected::Revisions(vec![0]), SERVICE, false).unwrap();
    assert_eq!((first.action, first.live), (Some(Done::Add), false));
    let again = shelf.put_service(&Expected::Anything, SERVICE, false).unwrap();
    assert_eq!((again.action, again.revision), (None, first.revision), "nothing has changed");
    let stale = shelf.put_service(&Expected::Revisions(vec![0]), "", false);
    assert!(
        matches!(stale, Err(Error::Stale { current: Some(at), .. }) if at == first.revision),
        "{stale:?}"
    );
    let faulty = shelf.put_service(&Expected::Anything, "[hour]", false);
    assert!(matches!(&faulty, Err(Error::Corpus(problems)) if problems[0].line == 1), "{faulty:?}");
    assert_eq!(shelf.service().unwrap().text, SERVICE);

    shelf.publish(None, &|_, _, _| ()).unwrap();
    let release = shelf.open_current(None).unwrap();
    assert_eq!(&**release.service(), SERVICE);
    assert!(release.manifest().files.contains_key("service.toml"));
    let path = shelf.release_folder(1).join("service.toml");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), SERVICE);

    let other = "[hours]\nweekend = [\"10:00-12:00\"]\n";
    assert_eq!(shelf.put_service(&Expected::Anything, other, false).unwrap().action, Some(Done::Change));
    shelf.publish(None, &|_, _, _| ()).unwrap();
    assert!(shelf.draft_against(1).unwrap().service);
    let diff = done(&in_folder(folder.path(), &["kb", "diff", "--kb", "t", "1", "2", "--json"]));
    let diff: Value = serde_json::from_str(&diff).unwrap();
    assert_eq!(diff["service"]["before"], SERVICE);
    assert_eq!(diff["service"]["after"], other);
    let told = done(&in_folder(folder.path(), &["kb", "diff", "--kb", "t", "1", "2"]));
    assert!(told.contains("- id = \"lawyer\"") && told.contains("+ weekend"), "{told}");

    assert!(shelf.restore(1).unwrap().service);
    assert_eq!(shelf.service().unwrap().text, SERVICE);
    assert!(!shelf.draft_against(1).unwrap().service);
    let history = shelf.history(None, None, 10).unwrap();
    let of_document: Vec<_> = history.iter().filter(|one| one.entry.is_none()).collect();
    assert_eq!(
        of_document.iter().map(|one| one.action).collect::<Vec<_>>(),
        [Done::Change, Done::Change, Done::Add]
    );
    assert_eq!(of_document[0].after.as_ref().unwrap()["service"], SERVICE);
    assert_eq!(of_document[0].before.as_ref().unwrap()["service"], other);
    assert_eq!((of_document[2].author.as_str(), of_document[2].reason.as_deref()), ("小李", Some("试")));
    let told = done(&in_folder(folder.path(), &["kb", "history", "--kb", "t"]));
    assert!(told.contains("[service document]"), "{told}");

    // What is damaged is told, as of every file of a release.
    std::fs::write(&path, "x").unwrap();
    assert!(shelf.open_release(1, None).is_err());
    assert!(shelf.content(Some(1)).is_err());

    shelf.delete().unwrap();
    shelf.save_draft(&formats::read_jsonl("small", SMALL_KB.as_bytes()).unwrap()).unwrap();
    assert_eq!(shelf.service().unwrap().text, "", "the new one of the same name has nothing of the old one");
}

#[test]
fn a_running_server_takes_what_is_published_and_what_is_edited_live() {
    let (folder, shelf) = desk();
    let early = shelf.put_service(&Expected::Anything, SERVICE, true).unwrap();
    assert!(!early.live, "nothing is served yet");
    shelf.publish(None, &|_, _, _| ()).unwrap();
    let registry = Registry::new(crate::support::store(folder.path().join("data")), None, 0.05, "t");
    registry.refresh();
    let served = || registry.engine(Some("t")).unwrap();
    let text = || served().service().to_string();
    assert_eq!(text(), SERVICE);

    // A draft changes nothing; the same words said live do.
    let other = "[hours]\nweekend = [\"10:00-12:00\"]\n";
    shelf.put_service(&Expected::Anything, other, false).unwrap();
    registry.refresh();
    assert_eq!(text(), SERVICE);
    let live = shelf.put_service(&Expected::Anything, other, true).unwrap();
    assert_eq!((live.action, live.live), (Some(Done::Change), true));
    registry.refresh();
    assert_eq!(text(), other);
    // An edit of an entry on top of it keeps it; so does opening anew.
    let entry = served().release().entries()[0].clone();
    shelf
        .edit(
            &entry.id.clone(),
            zhida::store::Edit::Put(zhida::kb::Entry { answer: "三天。".to_owned(), ..entry }),
            &Expected::Anything,
            true,
        )
        .unwrap();
    registry.catch_up("t");
    assert_eq!((text().as_str(), served().release().edits()), (other, 1));
    let second = Registry::new(crate::support::store(folder.path().join("data")), None, 0.05, "t");
    second.refresh();
    assert_eq!(&**second.engine(Some("t")).unwrap().service(), other);
    assert_eq!(shelf.served().unwrap().unwrap().service(), other);
    // Going back takes it away again.
    shelf.rollback(1).unwrap();
    registry.refresh();
    assert_eq!(text(), SERVICE);
    shelf.publish(None, &|_, _, _| ()).unwrap();
    registry.refresh();
    assert_eq!(text(), other, "the draft was published");
}

#[test]
fn rules_test_runs_the_tests_and_publishing_does_too() {
    let (folder, shelf) = desk();
    let at = |args: &[&str]| in_folder(folder.path(), args);
    let none = at(&["rules", "test", "--kb", "t"]);
    assert!(none.status.success(), "the shipped rules pass: {}", stderr(&none));
    std::fs::write(folder.path().join("good.toml"), SERVICE).unwrap();
    let set = at(&["rules", "set", "good.toml", "--kb", "t", "--author", "小李"]);
    assert!(set.status.success() && stderr(&set).contains("3 rules"), "{}", stderr(&set));
    assert_eq!(done(&at(&["rules", "show", "--kb", "t"])), SERVICE);
    let report: Value = serde_json::from_str(&done(&at(&["rules", "test", "--kb", "t", "--json"]))).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&Value::from(2), &Value::from(0)));
    assert_eq!(report["untested"], serde_json::json!(["invoice", "vip"]));

    let bad = SERVICE.replace("fires = false", "fires = true");
    std::fs::write(folder.path().join("bad.toml"), &bad).unwrap();
    let set = at(&["rules", "set", "bad.toml", "--kb", "t"]);
    assert!(set.status.success() && stderr(&set).contains("1 of their tests fail"), "{}", stderr(&set));
    let test = at(&["rules", "test", "--kb", "t"]);
    assert_eq!(test.status.code(), Some(1));
    assert!(stdout(&test).contains("不通过 规则“lawyer”第 2 个测试“退款多久到账”"), "{}", stdout(&test));
    let publish = at(&["kb", "publish", "--kb", "t", "--model", "none"]);
    assert_eq!(publish.status.code(), Some(1), "{}", stderr(&publish));
    assert!(stderr(&publish).contains("rule_test"), "{}", stderr(&publish));
    let check = at(&["kb", "check", "--kb", "t", "--model", "none"]);
    assert_eq!(check.status.code(), Some(1));
    assert!(stdout(&check).contains("rule_test"), "{}", stdout(&check));

    // Rules about what is not there are told and published all the same.
    let lost = SERVICE.replace("\"invoice\"]", "\"gone\"]");
    shelf.put_service(&Expected::Anything, &lost, false).unwrap();
    let publish = at(&["kb", "publish", "--kb", "t", "--model", "none"]);
    assert!(publish.status.success(), "{}", stderr(&publish));
    assert!(stderr(&publish).contains("“gone”"), "{}", stderr(&publish));

    // A document that is faulty says where, and changes nothing.
    std::fs::write(folder.path().join("faulty.toml"), "[[rules]]\nid = \"a\"\nif = { word = [\"x\"] }\n")
        .unwrap();
    let set = at(&["rules", "set", "faulty.toml", "--kb", "t"]);
    assert_eq!(set.status.code(), Some(1));
    assert!(stderr(&set).contains("service.toml:3:8 [rules[1].if.word]"), "{}", stderr(&set));
    assert_eq!(shelf.service().unwrap().text, lost);

    // Beside a file, and as a file.
    std::fs::write(folder.path().join("small.kb.jsonl"), SMALL_KB).unwrap();
    std::fs::write(folder.path().join("small.service.toml"), &bad).unwrap();
    assert_eq!(at(&["rules", "test", "--kb", "small.kb.jsonl"]).status.code(), Some(1));
    assert!(at(&["rules", "test", "--kb", "good.toml"]).status.success());
    let shipped = done(&at(&["rules", "default"]));
    assert!(Service::of(&shipped).is_ok());
    assert!(at(&["rules", "default", "--kb", "t"]).status.success());
    assert_eq!(shelf.service().unwrap().text, "");
}

#[test]
fn rules_stand_around_the_engine_in_and_outside_of_conversations() {
    let base = formats::read_jsonl("small", SMALL_KB.as_bytes()).unwrap();
    let engine = Engine::new(Arc::new(Build::of("t", &base).temporary().unwrap()), 0.05);
    let service = Service::of(SERVICE).unwrap();
    let vip = serde_json::json!({"vip": true});
    let ask = |text: &str, fields: &Value, explain: bool| {
        let mut facts = Facts::of(text);
        facts.fields = fields.as_object();
        let answer = || engine.answer(text, Options::default());
        under_rules(&engine, &service, facts, explain, answer, |outcome| (outcome, None)).unwrap()
    };
    let nothing = Value::Null;
    // No search at all.
    let lawyer = ask("我要找律师", &nothing, false);
    assert_eq!((lawyer.outcome.decision, lawyer.outcome.reason), (Decision::Handoff, Reason::Sensitive));
    assert!(lawyer.asked.is_none());
    assert_eq!(lawyer.fired.as_ref().unwrap().message.as_deref(), Some("正在为您转接专人。"));
    // The answer stays, and a person comes after it.
    let invoice = ask("怎么开电子发票", &nothing, false);
    assert_eq!((invoice.outcome.decision, invoice.outcome.reason), (Decision::Answer, Reason::ExactQuestion));
    assert_eq!(invoice.fired.as_ref().unwrap().action, Action::AnswerThenHandoff);
    // A value of the request.
    let other = ask("火星上有没有水", &vip, false);
    assert_eq!((other.outcome.decision, other.outcome.reason), (Decision::Answer, Reason::HandoffRule));
    assert!(
        matches!(&other.fired.as_ref().unwrap().action, Action::Answer { text } if text.contains("专属"))
    );
    assert!(ask("火星上有没有水", &nothing, false).fired.is_none());
    let plain = ask("退款多久到账", &vip, false);
    assert!(plain.fired.is_none());
    assert_eq!(plain.outcome.reason, Reason::ExactQuestion);
    // To be told why changes nothing.
    for (text, fields) in [
        ("我要找律师", &nothing),
        ("怎么开电子发票", &nothing),
        ("火星上有没有水", &vip),
        ("退款多久到账", &vip),
    ] {
        let (silent, told) = (ask(text, fields, false), ask(text, fields, true));
        assert_eq!(
            (silent.outcome.decision, silent.outcome.reason),
            (told.outcome.decision, told.outcome.reason)
        );
        assert_eq!(silent.fired, told.fired);
        let trace = told.trace();
        assert_eq!(trace.tried.len(), 3, "{text}: every rule says what became of it");
        let winners: Vec<&str> =
            trace.tried.iter().filter(|one| one.wins).map(|one| one.rule.as_str()).collect();
        assert_eq!(winners, trace.fired.iter().map(|fired| fired.rule.as_str()).collect::<Vec<_>>());
    }
    // A conversation's standing is that after the message.
    let shipped = Service::default();
    let text = "火星上有没有水";
    let answer = || engine.answer(text, Options::default());
    let third = |outcome: &zhida::engine::Outcome| outcome.decision == Decision::Handoff;
    let after = Some(Standing { misses: 3, repeats: 0 });
    let missed = under_rules(&engine, &shipped, Facts::of(text), false, answer, |outcome| {
        assert!(third(outcome));
        (outcome, after)
    })
    .unwrap();
    assert_eq!(missed.outcome.reason, Reason::RepeatedMiss);
    assert_eq!(missed.fired.unwrap().reason, "repeated_miss");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_shown_set_and_tested_over_http() {
    let folder = tempfile::tempdir().unwrap();
    crate::http::publish(folder.path(), "demo", SMALL_KB, None);
    let server = server_over(folder.path(), admission());
    let app = router(server.clone());
    let path = "/v1/kbs/demo/service";
    let call = |method: Method, path: &str, tag: Option<&str>, text: &str| {
        let mut request =
            Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/toml");
        if let Some(tag) = tag {
            request = request.header(header::IF_MATCH, tag);
        }
        let (app, request) = (app.clone(), request.body(Body::from(text.to_owned())).unwrap());
        async move { send(&app, request).await }
    };
    let shown = get(&app, path).await;
    assert_eq!((shown.status.as_u16(), shown.header(header::ETAG)), (200, "\"0\""));
    assert!(Service::of(&shown.text()).is_ok_and(|service| !service.rules.all().is_empty()));
    call(Method::PUT, path, None, SERVICE).await.problem(428, "precondition-required");
    let put = call(Method::PUT, path, Some("\"0\""), SERVICE).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let (body, tag) = (put.json(), put.header(header::ETAG).to_owned());
    assert_eq!(
        (&body["changed"], &body["live"], &body["tests"]["passed"]),
        (&true.into(), &false.into(), &2.into())
    );
    assert_eq!(get(&app, path).await.text(), SERVICE);
    call(Method::PUT, path, Some("\"0\""), "").await.problem(412, "stale-entry");
    let faulty = call(Method::PUT, path, Some(&tag), "[hours]\nmonday = [\"9\"]").await;
    let problem = faulty.problem(422, "invalid-entry");
    assert_eq!(
        (&problem["problems"][0]["line"], &problem["problems"][0]["field"]),
        (&2.into(), &"hours.monday".into())
    );
    let binary = call(Method::PUT, path, Some(&tag), "x").await;
    binary.problem(422, "invalid-entry");

    let report = call(Method::POST, &format!("{path}/test"), None, "").await.json();
    assert_eq!((&report["rules"], &report["failed"]), (&3.into(), &0.into()), "{report}");
    let bad = SERVICE.replace("fires = false", "fires = true");
    let report = call(Method::POST, &format!("{path}/test"), None, &bad).await.json();
    assert_eq!((&report["failed"], &report["tests"][1]["passed"]), (&1.into(), &false.into()), "{report}");
    // What customers get at once has no publication in between.
    let live = format!("{path}?live=true");
    call(Method::PUT, &live, Some(&tag), &bad).await.problem(422, "invalid-entry");
    let served = || server.registry().engine(Some("demo")).unwrap().service().to_string();
    assert_eq!(served(), "");
    let put = call(Method::PUT, &live, Some(&tag), SERVICE).await.json();
    assert_eq!((&put["changed"], &put["live"]), (&true.into(), &true.into()), "{put}");
    assert_eq!(served(), SERVICE, "the next message meets it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_hold_without_a_conversation() {
    let (folder, shelf) = desk();
    shelf.put_service(&Expected::Anything, SERVICE, false).unwrap();
    shelf.publish(None, &|_, _, _| ()).unwrap();
    let app = router(server_over(&folder.path().join("data"), admission()));
    let ask = |body: Value| {
        let app = app.clone();
        async move { crate::http::ask(&app, body).await }
    };
    let lawyer = ask(serde_json::json!({"kb": "t", "text": "我要找律师"})).await.json();
    assert_eq!(
        (&lawyer["decision"], &lawyer["reason"]),
        (&"handoff".into(), &"sensitive".into()),
        "{lawyer}"
    );
    assert_eq!(lawyer["handoff"]["rule"], "lawyer");
    assert_eq!(lawyer["message"], "正在为您转接专人。");
    let told = ask(serde_json::json!({"kb": "t", "text": "我要找律师", "explain": true})).await.json();
    assert_eq!(told["explain"]["rules"]["fired"]["rule"], "lawyer", "{told}");
    let invoice = ask(serde_json::json!({"kb": "t", "text": "怎么开电子发票"})).await.json();
    assert_eq!((&invoice["decision"], &invoice["answer"]["entry"]), (&"answer".into(), &"invoice".into()));
    assert_eq!(invoice["handoff"]["rule"], "invoice", "answered, and a person comes");
    let vip = serde_json::json!({"kb": "t", "text": "火星上有没有水", "fields": {"vip": true}});
    let vip = ask(vip).await.json();
    assert_eq!(
        (&vip["decision"], &vip["answer"]["text"]),
        (&"answer".into(), &"您的专属客服马上联系您。".into())
    );
    let plain = ask(serde_json::json!({"kb": "t", "text": "退款多久到账"})).await.json();
    assert_eq!((&plain["reason"], &plain["message"]), (&"exact_question".into(), &Value::Null));
    ask(serde_json::json!({"kb": "t", "text": " "})).await.problem(422, "blank-text");
    let told = done(&in_folder(folder.path(), &["ask", "--kb", "t", "--json", "我要找律师"]));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["handoff"]["rule"], "lawyer");
}

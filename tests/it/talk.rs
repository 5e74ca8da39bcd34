//! What surrounds a conversation: its greeting, what is asked most, a question left
//! behind at night, channels from the command line, a tenant that nobody called.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use zhida::access::Limits;
use zhida::engine::{Engine, Options, Reply};
use zhida::server::router;
use zhida::store::{Expected, Job};

use crate::http::{Got, MAX_WRONG, Running, admission, get, publish, send, server_over};
use crate::receiver::{Answer, Receiver, webhook};
use crate::store::Desk;
use crate::support::{SMALL_KB, stderr};

async fn post(app: &Router, path: &str, body: Value) -> Got {
    let request =
        Request::builder().method(Method::POST).uri(path).header("content-type", "application/json");
    send(app, request.body(Body::from(body.to_string())).expect("a request")).await
}

async fn say(app: &Router, session: &str, text: &str) -> Value {
    let got = post(app, "/v1/answer", json!({"text": text, "session": session})).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    got.json()
}

/// A data directory whose knowledge base serves like this.
fn serving(service: &str) -> (tempfile::TempDir, Router) {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let shelf = crate::support::store(folder.path()).shelf("demo").expect("there");
    shelf.put_service(&Expected::Anything, service, true).expect("a sound document");
    let app = router(server_over(folder.path(), admission()));
    (folder, app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_questions_below_the_greeting_are_those_that_were_asked_most() {
    let (_folder, app) = serving("[voice]\ngreeting = \"您好！\"\nquick_questions = { most_asked = 2 }\n");
    for (session, texts) in [
        ("a", &["怎么开电子发票", "怎么开电子发票", "支持货到付款吗"][..]),
        ("b", &["要报销需要票，我的手机是13800001111"][..]),
        ("c", &["支持货到付款吗", "怎么修改收货地址"][..]),
        ("d", &["能不能收到货再给钱", "你好"][..]),
        ("e", &["怎么开电子发票", "转人工"][..]),
    ] {
        for text in texts {
            say(&app, session, text).await;
        }
    }
    let told = get(&app, "/v1/kbs/demo/greeting").await.json();
    assert_eq!((&told["greeting"], &told["chosen_by"]), (&json!("您好！"), &json!("asked")));
    let shown: Vec<&str> = told["quick_questions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["question"].as_str())
        .collect();
    // By conversations and not by questions, and in the entries' own words.
    assert_eq!(shown, ["支持货到付款吗", "怎么开电子发票"], "{told}");

    // What is shown can be pressed, in a conversation that begins with it.
    let pressed = post(&app, "/v1/answer", json!({"choice": "cod", "session": "new"})).await;
    assert_eq!(pressed.status, StatusCode::OK, "{}", pressed.text());
    assert_eq!(
        (&pressed.json()["reason"], &pressed.json()["answer"]["entry"]),
        (&json!("chosen"), &json!("cod"))
    );
    // A menu of the client's own may lead to any entry that is there, and to no other.
    let menu = post(&app, "/v1/answer", json!({"choice": "refund-time", "session": "other"})).await;
    assert_eq!(
        (&menu.json()["reason"], &menu.json()["answer"]["entry"]),
        (&json!("chosen"), &json!("refund-time"))
    );
    let refused = post(&app, "/v1/answer", json!({"choice": "nothing", "session": "other"})).await;
    let problem = refused.problem(422, "invalid-field");
    assert!(
        problem["detail"].as_str().is_some_and(|text| text.contains("unknown, switched off")),
        "{problem}"
    );
    assert_eq!(get(&app, "/v1/kbs/none/greeting").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_author_who_chose_the_questions_has_the_say() {
    let (_folder, app) = serving("[voice]\nquick_questions = { entries = [\"refund-time\", \"cod\"] }\n");
    say(&app, "a", "怎么开电子发票").await;
    let told = get(&app, "/v1/kbs/demo/greeting").await.json();
    assert_eq!(told["chosen_by"], "author");
    let shown: Vec<&Value> =
        told["quick_questions"].as_array().expect("a list").iter().map(|one| &one["entry"]).collect();
    assert_eq!(shown, [&json!("refund-time"), &json!("cod")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_customers_ask_next_is_shown_only_where_the_voice_says_so() {
    for (service, shown) in [("[voice]\nrelated = \"asked\"\n", true), ("", false)] {
        let (folder, app) = serving(service);
        for number in 0..12 {
            let session = format!("u-{number}");
            if number < 5 {
                say(&app, &session, "怎么开电子发票").await;
                say(&app, &session, "退款多久到账").await;
            } else {
                say(&app, &session, "支持货到付款吗").await;
            }
        }
        // Another process has not counted yet; somebody looks, so it does.
        let app = router(server_over(folder.path(), admission()));
        get(&app, "/v1/kbs/demo/greeting").await;
        let reply = say(&app, "late", "怎么开电子发票").await;
        let related: Vec<&Value> =
            reply["related"].as_array().into_iter().flatten().map(|one| &one["entry"]).collect();
        let expected: &[&Value] = if shown { &[&json!("refund-time")] } else { &[] };
        assert_eq!(related, expected, "{reply}");
        if shown {
            let next = say(&app, "late", "第一个").await;
            assert_eq!(
                (&next["reason"], &next["answer"]["entry"]),
                (&json!("chosen"), &json!("refund-time"))
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_night_a_question_is_left_behind_and_somebody_gets_it() {
    let receiver = Receiver::start();
    // Somebody is there for an hour, half a day from now.
    let now = time::OffsetDateTime::now_utc().to_offset(time::macros::offset!(+8));
    let hour = (now.hour() + 12) % 24;
    let there = format!("[\"{hour:02}:00-{hour:02}:59\"]");
    let (_folder, app) = serving(&format!("[hours]\nweekdays = {there}\nweekend = {there}\n"));
    let hook = json!({"url": receiver.url, "private": true, "events": ["ticket.created"]});
    assert_eq!(post(&app, "/v1/webhooks", hook).await.status, StatusCode::CREATED);
    say(&app, "night", "怎么开电子发票").await;
    let reply = say(&app, "night", "转人工").await;
    assert_eq!((&reply["decision"], &reply["owner"]), (&json!("handoff"), &json!("bot")), "{reply}");
    assert!(reply["message"].as_str().is_some_and(|text| text.contains("休息时间")), "{reply}");
    let form = &reply["handoff"]["ticket"];
    let fields: Vec<&str> = form["fields"]
        .as_array()
        .expect("a form")
        .iter()
        .filter_map(|field| field["name"].as_str())
        .collect();
    assert_eq!(fields, ["name", "contact", "text"], "{reply}");
    // The button does what the words do.
    let pressed = post(&app, "/v1/conversations/night/handoff", json!({})).await.json();
    assert_eq!((&pressed["owner"], &pressed["handoff"]), (&json!("bot"), &Value::Null), "{pressed}");
    assert_eq!((&pressed["message"], &pressed["ticket"]), (&reply["message"], form), "{pressed}");
    assert_eq!(pressed["opens_at"], reply["handoff"]["opens_at"]);
    assert!(pressed["opens_at"].is_string(), "{pressed}");
    let told = get(&app, "/v1/conversations/night").await.json();
    let last = told["turns"].as_array().and_then(|turns| turns.last()).expect("a line").clone();
    assert_eq!((&told["owner"], &last["text"]), (&json!("bot"), &reply["message"]), "{told}");
    assert_eq!(get(&app, "/v1/handoffs?state=waiting").await.json()["items"], json!([]), "nobody waits");

    let left = json!({"session": "night", "fields": {"contact": "13800001111", "text": "发票没有收到"}});
    let made = post(&app, "/v1/tickets", left).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let told = receiver.event("ticket.created").json();
    assert_eq!(told["data"]["fields"]["text"], "发票没有收到");
    // Whoever opens it in the morning sees what was said before.
    let ticket = get(&app, "/v1/tickets/1").await.json();
    assert_eq!(ticket["conversation"], "night");
    assert!(ticket["summary"].as_str().is_some_and(|text| text.contains("怎么开电子发票")), "{ticket}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_conversation_every_reply_is_that_of_the_engine_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = router(server_over(folder.path(), admission()));
    let release =
        crate::support::store(folder.path()).shelf("demo").expect("there").open_current(None).expect("opens");
    let engine = Engine::new(Arc::new(release), MAX_WRONG);
    // What differs from call to call.
    let bare = |mut reply: Value| {
        for field in ["trace_id", "took_us"] {
            assert!(reply.as_object_mut().expect("an object").remove(field).is_some());
        }
        reply.to_string()
    };
    for text in [
        "怎么开电子发票",
        "发票",
        "退款",
        "钱什么时候退回来？谢谢",
        "能不能收到货再给钱",
        "那要多久呢",
        "换货呢",
        "第二个",
        "2",
        "上一个",
        "都不是",
        "支持货到付款吗，发票怎么开",
        "火星上有没有水",
    ] {
        for channel in [None, Some("wechat")] {
            let outcome = engine.answer(text, Options::default()).expect("answered");
            let expected =
                serde_json::to_string(&Reply::new(&engine, &outcome, channel, None)).expect("JSON");
            // Read as the other one is: a number may lose its last digit.
            let expected = serde_json::from_str(&expected).expect("JSON");
            let body = json!({"text": text, "channel": channel});
            let told = post(&app, "/v1/answer", body).await;
            assert_eq!(told.status, StatusCode::OK, "{text}: {}", told.text());
            assert_eq!(bare(told.json()), bare(expected), "{text}");
        }
    }
}

#[test]
fn channels_are_kept_from_the_command_line() {
    let desk = Desk::new();
    let file = desk.file("kb.jsonl", SMALL_KB);
    desk.sound(&["kb", "import", "--kb", "demo", &file]);
    let platform = Receiver::scripted(|_| Answer::Status(204));
    let add = |name: &str, more: &[&str]| {
        let mut args =
            vec!["channel", "add", name, "--kb", "demo", "--kind", "generic", "--url", &platform.url];
        args.extend(more);
        desk.run(&args)
    };
    let made = add("site", &["--private"]);
    let told = String::from_utf8_lossy(&made.stdout).into_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "/channels/generic/site", "{told}");
    assert!(lines[1].starts_with("whsec_"), "its secret is told once: {told}");
    let listed = desk.sound(&["channel", "list"]);
    assert!(listed.starts_with("site\tgeneric\tdemo\t") && !listed.contains(lines[1]), "{listed}");
    let listed = desk.json(&["channel", "list", "--json"]);
    assert_eq!((&listed["name"], &listed["path"]), (&json!("site"), &json!("/channels/generic/site")));
    assert!(!listed.to_string().contains("whsec_"));
    desk.sound(&["channel", "test", "site"]);
    assert_eq!(platform.calls().len(), 1);

    // What cannot work is refused before anything is kept, and says what to do.
    for (out, word) in [
        (add("site", &[]), "site"),
        (add("a b", &[]), "channel name"),
        (
            desk.run(&[
                "channel",
                "add",
                "c",
                "--kb",
                "none",
                "--kind",
                "generic",
                "--url",
                "https://a.example/",
            ]),
            "none",
        ),
        (
            desk.run(&[
                "channel",
                "add",
                "c",
                "--kb",
                "demo",
                "--kind",
                "chatwoot",
                "--url",
                "https://a.example/",
            ]),
            "--token",
        ),
        (
            desk.run(&[
                "channel",
                "add",
                "c",
                "--kb",
                "demo",
                "--kind",
                "generic",
                "--url",
                "ftp://a.example/",
            ]),
            "https://",
        ),
        // A platform inside the house is not taken unless that is allowed.
        (add("inside", &[]), "is inside this house; allow it with `private`"),
        (desk.run(&["channel", "test", "none"]), "none"),
        (desk.run(&["channel", "remove", "none"]), "none"),
    ] {
        assert_eq!(out.status.code(), Some(1), "{word}: {}", stderr(&out));
        assert!(stderr(&out).contains(word), "{word}: {}", stderr(&out));
    }
    desk.sound(&["channel", "remove", "site"]);
    assert_eq!(desk.sound(&["channel", "list"]), "");
}

#[test]
fn a_tenant_that_nobody_called_tells_what_was_left() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let receiver = Receiver::start();
    let store = crate::support::store(folder.path());
    for name in ["acme", "idle"] {
        store.access().create_tenant(name, &Limits::default()).expect("a tenant");
    }
    let talk = store.tenant("acme").expect("a name").conversations();
    assert!(!talk.backlog().expect("read").is_work());
    let webhook = webhook(&receiver.url);
    talk.add_webhook(&webhook).expect("added");
    let job = Job {
        id: "msg_1".to_owned(),
        target: format!("webhook:{}", webhook.id),
        lane: "msg_1".to_owned(),
        kind: "handoff.created".to_owned(),
        body: json!({"type": "handoff.created", "data": {"id": "h"}}).to_string(),
    };
    talk.put_jobs(&[job], "demo", 1_000).expect("written");
    let backlog = talk.backlog().expect("read");
    assert_eq!((backlog.due, backlog.due_since, backlog.dead, backlog.is_work()), (1, Some(1_000), 0, true));
    let server = Running::start(folder.path());
    let calls = receiver.wait_for(|calls| !calls.is_empty());
    assert_eq!(calls[0].header("webhook-id"), "msg_1");
    server.kill();
}

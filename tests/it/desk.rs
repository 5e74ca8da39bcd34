//! Conversations and the people behind the robot: the whole story over HTTP, with
//! a scripted customer, a scripted agent and a scripted receiver of webhooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use zhida::desk::webhooks::new_secret;
use zhida::desk::{Desk, Patience, Settings, new_id};
use zhida::dialogue::Service;
use zhida::dialogue::conversation::{Owner, Role};
use zhida::engine::Engine;
use zhida::server::router;
use zhida::store::{Heard, NewHandoff, NewLine, Place, Webhook};

use crate::http::{Got, MAX_WRONG, admission, get, publish, send, server_over};
use crate::receiver::{Answer, Receiver, webhook};
use crate::support::SMALL_KB;

/// A data directory with a knowledge base, and a server over it.
pub fn house() -> (TempDir, Router) {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = router(server_over(folder.path(), admission()));
    (folder, app)
}

async fn call(app: &Router, method: Method, path: &str, body: Value) -> Got {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    send(app, request).await
}

/// A request without a body, as a desk sends it that has nothing to say.
async fn bare(app: &Router, path: &str) -> Got {
    send(app, Request::post(path).body(Body::empty()).expect("a request")).await
}

async fn say(app: &Router, session: &str, text: &str) -> Got {
    call(app, Method::POST, &format!("/v1/conversations/{session}/messages"), json!({"text": text})).await
}

/// The handoff that waits.
async fn waiting(app: &Router) -> Value {
    let list = get(app, "/v1/handoffs?state=waiting").await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    list["items"][0].clone()
}

/// Reads a stream until so many events have come.
async fn events(app: &Router, path: &str, last: Option<&str>, count: usize) -> Vec<(String, String, Value)> {
    let mut request = Request::builder().uri(path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response =
        app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("a response");
    assert_eq!(response.status(), StatusCode::OK);
    let (mut body, mut text) = (response.into_body(), String::new());
    let mut found = Vec::new();
    while found.len() < count {
        let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("in time");
        let Some(Ok(frame)) = frame else { panic!("the stream ended after {found:?}") };
        text.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
        while let Some((event, rest)) = text.split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())) {
            let field = |name: &str| {
                let prefix = format!("{name}:");
                event.lines().find_map(|line| line.strip_prefix(&prefix)).map(|value| value.trim().to_owned())
            };
            if let (Some(id), Some(kind), Some(data)) = (field("id"), field("event"), field("data")) {
                found.push((id, kind, serde_json::from_str(&data).expect("JSON")));
            }
            text = rest;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_story() {
    let (_folder, app) = house();
    let hook = Receiver::start();
    let made = call(
        &app,
        Method::POST,
        "/v1/webhooks",
        json!({"url": format!("{}/hook", hook.url), "private": true}),
    )
    .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let secret = made.json()["secret"].as_str().expect("a secret").to_owned();
    let listed = get(&app, "/v1/webhooks").await.json();
    assert_eq!(listed["items"][0]["secret"], Value::Null, "told once");

    // The robot answers as long as it can.
    let reply = say(&app, "u-42", "怎么开电子发票").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        (&reply.json()["decision"], &reply.json()["owner"], &reply.json()["session"]),
        (&json!("answer"), &json!("bot"), &json!("u-42"))
    );

    // Then the customer wants a person, and waits.
    let reply = call(
        &app,
        Method::POST,
        "/v1/answer",
        json!({"text": "转人工", "session": "u-42", "channel": "web", "fields": {"vip": true}}),
    )
    .await
    .json();
    assert_eq!((&reply["decision"], &reply["handoff"]["reason"]), (&json!("handoff"), &json!("requested")));
    assert_eq!((&reply["owner"], &reply["handoff"]["position"]), (&json!("queued"), &json!(1)));
    let handoff = waiting(&app).await;
    let id = handoff["id"].as_str().expect("an id").to_owned();
    assert_eq!(reply["handoff"]["id"], json!(id));
    assert_eq!((&handoff["conversation"], &handoff["reason"]), (&json!("u-42"), &json!("requested")));
    assert_eq!((&handoff["customer"], &handoff["channel"]), (&json!({"vip": true}), &json!("web")));
    assert_eq!(handoff["shown"][0]["entry"], "invoice");
    let summary = handoff["summary"].as_str().expect("a summary");
    assert!(summary.contains("“转人工”") && summary.contains("怎么开电子发票"), "{summary}");
    assert_eq!(handoff["transcript"].as_array().map(Vec::len), Some(5), "{handoff}");
    // Asking again makes no second one.
    let again = say(&app, "u-42", "转人工").await.json();
    assert_eq!(again["handoff"]["id"], json!(id));

    // The receiver was told, and can be sure of it.
    let told = hook.event("handoff.created");
    assert_eq!((told.method.as_str(), told.path.as_str()), ("POST", "/hook"));
    assert_eq!(told.json()["data"]["id"], json!(id));
    let mut headers = axum::http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers
            .insert(axum::http::HeaderName::from_static(name), told.header(name).parse().expect("a value"));
    }
    let verifier = standardwebhooks::Webhook::new(&secret).expect("a secret");
    assert!(verifier.verify(told.body.as_bytes(), &headers).is_ok());

    // Two desks want it.
    let path = |what: &str| format!("/v1/handoffs/{id}/{what}");
    let claimed = call(&app, Method::POST, &path("claim"), json!({"agent": "小王"})).await;
    assert_eq!((claimed.status, &claimed.json()["state"]), (StatusCode::OK, &json!("claimed")));
    let late = call(&app, Method::POST, &path("claim"), json!({"agent": "小李"})).await;
    assert_eq!((late.status, &late.json()["type"]), (StatusCode::CONFLICT, &json!("/problems/not-now")));
    let late = call(&app, Method::POST, &path("reply"), json!({"agent": "小李", "text": "我来"})).await;
    assert_eq!(late.status, StatusCode::CONFLICT);

    // The robot is silent now.
    let passed = say(&app, "u-42", "钱什么时候退回来").await;
    assert_eq!((passed.status, &passed.json()["owner"]), (StatusCode::ACCEPTED, &json!("agent")));
    let reply =
        call(&app, Method::POST, "/v1/answer", json!({"text": "在吗", "session": "u-42"})).await.json();
    assert_eq!((&reply["decision"], &reply["reason"]), (&json!("handoff"), &json!("with_person")));
    let passed = say(&app, "u-42", "钱什么时候退回来").await;
    assert_eq!(passed.status, StatusCode::ACCEPTED);

    // It helps whoever talks.
    let proposals = get(&app, &path("proposals")).await.json();
    assert_eq!(proposals["items"][0]["entry"], "refund-time", "{proposals}");
    let text = proposals["items"][0]["text"].as_str().expect("a text").to_owned();
    let sent = json!({"agent": "小王", "text": text, "client_id": "m-1"});
    for _ in 0..2 {
        let replied = call(&app, Method::POST, &path("reply"), sent.clone()).await;
        assert_eq!((replied.status, &replied.json()["state"]), (StatusCode::OK, &json!("answered")));
    }
    let verdicts = get(&app, "/v1/kbs/demo/verdicts").await.json();
    assert_eq!(verdicts["items"][0]["verdict"], "taken", "{verdicts}");
    let told = hook.event("message.sent");
    assert_eq!(told.json()["data"]["text"], json!(text));

    // The customer reads it, by asking and in the stream.
    let read = get(&app, "/v1/conversations/u-42/messages?after=0").await.json();
    let lines = read["items"].as_array().expect("lines");
    let replies: Vec<&Value> = lines.iter().filter(|line| line["role"] == "agent").collect();
    assert_eq!(replies.len(), 1, "a reply that is sent twice is said once: {read}");
    assert_eq!((&replies[0]["text"], &replies[0]["author"]), (&json!(text), &json!("小王")));
    let seqs: Vec<i64> = lines.iter().filter_map(|line| line["seq"].as_i64()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
    let streamed = events(&app, "/v1/conversations/u-42/events", None, lines.len()).await;
    let ids: Vec<i64> = streamed.iter().filter_map(|(id, ..)| id.parse().ok()).collect();
    assert_eq!(ids, seqs);
    let rest = events(&app, "/v1/conversations/u-42/events", Some(&ids[2].to_string()), ids.len() - 3).await;
    assert_eq!(rest, streamed[3..]);

    // The desk is done, and the robot goes on.
    let closed = call(&app, Method::POST, &path("close"), json!({"agent": "小王"})).await;
    assert_eq!((closed.status, &closed.json()["state"]), (StatusCode::OK, &json!("closed")));
    let shown = get(&app, "/v1/conversations/u-42").await.json();
    assert_eq!((&shown["owner"], &shown["handoff"]), (&json!("closed"), &Value::Null));
    let late = call(&app, Method::POST, &path("reply"), json!({"agent": "小王", "text": "还在吗"})).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    hook.event("handoff.closed");
    let reply = say(&app, "u-42", "怎么开电子发票").await.json();
    assert_eq!((&reply["decision"], &reply["owner"]), (&json!("answer"), &json!("bot")));

    // What happened at the desk, in order.
    let news = events(&app, "/v1/handoffs/events?after=0", None, 5).await;
    let kinds: Vec<&str> = news.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["waiting", "message", "claimed", "message", "message"]);
    let rest = events(&app, "/v1/handoffs/events", Some(&news[4].0), 3).await;
    let kinds: Vec<&str> = rest.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["message", "answered", "closed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_directory_are_one_desk() {
    let (folder, one) = house();
    let other = router(server_over(folder.path(), admission()));
    say(&one, "u", "怎么开电子发票").await;
    let reply = say(&other, "u", "转人工").await.json();
    let id = reply["handoff"]["id"].as_str().expect("an id").to_owned();
    let claimed =
        call(&one, Method::POST, &format!("/v1/handoffs/{id}/claim"), json!({"agent": "小王"})).await;
    assert_eq!(claimed.status, StatusCode::OK);
    let late =
        call(&other, Method::POST, &format!("/v1/handoffs/{id}/claim"), json!({"agent": "小李"})).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_eq!(say(&other, "u", "在吗").await.status, StatusCode::ACCEPTED);
    // Who follows in one process hears what is said in the other.
    let following = tokio::spawn({
        let other = other.clone();
        async move { events(&other, "/v1/conversations/u/events", Some("7"), 1).await }
    });
    let sent = json!({"agent": "小王", "text": "您好"});
    call(&one, Method::POST, &format!("/v1/handoffs/{id}/reply"), sent).await;
    let heard = following.await.expect("no panic");
    assert_eq!((&heard[0].0, &heard[0].2["text"]), (&"8".to_owned(), &json!("您好")));
    // A third one, started later, knows it all.
    let third = router(server_over(folder.path(), admission()));
    let lines = get(&third, "/v1/conversations/u").await.json();
    assert_eq!((&lines["owner"], lines["turns"].as_array().map(Vec::len)), (&json!("agent"), Some(8)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_back_the_robot_answers_again() {
    let (_folder, app) = house();
    say(&app, "u", "转人工").await;
    let id = waiting(&app).await["id"].as_str().expect("an id").to_owned();
    let path = |what: &str| format!("/v1/handoffs/{id}/{what}");
    // Who has not claimed cannot speak.
    let early = call(&app, Method::POST, &path("reply"), json!({"text": "您好"})).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert_eq!(bare(&app, &path("claim")).await.status, StatusCode::OK);
    // Two who do not say who they are are not the same.
    assert_eq!(bare(&app, &path("claim")).await.status, StatusCode::CONFLICT);
    assert_eq!(bare(&app, &path("renew")).await.status, StatusCode::OK);
    let back =
        call(&app, Method::POST, &path("return"), json!({"text": "机器人可以继续为您服务"})).await.json();
    assert_eq!(back["state"], "returned");
    let reply = say(&app, "u", "怎么开电子发票").await.json();
    assert_eq!((&reply["decision"], &reply["owner"]), (&json!("answer"), &json!("bot")));
    // And once more.
    let reply = say(&app, "u", "转人工").await.json();
    assert_ne!(reply["handoff"]["id"], json!(id));
    assert_eq!(reply["owner"], "queued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_no_longer_leaves_the_queue() {
    let (_folder, app) = house();
    let hook = Receiver::start();
    let wanted = json!({"url": hook.url, "private": true, "events": ["handoff.withdrawn"]});
    assert_eq!(call(&app, Method::POST, "/v1/webhooks", wanted).await.status, StatusCode::CREATED);
    // Who does not wait withdraws nothing.
    assert_ne!(say(&app, "u", "取消排队").await.json()["reason"], "withdrawn");
    say(&app, "u", "转人工").await;
    let id = waiting(&app).await["id"].as_str().expect("an id").to_owned();
    // What says anything else goes on to the people.
    let reply = say(&app, "u", "不等了怎么开电子发票").await.json();
    assert_eq!(reply["owner"], "queued", "{reply}");
    let gone = json!({"text": "算了，不用人工了谢谢", "client_id": "k-1"});
    let path = "/v1/conversations/u/messages";
    let reply = call(&app, Method::POST, path, gone.clone()).await.json();
    assert_eq!(
        (&reply["decision"], &reply["reason"], &reply["owner"], &reply["handoff"]),
        (&json!("answer"), &json!("withdrawn"), &json!("bot"), &Value::Null),
        "{reply}"
    );
    assert!(reply["answer"]["text"].as_str().is_some_and(|text| text.contains("已为您取消")), "{reply}");
    assert_eq!(call(&app, Method::POST, path, gone).await.json(), reply, "the same message is heard once");

    // The desk sees it go, and nobody can take it any more.
    let seen = events(&app, "/v1/handoffs/events?after=0", None, 3).await;
    let kinds: Vec<&str> = seen.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["waiting", "message", "withdrawn"]);
    assert_eq!((&seen[2].2["handoff"], &seen[2].2["text"]), (&json!(id), &json!("算了，不用人工了谢谢")));
    assert_eq!(get(&app, "/v1/handoffs/count").await.json()["waiting"], 0);
    assert_eq!(get(&app, &format!("/v1/handoffs/{id}")).await.json()["state"], "withdrawn");
    let listed = get(&app, "/v1/handoffs?state=withdrawn").await.json();
    assert_eq!(listed["items"][0]["id"], json!(id), "{listed}");
    assert_eq!(bare(&app, &format!("/v1/handoffs/{id}/claim")).await.status, StatusCode::CONFLICT);
    assert_eq!(hook.event("handoff.withdrawn").json()["data"]["id"], json!(id));
    let told = get(&app, "/v1/conversations/u").await.json();
    assert_eq!((&told["owner"], &told["handoff"]), (&json!("bot"), &Value::Null));
    assert_eq!(told["turns"].as_array().and_then(|turns| turns.last()).expect("a line")["role"], "event");
    let stats = get(&app, "/v1/kbs/demo/stats").await.json();
    assert_eq!(stats["all"]["counts"]["chat"], json!(1), "it asks nothing: {stats}");

    // The robot goes on, and a person can be asked for again; who has come hears all.
    let reply = say(&app, "u", "怎么开电子发票").await.json();
    assert_eq!((&reply["decision"], &reply["owner"]), (&json!("answer"), &json!("bot")));
    let reply = say(&app, "u", "转人工").await.json();
    let again = reply["handoff"]["id"].as_str().expect("an id").to_owned();
    assert_ne!(again, id);
    bare(&app, &format!("/v1/handoffs/{again}/claim")).await;
    assert_eq!(say(&app, "u", "不用人工了").await.status, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_in_another_knowledge_base_hides_nobody_who_waits() {
    let (folder, _) = house();
    publish(folder.path(), "other", SMALL_KB, None);
    let app = router(server_over(folder.path(), admission()));
    let ask = |text: &str, kb: &str| json!({"text": text, "session": "u", "kb": kb});
    call(&app, Method::POST, "/v1/answer", ask("转人工", "demo")).await;
    let reply = call(&app, Method::POST, "/v1/answer", ask("怎么开电子发票", "other")).await.json();
    assert_eq!((&reply["kb"], &reply["owner"]), (&json!("other"), &json!("bot")), "another conversation");
    // Without a knowledge base the one is meant that waits, although the other came later.
    let told = get(&app, "/v1/conversations/u").await.json();
    assert_eq!((&told["kb"], &told["owner"]), (&json!("demo"), &json!("queued")), "{told}");
    let told = get(&app, "/v1/conversations/u?kb=other").await.json();
    assert_eq!((&told["kb"], &told["owner"]), (&json!("other"), &json!("bot")));
    let reply = say(&app, "u", "不等了").await.json();
    assert_eq!((&reply["kb"], &reply["reason"]), (&json!("demo"), &json!("withdrawn")));
    // Nobody waits any more: the one that was spoken in last.
    call(&app, Method::POST, "/v1/answer", ask("怎么开电子发票", "other")).await;
    assert_eq!(get(&app, "/v1/conversations/u").await.json()["kb"], "other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_questions_that_are_all_answered_are_not_asked_about() {
    let (_folder, app) = house();
    let reply = say(&app, "u", "退款多久到账？怎么开电子发票？").await.json();
    assert_eq!(reply["reason"], "several_questions", "{reply}");
    assert_eq!((reply["answers"].as_array().map(Vec::len), &reply["message"]), (Some(2), &Value::Null));
    // A client that does not read the answers still has the questions; the customer reads none.
    assert_eq!(reply["suggestions"].as_array().map(Vec::len), Some(2));
    let told = get(&app, "/v1/conversations/u").await.json();
    let line = told["turns"].as_array().and_then(|turns| turns.last()).expect("a line").clone();
    assert_eq!(line["suggestions"].as_array().map_or(0, Vec::len), 0, "{line}");
    assert!(line["text"].as_str().is_some_and(|text| text.ends_with("“我的发票”里申请。")), "{line}");
    // What leads nowhere does not vanish without a word.
    let reply = say(&app, "v", "退款多久到账？火星上有没有水？怎么开电子发票？").await.json();
    assert_eq!(
        (&reply["reason"], reply["answers"].as_array().map(Vec::len)),
        (&json!("several_questions"), Some(2)),
        "{reply}"
    );
    assert!(reply["message"].as_str().is_some_and(|told| told.contains("答不上来")), "{reply}");
    // "好的" says yes to the answers, and asks for nothing again.
    let reply = say(&app, "u", "好的").await.json();
    assert_eq!(reply["reason"], "small_talk", "{reply}");
    let reply = say(&app, "u", "第一个").await.json();
    assert_eq!((&reply["reason"], &reply["answer"]["entry"]), (&json!("chosen"), &json!("refund-time")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_nobody_has_seen_is_not_chosen_from() {
    let (_folder, app) = house();
    // Asked back again and again, until people are called instead of showing the list.
    let mut replies = Vec::new();
    for text in ["钱地址", "收货地方钱", "货到到账", "退回来地方"] {
        let reply = say(&app, "u", text).await.json();
        let is_over = reply["owner"] == "queued";
        replies.push(reply);
        if is_over {
            break;
        }
    }
    let last = replies.last().expect("a reply");
    assert_eq!(
        (&last["reason"], &last["owner"]),
        (&json!("repeated_miss"), &json!("queued")),
        "{replies:#?}"
    );
    assert!(replies.iter().any(|reply| reply["decision"] == "clarify"), "{replies:#?}");
    let turns = get(&app, "/v1/conversations/u").await.json();
    let shown = turns["turns"].as_array().and_then(|turns| turns.last()).expect("a line").clone();
    assert!(shown["suggestions"].as_array().is_none_or(Vec::is_empty), "{shown}");
    let reply = say(&app, "u", "1").await.json();
    assert!(!["chosen", "unclear_choice"].contains(&reply["reason"].as_str().expect("a reason")), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_danger_is_told_whom_to_call() {
    let (_folder, app) = house();
    let reply = say(&app, "u", "有人昏迷了！").await.json();
    assert_eq!(
        (&reply["decision"], &reply["reason"], &reply["owner"], &reply["handoff"]["rule"]),
        (&json!("handoff"), &json!("sensitive"), &json!("queued"), &json!("emergency")),
        "{reply}"
    );
    let calls = |reply: &Value| reply["message"].as_str().is_some_and(|text| text.contains("120"));
    assert!(calls(&reply), "{reply}");
    // Also those who wait already, and those who are in no conversation.
    assert!(calls(&say(&app, "u", "家里煤气泄漏了怎么办").await.json()));
    for text in ["着火了", "我老公突然晕倒了怎么办", "煤气泄漏怎么办", "我想自杀"] {
        let reply = call(&app, Method::POST, "/v1/answer", json!({"text": text})).await.json();
        assert!(reply["reason"] == "sensitive" && calls(&reply), "{text}: {reply}");
    }
    for text in [
        "灭火器怎么买",
        "着火点是多少",
        "怎么预防煤气泄漏",
        "煤气泄漏报警器多少钱",
        "着火了能赔吗",
        "孩子溺水保险怎么理赔",
        "你们的店火了",
        "我的账号没意思",
    ] {
        let reply = call(&app, Method::POST, "/v1/answer", json!({"text": text})).await.json();
        assert!(reply["reason"] != "sensitive", "{text}: {reply}");
    }
    // What the authors have written about it is given.
    let entry = json!({"id": "gas", "question": "煤气泄漏怎么办", "answer": "请拨打我们的抢修电话。"});
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", &format!("{SMALL_KB}{entry}\n"), None);
    let app = router(server_over(folder.path(), admission()));
    let reply = say(&app, "u", "煤气泄漏怎么办").await.json();
    assert_eq!(reply["answer"]["entry"], "gas", "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_twice_is_heard_once() {
    let (_folder, app) = house();
    let body = json!({"text": "怎么开电子发票", "session": "u", "client_id": "k-1"});
    let first = call(&app, Method::POST, "/v1/answer", body.clone()).await.json();
    let second = call(&app, Method::POST, "/v1/answer", body).await.json();
    assert_eq!(first, second, "the very same reply");
    let lines = get(&app, "/v1/conversations/u/messages").await.json();
    assert_eq!(lines["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_lose_nothing_and_are_one_after_the_other() {
    let (_folder, app) = house();
    let sent = (0..40).map(|number| {
        let app = app.clone();
        tokio::spawn(async move {
            say(&app, "u", &format!("怎么开电子发票{}", "！".repeat(number % 3))).await.status
        })
    });
    for status in futures_util::future::join_all(sent).await {
        assert_eq!(status.expect("no panic"), StatusCode::OK);
    }
    let lines = get(&app, "/v1/conversations/u/messages?limit=500").await.json();
    let roles: Vec<&str> =
        lines["items"].as_array().expect("lines").iter().filter_map(|line| line["role"].as_str()).collect();
    // Whoever asks the same so often is also told that a person will come.
    assert_eq!(roles.iter().filter(|role| **role == "customer").count(), 40);
    let answered = roles.windows(2).filter(|pair| *pair == ["customer", "bot"]).count();
    assert_eq!(answered, 40, "{roles:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_claim_exactly_one_wins() {
    let (_folder, app) = house();
    say(&app, "u", "转人工").await;
    let id = waiting(&app).await["id"].as_str().expect("an id").to_owned();
    let tries = (0..16).map(|number| {
        let (app, id) = (app.clone(), id.clone());
        tokio::spawn(async move {
            let body = json!({"agent": format!("客服{number}")});
            call(&app, Method::POST, &format!("/v1/handoffs/{id}/claim"), body).await.status
        })
    });
    let all: Vec<StatusCode> = futures_util::future::join_all(tries)
        .await
        .into_iter()
        .map(|status| status.expect("no panic"))
        .collect();
    assert_eq!(all.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|status| **status == StatusCode::CONFLICT).count(), 15, "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_left_behind_as_a_ticket() {
    let (_folder, app) = house();
    say(&app, "u", "怎么开电子发票").await;
    let wrong =
        call(&app, Method::POST, "/v1/tickets", json!({"session": "u", "fields": {"contact": "1"}})).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.json()["problems"].as_array().map(Vec::len), Some(2), "{}", wrong.text());
    let body = json!({"session": "u", "client_id": "t", "fields": {"name": "张三", "contact": "13800001111", "text": "=1+1 发票没有收到"}});
    let made = call(&app, Method::POST, "/v1/tickets", body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(call(&app, Method::POST, "/v1/tickets", body).await.json()["number"], 1, "made once");
    let changed = call(
        &app,
        Method::PATCH,
        "/v1/tickets/1",
        json!({"state": "pending", "assignee": "小王", "note": "已联系", "version": 0}),
    )
    .await
    .json();
    assert_eq!(
        (&changed["state"], &changed["assignee"], &changed["notes"][0]["text"]),
        (&json!("pending"), &json!("小王"), &json!("已联系"))
    );
    let stale = call(&app, Method::PATCH, "/v1/tickets/1", json!({"state": "solved", "version": 0})).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let listed = get(&app, "/v1/tickets?state=pending&assignee=%E5%B0%8F%E7%8E%8B").await.json();
    assert_eq!(listed["items"][0]["fields"]["contact"], "13800001111");
    let csv = get(&app, "/v1/tickets/export?format=csv").await.text();
    assert!(csv.contains("工单号") && csv.contains("'=1+1 发票没有收到"), "{csv}");
    let xlsx = get(&app, "/v1/tickets/export?format=xlsx").await;
    assert!(xlsx.body.starts_with(b"PK"), "{}", xlsx.text());
    assert_eq!(get(&app, "/v1/tickets/2").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_told() {
    let (_folder, app) = house();
    for (path, body, field) in [
        ("/v1/answer", json!({"text": "x", "session": "a\u{7}"}), "session"),
        ("/v1/answer", json!({"text": "x", "session": "x".repeat(129)}), "session"),
        ("/v1/answer", json!({"choice": "invoice"}), "session"),
        ("/v1/answer", json!({"text": "x", "session": "u", "fields": {"a": "x".repeat(5000)}}), "fields"),
        ("/v1/conversations/u/messages", json!({"text": "x", "session": "v"}), "session"),
        ("/v1/conversations/u/messages", json!({"text": "x", "client_id": ""}), "client_id"),
        ("/v1/webhooks", json!({"url": "ftp://a/"}), "url"),
        ("/v1/webhooks", json!({"url": "https://a.example/", "events": ["all"]}), "events"),
    ] {
        let got = call(&app, Method::POST, path, body.clone()).await;
        assert_eq!(
            (got.status, &got.json()["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{path} {body}: {}",
            got.text()
        );
    }
    for path in [
        "/v1/conversations/none",
        "/v1/conversations/none/events",
        "/v1/handoffs/none",
        "/v1/handoffs/none/proposals",
    ] {
        assert_eq!(get(&app, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(get(&app, "/v1/handoffs?state=lost").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// A desk whose clock is moved by hand, with one webhook.
struct Bench {
    _folder: TempDir,
    desk: Desk,
    clock: Arc<AtomicI64>,
}

const START: i64 = 1_800_000_000_000;

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(AtomicI64::new(START));
        let time = Arc::clone(&clock);
        let calls = Patience { connect: Duration::from_secs(2), whole: Duration::from_millis(300) };
        let settings = Settings { calls, ..Settings::default() };
        let desk = Desk::with_clock(
            &crate::support::store(folder.path()),
            settings,
            |_| None::<(Arc<Engine>, Arc<Service>)>,
            |_, _, _| (),
            move || time.load(Ordering::SeqCst),
        );
        Self { _folder: folder, desk, clock }
    }

    fn after(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn hook(&self, url: &str, private: bool) -> Webhook {
        let webhook = Webhook { private, created_at: START, ..webhook(url) };
        self.desk.talk().add_webhook(&webhook).expect("added");
        webhook
    }

    /// Opens a handoff in a conversation of its own.
    fn handoff(&self, session: &str) -> String {
        let id = new_id();
        let place = Place::New { kb: "demo", id: session, via: None, address: None };
        let heard = Heard {
            lines: vec![NewLine::of(Role::Customer, "转人工")],
            handoff: Some(NewHandoff {
                id: id.clone(),
                reason: "requested".to_owned(),
                rule: None,
                question: "转人工".to_owned(),
                normalized: "转人工".to_owned(),
                candidates: Vec::new(),
                shown: Vec::new(),
                summary: "客户主动要求人工服务。".to_owned(),
                release: "1".to_owned(),
            }),
            ..Heard::of(place, self.desk.now(), Owner::Queued)
        };
        assert!(self.desk.talk().record(&heard).expect("recorded").is_some());
        id
    }
}

#[test]
fn a_receiver_that_fails_is_told_again_under_the_same_id() {
    let bench = Bench::new();
    let receiver = Receiver::start();
    receiver.next([
        Answer::Status(500),
        Answer::Hang,
        Answer::Redirect(format!("{}/elsewhere", receiver.url)),
    ]);
    bench.hook(&format!("{}/hook", receiver.url), true);
    bench.handoff("u");
    for _ in 0..4 {
        assert_eq!(bench.desk.deliver_due(), 1);
        assert_eq!(bench.desk.deliver_due(), 0, "it rests");
        bench.after(3_600);
    }
    assert_eq!(bench.desk.deliver_due(), 0, "it was taken");
    let calls = receiver.calls();
    assert_eq!(calls.len(), 4, "no redirect was followed");
    assert!(
        calls
            .iter()
            .all(|call| call.path == "/hook" && call.header("webhook-id") == calls[0].header("webhook-id"))
    );
    let stamps: Vec<&str> = calls.iter().map(|call| call.header("webhook-timestamp")).collect();
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{stamps:?}");
}

#[test]
fn what_nobody_takes_becomes_a_dead_letter_and_can_be_replayed() {
    let bench = Bench::new();
    let receiver = Receiver::scripted(|_| Answer::Status(503));
    bench.hook(&receiver.url, true);
    bench.handoff("u");
    for _ in 0..13 {
        assert_eq!(bench.desk.deliver_due(), 1);
        bench.after(100_000);
    }
    assert_eq!(bench.desk.deliver_due(), 0, "nobody tries it any more");
    let dead = bench.desk.talk().dead_jobs(None, 10).expect("read");
    assert_eq!((dead.len(), dead[0].attempts), (1, 13));
    assert!(dead[0].error.as_deref().is_some_and(|error| error.contains("503")), "{dead:?}");
    receiver.next([Answer::Status(204)]);
    bench.desk.talk().replay(dead[0].seq, bench.desk.now()).expect("replayed");
    assert_eq!(bench.desk.deliver_due(), 1);
    assert!(bench.desk.talk().dead_jobs(None, 10).expect("read").is_empty());
    let calls = receiver.calls();
    assert!(calls.iter().all(|call| call.header("webhook-id") == calls[0].header("webhook-id")));
}

#[test]
fn addresses_inside_the_house_are_not_called() {
    let bench = Bench::new();
    let receiver = Receiver::start();
    let port = receiver.url.rsplit(':').next().expect("a port").to_owned();
    for url in [
        receiver.url.clone(),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/".to_owned(),
    ] {
        bench.hook(&url, false);
    }
    bench.hook("http://169.254.169.254/latest/", true);
    bench.handoff("u");
    assert_eq!(bench.desk.deliver_due(), 5);
    let dead = bench.desk.talk().dead_jobs(None, 10).expect("read");
    assert_eq!(dead.len(), 5);
    assert!(
        dead.iter().all(|job| job.error.as_deref().is_some_and(|error| error.contains("not called"))),
        "{dead:#?}"
    );
    assert!(receiver.calls().is_empty());
}

#[test]
fn one_that_hangs_holds_up_nobody_else() {
    let bench = Bench::new();
    let (slow, quick) = (Receiver::scripted(|_| Answer::Hang), Receiver::start());
    bench.hook(&slow.url, true);
    bench.hook(&quick.url, true);
    for number in 0..10 {
        bench.handoff(&format!("u-{number}"));
    }
    bench.desk.wake();
    // All ten, while the other one has not even given up on the second.
    quick.wait_for(|calls| calls.len() == 10);
    assert!(slow.calls().len() < 10, "{}", slow.calls().len());
}

#[test]
fn while_a_secret_rotates_both_sign() {
    let bench = Bench::new();
    let receiver = Receiver::start();
    let old = bench.hook(&receiver.url, true);
    let new = bench
        .desk
        .talk()
        .rotate_webhook(&old.id, &new_secret().expect("random"), bench.desk.now() + 1_000_000)
        .expect("rotated");
    bench.handoff("u-1");
    bench.desk.deliver_due();
    bench.after(2_000);
    bench.handoff("u-2");
    bench.desk.deliver_due();
    let calls = receiver.calls();
    let signed = |call: &crate::receiver::Call, secret: &str| {
        let at = call.header("webhook-timestamp").parse().expect("a number");
        let signer = standardwebhooks::Webhook::new(secret).expect("a secret");
        let own = signer.sign(call.header("webhook-id"), at, call.body.as_bytes()).expect("signed");
        call.header("webhook-signature").split(' ').any(|one| one == own)
    };
    assert!(signed(&calls[0], &old.secret) && signed(&calls[0], &new.secret));
    assert!(!signed(&calls[1], &old.secret) && signed(&calls[1], &new.secret));
}

#[test]
fn what_a_customer_says_to_people_is_told() {
    let bench = Bench::new();
    let receiver = Receiver::start();
    bench.hook(&receiver.url, true);
    bench.handoff("u");
    let known = bench.desk.talk().find("demo", "u").expect("read").expect("there");
    let heard = Heard {
        lines: vec![NewLine::of(Role::Customer, "还在吗"), NewLine::of(Role::Bot, "请稍候")],
        channel: Some("web"),
        ..Heard::of(Place::Known(&known), bench.desk.now(), Owner::Queued)
    };
    let now = bench.desk.talk().record(&heard).expect("recorded").expect("nobody was faster");
    bench.desk.deliver_due();
    let told: Vec<Value> =
        receiver.calls().iter().map(|call| serde_json::from_str(&call.body).expect("JSON")).collect();
    let said = told.iter().find(|one| one["type"] == "message.received").expect("told");
    let wanted = json!({
        "conversation": "u", "kb": "demo", "handoff": known.handoff, "channel": "web",
        "seq": now.last_seq - 1, "text": "还在吗",
    });
    assert_eq!(said["data"], wanted);
}

#[test]
fn several_processes_deliver_each_row_once() {
    let bench = Bench::new();
    let receiver = Receiver::start();
    bench.hook(&receiver.url, true);
    for number in 0..40 {
        bench.handoff(&format!("u-{number}"));
    }
    let others: Vec<Desk> = (0..3)
        .map(|_| {
            let time = Arc::clone(&bench.clock);
            Desk::with_clock(
                &crate::support::store(bench._folder.path()),
                Settings::default(),
                |_| None::<(Arc<Engine>, Arc<Service>)>,
                |_, _, _| (),
                move || time.load(Ordering::SeqCst),
            )
        })
        .collect();
    let attempts: usize = std::thread::scope(|scope| {
        let all: Vec<_> = others.iter().map(|desk| scope.spawn(|| desk.deliver_due())).collect();
        all.into_iter().map(|one| one.join().expect("no panic")).sum()
    });
    assert_eq!((attempts, receiver.calls().len()), (40, 40));
    let ids: std::collections::BTreeSet<String> =
        receiver.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 40);
}

#[test]
fn a_claim_that_is_left_alone_and_a_handoff_that_nobody_takes_end() {
    use zhida::dialogue::handoff::{State, Step};
    use zhida::store::Act;
    let bench = Bench::new();
    let id = bench.handoff("u");
    let act = |step, agent| bench.desk.talk().act(&id, &Act::of(step, agent, bench.desk.now()));
    let state = || bench.desk.talk().handoff(&id).expect("read").expect("there").state;
    act(Step::Claim, "小王").expect("claimed");
    bench.after(9 * 60);
    act(Step::Renew, "小王").expect("renewed");
    bench.after(9 * 60);
    assert_eq!((bench.desk.tend_claims().expect("tended"), state()), (0, State::Claimed));
    bench.after(60);
    assert_eq!((bench.desk.tend_claims().expect("tended"), state()), (1, State::Waiting));
    // The customer has waited since they asked, not since the claim has lapsed.
    let handoff = bench.desk.talk().handoff(&id).expect("read").expect("there");
    let told = zhida::dialogue::told::ToldHandoff::of(&handoff, &[], bench.desk.now());
    assert_eq!(told.waiting_s, 19 * 60);
    // Whoever had it goes on, as long as nobody else has come.
    let text = Act { text: Some("久等了"), ..Act::of(Step::Reply, "小王", bench.desk.now()) };
    assert_eq!(bench.desk.talk().act(&id, &text).expect("said").state, State::Answered);
    bench.after(3_600);
    bench.desk.tend_claims().expect("tended");
    act(Step::Claim, "小李").expect("claimed by another one");
    let late = Act { text: Some("我还在"), ..Act::of(Step::Reply, "小王", bench.desk.now()) };
    assert!(bench.desk.talk().act(&id, &late).is_err());
    // A clock that goes back by a day gives nobody's conversation away for a day.
    bench.clock.fetch_sub(86_400_000, Ordering::SeqCst);
    bench.desk.tend_claims().expect("tended");
    assert_eq!(state(), State::Waiting);
    // And nobody waits for ever.
    bench.after(3_600);
    bench.desk.tend_claims().expect("tended");
    assert_eq!(state(), State::Expired);
    let conversation = bench.desk.talk().find("demo", "u").expect("read").expect("there");
    assert_eq!((conversation.owner, conversation.handoff), (Owner::Bot, None));
}

#[test]
fn room_is_made_from_the_oldest_and_nobody_who_waits_goes() {
    let bench = Bench::new();
    bench.handoff("waits");
    for number in 0..20 {
        bench.after(1);
        let id = format!("u-{number}");
        let place = Place::New { kb: "demo", id: &id, via: None, address: None };
        let lines = vec![NewLine::of(Role::Customer, "你好")];
        let heard = Heard { lines, ..Heard::of(place, bench.desk.now(), Owner::Bot) };
        bench.desk.talk().record(&heard).expect("recorded");
    }
    assert_eq!(bench.desk.talk().sweep(i64::MIN, 11).expect("swept"), 10);
    let known = |id: &str| bench.desk.talk().find("demo", id).expect("read").is_some();
    assert!(known("waits") && !known("u-0") && !known("u-9") && known("u-10") && known("u-19"));
    bench.after(10);
    assert_eq!(bench.desk.talk().sweep(bench.desk.now(), 1_000).expect("swept"), 10);
    assert!(known("waits"));
}

#[test]
fn explain_says_how_a_message_was_read_and_what_became_of_the_rules() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let release =
        crate::support::store(folder.path()).shelf("demo").expect("there").open_current(None).expect("opens");
    let engine = Engine::new(Arc::new(release), MAX_WRONG);
    let desk = Desk::new(&crate::support::store(folder.path()), Settings::default(), |_| None, |_, _, _| ());
    let service = Service::default();
    let said = desk
        .hear(&zhida::desk::reception::Incoming {
            engine: &engine,
            service: &service,
            session: "u",
            text: "怎么开电子发票",
            choice: None,
            channel: None,
            customer: None,
            options: zhida::engine::Options::default(),
            may_ask: true,
            explain: true,
            client_id: None,
            via: None,
        })
        .expect("heard");
    let zhida::desk::reception::Said::Replied(turned) = said else { panic!("{said:?}") };
    let reply = turned.reply;
    assert_eq!(reply.answer.map(|answer| answer.entry).as_deref(), Some("invoice"));
    assert!(reply.explain.is_some_and(|trace| trace.reading.is_some() && trace.rules.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_is_told_of_a_person_who_is_called_at_once() {
    let (_folder, app) = house();
    say(&app, "u", "转人工").await;
    let told = events(&app, "/v1/conversations/u/events", None, 3).await;
    let kinds: Vec<&str> = told.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["message", "message", "owner"]);
    assert_eq!(told[2].2["text"], "queued");
    // Nothing of the kind where the robot goes on.
    say(&app, "v", "怎么开电子发票").await;
    let told = get(&app, "/v1/conversations/v/messages").await.json();
    assert!(told["items"].as_array().expect("lines").iter().all(|line| line["role"] != "event"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_is_talked_to_as_one_who_waits() {
    let (folder, _) = house();
    let phrase = "[[voice.phrases]]\nsays = [\"吃了吗\"]\nreply = \"我不用吃饭。\"\n";
    let shelf = crate::support::store(folder.path()).shelf("demo").expect("there");
    shelf.put_service(&zhida::store::Expected::Anything, phrase, true).expect("a sound document");
    let app = router(server_over(folder.path(), admission()));
    say(&app, "u", "怎么开电子发票").await;
    let called = say(&app, "u", "转人工").await.json();
    let words = called["message"].as_str().expect("words").to_owned();
    for text in ["谢谢", "还在吗", "好的", "再见"] {
        let reply = say(&app, "u", text).await.json();
        assert_eq!(
            (&reply["owner"], &reply["reason"], &reply["answer"]["text"]),
            (&json!("queued"), &json!("small_talk"), &json!(words)),
            "{text}: {reply}"
        );
        let handoff = &reply["handoff"];
        assert_eq!((&handoff["reason"], &handoff["position"]), (&json!("requested"), &json!(1)), "{reply}");
        assert_eq!(handoff["id"], called["handoff"]["id"]);
    }
    // What the author replies to small talk of their own stays, and the queue is named.
    let reply = say(&app, "u", "吃了吗").await.json();
    assert_eq!(reply["answer"]["text"], json!(format!("我不用吃饭。\n{words}")), "{reply}");
    // Questions are answered as ever; one that is not tells why a person was called, too.
    let reply = say(&app, "u", "支持货到付款吗").await.json();
    assert_eq!(
        (&reply["answer"]["entry"], &reply["handoff"]["reason"]),
        (&json!("cod"), &json!("requested"))
    );
    let reply = say(&app, "u", "火星上有没有水").await.json();
    assert_eq!((&reply["decision"], &reply["handoff"]["reason"]), (&json!("handoff"), &json!("requested")));
    // Nothing was over, and whoever waits no longer is talked to as before.
    assert_eq!(waiting(&app).await["id"], called["handoff"]["id"]);
    say(&app, "u", "不用人工了").await;
    let reply = say(&app, "u", "谢谢").await.json();
    assert_eq!((&reply["reason"], &reply["owner"]), (&json!("closed"), &json!("bot")), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_page_has_no_next_one() {
    let (_folder, app) = house();
    for number in 0..4 {
        let session = format!("u-{number}");
        say(&app, &session, "转人工").await;
        let left = json!({"session": session, "fields": {"contact": "13800001111", "text": "请回电"}});
        assert_eq!(call(&app, Method::POST, "/v1/tickets", left).await.status, StatusCode::CREATED);
    }
    let open = get(&app, "/v1/handoffs").await.json();
    for one in &open["items"].as_array().expect("items")[2..] {
        let id = one["id"].as_str().expect("an id");
        assert_eq!(bare(&app, &format!("/v1/handoffs/{id}/close")).await.status, StatusCode::OK);
    }
    for (path, behind, count) in
        [("/v1/handoffs", "after", 2_usize), ("/v1/handoffs/past", "before", 2), ("/v1/tickets", "before", 4)]
    {
        for limit in [1, 2, 4] {
            let (mut seen, mut pages, mut more) = (0_usize, 0_usize, String::new());
            loop {
                let page = get(&app, &format!("{path}?limit={limit}{more}")).await.json();
                seen += page["items"].as_array().expect("items").len();
                pages += 1;
                if page["next"].is_null() {
                    break;
                }
                more = format!("&{behind}={}", page["next"]);
            }
            assert_eq!((seen, pages), (count, count.div_ceil(limit)), "{path} by {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_ticket_is_opened_before_anybody_works_on_it() {
    let (_folder, app) = house();
    let left = json!({"fields": {"contact": "13800001111", "text": "请回电"}});
    call(&app, Method::POST, "/v1/tickets", left).await;
    let change = async |body: Value| call(&app, Method::PATCH, "/v1/tickets/1", body).await;
    let closed = change(json!({"state": "closed", "note": "已回电"})).await;
    assert_eq!((closed.status, &closed.json()["state"]), (StatusCode::OK, &json!("closed")));
    for body in [
        json!({"note": "又来电"}),
        json!({"assignee": "小王"}),
        json!({"state": "closed", "note": "又来电"}),
        json!({"state": "solved"}),
    ] {
        let refused = change(body.clone()).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{body}: {}", refused.text());
    }
    // Closed twice it is closed.
    assert_eq!(change(json!({"state": "closed"})).await.status, StatusCode::OK);
    let open = change(json!({"state": "open", "assignee": "小王", "note": "又来电"})).await.json();
    assert_eq!((&open["state"], &open["assignee"]), (&json!("open"), &json!("小王")));
    assert_eq!(open["notes"].as_array().map(Vec::len), Some(2), "{open}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_sent_twice_under_one_key_is_said_once() {
    let (_folder, app) = house();
    say(&app, "u", "转人工").await;
    let id = waiting(&app).await["id"].as_str().expect("an id").to_owned();
    bare(&app, &format!("/v1/handoffs/{id}/claim")).await;
    let reply = async |key: &str, text: &str| {
        let request = Request::post(format!("/v1/handoffs/{id}/reply"))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let body = Body::from(json!({"text": text}).to_string());
        send(&app, request.body(body).expect("a request")).await
    };
    for key in ["\"k-1\"", "k-1", "k-2"] {
        let got = reply(key, "您好").await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    }
    let told = get(&app, "/v1/conversations/u/messages").await.json();
    let said = told["items"].as_array().expect("lines").iter().filter(|line| line["role"] == "agent").count();
    assert_eq!(said, 2, "{told}");
    let wrong = reply("", "您好").await.problem(422, "invalid-field");
    assert_eq!(wrong["field"], "idempotency-key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_tells_what_the_receiver_replied() {
    let (_folder, app) = house();
    let receiver = Receiver::start();
    let wanted = json!({"url": receiver.url, "private": true, "events": ["webhook.test"]});
    let made = call(&app, Method::POST, "/v1/webhooks", wanted).await.json();
    let path = format!("/v1/webhooks/{}/test", made["id"].as_str().expect("an id"));
    let elsewhere = format!("{}/elsewhere", receiver.url);
    receiver.next([
        Answer::Status(500),
        Answer::Redirect(elsewhere),
        Answer::Status(410),
        Answer::Status(204),
    ]);
    for delivered in [false, false, false, true] {
        let told = bare(&app, &path).await.json();
        assert_eq!((&told["delivered"], told["error"].is_null()), (&json!(delivered), delivered), "{told}");
        let status = told["status"].as_u64().expect("a status");
        assert_eq!(delivered, status == 204, "{told}");
        assert!(delivered || told["error"].as_str().is_some_and(|why| why.contains(&status.to_string())));
    }
    // Whoever says nothing has no status, and the time is told.
    let bench = Bench::new();
    let silent = Receiver::scripted(|_| Answer::Hang);
    let tried = bench.desk.test_webhook(&bench.hook(&silent.url, true));
    assert_eq!((tried.status, tried.fault.as_deref()), (None, Some("no reply within 300ms")));
}

//! Desks elsewhere: a stand-in for Chatwoot that checks every call strictly, and
//! a platform that speaks the generic contract.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use zhida::desk::webhooks::new_secret;
use zhida::server::router;
use zhida::store::{Channel, Expected};

use crate::desk::house;
use crate::http::{Got, admission, publish, send, server_over};
use crate::receiver::{Answer, Call, Receiver};
use crate::support::SMALL_KB;

const SECRET: &str = "bot-secret";
const TOKEN: &str = "bot-token";
const PLACE: &str = "/api/v1/accounts/3/conversations/12";

/// A Chatwoot with one conversation. Whatever it does not know is an error.
struct Chatwoot {
    receiver: Receiver,
    status: Arc<Mutex<String>>,
    _folder: TempDir,
    app: Router,
    events: std::cell::Cell<u32>,
}

fn strict(call: &Call, status: &Mutex<String>) -> Answer {
    let wrong = |why: &str| Answer::Json(422, json!({"error": why}));
    if call.header("api_access_token") != TOKEN {
        return Answer::Json(401, json!({"error": "Invalid Access Token"}));
    }
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    };
    let mut state = status.lock().expect("no panic");
    match (call.method.as_str(), call.path.strip_prefix(PLACE)) {
        ("GET", Some("")) => Answer::Json(200, json!({"id": 12, "status": *state})),
        ("GET", Some("/labels")) => Answer::Json(200, json!({"payload": ["vip"]})),
        ("POST", Some("/labels")) if call.json() == json!({"labels": ["vip", "转人工"]}) => {
            Answer::Json(200, json!({"payload": ["vip", "转人工"]}))
        }
        ("POST", Some("/messages")) => {
            let body = call.json();
            let known = ["content", "message_type", "private", "content_type", "content_attributes"];
            if call.header("content-type") != "application/json" || keys(&body) != known {
                return wrong("fields");
            }
            if body["message_type"] != "outgoing"
                || !body["private"].is_boolean()
                || !body["content"].is_string()
            {
                return wrong("values");
            }
            let items = body["content_attributes"]["items"].as_array();
            let sound = match body["content_type"].as_str() {
                Some("text") => items.is_none(),
                Some("input_select") => items.is_some_and(|items| {
                    !items.is_empty() && items.iter().all(|item| keys(item) == ["title", "value"])
                }),
                Some("cards") => items.is_some_and(|items| {
                    let card = ["title", "description", "media_url", "actions"];
                    let opens = |item: &Value| keys(&item["actions"][0]) == ["type", "text", "uri"];
                    !items.is_empty() && items.iter().all(|item| keys(item) == card && opens(item))
                }),
                _ => false,
            };
            if sound { Answer::Json(200, json!({"id": 100})) } else { wrong("content_type") }
        }
        ("POST", Some("/toggle_status")) if call.json() == json!({"status": "open"}) => {
            "open".clone_into(&mut state);
            Answer::Json(200, json!({"payload": {"success": true}}))
        }
        _ => Answer::Json(404, json!({"error": "not found"})),
    }
}

impl Chatwoot {
    fn new() -> Self {
        Self::serving("")
    }

    /// The same for a knowledge base that serves like this.
    fn serving(service: &str) -> Self {
        Self::with(SMALL_KB, service)
    }

    /// The same with these entries.
    fn with(entries: &str, service: &str) -> Self {
        let status = Arc::new(Mutex::new("pending".to_owned()));
        let state = Arc::clone(&status);
        let receiver = Receiver::scripted(move |call| strict(call, &state));
        let folder = tempfile::tempdir().expect("a folder");
        publish(folder.path(), "demo", entries, None);
        let shelf = crate::support::store(folder.path()).shelf("demo").expect("there");
        shelf.put_service(&Expected::Anything, service, true).expect("a sound document");
        let app = router(server_over(folder.path(), admission()));
        let settings = json!({"url": receiver.url, "token": TOKEN, "secret": SECRET, "private": true, "labels": ["转人工"]});
        add(&folder, "shop", "chatwoot", &settings);
        Self { receiver, status, _folder: folder, app, events: std::cell::Cell::new(0) }
    }

    fn set(&self, status: &str) {
        status.clone_into(&mut self.status.lock().expect("no panic"));
    }

    /// Sends an event as Chatwoot does, and waits for nothing.
    async fn send(&self, delivery: &str, event: &Value) -> Got {
        // Rails writes these so, and signs what it writes.
        let body = event.to_string().replace('<', "\\u003c");
        signed(&self.app, delivery, &body, SECRET).await
    }

    /// A message of the customer, in a conversation of a status.
    async fn says(&self, text: &str, status: &str) {
        let number = self.events.get() + 1;
        self.events.set(number);
        let got = self.send(&format!("d-{number}"), &message(number, text, status)).await;
        assert_eq!((got.status, &got.json()["duplicate"]), (StatusCode::OK, &json!(false)), "{}", got.text());
    }

    /// Waits until everything that was taken is worked on and said.
    async fn settled(&self) {
        loop {
            let due = crate::http::get(&self.app, "/v1/dead-letters?state=due").await.json();
            if due["items"].as_array().is_some_and(Vec::is_empty) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many messages were written, and gives back all calls.
    fn messages(&self, count: usize) -> Vec<Call> {
        let written = |call: &&Call| call.path.ends_with("/messages");
        self.receiver.wait_for(|calls| calls.iter().filter(written).count() >= count)
    }
}

fn add(folder: &TempDir, id: &str, kind: &str, settings: &Value) {
    let channel = Channel {
        id: id.to_owned(),
        kind: kind.to_owned(),
        kb: "demo".to_owned(),
        settings: settings.to_string(),
        created_at: 0,
    };
    crate::support::store(folder.path()).conversations().add_channel(&channel).expect("added");
}

fn message(number: u32, text: &str, status: &str) -> Value {
    json!({
        "id": number, "content": text, "created_at": "2026-11-27T10:00:00Z", "message_type": "incoming",
        "content_type": "text", "private": false, "content_attributes": {}, "source_id": null,
        "sender": {"id": 9, "name": "张<三>", "avatar": "", "type": "contact"},
        "inbox": {"id": 1, "name": "web"}, "account": {"id": 3, "name": "shop"},
        "conversation": {"id": 12, "inbox_id": 1, "status": status, "channel": "Channel::WebWidget",
            "messages": [{"id": number, "message_type": 0, "content": text}]},
        "event": "message_created",
    })
}

async fn signed(app: &Router, delivery: &str, body: &str, secret: &str) -> Got {
    let stamp = time::OffsetDateTime::now_utc().unix_timestamp().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{stamp}.{body}").as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = Request::post("/channels/chatwoot/shop")
        .header("content-type", "application/json")
        .header("x-chatwoot-delivery", delivery)
        .header("x-chatwoot-timestamp", stamp)
        .header("x-chatwoot-signature", format!("sha256={signature}"))
        .body(Body::from(body.to_owned()))
        .expect("a request");
    send(app, request).await
}

fn paths(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| format!("{} {}", call.method, call.path.replace(PLACE, ""))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cards_follow_the_words_in_chatwoot() {
    let entry = json!({"id": "return", "question": "在哪里申请退货", "answer": "在订单里申请。",
        "images": [{"url": "https://shop.example/r.png", "alt": "入口"}],
        "links": [{"title": "退货页面", "url": "https://shop.example/r"}]});
    let chatwoot = Chatwoot::with(&format!("{entry}\n{SMALL_KB}"), "");
    chatwoot.says("在哪里申请退货", "pending").await;
    let calls = chatwoot.messages(2);
    assert_eq!(calls[0].json()["content"], "在订单里申请。");
    let cards = calls[1].json();
    assert_eq!(cards["content_type"], "cards");
    // Inboxes that draw no cards send the lines.
    assert_eq!(cards["content"], "入口：https://shop.example/r.png\n退货页面：https://shop.example/r");
    assert_eq!(cards["content_attributes"]["items"][0]["media_url"], "https://shop.example/r.png");
    chatwoot.settled().await;
    assert_eq!(chatwoot.messages(2).len(), 2, "once each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_robot_of_chatwoot_answers_hands_over_is_silent_and_comes_back() {
    let chatwoot = Chatwoot::new();
    chatwoot.says("怎么开电子发票", "pending").await;
    let calls = chatwoot.messages(1);
    assert_eq!(calls[0].json()["content"], "订单完成后在“我的发票”里申请。");
    assert_eq!(calls[0].json()["private"], false);

    // To people: a word to the customer, a note, labels, and the state last.
    chatwoot.says("转人工", "pending").await;
    let calls =
        chatwoot.receiver.wait_for(|calls| calls.iter().any(|call| call.path.ends_with("/toggle_status")));
    assert_eq!(
        paths(&calls[1..]),
        ["POST /messages", "POST /messages", "GET /labels", "POST /labels", "GET ", "POST /toggle_status"]
    );
    let note = calls[2].json();
    assert_eq!(note["private"], true);
    assert!(note["content"].as_str().is_some_and(|text| text.contains("主动要求人工服务")), "{note}");

    chatwoot.settled().await;
    // Silent as long as it is open, even if an event says that it is pending yet.
    chatwoot.says("在吗", "open").await;
    chatwoot.says("怎么开电子发票", "pending").await;
    // Resolved: the next message is the robot's again.
    let resolved =
        json!({"event": "conversation_resolved", "id": 12, "status": "resolved", "account": {"id": 3}});
    chatwoot.settled().await;
    assert_eq!(chatwoot.send("r-1", &resolved).await.status, StatusCode::OK);
    chatwoot.set("pending");
    chatwoot.says("支持货到付款吗", "pending").await;
    let calls = chatwoot.messages(4);
    assert_eq!(
        calls.iter().filter(|call| call.path.ends_with("/messages")).count(),
        4,
        "{:?}",
        paths(&calls)
    );
    assert_eq!(calls.last().expect("some").json()["content"], "部分地区支持。");
    // Each message has a name, by which a second copy could be told.
    let names: std::collections::BTreeSet<String> = calls
        .iter()
        .filter(|call| call.path.ends_with("/messages"))
        .map(|call| call.json()["content_attributes"]["zhida_id"].to_string())
        .collect();
    assert_eq!(names.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_chatwoot_give_a_conversation_back() {
    let chatwoot = Chatwoot::new();
    chatwoot.says("转人工", "pending").await;
    chatwoot.receiver.wait_for(|calls| calls.iter().any(|call| call.path.ends_with("/toggle_status")));
    chatwoot.settled().await;
    chatwoot.set("pending");
    chatwoot.says("怎么开电子发票", "pending").await;
    let calls = chatwoot.messages(3);
    assert_eq!(calls.last().expect("some").json()["content"], "订单完成后在“我的发票”里申请。");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chatwoot_is_believed_when_it_signs_and_heard_once() {
    let chatwoot = Chatwoot::new();
    let body = message(90, "怎么开电子发票", "pending").to_string();
    assert_eq!(signed(&chatwoot.app, "x", &body, "other").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(signed(&chatwoot.app, "x", "{", SECRET).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(signed(&chatwoot.app, "x", &body, SECRET).await.json()["duplicate"], false);
    assert_eq!(signed(&chatwoot.app, "x", &body, SECRET).await.json()["duplicate"], true);
    // The robot's own message comes back as an event, and so do private notes.
    let mut own = message(91, "答案", "pending");
    own["message_type"] = json!("outgoing");
    assert_eq!(chatwoot.send("y", &own).await.status, StatusCode::OK);
    chatwoot.says("支持货到付款吗", "pending").await;
    let calls = chatwoot.messages(2);
    assert_eq!(paths(&calls), ["POST /messages", "POST /messages"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_pressed_in_chatwoot_is_chosen() {
    let chatwoot = Chatwoot::serving("[voice]\nquick_questions = { entries = [\"cod\"] }\n");
    chatwoot.says("怎么开电子发票", "pending").await;
    chatwoot.messages(1);
    // The robot's own list comes back with what was pressed in it.
    let mut pressed = message(92, "请问您想问的是下面哪一个？", "pending");
    pressed["event"] = json!("message_updated");
    pressed["message_type"] = json!("outgoing");
    pressed["content_type"] = json!("input_select");
    let items = json!([{"title": "支持货到付款吗", "value": "cod"}]);
    pressed["content_attributes"] = json!({"items": items, "submitted_values": items});
    assert_eq!(chatwoot.send("p-1", &pressed).await.status, StatusCode::OK);
    let calls = chatwoot.messages(2);
    assert_eq!(calls.last().expect("some").json()["content"], "部分地区支持。");
    // An update in which nothing was pressed is no message.
    pressed["content_attributes"] = json!({"items": items});
    assert_eq!(chatwoot.send("p-2", &pressed).await.status, StatusCode::OK);
    chatwoot.says("怎么修改收货地址", "pending").await;
    let calls = chatwoot.messages(3);
    assert_eq!(paths(&calls), ["POST /messages", "POST /messages", "POST /messages"]);
    assert_eq!(calls[2].json()["content"], "发货前可在订单详情里修改。");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_platform_speaks_the_generic_contract() {
    let receiver = Receiver::start();
    let (folder, app) = house();
    let secret = new_secret().expect("random");
    add(
        &folder,
        "app",
        "generic",
        &json!({"url": format!("{}/out", receiver.url), "secret": secret, "private": true}),
    );
    let say = async |id: &str, text: &str| {
        let body = json!({"conversation": "u-7", "message_id": id, "text": text, "customer": {"vip": true}})
            .to_string();
        let at = time::OffsetDateTime::now_utc().unix_timestamp();
        let signer = standardwebhooks::Webhook::new(&secret).expect("a secret");
        let request = Request::post("/channels/generic/app")
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", signer.sign(id, at, body.as_bytes()).expect("signed"))
            .body(Body::from(body))
            .expect("a request");
        send(&app, request).await
    };
    assert_eq!(say("m-1", "怎么开电子发票").await.status, StatusCode::OK);
    let out = receiver.event("reply");
    let data = &out.json()["data"];
    assert_eq!(
        (&data["conversation"], &data["text"]),
        (&json!("u-7"), &json!("订单完成后在“我的发票”里申请。"))
    );
    let mut headers = axum::http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(axum::http::HeaderName::from_static(name), out.header(name).parse().expect("a value"));
    }
    assert!(
        standardwebhooks::Webhook::new(&secret)
            .expect("a secret")
            .verify(out.body.as_bytes(), &headers)
            .is_ok()
    );

    say("m-2", "转人工").await;
    let given = receiver.event("handoff").json();
    let id = given["data"]["handoff"].as_str().expect("an id").to_owned();
    // A person of ours replies, and the platform's customer reads it.
    let post = async |what: &str, body: Value| {
        let request = Request::post(format!("/v1/handoffs/{id}/{what}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        send(&app, request).await.status
    };
    assert_eq!(post("claim", json!({"agent": "小王"})).await, StatusCode::OK);
    assert_eq!(post("reply", json!({"agent": "小王", "text": "您好，我是小王"})).await, StatusCode::OK);
    let calls = receiver.wait_for(|calls| calls.iter().any(|call| call.body.contains("我是小王")));
    let said = calls.last().expect("some").json();
    assert_eq!(
        (&said["type"], &said["data"]["author"], &said["data"]["conversation"]),
        (&json!("reply"), &json!("小王"), &json!("u-7"))
    );
    assert_eq!(post("close", json!({"agent": "小王"})).await, StatusCode::OK);
    receiver.event("closed");
}

//! Every kind of channel from being set up over HTTP to its figures, and what nobody may
//! see or break of it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zhida::channels::envelope::{Key, hex, seal_feishu, signature};
use zhida::channels::fields::{Fields, xml};
use zhida::desk::platforms::KINDS;
use zhida::dialogue::conversation::TEXT_CHARS;
use zhida::server::router;

use crate::http::{Got, admission, get, post, publish, send, server_over};
use crate::receiver::{Answer, Call, Receiver};
use crate::support::SMALL_KB;

/// A knowledge base whose entry says something else on every channel.
fn everywhere() -> String {
    let answers: serde_json::Map<String, Value> =
        KINDS.iter().map(|kind| ((*kind).to_owned(), json!(format!("在{kind}上回答。")))).collect();
    let open =
        json!({"id": "hours", "question": "几点开门营业", "answer": "到处都一样。", "answers": answers});
    // It was valid once, and is on no channel any more.
    let over = json!({"id": "sale", "question": "双十一活动打几折", "answer": "五折。", "answers": answers,
        "valid_until": "2020-11-12T00:00:00+08:00"});
    format!("{open}\n{over}\n{SMALL_KB}")
}

fn unix() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// All platforms at once; what customers ask in 微信客服 is fetched from here.
struct Platforms {
    receiver: Receiver,
    kf: Arc<Mutex<Vec<Value>>>,
    app: Router,
    _folder: TempDir,
}

fn scripted(call: &Call, kf: &Mutex<Vec<Value>>) -> Answer {
    let path = call.path.split('?').next().unwrap_or_default();
    match path {
        "/cgi-bin/gettoken" | "/cgi-bin/stable_token" => {
            Answer::Json(200, json!({"errcode": 0, "access_token": "T", "expires_in": 7200}))
        }
        "/cgi-bin/kf/sync_msg" => {
            let from: usize = call.json()["cursor"].as_str().and_then(|at| at.parse().ok()).unwrap_or(0);
            let all = kf.lock().expect("no panic").clone();
            let next = all.len().to_string();
            let rest: Vec<Value> = all.into_iter().skip(from).collect();
            Answer::Json(200, json!({"errcode": 0, "next_cursor": next, "has_more": 0, "msg_list": rest}))
        }
        "/cgi-bin/kf/account/list" => {
            Answer::Json(200, json!({"errcode": 0, "account_list": [{"open_kfid": "wk1"}]}))
        }
        "/v1.0/oauth2/accessToken" => Answer::Json(200, json!({"accessToken": "T", "expireIn": 7200})),
        "/open-apis/auth/v3/tenant_access_token/internal" => {
            Answer::Json(200, json!({"code": 0, "tenant_access_token": "T", "expire": 7200}))
        }
        path if path.starts_with("/open-apis") => Answer::Json(200, json!({"code": 0, "data": {}})),
        path if path.starts_with("/api/v1/accounts") && call.method == "GET" => {
            Answer::Json(200, json!({"id": 12, "status": "pending"}))
        }
        _ => Answer::Json(200, json!({"errcode": 0, "errmsg": "ok"})),
    }
}

/// The settings that a channel of a kind is set up with.
fn settings(kind: &str, url: &str) -> Value {
    let aes = "k".repeat(43);
    match kind {
        "web" => json!({"origins": ["https://shop.example"]}),
        "generic" => json!({"url": format!("{url}/out"), "private": true}),
        "email" => {
            json!({"address": "k@s.example", "password": "p", "imap_host": "i.example", "smtp_host": "s.example"})
        }
        "chatwoot" => json!({"url": url, "token": "bot", "secret": "bot-secret", "private": true}),
        "wechat" => json!({"app_id": "wx1", "token": "tok", "app_secret": "s", "url": url, "private": true}),
        "wecom" => json!({"app_id": "ww1", "token": "tok", "aes_key": aes, "url": url, "private": true}),
        "wecom-kf" => {
            json!({"app_id": "ww1", "app_secret": "s", "token": "tok", "aes_key": aes, "url": url, "private": true})
        }
        "dingtalk" => {
            let host = url.trim_start_matches("http://");
            json!({"app_id": "d1", "app_secret": "s", "reply_hosts": [host], "url": url, "private": true})
        }
        "feishu" => {
            json!({"app_id": "f1", "app_secret": "s", "encrypt_key": "w0rd-w0rd", "url": url, "private": true})
        }
        other => panic!("{other}: say here with which settings a channel of this kind is tried"),
    }
}

impl Platforms {
    fn new() -> Self {
        let kf = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kf);
        let receiver = Receiver::scripted(move |call| scripted(call, &shared));
        let folder = tempfile::tempdir().expect("a folder");
        publish(folder.path(), "demo", &everywhere(), None);
        let app = router(server_over(folder.path(), admission()));
        Self { receiver, kf, app, _folder: folder }
    }

    async fn add(&self, kind: &str) -> Value {
        let wanted = json!({"name": format!("c-{kind}"), "kind": kind, "kb": "demo", "settings": settings(kind, &self.receiver.url)});
        let got = post(&self.app, "/v1/channels", wanted).await;
        assert_eq!(got.status, StatusCode::CREATED, "{kind}: {}", got.text());
        got.json()
    }

    async fn call_back(&self, place: &str, headers: &[(&str, String)], body: String) -> Got {
        let mut request = Request::post(place);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        let got = send(&self.app, request.body(Body::from(body)).expect("a request")).await;
        assert_eq!(got.status, StatusCode::OK, "{place}: {}", got.text());
        got
    }

    /// Waits until something goes out that holds some words.
    fn goes_out(&self, words: &str) -> String {
        let has = |call: &Call| call.body.contains(words);
        let calls = self.receiver.wait_for(|calls| calls.iter().any(has));
        calls.iter().find(|call| has(call)).expect("it is there").body.clone()
    }

    /// Asks on a channel as its platform does; gives back what the customer reads.
    async fn ask(&self, kind: &str, made: &Value, id: &str, text: &str) -> String {
        let place = format!("/channels/{kind}/c-{kind}");
        let stamp = unix().to_string();
        let aes = || Key::read(&"k".repeat(43)).expect("a key");
        let expected = format!("在{kind}上回答。");
        match kind {
            "web" => {
                let site = made["channel"]["site"].as_str().expect("a site");
                let base = format!("/widget/{site}/conversations");
                let opened = post(&self.app, &base, json!({})).await.json();
                let request =
                    Request::post(format!("{base}/{}/messages", opened["session"].as_str().expect("one")))
                        .header(
                            "authorization",
                            format!("Bearer {}", opened["visitor"].as_str().expect("a token")),
                        )
                        .header("content-type", "application/json")
                        .body(Body::from(json!({"text": text, "client_id": id}).to_string()));
                let got = send(&self.app, request.expect("a request")).await.json();
                got["items"][1]["text"].as_str().expect("words").to_owned()
            }
            "generic" => {
                let secret = made["secret"].as_str().expect("it is made");
                let body = json!({"conversation": "u", "message_id": id, "text": text}).to_string();
                let signer = standardwebhooks::Webhook::new(secret).expect("a secret");
                let signed = signer.sign(id, unix(), body.as_bytes()).expect("signed");
                let headers = [
                    ("webhook-id", id.to_owned()),
                    ("webhook-timestamp", stamp),
                    ("webhook-signature", signed),
                ];
                self.call_back(&place, &headers, body).await;
                self.goes_out(&expected)
            }
            "chatwoot" => {
                let body = json!({
                    "id": 7, "content": text, "message_type": "incoming", "content_type": "text", "private": false,
                    "sender": {"id": 9, "name": "张三", "type": "contact"}, "account": {"id": 3},
                    "conversation": {"id": 12, "status": "pending"}, "event": "message_created",
                })
                .to_string();
                let mut mac = Hmac::<Sha256>::new_from_slice(b"bot-secret").expect("a key");
                mac.update(format!("{stamp}.{body}").as_bytes());
                let headers = [
                    ("x-chatwoot-delivery", id.to_owned()),
                    ("x-chatwoot-timestamp", stamp),
                    ("x-chatwoot-signature", format!("sha256={}", hex(&mac.finalize().into_bytes()))),
                ];
                self.call_back(&place, &headers, body).await;
                self.goes_out(&expected)
            }
            "wechat" => {
                let query =
                    format!("signature={}&timestamp={stamp}&nonce=n", signature(&["tok", &stamp, "n"]));
                let body = xml(&[
                    ("ToUserName", "gh"),
                    ("FromUserName", "u1"),
                    ("CreateTime", &stamp),
                    ("MsgType", "text"),
                    ("Content", text),
                    ("MsgId", id),
                ]);
                let headers = [("content-type", "text/xml".to_owned())];
                self.call_back(&format!("{place}?{query}"), &headers, body).await.text()
            }
            "wecom" => {
                let inner = xml(&[
                    ("ToUserName", "ww1"),
                    ("FromUserName", "lisi"),
                    ("CreateTime", &stamp),
                    ("MsgType", "text"),
                    ("Content", text),
                    ("MsgId", id),
                    ("AgentID", "7"),
                ]);
                let sealed = aes().seal(inner.as_bytes(), "ww1", [3; 16]);
                let signed = signature(&["tok", &stamp, "n", &sealed]);
                let query = format!("msg_signature={signed}&timestamp={stamp}&nonce=n");
                let headers = [("content-type", "text/xml".to_owned())];
                let body = xml(&[("Encrypt", &sealed)]);
                let got = self.call_back(&format!("{place}?{query}"), &headers, body).await.text();
                let outer = Fields::read(&got).expect("XML");
                let plain = aes().open(outer.get("Encrypt").expect("sealed"), "ww1").expect("opened");
                String::from_utf8(plain).expect("text")
            }
            "wecom-kf" => {
                self.kf.lock().expect("no panic").push(json!({"msgid": id, "open_kfid": "wk1",
                    "external_userid": "wm1", "send_time": unix(), "origin": 3, "msgtype": "text", "text": {"content": text}}));
                let inner = xml(&[
                    ("ToUserName", "ww1"),
                    ("FromUserName", "sys"),
                    ("CreateTime", &stamp),
                    ("MsgType", "event"),
                    ("Event", "kf_msg_or_event"),
                    ("Token", id),
                    ("OpenKfId", "wk1"),
                ]);
                let sealed = aes().seal(inner.as_bytes(), "ww1", [1; 16]);
                let signed = signature(&["tok", &stamp, "n", &sealed]);
                let query = format!("msg_signature={signed}&timestamp={stamp}&nonce=n");
                let headers = [("content-type", "text/xml".to_owned())];
                self.call_back(&format!("{place}?{query}"), &headers, xml(&[("Encrypt", &sealed)])).await;
                self.goes_out(&expected)
            }
            "dingtalk" => {
                let stamp = (unix() * 1000).to_string();
                let mut mac = Hmac::<Sha256>::new_from_slice(b"s").expect("a key");
                mac.update(format!("{stamp}\ns").as_bytes());
                let sign = STANDARD.encode(mac.finalize().into_bytes());
                let body = json!({
                    "msgtype": "text", "text": {"content": text}, "msgId": id, "conversationType": "1",
                    "conversationId": "cid1", "senderStaffId": "u1", "senderNick": "张三",
                    "sessionWebhook": format!("{}/robot/sendBySession?session=1", self.receiver.url),
                    "sessionWebhookExpiredTime": unix() * 1000 + 3_600_000,
                });
                self.call_back(&place, &[("timestamp", stamp), ("sign", sign)], body.to_string()).await;
                self.goes_out(&expected)
            }
            "feishu" => {
                let inner = json!({
                    "schema": "2.0",
                    "header": {"event_id": id, "event_type": "im.message.receive_v1"},
                    "event": {"sender": {"sender_id": {"open_id": "ou_1"}, "sender_type": "user"},
                        "message": {"message_id": "om_1", "chat_id": "oc_1", "message_type": "text",
                            "content": json!({"text": text}).to_string()}},
                });
                let sealed = seal_feishu(inner.to_string().as_bytes(), "w0rd-w0rd", [3; 16]);
                let body = json!({"encrypt": sealed}).to_string();
                let signed = hex(&Sha256::digest(format!("{stamp}nw0rd-w0rd{body}").as_bytes()));
                let headers = [
                    ("x-lark-request-timestamp", stamp),
                    ("x-lark-request-nonce", "n".to_owned()),
                    ("x-lark-signature", signed),
                ];
                self.call_back(&place, &headers, body).await;
                self.goes_out(&expected)
            }
            other => panic!("{other}: say here how a customer asks on it"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_is_set_up_answers_in_its_own_words_and_counts() {
    let platforms = Platforms::new();
    for kind in KINDS {
        // What has no request to answer is tried where it has a stand-in of its own.
        if kind == "email" {
            continue;
        }
        let made = platforms.add(kind).await;
        let said = platforms.ask(kind, &made, &format!("m-{kind}"), "几点开门营业").await;
        assert!(said.contains(&format!("在{kind}上回答。")), "{kind}: {said}");
        let shown = get(&platforms.app, &format!("/v1/channels/c-{kind}")).await.json();
        assert!(shown["state"]["last_in"].is_string() && shown["state"]["last_out"].is_string(), "{shown}");
        assert_eq!(shown["fault"], Value::Null, "{shown}");
        let works = post(&platforms.app, &format!("/v1/channels/c-{kind}/test"), json!({})).await.json();
        assert_eq!(works["works"], json!(true), "{kind}: {works}");
    }
    let figures = get(&platforms.app, "/v1/kbs/demo/stats?by=channel").await.json();
    let usage = get(&platforms.app, "/v1/usage").await.json();
    for kind in KINDS.into_iter().filter(|kind| *kind != "email") {
        let groups = figures["groups"].as_array().expect("groups");
        let group =
            groups.iter().find(|one| one["key"] == kind).unwrap_or_else(|| panic!("{kind}: {figures}"));
        assert_eq!(
            (&group["counts"]["questions"], &group["counts"]["answered"]),
            (&json!(1), &json!(1)),
            "{group}"
        );
        let rows = usage["items"].as_array().expect("rows");
        let row = rows.iter().find(|one| one["channel"] == kind).unwrap_or_else(|| panic!("{kind}: {usage}"));
        assert_eq!(row["questions"], json!(1), "{row}");
    }
    // What is not valid any more is answered nowhere, whatever it says for a channel.
    let made = get(&platforms.app, "/v1/channels/c-web").await.json();
    let said = platforms.ask("web", &json!({"channel": made}), "m-over", "双十一活动打几折").await;
    assert!(!said.contains("在web上回答") && !said.contains("五折"), "{said}");
    // Nothing that opens something stands anywhere.
    let told =
        get(&platforms.app, "/v1/channels").await.text() + &get(&platforms.app, "/v1/audit").await.text();
    for secret in ["bot-secret", &"k".repeat(43), "\"tok\"", "whsec_", "w0rd-w0rd"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_readings_of_a_spoken_message_the_surest_counts() {
    let platforms = Platforms::new();
    let made = platforms.add("generic").await;
    let secret = made["secret"].as_str().expect("it is made").to_owned();
    let sent = async |id: &str, body: Value| {
        let body = body.to_string();
        let signer = standardwebhooks::Webhook::new(&secret).expect("a secret");
        let signed = signer.sign(id, unix(), body.as_bytes()).expect("signed");
        let request = Request::post("/channels/generic/c-generic")
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", unix().to_string())
            .header("webhook-signature", signed)
            .body(Body::from(body));
        send(&platforms.app, request.expect("a request")).await
    };
    let heard = async |id: &str, text: &str, others: Value| -> Value {
        let body = json!({"conversation": id, "message_id": id, "text": text, "alternatives": others});
        let got = sent(id, body).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
        let is_it = |call: &Call| call.json()["type"] == "reply" && call.json()["data"]["conversation"] == id;
        let calls = platforms.receiver.wait_for(|calls| calls.iter().any(is_it));
        calls.iter().find(|call| is_it(call)).expect("it is there").json()["data"].clone()
    };
    // The recogniser is surest of something that nobody asks; the last reading is a question.
    let others =
        json!([{"text": "鸡点开门赢业了", "confidence": 0.9}, {"text": "几点开门营业", "confidence": 0.2}]);
    let reply = heard("a", "鸡店开门", others).await;
    assert_eq!(
        (&reply["heard"], &reply["text"]),
        (&json!({"text": "几点开门营业", "alternative": 2, "confidence": 0.2}), &json!("在generic上回答。"))
    );
    // Two that are as good: the recogniser's order counts, and the first has no confidence.
    let reply = heard("b", "怎么开电子发票", json!([{"text": "支持货到付款吗"}])).await;
    assert_eq!(reply["heard"], json!({"text": "怎么开电子发票", "alternative": 0, "confidence": null}));
    // Blank readings are none.
    let reply = heard("c", " ", json!([{"text": ""}, {"text": "支持货到付款吗", "confidence": 0.5}])).await;
    assert_eq!((&reply["heard"]["alternative"], &reply["text"]), (&json!(2), &json!("部分地区支持。")));
    // What was heard is what stands in the conversation.
    let session = get(&platforms.app, "/v1/conversations/generic:c-generic:a").await.json();
    assert_eq!(session["turns"][0]["text"], "几点开门营业");
    for (id, others) in [
        ("x1", json!("几点开门")),
        ("x2", json!([{"confidence": 0.3}])),
        ("x3", json!([{"text": "x", "more": 1}])),
        ("x4", json!([{"text": "x", "confidence": "high"}])),
        ("x5", json!([null])),
        ("x6", Value::Array(vec![json!({"text": "x"}); 11])),
        ("x7", json!([{"text": "长".repeat(TEXT_CHARS + 1)}])),
    ] {
        let body = json!({"conversation": "u", "message_id": id, "text": "x", "alternatives": others});
        sent(id, body).await.problem(422, "invalid-field");
    }
}

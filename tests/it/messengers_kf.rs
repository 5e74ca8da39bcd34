//! WeCom's customer service and WeCom's app: a stand-in with pages, sessions and tokens.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use zhida::channels::envelope::{Key, signature};
use zhida::channels::fields::{Fields, xml};
use zhida::dialogue::conversation::Owner;

use crate::messengers::House;
use crate::receiver::{Answer, Call, Receiver};

/// What the stand-in has: messages in order, and the state of the one session.
#[derive(Default)]
struct State {
    messages: Vec<Value>,
    session: i64,
    sent: Vec<Value>,
}

struct Kf {
    receiver: Receiver,
    state: Arc<Mutex<State>>,
    house: House,
}

fn strict(call: &Call, state: &Mutex<State>) -> Answer {
    let mut state = state.lock().expect("no panic");
    let ok = |more: Value| {
        let mut all = json!({"errcode": 0, "errmsg": "ok"});
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            all[&name] = value;
        }
        Answer::Json(200, all)
    };
    let fault = |code: i64| Answer::Json(200, json!({"errcode": code, "errmsg": "x"}));
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    if path == "/cgi-bin/gettoken" {
        return if query == "corpid=ww1&corpsecret=s" {
            ok(json!({"access_token": "K", "expires_in": 7200}))
        } else {
            fault(40001)
        };
    }
    if query != "access_token=K" {
        return fault(40014);
    }
    let body = call.json();
    match path {
        "/cgi-bin/kf/sync_msg" => {
            // Two messages a page; between the pages an empty one that says "more".
            let cursor = body["cursor"].as_str().unwrap_or_default().trim_start_matches('c');
            if let Some(at) = cursor.strip_suffix('-') {
                return ok(json!({"next_cursor": format!("c{at}"), "has_more": 1, "msg_list": []}));
            }
            let from: usize = cursor.parse().unwrap_or(0);
            let page: Vec<Value> = state.messages.iter().skip(from).take(2).cloned().collect();
            let end = from + page.len();
            let more = end < state.messages.len();
            let next = format!("c{end}{}", if more { "-" } else { "" });
            ok(json!({"next_cursor": next, "has_more": i32::from(more), "msg_list": page}))
        }
        "/cgi-bin/kf/send_msg" | "/cgi-bin/kf/send_msg_on_event" => {
            let id = body["msgid"].as_str().unwrap_or_default();
            if id.is_empty() || id.len() > 32 {
                return fault(40058);
            }
            if path.ends_with("send_msg") && !(0..=1).contains(&state.session) {
                return fault(95018);
            }
            state.sent.push(body);
            ok(json!({"msgid": "x"}))
        }
        "/cgi-bin/kf/service_state/trans" => {
            if body["open_kfid"] != "wk1" || body["external_userid"] != "wm1" {
                return fault(95000);
            }
            state.session = body["service_state"].as_i64().unwrap_or(0);
            ok(json!({}))
        }
        "/cgi-bin/kf/account/list" => ok(json!({"account_list": [{"open_kfid": "wk1"}]})),
        _ => Answer::Status(404),
    }
}

impl Kf {
    fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let receiver = Receiver::scripted(move |call| strict(call, &shared));
        let house = House::new(
            "wecom-kf",
            &json!({"app_id": "ww1", "app_secret": "s", "token": "tok", "aes_key": "k".repeat(43),
                "people": "platform", "url": receiver.url, "private": true}),
        );
        Self { receiver, state, house }
    }

    fn happens(&self, id: &str, what: Value) {
        let mut message = json!({"msgid": id, "open_kfid": "wk1", "external_userid": "wm1",
            "send_time": self.house.now() / 1000, "origin": 3});
        for (name, value) in what.as_object().cloned().unwrap_or_default() {
            message[&name] = value;
        }
        self.state.lock().expect("no panic").messages.push(message);
    }

    fn text(&self, id: &str, text: &str) {
        self.happens(id, json!({"msgtype": "text", "text": {"content": text}}));
    }

    fn event(&self, id: &str, event: Value) {
        let mut all = json!({"open_kfid": "wk1", "external_userid": "wm1"});
        for (name, value) in event.as_object().cloned().unwrap_or_default() {
            all[&name] = value;
        }
        self.happens(id, json!({"origin": 4, "msgtype": "event", "event": all}));
    }

    /// Calls back, encrypted, and waits until everything is worked on.
    fn calls_back(&self, token: &str) {
        let stamp = (self.house.now() / 1000).to_string();
        let inner = xml(&[
            ("ToUserName", "ww1"),
            ("FromUserName", "sys"),
            ("CreateTime", &stamp),
            ("MsgType", "event"),
            ("Event", "kf_msg_or_event"),
            ("Token", token),
            ("OpenKfId", "wk1"),
        ]);
        let sealed = Key::read(&"k".repeat(43)).expect("a key").seal(inner.as_bytes(), "ww1", [1; 16]);
        let signed = signature(&["tok", &stamp, "n", &sealed]);
        let query = [("msg_signature", signed), ("timestamp", stamp), ("nonce", "n".to_owned())];
        let body = xml(&[("ToUserName", "ww1"), ("Encrypt", &sealed)]);
        assert_eq!(self.house.receive(&query, &[], Some(&body)).expect("taken").body, "success");
        self.house.settled();
    }

    fn sent(&self) -> Vec<Value> {
        self.state.lock().expect("no panic").sent.clone()
    }
}

#[test]
fn what_is_fetched_is_heard_once_and_answered_in_order() {
    let kf = Kf::new();
    kf.event("e1", json!({"event_type": "enter_session", "welcome_code": "W1"}));
    kf.text("m1", "支持货到付款吗");
    kf.text("m2", "怎么开电子发票");
    kf.calls_back("t1");
    kf.calls_back("t1");
    kf.calls_back("t2");
    let sent = kf.sent();
    assert_eq!(sent.len(), 3, "{sent:#?}");
    let greeting = sent.iter().find(|one| one["code"] == "W1").expect("a greeting");
    assert!(greeting["text"]["content"].as_str().is_some_and(|text| text.contains("您好")));
    let words: Vec<&str> = sent.iter().filter_map(|one| one["text"]["content"].as_str()).collect();
    let place = |text: &str| words.iter().position(|one| *one == text).expect("said");
    assert!(place("部分地区支持。") < place("订单完成后在“我的发票”里申请。"));
    // What lay there before there was this channel is left alone.
    kf.happens("old", json!({"send_time": 1_000, "msgtype": "text", "text": {"content": "支持货到付款吗"}}));
    kf.text("m3", "支持货到付款吗");
    kf.calls_back("t3");
    assert_eq!(kf.sent().len(), 4);
}

#[test]
fn the_pool_takes_over_and_the_robot_again_when_the_session_is_over() {
    let kf = Kf::new();
    kf.text("m1", "转人工");
    kf.calls_back("t1");
    assert_eq!(kf.sent()[0]["text"]["content"], "正在为您转接人工客服，请稍候。");
    assert_eq!(kf.state.lock().expect("no panic").session, 2, "in the pool, after the words");
    kf.text("m2", "在吗");
    kf.event(
        "e1",
        json!({"event_type": "session_status_change", "change_type": 1, "new_servicer_userid": "lisi"}),
    );
    kf.happens(
        "a1",
        json!({"origin": 5, "servicer_userid": "lisi", "msgtype": "text", "text": {"content": "您好"}}),
    );
    kf.text("m3", "支持货到付款吗");
    kf.calls_back("t2");
    assert_eq!(kf.house.conversation("wk1:wm1").owner, Owner::Agent);
    assert_eq!(kf.sent().len(), 1, "the robot is silent");
    let lines = kf.house.lines("wk1:wm1");
    assert!(lines.iter().any(|line| line.text == "您好" && line.author.as_deref() == Some("lisi")));
    kf.event("e2", json!({"event_type": "session_status_change", "change_type": 3}));
    kf.state.lock().expect("no panic").session = 0;
    kf.text("m4", "支持货到付款吗");
    kf.calls_back("t3");
    assert_eq!(kf.sent().len(), 2);
    assert_eq!(kf.sent()[1]["text"]["content"], "部分地区支持。");
    assert!(kf.house.dead().is_empty());
}

#[test]
fn an_outage_while_fetching_keeps_the_place() {
    let kf = Kf::new();
    kf.text("m1", "支持货到付款吗");
    kf.receiver.next([
        Answer::Json(200, json!({"errcode": 0, "access_token": "K", "expires_in": 7200})),
        Answer::Status(502),
    ]);
    let stamp = (kf.house.now() / 1000).to_string();
    let inner = xml(&[
        ("FromUserName", "s"),
        ("MsgType", "event"),
        ("Event", "kf_msg_or_event"),
        ("Token", "t"),
        ("OpenKfId", "wk1"),
        ("CreateTime", &stamp),
    ]);
    let sealed = Key::read(&"k".repeat(43)).expect("a key").seal(inner.as_bytes(), "ww1", [1; 16]);
    let signed = signature(&["tok", &stamp, "n", &sealed]);
    let query = [("msg_signature", signed), ("timestamp", stamp), ("nonce", "n".to_owned())];
    kf.house.receive(&query, &[], Some(&xml(&[("Encrypt", &sealed)]))).expect("taken");
    kf.house.wait(|house| {
        let due = house.desk.talk().due_jobs(None, 10).expect("read");
        due.iter().any(|job| job.attempts == 1 && job.worker.is_none())
    });
    kf.house.after(10);
    kf.house.settled();
    assert_eq!(kf.sent().len(), 1);
    assert_eq!(
        kf.house.desk.test_channel(&kf.house.channel).as_deref(),
        Ok("WeCom gives access to 1 微信客服 account(s), messages are taken encrypted")
    );
}

#[test]
fn an_app_of_wecom_is_answered_at_once() {
    let receiver = Receiver::start();
    let house = House::new(
        "wecom",
        &json!({"app_id": "ww1", "token": "tok", "aes_key": "k".repeat(43), "url": receiver.url, "private": true}),
    );
    let key = Key::read(&"k".repeat(43)).expect("a key");
    let stamp = (house.now() / 1000).to_string();
    let query = |sealed: &str| {
        [
            ("msg_signature", signature(&["tok", &stamp, "n", sealed])),
            ("timestamp", stamp.clone()),
            ("nonce", "n".to_owned()),
        ]
    };
    let echo = key.seal(b"1616", "ww1", [2; 16]);
    let mut checked = query(&echo).to_vec();
    checked.push(("echostr", echo));
    assert_eq!(house.receive(&checked, &[], None).expect("checked").body, "1616");
    let inner = xml(&[
        ("ToUserName", "ww1"),
        ("FromUserName", "lisi"),
        ("CreateTime", &stamp),
        ("MsgType", "text"),
        ("Content", "支持货到付款吗"),
        ("MsgId", "1"),
        ("AgentID", "7"),
    ]);
    let sealed = key.seal(inner.as_bytes(), "ww1", [3; 16]);
    let words = house.receive(&query(&sealed), &[], Some(&xml(&[("Encrypt", &sealed)]))).expect("taken");
    let outer = Fields::read(&words.body).expect("XML");
    let plain = key.open(outer.get("Encrypt").expect("sealed"), "ww1").expect("opened");
    let reply = Fields::read(&String::from_utf8(plain).expect("text")).expect("XML");
    assert_eq!((reply.get("Content"), reply.get("ToUserName")), (Some("部分地区支持。"), Some("lisi")));
}

//! WeChat, DingTalk and Feishu: stand-ins for their APIs that check every call, and the
//! callbacks that they send.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zhida::channels::Answer as Words;
use zhida::channels::envelope::{Key, hex, seal_feishu, signature};
use zhida::channels::fields::{Fields, xml};
use zhida::desk::messengers::Delivery;
use zhida::desk::platforms::{Received, Refused};
use zhida::desk::{Desk, Patience, Settings};
use zhida::dialogue::Service;
use zhida::dialogue::conversation::{Line, Owner, Role};
use zhida::dialogue::handoff::Step;
use zhida::engine::Engine;
use zhida::store::{Act, Channel, Conversation, Taken};

use crate::http::{MAX_WRONG, publish};
use crate::receiver::{Answer, Call, Receiver};
use crate::support::SMALL_KB;

const START: i64 = 1_800_000_000_000;

/// A desk with a knowledge base and one channel.
pub struct House {
    pub folder: TempDir,
    pub desk: Desk,
    pub channel: Channel,
    clock: Arc<AtomicI64>,
}

impl House {
    pub fn new(kind: &str, settings: &Value) -> Self {
        Self::serving(SMALL_KB, kind, settings)
    }

    /// The same with a knowledge base of these entries.
    pub fn serving(entries: &str, kind: &str, settings: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        publish(folder.path(), "demo", entries, None);
        let clock = Arc::new(AtomicI64::new(START));
        let channel = Channel {
            id: "shop".to_owned(),
            kind: kind.to_owned(),
            kb: "demo".to_owned(),
            settings: settings.to_string(),
            created_at: START - 1_000_000,
        };
        crate::support::store(folder.path()).conversations().add_channel(&channel).expect("added");
        let desk = Self::process(&folder, &clock);
        Self { folder, desk, channel, clock }
    }

    /// Another process that works on the same data.
    pub fn another(&self) -> Desk {
        Self::process(&self.folder, &self.clock)
    }

    fn process(folder: &TempDir, clock: &Arc<AtomicI64>) -> Desk {
        let store = crate::support::store(folder.path());
        let release = store.shelf("demo").and_then(|shelf| shelf.open_current(None)).expect("a release");
        let engine = Arc::new(Engine::new(Arc::new(release), MAX_WRONG));
        let time = Arc::clone(clock);
        let calls = Patience { connect: Duration::from_secs(5), whole: Duration::from_secs(10) };
        Desk::with_clock(
            &store,
            Settings { calls, ..Settings::default() },
            move |_| Some((Arc::clone(&engine), Arc::new(Service::default()))),
            |_, _, _| (),
            move || time.load(Ordering::SeqCst),
        )
    }

    pub fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub fn after(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.desk.wake();
    }

    pub fn receive(
        &self,
        query: &[(&str, String)],
        headers: &[(&str, String)],
        body: Option<&str>,
    ) -> Result<Words, Refused> {
        let find = |all: &[(&str, String)], name: &str| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        let delivery = Delivery {
            query: &|name| find(query, name),
            header: &|name| find(headers, name),
            body: body.map(str::as_bytes),
        };
        match self.desk.receive(&self.channel, &delivery)? {
            Received::Answered(words) => Ok(words),
            Received::Stored(_) => panic!("these platforms are answered in their own words"),
        }
    }

    /// The only conversation whose name ends so.
    pub fn conversation(&self, customer: &str) -> Conversation {
        let session = format!("{}:shop:{customer}", self.channel.kind);
        self.desk.talk().find("demo", &session).expect("read").expect("there")
    }

    pub fn lines(&self, customer: &str) -> Vec<Line> {
        self.desk.talk().lines(self.conversation(customer).key, 0, 100).expect("read")
    }

    /// Waits until everything is worked on and said, or given up.
    pub fn settled(&self) {
        self.wait(|house| house.desk.talk().due_jobs(None, 10).expect("read").is_empty());
    }

    pub fn wait(&self, is_so: impl Fn(&Self) -> bool) {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while !is_so(self) {
            let due = self.desk.talk().due_jobs(None, 10).expect("read");
            assert!(std::time::Instant::now() < until, "it never came so: {due:#?}");
            std::thread::yield_now();
        }
    }

    pub fn dead(&self) -> Vec<Taken> {
        self.desk.talk().dead_jobs(None, 100).expect("read")
    }

    /// A person of ours does something with the handoff that is open.
    pub fn act(&self, customer: &str, step: Step, text: Option<&str>) {
        let open = self.conversation(customer).handoff.expect("a handoff");
        let act = Act { text, ..Act::of(step, "小王", self.now()) };
        self.desk.talk().act(&open, &act).expect("done");
        self.desk.wake();
    }
}

fn posts(calls: &[Call], path: &str) -> usize {
    calls.iter().filter(|call| call.path.starts_with(path)).count()
}

/// WeChat's API: tokens that end when the test says so.
struct WeChat {
    receiver: Receiver,
    /// How many tokens were given; the last one is good.
    tokens: Arc<Mutex<u32>>,
}

const SEND: &str = "/cgi-bin/message/custom/send?access_token=";

impl WeChat {
    fn new() -> Self {
        let tokens = Arc::new(Mutex::new(0_u32));
        let state = Arc::clone(&tokens);
        let receiver = Receiver::scripted(move |call| {
            let mut given = state.lock().expect("no panic");
            let fault = |code: i64, text: &str| Answer::Json(200, json!({"errcode": code, "errmsg": text}));
            if call.path == "/cgi-bin/stable_token" {
                let asked =
                    json!({"grant_type": "client_credential", "appid": "wx1", "secret": "app-secret"});
                if call.json() != asked {
                    return fault(40125, "invalid appsecret");
                }
                *given += 1;
                return Answer::Json(200, json!({"access_token": format!("T{given}"), "expires_in": 7200}));
            }
            let Some(token) = call.path.strip_prefix(SEND) else { return Answer::Status(404) };
            if token != format!("T{given}") {
                return fault(42001, "access_token expired");
            }
            let body = call.json();
            let sound = match body["msgtype"].as_str() {
                Some("text") => body["text"]["content"].as_str().is_some_and(|text| text.len() <= 2_048),
                Some("msgmenu") => body["msgmenu"]["list"].as_array().is_some_and(|list| !list.is_empty()),
                _ => false,
            };
            if sound && body["touser"] == "u1" { fault(0, "ok") } else { fault(47001, "data format error") }
        });
        Self { receiver, tokens }
    }

    fn house(&self, more: Value) -> House {
        let mut settings =
            json!({"app_id": "wx1", "token": "tok", "url": self.receiver.url, "private": true});
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            settings[&name] = value;
        }
        House::new("wechat", &settings)
    }
}

fn stamps(house: &House) -> (String, String) {
    ((house.now() / 1000).to_string(), "n-1".to_owned())
}

/// A message in plain text, as WeChat posts it.
fn post(house: &House, inner: &[(&str, &str)]) -> Result<Words, Refused> {
    let (stamp, nonce) = stamps(house);
    let signed = signature(&["tok", &stamp, &nonce]);
    let mut fields = vec![("ToUserName", "gh_1"), ("FromUserName", "u1"), ("CreateTime", stamp.as_str())];
    fields.extend_from_slice(inner);
    let query = [("signature", signed), ("timestamp", stamp.clone()), ("nonce", nonce)];
    house.receive(&query, &[], Some(&xml(&fields)))
}

pub fn says(house: &House, id: &str, text: &str) -> String {
    let words = post(house, &[("MsgType", "text"), ("Content", text), ("MsgId", id)]).expect("taken");
    let Ok(fields) = Fields::read(&words.body) else { return words.body };
    fields.get("Content").or(fields.get("MsgType")).unwrap_or_default().to_owned()
}

#[test]
fn wechat_gets_its_reply_at_once_and_the_same_one_again() {
    let wechat = WeChat::new();
    let house = wechat.house(json!({}));
    // The account's own answer, not the common one.
    assert_eq!(says(&house, "1", "怎么修改收货地址"), "点菜单“我的订单”修改。");
    assert_eq!(says(&house, "1", "怎么修改收货地址"), "点菜单“我的订单”修改。", "a retry");
    assert_eq!(house.lines("u1").len(), 2, "and it is heard once");
    // Whatever the order in which they come.
    assert_eq!(says(&house, "3", "支持货到付款吗"), "部分地区支持。");
    assert_eq!(says(&house, "2", "怎么开电子发票"), "订单完成后在“我的发票”里申请。");
    assert_eq!(says(&house, "3", "支持货到付款吗"), "部分地区支持。");
    assert_eq!(house.lines("u1").len(), 6);

    let subscribed = [("MsgType", "event"), ("Event", "subscribe")];
    let greeted = post(&house, &subscribed).expect("taken").body;
    assert!(greeted.contains("您好，请问有什么可以帮您"), "{greeted}");
    assert_eq!(post(&house, &subscribed).expect("taken").body, greeted);
    assert_eq!(house.lines("u1").len(), 7);
    let image = [("MsgType", "image"), ("PicUrl", "http://p/1"), ("MsgId", "9")];
    assert!(post(&house, &image).expect("taken").body.contains("只能看懂文字"));

    // Nobody else is believed, and what is no message is refused.
    let (stamp, nonce) = stamps(&house);
    let query = |signature: &str| {
        [("signature", signature.to_owned()), ("timestamp", stamp.clone()), ("nonce", nonce.clone())]
    };
    let right = signature(&["tok", &stamp, &nonce]);
    let wrong = house.receive(&query(&signature(&["other"])), &[], Some("<xml></xml>"));
    assert!(matches!(wrong, Err(Refused::Unsigned(_))));
    let bomb = "<!DOCTYPE x [<!ENTITY a \"b\">]><xml><FromUserName>&a;</FromUserName></xml>";
    assert!(matches!(house.receive(&query(&right), &[], Some(bomb)), Err(Refused::Malformed(_))));
    assert!(matches!(house.receive(&query(&right), &[], Some("<xml/>")), Err(Refused::Malformed(_))));
    let mut checked = query(&right).to_vec();
    checked.push(("echostr", "4375".to_owned()));
    assert_eq!(house.receive(&checked, &[], None).expect("checked").body, "4375");
    house.settled();
    assert!(wechat.receiver.calls().is_empty(), "without a secret nothing is called");
}

#[test]
fn an_account_counts_under_the_name_that_it_is_given() {
    let house = WeChat::new().house(json!({"channel": "vip"}));
    // Entries have answers for `wechat`, and this is another channel.
    assert_eq!(says(&house, "1", "怎么修改收货地址"), "发货前可在订单详情里修改。");
    post(&house, &[("MsgType", "image"), ("PicUrl", "http://p/1"), ("MsgId", "2")]).expect("taken");
    assert_eq!(house.conversation("u1").channel.as_deref(), Some("vip"));
}

#[test]
fn wechat_in_safe_mode_is_answered_with_the_key_that_it_used() {
    let (old, new) = ("a".repeat(43), "b".repeat(43));
    let house = WeChat::new().house(json!({"aes_key": new, "previous_aes_key": old}));
    // Asked twice, a question is one that was not answered: each key has its own.
    let asked = [("支持货到付款吗", "部分地区支持。"), ("怎么开电子发票", "订单完成后在“我的发票”里申请。")];
    for (number, (key, (question, answer))) in [&old, &new].into_iter().zip(asked).enumerate() {
        let key = Key::read(key).expect("a key");
        let (stamp, nonce) = stamps(&house);
        let id = format!("m-{number}");
        let inner = json!({"ToUserName": "gh_1", "FromUserName": "u1", "CreateTime": 1, "MsgType": "text",
            "Content": question, "MsgId": id});
        let sealed = key.seal(inner.to_string().as_bytes(), "wx1", [7; 16]);
        let signed = signature(&["tok", &stamp, &nonce, &sealed]);
        let query = [("msg_signature", signed), ("timestamp", stamp), ("nonce", nonce.clone())];
        let words = house.receive(&query, &[], Some(&json!({"Encrypt": sealed}).to_string())).expect("taken");
        let reply: Value = serde_json::from_str(&words.body).expect("JSON, as it was asked");
        let sealed = reply["Encrypt"].as_str().expect("sealed");
        let signed = signature(&["tok", &reply["TimeStamp"].to_string(), &nonce, sealed]);
        assert_eq!(reply["MsgSignature"], signed);
        let plain: Value = serde_json::from_slice(&key.open(sealed, "wx1").expect("opened")).expect("JSON");
        assert_eq!(plain["Content"], answer);
    }
    assert!(matches!(post(&house, &[("MsgType", "text"), ("Content", "x")]), Err(Refused::Unsigned(_))));
}

#[test]
fn people_write_in_wechat_until_the_quota_is_used_up_and_see_it() {
    let wechat = WeChat::new();
    let house = wechat.house(json!({"app_secret": "app-secret"}));
    assert_eq!(says(&house, "1", "转人工"), "正在为您转接人工客服，请稍候。");
    house.act("u1", Step::Claim, None);
    assert_eq!(says(&house, "2", "在吗"), "success", "a person has it");
    for number in 1..=6 {
        house.act("u1", Step::Reply, Some(&format!("第{number}条")));
        house.settled();
        if number == 2 {
            // The platform forgets the token: a new one is fetched, and nothing is lost.
            *wechat.tokens.lock().expect("no panic") += 10;
        }
    }
    let calls = wechat.receiver.calls();
    let said: Vec<String> = calls
        .iter()
        .filter(|call| call.path == format!("{SEND}T1") || call.path == format!("{SEND}T12"))
        .map(|call| call.json()["text"]["content"].as_str().expect("words").to_owned())
        .collect();
    assert_eq!(said, ["第1条", "第2条", "第3条", "第3条", "第4条", "第5条"], "the third was refused once");
    assert_eq!(posts(&calls, "/cgi-bin/stable_token"), 2);
    // The sixth lies with the dead letters, stands in the conversation, and the desk was
    // told before.
    let dead = house.dead();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].error.as_deref().is_some_and(|why| why.contains("used up")), "{:?}", dead[0].error);
    let events: Vec<String> = house
        .lines("u1")
        .into_iter()
        .filter(|line| line.role == Role::Event && line.data.is_some())
        .map(|line| line.text)
        .collect();
    assert_eq!(events, ["quota", "quota", "undelivered"]);
    let news = house.desk.talk().news(0, 100).expect("read");
    assert_eq!(news.iter().filter(|one| one.kind == "undelivered").count(), 1);
    // When the customer writes again there is room again, for the letter too.
    says(&house, "3", "还在吗");
    house.desk.talk().replay(dead[0].seq, house.now()).expect("due again");
    house.desk.wake();
    house.settled();
    let last = wechat.receiver.calls().last().expect("a call").json();
    assert_eq!(last["text"]["content"], "第6条");
}

#[test]
fn an_outage_of_wechat_loses_nothing_and_doubles_nothing() {
    let wechat = WeChat::new();
    let house = wechat.house(json!({"app_secret": "app-secret"}));
    says(&house, "1", "转人工");
    house.act("u1", Step::Claim, None);
    let busy = || Answer::Json(200, json!({"errcode": 45009, "errmsg": "reach max api daily quota limit"}));
    // No token, no answer, too many calls; then it is well.
    wechat.receiver.next([Answer::Status(502)]);
    house.act("u1", Step::Reply, Some("一"));
    house.act("u1", Step::Reply, Some("二"));
    let attempts = |count: i32| {
        move |house: &House| {
            let due = house.desk.talk().due_jobs(None, 10).expect("read");
            due.iter().any(|job| job.attempts == count && job.worker.is_none())
        }
    };
    house.wait(attempts(1));
    wechat.receiver.next([Answer::Json(200, json!({"access_token": "T0", "expires_in": 7200})), busy()]);
    house.after(10);
    house.wait(attempts(2));
    house.after(60);
    house.settled();
    let sent: Vec<Value> = wechat
        .receiver
        .calls()
        .iter()
        .filter(|call| call.path == format!("{SEND}T0"))
        .map(|call| call.json()["text"]["content"].clone())
        .collect();
    assert_eq!(sent, [json!("一"), json!("一"), json!("二")], "the first was refused once");
    assert!(house.dead().is_empty());
}

#[test]
fn wechats_own_desk_takes_over_and_gives_back() {
    let wechat = WeChat::new();
    let house = wechat.house(json!({"app_secret": "app-secret", "people": "platform"}));
    assert_eq!(says(&house, "1", "转人工"), "transfer_customer_service");
    house.settled();
    assert_eq!(
        wechat.receiver.calls().last().expect("a word").json()["text"]["content"],
        "正在为您转接人工客服，请稍候。"
    );
    assert_eq!(says(&house, "2", "在吗"), "transfer_customer_service", "it waits there");
    let event = |name| post(&house, &[("MsgType", "event"), ("Event", name), ("KfAccount", "a@shop")]);
    assert_eq!(event("kf_create_session").expect("taken").body, "success");
    assert_eq!(house.conversation("u1").owner, Owner::Agent);
    assert_eq!(event("kf_close_session").expect("taken").body, "success");
    assert_eq!(house.conversation("u1").owner, Owner::Closed);
    assert_eq!(says(&house, "3", "支持货到付款吗"), "部分地区支持。");
    // Half an hour without a word, and what is said comes here again.
    says(&house, "4", "转人工");
    event("kf_create_session").expect("taken");
    assert_eq!(house.conversation("u1").owner, Owner::Agent);
    assert_eq!(says(&house, "5", "支持货到付款吗"), "部分地区支持。");
}

#[test]
fn several_processes_share_a_token() {
    let wechat = WeChat::new();
    let house = wechat.house(json!({"app_secret": "app-secret"}));
    says(&house, "1", "转人工");
    house.act("u1", Step::Claim, None);
    let others: Vec<Desk> = (0..3).map(|_| house.another()).collect();
    for number in 0..4 {
        house.act("u1", Step::Reply, Some(&format!("{number}")));
    }
    std::thread::scope(|scope| {
        for desk in &others {
            scope.spawn(|| desk.deliver_due());
        }
    });
    house.settled();
    let calls = wechat.receiver.calls();
    assert_eq!((posts(&calls, "/cgi-bin/stable_token"), posts(&calls, SEND)), (1, 4));
}

pub fn ding(house: &House, id: &str, text: &str, hook: &str, secret: &str) -> Result<Words, Refused> {
    let stamp = house.now();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{stamp}\n{secret}").as_bytes());
    let headers = [("timestamp", stamp.to_string()), ("sign", STANDARD.encode(mac.finalize().into_bytes()))];
    let body = json!({
        "msgtype": "text", "text": {"content": text}, "msgId": id, "conversationType": "1",
        "conversationId": "cid1", "senderStaffId": "u1", "senderNick": "张三",
        "sessionWebhook": hook, "sessionWebhookExpiredTime": house.now() + 3_600_000,
    });
    house.receive(&[], &headers, Some(&body.to_string()))
}

#[test]
fn dingtalk_is_replied_to_where_it_says_and_heard_once() {
    let receiver = Receiver::scripted(|_| Answer::Json(200, json!({"errcode": 0, "errmsg": "ok"})));
    let host = receiver.url.trim_start_matches("http://").to_owned();
    let settings = json!({"app_id": "ding1", "app_secret": "s3cret", "private": true, "reply_hosts": [host]});
    let house = House::new("dingtalk", &settings);
    let hook = format!("{}/robot/sendBySession?session=1", receiver.url);
    assert_eq!(
        ding(&house, "m1", "支持货到付款吗", &hook, "s3cret").expect("taken").body,
        r#"{"msgtype":"empty"}"#
    );
    ding(&house, "m1", "支持货到付款吗", &hook, "s3cret").expect("taken");
    receiver.wait_for(|calls| calls.len() == 1);
    house.settled();
    let calls = receiver.calls();
    assert_eq!(calls.len(), 1, "once, however often it comes");
    assert_eq!(calls[0].json(), json!({"msgtype": "text", "text": {"content": "部分地区支持。"}}));
    assert!(matches!(ding(&house, "m2", "x", &hook, "other"), Err(Refused::Unsigned(_))));
    assert!(matches!(ding(&house, "m3", "x", "https://evil.example/", "s3cret"), Err(Refused::Malformed(_))));

    // A person's words go where the customer wrote last, as long as that is good.
    ding(&house, "m4", "转人工", &hook, "s3cret").expect("taken");
    house.settled();
    let other = format!("{}/robot/sendBySession?session=2", receiver.url);
    ding(&house, "m5", "在吗", &other, "s3cret").expect("taken");
    house.settled();
    house.act("cid1:u1", Step::Claim, None);
    house.act("cid1:u1", Step::Reply, Some("您好"));
    house.settled();
    assert_eq!(receiver.calls().last().expect("a call").path, "/robot/sendBySession?session=2");
    house.after(4_000);
    house.act("cid1:u1", Step::Claim, None);
    house.act("cid1:u1", Step::Reply, Some("还在吗"));
    house.settled();
    assert!(house.dead()[0].error.as_deref().is_some_and(|why| why.contains("write again")));
}

#[test]
fn what_came_in_is_left_to_whoever_holds_the_knowledge_base_for_a_moment() {
    let receiver = Receiver::scripted(|_| Answer::Json(200, json!({"errcode": 0, "errmsg": "ok"})));
    let host = receiver.url.trim_start_matches("http://").to_owned();
    let settings = json!({"app_id": "ding1", "app_secret": "s3cret", "private": true, "reply_hosts": [host]});
    let house = House::new("dingtalk", &settings);
    // It holds others.
    let _ = house.desk.clone().with_share(|kb| kb != "demo");
    let hook = format!("{}/robot/sendBySession?session=1", receiver.url);
    let take = |id: &str| ding(&house, id, "支持货到付款吗", &hook, "s3cret").expect("taken");
    take("m1");
    // Longer than between several looks.
    std::thread::sleep(Duration::from_millis(1_500));
    let due = house.desk.talk().due_jobs(None, 10).expect("read");
    assert_eq!((due.len(), due[0].target.as_str(), due[0].attempts), (1, "inbox:shop", 0));
    // Nobody else is there: then it does so itself.
    house.after(3);
    house.settled();
    assert_eq!(receiver.calls().len(), 1);
    // Who holds it does so at once.
    let holder = house.another();
    take("m2");
    holder.wake();
    house.settled();
    assert_eq!(receiver.calls().len(), 2);
}

#[test]
fn feishu_is_heard_once_and_replied_to_under_a_name() {
    let receiver = Receiver::scripted(|call| match call.path.as_str() {
        "/open-apis/auth/v3/tenant_access_token/internal" => {
            Answer::Json(200, json!({"code": 0, "msg": "ok", "tenant_access_token": "t-1", "expire": 7200}))
        }
        "/open-apis/im/v1/messages/om_1/reply" if call.header("authorization") == "Bearer t-1" => {
            Answer::Json(200, json!({"code": 0, "msg": "success", "data": {}}))
        }
        _ => Answer::Json(400, json!({"code": 99991663, "msg": "token invalid"})),
    });
    let settings = json!({"app_id": "cli_1", "app_secret": "s", "encrypt_key": "word", "token": "v",
        "url": receiver.url, "private": true});
    let house = House::new("feishu", &settings);
    let send = |event: &str, word: &str| {
        let inner = json!({
            "schema": "2.0",
            "header": {"event_id": event, "event_type": "im.message.receive_v1", "token": "v"},
            "event": {"sender": {"sender_id": {"open_id": "ou_1"}, "sender_type": "user"},
                "message": {"message_id": "om_1", "chat_id": "oc_1", "message_type": "text",
                    "content": json!({"text": "支持货到付款吗"}).to_string()}},
        });
        let body = json!({"encrypt": seal_feishu(inner.to_string().as_bytes(), "word", [3; 16])}).to_string();
        let stamp = (house.now() / 1000).to_string();
        let signed = hex(&Sha256::digest(format!("{stamp}n{word}{body}").as_bytes()));
        let headers = [
            ("x-lark-request-timestamp", stamp),
            ("x-lark-request-nonce", "n".to_owned()),
            ("x-lark-signature", signed),
        ];
        house.receive(&[], &headers, Some(&body))
    };
    assert!(matches!(send("e1", "other"), Err(Refused::Unsigned(_))));
    // The first attempt to reply fails after the platform took it: the same name again.
    receiver.next([Answer::Json(
        200,
        json!({"code": 0, "msg": "ok", "tenant_access_token": "t-0", "expire": 7200}),
    )]);
    send("e1", "word").expect("taken");
    send("e1", "word").expect("taken");
    let replied = |calls: &[Call]| posts(calls, "/open-apis/im/v1/messages/om_1/reply") == 2;
    let calls = receiver.wait_for(replied);
    house.settled();
    let replies: Vec<&Call> = calls.iter().filter(|call| call.path.ends_with("/reply")).collect();
    assert_eq!(replies[0].header("authorization"), "Bearer t-0", "refused");
    assert_eq!(replies[0].json(), replies[1].json());
    assert_eq!(replies[1].json()["content"], json!({"text": "部分地区支持。"}).to_string());
    assert_eq!(replies[1].json()["uuid"].as_str().map(str::len), Some(40));
    assert_eq!(receiver.calls().len(), 4, "two tokens, two attempts");
}

//! Pictures and links beside an answer: in files, in replies, on every channel.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::channels::envelope::{hex, seal_feishu};
use zhida::kb::formats;
use zhida::server::router;
use zhida::store::Store;

use crate::http::{Got, admission, ask, get, post, publish, send, server_over};
use crate::messengers::{House, ding, says};
use crate::receiver::{Answer, Call, Receiver};
use crate::support::SMALL_KB;

const QUESTION: &str = "在哪里申请退货";

/// The small knowledge base, and an entry that shows something.
fn entries() -> String {
    let entry = json!({
        "id": "return", "question": QUESTION, "answer": "在订单里申请。",
        "images": [{"url": "https://shop.example/r.png", "alt": "退货入口"}],
        "links": [
            {"title": "退货页面", "url": "https://shop.example/r?a=1&b=2", "text": "七天内",
                "image": "https://shop.example/c.png"},
            {"title": "规则", "url": "https://shop.example/rules"},
        ],
        "tags": ["售后", "退货"],
    });
    format!("{entry}\n{SMALL_KB}")
}

const LINES: &str = "在订单里申请。\n退货入口：https://shop.example/r.png\n退货页面（七天内）：https://shop.example/r?a=1&b=2\n规则：https://shop.example/rules";

async fn sent(app: &axum::Router, method: &str, path: &str, body: Value) -> Got {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::IF_MATCH, "*");
    send(app, request.body(Body::from(body.to_string())).expect("a request")).await
}

#[tokio::test]
async fn replies_and_conversations_tell_what_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", &entries(), None);
    let app = router(server_over(folder.path(), admission()));
    let reply = ask(&app, json!({"text": QUESTION})).await.json();
    assert_eq!(reply["answer"]["images"], json!([{"url": "https://shop.example/r.png", "alt": "退货入口"}]));
    assert_eq!(reply["answer"]["links"][1], json!({"title": "规则", "url": "https://shop.example/rules"}));
    assert_eq!(reply["answer"]["text"], "在订单里申请。");
    // Who shows nothing says nothing of it, as before.
    let plain = ask(&app, json!({"text": "支持货到付款吗"})).await.json();
    let fields: Vec<&String> = plain["answer"].as_object().expect("an answer").keys().collect();
    assert_eq!(fields, ["entry", "question", "text"]);

    ask(&app, json!({"text": QUESTION, "session": "u-1"})).await;
    let told = get(&app, "/v1/conversations/u-1").await.json();
    let turn = &told["turns"][1];
    assert_eq!((&turn["text"], &turn["links"][0]["text"]), (&json!("在订单里申请。"), &json!("七天内")));
    assert_eq!(turn["images"][0]["alt"], "退货入口");
    assert!(told["turns"][0].get("images").is_none(), "{told}");

    // The test window shows it too.
    let asked: String = form_urlencoded::byte_serialize(QUESTION.as_bytes()).collect();
    let page = loop {
        let got = get(&app, &format!("/console/kb/demo/try?text={asked}")).await;
        // The draft is made ready first; whoever looks again meanwhile is told that somebody does so.
        match got.status {
            StatusCode::OK => break got,
            StatusCode::CONFLICT => {}
            status => assert_eq!(status, StatusCode::SEE_OTHER, "{}", got.text()),
        }
        tokio::task::yield_now().await;
    };
    assert!(page.text().contains("https://shop.example/r?a=1&amp;b=2"), "{}", page.text());
}

#[tokio::test]
async fn entries_take_cells_and_refuse_what_is_no_address() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", &entries(), None);
    let app = router(server_over(folder.path(), admission()));
    let place = "/v1/kbs/demo/entries/cod?draft=true";
    let patched = sent(&app, "PATCH", place, json!({"links": "规则 | https://shop.example/rules"})).await;
    assert_eq!(patched.json()["links"], json!([{"title": "规则", "url": "https://shop.example/rules"}]));
    for (field, wrong) in [
        ("links", json!([{"title": "x", "url": "javascript:alert(1)"}])),
        ("links", json!("x | javascript:alert(1)")),
        ("links", json!([{"title": "", "url": "https://shop.example/"}])),
        ("images", json!([{"url": "data:image/png;base64,x"}])),
        ("images", json!([{"url": "/v1/files/1"}])),
        ("images", json!(vec![json!({"url": "https://shop.example/x.png"}); 10])),
        ("images", json!([{"url": "https://shop.example/x.png", "onerror": "x"}])),
    ] {
        let problem = sent(&app, "PATCH", place, json!({field: wrong})).await.problem(422, "invalid-entry");
        assert!(problem["problems"][0]["field"].as_str().is_some_and(|told| told == field), "{problem}");
    }
    let taken = sent(&app, "PATCH", place, json!({"links": []})).await;
    assert!(taken.json().get("links").is_none(), "{}", taken.text());
    // The history tells it, and a check asks for words.
    sent(&app, "PATCH", place, json!({"images": "http://shop.example/x.png"})).await;
    let history = get(&app, "/v1/kbs/demo/history?entry=cod&limit=1").await.json();
    assert_eq!(history["revisions"][0]["after"]["images"][0]["url"], "http://shop.example/x.png");
    let base = Store::at(folder.path()).shelf("demo").expect("there").draft().expect("read");
    let found = zhida::kb::check::check(&base, time::OffsetDateTime::now_utc());
    let codes: Vec<&str> = found.iter().filter(|one| one.entries[0].0 == "cod").map(|one| one.code).collect();
    assert!(codes.contains(&"image_without_words") && codes.contains(&"insecure_address"), "{codes:?}");
}

#[test]
fn a_column_that_was_passed_over_stays_so() {
    use zhida::kb::KnowledgeBase;
    use zhida::kb::formats::{Format, Incoming, Reading};
    use zhida::kb::merge::Mode;
    let table = "标准问题,答案,图片,链接\n怎么退,在订单里申请。,截图一,\n";
    let read = |reading: &Reading<'_>| {
        Incoming::of_bytes("t", Format::Csv, table.as_bytes(), reading)
            .into_base(&KnowledgeBase::default(), Mode::Replace)
    };
    let fault = read(&Reading::default()).expect_err("no address").to_string();
    assert!(fault.contains("截图一") && fault.contains("https://"), "{fault}");
    let remembered = ["图片".to_owned()];
    let base = read(&Reading { remembered: &remembered, ..Reading::default() }).expect("passed over");
    assert!(base.entries()[0].images.is_empty());
}

#[tokio::test]
async fn entries_are_found_and_changed_by_tag() {
    let folder = tempfile::tempdir().expect("a folder");
    let other =
        json!({"id": "o", "question": "售后", "answer": "写着\"售后\"两个字。", "keywords": ["退货"]});
    publish(folder.path(), "demo", &format!("{}{other}\n", entries()), None);
    let app = router(server_over(folder.path(), admission()));
    let found = async |query: &str| -> Vec<String> {
        let page = get(&app, &format!("/v1/kbs/demo/entries?{query}")).await.json();
        let items = page["items"].as_array().expect("items").clone();
        assert_eq!(page["total"], items.len());
        items.iter().map(|item| item["entry"]["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(found("tag=%E5%94%AE%E5%90%8E").await, ["return"], "a word elsewhere is no tag");
    assert_eq!(found("tag=%E9%80%80%E8%B4%A7").await, ["return"], "nor is a keyword");
    assert_eq!(found("tag=nobody").await, Vec::<String>::new());
    assert_eq!(found("tag=").await.len(), 6);
    let outline = get(&app, "/v1/kbs/demo/outline").await.json();
    assert_eq!(outline["tags"], json!({"售后": 1, "退货": 1}));

    let bulk = async |fields: &[(&str, &str)]| {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post("/console/kb/demo/entries/bulk")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let got = send(&app, request.body(Body::from(body)).expect("a request")).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.text());
    };
    bulk(&[("id", "cod"), ("id", "return"), ("do", "tag"), ("tag", "售后")]).await;
    assert_eq!(found("tag=%E5%94%AE%E5%90%8E").await, ["return", "cod"]);
    bulk(&[("id", "cod"), ("id", "return"), ("do", "untag"), ("tag", "售后")]).await;
    assert_eq!(found("tag=%E5%94%AE%E5%90%8E").await, Vec::<String>::new());
    let kept = get(&app, "/v1/kbs/demo/entries/return").await.json();
    assert_eq!(kept["tags"], json!(["退货"]), "others stay");
    bulk(&[("id", "cod"), ("do", "tag"), ("tag", "")]).await;
    assert_eq!(get(&app, "/v1/kbs/demo/entries/cod").await.json()["tags"], json!([]));
    let page = get(&app, "/console/kb/demo/entries?tag=%E9%80%80%E8%B4%A7").await.text();
    assert!(page.contains("value=\"退货\"") && page.contains("在订单里申请。"), "{page}");
}

#[test]
fn wechat_without_messages_of_its_own_shows_lines() {
    let house = House::serving(&entries(), "wechat", &json!({"app_id": "wx1", "token": "tok"}));
    assert_eq!(says(&house, "1", QUESTION), LINES);
    assert_eq!(says(&house, "1", QUESTION), LINES, "a retry");
}

#[test]
fn wechat_shows_articles_as_far_as_its_quota_allows() {
    let receiver = Receiver::scripted(|call| match call.path.as_str() {
        "/cgi-bin/stable_token" => Answer::Json(200, json!({"access_token": "T", "expires_in": 7200})),
        _ => Answer::Json(200, json!({"errcode": 0, "errmsg": "ok"})),
    });
    let settings =
        json!({"app_id": "wx1", "token": "tok", "app_secret": "s", "url": receiver.url, "private": true});
    let house = House::serving(&entries(), "wechat", &settings);
    assert_eq!(says(&house, "1", QUESTION), "success");
    house.settled();
    let bodies: Vec<Value> =
        receiver.calls().iter().filter(|call| call.path.contains("custom/send")).map(Call::json).collect();
    let kinds: Vec<&str> = bodies.iter().map(|body| body["msgtype"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["text", "news", "news"]);
    assert_eq!(bodies[0]["text"]["content"], "在订单里申请。\n规则：https://shop.example/rules");
    let article = json!([{"title": "退货页面", "description": "七天内", "url": "https://shop.example/r?a=1&b=2",
        "picurl": "https://shop.example/c.png"}]);
    assert_eq!(bodies[2]["news"]["articles"], article);
}

#[test]
fn dingtalk_shows_a_card_behind_the_words() {
    let receiver = Receiver::scripted(|_| Answer::Json(200, json!({"errcode": 0, "errmsg": "ok"})));
    let host = receiver.url.trim_start_matches("http://").to_owned();
    let settings = json!({"app_id": "ding1", "app_secret": "s3cret", "private": true, "reply_hosts": [host]});
    let house = House::serving(&entries(), "dingtalk", &settings);
    ding(&house, "m1", QUESTION, &format!("{}/robot?session=1", receiver.url), "s3cret").expect("taken");
    house.settled();
    let bodies: Vec<Value> = receiver.calls().iter().map(Call::json).collect();
    assert_eq!(bodies[0], json!({"msgtype": "text", "text": {"content": "在订单里申请。"}}));
    assert_eq!((bodies.len(), &bodies[1]["msgtype"]), (2, &json!("actionCard")));
    let card = &bodies[1]["actionCard"];
    assert_eq!(card["btns"][1], json!({"title": "规则", "actionURL": "https://shop.example/rules"}));
    let text = card["text"].as_str().expect("text");
    assert!(text.starts_with("![退货入口](https://shop.example/r.png)"), "{text}");
}

#[test]
fn feishu_shows_links_in_a_post_behind_the_words() {
    let receiver = Receiver::scripted(|call| {
        let token = json!({"code": 0, "msg": "ok", "tenant_access_token": "t-1", "expire": 7200});
        let is_token = call.path.contains("tenant_access_token");
        Answer::Json(200, if is_token { token } else { json!({"code": 0, "msg": "ok", "data": {}}) })
    });
    let settings = json!({"app_id": "cli_1", "app_secret": "s", "encrypt_key": "word", "token": "v",
        "url": receiver.url, "private": true});
    let house = House::serving(&entries(), "feishu", &settings);
    let inner = json!({
        "schema": "2.0",
        "header": {"event_id": "e1", "event_type": "im.message.receive_v1", "token": "v"},
        "event": {"sender": {"sender_id": {"open_id": "ou_1"}, "sender_type": "user"},
            "message": {"message_id": "om_1", "chat_id": "oc_1", "message_type": "text",
                "content": json!({"text": QUESTION}).to_string()}},
    });
    let body = json!({"encrypt": seal_feishu(inner.to_string().as_bytes(), "word", [3; 16])}).to_string();
    let stamp = (house.now() / 1000).to_string();
    let signed = hex(&<sha2::Sha256 as sha2::Digest>::digest(format!("{stamp}nword{body}").as_bytes()));
    let headers = [
        ("x-lark-request-timestamp", stamp),
        ("x-lark-request-nonce", "n".to_owned()),
        ("x-lark-signature", signed),
    ];
    house.receive(&[], &headers, Some(&body)).expect("taken");
    house.settled();
    let replies: Vec<Value> =
        receiver.calls().iter().filter(|call| call.path.ends_with("/reply")).map(Call::json).collect();
    assert_eq!(
        (replies[0]["msg_type"].as_str(), replies[1]["msg_type"].as_str()),
        (Some("text"), Some("post"))
    );
    assert_ne!(replies[0]["uuid"], replies[1]["uuid"], "each has a name of its own");
    let content: Value =
        serde_json::from_str(replies[1]["content"].as_str().expect("JSON in a text")).expect("JSON");
    assert_eq!(content["zh_cn"]["content"][1][0]["href"], "https://shop.example/r?a=1&b=2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handoffs_are_counted_and_people_get_the_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", &entries(), None);
    let app = router(server_over(folder.path(), admission()));
    assert_eq!(get(&app, "/v1/handoffs/count").await.json(), json!({"waiting": 0, "taken": 0}));
    ask(&app, json!({"text": QUESTION, "session": "u-1"})).await;
    for session in ["u-1", "u-2"] {
        ask(&app, json!({"text": "转人工", "session": session})).await;
    }
    assert_eq!(get(&app, "/v1/handoffs/count").await.json(), json!({"waiting": 2, "taken": 0}));
    let first = get(&app, "/v1/handoffs?state=waiting").await.json()["items"][0].clone();
    let id = first["id"].as_str().expect("an id");
    post(&app, &format!("/v1/handoffs/{id}/claim"), json!({"agent": "小王"})).await;
    assert_eq!(get(&app, "/v1/handoffs/count?kb=demo").await.json(), json!({"waiting": 1, "taken": 1}));
    let page = get(&app, "/console").await.text();
    assert!(page.contains("等待人工的顾客：1"), "{page}");
    // What stood beside the answer stands in the transcript, as places to open.
    let page = get(&app, &format!("/console/desk/{id}")).await.text();
    assert!(page.contains("href=\"https://shop.example/r?a=1&amp;b=2\""), "{page}");
}

#[test]
fn nothing_is_lost_between_a_file_and_its_copy() {
    let base = formats::read_jsonl("t", entries().as_bytes()).expect("sound");
    let folder = tempfile::tempdir().expect("a folder");
    for ending in ["jsonl", "csv", "xlsx"] {
        let path = folder.path().join(format!("t.{ending}"));
        formats::write(&base, &path).expect("written");
        assert_eq!(formats::read(&path).expect("read").entries(), base.entries(), "{ending}");
    }
    // What shows nothing is written as it always was.
    let lines = String::from_utf8(formats::written(&base, formats::Format::Jsonl).expect("written"));
    let lines = lines.expect("UTF-8");
    assert_eq!(lines.lines().filter(|line| line.contains("\"images\"")).count(), 1);
}

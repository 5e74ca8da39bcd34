//! What somebody tries who may do a little and wants more.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::access::{Limits, Role};
use zhida::server::router;
use zhida::store::NewKey;

use crate::http::{Got, admission, publish, send, server_over};
use crate::people::{Browser, person};
use crate::support::SMALL_KB;

struct House {
    folder: tempfile::TempDir,
    app: axum::Router,
}

impl House {
    fn new() -> Self {
        Self::after(|_| {})
    }

    /// After something was done in it, which a server on PostgreSQL would else hear of later.
    fn after(what: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        publish(folder.path(), "demo", SMALL_KB, None);
        what(folder.path());
        let app = router(server_over(folder.path(), admission()));
        Self { folder, app }
    }

    fn key(&self, tenant: &str, role: Role, change: impl FnOnce(&mut NewKey)) -> String {
        crate::support::key(&crate::support::store(self.folder.path()), tenant, role, change).0
    }

    async fn ask(&self, key: &str, method: &str, path: &str, body: Value) -> Got {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json");
        let body = if method == "GET" { Body::empty() } else { Body::from(body.to_string()) };
        send(&self.app, request.body(body).expect("a request")).await
    }
}

#[tokio::test]
async fn what_is_only_tried_is_only_what_can_be_tried() {
    let house = House::new();
    let admin = house.key("default", Role::Admin, |_| {});
    let made = house.ask(&admin, "POST", "/v1/keys?dry_run=true", json!({"role": "admin"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let audit = house.ask(&admin, "GET", "/v1/audit", json!({})).await.text();
    assert!(audit.contains("create_key"), "whatever stands in its address: {audit}");
    // What knows how to be tried changes nothing, and is no change.
    let tried = house.ask(
        &admin,
        "POST",
        "/v1/kbs/demo/import?format=jsonl&mode=add&dry_run=true",
        json!({"id": "x", "question": "几点上班", "answer": "九点"}),
    );
    let tried = tried.await;
    assert_eq!(tried.json()["dry_run"], true, "{}", tried.text());
    let audit = house.ask(&admin, "GET", "/v1/audit", json!({})).await.text();
    assert!(!audit.contains("import_kb"), "{audit}");
}

#[tokio::test]
async fn a_form_of_another_site_is_not_even_shown() {
    let mut known = None;
    let house = House::after(|folder| {
        let anna = person(folder, "default", "anna", Role::Admin);
        known = Some((Browser::of(folder, &anna), anna));
    });
    let (browser, anna) = known.expect("anna");
    let sent = async |origin: Option<&str>, cookie: bool| {
        let mut request = Request::post(format!("/console/admin/people/{}", anna.id))
            .header(header::HOST, "faq.example")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        if cookie {
            request = request.header(header::COOKIE, &browser.cookie);
        }
        send(&house.app, request.body(Body::from("role=ask&display_name=boss")).expect("a request")).await
    };
    // A browser leaves the cookie away, and one press of a button would send it with it.
    for cookie in [false, true] {
        let got = sent(Some("https://evil.example"), cookie).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{}", got.text());
        assert!(!got.text().contains("boss") && !got.text().contains("data-resend"), "{}", got.text());
    }
    // Whose session has ended gets back what they have filled in.
    let got = sent(Some("https://faq.example"), false).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert!(got.text().contains("boss") && got.text().contains("data-resend"), "{}", got.text());
}

#[tokio::test]
async fn nobody_sends_files_and_novels() {
    let house = House::after(|folder| drop(person(folder, "default", "anna", Role::Admin)));
    let sent = async |kind: &str, body: Vec<u8>| {
        let request = Request::post("/console/kb/demo/import")
            .header(header::HOST, "faq.example")
            .header(header::CONTENT_TYPE, kind);
        send(&house.app, request.body(Body::from(body)).expect("a request")).await
    };
    let file = b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nid".to_vec();
    let got = sent("multipart/form-data; boundary=x", file).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED, "before it has arrived: {}", got.text());
    let novel = [b"note=".to_vec(), vec![b'a'; 300 << 10]].concat();
    let request = Request::post("/console/language").header(header::HOST, "faq.example");
    let got = send(&house.app, request.body(Body::from(novel)).expect("a request")).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn whoever_signs_in_is_led_nowhere_else() {
    let house = House::after(|folder| drop(person(folder, "default", "anna", Role::Admin)));
    for (next, place) in [
        ("/console/kb/demo?q=%25E9%2580%2580", "/console/kb/demo?q=%E9%80%80"),
        ("/%09/evil.example", "/console"),
        ("//evil.example", "/console"),
        ("/%5Cevil.example", "/console"),
        ("https://evil.example", "/console"),
    ] {
        let request = Request::post(format!("/login?next={next}"))
            .header(header::HOST, "faq.example")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let password: String = crate::people::PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let body = format!("name=anna&password={password}");
        let got = send(&house.app, request.body(Body::from(body)).expect("a request")).await;
        assert_eq!(got.header(header::LOCATION), place, "{next}: {} {}", got.status, got.text());
    }
}

#[tokio::test]
async fn what_may_call_this_house_is_not_led_elsewhere_in_it() {
    let house = House::new();
    let store = crate::support::store(house.folder.path());
    store.access().create_tenant("acme", &Limits::default()).expect("a tenant");
    publish(&house.folder.path().join("tenants/acme"), "demo", SMALL_KB, None);
    let operator = house.key("default", Role::Admin, |_| {});
    let some = house.key("default", Role::Admin, |new| new.kbs = Some(vec!["demo".to_owned()]));
    let settings = json!({"url": "http://127.0.0.1:9", "token": "t", "secret": "s", "private": true});
    let channel = json!({"name": "cw", "kind": "chatwoot", "kb": "demo", "settings": settings});
    let made = house.ask(&operator, "POST", "/v1/channels", channel).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let change = async |key: &str, settings: Value| {
        house.ask(key, "PATCH", "/v1/channels/cw", json!({"settings": settings})).await
    };
    let other = json!({"url": "http://127.0.0.1:8500", "token": "mine"});
    change(&some, other.clone()).await.problem(403, "forbidden");
    assert_eq!(change(&operator, other).await.status, StatusCode::OK);
    assert_eq!(change(&some, json!({"labels": ["转人工"]})).await.status, StatusCode::OK);
    // Nor is a secret that nobody may read sent to where somebody likes.
    let refused = change(&operator, json!({"url": "http://127.0.0.1:9999"})).await;
    assert_eq!(refused.problem(422, "invalid-field")["field"], "token", "{}", refused.text());
    // The same address is none.
    assert_eq!(change(&operator, json!({"url": "http://127.0.0.1:8500"})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_a_page_says_of_its_customer_vouches_for_nobody() {
    let house = House::new();
    let page = house.key("default", Role::Ask, |new| new.origins = vec!["https://shop.example".to_owned()]);
    let bot = house.key("default", Role::Ask, |_| {});
    let admin = house.key("default", Role::Admin, |_| {});
    for (key, session, told) in [(&page, "p1", Value::Null), (&bot, "b1", json!(true))] {
        let asked = json!({"session": session, "text": "转人工", "fields": {"id": "u-42", "verified": true}});
        let got = house.ask(key, "POST", "/v1/answer", asked).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
        let handoff = got.json()["handoff"]["id"].as_str().expect("a handoff").to_owned();
        let known = house.ask(&admin, "GET", &format!("/v1/handoffs/{handoff}"), json!({})).await.json();
        assert_eq!(known["customer"]["id"], "u-42", "{known}");
        assert_eq!(known["customer"]["verified"], told, "{known}");
    }
}

#[tokio::test]
async fn a_channels_name_is_a_name() {
    let house = House::new();
    let admin = house.key("default", Role::Admin, |_| {});
    let ask = async |channel: &str| {
        house.ask(&admin, "POST", "/v1/answer", json!({"text": "发票", "channel": channel})).await
    };
    for channel in ["长".repeat(101), "a\nb".to_owned()] {
        let refused = ask(&channel).await;
        assert_eq!(refused.problem(422, "invalid-field")["field"], "channel");
    }
    // What says nothing is left out, wherever a database could not keep it.
    let got = house.ask(
        &admin,
        "POST",
        "/v1/answer",
        json!({"text": "发\u{0}票", "channel": "a\u{0}pp", "session": "s"}),
    );
    assert_eq!(got.await.status, StatusCode::OK);
    let lines = house.ask(&admin, "GET", "/v1/conversations/s/messages", json!({})).await.json();
    assert_eq!(lines["items"][0]["text"], "发票", "{lines}");
    // In a spreadsheet it is a text.
    assert_eq!(ask("=HYPERLINK(\"https://evil.example\")").await.status, StatusCode::OK);
    let usage = house.ask(&admin, "GET", "/v1/usage?format=csv", json!({})).await.text();
    assert!(usage.contains("'=HYPERLINK") && !usage.contains(",\"=HYPERLINK"), "{usage}");
    let stats = house.ask(&admin, "GET", "/v1/kbs/demo/stats?by=channel&format=csv", json!({})).await.text();
    assert!(stats.contains("'=HYPERLINK") && !stats.contains("\n\"=HYPERLINK"), "{stats}");
}

#[tokio::test]
async fn conditions_and_limits_are_meant_as_they_are_said() {
    let house = House::new();
    let admin = house.key("default", Role::Admin, |_| {});
    let path = "/v1/kbs/demo/entries/cod";
    let tag = house.ask(&admin, "GET", path, json!({})).await.header(header::ETAG).to_owned();
    // nginx weakens the tag of what it packs.
    let patched = Request::patch(path)
        .header(header::AUTHORIZATION, format!("Bearer {admin}"))
        .header(header::CONTENT_TYPE, "application/merge-patch+json")
        .header(header::IF_MATCH, format!("W/{tag}"));
    let got = send(&house.app, patched.body(Body::from(r#"{"topic":"支付"}"#)).expect("a request")).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let history = async |query: &str| {
        house.ask(&admin, "GET", &format!("/v1/kbs/demo/history?{query}"), json!({})).await
    };
    for (query, field) in [("limit=0", "limit"), ("limit=5000", "limit"), ("entry=cod&of=words", "entry")] {
        assert_eq!(history(query).await.problem(422, "invalid-field")["field"], field, "{query}");
    }
    let goal = async |body: Value| house.ask(&admin, "PUT", "/v1/kbs/demo/goal", body).await;
    assert_eq!(goal(json!({"max_wrong": 0.01})).await.status, StatusCode::OK);
    assert_eq!(goal(json!({})).await.status.as_u16() / 100, 4, "nothing said is no default");
    assert_eq!(goal(json!({"max_wrong": null})).await.json()["max_wrong"], Value::Null);
    // A search is for what authors have written, not for the names of its fields.
    for (text, found) in [("answer", 0), ("enabled", 0), ("true", 0), ("货到付款", 1)] {
        let text: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let listed =
            house.ask(&admin, "GET", &format!("/v1/kbs/demo/entries?q={text}"), json!({})).await.json();
        assert_eq!(listed["total"].as_u64().map(|total| total.min(1)), Some(found), "{text}: {listed}");
    }
}

#[tokio::test]
async fn customers_and_desks_number_their_messages_each_for_themselves() {
    let house = House::new();
    let admin = house.key("default", Role::Admin, |_| {});
    let say = async |text: &str, id: &str| {
        let said = json!({"session": "u", "text": text, "client_id": id});
        house.ask(&admin, "POST", "/v1/answer", said).await.json()
    };
    let handoff = say("转人工", "1").await["handoff"]["id"].as_str().expect("a handoff").to_owned();
    let act = async |step: &str, body: Value| {
        house.ask(&admin, "POST", &format!("/v1/handoffs/{handoff}/{step}"), body).await
    };
    assert_eq!(act("claim", json!({"agent": "小王"})).await.status, StatusCode::OK);
    say("在吗", "2").await;
    for _ in 0..2 {
        let reply = json!({"agent": "小王", "text": "您好", "client_id": "2"});
        assert_eq!(act("reply", reply).await.status, StatusCode::OK);
    }
    let reply = json!({"agent": "小王", "text": "请讲", "client_id": "3"});
    assert_eq!(act("reply", reply).await.status, StatusCode::OK);
    say("我的快递丢了", "3").await;
    say("我的快递丢了", "3").await;
    let lines = house.ask(&admin, "GET", "/v1/conversations/u/messages", json!({})).await.json();
    let texts: Vec<&str> =
        lines["items"].as_array().expect("lines").iter().filter_map(|line| line["text"].as_str()).collect();
    for (text, count) in [("在吗", 1), ("您好", 1), ("请讲", 1), ("我的快递丢了", 1)] {
        assert_eq!(texts.iter().filter(|one| **one == text).count(), count, "{text}: {texts:?}");
    }
}

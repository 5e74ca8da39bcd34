//! Pictures that visitors and agents show each other: to nobody else, and nothing but pictures.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use zhida::desk::pictures::{AN_HOUR, BYTES};
use zhida::server::router;

use crate::http::{Got, admission, get, post, publish, send, server_over};
use crate::support::SMALL_KB;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

struct Shop {
    folder: TempDir,
    app: Router,
    site: String,
}

/// A browser with the panel.
struct Visitor {
    token: String,
    session: String,
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        publish(folder.path(), "demo", SMALL_KB, None);
        let app = router(server_over(folder.path(), admission()));
        let settings = json!({"origins": ["https://shop.example"], "per_visitor": 1000, "per_address": 1000});
        let wanted = json!({"name": "site", "kind": "web", "kb": "demo", "settings": settings});
        let made = post(&app, "/v1/channels", wanted).await.json();
        let site = made["channel"]["site"].as_str().expect("a site").to_owned();
        Self { folder, app, site }
    }

    async fn ask(&self, who: &Visitor, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Got {
        let request = Request::builder()
            .method(method)
            .uri(format!("/widget/{}/conversations/{}{path}", self.site, who.session))
            .header(header::AUTHORIZATION, format!("Bearer {}", who.token))
            .header(header::CONTENT_TYPE, kind);
        send(&self.app, request.body(Body::from(body)).expect("a request")).await
    }

    async fn open(&self) -> Visitor {
        let opened = post(&self.app, &format!("/widget/{}/conversations", self.site), json!({})).await.json();
        let text = |field: &str| opened[field].as_str().expect("a text").to_owned();
        Visitor { token: text("visitor"), session: text("session") }
    }

    async fn say(&self, who: &Visitor, text: &str) {
        let body = json!({"text": text, "client_id": text}).to_string().into_bytes();
        let got = self.ask(who, Method::POST, "/messages", "application/json", body).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    }

    async fn show(&self, who: &Visitor, id: &str, bytes: &[u8]) -> Got {
        let path = format!("/pictures?client_id={id}&name=a.png");
        self.ask(who, Method::POST, &path, "application/octet-stream", bytes.to_vec()).await
    }

    async fn see(&self, who: &Visitor, picture: &str) -> Got {
        self.ask(who, Method::GET, &format!("/pictures/{picture}"), "text/plain", Vec::new()).await
    }
}

fn pictures(told: &Value) -> Vec<&Value> {
    let items = told["items"].as_array().expect("lines");
    items.iter().map(|line| &line["picture"]).filter(|picture| picture.is_object()).collect()
}

#[tokio::test]
async fn a_visitor_shows_a_person_pictures_and_nothing_else() {
    let shop = Shop::new().await;
    let (one, other) = (shop.open().await, shop.open().await);
    // A robot looks at no pictures.
    shop.say(&one, "怎么开电子发票").await;
    assert_eq!(shop.show(&one, "p0", PNG).await.problem(409, "not-now")["field"], "picture");
    shop.say(&one, "转人工").await;
    let shown = shop.show(&one, "p1", PNG).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    let told = shown.json();
    let [picture] = pictures(&told)[..] else { panic!("{told}") };
    assert_eq!((&picture["kind"], &picture["name"]), (&json!("image/png"), &json!("a.png")));
    let id = picture["id"].as_str().expect("an id");
    let again = shop.show(&one, "p1", PNG).await.json();
    assert_eq!(pictures(&again).len(), 1, "under one name it is taken once: {again}");
    for (wrong, bytes) in [("w1", &b"<svg onload=alert(1)>"[..]), ("w2", b"<html>"), ("w3", b"")] {
        shop.show(&one, wrong, bytes).await.problem(422, "invalid-field");
    }
    shop.show(&one, "w4", &[PNG, &vec![0; BYTES]].concat()).await.problem(413, "body-too-large");
    let form = shop.ask(&one, Method::POST, "/pictures?client_id=w5", "multipart/form-data", PNG.to_vec());
    form.await.problem(415, "wrong-content-type");

    // Theirs and the desk's, as a picture and nothing that runs.
    let got = shop.see(&one, id).await;
    assert_eq!((got.status, &got.body[..]), (StatusCode::OK, PNG));
    assert_eq!(got.header(header::CONTENT_TYPE), "image/png");
    assert_eq!(got.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert!(got.header(header::CONTENT_SECURITY_POLICY).contains("sandbox"));
    assert!(got.header(header::CONTENT_DISPOSITION).starts_with("inline; filename=\"picture-"));
    shop.say(&other, "转人工").await;
    shop.see(&other, id).await.problem(404, "not-here");
    let stranger = Visitor { session: one.session.clone(), token: other.token.clone() };
    shop.see(&stranger, id).await.problem(404, "not-here");
    shop.see(&one, "..%2F..%2Fzhida.db").await.problem(404, "not-here");
    let place = format!("/v1/conversations/{}/pictures/{id}?kb=demo", one.session);
    assert_eq!(get(&shop.app, &place).await.body, PNG);

    // An agent shows one back, and the same rules hold.
    let waiting = get(&shop.app, "/v1/handoffs?state=waiting").await.json();
    let items = waiting["items"].as_array().expect("handoffs");
    let handoff = items.iter().find(|one_| one_["conversation"] == json!(one.session)).expect("it waits");
    let handoff = handoff["id"].as_str().expect("an id");
    let back = async |bytes: &[u8]| {
        let request = Request::post(format!("/v1/handoffs/{handoff}/pictures?name=b.gif"))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Body::from(bytes.to_vec()));
        send(&shop.app, request.expect("a request")).await
    };
    back(b"GIF89a\x01\0").await.problem(409, "not-now");
    post(&shop.app, &format!("/v1/handoffs/{handoff}/claim"), json!({})).await;
    back(b"<svg/>").await.problem(422, "invalid-field");
    assert_eq!(back(b"GIF89a\x01\0").await.status, StatusCode::OK);
    let lines = shop.ask(&one, Method::GET, "/messages", "text/plain", Vec::new()).await.json();
    let all = pictures(&lines);
    assert_eq!((all.len(), &all[1]["kind"]), (2, &json!("image/gif")), "{lines}");

    // There is an end to it, and to all of it.
    for number in 1..AN_HOUR {
        let got = shop.show(&one, &format!("more-{number}"), PNG).await;
        assert_eq!(got.status, StatusCode::OK, "{number}: {}", got.text());
    }
    let told = shop.show(&one, "too-many", PNG).await;
    assert_eq!(told.problem(429, "rate-limited")["field"], "picture");
    let store = crate::support::store(shop.folder.path());
    assert_eq!(store.conversations().forget(&one.session).expect("forgotten"), 1);
    let left = std::fs::read_dir(shop.folder.path().join("files")).expect("the folder").count();
    assert_eq!(left, 0, "pictures outlive their conversation");
}

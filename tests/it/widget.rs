//! What may the visitors of a page do, and what not?

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tower::ServiceExt;
use zhida::access::{Limits, Role, moment};
use zhida::desk::web::{Settings, key};
use zhida::server::router;
use zhida::store::{Channel, Expected};

use crate::http::{Got, admission, get, publish, send, server_over};
use crate::store::Desk;
use crate::support::{SMALL_KB, stderr};

const PAGE: &str = "https://shop.example";

/// A new site of a data directory.
fn site(data: &Path, change: impl FnOnce(&mut Settings)) -> Settings {
    let mut site = Settings::new(vec![PAGE.to_owned()], None).expect("randomness");
    // Tests are faster than visitors.
    (site.per_visitor, site.per_address) = (1_000.try_into().expect("many"), 1_000.try_into().expect("many"));
    change(&mut site);
    let channel = Channel {
        id: "shop".to_owned(),
        kind: "web".to_owned(),
        kb: "demo".to_owned(),
        settings: serde_json::to_string(&site).expect("JSON"),
        created_at: 0,
    };
    crate::support::store(data).conversations().add_channel(&channel).expect("added");
    site
}

/// A server with a key, so that nobody comes in without one, and a site on it.
struct Shop {
    _folder: TempDir,
    app: Router,
    site: Settings,
    /// Of somebody at the desk.
    key: String,
}

fn shop(service: &str, change: impl FnOnce(&mut Settings)) -> Shop {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let store = crate::support::store(folder.path());
    if !service.is_empty() {
        let shelf = store.shelf("demo").expect("there");
        shelf.put_service(&Expected::Anything, service, true).expect("a sound document");
    }
    let (key, _) = crate::support::key(&store, "default", Role::Agent, |new| new.name = "王芳".to_owned());
    let site = site(folder.path(), change);
    let app = router(server_over(folder.path(), admission()));
    Shop { app, site, key, _folder: folder }
}

/// A browser with the panel.
#[derive(Clone, Default)]
struct Visitor {
    token: String,
    session: String,
    jwt: Option<String>,
    origin: Option<&'static str>,
}

impl Shop {
    async fn ask(&self, who: &Visitor, method: Method, path: &str, body: Option<Value>) -> Got {
        let mut request =
            Request::builder().method(method).uri(format!("/widget/{}/conversations{path}", self.site.site));
        if !who.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", who.token));
        }
        if let Some(jwt) = &who.jwt {
            request = request.header("zhida-identity", jwt);
        }
        if let Some(origin) = who.origin {
            request = request.header(header::ORIGIN, origin);
        }
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        send(&self.app, request.body(body).expect("a request")).await
    }

    /// Opens a conversation; what it replied with beside.
    async fn open(&self, jwt: Option<String>) -> (Visitor, Value) {
        self.reopen(Visitor { jwt, ..Visitor::default() }).await
    }

    async fn reopen(&self, who: Visitor) -> (Visitor, Value) {
        let got = self.ask(&who, Method::POST, "", Some(json!({}))).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
        let opened = got.json();
        let text = |field: &str| opened[field].as_str().expect("a string").to_owned();
        (Visitor { token: text("visitor"), session: text("session"), ..who }, opened)
    }

    async fn try_say(&self, who: &Visitor, text: &str, id: &str) -> Got {
        let path = format!("/{}/messages", who.session);
        self.ask(who, Method::POST, &path, Some(json!({"text": text, "client_id": id}))).await
    }

    async fn say(&self, who: &Visitor, text: &str, id: &str) -> Value {
        let got = self.try_say(who, text, id).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
        got.json()
    }

    async fn lines(&self, who: &Visitor) -> Got {
        self.ask(who, Method::GET, &format!("/{}/messages", who.session), None).await
    }

    async fn at_desk(&self, method: Method, path: &str, body: Value) -> Got {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json");
        send(&self.app, request.body(Body::from(body.to_string())).expect("a request")).await
    }

    /// A token of the site's own server.
    fn jwt(&self, subject: &str, seconds: i64) -> String {
        let claims = json!({"sub": subject, "exp": moment::now() / 1_000 + seconds, "kb": "demo"});
        signed(&self.site.secret, &claims)
    }

    /// What the stream tells first, up to a number of lines.
    async fn follow(&self, who: &Visitor, after: Option<i64>, lines: usize) -> Vec<(i64, Value)> {
        let uri = format!("/widget/{}/conversations/{}/events", self.site.site, who.session);
        let mut request =
            Request::builder().uri(uri).header(header::AUTHORIZATION, format!("Bearer {}", who.token));
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let response =
            self.app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("a reply");
        assert_eq!(response.status(), StatusCode::OK);
        let (mut body, mut text) = (response.into_body(), String::new());
        loop {
            let told: Vec<(i64, Value)> = text
                .split("\n\n")
                .filter_map(|event| {
                    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                    Some((field("id: ")?.parse().ok()?, serde_json::from_str(field("data: ")?).ok()?))
                })
                .collect();
            if told.len() >= lines {
                return told;
            }
            let frame = body.frame().await.expect("goes on").expect("a frame");
            text += std::str::from_utf8(&frame.into_data().unwrap_or_default()).expect("text");
        }
    }
}

fn signed(secret: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_asks_without_a_key_and_only_through_the_pages_of_the_site() {
    let shop =
        shop("[voice]\ngreeting = \"<b>您好</b>\"\nquick_questions = { entries = [\"cod\"] }\n", |_| ());
    let (who, opened) = shop.open(None).await;
    assert_eq!(opened["greeting"]["greeting"], "<b>您好</b>");
    assert_eq!(opened["greeting"]["quick_questions"][0]["entry"], "cod");
    assert_eq!((&opened["items"], &opened["owner"]), (&json!([]), &json!("bot")));
    let choice = json!({"text": "支持货到付款吗", "choice": "cod", "client_id": "1"});
    let got = shop.ask(&who, Method::POST, &format!("/{}/messages", who.session), Some(choice)).await.json();
    let [asked, answered] = got["items"].as_array().expect("lines").as_slice() else { panic!("{got}") };
    assert_eq!((&asked["client_id"], &asked["role"]), (&json!("1"), &json!("customer")));
    assert_eq!((&answered["text"], &answered["is_entry"]), (&json!("部分地区支持。"), &json!(true)));

    // The same message again is heard once.
    let again = shop.say(&who, "支持货到付款吗", "1").await;
    assert_eq!(again["items"], got["items"]);

    for origin in ["https://evil.example", "null", "https://shop.example.evil.example"] {
        let foreign = Visitor { origin: Some(origin), ..who.clone() };
        shop.try_say(&foreign, "怎么开电子发票", "2").await.problem(403, "foreign-origin");
    }
    let own = Visitor { origin: Some(PAGE), ..who.clone() };
    assert_eq!(shop.try_say(&own, "怎么开电子发票", "3").await.status, StatusCode::OK);

    // Only pages of the site may frame the panel.
    let page = get(&shop.app, &format!("/widget/{}", shop.site.site)).await;
    let policy = page.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.ends_with("frame-ancestors 'self' https://shop.example"), "{policy}");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    get(&shop.app, "/widget/zw_nobody").await.problem(404, "not-here");
    get(&shop.app, "/widget/acme~zw_nobody").await.problem(404, "not-here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_sees_no_other_conversation_than_their_own() {
    let shop = shop("", |_| ());
    let ((one, _), (two, _)) = (shop.open(None).await, shop.open(None).await);
    assert!(one.token != two.token && one.session != two.session);
    let said = shop.say(&one, "怎么开电子发票", "1").await;
    let trace = &said["items"][1]["trace_id"];
    let foreign = Visitor { session: one.session.clone(), ..two.clone() };
    let none = Visitor { session: "web-0123456789abcdef0123456789abcdef".to_owned(), ..two.clone() };
    let problem = shop.lines(&foreign).await.problem(404, "not-here");
    let unknown = shop.lines(&none).await.problem(404, "not-here");
    assert_eq!(problem["title"], unknown["title"]);
    shop.try_say(&foreign, "x", "2").await.problem(404, "not-here");
    for path in ["events", "messages"] {
        let got = shop.ask(&foreign, Method::GET, &format!("/{}/{path}", one.session), None).await;
        got.problem(404, "not-here");
    }
    let nobody = Visitor { token: String::new(), ..one.clone() };
    assert_eq!(shop.lines(&nobody).await.problem(401, "unauthorized")["field"], "authorization");
    // Nor does a key of the desk open the widget, or a token the desk.
    let keyed = Visitor { token: shop.key.clone(), ..one.clone() };
    shop.lines(&keyed).await.problem(401, "unauthorized");

    // Only of one's own replies one says whether they helped.
    shop.say(&two, "退款多久到账", "1").await;
    let rate = |who: &Visitor| {
        let path = format!("/{}/feedback", who.session);
        let body = json!({"trace_id": trace, "solved": true});
        let who = who.clone();
        let shop = &shop;
        async move { shop.ask(&who, Method::POST, &path, Some(body)).await }
    };
    rate(&two).await.problem(404, "not-here");
    assert_eq!(rate(&one).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_is_checked_with_every_message() {
    let shop = shop("", |_| ());
    let (guest, _) = shop.open(None).await;
    shop.say(&guest, "怎么开电子发票", "1").await;
    let known = Visitor { jwt: Some(shop.jwt("u-42", 600)), ..guest.clone() };
    let (known, opened) = shop.reopen(known).await;
    assert_ne!(known.session, guest.session);
    assert_eq!(
        (&opened["identified"], &opened["earlier"][0]["text"]),
        (&json!(true), &json!("怎么开电子发票"))
    );
    shop.say(&known, "退款多久到账", "1").await;

    let other =
        signed("another secret of at least thirty-two", &json!({"sub": "u-42", "exp": 4e9, "kb": "demo"}));
    for jwt in [shop.jwt("u-42", -1), shop.jwt("u-42", 7_200), other, "no.token.here".to_owned()] {
        let wrong = Visitor { jwt: Some(jwt), ..known.clone() };
        for got in [shop.try_say(&wrong, "x", "2").await, shop.lines(&wrong).await] {
            assert_eq!(got.problem(401, "unauthorized")["field"], "zhida-identity");
        }
    }
    // Without one the browser's token does not open it, nor does that of somebody else.
    for jwt in [None, Some(shop.jwt("u-43", 600))] {
        shop.lines(&Visitor { jwt, ..known.clone() }).await.problem(404, "not-here");
    }
    // Another browser of the same customer finds it again.
    let (elsewhere, opened) = shop.open(Some(shop.jwt("u-42", 60))).await;
    assert_eq!(
        (elsewhere.session.as_str(), &opened["items"][0]["text"]),
        (&*known.session, &json!("退款多久到账"))
    );
    // People see whom the site vouches for.
    shop.say(&known, "转人工", "3").await;
    let waiting = shop.at_desk(Method::GET, "/v1/handoffs?state=waiting", json!({})).await.json();
    assert_eq!(waiting["items"][0]["customer"], json!({"id": "u-42", "verified": true}));

    // A browser whose guest went to a person goes on there when it signs in; from
    // then on the conversation is that customer's.
    let (guest, _) = shop.open(None).await;
    shop.say(&guest, "转人工", "1").await;
    let (signed_in, _) = shop.reopen(Visitor { jwt: Some(shop.jwt("u-7", 600)), ..guest.clone() }).await;
    assert_eq!(signed_in.session, guest.session);
    shop.say(&signed_in, "还在吗", "2").await;
    assert_eq!(shop.lines(&guest).await.problem(401, "unauthorized")["field"], "zhida-identity");
    let (next, _) = shop.reopen(guest.clone()).await;
    assert!(next.session != guest.session && next.token != guest.token, "somebody else sits there now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_where_it_broke_off() {
    let shop = shop("", |_| ());
    let (who, _) = shop.open(None).await;
    shop.say(&who, "怎么开电子发票", "1").await;
    let first = shop.follow(&who, None, 2).await;
    assert_eq!(first.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2]);
    // While nobody listens, a person comes.
    let queued = shop.say(&who, "转人工", "2").await;
    assert_eq!((&queued["owner"], &queued["waits"]["position"]), (&json!("queued"), &json!(1)));
    let waiting = shop.at_desk(Method::GET, "/v1/handoffs?state=waiting", json!({})).await.json();
    let id = waiting["items"][0]["id"].as_str().expect("one waits").to_owned();
    for (path, body) in [("claim", json!({})), ("reply", json!({"text": "您好，<b>我</b>来帮您"}))] {
        let got = shop.at_desk(Method::POST, &format!("/v1/handoffs/{id}/{path}"), body).await;
        assert!(got.status.is_success(), "{}", got.text());
    }
    let rest = shop.follow(&who, Some(2), 5).await;
    let all: Vec<i64> = first.iter().chain(&rest).map(|(seq, _)| *seq).collect();
    assert_eq!(all, (1..=7).collect::<Vec<i64>>(), "nothing is lost or doubled: {rest:?}");
    let last = &rest.last().expect("lines").1;
    assert_eq!((&last["role"], &last["text"]), (&json!("agent"), &json!("您好，<b>我</b>来帮您")));
    assert!(last.get("author").is_none(), "who works there is the company's own affair");
    // Sent twice to the person, because the reply got lost: heard once.
    for _ in 0..2 {
        assert_eq!(shop.say(&who, "谢谢", "3").await["owner"], "agent");
    }
    let lines = shop.lines(&who).await.json();
    let thanks = lines["items"].as_array().expect("lines").iter().filter(|line| line["text"] == "谢谢");
    assert_eq!(thanks.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_and_addresses_have_their_limits() {
    let few = |site: &mut Settings| {
        site.per_visitor = 2.try_into().expect("two");
        site.per_address = 6.try_into().expect("six");
    };
    let shop = shop("", few);
    let (who, _) = shop.open(None).await;
    let mut refused = 0;
    for _ in 0..4 {
        let got = shop.lines(&who).await;
        if got.status == StatusCode::TOO_MANY_REQUESTS {
            got.problem(429, "rate-limited");
            assert!(!got.header(header::RETRY_AFTER).is_empty());
            refused += 1;
        }
    }
    assert!(refused >= 1, "one visitor");
    let mut opened = 0;
    for _ in 0..12 {
        let got = shop.ask(&Visitor::default(), Method::POST, "", Some(json!({}))).await;
        opened += usize::from(got.status == StatusCode::OK);
    }
    assert!(opened < 12, "many from one address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_night_the_form_stands_in_the_line_and_is_taken_once() {
    let now = time::OffsetDateTime::now_utc().to_offset(time::macros::offset!(+8));
    let there = format!("[\"{hour:02}:00-{hour:02}:59\"]", hour = (now.hour() + 12) % 24);
    let shop = shop(&format!("[hours]\nweekdays = {there}\nweekend = {there}\n"), |_| ());
    let (who, _) = shop.open(None).await;
    let said = shop.say(&who, "转人工", "1").await;
    let line = &said["items"][1];
    assert_eq!(line["ticket"]["fields"][1]["name"], "contact", "{said}");
    assert!(line["opens_at"].is_string());
    let leave = |fields: Value| {
        let path = format!("/{}/tickets", who.session);
        let (shop, who) = (&shop, &who);
        async move { shop.ask(who, Method::POST, &path, Some(json!({"fields": fields, "client_id": "t"}))).await }
    };
    let wrong = leave(json!({"contact": "1"})).await.problem(422, "invalid-field");
    assert_eq!(wrong["problems"].as_array().map(Vec::len), Some(2), "{wrong}");
    let filled = json!({"contact": "13800001111", "text": "没收到"});
    for _ in 0..2 {
        let made = leave(filled.clone()).await;
        assert_eq!(
            (made.status, &made.json()["number"]),
            (StatusCode::CREATED, &json!(1)),
            "{}",
            made.text()
        );
    }
    let ticket = shop.at_desk(Method::GET, "/v1/tickets/1", json!({})).await.json();
    assert_eq!((&ticket["channel"], &ticket["conversation"]), (&json!("web"), &json!(who.session)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_leads_to_its_tenant_and_to_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    crate::support::store(root).access().create_tenant("acme", &Limits::default()).expect("a tenant");
    let theirs = root.join("tenants/acme");
    publish(root, "demo", SMALL_KB, None);
    publish(&theirs, "demo", &SMALL_KB.replace("部分地区支持", "全国都支持"), None);
    let (first, second) = (site(root, |_| ()), site(&theirs, |_| ()));
    let app = router(server_over(root, admission()));
    for (key, answer) in [
        (key(&first.site, None), Some("部分地区支持。")),
        (key(&second.site, Some("acme")), Some("全国都支持。")),
        (key(&second.site, None), None),
        (key(&first.site, Some("acme")), None),
        (key(&first.site, Some("other")), None),
    ] {
        let ask = |path: String, token: String, body: Value| {
            let request = Request::builder()
                .method(Method::POST)
                .uri(format!("/widget/{key}/conversations{path}"))
                .header(header::AUTHORIZATION, format!("Bearer {token}"))
                .header(header::CONTENT_TYPE, "application/json");
            let (app, request) = (&app, request.body(Body::from(body.to_string())).expect("a request"));
            async move { send(app, request).await }
        };
        let opened = ask(String::new(), "none".to_owned(), json!({})).await;
        let Some(answer) = answer else {
            opened.problem(404, "not-here");
            continue;
        };
        let opened = opened.json();
        let text = |field: &str| opened[field].as_str().expect("a string").to_owned();
        let body = json!({"text": "支持货到付款吗", "client_id": "1"});
        let said = ask(format!("/{}/messages", text("session")), text("visitor"), body).await.json();
        assert_eq!(said["items"][1]["text"], answer, "{said}");
    }
}

#[test]
fn a_site_is_made_from_the_command_line() {
    let desk = Desk::new();
    let file = desk.file("kb.jsonl", SMALL_KB);
    desk.sound(&["kb", "import", "--kb", "demo", &file]);
    let add = |more: &[&str]| {
        let mut args = vec!["channel", "add", "shop", "--kb", "demo", "--kind", "web"];
        args.extend(more);
        desk.run(&args)
    };
    let lacks = add(&[]);
    assert_eq!(lacks.status.code(), Some(2), "{}", stderr(&lacks));
    assert!(stderr(&lacks).contains("--origin"), "{}", stderr(&lacks));
    let any = add(&["--origin", "*"]);
    assert!(!any.status.success() && stderr(&any).contains("own origins"), "{}", stderr(&any));
    let made = add(&["--origin", PAGE, "--url", "https://help.example"]);
    let told = String::from_utf8_lossy(&made.stdout).into_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[0].starts_with("<script async src=\"https://help.example/widget.js\" data-site=\"zw_"),
        "{told}"
    );
    assert_eq!(lines[1].len(), 43, "the secret: {told}");
    let listed = desk.json(&["channel", "list", "--json"]);
    assert_eq!((&listed["kind"], &listed["origins"]), (&json!("web"), &json!([PAGE])));
    assert!(!listed.to_string().contains(lines[1]));
    // It answers once there is something to answer with.
    assert!(!desk.run(&["channel", "test", "shop"]).status.success());
    desk.sound(&["kb", "publish", "--kb", "demo", "--model", "none"]);
    desk.sound(&["channel", "test", "shop"]);
}

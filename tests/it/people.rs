//! People who sign in: invited, let in, locked out, turned out; the first of them
//! by a link; sessions over two servers; cookies that pages of others cannot use.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::access::{Limits, Password, Role};
use zhida::server::{Registry, Server, router};
use zhida::store::{Lasting, NewPerson, PersonRecord, SignIn};

use crate::http::{Got, MAX_WRONG, Running, admission, publish, send, serve};
use crate::store::Desk;
use crate::support::{SMALL_KB, stderr};

/// What everybody's password is here.
pub const PASSWORD: &str = "我家门前有两棵枣树都很高";

/// A person with a password.
pub fn person(data: &Path, tenant: &str, name: &str, role: Role) -> PersonRecord {
    let hash = Password::chosen(PASSWORD, name).expect("a good one").hash().expect("a hash");
    let new = NewPerson {
        tenant: tenant.to_owned(),
        name: name.to_owned(),
        display_name: String::new(),
        role,
        kbs: None,
        sign_in: SignIn::Password,
        password: Some(hash),
        subject: None,
    };
    crate::support::store(data).access().create_person(new).expect("a person")
}

/// What a browser holds after somebody signed in.
#[derive(Clone)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

impl Browser {
    /// A session as the store begins it.
    pub fn of(data: &Path, person: &PersonRecord) -> Self {
        let access = crate::support::store(data).access();
        let begun = access.begin_session(&person.id, Lasting::default(), [127, 0, 0, 1].into(), "test");
        let (token, _) = begun.expect("a session");
        Self { cookie: format!("zhida_session={}", token.reveal()), csrf: token.csrf() }
    }

    fn after(got: &Got) -> Self {
        let set = got.header(header::SET_COOKIE);
        let cookie = set.split(';').next().expect("a cookie").to_owned();
        Self { cookie, csrf: got.json()["csrf_token"].as_str().expect("a token").to_owned() }
    }

    /// A request as our own page sends it.
    pub async fn send(&self, app: &Router, method: &str, path: &str, body: Option<Value>) -> Got {
        let request = Request::builder().method(&*method.to_uppercase()).uri(path);
        let request = request.header(header::COOKIE, &self.cookie).header("x-csrf-token", &self.csrf);
        send(app, with_body(request, body)).await
    }
}

fn with_body(request: axum::http::request::Builder, body: Option<Value>) -> Request<Body> {
    match body {
        None => request.body(Body::empty()),
        Some(body) => {
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
        }
    }
    .expect("a request")
}

async fn post(app: &Router, path: &str, body: Value) -> Got {
    send(app, with_body(Request::post(path), Some(body))).await
}

async fn login(app: &Router, name: &str, password: &str) -> Got {
    post(app, "/v1/login", json!({"name": name, "password": password})).await
}

pub fn over(data: &Path) -> Router {
    let registry = Arc::new(Registry::new(crate::support::store(data), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    router(Server::new(registry, admission()))
}

/// The actions in the audit, the oldest first, and who did them to what.
fn audit(data: &Path) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let access = crate::support::store(data).access();
    access
        .every_link("default", |link| {
            all.push((link.deed.action, link.deed.name, link.deed.object));
            Ok(())
        })
        .expect("the audit");
    assert!(access.verify("default", None).expect("a verdict").sound);
    all
}

#[tokio::test]
async fn somebody_is_invited_signs_in_changes_their_password_and_leaves() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let admin = Browser::of(root, &person(root, "default", "chief", Role::Admin));
    let app = over(root);
    let wanted = json!({"name": "Wang.Fang", "display_name": "王芳", "role": "author", "kbs": ["demo"]});
    let got = admin.send(&app, "post", "/v1/people", Some(wanted.clone())).await;
    assert_eq!(got.status, StatusCode::CREATED, "{}", got.text());
    let made = got.json();
    assert_eq!(
        (&made["person"]["name"], &made["person"]["has_password"]),
        (&json!("wang.fang"), &json!(false))
    );
    let link = made["invitation"]["link"].as_str().expect("a link").strip_prefix("/setup#").expect("a token");
    admin.send(&app, "post", "/v1/people", Some(wanted)).await.problem(409, "not-now");
    for (field, value) in [("name", json!("a b")), ("display_name", json!("两\n行")), ("kbs", json!([]))] {
        let mut wrong = json!({"name": "li", "role": "author"});
        wrong[field] = value;
        let problem = admin.send(&app, "post", "/v1/people", Some(wrong)).await.problem(422, "invalid-field");
        assert_eq!(problem["field"], field);
    }
    // Without a password nobody is let in, whatever they guess.
    login(&app, "wang.fang", "").await.problem(401, "wrong-login");
    let got = post(&app, "/v1/setup/look", json!({"token": link})).await.json();
    assert_eq!((&got["errand"], &got["name"]), (&json!("password"), &json!("wang.fang")));
    for (weak, why) in [("kurz", "12"), ("password1234", "first"), ("it is wang.fang's own", "name")] {
        let got = post(&app, "/v1/setup", json!({"token": link, "password": weak})).await;
        let problem = got.problem(422, "weak-password");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains(why)), "{problem}");
    }
    let got = post(&app, "/v1/setup", json!({"token": link, "password": PASSWORD})).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let set = got.header(header::SET_COOKIE);
    assert!(set.contains("; HttpOnly; SameSite=Lax") && set.contains("; Path=/;"), "{set}");
    // It worked once.
    post(&app, "/v1/setup", json!({"token": link, "password": PASSWORD})).await.problem(404, "not-here");
    post(&app, "/v1/setup/look", json!({"token": "zl_nothing"})).await.problem(404, "not-here");
    let got = login(&app, " WANG.fang ", PASSWORD).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let browser = Browser::after(&got);
    let me = browser.send(&app, "get", "/v1/me", None).await.json();
    assert_eq!(
        (&me["kind"], &me["display_name"], &me["role"]),
        (&json!("person"), &json!("王芳"), &json!("author"))
    );
    assert_eq!((&me["rights"], &me["kbs"]), (&json!(["own", "ask", "author"]), &json!(["demo"])));
    assert_eq!((&me["csrf_token"], &me["knowledge_bases"]), (&json!(browser.csrf), &json!(["demo"])));
    // A person is who they are, whatever the request says.
    let request = Request::put("/v1/kbs/demo/goal").header(header::COOKIE, &browser.cookie);
    let request = request.header("x-csrf-token", &browser.csrf).header("zhida-author", "boss");
    let got = send(&app, with_body(request, Some(json!({"max_wrong": 0.01})))).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    browser.send(&app, "get", "/v1/people", None).await.problem(403, "forbidden");
    // Two sessions: of the invitation and of the login. A changed password ends both.
    let sessions = browser.send(&app, "get", "/v1/me/sessions", None).await.json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(2), "{sessions}");
    let change = |current: &str, new: &str| Some(json!({"current": current, "new": new}));
    let path = "/v1/me/password";
    browser
        .send(&app, "post", path, change("wrong", "ein neuer Satz für mich"))
        .await
        .problem(401, "wrong-login");
    let weak = browser.send(&app, "post", path, change(PASSWORD, "qwertyuiop12")).await;
    assert_eq!(weak.problem(422, "weak-password")["field"], "new");
    let got = browser.send(&app, "post", path, change(PASSWORD, "ein neuer Satz für mich")).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let renewed = Browser::after(&got);
    browser.send(&app, "get", "/v1/me", None).await.problem(401, "unauthorized");
    assert_eq!(renewed.send(&app, "get", "/v1/me", None).await.status, StatusCode::OK);
    login(&app, "wang.fang", PASSWORD).await.problem(401, "wrong-login");
    let got = renewed.send(&app, "post", "/v1/logout", None).await;
    assert_eq!(got.status, StatusCode::NO_CONTENT, "{}", got.text());
    assert!(got.header(header::SET_COOKIE).contains("Max-Age=0"));
    renewed.send(&app, "get", "/v1/me", None).await.problem(401, "unauthorized");
    let told = audit(root);
    let actions: Vec<&str> = told.iter().map(|(action, _, _)| action.as_str()).collect();
    let expected = [
        "create_person",
        "login_failed",
        "redeem_link",
        "login",
        "login",
        "set_goal",
        "login_failed",
        "change_password",
        "login_failed",
        "logout",
    ];
    assert_eq!(actions, expected);
    assert_eq!(told[5].1, "wang.fang", "not the boss");
    assert!(told.iter().all(|(_, name, object)| !format!("{name}{object}").contains("zl_")));
}

#[tokio::test]
async fn pages_of_others_cannot_use_what_somebody_signed_in_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let browser = Browser::of(root, &person(root, "default", "anna", Role::Admin));
    let other = Browser::of(root, &person(root, "default", "berta", Role::Admin));
    let app = over(root);
    let sent = async |csrf: Option<&str>, origin: Option<&str>| {
        let mut request = Request::put("/v1/kbs/demo/goal")
            .header(header::COOKIE, &browser.cookie)
            .header(header::HOST, "faq.example");
        for (name, value) in [("x-csrf-token", csrf), ("origin", origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        send(&app, with_body(request, Some(json!({"max_wrong": 0.01})))).await
    };
    sent(None, None).await.problem(403, "csrf");
    sent(Some(""), None).await.problem(403, "csrf");
    sent(Some(&other.csrf), None).await.problem(403, "csrf");
    sent(Some(&browser.csrf), Some("https://evil.example")).await.problem(403, "foreign-origin");
    sent(Some(&browser.csrf), Some("null")).await.problem(403, "foreign-origin");
    assert_eq!(sent(Some(&browser.csrf), Some("https://faq.example")).await.status, StatusCode::OK);
    assert_eq!(sent(Some(&browser.csrf), None).await.status, StatusCode::OK);
    // Nobody is signed in by another page either.
    let request = Request::post("/v1/login").header(header::HOST, "faq.example");
    let request = request.header(header::ORIGIN, "https://evil.example");
    let body = json!({"name": "anna", "password": PASSWORD});
    send(&app, with_body(request, Some(body))).await.problem(403, "foreign-origin");
    // A cookie that is none, and one of another kind of server.
    let nobody = Browser { cookie: "zhida_session=zs_x".to_owned(), csrf: String::new() };
    nobody.send(&app, "get", "/v1/me", None).await.problem(401, "unauthorized");
    let secure = Browser { cookie: format!("__Host-{}", browser.cookie), csrf: browser.csrf.clone() };
    secure.send(&app, "get", "/v1/me", None).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn guessing_is_answered_the_same_for_everybody_and_locks_the_door_for_a_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    person(root, "default", "anna", Role::Admin);
    person(root, "default", "berta", Role::Agent);
    let app = over(root);
    let bare = |got: &Got| {
        let mut body = got.json();
        body.as_object_mut().expect("an object").remove("request_id");
        (got.status, body)
    };
    let known = login(&app, "anna", "not the right password").await;
    let unknown = login(&app, "nobody", "not the right password").await;
    assert_eq!(bare(&known), bare(&unknown));
    known.problem(401, "wrong-login");
    for name in ["anna", "nobody"] {
        // Waits double: however slow the machine is, one of them comes too early.
        let mut locked = None;
        for _ in 0..20 {
            let got = login(&app, name, "not the right password").await;
            if got.status == StatusCode::TOO_MANY_REQUESTS {
                locked = Some(got);
                break;
            }
        }
        let locked = locked.expect("twenty attempts are too many");
        locked.problem(429, "locked-out");
        assert!(locked.header(header::RETRY_AFTER).parse::<u64>().is_ok_and(|seconds| seconds > 0));
    }
    // Who must wait and does not is in the audit; the first at once, the others with their number.
    let refused: Vec<(String, String)> = audit(root)
        .into_iter()
        .filter_map(|(action, name, object)| (action == "login_refused").then_some((name, object)))
        .collect();
    let told = |object: &str| ("somebody".to_owned(), object.to_owned());
    assert_eq!(refused, [told("person anna"), told("an unknown name")]);
    // Others are not locked out, not even from the same address, before it fails more.
    assert_eq!(login(&app, "berta", PASSWORD).await.status, StatusCode::OK);
    // A link opens the door meanwhile.
    let access = crate::support::store(root).access();
    let anna = access.person("default", "anna").expect("anna");
    let (token, _) = access.create_link(Some(&anna), 60_000).expect("a link");
    let got =
        post(&app, "/v1/setup", json!({"token": token.reveal(), "password": "ein neuer Satz für mich"}))
            .await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    assert_eq!(login(&app, "anna", "ein neuer Satz für mich").await.status, StatusCode::OK);
    let told = audit(root);
    let count = |action: &str, object: &str| {
        told.iter().filter(|(known, _, what)| known == action && what == object).count()
    };
    assert!(count("login_failed", "person anna") >= 5 && count("lock_out", "person anna") >= 1);
    assert!(count("lock_out", "an unknown name") >= 1, "{told:?}");
    assert!(told.iter().all(|(_, name, object)| !format!("{name}{object}").contains("nobody")));
    // Of another tenant there is nothing to be guessed.
    let got = post(&app, "/v1/login", json!({"name": "anna", "password": "x", "tenant": "acme"})).await;
    assert_eq!(bare(&got), bare(&known));
}

#[tokio::test]
async fn admins_change_people_and_the_last_one_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    crate::support::store(root).access().create_tenant("acme", &Limits::default()).expect("a tenant");
    let chief = Browser::of(root, &person(root, "default", "chief", Role::Admin));
    let anna = person(root, "default", "anna", Role::Agent);
    person(root, "acme", "anna", Role::Admin);
    let browser = Browser::of(root, &anna);
    let app = over(root);
    let path = format!("/v1/people/{}", anna.id);
    // A role counts from the next request on.
    browser.send(&app, "get", "/v1/keys", None).await.problem(403, "forbidden");
    let got = chief.send(&app, "patch", &path, Some(json!({"role": "admin"}))).await;
    assert_eq!((got.status, &got.json()["role"]), (StatusCode::OK, &json!("admin")));
    assert_eq!(browser.send(&app, "get", "/v1/keys", None).await.status, StatusCode::OK);
    let got = chief.send(&app, "patch", &path, Some(json!({"kbs": ["demo"]}))).await;
    assert_eq!(got.json()["kbs"], json!(["demo"]), "{}", got.text());
    browser.send(&app, "get", "/v1/people", None).await.problem(403, "forbidden");
    let got = chief.send(&app, "patch", &path, Some(json!({"kbs": null, "display_name": "安娜"}))).await;
    assert_eq!((&got.json()["kbs"], &got.json()["display_name"]), (&Value::Null, &json!("安娜")));
    let listed = browser.send(&app, "get", "/v1/people", None).await;
    assert_eq!(listed.json()["items"].as_array().map(Vec::len), Some(2), "one tenant's: {}", listed.text());
    assert!(!listed.text().contains("argon2"), "{}", listed.text());
    // Sessions are listed and ended one by one.
    let sessions = chief.send(&app, "get", &format!("{path}/sessions"), None).await;
    let id = sessions.json()["items"][0]["id"].as_str().expect("an id").to_owned();
    assert!(!sessions.text().contains(&browser.cookie[14..]), "only its id is told");
    chief.send(&app, "delete", &format!("{path}/sessions/nope"), None).await.problem(404, "not-here");
    let got = chief.send(&app, "delete", &format!("{path}/sessions/{id}"), None).await;
    assert_eq!(got.status, StatusCode::NO_CONTENT, "{}", got.text());
    browser.send(&app, "get", "/v1/me", None).await.problem(401, "unauthorized");
    // Whoever is disabled has no session and gets none.
    let browser = Browser::after(&login(&app, "anna", PASSWORD).await);
    let got = chief.send(&app, "patch", &path, Some(json!({"disabled": true}))).await;
    assert!(got.json()["disabled_at"].is_string(), "{}", got.text());
    browser.send(&app, "get", "/v1/me", None).await.problem(401, "unauthorized");
    login(&app, "anna", PASSWORD).await.problem(401, "wrong-login");
    let got = chief.send(&app, "patch", &path, Some(json!({"disabled": false, "role": "author"}))).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    // Somebody has to be left who can undo it.
    for change in [json!({"disabled": true}), json!({"role": "agent"}), json!({"kbs": ["demo"]})] {
        chief.send(&app, "patch", "/v1/people/chief", Some(change)).await.problem(409, "not-now");
    }
    chief.send(&app, "delete", "/v1/people/chief", None).await.problem(409, "not-now");
    let got = chief.send(&app, "delete", &path, None).await;
    assert_eq!(got.status, StatusCode::NO_CONTENT, "{}", got.text());
    chief.send(&app, "delete", &path, None).await.problem(404, "not-here");
    login(&app, "anna", PASSWORD).await.problem(401, "wrong-login");
    // An admin key is somebody too.
    crate::support::key(&crate::support::store(root), "default", Role::Admin, |_| {});
    let got = chief.send(&app, "delete", "/v1/people/chief", None).await;
    assert_eq!(got.status, StatusCode::NO_CONTENT, "{}", got.text());
}

/// What a server says to a request, with its head.
fn spoken(address: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, response)
}

#[test]
fn the_first_admin_comes_by_a_link_and_then_the_door_is_shut() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let link = |log: &str| {
        let line = log.lines().find(|line| line.contains("/setup#"))?;
        line.split("/setup#").nth(1)?.split(' ').next().map(str::to_owned)
    };
    let (_, log) = Running::start(&desk.data()).stop();
    let token = link(&log).expect("the first start prints a link");
    let (_, log) = Running::start(&desk.data()).stop();
    assert_eq!(link(&log), None, "only the first start does");
    let mut command = serve(&desk.data(), "127.0.0.1:0");
    command.arg("--setup-link");
    let server = Running::of(command);
    // Until somebody is known the machine's own programs are answered as before.
    assert_eq!(server.get("/v1/kbs").0, 200);
    let body = json!({"token": token, "name": "王芳", "password": PASSWORD}).to_string();
    let (status, reply) = spoken(&server.address, "POST", "/v1/setup", "", &body);
    assert_eq!(status, 200, "{reply}");
    assert_eq!(server.get("/v1/kbs").0, 401, "from now on everybody has to be somebody");
    let (_, log) = server.stop();
    let second = link(&log).expect("it was asked for");
    assert!(!log.contains(PASSWORD) && !log.contains(&token));
    // The other link makes no second first admin.
    let server = Running::start(&desk.data());
    let body = json!({"token": second, "name": "eve", "password": PASSWORD}).to_string();
    assert_eq!(spoken(&server.address, "POST", "/v1/setup", "", &body).0, 409);
    let (_, log) = server.stop();
    assert!(link(&log).is_none() && !log.contains("without keys"), "{log}");
    // Nor is there one to be had any more.
    let mut command = serve(&desk.data(), "127.0.0.1:0");
    command.arg("--setup-link");
    let (_, log) = Running::of(command).stop();
    assert!(link(&log).is_none() && log.contains("there are people or keys already"), "{log}");
}

#[test]
fn a_session_that_ends_has_ended_on_every_server() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    person(&desk.data(), "default", "anna", Role::Author);
    let start = || {
        let mut command = serve(&desk.data(), "127.0.0.1:0");
        command.args(["--trust-proxy", "127.0.0.0/8"]);
        Running::of(command)
    };
    let (one, two) = (start(), start());
    let body = json!({"name": "anna", "password": PASSWORD}).to_string();
    let behind = "x-forwarded-for: 6.6.6.6, 203.0.113.9\r\nx-forwarded-proto: https\r\nuser-agent: 测试\r\n";
    let (status, reply) = spoken(&one.address, "POST", "/v1/login", behind, &body);
    assert_eq!(status, 200, "{reply}");
    let cookie =
        reply.split("set-cookie: ").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie");
    assert!(cookie.starts_with("__Host-zhida_session=zs_"), "the proxy said https: {cookie}");
    let headers = format!("x-forwarded-proto: https\r\ncookie: {cookie}\r\n");
    let me = |server: &Running| spoken(&server.address, "GET", "/v1/me", &headers, "").0;
    assert_eq!((me(&one), me(&two)), (200, 200));
    let listed = desk.sound(&["person", "sessions", "anna"]);
    assert!(listed.contains("203.0.113.9"), "who the proxy spoke for: {listed}");
    desk.sound(&["person", "sessions", "anna", "--end-all"]);
    assert_eq!((me(&one), me(&two)), (401, 401));
    // Nobody needs the file that is not there any more.
    let (_, log) = one.stop();
    two.kill();
    assert!(!log.contains("zs_") && !log.contains(PASSWORD), "secrets stand in the log");
    let told = desk.json(&["audit", "show", "--action", "login", "--json"]);
    assert_eq!((&told["from"], &told["name"]), (&json!("203.0.113.9"), &json!("anna")));
}

#[test]
fn people_are_kept_on_the_command_line() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let made = desk.json(&["person", "create", "Anna", "--role", "admin", "--json"]);
    assert!(made["invitation"]["link"].as_str().is_some_and(|link| link.starts_with("/setup#zl_")), "{made}");
    desk.sound(&["person", "create", "berta", "--role", "author", "--kb", "demo", "--display-name", "贝塔"]);
    let listed = desk.sound(&["person", "list"]);
    assert!(listed.contains("anna\tadmin\t*\tinvited") && listed.contains("berta\tauthor\tdemo"), "{listed}");
    let typed = |password: &str| {
        let mut command = desk.command(&["person", "passwd", "berta"]);
        command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = crate::support::ground(&mut command).spawn().expect("the binary starts");
        child.stdin.take().expect("stdin").write_all(format!("{password}\n").as_bytes()).expect("typed");
        child.wait_with_output().expect("an end")
    };
    let output = typed("kurz");
    assert!(!output.status.success() && stderr(&output).contains("12"), "{}", stderr(&output));
    assert!(typed(PASSWORD).status.success());
    desk.sound(&["person", "role", "berta", "agent"]);
    desk.sound(&["person", "disable", "berta"]);
    assert!(desk.sound(&["person", "list"]).contains("berta\tagent\t*\tdisabled"));
    desk.sound(&["person", "enable", "berta"]);
    assert!(desk.sound(&["person", "link", "berta"]).starts_with("/setup#zl_"));
    // The last admin stays; nobody is removed by a slip.
    for refused in [["person", "disable", "anna"].as_slice(), &["person", "remove", "berta"]] {
        assert_eq!(desk.run(refused).status.code(), Some(1), "{refused:?}");
    }
    desk.sound(&["person", "remove", "berta", "--yes"]);
    assert_eq!(desk.run(&["person", "link", "berta"]).status.code(), Some(1));
    let actions: Vec<String> = audit(&desk.data()).into_iter().map(|(action, _, _)| action).collect();
    let expected = [
        "create_person",
        "create_person",
        "set_password",
        "change_person",
        "change_person",
        "change_person",
        "create_link",
        "remove_person",
    ];
    assert_eq!(actions, expected);
    // A server with people is one with a shut door: no `--insecure` is needed elsewhere.
    let (status, log) = Running::of(serve(&desk.data(), "0.0.0.0:0")).stop();
    assert!(status == Some(0) && !log.contains("without keys"), "{log}");
}

//! Is what goes wrong around a server said for what it is?

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::access::Role;

use crate::http::{Running, exchange, get, publish, send, serve};
use crate::people::{Browser, over, person};
use crate::store::Desk;
use crate::support::{SMALL_KB, run, stderr, stdout, zhida};

/// Runs a command that sees a small disk of its own at a folder, with what lies in another one
/// on it; `None`, having said so, where the system does not let us.
fn on_small_disk(place: &Path, with: &Path, kib: u32, command: &Command) -> Option<Command> {
    std::fs::create_dir_all(place).expect("a folder");
    let apart = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(place).arg(with);
        command
    };
    let mount = format!("mount -t tmpfs -o size={kib}k tmpfs \"$0\"");
    if !apart(&mount).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no disk of our own can be mounted here");
        return None;
    }
    let mut small = apart(&format!("{mount} && cp -a \"$1/.\" \"$0\" && shift && exec \"$@\""));
    small.arg(command.get_program()).args(command.get_args()).env("ZHIDA_LANG", "en");
    Some(small)
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_as_what_it_is_and_then_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (made, place) = (folder.path().join("made"), folder.path().join("data"));
    publish(&made, "demo", SMALL_KB, None);
    let Some(command) = on_small_disk(&place, &made, 16 << 10, &serve(&place, "127.0.0.1:0")) else { return };
    let server = Running::of(command);
    let add = |id: &str| {
        let entry = json!({"id": id, "question": format!("{id} 有货吗"), "answer": "有。".repeat(1000)});
        let (status, _, body) =
            exchange(&server.address, "POST", "/v1/kbs/demo/entries", &[], &entry.to_string());
        (status, serde_json::from_str::<Value>(&body).unwrap_or_default())
    };
    assert_eq!(add("first").0, 201);
    // Only it sees the disk; we see it through its eyes.
    let filler = Path::new("/proc")
        .join(server.id().to_string())
        .join("root")
        .join(place.join("filler").strip_prefix("/").expect("an absolute path"));
    let mut file = std::fs::File::create(&filler).expect("reached");
    std::io::copy(&mut std::io::repeat(0), &mut file).expect_err("some time there is no room");
    let (status, problem) = (0..100)
        .map(|number| add(&format!("more-{number}")))
        .find(|(status, _)| *status != 201)
        .expect("it is full");
    assert_eq!((status, &problem["type"]), (507, &json!("/problems/not-stored")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|told| told.contains("disk")), "{problem}");
    assert!(problem["trace_id"].is_string(), "{problem}");
    assert_eq!(server.reply("怎么开电子发票").0, 200, "answers go on");
    let say = |text: &str| {
        let body = json!({"text": text, "session": "s1"}).to_string();
        let (status, _, body) = exchange(&server.address, "POST", "/v1/answer", &[], &body);
        (status, serde_json::from_str::<Value>(&body).unwrap_or_default())
    };
    // In a conversation too, which is not kept; but nobody could be told who waits.
    let (status, reply) = say("怎么开电子发票");
    assert_eq!(
        (status, &reply["decision"], &reply["session"]),
        (200, &json!("answer"), &Value::Null),
        "{reply}"
    );
    let (status, problem) = say("转人工");
    assert_eq!((status, &problem["type"]), (507, &json!("/problems/not-stored")), "{problem}");
    // One that is open takes room on.
    drop(file);
    std::fs::remove_file(&filler).expect("room");
    assert_eq!(add("last").0, 201);
    assert_eq!(say("怎么开电子发票").1["session"], "s1");
    let (status, log) = server.stop();
    assert_eq!(status, Some(0), "{log}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_backup_that_has_no_room_blames_where_it_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, place) = (folder.path().join("data"), folder.path().join("backups"));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    publish(&data, "demo", SMALL_KB, None);
    // With little room the copies of the databases do not fit, with more the archive does not,
    // and with yet more all of it does.
    let mut refused = 0;
    for kib in [32, 64, 128, 192, 256, 288, 320] {
        let mut backup = zhida();
        backup.arg("backup").arg(place.join("b.zip")).arg("--data").arg(&data);
        let Some(mut command) = on_small_disk(&place, &empty, kib, &backup) else { return };
        let output = command.output().expect("it runs");
        let told = stderr(&output);
        if output.status.code() == Some(1) {
            refused += 1;
            let wanted = format!("zhida: cannot write {}: ", place.join("b.zip").display());
            assert!(told.contains(&wanted), "{kib}: {told}");
        } else {
            assert!(output.status.success(), "{kib}: {told}");
        }
    }
    assert!(refused >= 4, "only {refused} had no room");
}

#[test]
fn an_address_of_the_server_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = run(serve(folder.path(), "127.0.0.1:0").args(["--public-url", "foo"]));
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let told = stderr(&refused);
    assert!(told.contains("--public-url") && told.contains("https://"), "{told}");
}

#[test]
fn a_variable_that_is_set_to_nothing_says_nothing() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let ask = || {
        let mut command = zhida();
        command.args(["ask", "--json", "--kb", "demo", "--data"]).arg(desk.data()).arg("退款多久到账");
        command
    };
    let mut empty = ask();
    for name in ["ZHIDA_LANG", "ZHIDA_DATABASE", "ZHIDA_RELEASES", "ZHIDA_MODEL", "ZHIDA_AUTHOR"] {
        empty.env(name, "");
    }
    let (said, as_usual) = (run(&mut empty), run(&mut ask()));
    assert!(said.status.success(), "{}", stderr(&said));
    let entry = |output: &std::process::Output| {
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["answer"]["entry"].clone()
    };
    assert_eq!((entry(&said), entry(&as_usual)), (json!("refund-time"), json!("refund-time")));
    let refused = run(ask().env("ZHIDA_DATABASE", "nowhere"));
    assert!(!refused.status.success());
}

#[tokio::test]
async fn a_tenant_is_not_named_like_a_flag() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let app = over(&desk.data());
    let made = |name: &str| {
        let body = json!({"name": name}).to_string();
        let request = Request::post("/v1/tenants").header(header::CONTENT_TYPE, "application/json");
        send(&app, request.body(Body::from(body)).expect("a request"))
    };
    for name in ["-acme", ".acme", "a/b", "", "甲 乙"] {
        let problem = made(name).await.problem(422, "invalid-field");
        assert_eq!(problem["field"], "name", "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|told| told.contains("letters, digits")), "{problem}");
    }
    assert_eq!(made("a-cme").await.status, StatusCode::CREATED);
    made("a-cme").await.problem(409, "not-now");
    let refused = run(zhida().args(["tenant", "create", "--data"]).arg(desk.data()).args(["--", "-acme"]));
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("letters, digits"), "{}", stderr(&refused));
}

#[test]
fn a_key_for_what_is_not_there_yet_is_made_with_a_word() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let make = |more: &[&str]| {
        let args: Vec<&str> =
            ["key", "create", "--role", "ask", "--json"].iter().chain(more).copied().collect();
        let output = desk.run(&args);
        assert!(output.status.success(), "{}", stderr(&output));
        let made: Value = serde_json::from_str(&stdout(&output)).expect("nothing but JSON");
        assert!(made["key"].is_string(), "{made}");
        stderr(&output)
    };
    let told = make(&["--kb", "demo", "--kb", "nope"]);
    assert!(told.contains("there is no knowledge base nope yet"), "{told}");
    assert!(!told.contains("no knowledge base demo"), "{told}");
    assert!(!make(&["--kb", "demo"]).contains("there is no knowledge base"));
    assert!(!make(&[]).contains("there is no knowledge base"));
}

#[tokio::test]
async fn a_reply_that_is_blank_is_not_called_a_question() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = over(folder.path());
    let request = Request::post("/v1/handoffs/1/reply").header(header::CONTENT_TYPE, "application/json");
    let blank = json!({"text": " \n", "agent": "小王"}).to_string();
    let problem =
        send(&app, request.body(Body::from(blank)).expect("a request")).await.problem(422, "blank-text");
    assert_eq!((&problem["title"], &problem["field"]), (&json!("The text is blank"), &json!("text")));
    assert!(problem["detail"].as_str().is_some_and(|told| told.contains("the reply is blank")), "{problem}");
}

#[tokio::test]
async fn a_form_without_its_token_is_told_so_and_not_that_the_session_has_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let agent = person(folder.path(), "default", "小王", Role::Agent);
    let browser = Browser::of(folder.path(), &agent);
    let app = Arc::new(over(folder.path()));
    let posted = |token: Option<&str>| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("title", "问候").append_pair("text", "您好");
        if let Some(token) = token {
            form.append_pair("csrf", token);
        }
        let request = Request::post("/console/desk/replies")
            .header(header::COOKIE, &browser.cookie)
            .header(header::ACCEPT_LANGUAGE, "zh-CN")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (app, request) = (Arc::clone(&app), request.body(Body::from(form.finish())).expect("a request"));
        async move { send(&app, request).await }
    };
    let bare = posted(None).await;
    assert_eq!(bare.status, StatusCode::FORBIDDEN, "{}", bare.text());
    let told = bare.text();
    assert!(told.contains("表单里没有防伪标记") && !told.contains("登录已过期"), "{told}");
    assert!(told.contains("您好") && told.contains(&browser.csrf), "it can be sent again: {told}");
    // One of a session before is what that page is for.
    let old = posted(Some("of-a-session-before")).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    assert!(old.text().contains("登录已过期") && !old.text().contains("防伪标记"), "{}", old.text());
    assert_eq!(posted(Some(&browser.csrf)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(get(&app, "/healthz").await.status, StatusCode::OK);
}

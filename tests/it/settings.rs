//! With what a server runs, and what it keeps: seen and changed over HTTP and in the pages.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::access::Role;
use zhida::server::{Flag, FlagSource, Openness, Registry, Server, router};
use zhida::store::Store;

use crate::http::{MAX_WRONG, Running, admission, get, publish, send, serve};
use crate::people::{Browser, over, person};
use crate::support::SMALL_KB;

#[tokio::test]
async fn flags_are_told_with_their_sources_to_whoever_runs_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let registry = Arc::new(Registry::new(Store::at(folder.path()), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    let flag = |name: &str, value: &str, source| Flag {
        name: name.to_owned(),
        values: vec![value.to_owned()],
        source,
        variable: Some("ZHIDA_LISTEN".to_owned()),
    };
    let flags = vec![
        flag("--listen", "0.0.0.0:80", FlagSource::Environment),
        flag("--queue-ms", "<b>2000", FlagSource::Default),
    ];
    let app = router(Server::with(registry, admission(), Openness { flags, ..Openness::default() }));
    let told = get(&app, "/v1/settings").await.json();
    assert_eq!((&told["version"], &told["tls"]), (&json!(env!("CARGO_PKG_VERSION")), &Value::Null));
    assert_eq!(told["data"], folder.path().display().to_string());
    assert_eq!(told["flags"][0]["source"], "environment");
    assert!(told["processor"]["cores"].as_u64().is_some_and(|cores| cores > 0), "{told}");
    let page = get(&app, "/console/admin/settings").await.text();
    assert!(page.contains("[姓名]") && page.contains("路名保留") && !page.contains("星号"), "{page}");
    for part in ["0.0.0.0:80", "ZHIDA_LISTEN", "监听的地址和端口", "&lt;b&gt;2000", "默认", "环境变量"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn a_server_tells_the_flags_that_it_was_started_with() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let mut command = serve(folder.path(), "127.0.0.1:0");
    command.args(["--queue-ms", "1234"]);
    let server = Running::of(command);
    let (status, body) = server.get("/v1/settings");
    assert_eq!(status, 200, "{body}");
    let told: Value = serde_json::from_str(&body).expect("JSON");
    let flag = |name: &str| {
        let mut flags = told["flags"].as_array().expect("flags").iter();
        flags.find(|flag| flag["name"] == name).unwrap_or_else(|| panic!("{name}: {told}")).clone()
    };
    assert_eq!(
        (&flag("--queue-ms")["values"], &flag("--queue-ms")["source"]),
        (&json!(["1234"]), &json!("flag"))
    );
    assert_eq!(flag("--deadline-ms")["source"], "default");
}

#[tokio::test]
async fn what_is_kept_is_changed_by_admins_at_once_and_stands_in_the_audit() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let admin = Browser::of(folder.path(), &person(folder.path(), "default", "chen", Role::Admin));
    let author = Browser::of(folder.path(), &person(folder.path(), "default", "wang", Role::Author));
    let app = over(folder.path());
    let kept = admin.send(&app, "GET", "/v1/retention", None).await.json();
    assert_eq!((&kept["text"], &kept["text_days"]), (&json!("masked"), &json!(180)));
    for path in ["/v1/retention", "/v1/settings"] {
        author.send(&app, "GET", path, None).await.problem(403, "forbidden");
    }
    author
        .send(&app, "PATCH", "/v1/retention", Some(json!({"text": "full"})))
        .await
        .problem(403, "forbidden");
    let wanted = json!({"text": "none", "text_days": 30, "event_days": 400});
    let kept = admin.send(&app, "PATCH", "/v1/retention", Some(wanted)).await.json();
    assert_eq!((&kept["event_days"], &kept["mask_orders"]), (&json!(400), &json!(false)));
    let settings = zhida::events::Settings::read(&folder.path().join("events")).expect("read");
    assert_eq!((settings.text_days, settings.event_days), (30, Some(400)));
    let kept = admin.send(&app, "PATCH", "/v1/retention", Some(json!({"event_days": 0}))).await.json();
    assert_eq!(kept["event_days"], Value::Null);
    for (field, wrong) in [("text", json!("all")), ("text_days", json!(0)), ("event_days", json!(99_999))] {
        let problem = admin.send(&app, "PATCH", "/v1/retention", Some(json!({field: wrong}))).await;
        assert_eq!(problem.problem(422, "invalid-field")["field"], field);
    }
    let audit = admin.send(&app, "GET", "/v1/audit?limit=2", None).await.text();
    assert!(audit.contains("what is kept") && audit.contains("text_days = 30"), "{audit}");
}

#[test]
fn the_command_and_the_interface_refuse_the_same_days() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let keep = |words: &[&str]| {
        let mut command = crate::support::zhida();
        command.args(["events", "keep"]).args(words).arg("--data").arg(folder.path());
        crate::support::run(&mut command)
    };
    for words in [["--text-days", "0"], ["--text-days", "99999"], ["--event-days", "99999"]] {
        let output = keep(&words);
        let told = crate::support::stderr(&output);
        assert!(!output.status.success() && told.contains(words[0]) && told.contains("36500"), "{told}");
    }
    let settings = || zhida::events::Settings::read(&folder.path().join("events")).expect("read");
    assert_eq!(settings(), zhida::events::Settings::default(), "nothing of it is kept");
    let done = keep(&["--mask-orders", "true", "--event-days", "30", "--text-days", "36500"]);
    let told = crate::support::stdout(&done);
    assert!(told.contains("mask_orders = true\n") && told.contains("event_days = 30\n"), "{told}");
    // What is printed for events that stay is what sets it.
    let told = crate::support::stdout(&keep(&["--event-days", "0"]));
    assert!(told.contains("event_days = 0  #"), "{told}");
    assert_eq!((settings().event_days, settings().orders, settings().text_days), (None, true, 36_500));
    let file = std::fs::read_to_string(folder.path().join("events/settings.toml")).expect("a file");
    assert!(
        file.contains("orders = true\n") && !file.contains("mask_orders"),
        "older versions read it: {file}"
    );
}

#[tokio::test]
async fn the_page_changes_it_without_a_script() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = router(crate::http::server_over(folder.path(), admission()));
    let form = async |body: &'static str| {
        let request = Request::post("/console/admin/settings")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        send(&app, request.body(Body::from(body)).expect("a request")).await
    };
    let asked = form("text=masked&mask_orders=1&text_days=90&event_days=").await;
    assert!(asked.status == StatusCode::OK && asked.text().contains("确定"), "it erases: {}", asked.text());
    assert_eq!(get(&app, "/v1/retention").await.json()["mask_orders"], false);
    let done = form("text=masked&mask_orders=1&text_days=90&event_days=&sure=1").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let kept = get(&app, "/v1/retention").await.json();
    assert_eq!((&kept["text_days"], &kept["mask_orders"]), (&json!(90), &json!(true)));
    let refused = form("text=masked&text_days=0&event_days=&sure=1").await;
    assert_eq!(refused.status, StatusCode::SEE_OTHER);
    let notice = refused.headers.get_all(header::SET_COOKIE).iter();
    let notice: Vec<&str> = notice.filter_map(|cookie| cookie.to_str().ok()).collect();
    // 原话保留的天数, in percent.
    assert!(notice.iter().any(|one| one.contains("%E5%8E%9F%E8%AF%9D")), "{notice:?}");
    assert_eq!(get(&app, "/v1/retention").await.json()["text_days"], 90);
}

#[tokio::test]
async fn a_customer_is_forgotten_on_the_page() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = router(crate::http::server_over(folder.path(), admission()));
    let asked = json!({"text": "怎么退款", "session": "c1", "fields": {"id": "wx 77"}});
    assert_eq!(crate::http::post(&app, "/v1/answer", asked).await.status, StatusCode::OK);
    assert!(get(&app, "/console/admin/settings").await.text().contains("删除一位顾客的内容"));
    let told = async |body: &'static str| {
        let body = format!("{body}&sure=1");
        let request = Request::post("/console/admin/settings/forget")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let done = send(&app, request.body(Body::from(body)).expect("a request")).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
        let cookies = done.headers.get_all(header::SET_COOKIE).iter();
        let cookies: Vec<String> =
            cookies.filter_map(|cookie| cookie.to_str().ok()).map(str::to_owned).collect();
        percent_encoding::percent_decode_str(&cookies.join(" ")).decode_utf8_lossy().into_owned()
    };
    let one = told("whose=customer&id=wx+78").await;
    assert!(one.contains("没有找到这个编号"), "{one}");
    assert_eq!(get(&app, "/v1/conversations/c1").await.status, StatusCode::OK);
    let one = told("whose=customer&id=+wx+77").await;
    assert!(one.contains("1 个会话"), "{one}");
    assert_eq!(get(&app, "/v1/conversations/c1").await.status, StatusCode::NOT_FOUND);
    let one = told("whose=conversation&id=c1").await;
    assert!(one.contains("没有找到这个编号"), "{one}");
    let one = told("whose=customer&id=+").await;
    assert!(one.contains("顾客编号"), "a blank id is refused in words: {one}");
}

#[tokio::test]
async fn where_a_form_goes_a_visitor_is_shown_the_page_above() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let app = router(crate::http::server_over(folder.path(), admission()));
    let there = get(&app, "/console/admin/settings/forget").await;
    assert_eq!(
        (there.status, there.header(header::LOCATION)),
        (StatusCode::SEE_OTHER, "/console/admin/settings")
    );
    assert_eq!(get(&app, "/v1/answer").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

//! What authors have tripped over in the console: what is shown is what is there, what
//! was filled in stays, and what was done can be taken back.

use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, LOCATION, SET_COOKIE};
use serde_json::{Value, json};
use zhida::access::Role;
use zhida::events::{Event, Kind, Log};

use crate::console_author::{Author, field};
use crate::http::publish;
use crate::people::PASSWORD;
use crate::support::SMALL_KB;

const ENTRIES: [&str; 6] = ["甲", "乙", "丙", "丁", "戊", "己"];

#[tokio::test]
async fn a_preview_shows_all_rows_and_links_to_nothing_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let author = Author::at(folder.path(), "wang", Role::Admin);
    let (_, page) = author.bring("/console/new", "gym", "问题,答案\n几点开门,九点。").await;
    assert!(page.contains("共 1 行") && page.contains("<td class=\"cell\">几点开门</td>"), "{page}");
    assert!(page.contains("新增 1 条") && !page.contains("/entries/q-"), "{page}");
    // A title above the header is no row either.
    let table = "力健健身答疑汇总,\n问题,答案\n几点开门,九点。\n几点关门,十点。";
    let (_, page) = author.bring("/console/new", "gym2", table).await;
    assert!(page.contains("共 2 行") && page.contains("<td class=\"cell\">几点开门</td>"), "{page}");
}

#[tokio::test]
async fn knowledge_bases_are_made_and_deleted_where_one_looks_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Author);
    assert!(author.page("/console").await.contains("href=\"/console/new\""));
    assert!(author.page("/console/kb/gym").await.contains("href=\"/console/new\""));
    // A name that is taken is no way into what is there.
    let got = author.brought("/console/new", "gym", "问题,答案\n几点开门,九点。").await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = got.text();
    assert!(page.contains("已经有一个知识库叫“gym”") && page.contains("value=\"gym\""), "{page}");
    assert!(page.contains("/console/kb/gym/import"), "{page}");
    assert_eq!(author.get("/console/kb/gym/delete").await.status, StatusCode::FORBIDDEN);
    let admin = Author::at(folder.path(), "root", Role::Admin);
    assert!(admin.page("/console/kb/gym").await.contains("/console/kb/gym/delete"));
    assert!(admin.page("/console/kb/gym/delete").await.contains("不能恢复"));
    let got = admin.post("/console/kb/gym/delete", &[("name", "gum")]).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(admin.get("/v1/kbs/gym/outline").await.status, StatusCode::OK);
    let (at, home) = admin.done("/console/kb/gym/delete", &[("name", "gym")]).await;
    assert!(at == "/console" && home.contains("知识库“gym”已删除"), "{at}: {home}");
    assert_eq!(admin.get("/v1/kbs/gym/outline").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_taken_back_comes_to_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let author = Author::at(folder.path(), "wang", Role::Admin);
    let table: String = ENTRIES.map(|name| format!("{name},{name}怎么办,这样办{name}。\n")).concat();
    let (preview, _) = author.bring("/console/new", "gym", &format!("编号,问题,答案\n{table}")).await;
    author.done(&preview, &[]).await;
    let order = async || -> Vec<String> {
        let listed = author.get("/v1/kbs/gym/entries").await.json();
        let ids = listed["items"].as_array().expect("items").iter();
        ids.map(|item| item["entry"]["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(order().await, ENTRIES);
    for chosen in [["甲", "乙", "丙"], ["丙", "甲", "己"]] {
        let mut form: Vec<(&str, &str)> = chosen.iter().map(|id| ("id", *id)).collect();
        form.extend([("do", "delete"), ("sure", "1")]);
        let (_, list) = author.done("/console/kb/gym/entries/bulk", &form).await;
        assert_eq!(order().await.len(), 3);
        let (after, until) = (field(&list, "after"), field(&list, "until"));
        author.done("/console/kb/gym/rewind", &[("after", &after), ("until", &until)]).await;
        assert_eq!(order().await, ENTRIES);
    }
}

/// How many entries wait, as the overview, the list and the releases say it.
async fn waiting(author: &Author) -> (Value, Value, String) {
    let outline = author.get("/v1/kbs/gym/outline").await.json();
    let listed = author.get("/v1/kbs/gym/entries?pending=true").await.json();
    let page = author.page("/console/kb/gym/releases").await;
    let said = page.split_once("还没发布的修改").expect("a heading").1;
    let said = said.split_once("<p").expect("a sentence").1.split_once('>').expect("its text").1;
    (
        outline["pending"].clone(),
        listed["total"].clone(),
        said.split('<').next().unwrap_or_default().to_owned(),
    )
}

#[tokio::test]
async fn what_waits_for_a_publication_is_counted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Admin);
    let none = "没有：草稿和顾客现在得到的一样。";
    assert_eq!(waiting(&author).await, (json!(0), json!(0), none.to_owned()));
    let save = async |answer: &str, how: &str| {
        let (entry, etag) = author.entry("invoice").await;
        let similar: Vec<&str> =
            entry["similar"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let similar = similar.join("\n");
        let form = [
            ("etag", etag.as_str()),
            ("question", entry["question"].as_str().expect("a question")),
            ("similar", &similar),
            ("answer", answer),
            ("keywords", "发票"),
            ("enabled", "1"),
            ("do", how),
        ];
        author.done("/console/kb/gym/entries/invoice", &form).await;
    };
    // Live at once: nothing waits, although the release has it otherwise.
    save("改过的答案。", "live").await;
    assert_eq!(waiting(&author).await, (json!(0), json!(0), none.to_owned()));
    save("又改过的答案。", "draft").await;
    let (pending, listed, said) = waiting(&author).await;
    assert_eq!((pending, listed), (json!(1), json!(1)));
    assert!(said.contains("修改 1 条"), "{said}");
    // Changed back it waits no more.
    save("改过的答案。", "draft").await;
    assert_eq!(waiting(&author).await, (json!(0), json!(0), none.to_owned()));
    author.done("/console/kb/gym/releases", &[("do", "publish")]).await;
    author.done("/console/kb/gym/releases/1", &[("do", "rollback")]).await;
    let (pending, listed, said) = waiting(&author).await;
    assert_eq!((pending, listed), (json!(1), json!(1)));
    assert!(said.contains("修改 1 条"), "{said}");
    assert!(author.page("/console/kb/gym").await.contains("有 1 个修改过的条目还没发布"));
    // What the draft has no more waits too.
    author.done("/console/kb/gym/entries/bulk", &[("id", "cod"), ("do", "delete"), ("sure", "1")]).await;
    assert_eq!(author.get("/v1/kbs/gym/outline").await.json()["gone"], 1);
    assert!(author.page("/console/kb/gym").await.contains("有 2 个修改过的条目还没发布"));
    let (_, tried) = author
        .led("", author.get("/console/kb/gym/try?text=%E6%80%8E%E4%B9%88%E5%BC%80%E7%94%B5%E5%AD%90%E5%8F%91%E7%A5%A8").await)
        .await;
    assert!(tried.contains("草稿") && !tried.contains("版本 0"), "{tried}");
}

/// Customers ask something, and nobody has an answer.
fn asked(data: &Path, texts: &[&str]) {
    let log = Log::open(data);
    for (at, text) in texts.iter().enumerate() {
        let event = Event {
            trace_id: Some(format!("{at:032x}")),
            conversation: Some(format!("c{at}")),
            text: Some((*text).to_owned()),
            decision: Some("handoff".to_owned()),
            reason: Some("no_match".to_owned()),
            ..Event::now(Kind::Decision, "gym")
        };
        log.append(event).expect("stored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_on_a_suggestion_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    asked(folder.path(), &["门店可以停车吗", "转人工", "附近有没有电影院"]);
    let author = Author::at(folder.path(), "wang", Role::Author);
    let open = async || author.get("/v1/kbs/gym/suggestions").await.json()["items"].clone();
    let found = open().await;
    let texts = |found: &Value| -> Vec<String> {
        let items = found.as_array().expect("a list").iter();
        items.map(|one| one["text"].as_str().expect("a text").to_owned()).collect()
    };
    assert!(texts(&found).contains(&"门店可以停车吗".to_owned()), "{found}");
    // Whoever asks for a person needs no entry.
    assert!(!texts(&found).contains(&"转人工".to_owned()), "{found}");
    let of = |text: &str| {
        let one = found.as_array().expect("a list").iter().find(|one| one["text"] == text);
        one.and_then(|one| one["id"].as_str()).expect("an id").to_owned()
    };
    let (inbox, id) = ("/console/kb/gym/inbox", of("门店可以停车吗"));
    // What is missing is asked for by the suggestion, in words of the page.
    for brief in [None, Some(("brief", "1"))] {
        let form: Vec<(&str, &str)> =
            [("id", id.as_str()), ("verdict", "accept")].into_iter().chain(brief).collect();
        let got = author.post(inbox, &form).await;
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
        let page = got.text();
        assert!(page.contains("请先在“修改后采纳”里写答案") && !page.contains("--answer"), "{page}");
        assert_eq!(page.contains("<details class=\"edit\" open>"), brief.is_none(), "{page}");
    }
    let kept = [("id", id.as_str()), ("verdict", "edit"), ("text", "能停车吗"), ("answer", "")];
    assert!(author.post(inbox, &kept).await.text().contains("value=\"能停车吗\""));
    // Left for ever, and put back, at once or later.
    for verdict in ["never", "ignore"] {
        let (at, page) = author.done(inbox, &[("id", &id), ("verdict", verdict)]).await;
        assert!(at.contains(&format!("left={id}")) && page.contains("可以放回来"), "{at}: {page}");
        assert!(!texts(&open().await).contains(&"门店可以停车吗".to_owned()));
        assert!(author.page(inbox).await.contains("忽略的和不再提的建议 1"));
        author.done(inbox, &[("id", &id), ("verdict", "reopen")]).await;
        assert!(texts(&open().await).contains(&"门店可以停车吗".to_owned()));
    }
    // Accepted and taken back.
    let form = [("id", id.as_str()), ("verdict", "edit"), ("answer", "可以，两小时内免费。")];
    let (_, page) = author.done(inbox, &form).await;
    assert!(!texts(&open().await).contains(&"门店可以停车吗".to_owned()));
    let (after, until) = (field(&page, "after"), field(&page, "until"));
    let (at, _) =
        author.done("/console/kb/gym/rewind", &[("after", &after), ("until", &until), ("back", inbox)]).await;
    assert_eq!(at, inbox);
    assert!(texts(&open().await).contains(&"门店可以停车吗".to_owned()));
}

#[tokio::test]
async fn entries_are_called_by_their_questions_and_shares_are_in_percent() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Admin);
    let page = author.page("/console/kb/gym/entries/invoice/history").await;
    assert!(page.contains("<h1>历史：怎么开电子发票</h1>"), "{page}");
    author.bring("/console/kb/gym/queries", "", "问题,期望\n要发票,invoice\n今天天气,").await;
    let page = author.page("/console/kb/gym/queries").await;
    assert!(page.contains("title=\"invoice\">怎么开电子发票</a>"), "{page}");
    let (_, etag) = author.entry("invoice").await;
    for share in ["五", "150", "0"] {
        let form = [
            ("etag", etag.as_str()),
            ("question", "怎么开电子发票"),
            ("answer", "在订单里申请。"),
            ("max_wrong", share),
            ("enabled", "1"),
            ("do", "draft"),
        ];
        let got = author.post("/console/kb/gym/entries/invoice", &form).await;
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
        let page = got.text();
        assert!(page.contains("请填大于 0、小于 100 的百分数"), "{page}");
        assert!(page.contains(&format!("value=\"{share}\"")) && !page.contains("max_wrong 应是"), "{page}");
    }
}

#[tokio::test]
async fn words_that_are_refused_stay_in_their_form() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Author);
    let form = [("kind", "contrast"), ("words", "门禁卡"), ("note", "前台说的"), ("do", "add")];
    let got = author.post("/console/kb/gym/words", &form).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = got.text();
    assert!(page.contains("<option value=\"contrast\" selected>"), "{page}");
    assert!(page.contains("\n门禁卡</textarea>") && page.contains("value=\"前台说的\""), "{page}");
    assert!(page.contains("至少要写两个") && !page.contains("put[0]"), "{page}");
}

#[tokio::test]
async fn tables_are_in_the_words_of_the_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let admin = Author::at(folder.path(), "wang", Role::Admin);
    for text in ["怎么开电子发票", "怎么开电子发票", "月球上能退货吗"] {
        let got =
            admin.send("POST", "/v1/answer", &json!({"text": text, "session": text, "kb": "gym"})).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    }
    let asked = async |path: &str| {
        // What was asked is counted a moment later.
        for _ in 0..100 {
            let got = admin.get(path).await;
            assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.text());
            if got.text().contains("发票") || got.text().contains(",3,") {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} does not tell of the questions");
    };
    let page = asked("/console/stats?kb=gym&by=entry").await.text();
    assert!(page.contains("title=\"invoice\">怎么开电子发票</a>"), "{page}");
    let table = asked("/console/stats/export?kb=gym&by=entry").await;
    assert!(table.header(CONTENT_DISPOSITION).contains(".csv"), "{}", table.header(CONTENT_DISPOSITION));
    let table = table.text();
    let heading = table.lines().next().expect("a heading");
    assert!(
        heading.trim_start_matches('\u{feff}').starts_with("条目,编号,问题,回答,反问,没答上"),
        "{heading}"
    );
    assert!(table.contains("\n怎么开电子发票,invoice,2,2,0,0,"), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("合计,合计,3,") || line.starts_with("合计,,3,")),
        "{table}"
    );
    let sheet = admin.get("/console/stats/export?kb=gym&by=day&format=xlsx").await;
    assert!(sheet.header(CONTENT_DISPOSITION).ends_with(".xlsx") && sheet.body.starts_with(b"PK"));
    // The name of a sheet has at most 31 characters, whatever knowledge bases are called.
    let long = "a-knowledge-base-with-a-long-name";
    publish(folder.path(), long, SMALL_KB, None);
    let admin = Author::at(folder.path(), "liu", Role::Admin);
    let sheet = admin.get(&format!("/console/stats/export?kb={long}&format=xlsx")).await;
    assert!(sheet.status == StatusCode::OK && sheet.body.starts_with(b"PK"), "{}", sheet.text());
    // In English all of it is English, in the words of people.
    let export = "/console/stats/export?kb=gym&by=channel";
    let (_, english) = admin.done("/console/language", &[("to", "en"), ("back", export)]).await;
    let heading = english.lines().next().expect("a heading");
    assert!(heading.contains(",answer rate %,answer rate numerator,"), "{heading}");
    assert!(!heading.contains('_') && !heading.contains('率'), "{heading}");
    let usage = asked("/console/admin/usage/export").await.text();
    let heading = usage.lines().next().expect("a heading");
    assert_eq!(heading.trim_start_matches('\u{feff}'), "日期,知识库,渠道,密钥,密钥编号,提问,回答");
    assert!(usage.contains(",gym,") && usage.contains(",3,2"), "{usage}");
}

#[tokio::test]
async fn a_ticket_is_given_to_somebody_who_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let admin = Author::at(folder.path(), "wang", Role::Admin);
    Author::at(folder.path(), "li", Role::Agent);
    let fields = json!({"contact": "13800000000", "text": "请回电"});
    let made = admin.send("POST", "/v1/tickets", &json!({"kb": "gym", "fields": fields})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let got = admin.post("/console/tickets/1", &[("state", "open"), ("assignee", "小明")]).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = got.text();
    assert!(page.contains("没有人叫 小明") && page.contains("value=\"小明\""), "{page}");
    let (_, page) = admin.done("/console/tickets/1", &[("state", "pending"), ("assignee", "li")]).await;
    assert!(page.contains("已保存") && page.contains("value=\"li\""), "{page}");
    let table = admin.get("/console/tickets/export?format=csv").await.text();
    assert!(table.contains("等待回音,li,") && !table.contains("pending"), "{table}");
    // As colleagues know her.
    let people = admin.get("/v1/people").await.json();
    let li = people["items"].as_array().expect("people").iter().find(|one| one["name"] == "li").expect("li");
    let place = format!("/v1/people/{}", li["id"].as_str().expect("an id"));
    let named = admin.send("PATCH", &place, &json!({"display_name": "李娜"})).await;
    assert_eq!(named.status, StatusCode::OK, "{}", named.text());
    let table = admin.get("/console/tickets/export?format=csv").await.text();
    assert!(table.contains("等待回音,李娜（li）,"), "{table}");
    // A program's desk names whom it likes.
    let lines = admin.get("/v1/tickets/export?format=jsonl").await.text();
    assert!(lines.contains("\"state\":\"pending\""), "{lines}");
}

#[tokio::test]
async fn the_door_opens_without_a_script() {
    let folder = tempfile::tempdir().expect("a folder");
    let author = Author::at(folder.path(), "wang", Role::Author);
    let door = author.page("/login").await;
    assert!(door.contains("<noscript>") && door.contains("name=\"password\""), "{door}");
    let wrong = author.post("/login?next=%2Fconsole%2Fme", &[("name", "wang"), ("password", "x")]).await;
    let page = wrong.text();
    assert!(wrong.status == StatusCode::UNAUTHORIZED && page.contains("密码不对"), "{page}");
    for (next, to) in
        [("%2Fconsole%2Fme", "/console/me"), ("%2F%2Fevil.example", "/console"), ("", "/console")]
    {
        let path = format!("/login?next={next}");
        let got = author.post(&path, &[("name", "wang"), ("password", PASSWORD)]).await;
        assert_eq!((got.status, got.header(LOCATION)), (StatusCode::SEE_OTHER, to), "{}", got.text());
        assert!(got.header(SET_COOKIE).contains("HttpOnly"), "{}", got.header(SET_COOKIE));
    }
}

#[tokio::test]
async fn a_form_is_refused_in_the_words_of_the_form() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let admin = Author::at(folder.path(), "wang", Role::Admin);
    let page = admin.page("/console/kb/gym/service?part=ticket").await;
    let (etag, base) = (field(&page, "etag"), "{}");
    let filled = [
        ("part", "ticket"),
        ("etag", etag.as_str()),
        ("base", base),
        ("enabled", "1"),
        ("intro", "请留言"),
        ("done", "已登记"),
        ("fields", "2"),
        ("label-0", "您的问题"),
        ("kind-0", "long"),
        ("max-0", "200"),
        ("name-0", "text"),
        ("label-1", "手机"),
        ("kind-1", "phone"),
        ("max-1", "200"),
        ("name-1", "手机"),
        ("do", "draft"),
    ];
    let got = admin.post("/console/kb/gym/service", &filled).await;
    let page = got.text();
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    assert!(page.contains("第 2 项的“程序用的名称”："), "{page}");
    assert!(!page.contains("ticket.fields["), "{page}");
    // What is not there is called by its name too.
    let page = admin.get("/console/tickets/77").await.text();
    assert!(page.contains("没有这个工单") && !page.contains("没有这个内容"), "{page}");
    let page = admin.get("/console/desk/past?before=x").await.text();
    assert!(!page.contains("before</code>"), "{page}");
}

//! What an author does in the console, as a browser without scripts does it: forms
//! are sent as they stand, and every page is what the API's rights make of it.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use zhida::access::Role;

use crate::http::{Got, publish, send};
use crate::people::{Browser, over, person};
use crate::support::SMALL_KB;

/// What would run, or break out of an attribute, if it were not text.
const PAYLOAD: &str = r#""><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"#;

/// An author at a browser.
pub(crate) struct Author {
    pub(crate) app: Router,
    browser: Browser,
}

impl Author {
    pub(crate) fn at(root: &Path, name: &str, role: Role) -> Self {
        let browser = Browser::of(root, &person(root, "default", name, role));
        Self { app: over(root), browser }
    }

    async fn ask(&self, request: axum::http::request::Builder, body: Body) -> Got {
        let request =
            request.header(header::COOKIE, &self.browser.cookie).header(header::ACCEPT_LANGUAGE, "zh-CN");
        send(&self.app, request.body(body).expect("a request")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.ask(Request::get(path), Body::empty()).await
    }

    /// A page that opens.
    pub(crate) async fn page(&self, path: &str) -> String {
        let got = self.get(path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.text());
        got.text()
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Got {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", &self.browser.csrf).extend_pairs(fields);
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request, Body::from(form.finish())).await
    }

    /// A request of the API with a body, as the pages' scripts send it.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Got {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-csrf-token", &self.browser.csrf);
        self.ask(request, Body::from(body.to_string())).await
    }

    /// A stream up to where it says something.
    pub(crate) async fn beginning(&self, request: axum::http::request::Builder, until: &str) -> String {
        let request = request.header(header::COOKIE, &self.browser.cookie);
        let request = request.body(Body::empty()).expect("a request");
        let mut body = self.app.clone().oneshot(request).await.expect("a response").into_body();
        let mut text = String::new();
        while !text.split_once(until).is_some_and(|(_, rest)| rest.contains("\n\n")) {
            let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("in time");
            let Some(Ok(frame)) = frame else { panic!("the stream ended: {text}") };
            text.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
        }
        text
    }

    /// Sends a form that is taken, and opens the page that it leads to, waiting for
    /// work on the way; gives back where that is and what it says.
    pub(crate) async fn done(&self, path: &str, fields: &[(&str, &str)]) -> (String, String) {
        let got = self.post(path, fields).await;
        self.led(path, got).await
    }

    pub(crate) async fn led(&self, path: &str, mut got: Got) -> (String, String) {
        let mut at = path.to_owned();
        loop {
            // What the page before has to say is shown by the next one.
            let mut cookies = self.browser.cookie.clone();
            if got.status == StatusCode::SEE_OTHER {
                at = got.header(header::LOCATION).to_owned();
                if let Some(kept) = got.headers.get(header::SET_COOKIE).and_then(|kept| kept.to_str().ok()) {
                    cookies = format!("{cookies}; {}", kept.split(';').next().unwrap_or_default());
                }
            } else if !at.contains("/jobs/") || !got.text().contains("data-job") {
                assert_eq!(got.status, StatusCode::OK, "{at}: {}", got.text());
                return (at, got.text());
            } else {
                tokio::task::yield_now().await;
            }
            let request =
                Request::get(&at).header(header::COOKIE, cookies).header(header::ACCEPT_LANGUAGE, "zh-CN");
            got = send(&self.app, request.body(Body::empty()).expect("a request")).await;
        }
    }

    /// Brings a table, as a form with a file sends it.
    pub(crate) async fn bring(&self, path: &str, kb: &str, table: &str) -> (String, String) {
        let got = self.brought(path, kb, table).await;
        self.led(path, got).await
    }

    /// What the server says at once to a table.
    pub(crate) async fn brought(&self, path: &str, kb: &str, table: &str) -> Got {
        let mut body = String::new();
        for (name, value) in [("csrf", self.browser.csrf.as_str()), ("kb", kb)] {
            body += &format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        body += &format!(
            "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"faq.csv\"\r\n\r\n{table}\r\n--edge--\r\n"
        );
        let request = Request::post(path).header(header::CONTENT_TYPE, "multipart/form-data; boundary=edge");
        self.ask(request, Body::from(body)).await
    }

    pub(crate) async fn entry(&self, id: &str) -> (Value, String) {
        let got = self.get(&format!("/v1/kbs/gym/entries/{id}")).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
        (got.json(), got.header(header::ETAG).to_owned())
    }
}

/// The value of the first hidden field of a name.
pub(crate) fn field(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let rest = page.split_once(&start).unwrap_or_else(|| panic!("no {name}: {page}")).1;
    rest.split_once('"').expect("an end").0.replace("&quot;", "\"")
}

const TABLE: &str = "编号,顾客怎么问,我们怎么答,谁写的\n\
hours,几点开门,早上九点到晚上十点。,小王\n\
transfer,会员卡可以转让吗,可以转让一次，请本人到前台办理。,小王\n\
broken,,没有问题的一行,小李\n\
pool,游泳池的水多少度,全年保持在二十七度左右。,小李\n";

#[tokio::test]
async fn a_table_becomes_answers_and_is_rolled_back_without_a_script() {
    let folder = tempfile::tempdir().expect("a folder");
    let author = Author::at(folder.path(), "wang", Role::Admin);
    assert!(author.page("/console/new").await.contains("enctype=\"multipart/form-data\""));
    let (preview, page) = author.bring("/console/new", "gym", TABLE).await;
    assert!(preview.starts_with("/console/kb/gym/import/"), "{preview}");
    assert!(page.contains("没有认出列名") && page.contains("顾客怎么问"), "{page}");
    // The author says what the columns hold.
    let said = [("顾客怎么问", "question"), ("我们怎么答", "answer"), ("谁写的", ""), ("编号", "id")];
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (heading, field) in said {
        query.append_pair("h", heading).append_pair("f", field);
    }
    let mapped = author.page(&format!("{preview}?{}", query.finish())).await;
    assert!(mapped.contains("新增 3 条") && mapped.contains("不能导入的行：1"), "{mapped}");
    let fields: Vec<(&str, &str)> =
        said.iter().flat_map(|(heading, field)| [("h", *heading), ("f", *field)]).collect();
    let (at, done) = author.done(&preview, &fields).await;
    assert!(at.starts_with("/console/kb/gym/import/done") && done.contains("新增 3 条"), "{at}: {done}");
    // What was said of the columns is remembered.
    let (_, again) = author.bring("/console/kb/gym/import", "", TABLE).await;
    assert!(again.contains("3 条不变"), "{again}");
    // Taken back, and brought once more.
    let stretch = [("after", field(&done, "after")), ("until", field(&done, "until"))];
    let stretch: Vec<(&str, &str)> = stretch.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (_, undone) = author.done("/console/kb/gym/rewind", &stretch).await;
    assert!(undone.contains("已撤销：新增 0 条，修改 0 条，删除 3 条"), "{undone}");
    author.done(&preview, &fields).await;
    let (_, published) = author.done("/console/kb/gym/releases", &[("do", "publish")]).await;
    assert!(published.contains("已发布版本 1"), "{published}");
    // A second release, and back to the first one.
    let (entry, etag) = author.entry("pool").await;
    assert_eq!(entry["answer"], "全年保持在二十七度左右。");
    let change = [
        ("etag", etag.as_str()),
        ("question", "游泳池的水多少度"),
        ("similar", "泳池水温\n水冷不冷"),
        ("answer", "二十八度。"),
        ("enabled", "1"),
        ("do", "draft"),
    ];
    let (_, saved) = author.done("/console/kb/gym/entries/pool", &change).await;
    assert!(saved.contains("已保存到草稿"), "{saved}");
    assert!(author.page("/console/kb/gym/releases").await.contains("修改 1 条"));
    let (_, seen) = author.done("/console/kb/gym/releases", &[("do", "preview")]).await;
    assert!(seen.contains("发布以后对顾客的变化"), "{seen}");
    author.done("/console/kb/gym/releases", &[("do", "publish")]).await;
    let now = author.get("/v1/kbs/gym/releases").await.json();
    assert_eq!(now["current"], 2);
    let (_, back) = author.done("/console/kb/gym/releases/1", &[("do", "rollback")]).await;
    assert!(back.contains("已回滚"), "{back}");
    assert_eq!(author.get("/v1/kbs/gym/releases").await.json()["current"], 1);
    let (_, tried) = author
        .led(
            "/console/kb/gym/try?text=泳池水温",
            author.get("/console/kb/gym/try?text=%E6%B3%B3%E6%B1%A0%E6%B0%B4%E6%B8%A9").await,
        )
        .await;
    assert!(tried.contains("二十八度。") && tried.contains("发布以后会变"), "{tried}");
    let (_, checked) = author.done("/console/kb/gym/check", &[("days", "30")]).await;
    assert!(checked.contains("再检查一次"), "{checked}");
}

#[tokio::test]
async fn two_authors_collide_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Author);
    let (_, etag) = author.entry("invoice").await;
    let edit = |similar: &'static str, answer: &'static str| {
        [
            ("etag", etag.clone()),
            ("question", "怎么开电子发票".to_owned()),
            ("similar", similar.to_owned()),
            ("answer", answer.to_owned()),
            ("keywords", "发票".to_owned()),
            ("enabled", "1".to_owned()),
            ("do", "draft".to_owned()),
        ]
    };
    let theirs = edit("发票在哪里开\n要报销需要票\n他们的问法", "他们的答案。");
    let theirs: Vec<(&str, &str)> = theirs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    author.done("/console/kb/gym/entries/invoice", &theirs).await;
    let mine = edit("发票在哪里开\n要报销需要票\n我的问法", "订单完成后在“我的发票”里申请。");
    let mine: Vec<(&str, &str)> = mine.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let got = author.post("/console/kb/gym/entries/invoice", &mine).await;
    assert_eq!(got.status, StatusCode::CONFLICT);
    let page = got.text();
    for told in ["我的问法", "他们的问法", "他们的答案。", "wang"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    // What I have not touched is taken from them without asking.
    assert!(page.contains("name=\"pick.answer\" value=\"theirs\" checked"), "{page}");
    let mut chosen: Vec<(&str, &str)> = mine.iter().copied().filter(|(name, _)| *name != "etag").collect();
    let now = field(page.split_once("/merge").expect("a form").1, "etag");
    chosen.extend([("etag", now.as_str()), ("pick.similar", "both"), ("pick.answer", "theirs")]);
    author.done("/console/kb/gym/entries/invoice/merge", &chosen).await;
    let (entry, _) = author.entry("invoice").await;
    assert_eq!(entry["answer"], "他们的答案。");
    let similar = entry["similar"].to_string();
    assert!(similar.contains("我的问法") && similar.contains("他们的问法"), "{similar}");
}

#[tokio::test]
async fn whatever_authors_write_stays_text_and_no_field_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Author);
    let all = [
        ("id", "all"),
        ("question", PAYLOAD),
        ("similar", "问法一\n<b>问法二</b>"),
        ("answer", PAYLOAD),
        ("topic", PAYLOAD),
        ("keywords", "<i>词</i>"),
        ("tags", "<u>签</u>"),
        ("related", "invoice\ncod"),
        ("valid_from", "2026-01-01T08:00"),
        ("valid_until", "2036-01-01T08:00:30"),
        ("max_wrong", "2.5"),
        ("channel", "wechat"),
        ("channel_answer", PAYLOAD),
        ("images", "https://shop.example/a.png | <script>alert(1)</script>"),
        (
            "links",
            "<img src=x onerror=alert(1)> | https://shop.example/\n<b>卡</b> | https://shop.example/c | <u>说</u> | https://shop.example/c.png",
        ),
        ("rule_kind", "contains"),
        ("rule_text", "甲\n乙"),
        ("rule_without", "<丙>"),
        ("rule_kind", "regex"),
        ("rule_text", "退(款|货)多久"),
        ("rule_without", ""),
        ("enabled", "1"),
        ("do", "draft"),
    ];
    author.done("/console/kb/gym/entries/new", &all).await;
    let (made, etag) = author.entry("all").await;
    assert_eq!(made["answer"], PAYLOAD);
    assert_eq!(made["max_wrong"], 0.025);
    assert_eq!(made["images"][0]["alt"], "<script>alert(1)</script>");
    assert_eq!(made["links"][1]["image"], "https://shop.example/c.png");
    assert_eq!(made["rules"].as_array().map(Vec::len), Some(2));
    // Saved again with everything that its own form holds, it is the same.
    let mut again: Vec<(&str, &str)> = all.to_vec();
    again.push(("etag", &etag));
    author.done("/console/kb/gym/entries/all", &again).await;
    assert_eq!(author.entry("all").await.0, made);
    author
        .post(
            "/console/kb/gym/words",
            &[("kind", "stop"), ("words", "<s>词</s>"), ("note", PAYLOAD), ("do", "add")],
        )
        .await;
    for path in [
        "",
        "/entries",
        "/entries/all",
        "/entries/all/history",
        "/releases",
        "/words",
        "/service",
        "/queries",
        "/import",
        "/entries/new",
        "/check",
        "/inbox",
        "/try",
    ] {
        let page = author.page(&format!("/console/kb/gym{path}")).await;
        for raw in ["<script>alert", "<img src=x", "<b>问法", "<i>词", "<u>签", "<s>词", "<丙>"] {
            assert!(!page.contains(raw), "{path} has {raw}");
        }
        assert!(!page.contains(" style=") && !page.contains("javascript:"), "{path}");
    }
    // An address that runs something is no address.
    let evil = [
        ("question", "怎么退"),
        ("answer", "在订单里申请。"),
        ("links", "点我 | javascript:alert(1)"),
        ("enabled", "1"),
        ("do", "draft"),
    ];
    let got = author.post("/console/kb/gym/entries/new", &evil).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(got.text().contains("每行一个，网址以 https:// 或 http:// 开头"), "{}", got.text());
    // Refused, what was filled in is still there.
    let taken =
        [("question", "怎么开电子发票"), ("answer", "我写了很久的答案"), ("enabled", "1"), ("do", "draft")];
    let got = author.post("/console/kb/gym/entries/new", &taken).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = got.text();
    assert!(page.contains("我写了很久的答案") && page.contains("/console/kb/gym/entries/invoice"), "{page}");
}

#[tokio::test]
async fn deleting_asks_first_and_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Author);
    let chosen = [("id", "cod"), ("id", "invoice"), ("do", "delete")];
    let asked = author.post("/console/kb/gym/entries/bulk", &chosen).await;
    assert!(asked.text().contains("要删除选中的 2 个条目吗"), "{}", asked.text());
    author.entry("cod").await;
    let sure: Vec<(&str, &str)> = chosen.iter().copied().chain([("sure", "1")]).collect();
    let (_, list) = author.done("/console/kb/gym/entries/bulk", &sure).await;
    assert!(list.contains("已修改 2 条"), "{list}");
    assert_eq!(author.get("/v1/kbs/gym/entries/cod").await.status, StatusCode::NOT_FOUND);
    let (after, until) = (field(&list, "after"), field(&list, "until"));
    author.done("/console/kb/gym/rewind", &[("after", &after), ("until", &until)]).await;
    author.entry("cod").await;
    author.entry("invoice").await;
    let (_, found) = author
        .done("/console/kb/gym/entries/bulk", &[("id", "cod"), ("do", "topic"), ("topic", "付款")])
        .await;
    assert!(found.contains("付款"), "{found}");
}

/// Whether customers get something else than a side, and what the draft waits for.
async fn changed(author: &Author, from: &str, to: &str) -> usize {
    let diff = author.get(&format!("/v1/kbs/gym/diff?from={from}&to={to}")).await.json();
    diff["changed"].as_array().unwrap_or_else(|| panic!("{diff}")).len()
}

/// Saves another answer of an entry; what the page says then.
async fn answered(author: &Author, answer: &str, how: &str) -> String {
    let (_, etag) = author.entry("cod").await;
    let fields = [
        ("etag", etag.as_str()),
        ("question", "支持货到付款吗"),
        ("similar", "能不能收到货再给钱"),
        ("answer", answer),
        ("enabled", "1"),
        ("do", how),
    ];
    author.done("/console/kb/gym/entries/cod", &fields).await.1
}

#[tokio::test]
async fn what_customers_got_at_once_is_taken_back_for_them_too() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Admin);
    let undo = async |page: &str| {
        let stretch = [("after", field(page, "after")), ("until", field(page, "until"))];
        let stretch: Vec<(&str, &str)> =
            stretch.iter().map(|(name, value)| (*name, value.as_str())).collect();
        author.done("/console/kb/gym/rewind", &stretch).await.1
    };
    // The form has no rules, so that more than the answer differs from the release.
    answered(&author, "部分地区支持。", "live").await;
    let saved = answered(&author, "写错了。", "live").await;
    assert_eq!(changed(&author, "served", "draft").await, 0);
    let told = undo(&saved).await;
    assert!(told.contains("顾客得到的也恢复了"), "{told}");
    assert_eq!(changed(&author, "served", "draft").await, 0);
    assert_eq!(author.entry("cod").await.0["answer"], "部分地区支持。");
    let page = author.page("/console/kb/gym/releases").await;
    assert!(page.contains("草稿和顾客现在得到的一样"), "{page}");
    // What was there before was never published: customers are not given it by the way.
    answered(&author, "还没写完的", "draft").await;
    let saved = answered(&author, "又写错了。", "live").await;
    let told = undo(&saved).await;
    assert!(told.contains("要等下次发布才变"), "{told}");
    assert_eq!(author.entry("cod").await.0["answer"], "还没写完的");
    assert_eq!(changed(&author, "served", "draft").await, 1);
    let page = author.page("/console/kb/gym/releases").await;
    assert!(page.contains("修改 1 条") && page.contains("又写错了。"), "{page}");
}

#[tokio::test]
async fn going_back_says_all_that_goes_back_and_it_can_be_had_again() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let author = Author::at(folder.path(), "wang", Role::Admin);
    answered(&author, "全国支持。", "draft").await;
    author.done("/console/kb/gym/releases", &[("do", "publish")]).await;
    let document = "[voice]\ngreeting = \"您好，这里是健身房。\"\n";
    let put = async || {
        let etag = author.get("/v1/kbs/gym/service").await.header(header::ETAG).to_owned();
        let fields = [("part", "text"), ("etag", etag.as_str()), ("document", document), ("do", "live")];
        author.done("/console/kb/gym/service", &fields).await
    };
    put().await;
    let service = async |from: &str, to: &str| {
        author.get(&format!("/v1/kbs/gym/diff?from={from}&to={to}")).await.json()["service"].clone()
    };
    assert!(service("served", "draft").await.is_null());
    let page = author.page("/console/kb/gym/releases/1").await;
    assert!(page.contains("话术与规则（服务时间也在其中）不一样") && page.contains("修改 1 条"), "{page}");
    author.done("/console/kb/gym/releases/1", &[("do", "rollback")]).await;
    // What the draft has and customers have not is told as that, everywhere.
    assert!(!service("served", "draft").await.is_null());
    assert_eq!(changed(&author, "served", "draft").await, 1);
    let waiting = author.get("/v1/kbs/gym/entries?pending=true").await.json();
    assert_eq!(waiting["items"].as_array().map(Vec::len), Some(1), "{waiting}");
    let outline = author.get("/v1/kbs/gym/outline").await.json();
    assert_eq!(outline["pending"], 1, "{outline}");
    // Said once more, though nothing in it is new, it is in force again.
    put().await;
    assert!(service("served", "draft").await.is_null());
    answered(&author, "全国支持。", "live").await;
    assert_eq!(changed(&author, "served", "draft").await, 0);
}

#[tokio::test]
async fn pages_have_no_rights_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "gym", SMALL_KB, None);
    let agent = Author::at(folder.path(), "li", Role::Agent);
    for path in [
        "",
        "/entries",
        "/entries/cod",
        "/import",
        "/releases",
        "/check",
        "/inbox",
        "/words",
        "/service",
        "/queries",
    ] {
        let got = agent.get(&format!("/console/kb/gym{path}")).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}: {}", got.text());
    }
    assert_eq!(agent.get("/console/new").await.status, StatusCode::FORBIDDEN);
    let got = agent.post("/console/kb/gym/entries/bulk", &[("id", "cod"), ("do", "disable")]).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    let nobody =
        send(&agent.app, Request::get("/console/kb/gym/entries?q=x").body(Body::empty()).expect("a request"))
            .await;
    assert_eq!(nobody.status, StatusCode::SEE_OTHER);
    assert_eq!(nobody.header(header::LOCATION), "/login?next=%2Fconsole%2Fkb%2Fgym%2Fentries%3Fq%3Dx");
    // A form of another site has not our token.
    let author = Author::at(folder.path(), "wang", Role::Author);
    let forged = Author {
        browser: Browser { csrf: "x".to_owned(), ..author.browser.clone() },
        app: author.app.clone(),
    };
    let got = forged.post("/console/kb/gym/words", &[("kind", "stop"), ("words", "甲"), ("do", "add")]).await;
    assert!(got.status == StatusCode::FORBIDDEN || got.status == StatusCode::UNAUTHORIZED, "{}", got.text());
}

/// A draft takes its time to be indexed; who asks again meanwhile is led to the same work.
#[tokio::test]
async fn whoever_opens_the_trial_again_is_led_to_the_work_that_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let entry = |number: usize| {
        let question = format!("第{number}号会员卡怎么在第{}号柜台办理退卡和换卡", number * 7);
        format!("{{\"id\":\"e{number}\",\"question\":\"{question}\",\"answer\":\"可以。\"}}\n")
    };
    let lines: String = (0..300).map(entry).collect();
    let base = zhida::kb::formats::read_jsonl("big.jsonl", lines.as_bytes()).expect("sound");
    let shelf = crate::support::store(folder.path()).shelf_to_create("demo").expect("a name");
    shelf.save_draft(&base).expect("saved");
    let author = Author::at(folder.path(), "wang", Role::Author);
    let path = "/console/kb/demo/try?text=%E6%80%8E%E4%B9%88%E9%80%80";
    let (first, second) = (author.get(path).await, author.get(path).await);
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.text());
    let place = first.header(header::LOCATION).to_owned();
    assert!(place.contains("/jobs/"), "{place}");
    match second.status {
        StatusCode::SEE_OTHER => assert_eq!(second.header(header::LOCATION), place),
        // A fast machine was done by then.
        status => assert_eq!(status, StatusCode::OK, "{}", second.text()),
    }
    let (at, page) = author.led(path, first).await;
    assert!(at.starts_with("/console/kb/demo/try"), "{at}");
    assert!(page.contains("草稿"), "{page}");
}

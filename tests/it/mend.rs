//! Mistakes of authors: rows with faults, files that take too much away, and
//! how all of that is undone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use zhida::kb::formats::{self, Incoming, Reading};
use zhida::kb::merge::Mode;
use zhida::kb::{EntryId, KnowledgeBase};
use zhida::server::{Registry, Server, router};
use zhida::store::{Edit, Expected};

use crate::http::{Got, MAX_WRONG, Running, admission, ask, get, post, publish, send};
use crate::store::Desk;
use crate::support::{SMALL_KB, run, stderr, stdout, zhida};

/// `count` entries, the ids `e0`, `e1`, …
fn entries(count: usize) -> String {
    let topics =
        ["退货", "换货", "发票", "会员", "运费", "赠品", "预售", "积分", "保修", "自提", "礼品卡", "安装"];
    (0..count)
        .map(|at| {
            let topic = topics[at % topics.len()];
            json!({"id": format!("e{at}"), "question": format!("{topic}的第{at}条规定是什么"), "answer": format!("请看{topic}说明的第 {at} 页。")})
                .to_string()
                + "\n"
        })
        .collect()
}

fn export(desk: &Desk, name: &str, more: &[&str]) -> String {
    let path = desk.file(name, "");
    desk.sound(&[&["kb", "export", "--kb", "t", "--out", &path], more].concat());
    path
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).expect("readable")
}

/// The cells of the first sheet of a workbook.
fn cells(path: &Path) -> Vec<Vec<String>> {
    use calamine::Reader as _;
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(path).expect("a workbook");
    let sheet = book.sheet_names()[0].clone();
    let range = book.worksheet_range(&sheet).expect("a sheet");
    range.rows().map(|row| row.iter().map(ToString::to_string).collect()).collect()
}

/// Writes a sheet with these cells.
fn sheet(path: &Path, rows: &[Vec<String>]) {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (line, row) in (0u32..).zip(rows) {
        for (column, cell) in (0u16..).zip(row).filter(|(_, cell)| !cell.is_empty()) {
            sheet.write_string(line, column, cell).expect("short");
        }
    }
    book.save(path).expect("writable");
}

// ---- good rows -------------------------------------------------------------

const MESSY: &str = "编号,问题,相似问,答案,启用,备注\n\
    a,怎么退货,退货流程|想退货,在订单里申请退货。,是,\n\
    b,怎么换货,,,是,没有答案\n\
    c,怎么开发票,,在订单里申请发票。,也许,\n\
    d,怎样退货,想退货？,同一句话写在两处。,是,\n\
    e,会员怎么升级,,消费满一千元升级。,是,\n\
    e,,等级怎么升,,是,\n\
    f,运费谁出,,质量问题由商家承担。,是,\n\
    f,,谁付运费,另一个答案,是,\n";

#[test]
fn an_id_that_two_rows_have_is_told_whatever_else_is_wrong_with_one() {
    let desk = Desk::new();
    for (rows, field) in [
        ("x1,停车多少钱,,是\nx1,洗车多少钱,30元,是\n", "[answer]"),
        ("x1,洗车多少钱,30元,是\nx1,停车多少钱,10元,也许\n", "[enabled]"),
    ] {
        let path = desk.file("double.csv", &format!("编号,标准问,回复,启用\n{rows}y,几点开门,九点,是\n"));
        let refused = desk.run(&["kb", "import", "--kb", "t", &path]);
        let told = stderr(&refused);
        assert!(!refused.status.success() && told.contains("编号“x1”") && told.contains(field), "{told}");
        // Handed back alone and mended, one row would take the other's place.
        let report = desk.run(&["kb", "import", "--kb", "t", "--good-rows", "--json", &path]);
        let told: Value = serde_json::from_slice(&report.stdout).expect("JSON");
        assert_eq!((&told["added"], &told["rejected"]["entries"]), (&json!(1), &json!(2)), "{told}");
        desk.sound(&["kb", "delete", "--kb", "t", "--yes"]);
    }
}

#[test]
fn good_rows_come_in_and_the_others_come_back() {
    let desk = Desk::new();
    let path = desk.file("faq.csv", MESSY);
    let import = |more: &[&str]| {
        desk.run(&[&["kb", "import", "--kb", "t", "--ignore-column", "备注", &path], more].concat())
    };
    let dry = import(&["--dry-run"]);
    assert_eq!(dry.status.code(), Some(1));
    let told = stderr(&dry);
    assert!(told.contains("faq.csv:3:4 [answer]") && told.contains("--good-rows"), "{told}");
    assert!(!desk.data().exists());
    let dry = import(&["--dry-run", "--good-rows"]);
    assert!(dry.status.success() && !desk.data().exists(), "{}", stderr(&dry));
    let back = PathBuf::from(&path).with_file_name("faq.rejected.xlsx");
    assert!(!back.exists(), "a dry run writes nothing");

    let report = import(&["--good-rows", "--json"]);
    assert!(report.status.success(), "{}", stderr(&report));
    let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert_eq!((&report["added"], &report["rejected"]["entries"]), (&json!(3), &json!(4)), "{report}");
    let draft = desk.store().shelf("t").expect("there").draft().expect("readable");
    let ids: Vec<&str> = draft.entries().iter().map(|entry| entry.id.0.as_str()).collect();
    assert_eq!(ids, ["a", "e", "f"], "of two rows that differ under one id the first one keeps");
    assert_eq!(draft.entries()[2].answer, "质量问题由商家承担。");
    assert_eq!(draft.entries()[1].similar, ["等级怎么升"]);

    // With its own columns, each row with what is wrong.
    let mut rows = cells(&back);
    assert_eq!(rows[0][..6], ["编号", "问题", "相似问", "答案", "启用", "备注"]);
    let seen: Vec<(&str, bool)> = rows[1..].iter().map(|row| (row[0].as_str(), !row[6].is_empty())).collect();
    assert_eq!(seen, [("b", true), ("c", true), ("d", true), ("f", true)]);
    assert!(rows[3][6].contains("想退货") && rows[3][6].contains("怎么退货"), "{}", rows[3][6]);
    assert!(rows[4][2] == "谁付运费" && rows[4][6].contains("运费谁出"), "{}", rows[4][6]);

    // Mended and imported again; what is handed back a second time gets another name.
    (rows[1][3], rows[3][2], rows[4][0]) = ("拍照申请换货。".into(), String::new(), "g".into());
    sheet(&back, &rows);
    let again = |file: &Path, more: &[&str]| {
        let file = file.display().to_string();
        let args = ["kb", "import", "--kb", "t", "--mode", "update", "--ignore-column", "备注", &file];
        desk.run(&[&args, more].concat())
    };
    let second = again(&back, &["--good-rows"]);
    let told = stderr(&second);
    assert!(second.status.success() && told.contains("faq.rejected-2.xlsx"), "{told}");
    let back = back.with_file_name("faq.rejected-2.xlsx");
    let mut rows = cells(&back);
    assert_eq!((rows.len(), rows[1].len(), rows[1][0].as_str()), (2, 7, "c"), "{rows:?}");
    rows[1][4] = "否".into();
    sheet(&back, &rows);
    assert!(again(&back, &[]).status.success());
    let draft = desk.store().shelf("t").expect("there").draft().expect("readable");
    let ids: Vec<&str> = draft.entries().iter().map(|entry| entry.id.0.as_str()).collect();
    assert_eq!(ids, ["a", "e", "f", "b", "d", "g", "c"]);
}

fn good(file: &str, base: &KnowledgeBase, mode: Mode) -> (Vec<String>, usize, usize) {
    let incoming =
        Incoming::of_bytes("in.jsonl", formats::Format::Jsonl, file.as_bytes(), &Reading::default());
    let (merged, rejects) = incoming.good_into_base(base, mode).expect("no fault of the whole file");
    // What comes out holds together.
    formats::recheck("merged", merged.entries()).expect("sound");
    let told = merged.entries().iter().map(|entry| format!("{}={}", entry.id, entry.answer)).collect();
    (told, rejects.entries, rejects.kept)
}

#[test]
fn the_first_one_keeps_and_what_is_handed_back_leaves_the_old_entry() {
    let read = |text: &str| formats::read_jsonl("kb", text.as_bytes()).expect("sound");
    let line = |id: &str, question: &str, similar: &str, answer: &str| {
        json!({"id": id, "question": question, "similar": [similar], "answer": answer}).to_string() + "\n"
    };
    let base = read(
        &[
            line("a", "问甲", "甲二", "旧甲"),
            line("b", "问乙", "乙二", "旧乙"),
            line("c", "问丙", "丙二", "旧丙"),
        ]
        .concat(),
    );
    let none = KnowledgeBase::default();

    // B repeats A, C repeats only B: C is good.
    let chain =
        [line("a", "问一", "一二", "甲"), line("b", "问二", "一二", "乙"), line("c", "问三", "问二", "丙")]
            .concat();
    assert_eq!(good(&chain, &none, Mode::Replace), (vec!["a=甲".into(), "c=丙".into()], 1, 0));

    // A replacing file with a broken row for `b` does not remove the old one.
    let broken =
        [line("a", "问甲", "甲二", "新甲"), "{\"id\":\"b\",\"question\":\"问乙\"}\n".to_owned()].concat();
    assert_eq!(good(&broken, &base, Mode::Replace), (vec!["a=新甲".into(), "b=旧乙".into()], 1, 1));

    // `x` wants what the old `b` has; the new `b` would have left it, but is broken.
    let moved =
        [line("x", "乙二", "新的", "新"), "{\"id\":\"b\",\"question\":\"问乙\"}\n".to_owned()].concat();
    for mode in [Mode::Update, Mode::Replace] {
        let (told, rejected, kept) = good(&moved, &base, mode);
        assert!(
            told.contains(&"b=旧乙".to_owned()) && !told.iter().any(|one| one.starts_with("x=")),
            "{told:?}"
        );
        assert_eq!((rejected, kept), (2, 1));
    }
    // Whole, it moves.
    let moved = [line("x", "乙二", "新的", "新"), line("b", "问乙", "乙三", "新乙")].concat();
    let (told, rejected, _) = good(&moved, &base, Mode::Update);
    assert_eq!((told, rejected), (vec!["a=旧甲".into(), "b=新乙".into(), "c=旧丙".into(), "x=新".into()], 0));

    // What is there already is no fault of a file that only adds.
    let more =
        [line("a", "问甲", "甲二", "新甲"), line("y", "问丁", "丙二", "丁"), line("z", "问戊", "戊二", "戊")]
            .concat();
    let (told, rejected, _) = good(&more, &base, Mode::Add);
    assert_eq!((told, rejected), (vec!["a=旧甲".into(), "b=旧乙".into(), "c=旧丙".into(), "z=戊".into()], 1));
}

#[test]
fn lines_of_json_come_back_as_a_table_that_can_be_read() {
    let desk = Desk::new();
    let path = desk.file(
        "faq.jsonl",
        "{\"id\":\"a\",\"question\":\"怎么退货\",\"answer\":\"在订单里申请。\"}\n\
         {\"id\":\"b\",\"question\":\"怎么换货\",\"similar\":[\"换货流程\",\"=换\"],\"answer\":\"\",\"enabled\":false,\"rules\":[{\"contains\":[\"换\"]}]}\n\
         {\"id\":\"c\",\"question\":\n",
    );
    let out = PathBuf::from(&path).with_file_name("back.xlsx");
    let out = out.display().to_string();
    let import = |file: &str, more: &[&str]| desk.run(&[&["kb", "import", "--kb", "t", file], more].concat());
    let first = import(&path, &["--good-rows", "--rejected", &out]);
    assert!(first.status.success(), "{}", stderr(&first));
    let mut rows = cells(Path::new(&out));
    let column =
        |rows: &[Vec<String>], name: &str| rows[0].iter().position(|heading| heading == name).expect(name);
    let (question, answer, raw) =
        (column(&rows, "question"), column(&rows, "answer"), column(&rows, "原来的一行"));
    assert!(rows[2][raw].contains("\"c\""), "{rows:?}");
    rows[1][answer] = "拍照申请。".into();
    (rows[2][question], rows[2][answer]) = ("怎么补货".into(), "等到货通知。".into());
    sheet(Path::new(&out), &rows);
    let second = import(&out, &["--mode", "update"]);
    assert!(second.status.success(), "{}", stderr(&second));
    let draft = desk.store().shelf("t").expect("there").draft().expect("readable");
    let b = draft.entries().iter().find(|entry| entry.id.0 == "b").expect("there");
    assert_eq!(
        (b.similar.as_slice(), b.enabled, b.rules.len()),
        (&["换货流程".to_owned(), "=换".into()][..], false, 1)
    );
    assert_eq!(draft.entries().len(), 3);

    // Faults of the whole file are nobody's row.
    let headless = desk.file("none.csv", "一,二\n三,四\n");
    let refused = import(&headless, &["--good-rows", "--yes"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("表头"), "{}", stderr(&refused));
    let onto_itself = import(&path, &["--good-rows", "--rejected", &path]);
    assert_eq!(onto_itself.status.code(), Some(1));
}

// ---- what takes much away ---------------------------------------------------

#[test]
fn an_import_that_removes_much_wants_a_yes() {
    let desk = Desk::new();
    let all = desk.file("all.jsonl", &entries(30));
    let few = desk.file("few.jsonl", &entries(24));
    let fewer = desk.file("fewer.jsonl", &entries(19));
    let import = |path: &str, more: &[&str]| desk.run(&[&["kb", "import", "--kb", "t", path], more].concat());
    assert!(import(&all, &[]).status.success());
    // Six of thirty are a fifth; of twenty-four, five are more than that and four are few.
    for (path, goes) in [(&few, "6 of the 30"), (&fewer, "11 of the 30")] {
        let refused = import(path, &[]);
        assert_eq!(refused.status.code(), Some(1));
        let told = stderr(&refused);
        assert!(told.contains(goes) && told.contains("--yes") && told.contains("--mode update"), "{told}");
        let dry = import(path, &["--dry-run"]);
        assert!(dry.status.success() && stderr(&dry).contains(goes), "{}", stderr(&dry));
    }
    let draft = || desk.store().shelf("t").expect("there").draft().expect("readable").entries().len();
    assert_eq!(draft(), 30);
    assert!(import(&few, &["--mode", "update"]).status.success());
    assert_eq!(draft(), 30);
    assert!(import(&few, &["--yes"]).status.success());
    assert_eq!(draft(), 24);
    let four = desk.file("four.jsonl", &entries(20));
    assert!(import(&four, &[]).status.success(), "four go without a word");
    assert_eq!(draft(), 20);
}

/// Puts a filler word in, or takes it out. Where the data lies stands in front
/// of what is done.
fn lexicon(desk: &Desk, action: &str) {
    let mut command = zhida();
    command.args(["kb", "lexicon", "--kb", "t", "--data"]).arg(desk.data());
    let output = run(command.args([action, "{\"stop\":\"麻烦\"}"]).env("ZHIDA_AUTHOR", "tester"));
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_mistake_is_undone_for_good() {
    let desk = Desk::new();
    let all = desk.file(
        "all.jsonl",
        &(entries(12)
            + "{\"id\":\"off\",\"question\":\"停业通知\",\"answer\":\"暂停营业。\",\"enabled\":false}\n"),
    );
    desk.sound(&["kb", "import", "--kb", "t", &all]);
    lexicon(&desk, "put");
    desk.sound(&["kb", "publish", "--kb", "t"]);
    let before = text(&export(&desk, "before.jsonl", &[]));
    let one = desk.file("one.jsonl", &entries(2).replace("第 1 页", "第 9 页"));
    desk.sound(&["kb", "import", "--kb", "t", "--yes", &one]);
    lexicon(&desk, "remove");
    let published = desk.run(&["kb", "publish", "--kb", "t"]);
    assert!(stderr(&published).contains("1 changed, 10 gone"), "{}", stderr(&published));

    let back = desk.run(&["kb", "rollback", "--kb", "t", "1"]);
    let told = stderr(&back);
    assert!(told.contains("draft") && told.contains("zhida kb restore --kb t --release 1"), "{told}");
    assert_eq!(text(&export(&desk, "released.jsonl", &["--release", "1"])), before);
    assert_ne!(text(&export(&desk, "draft.jsonl", &[])), before);
    desk.sound(&["kb", "restore", "--kb", "t", "--release", "1", "--author", "王芳", "--reason", "导错文件"]);
    assert_eq!(text(&export(&desk, "draft.jsonl", &[])), before, "what was off is off again");
    assert_eq!(desk.store().shelf("t").expect("there").lexicon().expect("readable").items().len(), 1);
    let newest = &desk.json(&["kb", "history", "--kb", "t", "--json"])["revisions"][0];
    assert_eq!((&newest["author"], &newest["reason"]), (&json!("王芳"), &json!("导错文件")));
    // Nothing is left to say, and nothing is changed a second time.
    let again = desk.run(&["kb", "rollback", "--kb", "t", "1"]);
    assert!(!stderr(&again).contains("restore"), "{}", stderr(&again));
    let again = desk.run(&["kb", "restore", "--kb", "t", "--release", "1"]);
    assert!(stderr(&again).contains("0 added, 0 changed, 0 removed, 13 unchanged"), "{}", stderr(&again));
    desk.sound(&["kb", "publish", "--kb", "t"]);
    let unknown = desk.run(&["kb", "restore", "--kb", "t", "--release", "9"]);
    assert!(
        unknown.status.code() == Some(1) && stderr(&unknown).contains("known: 1, 2, 3"),
        "{}",
        stderr(&unknown)
    );

    // In Chinese headings and back, through both kinds of table.
    for ending in ["csv", "xlsx"] {
        let path = export(&desk, &format!("zh.{ending}"), &["--headings", "zh"]);
        let again = desk.run(&["kb", "import", "--kb", "t", &path]);
        assert!(stderr(&again).contains("0 added, 0 changed, 0 removed, 13 unchanged"), "{}", stderr(&again));
    }
    assert!(
        text(&export(&desk, "zh.csv", &["--headings", "zh"]))
            .starts_with("\u{feff}编号,标准问题,相似问法,答案")
    );
}

#[test]
fn what_customers_still_get_can_be_switched_off() {
    let desk = Desk::new();
    let all = desk.file("all.jsonl", &entries(4));
    let rest = desk.file("rest.jsonl", &entries(3));
    desk.sound(&["kb", "import", "--kb", "t", &all]);
    desk.sound(&["kb", "publish", "--kb", "t"]);
    desk.sound(&["kb", "import", "--kb", "t", &rest]);
    let shelf = desk.store().shelf("t").expect("there");
    let served = || -> Vec<String> {
        let base = shelf.served().expect("readable").expect("published");
        base.entries().iter().map(|entry| entry.id.0.clone()).collect()
    };
    assert_eq!(served(), ["e0", "e1", "e2", "e3"]);
    let answered = || {
        let mut command = desk.command(&["ask", "--kb", "t", "--json", "会员的第3条规定是什么"]);
        serde_json::from_slice::<Value>(&run(&mut command).stdout).expect("JSON")["decision"].clone()
    };
    assert_eq!(answered(), "answer");
    let drafted = desk.run(&["kb", "entry", "disable", "--kb", "t", "--draft", "e3"]);
    assert_eq!(drafted.status.code(), Some(1), "the draft does not have it");
    let told = stderr(&desk.run(&["kb", "entry", "disable", "--kb", "t", "e3"]));
    assert!(told.contains("会员的第3条规定是什么") && told.contains("restore"), "{told}");
    assert_eq!(served(), ["e0", "e1", "e2"]);
    assert_ne!(answered(), "answer");
    assert_eq!(shelf.draft().expect("readable").entries().len(), 3, "the draft stays");
    desk.sound(&["kb", "entry", "enable", "--kb", "t", "e3"]);
    assert_eq!(answered(), "answer");
    desk.sound(&["kb", "entry", "delete", "--kb", "t", "e3"]);
    assert_ne!(answered(), "answer");
    // Nobody gets it any more: it cannot be switched on nor be removed again.
    for done in ["enable", "delete", "get"] {
        let gone = desk.run(&["kb", "entry", done, "--kb", "t", "e3"]);
        assert!(stderr(&gone).contains("no entry \"e3\""), "{done}: {}", stderr(&gone));
    }
    let nobody = desk.run(&["kb", "entry", "disable", "--kb", "t", "nobody"]);
    assert!(stderr(&nobody).contains("no entry \"nobody\""), "{}", stderr(&nobody));
    // Whoever saw another state hears of it.
    let stale = shelf.edit(&EntryId("e3".into()), Edit::Enable(true), &Expected::Revisions(vec![1]), true);
    assert!(matches!(stale, Err(zhida::error::Error::Stale { .. })), "{stale:?}");
    // It does not come back with what was off in the draft.
    desk.sound(&["kb", "publish", "--kb", "t"]);
    let restored = desk.run(&["kb", "restore", "--kb", "t", "--release", "2"]);
    assert!(
        stderr(&restored).contains("0 added, 0 changed, 0 removed, 3 unchanged"),
        "{}",
        stderr(&restored)
    );
}

// ---- a whole knowledge base --------------------------------------------------

#[test]
fn a_knowledge_base_goes_with_everything_and_a_new_one_is_another() {
    let desk = Desk::new();
    let path = desk.file("kb.jsonl", SMALL_KB);
    let fresh = |answer: &str| {
        desk.file("fresh.jsonl", &json!({"question": "怎么开电子发票", "answer": answer}).to_string())
    };
    desk.sound(&["kb", "import", "--kb", "demo", &path]);
    desk.sound(&["kb", "publish", "--kb", "demo"]);
    let server = Running::start(&desk.data());
    assert_eq!(server.ask("怎么开电子发票")["decision"], "answer");
    let refused = desk.run(&["kb", "delete", "--kb", "demo"]);
    let told = stderr(&refused);
    assert!(
        refused.status.code() == Some(1) && told.contains("4 entries") && told.contains("--yes"),
        "{told}"
    );
    let holds = desk.data().join("kbs/demo");
    assert!(holds.exists());

    // While somebody publishes, nothing goes.
    let lock = std::fs::File::create(holds.join("lock")).expect("there");
    lock.lock().expect("free");
    assert_eq!(desk.run(&["kb", "delete", "--kb", "demo", "--yes"]).status.code(), Some(1));
    drop(lock);

    desk.sound(&["kb", "delete", "--kb", "demo", "--yes"]);
    assert!(!holds.exists());
    let left: Vec<_> = std::fs::read_dir(desk.data().join("kbs")).expect("there").collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(stderr(&desk.run(&["kb", "versions", "--kb", "demo"])).contains("no knowledge base"));
    // Of the same name, with the same numbers, published before the server may have looked.
    desk.sound(&["kb", "import", "--kb", "demo", &fresh("新的发票说明。")]);
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "demo"]), "1\n");
    assert_eq!(
        desk.json(&["kb", "history", "--kb", "demo", "--json"])["revisions"].as_array().map(Vec::len),
        Some(1)
    );
    let start = std::time::Instant::now();
    loop {
        // While the server sees that it is gone or that nothing of the new one
        // is published yet, it says so.
        let (status, reply) = server.reply("怎么开电子发票");
        if (status, reply["answer"]["text"].as_str()) == (200, Some("新的发票说明。")) {
            break;
        }
        assert!([200, 404, 503].contains(&status), "{status}: {reply}");
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "not served: {status} {reply}");
        std::thread::yield_now();
    }
    server.kill();

    // Who has deleted the demo does not get it back.
    desk.sound(&["kb", "delete", "--kb", "demo", "--yes"]);
    assert!(desk.store().was_deleted("demo").expect("readable"));
    assert!(desk.store().names().expect("readable").is_empty());
}

// ---- over HTTP ----------------------------------------------------------------

fn app(data: &Path) -> Router {
    let registry = Arc::new(Registry::new(crate::support::store(data), None, MAX_WRONG, "demo"));
    registry.open_all().expect("everything opens");
    router(Server::new(registry, admission()))
}

async fn file(app: &Router, path: &str, bytes: impl Into<Body>) -> Got {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/octet-stream");
    send(app, request.body(bytes.into()).expect("a request")).await
}

async fn plain(app: &Router, method: Method, path: &str, tag: Option<&str>, body: Option<Value>) -> Got {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tag) = tag {
        request = request.header(header::IF_MATCH, tag);
    }
    let body = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    send(app, request.body(body).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_rows_and_confirmation_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = app(folder.path());
    let place = "/v1/kbs/demo/import?format=csv&ignore_columns=%E5%A4%87%E6%B3%A8";
    file(&app, place, MESSY).await.problem(422, "invalid-entry");
    let got = file(&app, &format!("{place}&good_rows=true"), MESSY).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let rejected = &got.json()["rejected"];
    assert_eq!((&rejected["entries"], &rejected["kept"]), (&json!(4), &json!(0)));
    let sheet = &rejected["sheets"][0];
    assert_eq!(sheet["headings"][1], "问题");
    assert_eq!(sheet["rows"].as_array().map(Vec::len), Some(4));
    assert_eq!((&sheet["rows"][0]["line"], &sheet["rows"][0]["cells"][0]), (&json!(3), &json!("b")));
    assert!(sheet["rows"][0]["reason"].as_str().is_some_and(|reason| reason.contains("答案")));
    assert!(rejected["problems"].as_array().is_some_and(|problems| problems.len() >= 4));

    let import = |more: &str| format!("/v1/kbs/big/import?format=jsonl{more}");
    file(&app, &import(""), entries(20)).await;
    let problem = file(&app, &import(""), entries(10)).await.problem(409, "needs-confirmation");
    assert_eq!((&problem["removed"], &problem["field"]), (&json!(10), &json!("yes")));
    let dry = file(&app, &import("&dry_run=true"), entries(10)).await.json();
    assert_eq!(dry["diff"]["removed"].as_array().map(Vec::len), Some(10));
    assert_eq!(file(&app, &import("&yes=true"), entries(10)).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_undone_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", &entries(8), None);
    publish(folder.path(), "demo", &entries(2), None);
    publish(folder.path(), "other", SMALL_KB, None);
    let app = app(folder.path());
    let back = post(&app, "/v1/kbs/demo/rollback", json!({"release": 1})).await.json();
    assert_eq!((&back["current"], &back["draft"]["removed"]), (&json!(1), &json!(6)), "{back}");

    // Served, and not in the draft.
    let place = "/v1/kbs/demo/entries/e7";
    get(&app, place).await.problem(404, "unknown-entry");
    let off = json!({"enabled": false});
    plain(&app, Method::PATCH, place, None, Some(off.clone())).await.problem(428, "precondition-required");
    let got = plain(&app, Method::PATCH, place, Some("*"), Some(json!({"answer": "新"}))).await;
    got.problem(409, "not-now");
    let got = plain(&app, Method::PATCH, place, Some("*"), Some(off)).await;
    assert_eq!((got.status, &got.json()["enabled"]), (StatusCode::OK, &json!(false)), "{}", got.text());
    let question = "积分的第7条规定是什么";
    let asked = ask(&app, json!({"text": question, "kb": "demo"})).await.json();
    assert_ne!(asked["decision"], "answer", "{asked}");
    let got = plain(&app, Method::DELETE, "/v1/kbs/demo/entries/e6", Some("*"), None).await;
    assert_eq!(got.status, StatusCode::NO_CONTENT);
    for gone in ["e6", "nobody"] {
        plain(&app, Method::DELETE, &format!("/v1/kbs/demo/entries/{gone}"), Some("*"), None)
            .await
            .problem(404, "unknown-entry");
    }

    let restored = post(&app, "/v1/kbs/demo/restore", json!({"release": 1})).await;
    assert_eq!(restored.json()["diff"]["added"].as_array().map(Vec::len), Some(6), "{}", restored.text());
    post(&app, "/v1/kbs/demo/restore", json!({"release": 9})).await.problem(404, "unknown-release");
    let draft = get(&app, "/v1/kbs/demo/export?format=csv&headings=zh").await.text();
    assert!(draft.contains("标准问题"), "{draft}");
    let two = get(&app, "/v1/kbs/demo/export?format=jsonl&release=2").await.text();
    assert_eq!(two.lines().count(), 2);
    get(&app, "/v1/kbs/demo/export?format=jsonl&release=9").await.problem(404, "unknown-release");

    // Labelled questions in a table, entries named by id or by a question.
    let table = "问题,期望,标签\n退货第0条,e0,甲|乙\n发票第二条,发票的第2条规定是什么|e3,\n今天天气,,\n";
    let put = Request::put("/v1/kbs/demo/queries?format=csv").header(header::CONTENT_TYPE, "text/csv");
    let got = send(&app, put.body(Body::from(table)).expect("a request")).await;
    assert_eq!(got.status, StatusCode::NO_CONTENT, "{}", got.text());
    let lines = get(&app, "/v1/kbs/demo/queries").await.text();
    let expected: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["expect"].clone())
        .collect();
    assert_eq!(expected, [json!("e0"), json!(["e2", "e3"]), Value::Null]);

    let problem =
        plain(&app, Method::DELETE, "/v1/kbs/demo", None, None).await.problem(409, "needs-confirmation");
    assert_eq!(problem["removed"], 8);
    let gone = plain(&app, Method::DELETE, "/v1/kbs/demo?yes=true", None, None).await;
    assert_eq!((gone.status, &gone.json()["releases"]), (StatusCode::OK, &json!(2)), "{}", gone.text());
    let problem = ask(&app, json!({"text": question, "kb": "demo"})).await.problem(404, "unknown-kb");
    assert_eq!(problem["known"], json!(["other"]));
    plain(&app, Method::DELETE, "/v1/kbs/demo?yes=true", None, None).await.problem(404, "unknown-kb");
}

// ---- words ----------------------------------------------------------------------

#[test]
fn a_run_speaks_one_language() {
    let desk = Desk::new();
    let path = desk.file("kb.jsonl", SMALL_KB);
    let has_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    // What stands in the entries is theirs.
    let own = |text: String| -> String {
        text.lines().filter(|line| !["+ [", "- [", "~ ["].iter().any(|mark| line.starts_with(mark))).collect()
    };
    let chinese = |args: &[&str]| run(desk.command(args).env("ZHIDA_LANG", "zh"));
    let edited = desk.file("edited.jsonl", &SMALL_KB.replace("要报销需要票", "要报销"));
    let commands: [&[&str]; 8] = [
        &["kb", "import", "--kb", "t", &path],
        &["kb", "export", "--kb", "t", "--out", &desk.file("out.csv", "")],
        &["kb", "import", "--kb", "t", "--dry-run", &path],
        &["kb", "gc", "--kb", "t", "--keep", "3"],
        &["kb", "diff", "--kb", "t", "draft", "draft"],
        &["kb", "entry", "disable", "--kb", "t", "--draft", "nobody"],
        &["kb", "restore", "--kb", "t", "--release", "7"],
        &["kb", "delete", "--kb", "t"],
    ];
    for args in commands {
        let english = own(stderr(&desk.run(args)));
        assert!(!english.is_empty() && !has_chinese(&english), "{args:?}: {english}");
        let told = own(stderr(&chinese(args)));
        assert!(has_chinese(&told), "{args:?}: {told}");
        let words = told.replace(&desk.data().parent().expect("a folder").display().to_string(), "");
        let english = ["the ", " added", "written", " was ", "removed", "holds"];
        assert!(!english.iter().any(|word| words.contains(word)), "{args:?}: {told}");
    }
    // Of a list what differs, not the list twice.
    desk.sound(&["kb", "publish", "--kb", "t"]);
    let shown = desk.sound(&["kb", "import", "--kb", "t", &edited]);
    assert!(shown.contains("similar: +1 −1\n      + 要报销\n      - 要报销需要票"), "{shown}");
    let json = desk.json(&["kb", "diff", "--kb", "t", "1", "draft", "--json"]);
    let field = &json["changed"][0]["fields"][0];
    assert_eq!((&field["added"], &field["removed"]), (&json!(["要报销"]), &json!(["要报销需要票"])));
    assert_eq!(field["before"].as_array().map(Vec::len), Some(2));

    // What authors must mend is Chinese, and what the run says of itself is not.
    let faulty = desk.file("faulty.jsonl", "{\"id\":\"q-1\",\"question\":\"怎么退款\",\"answer\":\"好\"}\n{\"id\":\"q-2\",\"question\":\"怎么退款？\",\"answer\":\"好\"}\n");
    let refused = desk.run(&["kb", "import", "--kb", "t", &faulty]);
    let told = stderr(&refused);
    assert!(told.contains("第 1 行的“q-1”（怎么退款）"), "{told}");
    assert!(told.contains("1 faults; the draft stays as it is"), "{told}");
    let told = stderr(&chinese(&["kb", "import", "--kb", "t", &faulty]));
    assert!(told.contains("第 1 行的“q-1”（怎么退款）") && told.contains("草稿没有改动"), "{told}");
    let checked = desk.file("checked.jsonl", &SMALL_KB.replace("部分地区支持。", "支持。"));
    desk.sound(&["kb", "import", "--kb", "t", &checked]);
    let findings = stdout(&desk.run(&["kb", "check", "--kb", "t"]));
    assert!(findings.contains("cod：第 4 条“支持货到付款吗”"), "{findings}");
    let published = stderr(&desk.run(&["kb", "publish", "--kb", "t"]));
    assert!(
        published.contains("cod：第 4 条") && published.contains("t: release 2 published in"),
        "{published}"
    );
    let json: Value =
        serde_json::from_slice(&desk.run(&["kb", "check", "--kb", "t", "--json"]).stdout).expect("JSON");
    assert_eq!(json["findings"][0]["subjects"][0]["question"], "支持货到付款吗", "{json}");
}

#[test]
fn labelled_questions_come_as_spreadsheets() {
    let desk = Desk::new();
    let path = desk.file("kb.jsonl", SMALL_KB);
    desk.sound(&["kb", "import", "--kb", "t", &path]);
    let out = PathBuf::from(&path).with_file_name("test.xlsx");
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let header = row(["问题", "期望", "标签"]);
    let rows = [
        header.clone(),
        row(["钱几时退", "refund-time", "口语"]),
        row(["票和地址", "怎么开电子发票|address-change", "两个|难"]),
        row(["今天天气怎么样", "", ""]),
        row(["你们招人吗", "无", ""]),
    ];
    sheet(&out, &rows);
    let file = out.display().to_string();
    desk.sound(&["kb", "queries", "--kb", "t", &file]);
    let lines = desk.sound(&["kb", "queries", "--kb", "t"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0], json!({"text": "钱几时退", "expect": "refund-time", "tags": ["口语"]}));
    assert_eq!(lines[1]["expect"], json!(["invoice", "address-change"]));
    assert_eq!((&lines[2]["expect"], &lines[3]["expect"]), (&Value::Null, &Value::Null));

    sheet(&out, &[header, row(["钱几时退", "没有这一条", ""]), row(["", "refund-time", ""])]);
    let refused = desk.run(&["kb", "queries", "--kb", "t", &file]);
    let told = stderr(&refused);
    assert!(told.contains("test.xlsx[Sheet1]:2:2 [expect]") && told.contains(":3:1 [text]"), "{told}");
    let plain = desk.file("plain.csv", "一,二\n三,四\n");
    assert!(stderr(&desk.run(&["kb", "queries", "--kb", "t", &plain])).contains("期望"));
}

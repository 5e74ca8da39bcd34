//! What imports pass over, and what they hand back.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use zhida::kb::KnowledgeBase;
use zhida::kb::formats::{Format, Incoming, Reading};
use zhida::kb::merge::Mode;
use zhida::server::{Registry, Server, router};

use crate::http::{Got, MAX_WRONG, admission, send};
use crate::store::Desk;
use crate::support::{stderr, stdout};

const SHEET: &str = "问题,答案,负责人,最后核对\n怎么退货,在订单里申请退货。,小李,六月\n";
const NEXT: &str = "问题,答案,负责人,最后核对\n怎么换货,拍照申请换货。,小王,七月\n";

fn remembered(desk: &Desk) -> Vec<String> {
    desk.store().shelf("t").expect("there").ignored_columns().expect("readable")
}

#[test]
fn a_column_is_ignored_for_good_once_it_was_said() {
    let desk = Desk::new();
    let (first, next) = (desk.file("a.csv", SHEET), desk.file("b.csv", NEXT));
    let import = |path: &str, more: &[&str]| desk.run(&[&["kb", "import", "--kb", "t", path], more].concat());
    let refused = import(&first, &[]);
    assert!(stderr(&refused).contains("--ignore-columns"), "{}", stderr(&refused));
    // A dry run remembers nothing, nor does an import that fails.
    assert!(import(&first, &["--ignore-columns", "--dry-run"]).status.success());
    assert!(!desk.data().exists());
    assert!(import(&first, &["--ignore-columns"]).status.success());
    assert_eq!(remembered(&desk), ["最后核对", "负责人"]);

    // The next one needs no flag and says so once.
    let again = import(&next, &["--mode", "update"]);
    let told = stderr(&again);
    assert!(again.status.success(), "{told}");
    assert_eq!(told.matches("以前导入时说过不需要").count(), 1, "{told}");
    assert!(told.contains("“负责人”、“最后核对”") && told.contains("--forget-columns"), "{told}");
    // Another column is a fault as before, and so is one of these when it was taken back.
    let other = desk.file("c.csv", "问题,答案,负责人,难度\n怎么开票,在订单里开。,小李,易\n");
    let refused = stderr(&import(&other, &["--mode", "update"]));
    assert!(refused.contains("“难度”") && !refused.contains("没有“负责人”"), "{refused}");
    let refused = import(&next, &["--mode", "update", "--forget-columns"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("“负责人”、“最后核对”"), "{}", stderr(&refused));
    assert_eq!(remembered(&desk).len(), 2, "what fails changes nothing");
    let one = import(
        &next,
        &["--mode", "update", "--forget-columns", "--ignore-column", "负责人", "--ignore-column", "最后核对"],
    );
    assert!(one.status.success(), "{}", stderr(&one));

    // A field that zhida knows is never passed over for its old name's sake; JSON is read alike.
    let lines = desk.file("d.jsonl", r#"{"question":"怎么开票","answer":"在订单里开。","负责人":"小李"}"#);
    let read = import(&lines, &["--mode", "update", "--json"]);
    let report: Value = serde_json::from_slice(&read.stdout).expect("JSON");
    assert!(report["notes"][0]["message"].as_str().is_some_and(|note| note.contains("“负责人”")), "{report}");

    // Whoever deletes the knowledge base starts anew.
    assert!(desk.run(&["kb", "delete", "--kb", "t", "--yes"]).status.success());
    assert_eq!(import(&first, &[]).status.code(), Some(1));
}

async fn import(app: &axum::Router, query: &str, body: &'static str) -> Got {
    let request = axum::http::Request::post(format!("/v1/kbs/demo/import?{query}"))
        .header("content-type", "application/octet-stream")
        .body(body.into());
    send(app, request.expect("a request")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Arc::new(Registry::new(crate::support::store(folder.path()), None, MAX_WRONG, "demo"));
    let app = router(Server::new(registry, admission()));
    import(&app, "format=csv", SHEET).await.problem(422, "invalid-entry");
    let dry = import(&app, "format=csv&dry_run=true&ignore_unknown=true", SHEET).await;
    assert_eq!(dry.status, StatusCode::OK);
    let note = dry.json()["notes"][0]["message"].to_string();
    assert!(note.contains("“负责人”、“最后核对”没有导入"), "{note}");
    // Nothing was written, so nothing is remembered.
    import(&app, "format=csv", SHEET).await.problem(422, "invalid-entry");
    assert_eq!(import(&app, "format=csv&ignore_unknown=true", SHEET).await.status, StatusCode::OK);
    let next = import(&app, "format=csv&mode=update", NEXT).await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.text());
    let notes = next.json()["notes"].clone();
    assert_eq!(notes.as_array().map(Vec::len), Some(1), "{notes}");
    let forgotten = import(&app, "format=csv&mode=update&forget_columns=true", NEXT).await;
    forgotten.problem(422, "invalid-entry");
}

// ---- workbooks made by hand -----------------------------------------------------

const STYLES: &str = r#"<?xml version="1.0"?><styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
<numFmts count="2"><numFmt numFmtId="164" formatCode="0.0&quot;折&quot;"/><numFmt numFmtId="165" formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;"/></numFmts>
<fonts count="2"><font/><font><strike/></font></fonts><fills count="1"><fill/></fills><borders count="1"><border/></borders>
<cellXfs count="5"><xf numFmtId="0" fontId="0"/><xf numFmtId="164" fontId="0" applyNumberFormat="1"/><xf numFmtId="165" fontId="0" applyNumberFormat="1"/>
<xf numFmtId="0" fontId="1" applyFont="1"/><xf numFmtId="9" fontId="0" applyNumberFormat="1"/></cellXfs></styleSheet>"#;

/// A workbook with one sheet, made of nothing but its parts.
fn workbook(sheet: &str) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let parts = [
        ("[Content_Types].xml", r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#.to_owned()),
        ("_rels/.rels", format!(r#"<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#)),
        ("xl/workbook.xml", format!(r#"<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="一" sheetId="1" r:id="r1"/></sheets></workbook>"#)),
        ("xl/_rels/workbook.xml.rels", format!(r#"<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{office}/styles" Target="styles.xml"/></Relationships>"#)),
        ("xl/styles.xml", STYLES.to_owned()),
        ("xl/worksheets/sheet1.xml", format!(r#"<worksheet xmlns="{main}">{sheet}</worksheet>"#)),
    ];
    let mut file = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        file.start_file(name, zip::write::SimpleFileOptions::default()).expect("a part");
        file.write_all(text.as_bytes()).expect("written");
    }
    file.finish().expect("a file").into_inner()
}

fn text(at: &str, text: &str) -> String {
    format!(r#"<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>"#)
}

fn struck(at: &str, words: &str) -> String {
    text(at, words).replace("<c ", r#"<c s="3" "#)
}

fn read(bytes: &[u8], hidden: bool) -> (KnowledgeBase, String) {
    let read = Incoming::of_bytes("f", Format::Xlsx, bytes, &Reading { hidden, ..Reading::default() });
    let notes = read.notes().iter().map(|note| format!("{note}\n")).collect();
    (read.into_base(&KnowledgeBase::default(), Mode::Replace).expect("sound"), notes)
}

#[test]
fn a_cell_is_what_its_reader_sees() {
    let rows = [
        text("A1", "问题") + &text("B1", "答案"),
        text("A2", "老客户几折") + r#"<c r="B2" s="1"><v>8.5</v></c>"#,
        text("A3", "活动到哪天") + r#"<c r="B3" s="2"><v>46191</v></c>"#,
        text("A4", "手续费多少") + r#"<c r="B4" s="4"><v>0.05</v></c>"#,
        text("A5", "一共几家店") + r#"<c r="B5"><v>12</v></c>"#,
    ];
    let rows: String =
        (1..).zip(rows).map(|(number, cells)| format!(r#"<row r="{number}">{cells}</row>"#)).collect();
    let (base, notes) = read(&workbook(&format!("<sheetData>{rows}</sheetData>")), false);
    let answers: Vec<&str> = base.entries().iter().map(|entry| entry.answer.as_str()).collect();
    assert_eq!(answers, ["8.5折", "2026年6月18日", "5%", "12"], "{notes}");
}

#[test]
fn what_nobody_sees_is_named_and_left_out() {
    let head = text("A1", "问题") + &text("B1", "答案") + &text("C1", "相似问");
    let rows = [
        format!(r#"<row r="1">{head}</row>"#),
        format!(
            r#"<row r="2">{}{}{}</row>"#,
            text("A2", "怎么退货"),
            text("B2", "申请退货。"),
            text("C2", "退货流程")
        ),
        format!(r#"<row r="3" hidden="1">{}{}</row>"#, text("A3", "旧的问题"), text("B3", "旧的答案。")),
        format!(r#"<row r="4">{}{}</row>"#, struck("A4", "划掉的问题"), struck("B4", "划掉的答案。")),
    ]
    .concat();
    let sheet = format!(r#"<cols><col min="3" max="3" hidden="1"/></cols><sheetData>{rows}</sheetData>"#);
    let (base, notes) = read(&workbook(&sheet), false);
    let [only] = base.entries() else { panic!("{:?}", base.entries()) };
    assert!(only.question == "怎么退货" && only.similar.is_empty());
    for named in ["第 3 行", "A4、B4", "“相似问”", "--hidden"] {
        assert!(notes.contains(named), "{named}: {notes}");
    }
    let (base, notes) = read(&workbook(&sheet), true);
    let questions: Vec<&str> = base.entries().iter().map(|entry| entry.question.as_str()).collect();
    assert_eq!(questions, ["怎么退货", "旧的问题", "划掉的问题"], "{notes}");
    assert_eq!(base.entries()[0].similar, ["退货流程"]);
}

// ---- what is handed back --------------------------------------------------------

#[test]
fn elements_of_a_list_come_back_as_rows_and_doubled_ids_stay_apart() {
    let desk = Desk::new();
    let list = json!([
        {"id": "a", "question": "怎么退货", "answer": "申请退货。"},
        {"id": "b", "question": "怎么换货"},
        {"id": "a", "question": "怎么开票", "answer": "在订单里开。", "similar": ["开发票", "要发票"]},
    ]);
    let path = desk.file("faq.json", &serde_json::to_string_pretty(&list).expect("JSON"));
    let back = Path::new(&path).with_file_name("back.csv").display().to_string();
    let told = desk.run(&["kb", "import", "--kb", "t", "--good-rows", "--rejected", &back, &path]);
    assert!(told.status.success(), "{}", stderr(&told));
    let handed = std::fs::read_to_string(&back).expect("rows");
    assert!(!handed.contains("原来的一行") && handed.contains("每个编号只能用一次"), "{handed}");

    // The author mends the one and overlooks the other.
    let mended = handed.replace("怎么换货,", "怎么换货,拍照申请。");
    assert_ne!(mended, handed, "{handed}");
    let mended = desk.file("mended.csv", &mended);
    let told = desk.run(&["kb", "import", "--kb", "t", "--mode", "update", &mended, "--json"]);
    assert!(told.status.success(), "{}{}", stdout(&told), stderr(&told));
    let draft = desk.store().shelf("t").expect("there").draft().expect("readable");
    let questions: Vec<&str> = draft.entries().iter().map(|entry| entry.question.as_str()).collect();
    assert_eq!(questions, ["怎么退货", "怎么换货", "怎么开票"], "nothing was replaced");
    assert_eq!(draft.entries()[2].similar, ["开发票", "要发票"]);
}

#[test]
fn an_answer_that_stands_below_its_question_is_told_of() {
    let desk = Desk::new();
    let sheet = "问题,标准答复,有效期至\n补牙多少钱,,\n,春节期间不营业。,\n洗牙多少钱,680元,2099-01-01\n";
    let file = desk.file("h.csv", sheet);
    let done = desk.run(&["kb", "import", "--kb", "t", &file]);
    let told = stderr(&done);
    assert!(done.status.success() && told.contains("只有答案") && told.contains("“补牙多少钱”"), "{told}");
    assert_eq!(told.matches("只有答案").count(), 1, "{told}");
    assert_eq!(desk.store().shelf("t").expect("there").draft().expect("readable").entries().len(), 2);
}

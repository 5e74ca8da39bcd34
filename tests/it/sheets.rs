//! Spreadsheets as people and programs really write them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use serde_json::{Value, json};
use zhida::error::{Error, Problem};
use zhida::kb::formats::{self, Incoming, Reading};
use zhida::kb::merge::Mode;
use zhida::kb::{Entry, KnowledgeBase};

use crate::support::{SMALL_KB, run, stderr, stdout, zhida};

fn problems(result: zhida::error::Result<KnowledgeBase>) -> Vec<Problem> {
    match result {
        Err(Error::Corpus(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

fn ids(base: &KnowledgeBase) -> Vec<&str> {
    base.entries().iter().map(|entry| entry.id.0.as_str()).collect()
}

// ---- out and back ----------------------------------------------------------

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 52] = [
            "=",
            "+",
            "-",
            "@",
            "'",
            "''",
            "\"",
            "\"\"",
            "|",
            "｜",
            ",",
            ";",
            "；",
            "\t",
            "\n",
            "\r\n",
            "\r",
            " ",
            "\u{a0}",
            "\u{3000}",
            "\u{feff}",
            "＝",
            "＋",
            "[",
            "]",
            "{",
            "}",
            ":",
            "：",
            "without:",
            "exact:",
            "regex:",
            "contains:",
            " 不含:",
            "_x000D_",
            "_x0041_",
            "\\",
            "\\n",
            "1、",
            "2、",
            "(1)",
            "1.",
            "0",
            "007",
            "1e5",
            "true",
            "null",
            "😀",
            "𠮷",
            "退款",
            "\u{7}",
            "\u{1b}",
        ];
        let count = 1 + self.roll(7);
        (0..count).map(|_| PIECES[self.roll(PIECES.len())]).collect()
    }

    fn texts(&mut self) -> Vec<String> {
        let count = self.roll(4);
        (0..count).map(|_| self.text()).collect()
    }
}

/// A knowledge base that only a machine could write: every text starts, ends
/// and is made of what the formats use themselves.
fn nasty(seed: u64) -> KnowledgeBase {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut lines = String::new();
    for index in 0..4 {
        // A serial number keeps questions apart that differ in punctuation only.
        let numbered = |dice: &mut Dice, kind: &str, count: usize| -> Vec<String> {
            (0..count).map(|n| format!("{}{kind}{index}号{n}{}", dice.text(), dice.text())).collect()
        };
        let count = dice.roll(5);
        let (similar, keywords) = (numbered(&mut dice, "似", count), numbered(&mut dice, "词", count));
        let question = numbered(&mut dice, "问", 1).remove(0);
        let answer = format!("{}答", dice.text());
        let related: Vec<String> = (0..dice.roll(3)).map(|n| format!("r{n}{}r", dice.text())).collect();
        let tags: Vec<String> = dice.texts().into_iter().map(|text| format!("{text}签")).collect();
        let answers: serde_json::Map<String, Value> = (0..dice.roll(3))
            .map(|n| (format!("{}渠{n}", dice.text()), json!(format!("{}道", dice.text()))))
            .collect();
        let words = |dice: &mut Dice| -> Vec<String> {
            (0..1 + dice.roll(2)).map(|_| format!("{}字{}", dice.text(), dice.text())).collect()
        };
        let rules = [
            json!({"exact": format!("{}整", dice.text())}),
            json!({"contains": words(&mut dice), "without": words(&mut dice)}),
            json!({"contains": words(&mut dice)}),
            json!({"regex": format!("换{}", dice.roll(10)), "without": words(&mut dice)}),
        ];
        let rules: Vec<Value> = rules.into_iter().take(dice.roll(5)).collect();
        let line = |dice: &mut Dice| dice.text().replace(char::is_control, "");
        let images: Vec<Value> = (0..dice.roll(3))
            .map(|n| json!({"url": format!("https://a.example/{n}?x=(1)"), "alt": line(&mut dice)}))
            .collect();
        let links: Vec<Value> = (0..dice.roll(3))
            .map(|n| {
                let mut link =
                    json!({"title": format!("{}链{n}", line(&mut dice)), "url": "http://b.example"});
                if dice.roll(2) == 0 {
                    link["text"] = json!(format!("{}述", line(&mut dice)));
                }
                if dice.roll(2) == 0 {
                    link["image"] = json!("https://b.example/i.png");
                }
                link
            })
            .collect();
        let entry = json!({
            "id": format!("{}e{index}", ["", "=", "'", "00", "-"][dice.roll(5)]), "question": question, "similar": similar,
            "answer": answer, "keywords": keywords, "rules": rules, "topic": dice.text(), "tags": tags,
            "answers": answers, "images": images, "links": links, "related": related, "enabled": dice.roll(2) == 0,
            "valid_from": (dice.roll(2) == 0).then_some("2026-01-31T08:00:00.25+05:30"),
        });
        lines += &entry.to_string();
        lines.push('\n');
    }
    formats::read_jsonl("nasty", lines.as_bytes()).unwrap_or_else(|e| panic!("{seed}: {e}\n{lines}"))
}

fn is_formula(cell: &str) -> bool {
    let first = cell.trim_start_matches([' ', '\u{a0}', '\u{3000}']).chars().next();
    first.is_some_and(|c| "=+-@＝＋－＠\t\r\n".contains(c))
}

#[test]
fn whatever_is_written_comes_back_and_is_no_formula() {
    let desk = tempfile::tempdir().unwrap();
    for seed in 0..250 {
        let base = nasty(seed);
        for ending in ["jsonl", "csv", "xlsx"] {
            let path = desk.path().join(format!("kb.{ending}"));
            formats::write(&base, &path).unwrap();
            let back = formats::read(&path).unwrap_or_else(|e| panic!("{seed} {ending}: {e}"));
            for (wrote, read) in base.entries().iter().zip(back.entries()) {
                assert_eq!(wrote, read, "{seed} through {ending}");
            }
            assert_eq!(base.entries().len(), back.entries().len(), "{seed} through {ending}");
        }
        let mut reader = csv::ReaderBuilder::new().from_path(desk.path().join("kb.csv")).unwrap();
        for record in reader.records() {
            for cell in &record.unwrap() {
                assert!(!is_formula(cell), "{seed}: {cell:?}");
            }
        }
    }
}

// ---- sheets of people ------------------------------------------------------

/// A workbook of a service department: a page of notes, two sheets of
/// questions, a template's headings, merged cells, gaps, and a stray cell at
/// the very end.
fn department(path: &Path) {
    let (plain, mut book) = (Format::new(), Workbook::new());
    let notes = book.add_worksheet().set_name("填写说明").unwrap();
    notes.write_string(0, 0, "带 * 的必填").unwrap();
    notes.write_formula(3, 3, "=1/0").unwrap();
    let sheet = book.add_worksheet().set_name("售后").unwrap();
    sheet.merge_range(0, 0, 0, 6, "售后知识库 2026", &plain).unwrap();
    sheet.write_string(2, 1, "* 标准问题（必填）").unwrap();
    sheet.merge_range(2, 2, 2, 4, "相似问法（多个用换行分隔）", &plain).unwrap();
    for (column, heading) in [(5, "答案*"), (6, "生效日期"), (7, "分类"), (8, "状态"), (9, "标签")]
    {
        sheet.write_string(2, column, heading).unwrap();
    }
    // One entry over three rows, the question and the answer merged down.
    sheet.merge_range(3, 1, 5, 1, "退款多久到账", &plain).unwrap();
    sheet.merge_range(3, 5, 5, 5, "原路退回，3 个工作日到账。", &plain).unwrap();
    sheet.write_string(3, 2, "1、钱几天退\n2、多久退钱").unwrap();
    sheet.write_string(3, 4, "退款时间").unwrap();
    sheet.write_string(4, 2, "钱啥时候退回来").unwrap();
    sheet.write_string(5, 3, "退的钱呢").unwrap();
    let day = ExcelDateTime::from_ymd(2026, 2, 1).unwrap();
    sheet.write_datetime_with_format(3, 6, &day, &Format::new().set_num_format("yyyy/m/d")).unwrap();
    sheet.write_string(3, 7, "售后").unwrap();
    sheet.write_string(3, 8, "启用").unwrap();
    sheet.write_string(3, 9, "会员|全员").unwrap();
    // A gap, then an entry whose further questions stand in the rows below.
    sheet.write_string(8, 1, "客服电话是多少").unwrap();
    sheet.write_number(8, 5, 4_008_123_123.0).unwrap();
    sheet.write_string(9, 2, "怎么打电话给你们").unwrap();
    sheet.write_string(10, 2, "电话号码").unwrap();
    sheet.write_string(10, 8, "停用").unwrap();
    sheet.write_blank(1_048_575, 16_383, &plain).unwrap();
    let second = book.add_worksheet().set_name("sales").unwrap();
    for (column, heading) in ["Question", "Reply", "Similar Questions", "Category"].iter().enumerate() {
        second.write_string(0, column as u16, *heading).unwrap();
    }
    second.write_string(1, 0, "几点开门").unwrap();
    second.write_string(1, 1, "九点。").unwrap();
    second.write_boolean(1, 2, true).unwrap();
    second.write_number(1, 3, 7.5).unwrap();
    book.save(path).unwrap();
}

fn expect_department(base: &KnowledgeBase) {
    let [refund, phone, hours] = base.entries() else { panic!("{:?}", ids(base)) };
    assert_eq!(refund.question, "退款多久到账");
    assert_eq!(refund.similar, ["钱几天退", "多久退钱", "退款时间", "钱啥时候退回来", "退的钱呢"]);
    assert_eq!(refund.answer, "原路退回，3 个工作日到账。");
    assert_eq!(refund.tags, ["会员", "全员"]);
    assert_eq!(
        refund.valid_from.map(|from| from.unix_timestamp()),
        Some(1_769_875_200),
        "1 February in China"
    );
    assert_eq!((refund.topic.as_deref(), refund.enabled), (Some("售后"), true));
    assert_eq!((phone.answer.as_str(), phone.enabled), ("4008123123", false));
    assert_eq!(phone.similar, ["怎么打电话给你们", "电话号码"]);
    assert_eq!((hours.answer.as_str(), hours.topic.as_deref()), ("九点。", Some("7.5")));
}

#[test]
fn a_workbook_of_people_is_read_as_they_mean_it() {
    let desk = tempfile::tempdir().unwrap();
    let path = desk.path().join("faq.xlsx");
    department(&path);
    let seen = std::cell::RefCell::new(Vec::new());
    let progress =
        |stage: &'static str, done: usize, total: usize| seen.borrow_mut().push((stage, done, total));
    let base = Incoming::read(&path, &Reading { progress: &progress, ..Reading::default() })
        .and_then(|file| file.into_base(&KnowledgeBase::default(), Mode::Replace))
        .unwrap();
    expect_department(&base);
    let seen = seen.into_inner();
    assert!(!seen.is_empty() && seen.iter().all(|(stage, done, total)| *stage == "rows" && done <= total));
}

#[test]
fn every_fault_of_a_workbook_names_sheet_row_column_and_reason() {
    let desk = tempfile::tempdir().unwrap();
    let path = desk.path().join("faq.xlsx");
    let mut book = Workbook::new();
    for name in ["一", "二"] {
        let sheet = book.add_worksheet().set_name(name).unwrap();
        for (column, heading) in ["负责人", "问题", "答案", "状态", "失效时间"].iter().enumerate()
        {
            sheet.write_string(0, column as u16, *heading).unwrap();
        }
        for row in 1..=15 {
            sheet.write_number(row, 0, f64::from(row)).unwrap();
            sheet.write_string(row, 1, format!("{name}的第 {row} 个问题")).unwrap();
            sheet.write_string(row, 3, "也许").unwrap();
        }
        sheet.write_formula(16, 2, zero_divided()).unwrap();
    }
    book.save(&path).unwrap();
    let found = problems(formats::read(&path));
    assert!(found.iter().any(|p| p.message.contains("--ignore-column 负责人")), "{}", found[0]);
    let data = desk.path().join("data");
    let import = |args: &[&str]| {
        let mut command = zhida();
        command.args(["kb", "import", "--kb", "t", "--data"]).arg(&data).args(args);
        run(command.arg(&path))
    };
    let refused = import(&["--json", "--ignore-column", "负责人"]);
    assert_eq!(refused.status.code(), Some(1));
    let report: Value = serde_json::from_str(&stdout(&refused)).unwrap();
    assert_eq!(report["ok"], false);
    let problems = report["problems"].as_array().unwrap();
    let places: Vec<(&str, u64, u64)> = problems
        .iter()
        .map(|p| (p["sheet"].as_str().unwrap(), p["row"].as_u64().unwrap(), p["column"].as_u64().unwrap()))
        .collect();
    for sheet in ["一", "二"] {
        for row in 2..=16 {
            assert!(places.contains(&(sheet, row, 4)), "{sheet} {row}: no complaint of “也许”");
            assert!(places.contains(&(sheet, row, 3)), "{sheet} {row}: no complaint of the missing answer");
        }
        assert!(places.contains(&(sheet, 17, 3)), "{sheet}: no complaint of the error value");
    }
    assert!(
        problems
            .iter()
            .all(|p| p["file"] == path.display().to_string() && p["field"] != Value::Null || p["row"] == 17)
    );
    // For people all of them too, not the first twenty.
    let told = stderr(&import(&["--ignore-column", "负责人"]));
    assert!(told.lines().count() > 60, "{told}");
    assert!(told.contains("faq.xlsx[二]:16:4 [enabled] （D 列）“也许”"), "{told}");
    assert!(!data.join("kbs/t/draft.jsonl").exists());
}

#[test]
fn pictures_are_told_of_by_their_cells() {
    // One grey dot.
    const DOT: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cch\0\0\0\x82\0\x81w\xcdr\xb6\0\0\0\0IEND\xaeB`\x82";
    let image = rust_xlsxwriter::Image::new_from_buffer(DOT).unwrap();
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let rows = [
        ["问题", "答案"],
        ["几点开门", "九点。"],
        ["会员卡长什么样", ""],
        ["怎么走", ""],
        ["几点关门", "十点。"],
    ];
    for (row, cells) in (0u32..).zip(rows) {
        for (column, cell) in (0u16..).zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    sheet.insert_image(1, 1, &image).unwrap();
    sheet.insert_image(2, 1, &image).unwrap();
    sheet.embed_image(3, 1, &image).unwrap();
    sheet.insert_image(20, 4, &image).unwrap();
    let bytes = book.save_to_buffer().unwrap();
    let incoming = Incoming::of_bytes("faq.xlsx", formats::Format::Xlsx, &bytes, &Reading::default());
    let noted: Vec<String> =
        incoming.notes().iter().map(|note| format!("{} {}", note.line, note.message)).collect();
    assert!(noted.iter().any(|note| note.starts_with("2 ") && note.contains("这一格上有图片")), "{noted:?}");
    assert!(noted.iter().any(|note| note.contains("E21上有图片")), "{noted:?}");
    let found = problems(incoming.into_base(&KnowledgeBase::default(), Mode::Replace));
    let told: Vec<(usize, bool)> = found.iter().map(|one| (one.line, one.message.contains("图片"))).collect();
    assert_eq!(told, [(3, true), (4, true)], "{found:?}");
}

/// A formula whose stored result is an error, as Excel writes it.
fn zero_divided() -> rust_xlsxwriter::Formula {
    rust_xlsxwriter::Formula::new("=1/0").set_result("#DIV/0!")
}

#[test]
fn text_tables_with_other_separators_and_broken_cells() {
    let desk = tempfile::tempdir().unwrap();
    let table = "标准问;答案;相似问\r\n退款;\"先申请;\r\n再等“三天”\"\"到账\"\"。\";\"退钱\n还钱\"\r\n";
    for (name, text) in [("kb.csv", table.to_owned()), ("kb.tsv", table.replace(';', "\t"))] {
        let path = desk.path().join(name);
        std::fs::write(&path, text).unwrap();
        let base = formats::read(&path).unwrap();
        let entry = &base.entries()[0];
        assert_eq!(entry.similar, ["退钱", "还钱"], "{name}");
        assert!(entry.answer.ends_with("\r\n再等“三天”\"到账\"。"), "{name}: {:?}", entry.answer);
    }
}

// ---- merging ---------------------------------------------------------------

#[test]
fn a_file_replaces_updates_or_adds() {
    let desk = tempfile::tempdir().unwrap();
    let base = formats::read_jsonl("small", SMALL_KB.as_bytes()).unwrap();
    let path = desk.path().join("more.csv");
    std::fs::write(
        &path,
        "id,question,answer\ninvoice,怎么开发票,新的答案写在这里。\nnew,几点开门,九点开门。\n",
    )
    .unwrap();
    let read_into = |mode| Incoming::read(&path, &Reading::default())?.into_base(&base, mode);
    let merged = |mode| read_into(mode).unwrap();
    let replaced = merged(Mode::Replace);
    assert_eq!(ids(&replaced), ["invoice", "new"]);
    let updated = merged(Mode::Update);
    assert_eq!(ids(&updated), ["refund-time", "address-change", "invoice", "cod", "new"]);
    assert_eq!(updated.entries()[2].question, "怎么开发票");
    let added = merged(Mode::Add);
    assert_eq!(ids(&added), ids(&updated));
    assert_eq!(added.entries()[2], base.entries()[2]);

    // What stays and what comes must not claim the same question.
    std::fs::write(&path, "id,question,answer\nother,支持货到付款吗,不支持。\n").unwrap();
    let found = problems(read_into(Mode::Update));
    assert_eq!((found[0].line, found[0].field.as_deref()), (2, Some("question")), "{}", found[0]);
    assert!(found[0].message.contains("现有草稿 第 4 行的“cod”"), "{}", found[0]);
}

#[test]
fn the_command_line_merges_and_prints_what_changes() {
    let desk = tempfile::tempdir().unwrap();
    let data = desk.path().join("data");
    let import = |name: &str, content: &str, args: &[&str]| -> Output {
        let path = desk.path().join(name);
        std::fs::write(&path, content).unwrap();
        let mut command = zhida();
        command.args(["kb", "import", "--kb", "t", "--data"]).arg(&data).args(args);
        run(command.arg(path))
    };
    assert!(import("kb.jsonl", SMALL_KB, &[]).status.success());
    let more = "id,question,answer\ncod,支持货到付款吗,全国都支持货到付款。\nnew,几点开门,九点开门。\n";
    let dry = import("more.csv", more, &["--mode", "update", "--dry-run", "--json"]);
    let report: Value = serde_json::from_str(&stdout(&dry)).unwrap();
    assert_eq!((&report["added"], &report["changed"], &report["removed"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(report["diff"]["changed"][0]["id"], "cod");
    let draft = || crate::support::store(&data).shelf("t").unwrap().draft().unwrap();
    assert_eq!(draft().entries().len(), 4, "a dry run changes nothing");
    let told = stdout(&import("more.csv", more, &["--mode", "update"]));
    assert!(told.contains("+ [new] 几点开门") && told.contains("~ [cod]"), "{told}");
    assert!(told.contains("全国都支持"), "{told}");
    assert_eq!(draft().entries().len(), 5);
    let nothing = import("more.csv", more, &["--mode", "add"]);
    assert!(stderr(&nothing).contains("0 added, 0 changed, 0 removed, 5 unchanged"), "{}", stderr(&nothing));
    assert!(import("more.csv", more, &[]).status.success());
    assert_eq!(ids(&draft()), ["cod", "new"]);
}

// ---- files of LibreOffice --------------------------------------------------

/// Runs LibreOffice; `None` when it is not installed.
fn libreoffice(desk: &Path, args: &[&str]) -> Option<()> {
    let mut command = Command::new("soffice");
    // A profile of its own: two of them at once would wait for each other.
    let profile = format!("-env:UserInstallation=file://{}", desk.join("profile").display());
    command.current_dir(desk).env("HOME", desk).args([&profile, "--headless", "--norestore"]).args(args);
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", stderr(&output));
            Some(())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: soffice is not installed, so no file of a foreign program was read");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// The sheet of [`department`] as an author types it into LibreOffice.
const FLAT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:number="urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.spreadsheet">
<office:automatic-styles><number:date-style style:name="N1"><number:year number:style="long"/><number:text>/</number:text><number:month/><number:text>/</number:text><number:day/></number:date-style><style:style style:name="day" style:family="table-cell" style:data-style-name="N1"/></office:automatic-styles>
<office:body><office:spreadsheet>
<table:table table:name="填写说明"><table:table-row><table:table-cell office:value-type="string"><text:p>带 * 的必填</text:p></table:table-cell></table:table-row></table:table>
<table:table table:name="售后">
<table:table-row><table:table-cell table:number-columns-spanned="9" office:value-type="string"><text:p>售后知识库 2026</text:p></table:table-cell><table:covered-table-cell table:number-columns-repeated="8"/></table:table-row>
<table:table-row table:number-rows-repeated="2"><table:table-cell/></table:table-row>
<table:table-row><table:table-cell/><table:table-cell office:value-type="string"><text:p>* 标准问题（必填）</text:p></table:table-cell><table:table-cell table:number-columns-spanned="3" office:value-type="string"><text:p>相似问法（多个用换行分隔）</text:p></table:table-cell><table:covered-table-cell table:number-columns-repeated="2"/><table:table-cell office:value-type="string"><text:p>答案*</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>生效日期</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>分类</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>状态</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>标签</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell/><table:table-cell table:number-rows-spanned="3" office:value-type="string"><text:p>退款多久到账</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>1、钱几天退</text:p><text:p>2、多久退钱</text:p></table:table-cell><table:table-cell/><table:table-cell office:value-type="string"><text:p>退款时间</text:p></table:table-cell><table:table-cell table:number-rows-spanned="3" office:value-type="string"><text:p>原路退回，3 个工作日到账。</text:p></table:table-cell><table:table-cell table:style-name="day" office:value-type="date" office:date-value="2026-02-01"><text:p>2026-02-01</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>售后</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>启用</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>会员|全员</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell/><table:covered-table-cell/><table:table-cell office:value-type="string"><text:p>钱啥时候退回来</text:p></table:table-cell><table:table-cell table:number-columns-repeated="2"/><table:covered-table-cell/></table:table-row>
<table:table-row><table:table-cell/><table:covered-table-cell/><table:table-cell/><table:table-cell office:value-type="string"><text:p>退的钱呢</text:p></table:table-cell><table:table-cell/><table:covered-table-cell/></table:table-row>
<table:table-row table:number-rows-repeated="2"><table:table-cell/></table:table-row>
<table:table-row><table:table-cell/><table:table-cell office:value-type="string"><text:p>客服电话是多少</text:p></table:table-cell><table:table-cell table:number-columns-repeated="3"/><table:table-cell office:value-type="float" office:value="4008123123"><text:p>4008123123</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:number-columns-repeated="2"/><table:table-cell office:value-type="string"><text:p>怎么打电话给你们</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:number-columns-repeated="2"/><table:table-cell office:value-type="string"><text:p>电话号码</text:p></table:table-cell><table:table-cell table:number-columns-repeated="5"/><table:table-cell office:value-type="string"><text:p>停用</text:p></table:table-cell></table:table-row>
</table:table>
<table:table table:name="sales">
<table:table-row><table:table-cell office:value-type="string"><text:p>Question</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Reply</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Similar Questions</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Category</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell office:value-type="string"><text:p>几点开门</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>九点。</text:p></table:table-cell><table:table-cell office:value-type="boolean" office:boolean-value="true"><text:p>TRUE</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="7.5"><text:p>7.5</text:p></table:table-cell></table:table-row>
</table:table>
</office:spreadsheet></office:body></office:document>
"#;

#[test]
fn a_workbook_that_libreoffice_wrote_is_read_like_one_of_excel() {
    let desk = tempfile::tempdir().unwrap();
    std::fs::write(desk.path().join("faq.fods"), FLAT).unwrap();
    if libreoffice(desk.path(), &["--convert-to", "xlsx", "faq.fods"]).is_none() {
        return;
    }
    expect_department(&formats::read(&desk.path().join("faq.xlsx")).unwrap());
}

/// Entries that a spreadsheet program would not touch up by itself.
fn exported() -> KnowledgeBase {
    let mut lines = SMALL_KB.to_owned();
    for (index, text) in [
        "=1+1",
        "+86 13800000000",
        "-5%",
        "@所有人",
        "第一行\n第二行",
        "引号\"里面\"",
        "007",
        "2026-01-31",
        "'撇号",
    ]
    .iter()
    .enumerate()
    {
        let entry = json!({"id": format!("{text}{index}"), "question": format!("{text}问{index}"), "answer": format!("{text}"),
            "similar": [format!("{text}似{index}"), format!("又{index}|{text}")], "tags": [text]});
        lines += &(entry.to_string() + "\n");
    }
    formats::read_jsonl("kb", lines.as_bytes()).unwrap()
}

#[test]
fn what_libreoffice_opens_and_saves_again_is_still_the_same() {
    let desk = tempfile::tempdir().unwrap();
    let base = exported();
    let file = |name: &str| -> PathBuf { desk.path().join(name) };
    std::fs::create_dir(file("out")).unwrap();
    for name in ["book.xlsx", "table.csv"] {
        formats::write(&base, &file(name)).unwrap();
    }
    // Text cells stay texts in a workbook; in CSV every column is opened as text (format 2).
    let as_text: Vec<String> = (1..=13).map(|column| format!("{column}/2")).collect();
    let filter = format!("--infilter=CSV:44,34,76,1,{}", as_text.join("/"));
    let saved = libreoffice(desk.path(), &["--convert-to", "xlsx", "--outdir", "out", "book.xlsx"])
        .and_then(|()| {
            libreoffice(desk.path(), &[&filter, "--convert-to", "xlsx", "--outdir", "out", "table.csv"])
        })
        .and_then(|()| {
            let csv = "csv:Text - txt - csv (StarCalc):44,34,76,1";
            libreoffice(desk.path(), &["--convert-to", csv, "--outdir", "out", "book.xlsx"])
        });
    if saved.is_none() {
        return;
    }
    for name in ["out/book.xlsx", "out/table.xlsx", "out/book.csv"] {
        let back = formats::read(&file(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let entries: Vec<&Entry> = back.entries().iter().collect();
        assert_eq!(entries, base.entries().iter().collect::<Vec<_>>(), "{name}");
    }
}

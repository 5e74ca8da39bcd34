//! What happens to a knowledge base between a spreadsheet and a release.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zhida::encoder::Encoder;
use zhida::error::{Error, Problem};
use zhida::kb::check::{Finding, Severity, check};
use zhida::kb::{Entry, KnowledgeBase, formats};
use zhida::release::Release;

use crate::support::{SMALL_KB, repository, run, stderr, stdout, zhida};

/// A data directory and a place for files.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("writable");
        path
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// `zhida kb ACTION --data … --kb t ARGS`, without a model.
    fn command(&self, action: &str, args: &[&str]) -> Command {
        let mut command = zhida();
        command
            .args(["kb", action, "--data"])
            .arg(self.data())
            .args(["--kb", "t"])
            .args(args)
            .env("ZHIDA_MODEL", "none");
        command
    }

    fn kb(&self, action: &str, args: &[&str]) -> Output {
        run(&mut self.command(action, args))
    }

    fn sound(&self, action: &str, args: &[&str]) -> String {
        let output = self.kb(action, args);
        assert!(output.status.success(), "kb {action}: {}", stderr(&output));
        stdout(&output)
    }

    fn import(&self, content: &str) -> Output {
        let path = self.file("in.jsonl", content);
        self.kb("import", &[&path.display().to_string()])
    }

    fn published(content: &str) -> Self {
        let desk = Self::new();
        assert!(desk.import(content).status.success());
        assert_eq!(desk.sound("publish", &[]), "1\n");
        desk
    }

    fn ask(&self, text: &str) -> Value {
        let mut command = zhida();
        command
            .args(["ask", "--json", "--data"])
            .arg(self.data())
            .args(["--kb", "t", text])
            .env("ZHIDA_MODEL", "none");
        let output = run(&mut command);
        assert!(output.status.success(), "{}", stderr(&output));
        let mut reply: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        // What differs from one reply to the next.
        for field in ["took_us", "trace_id", "release"] {
            reply[field] = Value::Null;
        }
        reply
    }

    fn current(&self) -> Option<u32> {
        crate::support::store(self.data()).shelf("t").expect("known").current().expect("readable")
    }
}

fn problems(result: zhida::error::Result<KnowledgeBase>) -> Vec<Problem> {
    match result {
        Err(Error::Corpus(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

fn jsonl_problems(text: impl AsRef<[u8]>) -> Vec<Problem> {
    problems(formats::read_jsonl("kb.jsonl", text.as_ref()))
}

fn small() -> KnowledgeBase {
    formats::read_jsonl("small", SMALL_KB.as_bytes()).expect("sound")
}

fn read(text: &str) -> KnowledgeBase {
    formats::read_jsonl("kb.jsonl", text.as_bytes()).expect("sound")
}

fn jsonl(base: &KnowledgeBase) -> String {
    base.entries().iter().map(|entry| serde_json::to_string(entry).expect("JSON") + "\n").collect()
}

/// Every one of them would be told, and its column counted from the beginning of the line.
#[test]
fn a_line_that_repeats_a_field_without_end_is_one_fault() {
    let line =
        format!("{{\"id\":\"a\"{},\"question\":\"退吗\",\"answer\":\"能\"}}", ",\"rules\":[]".repeat(20_000));
    let told = jsonl_problems(line);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].message.contains("超过 200 个"), "{told:?}");
}

// ---- files -----------------------------------------------------------------

/// Texts that a table could get wrong.
fn awkward() -> KnowledgeBase {
    let texts = [
        "=1+1",
        "+86 电话",
        "-5%",
        "@所有人",
        "'=已经有引号",
        "''=两个",
        "'只是引号",
        " =前面有空格",
        "\t=制表符",
        "＝全角",
        "有|竖线",
        "有｜全角竖线",
        "第一行\n第二行",
        "回车\r\n换行",
        "引号\"里面\"",
        "逗号,分号;",
        "  前后空白  ",
        "[像列表]",
        "[\"真列表\"]",
        "{\"像\":\"对象\"}",
        "_x000D_ 像转义",
        "表情😀",
        "反斜杠\\n",
        "#REF!",
        "001",
        "2026-01-31",
        "true",
    ];
    let lines: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            serde_json::json!({
                "id": format!("e{index}"), "question": format!("{text}问{index}"),
                "similar": [format!("{text}似{index}"), format!("又一个{index}|{text}")],
                "answer": text, "keywords": [format!("{text}词{index}")], "topic": text.trim(),
                "answers": {"web": text, "a:b": format!("{text}\n第二行"), "wechat": "微信"},
                "rules": [
                    {"exact": format!("{text}整句{index}")},
                    {"contains": ["甲 乙", format!("{text}含{index}")], "without": ["丙", "without: 丁"]},
                    {"contains": ["甲", "乙"], "without": ["丙"]},
                    {"contains": ["甲乙丙"]},
                    {"regex": "^退.{0,3}款 without: x$", "without": []},
                    {"regex": "^换(货|机)$", "without": ["不", "别"]},
                ],
                "related": ["e0", "有|竖线"], "enabled": index % 2 == 0,
                "valid_from": "2026-01-31T08:00:00.5+08:00", "valid_until": (index % 3 == 0).then_some("2027-01-01T00:00:00Z"),
            })
            .to_string()
        })
        .collect();
    read(&lines.join("\n"))
}

#[test]
fn every_format_gives_back_what_was_written() {
    let desk = Desk::new();
    let corpora = ["shop", "bank", "telecom"].map(|name| {
        formats::read(&repository(&format!("corpora/{name}.kb.jsonl")))
            .unwrap_or_else(|e| panic!("{name}: {e}"))
    });
    for base in corpora.iter().chain([&awkward(), &small()]) {
        for ending in ["jsonl", "csv", "xlsx"] {
            let path = desk.folder.path().join(format!("kb.{ending}"));
            formats::write(base, &path).expect("writable");
            let back = formats::read(&path).unwrap_or_else(|e| panic!("{ending}: {e}"));
            for (wrote, read) in base.entries().iter().zip(back.entries()) {
                assert_eq!(wrote, read, "through {ending}");
            }
            assert_eq!(jsonl(base), jsonl(&back), "through {ending}");
        }
    }
}

#[test]
fn no_exported_cell_is_a_formula() {
    let desk = Desk::new();
    let path = desk.folder.path().join("kb.csv");
    formats::write(&awkward(), &path).expect("writable");
    let mut reader = csv::Reader::from_path(&path).expect("readable");
    for record in reader.records() {
        for cell in &record.expect("sound") {
            let first = cell.trim_start_matches(' ').chars().next();
            assert!(!first.is_some_and(|c| "=+-@＝＋－＠\t\r\n".contains(c)), "{cell:?} is a formula");
        }
    }
}

const CHINESE_CSV: &str = "编号,标准问题,相似问法,答案,关键词,规则,分类,失效时间,渠道答案,启用\r\n\
    refund,退款多久到账,钱什么时候退|几天能退｜退款时间,三天内到账,退款,contains: 退款 多久 without: 退货,售后,2030-12-31,wechat: 三天,是\r\n\
    \r\n\
    refund,,还没退到怎么办,,,,,,,\r\n\
    ,怎么开发票,\"哪里开票\n要发票\",在订单里申请,,,,,,否\r\n";

fn expect_chinese(base: &KnowledgeBase) {
    let [refund, invoice] = base.entries() else { panic!("{} entries", base.entries().len()) };
    assert_eq!(refund.similar, ["钱什么时候退", "几天能退", "退款时间", "还没退到怎么办"]);
    assert_eq!((refund.topic.as_deref(), refund.enabled, refund.rules.len()), (Some("售后"), true, 1));
    assert_eq!(refund.answer_for(Some("wechat")), "三天");
    assert_eq!(refund.valid_until.map(|until| until.unix_timestamp()), Some(1_924_876_800));
    assert_eq!((invoice.similar.len(), invoice.enabled), (2, false));
    assert!(invoice.id.0.starts_with("q-"), "{}", invoice.id);
}

#[test]
fn csv_with_chinese_headings_in_every_encoding() {
    let desk = Desk::new();
    let (gb, ..) = encoding_rs::GB18030.encode(CHINESE_CSV);
    let utf16: Vec<u8> =
        std::iter::once(0xFEFFu16).chain(CHINESE_CSV.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let forms: [(&str, Vec<u8>); 5] = [
        ("plain", CHINESE_CSV.as_bytes().to_vec()),
        ("marked", format!("\u{feff}{CHINESE_CSV}").into_bytes()),
        ("gb18030", gb.into_owned()),
        ("utf-16", utf16),
        ("semicolons", CHINESE_CSV.replace(',', ";").into_bytes()),
    ];
    for (name, bytes) in forms {
        let path = desk.file("kb.csv", bytes);
        expect_chinese(&formats::read(&path).unwrap_or_else(|e| panic!("{name}: {e}")));
    }
}

#[test]
fn xlsx_with_merged_cells_blank_rows_dates_and_numbers() {
    let desk = Desk::new();
    let path = desk.folder.path().join("kb.xlsx");
    let mut book = rust_xlsxwriter::Workbook::new();
    let plain = rust_xlsxwriter::Format::new();
    let date = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd");
    let notes = book.add_worksheet();
    notes.set_name("说明").expect("ok");
    notes.write_string(0, 0, "请先看这里").expect("ok");
    let sheet = book.add_worksheet();
    sheet.set_name("问答").expect("ok");
    sheet.merge_range(0, 0, 0, 4, "客服知识库", &plain).expect("ok");
    for (column, name) in ["编号", "问题", "相似问", "答案", "失效时间"].iter().enumerate() {
        sheet.write_string(2, column as u16, *name).expect("ok");
    }
    sheet.merge_range(3, 0, 5, 0, "refund", &plain).expect("ok");
    sheet.merge_range(3, 1, 5, 1, "退款多久到账", &plain).expect("ok");
    sheet.merge_range(3, 3, 5, 3, "三天", &plain).expect("ok");
    for (row, text) in [(3, "钱什么时候退"), (4, "几天能退"), (5, "退款时间")] {
        sheet.write_string(row, 2, text).expect("ok");
    }
    let day = rust_xlsxwriter::ExcelDateTime::from_ymd(2030, 12, 31).expect("ok");
    sheet.write_datetime_with_format(3, 4, &day, &date).expect("ok");
    sheet.write_number(7, 0, 1001).expect("ok");
    sheet.write_string(7, 1, "怎么开发票").expect("ok");
    sheet.write_string(7, 3, "在订单里申请").expect("ok");
    book.save(&path).expect("writable");
    let base = formats::read(&path).expect("sound");
    let [refund, invoice] = base.entries() else { panic!("{base:?}") };
    assert_eq!((refund.id.0.as_str(), refund.answer.as_str()), ("refund", "三天"));
    assert_eq!(refund.similar, ["钱什么时候退", "几天能退", "退款时间"]);
    assert_eq!(refund.valid_until.map(|until| until.unix_timestamp()), Some(1_924_876_800));
    assert_eq!(invoice.id.0, "1001");
}

#[test]
fn faults_in_a_table_name_sheet_row_and_column() {
    let desk = Desk::new();
    let csv = "id,question,answer,enabled,valid_from\na,问一,,是,\nb,问二,答,也许,\n\nc,问三,答,,明天\na,问四,答四,,\nd,问五,答五,,,多出来\n";
    let path = desk.file("kb.csv", csv);
    let found = problems(formats::read(&path));
    let name = path.display().to_string();
    assert!(found.iter().all(|problem| problem.file == name));
    let places: Vec<_> = found
        .iter()
        .map(|problem| (problem.line, problem.column, problem.field.as_deref().unwrap_or("-")))
        .collect();
    // The second a is told as well, although the first one is no entry: mended it would be one.
    let doubled = (6, 1, "id");
    assert_eq!(places, [(2, 3, "answer"), (3, 4, "enabled"), (5, 5, "valid_from"), doubled, (7, 6, "-")]);
    assert!(found[0].message.contains("（C 列）缺少答案"), "{}", found[0]);

    let found = problems(formats::read(&desk.file("unknown.csv", "question,anwser,answer\n问,答,答\n")));
    assert_eq!((found[0].line, found[0].column), (1, 2));
    assert!(found[0].message.contains("anwser") && found[0].message.contains("valid_until"), "{}", found[0]);

    let found =
        problems(formats::read(&desk.file("quote.csv", "question,answer\n问一,\"没有结束\n问二,答\n")));
    assert_eq!((found[0].line, found[0].column), (2, 4));

    let found = problems(formats::read(&desk.file("none.csv", "问一,答一\n问二,答二\n")));
    assert!(found[0].message.contains("表头"), "{}", found[0]);

    let mut damaged = CHINESE_CSV.as_bytes().to_vec();
    let at = CHINESE_CSV.find("三天内").expect("there");
    damaged[at + 1] = b'X';
    let found = problems(formats::read(&desk.file("damaged.csv", damaged)));
    assert_eq!((found[0].line, found[0].column), (2, 32), "{}", found[0]);

    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (column, name) in ["question", "answer"].iter().enumerate() {
        sheet.write_string(0, column as u16, *name).expect("ok");
    }
    sheet.write_string(4, 0, "只有问题").expect("ok");
    let path = desk.folder.path().join("kb.xlsx");
    book.save(&path).expect("writable");
    let found = problems(formats::read(&path));
    assert_eq!((found[0].line, found[0].column, found[0].field.as_deref()), (5, 2, Some("answer")));
    assert!(found[0].file.ends_with("kb.xlsx[Sheet1]"), "{}", found[0].file);

    let found = problems(formats::read(&desk.file("text.xlsx", "这不是 Excel")));
    assert!(found[0].message.contains("xlsx"), "{}", found[0]);
    let found = problems(formats::read(&desk.file("excel.csv", b"PK\x03\x04....")));
    assert!(found[0].message.contains("另存为"), "{}", found[0]);
    assert!(matches!(formats::read(Path::new("kb.doc")), Err(Error::Refused(_))));
}

#[test]
fn faults_in_jsonl_name_line_column_and_field() {
    let cases: [(&str, usize, usize, Option<&str>, &str); 11] = [
        (r#"{"id":"a","question":"问","answer":"答"},"#, 1, 39, None, "JSON"),
        ("\n{\"question\":\"问\",\"answer\":\"答", 2, 28, None, "没有写完"),
        (r#"["一","二"]"#, 1, 1, None, "对象"),
        (r#"{"question":"问"}"#, 1, 0, Some("answer"), "缺少 answer"),
        (r#"{"question":"问","answer":" "}"#, 1, 26, Some("answer"), "缺少 answer"),
        (r#"{"question":"问","answer":"答","similar":"一句"}"#, 1, 40, Some("similar"), "列表"),
        (r#"{"question":"问","answer":"答","enabled":"yes"}"#, 1, 40, Some("enabled"), "true"),
        (r#"{"question":"问","anwser":"答","answer":"答"}"#, 1, 17, Some("anwser"), "keywords"),
        (r#"{"question":"问","answer":"答","valid_until":"明天"}"#, 1, 44, Some("valid_until"), "2026-01-31"),
        (r#"{"question":"问","answer":"答","rules":[{"regex":"("}]}"#, 1, 38, Some("rules"), "正则"),
        (r#"{"question":"问","answer":"答","answer":"又答"}"#, 1, 30, Some("answer"), "两次"),
    ];
    for (text, line, column, field, says) in cases {
        let found = jsonl_problems(text);
        let first = &found[0];
        assert_eq!(
            (first.line, first.column, first.field.as_deref()),
            (line, column, field),
            "{text}: {first}"
        );
        assert!(first.message.contains(says), "{text}: {first}");
    }
    let mut bytes = r#"{"question":"问题"#.as_bytes().to_vec();
    bytes.push(0xFF);
    let found = jsonl_problems(bytes);
    assert_eq!((found[0].line, found[0].column), (1, 16));
    assert!(found[0].message.contains("UTF-8"));
}

#[test]
fn every_fault_is_found_at_once() {
    let found =
        jsonl_problems("{\"question\":1}\n{\n{\"question\":\"好\",\"answer\":\"好\",\"x\":1,\"y\":2}\n");
    let places: Vec<_> =
        found.iter().map(|problem| (problem.line, problem.field.as_deref().unwrap_or("-"))).collect();
    assert_eq!(places, [(1, "answer"), (1, "question"), (2, "-"), (3, "x"), (3, "y")]);
}

#[test]
fn the_same_id_or_question_twice_is_refused() {
    let twice = "{\"id\":\"a\",\"question\":\"问一\",\"answer\":\"答\"}\n{\"id\":\"a\",\"question\":\"问二\",\"answer\":\"答\"}";
    let found = jsonl_problems(twice);
    assert_eq!((found[0].line, found[0].column, found[0].field.as_deref()), (2, 7, Some("id")));
    assert!(found[0].message.contains("第 1 行"), "{}", found[0]);

    // Alike after normalisation, under another entry's similar questions.
    let twice = "{\"id\":\"a\",\"question\":\"怎么退款？\",\"answer\":\"答\"}\n{\"id\":\"b\",\"question\":\"问二\",\"similar\":[\"怎麼退款\"],\"answer\":\"答\"}";
    let found = jsonl_problems(twice);
    assert_eq!((found[0].line, found[0].field.as_deref()), (2, Some("similar")));
    assert!(found[0].message.contains("“a”"), "{}", found[0]);

    let found = jsonl_problems(
        "{\"question\":\"问一\",\"answer\":\"甲\"}\n{\"question\":\"问一！\",\"answer\":\"乙\"}",
    );
    assert_eq!(found[0].field.as_deref(), Some("question"));

    // Within one entry it does no harm.
    assert_eq!(
        read("{\"question\":\"问一\",\"similar\":[\"问一\",\"问一？\"],\"answer\":\"甲\"}").phrasing_count(),
        3
    );
}

#[test]
fn a_spreadsheet_made_by_libreoffice() {
    let Ok(found) = Command::new("soffice").arg("--version").output() else {
        eprintln!("SKIPPED: soffice is not installed, so no file of a foreign program was read");
        return;
    };
    eprintln!("{}", stdout(&found));
    let desk = Desk::new();
    desk.file("kb.csv", format!("\u{feff}{CHINESE_CSV}"));
    let mut command = Command::new("soffice");
    command.current_dir(desk.folder.path()).env("HOME", desk.folder.path());
    command.args(["--headless", "--infilter=CSV:44,34,76,1", "--convert-to", "xlsx", "kb.csv"]);
    assert!(run(&mut command).status.success());
    expect_chinese(&formats::read(&desk.folder.path().join("kb.xlsx")).expect("sound"));
}

// ---- the health check ------------------------------------------------------

fn moment(text: &str) -> time::OffsetDateTime {
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).expect("a moment")
}

fn codes(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings
        .iter()
        .map(|finding| (finding.code, finding.entries.first().map_or("", |id| id.0.as_str())))
        .collect()
}

#[test]
fn the_check_finds_what_the_entries_show() {
    let base = read(concat!(
        r#"{"id":"a","question":"怎么退款","similar":["怎么退款？","退"],"answer":"在订单里点退款即可","related":["a","nobody","b","off"]}"#,
        "\n",
        r#"{"id":"b","question":"怎么开发票","answer":"好的","keywords":["怎么退款"],"valid_until":"2026-01-01T00:00:00Z"}"#,
        "\n",
        r#"{"id":"c","question":"怎么换货","answer":"。。。","valid_until":"2026-02-10T00:00:00Z"}"#,
        "\n",
        r#"{"id":"off","question":"旧问题","answer":"旧","enabled":false}"#,
        "\n",
    ));
    let findings = check(&base, moment("2026-02-01T00:00:00Z"));
    assert_eq!(
        codes(&findings),
        [
            ("empty_answer", "c"),
            ("dangling_related", "a"),
            ("disabled_related", "a"),
            ("duplicate_phrasing", "a"),
            ("expired", "b"),
            ("expired_related", "a"),
            ("keyword_is_phrasing", "b"),
            ("self_related", "a"),
            ("short_answer", "b"),
            ("short_phrasing", "a"),
            ("expires_soon", "c"),
        ]
    );
    assert!(findings.iter().all(|finding| !finding.message.is_empty() && !finding.fix.is_empty()));
    assert_eq!(
        codes(&check(&KnowledgeBase::default(), moment("2026-02-01T00:00:00Z"))),
        [("empty_knowledge_base", "")]
    );
}

#[test]
fn the_shipped_knowledge_bases_have_no_errors() {
    for name in ["shop", "bank", "telecom"] {
        let base = formats::read(&repository(&format!("corpora/{name}.kb.jsonl"))).expect("sound");
        let findings = check(&base, moment("2026-02-01T00:00:00Z"));
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn the_check_finds_what_only_asking_shows() {
    let desk = Desk::new();
    let clash = concat!(
        r#"{"id":"near-1","question":"订单付款以后怎么修改收货地址和电话","similar":["付款了想改地址"],"answer":"在订单详情里修改。"}"#,
        "\n",
        r#"{"id":"near-2","question":"订单付款以后怎么修改收货地址和电话呢","similar":["换个人收货"],"answer":"不可以修改。"}"#,
        "\n",
        r#"{"id":"grabs","question":"会员卡怎么办理","similar":["办会员"],"answer":"。。。","rules":[{"contains":["发票"]}]}"#,
        "\n",
        r#"{"id":"bills","question":"怎么开电子发票","similar":["发票在哪里开","怎么办"],"answer":"在“我的发票”里申请。","related":["nobody"]}"#,
        "\n",
    );
    assert!(desk.import(clash).status.success());
    let output = desk.kb("check", &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["errors"], 1);
    let found = report["findings"].as_array().expect("a list");
    let has = |code: &str, entry: &str| {
        found.iter().any(|finding| finding["code"] == code && finding["entries"].to_string().contains(entry))
    };
    assert!(has("dangling_related", "bills"));
    assert!(has("conflict", "near-2"), "{report:#}");
    assert!(has("rule_takes_other", "grabs"), "{report:#}");
    assert!(has("general_phrasing", "bills"), "{report:#}");

    assert!(desk.import(SMALL_KB).status.success());
    assert_eq!(desk.kb("check", &[]).status.code(), Some(0));
}

// ---- import, publish, roll back --------------------------------------------

#[test]
fn from_a_file_to_a_release_and_back() {
    let desk = Desk::new();
    let path = desk.file("small.jsonl", SMALL_KB);
    let path = path.display().to_string();
    let dry = desk.kb("import", &["--dry-run", &path]);
    assert!(dry.status.success() && stderr(&dry).contains("4 added"), "{}", stderr(&dry));
    assert!(!desk.data().exists(), "a dry run writes nothing");
    assert!(desk.kb("import", &[&path]).status.success());
    assert_eq!(desk.sound("publish", &[]), "1\n");

    // The same through a spreadsheet: nothing changes.
    for ending in ["csv", "xlsx", "jsonl"] {
        let out = desk.folder.path().join(format!("out.{ending}"));
        let out = out.display().to_string();
        desk.sound("export", &["--out", &out]);
        let again = desk.kb("import", &[&out]);
        assert!(
            stderr(&again).contains("0 added, 0 changed, 0 removed, 4 unchanged"),
            "{ending}: {}",
            stderr(&again)
        );
    }

    let edited = SMALL_KB.replace("1 到 3 个工作日", "1 到 5 个工作日").replace("\"cod\"", "\"cash\"");
    let output = desk.import(&edited);
    assert!(stderr(&output).contains("1 added, 1 changed, 1 removed, 2 unchanged"), "{}", stderr(&output));
    assert_eq!(desk.sound("publish", &[]), "2\n");

    let versions: Value = serde_json::from_str(&desk.sound("versions", &["--json"])).expect("JSON");
    let seen: Vec<_> = versions
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| (v["release"].as_u64(), v["current"].as_bool()))
        .collect();
    assert_eq!(seen, [(Some(1), Some(false)), (Some(2), Some(true))]);
    assert!(desk.sound("versions", &[]).contains("* 2\t"));

    let diff: Value = serde_json::from_str(&desk.sound("diff", &["1", "2", "--json"])).expect("JSON");
    assert_eq!(
        (&diff["added"][0]["id"], &diff["removed"][0]["id"]),
        (&Value::from("cash"), &Value::from("cod"))
    );
    assert_eq!(diff["changed"][0]["id"], "refund-time");
    assert_eq!(diff["changed"][0]["fields"][0]["field"], "answer");
    let words = desk.sound("diff", &["1", "draft"]);
    assert!(
        words.contains("+ [cash]") && words.contains("- [cod]") && words.contains("~ [refund-time]"),
        "{words}"
    );

    assert!(desk.ask("退款多久到账")["answer"]["text"].to_string().contains("5 个"));
    desk.sound("rollback", &["1"]);
    assert_eq!(desk.current(), Some(1));
    assert!(desk.ask("退款多久到账")["answer"]["text"].to_string().contains("3 个"));
    let unknown = desk.kb("rollback", &["9"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("known: 1, 2"), "{}", stderr(&unknown));
    assert_eq!(desk.kb("diff", &["1", "x"]).status.code(), Some(2), "wrong usage");

    let mut command = zhida();
    let listed = stdout(&run(command.args(["kb", "list", "--data"]).arg(desk.data())));
    assert_eq!(listed, "t\trelease 1\n");
}

#[test]
fn a_column_that_is_passed_over_is_passed_over_whatever_it_is_called() {
    let desk = Desk::new();
    let path =
        desk.file("a.csv", "编号,问题,答案,分类,标签\nx,几点上班,九点,门店,热门\n").display().to_string();
    desk.sound("import", &[&path, "--ignore-column", "分类", "--ignore-column", "标签"]);
    let out = desk.folder.path().join("out.jsonl").display().to_string();
    desk.sound("export", &["--out", &out]);
    let text = std::fs::read_to_string(&out).expect("written");
    assert!(text.contains("几点上班") && !text.contains("门店") && !text.contains("热门"), "{text}");
    // Later imports pass over them too; in JSON as well.
    let path = desk.file("b.jsonl", r#"{"id":"x","question":"几点上班","answer":"九点","topic":"门店"}"#);
    desk.sound("import", &[&path.display().to_string(), "--ignore-column", "topic"]);
    desk.sound("export", &["--out", &out]);
    assert!(!std::fs::read_to_string(&out).expect("written").contains("门店"));
}

#[test]
fn what_is_no_entry_is_told_in_one_sentence() {
    let desk = Desk::published(SMALL_KB);
    let put = |name: &str, content: &[u8]| {
        let path = desk.file(name, content);
        let mut command = zhida();
        command.args(["kb", "entry", "put", "--kb", "t", "--draft", "--data"]).arg(desk.data()).arg(path);
        run(command.env("ZHIDA_MODEL", "none"))
    };
    let entry = r#"{"id":"x","question":"几点上班","answer":"九点。"}"#;
    for (name, content, told) in [
        ("a.csv", "id,question,answer\nx,几点上班,九点。\n".as_bytes(), "takes one entry as JSON"),
        ("a.xlsx", b"PK\x03\x04\xff\xfe", "takes one entry as JSON"),
        ("broken.json", b"{\n \"id\": \"x\",\n \"question\" 1\n}", "expected `:` at line 3 column 13"),
        (
            "two.jsonl",
            format!("{entry}\n{}\n", entry.replace("\"x\"", "\"y\"").replace("上班", "下班")).as_bytes(),
            "holds 2 entries",
        ),
    ] {
        let output = put(name, content);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(name) && said.contains(told) && said.lines().count() == 1, "{name}: {said}");
    }
    // A mark before it is what editors on Windows write.
    let marked = put("marked.json", format!("\u{feff}{entry}\n").as_bytes());
    assert!(marked.status.success(), "{}", stderr(&marked));
}

#[test]
fn what_is_refused_is_said_in_the_language_of_the_run() {
    let desk = Desk::published(SMALL_KB);
    let mut command = zhida();
    command.args(["--lang", "zh", "key", "list", "--tenant", "acme", "--data"]).arg(desk.data());
    assert_eq!(stderr(&run(&mut command)), "zhida: 没有租户 \"acme\"。\n");
}

#[test]
fn a_faulty_file_leaves_the_draft_alone() {
    let desk = Desk::published(SMALL_KB);
    let before = desk.folder.path().join("before.jsonl");
    desk.sound("export", &["--out", &before.display().to_string()]);
    let files: [(&str, &[u8]); 4] = [
        ("broken.jsonl", b"{\"question\": \n"),
        ("missing.jsonl", "{\"question\":\"没有答案\"}".as_bytes()),
        ("invalid.jsonl", b"\xFF\xFE\x00"),
        ("empty.jsonl", b"\n\n"),
    ];
    for (name, content) in files {
        let path = desk.file(name, content);
        let output = desk.kb("import", &[&path.display().to_string()]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
    }
    let path = desk.folder.path().join("no-such-file.csv");
    assert_eq!(desk.kb("import", &[&path.display().to_string()]).status.code(), Some(1));
    let after = desk.folder.path().join("after.jsonl");
    desk.sound("export", &["--out", &after.display().to_string()]);
    assert_eq!(std::fs::read(before).expect("there"), std::fs::read(after).expect("there"));
}

#[test]
fn an_empty_knowledge_base_is_not_published() {
    let desk = Desk::new();
    assert_eq!(desk.import("").status.code(), Some(1));
    assert!(!desk.data().exists(), "nothing was created");
    assert!(desk.import(r#"{"question":"停用的","answer":"停用的答案","enabled":false}"#).status.success());
    for args in [&[][..], &["--force", "--reason", "试一下"]] {
        let output = desk.kb("publish", args);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stdout(&output), "");
    }
    assert_eq!(desk.kb("check", &[]).status.code(), Some(1));
    assert_eq!(desk.current(), None);
    // And through the library.
    let shelf = crate::support::store(desk.data()).shelf("t").expect("known");
    shelf.save_draft(&KnowledgeBase::default()).expect("saved");
    assert!(matches!(shelf.publish(None, &|_, _, _| {}), Err(Error::Refused(_))));
}

#[test]
fn one_entry_is_enough() {
    let desk = Desk::published(r#"{"question":"营业时间是几点","answer":"每天九点到十八点。"}"#);
    let reply = desk.ask("营业时间是几点？");
    assert_eq!(
        (&reply["decision"], &reply["answer"]["text"]),
        (&Value::from("answer"), &Value::from("每天九点到十八点。"))
    );
}

#[test]
fn publishing_refuses_errors_unless_forced() {
    let desk = Desk::new();
    assert!(
        desk.import(r#"{"question":"怎么退款","answer":"。。。","related":["nobody"]}"#).status.success()
    );
    let output = desk.kb("publish", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("答案") && stderr(&output).contains("--force"), "{}", stderr(&output));
    assert_eq!(desk.kb("publish", &["--force"]).status.code(), Some(2), "a reason is needed");
    assert_eq!(desk.sound("publish", &["--force", "--reason", "先上线再改"]), "1\n");
}

#[test]
fn an_unknown_knowledge_base_names_the_known_ones() {
    let desk = Desk::published(SMALL_KB);
    for action in ["publish", "check", "versions"] {
        let mut command = zhida();
        command
            .args(["kb", action, "--data"])
            .arg(desk.data())
            .args(["--kb", "other"])
            .env("ZHIDA_MODEL", "none");
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("known: t"), "{}", stderr(&output));
    }
}

#[test]
fn rolling_back_and_publishing_again_gives_the_same_answers() {
    let desk = Desk::published(SMALL_KB);
    let questions = ["退款多久到账", "地址写错了咋办", "能货到付款不", "今天天气怎么样"];
    let first: Vec<Value> = questions.map(|text| desk.ask(text)).to_vec();
    assert!(desk.import(r#"{"question":"营业时间是几点","answer":"每天九点到十八点。"}"#).status.success());
    desk.sound("publish", &[]);
    assert_ne!(questions.map(|text| desk.ask(text)).to_vec(), first);
    desk.sound("rollback", &["1"]);
    assert_eq!(questions.map(|text| desk.ask(text)).to_vec(), first);
    assert!(desk.import(SMALL_KB).status.success());
    assert_eq!(desk.sound("publish", &[]), "3\n");
    assert_eq!(questions.map(|text| desk.ask(text)).to_vec(), first);
}

// ---- releases that do not fit ----------------------------------------------

fn opened(desk: &Desk, encoder: Option<Arc<Encoder>>) -> zhida::error::Result<Release> {
    crate::support::store(desk.data()).shelf("t").expect("known").open_current(encoder)
}

fn message<T>(result: zhida::error::Result<T>) -> String {
    match result {
        Ok(_) => panic!("it opened"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn a_release_of_another_format_is_refused() {
    let desk = Desk::published(SMALL_KB);
    let path = desk.data().join("kbs/t/releases/1/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).expect("there")).expect("JSON");
    let ours = manifest["format"].clone();
    manifest["format"] = Value::from(99);
    std::fs::write(&path, manifest.to_string()).expect("writable");
    let said = message(opened(&desk, None));
    assert!(
        said.contains("format 99") && said.contains(&format!("format {ours}")) && said.contains("publish"),
        "{said}"
    );
    let output = desk.kb("versions", &[]);
    assert!(output.status.success() && stdout(&output).contains("format 99"), "{}", stdout(&output));
    assert_eq!(desk.kb("rollback", &["1"]).status.code(), Some(1));
    // The next release needs nothing of it.
    assert_eq!(desk.sound("publish", &[]), "2\n");
}

#[test]
fn what_a_release_holds_is_published_once_more() {
    let desk = Desk::published(SMALL_KB);
    let entry = |id: &str, question: &str, answer: &str| {
        json!({"id": id, "question": question, "answer": answer}).to_string()
    };
    let answer = |text: &str| desk.ask(text)["answer"]["text"].clone();
    // A live edit and a draft that is not finished, then another zhida.
    let live = desk.file("live.json", entry("hours", "几点上班", "早上九点。")).display().to_string();
    let mut put = zhida();
    put.args(["kb", "entry", "put", "--kb", "t", &live, "--data"]).arg(desk.data());
    assert!(run(put.env("ZHIDA_MODEL", "none")).status.success());
    let draft = desk.file("more.jsonl", entry("nights", "夜里有人吗", "还没想好。")).display().to_string();
    desk.sound("import", &[&draft, "--mode", "add"]);
    assert_eq!((answer("几点上班"), answer("夜里有人吗")), (json!("早上九点。"), Value::Null));
    let path = desk.data().join("kbs/t/releases/1/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).expect("there")).expect("JSON");
    manifest["format"] = Value::from(1);
    std::fs::write(&path, manifest.to_string()).expect("writable");
    let said = message(opened(&desk, None));
    assert!(said.contains("`zhida kb publish --kb t --release 1`"), "{said}");

    assert_eq!(desk.sound("publish", &["--release", "1"]), "2\n");
    let expected = (json!("早上九点。"), Value::Null);
    assert_eq!(
        (answer("几点上班"), answer("夜里有人吗")),
        expected,
        "live edits stay, the draft does not come"
    );
    assert!(desk.sound("diff", &["2", "draft"]).contains("nights"), "the draft stays as it is");
    assert!(desk.sound("history", &[]).contains("release 1 once more"));
    let same: Value = serde_json::from_str(&desk.sound("diff", &["1", "2", "--json"])).expect("JSON");
    assert_eq!((&same["added"], &same["changed"], &same["removed"]), (&json!([]), &json!([]), &json!([])));

    // Of one that is not served, live edits since are left behind, as a rollback does.
    assert_eq!(desk.sound("publish", &[]), "3\n");
    assert_eq!(answer("夜里有人吗"), json!("还没想好。"));
    assert_eq!(desk.sound("publish", &["--release", "1"]), "4\n");
    assert_eq!((answer("几点上班"), answer("夜里有人吗")), (Value::Null, Value::Null));
    let unknown = desk.kb("publish", &["--release", "9"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains('9') && stderr(&unknown).contains("4"), "{}", stderr(&unknown));
    let entries = desk.data().join("kbs/t/releases/1/entries.jsonl");
    std::fs::write(&entries, "").expect("writable");
    let damaged = desk.kb("publish", &["--release", "1"]);
    assert!(stderr(&damaged).contains("damaged"), "{}", stderr(&damaged));
    assert_eq!(desk.current(), Some(4));
}

#[test]
fn a_flipped_byte_in_any_file_is_noticed() {
    let desk = Desk::published(SMALL_KB);
    let folder = desk.data().join("kbs/t/releases/1");
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).expect("there")).expect("JSON");
    let files = manifest["files"].as_object().expect("files");
    assert!(files.len() >= 3);
    for (name, digest) in files {
        let path = folder.join(name);
        let sound = std::fs::read(&path).expect("there");
        if sound.is_empty() {
            continue;
        }
        let mut flipped = sound.clone();
        flipped[sound.len() / 2] ^= 1;
        std::fs::write(&path, &flipped).expect("writable");
        let said = message(opened(&desk, None));
        let expected = digest["sha256"].as_str().expect("a digest");
        assert!(
            said.contains(name) && said.contains(expected) && said.matches("SHA-256").count() == 1,
            "{said}"
        );
        std::fs::write(&path, &sound).expect("writable");
    }
    opened(&desk, None).expect("whole again");
}

// ---- publishing that is disturbed ------------------------------------------

/// Names of what lies in the folder of the releases.
fn release_folder(desk: &Desk) -> Vec<String> {
    let items = std::fs::read_dir(desk.data().join("kbs/t/releases")).expect("there");
    let mut names: Vec<String> =
        items.map(|item| item.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn two_publishers_do_not_meet() {
    let desk = Desk::published(SMALL_KB);
    let lock = std::fs::File::create(desk.data().join("kbs/t/lock")).expect("there");
    lock.lock().expect("free");
    let output = desk.kb("publish", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("another process is publishing"), "{}", stderr(&output));
    assert_eq!(desk.kb("rollback", &["1"]).status.code(), Some(1));
    drop(lock);

    // Really at once: each gets a number of its own or is sent away.
    let children: Vec<_> = (0..4)
        .map(|_| {
            crate::support::ground(&mut desk.command("publish", &[]))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("starts")
        })
        .collect();
    let mut numbers = Vec::new();
    for child in children {
        let output = child.wait_with_output().expect("ends");
        if output.status.success() {
            numbers.push(stdout(&output).trim().parse::<u32>().expect("a number"));
        } else {
            assert!(stderr(&output).contains("another process"), "{}", stderr(&output));
        }
    }
    numbers.sort_unstable();
    let expected: Vec<u32> = (2..2 + u32::try_from(numbers.len()).expect("few")).collect();
    assert_eq!(numbers, expected);
    assert_eq!(desk.current(), numbers.last().copied());
}

/// A knowledge base whose release takes long enough to be interrupted.
fn shop() -> String {
    std::fs::read_to_string(repository("corpora/shop.kb.jsonl")).expect("there")
}

#[test]
fn a_killed_publisher_leaves_the_old_release() {
    let desk = Desk::published(SMALL_KB);
    let before = desk.ask("退款多久到账");
    assert!(desk.import(&shop()).status.success());
    let releases = desk.data().join("kbs/t/releases");
    let mut killed = 0;
    for round in 0..6u64 {
        let mut child = crate::support::ground(&mut desk.command("publish", &[]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        // Until it has begun to write, and a different while longer each time.
        let start = Instant::now();
        let begun = || {
            std::fs::read_dir(&releases).is_ok_and(|mut items| {
                items.any(|item| item.is_ok_and(|item| item.file_name().to_string_lossy().starts_with('.')))
            })
        };
        while !begun()
            && start.elapsed() < Duration::from_secs(20)
            && child.try_wait().expect("known").is_none()
        {
            std::thread::yield_now();
        }
        let more = Instant::now();
        while more.elapsed() < Duration::from_millis(round * round * 4) {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        if child.wait().expect("ends").success() {
            break;
        }
        killed += 1;
        assert_eq!(desk.current(), Some(1));
        assert_eq!(desk.ask("退款多久到账"), before);
    }
    assert!(killed > 0, "publishing was never interrupted");
    let number: u32 = desk.sound("publish", &[]).trim().parse().expect("a number");
    assert_eq!(desk.current(), Some(number));
    assert!(release_folder(&desk).iter().all(|name| !name.starts_with('.')), "{:?}", release_folder(&desk));
}

/// Publishes under a limit for the size of each file, which fails like a full
/// disk at the write that crosses it.
#[test]
fn a_write_that_fails_leaves_the_old_release() {
    let desk = Desk::published(SMALL_KB);
    let before = desk.ask("退款多久到账");
    assert!(desk.import(&shop()).status.success());
    let publish = desk.command("publish", &[]);
    for blocks in [0, 8, 40] {
        let mut command = Command::new("sh");
        // The signal ignored, the write fails with an error as on a full disk.
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
        command.arg(publish.get_program()).args(publish.get_args()).env("ZHIDA_MODEL", "none");
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(1), "{blocks}: {}", stderr(&output));
        assert!(stderr(&output).contains("cannot "), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
        assert_eq!(release_folder(&desk), ["1"], "{}", stderr(&output));
        assert_eq!(desk.ask("退款多久到账"), before);
    }
    assert_eq!(desk.sound("publish", &[]), "2\n");
}

/// A file system of its own that is taken down at the end.
struct TinyDisk(PathBuf);

impl TinyDisk {
    fn mount(place: &Path, kilobytes: usize) -> Option<Self> {
        std::fs::create_dir_all(place).ok()?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"]).arg(place);
        command.output().is_ok_and(|output| output.status.success()).then(|| Self(place.to_path_buf()))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_leaves_the_old_release() {
    let desk = Desk::new();
    let Some(_disk) = TinyDisk::mount(&desk.data(), 4096) else {
        eprintln!(
            "SKIPPED: no right to mount a small file system; `a_write_that_fails_leaves_the_old_release` did run"
        );
        return;
    };
    assert!(desk.import(SMALL_KB).status.success());
    assert_eq!(desk.sound("publish", &[]), "1\n");
    let before = desk.ask("退款多久到账");
    assert!(desk.import(&shop()).status.success());
    // What is left must do for the beginning of a release and not for all of it.
    let ballast = desk.data().join("ballast");
    let mut file = std::fs::File::create(&ballast).expect("room for ballast");
    while file.write_all(&[0; 4 << 10]).is_ok() {}
    let full = file.metadata().expect("known").len();
    file.set_len(full.saturating_sub(120 << 10)).expect("shorter");
    drop(file);
    let output = desk.kb("publish", &[]);
    assert_eq!(output.status.code(), Some(1), "it fitted: {}", stderr(&output));
    assert!(
        stderr(&output).contains("No space left") || stderr(&output).contains("os error 28"),
        "{}",
        stderr(&output)
    );
    assert_eq!(release_folder(&desk), ["1"]);
    assert_eq!((desk.current(), desk.ask("退款多久到账")), (Some(1), before));
    std::fs::remove_file(ballast).expect("removable");
    assert_eq!(desk.sound("publish", &[]), "2\n");
}

// ---- with the encoder -------------------------------------------------------

#[test]
fn vectors_are_used_again_and_belong_to_their_model() {
    let desk = Desk::new();
    // A tiny model: the background questions are embedded as well, and that
    // takes the shipped one minutes without optimisation.
    let model = crate::model::folder_with(&crate::model::tiny_files());
    let encoder = Arc::new(Encoder::open(model.path()).expect("a sound model"));
    let shelf = crate::support::store(desk.data()).shelf_to_create("t").expect("a good name");
    shelf.save_draft(&small()).expect("saved");
    let quiet: &(dyn Fn(&'static str, usize, usize) + Sync) = &|_, _, _| {};
    let first = shelf.publish(Some(encoder.clone()), quiet).expect("published");
    assert_eq!((first.built.reused, first.built.embedded), (0, small().phrasing_count()));
    let edited: Vec<Entry> = small().entries().to_vec();
    let edited: String = edited
        .into_iter()
        .map(|mut entry| {
            if entry.id.0 == "invoice" {
                entry.similar.push("开票入口在什么地方".to_owned());
                entry.answer.push_str("如有疑问请联系客服。");
            }
            serde_json::to_string(&entry).expect("JSON") + "\n"
        })
        .collect();
    shelf.save_draft(&read(&edited)).expect("saved");
    let second = shelf.publish(Some(encoder.clone()), quiet).expect("published");
    assert_eq!((second.number, second.built.reused, second.built.embedded), (2, small().phrasing_count(), 1));

    // The same questions have the same vectors, used again or made anew.
    let release = shelf.open_current(Some(encoder.clone())).expect("sound");
    let semantic = release.semantic().expect("with vectors");
    for (row, phrasing) in release.phrasings().iter().enumerate() {
        let cosine = semantic.vectors().row(row).cosine(&encoder.embed(&phrasing.text).expect("a vector"));
        assert!(cosine > 0.9999, "{}: {cosine}", phrasing.text);
    }

    // Without its model, or with another one, it says so.
    let said = message(opened(&desk, None));
    assert!(said.contains(&encoder.manifest().id) && said.contains("no model"), "{said}");
    let path = desk.data().join("kbs/t/releases/2/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).expect("there")).expect("JSON");
    manifest["model"]["id"] = Value::from("another-model");
    manifest["model"]["fingerprint"] = Value::from("0000");
    std::fs::write(&path, manifest.to_string()).expect("writable");
    let said = message(opened(&desk, Some(encoder.clone())));
    assert!(
        said.contains("another-model (0000)")
            && said.contains(encoder.fingerprint())
            && said.contains("publish"),
        "{said}"
    );
    // Publishing again mends it; nothing of the other model is used.
    let third = shelf.publish(Some(encoder.clone()), quiet).expect("published");
    assert_eq!((third.number, third.built.reused), (3, 0));
    opened(&desk, Some(encoder)).expect("it fits again");
}

#[test]
fn questions_that_differ_in_a_sign_are_two() {
    let desk = Desk::new();
    let pairs = [
        ["-5℃能启动吗", "5℃能启动吗"],
        ["3~5天能到吗", "35天能到吗"],
        ["第1、2期怎么还", "第12期怎么还"],
        ["<18岁能办吗", ">18岁能办吗"],
        ["5*8小时能修好吗", "58小时能修好吗"],
        ["10²怎么读", "102怎么读"],
        ["①②怎么选", "12怎么选"],
        ["XXXL有货吗", "XL有货吗"],
        ["一百零八的套餐", "一百八的套餐"],
    ];
    let rows = pairs.iter().flatten().map(|question| format!("\"{question}\",好\n"));
    let file = format!("question,answer\n{}", rows.collect::<String>());
    let base = formats::read(&desk.file("signs.csv", file)).expect("eighteen questions");
    assert_eq!(base.entries().len(), 18);
    for [one, other] in [
        ["七天内能退吗", "7天内能退吗"],
        ["3~5天能到吗", "3至5天能到吗"],
        ["两千五的手机", "2500的手机"],
        ["不满18岁能办吗", "<18岁能办吗"],
    ] {
        let file = desk.file("same.csv", format!("question,answer\n{one},好\n{other},不好\n"));
        assert!(formats::read(&file).is_err(), "{one} and {other} are one question");
    }
}

#[test]
fn a_new_knowledge_base_is_called_like_no_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("in.jsonl");
    std::fs::write(&file, "{\"question\":\"几点开门\",\"answer\":\"九点\"}\n").expect("written");
    let import = |kb: &str| {
        let mut command = zhida();
        command.args(["kb", "import", "--data"]).arg(folder.path()).arg(format!("--kb={kb}")).arg(&file);
        run(command.env("ZHIDA_MODEL", "none"))
    };
    let refused = import("-gym");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("nor with '-'"), "{}", stderr(&refused));
    // One that is there already goes on.
    let shelf = crate::support::store(folder.path()).shelf_to_create("-gym").expect("a name");
    let entries = zhida::kb::formats::read_jsonl("gym", std::fs::read(&file).expect("read").as_slice());
    shelf.save_draft(&entries.expect("entries")).expect("a draft");
    let taken = import("-gym");
    assert!(taken.status.success(), "{}", stderr(&taken));
    assert!(import("gym-").status.success());
}

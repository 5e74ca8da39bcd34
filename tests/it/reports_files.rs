//! Files as people keep them, from reports about other systems: what is read,
//! or what the author is told. They are read in place and skipped when absent.

use std::path::{Path, PathBuf};

use zhida::error::{Error, Problem};
use zhida::kb::KnowledgeBase;
use zhida::kb::formats::{Format, Incoming, Reading};
use zhida::kb::merge::Mode;

/// A file of the reports; `None` when they are not here.
fn report(name: &str) -> Option<PathBuf> {
    let folders = ["../shared/data/reports", "../../shared/data/reports"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: shared/data/reports/{name} is not here");
    }
    found
}

struct Read {
    base: Result<KnowledgeBase, Vec<Problem>>,
    notes: String,
}

fn read_as(path: &Path, reading: &Reading<'_>) -> Read {
    let incoming = Incoming::read(path, reading).unwrap();
    let notes = incoming.notes().iter().map(|note| format!("{note}\n")).collect();
    let base = match incoming.into_base(&KnowledgeBase::default(), Mode::Replace) {
        Ok(base) => Ok(base),
        Err(Error::Corpus(problems)) => Err(problems),
        Err(e) => panic!("{e}"),
    };
    Read { base, notes }
}

fn read(path: &Path) -> Read {
    read_as(path, &Reading::default())
}

/// Questions with their answers and similar questions, one entry a line.
fn said(path: &Path) -> Vec<(String, String, Vec<String>)> {
    let base = read(path).base.unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
    let entries = base.entries().iter();
    entries.map(|entry| (entry.question.clone(), entry.answer.clone(), entry.similar.clone())).collect()
}

fn faults(path: &Path) -> String {
    match read(path).base {
        Ok(base) => panic!("{}: {:?}", path.display(), base.entries()),
        Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
    }
}

#[test]
fn numbers_are_what_the_author_sees() {
    let Some(path) = report("files/r2-07_formats.xlsx") else { return };
    let base = read(&path).base.unwrap();
    let read: Vec<(&str, &str)> =
        base.entries().iter().map(|entry| (entry.id.0.as_str(), entry.answer.as_str())).collect();
    assert_eq!(
        read,
        [
            ("001", "9:00"),
            ("002", "2026/6/18"),
            ("003", "5%"),
            ("004", "199元"),
            ("005", "6月18日"),
            ("006", "¥1,299.50"),
            ("007", "13800138000"),
            ("008", "0.3"),
            ("009", "85.0%"),
        ]
    );
}

#[test]
fn what_is_hidden_or_struck_out_is_named_and_left_out() {
    let Some(path) = report("files/r2-10_hidden.xlsx") else { return };
    let shown = read(&path);
    assert_eq!(shown.base.unwrap().entries().len(), 1);
    for named in ["旧版备份", "第 3 行", "A4、B4", "--hidden"] {
        assert!(shown.notes.contains(named), "{named}: {}", shown.notes);
    }
    let all = read_as(&path, &Reading { hidden: true, ..Reading::default() });
    assert_eq!(all.base.unwrap().entries().len(), 4, "{}", all.notes);

    let path = report("files/link-hidden-row.xlsx").unwrap();
    let shown = read(&path);
    let base = shown.base.unwrap();
    let [shop] = base.entries() else { panic!("{:?}", base.entries()) };
    assert_eq!(shop.answer, "点击查看全部门店 https://example.com/stores");
    assert!(shown.notes.contains("第 3 行"), "{}", shown.notes);
}

#[test]
fn what_was_ruined_is_no_answer() {
    let Some(path) = report("files/r2-09_dispimg.xlsx") else { return };
    let told = faults(&path);
    assert!(told.contains("[s]:2:2 [answer] （B 列）这一格是图片"), "{told}");
    for (name, places) in [
        ("r2-07_scientific.csv", vec![":2:1 [id]", ":2:3 [answer]", ":3:1 [id]", ":3:3 [answer]"]),
        ("r2-08_replacement.csv", vec![":2:2 [answer]"]),
        ("bad-byte.csv", vec![":7"]),
    ] {
        let told = faults(&report(&format!("files/{name}")).unwrap());
        assert!(places.iter().all(|place| told.contains(place)), "{name}: {told}");
    }
}

#[test]
fn encodings_are_recognised() {
    let Some(path) = report("files/r2-08_big5.csv") else { return };
    let expected = ["怎麼退貨", "運費誰出"];
    for path in [path, report("files/r2-08_big5_cn_header.csv").unwrap()] {
        let questions: Vec<String> = said(&path).into_iter().map(|(question, ..)| question).collect();
        assert_eq!(questions, expected);
        assert!(read(&path).notes.contains("Big5"), "{}", path.display());
    }
    assert_eq!(said(&report("files/gb18030-semicolons.csv").unwrap()).len(), 20);
}

#[test]
fn similar_questions_in_one_cell() {
    let three = ["退货流程是什么", "不想要了能退吗", "想把东西退掉"];
    for name in ["r2-12_inlinenum.csv", "r2-12_semi.csv", "r2-12_slash.csv"] {
        let Some(path) = report(&format!("files/{name}")) else { return };
        assert_eq!(said(&path)[0].2, three, "{name}");
    }
    let path = report("files/separators.xlsx").unwrap();
    let read: Vec<Vec<String>> = said(&path).into_iter().map(|(_, _, similar)| similar).collect();
    let expected: [&[&str]; 13] = [
        &["退卡流程", "不想练了", "能退钱吗"],
        &["请假", "停卡", "暂停"],
        &["续费", "续卡", "续期怎么办"],
        &["改密码，换密码，密码忘了"],
        &["约课", "订课", "报课"],
        &["升级", "换年卡", "加钱换卡"],
        &["洗澡", "淋浴", "热水"],
        &["停车", "车位"],
        &["吃饭", "食堂", "轻食"],
        &["签到", "打卡", "刷脸"],
        &["喝水", "饮水机"],
        &["借伞", "雨伞"],
        &["充电", "充电宝"],
    ];
    for (read, expected) in read.iter().zip(expected) {
        assert_eq!(read, expected);
    }
    assert!(self::read(&path).notes.contains(":5:2 [similar] （B 列）“改密码，换密码，密码忘了”"));
}

#[test]
fn what_stands_around_a_question_goes() {
    let Some(path) = report("files/r2-22_numbered.csv") else { return };
    let questions: Vec<String> = said(&path).into_iter().map(|(question, ..)| question).collect();
    assert_eq!(
        questions,
        [
            "怎么退货？",
            "怎么换货？",
            "运费谁出？",
            "多久发货",
            "怎么开发票",
            "怎么修改密码",
            "怎么注销账号",
            "怎么绑定手机",
        ]
    );
    let path = report("files/r2-22_x000D.xlsx").unwrap();
    let (question, answer, _) = said(&path).remove(0);
    assert_eq!(question, "怎么退货");
    assert!(
        answer.starts_with("第一步：打开订单\r\n第二步：点申请退货") && !answer.contains("_x"),
        "{answer:?}"
    );
    let path = report("files/r2-22_instruction_row.csv").unwrap();
    assert_eq!(said(&path).len(), 1);
    assert!(read(&path).notes.contains("填写说明"));
}

#[test]
fn exports_of_other_products_are_read_as_they_are() {
    for (name, similar) in [
        ("r2-16_fastgpt.csv", vec!["退货流程", "不想要了能退吗"]),
        ("r2-16_maxkb.csv", vec!["退货流程"]),
        ("r2-16_pipe.csv", vec![]),
        ("r2-16_qa_cn.csv", vec![]),
        ("r2-16_qa_cn2.csv", vec!["退货流程", "想退掉"]),
    ] {
        let Some(path) = report(&format!("files/{name}")) else { return };
        let similar: Vec<String> = similar.into_iter().map(str::to_owned).collect();
        assert_eq!(said(&path), [("怎么退货".to_owned(), "在订单页申请".to_owned(), similar)], "{name}");
    }
    assert_eq!(said(&report("files/r2-17_array.jsonl").unwrap()).len(), 2);
    for name in ["faq.ods", "old.xls"] {
        assert!(said(&report(&format!("files/{name}")).unwrap()).len() > 10, "{name}");
    }
}

#[test]
fn a_messy_workbook_names_all_its_faults_and_the_good_rows_come_in() {
    let Some(path) = report("files/gym-messy.xlsx") else { return };
    let told = faults(&path);
    for heading in ["负责人", "更新日期", "备注"] {
        let lines = told.lines().filter(|line| line.contains(&format!("“{heading}”")));
        assert_eq!(lines.count(), 2, "once a sheet: {told}");
    }
    assert!(told.contains(":6:5 [answer] （E 列）这一格是 Excel 的错误值 #REF!"), "{told}");
    let reading = Reading { ignore_unknown: true, ..Reading::default() };
    let incoming = Incoming::read(&path, &reading).unwrap();
    assert_eq!(incoming.passed_over(), ["负责人", "更新日期", "备注"]);
    let (base, _) = incoming.good_into_base(&KnowledgeBase::default(), Mode::Replace).unwrap();
    let answer = |question: &str| {
        let entry = base.entries().iter().find(|entry| entry.question.starts_with(question));
        entry.map_or("", |entry| entry.answer.as_str())
    };
    assert_eq!(answer("附近有哪些门店"), "点击查看全部门店 https://example.com/stores?city=hz");
    assert!(base.entries().len() > 40, "{}", base.entries().len());
}

#[test]
fn what_was_right_stays_right() {
    let Some(path) = report("files/ok_roundtrip.jsonl") else { return };
    let desk = tempfile::tempdir().unwrap();
    for path in [path, report("files/ok_emoji.jsonl").unwrap()] {
        let base = read(&path).base.unwrap();
        for ending in ["csv", "xlsx", "jsonl"] {
            let out = desk.path().join(format!("out.{ending}"));
            zhida::kb::formats::write(&base, &out).unwrap();
            let back = read(&out);
            assert_eq!(back.base.unwrap().entries(), base.entries(), "{} {ending}", path.display());
        }
    }
    for name in [
        "ok_merged_answer.xlsx",
        "ok_phonetic.xlsx",
        "ok_rich_text.xlsx",
        "one-row.csv",
        "r2-01_pair1.jsonl",
        "r2-01_pair5.jsonl",
    ] {
        let read = read(&report(&format!("files/{name}")).unwrap());
        assert!(!read.base.unwrap().entries().is_empty() && read.notes.is_empty(), "{name}: {}", read.notes);
    }
}

#[test]
fn workbooks_that_want_all_memory_are_refused_or_read() {
    let Some(path) = report("break/ss_count.xlsx") else { return };
    assert_eq!(said(&path)[0].0, "好问题");
    let told = faults(&report("break/merge_4096x1000.xlsx").unwrap());
    assert!(told.contains("合并的区域") && told.len() < 10_000, "{told}");
    // What a megabyte of zeros unpacks to.
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("xl/workbook.xml", zip::write::SimpleFileOptions::default()).unwrap();
    for _ in 0..300 {
        std::io::Write::write_all(&mut zip, &vec![b' '; 1 << 20]).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    let incoming = Incoming::of_bytes("bomb", Format::Xlsx, &bytes, &Reading::default());
    let Err(Error::Corpus(problems)) = incoming.into_base(&KnowledgeBase::default(), Mode::Replace) else {
        panic!("a bomb was read")
    };
    assert!(problems[0].message.contains("解压后超过"), "{}", problems[0]);
}

//! Files that authors upload, and texts that they and customers write.

use std::io::{Read, Write};

use zhida::dialogue::Service;
use zhida::engine::{Filter, Options};
use zhida::kb::formats::{self, Format, Incoming, Reading};
use zhida::kb::merge::Mode;
use zhida::kb::{KnowledgeBase, Rule};
use zhida::text::AuthoredLexicon;

use super::{Dice, fuzz, mutate};
use crate::support::{SMALL_KB, corpus_engine};

fn small() -> KnowledgeBase {
    formats::read_jsonl("small", SMALL_KB.as_bytes()).expect("sound")
}

/// Reads a file as an import does, up to what the author is told.
fn import(format: Format, bytes: &[u8]) -> Result<(), String> {
    for (ignore_unknown, hidden) in [(false, false), (true, true)] {
        let reading = Reading { ignore_unknown, hidden, ..Reading::default() };
        let incoming = Incoming::of_bytes("upload", format, bytes, &reading);
        for mode in [Mode::Replace, Mode::Update] {
            match incoming.clone().into_base(&small(), mode) {
                Ok(base) => {
                    // What was taken can be written and read again, and is the same.
                    let written = formats::written(&base, Format::Jsonl)
                        .map_err(|e| format!("cannot be written: {e}"))?;
                    let again = formats::read_jsonl("again", &written)
                        .map_err(|e| format!("cannot be read again: {e}"))?;
                    if again.entries() != base.entries() {
                        return Err("another one when it is read again".to_owned());
                    }
                }
                Err(e) if e.to_string().is_empty() => return Err("refused without a word".to_owned()),
                Err(_) => {}
            }
        }
    }
    Ok(())
}

const FIELDS: [&str; 26] = [
    "id",
    "question",
    "similar",
    "answer",
    "keywords",
    "rules",
    "topic",
    "valid_from",
    "valid_until",
    "answers",
    "related",
    "enabled",
    "max_wrong",
    "问题",
    "标准问题",
    "答案",
    "相似问法",
    "关键词",
    "生效时间",
    "失效时间",
    "是否启用",
    "|",
    "2026-02-30",
    "2026-01-01T00:00:00+08:00",
    "是",
    "\"contains\":[\"退\"]",
];

#[test]
fn jsonl() {
    let seeds = [SMALL_KB.as_bytes().to_vec(), formats::written(&small(), Format::Jsonl).expect("written")];
    fuzz("jsonl", &seeds, &FIELDS, |bytes| import(Format::Jsonl, bytes));
}

#[test]
fn csv() {
    let table = "编号,标准问题,相似问法,答案,关键词,分类,生效时间\r\na,怎么退货,\"怎么退|退货\",\"七天\n内\",退货,售后,2026-01-01\r\n,几点上班,,九点,,,45000\r\n";
    let gb18030: Vec<u8> = [
        &[0xCE, 0xCA, 0xCC, 0xE2, b',', 0xB4, 0xF0, 0xB0, 0xB8, b'\n'][..],
        &[0xBC, 0xB8, b',', 0xBE, 0xC5, b'\n'][..],
    ]
    .concat();
    let utf16: Vec<u8> =
        std::iter::once(0xFEFF).chain(table.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let seeds = [
        table.as_bytes().to_vec(),
        formats::written(&small(), Format::Csv).expect("written"),
        gb18030,
        utf16,
    ];
    fuzz("csv", &seeds, &FIELDS, |bytes| import(Format::Csv, bytes));
}

/// The parts of a workbook, each of which is mutated by itself: in the packed file
/// every change would be a wrong checksum.
fn parts(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(file)).expect("a workbook");
    (0..archive.len())
        .map(|number| {
            let mut part = archive.by_index(number).expect("a part");
            let (name, mut bytes) = (part.name().expect("a name").into_owned(), Vec::new());
            part.read_to_end(&mut bytes).expect("readable");
            (name, bytes)
        })
        .collect()
}

pub fn packed(parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(name.as_str(), options).expect("a part");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("a file").into_inner()
}

#[test]
fn xlsx_as_a_file() {
    let seeds = [formats::written(&small(), Format::Xlsx).expect("written")];
    fuzz("xlsx-file", &seeds, &["PK\u{3}\u{4}", "xl/workbook.xml"], |bytes| import(Format::Xlsx, bytes));
}

#[test]
fn xlsx_by_its_parts() {
    const WORDS: [&str; 30] = [
        "<c r=\"A1\" t=\"s\"><v>0</v></c>",
        "<row r=\"1048577\">",
        "r=\"XFE1\"",
        "t=\"inlineStr\"",
        "t=\"e\"",
        "t=\"b\"",
        "t=\"str\"",
        "<v>99999999</v>",
        "<mergeCell ref=\"A1:XFD1048576\"/>",
        "<mergeCell ref=\"B1:A9\"/>",
        "<is><t>字</t></is>",
        "<t xml:space=\"preserve\">",
        "uniqueCount=\"4000000000\"",
        "count=\"-1\"",
        "<si/>",
        "<sst",
        "hidden=\"1\"",
        "s=\"9999\"",
        "numFmtId=\"14\"",
        "formatCode=\"[红]@\"",
        "<!DOCTYPE x [<!ENTITY a \"aa\">]>",
        "&a;",
        "&#0;",
        "&#x110000;",
        "<![CDATA[",
        "]]>",
        "<f>1/0</f>",
        "date1904=\"1\"",
        "<rPr><strike/></rPr>",
        "Target=\"../../x\"",
    ];
    let parts = parts(&formats::written(&small(), Format::Xlsx).expect("written"));
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.iter().any(|name| name.ends_with("sheet1.xml")), "{names:?}");
    // The first byte says which part the rest replaces.
    let seeds: Vec<Vec<u8>> = parts
        .iter()
        .enumerate()
        .map(|(at, (_, bytes))| [&[u8::try_from(at).expect("few")][..], bytes].concat())
        .collect();
    fuzz("xlsx-parts", &seeds, &WORDS, |bytes| {
        let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
        let mut parts = parts.clone();
        let at = usize::from(*first) % parts.len();
        parts[at].1 = rest.to_vec();
        import(Format::Xlsx, &packed(&parts))
    });
}

#[test]
fn lexicon() {
    let text = concat!(
        "{\"word\":\"拾光卡plus\",\"frequency\":1000,\"tag\":\"nz\"}\n",
        "{\"synonyms\":[\"退货\",\"退掉\"],\"canonical\":\"退货\"}\n{\"stop\":\"麻烦\",\"note\":\"客套话\"}\n",
        "{\"protected\":\"GO!鲜生\"}\n{\"contrast\":[\"金卡\",\"白金卡\"]}\n{\"background\":\"明天天气怎么样\"}\n",
    );
    let lexicon = AuthoredLexicon::read("l", text.as_bytes()).expect("sound");
    let table = formats::written_lexicon(&lexicon, Format::Csv).expect("written");
    let seeds = [text.as_bytes().to_vec(), table];
    let words = [
        "word",
        "synonyms",
        "protected",
        "stop",
        "contrast",
        "background",
        "canonical",
        "frequency",
        "退货",
        "同义词",
        "停用词",
        "|",
    ];
    fuzz("lexicon", &seeds, &words, |bytes| {
        for format in [Format::Jsonl, Format::Csv] {
            if let Ok(lexicon) = formats::lexicon_of_bytes("l", format, bytes) {
                let written = formats::written_lexicon(&lexicon, Format::Jsonl).map_err(|e| e.to_string())?;
                let again =
                    formats::lexicon_of_bytes("l", Format::Jsonl, &written).map_err(|e| e.to_string())?;
                if again != lexicon {
                    return Err("another one when it is read again".to_owned());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn service_documents_and_their_rules() {
    let seed = "greeting = \"您好\"\nquick_questions = [\"怎么退货\"]\n\n[hours]\nzone = \"+08:00\"\nweek = { mon = [\"09:00-18:00\"] }\n\n[[rules]]\nid = \"vip\"\nif = { fields = { vip = true }, outcome = [\"handoff\"], text = [\"投诉\"], pattern = \"退.{0,3}款\" }\nanswer = \"马上\"\n\n[[rules]]\nid = \"b\"\nif = { misses = 2 }\nhandoff = \"urgent\"\n";
    let words = [
        "[[rules]]",
        "if = ",
        "pattern = \"[\\\\p{L}]{200}x\"",
        "pattern = \".*\"",
        "(?:a|",
        "){1000}",
        "any = [",
        "all = [",
        "not = {",
        "outcome = [\"answer\"]",
        "misses = 99999999999",
        "24:00-25:00",
        "holidays = [\"2026-02-30\"]",
        "[ticket]",
        "fields = [",
    ];
    fuzz("service", &[seed.as_bytes().to_vec()], &words, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        match Service::of(text) {
            Err(problems) if problems.is_empty() => Err("refused without a word".to_owned()),
            _ => Ok(()),
        }
    });
}

#[test]
fn rules_of_entries() {
    let seeds: Vec<Vec<u8>> = [
        r#"{"contains":["货到付款"],"without":["退"]}"#,
        r#"{"regex":"退(款|货).{0,5}(多久|几天)"}"#,
        r#"{"regex":"\\p{Han}{2,4}"}"#,
        r#"{"regex":"(?i)a|b\\b","without":[]}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let words = [
        "{200}",
        "{1,1000}",
        "(?:",
        ")",
        "\\\\p{L}",
        "[\\\\s\\\\S]",
        "(a+)+$",
        "|",
        "^",
        "(?x)",
        "\\\\b",
        "*",
        "regex",
        "contains",
        "[^",
        "&&",
        "--",
    ];
    fuzz("entry-rules", &seeds, &words, |bytes| {
        let Ok(rule) = serde_json::from_slice::<Rule>(bytes) else { return Ok(()) };
        if let Err(fault) = rule.check() {
            return if fault.is_empty() { Err("refused without a word".to_owned()) } else { Ok(()) };
        }
        let line = format!(
            "{{\"question\":\"q\",\"answer\":\"a\",\"rules\":[{}]}}",
            serde_json::to_string(&rule).expect("written")
        );
        import(Format::Jsonl, line.as_bytes())
    });
}

#[test]
fn questions() {
    let engine = corpus_engine("shop");
    let seeds: Vec<Vec<u8>> = [
        "怎么申请七天无理由退货，运费谁出？",
        "ＡＢＣ①②③ iPhone１５ pro max 多少錢",
        "我的订单号是 2026112700001，13800138000，昨天买的！",
        "转人工转人工",
        "zenme tuihuo",
        "退款退款退款",
        "满300减50的券能和8.5折一起用吗",
        "😀👍🏽\u{200d}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let words = [
        "退货",
        "，",
        "？",
        "怎么",
        "和",
        "10000000000000000000000",
        "1e9",
        "①",
        "㍿",
        "½",
        "三千五百万",
        "2026年2月30日",
        "\u{fdfa}",
        "\u{1f1e8}\u{1f1f3}",
        "不",
        "没有",
        "zhuanrengong",
    ];
    fuzz("questions", &seeds, &words, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let text: String = text.chars().take(2_100).collect();
        let plain = engine.answer(&text, Options::default());
        let explained = engine.explain(&text, Options::default());
        match (plain, explained) {
            (Ok(one), Ok((two, _))) if one.decision == two.decision && one.reason == two.reason => Ok(()),
            (Err(zhida::error::Error::Question(_)), Err(_)) => Ok(()),
            (one, two) => Err(format!("answer says {one:?}, explain {:?}", two.map(|(outcome, _)| outcome))),
        }
    });
}

#[test]
fn texts_for_the_encoder() {
    let encoder = zhida::encoder::Encoder::built_in().expect("the built-in model");
    let seeds: Vec<Vec<u8>> =
        ["怎么退货", "Ａ\u{301}①㍿ 123", "😀 word 单词", " "].map(|text| text.as_bytes().to_vec()).to_vec();
    fuzz("encoder", &seeds, &["[CLS]", "[UNK]", "##a", "\u{fffd}", "\u{ad}", "ﬁ"], |bytes| {
        let text: String = String::from_utf8_lossy(bytes).chars().take(600).collect();
        let vector = encoder.embed(&text).map_err(|e| e.to_string())?;
        let length = vector.as_slice().iter().map(|x| x * x).sum::<f32>();
        if length == 0.0 || (length - 1.0).abs() < 1e-3 {
            Ok(())
        } else {
            Err(format!("a vector of length {length}"))
        }
    });
}

#[test]
fn filters_query_sets_and_keys() {
    let seeds: Vec<Vec<u8>> = [
        r#"{"topic":["售后","退款"],"not":{"labels":["vip"]}}"#,
        r#"{"text":"不想要了怎么退","expect":["a","b"],"tags":["x"]}"#,
        "text,expect,tags\n怎么退,a|b,x\n",
        "zk_ask_0123456789abcdefghij_0123456789abcdefghijklmnopqrstuv",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let mut dice = Dice::new(7);
    fuzz("small-texts", &seeds, &["zk_", "_", "null", "expect", "topic", "not", "any", "="], |bytes| {
        if let Ok(value) = serde_json::from_slice(bytes) {
            let _ = Filter::read(&value);
        }
        for format in [Format::Jsonl, Format::Csv, Format::Xlsx] {
            let (_, _) = formats::labelled("q", format, bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        let _ = (zhida::access::Key::parse(&text), zhida::access::key::is_in(&text), formats::zone(&text));
        let _ = mutate::mutated(&mut dice, &[bytes.to_vec()], &[]);
        Ok(())
    });
}

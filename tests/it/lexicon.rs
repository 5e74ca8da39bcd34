//! What the words of a knowledge base change, and what they cannot harm.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};
use zhida::encoder::{Encoder, Matrix};
use zhida::engine::{Engine, Options};
use zhida::error::{Error, Problem};
use zhida::kb::formats::{self, Format};
use zhida::release::{Build, Past, Release};
use zhida::retrieve::Except;
use zhida::server::Registry;
use zhida::text::anatomy::Anatomy;
use zhida::text::lexicon::WordSource;
use zhida::text::{Analyzer, AuthoredLexicon, Lexicon};

use crate::support::{SMALL_KB, repository, run, stderr, stdout, zhida};

/// Every kind of line, and names that normalisation would harm.
const WORDS: &str = concat!(
    r#"{"word":"拾光卡plus","frequency":5000,"tag":"nz","note":"会员卡"}"#,
    "\n",
    r#"{"word":"小蓝券"}"#,
    "\n",
    r#"{"synonyms":["返款","退款"]}"#,
    "\n",
    r#"{"synonyms":["小蓝券","蓝票","GO!券"],"canonical":"蓝票"}"#,
    "\n",
    r#"{"synonyms":["更换"]}"#,
    "\n",
    r#"{"stop":"麻烦"}"#,
    "\n",
    r#"{"protected":"GO!券"}"#,
    "\n",
    r#"{"protected":"么么么哒呀"}"#,
    "\n",
    r#"{"protected":"请问"}"#,
    "\n",
    r#"{"protected":"乾隆😀"}"#,
    "\n",
    r#"{"contrast":["拾光卡plus","蓝票"],"note":"两种卡券"}"#,
    "\n",
    r#"{"background":"今天股票涨了吗"}"#,
    "\n",
);

fn words() -> AuthoredLexicon {
    AuthoredLexicon::read("words", WORDS.as_bytes()).expect("sound")
}

fn analyzer() -> Analyzer {
    Analyzer::new(Lexicon::of(&words(), ["优惠码"]))
}

fn problems(text: &str) -> Vec<Problem> {
    match AuthoredLexicon::read("lexicon.jsonl", text.as_bytes()) {
        Err(Error::Corpus(problems)) => problems,
        other => panic!("expected problems for {text}, got {other:?}"),
    }
}

#[test]
fn what_is_written_is_read_again() {
    let lexicon = words();
    assert_eq!(lexicon.items().len(), 12);
    let written = lexicon.write().unwrap();
    assert_eq!(AuthoredLexicon::read("again", &written).unwrap(), lexicon);
    assert_eq!(String::from_utf8(written).unwrap(), WORDS);
    let marked = ["\u{feff}", &WORDS.replace('\n', "\r\n\r\n")].concat();
    assert_eq!(AuthoredLexicon::read("windows", marked.as_bytes()).unwrap(), lexicon);
}

#[test]
fn lines_are_put_in_and_taken_out_by_what_they_begin_with() {
    let (before, none) = (words(), AuthoredLexicon::default());
    let put = lines("{\"synonyms\":[\"返款\",\"退款\",\"回款\"],\"note\":\"财务\"}\n{\"stop\":\"劳驾\"}\n");
    let after = before.edited(&put, &lines(r#"{"stop":"麻烦"}"#)).unwrap();
    assert_eq!(after.items().len(), 12, "one more, one changed, one less");
    assert_eq!(after.items()[2], put.items()[0], "in the place of the one before");
    let changes = before.changes(&after);
    assert_eq!(
        (changes.added.as_slice(), changes.removed.as_slice(), changes.changed.len(), changes.unchanged),
        (&put.items()[1..], &before.items()[5..6], 1, 10)
    );
    assert_eq!(after.edited(&put, &none).unwrap(), after, "said twice is said once");
    // What is not there, and what contradicts the rest, is told; nothing happens.
    for (put, remove, part) in [
        ("", r#"{"stop":"没有的词"}"#, "无法删除"),
        (r#"{"synonyms":["另一组","退款"]}"#, "", "合并"),
        (r#"{"stop":"请问"}"#, "", "保护词"),
    ] {
        match before.edited(&lines(put), &lines(remove)) {
            Err(Error::Corpus(found)) => assert!(found[0].message.contains(part), "{}", found[0]),
            other => panic!("{put} {remove}: {other:?}"),
        }
    }
}

#[test]
fn a_spreadsheet_holds_the_same_words() {
    let nasty = concat!(
        r#"{"background":"=1+1 等于几"}"#,
        "\n",
        r#"{"background":"甲|乙 哪个好","note":"-有备注"}"#,
        "\n",
        r#"{"word":"二十四节气","frequency":0}"#,
        "\n"
    );
    let lexicon = lines(&[WORDS, nasty].concat());
    for format in [Format::Jsonl, Format::Csv, Format::Xlsx] {
        let bytes = formats::written_lexicon(&lexicon, format).unwrap();
        assert_eq!(formats::lexicon_of_bytes("words", format, &bytes).unwrap(), lexicon, "{format:?}");
    }
    // As people write it: a title, other headings, several words in one cell,
    // a kind merged over its rows, and a sheet with notes.
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("词表").unwrap();
    sheet.write_string(0, 0, "客服中心词表").unwrap();
    for (column, heading) in (0u16..).zip(["类型（必填）", "词语", "标准词", "词频", "备注"]) {
        sheet.write_string(1, column, heading).unwrap();
    }
    sheet.merge_range(2, 0, 3, 0, "停用词", &Default::default()).unwrap();
    sheet.write_string(2, 1, "麻烦|劳驾").unwrap();
    sheet.write_string(3, 1, "帮我").unwrap();
    sheet.write_string(5, 0, "近义词").unwrap();
    sheet.write_string(5, 1, "返款\n退款").unwrap();
    sheet.write_string(5, 2, "退款").unwrap();
    sheet.write_string(6, 0, "用户词").unwrap();
    sheet.write_string(6, 1, "拾光卡plus").unwrap();
    sheet.write_number(6, 3, 5000).unwrap();
    book.add_worksheet().set_name("说明").unwrap().write_string(0, 0, "每周一更新").unwrap();
    let bytes = book.save_to_buffer().unwrap();
    let expected = concat!(
        r#"{"stop":"麻烦"}"#,
        "\n",
        r#"{"stop":"劳驾"}"#,
        "\n",
        r#"{"stop":"帮我"}"#,
        "\n",
        r#"{"synonyms":["返款","退款"],"canonical":"退款"}"#,
        "\n",
        r#"{"word":"拾光卡plus","frequency":5000}"#,
        "\n"
    );
    assert_eq!(formats::lexicon_of_bytes("w.xlsx", Format::Xlsx, &bytes).unwrap(), lines(expected));
    for empty in ["", "\n\n", "类型,词\n"] {
        assert!(
            formats::lexicon_of_bytes("w", Format::Csv, empty.as_bytes()).unwrap().is_empty(),
            "{empty:?}"
        );
    }
}

#[test]
fn faults_of_a_spreadsheet_name_their_cells() {
    let found = |text: &str| match formats::lexicon_of_bytes("w.csv", Format::Csv, text.as_bytes()) {
        Err(Error::Corpus(problems)) => problems,
        other => panic!("{text}: {other:?}"),
    };
    for (row, line, column, part) in [
        ("外号,小蓝券,,,", 2, 1, "没有“外号”这个类型"),
        (",小蓝券,,,", 2, 1, "没有写类型"),
        ("用户词,,,,", 2, 2, "没有写词"),
        ("用户词,小蓝券,,很多,", 2, 4, "整数"),
        ("停用词,麻烦,麻烦,,", 2, 3, "只用于同义词"),
        ("停用词,麻烦,,3,", 2, 4, "只用于用户词"),
        ("停用词,麻烦,,,,多出来的", 2, 6, "没有表头"),
        ("同义词,返款|退款,打款,,", 2, 0, "不在"),
        ("停用词,麻烦,,,\n停用词,麻烦,,,", 3, 0, "第 2 行已经有了"),
    ] {
        let problems = found(&format!("类型,词,标准词,词频,备注\n{row}\n"));
        assert_eq!(problems.len(), 1, "{row}: {problems:?}");
        assert_eq!((problems[0].line, problems[0].column), (line, column), "{row}: {}", problems[0]);
        assert!(problems[0].message.contains(part), "{row}: {}", problems[0]);
    }
    assert!(found("词,标准词\n麻烦,\n")[0].message.contains("找不到表头"));
    assert!(found("类型,词,权重\n停用词,麻烦,\n")[0].message.contains("没有“权重”这一列"));
}

#[test]
fn every_fault_names_its_line_and_field() {
    for (line, field, part) in [
        (r#"{"word":"好"}"#, "word", "只有一个字"),
        (r#"{"word":"  "}"#, "word", "空白"),
        (r#"{"word":"！？"}"#, "word", "没有文字"),
        (r#"{"word":"apple watch"}"#, "word", "protected"),
        (r#"{"word":"好的吧","frequency":"多"}"#, "frequency", "整数"),
        (r#"{"word":"好的吧","frequency":-1}"#, "frequency", "整数"),
        (r#"{"word":"好的吧","tag":3}"#, "tag", "文字"),
        (r#"{"word":"好的吧","weight":3}"#, "weight", "没有 weight"),
        (r#"{"word":["好的吧"]}"#, "word", "文字"),
        (r#"{"synonyms":"退货"}"#, "synonyms", "列表"),
        (r#"{"synonyms":[]}"#, "synonyms", "列表"),
        (r#"{"synonyms":["退货",""]}"#, "synonyms", "列表"),
        (r#"{"synonyms":["退货","退 货"]}"#, "synonyms", "两次"),
        (r#"{"synonyms":["甲方","乙方"],"canonical":"丙方"}"#, "canonical", "不在"),
        (r#"{"contrast":["金卡"]}"#, "contrast", "至少要写两个"),
        (r#"{"contrast":["金卡","金 卡"]}"#, "contrast", "两次"),
        (r#"{"contrast":["退款","退钱"]}"#, "contrast", "同义词"),
        (r#"{"contrast":"金卡"}"#, "contrast", "列表"),
        (r#"{"stop":"麻烦","word":"好的吧"}"#, "word", "只能写一种"),
    ] {
        let text = format!("{{\"word\":\"没有问题\"}}\n{line}\n");
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("lexicon.jsonl", 2), "{line}");
        assert_eq!(found[0].field.as_deref(), Some(field), "{line}: {}", found[0]);
        assert!(found[0].message.contains(part), "{line}: {}", found[0]);
    }
    for (line, part) in [("{\"word\":\"没写完", "JSON"), ("[1]", "JSON 对象"), ("{\"wort\":\"x\"}", "看不出")]
    {
        let found = problems(&format!("\n{line}\n"));
        assert_eq!(found[0].line, 2, "{line}");
        assert!(found[0].message.contains(part), "{line}: {}", found[0]);
    }
}

#[test]
fn lines_that_contradict_each_other_are_refused() {
    for (lines, part) in [
        (["{\"word\":\"小蓝券\"}", "{\"word\":\"小藍券\"}"], "第 1 行已经有了"),
        (["{\"synonyms\":[\"甲方\",\"乙方\"]}", "{\"synonyms\":[\"乙方\",\"丙方\"]}"], "合并"),
        (["{\"protected\":\"麻烦\"}", "{\"stop\":\"麻烦\"}"], "保护词"),
        (["{\"contrast\":[\"甲方\",\"乙方\"]}", "{\"contrast\":[\"乙方\",\"丙方\"]}"], "合并"),
        (["{\"synonyms\":[\"甲方\",\"乙方\"]}", "{\"contrast\":[\"甲方\",\"乙方\"]}"], "同义词"),
        // Both touch the shipped group of 退款 and 退钱.
        (["{\"synonyms\":[\"返款\",\"退款\"]}", "{\"synonyms\":[\"回款\",\"退钱\"]}"], "合并"),
    ] {
        let found = problems(&lines.join("\n"));
        assert_eq!(found.len(), 1, "{lines:?}: {found:?}");
        assert_eq!(found[0].line, 2, "{lines:?}");
        assert!(found[0].message.contains(part), "{}", found[0]);
    }
    let all = problems("{\"word\":\"好\"}\n坏\n{\"stop\":\"\"}\n");
    assert_eq!(all.iter().map(|problem| problem.line).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn protected_terms_stay_as_they_are() {
    let analyzer = analyzer();
    let normal = |text: &str| analyzer.normalize(text);
    assert_eq!(normal("ＧＯ！券 怎么用？").exact, "go!券怎么用");
    assert_eq!(normal("请问么么么哒呀").core, "请问么么么哒呀", "no filler, repeat or particle goes");
    assert_eq!(normal("乾隆😀和乾隆後面😀").core, "乾隆😀和乾隆后面");
    assert_eq!(normal("你好，GO!券").core, "go!券", "what stands around it goes");
    assert_eq!(normal("\u{F0000}你\u{F0001}好GO!券").exact, "你好go!券", "a foreign mask is nothing");
    let pieces: Vec<String> =
        analyzer.query("我的GO!券呢").unwrap().tokens.into_iter().map(|token| token.text).collect();
    assert_eq!(pieces, ["我", "的", "go!券"]);
    // Without the lexicon all of that is lost.
    let plain = Analyzer::new(Lexicon::shipped());
    assert_eq!(plain.normalize("ＧＯ！券 怎么用？").exact, "go券怎么用");
}

#[test]
fn the_laws_of_normalising_hold_with_protected_terms() {
    let analyzer = analyzer();
    let terms = ["GO!券", "么么么哒呀", "请问", "乾隆😀"];
    let file = std::fs::read_to_string(repository("corpora/shop.queries.jsonl")).unwrap();
    let texts = file
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned());
    for (index, text) in texts.enumerate() {
        let term = terms[index % terms.len()];
        let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        for text in [
            text.clone(),
            [term, &text].concat(),
            [&text, term].concat(),
            [&text[..middle], term, term, &text[middle..]].concat(),
        ] {
            let normal = analyzer.normalize(&text);
            assert_eq!(analyzer.exact_key(&normal.exact), normal.exact, "{text:?}");
            assert_eq!(analyzer.normalize(&normal.core).core, normal.core, "{text:?}");
            let mut at = 0;
            for token in analyzer.segment(&normal.core) {
                assert!(!normal.core[at..token.start].chars().any(char::is_alphanumeric), "{text:?}");
                at = token.start + token.text.len();
                assert_eq!(&normal.core[token.start..at], token.text, "{text:?}");
            }
            assert!(!normal.core[at..].chars().any(char::is_alphanumeric), "{text:?}");
        }
    }
}

#[test]
fn a_sentence_says_why_it_is_cut_so() {
    let analyzer = analyzer();
    let anatomy = Anatomy::of(&analyzer, "麻煩看下拾光卡PLUS的GO!券和優惠碼能退錢吗", None).unwrap();
    let steps: Vec<&str> = anatomy.steps.iter().map(|step| step.step).collect();
    assert_eq!(steps, ["lower_case", "simplified"]);
    let word = |text: &str| {
        anatomy.words.iter().find(|word| word.text == text).unwrap_or_else(|| panic!("{text}: {anatomy:?}"))
    };
    assert_eq!(word("拾光卡plus").source, WordSource::UserDictionary);
    assert_eq!(word("go!券").source, WordSource::Protected);
    assert_eq!(word("优惠码").source, WordSource::Keyword);
    assert_eq!(word("的").source, WordSource::SingleCharacter);
    assert_eq!((word("麻烦").stop, word("麻烦").own_stop), (true, true));
    assert_eq!((word("的").stop, word("的").own_stop), (true, false));
    assert_eq!((word("go!券").canonical.as_str(), word("go!券").own_group), ("蓝票", true));
    // The authors' group has joined the shipped one of 退款 and 退钱.
    assert_eq!((word("退钱").canonical.as_str(), word("退钱").own_group), ("返款", true));
    assert_eq!(word("退钱").group, ["返款", "退款", "退钱"]);
    let first = &anatomy.words[1];
    assert_eq!(
        anatomy.core.chars().skip(first.start).take(first.text.chars().count()).collect::<String>(),
        first.text
    );

    let lexicon = analyzer.lexicon();
    assert_eq!(lexicon.canonical("更换"), "更换", "taken out of the shipped group");
    assert_eq!(lexicon.canonical("变更"), "修改", "the rest of the group stays");
}

#[test]
fn a_frequency_decides_what_is_a_word() {
    let cut = |line: &str, text: &str| -> Vec<String> {
        let authored = AuthoredLexicon::read("words", line.as_bytes()).unwrap();
        let analyzer = Analyzer::new(Lexicon::of(&authored, []));
        analyzer.segment(text).into_iter().map(|token| token.text).collect()
    };
    assert_eq!(cut("", "江南皮革厂"), ["江南", "皮革厂"]);
    assert_eq!(cut(r#"{"word":"江南皮革厂"}"#, "江南皮革厂"), ["江南皮革厂"]);
    assert_eq!(cut(r#"{"word":"皮革厂","frequency":0}"#, "江南皮革厂"), ["江南", "皮革", "厂"]);
}

// ---- releases --------------------------------------------------------------

fn release(lexicon: AuthoredLexicon, encoder: Option<Arc<Encoder>>, previous: Option<&Release>) -> Release {
    let base = formats::read_jsonl("small", SMALL_KB.as_bytes()).unwrap().with_lexicon(lexicon);
    let previous = previous.map(Past::Open);
    let build = Build { number: 1, encoder, previous, ..Build::of("t", &base) };
    build.temporary().unwrap()
}

fn lines(text: &str) -> AuthoredLexicon {
    AuthoredLexicon::read("words", text.as_bytes()).unwrap()
}

#[test]
fn a_release_brings_its_words_along() {
    let bare = release(AuthoredLexicon::default(), None, None);
    assert!(!bare.manifest().files.contains_key("lexicon.jsonl"));
    let with = release(words(), None, None);
    assert!(with.manifest().files.contains_key("lexicon.jsonl"));
    assert_ne!(bare.manifest().text, with.manifest().text);
    assert_eq!(with.lexicon(), &words());
    let other = release(lines(r#"{"word":"小蓝券","frequency":3}"#), None, None);
    let third = release(lines(r#"{"word":"小蓝券","frequency":4}"#), None, None);
    assert_ne!(other.manifest().text, third.manifest().text);
}

#[test]
fn synonyms_find_what_no_shared_word_finds() {
    let first = |release: &Release, text: &str| {
        let query = release.analyzer().query(text).unwrap();
        let found = release.lexical().search(&query, 1, Except::Nothing);
        found.first().map(|found| release.entries()[found.best.entry].id.0.clone())
    };
    let text = "凭条";
    assert_eq!(first(&release(AuthoredLexicon::default(), None, None), text).as_deref(), None);
    let with = release(lines(r#"{"synonyms":["发票","凭条"]}"#), None, None);
    assert_eq!(first(&with, text).as_deref(), Some("invoice"));
}

#[test]
fn a_stored_question_with_a_protected_term_is_told_from_one_without() {
    let entries = concat!(
        r#"{"id":"go","question":"GO!是什么","similar":["介绍下GO!"],"answer":"会员日。"}"#,
        "\n",
        r#"{"id":"board","question":"围棋怎么玩","similar":["围棋规则"],"answer":"黑先白后。","rules":[{"exact":"go是什么"}]}"#,
        "\n",
    );
    let base = formats::read_jsonl("t", entries.as_bytes()).unwrap();
    let base = base.with_lexicon(lines(r#"{"protected":"GO!"}"#));
    let build = Build { number: 1, ..Build::of("t", &base) };
    let engine = Engine::new(Arc::new(build.temporary().unwrap()), 0.05);
    let best = |text: &str| {
        let outcome = engine.answer(text, Options::default()).unwrap();
        engine.release().entries()[outcome.best().unwrap().entry].id.0.clone()
    };
    assert_eq!(best("ｇｏ!是什么？"), "go");
    assert_eq!(best("go是什么"), "board");
}

#[test]
fn background_strangers_are_asked_and_their_vectors_used_again() {
    let bare = release(AuthoredLexicon::default(), None, None);
    let one_more = lines(r#"{"background":"火星上的地址怎么样"}"#);
    let far = release(one_more.clone(), None, None);
    assert_ne!(bare.calibrations(), far.calibrations(), "one more stranger is one more question");
    let encoder = Arc::new(Encoder::built_in().unwrap());
    let far = release(one_more, Some(encoder.clone()), None);
    // As many strangers as before, another one: its vector must not be the old one's.
    let other = "收货地址在哪里改";
    let base = formats::read_jsonl("small", SMALL_KB.as_bytes()).unwrap();
    let base = base.with_lexicon(lines(&json!({ "background": other }).to_string()));
    let build = Build {
        number: 2,
        encoder: Some(encoder.clone()),
        previous: Some(Past::Open(&far)),
        progress: &|stage, _, total| assert!(stage != "strangers" || total == 1, "{total} made anew"),
        ..Build::of("t", &base)
    };
    let folder = tempfile::tempdir().unwrap();
    build.write(folder.path()).unwrap();
    let vectors = Matrix::open(&folder.path().join("strangers.safetensors")).unwrap();
    let kept = Matrix::new(encoder.dimensions(), &[encoder.embed(other).unwrap()]);
    assert_eq!(vectors.row(vectors.len() - 1), kept.row(0));
}

// ---- the command line and the server ---------------------------------------

fn kb(data: &Path, args: &[&str]) -> Output {
    let mut command: Command = zhida();
    let (action, rest) = args.split_first().expect("an action");
    command.args(["kb", action, "--kb", "t", "--data"]).arg(data).args(rest).env("ZHIDA_MODEL", "none");
    run(&mut command)
}

fn sound(data: &Path, args: &[&str]) -> String {
    let output = kb(data, args);
    assert!(output.status.success(), "kb {args:?}: {}", stderr(&output));
    stdout(&output)
}

#[test]
fn words_are_imported_shown_published_and_served_without_a_restart() {
    let desk = tempfile::tempdir().unwrap();
    let data = desk.path().join("data");
    let file = |name: &str, content: &str| {
        let path = desk.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    sound(&data, &["import", &file("kb.jsonl", SMALL_KB)]);
    assert_eq!(sound(&data, &["publish"]), "1\n");
    let registry = Registry::new(crate::support::store(&data), None, 0.05, "t");
    registry.open_all().unwrap();
    let found = || {
        let engine = registry.engine(Some("t")).unwrap();
        let (_, trace) = engine.explain("凭条", Options::default()).unwrap();
        trace.lexical.first().map(|candidate| candidate.entry.clone())
    };
    assert_eq!(found(), None);

    let words = "{\"synonyms\":[\"发票\",\"凭条\"],\"note\":\"老顾客这么叫\"}\n{\"stop\":\"麻烦\"}\n";
    let path = file("words.jsonl", words);
    let dry = kb(&data, &["lexicon", "import", "--dry-run", &path]);
    assert!(stderr(&dry).contains("2 added, 0 removed"), "{}", stderr(&dry));
    assert_eq!(sound(&data, &["lexicon"]), "", "a dry run writes nothing");
    sound(&data, &["lexicon", "import", &path]);
    assert_eq!(
        sound(&data, &["lexicon", "show"]),
        "同义词 发票 凭条 → 发票  （老顾客这么叫）\n停用词 麻烦\n"
    );
    let table = desk.path().join("out.csv").display().to_string();
    sound(&data, &["lexicon", "export", "--out", &table]);
    let again = kb(&data, &["lexicon", "import", &table]);
    assert!(stderr(&again).contains("0 added, 0 removed, 0 changed, 2 unchanged"), "{}", stderr(&again));
    let out = desk.path().join("out.jsonl");
    sound(&data, &["lexicon", "export", "--out", &out.display().to_string()]);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), words);

    // Single lines, with their history.
    let more = [
        "lexicon",
        "put",
        "--reason",
        "客服反馈",
        r#"{"stop":"麻烦","note":"客套"}"#,
        r#"{"word":"蓝票卡"}"#,
    ];
    assert!(stderr(&kb(&data, &more)).contains("1 added, 0 removed, 1 changed, 1 unchanged"));
    sound(&data, &["lexicon", "remove", r#"{"word":"蓝票卡"}"#, r#"{"stop":"麻烦"}"#]);
    sound(&data, &["lexicon", "put", r#"{"stop":"麻烦"}"#]);
    let missing = kb(&data, &["lexicon", "remove", r#"{"word":"蓝票卡"}"#]);
    assert!(stderr(&missing).contains("remove:1 [word]"), "{}", stderr(&missing));
    let history: Value = serde_json::from_str(&sound(&data, &["history", "--json"])).unwrap();
    let told: Vec<(&str, bool)> = history["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["action"].as_str().unwrap(), one["entry"].is_null()))
        .collect();
    let expected = [("add", true), ("remove", true), ("remove", true), ("add", true), ("change", true)];
    assert_eq!(told[..5], expected);
    assert_eq!(told[7], ("add", false), "then come the entries");
    assert_eq!(history["revisions"][4]["reason"], "客服反馈");
    assert_eq!(history["revisions"][4]["before"], json!({"stop": "麻烦"}));
    assert!(sound(&data, &["history"]).contains("[词表] 停用词 麻烦  （客套）（客服反馈）"));

    let bad = kb(&data, &["lexicon", "import", &file("bad.jsonl", "{\"stop\":\"\"}\n")]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(stderr(&bad).contains("bad.jsonl:1 [stop]"), "{}", stderr(&bad));
    assert_eq!(sound(&data, &["lexicon", "export", "--out", &out.display().to_string()]), "");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), words, "a faulty file leaves the words alone");

    // A new draft keeps the words, and they wait for the release.
    sound(&data, &["import", &file("kb.jsonl", SMALL_KB)]);
    registry.refresh();
    assert_eq!(found(), None);
    let cut: Value = serde_json::from_str(&sound(&data, &["tokens", "--json", "凭条"])).unwrap();
    assert_eq!(cut["words"][0]["canonical"], "发票");
    let cut: Value = serde_json::from_str(&sound(&data, &["tokens", "--json", "zenme kai fapiao"])).unwrap();
    assert_eq!(cut["steps"][0]["step"], "heard");
    assert_eq!((&cut["exact"], &cut["core"]), (&json!("zenme kai fapiao"), &json!("怎么开发票")));
    assert_eq!(sound(&data, &["publish"]), "2\n");
    registry.refresh();
    assert_eq!(found().as_deref(), Some("invoice"));
    let diff: Value = serde_json::from_str(&sound(&data, &["diff", "--json", "1", "2"])).unwrap();
    assert_eq!(diff["unchanged"], 4);
    assert_eq!(diff["lexicon"]["added"][1], json!({"stop": "麻烦"}));
    assert!(sound(&data, &["diff", "1", "draft"]).contains("+ 词表 停用词 麻烦"));
    sound(&data, &["rollback", "1"]);
    registry.refresh();
    assert_eq!(found(), None, "the words go back with their release");
}

#[test]
fn a_file_is_read_with_the_lexicon_beside_it() {
    let desk = tempfile::tempdir().unwrap();
    let kb = desk.path().join("faq.kb.jsonl");
    std::fs::write(&kb, SMALL_KB).unwrap();
    let ask = |command: &str, more: &[&str]| {
        let mut zhida = zhida();
        let args: Vec<&str> = command.split(' ').chain(more.iter().copied()).collect();
        run(zhida.args(args).arg("--kb").arg(&kb).arg("凭条").env("ZHIDA_MODEL", "none"))
    };
    let lexical = |output: &Output| {
        let reply: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", stderr(output)));
        reply["explain"]["lexical"][0]["entry"].clone()
    };
    assert_eq!(lexical(&ask("ask --json --explain", &[])), Value::Null);
    std::fs::write(desk.path().join("faq.lexicon.jsonl"), "{\"synonyms\":[\"发票\",\"凭条\"]}\n").unwrap();
    assert_eq!(lexical(&ask("ask --json --explain", &[])), json!("invoice"));
    let shown = stdout(&ask("kb tokens", &[]));
    assert!(shown.contains("凭条  [用户词] → 发票（自定义同义词组：发票 凭条）"), "{shown}");
    std::fs::write(desk.path().join("faq.lexicon.jsonl"), "{\"synonyms\":1}\n").unwrap();
    let bad = ask("ask", &[]);
    assert!(!bad.status.success());
    assert!(stderr(&bad).contains("faq.lexicon.jsonl:1 [synonyms]"), "{}", stderr(&bad));
}

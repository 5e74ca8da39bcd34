//! Are the findings of the health check true and useful?

use std::collections::HashSet;

use serde_json::Value;
use zhida::kb::check::{CODES, Finding, Severity, check_ahead};
use zhida::kb::{KnowledgeBase, formats};
use zhida::release::Build;
use zhida::release::checkup::checkup;
use zhida::text::AuthoredLexicon;

use crate::support::{corpus, run, stdout, zhida};

fn read(lines: &[&str]) -> KnowledgeBase {
    formats::read_jsonl("kb.jsonl", lines.join("\n").as_bytes()).expect("sound")
}

/// What asking shows, without a model.
fn asked(base: &KnowledgeBase) -> Vec<Finding> {
    let build = Build { number: 1, ..Build::of("t", base) };
    checkup(&build.temporary().unwrap(), &|_, _, _| ()).unwrap()
}

/// What a pair of entries with these questions and answers is told.
fn pair(one: [&str; 2], other: [&str; 2]) -> Option<(&'static str, String)> {
    let entry = |id: &str, [question, answer]: [&str; 2]| {
        serde_json::json!({"id": id, "question": question, "answer": answer}).to_string()
    };
    // Bystanders, so that words have different weights.
    let base = read(&[
        &entry("a", one),
        &entry("b", other),
        &entry("c", ["优惠券怎么领取", "在首页领取。"]),
        &entry("d", ["快递送到哪里了", "看物流信息。"]),
        &entry("e", ["会员积分有什么用", "可以抵现金。"]),
    ]);
    asked(&base)
        .into_iter()
        .find(|finding| ["conflict", "near_duplicate", "alike"].contains(&finding.code))
        .map(|finding| (finding.code, finding.message))
}

#[test]
fn the_same_question_in_other_words_is_a_conflict_or_a_duplicate() {
    for (one, other) in [
        ("怎么修改收货地址", "收货地址如何更改"),
        ("退款多久到账", "退款要多长时间到账啊"),
        ("怎么开发票", "请问发票怎么开呢"),
        ("注销账号的流程是什么", "账户销户的流程是啥"),
    ] {
        let told = pair([one, "第一个答案。"], [other, "另一个答案。"]);
        assert_eq!(told.as_ref().map(|(code, _)| *code), Some("conflict"), "{one} / {other}: {told:?}");
        let told = pair([one, "同一个答案。"], [other, "同一个答案"]);
        assert_eq!(told.as_ref().map(|(code, _)| *code), Some("near_duplicate"), "{one} / {other}: {told:?}");
    }
}

#[test]
fn one_word_that_turns_the_matter_round_is_no_conflict() {
    for (one, other, words) in [
        (
            "拾光卡会员每个月的自动续费功能怎么开通",
            "拾光卡会员每个月的自动续费功能怎么关闭",
            ["开通", "关闭"],
        ),
        (
            "信用卡附属卡的每月账单日怎么修改成十号",
            "信用卡附属卡的每月还款日怎么修改成十号",
            ["账单日", "还款日"],
        ),
    ] {
        let told = pair([one, "第一个答案。"], [other, "另一个答案。"]);
        let Some(("alike", message)) = told else { panic!("{one} / {other}: {told:?}") };
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    assert_eq!(pair(["怎么退货", "答案在这里。"], ["几点开门", "九点开门。"]), None);
}

#[test]
fn a_synonym_of_the_knowledge_base_joins_what_it_means() {
    let lines = [
        r#"{"id":"a","question":"小蓝券怎么用","answer":"结算时选。"}"#,
        r#"{"id":"b","question":"蓝票怎么用","answer":"在线下用。"}"#,
        r#"{"id":"c","question":"快递送到哪里了","answer":"看物流信息。"}"#,
    ];
    let has_conflict = |base: &KnowledgeBase| asked(base).iter().any(|finding| finding.code == "conflict");
    assert!(!has_conflict(&read(&lines)));
    let words = AuthoredLexicon::read("w", "{\"synonyms\":[\"小蓝券\",\"蓝票\"]}".as_bytes()).unwrap();
    assert!(has_conflict(&read(&lines).with_lexicon(words)));
}

#[test]
fn what_the_entries_and_the_lexicon_contradict_is_found() {
    let words = "{\"background\":\"明天会下雨吗\"}\n{\"background\":\"发票！\"}\n{\"background\":\"天气\"}";
    let base = read(&[
        r#"{"id":"a","question":"明天会下雨吗","answer":"看天气预报。","related":["old","off","none","a"]}"#,
        r#"{"id":"b","question":"怎么开发票","answer":"在订单里申请。","keywords":["发票"]}"#,
        r#"{"id":"old","question":"去年的活动","answer":"已经结束了。","valid_until":"2020-01-01"}"#,
        r#"{"id":"off","question":"停用的问题","answer":"停用的答案。","enabled":false}"#,
    ])
    .with_lexicon(AuthoredLexicon::read("w", words.as_bytes()).unwrap());
    let found = check_ahead(&base, time::OffsetDateTime::now_utc(), 30);
    let told: Vec<(&str, &str)> =
        found.iter().map(|finding| (finding.code, finding.entries[0].0.as_str())).collect();
    for expected in [
        ("background_is_ours", "a"),
        ("background_is_ours", "b"),
        ("expired", "old"),
        ("expired_related", "a"),
        ("disabled_related", "a"),
        ("dangling_related", "a"),
        ("self_related", "a"),
    ] {
        assert!(told.contains(&expected), "{expected:?} is not among {told:?}");
    }
    assert_eq!(told.iter().filter(|(code, _)| *code == "background_is_ours").count(), 2);
}

#[test]
fn the_shipped_knowledge_bases_are_not_accused_of_what_they_do_not_do() {
    let known: HashSet<&str> = CODES.iter().map(|(code, _)| *code).collect();
    for name in ["shop", "bank", "telecom"] {
        let release = corpus(name);
        let found = checkup(&release, &|_, _, _| ()).unwrap();
        let serious: Vec<&Finding> =
            found.iter().filter(|finding| finding.severity != Severity::Info).collect();
        assert!(serious.is_empty(), "{name}: {serious:#?}");
        assert!(
            found.len() * 4 < release.entries().len(),
            "{name}: {} findings are too many to read",
            found.len()
        );
        for finding in &found {
            assert!(known.contains(finding.code), "{} is not documented", finding.code);
            assert!(!finding.fix.is_empty() && !finding.entries.is_empty(), "{finding:?}");
        }
        let leads: Vec<f32> =
            found.iter().filter(|finding| finding.code == "confusable").filter_map(|f| f.score).collect();
        assert!(leads.is_sorted_by(|a, b| a >= b), "{name}: the worst come first");
    }
}

#[test]
fn warnings_fail_a_strict_check_and_every_code_is_listed() {
    let desk = tempfile::tempdir().unwrap();
    let file = desk.path().join("kb.jsonl");
    let lines = r#"{"id":"a","question":"几点开门","answer":"每天早上九点开门。","related":["none"]}"#;
    std::fs::write(&file, lines).unwrap();
    let kb = |args: &[&str]| {
        let mut command = zhida();
        let (action, rest) = args.split_first().unwrap();
        command.args(["kb", action, "--kb", "t", "--data"]).arg(desk.path().join("data"));
        run(command.args(rest).env("ZHIDA_MODEL", "none"))
    };
    assert!(kb(&["import", &file.display().to_string()]).status.success());
    let plain = kb(&["check", "--json"]);
    assert_eq!(plain.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(report["warnings"], 1);
    assert_eq!(kb(&["check", "--strict"]).status.code(), Some(1));
    let codes = stdout(&run(zhida().args(["kb", "check-codes"])));
    assert_eq!(codes.lines().count(), CODES.len());
    assert_eq!(CODES.iter().map(|(code, _)| code).collect::<HashSet<_>>().len(), CODES.len());
}

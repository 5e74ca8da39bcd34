//! What holds for every text, knowledge base and release?

use std::sync::Arc;

use zhida::decide::policy::{Policy, Ranking};
use zhida::decide::{Confidence, Decision, Generation, Reason};
use zhida::encoder::Encoder;
use zhida::engine::{Engine, Options};
use zhida::retrieve::Except;
use zhida::text::{Analyzer, Lexicon, Normalized, exact_key};

use crate::support::{corpus, corpus_engine, repository};

/// The texts of every query set and of the background, plus broken ones.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = ["shop.queries", "bank.queries", "telecom.queries", "background"]
        .iter()
        .flat_map(|name| {
            let file = std::fs::read_to_string(repository(&format!("corpora/{name}.jsonl"))).unwrap();
            let texts: Vec<String> = file
                .lines()
                .map(|line| {
                    serde_json::from_str::<serde_json::Value>(line).unwrap()["text"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            texts
        })
        .collect();
    texts.extend(
        [
            "",
            " ",
            "？？？",
            "😀",
            "a\u{0}b",
            "ﷺ㍿㎏",
            "\u{202E}倒过来",
            "ｑｗｅ１２３",
            "é́́́",
            "𠮷𠀀",
            "1.2.3-4/5:6_7",
            "--.--",
            "%%% # &",
        ]
        .map(str::to_owned),
    );
    texts
}

#[test]
fn normalising_is_idempotent() {
    for text in texts() {
        let normal = Normalized::new(&text);
        assert_eq!(exact_key(&normal.exact), normal.exact, "{text:?}");
        assert_eq!(Normalized::new(&normal.core).core, normal.core, "{text:?}");
    }
}

#[test]
fn tokens_and_skipped_characters_give_back_the_text() {
    let analyzer = Analyzer::new(Lexicon::shipped());
    for text in texts() {
        let core = Normalized::new(&text).core;
        let mut at = 0;
        for token in analyzer.segment(&core) {
            assert!(!core[at..token.start].chars().any(char::is_alphanumeric), "{text:?} skips a word");
            assert_eq!(&core[token.start..token.start + token.text.len()], token.text, "{text:?}");
            at = token.start + token.text.len();
        }
        assert!(!core[at..].chars().any(char::is_alphanumeric), "{text:?} skips its end");
    }
}

#[test]
fn every_question_finds_its_own_entry_however_it_is_written() {
    for name in ["shop", "bank", "telecom"] {
        let engine = corpus_engine(name);
        for (index, entry) in engine.release().entries().iter().enumerate() {
            for phrasing in entry.phrasings() {
                let wide: String = phrasing.chars().map(full_width).collect();
                for text in [phrasing.to_owned(), wide, format!("  {phrasing}？！ "), phrasing.to_uppercase()]
                {
                    let outcome = engine.answer(&text, Options::default()).unwrap();
                    assert_eq!(outcome.best().map(|best| best.entry), Some(index), "{name}: {text}");
                    assert_eq!(outcome.reason, Reason::ExactQuestion, "{name}: {text}");
                    assert_eq!(outcome.confidence(), Confidence::CERTAIN);
                }
            }
        }
    }
}

fn full_width(c: char) -> char {
    match c {
        '!'..='~' => char::from_u32(c as u32 + 0xFEE0).unwrap_or(c),
        other => other,
    }
}

#[test]
fn traditional_writing_finds_the_same_entry() {
    let engine = corpus_engine("shop");
    for (traditional, id) in [
        ("怎麼申請七天無理由退貨", "return-7day"),
        ("貨都發了才發現地址不對，怎麼辦", "order-change-address-after-ship"),
    ] {
        let outcome = engine.answer(traditional, Options::default()).unwrap();
        let best = outcome.best().unwrap();
        assert_eq!(engine.release().entries()[best.entry].id.0, id);
        assert_eq!(outcome.reason, Reason::ExactQuestion);
    }
}

#[test]
fn retrieval_is_sorted_short_and_deterministic() {
    let engine = corpus_engine("telecom");
    let release = engine.release();
    for text in texts().iter().step_by(7) {
        let Ok(query) = release.analyzer().query(text) else { continue };
        for k in [1, 5, 20] {
            let found = release.lexical().search(&query, k, Except::Nothing);
            assert!(found.len() <= k);
            assert!(
                found.is_sorted_by(|a, b| {
                    let (a, b) = (a.best, b.best);
                    a.score > b.score || a.score == b.score && a.entry < b.entry
                }),
                "{text}"
            );
            assert_eq!(found, release.lexical().search(&query, k, Except::Nothing));
        }
        let vector = release.encoder().unwrap().embed(text).unwrap();
        let scan = release.semantic().unwrap().scan(&vector, Except::Nothing);
        let top = scan.top(10);
        assert!(top.len() <= 10 && top.is_sorted_by(|a, b| a.score >= b.score));
        assert_eq!(top, release.semantic().unwrap().scan(&vector, Except::Nothing).top(10));
    }
}

#[test]
fn what_is_hidden_is_not_found() {
    let engine = corpus_engine("telecom");
    let release = engine.release();
    for (index, phrasing) in release.phrasings().iter().enumerate().step_by(11) {
        let query = release.analyzer().query(&phrasing.text).unwrap();
        let without = release.lexical().search(&query, 50, Except::Phrasing(index));
        assert!(without.iter().all(|found| found.best.phrasing != index));
        let without = release.lexical().search(&query, 50, Except::Entry(phrasing.entry));
        assert!(without.iter().all(|found| found.best.entry != phrasing.entry));
        let vector = release.semantic().unwrap().vectors().row(index);
        let scan = release.semantic().unwrap().scan(&vector, Except::Entry(phrasing.entry));
        assert!(scan.entry(phrasing.entry).is_none());
    }
}

#[test]
fn vectors_have_unit_length_and_a_batch_equals_its_rows() {
    let encoder = Encoder::built_in().unwrap();
    let texts: Vec<String> = texts().into_iter().step_by(17).collect();
    let batch = encoder.embed_all(&texts, &|_| ()).unwrap();
    for (text, vector) in texts.iter().zip(&batch) {
        let length: f32 = vector.as_slice().iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "{text:?} has length {length}");
        let alone = encoder.embed(text).unwrap();
        let apart =
            alone.as_slice().iter().zip(vector.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 2e-6, "{text:?} alone and in a batch are {apart} apart");
    }
}

#[test]
fn answer_and_explain_agree() {
    for name in ["shop", "bank"] {
        let engine = corpus_engine(name);
        for generation in [Generation::One, Generation::Two] {
            let options = Options { generation, ..Options::default() };
            for text in texts().iter().step_by(5) {
                match (engine.answer(text, options), engine.explain(text, options)) {
                    (Ok(answer), Ok((explained, _))) => {
                        assert_eq!(answer.decision, explained.decision, "{text}");
                        assert_eq!(answer.reason, explained.reason, "{text}");
                        assert_eq!(answer.candidates, explained.candidates, "{text}");
                        assert_eq!(answer.generation, explained.generation, "{text}");
                    }
                    (Err(_), Err(_)) => {}
                    (answer, explained) => panic!("{text:?}: {answer:?} but {explained:?}"),
                }
            }
        }
    }
}

#[test]
fn a_stricter_goal_never_turns_a_handoff_into_an_answer() {
    let (strict, lax) = (goal(0.02), goal(0.2));
    for text in texts().iter().step_by(3) {
        let (Ok(strict), Ok(lax)) =
            (strict.answer(text, Options::default()), lax.answer(text, Options::default()))
        else {
            continue;
        };
        if strict.decision == Decision::Answer {
            assert_eq!(lax.decision, Decision::Answer, "{text}");
        }
    }
}

fn goal(max_wrong: f64) -> Engine {
    Engine::new(corpus("telecom"), max_wrong)
}

#[test]
fn a_flood_of_words_is_no_answer() {
    let engine = corpus_engine("shop");
    let strangers: Vec<String> = std::fs::read_to_string(repository("corpora/background.jsonl"))
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned()
        })
        .collect();
    let mut floods: Vec<String> = [20, 60, 120].iter().map(|&count| strangers[..count].join("，")).collect();
    floods.extend(["哈喽啊", "1234567890", "怎么退货，我不知道啊"].iter().map(|text| text.repeat(150)));
    for text in floods {
        let text: String = text.chars().take(zhida::text::MAX_CHARS).collect();
        let outcome = engine.answer(&text, Options::default()).unwrap();
        assert_ne!(outcome.decision, Decision::Answer, "{text}: {outcome:?}");
    }
}

#[test]
fn candidates_share_one_probability() {
    let engine = corpus_engine("bank");
    for text in texts().iter().step_by(3) {
        let Ok(outcome) = engine.answer(text, Options::default()) else { continue };
        let confidences: Vec<f64> =
            outcome.candidates.iter().map(|scored| scored.confidence.value()).collect();
        assert!(confidences.iter().all(|c| (0.0..=1.0).contains(c)), "{text}: {confidences:?}");
        assert!(confidences.iter().sum::<f64>() <= 1.0 + 1e-9, "{text}: {confidences:?}");
        assert!(confidences.is_sorted_by(|a, b| a >= b), "{text}: {confidences:?}");
        assert!(outcome.candidates.len() <= 10);
    }
}

#[test]
fn the_bar_keeps_its_goal_on_the_calibration_questions() {
    let release = corpus("shop");
    let ranking = Ranking::new(&release.calibrations().two.as_ref().unwrap().calibration.outcomes);
    let mut last = 0.0;
    for max_wrong in [0.3, 0.1, 0.05, 0.02] {
        let policy = Policy::for_goal(max_wrong, &ranking);
        assert!(policy.expected.wrong_rate_bound <= max_wrong);
        assert!(policy.expected.wrong_rate <= policy.expected.wrong_rate_bound);
        assert!(policy.bar.value() >= last, "a stricter goal has a higher bar");
        last = policy.bar.value();
    }
}

#[test]
fn an_entry_outside_its_time_is_no_answer() {
    let lines = concat!(
        r#"{"id":"sale","question":"双十一活动什么时候开始","answer":"11 月 1 日。","valid_from":"2026-10-20T00:00:00+08:00","valid_until":"2026-11-12T00:00:00+08:00"}"#,
        "\n",
        r#"{"id":"hours","question":"客服几点上班","similar":["客服几点下班"],"answer":"8 点。"}"#,
        "\n",
    );
    let base = zhida::kb::formats::read_jsonl("test", lines.as_bytes()).unwrap();
    let build = zhida::release::Build { number: 1, ..zhida::release::Build::of("t", &base) };
    let engine = Engine::new(Arc::new(build.temporary().unwrap()), 0.05);
    let at = |text: &str| {
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
    };
    let ask = |now| engine.answer("双十一活动什么时候开始", Options { now, ..Options::default() }).unwrap();
    assert_eq!(ask(at("2026-11-01T00:00:00+08:00")).decision, Decision::Answer);
    for outside in ["2026-10-19T23:59:59+08:00", "2026-11-12T00:00:00+08:00"] {
        let outcome = ask(at(outside));
        assert_ne!(outcome.decision, Decision::Answer, "{outside}");
        assert!(
            outcome.candidates.iter().all(|scored| engine.release().entries()[scored.entry].id.0 != "sale")
        );
    }
}

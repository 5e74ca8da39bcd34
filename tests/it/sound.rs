//! What customers type as its sound, asked of real knowledge bases.

use zhida::engine::Options;
use zhida::text::exact_key;

use crate::support::{corpus, corpus_engine};

#[test]
fn pinyin_and_wrong_characters_are_heard() {
    let shop = corpus("shop");
    for (typed, heard) in [
        ("zenme tuihuo", "怎么退货"),
        ("tk几天能到zhang", "退款几天能到账"),
        ("yhq的kuaidi到哪了", "优惠券的快递到哪了"),
        ("我要头诉", "我要投诉"),
        ("物溜在哪看", "物流在哪看"),
    ] {
        assert_eq!(shop.hear(typed).map(|it| it.text).as_deref(), Some(heard), "{typed}");
    }
    for text in ["我要退货", "wifi连不上怎么办", "用iPhone怎么付款", "this is not for me", "😀", ""]
    {
        assert_eq!(shop.hear(text), None, "{text}");
    }
}

#[test]
fn what_was_heard_is_scored_and_what_was_typed_is_compared() {
    let engine = corpus_engine("shop");
    let release = engine.release();
    for typed in ["zenme tuihuo", "我要头诉", "转rengong"] {
        let (query, _) = release.queries(typed).unwrap();
        assert_eq!(query.text.exact, exact_key(typed));
        assert_eq!(query.text.core, release.analyzer().normalize(&release.hear(typed).unwrap().text).core);
        let (outcome, trace) = engine.explain(typed, Options::default()).unwrap();
        assert_eq!(trace.steps.last().map(|step| step.step), Some("heard"), "{typed}");
        assert_eq!(engine.answer(typed, Options::default()).unwrap().decision, outcome.decision);
    }
    let person = engine.answer("转rengong", Options::default()).unwrap();
    assert_eq!(person.reason.name(), "requested", "a request for a person is one, however it is typed");
}

#[test]
fn strangers_do_not_become_questions_of_the_knowledge_base() {
    // What other people type in Latin letters, none of which is pinyin of ours.
    let file = std::fs::read_to_string(crate::support::repository("corpora/background.jsonl")).unwrap();
    let texts: Vec<String> = file
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned()
        })
        .collect();
    for name in ["shop", "bank"] {
        let release = corpus(name);
        let heard = texts.iter().filter(|text| release.hear(text).is_some()).count();
        assert!(
            heard * 50 < texts.len(),
            "{name}: {heard} of {} strangers are heard as something else",
            texts.len()
        );
    }
}

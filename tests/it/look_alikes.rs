//! Does one pair of look-alike entries cost anybody else an answer?

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use zhida::decide::policy::DEFAULT_MAX_WRONG;
use zhida::decide::{Decision, Reason};
use zhida::encoder::Encoder;
use zhida::engine::{Engine, Options};
use zhida::kb::{KnowledgeBase, formats};
use zhida::release::{Build, look_alikes};
use zhida::text::AuthoredLexicon;

use crate::support::{run, stderr, stdout, zhida};

/// A small shop: question, other phrasings, and what customers type for it.
const SHOP: [(&str, &[&str], &[&str]); 22] = [
    ("怎么申请退货", &["买来不想要了怎么退", "退货流程是什么"], &["退货怎么申请", "我想退货怎么弄"]),
    ("退款几天到账", &["退款什么时候到账", "退的钱多久能收到"], &["退款多久能到账", "退款要几天才到账"]),
    (
        "怎么修改收货地址",
        &["下单后地址写错了怎么改", "收货地址填错了"],
        &["收货地址怎么修改", "地址写错了怎么改"],
    ),
    ("怎么开电子发票", &["发票在哪里开", "电子发票怎么申请"], &["电子发票怎么开", "在哪里开发票"]),
    ("优惠券怎么使用", &["优惠券在哪里用", "下单时怎么用优惠券"], &["优惠券怎么用", "怎么使用优惠券"]),
    (
        "积分可以兑换什么",
        &["积分怎么兑换礼品", "积分能换什么东西"],
        &["积分能兑换什么", "怎么用积分兑换礼品"],
    ),
    (
        "忘记登录密码怎么办",
        &["登录密码想不起来了", "怎么重置登录密码"],
        &["登录密码忘了怎么办", "忘记密码怎么办"],
    ),
    ("怎么注销账号", &["账号不用了怎么注销", "注销账号要什么条件"], &["账号怎么注销", "注销账号怎么弄"]),
    ("支持货到付款吗", &["可以收到货再付款吗", "能不能货到付款"], &["可以货到付款吗", "货到付款支持吗"]),
    ("可以分期付款吗", &["支持哪些分期付款方式", "分期付款要手续费吗"], &["能分期付款吗", "分期付款可以吗"]),
    ("下单后多久发货", &["下单以后几天发货", "什么时候给我发货"], &["多久发货", "下单几天发货"]),
    ("怎么查询物流信息", &["快递到哪里了在哪查", "物流信息怎么看"], &["物流怎么查询", "在哪查物流信息"]),
    (
        "收到的商品破损怎么办",
        &["收到货发现坏了", "商品有破损怎么处理"],
        &["商品破损怎么办", "收到的商品破损了"],
    ),
    (
        "少发了商品怎么办",
        &["收到的东西少了一件", "商品漏发怎么处理"],
        &["少发商品怎么办", "商品漏发了怎么办"],
    ),
    ("怎么加入会员", &["会员在哪里开通", "加入会员要钱吗"], &["会员怎么加入", "会员怎么开通"]),
    ("运费是怎么算的", &["运费多少钱", "买多少可以免运费"], &["运费怎么算", "运费要多少钱"]),
    ("商品是正品吗", &["怎么鉴别正品", "会不会买到假货"], &["是不是正品", "你们的商品是正品吗"]),
    ("客服几点上班", &["人工客服的工作时间", "客服晚上在不在"], &["人工客服几点上班", "客服工作时间是几点"]),
    ("怎么取消订单", &["下单以后想取消", "不想买了怎么取消订单"], &["订单怎么取消", "我想取消订单"]),
    (
        "买贵了可以补差价吗",
        &["降价了能补差价吗", "怎么申请价格保护"],
        &["降价了可以补差价吗", "可以补差价吗"],
    ),
    (
        "预售的商品什么时候发货",
        &["预售多久能发货", "预售要等几天"],
        &["预售商品什么时候发", "预售什么时候发货"],
    ),
    ("发错货了怎么处理", &["收到的和买的不一样", "发错颜色了怎么办"], &["货发错了怎么处理", "发错货怎么办"]),
];

/// Two entries that nothing in zhida knows from each other.
type Pair = [(&'static str, &'static [&'static str]); 2];

const PAIRS: [Pair; 3] = [
    [
        ("静音款空调怎么预约安装", &["静音款空调安装要等几天", "静音款空调安装收不收费"]),
        ("标准款空调怎么预约安装", &["标准款空调安装要等几天", "标准款空调安装收不收费"]),
    ],
    [
        ("成都体验店几点关门", &["成都体验店的营业时间", "成都体验店周末开到几点"]),
        ("武汉体验店几点关门", &["武汉体验店的营业时间", "武汉体验店周末开到几点"]),
    ],
    [
        ("拾光投影仪多少钱", &["拾光投影仪现在什么价", "拾光投影仪价格"]),
        ("拾光投影仪青春版多少钱", &["拾光投影仪青春版现在什么价", "拾光投影仪青春版价格"]),
    ],
];

/// The shop and some pairs; ids count up, those of pairs from `twin-0` on.
fn lines(pairs: &[Pair]) -> String {
    let line = |id: String, question: &str, similar: &[&str]| {
        format!(
            "{}\n",
            json!({"id": id, "question": question, "similar": similar, "answer": format!("{question}：详见说明。")})
        )
    };
    let shop = SHOP
        .iter()
        .enumerate()
        .map(|(at, (question, similar, _))| line(format!("e-{at}"), question, similar));
    let twins = pairs.iter().flatten().enumerate();
    shop.chain(twins.map(|(at, (question, similar))| line(format!("twin-{at}"), question, similar))).collect()
}

fn base(pairs: &[Pair]) -> KnowledgeBase {
    formats::read_jsonl("shop.jsonl", lines(pairs).as_bytes()).unwrap()
}

fn engine(base: &KnowledgeBase) -> Engine {
    static ENCODER: LazyLock<Arc<Encoder>> = LazyLock::new(|| Arc::new(Encoder::built_in().unwrap()));
    let build = Build { encoder: Some(ENCODER.clone()), ..Build::of("shop", base) };
    Engine::new(Arc::new(build.temporary().unwrap()), DEFAULT_MAX_WRONG)
}

/// How many of the shop's own questions are answered, rightly and wrongly.
fn answered(engine: &Engine) -> (usize, usize) {
    let (mut right, mut wrong) = (0, 0);
    for (at, (.., asked)) in SHOP.iter().enumerate() {
        for text in *asked {
            let outcome = engine.answer(text, Options::default()).unwrap();
            if outcome.decision == Decision::Answer {
                let is_right = outcome.best().unwrap().entry == at;
                right += usize::from(is_right);
                wrong += usize::from(!is_right);
            }
        }
    }
    (right, wrong)
}

#[test]
fn the_rest_of_the_knowledge_base_is_answered_as_before() {
    let alone = answered(&engine(&base(&[])));
    assert!(alone.0 >= 22 && alone.1 == 0, "half of the questions are answered without any pair: {alone:?}");
    for pairs in [&PAIRS[..1], &PAIRS[1..2], &PAIRS[2..], &PAIRS] {
        let beside = answered(&engine(&base(pairs)));
        assert!(beside.0 + 2 >= alone.0 && beside.1 == 0, "{alone:?}, beside {pairs:?} {beside:?}");
    }
}

#[test]
fn what_cannot_be_told_apart_is_asked_back() {
    let engine = engine(&base(&PAIRS));
    let findings =
        look_alikes(engine.release().entries().iter(), engine.release().calibrations(), DEFAULT_MAX_WRONG);
    let pairs: Vec<Vec<&str>> =
        findings.iter().map(|finding| finding.entries.iter().map(|id| id.0.as_str()).collect()).collect();
    for pair in [["twin-0", "twin-1"], ["twin-2", "twin-3"], ["twin-4", "twin-5"]] {
        assert!(pairs.iter().any(|found| *found == pair), "{pair:?} is not in {pairs:?}");
    }
    assert!(pairs.iter().flatten().all(|id| id.starts_with("twin-")), "nobody else is among them: {pairs:?}");
    // A third of a kind, which the knowledge base does not have.
    for text in ["旗舰款空调怎么预约安装", "重庆体验店几点关门", "拾光投影仪旗舰版多少钱"]
    {
        let (outcome, trace) = engine.explain(text, Options::default()).unwrap();
        assert_ne!(outcome.decision, Decision::Answer, "{text}");
        assert_eq!(trace.generation2.group, "look_alike", "{text}");
    }
    for (text, at) in [("静音款空调怎么预约安装", SHOP.len()), ("武汉体验店几点关门？", SHOP.len() + 3)]
    {
        let outcome = engine.answer(text, Options::default()).unwrap();
        assert_eq!((outcome.reason, outcome.best().unwrap().entry), (Reason::ExactQuestion, at), "{text}");
    }
}

#[test]
fn what_the_authors_contrast_is_told_apart() {
    let words = AuthoredLexicon::read("w", r#"{"contrast":["静音款","标准款"]}"#.as_bytes()).unwrap();
    let told = |base: &KnowledgeBase| {
        let engine = engine(base);
        look_alikes(engine.release().entries().iter(), engine.release().calibrations(), DEFAULT_MAX_WRONG)
    };
    let plain = told(&base(&PAIRS[..1]));
    assert_eq!(plain.len(), 1, "{plain:?}");
    assert!(plain[0].fix.contains(r#"{"contrast":["静音","标准"]}"#), "{}", plain[0].fix);
    let words = base(&PAIRS[..1]).with_lexicon(words);
    assert_eq!(told(&words), []);
    // Who names neither is asked which one is meant, and so is who names both.
    let engine = engine(&words);
    for text in ["空调怎么预约安装", "空调安装收不收费", "静音款和标准款空调怎么预约安装"]
    {
        let outcome = engine.answer(text, Options::default()).unwrap();
        assert_eq!(outcome.decision, Decision::Clarify, "{text}");
        let mut offered: Vec<usize> =
            outcome.candidates[..outcome.offered].iter().map(|one| one.entry).take(2).collect();
        offered.sort_unstable();
        assert_eq!(offered, [SHOP.len(), SHOP.len() + 1], "{text}");
    }
}

#[test]
fn publishing_and_checking_name_the_pair() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.jsonl");
    std::fs::write(&file, lines(&PAIRS[1..2])).unwrap();
    let data = folder.path().join("data");
    let call = |args: &[&str]| {
        let output = run(zhida().arg("kb").args(args).args(["--kb", "shop", "--data"]).arg(&data));
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        output
    };
    call(&["import", file.to_str().unwrap()]);
    let checked: Value = serde_json::from_str(&stdout(&call(&["check", "--json"]))).unwrap();
    let of_both = |finding: &&Value| finding["entries"] == json!(["twin-0", "twin-1"]);
    let codes: Vec<&str> = checked["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(of_both)
        .filter_map(|finding| finding["code"].as_str())
        .filter(|code| ["alike", "look_alike"].contains(code))
        .collect();
    assert_eq!(codes, ["look_alike"], "the one word that is true");
    // Not only when they are new.
    for _ in 0..2 {
        let told = stderr(&call(&["publish"]));
        let line = told.lines().find(|line| line.contains("look_alike")).unwrap_or_else(|| panic!("{told}"));
        assert!(
            ["成都体验店几点关门", "武汉体验店几点关门", "twin-0", "twin-1"]
                .iter()
                .all(|part| line.contains(part)),
            "{line}"
        );
        assert!(told.contains("contrast") && told.contains("合并"), "{told}");
    }
}

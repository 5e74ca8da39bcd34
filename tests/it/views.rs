//! Which entries may claim or answer a question: rules, times, labels, channels.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zhida::decide::{Decision, Generation, Reason};
use zhida::encoder::Encoder;
use zhida::engine::{Engine, Filter, Options};
use zhida::kb::check::check_ahead;
use zhida::kb::formats::{Incoming, Reading};
use zhida::kb::merge::Mode;
use zhida::kb::{KnowledgeBase, formats};
use zhida::release::Build;
use zhida::retrieve::{Except, exact::Match};
use zhida::text::Query;

use crate::support::{run, stderr, stdout, zhida};

fn read(text: &str) -> KnowledgeBase {
    formats::read_jsonl("kb.jsonl", text.as_bytes()).expect("sound")
}

fn engine(text: &str, encoder: Option<Arc<Encoder>>) -> Engine {
    let base = read(text);
    let build = Build { number: 1, encoder, ..Build::of("t", &base) };
    Engine::new(Arc::new(build.temporary().unwrap()), 0.05)
}

fn id(engine: &Engine, entry: usize) -> &str {
    &engine.release().entries()[entry].id.0
}

// ---- rules -----------------------------------------------------------------

const RULED: &str = concat!(
    r#"{"id":"coupon","question":"优惠券怎么用","similar":["券在哪里用","优惠券用不了"],"answer":"结算时勾选即可。","keywords":["优惠券"],"rules":[{"contains":["券","过期"],"without":["不会","没有"]},{"regex":"券.*(退|还)","without":["退货"]}]}"#,
    "\n",
    r#"{"id":"expiry","question":"优惠券过期了还能用吗","similar":["券过期怎么办","过期的优惠券能恢复吗"],"answer":"过期的券不能恢复。"}"#,
    "\n",
    r#"{"id":"return","question":"用了券的订单怎么退货","similar":["退货后券退回来吗","用券买的怎么退"],"answer":"券会退回账户。","rules":[{"exact":"券退回"},{"contains":["券","退"]}]}"#,
    "\n",
);

#[test]
fn a_rule_goes_before_what_means_the_same() {
    let engine = engine(RULED, Some(Arc::new(Encoder::built_in().unwrap())));
    // Nearly a phrasing of `expiry`, which both generations put first; the rule of `coupon` wins.
    let text = "过期的优惠券还能恢复吗";
    let (outcome, trace) = engine.explain(text, Options::default()).unwrap();
    for verdict in [&trace.generation1, &trace.generation2] {
        assert_eq!(verdict.candidates[0].entry, "expiry", "{verdict:?}");
    }
    assert_eq!((outcome.decision, outcome.reason), (Decision::Answer, Reason::Rule));
    assert_eq!(id(&engine, outcome.best().unwrap().entry), "coupon");
    assert_eq!(outcome.generation, Generation::One, "no encoder is asked");
    // A stored question goes before every rule.
    let stored = engine.answer("券过期怎么办？", Options::default()).unwrap();
    assert_eq!((stored.reason, id(&engine, stored.best().unwrap().entry)), (Reason::ExactQuestion, "expiry"));
    // Silenced, the rule leaves the matter to the matchers.
    let silenced = engine.answer("优惠券不会过期吧", Options::default()).unwrap();
    assert_ne!(silenced.reason, Reason::Rule);
}

#[test]
fn the_test_box_shows_every_claim_in_the_order_in_which_they_win() {
    let engine = engine(RULED, None);
    type Told = (String, Match, Option<usize>, Option<String>, bool);
    let claims = |text: &str| -> Vec<Told> {
        let test = engine.rule_test(text, Options::default()).unwrap();
        test.claims
            .into_iter()
            .map(|claim| (claim.entry, claim.how, claim.number, claim.silenced_by, claim.wins))
            .collect()
    };
    let claim = |entry: &str, how, number, silenced: Option<&str>, wins| -> Told {
        (entry.to_owned(), how, number, silenced.map(str::to_owned), wins)
    };
    assert_eq!(
        claims("用券买的怎么退"),
        [
            claim("return", Match::Question, None, None, true),
            claim("coupon", Match::Rule, Some(2), None, false),
            claim("return", Match::Rule, Some(2), None, false),
        ]
    );
    assert_eq!(
        claims("过期的券没有退货吗"),
        [
            claim("coupon", Match::Rule, Some(1), Some("没有"), false),
            claim("coupon", Match::Rule, Some(2), Some("退货"), false),
            claim("return", Match::Rule, Some(2), None, true),
        ]
    );
    assert_eq!(claims("你好，优惠券"), [claim("coupon", Match::Keyword, None, None, true)]);
    assert_eq!(claims("几点开门"), []);
}

#[test]
fn who_asks_for_a_person_gets_one_before_keywords_and_rules() {
    let engine = engine(
        r#"{"id":"hours","question":"客服几点上班","similar":["人工几点下班"],"answer":"九点上班。","rules":[{"contains":["人工"]}]}"#,
        None,
    );
    let test = engine.rule_test("转人工", Options::default()).unwrap();
    assert_eq!((test.handoff_first, test.decision), (Some("requested"), "handoff"));
    assert_eq!(test.claims.len(), 1);
    assert!(!test.claims[0].wins);
    let stored = engine.rule_test("人工几点下班", Options::default()).unwrap();
    assert!(stored.claims[0].wins, "{stored:?}");
}

#[test]
fn what_the_matcher_finds_is_the_first_claim_that_nothing_silences() {
    let engine = engine(RULED, None);
    let release = engine.release();
    let parts = ["券", "优惠券", "过期", "退货", "没有", "不会", "退回", "还", "怎么办"];
    for first in parts {
        for second in parts {
            for third in parts {
                let text = release.analyzer().normalize(&[first, second, third].concat());
                let claims = release.exact().claims(&text);
                let granted = claims.iter().find(|claim| claim.silenced_by.is_none());
                let found = release.exact().find(&text, |_| true);
                assert_eq!(
                    found.map(|hit| (hit.entry, hit.how)),
                    granted.map(|claim| (claim.entry, claim.how)),
                    "{text:?}"
                );
            }
        }
    }
}

#[test]
fn an_authors_pattern_takes_linear_time() {
    let engine = engine(
        r#"{"id":"a","question":"问","answer":"答案在这里","rules":[{"regex":"^(a+)+$"},{"regex":"(a|a)*b(a|a)*c"}]}"#,
        None,
    );
    // A backtracking engine would not be done with these within the age of the world.
    let text = "a".repeat(1_990);
    let test = engine.rule_test(&[&text, "!x"].concat(), Options::default()).unwrap();
    assert!(test.claims.is_empty());
}

#[test]
fn rules_are_tested_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kb.jsonl");
    std::fs::write(&file, RULED).unwrap();
    let texts = folder.path().join("texts.txt");
    std::fs::write(&texts, "用券买的怎么退\n\n过期的券没有退货吗\r\n").unwrap();
    let mut command = zhida();
    command.args(["kb", "rule-test", "--model", "none", "--kb"]).arg(&file);
    let shown = run(command.arg("过期的券没有退货吗"));
    let text = stdout(&shown);
    for part in ["被 without“没有”排除", "第 2 条规则 contains: 券 退 —— 胜出", "结果：回答 [return]（rule"]
    {
        assert!(text.contains(part), "{text}{}", stderr(&shown));
    }
    let data = folder.path().join("data");
    let mut import = zhida();
    import.args(["kb", "import", "--kb", "t", "--data"]).arg(&data).arg(&file);
    assert!(run(&mut import).status.success());
    let mut command = zhida();
    command.args(["kb", "rule-test", "--model", "none", "--kb", "t", "--json", "--data"]).arg(&data);
    let lines = run(command.arg("--texts").arg(&texts));
    let tests: Vec<Value> = stdout(&lines).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(tests.len(), 2, "{}", stderr(&lines));
    assert_eq!(tests[0]["claims"][0]["how"], "question");
    assert_eq!((&tests[1]["entry"], &tests[1]["reason"]), (&json!("return"), &json!("rule")));
}

// ---- times -----------------------------------------------------------------

fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

#[test]
fn a_time_without_a_zone_is_in_the_zone_of_the_import() {
    let folder = tempfile::tempdir().unwrap();
    let jsonl = r#"{"id":"a","question":"活动什么时候","answer":"看首页公告。","valid_from":"2026-11-01","valid_until":"2026-11-11 20:30"}"#;
    let csv =
        "编号,标准问题,答案,生效时间,失效时间\na,活动什么时候,看首页公告。,2026年11月1日,2026/11/11 20:30\n";
    for (name, text) in [("kb.jsonl", jsonl), ("kb.csv", csv)] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        for (zone, from, until) in [
            ("+08:00", "2026-11-01T00:00:00+08:00", "2026-11-11T20:30:00+08:00"),
            ("-05:00", "2026-11-01T00:00:00-05:00", "2026-11-11T20:30:00-05:00"),
        ] {
            let reading = Reading { zone: formats::zone(zone).unwrap(), ..Reading::default() };
            let file = Incoming::read(&path, &reading).unwrap();
            let base = file.into_base(&KnowledgeBase::default(), Mode::Replace).unwrap();
            let entry = &base.entries()[0];
            assert_eq!(entry.valid_from, Some(at(from)), "{name} {zone}");
            assert_eq!(entry.valid_until, Some(at(until)), "{name} {zone}");
        }
        assert_eq!(formats::read(&path).unwrap().entries()[0].valid_from, Some(at("2026-10-31T16:00:00Z")));
        let mut import = zhida();
        import.args(["kb", "import", "--kb", "t", "--time-zone", "-05:00", "--data"]);
        assert!(run(import.arg(folder.path().join("data")).arg(&path)).status.success());
        let draft = crate::support::store(folder.path().join("data")).shelf("t").unwrap().draft().unwrap();
        assert_eq!(draft.entries()[0].valid_from, Some(at("2026-11-01T05:00:00Z")));
    }
}

/// Entries that share all their words; most of them are over.
fn seasons() -> String {
    let mut text = String::new();
    for year in 1900..2000 {
        text += &format!(
            "{{\"id\":\"y{year}\",\"question\":\"周年庆活动什么时候开始{year}\",\"similar\":[\"{year}周年庆活动开始时间\"],\"answer\":\"那一年的答案。\",\"keywords\":[\"庆典{year}\"],\"rules\":[{{\"contains\":[\"周年庆\",\"{year}\"]}}],\"valid_until\":\"2026-01-01T00:00:00+08:00\"}}\n"
        );
    }
    text += r#"{"id":"now","question":"店庆什么时候","similar":["活动从哪天起"],"answer":"今年 11 月 1 日。","topic":"活动","tags":["VIP","全员"]}"#;
    text.push('\n');
    text += r#"{"id":"soon","question":"下次活动什么时候","similar":["下次什么时候开始"],"answer":"明年春天。","valid_from":"2027-01-01T00:00:00+08:00","topic":"售后","tags":["全员"]}"#;
    text.push('\n');
    text
}

static SEASONS: LazyLock<Engine> = LazyLock::new(|| engine(&seasons(), None));

#[test]
fn what_is_outside_its_time_is_found_by_nothing() {
    let now = at("2026-06-01T00:00:00+08:00");
    for text in [
        "周年庆活动什么时候开始1950",
        "庆典1950",
        "1950年的周年庆",
        "周年庆活动什么时候开始",
        "下次活动什么时候",
    ] {
        let options = Options { now, ..Options::default() };
        let (outcome, trace) = SEASONS.explain(text, options).unwrap();
        let candidates: Vec<&str> =
            outcome.candidates.iter().map(|scored| id(&SEASONS, scored.entry)).collect();
        assert!(candidates.iter().all(|id| *id == "now"), "{text}: {candidates:?}");
        assert!(trace.lexical.iter().all(|candidate| candidate.entry == "now"), "{text}");
        assert_eq!(trace.eligible, 1);
    }
    // A hundred entries that are over and score higher do not crowd out the one that is not.
    let options = Options { now, ..Options::default() };
    let (_, trace) = SEASONS.explain("周年庆活动什么时候开始", options).unwrap();
    assert_eq!(trace.lexical.first().map(|candidate| candidate.entry.as_str()), Some("now"));
    // Inside their time they are found; the last moment is the one before the end.
    let options = Options { now: at("2025-12-31T23:59:59+08:00"), ..Options::default() };
    let outcome = SEASONS.answer("庆典1950", options).unwrap();
    assert_eq!(outcome.reason, Reason::Keyword);
    let options = Options { now: at("2026-01-01T00:00:00+08:00"), ..options };
    assert_ne!(SEASONS.answer("庆典1950", options).unwrap().reason, Reason::Keyword);
}

#[test]
fn the_check_tells_how_far_ahead_the_author_wants() {
    let base = read(
        r#"{"id":"a","question":"活动什么时候","answer":"看首页公告。","valid_until":"2026-03-01T00:00:00+08:00"}"#,
    );
    let codes = |now: &str, days| -> Vec<&str> {
        check_ahead(&base, at(now), days).iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes("2026-02-20T00:00:00+08:00", 7), [""; 0]);
    assert_eq!(codes("2026-02-20T00:00:00+08:00", 10), ["expires_soon"]);
    assert_eq!(codes("2026-03-01T00:00:00+08:00", 0), ["expired"]);
}

// ---- labels ----------------------------------------------------------------

const LABELLED: &str = concat!(
    r#"{"id":"vip-refund","question":"退款多久到账","similar":["钱几天能退回来"],"answer":"会员 1 小时内到账。","topic":"售后","tags":["VIP","钻石"],"keywords":["退款"],"answers":{"WeChat":"会员马上到。"}}"#,
    "\n",
    r#"{"id":"refund","question":"退款要几天到账","similar":["多久能收到退款"],"answer":"3 个工作日到账。","topic":"售后","rules":[{"contains":["退款","几天"]}]}"#,
    "\n",
    r#"{"id":"ship","question":"多久能发货到账","similar":["几天发货"],"answer":"付款后 48 小时内。","topic":"售前","tags":["vip"]}"#,
    "\n",
);

#[test]
fn only_what_the_filter_lets_through_is_a_candidate_of_any_matcher() {
    let engine = engine(LABELLED, Some(Arc::new(Encoder::built_in().unwrap())));
    let filters = [
        (json!({}), vec!["vip-refund", "refund", "ship"]),
        (json!({"topic": null, "tags": null}), vec!["vip-refund", "refund", "ship"]),
        (json!({"topic": ["售后"]}), vec!["vip-refund", "refund"]),
        (json!({"tags": ["ｖｉｐ"]}), vec!["vip-refund", "ship"]),
        (json!({"topic": ["售後"], "tags": ["vip"]}), vec!["vip-refund"]),
        (json!({"topic": ["售前", "售后"], "tags": ["钻石", "金"]}), vec!["vip-refund"]),
        (json!({"tags": ["没有的"]}), vec![]),
    ];
    for (filter, allowed) in filters {
        let filter = Filter::read(&filter).unwrap();
        for text in ["退款多久到账", "退款", "退款要等几天呢", "钱啥时候能到账", "几天"]
        {
            let options = Options { filter: Some(&filter), ..Options::default() };
            let (outcome, trace) = engine.explain(text, options).unwrap();
            assert_eq!(trace.eligible, allowed.len(), "{filter:?}");
            let mut seen: Vec<&str> =
                outcome.candidates.iter().map(|scored| id(&engine, scored.entry)).collect();
            seen.extend(trace.exact.iter().map(|hit| hit.entry.as_str()));
            seen.extend(trace.lexical.iter().chain(&trace.semantic).map(|found| found.entry.as_str()));
            assert!(seen.iter().all(|id| allowed.contains(id)), "{filter:?} {text}: {seen:?}");
            if !allowed.is_empty() {
                assert_eq!(trace.semantic.len(), allowed.len(), "{filter:?} {text}");
            } else {
                assert_eq!((outcome.decision, outcome.reason), (Decision::Handoff, Reason::NoMatch));
            }
            let plain = engine.answer(text, options).unwrap();
            assert_eq!(plain.candidates, outcome.candidates, "answer and explain agree");
        }
    }
}

#[test]
fn a_search_with_many_entries_hidden_finds_what_a_smaller_base_would_list() {
    let release = SEASONS.release();
    let count = release.entries().len();
    let query = release.analyzer().query("周年庆活动什么时候开始").unwrap();
    let all = release.lexical().search(&query, 50, Except::Nothing);
    assert!(all.len() > 20);
    fn listed(engine: &Engine, query: &Query, except: Except<'_>) -> Vec<(usize, f32)> {
        let found = engine.release().lexical().search(query, 200, except);
        found.into_iter().map(|found| (found.best.entry, found.best.score)).collect()
    }
    let scores = |except: Except<'_>| listed(&SEASONS, &query, except);
    let known: HashMap<usize, f32> = scores(Except::Nothing).into_iter().collect();
    // A few hidden ones go past, many go through every document: both see the same scores.
    for kept in [1usize, 3, 10, 90] {
        let hidden: Vec<bool> = (0..count).map(|entry| entry % (count / kept).max(1) != 0).collect();
        let found = scores(Except::Entries(&hidden));
        assert!(!found.is_empty(), "{kept}");
        for (entry, score) in found {
            assert!(!hidden[entry]);
            if let Some(known) = known.get(&entry) {
                assert!((known - score).abs() < 1e-5, "{entry}");
            }
        }
    }
}

#[test]
fn tags_survive_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let base = read(LABELLED);
    assert_eq!(base.entries()[0].tags, ["VIP", "钻石"]);
    for name in ["kb.jsonl", "kb.csv", "kb.xlsx"] {
        let path = folder.path().join(name);
        formats::write(&base, &path).unwrap();
        assert_eq!(formats::read(&path).unwrap(), base, "{name}");
    }
    let blank = formats::read_jsonl("kb", r#"{"question":"问","answer":"答","tags":["，"]}"#.as_bytes());
    assert!(blank.unwrap_err().to_string().contains("[tags]"));
}

#[test]
fn a_filter_and_a_channel_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kb.jsonl");
    std::fs::write(&file, LABELLED).unwrap();
    let ask = |args: &[&str]| {
        let mut command = zhida();
        command.args(["ask", "--json", "--model", "none", "--kb"]).arg(&file);
        run(command.args(args))
    };
    let reply = |args: &[&str]| -> Value { serde_json::from_slice(&ask(args).stdout).unwrap() };
    let found = reply(&["--channel", "wechat", "退款多久到账"]);
    assert_eq!(found["answer"]["text"], "会员马上到。");
    let other = reply(&["--channel", "phone", "退款多久到账"]);
    assert_eq!(other["answer"]["text"], "会员 1 小时内到账。");
    let narrow = reply(&["--filter", r#"{"topic":["售前"]}"#, "几天发货"]);
    assert_eq!(narrow["answer"]["entry"], "ship");
    let none = reply(&["--filter", r#"{"topic":["售前"]}"#, "退款多久到账"]);
    assert_ne!(none["decision"], "answer");
    let wrong = ask(&["--filter", r#"{"colour":["红"]}"#, "退款"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("colour"), "{}", stderr(&wrong));
}

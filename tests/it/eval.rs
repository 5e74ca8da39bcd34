//! `zhida eval` through the real binary.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::support::{SMALL_KB, run, stderr, stdout, zhida};

/// Questions for [`SMALL_KB`]: eight that it holds word for word, one to be
/// understood, four strangers.
const QUERIES: &str = concat!(
    r#"{"text":"退款多久到账","expect":"refund-time","tags":["exact"]}"#,
    "\n",
    r#"{"text":"钱什么时候退回来","expect":"refund-time","tags":["exact"]}"#,
    "\n",
    r#"{"text":"怎么修改收货地址","expect":["address-change"],"tags":["exact"]}"#,
    "\n",
    r#"{"text":"地址填错了怎么办","expect":"address-change","tags":["exact"]}"#,
    "\n",
    r#"{"text":"怎么开电子发票","expect":"invoice","tags":["exact"]}"#,
    "\n",
    r#"{"text":"发票在哪里开","expect":"invoice","tags":["exact"]}"#,
    "\n",
    r#"{"text":"支持货到付款吗","expect":"cod","tags":["exact"]}"#,
    "\n",
    r#"{"text":"能不能收到货再给钱","expect":"cod","tags":["exact"]}"#,
    "\n",
    r#"{"text":"我的退款啥时候能到账呀","expect":["refund-time","cod"],"tags":["colloquial"]}"#,
    "\n",
    r#"{"text":"今天天气怎么样","expect":null,"tags":["outside"]}"#,
    "\n",
    r#"{"text":"给我讲个笑话","expect":null,"tags":["outside"]}"#,
    "\n",
    r#"{"text":"<b>帮我|写首诗</b>","expect":null,"tags":["outside"]}"#,
    "\n",
    r#"{"text":"   ","expect":null,"tags":["outside"]}"#,
    "\n",
);

/// A folder with a knowledge base and a query set.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a folder") };
        desk.put("small.jsonl", SMALL_KB);
        desk.put("queries.jsonl", QUERIES);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).expect("JSON")
    }

    /// Runs `zhida eval` in the folder; later arguments win over the first ones.
    fn eval(&self, kb: &str, queries: &str, out: &str, more: &[&str]) -> Output {
        let mut command = zhida();
        command.current_dir(self.folder.path()).env_remove("ZHIDA_MODEL");
        command.args(["eval", "--kb", kb, "--queries", queries, "--out", out]);
        if !more.contains(&"--model") && !more.contains(&"built-in") {
            command.args(["--model", "none"]);
        }
        command.args(more.iter().filter(|arg| **arg != "built-in"));
        run(&mut command)
    }

    fn good(&self, kb: &str, queries: &str, out: &str, more: &[&str]) -> Output {
        let output = self.eval(kb, queries, out, more);
        assert!(output.status.success(), "{}", stderr(&output));
        output
    }
}

/// What may differ between two runs, taken out.
fn timeless(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for key in ["micros", "created", "latency_us"] {
                    map.remove(key);
                }
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn a_query_that_asks_nothing_or_expects_nothing_is_refused() {
    let desk = Desk::new();
    let queries = concat!(
        r#"{"text":"退款多久到账","expect":"refund-time"}"#,
        "\n",
        r#"{"text":"  ","expect":"cod"}"#,
        "\n",
        r#"{"text":"退款多久到账","expect":[]}"#,
        "\n",
        r#"{"text":" ","expect":null}"#,
        "\n"
    );
    desk.put("faulty.jsonl", queries);
    let output = desk.eval("small.jsonl", "faulty.jsonl", "out", &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("faulty.jsonl:2 [text]") && told.contains("删去这一行"), "{told}");
    assert!(told.contains("faulty.jsonl:3 [expect]") && told.contains("写 null"), "{told}");
    assert!(!told.contains("faulty.jsonl:4"), "customers do send nothing: {told}");
    assert!(!desk.path("out/report.json").exists());
}

#[test]
fn a_question_is_labelled_once_and_labels_name_entries_by_id_or_question() {
    let desk = Desk::new();
    // The same question in other signs, and another label.
    desk.put(
        "torn.jsonl",
        concat!(
            r#"{"text":"钱几时退","expect":"refund-time"}"#,
            "\n\n",
            r#"{"text":"钱几时退？","expect":null}"#,
            "\n"
        ),
    );
    desk.put("torn.csv", "问题,期望\n钱几时退,refund-time\n你们招人吗,\n钱几时退！,cod\n");
    // It is asked as it stands, for a published set may have such lines, and told.
    for (file, count, places) in
        [("torn.jsonl", 2, [":3 [expect]", "第 1 行"]), ("torn.csv", 3, [":4:2 [expect]", "第 2 行"])]
    {
        let output = desk.good("small.jsonl", file, "out", &["--generation", "1"]);
        let told = stderr(&output);
        assert!(told.contains(file) && places.iter().all(|place| told.contains(place)), "{told}");
        assert!(told.contains("请删去其中一行"), "{told}");
        assert_eq!(lines(&desk.text("out/predictions-gen1.jsonl")).len(), count, "one line a query");
    }

    // Once more with the same label is told; an entry goes by its questions too; a
    // stored question that is labelled as outside is hardly meant.
    desk.put(
        "odd.jsonl",
        concat!(
            r#"{"text":"钱几时退","expect":"钱什么时候退回来"}"#,
            "\n",
            r#"{"text":"钱几时退？","expect":["refund-time"]}"#,
            "\n",
            r#"{"text":"票和地址","expect":["怎么开电子发票","address-change"]}"#,
            "\n",
            r#"{"text":"想换个地方收货","expect":null}"#,
            "\n",
            r#"{"text":"怎么开电子发票","expect":"cod"}"#,
            "\n",
            r#"{"text":"支持货到付款吗","expect":["cod","invoice"]}"#,
            "\n"
        ),
    );
    let output = desk.good("small.jsonl", "odd.jsonl", "out", &["--generation", "1"]);
    let told = stderr(&output);
    assert_eq!(desk.json("out/report.json")["queries"]["n"], 6, "{told}");
    assert!(told.contains("odd.jsonl:2 [text]") && told.contains("算了两次"), "{told}");
    assert!(told.contains("odd.jsonl:4 [expect]") && told.contains("address-change"), "{told}");
    assert!(told.contains("odd.jsonl:5 [expect]") && !told.contains("odd.jsonl:6"), "{told}");
    let predictions = lines(&desk.text("out/predictions-gen1.jsonl"));
    assert_eq!(predictions[0]["expect"], "refund-time");
    assert_eq!(predictions[2]["expect"], serde_json::json!(["invoice", "address-change"]));
    desk.put("nobody.jsonl", "{\"text\":\"钱几时退\",\"expect\":\"没有这个问题\"}\n");
    let told = stderr(&desk.eval("small.jsonl", "nobody.jsonl", "out", &[]));
    assert!(told.contains("nobody.jsonl:1 [expect]") && told.contains("没有这个问题"), "{told}");
}

#[test]
fn a_conversation_that_is_none_is_told_with_what_one_holds() {
    let desk = Desk::new();
    for line in [
        r#"{"kb":"small","turns":[{"text":"怎么开电子发票","expect":"invoice"}]}"#,
        r#"{"kb":"small","turns":[],"title":"x"}"#,
    ] {
        desk.put("talks.jsonl", &format!("{line}\n"));
        let mut command = zhida();
        command.current_dir(desk.folder.path()).args(["eval", "dialogues", "--kb", "small.jsonl"]);
        let output = run(command.args(["--dialogues", "talks.jsonl", "--model", "none"]));
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("talks.jsonl:1") && told.contains("reading") && told.contains("choose"),
            "{told}"
        );
    }
    let help = stdout(&run(zhida().args(["eval", "dialogues", "--help"])));
    for word in ["as_is", "in_light", "unclear_choice", "none_of_these", "small_talk", "\"turns\""] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(stdout(&run(zhida().args(["eval", "--help"]))).contains(".xlsx"));
}

#[test]
fn the_columns_of_a_replay_are_told_apart_and_explained() {
    let desk = Desk::new();
    let mut command = zhida();
    command.current_dir(desk.folder.path()).args(["eval", "loop", "--kb", "small.jsonl", "--model", "none"]);
    command.args(["--queries", "queries.jsonl", "--days", "1", "--out", "loop"]);
    let output = run(&mut command);
    assert!(output.status.success(), "{}", stderr(&output));
    let told = stdout(&output);
    let head: Vec<&str> = told.lines().next().expect("a head").split('\t').collect();
    let mut names = head.clone();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), head.len(), "{told}");
    for name in head {
        assert!(told.lines().skip(1).any(|line| line.starts_with(&format!("{name:<16}"))), "{name}: {told}");
    }
}

#[test]
fn writes_what_the_contract_says() {
    let desk = Desk::new();
    let output = desk.good(
        "small.jsonl",
        "queries.jsonl",
        "out",
        &["--max-wrong", "0.1", "--evidence", "evidence.jsonl"],
    );
    assert!(stdout(&output).contains("generation 1"), "{}", stdout(&output));

    let report = desk.json("out/report.json");
    assert_eq!(report["kb"], "small");
    assert_eq!(report["model"], Value::Null);
    assert_eq!(report["max_wrong"], 0.1);
    assert_eq!(report["queries"]["n"], 13);
    assert_eq!(report["zhida"], env!("CARGO_PKG_VERSION"));
    for number in ["1", "2"] {
        let generation = &report["generations"][number];
        for metrics in [generation, &generation["overall"], &generation["by_tag"]["exact"]] {
            for name in [
                "answer_rate",
                "precision",
                "wrong_rate",
                "coverage",
                "mrr",
                "ece",
                "ece_equal_mass",
                "clarify_rate",
                "handoff_rate",
            ] {
                assert!(metrics[name].is_number(), "{name}: {}", metrics[name]);
                let interval = metrics["intervals"][name].as_array().expect(name);
                assert!(
                    interval[0].as_f64() <= metrics[name].as_f64()
                        && metrics[name].as_f64() <= interval[1].as_f64()
                );
            }
            for name in ["false_answer_rate", "auroc", "clarify_hit"] {
                assert!(metrics.get(name).is_some(), "{name}");
            }
            for key in ["0.80", "0.90", "0.95", "0.98"] {
                assert!(metrics["coverage_at_precision"][key].is_number(), "{key}");
                assert!(metrics["intervals"]["coverage_at_precision"][key].is_array(), "{key}");
            }
            for key in ["1", "3", "5", "10"] {
                assert!(metrics["recall_at"][key].is_number(), "{key}");
            }
            for key in ["p50", "p95", "p99"] {
                assert!(metrics["latency_us"][key].is_u64(), "{key}");
            }
        }
        // Nothing was outside among the exact ones.
        assert!(generation["by_tag"]["exact"]["false_answer_rate"].is_null());
        assert_eq!(generation["by_tag"]["exact"]["precision"], 1.0);

        let predictions = lines(&desk.text(&format!("out/predictions-gen{number}.jsonl")));
        let asked = lines(QUERIES);
        assert_eq!(predictions.len(), asked.len());
        for (prediction, query) in predictions.iter().zip(&asked) {
            let keys: Vec<&str> =
                prediction.as_object().expect("an object").keys().map(String::as_str).collect();
            let contract =
                ["text", "expect", "decision", "reason", "entry", "confidence", "candidates", "micros"];
            assert_eq!(keys[..contract.len()], contract);
            assert_eq!((&prediction["text"], &prediction["expect"]), (&query["text"], &query["expect"]));
            let candidates = prediction["candidates"].as_array().expect("a list");
            assert!(candidates.len() <= 10);
            match candidates.first() {
                Some(best) => {
                    assert_eq!(best["entry"], prediction["entry"]);
                    assert_eq!(best["confidence"], prediction["confidence"]);
                }
                None => assert!(prediction["entry"].is_null() && prediction["confidence"] == 0.0),
            }
        }
    }
    assert!(report["generations"].get("3").is_none());
    assert!(report["baseline"].is_null());

    let evidence = lines(&desk.text("evidence.jsonl"));
    assert_eq!(evidence.len(), 13);
    assert!(evidence[8]["trace"]["lexical"].is_array() && evidence[12]["trace"].is_null());

    let markdown = desk.text("out/report.md");
    assert!(markdown.contains("| measure") && markdown.contains("第 1 代"), "{markdown}");
    let html = desk.text("out/report.html");
    for needed in ["<svg", "Risk–coverage", "Reliability", "By tag"] {
        assert!(html.contains(needed), "{needed}");
    }
    assert!(!html.contains("<script") && !html.contains("<b>"), "customers' text is escaped");
    // The only address is the name of the SVG language.
    let addresses: Vec<&str> =
        html.match_indices("http").map(|(at, _)| &html[at..(at + 26).min(html.len())]).collect();
    assert!(addresses.iter().all(|address| *address == "http://www.w3.org/2000/svg"), "{addresses:?}");
}

#[test]
fn one_generation_writes_its_own_file_only() {
    let desk = Desk::new();
    desk.good("small.jsonl", "queries.jsonl", "out", &["--generation", "1"]);
    assert!(
        desk.path("out/predictions-gen1.jsonl").exists() && !desk.path("out/predictions-gen2.jsonl").exists()
    );
    assert!(desk.json("out/report.json")["generations"].get("2").is_none());
}

#[test]
fn two_runs_agree_and_labels_change_no_prediction() {
    let desk = Desk::new();
    desk.good("small.jsonl", "queries.jsonl", "a", &[]);
    desk.good("small.jsonl", "queries.jsonl", "b", &[]);
    assert_eq!(timeless(desk.json("a/report.json")), timeless(desk.json("b/report.json")));
    let predictions = |out: &str| -> Vec<Value> {
        lines(&desk.text(&format!("{out}/predictions-gen2.jsonl"))).into_iter().map(timeless).collect()
    };
    assert_eq!(predictions("a"), predictions("b"));

    let relabelled: Vec<String> = lines(QUERIES)
        .into_iter()
        .map(|mut query| {
            let blank = query["text"].as_str().is_some_and(|text| text.trim().is_empty());
            let outside = query["expect"].is_null() && !blank;
            query["expect"] = if outside { "cod".into() } else { Value::Null };
            query.to_string()
        })
        .collect();
    desk.put("relabelled.jsonl", &relabelled.join("\n"));
    desk.good("small.jsonl", "relabelled.jsonl", "c", &[]);
    let unlabelled = |out: &str| -> Vec<Value> {
        let mut list = predictions(out);
        list.iter_mut().for_each(|p| p["expect"] = Value::Null);
        list
    };
    assert_eq!(unlabelled("a"), unlabelled("c"));
}

#[test]
fn flips_against_a_baseline_decide_the_exit_status() {
    let desk = Desk::new();
    desk.good("small.jsonl", "queries.jsonl", "good", &["--generation", "1"]);
    // The same entries with other questions: what was exact is not any more.
    let worse = [("refund-time", "甲"), ("address-change", "乙"), ("invoice", "丙"), ("cod", "丁")]
        .map(|(id, name)| format!(r#"{{"id":"{id}","question":"{name}号柜台几点关门","similar":["{name}号窗口休息吗"],"answer":"六点。"}}"#));
    desk.put("worse.jsonl", &worse.join("\n"));

    let same = desk.good("small.jsonl", "queries.jsonl", "same", &["--baseline", "good/report.json"]);
    assert!(stdout(&same).contains("no regression"), "{}", stdout(&same));
    assert_eq!(desk.text("same/flips.jsonl"), "");

    let output = desk.eval(
        "worse.jsonl",
        "queries.jsonl",
        "worse",
        &["--generation", "1", "--baseline", "good/report.json"],
    );
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let flips = lines(&desk.text("worse/flips.jsonl"));
    assert!(flips.len() >= 8, "{flips:?}");
    assert!(flips[0]["flip"].as_str().is_some_and(|flip| flip.starts_with("right_to_")), "{}", flips[0]);
    assert_eq!(flips[0]["before"]["decision"], "answer");
    let report = desk.json("worse/report.json");
    assert_eq!(report["baseline"]["regressed"], true);
    assert_eq!(report["baseline"]["generations"]["1"]["right"]["gained"], 0);
    assert!(desk.text("worse/report.md").contains("a regression beyond chance"));

    let back = desk.good("small.jsonl", "queries.jsonl", "back", &["--baseline", "worse/report.json"]);
    assert!(stdout(&back).contains("no regression"), "{}", stdout(&back));
    assert!(lines(&desk.text("back/flips.jsonl")).len() >= 8);
}

#[test]
fn a_baseline_that_cannot_be_compared_is_refused() {
    let desk = Desk::new();
    desk.good("small.jsonl", "queries.jsonl", "good", &["--generation", "1"]);
    desk.put("other.jsonl", r#"{"text":"退款多久到账","expect":"cod"}"#);
    desk.put("broken.json", "{\"generations\":{}}");
    for (baseline, queries, out, more, says) in [
        ("good/report.json", "other.jsonl", "out", "1", "another query set"),
        ("broken.json", "queries.jsonl", "out", "1", "broken.json: not a report.json"),
        ("missing.json", "queries.jsonl", "out", "1", "cannot read missing.json"),
        ("good/report.json", "queries.jsonl", "good", "1", "over the baseline"),
        ("good/report.json", "queries.jsonl", "out", "2", "which this run leaves out"),
    ] {
        let output = desk.eval("small.jsonl", queries, out, &["--baseline", baseline, "--generation", more]);
        assert_eq!(output.status.code(), Some(1), "{says}");
        assert!(stderr(&output).contains(says), "{says}: {}", stderr(&output));
        assert!(!desk.path("out/report.json").exists(), "nothing half done: {says}");
    }
}

#[test]
fn bad_query_sets_name_file_and_line() {
    let desk = Desk::new();
    desk.put(
        "unknown.jsonl",
        "{\"text\":\"退款\",\"expect\":null}\n{\"text\":\"退款\",\"expect\":\"nowhere\"}\n",
    );
    desk.put("broken.jsonl", "{\"text\":\"退款\",\"expect\":null}\n{\"text\":\n");
    desk.put("empty.jsonl", "\n");
    desk.put("file", "");
    for (queries, out, says) in [
        ("unknown.jsonl", "out", "unknown.jsonl:2"),
        ("unknown.jsonl", "out", "nowhere"),
        ("broken.jsonl", "out", "broken.jsonl:2"),
        ("empty.jsonl", "out", "empty.jsonl"),
        ("absent.jsonl", "out", "absent.jsonl"),
        ("queries.jsonl", "file/out", "cannot create file/out"),
        ("queries.jsonl", "file", "cannot create file"),
    ] {
        let output = desk.eval("small.jsonl", queries, out, &[]);
        assert_eq!(output.status.code(), Some(1), "{says}");
        assert!(stderr(&output).contains(says), "{says}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    let output = desk.eval("small.jsonl", "queries.jsonl", "out", &["--generation", "3"]);
    assert_eq!(output.status.code(), Some(2));
    let output = desk.eval("small.jsonl", "queries.jsonl", "out", &["--max-wrong", "5"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_built_in_model_takes_part_in_generation_two() {
    let desk = Desk::new();
    desk.good("small.jsonl", "queries.jsonl", "out", &["built-in"]);
    let report = desk.json("out/report.json");
    assert!(report["model"].is_string(), "{}", report["model"]);
    let decided_by = |number: u8| -> Vec<u64> {
        let list = lines(&desk.text(&format!("out/predictions-gen{number}.jsonl")));
        list.iter().filter_map(|p| p["generation"].as_u64()).collect()
    };
    assert!(decided_by(1).iter().all(|generation| *generation == 1));
    // What is exact is settled without the encoder; a stranger goes on to it.
    let two = decided_by(2);
    assert_eq!((two[0], two[10]), (1, 2));
    for number in ["1", "2"] {
        assert_eq!(report["generations"][number]["by_tag"]["exact"]["coverage"], 1.0);
        assert!(report["generations"][number]["auroc"].is_number());
    }
}

#[test]
fn tuning_shows_what_each_goal_gives_and_proposes_one() {
    let desk = Desk::new();
    let output = desk.eval("small.jsonl", "queries.jsonl", "out", &["--tune"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report = desk.json("out/report.json");
    for generation in ["1", "2"] {
        let choices = report["generations"][generation]["trade_off"].as_array().unwrap();
        assert_eq!(choices.len(), zhida::decide::policy::GOALS.len());
        let bars: Vec<f64> = choices.iter().map(|choice| choice["bar"].as_f64().unwrap()).collect();
        assert!(bars.is_sorted_by(|a, b| a >= b), "a looser goal never has the higher bar: {bars:?}");
        // Its own goal is among them, and gives what the run itself gave.
        let own = choices.iter().find(|choice| choice["max_wrong"] == 0.05).unwrap();
        assert_eq!(own["coverage"]["value"], report["generations"][generation]["coverage"]);
    }
    assert!(stdout(&output).contains("set the goal to"), "{}", stdout(&output));
    assert!(desk.text("out/report.md").contains("## Goals"));
    assert!(desk.text("out/report.html").contains("What every goal gives"));
    let plain = desk.eval("small.jsonl", "queries.jsonl", "plain", &[]);
    assert!(plain.status.success());
    assert!(desk.json("plain/report.json")["generations"]["1"]["trade_off"].is_null());
}

#[test]
fn a_set_of_the_reference_can_be_left_out_of_a_file_only() {
    let desk = Desk::new();
    let bars = |out: &str, more: &[&str]| {
        let output = desk.eval("small.jsonl", "queries.jsonl", out, more);
        assert!(output.status.success(), "{}", stderr(&output));
        desk.json(&format!("{out}/report.json"))["generations"]["1"]["policy"].clone()
    };
    assert_ne!(bars("with", &[]), bars("without", &["--leave-out", "general"]));
    let output = desk.eval("small.jsonl", "queries.jsonl", "no", &["--leave-out", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nobody") && stderr(&output).contains("my-shop"), "{}", stderr(&output));
    let output = desk.eval("demo", "queries.jsonl", "no", &["--leave-out", "general"]);
    assert!(stderr(&output).contains("as a file"), "{}", stderr(&output));
}

#[test]
fn pairs_become_a_benchmark_that_can_be_run_and_compared() {
    let desk = Desk::new();
    let pairs: String = (0..24)
        .flat_map(|n| {
            let thing = ["台灯", "书架", "雨伞", "水壶", "毛巾", "铅笔", "沙发", "窗帘"][n % 8];
            let deed = ["怎么退货", "多少钱", "在哪里买"][n / 8];
            [
                format!("{thing}{deed}\t请问{thing}{deed}呀\t1\n"),
                format!("{thing}{deed}\t我想知道{thing}{deed}\t1\n"),
                format!("{thing}{deed}\t{thing}的颜色有第{n}种吗\t0\n"),
            ]
        })
        .collect();
    desk.put("pairs.tsv", &pairs);
    let build = |more: &[&str]| {
        let mut command = zhida();
        command.current_dir(desk.folder.path()).args(["eval", "build-bench", "--out", "made"]);
        run(command.args(more))
    };
    for name in ["one", "two"] {
        let output = build(&["--pairs", "pairs.tsv", "--name", name]);
        assert!(output.status.success(), "{}", stderr(&output));
        let made: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!((made["clusters"].as_u64(), made["outside"].as_u64()), (Some(24), Some(6)), "{made}");
        let (kb, queries) = (format!("made/{name}.kb.jsonl"), format!("made/{name}.queries.jsonl"));
        let evidence = format!("{name}.jsonl");
        let output = desk.eval(&kb, &queries, name, &["--evidence", &evidence]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(
        desk.text("made/one.queries.jsonl").replace("one-", "two-"),
        desk.text("made/two.queries.jsonl")
    );

    let mut command = zhida();
    command.current_dir(desk.folder.path()).args(["eval", "thresholds", "one.jsonl", "two.jsonl"]);
    let output = run(&mut command);
    assert!(output.status.success(), "{}", stderr(&output));
    for expected in ["cosine 0.95", "BM25", "encoder spared"] {
        assert!(stdout(&output).contains(expected), "{}", stdout(&output));
    }

    let output = build(&["--pairs", "queries.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("queries.jsonl:1"), "{}", stderr(&output));
    assert_eq!(build(&[]).status.code(), Some(2), "neither pairs nor qa_match files");

    desk.put("std", "__label__1\t7\t怎么发帖\n__label__1\t8\t怎么删帖\n");
    desk.put("train", "7\t0\t如何发布帖子\n0\t1\t你好\n7,8\t2\t帖子\n");
    desk.put("test", "7\t0\t我要发帖\n0\t1\t天气\n7,8\t2\t帖子的事\n");
    let output = build(&["--std", "std", "--similar", "train", "--test", "test", "--name", "qm"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(desk.text("made/qm.kb.jsonl").contains("如何发布帖子"));
    let output = desk.eval("made/qm.kb.jsonl", "made/qm.queries.jsonl", "qm", &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(desk.json("qm/report.json")["generations"]["1"]["overall"]["outside"], 1);
}

//! `zhida kb rule-test`: which rules does a sentence meet?

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::super::{Common, file_named, progress};
use crate::decide::policy::DEFAULT_MAX_WRONG;
use crate::engine::{Engine, Filter, Options, RuleTest, TestedClaim};
use crate::error::{Error, Result};
use crate::kb::Rule;
use crate::publish;
use crate::retrieve::exact::Match;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// The knowledge base: a name in the data directory (its draft counts), or a file.
    #[arg(long, value_name = "NAME_OR_FILE")]
    kb: String,
    /// Only entries with these labels, as in `zhida ask`.
    #[arg(long, value_name = "JSON", value_parser = super::super::filter)]
    filter: Option<Filter>,
    /// Read the sentences from a file, one a line.
    #[arg(long, value_name = "FILE", conflicts_with = "text", required_unless_present = "text")]
    texts: Option<PathBuf>,
    /// Print one JSON object a sentence.
    #[arg(long)]
    json: bool,
    /// The sentence.
    text: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let texts: Vec<String> = match (&args.texts, &args.text) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
            let lines = text.trim_start_matches('\u{feff}').lines();
            lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
        (None, text) => text.iter().cloned().collect(),
    };
    let engine = engine(args)?;
    for text in texts {
        let options = Options { filter: args.filter.as_ref(), ..Options::default() };
        let test = engine.rule_test(&text, options)?;
        if args.json {
            say!("{}", serde_json::to_string(&test).map_err(|e| Error::internal("rule-test", e))?);
        } else {
            print(&test);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn engine(args: &Args) -> Result<Engine> {
    if file_named(&args.kb).is_some() {
        return Ok(Engine::new(Arc::new(args.common.release(&args.kb)?), DEFAULT_MAX_WRONG));
    }
    let shelf = args.common.store().shelf(&args.kb)?;
    let bars = progress::Bars::new();
    publish::engine_of_draft(&shelf, args.common.encoder()?, DEFAULT_MAX_WRONG, &|stage, done, total| {
        bars.show(stage, done, total);
    })
}

fn print(test: &RuleTest) {
    say!("{}", test.text);
    say!("  比较用：{}", test.exact);
    for (index, claim) in test.claims.iter().enumerate() {
        say!("  {}. {}", index + 1, in_words(claim));
    }
    if test.claims.is_empty() {
        say!("  没有问法、关键词或规则命中");
    }
    if let Some(reason) = test.handoff_first {
        let why = if reason == "requested" { "顾客要求人工" } else { "含敏感词" };
        say!("  {why}：除完全相同的问法外，一律先转人工");
    }
    let then = match test.decision {
        "answer" => "回答",
        "clarify" => "反问",
        _ => "转人工",
    };
    let entry = test.entry.as_deref().map_or_else(String::new, |entry| format!(" [{entry}]"));
    say!("  结果：{then}{entry}（{}，第 {} 代，概率 {:.3}）", test.reason, test.generation, test.confidence);
}

fn in_words(claim: &TestedClaim) -> String {
    let what = match (claim.how, &claim.rule) {
        (Match::Question, _) => "与问法完全相同".to_owned(),
        (Match::Keyword, _) => "只有关键词".to_owned(),
        (Match::Rule, rule) => {
            let text = match rule {
                Some(Rule::Exact { exact }) => format!("exact: {exact}"),
                Some(Rule::Contains { contains, .. }) => format!("contains: {}", contains.join(" ")),
                Some(Rule::Regex { regex, .. }) => format!("regex: {regex}"),
                None => String::new(),
            };
            format!("第 {} 条规则 {text}", claim.number.unwrap_or_default())
        }
    };
    let outcome = match (&claim.silenced_by, claim.eligible, claim.wins) {
        (Some(word), ..) => format!("被 without“{word}”排除"),
        (None, false, _) => "现在不能给（不在有效期内，或被筛选条件排除）".to_owned(),
        (None, true, true) => "胜出".to_owned(),
        (None, true, false) => "命中，但排在后面".to_owned(),
    };
    format!("[{}] {}：{what} —— {outcome}", claim.entry, claim.question)
}

//! `zhida eval`: how good is a knowledge base?

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::audited::{Deed, Subject};
use super::{Common, bench, detectors, eval_dialogues, lines, progress, simulate, thresholds};
use crate::decide::Generation;
use crate::decide::policy::DEFAULT_MAX_WRONG;
use crate::disk::write_whole;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::eval::compare::{self, Baseline};
use crate::eval::dataset::LabelledQuery;
use crate::eval::measure::{self, Asked};
use crate::eval::report::{self, Report, table};
use crate::eval::run::Prediction;
use crate::eval::tune;
use crate::publish;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_long_help = "\
Writes report.json, report.md, report.html and one predictions-genN.jsonl per \
generation into DIR.

Exit status: 0 done, 1 failed or a regression against --baseline, 2 wrong usage.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
    /// The knowledge base: a name in the data directory, or a file.
    #[arg(long, value_name = "NAME_OR_FILE", required = true)]
    kb: Option<String>,
    /// The labelled questions: .jsonl, .csv or .xlsx.
    ///
    /// JSONL holds one question a line: {"text":"怎么退货","expect":"return","tags":["late"]}.
    /// `expect` is an entry's id or one of its questions, a list of them that are all
    /// right, or null for what is outside; `tags` may be left out. Tables have the columns
    /// 问题 (text), 期望 (expect, blank for what is outside) and 标签 (tags).
    #[arg(long, value_name = "FILE", required = true)]
    queries: Option<PathBuf>,
    /// Which generations to run: 1, 2 or both.
    #[arg(long, value_parser = ["1", "2", "both"], default_value = "both")]
    generation: String,
    /// Accept at most this share of wrong answers among those given [default: the knowledge base's goal, or 0.05].
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    max_wrong: Option<f64>,
    /// The report.json of an earlier run over the same query set: say what flipped, exit 1 on a regression.
    ///
    /// The runs are compared question by question, for each generation that
    /// both ran, and the questions whose outcome changed (right, wrong,
    /// clarify, handoff) go to DIR/flips.jsonl. A regression is fewer
    /// questions answered right, or more answered wrong, by more than chance:
    /// McNemar's exact two-sided test on the questions that changed gives
    /// p < 0.05 (six changes for the worse and none for the better are enough,
    /// five are not). Anything less prints, but exits 0.
    #[arg(long, value_name = "REPORT.JSON")]
    baseline: Option<PathBuf>,
    /// Also ask at other goals, draw what each would give, and propose the one to set.
    #[arg(long)]
    tune: bool,
    /// Set the proposed goal of the last generation for the knowledge base, which must be a name.
    /// What is wished for is `--max-wrong`, 5 % unless told, and not the goal that it has.
    #[arg(long, requires = "tune")]
    write_policy: bool,
    /// Calibrate without this set of the shipped reference; may be given several times.
    ///
    /// The shipped calibration has learned from labelled questions to the
    /// knowledge bases in zhida's own corpora, among others: what is measured on
    /// one of them is honest only without it. Needs `--kb FILE`.
    #[arg(long, value_name = "SET")]
    leave_out: Vec<String>,
    /// The folder for the report and the predictions.
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// Also write what every stage saw, one JSON line per query, for people who study calibration.
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Turn published sentence pairs, or the files of qa_match, into a knowledge base and questions to it.
    BuildBench(bench::Args),
    /// Compare zhida's confidence with plain thresholds on the cosine and on BM25.
    Thresholds(thresholds::Args),
    /// Measure how well requests for a person and anger are heard, against a list of keywords.
    Detectors(detectors::Args),
    /// Play labelled conversations, each message in its conversation and alone.
    Dialogues(eval_dialogues::Args),
    /// Replay labelled questions in days, with an author who takes up suggestions: does the loop work?
    Loop(simulate::Args),
}

impl Args {
    /// What this command is to the audit: a goal that is kept is a change.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.kb {
            Some(kb) if self.write_policy => Subject::kb(&self.common.data, kb, "set_goal", None).into(),
            _ => Deed::Looks,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match (&args.command, &args.kb, &args.queries, &args.out) {
        (Some(Command::BuildBench(args)), ..) => bench::run(args),
        (Some(Command::Thresholds(args)), ..) => thresholds::run(args),
        (Some(Command::Detectors(args)), ..) => detectors::run(args),
        (Some(Command::Dialogues(args)), ..) => eval_dialogues::run(args),
        (Some(Command::Loop(args)), ..) => simulate::run(args),
        (None, Some(kb), Some(queries), Some(out)) => measure(args, kb, queries, out),
        _ => Err(Error::internal("eval", "a required argument is missing")),
    }
}

fn measure(args: &Args, kb: &str, queries_file: &Path, out: &Path) -> Result<ExitCode> {
    if args.write_policy && super::file_named(kb).is_some() {
        return Err(Error::Refused(either!(
            "--write-policy: {kb} is a file and keeps no goal; import it and name the knowledge base",
            "--write-policy：{kb} 是文件，不能存目标；请先导入，再写知识库的名字"
        )));
    }
    // Whatever can be wrong without the knowledge base is found before its
    // calibration, which takes its time.
    let baseline = args.baseline.as_deref().map(|path| read_baseline(path, out)).transpose()?;
    std::fs::create_dir_all(out).map_err(|e| Error::io("create", out, e))?;
    tempfile::tempfile_in(out).map_err(|e| Error::io("write into", out, e))?;

    let release = Arc::new(args.common.release_without(kb, &args.leave_out)?);
    // What a run before has set is no wish.
    let wished = args.max_wrong.or(args.write_policy.then_some(DEFAULT_MAX_WRONG));
    let max_wrong = args.common.goal(kb, wished)?;
    let queries = super::labelled(queries_file, release.entries())?;
    if let Some((path, baseline)) = &baseline {
        baseline.check(path, &queries)?;
        if (baseline.max_wrong - max_wrong).abs() > f64::EPSILON {
            eprintln!(
                "zhida: {}",
                either!(
                    "the baseline's goal is {}, this run's is {max_wrong}",
                    "基线的目标是 {}，这次是 {max_wrong}",
                    baseline.max_wrong
                )
            );
        }
    }
    if super::file_named(kb).is_none() {
        let attached = publish::attached(&args.common.store().shelf(kb)?, &queries)?;
        if attached > 0 {
            eprintln!(
                "zhida: {}",
                either!(
                    "{attached} of these {} questions are attached to {kb} (`zhida kb queries`), and its calibration has learned from them: new questions are answered less well; for figures that are independent ask others",
                    "这 {} 个问题里有 {attached} 个已经标注在 {kb} 里（zhida kb queries），校准学过它们：新问题的结果会差一些；要独立的数字，请换一批问题",
                    queries.len()
                )
            );
        }
    }
    let generations: &[Generation] = match args.generation.as_str() {
        "1" => &[Generation::One],
        "2" => &[Generation::Two],
        _ => &[Generation::One, Generation::Two],
    };
    if release.encoder().is_none() && generations.contains(&Generation::Two) {
        eprintln!(
            "zhida: {}",
            either!(
                "no model is loaded; generation 2 does what generation 1 does",
                "没有载入模型；第 2 代与第 1 代相同"
            )
        );
    }
    let engine = Engine::new(Arc::clone(&release), max_wrong);
    if let Some(path) = &args.evidence {
        write_whole(path, &evidence(&engine, &queries)?)?;
    }

    let bars = progress::Bars::new();
    let told = queries_file.display().to_string();
    let asked = Asked { file: &told, queries: &queries, generations, max_wrong, tune: args.tune };
    let mut report = measure::report(&engine, &asked, &|stage, done, total| bars.show(stage, done, total))?;
    if let Some((path, baseline)) = &baseline {
        let runs: Vec<(u8, &[Prediction])> =
            report.generations.iter().map(|run| (run.number, run.predictions.as_slice())).collect();
        let (comparison, flips) = compare::compare(path, baseline, &runs)?;
        write_whole(&out.join("flips.jsonl"), &lines(&flips)?)?;
        report.baseline = Some(comparison);
    }
    write(&report, out)?;
    // A reader that closed the pipe has seen enough; the files are written.
    let _ = std::io::stdout().write_all(summary(&report, out).as_bytes());
    if args.write_policy {
        write_policy(&args.common, kb, &report)?;
    }
    let regressed = report.baseline.as_ref().is_some_and(|comparison| comparison.regressed);
    if regressed {
        eprintln!(
            "zhida: {}",
            either!(
                "a regression against the baseline; see {}",
                "比基线差；见 {}",
                out.join("flips.jsonl").display()
            )
        );
    }
    Ok(if regressed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// With fewer answers no goal is set: three right ones of three say next to nothing.
const LEAST_ANSWERED: usize = 20;

/// Sets the goal that was proposed for the last generation that ran.
fn write_policy(common: &Common, kb: &str, report: &Report) -> Result<()> {
    let choices = report.generations.last().map(|generation| generation.trade_off.as_slice());
    let Some(choice) = tune::propose(choices.unwrap_or_default(), report.max_wrong) else {
        return Err(Error::Refused(either!(
            "--write-policy: no goal keeps {} among these answers; the goal of {kb} stays as it is",
            "--write-policy：这些问题上没有哪个目标能守住 {}；{kb} 的目标不变",
            report.max_wrong
        )));
    };
    if choice.answered < LEAST_ANSWERED {
        return Err(Error::Refused(either!(
            "--write-policy: only {} of these questions are answered at the goal of {}, and {LEAST_ANSWERED} are the least to set it by; the goal of {kb} stays as it is (label more questions, or set it with `zhida kb goal`)",
            "--write-policy：这些问题只回答了 {} 个（目标 {}），至少要 {LEAST_ANSWERED} 个才能据此设目标；{kb} 的目标不变（多标注一些问题，或用 zhida kb goal 直接设）",
            choice.answered,
            choice.max_wrong
        )));
    }
    common.store().shelf(kb)?.set_goal(Some(choice.max_wrong))?;
    eprintln!("{}", either!("{kb}: the goal is {} from now on", "{kb}：目标从现在起是 {}", choice.max_wrong));
    Ok(())
}

fn read_baseline<'a>(path: &'a Path, out: &Path) -> Result<(&'a Path, Baseline)> {
    let baseline = Baseline::read(path)?;
    // A run that regressed must not become what the next one is measured by.
    let own = out.join("report.json");
    if let (Ok(old), Ok(new)) = (path.canonicalize(), own.canonicalize())
        && old == new
    {
        return Err(Error::Refused(either!(
            "{}: this run would write its own report over the baseline; choose another `--out`, or copy the baseline first",
            "{}：这次的报告会覆盖基线；请换一个 --out，或先把基线复制一份",
            path.display()
        )));
    }
    Ok((path, baseline))
}

/// Every file of a run, each of them whole. The report comes last: where it
/// is new, so is what it speaks of.
fn write(report: &Report, out: &Path) -> Result<()> {
    for generation in &report.generations {
        let name = format!("predictions-gen{}.jsonl", generation.number);
        write_whole(&out.join(name), &lines(&generation.predictions)?)?;
    }
    write_whole(&out.join("report.html"), report::html::render(report)?.as_bytes())?;
    write_whole(&out.join("report.md"), report::markdown::render(report).as_bytes())?;
    write_whole(&out.join("report.json"), &report::json::render(report)?)
}

/// One line per query with what every stage saw; `trace` is null for a text
/// that is no question.
fn evidence(engine: &Engine, queries: &[LabelledQuery]) -> Result<Vec<u8>> {
    let bars = progress::Bars::new();
    let done = AtomicUsize::new(0);
    let traced: Vec<serde_json::Value> = queries
        .par_iter()
        .map(|query| {
            let trace = match engine.explain(&query.text, Options::default()) {
                Ok((_, trace)) => Some(trace),
                Err(Error::Question(_)) => None,
                Err(e) => return Err(e),
            };
            bars.show("evidence", done.fetch_add(1, Ordering::Relaxed) + 1, queries.len());
            Ok(serde_json::json!({"text": query.text, "expect": query.expect, "tags": query.tags, "trace": trace}))
        })
        .collect::<Result<_>>()?;
    lines(&traced)
}

/// What stdout shows at the end.
fn summary(report: &Report, out: &Path) -> String {
    let mut text = table::short(report).text(false);
    if let (Some(comparison), Some(flips)) = (&report.baseline, table::flips(report)) {
        let verdict =
            if comparison.regressed { "a regression beyond chance" } else { "no regression beyond chance" };
        text.push_str(&format!("\nagainst {}: {verdict}\n{}", comparison.file, flips.text(false)));
    }
    if let Some(trade_off) = table::trade_off(report) {
        text.push_str(&format!("\n{}", trade_off.text(false)));
        for line in table::proposals(report) {
            text.push_str(&format!("{line}\n"));
        }
    }
    text.push_str(&format!("\n{}\n", out.join("report.html").display()));
    text
}

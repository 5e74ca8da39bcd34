//! `zhida kb import`: how does a file become the draft?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::progress;
use super::signed::Signed;
use super::{Place, print_diff};
use crate::error::{Error, Problem, Result};
use crate::kb::KnowledgeBase;
use crate::kb::diff::Diff;
use crate::kb::formats::{self, Incoming, Reading};
use crate::kb::merge::Mode;
use crate::store::Store;

/// Entries of each kind that are printed; `--json` has all of them.
const PRINTED: usize = 50;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    signed: Signed,
    /// `replace`: the file is everything; `update`: its entries are added
    /// or take the place of those with their ids; `add`: only entries with
    /// new ids are taken.
    #[arg(long, value_name = "MODE", default_value = "replace")]
    mode: Mode,
    /// Say what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The zone of dates and times that come without one, as an offset from UTC.
    #[arg(long, value_name = "OFFSET", value_parser = formats::zone, default_value = "+08:00", allow_hyphen_values = true)]
    time_zone: time::UtcOffset,
    /// A column that holds nothing of the knowledge base; may be given several times.
    #[arg(long, value_name = "HEADING")]
    ignore_column: Vec<String>,
    /// Print what has changed, or every fault, as JSON.
    #[arg(long)]
    json: bool,
    /// A .jsonl, .csv, .tsv or .xlsx file.
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let kb = &args.place.kb;
    let store = Store::at(&args.place.data.data);
    let shelf = store.shelf_to_create(kb)?.signed(args.signed.signature()?);
    let bars = progress::Bars::new();
    let progress = |stage: &'static str, done: usize, total: usize| bars.show(stage, done, total);
    let reading = Reading { zone: args.time_zone, ignore: &args.ignore_column, progress: &progress };
    let (mut diff, mut entries, mut phrasings) = (Diff::default(), 0, 0);
    let incoming = Incoming::read(&args.file, &reading)?;
    let mut change = |before: KnowledgeBase| {
        let base = incoming.clone().into_base(&before, args.mode)?;
        if base.entries().is_empty() {
            return Err(Error::Refused(format!(
                "{}: 文件里没有条目（the file holds no entry）; the draft of {kb} stays as it is",
                args.file.display()
            )));
        }
        diff = Diff::between(before.entries(), base.entries());
        (entries, phrasings) = (base.entries().len(), base.phrasing_count());
        Ok(base)
    };
    // Before the file is known to be sound, nothing is created.
    let outcome = if args.dry_run {
        shelf.draft().and_then(change).map(|_| ())
    } else if shelf.head()?.is_none() {
        change(KnowledgeBase::default()).and_then(|_| shelf.change_draft(change))
    } else {
        shelf.change_draft(change)
    };
    drop(bars);
    match outcome {
        Ok(()) => {}
        Err(Error::Corpus(problems)) => return refuse(args, &problems),
        Err(e) => return Err(e),
    }
    if args.json {
        let report = json!({
            "ok": true, "kb": kb, "file": args.file, "mode": args.mode, "dry_run": args.dry_run,
            "entries": entries, "phrasings": phrasings,
            "added": diff.added.len(), "changed": diff.changed.len(),
            "removed": diff.removed.len(), "unchanged": diff.unchanged, "diff": diff,
        });
        say!("{}", pretty(&report)?);
    } else {
        print_diff(&diff, PRINTED);
    }
    eprintln!(
        "{kb}: {} added, {} changed, {} removed, {} unchanged{}",
        diff.added.len(),
        diff.changed.len(),
        diff.removed.len(),
        diff.unchanged,
        if args.dry_run { " (dry run: nothing was written)" } else { "" }
    );
    Ok(ExitCode::SUCCESS)
}

/// Tells every fault; the draft stays as it is.
fn refuse(args: &Args, problems: &[Problem]) -> Result<ExitCode> {
    if args.json {
        let report = json!({
            "ok": false, "kb": args.place.kb, "file": args.file,
            "problems": problems.iter().map(|problem| located(problem, &args.file)).collect::<Vec<_>>(),
        });
        say!("{}", pretty(&report)?);
    } else {
        for problem in problems {
            eprintln!("{problem}");
        }
    }
    eprintln!("{}：共 {} 处问题，草稿没有改动", args.file.display(), problems.len());
    Ok(ExitCode::FAILURE)
}

/// A fault with the sheet apart from the file.
fn located(problem: &Problem, file: &Path) -> Value {
    let file = file.display().to_string();
    let sheet = problem.file.strip_prefix(&file).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
    let known = |number: usize| (number > 0).then_some(number);
    json!({
        "file": if sheet.is_some() { &file } else { &problem.file }, "sheet": sheet,
        "row": known(problem.line), "column": known(problem.column),
        "field": problem.field, "message": problem.message,
    })
}

fn pretty(report: &Value) -> Result<String> {
    serde_json::to_string_pretty(report).map_err(|e| Error::internal("import", e))
}

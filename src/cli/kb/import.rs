//! `zhida kb import`: how does a file become the draft?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::{language, progress};
use super::signed::Signed;
use super::{Place, changes, confirm};
use crate::cli::ground;
use crate::disk::write_whole;
use crate::error::{Error, Problem, Result};
use crate::kb::KnowledgeBase;
use crate::kb::diff::Diff;
use crate::kb::formats::{self, Format, Incoming, Reading, Rejects};
use crate::kb::merge::{Mode, removes_much};
use crate::store::{IgnoredColumns, Shelf};

/// Entries of each kind that are printed; `--json` has all of them.
const PRINTED: usize = 50;

/// Notes that are printed; `--json` has all of them.
const NOTED: usize = 50;

/// Entries that would go and are named when somebody has to say yes.
const NAMED: usize = 10;

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
    /// Take the rows without faults, and hand back the others in a table with
    /// a column that says what is wrong, to be mended and imported with
    /// `--mode update`. Of two rows with the same phrasing the first is taken.
    #[arg(long)]
    good_rows: bool,
    /// Where the other rows are written, .xlsx or .csv [default: beside the
    /// file, as NAME.rejected.xlsx].
    #[arg(long, value_name = "FILE", requires = "good_rows")]
    rejected: Option<PathBuf>,
    /// It is meant, even if 5 entries or more and a fifth of all would be
    /// removed; without this a terminal is asked.
    #[arg(long)]
    yes: bool,
    /// The zone of dates and times that come without one, as an offset from UTC.
    #[arg(long, value_name = "OFFSET", value_parser = formats::zone, default_value = "+08:00", allow_hyphen_values = true)]
    time_zone: time::UtcOffset,
    /// A column that holds nothing of the knowledge base; may be given several
    /// times. Later imports pass over it too, where zhida does not know the column.
    #[arg(long, value_name = "HEADING")]
    ignore_column: Vec<String>,
    /// All columns that zhida does not know hold nothing of the knowledge base.
    /// Later imports pass over those of this file too.
    #[arg(long)]
    ignore_columns: bool,
    /// Look at every column again: what earlier imports were told to pass over
    /// no longer counts.
    #[arg(long)]
    forget_columns: bool,
    /// Read what is hidden or struck out in a spreadsheet too.
    #[arg(long)]
    hidden: bool,
    /// Print what has changed, or every fault, as JSON.
    #[arg(long)]
    json: bool,
    /// A .jsonl, .json, .csv, .tsv, .txt, .xlsx, .xlsm, .xls or .ods file.
    file: PathBuf,
}

impl Args {
    /// Which knowledge base this may change, and who says so.
    pub(super) fn subject(&self) -> (&Place, Option<&super::Signed>) {
        (&self.place, Some(&self.signed))
    }
}

/// What becomes of the draft.
#[derive(Default)]
struct Outcome {
    diff: Diff,
    /// Entries and phrasings afterwards.
    entries: usize,
    phrasings: usize,
    rejects: Rejects,
}

/// A file that is being imported.
struct Import<'a> {
    args: &'a Args,
    format: Format,
    bytes: Vec<u8>,
    reading: Reading<'a>,
    incoming: Incoming,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let store = ground::store(&args.place.data.data);
    let shelf = store.shelf_to_make(&args.place.kb)?.signed(args.signed.signature()?);
    let format = Format::of_source(&args.file)?;
    let bytes = std::fs::read(&args.file).map_err(|e| Error::io("read", &args.file, e))?;
    let remembered = if args.forget_columns { Vec::new() } else { shelf.ignored_columns()? };
    let mapped = if args.forget_columns { Vec::new() } else { shelf.mapped_columns()? };
    let reading = Reading {
        zone: args.time_zone,
        columns: &mapped,
        ignore: &args.ignore_column,
        ignore_unknown: args.ignore_columns,
        remembered: &remembered,
        hidden: args.hidden,
        ..Reading::default()
    };
    let incoming = {
        let bars = progress::Bars::new();
        let progress = |stage: &'static str, done: usize, total: usize| bars.show(stage, done, total);
        let reading = Reading { progress: &progress, ..reading };
        Incoming::of_bytes(&args.file.display().to_string(), format, &bytes, &reading)
    };
    let import = Import { args, format, bytes, reading, incoming };
    match import.bring(&shelf) {
        Ok((outcome, handed_back)) => import.tell(&outcome, handed_back.as_deref()),
        Err(Error::Corpus(problems)) => import.refuse(&shelf, &problems),
        Err(e) => Err(e),
    }
}

impl Import<'_> {
    /// Brings the file into the draft, unless it is a dry run.
    fn bring(&self, shelf: &Shelf) -> Result<(Outcome, Option<PathBuf>)> {
        // Before the file is known to be sound and meant, nothing is created.
        let before = shelf.draft()?;
        let (_, outcome) = self.merged(&before)?;
        let mut confirmed = outcome.diff.removed.len();
        if removes_much(before.entries().len(), confirmed) && !self.args.yes {
            let what = self.much_goes(before.entries().len(), &outcome.diff);
            if self.args.dry_run {
                eprintln!("{what}");
            } else if !confirm::asked(&what)? {
                return Err(Error::Refused(either!(
                    "{what} Nothing was changed; say --yes if that is meant, or --mode update to leave the other entries alone",
                    "{what}草稿没有改动；确实要这样，请加 --yes；只想增改文件里的条目，请用 --mode update"
                )));
            }
        }
        if self.args.dry_run {
            return Ok((outcome, None));
        }
        if self.args.yes {
            confirmed = usize::MAX;
        }
        let (mut outcome, mut written) = (Outcome::default(), None);
        let columns = IgnoredColumns {
            forget: self.args.forget_columns,
            add: self.incoming.passed_over(),
            mapped: &[],
        };
        shelf.change_draft(columns, |before| {
            let (base, brought) = self.merged(&before)?;
            let removed = brought.diff.removed.len();
            // Somebody has written since the question was asked.
            if removed > confirmed && removes_much(before.entries().len(), removed) {
                let (kb, entries) = (shelf.name().to_owned(), before.entries().len());
                return Err(Error::Unconfirmed { kb, removed, entries });
            }
            // First what would be lost otherwise.
            if !brought.rejects.is_empty() {
                written = Some(self.hand_back(&brought.rejects)?);
            }
            outcome = brought;
            Ok(base)
        })?;
        Ok((outcome, written))
    }

    fn merged(&self, before: &KnowledgeBase) -> Result<(KnowledgeBase, Outcome)> {
        let Args { mode, file, .. } = self.args;
        let (base, rejects) = if self.args.good_rows {
            self.incoming.clone().good_into_base(before, *mode)?
        } else {
            (self.incoming.clone().into_base(before, *mode)?, Rejects::default())
        };
        if base.entries().is_empty() {
            // Not one row is good.
            if !rejects.is_empty() {
                return Err(Error::Corpus(rejects.problems));
            }
            return Err(Error::Refused(either!(
                "{}: the file holds no entry; the draft of {} stays as it is",
                "{}：文件里没有条目；{} 的草稿没有改动",
                file.display(),
                self.args.place.kb
            )));
        }
        let diff = Diff::between(before.entries(), base.entries());
        let (entries, phrasings) = (base.entries().len(), base.phrasing_count());
        Ok((base, Outcome { diff, entries, phrasings, rejects }))
    }

    /// What an import takes away.
    fn much_goes(&self, entries: usize, diff: &Diff) -> String {
        let (kb, removed) = (&self.args.place.kb, diff.removed.len());
        let named: Vec<String> =
            diff.removed.iter().take(NAMED).map(|one| format!("“{}”", one.question)).collect();
        let named = named.join(if language::is_chinese() { "、" } else { ", " });
        let more = if removed > NAMED { either!(" …", "……") } else { String::new() };
        let share = 100.0 * removed as f64 / entries.max(1) as f64;
        either!(
            "{kb}: this import removes {removed} of the {entries} entries of the draft ({share:.0} %): {named}{more}.",
            "{kb}：这次导入会从草稿的 {entries} 个条目里删除 {removed} 个（{share:.0}%）：{named}{more}。"
        )
    }

    /// Writes the rows that are not taken; says where.
    fn hand_back(&self, rejects: &Rejects) -> Result<PathBuf> {
        let file = &self.args.file;
        let place = self.args.rejected.clone().unwrap_or_else(|| beside(file));
        if place == *file {
            return Err(Error::Refused(either!(
                "--rejected {}: that is the file itself; choose another name",
                "--rejected {}：这就是导入的文件本身；请换一个名字",
                place.display()
            )));
        }
        let name = file.display().to_string();
        let sheets = formats::rejected(&name, self.format, &self.bytes, &self.reading, rejects);
        write_whole(&place, &formats::write_rejected(&sheets, Format::of(&place)?)?)?;
        Ok(place)
    }

    /// Says what has changed, and what was handed back.
    fn tell(&self, outcome: &Outcome, handed_back: Option<&Path>) -> Result<ExitCode> {
        let Args { place: Place { kb, .. }, file, mode, dry_run, .. } = self.args;
        let Outcome { diff, entries, phrasings, rejects } = outcome;
        if self.args.json {
            let mut report = json!({
                "ok": true, "kb": kb, "file": file, "mode": mode, "dry_run": dry_run,
                "entries": entries, "phrasings": phrasings,
                "added": diff.added.len(), "changed": diff.changed.len(),
                "removed": diff.removed.len(), "unchanged": diff.unchanged, "diff": diff,
                "notes": self.located(self.incoming.notes()),
            });
            if self.args.good_rows {
                report["rejected"] = json!({
                    "entries": rejects.entries, "kept": rejects.kept, "file": handed_back,
                    "problems": self.located(&rejects.problems),
                });
            }
            say!("{}", pretty(&report)?);
        } else {
            changes::print(diff, PRINTED);
        }
        self.note();
        if !self.args.json {
            rejects.problems.iter().for_each(|problem| eprintln!("{problem}"));
        }
        let counted = changes::counted(diff);
        let dry = if *dry_run {
            either!(" (dry run: nothing was written)", "（试运行：没有写入）")
        } else {
            String::new()
        };
        eprintln!("{}", either!("{kb}: {counted}{dry}", "{kb}：{counted}{dry}"));
        if !rejects.is_empty() {
            let kept = match rejects.kept {
                0 => String::new(),
                kept => either!(
                    " ({kept} of them stay in the draft as they were)",
                    "，其中 {kept} 个在草稿里的旧内容保持原样"
                ),
            };
            let back = handed_back.map_or_else(
                || either!("would not be imported", "不会导入"),
                |path| {
                    either!(
                        "were not imported{kept}; they are written to {}: mend them by its last column, then run zhida kb import --kb {kb} --mode update {}",
                        "没有导入{kept}；已写到 {}，请按最后一列改好，再运行 zhida kb import --kb {kb} --mode update {}",
                        path.display(),
                        path.display()
                    )
                },
            );
            eprintln!(
                "{}",
                either!(
                    "{}: {} entries have faults and {back}",
                    "{}：{} 个条目有问题，{back}",
                    file.display(),
                    rejects.entries
                )
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Tells every fault; the draft stays as it is.
    fn refuse(&self, shelf: &Shelf, problems: &[Problem]) -> Result<ExitCode> {
        let (kb, file) = (&self.args.place.kb, self.args.file.display());
        let good = match self.incoming.clone().good_into_base(&shelf.draft()?, self.args.mode) {
            Ok((_, rejects)) => Some(self.incoming.len().saturating_sub(rejects.entries)),
            Err(_) => None,
        };
        if self.args.json {
            let report = json!({
                "ok": false, "kb": kb, "file": self.args.file, "good_entries": good,
                "problems": self.located(problems), "notes": self.located(self.incoming.notes()),
            });
            say!("{}", pretty(&report)?);
        } else {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
        }
        self.note();
        eprintln!(
            "{}",
            either!(
                "{file}: {} faults; the draft stays as it is",
                "{file}：共 {} 处问题，草稿没有改动",
                problems.len()
            )
        );
        match good {
            Some(good) if good > 0 && !self.args.good_rows => eprintln!(
                "{}",
                either!(
                    "{good} entries more have none: --good-rows imports those and writes the rows with faults to {}, to be mended and imported",
                    "另有 {good} 个条目没有问题：加上 --good-rows 先导入它们，有问题的行会写到 {}，改好后再导入",
                    beside(&self.args.file).display()
                )
            ),
            None => eprintln!(
                "{}",
                either!(
                    "some of them are about the whole file, so the good rows cannot be imported alone",
                    "其中有的问题关系到整个文件，不能只导入没有问题的行"
                )
            ),
            Some(_) => {}
        }
        Ok(ExitCode::FAILURE)
    }

    /// Says what the author should know although it is no fault.
    fn note(&self) {
        if self.args.json || self.incoming.notes().is_empty() {
            return;
        }
        for note in self.incoming.notes().iter().take(NOTED) {
            eprintln!("{}", either!("note: {note}", "提示：{note}"));
        }
        if let Some(more) = self.incoming.notes().len().checked_sub(NOTED).filter(|more| *more > 0) {
            eprintln!(
                "{}",
                either!(
                    "{more} notes more; --json has all of them",
                    "另有 {more} 条提示；加上 --json 可以看到全部"
                )
            );
        }
    }

    /// Faults with the sheet apart from the file.
    fn located(&self, problems: &[Problem]) -> Vec<Value> {
        let file = self.args.file.display().to_string();
        let known = |number: usize| (number > 0).then_some(number);
        let one = |problem: &Problem| {
            let sheet =
                problem.file.strip_prefix(&file).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
            json!({
                "file": if sheet.is_some() { &file } else { &problem.file }, "sheet": sheet,
                "row": known(problem.line), "column": known(problem.column),
                "field": problem.field, "message": problem.message,
            })
        };
        problems.iter().map(one).collect()
    }
}

/// Where rows of a file are handed back unless somebody says where: beside
/// it, and never over rows that somebody may be mending.
fn beside(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.split_once(".rejected").map_or(&*stem, |(stem, _)| stem);
    let names = std::iter::once(format!("{stem}.rejected.xlsx"))
        .chain((2..).map(|number| format!("{stem}.rejected-{number}.xlsx")));
    let mut places = names.map(|name| file.with_file_name(name));
    // There is a number that is free.
    places.find(|place| !place.exists()).unwrap_or_default()
}

fn pretty(report: &Value) -> Result<String> {
    serde_json::to_string_pretty(report).map_err(|e| Error::internal("import", e))
}

//! `zhida kb`: how does a spreadsheet become what is served?

mod changes;
mod confirm;
mod delete;
mod entry;
mod export;
mod gc;
mod history;
mod import;
mod lexicon;
mod queries;
mod restore;
mod rule_test;
pub(super) mod signed;
mod tokens;

pub(crate) use self::confirm::asked;
pub(crate) use self::signed::Signed;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;

use super::audited::{Deed, Subject};
use super::interrupt::{INTERRUPTED, Interrupt};
use super::{Common, file_named, listing, progress, read_beside};
use crate::cli::{ground, language};
use crate::decide::policy::DEFAULT_MAX_WRONG;
use crate::encoder::{Encoder, hub};
use crate::error::{Error, Result};
use crate::kb::KnowledgeBase;
use crate::kb::check::{CODES, EXPIRY_NOTICE, Finding, Severity, Subjects, told};
use crate::kb::diff::Diff;
use crate::publish::{self, Changes, Outcome, Side};
use crate::release::Manifest;
use crate::store::{Models, Restored, Shelf, Store};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the knowledge bases.
    List(Data),
    /// Read a file into the draft; a new knowledge base is created.
    Import(import::Args),
    /// Look for what customers would suffer from (知识体检); exit status 1 when there are errors.
    Check {
        #[command(flatten)]
        common: Common,
        /// The knowledge base.
        #[arg(long, value_name = "NAME")]
        kb: String,
        /// Tell of answers that expire within so many days.
        #[arg(long, value_name = "N", default_value_t = EXPIRY_NOTICE)]
        expiry_days: u16,
        /// Warnings make the exit status 1 too.
        #[arg(long)]
        strict: bool,
        /// Print the findings as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the kinds of findings of `kb check`.
    CheckCodes,
    /// Show which questions, keywords and rules claim a text, what silences
    /// them, in which order they win, and what the engine then does.
    RuleTest(rule_test::Args),
    /// Make a release of the draft and serve it; prints its number.
    Publish {
        #[command(flatten)]
        common: Common,
        /// The knowledge base.
        #[arg(long, value_name = "NAME")]
        kb: String,
        #[command(flatten)]
        signed: Signed,
        /// Publish what this release holds once more instead of the draft, such as for a newer zhida or another model.
        #[arg(long, value_name = "N")]
        release: Option<u32>,
        /// Publish in spite of errors and regressions; they are recorded with the reason.
        #[arg(long, requires = "reason")]
        force: bool,
    },
    /// Show or change one entry; customers get a change at once.
    Entry(entry::Args),
    /// Write the draft, or what a release holds, to a file.
    Export(export::Args),
    /// Show or change the words that a knowledge base adds: user dictionary,
    /// synonyms, stop words, protected terms, background questions.
    Lexicon {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: Option<lexicon::Action>,
    },
    /// Show how a sentence is cut into words, and why.
    Tokens {
        #[command(flatten)]
        source: Source,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
        /// The sentence.
        text: String,
    },
    /// Show or set the goal: at most this share wrong among the answered.
    Goal {
        #[command(flatten)]
        place: Place,
        /// Go back to the default.
        #[arg(long, conflicts_with = "max_wrong")]
        default: bool,
        /// The share, such as 0.05; what is served keeps it at once.
        #[arg(value_name = "SHARE", value_parser = super::share)]
        max_wrong: Option<f64>,
    },
    /// List the releases.
    Versions {
        #[command(flatten)]
        place: Place,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare two releases, field by field; service documents line by line.
    Diff {
        #[command(flatten)]
        place: Place,
        /// The earlier release, `served` (what customers get, with live edits) or `draft`.
        #[arg(value_name = "A")]
        before: Side,
        /// The later release, `served` or `draft`.
        #[arg(value_name = "B")]
        after: Side,
        /// Print the differences as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Attach labelled questions, which every publication is asked; without FILE print them.
    Queries(queries::Args),
    /// Remove old releases; never the one that is served, nor one in use.
    Gc(gc::Args),
    /// Say who changed what, when and why, newest first.
    History {
        #[command(flatten)]
        place: Place,
        /// Only the history of this entry.
        #[arg(long, value_name = "ID")]
        entry: Option<String>,
        /// The most that is printed.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Serve a release that was published before.
    Rollback {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: Signed,
        /// Its number.
        #[arg(value_name = "N")]
        number: u32,
    },
    /// Make the draft what a release holds, lexicon included; what is served stays.
    Restore(restore::Args),
    /// Remove a knowledge base: draft, history and releases.
    #[command(alias = "remove")]
    Delete(delete::Args),
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        fn at<'a>((place, signed): (&'a Place, Option<&'a Signed>), action: &'static str) -> Subject<'a> {
            Subject::kb(&place.data.data, &place.kb, action, signed)
        }
        match &self.command {
            Command::Import(args) => at(args.subject(), "import_kb").into(),
            Command::Publish { common, kb, signed, .. } => {
                Subject::kb(&common.data, kb, "publish_kb", Some(signed)).into()
            }
            Command::Entry(args) => {
                args.subject().map_or(Deed::Looks, |place| at(place, "edit_entry").into())
            }
            Command::Lexicon { place, action } => match action.as_ref().and_then(lexicon::Action::signed) {
                Some(signed) => at((place, Some(signed)), "edit_lexicon").into(),
                None => Deed::Looks,
            },
            Command::Goal { max_wrong: None, default: false, .. } => Deed::Looks,
            Command::Goal { place, .. } => at((place, None), "set_goal").into(),
            Command::Queries(args) => args
                .subject()
                .map_or(Deed::Looks, |(place, done)| at((place, None), "put_queries").done(done).into()),
            Command::Gc(args) => args
                .subject()
                .map_or(Deed::Looks, |(place, done)| at((place, None), "collect_releases").done(done).into()),
            Command::Rollback { place, signed, .. } => at((place, Some(signed)), "rollback_kb").into(),
            Command::Restore(args) => at(args.subject(), "restore_kb").into(),
            Command::Delete(args) => at(args.subject(), "delete_kb").into(),
            Command::List(_)
            | Command::Check { .. }
            | Command::CheckCodes
            | Command::RuleTest(_)
            | Command::Export(_)
            | Command::Tokens { .. }
            | Command::Versions { .. }
            | Command::Diff { .. }
            | Command::History { .. } => Deed::Looks,
        }
    }
}

/// Warnings that a publication prints; `kb check` prints all.
const WARNED: usize = 20;

/// Where the data is.
#[derive(Debug, clap::Args)]
pub(super) struct Data {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
    pub(super) data: PathBuf,
}

/// Which knowledge base is meant.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    pub(super) data: Data,
    /// The knowledge base.
    #[arg(long, value_name = "NAME")]
    pub(super) kb: String,
}

impl Place {
    pub(super) fn shelf(&self) -> Result<Shelf> {
        ground::store(&self.data.data).shelf(&self.kb)
    }
}

/// A draft, or a file that is looked at without a data directory.
#[derive(Debug, clap::Args)]
struct Source {
    #[command(flatten)]
    data: Data,
    /// The knowledge base: a name in the data directory (its draft counts), or a file.
    #[arg(long, value_name = "NAME_OR_FILE")]
    kb: String,
}

impl Source {
    fn read(&self) -> Result<KnowledgeBase> {
        match file_named(&self.kb) {
            Some(path) => read_beside(path),
            None => ground::store(&self.data.data).shelf(&self.kb)?.draft(),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::List(data) => bases(&ground::store(&data.data)),
        Command::Import(args) => import::run(args),
        Command::Check { common, kb, expiry_days, strict, json } => {
            examine(common, kb, *expiry_days, *strict, *json)
        }
        Command::CheckCodes => {
            for (code, meaning) in CODES {
                say!("{code}\t{meaning}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::RuleTest(args) => rule_test::run(args),
        Command::Publish { common, kb, signed, release, force } => {
            publish(common, kb, signed, *release, *force)
        }
        Command::Entry(args) => entry::run(args),
        Command::Export(args) => export::run(args),
        Command::Lexicon { place, action } => {
            lexicon::run(place.shelf()?, action.as_ref().unwrap_or(&lexicon::Action::Show))
        }
        Command::Tokens { source, json, text } => tokens::run(&source.read()?, text, *json),
        Command::Versions { place, json } => versions(&place.shelf()?, *json),
        Command::Diff { place, before, after, json } => diff(&place.shelf()?, *before, *after, *json),
        Command::Goal { place, default, max_wrong } => goal(&place.shelf()?, *default, *max_wrong),
        Command::Queries(args) => queries::run(args),
        Command::Gc(args) => gc::run(args),
        Command::History { place, entry, limit, json } => {
            history::run(&place.shelf()?, entry.as_deref(), *limit, *json)
        }
        Command::Rollback { place, signed, number } => {
            rollback(&place.shelf()?.signed(signed.signature()?), *number)
        }
        Command::Restore(args) => restore::run(args),
        Command::Delete(args) => delete::run(args),
    }
}

fn bases(store: &Store) -> Result<ExitCode> {
    if let Err(nothing) = ground::must_be_there(store) {
        // That there is none yet is how it begins.
        eprintln!("zhida: {nothing}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    for name in store.names()? {
        let shelf = store.shelf(&name)?;
        let current = shelf.current()?.map_or_else(
            || either!("not published", "未发布"),
            |number| either!("release {number}", "版本 {number}"),
        );
        rows.push(format!("{name}\t{current}"));
    }
    listing::list(&either!("knowledge base\trelease", "知识库\t版本"), rows);
    Ok(ExitCode::SUCCESS)
}

fn goal(shelf: &Shelf, default: bool, max_wrong: Option<f64>) -> Result<ExitCode> {
    if default || max_wrong.is_some() {
        shelf.set_goal(max_wrong)?;
    }
    say!("{}", shelf.goal_or(DEFAULT_MAX_WRONG)?);
    Ok(ExitCode::SUCCESS)
}

fn examine(common: &Common, kb: &str, expiry_days: u16, strict: bool, as_json: bool) -> Result<ExitCode> {
    let shelf = common.store().shelf(kb)?;
    let base = shelf.draft()?;
    let bars = progress::Bars::new();
    let findings = publish::examine(
        &shelf,
        common.encoder()?,
        DEFAULT_MAX_WRONG,
        expiry_days,
        &|stage, done, total| {
            bars.show(stage, done, total);
        },
    )?;
    drop(bars);
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, infos) = (count(Severity::Error), count(Severity::Warning), count(Severity::Info));
    if as_json {
        let report = json!({
            "kb": kb, "entries": base.entries().len(), "phrasings": base.phrasing_count(),
            "errors": errors, "warnings": warnings, "infos": infos, "findings": told(&findings, &base),
        });
        say!("{}", serde_json::to_string_pretty(&report).map_err(|e| Error::internal("check", e))?);
    } else {
        let subjects = Subjects::of(&base);
        for finding in &findings {
            say!("{}", in_words(finding, &subjects));
        }
    }
    eprintln!(
        "{}",
        either!(
            "{kb}: {errors} errors, {warnings} warnings, {infos} notes",
            "{kb}：{errors} 个错误，{warnings} 个警告，{infos} 个提示"
        )
    );
    Ok(if errors > 0 || strict && warnings > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A finding for authors, with the questions of the entries that it names.
fn in_words(finding: &Finding, subjects: &Subjects<'_>) -> String {
    let entries: Vec<&str> = finding.entries.iter().map(|id| id.0.as_str()).collect();
    let score = finding.score.map_or_else(String::new, |score| format!("（{score:.3}）"));
    let named: String = subjects
        .named(finding)
        .iter()
        .map(|one| format!("\n    {}：第 {} 条“{}”", one.id, one.number, one.question))
        .collect();
    format!(
        "{} {} [{}] {}{score}{named}\n    → {}",
        finding.severity.chinese(),
        finding.code,
        entries.join(", "),
        finding.message,
        finding.fix
    )
}

fn publish(
    common: &Common,
    kb: &str,
    signed: &Signed,
    release: Option<u32>,
    force: bool,
) -> Result<ExitCode> {
    let start = Instant::now();
    let shelf = common.store().shelf(kb)?.signed(signed.signature()?);
    let before = shelf.current()?;
    let encoder = common.encoder()?;
    let bars = progress::Bars::new();
    let interrupt = Interrupt::watch()?;
    let models = common.releases()?;
    let outcome = publish::stoppable(|| {
        publish::publish(
            &shelf,
            publish::Request {
                release,
                models: &models,
                encoder: encoder.clone(),
                default_goal: DEFAULT_MAX_WRONG,
                forced: force,
                progress: &|stage, done, total| {
                    interrupt.stop_if_asked();
                    bars.show(stage, done, total);
                },
            },
        )
    })?;
    let Some(outcome) = outcome else {
        eprintln!("{}", either!("{kb}: stopped; nothing was published", "{kb}：已停止，没有发布任何内容"));
        return Ok(ExitCode::from(INTERRUPTED));
    };
    drop(bars);
    let (Outcome::Published(_, report) | Outcome::Refused(report)) = &outcome;
    if !(report.errors.is_empty() && report.warnings.is_empty()) {
        let (base, _) = shelf.content(release)?;
        let subjects = Subjects::of(&base);
        for finding in report.errors.iter().chain(report.warnings.iter().take(WARNED)) {
            eprintln!("{}", in_words(finding, &subjects));
        }
    }
    if report.warnings.len() > WARNED {
        eprintln!(
            "{}",
            either!(
                "… {} more warnings: `zhida kb check --kb {kb}` tells all of them",
                "…… 另有 {} 个警告，见 zhida kb check --kb {kb}",
                report.warnings.len() - WARNED
            )
        );
    }
    if matches!(outcome, Outcome::Published(..)) && report.asked.is_none() {
        eprintln!(
            "{}",
            either!(
                "too many phrasings have changed to ask them all while publishing; run `zhida kb check --kb {kb}`",
                "改动的问法太多，发布时没有逐条自测；请运行 zhida kb check --kb {kb}"
            )
        );
    }
    let regressed = report.comparison.as_ref().is_some_and(|comparison| {
        queries::tell(comparison);
        comparison.regressed
    });
    let report_changes = report.changes;
    let Outcome::Published(published, _) = outcome else {
        let errors = report.errors.len();
        let wrong = (errors > 0).then(|| either!("has {errors} errors", "有 {errors} 个错误"));
        let worse = regressed.then(|| {
            let generations = report.comparison.iter().flat_map(|comparison| comparison.generations.values());
            if generations.into_iter().all(|change| change.wrong.after <= change.wrong.before) {
                either!(
                    "answers fewer of the labelled questions, beyond chance, and not more of them wrongly (labelled questions that are new have taught it to be more careful; more similar questions let it answer more)",
                    "回答的标注问题比现在少，超出偶然，但没有答错更多（新标注的问题让它更谨慎；多写相似问可以让它多答）"
                )
            } else {
                either!("answers the labelled questions worse, beyond chance", "的标注问题答得比现在差，超出偶然")
            }
        });
        let why: Vec<String> = wrong.into_iter().chain(worse).collect();
        let why = why.join(&either!(" and ", "，而且"));
        return Err(Error::Refused(either!(
            "{kb} {why}, and is not published; mend it, or publish all the same with --force --reason TEXT",
            "{kb} {why}，没有发布；请先改正，或说明理由强行发布：--force --reason 理由"
        )));
    };
    if let (None, Some(encoder)) = (&common.model, &encoder) {
        tell_of_another_model(&shelf, &common.models(), before, encoder);
    }
    say!("{}", published.number);
    eprintln!(
        "{}",
        either!(
            "{kb}: release {} published in {:.1} s, {} vectors reused, {} made",
            "{kb}：版本 {} 已发布，用时 {:.1} 秒，沿用向量 {} 个，新算 {} 个",
            published.number,
            start.elapsed().as_secs_f64(),
            published.built.reused,
            published.built.embedded
        )
    );
    if let Some(Changes { added, changed, removed, .. }) = report_changes {
        eprintln!(
            "{}",
            either!(
                "{kb}: for customers {added} entries are new, {changed} changed, {removed} gone",
                "{kb}：对顾客来说，新增 {added} 个条目，修改 {changed} 个，减少 {removed} 个"
            )
        );
        if let (Some(before), true) = (before, removed > 0) {
            eprintln!(
                "{}",
                either!(
                    "`zhida kb diff --kb {kb} {before} {}` names them; `zhida kb rollback --kb {kb} {before}` brings them back",
                    "具体是哪些：zhida kb diff --kb {kb} {before} {}；要让它们回来：zhida kb rollback --kb {kb} {before}",
                    published.number
                )
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An adapted model is chosen by hand; whoever forgets it shall know.
fn tell_of_another_model(shelf: &Shelf, models: &Path, before: Option<u32>, encoder: &Encoder) {
    let manifest = before.and_then(|number| shelf.manifest(number).ok());
    let Some(Manifest { number, model: Some(model), .. }) = manifest else { return };
    if model.id == encoder.manifest().id {
        return;
    }
    // The model inside an older binary is nowhere to be had.
    let at_hand = hub::named(models, &model.id).is_ok_and(|folders| !folders.is_empty());
    let keep = if at_hand {
        either!(
            "; to keep that model, publish with `--model {}`",
            "；要沿用原来的模型，请用 --model {} 发布",
            model.id
        )
    } else {
        String::new()
    };
    eprintln!(
        "{}",
        either!(
            "{}: release {number} was made with model {}, this one with {}{keep}",
            "{}：版本 {number} 用的模型是 {}，这一版是 {}{keep}",
            shelf.name(),
            model.id,
            encoder.manifest().id
        )
    );
}

fn versions(shelf: &Shelf, as_json: bool) -> Result<ExitCode> {
    let current = shelf.current()?;
    let mut rows = Vec::new();
    for record in shelf.records()? {
        let number = record.release;
        let is_current = current == Some(number);
        // A release that this program cannot read is still one that exists.
        let manifest = shelf.manifest(number);
        if !as_json {
            let mark = if is_current { '*' } else { ' ' };
            let forced = if record.forced { either!(", forced", "，强行发布") } else { String::new() };
            let reason =
                record.reason.as_deref().map_or_else(String::new, |why| either!(" ({why})", "（{why}）"));
            match &manifest {
                Ok(manifest) => say!(
                    "{}",
                    either!(
                        "{mark} {number}\t{}\t{} entries\t{} phrasings\t{}\tby {}{forced}{reason}",
                        "{mark} {number}\t{}\t{} 个条目\t{} 个问法\t{}\t{}{forced}{reason}",
                        listing::in_china(&moment(manifest.created)?),
                        manifest.entries,
                        manifest.phrasings,
                        manifest.model.as_ref().map_or("-", |model| model.id.as_str()),
                        record.author
                    )
                ),
                Err(e) => say!(
                    "{}",
                    either!("{mark} {number}\tcannot be read: {e}", "{mark} {number}\t读不出来：{e}")
                ),
            }
            continue;
        }
        let mut row = serde_json::to_value(&record).map_err(|e| Error::internal("versions", e))?;
        row["current"] = json!(is_current);
        match manifest {
            Ok(manifest) => {
                row["created"] = json!(moment(manifest.created)?);
                row["entries"] = json!(manifest.entries);
                row["phrasings"] = json!(manifest.phrasings);
                row["model"] = json!(manifest.model);
                row["written_by"] = json!(manifest.written_by);
            }
            Err(e) => row["error"] = json!(e.to_string()),
        }
        rows.push(row);
    }
    if as_json {
        say!("{}", serde_json::to_string_pretty(&rows).map_err(|e| Error::internal("versions", e))?);
    }
    Ok(ExitCode::SUCCESS)
}

fn moment(instant: time::OffsetDateTime) -> Result<String> {
    instant.format(&time::format_description::well_known::Rfc3339).map_err(|e| Error::internal("versions", e))
}

fn diff(shelf: &Shelf, before: Side, after: Side, as_json: bool) -> Result<ExitCode> {
    let models = Models::named(shelf.store());
    let found = publish::difference(shelf, &models, (before, after), DEFAULT_MAX_WRONG)?;
    if as_json {
        say!("{}", serde_json::to_string_pretty(&found).map_err(|e| Error::internal("diff", e))?);
        return Ok(ExitCode::SUCCESS);
    }
    changes::print(&found.entries, usize::MAX);
    for one in &found.reasons {
        say!("  #{}\t[{}]\t{}（{}）", one.revision, one.entry, one.author, one.reason);
    }
    lexicon::print_changes(&found.lexicon);
    if let Some(change) = &found.service {
        changes::print_service(change);
    }
    if let Some(comparison) = &found.queries {
        queries::tell(comparison);
    }
    let (counted, words) = (changes::counted(&found.entries), &found.lexicon);
    eprintln!(
        "{}",
        either!(
            "{}: {counted} from {before} to {after}; lexicon: {} added, {} removed, {} changed",
            "{}：从 {before} 到 {after}：{counted}；词表新增 {} 行，删除 {} 行，修改 {} 行",
            shelf.name(),
            words.added.len(),
            words.removed.len(),
            words.changed.len(),
        )
    );
    Ok(ExitCode::SUCCESS)
}

fn rollback(shelf: &Shelf, number: u32) -> Result<ExitCode> {
    let start = Instant::now();
    let nothing = || either!("nothing", "无");
    let before = shelf.current().ok().flatten().map_or_else(nothing, |number| number.to_string());
    // A server may have been told where the model is; this command was not.
    if let Err(error) = Models::named(shelf.store()).encoder_of(shelf, number) {
        eprintln!("zhida: {}", language::error(&error));
    }
    shelf.rollback(number)?;
    let kb = shelf.name();
    eprintln!(
        "{}",
        either!(
            "{kb}: release {number} is served now (before: {before}), {:.1} ms",
            "{kb}：现在使用版本 {number}（之前：{before}），{:.1} 毫秒",
            start.elapsed().as_secs_f64() * 1000.0
        )
    );
    // It is served whatever becomes of this comparison.
    if let Ok(differences) = shelf.draft_against(number)
        && !differences.is_empty()
    {
        eprintln!(
            "{}",
            either!(
                "the draft stays as it was and differs from release {number} ({}): the next publication would bring that back; `zhida kb restore --kb {kb} --release {number}` takes the draft back too",
                "草稿没有变，和版本 {number} 不同（{}），再次发布就会带回这些改动；要把草稿也恢复：zhida kb restore --kb {kb} --release {number}",
                counted(&differences)
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What the draft has beyond a release, in few words.
fn counted(differences: &Restored) -> String {
    let Diff { added, removed, changed, .. } = &differences.diff;
    let words = &differences.lexicon;
    let service = if differences.service {
        either!(", the service document", "，服务文件不同")
    } else {
        String::new()
    };
    either!(
        "{} entries more, {} changed, {} missing, {} lines of the lexicon{service}",
        "多 {} 个条目，改 {} 个，少 {} 个，词表差 {} 行{service}",
        removed.len(),
        changed.len(),
        added.len(),
        words.added.len() + words.removed.len() + words.changed.len()
    )
}

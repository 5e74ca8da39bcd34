//! `zhida learn`: what did customers ask that is not answered yet?

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::Common;
use super::audited::{self, Deed, Subject};
use super::kb::Signed;
use crate::decide::policy::DEFAULT_MAX_WRONG;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::events::Log;
use crate::events::habits::Habits;
use crate::learn::groups::measure;
use crate::learn::look;
use crate::learn::suggest::verdicts::{self, Change};
use crate::learn::suggest::{Findings, Limits};
use crate::publish;
use crate::store::Shelf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the questions without a good answer, those that mean the same together.
    Groups(Look),
    /// Show what to do about them: what it would gain and what it would harm.
    Suggestions(Look),
    /// Take up suggestions: they go into the draft.
    Accept(Accept),
    /// Leave suggestions for now, or for ever.
    Ignore(Ignore),
    /// Take up the safest suggestions without an author, signed `auto`: phrasings that
    /// customers or agents joined with the same entry often, and with no other one.
    Auto {
        #[command(flatten)]
        look: Look,
        /// How often at least.
        #[arg(long, value_name = "N", default_value_t = 5)]
        least: u64,
    },
    /// Show what is asked more than last week, and days with more unanswered questions than usual.
    Bursts(Look),
    /// Show which entries are asked for most, and which one after which.
    Habits(Look),
    /// Group labelled questions and say how well that went, for people who study it.
    #[command(hide = true)]
    Bench(Bench),
}

#[derive(Debug, clap::Args)]
struct Look {
    #[command(flatten)]
    common: Common,
    /// The knowledge base.
    #[arg(long, value_name = "NAME")]
    kb: String,
    /// How many days to look back.
    #[arg(long, value_name = "N", default_value_t = look::DAYS)]
    days: u16,
    /// Show at most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Accept {
    #[command(flatten)]
    common: Common,
    /// The knowledge base.
    #[arg(long, value_name = "NAME")]
    kb: String,
    #[command(flatten)]
    signed: Signed,
    /// The entry that is meant instead.
    #[arg(long, value_name = "ENTRY")]
    entry: Option<String>,
    /// Another wording than the suggested one.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The answer of a new entry, the better one of an outdated entry, or the reply to small talk.
    #[arg(long, value_name = "TEXT")]
    answer: Option<String>,
    /// Take the examples as phrasings too; a split takes what its halves say.
    #[arg(long)]
    examples: bool,
    /// Of a split: a phrasing that goes to the new entry, in the place of what is suggested;
    /// may be given several times.
    #[arg(long = "move", value_name = "TEXT")]
    moves: Vec<String>,
    /// Customers get it at once, without a publication.
    #[arg(long)]
    live: bool,
    /// The suggestions.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Ignore {
    #[command(flatten)]
    common: Common,
    /// The knowledge base.
    #[arg(long, value_name = "NAME")]
    kb: String,
    #[command(flatten)]
    signed: Signed,
    /// They never come back, in no other words either.
    #[arg(long)]
    never: bool,
    /// The suggestions.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Bench {
    #[command(flatten)]
    common: Common,
    /// A knowledge-base file; may be given several times, each with its `--queries`.
    #[arg(long, value_name = "FILE", required = true)]
    kb: Vec<PathBuf>,
    /// The labelled questions to it.
    #[arg(long, value_name = "FILE", required = true)]
    queries: Vec<PathBuf>,
    /// Print the grouped questions with their labels instead, one JSON object a line.
    #[arg(long)]
    texts: bool,
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.command {
            Command::Accept(args) => {
                Subject::kb(&args.common.data, &args.kb, "accept_suggestion", Some(&args.signed)).into()
            }
            // Each one that was ignored is recorded, also when others are not there.
            Command::Ignore(_) => Deed::Tells,
            Command::Auto { look, .. } => {
                Subject::kb(&look.common.data, &look.kb, "decide_suggestions", None).into()
            }
            Command::Groups(_)
            | Command::Suggestions(_)
            | Command::Bursts(_)
            | Command::Habits(_)
            | Command::Bench(_) => Deed::Looks,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Groups(args) => groups(args),
        Command::Suggestions(args) => suggestions(args),
        Command::Accept(args) => accept(args),
        Command::Ignore(args) => ignore(args),
        Command::Auto { look, least } => auto(look, *least),
        Command::Bursts(args) => burst(args),
        Command::Habits(args) => habits(args),
        Command::Bench(args) => bench(args),
    }
}

fn print(value: &serde_json::Value) -> Result<ExitCode> {
    say!("{}", serde_json::to_string_pretty(value).map_err(|e| Error::internal("learn", e))?);
    Ok(ExitCode::SUCCESS)
}

/// Looks at the questions of a knowledge base with what is served.
fn found(args: &Look) -> Result<(Shelf, Findings)> {
    let shelf = args.common.store().shelf(&args.kb)?;
    let release = args.common.releases()?.open_served(&shelf)?;
    let engine = Engine::new(Arc::new(release), shelf.goal_or(DEFAULT_MAX_WRONG)?);
    let labelled = publish::queries(&shelf)?;
    let findings = look::look(&shelf, &log_of(&shelf), &engine, &labelled, args.days, Limits::default())?;
    Ok((shelf, findings))
}

fn groups(args: &Look) -> Result<ExitCode> {
    let (shelf, mut found) = found(args)?;
    found.groups.truncate(args.limit);
    if args.json {
        return print(&json!({"kb": shelf.name(), "open": found.open, "items": found.groups}));
    }
    if found.groups.is_empty() {
        eprintln!(
            "{}",
            either!("no open questions in the last {} days", "最近 {} 天没有待处理的问题", args.days)
        );
    }
    for group in &found.groups {
        let near = group.nearest.first();
        let near = near.map_or_else(String::new, |near| format!("{} {:.2}", near.question, near.confidence));
        say!(
            "{}\t{}\t{}\t{}\t{}\t{near}",
            group.id,
            group.count,
            group.questions,
            group.title,
            group.proposal
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn suggestions(args: &Look) -> Result<ExitCode> {
    let (shelf, mut found) = found(args)?;
    found.suggestions.truncate(args.limit);
    if args.json {
        return print(&json!({"kb": shelf.name(), "open": found.open, "items": found.suggestions}));
    }
    if found.suggestions.is_empty() {
        eprintln!("{}", either!("nothing to suggest from the last {} days", "最近 {} 天没有建议", args.days));
    }
    for one in &found.suggestions {
        let entry = one.entry.as_deref().unwrap_or("-");
        let sure = if one.sure { "" } else { "?" };
        say!(
            "{}\t{}{sure}\t{entry}\t{}\t+{}\t-{}\t{}",
            one.id,
            one.kind.name(),
            one.text,
            one.gain,
            one.harm,
            one.why
        );
        let halves = one.halves.iter().flat_map(|halves| [("=", &halves.stays), (">", &halves.goes)]);
        for (sign, texts) in halves.filter(|(_, texts)| !texts.is_empty()) {
            say!("\t{sign}\t{}", texts.join(" / "));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What happened in the data directory of a knowledge base.
fn log_of(shelf: &Shelf) -> Log {
    Log::open(shelf.store().root())
}

/// What is asked most, and what after it.
fn habits(args: &Look) -> Result<ExitCode> {
    let shelf = args.common.store().shelf(&args.kb)?;
    let mut found = Habits::read(&log_of(&shelf), shelf.name(), look::last_days(args.days))?;
    found.most.truncate(args.limit);
    if args.json {
        let Habits { conversations, most, next } = &found;
        return print(
            &json!({"kb": shelf.name(), "conversations": conversations, "most": most, "next": next}),
        );
    }
    if found.most.is_empty() {
        let days = args.days;
        eprintln!(
            "{}",
            either!("nothing was answered in the last {} days", "最近 {} 天没有回答过问题", days)
        );
    }
    for often in &found.most {
        let next = found.next.get(&often.entry).into_iter().flatten();
        let next: Vec<String> =
            next.map(|next| format!("{} ({}, x{:.1})", next.entry, next.together, next.lift)).collect();
        say!("{}\t{}\t{}", often.conversations, often.entry, next.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// Decides on each of some suggestions; those that fail are told, and the others
/// are decided all the same.
fn each(ids: &[String], mut decide: impl FnMut(&str) -> Result<String>) -> Result<ExitCode> {
    let mut failed = false;
    for id in ids {
        match decide(id) {
            Ok(told) => say!("{id}\t{told}"),
            Err(e) if ids.len() == 1 => return Err(e),
            Err(e) => {
                eprintln!("zhida: {id}: {}", super::language::error(&e));
                failed = true;
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn accept(args: &Accept) -> Result<ExitCode> {
    let shelf = args.common.store().shelf(&args.kb)?;
    let signature = args.signed.signature()?;
    let own = args.text.is_some() || args.answer.is_some() || !args.moves.is_empty();
    if args.ids.len() > 1 && own {
        return Err(Error::Refused(
            "--text, --answer and --move are for one suggestion at a time".to_owned(),
        ));
    }
    let change = Change {
        entry: args.entry.clone(),
        text: args.text.clone(),
        answer: args.answer.clone(),
        examples: args.examples,
        moves: (!args.moves.is_empty()).then(|| args.moves.clone()),
        live: args.live,
    };
    each(&args.ids, |id| {
        let done = verdicts::accept(&shelf, id, &signature, &change)?;
        let entry = done.entry.unwrap_or_default();
        Ok(format!("{}\t{entry}\t#{}", done.kind.name(), done.revision))
    })
}

fn ignore(args: &Ignore) -> Result<ExitCode> {
    let shelf = args.common.store().shelf(&args.kb)?;
    let signature = args.signed.signature()?;
    each(&args.ids, |id| {
        verdicts::ignore(&shelf, id, &signature, args.never)?;
        let how = if args.never { "never again" } else { "ignored" };
        let object = format!("/v1/kbs/{}/suggestions/{id}", shelf.name());
        audited::record_in(shelf.store(), &args.signed, "ignore_suggestion", object, Some(how.to_owned()))?;
        Ok(if args.never { "never" } else { "ignored" }.to_owned())
    })
}

fn auto(args: &Look, least: u64) -> Result<ExitCode> {
    let (shelf, _) = found(args)?;
    let done = verdicts::auto(&shelf, least.max(1))?;
    if args.json {
        return print(&json!({"kb": shelf.name(), "items": done}));
    }
    for one in done {
        say!("{}\t{}\t{}\t#{}", one.id, one.kind.name(), one.entry.unwrap_or_default(), one.revision);
    }
    Ok(ExitCode::SUCCESS)
}

fn burst(args: &Look) -> Result<ExitCode> {
    let shelf = args.common.store().shelf(&args.kb)?;
    let mut report = look::changes(&log_of(&shelf), shelf.name(), args.days)?;
    report.bursts.truncate(args.limit);
    if args.json {
        return print(&json!({"kb": shelf.name(), "bursts": report.bursts, "drift": report.drift}));
    }
    if report.bursts.is_empty() {
        // Without a week to compare with, that nothing grew says nothing.
        eprintln!(
            "{}",
            match (report.questions, report.questions_before) {
                (0, _) => either!("nothing was asked in the last 7 days", "最近 7 天没有提问"),
                (_, 0) => either!(
                    "nothing was asked in the 7 days before the last 7 to compare with",
                    "再往前的 7 天没有可比较的提问"
                ),
                (now, then) => either!(
                    "nothing was asked more than the week before ({now} questions in the last 7 days, {then} before)",
                    "没有比前一周问得明显更多的问题（最近 7 天 {now} 次提问，再往前 7 天 {then} 次）"
                ),
            }
        );
    }
    for burst in &report.bursts {
        let entry = burst.entry.as_deref().unwrap_or("-");
        say!("{}\t{}\t{entry}\t{}", burst.before, burst.count, burst.examples.join(" / "));
    }
    for drift in &report.drift {
        eprintln!(
            "{}",
            either!(
                "{}: {:.1} % of {} questions were not answered, usual are {:.1} to {:.1} %; mean confidence {:.2}, usual is {:.2} to {:.2}",
                "{}：{:.1}% 的问题没有答案（共 {} 个），平常是 {:.1}% 到 {:.1}%；平均置信度 {:.2}，平常是 {:.2} 到 {:.2}",
                drift.day,
                100.0 * drift.unanswered,
                drift.questions,
                100.0 * drift.band[0],
                100.0 * drift.band[1],
                drift.confidence,
                drift.confidence_band[0],
                drift.confidence_band[1]
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn bench(args: &Bench) -> Result<ExitCode> {
    if args.kb.len() != args.queries.len() {
        return Err(Error::Refused("--queries: give one for each --kb, in the same order".to_owned()));
    }
    let mut sets = Vec::new();
    for (kb, queries) in args.kb.iter().zip(&args.queries) {
        let base = super::read_beside(kb)?;
        let queries = super::labelled(queries, base.entries())?;
        sets.push((base, queries));
    }
    if args.texts {
        for (number, (base, queries)) in sets.iter().enumerate() {
            for one in measure::questions(base, queries) {
                let label = format!("{number}:{}", one.label);
                say!("{}", json!({"text": one.text, "label": label}));
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let report = measure::measure(&sets, args.common.encoder()?.as_ref())?;
    say!("{}", serde_json::to_string_pretty(&report).map_err(|e| Error::internal("bench", e))?);
    Ok(ExitCode::SUCCESS)
}

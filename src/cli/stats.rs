//! `zhida stats`, `zhida usage`: what was asked, and what came of it?

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Common, ground};
use crate::disk::write_whole;
use crate::error::{Error, Result};
use crate::eval::report::table::Table;
use crate::events::stats::{
    Asked, By, DEFINITIONS, Format, Group, Share, Stats, Unanswered, by_words, reason_words, stats, written,
};
use crate::events::{Day, Days, Log};

/// The days that are looked at when nobody says which.
const WEEK: i64 = 7;

/// Which days; those of China, +08:00.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Span {
    /// The first day, such as 2026-11-20 [default: seven days up to --to].
    #[arg(long, value_name = "DATE")]
    from: Option<Day>,
    /// The last day [default: today].
    #[arg(long, value_name = "DATE")]
    to: Option<Day>,
}

impl Span {
    fn days(self) -> Result<Days> {
        let to = self.to.unwrap_or_else(Day::today);
        Days::new(self.from.unwrap_or_else(|| to.plus(1 - WEEK)), to)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The knowledge base.
    #[arg(long, value_name = "NAME")]
    kb: String,
    #[command(flatten)]
    span: Span,
    /// Tell groups apart.
    #[arg(long, value_name = "WHAT", value_parser = ["day", "hour", "channel", "topic", "entry", "release"])]
    by: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print CSV, a line for each group.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write a workbook with figures, entries, unanswered questions and definitions.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "csv"])]
    xlsx: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UsageArgs {
    #[command(flatten)]
    common: Common,
    /// Only this knowledge base [default: all].
    #[arg(long, value_name = "NAME")]
    kb: Option<String>,
    #[command(flatten)]
    span: Span,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// Prints the figures.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let store = args.common.store();
    let shelf = store.shelf(&args.kb)?;
    // Without a release there are no entries that could be cold.
    let entries = if shelf.current()?.is_some() { shelf.known_entries()? } else { Vec::new() };
    let by = args.by.as_deref().and_then(By::named);
    let asked = Asked { kb: &args.kb, days: args.span.days()?, by, entries: &entries };
    let figures = stats(&Log::open(store.root()), asked)?;
    if let Some(path) = &args.xlsx {
        write_whole(path, &written(&figures, Format::Xlsx)?)?;
    } else if args.json || args.csv {
        print(&written(&figures, if args.json { Format::Json } else { Format::Csv })?);
    } else {
        tell(&figures);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints how much was asked.
pub(crate) fn run_usage(args: &UsageArgs) -> Result<ExitCode> {
    let store = args.common.store();
    ground::must_be_there(&store)?;
    if let Some(kb) = &args.kb {
        store.shelf(kb)?;
    }
    let (access, log) = (store.access(), Log::open(store.root()));
    let (nodes, days) = (store.nodes(), args.span.days()?);
    let told = access.usage(&nodes, &store.tenant_name(), &log, days, args.kb.as_deref())?;
    if args.json {
        print(&serde_json::to_vec_pretty(&told).map_err(|e| Error::internal("usage", e))?);
    } else if args.csv {
        print(&told.csv()?);
    } else {
        for row in &told.items {
            let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
            let (channel, key) = (or_none(&row.channel), or_none(&row.key));
            say!("{}\t{}\t{channel}\t{key}\t{}", row.day, row.kb, row.questions);
        }
        say!("{}", either!("{} questions", "共 {} 次提问", told.questions));
    }
    if told.lost > 0 {
        eprintln!(
            "{}",
            either!(
                "{} questions could not be stored and are not counted",
                "有 {} 次提问没能记录，未计入",
                told.lost
            )
        );
    }
    if !told.missing_nodes.is_empty() {
        eprintln!(
            "{}",
            either!(
                "these nodes have vanished, and what they were asked in their last second may not be counted until they are back: {}",
                "这些节点失去了联系，它们最后一秒的提问要等恢复后才能计入：{}",
                told.missing_nodes.join(" ")
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn print(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    say!("{}", text.trim_end());
}

/// The figures for a person.
fn tell(figures: &Stats) {
    let Stats { kb, from, to, all, .. } = figures;
    say!(
        "{}",
        either!(
            "{kb}, {from} to {to}: {} questions ({} before), {} sessions",
            "{kb}，{from} 至 {to}：{} 个问题（上期 {} 个），{} 个会话",
            all.counts.questions,
            all.questions_before,
            all.counts.sessions
        )
    );
    tables(figures);
    if !figures.cold.is_empty() {
        say!("{}", either!("{} entries that nobody asked for", "{} 个条目无人问津", figures.cold.len()));
    }
    if figures.lost + figures.damaged > 0 {
        eprintln!(
            "{}",
            either!(
                "{} events were lost and {} records are damaged: the figures lack them",
                "有 {} 个事件丢失、{} 条记录损坏，未计入",
                figures.lost,
                figures.damaged
            )
        );
    }
}

/// The figures below the first line, each kind as a table of its own.
fn tables(figures: &Stats) {
    let all = &figures.all;
    print_table(
        [
            either!("figure", "指标"),
            either!("value", "值"),
            either!("95 % interval", "95% 区间"),
            either!("change", "变化"),
            either!("of", "分子/分母"),
            either!("means", "含义"),
        ],
        shares(all),
    );
    if let Some(times) = all.latency_us {
        let name = either!("latency", "耗时");
        say!("\n{name}  p50 {}  p95 {}  p99 {} µs", times.p50, times.p95, times.p99);
    }
    for drift in &figures.drift {
        let out: Vec<String> = drift.out.iter().map(|measure| measured(measure)).collect();
        say!(
            "{}",
            either!(
                "out of its band: {}  {}",
                "越出平常范围：{}  {}",
                drift.day,
                out.join(&either!(", ", "、"))
            )
        );
    }
    let reasons = &all.counts.handed_off_by_reason;
    if !reasons.is_empty() {
        say!("");
        let rows = reasons.iter().map(|(code, count)| [reason(code), count.to_string()]).collect();
        print_table([either!("handed off", "没答上的原因"), either!("times", "次数")], rows);
    }
    if !figures.groups.is_empty() {
        let rate = |group: &Group, name: &str| {
            group.share(name).and_then(|share| share.value).map_or_else(|| "-".to_owned(), percent)
        };
        let row = |group: &Group| {
            [
                if group.key.is_empty() { "-" } else { &group.key }.to_owned(),
                group.counts.questions.to_string(),
                rate(group, "answer_rate"),
                rate(group, "clarify_rate"),
                rate(group, "handoff_rate"),
            ]
        };
        say!("");
        print_table(
            [
                by_word(figures.by.unwrap_or_default()),
                either!("questions", "问题"),
                either!("answered", "直接回答"),
                either!("asked back", "反问"),
                either!("handed off", "没答上"),
            ],
            figures.groups.iter().map(row).collect(),
        );
    }
    if !figures.unanswered.is_empty() {
        let row = |one: &Unanswered| [one.count.to_string(), reason(&one.reason), one.text.clone()];
        say!("\n{}", either!("not answered most often:", "最常没有答上的问题："));
        print_table(
            [either!("times", "次数"), either!("because", "原因"), either!("question", "问题")],
            figures.unanswered.iter().take(10).map(row).collect(),
        );
    }
}

fn print_table<const N: usize>(head: [String; N], rows: Vec<[String; N]>) {
    let rows = rows.into_iter().map(Vec::from).collect();
    say!("{}", Table { head: Vec::from(head), rows }.text(false).trim_end());
}

/// A share by its name; in Chinese that stands before what it means.
fn shares(group: &Group) -> Vec<[String; 6]> {
    let mut rows = Vec::new();
    for ((name, share), (_, english, chinese)) in group.shares.iter().zip(DEFINITIONS) {
        let Share { numerator, denominator, value, interval, change, .. } = share;
        let (Some(value), Some([low, high])) = (value, interval) else { continue };
        let (named, means) = chinese.split_once('：').unwrap_or((name, chinese));
        rows.push([
            either!("{name}", "{named}"),
            percent(*value),
            format!("{}–{}", percent(*low), percent(*high)),
            change.map_or_else(String::new, |change| format!("{:+.1}", change * 100.0)),
            format!("{numerator}/{denominator}"),
            either!("{english}", "{means}"),
        ]);
    }
    rows
}

/// Why it was not answered; in English by the word that files have.
fn reason(code: &str) -> String {
    let chinese = reason_words(code).map_or(code, |(chinese, _)| chinese);
    either!("{code}", "{chinese}")
}

/// A measure that has left its band.
fn measured(name: &str) -> String {
    match name {
        "unanswered" => either!("unanswered", "没有答案的比例"),
        "confidence" => either!("confidence", "平均置信度"),
        other => other.to_owned(),
    }
}

/// What groups are told apart by.
fn by_word(by: &str) -> String {
    let (chinese, english) = by_words(by);
    either!("{english}", "{chinese}")
}

fn percent(value: f64) -> String {
    format!("{:.1}%", value * 100.0)
}

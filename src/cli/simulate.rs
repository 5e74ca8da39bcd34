//! `zhida eval loop`: does learning from questions work?

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Common, file_named, progress};
use crate::disk::write_whole;
use crate::error::{Error, Result};
use crate::learn::simulate::{self, Labels, Row, Setup};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
At most 500 of the questions, and at most 60 % of them, are asked day by day; \
what is measured is asked of the others, which the loop never sees; `again` is what the \
asked ones would get if they came once more, word for word, and those to come with them. A customer \
who is asked back takes the right question 7 times in 10 when it is offered, and \
says 3 times in 10 whether an answer helped. The author accepts what the label \
says is right, with those of the examples that belong to it, chooses another entry of those \
shown, or leaves it for ever, and errs as often as --author-error says; what is shown to do \
more harm than good is left.")]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The knowledge base: a name in the data directory, or a file.
    #[arg(long, value_name = "NAME_OR_FILE")]
    kb: String,
    /// The labelled questions: .jsonl, .csv or .xlsx as for `zhida eval`.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Days to replay.
    #[arg(long, value_name = "N", default_value_t = 10)]
    days: usize,
    /// Suggestions that the author looks at in a day.
    #[arg(long, value_name = "N", default_value_t = 20)]
    budget: usize,
    /// How often the author decides wrongly.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    author_error: f64,
    /// Accept at most this share of wrong answers [default: the knowledge base's goal, or 0.05].
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    max_wrong: Option<f64>,
    /// What teaches the calibration beside the knowledge base itself.
    ///
    /// `learned`, as in every publication: nothing, and phrasings that were learned
    /// are not asked. `none`: nothing, and they are. `decided`: what the author
    /// decided. `use`: clicks and customers' words too. What each of them gives on the
    /// last day is told too.
    #[arg(long, value_parser = ["learned", "none", "decided", "use"], default_value = "learned")]
    labels: String,
    /// Calibrate without this set of the shipped reference; may be given several times.
    #[arg(long, value_name = "SET")]
    leave_out: Vec<String>,
    /// The folder for loop.json.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// The columns, and what stands in each, in English and in Chinese.
const COLUMNS: [(&str, &str, &str); 14] = [
    (
        "day",
        "the day, 0 before the first; below the last one, what it gives when something else teaches the calibration (--labels)",
        "第几天，0 是开始之前；最后一天下面是换用别的校准依据（--labels）时的结果",
    ),
    ("logged", "questions asked so far", "到这一天问过的问题数"),
    ("seen", "suggestions that the author has looked at", "作者看过的建议数"),
    ("accepted", "suggestions taken up", "采纳的建议数"),
    ("phrasings", "phrasings that came of them", "由此增加的问法数"),
    (
        "coverage",
        "held-out questions inside that are answered right",
        "留出的、库内有答案的问题中，答对的比例",
    ),
    ("precision", "answers to held-out questions that are right", "对留出问题的回答中，正确的比例"),
    ("wrong", "answers to held-out questions that are wrong", "对留出问题的回答中，错误的比例"),
    (
        "coverage_at_95",
        "the coverage with the bar that keeps 95 % of these very answers right",
        "若把门槛正好放在这些回答 95% 正确处，能答对的比例",
    ),
    (
        "first",
        "held-out questions inside whose entry comes first, sure or not",
        "留出的库内问题中，正确条目排第一的比例（不论够不够把握）",
    ),
    (
        "reached",
        "held-out questions inside answered right or offered the right entry",
        "留出的库内问题中，答对或反问时给出正确条目的比例",
    ),
    (
        "again",
        "coverage of the asked questions, if they came once more word for word",
        "问过的问题原样再问一遍时，答对的比例",
    ),
    ("again_wrong", "answers to these that are wrong", "对它们的回答中，错误的比例"),
    ("bar", "the confidence from which on it answers", "直接回答的置信度门槛"),
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if !(0.0..=1.0).contains(&args.author_error) || args.days == 0 {
        return Err(Error::Refused(
            "--author-error is a share from 0 to 1, and --days is at least 1".to_owned(),
        ));
    }
    let base = match file_named(&args.kb) {
        Some(path) => super::read_beside(path)?,
        None => args.common.store().shelf(&args.kb)?.draft()?,
    };
    base.require_enabled(&args.kb, "ask")?;
    let queries = super::labelled(&args.queries, base.entries())?;
    let setup = Setup {
        days: args.days,
        budget: args.budget,
        author_error: args.author_error,
        max_wrong: args.common.goal(&args.kb, args.max_wrong)?,
        labels: match args.labels.as_str() {
            "none" => Labels::None,
            "decided" => Labels::Decided,
            "use" => Labels::Use,
            _ => Labels::Learned,
        },
        left_out: args.leave_out.clone(),
    };
    std::fs::create_dir_all(&args.out).map_err(|e| Error::io("create", &args.out, e))?;
    let bars = progress::Bars::new();
    let told = |stage: &'static str, done: usize, total: usize| bars.show(stage, done, total);
    let report = simulate::run(&args.kb, base, args.common.encoder()?, &queries, setup, &told)?;
    let bytes = serde_json::to_vec_pretty(&report).map_err(|e| Error::internal("loop", e))?;
    write_whole(&args.out.join("loop.json"), &bytes)?;
    let percent =
        |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    say!("{}", COLUMNS.map(|(name, ..)| name).join("\t"));
    let line = |name: &str, row: &Row| {
        say!(
            "{name}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:.3}",
            row.logged,
            row.seen,
            row.accepted,
            row.phrasings,
            percent(row.coverage),
            percent(row.precision),
            percent(row.wrong_rate),
            percent(row.coverage_at_95),
            percent(row.first),
            percent(row.reached),
            percent(row.again),
            percent(row.again_wrong),
            row.bar
        );
    };
    for row in &report.days {
        line(&row.day.to_string(), row);
    }
    for taught in &report.last_day {
        line(taught.labels.name(), &taught.row);
    }
    say!("");
    for (name, english, chinese) in COLUMNS {
        say!("{name:<16}{}", either!("{english}", "{chinese}"));
    }
    Ok(ExitCode::SUCCESS)
}

//! `zhida eval dialogues`: how well are conversations understood?

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::{Common, lines};
use crate::decide::Generation;
use crate::disk::write_whole;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::eval::dialogues::figures::Summary;
use crate::eval::dialogues::play::{Played, Talk, play};
use crate::eval::dialogues::script;
use crate::learn::light::{Lesson, train, written};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Plays the conversations of the knowledge bases that are given, asks every message \
once in its conversation and once alone, and prints what that is worth. With \
--out it writes dialogues.json, dialogues.md and turns.jsonl into DIR.

FILE holds one conversation a line, a JSON object (here in several lines):

  {\"kb\":\"shop\",\"split\":\"dev\",\"turns\":[
    {\"text\":\"怎么退货\",\"expect\":\"return-how\",\"reading\":\"as_is\"},
    {\"text\":\"那要多久呢\",\"expect\":\"return-time\",\"reading\":\"in_light\",\"tags\":[\"ask\"]},
    {\"text\":\"好的谢谢\",\"expect\":null,\"reading\":\"ended\"}]}

  kb       the knowledge base that it is about
  split    dev (when it is left out), test or late: the part that it is of
  turns    what the customer says:
    text     the words
    reading  how they are meant: as_is (a question of its own), in_light (goes on from the
             answer before), chosen (takes one of a list), unclear_choice (cannot be told
             which), none_of_these, ended (thanks, a farewell) or small_talk
    expect   what is right: an entry id, a list of ids, or null where none may be answered
    choose   of a turn about a list: the id that is wanted
    pick     or the places that are meant: [1], [-1] for the last
    press    true: the id is sent as a button would send it, and no words
    tags     groups to report on

In the text of a turn about a list, {n} stands for the place as a number, {几} for it as a
Chinese numeral, {尾} for it counted from the end, {question} for the shown question and
{id} for its id. Such a turn is left out when no such list was shown.")]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The knowledge bases: names in the data directory, or files. A
    /// conversation belongs to the one whose name (or file name up to the first dot) is its `kb`.
    #[arg(long, value_name = "NAME_OR_FILE", required = true, num_args = 1..)]
    kb: Vec<String>,
    /// The labelled conversations, JSONL; `--help` says what a line holds.
    #[arg(long, value_name = "FILE")]
    dialogues: PathBuf,
    /// The last generation that may run.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2), default_value_t = 2)]
    generation: u8,
    /// Accept at most this share of wrong answers among those given [default: the knowledge base's goal, or 0.05].
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    max_wrong: Option<f64>,
    /// Calibrate without this set of the shipped reference; may be given several times. Needs `--kb FILE`.
    #[arg(long, value_name = "SET")]
    leave_out: Vec<String>,
    /// Only the conversations of this part.
    #[arg(long, value_parser = ["dev", "test", "late"])]
    split: Option<String>,
    /// Train what follow-ups lean on with the part `dev` and write the weights
    /// (`src/core/decide/data/light.tsv` in the source), instead of measuring.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "json", "out"])]
    train: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// The folder for the figures and what was said to every message.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut scripts = script::read(&args.dialogues)?;
    let wanted = args.split.as_deref().or(args.train.as_ref().map(|_| "dev"));
    if let Some(wanted) = wanted {
        scripts.retain(|script| script.split.name() == wanted);
    }
    let file = args.dialogues.display().to_string();
    let mut talks: Vec<Talk> = Vec::new();
    for kb in &args.kb {
        let name = super::file_named(kb).and_then(|path| path.file_name()).map_or_else(
            || kb.clone(),
            |name| name.to_string_lossy().split('.').next().unwrap_or_default().to_owned(),
        );
        if !scripts.iter().any(|script| script.kb == name) {
            return Err(Error::Refused(format!("{file}: no conversation has \"kb\":{name:?}")));
        }
        let release = args.common.release_without(kb, &args.leave_out)?;
        script::check(&file, &scripts, &name, release.entries())?;
        let engine = Engine::new(Arc::new(release), args.common.goal(kb, args.max_wrong)?);
        let generation = if args.generation == 1 { Generation::One } else { Generation::Two };
        talks.extend(play(&engine, &name, &scripts, Options { generation, ..Options::default() })?);
    }
    if let Some(out) = &args.train {
        let lessons: Vec<Lesson> = talks.iter().flat_map(|talk| &talk.turns).filter_map(lesson).collect();
        write_whole(out, written(&train(&lessons)).as_bytes())?;
        eprintln!("{} messages in the light of a turn before", lessons.len());
        return Ok(ExitCode::SUCCESS);
    }
    let summary = Summary::of(&talks);
    let json = || serde_json::to_vec_pretty(&summary).map_err(|e| Error::internal("eval", e));
    let told = format!(
        "{} conversations, {} turns, {} left out\nmedian and 95th percentile in µs: {:?} in conversations, {:?} alone\n\n{}",
        summary.dialogues,
        summary.all.with.n,
        summary.left_out,
        summary.all.with.latency_us,
        summary.all.without.latency_us,
        summary.table().text(true)
    );
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).map_err(|e| Error::io("create", out, e))?;
        write_whole(&out.join("dialogues.json"), &json()?)?;
        write_whole(&out.join("dialogues.md"), told.as_bytes())?;
        let turns: Vec<_> = talks.iter().flat_map(|talk| &talk.turns).collect();
        write_whole(&out.join("turns.jsonl"), &lines(&turns)?)?;
    }
    if args.json {
        say!("{}", String::from_utf8_lossy(&json()?));
    } else {
        say!("{told}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What a message teaches that was read in the light of a turn before.
fn lesson(played: &Played) -> Option<Lesson> {
    let light = played.light.as_ref()?;
    let places = light.entries.iter().enumerate();
    let right = places.filter(|(_, id)| played.expect.accepts(id)).map(|(at, _)| at).collect();
    Some(Lesson { field: light.field.clone(), right })
}

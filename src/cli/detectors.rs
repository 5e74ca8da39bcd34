//! `zhida eval detectors`: how well are requests for a person heard, and anger?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::disk::write_whole;
use crate::error::{Error, Result};
use crate::eval::detectors::{Detector, Figures, Labelled, Measured, TRAINED, read};
use crate::eval::lines::Lines;
use crate::eval::metrics::Estimate;
use crate::learn::hearing;
use crate::release::background;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Other sentences than the shipped ones: {"text":"…","label":true} a line.
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Likewise for anger.
    #[arg(long, value_name = "FILE")]
    anger: Option<PathBuf>,
    /// Name the sentences that are judged wrong; not those held back.
    #[arg(long)]
    wrong: bool,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
    /// Train a detector on the parts `tuned`, `hard` and `varied` and write its weights
    /// (`src/core/decide/data/` in the source), instead of measuring.
    #[arg(long, value_name = "FILE", requires = "detector")]
    train: Option<PathBuf>,
    /// With --train: which one, `request` or `anger`.
    #[arg(long, value_name = "DETECTOR", value_parser = detector, requires = "train")]
    detector: Option<Detector>,
    /// With --train: more files of ordinary questions, {"text":"…"} a line.
    #[arg(long, value_name = "FILE", requires = "train")]
    ordinary: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if let Some(out) = &args.train {
        return train(args, out);
    }
    let mut measured = Detector::Request.measure(&set(Detector::Request, args.requests.as_deref())?);
    measured.extend(Detector::Anger.measure(&set(Detector::Anger, args.anger.as_deref())?));
    if args.json {
        say!("{}", serde_json::to_string_pretty(&measured).map_err(|e| Error::internal("eval", e))?);
        return Ok(ExitCode::SUCCESS);
    }
    for one in &measured {
        print(one);
        if args.wrong && !["held", "late", "fresh", "all"].contains(&one.half.as_str()) {
            one.missed.iter().for_each(|text| say!("  missed   {text}"));
            one.claimed.iter().for_each(|text| say!("  claimed  {text}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn train(args: &Args, out: &Path) -> Result<ExitCode> {
    #[derive(serde::Deserialize)]
    struct Question {
        text: String,
    }
    let detector = args.detector.unwrap_or(Detector::Anger);
    let set = match detector {
        Detector::Request => set(detector, args.requests.as_deref())?,
        Detector::Anger => set(detector, args.anger.as_deref())?,
    };
    let tuned: Vec<&Labelled> = set.iter().filter(|one| TRAINED.contains(&one.half.as_str())).collect();
    let mut ordinary = background()?;
    for path in &args.ordinary {
        let questions: Vec<Question> = Lines::read(path)?.json(r#"应为 {"text":…}"#)?;
        ordinary.extend(questions.into_iter().map(|question| question.text));
    }
    let trained = hearing::train(detector, &tuned, &ordinary);
    write_whole(out, trained.weights.as_bytes())?;
    eprintln!(
        "{} sentences, {} ordinary questions, {} weights; cross-validation: precision {:.3}, recall {:.3}",
        tuned.len(),
        ordinary.len(),
        trained.weights.lines().count(),
        trained.precision,
        trained.recall
    );
    Ok(ExitCode::SUCCESS)
}

fn detector(name: &str) -> std::result::Result<Detector, String> {
    let known = [Detector::Request, Detector::Anger];
    known.into_iter().find(|one| one.name() == name).ok_or_else(|| "use `request` or `anger`".to_owned())
}

fn set(detector: Detector, path: Option<&Path>) -> Result<Vec<Labelled>> {
    let Some(path) = path else { return detector.shipped() };
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    read(&path.display().to_string(), &text)
}

fn print(one: &Measured) {
    let share = |share: Option<Estimate>| {
        share.map_or_else(|| "-".to_owned(), |it| format!("{:.3} [{:.3}, {:.3}]", it.value, it.low, it.high))
    };
    let line = |who: &str, Figures { precision, recall }: Figures| {
        say!("  {who:<9} precision {}  recall {}", share(precision), share(recall));
    };
    say!("{} {}: {} sentences, {} of them positive", one.detector.name(), one.half, one.n, one.positive);
    line("detector", one.figures);
    line("keywords", one.keywords);
}

//! `zhida adapt`: how does the encoder learn a company's own words?

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::audited::{Deed, Subject};
use super::{Common, progress};
use crate::encoder::hub;
use crate::error::{Error, Result};
use crate::eval::compare::Paired;
use crate::learn::adapt::{Adaptation, Report, Settings};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Learns from the draft, which is what the next `zhida kb publish` publishes: the \
questions and similar questions of its enabled entries. --queries adds what \
customers really asked, in the format of `zhida eval`: accepted suggestions and \
clicks belong there. A query with `\"expect\": null` is learned as a stranger.

A share of all phrasings is held out and never trained on. The new model is \
kept only if, on those, it puts the right entry first more often than the model \
before by more than chance (McNemar's exact test, p < 0.05), has the whole \
engine put the right entry first no less often, beyond chance, tells strangers \
apart no worse (McNemar's test behind a bar that 5 % of strangers pass, DeLong's \
test on the area under the curve), and still orders what is outside the knowledge base as before (rank \
correlation of cosines at least 0.85). Otherwise nothing is written and the \
exit status is 1.

The same input and seed give the same model, bit by bit on one machine, unless \
--minutes cuts the training short. A query set that the model was trained on \
says nothing about how good it is.

Exit status: 0 done, 1 failed or refused, 2 wrong usage.")]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The knowledge base whose draft is learned.
    #[arg(long, value_name = "NAME")]
    kb: String,
    /// Labelled questions to learn besides; may be given several times.
    #[arg(long, value_name = "FILE")]
    queries: Vec<PathBuf>,
    /// The folder for the model; must not exist [default: DATA/models/KB-N].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The longest that the training may take.
    #[arg(long, value_name = "MINUTES", default_value_t = 15.0, value_parser = minutes)]
    minutes: f64,
    /// The share of the phrasings that is held out.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = held_out)]
    held_out: f64,
    /// Decides what is held out and how training goes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

fn minutes(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 10_000.0 => Ok(value),
        _ => Err("minutes are a number above 0, such as 15 or 0.5".to_owned()),
    }
}

fn held_out(text: &str) -> std::result::Result<f64, String> {
    match super::share(text) {
        Ok(value) if (0.05..=0.5).contains(&value) => Ok(value),
        _ => Err("the share held out is a number from 0.05 to 0.5, such as 0.2".to_owned()),
    }
}

impl Args {
    /// What this command is to the audit; a model that is not kept changes nothing.
    pub(crate) fn deed(&self) -> Deed<'_> {
        let done = "a model was trained on its draft and kept";
        Subject::kb(&self.common.data, &self.kb, "adapt", None).done(done).into()
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    // Whatever can be wrong without training is found before it.
    let shelf = args.common.store().shelf(&args.kb)?;
    let draft = shelf.draft()?;
    let entries: Vec<_> = draft.enabled().cloned().collect();
    let mut queries = Vec::new();
    for file in &args.queries {
        queries.extend(super::labelled(file, &entries)?);
    }
    let (files, place) = args.common.files()?.ok_or_else(|| {
        Error::Refused(
            "--model none leaves no model to adapt; give a folder, or nothing for the model in the binary"
                .to_owned(),
        )
    })?;
    let folder = match &args.out {
        Some(folder) if folder.exists() => {
            return Err(Error::Refused(format!(
                "--out {}: exists; give a folder that does not, or remove it",
                folder.display()
            )));
        }
        Some(folder) => folder.clone(),
        None => next_folder(&args.common.models(), &args.kb)?,
    };
    let id = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .ok_or_else(|| Error::Refused(format!("--out {}: give a folder with a name", folder.display())))?;

    let bars = progress::Bars::new();
    let mut adapted = Adaptation {
        kb: &args.kb,
        id: &id,
        base: &draft,
        queries: &queries,
        files: &files,
        place: &place,
        settings: Settings {
            seed: args.seed,
            held_out: args.held_out,
            limit: Some(Duration::from_secs_f64(args.minutes * 60.0)),
        },
        progress: &|stage, done, total| bars.show(stage, done, total),
    }
    .run()?;
    drop(bars);
    let accepted = adapted.report.refused.is_empty();
    if accepted {
        adapted.write(&folder)?;
    }
    let report = &adapted.report;
    if args.json {
        say!("{}", serde_json::to_string_pretty(report).map_err(|e| Error::internal("adapt", e))?);
    } else {
        print(report);
    }
    if !accepted {
        let reasons: Vec<String> =
            report.refused.iter().map(|refusal| refusal.words(&report.figures)).collect();
        eprintln!(
            "zhida: the adapted model is refused and nothing was written: {}. The model before stays; more phrasings per entry, or questions that customers asked (--queries FILE), give it more to learn from",
            reasons.join("; ")
        );
        return Ok(ExitCode::FAILURE);
    }
    let name = if args.out.is_some() { folder.display().to_string() } else { id };
    eprintln!("zhida: the adapted model is in {}; publish with it:", folder.display());
    eprintln!("  zhida kb publish --data {} --kb {} --model {name}", args.common.data.display(), args.kb);
    if args.out.is_some() {
        eprintln!(
            "A server looks for models in {}; keep the folder there, or serve with `--model`.",
            args.common.models().display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The first of `KB-1`, `KB-2`, … after all that there are.
fn next_folder(models: &Path, kb: &str) -> Result<PathBuf> {
    let last = hub::fetched(models)?
        .iter()
        .filter_map(|folder| {
            folder.file_name()?.to_str()?.strip_prefix(kb)?.strip_prefix('-')?.parse::<u32>().ok()
        })
        .max()
        .unwrap_or(0);
    Ok(models.join(format!("{kb}-{}", last + 1)))
}

fn print(report: &Report) {
    let (sizes, figures) = (&report.sizes, &report.figures);
    let share = |hits: usize| 100.0 * hits as f64 / figures.held_out.max(1) as f64;
    say!("model         {} from {}", report.model, report.parent);
    say!(
        "learned       {} phrasings of {} entries and {} strangers, {} steps in {:.0} s ({:.0} tokens/s){}",
        sizes.trained,
        sizes.entries,
        sizes.strangers,
        report.steps,
        report.training_seconds,
        report.tokens_per_second,
        if report.cut_short { ", cut short by --minutes" } else { "" }
    );
    if sizes.queries + sizes.queries_left_out > 0 {
        say!(
            "queries       {} used, {} left out (known already, or right under several entries)",
            sizes.queries,
            sizes.queries_left_out
        );
    }
    say!("held out      {} phrasings, {} strangers", sizes.held_out, sizes.strangers_held_out);
    let paired = |name: &str, note: &str, paired: &Paired| {
        say!(
            "{name:<13} {:.1} % -> {:.1} %  ({note}{} gained, {} lost, p = {:.2e})",
            share(paired.before),
            share(paired.after),
            paired.gained,
            paired.lost,
            paired.p
        );
    };
    paired("right first", "", &figures.first);
    paired("and sure", "nearer than 95 % of strangers; ", &figures.sure);
    paired("in the engine", "beside the words; ", &figures.engine);
    say!(
        "strangers     {:.3} -> {:.3}  (area under the curve of the {} that both find, standard error of the difference {:.3})",
        figures.apart.before,
        figures.apart.after,
        figures.apart.phrasings,
        figures.apart.error
    );
    say!("elsewhere     {:.3}  (rank correlation with the cosines before)", figures.alike);
}

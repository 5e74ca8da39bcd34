//! `zhida kb queries`: what is a publication asked?

use std::path::PathBuf;
use std::process::ExitCode;

use super::Place;
use crate::error::{Error, Result};
use crate::publish::Comparison;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Take the attached questions away.
    #[arg(long, conflicts_with = "file")]
    remove: bool,
    /// Labelled questions: JSONL as for `zhida eval`, or .csv or .xlsx with the
    /// columns 问题 (text), 期望 (expect: ids or questions of entries, none for
    /// what is outside) and 标签 (tags).
    file: Option<PathBuf>,
}

impl Args {
    /// Which knowledge base this changes, and how; `None` when it prints.
    pub(super) fn subject(&self) -> Option<(&Place, &'static str)> {
        match (&self.file, self.remove) {
            (Some(_), _) => Some((&self.place, "labelled questions attached")),
            (None, true) => Some((&self.place, "no labelled questions any more")),
            (None, false) => None,
        }
    }
}

/// Attaches, removes or prints labelled questions.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let shelf = args.place.shelf()?;
    let Some(file) = &args.file else {
        if args.remove {
            shelf.save_queries(&[])?;
            eprintln!(
                "{}",
                either!(
                    "{}: no labelled questions are attached any more",
                    "{}：已不带标注问题",
                    shelf.name()
                )
            );
        } else {
            for line in shelf.queries()? {
                say!("{line}");
            }
        }
        return Ok(ExitCode::SUCCESS);
    };
    let queries = crate::cli::labelled(file, shelf.draft()?.entries())?;
    let lines: Vec<String> = queries
        .iter()
        .map(|query| serde_json::to_string(query).map_err(|e| Error::internal("queries", e)))
        .collect::<Result<_>>()?;
    shelf.save_queries(&lines)?;
    eprintln!(
        "{}",
        either!(
            "{}: {} labelled questions attached; `kb publish` asks them from now on",
            "{}：已带上 {} 个标注问题，以后每次发布（kb publish）都会问一遍",
            shelf.name(),
            lines.len()
        )
    );
    Ok(ExitCode::SUCCESS)
}

/// Prints what flipped, and how it adds up.
pub(crate) fn tell(comparison: &Comparison) {
    for flip in &comparison.flips {
        let entry = |told: &crate::eval::compare::Told| {
            told.entry.as_ref().map_or_else(|| "-".to_owned(), |id| id.0.clone())
        };
        eprintln!(
            "{}",
            either!(
                "generation {} {}: “{}”  {} → {}",
                "第 {} 代 {}：“{}”  {} → {}",
                flip.generation,
                flip.flip,
                flip.text,
                entry(&flip.before),
                entry(&flip.after)
            )
        );
    }
    for (generation, change) in &comparison.generations {
        let worse = if change.regressed {
            either!(": worse, beyond chance", "：变差，超出偶然")
        } else {
            String::new()
        };
        eprintln!(
            "{}",
            either!(
                "{} → {}: {} labelled questions, generation {generation} answers {} → {} right (p = {:.3}), {} → {} wrong (p = {:.3}){worse}",
                "{} → {}：{} 个标注问题，第 {generation} 代答对 {} → {}（p = {:.3}），答错 {} → {}（p = {:.3}）{worse}",
                comparison.from,
                comparison.to,
                comparison.queries,
                change.right.before,
                change.right.after,
                change.right.p,
                change.wrong.before,
                change.wrong.after,
                change.wrong.p,
            )
        );
    }
}

//! `zhida reference`: what did labelled questions look like elsewhere?

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::learn::reference;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files that `zhida eval --evidence` wrote, one per query set.
    #[arg(required = true, value_name = "EVIDENCE")]
    evidence: Vec<PathBuf>,
    /// Pairs of question and entry that were read again and found right though
    /// the label says otherwise, one {"text":…,"entry":…} a line.
    #[arg(long, value_name = "FILE")]
    also_right: Option<PathBuf>,
    /// Where to write the reference (`src/core/decide/data/reference.json` in the source).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let also_right = args.also_right.as_deref().map(reference::also_right).transpose()?.unwrap_or_default();
    let gathered = reference::gather(&args.evidence, &also_right)?;
    let bytes = serde_json::to_vec(&gathered).map_err(|e| Error::internal("reference", e))?;
    crate::disk::write_whole(&args.out, &bytes)?;
    for (name, count) in &gathered.sets {
        eprintln!("{name}: {count} questions");
    }
    Ok(ExitCode::SUCCESS)
}

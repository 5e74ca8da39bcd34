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
    /// Where to write the reference (`src/decide/data/reference.json` in the source).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let gathered = reference::gather(&args.evidence)?;
    let bytes = serde_json::to_vec(&gathered).map_err(|e| Error::internal("reference", e))?;
    crate::disk::write_whole(&args.out, &bytes)?;
    for (name, count) in &gathered.sets {
        eprintln!("{name}: {count} questions");
    }
    Ok(ExitCode::SUCCESS)
}

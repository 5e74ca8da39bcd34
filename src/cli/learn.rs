//! `zhida learn`: what did customers ask that is not answered yet?

use std::path::PathBuf;
use std::process::ExitCode;

use super::Common;
use crate::error::{Error, Result};
use crate::eval::dataset;
use crate::learn::groups::measure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Group labelled questions and say how well that went, for people who study it.
    #[command(hide = true)]
    Bench(Bench),
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

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Bench(args) => bench(args),
    }
}

fn bench(args: &Bench) -> Result<ExitCode> {
    if args.kb.len() != args.queries.len() {
        return Err(Error::Refused("--queries: give one for each --kb, in the same order".to_owned()));
    }
    let mut sets = Vec::new();
    for (kb, queries) in args.kb.iter().zip(&args.queries) {
        let base = super::read_beside(kb)?;
        let queries = dataset::read(queries, base.entries())?;
        sets.push((base, queries));
    }
    if args.texts {
        for (base, queries) in &sets {
            for one in measure::questions(base, queries) {
                say!("{}", serde_json::to_string(&one).map_err(|e| Error::internal("bench", e))?);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let report = measure::measure(&sets, args.common.encoder()?.as_ref())?;
    say!("{}", serde_json::to_string_pretty(&report).map_err(|e| Error::internal("bench", e))?);
    Ok(ExitCode::SUCCESS)
}

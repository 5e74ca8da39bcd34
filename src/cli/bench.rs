//! `zhida eval build-bench`: how do labelled pairs become a benchmark?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::disk::write_whole;
use crate::error::{Error, Result};
use crate::eval::bench::{self, Bench};
use crate::eval::published;

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Writes NAME.kb.jsonl and NAME.queries.jsonl into DIR and prints what became of \
the data as JSON. The same files and seed give the same benchmark; the recipe \
stands in the documentation of the module eval::bench.

Pairs are read as LCQMC, BQ, AFQMC, ATEC, BUSTM, PAWS-X and STS-B publish them.")]
pub(crate) struct Args {
    /// Labelled sentence pairs.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["std", "similar", "test"], required_unless_present = "std")]
    pairs: Option<PathBuf>,
    /// qa_match's standard questions (std_data).
    #[arg(long, value_name = "FILE", requires = "test")]
    std: Option<PathBuf>,
    /// qa_match's labelled questions that become similar questions (train_data).
    #[arg(long, value_name = "FILE", requires = "std")]
    similar: Option<PathBuf>,
    /// qa_match's labelled questions to ask (test_data).
    #[arg(long, value_name = "FILE", requires = "std")]
    test: Option<PathBuf>,
    /// What the files and the entries' ids begin with.
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "bench")]
    name: String,
    /// The share of the clusters of pairs that the knowledge base must not know.
    #[arg(long, value_name = "SHARE", value_parser = crate::cli::share, default_value_t = 0.25)]
    outside: f64,
    /// Another seed gives another draw.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The folder to write into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn name(text: &str) -> std::result::Result<String, String> {
    let sound = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    if sound { Ok(text.to_owned()) } else { Err("use letters, digits, '-' and '_'".to_owned()) }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let bench = match (&args.pairs, &args.std, &args.test) {
        (Some(pairs), _, _) => {
            bench::from_pairs(&published::pairs(pairs)?, &args.name, args.outside, args.seed)?
        }
        (None, Some(std), Some(test)) => {
            let similar = args.similar.as_deref().map(published::qa_match).transpose()?.unwrap_or_default();
            bench::from_qa_match(&published::standards(std)?, &similar, published::qa_match(test)?)?
        }
        _ => return Err(Error::internal("build-bench", "neither pairs nor qa_match files")),
    };
    std::fs::create_dir_all(&args.out).map_err(|e| Error::io("create", &args.out, e))?;
    write(&bench, &args.name, &args.out)?;
    say!("{}", serde_json::to_string(&bench.made).map_err(|e| Error::internal("build-bench", e))?);
    Ok(ExitCode::SUCCESS)
}

fn write(bench: &Bench, name: &str, out: &Path) -> Result<()> {
    let (kb, queries) = (out.join(format!("{name}.kb.jsonl")), out.join(format!("{name}.queries.jsonl")));
    write_whole(&kb, &super::lines(&bench.entries)?)?;
    write_whole(&queries, &super::lines(&bench.queries)?)?;
    eprintln!("zhida eval --kb {} --queries {} --out DIR", kb.display(), queries.display());
    Ok(())
}

//! `zhida eval`: how good is a knowledge base?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::{Common, progress};
use crate::decide::Generation;
use crate::decide::policy::DEFAULT_MAX_WRONG;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::eval::{dataset, run};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The knowledge base: a name in the data directory, or a file.
    #[arg(long, value_name = "NAME_OR_FILE")]
    kb: String,
    /// The labelled questions, JSONL.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Which generations to run: 1, 2 or both.
    #[arg(long, value_parser = ["1", "2", "both"], default_value = "both")]
    generation: String,
    /// Accept at most this share of wrong answers among those given.
    #[arg(long, value_name = "SHARE", value_parser = super::share, default_value_t = DEFAULT_MAX_WRONG)]
    max_wrong: f64,
    /// The folder for the report and the predictions.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let release = args.common.release(&args.kb)?;
    let queries = dataset::read(&args.queries, release.entries())?;
    let engine = Engine::new(Arc::new(release), args.max_wrong);
    std::fs::create_dir_all(&args.out).map_err(|e| Error::io("create", &args.out, e))?;
    let generations: &[Generation] = match args.generation.as_str() {
        "1" => &[Generation::One],
        "2" => &[Generation::Two],
        _ => &[Generation::One, Generation::Two],
    };
    let mut evidence = std::io::BufWriter::new(
        std::fs::File::create(args.out.join("evidence.jsonl")).map_err(|e| Error::io("create", &args.out, e))?,
    );
    for query in &queries {
        let trace = engine.explain(&query.text, Options::default()).map(|(_, trace)| trace).unwrap_or_default();
        let line = serde_json::json!({"text": query.text, "expect": query.expect, "tags": query.tags, "trace": trace});
        let _ = writeln!(evidence, "{line}");
    }
    let bars = progress::Bars::new();
    for &generation in generations {
        let options = Options { generation, ..Options::default() };
        let predictions =
            run::predict(&engine, &queries, options, &|done| bars.show("questions", done, queries.len()))?;
        let mut lines = Vec::new();
        for prediction in &predictions {
            serde_json::to_writer(&mut lines, prediction).map_err(|e| Error::internal("eval", e))?;
            lines.push(b'\n');
        }
        let path = args.out.join(format!("predictions-gen{}.jsonl", generation.number()));
        crate::store::write_whole(&path, &lines)?;
    }
    Ok(ExitCode::SUCCESS)
}

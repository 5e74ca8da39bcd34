//! `zhida kb export`: how does a knowledge base become a file?

use std::path::PathBuf;
use std::process::ExitCode;

use super::Place;
use crate::disk::write_whole;
use crate::error::Result;
use crate::kb::formats::{self, Format, Headings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// What this release holds instead of the draft.
    #[arg(long, value_name = "N")]
    release: Option<u32>,
    /// The headings of the columns of .csv and .xlsx: `zh` or `en`; both are read back.
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    headings: Headings,
    /// The file; its ending (.jsonl, .csv, .xlsx) says the format.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the draft or a release to a file.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (shelf, out) = (args.place.shelf()?, args.out.display());
    let base = match args.release {
        None => shelf.draft()?,
        Some(number) => shelf.authored(number)?,
    };
    write_whole(&args.out, &formats::written_with(&base, Format::of(&args.out)?, args.headings)?)?;
    let (kb, count) = (shelf.name(), base.entries().len());
    let told = match args.release {
        None => either!("{kb}: {count} entries written to {out}", "{kb}：{count} 个条目已写到 {out}"),
        Some(number) => either!(
            "{kb}: {count} entries of release {number} written to {out}",
            "{kb}：版本 {number} 的 {count} 个条目已写到 {out}"
        ),
    };
    eprintln!("{told}");
    Ok(ExitCode::SUCCESS)
}

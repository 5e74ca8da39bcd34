//! `zhida kb gc`: which old releases may go?

use std::process::ExitCode;

use super::Place;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// How many of the newest releases stay.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Say what would go, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    /// From now on do the same after every publication.
    #[arg(long, conflicts_with = "dry_run")]
    always: bool,
}

/// Removes old releases.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let shelf = args.place.shelf()?;
    if args.always {
        shelf.keep(Some(args.keep))?;
    }
    let collected = shelf.collect(usize::try_from(args.keep).unwrap_or(usize::MAX), args.dry_run)?;
    for number in &collected.removed {
        say!("{number}");
    }
    for number in &collected.in_use {
        eprintln!("{}: release {number} is in use and stays", shelf.name());
    }
    eprintln!(
        "{}: {} releases, {:.1} MiB{}{}",
        shelf.name(),
        collected.removed.len(),
        collected.bytes as f64 / f64::from(1 << 20),
        if args.dry_run { " would be removed (dry run)" } else { " removed" },
        if args.always { "; every publication does the same from now on" } else { "" }
    );
    Ok(ExitCode::SUCCESS)
}

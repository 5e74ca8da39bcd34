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

impl Args {
    /// Which knowledge base this changes, and how; `None` for a dry run.
    pub(super) fn subject(&self) -> Option<(&Place, String)> {
        let always = if self.always { ", after every publication" } else { "" };
        (!self.dry_run).then(|| (&self.place, format!("the newest {} releases kept{always}", self.keep)))
    }
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
    let kb = shelf.name();
    for number in &collected.in_use {
        eprintln!(
            "{}",
            either!("{kb}: release {number} is in use and stays", "{kb}：版本 {number} 正在使用，保留")
        );
    }
    let done = if args.dry_run {
        either!(" would be removed (dry run)", "可以删除（试运行）")
    } else {
        either!(" removed", "已删除")
    };
    let always = if args.always {
        either!("; every publication does the same from now on", "；以后每次发布都这样做")
    } else {
        String::new()
    };
    eprintln!(
        "{}",
        either!(
            "{kb}: {} releases, {:.1} MiB{done}{always}",
            "{kb}：{} 个版本，{:.1} MiB {done}{always}",
            collected.removed.len(),
            collected.bytes as f64 / f64::from(1 << 20)
        )
    );
    Ok(ExitCode::SUCCESS)
}

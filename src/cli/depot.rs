//! `zhida depot`: is what every node fetches there and whole, and what of it may go?

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::audited::{Deed, Subject};
use super::{ground, place};
use crate::error::Result;
use crate::store::{Compared, Looked, Store, Which};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put releases there that it does not hold, or not whole, from their folders here.
    ///
    /// Publishing and rolling back do that by themselves. This is for releases of before
    /// there was a depot, and for one that somebody has taken from.
    Put {
        #[command(flatten)]
        selected: Selected,
        /// Read every byte that is there and compare it, instead of lengths only.
        #[arg(long)]
        read: bool,
    },
    /// Say whether all releases that are kept can be fetched; exit status 1 when not.
    Check {
        #[command(flatten)]
        selected: Selected,
        /// Read every byte and compare it, instead of lengths only.
        #[arg(long)]
        read: bool,
    },
    /// Remove files that no release needs any more.
    ///
    /// `zhida kb gc` decides which releases stay, this frees what only others needed.
    Gc {
        /// The data directory.
        #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
        data: PathBuf,
        /// Only what is older: a release that is being published needs files that nothing
        /// names yet. An hour at least.
        #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = place::span)]
        grace: i64,
        /// Also the names of releases that no record here knows: of publications that died, of
        /// deleted knowledge bases and tenants, and of another installation that uses the same
        /// URL, which would lose them.
        #[arg(long)]
        forget_unknown: bool,
        /// Say what would go, and remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which releases are meant.
#[derive(Debug, clap::Args)]
struct Selected {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
    data: PathBuf,
    /// Only those of this knowledge base [default: of all, of all tenants].
    #[arg(long, value_name = "NAME")]
    kb: Option<String>,
}

impl Selected {
    fn which(&self) -> Which<'_> {
        self.kb.as_deref().map_or(Which::All, Which::Of)
    }
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.command {
            Command::Put { selected, .. } => {
                Subject::other(selected.data.as_path(), "the depot", "put_releases", "releases put").into()
            }
            Command::Gc { data, dry_run: false, forget_unknown, .. } => {
                let done = if *forget_unknown { "collected, unknown names too" } else { "collected" };
                Subject::other(data.as_path(), "the depot", "collect_depot", done).into()
            }
            Command::Check { .. } | Command::Gc { .. } => Deed::Looks,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Put { selected, read } => put(selected, *read),
        Command::Check { selected, read } => check(selected, *read),
        Command::Gc { data, grace, forget_unknown, dry_run } => {
            let grace = Duration::from_millis(u64::try_from(*grace).unwrap_or_default());
            gc(&ground::store(data), grace, *forget_unknown, *dry_run)
        }
    }
}

fn put(selected: &Selected, read: bool) -> Result<ExitCode> {
    let compared = if read { Compared::Bytes } else { Compared::Lengths };
    let (mut written, mut bytes, mut is_sound) = (0, 0, true);
    for one in ground::store(&selected.data).put_releases(selected.which(), compared)? {
        let name = one.name;
        if let Some(kept) = one.kept {
            say!("{name}\t{}", kept.digest);
            written += 1;
            bytes += kept.bytes;
        }
        if one.fault.is_some() {
            is_sound = false;
            eprintln!(
                "{}",
                either!(
                    "{name}: its folder is not here, and the depot does not hold it whole; run this where its folder is",
                    "{name}：本机没有它的文件夹，仓库里也不完整；请在有它文件夹的机器上运行"
                )
            );
        }
    }
    let size = mebibytes(bytes);
    eprintln!("{}", either!("{written} releases put, {size} MiB", "放入 {written} 个版本，{size} MiB"));
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(selected: &Selected, read: bool) -> Result<ExitCode> {
    let looked = ground::store(&selected.data).check_releases(selected.which(), read)?;
    for Looked { name, faults } in &looked {
        for fault in faults {
            say!("{name}\t{}\t{}", fault.file, fault.message);
        }
    }
    let (all, faulty) = (looked.len(), looked.iter().filter(|one| !one.faults.is_empty()).count());
    eprintln!(
        "{}",
        either!(
            "{all} releases, {faulty} of them cannot be fetched whole",
            "共 {all} 个版本，其中 {faulty} 个取不完整"
        )
    );
    Ok(if faulty == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn gc(store: &Store, grace: Duration, forget_unknown: bool, dry_run: bool) -> Result<ExitCode> {
    let collected = store.collect_depot(grace, forget_unknown, dry_run)?;
    for name in &collected.unknown {
        let what = if forget_unknown {
            either!("no record knows it", "没有它的记录")
        } else {
            either!(
                "no record knows it; it stays, and --forget-unknown lets it go",
                "没有它的记录，保留；--forget-unknown 可以去掉"
            )
        };
        eprintln!("{name}: {what}");
    }
    let (files, removed, young) = (collected.files.files, collected.files.removed, collected.files.young);
    let size = mebibytes(collected.files.bytes);
    let done = if dry_run {
        either!("would be removed (dry run)", "可以删除（试运行）")
    } else {
        either!("removed", "已删除")
    };
    eprintln!(
        "{}",
        either!(
            "{files} files; {removed}, {size} MiB, {done}; {young} are too young",
            "共 {files} 个文件；{removed} 个（{size} MiB）{done}；{young} 个还太新"
        )
    );
    Ok(ExitCode::SUCCESS)
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

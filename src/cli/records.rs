//! How do records get from a data directory to a server, and back?

use std::path::PathBuf;
use std::process::ExitCode;

use super::audited::{self, Deed};
use super::ground;
use super::kb::Signed;
use crate::depot::Depot;
use crate::error::{Error, Result};
use crate::store::{Cluster, Compared, Copied, Store, Which};

/// Look after where the records of a data directory are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copy all records of a data directory to a PostgreSQL server or back, and compare what
    /// has arrived. Stop the servers first.
    ///
    /// Drafts, releases' records, keys, people, audit, conversations, queue, outbox and quotas
    /// of all tenants go. Events, models and pictures are files and stay where they are. Releases
    /// are too; they are put into the database besides, and those that only it has come back,
    /// unless --releases says another place for them. Afterwards the data directory says where its records are, and the
    /// files that held them are kept as `*.db.copied`.
    Copy(Copy),
}

#[derive(Debug, clap::Args)]
struct Copy {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
    data: PathBuf,
    /// The server that they go to, such as postgres://user:password@host:5432/zhida.
    #[arg(long, value_name = "URL", required_unless_present = "from", conflicts_with = "from")]
    to: Option<String>,
    /// The server that they come back from.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// Write the counts as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn deed(&self) -> Deed<'_> {
        // It tells itself, at the place where the records are afterwards.
        Deed::Tells
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let Command::Copy(copy) = &args.command;
    let files = Store::at(&copy.data);
    let (from, to) = match (&copy.to, &copy.from) {
        (Some(url), _) => (files.clone(), ground::with_releases(files.on(Cluster::at(url)?))),
        (None, Some(url)) => (ground::with_releases(files.clone().on(Cluster::at(url)?)), files),
        (None, None) => return Err(Error::Refused("say --to or --from".to_owned())),
    };
    // Where they lie with the records, releases are here before those leave, and go there
    // after them.
    for lacking in from.fetch_releases()? {
        eprintln!("{}", either!("not here: {lacking}", "本机没有：{lacking}"));
    }
    let copied = from.copy_records(&to)?;
    if to.depot().is_some_and(Depot::is_in_table) {
        let put = to.put_releases(Which::All, Compared::Lengths).map_err(|e| {
            Error::Refused(either!(
                "the records are copied, but not all releases: {e}; `zhida depot put` with --database does the rest",
                "记录已经复制，但版本没有全部放入：{e}；用 `zhida depot put`（加上 --database）补上其余的"
            ))
        })?;
        let count = put.iter().filter(|one| one.kept.is_some()).count();
        eprintln!("{}", either!("{count} releases put into the database", "{count} 个版本放入数据库"));
    }
    let rows: u64 = copied.iter().flat_map(|one| one.rows.values()).sum();
    let after = if copy.to.is_some() { "to the server" } else { "from the server" };
    audited::record_in(
        &to,
        &Signed::nobody(),
        "copy_records",
        "data directory".to_owned(),
        Some(format!("{rows} rows {after}")),
    )?;
    if copy.json {
        say!("{}", serde_json::to_string_pretty(&copied).map_err(|e| Error::internal("counts", e))?);
    } else {
        for Copied { tenant, file, rows } in &copied {
            let rows = rows.iter().filter(|(_, count)| **count > 0);
            let rows: Vec<String> = rows.map(|(table, count)| format!("{table} {count}")).collect();
            say!("{tenant}\t{file}\t{}", rows.join(", "));
        }
    }
    Ok(ExitCode::SUCCESS)
}

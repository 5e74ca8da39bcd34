//! `zhida tenant`: who shares this server?

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use super::audited::{self, Deed};
use super::kb::{Signed, asked};
use super::listing::list;
use super::place::{limit, limited, wanted};
use crate::access::{DEFAULT_TENANT, Limits};
use crate::cli::ground;
use crate::error::{Error, Result};
use crate::store::{Access, TenantRecord};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a tenant: a data directory of its own inside this one.
    Create {
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        signed: Signed,
        #[command(flatten)]
        may: May,
        /// Its name.
        name: String,
    },
    /// List the tenants.
    List {
        #[command(flatten)]
        data: Data,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set what a tenant may use, all of it anew: what is not given beside another limit is not
    /// limited. Without any it shows what the tenant may use.
    Limit {
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        signed: Signed,
        #[command(flatten)]
        may: May,
        /// Remove all limits.
        #[arg(long, conflicts_with_all = ["per_second", "per_month", "entries", "storage"])]
        unlimited: bool,
        /// Its name.
        name: String,
    },
    /// Remove a tenant with its keys and everything that it owns.
    #[command(alias = "remove")]
    Delete {
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        signed: Signed,
        /// It is meant; without this a terminal is asked.
        #[arg(long)]
        yes: bool,
        /// Its name.
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Data {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
    data: PathBuf,
}

impl Data {
    fn access(&self) -> Access {
        ground::store(&self.data).access()
    }

    /// The same, where anything was ever recorded.
    fn known(&self) -> Result<Access> {
        ground::must_be_there(&ground::store(&self.data))?;
        Ok(self.access())
    }
}

/// How much a tenant may use.
#[derive(Debug, clap::Args)]
struct May {
    /// Requests a second, on the average.
    #[arg(long, value_name = "N")]
    per_second: Option<NonZeroU32>,
    /// Questions a month (+08:00).
    #[arg(long, value_name = "N")]
    per_month: Option<u64>,
    /// Entries in all drafts together.
    #[arg(long, value_name = "N")]
    entries: Option<u64>,
    /// Bytes of its data.
    #[arg(long, value_name = "BYTES")]
    storage: Option<u64>,
}

impl May {
    fn limits(&self) -> Limits {
        Limits {
            per_second: self.per_second,
            per_month: self.per_month,
            entries: self.entries,
            storage: self.storage,
        }
    }
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.command {
            Command::List { .. } => Deed::Looks,
            Command::Limit { may, unlimited, .. } if wanted(may.limits(), *unlimited).is_none() => {
                Deed::Looks
            }
            Command::Create { .. } | Command::Limit { .. } | Command::Delete { .. } => Deed::Tells,
        }
    }
}

/// The tenant of a name.
fn known(access: &Access, name: &str) -> Result<TenantRecord> {
    let found = access.tenants()?.into_iter().find(|tenant| tenant.name == name);
    found.ok_or_else(|| Error::Absent { what: "tenant", name: name.to_owned() })
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    // What happens to tenants is the operator's doing, and stands in the operator's audit.
    let record = |access: &Access, signed: &Signed, action: &str, name: &str, after: Option<String>| {
        audited::record(access, DEFAULT_TENANT, signed, action, format!("tenant {name}"), after)
    };
    match &args.command {
        Command::Create { data, signed, may, name } => {
            let access = data.access();
            let tenant = access.create_tenant(name, &may.limits())?;
            record(&access, signed, "create_tenant", name, None)?;
            say!("{}", tenant.name);
            eprintln!(
                "{}",
                either!(
                    "`zhida key create --tenant {name} --role admin` lets somebody in; `--data {}` is its data directory for other commands",
                    "zhida key create --tenant {name} --role admin 可为它创建密钥；其他命令用 --data {} 指向它的数据目录",
                    data.data.join("tenants").join(name).display()
                )
            );
        }
        Command::List { data, json } => {
            let tenants = data.known()?.tenants()?;
            if *json {
                let text =
                    serde_json::to_string_pretty(&tenants).map_err(|e| Error::internal("tenants", e))?;
                say!("{text}");
            } else {
                let columns = either!("tenant\tlimits", "租户\t限制");
                list(&columns, tenants.iter().map(|one| format!("{}\t{}", one.name, limited(&one.limits))));
            }
        }
        Command::Limit { data, signed, may, unlimited, name } => {
            let access = data.known()?;
            let limits = if let Some(limits) = wanted(may.limits(), *unlimited) {
                access.limit_tenant(name, &limits)?;
                record(&access, signed, "limit_tenant", name, serde_json::to_string(&limits).ok())?;
                limits
            } else {
                known(&access, name)?.limits
            };
            let (second, month) = (limit(limits.per_second.map(|n| n.get().into())), limit(limits.per_month));
            let (entries, storage) = (limit(limits.entries), limit(limits.storage));
            eprintln!(
                "{}",
                either!(
                    "tenant {name}: requests a second: {second}; questions a month: {month}; entries: {entries}; bytes: {storage}",
                    "租户 {name}：每秒请求数 {second}；每月问题数 {month}；条目数 {entries}；存储字节数 {storage}"
                )
            );
        }
        Command::Delete { data, signed, yes, name } => {
            let access = data.known()?;
            let what = either!(
                "this removes tenant {name} for good, with its knowledge bases, conversations and keys.",
                "这会永久删除租户 {name}，包括它的知识库、会话和密钥。"
            );
            known(&access, name)?;
            if !yes && !asked(&what)? {
                return Err(Error::Refused(either!(
                    "{what} Nothing was removed; say --yes if that is meant",
                    "{what}没有删除任何内容；确实要删除，请加 --yes"
                )));
            }
            access.delete_tenant(name)?;
            record(&access, signed, "delete_tenant", name, Some("removed".into()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

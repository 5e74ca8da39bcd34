//! `zhida audit`: who changed what, and is the record of it whole?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::audited::Deed as Audited;
use super::kb::Signed;
use super::listing::in_china;
use super::place::{Place, date};
use crate::access::DEFAULT_TENANT;
use crate::access::chain::{Deed, Head, Link};
use crate::access::moment::now;
use crate::disk::write_whole;
use crate::error::{Error, Result};
use crate::store::{Access, WantedAudit};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show who changed what, newest first.
    Show {
        #[command(flatten)]
        place: Place,
        /// Only this action, such as publish_kb.
        #[arg(long, value_name = "NAME")]
        action: Option<String>,
        /// Only what this key's id or this name did.
        #[arg(long, value_name = "NAME")]
        who: Option<String>,
        /// Only what was done to something whose name holds this.
        #[arg(long, value_name = "TEXT")]
        object: Option<String>,
        /// Only with this in the object, the name, what was before or after, or the reason.
        #[arg(long, value_name = "TEXT")]
        holding: Option<String>,
        /// Only from this day on: 2026-11-27 (+08:00), or RFC 3339.
        #[arg(long, value_name = "DATE", value_parser = date)]
        from: Option<i64>,
        /// Only up to this day.
        #[arg(long, value_name = "DATE", value_parser = date)]
        to: Option<i64>,
        /// The most that is printed.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Say whether the audit is whole; exit status 1 when anything was altered, removed or reordered.
    Verify {
        #[command(flatten)]
        place: Place,
        /// What an earlier `verify` printed, kept elsewhere: shows that the whole was not replaced.
        #[arg(long, value_name = "SEQ:HASH", value_parser = head)]
        head: Option<Head>,
        /// Print the verdict as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write all of it to a file, one JSON object a line, the oldest first.
    Export {
        #[command(flatten)]
        place: Place,
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Remove what is older than a day; what stays can still be verified.
    Prune {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: Signed,
        /// The first day that stays: 2026-11-27 (+08:00), or RFC 3339.
        #[arg(long, value_name = "DATE", value_parser = date)]
        before: i64,
    },
}

fn head(text: &str) -> std::result::Result<Head, String> {
    let read = || {
        let (seq, hash) = text.split_once(':')?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then_some(Head { seq: seq.parse().ok()?, hash: hash.to_ascii_lowercase() })
    };
    read().ok_or_else(|| "a head is a number, a colon and 64 hexadecimal digits".to_owned())
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Audited<'_> {
        match &self.command {
            Command::Show { .. } | Command::Verify { .. } | Command::Export { .. } => Audited::Looks,
            Command::Prune { .. } => Audited::Tells,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Show { place, action, who, object, holding, from, to, limit, json } => {
            let wanted = WantedAudit {
                before: None,
                from: *from,
                to: *to,
                action: action.clone(),
                who: who.clone(),
                object: object.clone(),
                text: holding.clone(),
                limit: i64::from(*limit),
            };
            for link in place.audited()?.audit(&place.tenant, &wanted)? {
                show(link, *json)?;
            }
        }
        Command::Verify { place, head, json } => return verify(place, head.clone(), *json),
        Command::Export { place, out } => {
            let mut lines = Vec::new();
            place.audited()?.every_link(&place.tenant, |link| {
                serde_json::to_writer(&mut lines, &link.told()).map_err(|e| Error::internal("audit", e))?;
                lines.write_all(b"\n").map_err(|e| Error::internal("audit", e))
            })?;
            write_whole(out, &lines)?;
        }
        Command::Prune { place, signed, before } => {
            if *before > now() {
                return Err(Error::Refused(either!(
                    "--before: that day is still to come, and all of the audit would go; give today or an earlier day",
                    "--before：这一天还没有到，会删掉全部审计记录；请写今天或更早的日期"
                )));
            }
            let signature = signed.signature()?;
            let deed = Deed {
                name: signature.author,
                from: "cli".to_owned(),
                reason: signature.reason,
                ..Deed::default()
            };
            let removed = place.audited()?.prune_audit(&place.tenant, *before, deed)?;
            eprintln!("{}", either!("{removed} records removed", "已删除 {removed} 条记录"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(link: Link, as_json: bool) -> Result<()> {
    let told = link.told();
    if as_json {
        say!("{}", serde_json::to_string(&told).map_err(|e| Error::internal("audit", e))?);
        return Ok(());
    }
    let change = match (&told.before, &told.after) {
        (None, None) => String::new(),
        (before, after) => {
            let text = |state: &Option<String>| state.clone().unwrap_or_else(|| "-".to_owned());
            format!("\t{} → {}", text(before), text(after))
        }
    };
    let who = told.who.map_or_else(String::new, |id| format!(" ({id})"));
    let reason = told.reason.map_or_else(String::new, |reason| format!("\t# {reason}"));
    let (seq, at, name, from) = (told.seq, in_china(&told.at), told.name, told.from);
    let (action, object) = (told.action, told.object);
    say!("{seq}\t{at}\t{name}{who}\t{from}\t{action}\t{object}{change}{reason}");
    Ok(())
}

fn verify(place: &Place, head: Option<Head>, as_json: bool) -> Result<ExitCode> {
    let access = place.audited()?;
    let verdict = access.verify(&place.tenant, head)?;
    if as_json {
        say!("{}", serde_json::to_string_pretty(&verdict).map_err(|e| Error::internal("audit", e))?);
    } else {
        for fault in &verdict.faults {
            say!("{fault}");
        }
        if verdict.sound {
            say!("{}:{}", verdict.seq, verdict.hash);
            eprintln!(
                "{}",
                either!(
                    "{} records, whole; keep the line above elsewhere, and `--head` shows later that nobody replaced all of it",
                    "{} 条记录，完整；请把上面一行保存到别处，以后用 --head 可以发现整体替换",
                    verdict.records
                )
            );
        }
    }
    let others = if place.tenant == DEFAULT_TENANT { others_are_sound(&access)? } else { true };
    Ok(if verdict.sound && others { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the chains of the other tenants are whole: whoever owns the data directory
/// asks for all of it.
fn others_are_sound(access: &Access) -> Result<bool> {
    let (mut whole, mut is_sound) = (0, true);
    for tenant in access.tenants()?.into_iter().filter(|tenant| tenant.name != DEFAULT_TENANT) {
        let verdict = access.verify(&tenant.name, None)?;
        for fault in &verdict.faults {
            eprintln!("{}", either!("tenant {}: {fault}", "租户 {}：{fault}", tenant.name));
        }
        whole += usize::from(verdict.sound);
        is_sound &= verdict.sound;
    }
    if whole > 0 {
        eprintln!(
            "{}",
            either!("the records of {whole} more tenants are whole", "另有 {whole} 个租户的记录完整")
        );
    }
    Ok(is_sound)
}

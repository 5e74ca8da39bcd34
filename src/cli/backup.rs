//! `zhida backup` and `zhida restore`: how does everything survive the machine?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::kb::{Signed, asked};
use super::{audited, progress};
use crate::access::DEFAULT_TENANT;
use crate::cli::ground;
use crate::error::{Error, Result};
use crate::store::{self, Access, LeftOut};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
    data: PathBuf,
    /// Where the backup is written; it appears there whole or not at all.
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The data directory that the backup becomes.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
    data: PathBuf,
    /// The same, elsewhere.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    #[command(flatten)]
    signed: Signed,
    /// It is meant, even if there is something already, which is kept beside it;
    /// without this a terminal is asked.
    #[arg(long)]
    yes: bool,
    /// The backup.
    file: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let bars = progress::Bars::new();
    let backup =
        ground::store(&args.data).backup(&args.file, &|stage, done, total| bars.show(stage, done, total))?;
    drop(bars);
    let (files, bytes, packed) = (backup.files, backup.bytes, backup.packed);
    eprintln!(
        "{}",
        either!(
            "{}: {files} files, {bytes} bytes in {packed}",
            "{}：{files} 个文件，{bytes} 字节，压缩为 {packed} 字节",
            args.file.display()
        )
    );
    for lacking in &backup.lacking {
        eprintln!("{}", either!("not in it: {lacking}", "备份里没有：{lacking}"));
    }
    if backup.holds_conversations {
        eprintln!(
            "{}",
            either!(
                "it holds customers' conversations: keep it as carefully as the data directory. Keys and passwords are in it only as hashes; secrets of webhooks and channels are not in it, and `zhida restore` says which to set again",
                "备份里有顾客的会话：请像数据目录一样小心保管。访问密钥和密码只以散列值保存；Webhook 和渠道的密钥不在备份里，恢复时会列出需要重新设置的"
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn restore(args: &Restore) -> Result<ExitCode> {
    let target = args.into.as_ref().unwrap_or(&args.data);
    if ground::store(target).is_on_server() {
        return Err(Error::Refused(either!(
            "a backup comes back as files: restore it without --database and ZHIDA_DATABASE into an empty folder, then copy the records to an empty server with `zhida store copy --to`",
            "备份以文件形式恢复：请先不带 --database 和 ZHIDA_DATABASE，恢复到一个空目录，再用 `zhida store copy --to` 复制到空的服务器"
        )));
    }
    let bars = progress::Bars::new();
    let checked =
        store::check_backup(&args.file, target, &|stage, done, total| bars.show(stage, done, total))?;
    drop(bars);
    let created = checked.manifest.created.clone();
    if checked.replaces()? {
        let what = either!(
            "{} holds data already; the backup of {created} would take its place.",
            "{} 已有数据；{created} 的备份会取代它。",
            target.display()
        );
        if !args.yes && !asked(&what)? {
            return Err(Error::Refused(either!(
                "{what} The backup is sound, and nothing was changed; say --yes if that is meant, or give another folder with --into",
                "{what}备份完好，没有做任何改动；确实要这样，请加 --yes，或用 --into 指定另一个目录"
            )));
        }
    }
    let files = checked.manifest.files.len();
    let version = checked.manifest.zhida.clone();
    let kept = checked.put()?;
    let after = format!("backup of {created} by zhida {version}, {files} files");
    audited::record(
        &ground::store(target).access(),
        DEFAULT_TENANT,
        &args.signed,
        "restore_backup",
        "data directory".to_owned(),
        Some(after),
    )?;
    eprintln!(
        "{}",
        either!(
            "{}: restored, {files} files of {created}",
            "{}：已恢复，{files} 个文件，备份时间 {created}",
            target.display()
        )
    );
    set_again(target)?;
    if let Some(kept) = kept {
        let_in_again(&ground::store(&kept).access(), &ground::store(target).access())?;
        eprintln!(
            "{}",
            either!(
                "what was there is now {}; remove it when you no longer need it",
                "原来的数据现在在 {}；不再需要时请删除",
                kept.display()
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Whose something is, where it is not the first tenant's.
fn of_tenant(tenant: &str) -> String {
    if tenant == DEFAULT_TENANT {
        String::new()
    } else {
        either!(" of tenant {tenant}", "（租户 {tenant}）")
    }
}

/// Says who was shut out of what was there, and gets in again: the backup is older.
fn let_in_again(before: &Access, now: &Access) -> Result<()> {
    let others = now.tenants()?.into_iter().map(|tenant| tenant.name);
    let all: BTreeSet<String> = others.chain([DEFAULT_TENANT.to_owned()]).collect();
    for tenant in all {
        let of = of_tenant(&tenant);
        let revoked: BTreeSet<String> = before
            .keys(&tenant)?
            .into_iter()
            .filter(|key| key.revoked_at.is_some())
            .map(|key| key.id)
            .collect();
        for key in now.keys(&tenant)?.into_iter().filter(|key| key.revoked_at.is_none()) {
            if revoked.contains(&key.id) {
                eprintln!(
                    "{}",
                    either!(
                        "key {}{of} was revoked and is valid again, as in the backup; `zhida key revoke {}` if it must not be",
                        "密钥 {}{of} 原来已吊销，现在按备份恢复为有效；不该有效的话，请用 zhida key revoke {} 吊销",
                        key.id,
                        key.id
                    )
                );
            }
        }
        let known = before.people(&tenant)?;
        let shut_out = |name: &str| known.iter().any(|one| one.name == name && one.disabled_at.is_some());
        for person in now.people(&tenant)?.into_iter().filter(|person| person.disabled_at.is_none()) {
            if shut_out(&person.name) {
                eprintln!(
                    "{}",
                    either!(
                        "{}{of} could not sign in any more and can again, as in the backup; look at `zhida person list`",
                        "{}{of} 原来已经不能登录，现在按备份恢复为可以登录；请看 zhida person list",
                        person.name
                    )
                );
            }
        }
    }
    Ok(())
}

/// Says whose secrets the backup did not hold.
fn set_again(target: &Path) -> Result<()> {
    let root = ground::store(target);
    let mut all = vec![(root.clone(), DEFAULT_TENANT.to_owned())];
    for tenant in root.access().tenants()?.into_iter().filter(|tenant| tenant.name != DEFAULT_TENANT) {
        all.push((root.tenant(&tenant.name)?, tenant.name));
    }
    for (store, tenant) in all {
        let of = of_tenant(&tenant);
        for lacking in store.left_out()? {
            eprintln!(
                "{}",
                match lacking {
                    LeftOut::Webhook(id) => either!(
                        "webhook {id}{of} has no secret any more: `POST /v1/webhooks/{id}/rotate` makes one, for its receiver",
                        "Webhook {id}{of} 的密钥不在备份里：请用 POST /v1/webhooks/{id}/rotate 生成新的并交给接收方"
                    ),
                    LeftOut::Channel(id) => either!(
                        "channel {id}{of} has no secrets any more: remove it and add it again with those of the platform",
                        "渠道 {id}{of} 的密钥不在备份里：请删除后用平台上的密钥重新添加"
                    ),
                }
            );
        }
    }
    Ok(())
}

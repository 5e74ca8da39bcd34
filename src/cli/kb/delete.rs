//! `zhida kb delete`: how does a whole knowledge base go?

use std::process::ExitCode;

use super::signed::Signed;
use super::{Place, confirm};
use crate::error::{Error, Result};
use crate::store::Deleted;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    signed: Signed,
    /// It is meant; without this a terminal is asked.
    #[arg(long)]
    yes: bool,
}

impl Args {
    /// Which knowledge base this may change, and who says so.
    pub(super) fn subject(&self) -> (&Place, Option<&super::Signed>) {
        (&self.place, Some(&self.signed))
    }
}

/// Removes a knowledge base with everything that belongs to it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let shelf = args.place.shelf()?.signed(args.signed.signature()?);
    let Deleted { kb, entries, releases, served } = shelf.deletable()?;
    let served = served.map_or_else(String::new, |number| {
        either!(", release {number} of which customers get now", "，顾客正在用的是版本 {number}")
    });
    let what = either!(
        "this removes knowledge base {kb} for good: {entries} entries with their history, {releases} releases{served}.",
        "这会永久删除知识库 {kb}：{entries} 个条目和全部历史，{releases} 个版本{served}。"
    );
    if !args.yes && !confirm::asked(&what)? {
        return Err(Error::Refused(either!(
            "{what} Nothing was removed; say --yes if that is meant, and `zhida kb export --kb {kb} --out FILE` keeps a copy",
            "{what}没有删除任何内容；确实要删除，请加 --yes；要留一份，请先运行 zhida kb export --kb {kb} --out 文件"
        )));
    }
    shelf.delete()?;
    eprintln!(
        "{}",
        either!(
            "{kb}: removed with {entries} entries and {releases} releases; running servers stop serving it within a second",
            "{kb}：已删除，包括 {entries} 个条目和 {releases} 个版本；正在运行的服务一秒内停止使用它"
        )
    );
    Ok(ExitCode::SUCCESS)
}

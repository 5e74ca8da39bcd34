//! `zhida kb restore`: how is a mistake in the draft undone for good?

use std::process::ExitCode;

use super::signed::Signed;
use super::{Place, changes, lexicon};
use crate::error::Result;
use crate::store::Restored;

/// Entries of each kind that are printed.
const PRINTED: usize = 50;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    signed: Signed,
    /// The release whose entries and words the draft gets.
    #[arg(long, value_name = "N")]
    release: u32,
}

impl Args {
    /// Which knowledge base this may change, and who says so.
    pub(super) fn subject(&self) -> (&Place, Option<&super::Signed>) {
        (&self.place, Some(&self.signed))
    }
}

/// Makes the draft what a release holds.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let shelf = args.place.shelf()?.signed(args.signed.signature()?);
    let Restored { release, diff, lexicon, service } = shelf.restore(args.release)?;
    changes::print(&diff, PRINTED);
    lexicon::print_changes(&lexicon);
    let (kb, counted) = (shelf.name(), changes::counted(&diff));
    let service = if service {
        either!("; service document changed", "；服务文件已恢复")
    } else {
        String::new()
    };
    eprintln!(
        "{}",
        either!(
            "{kb}: the draft is what release {release} holds: {counted}; lexicon: {} added, {} removed, {} changed{service}",
            "{kb}：草稿已恢复成版本 {release} 的内容：{counted}；词表新增 {} 行，删除 {} 行，修改 {} 行{service}",
            lexicon.added.len(),
            lexicon.removed.len(),
            lexicon.changed.len()
        )
    );
    let Some(current) = shelf.current()? else { return Ok(ExitCode::SUCCESS) };
    let edits = shelf.live_changes(shelf.head()?.map_or(0, |head| head.live_from))?.edits;
    if current != release {
        eprintln!(
            "{}",
            either!(
                "customers still get release {current}; `zhida kb publish --kb {kb}` or `zhida kb rollback --kb {kb} {release}` changes that",
                "顾客现在看到的仍是版本 {current}；要换成恢复的内容，请运行 zhida kb publish --kb {kb} 或 zhida kb rollback --kb {kb} {release}"
            )
        );
    } else if edits > 0 {
        eprintln!(
            "{}",
            either!(
                "customers still get {edits} live edits on top of release {release}; `zhida kb rollback --kb {kb} {release}` takes them away",
                "顾客现在看到的是版本 {release} 加上之后的 {edits} 次即时修改；要一并撤销，请运行 zhida kb rollback --kb {kb} {release}"
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

//! `zhida kb entry`: how is one entry changed by hand?

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use super::Place;
use super::signed::Signed;
use crate::cli::listing::in_china;
use crate::error::{Error, Result};
use crate::kb::{Entry, EntryId, formats};
use crate::store::{Action, Edit, Edited, Expected, Shelf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print an entry of the draft as JSON.
    Get {
        #[command(flatten)]
        place: Place,
        /// The entry's id.
        id: String,
    },
    /// Create an entry or put it in the place of the one with its id.
    Put {
        #[command(flatten)]
        how: How,
        /// Only if there is no entry with the id yet.
        #[arg(long, conflicts_with = "if_match")]
        create: bool,
        /// A file with one entry as JSON; `-` for standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Switch an entry off: it stays in the draft and is no answer.
    Disable {
        #[command(flatten)]
        how: How,
        /// The entry's id.
        id: String,
    },
    /// Switch an entry on again.
    Enable {
        #[command(flatten)]
        how: How,
        /// The entry's id.
        id: String,
    },
    /// Remove an entry; its history stays.
    #[command(alias = "remove")]
    Delete {
        #[command(flatten)]
        how: How,
        /// The entry's id.
        id: String,
    },
}

impl Args {
    /// Which knowledge base this may change, and who says so; `None` for `get`.
    pub(super) fn subject(&self) -> Option<(&Place, Option<&Signed>)> {
        match &self.command {
            Command::Get { .. } => None,
            Command::Put { how, .. }
            | Command::Disable { how, .. }
            | Command::Enable { how, .. }
            | Command::Delete { how, .. } => Some((&how.place, Some(&how.signed))),
        }
    }
}

/// How an edit is made.
#[derive(Debug, clap::Args)]
struct How {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    signed: Signed,
    /// Only if the entry is still at this revision, which `get` tells.
    #[arg(long, value_name = "REVISION")]
    if_match: Option<i64>,
    /// Only change the draft; otherwise customers get the edit at once, on
    /// top of the release that is served.
    #[arg(long)]
    draft: bool,
}

/// Prints or changes an entry.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Get { place, id } => get(&place.shelf()?, id),
        Command::Put { how, create, file } => {
            let entry = read(file)?;
            let expected = if *create { Some(Expected::Absent) } else { None };
            edit(how, &entry.id.clone(), Edit::Put(entry), expected)
        }
        Command::Disable { how, id } => edit(how, &EntryId(id.clone()), Edit::Enable(false), None),
        Command::Enable { how, id } => edit(how, &EntryId(id.clone()), Edit::Enable(true), None),
        Command::Delete { how, id } => edit(how, &EntryId(id.clone()), Edit::Remove, None),
    }
}

fn get(shelf: &Shelf, id: &str) -> Result<ExitCode> {
    let (entry, none) =
        (EntryId(id.to_owned()), || Error::NoEntry { kb: shelf.name().to_owned(), entry: id.to_owned() });
    let stored = match shelf.entry(&entry)? {
        Some(stored) => stored,
        None => {
            let stored = shelf.served_only(&entry)?.ok_or_else(none)?;
            eprintln!("{}", lost(shelf.name(), id));
            stored
        }
    };
    say!("{}", serde_json::to_string_pretty(&stored.entry).map_err(|e| Error::internal("entry", e))?);
    eprintln!(
        "{}",
        either!(
            "{}: revision {}, {} by {}",
            "{}：第 {} 次修改，{}，{}",
            shelf.name(),
            stored.revision,
            in_china(&stored.at),
            stored.author
        )
    );
    Ok(ExitCode::SUCCESS)
}

/// That an entry is with the customers only.
fn lost(kb: &str, id: &str) -> String {
    either!(
        "{kb}: the draft no longer has {id}, customers still get it from the release; `zhida kb restore` brings it back into the draft",
        "{kb}：草稿里已经没有 {id}，顾客看到的是已发布版本里的；要让它回到草稿，请用 zhida kb restore"
    )
}

fn edit(how: &How, id: &EntryId, edit: Edit, expected: Option<Expected>) -> Result<ExitCode> {
    let shelf = how.place.shelf()?.signed(how.signed.signature()?);
    let expected = expected
        .or_else(|| how.if_match.map(|revision| Expected::Revisions(vec![revision])))
        .unwrap_or(Expected::Anything);
    let before = shelf.entry(id)?;
    let only_served = before.is_none() && matches!(edit, Edit::Enable(_) | Edit::Remove);
    let Edited { action, revision, live, entry } = shelf.edit(id, edit, &expected, !how.draft)?;
    say!("{revision}");
    let done = match action {
        None => either!("was like that already", "本来就是这样"),
        Some(Action::Add) => either!("added", "已新增"),
        Some(Action::Change) => either!("changed", "已修改"),
        Some(Action::Remove) => either!("removed", "已删除"),
        Some(Action::Enable) => either!("enabled", "已启用"),
        Some(Action::Disable) => either!("disabled", "已停用"),
    };
    let when = if live {
        either!("a running server serves it within a second", "正在运行的服务一秒内生效")
    } else {
        either!("served after `kb publish`", "发布（kb publish）以后生效")
    };
    let question =
        entry.or(before.map(|stored| stored.entry)).map(|entry| entry.question).unwrap_or_default();
    let kb = shelf.name();
    eprintln!(
        "{}",
        either!(
            "{kb}: {id} ({question}) {done}, revision {revision}; {when}",
            "{kb}：{id}（{question}）{done}，第 {revision} 次修改；{when}"
        )
    );
    if only_served {
        eprintln!("{}", lost(kb, &id.0));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads one entry; it may be spread over several lines.
fn read(file: &Path) -> Result<Entry> {
    let (name, bytes) = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|e| Error::io("read", "standard input", e))?;
        ("standard input".to_owned(), bytes)
    } else {
        (file.display().to_string(), std::fs::read(file).map_err(|e| Error::io("read", file, e))?)
    };
    // Editors on Windows put a mark before it.
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes).trim_ascii_start();
    let value = serde_json::from_slice::<Value>(text);
    let is_object = text.starts_with(b"{");
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let base = match value {
        Ok(value) => formats::read_jsonl(&name, value.to_string().as_bytes())?,
        // Several of them, one a line.
        Err(_) if is_object && serde_json::from_slice::<Value>(first).is_ok() => {
            formats::read_jsonl(&name, text)?
        }
        Err(e) if is_object => {
            return Err(Error::Refused(either!("{name}: {e}", "{name}：不是完整的 JSON：{e}")));
        }
        Err(_) => {
            return Err(Error::Refused(either!(
                "{name}: is no JSON; `kb entry put` takes one entry as JSON, `kb import --mode update` takes CSV, XLSX and JSONL",
                "{name}：不是 JSON；kb entry put 收一个 JSON 条目，CSV、XLSX、JSONL 文件请用 kb import --mode update"
            )));
        }
    };
    match base.entries() {
        [entry] => Ok(entry.clone()),
        entries => Err(Error::Refused(either!(
            "{name}: holds {} entries; `kb entry put` takes one, `kb import --mode update` takes files",
            "{name}：里面有 {} 个条目；kb entry put 一次只收一个，整个文件请用 kb import --mode update",
            entries.len()
        ))),
    }
}

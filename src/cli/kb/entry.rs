//! `zhida kb entry`: how is one entry changed by hand?

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Place;
use super::signed::Signed;
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
    Delete {
        #[command(flatten)]
        how: How,
        /// The entry's id.
        id: String,
    },
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
    let stored = shelf
        .entry(&EntryId(id.to_owned()))?
        .ok_or_else(|| Error::NoEntry { kb: shelf.name().to_owned(), entry: id.to_owned() })?;
    say!("{}", serde_json::to_string_pretty(&stored.entry).map_err(|e| Error::internal("entry", e))?);
    eprintln!("{}: revision {}, {} by {}", shelf.name(), stored.revision, stored.at, stored.author);
    Ok(ExitCode::SUCCESS)
}

fn edit(how: &How, id: &EntryId, edit: Edit, expected: Option<Expected>) -> Result<ExitCode> {
    let shelf = how.place.shelf()?.signed(how.signed.signature()?);
    let expected = expected
        .or_else(|| how.if_match.map(|revision| Expected::Revisions(vec![revision])))
        .unwrap_or(Expected::Anything);
    let Edited { action, revision, live, .. } = shelf.edit(id, edit, &expected, !how.draft)?;
    say!("{revision}");
    let done = match action {
        None => "was like that already",
        Some(Action::Add) => "added",
        Some(Action::Change) => "changed",
        Some(Action::Remove) => "removed",
        Some(Action::Enable) => "enabled",
        Some(Action::Disable) => "disabled",
    };
    let when = if live { "a running server serves it within a second" } else { "served after `kb publish`" };
    eprintln!("{}: {id} {done}, revision {revision}; {when}", shelf.name());
    Ok(ExitCode::SUCCESS)
}

/// Reads one entry; it may be spread over several lines.
fn read(file: &Path) -> Result<Entry> {
    let (name, text) = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|e| Error::io("read", "standard input", e))?;
        ("standard input".to_owned(), text)
    } else {
        let text = std::fs::read_to_string(file).map_err(|e| Error::io("read", file, e))?;
        (file.display().to_string(), text)
    };
    // A value that is no JSON is read as it is, for the message with its line.
    let line = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) => value.to_string(),
        Err(_) => text,
    };
    let base = formats::read_jsonl(&name, line.as_bytes())?;
    match base.entries() {
        [entry] => Ok(entry.clone()),
        entries => Err(Error::Refused(format!(
            "{name}: holds {} entries; `kb entry put` takes one, `kb import --mode update` takes files",
            entries.len()
        ))),
    }
}

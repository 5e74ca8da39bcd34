//! `zhida kb lexicon`: which words does a knowledge base add?

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::disk::write_whole;
use crate::error::{Error, Result};
use crate::store::Shelf;
use crate::text::AuthoredLexicon;
use crate::text::lexicon::{Item, What};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Action {
    /// Print the lexicon for people.
    Show,
    /// Replace the lexicon by a file; it counts from the next release on.
    Import {
        /// Say what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// A .jsonl file.
        file: PathBuf,
    },
    /// Write the lexicon to a file.
    Export {
        /// The file (.jsonl).
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub(super) fn run(shelf: &Shelf, action: &Action) -> Result<ExitCode> {
    match action {
        Action::Show => show(&shelf.lexicon()?),
        Action::Import { dry_run, file } => return import(shelf, file, *dry_run),
        Action::Export { out } => {
            let lexicon = shelf.lexicon()?;
            write_whole(out, &lexicon.write()?)?;
            eprintln!("{}: {} lines written to {}", shelf.name(), lexicon.items().len(), out.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn import(shelf: &Shelf, file: &Path, dry_run: bool) -> Result<ExitCode> {
    let bytes = std::fs::read(file).map_err(|e| Error::io("read", file, e))?;
    let lexicon = AuthoredLexicon::read(&file.display().to_string(), &bytes)?;
    // A lexicon that was damaged by hand is replaced like any other.
    let before = shelf.lexicon().unwrap_or_default();
    let lines = |lexicon: &AuthoredLexicon| lexicon.items().iter().cloned().collect::<HashSet<Item>>();
    let (old, new) = (lines(&before), lines(&lexicon));
    for item in before.items().iter().filter(|item| !new.contains(*item)) {
        eprintln!("- {}", in_words(item));
    }
    for item in lexicon.items().iter().filter(|item| !old.contains(*item)) {
        eprintln!("+ {}", in_words(item));
    }
    if !dry_run {
        shelf.save_lexicon(&lexicon)?;
    }
    eprintln!(
        "{}: {} added, {} removed, {} unchanged{}",
        shelf.name(),
        new.difference(&old).count(),
        old.difference(&new).count(),
        new.intersection(&old).count(),
        if dry_run {
            " (dry run: nothing was written)".to_owned()
        } else {
            format!("; it counts from the next `zhida kb publish --kb {}` on", shelf.name())
        }
    );
    Ok(ExitCode::SUCCESS)
}

fn show(lexicon: &AuthoredLexicon) {
    for item in lexicon.items() {
        say!("{}", in_words(item));
    }
    let count = |kind: &str| lexicon.items().iter().filter(|item| item.what.name().0 == kind).count();
    eprintln!(
        "用户词 {} 个，同义词 {} 组，停用词 {} 个，保护词 {} 个，无关问题 {} 个",
        count("word"),
        count("synonyms"),
        count("stop"),
        count("protected"),
        count("background")
    );
}

fn in_words(item: &Item) -> String {
    let (_, name) = item.what.name();
    let mut text = match &item.what {
        What::Word { word, frequency, tag } => {
            let mut text = format!("{name} {word}");
            if let Some(frequency) = frequency {
                text.push_str(&format!("  词频 {frequency}"));
            }
            if let Some(tag) = tag {
                text.push_str(&format!("  词性 {tag}"));
            }
            text
        }
        What::Synonyms { synonyms, canonical } => {
            let head = canonical.as_ref().or(synonyms.first()).map_or("", String::as_str);
            match synonyms.len() {
                1 => format!("{name} “{head}”不再与内置的词同义"),
                _ => format!("{name} {} → {head}", synonyms.join(" ")),
            }
        }
        What::Stop { stop: text }
        | What::Protected { protected: text }
        | What::Background { background: text } => {
            format!("{name} {text}")
        }
    };
    if let Some(note) = &item.note {
        text.push_str(&format!("  （{note}）"));
    }
    text
}

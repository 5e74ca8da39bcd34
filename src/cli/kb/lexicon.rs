//! `zhida kb lexicon`: which words does a knowledge base add?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::signed::Signed;
use crate::disk::write_whole;
use crate::error::{Error, Result};
use crate::kb::formats::{self, Format};
use crate::store::{Expected, Shelf};
use crate::text::AuthoredLexicon;
use crate::text::lexicon::{Item, LexiconChanges, LineChange, What};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Action {
    /// Print the lexicon for people.
    Show,
    /// Put lines in, each in the place of the one of its kind that begins with
    /// the same word; all count from the next release on.
    Put {
        #[command(flatten)]
        signed: Signed,
        /// A line as in a file, such as {"synonyms":["退货","退掉"]}.
        #[arg(required = true, value_name = "JSON")]
        lines: Vec<String>,
    },
    /// Take lines out, named by their kind and first word: {"stop":"麻烦"}.
    #[command(alias = "delete")]
    Remove {
        #[command(flatten)]
        signed: Signed,
        /// A line as in a file.
        #[arg(required = true, value_name = "JSON")]
        lines: Vec<String>,
    },
    /// Replace the lexicon by a file; it counts from the next release on.
    Import {
        #[command(flatten)]
        signed: Signed,
        /// Say what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// A .jsonl, .csv, .tsv or .xlsx file.
        file: PathBuf,
    },
    /// Write the lexicon to a file.
    Export {
        /// The file; its ending (.jsonl, .csv, .xlsx) says the format.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

impl Action {
    /// Who changes something, and why; `None` for one that only looks.
    pub(super) fn signed(&self) -> Option<&super::Signed> {
        match self {
            Self::Put { signed, .. } | Self::Remove { signed, .. } | Self::Import { signed, .. } => {
                Some(signed)
            }
            _ => None,
        }
    }
}

pub(super) fn run(shelf: Shelf, action: &Action) -> Result<ExitCode> {
    let given = |name: &str, lines: &[String]| AuthoredLexicon::read(name, lines.join("\n").as_bytes());
    match action {
        Action::Show => show(&shelf.lexicon()?),
        Action::Put { signed, lines } => {
            let put = given("put", lines)?;
            change(shelf, signed, |before| before.edited(&put, &AuthoredLexicon::default()))?;
        }
        Action::Remove { signed, lines } => {
            let remove = given("remove", lines)?;
            change(shelf, signed, |before| before.edited(&AuthoredLexicon::default(), &remove))?;
        }
        Action::Import { signed, dry_run, file } => import(shelf, signed, file, *dry_run)?,
        Action::Export { out } => {
            let lexicon = shelf.lexicon()?;
            write_whole(out, &formats::written_lexicon(&lexicon, Format::of(out)?)?)?;
            eprintln!(
                "{}",
                either!(
                    "{}: {} lines written to {}",
                    "{}：{} 行词表已写到 {}",
                    shelf.name(),
                    lexicon.items().len(),
                    out.display()
                )
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn import(shelf: Shelf, signed: &Signed, file: &Path, dry_run: bool) -> Result<()> {
    let format = Format::of_source(file)?;
    let bytes = std::fs::read(file).map_err(|e| Error::io("read", file, e))?;
    let lexicon = formats::lexicon_of_bytes(&file.display().to_string(), format, &bytes)?;
    if lexicon.is_empty() {
        return Err(Error::Refused(either!(
            "{}: the file holds no line; the lexicon of {} stays as it is, take lines out with `remove`",
            "{}：文件里没有词；{} 的词表没有改动，要去掉词请用 remove",
            file.display(),
            shelf.name()
        )));
    }
    if !dry_run {
        return change(shelf, signed, |_| Ok(lexicon));
    }
    let dry = either!(" (dry run: nothing was written)", "（试运行：没有写入）");
    tell(&shelf, &shelf.lexicon()?.changes(&lexicon), &dry);
    Ok(())
}

fn change(
    shelf: Shelf,
    signed: &Signed,
    change: impl FnOnce(&AuthoredLexicon) -> Result<AuthoredLexicon>,
) -> Result<()> {
    let shelf = shelf.signed(signed.signature()?);
    let (changes, _) = shelf.change_lexicon(&Expected::Anything, change)?;
    let then = either!(
        "; it counts from the next `zhida kb publish --kb {}` on",
        "；下次发布（zhida kb publish --kb {}）起生效",
        shelf.name()
    );
    tell(&shelf, &changes, &then);
    Ok(())
}

fn tell(shelf: &Shelf, changes: &LexiconChanges, then: &str) {
    for line in in_lines(changes) {
        eprintln!("{line}");
    }
    let LexiconChanges { added, removed, changed, unchanged } = changes;
    eprintln!(
        "{}",
        either!(
            "{}: {} added, {} removed, {} changed, {unchanged} unchanged{then}",
            "{}：新增 {} 行，删除 {} 行，修改 {} 行，不变 {unchanged} 行{then}",
            shelf.name(),
            added.len(),
            removed.len(),
            changed.len(),
        )
    );
}

/// Prints what differs between two lexicons.
pub(super) fn print_changes(changes: &LexiconChanges) {
    for line in in_lines(changes) {
        say!("{line}");
    }
}

fn in_lines(changes: &LexiconChanges) -> Vec<String> {
    let removed = changes.removed.iter().map(|item| format!("- 词表 {}", in_words(item)));
    let added = changes.added.iter().map(|item| format!("+ 词表 {}", in_words(item)));
    let changed = changes.changed.iter().map(|LineChange { before, after }| {
        format!("~ 词表 {}\n    改为 {}", in_words(before), in_words(after))
    });
    removed.chain(added).chain(changed).collect()
}

fn show(lexicon: &AuthoredLexicon) {
    for item in lexicon.items() {
        say!("{}", in_words(item));
    }
    let count = |kind: &str| lexicon.items().iter().filter(|item| item.what.name().0 == kind).count();
    eprintln!(
        "用户词 {} 个，同义词 {} 组，停用词 {} 个，保护词 {} 个，区分词 {} 组，无关问题 {} 个",
        count("word"),
        count("synonyms"),
        count("stop"),
        count("protected"),
        count("contrast"),
        count("background")
    );
}

/// A line of a lexicon for people.
pub(super) fn in_words(item: &Item) -> String {
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
        What::Contrast { contrast } => format!("{name} {}", contrast.join(" ")),
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

//! How does a data directory of the first layout move into the database?
//!
//! Before the database, a knowledge base was `draft.jsonl` and `current`
//! beside its releases, and for some time after that `lexicon.jsonl`. They are
//! read once and then kept under other names.

use std::fs;
use std::path::Path;

use super::database::{Connection, Outcome};
use super::draft;
use super::releases;
use super::signature::Signature;
use super::{is_sound, kb_folder, words};
use crate::error::{Error, Result};
use crate::kb::{KnowledgeBase, formats};

const DRAFT: &str = "draft.jsonl";
const CURRENT: &str = "current";
const LEXICON: &str = "lexicon.jsonl";
/// What stands behind the name of a file whose content is in the database.
const MOVED: &str = "moved";

/// Whether a folder holds anything that belongs into the database.
fn holds_old_files(folder: &Path) -> bool {
    [DRAFT, CURRENT, LEXICON].iter().any(|file| folder.join(file).exists())
}

/// Whether a knowledge base of the first layout is there.
pub(super) fn is_there(root: &Path) -> bool {
    fs::read_dir(root.join("kbs"))
        .is_ok_and(|items| items.flatten().any(|item| holds_old_files(&item.path())))
}

/// Takes in every knowledge base of the first layout. A file is renamed only
/// after its content was committed: a crash leaves it to the next opening.
pub(super) fn move_in(root: &Path, connection: &mut Connection) -> Outcome<()> {
    let Ok(items) = fs::read_dir(root.join("kbs")) else { return Ok(()) };
    let mut names: Vec<String> = items
        .flatten()
        .filter(|item| holds_old_files(&item.path()))
        .map(|item| item.file_name().to_string_lossy().into_owned())
        .filter(|name| is_sound(name))
        .collect();
    names.sort_unstable();
    for name in names {
        let folder = kb_folder(root, &name);
        let draft = read_draft(&folder.join(DRAFT))?;
        let current = read_current(&folder.join(CURRENT))?;
        let lexicon = formats::read_lexicon(&folder.join(LEXICON))?;
        let signature = Signature {
            author: "zhida".to_owned(),
            reason: Some("moved from the data directory's first layout".to_owned()),
        };
        let moved = connection.writing(|connection| {
            // Committed before a crash, or put beside a knowledge base of the
            // same name: what the database says holds.
            let is_new = draft::find(connection, &name)?.is_none();
            if is_new {
                draft::replace(connection, &name, &draft.unwrap_or_default(), &signature)?;
                releases::adopt(connection, root, &name, None)?;
                if let Some(number) = current {
                    releases::serve(connection, &name, number, releases::Serving::Moved, &signature)?;
                }
            }
            let mut moved = is_new;
            if let Some(lexicon) = &lexicon {
                moved |= words::adopt(connection, &name, lexicon, &signature)?;
            }
            Ok(moved)
        })?;
        for file in [DRAFT, CURRENT, LEXICON] {
            let path = folder.join(file);
            if path.exists() {
                let kept = folder.join(format!("{file}.{MOVED}"));
                fs::rename(&path, &kept).map_err(|e| Error::io("rename", &path, e))?;
            }
        }
        tracing::info!(kb = name, moved, "the data directory's first layout was moved into the database");
    }
    Ok(())
}

fn read_draft(path: &Path) -> Result<Option<KnowledgeBase>> {
    if path.exists() { formats::read(path).map(Some) } else { Ok(None) }
}

fn read_current(path: &Path) -> Result<Option<u32>> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| {
            Error::release(
                path,
                format!(
                    "holds {:?}, not a release number; write the number of a release into it",
                    text.trim()
                ),
            )
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path, e)),
    }
}

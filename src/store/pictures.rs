//! Where do the pictures lie that customers and agents show each other?
//!
//! Below the data directory, `files/CONVERSATION/SHA256.ENDING`: the same picture lies
//! once in a conversation, and goes with it. A file is written beside its place and
//! renamed, so that half a picture never has its name, and is on the disk before any
//! line names it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::backup::hex;
use super::conversations::Conversations;
use super::database::talk::{conversations, lines};
use crate::dialogue::conversation::Role;
use crate::disk::sync_folder;
use crate::error::{Error, Result};

/// The folder in the data directory.
pub(super) const FOLDER: &str = "files";

/// The name of a picture, by its content and the ending of its kind.
pub fn picture_name(bytes: &[u8], ending: &str) -> String {
    format!("{}.{ending}", hex(&Sha256::digest(bytes)))
}

/// Whether a name could be a picture's: it becomes a part of a path.
fn is_sound(name: &str) -> bool {
    name.split_once('.').is_some_and(|(digest, ending)| {
        digest.len() == 64
            && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
            && (1..=5).contains(&ending.len())
            && ending.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

impl Conversations {
    fn pictures_of(&self, key: i64) -> PathBuf {
        self.files.join(key.to_string())
    }

    /// Keeps a picture of a conversation under its name.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn keep_picture(&self, key: i64, name: &str, bytes: &[u8]) -> Result<()> {
        if !is_sound(name) {
            return Err(Error::internal("picture", format!("{name:?} is no name of one")));
        }
        self.database.writable()?;
        let folder = self.pictures_of(key);
        let place = folder.join(name);
        if let Ok(known) = fs::File::options().append(true).open(&place) {
            // It is as young as the last line that shows it.
            return known.set_modified(SystemTime::now()).map_err(|e| Error::io("write", &place, e));
        }
        let is_new = !folder.is_dir();
        fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
        let failed = |e| Error::io("write", &place, e);
        let mut beside = tempfile::Builder::new().prefix(".beside-").tempfile_in(&folder).map_err(failed)?;
        beside.write_all(bytes).and_then(|()| beside.as_file().sync_all()).map_err(failed)?;
        beside.persist(&place).map_err(|e| failed(e.error))?;
        sync_folder(&folder)?;
        if is_new { sync_folder(&self.files) } else { Ok(()) }
    }

    /// A picture of a conversation; `None` when there is none of the name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn picture(&self, key: i64, name: &str) -> Result<Option<Vec<u8>>> {
        if !is_sound(name) {
            return Ok(None);
        }
        let place = self.pictures_of(key).join(name);
        match fs::read(&place) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &place, e)),
        }
    }

    /// How many pictures the customer has shown in a conversation since a moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn pictures_since(&self, key: i64, since: i64) -> Result<i64> {
        let count = self.database.read(|connection| {
            let shown = lines::table
                .filter(lines::conversation.eq(key).and(lines::role.eq(Role::Customer.name())))
                .filter(lines::at.ge(since).and(lines::data.like("{\"picture\":%")));
            Ok(shown.count().get_result(connection)?)
        })?;
        Ok(count.unwrap_or_default())
    }

    /// Removes all pictures of conversations that are gone.
    pub(super) fn drop_pictures(&self, keys: &[i64]) -> Result<()> {
        keys.iter().try_for_each(|key| gone(&self.pictures_of(*key)))
    }

    /// Removes the pictures of conversations that are gone, and those that were shown
    /// last before a moment, in milliseconds since 1970 (UTC). Gives back how many
    /// files and folders went.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn sweep_pictures(&self, before: i64) -> Result<usize> {
        let Ok(found) = fs::read_dir(&self.files) else { return Ok(0) };
        let keys: Vec<i64> =
            found.flatten().filter_map(|one| one.file_name().to_str()?.parse().ok()).collect();
        let mut went = 0;
        for some in keys.chunks(500) {
            let there: Vec<i64> = self
                .database
                .read(|connection| {
                    let ours = conversations::table.filter(conversations::key.eq_any(some));
                    Ok(ours.select(conversations::key).load(connection)?)
                })?
                .unwrap_or_default();
            let old: Vec<i64> = some.iter().copied().filter(|key| !there.contains(key)).collect();
            self.drop_pictures(&old)?;
            went += old.len();
            let Some(before) = u64::try_from(before).ok().filter(|before| *before > 0) else { continue };
            let before = SystemTime::UNIX_EPOCH + Duration::from_millis(before);
            for key in there {
                for file in fs::read_dir(self.pictures_of(key)).into_iter().flatten().flatten() {
                    let shown = file.metadata().and_then(|known| known.modified());
                    if shown.is_ok_and(|shown| shown < before) {
                        match fs::remove_file(file.path()) {
                            Ok(()) => went += 1,
                            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                            Err(e) => return Err(Error::io("remove", file.path(), e)),
                        }
                    }
                }
            }
        }
        Ok(went)
    }
}

fn gone(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("remove", folder, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::conversation::Owner;
    use crate::store::{Heard, NewLine, Place, Store};

    fn heard(id: &str, at: i64) -> Heard<'_> {
        Heard {
            lines: vec![NewLine {
                data: Some("{\"picture\":{\"id\":\"x\"}}".to_owned()),
                ..NewLine::of(Role::Customer, "[图片]")
            }],
            ..Heard::of(Place::New { kb: "demo", id, via: None, address: None }, at, Owner::Bot)
        }
    }

    #[test]
    fn pictures_are_kept_read_and_go_with_their_conversation() {
        let root = tempfile::tempdir().expect("a folder");
        let talk = Store::at(root.path()).conversations();
        let open = |id| talk.record(&heard(id, 5)).expect("recorded").expect("new").key;
        let (one, other) = (open("one"), open("other"));
        let name = picture_name(b"picture", "png");
        for key in [one, other] {
            talk.keep_picture(key, &name, b"picture").expect("kept");
            talk.keep_picture(key, &name, b"picture").expect("kept once more");
        }
        assert_eq!(talk.picture(one, &name).expect("read").as_deref(), Some(&b"picture"[..]));
        assert_eq!((talk.pictures_since(one, 5).ok(), talk.pictures_since(one, 6).ok()), (Some(1), Some(0)));
        for wrong in ["../../zhida.db", "x.png", &name.replace(".png", "/../a"), &format!("{name}/..")] {
            assert_eq!(talk.picture(one, wrong).expect("read"), None, "{wrong}");
            assert!(talk.keep_picture(one, wrong, b"x").is_err(), "{wrong}");
        }
        assert_eq!(talk.forget("one").expect("forgotten"), 1);
        assert_eq!(talk.picture(one, &name).expect("read"), None, "it went with it");
        assert!(talk.picture(other, &name).expect("read").is_some(), "another one's stays");
        assert_eq!(talk.sweep_pictures(1).expect("swept"), 0);
        // What was shown too long ago goes, and what nobody's conversation has.
        fs::create_dir_all(root.path().join("files/77")).expect("a folder");
        assert_eq!(talk.sweep_pictures(1).expect("swept"), 1);
        assert_eq!(talk.sweep_pictures(i64::MAX / 2_000_000).expect("swept"), 1);
        assert_eq!(talk.picture(other, &name).expect("read"), None);
    }
}

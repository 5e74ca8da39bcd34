//! Under which name is a customer kept?
//!
//! Unless everything is kept in full, events hold no customer's id but a name
//! made of it with a key of this data directory (HMAC-SHA-256): the same one
//! for the same customer, so that their events can be counted and forgotten
//! together, and nobody without the key can tell whose they are.
//!
//! The key lies beside the events, `data/events/customers.key`, readable by its
//! owner alone. Without it what was stored before belongs to nobody any more,
//! and whoever comes gets another name.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::disk::sync_folder;
use crate::error::{Error, Result};

/// The file in the folder of the events.
const FILE: &str = "customers.key";

/// What a made name begins with.
const MADE: char = '~';

/// Hex digits of a made name.
const DIGITS: usize = 32;

/// What names are made with.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    pub(super) fn path(events: &Path) -> PathBuf {
        events.join(FILE)
    }

    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn made() -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| Error::internal("randomness", e))?;
        Ok(Self(key))
    }

    /// In hex digits.
    pub fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The one of [`Self::text`].
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let none = || Error::Refused("the key of customers' names has 64 hex digits".to_owned());
        let digits: Option<Vec<u8>> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
        digits.and_then(|digits| digits.try_into().ok()).map(Self).ok_or_else(none)
    }

    /// Makes it the key of a folder of events; who was kept under a name of another one
    /// belongs to nobody any more.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, events: &Path) -> Result<()> {
        let path = Self::path(events);
        std::fs::create_dir_all(events).map_err(|e| Error::io("create", events, e))?;
        if path.exists() {
            std::fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
        self.begin(events).map(drop)
    }

    /// Writes it where there is none; whether there was none.
    fn begin(&self, events: &Path) -> Result<bool> {
        let path = Self::path(events);
        let failed = |e| Error::io("write", &path, e);
        std::fs::create_dir_all(events).map_err(failed)?;
        let mut beside = tempfile::NamedTempFile::new_in(events).map_err(failed)?;
        beside.write_all(&self.0).and_then(|()| beside.as_file().sync_all()).map_err(failed)?;
        match beside.persist_noclobber(&path) {
            Ok(_) => sync_folder(events).map(|()| true),
            Err(e) if e.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(failed(e.error)),
        }
    }

    /// The key of a folder of events, if it has one.
    ///
    /// # Errors
    /// When it cannot be read or is none.
    pub fn known(events: &Path) -> Result<Option<Self>> {
        let path = Self::path(events);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let key = bytes.try_into().map_err(|_| {
                    let why = "is no key of 32 bytes; remove it to begin with another one";
                    Error::Refused(format!("{} {why}", path.display()))
                })?;
                Ok(Some(Self(key)))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// The key of a folder of events; the first who asks makes it.
    pub(super) fn of(events: &Path) -> Result<Self> {
        if let Some(known) = Self::known(events)? {
            return Ok(known);
        }
        let made = Self::made()?;
        if made.begin(events)? {
            return Ok(made);
        }
        // Another process was faster.
        let path = Self::path(events);
        Self::known(events)?.ok_or_else(|| Error::io("read", path, ErrorKind::NotFound.into()))
    }

    /// The name under which a customer is kept. One that was made stays.
    pub(super) fn name(&self, id: &str) -> String {
        if is_made(id) {
            return id.to_owned();
        }
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(id.as_bytes());
        let digest = mac.finalize().into_bytes();
        let hex = digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}"));
        std::iter::once(MADE.to_string()).chain(hex).collect()
    }
}

/// Whether a name was made here: feedback brings that of its decision.
fn is_made(id: &str) -> bool {
    id.strip_prefix(MADE).is_some_and(|hex| {
        hex.len() == DIGITS && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_has_one_name_in_a_folder_and_another_one_elsewhere() {
        let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        assert!(Key::known(here.path()).expect("readable").is_none());
        let key = Key::of(here.path()).expect("made");
        assert!(Key::of(here.path()).expect("read") == key);
        let name = key.name("wx-1001");
        assert_eq!((name.chars().count(), key.name("wx-1001") == name), (33, true));
        assert!(!name.contains("1001") && key.name("wx-1002") != name);
        assert_eq!(key.name(&name), name, "feedback brings the name of its decision");
        assert_ne!(Key::of(there.path()).expect("made").name("wx-1001"), name);
        std::fs::write(Key::path(here.path()), "short").expect("written");
        assert!(Key::of(here.path()).is_err());
    }
}

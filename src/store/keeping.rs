//! How do all nodes keep the same of what happens, and forget the same people?
//!
//! What happens lies with the node where it happens ([`crate::events`]). Where several
//! nodes share a server, what is kept of customers' words, the key of customers' names and
//! whoever must be forgotten are written down there, and every node follows: it takes in
//! the settings and the key, and forgets in its own files whom it has not forgotten yet.
//! A node that comes back within [`REMEMBERED`] catches up.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use diesel::prelude::*;

use super::Store;
use super::database::talk::{forgotten, keeping};
use super::database::upsert::OnConflict;
use crate::access::moment;
use crate::disk::write_whole;
use crate::error::{Error, Result};
use crate::events::compact::{Maintained, forget_until};
use crate::events::{CustomersKey, Settings, Whose};

/// For so long a request is remembered: a node that was away longer begins with no events.
pub const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);

const SETTINGS: &str = "settings";
const CUSTOMERS: &str = "customers";

impl Store {
    fn events(&self) -> PathBuf {
        self.root().join("events")
    }

    /// The file that says what this node has forgotten of what it must.
    fn done(&self) -> PathBuf {
        self.events().join("forgotten.json")
    }

    /// What is kept of customers' words: here, or where all nodes look.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn event_settings(&self) -> Result<Settings> {
        match self.kept(SETTINGS)? {
            Some(text) => Settings::parse(&text),
            None => Settings::read(&self.events()),
        }
    }

    /// Says what is kept of customers' words from now on, on every node.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn set_event_settings(&self, settings: &Settings) -> Result<()> {
        if self.is_on_server() {
            self.keep(SETTINGS, &settings.text(), true)?;
        }
        settings.write(&self.events())
    }

    /// Has every node forget somebody, as soon as it follows; who asked may have done so
    /// already, and does it once more, which changes nothing.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub fn ask_to_forget(&self, whose: &Whose, at: i64) -> Result<()> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let whose = serde_json::to_string(whose).map_err(|e| Error::internal("forget", e))?;
        self.conversations.write(|connection| {
            let row = (forgotten::id.eq(&id), forgotten::whose.eq(&whose), forgotten::asked_at.eq(at));
            diesel::insert_into(forgotten::table).values(row).execute(connection)?;
            Ok(())
        })
    }

    /// Takes in what all nodes keep, and forgets whom they must; nothing where this one is
    /// alone. It takes its time when there is somebody to forget.
    ///
    /// # Errors
    /// When the records or a file of the events cannot be read or written; what was done
    /// until then stays, and the next call goes on.
    pub fn follow(&self) -> Result<Maintained> {
        let mut all = Maintained::default();
        if !self.is_on_server() || self.writable().is_err() {
            return Ok(all);
        }
        self.clear_deleted()?;
        self.follow_key()?;
        if let Some(text) = self.kept(SETTINGS)? {
            let wanted = Settings::parse(&text)?;
            if Settings::read(&self.events()).ok().as_ref() != Some(&wanted) {
                wanted.write(&self.events())?;
            }
        }
        let rows: Option<Vec<(String, String, i64)>> = self
            .conversations
            .read(|connection| Ok(forgotten::table.order(forgotten::asked_at).load(connection)?))?;
        let rows = rows.unwrap_or_default();
        let oldest = moment::now() - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
        let mut done = self.read_done()?;
        let before = done.clone();
        done.retain(|id| rows.iter().any(|(known, ..)| known == id));
        for (id, whose, at) in &rows {
            if done.contains(id) {
                continue;
            }
            let whose: Whose = serde_json::from_str(whose).map_err(|e| Error::internal("forget", e))?;
            let forgotten = forget_until(self.root(), whose, *at)?;
            self.forget_suggestions(&forgotten.words)?;
            all.join(forgotten);
            done.insert(id.clone());
            // What takes long may be broken off.
            self.write_done(&done)?;
        }
        if done != before {
            self.write_done(&done)?;
        }
        if rows.iter().any(|(_, _, at)| *at < oldest) {
            self.conversations.write(|connection| {
                diesel::delete(forgotten::table.filter(forgotten::asked_at.lt(oldest)))
                    .execute(connection)?;
                Ok(())
            })?;
        }
        Ok(all)
    }

    /// Takes in the key of customers' names, before anything of them is kept: the same on all
    /// nodes, the first one's.
    ///
    /// # Errors
    /// When the records or the file cannot be read or written.
    pub fn follow_key(&self) -> Result<()> {
        if !self.is_on_server() || self.writable().is_err() {
            return Ok(());
        }
        let events = self.events();
        let own = CustomersKey::known(&events)?;
        let shared = match self.kept(CUSTOMERS)? {
            Some(shared) => shared,
            None => {
                let own = match own.as_ref() {
                    Some(own) => own.text(),
                    None => CustomersKey::made()?.text(),
                };
                self.keep(CUSTOMERS, &own, false)?;
                // Another node may have been faster.
                self.kept(CUSTOMERS)?.unwrap_or(own)
            }
        };
        let shared = CustomersKey::parse(&shared)?;
        if own.as_ref() != Some(&shared) { shared.write(&events) } else { Ok(()) }
    }

    fn kept(&self, name: &str) -> Result<Option<String>> {
        if !self.is_on_server() {
            return Ok(None);
        }
        let value = self.conversations.read(|connection| {
            Ok(keeping::table.find(name).select(keeping::value).first(connection).optional()?)
        })?;
        Ok(value.flatten())
    }

    fn keep(&self, name: &str, value: &str, over: bool) -> Result<()> {
        let over = if over {
            "(name) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at"
        } else {
            "(name) DO NOTHING"
        };
        self.conversations.write(|connection| {
            let row =
                (keeping::name.eq(name), keeping::value.eq(value), keeping::changed_at.eq(moment::now()));
            diesel::insert_into(keeping::table).values(row).or(over).execute(connection)?;
            Ok(())
        })
    }

    fn read_done(&self) -> Result<BTreeSet<String>> {
        let path = self.done();
        match fs::read(&path) {
            // What was forgotten once may be forgotten again.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(e) => Err(Error::io("read", path, e)),
        }
    }

    fn write_done(&self, done: &BTreeSet<String>) -> Result<()> {
        let path = self.done();
        fs::create_dir_all(self.events()).map_err(|e| Error::io("create", self.events(), e))?;
        write_whole(&path, &serde_json::to_vec(done).map_err(|e| Error::internal("forget", e))?)
    }
}

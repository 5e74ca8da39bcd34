//! How does an installation move between files and a server?

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::database::lent::{Hold, Schema};
use super::database::transfer::{Counted, transfer};
use super::database::{Database, copy, note_place};
use super::{DOOR, DRAFTS, Kind, Store, TALK};
use crate::access::DEFAULT_TENANT;
use crate::error::{Error, Result};

/// What was copied of a tenant's records of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// The tenant.
    pub tenant: String,
    /// The file that holds the records where there is no server.
    pub file: String,
    /// Rows by table.
    pub rows: Counted,
}

impl Store {
    /// Copies all records of this data directory and of the tenants in it to a server or
    /// back, where there must be none yet. Files that go with them, and releases, stay
    /// where they are. What is copied has been compared; from then on the records are there.
    ///
    /// # Errors
    /// When somebody works on the records of a file, or a server on those of a database, when there are records already where
    /// they go, and when what arrives is not what was sent.
    pub fn copy_records(&self, to: &Self) -> Result<Vec<Copied>> {
        let (from, to) = (self.clone().moving(), to.clone().moving());
        if let Some(place) = from.database.moved_to() {
            return Err(Error::Refused(format!(
                "the records of {} are on {place} already; `zhida store copy --from` brings them back first",
                from.root.display()
            )));
        }
        from.refuse_in_use()?;
        // Held until all is there: what a server wrote meanwhile would be lost.
        let _alone = from.database.schema().map(alone).transpose()?;
        let homes = from.homes()?;
        // The first one was looked at before we opened it ourselves.
        homes.iter().skip(1).try_for_each(Self::refuse_in_use)?;
        let mut copied = Vec::new();
        let mut copy = |from: &Database, to: &Database, tenant: &str, kind: Kind| -> Result<()> {
            let rows = transfer(from, to)?;
            copied.push(Copied { tenant: tenant.to_owned(), file: kind.file.to_owned(), rows });
            Ok(())
        };
        for (number, home) in homes.iter().enumerate() {
            let name = home.tenant_name();
            let there = if number == 0 { to.clone() } else { to.tenant(&name)? };
            copy(&home.database, &there.database, &name, DRAFTS)?;
            copy(&home.conversations, &there.conversations, &name, TALK)?;
        }
        // Who may come in goes last: until then nobody takes the copy for the whole.
        let (door, other) = (from.access(), to.access());
        copy(&door.database, &other.database, DEFAULT_TENANT, DOOR)?;
        if copied.iter().all(|one: &Copied| one.rows.values().all(|count| *count == 0)) {
            return Err(Error::Refused(format!(
                "{} holds no records; nothing was copied",
                from.root.display()
            )));
        }
        // What the nodes have noted of the audit lies with each of them.
        if other.has_lost_its_heads() {
            homes.iter().try_for_each(|home| other.note_last(&home.tenant_name()))?;
        }
        for home in &homes {
            note_place(&home.root, to.database.schema())?;
            set_aside(&home.database)?;
            set_aside(&home.conversations)?;
        }
        set_aside(&door.database)?;
        Ok(copied)
    }

    /// Writes the records that are on a server into files of a folder, as they would lie in
    /// the data directory.
    pub(super) fn records_into(&self, folder: &Path) -> Result<()> {
        let files = Self::at(folder);
        transfer(&self.database, &files.database)?;
        transfer(&self.conversations, &files.conversations)?;
        if self.ground.tenant.is_none() {
            transfer(&self.access().database, &files.access().database)?;
        }
        Ok(())
    }

    fn refuse_in_use(&self) -> Result<()> {
        match copy::in_use(&self.root) {
            Some(file) if !self.is_on_server() => Err(Error::Refused(format!(
                "{} is in use; stop the servers and commands that work on it first",
                file.display()
            ))),
            _ => Ok(()),
        }
    }
}

/// Refuses to go on while servers work on what is there.
fn alone(schema: &Schema) -> Result<Hold> {
    schema.alone()?.ok_or_else(|| {
        Error::Refused(format!(
            "servers work on the records of {}, and what they write meanwhile would be lost; stop them first",
            schema.shown()
        ))
    })
}

/// Renames a file whose records are on a server now: it is kept, and in nobody's way.
fn set_aside(database: &Database) -> Result<()> {
    let Some(file) = database.file().filter(|file| file.is_file()) else { return Ok(()) };
    database.close();
    let aside = file.with_extension("db.copied");
    fs::rename(file, &aside).map_err(|e| Error::io("rename", file, e))
}

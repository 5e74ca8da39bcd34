//! Which tenants are there?

use std::fs;
use std::path::PathBuf;

use diesel::prelude::*;
use serde::Serialize;

use super::access::Access;
use super::database::door::{keys, people, sessions, tenants};
use super::database::lent::Schema;
use super::database::upsert::OnConflict;
use super::database::{Connection, Outcome};
use super::{DRAFTS, SOUND, TALK, is_sound};
use crate::access::{DEFAULT_TENANT, Limits, moment};
use crate::error::{Error, Result};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = TenantRecord)]
pub struct TenantRecord {
    /// Its name.
    pub name: String,
    /// When it was made, RFC 3339 in UTC; `null` for the one that owns the data directory.
    #[serde(serialize_with = "told")]
    #[schema(value_type = Option<String>)]
    pub created_at: Option<i64>,
    /// What it may use.
    pub limits: Limits,
    /// When it was removed.
    #[serde(skip)]
    pub deleted_at: Option<i64>,
}

fn told<S: serde::Serializer>(at: &Option<i64>, to: S) -> std::result::Result<S::Ok, S::Error> {
    at.map(moment::told).serialize(to)
}

impl TenantRecord {
    pub(super) fn of((name, created_at, limits, deleted_at): (String, i64, String, Option<i64>)) -> Self {
        // What cannot be read is no limit: the operator sees it in the list.
        let limits = serde_json::from_str(&limits).unwrap_or_default();
        Self { name, created_at: Some(created_at), limits, deleted_at }
    }
}

impl Access {
    /// The tenants, the one that owns the data directory first.
    pub fn tenants(&self) -> Result<Vec<TenantRecord>> {
        let found = self.database.read(|connection| {
            let rows: Vec<(String, i64, String, Option<i64>)> = tenants::table
                .filter(tenants::deleted_at.is_null())
                .order(tenants::name)
                .select((tenants::name, tenants::created_at, tenants::limits, tenants::deleted_at))
                .load(connection)?;
            Ok(rows)
        })?;
        let mut all: Vec<TenantRecord> =
            found.unwrap_or_default().into_iter().map(TenantRecord::of).collect();
        let first = match all.iter().position(|tenant| tenant.name == DEFAULT_TENANT) {
            Some(at) => TenantRecord { created_at: None, ..all.remove(at) },
            None => TenantRecord {
                name: DEFAULT_TENANT.to_owned(),
                created_at: None,
                limits: Limits::default(),
                deleted_at: None,
            },
        };
        all.insert(0, first);
        Ok(all)
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a name that is taken, or was, in whatever capitals; [`Error::Field`] for one that
    /// could not be a folder's, or that a command would take for a flag.
    pub fn create_tenant(&self, name: &str, limits: &Limits) -> Result<TenantRecord> {
        if !is_sound(name) || name.starts_with('-') {
            let message = format!("tenant name {name:?}: {SOUND}, nor with '-'");
            return Err(Error::Field { field: "name", message });
        }
        let text = serde_json::to_string(limits).map_err(|e| Error::internal("tenants", e))?;
        let now = moment::now();
        self.database.write(|connection| {
            let known: Option<Option<i64>> =
                tenants::table.find(name).select(tenants::deleted_at).first(connection).optional()?;
            if name == DEFAULT_TENANT || known == Some(None) {
                return Err(Error::Conflict(format!("there is a tenant {name} already")).into());
            }
            if known.is_some() {
                let message =
                    format!("tenant {name} was removed, and its name is not given again; choose another");
                return Err(Error::Conflict(message).into());
            }
            // The folders of both would be one where a file system takes capitals for the same.
            let names: Vec<String> = tenants::table.select(tenants::name).load(connection)?;
            let mut names = names.iter().map(String::as_str).chain([DEFAULT_TENANT]);
            if let Some(other) = names.find(|other| other.to_lowercase() == name.to_lowercase()) {
                let message = format!(
                    "there is a tenant {other} already, and names that differ in capitals only are one; choose another"
                );
                return Err(Error::Conflict(message).into());
            }
            diesel::insert_into(tenants::table)
                .values((tenants::name.eq(name), tenants::created_at.eq(now), tenants::limits.eq(&text)))
                .execute(connection)?;
            Ok(())
        })?;
        Ok(TenantRecord {
            name: name.to_owned(),
            created_at: Some(now),
            limits: limits.clone(),
            deleted_at: None,
        })
    }

    /// Changes what a tenant may use; the one that owns the data directory too.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of this name.
    pub fn limit_tenant(&self, name: &str, limits: &Limits) -> Result<()> {
        let text = serde_json::to_string(limits).map_err(|e| Error::internal("tenants", e))?;
        self.database.write(|connection| {
            require(connection, name)?;
            diesel::insert_into(tenants::table)
                .values((
                    tenants::name.eq(name),
                    tenants::created_at.eq(moment::now()),
                    tenants::limits.eq(&text),
                ))
                .or("(name) DO UPDATE SET limits = excluded.limits")
                .execute(connection)?;
            Ok(())
        })
    }

    /// Removes a tenant with its keys, people and all that it owns. Its audit stays.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of this name; [`Error::Conflict`] for
    /// the one that owns the data directory.
    pub fn delete_tenant(&self, name: &str) -> Result<()> {
        if name == DEFAULT_TENANT {
            let message = "tenant default owns the data directory and cannot be removed from it";
            return Err(Error::Conflict(message.to_owned()));
        }
        // First nobody comes in any more, then its data go: what a crash leaves between goes at
        // the next attempt, or with the next look of a server.
        self.database.write(|connection| {
            if self.folder_of(name).is_dir() && self.is_deleted(connection, name)? {
                return Ok(());
            }
            require(connection, name)?;
            let now = moment::now();
            diesel::update(tenants::table.find(name)).set(tenants::deleted_at.eq(now)).execute(connection)?;
            diesel::update(keys::table.filter(keys::tenant.eq(name)).filter(keys::revoked_at.is_null()))
                .set(keys::revoked_at.eq(now))
                .execute(connection)?;
            let theirs = people::table.filter(people::tenant.eq(name)).filter(people::deleted_at.is_null());
            let ids: Vec<String> = theirs.select(people::id).load(connection)?;
            diesel::delete(sessions::table.filter(sessions::person.eq_any(ids))).execute(connection)?;
            diesel::update(theirs).set(people::deleted_at.eq(now)).execute(connection)?;
            Ok(())
        })?;
        self.remove_data(name)
    }

    /// Removes what tenants that were deleted have left on this machine: each node has files
    /// of its own.
    ///
    /// # Errors
    /// When the records cannot be read, or a folder cannot be removed.
    pub fn sweep_deleted(&self) -> Result<()> {
        let gone: Option<Vec<String>> = self.database.read(|connection| {
            let gone = tenants::table.filter(tenants::deleted_at.is_not_null()).select(tenants::name);
            Ok(gone.load(connection)?)
        })?;
        let left = |name: &String| self.folder_of(name).is_dir();
        gone.unwrap_or_default().iter().filter(|name| left(name)).try_for_each(|name| self.remove_data(name))
    }

    fn folder_of(&self, tenant: &str) -> PathBuf {
        self.root.join("tenants").join(tenant)
    }

    fn is_deleted(&self, connection: &mut Connection, name: &str) -> Outcome<bool> {
        let found: Option<Option<i64>> =
            tenants::table.find(name).select(tenants::deleted_at).first(connection).optional()?;
        Ok(found.flatten().is_some())
    }

    fn remove_data(&self, name: &str) -> Result<()> {
        if let Some(schema) = self.database.schema() {
            for kind in [DRAFTS, TALK] {
                Schema::of(schema.cluster(), kind.schema, Some(name)).remove()?;
            }
        }
        let folder = self.folder_of(name);
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &folder, e)),
            _ => Ok(()),
        }
    }
}

/// Whether a tenant is there.
pub(super) fn require(connection: &mut Connection, name: &str) -> Outcome<()> {
    let found: Option<Option<i64>> =
        tenants::table.find(name).select(tenants::deleted_at).first(connection).optional()?;
    if name == DEFAULT_TENANT || found == Some(None) {
        return Ok(());
    }
    Err(Error::Absent { what: "tenant", name: name.to_owned() }.into())
}

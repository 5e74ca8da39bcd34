//! Which keys are there?

use diesel::prelude::*;
use serde::Serialize;

use super::access::{Access, sound_name};
use super::database::door::keys;
use super::database::{Connection, Outcome};
use super::{is_sound, tenants};
use crate::access::{Key, Limits, LimitsChange, Role, moment};
use crate::error::{Error, Result};

/// A key as it is listed: without what opens the door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = KeyRecord)]
pub struct KeyRecord {
    /// Its name in lists and histories, the first eight characters behind its role.
    pub id: String,
    /// The tenant whose data it opens.
    #[serde(skip)]
    pub tenant: String,
    /// What it is for.
    pub role: Role,
    /// The knowledge bases that it is for; `null` for all of the tenant.
    pub kbs: Option<Vec<String>>,
    /// What people call it.
    pub name: String,
    /// When it was made, RFC 3339 in UTC.
    #[serde(serialize_with = "told")]
    #[schema(value_type = String)]
    pub created_at: i64,
    /// From when on it is refused.
    #[serde(serialize_with = "told_if")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<i64>,
    /// When it was revoked.
    #[serde(serialize_with = "told_if")]
    #[schema(value_type = Option<String>)]
    pub revoked_at: Option<i64>,
    /// The id of the key that was made in its place.
    pub replaced_by: Option<String>,
    /// When it was used last, to the minute.
    #[serde(serialize_with = "told_if")]
    #[schema(value_type = Option<String>)]
    pub used_at: Option<i64>,
    /// What it may use.
    pub limits: Limits,
    /// The origins whose pages may use it; empty for those that the server allows.
    pub origins: Vec<String>,
}

pub(super) fn told<S: serde::Serializer>(at: &i64, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(&moment::told(*at))
}

pub(super) fn told_if<S: serde::Serializer>(at: &Option<i64>, to: S) -> std::result::Result<S::Ok, S::Error> {
    at.map(moment::told).serialize(to)
}

impl KeyRecord {
    /// Whether it opens the door at a moment.
    pub fn is_valid(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What a new key is for.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The tenant whose data it opens.
    pub tenant: String,
    /// What it is for.
    pub role: Role,
    /// The knowledge bases that it is for; `None` for all of the tenant.
    pub kbs: Option<Vec<String>>,
    /// What people call it.
    pub name: String,
    /// From when on it is refused, in milliseconds since 1970 (UTC).
    pub expires_at: Option<i64>,
    /// What it may use.
    pub limits: Limits,
    /// The origins whose pages may use it.
    pub origins: Vec<String>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = keys)]
pub(super) struct Row {
    id: String,
    tenant: String,
    role: String,
    kbs: Option<String>,
    name: String,
    pub(super) digest: Vec<u8>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    replaced_by: Option<String>,
    used_at: Option<i64>,
    limits: String,
    origins: String,
}

impl Row {
    fn of(key: &Key, new: NewKey, now: i64) -> Result<Self> {
        let wrong = |e| Error::internal("keys", e);
        Ok(Self {
            id: key.id().to_owned(),
            tenant: new.tenant,
            role: new.role.name().to_owned(),
            kbs: new.kbs.map(|kbs| serde_json::to_string(&kbs)).transpose().map_err(wrong)?,
            name: new.name,
            digest: key.digest().as_bytes().to_vec(),
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            replaced_by: None,
            used_at: None,
            limits: serde_json::to_string(&new.limits).map_err(wrong)?,
            origins: serde_json::to_string(&new.origins).map_err(wrong)?,
        })
    }

    /// As it is listed; `None` when this zhida cannot read it, and then it opens nothing.
    pub(super) fn told(self) -> Option<KeyRecord> {
        let kbs = match self.kbs {
            None => None,
            Some(kbs) => Some(serde_json::from_str(&kbs).ok()?),
        };
        Some(KeyRecord {
            id: self.id,
            tenant: self.tenant,
            role: Role::named(&self.role)?,
            kbs,
            name: self.name,
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            replaced_by: self.replaced_by,
            used_at: self.used_at,
            limits: serde_json::from_str(&self.limits).ok()?,
            origins: serde_json::from_str(&self.origins).ok()?,
        })
    }
}

impl Access {
    /// Makes a key. It is in the result and nowhere else.
    ///
    /// # Errors
    /// [`Error::Field`] for what a key cannot be; [`Error::Absent`] when there
    /// is no such tenant.
    pub fn create_key(&self, new: NewKey) -> Result<(Key, KeyRecord)> {
        let now = moment::now();
        let name = sound_name("name", "the key's name", &new.name)?;
        if let Some(kbs) = &new.kbs {
            if kbs.is_empty() {
                let message =
                    "a key for no knowledge base opens nothing; name some, or leave `kbs` away for all";
                return Err(Error::Field { field: "kbs", message: message.to_owned() });
            }
            if let Some(kb) = kbs.iter().find(|kb| !is_sound(kb)) {
                let message = format!("{kb:?} is no name of a knowledge base");
                return Err(Error::Field { field: "kbs", message });
            }
        }
        if new.expires_at.is_some_and(|end| end <= now) {
            let message = "the key would have expired already; give a later date".to_owned();
            return Err(Error::Field { field: "expires", message });
        }
        if new.limits.entries.is_some() || new.limits.storage.is_some() {
            let message = "entries and storage are limited for a tenant, not for a key";
            return Err(Error::Field { field: "limits", message: message.to_owned() });
        }
        let key = Key::generate(new.role)?;
        let tenant = new.tenant.clone();
        let row = Row::of(&key, NewKey { name, ..new }, now)?;
        let record = row.clone().told().ok_or_else(|| Error::internal("keys", "a new key cannot be read"))?;
        self.database.write(|connection| {
            tenants::require(connection, &tenant)?;
            diesel::insert_into(keys::table).values(&row).execute(connection)?;
            Ok(())
        })?;
        Ok((key, record))
    }

    /// The keys of a tenant, the oldest first.
    pub fn keys(&self, tenant: &str) -> Result<Vec<KeyRecord>> {
        let rows = self.database.read(|connection| {
            let rows: Vec<Row> = keys::table
                .filter(keys::tenant.eq(tenant))
                .order((keys::created_at, keys::id))
                .select(Row::as_select())
                .load(connection)?;
            Ok(rows)
        })?;
        Ok(rows.unwrap_or_default().into_iter().filter_map(Row::told).collect())
    }

    /// Revokes a key of a tenant; every process refuses it from its next request on.
    ///
    /// # Errors
    /// [`Error::Absent`] when the tenant has none of this id.
    pub fn revoke_key(&self, tenant: &str, id: &str) -> Result<KeyRecord> {
        self.database.write(|connection| {
            find(connection, tenant, id)?;
            // The moment of the first time stays.
            diesel::update(keys::table.find(id).filter(keys::revoked_at.is_null()))
                .set(keys::revoked_at.eq(moment::now()))
                .execute(connection)?;
            find(connection, tenant, id)
        })
    }

    /// Makes a key in the place of another one, which is valid for some more
    /// milliseconds.
    ///
    /// # Errors
    /// [`Error::Absent`] when the tenant has none of this id; [`Error::Conflict`]
    /// when it is not valid any more or was replaced already.
    pub fn rotate_key(&self, tenant: &str, id: &str, overlap: i64) -> Result<(Key, KeyRecord)> {
        let now = moment::now();
        self.database.write(|connection| {
            let old = find(connection, tenant, id)?;
            if let Some(other) = &old.replaced_by {
                return Err(Error::Conflict(format!("key {id} was replaced by {other} already")).into());
            }
            if !old.is_valid(now) {
                let message = format!("key {id} is not valid any more; create a new one");
                return Err(Error::Conflict(message).into());
            }
            let key = Key::generate(old.role)?;
            let new = NewKey {
                tenant: old.tenant,
                role: old.role,
                kbs: old.kbs,
                name: old.name,
                expires_at: old.expires_at,
                limits: old.limits,
                origins: old.origins,
            };
            let row = Row::of(&key, new, now)?;
            diesel::insert_into(keys::table).values(&row).execute(connection)?;
            let end = now.saturating_add(overlap.max(0));
            diesel::update(keys::table.find(id))
                .set((
                    keys::replaced_by.eq(key.id()),
                    keys::expires_at.eq(old.expires_at.map_or(end, |expires| expires.min(end))),
                ))
                .execute(connection)?;
            let record = find(connection, tenant, key.id())?;
            Ok((key, record))
        })
    }

    /// Changes what a key may use.
    ///
    /// # Errors
    /// [`Error::Absent`] when the tenant has none of this id.
    pub fn limit_key(
        &self,
        tenant: &str,
        id: &str,
        limits: Option<&LimitsChange>,
        origins: Option<&[String]>,
    ) -> Result<KeyRecord> {
        let wrong = |e| Error::internal("keys", e);
        self.database.write(|connection| {
            let known = find(connection, tenant, id)?;
            if let Some(limits) = limits {
                let text = serde_json::to_string(&limits.of(&known.limits)).map_err(wrong)?;
                diesel::update(keys::table.find(id)).set(keys::limits.eq(text)).execute(connection)?;
            }
            if let Some(origins) = origins {
                let text = serde_json::to_string(origins).map_err(wrong)?;
                diesel::update(keys::table.find(id)).set(keys::origins.eq(text)).execute(connection)?;
            }
            find(connection, tenant, id)
        })
    }
}

/// A key of a tenant; one of another tenant is none.
fn find(connection: &mut Connection, tenant: &str, id: &str) -> Outcome<KeyRecord> {
    let row: Option<Row> = keys::table
        .find(id)
        .filter(keys::tenant.eq(tenant))
        .select(Row::as_select())
        .first(connection)
        .optional()?;
    let absent = || Error::Absent { what: "key", name: id.to_owned() };
    Ok(row.and_then(Row::told).ok_or_else(absent)?)
}

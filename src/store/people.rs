//! Who are the people that sign in?

use diesel::prelude::*;
use serde::Serialize;

use super::access::{Access, sound_name};
use super::database::door::{keys, links, people, sessions};
use super::database::{Connection, Outcome};
use super::keys::{Row as KeyRow, told, told_if};
use super::{is_sound, tenants};
use crate::access::{Role, moment};
use crate::error::{Error, Result};

/// How somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignIn {
    /// With a password.
    Password,
    /// At the provider (OpenID Connect), as an admin said.
    Provider,
    /// At the provider, who also says what they are for.
    Mapped,
}

impl SignIn {
    const ALL: [Self; 3] = [Self::Password, Self::Provider, Self::Mapped];

    /// As it is stored and told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Provider => "provider",
            Self::Mapped => "mapped",
        }
    }
}

/// A person as they are listed: without what lets them in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PersonRecord)]
pub struct PersonRecord {
    /// Their name in addresses and the audit.
    pub id: String,
    /// The tenant whose data they may see.
    #[serde(skip)]
    pub tenant: String,
    /// What they sign in with, in small letters; histories have it too.
    pub name: String,
    /// What others call them.
    pub display_name: String,
    /// What they are for.
    pub role: Role,
    /// The knowledge bases that they may know of; `null` for all of the tenant.
    pub kbs: Option<Vec<String>>,
    /// How they sign in.
    pub sign_in: SignIn,
    /// Whether they have a password; somebody who was invited has none yet.
    pub has_password: bool,
    /// Since when, RFC 3339 in UTC.
    #[serde(serialize_with = "told")]
    #[schema(value_type = String)]
    pub created_at: i64,
    /// When they signed in last.
    #[serde(serialize_with = "told_if")]
    #[schema(value_type = Option<String>)]
    pub signed_in_at: Option<i64>,
    /// Since when they may not come in any more.
    #[serde(serialize_with = "told_if")]
    #[schema(value_type = Option<String>)]
    pub disabled_at: Option<i64>,
}

/// A new person.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// The tenant whose data they may see.
    pub tenant: String,
    /// What they sign in with.
    pub name: String,
    /// What others call them; empty for the name.
    pub display_name: String,
    /// What they are for.
    pub role: Role,
    /// The knowledge bases that they may know of; `None` for all.
    pub kbs: Option<Vec<String>>,
    /// How they sign in.
    pub sign_in: SignIn,
    /// The hash of their password, if they have one already.
    pub password: Option<String>,
    /// Who they are at the provider.
    pub subject: Option<String>,
}

/// What is changed of a person; nothing said stays.
#[derive(Debug, Clone, Default)]
pub struct PersonChange {
    /// What others call them.
    pub display_name: Option<String>,
    /// What they are for.
    pub role: Option<Role>,
    /// The knowledge bases that they may know of; `Some(None)` for all.
    pub kbs: Option<Option<Vec<String>>>,
    /// Whether they may not come in.
    pub disabled: Option<bool>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = people)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) tenant: String,
    name: String,
    display_name: String,
    role: String,
    kbs: Option<String>,
    sign_in: String,
    pub(super) password: Option<String>,
    pub(super) subject: Option<String>,
    created_at: i64,
    password_at: Option<i64>,
    signed_in_at: Option<i64>,
    disabled_at: Option<i64>,
    deleted_at: Option<i64>,
}

impl Row {
    /// As they are listed; `None` when this zhida cannot read it, and then they may not come in.
    pub(super) fn told(self) -> Option<PersonRecord> {
        let kbs = match self.kbs {
            None => None,
            Some(kbs) => Some(serde_json::from_str(&kbs).ok()?),
        };
        Some(PersonRecord {
            id: self.id,
            tenant: self.tenant,
            name: self.name,
            display_name: self.display_name,
            role: Role::named(&self.role)?,
            kbs,
            sign_in: SignIn::ALL.into_iter().find(|known| known.name() == self.sign_in)?,
            has_password: self.password.is_some(),
            created_at: self.created_at,
            signed_in_at: self.signed_in_at,
            disabled_at: self.disabled_at,
        })
    }
}

impl Access {
    /// Makes a person.
    ///
    /// # Errors
    /// [`Error::Field`] for what a person cannot be, [`Error::Conflict`] for a name that is taken; [`Error::Absent`] when there
    /// is no such tenant.
    pub fn create_person(&self, new: NewPerson) -> Result<PersonRecord> {
        self.database.write(|connection| create(connection, new))
    }

    /// The people of a tenant, by name.
    pub fn people(&self, tenant: &str) -> Result<Vec<PersonRecord>> {
        let rows = self.database.read(|connection| {
            let rows: Vec<Row> = people::table
                .filter(people::tenant.eq(tenant))
                .filter(people::deleted_at.is_null())
                .order(people::name)
                .select(Row::as_select())
                .load(connection)?;
            Ok(rows)
        })?;
        Ok(rows.unwrap_or_default().into_iter().filter_map(Row::told).collect())
    }

    /// A person of a tenant, by id or name.
    ///
    /// # Errors
    /// [`Error::Absent`] when the tenant has none.
    pub fn person(&self, tenant: &str, who: &str) -> Result<PersonRecord> {
        let found = self.database.read(|connection| find(connection, tenant, who))?;
        found.ok_or_else(|| absent(who))
    }

    /// Changes a person, and gives back what they were and are. It counts from the
    /// next request on; whoever may not come in any more has no session left.
    ///
    /// # Errors
    /// [`Error::Absent`] when the tenant has none; [`Error::Conflict`] when nobody
    /// would be left who can undo it.
    pub fn change_person(
        &self,
        tenant: &str,
        who: &str,
        change: &PersonChange,
    ) -> Result<(PersonRecord, PersonRecord)> {
        self.database.write(|connection| {
            let before = find(connection, tenant, who)?;
            let id = before.id.as_str();
            if let Some(name) = &change.display_name {
                let name = sound_name("display_name", "the display name", name)?;
                diesel::update(people::table.find(id))
                    .set(people::display_name.eq(name))
                    .execute(connection)?;
            }
            if let Some(role) = change.role {
                diesel::update(people::table.find(id))
                    .set(people::role.eq(role.name()))
                    .execute(connection)?;
            }
            if let Some(kbs) = &change.kbs {
                let kbs = stored_kbs(kbs.as_deref())?;
                diesel::update(people::table.find(id)).set(people::kbs.eq(kbs)).execute(connection)?;
            }
            match change.disabled {
                Some(true) if before.disabled_at.is_none() => {
                    let now = moment::now();
                    diesel::update(people::table.find(id))
                        .set(people::disabled_at.eq(now))
                        .execute(connection)?;
                    turn_out(connection, id)?;
                }
                Some(false) => {
                    let never: Option<i64> = None;
                    diesel::update(people::table.find(id))
                        .set(people::disabled_at.eq(never))
                        .execute(connection)?;
                }
                _ => {}
            }
            let after = find(connection, tenant, id)?;
            keep_an_admin(connection, &before, tenant)?;
            Ok((before, after))
        })
    }

    /// Sets somebody's password by its hash. All their sessions end, and links that
    /// would set it once more.
    ///
    /// # Errors
    /// [`Error::Absent`] when the tenant has none; [`Error::Conflict`] for somebody
    /// who signs in elsewhere.
    pub fn set_password(&self, tenant: &str, who: &str, hash: &str) -> Result<PersonRecord> {
        self.database.write(|connection| {
            let person = find(connection, tenant, who)?;
            set_password(connection, &person, hash)?;
            find(connection, tenant, &person.id)
        })
    }

    /// Removes a person. Their name is free again, and stays in histories.
    ///
    /// # Errors
    /// As [`Self::change_person`].
    pub fn remove_person(&self, tenant: &str, who: &str) -> Result<PersonRecord> {
        self.database.write(|connection| {
            let person = find(connection, tenant, who)?;
            let (now, nothing) = (moment::now(), None::<String>);
            diesel::update(people::table.find(&person.id))
                .set((
                    people::deleted_at.eq(now),
                    people::password.eq(&nothing),
                    people::subject.eq(&nothing),
                ))
                .execute(connection)?;
            turn_out(connection, &person.id)?;
            keep_an_admin(connection, &person, tenant)?;
            Ok(person)
        })
    }

    /// The password's hash of somebody who signs in under a name, and who it is;
    /// also of somebody who may not come in.
    pub fn by_password(&self, tenant: &str, name: &str) -> Result<Option<(PersonRecord, Option<String>)>> {
        let found = self.database.read(|connection| row(connection, tenant, &folded(name)))?;
        Ok(found.flatten().and_then(|row| {
            let hash = row.password.clone();
            Some((row.told()?, hash))
        }))
    }

    /// Somebody by who they are at the provider.
    pub fn by_subject(&self, tenant: &str, subject: &str) -> Result<Option<PersonRecord>> {
        let found = self.database.read(|connection| {
            Ok(people::table
                .filter(people::tenant.eq(tenant))
                .filter(people::subject.eq(subject).assume_not_null())
                .filter(people::deleted_at.is_null())
                .select(Row::as_select())
                .first::<Row>(connection)
                .optional()?)
        })?;
        Ok(found.flatten().and_then(Row::told))
    }

    /// Who somebody is at the provider, if they came from there before.
    pub fn subject_of(&self, id: &str) -> Result<Option<String>> {
        let found: Option<Option<Option<String>>> = self.database.read(|connection| {
            Ok(people::table.find(id).select(people::subject).first(connection).optional()?)
        })?;
        Ok(found.flatten().flatten())
    }

    /// Notes who somebody is at the provider, when they come from there first.
    pub fn bind_subject(&self, id: &str, subject: &str) -> Result<()> {
        self.database.write(|connection| {
            diesel::update(people::table.find(id).filter(people::subject.is_null()))
                .set(people::subject.eq(subject))
                .execute(connection)?;
            Ok(())
        })
    }
}

/// A name as it is stored: whoever signs in does not mind capitals.
pub fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

pub(super) fn create(connection: &mut Connection, new: NewPerson) -> Outcome<PersonRecord> {
    let name = folded(&new.name);
    let is_name = |name: &str| is_sound(&name.replacen('@', "-", 1));
    if !is_name(&name) {
        let message = format!(
            "the name {name:?} cannot be used: 1 to 64 letters, digits, Chinese characters, '-', '_', '.', or an address with '@'"
        );
        return Err(Error::Field { field: "name", message }.into());
    }
    let display_name = sound_name("display_name", "the display name", &new.display_name)?;
    tenants::require(connection, &new.tenant)?;
    if row(connection, &new.tenant, &name)?.is_some() {
        return Err(Error::Conflict(format!("somebody is called {name} already")).into());
    }
    let now = moment::now();
    let row = Row {
        id: uuid::Uuid::now_v7().simple().to_string(),
        tenant: new.tenant,
        display_name: if display_name.is_empty() { name.clone() } else { display_name },
        name,
        role: new.role.name().to_owned(),
        kbs: stored_kbs(new.kbs.as_deref())?,
        sign_in: new.sign_in.name().to_owned(),
        password_at: new.password.as_ref().map(|_| now),
        password: new.password,
        subject: new.subject,
        created_at: now,
        signed_in_at: None,
        disabled_at: None,
        deleted_at: None,
    };
    diesel::insert_into(people::table).values(&row).execute(connection)?;
    Ok(row.told().ok_or_else(|| Error::internal("people", "a new person cannot be read"))?)
}

pub(super) fn set_password(connection: &mut Connection, person: &PersonRecord, hash: &str) -> Outcome<()> {
    if person.sign_in != SignIn::Password {
        let message = format!("{} signs in at the provider and has no password here", person.name);
        return Err(Error::Conflict(message).into());
    }
    diesel::update(people::table.find(&person.id))
        .set((people::password.eq(hash), people::password_at.eq(moment::now())))
        .execute(connection)?;
    turn_out(connection, &person.id)
}

/// Ends all sessions of somebody, and the links that would let them in.
fn turn_out(connection: &mut Connection, person: &str) -> Outcome<()> {
    diesel::delete(sessions::table.filter(sessions::person.eq(person))).execute(connection)?;
    diesel::delete(links::table.filter(links::person.eq(person).assume_not_null())).execute(connection)?;
    Ok(())
}

/// A person of a tenant by id or name; one of another tenant is none.
pub(super) fn find(connection: &mut Connection, tenant: &str, who: &str) -> Outcome<PersonRecord> {
    let by_id: Option<Row> = people::table
        .find(who)
        .filter(people::tenant.eq(tenant))
        .filter(people::deleted_at.is_null())
        .select(Row::as_select())
        .first(connection)
        .optional()?;
    let found = match by_id {
        Some(row) => Some(row),
        None => row(connection, tenant, &folded(who))?,
    };
    Ok(found.and_then(Row::told).ok_or_else(|| absent(who))?)
}

fn row(connection: &mut Connection, tenant: &str, name: &str) -> Outcome<Option<Row>> {
    Ok(people::table
        .filter(people::tenant.eq(tenant))
        .filter(people::name.eq(name))
        .filter(people::deleted_at.is_null())
        .select(Row::as_select())
        .first(connection)
        .optional()?)
}

fn absent(who: &str) -> Error {
    Error::Absent { what: "person", name: who.to_owned() }
}

fn stored_kbs(kbs: Option<&[String]>) -> Result<Option<String>> {
    let Some(kbs) = kbs else { return Ok(None) };
    if kbs.is_empty() {
        let message = "a person for no knowledge base sees nothing; name some, or leave `kbs` away for all";
        return Err(Error::Field { field: "kbs", message: message.to_owned() });
    }
    if let Some(kb) = kbs.iter().find(|kb| !is_sound(kb)) {
        let message = format!("{kb:?} is no name of a knowledge base");
        return Err(Error::Field { field: "kbs", message });
    }
    serde_json::to_string(kbs).map(Some).map_err(|e| Error::internal("people", e))
}

/// Refuses to take the last admin of a tenant away, who alone could undo it.
fn keep_an_admin(connection: &mut Connection, before: &PersonRecord, tenant: &str) -> Outcome<()> {
    let was_one = before.role == Role::Admin && before.kbs.is_none() && before.disabled_at.is_none();
    if !was_one {
        return Ok(());
    }
    let admins: i64 = people::table
        .filter(people::tenant.eq(tenant))
        .filter(people::role.eq(Role::Admin.name()))
        .filter(people::kbs.is_null())
        .filter(people::disabled_at.is_null())
        .filter(people::deleted_at.is_null())
        .count()
        .get_result(connection)?;
    let keys: Vec<KeyRow> = keys::table
        .filter(keys::tenant.eq(tenant))
        .filter(keys::role.eq(Role::Admin.name()))
        .filter(keys::kbs.is_null())
        .select(KeyRow::as_select())
        .load(connection)?;
    let now = moment::now();
    if admins > 0 || keys.into_iter().filter_map(KeyRow::told).any(|key| key.is_valid(now)) {
        return Ok(());
    }
    let message = format!("{} is the last admin; make another one first", before.name);
    Err(Error::Conflict(message).into())
}

//! Who is let in, at this moment?
//!
//! The whole table of keys is in memory, and every look at it first asks the
//! database whether anybody has written (`database/watch.rs`). So a key that
//! was revoked by any process is refused from the next request on, and no
//! request waits for a disk.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::prelude::*;

use super::database::door::{keys, people as persons, questions, sessions as open, tenants};
use super::database::watch::Watch;
use super::database::{Connection, Database, Durability, Outcome};
use super::{
    DOOR, KeyRecord, PersonRecord, SessionRecord, Store, TenantRecord, keys as rows, people, sessions,
};
use crate::access::{DEFAULT_TENANT, Digest, Identity, Key, Limits, Scope, Token, moment};
use crate::error::{Error, Result};

/// How old the table may be where the data directory cannot be written.
const OLD: Duration = Duration::from_millis(500);

/// The tenants, keys and audit of a data directory and of the tenants in it.
#[derive(Debug, Clone)]
pub struct Access {
    pub(super) root: PathBuf,
    pub(super) database: Arc<Database>,
    cached: Arc<Mutex<Cached>>,
}

struct Cached {
    watch: Watch,
    table: Arc<Table>,
    read: Option<Instant>,
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

/// Everybody who may come in, at a moment.
#[derive(Debug, Default)]
pub struct Table {
    keys: HashMap<String, Known>,
    /// By id.
    people: HashMap<String, PersonRecord>,
    /// Whether there has ever been somebody, also one who went.
    has_people: bool,
    /// By id.
    sessions: HashMap<String, Session>,
    tenants: BTreeMap<String, TenantRecord>,
}

#[derive(Debug)]
struct Known {
    record: KeyRecord,
    digest: Digest,
}

#[derive(Debug)]
struct Session {
    record: SessionRecord,
    digest: Digest,
}

/// What somebody may do, and how much of it.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// What the key may use.
    pub limits: Limits,
    /// The origins whose pages may use it; empty for those that the server allows.
    pub origins: Vec<String>,
}

/// Questions of a month, by tenant and key; the empty key is the tenant as a whole.
pub type Counted = HashMap<(String, String), u64>;

impl Store {
    /// Who may come into this data directory. Tenants share the one of the
    /// directory that they lie in.
    pub fn access(&self) -> Access {
        let database = if self.database.is_read_only() {
            Database::read_only(&self.root, DOOR)
        } else {
            Database::at(&self.root, DOOR)
        };
        let cached = Cached { watch: Watch::new(), table: Arc::default(), read: None };
        Access { root: self.root.clone(), database: Arc::new(database), cached: Arc::new(Mutex::new(cached)) }
    }
}

impl Access {
    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Who may come in now. When the database has vanished or cannot be read,
    /// that is who might before: a damaged file opens no door.
    pub fn table(&self) -> Arc<Table> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        match self.fresh(&mut cached) {
            Ok(Some(table)) => cached.table = Arc::new(table),
            Ok(None) => {}
            Err(error) => {
                // The next look tries anew.
                cached.watch = Watch::new();
                tracing::error!(%error, "who may come in cannot be read; whoever might before still may");
            }
        }
        Arc::clone(&cached.table)
    }

    /// The table if there is a newer one.
    fn fresh(&self, cached: &mut Cached) -> Result<Option<Table>> {
        if !self.database.is_read_only() {
            match cached.watch.changed(self.database.path()) {
                Ok(Some(true)) => return self.read().map(Some),
                Ok(_) => return Ok(None),
                // A file system that cannot be written: it is read now and then.
                Err(_) => cached.watch = Watch::new(),
            }
        }
        if cached.read.is_some_and(|read| read.elapsed() < OLD) || !self.database.is_there() {
            return Ok(None);
        }
        cached.read = Some(Instant::now());
        self.read().map(Some)
    }

    fn read(&self) -> Result<Table> {
        let read = self.database.read(|connection| {
            let found: Vec<rows::Row> = keys::table.select(rows::Row::as_select()).load(connection)?;
            let mut known = HashMap::with_capacity(found.len());
            for row in found {
                let Some(digest) = Digest::stored(&row.digest) else { continue };
                let Some(record) = row.told() else { continue };
                known.insert(record.id.clone(), Known { record, digest });
            }
            let has_people = persons::table.count().get_result::<i64>(connection)? > 0;
            let found: Vec<people::Row> = persons::table
                .filter(persons::deleted_at.is_null())
                .select(people::Row::as_select())
                .load(connection)?;
            let people =
                found.into_iter().filter_map(people::Row::told).map(|one| (one.id.clone(), one)).collect();
            let found: Vec<sessions::Row> =
                open::table.select(sessions::Row::as_select()).load(connection)?;
            let mut sessions = HashMap::with_capacity(found.len());
            for row in found {
                let Some(digest) = Digest::stored(&row.digest) else { continue };
                let record = row.told();
                sessions.insert(record.id.clone(), Session { record, digest });
            }
            let tenants: Vec<(String, i64, String, Option<i64>)> = tenants::table
                .select((tenants::name, tenants::created_at, tenants::limits, tenants::deleted_at))
                .load(connection)?;
            let tenants =
                tenants.into_iter().map(TenantRecord::of).map(|one| (one.name.clone(), one)).collect();
            Ok(Table { keys: known, people, has_people, sessions, tenants })
        })?;
        Ok(read.unwrap_or_default())
    }

    /// Notes when keys were used last. Coarse, and lost with the power: it tells
    /// people which keys nobody needs.
    pub fn used(&self, moments: &[(String, i64)]) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            for (id, at) in moments {
                diesel::update(keys::table.find(id)).set(keys::used_at.eq(*at)).execute(connection)?;
            }
            Ok(())
        })
    }

    /// Adds questions to those of a month, and gives back all of it: other
    /// processes count too.
    pub fn count(&self, month: &str, more: &Counted) -> Result<Counted> {
        if more.is_empty() {
            return Ok(self.database.read(|connection| counted(connection, month))?.unwrap_or_default());
        }
        self.database.write_as(Durability::Written, |connection| {
            for ((tenant, key), number) in more {
                let number = i64::try_from(*number).unwrap_or(i64::MAX);
                diesel::insert_into(questions::table)
                    .values((
                        questions::month.eq(month),
                        questions::tenant.eq(tenant),
                        questions::key.eq(key),
                        questions::count.eq(number),
                    ))
                    .on_conflict((questions::month, questions::tenant, questions::key))
                    .do_update()
                    .set(questions::count.eq(questions::count + number))
                    .execute(connection)?;
            }
            counted(connection, month)
        })
    }
}

fn counted(connection: &mut Connection, month: &str) -> Outcome<Counted> {
    let rows: Vec<(String, String, i64)> = questions::table
        .filter(questions::month.eq(month))
        .select((questions::tenant, questions::key, questions::count))
        .load(connection)?;
    Ok(rows
        .into_iter()
        .map(|(tenant, key, count)| ((tenant, key), u64::try_from(count).unwrap_or_default()))
        .collect())
}

impl Table {
    /// Whether there has never been a key or a person: else nobody comes in without
    /// being one.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty() && !self.has_people
    }

    /// Who comes with a session; `None` when it has ended.
    pub fn in_session(&self, token: &Token, now: i64) -> Option<Grant> {
        let known = self.sessions.get(token.id())?;
        let person = self.people.get(&known.record.person)?;
        if !known.digest.matches(&token.digest())
            || !known.record.lasts(now)
            || person.disabled_at.is_some()
            || !self.has_tenant(&person.tenant)
        {
            return None;
        }
        let identity = Identity {
            tenant: person.tenant.clone(),
            id: Some(person.id.clone()),
            name: person.name.clone(),
            role: person.role,
            scope: person.kbs.clone().map_or(Scope::All, Scope::Named),
            session: Some(known.record.id.clone()),
        };
        Some(Grant { identity: Arc::new(identity), limits: Limits::default(), origins: Vec::new() })
    }

    /// A person by id.
    pub fn person(&self, id: &str) -> Option<&PersonRecord> {
        self.people.get(id)
    }

    /// A session by id.
    pub fn session(&self, id: &str) -> Option<&SessionRecord> {
        self.sessions.get(id).map(|session| &session.record)
    }

    /// Who presents a key; `None` when nobody may come in with it.
    pub fn identify(&self, key: &Key, now: i64) -> Option<Grant> {
        let known = self.keys.get(key.id())?;
        let KeyRecord { tenant, role, name, .. } = &known.record;
        if !known.digest.matches(&key.digest()) || !known.record.is_valid(now) || !self.has_tenant(tenant) {
            return None;
        }
        let scope = known.record.kbs.clone().map_or(Scope::All, Scope::Named);
        let identity = Identity {
            tenant: tenant.clone(),
            id: Some(known.record.id.clone()),
            name: name.clone(),
            role: *role,
            scope,
            session: None,
        };
        Some(Grant {
            identity: Arc::new(identity),
            limits: known.record.limits.clone(),
            origins: known.record.origins.clone(),
        })
    }

    /// Whether a tenant is there.
    pub fn has_tenant(&self, name: &str) -> bool {
        match self.tenants.get(name) {
            Some(tenant) => tenant.deleted_at.is_none(),
            // The first one owns the data directory, and may have no row.
            None => name == DEFAULT_TENANT,
        }
    }

    /// What a tenant may use.
    pub fn limits(&self, tenant: &str) -> Limits {
        self.tenants.get(tenant).map(|tenant| tenant.limits.clone()).unwrap_or_default()
    }

    /// Whether a key with an id is there.
    pub fn has_key(&self, id: &str) -> bool {
        self.keys.contains_key(id)
    }

    /// Whether pages of an origin may use any key that is valid.
    pub fn allows_origin(&self, origin: &str) -> bool {
        let now = moment::now();
        self.keys.values().any(|known| {
            known.record.is_valid(now) && known.record.origins.iter().any(|allowed| allowed == origin)
        })
    }
}

/// A name that people read: a line of visible text.
pub(super) fn sound_name(what: &str, name: &str) -> Result<String> {
    let name = name.trim();
    if name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Error::Conflict(format!("{what}: a name has at most 100 characters and is one line")));
    }
    Ok(name.to_owned())
}

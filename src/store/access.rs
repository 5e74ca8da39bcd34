//! Who is let in, at this moment?
//!
//! The whole table of keys is in memory, and every look at it first asks the
//! database whether anybody has written (`database/watch.rs`). So a key that
//! was revoked by any process is refused from the next request on, and no
//! request waits for a disk. A server is looked at ten times a second beside all
//! requests; only whoever is in no table waits for the next look
//! ([`Access::catch_up`]), for another node may have let them in a moment ago.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use tokio::sync::watch;

use super::database::door::{keys, people as persons, questions, sessions as open, tenants};
use super::database::upsert::OnConflict;
use super::database::watch::Watch;
use super::database::{Connection, Database, Durability, Outcome};
use super::{
    DOOR, KeyRecord, PersonRecord, SessionRecord, Store, TenantRecord, keys as rows, people, sessions,
};
use crate::access::{DEFAULT_TENANT, Digest, Identity, Key, Limits, Scope, Token, moment};
use crate::error::{Error, Result};

/// How old the table may be where the data directory cannot be written.
const OLD: Duration = Duration::from_millis(500);

/// How often a server is asked whether anybody has written.
const LOOK: Duration = Duration::from_millis(100);

/// A request waits no longer than this for what its own process has written.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long a server that could not be asked is left alone.
const REST: Duration = Duration::from_secs(1);

/// Those whom nobody knows bring the next look forward no more often than this: however
/// many come with made-up keys, the server is asked four times a second more.
const HURRY: Duration = Duration::from_millis(250);

/// They wait no longer than this for a look.
const STRANGER: Duration = Duration::from_secs(2);

/// The tenants, keys and audit of a data directory and of the tenants in it.
#[derive(Debug, Clone)]
pub struct Access {
    pub(super) root: PathBuf,
    pub(super) database: Arc<Database>,
    cached: Arc<Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    table: RwLock<Arc<Table>>,
    looked: Mutex<Looked>,
    tended: Mutex<Tended>,
    /// Told when a look is over, and when one is wanted.
    turn: Condvar,
    /// The last look at a server that has worked, for who waits without a thread.
    worked: watch::Sender<u64>,
}

/// How somebody looks at the server again and again.
#[derive(Debug, Default)]
struct Tended {
    /// Whether somebody does.
    is_on: bool,
    /// How often this process had written when the last look began.
    seen: u64,
    /// Whether somebody waits for a look.
    is_wanted: bool,
    /// The last look that has begun.
    begun: u64,
    /// Whether the last one that is over could not ask the server.
    is_failing: bool,
    /// When somebody whom nobody knows brought one forward last.
    hurried: Option<Instant>,
}

/// What the last look at the database has shown.
#[derive(Debug, Default)]
struct Looked {
    watch: Watch,
    read: Option<Instant>,
    /// Whether that was said.
    is_failing: bool,
    /// How often anybody had written on a server.
    writes: i64,
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
        let ground = super::Ground { tenant: None, ..self.ground.clone() };
        let database = ground.database(&self.root, DOOR);
        Access { root: self.root.clone(), database, cached: Arc::default() }
    }
}

impl Access {
    /// Whether it is on a server that several nodes share.
    pub fn is_on_server(&self) -> bool {
        self.database.file().is_none()
    }

    /// Whether anything was recorded there, ever.
    pub fn is_there(&self) -> bool {
        self.database.is_there()
    }

    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Who may come in now. When the database has vanished or cannot be read,
    /// that is who might before: a damaged file opens no door.
    pub fn table(&self) -> Arc<Table> {
        match self.database.file() {
            Some(_) => {
                self.look();
            }
            None => self.tend(),
        }
        self.as_seen()
    }

    /// The same as of the last look.
    pub fn as_seen(&self) -> Arc<Table> {
        Arc::clone(&self.cached.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sees to it that a server is looked at as long as anybody holds this: it is far away,
    /// and no request waits for it, except for what its own process has written, a moment.
    fn tend(&self) {
        let written = self.database.written();
        let mut tended = self.tended();
        if tended.is_on {
            if tended.seen < written {
                tended.is_wanted = true;
                self.cached.turn.notify_all();
                let waited =
                    self.cached.turn.wait_timeout_while(tended, PATIENCE, |tended| tended.seen < written);
                drop(waited);
            }
            return;
        }
        tended.is_on = true;
        tended.seen = written;
        drop(tended);
        self.look();
        let (database, cached) = (Arc::downgrade(&self.database), Arc::downgrade(&self.cached));
        let root = self.root.clone();
        let tending = std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while let (Some(database), Some(cached)) = (database.upgrade(), cached.upgrade()) {
                Self { root: root.clone(), database, cached }.look_and_rest();
            }
        });
        if let Err(error) = tending {
            tracing::warn!(%error, "keys are looked up at every request");
            self.tended().is_on = false;
        }
    }

    /// Waits until the table has what other nodes had written when this was called; `false`
    /// when the server does not tell in time. In files every call of [`Self::table`] looks.
    pub async fn catch_up(&self) -> bool {
        let wanted = {
            let mut tended = self.tended();
            if !tended.is_on || tended.is_failing {
                return !tended.is_on;
            }
            if tended.hurried.is_none_or(|last| last.elapsed() >= HURRY) {
                tended.hurried = Some(Instant::now());
                tended.is_wanted = true;
                self.cached.turn.notify_all();
            }
            // The one that is under way may have begun too early.
            tended.begun + 1
        };
        let mut worked = self.cached.worked.subscribe();
        let seen = tokio::time::timeout(STRANGER, worked.wait_for(|last| *last >= wanted)).await;
        seen.is_ok_and(|seen| seen.is_ok())
    }

    fn look_and_rest(&self) {
        let written = self.database.written();
        let number = {
            let mut tended = self.tended();
            tended.is_wanted = false;
            tended.begun += 1;
            tended.begun
        };
        let worked = self.look();
        let mut tended = self.tended();
        if worked {
            tended.seen = written;
            self.cached.worked.send_replace(number);
        }
        tended.is_failing = !worked;
        self.cached.turn.notify_all();
        let rest = if worked { LOOK } else { REST };
        drop(self.cached.turn.wait_timeout_while(tended, rest, |tended| !tended.is_wanted));
    }

    fn tended(&self) -> MutexGuard<'_, Tended> {
        self.cached.tended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.cached.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what is new; whether the database could be asked.
    fn look(&self) -> bool {
        let mut looked = self.looked();
        match self.fresh(&mut looked) {
            Ok(table) => {
                looked.is_failing = false;
                if let Some(table) = table {
                    *self.cached.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
                }
                true
            }
            Err(error) => {
                // The next look tries anew.
                looked.watch = Watch::default();
                if !std::mem::replace(&mut looked.is_failing, true) {
                    tracing::error!(%error, "who may come in cannot be read; whoever might before still may");
                }
                false
            }
        }
    }

    /// The table if there is a newer one.
    fn fresh(&self, looked: &mut Looked) -> Result<Option<Table>> {
        let Some(file) = self.database.file() else { return self.fresh_from_server(looked) };
        if !self.database.is_read_only() {
            match looked.watch.changed(file) {
                Ok(Some(true)) => return Ok(Some(self.read()?.0)),
                Ok(_) => return Ok(None),
                // A file system that cannot be written: it is read now and then.
                Err(_) => looked.watch = Watch::default(),
            }
        }
        if looked.read.is_some_and(|read| read.elapsed() < OLD) || !self.database.is_there() {
            return Ok(None);
        }
        looked.read = Some(Instant::now());
        Ok(Some(self.read()?.0))
    }

    fn fresh_from_server(&self, looked: &mut Looked) -> Result<Option<Table>> {
        let writes = self.database.read(|connection| Ok(connection.writes()?))?.unwrap_or_default();
        if writes == looked.writes {
            return Ok(None);
        }
        let (table, writes) = self.read()?;
        looked.writes = writes;
        Ok(Some(table))
    }

    /// The table, and how often anybody had written on a server by then.
    fn read(&self) -> Result<(Table, i64)> {
        let read = self.database.read(|connection| {
            let writes = connection.writes()?;
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
            Ok((Table { keys: known, people, has_people, sessions, tenants }, writes))
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
        self.database.write_aside(|connection| {
            add(connection, month, more)?;
            counted(connection, month)
        })
    }
}

/// Adds questions to those of a month.
pub(super) fn add(connection: &mut Connection, month: &str, more: &Counted) -> Outcome<()> {
    for ((tenant, key), number) in more {
        let number = i64::try_from(*number).unwrap_or(i64::MAX);
        diesel::insert_into(questions::table)
            .values((
                questions::month.eq(month),
                questions::tenant.eq(tenant),
                questions::key.eq(key),
                questions::count.eq(number),
            ))
            .or("(month, tenant, key) DO UPDATE SET count = questions.count + excluded.count")
            .execute(connection)?;
    }
    Ok(())
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
            is_public: false,
        };
        Some(Grant { identity: Arc::new(identity), limits: Limits::default(), origins: Vec::new() })
    }

    /// A person by id.
    pub fn person(&self, id: &str) -> Option<&PersonRecord> {
        self.people.get(id)
    }

    /// The people of a tenant.
    pub fn people_of<'a>(&'a self, tenant: &'a str) -> impl Iterator<Item = &'a PersonRecord> {
        self.people.values().filter(move |person| person.tenant == tenant)
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
            // Whoever has a key is somebody: what they say and note is signed with something.
            name: if name.is_empty() { format!("key {}", known.record.id) } else { name.clone() },
            role: *role,
            scope,
            session: None,
            is_public: !known.record.origins.is_empty(),
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

    /// What a key may use; who comes without one has the tenant's limits alone.
    pub fn limits_of_key(&self, id: &str) -> Limits {
        self.keys.get(id).map(|known| known.record.limits.clone()).unwrap_or_default()
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
pub(super) fn sound_name(field: &'static str, what: &str, name: &str) -> Result<String> {
    let name = name.trim();
    if name.chars().count() > 100 || name.chars().any(char::is_control) {
        let message = format!("{what}: a name has at most 100 characters and is one line");
        return Err(Error::Field { field, message });
    }
    Ok(name.to_owned())
}

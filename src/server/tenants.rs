//! Whose data is it?
//!
//! A tenant is a data directory: the first one is the directory that the server
//! was started on, the others lie in its `tenants` folder. What belongs to a
//! tenant is reached through its [`Tenant`] and in no other way, so there is no
//! list, count or number in which another one could show.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::files::Files;
use super::gate::MEASURE;
use super::greeting::Counted;
use super::jobs::Jobs;
use super::learning::Looks;
use super::neighbours::Neighbours;
use super::registry::Registry;
use super::told::decision;
use super::trial::Drafts;
use crate::access::{DEFAULT_TENANT, Limits, Scope};
use crate::desk::reception::{Asked, Turned};
use crate::desk::{Desk, has_mailbox};
use crate::engine::Engine;
use crate::error::Result;
use crate::events::habits::Habits;
use crate::events::{Health, Log, events_of};
use crate::store::{Noted, Store};

/// The days after which an entry that nobody asks for is cold.
const MONTH: i64 = 30;

/// Everything of one tenant.
pub(super) struct Tenant {
    name: String,
    registry: Arc<Registry>,
    jobs: Jobs,
    log: Log,
    desk: Desk,
    habits: Arc<Counted>,
    /// What was asked in a month, for lists of entries.
    month: Counted,
    looks: Looks,
    files: Files,
    drafts: Drafts,
    /// How many bytes its data take, and when that was measured.
    room: Mutex<(u64, Option<Instant>)>,
    /// When somebody asked for it last.
    called: Mutex<Instant>,
    /// What was noted when nothing was scheduled.
    unplanned: Mutex<Option<Noted>>,
}

impl Tenant {
    fn new(name: &str, registry: Arc<Registry>) -> Self {
        if let Err(error) = registry.store().follow_key() {
            tracing::warn!(%error, tenant = name, "customers may get other names here than on other nodes");
        }
        let mut log = Log::open(registry.store().root());
        // A replica changes nothing in the data directory.
        if !registry.is_read_only() {
            log = log.maintained();
        }
        if let Some(neighbours) = Neighbours::of(registry.share(), name) {
            log.join(neighbours);
        }
        let (label, answering) = (name.to_owned(), Arc::clone(&registry));
        let find = move |kb: &str| answering.served_in(Some(kb), &Scope::All).ok();
        let told = log.clone();
        let listen = move |engine: &Engine, turned: &Turned, asked: &Asked<'_>| {
            let Turned { reply, .. } = turned;
            // Its health tells the operator.
            let _ = told.append(decision(engine, turned, asked));
            tracing::info!(
                tenant = label,
                kb = reply.kb,
                channel = asked.channel,
                decision = reply.decision.name(),
                reason = reply.reason.name(),
                trace_id = reply.trace_id,
                "answered"
            );
        };
        let habits = Arc::new(Counted::default());
        let (counted, counting) = (Arc::clone(&habits), log.clone());
        let (whose, share) = (name.to_owned(), Arc::clone(registry.share()));
        let desk = Desk::new(registry.store(), registry.talk(), find, listen)
            .with_habits(move |kb| counted.known(&counting, kb))
            .with_share(move |kb| share.is_own(&whose, kb));
        Self {
            name: name.to_owned(),
            registry,
            jobs: Jobs::default(),
            log,
            desk,
            habits,
            month: Counted::over(MONTH),
            looks: Looks::default(),
            files: Files::default(),
            drafts: Drafts::default(),
            room: Mutex::default(),
            called: Mutex::new(Instant::now()),
            unplanned: Mutex::default(),
        }
    }

    fn call(&self) {
        *self.called.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// For how long nobody has asked for it.
    fn rests(&self) -> Duration {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// What was noted when nothing was scheduled in it.
    pub(super) fn unplanned(&self) -> Option<Noted> {
        *self.unplanned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that nothing was scheduled in it.
    pub(super) fn plan_nothing(&self, noted: Option<Noted>) {
        *self.unplanned.lock().unwrap_or_else(PoisonError::into_inner) = noted;
    }

    /// Its conversations, and the people behind them.
    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Measures how much room it takes, now and then, if that is limited. Other
    /// tenants' data are not its own.
    pub(super) fn measure(&self, limits: &Limits) {
        if limits.storage.is_none() {
            return;
        }
        self.weigh();
    }

    /// How many bytes its data take, measured now unless that was done lately.
    pub(super) fn weigh(&self) -> u64 {
        let known = *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if known.1.is_some_and(|measured| measured.elapsed() < MEASURE) {
            return known.0;
        }
        let bytes = size_of(self.registry.store().root());
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = (bytes, Some(Instant::now()));
        bytes
    }

    /// How many bytes its data took when they were measured last.
    pub(super) fn room(&self) -> u64 {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The same, if they were ever measured.
    pub(super) fn measured(&self) -> Option<u64> {
        let room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.1.map(|_| room.0)
    }

    /// Which release answers for which of its knowledge bases.
    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What it has running.
    pub(super) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// What happened in it.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// What customers of one of its knowledge bases ask for.
    pub(super) fn habits(&self, kb: &str) -> Arc<Habits> {
        self.habits.read(&self.log, kb)
    }

    /// How many conversations of the last thirty days each entry of a knowledge base
    /// has answered, the most first.
    pub(super) fn month(&self, kb: &str) -> Arc<Habits> {
        self.month.read(&self.log, kb)
    }

    /// What its customers' questions suggested when they were looked at last.
    pub(super) fn looks(&self) -> &Looks {
        &self.looks
    }

    /// Files that its authors look at before they import them.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// What its drafts would answer.
    pub(super) fn drafts(&self) -> &Drafts {
        &self.drafts
    }

    /// How monitoring names one of its knowledge bases: two tenants may use the
    /// same name. No name has a stroke.
    pub(super) fn label(&self, kb: &str) -> String {
        if self.name == DEFAULT_TENANT { kb.to_owned() } else { format!("{}/{kb}", self.name) }
    }
}

/// All tenants that somebody asked for since the start.
pub(super) struct Tenants {
    first: Arc<Tenant>,
    others: Mutex<BTreeMap<String, Arc<Tenant>>>,
    /// How each was when it was swept.
    swept: Mutex<HashMap<String, Swept>>,
}

/// What [`Tenants::sweep`] depends on: while it is the same, there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Swept {
    /// How often anybody had written its records.
    written: (i64, i64),
    /// Whether this node is the first to hold it.
    is_first: bool,
    /// Whether anything that happened in it is here.
    has_events: bool,
}

impl Tenants {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self {
            first: Arc::new(Tenant::new(DEFAULT_TENANT, registry)),
            others: Mutex::default(),
            swept: Mutex::default(),
        }
    }

    /// The one that owns the data directory itself.
    pub(super) fn first(&self) -> &Arc<Tenant> {
        &self.first
    }

    /// A tenant if it is open already.
    pub(super) fn known(&self, name: &str) -> Option<Arc<Tenant>> {
        self.open_now(name).inspect(|tenant| tenant.call())
    }

    /// The same for whoever needs it no longer than it is open for others.
    pub(super) fn open_now(&self, name: &str) -> Option<Arc<Tenant>> {
        if name == DEFAULT_TENANT {
            return Some(Arc::clone(&self.first));
        }
        self.others.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Opens a tenant with all that it has published; takes its time.
    ///
    /// # Errors
    /// When the name could not be a folder's.
    pub(super) fn open(&self, name: &str) -> Result<Arc<Tenant>> {
        if let Some(tenant) = self.known(name) {
            return Ok(tenant);
        }
        let registry = self.first.registry.of_tenant(name)?;
        registry.refresh();
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        // Two who came first opened it twice; one of them is kept.
        let tenant =
            others.entry(name.to_owned()).or_insert_with(|| Arc::new(Tenant::new(name, Arc::new(registry))));
        Ok(Arc::clone(tenant))
    }

    /// Has each of some tenants follow what all nodes keep, if anything of it is here, and
    /// opens those that this node is the first to hold and that have something to tend
    /// though nobody has called: what a process before this one has left to deliver,
    /// customers who wait, claims that may run out, mailboxes. Where it can be told that
    /// nobody has written anything of a tenant since, it is passed over.
    pub(super) fn sweep(&self, names: impl IntoIterator<Item = String>, follow: impl Fn(&Store) -> bool) {
        self.sweep_as(names, Store::written, follow);
    }

    /// The same; `written` tells how often anybody has written a tenant's records.
    fn sweep_as(
        &self,
        names: impl IntoIterator<Item = String>,
        written: impl Fn(&Store) -> Option<(i64, i64)>,
        follow: impl Fn(&Store) -> bool,
    ) {
        let first = &self.first.registry;
        let lock = || self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names.into_iter().filter(|name| name != DEFAULT_TENANT) {
            let Ok(store) = first.store().tenant(&name) else { continue };
            let is_first = first.share().is_first(&name);
            let has_events = events_of(store.root()).is_dir();
            // Before it is looked at: who writes meanwhile is seen the next time.
            let seen = written(&store).map(|written| Swept { written, is_first, has_events });
            if seen.is_some() && lock().get(&name).copied() == seen {
                continue;
            }
            // Who has nothing here has nothing to follow.
            let has_followed = !has_events || follow(&store);
            let is_open = || self.others.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name);
            let opened = if !is_first || first.is_read_only() || is_open() {
                Ok(())
            } else {
                has_work(&store).and_then(|has| if has { self.open(&name).map(|_| ()) } else { Ok(()) })
            };
            if let Err(error) = opened {
                tracing::error!(%error, tenant = name, "cannot go on with what it has left");
            } else if let Some(seen) = seen.filter(|_| has_followed) {
                lock().insert(name, seen);
            }
        }
    }

    /// How well the events of all tenants are kept: losses of all, and one's trouble.
    pub(super) fn health(&self) -> Health {
        let mut whole = Health::default();
        for tenant in self.all() {
            let one = tenant.log.health();
            let lost = whole.lost + one.lost;
            if one.trouble().is_some() {
                whole = one;
            }
            whole.lost = lost;
        }
        whole
    }

    /// Closes tenants that are gone.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.retain(|name, _| is_there(name));
        drop(others);
        self.swept.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| is_there(name));
    }

    /// Closes tenants that nobody has asked for since so long, if they have nothing to tend.
    pub(super) fn close_idle(&self, rest: Duration) {
        let lock = || self.others.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever works for it, or listens to it, holds it.
        let is_idle = |tenant: &Arc<Tenant>| Arc::strong_count(tenant) == 1 && tenant.rests() >= rest;
        let idle: Vec<(String, Store)> = lock()
            .iter()
            .filter(|(_, tenant)| is_idle(tenant))
            .map(|(name, tenant)| (name.clone(), tenant.registry.store().clone()))
            .collect();
        for (name, store) in idle {
            if !matches!(has_work(&store), Ok(false)) {
                continue;
            }
            let mut others = lock();
            let closed = others.get(&name).is_some_and(is_idle).then(|| others.remove(&name)).flatten();
            // Its threads and files end without anybody waiting for them.
            drop(others);
            if closed.is_some() {
                tracing::debug!(tenant = name, "closed; it is opened again when somebody asks for it");
            }
        }
    }

    /// Every tenant that is open.
    pub(super) fn all(&self) -> Vec<Arc<Tenant>> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.first).chain(others.values()).cloned().collect()
    }
}

/// Whether a tenant has something to tend though nobody calls.
fn has_work(store: &Store) -> Result<bool> {
    let talk = store.conversations();
    Ok(talk.backlog()?.is_work() || store.has_schedules()? || has_mailbox(&talk)?)
}

/// The bytes of the files in a data directory, without those of other tenants in it.
fn size_of(root: &Path) -> u64 {
    let mut open = vec![root.to_path_buf()];
    let mut bytes = 0_u64;
    while let Some(folder) = open.pop() {
        // What goes meanwhile takes no room.
        for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match item.file_type() {
                Ok(kind) if kind.is_dir() && item.path() == root.join("tenants") => {}
                Ok(kind) if kind.is_dir() => open.push(item.path()),
                Ok(kind) if kind.is_file() => bytes += item.metadata().map_or(0, |found| found.len()),
                _ => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Models;

    #[test]
    fn a_tenant_is_closed_when_nobody_holds_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path());
        store.access().create_tenant("acme", &Limits::default()).expect("a tenant");
        let tenants = Tenants::new(Arc::new(Registry::new(store, Models::given(None), 0.05, "demo")));
        let held = tenants.open("acme").expect("open");
        tenants.close_idle(Duration::ZERO);
        assert!(tenants.known("acme").is_some());
        drop(held);
        tenants.close_idle(Duration::from_secs(60));
        assert!(tenants.known("acme").is_some());
        tenants.close_idle(Duration::ZERO);
        assert!(tenants.known("acme").is_none() && tenants.open("acme").is_ok());
    }
    /// Tenants of a folder, and how often the records of one of them were followed when
    /// they are swept: whether anybody has written, and whether following works.
    fn swept(tenants: &Tenants, written: i64, works: bool) -> usize {
        let followed = std::cell::Cell::new(0);
        tenants.sweep_as(
            ["acme".to_owned()],
            |_| Some((written, 0)),
            |_| {
                followed.set(followed.get() + 1);
                works
            },
        );
        followed.get()
    }

    fn with_acme(folder: &Path, events: bool) -> Tenants {
        let store = Store::at(folder);
        store.access().create_tenant("acme", &Limits::default()).expect("a tenant");
        if events {
            let root = store.tenant("acme").expect("a tenant").root().to_path_buf();
            std::fs::create_dir_all(events_of(&root)).expect("made");
        }
        Tenants::new(Arc::new(Registry::new(store, Models::given(None), 0.05, "demo")))
    }

    #[test]
    fn a_tenant_is_swept_until_following_has_worked_and_then_when_somebody_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let tenants = with_acme(folder.path(), true);
        assert_eq!((swept(&tenants, 1, false), swept(&tenants, 1, false)), (1, 1), "it has failed");
        assert_eq!((swept(&tenants, 1, true), swept(&tenants, 1, true)), (1, 0), "nobody has written");
        assert_eq!((swept(&tenants, 2, false), swept(&tenants, 2, true)), (1, 1));
        assert_eq!(swept(&tenants, 2, true), 0);
    }

    #[test]
    fn a_tenant_whose_first_events_are_here_is_swept_though_nobody_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let tenants = with_acme(folder.path(), false);
        assert_eq!((swept(&tenants, 1, true), swept(&tenants, 1, true)), (0, 0), "nothing is here");
        let root = tenants.first.registry.store().tenant("acme").expect("a tenant").root().to_path_buf();
        std::fs::create_dir_all(events_of(&root)).expect("made");
        assert_eq!((swept(&tenants, 1, true), swept(&tenants, 1, true)), (1, 0));
    }
}

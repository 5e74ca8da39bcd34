//! How do a customer, the robot and the people behind it come together?
//!
//! A [`Desk`] belongs to a data directory. [`reception`] takes a customer's
//! message: it loads the conversation, has the robot take its turn under the
//! knowledge base's rules, records what was said, and gives the conversation to
//! people (`handover`) when that is what comes of it. [`assist`] proposes answers to whoever
//! took it. What webhooks and platforms are to be told was recorded with it, and
//! [`delivery`] tells them from threads of its own, so no answer waits for any of
//! them. [`chatwoot`] and [`generic`] speak to desks elsewhere, [`messengers`] to customers
//! in WeChat and its like; [`channels`] is how any of them is set up.

mod addresses;
mod alternatives;
pub mod assist;
pub mod channels;
pub mod chatwoot;
mod client;
pub mod delivery;
mod email;
pub mod generic;
mod handover;
pub mod messengers;
pub mod pictures;
pub mod platforms;
pub mod presence;
pub mod reception;
mod upkeep;
pub mod web;
pub mod webhooks;

pub use addresses::{Reach, reach_fault};
pub use client::{Patience, address_fault};
pub use email::mailbox::has_mailbox;

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use time::OffsetDateTime;

use crate::dialogue::Service;
use crate::engine::Engine;
use crate::events::habits::Habits;
use crate::store::{Conversations, Noted, Store};
use client::Client;
use reception::{Asked, Turned};

/// How conversations are kept and others are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// After this silence a conversation begins anew, in milliseconds.
    pub expires: i64,
    /// Handoffs that nobody takes for so long go back to the robot, in milliseconds.
    pub patience: i64,
    /// The most conversations that are kept.
    pub most: i64,
    /// How long what was said is kept, in milliseconds; `None` for as long as there is room.
    pub keep: Option<i64>,
    /// How long calls of others may take.
    pub calls: Patience,
}

impl Default for Settings {
    fn default() -> Self {
        const MINUTE: i64 = 60 * 1000;
        Self {
            expires: 30 * MINUTE,
            patience: 60 * MINUTE,
            most: 1_000_000,
            keep: Some(180 * 24 * 60 * MINUTE),
            calls: Patience::default(),
        }
    }
}

/// Finds what answers for a knowledge base now.
type Finder = dyn Fn(&str) -> Option<(Arc<Engine>, Arc<Service>)> + Send + Sync;

/// Hears of every turn of the robot on a platform.
type Listener = dyn Fn(&Engine, &Turned, &Asked<'_>) + Send + Sync;

/// Tells what customers of a knowledge base ask for, as far as that is known.
type Counter = dyn Fn(&str) -> Option<Arc<Habits>> + Send + Sync;

/// Tells whether a knowledge base is this process's to answer for.
type Holder = dyn Fn(&str) -> bool + Send + Sync;

/// Tells the time, in milliseconds since 1970 (UTC).
type Clock = dyn Fn() -> i64 + Send + Sync;

/// The desk of a data directory; cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Parts>);

struct Parts {
    talk: Conversations,
    find: Box<Finder>,
    listen: Box<Listener>,
    habits: OnceLock<Box<Counter>>,
    holds: OnceLock<Box<Holder>>,
    settings: Settings,
    client: Client,
    clock: Box<Clock>,
    /// One message of a conversation at a time; by the hash of its name.
    turns: Vec<Mutex<()>>,
    /// Receivers that somebody works for now.
    busy: Mutex<HashSet<String>>,
    /// Whether something is to be delivered, and who waits for that.
    news: (Mutex<bool>, Condvar),
    started: AtomicBool,
    /// What was noted when there was nothing to look for, and when that was.
    quiet: Mutex<Option<(Noted, Instant)>>,
    rounds: Mutex<upkeep::Rounds>,
    /// This process among all that deliver.
    worker: String,
}

/// Conversations whose messages can be worked on at the same time; more of them
/// share a place and wait for each other now and then.
const PLACES: usize = 256;

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("worker", &self.0.worker).finish_non_exhaustive()
    }
}

/// The time, in milliseconds since 1970 (UTC).
fn system_clock() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |passed| i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
}

impl Desk {
    /// The desk of a data directory. `find` says what answers for a knowledge
    /// base, `listen` hears of the replies on platforms.
    pub fn new(
        store: &Store,
        settings: Settings,
        find: impl Fn(&str) -> Option<(Arc<Engine>, Arc<Service>)> + Send + Sync + 'static,
        listen: impl Fn(&Engine, &Turned, &Asked<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self::with_clock(store, settings, find, listen, system_clock)
    }

    /// The same with a clock of one's own.
    pub fn with_clock(
        store: &Store,
        settings: Settings,
        find: impl Fn(&str) -> Option<(Arc<Engine>, Arc<Service>)> + Send + Sync + 'static,
        listen: impl Fn(&Engine, &Turned, &Asked<'_>) + Send + Sync + 'static,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Parts {
            talk: store.conversations(),
            find: Box::new(find),
            listen: Box::new(listen),
            habits: OnceLock::new(),
            holds: OnceLock::new(),
            settings,
            client: Client::new(settings.calls),
            clock: Box::new(clock),
            turns: (0..PLACES).map(|_| Mutex::default()).collect(),
            busy: Mutex::default(),
            news: (Mutex::default(), Condvar::new()),
            started: AtomicBool::new(false),
            quiet: Mutex::default(),
            rounds: Mutex::default(),
            worker: new_id(),
        }))
    }

    /// Says who knows what customers ask for; the first who does counts.
    #[must_use]
    pub fn with_habits(self, habits: impl Fn(&str) -> Option<Arc<Habits>> + Send + Sync + 'static) -> Self {
        self.0.habits.get_or_init(|| Box::new(habits));
        self
    }

    /// Says which knowledge bases are this process's to answer for, where others have the
    /// rest; the first who does counts.
    #[must_use]
    pub fn with_share(self, holds: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.0.holds.get_or_init(|| Box::new(holds));
        self
    }

    /// Whether a knowledge base is this process's to answer for.
    fn holds(&self, kb: &str) -> bool {
        self.0.holds.get().is_none_or(|holds| holds(kb))
    }

    /// What customers of a knowledge base ask for, if anybody knows.
    fn habits(&self, kb: &str) -> Option<Arc<Habits>> {
        self.0.habits.get().and_then(|habits| habits(kb))
    }

    /// What is recorded.
    pub fn talk(&self) -> &Conversations {
        &self.0.talk
    }

    /// How conversations are kept.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The moment, in milliseconds since 1970 (UTC), by the clock that all desks of these
    /// conversations share: what one has taken for a minute is taken for all of them.
    pub fn now(&self) -> i64 {
        (self.0.clock)() + self.0.talk.ahead()
    }

    /// The same moment as a date.
    pub fn moment(&self) -> OffsetDateTime {
        reception::moment(self.now())
    }

    /// Tells the threads that deliver that there is something to do, and starts
    /// them if nobody has.
    pub fn wake(&self) {
        let (news, waiting) = &self.0.news;
        // First: who is about to end sees it.
        *locked(news) = true;
        *locked(&self.0.quiet) = None;
        self.start();
        waiting.notify_one();
    }

    /// Waits for news, but no longer than some time.
    fn wait_for_news(&self, most: Duration) {
        let (news, waiting) = &self.0.news;
        let known = locked(news);
        let (mut known, _) =
            waiting.wait_timeout_while(known, most, |news| !*news).unwrap_or_else(PoisonError::into_inner);
        *known = false;
    }

    /// The place of a conversation among those that are worked on.
    fn place(&self, kb: &str, id: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (kb, id).hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        locked(&self.0.turns[at])
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that is time-ordered and not to be guessed.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

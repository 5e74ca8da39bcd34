//! How does an event become durable while a reply waits for it?
//!
//! [`Log::append`] returns when the event was given to the operating system in
//! one `write(2)`: that is what *acknowledged* means here. It survives the
//! death of this process at any moment, `kill -9` included. A thread beside it
//! asks the disk to keep what was written, every 200 ms for all events
//! together, so a power loss may take the events of the last fifth of a second,
//! and never half of one.
//!
//! Where nothing can be written (a full disk, a folder that is not ours) answers
//! go on: the event is lost and counted, [`Health`] says so, and once a second
//! it is tried again. The first event after that is followed by one of
//! [`Kind::Lost`], so that figures know what they lack. Nothing is queued, so no
//! memory grows.

mod tending;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::customers::Key;
use super::day::{Day, now, rfc3339};
use super::drift::ByBase;
use super::folder;
use super::forget::Requests;
use super::health::Health;
use super::meter::{self, Meter, Node};
use super::others::{self, Others};
use super::record::{Event, Kind};
use super::segment::{self, Writer};
use super::settings::Settings;
use super::tally::Tally;
use super::wanted::{Read, Wanted};
use super::watch::{self, Own, Seen, Watch};
use crate::error::{Error, Result};

/// A segment ends after so many bytes.
const SEGMENT_BYTES: u64 = 32 << 20;

/// After a failure nothing is tried for so long.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Decisions whose place is known without a search.
const RECENT: usize = 200_000;

/// The events of a data directory; cheap to clone.
#[derive(Clone)]
pub struct Log(Arc<Held>);

/// What the handles of a log have in common; the last of them closes its segment, though
/// whoever has the disk keep it may not have done yet.
struct Held(Arc<Parts>);

impl Deref for Held {
    type Target = Arc<Parts>;

    fn deref(&self) -> &Arc<Parts> {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        close(&mut self.open());
    }
}

struct Parts {
    /// The folder of the events.
    events: PathBuf,
    open: Mutex<Open>,
    settings: RwLock<Arc<Settings>>,
    recent: Mutex<Recent>,
    /// What customers' names are made with, once somebody needed it.
    key: Mutex<Option<Key>>,
    lost: AtomicU64,
    /// Whether it is looked after.
    tended: AtomicBool,
    /// Whether closed days are looked after.
    maintains: AtomicBool,
    /// What has left its band when it was looked last.
    seen: Mutex<Seen>,
    /// What this folder adds up to by day. No lock is held while others are asked but that
    /// of [`Self::watch`]: they ask too.
    own: Mutex<Own>,
    /// What others have told of their sums.
    watch: Mutex<Watch>,
    /// What of this folder was counted where several are.
    meter: Mutex<Meter>,
    /// When it was opened, in Unix milliseconds.
    opened: i64,
    /// The other nodes that have events of the same tenant.
    others: OnceLock<Arc<dyn Others>>,
}

#[derive(Default)]
struct Open {
    writer: Option<(Day, Writer)>,
    /// Written since the disk was asked last.
    dirty: bool,
    /// A folder has a new name in it that the disk does not know yet.
    renamed: bool,
    failing: Option<Failing>,
    /// Why the disk would not keep what was written.
    unsynced: Option<String>,
    /// What was asked of what this process has stored.
    asked: Tally,
    /// The segments that this process has begun.
    own: HashSet<Arc<Path>>,
}

struct Failing {
    error: String,
    since: i64,
    tried: Instant,
    lost: i64,
}

/// Where recent decisions lie.
#[derive(Default)]
struct Recent {
    order: VecDeque<u128>,
    places: HashMap<u128, (Arc<Path>, u64)>,
}

impl Recent {
    fn note(&mut self, trace: u128, path: &Arc<Path>, offset: u64) {
        if self.order.len() >= RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
        self.order.push_back(trace);
        self.places.insert(trace, (Arc::clone(path), offset));
    }
}

impl Log {
    /// The events of a data directory. Nothing is made until something happens.
    pub fn open(data: impl AsRef<Path>) -> Self {
        let events = folder::events_of(data.as_ref());
        let settings = Settings::read(&events).unwrap_or_else(|e| {
            tracing::error!(error = %e, "the settings of the events cannot be read; texts are masked");
            Settings::default()
        });
        Self(Arc::new(Held(Arc::new(Parts {
            events,
            open: Mutex::default(),
            settings: RwLock::new(Arc::new(settings)),
            recent: Mutex::default(),
            key: Mutex::default(),
            lost: AtomicU64::new(0),
            tended: AtomicBool::new(false),
            maintains: AtomicBool::new(false),
            seen: Mutex::default(),
            own: Mutex::default(),
            watch: Mutex::default(),
            meter: Mutex::default(),
            opened: now(),
            others: OnceLock::new(),
        }))))
    }

    /// The same; closed days are looked after too, whether anything is asked or not: at
    /// the start, and every night after two in China. And every quarter of an hour it is
    /// looked whether the figures of all nodes have left their bands ([`super::drift`]).
    #[must_use]
    pub fn maintained(self) -> Self {
        self.0.maintains.store(true, Ordering::Relaxed);
        self.tend();
        self
    }

    /// Whoever reads it reads what happened on other nodes too, from now on. Said once.
    pub fn join(&self, others: Arc<dyn Others>) {
        let _ = self.0.others.set(others);
    }

    /// Whether it is read together with what happened on other nodes.
    pub fn is_joined(&self) -> bool {
        self.0.others.get().is_some()
    }

    /// What the folder is called among those of several nodes; `None` before anything
    /// has happened.
    pub fn name(&self) -> Option<String> {
        meter::name_of(&self.0.events)
    }

    /// Where the events lie.
    pub fn folder(&self) -> &Path {
        &self.0.events
    }

    /// Stores an event; see the head of this file for what that promises.
    ///
    /// # Errors
    /// When it could not be stored. It is counted then, and whoever answers a
    /// customer goes on.
    pub fn append(&self, event: Event) -> Result<()> {
        self.tend();
        let settings = Arc::clone(&self.0.settings.read().unwrap_or_else(PoisonError::into_inner));
        let event = settings.kept(event, || self.0.key());
        let line = segment::line(&event)?;
        let mut open = self.0.open();
        let stored = self.0.store(&mut open, Day::of(event.at), &line);
        match stored {
            Ok(offset) => {
                open.asked.add(&event);
                self.0.recovered(&mut open);
                if event.kind == Kind::Decision
                    && let Some(trace) = event.trace_id.as_deref().and_then(number_of)
                    && let Some((_, writer)) = &open.writer
                {
                    let path = Arc::clone(&writer.path);
                    drop(open);
                    let mut recent = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
                    recent.note(trace, &path, offset);
                }
                Ok(())
            }
            Err(e) => {
                self.0.lost.fetch_add(1, Ordering::Relaxed);
                if let Some(failing) = &mut open.failing {
                    failing.lost += 1;
                }
                Err(e)
            }
        }
    }

    /// How well events are kept.
    pub fn health(&self) -> Health {
        let open = self.0.open();
        Health {
            lost: self.0.lost.load(Ordering::Relaxed),
            failing: open.failing.as_ref().map(|failing| failing.error.clone()),
            since: open.failing.as_ref().map(|failing| rfc3339(failing.since)),
            unsynced: open.unsynced.clone(),
            seen: self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// How many closed days nobody has looked after yet.
    pub fn backlog(&self) -> usize {
        folder::backlog(&self.0.events, Day::today())
    }

    /// Gives each wanted event to `each`, day by day, in the order of the files; those of
    /// other nodes in between.
    ///
    /// # Errors
    /// When a file cannot be read here.
    pub fn read(&self, wanted: &Wanted<'_>, mut each: impl FnMut(Event)) -> Result<Read> {
        let theirs =
            self.0.others.get().map(|others| others.read(self.name().as_deref(), wanted)).unwrap_or_default();
        if theirs.is_empty() {
            return self.read_own(wanted, each);
        }
        others::read(&self.0.events, wanted, theirs, &mut each)
    }

    /// The same without what happened on other nodes.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read_own(&self, wanted: &Wanted<'_>, mut each: impl FnMut(Event)) -> Result<Read> {
        folder::read(&self.0.events, wanted, &mut each)
    }

    /// What the days from one on add up to here, as of the last half minute.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn sums(&self, from: Day) -> Result<ByBase> {
        if self.is_watched() { self.0.own_sums(from) } else { watch::sums(&self.0.events, from) }
    }

    /// Whether it is looked here whether the figures have left their bands.
    pub fn is_watched(&self) -> bool {
        self.0.maintains.load(Ordering::Relaxed)
    }

    /// The decision that a trace id names, here or on another node; `None` when there is none.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn find(&self, trace_id: &str) -> Result<Option<Event>> {
        let found = self.find_own(trace_id)?;
        let is_one = number_of(trace_id).is_some();
        Ok(found.or_else(|| self.0.others.get().filter(|_| is_one)?.find(trace_id)))
    }

    /// The same of those that were made here.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn find_own(&self, trace_id: &str) -> Result<Option<Event>> {
        let Some(trace) = number_of(trace_id) else { return Ok(None) };
        let place = {
            let recent = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.places.get(&trace).cloned()
        };
        let known = place
            .and_then(|(path, offset)| event_at(&path, offset))
            .filter(|event| event.trace_id.as_deref() == Some(trace_id));
        let mut found = match known {
            Some(event) => Some(event),
            None => folder::find(&self.0.events, trace_id, moment_of(trace))?,
        };
        if let Some(event) = &mut found {
            Requests::read(&self.0.events)?.apply(event);
        }
        Ok(found)
    }

    pub(super) fn metering(&self) -> &Mutex<Meter> {
        &self.0.meter
    }

    /// When it was opened, in Unix milliseconds.
    pub(super) fn opened(&self) -> i64 {
        self.0.opened
    }

    /// What was asked of what this process has stored.
    pub(super) fn counted(&self) -> Tally {
        self.0.open().asked.clone()
    }

    /// Forgets what was asked before a day.
    pub(super) fn forget_counted(&self, day: Day) {
        self.0.open().asked.forget_before(day);
    }

    /// Whether this process has begun a segment.
    pub(super) fn wrote(&self, segment: &Path) -> bool {
        self.0.open().own.contains(segment)
    }

    /// Asks the disk to keep everything that was appended, and waits for it.
    ///
    /// # Errors
    /// When the disk will not.
    pub fn sync(&self) -> Result<()> {
        self.0.sync().map_err(|e| Error::io("write", &self.0.events, e))
    }

    /// Has it looked after: what is written is synced, settings and days are looked at.
    fn tend(&self) {
        if self.0.tended.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Err(e) = tending::begin(&self.0) {
            self.0.tended.store(false, Ordering::Relaxed);
            self.0.open().unsynced = Some(e.to_string());
        }
    }
}

impl Parts {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own_sums(&self, from: Day) -> Result<ByBase> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).sums(&self.events, from)
    }

    /// What customers' names are made with; `None` where it can be neither read nor written.
    fn key(&self) -> Option<Key> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some() {
            return known.clone();
        }
        match Key::of(&self.events) {
            Ok(key) => {
                *known = Some(key);
                known.clone()
            }
            Err(e) => {
                tracing::error!(error = %e, "customers are not kept in the events");
                None
            }
        }
    }

    /// Writes a line into the day's segment and says where it begins.
    fn store(&self, open: &mut Open, day: Day, line: &[u8]) -> Result<u64> {
        if let Some(failing) = &open.failing
            && failing.tried.elapsed() < TRY_AGAIN
        {
            return Err(Error::Refused(failing.error.clone()));
        }
        let fits = |(of, writer): &(Day, Writer)| *of == day && writer.length < SEGMENT_BYTES;
        if !open.writer.as_ref().is_some_and(fits) {
            close(open);
            match Writer::create(&self.events.join(day.to_string())) {
                Ok(writer) => {
                    open.own.insert(Arc::clone(&writer.path));
                    // Before anything is counted; whoever counts tries again.
                    let _ = Node::of(&self.events, self.opened);
                    open.writer = Some((day, writer));
                }
                Err(e) => return Err(self.failed(open, e)),
            }
            open.renamed = true;
        }
        let Some((_, writer)) = &mut open.writer else {
            return Err(Error::internal("events", "no segment is open"));
        };
        let offset = writer.length;
        match writer.append(line) {
            Ok(()) => {
                open.dirty = true;
                Ok(offset)
            }
            Err(e) => {
                // Its end is not to be relied on; the next event begins another one.
                open.writer = None;
                Err(self.failed(open, e))
            }
        }
    }

    fn failed(&self, open: &mut Open, error: std::io::Error) -> Error {
        let (since, lost) = match &open.failing {
            Some(failing) => (failing.since, failing.lost),
            None => {
                tracing::error!(%error, "events cannot be stored; answers go on");
                (now(), 0)
            }
        };
        open.failing = Some(Failing { error: error.to_string(), since, tried: Instant::now(), lost });
        Error::io("write", &self.events, error)
    }

    /// Says in the log itself how many events it lacks.
    fn recovered(&self, open: &mut Open) {
        let Some(failing) = open.failing.take() else { return };
        tracing::info!(lost = failing.lost, "events are stored again");
        let event = Event { count: Some(failing.lost), ..Event::now(Kind::Lost, "") };
        if let Ok(line) = segment::line(&event)
            && self.store(open, Day::of(event.at), &line).is_ok()
        {
            open.asked.add(&event);
        }
    }
}

/// Closes the segment, and with it its lock. What is in it is synced on the way.
fn close(open: &mut Open) {
    if let Some((_, writer)) = open.writer.take()
        && let Err(e) = writer.file.sync_data()
    {
        open.unsynced = Some(e.to_string());
    }
}

/// The number of a trace id: 32 hex digits.
fn number_of(trace_id: &str) -> Option<u128> {
    let hex = trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { u128::from_str_radix(trace_id, 16).ok() } else { None }
}

/// When a version 7 UUID was made, in Unix milliseconds.
pub(super) fn moment_of(trace: u128) -> i64 {
    i64::try_from(trace >> 80).unwrap_or(i64::MAX)
}

/// When a version 7 UUID in hex digits was made.
pub(super) fn moment_of_id(id: &str) -> Option<i64> {
    number_of(id).map(moment_of)
}

/// The event that begins at a place in a segment, if the file is still there.
fn event_at(path: &Path, offset: u64) -> Option<Event> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(offset)).ok()?;
    segment::Reader::new(file).next(&[]).ok()?
}

#[cfg(test)]
mod tests {
    use super::super::day::Days;
    use super::super::rewrite::is_busy;
    use super::*;

    fn decision(number: i64) -> Event {
        Event {
            trace_id: Some(uuid::Uuid::now_v7().simple().to_string()),
            rating: Some(number),
            ..Event::now(Kind::Decision, "demo")
        }
    }

    fn all(log: &Log) -> Vec<Event> {
        let days = Days::new(Day::today().plus(-1), Day::today()).expect("in order");
        let mut events = Vec::new();
        log.read(&Wanted::all(days), |event| events.push(event)).expect("readable");
        events
    }

    #[test]
    fn a_segment_is_free_with_its_last_log_though_the_disk_is_still_asked_to_keep_it() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        log.append(decision(1)).expect("stored");
        // As whoever has the disk keep it holds them while the disk works.
        let parts = Arc::clone(&log.0.0);
        let (path, file) = {
            let open = parts.open();
            let (_, writer) = open.writer.as_ref().expect("a segment");
            (Arc::clone(&writer.path), Arc::clone(&writer.file))
        };
        let busy = || is_busy(&File::open(&path).expect("there"), &path).expect("looked");
        let second = log.clone();
        drop(log);
        assert!(busy());
        drop(second);
        assert!(!busy());
        drop((parts, file));
    }

    #[test]
    fn what_was_appended_is_read_once() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        assert!(all(&log).is_empty());
        let (one, two) = (decision(1), decision(2));
        log.append(one.clone()).expect("stored");
        let other = Log::open(data.path());
        other.append(two.clone()).expect("stored beside it");
        assert_eq!(all(&log).len(), 2);
        assert_eq!(all(&log), all(&other));
        log.sync().expect("kept");
    }

    #[test]
    fn a_trace_id_leads_to_its_decision() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        let events: Vec<Event> = (0..20).map(decision).collect();
        for event in &events {
            log.append(event.clone()).expect("stored");
        }
        let trace = |event: &Event| event.trace_id.clone().expect("has one");
        for event in &events {
            assert_eq!(log.find(&trace(event)).expect("readable").as_ref(), Some(event));
            // Another process knows none of them and searches.
            let found = Log::open(data.path()).find(&trace(event)).expect("readable");
            assert_eq!(found.as_ref(), Some(event));
        }
        let unknown = uuid::Uuid::now_v7().simple().to_string();
        assert_eq!(log.find(&unknown).expect("readable"), None);
        assert_eq!(log.find("../../etc/passwd").expect("readable"), None);
    }

    #[test]
    fn what_cannot_be_stored_is_counted_and_told_afterwards() {
        let data = tempfile::tempdir().expect("a folder");
        // A file stands where the folder should be.
        let events = data.path().join("events");
        std::fs::write(&events, "").expect("written");
        let log = Log::open(data.path());
        for number in 0..3 {
            log.append(decision(number)).expect_err("nowhere to store it");
        }
        let health = log.health();
        assert_eq!(health.lost, 3);
        assert!(health.trouble().expect("told").contains("3 are lost"));
        std::fs::remove_file(&events).expect("removed");
        // The time until the next attempt is over.
        log.0.open().failing.as_mut().expect("failing").tried -= TRY_AGAIN;
        log.append(decision(3)).expect("stored again");
        assert_eq!(log.health(), Health { lost: 3, ..Health::default() });
        let events = all(&log);
        assert_eq!(events.len(), 2);
        assert_eq!((events[1].kind, events[1].count), (Kind::Lost, Some(3)));
    }
}

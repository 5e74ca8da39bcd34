//! What goes on beside whoever writes events?
//!
//! One thread for all logs of a process, as long as there are any: it has the disk keep
//! what was written, takes in what other processes ask for, and hands on what takes
//! longer, which is to look after closed days and for drift. Of these one is done after
//! the other: at night all tenants of a server have something to look after.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::{Parts, close};
use crate::disk::sync_folder;
use crate::error::Result;
use crate::events::customers::Key;
use crate::events::day::{Day, hour, now};
use crate::events::drift::{self, Drift};
use crate::events::settings::Settings;
use crate::events::watch::{Look, present, tells};
use crate::events::{compact, forget, meter};

/// How often the disk is asked to keep what was written.
const SYNC: Duration = Duration::from_millis(200);

/// How many of these pass until settings are looked at again.
const LOOK: u32 = 5;

/// How often it is looked whether the figures have left their bands.
const WATCH: Duration = Duration::from_secs(900);

/// And so long after the last look when nodes have come or gone since.
const TURN: Duration = Duration::from_secs(5);

/// From this hour on closed days are looked after.
const NIGHT: u8 = 2;

/// So many logs are synced at the same time: each waits for the disk.
const AT_ONCE: usize = 8;

/// Logs that somebody has begun to write since the thread looked last, and whether it runs.
static NEW: Mutex<(Vec<Weak<Parts>>, bool)> = Mutex::new((Vec::new(), false));

/// Looks after a log until it is gone.
///
/// # Errors
/// When there is no thread to do so.
pub(super) fn begin(parts: &Arc<Parts>) -> std::io::Result<()> {
    let mut new = NEW.lock().unwrap_or_else(PoisonError::into_inner);
    if !new.1 {
        std::thread::Builder::new().name("events".to_owned()).spawn(tend)?;
    }
    new.0.push(Arc::downgrade(parts));
    new.1 = true;
    Ok(())
}

/// Until all logs are gone.
fn tend() {
    let mut logs: Vec<(Weak<Parts>, Seen)> = Vec::new();
    let mut round: u32 = 0;
    loop {
        std::thread::sleep(SYNC);
        logs.retain(|(log, _)| log.strong_count() > 0);
        {
            let mut new = NEW.lock().unwrap_or_else(PoisonError::into_inner);
            logs.extend(new.0.drain(..).map(|log| (log, Seen::default())));
            if logs.is_empty() {
                new.1 = false;
                return;
            }
        }
        round = round.wrapping_add(1);
        // What is wrong with one of them must not keep the others from the disk.
        let _ = catch_unwind(AssertUnwindSafe(|| sync(&logs)));
        if round.is_multiple_of(LOOK) {
            for (log, seen) in &mut logs {
                let _ = catch_unwind(AssertUnwindSafe(|| log.upgrade().map(|log| log.look(seen))));
            }
        }
    }
}

/// Has the disk keep what was written; its errors are kept for the health.
fn sync(logs: &[(Weak<Parts>, Seen)]) {
    let dirty = |log: &Arc<Parts>| log.open().dirty;
    let dirty: Vec<Arc<Parts>> =
        logs.iter().filter_map(|(log, _)| log.upgrade()).filter(|log| dirty(log)).collect();
    if let [one] = dirty.as_slice() {
        let _ = one.sync();
        return;
    }
    std::thread::scope(|scope| {
        for some in dirty.chunks(dirty.len().div_ceil(AT_ONCE).max(1)) {
            scope.spawn(|| some.iter().for_each(|log| drop(log.sync())));
        }
    });
}

/// What takes longer, one after the other beside everything else.
struct Queue {
    name: &'static str,
    /// What is to be done, and whether somebody does.
    work: Mutex<(VecDeque<Work>, bool)>,
}

type Work = Box<dyn FnOnce() + Send>;

static DAYS: Queue = Queue::new("events-days");
static DRIFTS: Queue = Queue::new("events-drift");

impl Queue {
    const fn new(name: &'static str) -> Self {
        Self { name, work: Mutex::new((VecDeque::new(), false)) }
    }

    fn put(&'static self, work: impl FnOnce() + Send + 'static) {
        let mut queue = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        queue.0.push_back(Box::new(work));
        if !queue.1 {
            // Without a thread now there will be one for the next.
            queue.1 = std::thread::Builder::new().name(self.name.to_owned()).spawn(|| self.run()).is_ok();
        }
    }

    fn run(&self) {
        loop {
            let next = {
                let mut queue = self.work.lock().unwrap_or_else(PoisonError::into_inner);
                let next = queue.0.pop_front();
                queue.1 = next.is_some();
                next
            };
            let Some(work) = next else { return };
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }
}

/// The files of other processes, as they were when they were looked at last.
#[derive(Default)]
struct Seen {
    settings: Option<SystemTime>,
    key: Option<SystemTime>,
    requests: Option<SystemTime>,
    /// The day on which closed days were looked after last.
    maintained: Option<Day>,
    /// When it was looked last whether the figures have left their bands, and which nodes
    /// there were then.
    drift: Option<(Instant, u64)>,
}

impl Parts {
    pub(super) fn sync(&self) -> std::io::Result<()> {
        let (file, folder) = {
            let mut open = self.open();
            if !open.dirty {
                return Ok(());
            }
            open.dirty = false;
            let folder = std::mem::take(&mut open.renamed)
                .then(|| open.writer.as_ref().map(|(day, _)| self.events.join(day.to_string())));
            (open.writer.as_ref().map(|(_, writer)| Arc::clone(&writer.file)), folder.flatten())
        };
        let synced = file.map_or(Ok(()), |file| file.sync_data());
        if let Some(folder) = folder {
            // The names: of the segment in its day, of the day, of the events.
            for folder in folder.ancestors().take(3) {
                let _ = sync_folder(folder);
            }
        }
        self.open().unsynced = synced.as_ref().err().map(ToString::to_string);
        synced
    }

    /// Looks after closed days beside everything else.
    fn maintain(&self) {
        let Some(data) = self.events.parent().map(Path::to_path_buf) else { return };
        let work = move || match compact::maintain(&data, false) {
            Ok(done) if done == compact::Maintained::default() => {}
            Ok(done) => tracing::info!(
                days = done.compacted.len(),
                events = done.events,
                erased = done.changed,
                removed = done.removed.len(),
                "looked after the events of closed days"
            ),
            Err(e) => tracing::error!(error = %e, "the events of closed days cannot be looked after"),
        };
        DAYS.put(work);
    }

    /// Looks whether the figures have left their bands, beside everything else.
    fn watch(self: &Arc<Self>) {
        let parts = Arc::downgrade(self);
        let work = move || {
            let Some(parts) = parts.upgrade() else { return };
            if let Err(e) = parts.look_for_drift() {
                tracing::error!(error = %e, "events cannot be read to see whether they drift");
            }
        };
        DRIFTS.put(work);
    }

    fn look_for_drift(&self) -> Result<()> {
        let days = present();
        let span = drift::around(days);
        let own = self.own_sums(span.from)?;
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let others = self.others.get();
        let told = others.map(|others| others.sums(span, &|node| watch.from(node, span)));
        let told = told.unwrap_or_default();
        // One of those who look at the same sums tells the operator.
        let tells = tells(others.map_or("", |others| others.name()), &told);
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let folder = meter::name_of(&self.events);
        let is_early = now() - self.opened < i64::try_from(WATCH.as_millis()).unwrap_or(i64::MAX);
        let look = Look { days, folder: folder.as_deref(), own, before: &before, is_early };
        let found = watch.look(look, told);
        let known = |kb: &str, day: &Drift| {
            let before = before.drift.get(kb).into_iter().flatten();
            before.into_iter().any(|one| one.day == day.day && one.out == day.out)
        };
        let new = found.drift.iter().flat_map(|(kb, days)| days.iter().map(move |day| (kb, day)));
        for (kb, day) in new.filter(|(kb, day)| tells && !known(kb, day)) {
            tracing::warn!(kb, day = day.day, out = ?day.out, unanswered = day.unanswered,
                confidence = day.confidence, missing_nodes = found.missing.join(" "),
                "the figures of a day have left their band");
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }

    /// Looks at what other processes ask for, and closes what nobody writes to any more.
    fn look(self: &Arc<Self>, seen: &mut Seen) {
        let changed = |path: &Path, seen: &mut Option<SystemTime>| {
            let modified = path.metadata().and_then(|data| data.modified()).ok();
            std::mem::replace(seen, modified) != modified
        };
        if changed(&Settings::path(&self.events), &mut seen.settings) {
            match Settings::read(&self.events) {
                Ok(settings) => {
                    *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
                }
                Err(e) => tracing::error!(error = %e, "the settings of the events cannot be read; they stay"),
            }
        }
        if changed(&Key::path(&self.events), &mut seen.key) {
            // Whoever needs it next reads it.
            *self.key.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let due = seen.maintained.is_none_or(|last| last < Day::today() && hour(now()) >= NIGHT);
        if due && self.maintains.load(Ordering::Relaxed) {
            seen.maintained = Some(Day::today());
            self.maintain();
        }
        if self.maintains.load(Ordering::Relaxed) {
            let turns = self.others.get().map_or(0, |others| others.turns());
            let is_due =
                |(last, known): (Instant, u64)| last.elapsed() >= if known == turns { WATCH } else { TURN };
            if seen.drift.is_none_or(is_due) {
                seen.drift = Some((Instant::now(), turns));
                self.watch();
            }
        }
        let asked = changed(&forget::path(&self.events), &mut seen.requests);
        let mut open = self.open();
        let over = open.writer.as_ref().is_some_and(|(day, _)| *day < Day::today());
        if asked || over {
            close(&mut open);
        }
    }
}

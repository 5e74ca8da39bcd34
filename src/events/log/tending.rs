//! What goes on beside whoever writes events?
//!
//! One thread a log, as long as the log is there: it has the disk keep what was
//! written, takes in what other processes ask for, and begins in threads of their
//! own what takes longer, which is to look after closed days and for drift.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::{Parts, close};
use crate::disk::sync_folder;
use crate::events::customers::Key;
use crate::events::day::{Day, hour, now};
use crate::events::drift::{self, Drift};
use crate::events::settings::Settings;
use crate::events::{compact, forget};

/// How often the disk is asked to keep what was written.
const SYNC: Duration = Duration::from_millis(200);

/// How many of these pass until settings are looked at again.
const LOOK: u32 = 5;

/// How often it is looked whether the figures have left their bands.
const WATCH: Duration = Duration::from_secs(900);

/// From this hour on closed days are looked after.
const NIGHT: u8 = 2;

/// Until the log is gone.
pub(super) fn tend(parts: &Weak<Parts>) {
    let mut seen = Seen::default();
    let mut round: u32 = 0;
    loop {
        std::thread::sleep(SYNC);
        let Some(parts) = parts.upgrade() else { return };
        // Its error is kept for the health.
        let _ = parts.sync();
        round = round.wrapping_add(1);
        if round.is_multiple_of(LOOK) {
            parts.look(&mut seen);
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
    /// When it was looked last whether the figures have left their bands.
    drift: Option<Instant>,
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
        // Without a thread now there will be one tomorrow.
        let _ = std::thread::Builder::new().name("events-days".to_owned()).spawn(work);
    }

    /// Looks whether the figures have left their bands, beside everything else.
    fn watch(self: &Arc<Self>) {
        let parts = Arc::downgrade(self);
        let events = self.events.clone();
        let work = move || match drift::present(&events) {
            Ok(found) => {
                let Some(parts) = parts.upgrade() else { return };
                let mut known = parts.drift.lock().unwrap_or_else(PoisonError::into_inner);
                let told = |kb: &str, day: &Drift| {
                    let before = known.get(kb).into_iter().flatten();
                    before.into_iter().any(|one| one.day == day.day && one.out == day.out)
                };
                for (kb, day) in found.iter().flat_map(|(kb, days)| days.iter().map(move |day| (kb, day))) {
                    if !told(kb, day) {
                        tracing::warn!(kb, day = day.day, out = ?day.out, unanswered = day.unanswered,
                            confidence = day.confidence, "the figures of a day have left their band");
                    }
                }
                *known = found;
            }
            Err(e) => tracing::error!(error = %e, "events cannot be read to see whether they drift"),
        };
        // Without a thread now there will be one later.
        let _ = std::thread::Builder::new().name("events-drift".to_owned()).spawn(work);
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
        if self.maintains.load(Ordering::Relaxed) && seen.drift.is_none_or(|last| last.elapsed() >= WATCH) {
            seen.drift = Some(Instant::now());
            self.watch();
        }
        let asked = changed(&forget::path(&self.events), &mut seen.requests);
        let mut open = self.open();
        let over = open.writer.as_ref().is_some_and(|(day, _)| *day < Day::today());
        if asked || over {
            close(&mut open);
        }
    }
}

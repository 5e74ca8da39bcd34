//! What becomes of a day when it is over?
//!
//! Its segments become one Parquet file; after the days that the settings name
//! texts are erased, and later whole days. One process does that at a time; the
//! others read on, because every file is written beside its place and renamed.
//! A crash in between leaves a file that names the segments beside it, and they
//! are not counted twice.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::customers::Key;
use super::day::{Day, Days, now};
use super::folder::{self, Opened, PARQUET};
use super::forget::{self, Requests, Whose};
use super::rewrite::{BESIDE, each_of, is_busy, rewrite_segment, write_parquet};
use super::settings::Settings;
use super::wanted::Wanted;
use super::{parquet, segment};
use crate::error::{Error, Result};

/// A day is over when it has been for so long: somebody may write its last event.
const GRACE_MS: i64 = 600_000;

/// How long `forget` waits until a running server has begun another segment.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Maintained {
    /// Days that became a Parquet file, or whose file took in more.
    pub compacted: Vec<String>,
    /// Events in those files.
    pub events: u64,
    /// Days from which something was erased.
    pub erased: Vec<String>,
    /// Events that were changed for that.
    pub changed: u64,
    /// Days that are gone.
    pub removed: Vec<String>,
    /// Segments that another process writes, and that were left alone.
    pub busy: usize,
    /// What somebody who was forgotten had said in the erased events, for whoever keeps it
    /// elsewhere.
    #[serde(skip)]
    pub words: BTreeSet<String>,
}

impl Maintained {
    /// Takes in what was done besides.
    pub fn join(&mut self, done: Self) {
        self.compacted.extend(done.compacted);
        self.events += done.events;
        self.erased.extend(done.erased);
        self.changed += done.changed;
        self.removed.extend(done.removed);
        self.busy = done.busy;
        self.words.extend(done.words);
    }
}

/// The right to change files of closed days; one process has it.
struct Maintenance<'a> {
    events: &'a Path,
    _lock: File,
}

impl<'a> Maintenance<'a> {
    /// Waits for its turn.
    fn begin(events: &'a Path) -> Result<Self> {
        fs::create_dir_all(events).map_err(|e| Error::io("create", events, e))?;
        let path = events.join("maintenance.lock");
        let lock = File::create(&path).map_err(|e| Error::io("write", &path, e))?;
        lock.lock().map_err(|e| Error::io("lock", &path, e))?;
        Ok(Self { events, _lock: lock })
    }
}

/// Makes Parquet files of all closed days, ends what was asked to be forgotten,
/// and erases what the settings do not let be kept. With `today_too` the present
/// day's file is made as well, of what nobody is writing; the rest goes in later.
///
/// # Errors
/// When a file cannot be read or written; what was done until then stays.
pub fn maintain(data: &Path, today_too: bool) -> Result<Maintained> {
    let events = folder::events_of(data);
    if !events.is_dir() {
        return Ok(Maintained::default());
    }
    let at_work = Maintenance::begin(&events)?;
    let settings = Settings::read(&events)?;
    let mut done = Maintained::default();
    let today = Day::today();
    if let Some(kept) = settings.event_days {
        let first = today.plus(-i64::from(kept));
        for day in folder::days(&events)?.into_iter().filter(|day| *day < first) {
            at_work.remove(day, &mut done)?;
        }
    }
    at_work.forget(&settings, &mut done)?;
    let is_over = |day: &Day| today_too || day.end() + GRACE_MS <= now();
    for day in folder::days(&events)?.into_iter().filter(is_over) {
        at_work.compact(day, &mut done)?;
    }
    Ok(done)
}

/// Forgets somebody, or texts before a day: in the files, and until the last
/// one is rewritten for every reader.
///
/// # Errors
/// When a file cannot be read or written; the request stays, and the next
/// maintenance goes on with it.
pub fn forget(data: &Path, whose: Whose) -> Result<Maintained> {
    forget_one(data, whose, now())
}

/// The same of what happened until a moment; of a customer, with the conversations that
/// events tell of.
///
/// # Errors
/// As [`forget`].
pub fn forget_until(data: &Path, whose: Whose, at: i64) -> Result<Maintained> {
    let mut done = Maintained::default();
    if let Whose::Customer(customer) = &whose {
        for conversation in conversations_of(data, customer)? {
            done.join(forget_one(data, Whose::Conversation(conversation), at)?);
        }
    }
    done.join(forget_one(data, whose, at)?);
    Ok(done)
}

fn forget_one(data: &Path, whose: Whose, at: i64) -> Result<Maintained> {
    let events = folder::events_of(data);
    if !events.is_dir() {
        return Ok(Maintained::default());
    }
    let at_work = Maintenance::begin(&events)?;
    let mut requests = Requests::read(&events)?;
    requests.add(whose, at, Key::known(&events)?.as_ref());
    requests.write(&events)?;
    let mut done = Maintained::default();
    let start = Instant::now();
    // Whoever writes begins another segment when the file of the requests changes.
    while at_work.busy()? > 0 && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    at_work.forget(&Settings::read(&events)?, &mut done)?;
    Ok(done)
}

/// The conversations of a customer, as far as events tell.
///
/// # Errors
/// When a file cannot be read.
pub fn conversations_of(data: &Path, customer: &str) -> Result<BTreeSet<String>> {
    let events = folder::events_of(data);
    let known = folder::days(&events)?;
    let (Some(&from), Some(&to)) = (known.first(), known.last()) else { return Ok(BTreeSet::new()) };
    let made = Key::known(&events)?.map(|key| key.name(customer));
    let wanted = Wanted { texts: false, candidates: false, ..Wanted::all(Days { from, to }) };
    let mut found = BTreeSet::new();
    folder::read(&events, &wanted, &mut |event| {
        let theirs =
            event.customer.as_deref().is_some_and(|id| id == customer || made.as_deref() == Some(id));
        found.extend(event.conversation.filter(|_| theirs));
    })?;
    Ok(found)
}

impl Maintenance<'_> {
    fn folder(&self, day: Day) -> PathBuf {
        self.events.join(day.to_string())
    }

    /// Segments with something in them that some process has the lock of, and
    /// that were begun before now.
    fn busy(&self) -> Result<usize> {
        let mut busy = 0;
        let asked = forget::path(self.events).metadata().and_then(|data| data.modified()).ok();
        for day in folder::days(self.events)? {
            for path in folder::segments(&self.folder(day))? {
                let Some(file) = folder::open(&path)? else { continue };
                let begun = file.metadata().and_then(|data| data.created()).ok();
                let later = asked.zip(begun).is_some_and(|(asked, begun)| begun > asked);
                busy += usize::from(!later && is_busy(&file, &path)?);
            }
        }
        Ok(busy)
    }

    /// Applies all requests, and the settings' own, to all files that nobody writes.
    fn forget(&self, settings: &Settings, done: &mut Maintained) -> Result<()> {
        let moment = now();
        let asked = Requests::read(self.events)?;
        let mut requests = asked.clone();
        requests.add(Whose::texts_before(Day::today().plus(-i64::from(settings.text_days))), now(), None);
        let busy_before = self.busy()?;
        for day in folder::days(self.events)? {
            let changed = self.rewrite(day, &requests, &mut done.words)?;
            if changed > 0 {
                done.erased.push(day.to_string());
                done.changed += changed;
            }
        }
        done.busy = busy_before;
        if busy_before == 0 && !asked.is_empty() {
            let mut left = Requests::read(self.events)?;
            left.done_before(moment);
            left.write(self.events)?;
        }
        Ok(())
    }

    /// Applies requests to the closed files of a day, and notes what was said in them; gives
    /// back how many events changed.
    fn rewrite(&self, day: Day, requests: &Requests, words: &mut BTreeSet<String>) -> Result<u64> {
        if !requests.may_concern(day) {
            return Ok(0);
        }
        let folder = self.folder(day);
        let mut changed = 0;
        for path in folder::segments(&folder)? {
            let Some(file) = folder::open(&path)? else { continue };
            if !is_busy(&file, &path)? {
                changed += rewrite_segment(&path, file, requests, words)?;
            }
        }
        let path = folder.join(PARQUET);
        let Some(file) = folder::open(&path)? else { return Ok(changed) };
        let reader = parquet::Reader::open(&path, file)?;
        // Where nothing is written there, there is nothing to forget.
        if !reader.has(requests.columns()) {
            return Ok(changed);
        }
        let mut meant = 0;
        each_of(&reader, day, &mut |mut event| {
            words.extend(requests.words(&event));
            meant += u64::from(requests.apply(&mut event));
        })?;
        if meant > 0 {
            write_parquet(&folder, &path, &reader.segments(), reader.damaged(), |out| {
                each_of(&reader, day, &mut |mut event| {
                    requests.apply(&mut event);
                    out(event);
                })
            })?;
        }
        Ok(changed + meant)
    }

    /// Makes a day's closed segments part of its Parquet file.
    fn compact(&self, day: Day, done: &mut Maintained) -> Result<()> {
        let folder = self.folder(day);
        let path = folder.join(PARQUET);
        let opened = Opened::of(&folder)?;
        let old = opened.parquet.map(|(_, file)| parquet::Reader::open(&path, file)).transpose()?;
        let known = old.as_ref().map(parquet::Reader::segments).unwrap_or_default();
        let (mut closed, mut names, mut spent) = (Vec::new(), Vec::new(), Vec::new());
        for (path, file) in opened.segments {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if is_busy(&file, &path)? {
                continue;
            }
            if known.contains(&name) {
                // A crash left it.
                names.push(name);
                spent.push(path);
            } else {
                names.push(name);
                spent.push(path.clone());
                closed.push((path, file));
            }
        }
        if !closed.is_empty() {
            let mut damaged = old.as_ref().map_or(0, parquet::Reader::damaged);
            // How many lines are damaged is known after they were read.
            for (path, file) in &closed {
                let mut reader =
                    segment::Reader::new(file.try_clone().map_err(|e| Error::io("read", path, e))?);
                while reader.next_content().map_err(|e| Error::io("read", path, e))?.is_some() {}
                damaged += reader.damaged;
            }
            let requests = Requests::read(self.events)?;
            done.events += write_parquet(&folder, &path, &names, damaged, |out| {
                if let Some(old) = &old {
                    each_of(old, day, out)?;
                }
                for (path, _) in &closed {
                    let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
                    let mut reader = segment::Reader::new(file);
                    while let Some(mut event) = reader.next(&[]).map_err(|e| Error::io("read", path, e))? {
                        requests.apply(&mut event);
                        out(event);
                    }
                }
                Ok(())
            })?;
            done.compacted.push(day.to_string());
        }
        for path in spent {
            fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
        self.sweep(&folder)
    }

    /// Removes what a crash left half made.
    fn sweep(&self, folder: &Path) -> Result<()> {
        let items = fs::read_dir(folder).map_err(|e| Error::io("read", folder, e))?;
        for path in items.filter_map(std::result::Result::ok).map(|item| item.path()) {
            let beside = path.extension().is_some_and(|ending| ending == "new")
                || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(BESIDE));
            if beside
                && let Some(file) = folder::open(&path)?
                && !is_busy(&file, &path)?
            {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    fn remove(&self, day: Day, done: &mut Maintained) -> Result<()> {
        let folder = self.folder(day);
        fs::remove_dir_all(&folder).map_err(|e| Error::io("remove", &folder, e))?;
        done.removed.push(day.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Kind, Log};
    use super::*;

    fn yesterday() -> Day {
        Day::today().plus(-2)
    }

    fn event(number: i64) -> Event {
        Event {
            kind: Kind::Decision,
            at: yesterday().start() + number,
            kb: "demo".to_owned(),
            trace_id: Some(format!("{number:032x}")),
            conversation: Some(format!("c{}", number % 3)),
            text: Some(format!("第{number}问")),
            ..Event::default()
        }
    }

    fn all(data: &Path) -> Vec<Event> {
        let days = Days::new(Day::today().plus(-400), Day::today()).expect("in order");
        let mut events = Vec::new();
        let told = Log::open(data).read(&Wanted::all(days), |event| events.push(event)).expect("readable");
        assert_eq!(told.events, events.len() as u64);
        events.sort_by_key(|event| event.at);
        events
    }

    fn folder(data: &Path) -> PathBuf {
        data.join("events").join(yesterday().to_string())
    }

    #[test]
    fn a_closed_day_becomes_one_file_and_reads_the_same() {
        let data = tempfile::tempdir().expect("a folder");
        for part in 0..3 {
            let log = Log::open(data.path());
            for number in 0..10 {
                log.append(event(part * 10 + number)).expect("stored");
            }
        }
        let before = all(data.path());
        assert_eq!(before.len(), 30);
        let done = maintain(data.path(), false).expect("done");
        assert_eq!((done.events, done.compacted), (30, vec![yesterday().to_string()]));
        assert_eq!(folder::segments(&folder(data.path())).expect("readable").len(), 0);
        assert_eq!(all(data.path()), before);
        assert_eq!(maintain(data.path(), false).expect("nothing to do"), Maintained::default());
        // What comes later goes in too.
        let late = event(99);
        Log::open(data.path()).append(late.clone()).expect("stored");
        assert_eq!(maintain(data.path(), false).expect("done").events, 31);
        assert_eq!(all(data.path()).last(), Some(&late));
    }

    #[test]
    fn what_a_crash_left_is_not_counted_twice() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        log.append(event(1)).expect("stored");
        drop(log);
        let left = folder::segments(&folder(data.path())).expect("readable").remove(0);
        let bytes = fs::read(&left).expect("readable");
        maintain(data.path(), false).expect("done");
        // As if it had been killed before the segment was removed.
        fs::write(&left, bytes).expect("written");
        fs::write(folder(data.path()).join(".beside-x"), "half").expect("written");
        assert_eq!(all(data.path()).len(), 1);
        maintain(data.path(), false).expect("done");
        let names: Vec<_> =
            fs::read_dir(folder(data.path())).expect("there").filter_map(|item| item.ok()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(all(data.path()).len(), 1);
    }

    #[test]
    fn a_segment_that_is_written_is_left_alone() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        log.append(event(1)).expect("stored");
        assert_eq!(
            maintain(data.path(), false).expect("done"),
            Maintained { busy: 1, ..Maintained::default() }
        );
        log.append(event(2)).expect("stored");
        assert_eq!(all(data.path()).len(), 2);
    }

    /// All bytes of all files.
    fn everything(data: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        for path in fs::read_dir(folder(data)).expect("there").filter_map(|item| item.ok()) {
            bytes.extend(fs::read(path.path()).expect("readable"));
        }
        bytes
    }

    fn holds(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn who_is_forgotten_is_in_no_file_any_more() {
        for compacted in [false, true] {
            let data = tempfile::tempdir().expect("a folder");
            let log = Log::open(data.path());
            for number in 0..9 {
                let name = if number % 3 == 1 { "wx-4711-somebody" } else { "wx-0815-somebody" };
                let text = if number % 3 == 1 { "别人不该知道" } else { "随便说说" };
                log.append(Event {
                    conversation: Some(name.to_owned()),
                    text: Some(text.to_owned()),
                    ..event(number)
                })
                .expect("stored");
            }
            drop(log);
            if compacted {
                maintain(data.path(), false).expect("done");
            }
            let done = forget(data.path(), Whose::Conversation("wx-4711-somebody".to_owned())).expect("done");
            assert_eq!((done.changed, done.busy), (3, 0));
            let bytes = everything(data.path());
            assert!(!holds(&bytes, "4711"), "compacted: {compacted}");
            assert!(!forget::path(&data.path().join("events")).exists(), "the request names the customer");
            let events = all(data.path());
            assert_eq!(events.len(), 9, "counts stay");
            assert_eq!(events.iter().filter(|event| event.text.is_none()).count(), 3);
        }
    }

    #[test]
    fn a_request_holds_for_readers_before_the_files_are_rewritten() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        log.append(event(1)).expect("stored");
        let mut requests = Requests::default();
        requests.add(Whose::Conversation("c1".to_owned()), now(), None);
        requests.write(&data.path().join("events")).expect("written");
        assert_eq!(all(data.path())[0].text, None);
        let found = log.find(&format!("{:032x}", 1)).expect("readable").expect("there");
        assert_eq!(found.text, None);
        drop(log);
        let done = maintain(data.path(), false).expect("done");
        assert_eq!((done.changed, done.events), (1, 1));
        assert!(!forget::path(&data.path().join("events")).exists());
    }

    #[test]
    fn texts_go_after_the_days_that_the_settings_name_and_days_after_theirs() {
        let data = tempfile::tempdir().expect("a folder");
        let events = data.path().join("events");
        let log = Log::open(data.path());
        log.append(event(1)).expect("stored");
        drop(log);
        Settings { text_days: 1, ..Settings::default() }.write(&events).expect("written");
        assert_eq!(maintain(data.path(), false).expect("done").changed, 1);
        assert_eq!(all(data.path())[0].text, None);
        assert_eq!(maintain(data.path(), false).expect("done"), Maintained::default());
        Settings { event_days: Some(1), ..Settings::default() }.write(&events).expect("written");
        assert_eq!(maintain(data.path(), false).expect("done").removed, [yesterday().to_string()]);
        assert!(all(data.path()).is_empty());
    }
}

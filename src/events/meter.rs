//! How much was asked, told again and again while it is asked?
//!
//! What an invoice is made of and what a month's limit is held against has to be known on
//! every node, exact to the question, also when a process dies in the middle. So it is
//! counted from what is stored before a reply goes out, the events: those that this process
//! writes as it writes them, those of others and of processes before it from their files.
//!
//! [`Log::meter`] tells how much there is, never how much there is more: whoever keeps it
//! twice has it once. The numbers belong to a folder of events, which has a name of its
//! own (`data/events/node`, with the moment from which on it is metered). What happened
//! before that moment an older zhida has counted in its own way.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::day::{Day, Days};
use super::log::Log;
use super::record::Event;
use super::tally::{Cell, Count, Tally};
use super::wanted::{Read, Wanted};
use super::{folder, parquet, segment};
use crate::disk::sync_folder;
use crate::error::{Error, Result};

/// The file that names the folder.
const FILE: &str = "node";

/// How often it is looked what other processes have written in the same folder.
const OTHERS: Duration = Duration::from_secs(10);

/// So many days before the present one a count may still change.
const OPEN_DAYS: i64 = 2;

/// What a folder of events is called where the counts of several are kept together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    id: String,
    /// From when on it is metered, in Unix milliseconds.
    since: i64,
}

impl Node {
    fn known(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", path, e)),
        };
        let read = text.trim().split_once(' ').and_then(|(id, since)| {
            let is_sound = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            Some(Self { id: is_sound.then(|| id.to_owned())?, since: since.parse().ok()? })
        });
        match read {
            Some(node) => Ok(Some(node)),
            None => Err(Error::Refused(format!(
                "{} does not name the folder; remove it, and the events in the folder are counted under another name",
                path.display()
            ))),
        }
    }

    /// That of a folder; the first who asks makes it.
    pub(super) fn of(events: &Path, since: i64) -> Result<Self> {
        let path = events.join(FILE);
        if let Some(known) = Self::known(&path)? {
            return Ok(known);
        }
        let failed = |e| Error::io("write", &path, e);
        let node = Self { id: uuid::Uuid::now_v7().simple().to_string(), since };
        let mut beside = tempfile::NamedTempFile::new_in(events).map_err(failed)?;
        writeln!(beside, "{} {}", node.id, node.since)
            .and_then(|()| beside.as_file().sync_all())
            .map_err(failed)?;
        match beside.persist_noclobber(&path) {
            Ok(_) => {
                sync_folder(events)?;
                Ok(node)
            }
            // Another process was faster.
            Err(e) if e.error.kind() == ErrorKind::AlreadyExists => {
                Self::known(&path)?.ok_or_else(|| failed(e.error))
            }
            Err(e) => Err(failed(e.error)),
        }
    }
}

/// What a folder is called, if it is.
pub(super) fn name_of(events: &Path) -> Option<String> {
    Node::known(&events.join(FILE)).ok().flatten().map(|node| node.id)
}

/// What there is to keep.
#[derive(Debug, Clone)]
pub struct Metered {
    /// The name of the folder whose events were counted.
    pub node: String,
    /// Cells that have changed, with all that there is of each in this folder.
    pub cells: Vec<(Cell, Count)>,
    /// What of it happened before the folder was metered.
    pub before: Tally,
    /// What of it this process has stored.
    own: Tally,
}

/// What is known of a folder beside what this process writes into it.
#[derive(Default)]
pub(super) struct Meter {
    node: Option<Node>,
    others: Option<Others>,
    /// As it was kept last.
    kept: Tally,
    /// The same of what this process has stored.
    kept_own: Tally,
    /// Questions that were stored here and are kept by now, by key, until somebody takes them.
    settled: HashMap<String, u64>,
}

/// What other processes have written, and those before this one.
struct Others {
    tally: Tally,
    before: Tally,
    since: i64,
    /// How far each segment was read, in bytes.
    read: HashMap<PathBuf, u64>,
    looked: Instant,
}

impl Log {
    /// What was asked in this folder, as far as that has changed since it was kept last
    /// ([`Self::kept`]); `None` when nothing has. `last` says up to which day the counts of a
    /// folder of this name were kept; without, all of it is counted.
    ///
    /// # Errors
    /// When a file cannot be read, and what `last` says.
    pub fn meter(&self, last: impl FnOnce(&str) -> Result<Option<Day>>) -> Result<Option<Metered>> {
        let (events, opened) = (self.folder(), self.opened());
        // Without it nothing has happened yet.
        if !events.is_dir() {
            return Ok(None);
        }
        let mut meter = self.metering().lock().unwrap_or_else(PoisonError::into_inner);
        let Meter { node, others, kept, .. } = &mut *meter;
        let node = match node {
            Some(node) => &*node,
            None => node.insert(Node::of(events, opened)?),
        };
        let others = match others {
            Some(others) => {
                if others.looked.elapsed() >= OTHERS {
                    others.look(self)?;
                }
                others
            }
            None => {
                let from = last(&node.id)?.map(|day| day.plus(-1));
                others.insert(Others::read(self, from, node.since)?)
            }
        };
        let own = self.counted();
        let mut all = own.clone();
        all.join(&others.tally);
        let changed = all.rows().filter(|(cell, count)| kept.get(cell) != **count);
        let cells: Vec<(Cell, Count)> = changed.map(|(cell, count)| (cell.clone(), *count)).collect();
        if cells.is_empty() {
            return Ok(None);
        }
        Ok(Some(Metered { node: node.id.clone(), cells, before: others.before.clone(), own }))
    }

    /// Notes that counts were kept, which are not handed out again.
    pub fn kept(&self, metered: &Metered) {
        let mut meter = self.metering().lock().unwrap_or_else(PoisonError::into_inner);
        for (cell, count) in &metered.cells {
            meter.kept.set(cell, *count);
        }
        for (cell, count) in metered.own.rows() {
            let known = meter.kept_own.get(cell).questions;
            // One who metered later may have been faster.
            if count.questions > known {
                meter.kept_own.set(cell, *count);
                *meter.settled.entry(cell.key.clone()).or_default() += count.questions - known;
            }
        }
        // Nothing is added to what lies so far back.
        let open = Day::today().plus(-OPEN_DAYS);
        meter.kept.forget_before(open);
        meter.kept_own.forget_before(open);
        if let Some(others) = &mut meter.others {
            others.tally.forget_before(open);
            others.before.forget_before(open);
        }
        self.forget_counted(open);
    }

    /// How many questions of each key this process has stored that are kept since this was
    /// asked last: whoever has counted them beforehand counts them no longer.
    pub fn settled(&self) -> HashMap<String, u64> {
        std::mem::take(&mut self.metering().lock().unwrap_or_else(PoisonError::into_inner).settled)
    }
}

impl Others {
    /// Reads what lies there, from a day on.
    fn read(log: &Log, from: Option<Day>, since: i64) -> Result<Self> {
        let mut found = Self {
            tally: Tally::default(),
            before: Tally::default(),
            since,
            read: HashMap::new(),
            looked: Instant::now(),
        };
        let events = log.folder();
        for day in folder::days(events)?.into_iter().filter(|day| from.is_none_or(|from| *day >= from)) {
            let mut opened = folder::Opened::of(&events.join(day.to_string()))?;
            let days = Days { from: day.plus(-1), to: day.plus(1) };
            let wanted = Wanted { days, kb: None, kinds: &Tally::KINDS, texts: false, candidates: false };
            if let Some((path, file)) = opened.parquet.take() {
                let reader = parquet::Reader::open(&path, file)?;
                opened.without(&reader.segments());
                reader.read(&wanted, &mut Read::default(), &mut |event| found.add(&event))?;
            }
            for (path, file) in opened.segments {
                if !log.wrote(&path) {
                    found.go_on(path, file, 0)?;
                }
            }
        }
        Ok(found)
    }

    /// Takes in what others have written since.
    fn look(&mut self, log: &Log) -> Result<()> {
        self.looked = Instant::now();
        for day in [Day::today().plus(-1), Day::today()] {
            for path in folder::segments(&log.folder().join(day.to_string()))? {
                let known = self.read.get(&path).copied().unwrap_or(0);
                // One that was rewritten is shorter, and its events were counted.
                let has_more = path.metadata().is_ok_and(|found| found.len() > known);
                if has_more
                    && !log.wrote(&path)
                    && let Some(file) = folder::open(&path)?
                {
                    self.go_on(path, file, known)?;
                }
            }
        }
        Ok(())
    }

    fn go_on(&mut self, path: PathBuf, mut file: File, from: u64) -> Result<()> {
        let failed = |e| Error::io("read", &path, e);
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut reader = segment::Reader::new(file);
        while let Some(event) = reader.next(&Tally::KINDS).map_err(failed)? {
            self.add(&event);
        }
        self.read.insert(path, from + reader.consumed);
        Ok(())
    }

    fn add(&mut self, event: &Event) {
        self.tally.add(event);
        if event.at < self.since {
            self.before.add(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Kind;
    use super::*;

    fn asked(log: &Log, key: &str) {
        let answer = Some("answer".to_owned());
        let event = Event { key: Some(key.to_owned()), decision: answer, ..Event::now(Kind::Decision, "t") };
        log.append(event).expect("stored");
    }

    /// What there is to keep, by key, and what of it was there before; it is kept.
    fn handed(log: &Log, last: Option<Day>) -> (Vec<(String, u64)>, u64) {
        let Some(metered) = log.meter(|_| Ok(last)).expect("metered") else { return (Vec::new(), 0) };
        log.kept(&metered);
        let rows = metered.cells.iter().map(|(cell, count)| (cell.key.clone(), count.questions));
        (rows.collect(), metered.before.rows().map(|(_, count)| count.questions).sum())
    }

    #[test]
    fn whole_numbers_are_handed_out_and_again_after_a_death() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        assert_eq!(handed(&log, None), (vec![], 0), "nothing happened");
        asked(&log, "a");
        asked(&log, "a");
        asked(&log, "b");
        let first = log.meter(|_| Ok(None)).expect("metered").expect("something");
        assert_eq!(first.cells.len(), 2, "nobody has kept it, so it is told again");
        assert_eq!(handed(&log, None), (vec![("a".to_owned(), 2), ("b".to_owned(), 1)], 0));
        assert_eq!(handed(&log, None), (vec![], 0), "nothing has changed");
        assert_eq!(log.settled(), HashMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
        assert_eq!(log.settled(), HashMap::new(), "each once");
        // Two who meter at the same time settle a question once, whoever is faster.
        asked(&log, "b");
        let slow = log.meter(|_| Ok(None)).expect("metered").expect("something");
        asked(&log, "b");
        let fast = log.meter(|_| Ok(None)).expect("metered").expect("something");
        log.kept(&fast);
        log.kept(&slow);
        assert_eq!(handed(&log, None), (vec![("b".to_owned(), 3)], 0), "what was kept last is told anew");
        assert_eq!(log.settled(), HashMap::from([("b".to_owned(), 2)]));
        asked(&log, "b");
        assert_eq!(handed(&log, None), (vec![("b".to_owned(), 4)], 0));
        // Nobody took this one before the process died.
        asked(&log, "a");
        drop(log);
        let next = Log::open(data.path());
        asked(&next, "c");
        let all = vec![("a".to_owned(), 3), ("b".to_owned(), 4), ("c".to_owned(), 1)];
        assert_eq!(handed(&next, Some(Day::today())), (all, 0));
        assert_eq!(next.settled(), HashMap::from([("c".to_owned(), 1)]), "the others were not its own");
    }

    #[test]
    fn what_an_older_zhida_has_counted_is_told_apart() {
        let data = tempfile::tempdir().expect("a folder");
        let ask = |at: i64| {
            let event = Event { key: Some("a".to_owned()), ..Event::now(Kind::Decision, "t") };
            Log::open(data.path()).append(Event { at, ..event }).expect("stored");
        };
        let since = Day::today().start() + 1;
        ask(since - 1);
        ask(since);
        let named = format!("{} {since}\n", uuid::Uuid::now_v7().simple());
        std::fs::write(data.path().join("events").join(FILE), named).expect("written");
        assert_eq!(handed(&Log::open(data.path()), None), (vec![("a".to_owned(), 2)], 1));
    }

    #[test]
    fn two_processes_in_one_folder_hand_out_the_same() {
        let data = tempfile::tempdir().expect("a folder");
        let (one, two) = (Log::open(data.path()), Log::open(data.path()));
        asked(&one, "a");
        asked(&two, "a");
        assert_eq!(handed(&one, None).0, vec![("a".to_owned(), 2)]);
        assert_eq!(handed(&two, None).0, vec![("a".to_owned(), 2)]);
        let name = |log: &Log| {
            asked(log, "a");
            log.meter(|_| Ok(None)).expect("metered").expect("something").node
        };
        assert_eq!(name(&one), name(&two));
        std::fs::write(data.path().join("events").join(FILE), "gibberish").expect("written");
        assert!(Log::open(data.path()).meter(|_| Ok(None)).is_err());
    }
}

//! What lies in the folder of a day?
//!
//! Segments, the day's Parquet file, or both: a segment that the Parquet file
//! names is in it already, and was left there by a crash.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::day::{Day, Days};
use super::forget::Requests;
use super::log::moment_of_id;
use super::record::{Event, Kind};
use super::wanted::{Read, Wanted};
use super::{others, parquet, segment};
use crate::error::{Error, Result};

/// The file of a closed day.
pub(super) const PARQUET: &str = "events.parquet";

/// The folder of the events in a data directory.
pub(crate) fn events_of(data: &Path) -> PathBuf {
    data.join("events")
}

/// A reply is made, and its event stored, within this time.
const DELAY_MS: i64 = 600_000;

/// How often a day is opened again that another process is rewriting.
const ATTEMPTS: usize = 20;

/// The days that have a folder, in order.
pub(super) fn days(events: &Path) -> Result<Vec<Day>> {
    let names = names(events)?;
    let mut days: Vec<Day> = names.iter().filter_map(|name| name.parse().ok()).collect();
    days.sort();
    Ok(days)
}

/// How many days before one still lie in segments.
pub(super) fn backlog(events: &Path, today: Day) -> usize {
    let closed = days(events).unwrap_or_default().into_iter().filter(|day| *day < today);
    let waits = |day: &Day| segments(&events.join(day.to_string())).is_ok_and(|found| !found.is_empty());
    closed.filter(waits).count()
}

/// The names in a folder, in order; none when it is not there.
fn names(folder: &Path) -> Result<Vec<String>> {
    let items = match fs::read_dir(folder) {
        Ok(items) => items,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", folder, e)),
    };
    let mut names = Vec::new();
    for item in items {
        let item = item.map_err(|e| Error::io("read", folder, e))?;
        names.extend(item.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The segments of a day, in the order in which they were begun.
pub(super) fn segments(folder: &Path) -> Result<Vec<PathBuf>> {
    let ending = format!(".{}", segment::ENDING);
    let names = names(folder)?.into_iter().filter(|name| name.ends_with(&ending));
    Ok(names.map(|name| folder.join(name)).collect())
}

/// A file that may not be there.
pub(super) fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path, e)),
    }
}

/// The files of a day as they were at one moment; open files stay readable
/// whatever becomes of their names.
pub(super) struct Opened {
    pub(super) parquet: Option<(PathBuf, File)>,
    pub(super) segments: Vec<(PathBuf, File)>,
}

impl Opened {
    /// Opens a day. Who compacts it meanwhile renames the Parquet file first and
    /// removes segments then, so it is the same file before and after.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let path = folder.join(PARQUET);
        let stamp = || path.metadata().ok().map(|data| (data.len(), data.modified().ok()));
        for _ in 0..ATTEMPTS {
            let before = stamp();
            let parquet = open(&path)?;
            let listed = segments(folder)?;
            let opened: Vec<_> =
                listed.into_iter().map(|path| open(&path).map(|file| (path, file))).collect::<Result<_>>()?;
            if before == stamp()
                && before.is_some() == parquet.is_some()
                && opened.iter().all(|(_, file)| file.is_some())
            {
                let segments = opened.into_iter().filter_map(|(path, file)| Some((path, file?))).collect();
                return Ok(Self { parquet: parquet.map(|file| (path, file)), segments });
            }
        }
        Err(Error::Refused(format!("{} is being rewritten all the time; try again", folder.display())))
    }

    /// Leaves out the segments that the Parquet file holds already.
    pub(super) fn without(&mut self, known: &[String]) {
        self.segments.retain(|(path, _)| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_none_or(|name| !known.iter().any(|one| one == name))
        });
    }

    /// Gives each wanted event to `each`.
    pub(super) fn read(
        mut self,
        wanted: &Wanted<'_>,
        told: &mut Read,
        each: &mut dyn FnMut(Event),
    ) -> Result<()> {
        if let Some((path, file)) = self.parquet.take() {
            let reader = parquet::Reader::open(&path, file)?;
            self.without(&reader.segments());
            told.damaged += reader.damaged();
            reader.read(wanted, told, each)?;
        }
        for (path, file) in self.segments {
            let mut reader = segment::Reader::new(file);
            while let Some(event) = reader.next(wanted.kinds).map_err(|e| Error::io("read", &path, e))? {
                if wanted.takes(&event) {
                    told.events += 1;
                    each(event);
                }
            }
            told.damaged += reader.damaged;
        }
        Ok(())
    }
}

/// Gives each wanted event to `each`.
pub(super) fn read(events: &Path, wanted: &Wanted<'_>, each: &mut dyn FnMut(Event)) -> Result<Read> {
    let requests = Requests::read(events)?;
    // An event of the last moment of a day may lie in the next day's folder.
    let span = Days { from: wanted.days.from, to: wanted.days.to.plus(1) };
    let days: Vec<Day> =
        days(events)?.into_iter().filter(|day| (span.from..=span.to).contains(day)).collect();
    let mut given = |mut event: Event| {
        if !requests.is_empty() {
            requests.apply(&mut event);
        }
        each(event);
    };
    if days.len() <= FEW_DAYS {
        return read_days(events, &days, wanted, &mut given);
    }
    // Files are read in a thread of their own while what they hold is counted in this one.
    others::beside(|out| read_days(events, &days, wanted, out), |batches| batches.flatten().for_each(given))
}

/// So few days are read without a thread of their own.
const FEW_DAYS: usize = 2;

fn read_days(events: &Path, days: &[Day], wanted: &Wanted<'_>, each: &mut dyn FnMut(Event)) -> Result<Read> {
    let mut told = Read::default();
    for day in days {
        Opened::of(&events.join(day.to_string()))?.read(wanted, &mut told, each)?;
    }
    Ok(told)
}

/// The decision with a trace id that was made at a moment.
pub(super) fn find(events: &Path, trace_id: &str, at: i64) -> Result<Option<Event>> {
    let first = Day::of(at);
    for day in [first, first.plus(1)] {
        let mut opened = Opened::of(&events.join(day.to_string()))?;
        if let Some((path, file)) = opened.parquet.take() {
            let reader = parquet::Reader::open(&path, file)?;
            opened.without(&reader.segments());
            if let Some(event) = reader.find(trace_id, at - DELAY_MS, at + DELAY_MS)? {
                return Ok(Some(event));
            }
        }
        for (path, file) in opened.segments {
            if !may_hold(&path, &file, at) {
                continue;
            }
            if let Some(event) = find_in(file, trace_id).map_err(|e| Error::io("read", &path, e))? {
                return Ok(Some(event));
            }
        }
    }
    Ok(None)
}

/// Whether a segment was being written at a moment: its name says when it was
/// begun, the file when it was written last.
fn may_hold(path: &Path, file: &File, at: i64) -> bool {
    let begun = path.file_stem().and_then(|stem| stem.to_str()).and_then(moment_of_id);
    let moment = Duration::from_millis(u64::try_from(at - DELAY_MS).unwrap_or(0));
    let ended = file.metadata().and_then(|data| data.modified());
    begun.is_none_or(|begun| begun <= at + DELAY_MS)
        && ended.map_or(true, |ended| ended >= SystemTime::UNIX_EPOCH + moment)
}

/// The decision with a trace id in a segment; only lines that name it are read.
fn find_in(mut file: File, trace_id: &str) -> std::io::Result<Option<Event>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let needle = format!("\"trace_id\":\"{trace_id}\"");
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Ok(text) = std::str::from_utf8(line) else { continue };
        if let Some(event) = text.contains(&needle).then(|| segment::read_line(line)).flatten()
            && event.kind == Kind::Decision
            && event.trace_id.as_deref() == Some(trace_id)
        {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

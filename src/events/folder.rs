//! What lies in the folder of a day?

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::day::{Day, Days};
use super::log::{Read, Wanted};
use super::record::{Event, Kind};
use super::segment;
use crate::error::{Error, Result};

/// The folder of the events in a data directory.
pub(super) fn events_of(data: &Path) -> PathBuf {
    data.join("events")
}

/// The file by whose change other processes are asked to begin another segment.
pub(super) fn requests(events: &Path) -> PathBuf {
    events.join("forget.json")
}

/// A reply is made, and its event stored, within this time.
const DELAY_MS: i64 = 600_000;

/// The days that have a folder, in order.
pub(super) fn days(events: &Path) -> Result<Vec<Day>> {
    let names = names(events)?;
    let mut days: Vec<Day> = names.iter().filter_map(|name| name.parse().ok()).collect();
    days.sort();
    Ok(days)
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

/// The files of a day, opened at one moment.
struct Opened {
    segments: Vec<(PathBuf, File)>,
}

impl Opened {
    fn of(folder: &Path) -> Result<Self> {
        let mut opened = Vec::new();
        for path in segments(folder)? {
            match File::open(&path) {
                Ok(file) => opened.push((path, file)),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("read", &path, e)),
            }
        }
        Ok(Self { segments: opened })
    }
}

/// Gives each wanted event to `each`.
pub(super) fn read(events: &Path, wanted: &Wanted<'_>, each: &mut dyn FnMut(Event)) -> Result<Read> {
    let mut told = Read::default();
    // An event of the last second of a day may lie in the next day's folder.
    let span = Days { from: wanted.days.from, to: wanted.days.to.plus(1) };
    for day in days(events)?.into_iter().filter(|day| (span.from..=span.to).contains(day)) {
        let opened = Opened::of(&events.join(day.to_string()))?;
        for (path, file) in opened.segments {
            let mut reader = segment::Reader::new(file);
            while let Some(event) = reader.next(wanted.kinds).map_err(|e| Error::io("read", &path, e))? {
                if wanted.takes(&event) {
                    told.events += 1;
                    each(event);
                }
            }
            told.damaged += reader.damaged;
        }
    }
    Ok(told)
}

/// The decision with a trace id that was made at a moment.
pub(super) fn find(events: &Path, trace_id: &str, at: i64) -> Result<Option<Event>> {
    let first = Day::of(at);
    for day in [first, first.plus(1)] {
        let opened = Opened::of(&events.join(day.to_string()))?;
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
    let begun = path.file_stem().and_then(|stem| stem.to_str()).and_then(super::log::moment_of_id);
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

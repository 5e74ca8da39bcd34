//! How does an event lie in a file, so that half of one is never believed?
//!
//! A line is the CRC-32 of the event's JSON in eight hex digits, a space, the
//! JSON, and a line feed, which JSON escapes. What a kill or a power loss left
//! of a line fails the checksum or lacks its end; it is passed over and
//! counted, and the line after it is read again.
//!
//! The process that writes a segment holds a lock on it. It is made under
//! another name and renamed once it is locked, so whoever gets the lock of a
//! `.seg` file knows that nobody will write to it any more.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;

use super::record::{Event, Kind};
use crate::error::{Error, Result};

/// How names of segments end.
pub(super) const ENDING: &str = "seg";

/// The longest line that is believed to be one; an event has a few kB.
const LINE_BYTES: usize = 1 << 20;

/// An event as a line.
pub(super) fn line(event: &Event) -> Result<Vec<u8>> {
    // Most lines have less than a kilobyte.
    let mut line = Vec::with_capacity(1 << 10);
    line.resize(9, b' ');
    serde_json::to_writer(&mut line, event).map_err(|e| Error::internal("events", e))?;
    let sum = crc32fast::hash(&line[9..]);
    // Eight digits take the room that was left for them.
    let mut left = &mut line[..8];
    write!(left, "{sum:08x}").map_err(|e| Error::internal("events", e))?;
    line.push(b'\n');
    Ok(line)
}

/// The JSON of a line without its line feed, if the checksum is right.
fn content(line: &[u8]) -> Option<&[u8]> {
    let (sum, content) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?, 16).ok()?;
    (crc32fast::hash(content) == sum).then_some(content)
}

/// The event of a line with its line feed, if it is whole.
pub(super) fn read_line(line: &[u8]) -> Option<Event> {
    serde_json::from_slice(content(line.strip_suffix(b"\n")?)?).ok()
}

/// A segment that this process writes.
pub(super) struct Writer {
    pub(super) path: Arc<Path>,
    pub(super) file: Arc<File>,
    /// Bytes of whole lines.
    pub(super) length: u64,
}

impl Writer {
    /// A new segment in a day's folder, locked.
    pub(super) fn create(folder: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(folder)?;
        let name = uuid::Uuid::now_v7().simple().to_string();
        let beside = folder.join(format!("{name}.new"));
        let path = folder.join(format!("{name}.{ENDING}"));
        let file = OpenOptions::new().create_new(true).append(true).open(&beside)?;
        file.lock()?;
        fs::rename(&beside, &path)?;
        Ok(Self { path: path.into(), file: Arc::new(file), length: 0 })
    }

    /// Appends a line whole, or nothing of it.
    pub(super) fn append(&mut self, line: &[u8]) -> std::io::Result<()> {
        match (&*self.file).write_all(line) {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(e) => {
                // What was written of it goes; if not even that is possible the
                // caller gives the segment up, and readers pass over its end.
                self.file.set_len(self.length)?;
                Err(e)
            }
        }
    }
}

impl Drop for Writer {
    /// The lock goes at once, though a sync on its way may hold the file a little longer.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// A segment to read.
pub(super) struct Reader {
    lines: BufReader<File>,
    line: Vec<u8>,
    /// Lines that were passed over.
    pub(super) damaged: u64,
    /// Bytes of the lines that were read to their end.
    pub(super) consumed: u64,
}

impl Reader {
    pub(super) fn new(file: File) -> Self {
        Self { lines: BufReader::with_capacity(1 << 16, file), line: Vec::new(), damaged: 0, consumed: 0 }
    }

    /// The next event of one of the kinds; `None` at the end. The last line
    /// without its end is passed over: it is torn, or being written.
    pub(super) fn next(&mut self, kinds: &[Kind]) -> std::io::Result<Option<Event>> {
        loop {
            let Some(content) = self.next_content()? else { return Ok(None) };
            let (from, to) = content;
            let content = &self.line[from..to];
            if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(content, *kind)) {
                continue;
            }
            match serde_json::from_slice(content) {
                Ok(event) => return Ok(Some(event)),
                Err(_) => self.damaged += 1,
            }
        }
    }

    /// The place of the next line's content in `self.line`.
    pub(super) fn next_content(&mut self) -> std::io::Result<Option<(usize, usize)>> {
        loop {
            self.line.clear();
            self.lines.read_until(b'\n', &mut self.line)?;
            let Some(line) = self.line.strip_suffix(b"\n") else {
                self.damaged += u64::from(!self.line.is_empty());
                return Ok(None);
            };
            self.consumed += line.len() as u64 + 1;
            match content(line).filter(|content| content.len() < LINE_BYTES) {
                Some(_) => return Ok(Some((9, line.len()))),
                None => self.damaged += 1,
            }
        }
    }
}

/// Whether a line's content is an event of a kind: the kind is its first field.
fn is_of(content: &[u8], kind: Kind) -> bool {
    content
        .strip_prefix(b"{\"kind\":\"")
        .and_then(|rest| rest.strip_prefix(kind.name().as_bytes()))
        .is_some_and(|rest| rest.starts_with(b"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: i64) -> Event {
        Event { at: number, kb: "铺子\n".to_owned(), text: Some("x".repeat(40)), ..Event::default() }
    }

    fn read(bytes: &[u8]) -> (Vec<i64>, u64) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.seg");
        fs::write(&path, bytes).expect("written");
        let mut reader = Reader::new(File::open(path).expect("opens"));
        let mut seen = Vec::new();
        while let Some(event) = reader.next(&[]).expect("readable") {
            seen.push(event.at);
        }
        (seen, reader.damaged)
    }

    #[test]
    fn a_torn_end_is_passed_over_wherever_it_was_torn() {
        let lines: Vec<u8> = (0..3).flat_map(|number| line(&event(number)).expect("writes")).collect();
        assert_eq!(read(&lines), (vec![0, 1, 2], 0));
        let two = lines.len() - line(&event(2)).expect("writes").len();
        for cut in two + 1..lines.len() {
            assert_eq!(read(&lines[..cut]), (vec![0, 1], 1), "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_line_costs_no_other() {
        let lines: Vec<u8> = (0..3).flat_map(|number| line(&event(number)).expect("writes")).collect();
        let one = line(&event(0)).expect("writes").len();
        for at in one..one + line(&event(1)).expect("writes").len() - 1 {
            let mut broken = lines.clone();
            broken[at] ^= 1;
            let (seen, damaged) = read(&broken);
            assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&2)), "byte {at}");
            assert!(!seen.contains(&1) && damaged >= 1, "byte {at}");
        }
        // What a power loss may leave where a page was not written.
        let mut holes = lines.clone();
        holes[one..one + 30].fill(0);
        assert_eq!(read(&holes).0, [0, 2]);
    }

    #[test]
    fn kinds_are_told_apart_without_reading_the_rest() {
        let feedback = Event { kind: Kind::Feedback, ..event(1) };
        let bytes = [line(&event(0)).expect("writes"), line(&feedback).expect("writes")].concat();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.seg");
        fs::write(&path, bytes).expect("written");
        let mut reader = Reader::new(File::open(path).expect("opens"));
        assert_eq!(reader.next(&[Kind::Feedback]).expect("readable").map(|event| event.at), Some(1));
        assert!(reader.next(&[Kind::Feedback]).expect("readable").is_none());
    }
}

//! How do the events of a closed day lie in a file that others read?
//!
//! One Parquet file a day, `data/events/2026-11-27/events.parquet`, with the
//! columns of [`columns`]: plain types that DuckDB and Pandas read as they are.
//! `zhida events schema` prints them.
//!
//! ```sql
//! SELECT decision, count(*) FROM 'data/events/*/events.parquet' WHERE kind = 'decision' GROUP BY 1;
//! ```
//!
//! The file's own key-value data says which segments are in it
//! (`zhida.segments`, a JSON list of names), so that a segment which a crash
//! left beside it is not counted twice, and how many damaged lines were passed
//! over (`zhida.damaged`).

mod columns;

pub use columns::{Column, columns};

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use self::columns::Cell;
use super::record::{Candidate, Event, Kind};
use super::wanted::{Read, Wanted};
use crate::disk::contained;
use crate::error::{Error, Result};

/// Rows that are written and read at a time; bounds the memory.
const ROWS: usize = 32_768;

const SEGMENTS: &str = "zhida.segments";
const DAMAGED: &str = "zhida.damaged";

fn failed(path: &Path) -> impl Fn(ParquetError) -> Error {
    move |e| Error::Refused(format!("{}: {e}", path.display()))
}

fn damaged<T>(message: String) -> std::result::Result<T, ParquetError> {
    Err(ParquetError::General(message))
}

/// Writes events into a file, some rows at a time.
pub(super) struct Writer<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Vec<Event>,
    written: u64,
}

impl<W: Write + Send> Writer<W> {
    pub(super) fn new(out: W) -> std::result::Result<Self, ParquetError> {
        let fields: String = columns().map(Column::declared).collect();
        let schema = parse_message_type(&format!("message events {{ {fields} }}"))?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("zhida".to_owned());
        // Every one is another; a dictionary of them would only cost time.
        for unlike in ["trace_id", "text", "normalized", "candidates", "at", "micros"] {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(unlike), false);
        }
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build()))?;
        Ok(Self { file, rows: Vec::with_capacity(ROWS), written: 0 })
    }

    pub(super) fn push(&mut self, event: Event) -> std::result::Result<(), ParquetError> {
        self.rows.push(event);
        if self.rows.len() >= ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::result::Result<(), ParquetError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for column in columns() {
            let Some(mut cells) = group.next_column()? else { break };
            write_cells(column, &self.rows, cells.untyped())?;
            cells.close()?;
        }
        group.close()?;
        self.written += self.rows.len() as u64;
        self.rows.clear();
        Ok(())
    }

    /// Ends the file, saying which segments are in it; gives back how many events are.
    pub(super) fn finish(
        mut self,
        segments: &[String],
        damaged: u64,
    ) -> std::result::Result<(W, u64), ParquetError> {
        self.flush()?;
        let segments = serde_json::to_string(segments).unwrap_or_default();
        self.file.append_key_value_metadata(KeyValue::new(SEGMENTS.to_owned(), segments));
        self.file.append_key_value_metadata(KeyValue::new(DAMAGED.to_owned(), damaged.to_string()));
        Ok((self.file.into_inner()?, self.written))
    }
}

/// The values that are there, and for each row whether one is.
fn cells<T>(rows: &[Event], get: impl Fn(&Event) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let mut levels = Vec::with_capacity(rows.len());
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let value = get(row);
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    (values, levels)
}

fn write_cells(
    column: &Column,
    rows: &[Event],
    out: &mut ColumnWriter<'_>,
) -> std::result::Result<(), ParquetError> {
    let optional = |levels: Vec<i16>| (!column.is_required()).then_some(levels);
    match (&column.cell, out) {
        (Cell::Text(get, _), ColumnWriter::ByteArrayColumnWriter(out)) => {
            let (values, levels) = cells(rows, |event| get(event).map(ByteArray::from));
            out.write_batch(&values, optional(levels).as_deref(), None)?;
        }
        (Cell::Candidates, ColumnWriter::ByteArrayColumnWriter(out)) => {
            let (values, levels) = cells(rows, |event| {
                (!event.candidates.is_empty())
                    .then(|| serde_json::to_vec(&event.candidates).unwrap_or_default().into())
            });
            out.write_batch(&values, optional(levels).as_deref(), None)?;
        }
        (Cell::Number(get, _), ColumnWriter::Int64ColumnWriter(out)) => {
            let (values, levels) = cells(rows, get);
            out.write_batch(&values, optional(levels).as_deref(), None)?;
        }
        (Cell::Real(get, _), ColumnWriter::DoubleColumnWriter(out)) => {
            let (values, levels) = cells(rows, get);
            out.write_batch(&values, optional(levels).as_deref(), None)?;
        }
        (Cell::Truth(get, _), ColumnWriter::BoolColumnWriter(out)) => {
            let (values, levels) = cells(rows, get);
            out.write_batch(&values, optional(levels).as_deref(), None)?;
        }
        _ => return Err(ParquetError::General(format!("column {} has another type", column.name))),
    }
    Ok(())
}

/// A day's file.
pub(super) struct Reader<'a> {
    file: SerializedFileReader<File>,
    path: &'a Path,
}

impl<'a> Reader<'a> {
    pub(super) fn open(path: &'a Path, file: File) -> Result<Self> {
        let file = contained(|| SerializedFileReader::new(file)).unwrap_or_else(damaged);
        Ok(Self { file: file.map_err(failed(path))?, path })
    }

    fn said(&self, key: &str) -> Option<&str> {
        let told = self.file.metadata().file_metadata().key_value_metadata()?;
        told.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    /// The names of the segments that are in it.
    pub(super) fn segments(&self) -> Vec<String> {
        self.said(SEGMENTS).and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
    }

    /// Lines that were damaged when it was made.
    pub(super) fn damaged(&self) -> u64 {
        self.said(DAMAGED).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Whether any row has a value in one of these columns.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.file.metadata().row_groups().iter().any(|group| {
            group
                .columns()
                .iter()
                .filter(|column| names.contains(&column.column_path().string().as_str()))
                .any(|column| {
                    let nulls = column.statistics().and_then(Statistics::null_count_opt);
                    nulls.is_none_or(|nulls| nulls < u64::try_from(group.num_rows()).unwrap_or(0))
                })
        })
    }

    /// Gives each wanted event to `each`.
    pub(super) fn read(
        &self,
        wanted: &Wanted<'_>,
        told: &mut Read,
        each: &mut dyn FnMut(Event),
    ) -> Result<()> {
        for number in 0..self.file.num_row_groups() {
            let (from, to) = (wanted.days.from.start(), wanted.days.to.end());
            if span(self.file.metadata().row_group(number))
                .is_some_and(|(first, last)| last < from || first >= to)
            {
                continue;
            }
            let group = self.file.get_row_group(number).map_err(failed(self.path))?;
            let events = rows(
                &*group,
                |column| column.is_wanted(wanted),
                |kinds| wanted.kinds.is_empty() || kinds.iter().any(|kind| wanted.kinds.contains(kind)),
            );
            for event in events.map_err(failed(self.path))? {
                if wanted.takes(&event) {
                    told.events += 1;
                    each(event);
                }
            }
        }
        Ok(())
    }

    /// The decision with a trace id, if it happened between two moments.
    pub(super) fn find(&self, trace_id: &str, from: i64, to: i64) -> Result<Option<Event>> {
        for number in 0..self.file.num_row_groups() {
            if span(self.file.metadata().row_group(number))
                .is_some_and(|(first, last)| last < from || first > to)
            {
                continue;
            }
            let group = self.file.get_row_group(number).map_err(failed(self.path))?;
            let named = rows(&*group, |column| ["kind", "trace_id"].contains(&column.name), |_| true);
            let is_it =
                |event: &Event| event.kind == Kind::Decision && event.trace_id.as_deref() == Some(trace_id);
            if let Some(at) = named.map_err(failed(self.path))?.iter().position(is_it) {
                let events = rows(&*group, |_| true, |_| true).map_err(failed(self.path))?;
                return Ok(events.into_iter().nth(at));
            }
        }
        Ok(None)
    }
}

/// The first and the last moment of a row group.
fn span(group: &RowGroupMetaData) -> Option<(i64, i64)> {
    let at = columns().position(|column| column.name == "at")?;
    match group.columns().get(at)?.statistics()? {
        Statistics::Int64(told) => Some((*told.min_opt()?, *told.max_opt()?)),
        _ => None,
    }
}

/// The events of a row group with some of their columns; none when their kinds are not needed.
fn rows(
    group: &dyn RowGroupReader,
    wanted: impl Fn(&Column) -> bool,
    needed: impl Fn(&[Kind]) -> bool,
) -> std::result::Result<Vec<Event>, ParquetError> {
    contained(|| sound_rows(group, wanted, needed)).unwrap_or_else(damaged)
}

fn sound_rows(
    group: &dyn RowGroupReader,
    wanted: impl Fn(&Column) -> bool,
    needed: impl Fn(&[Kind]) -> bool,
) -> std::result::Result<Vec<Event>, ParquetError> {
    let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let mut events = vec![Event::default(); count];
    // A file of an older zhida may lack columns, and one of a newer have others.
    let places: Vec<String> =
        group.metadata().columns().iter().map(|column| column.column_path().string()).collect();
    for column in columns().filter(|column| wanted(column)) {
        let Some(place) = places.iter().position(|name| name == column.name) else { continue };
        read_cells(column, group.get_column_reader(place)?, &mut events)?;
        if column.name == "kind" {
            let mut kinds: Vec<Kind> = Vec::new();
            for event in &events {
                if !kinds.contains(&event.kind) {
                    kinds.push(event.kind);
                }
            }
            if !needed(&kinds) {
                return Ok(Vec::new());
            }
        }
    }
    Ok(events)
}

fn read_cells(
    column: &Column,
    cells: ColumnReader,
    events: &mut [Event],
) -> std::result::Result<(), ParquetError> {
    let text = |value: &ByteArray| String::from_utf8_lossy(value.data()).into_owned();
    macro_rules! each {
        ($cells:ident, $set:expr) => {{
            let mut cells = $cells;
            let (mut values, mut levels) =
                (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
            let mut rows = 0;
            while rows < events.len() {
                let (read, _, _) =
                    cells.read_records(events.len() - rows, Some(&mut levels), None, &mut values)?;
                if read == 0 {
                    break;
                }
                rows += read;
            }
            let mut values = values.iter();
            for (at, event) in events.iter_mut().enumerate() {
                if column.is_required() || levels.get(at).is_some_and(|level| *level > 0) {
                    if let Some(value) = values.next() {
                        $set(event, value);
                    }
                }
            }
        }};
    }
    match (&column.cell, cells) {
        (Cell::Text(_, set), ColumnReader::ByteArrayColumnReader(cells)) => {
            each!(cells, |event: &mut Event, value: &ByteArray| set(event, text(value)));
        }
        (Cell::Candidates, ColumnReader::ByteArrayColumnReader(cells)) => {
            each!(cells, |event: &mut Event, value: &ByteArray| {
                event.candidates = serde_json::from_slice::<Vec<Candidate>>(value.data()).unwrap_or_default();
            });
        }
        (Cell::Number(_, set), ColumnReader::Int64ColumnReader(cells)) => {
            each!(cells, |event: &mut Event, value: &i64| set(event, *value));
        }
        (Cell::Real(_, set), ColumnReader::DoubleColumnReader(cells)) => {
            each!(cells, |event: &mut Event, value: &f64| set(event, *value));
        }
        (Cell::Truth(_, set), ColumnReader::BoolColumnReader(cells)) => {
            each!(cells, |event: &mut Event, value: &bool| set(event, *value));
        }
        _ => return Err(ParquetError::General(format!("column {} has another type", column.name))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::day::{Day, Days};
    use super::super::record::Doing;
    use super::*;

    /// Events that fill every field, and such that fill none.
    fn events() -> Vec<Event> {
        let text = |word: &str| Some(word.to_owned());
        let full = Event {
            kind: Kind::Agent,
            at: Day::today().start() + 5,
            trace_id: text("t"),
            kb: "店".to_owned(),
            release: text("12+3"),
            conversation: text("c"),
            customer: text("u"),
            channel: text("web"),
            key: text("k"),
            text: text("怎么退货？\n急"),
            normalized: text("怎么退货"),
            decision: text("answer"),
            reason: text("confident"),
            entry: text("return"),
            topic: text("售后"),
            confidence: Some(0.93),
            candidates: vec![Candidate { entry: "return".to_owned(), confidence: 0.93 }],
            offered: Some(3),
            generation: Some(2),
            micros: Some(812),
            rule: text("r"),
            reading: text("chosen"),
            chosen: text("return"),
            solved: Some(false),
            rating: Some(5),
            comment: text("好"),
            doing: Some(Doing::Proposal),
            agent: text("小王"),
            count: Some(7),
        };
        let bare = Event { at: full.at + 1, kb: "店".to_owned(), ..Event::default() };
        vec![full, bare]
    }

    #[test]
    fn every_field_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.parquet");
        let mut writer = Writer::new(File::create(&path).expect("made")).expect("begun");
        for event in events() {
            writer.push(event).expect("written");
        }
        let (_, count) = writer.finish(&["a.seg".to_owned()], 3).expect("ended");
        assert_eq!(count, 2);
        let reader = Reader::open(&path, File::open(&path).expect("opens")).expect("a file of events");
        assert_eq!((reader.segments(), reader.damaged()), (vec!["a.seg".to_owned()], 3));
        let days = Days::new(Day::today(), Day::today()).expect("in order");
        let read = |wanted: Wanted<'_>| {
            let mut seen = Vec::new();
            reader.read(&wanted, &mut Read::default(), &mut |event| seen.push(event)).expect("readable");
            seen
        };
        assert_eq!(read(Wanted::all(days)), events());
        assert!(read(Wanted { kinds: &[Kind::Ended], ..Wanted::all(days) }).is_empty());
        assert!(read(Wanted::all(days.before())).is_empty());
        let bare = read(Wanted { texts: false, ..Wanted::all(days) });
        assert_eq!((bare[0].text.as_ref(), bare[0].entry.as_deref()), (None, Some("return")));
        assert!(reader.has(&["text"]) && reader.has(&["comment"]));
    }

    #[test]
    fn every_field_has_a_column() {
        let json = serde_json::to_value(&events()[0]).expect("writes");
        let fields: std::collections::BTreeSet<&str> =
            json.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(columns().map(|column| column.name).collect::<std::collections::BTreeSet<_>>(), fields);
    }
}

//! How do releases lie in the database, for installations without a place for files?
//!
//! In pieces, so that no large one is in memory as a whole. Pieces are written one
//! transaction a part, and become an object by the last one: what a writer leaves who died
//! is nothing that anybody finds, and is swept. The tables are of a kind of their own: what
//! changes there concerns nobody else, no copy of the records takes them along, and
//! `pg_dump --exclude-schema=zhida_releases` leaves them out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::database::objects::{objects, pieces};
use super::database::upsert::OnConflict;
use super::database::{Connection, Database, Outcome};
use super::{Ground, RELEASES, Store};
use crate::depot::{Depot, Found, ObjectTable};
use crate::error::{Error, Result};

/// How long a piece is, at most.
const PIECE: usize = 1 << 20;

impl Store {
    /// The same; releases lie with its records, in one place for all tenants. That is for
    /// records on a server: in files they would lie twice in the data directory.
    #[must_use]
    pub fn with_releases_in_records(self) -> Self {
        // That of a tenant has all releases too.
        let ground = Ground { tenant: None, ..self.ground.clone() };
        let database = ground.database(&self.root, RELEASES);
        let depot = Depot::in_table(&database.shown(), Arc::new(Objects { database }));
        self.with_depot(depot)
    }
}

/// The objects that lie with the records.
struct Objects {
    database: Arc<Database>,
}

/// A row of `objects`.
type Row = (String, i64, i64);

fn found((place, bytes, written_at): Row, now: i64) -> Found {
    Found { place, bytes: unsigned(bytes), age: Duration::from_millis(unsigned(now - written_at)) }
}

/// A number of bytes or milliseconds; none is below nothing.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn remove_pieces(connection: &mut Connection, writing: &str) -> Outcome<()> {
    diesel::delete(pieces::table.filter(pieces::writing.eq(writing))).execute(connection)?;
    Ok(())
}

/// Under which the object at a place was written.
fn writing_of(connection: &mut Connection, place: &str) -> Outcome<Option<String>> {
    Ok(objects::table.find(place).select(objects::writing).first(connection).optional()?)
}

impl ObjectTable for Objects {
    fn add(&self, writing: &str, from: u64, bytes: &[u8]) -> Result<()> {
        self.database.write(|connection| {
            let now = connection.now()?;
            let mut position = signed(from);
            for piece in bytes.chunks(PIECE) {
                let length = signed(piece.len() as u64);
                diesel::insert_into(pieces::table)
                    .values((
                        pieces::writing.eq(writing),
                        pieces::position.eq(position),
                        pieces::bytes.eq(length),
                        pieces::content.eq(piece),
                        pieces::written_at.eq(now),
                    ))
                    .execute(connection)?;
                position += length;
            }
            Ok(())
        })
    }

    fn finish(&self, writing: &str, bytes: u64, place: &str) -> Result<()> {
        let bytes = signed(bytes);
        self.database.write(|connection| {
            let lengths: Vec<(i64, i64)> = pieces::table
                .filter(pieces::writing.eq(writing))
                .order(pieces::position)
                .select((pieces::position, pieces::bytes))
                .load(connection)?;
            let reached = lengths.into_iter().try_fold(0, |reached, (position, length)| {
                (position == reached).then_some(reached + length)
            });
            if reached != Some(bytes) {
                return Err(Error::Refused(format!(
                    "{place}: what was written of it first is gone: a collection took it meanwhile, as older than its grace; publish once more"
                ))
                .into());
            }
            let before = writing_of(connection, place)?;
            let now = connection.now()?;
            diesel::insert_into(objects::table)
                .values((
                    objects::place.eq(place),
                    objects::writing.eq(writing),
                    objects::bytes.eq(bytes),
                    objects::written_at.eq(now),
                ))
                .or("(place) DO UPDATE SET writing = excluded.writing, bytes = excluded.bytes, \
                     written_at = excluded.written_at")
                .execute(connection)?;
            before.map_or(Ok(()), |before| remove_pieces(connection, &before))
        })
    }

    fn abandon(&self, writing: &str) -> Result<()> {
        self.database.write(|connection| remove_pieces(connection, writing))
    }

    fn find(&self, place: &str) -> Result<Option<Found>> {
        let row = self.database.read(|connection| {
            let now = connection.now()?;
            let row = objects::table
                .find(place)
                .select((objects::place, objects::bytes, objects::written_at))
                .first::<Row>(connection)
                .optional()?;
            Ok(row.map(|row| found(row, now)))
        })?;
        Ok(row.flatten())
    }

    fn read(&self, place: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        let (from, to) = (signed(range.start), signed(range.end));
        let read = self.database.read(|connection| {
            let Some(writing) = writing_of(connection, place)? else { return Ok(None) };
            let positions: Vec<i64> = pieces::table
                .filter(pieces::writing.eq(&writing))
                .filter(pieces::position.gt(from - signed(PIECE as u64)))
                .filter(pieces::position.lt(to))
                .order(pieces::position)
                .select(pieces::position)
                .load(connection)?;
            let mut read = Vec::new();
            // One after the other: a server's answer is in memory twice.
            for position in positions {
                let piece: Vec<u8> =
                    pieces::table.find((&writing, position)).select(pieces::content).first(connection)?;
                let within =
                    |at: i64| usize::try_from((at - position).max(0)).unwrap_or(usize::MAX).min(piece.len());
                read.extend_from_slice(&piece[within(from)..within(to)]);
            }
            Ok(Some(read))
        })?;
        Ok(read.flatten())
    }

    fn list(&self, below: &str) -> Result<Vec<Found>> {
        let rows = self.database.read(|connection| {
            let now = connection.now()?;
            // What begins with `below/`: `0` comes after `/`.
            let rows: Vec<Row> = objects::table
                .filter(objects::place.ge(format!("{below}/")))
                .filter(objects::place.lt(format!("{below}0")))
                .order(objects::place)
                .select((objects::place, objects::bytes, objects::written_at))
                .load(connection)?;
            Ok(rows.into_iter().map(|row| found(row, now)).collect())
        })?;
        Ok(rows.unwrap_or_default())
    }

    fn remove(&self, place: &str) -> Result<bool> {
        self.database.write(|connection| {
            let Some(writing) = writing_of(connection, place)? else { return Ok(false) };
            diesel::delete(objects::table.find(place)).execute(connection)?;
            remove_pieces(connection, &writing)?;
            Ok(true)
        })
    }

    fn sweep(&self, grace: Duration, dry_run: bool) -> Result<(usize, u64)> {
        self.database.write(|connection| {
            let now = connection.now()?;
            let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
            let left: Vec<(String, i64, i64)> = pieces::table
                .filter(pieces::writing.ne_all(objects::table.select(objects::writing)))
                .select((pieces::writing, pieces::bytes, pieces::written_at))
                .load(connection)?;
            // One that was written to last is as old as that.
            let mut writings: BTreeMap<String, (i64, i64)> = BTreeMap::new();
            for (writing, bytes, at) in left {
                let (all, last) = writings.entry(writing).or_default();
                (*all, *last) = (*all + bytes, (*last).max(at));
            }
            writings.retain(|_, (_, last)| now - *last >= grace);
            if !dry_run {
                for writing in writings.keys() {
                    remove_pieces(connection, writing)?;
                }
            }
            Ok((writings.len(), unsigned(writings.values().map(|(bytes, _)| bytes).sum())))
        })
    }
}

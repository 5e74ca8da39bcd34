//! How much was asked on all nodes together?
//!
//! Each node keeps here what it counts from its own events, all of it and not what is new.
//! What has come to it since goes to the questions of the month in the same transaction, so
//! both are exact however often a node dies and counts anew.

use std::cmp::max;

use diesel::prelude::*;

use super::access::{Access, Counted};
use super::database::door::metered;
use super::database::upsert::OnConflict;
use super::database::{Connection, Durability, Outcome};
use crate::access::moment;
use crate::error::{Error, Result};
use crate::events::{Cell, Count, Day, Days, Log, Metered, Tally, Usage, usage};

/// Rows that are written at a time: others write between.
const BATCH: usize = 200;

type Row = (String, String, String, String, i64, i64, i64);

impl Access {
    /// The last day that a folder of events has kept counts of.
    fn metered_until(&self, node: &str) -> Result<Option<Day>> {
        let day = self.database.read(|connection| {
            let day: Option<String> = metered::table
                .filter(metered::node.eq(node))
                .select(diesel::dsl::max(metered::day))
                .first(connection)?;
            Ok(day)
        })?;
        day.flatten().map(|day| day.parse()).transpose()
    }

    /// Counts what was asked of a tenant as far as its events here tell, for all nodes.
    pub fn count_events(&self, tenant: &str, log: &Log) -> Result<()> {
        if self.database.is_read_only() {
            return Ok(());
        }
        log.meter(|node| self.metered_until(node), |metered| self.meter(tenant, metered))
    }

    /// Keeps what a folder of events of a tenant has counted, and adds what is new to the
    /// questions of the month.
    fn meter(&self, tenant: &str, told: &Metered<'_>) -> Result<()> {
        for cells in told.cells.chunks(BATCH) {
            self.database.write_as(Durability::Written, |connection| {
                let mut fresh = std::collections::BTreeMap::new();
                for (cell, count) in cells {
                    // What is not here yet, and older than the folder's name, was counted by
                    // an older zhida.
                    let known = known(connection, tenant, told.node, cell)?;
                    let before = known.unwrap_or_else(|| told.before.get(cell));
                    keep(connection, tenant, told.node, cell, known.unwrap_or_default(), count)?;
                    let more = count.questions.saturating_sub(before.questions);
                    if !cell.key.is_empty() && more > 0 {
                        let month = moment::month(cell.day.start());
                        let of: &mut Counted = fresh.entry(month).or_default();
                        for key in [cell.key.as_str(), ""] {
                            *of.entry((tenant.to_owned(), key.to_owned())).or_default() += more;
                        }
                    }
                }
                fresh.iter().try_for_each(|(month, more)| super::access::add(connection, month, more))
            })?;
        }
        Ok(())
    }

    /// What was asked of a tenant in some days; of one knowledge base, or of all. Where
    /// several nodes share a server that is what all of them have counted, and this one's
    /// events to the last question.
    pub fn usage(&self, tenant: &str, log: &Log, days: Days, kb: Option<&str>) -> Result<Usage> {
        if !self.is_on_server() {
            return usage(log, days, kb);
        }
        self.count_events(tenant, log)?;
        let rows: Option<Vec<Row>> = self.database.read(|connection| {
            let mut query = metered::table
                .filter(metered::tenant.eq(tenant))
                .filter(metered::day.between(days.from.to_string(), days.to.to_string()))
                .select((
                    metered::day,
                    metered::kb,
                    metered::channel,
                    metered::key,
                    metered::questions,
                    metered::answered,
                    metered::lost,
                ))
                .into_boxed();
            if let Some(kb) = kb {
                query = query.filter(metered::kb.eq_any([kb, ""]));
            }
            Ok(query.load(connection)?)
        })?;
        let mut tally = Tally::default();
        for (day, kb, channel, key, questions, answered, lost) in rows.unwrap_or_default() {
            let day: Day = day.parse()?;
            tally.put(Cell { day, kb, channel, key }, counted(questions, answered, lost));
        }
        Ok(Usage::of(days, &tally))
    }
}

fn counted(questions: i64, answered: i64, lost: i64) -> Count {
    let whole = |number: i64| u64::try_from(number).unwrap_or_default();
    Count { questions: whole(questions), answered: whole(answered), lost: whole(lost) }
}

fn known(connection: &mut Connection, tenant: &str, node: &str, cell: &Cell) -> Outcome<Option<Count>> {
    let found: Option<(i64, i64, i64)> = metered::table
        .find((tenant, cell.day.to_string(), &cell.kb, &cell.channel, &cell.key, node))
        .select((metered::questions, metered::answered, metered::lost))
        .first(connection)
        .optional()?;
    Ok(found.map(|(questions, answered, lost)| counted(questions, answered, lost)))
}

/// Writes a row: no number ever gets smaller, for events are also removed when they are old.
fn keep(
    connection: &mut Connection,
    tenant: &str,
    node: &str,
    cell: &Cell,
    known: Count,
    count: &Count,
) -> Outcome<()> {
    let whole = |number: u64| {
        i64::try_from(number).map_err(|_| Error::internal("usage", "more was asked than can be counted"))
    };
    diesel::insert_into(metered::table)
        .values((
            metered::tenant.eq(tenant),
            metered::day.eq(cell.day.to_string()),
            metered::kb.eq(&cell.kb),
            metered::channel.eq(&cell.channel),
            metered::key.eq(&cell.key),
            metered::node.eq(node),
            metered::questions.eq(whole(max(known.questions, count.questions))?),
            metered::answered.eq(whole(max(known.answered, count.answered))?),
            metered::lost.eq(whole(max(known.lost, count.lost))?),
        ))
        .or("(tenant, day, kb, channel, key, node) DO UPDATE SET questions = excluded.questions, answered = excluded.answered, lost = excluded.lost")
        .execute(connection)?;
    Ok(())
}

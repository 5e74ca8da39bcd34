//! How much was asked on all nodes together?
//!
//! Each node keeps here what it counts from its own events, all of it and not what is new.
//! What has come to it since goes to the questions of the month in the same transaction, so
//! both are exact however often a node dies and counts anew.

use std::cmp::max;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;

use super::access::{Access, Counted, add};
use super::database::door::metered;
use super::database::upsert::OnConflict;
use super::database::{Connection, Outcome};
use super::nodes::Nodes;
use crate::access::moment;
use crate::error::{Error, Result};
use crate::events::{Cell, Count, Day, Days, Log, Metered, Tally, Usage, tallied};

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

    /// Counts what was asked of tenants as far as their events here tell, for all nodes.
    /// Those whose events cannot be read come back, with the reason; the others are counted.
    ///
    /// # Errors
    /// When counts cannot be kept; then all are told again the next time.
    pub fn count_events(&self, logs: &[(&str, &Log)]) -> Result<Vec<(String, Error)>> {
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        if self.database.is_read_only() {
            return Ok(unread);
        }
        for (tenant, log) in logs {
            match log.meter(|node| self.metered_until(node)) {
                Ok(Some(metered)) => all.push((*tenant, *log, metered)),
                Ok(None) => {}
                Err(error) => unread.push(((*tenant).to_owned(), error)),
            }
        }
        let rows: Vec<Told<'_>> = all
            .iter()
            .flat_map(|(tenant, _, Metered { node, cells, before, .. })| {
                let told = move |(cell, count)| Told { tenant, node, cell, count, before: before.get(cell) };
                cells.iter().map(|(cell, count)| (cell, count)).map(told)
            })
            .collect();
        rows.chunks(BATCH)
            .try_for_each(|rows| self.database.write_aside(|connection| keep_all(connection, rows)))?;
        all.iter().for_each(|(_, log, metered)| log.kept(metered));
        Ok(unread)
    }

    /// What was asked of a tenant in some days; of one knowledge base, or of all. Where
    /// several nodes share a server that is what all of them have counted, and this one's
    /// events to the last question; where they did so once, what the others had counted.
    pub fn usage(
        &self,
        nodes: &Nodes,
        tenant: &str,
        log: &Log,
        days: Days,
        kb: Option<&str>,
    ) -> Result<Usage> {
        let (mut tally, own) = if self.is_on_server() {
            if let Some((_, error)) = self.count_events(&[(tenant, log)])?.pop() {
                return Err(error);
            }
            (Tally::default(), None)
        } else {
            (tallied(log, days, kb)?, log.name())
        };
        let rows: Option<Vec<Row>> = self.database.read(|connection| {
            let mut query = metered::table
                .filter(metered::tenant.eq(tenant))
                .filter(metered::day.between(days.from.to_string(), days.to.to_string()))
                .select(columns())
                .into_boxed();
            if let Some(kb) = kb {
                query = query.filter(metered::kb.eq_any([kb, ""]));
            }
            if let Some(own) = &own {
                query = query.filter(metered::node.ne(own));
            }
            Ok(query.load(connection)?)
        })?;
        for row in rows.unwrap_or_default() {
            let (cell, count) = read(row)?;
            tally.put(cell, count);
        }
        Ok(Usage::of(days, &tally, nodes.vanished()?))
    }
}

fn counted(questions: i64, answered: i64, lost: i64) -> Count {
    let whole = |number: i64| u64::try_from(number).unwrap_or_default();
    Count { questions: whole(questions), answered: whole(answered), lost: whole(lost) }
}

/// What is told of a cell.
struct Told<'a> {
    tenant: &'a str,
    node: &'a str,
    cell: &'a Cell,
    count: &'a Count,
    /// What of it an older zhida has counted.
    before: Count,
}

/// Keeps what is told, and adds what is new to the questions of the month.
fn keep_all(connection: &mut Connection, rows: &[Told<'_>]) -> Outcome<()> {
    let known = known(connection, rows)?;
    let mut fresh: BTreeMap<String, Counted> = BTreeMap::new();
    for told in rows {
        let Told { tenant, node, cell, count, before } = told;
        let known = known.get(&(*node, *cell)).copied();
        keep(connection, told, known.unwrap_or_default())?;
        let more = count.questions.saturating_sub(known.unwrap_or(*before).questions);
        if !cell.key.is_empty() && more > 0 {
            let of = fresh.entry(moment::month(cell.day.start())).or_default();
            for key in [cell.key.as_str(), ""] {
                *of.entry(((*tenant).to_owned(), key.to_owned())).or_default() += more;
            }
        }
    }
    fresh.iter().try_for_each(|(month, more)| add(connection, month, more))
}

/// What is kept already of some rows.
fn known<'a>(connection: &mut Connection, rows: &[Told<'a>]) -> Outcome<HashMap<(&'a str, &'a Cell), Count>> {
    let nodes: BTreeSet<&str> = rows.iter().map(|told| told.node).collect();
    let days: BTreeSet<String> = rows.iter().map(|told| told.cell.day.to_string()).collect();
    let found: Vec<(String, Row)> = metered::table
        .filter(metered::node.eq_any(nodes))
        .filter(metered::day.eq_any(days))
        .select((metered::node, columns()))
        .load(connection)?;
    let mut kept: HashMap<(String, Cell), Count> = HashMap::with_capacity(found.len());
    for (node, row) in found {
        let (cell, count) = read(row)?;
        kept.insert((node, cell), count);
    }
    let of = |told: &Told<'a>| {
        let count = kept.get(&(told.node.to_owned(), told.cell.clone()))?;
        Some(((told.node, told.cell), *count))
    };
    Ok(rows.iter().filter_map(of).collect())
}

type Columns = (
    metered::day,
    metered::kb,
    metered::channel,
    metered::key,
    metered::questions,
    metered::answered,
    metered::lost,
);

fn columns() -> Columns {
    (
        metered::day,
        metered::kb,
        metered::channel,
        metered::key,
        metered::questions,
        metered::answered,
        metered::lost,
    )
}

fn read((day, kb, channel, key, questions, answered, lost): Row) -> Result<(Cell, Count)> {
    Ok((Cell { day: day.parse()?, kb, channel, key }, counted(questions, answered, lost)))
}

/// Writes a row: no number ever gets smaller, for events are also removed when they are old.
fn keep(connection: &mut Connection, told: &Told<'_>, known: Count) -> Outcome<()> {
    let whole = |number: u64| {
        i64::try_from(number).map_err(|_| Error::internal("usage", "more was asked than can be counted"))
    };
    let Told { tenant, node, cell, count, .. } = told;
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

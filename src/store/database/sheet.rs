//! In which schemas has anybody written?
//!
//! One table of a server has a line for every schema: how often somebody had written there.
//! A trigger keeps it, also for nodes that know nothing of it. So one query tells for all
//! tenants whether there is anything to look for, and nobody has to ask each of thousands
//! of them again and again. What is in it can be lost: it only tells where to look.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::Connection;

/// The table and what the triggers do. No log is kept of it, and its pages have room, for
/// the same lines change again and again.
const MADE: &str = "\
CREATE SCHEMA IF NOT EXISTS zhida_news;
CREATE UNLOGGED TABLE IF NOT EXISTS zhida_news.written (
    schema TEXT PRIMARY KEY,
    number BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);
CREATE OR REPLACE FUNCTION zhida_news.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO zhida_news.written VALUES (TG_TABLE_SCHEMA, NEW.number, clock_timestamp())
        ON CONFLICT (schema) DO UPDATE SET number = excluded.number, at = excluded.at;
    RETURN NULL;
END $$;";

/// Changes of so much time are looked through each time, …
const RECENT: &str = "5 minutes";

/// … and all lines this often: a transaction may have taken longer than that.
const WHOLE: Duration = Duration::from_secs(15);

/// What the table said when it was read last.
#[derive(Default)]
pub(super) struct Sheet(RwLock<Option<Read>>);

struct Read {
    numbers: HashMap<String, i64>,
    /// When all of it was read last.
    whole: Instant,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    schema: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Sees to it that the table knows when somebody writes in a schema, which is there.
pub(super) fn keep(connection: &mut Connection, schema: &str) -> QueryResult<()> {
    let kept: Answer = diesel::sql_query(
        "SELECT EXISTS (SELECT FROM pg_trigger \
         WHERE tgname = 'noted' AND tgrelid = to_regclass(quote_ident($1) || '.writes')) AS yes",
    )
    .bind::<Text, _>(schema)
    .get_result(connection)?;
    if !kept.yes {
        connection.batch_execute(MADE)?;
        connection.batch_execute(&format!(
            "CREATE TRIGGER noted AFTER UPDATE ON {schema}.writes FOR EACH ROW EXECUTE FUNCTION zhida_news.note()"
        ))?;
    }
    // A server that has crashed begins with an empty table.
    connection.batch_execute(&format!(
        "INSERT INTO zhida_news.written SELECT '{schema}', number, clock_timestamp() FROM {schema}.writes \
         ON CONFLICT DO NOTHING"
    ))
}

/// Forgets a schema that is gone.
pub(super) fn forget(connection: &mut Connection, schema: &str) -> QueryResult<()> {
    if is_there(connection)? {
        diesel::sql_query("DELETE FROM zhida_news.written WHERE schema = $1")
            .bind::<Text, _>(schema)
            .execute(connection)?;
    }
    Ok(())
}

fn is_there(connection: &mut Connection) -> QueryResult<bool> {
    let told: Answer = diesel::sql_query("SELECT to_regclass('zhida_news.written') IS NOT NULL AS yes")
        .get_result(connection)?;
    Ok(told.yes)
}

impl Sheet {
    /// Takes in what is new.
    pub(super) fn read(&self, connection: &mut Connection) -> QueryResult<()> {
        let before = self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|read| read.whole);
        let is_part = before.is_some_and(|whole| whole.elapsed() < WHOLE);
        if before.is_none() && !is_there(connection)? {
            return Ok(());
        }
        let recent = if is_part {
            format!(" WHERE at > clock_timestamp() - interval '{RECENT}'")
        } else {
            String::new()
        };
        let now = Instant::now();
        let lines: Vec<Line> =
            diesel::sql_query(format!("SELECT schema, number FROM zhida_news.written{recent}"))
                .load(connection)?;
        let lines = lines.into_iter().map(|line| (line.schema, line.number));
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match &mut *known {
            Some(read) if is_part => read.numbers.extend(lines),
            _ => *known = Some(Read { numbers: lines.collect(), whole: now }),
        }
        Ok(())
    }

    /// Nobody reads it any more, or nobody can.
    pub(super) fn lose(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether somebody reads it.
    pub(super) fn is_read(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// How often somebody had written in a schema, if that is on it.
    pub(super) fn number(&self, schema: &str) -> Option<i64> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref()?.numbers.get(schema).copied()
    }
}

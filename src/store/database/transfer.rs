//! How do all records get from one database into another?
//!
//! Table by table, in the order in which they were made, as lines of JSON that either
//! side can write and read; then what has arrived is read again and compared. What is
//! copied is one state of the source, and the target has all of it or nothing.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::{PgConnection, QueryableByName};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Connection, Database, Outcome};
use crate::error::{Error, Result};

/// Rows that are under way at once.
const BATCH: usize = 1000;

/// Columns whose numbers are given by the database, and never twice.
const NUMBERED: [(&str, &str); 5] = [
    ("conversations", "key"),
    ("handoffs", "number"),
    ("stream", "seq"),
    ("tickets", "number"),
    ("outbox", "seq"),
];

/// How much was copied, by table.
pub(in crate::store) type Counted = BTreeMap<String, u64>;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Whole,
    Real,
    Truth,
    Bytes,
}

impl Holds {
    /// By the name that either database gives it.
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "text" => Self::Text,
            "integer" | "bigint" => Self::Whole,
            "double precision" | "double" => Self::Real,
            "boolean" => Self::Truth,
            "blob" | "bytea" => Self::Bytes,
            _ => return None,
        })
    }
}

struct Column {
    name: String,
    holds: Holds,
}

struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(QueryableByName)]
struct Described {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    type_name: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Copies everything from one database into another one, which must be empty.
///
/// # Errors
/// When something is there already, when what arrives is not what was sent, and when
/// either cannot be read or written; then nothing is in the target.
pub(in crate::store) fn transfer(from: &Database, to: &Database) -> Result<Counted> {
    let copied = from.read(|source| {
        patient(source)?;
        let tables = tables(source)?;
        Ok(to.write(|target| {
            patient(target)?;
            let mut counted = Counted::new();
            for table in &tables {
                if number(target, &format!("SELECT count(*) AS number FROM \"{}\"", table.name))? > 0 {
                    return Err(Error::Refused(format!(
                        "{} holds records already (in {}); copy into an empty place",
                        to.shown(),
                        table.name
                    ))
                    .into());
                }
            }
            for table in &tables {
                let sent = copy_table(source, target, table)?;
                let mut arrived = Sum::default();
                each_line(target, table, &mut |_, line| arrived.add(table, line))?;
                if sent != arrived {
                    return Err(Error::internal(
                        "copying records",
                        format!(
                            "{} of {} rows of {} arrived as they were",
                            arrived.count, sent.count, table.name
                        ),
                    )
                    .into());
                }
                counted.insert(table.name.clone(), sent.count);
            }
            Ok(counted)
        })?)
    })?;
    Ok(copied.unwrap_or_default())
}

/// Lets a transaction rest while the other side reads or writes a large table.
fn patient(connection: &mut Connection) -> Outcome<()> {
    if let Connection::Postgres(server) = connection {
        server.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0")?;
    }
    Ok(())
}

/// How many rows there were, and all of them together in any order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    digests: [u64; 4],
}

impl Sum {
    fn add(&mut self, table: &Table, line: &Value) -> Outcome<()> {
        let mut hasher = Sha256::new();
        for column in &table.columns {
            let value = &line[&column.name];
            let text = match (column.holds, value) {
                (_, Value::Null) => "null".to_owned(),
                // One says it in numbers, the other in words.
                (Holds::Truth, value) => {
                    (value == &Value::Bool(true) || value == &Value::from(1)).to_string()
                }
                (Holds::Bytes, Value::String(hex)) => hex.to_ascii_lowercase(),
                (Holds::Real, value) => {
                    let number = value.as_str().and_then(|text| text.parse::<f64>().ok());
                    format!("{:.12e}", number.unwrap_or(f64::NAN))
                }
                (_, value) => value.to_string(),
            };
            hasher.update(text.as_bytes());
            hasher.update([0]);
        }
        self.count += 1;
        for (sum, bytes) in self.digests.iter_mut().zip(hasher.finalize().chunks_exact(8)) {
            let mut part = [0; 8];
            part.copy_from_slice(bytes);
            *sum = sum.wrapping_add(u64::from_le_bytes(part));
        }
        Ok(())
    }
}

/// What tables there are, in the order in which they were made: a table comes after
/// those that it refers to.
fn tables(connection: &mut Connection) -> Outcome<Vec<Table>> {
    let sql = match connection {
        Connection::Sqlite(_) => {
            "SELECT m.name AS table_name, c.name AS column_name, c.type AS type_name
             FROM sqlite_master AS m, pragma_table_info(m.name) AS c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
               AND m.name <> '__diesel_schema_migrations'
             ORDER BY m.rowid, c.cid"
        }
        Connection::Postgres(_) => {
            "SELECT t.relname::text AS table_name, c.attname::text AS column_name,
                    format_type(c.atttypid, NULL) AS type_name
             FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid
             WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r'
               AND c.attnum > 0 AND NOT c.attisdropped
               AND t.relname NOT IN ('__diesel_schema_migrations', 'writes')
             ORDER BY t.oid, c.attnum"
        }
    };
    let mut tables: Vec<Table> = Vec::new();
    for one in diesel::sql_query(sql).load::<Described>(connection)? {
        let holds = Holds::named(&one.type_name).ok_or_else(|| {
            Error::internal(
                "copying records",
                format!("{}.{} is {}", one.table_name, one.column_name, one.type_name),
            )
        })?;
        let column = Column { name: one.column_name, holds };
        match tables.last_mut().filter(|table| table.name == one.table_name) {
            Some(table) => table.columns.push(column),
            None => tables.push(Table { name: one.table_name, columns: vec![column] }),
        }
    }
    Ok(tables)
}

fn number(connection: &mut Connection, sql: &str) -> Outcome<i64> {
    Ok(diesel::sql_query(sql).get_result::<Number>(connection)?.number)
}

/// A row as JSON: numbers with a fraction and bytes as text, so that nothing is rounded.
fn as_line(table: &Table, is_server: bool) -> String {
    let fields = table.columns.iter().map(|Column { name, holds }| {
        let value = match (holds, is_server) {
            (Holds::Bytes, false) => format!("CASE WHEN \"{name}\" IS NOT NULL THEN hex(\"{name}\") END"),
            (Holds::Bytes, true) => format!("encode(\"{name}\", 'hex')"),
            (Holds::Real, false) => {
                format!("CASE WHEN \"{name}\" IS NOT NULL THEN printf('%!.17g', \"{name}\") END")
            }
            (Holds::Real, true) => format!("\"{name}\"::text"),
            _ => format!("\"{name}\""),
        };
        format!("'{name}', {value}")
    });
    let fields = fields.collect::<Vec<_>>().join(", ");
    let (made, end) = if is_server { ("json_build_object", "::text") } else { ("json_object", "") };
    format!("SELECT {made}({fields}){end} AS line FROM \"{}\"", table.name)
}

/// Hears every row of a table, with its text and what it says.
fn each_line(
    connection: &mut Connection,
    table: &Table,
    hear: &mut dyn FnMut(&str, &Value) -> Outcome<()>,
) -> Outcome<()> {
    let mut hear = |line: &str| -> Outcome<()> {
        let value: Value = serde_json::from_str(line)
            .map_err(|e| Error::internal("copying records", format!("a row of {}: {e}", table.name)))?;
        hear(line, &value)
    };
    match connection {
        Connection::Sqlite(file) => {
            let rows = diesel::sql_query(as_line(table, false)).load_iter::<Line, _>(file)?;
            for row in rows {
                hear(&row?.line)?;
            }
        }
        Connection::Postgres(server) => {
            server.batch_execute(&format!("DECLARE rows NO SCROLL CURSOR FOR {}", as_line(table, true)))?;
            loop {
                let rows = fetch(server)?;
                if rows.is_empty() {
                    break;
                }
                for row in rows {
                    hear(&row.line)?;
                }
            }
            server.batch_execute("CLOSE rows")?;
        }
    }
    Ok(())
}

fn fetch(server: &mut PgConnection) -> QueryResult<Vec<Line>> {
    diesel::sql_query(format!("FETCH {BATCH} FROM rows")).load(server)
}

/// Copies the rows of a table and the number that it gave last.
fn copy_table(source: &mut Connection, target: &mut Connection, table: &Table) -> Outcome<Sum> {
    let mut sent = Sum::default();
    let mut batch = String::from("[");
    let mut waiting = 0;
    each_line(source, table, &mut |line, value| {
        sent.add(table, value)?;
        refuse_nul(table, value)?;
        if waiting > 0 {
            batch.push(',');
        }
        batch.push_str(line);
        waiting += 1;
        if waiting == BATCH {
            insert(target, table, &format!("{batch}]"))?;
            batch.truncate(1);
            waiting = 0;
        }
        Ok(())
    })?;
    if waiting > 0 {
        insert(target, table, &format!("{batch}]"))?;
    }
    if let Some((name, column)) = NUMBERED.iter().find(|(name, _)| *name == table.name) {
        let last = last_number(source, name, column)?;
        give_from(target, name, column, last)?;
    }
    Ok(sent)
}

/// PostgreSQL has no texts with the character of number 0 in them.
fn refuse_nul(table: &Table, line: &Value) -> Outcome<()> {
    let fields = line.as_object().map(Map::iter).into_iter().flatten();
    for (column, value) in fields {
        if value.as_str().is_some_and(|text| text.contains('\0')) {
            return Err(Error::Refused(format!(
                "a row of {} has the character U+0000 in {column}, which the other database cannot hold: {line}",
                table.name
            ))
            .into());
        }
    }
    Ok(())
}

fn insert(connection: &mut Connection, table: &Table, rows: &str) -> Outcome<()> {
    let names = table.columns.iter().map(|column| format!("\"{}\"", column.name));
    let names = names.collect::<Vec<_>>().join(", ");
    let is_server = matches!(connection, Connection::Postgres(_));
    let values = table.columns.iter().map(|Column { name, holds }| match (holds, is_server) {
        (Holds::Text, true) => format!("v.value ->> '{name}'"),
        (Holds::Whole, true) => format!("(v.value ->> '{name}')::bigint"),
        (Holds::Real, true) => format!("(v.value ->> '{name}')::double precision"),
        (Holds::Truth, true) => format!("(v.value ->> '{name}')::boolean"),
        (Holds::Bytes, true) => format!("decode(v.value ->> '{name}', 'hex')"),
        (Holds::Bytes, false) => format!("unhex(json_extract(v.value, '$.{name}'))"),
        (Holds::Real, false) => format!("CAST(json_extract(v.value, '$.{name}') AS REAL)"),
        (_, false) => format!("json_extract(v.value, '$.{name}')"),
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let source = if is_server { "json_array_elements($1::json)" } else { "json_each($1)" };
    let sql = format!("INSERT INTO \"{}\" ({names}) SELECT {values} FROM {source} AS v", table.name);
    diesel::sql_query(sql).bind::<Text, _>(rows).execute(connection)?;
    Ok(())
}

/// The highest number that was ever given in a column.
fn last_number(connection: &mut Connection, table: &str, column: &str) -> Outcome<i64> {
    let sql = match connection {
        Connection::Sqlite(_) => {
            format!("SELECT coalesce(max(seq), 0) AS number FROM sqlite_sequence WHERE name = '{table}'")
        }
        Connection::Postgres(_) => format!(
            "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('{table}', '{column}')::regclass), 0) AS number"
        ),
    };
    number(connection, &sql)
}

/// Sees to it that the next number is a higher one.
fn give_from(connection: &mut Connection, table: &str, column: &str, last: i64) -> Outcome<()> {
    if last == 0 {
        return Ok(());
    }
    match connection {
        Connection::Sqlite(file) => file.batch_execute(&format!(
            "DELETE FROM sqlite_sequence WHERE name = '{table}';
             INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {last});"
        ))?,
        Connection::Postgres(server) => server.batch_execute(&format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), {last})"
        ))?,
    }
    Ok(())
}

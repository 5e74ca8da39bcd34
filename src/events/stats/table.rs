//! How do the figures look in a sheet?

use rust_xlsxwriter::{Format as Style, Workbook, XlsxError};

use super::DEFINITIONS;
use super::report::{Group, Stats};
use crate::error::{Error, Result};
use crate::kb::formats::guarded;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// A line for each group, the first for all together.
    Csv,
    /// The same as a sheet, and one each for entries, unanswered questions and definitions.
    Xlsx,
}

/// A cell.
enum Value {
    Text(String),
    Number(f64),
    Nothing,
}

impl Value {
    fn written(&self) -> String {
        match self {
            Self::Text(text) => guarded(text),
            Self::Number(number) => number.to_string(),
            Self::Nothing => String::new(),
        }
    }
}

fn number(count: u64) -> Value {
    Value::Number(count as f64)
}

fn real(value: Option<f64>) -> Value {
    value.map_or(Value::Nothing, Value::Number)
}

/// A table: its name, what stands above its columns, and its rows.
struct Table {
    name: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// The figures in a format.
///
/// # Errors
/// When they cannot be written, which is a defect of zhida.
pub fn written(stats: &Stats, format: Format) -> Result<Vec<u8>> {
    let failed = |e: &dyn std::fmt::Display| Error::internal("stats", e);
    match format {
        Format::Json => serde_json::to_vec_pretty(stats).map_err(|e| failed(&e)),
        Format::Csv => {
            let table = groups(stats);
            let mut out = csv::Writer::from_writer(Vec::new());
            out.write_record(&table.head).map_err(|e| failed(&e))?;
            for row in &table.rows {
                out.write_record(row.iter().map(Value::written)).map_err(|e| failed(&e))?;
            }
            out.into_inner().map_err(|e| failed(&e))
        }
        Format::Xlsx => workbook(&[groups(stats), entries(stats), unanswered(stats), definitions()])
            .map_err(|e| failed(&e)),
    }
}

fn workbook(tables: &[Table]) -> std::result::Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let bold = Style::new().set_bold();
    for table in tables {
        let sheet = book.add_worksheet().set_name(table.name)?;
        for (column, title) in (0..).zip(&table.head) {
            sheet.write_with_format(0, column, title, &bold)?;
        }
        for (row, cells) in (1..).zip(&table.rows) {
            for (column, cell) in (0..).zip(cells) {
                match cell {
                    Value::Text(text) => sheet.write(row, column, text)?,
                    Value::Number(number) => sheet.write(row, column, *number)?,
                    Value::Nothing => continue,
                };
            }
        }
        sheet.set_freeze_panes(1, 0)?;
    }
    book.save_to_buffer()
}

fn groups(stats: &Stats) -> Table {
    let counts = [
        "questions",
        "questions_before",
        "answered",
        "clarified",
        "handed_off",
        "refused",
        "chat",
        "sessions",
        "said_solved",
        "said_unsolved",
        "rated",
    ];
    let mut head = vec![stats.by.unwrap_or("all").to_owned()];
    head.extend(counts.map(str::to_owned));
    for (name, ..) in DEFINITIONS {
        let parts = ["", "_numerator", "_denominator", "_low", "_high", "_before", "_change"];
        head.extend(parts.map(|part| format!("{name}{part}")));
    }
    head.extend(["rating", "latency_us_p50", "latency_us_p95", "latency_us_p99"].map(str::to_owned));
    let row = |group: &Group, key: &str| {
        let counts = &group.counts;
        let mut row = vec![Value::Text(key.to_owned())];
        row.extend(
            [
                counts.questions,
                group.questions_before,
                counts.answered,
                counts.clarified,
                counts.handed_off,
                counts.refused,
                counts.chat,
                counts.sessions,
                counts.said_solved,
                counts.said_unsolved,
                counts.rated,
            ]
            .map(number),
        );
        for (_, share) in &group.shares {
            row.extend([
                real(share.value),
                number(share.numerator),
                number(share.denominator),
                real(share.interval.map(|interval| interval[0])),
                real(share.interval.map(|interval| interval[1])),
                real(share.before),
                real(share.change),
            ]);
        }
        row.push(real(group.rating));
        let times = group.latency_us.map(|times| [times.p50, times.p95, times.p99]);
        row.extend((0..3).map(|at| real(times.map(|times| f64::from(times[at])))));
        row
    };
    let mut rows = vec![row(&stats.all, "all")];
    rows.extend(stats.groups.iter().map(|group| row(group, &group.key)));
    Table { name: "figures", head, rows }
}

fn entries(stats: &Stats) -> Table {
    let head =
        ["entry", "answered", "clicked", "sessions", "solved", "disliked", "handed_off_after", "last_hit"];
    let hot = stats.entries.iter().map(|entry| {
        vec![
            Value::Text(entry.entry.clone()),
            number(entry.answered),
            number(entry.clicked),
            number(entry.sessions),
            number(entry.solved),
            number(entry.disliked),
            number(entry.handed_off_after),
            Value::Text(entry.last_hit.clone()),
        ]
    });
    let cold = stats.cold.iter().map(|entry| vec![Value::Text(entry.clone()), number(0)]);
    Table { name: "entries", head: head.map(str::to_owned).to_vec(), rows: hot.chain(cold).collect() }
}

fn unanswered(stats: &Stats) -> Table {
    let head = ["text", "count", "reason", "entry", "last"];
    let rows = stats.unanswered.iter().map(|one| {
        vec![
            Value::Text(one.text.clone()),
            number(one.count),
            Value::Text(one.reason.clone()),
            one.entry.clone().map_or(Value::Nothing, Value::Text),
            Value::Text(one.last.clone()),
        ]
    });
    Table { name: "unanswered", head: head.map(str::to_owned).to_vec(), rows: rows.collect() }
}

fn definitions() -> Table {
    let rows = DEFINITIONS.map(|words| {
        let (name, english, chinese) = words;
        [name, english, chinese].map(|word| Value::Text(word.to_owned())).into()
    });
    Table {
        name: "definitions",
        head: ["share", "meaning", "含义"].map(str::to_owned).to_vec(),
        rows: rows.into(),
    }
}

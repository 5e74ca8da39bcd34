//! What does a program read?
//!
//! ```text
//! {"zhida", "created", "kb", "entries", "release", "model", "max_wrong",
//!  "queries": {"file", "n", "sha256"},
//!  "generations": {"1": {"policy", "goal", METRICS…, "trade_off": [CHOICE, …], "overall": {METRICS…}, "by_tag": {TAG: {METRICS…}}}, "2": …},
//!  "baseline": null or what flipped,
//!  "outcomes": {"1": [[decision, entry, confidence], …], "2": …}}
//! ```
//!
//! CHOICEs, with `--tune` only, say what each goal would give
//! ([`crate::eval::tune::Choice`]). METRICS are numbers under the names of the contract, `null` where the
//! questions leave them undefined; their 95 % intervals `[low, high]` stand
//! under the same names below `intervals`. A generation holds the overall
//! metrics twice, directly and under `overall`, so that both readings of
//! “per generation, overall and per tag” find them. `outcomes` is what a later
//! `--baseline` compares itself with.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value, json};

use super::Report;
use crate::error::{Error, Result};
use crate::eval::compare::Deed;

/// The bytes of `report.json`.
pub fn render(report: &Report) -> Result<Vec<u8>> {
    let failed = |e: serde_json::Error| Error::internal("report", e);
    let (mut generations, mut outcomes) = (Map::new(), Map::new());
    for generation in &report.generations {
        let overall = serde_json::to_value(&generation.overall).map_err(failed)?;
        let mut told = Map::new();
        told.insert("policy".to_owned(), generation.policy.clone());
        told.insert("goal".to_owned(), generation.goal(report.max_wrong).name().into());
        if let Value::Object(overall) = &overall {
            told.extend(overall.clone());
        }
        told.insert("overall".to_owned(), overall);
        told.insert("by_tag".to_owned(), serde_json::to_value(&generation.by_tag).map_err(failed)?);
        if !generation.trade_off.is_empty() {
            let choices = serde_json::to_value(&generation.trade_off).map_err(failed)?;
            told.insert("trade_off".to_owned(), choices);
        }
        let key = generation.number.to_string();
        let deeds: Vec<Deed> = generation.predictions.iter().map(Deed::of).collect();
        outcomes.insert(key.clone(), serde_json::to_value(deeds).map_err(failed)?);
        generations.insert(key, told.into());
    }
    let whole = json!({
        "zhida": report.zhida,
        "created": report.created,
        "kb": report.kb,
        "entries": report.entries,
        "release": report.release,
        "model": report.model,
        "max_wrong": report.max_wrong,
        "queries": report.queries,
        "generations": generations,
        "baseline": report.baseline,
        "outcomes": outcomes,
    });
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, ArraysInline::default());
    whole.serialize(&mut serializer).map_err(failed)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Objects over several lines, arrays on one: an interval is read at a glance,
/// and a thousand outcomes do not become four thousand lines.
#[derive(Default)]
struct ArraysInline {
    pretty: PrettyFormatter<'static>,
}

impl Formatter for ArraysInline {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(writer)
    }
}

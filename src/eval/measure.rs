//! How is a whole evaluation run?
//!
//! `zhida eval` and the evaluations that a server keeps come from here, so that their
//! figures are the same.

use super::compare;
use super::dataset::LabelledQuery;
use super::report::{GenerationReport, QuerySet, Report};
use super::{run, tune};
use crate::decide::Generation;
use crate::decide::policy::GOALS;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};

/// What is asked.
pub struct Asked<'a> {
    /// Where the questions are from, as the report names it.
    pub file: &'a str,
    /// The questions.
    pub queries: &'a [LabelledQuery],
    /// Of which generations.
    pub generations: &'a [Generation],
    /// The goal that the engine keeps.
    pub max_wrong: f64,
    /// Whether other goals are tried too.
    pub tune: bool,
}

/// Asks an engine all questions and adds up what it says. `progress` hears the stage
/// and how many of how many are done.
///
/// # Errors
/// What the engine fails with.
pub fn report(
    engine: &Engine,
    asked: &Asked<'_>,
    progress: &(dyn Fn(&'static str, usize, usize) + Sync),
) -> Result<Report> {
    let queries = asked.queries;
    let mut runs = Vec::new();
    for &generation in asked.generations {
        let stage = match generation {
            Generation::One => "generation 1",
            Generation::Two => "generation 2",
        };
        let options = Options { generation, ..Options::default() };
        let predictions =
            run::predict(engine, queries, options, &|done| progress(stage, done, queries.len()))?;
        let policy =
            serde_json::to_value(engine.policy(generation)).map_err(|e| Error::internal("eval", e))?;
        let mut told = GenerationReport::new(generation.number(), policy, predictions);
        if asked.tune {
            let total = GOALS.len() * queries.len();
            told.trade_off =
                tune::trade_off(engine, queries, generation, &|done| progress("goals", done, total))?;
        }
        runs.push(told);
    }
    let release = engine.release();
    let manifest = release.manifest();
    let now = time::OffsetDateTime::now_utc();
    Ok(Report {
        zhida: env!("CARGO_PKG_VERSION").to_owned(),
        created: now
            .replace_nanosecond(0)
            .unwrap_or(now)
            .format(&time::format_description::well_known::Rfc3339)
            .map_err(|e| Error::internal("eval", e))?,
        kb: manifest.kb.clone(),
        entries: release.entries().len(),
        release: manifest.number.to_string(),
        model: manifest.model.as_ref().map(|model| model.id.clone()),
        max_wrong: asked.max_wrong,
        queries: QuerySet {
            file: asked.file.to_owned(),
            n: queries.len(),
            sha256: compare::fingerprint(queries)?,
        },
        generations: runs,
        baseline: None,
        questions: Report::questions_of(release.entries()),
    })
}

//! Does the loop work: asked, suggested, accepted, published, answered?
//!
//! Labelled questions are asked day by day by customers who behave as the labels
//! say. What they ask becomes events, the events become suggestions by the same
//! code that runs in service, and an author with a budget takes them up, now and
//! then wrongly. Every day is published, and what that gives is measured on
//! questions that are never asked during it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::asked::{Asked, Gathering};
use super::groups::Memory;
use super::labels;
use super::suggest::verdicts::{Settled, Verdict};
use super::suggest::{Kind, Limits, Material, Suggestion, review};
use crate::decide::{Decision, Generation};
use crate::encoder::Encoder;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::eval::dataset::{Expect, LabelledQuery};
use crate::eval::metrics::{Estimate, Metrics};
use crate::eval::run::predict;
use crate::events::{Candidate, Day, Event, Feedback, Kind as EventKind};
use crate::kb::{EntryId, KnowledgeBase};
use crate::release::{Build, Labelled, Past, Progress, Release, Teachers};
use crate::store::Decided;
use crate::text::exact_key;

/// Questions that are asked; the others are held out.
const LOGGED: usize = 500;

/// Of all questions, the largest share that is asked.
const SHARE: f64 = 0.6;

/// A keyword has no more characters.
const KEYWORD: usize = 6;

/// How often a customer who is asked back takes the right question when it is
/// among those offered.
const CLICKS: f64 = 0.7;

/// How often a customer says of an answer whether it helped.
const SAYS: f64 = 0.3;

/// How the loop is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Days.
    pub days: usize,
    /// Suggestions that the author looks at in a day.
    pub budget: usize,
    /// How often the author decides wrongly.
    pub author_error: f64,
    /// The goal.
    pub max_wrong: f64,
    /// What teaches the calibration.
    pub labels: Labels,
    /// Sets of the shipped reference that must not teach it: those that are replayed.
    pub left_out: Vec<String>,
}

/// Which labels the calibration learns from, beside the knowledge base itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// Nothing: what was learned is asked like any phrasing.
    None,
    /// Nothing, and what was learned is left out, as in every publication.
    #[default]
    Learned,
    /// What the author decided.
    Decided,
    /// That, and clicks and what customers said of answers.
    Use,
}

impl Labels {
    /// All of them, from nothing to everything.
    const ALL: [Self; 4] = [Self::None, Self::Learned, Self::Decided, Self::Use];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Learned => "learned",
            Self::Decided => "decided",
            Self::Use => "use",
        }
    }
}

/// One day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The day; 0 is before the first one.
    pub day: usize,
    /// Questions asked so far.
    pub logged: usize,
    /// Suggestions taken up so far.
    pub accepted: usize,
    /// Phrasings that came of them.
    pub phrasings: usize,
    /// Of those, the ones that are wrong.
    pub accepted_wrong: usize,
    /// Suggestions looked at so far.
    pub seen: usize,
    /// Of the held-out questions that the knowledge base can answer, the share answered right.
    pub coverage: Option<f64>,
    /// Its 95 % interval.
    pub coverage_interval: Option<[f64; 2]>,
    /// Of the answers, the share that is right.
    pub precision: Option<f64>,
    /// Of the answers, the share that is wrong.
    pub wrong_rate: Option<f64>,
    /// Its 95 % interval.
    pub wrong_interval: Option<[f64; 2]>,
    /// Held-out questions that were answered.
    pub answered: usize,
    /// The coverage that a bar reaches which keeps 95 % right on these very
    /// questions: what the goal would give if all were known.
    pub coverage_at_95: Option<f64>,
    /// Of the held-out questions that it can answer, the share whose entry comes first,
    /// sure or not.
    pub first: Option<f64>,
    /// Of the same, the share that is answered right or offered the right entry.
    pub reached: Option<f64>,
    /// Of all questions of the loop, those that are still to come too, that it can
    /// answer: the share answered right. What was accepted of them is stored word for
    /// word, so this is what customers who repeat themselves have of it.
    pub again: Option<f64>,
    /// Of the answers to these, the share that is wrong.
    pub again_wrong: Option<f64>,
    /// The bar that was drawn.
    pub bar: f64,
}

/// What the knowledge base of the last day gives when something else teaches its
/// calibration: what of the coverage came from use, and what from new phrasings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Taught {
    /// What teaches it.
    pub labels: Labels,
    /// Labels that it had.
    pub count: usize,
    /// What it gives.
    #[serde(flatten)]
    pub row: Row,
}

/// What the loop came to; `loop.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The knowledge base.
    pub kb: String,
    /// The goal.
    pub max_wrong: f64,
    /// What the author looks at in a day.
    pub budget: usize,
    /// How often they decide wrongly.
    pub author_error: f64,
    /// What taught the calibration.
    pub labels: Labels,
    /// Questions that are never asked.
    pub held_out: usize,
    /// Of those, the ones inside.
    pub held_out_inside: usize,
    /// Day by day.
    pub days: Vec<Row>,
    /// The last day, taught otherwise.
    pub last_day: Vec<Taught>,
}

/// A number between 0 and 1 that is always the same for a text.
fn chance(salt: &str, text: &str) -> f64 {
    let digest = Sha256::digest(format!("{salt}\0{text}").as_bytes());
    digest.iter().take(6).fold(0.0, |sum, &byte| sum * 256.0 + f64::from(byte)) / 256f64.powi(6)
}

/// The loop as it goes.
struct Loop<'a> {
    setup: Setup,
    kb: &'a str,
    encoder: Option<Arc<Encoder>>,
    base: KnowledgeBase,
    truth: HashMap<String, &'a Expect>,
    all: &'a [LabelledQuery],
    settled: Vec<Settled>,
    accepted: usize,
    phrasings: usize,
    wrong: usize,
    seen: usize,
}

/// Runs the loop.
///
/// # Errors
/// When there are too few questions, or a release cannot be made.
pub fn run(
    kb: &str,
    base: KnowledgeBase,
    encoder: Option<Arc<Encoder>>,
    queries: &[LabelledQuery],
    setup: Setup,
    progress: Progress<'_>,
) -> Result<Report> {
    let mut order: Vec<&LabelledQuery> = queries.iter().collect();
    order.sort_by(|a, b| chance("order", &a.text).total_cmp(&chance("order", &b.text)));
    let logged = LOGGED.min((SHARE * order.len() as f64) as usize);
    if logged < setup.days || logged == order.len() {
        return Err(Error::Refused(format!(
            "--queries: {} questions are too few for {} days; give more questions or fewer --days",
            order.len(),
            setup.days
        )));
    }
    let (asked, held) = order.split_at(logged);
    let [asked, held] =
        [asked, held].map(|part| part.iter().map(|query| (*query).clone()).collect::<Vec<LabelledQuery>>());
    let truth = asked.iter().map(|query| (exact_key(&query.text), &query.expect)).collect();
    let mut state = Loop {
        setup,
        kb,
        encoder,
        base,
        truth,
        all: &asked,
        settled: Vec::new(),
        accepted: 0,
        phrasings: 0,
        wrong: 0,
        seen: 0,
    };
    let setup = state.setup.clone();
    let mut gathering = Gathering::default();
    let mut memory = Memory::default();
    let mut engine = state.publish(None, &[], setup.labels)?;
    let mut rows = vec![state.measure(&engine, &held, 0, 0)?];
    let per_day = logged.div_ceil(setup.days);
    let first = Day::today().plus(-i64::try_from(setup.days).unwrap_or(0));
    let mut done = 0;
    for (number, asked) in asked.chunks(per_day).enumerate() {
        let day = first.plus(i64::try_from(number).unwrap_or(0));
        for query in asked {
            ask(&engine, query, day, &mut gathering)?;
        }
        done += asked.len();
        let questions = gathering.found().all.clone();
        let material = Material {
            engine: &engine,
            questions: &questions,
            labelled: &[],
            settled: &state.settled,
            today: day,
        };
        // Words take a release each, and an author decides on them by other lights than labels.
        let limits = Limits { suggestions: 2 * setup.budget, words: 0, ..Limits::default() };
        let found = review(&material, limits, &mut memory)?;
        for suggestion in found.suggestions.iter().take(setup.budget) {
            state.decide(suggestion)?;
        }
        engine = state.publish(Some(engine.release()), &questions, setup.labels)?;
        rows.push(state.measure(&engine, &held, number + 1, done)?);
        progress("days", number + 1, setup.days);
    }
    let mut last_day = Vec::new();
    for labels in Labels::ALL {
        let questions = &gathering.found().all;
        let taught = state.publish(Some(engine.release()), questions, labels)?;
        let row = state.measure(&taught, &held, rows.len() - 1, done)?;
        let count = state.labels(questions, labels).iter().filter(|one| one.weight > 0.0).count();
        last_day.push(Taught { labels, count, row });
    }
    Ok(Report {
        kb: kb.to_owned(),
        max_wrong: setup.max_wrong,
        budget: setup.budget,
        author_error: setup.author_error,
        labels: setup.labels,
        held_out: held.len(),
        held_out_inside: held.iter().filter(|query| query.expect.is_inside()).count(),
        days: rows,
        last_day,
    })
}

/// A customer asks, and does with the reply what customers do.
fn ask(engine: &Engine, query: &LabelledQuery, day: Day, gathering: &mut Gathering) -> Result<()> {
    let outcome = match engine.answer(&query.text, Options::default()) {
        Ok(outcome) => outcome,
        Err(Error::Question(_)) => return Ok(()),
        Err(e) => return Err(e),
    };
    let id = |place: usize| engine.release().entries()[place].id.clone();
    let candidates = outcome.candidates.iter().take(Event::CANDIDATES);
    let event = Event {
        at: day.start() + 1,
        trace_id: Some(format!("{day}-{}", exact_key(&query.text))),
        text: Some(query.text.clone()),
        decision: Some(outcome.decision.name().to_owned()),
        reason: Some(outcome.reason.name().to_owned()),
        entry: outcome.best().map(|best| id(best.entry).0),
        confidence: Some(outcome.confidence().value()),
        candidates: candidates
            .map(|one| Candidate { entry: id(one.entry).0, confidence: one.confidence.value() })
            .collect(),
        ..Event::now(EventKind::Decision, "loop")
    };
    gathering.decision(&event);
    let feedback = match outcome.decision {
        Decision::Clarify if chance("clicks", &query.text) < CLICKS => {
            let offered = outcome.candidates.iter().take(outcome.offered).map(|one| id(one.entry));
            let chosen = offered.into_iter().find(|entry| query.expect.accepts(entry));
            chosen.map(|entry| Feedback { chosen: Some(entry.0), ..Feedback::default() })
        }
        Decision::Answer if chance("says", &query.text) < SAYS => {
            let right = outcome.best().is_some_and(|best| query.expect.accepts(&id(best.entry)));
            Some(Feedback { solved: Some(right), ..Feedback::default() })
        }
        _ => None,
    };
    if let Some(feedback) = feedback {
        gathering.outcome(&Event::feedback(&event, feedback));
    }
    Ok(())
}

impl Loop<'_> {
    /// The author looks at a suggestion.
    fn decide(&mut self, suggestion: &Suggestion) -> Result<()> {
        self.seen += 1;
        let expect = self.truth.get(&exact_key(&suggestion.text)).copied().unwrap_or(&Expect::Outside);
        let suggested = suggestion.entry.clone().map(EntryId);
        let near = suggestion.nearest.iter().map(|near| EntryId(near.entry.clone()));
        // The entry that is right, as far as the author is shown it.
        let right = suggested.iter().cloned().chain(near).find(|entry| expect.accepts(entry));
        let mistaken = chance("author", &suggestion.id) < self.setup.author_error;
        let chosen = match (mistaken, right) {
            (false, right) => right,
            // A mistake is to take what is wrong, or to leave what is right.
            (true, Some(right)) if suggested.as_ref() == Some(&right) => None,
            (true, _) => suggested,
        };
        let verdict = match &chosen {
            // Nobody takes what is shown to do more harm than good; and answers stay as they are.
            Some(_) if suggestion.harm > suggestion.gain || suggestion.kind == Kind::Outdated => {
                Verdict::Ignored
            }
            Some(entry) => {
                self.accepted += 1;
                let more = self.examples(entry, suggestion);
                for text in std::iter::once(&suggestion.text).chain(&more) {
                    let expect = self.truth.get(&exact_key(text)).copied().unwrap_or(&Expect::Outside);
                    self.phrasings += 1;
                    self.wrong += usize::from(!expect.accepts(entry));
                    self.add(entry, suggestion.kind, text);
                }
                self.settled.extend(more.into_iter().map(|text| Settled {
                    id: Suggestion::id_of(Kind::Similar, Some(&entry.0), &text),
                    kind: Kind::Similar,
                    entry: Some(entry.0.clone()),
                    text,
                    verdict: Verdict::Accepted,
                    count: suggestion.count,
                }));
                Verdict::Accepted
            }
            None => Verdict::Never,
        };
        self.settled.push(Settled {
            id: suggestion.id.clone(),
            kind: suggestion.kind,
            entry: chosen.map(|entry| entry.0).or_else(|| suggestion.entry.clone()),
            text: suggestion.text.clone(),
            verdict,
            count: suggestion.count,
        });
        Ok(())
    }

    /// The other questions of the group that the author takes along, as the label of
    /// each says, and errs as often.
    fn examples(&self, entry: &EntryId, suggestion: &Suggestion) -> Vec<String> {
        let takes = |text: &&String| {
            let right = self.truth.get(&exact_key(text)).is_some_and(|expect| expect.accepts(entry));
            right != (chance("example", text) < self.setup.author_error)
        };
        suggestion.examples.iter().filter(takes).cloned().collect()
    }

    fn add(&mut self, id: &EntryId, kind: Kind, text: &str) {
        let mut entries = self.base.entries().to_vec();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.id == *id) {
            match kind {
                // A word that settles a question alone; a question is a phrasing of it.
                Kind::Keyword if text.chars().count() <= KEYWORD => {
                    entry.keywords.push(text.to_owned());
                }
                _ => entry.similar.push(text.to_owned()),
            }
        }
        self.base = KnowledgeBase::of_validated(entries).with_lexicon(self.base.lexicon().clone());
    }

    fn labels(&self, questions: &[Asked], labels: Labels) -> Vec<Labelled> {
        match labels {
            Labels::None => Vec::new(),
            Labels::Learned => self.decided().iter().filter_map(Decided::learned).collect(),
            Labels::Decided => labels::of(&self.decided(), &[]),
            Labels::Use => labels::of(&self.decided(), questions),
        }
    }

    fn publish(&self, previous: Option<&Release>, questions: &[Asked], labels: Labels) -> Result<Engine> {
        let labelled = self.labels(questions, labels);
        let calibrate_by = Teachers { labelled: &labelled, left_out: &self.setup.left_out };
        let previous = previous.map(Past::Open);
        let build =
            Build { encoder: self.encoder.clone(), previous, calibrate_by, ..Build::of(self.kb, &self.base) };
        Ok(Engine::new(Arc::new(build.temporary()?), self.setup.max_wrong))
    }

    /// What the author decided, as it is recorded in service.
    fn decided(&self) -> Vec<Decided> {
        let row = |one: &Settled| Decided {
            id: one.id.clone(),
            kind: one.kind.name().to_owned(),
            entry: one.entry.clone(),
            text: one.text.clone(),
            count: 0,
            verdict: one.verdict.name().to_owned(),
            revision: None,
        };
        self.settled.iter().map(row).collect()
    }

    fn measure(&self, engine: &Engine, held: &[LabelledQuery], day: usize, logged: usize) -> Result<Row> {
        let options = Options { generation: Generation::Two, ..Options::default() };
        let predictions = predict(engine, held, options, &|_| ())?;
        let metrics = Metrics::of(&predictions);
        let again = Metrics::of(&predict(engine, self.all, options, &|_| ())?);
        let reached = predictions.iter().filter(|one| match one.decision {
            Decision::Answer => one.entry.as_ref().is_some_and(|entry| one.expect.accepts(entry)),
            Decision::Clarify => {
                one.candidates.iter().take(one.offered).any(|near| one.expect.accepts(&near.entry))
            }
            Decision::Handoff => false,
        });
        let reached = Estimate::share(reached.count(), metrics.inside);
        let first = metrics.recall_at.iter().find(|(key, _)| *key == "1").and_then(|(_, found)| *found);
        let value = |estimate: Option<Estimate>| estimate.map(|estimate| estimate.value);
        let interval = |estimate: Option<Estimate>| estimate.map(|estimate| [estimate.low, estimate.high]);
        Ok(Row {
            day,
            logged,
            accepted: self.accepted,
            phrasings: self.phrasings,
            accepted_wrong: self.wrong,
            seen: self.seen,
            coverage: value(metrics.coverage),
            coverage_interval: interval(metrics.coverage),
            precision: value(metrics.precision),
            wrong_rate: value(metrics.wrong_rate),
            wrong_interval: interval(metrics.wrong_rate),
            answered: metrics.answered,
            coverage_at_95: value(
                metrics
                    .coverage_at_precision
                    .iter()
                    .find(|(key, _)| *key == "0.95")
                    .and_then(|(_, found)| *found),
            ),
            first: value(first),
            reached: value(reached),
            again: value(again.coverage),
            again_wrong: value(again.wrong_rate),
            bar: engine
                .policy(if self.encoder.is_some() { Generation::Two } else { Generation::One })
                .bar
                .value(),
        })
    }
}

//! How good are the draft and what is served, on the labelled questions?
//!
//! An evaluation is a job; what it came to is kept as a report, with the figures of
//! `zhida eval`. Two reports are compared question by question.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::authoring::REQUEST_BYTES;
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::request::{self, fields};
use super::routes::Routes;
use super::trial;
use crate::access::Right;
use crate::decide::Generation;
use crate::engine::Engine;
use crate::error::Error;
use crate::eval::compare::{Change, Deed, Flip, changes};
use crate::eval::measure::{self, Asked};
use crate::eval::metrics::{Verdict, risk_coverage};
use crate::eval::report::{Report, json as written};
use crate::eval::run::Prediction;
use crate::publish;
use crate::store::{Evaluated, Shelf};

/// Candidates of a question that are kept.
const CANDIDATES: usize = 3;
/// Points of a curve that are told at most.
const POINTS: usize = 300;
/// Questions with a wrong answer that are told at most.
const TOLD: usize = 500;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Author, routes!(list, start))
        .may(Right::Author, routes!(one, forget))
        .may(Right::Author, routes!(compare))
        .bodies(REQUEST_BYTES)
}

/// What is evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EvaluationOf)]
enum Of {
    /// The draft as it is.
    #[default]
    Draft,
    /// What customers get.
    Release,
}

/// Which evaluation is wanted.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct EvaluationWanted {
    /// What is asked the labelled questions.
    of: Of,
}

/// A kept evaluation, as a list shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EvaluationItem {
    /// Its number.
    number: i64,
    /// When, RFC 3339 in UTC.
    at: String,
    /// Who ran it.
    author: String,
    /// What was asked: `of`, `release`, `revision`, `max_wrong`, `queries`, `sha256`, `generation`
    /// and the headline figures of that generation, each with its interval.
    #[schema(value_type = Object)]
    summary: Value,
}

/// The evaluations that are kept.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EvaluationList {
    /// Newest first.
    items: Vec<EvaluationItem>,
}

fn item(found: Evaluated) -> EvaluationItem {
    let Evaluated { number, at, author, summary } = found;
    EvaluationItem { number, at, author, summary }
}

/// List the evaluations that are kept: the last twenty.
#[utoipa::path(
    get,
    operation_id = "list_evaluations",
    path = "/v1/kbs/{kb}/evaluations",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses((status = 200, description = "The evaluations.", body = EvaluationList), Problems)
)]
async fn list(caller: Caller, Path(kb): Path<String>) -> Result<Json<EvaluationList>, Problem> {
    caller
        .author(move |caller| {
            let items = caller.shelf(&kb)?.evaluations()?.into_iter().map(item).collect();
            Ok(Json(EvaluationList { items }))
        })
        .await
}

/// Ask the draft, or what is served, the labelled questions, as a job; its result
/// holds the number of the report.
#[utoipa::path(
    post,
    operation_id = "evaluate_kb",
    path = "/v1/kbs/{kb}/evaluations",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = EvaluationWanted, example = json!({"of": "draft"})),
    responses(
        (status = 202, description = "`Location` is the job's address; its `result` has `evaluation`, the number of the report.", body = super::jobs::Job),
        (status = 409, description = "There are no labelled questions, or another job works on the knowledge base.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn start(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Response, Problem> {
    let EvaluationWanted { of } = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let (shelf, tenant) = (caller.shelf(&kb)?, Arc::clone(caller.tenant()));
            caller.registry().store().writable()?;
            let queries = publish::queries(&shelf)?;
            if queries.is_empty() {
                let detail = "there are no labelled questions yet; attach some first (`PUT …/queries`)";
                return Err(Problem::new(Kind::NotNow, detail));
            }
            let served = match of {
                Of::Release => Some(caller.served(Some(&kb))?.0),
                Of::Draft => None,
            };
            let tell = caller.tells("evaluate_kb", format!("/v1/kbs/{kb}/evaluations"));
            caller.jobs().start("evaluation", &kb, tell, move |progress| {
                let revision = shelf.head()?.map_or(0, |head| head.revision);
                let engine = match served {
                    Some(engine) => engine,
                    None => trial::engine_of_draft(&tenant, &shelf, progress)?,
                };
                let max_wrong = shelf.goal_or(tenant.registry().default_goal())?;
                let both = engine.release().encoder().is_some();
                let generations: &[Generation] =
                    if both { &[Generation::One, Generation::Two] } else { &[Generation::One] };
                let asked = Asked {
                    file: "labelled questions",
                    queries: &queries,
                    generations,
                    max_wrong,
                    tune: true,
                };
                let report = measure::report(&engine, &asked, progress)?;
                Ok(json!({"evaluation": keep(&shelf, &engine, &report, of, revision)?}))
            })
        })
        .await
}

/// Keeps a report, and gives its number.
fn keep(shelf: &Shelf, engine: &Engine, report: &Report, of: Of, revision: i64) -> Result<i64, Problem> {
    let internal = |e: serde_json::Error| Error::internal("evaluation", e);
    let told: Value = serde_json::from_slice(&written::render(report)?).map_err(internal)?;
    let mut predictions = BTreeMap::new();
    let mut questions = BTreeMap::new();
    for generation in &report.generations {
        let mut kept = generation.predictions.clone();
        for one in &mut kept {
            one.candidates.truncate(CANDIDATES);
            for id in one.entry.iter().chain(one.expect.ids()) {
                if let Some(question) = report.questions.get(id) {
                    questions.insert(id.0.clone(), question.clone());
                }
            }
        }
        predictions.insert(generation.number.to_string(), kept);
    }
    let last = report.generations.last();
    let headline = last.map(|generation| &told["generations"][generation.number.to_string().as_str()]);
    let mut summary = json!({
        "of": of,
        "release": engine.release().label(),
        "revision": revision,
        "max_wrong": report.max_wrong,
        "queries": report.queries.n,
        "sha256": report.queries.sha256,
        "generation": last.map(|generation| generation.number),
    });
    for name in ["goal", "answered", "right", "wrong", "answer_rate", "precision", "wrong_rate", "coverage"] {
        summary[name] = headline.map_or(Value::Null, |figures| figures[name].clone());
        if let Some(interval) =
            headline.map(|figures| &figures["intervals"][name]).filter(|found| found.is_array())
        {
            summary["intervals"][name] = interval.clone();
        }
    }
    let body = json!({"report": told, "predictions": predictions, "questions": questions});
    Ok(shelf.keep_evaluation(&summary, &body)?)
}

/// A point of the curve: what answering from a confidence on would give.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CurvePoint {
    /// Everything from this confidence on is answered.
    confidence: f64,
    /// The share of all questions that is answered then.
    answered: f64,
    /// The share of the answers that is wrong then.
    wrong: f64,
}

/// A question with a wrong answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WrongAnswer {
    /// The generation that answered.
    generation: u8,
    /// What the customer typed.
    text: String,
    /// The ids of the entries that would be right; none where a person should answer.
    expect: Vec<String>,
    /// The entry that was answered.
    entry: Option<String>,
    /// Its question.
    question: Option<String>,
    /// How sure it was.
    confidence: f64,
    /// The question's groups.
    tags: Vec<String>,
}

/// One evaluation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Evaluation {
    /// As in the list.
    #[serde(flatten)]
    item: EvaluationItem,
    /// As `report.json` of `zhida eval --tune`.
    #[schema(value_type = Object)]
    report: Value,
    /// By generation, from the strictest bar on.
    curve: BTreeMap<String, Vec<CurvePoint>>,
    /// The surest first.
    wrong: Vec<WrongAnswer>,
}

/// The parts of a kept report.
struct Kept {
    item: EvaluationItem,
    report: Value,
    predictions: BTreeMap<String, Vec<Prediction>>,
    questions: HashMap<String, String>,
}

fn kept(shelf: &Shelf, number: i64) -> Result<Kept, Problem> {
    let unknown =
        || Problem::new(Kind::NotHere, format!("there is no evaluation {number}; old ones are forgotten"));
    let (found, mut body) = shelf.evaluation(number)?.ok_or_else(unknown)?;
    let internal = |e: serde_json::Error| Error::internal("evaluation", e);
    Ok(Kept {
        item: item(found),
        report: body["report"].take(),
        predictions: serde_json::from_value(body["predictions"].take()).map_err(internal)?,
        questions: serde_json::from_value(body["questions"].take()).map_err(internal)?,
    })
}

/// The points of a curve, thinned where there are many.
fn curve(predictions: &[Prediction]) -> Vec<CurvePoint> {
    let all = risk_coverage(predictions);
    let (step, last) = (all.len().div_ceil(POINTS).max(1), all.len().saturating_sub(1));
    let kept = all.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last);
    kept.map(|(_, point)| CurvePoint {
        confidence: point.confidence,
        answered: point.answered,
        wrong: point.risk,
    })
    .collect()
}

/// Show an evaluation: its figures, the trade-off, and what was answered wrong.
#[utoipa::path(
    get,
    operation_id = "get_evaluation",
    path = "/v1/kbs/{kb}/evaluations/{number}",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("number" = i64, Path, description = "The evaluation."),
    ),
    responses((status = 200, description = "The evaluation.", body = Evaluation), Problems)
)]
async fn one(caller: Caller, Path((kb, number)): Path<(String, i64)>) -> Result<Json<Evaluation>, Problem> {
    caller
        .author(move |caller| {
            let Kept { item, report, predictions, questions } = kept(&caller.shelf(&kb)?, number)?;
            let mut wrong: Vec<WrongAnswer> = Vec::new();
            for one in predictions.last_key_value().into_iter().flat_map(|(_, all)| all) {
                if Verdict::of(one) == Verdict::Wrong {
                    let entry = one.entry.as_ref().map(|id| id.0.clone());
                    wrong.push(WrongAnswer {
                        generation: one.generation,
                        text: one.text.clone(),
                        expect: one.expect.ids().iter().map(|id| id.0.clone()).collect(),
                        question: entry.as_ref().and_then(|id| questions.get(id)).cloned(),
                        entry,
                        confidence: one.confidence,
                        tags: one.tags.clone(),
                    });
                }
            }
            wrong.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
            wrong.truncate(TOLD);
            let curve = predictions.iter().map(|(name, all)| (name.clone(), curve(all))).collect();
            Ok(Json(Evaluation { item, report, curve, wrong }))
        })
        .await
}

/// Forget an evaluation.
#[utoipa::path(
    delete,
    operation_id = "delete_evaluation",
    path = "/v1/kbs/{kb}/evaluations/{number}",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("number" = i64, Path, description = "The evaluation."),
    ),
    responses((status = 204, description = "It is not kept any more."), Problems)
)]
async fn forget(caller: Caller, Path((kb, number)): Path<(String, i64)>) -> Result<StatusCode, Problem> {
    caller
        .author(move |caller| {
            if caller.shelf(&kb)?.forget_evaluation(number)? {
                return Ok(StatusCode::NO_CONTENT);
            }
            Err(Problem::new(Kind::NotHere, format!("there is no evaluation {number}")))
        })
        .await
}

/// Which evaluation another one is compared with.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CompareQuery {
    /// The earlier one.
    with: i64,
}

/// Two evaluations side by side, on the questions that both were asked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EvaluationsCompared {
    /// The earlier one.
    from: EvaluationItem,
    /// The later one.
    to: EvaluationItem,
    /// Questions that both were asked, with the same labels.
    common: usize,
    /// What changed, by generation.
    #[schema(value_type = Object)]
    generations: BTreeMap<String, Change>,
    /// Every question whose outcome is another one.
    #[schema(value_type = Vec<Object>)]
    flips: Vec<Flip>,
}

/// Compare two evaluations: which questions have another outcome.
#[utoipa::path(
    get,
    operation_id = "compare_evaluations",
    path = "/v1/kbs/{kb}/evaluations/{number}/comparison",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("number" = i64, Path, description = "The later evaluation."),
        CompareQuery,
    ),
    responses((status = 200, description = "What differs.", body = EvaluationsCompared), Problems)
)]
async fn compare(
    caller: Caller,
    Path((kb, number)): Path<(String, i64)>,
    Query(CompareQuery { with }): Query<CompareQuery>,
) -> Result<Json<EvaluationsCompared>, Problem> {
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let (before, after) = (kept(&shelf, with)?, kept(&shelf, number)?);
            let mut told = EvaluationsCompared {
                from: before.item,
                to: after.item,
                common: 0,
                generations: BTreeMap::new(),
                flips: Vec::new(),
            };
            for (name, now) in after.predictions {
                let Some(then) = before.predictions.get(&name) else { continue };
                let known: HashMap<&str, &Prediction> =
                    then.iter().map(|one| (one.text.as_str(), one)).collect();
                let (mut old, mut new) = (Vec::new(), Vec::new());
                for one in now {
                    if let Some(was) = known.get(one.text.as_str()).filter(|was| was.expect == one.expect) {
                        old.push(Deed::of(was));
                        new.push(one);
                    }
                }
                let (change, flips) = changes(name.parse().unwrap_or(1), &old, &new);
                told.common = old.len();
                told.generations.insert(name, change);
                told.flips.extend(flips);
            }
            Ok(Json(told))
        })
        .await
}

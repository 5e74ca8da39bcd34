//! What should be added, and who says so?
//!
//! `zhida learn` over HTTP. A look at the questions of the last days is kept as
//! long as nothing new was asked; one that took long is kept for a while longer,
//! so that a busy server does not look all the time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::caller::Caller;
use super::error::{Problem, Problems};
use super::request::{self, fields};
use super::routes::Routes;
use crate::access::Right;
use crate::engine::Engine;
use crate::events::Log;
use crate::learn::bursts;
use crate::learn::look::{self, DAYS};
use crate::learn::suggest::verdicts::{self, Accepted, Change};
use crate::learn::suggest::{Findings, Group, Limits, Suggestion};
use crate::publish;
use crate::store::Shelf;

/// The largest body, in bytes.
const REQUEST_BYTES: usize = 64 << 10;

/// Items that are shown when nobody says otherwise.
const SHOWN: usize = 50;

/// A look that took longer than this is kept for [`REST`] times as long.
const QUICK: Duration = Duration::from_secs(2);
const REST: u32 = 20;

/// An author waits for the reply, so less is done than on the command line.
const LIMITS: Limits = Limits { questions: 20_000, groups: 200, suggestions: 50, words: 2, probes: 1_000 };

/// With more phrasings than these no release is built to try words on.
const SMALL: usize = 5_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Author, routes!(groups))
        .may(Right::Author, routes!(suggestions))
        .may(Right::Author, routes!(accept))
        .may(Right::Author, routes!(ignore))
        .may(Right::Author, routes!(decide))
        .may(Right::Author, routes!(left))
        .may(Right::Author, routes!(reopen))
        .may(Right::Author, routes!(changes))
        .bodies(REQUEST_BYTES)
}

/// The last look at each knowledge base.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<String, Seen>>);

struct Seen {
    /// What was looked at.
    of: String,
    at: Instant,
    took: Duration,
    findings: Arc<Findings>,
}

impl Looks {
    /// Forgets the last look at a knowledge base: a decision was taken back.
    pub(super) fn forget(&self, kb: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(kb);
    }

    /// Looks at a knowledge base, or gives the last look if it is good enough.
    fn of(&self, shelf: &Shelf, log: &Log, engine: &Engine, days: u16) -> Result<Arc<Findings>, Problem> {
        let state = format!("{days} {} {}", engine.release().label(), look::state(log));
        // Held while it is looked at: whoever comes meanwhile wants the same.
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = looks.get(shelf.name()) {
            let resting = seen.took > QUICK && seen.at.elapsed() < seen.took * REST;
            // Whoever has decided all that was suggested wants what comes behind it.
            let is_decided = !seen.findings.suggestions.is_empty()
                && shelf.store().writable().is_ok()
                && verdicts::open(shelf)?.is_empty();
            if !is_decided && (seen.of == state || resting) {
                return Ok(Arc::clone(&seen.findings));
            }
        }
        let start = Instant::now();
        let words = if engine.release().counts().1 <= SMALL { LIMITS.words } else { 0 };
        let labelled = publish::queries(shelf)?;
        let findings = Arc::new(look::look(shelf, log, engine, &labelled, days, Limits { words, ..LIMITS })?);
        let seen = Seen { of: state, at: start, took: start.elapsed(), findings: Arc::clone(&findings) };
        looks.insert(shelf.name().to_owned(), seen);
        Ok(findings)
    }
}

/// What is looked at.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LookQuery {
    /// How many days to look back; 30 without this, 366 at most.
    days: Option<u16>,
    /// At most so many items; 50 without this.
    limit: Option<usize>,
}

impl LookQuery {
    fn days(&self) -> u16 {
        self.days.unwrap_or(DAYS).clamp(1, 366)
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(SHOWN)
    }
}

/// Groups of open questions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Groups {
    /// Open questions, each wording once.
    open: usize,
    /// The weightiest first.
    items: Vec<Group>,
}

/// Show the questions without a good answer, those that mean the same together.
///
/// Open is a question that was handed to a person for want of an answer, was asked
/// back and nothing was taken, did not help, or was joined with an entry by a click
/// or an agent, and is no stored phrasing yet.
#[utoipa::path(
    get,
    operation_id = "list_question_groups",
    path = "/v1/kbs/{kb}/groups",
    params(("kb" = String, Path, description = "The knowledge base."), LookQuery),
    responses(
        (status = 200, description = "Groups of open questions.", body = Groups),
        Problems,
    )
)]
async fn groups(
    caller: Caller,
    Path(kb): Path<String>,
    Query(query): Query<LookQuery>,
) -> Result<Json<Groups>, Problem> {
    caller
        .author(move |caller| {
            let found = looked(caller, &kb, query.days())?.1;
            let items = found.groups.iter().take(query.limit()).cloned().collect();
            Ok(Json(Groups { open: found.open, items }))
        })
        .await
}

/// Suggestions that are open.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Suggestions {
    /// The most useful first.
    items: Vec<Suggestion>,
}

/// Show what to do about open questions: what it would gain and what it would harm.
#[utoipa::path(
    get,
    operation_id = "list_suggestions",
    path = "/v1/kbs/{kb}/suggestions",
    params(("kb" = String, Path, description = "The knowledge base."), LookQuery),
    responses(
        (status = 200, description = "Suggestions that are open.", body = Suggestions),
        Problems,
    )
)]
async fn suggestions(
    caller: Caller,
    Path(kb): Path<String>,
    Query(query): Query<LookQuery>,
) -> Result<Json<Suggestions>, Problem> {
    caller
        .author(move |caller| {
            let (shelf, found) = looked(caller, &kb, query.days())?;
            // What was decided since the look is not open any more; where nothing can
            // be written down, nothing was decided.
            let mut items = if shelf.store().writable().is_ok() {
                verdicts::open(&shelf)?
            } else {
                found.suggestions.clone()
            };
            items.truncate(query.limit());
            Ok(Json(Suggestions { items }))
        })
        .await
}

fn looked(caller: &Caller, kb: &str, days: u16) -> Result<(Shelf, Arc<Findings>), Problem> {
    let shelf = caller.shelf(kb)?;
    let engine = caller.engine(Some(kb))?;
    let found = caller.tenant().looks().of(&shelf, caller.log(), &engine, days)?;
    Ok((shelf, found))
}

/// Take up a suggestion: it goes into the draft, signed, with a reason that names it.
#[utoipa::path(
    post,
    operation_id = "accept_suggestion",
    path = "/v1/kbs/{kb}/suggestions/{id}/accept",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("id" = String, Path, description = "The suggestion."),
    ),
    request_body(content = Option<Change>, example = json!({"entry": "return-7day"})),
    responses(
        (status = 200, description = "What was changed.", body = Accepted),
        (status = 404, description = "No such suggestion is open.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another entry has the phrasing; `owner` says which.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "An answer is missing, or the entry has a fault.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn accept(
    caller: Caller,
    Path((kb, id)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Accepted>, Problem> {
    let change: Change = body(request).await?;
    caller
        .author(move |caller| {
            Ok(Json(verdicts::accept(&caller.shelf(&kb)?, &id, caller.signature(), &change)?))
        })
        .await
}

/// A body that may be left out.
async fn body<T: serde::de::DeserializeOwned + Default>(request: Request) -> Result<T, Problem> {
    let empty = request.headers().get(axum::http::header::CONTENT_TYPE).is_none();
    if empty { Ok(T::default()) } else { fields(request::json(request, REQUEST_BYTES).await?) }
}

/// How a suggestion is left.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Leaving {
    /// It never comes back, in no other words either; else it does when twice as many ask.
    never: bool,
}

/// What was decided.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Left {
    /// The suggestion.
    id: String,
    /// `ignored` or `never`.
    verdict: &'static str,
}

/// Leave a suggestion for now, or for ever.
#[utoipa::path(
    post,
    operation_id = "ignore_suggestion",
    path = "/v1/kbs/{kb}/suggestions/{id}/ignore",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("id" = String, Path, description = "The suggestion."),
    ),
    request_body(content = Option<Leaving>, example = json!({"never": true})),
    responses(
        (status = 200, description = "What was decided.", body = Left),
        (status = 404, description = "No such suggestion is open.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn ignore(
    caller: Caller,
    Path((kb, id)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Left>, Problem> {
    let Leaving { never } = body(request).await?;
    caller
        .author(move |caller| {
            verdicts::ignore(&caller.shelf(&kb)?, &id, caller.signature(), never)?;
            Ok(Json(Left { id, verdict: if never { "never" } else { "ignored" } }))
        })
        .await
}

/// Decisions on several suggestions.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Decisions {
    /// Taken up as they are.
    accept: Vec<String>,
    /// Left for now.
    ignore: Vec<String>,
    /// Left for ever.
    never: Vec<String>,
}

/// What came of one decision.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SuggestionDecision)]
struct Decision {
    /// The suggestion.
    id: String,
    /// What is wrong; `null` when it was done.
    problem: Option<Problem>,
}

/// What came of several decisions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Decided {
    /// In the order of the request: accepted, ignored, never.
    items: Vec<Decision>,
}

/// Decide on several suggestions; one that fails does not keep the others back.
#[utoipa::path(
    post,
    operation_id = "decide_suggestions",
    path = "/v1/kbs/{kb}/suggestions",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = Decisions, example = json!({"accept": ["s0a1b2c3d4e5f"], "never": []})),
    responses(
        (status = 200, description = "What came of each.", body = Decided),
        Problems,
    )
)]
async fn decide(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Json<Decided>, Problem> {
    let wanted: Decisions = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let (shelf, author) = (caller.shelf(&kb)?, caller.signature());
            let mut items = Vec::new();
            for id in wanted.accept {
                let done = verdicts::accept(&shelf, &id, author, &Change::default());
                items.push(Decision { id, problem: done.err().map(Problem::from) });
            }
            for (ids, never) in [(wanted.ignore, false), (wanted.never, true)] {
                for id in ids {
                    let done = verdicts::ignore(&shelf, &id, author, never);
                    items.push(Decision { id, problem: done.err().map(Problem::from) });
                }
            }
            Ok(Json(Decided { items }))
        })
        .await
}

/// A suggestion that was left.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LeftSuggestion {
    /// Its name.
    id: String,
    /// What it was, such as `similar`.
    kind: String,
    /// The entry that it was about.
    entry: Option<String>,
    /// Its text.
    text: String,
    /// `ignored` or `never`.
    verdict: String,
    /// How often it had been asked then.
    count: i64,
    /// When it was left, RFC 3339 in UTC.
    at: String,
    /// By whom.
    author: String,
}

/// Suggestions that were left.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LeftSuggestions {
    /// How many there are.
    total: usize,
    /// The last one first.
    items: Vec<LeftSuggestion>,
}

/// How many are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LeftQuery {
    /// At most so many; 50 without this.
    limit: Option<usize>,
}

/// Show the suggestions that were left, for now or for ever.
#[utoipa::path(
    get,
    operation_id = "list_left_suggestions",
    path = "/v1/kbs/{kb}/suggestions/left",
    params(("kb" = String, Path, description = "The knowledge base."), LeftQuery),
    responses(
        (status = 200, description = "What was left.", body = LeftSuggestions),
        Problems,
    )
)]
async fn left(
    caller: Caller,
    Path(kb): Path<String>,
    Query(query): Query<LeftQuery>,
) -> Result<Json<LeftSuggestions>, Problem> {
    caller
        .author(move |caller| {
            let left = caller.shelf(&kb)?.left_suggestions()?;
            let total = left.len();
            let told = left.into_iter().take(query.limit.unwrap_or(SHOWN)).map(|one| LeftSuggestion {
                id: one.decided.id,
                kind: one.decided.kind,
                entry: one.decided.entry,
                text: one.decided.text,
                verdict: one.decided.verdict,
                count: one.decided.count,
                at: one.at,
                author: one.author,
            });
            Ok(Json(LeftSuggestions { total, items: told.collect() }))
        })
        .await
}

/// Suggestions whose decisions are taken back.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Reopening {
    /// Their names.
    ids: Vec<String>,
}

/// What was taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Reopened {
    /// How many decisions there were.
    reopened: usize,
}

/// Take decisions on suggestions back: what customers still ask is suggested again. What
/// was accepted stays in the draft.
#[utoipa::path(
    post,
    operation_id = "reopen_suggestions",
    path = "/v1/kbs/{kb}/suggestions/reopen",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = Reopening, example = json!({"ids": ["s0a1b2c3d4e5f"]})),
    responses(
        (status = 200, description = "How many decisions were taken back.", body = Reopened),
        Problems,
    )
)]
async fn reopen(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Json<Reopened>, Problem> {
    let Reopening { ids } = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let reopened = caller.shelf(&kb)?.reopen_suggestions(&ids)?;
            caller.tenant().looks().forget(&kb);
            Ok(Json(Reopened { reopened }))
        })
        .await
}

/// Show what is asked more than last week, and days with another share of
/// unanswered questions, or another mean confidence, than the days before let expect.
#[utoipa::path(
    get,
    operation_id = "list_bursts",
    path = "/v1/kbs/{kb}/bursts",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses(
        (status = 200, description = "Bursts and drift.", body = bursts::Report),
        Problems,
    )
)]
async fn changes(caller: Caller, Path(kb): Path<String>) -> Result<Json<bursts::Report>, Problem> {
    caller.author(move |caller| Ok(Json(look::changes(caller.log(), caller.shelf(&kb)?.name(), DAYS)?))).await
}

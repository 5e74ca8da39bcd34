//! What would customers get from the draft, and what do they get now?
//!
//! An engine over the draft is made when somebody asks for it, and kept until the
//! draft changes. What is tried here is no customer's question: nothing of it is
//! recorded.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::Path;
use super::authoring::refusal;
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::registry::Registry;
use super::request::{self, fields};
use super::routes::Routes;
use crate::access::Right;
use crate::dialogue::{Facts, Service, ruling};
use crate::engine::{Engine, Options, Reply};
use crate::learn::look::{self, DAYS};
use crate::publish;
use crate::release::Progress;
use crate::store::Shelf;

/// The largest body, in bytes.
const REQUEST_BYTES: usize = 64 << 10;
/// The longest question, in characters.
const LONGEST: usize = 2_000;
/// Drafts of a tenant that are kept.
const KEPT: usize = 2;
/// Recent questions that both are asked, those that were asked most.
const RECENT: usize = 1_000;
/// Changes that are told.
const TOLD: usize = 500;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Author, routes!(try_out))
        .may(Right::Author, routes!(preview))
        .bodies(REQUEST_BYTES)
}

/// Engines over the drafts of a tenant.
#[derive(Default)]
pub(super) struct Drafts(Mutex<VecDeque<Draft>>);

/// An engine over a draft.
#[derive(Clone)]
struct Draft {
    kb: String,
    /// The draft that it is of.
    state: String,
    engine: Arc<Engine>,
    service: Arc<Service>,
}

impl Drafts {
    fn known(&self, kb: &str, state: &str) -> Option<Draft> {
        let drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drafts.iter().find(|draft| draft.kb == kb && draft.state == state).cloned()
    }

    fn keep(&self, draft: Draft) {
        let mut drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drafts.retain(|known| known.kb != draft.kb);
        while drafts.len() >= KEPT {
            drafts.pop_front();
        }
        drafts.push_back(draft);
    }
}

/// Makes the engine over the draft, or takes the one that is there.
fn draft(
    drafts: &Drafts,
    registry: &Registry,
    shelf: &Shelf,
    state: &str,
    progress: Progress<'_>,
) -> Result<Draft, Problem> {
    if let Some(known) = drafts.known(shelf.name(), state) {
        return Ok(known);
    }
    let encoder = registry.models().for_building()?;
    let goal = registry.default_goal();
    let engine = publish::engine_of_draft(shelf, encoder, goal, progress).map_err(refusal)?;
    let made = Draft {
        kb: shelf.name().to_owned(),
        state: state.to_owned(),
        engine: Arc::new(engine),
        // What is wrong with it is told where it is edited and checked.
        service: Arc::new(Service::of(&shelf.service()?.text).unwrap_or_default()),
    };
    drafts.keep(made.clone());
    Ok(made)
}

/// What decides about an answer of the draft.
fn state_of(shelf: &Shelf) -> Result<String, Problem> {
    let goal = shelf.goal()?.map_or_else(String::new, |goal| goal.to_string());
    // Labelled questions teach the calibration and are no part of the draft's revisions.
    let mut taught = DefaultHasher::new();
    shelf.queries()?.hash(&mut taught);
    // So do suggestions that were decided.
    for one in shelf.decided_suggestions()? {
        (one.id, one.verdict, one.entry).hash(&mut taught);
    }
    Ok(format!("{} {goal} {:x}", shelf.head()?.map_or(0, |head| head.revision), taught.finish()))
}

/// The engine over a draft, which is made unless it is there.
pub(super) fn engine_of_draft(
    tenant: &super::tenants::Tenant,
    shelf: &Shelf,
    progress: Progress<'_>,
) -> Result<Arc<Engine>, Problem> {
    let state = state_of(shelf)?;
    Ok(draft(tenant.drafts(), tenant.registry(), shelf, &state, progress)?.engine)
}

/// A question that is tried.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Tried {
    /// As a customer would type it.
    text: String,
    /// On this channel.
    channel: Option<String>,
}

/// What customers get now and would get from the draft, each with `explain`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct BothReplies {
    /// From what is served; `null` when nothing was published.
    now: Option<Box<Reply>>,
    /// From the draft; `null` when nothing in it is switched on.
    draft: Option<Box<Reply>>,
}

fn asked(engine: &Engine, service: &Service, tried: &Tried) -> Result<Box<Reply>, Problem> {
    let mut facts = Facts::of(&tried.text);
    facts.channel = tried.channel.as_deref();
    Ok(Box::new(ruling::answer(engine, service, facts, Options::default(), true)?.1))
}

/// Ask what is served and the draft the same question; nothing of it is recorded.
///
/// A draft that has changed is indexed first: the reply is a job, and when it
/// is done the same question is answered at once. Who asks meanwhile gets the same job.
#[utoipa::path(
    post,
    operation_id = "try_question",
    path = "/v1/kbs/{kb}/try",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = Tried, example = json!({"text": "会员卡能停吗"})),
    responses(
        (status = 200, description = "Both replies.", body = BothReplies),
        (status = 202, description = "The draft is being indexed: `Location` is the job's address.", body = super::jobs::Job),
        Problems,
    )
)]
async fn try_out(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Response, Problem> {
    let tried: Tried = fields(request::json(request, REQUEST_BYTES).await?)?;
    let chars = tried.text.chars().count();
    if chars > LONGEST || tried.text.trim().is_empty() {
        let detail = format!("`text` has 1 to {LONGEST} characters, got {chars}");
        return Err(Problem::new(Kind::InvalidField, detail).of_field("text"));
    }
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let state = state_of(&shelf)?;
            let tenant = Arc::clone(caller.tenant());
            let is_empty = shelf.draft()?.enabled().next().is_none();
            let draft = match tenant.drafts().known(&kb, &state) {
                Some(known) => Some(known),
                None if is_empty => None,
                None => {
                    return caller.jobs().start_or_join("index", &kb, move |progress| {
                        draft(tenant.drafts(), tenant.registry(), &shelf, &state, progress)?;
                        Ok(serde_json::Value::Null)
                    });
                }
            };
            let now = match caller.served(Some(&kb)) {
                Ok((engine, service)) => Some(asked(&engine, &service, &tried)?),
                Err(_) => None,
            };
            let draft = draft.map(|draft| asked(&draft.engine, &draft.service, &tried)).transpose()?;
            Ok(Json(BothReplies { now, draft }).into_response())
        })
        .await
}

/// What one side does with a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Deed {
    decision: &'static str,
    reason: &'static str,
    /// The best entry, whatever the decision.
    entry: Option<String>,
    question: Option<String>,
    /// What the customer reads when it is answered.
    #[serde(skip)]
    text: Option<String>,
}

impl Deed {
    fn of(engine: &Engine, service: &Service, text: &str) -> Result<Self, Problem> {
        let (_, reply) = ruling::answer(engine, service, Facts::of(text), Options::default(), false)?;
        let first = reply.answer.as_ref().map(|answer| (answer.entry.clone(), answer.question.clone()));
        let first =
            first.or_else(|| reply.suggestions.first().map(|one| (one.entry.clone(), one.question.clone())));
        let (entry, question) = first.unzip();
        let text = reply.answer.map(|answer| answer.text);
        Ok(Self { decision: reply.decision.name(), reason: reply.reason.name(), entry, question, text })
    }

    /// Whether the same entry answers, with another text.
    fn says_otherwise(&self, other: &Self) -> bool {
        !self.differs(other) && self.decision == "answer" && self.text != other.text
    }

    /// Whether a customer notices the difference.
    fn differs(&self, other: &Self) -> bool {
        self.decision != other.decision || (self.decision == "answer" && self.entry != other.entry)
    }
}

/// A question whose outcome would be another one.
#[derive(Debug, Serialize)]
struct Flip {
    text: String,
    /// How often it was asked in the last days; 0 for a labelled one that nobody asked.
    count: u64,
    labelled: bool,
    /// `better` or `worse` where a label says what is right, else `open`.
    verdict: &'static str,
    /// Whether it is the same entry's answer, with another text.
    another_text: bool,
    before: Deed,
    after: Deed,
}

/// Ask the draft and what is served the labelled questions and those of the last 30
/// days, as a job: its result says which outcomes would be others.
#[utoipa::path(
    post,
    operation_id = "preview_publication",
    path = "/v1/kbs/{kb}/preview",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses(
        (status = 202, description = "`Location` is the job's address; its `result` has `labelled`, `recent` (how many were asked), `changed` and `flips`.", body = super::jobs::Job),
        Problems,
    )
)]
async fn preview(caller: Caller, Path(kb): Path<String>) -> Result<Response, Problem> {
    caller
        .author(move |caller| {
            let (shelf, tenant) = (caller.shelf(&kb)?, Arc::clone(caller.tenant()));
            let served = caller.served(Some(&kb)).ok();
            let state = state_of(&shelf)?;
            caller.jobs().start(
                "preview",
                &kb,
                |_| (),
                move |progress| {
                    let draft = draft(tenant.drafts(), tenant.registry(), &shelf, &state, progress)?;
                    let labelled = publish::queries(&shelf)?;
                    let mut recent = look::questions(tenant.log(), shelf.name(), DAYS)?.all;
                    recent.sort_by_key(|one| std::cmp::Reverse(one.count));
                    recent.truncate(RECENT);
                    let (asked, total) = (labelled.len(), labelled.len() + recent.len());
                    let mut flips: Vec<Flip> = Vec::new();
                    let labels = labelled.iter().map(|query| (query.text.as_str(), 0, Some(&query.expect)));
                    let others = recent.iter().map(|one| (one.text.as_str(), one.count, None));
                    for (number, (text, count, expect)) in labels.chain(others).enumerate() {
                        progress("queries", number, total);
                        let Some((engine, service)) = &served else { break };
                        let before = Deed::of(engine, service, text)?;
                        let after = Deed::of(&draft.engine, &draft.service, text)?;
                        let another_text = before.says_otherwise(&after);
                        if !before.differs(&after) && !another_text {
                            continue;
                        }
                        let is_right = |deed: &Deed| {
                            let answered = deed.entry.clone().filter(|_| deed.decision == "answer");
                            match (expect, answered) {
                                (Some(expect), Some(entry)) => expect.accepts(&crate::kb::EntryId(entry)),
                                (Some(expect), None) => !expect.is_inside(),
                                (None, _) => false,
                            }
                        };
                        let verdict = match (expect.is_some(), is_right(&before), is_right(&after)) {
                            (true, false, true) => "better",
                            (true, true, false) => "worse",
                            _ => "open",
                        };
                        let labelled = expect.is_some();
                        let text = text.to_owned();
                        flips.push(Flip { text, count, labelled, verdict, another_text, before, after });
                    }
                    let changed = flips.len();
                    let rank = |flip: &Flip| match flip.verdict {
                        "worse" => 0,
                        "open" => 1,
                        _ => 2,
                    };
                    flips.sort_by_key(|flip| (rank(flip), std::cmp::Reverse(flip.count)));
                    flips.truncate(TOLD);
                    Ok(serde_json::json!({
                        "labelled": asked, "recent": total - asked, "served": served.is_some(),
                        "changed": changed, "flips": flips,
                    }))
                },
            )
        })
        .await
}

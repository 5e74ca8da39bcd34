//! What does the engine propose to people at the desk, and what did they make of it?

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Path, Query, page_size};
use super::caller::Caller;
use super::error::{Problem, Problems};
use super::handoffs::found;
use super::routes::Routes;
use crate::access::Right;
use crate::dialogue::told::moment;
use crate::store::Proposal;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Agent, routes!(proposals)).may(Right::Agent, routes!(verdicts))
}

/// An answer that could be sent as it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Proposal)]
struct ToldProposal {
    /// The entry.
    entry: String,
    /// Its standard question.
    question: String,
    /// The probability that it is right.
    confidence: f64,
    /// The authored answer for the customer's channel.
    text: String,
}

/// Answers to what the customer said last.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Proposals)]
struct ToldProposals {
    /// The customer's words that they answer.
    text: Option<String>,
    /// The number of that line in the conversation.
    seq: Option<i64>,
    /// The likeliest first.
    items: Vec<ToldProposal>,
}

/// Show the engine's answers to what the customer said last.
///
/// Whoever sends one names it with `entry` in the reply; what was taken, edited or
/// passed over is kept for those who look after the knowledge base.
#[utoipa::path(
    get,
    operation_id = "list_proposals",
    path = "/v1/handoffs/{id}/proposals",
    params(("id" = String, Path, description = "The handoff.")),
    responses((status = 200, description = "The answers.", body = ToldProposals), Problems)
)]
async fn proposals(caller: Caller, Path(id): Path<String>) -> Result<Json<ToldProposals>, Problem> {
    caller
        .at_desk(move |caller| {
            let handoff = found(caller, &id)?;
            let (engine, _) = caller.served(Some(&handoff.kb))?;
            let proposed = caller.desk().proposals(&handoff, &engine)?;
            let entries = engine.release().entries();
            let question = |entry: &str| {
                entries
                    .iter()
                    .find(|one| one.id.0 == entry)
                    .map(|one| one.question.clone())
                    .unwrap_or_default()
            };
            let first = proposed.first();
            Ok(Json(ToldProposals {
                text: first.map(|one| one.question.clone()),
                seq: first.map(|one| one.seq),
                items: proposed
                    .iter()
                    .map(|one| ToldProposal {
                        entry: one.entry.clone(),
                        question: question(&one.entry),
                        confidence: one.confidence,
                        text: one.text.clone(),
                    })
                    .collect(),
            }))
        })
        .await
}

/// Which verdicts are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Since {
    /// Only those since this moment, in milliseconds since 1970 (UTC).
    since: Option<i64>,
    /// At most so many, 1 to 1000; without it 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// What a person made of a proposed answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Verdict {
    /// The handoff.
    handoff: String,
    /// The customer's words.
    text: String,
    /// The entry.
    entry: String,
    /// The probability that the engine gave it.
    confidence: f64,
    /// `taken`, `edited` or `ignored`.
    verdict: String,
    /// What was sent instead.
    sent: Option<String>,
    /// Who decided.
    agent: Option<String>,
    /// When, RFC 3339.
    at: String,
}

/// What people made of proposed answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Verdicts {
    /// In order of time.
    items: Vec<Verdict>,
}

/// List what people made of the answers that were proposed to them.
#[utoipa::path(
    get,
    operation_id = "list_verdicts",
    path = "/v1/kbs/{kb}/verdicts",
    params(("kb" = String, Path, description = "The knowledge base."), Since),
    responses((status = 200, description = "The verdicts.", body = Verdicts), Problems)
)]
async fn verdicts(
    caller: Caller,
    Path(kb): Path<String>,
    Query(wanted): Query<Since>,
) -> Result<Json<Verdicts>, Problem> {
    let limit = page_size(wanted.limit.unwrap_or(100), 1_000)?;
    caller
        .at_desk(move |caller| {
            caller.shelf(&kb)?;
            let verdicts = caller.desk().talk().verdicts(&kb, wanted.since.unwrap_or(0), limit)?;
            let verdict = |one: Proposal| Verdict {
                handoff: one.handoff,
                text: one.question,
                entry: one.entry,
                confidence: one.confidence,
                verdict: one.verdict,
                sent: one.sent,
                agent: one.agent,
                at: moment(one.at),
            };
            Ok(Json(Verdicts { items: verdicts.into_iter().map(verdict).collect() }))
        })
        .await
}

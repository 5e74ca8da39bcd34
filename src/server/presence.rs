//! How does somebody say that they are at the desk?

use axum::Json;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::Query;
use super::caller::Caller;
use super::error::{Problem, Problems};
use super::request::{fields, json};
use super::routes::Routes;
use crate::access::Right;
use crate::desk::presence::ONLINE;
use crate::dialogue::told::moment;

/// The largest body, in bytes.
const BYTES: usize = 4 << 10;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Agent, routes!(present, set)).bodies(BYTES)
}

/// Whether somebody takes conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PresenceState)]
enum State {
    /// They do.
    Online,
    /// They are there, and take none now.
    Away,
    /// They have left.
    Offline,
}

/// What somebody says of themselves.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PresenceWanted)]
struct Wanted {
    state: State,
}

/// Somebody at the desk.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AgentPresence)]
struct Somebody {
    /// Under which name they act.
    agent: String,
    /// `online` or `away`.
    state: String,
    /// When they said so last, RFC 3339.
    seen_at: String,
}

/// Who is at the desk.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Presence)]
struct Present {
    /// By name.
    items: Vec<Somebody>,
    /// How many take conversations.
    online: usize,
    /// Under which name the caller acts.
    you: String,
}

/// Who is asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only those who may see this knowledge base.
    kb: Option<String>,
}

fn told(caller: &Caller, kb: Option<&str>) -> Result<Json<Present>, Problem> {
    let mut present = caller.desk().present()?;
    if let Some(kb) = kb {
        present.retain(|one| caller.may_see(&one.agent, kb));
    }
    let online = present.iter().filter(|one| one.state == ONLINE).count();
    let items = present
        .into_iter()
        .map(|one| Somebody { agent: one.agent, state: one.state, seen_at: moment(one.seen_at) })
        .collect();
    Ok(Json(Present { items, online, you: caller.signature().author.clone() }))
}

/// Show who is at the desk.
#[utoipa::path(
    get,
    operation_id = "show_presence",
    path = "/v1/presence",
    params(Asked),
    responses((status = 200, description = "Who is there.", body = Present), Problems)
)]
async fn present(caller: Caller, Query(asked): Query<Asked>) -> Result<Json<Present>, Problem> {
    caller.at_desk(move |caller| told(caller, asked.kb.as_deref())).await
}

/// Say that one is at the desk.
///
/// It counts for 90 seconds: whoever works there repeats it every half minute. Where
/// everybody is gone, customers are told no waiting time.
#[utoipa::path(
    put,
    operation_id = "set_presence",
    path = "/v1/presence",
    request_body = Wanted,
    responses((status = 200, description = "Who is there now.", body = Present), Problems)
)]
async fn set(caller: Caller, request: Request) -> Result<Json<Present>, Problem> {
    let Wanted { state } = fields(json(request, BYTES).await?)?;
    caller
        .at_desk(move |caller| {
            let state = match state {
                State::Online => Some(ONLINE),
                State::Away => Some("away"),
                State::Offline => None,
            };
            let desk = caller.desk();
            desk.talk().note_present(&caller.signature().author, state, desk.now())?;
            told(caller, None)
        })
        .await
}

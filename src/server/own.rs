//! Who am I, and what is mine?

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::Path;
use super::caller::Caller;
use super::changes::Done;
use super::error::{Kind, Problem, Problems};
use super::peer::Client;
use super::request::{self, fields};
use super::routes::Routes;
use super::shown;
use super::sign_in::{LOGIN_BYTES, SignedIn, Visitor, chosen, csrf, prove};
use crate::access::{Right, Role, Scope};
use crate::store::SessionRecord;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Own, routes!(me))
        .may(Right::Own, routes!(colleagues))
        .may(Right::Own, routes!(change_password))
        .may(Right::Own, routes!(own_sessions, end_other_sessions))
        .may(Right::Own, routes!(end_own_session))
        .bodies(LOGIN_BYTES)
}

/// What sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MeKind)]
enum What {
    /// Somebody who signed in.
    Person,
    /// A program with a key.
    Key,
    /// A program of the machine, on a server without keys and people.
    Machine,
}

/// Who sends a request, and what they may do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Me {
    /// What it is.
    kind: What,
    /// The id of the person or key.
    id: Option<String>,
    /// How they are named in histories.
    name: String,
    /// What others call a person.
    display_name: Option<String>,
    /// The tenant whose data they may see.
    tenant: String,
    /// What they are for.
    role: Role,
    /// What they may do: the values of `x-zhida-right` in this description.
    rights: Vec<&'static str>,
    /// The knowledge bases that they are limited to; `null` for all of the tenant.
    kbs: Option<Vec<String>>,
    /// The knowledge bases that are there and that they may know of.
    knowledge_bases: Vec<String>,
    /// A person's: to be sent in `X-CSRF-Token` with everything that changes something.
    csrf_token: Option<String>,
    /// A person's session.
    session: Option<SessionRecord>,
}

/// Say who sends this request, and what they may do.
#[utoipa::path(
    get,
    operation_id = "me",
    path = "/v1/me",
    responses((status = 200, description = "Who it is.", body = Me), Problems)
)]
async fn me(caller: Caller, request: Request) -> Result<Json<Me>, Problem> {
    let token = csrf(request.headers(), Client::of(request.extensions()));
    caller
        .at_desk(move |caller| {
            let identity = caller.identity();
            let kind = match (&identity.session, &identity.id) {
                (Some(_), _) => What::Person,
                (None, Some(_)) => What::Key,
                (None, None) => What::Machine,
            };
            let table = caller.server().gate().access().table();
            let person = identity.id.as_deref().and_then(|id| table.person(id));
            let names = caller.store().names()?;
            Ok(Json(Me {
                kind,
                id: identity.id.clone(),
                name: identity.name.clone(),
                display_name: person.map(|person| person.display_name.clone()),
                tenant: identity.tenant.clone(),
                role: identity.role,
                rights: Right::ALL
                    .into_iter()
                    .filter(|right| *right != Right::Public && identity.may(*right))
                    .map(Right::name)
                    .collect(),
                kbs: match &identity.scope {
                    Scope::All => None,
                    Scope::Named(names) => Some(names.clone()),
                },
                knowledge_bases: names.into_iter().filter(|name| caller.knows(name)).collect(),
                csrf_token: token.filter(|_| kind == What::Person),
                session: identity.session.as_deref().and_then(|id| table.session(id)).cloned(),
            }))
        })
        .await
}

/// How somebody is called.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Colleague {
    /// What they sign in with, which histories, handoffs and tickets have.
    name: String,
    /// What others call them; as `name` where nothing else was said.
    display_name: String,
}

/// The people who work here.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Colleagues {
    /// By name; empty for whoever only asks.
    items: Vec<Colleague>,
}

/// Say how the people of one's tenant are called, for pages that name them.
#[utoipa::path(
    get,
    operation_id = "list_colleagues",
    path = "/v1/me/colleagues",
    responses((status = 200, description = "Who there is.", body = Colleagues), Problems)
)]
async fn colleagues(caller: Caller) -> Json<Colleagues> {
    let identity = caller.identity();
    // Customers' pages need to know of nobody.
    let works_here = identity.may(Right::Agent) || identity.may(Right::Author);
    let table = caller.server().gate().access().table();
    let mut items: Vec<Colleague> = table
        .people_of(&identity.tenant)
        .filter(|_| works_here)
        .map(|person| Colleague { name: person.name.clone(), display_name: person.display_name.clone() })
        .collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Json(Colleagues { items })
}

/// A new password in the place of the old one.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The password until now.
    #[schema(format = Password)]
    current: String,
    /// The password from now on: at least 12 characters, not one that everybody takes.
    #[schema(format = Password)]
    new: String,
}

/// Change one's own password. All sessions end; this reply begins a new one.
#[utoipa::path(
    post,
    operation_id = "change_password",
    path = "/v1/me/password",
    request_body = PasswordChange,
    responses((status = 200, description = "The new session.", body = SignedIn), Problems)
)]
async fn change_password(caller: Caller, request: Request) -> Result<Response, Problem> {
    let visitor = Visitor::of(&request)?;
    let PasswordChange { current, new } = fields(request::json(request, LOGIN_BYTES).await?)?;
    own(&caller)?;
    let server = caller.server().clone();
    server
        .passwords()
        .work(move |_| {
            let identity = caller.identity();
            let person = prove(caller.server(), &visitor, &identity.tenant, &identity.name, &current)?;
            let hash = chosen(&new, &person.name).map_err(|problem| problem.of_field("new"))?.hash()?;
            let access = caller.server().gate().access();
            let person = access.set_password(&identity.tenant, &person.id, &hash)?;
            let (token, session) = visitor.begin(caller.server(), &person)?;
            let cookie = shown::keep(&token, caller.server().lasting().longest / 1_000, visitor.client);
            let done = Done {
                object: format!("person {}", person.name),
                before: None,
                after: Some(format!("all sessions ended; session {} began", session.id)),
            };
            let body = SignedIn { csrf_token: token.csrf(), person, session };
            Ok(done.beside(([(header::SET_COOKIE, cookie)], Json(body)).into_response()))
        })
        .await?
}

/// Somebody's sessions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SessionList {
    /// Newest first; those that have ended are gone.
    pub(super) items: Vec<SessionRecord>,
}

/// List one's own sessions.
#[utoipa::path(
    get,
    operation_id = "own_sessions",
    path = "/v1/me/sessions",
    responses((status = 200, description = "The sessions.", body = SessionList), Problems)
)]
async fn own_sessions(caller: Caller) -> Result<Json<SessionList>, Problem> {
    let (id, _) = own(&caller)?;
    caller
        .at_desk(move |caller| {
            Ok(Json(SessionList { items: caller.server().gate().access().sessions(&id)? }))
        })
        .await
}

/// End all of one's own sessions but this one.
#[utoipa::path(
    delete,
    operation_id = "end_other_sessions",
    path = "/v1/me/sessions",
    responses((status = 204, description = "They have ended."), Problems)
)]
async fn end_other_sessions(caller: Caller) -> Result<Response, Problem> {
    let (id, session) = own(&caller)?;
    end(caller, id, None, Some(session)).await
}

/// End one of one's own sessions.
#[utoipa::path(
    delete,
    operation_id = "end_own_session",
    path = "/v1/me/sessions/{session}",
    params(("session" = String, Path, description = "The session.")),
    responses((status = 204, description = "It has ended."), Problems)
)]
async fn end_own_session(caller: Caller, Path(session): Path<String>) -> Result<Response, Problem> {
    let (id, _) = own(&caller)?;
    end(caller, id, Some(session), None).await
}

/// Ends sessions of a person: one, all but one, or all.
pub(super) async fn end(
    caller: Caller,
    person: String,
    only: Option<String>,
    but: Option<String>,
) -> Result<Response, Problem> {
    caller
        .at_desk(move |caller| {
            let access = caller.server().gate().access();
            let name = access.table().person(&person).map(|person| person.name.clone()).unwrap_or_default();
            let ended = access.end_sessions(&person, only.as_deref(), but.as_deref())?;
            if let (Some(session), 0) = (&only, ended) {
                return Err(Problem::new(Kind::NotHere, format!("there is no session {session:?}")));
            }
            let before = only.map_or_else(|| format!("{ended} sessions"), |one| format!("session {one}"));
            let done =
                Done { object: format!("person {name}"), before: Some(before), after: Some("ended".into()) };
            Ok(done.beside(StatusCode::NO_CONTENT.into_response()))
        })
        .await
}

/// The person and session of somebody who signed in.
fn own(caller: &Caller) -> Result<(String, String), Problem> {
    let identity = caller.identity();
    match (&identity.id, &identity.session) {
        (Some(id), Some(session)) => Ok((id.clone(), session.clone())),
        _ => {
            let detail = "only somebody who signed in has a password and sessions";
            Err(Problem::new(Kind::NotNow, detail))
        }
    }
}

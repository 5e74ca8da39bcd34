//! How are people invited, changed and turned out over HTTP?

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::Path;
use super::authoring::REQUEST_BYTES;
use super::caller::Caller;
use super::changes::Done;
use super::error::{Kind, Problem, Problems};
use super::keys::{wanted_tenant, whole};
use super::own::{SessionList, end};
use super::request::{self, fields};
use super::routes::Routes;
use crate::access::{Right, Role, Token, given, moment};
use crate::store::{Access, NewPerson, PersonChange, PersonRecord, SignIn};

/// How long the link of somebody who was invited works, in milliseconds.
pub const INVITED: i64 = 3 * 86_400_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Admin, routes!(list, create))
        .may(Right::Admin, routes!(change, remove))
        .may(Right::Admin, routes!(sessions, end_sessions))
        .may(Right::Admin, routes!(end_session))
        .may(Right::Admin, routes!(link))
        .bodies(REQUEST_BYTES)
}

/// The people of a tenant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PersonList)]
struct People {
    /// By name.
    items: Vec<PersonRecord>,
}

/// A link that works once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PersonLink {
    /// Behind the server's own address; whoever opens it first sets the password. It
    /// is shown this once.
    link: String,
    /// Until when it works, RFC 3339 in UTC.
    expires_at: String,
}

/// Somebody who was invited.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PersonCreated)]
struct Created {
    /// Who it is.
    person: PersonRecord,
    /// To be given to them; `null` for somebody who signs in at the provider.
    invitation: Option<PersonLink>,
}

/// Somebody new.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PersonWanted)]
struct Wanted {
    /// What they sign in with.
    name: String,
    /// What others call them; without it the name.
    #[serde(default)]
    display_name: String,
    /// What they are for.
    role: Role,
    /// The knowledge bases that they may know of; without it, all.
    kbs: Option<Vec<String>>,
    /// How they sign in: `password` (without it) or `provider`.
    #[serde(default = "by_password")]
    sign_in: SignIn,
    /// The tenant whose data they may see; only an admin of the tenant that owns the
    /// data directory may name another one than their own.
    tenant: Option<String>,
}

const fn by_password() -> SignIn {
    SignIn::Password
}

/// List the people, without what lets them in.
#[utoipa::path(
    get,
    operation_id = "list_people",
    path = "/v1/people",
    responses((status = 200, description = "The tenant's people.", body = People), Problems)
)]
async fn list(caller: Caller) -> Result<Json<People>, Problem> {
    let tenant = whole(&caller)?;
    caller
        .author(move |caller| Ok(Json(People { items: caller.server().gate().access().people(&tenant)? })))
        .await
}

/// Invite somebody. The link in this response lets them choose a password, once.
///
/// The first person closes the server, as the first key does: from then on nobody comes
/// in without being somebody. Pages that ask for customers need a key with the role `ask`.
#[utoipa::path(
    post,
    operation_id = "create_person",
    path = "/v1/people",
    request_body = Wanted,
    responses((status = 201, description = "Who it is.", body = Created), Problems)
)]
async fn create(caller: Caller, request: Request) -> Result<Response, Problem> {
    let wanted: Wanted = fields(request::json(request, REQUEST_BYTES).await?)?;
    let tenant = wanted_tenant(&caller, wanted.tenant)?;
    if wanted.sign_in == SignIn::Mapped {
        let detail = "`sign_in` is password or provider; whom the provider maps comes by themselves";
        return Err(Problem::new(Kind::InvalidField, detail).of_field("sign_in"));
    }
    let new = NewPerson {
        tenant,
        name: wanted.name,
        display_name: wanted.display_name,
        role: wanted.role,
        kbs: wanted.kbs,
        sign_in: wanted.sign_in,
        password: None,
        subject: None,
    };
    caller
        .author(move |caller| {
            let access = caller.server().gate().access();
            let person = access.create_person(new)?;
            let invitation = match person.sign_in {
                SignIn::Password => Some(link_of(access, &person)?.1),
                SignIn::Provider | SignIn::Mapped => None,
            };
            let done = Done { object: object(&person), before: None, after: Some(state(&person)) };
            Ok(done.beside((StatusCode::CREATED, Json(Created { person, invitation })).into_response()))
        })
        .await
}

/// What is changed of somebody; what is not given stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PersonChange)]
struct Changed {
    /// What others call them.
    display_name: Option<String>,
    /// What they are for.
    role: Option<Role>,
    /// The knowledge bases that they may know of; `null` for all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    kbs: Option<Option<Vec<String>>>,
    /// Whether they may not come in; their sessions end.
    disabled: Option<bool>,
}

/// Change what somebody may do; it counts from their next request on.
#[utoipa::path(
    patch,
    operation_id = "change_person",
    path = "/v1/people/{id}",
    params(("id" = String, Path, description = "The person's id or name.")),
    request_body = Changed,
    responses((status = 200, description = "Who it is.", body = PersonRecord), Problems)
)]
async fn change(caller: Caller, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let tenant = whole(&caller)?;
    let wanted: Changed = fields(request::json(request, REQUEST_BYTES).await?)?;
    let change = PersonChange {
        display_name: wanted.display_name,
        role: wanted.role,
        kbs: wanted.kbs,
        disabled: wanted.disabled,
    };
    caller
        .author(move |caller| {
            let (before, after) = caller.server().gate().access().change_person(&tenant, &id, &change)?;
            let done =
                Done { object: object(&after), before: Some(state(&before)), after: Some(state(&after)) };
            Ok(done.beside(Json(after).into_response()))
        })
        .await
}

/// Remove somebody; what they did stays in the histories.
#[utoipa::path(
    delete,
    operation_id = "remove_person",
    path = "/v1/people/{id}",
    params(("id" = String, Path, description = "The person's id or name.")),
    responses((status = 204, description = "They are gone."), Problems)
)]
async fn remove(caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let tenant = whole(&caller)?;
    caller
        .author(move |caller| {
            let person = caller.server().gate().access().remove_person(&tenant, &id)?;
            let done =
                Done { object: object(&person), before: Some(state(&person)), after: Some("removed".into()) };
            Ok(done.beside(StatusCode::NO_CONTENT.into_response()))
        })
        .await
}

/// Make a link that works once, for somebody who lost their password or invitation.
#[utoipa::path(
    post,
    operation_id = "create_link",
    path = "/v1/people/{id}/link",
    params(("id" = String, Path, description = "The person's id or name.")),
    responses((status = 201, description = "The link.", body = PersonLink), Problems)
)]
async fn link(caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let tenant = whole(&caller)?;
    caller
        .author(move |caller| {
            let access = caller.server().gate().access();
            let person = access.person(&tenant, &id)?;
            let (token, link) = link_of(access, &person)?;
            let done = Done {
                object: object(&person),
                before: None,
                after: Some(format!("link {} until {}", token.id(), link.expires_at)),
            };
            Ok(done.beside((StatusCode::CREATED, Json(link)).into_response()))
        })
        .await
}

fn link_of(access: &Access, person: &PersonRecord) -> Result<(Token, PersonLink), Problem> {
    let (token, expires) = access.create_link(Some(person), INVITED)?;
    let link = PersonLink { link: told(token.reveal()), expires_at: moment::told(expires) };
    Ok((token, link))
}

/// List somebody's sessions.
#[utoipa::path(
    get,
    operation_id = "list_sessions",
    path = "/v1/people/{id}/sessions",
    params(("id" = String, Path, description = "The person's id or name.")),
    responses((status = 200, description = "The sessions.", body = SessionList), Problems)
)]
async fn sessions(caller: Caller, Path(id): Path<String>) -> Result<Json<SessionList>, Problem> {
    let tenant = whole(&caller)?;
    caller
        .author(move |caller| {
            let access = caller.server().gate().access();
            let person = access.person(&tenant, &id)?;
            Ok(Json(SessionList { items: access.sessions(&person.id)? }))
        })
        .await
}

/// End all of somebody's sessions, on every process.
#[utoipa::path(
    delete,
    operation_id = "end_sessions",
    path = "/v1/people/{id}/sessions",
    params(("id" = String, Path, description = "The person's id or name.")),
    responses((status = 204, description = "They have ended."), Problems)
)]
async fn end_sessions(caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let person = found(&caller, id).await?;
    end(caller, person, None, None).await
}

/// End one of somebody's sessions.
#[utoipa::path(
    delete,
    operation_id = "end_session",
    path = "/v1/people/{id}/sessions/{session}",
    params(
        ("id" = String, Path, description = "The person's id or name."),
        ("session" = String, Path, description = "The session."),
    ),
    responses((status = 204, description = "It has ended."), Problems)
)]
async fn end_session(
    caller: Caller,
    Path((id, session)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let person = found(&caller, id).await?;
    end(caller, person, Some(session), None).await
}

/// The id of somebody of the caller's tenant.
async fn found(caller: &Caller, who: String) -> Result<String, Problem> {
    let tenant = whole(caller)?;
    caller.clone().author(move |caller| Ok(caller.server().gate().access().person(&tenant, &who)?.id)).await
}

/// A link that works once, behind the server's own address. What stands behind the
/// `#` no browser sends, and no proxy writes down.
pub fn told(token: &str) -> String {
    format!("/setup#{token}")
}

fn object(person: &PersonRecord) -> String {
    format!("person {}", person.name)
}

/// What somebody may do, for the audit.
pub fn state(person: &PersonRecord) -> String {
    let kbs = person.kbs.as_ref().map_or_else(|| "all".to_owned(), |kbs| kbs.join(", "));
    let disabled = if person.disabled_at.is_some() { ", disabled" } else { "" };
    format!("{} of {kbs} in {}{disabled}", person.role.name(), person.tenant)
}

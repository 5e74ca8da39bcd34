//! How are keys made, listed, replaced and revoked over HTTP?

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
use super::origins::Origin;
use super::request::{self, fields};
use super::routes::Routes;
use crate::access::{DEFAULT_TENANT, Key, Limits, LimitsChange, Right, Role, Scope, moment};
use crate::store::{KeyRecord, NewKey};

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Admin, routes!(list, create))
        .may(Right::Admin, routes!(change, revoke))
        .may(Right::Admin, routes!(rotate))
        .bodies(REQUEST_BYTES)
}

/// The keys of a tenant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = KeyList)]
struct Keys {
    /// Oldest first; revoked and expired ones too.
    items: Vec<KeyRecord>,
}

/// A new key; it is shown this once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = KeyCreated)]
struct Created {
    /// The key's id, which lists and the audit have.
    id: String,
    /// The key: keep it, nobody can show it again.
    key: String,
    /// As it is listed from now on.
    record: KeyRecord,
}

/// What a new key is for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyWanted)]
struct Wanted {
    /// What it is for.
    role: Role,
    /// The knowledge bases that it is for; without it, all.
    kbs: Option<Vec<String>>,
    /// What people call it, and under which name it acts where it names nobody; without one
    /// that is `key` and its id.
    #[serde(default)]
    name: String,
    /// From when on it is refused: RFC 3339, or a day (+08:00).
    expires: Option<String>,
    /// What it may use.
    #[serde(default)]
    limits: Limits,
    /// The origins whose pages may use it, such as `https://shop.example`.
    #[serde(default)]
    origins: Vec<String>,
    /// The tenant whose data it opens; only an admin of the tenant that owns the
    /// data directory may name another one than their own.
    tenant: Option<String>,
}

/// List the keys, without what opens the door.
#[utoipa::path(
    get,
    operation_id = "list_keys",
    path = "/v1/keys",
    responses((status = 200, description = "The tenant's keys.", body = Keys), Problems)
)]
async fn list(caller: Caller) -> Result<Json<Keys>, Problem> {
    let tenant = whole(&caller)?;
    caller
        .author(move |caller| Ok(Json(Keys { items: caller.server().gate().access().keys(&tenant)? })))
        .await
}

/// Make a key. It is in this response and nowhere else.
///
/// The first key closes the server: from then on nobody comes in without one.
#[utoipa::path(
    post,
    operation_id = "create_key",
    path = "/v1/keys",
    request_body = Wanted,
    responses((status = 201, description = "The key.", body = Created), Problems)
)]
async fn create(caller: Caller, request: Request) -> Result<Response, Problem> {
    let wanted: Wanted = fields(request::json(request, REQUEST_BYTES).await?)?;
    let tenant = wanted_tenant(&caller, wanted.tenant)?;
    let expires_at = match &wanted.expires {
        None => None,
        Some(text) => Some(moment::read(text).ok_or_else(|| {
            let detail = format!("`expires` is RFC 3339 or a day such as 2027-12-31, got {text:?}");
            Problem::new(Kind::InvalidField, detail).of_field("expires")
        })?),
    };
    let origins = origins(&wanted.origins)?;
    let new = NewKey {
        tenant,
        role: wanted.role,
        kbs: wanted.kbs,
        name: wanted.name,
        expires_at,
        limits: wanted.limits,
        origins,
    };
    caller
        .author(move |caller| {
            let (key, record) = caller.server().gate().access().create_key(new)?;
            Ok(told(StatusCode::CREATED, &key, record, None))
        })
        .await
}

/// What is changed of a key.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyChange)]
struct Changed {
    /// What changes of what it may use; limits that are left out stay.
    limits: Option<LimitsChange>,
    /// The origins whose pages may use it from now on.
    origins: Option<Vec<String>>,
}

/// Change what a key may use, as far as it is named; it counts from the next request on.
#[utoipa::path(
    patch,
    operation_id = "change_key",
    path = "/v1/keys/{id}",
    params(("id" = String, Path, description = "The key's id.")),
    request_body = Changed,
    responses((status = 200, description = "The key.", body = KeyRecord), Problems)
)]
async fn change(caller: Caller, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let tenant = whole(&caller)?;
    let wanted: Changed = fields(request::json(request, REQUEST_BYTES).await?)?;
    let allowed = wanted.origins.map(|list| origins(&list)).transpose()?;
    caller
        .author(move |caller| {
            let access = caller.server().gate().access();
            let record = access.limit_key(&tenant, &id, wanted.limits.as_ref(), allowed.as_deref())?;
            let done = Done { object: format!("key {id}"), ..Done::default() };
            Ok(done.beside(Json(record).into_response()))
        })
        .await
}

/// Revoke a key: every process refuses it from its next request on.
#[utoipa::path(
    delete,
    operation_id = "revoke_key",
    path = "/v1/keys/{id}",
    params(("id" = String, Path, description = "The key's id.")),
    responses((status = 200, description = "The key, revoked.", body = KeyRecord), Problems)
)]
async fn revoke(caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let tenant = whole(&caller)?;
    caller
        .author(move |caller| {
            let record = caller.server().gate().access().revoke_key(&tenant, &id)?;
            let done = Done { object: format!("key {id}"), after: Some("revoked".into()), ..Done::default() };
            Ok(done.beside(Json(record).into_response()))
        })
        .await
}

/// How long the old key stays valid.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyRotation)]
struct Rotation {
    /// A span such as `24h` (the default), `30m` or `0s`.
    overlap: Option<String>,
}

/// Make a key in the place of another one, which stays valid for a while.
#[utoipa::path(
    post,
    operation_id = "rotate_key",
    path = "/v1/keys/{id}/rotate",
    params(("id" = String, Path, description = "The key's id.")),
    request_body = Rotation,
    responses((status = 201, description = "The new key.", body = Created), Problems)
)]
async fn rotate(caller: Caller, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let tenant = whole(&caller)?;
    let Rotation { overlap } = fields(request::json(request, REQUEST_BYTES).await?)?;
    let text = overlap.unwrap_or_else(|| "24h".to_owned());
    let overlap = moment::span(&text).ok_or_else(|| {
        let detail = format!("`overlap` is a span such as 24h, 30m or 0s, got {text:?}");
        Problem::new(Kind::InvalidField, detail).of_field("overlap")
    })?;
    caller
        .author(move |caller| {
            let (key, record) = caller.server().gate().access().rotate_key(&tenant, &id, overlap)?;
            Ok(told(StatusCode::CREATED, &key, record, Some(format!("key {id}, valid for {text} more"))))
        })
        .await
}

/// The tenant of somebody who keeps all of it: a key for some knowledge bases
/// must not make one for others.
pub(super) fn whole(caller: &Caller) -> Result<String, Problem> {
    if caller.identity().scope == Scope::All {
        return Ok(caller.identity().tenant.clone());
    }
    let detail = "this key is for some knowledge bases only; keys and the audit need one for all";
    Err(Problem::new(Kind::Forbidden, detail))
}

/// The tenant of something new: the caller's own, or the one that an admin of the
/// tenant that owns the data directory names.
pub(super) fn wanted_tenant(caller: &Caller, named: Option<String>) -> Result<String, Problem> {
    let own = whole(caller)?;
    let tenant = named.unwrap_or_else(|| own.clone());
    if tenant != own && own != DEFAULT_TENANT {
        // The same as for a tenant that is not there.
        let detail = format!("there is no tenant {tenant:?}");
        return Err(Problem::new(Kind::NotHere, detail).of_field("tenant"));
    }
    Ok(tenant)
}

fn told(status: StatusCode, key: &Key, record: KeyRecord, before: Option<String>) -> Response {
    let kbs = record.kbs.as_ref().map_or_else(|| "all".to_owned(), |kbs| kbs.join(", "));
    let after = format!("key {} for {} of {} in {}", record.id, record.role.name(), kbs, record.tenant);
    let done = Done { object: format!("key {}", record.id), before, after: Some(after) };
    let created = Created { id: record.id.clone(), key: key.reveal().to_owned(), record };
    done.beside((status, Json(created)).into_response())
}

/// Origins as browsers send them.
fn origins(list: &[String]) -> Result<Vec<String>, Problem> {
    let read = |text: &String| match text.parse::<Origin>() {
        Ok(origin) if origin.as_str() != "*" => Ok(origin.as_str().to_owned()),
        Ok(_) => Err("a key that every page may use is no secret; name the origins".to_owned()),
        Err(why) => Err(why),
    };
    list.iter()
        .map(|text| read(text).map_err(|why| Problem::new(Kind::InvalidField, why).of_field("origins")))
        .collect()
}

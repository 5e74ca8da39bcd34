//! How are tenants made, limited and removed over HTTP?

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::authoring::REQUEST_BYTES;
use super::caller::Caller;
use super::changes::Done;
use super::error::{Kind, Problem, Problems};
use super::request::{self, fields};
use super::routes::Routes;
use crate::access::{Limits, Right};
use crate::store::{TenantRecord, may_be_tenant};

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Operator, routes!(list, create))
        .may(Right::Operator, routes!(change, delete))
        .bodies(REQUEST_BYTES)
}

/// The tenants of a server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TenantList {
    /// The one that owns the data directory first.
    items: Vec<TenantRecord>,
}

/// A new tenant.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantWanted)]
struct Wanted {
    /// Its name, which is also that of a folder.
    name: String,
    /// What it may use.
    #[serde(default)]
    limits: Limits,
}

/// List the tenants.
#[utoipa::path(
    get,
    operation_id = "list_tenants",
    path = "/v1/tenants",
    responses((status = 200, description = "The tenants.", body = TenantList), Problems)
)]
async fn list(caller: Caller) -> Result<Json<TenantList>, Problem> {
    caller.author(|caller| Ok(Json(TenantList { items: caller.server().gate().access().tenants()? }))).await
}

/// Make a tenant; a key with its name in `tenant` lets somebody in.
#[utoipa::path(
    post,
    operation_id = "create_tenant",
    path = "/v1/tenants",
    request_body = Wanted,
    responses((status = 201, description = "The tenant.", body = TenantRecord), Problems)
)]
async fn create(caller: Caller, request: Request) -> Result<Response, Problem> {
    let Wanted { name, limits } = fields(request::json(request, REQUEST_BYTES).await?)?;
    may_be_tenant(&name).map_err(|e| Problem::new(Kind::InvalidField, e.to_string()).of_field("name"))?;
    caller
        .author(move |caller| {
            let record = caller.server().gate().access().create_tenant(&name, &limits)?;
            let done = Done { object: format!("tenant {name}"), ..Done::default() };
            Ok(done.beside((StatusCode::CREATED, Json(record)).into_response()))
        })
        .await
}

/// Set what a tenant may use, all of it anew.
#[utoipa::path(
    put,
    operation_id = "limit_tenant",
    path = "/v1/tenants/{name}",
    params(("name" = String, Path, description = "The tenant.")),
    request_body = Limits,
    responses((status = 200, description = "What it may use from now on.", body = Limits), Problems)
)]
async fn change(caller: Caller, Path(name): Path<String>, request: Request) -> Result<Response, Problem> {
    let limits: Limits = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let access = caller.server().gate().access();
            let before = serde_json::to_string(&access.table().limits(&name)).ok();
            access.limit_tenant(&name, &limits)?;
            let after = serde_json::to_string(&limits).ok();
            let done = Done { object: format!("tenant {name}"), before, after };
            Ok(done.beside(Json(limits).into_response()))
        })
        .await
}

/// Whether a removal is meant.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Sure {
    /// It is meant: without this nothing is removed.
    #[serde(default)]
    yes: bool,
}

/// Remove a tenant with its keys and everything that it owns. Its name is not given again.
#[utoipa::path(
    delete,
    operation_id = "delete_tenant",
    path = "/v1/tenants/{name}",
    params(("name" = String, Path, description = "The tenant."), Sure),
    responses((status = 204, description = "It is gone."), Problems)
)]
async fn delete(
    caller: Caller,
    Path(name): Path<String>,
    Query(Sure { yes }): Query<Sure>,
) -> Result<Response, Problem> {
    if !yes {
        let detail = format!(
            "this removes tenant {name} with its knowledge bases, conversations and keys; send `yes=true` if that is meant"
        );
        return Err(Problem::new(Kind::NeedsConfirmation, detail).of_field("yes"));
    }
    caller
        .author(move |caller| {
            caller.server().gate().access().delete_tenant(&name)?;
            let done =
                Done { object: format!("tenant {name}"), after: Some("removed".into()), ..Done::default() };
            Ok(done.beside(StatusCode::NO_CONTENT.into_response()))
        })
        .await
}

//! How does a knowledge base serve: voice, hours, ticket form, handoff rules?
//!
//! One document in TOML, as `zhida rules` shows and sets it. Its `ETag` is the
//! revision that holds it; who replaces it names the one they saw. It counts
//! from the next release on, or at once with `live=true`.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::caller::Caller;
use super::entries::{Condition, etag, expected, needs_condition};
use super::error::{Kind, Problem, Problems};
use super::request;
use super::routes::Routes;
use crate::access::Right;
use crate::dialogue::patch::{self, Patch};
use crate::dialogue::service::{BYTES, SHIPPED};
use crate::dialogue::{Service, TestReport};
use crate::store::{Expected, ServiceEdit};

/// What the document is written in.
const TOML: &str = "application/toml";

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Author, routes!(service, replace, change))
        .may(Right::Author, routes!(told))
        .may(Right::Author, routes!(test))
        .bodies(BYTES)
}

/// Show the service document of the draft, with its `ETag`.
///
/// Without one of its own, the shipped one, which is also the manual; its
/// `ETag` is `"0"` if there has never been another.
#[utoipa::path(
    get,
    operation_id = "get_service",
    path = "/v1/kbs/{kb}/service",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses(
        (status = 200, description = "The document.", body = String, content_type = "application/toml"),
        Problems,
    )
)]
async fn service(caller: Caller, Path(kb): Path<String>) -> Result<Response, Problem> {
    caller
        .author(move |caller| {
            let found = caller.shelf(&kb)?.service()?;
            let text = if found.text.is_empty() { SHIPPED.to_owned() } else { found.text };
            let headers = [(header::CONTENT_TYPE, TOML.to_owned()), (header::ETAG, etag(found.revision))];
            Ok((headers, text).into_response())
        })
        .await
}

/// When a document counts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PutQuery {
    /// At once, on top of the release that is served; then its tests must pass.
    /// Without this, from the next release on.
    #[serde(default)]
    live: bool,
}

/// What a change of the service document did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ServiceChange {
    /// Whether it is another one than before.
    changed: bool,
    /// The revision that holds it.
    revision: i64,
    /// Whether customers get it without a publication.
    live: bool,
    /// What its rules' own tests say; publishing refuses those that fail.
    tests: TestReport,
}

/// Put a service document in the place of the one that `If-Match` names; a
/// blank one goes back to the shipped one.
#[utoipa::path(
    put,
    operation_id = "put_service",
    path = "/v1/kbs/{kb}/service",
    params(("kb" = String, Path, description = "The knowledge base."), PutQuery, Condition),
    request_body(content = String, content_type = "application/toml"),
    responses(
        (status = 200, description = "It is in its place; `ETag` names it.", body = ServiceChange),
        (status = 412, description = "Somebody else was faster; `current` is the `ETag` now.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It has a fault, or with `live` a test that fails; `problems` names all of them.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn replace(
    caller: Caller,
    Path(kb): Path<String>,
    Query(PutQuery { live }): Query<PutQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?;
    let text = text(request).await?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let Some(expected) = expected else { return Err(needs_condition(shelf.service()?.revision)) };
            let edit = shelf.put_service(&expected, &text, live)?;
            Ok(placed(caller, &kb, &edit, Service::read(&text)?.rules.report()))
        })
        .await
}

/// What the service document says, part by part.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ServiceValues {
    /// The texts.
    #[schema(value_type = Object)]
    voice: serde_json::Value,
    /// When people are there, as it is written.
    #[schema(value_type = Object)]
    hours: serde_json::Value,
    /// The form of a ticket.
    #[schema(value_type = Object)]
    ticket: serde_json::Value,
    /// The rules in their order, as they are written.
    #[schema(value_type = Vec<Object>)]
    rules: serde_json::Value,
}

/// Show what the service document of the draft says, with its `ETag`; what it
/// leaves out is as shipped.
#[utoipa::path(
    get,
    operation_id = "get_service_values",
    path = "/v1/kbs/{kb}/service/values",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses(
        (status = 200, description = "What it says.", body = ServiceValues),
        (status = 422, description = "The document has a fault, which only another version of zhida lets in.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn told(caller: Caller, Path(kb): Path<String>) -> Result<Response, Problem> {
    caller
        .author(move |caller| {
            let found = caller.shelf(&kb)?.service()?;
            let mut said = patch::values(&found.text)?;
            let values = ServiceValues {
                voice: said["voice"].take(),
                hours: said["hours"].take(),
                ticket: said["ticket"].take(),
                rules: said["rules"].take(),
            };
            Ok(([(header::ETAG, etag(found.revision))], Json(values)).into_response())
        })
        .await
}

/// How a part of a document is changed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PatchQuery {
    /// At once, on top of the release that is served; then its tests must pass.
    #[serde(default)]
    live: bool,
    /// Only say what the rules' tests would come to; nothing is kept.
    #[serde(default)]
    dry_run: bool,
}

/// Change parts of the service document that `If-Match` names; comments and all the
/// rest of it stay as they are written.
#[utoipa::path(
    patch,
    operation_id = "patch_service",
    path = "/v1/kbs/{kb}/service",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        PatchQuery,
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what you saw, as for `PUT`; must be sent unless with `dry_run`.", example = json!("\"12\"")),
    ),
    request_body(content = Patch, content_type = "application/merge-patch+json", example = json!({"voice": {"greeting": "您好！"}, "rules": {"angry": {"enabled": false}}})),
    responses(
        (status = 200, description = "It is changed, or would be; `ETag` names it.", body = ServiceChange),
        (status = 412, description = "Somebody else was faster; `current` is the `ETag` now.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It would have a fault, with `live` a test that fails, or is written in a way that cannot be changed part by part; `problems` names all of it.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing, and it is no dry run.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn change(
    caller: Caller,
    Path(kb): Path<String>,
    Query(PatchQuery { live, dry_run }): Query<PatchQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?;
    let patch: Patch = request::fields(request::json(request, BYTES).await?)?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let before = shelf.service()?;
            let text = patch::patched(&before.text, &patch)?;
            let tests = Service::read(&text)?.rules.report();
            if dry_run {
                let changed = text != before.text;
                let body = ServiceChange { changed, revision: before.revision, live: false, tests };
                return Ok(([(header::ETAG, etag(before.revision))], Json(body)).into_response());
            }
            let Some(expected) = expected else { return Err(needs_condition(before.revision)) };
            // It is the document that was just read that is changed, and no later one.
            let is_seen = expected.allows(Some(before.revision));
            let expected = if is_seen { Expected::Revisions(vec![before.revision]) } else { expected };
            let edit = shelf.put_service(&expected, &text, live)?;
            Ok(placed(caller, &kb, &edit, tests))
        })
        .await
}

/// What came of a document that is in its place.
fn placed(caller: &Caller, kb: &str, edit: &ServiceEdit, tests: TestReport) -> Response {
    if edit.live {
        // The next message meets it.
        caller.registry().catch_up(kb);
    }
    let body =
        ServiceChange { changed: edit.action.is_some(), revision: edit.revision, live: edit.live, tests };
    ([(header::ETAG, etag(edit.revision))], Json(body)).into_response()
}

/// Run the tests of the rules of a document, or without a body of the draft's.
#[utoipa::path(
    post,
    operation_id = "test_service",
    path = "/v1/kbs/{kb}/service/test",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = String, content_type = "application/toml", description = "A document that is tried and not kept."),
    responses(
        (status = 200, description = "What came of each test.", body = TestReport),
        (status = 422, description = "The document has a fault; `problems` names all of them.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn test(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Json<TestReport>, Problem> {
    let given = text(request).await?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let text = if given.trim().is_empty() { shelf.service()?.text } else { given };
            Ok(Json(Service::read(&text)?.rules.report()))
        })
        .await
}

/// The body as a text.
async fn text(request: Request) -> Result<String, Problem> {
    let bytes = request::bytes(request, BYTES).await?;
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Problem::new(Kind::InvalidEntry, "the document is not UTF-8; send it as UTF-8"))
}

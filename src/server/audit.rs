//! How is the record of changes read over HTTP?

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Query, span_of};
use super::caller::Caller;
use super::error::{Problem, Problems};
use super::keys::whole;
use super::routes::Routes;
use crate::access::Right;
use crate::access::chain::{Link, Told};
use crate::store::{Verdict, WantedAudit};

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Admin, routes!(show)).may(Right::Admin, routes!(verify))
}

/// Which records are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only records before this number: the last one of the page before.
    before: Option<i64>,
    /// Only from this moment on: RFC 3339, or a day (+08:00).
    from: Option<String>,
    /// Only before this moment, which is after `from`.
    to: Option<String>,
    /// Only this action, such as `publish_kb`.
    action: Option<String>,
    /// Only what this key's id or this name did.
    who: Option<String>,
    /// Only what was done to something whose name holds this.
    object: Option<String>,
    /// Only with this in the object, the name, what was before or after, or the reason.
    q: Option<String>,
    /// At most this many, 1 to 1000; without it 100.
    limit: Option<i64>,
}

/// Records of changes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditRecords)]
struct Records {
    /// Newest first.
    items: Vec<Told>,
}

/// Show who changed what, newest first; of the tenant only.
#[utoipa::path(
    get,
    operation_id = "show_audit",
    path = "/v1/audit",
    params(Asked),
    responses((status = 200, description = "A page of the audit.", body = Records), Problems)
)]
async fn show(caller: Caller, Query(asked): Query<Asked>) -> Result<Json<Records>, Problem> {
    let tenant = whole(&caller)?;
    let (from, to) = span_of(asked.from.as_deref(), asked.to.as_deref())?;
    let wanted = WantedAudit {
        before: asked.before,
        from,
        to,
        action: asked.action,
        who: asked.who,
        object: asked.object,
        text: asked.q.filter(|text| !text.is_empty()),
        limit: asked.limit.unwrap_or(100).clamp(1, 1_000),
    };
    caller
        .author(move |caller| {
            let links = caller.server().gate().access().audit(&tenant, &wanted)?;
            Ok(Json(Records { items: links.into_iter().map(Link::told).collect() }))
        })
        .await
}

/// Say whether the audit is whole: nothing altered, removed or reordered.
#[utoipa::path(
    get,
    operation_id = "verify_audit",
    path = "/v1/audit/verify",
    responses((status = 200, description = "Whether it is whole, and its head.", body = Verdict), Problems)
)]
async fn verify(caller: Caller) -> Result<Json<Verdict>, Problem> {
    let tenant = whole(&caller)?;
    caller.author(move |caller| Ok(Json(caller.server().gate().access().verify(&tenant, None)?))).await
}

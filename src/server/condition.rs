//! How is a tenant's service doing, for whoever is responsible for it?
//!
//! What [`super::readiness`] tells anybody only in a word stands here in full.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa_axum::routes;

use super::caller::Caller;
use super::error::{Problem, Problems};
use super::readiness::{self, Warning};
use super::routes::Routes;
use crate::access::{DEFAULT_TENANT, Right, Scope};
use crate::dialogue::told::moment;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Admin, routes!(health))
}

/// How a tenant's service is doing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TenantHealth)]
struct Health {
    /// The version of the server.
    version: &'static str,
    /// Whether nothing can be changed here.
    read_only: bool,
    /// What should be looked at, in full.
    warnings: Vec<Warning>,
    /// The release of every knowledge base that answers.
    releases: BTreeMap<String, String>,
    /// What waits.
    waiting: Waiting,
    /// How many conversations are kept.
    conversations: i64,
    /// Bytes of the tenant's data, measured within the last minutes.
    storage: u64,
    /// The most that they may be.
    storage_limit: Option<u64>,
    /// Bytes that can still be written where the data lie; told to whoever owns the
    /// data directory.
    free: Option<u64>,
}

/// What waits for people and receivers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = HealthWaiting)]
struct Waiting {
    /// Handoffs that nobody has taken.
    handoffs: i64,
    /// Since when the first of them waits, RFC 3339.
    handoffs_since: Option<String>,
    /// Handoffs that somebody has.
    taken: i64,
    /// Webhooks and messages to platforms that are still to be delivered.
    due: i64,
    /// When the oldest of them was written, RFC 3339.
    due_since: Option<String>,
    /// Those that nobody tries any more.
    dead: i64,
}

/// Show how the tenant's service is doing.
#[utoipa::path(
    get,
    operation_id = "show_health",
    path = "/v1/health",
    responses((status = 200, description = "What is served, what waits, and what should be looked at.", body = Health), Problems)
)]
async fn health(caller: Caller) -> Result<Json<Health>, Problem> {
    caller
        .at_desk(|caller| {
            let (server, tenant, registry) = (caller.server(), caller.tenant(), caller.registry());
            let is_whole = caller.identity().scope == Scope::All;
            let warnings = readiness::warnings(server, tenant);
            let view = registry.view();
            let backlog = caller.desk().talk().backlog()?;
            let limits = server.gate().access().table().limits(tenant.name());
            Ok(Json(Health {
                version: env!("CARGO_PKG_VERSION"),
                read_only: registry.is_read_only(),
                warnings: warnings.into_iter().filter(|one| is_whole || caller.knows(one.kb())).collect(),
                releases: view
                    .engines()
                    .filter(|(name, _)| caller.knows(name))
                    .map(|(name, engine)| (name.to_owned(), engine.release().label()))
                    .collect(),
                waiting: Waiting {
                    handoffs: backlog.waiting,
                    handoffs_since: backlog.waiting_since.map(moment),
                    taken: backlog.taken,
                    due: backlog.due,
                    due_since: backlog.due_since.map(moment),
                    dead: backlog.dead,
                },
                conversations: caller.desk().talk().count()?,
                storage: tenant.weigh(),
                storage_limit: limits.storage,
                free: registry.room().filter(|_| tenant.name() == DEFAULT_TENANT),
            }))
        })
        .await
}

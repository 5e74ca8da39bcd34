//! May questions be sent, and what must an operator look at?
//!
//! Every trouble has a reason, which is stable, and words. Whoever asks needs no
//! key: on a server with keys the reasons are told, and nothing else.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa_axum::routes;

use super::Server;
use super::routes::Routes;
use super::soundness::LAG;
use super::tenants::Tenant;
use crate::access::moment::told;
use crate::access::{DEFAULT_TENANT, Right};
use crate::candidates::Candidates;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Public, routes!(readyz))
}

/// Whether questions may be sent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Readiness {
    /// Whether any knowledge base answers.
    ready: bool,
    /// Whether all of them answer as they should.
    status: Status,
    /// Whether nothing can be changed here.
    read_only: bool,
    /// The release of every knowledge base that answers; empty on a server with keys.
    kbs: BTreeMap<String, String>,
    /// What an operator should look at.
    warnings: Vec<Warning>,
}

/// How well questions are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReadinessStatus)]
pub(super) enum Status {
    /// Releases are still being opened.
    Starting,
    /// Every published knowledge base answers with the release that it should.
    Ready,
    /// Some do not, or with an older release, or what happens is not kept: `warnings` says which.
    Degraded,
    /// None answers.
    Unavailable,
    /// Running requests may finish; new ones should go elsewhere.
    Stopping,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Drafts and releases cannot be looked up: the database is gone or damaged.
    DatabaseUnreadable,
    /// The server that holds the records does not answer.
    DatabaseUnreachable,
    /// Conversations cannot be read.
    ConversationsUnreadable,
    /// A release that should be served cannot be opened.
    ReleaseDamaged,
    /// A service document has a fault.
    ServiceFaulty,
    /// The data directory was not looked at for a while: what is served may be old.
    Lagging,
    /// Next to nothing can be written any more.
    DiskFull,
    /// Events are not stored.
    EventsLost,
    /// A power loss may take events.
    EventsUnsynced,
    /// The record of changes is not whole.
    AuditBroken,
    /// The files of the TLS certificate have changed and cannot be used: the one from before
    /// goes on until it has expired.
    CertificateRefused,
    /// The engine that candidates come from is lost: large knowledge bases are answered by
    /// words alone.
    CandidatesLost,
    /// That engine does not take the candidates of a release, which is searched itself.
    CandidatesRefused,
}

/// Something that an operator should look at.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Warning {
    /// The knowledge base; empty when the whole data directory is meant.
    kb: String,
    /// What it is.
    reason: Trouble,
    /// What is wrong.
    message: String,
}

impl Warning {
    /// The knowledge base; empty when the whole data directory is meant.
    pub(super) fn kb(&self) -> &str {
        &self.kb
    }
}

/// Say whether questions may be sent.
///
/// 503 until every published knowledge base was tried, and while none answers.
/// A release that cannot be opened degrades the server and does not stop it: the
/// one before is served in its place, and the other knowledge bases answer.
#[utoipa::path(
    get,
    operation_id = "readiness",
    path = "/readyz",
    responses(
        (status = 200, description = "Questions may be sent.", body = Readiness),
        (status = 503, description = "Questions may not be sent.", body = Readiness),
    )
)]
async fn readyz(State(server): State<Server>) -> Response {
    let view = server.registry().view();
    let ready = server.registry().is_ready() && !server.is_stopping();
    let mut warnings: Vec<Warning> = view
        .warnings()
        .into_iter()
        .map(|(kb, reason, message)| Warning { kb: kb.to_owned(), reason, message })
        .collect();
    warnings.extend(cut_off(&server));
    warnings.extend(lagging(&server));
    warnings.extend(without_candidates(&server));
    let besides = beside(&server);
    let is_losing = besides.iter().any(|warning| {
        matches!(
            warning.reason,
            Trouble::DiskFull | Trouble::EventsLost | Trouble::AuditBroken | Trouble::CertificateRefused
        )
    });
    let status = if server.is_stopping() {
        Status::Stopping
    } else if !server.registry().has_looked() {
        Status::Starting
    } else if !ready {
        Status::Unavailable
    } else if warnings.is_empty() && !is_losing {
        Status::Ready
    } else {
        Status::Degraded
    };
    warnings.extend(besides);
    let mut body = Readiness {
        ready,
        status,
        read_only: server.registry().is_read_only(),
        kbs: view.engines().map(|(name, engine)| (name.to_owned(), engine.release().label())).collect(),
        warnings,
    };
    if !server.gate().access().table().is_open() {
        body.kbs.clear();
        body.warnings = told_to_anybody(&body.warnings);
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// The same before the server of the records is there.
pub(super) async fn waiting() -> Response {
    let message = "the database server does not answer; it is asked again and again".to_owned();
    let body = Readiness {
        ready: false,
        status: Status::Starting,
        read_only: false,
        kbs: BTreeMap::new(),
        warnings: vec![whole(Trouble::DatabaseUnreachable, message)],
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// What whoever is responsible for a tenant should look at, in full: of the tenant
/// that owns the data directory also what belongs to no single one.
pub(super) fn warnings(server: &Server, tenant: &Tenant) -> Vec<Warning> {
    let view = tenant.registry().view();
    let mut warnings: Vec<Warning> = view
        .warnings()
        .into_iter()
        .map(|(kb, reason, message)| Warning { kb: kb.to_owned(), reason, message })
        .collect();
    if tenant.name() == DEFAULT_TENANT {
        warnings.extend(cut_off(server));
        warnings.extend(lagging(server));
        warnings.extend(without_candidates(server));
        warnings.extend(whole_house(server));
    }
    warnings.extend(records(server, tenant.name()));
    warnings
}

/// The reasons alone, each once: what is served where keys are asked for, and what
/// exactly is wrong with it, the log and the metrics tell the operator.
fn told_to_anybody(warnings: &[Warning]) -> Vec<Warning> {
    let mut reasons: Vec<Trouble> = warnings.iter().map(|warning| warning.reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let message = "something needs the operator; the server's log says what";
    reasons
        .into_iter()
        .map(|reason| Warning { kb: String::new(), reason, message: message.to_owned() })
        .collect()
}

fn whole(reason: Trouble, message: String) -> Warning {
    Warning { kb: String::new(), reason, message }
}

fn cut_off(server: &Server) -> Option<Warning> {
    let message = "the database server does not answer; questions are answered from what was read before";
    let is_reachable = server.registry().store().is_reachable();
    (!is_reachable).then(|| whole(Trouble::DatabaseUnreachable, message.to_owned()))
}

fn lagging(server: &Server) -> Option<Warning> {
    let ago = server.soundness().looked().filter(|ago| *ago >= LAG)?;
    let message = format!(
        "the data directory was looked at last {} s ago; what was published or edited since is not served",
        ago.as_secs()
    );
    Some(whole(Trouble::Lagging, message))
}

/// What is wrong with the engine that candidates come from. Which knowledge bases it
/// should have is told with their tenants, so to whoever runs the server alone.
fn without_candidates(server: &Server) -> Vec<Warning> {
    let Some(report) = server.registry().candidates().map(Candidates::report) else { return Vec::new() };
    let lost = report.lost.map(|why| {
        let message = format!(
            "the engine for candidates: {why}; large knowledge bases are answered by words alone until it answers"
        );
        whole(Trouble::CandidatesLost, message)
    });
    let refused = report.refused.into_iter().map(|(base, why)| {
        let message = format!(
            "the engine for candidates does not have {base}: {why}; the release itself is searched, and it is tried again every half minute"
        );
        whole(Trouble::CandidatesRefused, message)
    });
    lost.into_iter().chain(refused).collect()
}

/// What is wrong and keeps no answer from being right.
fn beside(server: &Server) -> Vec<Warning> {
    let mut warnings = whole_house(server);
    warnings.extend(records(server, DEFAULT_TENANT));
    warnings
}

/// What of that is nobody's own.
fn whole_house(server: &Server) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let events = server.tenants().health();
    if let Some(message) = events.trouble() {
        let reason = if events.failing.is_some() { Trouble::EventsLost } else { Trouble::EventsUnsynced };
        warnings.push(whole(reason, message));
    }
    if let Some(free) = server.registry().room().filter(|free| *free < LEAST_ROOM) {
        let message = format!(
            "only {} MiB can be written where the data lie; make room, or changes and events will be lost",
            free >> 20
        );
        warnings.push(whole(Trouble::DiskFull, message));
    }
    if let Some(certificate) = server.certificate().filter(|certificate| certificate.is_refused()) {
        let until = certificate.expires().map(|seconds| told(seconds.saturating_mul(1000)));
        let until = until.map(|until| format!(", which is valid until {until}")).unwrap_or_default();
        let message = format!(
            "the files of the TLS certificate have changed and cannot be used; the one from before goes on{until}; the server's log says what is wrong with them"
        );
        warnings.push(whole(Trouble::CertificateRefused, message));
    }
    warnings
}

/// What is wrong with what is kept of a tenant.
fn records(server: &Server, tenant: &str) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let soundness = server.soundness();
    if soundness.is_mute(tenant) {
        let message = "conversations cannot be read; the server's log says why";
        warnings.push(whole(Trouble::ConversationsUnreadable, message.to_owned()));
    }
    if soundness.audit(tenant) == Some(false) {
        let message = "the record of changes is not whole; `zhida audit verify` says where";
        warnings.push(whole(Trouble::AuditBroken, message.to_owned()));
    }
    warnings
}

/// With less room than this the next import or backup may fail, in bytes.
const LEAST_ROOM: u64 = 64 << 20;

//! What is published at some time without anybody there?
//!
//! [`tend`] is called again and again with the time. What is due is checked again
//! and published, or not, in the name of whoever set it.

use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use utoipa_axum::routes;

use super::address::Path;
use super::authoring::{REQUEST_BYTES, refusal};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::request::{self, fields};
use super::routes::Routes;
use super::tenants::Tenant;
use crate::access::Right;
use crate::access::chain::Deed;
use crate::error::failed;
use crate::publish::{self, Outcome, Report};
use crate::store::{Access, PlanState, Planned, Scheduled, Shelf, Signature};

/// How far ahead a time may be.
const FAR: Duration = Duration::days(400);
/// A time that has just passed is now.
const JUST: Duration = Duration::minutes(5);
/// What is done so much after its time is said to be late.
const LATE: Duration = Duration::minutes(1);
/// Those that are told.
const TOLD: i64 = 20;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Author, routes!(list, set))
        .may(Right::Author, routes!(cancel))
        .bodies(REQUEST_BYTES)
}

/// What may be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ScheduleAction)]
enum ActionName {
    /// The draft of that time is checked and published.
    Publish,
    /// A release is served again.
    Rollback,
}

/// What is to be done, and when.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleWanted {
    /// What is done.
    action: ActionName,
    /// The release that is rolled back to.
    release: Option<u32>,
    /// When, RFC 3339 with its offset, such as `2026-12-01T09:00:00+08:00`.
    at: String,
}

/// Something that was scheduled.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Schedule {
    /// Its number.
    number: i64,
    /// What is done.
    action: ActionName,
    /// The release that is rolled back to.
    release: Option<u32>,
    /// When, RFC 3339 in the offset that it was said in.
    due: String,
    /// Who set it.
    author: String,
    /// Why.
    reason: Option<String>,
    /// When they set it, RFC 3339 in UTC.
    at: String,
    /// How it stands.
    state: PlanState,
    /// What came of it.
    outcome: Option<String>,
    /// When it ended, RFC 3339 in UTC.
    ended: Option<String>,
}

/// What was scheduled.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Schedules {
    /// Newest first; at most one of them waits.
    items: Vec<Schedule>,
}

impl From<Scheduled> for Schedule {
    fn from(one: Scheduled) -> Self {
        let (action, release) = match one.what {
            Planned::Publish => (ActionName::Publish, None),
            Planned::Rollback(release) => (ActionName::Rollback, Some(release)),
        };
        Self {
            number: one.number,
            action,
            release,
            due: one.due.format(&Rfc3339).unwrap_or_default(),
            author: one.author,
            reason: one.reason,
            at: one.at,
            state: one.state,
            outcome: one.outcome,
            ended: one.ended,
        }
    }
}

/// List what was scheduled, and what came of it.
#[utoipa::path(
    get,
    operation_id = "list_schedules",
    path = "/v1/kbs/{kb}/schedule",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses((status = 200, description = "The last twenty.", body = Schedules), Problems)
)]
async fn list(caller: Caller, Path(kb): Path<String>) -> Result<Json<Schedules>, Problem> {
    caller
        .author(move |caller| {
            let items = caller.shelf(&kb)?.schedules(TOLD)?.into_iter().map(Schedule::from).collect();
            Ok(Json(Schedules { items }))
        })
        .await
}

/// Have the draft published, or a release served again, at some time.
///
/// The server does it then, also after a restart; what is late is done at once. A
/// draft is checked again at that time and not published with errors. One thing at
/// a time waits for a knowledge base.
#[utoipa::path(
    post,
    operation_id = "schedule_kb",
    path = "/v1/kbs/{kb}/schedule",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = ScheduleWanted, example = json!({"action": "publish", "at": "2026-12-01T09:00:00+08:00"})),
    responses(
        (status = 201, description = "It is set; `Location` names it.", body = Schedule),
        (status = 404, description = "There is no such release; `known` lists those that are.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Something waits already.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn set(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Response, Problem> {
    let wanted: ScheduleWanted = fields(request::json(request, REQUEST_BYTES).await?)?;
    let invalid =
        |field: &'static str, detail: String| Problem::new(Kind::InvalidField, detail).of_field(field);
    let due = OffsetDateTime::parse(&wanted.at, &Rfc3339).map_err(|_| {
        let detail =
            format!("`at` is a time with its offset, such as 2026-12-01T09:00:00+08:00, got {:?}", wanted.at);
        invalid("at", detail)
    })?;
    let now = OffsetDateTime::now_utc();
    if due < now - JUST || due > now + FAR {
        let detail = format!("`at` is {}: it must be in the future, within 400 days", wanted.at);
        return Err(invalid("at", detail));
    }
    let what = match (wanted.action, wanted.release) {
        (ActionName::Publish, None) => Planned::Publish,
        (ActionName::Rollback, Some(release)) => Planned::Rollback(release),
        (ActionName::Publish, Some(_)) => {
            return Err(invalid("release", "the draft is published; `release` is for `rollback`".to_owned()));
        }
        (ActionName::Rollback, None) => {
            return Err(invalid("release", "`rollback` needs the `release` to serve again".to_owned()));
        }
    };
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            if let Planned::Rollback(release) = what {
                let known = shelf.versions()?;
                if !known.contains(&release) {
                    let known = known.iter().map(u32::to_string).collect();
                    let detail = format!("there is no release {release}");
                    return Err(Problem {
                        known,
                        ..Problem::new(Kind::UnknownRelease, detail).of_field("release")
                    });
                }
            }
            let set = shelf.schedule(what, due, caller.identity().id.as_deref())?;
            let place = format!("/v1/kbs/{}/schedule/{}", super::entries::encoded(&kb), set.number);
            Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(Schedule::from(set))).into_response())
        })
        .await
}

/// Call something off whose time has not come.
#[utoipa::path(
    delete,
    operation_id = "cancel_schedule",
    path = "/v1/kbs/{kb}/schedule/{number}",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("number" = i64, Path, description = "What is called off."),
    ),
    responses(
        (status = 204, description = "It will not be done."),
        (status = 409, description = "It is being done, or has ended.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn cancel(caller: Caller, Path((kb, number)): Path<(String, i64)>) -> Result<StatusCode, Problem> {
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            if shelf.cancel_schedule(number)? {
                return Ok(StatusCode::NO_CONTENT);
            }
            let is_there = shelf.schedules(i64::MAX)?.iter().any(|one| one.number == number);
            Err(if is_there {
                Problem::new(Kind::NotNow, format!("schedule {number} is being done or has ended"))
            } else {
                Problem::new(Kind::NotHere, format!("there is no schedule {number}"))
            })
        })
        .await
}

/// Does what is due at a moment.
pub(super) fn tend(access: &Access, tenant: &Arc<Tenant>, now: OffsetDateTime) {
    if tenant.registry().is_read_only() {
        return;
    }
    let store = tenant.registry().store();
    let noted = store.noted();
    if noted.is_some() && tenant.unplanned() == noted {
        return;
    }
    let due = match store.take_up_schedules(now) {
        Ok(due) => due,
        Err(error) => return failed!(error, "cannot tell what is scheduled"),
    };
    if noted.is_some() && due.is_empty() && matches!(store.has_schedules(), Ok(false)) {
        tenant.plan_nothing(noted);
    }
    for (kb, one) in due {
        begin(access, tenant, &kb, one, now);
    }
}

/// Begins one thing as a job; it is put back while another job works on its knowledge
/// base.
fn begin(access: &Access, tenant: &Arc<Tenant>, kb: &str, one: Scheduled, now: OffsetDateTime) {
    let Ok(shelf) = tenant.registry().store().shelf(kb) else { return };
    // Somebody publishes on another node or on the command line: it is due as before at the
    // next look.
    if !shelf.is_busy().is_ok_and(|is_busy| !is_busy) {
        let _ = shelf.put_back_schedule(one.number);
        return;
    }
    let due = one.due.format(&Rfc3339).unwrap_or_default();
    let is_late = now - one.due > LATE;
    let told = if is_late {
        format!("定于 {due}，晚了 {} 分钟", (now - one.due).whole_minutes())
    } else {
        format!("定于 {due}")
    };
    let why = one.reason.as_ref().map_or_else(|| told.clone(), |reason| format!("{reason}（{told}）"));
    let shelf = shelf.signed(Signature { author: one.author.clone(), reason: Some(why.clone()) });
    let action = match one.what {
        Planned::Publish => "publish_kb",
        Planned::Rollback(_) => "rollback_kb",
    };
    let deed = Deed {
        who: one.who.clone(),
        name: one.author.clone(),
        from: "schedule".to_owned(),
        action: action.to_owned(),
        object: format!("/v1/kbs/{kb}/schedule/{}", one.number),
        reason: Some(why),
        ..Deed::default()
    };
    let (recording, name) = (access.clone(), tenant.name().to_owned());
    let (ending, number) = (shelf.clone(), one.number);
    let tell = move |outcome: String| {
        // Somebody has cancelled the job, or it ended with a defect.
        let state = if outcome.ends_with("cancelled") { PlanState::Cancelled } else { PlanState::Failed };
        let _ = ending.end_schedule(number, state, &outcome);
        if let Err(error) = recording.record(&name, Deed { after: Some(outcome), ..deed }) {
            tracing::error!(%error, "what was done at its time could not be recorded in the audit");
        }
    };
    let besides = if is_late { format!("（{told}）") } else { String::new() };
    let (working, doing) = (Arc::clone(tenant), shelf.clone().for_schedule(number, besides.clone()));
    let kind = if action == "publish_kb" { "publish" } else { "rollback" };
    let started = tenant.jobs().start(kind, kb, tell, move |progress| {
        let spoken = std::sync::Mutex::new(std::time::Instant::now());
        let speaking = |stage, done, total| {
            progress(stage, done, total);
            let mut spoken = spoken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if spoken.elapsed().as_secs() >= 30 {
                *spoken = std::time::Instant::now();
                let _ = doing.speak_for_schedule(number, OffsetDateTime::now_utc());
            }
        };
        let outcome = work(&working, &doing, one.what, &speaking);
        let (state, text) = match &outcome {
            Ok(value) if value["published"] == json!(false) => (PlanState::Refused, refused(value)),
            Ok(value) => (PlanState::Done, format!("版本 {}", value["release"])),
            Err(problem) => (PlanState::Failed, problem.detail.clone()),
        };
        // One that is served is recorded already.
        doing.end_schedule(number, state, &format!("{text}{besides}"))?;
        tracing::info!(
            kb = doing.name(),
            schedule = number,
            state = state.name(),
            "a scheduled publication was tended"
        );
        outcome
    });
    if started.is_err() {
        // Another job works on it; it is due as before at the next look.
        let _ = shelf.put_back_schedule(number);
    }
}

/// Publishes or rolls back; the value is that of such a job.
fn work(
    tenant: &Tenant,
    shelf: &Shelf,
    what: Planned,
    progress: crate::release::Progress<'_>,
) -> Result<Value, Problem> {
    let registry = tenant.registry();
    let value = match what {
        Planned::Rollback(release) => {
            registry.models().encoder_of(shelf, release).map_err(refusal)?;
            shelf.rollback(release).map_err(refusal)?;
            json!({"release": release})
        }
        Planned::Publish => {
            let request = publish::Request {
                release: None,
                models: registry.models(),
                encoder: registry.models().for_building()?,
                default_goal: registry.default_goal(),
                forced: false,
                progress,
            };
            match publish::publish(shelf, request).map_err(refusal)? {
                Outcome::Published(published, report) => {
                    json!({"published": true, "release": published.number, "report": report})
                }
                Outcome::Refused(report) => {
                    json!({"published": false, "report": report, "told": in_words(&report)})
                }
            }
        }
    };
    registry.refresh();
    Ok(value)
}

/// Why a draft was not published.
fn in_words(report: &Report) -> String {
    let first = report.errors.first().map(|finding| finding.message.as_str()).unwrap_or_default();
    let is_worse = report.comparison.as_ref().is_some_and(|comparison| comparison.regressed);
    match (report.errors.len(), is_worse) {
        (0, _) => "标注问题的结果明显变差".to_owned(),
        (count, false) => format!("{count} 个必须先改的问题：{first}"),
        (count, true) => format!("{count} 个必须先改的问题：{first}；标注问题的结果明显变差"),
    }
}

fn refused(value: &Value) -> String {
    format!("没有发布：{}", value["told"].as_str().unwrap_or_default())
}

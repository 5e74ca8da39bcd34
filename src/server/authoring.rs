//! How is a knowledge base as a whole worked on over HTTP?
//!
//! What `zhida kb` does, imports apart: export, check, publish, compare, history,
//! collection of old releases, labelled questions. Single entries are in
//! `entries`, what takes something back is in `undo`.

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa_axum::routes;

use super::address::{Path, Query, page_size};
use super::caller::Caller;
use super::entries::encoded;
use super::error::{Kind, Problem, Problems};
use super::request::{self, File, fields, format_named};
use super::routes::Routes;
use crate::access::Right;
use crate::error::Error;
use crate::eval::dataset;
use crate::kb::EntryId;
use crate::kb::check::EXPIRY_NOTICE;
use crate::kb::formats::{self, Format, Headings};
use crate::publish::{self, Difference, Outcome, Side};
use crate::store::{Collected, Record, Revision, Served};

/// The largest file to import, in bytes.
pub(super) const IMPORT_BYTES: usize = 64 << 20;
/// The largest of the other bodies, in bytes.
pub(super) const REQUEST_BYTES: usize = 64 << 10;

pub(super) fn routes() -> Routes {
    let files = Routes::new().may(Right::Author, routes!(queries, attach, detach)).bodies(IMPORT_BYTES);
    Routes::new()
        .may(Right::Author, routes!(export))
        .may(Right::Author, routes!(check))
        .may(Right::Author, routes!(releases, publish_draft))
        .may(Right::Author, routes!(diff))
        .may(Right::Author, routes!(history))
        .may(Right::Author, routes!(goal, set_goal))
        .may(Right::Author, routes!(collect))
        .bodies(REQUEST_BYTES)
        .merge(files)
}

/// In which format the draft or a release is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// `jsonl`, `csv` or `xlsx`.
    format: String,
    /// What this release holds instead of the draft.
    release: Option<u32>,
    /// The headings of the columns of `csv` and `xlsx`: `en` (the default) or `zh`.
    #[serde(default)]
    #[param(inline)]
    headings: Headings,
}

/// Export the draft, or what a release holds, as a file.
#[utoipa::path(
    get,
    operation_id = "export_kb",
    path = "/v1/kbs/{kb}/export",
    params(("kb" = String, Path, description = "The knowledge base."), ExportQuery),
    responses(
        (status = 200, description = "The file; its content type says what it is.", content(
            (inline(File) = "application/octet-stream"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        )),
        Problems,
    )
)]
async fn export(
    caller: Caller,
    Path(kb): Path<String>,
    Query(ExportQuery { format, release, headings }): Query<ExportQuery>,
) -> Result<Response, Problem> {
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let base = match release {
                None => shelf.draft()?,
                Some(number) => shelf.authored(number).map_err(refusal)?,
            };
            let format = format_named(&format)?;
            let bytes = formats::written_with(&base, format, headings).map_err(|e| match e {
                Error::Refused(text) => Problem::new(Kind::InvalidEntry, text),
                other => other.into(),
            })?;
            let name = format!("attachment; filename*=UTF-8''{}.{}", encoded(&kb), format.name());
            let headers =
                [(header::CONTENT_TYPE, format.media_type()), (header::CONTENT_DISPOSITION, name.as_str())];
            Ok((headers, bytes).into_response())
        })
        .await
}

/// What a check looks for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckRequest {
    /// Answers that expire within so many days are told; without it 30.
    #[serde(default = "notice")]
    expiry_days: u16,
}

fn notice() -> u16 {
    EXPIRY_NOTICE
}

/// Check the draft (知识体检) as a job; its result holds the findings.
#[utoipa::path(
    post,
    operation_id = "check_kb",
    path = "/v1/kbs/{kb}/check",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = CheckRequest, example = json!({"expiry_days": 30})),
    responses(
        (status = 202, description = "`Location` is the job's address.", body = super::jobs::Job),
        Problems,
    )
)]
async fn check(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Response, Problem> {
    let CheckRequest { expiry_days } = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let registry = std::sync::Arc::clone(caller.registry());
            caller.jobs().start(
                "check",
                &kb,
                |_| (),
                move |progress| {
                    let encoder = registry.models().for_building()?;
                    let findings =
                        publish::examine(&shelf, encoder, registry.default_goal(), expiry_days, progress)?;
                    let findings = crate::kb::check::told(&findings, &shelf.draft()?);
                    Ok(json!({"findings": findings}))
                },
            )
        })
        .await
}

/// The releases of a knowledge base.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Releases {
    /// The one that is served.
    current: Option<u32>,
    /// Oldest first.
    items: Vec<Record>,
}

/// List the releases.
#[utoipa::path(
    get,
    operation_id = "list_releases",
    path = "/v1/kbs/{kb}/releases",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses(
        (status = 200, description = "The releases that are kept.", body = Releases),
        Problems,
    )
)]
async fn releases(caller: Caller, Path(kb): Path<String>) -> Result<Json<Releases>, Problem> {
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            Ok(Json(Releases { current: shelf.current()?, items: shelf.records()? }))
        })
        .await
}

/// What is published, and how.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PublishRequest {
    /// In spite of errors and regressions; then `Zhida-Reason` says why.
    #[serde(default)]
    force: bool,
    /// What this release holds, once more, instead of the draft.
    release: Option<u32>,
}

/// Publish the draft as a job; its result holds the number, or why it was refused.
///
/// `{"force": true}` publishes in spite of errors and regressions, with the
/// reason in `Zhida-Reason`; `{"release": 3}` publishes what release 3 holds
/// once more instead of the draft.
#[utoipa::path(
    post,
    operation_id = "publish_kb",
    path = "/v1/kbs/{kb}/releases",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = PublishRequest, example = json!({"force": false})),
    responses(
        (status = 202, description = "`Location` is the job's address.", body = super::jobs::Job),
        (status = 409, description = "Another job works on the knowledge base.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn publish_draft(
    caller: Caller,
    Path(kb): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let PublishRequest { force, release } = fields(request::json(request, REQUEST_BYTES).await?)?;
    if force && caller.signature().reason.is_none() {
        let detail = "who forces a publication says why: send `Zhida-Reason`";
        return Err(Problem::new(Kind::MissingField, detail).of_field("zhida-reason"));
    }
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let registry = std::sync::Arc::clone(caller.registry());
            registry.store().writable()?;
            let tell = caller.tells("publish_kb", format!("/v1/kbs/{kb}"));
            caller.jobs().start("publish", &kb, tell, move |progress| {
                let request = publish::Request {
                    release,
                    models: registry.models(),
                    encoder: registry.models().for_building()?,
                    default_goal: registry.default_goal(),
                    forced: force,
                    progress,
                };
                let value = match publish::publish(&shelf, request).map_err(refusal)? {
                    Outcome::Published(published, report) => {
                        registry.refresh();
                        json!({
                            "published": true, "release": published.number,
                            "reused": published.built.reused, "embedded": published.built.embedded,
                            "report": report,
                        })
                    }
                    Outcome::Refused(report) => json!({"published": false, "report": report}),
                };
                Ok(value)
            })
        })
        .await
}

/// Two states to compare.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DiffQuery {
    /// The earlier release, `served` (what customers get now, live edits included) or `draft`.
    from: String,
    /// The later release, `served` or `draft`.
    to: String,
}

/// Compare two releases, or one with the draft or with what is served: entries, lexicon, and the
/// labelled questions whose outcome is another one.
#[utoipa::path(
    get,
    operation_id = "diff_kb",
    path = "/v1/kbs/{kb}/diff",
    params(("kb" = String, Path, description = "The knowledge base."), DiffQuery),
    responses(
        (status = 200, description = "As `zhida kb diff --json`; `lexicon` holds the lines that differ.", body = Object),
        Problems,
    )
)]
async fn diff(
    caller: Caller,
    Path(kb): Path<String>,
    Query(DiffQuery { from, to }): Query<DiffQuery>,
) -> Result<Json<Difference>, Problem> {
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let known = shelf.versions()?;
            let side = |name: &str, text: &str| match text.parse::<Side>() {
                Ok(side @ (Side::Draft | Side::Served)) => Ok(side),
                Ok(Side::Release(number)) if known.contains(&number) => Ok(Side::Release(number)),
                _ => {
                    let detail = format!("`{name}` is a release, `served` or `draft`, got {text:?}");
                    let known = known.iter().map(u32::to_string).collect();
                    Err(Problem { known, ..Problem::new(Kind::UnknownRelease, detail).of_field(name) })
                }
            };
            let sides = (side("from", &from)?, side("to", &to)?);
            let registry = caller.registry();
            Ok(Json(publish::difference(&shelf, registry.models(), sides, registry.default_goal())?))
        })
        .await
}

/// Which part of the history is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// Only the history of this entry; not together with `of`.
    entry: Option<String>,
    /// Only the history of the words, or of the service document.
    #[param(inline)]
    of: Option<HistoryOf>,
    /// Only revisions with a lower number: the last one of the page before.
    before: Option<i64>,
    /// At most this many, 1 to 1000; without it 100.
    limit: Option<usize>,
}

/// What a history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum HistoryOf {
    /// The lines of the lexicon.
    Words,
    /// The service document.
    Service,
}

/// Who changed what, when and why.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct History {
    /// Newest first.
    revisions: Vec<Revision>,
    /// What was served from when on, newest first.
    releases: Vec<Served>,
}

/// Show the history, newest first.
#[utoipa::path(
    get,
    operation_id = "get_history",
    path = "/v1/kbs/{kb}/history",
    params(("kb" = String, Path, description = "The knowledge base."), HistoryQuery),
    responses(
        (status = 200, description = "A page of the history.", body = History),
        Problems,
    )
)]
async fn history(
    caller: Caller,
    Path(kb): Path<String>,
    Query(HistoryQuery { entry, of, before, limit }): Query<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    let limit = page_size(limit.unwrap_or(100), 1_000)?;
    if entry.is_some() && of.is_some() {
        let detail = "`entry` is of the entries; leave out `of`, which is of something else";
        return Err(Problem::new(Kind::InvalidField, detail).of_field("entry"));
    }
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let entry = entry.map(EntryId);
            let revisions = match of {
                Some(HistoryOf::Words) => shelf.words_history(before, limit)?,
                Some(HistoryOf::Service) => shelf.service_history(before, limit)?,
                None => shelf.history(entry.as_ref(), before, limit)?,
            };
            let releases = if entry.is_none() && of.is_none() { shelf.servings(limit)? } else { Vec::new() };
            Ok(Json(History { revisions, releases }))
        })
        .await
}

/// The goal of a knowledge base.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct GoalSetting {
    /// At most this share wrong among the answered, between 0 and 1; `null`
    /// for the server's default.
    #[schema(example = 0.05, required)]
    #[serde(deserialize_with = "Option::deserialize")]
    max_wrong: Option<f64>,
}

/// The goal that a knowledge base keeps.
#[utoipa::path(
    get,
    operation_id = "get_goal",
    path = "/v1/kbs/{kb}/goal",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses(
        (status = 200, description = "The goal.", body = GoalSetting),
        Problems,
    )
)]
async fn goal(caller: Caller, Path(kb): Path<String>) -> Result<Json<GoalSetting>, Problem> {
    caller.author(move |caller| Ok(Json(GoalSetting { max_wrong: caller.shelf(&kb)?.goal()? }))).await
}

/// Set the goal; what is served keeps it within a second.
#[utoipa::path(
    put,
    operation_id = "set_goal",
    path = "/v1/kbs/{kb}/goal",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body = GoalSetting,
    responses(
        (status = 200, description = "The goal as it is now.", body = GoalSetting),
        Problems,
    )
)]
async fn set_goal(
    caller: Caller,
    Path(kb): Path<String>,
    request: Request,
) -> Result<Json<GoalSetting>, Problem> {
    let wanted: GoalSetting = fields(request::json(request, REQUEST_BYTES).await?)?;
    if wanted.max_wrong.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
        return Err(Problem::new(Kind::InvalidField, "`max_wrong` is a share between 0 and 1, such as 0.05")
            .of_field("max_wrong"));
    }
    caller
        .author(move |caller| {
            caller.shelf(&kb)?.set_goal(wanted.max_wrong)?;
            Ok(Json(wanted))
        })
        .await
}

/// Which releases stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CollectRequest {
    /// So many of the newest.
    #[schema(value_type = u32, minimum = 1)]
    keep: std::num::NonZeroU32,
    /// Only say what would go.
    #[serde(default)]
    dry_run: bool,
    /// After every publication from now on, too.
    #[serde(default)]
    always: bool,
}

/// Remove old releases; never the one that is served, nor one in use.
#[utoipa::path(
    post,
    operation_id = "collect_releases",
    path = "/v1/kbs/{kb}/gc",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = CollectRequest, example = json!({"keep": 10, "dry_run": true, "always": false})),
    responses(
        (status = 200, description = "What was removed, or would be.", body = Collected),
        Problems,
    )
)]
async fn collect(
    caller: Caller,
    Path(kb): Path<String>,
    request: Request,
) -> Result<Json<Collected>, Problem> {
    let CollectRequest { keep, dry_run, always } = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            if always && !dry_run {
                shelf.keep(Some(keep.get()))?;
            }
            let keep = usize::try_from(keep.get()).unwrap_or(usize::MAX);
            Ok(Json(shelf.collect(keep, dry_run).map_err(refusal)?))
        })
        .await
}

/// Show the labelled questions that every publication is asked, as JSONL.
#[utoipa::path(
    get,
    operation_id = "get_queries",
    path = "/v1/kbs/{kb}/queries",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses(
        (
            status = 200,
            description = "The labelled questions, one a line.",
            content((String = "application/x-ndjson"), (inline(File) = "application/octet-stream")),
        ),
        Problems,
    )
)]
async fn queries(caller: Caller, Path(kb): Path<String>) -> Result<Response, Problem> {
    caller
        .author(move |caller| {
            let text: String = caller.shelf(&kb)?.queries()?.into_iter().map(|line| line + "\n").collect();
            Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response())
        })
        .await
}

/// In which format labelled questions come.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AttachQuery {
    /// `jsonl` (the default), `csv` or `xlsx`; tables have the columns 问题
    /// (text), 期望 (expect: ids or questions of entries) and 标签 (tags).
    format: Option<String>,
}

/// Attach labelled questions in the place of those that are there.
#[utoipa::path(
    put,
    operation_id = "put_queries",
    path = "/v1/kbs/{kb}/queries",
    params(("kb" = String, Path, description = "The knowledge base."), AttachQuery),
    request_body(content = inline(File), content_type = "application/octet-stream"),
    responses(
        (status = 204, description = "They are attached."),
        (status = 422, description = "A line has a fault; `problems` names all of them.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn attach(
    caller: Caller,
    Path(kb): Path<String>,
    Query(AttachQuery { format }): Query<AttachQuery>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let format = format.map_or(Ok(Format::Jsonl), |name| format_named(&name))?;
    let bytes = request::bytes(request, IMPORT_BYTES).await?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let queries = dataset::read_bytes("queries", format, &bytes, shelf.draft()?.entries())?.queries;
            let lines: Vec<String> = queries
                .iter()
                .map(|query| serde_json::to_string(query).map_err(|e| Error::internal("queries", e)))
                .collect::<Result<_, _>>()?;
            shelf.save_queries(&lines)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

/// Take the labelled questions away.
#[utoipa::path(
    delete,
    operation_id = "delete_queries",
    path = "/v1/kbs/{kb}/queries",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses(
        (status = 204, description = "None are attached any more."),
        Problems,
    )
)]
async fn detach(caller: Caller, Path(kb): Path<String>) -> Result<StatusCode, Problem> {
    caller
        .author(move |caller| {
            caller.shelf(&kb)?.save_queries(&[])?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

/// What a refused piece of work is to a client.
pub(super) fn refusal(error: Error) -> Problem {
    match error {
        Error::Refused(text) => Problem::new(Kind::NotNow, text),
        Error::Unknown { what: "release", ref known, .. } => {
            let known = known.clone();
            Problem { known, ..Problem::new(Kind::UnknownRelease, error.to_string()).of_field("release") }
        }
        other => other.into(),
    }
}

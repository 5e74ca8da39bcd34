//! How is a single entry changed over HTTP?
//!
//! An entry's `ETag` is the revision that holds it. Whoever changes an entry
//! sends back in `If-Match` the one they saw; when somebody else was faster,
//! they get 412 and nothing happens. The reply comes when the next question
//! sees the edit.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::routes;

use super::address::{Path, Query, page_size};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::jobs::last_result;
use super::request::json;
use super::routes::Routes;
use crate::access::Right;
use crate::error::Error;
use crate::kb::{Entry, EntryId, formats};
use crate::store::{Edit, Edited, Expected, Filter, Shelf};

/// The largest entry, in bytes.
pub const ENTRY_BYTES: usize = 256 * 1024;

/// Entries per page at most.
const PAGE: usize = 1_000;

/// The longest text to look for, in characters: the database compares patterns of
/// up to 50,000 bytes.
const SOUGHT: usize = 1_000;

/// Says in the reply which release answers with the edit on top.
const RELEASE: &str = "zhida-release";

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Author, routes!(list, create))
        .may(Right::Author, routes!(get, put, patch, delete))
        .bodies(ENTRY_BYTES)
}

/// Which entries are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The `next` of the page before.
    after: Option<i64>,
    /// Entries per page, 1 to 1000; without it 50.
    limit: Option<usize>,
    /// Only entries with this text anywhere in them.
    #[param(max_length = 1000)]
    q: Option<String>,
    /// Only entries of this topic.
    #[param(max_length = 1000)]
    topic: Option<String>,
    /// Only entries with this tag.
    #[param(max_length = 1000)]
    tag: Option<String>,
    /// Only entries that are on, or off.
    enabled: Option<bool>,
    /// Only entries that customers get only with the next publication.
    #[serde(default)]
    pending: bool,
    /// Only entries that are valid now, later, or no more.
    #[param(inline)]
    valid: Option<Valid>,
    /// Only entries that the last check found something about.
    #[param(inline)]
    findings: Option<Found>,
    /// Only entries that somebody asked for in the last 30 days (`true`), or nobody.
    asked: Option<bool>,
    /// `asked`: those that were asked for most come first; without it, the author's order.
    #[param(inline)]
    sort: Option<Sort>,
}

/// When entries are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EntryValidity)]
enum Valid {
    /// At this moment.
    Now,
    /// From some later moment on.
    Future,
    /// No more.
    Expired,
}

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EntryFindings)]
enum Found {
    /// Errors.
    Errors,
    /// Warnings.
    Warnings,
    /// Either.
    Any,
}

/// In which order entries are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EntrySort)]
enum Sort {
    /// By how often they were asked for.
    Asked,
}

/// How an edit takes effect.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EditQuery {
    /// Only change the draft: customers get it with the next publication.
    #[serde(default)]
    draft: bool,
}

/// A page of entries of the draft.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EntryPage {
    /// In the author's order.
    items: Vec<EntryItem>,
    /// What `after` has to be for the next page; `null` at the end.
    next: Option<i64>,
    /// How many entries there are on all pages.
    total: i64,
}

/// An entry in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EntryItem {
    /// The entry as in a JSONL file.
    entry: Entry,
    /// Its `ETag`.
    etag: String,
    /// When it got that way, RFC 3339 in UTC.
    at: String,
    /// By whom.
    author: String,
    /// How many conversations of the last 30 days it has answered.
    asked: u64,
}

pub(super) fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// List entries of the draft, page by page.
#[utoipa::path(
    get,
    operation_id = "list_entries",
    path = "/v1/kbs/{kb}/entries",
    params(("kb" = String, Path, description = "The knowledge base."), ListQuery),
    responses(
        (status = 200, description = "A page of entries.", body = EntryPage),
        Problems,
    )
)]
async fn list(
    caller: Caller,
    Path(kb): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<EntryPage>, Problem> {
    let limit = page_size(query.limit.unwrap_or(50), PAGE)?;
    for (field, text) in [("q", &query.q), ("topic", &query.topic), ("tag", &query.tag)] {
        let chars = text.as_ref().map_or(0, |text| text.chars().count());
        if chars > SOUGHT {
            let detail = format!("`{field}` has {chars} characters; the limit is {SOUGHT}");
            return Err(Problem::new(Kind::InvalidField, detail).of_field(field));
        }
    }
    let filter = Filter {
        after: query.after,
        text: query.q.clone().filter(|text| !text.is_empty()),
        enabled: query.enabled,
        topic: query.topic.clone(),
        tag: query.tag.clone().filter(|tag| !tag.is_empty()),
        pending: query.pending,
        limit,
    };
    let tag = filter.tag.clone();
    let ListQuery { valid, findings, asked, sort, .. } = query;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let month = caller.tenant().month(&kb);
            let counts: HashMap<&str, u64> =
                month.most.iter().map(|often| (often.entry.as_str(), often.conversations)).collect();
            let count = |entry: &Entry| counts.get(entry.id.0.as_str()).copied().unwrap_or(0);
            let is_plain =
                tag.is_none() && valid.is_none() && findings.is_none() && asked.is_none() && sort.is_none();
            let page = if is_plain {
                shelf.entries(&filter)?
            } else {
                let found = findings.map(|findings| of_the_check(caller, &kb, findings)).transpose()?;
                let now = time::OffsetDateTime::now_utc();
                let keep = |entry: &Entry| {
                    tag.as_ref().is_none_or(|tag| entry.tags.contains(tag))
                        && valid.is_none_or(|valid| valid.holds(entry, now))
                        && found.as_ref().is_none_or(|found| found.contains(&entry.id.0))
                        && asked.is_none_or(|asked| asked == (count(entry) > 0))
                };
                shelf.entries_where(&filter, keep, |entry| if sort.is_some() { count(entry) } else { 0 })?
            };
            let items = page.items.into_iter().map(|stored| EntryItem {
                etag: etag(stored.revision),
                asked: count(&stored.entry),
                entry: stored.entry,
                at: stored.at,
                author: stored.author,
            });
            Ok(Json(EntryPage { items: items.collect(), next: page.next, total: page.total }))
        })
        .await
}

impl Valid {
    fn holds(self, entry: &Entry, now: time::OffsetDateTime) -> bool {
        match self {
            Self::Now => entry.valid_at(now),
            Self::Future => entry.valid_from.is_some_and(|from| now < from),
            Self::Expired => entry.valid_until.is_some_and(|until| until <= now),
        }
    }
}

/// The entries that the last check found something about.
fn of_the_check(caller: &Caller, kb: &str, findings: Found) -> Result<HashSet<String>, Problem> {
    let Some(result) = last_result(caller, "check", kb) else {
        let detail = "no check of the draft is known; check it first (`POST …/check`)";
        return Err(Problem::new(Kind::NotNow, detail).of_field("findings"));
    };
    let wanted = |finding: &Value| match findings {
        Found::Errors => finding["severity"] == "error",
        Found::Warnings => finding["severity"] == "warning",
        Found::Any => finding["severity"] != "info",
    };
    let all = result["findings"].as_array().into_iter().flatten().filter(|finding| wanted(finding));
    let ids = all.flat_map(|finding| finding["entries"].as_array().into_iter().flatten());
    Ok(ids.filter_map(|id| id.as_str().or_else(|| id["id"].as_str())).map(str::to_owned).collect())
}

/// Show an entry of the draft, with its `ETag`.
#[utoipa::path(
    get,
    operation_id = "get_entry",
    path = "/v1/kbs/{kb}/entries/{id}",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("id" = String, Path, description = "The entry's id."),
    ),
    responses(
        (status = 200, description = "The entry as in a JSONL file; `ETag` is its revision.", body = Entry, headers(("ETag" = String, description = "Its revision, for `If-Match`."))),
        (status = 304, description = "It is what `If-None-Match` names."),
        Problems,
    )
)]
async fn get(
    caller: Caller,
    Path((kb, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = tags(&headers, header::IF_NONE_MATCH)?;
    caller
        .author(move |caller| {
            let id = EntryId(id);
            let stored =
                caller.shelf(&kb)?.entry(&id)?.ok_or_else(|| Error::NoEntry { kb, entry: id.0.clone() })?;
            let tag = [(header::ETAG, etag(stored.revision))];
            let is_known = match known {
                Some(Tags::Any) => true,
                Some(Tags::These(revisions)) => revisions.contains(&stored.revision),
                None => false,
            };
            if is_known {
                return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
            }
            Ok((tag, Json(stored.entry)).into_response())
        })
        .await
}

/// Create an entry; without an `id` it gets one from its question.
///
/// `Zhida-Author` and `Zhida-Reason` (UTF-8, percent-encoded where it is not
/// ASCII) go into the history.
#[utoipa::path(
    post,
    operation_id = "create_entry",
    path = "/v1/kbs/{kb}/entries",
    params(("kb" = String, Path, description = "The knowledge base."), EditQuery),
    request_body(content = SentEntry, example = json!({"question": "几点上班", "answer": "早上九点。"})),
    responses(
        (status = 201, description = "The entry; `Location` and `ETag` name it.", body = Entry, headers(("ETag" = String, description = "Its revision, for `If-Match`."), ("Location" = String, description = "Its address."))),
        (status = 409, description = "The id or a question belongs to another entry.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The entry has a fault; `field` and `problems` say where.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn create(
    caller: Caller,
    Path(kb): Path<String>,
    Query(query): Query<EditQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let entry = entry_of(json(request, ENTRY_BYTES).await?, None)?;
    let live = !query.draft;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let id = entry.id.clone();
            let edited = shelf.edit(&id, Edit::Put(entry), &Expected::Absent, live).map_err(|e| match e {
                Error::Stale { .. } => {
                    let detail = format!("entry {:?} exists; change it with PUT or PATCH", id.0);
                    Problem::new(Kind::EntryExists, detail).of_field("id")
                }
                other => other.into(),
            })?;
            let place = format!("/v1/kbs/{}/entries/{}", encoded(&kb), encoded(&id.0));
            let mut response = replied(caller, &kb, edited, StatusCode::CREATED);
            if let Ok(place) = HeaderValue::from_str(&place) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            Ok(response)
        })
        .await
}

/// Put an entry: change the one that `If-Match` names, or create it.
///
/// An entry that exists is changed only with `If-Match` (428 without it). With
/// `If-None-Match: *` it is only created.
#[utoipa::path(
    put,
    operation_id = "put_entry",
    path = "/v1/kbs/{kb}/entries/{id}",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("id" = String, Path, description = "The entry's id; one in the body must be the same."),
        EditQuery,
        MayCondition,
    ),
    request_body(content = SentEntry),
    responses(
        (status = 200, description = "The entry as it is now, with its new `ETag`.", body = Entry, headers(("ETag" = String, description = "Its revision now."))),
        (status = 201, description = "It is new.", body = Entry, headers(("ETag" = String, description = "Its revision."))),
        (status = 409, description = "A question belongs to another entry.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster; `current` is the `ETag` now.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The entry has a fault; `field` and `problems` say where.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn put(
    caller: Caller,
    Path((kb, id)): Path<(String, String)>,
    Query(query): Query<EditQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?;
    let entry = entry_of(json(request, ENTRY_BYTES).await?, Some(&id))?;
    let live = !query.draft;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            // Without a condition an entry may be created and not changed.
            let outcome = shelf.edit(
                &EntryId(id),
                Edit::Put(entry),
                expected.as_ref().unwrap_or(&Expected::Absent),
                live,
            );
            let edited = match outcome {
                Err(Error::Stale { current: Some(current), .. }) if expected.is_none() => {
                    return Err(needs_condition(current));
                }
                other => other?,
            };
            let is_new = edited.action == Some(crate::store::Action::Add);
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(replied(caller, &kb, edited, status))
        })
        .await
}

/// Change some fields of an entry (a JSON merge patch, RFC 7396):
/// `{"enabled": false}` switches it off.
///
/// That alone also works for an entry that customers get although the draft
/// has lost it; the draft stays as it is.
#[utoipa::path(
    patch,
    operation_id = "patch_entry",
    path = "/v1/kbs/{kb}/entries/{id}",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("id" = String, Path, description = "The entry's id."),
        EditQuery,
        Condition,
    ),
    request_body(content = Object, content_type = "application/merge-patch+json", example = json!({"enabled": false})),
    responses(
        (status = 200, description = "The entry as it is now, with its new `ETag`.", body = Entry, headers(("ETag" = String, description = "Its revision now."))),
        (status = 404, description = "There is no such entry.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster; `current` is the `ETag` now.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The entry would have a fault.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn patch(
    caller: Caller,
    Path((kb, id)): Path<(String, String)>,
    Query(query): Query<EditQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?;
    let changes = json(request, ENTRY_BYTES).await?;
    if !changes.is_object() {
        return Err(Problem::new(Kind::InvalidField, "a patch is a JSON object with the fields to change"));
    }
    let live = !query.draft;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let id = EntryId(id);
            let Some(stored) = shelf.entry(&id)? else {
                let edited = switch_served(&shelf, &id, &changes, expected.as_ref(), live)?;
                return Ok(replied(caller, &kb, edited, StatusCode::OK));
            };
            let Some(expected) = expected else { return Err(needs_condition(stored.revision)) };
            let mut value = serde_json::to_value(&stored.entry).map_err(|e| Error::internal("patch", e))?;
            merge(&mut value, changes);
            let entry = entry_of(value, Some(&id.0))?;
            // What was patched is what was read, whatever the client expects.
            let seen = Expected::Revisions(vec![stored.revision]);
            if !expected.allows(Some(stored.revision)) {
                return Err(Error::stale(&id, Some(stored.revision)).into());
            }
            let edited = shelf.edit(&id, Edit::Put(entry), &seen, live)?;
            Ok(replied(caller, &kb, edited, StatusCode::OK))
        })
        .await
}

/// Remove an entry; its history stays.
#[utoipa::path(
    delete,
    operation_id = "delete_entry",
    path = "/v1/kbs/{kb}/entries/{id}",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("id" = String, Path, description = "The entry's id."),
        EditQuery,
        Condition,
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such entry.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster; `current` is the `ETag` now.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn delete(
    caller: Caller,
    Path((kb, id)): Path<(String, String)>,
    Query(query): Query<EditQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?;
    let live = !query.draft;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let id = EntryId(id);
            let stored = match shelf.entry(&id)? {
                // The draft may have lost what customers still get.
                None if live => shelf.served_only(&id)?,
                stored => stored,
            };
            let Some(stored) = stored else { return Err(Error::NoEntry { kb, entry: id.0 }.into()) };
            let Some(expected) = expected else { return Err(needs_condition(stored.revision)) };
            let edited = shelf.edit(&id, Edit::Remove, &expected, live)?;
            Ok(replied(caller, &kb, edited, StatusCode::NO_CONTENT))
        })
        .await
}

/// Switches off or on what customers get although the draft has lost it.
fn switch_served(
    shelf: &Shelf,
    id: &EntryId,
    changes: &Value,
    expected: Option<&Expected>,
    live: bool,
) -> Result<Edited, Problem> {
    let none = || Error::NoEntry { kb: shelf.name().to_owned(), entry: id.0.clone() };
    let stored = if live { shelf.served_only(id)? } else { None }.ok_or_else(none)?;
    let Some(expected) = expected else { return Err(needs_condition(stored.revision)) };
    let fields = changes.as_object().filter(|fields| fields.len() == 1);
    let Some(on) = fields.and_then(|fields| fields.get("enabled")?.as_bool()) else {
        let detail = "the draft has lost this entry, customers get it from the release: it can only be switched (`enabled`) or removed; restore the release or PUT the entry to change more";
        return Err(Problem::new(Kind::NotNow, detail));
    };
    Ok(shelf.edit(id, Edit::Enable(on), expected, live)?)
}

/// The reply to an edit, sent when the next question sees it.
fn replied(caller: &Caller, kb: &str, edited: Edited, status: StatusCode) -> Response {
    let mut response = match edited.entry {
        Some(entry) => (status, [(header::ETAG, etag(edited.revision))], Json(entry)).into_response(),
        None => status.into_response(),
    };
    if edited.live {
        caller.registry().catch_up(kb);
        let label = caller.registry().engine(Some(kb)).ok().map(|engine| engine.release().label());
        if let Some(Ok(label)) = label.map(|label| HeaderValue::from_str(&label)) {
            response.headers_mut().insert(RELEASE, label);
        }
    }
    response
}

pub(super) fn needs_condition(current: i64) -> Problem {
    let detail = "send `If-Match` with the ETag of what you saw, so that nobody's edit is lost";
    Problem { current: Some(etag(current)), ..Problem::new(Kind::PreconditionRequired, detail) }
}

/// The condition of a change, which must be sent.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header; none is made of it")]
pub(super) struct Condition {
    /// The `ETag` of what you saw: when somebody else was faster, nothing is changed; `*` for
    /// whatever there is.
    #[param(rename = "If-Match", example = "\"12\"")]
    if_match: String,
}

/// The condition of a change, which may be sent.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers; none is made of it")]
pub(super) struct MayCondition {
    /// The `ETag` of what you saw: when somebody else was faster, nothing is changed; `*` for
    /// whatever there is.
    #[param(rename = "If-Match", example = "\"12\"")]
    if_match: Option<String>,
    /// `*` for something that is new.
    #[param(rename = "If-None-Match", example = "*")]
    if_none_match: Option<String>,
}

/// An entry as it is sent: its id may be left out, and comes from the address or from its
/// question then.
struct SentEntry;

impl PartialSchema for SentEntry {
    fn schema() -> RefOr<Schema> {
        let mut schema = Entry::schema();
        if let RefOr::T(Schema::Object(entry)) = &mut schema {
            entry.required.retain(|field| field != "id");
        }
        schema
    }
}

impl ToSchema for SentEntry {
    fn name() -> Cow<'static, str> {
        "SentEntry".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Entry::schemas(schemas);
    }
}

/// What a header with entity tags says.
enum Tags {
    Any,
    These(Vec<i64>),
}

fn tags(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<Tags>, Problem> {
    let mut revisions = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(&name) {
        is_there = true;
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        for tag in text.split(',').map(str::trim) {
            // Proxies that pack a response weaken its tag; a revision is one all the same.
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let Some(inner) = inner else {
                let detail = format!("`{name}` is `*` or ETags in double quotes, got {text:?}");
                return Err(Problem::new(Kind::InvalidField, detail).of_field(name.as_str()));
            };
            // A tag that we never gave out matches nothing.
            revisions.extend(inner.parse::<i64>());
        }
    }
    Ok(is_there.then_some(Tags::These(revisions)))
}

/// The condition of an edit; `None` when the client names none.
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<Expected>, Problem> {
    match (tags(headers, header::IF_MATCH)?, tags(headers, header::IF_NONE_MATCH)?) {
        (Some(Tags::Any), None) => Ok(Some(Expected::Present)),
        (Some(Tags::These(revisions)), None) => Ok(Some(Expected::Revisions(revisions))),
        (None, Some(Tags::Any)) => Ok(Some(Expected::Absent)),
        (None, None) => Ok(None),
        _ => {
            let detail = "send either `If-Match`, or `If-None-Match: *` for an entry that is new";
            Err(Problem::new(Kind::InvalidField, detail).of_field("if-none-match"))
        }
    }
}

/// Reads an entry as a line of a JSONL file is read.
fn entry_of(mut value: Value, id: Option<&str>) -> Result<Entry, Problem> {
    let Value::Object(fields) = &mut value else {
        return Err(Problem::new(Kind::InvalidField, "an entry is a JSON object"));
    };
    if let Some(id) = id {
        match fields.get("id") {
            None | Some(Value::Null) => {
                fields.insert("id".to_owned(), json!(id));
            }
            Some(Value::String(same)) if same == id => {}
            Some(_) => {
                let detail = format!("the entry's id is {id:?}, as in the path; it cannot be changed");
                return Err(Problem::new(Kind::InvalidEntry, detail).of_field("id"));
            }
        }
    }
    let base = formats::read_jsonl("entry", value.to_string().as_bytes())?;
    let mut entries = base.entries().iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry.clone()),
        _ => Err(Problem::new(Kind::InvalidEntry, "the body holds no entry")),
    }
}

/// A JSON merge patch, RFC 7396.
fn merge(value: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *value = patch;
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let Value::Object(fields) = value else { return };
    for (name, change) in patch {
        if change.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), change);
        }
    }
}

/// A text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

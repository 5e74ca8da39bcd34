//! How does an author's file get into the draft over HTTP?
//!
//! In one request; or put up first ([`super::files`]), looked at, and imported when
//! it is clear what its columns hold.

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::authoring::IMPORT_BYTES;
use super::caller::Caller;
use super::error::{Fault, Kind, Problem, Problems};
use super::request::{self, File, format_named};
use super::routes::Routes;
use crate::access::Right;
use crate::error::Error;
use crate::kb::KnowledgeBase;
use crate::kb::diff::Diff;
use crate::kb::formats::{self, Format, Incoming, Reading, RejectedSheet, Rejects};
use crate::kb::merge::{Mode, removes_much};
use crate::release::Progress;
use crate::store::{IgnoredColumns, Shelf};

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Author, routes!(import)).bodies(IMPORT_BYTES)
}

/// How a file is imported.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// `jsonl`, `csv` or `xlsx`; not needed with `file`.
    format: Option<String>,
    /// `replace`: the file is everything; `update`: its entries are added or
    /// take the place of those with their ids; `add`: only new ids are taken.
    #[serde(default)]
    mode: Mode,
    /// Say what would change, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Take the rows without faults; the others are in the reply's `rejected`.
    /// Of two rows with the same phrasing the first is taken.
    #[serde(default)]
    good_rows: bool,
    /// It is meant, even if 5 entries or more and a fifth of all are removed.
    #[serde(default)]
    yes: bool,
    /// The zone of dates and times that come without one, as an offset from
    /// UTC such as `+08:00`, which it is without this.
    time_zone: Option<String>,
    /// Headings of columns that hold nothing of the knowledge base, one a line.
    /// Later imports pass over them too, where zhida does not know the columns.
    ignore_columns: Option<String>,
    /// Pass over every column that zhida does not know; later imports pass over
    /// those of this file too.
    #[serde(default)]
    ignore_unknown: bool,
    /// Look at every column again: what earlier imports were told to pass over no
    /// longer counts.
    #[serde(default)]
    forget_columns: bool,
    /// Also take what is hidden or struck out; else `notes` names it.
    #[serde(default)]
    hidden: bool,
    /// What columns hold, one a line as `heading=field`, such as `问的=question`; without
    /// a field the column is left out. Later imports remember it.
    columns: Option<String>,
    /// A file that was put up with `POST …/files`; the body is empty then.
    file: Option<String>,
    /// Do it as a job, whose result is what the reply would be.
    #[serde(default)]
    background: bool,
}

/// What an import changes in the draft.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Imported {
    /// Whether nothing was written.
    dry_run: bool,
    /// How the file was taken.
    mode: Mode,
    /// Added, removed and changed entries, field by field.
    #[schema(value_type = Object)]
    diff: Diff,
    /// What the author should know and is no fault: hidden rows that were left
    /// out, lists that were not taken apart, an encoding that was recognised.
    notes: Vec<Fault>,
    /// The last revision before it; `POST …/rewind` from there on takes it back.
    before: i64,
    /// The last revision of it.
    until: i64,
    /// With `good_rows` what was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejected>,
}

/// What was not taken from a file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Rejected {
    /// How many entries, or rows that are none.
    entries: usize,
    /// Entries of the draft that stay as they were because the row that was to
    /// take their place is among them.
    kept: usize,
    /// Everything that is wrong with them.
    problems: Vec<Fault>,
    /// Their rows as they stand in the file, each with the reason: mended, they
    /// are imported with `mode=update`.
    sheets: Vec<RejectedSheet>,
}

/// Import a file into the draft; a new knowledge base is created.
///
/// An import that removes 5 entries or more and a fifth of all needs
/// `yes=true`; without it the reply is 409 and nothing is changed.
#[utoipa::path(
    post,
    operation_id = "import_kb",
    path = "/v1/kbs/{kb}/import",
    params(("kb" = String, Path, description = "The knowledge base."), ImportQuery),
    request_body(content = inline(File), content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "What was changed, or would be in a dry run.", body = Imported),
        (status = 202, description = "With `background`: `Location` is the job's address.", body = super::jobs::Job),
        (status = 409, description = "Much would be removed: `removed` says how many entries; send `yes=true` if that is meant.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The file has faults; `problems` names all of them.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn import(
    caller: Caller,
    Path(kb): Path<String>,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let (format, bytes) = match (&query.file, &query.format) {
        (Some(id), _) => {
            let kept = caller.tenant().files().find(&kb, id)?;
            (kept.format, kept.bytes.clone())
        }
        (None, Some(format)) => (format_named(format)?, request::bytes(request, IMPORT_BYTES).await?),
        (None, None) => {
            let detail = "say `format` of the file in the body, or `file` for one that was put up";
            return Err(Problem::new(Kind::MissingField, detail).of_field("format"));
        }
    };
    let how = How::of(query)?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf_to_create(&kb)?;
            if !how.background {
                return Ok(Json(bring(&shelf, &how, format, &bytes, &|_, _, _| ())?).into_response());
            }
            shelf.store().writable()?;
            let tell = caller.tells("import_kb", format!("/v1/kbs/{kb}"));
            caller.jobs().start("import", &kb, tell, move |progress| {
                let done = bring(&shelf, &how, format, &bytes, progress)?;
                serde_json::to_value(done).map_err(|e| Error::internal("import", e).into())
            })
        })
        .await
}

/// How a file is imported, understood.
pub(super) struct How {
    pub(super) mode: Mode,
    dry_run: bool,
    good_rows: bool,
    yes: bool,
    zone: time::UtcOffset,
    ignored: Vec<String>,
    ignore_unknown: bool,
    forget_columns: bool,
    hidden: bool,
    columns: Vec<(String, String)>,
    background: bool,
}

impl How {
    pub(super) fn of(query: ImportQuery) -> Result<Self, Problem> {
        let ImportQuery { mode, dry_run, good_rows, yes, time_zone, ignore_columns, .. } = query;
        let ImportQuery { ignore_unknown, forget_columns, hidden, columns, background, .. } = query;
        let zone = time_zone.map_or(Ok(formats::BEIJING), |text| {
            formats::zone(&text).map_err(|e| Problem::new(Kind::InvalidField, e).of_field("time_zone"))
        })?;
        Ok(Self {
            mode,
            dry_run,
            good_rows,
            yes,
            zone,
            ignored: ignore_columns.iter().flat_map(|text| text.lines()).map(str::to_owned).collect(),
            ignore_unknown,
            forget_columns,
            hidden,
            columns: columns_of(columns.as_deref())?,
            background,
        })
    }

    /// What is said now, and before it what earlier imports were told.
    pub(super) fn all_columns(&self, shelf: &Shelf) -> Result<Vec<(String, String)>, Problem> {
        let mut columns = self.columns.clone();
        if !self.forget_columns {
            columns.extend(shelf.mapped_columns()?);
        }
        Ok(columns)
    }

    pub(super) fn reading<'a>(
        &'a self,
        remembered: &'a [String],
        columns: &'a [(String, String)],
        progress: Progress<'a>,
    ) -> Reading<'a> {
        Reading {
            zone: self.zone,
            ignore: &self.ignored,
            ignore_unknown: self.ignore_unknown,
            remembered,
            columns,
            hidden: self.hidden,
            progress,
        }
    }
}

/// What columns hold, as `heading=field`, one a line.
pub(super) fn columns_of(text: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let lines = text.unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (heading, field) = line.rsplit_once('=').unwrap_or((line, ""));
            let (heading, field) = (heading.trim().to_owned(), field.trim().to_owned());
            if !field.is_empty() && !formats::column_fields().any(|(name, _)| name == field) {
                let known = formats::column_fields().map(|(name, _)| name.to_owned()).collect();
                let detail = format!("`columns`: no entry has a field {field:?}");
                return Err(Problem {
                    known,
                    ..Problem::new(Kind::InvalidField, detail).of_field("columns")
                });
            }
            Ok((heading, field))
        })
        .collect()
}

/// Brings a file into the draft.
fn bring(
    shelf: &Shelf,
    how: &How,
    format: Format,
    bytes: &[u8],
    progress: Progress<'_>,
) -> Result<Imported, Problem> {
    let remembered = if how.forget_columns { Vec::new() } else { shelf.ignored_columns()? };
    let columns = how.all_columns(shelf)?;
    let reading = how.reading(&remembered, &columns, progress);
    let file = Incoming::of_bytes("import", format, bytes, &reading);
    if file.is_empty() {
        return Err(Problem::new(Kind::InvalidEntry, "文件里没有条目；草稿没有变"));
    }
    let notes = file.notes().iter().map(Fault::of).collect();
    let passed = file.passed_over().to_vec();
    let (mut diff, mut rejects) = (Diff::default(), None);
    let change = |draft: KnowledgeBase| {
        let merged = if how.good_rows {
            let (merged, handed_back) = file.good_into_base(&draft, how.mode)?;
            if merged.entries().is_empty() {
                return Err(Error::Corpus(handed_back.problems));
            }
            rejects = Some(handed_back);
            merged
        } else {
            file.into_base(&draft, how.mode)?
        };
        diff = Diff::between(draft.entries(), merged.entries());
        let (entries, removed) = (draft.entries().len(), diff.removed.len());
        if !(how.yes || how.dry_run) && removes_much(entries, removed) {
            return Err(Error::Unconfirmed { kb: shelf.name().to_owned(), removed, entries });
        }
        Ok(merged)
    };
    // Of this import alone, whatever others do before and after it.
    let (before, until) = if how.dry_run {
        change(shelf.draft()?)?;
        let revision = shelf.head()?.map_or(0, |head| head.revision);
        (revision, revision)
    } else {
        let said = IgnoredColumns { forget: how.forget_columns, add: &passed, mapped: &how.columns };
        shelf.change_draft(said, change)?
    };
    let rejected = rejects.map(|rejects: Rejects| Rejected {
        entries: rejects.entries,
        kept: rejects.kept,
        sheets: formats::rejected("import", format, bytes, &reading, &rejects),
        problems: rejects.problems.iter().map(Fault::of).collect(),
    });
    Ok(Imported { dry_run: how.dry_run, mode: how.mode, diff, notes, before, until, rejected })
}

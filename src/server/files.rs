//! Which files does an author look at before they are imported?
//!
//! They lie in memory for a while, a few of a tenant: they are looked at and go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::authoring::IMPORT_BYTES;
use super::caller::Caller;
use super::entries::encoded;
use super::error::{Fault, Kind, Problem, Problems};
use super::importing::{How, ImportQuery, columns_of};
use super::request::{self, File};
use super::routes::Routes;
use crate::access::Right;
use crate::kb::formats::{self, Format, Incoming, PeekedSheet, Reading};
use crate::store::Shelf;

/// Files of a tenant that are kept; the oldest goes first.
const KEPT: usize = 8;
/// All of them together take at most this many bytes.
const ROOM: usize = 2 * IMPORT_BYTES;
/// How long a file is kept.
const KEPT_FOR: Duration = Duration::from_secs(3_600);

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Author, routes!(put_up))
        .may(Right::Author, routes!(look))
        .may(Right::Author, routes!(hand_back))
        .bodies(IMPORT_BYTES)
}

/// The files of a tenant that were put up.
#[derive(Default)]
pub(super) struct Files(Mutex<VecDeque<Arc<Kept>>>);

/// A file that was put up.
pub(super) struct Kept {
    id: String,
    kb: String,
    name: String,
    pub(super) format: Format,
    pub(super) bytes: Bytes,
    at: Instant,
}

impl Files {
    fn keep(&self, kept: Kept) -> Arc<Kept> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|file| file.at.elapsed() < KEPT_FOR);
        let room = |files: &VecDeque<Arc<Kept>>| files.iter().map(|file| file.bytes.len()).sum::<usize>();
        while files.len() >= KEPT || (!files.is_empty() && room(&files) + kept.bytes.len() > ROOM) {
            files.pop_front();
        }
        let kept = Arc::new(kept);
        files.push_back(Arc::clone(&kept));
        kept
    }

    /// Whether one of this name is here.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|file| file.id == id)
    }

    pub(super) fn find(&self, kb: &str, id: &str) -> Result<Arc<Kept>, Problem> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = files.iter().find(|file| file.id == id && file.kb == kb && file.at.elapsed() < KEPT_FOR);
        found.cloned().ok_or_else(|| {
            let detail = "there is no such file; files are kept for an hour, put it up again";
            Problem::new(Kind::NotHere, detail).of_field("file")
        })
    }
}

/// What a file is called and in which format it is.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FileQuery {
    /// Its name, such as `faq.xlsx`; the ending says the format: .jsonl, .json,
    /// .csv, .tsv, .txt, .xlsx, .xlsm, .xls or .ods.
    name: String,
}

/// A file that was put up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PutUp {
    /// Names it for an hour.
    id: String,
    /// As it came.
    name: String,
    /// `jsonl`, `csv` or `xlsx`.
    format: &'static str,
    /// How many bytes it has.
    bytes: usize,
    /// Its first rows, sheet by sheet; empty for `jsonl`.
    sheets: Vec<PeekedSheet>,
    /// What keeps it from being read at all.
    problems: Vec<Fault>,
    /// The fields that a column may hold: name and Chinese heading.
    fields: Vec<[&'static str; 2]>,
}

impl PutUp {
    fn of(kept: &Kept, shelf: &Shelf, said: &[(String, String)]) -> Result<Self, Problem> {
        let (remembered, mut columns) = (shelf.ignored_columns()?, said.to_vec());
        columns.extend(shelf.mapped_columns()?);
        let reading = Reading { remembered: &remembered, columns: &columns, ..Reading::default() };
        let (sheets, problems) = formats::peek("import", kept.format, &kept.bytes, &reading);
        Ok(Self {
            id: kept.id.clone(),
            name: kept.name.clone(),
            format: kept.format.name(),
            bytes: kept.bytes.len(),
            sheets,
            problems: problems.iter().map(Fault::of).collect(),
            fields: formats::column_fields().map(|(name, heading)| [name, heading]).collect(),
        })
    }
}

/// Put up a file to look at it before it is imported; nothing is changed.
#[utoipa::path(
    post,
    operation_id = "put_up_file",
    path = "/v1/kbs/{kb}/files",
    params(("kb" = String, Path, description = "The knowledge base; it may be new."), FileQuery),
    request_body(content = inline(File), content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "The file as it will be read.", body = PutUp),
        Problems,
    )
)]
async fn put_up(
    caller: Caller,
    Path(kb): Path<String>,
    Query(FileQuery { name }): Query<FileQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let format = Format::of_source(std::path::Path::new(&name))
        .map_err(|e| Problem::new(Kind::InvalidField, e.to_string()).of_field("name"))?;
    let bytes = request::bytes(request, IMPORT_BYTES).await?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf_to_create(&kb)?;
            let id = uuid::Uuid::now_v7().simple().to_string();
            let kept = Kept { id, kb, name, format, bytes, at: Instant::now() };
            let kept = caller.tenant().files().keep(kept);
            Ok((StatusCode::CREATED, Json(PutUp::of(&kept, &shelf, &[])?)).into_response())
        })
        .await
}

/// What is said of the columns of a file.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LookQuery {
    /// As for an import.
    columns: Option<String>,
}

/// Show the first rows of a file that was put up.
#[utoipa::path(
    get,
    operation_id = "look_at_file",
    path = "/v1/kbs/{kb}/files/{file}",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("file" = String, Path, description = "The file."),
        LookQuery,
    ),
    responses(
        (status = 200, description = "The file as it will be read.", body = PutUp),
        Problems,
    )
)]
async fn look(
    caller: Caller,
    Path((kb, file)): Path<(String, String)>,
    Query(LookQuery { columns }): Query<LookQuery>,
) -> Result<Json<PutUp>, Problem> {
    let said = columns_of(columns.as_deref())?;
    caller
        .author(move |caller| {
            let kept = caller.tenant().files().find(&kb, &file)?;
            Ok(Json(PutUp::of(&kept, &caller.shelf_to_create(&kb)?, &said)?))
        })
        .await
}

/// Give back the rows of a file that an import with `good_rows` would not take, as
/// a workbook with the reason beside each; nothing is changed.
#[utoipa::path(
    get,
    operation_id = "rejected_rows",
    path = "/v1/kbs/{kb}/files/{file}/rejected",
    params(
        ("kb" = String, Path, description = "The knowledge base."),
        ("file" = String, Path, description = "The file."),
        ImportQuery,
    ),
    responses(
        (
            status = 200, description = "The workbook.", body = inline(File),
            content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        ),
        Problems,
    )
)]
async fn hand_back(
    caller: Caller,
    Path((kb, file)): Path<(String, String)>,
    Query(query): Query<ImportQuery>,
) -> Result<Response, Problem> {
    let how = How::of(query)?;
    caller
        .author(move |caller| {
            let kept = caller.tenant().files().find(&kb, &file)?;
            let shelf = caller.shelf_to_create(&kb)?;
            let (remembered, columns) = (shelf.ignored_columns()?, how.all_columns(&shelf)?);
            let reading = how.reading(&remembered, &columns, &|_, _, _| ());
            let incoming = Incoming::of_bytes("import", kept.format, &kept.bytes, &reading);
            let rejects = incoming.good_into_base(&shelf.draft()?, how.mode)?.1;
            let sheets = formats::rejected("import", kept.format, &kept.bytes, &reading, &rejects);
            let bytes = formats::write_rejected(&sheets, Format::Xlsx)?;
            let name = format!("attachment; filename*=UTF-8''{}-rejected.xlsx", encoded(&kb));
            let headers = [
                (header::CONTENT_TYPE, Format::Xlsx.media_type()),
                (header::CONTENT_DISPOSITION, name.as_str()),
            ];
            Ok((headers, bytes).into_response())
        })
        .await
}

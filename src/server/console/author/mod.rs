//! What do authors see?
//!
//! The pages of a knowledge base, one file each, under `/console/kb/{kb}`. What
//! several of them show stands in [`parts`].

mod bulk;
mod check;
mod conflict;
mod curve;
mod delete;
mod editor;
mod entries;
mod entry;
mod evaluations;
mod history;
mod import;
mod imported;
mod inbox;
mod job;
pub(super) mod names;
mod overview;
mod parts;
mod preview;
mod queries;
mod releases;
mod schedule;
mod service;
mod trying;
mod words;
mod words_history;

pub(super) use self::job::kind as job_kind;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::super::Server;
use super::super::authoring::IMPORT_BYTES;

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route("/console/new", get(import::new).post(import::create))
        .route("/console/kb/{kb}", get(overview::page))
        .route("/console/kb/{kb}/delete", get(delete::page).post(delete::delete))
        .route("/console/kb/{kb}/import", get(import::page).post(import::upload))
        .route("/console/kb/{kb}/import/done", get(imported::page))
        .route("/console/kb/{kb}/import/template.csv", get(import::template))
        .route("/console/kb/{kb}/import/{file}", get(preview::page).post(preview::confirm))
        .route("/console/kb/{kb}/import/{file}/rejected.xlsx", get(preview::rejected))
        .route("/console/kb/{kb}/export/{name}", get(imported::export))
        .route("/console/kb/{kb}/rewind", post(imported::rewind))
        .route("/console/kb/{kb}/entries", get(entries::page))
        .route("/console/kb/{kb}/entries/bulk", post(bulk::page))
        .route("/console/kb/{kb}/entries/new", get(entry::blank).post(entry::create))
        .route("/console/kb/{kb}/entries/{id}", get(entry::page).post(entry::save))
        .route("/console/kb/{kb}/entries/{id}/delete", get(entry::ask_delete).post(entry::delete))
        .route("/console/kb/{kb}/entries/{id}/merge", post(conflict::merge))
        .route("/console/kb/{kb}/entries/{id}/history", get(history::page).post(history::restore))
        .route("/console/kb/{kb}/check", get(check::page).post(check::start))
        .route("/console/kb/{kb}/check/fix", post(check::fix))
        .route("/console/kb/{kb}/try", get(trying::page).post(trying::add))
        .route("/console/kb/{kb}/releases", get(releases::page).post(releases::start))
        .route("/console/kb/{kb}/releases/{number}", get(releases::one).post(releases::back))
        .route("/console/kb/{kb}/inbox", get(inbox::page).post(inbox::decide))
        .route("/console/kb/{kb}/words", get(words::page).post(words::change))
        .route("/console/kb/{kb}/service", get(service::page).post(service::change))
        .route("/console/kb/{kb}/queries", get(queries::page).post(queries::upload))
        .route("/console/kb/{kb}/queries/goal", post(queries::aim))
        .route("/console/kb/{kb}/queries/remove", post(queries::remove))
        .route("/console/kb/{kb}/queries/file.jsonl", get(queries::download))
        .route("/console/kb/{kb}/evaluations", get(evaluations::page).post(evaluations::start))
        .route("/console/kb/{kb}/evaluations/comparison", get(evaluations::comparison))
        .route("/console/kb/{kb}/evaluations/{number}", get(evaluations::one).post(evaluations::forget))
        .route("/console/kb/{kb}/schedule", post(schedule::change))
        .route("/console/kb/{kb}/jobs/{id}", get(job::page).post(job::cancel))
        .layer(DefaultBodyLimit::max(FILES))
}

/// The largest form with a file, in bytes: a little more than the largest file.
const FILES: usize = IMPORT_BYTES + (1 << 20);

/// A file that a browser keeps.
fn file(kind: &str, name: &str, bytes: impl IntoResponse) -> Response {
    let mut response = bytes.into_response();
    let place = format!("attachment; filename*=UTF-8''{}", super::inside::part(name));
    for (header, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, &place),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        if let Ok(value) = header::HeaderValue::from_str(value) {
            response.headers_mut().insert(header, value);
        }
    }
    response
}

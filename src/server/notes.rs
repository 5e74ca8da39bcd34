//! How do people at the desk note something that no customer sees?

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::Path;
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::handoffs::found;
use super::request::{fields, json};
use super::routes::Routes;
use crate::access::Right;
use crate::dialogue::ticket::NOTE_CHARS;
use crate::dialogue::told::moment;
use crate::store;

/// The largest body, in bytes.
const BYTES: usize = 64 << 10;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Agent, routes!(list, add)).bodies(BYTES)
}

/// A note that no customer sees.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = InternalNote)]
struct Note {
    /// Who wrote it.
    author: String,
    /// The words.
    text: String,
    /// When, RFC 3339.
    at: String,
}

impl From<store::Note> for Note {
    fn from(note: store::Note) -> Self {
        Self { author: note.author, text: note.text, at: moment(note.at) }
    }
}

/// Notes, the oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = InternalNotes)]
struct Notes {
    /// Of the whole conversation: those of earlier handoffs too.
    items: Vec<Note>,
}

/// Something to note.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewNote)]
struct New {
    /// The words.
    #[schema(max_length = 4000)]
    text: String,
}

/// List what was noted on a handoff's conversation.
#[utoipa::path(
    get,
    operation_id = "list_notes",
    path = "/v1/handoffs/{id}/notes",
    params(("id" = String, Path, description = "The handoff.")),
    responses((status = 200, description = "The notes.", body = Notes), Problems)
)]
async fn list(caller: Caller, Path(id): Path<String>) -> Result<Json<Notes>, Problem> {
    caller
        .at_desk(move |caller| {
            let notes = caller.desk().talk().notes(found(caller, &id)?.key)?;
            Ok(Json(Notes { items: notes.into_iter().map(Note::from).collect() }))
        })
        .await
}

/// Whether something can be noted.
pub(super) fn is_note(field: &str, text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        let detail = format!("the note is blank: `{field}` holds nothing visible");
        return Err(Problem::new(Kind::BlankText, detail).of_field(field));
    }
    let chars = text.chars().count();
    if chars > NOTE_CHARS {
        let detail = format!("`{field}` has {chars} characters; the limit is {NOTE_CHARS}");
        return Err(Problem::new(Kind::TextTooLong, detail).of_field(field));
    }
    Ok(())
}

/// Note something on a handoff's conversation; whoever has it next sees it.
#[utoipa::path(
    post,
    operation_id = "add_note",
    path = "/v1/handoffs/{id}/notes",
    params(("id" = String, Path, description = "The handoff.")),
    request_body = New,
    responses((status = 201, description = "The note.", body = Note), Problems)
)]
async fn add(caller: Caller, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let New { text } = fields(json(request, BYTES).await?)?;
    is_note("text", &text)?;
    caller
        .at_desk(move |caller| {
            let desk = caller.desk();
            let note = store::Note { author: caller.signature().author.clone(), text, at: desk.now() };
            desk.talk().add_note(found(caller, &id)?.key, &note)?;
            Ok((StatusCode::CREATED, Json(Note::from(note))).into_response())
        })
        .await
}

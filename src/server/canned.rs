//! Which replies does somebody at the desk have at hand?

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::Path;
use super::caller::Caller;
use super::changes::Done;
use super::error::{Kind, Problem, Problems};
use super::request::{fields, json};
use super::routes::Routes;
use crate::access::Right;
use crate::desk::new_id;
use crate::dialogue::conversation::TEXT_CHARS;
use crate::dialogue::told::moment;
use crate::error::Error;
use crate::store::CannedReply;

/// The largest body, in bytes.
const BYTES: usize = 64 << 10;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Agent, routes!(list, create))
        .may(Right::Agent, routes!(change, delete))
        .bodies(BYTES)
}

/// A reply that is written once and sent often.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CannedReply)]
struct Told {
    /// Its id.
    id: String,
    /// What it is found by.
    title: String,
    /// The words.
    text: String,
    /// Whether everybody at the desk has it; else it is the caller's own.
    shared: bool,
    /// When it was changed last, RFC 3339.
    updated_at: String,
}

impl From<CannedReply> for Told {
    fn from(reply: CannedReply) -> Self {
        Self {
            id: reply.id,
            title: reply.title,
            text: reply.text,
            shared: reply.owner.is_none(),
            updated_at: moment(reply.updated_at),
        }
    }
}

/// Canned replies by title.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CannedReplies)]
struct Replies {
    /// Everybody's and the caller's own, by title.
    items: Vec<Told>,
}

/// A reply that is to be kept.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CannedReplyWanted)]
struct Wanted {
    /// What it is found by.
    #[schema(max_length = 60)]
    title: String,
    /// The words.
    #[schema(max_length = 4000)]
    text: String,
    /// Whether everybody at the desk has it.
    #[serde(default)]
    shared: bool,
}

impl Wanted {
    async fn read(request: Request) -> Result<Self, Problem> {
        let wanted: Self = fields(json(request, BYTES).await?)?;
        for (field, text, limit) in
            [("title", &wanted.title, CannedReply::TITLE_CHARS), ("text", &wanted.text, TEXT_CHARS)]
        {
            let chars = text.chars().count();
            if text.trim().is_empty() {
                let detail = format!("`{field}` holds nothing visible");
                return Err(Problem::new(Kind::BlankText, detail).of_field(field));
            }
            if chars > limit {
                let detail = format!("`{field}` has {chars} characters; the limit is {limit}");
                return Err(Problem::new(Kind::TextTooLong, detail).of_field(field));
            }
        }
        Ok(wanted)
    }

    fn keep(self, caller: &Caller, id: String) -> Result<Told, Problem> {
        let reply = CannedReply {
            id,
            owner: (!self.shared).then(|| owner(caller)),
            title: self.title.trim().to_owned(),
            text: self.text.trim().to_owned(),
            updated_at: caller.desk().now(),
        };
        caller.desk().talk().keep_canned(&reply)?;
        Ok(reply.into())
    }
}

/// Whose somebody's own replies are.
fn owner(caller: &Caller) -> String {
    let identity = caller.identity();
    identity.id.clone().unwrap_or_else(|| identity.name.clone())
}

/// One that the caller has at hand.
fn found(caller: &Caller, id: &str) -> Result<CannedReply, Problem> {
    let none = || Error::Absent { what: "canned reply", name: id.chars().take(100).collect() };
    let all = caller.desk().talk().canned_replies(&owner(caller))?;
    all.into_iter().find(|reply| reply.id == id).ok_or_else(|| none().into())
}

/// The audit has the title; the words are the desk's.
fn done(title: &str, after: &str) -> Done {
    Done { object: format!("canned reply {title}"), before: None, after: Some(after.to_owned()) }
}

/// List the replies that the caller has at hand.
#[utoipa::path(
    get,
    operation_id = "list_canned_replies",
    path = "/v1/canned-replies",
    responses((status = 200, description = "The replies.", body = Replies), Problems)
)]
async fn list(caller: Caller) -> Result<Json<Replies>, Problem> {
    caller
        .at_desk(|caller| {
            let all = caller.desk().talk().canned_replies(&owner(caller))?;
            Ok(Json(Replies { items: all.into_iter().map(Told::from).collect() }))
        })
        .await
}

/// Keep a reply, for oneself or for everybody at the desk.
#[utoipa::path(
    post,
    operation_id = "create_canned_reply",
    path = "/v1/canned-replies",
    request_body = Wanted,
    responses((status = 201, description = "The reply.", body = Told), Problems)
)]
async fn create(caller: Caller, request: Request) -> Result<Response, Problem> {
    let wanted = Wanted::read(request).await?;
    caller
        .at_desk(move |caller| {
            let told = wanted.keep(caller, new_id())?;
            let done = done(&told.title, "kept");
            Ok(done.beside((StatusCode::CREATED, Json(told)).into_response()))
        })
        .await
}

/// Change a reply, all of it anew.
#[utoipa::path(
    put,
    operation_id = "change_canned_reply",
    path = "/v1/canned-replies/{id}",
    params(("id" = String, Path, description = "The reply.")),
    request_body = Wanted,
    responses((status = 200, description = "The reply.", body = Told), Problems)
)]
async fn change(caller: Caller, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let wanted = Wanted::read(request).await?;
    caller
        .at_desk(move |caller| {
            let told = wanted.keep(caller, found(caller, &id)?.id)?;
            let done = done(&told.title, "changed");
            Ok(done.beside(Json(told).into_response()))
        })
        .await
}

/// Remove a reply.
#[utoipa::path(
    delete,
    operation_id = "delete_canned_reply",
    path = "/v1/canned-replies/{id}",
    params(("id" = String, Path, description = "The reply.")),
    responses((status = 204, description = "It is gone."), Problems)
)]
async fn delete(caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    caller
        .at_desk(move |caller| {
            let reply = found(caller, &id)?;
            caller.desk().talk().remove_canned(&reply.id)?;
            Ok(done(&reply.title, "removed").beside(StatusCode::NO_CONTENT.into_response()))
        })
        .await
}

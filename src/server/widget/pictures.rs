//! How does a visitor show a person a picture?

use axum::Json;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use serde::Deserialize;
use utoipa_axum::routes;

use super::super::address::{Path, Query};
use super::super::changes;
use super::super::error::{Kind, Problem, Problems};
use super::super::pictures::served;
use super::super::request::{File, bytes};
use super::super::routes::Routes;
use super::talk::behind;
use super::told::Standing;
use super::visit::Visit;
use crate::access::Right;
use crate::desk::pictures::BYTES;
use crate::dialogue::conversation::is_sound_id;

pub(super) fn routes() -> Routes {
    let shown = Routes::new().may(Right::Public, routes!(show)).bodies(BYTES);
    Routes::new().may(Right::Public, routes!(see)).merge(shown)
}

/// What is said of a picture.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Sent {
    /// The panel's name for the message: the same one is taken once.
    #[param(max_length = 128)]
    client_id: String,
    /// The file's name, for people.
    name: Option<String>,
    /// Only lines behind this number are given back.
    after: Option<i64>,
}

/// Show a person a picture in the widget.
///
/// The body is the picture: JPEG, PNG, GIF or WebP by its content, at most 5 MiB; ten an
/// hour and a hundred in a conversation. It is taken while a person has the conversation
/// or the visitor waits for one, and kept as it came.
#[utoipa::path(
    post,
    operation_id = "show_in_visit",
    path = "/widget/{site}/conversations/{id}/pictures",
    params(
        ("site" = String, Path, description = "The site, as the page names it."),
        ("id" = String, Path, description = "The conversation."),
        Sent,
    ),
    request_body(content = inline(File), content_type = "application/octet-stream"),
    responses((status = 200, description = "What has been said since.", body = Standing), Problems)
)]
async fn show(
    visit: Visit,
    Path((_, id)): Path<(String, String)>,
    Query(sent): Query<Sent>,
    request: Request,
) -> Result<Json<Standing>, Problem> {
    if !is_sound_id(&sent.client_id) {
        let detail = "`client_id` is 1 to 128 characters, visible at both ends";
        return Err(Problem::new(Kind::InvalidField, detail).of_field("client_id"));
    }
    // Who it is comes before what they send.
    let (caller, known) = visit.conversation(id).await?;
    changes::limit(&caller, &Method::POST)?;
    let body = bytes(request, BYTES).await?;
    caller
        .at_desk(move |caller| {
            let name = sent.name.as_deref().unwrap_or_default();
            caller.desk().take_picture(&known, (&body, name), &sent.client_id)?;
            let now = caller.desk().talk().by_key(known.key)?.unwrap_or(known);
            Ok(Json(behind(caller.desk(), &now, sent.after.unwrap_or(0))?))
        })
        .await
}

/// Look at a picture of the conversation in the widget.
#[utoipa::path(
    get,
    operation_id = "see_in_visit",
    path = "/widget/{site}/conversations/{id}/pictures/{picture}",
    params(
        ("site" = String, Path, description = "The site, as the page names it."),
        ("id" = String, Path, description = "The conversation."),
        ("picture" = String, Path, description = "The `id` of the line's `picture`."),
    ),
    responses((status = 200, description = "The picture.", content_type = "image/png", body = inline(File)), Problems)
)]
async fn see(
    visit: Visit,
    Path((_, id, picture)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let (caller, known) = visit.conversation(id).await?;
    caller.at_desk(move |caller| served(caller, &known, &picture)).await
}

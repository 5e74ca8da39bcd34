//! How do pictures get to an agent and back?
//!
//! What a visitor shows ([`super::widget`]) is seen here by agents of its knowledge base,
//! and an agent may show one in return. Whatever is in a picture, a browser gets it as
//! one of four kinds of pictures and nothing else.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::handoffs;
use super::neighbours;
use super::request::{File, bytes};
use super::routes::Routes;
use super::talk;
use crate::access::Right;
use crate::desk::pictures::{BYTES, Untaken, WORDS, beside, kind_of};
use crate::dialogue::conversation::is_sound_id;
use crate::dialogue::handoff::Step;
use crate::dialogue::told::ToldHandoff;
use crate::error::Error;
use crate::store::{Act, Conversation};

pub(super) fn routes() -> Routes {
    let shown = Routes::new().may(Right::Agent, routes!(show)).bodies(BYTES);
    Routes::new().may(Right::Agent, routes!(see)).merge(shown)
}

impl From<Untaken> for Problem {
    fn from(why: Untaken) -> Self {
        let wrong = |kind, detail: String| Self::new(kind, detail).of_field("picture");
        match why {
            Untaken::NoPicture => {
                wrong(Kind::InvalidField, "this is no JPEG, PNG, GIF or WebP picture".to_owned())
            }
            Untaken::TooLarge => {
                wrong(Kind::BodyTooLarge, format!("a picture may have at most {BYTES} bytes"))
            }
            Untaken::NobodyThere => wrong(
                Kind::NotNow,
                "pictures are for a person: ask for one first, and send it while somebody has the conversation or you wait".to_owned(),
            ),
            Untaken::TooMany(span) => wrong(Kind::RateLimited, format!("that is too many pictures in {span}")),
            Untaken::Failed(error) => error.into(),
        }
    }
}

/// A picture as a browser gets it: it is shown, never run, and its kind is not guessed.
pub(super) fn served(caller: &Caller, known: &Conversation, id: &str) -> Result<Response, Problem> {
    let (kind, bytes) = match caller.desk().picture(known, id) {
        Err(absent @ Error::Absent { .. }) => {
            // It may have been shown at another node.
            (kind_of(id), neighbours::picture(caller, known, id).ok_or(absent)?)
        }
        found => found?,
    };
    let ending = kind.rsplit('/').next().unwrap_or_default();
    let digest: String = id.chars().take(8).collect();
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'"),
    );
    // Its name is the content's: what has it never changes, and nobody else keeps it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=86400, immutable"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie, zhida-identity"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if let Ok(name) = HeaderValue::from_str(&format!("inline; filename=\"picture-{digest}.{ending}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Which knowledge base's conversation is meant.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Of {
    /// The knowledge base, when several have a conversation of this name.
    kb: Option<String>,
}

/// Look at a picture of a conversation.
#[utoipa::path(
    get,
    operation_id = "see_picture",
    path = "/v1/conversations/{id}/pictures/{picture}",
    params(
        ("id" = String, Path, description = "The client's name for the conversation."),
        ("picture" = String, Path, description = "The `id` of the line's `picture`."),
        Of,
    ),
    responses((status = 200, description = "The picture.", content_type = "image/png", body = inline(File)), Problems)
)]
async fn see(
    caller: Caller,
    Path((id, picture)): Path<(String, String)>,
    Query(of): Query<Of>,
) -> Result<Response, Problem> {
    caller
        .at_desk(move |caller| {
            let known = talk::found(caller, &id, of.kb.as_deref())?;
            served(caller, &known, &picture)
        })
        .await
}

/// What an agent's picture is called.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Sent {
    /// Its name, for people.
    name: Option<String>,
    /// The desk's name for the message: the same one is not sent twice.
    #[param(max_length = 128)]
    client_id: Option<String>,
}

/// Show the customer a picture, in the widget.
///
/// The body is the picture: JPEG, PNG, GIF or WebP, at most 5 MiB. `Idempotency-Key` (or
/// `client_id`) names the message: the same one is shown once.
#[utoipa::path(
    post,
    operation_id = "show_picture",
    path = "/v1/handoffs/{id}/pictures",
    params(("id" = String, Path, description = "The handoff."), Sent),
    request_body(content = inline(File), content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "The customer sees it.", body = ToldHandoff),
        (status = 409, description = "Somebody else has the conversation, or its channel takes no pictures from here.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn show(
    caller: Caller,
    Path(id): Path<String>,
    Query(sent): Query<Sent>,
    request: Request,
) -> Result<Json<ToldHandoff>, Problem> {
    let client_id = talk::named(request.headers(), sent.client_id)?;
    let body = bytes(request, BYTES).await?;
    if client_id.as_deref().is_some_and(|id| !is_sound_id(id)) {
        let detail = "`client_id` is 1 to 128 characters, visible at both ends";
        return Err(Problem::new(Kind::InvalidField, detail).of_field("client_id"));
    }
    caller
        .at_desk(move |caller| {
            let handoff = handoffs::found(caller, &id)?;
            let known = caller.desk().talk().by_key(handoff.key)?;
            let known = known
                .ok_or_else(|| Error::Absent { what: "conversation", name: handoff.conversation.clone() })?;
            if known.via.is_some() {
                let detail = "pictures can be shown in the widget only; this customer is on another channel";
                return Err(Problem::new(Kind::NotNow, detail));
            }
            let name = sent.name.as_deref().unwrap_or_default();
            let picture = caller.desk().keep_picture(known.key, &body, name)?;
            let data = beside(&picture);
            let agent = &caller.signature().author;
            let act = Act {
                text: Some(WORDS),
                data: Some(&data),
                client_id: client_id.as_deref(),
                named: caller.identity().is_person() || *agent != caller.identity().name,
                ..Act::of(Step::Reply, agent, caller.desk().now())
            };
            let now = caller.desk().talk().act(&handoff.id, &act)?;
            caller.desk().wake();
            Ok(Json(handoffs::told(caller, &now)?))
        })
        .await
}

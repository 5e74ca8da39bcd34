//! What else may a visitor do: say whether it helped, and leave a question behind?

use axum::Json;
use axum::extract::Request;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa_axum::routes;

use super::super::address::Path;
use super::super::error::{Problem, Problems};
use super::super::feedback::{self, FeedbackReply, FeedbackRequest, given};
use super::super::request::{fields, json};
use super::super::routes::Routes;
use super::super::tickets::{self, Made, TicketMade, left};
use super::visit::Visit;
use crate::access::Right;
use crate::desk::web;

pub(super) fn routes() -> Routes {
    let tickets = Routes::new().may(Right::Public, routes!(leave)).bodies(tickets::BYTES);
    Routes::new().may(Right::Public, routes!(rate)).bodies(feedback::BYTES).merge(tickets)
}

/// Say in the widget whether a reply helped.
///
/// As `POST /v1/feedback`, of replies in the visitor's own conversation.
#[utoipa::path(
    post,
    operation_id = "rate_in_visit",
    path = "/widget/{site}/conversations/{id}/feedback",
    params(
        ("site" = String, Path, description = "The site, as the page names it."),
        ("id" = String, Path, description = "The conversation."),
    ),
    request_body = FeedbackRequest,
    responses((status = 200, description = "It is stored.", body = FeedbackReply), Problems)
)]
async fn rate(
    visit: Visit,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<Json<FeedbackReply>, Problem> {
    let (caller, known) = visit.conversation(id).await?;
    given(caller, request, Some(known.id)).await
}

/// What is filled in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VisitorTicket)]
struct Filled {
    /// By the names of the form's fields.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    /// The panel's name for it: the same one is not made twice.
    client_id: String,
}

/// Leave a question behind in the widget.
///
/// As `POST /v1/tickets`; what the form asks for stands in `ticket` of the line that
/// offers it.
#[utoipa::path(
    post,
    operation_id = "leave_in_visit",
    path = "/widget/{site}/conversations/{id}/tickets",
    params(
        ("site" = String, Path, description = "The site, as the page names it."),
        ("id" = String, Path, description = "The conversation."),
    ),
    request_body = Filled,
    responses(
        (status = 201, description = "It has a number.", body = TicketMade),
        (status = 422, description = "A field is not filled in rightly; `problems` names all of them.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn leave(
    visit: Visit,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let Filled { fields, client_id } = fields(json(request, tickets::BYTES).await?)?;
    let kb = visit.kb.clone();
    let (caller, known) = visit.conversation(id).await?;
    let made = Made {
        kb: Some(kb),
        // What another visitor calls theirs is another one.
        client_id: Some(format!("{}.{client_id}", known.id)),
        session: Some(known.id),
        channel: Some(web::KIND.to_owned()),
        fields,
    };
    left(caller, made).await
}

//! How is a customer forgotten who asks for it?
//!
//! The names of customers and conversations are in the body: addresses stand in the
//! logs of every proxy on the way, and in the audit.

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::caller::Caller;
use super::changes::Done;
use super::error::{Kind, Problem, Problems};
use super::keys::whole;
use super::request::{fields, json};
use super::routes::Routes;
use crate::access::Right;
use crate::events::Whose;
use crate::store::Forgotten;

/// The largest body, in bytes.
const BYTES: usize = 16 * 1024;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Admin, routes!(forget)).bodies(BYTES)
}

/// Who is to be forgotten; one of both.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"customer": "openid-of-somebody"}))]
struct ForgetRequest {
    /// A customer with all their conversations: the `id` that was sent in `fields`, or the
    /// channel's own for them.
    customer: Option<String>,
    /// One conversation, by the `session` that was sent.
    conversation: Option<String>,
}

/// What went.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ForgetReply {
    /// Events that were made nobody's: what was said, by whom and in which conversation is
    /// gone from them, and counts stay what they were.
    events: u64,
    /// Conversations that are gone, with their handoffs, tickets and pictures.
    conversations: usize,
    /// Files of events that are being written: nothing of it is shown any more, and it is
    /// erased from them tonight.
    pending_files: usize,
}

impl ForgetRequest {
    fn whose(self) -> Result<Whose, Problem> {
        let (field, id, whose) = match (self.customer, self.conversation) {
            (Some(id), None) => ("customer", id.clone(), Whose::Customer(id)),
            (None, Some(id)) => ("conversation", id.clone(), Whose::Conversation(id)),
            (Some(_), Some(_)) => {
                let detail = "`customer` forgets their conversations too; send one of both";
                return Err(Problem::new(Kind::InvalidField, detail).of_field("conversation"));
            }
            (None, None) => {
                let detail = "nobody is named; send `customer` or `conversation`";
                return Err(Problem::new(Kind::MissingField, detail).of_field("customer"));
            }
        };
        if id.trim().is_empty() {
            return Err(Problem::new(Kind::InvalidField, format!("`{field}` is blank")).of_field(field));
        }
        Ok(whose)
    }
}

/// Forget a customer, or a conversation, for good.
///
/// In all knowledge bases: in the events, in what was learned from them, and in the
/// conversations. What happens later is not meant. Other nodes follow within a minute, and
/// backups keep what they hold. Nobody known by that name is no error. As `zhida forget`.
#[utoipa::path(
    post,
    operation_id = "forget",
    path = "/v1/forget",
    request_body = ForgetRequest,
    responses((status = 200, description = "It is forgotten.", body = ForgetReply), Problems)
)]
async fn forget(caller: Caller, request: Request) -> Result<Response, Problem> {
    whole(&caller)?;
    let whose = fields::<ForgetRequest>(json(request, BYTES).await?)?.whose()?;
    let object = match &whose {
        Whose::Conversation(_) => "a conversation",
        _ => "the conversations of a customer",
    };
    let Forgotten { events, conversations, busy } = caller
        .author(move |caller| {
            caller.store().writable()?;
            Ok(caller.store().forget(whose)?)
        })
        .await?;
    let reply = Json(ForgetReply { events, conversations, pending_files: busy });
    Ok(Done { object: object.to_owned(), ..Done::default() }.beside(reply.into_response()))
}

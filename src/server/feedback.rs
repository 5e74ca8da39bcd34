//! What does a customer say of a reply?

use axum::Json;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::request::{fields, json};
use super::routes::Routes;
use crate::access::Right;
use crate::events::{Event, Feedback};

/// The largest body, in bytes.
pub(super) const BYTES: usize = 16 * 1024;

/// The longest comment, in characters.
const COMMENT: usize = 2_000;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Ask, routes!(feedback)).bodies(BYTES)
}

/// What a customer says of a reply.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"trace_id": "0193f0c2a5d17c3e8a1b2c3d4e5f6071", "solved": true}))]
pub(super) struct FeedbackRequest {
    /// The reply's `trace_id`.
    trace_id: String,
    /// Whether it helped.
    solved: Option<bool>,
    /// Stars.
    #[schema(minimum = 1, maximum = 5)]
    rating: Option<i64>,
    /// The entry among the offered ones that was meant.
    chosen: Option<String>,
    /// Own words, at most 2000 characters.
    #[schema(max_length = 2000)]
    comment: Option<String>,
}

/// That it was taken in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FeedbackReply {
    /// The reply that it is about.
    trace_id: String,
    /// The knowledge base that gave it.
    kb: String,
}

impl FeedbackRequest {
    fn check(self) -> Result<(String, Feedback), Problem> {
        let invalid = |field, detail: String| Err(Problem::new(Kind::InvalidField, detail).of_field(field));
        let Self { trace_id, solved, rating, chosen, comment } = self;
        if let Some(rating) = rating.filter(|rating| !(1..=5).contains(rating)) {
            return invalid("rating", format!("`rating` is a number of stars from 1 to 5, got {rating}"));
        }
        if let Some(length) =
            comment.as_ref().map(|text| text.chars().count()).filter(|length| *length > COMMENT)
        {
            return invalid("comment", format!("`comment` has {length} characters; the limit is {COMMENT}"));
        }
        let feedback = Feedback { solved, rating, chosen, comment };
        if feedback == Feedback::default() {
            let detail = "nothing is said of the reply; send `solved`, `rating`, `chosen` or `comment`";
            return Err(Problem::new(Kind::MissingField, detail).of_field("solved"));
        }
        Ok((trace_id, feedback))
    }
}

/// Say whether a reply helped.
///
/// May be sent late and more than once: what a later one says counts, what it
/// does not mention stays, and a repetition changes nothing.
#[utoipa::path(
    post,
    operation_id = "feedback",
    path = "/v1/feedback",
    request_body = FeedbackRequest,
    responses(
        (status = 200, description = "It is stored.", body = FeedbackReply),
        Problems,
    )
)]
async fn feedback(caller: Caller, request: Request) -> Result<Json<FeedbackReply>, Problem> {
    given(caller, request, None).await
}

/// Reads and takes what somebody says of a reply; with a conversation, only of a reply in it.
pub(super) async fn given(
    caller: Caller,
    request: Request,
    conversation: Option<String>,
) -> Result<Json<FeedbackReply>, Problem> {
    let (trace_id, feedback) = fields::<FeedbackRequest>(json(request, BYTES).await?)?.check()?;
    let server = caller.server().clone();
    let taken = server
        .admission()
        .work(move |_| take(&caller, trace_id, feedback, conversation.as_deref()))
        .await??;
    Ok(Json(taken))
}

/// Takes what somebody says of a reply; with a conversation, only of a reply in it.
fn take(
    caller: &Caller,
    trace_id: String,
    feedback: Feedback,
    conversation: Option<&str>,
) -> Result<FeedbackReply, Problem> {
    let sees = |decision: &Event| {
        caller.knows(&decision.kb)
            && conversation.is_none_or(|mine| decision.conversation.as_deref() == Some(mine))
    };
    let decision = caller.log().find(&trace_id)?.filter(sees);
    let Some(decision) = decision else {
        let shown: String = trace_id.chars().take(100).collect();
        let detail = format!("no reply has the trace_id {shown:?}; it is in the body of the reply");
        return Err(Problem::new(Kind::NotHere, detail).of_field("trace_id"));
    };
    if let Some(chosen) = &feedback.chosen {
        let offered: Vec<String> = decision.candidates.iter().map(|one| one.entry.clone()).collect();
        if !offered.contains(chosen) {
            let detail = format!(
                "entry {:?} was not among those of this reply",
                chosen.chars().take(100).collect::<String>()
            );
            let problem = Problem::new(Kind::InvalidField, detail).of_field("chosen");
            return Err(Problem { known: offered, ..problem });
        }
    }
    caller.store().writable()?;
    let kb = decision.kb.clone();
    caller.log().append(Event::feedback(&decision, feedback))?;
    Ok(FeedbackReply { trace_id, kb })
}

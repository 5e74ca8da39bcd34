//! How does a visitor begin a conversation, say something and hear what comes back?

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::super::address::{Path, Query};
use super::super::error::{Kind, Problem, Problems};
use super::super::greeting::{Greeting, greeted};
use super::super::request::{ANSWER_BYTES, AnswerRequest, fields, json};
use super::super::routes::Routes;
use super::super::talk::{begin, heard, kept_open, news};
use super::told::{Seen, Standing, Waits};
use super::visit::Visit;
use crate::access::Right;
use crate::desk::{Desk, web};
use crate::dialogue::conversation::{Owner, TEXT_CHARS, is_sound_id};
use crate::error::Result as Done;
use crate::store::{Conversation, Conversations};

/// Lines that a panel begins with.
const HISTORY: i64 = 200;

/// Lines that are given at a time.
const PAGE: i64 = 500;

/// How often the place in the queue is looked at.
const PLACE: Duration = Duration::from_secs(3);

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Public, routes!(open))
        .may(Right::Public, routes!(lines, say))
        .may(Right::Public, routes!(follow))
        .bodies(ANSWER_BYTES)
}

/// A conversation that a visitor has opened.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = VisitorOpened)]
struct Opened {
    /// What opens it again; the browser keeps it.
    visitor: String,
    /// The conversation.
    session: String,
    /// Whether the site vouches for who it is.
    identified: bool,
    /// What it begins with.
    greeting: Greeting,
    /// What was said before signing in, in order.
    earlier: Vec<Seen>,
    /// How it stands, with its last 200 lines.
    #[serde(flatten)]
    standing: Standing,
}

/// How a conversation stands behind a number.
fn standing(desk: &Desk, known: Option<&Conversation>, items: Vec<Seen>, after: i64) -> Done<Standing> {
    let waits = known.map(|known| desk.waits(known)).transpose()?.flatten();
    Ok(Standing {
        next: items.last().map_or(after, Seen::seq),
        items,
        owner: known.map_or(Owner::Bot, |known| known.owner),
        waits: waits.map(Waits::of),
    })
}

fn last(talk: &Conversations, known: Option<&Conversation>) -> Done<Vec<Seen>> {
    let lines = known.map(|known| talk.last_lines(known.key, HISTORY)).transpose()?;
    Ok(lines.unwrap_or_default().iter().map(Seen::from).collect())
}

/// Open the visitor's conversation in the widget.
///
/// Without `Authorization` a new visitor is made. With `Zhida-Identity`, the JSON Web
/// Token of the site's server, it is the conversation of that customer, on whatever
/// machine; one that the browser has with a person goes on first.
#[utoipa::path(
    post,
    operation_id = "open_visit",
    path = "/widget/{site}/conversations",
    params(
        ("site" = String, Path, description = "The site, as the page names it."),
        ("Zhida-Identity" = Option<String>, Header, description = "A JSON Web Token, where the customer has signed in."),
    ),
    responses((status = 200, description = "The conversation.", body = Opened), Problems)
)]
async fn open(mut visit: Visit) -> Result<Json<Opened>, Problem> {
    let caller = visit.caller.clone();
    caller
        .at_desk(move |caller| {
            let talk = caller.desk().talk();
            let mut token = visit.token()?;
            let find = |id: &Option<String>| -> Done<Option<Conversation>> {
                id.as_ref().map(|id| talk.find(&visit.kb, id)).transpose().map(Option::flatten)
            };
            let mut anonymous = find(&visit.anonymous())?;
            if anonymous.as_ref().is_some_and(|known| visit.is_of_another(known)) {
                // Somebody else was signed in here.
                token = visit.renew()?;
                anonymous = None;
            }
            let of_browser = visit.anonymous().unwrap_or_default();
            let with_person =
                anonymous.as_ref().is_some_and(|one| matches!(one.owner, Owner::Queued | Owner::Agent));
            let (session, known, earlier) = match visit.identified() {
                Some(session) if !with_person => {
                    let known = talk.find(&visit.kb, &session)?;
                    (session, known, last(talk, anonymous.as_ref())?)
                }
                _ => (of_browser, anonymous, Vec::new()),
            };
            let items = last(talk, known.as_ref())?;
            Ok(Json(Opened {
                visitor: token.reveal().to_owned(),
                session,
                identified: visit.vouched.is_some(),
                greeting: greeted(caller, visit.kb.clone())?,
                earlier,
                standing: standing(caller.desk(), known.as_ref(), items, 0)?,
            }))
        })
        .await
}

/// What the panel says.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VisitorMessage)]
struct Message {
    /// What was typed, or the words of the question that was pressed.
    #[serde(default)]
    text: String,
    /// The entry that was pressed of those that were offered.
    choice: Option<String>,
    /// The panel's name for the message: the same one is heard once.
    #[schema(max_length = 128)]
    client_id: String,
    /// Only lines behind this number are given back.
    #[serde(default)]
    after: i64,
}

/// Which lines are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Behind {
    /// Only lines behind this number.
    after: Option<i64>,
}

/// Say something in the widget.
#[utoipa::path(
    post,
    operation_id = "say_in_visit",
    path = "/widget/{site}/conversations/{id}/messages",
    params(
        ("site" = String, Path, description = "The site, as the page names it."),
        ("id" = String, Path, description = "The conversation: `session` of the one that was opened."),
    ),
    request_body = Message,
    responses((status = 200, description = "What has been said since.", body = Standing), Problems)
)]
async fn say(
    visit: Visit,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Standing>, Problem> {
    let start = Instant::now();
    let Message { text, choice, client_id, after } = fields(json(request, ANSWER_BYTES).await?)?;
    if !is_sound_id(&client_id) {
        let detail = "`client_id` is 1 to 128 characters, visible at both ends";
        return Err(Problem::new(Kind::InvalidField, detail).of_field("client_id"));
    }
    let chars = text.chars().count();
    if chars > TEXT_CHARS {
        let detail = format!("`text` has {chars} characters; the limit is {TEXT_CHARS}");
        return Err(Problem::new(Kind::TextTooLong, detail).of_field("text"));
    }
    let (caller, session) = (visit.caller.clone(), id.clone());
    let visit = caller
        .clone()
        .at_desk(move |_| {
            visit.known(&session)?;
            Ok(visit)
        })
        .await?;
    let question = AnswerRequest {
        text,
        kb: Some(visit.kb.clone()),
        session: Some(id.clone()),
        choice,
        fields: visit.vouched.as_ref().map(|vouched| vouched.fields.clone()),
        client_id: Some(client_id),
        channel: Some(web::KIND.to_owned()),
        filter: None,
        generation: None,
        explain: None,
    };
    heard(&caller, question, start).await?;
    caller.at_desk(move |caller| Ok(Json(behind(caller.desk(), &visit.found(&id)?, after)?))).await
}

pub(super) fn behind(desk: &Desk, known: &Conversation, after: i64) -> Done<Standing> {
    let after = after.max(0);
    let lines = desk.talk().lines(known.key, after, PAGE)?;
    standing(desk, Some(known), lines.iter().map(Seen::from).collect(), after)
}

/// Show what was said in the widget behind a number.
#[utoipa::path(
    get,
    operation_id = "list_visit_messages",
    path = "/widget/{site}/conversations/{id}/messages",
    params(
        ("site" = String, Path, description = "The site, as the page names it."),
        ("id" = String, Path, description = "The conversation."),
        Behind,
    ),
    responses((status = 200, description = "The lines in order.", body = Standing), Problems)
)]
async fn lines(
    visit: Visit,
    Path((_, id)): Path<(String, String)>,
    Query(wanted): Query<Behind>,
) -> Result<Json<Standing>, Problem> {
    let caller = visit.caller.clone();
    let after = wanted.after.unwrap_or(0);
    caller.at_desk(move |caller| Ok(Json(behind(caller.desk(), &visit.found(&id)?, after)?))).await
}

/// Follow the conversation in the widget.
///
/// Server-sent events: `message` with a line, `owner` when somebody else has the
/// conversation, both with their number as `id`, so that `Last-Event-ID` (or `after`)
/// goes on behind it; `waits` with the place in the queue. It ends when the identity
/// that it was opened with has expired.
#[utoipa::path(
    get,
    operation_id = "follow_visit",
    path = "/widget/{site}/conversations/{id}/events",
    params(
        ("site" = String, Path, description = "The site, as the page names it."),
        ("id" = String, Path, description = "The conversation."),
        Behind,
    ),
    responses(
        (status = 200, description = "A stream without end.", content_type = "text/event-stream", body = String),
        Problems,
    )
)]
async fn follow(
    visit: Visit,
    Path((_, id)): Path<(String, String)>,
    Query(wanted): Query<Behind>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let after = begin(&headers, wanted.after)?.unwrap_or(0);
    let lasts = visit.vouched.as_ref().map(|vouched| Duration::from_millis(vouched.lasts));
    let (caller, known) = visit.conversation(id).await?;
    let following = caller.server().crowd().follow(&known.id, caller.from())?;
    let (desk, server, talk) = (caller.desk().clone(), caller.server().clone(), caller.desk().talk().clone());
    // What was told of the place, and when it was looked at.
    let place = Mutex::new((None, None::<Instant>));
    let read = move |talk: &Conversations, after: i64| {
        let _open = &following;
        let lines = talk.lines(known.key, after, PAGE)?;
        let mut events: Vec<(i64, Event)> =
            lines.iter().map(|line| (line.seq, Seen::from(line).event())).collect();
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if !events.is_empty() || place.1.is_none_or(|looked| looked.elapsed() >= PLACE) {
            let Some(known) = talk.by_key(known.key)? else {
                // It was forgotten; a new one of its name is another.
                return Ok(None);
            };
            let now = desk.waits(&known)?.map(Waits::of);
            if now != place.0 {
                let at = events.last().map_or(after, |(seq, _)| *seq);
                events.push((at, Waits::event(now)));
            }
            *place = (now, Some(Instant::now()));
        }
        Ok(Some(events))
    };
    let expired = async move {
        match lasts {
            Some(lasts) => tokio::time::sleep(lasts).await,
            None => std::future::pending().await,
        }
    };
    Ok(kept_open(news(talk, server, after, read).take_until(Box::pin(expired))))
}

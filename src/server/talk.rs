//! How does a customer's conversation go on over HTTP?
//!
//! A message goes to the robot, or to the person who has the conversation; what
//! was said is read in pages or as a stream that begins where the reader left off,
//! in whatever process.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Path, Query, page_size};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::least;
use super::request::{ANSWER_BYTES, AnswerRequest, json};
use super::routes::Routes;
use super::told::Reserved;
use crate::access::Right;
use crate::desk::reception::{Asked, Incoming, Said, WithPerson};
use crate::dialogue::Service;
use crate::dialogue::conversation::{Owner, is_sound_id};
use crate::dialogue::ticket_form::TicketForm;
use crate::dialogue::told::{ToldLine, moment};
use crate::engine::{Engine, Options, Reply, Stages};
use crate::error::{Error, QuestionError, Result as Done};
use crate::kb::EntryId;
use crate::store::{Conversation, Conversations, Noted};

/// Lines of a conversation that are given at a time.
const PAGE: i64 = 500;

/// How often a stream looks for news. Looking takes some ten microseconds.
const LOOK: Duration = Duration::from_millis(200);

/// How often a stream looks whether its conversation is still there.
const THERE: Duration = Duration::from_secs(3);

/// A line that says nothing keeps a stream open that long.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The client's name for a message, in a header.
pub(super) const IDEMPOTENCY: &str = "idempotency-key";

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Ask, routes!(conversation))
        .may(Right::Ask, routes!(messages, say))
        .may(Right::Ask, routes!(follow))
        .may(Right::Ask, routes!(ask_for_person))
        .bodies(ANSWER_BYTES)
}

/// Which knowledge base's conversation is meant.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// The knowledge base: the same name in another one is another conversation.
    /// Without it the one that a person has or that waits for one, else the one that
    /// was spoken in last.
    kb: Option<String>,
}

/// Which lines are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Lines {
    /// The knowledge base, as above.
    kb: Option<String>,
    /// Only lines behind this number.
    after: Option<i64>,
    /// At most so many, 1 to 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
}

/// A conversation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Conversation)]
struct ToldConversation {
    /// The client's name for it.
    id: String,
    /// The knowledge base.
    kb: String,
    /// Who answers the next message.
    owner: Owner,
    /// Which change this is.
    version: i64,
    /// The handoff that is open.
    handoff: Option<String>,
    /// Where the customer is.
    channel: Option<String>,
    /// When it began, RFC 3339.
    started_at: String,
    /// When something happened last, RFC 3339.
    last_at: String,
    /// What was said, in order: the last 500 lines.
    turns: Vec<ToldLine>,
}

/// Lines of a conversation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Messages)]
struct ToldLines {
    /// In order.
    items: Vec<ToldLine>,
    /// Who answers the next message.
    owner: Owner,
    /// The `after` that goes on from here.
    next: i64,
}

/// A message that a person will read.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WithPerson)]
struct ToldWithPerson {
    /// Who has the conversation: `agent`, or `queued`.
    owner: Owner,
    /// The client's name for the conversation.
    session: String,
    /// The number of the message in it.
    seq: i64,
    /// The handoff.
    handoff: Option<String>,
}

impl From<WithPerson> for ToldWithPerson {
    fn from(with: WithPerson) -> Self {
        Self { owner: with.owner, session: with.session, seq: with.seq, handoff: with.handoff }
    }
}

/// A conversation that the caller may know of.
pub(super) fn found(caller: &Caller, id: &str, kb: Option<&str>) -> Result<Conversation, Problem> {
    let talk = caller.desk().talk();
    let all = match kb {
        Some(kb) if caller.knows(kb) => talk.find(kb, id)?.into_iter().collect(),
        Some(_) => Vec::new(),
        None => talk.find_all(id)?,
    };
    let none = || Error::Absent { what: "conversation", name: id.chars().take(200).collect() };
    meant(caller, all).ok_or_else(|| none().into())
}

/// Which of the conversations of a name is meant, the latest first: what is asked in one
/// knowledge base meanwhile hides nobody who waits in another one.
fn meant(caller: &Caller, all: Vec<Conversation>) -> Option<Conversation> {
    let open = |one: &Conversation| matches!(one.owner, Owner::Queued | Owner::Agent);
    all.into_iter().filter(|one| caller.knows(&one.kb)).min_by_key(|one| !open(one))
}

/// Show a conversation.
#[utoipa::path(
    get,
    operation_id = "get_conversation",
    path = "/v1/conversations/{id}",
    params(("id" = String, Path, description = "The client's name for the conversation."), Whose),
    responses((status = 200, description = "Who has it, and what was said.", body = ToldConversation), Problems)
)]
async fn conversation(
    caller: Caller,
    Path(id): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Json<ToldConversation>, Problem> {
    caller
        .at_desk(move |caller| {
            let known = found(caller, &id, whose.kb.as_deref())?;
            let lines = caller.desk().talk().last_lines(known.key, PAGE)?;
            Ok(Json(ToldConversation {
                id: known.id,
                kb: known.kb,
                owner: known.owner,
                version: known.version,
                handoff: known.handoff,
                channel: known.channel,
                started_at: moment(known.started_at),
                last_at: moment(known.last_at),
                turns: lines.iter().map(ToldLine::from).collect(),
            }))
        })
        .await
}

/// Show what was said behind a number.
#[utoipa::path(
    get,
    operation_id = "list_messages",
    path = "/v1/conversations/{id}/messages",
    params(("id" = String, Path, description = "The client's name for the conversation."), Lines),
    responses((status = 200, description = "The lines in order.", body = ToldLines), Problems)
)]
async fn messages(
    caller: Caller,
    Path(id): Path<String>,
    Query(wanted): Query<Lines>,
) -> Result<Json<ToldLines>, Problem> {
    let limit = page_size(wanted.limit.unwrap_or(100), PAGE)?;
    caller
        .at_desk(move |caller| {
            let known = found(caller, &id, wanted.kb.as_deref())?;
            let after = wanted.after.unwrap_or(0).max(0);
            let lines = caller.desk().talk().lines(known.key, after, limit)?;
            let next = lines.last().map_or(after, |line| line.seq);
            let items = lines.iter().map(ToldLine::from).collect();
            Ok(Json(ToldLines { items, owner: known.owner, next }))
        })
        .await
}

/// Say something as the customer.
///
/// The conversation is made when there is none of the name. `Idempotency-Key` (or
/// `client_id` in the body) names the message: the same one is heard once, and the
/// reply is that of the first time.
#[utoipa::path(
    post,
    operation_id = "post_message",
    path = "/v1/conversations/{id}/messages",
    params(("id" = String, Path, description = "The client's name for the conversation.")),
    request_body = AnswerRequest,
    responses(
        (status = 200, description = "The robot's reply, as that of `/v1/answer`.", body = Reply),
        (status = 202, description = "A person has the conversation, and the message; or the customer waits for one, and no question is left of the month for the robot.", body = ToldWithPerson),
        Problems,
    )
)]
async fn say(
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let start = Instant::now();
    let mut question = AnswerRequest::of(&caller, json(request, ANSWER_BYTES).await?)?.keyed(&headers)?;
    if question.session.as_ref().is_some_and(|session| *session != id) {
        let detail = "`session` names another conversation than the address; leave it out";
        return Err(Problem::new(Kind::InvalidField, detail).of_field("session"));
    }
    question.session = Some(id.clone());
    if question.kb.is_none() {
        // A conversation goes on where it began.
        question.kb = meant(&caller, caller.desk().talk().find_all(&id)?).map(|one| one.kb);
    }
    match heard(&caller, question, start).await? {
        Said::Replied(turned) => Ok(Json(turned.reply).into_response()),
        Said::Again(reply) => Ok(Json(reply).into_response()),
        Said::WithPerson(with) => {
            Ok((StatusCode::ACCEPTED, Json(ToldWithPerson::from(with))).into_response())
        }
    }
}

/// Takes a message of a conversation; the reply of a robot is counted.
pub(super) async fn heard(caller: &Caller, question: AnswerRequest, start: Instant) -> Result<Said, Problem> {
    let session = question.session.clone().unwrap_or_default();
    if !is_sound_id(&session) {
        let detail = "`session` is 1 to 128 characters, visible at both ends and without control characters";
        return Err(Problem::new(Kind::InvalidField, detail).of_field("session"));
    }
    least::reach(caller, question.kb.as_deref()).await?;
    let (engine, service) = caller.served(question.kb.as_deref())?;
    // Whether it is a question is known when it is heard: what a person hears, and that
    // somebody waits no longer, is none.
    let (asking, month) = (caller.clone(), caller.reserve(1));
    let said = caller
        .server()
        .talking()
        .work(move |_| hear(&asking, month, &engine, &service, &session, &question))
        .await??;
    if let Said::Replied(turned) = &said {
        caller.record(&turned.reply, start.elapsed());
    }
    Ok(said)
}

fn hear(
    caller: &Caller,
    month: Result<Reserved, Problem>,
    engine: &Arc<Engine>,
    service: &Arc<Service>,
    session: &str,
    question: &AnswerRequest,
) -> Result<Said, Problem> {
    let (began, stages) = (SystemTime::now(), Stages::default());
    let options = Options {
        generation: question.last_generation(),
        filter: question.filter.as_ref(),
        stages: Some(&stages),
        ..Options::default()
    };
    // Whoever presses a question says it.
    let pressed = question.choice.as_deref().filter(|_| question.text.is_empty()).map(|choice| {
        let entry = engine.release().position(&EntryId(choice.to_owned()));
        entry.map_or(choice, |at| engine.release().entries()[at].question.as_str())
    });
    let text = pressed.unwrap_or(&question.text);
    let heard = caller.desk().hear(&Incoming {
        engine,
        service,
        session,
        text,
        choice: question.choice.as_deref(),
        channel: question.channel.as_deref(),
        customer: question.fields.as_ref(),
        options,
        may_ask: month.is_ok(),
        explain: question.explain == Some(true),
        client_id: question.client_id.as_deref(),
        via: None,
    });
    let (said, reserved) = match (heard, month) {
        (Err(Error::Question(QuestionError::NoneLeft)), Err(used_up)) => return Err(used_up),
        // Who asks for a person in words gets one, and it counts.
        (heard, month) => (heard?, month.unwrap_or_else(|_| caller.reserved_beyond())),
    };
    caller.staged(began, &stages);
    if let Said::Replied(turned) = &said {
        let asked = Asked { session: Some(session), text, channel: question.channel.as_deref() };
        reserved.tell_turn(engine, turned, &asked);
        // A customer's words reach the log in no other level.
        tracing::debug!(trace_id = turned.reply.trace_id, text, "question");
    }
    Ok(said)
}

/// Ask for a person, as with a button.
///
/// It does what the wish in words does: outside the service hours nobody is called,
/// `owner` is `bot` and `ticket` is the form to leave the question with.
#[utoipa::path(
    post,
    operation_id = "ask_for_person",
    path = "/v1/conversations/{id}/handoff",
    params(("id" = String, Path, description = "The client's name for the conversation."), Whose),
    responses((status = 200, description = "The handoff that is open now, or that nobody is there.", body = AskedFor), Problems)
)]
async fn ask_for_person(
    caller: Caller,
    Path(id): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Json<AskedFor>, Problem> {
    caller
        .at_desk(move |caller| {
            let known = found(caller, &id, whose.kb.as_deref())?;
            let (engine, service) = caller.served(Some(&known.kb))?;
            let handoff = caller.desk().ask_for_person(&known.kb, &id, &engine, &service)?;
            let Some(handoff) = handoff else {
                return Ok(Json(AskedFor {
                    owner: Owner::Bot,
                    handoff: None,
                    position: None,
                    message: service.voice.outside_hours.clone(),
                    ticket: Some(service.ticket.clone()),
                    opens_at: service.opens_at(caller.desk().moment()),
                }));
            };
            Ok(Json(AskedFor {
                owner: handoff.state.owner(),
                position: caller.desk().position(&handoff)?,
                handoff: Some(handoff.id),
                message: service.voice.handed_off.clone(),
                ticket: None,
                opens_at: None,
            }))
        })
        .await
}

/// A person who was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AskedFor {
    /// Who has the conversation now.
    owner: Owner,
    /// The handoff; `null` when nobody is there.
    handoff: Option<String>,
    /// The place in the queue, from 1 on.
    position: Option<i64>,
    /// What the customer is told.
    message: String,
    /// When nobody is there: the form to leave the question with.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<TicketForm>,
    /// When nobody is there: when somebody is again, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_at: Option<String>,
}

/// Follow a conversation as it goes on.
///
/// Server-sent events: `message` with a line, `owner` when somebody else has the
/// conversation. Each has its number as `id`; with `Last-Event-ID` (or `after`) the
/// stream begins behind it, and loses and doubles nothing. It ends when the conversation is forgotten.
#[utoipa::path(
    get,
    operation_id = "follow_conversation",
    path = "/v1/conversations/{id}/events",
    params(("id" = String, Path, description = "The client's name for the conversation."), Lines),
    responses(
        (status = 200, description = "A stream without end.", content_type = "text/event-stream", body = String),
        Problems,
    )
)]
async fn follow(
    caller: Caller,
    Path(id): Path<String>,
    Query(wanted): Query<Lines>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let after = begin(&headers, wanted.after)?;
    let (known, caller) =
        caller.at_desk(move |caller| Ok((found(caller, &id, wanted.kb.as_deref())?, caller.clone()))).await?;
    let (talk, server) = (caller.desk().talk().clone(), caller.server().clone());
    let looked = Mutex::new(Instant::now());
    let read = move |talk: &Conversations, after: i64| {
        let lines = talk.lines(known.key, after, PAGE)?;
        if lines.is_empty() {
            let mut looked = looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.elapsed() >= THERE {
                *looked = Instant::now();
                // One that was forgotten says nothing any more; a new one of its name is another.
                if talk.by_key(known.key)?.is_none() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(lines.iter().map(|line| (line.seq, told(line))).collect()))
    };
    Ok(stream(talk, server, after.unwrap_or(0), read))
}

fn told(line: &crate::dialogue::conversation::Line) -> Event {
    let line = ToldLine::from(line);
    let name = if line.role == crate::dialogue::conversation::Role::Event { "owner" } else { "message" };
    let data = serde_json::to_string(&line).unwrap_or_default();
    Event::default().id(line.seq.to_string()).event(name).data(data)
}

/// The number behind which a stream begins.
pub(super) fn begin(headers: &HeaderMap, after: Option<i64>) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(after);
    };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(|number| *number >= 0);
    let wrong = || {
        Problem::new(Kind::InvalidField, "header `Last-Event-ID` is the number of an event")
            .of_field("last-event-id")
    };
    number.map(Some).ok_or_else(wrong)
}

/// A stream of what `read` finds behind a number, until the reader goes, the server
/// stops or `read` gives nothing back.
pub(super) fn stream(
    talk: Conversations,
    server: super::Server,
    after: i64,
    read: impl Read,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    kept_open(news(talk, server, after, read))
}

/// A stream that says nothing now and then, so that nobody on the way closes it.
pub(super) fn kept_open<S: Stream<Item = Result<Event, Infallible>> + Send + 'static>(
    events: S,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

/// What reads what a stream says: what there is behind a number, and `None` when there will
/// be nothing any more.
pub(super) trait Read:
    Fn(&Conversations, i64) -> Done<Option<Vec<(i64, Event)>>> + Send + 'static
{
}

impl<F: Fn(&Conversations, i64) -> Done<Option<Vec<(i64, Event)>>> + Send + 'static> Read for F {}

/// What `read` finds behind a number, again and again. It reads on a blocking thread, and
/// few streams do at a time: who serves all others must not wait for a server of records that
/// hangs.
pub(super) fn news(
    talk: Conversations,
    server: super::Server,
    after: i64,
    read: impl Read,
) -> impl Stream<Item = Result<Event, Infallible>> {
    struct Reader<F> {
        talk: Conversations,
        server: super::Server,
        after: i64,
        ready: std::vec::IntoIter<(i64, Event)>,
        /// What was noted before there was nothing, and when that was.
        quiet: Option<(Noted, Instant)>,
        read: F,
    }
    impl<F: Read> Reader<F> {
        /// Whether there can be something new, as far as that is known without asking.
        fn may_have_news(&self) -> bool {
            let is_quiet = |(noted, since): (Noted, Instant)| {
                since.elapsed() < THERE && self.talk.noted() == Some(noted)
            };
            !self.quiet.is_some_and(is_quiet)
        }

        /// Reads what there is; `None` when there will be nothing any more.
        fn look(mut self) -> Option<Self> {
            let noted = self.talk.noted();
            // What cannot be read now can be later.
            let found = (self.read)(&self.talk, self.after).map(|found| found.map(Vec::into_iter));
            self.quiet = None;
            if let Ok(found) = found {
                self.ready = found?;
                self.quiet = noted.filter(|_| self.ready.len() == 0).map(|noted| (noted, Instant::now()));
            }
            Some(self)
        }
    }
    let reader = Reader { talk, server, after, ready: Vec::new().into_iter(), quiet: None, read };
    unfold(reader, async |mut reader| {
        loop {
            if let Some((seq, event)) = reader.ready.next() {
                reader.after = seq;
                return Some((Ok(event), reader));
            }
            if reader.server.is_stopping() {
                return None;
            }
            if reader.may_have_news() {
                let permit = reader.server.following().await.ok()?;
                reader = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    reader.look()
                })
                .await
                .ok()??;
            }
            if reader.ready.len() == 0 {
                tokio::time::sleep(LOOK).await;
            }
        }
    })
}

/// The client's name for what it sends: that of the header, else that of the body.
pub(super) fn named(headers: &HeaderMap, client_id: Option<String>) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY) else { return Ok(client_id) };
    let key = value.to_str().ok().map(|text| text.trim().trim_matches('"').to_owned());
    let wrong = || {
        Problem::new(Kind::InvalidField, "header `Idempotency-Key` is 1 to 128 visible characters")
            .of_field(IDEMPOTENCY)
    };
    key.filter(|key| is_sound_id(key)).ok_or_else(wrong).map(Some)
}

impl AnswerRequest {
    /// The same with the name that a header gives the message.
    pub(super) fn keyed(self, headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self { client_id: named(headers, self.client_id)?, ..self })
    }
}

/// What a customer who talks to a person hears from `/v1/answer`.
pub(super) fn silent(engine: &Engine, with: &WithPerson, channel: Option<&str>) -> Reply {
    use crate::decide::{Decision, Reason};
    let outcome = crate::engine::Outcome::bare(Decision::Handoff, Reason::WithPerson);
    let mut reply = Reply::new(engine, &outcome, channel, None);
    reply.session = Some(with.session.clone());
    reply.owner = Some(with.owner.name());
    if let Some(handoff) = &mut reply.handoff {
        handoff.id.clone_from(&with.handoff);
    }
    reply
}

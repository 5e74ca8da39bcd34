//! How does a person at a desk take over?

use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Json;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa_axum::routes;

use super::address::{Path, Query, page_end, page_size, span_of};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::notes::is_note;
use super::request::{fields, json};
use super::routes::Routes;
use super::talk::{begin, named, stream};
use crate::access::Right;
use crate::dialogue::conversation::{TEXT_CHARS, is_sound_id};
use crate::dialogue::handoff::{Handoff, State, Step};
use crate::dialogue::told::{TRANSCRIPT, ToldHandoff, moment};
use crate::error::Error;
use crate::events::Doing;
use crate::store::{Act, Conversations, PastHandoffs, Signature, Wanted};

/// The largest body, in bytes.
const BYTES: usize = 64 << 10;

/// Handoffs per page at most.
const PAGE: i64 = 200;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Agent, routes!(list))
        .may(Right::Agent, routes!(count))
        .may(Right::Agent, routes!(follow))
        .may(Right::Agent, routes!(get))
        .may(Right::Agent, routes!(claim))
        .may(Right::Agent, routes!(reply))
        .may(Right::Agent, routes!(close))
        .may(Right::Agent, routes!(give_back))
        .may(Right::Agent, routes!(renew))
        .may(Right::Agent, routes!(past))
        .may(Right::Agent, routes!(transfer))
        .bodies(BYTES)
}

/// Which handoffs are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listed {
    /// Only those in this state; without it those that are open: `waiting`, `claimed`, `answered`.
    #[param(inline)]
    state: Option<State>,
    /// Only those of this knowledge base.
    kb: Option<String>,
    /// Only those that this person at the desk has: `claimed` and `answered` ones. With
    /// another `state`, those that they had last.
    agent: Option<String>,
    /// The `next` of the page before, as it is; it may be below zero.
    after: Option<i64>,
    /// At most so many, 1 to 200; without it 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// So many of the last lines in `transcript`, 0 to 50; without it 50.
    #[param(minimum = 0, maximum = 50)]
    lines: Option<i64>,
}

/// Handoffs in the order of the queue.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Handoffs)]
struct Told {
    /// In the order of the queue: those that wait in which somebody may be in danger
    /// (`sensitive`), then all by age.
    items: Vec<ToldHandoff>,
    /// The `after` of the next page; `null` when this is the last.
    next: Option<i64>,
}

/// What somebody does, and who it is.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = DeskAction)]
struct Action {
    /// The person at the desk, at most 100 characters; without it `Zhida-Author`,
    /// or the name of the key: of one without a name `key` and its id, where no key is
    /// needed `http`.
    #[schema(max_length = 100)]
    agent: Option<String>,
    /// What they say to the customer: needed to reply, a last word to close or return.
    #[schema(max_length = 4000)]
    text: Option<String>,
    /// The entry whose proposed answer this is.
    entry: Option<String>,
    /// The desk's name for the message, as `Idempotency-Key`: the same one is not sent twice.
    client_id: Option<String>,
}

/// To whom somebody gives a conversation.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = HandoffTransfer)]
struct Transfer {
    /// The person at the desk, as above.
    #[schema(max_length = 100)]
    agent: Option<String>,
    /// The colleague, one of `GET /v1/presence`; without it the conversation waits for
    /// whoever takes it next.
    #[schema(max_length = 100)]
    to: Option<String>,
    /// What the colleague is to know; no customer sees it.
    #[schema(max_length = 4000)]
    note: Option<String>,
}

/// A handoff with what belongs to it at this moment.
pub(super) fn told(caller: &Caller, handoff: &Handoff) -> Result<ToldHandoff, Problem> {
    told_with(caller, handoff, TRANSCRIPT)
}

/// The same with so many of the last lines.
fn told_with(caller: &Caller, handoff: &Handoff, lines: i64) -> Result<ToldHandoff, Problem> {
    let desk = caller.desk();
    let lines = if lines > 0 { desk.talk().last_lines(handoff.key, lines)? } else { Vec::new() };
    let mut told = ToldHandoff::of(handoff, &lines, desk.now());
    if let Some(position) = desk.position(handoff)? {
        told.position = Some(position);
        told.estimated_wait_s = desk.estimated_wait(&handoff.kb, position)?;
    }
    Ok(told)
}

/// A handoff that the caller may know of.
pub(super) fn found(caller: &Caller, id: &str) -> Result<Handoff, Problem> {
    let none = || Error::Absent { what: "handoff", name: id.chars().take(100).collect() };
    let found = caller.desk().talk().handoff(id)?.filter(|handoff| caller.knows(&handoff.kb));
    found.ok_or_else(|| none().into())
}

/// List handoffs in the order of the queue.
///
/// Those that wait in which somebody may be in danger (`reason` is `sensitive`) come first,
/// then all by age; `position` counts in the same order.
#[utoipa::path(
    get,
    operation_id = "list_handoffs",
    path = "/v1/handoffs",
    params(Listed),
    responses((status = 200, description = "The handoffs.", body = Told), Problems)
)]
async fn list(caller: Caller, Query(wanted): Query<Listed>) -> Result<Json<Told>, Problem> {
    let limit = page_size(wanted.limit.unwrap_or(50), PAGE)?;
    let lines = wanted.lines.unwrap_or(TRANSCRIPT);
    if !(0..=TRANSCRIPT).contains(&lines) {
        let detail = format!("`lines` is {lines}; it is 0 to {TRANSCRIPT}");
        return Err(Problem::new(Kind::InvalidField, detail).of_field("lines"));
    }
    caller
        .at_desk(move |caller| {
            let kbs = caller.within(wanted.kb)?;
            let states = match (wanted.state, &wanted.agent) {
                (Some(state), _) => vec![state],
                // What they gave back is nobody's.
                (None, Some(_)) => vec![State::Claimed, State::Answered],
                (None, None) => vec![State::Waiting, State::Claimed, State::Answered],
            };
            let mut handoffs = caller.desk().talk().handoffs(&Wanted {
                states: &states,
                kbs: kbs.as_deref(),
                agent: wanted.agent.as_deref(),
                after: wanted.after.unwrap_or(0),
                limit: limit + 1,
            })?;
            let next = page_end(&mut handoffs, limit, Handoff::rank);
            let told = |handoff| told_with(caller, handoff, lines);
            let items = handoffs.iter().map(told).collect::<Result<_, _>>()?;
            Ok(Json(Told { items, next }))
        })
        .await
}

/// Which handoffs that are over are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Past {
    /// Only those of this knowledge base.
    kb: Option<String>,
    /// Only those that this person had last.
    agent: Option<String>,
    /// Only those with this in the customer's question, in what was said or noted, in what
    /// the client says of the customer, or as the name of the conversation.
    q: Option<String>,
    /// Only those that came from this moment on, RFC 3339 or a day such as 2026-11-27.
    from: Option<String>,
    /// Only those that came before this moment, which is after `from`.
    to: Option<String>,
    /// The `next` of the page before.
    before: Option<i64>,
    /// At most so many, 1 to 200; without it 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
}

/// List handoffs that are over, the latest first.
#[utoipa::path(
    get,
    operation_id = "list_past_handoffs",
    path = "/v1/handoffs/past",
    params(Past),
    responses((status = 200, description = "The handoffs; `next` is the `before` of the next page.", body = Told), Problems)
)]
async fn past(caller: Caller, Query(wanted): Query<Past>) -> Result<Json<Told>, Problem> {
    let limit = page_size(wanted.limit.unwrap_or(50), PAGE)?;
    let (from, to) = span_of(wanted.from.as_deref(), wanted.to.as_deref())?;
    caller
        .at_desk(move |caller| {
            let kbs = caller.within(wanted.kb)?;
            let mut handoffs = caller.desk().talk().past_handoffs(&PastHandoffs {
                kbs: kbs.as_deref(),
                agent: wanted.agent.as_deref(),
                text: wanted.q.as_deref().map(str::trim).filter(|text| !text.is_empty()),
                from,
                to,
                before: wanted.before,
                limit: limit + 1,
            })?;
            let next = page_end(&mut handoffs, limit, |last| last.number);
            let items = handoffs.iter().map(|handoff| told(caller, handoff)).collect::<Result<_, _>>()?;
            Ok(Json(Told { items, next }))
        })
        .await
}

/// Whose handoffs are counted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Counted {
    /// Only those of this knowledge base.
    kb: Option<String>,
}

/// How many handoffs are open.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = HandoffCount)]
struct Count {
    /// Those that nobody has taken.
    waiting: i64,
    /// Those that somebody has.
    taken: i64,
}

/// Count the handoffs that are open, without reading any.
#[utoipa::path(
    get,
    operation_id = "count_handoffs",
    path = "/v1/handoffs/count",
    params(Counted),
    responses((status = 200, description = "How many there are.", body = Count), Problems)
)]
async fn count(caller: Caller, Query(wanted): Query<Counted>) -> Result<Json<Count>, Problem> {
    caller
        .at_desk(move |caller| {
            let kbs = caller.within(wanted.kb)?;
            let (waiting, taken) = caller.desk().talk().open_handoffs(kbs.as_deref())?;
            Ok(Json(Count { waiting, taken }))
        })
        .await
}

/// Show a handoff.
#[utoipa::path(
    get,
    operation_id = "get_handoff",
    path = "/v1/handoffs/{id}",
    params(("id" = String, Path, description = "The handoff.")),
    responses((status = 200, description = "The handoff.", body = ToldHandoff), Problems)
)]
async fn get(caller: Caller, Path(id): Path<String>) -> Result<Json<ToldHandoff>, Problem> {
    caller.at_desk(move |caller| Ok(Json(told(caller, &found(caller, &id)?)?))).await
}

/// Does a step for whoever sends a request.
async fn step(
    caller: Caller,
    id: String,
    step: Step,
    request: Request,
) -> Result<Json<ToldHandoff>, Problem> {
    let doing = doing(request).await?;
    if step == Step::Reply && doing.text.is_none() {
        let detail = "field `text` is missing; it is what the customer is told";
        return Err(Problem::new(Kind::MissingField, detail).of_field("text"));
    }
    caller.at_desk(move |caller| stepped(caller, &id, step, &doing, &Passed::default())).await
}

/// What goes along with a conversation that is passed on.
#[derive(Default)]
struct Passed {
    to: Option<String>,
    note: Option<String>,
}

fn stepped(
    caller: &Caller,
    id: &str,
    step: Step,
    doing: &Action,
    passed: &Passed,
) -> Result<Json<ToldHandoff>, Problem> {
    let known = found(caller, id)?;
    let signed = &caller.signature().author;
    let agent = doing.agent.as_deref().unwrap_or(signed);
    let is_person = caller.identity().is_person();
    // A desk with one key says who works there; a person is who they are.
    if is_person && agent != signed {
        let detail = format!("you are {signed}, and cannot act as {agent}");
        return Err(Problem::new(Kind::InvalidField, detail).of_field("agent"));
    }
    if let Some(to) = &passed.to {
        may_have(caller, &known, agent, to)?;
    }
    let named = is_person || doing.agent.is_some() || *signed != caller.identity().name;
    let act = Act {
        named,
        text: doing.text.as_deref(),
        to: passed.to.as_deref(),
        note: passed.note.as_deref(),
        client_id: doing.client_id.as_deref(),
        ..Act::of(step, agent, caller.desk().now())
    };
    let handoff = caller.desk().talk().act(&known.id, &act)?;
    // What was said before was kept then.
    if handoff.version == known.version {
        return Ok(Json(told(caller, &handoff)?));
    }
    let mut sent = None;
    if let (Step::Reply, Some(text)) = (step, &doing.text) {
        let verdicts = caller.desk().judge(&known.id, text, doing.entry.as_deref(), agent)?;
        sent = verdicts.into_iter().find(|one| one.verdict == "taken" || one.verdict == "edited");
    }
    let did = match step {
        Step::Claim => Some(Doing::Claimed),
        Step::Reply if sent.is_some() => Some(Doing::Proposal),
        Step::Reply => Some(Doing::Replied),
        Step::Transfer | Step::Release => Some(Doing::Transferred),
        Step::Return => Some(Doing::Returned),
        Step::Close => Some(Doing::Closed),
        Step::Renew | Step::Expire | Step::Withdraw => None,
    };
    if let Some(did) = did {
        let entry = sent.map(|one| one.entry);
        let said = doing.text.as_deref();
        caller.tell_doing(&known.kb, &known.conversation, agent, did, said, entry.as_deref());
    }
    caller.desk().wake();
    Ok(Json(told(caller, &handoff)?))
}

/// Whether a conversation may be given to somebody: nobody would answer the customer
/// if they were not there.
fn may_have(caller: &Caller, handoff: &Handoff, agent: &str, to: &str) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::new(Kind::InvalidField, detail).of_field("to"));
    if to == agent {
        return wrong(format!("{to} is who passes the conversation on; name a colleague"));
    }
    if !caller.desk().is_present(to)? {
        return wrong(format!("nobody called {to} is at the desk now; `GET /v1/presence` lists who is"));
    }
    if !caller.may_see(to, &handoff.kb) {
        return wrong(format!("{to} may not see knowledge base {}", handoff.kb));
    }
    Ok(())
}

async fn read<T: DeserializeOwned + Default>(request: Request) -> Result<T, Problem> {
    // Whoever has nothing to say sends nothing.
    let empty = request.headers().get("content-length").is_none_or(|length| length == "0")
        && request.headers().get("content-type").is_none()
        && request.headers().get("transfer-encoding").is_none();
    if empty { Ok(T::default()) } else { fields(json(request, BYTES).await?) }
}

/// Whether a name is one that somebody at a desk can have.
fn is_name(field: &str, name: &str) -> Result<(), Problem> {
    let chars = name.chars().count();
    if name.trim().is_empty() || chars > Signature::AUTHOR_CHARS || name.chars().any(char::is_control) {
        let detail = format!("`{field}` is 1 to {} visible characters", Signature::AUTHOR_CHARS);
        return Err(Problem::new(Kind::InvalidField, detail).of_field(field));
    }
    Ok(())
}

async fn doing(request: Request) -> Result<Action, Problem> {
    let headers = request.headers().clone();
    let mut doing: Action = read(request).await?;
    doing.client_id = named(&headers, doing.client_id)?;
    let wrong = |field: &str, detail: String| Err(Problem::new(Kind::InvalidField, detail).of_field(field));
    if let Some(agent) = &doing.agent {
        is_name("agent", agent)?;
    }
    if let Some(text) = &doing.text {
        let chars = text.chars().count();
        if text.trim().is_empty() {
            return Err(Problem::new(Kind::BlankText, "the reply is blank: `text` holds nothing visible")
                .of_field("text"));
        }
        if chars > TEXT_CHARS {
            let detail = format!("`text` has {chars} characters; the limit is {TEXT_CHARS}");
            return Err(Problem::new(Kind::TextTooLong, detail).of_field("text"));
        }
    }
    if doing.client_id.as_ref().is_some_and(|id| !is_sound_id(id)) {
        return wrong("client_id", "`client_id` is 1 to 128 visible characters".to_owned());
    }
    Ok(doing)
}

/// Take a conversation.
///
/// Exactly one of those who try gets it; the others hear 409. The claim holds for
/// ten minutes, and anew with everything that is done; after that the conversation
/// waits again.
#[utoipa::path(
    post,
    operation_id = "claim_handoff",
    path = "/v1/handoffs/{id}/claim",
    params(("id" = String, Path, description = "The handoff.")),
    request_body(content = Action, description = "May be left out."),
    responses(
        (status = 200, description = "It is yours.", body = ToldHandoff),
        (status = 409, description = "Somebody else has it, or it is over.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn claim(
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ToldHandoff>, Problem> {
    step(caller, id, Step::Claim, request).await
}

/// Say something to the customer.
///
/// `Idempotency-Key` (or `client_id` in the body) names the message: the same one is said
/// once, however often it is sent.
#[utoipa::path(
    post,
    operation_id = "reply_handoff",
    path = "/v1/handoffs/{id}/reply",
    params(("id" = String, Path, description = "The handoff.")),
    request_body = Action,
    responses(
        (status = 200, description = "It is said.", body = ToldHandoff),
        (status = 409, description = "Somebody else has it, nobody does, or it is over.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn reply(
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ToldHandoff>, Problem> {
    step(caller, id, Step::Reply, request).await
}

/// Pass a conversation on to a colleague, or back into the queue.
///
/// A colleague has it at once, for ten minutes; if they do nothing in that time it
/// waits for whoever comes.
#[utoipa::path(
    post,
    operation_id = "transfer_handoff",
    path = "/v1/handoffs/{id}/transfer",
    params(("id" = String, Path, description = "The handoff.")),
    request_body(content = Transfer, description = "May be left out."),
    responses(
        (status = 200, description = "It is passed on.", body = ToldHandoff),
        (status = 409, description = "Somebody else has it, it waits already, or it is over.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn transfer(
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ToldHandoff>, Problem> {
    let Transfer { agent, to, note } = read(request).await?;
    for (field, name) in [("agent", &agent), ("to", &to)] {
        name.as_deref().map_or(Ok(()), |name| is_name(field, name))?;
    }
    if let Some(note) = &note {
        is_note("note", note)?;
    }
    let step = if to.is_some() { Step::Transfer } else { Step::Release };
    let doing = Action { agent, ..Action::default() };
    let passed = Passed { to, note };
    caller.at_desk(move |caller| stepped(caller, &id, step, &doing, &passed)).await
}

/// End a conversation.
#[utoipa::path(
    post,
    operation_id = "close_handoff",
    path = "/v1/handoffs/{id}/close",
    params(("id" = String, Path, description = "The handoff.")),
    request_body(content = Action, description = "May be left out."),
    responses(
        (status = 200, description = "It is over; the next message begins anew with the robot.", body = ToldHandoff),
        (status = 409, description = "Somebody else has it, or it is over.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn close(
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ToldHandoff>, Problem> {
    step(caller, id, Step::Close, request).await
}

/// Give a conversation back to the robot.
#[utoipa::path(
    post,
    operation_id = "return_handoff",
    path = "/v1/handoffs/{id}/return",
    params(("id" = String, Path, description = "The handoff.")),
    request_body(content = Action, description = "May be left out."),
    responses(
        (status = 200, description = "The robot has it again.", body = ToldHandoff),
        (status = 409, description = "Somebody else has it, or it is over.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn give_back(
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ToldHandoff>, Problem> {
    step(caller, id, Step::Return, request).await
}

/// Say that one is still there, so that a claim holds on.
#[utoipa::path(
    post,
    operation_id = "renew_handoff",
    path = "/v1/handoffs/{id}/renew",
    params(("id" = String, Path, description = "The handoff.")),
    request_body(content = Action, description = "May be left out."),
    responses(
        (status = 200, description = "It holds for ten minutes from now.", body = ToldHandoff),
        (status = 409, description = "Somebody else has it, nobody does, or it is over.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn renew(
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ToldHandoff>, Problem> {
    step(caller, id, Step::Renew, request).await
}

/// Where a desk's stream begins.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Behind {
    /// Behind this number; without it and `Last-Event-ID` with what happens from now on.
    after: Option<i64>,
}

/// Follow what happens at the desk.
///
/// Server-sent events named `waiting`, `claimed`, `answered`, `closed`, `returned`,
/// `expired`, `withdrawn` (the customer waits no longer), `transferred` (`text` is the
/// colleague) and `message` (from a customer whom a person has), with `handoff`, `kb`, `text`
/// and `at`. Each has its number as `id`; `Last-Event-ID` begins behind it.
#[utoipa::path(
    get,
    operation_id = "follow_handoffs",
    path = "/v1/handoffs/events",
    params(Behind),
    responses(
        (status = 200, description = "A stream without end.", content_type = "text/event-stream", body = String),
        Problems,
    )
)]
async fn follow(
    caller: Caller,
    Query(wanted): Query<Behind>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let begin = begin(&headers, wanted.after)?;
    let (caller, begin) = caller
        .at_desk(move |caller| {
            let last = match begin {
                Some(begin) => begin,
                None => caller.desk().talk().last_news()?,
            };
            Ok((caller.clone(), last))
        })
        .await?;
    let (talk, server) = (caller.desk().talk().clone(), caller.server().clone());
    // What is for others is looked at once, not again at every look.
    let passed = AtomicI64::new(begin);
    let read = move |talk: &Conversations, after: i64| {
        let mut after = after.max(passed.load(Ordering::Relaxed));
        loop {
            let news = talk.news(after, PAGE)?;
            let Some(last) = news.last().map(|one| one.seq) else { return Ok(Some(Vec::new())) };
            let mine: Vec<(i64, Event)> = news
                .into_iter()
                .filter(|one| caller.knows(&one.kb))
                .map(|one| {
                    let data =
                        json!({"handoff": one.handoff, "kb": one.kb, "text": one.data, "at": moment(one.at)});
                    let event =
                        Event::default().id(one.seq.to_string()).event(&one.kind).data(data.to_string());
                    (one.seq, event)
                })
                .collect();
            if !mine.is_empty() {
                return Ok(Some(mine));
            }
            // Nothing of that is for this reader; there may be more.
            after = last;
            passed.store(last, Ordering::Relaxed);
        }
    };
    Ok(stream(talk, server, begin, read))
}

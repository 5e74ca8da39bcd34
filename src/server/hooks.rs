//! Who is told what happens, and what could not be told?
//!
//! Webhooks out, dead letters, and where platforms send their callbacks.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::routes;

use super::address::{Path, Query, page_end, page_size};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::request::{bytes, fields, json};
use super::routes::Routes;
use super::{DESKS_PATIENCE, Server};
use crate::access::{Right, Scope};
use crate::desk::delivery::Tried;
use crate::desk::messengers::Delivery;
use crate::desk::platforms::{Received, Refused};
use crate::desk::webhooks::{EVENTS, ROTATION, new_secret};
use crate::desk::{Reach, address_fault, new_id, reach_fault};
use crate::dialogue::told::moment;
use crate::error::Error;
use crate::store::{Signature, Taken, Webhook};

/// The largest body of ours, in bytes.
const BYTES: usize = 64 << 10;

/// The largest callback of a platform, in bytes.
const CALLBACK: usize = 1 << 20;

/// Dead letters per page at most.
const PAGE: i64 = 200;

pub(super) fn routes() -> Routes {
    let callbacks = Routes::new().may(Right::Public, routes!(callback, checked)).bodies(CALLBACK);
    Routes::new()
        .may(Right::Admin, routes!(list, create))
        .may(Right::Admin, routes!(delete))
        .may(Right::Admin, routes!(rotate))
        .may(Right::Admin, routes!(test))
        .may(Right::Admin, routes!(dead))
        .may(Right::Admin, routes!(replay))
        .bodies(BYTES)
        .merge(callbacks)
}

/// A receiver of events.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// Where events go.
    url: String,
    /// Its name for people.
    #[serde(default)]
    name: String,
    /// The events that it wants; all without it.
    #[serde(default)]
    events: Vec<String>,
    /// The knowledge bases whose events it wants; all without it.
    #[serde(default)]
    kbs: Vec<String>,
    /// Whether it may be on an address inside the house; else such an address is not taken
    /// here, and not called should its name lead there later.
    #[serde(default)]
    private: bool,
}

/// A webhook.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Webhook)]
struct Told {
    /// Its id.
    id: String,
    /// Its name for people.
    name: String,
    /// Where events go.
    url: String,
    /// The events that it wants; all when empty.
    events: Vec<String>,
    /// The knowledge bases whose events it wants; all when empty.
    kbs: Vec<String>,
    /// Whether it may be on an address inside the house.
    private: bool,
    /// When it was made, RFC 3339.
    created_at: String,
    /// What signatures are made with; told only when it is made or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Until when the secret before this one signs too, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_until: Option<String>,
}

impl Told {
    fn of(webhook: Webhook, secret: bool) -> Self {
        Self {
            id: webhook.id,
            name: webhook.name,
            url: webhook.url,
            events: webhook.events,
            kbs: webhook.kbs,
            private: webhook.private,
            created_at: moment(webhook.created_at),
            secret: secret.then_some(webhook.secret),
            previous_until: webhook.previous_until.map(moment),
        }
    }
}

/// All webhooks.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Webhooks {
    /// The oldest first.
    items: Vec<Told>,
}

/// Whether the caller may know of a webhook: it tells nothing of what they may not see.
fn sees(caller: &Caller, webhook: &Webhook) -> bool {
    let all = caller.identity().scope == Scope::All;
    all || (!webhook.kbs.is_empty() && webhook.kbs.iter().all(|kb| caller.knows(kb)))
}

/// A webhook that the caller may know of.
fn found(caller: &Caller, id: &str) -> Result<Webhook, Problem> {
    let none = || Error::Absent { what: "webhook", name: id.chars().take(100).collect() };
    let found = caller.desk().talk().webhook(id)?.filter(|webhook| sees(caller, webhook));
    found.ok_or_else(|| none().into())
}

/// List webhooks.
#[utoipa::path(
    get,
    operation_id = "list_webhooks",
    path = "/v1/webhooks",
    responses((status = 200, description = "The webhooks.", body = Webhooks), Problems)
)]
async fn list(caller: Caller) -> Result<Json<Webhooks>, Problem> {
    caller
        .at_desk(|caller| {
            let webhooks = caller.desk().talk().webhooks()?.into_iter().filter(|one| sees(caller, one));
            Ok(Json(Webhooks { items: webhooks.map(|one| Told::of(one, false)).collect() }))
        })
        .await
}

/// Add a webhook; its secret is told in the reply and never again.
///
/// What happens is posted as `{"type":…,"timestamp":…,"data":{…}}`, signed after Standard
/// Webhooks: `webhook-id` (the same over all attempts), `webhook-timestamp` (Unix seconds) and
/// `webhook-signature` (`v1,` and base64 of the HMAC-SHA256 of `id.timestamp.body`; for a day
/// after a rotation one for each secret, with a space between them). Any 2xx within 15 seconds
/// takes it; else it is tried again, twelve times in a bit more than a day, and lies
/// among the dead letters then. Events come in no fixed order.
///
/// | `type` | when | `data` |
/// | --- | --- | --- |
/// | `handoff.created` | somebody wants a person | the handoff, as `GET /v1/handoffs/{id}` |
/// | `handoff.claimed`, `.answered`, `.waiting`, `.closed`, `.returned`, `.expired`, `.withdrawn` | it goes into that state | the handoff |
/// | `message.received` | the customer says something to whoever has the conversation, or waiting | `conversation`, `kb`, `handoff`, `channel`, `seq`, `text` |
/// | `message.sent` | an agent replies | the same, `customer`, `author` |
/// | `message.undelivered` | a channel has not taken a message | as `message.received`, and `why` |
/// | `ticket.created`, `ticket.updated` | a ticket is there, or changes | the ticket, as `GET /v1/tickets/{number}` |
/// | `webhook.test` | `POST /v1/webhooks/{id}/test` | the webhook's id |
#[utoipa::path(
    post,
    operation_id = "create_webhook",
    path = "/v1/webhooks",
    request_body = NewWebhook,
    responses((status = 201, description = "The webhook with its secret.", body = Told), Problems)
)]
async fn create(caller: Caller, request: Request) -> Result<Response, Problem> {
    let new: NewWebhook = fields(json(request, BYTES).await?)?;
    let wrong = |field: &str, detail: String| Err(Problem::new(Kind::InvalidField, detail).of_field(field));
    if let Some(fault) = address_fault(&new.url) {
        return wrong("url", fault);
    }
    if let Some(unknown) = new.events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
        let shown: String = unknown.chars().take(100).collect();
        return wrong("events", format!("there is no event {shown:?}; there are {}", EVENTS.join(", ")));
    }
    if new.name.chars().count() > Signature::AUTHOR_CHARS {
        return wrong("name", format!("`name` has more than {} characters", Signature::AUTHOR_CHARS));
    }
    caller.may_reach_inside(new.private)?;
    caller
        .at_desk(move |caller| {
            let reach = if new.private { Reach::Private } else { Reach::Public };
            if let Some(fault) = reach_fault(&new.url, reach) {
                let detail = format!("`url`: {fault}");
                return Err(Problem::new(Kind::InvalidField, detail).of_field("url"));
            }
            for kb in &new.kbs {
                caller.shelf(kb)?;
            }
            let kbs = match &caller.identity().scope {
                // Whoever sees some knowledge bases is told of those.
                Scope::Named(names) if new.kbs.is_empty() => names.clone(),
                _ => new.kbs,
            };
            let webhook = Webhook {
                id: new_id(),
                name: new.name,
                url: new.url,
                events: new.events,
                kbs,
                secret: new_secret()?,
                previous: None,
                previous_until: None,
                private: new.private,
                created_at: caller.desk().now(),
            };
            caller.desk().talk().add_webhook(&webhook)?;
            Ok((StatusCode::CREATED, Json(Told::of(webhook, true))).into_response())
        })
        .await
}

/// Remove a webhook with what it has not been told yet.
#[utoipa::path(
    delete,
    operation_id = "delete_webhook",
    path = "/v1/webhooks/{id}",
    params(("id" = String, Path, description = "The webhook.")),
    responses((status = 204, description = "It is gone."), Problems)
)]
async fn delete(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    caller
        .at_desk(move |caller| {
            found(caller, &id)?;
            caller.desk().talk().remove_webhook(&id)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

/// Sign with a new secret; the old one signs too for a day.
#[utoipa::path(
    post,
    operation_id = "rotate_webhook",
    path = "/v1/webhooks/{id}/rotate",
    params(("id" = String, Path, description = "The webhook.")),
    responses((status = 200, description = "The webhook with its new secret.", body = Told), Problems)
)]
async fn rotate(caller: Caller, Path(id): Path<String>) -> Result<Json<Told>, Problem> {
    caller
        .at_desk(move |caller| {
            found(caller, &id)?;
            let until = caller.desk().now() + ROTATION;
            let webhook = caller.desk().talk().rotate_webhook(&id, &new_secret()?, until)?;
            Ok(Json(Told::of(webhook, true)))
        })
        .await
}

/// What came of a test.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Tested {
    /// Whether the receiver took it.
    delivered: bool,
    /// The status that it replied with; `null` when there was no reply.
    status: Option<u16>,
    /// Why it did not take it.
    error: Option<String>,
}

/// Send `webhook.test` now, once, and say what came of it.
#[utoipa::path(
    post,
    operation_id = "test_webhook",
    path = "/v1/webhooks/{id}/test",
    params(("id" = String, Path, description = "The webhook.")),
    responses((status = 200, description = "What came of it.", body = Tested), Problems)
)]
async fn test(caller: Caller, Path(id): Path<String>) -> Result<Json<Tested>, Problem> {
    caller
        .at_desk(move |caller| {
            let webhook = found(caller, &id)?;
            let Tried { status, fault } = caller.desk().test_webhook(&webhook);
            Ok(Json(Tested { delivered: fault.is_none(), status, error: fault }))
        })
        .await
}

/// Which letters are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// `dead`, which it is without this, for what nobody tries any more; `due` for what waits.
    #[param(inline)]
    state: Option<LetterState>,
    /// Only those with a smaller number: the `next` of the page before.
    before: Option<i64>,
    /// At most so many, 1 to 200; without it 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum LetterState {
    #[default]
    Dead,
    Due,
}

/// Something that was not delivered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DeadLetter)]
struct Letter {
    /// Its number.
    seq: i64,
    /// The `webhook-id` that the receiver sees.
    id: String,
    /// `webhook:ID`, `channel:ID`, or `inbox:ID` for what a platform sent and nobody could work on.
    target: String,
    /// The event.
    kind: String,
    /// The knowledge base.
    kb: String,
    /// How often it was tried.
    attempts: i32,
    /// What came of the last attempt.
    error: Option<String>,
    /// When it was written, RFC 3339.
    created_at: String,
    /// What was to be delivered.
    #[schema(value_type = Object)]
    body: Value,
}

impl From<Taken> for Letter {
    fn from(taken: Taken) -> Self {
        Self {
            seq: taken.seq,
            id: taken.id,
            target: taken.target,
            kind: taken.kind,
            kb: taken.kb,
            attempts: taken.attempts,
            error: taken.error,
            created_at: moment(taken.created_at),
            body: serde_json::from_str(&taken.body).unwrap_or_default(),
        }
    }
}

/// Letters, the latest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DeadLetters)]
struct Letters {
    /// The latest first.
    items: Vec<Letter>,
    /// The `before` of the next page; `null` when this is the last.
    next: Option<i64>,
}

/// List what could not be delivered.
#[utoipa::path(
    get,
    operation_id = "list_dead_letters",
    path = "/v1/dead-letters",
    params(Page),
    responses((status = 200, description = "The letters.", body = Letters), Problems)
)]
async fn dead(caller: Caller, Query(page): Query<Page>) -> Result<Json<Letters>, Problem> {
    let limit = page_size(page.limit.unwrap_or(50), PAGE)?;
    caller
        .at_desk(move |caller| {
            let talk = caller.desk().talk();
            let mut letters = match page.state.unwrap_or_default() {
                LetterState::Dead => talk.dead_jobs(page.before, limit + 1)?,
                LetterState::Due => talk.due_jobs(page.before, limit + 1)?,
            };
            let next = page_end(&mut letters, limit, |last| last.seq);
            let mine = letters.into_iter().filter(|letter| caller.knows(&letter.kb));
            Ok(Json(Letters { items: mine.map(Letter::from).collect(), next }))
        })
        .await
}

/// Deliver a dead letter after all, under the id that it had.
#[utoipa::path(
    post,
    operation_id = "replay_dead_letter",
    path = "/v1/dead-letters/{number}/replay",
    params(("number" = i64, Path, description = "The letter's `seq`.")),
    responses((status = 202, description = "It is tried again.", body = Letter), Problems)
)]
async fn replay(caller: Caller, Path(number): Path<i64>) -> Result<Response, Problem> {
    caller
        .at_desk(move |caller| {
            let talk = caller.desk().talk();
            let none = || Error::Absent { what: "dead letter", name: number.to_string() };
            let dead = talk.job(number)?.filter(|letter| caller.knows(&letter.kb));
            dead.ok_or_else(none)?;
            let letter = talk.replay(number, caller.desk().now())?;
            caller.desk().wake();
            Ok((StatusCode::ACCEPTED, Json(Letter::from(letter))).into_response())
        })
        .await
}

/// What a platform is told of its callback.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Taking {
    /// It is stored.
    accepted: bool,
    /// It was stored before.
    duplicate: bool,
}

/// The parameters that platforms put into the address.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Stamped {
    /// WeChat: the SHA-1 over token, timestamp and nonce.
    signature: Option<String>,
    /// WeChat, WeCom, DingTalk: the SHA-1 over these and the encrypted text.
    msg_signature: Option<String>,
    /// When it was sent, in seconds (DingTalk: milliseconds) since 1970.
    timestamp: Option<String>,
    /// Something that is new each time.
    nonce: Option<String>,
    /// What the check of the address is to be answered with; WeCom encrypts it.
    echostr: Option<String>,
    /// WeChat: `aes` when the message is encrypted.
    encrypt_type: Option<String>,
    /// WeChat: the customer.
    openid: Option<String>,
}

impl Stamped {
    fn get(&self, name: &str) -> Option<String> {
        match name {
            "signature" => self.signature.clone(),
            "msg_signature" => self.msg_signature.clone(),
            "timestamp" => self.timestamp.clone(),
            "nonce" => self.nonce.clone(),
            "echostr" => self.echostr.clone(),
            "encrypt_type" => self.encrypt_type.clone(),
            "openid" => self.openid.clone(),
            _ => None,
        }
    }
}

/// Answer a platform that asks whether an address is ours.
///
/// WeChat and WeCom ask so when the address is entered in their console; what they
/// sent comes back when it is signed with the channel's token.
#[utoipa::path(
    get,
    operation_id = "check_callback",
    path = "/channels/{kind}/{id}",
    params(
        ("kind" = String, Path, description = "How the platform speaks."),
        ("id" = String, Path, description = "The channel."),
        Stamped,
    ),
    responses(
        (status = 200, description = "What the platform sent.", body = String, content_type = "text/plain"),
        (status = 401, description = "It is not signed with the channel's token.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn checked(
    State(server): State<Server>,
    Path((kind, id)): Path<(String, String)>,
    Query(stamped): Query<Stamped>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    delivered(server, kind, id, stamped, headers, None).await
}

/// Take what a platform sends.
///
/// `kind` is `chatwoot`, `generic`, `wechat`, `wecom`, `wecom-kf`, `dingtalk` or
/// `feishu`, `id` the channel's name (`TENANT~NAME` for another tenant than the first).
/// It is verified and stored before this replies, and worked on afterwards; WeChat and
/// WeCom wait for the robot's words and get them. Each platform is replied to in its
/// own words, and a message that comes again gets the same reply.
#[utoipa::path(
    post,
    operation_id = "take_callback",
    path = "/channels/{kind}/{id}",
    params(
        ("kind" = String, Path, description = "How the platform speaks."),
        ("id" = String, Path, description = "The channel."),
        Stamped,
    ),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, description = "It is stored; WeChat, WeCom, DingTalk and Feishu get what they expect to read instead.", body = Taking),
        (status = 401, description = "It is not signed with the channel's secret.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn callback(
    State(server): State<Server>,
    Path((kind, id)): Path<(String, String)>,
    Query(stamped): Query<Stamped>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let body = bytes(request, CALLBACK).await?;
    delivered(server, kind, id, stamped, headers, Some(body)).await
}

/// Takes a request of a platform to its channel.
async fn delivered(
    server: Server,
    kind: String,
    id: String,
    stamped: Stamped,
    headers: HeaderMap,
    body: Option<Bytes>,
) -> Result<Response, Problem> {
    let worker = server.clone();
    let taking = server.desks().work(move |_| {
        let none = || Error::Absent { what: "channel", name: id.chars().take(100).collect() };
        let (tenant, name) = match id.split_once('~') {
            // Whoever sends this has no key: a name that they made up opens nothing.
            Some((tenant, _)) if !worker.gate().access().table().has_tenant(tenant) => {
                return Err(none().into());
            }
            Some((tenant, name)) => (worker.tenants().open(tenant).map_err(|_| none())?, name),
            None => (std::sync::Arc::clone(worker.tenants().first()), id.as_str()),
        };
        let desk = tenant.desk();
        let channel = desk.talk().channel(name)?.filter(|channel| channel.kind == kind).ok_or_else(none)?;
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let query = |name: &str| stamped.get(name);
        let delivery = Delivery { query: &query, header: &header, body: body.as_deref() };
        match desk.receive(&channel, &delivery) {
            Ok(Received::Stored(new)) => Ok(Json(Taking { accepted: true, duplicate: !new }).into_response()),
            Ok(Received::Answered(answer)) => {
                Ok(([(header::CONTENT_TYPE, answer.content_type)], answer.body).into_response())
            }
            Err(Refused::Unsigned(why)) => Err(Problem::new(Kind::Unauthorized, why)),
            Err(Refused::Malformed(why)) => Err(Problem::new(Kind::InvalidField, why)),
            Err(Refused::Failed(e)) => Err(e.into()),
        }
    });
    tokio::time::timeout(DESKS_PATIENCE, taking).await.map_err(|_| {
        Problem::new(Kind::DeadlineExceeded, "it could not be stored in time; send it again")
    })??
}

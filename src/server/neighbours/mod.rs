//! What do nodes ask of each other?
//!
//! What lies in one node's data directory and is needed on all: what happened there
//! ([`crate::events`]), which decision a trace id names, the pictures that were shown
//! there. These routes are no part of the API: only who reads the records knows the token
//! that opens them, and to everybody else they are not there.

mod ask;

pub(super) use ask::{Neighbours, picture};

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Json, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::{Router, http::StatusCode};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Server;
use super::elsewhere::{SentOn, store_of};
use super::error::{Kind, Problem};
use crate::access::DEFAULT_TENANT;
use crate::events::{Day, Days, Event, Kind as Happened, Log, Wanted};
use crate::store::picture_name;

const EVENTS: &str = "/nodes/events";
const DECISION: &str = "/nodes/decision";
const PICTURE: &str = "/nodes/picture";

/// So many bytes of events go at a time.
const CHUNK: usize = 64 << 10;

/// And so many of these may wait for who reads them.
const WAITING: usize = 4;

/// The events that a node asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    tenant: String,
    /// The folder that it reads itself: two servers may share one.
    folder: Option<String>,
    from: String,
    to: String,
    kb: Option<String>,
    kinds: Vec<Happened>,
    texts: bool,
    candidates: bool,
}

impl Reading {
    fn of(tenant: &str, folder: Option<&str>, wanted: &Wanted<'_>) -> Self {
        let Wanted { days, kb, kinds, texts, candidates } = *wanted;
        Self {
            tenant: tenant.to_owned(),
            folder: folder.map(str::to_owned),
            from: days.from.to_string(),
            to: days.to.to_string(),
            kb: kb.map(str::to_owned),
            kinds: kinds.to_vec(),
            texts,
            candidates,
        }
    }

    fn days(&self) -> crate::error::Result<Days> {
        let day = |text: &str| text.parse::<Day>();
        Days::new(day(&self.from)?, day(&self.to)?)
    }
}

/// The last line of events: that these are all.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    /// Lines that were torn or damaged, and passed over.
    end: u64,
}

/// A decision that a node asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Decision {
    tenant: String,
    trace_id: String,
}

/// A picture that a node asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Picture {
    tenant: String,
    conversation: i64,
    name: String,
}

pub(super) fn routes() -> Router<Server> {
    let only = |handler: MethodRouter<Server>| handler.layer(middleware::from_fn(only_nodes));
    Router::new()
        .route(EVENTS, only(post(events)))
        .route(DECISION, only(post(decision)))
        .route(PICTURE, only(post(picture_of)))
}

/// To everybody else nothing is here.
async fn only_nodes(request: Request, next: Next) -> Response {
    if request.extensions().get::<SentOn>().is_some() {
        next.run(request).await
    } else {
        nothing().into_response()
    }
}

fn nothing() -> Problem {
    Problem::new(Kind::NotFound, "nothing is served here")
}

/// What happened to a tenant on this node.
fn log_of(server: &Server, tenant: &str) -> Option<Log> {
    if let Some(open) = server.tenants().known(tenant) {
        return Some(open.log().clone());
    }
    // Whoever is open nowhere else is not opened for its events.
    let is_known = tenant == DEFAULT_TENANT || server.gate().access().table().has_tenant(tenant);
    Some(Log::open(store_of(server, tenant).filter(|_| is_known)?.root()))
}

/// Tells what happened here, a line each.
async fn events(State(server): State<Server>, Json(asked): Json<Reading>) -> Result<Response, Problem> {
    let nodes = server.share().nodes().ok_or_else(nothing)?;
    let readers = Arc::clone(nodes.readers());
    let turn = readers.acquire_owned().await.map_err(|_| nothing())?;
    let days = asked.days()?;
    let (out, lines) = mpsc::channel::<std::io::Result<Bytes>>(WAITING);
    let reading = server.clone();
    drop(tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let log = log_of(&reading, &asked.tenant);
        let is_another = |log: &Log| log.name().is_none_or(|name| asked.folder.as_ref() != Some(&name));
        let Some(log) = log.filter(is_another) else {
            let _ = out.blocking_send(Ok(line(&End { end: 0 })));
            return;
        };
        let wanted = Wanted {
            days,
            kb: asked.kb.as_deref(),
            kinds: &asked.kinds,
            texts: asked.texts,
            candidates: asked.candidates,
        };
        let mut chunk = Vec::with_capacity(CHUNK);
        // Who asked may have gone.
        let mut is_gone = false;
        let told = log.read_own(&wanted, |event| {
            chunk.extend_from_slice(&line(&event));
            if chunk.len() >= CHUNK && !is_gone {
                let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                is_gone = out.blocking_send(Ok(full.into())).is_err();
            }
            if is_gone {
                chunk.clear();
            }
        });
        let last = told.map(|told| {
            chunk.extend_from_slice(&line(&End { end: told.damaged }));
            chunk.into()
        });
        // Without the last line the other side knows that this is not all.
        let _ = out.blocking_send(last.map_err(|error| {
            tracing::warn!(%error, "another node asks for events that cannot be read");
            std::io::Error::other("the events cannot be read")
        }));
    }));
    let coming = stream::unfold(lines, async |mut lines| Some((lines.recv().await?, lines)));
    Ok(Body::from_stream(coming).into_response())
}

fn line<T: Serialize>(one: &T) -> Bytes {
    let mut line = serde_json::to_vec(one).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

/// Tells of the decision that a trace id names, if it was made here.
async fn decision(State(server): State<Server>, Json(asked): Json<Decision>) -> Result<Json<Event>, Problem> {
    let found = blocking(move || log_of(&server, &asked.tenant)?.find_own(&asked.trace_id).ok()?).await;
    found.map(Json).ok_or_else(nothing)
}

/// Shows a picture of a conversation, if it lies here.
async fn picture_of(State(server): State<Server>, Json(asked): Json<Picture>) -> Response {
    let found = blocking(move || {
        let store = store_of(&server, &asked.tenant)?;
        store.conversations().picture(asked.conversation, &asked.name).ok()?
    });
    found.await.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

/// Whether a picture is the one that its name says.
fn is_named(name: &str, bytes: &[u8]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| picture_name(bytes, ending) == name)
}

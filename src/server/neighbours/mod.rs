//! What do nodes ask of each other?
//!
//! What lies in one node's data directory or memory and is needed on all: what happened
//! there ([`crate::events`]) and what that adds up to by day, which decision a trace id
//! names, the pictures that were shown there, the jobs that run there. These routes are no
//! part of the API: only who reads the records knows the token that opens them, and to
//! everybody else they are not there.

mod ask;

pub(super) use ask::{Neighbours, picture};

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Json, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::{Router, http::StatusCode};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Server;
use super::elsewhere::{SentOn, store_of};
use super::error::{Kind, Problem};
use crate::access::DEFAULT_TENANT;
use crate::events::drift::OfDay;
use crate::events::{Day, Days, Event, Kind as Happened, Log, Sums, Wanted};
use crate::store::picture_name;

const EVENTS: &str = "/nodes/events";
const SUMS: &str = "/nodes/sums";
const JOBS: &str = "/nodes/jobs";
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

/// The sums by day that a node asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Summing {
    tenant: String,
    /// The first day; the last one is the present one.
    from: String,
}

/// By day: questions, those of them without an answer, the sums of the confidences and of
/// their squares.
type DaySums = BTreeMap<String, (u64, u64, f64, f64)>;

/// What is told of them.
#[derive(Debug, Serialize, Deserialize)]
struct Summary {
    folder: Option<String>,
    watches: bool,
    /// By knowledge base.
    kbs: BTreeMap<String, DaySums>,
}

impl Summary {
    fn of(log: &Log, from: Day, watches: bool) -> crate::error::Result<Self> {
        let told = |of: &OfDay| (of.questions, of.unanswered, of.confidence, of.squares);
        let sums = log.sums(from)?;
        let kbs = sums
            .into_iter()
            .map(|(kb, days)| (kb, days.iter().map(|(day, of)| (day.to_string(), told(of))).collect()));
        Ok(Self { folder: log.name(), watches, kbs: kbs.collect() })
    }

    /// As it is read; a day that is none is left out.
    fn read(self) -> Sums {
        let of = |(questions, unanswered, confidence, squares)| OfDay {
            questions,
            unanswered,
            confidence,
            squares,
        };
        let sums = self.kbs.into_iter().map(|(kb, days)| {
            (kb, days.into_iter().filter_map(|(day, told)| Some((day.parse().ok()?, of(told)))).collect())
        });
        Sums { folder: self.folder, sums: sums.collect(), watches: self.watches }
    }
}

/// The jobs that a node asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Working {
    tenant: String,
    /// Only those of a kind and a knowledge base.
    of: Option<(String, String)>,
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
        .route(SUMS, only(post(sums)))
        .route(JOBS, only(post(jobs)))
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
    match server.tenants().known(tenant) {
        Some(open) => Some(open.log().clone()),
        None => closed_log_of(server, tenant),
    }
}

/// The same of a tenant that is not open.
fn closed_log_of(server: &Server, tenant: &str) -> Option<Log> {
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

/// Tells what the questions of some days add up to here.
async fn sums(State(server): State<Server>, Json(asked): Json<Summing>) -> Result<Json<Summary>, Problem> {
    let nodes = server.share().nodes().ok_or_else(nothing)?;
    let readers = Arc::clone(nodes.readers());
    let turn = readers.acquire_owned().await.map_err(|_| nothing())?;
    let from = asked.from.parse::<Day>()?;
    let summing = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        // Other nodes look again and again: that is no call that keeps a tenant open.
        let open = server.tenants().open_now(&asked.tenant);
        let watches = open.as_ref().is_some_and(|open| open.log().is_watched());
        let log = open.map(|open| open.log().clone()).or_else(|| closed_log_of(&server, &asked.tenant));
        log.map_or_else(
            || Ok(Summary { folder: None, watches, kbs: BTreeMap::new() }),
            |log| Summary::of(&log, from, watches),
        )
    });
    Ok(Json(summing.await.map_err(|e| crate::error::Error::internal("sums", e))??))
}

/// Tells which jobs of a tenant run or ran here.
async fn jobs(State(server): State<Server>, Json(asked): Json<Working>) -> Json<Vec<Value>> {
    let open = server.tenants().open_now(&asked.tenant);
    let of = asked.of.as_ref().map(|(kind, kb)| (kind.as_str(), kb.as_str()));
    Json(open.map(|open| open.jobs().told(of)).unwrap_or_default())
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

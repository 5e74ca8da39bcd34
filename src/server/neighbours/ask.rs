//! How does a node ask the others?
//!
//! From threads that may wait: the requests run on the server's runtime and what comes
//! back is handed over as it comes. Nobody waits long for a node that does not answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{
    DECISION, Decision, EVENTS, End, JOBS, PICTURE, Picture, Reading, SUMS, Summary, Summing, WAITING,
    Working, is_named,
};
use crate::desk::pictures::BYTES;
use crate::events::{Day, Days, Event, Others, Summed, Theirs, Told, Wanted};
use crate::server::caller::Caller;
use crate::server::nodes::{Nodes, Share};
use crate::server::peer::Client;
use crate::store::{Conversation, NodeRecord};

/// How long a node may take to say the next of many things.
const NEXT: Duration = Duration::from_secs(10);

/// How long it may take to look one thing up.
const LOOK: Duration = Duration::from_secs(2);

/// How long it may take to add up what happened there: the first time it reads half a month.
const ADDING: Duration = Duration::from_secs(60);

/// The most that sums may be, in bytes: a row of a day and a knowledge base has some fifty.
const SUMS_BYTES: usize = 16 << 20;

/// The most that the jobs of a tenant may be, in bytes: what came of them is with them.
const JOBS_BYTES: usize = 32 << 20;

/// The longest line, in bytes; an event has a few thousand.
const LINE: usize = 2 << 20;

/// The other nodes, asked for what is a tenant's.
pub(in crate::server) struct Neighbours {
    share: Arc<Share>,
    tenant: String,
}

impl Neighbours {
    /// Those of a tenant; `None` for a server that is alone.
    pub(in crate::server) fn of(share: &Arc<Share>, tenant: &str) -> Option<Arc<Self>> {
        share.nodes()?;
        Some(Arc::new(Self { share: Arc::clone(share), tenant: tenant.to_owned() }))
    }

    fn nodes(&self) -> Option<(&Nodes, &Handle)> {
        let nodes = self.share.nodes()?;
        Some((nodes, nodes.handle()?))
    }

    /// Asks each for something of its own; `asked` makes the question. Those that cannot be
    /// asked are among them, and have nothing to say.
    fn each<Q: Serialize, T: Send + 'static>(
        &self,
        path: &'static str,
        asked: impl Fn(&str) -> Q,
        most: usize,
        patience: Duration,
        read: fn(&Bytes) -> Option<T>,
    ) -> Asking<T> {
        let Some(nodes) = self.share.nodes() else { return Asking::nobody() };
        let (others, silent) = (nodes.others(), nodes.silent());
        let (out, coming) = mpsc::channel(others.len().max(1));
        let names = others.iter().chain(&silent).map(|node| node.url.clone()).collect();
        // Before the server runs nobody can be asked.
        let Some(handle) = nodes.handle() else { return Asking { names, coming } };
        for (at, node) in others.into_iter().enumerate() {
            let body = Bytes::from(serde_json::to_vec(&asked(&node.url)).unwrap_or_default());
            let (share, out) = (Arc::clone(&self.share), out.clone());
            handle.spawn(async move {
                let telling = async {
                    let response = send_within(&share, &node, path, body, patience).await?;
                    let bytes = axum::body::to_bytes(response.into_body(), most).await;
                    let bytes = bytes.map_err(|e| e.to_string())?;
                    read(&bytes).ok_or_else(|| "it says what cannot be read".to_owned())
                };
                let told = tokio::time::timeout(patience, telling).await;
                match told.unwrap_or_else(|_| Err("it has not answered in time".to_owned())) {
                    Ok(one) => drop(out.send((at, one)).await),
                    Err(error) => tracing::debug!(node = node.url, path, error, "a node does not answer"),
                }
            });
        }
        Asking { names, coming }
    }

    /// The jobs that each of them tells of, and who does not.
    pub(in crate::server) async fn jobs(&self) -> (Vec<Value>, Vec<String>) {
        let (mut jobs, mut missing) = (Vec::new(), Vec::new());
        for (node, told) in self.asked_for_jobs(None).told().await {
            match told {
                Some(theirs) => jobs.extend(theirs),
                None => missing.push(node),
            }
        }
        (jobs, missing)
    }

    /// The same of a kind and a knowledge base, for a thread that may wait; who does not
    /// tell has none.
    pub(in crate::server) fn jobs_of(&self, kind: &str, kb: &str) -> Vec<Value> {
        let told = self.asked_for_jobs(Some((kind, kb))).wait();
        told.into_iter().filter_map(|(_, told)| told).flatten().collect()
    }

    fn asked_for_jobs(&self, of: Option<(&str, &str)>) -> Asking<Vec<Value>> {
        let of = of.map(|(kind, kb)| (kind.to_owned(), kb.to_owned()));
        let asked = |_: &str| Working { tenant: self.tenant.clone(), of: of.clone() };
        self.each(JOBS, asked, JOBS_BYTES, LOOK, |bytes| serde_json::from_slice(bytes).ok())
    }

    /// Asks all for one thing; the first that has it is heard.
    fn first<T: Send + 'static>(
        &self,
        path: &'static str,
        asked: &impl Serialize,
        most: usize,
        read: fn(&Bytes) -> Option<T>,
    ) -> Option<T> {
        let (nodes, handle) = self.nodes()?;
        let body = Bytes::from(serde_json::to_vec(asked).ok()?);
        let (out, mut found) = mpsc::channel(1);
        for node in nodes.others() {
            let (share, body, out) = (Arc::clone(&self.share), body.clone(), out.clone());
            handle.spawn(async move {
                let look = async {
                    let response = send(&share, &node, path, body).await.ok()?;
                    let bytes = axum::body::to_bytes(response.into_body(), most).await.ok()?;
                    read(&bytes)
                };
                if let Ok(Some(one)) = tokio::time::timeout(LOOK, look).await {
                    let _ = out.send(one).await;
                }
            });
        }
        drop(out);
        found.blocking_recv()
    }
}

impl Others for Neighbours {
    fn read(&self, folder: Option<&str>, wanted: &Wanted<'_>) -> Vec<Theirs> {
        let Some((nodes, handle)) = self.nodes() else { return Vec::new() };
        let asked = Reading::of(&self.tenant, folder, wanted);
        let body = Bytes::from(serde_json::to_vec(&asked).unwrap_or_default());
        let mut theirs = Vec::new();
        for node in nodes.others() {
            let (out, told) = mpsc::channel(WAITING);
            let name = node.url.clone();
            let (share, body) = (Arc::clone(&self.share), body.clone());
            handle.spawn(async move {
                if let Err(why) = events(&share, &node, body, &out).await {
                    tracing::warn!(node = node.url, error = why, "what happened there is not known here");
                }
            });
            theirs.push(Theirs { node: name, told: Box::new(Coming(told)) });
        }
        // What they know comes with them when they are back.
        let silent = nodes.silent().into_iter();
        theirs.extend(silent.map(|node| Theirs { node: node.url, told: Box::new(std::iter::empty()) }));
        theirs
    }

    fn find(&self, trace_id: &str) -> Option<Event> {
        let asked = Decision { tenant: self.tenant.clone(), trace_id: trace_id.to_owned() };
        self.first(DECISION, &asked, LINE, |bytes| serde_json::from_slice(bytes).ok())
    }

    fn sums(&self, span: Days, from: &dyn Fn(&str) -> Day) -> Vec<Summed> {
        let first = |node: &str| from(node).max(span.from).to_string();
        let asked = |node: &str| Summing { tenant: self.tenant.clone(), from: first(node) };
        let read = |bytes: &Bytes| serde_json::from_slice(bytes).ok().map(Summary::read);
        let told = self.each(SUMS, asked, SUMS_BYTES, ADDING, read).wait();
        told.into_iter().map(|(node, told)| Summed { node, told }).collect()
    }

    fn turns(&self) -> u64 {
        // Before the server runs nobody can be asked: then they have come.
        self.nodes().map_or(0, |(nodes, _)| 1 + nodes.turns())
    }

    fn name(&self) -> &str {
        self.share.nodes().map_or("", |nodes| nodes.me().url.as_str())
    }
}

/// What each of several nodes says.
struct Asking<T> {
    names: Vec<String>,
    coming: mpsc::Receiver<(usize, T)>,
}

impl<T> Asking<T> {
    fn nobody() -> Self {
        Self { names: Vec::new(), coming: mpsc::channel(1).1 }
    }

    /// Waits for all of them; a thread may.
    fn wait(mut self) -> Vec<(String, Option<T>)> {
        let coming = std::iter::from_fn(|| self.coming.blocking_recv()).collect();
        Self::beside(self.names, coming)
    }

    /// The same without holding a thread up.
    async fn told(mut self) -> Vec<(String, Option<T>)> {
        let mut coming = Vec::new();
        while let Some(one) = self.coming.recv().await {
            coming.push(one);
        }
        Self::beside(self.names, coming)
    }

    fn beside(names: Vec<String>, told: Vec<(usize, T)>) -> Vec<(String, Option<T>)> {
        let mut all: Vec<(String, Option<T>)> = names.into_iter().map(|name| (name, None)).collect();
        for (at, one) in told {
            if let Some((_, told)) = all.get_mut(at) {
                *told = Some(one);
            }
        }
        all
    }
}

/// What comes, for a thread that may wait for it.
struct Coming(mpsc::Receiver<Told>);

impl Iterator for Coming {
    type Item = Told;

    fn next(&mut self) -> Option<Told> {
        self.0.blocking_recv()
    }
}

/// Shows a picture of a conversation that lies on another node, and keeps it here too.
pub(in crate::server) fn picture(caller: &Caller, known: &Conversation, name: &str) -> Option<Vec<u8>> {
    let tenant = caller.tenant();
    let neighbours = Neighbours::of(caller.server().share(), tenant.name())?;
    let asked = Picture { tenant: tenant.name().to_owned(), conversation: known.key, name: name.to_owned() };
    let bytes =
        neighbours.first(PICTURE, &asked, BYTES, |bytes| (!bytes.is_empty()).then(|| bytes.clone()))?;
    if !is_named(name, &bytes) {
        tracing::warn!(name, "another node has something else under the name of a picture");
        return None;
    }
    if let Err(error) = caller.desk().talk().keep_picture(known.key, name, &bytes) {
        tracing::debug!(%error, "a picture of another node is not kept here");
    }
    Some(bytes.to_vec())
}

async fn send(share: &Share, node: &NodeRecord, path: &str, body: Bytes) -> Result<Response, String> {
    send_within(share, node, path, body, NEXT).await
}

async fn send_within(
    share: &Share,
    node: &NodeRecord,
    path: &str,
    body: Bytes,
    patience: Duration,
) -> Result<Response, String> {
    let nodes = share.nodes().ok_or("this node is alone")?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{path}", node.url))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|e| e.to_string())?;
    let response = nodes.sender().send(node, request, Client::nobody(), patience).await?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(format!("it says {status}")),
    }
}

/// Hands on what a node tells, as it comes.
async fn events(
    share: &Share,
    node: &NodeRecord,
    body: Bytes,
    out: &mpsc::Sender<Told>,
) -> Result<(), String> {
    let response = send(share, node, EVENTS, body).await?;
    let mut coming = response.into_body().into_data_stream();
    // The beginning of a line whose end has not come.
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let next = tokio::time::timeout(NEXT, coming.next()).await;
        let Some(bytes) = next.map_err(|_| "it has not gone on in time")? else {
            return Err("it has broken off".to_owned());
        };
        rest.extend_from_slice(&bytes.map_err(|e| e.to_string())?);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
            if rest.len() > LINE {
                return Err("it sends what is no event".to_owned());
            }
            continue;
        };
        let after = rest.split_off(end + 1);
        let lines = std::mem::replace(&mut rest, after);
        let mut batch = Vec::new();
        let mut all = None;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if line.starts_with(b"{\"end\":") {
                all = Some(serde_json::from_slice::<End>(line).map_err(|e| e.to_string())?);
            } else {
                batch.push(serde_json::from_slice(line).map_err(|e| e.to_string())?);
            }
        }
        // Who asked may have gone.
        if out.send(Told::Events(batch)).await.is_err() {
            return Ok(());
        }
        if let Some(End { end: damaged }) = all {
            let _ = out.send(Told::End { damaged }).await;
            return Ok(());
        }
    }
}

//! Which node answers this request?
//!
//! A request that needs a knowledge base which other nodes hold is sent on to one of
//! them, with all that came with it and for whom it came; what comes back is the reply.
//! Whoever let it in here lets it in there again. When none of them can be reached it is
//! answered here: the knowledge base is opened for it.
//!
//! What a platform sends goes on as it came, before anybody has looked whether the platform
//! has signed it: that is for whoever answers. A message that comes again, at whatever node,
//! is known by the platform's name for it in the records.
//!
//! Only what customers ask goes on: authors, desks and operators work on the records,
//! which every node has. But for what lies in the memory of one: a job that runs there and
//! a file that was put up there are looked for at all.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;

use super::Server;
use super::error::Problem;
use super::nodes::{FOR, NODE, Nodes, told_for};
use super::peer::Client;
use super::request;
use super::routes::Route;
use super::talk::IDEMPOTENCY;
use super::widget::shown_on;
use crate::access::{DEFAULT_TENANT, Identity};
use crate::desk::web;
use crate::error::Error;
use crate::store::{NodeRecord, Store};
use crate::trust::{self, Authorities, Belief};

/// How long a node may take to take a connection: it is next door.
const CONNECT: Duration = Duration::from_millis(500);

/// How long it may take to answer: it gives up by itself before.
const ANSWER: Duration = Duration::from_secs(15);

/// The same of what a platform sends: WeChat waits five seconds, and another node or this one
/// must still be able to answer in them.
const CALLBACK: Duration = Duration::from_secs(3);

/// Where platforms send.
const CHANNELS: &str = "/channels/{kind}/{id}";

/// A connection that nobody has used for so long is closed, before the other side does.
const REST: Duration = Duration::from_secs(30);

/// What is between two neighbours only, and what is said anew of the body.
const OWN: [HeaderName; 9] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
];

/// Says that another node has sent a request on, so that it goes no further.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentOn;

/// Sends requests to other nodes, over connections that are kept.
pub(super) struct Sender(Pool<HttpsConnector<HttpConnector>, Body>);

impl Sender {
    /// One that believes these of the nodes that are called by `https`.
    ///
    /// # Errors
    /// When this program cannot speak TLS at all.
    pub(super) fn new(believed: Authorities) -> Result<Self, Error> {
        let mut connector = HttpConnector::new();
        // What comes after it sees to the scheme.
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let mut pool = Pool::builder(TokioExecutor::new());
        pool.pool_idle_timeout(REST).pool_timer(TokioTimer::new()).timer(TokioTimer::new());
        let tls = trust::client(Belief::Named(believed), None).map_err(|e| Error::internal("tls", e))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self(pool.build(connector)))
    }

    /// Sends a request to a node, and says for whom; why it could not be.
    pub(super) async fn send(
        &self,
        node: &NodeRecord,
        mut request: Request<Body>,
        client: Client,
        patience: Duration,
    ) -> Result<Response, String> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(|e| e.to_string());
        request.headers_mut().insert(NODE, value(&node.token)?);
        request.headers_mut().insert(FOR, value(&told_for(client))?);
        let answered = tokio::time::timeout(patience, self.0.request(request)).await;
        let response = answered.map_err(|_| "it has not answered in time".to_owned())?;
        Ok(response.map_err(|e| told(&e))?.map(Body::new))
    }
}

/// Where a request is answered.
pub(super) enum Place {
    /// Here.
    Here(Request<Body>),
    /// It was answered by another node.
    There(Response),
}

/// What of a body says which knowledge base is meant.
#[derive(Deserialize, Default)]
struct Asked {
    kb: Option<String>,
    session: Option<String>,
    client_id: Option<String>,
    #[serde(default)]
    items: Vec<Asked>,
}

/// Answers a request at the node that holds what it needs, if that is another one.
///
/// # Errors
/// When its body does not come, or the node that has taken it does not answer.
pub(super) async fn answer(
    server: &Server,
    route: &Route,
    identity: Option<&Identity>,
    request: Request<Body>,
) -> Result<Place, Problem> {
    let Some(nodes) = server.share().nodes() else { return Ok(Place::Here(request)) };
    let (mut parts, body) = request.into_parts();
    let is_settled = parts.extensions.get::<SentOn>().is_some() || nodes.members().len() < 2;
    if !is_settled && lies_elsewhere(server, identity, route, &mut parts).await {
        let bytes = request::body(Request::from_parts(parts.clone(), body), request::BATCH_BYTES).await?;
        for node in nodes.others() {
            match send(nodes, &node, &parts, bytes.clone(), ANSWER).await {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => {}
                Ok(response) => return Ok(Place::There(response)),
                Err(why) => nodes.missed(&node, &why),
            }
        }
        return Ok(Place::Here(Request::from_parts(parts, Body::from(bytes))));
    }
    if is_settled || !needs_answers(&parts.method, &route.path) {
        return Ok(Place::Here(Request::from_parts(parts, body)));
    }
    let bytes = request::body(Request::from_parts(parts.clone(), body), request::BATCH_BYTES).await?;
    // What is wrong with it, the handler says.
    let asked: Asked = serde_json::from_slice(&bytes).unwrap_or_default();
    let here = |parts: Parts, bytes: Bytes| Ok(Place::Here(Request::from_parts(parts, Body::from(bytes))));
    let Some((tenant, kb)) = meant(server, identity, &mut parts, &asked).await else {
        return here(parts, bytes);
    };
    if server.share().is_own(&tenant, &kb) {
        return here(parts, bytes);
    }
    name_message(&mut parts, &asked, &route.path);
    let patience = if route.path == CHANNELS { CALLBACK } else { ANSWER };
    for node in nodes.holders(&tenant, &kb) {
        match send(nodes, &node, &parts, bytes.clone(), patience).await {
            Ok(response) => {
                nodes.reached();
                return Ok(Place::There(response));
            }
            Err(why) => nodes.missed(&node, &why),
        }
    }
    here(parts, bytes)
}

/// Whether a request is about a job or a file that this node does not know.
async fn lies_elsewhere(
    server: &Server,
    identity: Option<&Identity>,
    route: &Route,
    parts: &mut Parts,
) -> bool {
    let Some(identity) = identity else { return false };
    // One that is not open here has nothing here.
    let tenant = server.tenants().known(&identity.tenant);
    let has_job = |id: &str| tenant.as_ref().is_some_and(|tenant| tenant.jobs().has(id));
    let has_file = |id: &str| tenant.as_ref().is_some_and(|tenant| tenant.files().has(id));
    let (wanted, has): (_, &(dyn Fn(&str) -> bool + Sync)) = match route.path.as_str() {
        "/v1/jobs/{id}" => ("id", &has_job),
        "/v1/kbs/{kb}/files/{file}" | "/v1/kbs/{kb}/files/{file}/rejected" => ("file", &has_file),
        "/v1/kbs/{kb}/import" => {
            let query = parts.uri.query().unwrap_or_default();
            let file = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "file");
            return file.is_some_and(|(_, id)| !has_file(&id));
        }
        _ => return false,
    };
    let named = RawPathParams::from_request_parts(parts, server).await;
    named.is_ok_and(|named| named.iter().any(|(name, id)| name == wanted && !has(id)))
}

/// Whether a route's handler asks a knowledge base; the others only read what was said.
fn needs_answers(method: &Method, path: &str) -> bool {
    match *method {
        Method::POST => matches!(
            path,
            "/v1/answer"
                | "/v1/answer/batch"
                | "/v1/conversations/{id}/messages"
                | "/v1/conversations/{id}/handoff"
                | "/widget/{site}/conversations"
                | "/widget/{site}/conversations/{id}/messages"
                | CHANNELS
        ),
        Method::GET => path == "/v1/kbs/{kb}/greeting",
        _ => false,
    }
}

/// The tenant and the knowledge base of a request; `None` when that cannot be told, and
/// the handler says why.
async fn meant(
    server: &Server,
    identity: Option<&Identity>,
    parts: &mut Parts,
    asked: &Asked,
) -> Option<(String, String)> {
    let named = RawPathParams::from_request_parts(parts, server).await.ok()?;
    let of_path =
        |wanted: &str| named.iter().find(|(name, _)| *name == wanted).map(|(_, one)| one.to_owned());
    let Some(identity) = identity else {
        let (site, channel) = (of_path("site"), of_path("kind").zip(of_path("id")));
        let finding = server.clone();
        let found = server.desks().work(move |_| match (site, channel) {
            (Some(site), _) => of_site(&finding, &site),
            (_, Some((kind, id))) => of_channel(&finding, &kind, &id),
            _ => None,
        });
        return found.await.ok()?;
    };
    let first = asked.items.first().and_then(|item| item.kb.clone());
    if let Some(kb) = of_path("kb").or_else(|| asked.kb.clone()).or(first) {
        return Some((identity.tenant.clone(), kb));
    }
    if let Some(only) = identity.scope.only() {
        return Some((identity.tenant.clone(), only.to_owned()));
    }
    let (tenant, scope, conversation) = (identity.tenant.clone(), identity.scope.clone(), of_path("id"));
    let finding = server.clone();
    let found = server.desks().work(move |_| {
        let store = store_of(&finding, &tenant)?;
        if let Some(id) = conversation {
            let all = store.conversations().find_all(&id).ok()?;
            if let Some(one) = all.into_iter().find(|one| scope.covers(&one.kb)) {
                return Some((tenant, one.kb));
            }
        }
        let names: Vec<String> = store.names().ok()?.into_iter().filter(|name| scope.covers(name)).collect();
        let kb = match &names[..] {
            [only] => only.clone(),
            _ => finding.registry().default_kb().to_owned(),
        };
        Some((tenant, kb))
    });
    found.await.ok()?
}

/// The tenant and the knowledge base of a page's site.
fn of_site(server: &Server, key: &str) -> Option<(String, String)> {
    let (tenant, site) = web::parts(key);
    let (channel, _) = shown_on(&named(server, tenant)?.conversations(), site).ok()??;
    Some((tenant.unwrap_or(DEFAULT_TENANT).to_owned(), channel.kb))
}

/// The tenant and the knowledge base of a channel that a platform names as pages name a site.
fn of_channel(server: &Server, kind: &str, id: &str) -> Option<(String, String)> {
    let (tenant, name) = web::parts(id);
    let channel = named(server, tenant)?.conversations().channel_sealed(name).ok()??;
    (channel.kind == kind).then(|| (tenant.unwrap_or(DEFAULT_TENANT).to_owned(), channel.kb))
}

/// The records of a tenant that somebody names who has no key: what they make up opens nothing.
fn named(server: &Server, tenant: Option<&str>) -> Option<Store> {
    let tenant = tenant.unwrap_or(DEFAULT_TENANT);
    let is_known = tenant == DEFAULT_TENANT || server.gate().access().table().has_tenant(tenant);
    store_of(server, tenant).filter(|_| is_known)
}

/// A tenant's records, without opening the tenant.
pub(super) fn store_of(server: &Server, tenant: &str) -> Option<Store> {
    let store = server.registry().store();
    if tenant == DEFAULT_TENANT { Some(store.clone()) } else { store.tenant(tenant).ok() }
}

/// Gives a message a name if its sender has not: should a node die over it, the next one
/// hears it once.
fn name_message(parts: &mut Parts, asked: &Asked, path: &str) {
    let is_message = asked.session.is_some() || path.ends_with("/messages");
    let is_named = asked.client_id.is_some() || parts.headers.contains_key(IDEMPOTENCY);
    if parts.method == Method::POST && is_message && !is_named {
        let name = format!("node-{}", uuid::Uuid::now_v7().simple());
        if let Ok(name) = HeaderValue::from_str(&name) {
            parts.headers.insert(IDEMPOTENCY, name);
        }
    }
}

/// Sends a request to a node; why it could not be.
async fn send(
    nodes: &Nodes,
    node: &NodeRecord,
    parts: &Parts,
    bytes: Bytes,
    patience: Duration,
) -> Result<Response, String> {
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut request = Request::builder()
        .method(parts.method.clone())
        .uri(format!("{}{path}", node.url))
        .body(Body::from(bytes))
        .map_err(|e| e.to_string())?;
    for (name, value) in &parts.headers {
        if !OWN.contains(name) {
            request.headers_mut().append(name, value.clone());
        }
    }
    let mut response = nodes.sender().send(node, request, Client::of(&parts.extensions), patience).await?;
    for name in &OWN {
        response.headers_mut().remove(name);
    }
    Ok(response)
}

/// What is wrong, with what is behind it.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(cause) = behind {
        text = format!("{text}: {cause}");
        behind = cause.source();
    }
    text
}

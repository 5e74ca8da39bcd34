//! Who may reach which route?
//!
//! A route is made with [`Routes::may`] and thereby says what right it needs; there
//! is no other way into the API. The right stands in the API's description too
//! (`x-zhida-right`), where a test compares it with what happens.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{PathItem, extensions::Extensions};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::Server;
use super::caller::admitted;
use super::changes::Change;
use super::elsewhere::{self, Place};
use super::error::{Kind, Problem};
use super::gate;
use super::shown;
use crate::access::{Right, Role};

/// Some routes of the API, each with its right.
pub(super) struct Routes(OpenApiRouter<Server>);

impl Routes {
    pub(super) fn new() -> Self {
        Self(OpenApiRouter::new())
    }

    /// Adds the handlers of one path, for those who have a right.
    pub(super) fn may(
        self,
        right: Right,
        (schemas, mut paths, handlers): UtoipaMethodRouter<Server>,
    ) -> Self {
        let mut route = Route { right, path: String::new(), operations: Vec::new() };
        for (path, item) in &mut paths.paths {
            route.path.clone_from(path);
            for (method, operation) in operations(item) {
                let told = Extensions::builder().add("x-zhida-right", right.name()).build();
                operation.extensions.get_or_insert_default().merge(told);
                if right != Right::Public {
                    operation.security =
                        Some(ways().map(|(name, _)| SecurityRequirement::new(name, [] as [&str; 0])).into());
                }
                route.operations.push((method, operation.operation_id.clone().unwrap_or_default()));
            }
        }
        let route = Arc::new(route);
        let guarded = handlers.layer(middleware::from_fn(move |request: Request, next: Next| {
            guard(Arc::clone(&route), request, next)
        }));
        Self(self.0.routes((schemas, paths, guarded)))
    }

    /// Sets the largest body of the routes so far, in bytes.
    pub(super) fn bodies(self, bytes: usize) -> Self {
        Self(self.0.layer(DefaultBodyLimit::max(bytes)))
    }

    pub(super) fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    pub(super) fn into_inner(self) -> OpenApiRouter<Server> {
        self.0
    }
}

/// A path with its handlers.
pub(super) struct Route {
    pub(super) right: Right,
    /// As in the API's description, such as `/v1/kbs/{kb}/entries`.
    pub(super) path: String,
    /// What each method does.
    operations: Vec<(Method, String)>,
}

impl Route {
    /// What a method does, as the API's description calls it.
    pub(super) fn operation(&self, method: &Method) -> &str {
        self.operations.iter().find(|(known, _)| known == method).map_or("", |(_, name)| name)
    }

    /// Whether a method may change something that is recorded: what customers ask
    /// is no change.
    fn changes(&self, method: &Method) -> bool {
        !matches!(*method, Method::GET | Method::HEAD) && !matches!(self.right, Right::Public | Right::Ask)
    }
}

/// How a caller shows who they are, as the API's description names and defines it.
pub(super) fn ways() -> [(&'static str, SecurityScheme); 2] {
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "A key of `POST /v1/keys` or `zhida key create`. Without any key or person the server \
         asks for none, and answers its own machine only.",
    ));
    let session = ApiKeyValue::with_description(
        shown::COOKIE,
        "A person's session, as `POST /v1/login` sets it (over TLS with the prefix `__Host-`); \
         what changes something needs `x-csrf-token` beside it.",
    );
    [("key", SecurityScheme::Http(key.build())), ("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)))]
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Refuses a body that is larger than somebody may send, before any of it is read.
fn fits(role: Role, request: &Parts) -> Result<(), Problem> {
    let declared = request.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes: u64 = declared.and_then(|text| text.parse().ok()).unwrap_or(0);
    if bytes <= role.largest_body() {
        return Ok(());
    }
    let most = role.largest_body();
    let detail = format!("with the role `{}` a body may have at most {most} bytes", role.name());
    Err(Problem::new(Kind::BodyTooLarge, detail))
}

/// Lets in who has the right, says who it is, and records what they changed.
async fn guard(route: Arc<Route>, request: Request, next: Next) -> Response {
    if route.right == Right::Public {
        return match request.extensions().get::<Server>().cloned() {
            None => next.run(request).await,
            Some(server) => match elsewhere::answer(&server, &route, None, request).await {
                Ok(Place::Here(request)) => next.run(request).await,
                Ok(Place::There(response)) => response,
                Err(problem) => problem.into_response(),
            },
        };
    }
    let (parts, body) = request.into_parts();
    let mut admitted = match admitted(route.right, &parts).await {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = fits(admitted.role(), &parts) {
        return problem.into_response();
    }
    let request = Request::from_parts(parts, body);
    let (mut parts, body) =
        match elsewhere::answer(admitted.server(), &route, Some(admitted.identity()), request).await {
            Ok(Place::Here(request)) => request.into_parts(),
            Ok(Place::There(response)) => return response,
            Err(problem) => return problem.into_response(),
        };
    let told = std::mem::take(&mut admitted.told);
    let caller = match admitted.into_caller().await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let change = if route.changes(&parts.method) {
        match Change::begin(&route, &caller, &parts).await {
            Ok(change) => Some(change),
            Err(problem) => return problem.into_response(),
        }
    } else {
        None
    };
    parts.extensions.insert(caller);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(change) = change {
        let done = change.done(&response);
        done.record().await;
    }
    gate::tell(&mut response, told);
    response
}

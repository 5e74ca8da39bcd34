//! Who may reach which route?
//!
//! A route is made with [`Routes::may`] and thereby says what right it needs; there
//! is no other way into the API. The right stands in the API's description too
//! (`x-zhida-right`), where a test compares it with what happens.

use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{PathItem, extensions::Extensions};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::Server;
use super::caller::admitted;
use crate::access::Right;

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
        for item in paths.paths.values_mut() {
            for operation in operations(item) {
                let told = Extensions::builder().add("x-zhida-right", right.name()).build();
                operation.extensions.get_or_insert_default().merge(told);
            }
        }
        let guarded = handlers
            .layer(middleware::from_fn(move |request: Request, next: Next| guard(right, request, next)));
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

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

/// Lets in who has the right, and says who it is.
async fn guard(right: Right, mut request: Request, next: Next) -> Response {
    if right == Right::Public {
        return next.run(request).await;
    }
    let admitted = match admitted(right, &request) {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    match admitted.into_caller().await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

//! What does a person see?
//!
//! Pages, their style and their scripts, compiled in; nothing comes from
//! anywhere else, so they work without a network.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Only the pages' own files run, and they talk only to their own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the pages.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("index.html"))))
        // Where people sign in, and where a link that works once leads.
        .route("/login", get(|| file("text/html; charset=utf-8", include_str!("door.html"))))
        .route("/setup", get(|| file("text/html; charset=utf-8", include_str!("door.html"))))
        .route("/door.js", get(|| file("text/javascript; charset=utf-8", include_str!("door.js"))))
        .route("/console.css", get(|| file("text/css; charset=utf-8", include_str!("console.css"))))
        .route("/console.js", get(|| file("text/javascript; charset=utf-8", include_str!("console.js"))))
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // The files change with the binary and are small.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    ([(header::CONTENT_TYPE, kind)], HEADERS, text).into_response()
}

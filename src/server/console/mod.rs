//! What does a person see?
//!
//! Pages are made here from templates that the compiler checks ([`page`] frames
//! them) and ask the API in the same process ([`inside`]): they have no data, no
//! rights and no rules of their own. Their style and scripts are compiled in;
//! nothing comes from anywhere else, so they work without a network. Everything
//! that a form does works without scripts too.

mod admin;
mod author;
mod called;
mod canned;
mod channels;
mod chart;
mod desk;
mod form;
mod handoff;
mod home;
mod inside;
mod language;
mod me;
mod page;
mod past;
mod stats;
mod tickets;
mod told;
mod words;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use self::inside::Api;
use super::Server;

/// Only the pages' own files run, and they talk only to their own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data: blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// What pages load: path, type, content.
const FILES: &[(&str, &str, &str)] = &[
    // Where people sign in, and where a link that works once leads.
    ("/login", HTML, include_str!("door.html")),
    ("/setup", HTML, include_str!("door.html")),
    ("/door.js", SCRIPT, include_str!("door.js")),
    ("/console.css", CSS, include_str!("console.css")),
    ("/console/icon.svg", SVG, include_str!("icon.svg")),
    ("/console/frame.js", SCRIPT, include_str!("frame.js")),
    ("/console/author.js", SCRIPT, include_str!("author.js")),
    ("/console/entry.js", SCRIPT, include_str!("entry.js")),
    ("/console/curve.js", SCRIPT, include_str!("curve.js")),
    ("/console/import.js", SCRIPT, include_str!("import.js")),
    ("/console/inbox.js", SCRIPT, include_str!("inbox.js")),
    ("/console/job.js", SCRIPT, include_str!("job.js")),
    ("/console/desk.js", SCRIPT, include_str!("desk.js")),
    ("/console/channels.js", SCRIPT, include_str!("channels.js")),
];

/// The routes of the pages, which ask `api`.
pub(super) fn routes(api: Router) -> Router<Server> {
    let files = FILES.iter().fold(Router::new(), |routes, (path, kind, text)| {
        routes.route(path, get(|| async { headed(kind, *text) }))
    });
    files
        .merge(home::routes())
        .merge(author::routes())
        .merge(admin::routes())
        .merge(me::routes())
        .merge(desk::routes())
        .merge(past::routes())
        .merge(handoff::routes())
        .merge(canned::routes())
        .merge(channels::routes())
        .merge(tickets::routes())
        .merge(stats::routes())
        .layer(Extension(Api(api)))
}

/// A page or one of its files.
fn headed(kind: &'static str, text: impl IntoResponse) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Links to elsewhere tell nobody where they were; our own forms say that they are ours.
        (header::REFERRER_POLICY, "same-origin"),
        // The files change with the binary and are small.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let mut response = (HEADERS, text).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

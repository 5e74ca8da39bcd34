//! What is the same for every request and every response?
//!
//! The id of the request, in and out and in the log; the headers that keep
//! browsers careful; and refusals that need no key: names of other sites on a
//! server without keys, keys in addresses.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::Server;
use super::elsewhere::SentOn;
use super::error::{Kind, Problem};
use crate::access::key;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a client.
const ID_CHARS: usize = 128;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of a request, beside it.
#[derive(Clone)]
pub(super) struct RequestId(pub(super) String);

/// The id of the request that is being answered.
pub(super) fn current_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Goes around everything.
pub(super) async fn around(State(server): State<Server>, mut request: Request, next: Next) -> Response {
    let id = told(&request).unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
    request.extensions_mut().insert(RequestId(id.clone()));
    let sent_for = server.share().nodes().and_then(|nodes| nodes.sent_for(request.headers_mut()));
    let client = if let Some(client) = sent_for {
        request.extensions_mut().insert(SentOn);
        client
    } else {
        server.proxies().client(request.extensions(), request.headers(), server.is_encrypted())
    };
    request.extensions_mut().insert(client);
    if let Some(traced) = server.traces().map(|traces| traces.begin(&request, &id)) {
        request.extensions_mut().insert(traced);
    }
    let is_api = request.uri().path().starts_with("/v1/");
    let span = tracing::info_span!("request", id);
    let answered = async {
        match refused(&server, &mut request) {
            Some(problem) => {
                server.metrics().rejected(problem.kind());
                problem.into_response()
            }
            None => next.run(request).await,
        }
    };
    let mut response = CURRENT.scope(id.clone(), answered).instrument(span).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    if is_api {
        set(header::CACHE_CONTROL, "no-store");
        // Nothing of the API is a page.
        set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    }
    if server.is_stopping() {
        // Whoever comes again finds its way to a server that stays, and no request meets a
        // connection that is just being closed.
        set(header::CONNECTION, "close");
    }
    if client.is_encrypted {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

/// The id that a client gives its request, if it can stand in a log.
fn told(request: &Request) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=ID_CHARS).contains(&id.len());
    let sound = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte));
    // A key in the wrong header must not get into the log.
    (fits && sound && !key::is_in(id)).then(|| id.to_owned())
}

fn refused(server: &Server, request: &mut Request) -> Option<Problem> {
    if request.uri().query().is_some_and(key::is_in) {
        let detail = "a key stands in the address, where every proxy on the way writes it down; send it as `Authorization: Bearer zk_…`, and revoke this one";
        return Some(Problem::new(Kind::KeyInAddress, detail));
    }
    server.gate().refuse_foreign(request, |origin| server.allows_origin(origin)).err()
}

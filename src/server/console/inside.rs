//! How does a page ask the API?
//!
//! In the same process, with what its own request has shown at the door. So a page
//! has no data, no rights and no rules of its own: what somebody may see and do,
//! what stands in the audit and what counts towards limits is said once, there.

use std::fmt::Write as _;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower_service::Service;

use super::super::Server;
use super::super::outer::RequestId;
use super::super::peer::Client;
use super::super::traces::Traced;

/// The API as pages reach it.
#[derive(Clone)]
pub(super) struct Api(pub(super) Router);

/// What of a request's headers the API looks at.
const SHOWN: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
    header::USER_AGENT,
    header::ACCEPT_LANGUAGE,
];

/// The largest reply that a page reads, in bytes.
const REPLY: usize = 64 << 20;

/// What stays as it is in a part of a path or query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A part of an address.
pub(super) fn part(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// An address with a query: only the values that are there and not empty.
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        let sign = if address.contains('?') { '&' } else { '?' };
        let _ = write!(address, "{sign}{name}={}", part(value));
    }
    address
}

/// The API for one request of somebody.
pub(super) struct Inside {
    api: Router,
    head: HeaderMap,
    server: Server,
    client: Client,
    id: Option<RequestId>,
    traced: Option<Traced>,
}

/// What came back.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What the API refused, as its problem document says it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(skip)]
    pub(super) code: u16,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) field: Option<String>,
    pub(super) trace_id: Option<String>,
    /// All of it, for pages that show more.
    #[serde(flatten)]
    pub(super) more: serde_json::Map<String, Value>,
}

impl Refusal {
    /// What the API says of something that is not in its list.
    pub(super) fn gone() -> Self {
        Self { code: 404, kind: "/problems/not-here".to_owned(), ..Self::default() }
    }

    /// What the API says of a form that a page of another site has a browser send.
    pub(super) fn foreign() -> Self {
        let title = "The form came from a page of another site, and nothing was done.".to_owned();
        Self { code: 403, kind: "/problems/foreign-origin".to_owned(), title, ..Self::default() }
    }

    /// The last part of its type, such as `stale-entry`.
    pub(super) fn slug(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }
}

impl Got {
    /// The body as what it should be.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body).map_err(|e| Refusal {
            code: 500,
            kind: "/problems/internal".to_owned(),
            detail: format!("a reply of the API could not be read: {e}"),
            ..Refusal::default()
        })
    }

    /// Hands the cookies on that the API has set.
    pub(super) fn pass_cookies(&self, to: &mut Response) {
        for cookie in self.headers.get_all(header::SET_COOKIE) {
            to.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
    }

    /// The condition for changing what was read.
    pub(super) fn etag(&self) -> String {
        self.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned()
    }
}

/// A request of a page.
pub(super) struct Ask<'a> {
    inside: &'a Inside,
    request: axum::http::request::Builder,
    body: Body,
}

impl Ask<'_> {
    /// Adds a header; a value that cannot be one is left out.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.request = self.request.header(name, value);
        }
        self
    }

    /// Says for which state a change is meant, as an ETag has it; nothing when empty.
    pub(super) fn if_match(self, tag: &str) -> Self {
        if tag.is_empty() { self } else { self.with("if-match", tag) }
    }

    /// Sends JSON.
    pub(super) fn json(mut self, body: &Value) -> Self {
        self.body = Body::from(body.to_string());
        self.with("content-type", "application/json")
    }

    /// Sends a file.
    pub(super) fn file(mut self, kind: &str, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.with("content-type", kind)
    }

    /// Asks.
    pub(super) async fn got(self) -> Result<Got, Refusal> {
        let Self { inside, request, body } = self;
        let lost = |detail: String| Refusal { code: 500, detail, ..Refusal::default() };
        let mut request = request.body(body).map_err(|e| lost(e.to_string()))?;
        for name in SHOWN {
            for value in inside.head.get_all(&name) {
                request.headers_mut().append(name.clone(), value.clone());
            }
        }
        let beside = request.extensions_mut();
        beside.insert(inside.server.clone());
        beside.insert(inside.client);
        if let Some(id) = &inside.id {
            beside.insert(id.clone());
        }
        if let Some(traced) = &inside.traced {
            beside.insert(traced.clone());
        }
        let mut api = inside.api.clone();
        let Ok(response) = api.call(request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, REPLY).await.map_err(|e| lost(e.to_string()))?;
        if parts.status.is_success() {
            return Ok(Got { status: parts.status, headers: parts.headers, body });
        }
        let mut refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        refusal.code = parts.status.as_u16();
        Err(refusal)
    }

    /// Asks, and reads the reply.
    pub(super) async fn read<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        self.got().await?.read()
    }
}

impl Inside {
    /// The API as whoever sent a request.
    pub(super) fn of(parts: &Parts, server: &Server) -> Option<Self> {
        let Api(api) = parts.extensions.get::<Api>()?.clone();
        Some(Self {
            api,
            head: parts.headers.clone(),
            server: server.clone(),
            client: Client::of(&parts.extensions),
            id: parts.extensions.get::<RequestId>().cloned(),
            traced: parts.extensions.get::<Traced>().cloned(),
        })
    }

    /// A request of the page itself.
    pub(super) fn ask(&self, method: Method, address: &str) -> Ask<'_> {
        Ask { inside: self, request: Request::builder().method(method).uri(address), body: Body::empty() }
    }

    pub(super) fn get(&self, address: &str) -> Ask<'_> {
        self.ask(Method::GET, address)
    }

    /// The address of this server as the one who asks sees it, without a slash at the end.
    pub(super) fn own_address(&self) -> String {
        if let Some(public) = self.server.proxies().public_url.as_deref() {
            return public.trim_end_matches('/').to_owned();
        }
        let host = self.head.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("ADDRESS");
        format!("{}://{host}", if self.client.is_encrypted { "https" } else { "http" })
    }

    /// The value of a cookie.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        super::super::shown::cookie(&self.head, name)
    }
}

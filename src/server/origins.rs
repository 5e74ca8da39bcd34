//! Which pages of other sites may ask?
//!
//! None, unless the operator names their origins (CORS): a browser then lets
//! scripts of those pages read what the server replies.

use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::Server;

/// How long a browser remembers what it may do.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// An origin that may ask: `https://shop.example`, or `*` for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "an origin is a scheme and a host, such as https://shop.example or http://localhost:3000, or `*`; got {text:?}"
            )
        };
        if text == "*" {
            return Ok(Self(HeaderValue::from_static("*")));
        }
        // As browsers send it: nothing behind the host, all of it in small letters.
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong());
        };
        let plain = format!("{scheme}://{authority}").to_ascii_lowercase();
        if !matches!(scheme, "http" | "https")
            || authority.as_str().contains('@')
            || text.to_ascii_lowercase() != plain
        {
            return Err(wrong());
        }
        HeaderValue::from_str(&plain).map(Self).map_err(|_| wrong())
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Origin {
    /// Whether pages of an origin are meant.
    pub(super) fn allows(&self, origin: &str) -> bool {
        self.0 == "*" || self.0.to_str().is_ok_and(|known| known.eq_ignore_ascii_case(origin))
    }

    /// As browsers send it.
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Whether a page comes from this very server.
pub(super) fn is_own(origin: &str, host: Option<&str>) -> bool {
    let bare = origin.split_once("://").map(|(_, bare)| bare);
    bare.is_some() && bare == host
}

/// Lets the pages of some origins ask: those that the server was told, and those
/// that a key is for. Which of them may use which key, the gate decides.
pub(super) fn allowing<S: Clone + Send + Sync + 'static>(router: Router<S>, server: &Server) -> Router<S> {
    let origins = &server.0.origins;
    // Nobody's pages may ask: then there is no preflight to answer either.
    if origins.is_empty() && server.gate().access().table().is_open() {
        return router;
    }
    let anybody = origins.iter().any(|origin| origin.0 == "*");
    let allowed = if anybody {
        AllowOrigin::any()
    } else {
        let server = server.clone();
        AllowOrigin::predicate(move |origin: &HeaderValue, _| {
            origin.to_str().is_ok_and(|origin| server.allows_origin(origin))
        })
    };
    let own = ["zhida-author", "zhida-reason", "zhida-min-release", "idempotency-key", "last-event-id"]
        .map(HeaderName::from_static);
    let asked = [header::CONTENT_TYPE, header::AUTHORIZATION, header::IF_MATCH, header::IF_NONE_MATCH];
    let told = [header::ETAG, header::LOCATION, header::RETRY_AFTER];
    let told = told.into_iter().chain(
        ["zhida-release", "ratelimit", "ratelimit-policy", "x-request-id"].map(HeaderName::from_static),
    );
    router.layer(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(asked.into_iter().chain(own).collect::<Vec<_>>())
            .expose_headers(told.collect::<Vec<_>>())
            .max_age(REMEMBERED),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        assert!(is_own("http://localhost:8080", Some("localhost:8080")));
        assert!(!is_own("http://localhost:3000", Some("localhost:8080")) && !is_own("null", None));
        for sound in ["https://shop.example", "http://localhost:3000", "*", "HTTPS://Shop.Example"] {
            assert!(sound.parse::<Origin>().is_ok(), "{sound}");
        }
        for faulty in [
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://a.example/x",
            "",
            "ftp://a",
            "null",
            "https://u@a.example",
        ] {
            assert!(faulty.parse::<Origin>().is_err(), "{faulty}");
        }
    }
}

//! Which pages of other sites may ask?
//!
//! None, unless the operator names their origins (CORS): a browser then lets
//! scripts of those pages read what the server replies.

use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

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

/// Lets the pages of some origins ask.
pub(super) fn allowing<S: Clone + Send + Sync + 'static>(router: Router<S>, origins: &[Origin]) -> Router<S> {
    if origins.is_empty() {
        return router;
    }
    let anybody = origins.iter().any(|origin| origin.0 == "*");
    let allowed = if anybody {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().map(|origin| origin.0.clone()))
    };
    let own = ["zhida-author", "zhida-reason"].map(HeaderName::from_static);
    let asked = [header::CONTENT_TYPE, header::AUTHORIZATION, header::IF_MATCH, header::IF_NONE_MATCH];
    let told =
        [header::ETAG, header::LOCATION, header::RETRY_AFTER, HeaderName::from_static("zhida-release")];
    router.layer(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(asked.into_iter().chain(own).collect::<Vec<_>>())
            .expose_headers(told)
            .max_age(REMEMBERED),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
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

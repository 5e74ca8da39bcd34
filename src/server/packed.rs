//! How is a packed body read?
//!
//! What comes with `Content-Encoding: gzip` is unpacked while it arrives, and
//! the limits of bodies hold for what is unpacked: a body that grows to
//! gigabytes costs no more than one that is that large.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower_http::decompression::RequestDecompressionLayer;

use super::error::{Kind, Problem};

/// What is unpacked; goes out with every refusal of something else.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip");

/// Marks a request whose body was packed.
#[derive(Clone, Copy)]
pub(super) struct Packed;

/// Unpacks the bodies of all requests. What cannot be unpacked is passed on as
/// it is, for whoever reads the body to refuse.
pub(super) fn unpacking<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .layer(middleware::from_fn(mark))
}

async fn mark(mut request: Request, next: Next) -> Response {
    let encoding = request.headers().get(header::CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii());
    // The unpacking layer knows the one spelling only.
    if encoding.is_some_and(|name| name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip"))
    {
        request.headers_mut().insert(header::CONTENT_ENCODING, ACCEPTED);
        request.extensions_mut().insert(Packed);
    }
    next.run(request).await
}

/// Refuses a body that is still packed.
pub(super) fn refuse_packed(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let detail =
                format!("the content encoding is {encoding:?}; send the body as it is, or with gzip");
            Err(Problem::new(Kind::WrongContentEncoding, detail))
        }
        _ => Ok(()),
    }
}

//! What does the address of a request say?
//!
//! axum's own extractors refuse in plain text; these refuse with problem
//! documents, and take no address that is not UTF-8.

use std::fmt::Display;

use axum::extract::{FromRequestParts, Path as Parts, Query as Asked};
use axum::http::request;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::error::{Kind, Problem};
use crate::access::moment;

/// The parts of the path that a route names, decoded.
pub(super) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        readable("path", parts.uri.path())?;
        let Parts(named) = Parts::from_request_parts(parts, state)
            .await
            .map_err(|e| Problem::new(Kind::BrokenAddress, e.body_text()))?;
        Ok(Self(named))
    }
}

/// Whether something is a path of this server: browsers take two strokes for another site, and
/// pass over what is not visible.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// What stands behind the question mark.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Problem> {
        readable("query", parts.uri.query().unwrap_or_default())?;
        let Asked(asked) = Asked::try_from_uri(&parts.uri).map_err(|e| {
            let text = e.body_text();
            let text = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, why)| why);
            let problem = Problem::new(Kind::InvalidField, format!("the query of the address: {text}"));
            match text.split_once(": ") {
                Some((field, _)) => problem.of_field(field),
                None => problem,
            }
        })?;
        Ok(Self(asked))
    }
}

/// How many items a page may have: `asked`, which is 1 to `most`.
pub(super) fn page_size<N: PartialOrd + Display + From<u8>>(asked: N, most: N) -> Result<N, Problem> {
    if asked >= N::from(1) && asked <= most {
        return Ok(asked);
    }
    let detail = format!("`limit` is 1 to {most}, got {asked}");
    Err(Problem::new(Kind::InvalidField, detail).of_field("limit"))
}

/// Where the page behind this one begins: the number of its last item, or nowhere when it
/// is the last page. Whoever calls this has asked for one item more than the page holds,
/// which tells whether there are more and is taken off again.
pub(super) fn page_end<T>(items: &mut Vec<T>, size: i64, number: impl Fn(&T) -> i64) -> Option<i64> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let is_last = items.len() <= size;
    items.truncate(size);
    items.last().filter(|_| !is_last).map(number)
}

/// A span of time as a query gives it, its end not included. One that ends before it
/// begins holds nothing, which is not what anybody wants to know.
pub(super) fn span_of(from: Option<&str>, to: Option<&str>) -> Result<(Option<i64>, Option<i64>), Problem> {
    let span = (moment_of("from", from)?, moment_of("to", to)?);
    if let (Some(from), Some(to)) = span
        && from >= to
    {
        let detail = "`from` is not before `to`; what happens at `to` itself is not included";
        return Err(Problem::new(Kind::InvalidField, detail).of_field("from"));
    }
    Ok(span)
}

/// Refuses percent-encoded bytes that are no text: read with replacements, they
/// would name something else.
fn readable(part: &str, encoded: &str) -> Result<(), Problem> {
    match percent_decode_str(encoded).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => {
            let detail = format!("the {part} of the address is not percent-encoded UTF-8");
            Err(Problem::new(Kind::BrokenAddress, detail))
        }
    }
}

/// A moment that an address asks for, in milliseconds since 1970 (UTC).
fn moment_of(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    moment::read(text).map(Some).ok_or_else(|| {
        let detail = format!("`{name}` is RFC 3339 or a day such as 2026-11-27, got {text:?}");
        Problem::new(Kind::InvalidField, detail).of_field(name)
    })
}

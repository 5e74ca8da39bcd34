//! Who sends a change?

use axum::http::HeaderMap;

use super::error::{Kind, Problem};
use crate::store::Signature;

/// Names the author of a change.
const AUTHOR: &str = "zhida-author";
/// Says why it is made.
const REASON: &str = "zhida-reason";

/// Who makes a change and why, from the request's headers; `name` for who does
/// not say.
pub(super) fn signature(headers: &HeaderMap, name: &str) -> Result<Signature, Problem> {
    let author = text(headers, AUTHOR, Signature::AUTHOR_CHARS)?;
    let reason = text(headers, REASON, Signature::REASON_CHARS)?;
    Ok(Signature { author: author.unwrap_or_else(|| name.to_owned()), reason })
}

/// A header's text. Headers are bytes; names and reasons are Chinese, sent
/// percent-encoded or as they are in UTF-8.
fn text(headers: &HeaderMap, name: &'static str, limit: usize) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let wrong = |detail: String| Problem::new(Kind::InvalidField, detail).of_field(name);
    let decoded = percent_encoding::percent_decode(value.as_bytes())
        .decode_utf8()
        .map_err(|_| wrong(format!("header `{name}` is not UTF-8; send it percent-encoded")))?;
    let decoded = decoded.trim();
    let chars = decoded.chars().count();
    if chars > limit {
        return Err(wrong(format!("header `{name}` has {chars} characters; the limit is {limit}")));
    }
    if decoded.chars().any(char::is_control) {
        return Err(wrong(format!("header `{name}` holds a control character")));
    }
    Ok((!decoded.is_empty()).then(|| decoded.to_owned()))
}

//! What does somebody show at the door?
//!
//! A key in `Authorization`, or the cookie of a session. Browsers send cookies by
//! themselves, also for pages of others: what changes something must come from
//! our own page and carry what only that one knows.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::error::{Kind, Problem};
use super::peer::{Client, text};
use crate::access::{Key, Opens, Token, moment};
use crate::store::{Grant, Table};

/// Carries [`Token::csrf`].
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
/// The cookie; behind TLS with the prefix that keeps other hosts from setting it.
pub(super) const COOKIE: &str = "zhida_session";
const SECURE_COOKIE: &str = "__Host-zhida_session";

/// Why somebody is not let in.
pub(super) struct Refused {
    pub(super) problem: Problem,
    /// Whether they presented something that could have been a key.
    pub(super) is_attempt: bool,
    /// Whether they presented something that another node may have made a moment ago.
    pub(super) may_be_new: bool,
}

impl Refused {
    fn because(detail: impl Into<String>) -> Self {
        let problem = Problem::new(Kind::Unauthorized, detail);
        Self { problem, is_attempt: false, may_be_new: false }
    }
}

/// Who shows something that is valid. A key comes before a cookie: it was sent on purpose.
pub(super) fn grant(table: &Table, request: &Parts) -> Result<Grant, Refused> {
    let headers = &request.headers;
    let Some(presented) = text(headers, &header::AUTHORIZATION) else {
        let Some(token) = session(headers, Client::of(&request.extensions)) else {
            return Err(Refused::because(
                "send a key: `Authorization: Bearer zk_…`, which `zhida key create` makes, or sign in: `POST /v1/login`",
            ));
        };
        let grant = table.in_session(&token, moment::now()).ok_or_else(|| Refused {
            may_be_new: true,
            ..Refused::because("the session has ended; sign in again: `POST /v1/login`")
        })?;
        own_page(&token, request).map_err(|problem| Refused {
            problem,
            is_attempt: false,
            may_be_new: false,
        })?;
        return Ok(grant);
    };
    let key = match presented.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => return Err(Refused::because("keys are sent as `Authorization: Bearer zk_…`")),
    };
    let key = Key::parse(key).map_err(|misread| Refused::because(misread.to_string()))?;
    // Unknown, revoked, expired: whoever has none need not know which.
    table.identify(&key, moment::now()).ok_or_else(|| Refused {
        is_attempt: true,
        may_be_new: true,
        ..Refused::because("this key is not valid: it is unknown, was revoked or has expired")
    })
}

/// Refuses what may come from another page than ours.
fn own_page(token: &Token, request: &Parts) -> Result<(), Problem> {
    if matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    from_own_page(&request.headers, Client::of(&request.extensions))?;
    if text(&request.headers, &CSRF).is_some_and(|told| token.is_csrf(told)) {
        return Ok(());
    }
    let detail = "send the `csrf_token` of `GET /v1/me` in `X-CSRF-Token` with what changes something";
    Err(Problem::new(Kind::Forgery, detail))
}

/// Refuses what a browser sends for a page of another site.
pub(super) fn from_own_page(headers: &HeaderMap, client: Client) -> Result<(), Problem> {
    if client.is_own_page {
        return Ok(());
    }
    let origin = text(headers, &header::ORIGIN).unwrap_or_default();
    let detail = format!(
        "a page of {origin} may not sign in here, nor use what somebody signed in for; if that is this server's own address, say so with `--public-url {origin}`"
    );
    Err(Problem::new(Kind::ForeignOrigin, detail))
}

/// The session that a browser comes with.
pub(super) fn session(headers: &HeaderMap, client: Client) -> Option<Token> {
    cookie(headers, name(client)).and_then(|text| Token::parse(Opens::Session, text))
}

/// A cookie's value.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok()).find_map(|line| {
        line.split(';').find_map(|pair| {
            let (known, value) = pair.trim().split_once('=')?;
            (known == name).then_some(value)
        })
    })
}

const fn name(client: Client) -> &'static str {
    if client.is_encrypted { SECURE_COOKIE } else { COOKIE }
}

/// Has a browser keep a session for so many seconds.
pub(super) fn keep(token: &Token, seconds: i64, client: Client) -> HeaderValue {
    set(name(client), token.reveal(), seconds, "/", client)
}

/// Has a browser forget its session.
pub(super) fn forget(client: Client) -> HeaderValue {
    set(name(client), "", 0, "/", client)
}

/// A cookie that no script reads and no form of another site sends.
pub(super) fn set(name: &str, value: &str, seconds: i64, path: &str, client: Client) -> HeaderValue {
    let secure = if client.is_encrypted { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // Names, tokens and paths are visible ASCII.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_among_others_and_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; zhida_session=x; b=2".parse().expect("a value"));
        headers.append(header::COOKIE, "c=3".parse().expect("a value"));
        assert_eq!((cookie(&headers, COOKIE), cookie(&headers, "c")), (Some("x"), Some("3")));
        assert_eq!((cookie(&headers, SECURE_COOKIE), cookie(&headers, "session")), (None, None));
    }

    #[test]
    fn cookies_are_careful() {
        let token = Token::generate(Opens::Session).expect("a token");
        let client =
            |is_encrypted| Client { address: [127, 0, 0, 1].into(), is_encrypted, is_own_page: true };
        let plain = keep(&token, 60, client(false));
        let plain = plain.to_str().expect("visible");
        assert!(
            plain.starts_with("zhida_session=zs_")
                && plain.ends_with("; Path=/; Max-Age=60; HttpOnly; SameSite=Lax")
        );
        let secure = keep(&token, 60, client(true));
        let secure = secure.to_str().expect("visible");
        assert!(secure.starts_with("__Host-zhida_session=zs_") && secure.ends_with("; Secure"));
    }
}

//! Who is the visitor of a page that has the widget?
//!
//! Somebody whom nobody knows has a [`Token`] in the browser; somebody who has
//! signed in at the page's own site brings a JSON Web Token that the site's server
//! has signed (HS256) with the secret of the widget:
//!
//! ```json
//! {"sub":"u-42","exp":1790000000,"kb":"demo","name":"王芳","fields":{"vip":true}}
//! ```
//!
//! Each of them leads to one conversation, by a name that can be computed neither
//! from the address of a page nor from a customer's number.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Sha256;

use super::Token;

/// The field of a customer whom nobody in a browser has made up.
pub const VERIFIED: &str = "verified";

/// How far ahead a token may expire, in seconds.
pub const LONGEST: i64 = 3_600;
/// Clocks of two machines may differ by so many seconds.
const SKEW: i64 = 60;
/// The longest token in bytes: what fits into a header.
const BYTES: usize = 6_000;
/// The longest `sub`, in characters.
const SUBJECT: usize = 128;

/// Somebody whom the page's own server knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Vouched {
    /// The customer's name for programs there.
    pub subject: String,
    /// What else is known of the customer, with `id` for the subject.
    pub fields: Map<String, Value>,
    /// How long that is proved, in milliseconds.
    pub lasts: u64,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproved {
    /// It is none.
    Form,
    /// It is not signed in the one way that counts.
    Algorithm,
    /// Somebody else signed it, or it was changed.
    Signature,
    /// It was valid.
    Expired,
    /// A claim is missing or wrong; in words.
    Claim(String),
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "the identity is no JSON Web Token: three parts in base64url with dots between",
            Self::Algorithm => "the header of the token must say `\"alg\":\"HS256\"`",
            Self::Signature => "the token is not signed with the secret of this widget",
            Self::Expired => "the token has expired; the page must give a new one with zhida('identify', …)",
            Self::Claim(what) => what,
        })
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    kb: Option<String>,
    site: Option<String>,
    name: Option<String>,
    #[serde(default)]
    fields: Map<String, Value>,
}

/// What a token of a site proves at a moment in Unix milliseconds.
///
/// `sub` and `exp` must be there, and `kb` or `site` must name the knowledge base or
/// the site that the token is for: a token that was made for another one opens nothing.
///
/// # Errors
/// When it proves nothing, and why.
pub fn vouched(token: &str, secret: &str, site: &str, kb: &str, now: i64) -> Result<Vouched, Unproved> {
    if token.len() > BYTES {
        return Err(Unproved::Claim(format!("the token has {} bytes; the limit is {BYTES}", token.len())));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Unproved::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(Unproved::Form)?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Unproved::Form);
    let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| Unproved::Form)?;
    // The token itself never says how it is to be checked.
    if header.alg != "HS256" {
        return Err(Unproved::Algorithm);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| Unproved::Signature)?;
    mac.update(signed.as_bytes());
    mac.verify_slice(&bytes(signature)?).map_err(|_| Unproved::Signature)?;
    let claims: Claims = serde_json::from_slice(&bytes(claims)?)
        .map_err(|e| Unproved::Claim(format!("the claims of the token cannot be read: {e}")))?;
    claims.check(site, kb, now)
}

impl Claims {
    fn check(self, site: &str, kb: &str, now: i64) -> Result<Vouched, Unproved> {
        let claim = |what: &str| Err(Unproved::Claim(what.to_owned()));
        let now = now as f64 / 1_000.0;
        let Some(expires) = self.exp.filter(|expires| expires.is_finite()) else {
            return claim("the token lacks `exp`: the second when it expires, at most an hour ahead");
        };
        if expires <= now {
            return Err(Unproved::Expired);
        }
        if expires > now + (LONGEST + SKEW) as f64 {
            return claim("`exp` is more than an hour ahead; make a new token for every page instead");
        }
        if self.nbf.is_some_and(|begins| begins > now + SKEW as f64) {
            return claim("`nbf`: the token is not valid yet");
        }
        if self.kb.is_none() && self.site.is_none() {
            return claim("the token must say in `kb` or `site` what it is for");
        }
        if self.kb.is_some_and(|named| named != kb) || self.site.is_some_and(|named| named != site) {
            return claim("the token is for another knowledge base or site");
        }
        let sound = |sub: &String| {
            let chars = sub.chars().count();
            (1..=SUBJECT).contains(&chars) && sub.trim() == sub && !sub.chars().any(char::is_control)
        };
        let Some(subject) = self.sub.filter(sound) else {
            return claim(
                "the token lacks `sub`: the customer's id as a string of 1 to 128 visible characters",
            );
        };
        let mut fields = self.fields;
        fields.extend(self.name.map(|name| ("name".to_owned(), name.into())));
        fields.insert("id".to_owned(), subject.clone().into());
        // So that people see that nobody made this up in a browser.
        fields.insert(VERIFIED.to_owned(), true.into());
        let lasts = ((expires - now) * 1_000.0) as u64;
        Ok(Vouched { subject, fields, lasts })
    }
}

/// The conversation of whoever has a token; `salt` is the site's own.
pub fn conversation_of(token: &Token, salt: &str) -> String {
    name(salt, "token", token.reveal())
}

/// The conversation of a customer whom the site's server knows.
pub fn conversation_with(subject: &str, salt: &str) -> String {
    name(salt, "subject", subject)
}

fn name(salt: &str, kind: &str, whose: &str) -> String {
    // HMAC takes keys of every length.
    let mut bytes = [0; 32];
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt.as_bytes()) {
        mac.update(format!("zhida conversation of {kind}\n{whose}").as_bytes());
        bytes.copy_from_slice(&mac.finalize().into_bytes());
    }
    let half: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("web-{half}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::Opens;

    const NOW: i64 = 1_790_000_000_000;

    fn signed(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn read(claims: Value) -> Result<Vouched, Unproved> {
        vouched(&signed(&json!({"alg": "HS256", "typ": "JWT"}), &claims, "s"), "s", "zw_a", "demo", NOW)
    }

    #[test]
    fn the_example_of_the_standard_has_its_signature() {
        // RFC 7515, A.1: its key is bytes, so only the way of signing is compared.
        let signing = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ";
        let token = format!("{signing}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c");
        let read = vouched(&token, "your-256-bit-secret", "zw_a", "demo", NOW);
        assert!(matches!(&read, Err(Unproved::Claim(what)) if what.contains("`exp`")), "{read:?}");
    }

    #[test]
    fn a_token_proves_who_it_is() {
        let second = NOW / 1_000;
        let sound = json!({"sub": "u-42", "exp": second + 600, "kb": "demo", "name": "王芳", "fields": {"vip": true, "id": "no"}});
        let read_back = read(sound.clone()).expect("sound");
        assert_eq!(read_back.subject, "u-42");
        assert_eq!(
            Value::Object(read_back.fields),
            json!({"vip": true, "id": "u-42", "name": "王芳", "verified": true})
        );
        let with = |field: &str, value: Value| {
            let mut claims = sound.clone();
            claims[field] = value;
            read(claims).expect_err("proves nothing")
        };
        assert_eq!(with("exp", json!(second)), Unproved::Expired);
        for (field, value, word) in [
            ("exp", json!(second + 4_000), "an hour"),
            ("exp", Value::Null, "`exp`"),
            ("exp", json!("soon"), "cannot be read"),
            ("sub", json!(""), "`sub`"),
            ("sub", json!(7), "cannot be read"),
            ("kb", json!("other"), "another"),
            ("kb", Value::Null, "what it is for"),
            ("site", json!("zw_b"), "another"),
            ("nbf", json!(second + 300), "not valid yet"),
        ] {
            let error = with(field, value).to_string();
            assert!(error.contains(word), "{field}: {error}");
        }
    }

    #[test]
    fn nobody_else_can_sign() {
        let claims = json!({"sub": "u", "exp": NOW / 1_000 + 60, "site": "zw_a"});
        let sound = signed(&json!({"alg": "HS256"}), &claims, "s");
        let check = |token: &str| vouched(token, "s", "zw_a", "demo", NOW);
        assert!(check(&sound).is_ok());
        assert_eq!(check(&signed(&json!({"alg": "HS256"}), &claims, "t")), Err(Unproved::Signature));
        assert_eq!(check(&signed(&json!({"alg": "none"}), &claims, "s")), Err(Unproved::Algorithm));
        let bare = sound.rsplit_once('.').expect("three parts").0;
        assert_eq!(check(&format!("{bare}.")), Err(Unproved::Signature));
        for wrong in ["", "a", "a.b", "a.b.c", bare, "....", "é.é.é"] {
            assert_eq!(check(wrong), Err(Unproved::Form), "{wrong}");
        }
        assert!(check(&"a".repeat(10_000)).is_err());
    }

    #[test]
    fn conversations_have_names_that_nobody_computes() {
        let token = Token::generate(Opens::Visitor).expect("a token");
        let name = conversation_of(&token, "salt");
        assert_eq!(name.len(), 36);
        assert_eq!(name, conversation_of(&token, "salt"));
        assert_ne!(name, conversation_of(&token, "other"));
        assert_ne!(conversation_with("u", "salt"), conversation_with("u", "other"));
        assert_ne!(conversation_with(token.reveal(), "salt"), name);
    }
}

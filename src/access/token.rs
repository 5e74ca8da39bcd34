//! What opens a session, or a door once?
//!
//! ```text
//! zs_3fK9dQ0a7WsX8p2L…(32)
//! │  │           └ the secret: 190 random bits
//! │  └ the id, 12 characters: names it in lists, and is no secret
//! └ zs for a session, zl for a link that works once, zv for a visitor of a page
//! ```
//!
//! Like a key it is kept as its SHA-256.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Digest;
use super::key::random;
use crate::error::Result;

const ID: usize = 12;
const SECRET: usize = 32;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// Somebody's session.
    Session,
    /// A door, once: the first admin's, or that of somebody without a password.
    Link,
    /// The conversation of a visitor whom nobody knows.
    Visitor,
}

impl Opens {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "zs_",
            Self::Link => "zl_",
            Self::Visitor => "zv_",
        }
    }
}

/// A token with its secret; in no log.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}…)", self.id())
    }
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate(opens: Opens) -> Result<Self> {
        Ok(Self(format!("{}{}", opens.prefix(), random(ID + SECRET)?)))
    }

    /// Reads what somebody presents; `None` when it cannot be one.
    pub fn parse(opens: Opens, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(opens.prefix())?;
        let is_sound = rest.len() == ID + SECRET && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_sound.then(|| Self(text.to_owned()))
    }

    /// Its name in lists.
    pub fn id(&self) -> &str {
        &self.0[3..3 + ID]
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// What a page of ours sends beside the cookie (`X-CSRF-Token`): pages of
    /// others make a browser send the cookie, and cannot know this.
    pub fn csrf(&self) -> String {
        // HMAC takes keys of every length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()) else { return String::new() };
        mac.update(b"zhida csrf");
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether somebody presents what belongs to this session; takes as long
    /// whatever differs.
    pub fn is_csrf(&self, presented: &str) -> bool {
        self.csrf().as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_as_what_it_is() {
        let token = Token::generate(Opens::Session).expect("a token");
        let read = Token::parse(Opens::Session, token.reveal()).expect("sound");
        assert_eq!((read.id(), read.id().len()), (token.id(), ID));
        assert!(read.digest().matches(&token.digest()));
        assert!(Token::parse(Opens::Link, token.reveal()).is_none());
        for wrong in
            ["", "zs_", "zs_short", &format!("{}x", token.reveal()), "zs_汉字汉字汉字汉字汉字汉字汉字汉"]
        {
            assert!(Token::parse(Opens::Session, wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{token:?}").contains(&token.reveal()[15..]));
        let other = Token::generate(Opens::Session).expect("a token");
        assert!(token.is_csrf(&read.csrf()) && !token.is_csrf(&other.csrf()) && !token.is_csrf(""));
        assert!(!token.csrf().contains(&token.reveal()[15..]));
    }
}

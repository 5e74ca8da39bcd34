//! What does a key look like?
//!
//! ```text
//! zk_author_3fK9dQ0a7Ws…(32)…0fX2bQ
//! │  │      │       │         └ CRC-32 of all before it, 6 characters
//! │  │      │       └ the secret, 32 characters of base 62: 190 random bits
//! │  │      └ the id, 8 characters: names the key in lists, and is no secret
//! │  └ the role
//! └ says what it is, to people and to scanners of source code
//! ```
//!
//! The checksum tells a mistyped key from an unknown one without a look-up.
//! What is stored is the SHA-256 of the whole: a slow hash protects what people
//! can remember, and would only make every request slow for 190 random bits.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::Role;
use crate::error::{Error, Result};

/// How every key begins.
pub const PREFIX: &str = "zk_";
const ID: usize = 8;
const SECRET: usize = 32;
const CHECK: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key with its secret; shown once, and in no log.
#[derive(Clone)]
pub struct Key {
    text: String,
    role: Role,
}

/// What is kept of a key.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

/// Why something is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misread {
    /// It does not have the form.
    Form,
    /// It has the form, and a character is wrong.
    Mistyped,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "a key looks like zk_ROLE_… and is 46 characters long behind its role",
            Self::Mistyped => "the key is mistyped: its last six characters do not fit the others",
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id()).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Key {
    /// A new key for a role.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate(role: Role) -> Result<Self> {
        let body = format!("{PREFIX}{}_{}", role.name(), random(ID + SECRET)?);
        let check = check(&body);
        Ok(Self { text: body + &check, role })
    }

    /// Reads what somebody presents.
    ///
    /// # Errors
    /// When it is no key, without looking anything up.
    pub fn parse(text: &str) -> std::result::Result<Self, Misread> {
        let rest = text.strip_prefix(PREFIX).ok_or(Misread::Form)?;
        let (role, tail) = rest.split_once('_').ok_or(Misread::Form)?;
        let role = Role::named(role).ok_or(Misread::Form)?;
        if tail.len() != ID + SECRET + CHECK || !tail.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Misread::Form);
        }
        let (body, told) = text.split_at(text.len() - CHECK);
        if check(body) != told {
            return Err(Misread::Mistyped);
        }
        Ok(Self { text: text.to_owned(), role })
    }

    /// Its name in lists.
    pub fn id(&self) -> &str {
        let tail = self.text.len() - (ID + SECRET + CHECK);
        &self.text[tail..tail + ID]
    }

    /// What it says it is for; what counts is what is stored.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The key itself.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }
}

impl Digest {
    /// The digest of a secret of at least 128 random bits.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// As it is stored; `None` when that is none.
    pub fn stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// To be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are of the same secret; takes as long whatever differs.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Random characters of base 62, every one as likely as the others.
///
/// # Errors
/// When the system has no randomness.
pub fn random(length: usize) -> Result<String> {
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes).map_err(|e| Error::internal("randomness", e))?;
        // 248 is four times 62: the bytes above it would favour the first digits.
        let fair =
            bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(DIGITS[usize::from(byte % 62)]));
        text.extend(fair.take(length - text.len()));
    }
    Ok(text)
}

/// Whether a text holds a key, whole or mistyped.
pub fn is_in(text: &str) -> bool {
    text.match_indices(PREFIX).any(|(at, _)| {
        let rest = &text[at + PREFIX.len()..];
        rest.split_once('_').is_some_and(|(role, tail)| {
            Role::named(role).is_some()
                && tail.bytes().take_while(u8::is_ascii_alphanumeric).count() >= ID + SECRET
        })
    })
}

fn check(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back() {
        for role in Role::ALL {
            let key = Key::generate(role).expect("a key");
            let read = Key::parse(key.reveal()).expect("sound");
            assert_eq!((read.id(), read.role()), (key.id(), role));
            assert!(read.digest().matches(&key.digest()));
            assert_eq!(key.reveal().len(), PREFIX.len() + role.name().len() + 1 + 46);
            assert!(is_in(&format!("x={}&y", key.reveal())));
            assert!(!format!("{key:?} {:?}", key.digest()).contains(key.reveal()));
        }
        assert!(!is_in("zk_author_short") && !is_in("q=zk_"));
    }

    #[test]
    fn every_single_mistake_shows_without_a_look_up() {
        let key = Key::generate(Role::Author).expect("a key");
        let text = key.reveal();
        let start = "zk_author_".len();
        for at in start..text.len() {
            for wrong in ['0', 'z'] {
                let mut mistyped = text.to_owned();
                mistyped.replace_range(at..=at, wrong.encode_utf8(&mut [0; 4]));
                if mistyped != text {
                    assert_eq!(Key::parse(&mistyped).err(), Some(Misread::Mistyped), "{at}");
                }
            }
        }
        // A key for another role is another key.
        assert_eq!(Key::parse(&text.replace("author", "admin")).err(), Some(Misread::Mistyped));
        for wrong in ["", "zk_", "zk_root_x", &text[1..], &text[..text.len() - 1], "Bearer x", "zk_ask_é"] {
            assert_eq!(Key::parse(wrong).err(), Some(Misread::Form), "{wrong}");
        }
    }

    #[test]
    fn every_character_is_as_likely() {
        let text = random(62_000).expect("random");
        for digit in DIGITS {
            let count = text.bytes().filter(|byte| byte == digit).count();
            // Six standard deviations around 1000.
            assert!((811..=1189).contains(&count), "{}: {count}", char::from(*digit));
        }
    }
}

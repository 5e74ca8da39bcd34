//! What may be a password, and is this the right one?
//!
//! As NIST SP 800-63B has it: length counts, composition does not, and what
//! everybody tries first is refused. Hashed by Argon2id with the parameters that
//! OWASP names first (19 MiB, two passes, one lane), which takes tens of
//! milliseconds: callers bound how many do so at once.

use std::fmt;
use std::sync::LazyLock;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use unicode_normalization::UnicodeNormalization;

use super::common::is_common;
use super::key::random;
use crate::error::{Error, Result};

/// The fewest characters of a password.
pub const SHORTEST: usize = 12;
/// The most: a sentence fits, a book does not.
pub const LONGEST: usize = 256;
/// KiB, passes, lanes.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// A password that somebody chose and may have.
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why something may not be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weak {
    /// It has fewer than [`SHORTEST`] characters.
    Short,
    /// It has more than [`LONGEST`] characters.
    Long,
    /// It is made of what is tried first: words of all lists, rows of keys, repetitions.
    Common,
    /// The person's name stands in it.
    Name,
}

impl Weak {
    /// The reason for people who read Chinese.
    pub fn in_chinese(self) -> String {
        match self {
            Self::Short => format!("密码至少要有 {SHORTEST} 个字符；一句好记的话就很好"),
            Self::Long => format!("密码最多 {LONGEST} 个字符"),
            Self::Common => "这个密码太常见，会最先被猜到；请换一句只有您会想到的话".to_owned(),
            Self::Name => "密码里不要包含登录名".to_owned(),
        }
    }
}

impl fmt::Display for Weak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => {
                write!(f, "a password has at least {SHORTEST} characters; a sentence is a good one")
            }
            Self::Long => write!(f, "a password has at most {LONGEST} characters"),
            Self::Common => {
                f.write_str("this password is among those that are tried first; take a sentence of your own")
            }
            Self::Name => f.write_str("the name stands in the password"),
        }
    }
}

impl Password {
    /// What somebody of a name chose.
    ///
    /// # Errors
    /// When it is too easy to guess.
    pub fn chosen(text: &str, name: &str) -> std::result::Result<Self, Weak> {
        let text = typed(text);
        let chars = text.chars().count();
        if chars < SHORTEST {
            return Err(Weak::Short);
        }
        if chars > LONGEST {
            return Err(Weak::Long);
        }
        let (lower, name) = (text.to_lowercase(), typed(name).to_lowercase());
        if name.chars().count() >= 3 && lower.contains(&name) {
            return Err(Weak::Name);
        }
        if is_common(&lower) {
            return Err(Weak::Common);
        }
        Ok(Self(text))
    }

    /// What is kept of it: a PHC string. Takes its time.
    ///
    /// # Errors
    /// When the system has no randomness or memory.
    pub fn hash(&self) -> Result<String> {
        hashed(&self.0)
    }
}

/// Whether somebody presents the password of which a hash is kept. Takes as long
/// when there is none.
pub fn is_right(presented: &str, kept: Option<&str>) -> bool {
    /// Of nobody's password.
    static NOBODY: LazyLock<Option<String>> =
        LazyLock::new(|| random(32).and_then(|text| hashed(&text)).ok());
    let hash = kept.or(NOBODY.as_deref()).unwrap_or_default();
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    // Nobody's password is longer, and hashing a book would take longer too.
    let presented: String = typed(presented).chars().take(LONGEST + 1).collect();
    hasher().is_ok_and(|hasher| hasher.verify_password(presented.as_bytes(), &parsed).is_ok())
        && kept.is_some()
}

/// The same whatever keyboard it is typed on: full width, composed or not.
fn typed(text: &str) -> String {
    text.nfkc().collect()
}

fn hasher() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(|e| Error::internal("passwords", e))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hashed(text: &str) -> Result<String> {
    let hash: PasswordHash =
        hasher()?.hash_password(text.as_bytes()).map_err(|e| Error::internal("passwords", e))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognised_and_not_kept() {
        let password = Password::chosen("我家门前有两棵枣树，都很高", "王芳").expect("a good one");
        let kept = password.hash().expect("a hash");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(is_right("我家门前有两棵枣树，都很高", Some(&kept)));
        // Whatever width it is typed in.
        assert!(is_right("我家门前有两棵枣树,都很高", Some(&kept)));
        assert!(!is_right("我家门前有两棵枣树,都很矮", Some(&kept)));
        assert!(!is_right("我家门前有两棵枣树,都很高", None));
        assert!(!is_right("", Some("not a hash")));
        assert_ne!(kept, password.hash().expect("a hash"), "salted");
        assert_eq!(format!("{password:?}"), "Password(…)");
    }

    #[test]
    fn weak_ones_are_told_apart() {
        let weak = |text: &str, name: &str| Password::chosen(text, name).err();
        assert_eq!(weak("kurz", "anna"), Some(Weak::Short));
        assert_eq!(weak("十二个字才够长的密码啊", "anna"), Some(Weak::Short));
        assert_eq!(weak(&"correct horse ".repeat(40), "anna"), Some(Weak::Long));
        assert_eq!(weak("Password123!", "anna"), Some(Weak::Common));
        assert_eq!(weak("so-sagt-Anna-es-immer", "anna"), Some(Weak::Name));
        assert_eq!(weak("so sagt es immer jemand", "anna"), None);
    }
}

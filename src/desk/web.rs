//! How does a page of one's own speak with us?
//!
//! Through the widget, which calls `/widget/…` itself: nothing is sent to it, and it
//! sends no callbacks. What a channel of this kind holds is which pages may show it,
//! what proves who a visitor is, and how much one may ask.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::key::random;
use crate::error::Result;

/// The kind's name, and that of the customers' channel.
pub const KIND: &str = "web";

/// How every site begins.
const SITE: &str = "zw_";

/// Characters of a site behind that, which nobody guesses.
const SITE_CHARS: usize = 24;

/// The most pages' origins of a site.
const ORIGINS: usize = 50;

/// The settings of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names the channel in pages; everybody may read it there.
    pub site: String,
    /// Whose pages may show the widget.
    pub origins: Vec<String>,
    /// What tokens of identified visitors are signed with.
    pub secret: String,
    /// What names of conversations are made with; it stays when the secret changes.
    pub salt: String,
    /// Requests a second of a visitor.
    #[serde(default = "of_visitor")]
    pub per_visitor: NonZeroU32,
    /// Requests a second from an address, behind which many may sit.
    #[serde(default = "of_address")]
    pub per_address: NonZeroU32,
}

fn of_visitor() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(9)
}

fn of_address() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(49)
}

impl Settings {
    /// A new site.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(origins: Vec<String>, secret: Option<String>) -> Result<Self> {
        Ok(Self {
            site: format!("{SITE}{}", random(SITE_CHARS)?),
            origins,
            secret: match secret {
                Some(secret) => secret,
                None => random(43)?,
            },
            salt: random(32)?,
            per_visitor: of_visitor(),
            per_address: of_address(),
        })
    }

    /// Reads the settings of a channel.
    ///
    /// # Errors
    /// What is wrong with them, and what to do.
    pub fn of(settings: &Value) -> std::result::Result<Self, String> {
        let settings: Self = serde_json::from_value(settings.clone()).map_err(|e| e.to_string())?;
        if settings.origins.is_empty() {
            return Err(
                "`origins` is empty (--origin): name the pages that show the widget, such as https://shop.example".to_owned()
            );
        }
        if settings.origins.len() > ORIGINS {
            return Err(format!("`origins`: a site has at most {ORIGINS}"));
        }
        if settings.origins.iter().any(|origin| origin == "*") {
            return Err(
                "`origins` (--origin): '*' would let any page show the widget; name the pages' own origins"
                    .to_owned(),
            );
        }
        if settings.secret.len() < 32 {
            return Err("`secret`: that of tokens has at least 32 characters, as HS256 wants it".to_owned());
        }
        Ok(settings)
    }

    /// What it is, in words.
    pub fn told(&self) -> String {
        format!("site {}: shown by pages of {}", self.site, self.origins.join(", "))
    }
}

/// The line that goes into a page; `address` is that of this server as browsers see it,
/// and `key` the site as pages name it.
pub fn line(address: &str, key: &str) -> String {
    let address = address.trim_end_matches('/');
    format!("<script async src=\"{address}/widget.js\" data-site=\"{key}\"></script>")
}

/// A site as pages name it, with whose it is unless that is the first tenant.
pub fn key(site: &str, tenant: Option<&str>) -> String {
    tenant.map_or_else(|| site.to_owned(), |tenant| format!("{tenant}~{site}"))
}

/// The tenant and the site that a page names; the first tenant has no name there.
pub fn parts(key: &str) -> (Option<&str>, &str) {
    match key.split_once('~') {
        Some((tenant, site)) => (Some(tenant), site),
        None => (None, key),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_site_is_read_back_and_checked() {
        let made = Settings::new(vec!["https://shop.example".to_owned()], None).expect("randomness");
        let value = serde_json::to_value(&made).expect("JSON");
        assert_eq!(Settings::of(&value).as_ref(), Ok(&made));
        assert_eq!((made.per_visitor.get(), made.per_address.get()), (10, 50));
        let line = line("https://help.example/", &key("zw_x", Some("acme")));
        assert!(line.contains("src=\"https://help.example/widget.js\" data-site=\"acme~zw_"), "{line}");
        assert_eq!(parts("acme~zw_x"), (Some("acme"), "zw_x"));
        assert_eq!(parts("zw_x"), (None, "zw_x"));
        for (field, wrong, word) in [
            ("origins", json!([]), "--origin"),
            ("origins", json!(["*"]), "'*'"),
            ("secret", json!("short"), "32 characters"),
            ("other", json!(1), "other"),
        ] {
            let mut value = value.clone();
            value[field] = wrong;
            let fault = Settings::of(&value).expect_err("a fault");
            assert!(fault.contains(word), "{fault}");
        }
    }
}

//! Who changes something, and why?

/// Goes into the records beside every change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// A person or a program.
    pub author: String,
    /// In the author's words.
    pub reason: Option<String>,
}

impl Default for Signature {
    fn default() -> Self {
        Self::of("unknown")
    }
}

impl Signature {
    /// The longest author, in characters.
    pub const AUTHOR_CHARS: usize = 100;
    /// The longest reason, in characters.
    pub const REASON_CHARS: usize = 1_000;

    /// Somebody who gives no reason.
    pub fn of(author: impl Into<String>) -> Self {
        Self { author: author.into(), reason: None }
    }
}

/// The moment at which something is recorded, RFC 3339 in UTC.
pub(super) fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    // A moment of our own days always has this form.
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

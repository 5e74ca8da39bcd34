//! Who runs this command?

use crate::error::{Error, Result};
use crate::store::Signature;

/// Who changes something, and why: both are recorded beside the change.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Signed {
    /// Recorded as the author [default: the user of the operating system].
    #[arg(long, value_name = "NAME", env = "ZHIDA_AUTHOR")]
    author: Option<String>,
    /// Why; recorded beside the change.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

impl Signed {
    /// Whoever runs a command that does not ask.
    pub(crate) fn nobody() -> Self {
        Self { author: std::env::var("ZHIDA_AUTHOR").ok(), reason: None }
    }

    /// What is recorded.
    ///
    /// # Errors
    /// When the author or the reason is too long.
    pub(crate) fn signature(&self) -> Result<Signature> {
        let visible = |text: &String| !text.trim().is_empty();
        let author = self.author.clone().filter(visible).unwrap_or_else(|| {
            ["USER", "LOGNAME", "USERNAME"]
                .iter()
                .find_map(|name| std::env::var(name).ok().filter(visible))
                .or_else(user_of_the_system)
                .unwrap_or_else(|| "unknown".to_owned())
        });
        let fits = |flag: &str, text: &str, limit: usize| {
            let chars = text.chars().count();
            if chars <= limit {
                return Ok(());
            }
            Err(Error::Refused(format!("{flag} has {chars} characters; the limit is {limit}")))
        };
        fits("--author", &author, Signature::AUTHOR_CHARS)?;
        let reason = self.reason.clone().filter(visible);
        fits("--reason", reason.as_deref().unwrap_or_default(), Signature::REASON_CHARS)?;
        Ok(Signature { author: author.trim().to_owned(), reason })
    }
}

/// Whom the system runs this for, where the environment does not say: jobs and containers
/// have none.
fn user_of_the_system() -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = std::fs::metadata("/proc/self").ok()?.uid();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let named = users.lines().find_map(|line| {
            let mut parts = line.split(':');
            let name = parts.next()?;
            (parts.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        });
        Some(named.unwrap_or_else(|| format!("uid {id}")))
    }
    #[cfg(not(unix))]
    None
}

//! What went wrong, and who must act?
//!
//! Variants are chosen by who has to do something about it, because that is
//! what decides the wording, the HTTP status and the exit code.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The result of anything in zhida that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Tells the operator of an error that comes of something that is tried again and again.
/// That a database server does not answer is said where it is noticed, once and not by
/// everybody who needs it (`store/database/cluster.rs`); that the disk takes nothing, once a
/// minute at each place.
#[doc(hidden)]
#[macro_export]
macro_rules! failed {
    ($error:expr, $($told:tt)+) => {{
        static SAID: $crate::error::Seldom = $crate::error::Seldom::new();
        let is_known = match &$error {
            $crate::error::Error::Unreachable { .. } => true,
            error => error.disk().is_some() && !SAID.is_due(std::time::Instant::now()),
        };
        if is_known {
            tracing::debug!(error = %$error, $($told)+)
        } else {
            tracing::error!(error = %$error, $($told)+)
        }
    }};
}
pub use crate::failed;

/// Something that is said once a minute, however often there is reason to.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    const PAUSE: Duration = Duration::from_secs(60);

    /// One that was never said.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether it is to be said now; then it was.
    pub fn is_due(&self, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = said.is_none_or(|said| now.saturating_duration_since(said) >= Self::PAUSE);
        if is_due {
            *said = Some(now);
        }
        is_due
    }
}

/// Everything that can go wrong below the command line and the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller must send another question (blank, too long).
    #[error("{0}")]
    Question(#[from] QuestionError),

    /// The author must change a file; every finding names file, line and column.
    #[error("{}", list(.0))]
    Corpus(Vec<Problem>),

    /// The caller named something that does not exist.
    #[error("no {what} named {name:?}{}", known_names(.known))]
    Unknown {
        /// The kind of thing, in words: "knowledge base", "model", "release".
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// What does exist.
        known: Vec<String>,
    },

    /// The operator must mend a model folder.
    #[error("model {}: {message}", folder.display())]
    Model {
        /// The folder (or the name of the built-in model).
        folder: PathBuf,
        /// What is wrong with it and what to do.
        message: String,
    },

    /// The operator must mend or rebuild a release.
    #[error("release {}: {message}", path.display())]
    Release {
        /// The folder of the release.
        path: PathBuf,
        /// What is wrong, both sides of a mismatch, and the command that mends it.
        message: String,
    },

    /// The operator must look at another machine, or at the way to it.
    #[error("{what} cannot be reached: {why}")]
    Unreachable {
        /// What it was, without secrets.
        what: String,
        /// What was heard instead.
        why: String,
    },

    /// The operator must look at the machine: disk, permissions, ports.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// A verb phrase: "read", "write", "listen on".
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// The operating system's word.
        source: std::io::Error,
    },

    /// The operator must change a setting or wait for another process.
    #[error("{0}")]
    Refused(String),

    /// The caller must go to where the data may be changed.
    #[error("the data directory {} is read-only ({why}); nothing in it can be changed from here", path.display())]
    ReadOnly {
        /// The data directory.
        path: PathBuf,
        /// How that is known; it names no path.
        why: String,
    },

    /// The caller must look again: somebody else changed it.
    #[error("{what} {}", now_at(*.current))]
    Stale {
        /// What was to be changed, in words: an entry, the lexicon.
        what: String,
        /// The revision that holds it now; `None` when it is not there.
        current: Option<i64>,
    },

    /// The caller must say that it is meant.
    #[error("this removes {removed} of {entries} entries of knowledge base {kb}")]
    Unconfirmed {
        /// The knowledge base.
        kb: String,
        /// Entries that would go.
        removed: usize,
        /// Entries that are there.
        entries: usize,
    },

    /// The caller must choose between two entries.
    #[error(
        "{field} of entry {entry:?}: {text:?} belongs to entry {owner:?} ({question}) already; remove it from one of them"
    )]
    Taken {
        /// The entry that was to be changed.
        entry: String,
        /// The field that holds the text.
        field: &'static str,
        /// The question or keyword as the exact matcher compares it.
        text: String,
        /// The entry that has it.
        owner: String,
        /// Its standard question.
        question: String,
    },

    /// The caller named an entry that does not exist.
    #[error("knowledge base {kb} has no entry {entry:?}")]
    NoEntry {
        /// The knowledge base.
        kb: String,
        /// The entry's id.
        entry: String,
    },

    /// The caller named something of the desk that does not exist.
    #[error("there is no {what} {name:?}")]
    Absent {
        /// The kind of thing, in words: "handoff", "ticket", "webhook".
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },

    /// The caller must look again: it is not in the state that this needs.
    #[error("{0}")]
    Conflict(String),
    /// A value that nothing can be made of, whatever there is already.
    #[error("{message}")]
    Field {
        /// What interfaces call it.
        field: &'static str,
        /// What is wrong, and what would be right.
        message: String,
    },

    /// The operator must grant more, or the caller use less.
    #[error(
        "the tenant may have {most} {what} and would have {would}; remove some, or ask the operator for more"
    )]
    Quota {
        /// The kind of thing, in words: "entries".
        what: &'static str,
        /// How many there may be.
        most: u64,
        /// How many there would be.
        would: u64,
    },

    /// We must fix zhida.
    #[error("internal error in {stage}: {message}")]
    Internal {
        /// The stage that failed.
        stage: &'static str,
        /// What it said.
        message: String,
    },
}

/// Why a text is no question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Nothing but white space.
    #[error("the question is blank; send at least one visible character in `text`")]
    Blank,
    /// Longer than [`crate::text::MAX_CHARS`].
    #[error("the question has {chars} characters; the limit is {limit}")]
    TooLong {
        /// Characters received.
        chars: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// A choice of a question that was not shown, and of no entry that may be given.
    #[error(
        "`choice` {choice:?} names no question that was offered in this conversation and no entry that may be given now: it is unknown, switched off or out of its dates; send one of the ids in `suggestions`, or the customer's words in `text`"
    )]
    NotOffered {
        /// What was sent.
        choice: String,
    },
    /// The robot would have to answer it, and has answered as often as it may.
    #[error("no question is left; people can still be written to and asked for")]
    NoneLeft,
}

/// One finding in a file that an author wrote.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file as the author named it.
    pub file: String,
    /// 1-based line (or sheet row); 0 when the whole file is meant.
    pub line: usize,
    /// 1-based column in characters, or 0 when the whole line is meant.
    pub column: usize,
    /// The field, when one is to blame.
    pub field: Option<String>,
    /// What is wrong and what to do, in Chinese: authors read it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        if let Some(field) = &self.field {
            write!(f, " [{field}]")?;
        }
        write!(f, " {}", self.message)
    }
}

fn now_at(current: Option<i64>) -> String {
    match current {
        Some(revision) => {
            format!("is at revision {revision} now; look at it again, and repeat the edit on top of that")
        }
        None => "does not exist; create it, or look for another id".to_owned(),
    }
}

fn list(problems: &[Problem]) -> String {
    const SHOWN: usize = 20;
    let mut lines: Vec<String> = problems.iter().take(SHOWN).map(Problem::to_string).collect();
    if problems.len() > SHOWN {
        lines.push(format!("……另有 {} 处问题未列出", problems.len() - SHOWN));
    }
    lines.join("\n")
}

fn known_names(known: &[String]) -> String {
    const SHOWN: usize = 20;
    match known {
        [] => "; there is none yet".to_owned(),
        known if known.len() <= SHOWN => format!("; known: {}", known.join(", ")),
        known => format!("; known: {} and {} more", known[..SHOWN].join(", "), known.len() - SHOWN),
    }
}

/// Why a disk does not take what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// There is no room left, or none that may be used.
    Full,
    /// Nothing may be written on it.
    ReadOnly,
    /// It fails.
    Failing,
}

/// What systems like Unix call an input/output error.
#[cfg(unix)]
const EIO: i32 = 5;

impl Disk {
    /// What the system said, as far as it speaks of the disk.
    fn of(source: &std::io::Error) -> Option<Self> {
        use std::io::ErrorKind as K;
        match source.kind() {
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Some(Self::Full),
            K::ReadOnlyFilesystem => Some(Self::ReadOnly),
            #[cfg(unix)]
            _ if source.raw_os_error() == Some(EIO) => Some(Self::Failing),
            _ => None,
        }
    }

    /// What a database said, as far as it speaks of the disk, in the system's words.
    fn told_by_database(text: &str) -> Option<std::io::Error> {
        use std::io::{Error as Told, ErrorKind as K};
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["disk is full", "No space left on device"]) {
            return Some(Told::new(K::StorageFull, text));
        }
        if says(&["readonly database", "in a read-only transaction"]) {
            return Some(Told::new(K::ReadOnlyFilesystem, text));
        }
        #[cfg(unix)]
        if says(&["disk I/O error"]) {
            return Some(Told::from_raw_os_error(EIO));
        }
        None
    }

    /// What a database said, as an error of the system: of the disk, where it is about that.
    pub fn source(text: impl ToString) -> std::io::Error {
        let text = text.to_string();
        Self::told_by_database(&text).unwrap_or_else(|| std::io::Error::other(text))
    }
}

impl Error {
    /// Why the disk did not take what was to be written, if it did not.
    pub fn disk(&self) -> Option<Disk> {
        match self {
            Self::Io { source, .. } => Disk::of(source),
            Self::ReadOnly { .. } => Some(Disk::ReadOnly),
            _ => None,
        }
    }

    /// An input/output failure with the path and the verb that failed.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_path_buf(), source }
    }

    /// An entry that somebody else has changed.
    pub fn stale(entry: impl fmt::Display, current: Option<i64>) -> Self {
        Self::Stale { what: format!("entry {:?}", entry.to_string()), current }
    }

    /// A failure that no user can mend.
    pub fn internal(stage: &'static str, message: impl fmt::Display) -> Self {
        Self::Internal { stage, message: message.to_string() }
    }

    /// A broken model folder.
    pub fn model(folder: impl AsRef<Path>, message: impl fmt::Display) -> Self {
        Self::Model { folder: folder.as_ref().to_path_buf(), message: message.to_string() }
    }

    /// A broken or mismatched release.
    pub fn release(path: impl AsRef<Path>, message: impl fmt::Display) -> Self {
        Self::Release { path: path.as_ref().to_path_buf(), message: message.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error as Told, ErrorKind as K};

    use super::*;

    #[test]
    fn what_is_said_seldom_is_said_once_a_minute() {
        let (said, begin) = (Seldom::new(), Instant::now());
        assert!(said.is_due(begin) && !said.is_due(begin));
        assert!(!said.is_due(begin + Duration::from_secs(59)));
        assert!(
            said.is_due(begin + Duration::from_secs(61)) && !said.is_due(begin + Duration::from_secs(100))
        );
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_from_other_troubles() {
        let of = |source: Told| Error::io("write", "/data/zhida.db", source).disk();
        for full in [K::StorageFull, K::QuotaExceeded, K::FileTooLarge] {
            assert_eq!(of(Told::from(full)), Some(Disk::Full), "{full}");
        }
        assert_eq!(of(Told::from(K::ReadOnlyFilesystem)), Some(Disk::ReadOnly));
        assert_eq!(of(Told::from(K::NotFound)), None);
        // As SQLite and PostgreSQL say it.
        let database = |text: &str| Disk::told_by_database(text).and_then(of);
        for (text, wanted) in [
            ("database or disk is full", Some(Disk::Full)),
            ("could not extend file: No space left on device", Some(Disk::Full)),
            ("attempt to write a readonly database", Some(Disk::ReadOnly)),
            ("cannot execute UPDATE in a read-only transaction", Some(Disk::ReadOnly)),
            ("UNIQUE constraint failed: keys.id", None),
        ] {
            assert_eq!(database(text), wanted, "{text}");
        }
        #[cfg(unix)]
        assert_eq!(database("disk I/O error"), Some(Disk::Failing));
    }
}

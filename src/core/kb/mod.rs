//! What do we know?
//!
//! A [`KnowledgeBase`] is a validated list of [`Entry`]s: every id is unique,
//! no question stands under two entries, every enabled entry has an answer.
//! Files become knowledge bases only through [`formats`], so nothing further
//! down has to check again.

pub mod check;
pub mod diff;
pub mod formats;
pub mod merge;
mod rule;
pub mod shown;

pub use rule::Rule;
pub use shown::{Image, Link};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::{Analyzer, AuthoredLexicon, Lexicon};

/// The stable name of an entry, as authors write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub String);

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl EntryId {
    /// The id of an entry that came without one: a digest of its normalised
    /// standard question, so that it survives edits of everything else.
    pub fn derived(question: &str) -> Self {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(crate::text::written(question).as_bytes());
        let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self(format!("q-{hex}"))
    }
}

/// One thing a company can answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Stable id, unique in its knowledge base.
    #[schema(value_type = String)]
    pub id: EntryId,
    /// The standard question.
    pub question: String,
    /// Other phrasings of the same question (相似问).
    #[serde(default)]
    pub similar: Vec<String>,
    /// The answer, given verbatim.
    pub answer: String,
    /// Words that settle the question when they are all a customer types.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Rules that settle the question when they fire.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// A heading for authors and reports.
    #[serde(default)]
    pub topic: Option<String>,
    /// Labels by which a question may be restricted to some entries.
    #[serde(default)]
    pub tags: Vec<String>,
    /// RFC 3339 instant from which the entry may be given.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_from: Option<time::OffsetDateTime>,
    /// RFC 3339 instant from which the entry may no longer be given.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<time::OffsetDateTime>,
    /// Other answers by channel (`web`, `wechat`, `phone`, …).
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
    /// Pictures that the answer shows, on every channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Links and cards that the answer shows, on every channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// A goal of its own: answered only where at most this share would be
    /// wrong, for answers that must not be given by mistake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wrong: Option<f64>,
    /// Ids of entries worth offering next.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub related: Vec<EntryId>,
    /// Switched off entries stay in the file but are not published.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

impl Entry {
    /// An entry with nothing but an id, a question and an answer.
    pub fn of(id: EntryId, question: String, answer: String) -> Self {
        Self {
            id,
            question,
            similar: Vec::new(),
            answer,
            keywords: Vec::new(),
            rules: Vec::new(),
            topic: None,
            tags: Vec::new(),
            valid_from: None,
            valid_until: None,
            answers: BTreeMap::new(),
            images: Vec::new(),
            links: Vec::new(),
            max_wrong: None,
            related: Vec::new(),
            enabled: true,
        }
    }

    /// The standard question followed by the similar ones.
    pub fn phrasings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.question.as_str()).chain(self.similar.iter().map(String::as_str))
    }

    /// The answer for a channel, or the common one. Authors and programs write
    /// `wechat` and `WeChat` for the same channel.
    pub fn answer_for(&self, channel: Option<&str>) -> &str {
        let named = |channel: &str| {
            let lower = channel.trim().to_lowercase();
            self.answers.get(channel).or_else(|| {
                let mut others = self.answers.iter();
                others.find(|(name, _)| name.trim().to_lowercase() == lower).map(|(_, text)| text)
            })
        };
        channel.and_then(named).unwrap_or(&self.answer)
    }

    /// Whether the entry may be given at `now`.
    pub fn valid_at(&self, now: time::OffsetDateTime) -> bool {
        self.valid_from.is_none_or(|from| from <= now) && self.valid_until.is_none_or(|until| now < until)
    }
}

/// A validated list of entries, the words that their authors add, and how they
/// are served.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KnowledgeBase {
    entries: Vec<Entry>,
    lexicon: AuthoredLexicon,
    service: String,
}

impl KnowledgeBase {
    /// Entries that were validated before: those of a record, a release, or
    /// the outcome of [`merge`].
    pub fn of_validated(entries: Vec<Entry>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// All entries, in the author's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries that are not switched off.
    pub fn enabled(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.enabled)
    }

    /// Refuses what is to be done (`publish`, `test`, …) with a knowledge base
    /// that has nothing to be found.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the knowledge base.
    pub fn require_enabled(&self, name: &str, to: &str) -> Result<()> {
        match self.enabled().next() {
            Some(_) => Ok(()),
            None => Err(Error::Refused(format!(
                "knowledge base {name} has no enabled entry; there is nothing to {to}"
            ))),
        }
    }

    /// The same entries with other words.
    #[must_use]
    pub fn with_lexicon(mut self, lexicon: AuthoredLexicon) -> Self {
        self.lexicon = lexicon;
        self
    }

    /// The same with another service document.
    #[must_use]
    pub fn with_service(mut self, service: String) -> Self {
        self.service = service;
        self
    }

    /// The service document as its authors wrote it; blank when they have none.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What the authors add to the shipped lexicon.
    pub fn lexicon(&self) -> &AuthoredLexicon {
        &self.lexicon
    }

    /// How the texts of what would be published are read: with the shipped
    /// lexicon, the authors' own, and the keywords of all enabled entries.
    pub fn analyzer(&self) -> Analyzer {
        analyzer(&self.lexicon, self.entries.iter().filter(|entry| entry.enabled))
    }

    /// The number of phrasings of all entries.
    pub fn phrasing_count(&self) -> usize {
        self.entries.iter().map(|entry| 1 + entry.similar.len()).sum()
    }
}

/// How the texts of some entries are read.
pub fn analyzer<'a>(lexicon: &AuthoredLexicon, entries: impl IntoIterator<Item = &'a Entry>) -> Analyzer {
    let keywords = entries.into_iter().flat_map(|entry| entry.keywords.iter().map(String::as_str));
    Analyzer::new(Lexicon::of(lexicon, keywords))
}

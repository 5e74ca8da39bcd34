//! What should an author add, and what would that change?
//!
//! [`review`] groups the open questions, asks the present release about them,
//! and makes [`Suggestion`]s, each with what speaks for it. Before one is shown
//! it is tried ([`Trial`]): what would the release answer differently, for
//! better and for worse? [`verdicts`] takes them up or leaves them.

mod entries;
mod group;
mod halves;
mod review;
mod taking;
mod trial;
pub mod verdicts;
mod words;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use halves::Halves;
pub use review::{Findings, Limits, Material, review};
pub(crate) use taking::is_there;
pub use trial::Trial;

use crate::kb::Entry;
use crate::text::exact_key;

/// What an author is to do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = SuggestionKind)]
pub enum Kind {
    /// Another phrasing for an entry.
    Similar,
    /// A new entry.
    Entry,
    /// Words that mean the same, for the lexicon.
    Synonym,
    /// Words that must not be taken for each other, for the lexicon.
    Contrast,
    /// A word that settles a question when it is all that is typed.
    Keyword,
    /// An entry whose answer does not help any more.
    Outdated,
    /// A new entry for questions that another one answers without helping them,
    /// although it helps others.
    Split,
    /// Two entries that are one.
    Merge,
    /// Something to reply to what is no matter of the business.
    SmallTalk,
}

impl Kind {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Similar => "similar",
            Self::Entry => "entry",
            Self::Synonym => "synonym",
            Self::Contrast => "contrast",
            Self::Keyword => "keyword",
            Self::Outdated => "outdated",
            Self::Split => "split",
            Self::Merge => "merge",
            Self::SmallTalk => "small_talk",
        }
    }

    /// What authors call it.
    pub fn chinese(self) -> &'static str {
        match self {
            Self::Similar => "相似问",
            Self::Entry => "新条目",
            Self::Synonym => "同义词",
            Self::Contrast => "区分词",
            Self::Keyword => "关键词",
            Self::Outdated => "答案过时",
            Self::Split => "拆分条目",
            Self::Merge => "合并条目",
            Self::SmallTalk => "闲聊",
        }
    }
}

/// An entry that may be the right one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SuggestedEntry)]
pub struct Near {
    /// Its id.
    pub entry: String,
    /// Its standard question.
    pub question: String,
    /// The mean probability that it is right, 0..=1.
    pub confidence: f64,
}

impl Near {
    /// An entry that is meant, whatever the probability.
    fn surely(entry: &Entry) -> Self {
        Self { entry: entry.id.0.clone(), question: entry.question.clone(), confidence: 1.0 }
    }
}

/// Something that an author may take up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = LearningSuggestion)]
pub struct Suggestion {
    /// Its name, the same as long as it says the same.
    pub id: String,
    /// What is to be done.
    pub kind: Kind,
    /// The entry that it is about; of a split, the one that answers now; of a merger, the
    /// one that stays; `null` for a new entry, for words and for small talk.
    pub entry: Option<String>,
    /// Of a merger: the entry that goes into the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// The phrasing, the new entry's question, the keyword; of words, both with `|` between them.
    pub text: String,
    /// Questions that speak for it, those asked most first.
    pub examples: Vec<String>,
    /// How often they were asked.
    pub count: u64,
    /// Questions, by how often they were asked, that would be answered right and are not
    /// now, as far as somebody has said what is right: by a label, by taking the entry
    /// from a list, by sending it.
    pub gain: u64,
    /// Questions that would be answered wrong, or no longer right.
    pub harm: u64,
    /// Whether somebody said which entry is right, or the probability speaks for
    /// it clearly; else the author has to say.
    pub sure: bool,
    /// How often customers took the entry from a list, or agents sent it.
    pub confirmed: u64,
    /// How often another entry was taken, or this one did not help.
    pub against: u64,
    /// Why, in words for the author.
    pub why: String,
    /// A draft of the answer or reply, from what agents wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// Of a split or a merger: the phrasings of each of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halves: Option<Halves>,
    /// Entries that come near.
    pub nearest: Vec<Near>,
    /// The group of questions that it is from; `null` for words.
    pub group: Option<String>,
    /// What was tried.
    pub trial: Trial,
}

impl Suggestion {
    /// The name of what is suggested.
    pub fn id_of(kind: Kind, entry: Option<&str>, text: &str) -> String {
        let mut digest = Sha256::new();
        for part in [kind.name(), entry.unwrap_or_default(), &exact_key(text)] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        let hex: String = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("s{hex}")
    }

    /// The two words of a suggestion about words.
    pub fn pair(&self) -> Option<(&str, &str)> {
        matches!(self.kind, Kind::Synonym | Kind::Contrast).then(|| self.text.split_once('|')).flatten()
    }
}

/// Open questions that mean the same.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = QuestionGroup)]
pub struct Group {
    /// Its name, which it keeps from day to day.
    pub id: String,
    /// The question in the middle.
    pub title: String,
    /// How often its questions were asked.
    pub count: u64,
    /// How often that was in the last seven days, and in the seven before.
    pub trend: [u64; 2],
    /// Different wordings.
    pub questions: usize,
    /// Of the count: handed to a person for want of an answer.
    pub unanswered: u64,
    /// Asked back, and nothing taken.
    pub asked_back: u64,
    /// Answered, and it did not help.
    pub disliked: u64,
    /// When one was asked last, in Unix milliseconds.
    pub last: i64,
    /// Wordings, the one in the middle first, then those asked most.
    pub examples: Vec<String>,
    /// Entries that come near.
    pub nearest: Vec<Near>,
    /// `similar`: a phrasing of the nearest entry; `ask`: perhaps one; `entry`:
    /// nothing comes near; `answered`: the present release answers it; `outdated`: all of
    /// it is stored, and it is the answer that does not help.
    pub proposal: &'static str,
}

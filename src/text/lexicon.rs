//! Which words does this trade use?
//!
//! The shipped lists are plain text files under `src/text/data`, one item a
//! line, `#` starts a comment. A knowledge base adds its own words to them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::normalize::key_of;

const FILLERS: &str = include_str!("data/fillers.txt");
const STOP_WORDS: &str = include_str!("data/stop_words.txt");
const SYNONYMS: &str = include_str!("data/synonyms.txt");
const WORDS: &str = include_str!("data/words.txt");

/// The words that segmentation and matching know beyond the dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexicon {
    /// Words that segmentation must keep whole.
    words: Vec<String>,
    /// Every synonym with the word that stands for its group.
    synonyms: HashMap<String, String>,
    /// Words that say nothing about the matter.
    stop_words: HashSet<String>,
}

impl Lexicon {
    /// The lists that zhida ships.
    pub fn shipped() -> Self {
        let mut lexicon = Self { words: Vec::new(), synonyms: HashMap::new(), stop_words: HashSet::new() };
        lexicon.words.extend(items(WORDS).map(|word| key_of(word).into_owned()));
        lexicon.stop_words.extend(items(STOP_WORDS).map(|word| key_of(word).into_owned()));
        for line in items(SYNONYMS) {
            let mut group = line.split_whitespace().map(|word| key_of(word).into_owned());
            let Some(head) = group.next() else { continue };
            for word in group {
                lexicon.words.push(word.clone());
                lexicon.synonyms.insert(word, head.clone());
            }
            lexicon.words.push(head);
        }
        lexicon
    }

    /// The shipped lists and the words of one knowledge base.
    pub fn with_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut lexicon = Self::shipped();
        lexicon.words.extend(
            words.into_iter().map(|word| key_of(word).into_owned()).filter(|word| word.chars().count() > 1),
        );
        lexicon.words.sort_unstable();
        lexicon.words.dedup();
        lexicon
    }

    /// Words that segmentation must keep whole.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// The word that stands for a word's group of synonyms, or the word itself.
    pub fn canonical<'a>(&'a self, word: &'a str) -> &'a str {
        self.synonyms.get(word).map_or(word, String::as_str)
    }

    /// Whether a word says nothing about the matter.
    pub fn is_stop_word(&self, word: &str) -> bool {
        self.stop_words.contains(word)
    }

    /// A digest of everything in the lexicon, for a release's fingerprint.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(FILLERS.as_bytes());
        let mut words: Vec<&str> = self.words().collect();
        words.sort_unstable();
        words.dedup();
        let mut stop_words: Vec<&str> = self.stop_words.iter().map(String::as_str).collect();
        stop_words.sort_unstable();
        for list in [words, stop_words] {
            for word in list {
                hasher.update(word.as_bytes());
                hasher.update(b"\n");
            }
            hasher.update(b"\0");
        }
        for (word, head) in self.synonyms.iter().collect::<BTreeMap<_, _>>() {
            hasher.update(format!("{word}={head}\n").as_bytes());
        }
        hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What people say around a question.
pub(super) struct Fillers {
    leading: Vec<String>,
    trailing: Vec<String>,
}

impl Fillers {
    /// The text without its longest leading filler, if it has one.
    pub(super) fn leading<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.leading.iter().find_map(|filler| text.strip_prefix(filler.as_str())).map(str::trim_start)
    }

    /// The text without its longest trailing filler, if it has one.
    pub(super) fn trailing<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.trailing.iter().find_map(|filler| text.strip_suffix(filler.as_str())).map(str::trim_end)
    }
}

/// The shipped fillers, longest first.
pub(super) fn fillers() -> &'static Fillers {
    static PARSED: LazyLock<Fillers> = LazyLock::new(|| {
        let list = |mark: char| {
            let mut words: Vec<String> = items(FILLERS)
                .filter_map(|line| line.strip_prefix(mark))
                .map(|word| word.trim().to_owned())
                .collect();
            words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
            words
        };
        Fillers { leading: list('<'), trailing: list('>') }
    });
    &PARSED
}

fn items(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty())
}

//! Which words does this trade use?
//!
//! The shipped lists are plain text files under `data`, one item a
//! line, `#` starts a comment. A knowledge base adds its own words to them.

mod authored;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use foldhash::{HashMap, HashSet};
use sha2::{Digest, Sha256};

pub use authored::{AuthoredLexicon, Item, LexiconChanges, LineChange, MOST_FREQUENT, What};

use super::details::Contrasts;
use super::normalize::{Normalizer, key_of, protected_form};
use super::protect::Protected;
use super::spelling;

const FILLERS: &str = include_str!("data/fillers.txt");
const STOP_WORDS: &str = include_str!("data/stop_words.txt");
const SYNONYMS: &str = include_str!("data/synonyms.txt");
const WORDS: &str = include_str!("data/words.txt");

/// Where a word that is more than its characters comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WordSource {
    /// A protected term of the knowledge base.
    Protected,
    /// The knowledge base's own lexicon.
    UserDictionary,
    /// A keyword of an entry.
    Keyword,
    /// The lists that zhida ships.
    Shipped,
    /// The general dictionary.
    Dictionary,
    /// A run of Latin letters or digits.
    Letters,
    /// A character that no word claims.
    SingleCharacter,
}

/// The words that segmentation and matching know beyond the dictionary.
#[derive(Debug, Clone)]
pub struct Lexicon {
    /// Words that segmentation must keep whole, shipped ones and keywords.
    words: Vec<String>,
    /// The keywords among them.
    keywords: HashSet<String>,
    /// The knowledge base's own words.
    own_words: BTreeMap<String, OwnWord>,
    /// Every synonym with the word that stands for its group.
    synonyms: HashMap<String, String>,
    /// The words that stand for groups that the knowledge base has changed.
    own_groups: HashSet<String>,
    /// Words that say nothing about the matter.
    stop_words: HashSet<String>,
    /// Those of them that the knowledge base has added.
    own_stop_words: HashSet<String>,
    /// Terms that stay as they are, in order.
    protected: BTreeSet<String>,
    /// Groups of words that the knowledge base tells apart, each word with its
    /// synonyms, and what finds them.
    contrasted: Vec<Vec<Vec<String>>>,
    contrasts: Arc<Contrasts>,
    normalizer: Arc<Normalizer>,
}

/// How segmentation takes a word of the knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct OwnWord {
    /// `None`: often enough to be kept whole.
    pub(super) frequency: Option<usize>,
    pub(super) tag: Option<String>,
}

/// Finds terms in normalised texts.
fn protecting<'a>(
    terms: impl Iterator<Item = &'a str>,
) -> std::result::Result<Protected, aho_corasick::BuildError> {
    Protected::new(&terms.map(protected_form).collect::<Vec<_>>())
}

impl Lexicon {
    /// The lists that zhida ships.
    pub fn shipped() -> Self {
        let mut lexicon = Self {
            words: Vec::new(),
            keywords: HashSet::default(),
            own_words: BTreeMap::new(),
            synonyms: HashMap::default(),
            own_groups: HashSet::default(),
            stop_words: HashSet::default(),
            own_stop_words: HashSet::default(),
            protected: BTreeSet::new(),
            contrasted: Vec::new(),
            contrasts: Arc::default(),
            normalizer: Arc::default(),
        };
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

    /// [`Self::shipped`], made once.
    fn shipped_once() -> &'static Self {
        static SHIPPED: LazyLock<Lexicon> = LazyLock::new(Lexicon::shipped);
        &SHIPPED
    }

    /// The shipped lists, what a knowledge base's authors add to them, and its
    /// entries' keywords.
    pub fn of<'a>(authored: &AuthoredLexicon, keywords: impl IntoIterator<Item = &'a str>) -> Self {
        let mut lexicon = Self::shipped();
        // Reading has refused what no automaton holds.
        let normalizer = Normalizer::new(protecting(authored.protected()).unwrap_or_default());
        lexicon.protected = authored.protected().map(|term| normalizer.written(term)).collect();
        for item in authored.items() {
            lexicon.add(&item.what, &normalizer);
        }
        lexicon.normalizer = Arc::new(normalizer);
        // Once all the synonyms are known.
        lexicon.contrasted = authored.contrasts().map(|words| lexicon.sides(words)).collect();
        // Reading has refused what no automaton holds.
        lexicon.contrasts = Arc::new(Contrasts::new(&lexicon.contrasted).unwrap_or_default());
        for keyword in keywords {
            let word = lexicon.normalizer.written(keyword);
            if word.chars().count() > 1 {
                lexicon.keywords.insert(word.clone());
                lexicon.words.push(word);
            }
        }
        lexicon.words.sort_unstable();
        lexicon.words.dedup();
        lexicon
    }

    fn add(&mut self, what: &What, normalizer: &Normalizer) {
        match what {
            What::Word { word, frequency, tag } => {
                let own = OwnWord { frequency: *frequency, tag: tag.clone() };
                self.own_words.insert(normalizer.written(word), own);
            }
            What::Synonyms { synonyms, canonical } => {
                let group: Vec<String> = synonyms.iter().map(|word| normalizer.written(word)).collect();
                let head = canonical.as_ref().map(|word| normalizer.written(word));
                self.add_group(&group, head);
            }
            What::Stop { stop } => {
                let word = normalizer.written(stop);
                self.keep_whole(&word);
                self.own_stop_words.insert(word.clone());
                self.stop_words.insert(word);
            }
            // They are taken where they are needed.
            What::Protected { .. } | What::Contrast { .. } | What::Background { .. } => {}
        }
    }

    /// A word of the knowledge base that needs no frequency of its own.
    fn keep_whole(&mut self, word: &str) {
        if word.chars().count() > 1 {
            self.own_words.entry(word.to_owned()).or_default();
        }
    }

    fn add_group(&mut self, group: &[String], head: Option<String>) {
        let Some(first) = group.first() else { return };
        for word in group {
            self.keep_whole(word);
        }
        if group.len() == 1 {
            let rest: Vec<String> = self.group(first).into_iter().filter(|word| word != first).collect();
            self.dissolve(first);
            self.unite(&rest, None);
            return;
        }
        let mut all: Vec<String> = group.to_vec();
        for word in group {
            all.extend(self.group(word));
            self.dissolve(word);
        }
        let head = head.unwrap_or_else(|| first.clone());
        self.unite(&all, Some(head));
    }

    /// Makes one group of some words that are in none.
    fn unite(&mut self, words: &[String], head: Option<String>) {
        let Some(head) = head.or_else(|| words.first().cloned()) else { return };
        for word in words.iter().filter(|word| **word != head) {
            self.synonyms.insert(word.clone(), head.clone());
        }
        self.own_groups.insert(head);
    }

    /// Makes the words of a word's group stand for themselves.
    fn dissolve(&mut self, word: &str) {
        let head = self.canonical(word).to_owned();
        self.synonyms.retain(|_, of| *of != head);
        self.own_groups.remove(&head);
    }

    /// Words that are told apart, each with those that mean the same.
    fn sides(&self, words: &[String]) -> Vec<Vec<String>> {
        let side = |word: &String| {
            let word = self.normalizer.written(word);
            let group = self.group(&word);
            let words = if group.is_empty() { vec![word] } else { group };
            words.into_iter().map(|word| spelling(&word).into_owned()).collect()
        };
        words.iter().map(side).collect()
    }

    /// The words that the knowledge base tells apart.
    pub(super) fn contrasts(&self) -> &Contrasts {
        &self.contrasts
    }

    /// How texts are normalised before these words are looked for.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// Words that segmentation must keep whole, but for the knowledge base's own ones.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    pub(super) fn own_words(&self) -> &BTreeMap<String, OwnWord> {
        &self.own_words
    }

    /// The word that stands for a word's group of synonyms, or the word itself.
    pub fn canonical<'a>(&'a self, word: &'a str) -> &'a str {
        self.synonyms.get(word).map_or(word, String::as_str)
    }

    /// The words that mean the same as a word, with itself, the one that
    /// stands for all first; empty when there is no other.
    pub fn group(&self, word: &str) -> Vec<String> {
        let head = self.canonical(word);
        let mut rest: Vec<String> =
            self.synonyms.iter().filter(|(_, of)| *of == head).map(|(word, _)| word.clone()).collect();
        if rest.is_empty() {
            return rest;
        }
        rest.sort_unstable();
        rest.insert(0, head.to_owned());
        rest
    }

    /// Whether the authors of the knowledge base have made a word's group.
    pub fn is_own_group(&self, word: &str) -> bool {
        self.own_groups.contains(self.canonical(word))
    }

    /// Whether a word says nothing about the matter. A protected term always does.
    pub fn is_stop_word(&self, word: &str) -> bool {
        self.stop_words.contains(word) && !self.protected.contains(word)
    }

    /// Whether the authors of the knowledge base have said so.
    pub fn is_own_stop_word(&self, word: &str) -> bool {
        self.own_stop_words.contains(word)
    }

    /// Where a piece of a normalised text comes from; `in_dictionary` says
    /// whether the dictionary has it.
    pub(super) fn source(&self, piece: &str, in_dictionary: bool) -> WordSource {
        let mut chars = piece.chars();
        let single = chars.next().is_some() && chars.next().is_none();
        if self.protected.contains(piece) {
            WordSource::Protected
        } else if self.own_words.get(piece).is_some_and(|own| own.frequency != Some(0)) {
            WordSource::UserDictionary
        } else if self.keywords.contains(piece) {
            WordSource::Keyword
        } else if self.words.iter().any(|word| word == piece) {
            WordSource::Shipped
        } else if piece.is_ascii() {
            WordSource::Letters
        } else if single {
            WordSource::SingleCharacter
        } else if in_dictionary {
            WordSource::Dictionary
        } else {
            WordSource::Letters
        }
    }

    /// A digest of everything in the lexicon that changes how a text is read,
    /// for a release's fingerprint.
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
        // Releases from before there were lexicons have nothing of this.
        for (word, OwnWord { frequency, tag }) in &self.own_words {
            hasher.update(format!("\0word {word} {frequency:?} {tag:?}\n").as_bytes());
        }
        for term in &self.protected {
            hasher.update(format!("\0protected {term}\n").as_bytes());
        }
        for group in &self.contrasted {
            hasher.update(format!("\0contrast {group:?}\n").as_bytes());
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
        let is_one = |filler: &str, rest: &str| match (filler, rest.chars().next()) {
            // 请教练, 请教师
            ("请教", Some(next)) => !"练师授员".contains(next),
            // 喂养, 喂奶
            ("喂", Some(next)) => !next.is_alphabetic() || "你您我请问在有能怎可为是客".contains(next),
            _ => true,
        };
        let without =
            |filler: &String| text.strip_prefix(filler.as_str()).filter(|rest| is_one(filler, rest));
        self.leading.iter().find_map(without).map(str::trim_start)
    }

    /// The text without its longest trailing filler, if it has one.
    pub(super) fn trailing<'a>(&self, text: &'a str) -> Option<&'a str> {
        let without = |filler: &String| {
            // 能加急, 不着急
            let is_one =
                |rest: &&str| filler != "急" || !rest.ends_with(|c| "加着应救紧特内危焦心".contains(c));
            text.strip_suffix(filler.as_str()).filter(is_one)
        };
        self.trailing.iter().find_map(without).map(str::trim_end)
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

/// The items of a shipped list.
pub(crate) fn items(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty())
}

//! Where are the words?

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use jieba_rs::Jieba;
use regex::Regex;

use super::MAX_CHARS;
use super::codes;
use super::lexicon::{Lexicon, WordSource};
use super::normalize::{Normalized, StepTrace, is_han};
use crate::error::{QuestionError, Result};

/// Whether jieba guesses words that are in no dictionary. Measured on
/// `faq/dev` (see corpora/README.md): guessing helped no set.
const HMM: bool = false;

/// From this frequency in the dictionary on, a character is a common word by
/// itself (把, 给, 要).
const COMMON: usize = 2_000;

/// The dictionary is read-only and takes a third of a second to build, so all
/// analyzers without words of their own share one.
static DICTIONARY: LazyLock<Arc<Jieba>> = LazyLock::new(|| {
    let mut jieba = Jieba::new();
    add_words(&mut jieba, &Lexicon::shipped());
    Arc::new(jieba)
});

/// A character that can be seen. What cannot: blanks, controls, and what
/// Unicode lets programs ignore (zero-width spaces and joiners, direction marks,
/// variation selectors, soft hyphens, fillers); Braille's blank is one by looks.
static VISIBLE: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the pattern is right or no test passes")]
    Regex::new(r"[^\s\p{Cc}\p{Default_Ignorable_Code_Point}\u{2800}\u{FFF9}-\u{FFFB}]").expect("a class")
});

fn add_words(jieba: &mut Jieba, lexicon: &Lexicon) {
    for word in missing(jieba, lexicon).map(str::to_owned).collect::<Vec<_>>() {
        jieba.add_word(&word, None, None);
    }
}

/// The knowledge base's own words are kept whole even where the dictionary has
/// them and cuts them all the same, or are cut if their authors say so.
fn add_own_words(jieba: &mut Jieba, lexicon: &Lexicon) {
    for (word, own) in lexicon.own_words() {
        jieba.add_word(word, own.frequency, own.tag.as_deref());
    }
}

/// The words of a lexicon that a dictionary does not have.
fn missing<'a>(jieba: &Jieba, lexicon: &'a Lexicon) -> impl Iterator<Item = &'a str> {
    lexicon.words().filter(|word| word.chars().count() > 1 && !jieba.has_word(word))
}

/// A piece of the core text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Token {
    /// The piece as it stands in the text.
    pub text: String,
    /// Byte offset of its beginning in [`Normalized::core`].
    pub start: usize,
    /// The word that stands for its group of synonyms.
    pub canonical: String,
    /// Whether it says nothing about the matter.
    pub stop: bool,
}

/// A unit of the lexical index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Term {
    /// A word after synonyms, stop words left out.
    Word(String),
    /// A character, or two in a row; a run of Latin letters or digits counts
    /// as one character.
    Gram(String),
}

/// A message in every form that the matchers need.
#[derive(Debug, Clone)]
pub struct Query {
    /// What was typed.
    pub raw: String,
    /// Both normal forms.
    pub text: Normalized,
    /// The words of the core.
    pub tokens: Vec<Token>,
}

impl Query {
    /// Whether anything is left that a matcher could look at.
    pub fn has_text(&self) -> bool {
        self.text.core.chars().any(char::is_alphanumeric)
    }

    /// The terms under which the lexical index looks, with repetitions.
    pub fn terms(&self) -> Vec<Term> {
        let words =
            self.tokens.iter().filter(|token| !token.stop).map(|token| Term::Word(token.canonical.clone()));
        words.chain(grams(&self.text.core).into_iter().map(Term::Gram)).collect()
    }
}

/// Turns texts into [`Query`]s, the same way for indexing and for asking.
#[derive(Clone)]
pub struct Analyzer {
    jieba: Arc<Jieba>,
    lexicon: Arc<Lexicon>,
}

impl Analyzer {
    /// An analyzer that knows a lexicon's words.
    pub fn new(lexicon: Lexicon) -> Self {
        let mut jieba = Arc::clone(&DICTIONARY);
        if missing(&jieba, &lexicon).next().is_some() || !lexicon.own_words().is_empty() {
            let jieba = Arc::make_mut(&mut jieba);
            add_words(jieba, &lexicon);
            add_own_words(jieba, &lexicon);
        }
        Self { jieba, lexicon: Arc::new(lexicon) }
    }

    /// The words it knows.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Analyses a message.
    ///
    /// # Errors
    /// When it is blank or longer than [`MAX_CHARS`] characters.
    pub fn query(&self, raw: &str) -> Result<Query> {
        let chars = raw.chars().count();
        if chars > MAX_CHARS {
            return Err(QuestionError::TooLong { chars, limit: MAX_CHARS }.into());
        }
        if !VISIBLE.is_match(raw) {
            return Err(QuestionError::Blank.into());
        }
        Ok(self.analyze(raw, self.normalize(raw)))
    }

    /// A message of which was heard what it means: that is what is scored, and
    /// what was typed is what is compared.
    pub fn heard(&self, typed: Query, heard: &str) -> Query {
        let core = self.normalize(heard).core;
        self.analyze(heard, Normalized { core, ..typed.text })
    }

    /// Both normal forms of a text.
    pub fn normalize(&self, raw: &str) -> Normalized {
        self.lexicon.normalizer().normalize(raw)
    }

    /// The form in which two spellings of the same question are equal.
    pub fn exact_key(&self, raw: &str) -> String {
        self.lexicon.normalizer().exact_key(raw)
    }

    /// A text with its numbers as they were written: the form of words.
    pub fn written(&self, raw: &str) -> String {
        self.lexicon.normalizer().written(raw)
    }

    /// What every step of the normalisation makes of a text, for people.
    pub fn trace(&self, raw: &str) -> Vec<StepTrace> {
        self.lexicon.normalizer().trace(raw)
    }

    /// Analyses a text that was normalised before.
    pub fn analyze(&self, raw: &str, text: Normalized) -> Query {
        let tokens = self.segment(&text.core);
        Query { raw: raw.to_owned(), text, tokens }
    }

    /// Cuts a normalised text into words; what is no word (spaces, symbols) is skipped.
    pub fn segment(&self, core: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut at = 0;
        for span in self.lexicon.normalizer().protected(core) {
            self.cut(core, at..span.start, &mut tokens);
            tokens.push(self.token(&core[span.clone()], span.start));
            at = span.end;
        }
        self.cut(core, at..core.len(), &mut tokens);
        tokens
    }

    /// Cuts a part of a text in which nothing is protected.
    fn cut(&self, core: &str, part: std::ops::Range<usize>, tokens: &mut Vec<Token>) {
        let mut start = part.start;
        for cut in self.jieba.cut(&core[part], HMM) {
            let piece = cut.word;
            if piece.chars().any(char::is_alphanumeric) {
                tokens.push(self.token(piece, start));
            }
            start += piece.len();
        }
    }

    /// Where names of places stand in a normalised text, in bytes.
    pub(super) fn geography(&self, core: &str) -> Vec<std::ops::Range<usize>> {
        let mut at = 0;
        let tags = self.jieba.tag(core, HMM).into_iter().map(|tag| {
            at += tag.word.len();
            (at - tag.word.len()..at, tag.tag == "ns")
        });
        tags.filter_map(|(place, is_name)| is_name.then_some(place)).collect()
    }

    fn token(&self, piece: &str, start: usize) -> Token {
        let canonical = self.lexicon.canonical(piece).to_owned();
        let stop = self.lexicon.is_stop_word(piece) || self.lexicon.is_stop_word(&canonical);
        Token { text: piece.to_owned(), start, canonical, stop }
    }

    /// Which characters of a text are neither part of a word that is known nor
    /// a common word themselves.
    pub fn doubtful(&self, text: &str) -> Vec<bool> {
        let mut doubtful = Vec::with_capacity(text.len() / 3);
        // What jieba guesses to be a word shows which characters belong
        // together; a guess is no word that is known.
        for cut in self.jieba.cut(text, true) {
            let piece = cut.word;
            let is_one = piece.chars().nth(1).is_none();
            let known =
                if is_one { self.jieba.suggest_freq(piece) > COMMON } else { self.jieba.has_word(piece) };
            doubtful.extend(piece.chars().map(|c| is_han(c) && !known));
        }
        doubtful
    }

    /// Whether a word is more to it than its letters.
    pub fn knows(&self, word: &str) -> bool {
        !matches!(self.source(word), WordSource::Letters | WordSource::SingleCharacter)
    }

    /// Where a word that [`Self::segment`] cut comes from.
    pub fn source(&self, word: &str) -> WordSource {
        self.lexicon.source(word, self.jieba.has_word(word))
    }
}

/// Characters and pairs of neighbours. A run of Latin letters or of digits is
/// one unit, since "1" says nothing about "1000"; names of models are cut into
/// their parts, the same ones in every spelling.
pub fn grams(core: &str) -> Vec<String> {
    let mut units: Vec<Cow<'_, str>> = Vec::new();
    let mut at = 0;
    for (span, parts) in codes::units(core) {
        plain_units(&core[at..span.start], &mut units);
        units.extend(parts.into_iter().map(Cow::Owned));
        at = span.end;
    }
    plain_units(&core[at..], &mut units);
    let pairs: Vec<String> = units.windows(2).map(|pair| pair.concat()).collect();
    units.into_iter().map(Cow::into_owned).chain(pairs).collect()
}

/// The characters and runs of a text that names no model.
fn plain_units<'a>(text: &'a str, units: &mut Vec<Cow<'a, str>>) {
    let mut put = |unit: &'a str| units.push(Cow::Borrowed(unit));
    let mut run: Option<usize> = None;
    for (at, c) in text.char_indices() {
        let in_run = c.is_alphanumeric() && !is_han(c);
        match (in_run, run) {
            (true, None) => run = Some(at),
            (true, Some(start)) => {
                let last = text[start..at].chars().next_back();
                if last.is_some_and(|last| last.is_numeric() != c.is_numeric()) {
                    put(&text[start..at]);
                    run = Some(at);
                }
            }
            (false, open) => {
                if let Some(start) = open {
                    put(&text[start..at]);
                    run = None;
                }
                if is_han(c) {
                    put(&text[at..at + c.len_utf8()]);
                }
            }
        }
    }
    if let Some(start) = run {
        put(&text[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AuthoredLexicon;

    fn analyzer() -> Analyzer {
        Analyzer::new(Lexicon::of(&AuthoredLexicon::default(), ["拾光卡plus"]))
    }

    #[test]
    fn tokens_and_skipped_characters_give_back_the_text() {
        let analyzer = analyzer();
        for text in ["手机号怎么换绑", "5g sim卡 a-20 坏了，50%", "拾光卡plus怎么退", "𠮷野家 emoji😀里"]
        {
            let query = analyzer.query(text).unwrap();
            let core = &query.text.core;
            let mut at = 0;
            for token in &query.tokens {
                assert!(!core[at..token.start].chars().any(char::is_alphanumeric), "{text}");
                assert_eq!(&core[token.start..token.start + token.text.len()], token.text);
                at = token.start + token.text.len();
            }
            assert!(!core[at..].chars().any(char::is_alphanumeric), "{text}");
        }
    }

    #[test]
    fn words_of_the_knowledge_base_stay_whole() {
        let query = analyzer().query("拾光卡PLUS怎么退").unwrap();
        assert!(query.tokens.iter().any(|token| token.text == "拾光卡plus"), "{:?}", query.tokens);
    }

    #[test]
    fn grams_keep_numbers_and_latin_words_whole() {
        assert_eq!(grams("充100元"), ["充", "100", "元", "充100", "100元"]);
        assert_eq!(grams("esim卡"), ["esim", "卡", "esim卡"]);
        assert_eq!(grams("iphone15"), ["iphone", "15", "iphone15"]);
        assert_eq!(grams("15promax"), grams("15pro max"));
        assert_eq!(grams("苹果15价格"), grams("iphone-15价格"));
        assert_eq!(grams("苹果15元"), ["苹", "果", "15", "元", "苹果", "果15", "15元"]);
    }

    #[test]
    fn blank_and_endless_messages_are_refused() {
        let analyzer = analyzer();
        assert!(analyzer.query(" \n\t\u{3000}").is_err());
        assert!(analyzer.query(&"长".repeat(MAX_CHARS + 1)).is_err());
        for unseen in
            ["", " \u{3000}\n", "\u{200B}", "\u{FEFF}\u{2060}", "\u{200D}\u{FE0F}\u{AD}", "\u{2800}\u{3164}"]
        {
            assert!(analyzer.query(unseen).is_err(), "{unseen:?}");
        }
        for seen in ["？", "😊", "\u{200B}退", "a", "\u{FFFD}"] {
            assert!(analyzer.query(seen).is_ok(), "{seen:?}");
        }
        assert!(analyzer.query(&"长".repeat(MAX_CHARS)).is_ok());
        assert!(!analyzer.query("😀😀！！").unwrap().has_text());
    }
}

//! Which words are written with numerals and say no number?
//!
//! 一起, 四舍五入, 二维码. Speech recognition writes digits into them: 1起, 4舍5入.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::numeral;
use crate::text::lexicon::items;

const WORDS: &str = include_str!("../data/numeral_words.txt");

struct Words {
    /// The words as they are written.
    finder: AhoCorasick,
    /// The same with digits, each at the place of its word.
    in_digits: AhoCorasick,
    words: Vec<&'static str>,
}

#[expect(clippy::expect_used, reason = "a few dozen words make no automaton that is too large")]
static ALL: LazyLock<Words> = LazyLock::new(|| {
    let finder = |words: &[String]| {
        AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(words).expect("few words")
    };
    let words: Vec<&str> = items(WORDS).collect();
    let as_written: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let digits = |word: &&str| {
        let written = word.chars().map(|c| match numeral::digit(c) {
            Some(digit) => char::from_digit(u32::try_from(digit).unwrap_or_default(), 10).unwrap_or(c),
            None => c,
        });
        written.collect::<String>()
    };
    let in_digits: Vec<String> = words.iter().map(digits).collect();
    Words { finder: finder(&as_written), in_digits: finder(&in_digits), words }
});

/// Which bytes of a text belong to such words.
pub(super) fn spans(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    ALL.finder.find_iter(text).map(|found| found.range())
}

/// The text with the numerals of such words as they are written.
pub(in crate::text) fn restore(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    for found in ALL.in_digits.find_iter(text) {
        // 11起 and 2.1样 are numbers, and so are 1样 and 1下 behind a letter.
        let joined = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '第';
        let alone = !text[..found.start()].chars().next_back().is_some_and(joined);
        let digits = text[found.range()].starts_with(|c: char| c.is_ascii_digit());
        if alone || !digits {
            out.push_str(&text[at..found.start()]);
            out.push_str(ALL.words[found.pattern().as_usize()]);
            at = found.end();
        }
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_in_words_become_numerals() {
        assert_eq!(restore("可以和朋友1起拼单吗"), "可以和朋友一起拼单吗");
        assert_eq!(restore("金额是4舍5入吗"), "金额是四舍五入吗");
        assert_eq!(restore("2维码和5险1金"), "二维码和五险一金");
        assert_eq!(restore("11起和第3方"), "11起和第三方");
        assert_eq!(restore("满1样价"), "满一样价");
    }
}

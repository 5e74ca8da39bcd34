//! Which words are written with numerals and say no number?
//!
//! 一起, 四舍五入, 二维码. Speech recognition writes digits into them: 1起, 4舍5入.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, MatchKind};

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

/// What begins elsewhere: in 下单一天 and 订单1天 stands no 单一, in 合同一年 no 同一.
const ENDS_WITH: [(&str, &str); 3] = [("单一", "下订账运保菜订清买"), ("同一", "合"), ("统一", "系传")];

/// Whether a word stands at this place, and not the end of one word and the
/// number behind it.
fn stands(text: &str, place: &Range<usize>, word: &str) -> bool {
    let before = text[..place.start].chars().next_back();
    let rest = &text[place.end..];
    let goes_on_with = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
    let of_other = |&(end, first): &(&str, &str)| end == word && before.is_some_and(|c| first.contains(c));
    if ENDS_WITH.iter().any(of_other) {
        return false;
    }
    let goes_on = |c: char| c.is_ascii_digit() || c == '.' || (numeral::is_numeral(c) && c != '半');
    if text[place.clone()].ends_with(|c: char| c.is_ascii_digit()) && rest.starts_with(goes_on) {
        return false;
    }
    let in_digits = text[place.clone()].bytes().any(|byte| byte.is_ascii_digit());
    match word {
        // 30万1天
        "万一" => !before.is_some_and(|c| c.is_ascii_digit() || numeral::is_numeral(c)),
        // 买3包送1包, 3包烟
        "三包" if in_digits => {
            !before.is_some_and(|c| "买送要拍了订购".contains(c))
                && (rest.is_empty() || goes_on_with(&["政策", "服务", "期", "法", "规定", "吗"]))
        }
        // 2手机
        "二手" if in_digits => !rest.starts_with('机') || goes_on_with(&["机器", "机动"]),
        _ => true,
    }
}

/// The words that an automaton finds in a text, each with its place.
fn found<'a>(
    finder: &'a AhoCorasick,
    text: &'a str,
    is_one: impl Fn(&Range<usize>, &str) -> bool + 'a,
) -> impl Iterator<Item = (Range<usize>, &'static str)> + 'a {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(found) = finder.find(Input::new(text).range(at..)) {
            let word = ALL.words[found.pattern().as_usize()];
            let place = found.range();
            if is_one(&place, word) {
                at = place.end;
                return Some((place, word));
            }
            // Another one may begin in it: 系统一直.
            at = place.start + text[place.start..].chars().next().map_or(1, char::len_utf8);
        }
        None
    })
}

/// Which bytes of a text belong to such words.
pub(super) fn spans(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    found(&ALL.finder, text, |place, word| stands(text, place, word)).map(|(place, _)| place)
}

/// The text with the numerals of such words as they are written.
pub(in crate::text) fn restore(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    // 11起 and 2.1样 are numbers, and so are 1样 and 1下 behind a letter.
    let joined = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '第';
    let is_one = |place: &Range<usize>, word: &str| {
        let alone = !text[..place.start].chars().next_back().is_some_and(joined);
        let digits = text[place.clone()].starts_with(|c: char| c.is_ascii_digit());
        (alone || !digits) && stands(text, place, word)
    };
    for (place, word) in found(&ALL.in_digits, text, is_one) {
        out.push_str(&text[at..place.start]);
        out.push_str(word);
        at = place.end;
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
        assert_eq!(restore("系统1直打不开"), "系统一直打不开");
    }

    #[test]
    fn a_number_behind_a_word_stays_one() {
        for text in [
            "下单10天没发货",
            "下单1天没发货",
            "订单1直",
            "合同1年",
            "万1.5倍",
            "唯10个",
            "30万1天",
            "买3包送1包",
            "3包纸",
            "2手机",
        ] {
            let expected = text.replace("1直", "一直");
            assert_eq!(restore(text), expected);
        }
        assert_eq!(restore("3包政策和2手车"), "三包政策和二手车");
        assert_eq!(spans("下单一天没发货").count(), 0);
        assert_eq!(spans("单一规格统一价").count(), 2);
    }
}

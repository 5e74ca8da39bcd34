//! What is it in standard Chinese?
//!
//! Customers write 冇 for 没有, 啷个 for 怎么, 門號 for 手机号 and "refund" for 退款. The
//! lists `data/regional.txt` and `data/english.txt` say which words stand for
//! which, and nothing beyond them is read. A word that the knowledge base
//! itself uses is left alone, for its entries are found by it; a sentence of
//! another language is left alone unless the list has every word of it.
//!
//! Like everything that is heard, only the scoring matchers get to see it.

use std::sync::LazyLock;

use foldhash::HashMap;

use super::lexicon::items;
use super::normalize::{is_han, narrow, simplify};

const LISTS: [&str; 2] = [include_str!("data/regional.txt"), include_str!("data/english.txt")];

/// How a word is read.
struct Reading {
    standard: &'static str,
    /// Only beside a word that is not weak.
    weak: bool,
}

/// What is typed, in small simplified letters, by what it means.
struct Readings {
    of: HashMap<String, Reading>,
    /// The longest of them, in words of an alphabet or in characters.
    longest: usize,
}

static READINGS: LazyLock<Readings> = LazyLock::new(|| {
    let mut of = HashMap::default();
    let mut longest = 0;
    for line in LISTS.into_iter().flat_map(items) {
        let weak = line.starts_with('?');
        let Some((standard, typed)) = line.trim_start_matches('?').split_once('=') else { continue };
        for word in typed.split(',').map(|word| simplify(&word.trim().to_lowercase())) {
            longest = longest.max(if word.is_ascii() { words(&word) } else { word.chars().count() });
            of.entry(word).or_insert(Reading { standard: standard.trim(), weak });
        }
    }
    Readings { of, longest }
});

fn words(text: &str) -> usize {
    text.split(' ').count()
}

/// A piece of a message.
enum Piece<'a> {
    /// What the lists have, with how it was typed.
    Known(&'a str, &'static Reading),
    /// A word of an alphabet that they do not have.
    Word(&'a str),
    /// Anything else.
    Other(&'a str),
}

/// The message in standard words; `None` when that is what it has. `uses` says
/// whether the knowledge base has a word.
pub(super) fn read(raw: &str, uses: &dyn Fn(&str) -> bool) -> Option<String> {
    let narrowed: String = raw.chars().map(narrow).collect();
    let text = simplify(&narrowed);
    let lower = text.to_lowercase();
    if lower.len() != text.len() {
        // Letters that change their length are of no list here.
        return None;
    }
    let chinese = text.chars().any(is_han);
    let pieces = pieces(&text, &lower, uses);
    let strong = pieces.iter().any(|piece| matches!(piece, Piece::Known(_, reading) if !reading.weak));
    let traditional = chinese && text != narrowed;
    if !strong && !traditional {
        return None;
    }
    let unread = |piece: &Piece<'_>| match piece {
        Piece::Word(word) => !uses(&word.to_lowercase()),
        _ => false,
    };
    if !chinese && pieces.iter().any(unread) {
        return None;
    }
    let foreign = foreign(&pieces, unread);
    let mut out = String::with_capacity(text.len());
    let mut changed = false;
    for (piece, foreign) in pieces.iter().zip(foreign) {
        let piece = match piece {
            Piece::Known(typed, reading) => {
                // Grammar of another language beside none of its words.
                let kept = foreign || typed.is_ascii() && reading.weak && !strong;
                changed |= !kept && *typed != reading.standard;
                if kept { *typed } else { reading.standard }
            }
            Piece::Word(typed) | Piece::Other(typed) => typed,
        };
        out.push_str(piece);
    }
    changed.then_some(out).filter(|out| !out.trim().is_empty())
}

/// Which pieces stand in a row of words of an alphabet of which one is not to
/// be read: "Apple Pay" is a name.
fn foreign(pieces: &[Piece<'_>], unread: impl Fn(&Piece<'_>) -> bool) -> Vec<bool> {
    let latin = |piece: &Piece<'_>| match piece {
        Piece::Known(typed, _) => typed.is_ascii(),
        Piece::Word(_) => true,
        Piece::Other(typed) => *typed == " ",
    };
    let mut foreign = vec![false; pieces.len()];
    let mut start = 0;
    for row in pieces.chunk_by(|a, b| latin(a) && latin(b)) {
        let is_foreign = row.iter().any(&unread);
        foreign[start..start + row.len()].fill(is_foreign);
        start += row.len();
    }
    foreign
}

/// Cuts a message, the longest words of the lists first; `lower` is the text
/// in small letters, byte by byte.
fn pieces<'a>(text: &'a str, lower: &str, uses: &dyn Fn(&str) -> bool) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &lower[at..];
        let word = word_at(rest);
        // A word beside digits and signs is a part of a code.
        let code = |end: usize| {
            let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || "@_-/&".contains(c));
            part(lower[..at].chars().next_back()) || part(lower[end..].chars().next())
        };
        let ends: Vec<usize> = if word > 0 { word_ends(rest) } else { char_ends(rest) };
        let known = ends.into_iter().rev().find_map(|end| {
            let typed = &rest[..end];
            let key = if word > 0 { &without_articles(typed) } else { typed };
            let reading = READINGS.of.get(key)?;
            // What stands for itself keeps its characters from being read.
            let read = reading.standard == key || !uses(key);
            (read && !(word > 0 && code(at + end))).then_some((end, reading))
        });
        let end = match known {
            Some((end, reading)) => {
                pieces.push(Piece::Known(&text[at..at + end], reading));
                end
            }
            None if word > 0 => {
                pieces.push(Piece::Word(&text[at..at + word]));
                word
            }
            None => {
                let end = rest.chars().next().map_or(rest.len(), char::len_utf8);
                pieces.push(Piece::Other(&text[at..at + end]));
                end
            }
        };
        at += end;
    }
    pieces
}

/// The length of the word of an alphabet that a text begins with.
fn word_at(text: &str) -> usize {
    let letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '\'' | '’');
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts { text.find(|c| !letter(c)).unwrap_or(text.len()) } else { 0 }
}

/// Where the first words end.
fn word_ends(text: &str) -> Vec<usize> {
    // As many again may be articles.
    let most = 2 * READINGS.longest;
    let (mut ends, mut at) = (Vec::new(), 0);
    while ends.len() < most {
        let word = word_at(&text[at..]);
        if word == 0 {
            break;
        }
        at += word;
        ends.push(at);
        if !text[at..].starts_with(' ') {
            break;
        }
        at += 1;
    }
    ends
}

/// Where the first characters end.
fn char_ends(text: &str) -> Vec<usize> {
    let chars = text.char_indices().take_while(|(_, c)| is_han(*c) || !c.is_ascii());
    chars.take(READINGS.longest).map(|(at, c)| at + c.len_utf8()).collect()
}

/// "cancel my order" is "cancel order".
fn without_articles(words: &str) -> String {
    const ARTICLES: [&str; 9] = ["a", "an", "the", "my", "our", "your", "this", "that", "it"];
    let kept = |(at, word): &(usize, &str)| *at == 0 || !ARTICLES.contains(word);
    let words = words.split(' ').enumerate().filter(kept).map(|(_, word)| word);
    words.collect::<Vec<_>>().join(" ").replace('’', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<String> {
        read(text, &|word| matches!(word, "app" | "啥" | "points"))
    }

    #[test]
    fn words_of_other_regions_are_read_in_standard_ones() {
        for (typed, meant) in [
            ("有冇貨", "有没有货"),
            ("點解退款未到", "为什么退款未到"),
            ("件衫爛咗點算", "衣服坏了怎么办"),
            ("改地址得唔得", "改地址可以吗"),
            ("客服幾點返工", "客服几点上班"),
            ("去香港點計錢", "去香港怎么收费"),
            ("門號怎麼過戶", "手机号怎么过户"),
            ("啷个退钱", "怎么退钱"),
            ("俺想退货中不中", "我想退货可以吗"),
            ("点退啊，唔该", "怎么退啊,"),
        ] {
            assert_eq!(said(typed).as_deref(), Some(meant), "{typed}");
        }
    }

    #[test]
    fn english_words_of_service_are_read() {
        for (typed, meant) in [
            ("refund多久", "退款多久"),
            ("Order能cancel吗", "订单能取消吗"),
            ("COD可以吗", "货到付款可以吗"),
            ("shipping fee多少", "运费多少"),
        ] {
            assert_eq!(said(typed).as_deref(), Some(meant), "{typed}");
        }
        let squeezed = |text: &str| said(text).map(|text| text.replace(' ', ""));
        assert_eq!(squeezed("How do I return an item?").as_deref(), Some("怎么退货?"));
        assert_eq!(squeezed("I want to cancel my order").as_deref(), Some("我想取消订单"));
        assert_eq!(squeezed("where is my package").as_deref(), Some("快递到哪了"));
    }

    #[test]
    fn what_is_not_in_the_lists_stays() {
        for text in [
            "怎么退货",
            "點擊退款按鈕在哪裡",
            "点击退款按钮",
            "点开链接就行",
            "有啥优惠呀",
            "how can i get there",
            "what is the price of bitcoin",
            "app怎么用",
            "Apple Pay怎么用",
            "喇叭壞了",
            "可以快點退款嗎",
            "订单号order-123",
            "reordered什么意思",
            "",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn the_lists_are_sound() {
        for line in LISTS.into_iter().flat_map(items) {
            let (_, typed) = line.split_once('=').unwrap_or_else(|| panic!("no reading: {line}"));
            assert!(typed.split(',').all(|word| !word.trim().is_empty()), "an empty word: {line}");
        }
    }
}

//! Of what pieces is a text that may name a model?
//!
//! Words, numbers, signs and Chinese names, each with what lies before it.

use super::words::{Chinese, WORDS};
use crate::text::normalize::is_han;

/// One piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Word(&'a str),
    Number(&'a str),
    /// "+" or "++" or "#".
    Sign(&'a str),
    Chinese(Chinese),
}

/// What lies between a piece and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    None,
    /// A blank or a hyphen.
    Thin,
    /// Anything else.
    Wide,
}

/// A piece with its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) piece: Piece<'a>,
    pub(super) gap: Gap,
    /// Byte offsets in the text.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Cuts a text into pieces.
pub(super) fn pieces(text: &str) -> Vec<Placed<'_>> {
    let mut all: Vec<Placed<'_>> = Vec::new();
    let (mut at, mut gap) = (0, Gap::Wide);
    while let Some(c) = text[at..].chars().next() {
        // Most characters are Chinese ones of no name.
        if is_han(c) && !WORDS.begins_name(c) && numeral(c).is_none() {
            (at, gap) = (at + c.len_utf8(), Gap::Wide);
            continue;
        }
        let rest = &text[at..];
        let start = at;
        let mut put = |piece, length: usize, gap: &mut Gap| {
            all.push(Placed { piece, gap: std::mem::replace(gap, Gap::None), start: at, end: at + length });
            at += length;
        };
        if c.is_ascii_lowercase() {
            let run = letters(rest);
            if run.contains('&') {
                put(Piece::Word(run), run.len(), &mut gap);
                continue;
            }
            for word in WORDS.pieces(run) {
                put(Piece::Word(word), word.len(), &mut gap);
            }
        } else if c.is_ascii_digit() {
            let run = number(rest);
            put(Piece::Number(run), run.len(), &mut gap);
        } else if matches!(c, '+' | '#') {
            let length = rest.len() - rest.trim_start_matches(c).len();
            // A single one between two names joins them.
            let ends = length > 1 || !rest[length..].starts_with(|next: char| next.is_ascii_alphanumeric());
            if ends && gap != Gap::Wide {
                put(Piece::Sign(&rest[..length]), length, &mut gap);
            } else {
                (at, gap) = (at + length, Gap::Wide);
            }
        } else if let Some((name, chinese)) = is_han(c).then(|| WORDS.chinese(rest)).flatten() {
            put(Piece::Chinese(chinese), name.len(), &mut gap);
        } else if let Some(length) = generation(rest, gap) {
            put(Piece::Number(&rest[..length]), length, &mut gap);
        } else {
            let thin = matches!(c, ' ' | '-' | '_') && gap == Gap::None && !all.is_empty();
            gap = if thin { Gap::Thin } else { Gap::Wide };
            at += c.len_utf8();
        }
        debug_assert!(at > start, "every turn goes on");
    }
    all
}

/// The Latin letters with which a text begins; "at&t" is one word.
fn letters(text: &str) -> &str {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let inside = c == '&' && text[at + 1..].starts_with(|next: char| next.is_ascii_lowercase());
        if !c.is_ascii_lowercase() && !inside {
            break;
        }
        end = at + 1;
    }
    &text[..end]
}

/// The number with which a text begins, with what stands behind a point: 1.12.
fn number(text: &str) -> &str {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let point = c == '.' && text[at + 1..].starts_with(|next: char| next.is_ascii_digit());
        if !c.is_ascii_digit() && !point {
            break;
        }
        end = at + 1;
    }
    &text[..end]
}

/// The Chinese numeral of 二代 behind a name.
fn generation(text: &str, gap: Gap) -> Option<usize> {
    let mut chars = text.chars();
    let numeral = chars.next().filter(|&c| numeral(c).is_some())?;
    (gap == Gap::None && chars.next() == Some('代')).then_some(numeral.len_utf8())
}

/// What a Chinese numeral of one character is.
pub(super) fn numeral(c: char) -> Option<usize> {
    "一二三四五六七八九".chars().position(|one| one == c).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_know_what_lies_before_them() {
        let cut =
            |text| pieces(text).into_iter().map(|placed| (placed.gap, placed.piece)).collect::<Vec<_>>();
        assert_eq!(
            cut("note-12 pro+"),
            [
                (Gap::Wide, Piece::Word("note")),
                (Gap::Thin, Piece::Number("12")),
                (Gap::Thin, Piece::Word("pro")),
                (Gap::None, Piece::Sign("+")),
            ]
        );
        assert_eq!(cut("v1.12的"), [(Gap::Wide, Piece::Word("v")), (Gap::None, Piece::Number("1.12"))]);
        assert_eq!(cut("a+b"), [(Gap::Wide, Piece::Word("a")), (Gap::Wide, Piece::Word("b"))]);
        assert_eq!(cut("买at&t卡"), [(Gap::Wide, Piece::Word("at&t"))]);
        assert_eq!(
            cut("荣耀9"),
            [(Gap::Wide, Piece::Chinese(Chinese::Make("honor"))), (Gap::None, Piece::Number("9"))]
        );
    }
}

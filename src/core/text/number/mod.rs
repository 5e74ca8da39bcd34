//! Which amounts does a text name, however they are written?
//!
//! [`read`] finds them for comparing ([`Amount::excludes`]); [`canonical`]
//! gives a text the one writing in which equal amounts are equal: 七天 and 一周 are
//! 7天, 20w is 200000, 一个半小时 is 90分钟, 不满18岁 is <18岁.

mod amount;
mod bound;
mod measure;
mod numeral;
mod reader;
mod span;
mod unit;
mod words;
mod writing;
mod writings;

pub(super) use amount::{Amount, Bound};
pub(super) use numeral::is_numeral;
pub(super) use words::restore;
pub use writings::Writings;

use numeral::Style;
use reader::Reader;

/// An amount with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// In characters.
    pub(super) start: usize,
    /// In characters.
    pub(super) end: usize,
    /// What it says.
    pub(super) amount: Amount,
    /// Whether it may tell one matter from another; “一张” mostly means any.
    pub(super) tells: bool,
    /// The number with its unit, without what stands around them.
    inner: std::ops::Range<usize>,
    /// Its one writing; `None` where it stays as it is.
    plain: Option<String>,
    /// How it is written in the one way; `None` where it stays as it is.
    writing: Option<String>,
}

/// The amounts of a text, from left to right.
pub(super) fn read(text: &str) -> Vec<Found> {
    if !text.chars().any(|c| numeral::begins(c) || matches!(c, '首' | '初' | '年' | '兆' | '百')) {
        return Vec::new();
    }
    let chars: Vec<char> = text.chars().collect();
    Reader::new(text, &chars).run()
}

/// The text with every amount in the one way to write it.
pub(super) fn canonical(text: &str) -> String {
    let found = read(text);
    if found.iter().all(|one| one.writing.is_none()) {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for one in found {
        let Some(writing) = one.writing else { continue };
        out.extend(&chars[at..one.start]);
        // 五百一次 is no 5001.
        if out.ends_with(|c: char| c.is_ascii_digit()) && writing.starts_with(|c: char| c.is_ascii_digit()) {
            out.push(' ');
        }
        out.push_str(&writing);
        at = one.end;
    }
    out.extend(&chars[at..]);
    out
}

/// Whether the number that begins at a place may have a minus before it: a
/// temperature may, a duration has none.
pub(super) fn may_be_negative(chars: &[char], at: usize) -> bool {
    let Some(number) = numeral::read(chars, at, &|_| false, &|_| false) else { return false };
    let unit = unit::read(chars, number.end);
    match number.style {
        Style::Digits { .. } => unit.is_none_or(|(unit, _)| unit.kind.may_be_negative()),
        _ => unit.is_some_and(|(unit, _)| unit.kind.may_be_negative()),
    }
}

/// Whether a number may begin with a character.
pub(super) fn begins(c: char) -> bool {
    c.is_ascii_digit() || is_numeral(c)
}

#[cfg(test)]
mod tests;

//! Which terms must stay as they are?
//!
//! A name such as “GO!鲜生” or “么么哒” would lose its punctuation or its
//! repeats on the way. While the other steps of the normalisation run, each
//! protected term is one character of a private area of Unicode that no step
//! touches.

use aho_corasick::{AhoCorasick, MatchKind};

/// The characters that stand for protected terms: a plane that Unicode leaves
/// to private use. What a customer sends of it means nothing to anybody.
const MASKS: std::ops::RangeInclusive<char> = '\u{F0000}'..='\u{FFFFD}';

/// The protected terms of a lexicon.
#[derive(Debug, Clone, Default)]
pub(super) struct Protected {
    /// `None` without terms.
    finder: Option<AhoCorasick>,
}

/// Byte offsets of a protected term in a text.
pub(super) type Span = std::ops::Range<usize>;

impl Protected {
    /// Terms in the form in which texts are looked through: full width and
    /// capitals folded, blanks settled.
    ///
    /// # Errors
    /// When there are more terms than an automaton can hold.
    pub(super) fn new(terms: &[String]) -> Result<Self, aho_corasick::BuildError> {
        let terms: Vec<&String> = terms.iter().filter(|term| !term.is_empty()).collect();
        if terms.is_empty() {
            return Ok(Self::default());
        }
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(terms)?;
        Ok(Self { finder: Some(finder) })
    }

    /// Whether nothing is protected.
    pub(super) fn is_empty(&self) -> bool {
        self.finder.is_none()
    }

    /// Where the terms stand in a text, from left to right, without overlaps;
    /// of terms that begin at the same place the longest.
    pub(super) fn spans(&self, text: &str) -> Vec<Span> {
        let Some(finder) = &self.finder else { return Vec::new() };
        let mut spans: Vec<Span> = Vec::new();
        let mut at = 0;
        while let Some(found) = finder.find(aho_corasick::Input::new(text).span(at..text.len())) {
            if stands_alone(text, found.start(), found.end()) {
                at = found.end();
                spans.push(found.start()..found.end());
            } else {
                at = found.start() + text[found.start()..].chars().next().map_or(1, char::len_utf8);
            }
        }
        spans
    }

    /// The text with every term behind a mask, and the terms.
    pub(super) fn mask(&self, text: &str) -> (String, Vec<String>) {
        let mut masked = String::with_capacity(text.len());
        let mut terms = Vec::new();
        let mut at = 0;
        // A foreign mask would come back as a term; what it is replaced by is
        // a character that the next step drops.
        let keep =
            |piece: &str| piece.chars().map(|c| if is_mask(c) { '\u{FFFD}' } else { c }).collect::<String>();
        for (span, mask) in self.spans(text).into_iter().zip(MASKS) {
            masked.push_str(&keep(&text[at..span.start]));
            masked.push(mask);
            at = span.end;
            terms.push(text[span].to_owned());
        }
        masked.push_str(&keep(&text[at..]));
        (masked, terms)
    }
}

/// Puts the terms back in the place of their masks.
pub(super) fn unmask(text: &str, terms: &[String]) -> String {
    if terms.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let term = is_mask(c).then(|| terms.get(c as usize - *MASKS.start() as usize)).flatten();
        match term {
            Some(term) => out.push_str(term),
            None => out.push(c),
        }
    }
    out
}

/// Whether a character stands for a protected term.
pub(super) fn is_mask(c: char) -> bool {
    MASKS.contains(&c)
}

/// “3c” does not stand in “13c”, nor “ok” in “book”.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let joined = |before: Option<char>, after: Option<char>| {
        before.zip(after).is_some_and(|(a, b)| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric())
    };
    !joined(text[..start].chars().next_back(), text[start..].chars().next())
        && !joined(text[..end].chars().next_back(), text[end..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(terms: &[&str]) -> Protected {
        Protected::new(&terms.iter().map(|&term| term.to_owned()).collect::<Vec<_>>()).expect("small")
    }

    #[test]
    fn the_longest_term_that_stands_alone_is_found() {
        let protected = protected(&["3c", "go!鲜生", "go!鲜生卡"]);
        let found = |text: &str| -> Vec<String> {
            protected.spans(text).into_iter().map(|span| text[span].to_owned()).collect()
        };
        assert_eq!(found("go!鲜生卡和3c"), ["go!鲜生卡", "3c"]);
        assert_eq!(found("13c 3cm 3c数码"), ["3c"]);
        assert_eq!(found("什么也没有"), Vec::<String>::new());
    }

    #[test]
    fn masks_go_and_come_back() {
        let protected = protected(&["么么哒", "go!"]);
        let (masked, terms) = protected.mask("么么哒和go!，\u{F0000}么么哒");
        assert_eq!(masked.chars().filter(|&c| is_mask(c)).count(), 3);
        assert_eq!(unmask(&masked, &terms), "么么哒和go!，\u{FFFD}么么哒");
    }
}

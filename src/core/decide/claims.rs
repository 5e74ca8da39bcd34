//! What does a text say by a list of patterns?
//!
//! A list has one regular expression a line behind the kind of what it claims.
//! `define NAME` gives a piece that later lines write as `{NAME}`; `unless` takes
//! back what the line above it claims. Patterns are linear in time.

use regex::Regex;

/// A list that is ready to be asked.
pub(super) struct Claims(Vec<Claim>);

struct Claim {
    kind: &'static str,
    pattern: Regex,
    /// What takes the claim back.
    unless: Vec<Regex>,
}

impl Claims {
    /// Reads a list; `None` when a line is of no known kind or no regular
    /// expression.
    pub(super) fn compile(list: &'static str, kinds: &[&str]) -> Option<Self> {
        let mut pieces: Vec<(String, String)> = Vec::new();
        let mut claims: Vec<Claim> = Vec::new();
        for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (kind, pattern) = line.split_once(' ')?;
            let pattern =
                pieces.iter().fold(pattern.to_owned(), |pattern, (name, piece)| pattern.replace(name, piece));
            match kind {
                "define" => {
                    let (name, piece) = pattern.split_once(' ')?;
                    pieces.push((format!("{{{name}}}"), piece.to_owned()));
                }
                "unless" => claims.last_mut()?.unless.push(Regex::new(&pattern).ok()?),
                kind if kinds.contains(&kind) => {
                    claims.push(Claim { kind, pattern: Regex::new(&pattern).ok()?, unless: Vec::new() });
                }
                _ => return None,
            }
        }
        Some(Self(claims))
    }

    /// The kind of the first line that claims a text, among those that count.
    pub(super) fn find(&self, text: &str, counts: impl Fn(&str) -> bool) -> Option<&'static str> {
        let claims = |claim: &&Claim| {
            counts(claim.kind)
                && claim.pattern.is_match(text)
                && !claim.unless.iter().any(|unless| unless.is_match(text))
        };
        self.0.iter().find(claims).map(|claim| claim.kind)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

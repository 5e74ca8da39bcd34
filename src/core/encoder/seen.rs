//! Which texts was an adapted model trained on?
//!
//! A model is always good at what it was trained on. Whoever measures it, a
//! calibration above all, must leave those texts out, so an adapted model
//! brings their digests along: `seen.txt`, one a line. Digests say whether a
//! text was seen and give no text away.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::text::written;

/// The digests of the texts that a model was trained on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeSet<u64>);

impl Seen {
    /// Reads a `seen.txt`.
    ///
    /// # Errors
    /// The number of a line that is no digest.
    pub fn parse(text: &[u8]) -> Result<Self, usize> {
        let text = std::str::from_utf8(text).map_err(|_| 1usize)?;
        text.lines()
            .enumerate()
            .map(|(index, line)| u64::from_str_radix(line, 16).map_err(|_| index + 1))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What [`Self::parse`] reads.
    pub fn render(&self) -> String {
        self.0.iter().map(|digest| format!("{digest:016x}\n")).collect()
    }

    /// Notes that a text was trained on.
    pub fn add(&mut self, text: &str) {
        self.0.insert(digest(text));
    }

    /// Whether a text, in any width, case or punctuation, was trained on.
    pub fn contains(&self, text: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&digest(text))
    }
}

fn digest(text: &str) -> u64 {
    let bytes = Sha256::digest(written(text).as_bytes());
    bytes.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
}

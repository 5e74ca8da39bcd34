//! Why is a sentence read this way?
//!
//! For authors who wonder why a question finds nothing, or the wrong thing:
//! what every step of the normalisation changed, and where each word comes
//! from.

use serde::Serialize;

use super::lexicon::WordSource;
use super::{Analyzer, Heard, StepTrace};
use crate::error::Result;

/// A sentence taken apart.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Anatomy {
    /// As it was typed.
    pub text: String,
    /// The steps that changed something.
    pub steps: Vec<StepTrace>,
    /// What the exact matcher, keywords and rules compare.
    pub exact: String,
    /// What is cut into words.
    pub core: String,
    /// The words, in their order.
    pub words: Vec<Word>,
}

/// A word with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Word {
    /// As it stands in the core.
    pub text: String,
    /// Its place in the core, in characters from 0.
    pub start: usize,
    /// Why it is one word.
    pub source: WordSource,
    /// What it counts as.
    pub canonical: String,
    /// The group of synonyms by which it does, the word that stands for all
    /// first; empty without a group.
    pub group: Vec<String>,
    /// Whether the authors made the group, or zhida ships it.
    pub own_group: bool,
    /// Whether it says nothing about the matter, and does not count as a word.
    pub stop: bool,
    /// Whether the authors said so, or zhida's list does.
    pub own_stop: bool,
}

impl Anatomy {
    /// Takes a sentence apart, and what was heard in it, if that is something else.
    ///
    /// # Errors
    /// When it is blank or too long.
    pub fn of(analyzer: &Analyzer, text: &str, heard: Option<Heard>) -> Result<Self> {
        let mut query = analyzer.query(text)?;
        let lexicon = analyzer.lexicon();
        let mut before = text.to_owned();
        let mut steps = analyzer.trace(text);
        steps.retain(|step| std::mem::replace(&mut before, step.text.clone()) != step.text);
        if let Some(Heard { text, .. }) = heard {
            query = analyzer.heard(query, &text);
            steps.push(StepTrace::heard(text));
        }
        let core = query.text.core;
        let words = query
            .tokens
            .into_iter()
            .map(|token| Word {
                start: core[..token.start].chars().count(),
                source: analyzer.source(&token.text),
                group: lexicon.group(&token.text),
                own_group: lexicon.is_own_group(&token.text),
                own_stop: token.stop
                    && (lexicon.is_own_stop_word(&token.text) || lexicon.is_own_stop_word(&token.canonical)),
                text: token.text,
                canonical: token.canonical,
                stop: token.stop,
            })
            .collect();
        Ok(Self { text: text.to_owned(), steps, exact: query.text.exact, core, words })
    }
}

//! What does a customer of a knowledge base mean?

use crate::kb::{Entry, KnowledgeBase};
use crate::retrieve::lexical::Statistics;
use crate::retrieve::{Phrasing, phrasings};
use crate::text::{Analyzer, AuthoredLexicon, Heard, Sounds, Usage, Writings, said, written};

/// The sounds of a knowledge base: of its phrasings, of its keywords, and of
/// the words that its authors add.
pub(super) fn sounds(entries: &[Entry], phrasings: &[Phrasing], lexicon: &AuthoredLexicon) -> Sounds {
    let mut sounds = Sounds::default();
    phrasings.iter().for_each(|phrasing| sounds.learn(&phrasing.normalized.core));
    let keywords = entries.iter().flat_map(|entry| &entry.keywords);
    keywords.chain(lexicon.words()).for_each(|word| sounds.teach(&written(word)));
    sounds
}

/// How a knowledge base writes amounts.
pub(super) fn writings(phrasings: &[Phrasing]) -> Writings {
    let mut writings = Writings::default();
    phrasings.iter().for_each(|phrasing| writings.learn(&phrasing.normalized.core));
    writings
}

/// [`super::Release::hear`] before there is a release.
pub(super) fn hear(
    sounds: &Sounds,
    writings: &Writings,
    statistics: &Statistics,
    stands: &dyn Fn(&str) -> bool,
    analyzer: &Analyzer,
    raw: &str,
) -> Option<Heard> {
    let count = |text: &str| statistics.count(text);
    let usage = Usage { phrasings: statistics.phrasings(), count: &count, stands };
    let is_word = |word: &str| word.is_ascii() && count(word) > 0 || analyzer.knows(word);
    let said = said(raw);
    let heard = sounds.hear(&said, usage, &is_word, |text| analyzer.doubtful(text));
    let adopted = writings.adopt(heard.as_ref().map_or(said.as_str(), |heard| &heard.text));
    match (heard, adopted) {
        (heard, None) => heard,
        (heard, Some(text)) => Some(Heard { text, others: heard.map_or_else(Vec::new, |it| it.others) }),
    }
}

/// What a customer of a knowledge base that is not published means, as
/// [`super::Release::hear`] will say.
pub fn hear_in(base: &KnowledgeBase, analyzer: &Analyzer, raw: &str) -> Option<Heard> {
    let entries: Vec<Entry> = base.enabled().cloned().collect();
    let phrasings = phrasings(&entries, analyzer);
    let sounds = sounds(&entries, &phrasings, base.lexicon());
    let stands = |text: &str| phrasings.iter().any(|phrasing| phrasing.normalized.core.contains(text));
    hear(&sounds, &writings(&phrasings), &Statistics::new(&phrasings), &stands, analyzer, raw)
}

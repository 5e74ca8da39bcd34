//! Which questions are one question in other words?
//!
//! [`Teacher`] learns from a release how near two questions of this trade must
//! be to mean the same ([`Likeness`]); [`group`] places the questions
//! ([`Space`]), finds the near pairs, turns nearness into probability, and links
//! them ([`link`]). Groups keep their names from one day to the next
//! ([`Memory`]): a group goes by the name that most of its questions had before.

mod likeness;
mod link;
pub mod measure;
mod memory;
mod near;
mod space;

pub use likeness::Likeness;
pub use link::{Edge, Way, link};
pub use memory::{Key, Memory};
pub use space::{Placed, Space};

use rayon::prelude::*;

use self::near::near;
use crate::encoder::{Embedding, Encoder};
use crate::error::Result;
use crate::release::{Release, background};
use crate::retrieve::GONE;
use crate::text::{Analyzer, differ};

/// Groups become one while the mean probability over their pairs is at least
/// this. Lower than one half, because pairs that are not near count as 0; of the
/// thresholds tried it was best or next to it on the labelled sets.
pub const SAME: f32 = 0.3;

/// Pairs that are less likely than this are no edge: many of them together
/// must not join what each of them speaks against.
const LEAST: f32 = 0.1;

/// What a pair keeps of its probability when the two differ in a detail that
/// cannot be meant at the same time: an amount, on and off, to and from.
const OTHER_DETAIL: f32 = 0.15;

/// Phrasings that teach; beyond that, whole entries are left out evenly.
const TEACHING: usize = 16_000;

/// Background questions that say what is common in any trade.
const ANCHORS: usize = 256;

/// A release as a teacher of what means the same.
pub struct Teacher {
    phrasings: Vec<Placed>,
    entries: Vec<usize>,
    anchors: Vec<Placed>,
    analyzer: Analyzer,
}

impl Teacher {
    /// The phrasings of a release and some background questions.
    ///
    /// # Errors
    /// When the encoder fails, which is a defect.
    pub fn of(release: &Release) -> Result<Self> {
        let all = release.phrasings().iter().enumerate().filter(|(_, phrasing)| phrasing.entry != GONE);
        let step = release.counts().1.div_ceil(TEACHING).max(1);
        let (mut phrasings, mut entries) = (Vec::new(), Vec::new());
        for (at, phrasing) in all.filter(|(_, phrasing)| phrasing.entry.is_multiple_of(step)) {
            let vector = release.semantic().map(|semantic| semantic.vector(at));
            phrasings.push(Placed { core: phrasing.normalized.core.clone(), vector });
            entries.push(phrasing.entry);
        }
        let analyzer = release.analyzer().clone();
        let anchors = anchors(&analyzer, release.encoder().map(AsRef::as_ref))?;
        Ok(Self { phrasings, entries, anchors, analyzer })
    }

    /// A teacher of given phrasings, with the number of each one's entry.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_phrasings(
        phrasings: Vec<Placed>,
        entries: Vec<usize>,
        analyzer: &Analyzer,
        encoder: Option<&Encoder>,
    ) -> Result<Self> {
        let anchors = anchors(analyzer, encoder)?;
        Ok(Self { phrasings, entries, anchors, analyzer: analyzer.clone() })
    }

    /// What nearness is worth, beside these questions.
    ///
    /// # Errors
    /// When a product fails, which is a defect.
    pub fn likeness(&self, questions: &[Placed]) -> Result<Likeness> {
        let beside: Vec<Placed> = questions.iter().chain(&self.anchors).cloned().collect();
        Likeness::of(&Space::of(&self.phrasings, &beside), &self.entries)
    }

    /// Places questions among what the teacher knows.
    pub fn space(&self, questions: &[Placed]) -> Space {
        let beside: Vec<Placed> = self.phrasings.iter().chain(&self.anchors).cloned().collect();
        Space::of(questions, &beside)
    }

    /// The likely pairs of some questions.
    ///
    /// # Errors
    /// When a product fails, which is a defect.
    pub fn edges(&self, questions: &[Placed]) -> Result<Vec<Edge>> {
        let likeness = self.likeness(questions)?;
        let space = self.space(questions);
        let pairs = near(&space, likeness.score(f64::from(LEAST)) as f32)?;
        drop(space);
        let lexicon = self.analyzer.lexicon();
        Ok(pairs
            .into_par_iter()
            .map(|(a, b, score)| {
                let mut probability = likeness.probability(f64::from(score)) as f32;
                let (one, other) = (&questions[a as usize].core, &questions[b as usize].core);
                if probability >= LEAST {
                    let query = self.analyzer.analyze(one, self.analyzer.normalize(one));
                    if differ(lexicon, &query, &[other.as_str()], std::iter::once(other.as_str())) {
                        probability *= OTHER_DETAIL;
                    }
                }
                (a, b, probability)
            })
            .filter(|edge| edge.2 >= LEAST)
            .collect())
    }
}

/// Background questions, evenly spaced.
fn anchors(analyzer: &Analyzer, encoder: Option<&Encoder>) -> Result<Vec<Placed>> {
    let texts = background()?;
    let step = (texts.len() / ANCHORS).max(1);
    let texts: Vec<String> = texts.into_iter().step_by(step).take(ANCHORS).collect();
    let vectors = vectors(encoder, &texts)?;
    Ok(placed(analyzer, &texts, vectors))
}

/// The vectors of some texts, if there is an encoder.
fn vectors(encoder: Option<&Encoder>, texts: &[String]) -> Result<Option<Vec<Embedding>>> {
    encoder.map(|encoder| encoder.embed_all(texts, &|_| ())).transpose()
}

/// Texts with their vectors.
pub fn placed(analyzer: &Analyzer, texts: &[String], vectors: Option<Vec<Embedding>>) -> Vec<Placed> {
    let mut vectors = vectors.map(Vec::into_iter);
    let mut next = || vectors.as_mut().and_then(Iterator::next);
    texts.iter().map(|text| Placed { core: analyzer.normalize(text).core, vector: next() }).collect()
}

/// Questions that mean the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouped {
    /// Its name, which it keeps.
    pub id: String,
    /// Places of its questions, the one in the middle first, then by how often
    /// they were asked.
    pub members: Vec<usize>,
}

/// Puts questions into groups. `asked` is how often each was asked, `keys` are
/// what they are remembered by.
///
/// # Errors
/// When a product fails, which is a defect.
pub fn group(
    teacher: &Teacher,
    questions: &[Placed],
    asked: &[u64],
    keys: &[Key],
    memory: &mut Memory,
) -> Result<Vec<Grouped>> {
    let edges = teacher.edges(questions)?;
    let numbers = link(Way::Average, asked, &edges, SAME);
    let count = numbers.iter().max().map_or(0, |last| *last as usize + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    numbers.iter().enumerate().for_each(|(at, &number)| members[number as usize].push(at));
    // How near each question is to the others of its group, those asked often counting more.
    let mut central = vec![0.0f64; questions.len()];
    for &(a, b, probability) in &edges {
        let (a, b) = (a as usize, b as usize);
        if numbers[a] == numbers[b] {
            central[a] += f64::from(probability) * asked[b] as f64;
            central[b] += f64::from(probability) * asked[a] as f64;
        }
    }
    for members in &mut members {
        let own = |at: usize| central[at] + asked[at] as f64;
        members.sort_by(|&a, &b| asked[b].cmp(&asked[a]).then(keys[a].cmp(&keys[b])));
        let middle =
            members.iter().copied().max_by(|&a, &b| own(a).total_cmp(&own(b)).then(keys[b].cmp(&keys[a])));
        if let Some(place) = middle.and_then(|middle| members.iter().position(|&at| at == middle)) {
            members[..=place].rotate_right(1);
        }
    }
    let names = memory.names(&members, asked, keys);
    let mut groups: Vec<Grouped> =
        names.into_iter().zip(members).map(|(id, members)| Grouped { id, members }).collect();
    let weight = |group: &Grouped| group.members.iter().map(|&at| asked[at]).sum::<u64>();
    groups.sort_by(|a, b| weight(b).cmp(&weight(a)).then(a.id.cmp(&b.id)));
    Ok(groups)
}

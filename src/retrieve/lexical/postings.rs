//! Which phrasings share terms with a question, and how much?
//!
//! BM25, term by term: what tantivy's index says of a term is unpacked at
//! load, because a question has some forty terms and every character is
//! common. Looking at all their postings once, in order, takes a fraction of
//! the time of merging forty lists by phrasing. A published list never
//! changes; live edits stand beside it, and both count in the statistics, so
//! that every score is what it would be after a publication.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings as _;
use tantivy::query::Bm25Weight;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, SegmentReader, TERMINATED};

use crate::text::Term;

/// A phrasing that has a term.
#[derive(Debug, Clone, Copy)]
struct Posting {
    /// Its place.
    phrasing: u32,
    /// How often it has it.
    count: u16,
    /// How many terms of that kind it has, as the index keeps lengths: in one byte.
    length: u8,
}

/// The kinds of terms, each with lengths and totals of its own.
const KINDS: usize = 2;

fn kind(term: &Term) -> usize {
    match term {
        Term::Word(_) => 0,
        Term::Gram(_) => 1,
    }
}

/// What is published.
#[derive(Default)]
struct Published {
    /// By term, where its postings stand in `all`.
    terms: HashMap<Term, std::ops::Range<u32>>,
    all: Vec<Posting>,
    tokens: [u64; KINDS],
    phrasings: u64,
}

/// The terms of all phrasings.
#[derive(Clone, Default)]
pub(super) struct Postings {
    published: Arc<Published>,
    /// By term, the phrasings that came with live edits.
    added: HashMap<Term, Vec<Posting>>,
    /// By term, how many more phrasings have it than in the published index.
    more: HashMap<Term, i64>,
    more_tokens: [i64; KINDS],
    more_phrasings: i64,
}

/// Each term with how often it occurs.
fn counted(terms: &[Term]) -> HashMap<&Term, u16> {
    let mut counts: HashMap<&Term, u16> = HashMap::new();
    for term in terms {
        let count = counts.entry(term).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

impl Postings {
    /// Unpacks an index whose fields of words and of grams are given.
    pub(super) fn read(segments: &[SegmentReader], words: Field, grams: Field) -> tantivy::Result<Self> {
        let mut published = Published::default();
        // A release has one segment.
        for segment in segments {
            published.phrasings += u64::from(segment.max_doc());
            for (kind, field) in [words, grams].into_iter().enumerate() {
                let index = segment.inverted_index(field)?;
                let lengths = segment.get_fieldnorms_reader(field)?;
                published.tokens[kind] += index.total_num_tokens();
                let mut stream = index.terms().stream()?;
                while let Some((key, info)) = stream.next() {
                    let start = published.all.len() as u32;
                    let mut postings =
                        index.read_postings_from_terminfo(info, IndexRecordOption::WithFreqs)?;
                    while postings.doc() != TERMINATED {
                        let phrasing = postings.doc();
                        if phrasing >= segment.max_doc() {
                            let message = format!("it names phrasing {phrasing} of {}", segment.max_doc());
                            return Err(tantivy::TantivyError::InternalError(message));
                        }
                        let count = u16::try_from(postings.term_freq()).unwrap_or(u16::MAX);
                        let length = lengths.fieldnorm_id(phrasing);
                        published.all.push(Posting { phrasing, count, length });
                        postings.advance();
                    }
                    let text = String::from_utf8_lossy(key).into_owned();
                    let term = if kind == 0 { Term::Word(text) } else { Term::Gram(text) };
                    published.terms.insert(term, start..published.all.len() as u32);
                }
            }
        }
        published.all.shrink_to_fit();
        Ok(Self { published: Arc::new(published), ..Self::default() })
    }

    /// A phrasing came.
    pub(super) fn add(&mut self, place: usize, terms: &[Term]) {
        let mut lengths = [0u32; KINDS];
        terms.iter().for_each(|term| lengths[kind(term)] += 1);
        let lengths = lengths.map(FieldNormReader::fieldnorm_to_id);
        for (term, count) in counted(terms) {
            let posting = Posting { phrasing: place as u32, count, length: lengths[kind(term)] };
            self.added.entry(term.clone()).or_default().push(posting);
        }
        self.count(terms, 1);
    }

    /// A phrasing went, published or not. One that was published stays in its
    /// lists and is never visible again.
    pub(super) fn remove(&mut self, place: usize, terms: &[Term]) {
        for term in counted(terms).into_keys() {
            let Some(postings) = self.added.get_mut(term) else { continue };
            postings.retain(|posting| posting.phrasing as usize != place);
            if postings.is_empty() {
                self.added.remove(term);
            }
        }
        self.count(terms, -1);
    }

    fn count(&mut self, terms: &[Term], sign: i64) {
        for term in counted(terms).into_keys() {
            let more = self.more.entry(term.clone()).or_default();
            *more += sign;
            if *more == 0 {
                self.more.remove(term);
            }
        }
        terms.iter().for_each(|term| self.more_tokens[kind(term)] += sign);
        self.more_phrasings += sign;
    }

    /// The `limit` best of the visible phrasings that have any of some
    /// distinct terms, best first; of equal scores those with the lower
    /// places. `places` is one more than the highest place.
    pub(super) fn best(
        &self,
        terms: &[Term],
        places: usize,
        visible: impl Fn(usize) -> bool,
        limit: usize,
    ) -> Vec<(f32, usize)> {
        let published = &*self.published;
        let phrasings = published.phrasings.saturating_add_signed(self.more_phrasings).max(1);
        let average: [f32; KINDS] = std::array::from_fn(|kind| {
            let tokens = published.tokens[kind].saturating_add_signed(self.more_tokens[kind]);
            tokens as f32 / phrasings as f32
        });
        let mut scores = vec![0f32; places];
        for term in terms {
            let known = published
                .terms
                .get(term)
                .map_or(&[][..], |range| &published.all[range.start as usize..range.end as usize]);
            let more = self.more.get(term).copied().unwrap_or(0);
            let having = (known.len() as u64).saturating_add_signed(more).min(phrasings);
            let weight = Bm25Weight::for_one_term_without_explain(having, phrasings, average[kind(term)]);
            let added = self.added.get(term).map_or(&[][..], Vec::as_slice);
            for posting in known.iter().chain(added) {
                scores[posting.phrasing as usize] += weight.score(posting.length, u32::from(posting.count));
            }
        }
        let mut best = Best::of(limit);
        for (place, score) in scores.into_iter().enumerate() {
            if score > best.bar() && visible(place) {
                best.offer(score, place);
            }
        }
        best.into_sorted()
    }
}

/// The best phrasings so far; of equal scores the first ones offered.
struct Best {
    limit: usize,
    heap: BinaryHeap<Reverse<Ranked>>,
}

#[derive(PartialEq)]
struct Ranked {
    score: f32,
    place: Reverse<usize>,
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then_with(|| self.place.cmp(&other.place))
    }
}

impl Best {
    fn of(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::with_capacity(limit + 1) }
    }

    /// The score that a phrasing must exceed to get in.
    fn bar(&self) -> f32 {
        match self.heap.peek() {
            Some(Reverse(worst)) if self.heap.len() >= self.limit => worst.score,
            _ => 0.0,
        }
    }

    fn offer(&mut self, score: f32, place: usize) {
        self.heap.push(Reverse(Ranked { score, place: Reverse(place) }));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// Best first.
    fn into_sorted(self) -> Vec<(f32, usize)> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(one)| (one.score, one.place.0)).collect()
    }
}

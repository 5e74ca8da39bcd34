//! Which phrasings share terms with a question, and how much?
//!
//! BM25, term by term: what tantivy's index says of a term is unpacked at
//! load, because a question has some forty terms and every character is
//! common. Looking at all their postings once, in order, takes a fraction of
//! the time of merging forty lists by phrasing. Leaving out postings that
//! cannot matter (MaxScore, block-max pruning, and blocks of 4 to 16 phrasings in
//! the order of their bounds) took longer still, as most of a question's terms
//! stand in many phrasings and say little. A published
//! list never changes; live edits stand beside it, and both count in the
//! statistics, so that every score is what it would be after a publication.

mod sparse;

pub use self::sparse::Sparse;

use std::sync::Arc;

use foldhash::HashMap;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings as _;
use tantivy::query::Bm25Weight;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, SegmentReader, TERMINATED};

use crate::text::Term;

/// Phrasings whose scores are added up before those of the next ones: their
/// sums stay in the second-level cache.
const TOGETHER: usize = 1 << 16;

/// From so many postings on the scores of a term that occurs once are worth a
/// table: it saves a division each.
const TABLED: usize = 512;

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
    /// By term, where its postings stand in `all`, in the order of the phrasings.
    terms: HashMap<Term, std::ops::Range<u32>>,
    all: Vec<Posting>,
    tokens: [u64; KINDS],
    phrasings: u64,
}

impl Published {
    /// The postings of a term.
    fn of(&self, term: &Term) -> &[Posting] {
        self.terms.get(term).map_or(&[], |range| &self.all[range.start as usize..range.end as usize])
    }
}

/// What a term counts that `having` of `phrasings` have, which are `average` terms long.
fn weight(having: u64, phrasings: u64, average: f32) -> Bm25Weight {
    Bm25Weight::for_one_term_without_explain(having, phrasings, average)
}

/// The postings of one of a question's terms.
struct List<'a> {
    /// Those that are still to be looked at.
    known: &'a [Posting],
    /// In no order.
    added: &'a [Posting],
    weight: Bm25Weight,
    /// By length, what the term adds to a phrasing that has it once; for long lists.
    once: Option<Box<[f32; 256]>>,
}

impl List<'_> {
    /// Adds what the term says of the phrasings from a place on to their
    /// scores, and leaves the others for the next time.
    fn add_to(&mut self, scores: &mut [f32], from: usize) {
        let end = from + scores.len();
        let (now, later) =
            self.known.split_at(self.known.partition_point(|posting| (posting.phrasing as usize) < end));
        self.known = later;
        let score = |posting: &Posting| self.weight.score(posting.length, u32::from(posting.count));
        match &self.once {
            Some(once) => {
                for posting in now {
                    let once = once[usize::from(posting.length)];
                    let score = if posting.count == 1 { once } else { score(posting) };
                    scores[posting.phrasing as usize - from] += score;
                }
            }
            None => now.iter().for_each(|posting| scores[posting.phrasing as usize - from] += score(posting)),
        }
        for posting in self.added.iter().filter(|posting| (from..end).contains(&(posting.phrasing as usize)))
        {
            scores[posting.phrasing as usize - from] += score(posting);
        }
    }
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
    let mut counts: HashMap<&Term, u16> = HashMap::default();
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

    /// The places of the phrasings that have a term, gone ones among them, and
    /// how many these are.
    pub(super) fn having<'a>(&'a self, term: &Term) -> (usize, impl Iterator<Item = usize> + use<'a>) {
        let added = self.added.get(term).map_or(&[][..], Vec::as_slice);
        let postings = self.published.of(term).iter().chain(added);
        (postings.size_hint().0, postings.map(|posting| posting.phrasing as usize))
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
        let mut lists = self.lists(terms);
        let mut best = Best::of(limit);
        let mut scores = vec![0f32; places.min(TOGETHER)];
        for from in (0..places).step_by(TOGETHER) {
            let scores = &mut scores[..TOGETHER.min(places - from)];
            scores.fill(0.0);
            lists.iter_mut().for_each(|list| list.add_to(scores, from));
            // Most are below the bar: sixteen are passed over at a time.
            for (from, part) in (from..).step_by(16).zip(scores.chunks(16)) {
                let bar = best.bar();
                if !part.iter().fold(false, |any, &score| any | (score > bar)) {
                    continue;
                }
                for (place, &score) in (from..).zip(part) {
                    if score > best.bar() && visible(place) {
                        best.offer(score, place);
                    }
                }
            }
        }
        best.into_sorted()
    }

    /// The dimensions that some terms have in the vectors of the published phrasings; those
    /// that none has, have none.
    pub(super) fn dimensions(&self, terms: &[Term]) -> Vec<u32> {
        let mut dimensions: Vec<u32> =
            terms.iter().filter_map(|term| Some(self.published.terms.get(term)?.start)).collect();
        dimensions.sort_unstable();
        dimensions
    }

    /// The published phrasings as vectors with these dimensions.
    pub(super) fn sparse(&self) -> Sparse {
        Sparse::of(&self.published)
    }

    /// How many phrasings are published.
    pub(super) fn published(&self) -> usize {
        self.published.phrasings as usize
    }

    /// Like [`Self::best`] among some published phrasings and all that came later.
    pub(super) fn best_among(
        &self,
        terms: &[Term],
        told: &[u32],
        visible: impl Fn(usize) -> bool,
        limit: usize,
    ) -> Vec<(f32, usize)> {
        let lists = self.lists(terms);
        let added = lists.iter().flat_map(|list| list.added.iter().map(|posting| posting.phrasing));
        let mut places: Vec<u32> = told.iter().copied().chain(added).collect();
        places.sort_unstable();
        places.dedup();
        places.retain(|&place| visible(place as usize));
        // Term by term in the order of the others, so that every sum is the same.
        let mut scores = vec![0f32; places.len()];
        for list in &lists {
            let score = |posting: &Posting| list.weight.score(posting.length, u32::from(posting.count));
            for (place, sum) in places.iter().zip(&mut scores) {
                if let Ok(at) = list.known.binary_search_by_key(place, |posting| posting.phrasing) {
                    *sum += score(&list.known[at]);
                }
            }
            for posting in list.added {
                if let Ok(at) = places.binary_search(&posting.phrasing) {
                    scores[at] += score(posting);
                }
            }
        }
        let mut best = Best::of(limit);
        for (place, score) in places.into_iter().zip(scores) {
            if score > best.bar() {
                best.offer(score, place as usize);
            }
        }
        best.into_sorted()
    }

    /// The postings of some terms and their weights now.
    fn lists(&self, terms: &[Term]) -> Vec<List<'_>> {
        let published = &*self.published;
        let phrasings = published.phrasings.saturating_add_signed(self.more_phrasings).max(1);
        let average: [f32; KINDS] = std::array::from_fn(|kind| {
            let tokens = published.tokens[kind].saturating_add_signed(self.more_tokens[kind]);
            tokens as f32 / phrasings as f32
        });
        let list = |term: &Term| {
            let known = published.of(term);
            let more = self.more.get(term).copied().unwrap_or(0);
            let having = (known.len() as u64).saturating_add_signed(more).min(phrasings);
            let weight = weight(having, phrasings, average[kind(term)]);
            let added = self.added.get(term).map_or(&[][..], Vec::as_slice);
            let once = (known.len() >= TABLED)
                .then(|| Box::new(std::array::from_fn(|length| weight.score(length as u8, 1))));
            List { known, added, weight, once }
        };
        terms.iter().map(list).collect()
    }
}

/// The best phrasings so far; of equal scores the first ones offered, which come in the
/// order of their places.
struct Best {
    limit: usize,
    /// What a phrasing must exceed to get in.
    bar: f32,
    /// With some more than are wanted: putting all of them in order now and then takes less
    /// than finding a place for each.
    all: Vec<(f32, usize)>,
}

impl Best {
    fn of(limit: usize) -> Self {
        Self { limit, bar: 0.0, all: Vec::with_capacity(2 * limit) }
    }

    /// The score that a phrasing must exceed to get in.
    fn bar(&self) -> f32 {
        self.bar
    }

    fn offer(&mut self, score: f32, place: usize) {
        self.all.push((score, place));
        if self.all.len() >= 2 * self.limit {
            self.all.select_nth_unstable_by(self.limit - 1, order);
            self.all.truncate(self.limit);
            self.bar = self.all[self.limit - 1].0;
        }
    }

    /// Best first.
    fn into_sorted(mut self) -> Vec<(f32, usize)> {
        self.all.sort_unstable_by(order);
        self.all.truncate(self.limit);
        self.all
    }
}

fn order(one: &(f32, usize), other: &(f32, usize)) -> std::cmp::Ordering {
    other.0.total_cmp(&one.0).then(one.1.cmp(&other.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_by_part_the_same_is_found() {
        // Of forty terms, some in every second phrasing and some in one of two
        // hundred, by a small linear congruence.
        let mut state = 3u32;
        let mut below = |n: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % n
        };
        let term = |number: u32| Term::Gram(number.to_string());
        let there = 2 * TOGETHER as u32 + 99;
        let mut made = Published { phrasings: u64::from(there), ..Published::default() };
        for number in 0..40 {
            let start = made.all.len() as u32;
            for phrasing in 0..there {
                if below(2 + number * 5) == 0 {
                    let (count, length) = (1 + below(8) as u16 / 7, 5 + below(12) as u8);
                    made.all.push(Posting { phrasing, count, length });
                    made.tokens[1] += u64::from(count);
                }
            }
            made.terms.insert(term(number), start..made.all.len() as u32);
        }
        let mut postings = Postings { published: Arc::new(made), ..Postings::default() };
        let places = there as usize + 50;
        for place in there as usize..places {
            postings.add(place, &[term(place as u32 % 41), term(7), term(7)]);
        }
        for question in 0..12u32 {
            let mut terms: Vec<Term> = (0..=question).map(|at| term((at * 7 + question) % 42)).collect();
            terms.dedup();
            let visible = |place: usize| question % 3 > 0 || !place.is_multiple_of(5);
            let mut scores = vec![0f32; places];
            for list in postings.lists(&terms) {
                for posting in list.known.iter().chain(list.added) {
                    let score = list.weight.score(posting.length, u32::from(posting.count));
                    scores[posting.phrasing as usize] += score;
                }
            }
            let mut all: Vec<(f32, usize)> =
                scores.into_iter().zip(0..).filter(|&(score, place)| score > 0.0 && visible(place)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(65);
            assert_eq!(postings.best(&terms, places, visible, 65), all, "{terms:?}");
            // Whoever is told the right ones of those that are published says the same.
            let told: Vec<u32> =
                all.iter().map(|(_, place)| *place as u32).filter(|at| *at < there).collect();
            assert_eq!(postings.best_among(&terms, &told, visible, 65), all, "{terms:?}");
        }
        // Frozen weights: what is edited on top does not count in them.
        postings.more.clear();
        (postings.more_phrasings, postings.more_tokens) = (0, [0; KINDS]);
        postings.added.clear();
        let rows = postings.sparse().rows(100..400);
        let terms = [term(3), term(7), term(11), term(44)];
        let dimensions = postings.dimensions(&terms);
        assert_eq!(dimensions.len(), 3, "no phrasing has the last one");
        for (score, place) in postings.best(&terms, places, |at| (100..400).contains(&at), 500) {
            let row = rows[place - 100].iter().filter(|(dimension, _)| dimensions.contains(dimension));
            let product: f32 = row.map(|(_, value)| value).sum();
            assert!((product - score).abs() < 1e-4 * score, "{place}: {product} for {score}");
        }
        assert!(rows.iter().all(|row| !row.is_empty() && row.is_sorted_by_key(|(dimension, _)| *dimension)));
    }
}

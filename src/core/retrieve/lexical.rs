//! Which entries share words with the question?
//!
//! BM25 over tantivy. Two fields per phrasing: jieba words, and characters
//! with pairs of neighbours. A question is the set of its terms: user text
//! never goes through a query parser, which would make phrase queries of runs
//! of Chinese words.

mod postings;

use std::path::Path;

use foldhash::HashMap;
use tantivy::directory::{Directory, RamDirectory};
use tantivy::index::IndexBuilder;
use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{PreTokenizedString, Token as IndexToken};
use tantivy::{Index, SegmentReader, TantivyDocument};

pub use self::postings::Sparse;

use self::postings::Postings;
use super::elsewhere::{Asked, Elsewhere, limit};
use super::{Candidate, Except, GONE, Phrasing, by_score};
use crate::disk::contained;
use crate::error::{Error, Result};
use crate::text::{Analyzer, Query, Term, grams, is_han};

/// Phrasings that count: enough that entries with many of them do not crowd
/// out all others.
const PHRASINGS: usize = 64;

/// Phrasings that speak for an entry together: several that share words with
/// the question are better than a lucky one.
const TOGETHER: usize = 3;

/// Whether long phrasings count less (BM25's length norm).
const NORMS: bool = true;

/// The memory that building an index may take before it spills, in bytes.
const BUDGET: usize = 256 << 20;

/// How far an entry's words are those of a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// The entry by its best phrasing; the score is BM25.
    pub best: Candidate,
    /// The mean BM25 of its best three phrasings, of fewer when it has no more;
    /// those that are not among the best of all entries' count as 0.
    pub together: f32,
}

/// The lexical index of a release.
#[derive(Clone)]
pub struct Lexical {
    postings: Postings,
    /// By phrasing; [`GONE`] for one that is not there any more.
    entry_of: Vec<usize>,
    /// By entry, how many phrasings it has.
    phrasings_of: Vec<usize>,
    /// Published phrasings that live edits have taken away.
    taken: usize,
    statistics: Statistics,
}

/// How rare each character and pair is among the phrasings.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    phrasings: usize,
    frequency: HashMap<String, u32>,
}

impl Statistics {
    /// Counts what stands in some phrasings.
    pub fn new(phrasings: &[Phrasing]) -> Self {
        let mut frequency: HashMap<String, u32> = HashMap::default();
        for phrasing in phrasings {
            for gram in distinct_grams(phrasing) {
                *frequency.entry(gram).or_default() += 1;
            }
        }
        Self { phrasings: phrasings.len(), frequency }
    }

    fn add(&mut self, phrasing: &Phrasing) {
        for gram in distinct_grams(phrasing) {
            *self.frequency.entry(gram).or_default() += 1;
        }
        self.phrasings += 1;
    }

    fn remove(&mut self, phrasing: &Phrasing) {
        for gram in distinct_grams(phrasing) {
            if let Some(count) = self.frequency.get_mut(&gram) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.frequency.remove(&gram);
                }
            }
        }
        self.phrasings = self.phrasings.saturating_sub(1);
    }

    /// How many phrasings there are.
    pub fn phrasings(&self) -> usize {
        self.phrasings
    }

    /// In how many phrasings a character, a pair or a Latin word stands.
    pub fn count(&self, gram: &str) -> u32 {
        self.frequency.get(gram).copied().unwrap_or(0)
    }

    /// What the statistics would be without some phrasings.
    pub fn without<'a>(&'a self, hidden: impl Iterator<Item = &'a Phrasing>) -> Visible<'a> {
        let mut frequency: HashMap<String, u32> = HashMap::default();
        let mut count = 0;
        for phrasing in hidden {
            count += 1;
            for gram in distinct_grams(phrasing) {
                *frequency.entry(gram).or_default() += 1;
            }
        }
        Visible { all: self, phrasings: self.phrasings - count, hidden: frequency }
    }
}

fn distinct_grams(phrasing: &Phrasing) -> Vec<String> {
    let mut grams = grams(&phrasing.normalized.core);
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// [`Statistics`] without what a search must not find.
pub struct Visible<'a> {
    all: &'a Statistics,
    phrasings: usize,
    hidden: HashMap<String, u32>,
}

impl Visible<'_> {
    fn frequency(&self, gram: &str) -> u32 {
        let all = self.all.frequency.get(gram).copied().unwrap_or(0);
        all - self.hidden.get(gram).copied().unwrap_or(0)
    }

    /// BM25's inverse document frequency; the highest for what no phrasing has.
    pub fn idf(&self, gram: &str) -> f32 {
        let (n, df) = (self.phrasings as f32, self.frequency(gram) as f32);
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
    }

    /// Whether any phrasing has this character or pair.
    pub fn knows(&self, gram: &str) -> bool {
        self.frequency(gram) > 0
    }
}

impl Lexical {
    /// Writes the index of some phrasings into an empty folder.
    pub fn build(folder: &Path, phrasings: &[Phrasing], analyzer: &Analyzer) -> Result<()> {
        let failed = |e: tantivy::TantivyError| search_error(folder, e);
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_index_option(IndexRecordOption::WithFreqs)
            .set_fieldnorms(NORMS);
        let options = TextOptions::default().set_indexing_options(indexing);
        let words = schema.add_text_field("words", options.clone());
        let grams = schema.add_text_field("grams", options);
        let directory = tantivy::directory::MmapDirectory::open(folder)
            .map_err(|e| Error::io("open", folder, std::io::Error::other(e)))?;
        // One segment whose documents are the phrasings in their order: a
        // document's number is the phrasing's.
        let mut writer = IndexBuilder::new()
            .schema(schema.build())
            .single_segment_index_writer(directory, BUDGET)
            .map_err(failed)?;
        for phrasing in phrasings {
            let query = analyzer.analyze(&phrasing.text, phrasing.normalized.clone());
            let mut document = TantivyDocument::default();
            let (mut word_terms, mut gram_terms) = (Vec::new(), Vec::new());
            for term in query.terms() {
                match term {
                    Term::Word(word) => word_terms.push(word),
                    Term::Gram(gram) => gram_terms.push(gram),
                }
            }
            document.add_pre_tokenized_text(words, pre_tokenized(word_terms));
            document.add_pre_tokenized_text(grams, pre_tokenized(gram_terms));
            writer.add_document(document).map_err(failed)?;
        }
        writer.finalize().map_err(failed)?;
        Ok(())
    }

    /// Opens the index that [`Self::build`] wrote for the same phrasings.
    pub fn open(folder: &Path, phrasings: &[Phrasing]) -> Result<Self> {
        let index = in_memory(folder)?;
        let damaged = |message| Err(tantivy::TantivyError::InternalError(message));
        let opened = contained(|| unpacked(index)).unwrap_or_else(damaged);
        let (postings, count) = opened.map_err(|e| search_error(folder, e))?;
        if count != phrasings.len() as u64 {
            let there = phrasings.len();
            let message = format!("the lexical index holds {count} phrasings, the entries have {there}");
            return Err(Error::release(folder, message));
        }
        let mut phrasings_of = vec![0; phrasings.last().map_or(0, |last| last.entry + 1)];
        phrasings.iter().for_each(|phrasing| phrasings_of[phrasing.entry] += 1);
        Ok(Self {
            postings,
            phrasings_of,
            taken: 0,
            entry_of: phrasings.iter().map(|phrasing| phrasing.entry).collect(),
            statistics: Statistics::new(phrasings),
        })
    }

    /// Takes a phrasing away; `terms` are what it was indexed under.
    pub fn remove(&mut self, place: usize, phrasing: &Phrasing, terms: &[Term]) {
        self.statistics.remove(phrasing);
        self.phrasings_of[self.entry_of[place]] -= 1;
        self.entry_of[place] = GONE;
        self.taken += usize::from(place < self.postings.published());
        self.postings.remove(place, terms);
    }

    /// Puts a phrasing at a place that is free or the next one; never at one
    /// that the published index has used.
    pub fn add(&mut self, place: usize, phrasing: &Phrasing, terms: &[Term]) {
        self.statistics.add(phrasing);
        if place == self.entry_of.len() {
            self.entry_of.push(phrasing.entry);
        } else {
            self.entry_of[place] = phrasing.entry;
        }
        if phrasing.entry >= self.phrasings_of.len() {
            self.phrasings_of.resize(phrasing.entry + 1, 0);
        }
        self.phrasings_of[phrasing.entry] += 1;
        self.postings.add(place, terms);
    }

    /// How rare each character and pair is.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Whether some characters stand together in a phrasing, of which all are given.
    pub fn stands(&self, text: &str, phrasings: &[Phrasing]) -> bool {
        let stands_in = |at: usize| self.entry_of[at] != GONE && phrasings[at].normalized.core.contains(text);
        // What holds a part of a number or of a Latin word has other terms than this part.
        if !text.chars().all(is_han) {
            return (0..phrasings.len()).any(stands_in);
        }
        let having = grams(text).into_iter().map(|gram| self.postings.having(&Term::Gram(gram)));
        having.min_by_key(|(count, _)| *count).is_some_and(|(_, mut places)| places.any(stands_in))
    }

    /// The published phrasings as sparse vectors, for another engine.
    pub fn sparse(&self) -> Sparse {
        self.postings.sparse()
    }

    /// The best `k` entries by BM25.
    pub fn search(&self, query: &Query, k: usize, except: Except) -> Vec<Overlap> {
        let found = self.phrasings(&distinct(query), k, except);
        self.by_entry(found, k, except)
    }

    /// The same among the published phrasings that another engine names, and those that
    /// live edits have added.
    pub fn search_by(
        &self,
        elsewhere: &dyn Elsewhere,
        query: &Query,
        k: usize,
        except: Except,
    ) -> Asked<Vec<Overlap>> {
        let terms = distinct(query);
        let wanted = (PHRASINGS + 1).max(k);
        let visible = self.visible(except);
        let dimensions = self.postings.dimensions(&terms);
        let mut told = Vec::new();
        // What stands in no published phrasing need not be asked for.
        if !dimensions.is_empty() {
            let Some(limit) = limit(wanted, self.share(except)) else { return Asked::Not };
            told = match elsewhere.worded(&dimensions, limit) {
                Asked::Told(told) => told,
                Asked::Not => return Asked::Not,
                Asked::Lost => return Asked::Lost,
            };
            let count = told.len();
            told.retain(|&place| (place as usize) < self.postings.published() && visible(place as usize));
            // There are more, and what they hide is not known.
            if count >= limit && told.len() < wanted {
                return Asked::Not;
            }
        }
        let found = self.postings.best_among(&terms, &told, visible, wanted);
        Asked::Told(self.by_entry(found, k, except))
    }

    /// The best `k` entries of the best phrasings.
    fn by_entry(&self, found: Vec<(f32, usize)>, k: usize, except: Except<'_>) -> Vec<Overlap> {
        // What is as far down as the first that does not count does not count
        // either: among equals chance decides which one is listed.
        let floor = 1.000_1 * found.get(PHRASINGS).map_or(0.0, |&(score, _)| score);
        // Best first, so the first ones of an entry are its best.
        let mut found_of: HashMap<usize, (Overlap, usize)> = HashMap::default();
        for (score, phrasing) in found {
            let best = Candidate { entry: self.entry_of[phrasing], phrasing, score };
            let (known, count) = found_of.entry(best.entry).or_insert((Overlap { best, together: 0.0 }, 0));
            if *count < TOGETHER && score > floor {
                known.together += score;
                *count += 1;
            }
        }
        let mean = |(found, _): (Overlap, usize)| {
            let hidden =
                matches!(except, Except::Phrasing(hidden) if self.entry_of[hidden] == found.best.entry);
            let there = self.phrasings_of[found.best.entry] - usize::from(hidden);
            Overlap { together: found.together / there.clamp(1, TOGETHER) as f32, ..found }
        };
        let mut overlaps: Vec<Overlap> = found_of.into_values().map(mean).collect();
        overlaps.sort_by(|a, b| by_score(&a.best, &b.best));
        overlaps.truncate(k);
        overlaps
    }

    /// The best phrasings that are not hidden, with their scores, as many as
    /// `k` entries may need and one more than [`PHRASINGS`].
    fn phrasings(&self, terms: &[Term], k: usize, except: Except<'_>) -> Vec<(f32, usize)> {
        let limit = (PHRASINGS + 1).max(k);
        self.postings.best(terms, self.entry_of.len(), self.visible(except), limit)
    }

    /// Whether a phrasing is there and not hidden.
    fn visible<'a>(&'a self, except: Except<'a>) -> impl Fn(usize) -> bool + Copy + use<'a> {
        move |place| {
            let entry = self.entry_of[place];
            entry != GONE && !except.hides(place, entry)
        }
    }

    /// The share of the published phrasings that may be found, or a little less of it.
    fn share(&self, except: Except<'_>) -> f64 {
        let mut out = self.taken;
        if let Except::Entries(hidden) = except {
            let counts = self.phrasings_of.iter().zip(hidden);
            out += counts.filter(|(_, hidden)| **hidden).map(|(count, _)| count).sum::<usize>();
        }
        let all = self.postings.published().max(1);
        all.saturating_sub(out) as f64 / all as f64
    }
}

/// The terms of a question, each once, in an order.
fn distinct(query: &Query) -> Vec<Term> {
    let mut terms = query.terms();
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// What an index says of its phrasings, and how many it has.
fn unpacked(files: RamDirectory) -> tantivy::Result<(Postings, u64)> {
    let index = Index::open(files)?;
    let schema = index.schema();
    let (words, grams) = (schema.get_field("words")?, schema.get_field("grams")?);
    // Not through a searcher: it opens the store of documents as well, which nobody reads here, and
    // takes as much memory for it as a damaged file says.
    let segments = index.searchable_segments()?;
    let segments = segments.iter().map(SegmentReader::open).collect::<tantivy::Result<Vec<_>>>()?;
    let count = segments.iter().map(|segment| u64::from(segment.num_docs())).sum();
    Ok((Postings::read(&segments, words, grams)?, count))
}

/// The files of an index in memory: reading them from the disk through tantivy
/// takes a lock file, which a release on a read-only disk does not allow.
fn in_memory(folder: &Path) -> Result<RamDirectory> {
    let directory = RamDirectory::create();
    for item in std::fs::read_dir(folder).map_err(|e| Error::io("read", folder, e))? {
        let path = item.map_err(|e| Error::io("read", folder, e))?.path();
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let name = Path::new(path.file_name().unwrap_or_default());
        directory.atomic_write(name, &bytes).map_err(|e| Error::io("read", &path, e))?;
    }
    Ok(directory)
}

fn pre_tokenized(terms: Vec<String>) -> PreTokenizedString {
    let tokens = terms
        .into_iter()
        .enumerate()
        .map(|(position, text)| IndexToken { position, text, ..IndexToken::default() })
        .collect();
    PreTokenizedString { text: String::new(), tokens }
}

fn search_error(folder: &Path, error: tantivy::TantivyError) -> Error {
    match error {
        tantivy::TantivyError::IoError(source) => {
            Error::io("use", folder, std::io::Error::new(source.kind(), source.to_string()))
        }
        other => Error::release(
            folder,
            format!("the lexical index cannot be used: {other}; publish the knowledge base again"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::Entry;
    use crate::retrieve::phrasings;
    use crate::text::Lexicon;

    #[test]
    fn characters_stand_where_they_stand_together() {
        let entry = r#"{"id":"a","question":"怎么退掉vip8会员","similar":["怎么退款"],"answer":"三天"}"#;
        let entries: [Entry; 1] = [serde_json::from_str(entry).unwrap()];
        let analyzer = Analyzer::new(Lexicon::shipped());
        let phrasings = phrasings(&entries, &analyzer);
        let folder = tempfile::tempdir().unwrap();
        Lexical::build(folder.path(), &phrasings, &analyzer).unwrap();
        let mut lexical = Lexical::open(folder.path(), &phrasings).unwrap();
        for (text, stands) in [("会员", true), ("vip", true), ("退款", true), ("么退", true), ("款怎", false)]
        {
            assert_eq!(lexical.stands(text, &phrasings), stands, "{text}");
        }
        let terms = analyzer.analyze(&phrasings[1].text, phrasings[1].normalized.clone()).terms();
        lexical.remove(1, &phrasings[1], &terms);
        assert!(!lexical.stands("退款", &phrasings), "an edit has taken it away");
    }

    #[test]
    fn three_phrasings_that_fit_count_together() {
        let entry = |text: &str| -> Entry { serde_json::from_str(text).unwrap() };
        let entries = [
            entry(
                r#"{"id":"many","question":"退款多久到账","similar":["退款到账时间","退款几天到","退款查询"],"answer":"三天"}"#,
            ),
            entry(r#"{"id":"two","question":"退款规则","similar":["营业时间"],"answer":"见协议"}"#),
            entry(r#"{"id":"one","question":"退款","answer":"找客服"}"#),
        ];
        let analyzer = Analyzer::new(Lexicon::shipped());
        let phrasings = phrasings(&entries, &analyzer);
        let folder = tempfile::tempdir().unwrap();
        Lexical::build(folder.path(), &phrasings, &analyzer).unwrap();
        let lexical = Lexical::open(folder.path(), &phrasings).unwrap();
        let query = analyzer.query("退款到账要几天").unwrap();
        let of = |except: Except<'_>, wanted: usize| {
            let found = lexical.search(&query, 10, except);
            *found.iter().find(|overlap| overlap.best.entry == wanted).unwrap()
        };
        // What single phrasings score, all others of the entry being elsewhere.
        let alone: Vec<f32> = lexical
            .phrasings(&query.terms(), 10, Except::Nothing)
            .into_iter()
            .filter(|&(_, phrasing)| phrasings[phrasing].entry == 0)
            .map(|(score, _)| score)
            .collect();
        assert_eq!(alone.len(), 4);
        let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
        let many = of(Except::Nothing, 0);
        assert!(near(many.best.score, alone[0]));
        assert!(near(many.together, (alone[0] + alone[1] + alone[2]) / 3.0));
        let two = of(Except::Nothing, 1);
        assert!(near(two.together, two.best.score / 2.0), "one of its two shares nothing");
        let one = of(Except::Nothing, 2);
        assert!(near(one.together, one.best.score), "it has no others that could fit");
        // Asked with one of its own words, an entry has one phrasing less.
        let without = of(Except::Phrasing(many.best.phrasing), 0);
        assert!(near(without.together, (alone[1] + alone[2] + alone[3]) / 3.0));
    }
}

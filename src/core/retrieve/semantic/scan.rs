//! How near is every entry to a question?

use std::collections::HashMap;

use super::{Graph, Semantic};
use crate::encoder::{Embedding, Matrix, Question};
use crate::retrieve::elsewhere::{Asked, Elsewhere, limit};
use crate::retrieve::{Candidate, Except, by_score};

/// Phrasings that the graph has in sight in a release of [`MANY`]. Of the 50 nearest among
/// 300,000 it finds 99.9 %, with 400 in sight 99.6 %, with 200 98.1 % (`benches/publish.py`).
const IN_SIGHT: usize = 600;

/// Among more of them more are kept in sight, with the third root of the number: with 600 it
/// finds 98.8 % among a million.
const MANY: usize = 300_000;

/// The nearest entries that are told from a graph.
const TOLD: usize = 64;

/// Entries that must have been found near; where entries have hundreds of
/// phrasings that are alike, more phrasings are looked at.
const ENOUGH: usize = 50;

/// When another engine names as many as it was asked for, so many must be left of them.
const LEFT: usize = ENOUGH / 2;

/// More than this part of all phrasings are not kept in sight: following the
/// links of one takes as long as comparing with a hundred in a row.
const PART: usize = 64;

/// How near an entry is to a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearness {
    /// The entry by its nearest phrasing; the score is the cosine.
    pub best: Candidate,
    /// The mean cosine of all its phrasings: an entry whose phrasings all
    /// point the same way is a better guess than one with a lucky phrasing.
    pub mean: f32,
}

/// How near the entries are to a question.
pub struct Scan<'a> {
    semantic: &'a Semantic,
    question: Question,
    except: Except<'a>,
    found: Found,
    /// The cosines of what live edits have added.
    added: Vec<f32>,
    /// Where that stands, by entry; empty unless only some entries are looked at.
    added_of: HashMap<usize, Vec<usize>>,
}

enum Found {
    /// Every entry, in the order of the release; `None` for one that is hidden or gone.
    Every(Vec<Option<Nearness>>),
    /// At most [`TOLD`], the nearest first.
    Nearest(Vec<Nearness>),
}

impl<'a> Scan<'a> {
    pub(super) fn of(semantic: &'a Semantic, question: Question, except: Except<'a>) -> Self {
        let mut scan = Self::begun(semantic, question, except);
        let nearest = semantic.graph.as_deref().and_then(|graph| {
            scan.sort_added();
            scan.nearest_by(graph)
        });
        scan.found = match nearest {
            Some(nearest) => Found::Nearest(nearest),
            None => Found::Every(scan.every()),
        };
        scan
    }

    pub(super) fn by(
        semantic: &'a Semantic,
        elsewhere: &dyn Elsewhere,
        question: &Embedding,
        except: Except<'a>,
    ) -> Asked<Self> {
        let Some(limit) = limit(ENOUGH, semantic.share(except)) else { return Asked::Not };
        let mut rows = match elsewhere.meant(question, limit) {
            Asked::Told(rows) => rows,
            Asked::Not => return Asked::Not,
            Asked::Lost => return Asked::Lost,
        };
        let count = rows.len();
        rows.retain(|&row| (row as usize) < semantic.vectors.len());
        let mut scan = Self::begun(semantic, Matrix::question(question), except);
        scan.sort_added();
        let mut cosines = Vec::new();
        semantic.vectors.cosines_of(&rows, &scan.question, &mut cosines);
        let near = scan.by_entry(rows.iter().map(|&row| row as usize).zip(cosines));
        if count >= limit && near.len() < LEFT {
            return Asked::Not;
        }
        let near = scan.by_entry(
            scan.added_from(semantic.vectors.len())
                .chain(near.iter().map(|candidate| (candidate.phrasing, candidate.score))),
        );
        scan.found = Found::Nearest(scan.nearest_of(near));
        Asked::Told(scan)
    }

    fn begun(semantic: &'a Semantic, question: Question, except: Except<'a>) -> Self {
        let added = semantic.cosines_of_added(&question);
        let (found, added_of) = (Found::Every(Vec::new()), HashMap::new());
        Self { semantic, question, except, found, added, added_of }
    }

    /// Says where what live edits have added stands, by entry.
    fn sort_added(&mut self) {
        for phrasing in (self.semantic.vectors.len()..).take(self.added.len()) {
            if let Some(entry) = self.semantic.shown(phrasing, self.except) {
                self.added_of.entry(entry).or_default().push(phrasing);
            }
        }
    }

    /// What live edits have added, from that place on, with its cosines.
    fn added_from(&self, place: usize) -> impl Iterator<Item = (usize, f32)> {
        (place..).zip(self.added.iter().copied())
    }

    /// How near an entry is; `None` when it is hidden or gone.
    pub fn entry(&self, entry: usize) -> Option<Nearness> {
        match &self.found {
            Found::Every(every) => every[entry],
            Found::Nearest(nearest) => {
                let known = nearest.iter().find(|nearness| nearness.best.entry == entry);
                known.copied().or_else(|| self.compared(entry))
            }
        }
    }

    /// The best `k` by their nearest phrasing.
    pub fn top(&self, k: usize) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = match &self.found {
            Found::Every(every) => every.iter().flatten().map(|nearness| nearness.best).collect(),
            Found::Nearest(nearest) => nearest.iter().map(|nearness| nearness.best).collect(),
        };
        if candidates.len() > k && k > 0 {
            candidates.select_nth_unstable_by(k - 1, by_score);
        }
        candidates.truncate(k);
        candidates.sort_by(by_score);
        candidates
    }

    /// The nearest entry.
    pub fn nearest(&self) -> Option<Nearness> {
        match &self.found {
            Found::Every(every) => {
                every.iter().flatten().max_by(|a, b| a.best.score.total_cmp(&b.best.score)).copied()
            }
            Found::Nearest(nearest) => nearest.first().copied(),
        }
    }

    /// Compares with every phrasing.
    fn every(&self) -> Vec<Option<Nearness>> {
        let mut scan: Vec<Option<Nearness>> = vec![None; self.semantic.entries];
        let mut seen = vec![0u32; self.semantic.entries];
        let mut cosines = Vec::new();
        self.semantic.vectors.cosines(&self.question, &mut cosines);
        for (phrasing, &score) in cosines.iter().chain(&self.added).enumerate() {
            let Some(entry) = self.semantic.shown(phrasing, self.except) else { continue };
            seen[entry] += 1;
            let candidate = Candidate { entry, phrasing, score };
            match &mut scan[entry] {
                Some(known) => {
                    known.mean += score;
                    if score > known.best.score {
                        known.best = candidate;
                    }
                }
                none => *none = Some(Nearness { best: candidate, mean: score }),
            }
        }
        for (nearness, count) in scan.iter_mut().zip(seen) {
            if let Some(nearness) = nearness {
                nearness.mean /= count as f32;
            }
        }
        scan
    }

    /// The nearest entries by the way that the graph leads; `None` where it
    /// would lead past too much that must not be found.
    fn nearest_by(&self, graph: &Graph) -> Option<Vec<Nearness>> {
        let (semantic, all) = (self.semantic, self.semantic.vectors.len());
        let in_sight = IN_SIGHT as f64 * (all as f64 / MANY as f64).max(1.0).cbrt();
        let mut limit = (in_sight / semantic.share(self.except).max(f64::MIN_POSITIVE)) as usize;
        // In the order of the entries, so that nothing depends on chance.
        let near: Vec<Candidate> = loop {
            if limit > (all / PART).max(IN_SIGHT) {
                return None;
            }
            let rows = graph.near(&semantic.vectors, &self.question, limit);
            let found = rows.into_iter().map(|near| (near.row as usize, near.cosine));
            let near = self.by_entry(found.chain(self.added_from(all)));
            if near.len() >= ENOUGH {
                break near;
            }
            limit *= 2;
        };
        Some(self.nearest_of(near))
    }

    /// The nearest of some entries, with all that is said of them.
    fn nearest_of(&self, mut near: Vec<Candidate>) -> Vec<Nearness> {
        near.sort_unstable_by(by_score);
        near.truncate(TOLD);
        let mut nearest: Vec<Nearness> = near.iter().filter_map(|one| self.compared(one.entry)).collect();
        nearest.sort_by(|a, b| by_score(&a.best, &b.best));
        nearest
    }

    /// The entries of some phrasings with the best of these, without those
    /// that must not be found.
    fn by_entry(&self, phrasings: impl Iterator<Item = (usize, f32)>) -> Vec<Candidate> {
        let mut best: HashMap<usize, Candidate> = HashMap::new();
        for (phrasing, score) in phrasings {
            let Some(entry) = self.semantic.shown(phrasing, self.except) else { continue };
            let candidate = Candidate { entry, phrasing, score };
            let known = best.entry(entry).or_insert(candidate);
            if by_score(&candidate, known).is_lt() {
                *known = candidate;
            }
        }
        best.into_values().collect()
    }

    /// Compares with all phrasings of one entry.
    fn compared(&self, entry: usize) -> Option<Nearness> {
        let semantic = self.semantic;
        let published = match semantic.starts.get(entry..entry + 2) {
            Some(&[start, end]) => start..end,
            _ => 0..0,
        };
        let shown = published.filter(|&row| semantic.shown(row, self.except) == Some(entry));
        let rows: Vec<u32> = shown.map(|row| row as u32).collect();
        let mut cosines = Vec::new();
        semantic.vectors.cosines_of(&rows, &self.question, &mut cosines);
        let published = rows.iter().map(|&row| row as usize).zip(cosines);
        let added = self.added_of.get(&entry).into_iter().flatten();
        let all = published.chain(added.map(|&at| (at, self.added[at - semantic.vectors.len()])));
        let (mut nearness, mut count): (Option<Nearness>, u32) = (None, 0);
        for (phrasing, score) in all {
            count += 1;
            let candidate = Candidate { entry, phrasing, score };
            match &mut nearness {
                Some(known) => {
                    known.mean += score;
                    if score > known.best.score {
                        known.best = candidate;
                    }
                }
                none => *none = Some(Nearness { best: candidate, mean: score }),
            }
        }
        nearness.map(|nearness| Nearness { mean: nearness.mean / count as f32, ..nearness })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Embedding, Matrix};
    use crate::retrieve::Phrasing;
    use crate::retrieve::semantic::graph::tests::bunches;
    use crate::text::Normalized;

    /// Entries of six phrasings each, with links and without.
    fn both(count: usize) -> (Semantic, Semantic, Vec<Embedding>) {
        let mut vectors = bunches(count + 60, 32);
        let questions = vectors.split_off(count);
        let phrasing =
            |at: usize| Phrasing { entry: at / 6, text: String::new(), normalized: Normalized::new("") };
        let phrasings: Vec<Phrasing> = (0..count).map(phrasing).collect();
        let matrix = Matrix::new(32, &vectors);
        let graph = Graph::build(&matrix, &|_| ());
        let linked = Semantic::new(matrix, Some(graph), &phrasings, count / 6);
        let plain = linked.without_graph();
        (linked, plain, questions)
    }

    /// Asks both, compares what they say of every entry, and tells which share
    /// of the 20 nearest the links have found.
    fn found(linked: &Semantic, plain: &Semantic, questions: &[Embedding], except: Except<'_>) -> f64 {
        let mut found = 0;
        for question in questions {
            let (by_links, exact) = (linked.scan(question, except), plain.scan(question, except));
            let (near, top) = (by_links.top(20), exact.top(20));
            assert!(near.is_sorted_by(|a, b| by_score(a, b).is_le()));
            assert_eq!(near, linked.scan(question, except).top(20), "always the same");
            assert_eq!(by_links.nearest().map(|one| one.best), near.first().copied());
            found += top.iter().filter(|one| near.contains(one)).count();
            for entry in 0..plain.entries {
                assert_eq!(by_links.entry(entry), exact.entry(entry), "{entry}");
            }
        }
        found as f64 / (20 * questions.len()) as f64
    }

    #[test]
    fn by_links_the_same_is_said_of_entries() {
        let (mut linked, mut plain, questions) = both(3_000);
        let scan = linked.scan(&questions[0], Except::Nothing);
        assert!(matches!(scan.found, Found::Nearest(_)), "the links are used");
        assert!(found(&linked, &plain, &questions, Except::Nothing) > 0.99);
        assert!(found(&linked, &plain, &questions, Except::Phrasing(7)) > 0.99);
        let near = plain.scan(&questions[0], Except::Nothing).top(1)[0].entry;
        assert!(linked.scan(&questions[0], Except::Entry(near)).top(50).iter().all(|one| one.entry != near));
        // Most of it hidden: what is left is found all the same.
        let hidden: Vec<bool> = (0..500).map(|entry| entry % 20 != 0).collect();
        assert_eq!(found(&linked, &plain, &questions, Except::Entries(&hidden)), 1.0);
        // An entry is edited, one goes, one comes.
        for semantic in [&mut linked, &mut plain] {
            (0..12).for_each(|place| semantic.remove(place));
            semantic.add(3_000, 0, &questions[1]);
            semantic.add(3_001, 500, &questions[2]);
            semantic.add(3_002, 500, &questions[3]);
        }
        assert!(found(&linked, &plain, &questions, Except::Nothing) > 0.99);
        assert_eq!(linked.scan(&questions[1], Except::Nothing).top(1)[0].entry, 0);
        assert_eq!(linked.scan(&questions[3], Except::Nothing).top(1)[0].phrasing, 3_002);
        assert!(linked.scan(&questions[3], Except::Nothing).entry(1).is_none());
    }

    /// Another engine that compares with every published vector.
    struct Other(Vec<Embedding>);

    impl Elsewhere for Other {
        fn worded(&self, _: &[u32], _: usize) -> Asked<Vec<u32>> {
            Asked::Lost
        }

        fn meant(&self, vector: &Embedding, limit: usize) -> Asked<Vec<u32>> {
            let cosines: Vec<f32> = self.0.iter().map(|row| row.cosine(vector)).collect();
            let mut rows: Vec<u32> = (0..).take(cosines.len()).collect();
            rows.sort_by(|a, b| cosines[*b as usize].total_cmp(&cosines[*a as usize]));
            let mut entries = std::collections::HashSet::new();
            rows.retain(|row| entries.insert(row / 6));
            rows.truncate(limit);
            Asked::Told(rows)
        }
    }

    #[test]
    fn what_another_engine_names_gets_the_numbers_that_it_has_here() {
        let (_, mut plain, questions) = both(3_000);
        let other = Other((0..3_000).map(|row| plain.vectors().row(row)).collect());
        let same = |plain: &Semantic, question: &Embedding, except: Except<'_>| {
            let Asked::Told(told) = plain.scan_by(&other, question, except) else { return false };
            let here = plain.scan(question, except);
            assert_eq!(told.top(20), here.top(20));
            assert_eq!(told.nearest(), here.nearest());
            (0..plain.entries).all(|entry| told.entry(entry) == here.entry(entry))
        };
        assert!(questions.iter().all(|question| same(&plain, question, Except::Nothing)));
        let hidden: Vec<bool> = (0..500).map(|entry| entry % 4 != 0).collect();
        assert!(questions.iter().all(|question| same(&plain, question, Except::Entries(&hidden))));
        let nearly_all: Vec<bool> = (0..500).map(|entry| entry > 3).collect();
        let asked = plain.scan_by(&other, &questions[0], Except::Entries(&nearly_all));
        assert!(matches!(asked, Asked::Not), "the release itself is looked at");
        // Live edits, of which the other engine knows nothing.
        (0..12).for_each(|place| plain.remove(place));
        plain.add(3_000, 0, &questions[1]);
        plain.add(3_001, 500, &questions[2]);
        assert!(questions.iter().all(|question| same(&plain, question, Except::Nothing)));
        let Asked::Told(scan) = plain.scan_by(&other, &questions[2], Except::Nothing) else { panic!() };
        assert_eq!(scan.top(1)[0].entry, 500);
        assert!(scan.entry(1).is_none());
    }

    #[test]
    fn entries_of_many_phrasings_do_not_crowd_out_the_others() {
        let count = 12_000;
        let vectors = bunches(count, 8);
        // The first entry has a third of all phrasings.
        let entry_of = |at: usize| if at.is_multiple_of(3) { 0 } else { 1 + at / 20 };
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&at| entry_of(at));
        let phrasing = |&at: &usize| Phrasing {
            entry: entry_of(at),
            text: String::new(),
            normalized: Normalized::new(""),
        };
        let phrasings: Vec<Phrasing> = order.iter().map(phrasing).collect();
        let vectors: Vec<Embedding> = order.iter().map(|&at| vectors[at].clone()).collect();
        let matrix = Matrix::new(8, &vectors);
        let graph = Graph::build(&matrix, &|_| ());
        let linked = Semantic::new(matrix, Some(graph), &phrasings, 1 + count / 20);
        let top = linked.scan(&vectors[5], Except::Nothing).top(20);
        assert_eq!(top.len(), 20);
    }
}

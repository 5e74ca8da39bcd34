//! Which vectors are near a question, without a look at all of them?
//!
//! Every vector is linked to some that are near it and to some in every other
//! direction; a search goes from link to link to what is nearer. The links are
//! chosen as in DiskANN (Subramanya et al. 2019), in batches as in ParlayANN
//! (Manohar et al. 2024): every vector of a batch is looked for in the graph
//! that was there before it, on all cores, so that the same vectors give the
//! same graph on every machine. That law, and vectors of 8 bits that are kept
//! once, are what the crates for this have not (`Cargo.toml` says which).

use std::path::Path;

use rayon::prelude::*;

use crate::encoder::{Embedding, Matrix, Question};
use crate::error::{Error, Result};

/// Links of a vector at most.
const LINKS: usize = 32;

/// Links that it keeps when they have become too many: thinning them out takes
/// the most time, so there is room until the next time.
const KEPT: usize = 24;

/// How many of the nearest vectors are kept in sight while links are chosen.
const IN_SIGHT: usize = 64;

/// How much nearer to a vector a link must be than to the links before it:
/// above 1, so that long ways are kept too.
const SPREAD: f32 = 1.2;

/// Vectors that do not see each other when they get their links, as a share of
/// those that have some.
const BATCH: usize = 50;

/// How a file of links begins: what it is, in which form.
const MARK: &[u8; 8] = b"zhlinks1";

/// Stands for a link that there is not.
const NONE: u32 = u32::MAX;

/// A vector by its row, with its cosine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// The cosine.
    pub cosine: f32,
    /// The row.
    pub row: u32,
}

impl Near {
    /// Nearest first; equals by row.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.cosine.total_cmp(&self.cosine).then(self.row.cmp(&other.row))
    }
}

/// The links of the rows of a matrix.
#[derive(Debug, PartialEq)]
pub struct Graph {
    /// Where every search begins: the row in the middle.
    start: u32,
    /// [`LINKS`] a row, those that are there first.
    links: Vec<u32>,
}

/// What a search has seen; kept from search to search, because forgetting
/// takes less than a new one.
struct Seen {
    bits: Vec<u64>,
    rows: Vec<u32>,
}

impl Seen {
    fn of(rows: usize) -> Self {
        Self { bits: vec![0; rows.div_ceil(64)], rows: Vec::new() }
    }

    /// Whether it is seen for the first time.
    fn first(&mut self, row: u32) -> bool {
        let (word, bit) = (row as usize / 64, 1u64 << (row % 64));
        let first = self.bits[word] & bit == 0;
        if first {
            self.bits[word] |= bit;
            self.rows.push(row);
        }
        first
    }

    fn forget(&mut self) {
        for row in self.rows.drain(..) {
            self.bits[row as usize / 64] = 0;
        }
    }
}

/// The nearest that a search has in sight.
struct Sight {
    limit: usize,
    /// Nearest first; whether their links have been followed.
    all: Vec<(Near, bool)>,
    /// Before this place all links have been followed.
    followed: usize,
}

impl Sight {
    fn of(limit: usize) -> Self {
        Self { limit, all: Vec::with_capacity(limit + 1), followed: 0 }
    }

    fn offer(&mut self, near: Near) {
        let place = self.all.partition_point(|(other, _)| other.order(&near).is_lt());
        if place < self.limit {
            self.all.insert(place, (near, false));
            self.all.truncate(self.limit);
            self.followed = self.followed.min(place);
        }
    }

    /// The nearest one whose links have not been followed.
    fn next(&mut self) -> Option<Near> {
        let place = self.followed + self.all[self.followed..].iter().position(|(_, followed)| !followed)?;
        self.all[place].1 = true;
        self.followed = place + 1;
        Some(self.all[place].0)
    }
}

impl Graph {
    /// Links the rows of a matrix. `progress` hears how many have their links;
    /// memory beside the matrix is what the graph itself takes.
    pub fn build(matrix: &Matrix, progress: &(dyn Fn(usize) + Sync)) -> Self {
        let rows = matrix.len();
        let mut graph = Self { start: middle(matrix), links: vec![NONE; rows * LINKS] };
        let order = shuffled(rows, graph.start);
        // The first one has nobody to be linked with.
        let mut linked = 1.min(rows);
        while linked < rows {
            let batch = &order[linked..rows.min(linked + (linked / BATCH).max(1))];
            let chosen: Vec<Vec<u32>> = batch
                .par_iter()
                .map_init(|| Seen::of(rows), |seen, &row| graph.choose(matrix, row, seen))
                .collect();
            let mut back: Vec<(u32, u32)> = Vec::with_capacity(batch.len() * KEPT);
            for (&row, links) in batch.iter().zip(&chosen) {
                graph.set(row, links);
                back.extend(links.iter().map(|&link| (link, row)));
            }
            back.par_sort_unstable();
            let groups: Vec<&[(u32, u32)]> = back.chunk_by(|one, other| one.0 == other.0).collect();
            let thinned: Vec<Vec<u32>> =
                groups.par_iter().map(|group| graph.linked_back(matrix, group)).collect();
            for (group, links) in groups.into_iter().zip(&thinned) {
                graph.set(group[0].0, links);
            }
            linked += batch.len();
            progress(linked);
        }
        graph
    }

    /// The links of a row.
    fn of(&self, row: u32) -> impl Iterator<Item = u32> + '_ {
        let at = row as usize * LINKS;
        self.links[at..at + LINKS].iter().copied().take_while(|&link| link != NONE)
    }

    fn set(&mut self, row: u32, links: &[u32]) {
        let to = &mut self.links[row as usize * LINKS..][..LINKS];
        to.fill(NONE);
        to.iter_mut().zip(links).for_each(|(to, link)| *to = *link);
    }

    /// The links that a row without any gets.
    fn choose(&self, matrix: &Matrix, row: u32, seen: &mut Seen) -> Vec<u32> {
        let mut met = Vec::new();
        self.walk(matrix, &matrix.row_as_question(row as usize), IN_SIGHT, seen, |near| met.push(near));
        met.retain(|near| near.row != row);
        spread(matrix, met)
    }

    /// The links of a row to which others, the second ones of `group`, have made one.
    fn linked_back(&self, matrix: &Matrix, group: &[(u32, u32)]) -> Vec<u32> {
        let row = group[0].0;
        let mut links: Vec<u32> = self.of(row).collect();
        links.extend(group.iter().map(|&(_, from)| from));
        if links.len() <= LINKS {
            return links;
        }
        let mut cosines = Vec::new();
        matrix.cosines_of(&links, &matrix.row_as_question(row as usize), &mut cosines);
        let near = links.iter().zip(cosines).map(|(&row, cosine)| Near { cosine, row });
        spread(matrix, near.collect())
    }

    /// Goes from the start to what is nearest to a question and tells every
    /// vector whose links it has followed, until those of all the `limit`
    /// nearest that it has in sight have been.
    fn walk(
        &self,
        matrix: &Matrix,
        question: &Question,
        limit: usize,
        seen: &mut Seen,
        mut follow: impl FnMut(Near),
    ) {
        let mut sight = Sight::of(limit);
        let (mut ahead, mut cosines) = (vec![self.start], Vec::new());
        seen.first(self.start);
        loop {
            matrix.cosines_of(&ahead, question, &mut cosines);
            for (&row, &cosine) in ahead.iter().zip(&cosines) {
                sight.offer(Near { cosine, row });
            }
            let Some(near) = sight.next() else { break };
            follow(near);
            ahead.clear();
            ahead.extend(self.of(near.row).filter(|&link| seen.first(link)));
        }
        seen.forget();
    }

    /// About the `limit` rows that are nearest to a question, in no order;
    /// some are not among the nearest, and some of these are missing.
    pub fn near(&self, matrix: &Matrix, question: &Question, limit: usize) -> Vec<Near> {
        let mut found = Vec::with_capacity(2 * limit);
        self.walk(matrix, question, limit, &mut Seen::of(matrix.len()), |near| found.push(near));
        found
    }

    /// Writes it as one file.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut bytes = Vec::with_capacity(16 + 4 * self.links.len());
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&(LINKS as u32).to_le_bytes());
        bytes.extend_from_slice(&self.start.to_le_bytes());
        bytes.extend(self.links.iter().flat_map(|link| link.to_le_bytes()));
        std::fs::write(path, bytes).map_err(|e| Error::io("write", path, e))
    }

    /// Reads what [`Self::save`] wrote for a matrix of so many rows.
    ///
    /// # Errors
    /// [`Error::Release`] naming the file, when it is none of these.
    pub fn open(path: &Path, rows: usize) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let wrong =
            |message: &str| Err(Error::release(path, format!("holds no links of {rows} vectors: {message}")));
        let (Some(head), Some(body)) = (bytes.get(..16), bytes.get(16..)) else {
            return wrong("it is too short");
        };
        if head[..8] != *MARK || head[8..12] != (LINKS as u32).to_le_bytes() {
            return wrong("it begins with something else");
        }
        let (links, rest) = body.as_chunks::<4>();
        let links: Vec<u32> = links.iter().map(|link| u32::from_le_bytes(*link)).collect();
        let start = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
        if links.len() != rows * LINKS || !rest.is_empty() {
            return wrong("it has another length");
        }
        let there = |link: u32| (link as usize) < rows;
        if !there(start) || !links.iter().all(|&link| link == NONE || there(link)) {
            return wrong("it names one that is not there");
        }
        Ok(Self { start, links })
    }
}

/// Of some vectors around another one at most [`KEPT`], the nearest first, and
/// none that is nearer to one of them than to that one.
fn spread(matrix: &Matrix, mut around: Vec<Near>) -> Vec<u32> {
    around.sort_unstable_by(Near::order);
    around.dedup_by_key(|near| near.row);
    let (mut kept, mut rows, mut cosines) = (Vec::with_capacity(KEPT), Vec::new(), Vec::new());
    while !around.is_empty() && kept.len() < KEPT {
        let nearest = around.remove(0);
        kept.push(nearest.row);
        rows.clear();
        rows.extend(around.iter().map(|near| near.row));
        matrix.cosines_of(&rows, &matrix.row_as_question(nearest.row as usize), &mut cosines);
        let mut between = cosines.iter();
        around.retain(|near| {
            let between = between.next().copied().unwrap_or(1.0);
            SPREAD * (1.0 - between) > 1.0 - near.cosine
        });
    }
    kept
}

/// The row that is nearest to the sum of all; of many, of some thousand of them.
fn middle(matrix: &Matrix) -> u32 {
    const LOOKED_AT: usize = 4096;
    let step = matrix.len().div_ceil(LOOKED_AT).max(1);
    let mut sum: Vec<f32> = Vec::new();
    for row in (0..matrix.len()).step_by(step) {
        let vector = matrix.row(row);
        sum.resize(vector.as_slice().len(), 0.0);
        sum.iter_mut().zip(vector.as_slice()).for_each(|(sum, x)| *sum += x);
    }
    let mut cosines = Vec::new();
    matrix.cosines(&Matrix::question(&Embedding::unit(sum)), &mut cosines);
    let nearest = (0u32..).zip(cosines).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    nearest.map_or(0, |(row, _)| row)
}

/// All rows in an order that has nothing to do with theirs, the first one given.
fn shuffled(rows: usize, first: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).filter(|&row| row != first).collect();
    // Fisher and Yates with Knuth's MMIX.
    let mut state = 7u64;
    for place in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(place, (state >> 33) as usize % (place + 1));
    }
    if rows > 0 {
        order.insert(0, first);
    }
    order
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Vectors in bunches, as phrasings are, by a small linear congruence.
    pub(crate) fn bunches(count: usize, width: usize) -> Vec<Embedding> {
        let mut state = 11u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let mut middle = Vec::new();
        let vectors = (0..count).map(|at| {
            if at % 6 == 0 {
                middle = (0..width).map(|_| next()).collect();
            }
            Embedding::unit(middle.iter().map(|x| x + 0.7 * next()).collect())
        });
        vectors.collect()
    }

    #[test]
    fn nearly_all_of_the_nearest_are_found_and_always_the_same() {
        let vectors = bunches(3_000, 32);
        let matrix = Matrix::new(32, &vectors);
        let graph = Graph::build(&matrix, &|_| ());
        let (mut found, mut cosines) = (0, Vec::new());
        let questions = bunches(3_060, 32).split_off(3_000);
        for question in &questions {
            let question = Matrix::question(question);
            matrix.cosines(&question, &mut cosines);
            let mut exact: Vec<Near> =
                (0..).zip(&cosines).map(|(row, &cosine)| Near { cosine, row }).collect();
            exact.sort_by(Near::order);
            let mut near = graph.near(&matrix, &question, 200);
            near.sort_by(Near::order);
            found += exact[..50].iter().filter(|one| near.contains(one)).count();
            let again = graph.near(&matrix, &question, 200);
            assert!(near.iter().all(|one| again.contains(one)) && again.len() == near.len());
        }
        assert!(found >= 50 * questions.len() * 99 / 100, "{found} of {}", 50 * questions.len());
        assert_eq!(graph, Graph::build(&matrix, &|_| ()), "the same vectors give the same links");
    }

    #[test]
    fn equal_vectors_and_very_few_are_no_trouble() {
        for count in [0, 1, 2, 40] {
            let matrix = Matrix::new(8, &vec![Embedding::unit(vec![1.0; 8]); count]);
            let graph = Graph::build(&matrix, &|_| ());
            if count > 0 {
                let found = graph.near(&matrix, &matrix.row_as_question(0), 100);
                assert!((found[0].cosine - 1.0).abs() < 1e-5);
                assert!(found.len() <= count);
            }
        }
    }

    #[test]
    fn a_file_that_is_damaged_is_refused() {
        let matrix = Matrix::new(16, &bunches(100, 16));
        let graph = Graph::build(&matrix, &|_| ());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("links.bin");
        graph.save(&path).unwrap();
        assert_eq!(Graph::open(&path, 100).unwrap(), graph);
        assert!(Graph::open(&path, 99).is_err(), "of other vectors");
        let bytes = std::fs::read(&path).unwrap();
        for (at, byte) in [(0, b'x'), (9, 7), (14, 9), (19, 1)] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            std::fs::write(&path, bytes).unwrap();
            let refused = Graph::open(&path, 100).unwrap_err().to_string();
            assert!(refused.contains("links.bin"), "{at}: {refused}");
        }
        for length in [0, 15, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(Graph::open(&path, 100).is_err(), "{length}");
        }
    }
}

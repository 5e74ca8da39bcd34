//! Which near questions make up a group?
//!
//! Several ways, so that `zhida learn bench` can compare them on labelled
//! questions. What is served is [`Way::Average`]: a chain of small steps must not
//! join what its ends would never have been taken for.

use std::collections::{BinaryHeap, HashMap};

use serde::Serialize;

use super::near::NEIGHBOURS;

/// How groups are made of near pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Two groups become one while the mean over their pairs is high enough.
    Average,
    /// The question asked most takes what is near to it, then the next one.
    Leader,
    /// The question with the most neighbours takes them, then the next one.
    Community,
    /// Whatever hangs together.
    Single,
}

impl Way {
    /// All of them, the one that is served first.
    pub const ALL: [Self; 4] = [Self::Average, Self::Leader, Self::Community, Self::Single];

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Leader => "leader",
            Self::Community => "community",
            Self::Single => "single",
        }
    }
}

/// A pair of questions with the probability that they mean the same.
pub type Edge = (u32, u32, f32);

/// Puts questions into groups: by question the number of its group. `asked` is
/// how often each was asked.
pub fn link(way: Way, asked: &[u64], edges: &[Edge], least: f32) -> Vec<u32> {
    match way {
        Way::Average => average(asked.len(), edges, least),
        Way::Leader => {
            let mut order: Vec<usize> = (0..asked.len()).collect();
            order.sort_by_key(|&at| (std::cmp::Reverse(asked[at]), at));
            take(&order, &neighbours(asked.len(), edges, least))
        }
        Way::Community => {
            let near = neighbours(asked.len(), edges, least);
            let mut order: Vec<usize> = (0..asked.len()).collect();
            order.sort_by_key(|&at| (std::cmp::Reverse(near[at].len()), at));
            take(&order, &near)
        }
        Way::Single => {
            let mut trees = Trees::of(asked.len());
            for &(a, b, probability) in edges {
                if probability >= least {
                    trees.join(a, b);
                }
            }
            trees.numbers()
        }
    }
}

fn neighbours(count: usize, edges: &[Edge], least: f32) -> Vec<Vec<u32>> {
    let mut near = vec![Vec::new(); count];
    for &(a, b, probability) in edges {
        if probability >= least {
            near[a as usize].push(b);
            near[b as usize].push(a);
        }
    }
    near
}

/// Each question in order takes those of its neighbours that are still free.
fn take(order: &[usize], near: &[Vec<u32>]) -> Vec<u32> {
    let mut group = vec![u32::MAX; order.len()];
    let mut next = 0;
    for &at in order {
        if group[at] != u32::MAX {
            continue;
        }
        group[at] = next;
        for &other in &near[at] {
            if group[other as usize] == u32::MAX {
                group[other as usize] = next;
            }
        }
        next += 1;
    }
    group
}

/// Which questions were joined.
struct Trees(Vec<u32>);

impl Trees {
    fn of(count: usize) -> Self {
        Self((0..u32::try_from(count).unwrap_or(u32::MAX)).collect())
    }

    fn root(&mut self, at: u32) -> u32 {
        let mut at = at;
        while self.0[at as usize] != at {
            let above = self.0[self.0[at as usize] as usize];
            self.0[at as usize] = above;
            at = above;
        }
        at
    }

    /// Makes `b` part of `a`.
    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[b as usize] = a;
    }

    /// The groups, numbered in the order of their first questions.
    fn numbers(mut self) -> Vec<u32> {
        let mut known: HashMap<u32, u32> = HashMap::new();
        (0..self.0.len())
            .map(|at| {
                let root = self.root(u32::try_from(at).unwrap_or(u32::MAX));
                let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
                *known.entry(root).or_insert(next)
            })
            .collect()
    }
}

/// Two groups that may become one, the likeliest first.
struct Offer {
    mean: f32,
    a: u32,
    b: u32,
    /// What the groups were when it was made.
    ages: (u32, u32),
}

impl PartialEq for Offer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Offer {}
impl PartialOrd for Offer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Offer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.mean.total_cmp(&other.mean).then_with(|| (other.a, other.b).cmp(&(self.a, self.b)))
    }
}

/// Average link over near pairs; a pair that is not near counts as 0. No
/// question has more than [`NEIGHBOURS`] pairs, so large groups are not held
/// against each other for pairs that nobody looked for.
fn average(count: usize, edges: &[Edge], least: f32) -> Vec<u32> {
    let mut links: Vec<HashMap<u32, f32>> = vec![HashMap::new(); count];
    for &(a, b, probability) in edges {
        links[a as usize].insert(b, probability);
        links[b as usize].insert(a, probability);
    }
    let mut sizes = vec![1u64; count];
    let mut ages = vec![0u32; count];
    let mean = |sum: f32, a: u64, b: u64| {
        let pairs = (a * b).min(NEIGHBOURS as u64 * a.min(b));
        sum / pairs as f32
    };
    let mut offers: BinaryHeap<Offer> = edges
        .iter()
        .filter(|edge| edge.2 >= least)
        .map(|&(a, b, probability)| Offer { mean: probability, a, b, ages: (0, 0) })
        .collect();
    let mut trees = Trees::of(count);
    while let Some(Offer { a, b, ages: seen, .. }) = offers.pop() {
        if (ages[a as usize], ages[b as usize]) != seen {
            continue;
        }
        // The one with fewer links goes into the other.
        let (into, from) = if links[a as usize].len() >= links[b as usize].len() { (a, b) } else { (b, a) };
        trees.join(into, from);
        sizes[into as usize] += sizes[from as usize];
        ages[from as usize] = u32::MAX;
        ages[into as usize] += 1;
        for (other, sum) in std::mem::take(&mut links[from as usize]) {
            links[other as usize].remove(&from);
            if other != into {
                *links[into as usize].entry(other).or_default() += sum;
                *links[other as usize].entry(into).or_default() += sum;
            }
        }
        for (&other, &sum) in &links[into as usize] {
            let mean = mean(sum, sizes[into as usize], sizes[other as usize]);
            if mean >= least {
                let (a, b) = (into.min(other), into.max(other));
                offers.push(Offer { mean, a, b, ages: (ages[a as usize], ages[b as usize]) });
            }
        }
    }
    trees.numbers()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_one_group_only_for_what_looks_at_single_links() {
        // 0-1-2-3-4-5, each link sure, nothing else near.
        let chain: Vec<Edge> = (0..5).map(|at| (at, at + 1, 0.9)).collect();
        let groups = |way| {
            let mut numbers = link(way, &[1; 6], &chain, 0.5);
            numbers.sort_unstable();
            numbers.dedup();
            numbers.len()
        };
        assert_eq!(groups(Way::Single), 1);
        assert_eq!(groups(Way::Average), 3);
        assert_eq!(groups(Way::Leader), 3);
        // 0, 1, 2 around 1; then 3 with 4, and 5 is left.
        assert_eq!(groups(Way::Community), 3);
    }

    #[test]
    fn every_way_finds_what_is_plain() {
        let mut edges = Vec::new();
        for group in 0..3u32 {
            for a in 0..4u32 {
                for b in a + 1..4 {
                    edges.push((group * 4 + a, group * 4 + b, 0.95));
                }
            }
        }
        edges.push((3, 4, 0.2));
        for way in Way::ALL {
            let numbers = link(way, &[1; 13], &edges, 0.5);
            for at in 0..12 {
                assert_eq!(numbers[at], numbers[at / 4 * 4], "{way:?}");
            }
            assert!(
                numbers[12] != numbers[0] && numbers[4] != numbers[0] && numbers[8] != numbers[4],
                "{way:?}"
            );
        }
    }

    #[test]
    fn large_groups_are_not_held_apart_by_pairs_that_nobody_looked_for() {
        // Two hundred wordings of one question, each near to fifty others.
        let mut edges: Vec<Edge> = Vec::new();
        for at in 0..200u32 {
            edges.extend((1..=25).map(|step| {
                let other = (at + step) % 200;
                (at.min(other), at.max(other), 0.9)
            }));
        }
        edges.sort_by_key(|edge| (edge.0, edge.1));
        edges.dedup_by_key(|edge| (edge.0, edge.1));
        let numbers = link(Way::Average, &[1; 200], &edges, 0.5);
        let groups = numbers.iter().max().expect("groups") + 1;
        assert!(groups <= 6, "{groups}");
    }
}

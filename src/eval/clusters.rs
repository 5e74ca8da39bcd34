//! How good are groups of questions?
//!
//! B-cubed (Bagga and Baldwin 1998) first: for each question, how much of its
//! group belongs with it, and how much of what belongs with it is in its group.
//! V-measure (Rosenberg and Hirschberg 2007) and purity beside it, because
//! others publish them.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;

/// What groups are worth against labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Grouping {
    /// Questions.
    pub questions: usize,
    /// What really belongs together.
    pub labels: usize,
    /// Groups: what an author has to look at.
    pub groups: usize,
    /// Of a question's group, the share that belongs with it; the mean over questions.
    pub precision: f64,
    /// Of what belongs with a question, the share in its group; the mean over questions.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// The harmonic mean of homogeneity and completeness.
    pub v_measure: f64,
    /// The share of questions that have the commonest label of their group.
    pub purity: f64,
    /// The purity of the fifty largest groups: what an author sees first.
    pub purity_50: f64,
}

impl Grouping {
    /// Compares groups with labels, both by question.
    pub fn of<G: Eq + Hash + Copy, L: Eq + Hash + Copy>(groups: &[G], labels: &[L]) -> Self {
        let total = groups.len().min(labels.len());
        let mut both: HashMap<(G, L), usize> = HashMap::new();
        let mut sizes: HashMap<G, usize> = HashMap::new();
        let mut wanted: HashMap<L, usize> = HashMap::new();
        for (&group, &label) in groups.iter().zip(labels) {
            *both.entry((group, label)).or_default() += 1;
            *sizes.entry(group).or_default() += 1;
            *wanted.entry(label).or_default() += 1;
        }
        let n = total.max(1) as f64;
        let (mut precision, mut recall) = (0.0, 0.0);
        let (mut label_left, mut group_left) = (0.0, 0.0);
        let mut commonest: HashMap<G, usize> = HashMap::new();
        for (&(group, label), &count) in &both {
            let (size, all) = (sizes[&group] as f64, wanted[&label] as f64);
            let shared = count as f64;
            precision += shared * shared / size;
            recall += shared * shared / all;
            label_left -= shared / n * (shared / size).ln();
            group_left -= shared / n * (shared / all).ln();
            let most = commonest.entry(group).or_default();
            *most = (*most).max(count);
        }
        let entropy = |sizes: &mut dyn Iterator<Item = usize>| -> f64 {
            sizes.map(|size| size as f64 / n).map(|share| -share * share.ln()).sum()
        };
        let (of_labels, of_groups) =
            (entropy(&mut wanted.values().copied()), entropy(&mut sizes.values().copied()));
        let share = |left: f64, all: f64| if all > 0.0 { 1.0 - left / all } else { 1.0 };
        let (homogeneity, completeness) = (share(label_left, of_labels), share(group_left, of_groups));
        let mut largest: Vec<(usize, usize)> =
            sizes.iter().map(|(group, &size)| (size, commonest[group])).collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        let pure = |groups: &[(usize, usize)]| {
            let (all, right) = groups.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            right as f64 / all.max(1) as f64
        };
        let (precision, recall) = (precision / n, recall / n);
        Self {
            questions: total,
            labels: wanted.len(),
            groups: sizes.len(),
            precision,
            recall,
            f1: harmonic(precision, recall),
            v_measure: harmonic(homogeneity, completeness),
            purity: pure(&largest),
            purity_50: pure(&largest[..largest.len().min(50)]),
        }
    }
}

fn harmonic(a: f64, b: f64) -> f64 {
    if a + b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_worked_example() {
        // Two labels of three and two questions; one question is in the wrong group.
        let found = Grouping::of(&[0, 0, 1, 1, 1], &["a", "a", "a", "b", "b"]);
        let precision = (1.0 + 1.0 + 1.0 / 3.0 + 2.0 / 3.0 + 2.0 / 3.0) / 5.0;
        let recall = (2.0 / 3.0 + 2.0 / 3.0 + 1.0 / 3.0 + 1.0 + 1.0) / 5.0;
        assert!((found.precision - precision).abs() < 1e-12);
        assert!((found.recall - recall).abs() < 1e-12);
        assert!((found.purity - 0.8).abs() < 1e-12);
        assert_eq!((found.labels, found.groups), (2, 2));
    }

    #[test]
    fn the_ends_of_the_scales() {
        let right = Grouping::of(&[0, 0, 1], &[7, 7, 9]);
        assert_eq!((right.f1, right.v_measure, right.purity), (1.0, 1.0, 1.0));
        let one = Grouping::of(&[0; 4], &[1, 2, 3, 4]);
        assert_eq!((one.precision, one.recall, one.v_measure), (0.25, 1.0, 0.0));
        let apart = Grouping::of(&[1, 2, 3, 4], &[0; 4]);
        assert_eq!((apart.precision, apart.recall), (1.0, 0.25));
        assert_eq!(Grouping::of::<u8, u8>(&[], &[]).questions, 0);
    }
}

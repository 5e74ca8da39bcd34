//! How well do cosines order labelled pairs of sentences?

use serde::Serialize;

/// The result of `zhida model eval`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairScores {
    /// Pairs in the file.
    pub pairs: usize,
    /// Rank correlation of cosine and label (ties get their mean rank).
    pub spearman: f64,
    /// Linear correlation of cosine and label.
    pub pearson: f64,
    /// The best share right of "alike when the cosine is at least `threshold`".
    pub accuracy: f64,
    /// The threshold that gives it.
    pub threshold: f64,
    /// The chance that a pair that is alike has the higher cosine than one
    /// that is not. A graded label counts as alike above the middle of its range.
    pub auc: f64,
}

/// Scores cosines against labels. `None` when there are fewer than two pairs
/// or all labels are equal: nothing can be ordered then.
pub fn score(cosines: &[f64], labels: &[f64]) -> Option<PairScores> {
    let low = labels.iter().copied().min_by(f64::total_cmp)?;
    let high = labels.iter().copied().max_by(f64::total_cmp)?;
    if labels.len() < 2 || low == high || cosines.len() != labels.len() {
        return None;
    }
    let alike: Vec<bool> = labels.iter().map(|&label| label > f64::midpoint(low, high)).collect();
    let ranks = ranks(cosines);
    let positives = alike.iter().filter(|&&a| a).count();
    let negatives = alike.len() - positives;
    let rank_sum: f64 = ranks.iter().zip(&alike).filter(|(_, a)| **a).map(|(rank, _)| rank).sum();
    let below = positives as f64 * (positives as f64 + 1.0) / 2.0;
    let auc = (rank_sum - below) / (positives as f64 * negatives as f64);
    let (accuracy, threshold) = best_threshold(cosines, &alike);
    Some(PairScores {
        pairs: labels.len(),
        spearman: correlation(&ranks, &self::ranks(labels)),
        pearson: correlation(cosines, labels),
        accuracy,
        threshold,
        auc,
    })
}

/// The rank correlation of two lists of one length (Spearman 1904); 0 where
/// one of them is constant.
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    correlation(&ranks(x), &ranks(y))
}

/// 1-based ranks; ties share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        before += tied.len();
        for &index in tied {
            ranks[index] = mean;
        }
    }
    ranks
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let count = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / count, y.iter().sum::<f64>() / count);
    let mut sums = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (dx, dy) = (a - mean_x, b - mean_y);
        sums.0 += dx * dy;
        sums.1 += dx * dx;
        sums.2 += dy * dy;
    }
    let scale = (sums.1 * sums.2).sqrt();
    if scale == 0.0 { 0.0 } else { sums.0 / scale }
}

fn best_threshold(cosines: &[f64], alike: &[bool]) -> (f64, f64) {
    let mut order: Vec<usize> = (0..cosines.len()).collect();
    order.sort_by(|&a, &b| cosines[b].total_cmp(&cosines[a]));
    // Start above all cosines: every pair counts as different.
    let mut right = alike.iter().filter(|&&a| !a).count();
    let mut best = (right, cosines.first().map_or(1.0, |_| cosines[order[0]] + 1e-6));
    for same in order.chunk_by(|&a, &b| cosines[a] == cosines[b]) {
        for &index in same {
            right = if alike[index] { right + 1 } else { right - 1 };
        }
        if right > best.0 {
            best = (right, cosines[same[0]]);
        }
    }
    (best.0 as f64 / cosines.len() as f64, best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_order_scores_one() {
        let scores = score(&[0.1, 0.2, 0.8, 0.9], &[0.0, 0.0, 1.0, 1.0]).unwrap();
        assert!((scores.auc - 1.0).abs() < 1e-12);
        assert!((scores.accuracy - 1.0).abs() < 1e-12);
        assert!((scores.threshold - 0.8).abs() < 1e-12);
        // Four cosines in order against two tied pairs of labels.
        assert!((scores.spearman - 0.894_427_19).abs() < 1e-6);
    }

    #[test]
    fn ties_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }

    #[test]
    fn nothing_to_order_is_no_score() {
        assert!(score(&[0.5], &[1.0]).is_none());
        assert!(score(&[0.5, 0.6], &[1.0, 1.0]).is_none());
    }
}

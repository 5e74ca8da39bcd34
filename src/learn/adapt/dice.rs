//! Which chance decides here?
//!
//! Training draws lots; the same seed draws the same ones on every machine.

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

/// Numbers that look random (SplitMix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice that fall as seed and purpose say.
    pub fn new(seed: u64, purpose: &[u64]) -> Self {
        let mut dice = Self(seed);
        for &part in purpose {
            dice.0 = dice.next() ^ part;
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Puts items into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }

    /// At most `count` items, each at most once.
    pub fn choose<T: Copy>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut items = items.to_vec();
        let count = count.min(items.len());
        for place in 0..count {
            let other = place + self.below(items.len() - place);
            items.swap(place, other);
        }
        items.truncate(count);
        items
    }

    /// Zeros, `share` of them, and otherwise what keeps the mean at 1.
    pub fn mask(&mut self, shape: &[usize], share: f32) -> candle_core::Result<Tensor> {
        let kept = 1.0 / (1.0 - share);
        // Four numbers of 16 bits each from one throw.
        let limit = (share * 65_536.0) as u64;
        let count: usize = shape.iter().product();
        let mut values = Vec::with_capacity(count + 3);
        while values.len() < count {
            let throw = self.next();
            for part in 0..4 {
                let dropped = (throw >> (16 * part)) & 0xffff < limit;
                values.push(if dropped { 0.0 } else { kept });
            }
        }
        values.truncate(count);
        Tensor::from_vec(values, shape, &Device::Cpu)
    }
}

/// A number for a text that a seed shuffles: texts are ordered by it where
/// some of them must be taken, whatever order they came in.
pub(super) fn lot(seed: u64, text: &str) -> u64 {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(text.as_bytes());
    let bytes = digest.finalize();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}

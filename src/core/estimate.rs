//! How sure is a number that was counted on a sample?
//!
//! Shares carry Wilson's 95 % interval (Wilson 1927), which keeps inside 0..=1
//! and does not vanish at 0 or 1.

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// The two-sided 95 % point of the normal distribution.
const Z: f64 = 1.959_963_985;

/// A number with its 95 % interval.
///
/// On its own it is `{"value": …, "interval": [low, high]}` in JSON;
/// `eval`'s metrics keep values and intervals apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The questions it was drawn from.
    pub n: usize,
}

impl Estimate {
    /// A share with Wilson's interval; `None` of nothing.
    pub fn share(hits: usize, n: usize) -> Option<Self> {
        if n == 0 {
            return None;
        }
        let (size, value, z2) = (n as f64, hits as f64 / n as f64, Z * Z);
        let middle = value + z2 / (2.0 * size);
        let spread = Z * (value * (1.0 - value) / size + z2 / (4.0 * size * size)).sqrt();
        let scale = 1.0 + z2 / size;
        // Rounding must not push the interval past the share itself.
        let low = ((middle - spread) / scale).clamp(0.0, value);
        let high = ((middle + spread) / scale).clamp(value, 1.0);
        Some(Self { value, low, high, n })
    }
}

impl Serialize for Estimate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut told = serializer.serialize_struct("Estimate", 2)?;
        told.serialize_field("value", &self.value)?;
        told.serialize_field("interval", &[self.low, self.high])?;
        told.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_as_published() {
        // Newcombe 1998, table I, method 3.
        for (hits, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let e = Estimate::share(hits, n).expect("defined");
            assert!((e.low - low).abs() < 5e-5 && (e.high - high).abs() < 5e-5, "{e:?}");
        }
        assert_eq!(Estimate::share(20, 20).map(|e| e.high), Some(1.0));
        assert!(Estimate::share(0, 0).is_none());
    }
}

//! How is guessing made slow without locking anybody out?
//!
//! Every failed attempt makes the refusal of the next one from the same address
//! slower. Who presents something right is let in at once, whatever others at
//! the same address do: a whole office may stand behind one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that cost nothing: a slip, a page with an old key.
const FREE: u32 = 5;
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);
/// An address without failures for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Addresses that are remembered; of more, those are forgotten that failed first.
const MOST: usize = 10_000;

/// Who failed how often.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<IpAddr, (u32, Instant)>>);

impl Throttle {
    /// Notes a failure, and says how long its refusal should wait.
    pub fn failed(&self, from: IpAddr, now: Instant) -> Duration {
        let from = network(from);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&from) {
            known.retain(|_, (_, last)| now.saturating_duration_since(*last) < FORGOTTEN);
            if known.len() >= MOST
                && let Some(first) = known.iter().min_by_key(|(_, (_, last))| *last).map(|(from, _)| *from)
            {
                known.remove(&first);
            }
        }
        let (failures, last) = known.entry(from).or_insert((0, now));
        if now.saturating_duration_since(*last) >= FORGOTTEN {
            *failures = 0;
        }
        *failures = failures.saturating_add(1);
        *last = now;
        match failures.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(more) => Duration::from_millis(100).saturating_mul(1 << more.min(6)).min(LONGEST),
        }
    }
}

/// One customer has a whole IPv6 network of 64 bits.
pub fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_become_slower_and_are_forgotten() {
        let throttle = Throttle::default();
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Instant::now();
        let waits: Vec<u128> = (0..15).map(|_| throttle.failed(here, start).as_millis()).collect();
        assert_eq!(waits[..5], [0; 5]);
        assert_eq!(waits[5..12], [100, 200, 400, 800, 1_600, 3_200, 5_000]);
        assert_eq!(waits[14], 5_000);
        assert_eq!(throttle.failed(there, start), Duration::ZERO);
        assert_eq!(throttle.failed(here, start + FORGOTTEN), Duration::ZERO);
        let (a, b): (IpAddr, IpAddr) =
            ("2001:db8::1".parse().expect("v6"), "2001:db8::2".parse().expect("v6"));
        assert_eq!(network(a), network(b));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for number in 0..(MOST as u32 + 50) {
            throttle
                .failed(IpAddr::from(number.to_be_bytes()), start + Duration::from_millis(u64::from(number)));
        }
        assert_eq!(throttle.0.lock().expect("whole").len(), MOST);
    }
}

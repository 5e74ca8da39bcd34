//! How much may the visitors of pages ask, all of whom nobody knows?
//!
//! Everybody has a pace of their own, and so has every address: a new token costs
//! nothing, so whoever takes many is held by where they come from. Open streams are
//! counted the same way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::error::{Kind, Problem};
use super::super::gate::headers;
use crate::access::{Left, Rates, network};

/// How often everybody's pace is forgotten. It reaches back a second only, so nobody
/// gains by that, and the memory of those who went is free again.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Streams that a visitor may have open: tabs of a browser.
const OF_VISITOR: usize = 6;

/// Streams that may be open from an address, behind which many may sit.
const OF_ADDRESS: usize = 200;

/// The paces and streams of all visitors.
#[derive(Default)]
pub(in crate::server) struct Crowd {
    rates: Rates,
    forgotten: Mutex<Option<Instant>>,
    streams: Arc<Mutex<HashMap<String, usize>>>,
}

impl Crowd {
    /// Takes a request from an address.
    pub(in crate::server) fn take_from(
        &self,
        site: &str,
        address: IpAddr,
        pace: NonZeroU32,
    ) -> Result<(), Problem> {
        self.forget();
        self.take("address", &format!("address {site} {}", network(address)), pace)
    }

    /// Takes a request of a visitor.
    pub(super) fn take_of(&self, visitor: &str, pace: NonZeroU32) -> Result<(), Problem> {
        self.take("visitor", &format!("visitor {visitor}"), pace)
    }

    fn take(&self, whose: &str, name: &str, pace: NonZeroU32) -> Result<(), Problem> {
        self.rates.take(name, pace).map(drop).map_err(|left: Left| {
            let detail = format!(
                "this {whose} may make {} requests a second on the average; come back after {} s",
                left.limit, left.seconds
            );
            Problem::new(Kind::RateLimited, detail).limited(headers(whose, left, 1))
        })
    }

    fn forget(&self) {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        if forgotten.is_none_or(|at| at.elapsed() >= FORGOTTEN) {
            *forgotten = Some(Instant::now());
            drop(forgotten);
            self.rates.retain(|_| false);
        }
    }

    /// Opens a stream; it counts until what this gives back is gone.
    pub(super) fn follow(&self, visitor: &str, address: IpAddr) -> Result<Following, Problem> {
        let names = [format!("visitor {visitor}"), format!("address {}", network(address))];
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, most) in names.iter().zip([OF_VISITOR, OF_ADDRESS]) {
            if streams.get(name).is_some_and(|open| *open >= most) {
                let detail = format!("{most} streams are open already; close one, or ask for the messages");
                let left = Left { limit: most as u64, left: 0, seconds: 5 };
                return Err(Problem::new(Kind::RateLimited, detail).limited(headers("streams", left, 1)));
            }
        }
        for name in &names {
            *streams.entry(name.clone()).or_default() += 1;
        }
        Ok(Following { streams: Arc::clone(&self.streams), names })
    }
}

/// A stream that is open.
pub(super) struct Following {
    streams: Arc<Mutex<HashMap<String, usize>>>,
    names: [String; 2],
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            if let Some(open) = streams.get_mut(name) {
                *open -= 1;
                if *open == 0 {
                    streams.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_has_some_streams_and_gets_them_back() {
        let crowd = Crowd::default();
        let here = IpAddr::from([10, 0, 0, 1]);
        let open: Vec<Following> = (0..OF_VISITOR).map_while(|_| crowd.follow("a", here).ok()).collect();
        assert_eq!(open.len(), OF_VISITOR);
        assert!(crowd.follow("a", here).is_err());
        assert!(crowd.follow("b", here).is_ok(), "others have their own");
        drop(open);
        assert!(crowd.follow("a", here).is_ok());
        assert!(crowd.streams.lock().expect("whole").is_empty(), "nothing is left of who went");
    }
}

//! How much may somebody use?

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use serde::{Deserialize, Serialize};

/// What a key or a tenant may use; nothing said is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a second, on the average; so many may come at once.
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub per_second: Option<NonZeroU32>,
    /// Questions a month (+08:00): messages that the robot answers, asks back to or gives
    /// away. What a person who has the conversation is told, who leaves the queue, the button
    /// for a person and tickets are none, and pass when all are used up. Then people hear what
    /// those who wait say, and who asks for a person in words gets one, which counts.
    pub per_month: Option<u64>,
    /// Entries in all drafts of the tenant together; for tenants only.
    pub entries: Option<u64>,
    /// Bytes in the tenant's data directory; for tenants only.
    pub storage: Option<u64>,
}

/// What changes of what a key may use: a limit that is left out stays, `null` removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsChange {
    /// Requests a second, on the average; so many may come at once.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub per_second: Option<Option<NonZeroU32>>,
    /// Questions a month (+08:00).
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    pub per_month: Option<Option<u64>>,
}

/// Tells `null` from what is not there.
pub(crate) fn given<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from).map(Some)
}

impl LimitsChange {
    /// What comes of some limits.
    pub fn of(&self, limits: &Limits) -> Limits {
        Limits {
            per_second: self.per_second.unwrap_or(limits.per_second),
            per_month: self.per_month.unwrap_or(limits.per_month),
            ..limits.clone()
        }
    }
}

/// How much of a limit is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub left: u64,
    /// Seconds until there is more.
    pub seconds: u64,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// The pace of everybody who has one.
#[derive(Default)]
pub struct Rates {
    clock: DefaultClock,
    buckets: Mutex<HashMap<String, (NonZeroU32, Arc<Bucket>)>>,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

impl Rates {
    /// Takes one request of somebody who may make so many a second.
    ///
    /// # Errors
    /// When that is one too many: what is left and when there is more.
    pub fn take(&self, whose: &str, per_second: NonZeroU32) -> Result<Left, Left> {
        let bucket = {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            match buckets.get(whose) {
                Some((pace, bucket)) if *pace == per_second => Arc::clone(bucket),
                // New here, or the limit was changed.
                _ => {
                    let quota = Quota::per_second(per_second);
                    let bucket =
                        Arc::new(RateLimiter::direct(quota).with_middleware::<StateInformationMiddleware>());
                    buckets.insert(whose.to_owned(), (per_second, Arc::clone(&bucket)));
                    bucket
                }
            }
        };
        let limit = u64::from(per_second.get());
        match bucket.check() {
            Ok(state) => Ok(Left { limit, left: u64::from(state.remaining_burst_capacity()), seconds: 1 }),
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.now());
                Err(Left { limit, left: 0, seconds: whole_seconds(wait) })
            }
        }
    }

    /// Forgets who is no longer there.
    pub fn retain(&self, is_there: impl Fn(&str) -> bool) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|whose, _| is_there(whose));
        buckets.shrink_to_fit();
    }
}

/// Rounded up, and at least one: who comes back too early is refused again.
fn whole_seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_a_second_long_and_a_changed_limit_counts_at_once() {
        let rates = Rates::default();
        let three = NonZeroU32::new(3).expect("three");
        let left: Vec<u64> =
            (0..3).filter_map(|_| rates.take("a", three).ok()).map(|left| left.left).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = rates.take("a", three).expect_err("one too many");
        assert_eq!((refused.limit, refused.left, refused.seconds), (3, 0, 1));
        assert!(rates.take("b", three).is_ok(), "everybody has a bucket of their own");
        let hundred = NonZeroU32::new(100).expect("a hundred");
        assert!(rates.take("a", hundred).is_ok());
        rates.retain(|whose| whose == "b");
        assert_eq!(rates.buckets.lock().expect("whole").len(), 1);
    }
}

//! Is an engine worth being asked?
//!
//! One search that takes too long says little; several in a row say that the next ones
//! would wait in vain as well. An engine that cannot be reached says it at once. It is
//! looked at again soon, and later and later when it does not stay well: each time costs
//! some questions their patience.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Fault;

/// Searches in a row that may take too long.
const SLOW: u32 = 3;

/// How long an engine is left alone at first, …
const REST: Duration = Duration::from_millis(500);

/// … and at most.
const LONGEST: Duration = Duration::from_secs(30);

/// Whoever was well for so long is trusted as before.
const WELL: Duration = Duration::from_secs(60);

/// Open while an engine is not asked.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    slow: u32,
    open: Option<Open>,
    /// When it was closed last, and how long it rested before.
    closed: Option<(Instant, Duration)>,
}

#[derive(Debug)]
struct Open {
    why: String,
    /// When it is worth a look.
    again: Instant,
    rest: Duration,
}

impl Breaker {
    /// Whether the engine may be asked.
    pub fn admits(&self) -> bool {
        self.state().open.is_none()
    }

    /// Why it is not asked, if it is not.
    pub fn why(&self) -> Option<String> {
        self.state().open.as_ref().map(|open| open.why.clone())
    }

    /// Whether it is not asked, and was left alone for long enough to be looked at.
    pub fn is_due(&self, now: Instant) -> bool {
        self.state().open.as_ref().is_some_and(|open| now >= open.again)
    }

    /// A search was answered in time. One that was under way when it opened does not close
    /// it: what is slow answers now and then.
    pub fn answered(&self) {
        self.state().slow = 0;
    }

    /// A search was not answered; true when the engine is not asked from now on.
    pub fn failed(&self, fault: &Fault, now: Instant) -> bool {
        let mut state = self.state();
        state.slow += 1;
        if let Some(open) = &mut state.open {
            if now >= open.again {
                // A look at it was in vain.
                (open.why, open.again) = (fault.to_string(), now + open.rest);
            }
            return false;
        }
        if *fault == Fault::Slow && state.slow < SLOW {
            return false;
        }
        let rest = match state.closed {
            Some((at, rest)) if now.saturating_duration_since(at) < WELL => (rest * 2).min(LONGEST),
            _ => REST,
        };
        state.open = Some(Open { why: fault.to_string(), again: now + rest, rest });
        true
    }

    /// It was found well; true when it was not before.
    pub fn is_well(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.slow = 0;
        let open = state.open.take();
        if let Some(open) = &open {
            state.closed = Some((now, open.rest));
        }
        open.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_in_a_row_or_at_once() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let slow = || breaker.failed(&Fault::Slow, now);
        assert!(!slow() && !slow());
        breaker.answered();
        assert!(!slow() && !slow());
        assert!(breaker.admits(), "never three in a row");
        assert!(slow(), "told once");
        assert!(!slow() && !breaker.admits());
        breaker.answered();
        assert!(!breaker.admits(), "one that was on its way proves nothing");
        assert!(breaker.is_well(now) && !breaker.is_well(now) && breaker.admits());
        assert!(breaker.failed(&Fault::Gone("connection refused".to_owned()), now));
        assert_eq!(breaker.why().as_deref(), Some("it cannot be reached: connection refused"));
    }

    #[test]
    fn whoever_does_not_stay_well_is_looked_at_less_often() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        let gone = Fault::Gone("refused".to_owned());
        let mut rests = Vec::new();
        for _ in 0..8 {
            assert!(breaker.failed(&gone, now));
            let begun = now;
            while !breaker.is_due(now) {
                now += REST;
            }
            rests.push((now - begun).as_millis());
            // In vain the first time; then it waits as long again.
            assert!(!breaker.failed(&gone, now) && !breaker.is_due(now));
            now += LONGEST;
            assert!(breaker.is_due(now) && breaker.is_well(now));
        }
        assert_eq!(rests, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        now += WELL;
        assert!(breaker.failed(&gone, now) && breaker.is_due(now + REST), "forgiven");
    }
}

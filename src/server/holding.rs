//! Which knowledge bases may stay in memory?
//!
//! Without a budget all of them. With one, the knowledge bases that nobody has asked for
//! the longest are closed when those that are open take more; the next question opens
//! them again. What a knowledge base takes is an estimate by its release
//! ([`Engine::weight`](crate::engine::Engine::weight)).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What belongs to other nodes, and was opened here because it was asked for here, is
/// closed when nobody has asked for it for so long.
const GUEST: Duration = Duration::from_secs(300);

/// So much of the budget is left when something had to be closed: a tenth, so that the
/// next one does not close the next.
const SLACK: u64 = 10;

/// What is open, on all tenants' behalf.
pub(super) struct Holding {
    /// In bytes.
    budget: Option<u64>,
    began: Instant,
    uses: Mutex<Vec<Weak<Use>>>,
    /// One at a time is opened because it was asked for: that takes a core and memory.
    opening: Mutex<()>,
    opened: AtomicU64,
    closed: AtomicU64,
}

/// A knowledge base that is open, and how it is used.
pub(super) struct Use {
    began: Instant,
    bytes: u64,
    /// Milliseconds from the beginning to when it was asked for last.
    last: AtomicU64,
    /// Whether it shall be closed.
    is_unwanted: AtomicBool,
    /// Whether this node is one of those that hold it.
    is_own: AtomicBool,
}

impl Use {
    /// Somebody asks for it.
    pub(super) fn touch(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Whether it shall be closed.
    pub(super) fn is_unwanted(&self) -> bool {
        self.is_unwanted.load(Ordering::Relaxed)
    }

    /// Says whether this node is one of those that hold it.
    pub(super) fn own(&self, is_own: bool) {
        self.is_own.store(is_own, Ordering::Relaxed);
    }

    fn rests(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

impl Holding {
    /// With at most so many bytes of open knowledge bases; `None` for any number.
    pub(super) fn new(budget: Option<u64>) -> Self {
        Self {
            budget,
            began: Instant::now(),
            uses: Mutex::default(),
            opening: Mutex::default(),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        }
    }

    fn uses(&self) -> MutexGuard<'_, Vec<Weak<Use>>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much may be open, in bytes.
    pub(super) fn budget(&self) -> Option<u64> {
        self.budget
    }

    /// What is open takes so many bytes, by our estimate, and is so many knowledge bases.
    pub(super) fn held(&self) -> (u64, usize) {
        let mut uses = self.uses();
        uses.retain(|one| one.strong_count() > 0);
        let all = uses.iter().filter_map(Weak::upgrade);
        all.fold((0, 0), |(bytes, number), one| (bytes + one.bytes, number + 1))
    }

    /// Whether something may be opened that nobody has asked for yet.
    pub(super) fn has_room(&self) -> bool {
        self.budget.is_none_or(|budget| self.held().0 < budget - budget / SLACK)
    }

    /// Waits for the turn to open something that was asked for.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was opened because it was asked for.
    pub(super) fn on_demand(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was closed.
    pub(super) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// How often something was opened because it was asked for, and closed.
    pub(super) fn turns(&self) -> (u64, u64) {
        (self.opened.load(Ordering::Relaxed), self.closed.load(Ordering::Relaxed))
    }

    /// Takes in something that was opened, and picks what has to go for it.
    pub(super) fn take(&self, bytes: u64, is_own: bool) -> Arc<Use> {
        let one = Arc::new(Use {
            began: self.began,
            bytes,
            last: AtomicU64::new(0),
            is_unwanted: AtomicBool::new(false),
            is_own: AtomicBool::new(is_own),
        });
        one.touch();
        self.uses().push(Arc::downgrade(&one));
        self.tidy();
        one
    }

    /// Picks what shall be closed. Who opened it closes it at the next look.
    pub(super) fn tidy(&self) {
        let mut uses = self.uses();
        uses.retain(|one| one.strong_count() > 0);
        let mut open: Vec<Arc<Use>> =
            uses.iter().filter_map(Weak::upgrade).filter(|one| !one.is_unwanted()).collect();
        drop(uses);
        let close = |one: &Use| one.is_unwanted.store(true, Ordering::Relaxed);
        open.retain(|one| {
            let is_left = !one.is_own.load(Ordering::Relaxed) && one.rests() >= GUEST;
            if is_left {
                close(one);
            }
            !is_left
        });
        let Some(budget) = self.budget else { return };
        let mut bytes: u64 = open.iter().map(|one| one.bytes).sum();
        if bytes <= budget {
            return;
        }
        // The last one stays, however large it is: without it nobody would be answered.
        open.sort_by_key(|one| one.last.load(Ordering::Relaxed));
        open.pop();
        for one in open {
            if bytes <= budget - budget / SLACK {
                break;
            }
            close(&one);
            bytes = bytes.saturating_sub(one.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_for_goes_first_and_the_last_one_stays() {
        let holding = Holding::new(Some(100));
        let first = holding.take(40, true);
        let second = holding.take(40, true);
        first.last.store(5, Ordering::Relaxed);
        second.last.store(3, Ordering::Relaxed);
        assert!(holding.has_room() && !first.is_unwanted() && !second.is_unwanted());
        std::thread::sleep(Duration::from_millis(10));
        let third = holding.take(40, true);
        assert!(second.is_unwanted() && !first.is_unwanted() && !third.is_unwanted());
        drop(second);
        assert_eq!(holding.held(), (80, 2));
        std::thread::sleep(Duration::from_millis(10));
        let huge = holding.take(1_000, true);
        assert!(first.is_unwanted() && third.is_unwanted() && !huge.is_unwanted());
    }

    #[test]
    fn without_a_budget_all_of_it_stays() {
        let holding = Holding::new(None);
        let one = holding.take(u64::MAX / 2, true);
        assert!(holding.has_room() && !one.is_unwanted());
    }
}

//! May this question be worked on now?
//!
//! As many questions are worked on as there are permits (by default one per
//! core), each on a blocking thread. The others stand in a line, and whoever
//! would have to wait longer than a customer does is turned away at once, which
//! costs nothing; without that, all would get slower until none was in time.
//!
//! A burst may fill the line to its full patience. A line that has not been
//! empty for longer than that is no burst but overload: then the patience
//! becomes a tenth of it, so that those who are let in are answered soon
//! instead of all of them late (as in Facebook's adaptive CoDel: Maurer, "Fail
//! at Scale", ACM Queue 2015).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Kind, Problem};
use crate::error::Error;

/// For every permit at most so many wait: each holds its body in memory.
const LINE: usize = 128;

/// What a piece of work takes before any was measured.
const GUESS: Duration = Duration::from_millis(5);

/// The mean time of work follows what is measured by this part of the difference.
const FOLLOWS: u32 = 16;

/// A single piece of work counts for at most so many times the mean: one long
/// import, or the first question of all, says nothing about the next ones.
const OUTLIER: u32 = 8;

/// Under overload the patience is this part of what it is in a burst.
const BRISK: u32 = 10;

/// The permits and the patience of a server.
#[derive(Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    total: usize,
    queue: Duration,
    /// The patience while the line stands.
    brisk: Duration,
    deadline: Duration,
    line: Arc<Mutex<Line>>,
}

/// Those who wait for a permit.
#[derive(Debug)]
struct Line {
    waiting: usize,
    /// Since when somebody has been waiting all the time.
    since: Option<Instant>,
    /// How long a piece of work holds a permit, on average.
    mean: Duration,
}

/// The right to work on one question. It ends when it is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A place in the line, left by dropping it.
struct Place(Arc<Mutex<Line>>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = locked(&self.0);
        line.waiting -= 1;
        if line.waiting == 0 {
            line.since = None;
        }
    }
}

fn locked(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn took(&mut self, took: Duration) {
        let took = took.min(self.mean * OUTLIER);
        self.mean = self.mean - self.mean / FOLLOWS + took / FOLLOWS;
    }
}

/// Tells work that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub struct Abandoned(Arc<AtomicBool>);

impl Abandoned {
    /// Whether the one who asked has gone.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets [`Abandoned`] when the waiting ends, however it ends.
struct Waiting(Abandoned);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Admission {
    /// `total` questions at a time; the others wait for up to `queue`; each is
    /// given up `deadline` after it came.
    pub fn new(total: usize, queue: Duration, deadline: Duration) -> Self {
        let total = total.clamp(1, Semaphore::MAX_PERMITS);
        let line = Line { waiting: 0, since: None, mean: GUESS };
        Self {
            permits: Arc::new(Semaphore::new(total)),
            total,
            queue,
            brisk: queue / BRISK,
            deadline,
            line: Arc::new(Mutex::new(line)),
        }
    }

    /// As many more, under the same terms.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self { brisk: self.brisk, ..Self::new(self.total, self.queue, self.deadline) }
    }

    /// The same, with one patience for bursts and for lines that stand: for
    /// those who rather wait than come again.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { brisk: self.queue, ..self }
    }

    /// Questions that may be worked on at a time.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Questions that are being worked on.
    pub fn in_flight(&self) -> usize {
        self.total - self.permits.available_permits().min(self.total)
    }

    /// Questions that wait for a permit.
    pub fn waiting(&self) -> usize {
        locked(&self.line).waiting
    }

    /// A place at the end of the line and how long it may be held, if there is
    /// hope of a permit within that time.
    fn join(&self) -> Option<(Place, Duration)> {
        let mut line = locked(&self.line);
        let stands = line.since.is_some_and(|since| since.elapsed() > self.queue);
        let patience = if stands { self.brisk } else { self.queue };
        let total = u32::try_from(self.total).unwrap_or(u32::MAX);
        let ahead = u32::try_from(line.waiting + 1).unwrap_or(u32::MAX);
        let expected = line.mean.saturating_mul(ahead) / total;
        if line.waiting >= self.total.saturating_mul(LINE) || expected > patience {
            return None;
        }
        line.waiting += 1;
        line.since.get_or_insert_with(Instant::now);
        Some((Place(Arc::clone(&self.line)), patience))
    }

    /// A permit, as soon as there is one.
    pub async fn admit(&self) -> Result<Permit, Problem> {
        let busy =
            || Problem::new(Kind::Overloaded, "all workers are busy with other questions; try again shortly");
        // A free permit costs no timer.
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Permit(permit));
        }
        let (_place, patience) = self.join().ok_or_else(busy)?;
        match tokio::time::timeout(patience, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Permit(permit)),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// Works on something on a blocking thread, as soon as there is a permit
    /// and as long as the deadline allows.
    ///
    /// The permit goes along into the work and ends with it: work whose client
    /// has gone still uses a core, and whoever forgets that runs more work
    /// than there are cores.
    pub async fn work<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Abandoned) -> T + Send + 'static,
    {
        let late = || {
            let millis = self.deadline.as_millis();
            Problem::new(
                Kind::DeadlineExceeded,
                format!("there was no answer within {millis} ms; try again shortly"),
            )
        };
        let start = Instant::now();
        let permit = self.admit().await?;
        let left = self.deadline.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(late());
        }
        let waiting = Waiting(Abandoned::default());
        let abandoned = waiting.0.clone();
        let line = Arc::clone(&self.line);
        let handle = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let result = work(&abandoned);
            locked(&line).took(begun.elapsed());
            drop(permit);
            result
        });
        match tokio::time::timeout(left, handle).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panicked)) => Err(Error::internal("worker", panicked).into()),
            Err(_) => Err(late()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(queue: u64) -> Admission {
        Admission::new(2, Duration::from_millis(queue), Duration::from_secs(60))
    }

    #[test]
    fn the_line_is_as_long_as_its_patience() {
        let admission = admission(100);
        // 5 ms each, two at a time: the fortieth waits 100 ms.
        let places: Vec<_> = std::iter::from_fn(|| admission.join()).collect();
        assert_eq!(places.len(), 40);
        drop(places);
        assert_eq!((admission.waiting(), locked(&admission.line).since), (0, None));
        // However quick the work is, there is an end to it.
        locked(&admission.line).mean = Duration::from_nanos(1);
        let places: Vec<_> = std::iter::from_fn(|| admission.join()).collect();
        assert_eq!(places.len(), 2 * LINE);
    }

    #[test]
    fn a_line_that_stands_is_short() {
        let admission = admission(100);
        let (_first, patience) = admission.join().expect("an empty line");
        assert_eq!(patience, Duration::from_millis(100));
        locked(&admission.line).since = Instant::now().checked_sub(Duration::from_secs(1));
        let (_second, patience) = admission.join().expect("a short line");
        assert_eq!(patience, Duration::from_millis(10));
        let more: Vec<_> = std::iter::from_fn(|| admission.join()).collect();
        assert_eq!(more.len(), 2);
        let patient = Admission { brisk: admission.queue, ..admission };
        assert!(patient.join().is_some());
    }

    #[test]
    fn one_long_piece_of_work_does_not_close_the_door() {
        let mut line = Line { waiting: 0, since: None, mean: GUESS };
        line.took(Duration::from_secs(30));
        assert!(line.mean < GUESS * 2);
        (0..100).for_each(|_| line.took(Duration::from_secs(1)));
        assert!(line.mean > Duration::from_millis(900), "{:?}", line.mean);
        (0..200).for_each(|_| line.took(Duration::from_millis(1)));
        assert!(line.mean < Duration::from_millis(2), "{:?}", line.mean);
    }
}

//! May this question be worked on now?
//!
//! As many questions are worked on as there are permits (by default one per
//! core), each on a blocking thread. One more waits a moment and is then
//! turned away, which costs nothing; without that, all would get slower until
//! none was in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Kind, Problem};
use crate::error::Error;

/// The permits and the patience of a server.
#[derive(Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    total: usize,
    queue: Duration,
    deadline: Duration,
}

/// The right to work on one question. It ends when it is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Tells work that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub struct Abandoned(Arc<AtomicBool>);

impl Abandoned {
    /// Whether the one who asked has gone.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets [`Abandoned`] when the handler ends, however it ends.
struct Waiting(Abandoned);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Admission {
    /// `total` questions at a time; one more waits for `queue`; each is given
    /// up `deadline` after it came.
    pub fn new(total: usize, queue: Duration, deadline: Duration) -> Self {
        let total = total.clamp(1, Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(total)), total, queue, deadline }
    }

    /// Questions that are being worked on.
    pub fn in_flight(&self) -> usize {
        self.total - self.permits.available_permits().min(self.total)
    }

    /// A permit, as soon as there is one.
    pub async fn admit(&self) -> Result<Permit, Problem> {
        let busy =
            || Problem::new(Kind::Overloaded, "all workers are busy with other questions; try again shortly");
        // A free permit costs no timer.
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Permit(permit));
        }
        match tokio::time::timeout(self.queue, Arc::clone(&self.permits).acquire_owned()).await {
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
        let handle = tokio::task::spawn_blocking(move || {
            let result = work(&abandoned);
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

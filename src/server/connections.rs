//! Which connections are kept, and for how long?
//!
//! A client that connects and says nothing, or half of something, holds a
//! descriptor and some memory for as long as it likes, unless somebody ends that:
//! the first request must have arrived within [`FIRST`], and between requests a
//! connection rests for [`REST`] at most. There is room for so many; when it is
//! taken, whoever has been silent longest makes room for the next one, so a crowd
//! of idle clients keeps no probe and no customer out. What a client does not read is
//! not held for it for ever either ([`Patient`]).

mod patient;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, watch};
use tower_service::Service as _;

use self::patient::Patient;
use super::metrics::most_files;
use super::peer::Peer;

/// How long the first request of a connection may take to arrive, up to its body.
const FIRST: Duration = Duration::from_secs(15);

/// How long a connection may rest between requests, and a later request's head may
/// take. Proxies in front keep theirs for about a minute.
const REST: Duration = Duration::from_secs(75);

/// How long a client that was told to leave may go on reading the response before.
const LEAVING: Duration = Duration::from_secs(2);

/// Descriptors that are not for connections: databases, indexes, files.
const RESERVED: usize = 256;

/// The most connections, however many descriptors there are: each takes some
/// kilobytes.
const MOST: usize = 10_000;

/// The connections of a server.
pub(super) struct Connections {
    most: usize,
    open: Mutex<HashMap<u64, Arc<Seen>>>,
    /// Somebody has left.
    freed: Notify,
}

/// What is known of a connection.
struct Seen {
    since: Mutex<Instant>,
    /// Requests that came, and those of them that have no response yet.
    came: AtomicUsize,
    pending: AtomicUsize,
    /// Whether it was told to leave.
    told: AtomicBool,
    leave: Notify,
}

impl Seen {
    fn new() -> Self {
        Self {
            since: Mutex::new(Instant::now()),
            came: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            told: AtomicBool::new(false),
            leave: Notify::new(),
        }
    }

    fn note(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Since when it has been silent, those that never said anything first; `None`
    /// while a request is worked on.
    fn silent(&self) -> Option<(bool, Instant)> {
        let free = self.pending.load(Ordering::Relaxed) == 0 && !self.told.load(Ordering::Relaxed);
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        free.then(|| (self.came.load(Ordering::Relaxed) > 0, since))
    }
}

/// A place among the connections, left by dropping it.
struct Place {
    all: Arc<Connections>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.open().remove(&self.number);
        self.all.freed.notify_waiters();
    }
}

impl Connections {
    /// As many as the process may have descriptors for.
    pub(super) fn new() -> Self {
        let files = most_files().and_then(|most| usize::try_from(most).ok()).unwrap_or(1024);
        Self::at_most(files.saturating_sub(RESERVED.min(files / 2)).clamp(1, MOST))
    }

    fn at_most(most: usize) -> Self {
        Self { most, open: Mutex::default(), freed: Notify::new() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Seen>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever has been silent longest to leave.
    fn make_room(&self) {
        let open = self.open();
        let silent = open.values().filter_map(|seen| Some((seen.silent()?, seen)));
        if let Some((_, seen)) = silent.min_by_key(|(silent, _)| *silent) {
            seen.told.store(true, Ordering::Relaxed);
            seen.leave.notify_one();
        }
    }

    /// Waits until there is room for one more.
    async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            if self.count() < self.most {
                return;
            }
            self.make_room();
            // Whoever was told may be in the middle of a response; then the next one is.
            let _ = tokio::time::timeout(Duration::from_millis(50), freed).await;
        }
    }

    /// Serves what a listener accepts until `stop` resolves, and then until the
    /// last response is out.
    pub(super) async fn serve<L>(
        self: Arc<Self>,
        mut listener: L,
        router: Router,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()>
    where
        L: Listener<Addr = SocketAddr>,
    {
        let (stopping, stopped) = watch::channel(false);
        let mut stop = pin!(stop);
        let mut number = 0;
        loop {
            let accepted = async {
                self.room().await;
                listener.accept().await
            };
            let (stream, from) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut stop => break,
            };
            number += 1;
            let seen = Arc::new(Seen::new());
            self.open().insert(number, Arc::clone(&seen));
            let place = Place { all: Arc::clone(&self), number };
            let (router, stopped) = (router.clone(), stopped.clone());
            tokio::spawn(async move {
                let _place = place;
                connection(TokioIo::new(stream), from, router, seen, stopped).await;
            });
        }
        drop(listener);
        let _ = stopping.send(true);
        loop {
            let freed = self.freed.notified();
            if self.count() == 0 {
                return Ok(());
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), freed).await;
        }
    }
}

/// Serves one connection to its end.
async fn connection<S>(
    io: TokioIo<S>,
    from: SocketAddr,
    router: Router,
    seen: Arc<Seen>,
    mut stopped: watch::Receiver<bool>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let noted = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        let seen = Arc::clone(&noted);
        seen.came.fetch_add(1, Ordering::Relaxed);
        seen.pending.fetch_add(1, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(Peer(from)));
        async move {
            let response = router.call(request).await;
            seen.pending.fetch_sub(1, Ordering::Relaxed);
            seen.note();
            let response: Result<_, Infallible> = response;
            response
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(REST);
    let io = TokioIo::new(Patient::new(io.into_inner()));
    let mut serving = pin!(builder.serve_connection(io, service));
    let mut left = pin!(tokio::time::sleep(LEAVING));
    let mut is_told = false;
    let mut first = pin!(tokio::time::sleep(FIRST));
    let mut is_late = false;
    let mut is_leaving = false;
    loop {
        tokio::select! {
            result = serving.as_mut() => {
                if let Err(error) = result {
                    tracing::trace!(%error, "a connection ended");
                }
                return;
            }
            () = &mut first, if !is_late => {
                is_late = true;
                if seen.came.load(Ordering::Relaxed) == 0 {
                    return;
                }
            }
            () = seen.leave.notified() => {
                if seen.came.load(Ordering::Relaxed) == 0 {
                    return;
                }
                serving.as_mut().graceful_shutdown();
                left.as_mut().reset(tokio::time::Instant::now() + LEAVING);
                is_told = true;
            }
            () = &mut left, if is_told => return,
            _ = stopped.wait_for(|stopped| *stopped), if !is_leaving => {
                is_leaving = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_never_said_anything_leaves_first_and_nobody_in_the_middle_of_a_request() {
        let all = Connections::at_most(3);
        let one = || Arc::new(Seen::new());
        let (busy, spoke, silent) = (one(), one(), one());
        for (number, seen) in [(1, &busy), (2, &spoke), (3, &silent)] {
            all.open().insert(number, Arc::clone(seen));
        }
        busy.came.store(1, Ordering::Relaxed);
        busy.pending.store(1, Ordering::Relaxed);
        spoke.came.store(1, Ordering::Relaxed);
        let told = || [&busy, &spoke, &silent].map(|seen| seen.told.load(Ordering::Relaxed));
        all.make_room();
        assert_eq!(told(), [false, false, true]);
        all.make_room();
        assert_eq!(told(), [false, true, true]);
        all.make_room();
        assert_eq!(told(), [false, true, true], "who is served stays");
    }
}

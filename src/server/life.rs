//! How does a server begin, look after what it holds, and stop?
//!
//! It answers from the first moment, also while it opens what is published: that it is not
//! ready is an answer. Then it looks at the data directories again and again. Asked to stop,
//! it first tells everybody who sends requests and goes on taking them for a while, so that
//! none is sent to a port that is closed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::traces::Traces;
use super::{Parts, Registry, Server, metering, router, schedules, tls};
use crate::error::{Error, Result, failed};
use crate::store::Store;

/// How often the data directory is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How often it is looked whether a tenant that is open nowhere has something to tend.
const SWEEP: Duration = Duration::from_secs(60);

/// A tenant that nobody has asked for since so long is closed, where not everything need be open.
const TENANT_REST: Duration = Duration::from_secs(3600);

/// How long requests may take to finish after the signal to stop.
const FAREWELL: Duration = Duration::from_secs(10);

/// Serves on a listener until `stop` resolves, goes on for [`Openness::shutdown_delay`](super::Openness::shutdown_delay)
/// while it tells everybody that it stops, then takes no more and lets running requests
/// finish, for ten seconds at most.
///
/// `prepare` opens what is published while health and readiness are already
/// answered; from its end on the data directory is watched.
///
/// # Errors
/// When `prepare` or the listener fails.
pub async fn run(
    listener: TcpListener,
    server: Server,
    prepare: impl FnOnce(&Registry) -> Result<()> + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let registry = Arc::clone(server.registry());
    if let Some(nodes) = registry.share().nodes() {
        nodes.run_on(Handle::current());
    }
    let looking = server.clone();
    let watching = async move {
        let opened = Arc::clone(&registry);
        let counting = looking.clone();
        let opening = tokio::task::spawn_blocking(move || {
            // What a process before this one has answered counts from the first question on.
            counting.gate().look(&counting.tenants().all());
            prepare(&opened).map(|()| opened.share().arrive())
        });
        match opening.await {
            Ok(Ok(())) => Err(watch(&looking).await),
            Ok(Err(e)) => Ok(e),
            Err(e) => Ok(Error::internal("start", e)),
        }
    };
    let (stopped, mut told) = tokio::sync::watch::channel(false);
    let parts = Arc::clone(&server.0);
    let stopping = async move {
        stop.await;
        parts.stopping.store(true, Ordering::Relaxed);
        let delay = parts.shutdown_delay;
        tracing::info!(
            seconds = delay.as_secs(),
            "stopping; requests are taken for so long, then those that run may finish"
        );
        let share = Arc::clone(parts.tenants.first().registry().share());
        // Records that do not answer keep nobody from stopping.
        let leaving = tokio::time::timeout(FAREWELL, tokio::task::spawn_blocking(move || share.leave()));
        let _ = tokio::join!(leaving, tokio::time::sleep(delay));
        let _ = stopped.send(true);
    };
    let certificate = server.0.certificate.clone();
    let connections = Arc::clone(&server.0.connections);
    let parts = Arc::clone(&server.0);
    let routes = router(server);
    let serving: Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>> = match certificate {
        None => Box::pin(connections.serve(listener, routes, stopping)),
        Some(certificate) => {
            Box::pin(connections.serve(tls::Encrypted::new(listener, certificate)?, routes, stopping))
        }
    };
    let late = async {
        // An error means that serving ended, and then nobody waits for this.
        let _ = told.wait_for(|told| *told).await;
        tokio::time::sleep(FAREWELL).await;
    };
    let outcome = tokio::select! {
        result = serving => result.map_err(|e| Error::internal("server", e)),
        Ok(e) = watching => Err(e),
        () = late => {
            tracing::warn!("some requests did not finish in time");
            Ok(())
        }
    };
    // What a kill would leave to the next start, this one does itself.
    let ending = Arc::clone(&parts);
    let ended = tokio::task::spawn_blocking(move || ending.gate.end(&ending.tenants.all()));
    let _ = tokio::time::timeout(FAREWELL, ended).await;
    if parts.traces.is_some() {
        // What it cannot send in its time is lost.
        let _ = tokio::task::spawn_blocking(move || parts.traces.as_ref().map(Traces::close)).await;
    }
    outcome
}

/// Looks at the data directories for ever.
async fn watch(server: &Server) -> std::convert::Infallible {
    let parts = Arc::clone(&server.0);
    // Beside: opening them takes its time. Should it panic, a tenant goes on when
    // somebody calls it.
    drop(tokio::task::spawn_blocking(move || {
        sweep(&parts);
        match parts.gate.access().tenants() {
            Ok(found) => {
                let names: Vec<String> = found.into_iter().map(|tenant| tenant.name).collect();
                metering::resume(&parts.gate, &parts.tenants, &names);
            }
            Err(error) => failed!(error, "cannot list the tenants"),
        }
    }));
    let mut swept = Instant::now();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let hinted = tokio::select! {
            _ = ticks.tick() => None,
            given = server.0.hints.next() => Some(given),
        };
        let mut tenants = server.tenants().all();
        if let Some(given) = hinted {
            tenants.retain(|tenant| given.is_about(tenant));
            // A refresh that panics is made up for at the next look.
            let _ = tokio::task::spawn_blocking(move || {
                tenants.iter().for_each(|tenant| tenant.registry().refresh());
            })
            .await;
            continue;
        }
        // What a process before this one has left to deliver.
        tenants
            .iter()
            .filter(|tenant| !tenant.registry().is_read_only())
            .for_each(|tenant| tenant.desk().start());
        if swept.elapsed() >= SWEEP {
            swept = Instant::now();
            let parts = Arc::clone(&server.0);
            drop(tokio::task::spawn_blocking(move || sweep(&parts)));
        }
        let parts = Arc::clone(&server.0);
        // It fails when a refresh panics or the runtime ends; the next look
        // is a new attempt in the first case and does not happen in the second.
        let _ = tokio::task::spawn_blocking(move || {
            if let Some(certificate) = &parts.certificate {
                certificate.look();
            }
            parts.gate.look(&tenants);
            let table = parts.gate.access().table();
            parts.tenants.retain(|name| table.has_tenant(name));
            parts.tenants.first().registry().share().holding().tidy();
            for tenant in tenants {
                tenant.registry().glance();
                schedules::tend(parts.gate.access(), &tenant, time::OffsetDateTime::now_utc());
                tenant.measure(&table.limits(tenant.name()));
                parts.soundness.look(parts.gate.access(), &tenant);
            }
            parts.soundness.done(|name| table.has_tenant(name));
        })
        .await;
    }
}

/// Takes in what all nodes keep of what happens, and forgets whom they must; whether that worked.
fn follow(store: &Store) -> bool {
    let done = store.follow();
    match &done {
        Ok(done) if done.changed > 0 => tracing::info!(events = done.changed, "forgot what was asked for"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot follow what all nodes keep of what happens"),
    }
    done.is_ok()
}

/// Closes tenants that rest, and opens those that are open nowhere and have something to
/// tend: each at the node that is the first to hold it.
fn sweep(parts: &Parts) {
    let share = parts.tenants.first().registry().share();
    if share.is_partial() {
        parts.tenants.close_idle(TENANT_REST);
    }
    // Another node may have deleted one; its files here go too.
    if !parts.tenants.first().registry().is_read_only()
        && let Err(error) = parts.gate.access().sweep_deleted()
    {
        failed!(error, "what a deleted tenant has left cannot be removed");
    }
    follow(parts.tenants.first().registry().store());
    match parts.gate.access().tenants() {
        Ok(found) => parts.tenants.sweep(found.into_iter().map(|tenant| tenant.name), follow),
        Err(error) => failed!(error, "cannot list the tenants"),
    }
}

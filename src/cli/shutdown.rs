//! How is a server asked to stop?
//!
//! By SIGTERM or Ctrl-C. The first asks it to end well, which takes as long as requests
//! are still taken and run; the second ends it at once, and what it had not written is
//! made up for by the next start, as after a kill.

use crate::error::{Error, Result};

/// Resolves when the process is asked to stop. When it is asked once more, it ends.
#[cfg(unix)]
pub(super) fn asked() -> Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    // Registered at once: a signal during the start must not be lost.
    let failed = |e| Error::internal("signals", e);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
        }
    };
    Ok(async move {
        next().await;
        tokio::spawn(async move {
            let again = next().await;
            eprintln!("zhida: {}", either!("asked to stop again; ending at once", "再次要求停止，立即结束"));
            // As if nobody had taken the signal.
            std::process::exit(128 + again.as_raw_value());
        });
    })
}

/// Resolves when the process is asked to stop.
#[cfg(not(unix))]
pub(super) fn asked() -> Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

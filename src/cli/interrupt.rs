//! How is long work stopped with Ctrl-C?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::publish;

/// The exit status of a program that was interrupted, by custom 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// Whether somebody pressed Ctrl-C since it was made.
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes Ctrl-C over: the first one stops the work at its next step, with
    /// everything half made removed; the second one ends the process.
    pub(crate) fn watch() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&asked);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(|e| Error::internal("runtime", e))?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    if heard.swap(true, Ordering::Relaxed) {
                        std::process::exit(i32::from(INTERRUPTED));
                    }
                    eprintln!(
                        "zhida: {}",
                        either!(
                            "stopping; press Ctrl-C again to stop at once",
                            "正在停止；再按一次 Ctrl-C 立即停止"
                        )
                    );
                }
            });
        });
        Ok(Self(asked))
    }

    /// Stops the work around it, if somebody wants that.
    pub(crate) fn stop_if_asked(&self) {
        publish::stop_if(&self.0);
    }
}

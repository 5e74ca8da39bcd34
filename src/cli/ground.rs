//! Where are the records of every data directory that this process looks at?

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::store::{Cluster, Store};

static CHOSEN: OnceLock<Arc<Cluster>> = OnceLock::new();

/// Chooses a server for all of them; without one they are in the directories themselves.
///
/// # Errors
/// When it is no address of a server.
pub(super) fn choose(url: Option<&str>) -> Result<()> {
    if let Some(url) = url.filter(|url| !url.is_empty()) {
        let _ = CHOSEN.set(Cluster::at(url)?);
    }
    Ok(())
}

/// A data directory.
pub(super) fn store(root: impl AsRef<Path>) -> Store {
    let store = Store::at(root.as_ref());
    match CHOSEN.get() {
        Some(cluster) => store.on(Arc::clone(cluster)),
        None => store,
    }
}

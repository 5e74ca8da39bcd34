//! Where are the records of every data directory that this process looks at?

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::depot::Depot;
use crate::error::Result;
use crate::store::{Cluster, Store};

static CHOSEN: OnceLock<Arc<Cluster>> = OnceLock::new();
static DEPOT: OnceLock<Depot> = OnceLock::new();

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

/// Chooses where their releases lie that every node can reach; without it they are in the
/// directories alone. S3's own variables say how it is reached.
///
/// # Errors
/// When it is no such place.
pub(super) fn choose_depot(url: Option<&str>) -> Result<()> {
    if let Some(url) = url.filter(|url| !url.is_empty()) {
        let settings: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("AWS_"))
            .collect();
        let _ = DEPOT.set(Depot::at(url, &settings)?);
    }
    Ok(())
}

/// A data directory.
pub(super) fn store(root: impl AsRef<Path>) -> Store {
    let store = Store::at(root.as_ref());
    let store = match DEPOT.get() {
        Some(depot) => store.with_depot(depot.clone()),
        None => store,
    };
    match CHOSEN.get() {
        Some(cluster) => store.on(Arc::clone(cluster)),
        None => store,
    }
}

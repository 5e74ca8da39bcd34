//! Where are the records of every data directory that this process looks at?

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::depot::Depot;
use crate::error::{Error, Result};
use crate::store::{Cluster, Store};

static CHOSEN: OnceLock<Arc<Cluster>> = OnceLock::new();
static RELEASES: OnceLock<Releases> = OnceLock::new();

/// Where releases lie that every node can reach, if that was said.
enum Releases {
    At(Depot),
    InDatabase,
    Nowhere,
}

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

/// Chooses where their releases lie that every node can reach; when it is not said, they lie
/// with the records on a server, and otherwise in the directories alone. S3's own variables
/// say how it is reached.
///
/// # Errors
/// When it is no such place, or it is the server and there is none. A command that `brings`
/// files and a server together names its server itself.
pub(super) fn choose_releases(place: Option<&str>, brings: bool) -> Result<()> {
    let chosen = match place {
        None | Some("") => return Ok(()),
        Some("none") => Releases::Nowhere,
        Some("database") if CHOSEN.get().is_none() && !brings => {
            return Err(Error::Refused(either!(
                "--releases database: there is no server for them; name it with --database postgres://… or ZHIDA_DATABASE, or leave out --releases",
                "--releases database：没有可放的服务器；请用 --database postgres://… 或 ZHIDA_DATABASE 指明，或去掉 --releases"
            )));
        }
        Some("database") => Releases::InDatabase,
        Some(url) => {
            let settings: Vec<_> = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .filter(|(name, _)| name.starts_with("AWS_"))
                .collect();
            Releases::At(Depot::at(url, &settings)?)
        }
    };
    let _ = RELEASES.set(chosen);
    Ok(())
}

/// Refuses a data directory where nothing was ever recorded: its name may be mistyped, and
/// what is told of it would be true of nothing.
///
/// # Errors
/// When that is so.
pub(super) fn must_be_there(store: &Store) -> Result<()> {
    let is_there = store.is_there() || store.access().is_there() || store.root().join("kbs").is_dir();
    if is_there { Ok(()) } else { Err(nothing_in(store.root())) }
}

/// Says that nothing was ever recorded in a data directory.
pub(super) fn nothing_in(root: &Path) -> Error {
    Error::Refused(either!(
        "there is no installation in {}; name its data directory with --data",
        "{} 里没有安装过智答；请用 --data 指定数据目录",
        root.display()
    ))
}

/// A data directory.
pub(super) fn store(root: impl AsRef<Path>) -> Store {
    let store = Store::at(root.as_ref());
    with_releases(match CHOSEN.get() {
        Some(cluster) => store.on(Arc::clone(cluster)),
        None => store,
    })
}

/// A data directory that knows where its records are; now it knows that of its releases.
pub(super) fn with_releases(store: Store) -> Store {
    match RELEASES.get() {
        Some(Releases::At(depot)) => store.with_depot(depot.clone()),
        Some(Releases::InDatabase) | None if store.is_on_server() => store.with_releases_in_records(),
        Some(Releases::InDatabase | Releases::Nowhere) | None => store,
    }
}

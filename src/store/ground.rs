//! Where is what belongs to a data directory, if not in it?

use std::path::Path;
use std::sync::Arc;

use super::database::cluster::Cluster;
use super::database::{Database, Kind, Noted};
use super::{DRAFTS, Store, TALK};
use crate::depot::Depot;
use crate::error::{Error, Result};

/// Where the records of a data directory are.
#[derive(Debug, Clone, Default)]
pub(super) struct Ground {
    /// The server; `None` for files in the data directory.
    pub(super) cluster: Option<Arc<Cluster>>,
    /// The tenant that the data directory is of; `None` for the first one.
    pub(super) tenant: Option<String>,
    /// Whether nothing is changed, whatever the file system allows.
    pub(super) is_read_only: bool,
    /// Whether it does not matter that records are at another place too.
    pub(super) is_moving: bool,
    /// Where releases lie that every node can reach.
    pub(super) depot: Option<Depot>,
}

impl Ground {
    /// The database of a kind.
    pub(super) fn database(&self, root: &Path, kind: Kind) -> Arc<Database> {
        let mut database = match &self.cluster {
            Some(cluster) => Database::on(cluster, self.tenant.as_deref(), root, kind),
            None => Database::at(root, kind),
        };
        if self.is_read_only {
            database = database.read_only();
        }
        if self.is_moving {
            database = database.moving();
        }
        Arc::new(database)
    }
}

impl Store {
    pub(super) fn grounded(self, ground: Ground) -> Self {
        let database = ground.database(&self.root, DRAFTS);
        let conversations = ground.database(&self.root, TALK);
        Self { database, conversations, ground, ..self }
    }

    /// The same; its records are on a server, and only files that go with them lie in
    /// the data directory. One at `…/tenants/NAME` is that tenant's.
    #[must_use]
    pub fn on(self, cluster: Arc<Cluster>) -> Self {
        let tenant = self.ground.tenant.clone().or_else(|| tenant_at(&self.root));
        let ground = Ground { cluster: Some(cluster), tenant, ..self.ground.clone() };
        self.grounded(ground)
    }

    /// The same; nothing in it is changed, whatever the file system allows.
    #[must_use]
    pub fn read_only(self) -> Self {
        let ground = Ground { is_read_only: true, ..self.ground.clone() };
        self.grounded(ground)
    }

    /// The same; it is looked at although its records are at another place too: they are
    /// on their way.
    #[must_use]
    pub fn moving(self) -> Self {
        let ground = Ground { is_moving: true, ..self.ground.clone() };
        self.grounded(ground)
    }

    /// Whether its records are on a server.
    pub fn is_on_server(&self) -> bool {
        self.ground.cluster.is_some()
    }

    /// Sees to it that it is noticed when the server of its records stops to answer, as long
    /// as anybody holds this. `hear` is told where other nodes have just written, as far as
    /// that is known ([`Self::is_told_as`]), and without a place that some of it may have
    /// been missed.
    pub fn watch_server(&self, hear: impl Fn(Option<&str>) + Send + Sync + 'static) {
        if let Some(cluster) = &self.ground.cluster {
            cluster.watch(Box::new(hear));
        }
    }

    /// Whether it is where another node has written.
    pub fn is_told_as(&self, place: &str) -> bool {
        self.database.schema().is_some_and(|schema| schema.is_named(place))
    }

    /// What can be told of drafts and of what is served without asking: while it is the same,
    /// nobody has written. `None` where that cannot be told.
    pub fn noted(&self) -> Option<Noted> {
        self.database.noted()
    }

    /// How often anybody has written its records on a server, as far as that is known
    /// without asking, also while nothing of it is open here.
    pub fn written(&self) -> Option<(i64, i64)> {
        let number = |database: &Database| database.schema()?.noted();
        number(&self.database).zip(number(&self.conversations))
    }

    /// Asks the server of its records whether it is there; why it cannot be reached, where
    /// that may pass by itself. Files are there.
    ///
    /// # Errors
    /// When waiting will not help.
    pub fn reach_server(&self) -> Result<Option<Error>> {
        self.ground.cluster.as_ref().map_or(Ok(None), |cluster| cluster.reach())
    }

    /// Whether the server of its records answers, as far as is known; always for files.
    pub fn is_reachable(&self) -> bool {
        self.ground.cluster.as_ref().is_none_or(|cluster| cluster.is_reachable())
    }
}

/// The tenant whose data directory it would be.
pub(super) fn tenant_at(root: &Path) -> Option<String> {
    let place = std::path::absolute(root).ok()?;
    let parent = place.parent()?.file_name()?;
    place.file_name()?.to_str().filter(|_| parent == "tenants").map(str::to_owned)
}

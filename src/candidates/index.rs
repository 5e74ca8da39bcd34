//! What must an engine be able to do?

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::encoder::Embedding;
use crate::release::Manifest;

/// An engine that keeps rows of releases and searches them. Calls wait; none may be made
/// on an async thread.
pub trait Index: Send + Sync {
    /// Finds out whether it answers at all.
    fn is_there(&self, patience: Duration) -> Result<(), Fault>;

    /// Makes ready what rows with vectors of so many coordinates need.
    fn prepare(&self, width: usize) -> Result<(), Fault>;

    /// How many rows of a release are there.
    fn count(&self, release: &Name) -> Result<usize, Fault>;

    /// Puts rows there; those that are there already are the same.
    fn put(&self, release: &Name, rows: Vec<Row>) -> Result<(), Fault>;

    /// All rows of a release were put.
    fn complete(&self, release: &Name) -> Result<(), Fault>;

    /// How long after that a search may miss some of them.
    fn settles(&self) -> Duration {
        Duration::ZERO
    }

    /// Removes the rows of a knowledge base except those of some releases.
    fn sweep(&self, base: &str, but: &[String]) -> Result<(), Fault>;

    /// Places of at most `limit` phrasings of a release with the highest sums over some
    /// dimensions of [`Row::words`], best first.
    fn worded(
        &self,
        release: &Name,
        dimensions: &[u32],
        limit: usize,
        patience: Duration,
    ) -> Result<Vec<u32>, Fault>;

    /// Of each of the `limit` entries of a release that are nearest to a vector the place
    /// of its nearest phrasing, best first.
    fn meant(
        &self,
        release: &Name,
        vector: &Embedding,
        limit: usize,
        patience: Duration,
    ) -> Result<Vec<u32>, Fault>;
}

/// Why an engine did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not in time.
    #[error("it does not answer in time")]
    Slow,
    /// It cannot be reached.
    #[error("it cannot be reached: {0}")]
    Gone(String),
    /// It answers that it will not.
    #[error("it refuses: {0}")]
    Refused(String),
}

/// A published phrasing, for an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its place in the release.
    pub place: u32,
    /// The place of its entry.
    pub entry: u32,
    /// Its terms as a sparse vector, by rising dimension; never empty.
    pub words: Vec<(u32, f32)>,
    /// Its vector of unit length; `None` in lexical-only mode.
    pub meaning: Option<Embedding>,
}

/// Whose rows they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The tenant and the knowledge base, such as `default/shop`.
    pub base: String,
    /// The release: its number, and a digest of what is in it. A knowledge base that was
    /// deleted and made anew begins with number 1 again.
    pub release: String,
    /// Coordinates of a vector; 0 in lexical-only mode.
    pub width: usize,
}

impl Name {
    /// That of a release of a tenant.
    pub fn of(tenant: &str, manifest: &Manifest, width: usize) -> Self {
        let mut digest = Sha256::new();
        for (name, file) in &manifest.files {
            digest.update(format!("{name} {} {}\n", file.bytes, file.sha256));
        }
        let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self {
            base: Self::base(tenant, &manifest.kb),
            release: format!("{}-{digest}", manifest.number),
            width,
        }
    }

    /// That of a knowledge base of a tenant.
    pub fn base(tenant: &str, kb: &str) -> String {
        format!("{tenant}/{kb}")
    }
}

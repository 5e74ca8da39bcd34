//! Where do candidates of large knowledge bases come from?
//!
//! A release is searched where it is opened, up to millions of phrasings. Beyond that an
//! engine that was made for it ([`Index`]; Milvus, where the program was built with it)
//! keeps a row for every published phrasing, and names those that could be meant. What it
//! is asked for and what becomes of its answers is known further down
//! ([`crate::retrieve::elsewhere`]).
//!
//! Rows belong to one release and never change: whoever opens a release puts its rows
//! there unless they are there already, and asks for them by the release's name. So the
//! step from one release to the next is that of the node, and needs no agreement.
//!
//! The engine may be slow, or gone. Questions wait for it no longer than was said; after
//! some that waited in vain nobody asks any more ([`Breaker`]), until a look beside the
//! questions finds it well again.

mod address;
mod breaker;
mod held;
mod index;
mod keeper;
#[cfg(feature = "milvus")]
mod milvus;

pub use address::Address;
pub use breaker::Breaker;
pub use held::Held;
pub use index::{Fault, Index, Name, Row};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::error::Result;
use crate::release::Release;

/// How an engine is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// How long a question waits for each of its two searches.
    pub patience: Duration,
    /// Releases of fewer phrasings are searched where they are opened.
    pub from: usize,
}

impl Default for Manner {
    /// A tenth of a second; from as many phrasings on as a release's own search is not
    /// exact any more.
    fn default() -> Self {
        Self { patience: Duration::from_millis(100), from: crate::retrieve::semantic::LINKED_FROM }
    }
}

/// An engine with the rows of releases; cheap to clone.
#[derive(Clone)]
pub struct Candidates(Arc<Parts>);

struct Parts {
    index: Box<dyn Index>,
    manner: Manner,
    breaker: Breaker,
    /// Releases that are open here.
    held: Mutex<Vec<Weak<Held>>>,
    /// Knowledge bases that are gone.
    gone: Mutex<Vec<String>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    told: AtomicU64,
    here: AtomicU64,
    lost: AtomicU64,
}

/// How an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Why it is not asked, if it is not.
    pub lost: Option<String>,
    /// Releases whose rows it does not take, as `tenant/knowledge base`, with the reason.
    pub refused: Vec<(String, String)>,
    /// Releases that it could be asked for, by `tenant/knowledge base`, and whether their
    /// rows are there.
    pub ready: Vec<(String, bool)>,
    /// Searches that it answered since the start, …
    pub told: u64,
    /// … that were made here because rows are not there yet or a filter leaves too little,
    pub here: u64,
    /// … and that it did not answer.
    pub failed: u64,
}

impl Candidates {
    /// The engine at an address. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the program was built without it.
    pub fn at(address: &Address, token: Option<&str>, manner: Manner) -> Result<Self> {
        let candidates = Self::over(engine(address, token)?, manner);
        candidates.watch()?;
        Ok(candidates)
    }

    /// Any engine; somebody has to call [`Self::keep`] and [`Self::look`] now and then.
    pub fn over(index: Box<dyn Index>, manner: Manner) -> Self {
        Self(Arc::new(Parts {
            index,
            manner,
            breaker: Breaker::default(),
            held: Mutex::default(),
            gone: Mutex::default(),
            counts: Counts::default(),
        }))
    }

    /// What a release is asked for with, as long as somebody holds it: its rows are put
    /// there beside. `None` for a release that is searched where it is opened. No edit may
    /// have been made to it.
    pub fn hold(&self, tenant: &str, release: &Release) -> Option<Arc<Held>> {
        if release.phrasings().len() < self.0.manner.from.max(1) {
            return None;
        }
        let held = Arc::new(Held::new(Arc::clone(&self.0), tenant, release));
        let mut all = self.0.held();
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&held));
        Some(held)
    }

    /// A knowledge base is gone, and its rows may go.
    pub fn forget(&self, tenant: &str, kb: &str) {
        self.0.gone().push(Name::base(tenant, kb));
    }

    /// How it is.
    pub fn report(&self) -> Report {
        let held = self.0.open();
        let refused = held.iter().filter_map(|one| Some((one.name().base.clone(), one.trouble()?)));
        Report {
            lost: self.0.breaker.why(),
            refused: refused.collect(),
            ready: held.iter().map(|one| (one.name().base.clone(), one.is_ready())).collect(),
            told: self.0.counts.told.load(Ordering::Relaxed),
            here: self.0.counts.here.load(Ordering::Relaxed),
            failed: self.0.counts.lost.load(Ordering::Relaxed),
        }
    }
}

impl Parts {
    fn held(&self) -> MutexGuard<'_, Vec<Weak<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> MutexGuard<'_, Vec<String>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The releases that are open here.
    fn open(&self) -> Vec<Arc<Held>> {
        self.held().iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(feature = "milvus")]
fn engine(address: &Address, token: Option<&str>) -> Result<Box<dyn Index>> {
    Ok(Box::new(milvus::Milvus::at(address, token)?))
}

#[cfg(not(feature = "milvus"))]
fn engine(address: &Address, _: Option<&str>) -> Result<Box<dyn Index>> {
    Err(crate::error::Error::Refused(format!(
        "--candidates {address}: this zhida was built without Milvus; build it with `cargo build --release --features milvus`, or start it without --candidates"
    )))
}

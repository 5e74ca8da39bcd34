//! Which release answers for which knowledge base?
//!
//! A [`View`] is what is served at one moment. [`Registry::refresh`] compares
//! it with the data directory, opens what changed and swaps the view as a
//! whole; a request keeps the engine it began with, so no swap can fail it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::error::{Kind, Problem};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::{Models, Shelf, Store};

/// A release that cannot be opened is tried again after this long: somebody
/// may have mended the folder.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// The engines of all knowledge bases in a data directory.
pub struct Registry {
    store: Store,
    models: Models,
    max_wrong: f64,
    default_kb: String,
    view: ArcSwap<View>,
    /// Whether all knowledge bases were open at once at some time. From then
    /// on a release that fails to open is a warning and no reason to take the
    /// others out of service.
    was_ready: AtomicBool,
    /// One refresh at a time.
    refreshing: Mutex<()>,
}

/// What is served at one moment.
#[derive(Clone, Default)]
pub struct View {
    shelves: BTreeMap<String, Slot>,
    /// Why the data directory could not be read.
    warning: Option<String>,
}

#[derive(Clone, Default)]
struct Slot {
    engine: Option<Arc<Engine>>,
    failure: Option<Failure>,
}

/// Why the release that should be served is not.
#[derive(Clone)]
struct Failure {
    /// The release; `None` when not even its number could be read.
    number: Option<u32>,
    tried: Instant,
    /// For the log; it may name paths.
    text: String,
}

impl View {
    /// The names of the knowledge bases that answer, with their engines.
    pub fn engines(&self) -> impl Iterator<Item = (&str, &Arc<Engine>)> {
        self.shelves
            .iter()
            .filter_map(|(name, slot)| slot.engine.as_ref().map(|engine| (name.as_str(), engine)))
    }

    /// What an operator should look at, as name and message without internals.
    pub fn warnings(&self) -> Vec<(&str, String)> {
        let slots = self.shelves.iter().filter_map(|(name, slot)| {
            let failure = slot.failure.as_ref()?;
            let failed = failure.number.map_or_else(
                || "the current release cannot be read".to_owned(),
                |n| format!("release {n} cannot be opened"),
            );
            let served = slot.engine.as_ref().map_or_else(
                || "nothing is served instead".to_owned(),
                |engine| format!("release {} is still served", engine.release().manifest().number),
            );
            Some((name.as_str(), format!("{failed}, {served}; the server's log says why")))
        });
        let all = self
            .warning
            .iter()
            .map(|_| ("", "the data directory cannot be read; the server's log says why".to_owned()));
        slots.chain(all).collect()
    }

    /// Whether every published knowledge base answers, and there is one.
    fn is_complete(&self) -> bool {
        self.engines().next().is_some()
            && self.warning.is_none()
            && self.shelves.values().all(|slot| slot.engine.is_some() || slot.failure.is_none())
    }
}

impl Registry {
    /// A registry that serves nothing yet, with one model for all releases or
    /// whatever they name.
    pub fn new(store: Store, models: impl Into<Models>, max_wrong: f64, default_kb: &str) -> Self {
        Self {
            store,
            models: models.into(),
            max_wrong,
            default_kb: default_kb.to_owned(),
            view: ArcSwap::default(),
            was_ready: AtomicBool::new(false),
            refreshing: Mutex::new(()),
        }
    }

    /// What is served now.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Whether requests may come: every published knowledge base was open at
    /// some time, and one is now.
    pub fn is_ready(&self) -> bool {
        self.was_ready.load(Ordering::Acquire) && self.view.load().engines().next().is_some()
    }

    /// The engine for a knowledge base; without a name the default one's, or
    /// the only one's.
    pub fn engine(&self, kb: Option<&str>) -> std::result::Result<Arc<Engine>, Problem> {
        let view = self.view.load();
        let mut open = view.engines().map(|(name, _)| name);
        let name = kb.unwrap_or_else(|| match (open.next(), open.next()) {
            (Some(only), None) => only,
            _ => &self.default_kb,
        });
        match view.shelves.get(name) {
            Some(Slot { engine: Some(engine), .. }) => Ok(Arc::clone(engine)),
            Some(_) => {
                let detail = format!("knowledge base {name:?} has no open release; publish it first");
                Err(Problem::new(Kind::NotReady, detail).of_field("kb"))
            }
            // Before the first look at the data directory nobody knows which names exist.
            None if !self.was_ready.load(Ordering::Acquire) && view.shelves.is_empty() => Err(Problem::new(
                Kind::NotReady,
                "no knowledge base is served yet: the server is starting, or nothing is published",
            )),
            None => {
                let known = view.shelves.keys().cloned().collect();
                Err(Error::Unknown { what: "knowledge base", name: name.to_owned(), known }.into())
            }
        }
    }

    /// Opens everything that is published. What does not open is logged, shown
    /// in the readiness and tried again: one broken knowledge base must not
    /// keep the others from answering.
    ///
    /// # Errors
    /// The first knowledge base's that does not open, when none does.
    pub fn open_all(&self) -> Result<()> {
        self.refresh();
        if self.view.load().engines().next().is_some() {
            return Ok(());
        }
        // Nothing answers: the operator needs the error itself, not its text.
        for name in self.store.names()? {
            let shelf = self.store.shelf(&name)?;
            if let Some(number) = shelf.current()? {
                self.open(&shelf, number)?;
            }
        }
        Ok(())
    }

    /// Looks at the data directory and serves what it says. Cheap when nothing
    /// changed; must not run on an async thread, for opening takes its time.
    pub fn refresh(&self) {
        let _one = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.view.load_full();
        let mut new = View::default();
        let names = match self.store.names() {
            Ok(names) => names,
            Err(e) => {
                // What is open goes on answering.
                let text = e.to_string();
                if old.warning.as_ref() != Some(&text) {
                    tracing::error!(error = text, "the data directory cannot be read");
                    self.view.store(Arc::new(View { warning: Some(text), ..View::clone(&old) }));
                }
                return;
            }
        };
        let mut changed = old.warning.is_some();
        for name in names {
            // Removed since it was listed.
            let Ok(shelf) = self.store.shelf(&name) else { continue };
            let known = old.shelves.get(&name);
            let (slot, is_new) = self.look(&shelf, known.cloned().unwrap_or_default());
            changed |= is_new || known.is_none();
            new.shelves.insert(name, slot);
        }
        changed |= new.shelves.len() != old.shelves.len();
        if changed {
            self.view.store(Arc::new(new));
        }
        if self.view.load().is_complete() {
            self.was_ready.store(true, Ordering::Release);
        }
    }

    /// What a knowledge base's slot should be now, and whether that is news.
    fn look(&self, shelf: &Shelf, slot: Slot) -> (Slot, bool) {
        let wanted = match shelf.current() {
            Ok(Some(number)) => number,
            Ok(None) => {
                let is_new = slot.engine.is_some() || slot.failure.is_some();
                return (Slot::default(), is_new);
            }
            Err(e) => return self.failed(shelf, slot, None, &e),
        };
        let served = slot.engine.as_ref().map(|engine| engine.release().manifest().number);
        if served == Some(wanted) {
            let is_new = slot.failure.is_some();
            return (Slot { failure: None, ..slot }, is_new);
        }
        let waiting = slot
            .failure
            .as_ref()
            .is_some_and(|failure| failure.number == Some(wanted) && failure.tried.elapsed() < TRY_AGAIN);
        if waiting {
            return (slot, false);
        }
        match self.open(shelf, wanted) {
            Ok(engine) => {
                tracing::info!(kb = shelf.name(), release = wanted, "now serving");
                (Slot { engine: Some(engine), failure: None }, true)
            }
            Err(e) => self.failed(shelf, slot, Some(wanted), &e),
        }
    }

    /// The slot goes on with what it has. The same failure is logged once.
    fn failed(&self, shelf: &Shelf, slot: Slot, number: Option<u32>, error: &Error) -> (Slot, bool) {
        let text = error.to_string();
        if slot.failure.as_ref().is_none_or(|known| known.text != text) {
            tracing::error!(kb = shelf.name(), release = number, error = text, "a release cannot be served");
        }
        (Slot { failure: Some(Failure { number, tried: Instant::now(), text }), ..slot }, true)
    }

    fn open(&self, shelf: &Shelf, number: u32) -> Result<Arc<Engine>> {
        let release = self.models.open(shelf, number)?;
        Ok(Arc::new(Engine::new(Arc::new(release), self.max_wrong)))
    }
}

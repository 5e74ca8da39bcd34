//! Which release answers for which knowledge base?
//!
//! A [`View`] is what is served at one moment. [`Registry::refresh`] compares
//! it with the data directory, opens what was published, takes in what was
//! edited and swaps the view as a whole; a request keeps the engine it began
//! with, so no swap can fail it. [`Registry::catch_up`] takes in edits alone,
//! and waits for no release that is being opened.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::error::{Kind, Problem};
use crate::engine::{Engine, Live, replay};
use crate::error::{Error, Result};
use crate::store::{Head, Models, Shelf, Store};

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
    /// What takes edits, by knowledge base.
    served: Mutex<BTreeMap<String, Arc<Mutex<Option<Served>>>>>,
}

/// A release that is served with the live edits on top.
struct Served {
    live: Live,
    /// The number of the knowledge base: one of the same name may take its place.
    kb: i32,
    number: u32,
    /// Edits after this revision are on top, …
    live_from: i64,
    /// … up to this one.
    applied: i64,
    /// The goal that is kept.
    max_wrong: f64,
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
                |engine| format!("release {} is still served", engine.release().label()),
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
            served: Mutex::default(),
        }
    }

    /// The data directory.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The models of the releases.
    pub fn models(&self) -> &Models {
        &self.models
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

    /// The goal of knowledge bases that have none of their own.
    pub fn default_goal(&self) -> f64 {
        self.max_wrong
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
        for head in self.store.heads()? {
            if let Some(number) = head.current {
                self.open(&self.store.shelf_to_create(&head.name)?, &head, number)?;
            }
        }
        Ok(())
    }

    /// Looks at the data directory and serves what it says. Cheap when nothing
    /// changed; must not run on an async thread, for opening takes its time.
    pub fn refresh(&self) {
        let _one = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.view.load_full();
        let heads = match self.store.heads() {
            Ok(heads) => heads,
            Err(e) => {
                // What is open goes on answering.
                let text = e.to_string();
                if old.warning.as_ref() != Some(&text) {
                    tracing::error!(error = text, "the data directory cannot be read");
                    self.change(|view| view.warning = Some(text.clone()));
                }
                return;
            }
        };
        if old.warning.is_some() {
            self.change(|view| view.warning = None);
        }
        for head in &heads {
            self.look(head, old.shelves.get(&head.name));
        }
        let gone = |name: &String| !heads.iter().any(|head| head.name == *name);
        if old.shelves.keys().any(gone) {
            self.served.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| !gone(name));
            self.change(|view| view.shelves.retain(|name, _| !gone(name)));
        }
        if self.view.load().is_complete() {
            self.was_ready.store(true, Ordering::Release);
        }
    }

    /// Takes in the live edits of a knowledge base. When it returns, the next
    /// question sees every edit that was made before the call.
    pub fn catch_up(&self, name: &str) {
        let Ok(shelf) = self.store.shelf_to_create(name) else { return };
        let slot = self.slot(name);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(served) = slot.as_mut() {
            self.advance(&shelf, served);
        }
    }

    /// What is served under a name; locked while it changes.
    fn slot(&self, name: &str) -> Arc<Mutex<Option<Served>>> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(served.entry(name.to_owned()).or_default())
    }

    /// Changes what is served as a whole.
    fn change(&self, change: impl Fn(&mut View)) {
        self.view.rcu(|old| {
            let mut new = View::clone(old);
            change(&mut new);
            new
        });
    }

    fn show(&self, name: &str, slot: &Slot) {
        self.change(|view| {
            view.shelves.insert(name.to_owned(), slot.clone());
        });
    }

    /// Applies the edits since the last time and shows the outcome.
    fn advance(&self, shelf: &Shelf, served: &mut Served) {
        let outcome = shelf.live_changes(served.applied).and_then(|news| {
            if news.edits == 0 {
                return Ok(false);
            }
            served.live.apply(news.changes, news.edits)?;
            served.applied = news.last;
            Ok(true)
        });
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                let engine = Some(Arc::clone(served.live.shown()));
                self.show(shelf.name(), &Slot { engine, failure: None });
            }
            Err(e) => {
                let known = self.view.load().shelves.get(shelf.name()).cloned().unwrap_or_default();
                self.fail(shelf.name(), known, Some(served.number), &e);
            }
        }
    }

    /// Serves what a knowledge base's head says.
    fn look(&self, head: &Head, known: Option<&Slot>) {
        let name = head.name.as_str();
        let Ok(shelf) = self.store.shelf_to_create(name) else { return };
        let place = self.slot(name);
        let Some(wanted) = head.current else {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if known.is_none_or(|slot| slot.engine.is_some() || slot.failure.is_some()) {
                self.show(name, &Slot::default());
            }
            return;
        };
        {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(served) = place.as_mut() {
                if (served.kb, served.number) == (head.kb, wanted)
                    && served.live_from != head.live_from
                    && served.live.shown().release().edits() == 0
                {
                    // Gone back to what is served: nothing on top to lose.
                    (served.live_from, served.applied) = (head.live_from, head.live_from);
                }
                if (served.kb, served.number, served.live_from) == (head.kb, wanted, head.live_from) {
                    let max_wrong = head.max_wrong.unwrap_or(self.max_wrong);
                    if served.max_wrong != max_wrong {
                        served.live.set_goal(max_wrong);
                        served.max_wrong = max_wrong;
                        let engine = Some(Arc::clone(served.live.shown()));
                        self.show(name, &Slot { engine, failure: None });
                        tracing::info!(kb = name, max_wrong, "keeps another goal");
                    }
                    if head.live_to > served.applied {
                        self.advance(&shelf, served);
                    } else if known.is_some_and(|slot| slot.failure.is_some()) {
                        let engine = Some(Arc::clone(served.live.shown()));
                        self.show(name, &Slot { engine, failure: None });
                    }
                    return;
                }
            }
        }
        let slot = known.cloned().unwrap_or_default();
        let waiting = slot
            .failure
            .as_ref()
            .is_some_and(|failure| failure.number == Some(wanted) && failure.tried.elapsed() < TRY_AGAIN);
        if waiting {
            return;
        }
        match self.open(&shelf, head, wanted) {
            Ok(mut served) => {
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                let engine = Some(Arc::clone(served.live.shown()));
                self.show(name, &Slot { engine, failure: None });
                // What was edited while it was being opened.
                self.advance(&shelf, &mut served);
                let release = served.live.shown().release().label();
                *place = Some(served);
                tracing::info!(kb = name, release, "now serving");
            }
            Err(e) => self.fail(name, slot, Some(wanted), &e),
        }
    }

    /// The slot goes on with what it has. The same failure is logged once.
    fn fail(&self, name: &str, slot: Slot, number: Option<u32>, error: &Error) {
        let text = error.to_string();
        if slot.failure.as_ref().is_none_or(|known| known.text != text) {
            tracing::error!(kb = name, release = number, error = text, "a release cannot be served");
        }
        self.show(name, &Slot { failure: Some(Failure { number, tried: Instant::now(), text }), ..slot });
    }

    fn open(&self, shelf: &Shelf, head: &Head, number: u32) -> Result<Served> {
        let mut release = self.models.open(shelf, number)?;
        let news = shelf.live_changes(head.live_from)?;
        replay(&mut release, news.changes, news.edits)?;
        let max_wrong = head.max_wrong.unwrap_or(self.max_wrong);
        let live = Live::new(Engine::new(Arc::new(release), max_wrong));
        Ok(Served { live, kb: head.kb, number, live_from: head.live_from, applied: news.last, max_wrong })
    }
}

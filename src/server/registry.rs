//! Which release answers for which knowledge base?
//!
//! A [`View`] is what is served at one moment. [`Registry::refresh`] compares
//! it with the data directory, opens what was published, takes in what was
//! edited and swaps the view as a whole; a request keeps the engine it began
//! with, so no swap can fail it. [`Registry::catch_up`] takes in edits alone,
//! and waits for no release that is being opened.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::error::{Kind, Problem};
use super::holding::Use;
use super::nodes::Share;
use super::view::{Failure, Slot, View};
use crate::access::{DEFAULT_TENANT, Scope};
use crate::candidates::Candidates;
use crate::desk;
use crate::dialogue::Service;
use crate::disk;
use crate::engine::{Engine, Live, replay};
use crate::error::{Error, Result, failed};
use crate::store::{Head, Models, Noted, Shelf, Store};

/// A release that cannot be opened is tried again after this long: somebody
/// may have mended the folder.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// Releases that were served before and are tried when the one that should be
/// served does not open and nothing is served yet.
const FALLBACKS: usize = 5;

/// The engines of all knowledge bases in a data directory.
pub struct Registry {
    store: Store,
    models: Models,
    max_wrong: f64,
    default_kb: String,
    /// Whose knowledge bases they are.
    tenant: String,
    /// Which of them are open here.
    share: Arc<Share>,
    /// How conversations are kept.
    talk: desk::Settings,
    /// Where candidates of large knowledge bases come from, if not from their releases.
    candidates: Option<Candidates>,
    view: ArcSwap<View>,
    /// Whether the data directory was looked at once and everything in it tried.
    looked: AtomicBool,
    read_only: AtomicBool,
    /// One refresh at a time. What is to be served, as it was read last.
    refreshing: Mutex<Option<(Noted, Vec<Head>)>>,
    /// When the last look began that requests have waited for.
    looks: tokio::sync::Mutex<Option<Instant>>,
    /// What takes edits, by knowledge base.
    served: Mutex<BTreeMap<String, Arc<Place>>>,
    /// Attempts to open a release that failed.
    open_failures: AtomicU64,
    /// Bytes that could be written where the data lie when they were looked at last.
    room: Mutex<Option<u64>>,
}

/// What is served under a name; locked while it changes.
type Place = Mutex<Option<Served>>;

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
    used: Arc<Use>,
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
            tenant: DEFAULT_TENANT.to_owned(),
            share: Arc::default(),
            talk: desk::Settings::default(),
            candidates: None,
            view: ArcSwap::default(),
            looked: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            refreshing: Mutex::default(),
            looks: tokio::sync::Mutex::default(),
            served: Mutex::default(),
            open_failures: AtomicU64::new(0),
            room: Mutex::default(),
        }
    }

    /// The registry of a tenant whose data directory lies in this one's; it serves
    /// nothing yet.
    ///
    /// # Errors
    /// When the name could not be a folder's.
    pub(super) fn of_tenant(&self, name: &str) -> Result<Self> {
        let store = self.store.tenant(name)?;
        let models = self.models.of(&store);
        let new = Self::new(store, models, self.max_wrong, &self.default_kb).with_talk(self.talk);
        let new = new.with_candidates(self.candidates.clone());
        Ok(Self { tenant: name.to_owned(), ..new }.with_share(Arc::clone(&self.share)))
    }

    /// The same; of the knowledge bases this much is open here.
    #[must_use]
    pub fn with_share(self, share: Arc<Share>) -> Self {
        Self { share, ..self }
    }

    /// How much of the knowledge bases is open here.
    pub(super) fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// The same with candidates of large knowledge bases from another engine.
    #[must_use]
    pub fn with_candidates(self, candidates: Option<Candidates>) -> Self {
        Self { candidates, ..self }
    }

    /// Where candidates of large knowledge bases come from, if not from their releases.
    pub fn candidates(&self) -> Option<&Candidates> {
        self.candidates.as_ref()
    }

    /// The same; conversations are kept like this.
    #[must_use]
    pub fn with_talk(self, talk: desk::Settings) -> Self {
        Self { talk, ..self }
    }

    /// How conversations are kept.
    pub fn talk(&self) -> desk::Settings {
        self.talk
    }

    /// The data directory.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The models of the releases.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// Whether nothing could be changed when the data directory was looked at last.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// How often a release could not be opened since the start.
    pub fn open_failures(&self) -> u64 {
        self.open_failures.load(Ordering::Relaxed)
    }

    /// How many bytes could be written where the data lie when they were looked at
    /// last; `None` where that cannot be told.
    pub fn room(&self) -> Option<u64> {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is served now.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Whether everything that was published when the server started was tried.
    pub fn has_looked(&self) -> bool {
        self.looked.load(Ordering::Acquire)
    }

    /// Whether requests may come: some knowledge base answers, and the others
    /// were tried.
    pub fn is_ready(&self) -> bool {
        self.has_looked() && self.view.load().answering().next().is_some()
    }

    /// The knowledge base that requests mean which name none.
    pub(super) fn default_kb(&self) -> &str {
        &self.default_kb
    }

    /// The goal of knowledge bases that have none of their own.
    pub fn default_goal(&self) -> f64 {
        self.max_wrong
    }

    /// The engine for a knowledge base; without a name the default one's, or
    /// the only one's.
    pub fn engine(&self, kb: Option<&str>) -> std::result::Result<Arc<Engine>, Problem> {
        self.engine_in(kb, &Scope::All)
    }

    /// The same for somebody who knows of these knowledge bases only.
    pub(super) fn engine_in(
        &self,
        kb: Option<&str>,
        scope: &Scope,
    ) -> std::result::Result<Arc<Engine>, Problem> {
        self.served_in(kb, scope).map(|(engine, _)| engine)
    }

    /// The same with what its service document says.
    pub(super) fn served_in(
        &self,
        kb: Option<&str>,
        scope: &Scope,
    ) -> std::result::Result<(Arc<Engine>, Arc<Service>), Problem> {
        if let Some(name) = self.asleep(kb, scope) {
            self.wake(&name)?;
        }
        let view = self.view.load();
        let name = self.meant(&view, kb, scope);
        match view.shelves.get(name).filter(|_| scope.covers(name)) {
            Some(Slot { engine: Some(engine), service, used, .. }) => {
                used.iter().for_each(|used| used.touch());
                Ok((Arc::clone(engine), Arc::clone(service)))
            }
            // It was closed again at once, for there is room for next to nothing.
            Some(slot) if slot.is_asleep => {
                let detail =
                    format!("knowledge base {name:?} was closed to make room; come back in a moment");
                Err(Problem::new(Kind::NotReady, detail).of_field("kb"))
            }
            Some(slot) => {
                let why = slot.trouble().unwrap_or_else(|| "nothing of it is published yet".to_owned());
                let detail = format!("knowledge base {name:?} does not answer: {why}");
                Err(Problem::new(Kind::NotReady, detail).of_field("kb"))
            }
            // Before the first look at the data directory nobody knows which names exist.
            None if !self.has_looked() => {
                Err(Problem::new(Kind::NotReady, "the server is starting; no knowledge base is open yet"))
            }
            None if view.shelves.is_empty() => {
                Err(Problem::new(Kind::NotReady, "there is no knowledge base yet; import and publish one"))
            }
            None => {
                let known = view.shelves.keys().filter(|name| scope.covers(name)).cloned().collect();
                // Nobody needs to read all of a name that is none.
                let name = name.chars().take(100).collect();
                Err(Error::Unknown { what: "knowledge base", name, known }.into())
            }
        }
    }

    /// The knowledge base that is meant: without a name the only one, or the default one.
    fn meant<'a>(&'a self, view: &'a View, kb: Option<&'a str>, scope: &Scope) -> &'a str {
        let mut open = view.answering().filter(|name| scope.covers(name));
        kb.unwrap_or_else(|| match (open.next(), open.next()) {
            (Some(only), None) => only,
            _ => &self.default_kb,
        })
    }

    /// The name of the knowledge base that is meant, if it would have to be opened first.
    pub(super) fn asleep(&self, kb: Option<&str>, scope: &Scope) -> Option<String> {
        let view = self.view.load();
        let name = self.meant(&view, kb, scope);
        let slot = view.shelves.get(name).filter(|_| scope.covers(name))?;
        slot.is_asleep.then(|| name.to_owned())
    }

    /// Opens a knowledge base because somebody asks for it; takes its time. What does not
    /// open is shown as it is for the others.
    ///
    /// # Errors
    /// When its head cannot be read.
    pub(super) fn wake(&self, name: &str) -> std::result::Result<(), Problem> {
        let _turn = self.share.holding().turn();
        if !self.known(name).is_asleep {
            return Ok(());
        }
        let shelf = self.store.shelf_to_create(name)?;
        let head = shelf.head()?;
        let wanted = head.as_ref().and_then(|head| head.current);
        // The next look finds what has become of it.
        let (Some(head), Some(wanted)) = (head, wanted) else { return Ok(()) };
        self.share.holding().on_demand();
        self.begin(&shelf, &self.slot(name), &head, wanted, Slot::default());
        Ok(())
    }

    /// Opens everything that is published. What does not open is logged, shown
    /// in the readiness and tried again: one broken knowledge base must not
    /// keep the others from answering.
    ///
    /// # Errors
    /// The first knowledge base's that does not open, when none does.
    pub fn open_all(&self) -> Result<()> {
        self.refresh();
        if self.view.load().answering().next().is_some() {
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
        self.look_anew(false);
    }

    /// The same for requests: those that came before a look began are content with it, so
    /// that a release that takes long to open keeps one thread busy and not all there are.
    ///
    /// # Errors
    /// When the thread that looks comes to grief.
    pub(super) async fn refreshed(self: &Arc<Self>) -> Result<()> {
        let asked = Instant::now();
        let mut last = self.looks.lock().await;
        if last.is_some_and(|begun| begun > asked) {
            return Ok(());
        }
        let begun = Instant::now();
        let looking = Arc::clone(self);
        tokio::task::spawn_blocking(move || looking.refresh())
            .await
            .map_err(|e| Error::internal("registry", e))?;
        *last = Some(begun);
        Ok(())
    }

    /// The same on a timer: where it can be told that nobody has written, nothing is read.
    pub(super) fn glance(&self) {
        self.look_anew(true);
    }

    fn look_anew(&self, may_know: bool) {
        let mut known = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.view.load_full();
        self.read_only.store(matches!(self.store.writable(), Err(Error::ReadOnly { .. })), Ordering::Relaxed);
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = disk::room(self.store.root());
        // Before it is read: who writes meanwhile is seen at the next look.
        let noted = self.store.noted();
        let read = match known.take() {
            Some((seen, heads)) if may_know && noted == Some(seen) => Ok(heads),
            _ => self.heads(&old),
        };
        let heads = match read {
            Ok(heads) => heads,
            Err(e) => {
                // What is open goes on answering.
                let text = e.to_string();
                if old.warning.as_ref() != Some(&text) {
                    failed!(e, "the data directory cannot be read");
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
            for name in old.shelves.keys().filter(|name| gone(name)) {
                self.candidates.iter().for_each(|candidates| candidates.forget(&self.tenant, name));
            }
            self.served.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| !gone(name));
            self.change(|view| view.shelves.retain(|name, _| !gone(name)));
        }
        *known = noted.map(|noted| (noted, heads));
        self.looked.store(true, Ordering::Release);
    }

    /// What the data directory says is to be served.
    ///
    /// # Errors
    /// When it cannot be read; also when something is served and there is no
    /// database any more: nobody deletes knowledge bases in that way.
    fn heads(&self, old: &View) -> Result<Vec<Head>> {
        let heads = self.store.heads()?;
        if heads.is_empty() && !old.shelves.is_empty() && !self.store.is_there() {
            let gone = std::io::Error::new(std::io::ErrorKind::NotFound, "the database is gone");
            return Err(Error::io("read", self.store.root(), gone));
        }
        Ok(heads)
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

    fn slot(&self, name: &str) -> Arc<Place> {
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

    /// What is shown under a name.
    fn known(&self, name: &str) -> Slot {
        self.view.load().shelves.get(name).cloned().unwrap_or_default()
    }

    fn show_live(&self, name: &str, served: &Served, failure: Option<Failure>) {
        let engine = served.live.shown();
        let known = self.known(name);
        let (service, service_fault) = match &known.engine {
            Some(before) if before.service() == engine.service() => (known.service, known.service_fault),
            _ => read_service(name, engine.service()),
        };
        let (engine, used) = (Some(Arc::clone(engine)), Some(Arc::clone(&served.used)));
        self.show(name, &Slot { engine, service, service_fault, failure, used, is_asleep: false });
    }

    fn show(&self, name: &str, slot: &Slot) {
        self.change(|view| {
            view.shelves.insert(name.to_owned(), slot.clone());
        });
    }

    /// Applies the edits since the last time and shows the outcome.
    fn advance(&self, shelf: &Shelf, served: &mut Served) {
        let outcome = shelf.live_changes(served.applied).and_then(|news| {
            if news.edits == 0 && news.service.is_none() {
                return Ok(false);
            }
            served.live.apply(news.changes, news.edits)?;
            if let Some(text) = &news.service {
                served.live.set_service(text);
            }
            served.applied = news.last;
            Ok(true)
        });
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                // That another release should be served is as true as before.
                let failure = self.known(shelf.name()).failure;
                let failure = failure.filter(|failure| failure.number != served.number);
                self.show_live(shelf.name(), served, failure);
            }
            Err(e) => self.fail(shelf.name(), self.known(shelf.name()), served.number, &e),
        }
    }

    /// Serves what a knowledge base's head says.
    fn look(&self, head: &Head, mut known: Option<&Slot>) {
        let name = head.name.as_str();
        let Ok(shelf) = self.store.shelf_to_create(name) else { return };
        let place = self.slot(name);
        let Some(wanted) = head.current else {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if known.is_none_or(|slot| slot.engine.is_some() || slot.failure.is_some() || slot.is_asleep) {
                self.show(name, &Slot::default());
            }
            return;
        };
        let is_own = self.share.is_own(&self.tenant, name);
        {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if place.as_ref().is_some_and(|served| served.used.is_unwanted()) {
                *place = None;
                self.show(name, &Slot::asleep());
                self.share.holding().closed();
                tracing::debug!(kb = name, "closed; it is opened again when somebody asks for it");
                return;
            }
            if place.as_ref().is_some_and(|served| served.kb != head.kb) {
                // It was deleted: nobody gets its answers under the name of
                // another one, whether that opens or not.
                *place = None;
                known = None;
                self.show(name, &Slot::default());
            }
            if let Some(served) = place.as_mut() {
                served.used.own(is_own);
                if (served.kb, served.number) == (head.kb, wanted)
                    && served.live_from != head.live_from
                    && !served.live.is_edited()
                {
                    // Gone back to what is served: nothing on top to lose.
                    (served.live_from, served.applied) = (head.live_from, head.live_from);
                }
                if (served.kb, served.number, served.live_from) == (head.kb, wanted, head.live_from) {
                    if known.is_some_and(|slot| slot.failure.is_some()) {
                        self.show_live(name, served, None);
                    }
                    self.keep_up(&shelf, head, served);
                    return;
                }
            }
        }
        let slot = known.cloned().unwrap_or_default();
        if slot.engine.is_none() && slot.failure.is_none() && self.share.is_partial() {
            // What nobody has asked for yet is opened as far as there is room for it.
            if slot.is_asleep || !is_own || !self.share.holding().has_room() {
                if !slot.is_asleep {
                    self.show(name, &Slot::asleep());
                }
                return;
            }
        }
        let waiting = slot
            .failure
            .as_ref()
            .is_some_and(|failure| failure.number == wanted && failure.tried.elapsed() < TRY_AGAIN);
        if waiting {
            // What is served instead takes edits too.
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(served) = place.as_mut().filter(|served| served.kb == head.kb) {
                self.keep_up(&shelf, head, served);
            }
            return;
        }
        self.begin(&shelf, &place, head, wanted, slot);
    }

    /// Opens a release and serves it, or what was served before.
    fn begin(&self, shelf: &Shelf, place: &Place, head: &Head, wanted: u32, slot: Slot) {
        match self.open(shelf, head, wanted) {
            Ok(served) => self.take(shelf, place, served, None),
            Err(e) => {
                let nothing = slot.engine.is_none();
                self.fail(shelf.name(), slot, wanted, &e);
                if nothing {
                    self.fall_back(shelf, place, head, wanted);
                }
            }
        }
    }

    /// Serves what was just opened.
    fn take(&self, shelf: &Shelf, place: &Place, mut served: Served, failure: Option<Failure>) {
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        self.show_live(shelf.name(), &served, failure);
        // What was edited while it was being opened.
        self.advance(shelf, &mut served);
        let release = served.live.shown().release().label();
        *place = Some(served);
        tracing::info!(kb = shelf.name(), release, "now serving");
    }

    /// Serves the last release that opens of those that were served before, with
    /// the same edits on top, until the one that should be served opens.
    fn fall_back(&self, shelf: &Shelf, place: &Place, head: &Head, wanted: u32) {
        let Ok(servings) = shelf.servings(usize::MAX) else { return };
        let mut others: Vec<u32> = Vec::new();
        for serving in servings {
            if serving.release != wanted && !others.contains(&serving.release) {
                others.push(serving.release);
            }
        }
        for number in others.into_iter().take(FALLBACKS) {
            match self.open(shelf, head, number) {
                Ok(served) => {
                    tracing::warn!(
                        kb = shelf.name(),
                        wanted,
                        release = number,
                        "the release before is served instead"
                    );
                    return self.take(shelf, place, served, self.known(shelf.name()).failure);
                }
                Err(e) => {
                    let error = e.to_string();
                    tracing::debug!(
                        kb = shelf.name(),
                        release = number,
                        error,
                        "this one does not open either"
                    );
                }
            }
        }
    }

    /// Takes in the goal and the edits of a head.
    fn keep_up(&self, shelf: &Shelf, head: &Head, served: &mut Served) {
        let max_wrong = head.max_wrong.unwrap_or(self.max_wrong);
        if served.max_wrong != max_wrong {
            served.live.set_goal(max_wrong);
            served.max_wrong = max_wrong;
            self.show_live(shelf.name(), served, self.known(shelf.name()).failure);
            tracing::info!(kb = shelf.name(), max_wrong, "keeps another goal");
        }
        if head.live_to > served.applied {
            self.advance(shelf, served);
        }
    }

    /// The slot goes on with what it has. The same failure is logged once.
    fn fail(&self, name: &str, slot: Slot, number: u32, error: &Error) {
        let failure = Failure::of(number, error, self.store.root());
        if slot.failure.as_ref().is_none_or(|known| known.text != failure.text) {
            tracing::error!(kb = name, release = number, error = failure.text, "a release cannot be served");
        }
        self.show(name, &Slot { failure: Some(failure), ..slot });
    }

    fn open(&self, shelf: &Shelf, head: &Head, number: u32) -> Result<Served> {
        let opened = self.models.open(shelf, number);
        if opened.is_err() {
            self.open_failures.fetch_add(1, Ordering::Relaxed);
        }
        let mut release = opened?;
        let held = self.candidates.as_ref().and_then(|all| all.hold(&self.tenant, &release));
        let news = shelf.live_changes(head.live_from)?;
        replay(&mut release, news.changes, news.edits)?;
        let max_wrong = head.max_wrong.unwrap_or(self.max_wrong);
        let mut engine = Engine::new(Arc::new(release), max_wrong);
        if let Some(held) = held {
            engine = engine.with_candidates(held);
        }
        let mut live = Live::new(engine);
        if let Some(text) = &news.service {
            live.set_service(text);
        }
        let is_own = self.share.is_own(&self.tenant, shelf.name());
        let used = self.share.holding().take(live.shown().release().weight(), is_own);
        let (kb, live_from, applied) = (head.kb, head.live_from, news.last);
        Ok(Served { live, kb, number, live_from, applied, max_wrong, used })
    }
}

/// What a service document says. Nothing gets published with a fault unless
/// somebody forces it; then the shipped document counts, and operators hear of it.
fn read_service(kb: &str, text: &str) -> (Arc<Service>, Option<String>) {
    match Service::of(text) {
        Ok(service) => (Arc::new(service), None),
        Err(problems) => {
            let fault = problems.first().map(ToString::to_string).unwrap_or_default();
            tracing::error!(
                kb,
                error = fault,
                "a service document has a fault, the shipped one counts instead"
            );
            (Arc::default(), Some(fault))
        }
    }
}

//! How does the world ask?
//!
//! [`router`] is the whole HTTP interface over a [`Server`]; [`run`] gives it a
//! port. A request is read (`request`), gets an engine (`registry`) and a
//! permit (`admission`), and is worked on by a blocking thread; from there on
//! all is synchronous. Whatever goes wrong leaves as a problem document
//! ([`error`]).

#![expect(clippy::result_large_err, reason = "a problem document is made once per refused request")]

mod address;
mod admission;
mod api;
mod audit;
mod authoring;
mod caller;
mod canned;
mod changes;
mod channels;
mod condition;
mod connections;
mod console;
mod drafting;
mod elsewhere;
mod entries;
pub mod error;
mod evaluations;
mod feedback;
mod figures;
mod files;
mod gate;
mod greeting;
mod handoffs;
mod hints;
mod holding;
mod hooks;
mod importing;
mod jobs;
mod keys;
mod learning;
mod least;
mod members;
mod metering;
mod metrics;
mod neighbours;
mod nodes;
mod notes;
mod oidc;
mod origins;
mod outer;
mod own;
mod packed;
mod peer;
mod people;
mod pictures;
mod presence;
mod provider;
mod readiness;
mod registry;
mod request;
mod routes;
mod schedules;
mod service;
mod settings;
mod shown;
mod sign_in;
mod signed;
mod soundness;
mod talk;
mod tenancy;
mod tenants;
mod tickets;
mod tls;
mod told;
mod traces;
mod trial;
mod undo;
mod view;
mod widget;
mod words;

pub use admission::{Abandoned, Admission, Permit};
pub use gate::Exposure;
pub use nodes::{Share, Sharing};
pub use origins::Origin;
pub use peer::{Proxies, ProxyHeader};
pub use people::{INVITED, state as state_of, told as link_behind};
pub use provider::ProviderSettings;
pub use readiness::Trouble;
pub use registry::Registry;
pub use request::{ANSWER_BYTES, AnswerRequest, BATCH_BYTES, BATCH_ITEMS, BatchRequest};
pub use settings::{Flag, FlagSource};
pub use tls::Certificate;
pub use traces::Traces;
pub use view::View;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use self::connections::Connections;
use self::error::{Kind, Problem};
use self::gate::Gate;
use self::hints::Hints;
use self::metrics::Metrics;
use self::provider::Provider;
use self::soundness::Soundness;
use self::tenants::Tenants;
use self::traces::Traced;
use crate::error::{Error, Result};
use crate::store::{Lasting, Store};

/// How often the data directory is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Authors whose work is done at a time: writing is one after the other anyway.
pub const AUTHORS: usize = 2;

/// How long an author's work may wait for its turn.
const AUTHORS_QUEUE: Duration = Duration::from_secs(10);

/// How long an author's work may take.
const AUTHORS_DEADLINE: Duration = Duration::from_secs(60);

/// Requests of desks and customers' pages that are worked on at a time: each takes
/// a few milliseconds.
pub const DESKS: usize = 2;

/// How long such a request may wait for its turn.
const DESKS_QUEUE: Duration = Duration::from_secs(5);

/// How long such a request may take.
const DESKS_PATIENCE: Duration = Duration::from_secs(30);

/// Passwords that are looked at at a time: each takes 19 MiB and a core for a moment.
pub const PASSWORDS: usize = 2;

/// How long a password may wait for its turn.
const PASSWORDS_QUEUE: Duration = Duration::from_secs(5);

/// How long looking at a password may take.
const PASSWORDS_PATIENCE: Duration = Duration::from_secs(15);

/// People whom the sign-in provider is asked about at a time.
pub const PROVIDERS: usize = 2;

/// How long asking the provider may take: it has two questions to answer.
const PROVIDERS_PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether a tenant that is open nowhere has something to tend.
const SWEEP: Duration = Duration::from_secs(60);

/// A tenant that nobody has asked for since so long is closed, where not everything need be open.
const TENANT_REST: Duration = Duration::from_secs(3600);

/// How long a request waits for its turn to open a knowledge base that was closed to make room.
const OPENING_PATIENCE: Duration = Duration::from_secs(10);

/// How long requests may take to finish after the signal to stop.
const FAREWELL: Duration = Duration::from_secs(10);

/// Everything that the handlers share; cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Parts>);

struct Parts {
    tenants: Tenants,
    admission: Admission,
    /// For conversations whose records are on a server: when that does not answer, who
    /// asks without one must not wait for it.
    talk: Option<Admission>,
    /// For authors, whose work must not take the customers' turns.
    authoring: Admission,
    /// For desks, whose work must not wait for an import.
    desks: Admission,
    /// For whoever signs in, who must not take anybody's turn.
    passwords: Admission,
    /// For whoever comes from the provider, who may be slow.
    providers: Admission,
    provider: Option<Arc<Provider>>,
    /// One who opens a knowledge base that was closed to make room.
    opening: tokio::sync::Semaphore,
    metrics: Metrics,
    /// One who reads the metrics at a time.
    reading: tokio::sync::Mutex<()>,
    soundness: Soundness,
    connections: Arc<Connections>,
    /// The OpenAPI document.
    description: String,
    /// Whose pages may ask.
    origins: Vec<Origin>,
    stopping: AtomicBool,
    gate: Gate,
    /// What connections are encrypted with.
    certificate: Option<Arc<Certificate>>,
    proxies: Proxies,
    lasting: Lasting,
    traces: Option<Traces>,
    /// What it was started with.
    flags: Vec<Flag>,
    /// How much visitors of pages ask.
    crowd: widget::Crowd,
    /// What other nodes have just written.
    hints: Arc<Hints>,
}

/// What a server is open to beside its own page and programs.
#[derive(Debug, Default)]
pub struct Openness {
    /// Whose pages may ask.
    pub origins: Vec<Origin>,
    /// Who may reach it while it has no keys and no people.
    pub exposure: Exposure,
    /// What connections are encrypted with; `None` for plain ones.
    pub certificate: Option<Arc<Certificate>>,
    /// Which proxies are believed.
    pub proxies: Proxies,
    /// How long sessions last.
    pub lasting: Lasting,
    /// Where people may sign in.
    pub provider: Option<ProviderSettings>,
    /// Where spans go; nowhere without it.
    pub traces: Option<Traces>,
    /// What it was started with, for whoever runs it to see.
    pub flags: Vec<Flag>,
}

impl Server {
    /// A server over a registry, for its own page and for programs.
    pub fn new(registry: Arc<Registry>, admission: Admission) -> Self {
        Self::open_to(registry, admission, Vec::new())
    }

    /// The same, and pages of these origins may ask too.
    pub fn open_to(registry: Arc<Registry>, admission: Admission, origins: Vec<Origin>) -> Self {
        Self::with(registry, admission, Openness { origins, ..Openness::default() })
    }

    /// A server over a registry, with all that can be said of whom it is open to.
    pub fn with(registry: Arc<Registry>, admission: Admission, openness: Openness) -> Self {
        let Openness { origins, exposure, certificate, proxies, lasting, provider, traces, flags } = openness;
        let gate = Gate::new(registry.store().access(), exposure);
        let (_, document) = api::routes();
        // Written once; a document that could not be written would show in the first test.
        let description = document.to_pretty_json().unwrap_or_default();
        let talk = registry.store().is_on_server().then(|| admission.twin());
        let hints = Arc::new(Hints::default());
        let hearing = Arc::clone(&hints);
        registry.store().watch_server(move |place| hearing.take(place));
        registry.share().live();
        Self(Arc::new(Parts {
            tenants: Tenants::new(registry),
            admission,
            talk,
            authoring: Admission::new(AUTHORS, AUTHORS_QUEUE, AUTHORS_DEADLINE).patient(),
            desks: Admission::new(DESKS, DESKS_QUEUE, DESKS_PATIENCE).patient(),
            passwords: Admission::new(PASSWORDS, PASSWORDS_QUEUE, PASSWORDS_PATIENCE).patient(),
            providers: Admission::new(PROVIDERS, PASSWORDS_QUEUE, PROVIDERS_PATIENCE).patient(),
            provider: provider.map(|settings| Arc::new(Provider::new(settings))),
            opening: tokio::sync::Semaphore::new(1),
            metrics: Metrics::new(),
            reading: tokio::sync::Mutex::default(),
            soundness: Soundness::default(),
            connections: Arc::new(Connections::new()),
            description,
            origins,
            stopping: AtomicBool::new(false),
            gate,
            certificate,
            proxies,
            lasting,
            traces,
            flags,
            crowd: widget::Crowd::default(),
            hints,
        }))
    }

    /// Which release answers for which knowledge base of the tenant that owns the
    /// data directory.
    pub fn registry(&self) -> &Arc<Registry> {
        self.tenants().first().registry()
    }

    /// How much of the knowledge bases is open here.
    fn share(&self) -> &Arc<Share> {
        self.registry().share()
    }

    /// The turn to open a knowledge base that was closed to make room.
    async fn opening(&self) -> std::result::Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        match tokio::time::timeout(OPENING_PATIENCE, self.0.opening.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => {
                let detail = "many knowledge bases have to be opened at this node; come back in a moment";
                Err(Problem::new(Kind::NotReady, detail))
            }
        }
    }

    fn tenants(&self) -> &Tenants {
        &self.0.tenants
    }

    /// Who is let in.
    fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// What connections are encrypted with.
    fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.0.certificate.as_ref()
    }

    /// What it was started with.
    fn flags(&self) -> &[Flag] {
        &self.0.flags
    }

    /// Whether connections are encrypted.
    fn is_encrypted(&self) -> bool {
        self.0.certificate.is_some()
    }

    /// Whether pages of an origin may ask.
    fn allows_origin(&self, origin: &str) -> bool {
        self.0.origins.iter().any(|known| known.allows(origin))
            || self.gate().access().table().allows_origin(origin)
    }

    /// Who may speak in a conversation now.
    fn talking(&self) -> &Admission {
        self.0.talk.as_ref().unwrap_or(&self.0.admission)
    }

    /// Who may work now.
    pub fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// Who may work for an author now.
    fn authoring(&self) -> &Admission {
        &self.0.authoring
    }

    /// Who may work for a desk now.
    fn desks(&self) -> &Admission {
        &self.0.desks
    }

    /// Whose password may be looked at now.
    fn passwords(&self) -> &Admission {
        &self.0.passwords
    }

    /// Whom the provider may be asked about now.
    fn providers(&self) -> &Admission {
        &self.0.providers
    }

    /// Where people may sign in.
    fn provider(&self) -> Option<&Arc<Provider>> {
        self.0.provider.as_ref()
    }

    /// Which proxies are believed.
    fn proxies(&self) -> &Proxies {
        &self.0.proxies
    }

    /// How long sessions last.
    fn lasting(&self) -> Lasting {
        self.0.lasting
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Where spans go.
    fn traces(&self) -> Option<&Traces> {
        self.0.traces.as_ref()
    }

    /// How much visitors of pages ask.
    fn crowd(&self) -> &widget::Crowd {
        &self.0.crowd
    }

    /// Who is connected.
    fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// Whether what it stands on is sound.
    fn soundness(&self) -> &Soundness {
        &self.0.soundness
    }

    fn description(&self) -> &str {
        &self.0.description
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }
}

/// The whole HTTP interface.
pub fn router(server: Server) -> Router {
    let (api, _) = api::routes();
    let pages = console::routes(api.clone().with_state(server.clone()));
    let routes = api
        .merge(pages)
        .merge(neighbours::routes())
        .method_not_allowed_fallback(async |request: Request| {
            let detail = format!("{} does not know {}", request.uri().path(), request.method());
            Problem::new(Kind::MethodNotAllowed, detail)
        })
        .fallback(async |request: Request| {
            Problem::new(Kind::NotFound, format!("nothing is served under {}", request.uri().path()))
        });
    origins::allowing(packed::unpacking(routes), &server)
        .layer(middleware::from_fn_with_state(server.clone(), count))
        .layer(middleware::from_fn_with_state(server.clone(), outer::around))
        .layer(Extension(server.clone()))
        .with_state(server)
}

/// Counts every request, and counts and logs every problem document that goes out.
async fn count(State(server): State<Server>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let traced = request.extensions().get::<Traced>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    if let Some(traced) = traced {
        traced.end(method.as_str(), route, response.status().as_u16());
    }
    server.metrics().requested(&method, route, response.status().as_u16(), start.elapsed());
    if let Some(kind) = response.extensions().get::<Kind>() {
        server.metrics().rejected(*kind);
        let (reason, status) = (kind.slug(), response.status().as_u16());
        // Under overload there are thousands a second; the metrics count them.
        if *kind == Kind::Overloaded {
            tracing::debug!(reason, status, "rejected");
        } else {
            tracing::info!(reason, status, "rejected");
        }
    }
    response
}

/// Serves on a listener until `stop` resolves, then lets running requests
/// finish, for ten seconds at most.
///
/// `prepare` opens what is published while health and readiness are already
/// answered; from its end on the data directory is watched.
///
/// # Errors
/// When `prepare` or the listener fails.
pub async fn run(
    listener: TcpListener,
    server: Server,
    prepare: impl FnOnce(&Registry) -> Result<()> + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let registry = Arc::clone(server.registry());
    if let Some(nodes) = registry.share().nodes() {
        nodes.run_on(Handle::current());
    }
    let looking = server.clone();
    let watching = async move {
        let opened = Arc::clone(&registry);
        match tokio::task::spawn_blocking(move || prepare(&opened)).await {
            Ok(Ok(())) => Err(watch(&looking).await),
            Ok(Err(e)) => Ok(e),
            Err(e) => Ok(Error::internal("start", e)),
        }
    };
    let (stopped, mut told) = tokio::sync::watch::channel(false);
    let parts = Arc::clone(&server.0);
    let stopping = async move {
        stop.await;
        parts.stopping.store(true, Ordering::Relaxed);
        let leaving = Arc::clone(parts.tenants.first().registry().share());
        let _ = tokio::task::spawn_blocking(move || leaving.leave()).await;
        tracing::info!("stopping; running requests may finish");
        let _ = stopped.send(true);
    };
    let certificate = server.0.certificate.clone();
    let connections = Arc::clone(&server.0.connections);
    let parts = Arc::clone(&server.0);
    let routes = router(server);
    let serving: Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>> = match certificate {
        None => Box::pin(connections.serve(listener, routes, stopping)),
        Some(certificate) => {
            Box::pin(connections.serve(tls::Encrypted::new(listener, certificate)?, routes, stopping))
        }
    };
    let late = async {
        // An error means that serving ended, and then nobody waits for this.
        let _ = told.wait_for(|told| *told).await;
        tokio::time::sleep(FAREWELL).await;
    };
    let outcome = tokio::select! {
        result = serving => result.map_err(|e| Error::internal("server", e)),
        Ok(e) = watching => Err(e),
        () = late => {
            tracing::warn!("some requests did not finish in time");
            Ok(())
        }
    };
    // What a kill would leave to the next start, this one does itself.
    let ending = Arc::clone(&parts);
    let ended = tokio::task::spawn_blocking(move || ending.gate.end(&ending.tenants.all()));
    let _ = tokio::time::timeout(FAREWELL, ended).await;
    if parts.traces.is_some() {
        // What it cannot send in its time is lost.
        let _ = tokio::task::spawn_blocking(move || parts.traces.as_ref().map(Traces::close)).await;
    }
    outcome
}

/// Looks at the data directories for ever.
async fn watch(server: &Server) -> std::convert::Infallible {
    let parts = Arc::clone(&server.0);
    // Beside: opening them takes its time. Should it panic, a tenant goes on when
    // somebody calls it.
    drop(tokio::task::spawn_blocking(move || {
        sweep(&parts);
        match parts.gate.access().tenants() {
            Ok(found) => {
                let names: Vec<String> = found.into_iter().map(|tenant| tenant.name).collect();
                metering::resume(&parts.gate, &parts.tenants, &names);
            }
            Err(error) => tracing::error!(%error, "cannot list the tenants"),
        }
    }));
    let mut swept = Instant::now();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let hinted = tokio::select! {
            _ = ticks.tick() => None,
            given = server.0.hints.next() => Some(given),
        };
        let mut tenants = server.tenants().all();
        if let Some(given) = hinted {
            tenants.retain(|tenant| given.is_about(tenant));
            // A refresh that panics is made up for at the next look.
            let _ = tokio::task::spawn_blocking(move || {
                tenants.iter().for_each(|tenant| tenant.registry().refresh());
            })
            .await;
            continue;
        }
        // What a process before this one has left to deliver.
        tenants
            .iter()
            .filter(|tenant| !tenant.registry().is_read_only())
            .for_each(|tenant| tenant.desk().start());
        if swept.elapsed() >= SWEEP {
            swept = Instant::now();
            let parts = Arc::clone(&server.0);
            drop(tokio::task::spawn_blocking(move || sweep(&parts)));
        }
        let parts = Arc::clone(&server.0);
        // It fails when a refresh panics or the runtime ends; the next look
        // is a new attempt in the first case and does not happen in the second.
        let _ = tokio::task::spawn_blocking(move || {
            if let Some(certificate) = &parts.certificate {
                certificate.look();
            }
            parts.gate.look(&tenants);
            let table = parts.gate.access().table();
            parts.tenants.retain(|name| table.has_tenant(name));
            parts.tenants.first().registry().share().holding().tidy();
            for tenant in tenants {
                tenant.registry().refresh();
                schedules::tend(parts.gate.access(), &tenant, time::OffsetDateTime::now_utc());
                tenant.measure(&table.limits(tenant.name()));
                parts.soundness.look(parts.gate.access(), &tenant);
            }
            parts.soundness.done(|name| table.has_tenant(name));
        })
        .await;
    }
}

/// Takes in what all nodes keep of what happens, and forgets whom they must.
fn follow(store: &Store) {
    match store.follow() {
        Ok(done) if done.changed > 0 => tracing::info!(events = done.changed, "forgot what was asked for"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot follow what all nodes keep of what happens"),
    }
}

/// Closes tenants that rest, and opens those that are open nowhere and have something to
/// tend: each at the node that is the first to hold it.
fn sweep(parts: &Parts) {
    let share = parts.tenants.first().registry().share();
    if share.is_partial() {
        parts.tenants.close_idle(TENANT_REST);
    }
    follow(parts.tenants.first().registry().store());
    match parts.gate.access().tenants() {
        Ok(found) => {
            for tenant in &found {
                // Who has nothing here has nothing to follow.
                let store = parts.tenants.first().registry().store().tenant(&tenant.name);
                store.iter().filter(|store| store.root().join("events").is_dir()).for_each(follow);
            }
            let names = found.into_iter().map(|tenant| tenant.name);
            parts.tenants.resume(names.filter(|name| share.is_first(name)));
        }
        Err(error) => tracing::error!(%error, "cannot list the tenants"),
    }
}

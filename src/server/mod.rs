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
mod forget;
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
mod life;
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
mod proposals;
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
mod waiting;
mod widget;
mod words;

pub use admission::{Abandoned, Admission, Permit};
pub use gate::Exposure;
pub use life::run;
pub use nodes::{Share, Sharing};
pub use origins::Origin;
pub use peer::{Proxies, ProxyHeader, own_address};
pub use people::{INVITED, state as state_of, told as link_behind};
pub use provider::ProviderSettings;
pub use readiness::Trouble;
pub use registry::Registry;
pub use request::{ANSWER_BYTES, AnswerRequest, BATCH_BYTES, BATCH_ITEMS, BatchRequest};
pub use settings::{Flag, FlagSource};
pub use tls::Certificate;
pub use traces::Traces;
pub use view::View;
pub use waiting::meanwhile;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Router};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use self::connections::Connections;
use self::error::{Kind, Problem};
use self::gate::Gate;
use self::hints::Hints;
use self::metrics::Metrics;
use self::provider::Provider;
use self::soundness::Soundness;
use self::tenants::Tenants;
use self::traces::Traced;
use crate::store::Lasting;

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

/// How long a request waits for its turn to open a knowledge base that was closed to make room.
const OPENING_PATIENCE: Duration = Duration::from_secs(10);

/// So many streams look for something new at a time; where the records are on a server that
/// hangs, so many threads wait for it.
const FOLLOWING: usize = 8;

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
    opening: Semaphore,
    /// Streams that look for something new at a time.
    following: Arc<Semaphore>,
    metrics: Metrics,
    /// One who reads the metrics at a time.
    reading: tokio::sync::Mutex<()>,
    soundness: Soundness,
    connections: Arc<Connections>,
    /// The OpenAPI document.
    description: Bytes,
    /// Whose pages may ask.
    origins: Vec<Origin>,
    stopping: AtomicBool,
    shutdown_delay: Duration,
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
    /// How long it goes on taking requests after the signal to stop: by then balancers, whom
    /// `/readyz` tells, and other nodes, who hear no more of it, send none.
    pub shutdown_delay: Duration,
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
        let Openness {
            origins,
            exposure,
            certificate,
            proxies,
            lasting,
            provider,
            traces,
            flags,
            shutdown_delay,
        } = openness;
        let gate = Gate::new(registry.store().access(), exposure);
        let (_, document) = api::routes();
        // Written once; a document that could not be written would show in the first test.
        let description = Bytes::from(document.to_pretty_json().unwrap_or_default());
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
            opening: Semaphore::new(1),
            following: Arc::new(Semaphore::new(FOLLOWING)),
            metrics: Metrics::new(),
            reading: tokio::sync::Mutex::default(),
            soundness: Soundness::default(),
            connections: Arc::new(Connections::new()),
            description,
            origins,
            stopping: AtomicBool::new(false),
            shutdown_delay,
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
    async fn opening(&self) -> Result<SemaphorePermit<'_>, Problem> {
        match tokio::time::timeout(OPENING_PATIENCE, self.0.opening.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => {
                let detail = "many knowledge bases have to be opened at this node; come back in a moment";
                Err(Problem::new(Kind::NotReady, detail))
            }
        }
    }

    /// A stream's turn to look for something new.
    async fn following(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.0.following).acquire_owned().await
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

    fn description(&self) -> Bytes {
        self.0.description.clone()
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
            let path = request.uri().path();
            // Where a form of the console goes is no page: whoever comes back to it, or signs in
            // again there, is shown the page above.
            if request.method() == Method::GET
                && let Some((above, _)) = path.rsplit_once('/')
                && above.starts_with("/console")
            {
                return Redirect::to(above).into_response();
            }
            let detail = format!("{path} does not know {}", request.method());
            Problem::new(Kind::MethodNotAllowed, detail).into_response()
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

//! Who calls, and what may they see?
//!
//! The one preamble of all handlers: a [`Caller`] is a tenant, an identity with
//! its right, and a signature. Knowledge bases are reached through it only, so
//! no handler can forget to look at what the identity may know of.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::FromRequestParts;
use axum::http::{HeaderName, HeaderValue, Method, request};

use super::Server;
use super::error::{Kind, Problem};
use super::gate::Entry;
use super::jobs::Jobs;
use super::least::Mark;
use super::outer::RequestId;
use super::peer::Client;
use super::registry::Registry;
use super::signed::signature;
use super::tenants::Tenant;
use super::traces::Traced;
use crate::access::{Identity, Right, Role, Scope};
use crate::desk::Desk;
use crate::dialogue::Service;
use crate::engine::{Engine, Reply, Stages};
use crate::error::Error;
use crate::events::Log;
use crate::events::habits::Habits;
use crate::store::{Shelf, Signature, Store};

/// Somebody who was let in.
#[derive(Clone)]
pub(super) struct Caller {
    server: Server,
    tenant: Arc<Tenant>,
    identity: Arc<Identity>,
    signature: Arc<Signature>,
    from: IpAddr,
    request: Option<String>,
    /// The span of the request, where spans are sent.
    traced: Option<Traced>,
    /// What this node must have got to before it answers.
    least: Option<Mark>,
}

/// Somebody who has the right, before their tenant is open.
pub(super) struct Admitted {
    server: Server,
    identity: Arc<Identity>,
    signature: Signature,
    from: IpAddr,
    request: Option<String>,
    traced: Option<Traced>,
    least: Option<Mark>,
    /// What is left of their limits, to be told in the response.
    pub(super) told: Vec<(HeaderName, HeaderValue)>,
}

/// Finds out who sends a request, and whether they have a right.
pub(super) async fn admitted(right: Right, request: &request::Parts) -> Result<Admitted, Problem> {
    let lost = || Problem::from(Error::internal("guard", "a route is served without its server"));
    let server = request.extensions.get::<Server>().cloned().ok_or_else(lost)?;
    let Entry { identity, told } = server.gate().enter(right, request).await?;
    // Who only reads signs nothing.
    let mut signature = if request.method == Method::GET {
        Signature::of(&identity.name)
    } else {
        signature(&request.headers, &identity.name)?
    };
    // A program may say for whom it works; a person is who they are.
    if identity.is_person() {
        signature.author.clone_from(&identity.name);
    }
    let from = Client::of(&request.extensions).address;
    let traced = request.extensions.get::<Traced>().cloned();
    let least = Mark::of(&request.headers)?;
    let request = request.extensions.get::<RequestId>().map(|id| id.0.clone());
    Ok(Admitted { server, identity, signature, from, request, traced, least, told })
}

impl Admitted {
    /// What they are for.
    pub(super) fn role(&self) -> Role {
        self.identity.role
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Who they are.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Opens the tenant, if nobody has been there yet.
    pub(super) async fn into_caller(self) -> Result<Caller, Problem> {
        let Self { server, identity, signature, from, request, traced, least, .. } = self;
        let tenant = match server.tenants().known(&identity.tenant) {
            Some(tenant) => tenant,
            None => {
                let (server, name) = (server.clone(), identity.tenant.clone());
                let opened = tokio::task::spawn_blocking(move || server.tenants().open(&name)).await;
                opened.map_err(|e| Error::internal("tenant", e))??
            }
        };
        Ok(Caller { server, tenant, identity, signature: Arc::new(signature), from, request, traced, least })
    }
}

/// What is known of a request that comes without a key.
pub(super) struct Unkeyed {
    server: Server,
    from: IpAddr,
    request: Option<String>,
    traced: Option<Traced>,
}

impl Unkeyed {
    pub(super) fn of(server: &Server, parts: &request::Parts) -> Self {
        Self {
            server: server.clone(),
            from: Client::of(&parts.extensions).address,
            request: parts.extensions.get::<RequestId>().map(|id| id.0.clone()),
            traced: parts.extensions.get::<Traced>().cloned(),
        }
    }

    /// The caller for whom somebody else has vouched.
    pub(super) fn call_as(self, tenant: Arc<Tenant>, identity: Identity) -> Caller {
        let Self { server, from, request, traced } = self;
        let signature = Arc::new(Signature::of(&identity.name));
        Caller { server, tenant, identity: Arc::new(identity), signature, from, request, traced, least: None }
    }
}

impl FromRequestParts<Server> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, _: &Server) -> Result<Self, Problem> {
        let public = || Error::internal("guard", "a public route has no caller").into();
        parts.extensions.get::<Self>().cloned().ok_or_else(public)
    }
}

impl Caller {
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The tenant that they belong to.
    pub(super) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Who it is.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Under which name changes are recorded, and why they are made.
    pub(super) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// From which address they call.
    pub(super) fn from(&self) -> IpAddr {
        self.from
    }

    /// What this node must have got to before it answers.
    pub(super) fn least(&self) -> Option<Mark> {
        self.least
    }

    /// The id of the request.
    pub(super) fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// Which release answers for which of the tenant's knowledge bases. Whoever
    /// names a knowledge base uses [`Self::engine`] and [`Self::shelf`].
    pub(super) fn registry(&self) -> &Arc<Registry> {
        self.tenant.registry()
    }

    /// The tenant's jobs.
    pub(super) fn jobs(&self) -> &Jobs {
        self.tenant.jobs()
    }

    /// What happened in the tenant's data directory.
    pub(super) fn log(&self) -> &Log {
        self.tenant.log()
    }

    /// The tenant's data directory.
    pub(super) fn store(&self) -> &Store {
        self.registry().store()
    }

    /// Whether they may know of a knowledge base.
    pub(super) fn knows(&self, kb: &str) -> bool {
        self.identity.scope.covers(kb)
    }

    /// Whether somebody else of the tenant may see a knowledge base. A name of a desk's own
    /// making is nobody's whose rights could be looked at.
    pub(super) fn may_see(&self, name: &str, kb: &str) -> bool {
        let person = self.server.gate().access().person(&self.identity.tenant, name);
        let kbs = person.ok().and_then(|person| person.kbs);
        kbs.is_none_or(|kbs| kbs.iter().any(|known| known == kb))
    }

    /// The knowledge bases that a list is about: the one that is asked for, or all
    /// that they may know of; `None` for all of the tenant.
    ///
    /// # Errors
    /// When they may not know of the one that is asked for.
    pub(super) fn within(&self, kb: Option<String>) -> Result<Option<Vec<String>>, Problem> {
        match (kb, &self.identity.scope) {
            (Some(kb), _) if !self.knows(&kb) => Err(self.unknown(&kb)?.into()),
            (Some(kb), _) => Ok(Some(vec![kb])),
            (None, Scope::All) => Ok(None),
            (None, Scope::Named(names)) => Ok(Some(names.clone())),
        }
    }

    /// The engine for a knowledge base; without a name the default one's, or the
    /// only one's.
    pub(super) fn engine(&self, kb: Option<&str>) -> Result<Arc<Engine>, Problem> {
        self.served(kb).map(|(engine, _)| engine)
    }

    /// The same with what its service document says.
    pub(super) fn served(&self, kb: Option<&str>) -> Result<(Arc<Engine>, Arc<Service>), Problem> {
        self.registry().served_in(self.only(kb), &self.identity.scope)
    }

    /// Refuses addresses inside the operator's house to whoever is not the operator: what
    /// answers there was not made for them.
    ///
    /// # Errors
    /// When they are wanted, and not theirs to want.
    pub(super) fn may_reach_inside(&self, private: bool) -> Result<(), Problem> {
        if !private || self.identity.may(Right::Operator) {
            return Ok(());
        }
        let detail = "`private` lets this server call addresses of its own network: only an admin of the first tenant, for all knowledge bases, may set it";
        Err(Problem::new(Kind::Forbidden, detail).of_field("private"))
    }

    /// The knowledge base that is meant, as far as who asks decides that: who knows of
    /// one means that one.
    fn only<'a>(&'a self, kb: Option<&'a str>) -> Option<&'a str> {
        kb.or_else(|| self.identity.scope.only())
    }

    /// Opens a knowledge base that was closed to make room, before anything else is asked
    /// of it. [`Self::served`] would do so too, and keep all others from this thread.
    ///
    /// # Errors
    /// When it does not get its turn in time.
    pub(super) async fn awake(&self, kb: Option<&str>) -> Result<(), Problem> {
        if !self.server.share().is_partial() {
            return Ok(());
        }
        let Some(name) = self.registry().asleep(self.only(kb), &self.identity.scope) else { return Ok(()) };
        let _turn = self.server.opening().await?;
        let registry = Arc::clone(self.registry());
        let opening = tokio::task::spawn_blocking(move || registry.wake(&name)).await;
        opening.map_err(|e| Error::internal("open", e))?
    }

    /// A knowledge base that exists; changes are signed.
    pub(super) fn shelf(&self, kb: &str) -> Result<Shelf, Problem> {
        let store = self.store();
        if store.shelf_to_create(kb).is_err() || !self.knows(kb) {
            return Err(self.unknown(kb)?.into());
        }
        match store.shelf(kb) {
            Err(Error::Unknown { .. }) => Err(self.unknown(kb)?.into()),
            shelf => Ok(shelf?.signed(self.signature().clone())),
        }
    }

    /// A knowledge base that may not exist yet; changes are signed.
    pub(super) fn shelf_to_create(&self, kb: &str) -> Result<Shelf, Problem> {
        if !self.knows(kb) {
            return Err(self.unknown(kb)?.into());
        }
        let shelf = self.store().shelf_to_make(kb).map_err(|error| match error {
            // Nothing but the name can be wrong.
            Error::Refused(why) => Problem::new(Kind::InvalidField, why).of_field("kb"),
            error => error.into(),
        })?;
        Ok(shelf.signed(self.signature().clone()))
    }

    /// What whoever may not know of a knowledge base hears, the same as if there
    /// were none.
    fn unknown(&self, kb: &str) -> Result<Error, Problem> {
        let known = self.store().names()?.into_iter().filter(|name| self.knows(name)).collect();
        Ok(Error::Unknown { what: "knowledge base", name: kb.to_owned(), known })
    }

    /// Counts what the stages of a question took that was begun at a moment.
    pub(super) fn staged(&self, began: SystemTime, stages: &Stages) {
        self.server.metrics().stages(stages);
        if let Some(traced) = &self.traced {
            traced.staged(began, stages);
        }
    }

    /// Counts and logs a reply; the log never has the customer's words.
    pub(super) fn record(&self, reply: &Reply, took: Duration) {
        let kb = self.tenant.label(&reply.kb);
        self.server.metrics().answered(&kb, reply, took);
        if let Some(traced) = &self.traced {
            traced.decided(&kb, reply);
        }
        tracing::info!(
            decision = reply.decision.name(),
            reason = reply.reason.name(),
            confidence = reply.confidence,
            generation = reply.generation,
            kb,
            release = reply.release,
            micros = reply.took_us,
            trace_id = reply.trace_id,
            "answered"
        );
    }

    /// What customers of a knowledge base ask for.
    pub(super) fn habits(&self, kb: &str) -> Arc<Habits> {
        self.tenant.habits(kb)
    }

    /// The tenant's conversations, and the people behind them.
    pub(super) fn desk(&self) -> &Desk {
        self.tenant.desk()
    }

    /// Does the work of a customer's page or of a desk on a blocking thread: short,
    /// and beside what authors and answers take.
    pub(super) async fn at_desk<T: Send + 'static>(
        self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let server = self.server.clone();
        server.desks().work(move |_| work(&self)).await?
    }

    /// Does an author's work on a blocking thread.
    pub(super) async fn author<T: Send + 'static>(
        self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let server = self.server.clone();
        server.authoring().work(move |_| work(&self)).await?
    }
}

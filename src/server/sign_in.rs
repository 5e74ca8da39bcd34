//! How does somebody become known, and how do they leave?
//!
//! With a name and a password, or with a link that works once: the first admin's,
//! or that of somebody who was invited or has lost their password. A name that
//! nobody has and a wrong password get the same reply after the same time.

use std::net::IpAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::Server;
use super::caller::Caller;
use super::changes::Done;
use super::error::{Kind, Problem, Problems};
use super::gate::Gate;
use super::outer::RequestId;
use super::peer::{Client, text};
use super::request::{self, fields};
use super::routes::Routes;
use super::shown;
use crate::access::chain::Deed;
use crate::access::{
    DEFAULT_TENANT, Opens, Password, Refusal, Refused, Right, Token, Whose, moment, password,
};
use crate::error::Error;
use crate::store::{Errand, PersonRecord, SessionRecord, folded};

/// The largest body of these routes, in bytes.
pub(super) const LOGIN_BYTES: usize = 8 * 1024;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Public, routes!(login, ways))
        .may(Right::Public, routes!(look_at_link))
        .may(Right::Public, routes!(redeem_link))
        .may(Right::Own, routes!(logout))
        .bodies(LOGIN_BYTES)
}

/// Somebody who is not known yet.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) client: Client,
    request: Option<String>,
    agent: String,
}

impl Visitor {
    /// Who sends a request, as far as it shows.
    ///
    /// # Errors
    /// When a page of another site has a browser send it.
    pub(super) fn of(request: &Request) -> Result<Self, Problem> {
        shown::from_own_page(request.headers(), Client::of(request.extensions()))?;
        Ok(Self::of_return(request))
    }

    /// Who comes back from the provider: another site sends them, and that is meant.
    pub(super) fn of_return(request: &Request) -> Self {
        let agent = text(request.headers(), &header::USER_AGENT).unwrap_or_default();
        Self {
            client: Client::of(request.extensions()),
            request: request.extensions().get::<RequestId>().map(|id| id.0.clone()),
            agent: agent.to_owned(),
        }
    }

    /// Records what they did or failed to do.
    pub(super) fn record(
        &self,
        server: &Server,
        action: &str,
        person: &PersonRecord,
        is_known: bool,
        after: Option<String>,
    ) {
        let deed = Deed {
            // Whoever fails to prove who they are is nobody.
            who: is_known.then(|| person.id.clone()),
            name: if is_known { person.name.clone() } else { NOBODY.to_owned() },
            object: format!("person {}", person.name),
            after,
            ..self.deed(action)
        };
        note(server, &person.tenant, deed);
    }

    /// Records that they failed to prove who they are.
    pub(super) fn refused(&self, server: &Server, person: Option<&PersonRecord>) {
        match person {
            Some(person) => self.record(server, "login_failed", person, false, None),
            None => {
                let deed = Deed { object: unknown(), ..self.deed("login_failed") };
                note(server, DEFAULT_TENANT, deed);
            }
        }
    }

    fn deed(&self, action: &str) -> Deed {
        Deed {
            name: NOBODY.to_owned(),
            from: self.client.address.to_string(),
            request: self.request.clone(),
            action: action.to_owned(),
            ..Deed::default()
        }
    }

    /// Begins a session of somebody who proved who they are.
    pub(super) fn begin(
        &self,
        server: &Server,
        person: &PersonRecord,
    ) -> Result<(Token, SessionRecord), Problem> {
        let access = server.gate().access();
        Ok(access.begin_session(&person.id, server.lasting(), self.client.address, &self.agent)?)
    }

    /// Lets somebody in: the reply, with the cookie.
    pub(super) fn let_in(&self, server: &Server, person: PersonRecord) -> Result<Response, Problem> {
        let (token, session) = self.begin(server, &person)?;
        self.record(server, "login", &person, true, Some(format!("session {}", session.id)));
        let cookie = shown::keep(&token, server.lasting().longest / 1_000, self.client);
        let body = SignedIn { csrf_token: token.csrf(), person, session };
        Ok(([(header::SET_COOKIE, cookie)], Json(body)).into_response())
    }
}

const NOBODY: &str = "somebody";

fn unknown() -> String {
    "an unknown name".to_owned()
}

impl Gate {
    /// Notes that somebody was refused who must wait.
    fn refused(&self, whom: Refused, from: IpAddr) {
        if let Some(first) = self.refusals.note(whom, from, Instant::now()) {
            self.record_refusal(first);
        }
    }

    /// Records refusals that were gathered long enough; all of them, when the process ends.
    pub(super) fn record_refusals(&self, is_end: bool) {
        for refusal in self.refusals.due(Instant::now(), is_end) {
            self.record_refusal(refusal);
        }
    }

    fn record_refusal(&self, refusal: Refusal) {
        let Refusal { whom: Refused { tenant, object }, from, times } = refusal;
        let attempts = if times == 1 { "attempt" } else { "attempts" };
        let deed = Deed {
            name: NOBODY.to_owned(),
            from: from.map_or_else(|| "several addresses".to_owned(), |from| from.to_string()),
            action: "login_refused".to_owned(),
            object: if object.is_empty() { "many names".to_owned() } else { object },
            after: Some(format!("{times} {attempts} while it must wait")),
            ..Deed::default()
        };
        if let Err(error) = self.access().record(&tenant, deed) {
            tracing::error!(%error, "refused sign-ins could not be recorded in the audit");
        }
    }
}

/// Puts a deed into the audit. What was done is done; that it is not recorded the
/// operator has to know.
fn note(server: &Server, tenant: &str, deed: Deed) {
    if let Err(error) = server.gate().access().record(tenant, deed) {
        tracing::error!(%error, "a sign-in could not be recorded in the audit");
    }
}

/// Who signs in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// The name; capitals do not matter.
    name: String,
    /// The password.
    #[schema(format = Password)]
    password: String,
    /// The tenant; without it the one that owns the data directory.
    tenant: Option<String>,
}

/// How people sign in here.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LoginWays)]
struct Ways {
    /// With a name and a password, by `POST /v1/login`.
    password: bool,
    /// Where a browser goes to sign in at the provider, if there is one.
    provider: Option<&'static str>,
}

/// Say how people sign in.
#[utoipa::path(
    get,
    operation_id = "login_ways",
    path = "/v1/login",
    responses((status = 200, description = "The ways.", body = Ways))
)]
async fn ways(State(server): State<Server>) -> Json<Ways> {
    Json(Ways { password: true, provider: server.provider().map(|_| "v1/oidc/start") })
}

/// Somebody who is signed in.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SignedIn {
    /// To be sent in `X-CSRF-Token` with everything that changes something.
    pub(super) csrf_token: String,
    /// Who it is.
    pub(super) person: PersonRecord,
    /// The session that has begun.
    pub(super) session: SessionRecord,
}

/// Sign in; the session is in a cookie that scripts cannot read.
///
/// A wrong name and a wrong password are not told apart. After some failures the next
/// attempt has to wait, twice as long each time, up to six hours for a name in
/// one network, else up to a quarter of an hour.
#[utoipa::path(
    post,
    operation_id = "login",
    path = "/v1/login",
    request_body = Login,
    responses((status = 200, description = "The session.", body = SignedIn), Problems)
)]
async fn login(State(server): State<Server>, request: Request) -> Result<Response, Problem> {
    let visitor = Visitor::of(&request)?;
    let login: Login = fields(request::json(request, LOGIN_BYTES).await?)?;
    let answering = server.clone();
    server
        .passwords()
        .work(move |_| {
            let tenant = login.tenant.as_deref().unwrap_or(DEFAULT_TENANT);
            let person = prove(&answering, &visitor, tenant, &login.name, &login.password)?;
            visitor.let_in(&answering, person)
        })
        .await?
}

/// Whether a name and a password belong together. Whoever fails waits longer and
/// longer for the next attempt; each is recorded.
pub(super) fn prove(
    server: &Server,
    visitor: &Visitor,
    tenant: &str,
    name: &str,
    presented: &str,
) -> Result<PersonRecord, Problem> {
    let (access, name) = (server.gate().access(), folded(name));
    let from = Whose::Address(visitor.client.address);
    let address = visitor.client.address;
    let whose = [Whose::Here { tenant, name: &name, address }, Whose::Name { tenant, name: &name }, from];
    let locked = match access.attempt(&whose)? {
        Ok(counted) => counted.locked_until,
        Err(wait) => {
            let known = access.by_password(tenant, &name)?;
            let object = known.map_or_else(unknown, |(person, _)| format!("person {}", person.name));
            let is_there = access.table().has_tenant(tenant);
            let tenant = if is_there { tenant } else { DEFAULT_TENANT }.to_owned();
            server.gate().refused(Refused { tenant, object }, visitor.client.address);
            return Err(locked_out(wait.until));
        }
    };
    let found = access.by_password(tenant, &name)?;
    let may_come = |person: &PersonRecord| person.disabled_at.is_none() && access.table().has_tenant(tenant);
    let hash = found.as_ref().filter(|(person, _)| may_come(person)).and_then(|(_, hash)| hash.as_deref());
    // Somebody's or nobody's: it takes as long.
    let is_right = password::is_right(presented, hash);
    match found {
        Some((person, _)) if is_right => {
            access.succeeded(&person, from)?;
            Ok(person)
        }
        found => {
            let wait = locked.map(|until| format!("must wait until {}", moment::told(until)));
            let actions = ["login_failed"].into_iter().chain(wait.is_some().then_some("lock_out"));
            for action in actions {
                let after = wait.clone().filter(|_| action == "lock_out");
                match &found {
                    Some((person, _)) => visitor.record(server, action, person, false, after),
                    // What was typed may be a password in the wrong field.
                    None => {
                        let known = access.table().has_tenant(tenant);
                        let deed = Deed { object: unknown(), after, ..visitor.deed(action) };
                        note(server, if known { tenant } else { DEFAULT_TENANT }, deed);
                    }
                }
            }
            Err(Problem::new(Kind::WrongLogin, "name or password is wrong"))
        }
    }
}

fn locked_out(until: i64) -> Problem {
    let seconds = u64::try_from((until - moment::now()).max(0) / 1_000 + 1).unwrap_or(1);
    let detail = format!("too many attempts failed; the next one may be made in {seconds} s");
    Problem::new(Kind::LockedOut, detail).limited(vec![(header::RETRY_AFTER, seconds.into())])
}

/// Sign out: the session ends on every process.
#[utoipa::path(
    post,
    operation_id = "logout",
    path = "/v1/logout",
    responses((status = 204, description = "The session has ended."), Problems)
)]
async fn logout(caller: Caller, request: Request) -> Result<Response, Problem> {
    let client = Client::of(request.extensions());
    caller
        .at_desk(move |caller| {
            let identity = caller.identity();
            let (Some(id), Some(session)) = (&identity.id, &identity.session) else {
                let detail = "a key has no session; revoke it if nobody should use it any more";
                return Err(Problem::new(Kind::NotNow, detail));
            };
            caller.server().gate().access().end_sessions(id, Some(session), None)?;
            let done = Done {
                object: format!("person {}", identity.name),
                before: Some(format!("session {session}")),
                after: None,
            };
            let cookie = shown::forget(client);
            Ok(done.beside((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()))
        })
        .await
}

/// A link that works once.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinkShown)]
struct Shown {
    /// What stands behind the `#` of the link.
    token: String,
}

/// What a link is for.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LinkErrand)]
struct For {
    /// `first_admin`, who chooses a name, or `password`, which is set for `name`.
    errand: &'static str,
    /// Whose password it sets.
    name: Option<String>,
    /// The fewest characters of a password.
    shortest: usize,
}

/// Say what a one-time link is for; it stays good.
#[utoipa::path(
    post,
    operation_id = "look_at_link",
    path = "/v1/setup/look",
    request_body = Shown,
    responses((status = 200, description = "What it is for.", body = For), Problems)
)]
async fn look_at_link(State(server): State<Server>, request: Request) -> Result<Json<For>, Problem> {
    Visitor::of(&request)?;
    let Shown { token } = fields(request::json(request, LOGIN_BYTES).await?)?;
    let token = link(&token)?;
    let answering = server.clone();
    server
        .desks()
        .work(move |_| {
            let (errand, name) = match answering.gate().access().errand(&token)? {
                Errand::FirstAdmin => ("first_admin", None),
                Errand::Password(person) => ("password", Some(person.name)),
            };
            Ok(Json(For { errand, name, shortest: password::SHORTEST }))
        })
        .await?
}

/// What somebody with a link wants to be let in with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinkRedeemed)]
struct Redeemed {
    /// What stands behind the `#` of the link.
    token: String,
    /// The new password: at least 12 characters, not one that everybody takes.
    #[schema(format = Password)]
    password: String,
    /// The first admin's name; others have one already.
    name: Option<String>,
    /// What others call the first admin.
    #[serde(default)]
    display_name: String,
}

/// Use a one-time link up: sets the password, and signs in.
#[utoipa::path(
    post,
    operation_id = "redeem_link",
    path = "/v1/setup",
    request_body = Redeemed,
    responses((status = 200, description = "The session.", body = SignedIn), Problems)
)]
async fn redeem_link(State(server): State<Server>, request: Request) -> Result<Response, Problem> {
    let visitor = Visitor::of(&request)?;
    let wanted: Redeemed = fields(request::json(request, LOGIN_BYTES).await?)?;
    let token = link(&wanted.token)?;
    let answering = server.clone();
    server
        .passwords()
        .work(move |_| {
            let access = answering.gate().access();
            let (name, is_first) = match access.errand(&token)? {
                Errand::Password(person) => (person.name, false),
                Errand::FirstAdmin => {
                    let missing = || {
                        let detail = "field `name` is missing; it is what the first admin signs in with";
                        Problem::new(Kind::MissingField, detail).of_field("name")
                    };
                    (wanted.name.clone().ok_or_else(missing)?, true)
                }
            };
            let hash = chosen(&wanted.password, &name)?.hash()?;
            let person = access.redeem(&token, &name, &wanted.display_name, &hash)?;
            let action = if is_first { "create_first_admin" } else { "redeem_link" };
            visitor.record(&answering, action, &person, true, Some(format!("link {}", token.id())));
            visitor.let_in(&answering, person)
        })
        .await?
}

fn link(text: &str) -> Result<Token, Problem> {
    let spent = || Error::Absent { what: "link that still works", name: "this one".to_owned() };
    Token::parse(Opens::Link, text).ok_or_else(|| spent().into())
}

/// A password that somebody may have.
pub(super) fn chosen(text: &str, name: &str) -> Result<Password, Problem> {
    Password::chosen(text, name)
        .map_err(|weak| Problem::new(Kind::WeakPassword, weak.to_string()).of_field("password"))
}

/// The CSRF token of the session that a request comes with.
pub(super) fn csrf(headers: &HeaderMap, client: Client) -> Option<String> {
    shown::session(headers, client).map(|token| token.csrf())
}

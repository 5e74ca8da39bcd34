//! Who visits, through which page, and what is theirs?
//!
//! The preamble of everything that the panel asks. The site in the address leads to
//! a tenant and a knowledge base; the request must come from the panel itself, or
//! from a page of the site. A token (`Authorization: Bearer zv_…`) opens the one
//! conversation that hangs on it; a JSON Web Token (`Zhida-Identity`), checked with
//! every request, the one of that customer. Any other conversation is one that there
//! is not.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::{HeaderName, header, request};
use serde_json::Value;

use super::super::caller::{Caller, Unkeyed};
use super::super::error::{Kind, Problem};
use super::super::peer::{Client, text};
use super::super::tenants::Tenant;
use super::super::{DESKS_PATIENCE, Server};
use crate::access::visitor::{VERIFIED, Vouched, conversation_of, conversation_with, vouched};
use crate::access::{Identity, Opens, Role, Scope, Token, moment};
use crate::desk::web::{self, Settings};
use crate::error::Error;
use crate::store::{Channel, Conversation, Conversations};

/// Carries the token with which the site's server vouches for somebody.
pub(super) const IDENTITY: HeaderName = HeaderName::from_static("zhida-identity");

/// The field of a problem with what a browser keeps.
const TOKEN: &str = "authorization";

/// A site that there is.
pub(super) struct Site {
    pub(super) tenant: Arc<Tenant>,
    pub(super) channel: Channel,
    pub(super) settings: Settings,
}

/// A visitor who was let in.
pub(super) struct Visit {
    pub(super) caller: Caller,
    /// The knowledge base that answers on the site.
    pub(super) kb: String,
    pub(super) vouched: Option<Vouched>,
    token: Option<Token>,
    salt: String,
}

/// The site that a page names. Takes its time: a tenant may have to be opened.
pub(super) fn site(server: &Server, key: &str) -> Result<Site, Problem> {
    let none = || {
        let detail =
            "there is no site of this name; `zhida channel list` tells the line that belongs into the page";
        Problem::new(Kind::NotHere, detail).of_field("site")
    };
    let (tenant, site) = web::parts(key);
    let tenant = match tenant {
        // Whoever asks has no key: a name that they made up opens nothing.
        Some(tenant) if !server.gate().access().table().has_tenant(tenant) => return Err(none()),
        Some(tenant) => server.tenants().open(tenant).map_err(|_| none())?,
        None => Arc::clone(server.tenants().first()),
    };
    let (channel, settings) = shown_on(tenant.desk().talk(), site)?.ok_or_else(none)?;
    Ok(Site { tenant, channel, settings })
}

/// The channel of a site, with its settings.
pub(in crate::server) fn shown_on(
    talk: &Conversations,
    site: &str,
) -> crate::error::Result<Option<(Channel, Settings)>> {
    for channel in talk.channels()?.into_iter().filter(|one| one.kind == web::KIND) {
        let settings: Value = serde_json::from_str(&channel.settings).unwrap_or_default();
        match Settings::of(&settings) {
            Ok(settings) if settings.site == site => return Ok(Some((channel, settings))),
            Ok(_) => {}
            Err(fault) => tracing::warn!(channel = channel.id, fault, "a site cannot be read"),
        }
    }
    Ok(None)
}

/// The same from where others must not wait.
pub(super) async fn site_of(server: &Server, key: String) -> Result<Site, Problem> {
    let finding = server.clone();
    let found = server.desks().work(move |_| site(&finding, &key));
    tokio::time::timeout(DESKS_PATIENCE, found)
        .await
        .map_err(|_| Problem::new(Kind::DeadlineExceeded, "the site could not be looked up in time"))??
}

/// Refuses requests of pages that are neither ours nor the site's.
fn from_page(request: &request::Parts, site: &Settings) -> Result<(), Problem> {
    let origin = text(&request.headers, &header::ORIGIN).unwrap_or_default();
    let is_known = site.origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
    if Client::of(&request.extensions).is_own_page || is_known {
        return Ok(());
    }
    let detail = format!(
        "pages of {origin} may not show this widget; `zhida channel add --origin` names those that may"
    );
    Err(Problem::new(Kind::ForeignOrigin, detail))
}

impl FromRequestParts<Server> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, server: &Server) -> Result<Self, Problem> {
        let named = RawPathParams::from_request_parts(parts, server)
            .await
            .map_err(|e| Problem::new(Kind::BrokenAddress, e.to_string()))?;
        let key = named.iter().find(|(name, _)| *name == "site").map(|(_, key)| key.to_owned());
        let from = Client::of(&parts.extensions).address;
        let entered = async {
            let site = site_of(server, key.unwrap_or_default()).await?;
            Self::enter(site, parts, server)
        };
        match entered.await {
            Err(problem) if matches!(problem.kind(), Kind::NotHere | Kind::Unauthorized) => {
                server.gate().slow_down(from).await;
                Err(problem)
            }
            entered => entered,
        }
    }
}

impl Visit {
    fn enter(site: Site, parts: &request::Parts, server: &Server) -> Result<Self, Problem> {
        let Site { tenant, channel, settings } = site;
        from_page(parts, &settings)?;
        let from = Client::of(&parts.extensions).address;
        server.crowd().take_from(&settings.site, from, settings.per_address)?;
        let presented = text(&parts.headers, &header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let token = presented.and_then(|token| Token::parse(Opens::Visitor, token));
        let vouched = match text(&parts.headers, &IDENTITY) {
            None => None,
            Some(jwt) => {
                let proved = vouched(jwt, &settings.secret, &settings.site, &channel.kb, moment::now());
                let unproved = |e: crate::access::visitor::Unproved| {
                    Problem::new(Kind::Unauthorized, e.to_string()).of_field(IDENTITY.as_str())
                };
                Some(proved.map_err(unproved)?)
            }
        };
        let identity = Identity {
            tenant: tenant.name().to_owned(),
            // What the site asks counts as if it had a key; no key has a colon.
            id: Some(format!("site:{}", channel.id)),
            name: format!("site {}", channel.id),
            role: Role::Ask,
            scope: Scope::Named(vec![channel.kb.clone()]),
            session: None,
            is_public: true,
        };
        let visit = Self {
            caller: Unkeyed::of(server, parts).call_as(tenant, identity),
            kb: channel.kb,
            vouched,
            token,
            salt: settings.salt,
        };
        if let Some(visitor) = visit.own().first() {
            server.crowd().take_of(visitor, settings.per_visitor)?;
        }
        server.gate().take_of_tenant(visit.caller.identity())?;
        Ok(visit)
    }

    /// The token, or a new one.
    pub(super) fn token(&mut self) -> Result<Token, Problem> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        self.renew()
    }

    /// A new token in the place of the one that there is.
    pub(super) fn renew(&mut self) -> Result<Token, Problem> {
        let token = Token::generate(Opens::Visitor)?;
        self.token = Some(token.clone());
        Ok(token)
    }

    /// The conversation of the browser.
    pub(super) fn anonymous(&self) -> Option<String> {
        self.token.as_ref().map(|token| conversation_of(token, &self.salt))
    }

    /// The conversation of the customer whom the site vouches for.
    pub(super) fn identified(&self) -> Option<String> {
        self.vouched.as_ref().map(|vouched| conversation_with(&vouched.subject, &self.salt))
    }

    /// The conversations that are theirs, by their names.
    fn own(&self) -> Vec<String> {
        self.identified().into_iter().chain(self.anonymous()).collect()
    }

    /// Whether somebody else was vouched for in a conversation: from then on it is
    /// theirs, whoever has the browser.
    pub(super) fn is_of_another(&self, known: &Conversation) -> bool {
        let of = subject(known);
        of.is_some() && of != self.vouched.as_ref().map(|vouched| vouched.subject.clone())
    }

    /// A conversation of theirs that may not have begun. Takes its time.
    ///
    /// # Errors
    /// When it is not theirs; nobody hears whether there is one.
    pub(super) fn known(&self, id: &str) -> Result<Option<Conversation>, Problem> {
        if self.own().is_empty() {
            let detail =
                "send the `visitor` that the conversation was opened with: `Authorization: Bearer zv_…`";
            return Err(Problem::new(Kind::Unauthorized, detail).of_field(TOKEN));
        }
        if !self.own().iter().any(|own| own == id) {
            return Err(Error::Absent { what: "conversation", name: id.chars().take(200).collect() }.into());
        }
        let known = self.caller.desk().talk().find(&self.kb, id)?;
        if known.as_ref().is_some_and(|known| self.is_of_another(known)) {
            let detail = "this conversation is of a customer who has signed in; the page must say who it is: zhida('identify', …)";
            return Err(Problem::new(Kind::Unauthorized, detail).of_field(IDENTITY.as_str()));
        }
        Ok(known)
    }

    /// The same of one that has begun.
    pub(super) fn found(&self, id: &str) -> Result<Conversation, Problem> {
        let none = || Error::Absent { what: "conversation", name: id.chars().take(200).collect() };
        self.known(id)?.ok_or_else(|| none().into())
    }

    /// The same, looked up where others must not wait for it, with who goes on.
    pub(super) async fn conversation(self, id: String) -> Result<(Caller, Conversation), Problem> {
        let caller = self.caller.clone();
        let known = caller.clone().at_desk(move |_| self.found(&id)).await?;
        Ok((caller, known))
    }
}

/// The customer whom the site has vouched for in a conversation.
fn subject(known: &Conversation) -> Option<String> {
    let customer: Value = serde_json::from_str(known.customer.as_deref()?).ok()?;
    let is_proved = customer.get(VERIFIED) == Some(&Value::Bool(true));
    customer.get("id").and_then(Value::as_str).filter(|_| is_proved).map(str::to_owned)
}

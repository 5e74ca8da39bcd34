//! What does the sign-in provider say of somebody?
//!
//! OpenID Connect: the authorization code flow with PKCE, a state and a nonce. The
//! crate `openidconnect` checks signature, issuer, audience, time and nonce; here is
//! what is particular to us: how the provider is reached, which claim is the name,
//! and which values of which claim mean which role.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use serde_json::Value;

use super::error::{Kind, Problem};
use crate::access::{DEFAULT_TENANT, Role};
use crate::error::{Error, Result};

/// How long what the provider says of itself is believed.
const BELIEVED: Duration = Duration::from_secs(600);
/// How long the provider has for a reply.
const PATIENCE: Duration = Duration::from_secs(8);
/// Of a reply no more is read, in bytes.
const REPLY: u64 = 1024 * 1024;

/// Where people sign in, and what that means here.
#[derive(Clone)]
pub struct ProviderSettings {
    /// The provider's address, as it calls itself: `https://login.example`.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// What proves it; a public client has none.
    pub client_secret: Option<String>,
    /// Our own address, as browsers see it: `https://faq.example`.
    pub public_url: String,
    /// What is asked for beside `openid`, `profile` and `email`.
    pub scopes: Vec<String>,
    /// The claim that is somebody's name here.
    pub name_claim: String,
    /// The claim whose values say what somebody is for; a path with dots may lead to it.
    pub role_claim: String,
    /// The claim that names somebody's tenant, a path with dots; without it everybody
    /// belongs to the tenant that owns the data directory.
    pub tenant_claim: Option<String>,
    /// Which value means which role; without any, only people who are known may come.
    pub roles: Vec<(Role, String)>,
}

/// Without the secret.
impl std::fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The provider, as far as it was asked.
pub(super) struct Provider {
    settings: ProviderSettings,
    agent: ureq::Agent,
    known: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}

/// Somebody on the way there.
pub(super) struct Leaving {
    /// Where the browser goes.
    pub(super) address: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

/// Whom the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vouched {
    /// Who it is there: issuer and subject, which never become somebody else's.
    pub(super) subject: String,
    /// What they are called.
    pub(super) name: Option<String>,
    /// What others call them.
    pub(super) display_name: Option<String>,
    /// Whose people they belong to; `None` when the claim that says so is missing.
    pub(super) tenant: Option<String>,
    /// What they are for, when a value of the claim says so.
    pub(super) role: Option<Role>,
}

impl ProviderSettings {
    /// Checks what can be checked before anybody comes.
    ///
    /// # Errors
    /// When an address is none, or not encrypted.
    pub fn checked(self) -> Result<Self> {
        for (flag, url) in [("--oidc-issuer", &self.issuer), ("--public-url", &self.public_url)] {
            let wrong = |why: &str| {
                let example = "such as https://login.example; plain http only on this machine";
                Error::Refused(format!("{flag}: {url:?} {why}; give the address {example}"))
            };
            let parsed: axum::http::Uri = url.parse().map_err(|_| wrong("is no address"))?;
            let host = parsed.host().ok_or_else(|| wrong("has no host"))?;
            let is_here = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
            match parsed.scheme_str() {
                Some("https") => {}
                Some("http") if is_here => {}
                _ => return Err(wrong("is not encrypted")),
            }
        }
        Ok(self)
    }

    fn redirect(&self) -> String {
        format!("{}/v1/oidc/callback", self.public_url.trim_end_matches('/'))
    }
}

impl Provider {
    /// Where it is.
    pub(super) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    pub(super) fn new(settings: ProviderSettings) -> Self {
        let config = ureq::Agent::config_builder()
            // Redirects could lead anywhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("zhida/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { settings, agent: config.into(), known: Mutex::default() }
    }

    /// Sends a request of the crate over our one HTTP client.
    fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, ureq::Error> {
        let mut response = self.agent.run(request)?;
        let mut told = HttpResponse::new(response.body_mut().with_config().limit(REPLY).read_to_vec()?);
        *told.status_mut() = response.status();
        *told.headers_mut() = response.headers().clone();
        Ok(told)
    }

    /// What the provider says of itself, asked for now or a while ago.
    fn metadata(&self, afresh: bool) -> std::result::Result<CoreProviderMetadata, Problem> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, metadata)) = &*known
            && !afresh
            && asked.elapsed() < BELIEVED
        {
            return Ok(metadata.clone());
        }
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|e| unreachable(&e))?;
        let metadata = CoreProviderMetadata::discover(&issuer, &|request: HttpRequest| self.call(request))
            .map_err(|e| unreachable(&e))?;
        *known = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    /// Sends somebody there.
    pub(super) fn leave(&self) -> std::result::Result<Leaving, Problem> {
        let client = self.client(self.metadata(false)?)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        for scope in ["profile", "email"].into_iter().chain(self.settings.scopes.iter().map(String::as_str)) {
            request = request.add_scope(Scope::new(scope.to_owned()));
        }
        let (address, state, nonce) = request.url();
        Ok(Leaving {
            address: address.to_string(),
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        })
    }

    /// Who it is that comes back with a code.
    pub(super) fn vouched(
        &self,
        code: &str,
        nonce: &str,
        verifier: &str,
    ) -> std::result::Result<Vouched, Problem> {
        let metadata = self.metadata(false)?;
        let client = self.client(metadata)?;
        let response = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|e| unreachable(&e))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .request(&|request: HttpRequest| self.call(request))
            .map_err(|e| refused(&e))?;
        let token = response.id_token().ok_or_else(|| refused(&"there is no ID token in the reply"))?;
        let nonce = Nonce::new(nonce.to_owned());
        let seen = token.claims(&client.id_token_verifier(), &nonce);
        let subject = match seen {
            Ok(claims) => claims.subject().to_string(),
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                // The provider may have new keys since it was asked.
                let client = self.client(self.metadata(true)?)?;
                let claims = token.claims(&client.id_token_verifier(), &nonce).map_err(|e| refused(&e))?;
                claims.subject().to_string()
            }
            Err(error) => return Err(refused(&error)),
        };
        // What was just verified, with the claims that only this provider has.
        let whole = token.to_string();
        let claims = payload(&whole).ok_or_else(|| refused(&"the ID token cannot be read"))?;
        Ok(self.settings.read(&subject, &claims))
    }

    fn client(&self, metadata: CoreProviderMetadata) -> std::result::Result<Client, Problem> {
        let id = ClientId::new(self.settings.client_id.clone());
        let secret = self.settings.client_secret.clone().map(ClientSecret::new);
        let redirect = RedirectUrl::new(self.settings.redirect()).map_err(|e| unreachable(&e))?;
        Ok(CoreClient::from_provider_metadata(metadata, id, secret).set_redirect_uri(redirect))
    }
}

/// A client of a provider that says where people and codes go.
type Client = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointMaybeSet,
    openidconnect::EndpointMaybeSet,
>;

impl ProviderSettings {
    /// What claims mean here.
    fn read(&self, subject: &str, claims: &Value) -> Vouched {
        let text = |name: &str| at(claims, name).and_then(Value::as_str).map(str::to_owned);
        let is_verified = claims.get("email_verified").and_then(Value::as_bool) == Some(true);
        // An address that nobody has verified may be anybody's.
        let name = text(&self.name_claim).filter(|_| self.name_claim != "email" || is_verified);
        let has = |wanted: &str| match at(claims, &self.role_claim) {
            Some(Value::String(one)) => one == wanted,
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(wanted)),
            _ => false,
        };
        Vouched {
            subject: format!("{} {subject}", self.issuer),
            name,
            display_name: text("name"),
            tenant: match &self.tenant_claim {
                Some(claim) => text(claim),
                None => Some(DEFAULT_TENANT.to_owned()),
            },
            role: self.roles.iter().filter(|(_, value)| has(value)).map(|(role, _)| *role).max(),
        }
    }
}

/// A claim, or one inside of another: `realm_access.roles`. A claim whose name has
/// dots itself comes first.
fn at<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| path.split('.').try_fold(claims, |claims, part| claims.get(part)))
}

fn payload(token: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// What the operator has to look at: the log says why, and the browser that it is not theirs to mend.
fn unreachable(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "the sign-in provider cannot be used");
    Problem::new(Kind::NotSignedIn, "the sign-in provider cannot be reached now; the server's log says why")
}

/// What does not prove who it is.
fn refused(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "the sign-in provider did not vouch for somebody");
    Problem::new(Kind::NotSignedIn, "what the sign-in provider said does not prove who it is; begin again")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings() -> ProviderSettings {
        ProviderSettings {
            issuer: "https://login.example".to_owned(),
            client_id: "zhida".to_owned(),
            client_secret: None,
            public_url: "https://faq.example/".to_owned(),
            scopes: Vec::new(),
            name_claim: "preferred_username".to_owned(),
            role_claim: "realm_access.roles".to_owned(),
            tenant_claim: None,
            roles: vec![(Role::Agent, "kefu".to_owned()), (Role::Author, "faq".to_owned())],
        }
    }

    #[test]
    fn claims_say_who_it_is_and_what_they_are_for() {
        let claims = json!({
            "preferred_username": "anna", "name": "安娜", "email": "a@b.example",
            "realm_access": {"roles": ["faq", "kefu", "other"]},
        });
        let vouched = settings().read("42", &claims);
        let expected = Vouched {
            subject: "https://login.example 42".to_owned(),
            name: Some("anna".to_owned()),
            display_name: Some("安娜".to_owned()),
            tenant: Some(DEFAULT_TENANT.to_owned()),
            role: Some(Role::Author),
        };
        assert_eq!(vouched, expected, "the greatest of several");
        let by_mail = ProviderSettings { name_claim: "email".to_owned(), ..settings() };
        assert_eq!(by_mail.read("42", &claims).name, None, "nobody has verified it");
        let one = json!({"realm_access.roles": "kefu"});
        assert_eq!(settings().read("42", &one).role, Some(Role::Agent));
        assert_eq!(settings().read("42", &json!({})).role, None);
        let of_tenants = ProviderSettings { tenant_claim: Some("shop".to_owned()), ..settings() };
        assert_eq!(of_tenants.read("42", &json!({"shop": "acme"})).tenant.as_deref(), Some("acme"));
        assert_eq!(of_tenants.read("42", &claims).tenant, None, "nobody's, not the first tenant's");
    }

    #[test]
    fn addresses_are_encrypted() {
        assert_eq!(settings().redirect(), "https://faq.example/v1/oidc/callback");
        assert!(settings().checked().is_ok());
        for issuer in ["http://login.example", "login.example", "", "ftp://login.example"] {
            assert!(
                ProviderSettings { issuer: issuer.to_owned(), ..settings() }.checked().is_err(),
                "{issuer}"
            );
        }
        let here = ProviderSettings { issuer: "http://127.0.0.1:4711".to_owned(), ..settings() };
        assert!(here.checked().is_ok());
    }
}

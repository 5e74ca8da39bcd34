//! How does a browser go to the sign-in provider, and who is it when it comes back?
//!
//! Each departure is noted in the database, so that any process may receive the
//! return, once, and only from the browser that left: that one keeps a cookie.

use std::num::NonZeroU32;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa_axum::routes;

use super::Server;
use super::address::{Query, is_ours};
use super::error::{Kind, Problem, Problems};
use super::peer::{Client, text};
use super::provider::{Provider, Vouched};
use super::routes::Routes;
use super::shown;
use super::sign_in::Visitor;
use crate::access::{Right, key};
use crate::store::{Departure, NewPerson, PersonChange, PersonRecord, SignIn, folded};

/// What the browser keeps until it comes back.
const COOKIE: &str = "zhida_oidc";
/// Where it sends that.
const PLACE: &str = "/v1/oidc";
/// How long somebody may stay away, in seconds.
const AWAY: i64 = 600;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Public, routes!(start)).may(Right::Public, routes!(callback))
}

/// Where the browser goes in the end.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Back {
    /// A path of this server; without it `/`.
    back: Option<String>,
}

/// The longest path that somebody comes back to, in bytes.
const BACK: usize = 1024;

/// So many may leave for the provider from one network in a second.
const DEPARTURES: NonZeroU32 = NonZeroU32::new(50).expect("more than none");

/// Go to the sign-in provider.
#[utoipa::path(
    get,
    operation_id = "oidc_start",
    path = "/v1/oidc/start",
    params(Back),
    responses((status = 303, description = "To the provider."), Problems)
)]
async fn start(
    State(server): State<Server>,
    Query(Back { back }): Query<Back>,
    request: Request,
) -> Result<Response, Problem> {
    let client = Client::of(request.extensions());
    let back = back.unwrap_or_else(|| "/".to_owned());
    // Somewhere else would be a way to send people anywhere.
    if !is_ours(&back) || back.len() > BACK {
        let detail = format!("`back` is a path of this server, such as /, of at most {BACK} bytes");
        return Err(Problem::new(Kind::InvalidField, detail).of_field("back"));
    }
    let provider = provider(&server)?;
    // Each is kept until it comes back.
    server.crowd().take_from("oidc", client.address, DEPARTURES)?;
    let answering = server.clone();
    server
        .providers()
        .work(move |_| {
            let leaving = provider.leave()?;
            let browser = key::random(32)?;
            let departure = Departure { nonce: leaving.nonce, verifier: leaving.verifier, back };
            answering.gate().access().depart(&leaving.state, &browser, &departure, AWAY * 1_000)?;
            let cookie = shown::set(COOKIE, &browser, AWAY, PLACE, client);
            to(&leaving.address, cookie)
        })
        .await?
}

/// What the provider sends the browser back with.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Return {
    /// What we sent the browser there with.
    state: Option<String>,
    /// What the provider gives for an ID token.
    code: Option<String>,
    /// Why it does not.
    error: Option<String>,
}

/// Come back from the sign-in provider: begins a session.
#[utoipa::path(
    get,
    operation_id = "oidc_callback",
    path = "/v1/oidc/callback",
    params(Return),
    responses((status = 303, description = "To where the browser wanted to go, with a session."), Problems)
)]
async fn callback(
    State(server): State<Server>,
    Query(Return { state, code, error }): Query<Return>,
    request: Request,
) -> Result<Response, Problem> {
    let visitor = Visitor::of_return(&request);
    let browser = shown::cookie(request.headers(), COOKIE).unwrap_or_default().to_owned();
    let wants_page = text(request.headers(), &header::ACCEPT).is_some_and(|kind| kind.contains("text/html"));
    let provider = provider(&server)?;
    let answering = server.clone();
    let arrived = server
        .providers()
        .work(move |_| {
            let lost = || Problem::new(Kind::NotSignedIn, "this sign-in did not begin in this browser, took too long, or was used already; begin again");
            let departure = answering
                .gate()
                .access()
                .arrive(state.as_deref().unwrap_or_default(), &browser)?
                .ok_or_else(lost)?;
            let Some(code) = code else {
                // The provider's words may be long, and are not ours.
                let error: String = error.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
                let detail = format!("the sign-in provider refused: {error}");
                return Err(Problem::new(Kind::NotSignedIn, detail));
            };
            let vouched = provider.vouched(&code, &departure.nonce, &departure.verifier)?;
            let person = known(&answering, &visitor, &vouched)?;
            let mut response = visitor.let_in(&answering, person)?;
            // The body is for programs; a browser goes on.
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, place(&departure.back)?);
            let client = visitor.client;
            response.headers_mut().append(header::SET_COOKIE, shown::set(COOKIE, "", 0, PLACE, client));
            Ok(response)
        })
        .await
        .and_then(|outcome| outcome);
    match arrived {
        Err(problem) if wants_page => {
            let place = place(&format!("/login#{}", problem.kind().slug()))?;
            let mut response = problem.into_response();
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, place);
            Ok(response)
        }
        other => other,
    }
}

/// The person whom the provider vouches for: one who came from there before, one
/// whom an admin expects from there, or one whom the mapping lets in.
fn known(server: &Server, visitor: &Visitor, vouched: &Vouched) -> Result<PersonRecord, Problem> {
    let access = server.gate().access();
    let refused = |person: Option<&PersonRecord>, detail: &str| {
        visitor.refused(server, person);
        Err(Problem::new(Kind::NotSignedIn, detail))
    };
    let Some(tenant) = vouched.tenant.as_deref().filter(|name| access.table().has_tenant(name)) else {
        return refused(
            None,
            "the provider does not say which tenant of this server you belong to; ask an admin",
        );
    };
    if let Some(person) = access.by_subject(tenant, &vouched.subject)? {
        if person.disabled_at.is_some() {
            return refused(Some(&person), "this person may not come in; ask an admin");
        }
        return match (person.sign_in, vouched.role) {
            // The provider says what they are for now.
            (SignIn::Mapped, Some(role)) if role != person.role => {
                let change = PersonChange { role: Some(role), ..PersonChange::default() };
                let (_, after) = access.change_person(tenant, &person.id, &change)?;
                visitor.record(server, "change_person", &after, true, Some(super::people::state(&after)));
                Ok(after)
            }
            (SignIn::Mapped, None) => {
                refused(Some(&person), "the provider does not say any more what you are for; ask an admin")
            }
            _ => Ok(person),
        };
    }
    let Some(name) = vouched.name.as_deref().map(folded) else {
        return refused(None, "the provider does not say who you are here; ask an admin");
    };
    match access.by_password(tenant, &name)? {
        // Whoever signs in otherwise is not taken over by a name that somebody has elsewhere.
        Some((person, _)) => {
            let has_come = access.subject_of(&person.id)?.is_some();
            if person.sign_in != SignIn::Provider || has_come || person.disabled_at.is_some() {
                return refused(Some(&person), "nobody here expects you from the provider; ask an admin");
            }
            access.bind_subject(&person.id, &vouched.subject)?;
            Ok(person)
        }
        None => {
            let Some(role) = vouched.role else {
                return refused(None, "nobody here expects you from the provider; ask an admin");
            };
            let person = access.create_person(NewPerson {
                tenant: tenant.to_owned(),
                name,
                display_name: vouched.display_name.clone().unwrap_or_default(),
                role,
                kbs: None,
                sign_in: SignIn::Mapped,
                password: None,
                subject: Some(vouched.subject.clone()),
            })?;
            visitor.record(server, "create_person", &person, true, Some(super::people::state(&person)));
            Ok(person)
        }
    }
}

fn provider(server: &Server) -> Result<std::sync::Arc<Provider>, Problem> {
    let none = || Problem::new(Kind::NotHere, "this server knows no sign-in provider (`--oidc-issuer`)");
    server.provider().cloned().ok_or_else(none)
}

fn to(address: &str, cookie: HeaderValue) -> Result<Response, Problem> {
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, place(address)?), (header::SET_COOKIE, cookie)])
        .into_response())
}

fn place(address: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(address).map_err(|_| {
        Problem::new(Kind::NotSignedIn, "the sign-in provider's address cannot stand in a header")
    })
}

//! What was changed, and by whom?
//!
//! The one place where requests get into the audit: [`super::routes`] begins a
//! [`Change`] before the handler of every route that is more than asking, and
//! ends it behind it. What succeeded is recorded: who, from where, what, with
//! the state of the knowledge base before and after; never what a text says,
//! for the history of the knowledge base has that.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use percent_encoding::percent_decode_str;

use super::caller::Caller;
use super::error::{Kind, Problem};
use super::outer::RequestId;
use super::peer::Client;
use super::routes::Route;
use crate::access::Right;
use crate::access::chain::Deed;
use crate::error::Error;

/// Operations that are sent as if they changed something, and only look, or say
/// that somebody is still there.
const LOOKING: [&str; 12] = [
    "check_kb",
    "test_channel",
    "read_tokens",
    "renew_handoff",
    "set_presence",
    "test_rules",
    "test_service",
    "find_holders",
    "try_question",
    "preview_publication",
    "put_up_file",
    "try_rules",
];

/// Operations that only say what would come of them where `dry_run=true` stands in their address.
const TRIED: [&str; 2] = ["import_kb", "patch_service"];

/// What a handler says of its change, if the address does not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    /// What was changed, such as `key 3fK9dQ0a`.
    pub(super) object: String,
    /// What it was before.
    pub(super) before: Option<String>,
    /// What it is now.
    pub(super) after: Option<String>,
}

impl Done {
    /// Puts it beside a response.
    pub(super) fn beside(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// A change that is being made.
pub(super) struct Change(Option<Begun>);

struct Begun {
    caller: Caller,
    kb: Option<String>,
    before: Option<String>,
    from: IpAddr,
    request: Option<String>,
    action: String,
    object: String,
}

impl Change {
    /// Looks at what there is, and whether the tenant may have more.
    ///
    /// # Errors
    /// When it may not.
    pub(super) async fn begin(route: &Route, caller: &Caller, request: &Parts) -> Result<Self, Problem> {
        let operation = route.operation(&request.method);
        let is_trial = TRIED.contains(&operation)
            && request.uri.query().is_some_and(|query| query.split('&').any(|part| part == "dry_run=true"));
        if LOOKING.contains(&operation) || is_trial {
            return Ok(Self(None));
        }
        // Whoever keeps to their own things takes no room.
        if route.right != Right::Own {
            limit(caller, &request.method)?;
        }
        let path = percent_decode_str(request.uri.path()).decode_utf8_lossy().into_owned();
        let kb = part(&route.path, request.uri.path(), "{kb}");
        let mut begun = Begun {
            caller: caller.clone(),
            before: None,
            from: Client::of(&request.extensions).address,
            request: request.extensions.get::<RequestId>().map(|id| id.0.clone()),
            action: operation.to_owned(),
            object: path,
            kb,
        };
        begun.before = begun.state().await;
        Ok(Self(Some(begun)))
    }

    /// What came of it.
    pub(super) fn done(self, response: &Response) -> Ended {
        let Self(Some(begun)) = self else { return Ended(None) };
        if !response.status().is_success() {
            return Ended(None);
        }
        // A job has begun; it records itself what comes of it ([`Caller::tells`]).
        let place = response.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
        let job = place.filter(|_| response.status() == StatusCode::ACCEPTED).map(str::to_owned);
        Ended(Some((begun, response.extensions().get::<Done>().cloned(), job)))
    }
}

impl Caller {
    /// What records the outcome of something that goes on after the reply.
    pub(super) fn tells(
        &self,
        action: &'static str,
        object: String,
    ) -> impl FnOnce(String) + Send + 'static + use<> {
        let caller = self.clone();
        move |outcome| {
            let deed = Deed {
                who: caller.identity().id.clone(),
                name: caller.signature().author.clone(),
                from: caller.from().to_string(),
                request: caller.request().map(str::to_owned),
                action: action.to_owned(),
                object,
                after: Some(outcome),
                reason: caller.signature().reason.clone(),
                ..Deed::default()
            };
            let tenant = &caller.identity().tenant;
            if let Err(error) = caller.server().gate().access().record(tenant, deed) {
                tracing::error!(%error, "what came of a job could not be recorded in the audit");
            }
        }
    }
}

/// A change that was made.
pub(super) struct Ended(Option<(Begun, Option<Done>, Option<String>)>);

impl Ended {
    /// Records it.
    pub(super) async fn record(self) {
        let Self(Some((begun, done, job))) = self else { return };
        let after = match job {
            Some(job) => Some(job),
            None => begun.state().await,
        };
        let deed = Deed {
            who: begun.caller.identity().id.clone(),
            name: begun.caller.signature().author.clone(),
            from: begun.from.to_string(),
            request: begun.request,
            action: begun.action,
            object: done.as_ref().map_or(begun.object, |done| done.object.clone()),
            before: done.as_ref().map_or(begun.before, |done| done.before.clone()),
            after: done.map_or(after, |done| done.after),
            reason: begun.caller.signature().reason.clone(),
        };
        let caller = begun.caller;
        let recorded = tokio::task::spawn_blocking(move || {
            let tenant = &caller.identity().tenant;
            caller.server().gate().access().record(tenant, deed)
        });
        let failed = match recorded.await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error,
            Err(error) => Error::internal("audit", error),
        };
        tracing::error!(error = %failed, "a change was made and could not be recorded in the audit");
    }
}

impl Begun {
    /// The state of the knowledge base that the address names.
    async fn state(&self) -> Option<String> {
        let kb = self.kb.clone()?;
        let caller = self.caller.clone();
        tokio::task::spawn_blocking(move || caller.store().shelf_to_create(&kb).ok()?.state().ok()?)
            .await
            .ok()?
    }
}

/// Refuses more to a tenant that has all that it may have, and tells the store
/// how many entries that is.
pub(super) fn limit(caller: &Caller, method: &Method) -> Result<(), Problem> {
    let limits = caller.server().gate().access().table().limits(&caller.identity().tenant);
    caller.store().limit_entries(limits.entries);
    match limits.storage {
        Some(most) if *method != Method::DELETE && caller.tenant().room() >= most => {
            let detail = format!(
                "the tenant may have {most} bytes and has {}; remove old releases (`POST …/gc`) or knowledge bases, or ask the operator for more",
                caller.tenant().room()
            );
            Err(Problem::new(Kind::OverQuota, detail))
        }
        _ => Ok(()),
    }
}

/// A part of a path, decoded: what stands where its description has a name.
fn part(description: &str, path: &str, name: &str) -> Option<String> {
    let at = description.split('/').position(|part| part == name)?;
    let text = path.split('/').nth(at)?;
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_knowledge_base_is_read_from_the_address() {
        let kb = |path| part("/v1/kbs/{kb}/entries/{id}", path, "{kb}");
        assert_eq!(kb("/v1/kbs/%E5%95%86%E5%9F%8E/entries/a%2Fb").as_deref(), Some("商城"));
        assert_eq!(kb("/v1/kbs/%ff/entries/a"), None);
        assert_eq!(part("/v1/keys", "/v1/keys", "{kb}"), None);
    }
}

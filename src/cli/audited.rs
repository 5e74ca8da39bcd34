//! How does what a command changed get into the audit?
//!
//! The counterpart of the server's `changes`. Every command says what it is to the
//! audit ([`Deed`]): [`begin`] looks before one that may change something,
//! [`Begun::end`] behind it, and what was done is recorded. Commands whose outcome
//! says more than that record it themselves, with [`record`].

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

use super::kb::Signed;
use crate::access::DEFAULT_TENANT;
use crate::access::chain::Deed as Recorded;
use crate::cli::ground;
use crate::error::Result;
use crate::store::{Access, Signature, Store};

/// What a command is to the audit.
pub(crate) enum Deed<'a> {
    /// It looks, and changes nothing that is kept for others.
    Looks,
    /// It may change this.
    Changes(Subject<'a>),
    /// It records itself what it did.
    Tells,
}

/// What a command may change, and who says so.
pub(crate) struct Subject<'a> {
    /// The data directory.
    data: Cow<'a, Path>,
    /// The knowledge base whose state shows what was changed.
    kb: Option<&'a str>,
    /// What is changed, as the audit names it.
    object: String,
    /// What is done, as the API calls it.
    action: &'static str,
    /// Who and why, where the command takes that.
    signed: Option<&'a Signed>,
    /// What a success means that the state of the knowledge base does not show.
    done: Option<String>,
}

impl<'a> Subject<'a> {
    /// A knowledge base, whose state shows what was changed.
    pub(crate) fn kb(data: &'a Path, kb: &'a str, action: &'static str, signed: Option<&'a Signed>) -> Self {
        let data = Cow::Borrowed(data);
        Self { data, kb: Some(kb), object: format!("/v1/kbs/{kb}"), action, signed, done: None }
    }

    /// Something else; its success is the change.
    pub(crate) fn other(
        data: impl Into<Cow<'a, Path>>,
        object: impl Into<String>,
        action: &'static str,
        done: &str,
    ) -> Self {
        let data = data.into();
        let (object, done) = (object.into(), Some(done.to_owned()));
        Self { data, kb: None, object, action, signed: None, done }
    }

    /// The same; a success is a change even when the state stays.
    pub(crate) fn done(self, done: impl Into<String>) -> Self {
        Self { done: Some(done.into()), ..self }
    }
}

impl<'a> From<Subject<'a>> for Deed<'a> {
    fn from(subject: Subject<'a>) -> Self {
        Self::Changes(subject)
    }
}

/// A command that may change something.
pub(crate) struct Begun {
    store: Store,
    kb: Option<String>,
    object: String,
    action: &'static str,
    signature: Signature,
    before: Option<String>,
    done: Option<String>,
}

/// Looks at what a command may change.
pub(crate) fn begin(deed: Deed<'_>) -> Option<Begun> {
    let Deed::Changes(Subject { data, kb, object, action, signed, done }) = deed else { return None };
    let store = ground::store(&data);
    let state = |kb: &str| store.shelf_to_create(kb).ok()?.state().ok()?;
    // Whatever is wrong here the command itself will say.
    let before = kb.and_then(state);
    let signature = signed.map_or_else(|| Signed::nobody().signature(), Signed::signature).ok()?;
    Some(Begun { store, kb: kb.map(str::to_owned), object, action, signature, before, done })
}

impl Begun {
    /// Records what has changed. A knowledge base tells that by its state, whether
    /// the command ended well or not; else what counts is that it did.
    pub(crate) fn end(self, outcome: &Result<ExitCode>) {
        let state = |kb: &String| self.store.shelf_to_create(kb).ok()?.state().ok()?;
        let (mut before, mut after) = (self.before.clone(), self.kb.as_ref().and_then(state));
        if after == before {
            let ended_well = outcome.as_ref().is_ok_and(|status| *status == ExitCode::SUCCESS);
            let Some(done) = self.done.filter(|_| ended_well) else { return };
            (before, after) = (None, Some(done));
        }
        let deed = Recorded {
            name: self.signature.author,
            from: "cli".to_owned(),
            action: self.action.to_owned(),
            object: self.object,
            before,
            after,
            reason: self.signature.reason,
            ..Recorded::default()
        };
        let (access, tenant) = door(&self.store);
        if let Err(error) = access.record(&tenant, deed) {
            eprintln!(
                "{}",
                either!(
                    "zhida: it is done, and could not be recorded in the audit: {error}",
                    "zhida：已完成，但未能写入审计记录：{error}"
                )
            );
        }
    }
}

/// Where what happens in a data directory is recorded: a tenant's in the one of the
/// directory that it lies in, where the server records it too.
fn door(store: &Store) -> (Access, String) {
    let of_tenant = || {
        let place = store.root().canonicalize().ok()?;
        let (name, tenants) = (place.file_name()?.to_str()?, place.parent()?);
        let root = tenants.parent().filter(|_| tenants.file_name().is_some_and(|name| name == "tenants"))?;
        let access = ground::store(root).access();
        let is_one = access.tenants().ok()?.iter().any(|tenant| tenant.name == name);
        is_one.then(|| (access, name.to_owned()))
    };
    of_tenant().unwrap_or_else(|| (store.access(), DEFAULT_TENANT.to_owned()))
}

/// The tenant that a data directory belongs to; `None` for the first one.
pub(crate) fn tenant_of(store: &Store) -> Option<String> {
    let (_, tenant) = door(store);
    Some(tenant).filter(|tenant| tenant != DEFAULT_TENANT)
}

/// Records what a command did in a data directory.
pub(crate) fn record_in(
    store: &Store,
    signed: &Signed,
    action: &str,
    object: String,
    after: Option<String>,
) -> Result<()> {
    let (access, tenant) = door(store);
    record(&access, &tenant, signed, action, object, after)
}

/// Records what a command did.
pub(crate) fn record(
    access: &Access,
    tenant: &str,
    signed: &Signed,
    action: &str,
    object: String,
    after: Option<String>,
) -> Result<()> {
    let Signature { author, reason } = signed.signature()?;
    let deed = Recorded {
        name: author,
        from: "cli".to_owned(),
        action: action.to_owned(),
        object,
        after,
        reason,
        ..Recorded::default()
    };
    access.record(tenant, deed).map(drop)
}

//! How does what a command changed get into the audit?
//!
//! The counterpart of the server's `changes`: [`begin`] looks at the knowledge
//! base before a command that may change it, [`Begun::end`] behind it, and what
//! differs is recorded. Commands for keys and tenants say themselves what they
//! did, with [`record`].

use super::kb::{Signed, Subject};
use crate::access::DEFAULT_TENANT;
use crate::access::chain::Deed;
use crate::error::Result;
use crate::store::{Access, Signature, Store};

/// A command that may change a knowledge base.
pub(crate) struct Begun {
    store: Store,
    kb: String,
    action: String,
    signature: Signature,
    before: Option<String>,
}

/// Looks at what a command may change.
pub(crate) fn begin(subject: Subject<'_>) -> Option<Begun> {
    let Subject { data, kb, action, signed } = subject;
    let store = Store::at(data);
    // Whatever is wrong here the command itself will say.
    let before = store.shelf_to_create(kb).ok()?.state().ok()?;
    let signature = signed.map_or_else(|| Signed::nobody().signature(), Signed::signature).ok()?;
    Some(Begun { store, kb: kb.to_owned(), action: action.to_owned(), signature, before })
}

impl Begun {
    /// Records what has changed.
    pub(crate) fn end(self) {
        let after = self.store.shelf_to_create(&self.kb).and_then(|shelf| shelf.state()).ok().flatten();
        if after == self.before {
            return;
        }
        let deed = Deed {
            name: self.signature.author,
            from: "cli".to_owned(),
            action: self.action,
            object: format!("/v1/kbs/{}", self.kb),
            before: self.before,
            after,
            reason: self.signature.reason,
            ..Deed::default()
        };
        if let Err(error) = self.store.access().record(DEFAULT_TENANT, deed) {
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
    let deed = Deed {
        name: author,
        from: "cli".to_owned(),
        action: action.to_owned(),
        object,
        after,
        reason,
        ..Deed::default()
    };
    access.record(tenant, deed).map(drop)
}

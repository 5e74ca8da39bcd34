//! How does what was asked reach the counts of all nodes?

use super::gate::Gate;
use super::tenants::{Tenant, Tenants};
use crate::error::Result;
use crate::events::Log;

impl Gate {
    /// Has what was asked of a tenant on this node counted.
    pub(super) fn meter(&self, tenant: &Tenant) -> Result<()> {
        if tenant.registry().is_read_only() {
            return Ok(());
        }
        self.access().count_events(tenant.name(), tenant.log())
    }
}

/// Counts what a process before this one was killed with, also of tenants that nobody calls.
pub(super) fn resume(gate: &Gate, tenants: &Tenants, names: &[String]) {
    let first = tenants.first().registry();
    if first.is_read_only() {
        return;
    }
    for name in names.iter().filter(|name| tenants.known(name).is_none()) {
        let store = first.store().tenant(name);
        let counted = store.and_then(|store| gate.access().count_events(name, &Log::open(store.root())));
        if let Err(error) = counted {
            tracing::warn!(%error, tenant = name, "what it was asked before cannot be counted now");
        }
    }
}

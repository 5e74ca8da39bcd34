//! How does what was asked reach the counts of all nodes?

use std::sync::Arc;

use super::gate::Gate;
use super::tenants::{Tenant, Tenants};
use crate::error::Result;
use crate::events::Log;
use crate::store::Counted;

impl Gate {
    /// Has what was asked of tenants on this node counted.
    pub(super) fn meter(&self, tenants: &[Arc<Tenant>]) -> Result<()> {
        let logs: Vec<(&str, &Log)> = tenants
            .iter()
            .filter(|tenant| !tenant.registry().is_read_only())
            .map(|tenant| (tenant.name(), tenant.log()))
            .collect();
        let unread = self.access().count_events(&logs)?;
        for (tenant, error) in &unread {
            tracing::debug!(tenant, %error, "its events cannot be read to be counted");
        }
        Ok(())
    }
}

/// What was stored here and counted since this was called last, whoever had it counted.
pub(super) fn settled(tenants: &[Arc<Tenant>]) -> Counted {
    let mut all = Counted::new();
    for tenant in tenants {
        for (key, number) in tenant.log().settled().into_iter().filter(|(key, _)| !key.is_empty()) {
            // Under no key's name: all of the tenant.
            for key in [key, String::new()] {
                *all.entry((tenant.name().to_owned(), key)).or_default() += number;
            }
        }
    }
    all
}

/// Counts what a process before this one was killed with, also of tenants that nobody calls.
pub(super) fn resume(gate: &Gate, tenants: &Tenants, names: &[String]) {
    let first = tenants.first().registry();
    if first.is_read_only() {
        return;
    }
    for name in names.iter().filter(|name| tenants.known(name).is_none()) {
        let store = first.store().tenant(name);
        let counted = store.and_then(|store| gate.access().count_events(&[(name, &Log::open(store.root()))]));
        let error = match counted {
            Ok(mut unread) => unread.pop().map(|(_, error)| error),
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            tracing::warn!(%error, tenant = name, "what it was asked before cannot be counted now");
        }
    }
}

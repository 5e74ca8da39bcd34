//! Is what the server stands on sound?
//!
//! What cannot be seen in passing and is looked at now and then: whether the
//! records of changes are whole, whether conversations can be read, how long ago
//! the data directory was looked at.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::tenants::Tenant;
use crate::error::failed;
use crate::store::Access;

/// How often the record of changes is verified.
const AUDIT: Duration = Duration::from_secs(3600);

/// How soon it is tried again when it could not be read.
const UNREAD: Duration = Duration::from_secs(60);

/// How often it is tried whether conversations can be read, …
const TALK: Duration = Duration::from_secs(5);

/// … and on a server, which is asked all the time whether it answers.
const TALK_ON_SERVER: Duration = Duration::from_secs(300);

/// The data directory is looked at twice a second; whoever could not for so long
/// serves what may be old.
pub(super) const LAG: Duration = Duration::from_secs(30);

/// What was found at the last look.
#[derive(Default)]
pub(super) struct Soundness(Mutex<Found>);

#[derive(Default)]
struct Found {
    /// When a look ended last.
    looked: Option<Instant>,
    tenants: BTreeMap<String, Seen>,
}

/// What is known of a tenant.
#[derive(Default)]
struct Seen {
    /// When the record of changes was verified last, and whether it was whole.
    audit: Option<(Instant, bool)>,
    /// When it could not be read last.
    unread: Option<Instant>,
    /// When conversations were read last, and whether they could not be.
    talk: Option<(Instant, bool)>,
}

fn is_due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= every)
}

impl Soundness {
    /// Looks at what is due. Called on a timer, on a blocking thread.
    pub(super) fn look(&self, access: &Access, tenant: &Tenant) {
        let name = tenant.name();
        let every = if tenant.registry().store().is_on_server() { TALK_ON_SERVER } else { TALK };
        let (audit, talk) = {
            let found = self.found();
            let seen = found.tenants.get(name);
            (
                is_due(seen.and_then(|seen| seen.audit).map(|(at, _)| at), AUDIT)
                    && is_due(seen.and_then(|seen| seen.unread), UNREAD),
                is_due(seen.and_then(|seen| seen.talk.as_ref()).map(|(at, _)| *at), every),
            )
        };
        if audit {
            let sound = match access.verify(name, None) {
                Ok(verdict) => {
                    if let Some(fault) = verdict.faults.first() {
                        tracing::error!(tenant = name, fault, "the record of changes is not whole");
                    }
                    Some(verdict.sound)
                }
                Err(error) => {
                    failed!(error, tenant = name, "the record of changes cannot be read");
                    None
                }
            };
            // What cannot be read is no proof of anything, and is tried anew.
            let (now, mut found) = (Instant::now(), self.found());
            let seen = found.tenants.entry(name.to_owned()).or_default();
            match sound {
                Some(sound) => (seen.audit, seen.unread) = (Some((now, sound)), None),
                None => seen.unread = Some(now),
            }
        }
        // A replica keeps no conversations.
        if talk && !tenant.registry().is_read_only() {
            let fault = tenant.desk().talk().waiting("").err();
            let mut found = self.found();
            let seen = found.tenants.entry(name.to_owned()).or_default();
            if let Some(fault) = &fault
                && seen.talk.as_ref().is_none_or(|(_, is_mute)| !is_mute)
            {
                failed!(fault, tenant = name, "conversations cannot be read");
            }
            seen.talk = Some((Instant::now(), fault.is_some()));
        }
    }

    /// Notes that a look has ended, and forgets tenants that are gone.
    pub(super) fn done(&self, is_there: impl Fn(&str) -> bool) {
        let mut found = self.found();
        found.looked = Some(Instant::now());
        found.tenants.retain(|name, _| is_there(name));
    }

    /// How long ago a look ended last; `None` before the first one.
    pub(super) fn looked(&self) -> Option<Duration> {
        self.found().looked.map(|at| at.elapsed())
    }

    /// Whether a tenant's record of changes was whole when it was verified last.
    pub(super) fn audit(&self, tenant: &str) -> Option<bool> {
        self.found().tenants.get(tenant)?.audit.map(|(_, sound)| sound)
    }

    /// Whether a tenant's conversations could not be read.
    pub(super) fn is_mute(&self, tenant: &str) -> bool {
        let found = self.found();
        let seen = found.tenants.get(tenant).and_then(|seen| seen.talk.as_ref());
        seen.is_some_and(|(_, is_mute)| *is_mute)
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

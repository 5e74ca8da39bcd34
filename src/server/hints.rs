//! What have other nodes just written?
//!
//! A hint says where; looking says what. One that is lost costs nothing but time: the
//! data directory is looked at twice a second all the same.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::tenants::Tenant;

/// Hints that nobody has followed yet.
#[derive(Default)]
pub(super) struct Hints {
    given: Mutex<Given>,
    news: Notify,
}

/// Where something may be new.
#[derive(Default)]
pub(super) struct Given {
    /// Anywhere: some may have been missed.
    all: bool,
    places: BTreeSet<String>,
}

impl Given {
    /// Whether a tenant may have something new.
    pub(super) fn is_about(&self, tenant: &Tenant) -> bool {
        let store = tenant.registry().store();
        self.all || self.places.iter().any(|place| store.is_told_as(place))
    }
}

impl Hints {
    /// Takes a hint: a place, or none for anywhere.
    pub(super) fn take(&self, place: Option<&str>) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        match place {
            Some(place) => {
                given.places.insert(place.to_owned());
            }
            None => given.all = true,
        }
        drop(given);
        self.news.notify_one();
    }

    /// Waits until there are some, and gives them out.
    pub(super) async fn next(&self) -> Given {
        self.news.notified().await;
        std::mem::take(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

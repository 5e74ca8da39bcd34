//! What is served at one moment, and what is wrong with it?
//!
//! A [`View`] is never changed: the registry swaps it for another one as a whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::holding::Use;
use super::readiness::Trouble;
use crate::dialogue::Service;
use crate::engine::Engine;
use crate::error::Error;

/// What is served at one moment.
#[derive(Clone, Default)]
pub struct View {
    pub(super) shelves: BTreeMap<String, Slot>,
    /// Why the data directory could not be read.
    pub(super) warning: Option<String>,
}

/// What is served under a name.
#[derive(Clone, Default)]
pub(super) struct Slot {
    pub(super) engine: Option<Arc<Engine>>,
    /// What the engine's service document says, read once.
    pub(super) service: Arc<Service>,
    /// Why it says what the shipped one says.
    pub(super) service_fault: Option<String>,
    pub(super) failure: Option<Failure>,
    /// How the engine is used.
    pub(super) used: Option<Arc<Use>>,
    /// Whether it is not open, and will be when somebody asks for it.
    pub(super) is_asleep: bool,
}

/// Why the release that should be served is not.
#[derive(Clone)]
pub(super) struct Failure {
    /// The release.
    pub(super) number: u32,
    pub(super) tried: Instant,
    /// For the log; it may name paths.
    pub(super) text: String,
    /// For everybody.
    reason: Option<String>,
}

impl Failure {
    /// What is known of a release that cannot be served.
    pub(super) fn of(number: u32, error: &Error, root: &Path) -> Self {
        let text = error.to_string();
        // Where the data lies is nobody's business but the operator's.
        let root = root.display().to_string();
        let reason = match error {
            Error::Release { message, .. } if !message.contains(&root) => Some(message.clone()),
            _ => None,
        };
        Self { number, tried: Instant::now(), text, reason }
    }
}

impl View {
    /// The names of the knowledge bases that answer, with their engines.
    pub fn engines(&self) -> impl Iterator<Item = (&str, &Arc<Engine>)> {
        self.shelves
            .iter()
            .filter_map(|(name, slot)| slot.engine.as_ref().map(|engine| (name.as_str(), engine)))
    }

    /// The names of the knowledge bases that answer, also of those that would have to be
    /// opened for it.
    pub(super) fn answering(&self) -> impl Iterator<Item = &str> {
        let answers = |slot: &Slot| slot.engine.is_some() || slot.is_asleep;
        self.shelves.iter().filter(move |(_, slot)| answers(slot)).map(|(name, _)| name.as_str())
    }

    /// What an operator should look at, as name, reason and message without internals.
    pub fn warnings(&self) -> Vec<(&str, Trouble, String)> {
        let damaged = Trouble::ReleaseDamaged;
        let slots =
            self.shelves.iter().filter_map(|(name, slot)| Some((name.as_str(), damaged, slot.trouble()?)));
        let all = self.warning.iter().map(|_| {
            let message = "the data directory cannot be read; the server's log says why".to_owned();
            ("", Trouble::DatabaseUnreadable, message)
        });
        let faults = self.shelves.iter().filter_map(|(name, slot)| {
            let told =
                |fault| format!("its service document has a fault, the shipped one counts instead: {fault}");
            Some((name.as_str(), Trouble::ServiceFaulty, told(slot.service_fault.as_ref()?)))
        });
        slots.chain(faults).chain(all).collect()
    }

    /// Why a knowledge base is not what it should be by now; without a name, any of them.
    pub(super) fn trouble(&self, kb: Option<&str>) -> Option<String> {
        if !self.is_readable() {
            return Some("what is to be served cannot be read".to_owned());
        }
        let mut meant = self.shelves.iter().filter(|(name, _)| kb.is_none_or(|kb| kb == *name));
        meant.find_map(|(_, slot)| slot.trouble())
    }

    /// Whether the data directory could be read when it was looked at last.
    pub fn is_readable(&self) -> bool {
        self.warning.is_none()
    }

    /// The names of the knowledge bases whose release should be another one
    /// than is served, or none.
    pub fn degraded(&self) -> impl Iterator<Item = &str> {
        self.shelves.iter().filter(|(_, slot)| slot.failure.is_some()).map(|(name, _)| name.as_str())
    }
}

impl Slot {
    /// That of a knowledge base that is opened when somebody asks for it.
    pub(super) fn asleep() -> Self {
        Self { is_asleep: true, ..Self::default() }
    }

    /// What is wrong with the release that should be served, and what is served.
    pub(super) fn trouble(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let number = failure.number;
        let served = self.engine.as_ref().map_or_else(
            || "nothing is served instead".to_owned(),
            |engine| format!("release {} is served instead", engine.release().label()),
        );
        let reason = failure.reason.as_deref().unwrap_or("the server's log says why");
        Some(format!("release {number} cannot be opened, {served}: {reason}"))
    }
}

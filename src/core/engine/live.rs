//! How does a running engine take edits without making anybody wait?
//!
//! Readers hold the engine they began with, and an engine that is shown never
//! changes. There are two of them: an edit goes into the one that nobody
//! reads, which is then shown, and into the other one with the next edit. So
//! an edit costs what it changes, not what is there. Both share the published
//! index and vectors.

use std::sync::Arc;

use super::Engine;
use crate::error::Result;
use crate::kb::{Entry, EntryId};
use crate::release::{Edit, Release};

/// An entry as it is to be from a revision on.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The revision.
    pub revision: i64,
    /// The entry's id.
    pub id: EntryId,
    /// `None` when it was removed.
    pub entry: Option<Entry>,
}

/// An engine that takes edits.
pub struct Live {
    shown: Arc<Engine>,
    /// What was shown before, …
    spare: Option<Arc<Engine>>,
    /// … and the edits that it has not got yet.
    missed: Vec<Edit>,
}

impl Live {
    /// Takes an engine.
    pub fn new(engine: Engine) -> Self {
        Self { shown: Arc::new(engine), spare: None, missed: Vec::new() }
    }

    /// Keeps another goal from now on.
    pub fn set_goal(&mut self, max_wrong: f64) {
        self.shown = Arc::new(self.shown.with_goal(max_wrong));
        // The spare one has the goal before; a copy is made when it is needed.
        (self.spare, self.missed) = (None, Vec::new());
    }

    /// Serves under another service document from now on.
    pub fn set_service(&mut self, text: &str) {
        self.shown = Arc::new(self.shown.with_service(text));
        // As with the goal.
        (self.spare, self.missed) = (None, Vec::new());
    }

    /// Whether edits stand on top of the release.
    pub fn is_edited(&self) -> bool {
        self.shown.release.edits() > 0 || self.shown.service != *self.shown.release.service()
    }

    /// The engine that answers now.
    pub fn shown(&self) -> &Arc<Engine> {
        &self.shown
    }

    /// Makes some changes and shows the outcome as a whole. `edits` is how many
    /// they stand for: several edits of an entry may be one change.
    ///
    /// # Errors
    /// When a change cannot be made; then what was shown stays.
    pub fn apply(&mut self, changes: Vec<Change>, edits: usize) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let count = self.shown.release.edits() + edits;
        let edits = self.shown.release.prepare(told(changes))?;
        // Somebody may still be reading the spare one; then a copy of the
        // other one is made, which takes longer and is as good.
        let mut next = match self.spare.take().and_then(Arc::into_inner) {
            Some(mut engine) => {
                for edit in &self.missed {
                    engine.apply(edit)?;
                }
                engine
            }
            None => Engine::clone(&self.shown),
        };
        for edit in &edits {
            next.apply(edit)?;
        }
        Arc::make_mut(&mut next.release).count_edits(count);
        self.spare = Some(std::mem::replace(&mut self.shown, Arc::new(next)));
        self.missed = edits;
        Ok(())
    }
}

/// Puts changes into a release that nobody reads yet; `edits` is how many they
/// stand for.
///
/// # Errors
/// When a change cannot be made.
pub fn replay(release: &mut Release, changes: Vec<Change>, edits: usize) -> Result<()> {
    for edit in release.prepare(told(changes))? {
        release.apply(&edit)?;
    }
    release.count_edits(edits);
    Ok(())
}

fn told(changes: Vec<Change>) -> Vec<(i64, EntryId, Option<Entry>)> {
    changes.into_iter().map(|Change { revision, id, entry }| (revision, id, entry)).collect()
}

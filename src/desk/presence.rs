//! Is anybody there, and how long will it take?
//!
//! Whoever works at a desk of ours says so now and then. A house whose people work
//! elsewhere says nothing, and nothing is made of its silence.

use super::Desk;
use crate::dialogue::handoff::{Handoff, State, estimated_wait};
use crate::error::Result;
use crate::store::Present;

/// Who has said nothing for so long is gone, in milliseconds.
pub const GONE: i64 = 90 * 1000;

/// Who was seen within this is known to work at a desk of ours, in milliseconds.
const KNOWN: i64 = 24 * 60 * 60 * 1000;

/// The state of somebody who takes conversations.
pub const ONLINE: &str = "online";

impl Desk {
    /// Who is at the desk now, by name.
    pub fn present(&self) -> Result<Vec<Present>> {
        self.talk().present(self.now() - GONE)
    }

    /// Whether somebody of a name is at the desk now.
    pub fn is_present(&self, name: &str) -> Result<bool> {
        Ok(self.present()?.iter().any(|one| one.agent == name))
    }

    /// How many take conversations now; `None` when nobody has worked at a desk of
    /// ours for a day.
    pub fn online(&self) -> Result<Option<usize>> {
        let known = self.talk().present(self.now() - KNOWN)?;
        if known.is_empty() {
            return Ok(None);
        }
        let since = self.now() - GONE;
        Ok(Some(known.iter().filter(|one| one.seen_at >= since && one.state == ONLINE).count()))
    }

    /// The place of a handoff in the queue of its knowledge base, from 1 on; `None` when it
    /// does not wait.
    pub fn position(&self, handoff: &Handoff) -> Result<Option<i64>> {
        if handoff.state != State::Waiting {
            return Ok(None);
        }
        self.talk().place(&handoff.kb, Some(handoff.number), handoff.is_urgent()).map(Some)
    }

    /// How long somebody at a place of the queue will probably wait, in seconds.
    /// Nobody can tell when too few were taken lately, or nobody is there.
    pub fn estimated_wait(&self, kb: &str, place: i64) -> Result<Option<i64>> {
        if self.online()? == Some(0) {
            return Ok(None);
        }
        Ok(estimated_wait(place, &self.talk().recent_waits(kb)?))
    }
}

//! What does nobody ask for and must happen all the same?
//!
//! Claims that were left alone go back to the queue, handoffs that nobody takes
//! go back to the robot, and what is too old or too much goes away, a little at a
//! time. Several processes may do so at once: each change is made on what was
//! looked at, or not at all.

use std::time::{Duration, Instant};

use super::{Desk, messengers};
use crate::error::{Result, failed};

/// How often claims and waiting handoffs are looked at.
const CLAIMS: Duration = Duration::from_secs(1);

/// How often what was written is moved into the file.
const FOLD: Duration = Duration::from_secs(5);

/// How often room is made.
const ROOM: Duration = Duration::from_secs(60);

/// How long deliveries are remembered, in milliseconds: no platform repeats one
/// after that.
const REMEMBERED: i64 = 7 * 24 * 60 * 60 * 1000;

/// How long dead letters lie, in milliseconds.
const DEAD: i64 = 30 * 24 * 60 * 60 * 1000;

/// A sweep is repeated at most so often in a round.
const SWEEPS: usize = 20;

/// When what was done last.
#[derive(Default)]
pub(super) struct Rounds {
    claims: Option<Instant>,
    folded: Option<Instant>,
    room: Option<Instant>,
    mailboxes: Option<Instant>,
}

fn is_due(last: &mut Option<Instant>, every: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}

impl Rounds {
    /// Does what is due; whether all of it worked.
    pub(super) fn go(&mut self, desk: &Desk) -> bool {
        let mut outcomes: Vec<Result<()>> = Vec::new();
        if is_due(&mut self.claims, CLAIMS) {
            outcomes.push(desk.tend_claims().map(|_| ()));
        }
        if is_due(&mut self.mailboxes, CLAIMS) {
            outcomes.push(super::email::mailbox::tend(desk));
        }
        if is_due(&mut self.folded, FOLD) {
            outcomes.push(desk.talk().checkpoint());
        }
        if is_due(&mut self.room, ROOM) {
            outcomes.push(desk.make_room());
        }
        let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        for error in &failures {
            failed!(error, "upkeep of the conversations");
        }
        failures.is_empty()
    }
}

impl Desk {
    /// Gives back what was claimed and left alone, and ends what waits in vain.
    /// Gives back how many.
    pub fn tend_claims(&self) -> Result<usize> {
        let now = self.now();
        let released = self.talk().release_claims(now)?;
        let text = |kb: &str| {
            (self.0.find)(kb).map(|(_, service)| service.voice.outside_hours.clone()).unwrap_or_default()
        };
        let patience = self.settings().patience;
        let others = messengers::theirs(&self.talk().channels_sealed()?);
        let expired = self.talk().expire_waiting(now, patience, &others, |handoff| text(&handoff.kb))?;
        Ok(released + expired)
    }

    /// Removes what is too old or too much.
    pub fn make_room(&self) -> Result<()> {
        let now = self.now();
        let settings = self.settings();
        let oldest = settings.keep.map_or(i64::MIN, |keep| now.saturating_sub(keep));
        for _ in 0..SWEEPS {
            if self.talk().sweep(oldest, settings.most)? == 0 {
                break;
            }
        }
        if settings.keep.is_some() {
            self.talk().sweep_lines(oldest)?;
        }
        self.talk().sweep_pictures(oldest)?;
        self.talk().sweep_news()?;
        self.talk().sweep_received(now.saturating_sub(REMEMBERED))?;
        self.talk().sweep_quotas(now)?;
        self.talk().sweep_outbox(now.saturating_sub(DEAD))
    }
}

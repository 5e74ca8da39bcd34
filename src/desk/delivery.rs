//! Who tells webhooks and platforms what was recorded for them?
//!
//! One thread looks for receivers that something is due for, several times a
//! second and whenever something was written. Each such receiver gets a thread of
//! its own for as long as there is something for it, so one that hangs holds up
//! nobody else. A job is taken for longer than a call may last: if this process
//! dies, another one (or the next start) tells it again, under the same id.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::client::Failed;
use super::platforms::{Told, told};
use super::{Desk, Parts, locked, webhooks};
use crate::dialogue::handoff::Span;
use crate::error::failed;
use crate::store::{Noted, Settled, Taken};

/// How often somebody looks, when nothing is told.
const LOOK: Duration = Duration::from_millis(250);

/// Where it can be told that nobody has recorded anything, nobody looks for so long.
const QUIET: Duration = Duration::from_secs(1800);

/// What came in for a knowledge base that others hold is left to them for so long, in
/// milliseconds: they look several times a second. Then they are gone, or at their limits.
const OTHERS: i64 = 3_000;

/// Receivers that are worked for at the same time.
const RECEIVERS: usize = 32;

/// A job is taken for so much longer than its calls may last, in milliseconds.
const LEASE: i64 = 5_000;

/// So many calls an attempt can be: at Chatwoot three, at a platform two, each with a token
/// that is fetched for it.
pub(super) const CALLS: i64 = 4;

/// After the first attempts a job rests for so long, in seconds; then nobody tries
/// it any more. Together a bit more than a day.
const RESTS: [i64; 12] = [5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 28_800];

/// A receiver may ask for at most so much rest, in seconds.
const ASKED: u64 = 86_400;

/// How long a job rests after an attempt, in milliseconds; `None` when it was the
/// last one. `dice` is anything: receivers that failed together must not be called
/// together again.
pub(super) fn rest(attempts: i32, asked: Option<u64>, dice: u64) -> Option<i64> {
    let at = usize::try_from(attempts.saturating_sub(1)).unwrap_or(0);
    let seconds = *RESTS.get(at)?;
    let asked = i64::try_from(asked.unwrap_or(0).min(ASKED)).unwrap_or(0);
    let base = seconds.max(asked) * 1000;
    // Up to a fifth more.
    let spread = i64::try_from(dice % 1000).unwrap_or(0);
    Some(base + base / 5 * spread / 1000)
}

fn dice() -> u64 {
    getrandom::u64().unwrap_or_default()
}

/// Whoever looks and ends with a defect does not run any more: somebody else may begin.
struct Defect(Weak<Parts>);

impl Drop for Defect {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(parts) = self.0.upgrade()
        {
            parts.started.store(false, Ordering::Release);
        }
    }
}

/// What came of sending something once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The status that was replied with; `None` when there was no reply.
    pub status: Option<u16>,
    /// Why it was not taken, in words.
    pub fault: Option<String>,
}

impl Desk {
    /// Starts the thread that looks, if it does not run yet and there may be something to
    /// look for. It ends when nobody has the desk any more, and where it can be told that
    /// somebody records something, also when there is nothing to do.
    pub fn start(&self) {
        if self.rests() || self.0.started.swap(true, Ordering::AcqRel) {
            return;
        }
        let parts = Arc::downgrade(&self.0);
        let begun = thread::Builder::new().name("desk".to_owned()).spawn(move || {
            let _defect = Defect(Weak::clone(&parts));
            look(&parts);
        });
        if let Err(error) = begun {
            tracing::error!(%error, "no thread for deliveries");
            self.0.started.store(false, Ordering::Release);
        }
    }

    /// Whether there was nothing to look for at the last look, and nobody has recorded
    /// anything since.
    fn rests(&self) -> bool {
        let quiet = *locked(&self.0.quiet);
        quiet.is_some_and(|(noted, since)| since.elapsed() < QUIET && self.talk().noted() == Some(noted))
    }

    /// Whether the thread that looks may end, for nobody has recorded anything since it
    /// began to look, and nothing will be due by itself.
    fn settles(&self, noted: Option<Noted>) -> bool {
        let Some(noted) = noted else { return false };
        let is_still = || locked(&self.0.busy).is_empty() && self.talk().noted() == Some(noted);
        if !is_still() || !self.talk().backlog().is_ok_and(|backlog| !backlog.is_work()) {
            return false;
        }
        *locked(&self.0.quiet) = Some((noted, Instant::now()));
        self.0.started.store(false, Ordering::Release);
        // Who has called meanwhile found somebody who looks.
        if *locked(&self.0.news.0) && !self.0.started.swap(true, Ordering::AcqRel) {
            *locked(&self.0.quiet) = None;
            return false;
        }
        true
    }

    /// Tells everything that is due now and comes back when it is done or rests:
    /// for commands, which end thereafter. Gives back how many attempts were made.
    pub fn deliver_due(&self) -> usize {
        let mut attempts = 0;
        while let Ok(targets) = self.talk().due_targets(self.now()) {
            let before = attempts;
            for target in targets {
                while self.deliver_one(&target) {
                    attempts += 1;
                }
            }
            if attempts == before {
                break;
            }
        }
        attempts
    }

    /// Whether something that is due is left to the processes that hold its knowledge base.
    /// What cannot be read now is nobody's to leave.
    fn leaves(&self, target: &str) -> bool {
        let Some(id) = target.strip_prefix("inbox:").filter(|_| self.0.holds.get().is_some()) else {
            return false;
        };
        let channel = self.talk().channel_sealed(id).ok().flatten();
        if channel.is_none_or(|channel| self.holds(&channel.kb)) {
            return false;
        }
        let now = self.now();
        let since = self.talk().due_since(target, now).ok().flatten();
        since.is_some_and(|since| (0..OTHERS).contains(&(now - since)))
    }

    /// For how long a job is taken that is so many calls, in milliseconds.
    pub(super) fn lease(&self, calls: i64) -> i64 {
        LEASE + i64::try_from(self.settings().calls.whole.as_millis()).unwrap_or(LEASE) * calls
    }

    /// Tries the next job of a receiver; says whether there was one.
    fn deliver_one(&self, target: &str) -> bool {
        let taken = match self.talk().take(target, &self.0.worker, self.now(), self.lease(CALLS)) {
            Ok(Some(taken)) => taken,
            Ok(None) => return false,
            Err(error) => {
                failed!(error, target, "cannot take what is to be delivered");
                return false;
            }
        };
        // One that ends with a defect is not settled, and the next ones wait behind it.
        let is_hopeless = usize::try_from(taken.attempts).is_ok_and(|attempts| attempts > RESTS.len() + 2);
        let told = if is_hopeless {
            Told::Never("every attempt ended with a defect".to_owned())
        } else {
            self.attempt(&taken)
        };
        let settled = match told {
            Told::Done => Settled::Done,
            Told::Never(error) => Settled::Dead { error },
            Told::Again(error, asked) => match rest(taken.attempts, asked, dice()) {
                Some(millis) => Settled::Later { rest: Span::of(self.now(), millis), error },
                None => Settled::Dead { error },
            },
        };
        match &settled {
            Settled::Done => tracing::debug!(target, kind = taken.kind, id = taken.id, "delivered"),
            Settled::Later { error, .. } => {
                let attempts = taken.attempts;
                tracing::warn!(
                    target,
                    kind = taken.kind,
                    id = taken.id,
                    attempts,
                    error,
                    "not delivered yet"
                );
            }
            Settled::Dead { error } => {
                tracing::error!(
                    target,
                    kind = taken.kind,
                    id = taken.id,
                    error,
                    "given up; see the dead letters"
                );
            }
        }
        if let Settled::Dead { error } = &settled {
            // Before: rather told twice than given up in silence.
            self.gave_up(&taken, error);
        }
        if let Err(error) = self.talk().settle(&taken, &settled) {
            // It is told again when its time is over.
            failed!(error, target, id = taken.id, "cannot record a delivery");
            return false;
        }
        true
    }

    fn attempt(&self, taken: &Taken) -> Told {
        let gone = |what: &str| Told::Never(format!("the {what} is gone"));
        let unreadable = |e: crate::error::Error| Told::Again(e.to_string(), None);
        match taken.target.split_once(':') {
            Some(("webhook", id)) => match self.talk().webhook(id) {
                Ok(Some(webhook)) => told(webhooks::deliver(&self.0.client, &webhook, taken, self.now())),
                Ok(None) => gone("webhook"),
                Err(e) => unreadable(e),
            },
            Some(("channel", id)) => match self.talk().channel(id) {
                Ok(Some(channel)) => self.say(&channel, taken),
                Ok(None) => gone("channel"),
                Err(e) => unreadable(e),
            },
            Some(("inbox", id)) => match self.talk().channel(id) {
                Ok(Some(channel)) => self.work(&channel, taken),
                Ok(None) => gone("channel"),
                Err(e) => unreadable(e),
            },
            _ => Told::Never(format!("{:?} is no receiver", taken.target)),
        }
    }

    /// Sends an event to a webhook now, and says what came of it.
    pub fn test_webhook(&self, webhook: &crate::store::Webhook) -> Tried {
        let body = serde_json::json!({
            "type": "webhook.test", "timestamp": crate::dialogue::told::moment(self.now()),
            "data": {"webhook": webhook.id},
        });
        let taken = Taken {
            seq: 0,
            id: format!("msg_{}", super::new_id()),
            target: format!("webhook:{}", webhook.id),
            lane: String::new(),
            kind: "webhook.test".to_owned(),
            kb: String::new(),
            body: body.to_string(),
            state: "due".to_owned(),
            attempts: 1,
            worker: None,
            error: None,
            created_at: self.now(),
        };
        match webhooks::deliver(&self.0.client, webhook, &taken, self.now()) {
            Ok(replied) => {
                Tried { status: Some(replied.status), fault: (!replied.is_success()).then(|| replied.told()) }
            }
            Err(Failed::Refused(why) | Failed::Unreached(why)) => Tried { status: None, fault: Some(why) },
        }
    }
}

/// Looks as long as somebody has the desk.
fn look(parts: &Weak<Parts>) {
    loop {
        let Some(parts) = parts.upgrade() else { return };
        let desk = Desk(parts);
        let noted = desk.talk().noted();
        let targets = desk.talk().due_targets(desk.now());
        if let Err(error) = &targets {
            failed!(error, "what is to be delivered cannot be read");
        }
        let is_read = targets.is_ok();
        for target in targets.unwrap_or_default() {
            if !desk.leaves(&target) {
                work_for(&desk, target);
            }
        }
        // What has failed is tried again soon.
        let is_kept_up = locked(&desk.0.rounds).go(&desk);
        if is_read && is_kept_up && desk.settles(noted) {
            return;
        }
        desk.wait_for_news(LOOK);
    }
}

/// Gives a receiver a thread until nothing is due for it, unless it has one.
fn work_for(desk: &Desk, target: String) {
    {
        let mut busy = locked(&desk.0.busy);
        if busy.len() >= RECEIVERS || !busy.insert(target.clone()) {
            return;
        }
    }
    let (own, name) = (desk.clone(), target.clone());
    let begun = thread::Builder::new().name("delivery".to_owned()).spawn(move || {
        /// Frees the receiver however the work ends.
        struct Busy(Desk, String);
        impl Drop for Busy {
            fn drop(&mut self) {
                locked(&self.0.0.busy).remove(&self.1);
                // What came while the work ended.
                self.0.wake();
            }
        }
        let busy = Busy(own, name);
        let mut worked = false;
        while busy.0.deliver_one(&busy.1) {
            worked = true;
        }
        if !worked {
            // Somebody else was faster; nothing is new.
            locked(&busy.0.0.busy).remove(&busy.1);
            std::mem::forget(busy);
        }
    });
    if let Err(error) = begun {
        tracing::error!(%error, target, "no thread for a delivery");
        locked(&desk.0.busy).remove(&target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_spread_and_end() {
        let rests: Vec<i64> = (1..).map_while(|attempts| rest(attempts, None, 0)).collect();
        assert_eq!(rests.len(), RESTS.len());
        assert!(rests.windows(2).all(|pair| pair[0] < pair[1]));
        assert!((24..30).contains(&(rests.iter().sum::<i64>() / 3_600_000)), "{rests:?}");
        assert_eq!(rest(1, None, 999).map(|millis| millis > 5_000 && millis < 6_000), Some(true));
        assert_eq!(rest(1, Some(120), 0), Some(120_000), "a receiver may ask for more");
        assert_eq!(rest(1, Some(u64::MAX), 0), Some(86_400_000), "but not for ever");
    }
}

//! What must still be told to others, and what they told us and nobody has
//! worked on yet?
//!
//! A row is written together with what it tells of, so neither exists without the
//! other. Whoever works on one takes it for a while: if they die, it is due again
//! when that time is over, and the receiver gets it with the same id. Rows of one
//! lane go one after the other.

use diesel::dsl::{exists, min, not};
use diesel::prelude::*;
use serde_json::{Value, json};

use super::conversations::Conversations;
use super::database::talk::{cursors, outbox, received};
use super::database::upsert::OnConflict;
use super::database::{Connection, Durability, Outcome};
use super::webhooks;
use crate::dialogue::handoff::Span;
use crate::dialogue::told::moment;
use crate::error::{Error, Result};

/// Something to tell or to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The receiver's key for telling a second delivery from a second message.
    pub id: String,
    /// `webhook:ID`, `channel:ID` or `inbox:ID`.
    pub target: String,
    /// Jobs of one lane of a target go one after the other.
    pub lane: String,
    /// What it is.
    pub kind: String,
    /// JSON.
    pub body: String,
}

impl Job {
    /// Something to say in a channel, in the order of the conversation.
    pub fn to_channel(channel: &str, session: &str, id: String, kind: &str, body: &Value) -> Self {
        Self {
            id,
            target: format!("channel:{channel}"),
            lane: session.to_owned(),
            kind: kind.to_owned(),
            body: body.to_string(),
        }
    }
}

/// A job that somebody works on.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = outbox)]
pub struct Taken {
    /// Its number; numbers grow.
    pub seq: i64,
    /// The receiver's key.
    pub id: String,
    /// For whom.
    pub target: String,
    /// What it goes behind.
    pub lane: String,
    /// What it is.
    pub kind: String,
    /// The knowledge base.
    pub kb: String,
    /// JSON.
    pub body: String,
    /// `due`, or `dead` when nobody tries it any more.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// Who works on it.
    pub worker: Option<String>,
    /// What came of the last attempt.
    pub error: Option<String>,
    /// When it was written, in milliseconds since 1970 (UTC).
    pub created_at: i64,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is done.
    Done,
    /// It is tried again after this stretch of time.
    Later {
        /// When.
        rest: Span,
        /// Why.
        error: String,
    },
    /// Nobody tries it any more.
    Dead {
        /// Why.
        error: String,
    },
}

/// A page of what was fetched from a platform.
#[derive(Debug, Clone)]
pub struct Fetched<'a> {
    /// The channel.
    pub channel: &'a str,
    /// The account there.
    pub account: &'a str,
    /// The cursor that it was fetched with.
    pub before: &'a str,
    /// The one behind it; `None` leaves it.
    pub next: Option<&'a str>,
    /// What is to be worked on, each under the platform's own name for it.
    pub jobs: Vec<Job>,
}

/// The most jobs of one receiver that wait; beyond them the oldest are given up
/// and lie with the dead ones.
const WAITING: i64 = 100_000;

impl Conversations {
    /// The receivers that something is due for at a moment.
    pub fn due_targets(&self, now: i64) -> Result<Vec<String>> {
        if !self.is_there() {
            return Ok(Vec::new());
        }
        let earlier = diesel::alias!(outbox as earlier);
        let rows = self.database.read(|connection| {
            // What stands behind a job that rests is not due either.
            let before = earlier
                .filter(earlier.field(outbox::state).eq("due"))
                .filter(earlier.field(outbox::target).eq(outbox::target))
                .filter(earlier.field(outbox::lane).eq(outbox::lane))
                .filter(earlier.field(outbox::seq).lt(outbox::seq));
            let due = outbox::table
                .filter(outbox::state.eq("due"))
                .filter(awake(now, now + Span::SLACK))
                .filter(not(exists(before)));
            Ok(due.select(outbox::target).distinct().load(connection)?)
        })?;
        Ok(rows.unwrap_or_default())
    }

    /// Since when the first of a receiver's jobs that is due has been so.
    pub fn due_since(&self, target: &str, now: i64) -> Result<Option<i64>> {
        let found = self.database.read(|connection| {
            let due = outbox::table
                .filter(outbox::state.eq("due").and(outbox::target.eq(target)))
                .filter(awake(now, now + Span::SLACK));
            Ok(due.select(min(outbox::rests_until)).first(connection)?)
        })?;
        Ok(found.flatten())
    }

    /// Takes the next job for a receiver; nobody else gets it during `lease` milliseconds.
    pub fn take(&self, target: &str, worker: &str, now: i64, lease: i64) -> Result<Option<Taken>> {
        let earlier = diesel::alias!(outbox as earlier);
        self.database.write_as(Durability::Written, |connection| {
            let before = earlier
                .filter(earlier.field(outbox::state).eq("due"))
                .filter(earlier.field(outbox::target).eq(outbox::target))
                .filter(earlier.field(outbox::lane).eq(outbox::lane))
                .filter(earlier.field(outbox::seq).lt(outbox::seq));
            let next: Option<i64> = outbox::table
                .filter(outbox::state.eq("due").and(outbox::target.eq(target)))
                .filter(awake(now, now + Span::SLACK))
                .filter(not(exists(before)))
                .order(outbox::seq)
                .select(outbox::seq)
                .first(connection)
                .optional()?;
            let Some(seq) = next else { return Ok(None) };
            let rest = Span::of(now, lease);
            diesel::update(outbox::table.find(seq))
                .set((
                    outbox::worker.eq(worker),
                    outbox::attempts.eq(outbox::attempts + 1),
                    outbox::rests_from.eq(rest.from),
                    outbox::rests_until.eq(rest.until),
                ))
                .execute(connection)?;
            Ok(Some(outbox::table.find(seq).select(Taken::as_select()).first(connection)?))
        })
    }

    /// Records what came of an attempt, unless somebody else has taken the job since.
    pub fn settle(&self, taken: &Taken, settled: &Settled) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            let mine = outbox::table
                .find(taken.seq)
                .filter(outbox::worker.eq(&taken.worker).and(outbox::attempts.eq(taken.attempts)));
            match settled {
                Settled::Done => diesel::delete(mine).execute(connection)?,
                Settled::Later { rest, error } => diesel::update(mine)
                    .set((
                        outbox::worker.eq(None::<String>),
                        outbox::error.eq(error),
                        outbox::rests_from.eq(rest.from),
                        outbox::rests_until.eq(rest.until),
                    ))
                    .execute(connection)?,
                Settled::Dead { error } => diesel::update(mine)
                    .set((
                        outbox::worker.eq(None::<String>),
                        outbox::error.eq(error),
                        outbox::state.eq("dead"),
                    ))
                    .execute(connection)?,
            };
            Ok(())
        })
    }

    /// Adds jobs, such as the test of a webhook.
    pub fn put_jobs(&self, jobs: &[Job], kb: &str, at: i64) -> Result<()> {
        self.database.write(|connection| put(connection, jobs, kb, at))
    }

    /// Records what a platform has sent, once for each of its delivery ids, and
    /// says whether it was new.
    pub fn receive(&self, channel: &str, delivery: &str, job: &Job, kb: &str, at: i64) -> Result<bool> {
        self.database.write(|connection| {
            let new = diesel::insert_into(received::table)
                .values((received::channel.eq(channel), received::delivery.eq(delivery), received::at.eq(at)))
                .or_nothing()
                .execute(connection)?;
            if new == 1 {
                put(connection, std::slice::from_ref(job), kb, at)?;
            }
            Ok(new == 1)
        })
    }

    /// Records a page of what was fetched from a platform, each delivery once, and where
    /// the next one begins; `None` when somebody else has recorded it meanwhile. Says how
    /// many were new.
    pub fn receive_page(&self, page: &Fetched<'_>, kb: &str, at: i64) -> Result<Option<usize>> {
        self.database.write(|connection| {
            let place = cursors::table.find((page.channel, page.account));
            let known: Option<String> = place.select(cursors::cursor).first(connection).optional()?;
            if known.as_deref().unwrap_or_default() != page.before {
                return Ok(None);
            }
            let mut new = 0;
            for job in &page.jobs {
                let added = diesel::insert_into(received::table)
                    .values((
                        received::channel.eq(page.channel),
                        received::delivery.eq(&job.id),
                        received::at.eq(at),
                    ))
                    .or_nothing()
                    .execute(connection)?;
                if added == 1 {
                    put(connection, std::slice::from_ref(job), kb, at)?;
                    new += 1;
                }
            }
            if let Some(next) = page.next {
                diesel::insert_into(cursors::table)
                    .values((
                        cursors::channel.eq(page.channel),
                        cursors::account.eq(page.account),
                        cursors::cursor.eq(next),
                    ))
                    .or("(channel, account) DO UPDATE SET cursor = excluded.cursor")
                    .execute(connection)?;
            }
            Ok(Some(new))
        })
    }

    /// Up to where what is fetched of an account was recorded; empty at the beginning.
    pub fn cursor(&self, channel: &str, account: &str) -> Result<String> {
        let found = self.database.read(|connection| {
            let place = cursors::table.find((channel, account)).select(cursors::cursor);
            Ok(place.first(connection).optional()?)
        })?;
        Ok(found.flatten().unwrap_or_default())
    }

    /// Notes how far somebody came with a job that they work on, and that nobody else gets it
    /// for `lease` milliseconds from now on; `false` when somebody else has it already.
    pub fn note_progress(&self, taken: &Taken, body: &Value, now: i64, lease: i64) -> Result<bool> {
        let rest = Span::of(now, lease);
        self.database.write_as(Durability::Written, |connection| {
            let mine = outbox::table
                .find(taken.seq)
                .filter(outbox::worker.eq(&taken.worker).and(outbox::attempts.eq(taken.attempts)));
            let noted = (
                outbox::body.eq(body.to_string()),
                outbox::rests_from.eq(rest.from),
                outbox::rests_until.eq(rest.until),
            );
            Ok(diesel::update(mine).set(noted).execute(connection)? > 0)
        })
    }

    /// Forgets deliveries that were received before a moment.
    pub fn sweep_received(&self, before: i64) -> Result<usize> {
        if !self.is_there() {
            return Ok(0);
        }
        self.database.write_as(Durability::Written, |connection| {
            Ok(diesel::delete(received::table.filter(received::at.lt(before))).execute(connection)?)
        })
    }

    /// Jobs that nobody tries any more, the latest first, those before a number.
    pub fn dead_jobs(&self, before: Option<i64>, limit: i64) -> Result<Vec<Taken>> {
        self.jobs_in("dead", before, limit)
    }

    /// Jobs that wait, the latest first, those before a number.
    pub fn due_jobs(&self, before: Option<i64>, limit: i64) -> Result<Vec<Taken>> {
        self.jobs_in("due", before, limit)
    }

    /// A job by its number.
    pub fn job(&self, seq: i64) -> Result<Option<Taken>> {
        let row = self.database.read(|connection| {
            Ok(outbox::table.find(seq).select(Taken::as_select()).first(connection).optional()?)
        })?;
        Ok(row.flatten())
    }

    fn jobs_in(&self, state: &str, before: Option<i64>, limit: i64) -> Result<Vec<Taken>> {
        let rows = self.database.read(|connection| {
            let found = outbox::table
                .filter(outbox::state.eq(state).and(outbox::seq.lt(before.unwrap_or(i64::MAX))))
                .order(outbox::seq.desc())
                .limit(limit);
            Ok(found.select(Taken::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default())
    }

    /// Makes a dead job due again, with the id that it had: a receiver that has it
    /// already can tell.
    ///
    /// # Errors
    /// [`Error::Absent`] when no dead job has the number.
    pub fn replay(&self, seq: i64, now: i64) -> Result<Taken> {
        self.database.write(|connection| {
            let dead = outbox::table.find(seq).filter(outbox::state.eq("dead"));
            let due = diesel::update(dead)
                .set((
                    outbox::state.eq("due"),
                    outbox::attempts.eq(0),
                    outbox::rests_from.eq(now),
                    outbox::rests_until.eq(now),
                ))
                .execute(connection)?;
            if due == 0 {
                return Err(Error::Absent { what: "dead letter", name: seq.to_string() }.into());
            }
            Ok(outbox::table.find(seq).select(Taken::as_select()).first(connection)?)
        })
    }

    /// Gives up what a receiver cannot be told for too long, and forgets dead jobs
    /// that were written before a moment.
    pub fn sweep_outbox(&self, before: i64) -> Result<()> {
        if !self.is_there() {
            return Ok(());
        }
        self.database.write_as(Durability::Written, |connection| {
            let old = outbox::table.filter(outbox::state.eq("dead").and(outbox::created_at.lt(before)));
            diesel::delete(old).execute(connection)?;
            let waiting: Vec<(String, i64)> = outbox::table
                .filter(outbox::state.eq("due"))
                .group_by(outbox::target)
                .select((outbox::target, diesel::dsl::count_star()))
                .load(connection)?;
            for (target, count) in waiting.into_iter().filter(|(_, count)| *count > WAITING) {
                let oldest: Vec<i64> = outbox::table
                    .filter(outbox::state.eq("due").and(outbox::target.eq(&target)))
                    .order(outbox::seq)
                    .select(outbox::seq)
                    .limit(count - WAITING)
                    .load(connection)?;
                diesel::update(outbox::table.filter(outbox::seq.eq_any(oldest)))
                    .set((outbox::state.eq("dead"), outbox::error.eq("too many wait for this receiver")))
                    .execute(connection)?;
            }
            Ok(())
        })
    }
}

/// Whether a job does not rest at a moment. A clock that was set back wakes it.
#[diesel::dsl::auto_type(no_type_alias)]
fn awake(now: i64, ahead: i64) -> _ {
    outbox::rests_until.le(now).or(outbox::rests_from.gt(ahead))
}

/// Writes jobs.
pub(super) fn put(connection: &mut Connection, jobs: &[Job], kb: &str, at: i64) -> Outcome<()> {
    for job in jobs {
        diesel::insert_into(outbox::table)
            .values((
                outbox::id.eq(&job.id),
                outbox::target.eq(&job.target),
                outbox::lane.eq(&job.lane),
                outbox::kind.eq(&job.kind),
                outbox::kb.eq(kb),
                outbox::body.eq(&job.body),
                outbox::state.eq("due"),
                outbox::attempts.eq(0),
                outbox::rests_from.eq(at),
                outbox::rests_until.eq(at),
                outbox::created_at.eq(at),
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// Writes an event for every webhook that wants it. All get it under one id.
pub(super) fn announce(
    connection: &mut Connection,
    event: &str,
    kb: &str,
    data: &Value,
    at: i64,
) -> Outcome<()> {
    let mut wanted = webhooks::all(connection)?;
    wanted.retain(|webhook| webhook.wants(event, kb));
    if wanted.is_empty() {
        return Ok(());
    }
    let id = format!("msg_{}", uuid::Uuid::now_v7().simple());
    let body = json!({"type": event, "timestamp": moment(at), "data": data}).to_string();
    let jobs: Vec<Job> = wanted
        .iter()
        .map(|webhook| Job {
            id: id.clone(),
            target: format!("webhook:{}", webhook.id),
            // Each for itself: one that fails does not keep the others.
            lane: id.clone(),
            kind: event.to_owned(),
            body: body.clone(),
        })
        .collect();
    put(connection, &jobs, kb, at)
}

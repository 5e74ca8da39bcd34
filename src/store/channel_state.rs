//! What do platforms let us do right now: with which token, and how often?
//!
//! A token is one for all processes: of those that find it old, one fetches a new one
//! and the others go on with the old one as long as that is good. Quotas count what is
//! said to a customer who says nothing.

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::Durability;
use super::database::talk::{quotas, tokens};
use super::database::upsert::OnConflict;
use super::sealed::of_channel;
use crate::dialogue::handoff::Span;
use crate::error::Result;

/// What there is to come in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// A token that is good.
    Token(String),
    /// There is none that is fresh, and the caller is the one to fetch it.
    Fetch {
        /// One that is good for a while yet, if there is one.
        old: Option<String>,
    },
    /// There is none, and somebody else fetches it.
    Wait,
}

/// What became of the count of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It may be said; so many more may be said after it.
    Left(i32),
    /// As many as there may be were said since the customer said something.
    UsedUp,
    /// The time after the customer's last words is over.
    Over,
    /// Nothing is known of the customer.
    Unknown,
}

/// Before it is over a token is fetched anew, in milliseconds: so that nobody waits.
const EARLY: i64 = 10 * 60 * 1000;

/// Whoever fetches a token and does not come back is waited for so long, in milliseconds.
const FETCHING: i64 = 30 * 1000;

impl Conversations {
    /// What a channel is let in with at a moment, or who fetches it.
    pub fn admission(&self, channel: &str, worker: &str, now: i64) -> Result<Admission> {
        let of = of_channel(channel);
        let known = self.database.read(|connection| {
            let row = tokens::table.find(channel);
            let row: Option<(Option<String>, i64, i64)> = row
                .select((tokens::value, tokens::valid_from, tokens::valid_until))
                .first(connection)
                .optional()?;
            Ok(row)
        })?;
        if let Some((Some(value), from, until)) = known.flatten()
            && (Span { from, until: until.saturating_sub(EARLY) }).holds(now)
        {
            return Ok(Admission::Token(self.seal.open(&of, &value)?));
        }
        let found = self.database.write_as(Durability::Written, |connection| {
            diesel::insert_into(tokens::table)
                .values((
                    tokens::channel.eq(channel),
                    tokens::valid_from.eq(0),
                    tokens::valid_until.eq(0),
                    tokens::fetch_from.eq(0),
                    tokens::fetch_until.eq(0),
                ))
                .or_nothing()
                .execute(connection)?;
            let row: (Option<String>, i64, i64, i64, i64) = tokens::table
                .find(channel)
                .select((
                    tokens::value,
                    tokens::valid_from,
                    tokens::valid_until,
                    tokens::fetch_from,
                    tokens::fetch_until,
                ))
                .first(connection)?;
            let (value, from, until, fetch_from, fetch_until) = row;
            let fetched = Span { from: fetch_from, until: fetch_until }.holds(now);
            if !fetched {
                let span = Span::of(now, FETCHING);
                diesel::update(tokens::table.find(channel))
                    .set((
                        tokens::fetcher.eq(worker),
                        tokens::fetch_from.eq(span.from),
                        tokens::fetch_until.eq(span.until),
                    ))
                    .execute(connection)?;
            }
            let good = Span { from, until }.holds(now);
            Ok((value.filter(|_| good), fetched))
        })?;
        let old = found.0.map(|value| self.seal.open(&of, &value)).transpose()?;
        Ok(match (old, found.1) {
            (Some(old), true) => Admission::Token(old),
            (None, true) => Admission::Wait,
            (old, false) => Admission::Fetch { old },
        })
    }

    /// Notes the token that a worker has fetched, good for so many milliseconds; `None`
    /// when it got none, so that somebody else may try.
    pub fn fetched(&self, channel: &str, worker: &str, token: Option<(&str, i64)>, now: i64) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            let sealed = match token {
                Some((value, _)) => Some(self.seal.seal(connection, &of_channel(channel), value)?),
                None => None,
            };
            let mine = tokens::table.filter(tokens::channel.eq(channel).and(tokens::fetcher.eq(worker)));
            diesel::update(mine)
                .set((
                    tokens::fetcher.eq(None::<String>),
                    tokens::fetch_from.eq(0),
                    tokens::fetch_until.eq(0),
                ))
                .execute(connection)?;
            if let (Some(sealed), Some((_, millis))) = (sealed, token) {
                let span = Span::of(now, millis);
                diesel::update(tokens::table.find(channel))
                    .set((
                        tokens::value.eq(sealed),
                        tokens::valid_from.eq(span.from),
                        tokens::valid_until.eq(span.until),
                    ))
                    .execute(connection)?;
            }
            Ok(())
        })
    }

    /// Forgets a token that the platform refuses, unless there is another one already.
    pub fn drop_token(&self, channel: &str, token: &str) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            let known: Option<Option<String>> =
                tokens::table.find(channel).select(tokens::value).first(connection).optional()?;
            let known =
                known.flatten().map(|value| self.seal.open(&of_channel(channel), &value)).transpose()?;
            if known.as_deref() == Some(token) {
                diesel::update(tokens::table.find(channel))
                    .set((tokens::value.eq(None::<String>), tokens::valid_until.eq(0)))
                    .execute(connection)?;
            }
            Ok(())
        })
    }

    /// Says how much may be said to a customer from now on, unless more may be said anyway.
    pub fn grant(&self, channel: &str, customer: &str, most: i32, millis: i64, now: i64) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            let known: Option<(i32, i32, i64, i64)> = quotas::table
                .find((channel, customer))
                .select((quotas::most, quotas::spent, quotas::from_at, quotas::until_at))
                .first(connection)
                .optional()?;
            let better = known.is_some_and(|(known, spent, from, until)| {
                Span { from, until }.holds(now) && until > now.saturating_add(millis) && known - spent >= most
            });
            if !better {
                diesel::insert_into(quotas::table)
                    .values((
                        quotas::channel.eq(channel),
                        quotas::customer.eq(customer),
                        quotas::most.eq(most),
                        quotas::spent.eq(0),
                        quotas::from_at.eq(now),
                        quotas::until_at.eq(now.saturating_add(millis)),
                    ))
                    .or("(channel, customer) DO UPDATE SET most = excluded.most, spent = excluded.spent, from_at = excluded.from_at, until_at = excluded.until_at")
                    .execute(connection)?;
            }
            Ok(())
        })
    }

    /// Counts one more message to a customer, if one more may be sent.
    pub fn spend(&self, channel: &str, customer: &str, now: i64) -> Result<Spent> {
        self.database.write_as(Durability::Written, |connection| {
            let place = quotas::table.find((channel, customer));
            let known: Option<(i32, i32, i64, i64)> = place
                .select((quotas::most, quotas::spent, quotas::from_at, quotas::until_at))
                .first(connection)
                .optional()?;
            let Some((most, spent, from, until)) = known else { return Ok(Spent::Unknown) };
            if !(Span { from, until }.holds(now)) {
                return Ok(Spent::Over);
            }
            if spent >= most {
                return Ok(Spent::UsedUp);
            }
            diesel::update(place).set(quotas::spent.eq(spent + 1)).execute(connection)?;
            Ok(Spent::Left(most - spent - 1))
        })
    }

    /// Takes back what was counted of a message that was not sent.
    pub fn unspend(&self, channel: &str, customer: &str) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            let place = quotas::table.find((channel, customer));
            diesel::update(place.filter(quotas::spent.gt(0)))
                .set(quotas::spent.eq(quotas::spent - 1))
                .execute(connection)?;
            Ok(())
        })
    }

    /// Forgets quotas that are over.
    pub fn sweep_quotas(&self, now: i64) -> Result<()> {
        if !self.is_there() {
            return Ok(());
        }
        self.database.write_as(Durability::Written, |connection| {
            // What is over is told apart from what is not known for some days more.
            let old = now.saturating_sub(7 * 24 * 60 * 60 * 1000);
            diesel::delete(quotas::table.filter(quotas::until_at.lt(old))).execute(connection)?;
            Ok(())
        })
    }
}

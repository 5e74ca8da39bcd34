//! How does a channel stand: is anything coming in, going out, left lying?

use diesel::dsl::{count_star, max};
use diesel::prelude::*;

use super::channels::Channel;
use super::conversations::Conversations;
use super::database::talk::{conversations, lines, outbox, quotas, received};
use super::database::{Connection, Outcome};
use crate::dialogue::conversation::Role;
use crate::error::Result;

/// How a channel stands; moments are in milliseconds since 1970 (UTC).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// When something came in last.
    pub last_in: Option<i64>,
    /// When somebody last said something there.
    pub last_out: Option<i64>,
    /// What is still to be said or worked on.
    pub due: i64,
    /// What nobody tries any more.
    pub dead: i64,
    /// What came of the latest attempt that failed and is not mended yet, and when it
    /// was written down.
    pub error: Option<(String, i64)>,
    /// Customers to whom something may be said now, where the platform counts that.
    pub reachable: i64,
    /// Those of them to whom as much was said as may be.
    pub used_up: i64,
}

impl Conversations {
    /// How a channel stands at a moment. `site` begins the names of the conversations
    /// of a widget, which comes through no adapter.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn standing(&self, channel: &Channel, site: Option<&str>, now: i64) -> Result<Standing> {
        let found = self.database.read(|connection| read(connection, channel, site, now))?;
        Ok(found.unwrap_or_default())
    }
}

fn read(connection: &mut Connection, channel: &Channel, site: Option<&str>, now: i64) -> Outcome<Standing> {
    let targets = [format!("channel:{}", channel.id), format!("inbox:{}", channel.id)];
    let count = |connection: &mut Connection, state: &str| -> Outcome<i64> {
        let held = outbox::table.filter(outbox::state.eq(state).and(outbox::target.eq_any(&targets)));
        Ok(held.select(count_star()).first(connection)?)
    };
    let (due, dead) = (count(connection, "due")?, count(connection, "dead")?);
    let failed = outbox::table
        .filter(outbox::state.eq_any(["due", "dead"]).and(outbox::target.eq_any(&targets)))
        .filter(outbox::error.is_not_null())
        .order(outbox::seq.desc())
        .select((outbox::error, outbox::created_at));
    let failed: Option<(Option<String>, i64)> = failed.first(connection).optional()?;
    // The latest conversation has the latest words.
    let mut latest =
        conversations::table.select(conversations::key).order(conversations::last_at.desc()).into_boxed();
    latest = match site {
        Some(begins) => latest.filter(
            conversations::kb
                .eq(&channel.kb)
                .and(conversations::via.is_null())
                .and(conversations::id.like(format!("{begins}%"))),
        ),
        None => latest.filter(conversations::via.eq(&channel.id)),
    };
    let latest: Option<i64> = latest.first(connection).optional()?;
    let mut said = |roles: &[&str]| -> Outcome<Option<i64>> {
        let Some(key) = latest else { return Ok(None) };
        let of = lines::table.filter(lines::conversation.eq(key).and(lines::role.eq_any(roles)));
        Ok(of.order(lines::seq.desc()).select(lines::at).first(connection).optional()?)
    };
    let heard = said(&[Role::Customer.name()])?;
    let last_out = said(&[Role::Bot.name(), Role::Agent.name()])?;
    let came: Option<i64> = received::table
        .filter(received::channel.eq(&channel.id))
        .select(max(received::at))
        .first(connection)?;
    let open = quotas::table
        .filter(quotas::channel.eq(&channel.id))
        .filter(quotas::from_at.le(now).and(quotas::until_at.gt(now)));
    let reachable = open.select(count_star()).first(connection)?;
    let used_up = open.filter(quotas::spent.ge(quotas::most)).select(count_star()).first(connection)?;
    Ok(Standing {
        last_in: came.max(heard),
        last_out,
        due,
        dead,
        error: failed.and_then(|(error, at)| Some((error?, at))),
        reachable,
        used_up,
    })
}

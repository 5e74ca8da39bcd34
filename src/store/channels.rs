//! Which platforms does a knowledge base answer on?

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::talk::{channels, cursors, outbox, quotas, received, tokens};
use super::database::upsert::OnConflict;
use super::sealed::of_channel;
use crate::error::{Error, Result};

/// A place on a platform where customers ask.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = channels)]
pub struct Channel {
    /// Its name, part of the address that the platform sends to.
    pub id: String,
    /// How the platform speaks: `chatwoot`, `generic`, …
    pub kind: String,
    /// The knowledge base that answers.
    pub kb: String,
    /// Addresses, secrets and limits by the kind's own rules, as JSON.
    pub settings: String,
    /// When it was made, in milliseconds since 1970 (UTC).
    pub created_at: i64,
}

impl Conversations {
    /// All channels, the oldest first.
    pub fn channels(&self) -> Result<Vec<Channel>> {
        self.seal.sweep(&self.database)?;
        let rows = self.database.read(|connection| {
            let found = channels::table.order((channels::created_at, channels::id));
            Ok(found.select(Channel::as_select()).load(connection)?)
        })?;
        rows.unwrap_or_default().into_iter().map(|row| self.with_secrets(row)).collect()
    }

    /// All channels as they lie in the database, their secrets sealed: for whoever looks
    /// at nothing else, with or without the key.
    pub fn channels_sealed(&self) -> Result<Vec<Channel>> {
        let rows = self.database.read(|connection| {
            let found = channels::table.order((channels::created_at, channels::id));
            Ok(found.select(Channel::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default())
    }

    fn with_secrets(&self, row: Channel) -> Result<Channel> {
        let settings = self.seal.open_settings(&of_channel(&row.id), &row.settings)?;
        Ok(Channel { settings, ..row })
    }

    /// A channel by its name.
    pub fn channel(&self, id: &str) -> Result<Option<Channel>> {
        self.seal.sweep(&self.database)?;
        self.channel_sealed(id)?.map(|row| self.with_secrets(row)).transpose()
    }

    /// A channel as it lies in the database, as [`Self::channels_sealed`].
    pub fn channel_sealed(&self, id: &str) -> Result<Option<Channel>> {
        let row = self.database.read(|connection| {
            Ok(channels::table.find(id).select(Channel::as_select()).first(connection).optional()?)
        })?;
        Ok(row.flatten())
    }

    /// Adds a channel.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is one of the name.
    pub fn add_channel(&self, channel: &Channel) -> Result<()> {
        self.database.write(|connection| {
            let settings =
                self.seal.seal_settings(connection, &of_channel(&channel.id), &channel.settings)?;
            let row = Channel { settings, ..channel.clone() };
            let added = diesel::insert_into(channels::table).values(&row).or_nothing().execute(connection)?;
            if added == 0 {
                let message = format!(
                    "there is a channel {:?} already; remove it first, or take another name",
                    channel.id
                );
                return Err(Error::Conflict(message).into());
            }
            Ok(())
        })
    }

    /// Changes a channel: what `change` makes of it, with its secrets open, is kept. What
    /// it was let in with is forgotten, for it may be somebody else's now.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of the name, and whatever `change` says.
    pub fn change_channel<E: From<Error>>(
        &self,
        id: &str,
        change: impl FnOnce(&Channel) -> std::result::Result<Channel, E>,
    ) -> std::result::Result<Channel, E> {
        self.seal.sweep(&self.database)?;
        // Two outcomes: what the database says, and what `change` says.
        self.database.write(|connection| {
            let row = channels::table.find(id).select(Channel::as_select()).first(connection).optional()?;
            let absent = || Error::Absent { what: "channel", name: id.to_owned() };
            let known = self.with_secrets(row.ok_or_else(absent)?)?;
            let now = match change(&known) {
                Ok(now) => now,
                Err(why) => return Ok(Err(why)),
            };
            let settings = self.seal.seal_settings(connection, &of_channel(id), &now.settings)?;
            diesel::update(channels::table.find(id))
                .set((channels::kb.eq(&now.kb), channels::settings.eq(settings)))
                .execute(connection)?;
            diesel::delete(tokens::table.filter(tokens::channel.eq(id))).execute(connection)?;
            Ok(Ok(now))
        })?
    }

    /// Removes a channel with what was not said or worked on yet.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of the name.
    pub fn remove_channel(&self, id: &str) -> Result<()> {
        self.database.write(|connection| {
            if diesel::delete(channels::table.find(id)).execute(connection)? == 0 {
                return Err(Error::Absent { what: "channel", name: id.to_owned() }.into());
            }
            let targets = [format!("channel:{id}"), format!("inbox:{id}")];
            diesel::delete(outbox::table.filter(outbox::target.eq_any(targets))).execute(connection)?;
            // One of the same name is another one.
            diesel::delete(received::table.filter(received::channel.eq(id))).execute(connection)?;
            diesel::delete(tokens::table.filter(tokens::channel.eq(id))).execute(connection)?;
            diesel::delete(cursors::table.filter(cursors::channel.eq(id))).execute(connection)?;
            diesel::delete(quotas::table.filter(quotas::channel.eq(id))).execute(connection)?;
            Ok(())
        })
    }
}

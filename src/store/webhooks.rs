//! Who wants to be told what happens?

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::talk::{outbox, webhooks};
use super::database::{Connection, Outcome};
use super::sealed::of_webhook;
use crate::error::{Error, Result};

/// A receiver of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name among all: time-ordered, not to be guessed.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Where events go.
    pub url: String,
    /// The events that it wants; all when empty.
    pub events: Vec<String>,
    /// The knowledge bases whose events it wants; all when empty.
    pub kbs: Vec<String>,
    /// What signatures are made with, `whsec_` and base64.
    pub secret: String,
    /// The secret before that one …
    pub previous: Option<String>,
    /// … and until when both sign, in milliseconds since 1970 (UTC).
    pub previous_until: Option<i64>,
    /// Whether it may be inside the house: on a private or local address.
    pub private: bool,
    /// When it was made.
    pub created_at: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = webhooks)]
struct Row {
    id: String,
    name: String,
    url: String,
    events: String,
    kbs: String,
    secret: String,
    previous: Option<String>,
    previous_until: Option<i64>,
    private: bool,
    created_at: i64,
}

impl From<Row> for Webhook {
    fn from(row: Row) -> Self {
        let list = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Self {
            id: row.id,
            name: row.name,
            url: row.url,
            events: list(&row.events),
            kbs: list(&row.kbs),
            secret: row.secret,
            previous: row.previous,
            previous_until: row.previous_until,
            private: row.private,
            created_at: row.created_at,
        }
    }
}

/// The most webhooks of a data directory: every event is written once for each.
pub const MOST: i64 = 50;

impl Webhook {
    /// Whether an event is for it.
    pub fn wants(&self, event: &str, kb: &str) -> bool {
        (self.events.is_empty() || self.events.iter().any(|wanted| wanted == event))
            && (self.kbs.is_empty() || self.kbs.iter().any(|wanted| wanted == kb))
    }
}

impl Conversations {
    /// All webhooks, the oldest first.
    pub fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.seal.sweep(&self.database)?;
        let all = self.database.read(all)?.unwrap_or_default();
        all.into_iter().map(|webhook| self.opened(webhook)).collect()
    }

    /// All webhooks as they lie in the database, their secrets sealed.
    pub fn webhooks_sealed(&self) -> Result<Vec<Webhook>> {
        Ok(self.database.read(all)?.unwrap_or_default())
    }

    fn opened(&self, webhook: Webhook) -> Result<Webhook> {
        let of = of_webhook(&webhook.id);
        let secret = self.seal.open(&of, &webhook.secret)?;
        let previous = webhook.previous.as_deref().map(|text| self.seal.open(&of, text)).transpose()?;
        Ok(Webhook { secret, previous, ..webhook })
    }

    /// A webhook by its name.
    pub fn webhook(&self, id: &str) -> Result<Option<Webhook>> {
        self.seal.sweep(&self.database)?;
        let row = self.database.read(|connection| {
            Ok(webhooks::table.find(id).select(Row::as_select()).first(connection).optional()?)
        })?;
        row.flatten().map(|row| self.opened(Webhook::from(row))).transpose()
    }

    /// Adds a webhook.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there are as many as there may be.
    pub fn add_webhook(&self, webhook: &Webhook) -> Result<()> {
        let list = |items: &[String]| serde_json::to_string(items).unwrap_or_else(|_| "[]".to_owned());
        self.database.write(|connection| {
            let count: i64 = webhooks::table.count().get_result(connection)?;
            if count >= MOST {
                let message = format!("there are {MOST} webhooks already; remove one first");
                return Err(Error::Conflict(message).into());
            }
            let row = Row {
                id: webhook.id.clone(),
                name: webhook.name.clone(),
                url: webhook.url.clone(),
                events: list(&webhook.events),
                kbs: list(&webhook.kbs),
                secret: self.seal.seal(connection, &of_webhook(&webhook.id), &webhook.secret)?,
                previous: None,
                previous_until: None,
                private: webhook.private,
                created_at: webhook.created_at,
            };
            diesel::insert_into(webhooks::table).values(row).execute(connection)?;
            Ok(())
        })
    }

    /// Signs with a new secret, and with the old one too until a moment.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of the name.
    pub fn rotate_webhook(&self, id: &str, secret: &str, previous_until: i64) -> Result<Webhook> {
        let new = self.database.write(|connection| {
            let secret = self.seal.seal(connection, &of_webhook(id), secret)?;
            let old: Option<Row> =
                webhooks::table.find(id).select(Row::as_select()).first(connection).optional()?;
            let old = old.ok_or_else(|| Error::Absent { what: "webhook", name: id.to_owned() })?;
            diesel::update(webhooks::table.find(id))
                .set((
                    webhooks::secret.eq(secret),
                    webhooks::previous.eq(&old.secret),
                    webhooks::previous_until.eq(previous_until),
                ))
                .execute(connection)?;
            let new = webhooks::table.find(id).select(Row::as_select()).first(connection)?;
            Ok(Webhook::from(new))
        })?;
        self.opened(new)
    }

    /// Removes a webhook with what it has not been told yet.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of the name.
    pub fn remove_webhook(&self, id: &str) -> Result<()> {
        self.database.write(|connection| {
            if diesel::delete(webhooks::table.find(id)).execute(connection)? == 0 {
                return Err(Error::Absent { what: "webhook", name: id.to_owned() }.into());
            }
            let target = format!("webhook:{id}");
            diesel::delete(outbox::table.filter(outbox::target.eq(target))).execute(connection)?;
            Ok(())
        })
    }
}

/// All of them, their secrets sealed.
pub(super) fn all(connection: &mut Connection) -> Outcome<Vec<Webhook>> {
    let rows: Vec<Row> = webhooks::table.order(webhooks::id).select(Row::as_select()).load(connection)?;
    Ok(rows.into_iter().map(Webhook::from).collect())
}

//! How does a customer's conversation go for good?
//!
//! With everything that hangs on it: what was said, its handoffs with their
//! proposals and news, its tickets, its pictures. SQLite overwrites what is removed, and the
//! log of writes is emptied afterwards, so that no page keeps it. What waits in
//! the outbox was promised to somebody and goes when it is delivered.

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::Durability;
use super::database::talk::{conversations, handoffs, proposals, stream, tickets};
use crate::dialogue::conversation::customer_id;
use crate::error::Result;

impl Conversations {
    /// Removes the conversations that clients call so, in all knowledge bases;
    /// gives back how many there were.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn forget(&self, id: &str) -> Result<usize> {
        if !self.is_there() {
            return Ok(0);
        }
        let keys = self.database.write_as(Durability::Synced, |connection| {
            let keys: Vec<i64> = conversations::table
                .filter(conversations::id.eq(id))
                .select(conversations::key)
                .load(connection)?;
            let ours = handoffs::table.filter(handoffs::conversation.eq_any(&keys));
            let names: Vec<String> = ours.select(handoffs::id).load(connection)?;
            diesel::delete(proposals::table.filter(proposals::handoff.eq_any(&names))).execute(connection)?;
            diesel::delete(stream::table.filter(stream::handoff.eq_any(&names))).execute(connection)?;
            diesel::delete(tickets::table.filter(tickets::conversation.eq(id))).execute(connection)?;
            // What was said and the handoffs hang on it.
            diesel::delete(conversations::table.filter(conversations::key.eq_any(&keys)))
                .execute(connection)?;
            Ok(keys)
        })?;
        self.drop_pictures(&keys)?;
        self.database.truncate_log()?;
        Ok(keys.len())
    }

    /// The clients' names of the conversations of a customer: what a client says
    /// of the customer is the id itself, or has it under `id`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn of_customer(&self, customer: &str) -> Result<Vec<String>> {
        if !self.is_there() {
            return Ok(Vec::new());
        }
        let rows: Option<Vec<(String, Option<String>)>> = self.database.read(|connection| {
            let told = conversations::table.filter(conversations::customer.is_not_null());
            Ok(told.select((conversations::id, conversations::customer)).load(connection)?)
        })?;
        let is_theirs = |told: &str| match serde_json::from_str::<serde_json::Value>(told) {
            Ok(serde_json::Value::String(id)) => id == customer,
            Ok(serde_json::Value::Object(fields)) => customer_id(&fields).as_deref() == Some(customer),
            Ok(_) => false,
            Err(_) => told == customer,
        };
        let rows = rows.unwrap_or_default().into_iter();
        Ok(rows.filter(|(_, told)| told.as_deref().is_some_and(is_theirs)).map(|(id, _)| id).collect())
    }
}

//! How does a customer's conversation go for good?
//!
//! With everything that hangs on it: what was said, its handoffs with their
//! proposals and news, its tickets, its pictures. SQLite overwrites what is removed, and the
//! log of writes is emptied afterwards, so that no page keeps it. What waits in
//! the outbox was promised to somebody and goes when it is delivered; what nobody delivers any
//! more goes, and so does what the customer has sent and nobody has heard yet.

use diesel::prelude::*;

use super::Store;
use super::conversations::Conversations;
use super::database::Durability;
use super::database::talk::{conversations, handoffs, outbox, proposals, quotas, stream, tickets};
use super::database::{Connection, Outcome};
use crate::access::moment::now;
use crate::dialogue::conversation::customer_id;
use crate::error::Result;
use crate::events::Whose;
use crate::events::compact::{Maintained, conversations_of, forget};

/// What became of somebody's data.
#[derive(Debug, Clone, Copy)]
pub struct Forgotten {
    /// Events that were made nobody's.
    pub events: u64,
    /// Conversations that are gone.
    pub conversations: usize,
    /// Files that are being written: nothing of it is shown any more, and it is erased
    /// from them later.
    pub busy: usize,
}

impl Store {
    /// Forgets somebody, or old texts, in the events, in what was learned from them and in
    /// the conversations; of a customer, with all conversations that they had. Other nodes
    /// follow within a minute.
    ///
    /// # Errors
    /// When something of it cannot be read or written. What was done until then stays, and
    /// to ask once more does the rest.
    pub fn forget(&self, whose: Whose) -> Result<Forgotten> {
        let conversations = self.conversations();
        let mut names = Vec::new();
        match &whose {
            Whose::Conversation(name) => names.push(name.clone()),
            Whose::Customer(customer) => {
                names.extend(conversations.of_customer(customer)?);
                names.extend(conversations_of(self.root(), customer)?);
                names.sort();
                names.dedup();
            }
            Whose::TextBefore(_) => {}
        }
        let mut all: Vec<Whose> = names.iter().cloned().map(Whose::Conversation).collect();
        if !matches!(whose, Whose::Conversation(_)) {
            all.push(whose);
        }
        // Should this one be broken off, the others know.
        if self.is_on_server() {
            let at = now();
            all.iter().try_for_each(|whose| self.ask_to_forget(whose, at))?;
        }
        if let Some(Whose::Customer(customer)) = all.last() {
            // How much is left to say to them lies under what a mailbox calls them.
            conversations.forget_quota(&format!("email:{customer}"))?;
        }
        let mut done = Maintained::default();
        for whose in all {
            done.join(forget(self.root(), whose)?);
        }
        self.forget_suggestions(&done.words)?;
        let mut gone = 0;
        for name in &names {
            gone += conversations.forget(name)?;
        }
        Ok(Forgotten { events: done.changed, conversations: gone, busy: done.busy })
    }
}

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
            diesel::delete(quotas::table.filter(quotas::customer.eq(id))).execute(connection)?;
            let letters = letters_of(connection, id)?;
            diesel::delete(outbox::table.filter(outbox::seq.eq_any(letters))).execute(connection)?;
            // What was said and the handoffs hang on it.
            diesel::delete(conversations::table.filter(conversations::key.eq_any(&keys)))
                .execute(connection)?;
            Ok(keys)
        })?;
        self.drop_pictures(&keys)?;
        self.database.truncate_log()?;
        Ok(keys.len())
    }

    fn forget_quota(&self, customer: &str) -> Result<()> {
        if self.is_there() {
            self.database.write_as(Durability::Written, |connection| {
                diesel::delete(quotas::table.filter(quotas::customer.eq(customer))).execute(connection)?;
                Ok(())
            })?;
        }
        Ok(())
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

/// What lies in the outbox of a conversation and is promised to nobody: dead letters, and
/// what came from the customer.
fn letters_of(connection: &mut Connection, id: &str) -> Outcome<Vec<i64>> {
    let named = serde_json::Value::from(id).to_string();
    let rows: Vec<(i64, String, String, String, String)> = outbox::table
        .filter(outbox::state.eq("dead").or(outbox::target.like("inbox:%")))
        .select((outbox::seq, outbox::target, outbox::lane, outbox::state, outbox::body))
        .load(connection)?;
    let is_theirs = |(_, target, lane, state, body): &(i64, String, String, String, String)| {
        // A channel's conversations are called after it and whoever writes.
        let heard = target.strip_prefix("inbox:").map(|channel| format!(":{channel}:{lane}"));
        heard.is_some_and(|end| id.ends_with(&end))
            || state == "dead" && (lane == id || body.contains(&named))
    };
    Ok(rows.into_iter().filter(is_theirs).map(|(seq, ..)| seq).collect())
}

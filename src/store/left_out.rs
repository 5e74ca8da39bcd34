//! What does a backup leave out?
//!
//! What opens something at other places or right now: the secrets that sign webhooks,
//! the tokens and secrets of channels, sessions, links that work once. In the place
//! of a secret stands a random one that nobody knows: after a restore nothing is
//! accepted or believed that is signed with nothing, and [`Store::left_out`] names
//! what has to be set again.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::Value;

use super::Store;
use super::database::door::{departures, links, sessions};
use super::database::talk::{channels, tokens, webhooks};
use super::database::{self, Connection, Outcome};
use super::sealed::each_secret;
use crate::access::key::random;
use crate::error::{Disk, Error, Result};

/// How the secret of a webhook begins that stands for one that was left out: 18
/// bytes, which are 24 characters of base 64.
const MARK: &[u8; 18] = b"left-out-of-backup";
/// The files of a data directory that hold such things.
const FILES: [&str; 2] = ["conversations.db", "access.db"];
/// Something whose secret was left out of the backup that it was restored from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// A webhook, by its id.
    Webhook(String),
    /// A channel, by its name.
    Channel(String),
}

/// Takes out of a copy of a database what does not belong into a backup.
pub(super) fn leave_out(name: &str, copy: &Path) -> Result<()> {
    if !FILES.contains(&name) {
        return Ok(());
    }
    let failed = |e: &dyn std::fmt::Display| Error::io("prepare for the backup", copy, Disk::source(e));
    let url = copy.to_str().ok_or_else(|| failed(&"its name is not UTF-8"))?;
    let mut connection = database::connect(url).map_err(|e| failed(&e))?;
    let done = connection.writing(|connection| match name {
        "access.db" => of_access(connection),
        _ => of_conversations(connection),
    });
    done.map_err(|failure| match failure {
        super::database::Failure::Ours(error) => error,
        super::database::Failure::Sql(error) => failed(&error),
    })?;
    connection.batch_execute("VACUUM;").map_err(|e| failed(&e))
}

fn of_access(connection: &mut Connection) -> Outcome<()> {
    // An older zhida had no people.
    if !has_table(connection, "sessions")? {
        return Ok(());
    }
    diesel::delete(sessions::table).execute(connection)?;
    diesel::delete(departures::table).execute(connection)?;
    diesel::update(links::table.filter(links::used_at.is_null()))
        .set(links::used_at.eq(links::created_at.nullable()))
        .execute(connection)?;
    Ok(())
}

fn of_conversations(connection: &mut Connection) -> Outcome<()> {
    if !has_table(connection, "webhooks")? {
        return Ok(());
    }
    let hooks: Vec<String> = webhooks::table.select(webhooks::id).load(connection)?;
    let none: Option<String> = None;
    for id in hooks {
        diesel::update(webhooks::table.find(id))
            .set((webhooks::secret.eq(unknown_secret()?), webhooks::previous.eq(&none)))
            .execute(connection)?;
    }
    // An older zhida had none.
    if has_table(connection, "tokens")? {
        diesel::delete(tokens::table).execute(connection)?;
    }
    let found: Vec<(String, String)> =
        channels::table.select((channels::id, channels::settings)).load(connection)?;
    for (id, settings) in found {
        let mut settings: Value = serde_json::from_str(&settings).unwrap_or(Value::Null);
        hide(&mut settings)?;
        diesel::update(channels::table.find(id))
            .set(channels::settings.eq(settings.to_string()))
            .execute(connection)?;
    }
    Ok(())
}

fn has_table(connection: &mut Connection, name: &str) -> Outcome<bool> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let found: Found =
        diesel::sql_query("SELECT count(*) AS count FROM sqlite_master WHERE type = 'table' AND name = ?")
            .bind::<diesel::sql_types::Text, _>(name)
            .get_result(connection)?;
    Ok(found.count > 0)
}

/// Puts unknown texts in the place of secret ones.
fn hide(value: &mut Value) -> Result<()> {
    each_secret(value, &mut |text| {
        *text = unknown_secret()?;
        Ok(())
    })
}

/// A secret as webhooks have it, which nobody knows.
fn unknown_secret() -> Result<String> {
    Ok(format!("whsec_{}{}", STANDARD.encode(MARK), STANDARD.encode(random(30)?)))
}

fn was_left_out(text: &str) -> bool {
    text.strip_prefix("whsec_").is_some_and(|rest| rest.starts_with(&STANDARD.encode(MARK)))
}

fn holds_left_out(value: &Value) -> bool {
    match value {
        Value::String(text) => was_left_out(text),
        Value::Object(fields) => fields.values().any(holds_left_out),
        Value::Array(items) => items.iter().any(holds_left_out),
        _ => false,
    }
}

impl Store {
    /// Whose secrets have to be set again because a backup left them out.
    pub fn left_out(&self) -> Result<Vec<LeftOut>> {
        let conversations = self.conversations();
        // What was left out is not sealed until somebody works here.
        let hooks = conversations.webhooks_sealed()?.into_iter().filter(|one| was_left_out(&one.secret));
        let mut all: Vec<LeftOut> = hooks.map(|one| LeftOut::Webhook(one.id)).collect();
        let channels = conversations.channels_sealed()?.into_iter();
        let lacking = channels.filter(|one| {
            serde_json::from_str(&one.settings).is_ok_and(|found: Value| holds_left_out(&found))
        });
        all.extend(lacking.map(|one| LeftOut::Channel(one.id)));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_told_from_addresses_by_their_names() {
        let mut settings = json!({
            "url": "https://a.example", "team": 3, "labels": ["人工"], "secret": "one", "app_secret": "two",
            "encoding_aes_key": "three", "nested": {"token": "four", "name": "kept"}, "tokens": ["five"],
        });
        hide(&mut settings).expect("randomness");
        let text = settings.to_string();
        for secret in ["one", "two", "three", "four", "five"] {
            assert!(!text.contains(&format!("\"{secret}\"")), "{text}");
        }
        assert_eq!((&settings["url"], &settings["team"]), (&json!("https://a.example"), &json!(3)));
        assert_eq!((&settings["nested"]["name"], &settings["labels"]), (&json!("kept"), &json!(["人工"])));
        assert!(holds_left_out(&settings) && !holds_left_out(&json!({"secret": "whsec_x"})));
        let secret = unknown_secret().expect("randomness");
        let bytes = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base 64");
        assert!((24..=64).contains(&bytes.len()) && was_left_out(&secret));
    }
}

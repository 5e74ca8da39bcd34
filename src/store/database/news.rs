//! Who is told on other machines that something was written?
//!
//! A node that has committed a change says so on a channel of the server, and the others
//! look at once instead of at their next turn. It is a hint: it may be lost with a
//! connection, or not come through a pooler at all, and then the turn brings the change.
//! Nothing on the way of an answer says anything, for the server puts all that do so in
//! one line at their commit.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Connection;

/// The channel.
const CHANNEL: &str = "zhida";

/// Hears the schema in which another node has written, or that some may have been missed.
pub(in crate::store) type Hear = Box<dyn Fn(Option<&str>) + Send + Sync>;

/// Who hears of what others write.
pub(super) struct News {
    /// This process's own name: it knows what it has written.
    own: String,
    heard: Mutex<Vec<Hear>>,
}

impl Default for News {
    fn default() -> Self {
        Self { own: uuid::Uuid::now_v7().simple().to_string(), heard: Mutex::default() }
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("News").field("own", &self.own).finish_non_exhaustive()
    }
}

impl News {
    /// Somebody hears from now on.
    pub(super) fn to(&self, hear: Hear) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(hear);
    }

    fn tell(&self, schema: Option<&str>) {
        for hear in &*self.heard.lock().unwrap_or_else(PoisonError::into_inner) {
            hear(schema);
        }
    }

    /// Says that this process has written in a schema.
    pub(super) fn say(&self, connection: &mut Connection, schema: &str) -> QueryResult<()> {
        diesel::sql_query("SELECT pg_notify($1, $2)")
            .bind::<Text, _>(CHANNEL)
            .bind::<Text, _>(format!("{schema} {}", self.own))
            .execute(connection)
            .map(drop)
    }

    /// Begins to listen over a connection; what was said before it is missed.
    pub(super) fn listen(&self, connection: &mut Connection) -> QueryResult<()> {
        connection.batch_execute(&format!("LISTEN {CHANNEL}"))?;
        self.tell(None);
        Ok(())
    }

    /// Passes on what has come over it; never waits.
    pub(super) fn pass(&self, connection: &mut Connection) -> QueryResult<()> {
        let Connection::Postgres(server) = connection else { return Ok(()) };
        for said in server.notifications_iter() {
            let said = said?;
            match said.payload.split_once(' ') {
                Some((_, who)) if who == self.own => {}
                Some((schema, _)) => self.tell(Some(schema)),
                // Somebody says it by hand, or a later zhida in another way.
                None => self.tell(None),
            }
        }
        Ok(())
    }
}

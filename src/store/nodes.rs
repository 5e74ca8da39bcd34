//! Which servers share the records?
//!
//! Every one that others may send requests to says so again and again. The records are
//! of a kind of their own: they change every second, and nothing else must look again
//! because of them. They are in no backup, and no copy of a data directory takes them along.

use std::sync::Arc;

use diesel::prelude::*;
use serde::Serialize;

use super::database::Database;
use super::database::nodes::nodes;
use super::database::upsert::OnConflict;
use super::{NODES, Store};
use crate::access::moment;
use crate::error::Result;

/// A node that has said nothing for so long is forgotten, in milliseconds: a day, for until
/// then figures say that they lack what it knows.
const FORGOTTEN: i64 = 24 * 3_600_000;

/// One that has said nothing for so many milliseconds is taken for gone.
pub const SILENT: i64 = 4_000;

/// One that leaves was heard of last so long ago, for all others: it is asked nothing.
const LEFT: i64 = 60_000;

/// The servers that share the records of a data directory and of the tenants in it.
#[derive(Debug, Clone)]
pub struct Nodes {
    database: Arc<Database>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Queryable)]
pub struct NodeRecord {
    /// Where the others reach it.
    pub url: String,
    /// The version of zhida.
    pub version: String,
    /// What another node shows it, so that it believes for whom that one asks; nothing when
    /// it has left.
    #[serde(skip)]
    pub token: String,
    /// When it was started, in milliseconds since 1970 (UTC), by the clock of the records.
    pub started_at: i64,
    /// When it was heard of last, by the same clock.
    pub seen_at: i64,
}

impl Store {
    /// The servers that share these records; those of a tenant's are the same.
    pub fn nodes(&self) -> Nodes {
        let ground = super::Ground { tenant: None, ..self.ground.clone() };
        Nodes { database: ground.database(&self.root, NODES) }
    }
}

impl Nodes {
    /// What time it is for all of them, in milliseconds since 1970 (UTC).
    pub fn now(&self) -> i64 {
        moment::now() + self.database.schema().map_or(0, |schema| schema.cluster().ahead())
    }

    /// Notes that a node is there, and tells which are known, in the order of their
    /// addresses; the node itself is among them.
    ///
    /// # Errors
    /// When the records cannot be reached.
    pub fn beat(&self, node: &NodeRecord) -> Result<Vec<NodeRecord>> {
        let now = self.now();
        self.database.write(|connection| {
            diesel::insert_into(nodes::table)
                .values((
                    nodes::url.eq(&node.url),
                    nodes::version.eq(&node.version),
                    nodes::token.eq(&node.token),
                    nodes::started_at.eq(node.started_at),
                    nodes::seen_at.eq(now),
                ))
                .or("(url) DO UPDATE SET version = excluded.version, token = excluded.token, \
                     started_at = excluded.started_at, seen_at = excluded.seen_at")
                .execute(connection)?;
            diesel::delete(nodes::table.filter(nodes::seen_at.lt(now - FORGOTTEN))).execute(connection)?;
            Ok(nodes::table.order(nodes::url).load(connection)?)
        })
    }

    /// Tells which nodes are known, in the order of their addresses, and notes none.
    ///
    /// # Errors
    /// When the records cannot be reached.
    pub fn known(&self) -> Result<Vec<NodeRecord>> {
        let known =
            self.database.read(|connection| Ok(nodes::table.order(nodes::url).load(connection)?))?;
        Ok(known.unwrap_or_default())
    }

    /// Tells which nodes vanished within the last day and are not back: they have left
    /// nothing behind but what they had kept here.
    ///
    /// # Errors
    /// When the records cannot be reached.
    pub fn vanished(&self) -> Result<Vec<String>> {
        let since = self.now() - SILENT;
        let vanished =
            self.known()?.into_iter().filter(|node| node.seen_at < since && !node.token.is_empty());
        Ok(vanished.map(|node| node.url).collect())
    }

    /// Notes that a node leaves: it is not alive from now on. One that was started anew
    /// under the same address stays.
    ///
    /// # Errors
    /// When the records cannot be reached.
    pub fn leave(&self, node: &NodeRecord) -> Result<()> {
        self.gone(&node.url, Some(&node.token))
    }

    /// Notes that whatever ran under an address does not any more: a node that was killed
    /// seems alive for a while, and the one that is started in its place is not open yet.
    ///
    /// # Errors
    /// When the records cannot be reached.
    pub fn succeed(&self, url: &str) -> Result<()> {
        self.gone(url, None)
    }

    fn gone(&self, url: &str, token: Option<&str>) -> Result<()> {
        self.database.write(|connection| {
            let own = nodes::table.filter(nodes::url.eq(url));
            let gone = (nodes::seen_at.eq(self.now() - LEFT), nodes::token.eq(""));
            match token {
                Some(token) => {
                    diesel::update(own.filter(nodes::token.eq(token))).set(gone).execute(connection)?
                }
                None => diesel::update(own).set(gone).execute(connection)?,
            };
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::database::Connection;
    use super::*;

    #[test]
    fn a_node_is_heard_of_until_it_leaves() {
        let folder = tempfile::tempdir().expect("a folder");
        let nodes = Store::at(folder.path()).nodes();
        let node = |url: &str, token: &str| NodeRecord {
            url: url.to_owned(),
            version: "1".to_owned(),
            token: token.to_owned(),
            started_at: 7,
            seen_at: 0,
        };
        let urls = |all: Vec<NodeRecord>| all.into_iter().map(|one| one.url).collect::<Vec<_>>();
        nodes.beat(&node("http://b", "1")).expect("a beat");
        let both = nodes.beat(&node("http://a", "2")).expect("a beat");
        assert_eq!(urls(both), ["http://a", "http://b"]);
        assert_eq!(urls(nodes.known().expect("both")), ["http://a", "http://b"]);
        nodes.leave(&node("http://b", "of one before")).expect("left");
        assert_eq!(urls(nodes.beat(&node("http://a", "2")).expect("a beat")), ["http://a", "http://b"]);
        nodes.leave(&node("http://b", "1")).expect("left");
        let known = nodes.beat(&node("http://a", "2")).expect("a beat");
        let heard = |one: &NodeRecord| nodes.now() - one.seen_at;
        assert!(heard(&known[0]) < 30_000 && heard(&known[1]) >= LEFT, "{known:?}");
        assert_eq!(nodes.vanished().expect("none"), [""; 0], "who leaves has not vanished");
        nodes.beat(&node("http://b", "killed")).expect("a beat");
        nodes.succeed("http://b").expect("its place is taken");
        let known = nodes.beat(&node("http://a", "2")).expect("a beat");
        assert!(heard(&known[0]) < 30_000 && heard(&known[1]) >= LEFT, "{known:?}");
        let died = |connection: &mut Connection| {
            let own = nodes::table.find("http://a");
            Ok(diesel::update(own).set(nodes::seen_at.eq(7)).execute(connection)?)
        };
        nodes.database.write(died).expect("as if it had died");
        assert_eq!(nodes.vanished().expect("one"), ["http://a"]);
        // Heard of again, but for what is older than a day.
        nodes.beat(&node("http://a", "3")).expect("a beat");
        assert_eq!(nodes.vanished().expect("none"), [""; 0]);
    }
}

//! Which nodes are there, and what does this one hold?

use axum::Json;
use serde::Serialize;
use utoipa_axum::routes;

use super::caller::Caller;
use super::error::Problems;
use super::routes::Routes;
use crate::access::Right;
use crate::dialogue::told::moment;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Operator, routes!(list))
}

/// A node.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Node {
    /// Where the others reach it.
    url: String,
    /// The version of zhida that it runs.
    version: String,
    /// When it was started, RFC 3339.
    started_at: String,
    /// When it was heard of last, RFC 3339.
    seen_at: String,
    /// Whether it is the one that says this.
    own: bool,
}

/// The nodes that share the knowledge bases.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct NodeList {
    /// Those that are alive, by their addresses; empty when this server is alone.
    items: Vec<Node>,
    /// How many of them hold each knowledge base; `null` when this server holds all.
    replicas: Option<usize>,
    /// Knowledge bases that are open at this one.
    open: usize,
    /// What they take in memory, in bytes, by estimate.
    bytes: u64,
    /// What they may take.
    budget: Option<u64>,
}

/// List the nodes that share the knowledge bases.
#[utoipa::path(
    get,
    operation_id = "list_nodes",
    path = "/v1/nodes",
    responses((status = 200, description = "The nodes, and what is open here.", body = NodeList), Problems)
)]
async fn list(caller: Caller) -> Json<NodeList> {
    let share = caller.server().share();
    let (bytes, open) = share.holding().held();
    let mut items = Vec::new();
    if let Some(nodes) = share.nodes() {
        for node in nodes.members().iter() {
            items.push(Node {
                url: node.url.clone(),
                version: node.version.clone(),
                started_at: moment(node.started_at),
                seen_at: moment(node.seen_at),
                own: node.url == nodes.me().url,
            });
        }
    }
    let replicas = share.nodes().map(super::nodes::Nodes::replicas);
    Json(NodeList { items, replicas, open, bytes, budget: share.holding().budget() })
}

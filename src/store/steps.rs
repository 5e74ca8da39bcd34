//! What made the tables, step by step?
//!
//! Steps are only added, at the end of a list and with a number above the others. While
//! the nodes of an installation are replaced one by one, older ones work on the tables of
//! newer ones: so a step adds tables, columns with a default and indexes, and nothing else.
//! What nobody needs any more goes a release later, by a step whose number ends in
//! `-takes-away`; older ones do not start on that.

use super::database::migrations::Step;

/// Those of drafts and releases.
pub(super) const DRAFTS: &[Step] = &[
    Step {
        version: "00000000000001",
        sql: include_str!("migrations/00000000000001_entries_and_releases/up.sql"),
    },
    Step {
        version: "00000000000002",
        sql: include_str!("migrations/00000000000002_queries_and_policy/up.sql"),
    },
    Step { version: "00000000000003", sql: include_str!("migrations/00000000000003_goals/up.sql") },
    Step { version: "00000000000004", sql: include_str!("migrations/00000000000004_lexicon/up.sql") },
    Step { version: "00000000000006", sql: include_str!("migrations/00000000000006_deletions/up.sql") },
    Step { version: "00000000000007", sql: include_str!("migrations/00000000000007_ignored_columns/up.sql") },
    Step { version: "00000000000008", sql: include_str!("migrations/00000000000008_service/up.sql") },
    Step { version: "00000000000009", sql: include_str!("migrations/00000000000009_suggestions/up.sql") },
    Step { version: "00000000000011", sql: include_str!("migrations/00000000000011_mapped_columns/up.sql") },
    Step { version: "00000000000021", sql: include_str!("migrations/00000000000021_evaluations/up.sql") },
    Step { version: "00000000000022", sql: include_str!("migrations/00000000000022_schedules/up.sql") },
    Step { version: "00000000000023", sql: include_str!("migrations/00000000000023_release_digests/up.sql") },
];

/// Those of conversations.
pub(super) const TALK: &[Step] = &[
    Step {
        version: "00000000000001",
        sql: include_str!("migrations_conversations/00000000000001_conversations/up.sql"),
    },
    Step {
        version: "00000000000021",
        sql: include_str!("migrations_conversations/00000000000021_desk_work/up.sql"),
    },
    Step {
        version: "00000000000022",
        sql: include_str!("migrations_conversations/00000000000022_platforms/up.sql"),
    },
    Step {
        version: "00000000000023",
        sql: include_str!("migrations_conversations/00000000000023_keeping/up.sql"),
    },
];

/// Those of keys and people.
pub(super) const DOOR: &[Step] = &[
    Step { version: "00000000000001", sql: include_str!("migrations_access/00000000000001_access/up.sql") },
    Step { version: "00000000000002", sql: include_str!("migrations_access/00000000000002_people/up.sql") },
    Step { version: "00000000000003", sql: include_str!("migrations_access/00000000000003_metered/up.sql") },
];

/// Those of releases that lie with the records.
pub(super) const RELEASES: &[Step] = &[Step {
    version: "00000000000001",
    sql: include_str!("migrations_releases/00000000000001_objects/up.sql"),
}];

/// Those of servers that share the records.
pub(super) const NODES: &[Step] =
    &[Step { version: "00000000000001", sql: include_str!("migrations_nodes/00000000000001_nodes/up.sql") }];

//! What did the engine propose to people at the desk, and what did they make of it?
//!
//! An answer that a person takes as it is, changes or passes over is the best
//! word there is on whether the engine was right.

use diesel::prelude::*;

use super::conversations::Conversations;
use super::database::Durability;
use super::database::talk::proposals;
use super::database::upsert::OnConflict;
use crate::error::Result;

/// An answer that was proposed for a message of the customer.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = proposals)]
pub struct Proposal {
    /// The handoff.
    pub handoff: String,
    /// The number of the customer's line in the conversation.
    pub seq: i64,
    /// The entry.
    pub entry: String,
    /// The probability that it is right.
    pub confidence: f64,
    /// The authored answer.
    pub text: String,
    /// The knowledge base.
    pub kb: String,
    /// The customer's words.
    pub question: String,
    /// `proposed`, `taken`, `edited` or `ignored`.
    pub verdict: String,
    /// What was sent instead, when it was edited or ignored.
    pub sent: Option<String>,
    /// Who decided.
    pub agent: Option<String>,
    /// When it was proposed or decided, in milliseconds since 1970 (UTC).
    pub at: i64,
}

impl Conversations {
    /// Notes what was proposed; what was decided on already stays decided.
    pub fn propose(&self, proposed: &[Proposal]) -> Result<()> {
        if proposed.is_empty() {
            return Ok(());
        }
        self.database.write_as(Durability::Written, |connection| {
            for proposal in proposed {
                diesel::insert_into(proposals::table).values(proposal).or_nothing().execute(connection)?;
            }
            Ok(())
        })
    }

    /// What was proposed in a handoff and is not decided on yet.
    pub fn undecided(&self, handoff: &str) -> Result<Vec<Proposal>> {
        let rows = self.database.read(|connection| {
            let found = proposals::table
                .filter(proposals::handoff.eq(handoff).and(proposals::verdict.eq("proposed")))
                .order((proposals::seq, proposals::confidence.desc()));
            Ok(found.select(Proposal::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default())
    }

    /// Notes what became of proposals.
    pub fn decide(&self, decided: &[Proposal]) -> Result<()> {
        if decided.is_empty() {
            return Ok(());
        }
        self.database.write_as(Durability::Written, |connection| {
            for proposal in decided {
                diesel::insert_into(proposals::table)
                    .values(proposal)
                    .or("(handoff, seq, entry) DO UPDATE SET verdict = excluded.verdict, sent = excluded.sent, agent = excluded.agent, at = excluded.at")
                    .execute(connection)?;
            }
            Ok(())
        })
    }

    /// What was decided on in a knowledge base since a moment, in order.
    pub fn verdicts(&self, kb: &str, since: i64, limit: i64) -> Result<Vec<Proposal>> {
        let rows = self.database.read(|connection| {
            let found = proposals::table
                .filter(
                    proposals::kb.eq(kb).and(proposals::at.ge(since)).and(proposals::verdict.ne("proposed")),
                )
                .order((proposals::at, proposals::handoff, proposals::seq))
                .limit(limit);
            Ok(found.select(Proposal::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default())
    }
}

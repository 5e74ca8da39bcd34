//! Which conversations are there, and what was said in them?
//!
//! A conversation has an owner and a version. Whoever changes it says which
//! version they have seen, and if somebody was faster nothing happens: they look
//! again. What was said has the robot's and the customer's words in the order in
//! which they were recorded, by numbers and not by a clock.

use std::path::PathBuf;
use std::sync::Arc;

use diesel::prelude::*;
use serde_json::json;

use super::Store;
use super::database::talk::{conversations, lines};
use super::database::{Connection, Database, Durability, Failure, Noted, Outcome};
use super::handoffs::NewHandoff;
use super::outbox::{self, Job};
use super::sealed::Seal;
use super::{handoffs, pictures, stream};
use crate::dialogue::conversation::{Line, Owner, Role};
use crate::error::{Error, Result};

/// All conversations of a data directory with what belongs to them: handoffs,
/// tickets, webhooks, channels and what is to be delivered.
#[derive(Debug, Clone)]
pub struct Conversations {
    pub(super) database: Arc<Database>,
    pub(super) seal: Arc<Seal>,
    /// Where pictures lie.
    pub(super) files: PathBuf,
}

/// A conversation at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its number in the database.
    pub key: i64,
    /// The knowledge base that answers in it.
    pub kb: String,
    /// The client's name for it.
    pub id: String,
    /// Who has the word.
    pub owner: Owner,
    /// Which change this is.
    pub version: i64,
    /// What the next message is read in the light of, as JSON.
    pub context: Option<String>,
    /// Where the customer is.
    pub channel: Option<String>,
    /// What the client says of the customer, as JSON.
    pub customer: Option<String>,
    /// The adapter that it came through.
    pub via: Option<String>,
    /// Where it is there, as JSON.
    pub address: Option<String>,
    /// The handoff that is open.
    pub handoff: Option<String>,
    /// The number of the last line.
    pub last_seq: i64,
    /// When it began, in milliseconds since 1970 (UTC).
    pub started_at: i64,
    /// When something happened last.
    pub last_at: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = conversations)]
struct Row {
    key: i64,
    kb: String,
    id: String,
    owner: String,
    version: i64,
    context: Option<String>,
    channel: Option<String>,
    customer: Option<String>,
    via: Option<String>,
    address: Option<String>,
    handoff: Option<String>,
    last_seq: i64,
    started_at: i64,
    last_at: i64,
}

impl From<Row> for Conversation {
    fn from(row: Row) -> Self {
        Self {
            key: row.key,
            kb: row.kb,
            id: row.id,
            // A word that nobody knows is nobody who could answer; the robot can.
            owner: Owner::named(&row.owner).unwrap_or(Owner::Bot),
            version: row.version,
            context: row.context,
            channel: row.channel,
            customer: row.customer,
            via: row.via,
            address: row.address,
            handoff: row.handoff,
            last_seq: row.last_seq,
            started_at: row.started_at,
            last_at: row.last_at,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = lines)]
struct LineRow {
    seq: i64,
    role: String,
    text: String,
    at: i64,
    author: Option<String>,
    trace_id: Option<String>,
    decision: Option<String>,
    data: Option<String>,
    client_id: Option<String>,
}

impl From<LineRow> for Line {
    fn from(row: LineRow) -> Self {
        Self {
            seq: row.seq,
            role: Role::named(&row.role).unwrap_or(Role::Event),
            text: row.text,
            at: row.at,
            author: row.author,
            trace_id: row.trace_id,
            decision: row.decision,
            data: row.data.and_then(|data| serde_json::from_str(&data).ok()),
            client_id: row.client_id,
        }
    }
}

/// Something that is to be recorded as said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewLine {
    /// Whose it is; nobody's when there is none.
    pub role: Option<Role>,
    /// The words.
    pub text: String,
    /// Who, when a person says it.
    pub author: Option<String>,
    /// Names the robot's decision.
    pub trace_id: Option<String>,
    /// The robot's decision.
    pub decision: Option<String>,
    /// What stands beside the words, as JSON.
    pub data: Option<String>,
    /// The client's name for the message.
    pub client_id: Option<String>,
}

impl NewLine {
    /// Words of somebody.
    pub fn of(role: Role, text: impl Into<String>) -> Self {
        Self { role: Some(role), text: text.into(), ..Self::default() }
    }
}

/// Which conversation something is recorded in.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// One that was not there when it was looked for.
    New {
        /// The knowledge base.
        kb: &'a str,
        /// The client's name for it.
        id: &'a str,
        /// The adapter that it comes through.
        via: Option<&'a str>,
        /// Where it is there, as JSON.
        address: Option<&'a str>,
    },
    /// One that was looked at.
    Known(&'a Conversation),
}

/// A message and what came of it.
#[derive(Debug, Clone)]
pub struct Heard<'a> {
    /// The conversation.
    pub place: Place<'a>,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// What was said, in order.
    pub lines: Vec<NewLine>,
    /// What the next message is to be read in the light of, as JSON; `None` leaves it.
    pub context: Option<String>,
    /// Where the customer is now; `None` leaves it.
    pub channel: Option<&'a str>,
    /// What is said of the customer, as JSON; `None` leaves it.
    pub customer: Option<&'a str>,
    /// Where it is with the adapter now, as JSON; `None` leaves it. Some addresses are
    /// good for an hour only, and each message brings a new one.
    pub address: Option<&'a str>,
    /// Who has the word from now on.
    pub owner: Owner,
    /// The handoff that this opens.
    pub handoff: Option<NewHandoff>,
    /// Whether people must see the words at once: the handoff that waits says so from now on.
    pub urgent: bool,
    /// What is to be told to webhooks and channels.
    pub jobs: Vec<Job>,
}

impl<'a> Heard<'a> {
    /// Nothing but who has the word: what else there is to say of it is added.
    pub fn of(place: Place<'a>, at: i64, owner: Owner) -> Self {
        Self {
            place,
            at,
            lines: Vec::new(),
            context: None,
            channel: None,
            customer: None,
            address: None,
            owner,
            handoff: None,
            urgent: false,
            jobs: Vec::new(),
        }
    }
}

/// The most lines of a conversation that are kept; the oldest go.
const LINES: i64 = 10_000;

impl Store {
    /// The conversations of this data directory.
    pub fn conversations(&self) -> Conversations {
        let files = self.root.join(pictures::FOLDER);
        Conversations { database: Arc::clone(&self.conversations), seal: Arc::clone(&self.seal), files }
    }
}

impl Conversations {
    /// How far the clock that all who work on them share is ahead of this machine's, in
    /// milliseconds: that of the server that holds them, if one does.
    pub fn ahead(&self) -> i64 {
        self.database.schema().map_or(0, |schema| schema.cluster().ahead())
    }

    /// What can be told of them without asking: while it is the same, nobody has recorded
    /// anything. `None` where that cannot be told.
    pub fn noted(&self) -> Option<Noted> {
        self.database.noted()
    }

    /// Whether anything was ever recorded here: whoever only looks makes no file.
    pub fn is_there(&self) -> bool {
        self.database.is_there()
    }

    /// The conversation of a knowledge base under the client's name.
    pub fn find(&self, kb: &str, id: &str) -> Result<Option<Conversation>> {
        let row = self.database.read(|connection| {
            let found = conversations::table.filter(conversations::kb.eq(kb).and(conversations::id.eq(id)));
            Ok(found.select(Row::as_select()).first(connection).optional()?)
        })?;
        Ok(row.flatten().map(Conversation::from))
    }

    /// The conversations under a name in all knowledge bases, the latest first.
    pub fn find_all(&self, id: &str) -> Result<Vec<Conversation>> {
        let rows = self.database.read(|connection| {
            let found = conversations::table.filter(conversations::id.eq(id));
            let ordered = found.order((conversations::last_at.desc(), conversations::key.desc()));
            Ok(ordered.select(Row::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default().into_iter().map(Conversation::from).collect())
    }

    /// A conversation by its number.
    pub fn by_key(&self, key: i64) -> Result<Option<Conversation>> {
        let row = self.database.read(|connection| Ok(by_key(connection, key)?))?;
        Ok(row.flatten())
    }

    /// What was said after a line, in order; at most `limit` lines.
    pub fn lines(&self, key: i64, after: i64, limit: i64) -> Result<Vec<Line>> {
        let rows = self.database.read(|connection| {
            let found = lines::table.filter(lines::conversation.eq(key).and(lines::seq.gt(after)));
            Ok(found.order(lines::seq).limit(limit).select(LineRow::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default().into_iter().map(Line::from).collect())
    }

    /// The last lines up to one, in order.
    pub fn last_lines(&self, key: i64, limit: i64) -> Result<Vec<Line>> {
        let rows = self.database.read(|connection| Ok(last_lines(connection, key, limit)?))?;
        Ok(rows.unwrap_or_default())
    }

    /// What followed a message that was heard before under the same name of the
    /// client, up to the next message of the customer; empty when it was not heard.
    pub fn heard_before(&self, key: i64, client_id: &str) -> Result<Vec<Line>> {
        let rows = self.database.read(|connection| {
            let of_it = lines::table.filter(lines::conversation.eq(key));
            let first: Option<i64> = of_it
                .filter(lines::client_id.eq(client_id))
                .select(lines::seq)
                .first(connection)
                .optional()?;
            let Some(first) = first else { return Ok(Vec::new()) };
            let next: Option<i64> = of_it
                .filter(lines::seq.gt(first).and(lines::role.eq(Role::Customer.name())))
                .select(diesel::dsl::min(lines::seq))
                .first(connection)?;
            let until = next.unwrap_or(i64::MAX);
            let all = of_it.filter(lines::seq.ge(first).and(lines::seq.lt(until))).order(lines::seq);
            Ok(all.select(LineRow::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default().into_iter().map(Line::from).collect())
    }

    /// Records a message with what came of it, all of it or nothing; `None` when
    /// somebody was faster and the caller must look again.
    ///
    /// Words of the robot are in the system's hands when this returns, and no end
    /// of the process loses them. What somebody is owed (a handoff, a message for
    /// a person, anything to deliver) is on the disk.
    pub fn record(&self, heard: &Heard<'_>) -> Result<Option<Conversation>> {
        let waited = matches!(heard.place, Place::Known(known) if known.owner == Owner::Queued);
        let owed = heard.handoff.is_some() || !heard.jobs.is_empty() || heard.owner != Owner::Bot || waited;
        let durability = if owed { Durability::Synced } else { Durability::Written };
        self.database.write_as(durability, |connection| {
            let known = match heard.place {
                Place::Known(known) => {
                    let mine = conversations::table.find(known.key);
                    let same = mine.filter(conversations::version.eq(known.version));
                    let changed = diesel::update(same)
                        .set(conversations::version.eq(known.version + 1))
                        .execute(connection)?;
                    if changed == 0 {
                        return Ok(None);
                    }
                    known.clone()
                }
                Place::New { kb, id, via, address } => {
                    let known = conversations::table
                        .filter(conversations::kb.eq(kb).and(conversations::id.eq(id)))
                        .count();
                    if known.get_result::<i64>(connection)? > 0 {
                        return Ok(None);
                    }
                    let key: i64 = diesel::insert_into(conversations::table)
                        .values((
                            conversations::kb.eq(kb),
                            conversations::id.eq(id),
                            // Whoever has it from this message on is told as in any other.
                            conversations::owner.eq(Owner::Bot.name()),
                            conversations::version.eq(0),
                            conversations::via.eq(via),
                            conversations::address.eq(address),
                            conversations::last_seq.eq(0),
                            conversations::started_at.eq(heard.at),
                            conversations::last_at.eq(heard.at),
                        ))
                        .returning(conversations::key)
                        .get_result(connection)?;
                    let made: Row =
                        conversations::table.find(key).select(Row::as_select()).first(connection)?;
                    made.into()
                }
            };
            let opened = heard.handoff.as_ref().map(|handoff| handoff.id.clone());
            let mut now = Conversation {
                owner: heard.owner,
                version: known.version + 1,
                context: heard.context.clone().or(known.context.clone()),
                channel: heard.channel.map(str::to_owned).or(known.channel.clone()),
                customer: heard.customer.map(str::to_owned).or(known.customer.clone()),
                address: heard.address.map(str::to_owned).or(known.address.clone()),
                handoff: opened.or(known.handoff.clone()).filter(|_| heard.owner != Owner::Bot),
                last_at: heard.at,
                ..known.clone()
            };
            let mut added = heard.lines.clone();
            if known.owner == Owner::Closed && heard.owner != Owner::Closed {
                // It begins anew with this message.
                added.insert(0, NewLine::of(Role::Event, Owner::Bot.name()));
            }
            // Whoever waits and has the robot's word again waits no longer.
            let withdrawn =
                known.handoff.as_ref().filter(|_| known.owner == Owner::Queued && heard.owner == Owner::Bot);
            if known.owner != heard.owner && (heard.owner != Owner::Bot || withdrawn.is_some()) {
                added.push(NewLine::of(Role::Event, heard.owner.name()));
            }
            now.last_seq = add_lines(connection, now.key, now.last_seq, heard.at, &added)?;
            save(connection, &now)?;
            if let Some(handoff) = &heard.handoff {
                handoffs::open(connection, &now, handoff, heard.at)?;
            } else if let Some(handoff) = withdrawn {
                let said = customer_words(&added).unwrap_or_default();
                handoffs::withdraw(connection, &now, handoff, said, heard.at)?;
            } else if let (Some(handoff), Some(said)) = (&now.handoff, customer_words(&added)) {
                if heard.urgent {
                    handoffs::press(connection, handoff, said, heard.at)?;
                }
                stream::tell(connection, &now.kb, "message", handoff, said, heard.at)?;
                let behind = added.iter().rev().take_while(|line| line.role != Some(Role::Customer)).count();
                let body = json!({
                    "conversation": now.id, "kb": now.kb, "handoff": handoff, "channel": now.channel,
                    "seq": now.last_seq - i64::try_from(behind).unwrap_or(0), "text": said,
                });
                outbox::announce(connection, "message.received", &now.kb, &body, heard.at)?;
            }
            outbox::put(connection, &heard.jobs, &now.kb, heard.at)?;
            Ok(Some(now))
        })
    }

    /// Notes what the next message is to be read in the light of, without
    /// recording anything as said. Says whether nobody was faster.
    pub fn note_context(&self, known: &Conversation, context: &str) -> Result<bool> {
        self.database.write_as(Durability::Written, |connection| {
            let mine = conversations::table.find(known.key).filter(conversations::version.eq(known.version));
            let changed = diesel::update(mine)
                .set((conversations::version.eq(known.version + 1), conversations::context.eq(context)))
                .execute(connection)?;
            Ok(changed == 1)
        })
    }
}

/// The last words of the customer among some lines.
fn customer_words(added: &[NewLine]) -> Option<&str> {
    added.iter().rev().find(|line| line.role == Some(Role::Customer)).map(|line| line.text.as_str())
}

pub(super) fn by_key(
    connection: &mut Connection,
    key: i64,
) -> std::result::Result<Option<Conversation>, diesel::result::Error> {
    let row = conversations::table.find(key).select(Row::as_select()).first(connection).optional()?;
    Ok(row.map(Conversation::from))
}

pub(super) fn last_lines(
    connection: &mut Connection,
    key: i64,
    limit: i64,
) -> std::result::Result<Vec<Line>, diesel::result::Error> {
    let found = lines::table.filter(lines::conversation.eq(key)).order(lines::seq.desc()).limit(limit);
    let mut rows: Vec<LineRow> = found.select(LineRow::as_select()).load(connection)?;
    rows.reverse();
    Ok(rows.into_iter().map(Line::from).collect())
}

/// Writes what has changed of a conversation that nobody else changes meanwhile.
pub(super) fn save(connection: &mut Connection, now: &Conversation) -> Outcome<()> {
    diesel::update(conversations::table.find(now.key))
        .set((
            conversations::owner.eq(now.owner.name()),
            conversations::version.eq(now.version),
            conversations::context.eq(&now.context),
            conversations::channel.eq(&now.channel),
            conversations::customer.eq(&now.customer),
            conversations::address.eq(&now.address),
            conversations::handoff.eq(&now.handoff),
            conversations::last_seq.eq(now.last_seq),
            conversations::last_at.eq(now.last_at),
        ))
        .execute(connection)?;
    Ok(())
}

/// Adds lines behind the last one; gives back the new last number.
pub(super) fn add_lines(
    connection: &mut Connection,
    key: i64,
    last: i64,
    at: i64,
    added: &[NewLine],
) -> Outcome<i64> {
    let mut seq = last;
    for line in added {
        seq += 1;
        let told = diesel::insert_into(lines::table)
            .values((
                lines::conversation.eq(key),
                lines::seq.eq(seq),
                lines::role.eq(line.role.unwrap_or(Role::Event).name()),
                // Not every database can keep U+0000, and it says nothing.
                lines::text.eq(line.text.replace('\0', "")),
                lines::at.eq(at),
                lines::author.eq(&line.author),
                lines::trace_id.eq(&line.trace_id),
                lines::decision.eq(&line.decision),
                lines::data.eq(&line.data),
                lines::client_id.eq(&line.client_id),
            ))
            .execute(connection);
        match told {
            Ok(_) => {}
            Err(diesel::result::Error::DatabaseError(
                diesel::result::DatabaseErrorKind::UniqueViolation,
                _,
            )) => {
                let message = "a message with this client id is being heard already".to_owned();
                return Err(Failure::Ours(Error::Conflict(message)));
            }
            Err(e) => return Err(e.into()),
        }
    }
    if last / LINES != seq / LINES {
        let old = lines::table.filter(lines::conversation.eq(key).and(lines::seq.le(seq - LINES)));
        diesel::delete(old).execute(connection)?;
    }
    Ok(seq)
}

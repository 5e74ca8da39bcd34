//! Which questions did customers leave behind, and what became of them?

use diesel::prelude::*;
use serde_json::{Map, Value, json};

use super::conversations::Conversations;
use super::database::talk::{ticket_notes, tickets};
use super::database::{Connection, Outcome};
use super::outbox;
use crate::dialogue::ticket::{NOTES, TicketState};
use crate::dialogue::told::moment;
use crate::error::{Error, Result};

/// A ticket.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticket {
    /// Its number, which the customer is told.
    pub number: i64,
    /// The knowledge base.
    pub kb: String,
    /// The client's name for the conversation that it came from.
    pub conversation: Option<String>,
    /// How far it is.
    pub state: TicketState,
    /// Which change this is.
    pub version: i64,
    /// Who sees to it.
    pub assignee: Option<String>,
    /// Where it came from.
    pub channel: Option<String>,
    /// What was filled in, in the form's order.
    pub fields: Map<String, Value>,
    /// What was said before, in one paragraph.
    pub summary: String,
    /// What was noted on it, in order.
    pub notes: Vec<Note>,
    /// When it was made, in milliseconds since 1970 (UTC).
    pub created_at: i64,
    /// When it was changed last.
    pub updated_at: i64,
}

/// A note on a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = ticket_notes)]
pub struct Note {
    /// Who wrote it.
    pub author: String,
    /// The words.
    pub text: String,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// A ticket that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTicket<'a> {
    /// The knowledge base.
    pub kb: &'a str,
    /// The conversation that it comes from.
    pub conversation: Option<&'a str>,
    /// Where it comes from.
    pub channel: Option<&'a str>,
    /// What was filled in.
    pub fields: &'a Map<String, Value>,
    /// What was said before.
    pub summary: &'a str,
    /// The client's name for it: the same one is not made twice.
    pub client_id: Option<&'a str>,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// What is to change of a ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketChange {
    /// Its new state.
    pub state: Option<TicketState>,
    /// Who sees to it from now on; the inner `None` for nobody.
    pub assignee: Option<Option<String>>,
    /// A note to add.
    pub note: Option<String>,
    /// Which change it is meant for; any when there is none.
    pub version: Option<i64>,
}

/// Which tickets are wanted, the latest first.
#[derive(Debug, Clone, Copy, Default)]
pub struct WantedTickets<'a> {
    /// In this state.
    pub state: Option<TicketState>,
    /// Of this person.
    pub assignee: Option<&'a str>,
    /// Of these knowledge bases; all when there is no list.
    pub kbs: Option<&'a [String]>,
    /// With a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tickets)]
struct Row {
    number: i64,
    kb: String,
    conversation: Option<String>,
    state: String,
    version: i64,
    assignee: Option<String>,
    channel: Option<String>,
    fields: String,
    summary: String,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn into_ticket(self, notes: Vec<Note>) -> Ticket {
        Ticket {
            number: self.number,
            kb: self.kb,
            conversation: self.conversation,
            state: TicketState::named(&self.state).unwrap_or(TicketState::Open),
            version: self.version,
            assignee: self.assignee,
            channel: self.channel,
            fields: serde_json::from_str(&self.fields).unwrap_or_default(),
            summary: self.summary,
            notes,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

impl Ticket {
    /// The ticket as desks, exports and webhooks read it.
    pub fn told(&self) -> Value {
        let notes: Vec<Value> = self
            .notes
            .iter()
            .map(|note| json!({"author": note.author, "text": note.text, "at": moment(note.at)}))
            .collect();
        json!({
            "number": self.number, "kb": self.kb, "conversation": self.conversation,
            "state": self.state.name(), "version": self.version, "assignee": self.assignee,
            "channel": self.channel, "fields": self.fields, "summary": self.summary, "notes": notes,
            "created_at": moment(self.created_at), "updated_at": moment(self.updated_at),
        })
    }
}

impl Conversations {
    /// Makes a ticket, or gives back the one that was made under the same name
    /// of the client.
    pub fn make_ticket(&self, new: &NewTicket<'_>) -> Result<Ticket> {
        self.database.write(|connection| {
            if let Some(client_id) = new.client_id {
                let same = tickets::table
                    .filter(tickets::kb.eq(new.kb).and(tickets::client_id.eq(client_id)))
                    .select(tickets::number);
                let made: Option<i64> = same.first(connection).optional()?;
                if let Some(number) = made {
                    return load(connection, number);
                }
            }
            let number: i64 = diesel::insert_into(tickets::table)
                .values((
                    tickets::kb.eq(new.kb),
                    tickets::conversation.eq(new.conversation),
                    tickets::state.eq(TicketState::Open.name()),
                    tickets::version.eq(0),
                    tickets::channel.eq(new.channel),
                    tickets::fields.eq(Value::Object(new.fields.clone()).to_string()),
                    tickets::summary.eq(new.summary),
                    tickets::client_id.eq(new.client_id),
                    tickets::created_at.eq(new.at),
                    tickets::updated_at.eq(new.at),
                ))
                .returning(tickets::number)
                .get_result(connection)?;
            let row: Row = tickets::table.find(number).select(Row::as_select()).first(connection)?;
            let ticket = row.into_ticket(Vec::new());
            outbox::announce(connection, "ticket.created", &ticket.kb, &ticket.told(), new.at)?;
            Ok(ticket)
        })
    }

    /// A ticket by its number.
    pub fn ticket(&self, number: i64) -> Result<Option<Ticket>> {
        let found = self.database.read(|connection| match load(connection, number) {
            Err(super::database::Failure::Ours(Error::Absent { .. })) => Ok(None),
            other => other.map(Some),
        })?;
        Ok(found.flatten())
    }

    /// Tickets, the latest first.
    pub fn tickets(&self, wanted: &WantedTickets<'_>) -> Result<Vec<Ticket>> {
        let found = self.database.read(|connection| {
            let mut found = tickets::table.into_boxed();
            if let Some(before) = wanted.before {
                found = found.filter(tickets::number.lt(before));
            }
            if let Some(state) = wanted.state {
                found = found.filter(tickets::state.eq(state.name()));
            }
            if let Some(assignee) = wanted.assignee {
                found = found.filter(tickets::assignee.eq(assignee));
            }
            if let Some(kbs) = wanted.kbs {
                found = found.filter(tickets::kb.eq_any(kbs));
            }
            let ordered = found.order(tickets::number.desc()).limit(wanted.limit);
            let rows: Vec<Row> = ordered.select(Row::as_select()).load(connection)?;
            let mut all = Vec::with_capacity(rows.len());
            for row in rows {
                let notes = notes(connection, row.number)?;
                all.push(row.into_ticket(notes));
            }
            Ok(all)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Changes a ticket.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of the number, [`Error::Stale`] when
    /// somebody else has changed it, and [`Error::Conflict`] when its state does
    /// not allow it.
    pub fn change_ticket(&self, number: i64, change: &TicketChange, author: &str, at: i64) -> Result<Ticket> {
        self.database.write(|connection| {
            let known = load(connection, number)?;
            if change.version.is_some_and(|version| version != known.version) {
                let what = format!("ticket {number}");
                return Err(Error::Stale { what, current: Some(known.version) }.into());
            }
            let state = change.state.unwrap_or(known.state);
            // What is done with is opened again before anybody works on it.
            let works = change.note.is_some()
                || change.assignee.as_ref().is_some_and(|assignee| *assignee != known.assignee);
            let stays_closed = known.state == TicketState::Closed && state == TicketState::Closed;
            if !known.state.may_become(state) || stays_closed && works {
                let message = format!("ticket {number} is closed; open it before anything else");
                return Err(Error::Conflict(message).into());
            }
            let assignee = change.assignee.clone().unwrap_or(known.assignee);
            diesel::update(tickets::table.find(number))
                .set((
                    tickets::state.eq(state.name()),
                    tickets::version.eq(known.version + 1),
                    tickets::assignee.eq(assignee),
                    tickets::updated_at.eq(at),
                ))
                .execute(connection)?;
            if let Some(text) = &change.note {
                if known.notes.len() >= NOTES {
                    let message = format!("ticket {number} has {NOTES} notes already");
                    return Err(Error::Conflict(message).into());
                }
                diesel::insert_into(ticket_notes::table)
                    .values((
                        ticket_notes::ticket.eq(number),
                        ticket_notes::seq.eq(i64::try_from(known.notes.len()).unwrap_or(i64::MAX)),
                        ticket_notes::author.eq(author),
                        ticket_notes::text.eq(text),
                        ticket_notes::at.eq(at),
                    ))
                    .execute(connection)?;
            }
            let ticket = load(connection, number)?;
            outbox::announce(connection, "ticket.updated", &ticket.kb, &ticket.told(), at)?;
            Ok(ticket)
        })
    }
}

fn load(connection: &mut Connection, number: i64) -> Outcome<Ticket> {
    let row: Option<Row> =
        tickets::table.find(number).select(Row::as_select()).first(connection).optional()?;
    let row = row.ok_or_else(|| Error::Absent { what: "ticket", name: number.to_string() })?;
    let notes = notes(connection, number)?;
    Ok(row.into_ticket(notes))
}

fn notes(connection: &mut Connection, number: i64) -> Outcome<Vec<Note>> {
    let found = ticket_notes::table.filter(ticket_notes::ticket.eq(number)).order(ticket_notes::seq);
    Ok(found.select(Note::as_select()).load(connection)?)
}

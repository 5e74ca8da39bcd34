//! Which conversations were given to people, and who has them?
//!
//! A handoff, its conversation's owner, the line in the conversation, the news
//! for the desks and what webhooks and channels are to be told change in one
//! transaction: whatever kills the process, they agree.

use diesel::dsl::not;
use diesel::prelude::*;
use serde_json::{Value, json};

use super::conversations::{self, Conversations, NewLine};
use super::database::talk::{handoffs, lines, notes as noted};
use super::database::{Connection, Failure, Outcome, lower};
use super::notes;
use super::outbox::{self, Job};
use super::pattern::{ESCAPE, holding};
use super::stream;
use super::tickets::Note;
use crate::dialogue::conversation::{Owner, Role};
use crate::dialogue::handoff::{
    Candidate, Handoff, LEASE, Shown, Span, State, Step, URGENT, Waited, is_urgent, ranked,
};
use crate::dialogue::told::{TRANSCRIPT, ToldHandoff};
use crate::error::{Error, Result};

/// A handoff that is to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct NewHandoff {
    /// Its name.
    pub id: String,
    /// Why.
    pub reason: String,
    /// The rule that said so.
    pub rule: Option<String>,
    /// The message.
    pub question: String,
    /// The same as the matchers read it.
    pub normalized: String,
    /// What came nearest.
    pub candidates: Vec<Candidate>,
    /// What was answered before.
    pub shown: Vec<Shown>,
    /// One paragraph.
    pub summary: String,
    /// The release that was asked.
    pub release: String,
}

/// What somebody at a desk does.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// The step.
    pub step: Step,
    /// Who.
    pub agent: &'a str,
    /// Whether they have said who they are: two who have not are not the same.
    pub named: bool,
    /// What they say to the customer.
    pub text: Option<&'a str>,
    /// What stands beside it, as JSON.
    pub data: Option<&'a str>,
    /// Who has it from then on, when that is another one.
    pub to: Option<&'a str>,
    /// What colleagues are told and no customer sees.
    pub note: Option<&'a str>,
    /// The desk's name for the message: the same one is not sent twice.
    pub client_id: Option<&'a str>,
    /// How long a claim holds if nothing is done, in milliseconds.
    pub lease: i64,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
}

impl<'a> Act<'a> {
    /// A step of somebody who has said who they are.
    pub fn of(step: Step, agent: &'a str, at: i64) -> Self {
        Self {
            step,
            agent,
            named: true,
            text: None,
            data: None,
            to: None,
            note: None,
            client_id: None,
            lease: LEASE,
            at,
        }
    }
}

/// Which handoffs are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// In these states; all when empty.
    pub states: &'a [State],
    /// Of these knowledge bases; all when there is no list.
    pub kbs: Option<&'a [String]>,
    /// Only those that this person has, or had last.
    pub agent: Option<&'a str>,
    /// Behind this rank ([`Handoff::rank`]); from the first on when it is 0.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

/// Which handoffs that are over are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct PastHandoffs<'a> {
    /// Of these knowledge bases; all when there is no list.
    pub kbs: Option<&'a [String]>,
    /// Only those that this person had last.
    pub agent: Option<&'a str>,
    /// Only those with this in what was asked, said, noted or told of the customer, or as
    /// the name of the conversation.
    pub text: Option<&'a str>,
    /// Only those that came from this moment on, in milliseconds since 1970 (UTC).
    pub from: Option<i64>,
    /// Only those that came before this moment.
    pub to: Option<i64>,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = handoffs)]
struct Row {
    number: i64,
    id: String,
    conversation: i64,
    session: String,
    kb: String,
    state: String,
    version: i64,
    reason: String,
    rule: Option<String>,
    question: String,
    normalized: String,
    candidates: String,
    shown: String,
    channel: Option<String>,
    customer: Option<String>,
    summary: String,
    release: String,
    place: i64,
    agent: Option<String>,
    created_at: i64,
    waiting_since: i64,
    claimed_at: Option<i64>,
    answered_at: Option<i64>,
    ended_at: Option<i64>,
    lease_from: Option<i64>,
    lease_until: Option<i64>,
}

impl From<Row> for Handoff {
    fn from(row: Row) -> Self {
        Self {
            number: row.number,
            id: row.id,
            key: row.conversation,
            conversation: row.session,
            kb: row.kb,
            // A word that nobody knows is a state in which nothing can be done.
            state: State::named(&row.state).unwrap_or(State::Closed),
            version: row.version,
            reason: row.reason,
            rule: row.rule,
            question: row.question,
            normalized: row.normalized,
            candidates: serde_json::from_str(&row.candidates).unwrap_or_default(),
            shown: serde_json::from_str(&row.shown).unwrap_or_default(),
            channel: row.channel,
            customer: row.customer.and_then(|text| serde_json::from_str(&text).ok()),
            summary: row.summary,
            release: row.release,
            place: row.place,
            agent: row.agent,
            created_at: row.created_at,
            waiting_since: row.waiting_since,
            claimed_at: row.claimed_at,
            answered_at: row.answered_at,
            ended_at: row.ended_at,
            lease: row.lease_from.zip(row.lease_until).map(|(from, until)| Span { from, until }),
        }
    }
}

/// The news of a desk that a colleague has been given a conversation.
const TRANSFERRED: &str = "transferred";

/// Handoffs that tell how long waiting takes.
const RECENT: i64 = 20;

/// Handoffs that are given back or ended at a time.
const AT_ONCE: i64 = 1_000;

impl Conversations {
    /// A handoff by its name.
    pub fn handoff(&self, id: &str) -> Result<Option<Handoff>> {
        let row = self.database.read(|connection| find(connection, id))?;
        Ok(row.flatten())
    }

    /// Handoffs in the order of the queue: urgent ones that wait, then by age.
    pub fn handoffs(&self, wanted: &Wanted<'_>) -> Result<Vec<Handoff>> {
        let rows = self.database.read(|connection| {
            let urgent = || handoffs::state.eq(State::Waiting.name()).and(handoffs::reason.eq(URGENT.name()));
            let mut found = handoffs::table.into_boxed();
            found = match ranked(wanted.after) {
                (true, number) => found.filter(not(urgent()).or(handoffs::number.gt(number))),
                (false, 0) => found,
                (false, number) => found.filter(not(urgent()).and(handoffs::number.gt(number))),
            };
            if let Some(agent) = wanted.agent {
                found = found.filter(handoffs::agent.eq(agent));
            }
            if !wanted.states.is_empty() {
                found = found.filter(handoffs::state.eq_any(wanted.states.iter().map(|state| state.name())));
            }
            if let Some(kbs) = wanted.kbs {
                found = found.filter(handoffs::kb.eq_any(kbs));
            }
            // Those that nobody waits in are many, and their order is that of an index.
            let can_wait = wanted.states.is_empty() || wanted.states.contains(&State::Waiting);
            let found = if can_wait { found.order(urgent().desc()) } else { found };
            let ordered = found.then_order_by(handoffs::number).limit(wanted.limit);
            Ok(ordered.select(Row::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default().into_iter().map(Handoff::from).collect())
    }

    /// Handoffs that are over, the latest first.
    pub fn past_handoffs(&self, wanted: &PastHandoffs<'_>) -> Result<Vec<Handoff>> {
        let rows = self.database.read(|connection| {
            let over = State::ALL.into_iter().filter(|state| !state.is_open()).map(State::name);
            let mut found = handoffs::table.filter(handoffs::state.eq_any(over)).into_boxed();
            if let Some(kbs) = wanted.kbs {
                found = found.filter(handoffs::kb.eq_any(kbs));
            }
            if let Some(agent) = wanted.agent {
                found = found.filter(handoffs::agent.eq(agent));
            }
            if let Some(from) = wanted.from {
                found = found.filter(handoffs::created_at.ge(from));
            }
            if let Some(to) = wanted.to {
                found = found.filter(handoffs::created_at.lt(to));
            }
            if let Some(before) = wanted.before {
                found = found.filter(handoffs::number.lt(before));
            }
            if let Some(text) = wanted.text {
                let pattern = || holding(&text.to_ascii_lowercase());
                let said = lines::table
                    .filter(lower(lines::text).like(pattern()).escape(ESCAPE))
                    .filter(lines::at.ge(wanted.from.unwrap_or(0)))
                    .select(lines::conversation);
                let noted = noted::table
                    .filter(lower(noted::text).like(pattern()).escape(ESCAPE))
                    .select(noted::conversation);
                found = found.filter(
                    lower(handoffs::question)
                        .like(pattern())
                        .escape(ESCAPE)
                        .or(handoffs::session.eq(text))
                        .or(handoffs::customer
                            .is_not_null()
                            .and(lower(handoffs::customer.assume_not_null()).like(pattern()).escape(ESCAPE)))
                        .or(handoffs::conversation.eq_any(said))
                        .or(handoffs::conversation.eq_any(noted)),
                );
            }
            let ordered = found.order(handoffs::number.desc()).limit(wanted.limit);
            Ok(ordered.select(Row::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default().into_iter().map(Handoff::from).collect())
    }

    /// How many handoffs wait for somebody, and how many somebody has; of these knowledge
    /// bases, or of all when there is no list.
    pub fn open_handoffs(&self, kbs: Option<&[String]>) -> Result<(i64, i64)> {
        let counts = self.database.read(|connection| {
            let count = |connection: &mut Connection, states: &[State]| {
                let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
                let mut found = handoffs::table.filter(handoffs::state.eq_any(names)).into_boxed();
                if let Some(kbs) = kbs {
                    found = found.filter(handoffs::kb.eq_any(kbs));
                }
                found.count().get_result::<i64>(connection)
            };
            let waiting = count(connection, &[State::Waiting])?;
            Ok((waiting, count(connection, &[State::Claimed, State::Answered])?))
        })?;
        Ok(counts.unwrap_or_default())
    }

    /// How many handoffs of a knowledge base wait.
    pub fn waiting(&self, kb: &str) -> Result<i64> {
        let count = self.database.read(|connection| {
            let waiting =
                handoffs::table.filter(handoffs::state.eq(State::Waiting.name()).and(handoffs::kb.eq(kb)));
            Ok(waiting.count().get_result::<i64>(connection)?)
        })?;
        Ok(count.unwrap_or_default())
    }

    /// The place in the queue of its knowledge base, from 1 on, that a handoff has, or would
    /// have with another urgency; without a number, that of a new one.
    pub fn place(&self, kb: &str, number: Option<i64>, is_urgent: bool) -> Result<i64> {
        let place = self.database.read(|connection| Ok(place(connection, kb, number, is_urgent)?))?;
        Ok(place.unwrap_or(1))
    }

    /// How long those waited who were taken last.
    pub fn recent_waits(&self, kb: &str) -> Result<Vec<Waited>> {
        let rows = self.database.read(|connection| {
            let taken = handoffs::table
                .filter(handoffs::kb.eq(kb).and(handoffs::claimed_at.is_not_null()))
                .order(handoffs::number.desc())
                .limit(RECENT)
                .select((handoffs::place, handoffs::created_at, handoffs::claimed_at));
            let rows: Vec<(i64, i64, Option<i64>)> = taken.load(connection)?;
            Ok(rows)
        })?;
        let waited = |(place, created, claimed): (i64, i64, Option<i64>)| {
            Some(Waited { place, millis: (claimed? - created).max(0) })
        };
        Ok(rows.unwrap_or_default().into_iter().filter_map(waited).collect())
    }

    /// Does a step with a handoff.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of the name, and [`Error::Conflict`]
    /// when somebody else has it or it is over.
    pub fn act(&self, id: &str, act: &Act<'_>) -> Result<Handoff> {
        self.database.write(|connection| {
            let handoff = find(connection, id)?
                .ok_or_else(|| Error::Absent { what: "handoff", name: id.to_owned() })?;
            if let Some(client_id) = act.client_id
                && was_said(connection, handoff.key, client_id)?
            {
                return Ok(handoff);
            }
            let (state, handoff) = allowed(handoff, act)?;
            step(connection, handoff, state, act)
        })
    }

    /// Gives back to the queue what somebody has claimed and left alone. Gives back how many.
    pub fn release_claims(&self, now: i64) -> Result<usize> {
        if !self.is_there() {
            return Ok(0);
        }
        let held = [State::Claimed, State::Answered].map(State::name);
        let left = self.database.read(|connection| {
            // A clock that was set back ends a claim as well.
            let over = handoffs::lease_until.le(now).or(handoffs::lease_from.gt(now + Span::SLACK));
            let found = handoffs::table.filter(handoffs::state.eq_any(held)).filter(over);
            Ok(found.order(handoffs::number).limit(AT_ONCE).select(Row::as_select()).load(connection)?)
        })?;
        self.each(left.unwrap_or_default(), Step::Release, now, |_| String::new())
    }

    /// Ends handoffs that nobody has taken for `patience` milliseconds, but for those of
    /// letters and of conversations whose names begin like one of `others`, which a platform's
    /// own people see to; the robot has the conversation again, and the customer is told in
    /// words that `text` has.
    pub fn expire_waiting(
        &self,
        now: i64,
        patience: i64,
        others: &[String],
        text: impl Fn(&Handoff) -> String,
    ) -> Result<usize> {
        if !self.is_there() {
            return Ok(0);
        }
        let waiting = self.database.read(|connection| {
            let mut found = handoffs::table
                .filter(handoffs::state.eq(State::Waiting.name()))
                .filter(handoffs::waiting_since.le(now.saturating_sub(patience)))
                // Who writes a letter does not sit there and wait: it stays until somebody comes.
                .filter(handoffs::session.not_like("email:%"))
                .into_boxed();
            for beginning in others {
                found = found.filter(handoffs::session.not_like(format!("{beginning}%")));
            }
            Ok(found.order(handoffs::number).limit(AT_ONCE).select(Row::as_select()).load(connection)?)
        })?;
        self.each(waiting.unwrap_or_default(), Step::Expire, now, text)
    }

    /// Does a step with each that nobody has done anything with since it was looked at.
    fn each(&self, seen: Vec<Row>, kind: Step, now: i64, text: impl Fn(&Handoff) -> String) -> Result<usize> {
        let mut done = 0;
        for handoff in seen.into_iter().map(Handoff::from) {
            let text = text(&handoff);
            done += self.database.write(|connection| {
                let Some(current) = find(connection, &handoff.id)? else { return Ok(0) };
                if current.version != handoff.version {
                    return Ok(0);
                }
                let Some(state) = current.state.after(kind) else { return Ok(0) };
                let text = Some(text.as_str()).filter(|text| !text.is_empty());
                step(connection, current, state, &Act { text, ..Act::of(kind, "", now) })?;
                Ok(1)
            })?;
        }
        Ok(done)
    }
}

/// Since when the customer of a handoff that waits has nobody: as [`ToldHandoff::of`] has it.
#[diesel::dsl::auto_type]
pub(super) fn waits_since() -> _ {
    diesel::dsl::case_when(handoffs::answered_at.is_not_null(), handoffs::waiting_since)
        .otherwise(handoffs::created_at)
}

/// The place in the queue: behind urgent ones that came before, and who is not urgent
/// behind all that came before and all urgent ones.
fn place(connection: &mut Connection, kb: &str, number: Option<i64>, is_urgent: bool) -> QueryResult<i64> {
    let came_before = handoffs::number.lt(number.unwrap_or(i64::MAX));
    let urgent = handoffs::reason.eq(URGENT.name());
    let waiting = handoffs::table
        .filter(handoffs::state.eq(State::Waiting.name()).and(handoffs::kb.eq(kb)))
        .into_boxed();
    let ahead = if is_urgent {
        waiting.filter(urgent.and(came_before))
    } else {
        // Its own row, whose urgency may be about to change, is none of the others.
        waiting.filter(came_before.or(urgent.and(handoffs::number.ne(number.unwrap_or(i64::MAX)))))
    };
    Ok(ahead.count().get_result::<i64>(connection)? + 1)
}

fn find(connection: &mut Connection, id: &str) -> Outcome<Option<Handoff>> {
    let row = handoffs::table.filter(handoffs::id.eq(id)).select(Row::as_select()).first(connection);
    Ok(row.optional()?.map(Handoff::from))
}

/// A desk's name for what it says, among the names of all lines: a customer's never begins
/// with a blank, so the two may count alike.
fn desks_own(client_id: &str) -> String {
    format!(" {client_id}")
}

fn was_said(connection: &mut Connection, key: i64, client_id: &str) -> Outcome<bool> {
    // As an older zhida has written it.
    let plain = lines::client_id.eq(client_id).and(lines::role.eq(Role::Agent.name()));
    let named = lines::client_id.eq(desks_own(client_id)).or(plain);
    let same = lines::table.filter(lines::conversation.eq(key)).filter(named.assume_not_null());
    Ok(diesel::select(diesel::dsl::exists(same)).get_result(connection)?)
}

/// The state that a step leads to, if whoever makes it may.
fn allowed(handoff: Handoff, act: &Act<'_>) -> Outcome<(State, Handoff)> {
    let conflict = |message: String| Err(Failure::Ours(Error::Conflict(message)));
    let held = handoff.is_held(act.at);
    let holder = handoff.agent.as_deref().unwrap_or_default();
    let mine = handoff.agent.as_deref() == Some(act.agent);
    if !handoff.state.is_open() {
        return conflict(format!("handoff {} is {} already", handoff.id, handoff.state.name()));
    }
    if held && !mine {
        return conflict(format!("{holder} has handoff {} now", handoff.id));
    }
    if held && act.step == Step::Claim && !act.named {
        return conflict(format!(
            "handoff {} was claimed already; a desk that says who it is (`agent`) may claim its own again",
            handoff.id
        ));
    }
    // A claim that ran out is as good as none for others, and still there for
    // whoever made it as long as nobody else has come.
    let from = match act.step {
        Step::Claim if !held => State::Waiting,
        Step::Reply | Step::Renew if mine && handoff.state == State::Waiting => State::Claimed,
        Step::Reply | Step::Renew if !mine => {
            return conflict(format!("nobody has handoff {}; claim it first", handoff.id));
        }
        _ => handoff.state,
    };
    match from.after(act.step) {
        Some(state) => Ok((state, handoff)),
        None => conflict(format!("handoff {} is {}", handoff.id, handoff.state.name())),
    }
}

/// Makes a step: the handoff, its conversation, the news and what is to be told.
fn step(connection: &mut Connection, known: Handoff, state: State, act: &Act<'_>) -> Outcome<Handoff> {
    let gone = || Error::Absent { what: "conversation", name: known.conversation.clone() };
    let before = conversations::by_key(connection, known.key)?.ok_or_else(gone)?;
    let owner = state.owner();
    let claims = state.owner() == Owner::Agent;
    let holder = act.to.unwrap_or(act.agent);
    let now = Handoff {
        state,
        version: known.version + 1,
        agent: if claims { Some(holder.to_owned()) } else { known.agent.clone() },
        lease: claims.then(|| Span::of(act.at, act.lease)),
        waiting_since: if state == State::Waiting { act.at } else { known.waiting_since },
        claimed_at: known.claimed_at.or_else(|| claims.then_some(act.at)),
        answered_at: known.answered_at.or_else(|| (act.step == Step::Reply).then_some(act.at)),
        ended_at: (!state.is_open()).then_some(act.at),
        ..known.clone()
    };
    save(connection, &now)?;

    let mut added = Vec::new();
    if let Some(text) = act.text {
        // What nobody at the desk says, the robot says.
        let person = !act.agent.is_empty();
        added.push(NewLine {
            role: Some(if person { Role::Agent } else { Role::Bot }),
            text: text.to_owned(),
            author: person.then(|| act.agent.to_owned()),
            data: act.data.map(str::to_owned),
            client_id: act.client_id.map(desks_own),
            ..NewLine::default()
        });
    }
    if before.owner != owner {
        added.push(NewLine::of(Role::Event, owner.name()));
    }
    let last = conversations::add_lines(connection, before.key, before.last_seq, act.at, &added)?;
    let said = act.text.map(|text| (before.last_seq + 1, text));
    if let Some(text) = act.note {
        let note = Note { author: act.agent.to_owned(), text: text.to_owned(), at: act.at };
        notes::put(connection, before.key, &note)?;
    }
    let after = conversations::Conversation {
        owner,
        version: before.version + 1,
        // Whoever takes over again begins anew.
        context: before.context.clone().filter(|_| state.is_open()),
        handoff: before.handoff.clone().filter(|_| state.is_open()),
        last_seq: last,
        last_at: act.at,
        ..before.clone()
    };
    conversations::save(connection, &after)?;

    let is_transfer = act.step == Step::Transfer;
    if state != known.state || is_transfer || act.step == Step::Reply {
        let told = if act.step == Step::Reply { act.text.unwrap_or_default() } else { holder };
        let kind = if is_transfer { TRANSFERRED } else { state.name() };
        stream::tell(connection, &now.kb, kind, &now.id, told, act.at)?;
    }
    if let Some((seq, text)) = said {
        let body = json!({
            "conversation": now.conversation, "kb": now.kb, "handoff": now.id, "channel": now.channel,
            "customer": now.customer,
            "seq": seq, "text": text, "author": act.agent,
        });
        outbox::announce(connection, "message.sent", &now.kb, &body, act.at)?;
        if let (Some(via), Some(address)) = (&after.via, &after.address) {
            let id = format!("{}-{seq}", now.id);
            let job = Job::to_channel(via, &after.id, id, "reply", &with_address(body, address));
            outbox::put(connection, &[job], &now.kb, act.at)?;
        }
    }
    // Whoever listens learns who has it now.
    if state != known.state || is_transfer {
        announce(connection, &now, &after, act.at)?;
    }
    Ok(now)
}

/// Writes what has changed of a handoff.
fn save(connection: &mut Connection, now: &Handoff) -> Outcome<()> {
    diesel::update(handoffs::table.find(now.number))
        .set((
            handoffs::state.eq(now.state.name()),
            handoffs::version.eq(now.version),
            handoffs::agent.eq(&now.agent),
            handoffs::lease_from.eq(now.lease.map(|lease| lease.from)),
            handoffs::lease_until.eq(now.lease.map(|lease| lease.until)),
            handoffs::waiting_since.eq(now.waiting_since),
            handoffs::claimed_at.eq(now.claimed_at),
            handoffs::answered_at.eq(now.answered_at),
            handoffs::ended_at.eq(now.ended_at),
        ))
        .execute(connection)?;
    Ok(())
}

/// Tells webhooks, and the channel if it is over, that a handoff has another state.
fn announce(
    connection: &mut Connection,
    now: &Handoff,
    conversation: &conversations::Conversation,
    at: i64,
) -> Outcome<()> {
    let state = now.state.name();
    let transcript = conversations::last_lines(connection, conversation.key, TRANSCRIPT)?;
    let told = ToldHandoff::of(now, &transcript, at);
    let body = serde_json::to_value(&told).unwrap_or_default();
    outbox::announce(connection, &format!("handoff.{state}"), &now.kb, &body, at)?;
    if let (Some(via), Some(address), false) = (&conversation.via, &conversation.address, now.state.is_open())
    {
        let id = format!("{}-{state}", now.id);
        let job = Job::to_channel(via, &conversation.id, id, state, &with_address(body, address));
        outbox::put(connection, &[job], &now.kb, at)?;
    }
    Ok(())
}

/// Has a handoff that waits say that somebody may be in danger, in the words that tell of
/// it; one that waits no more is with somebody who reads them.
pub(super) fn press(connection: &mut Connection, id: &str, said: &str, at: i64) -> Outcome<()> {
    let Some(known) = find(connection, id)?.filter(|known| known.state == State::Waiting) else {
        return Ok(());
    };
    diesel::update(handoffs::table.find(known.number))
        .set((
            handoffs::version.eq(known.version + 1),
            handoffs::reason.eq(URGENT.name()),
            handoffs::question.eq(said),
        ))
        .execute(connection)?;
    // The desks ring once more.
    stream::tell(connection, &known.kb, known.state.name(), &known.id, said, at)
}

/// Takes a handoff out of the queue because its customer waits no longer; the
/// conversation was just changed. One that waits no more is left alone.
pub(super) fn withdraw(
    connection: &mut Connection,
    conversation: &conversations::Conversation,
    id: &str,
    said: &str,
    at: i64,
) -> Outcome<()> {
    let Some(known) = find(connection, id)? else { return Ok(()) };
    let Some(state) = known.state.after(Step::Withdraw) else { return Ok(()) };
    let now = Handoff { state, version: known.version + 1, ended_at: Some(at), ..known };
    save(connection, &now)?;
    stream::tell(connection, &now.kb, state.name(), &now.id, said, at)?;
    announce(connection, &now, conversation, at)
}

fn with_address(mut body: Value, address: &str) -> Value {
    if let (Some(fields), Ok(address)) = (body.as_object_mut(), serde_json::from_str(address)) {
        fields.insert("address".to_owned(), address);
    }
    body
}

/// Opens a handoff of a conversation that was just changed.
pub(super) fn open(
    connection: &mut Connection,
    conversation: &conversations::Conversation,
    new: &NewHandoff,
    at: i64,
) -> Outcome<()> {
    let place = place(connection, &conversation.kb, None, is_urgent(&new.reason))?;
    let list = |value: serde_json::Result<String>| value.unwrap_or_else(|_| "[]".to_owned());
    let number: i64 = diesel::insert_into(handoffs::table)
        .values((
            handoffs::id.eq(&new.id),
            handoffs::conversation.eq(conversation.key),
            handoffs::session.eq(&conversation.id),
            handoffs::kb.eq(&conversation.kb),
            handoffs::state.eq(State::Waiting.name()),
            handoffs::version.eq(0),
            handoffs::reason.eq(&new.reason),
            handoffs::rule.eq(&new.rule),
            handoffs::question.eq(&new.question),
            handoffs::normalized.eq(&new.normalized),
            handoffs::candidates.eq(list(serde_json::to_string(&new.candidates))),
            handoffs::shown.eq(list(serde_json::to_string(&new.shown))),
            handoffs::channel.eq(&conversation.channel),
            handoffs::customer.eq(&conversation.customer),
            handoffs::summary.eq(&new.summary),
            handoffs::release.eq(&new.release),
            handoffs::place.eq(place),
            handoffs::created_at.eq(at),
            handoffs::waiting_since.eq(at),
        ))
        .returning(handoffs::number)
        .get_result(connection)?;
    let row: Row = handoffs::table.find(number).select(Row::as_select()).first(connection)?;
    let handoff = Handoff::from(row);
    stream::tell(connection, &handoff.kb, State::Waiting.name(), &handoff.id, &handoff.summary, at)?;
    let transcript = conversations::last_lines(connection, conversation.key, TRANSCRIPT)?;
    let told = ToldHandoff { position: Some(place), ..ToldHandoff::of(&handoff, &transcript, at) };
    let body = serde_json::to_value(&told).unwrap_or_default();
    outbox::announce(connection, "handoff.created", &handoff.kb, &body, at)
}

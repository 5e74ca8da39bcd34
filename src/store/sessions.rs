//! Who is signed in, who may sign in, and who failed to?

use std::net::IpAddr;

use diesel::prelude::*;
use serde::Serialize;

use super::access::Access;
use super::database::door::{attempts, departures, keys, links, people, sessions};
use super::database::upsert::OnConflict;
use super::database::{Connection, Durability, Outcome};
use super::keys::told;
use super::people::{NewPerson, PersonRecord, SignIn, create, find, set_password};
use crate::access::{DEFAULT_TENANT, Digest, FORGOTTEN, Opens, Role, Token, Whose, moment};
use crate::error::{Error, Result};

/// The most characters that are kept of what a browser says it is.
const AGENT_CHARS: usize = 200;
/// The most sessions that somebody has; of more, the oldest end.
const MOST: i64 = 20;

/// How long sessions last, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting {
    /// Without a request.
    pub idle: i64,
    /// At the most.
    pub longest: i64,
}

impl Default for Lasting {
    /// Two hours without a request, and a long shift.
    fn default() -> Self {
        Self { idle: 2 * 3_600_000, longest: 12 * 3_600_000 }
    }
}

/// A session as it is listed: without what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SessionRecord)]
pub struct SessionRecord {
    /// Its name in lists.
    pub id: String,
    /// Whose it is: a person's id.
    pub person: String,
    /// Since when, RFC 3339 in UTC.
    #[serde(serialize_with = "told")]
    #[schema(value_type = String)]
    pub created_at: i64,
    /// The last request, to the minute.
    #[serde(serialize_with = "told")]
    #[schema(value_type = String)]
    pub seen_at: i64,
    /// When it ends at the latest.
    #[serde(serialize_with = "told")]
    #[schema(value_type = String)]
    pub expires_at: i64,
    /// After so many milliseconds without a request it has ended too.
    #[serde(skip)]
    pub idle: i64,
    /// From which address.
    pub source: String,
    /// What the browser says it is.
    pub agent: String,
}

impl SessionRecord {
    /// Whether it lasts at a moment. Requests are noted to the minute, so silence
    /// counts with a minute to spare.
    pub fn lasts(&self, now: i64) -> bool {
        now < self.expires_at && now < self.seen_at.saturating_add(self.idle).saturating_add(60_000)
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
pub(super) struct Row {
    id: String,
    person: String,
    pub(super) digest: Vec<u8>,
    created_at: i64,
    seen_at: i64,
    expires_at: i64,
    idle: i64,
    source: String,
    agent: String,
}

impl Row {
    pub(super) fn told(self) -> SessionRecord {
        SessionRecord {
            id: self.id,
            person: self.person,
            created_at: self.created_at,
            seen_at: self.seen_at,
            expires_at: self.expires_at,
            idle: self.idle,
            source: self.source,
            agent: self.agent,
        }
    }
}

/// What a link that works once is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// To make the first admin.
    FirstAdmin,
    /// To set a person's password.
    Password(PersonRecord),
}

/// Somebody on the way to the provider and back.
#[derive(Debug, Clone)]
pub struct Departure {
    /// What the token must repeat.
    pub nonce: String,
    /// What proves that the code is ours.
    pub verifier: String,
    /// Where the browser goes in the end.
    pub back: String,
}

impl Access {
    /// Begins a session of somebody who was let in.
    pub fn begin_session(
        &self,
        person: &str,
        lasting: Lasting,
        source: IpAddr,
        agent: &str,
    ) -> Result<(Token, SessionRecord)> {
        let (token, now) = (Token::generate(Opens::Session)?, moment::now());
        let row = Row {
            id: token.id().to_owned(),
            person: person.to_owned(),
            digest: token.digest().as_bytes().to_vec(),
            created_at: now,
            seen_at: now,
            expires_at: now.saturating_add(lasting.longest),
            idle: lasting.idle,
            source: source.to_string(),
            agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS).collect(),
        };
        let record = row.clone().told();
        self.database.write(|connection| {
            sweep(connection, now)?;
            let older: Vec<String> = sessions::table
                .filter(sessions::person.eq(person))
                .order(sessions::created_at.desc())
                .offset(MOST - 1)
                .limit(i64::MAX)
                .select(sessions::id)
                .load(connection)?;
            diesel::delete(sessions::table.filter(sessions::id.eq_any(older))).execute(connection)?;
            diesel::insert_into(sessions::table).values(&row).execute(connection)?;
            diesel::update(people::table.find(person))
                .set(people::signed_in_at.eq(now))
                .execute(connection)?;
            Ok(())
        })?;
        Ok((token, record))
    }

    /// The sessions of a person that last, the newest first.
    pub fn sessions(&self, person: &str) -> Result<Vec<SessionRecord>> {
        let rows = self.database.read(|connection| {
            let rows: Vec<Row> = sessions::table
                .filter(sessions::person.eq(person))
                .order((sessions::created_at.desc(), sessions::id))
                .select(Row::as_select())
                .load(connection)?;
            Ok(rows)
        })?;
        let now = moment::now();
        Ok(rows.unwrap_or_default().into_iter().map(Row::told).filter(|one| one.lasts(now)).collect())
    }

    /// Ends sessions of a person: one, or all but one, or all. Every process refuses
    /// them from its next request on. How many it were.
    pub fn end_sessions(&self, person: &str, only: Option<&str>, but: Option<&str>) -> Result<usize> {
        self.database.write(|connection| {
            let mut doomed = diesel::delete(sessions::table.filter(sessions::person.eq(person))).into_boxed();
            if let Some(only) = only {
                doomed = doomed.filter(sessions::id.eq(only));
            }
            if let Some(but) = but {
                doomed = doomed.filter(sessions::id.ne(but));
            }
            Ok(doomed.execute(connection)?)
        })
    }

    /// Notes when sessions were used last. Coarse, and lost with the power.
    pub fn seen(&self, moments: &[(String, i64)]) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            for (id, at) in moments {
                diesel::update(sessions::table.find(id))
                    .set(sessions::seen_at.eq(*at))
                    .execute(connection)?;
            }
            Ok(())
        })
    }

    /// Makes a link that works once: for the first admin, or for somebody's
    /// password, and then older ones of theirs work no more. It is in the result and
    /// nowhere else.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is an admin already, and for somebody who signs
    /// in elsewhere.
    pub fn create_link(&self, person: Option<&PersonRecord>, lasting: i64) -> Result<(Token, i64)> {
        let (token, now) = (Token::generate(Opens::Link)?, moment::now());
        let expires = now.saturating_add(lasting);
        self.database.write(|connection| {
            sweep(connection, now)?;
            match person {
                None => refuse_second(connection)?,
                Some(person) if person.sign_in != SignIn::Password => {
                    let message = format!("{} signs in at the provider and needs no link", person.name);
                    return Err(Error::Conflict(message).into());
                }
                Some(person) => {
                    diesel::delete(links::table.filter(links::person.eq(&person.id).assume_not_null()))
                        .execute(connection)?;
                }
            }
            diesel::insert_into(links::table)
                .values((
                    links::id.eq(token.id()),
                    links::digest.eq(token.digest().as_bytes().to_vec()),
                    links::person.eq(person.map(|person| person.id.as_str())),
                    links::created_at.eq(now),
                    links::expires_at.eq(expires),
                ))
                .execute(connection)?;
            Ok(())
        })?;
        Ok((token, expires))
    }

    /// Whether a link for the first admin was ever made: it is printed once by itself.
    pub fn was_set_up(&self) -> Result<bool> {
        let found = self.database.read(|connection| {
            let count: i64 = links::table.filter(links::person.is_null()).count().get_result(connection)?;
            Ok(count > 0)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// What a link is for that still works.
    ///
    /// # Errors
    /// [`Error::Absent`] when it does not.
    pub fn errand(&self, link: &Token) -> Result<Errand> {
        let found = self.database.read(|connection| errand(connection, link))?;
        found.ok_or_else(spent)
    }

    /// Uses a link up and does what it is for: sets the password by its hash, of the
    /// first admin under the name that they chose. Of two who come with it one is served.
    ///
    /// # Errors
    /// [`Error::Absent`] when it works no more; [`Error::Conflict`] when there are
    /// people already, for a name that cannot be used, and for who may not come in.
    pub fn redeem(&self, link: &Token, name: &str, display_name: &str, hash: &str) -> Result<PersonRecord> {
        self.database.write(|connection| {
            let errand = errand(connection, link)?;
            diesel::update(links::table.find(link.id()))
                .set(links::used_at.eq(moment::now()))
                .execute(connection)?;
            match errand {
                Errand::FirstAdmin => {
                    refuse_second(connection)?;
                    let new = NewPerson {
                        tenant: DEFAULT_TENANT.to_owned(),
                        name: name.to_owned(),
                        display_name: display_name.to_owned(),
                        role: Role::Admin,
                        kbs: None,
                        sign_in: SignIn::Password,
                        password: Some(hash.to_owned()),
                        subject: None,
                    };
                    create(connection, new)
                }
                Errand::Password(person) => {
                    set_password(connection, &person, hash)?;
                    forgive(connection, &person)?;
                    find(connection, &person.tenant, &person.id)
                }
            }
        })
    }

    /// Counts an attempt to sign in before it is looked at, so that many at once
    /// are no way around. One that must wait is not counted.
    pub fn attempt(&self, whose: &[Whose<'_>]) -> Result<std::result::Result<Counted, Wait>> {
        let now = moment::now();
        self.database.write(|connection| {
            let mut known = Vec::with_capacity(whose.len());
            for one in whose {
                let found: Option<(i64, i64)> = attempts::table
                    .find(one.label())
                    .select((attempts::failures, attempts::last_at))
                    .first(connection)
                    .optional()?;
                known.push(found.filter(|(_, last)| now - last < FORGOTTEN).unwrap_or((0, now)));
            }
            let until =
                whose.iter().zip(&known).map(|(one, (failures, last))| one.until(*failures, *last)).max();
            if let Some(until) = until.filter(|until| *until > now) {
                return Ok(Err(Wait { until }));
            }
            let mut locked_until = None;
            for (one, (failures, _)) in whose.iter().zip(known) {
                locked_until = locked_until.max(Some(one.until(failures + 1, now)).filter(|end| *end > now));
                let row = (attempts::failures.eq(failures + 1), attempts::last_at.eq(now));
                diesel::insert_into(attempts::table)
                    .values((attempts::whose.eq(one.label()), row))
                    .or("(whose) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at")
                    .execute(connection)?;
            }
            Ok(Ok(Counted { locked_until }))
        })
    }

    /// Forgets the failures under the name of somebody who came in, and takes back
    /// the attempt that was counted for their address: those of others stay.
    pub fn succeeded(&self, person: &PersonRecord, from: Whose<'_>) -> Result<()> {
        self.database.write_as(Durability::Written, |connection| {
            forgive(connection, person)?;
            diesel::update(attempts::table.find(from.label()).filter(attempts::failures.gt(0)))
                .set(attempts::failures.eq(attempts::failures - 1))
                .execute(connection)?;
            Ok(())
        })
    }

    /// Notes that somebody goes to the provider; `browser` and `state` are what they
    /// come back with.
    pub fn depart(&self, state: &str, browser: &str, departure: &Departure, lasting: i64) -> Result<()> {
        let now = moment::now();
        self.database.write(|connection| {
            sweep(connection, now)?;
            diesel::insert_into(departures::table)
                .values((
                    departures::state.eq(Digest::of(state).as_bytes().to_vec()),
                    departures::browser.eq(Digest::of(browser).as_bytes().to_vec()),
                    departures::nonce.eq(&departure.nonce),
                    departures::verifier.eq(&departure.verifier),
                    departures::back.eq(&departure.back),
                    departures::expires_at.eq(now.saturating_add(lasting)),
                ))
                .execute(connection)?;
            Ok(())
        })
    }

    /// Somebody comes back from the provider; each departure has one return, from
    /// the browser that it began in.
    pub fn arrive(&self, state: &str, browser: &str) -> Result<Option<Departure>> {
        type Found = (Vec<u8>, String, String, String, i64);
        let now = moment::now();
        let state = Digest::of(state).as_bytes().to_vec();
        let found: Option<Found> = self.database.write(|connection| {
            let found = departures::table
                .find(&state)
                .select((
                    departures::browser,
                    departures::nonce,
                    departures::verifier,
                    departures::back,
                    departures::expires_at,
                ))
                .first(connection)
                .optional()?;
            diesel::delete(departures::table.find(&state)).execute(connection)?;
            Ok(found)
        })?;
        Ok(found.and_then(|(kept, nonce, verifier, back, expires)| {
            let is_same = Digest::stored(&kept)?.matches(&Digest::of(browser));
            (is_same && now < expires).then_some(Departure { nonce, verifier, back })
        }))
    }
}

/// An attempt that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Until when the next one must wait if this one fails, in milliseconds since 1970 (UTC).
    pub locked_until: Option<i64>,
}

/// When the next attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// In milliseconds since 1970 (UTC).
    pub until: i64,
}

fn spent() -> Error {
    Error::Absent { what: "link that still works", name: "this one".to_owned() }
}

fn errand(connection: &mut Connection, link: &Token) -> Outcome<Errand> {
    let found: Option<(Vec<u8>, Option<String>)> = links::table
        .find(link.id())
        .filter(links::used_at.is_null())
        .filter(links::expires_at.gt(moment::now()))
        .select((links::digest, links::person))
        .first(connection)
        .optional()?;
    let is_right = |kept: &[u8]| Digest::stored(kept).is_some_and(|kept| kept.matches(&link.digest()));
    let Some((_, person)) = found.filter(|(kept, _)| is_right(kept)) else { return Err(spent().into()) };
    let Some(id) = person else { return Ok(Errand::FirstAdmin) };
    let tenant: Option<String> =
        people::table.find(&id).select(people::tenant).first(connection).optional()?;
    let person = find(connection, &tenant.unwrap_or_default(), &id).map_err(|_| spent())?;
    if person.disabled_at.is_some() {
        return Err(spent().into());
    }
    Ok(Errand::Password(person))
}

/// The first admin is the first: where there are people or keys, others are asked.
fn refuse_second(connection: &mut Connection) -> Outcome<()> {
    let people: i64 = people::table.count().get_result(connection)?;
    let keys: i64 = keys::table.count().get_result(connection)?;
    if people + keys == 0 {
        return Ok(());
    }
    let message = "there are people or keys already: `zhida person create` makes another one, `zhida person link` lets somebody in";
    Err(Error::Conflict(message.to_owned()).into())
}

fn forgive(connection: &mut Connection, person: &PersonRecord) -> Outcome<()> {
    let label = Whose::Name { tenant: &person.tenant, name: &person.name }.label();
    // In all networks: their labels begin so.
    diesel::delete(attempts::table.filter(attempts::whose.like(format!("{label}%")))).execute(connection)?;
    Ok(())
}

/// Takes away what has ended.
fn sweep(connection: &mut Connection, now: i64) -> Outcome<()> {
    diesel::delete(sessions::table.filter(sessions::expires_at.le(now))).execute(connection)?;
    diesel::delete(links::table.filter(links::expires_at.le(now)).filter(links::person.is_not_null()))
        .execute(connection)?;
    diesel::delete(attempts::table.filter(attempts::last_at.le(now - FORGOTTEN))).execute(connection)?;
    diesel::delete(departures::table.filter(departures::expires_at.le(now))).execute(connection)?;
    Ok(())
}

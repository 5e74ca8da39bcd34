//! How is a PostgreSQL server reached?
//!
//! Every tenant's records of every kind have a schema of their own there, so that no
//! query could reach another tenant's. All schemas share the connections: one is
//! turned to the schema that it is lent for. One that was lost meanwhile is noticed
//! before a transaction begins, and another one takes its place. A server that cannot be
//! reached is left alone for a moment, so that nobody waits for it who need not.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::connection::{Connection as _, SimpleConnection};

use super::Connection;
use super::encrypted::Way;
use super::lent::serves;
use super::news::{Hear, News};
use super::sheet::Sheet;
use crate::access::moment;
use crate::error::{Error, Result};

/// Connections that are kept open while nobody needs them.
const IDLE: usize = 8;

/// A connection is closed when it has been turned so often: the server keeps in its memory
/// what it has learned of every table that a connection has seen, and each tenant has dozens.
const TURNS: u32 = 200;

/// So many are lent at the same time: a server takes a hundred unless it is told to take
/// more, and several nodes share it, …
const LENT: usize = 24;

/// … but nobody waits longer for one than this: who has one may need another.
const TURN: Duration = Duration::from_secs(2);

/// A writer waits this long for another one before it gives up, and a transaction of
/// a process that was cut off ends by itself, so that the others go on. The server notices
/// within seconds when a machine is gone, and gives free what it held.
const SETTINGS: &str = "SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'; \
                        SET client_min_messages = warning; SET application_name = 'zhida'; \
                        SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; \
                        SET tcp_keepalives_count = 3; SET tcp_user_timeout = 15000;";

/// What is added to an address that does not say it: a server that is cut off is
/// noticed within seconds, and not after the hours that TCP gives it.
const PATIENCE: [(&str, &str); 3] =
    [("connect_timeout", "3"), ("tcp_user_timeout", "5000"), ("keepalives_idle", "5")];

/// How long a server that could not be reached is left alone.
const REST: Duration = Duration::from_secs(1);

/// How often a server is asked whether it is there.
const PULSE: Duration = Duration::from_millis(250);

/// How often it is looked whether the server has passed on news, between two such questions.
const EAR: Duration = Duration::from_millis(10);

/// A server that has said nothing for so long does not answer.
const MUTE: Duration = Duration::from_secs(2);

/// That a server is away is said again so often, for whoever begins to read later.
const SAID: Duration = Duration::from_secs(60);

/// A server, and connections to it.
pub struct Cluster {
    url: String,
    /// The address without its password.
    shown: String,
    /// What keeps others from listening; `None` for one that is spoken to in the clear.
    way: Option<Way>,
    idle: Mutex<Vec<Turned>>,
    /// Whether it answers, as far as is known.
    known: Mutex<Known>,
    /// How far its clock is ahead of this machine's, in milliseconds.
    ahead: AtomicI64,
    /// What other machines write.
    news: News,
    /// In which schemas anybody has written.
    sheet: Sheet,
    /// How many connections are lent, and who waits for one.
    lent: (Mutex<usize>, Condvar),
}

/// What those who asked a server something have learned of it. It is one thing, because
/// they learn at the same time: a server that goes closes one connection after another, and
/// who was answered by the last of them knows less than who was refused meanwhile.
#[derive(Default)]
struct Known {
    /// What is wrong with it, if anything.
    trouble: Option<Trouble>,
    /// Since when it is away, where that was said.
    outage: Option<Outage>,
    /// When the latest question was asked that it answered.
    answered: Option<Instant>,
    /// When it was heard of last, where somebody listens.
    pulse: Option<Instant>,
}

impl Known {
    /// Whether it has said nothing for too long: it is cut off, or hangs. Whoever asked it
    /// something waits; nobody else needs to.
    fn is_mute(&self) -> bool {
        self.pulse.is_some_and(|heard| heard.elapsed() > MUTE)
    }

    /// It answered what was asked then; what was said of it, where that is over.
    fn found(&mut self, asked: Instant) -> Option<Outage> {
        if self.trouble.as_ref().is_some_and(|trouble| asked <= trouble.noticed) {
            return None;
        }
        self.trouble = None;
        self.answered = self.answered.max(Some(asked));
        self.pulse = self.pulse.map(|_| Instant::now());
        self.outage.take()
    }

    /// It did not answer what was asked then. False when it has answered since.
    fn lost(&mut self, asked: Instant, why: &str) -> bool {
        if self.answered.is_some_and(|answered| answered > asked) {
            return false;
        }
        let noticed = Instant::now();
        self.trouble = Some(Trouble { why: why.to_owned(), noticed, again: noticed + REST, is_tried: false });
        true
    }
}

/// A server that could not be reached.
struct Trouble {
    why: String,
    noticed: Instant,
    /// When somebody may try again.
    again: Instant,
    /// Whether somebody does.
    is_tried: bool,
}

/// A server that is away, as it was said.
struct Outage {
    began: Instant,
    said: Instant,
}

/// A connection, and the schema that it is turned to.
pub(super) struct Turned {
    pub(super) connection: Connection,
    pub(super) schema: String,
    /// How often it was turned.
    pub(super) turns: u32,
}

/// Somebody has a connection of those that are lent.
pub(super) struct Permit(Arc<Cluster>);

impl Drop for Permit {
    fn drop(&mut self) {
        let (lent, waiting) = &self.0.lent;
        let mut lent = lent.lock().unwrap_or_else(PoisonError::into_inner);
        *lent = lent.saturating_sub(1);
        waiting.notify_one();
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Cluster {
    /// The server at `postgres://user:password@host:port/database`. Nothing is asked of
    /// it yet.
    ///
    /// # Errors
    /// When that is no such address, or it wants encryption that cannot be had.
    pub fn at(url: &str) -> Result<Arc<Self>> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let Some(rest) = rest else {
            return Err(Error::Refused(
                "the database is named by an address such as postgres://user:password@host:5432/zhida"
                    .to_owned(),
            ));
        };
        let mut full = url.to_owned();
        for (name, value) in PATIENCE {
            if !rest.contains(name) {
                let sign = if full.contains('?') { '&' } else { '?' };
                let _ = write!(full, "{sign}{name}={value}");
            }
        }
        let place = rest.split('?').next().unwrap_or_default();
        let shown = match place.rsplit_once('@') {
            Some((who, host)) => {
                let user = who.split(':').next().unwrap_or_default();
                format!("postgres://{user}@{host}")
            }
            None => format!("postgres://{place}"),
        };
        Ok(Arc::new(Self {
            way: Way::of(&full)?,
            url: full,
            shown,
            idle: Mutex::default(),
            known: Mutex::default(),
            ahead: AtomicI64::new(0),
            news: News::default(),
            sheet: Sheet::default(),
            lent: Default::default(),
        }))
    }

    /// The address without its password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn unreachable(&self, why: impl ToString) -> Error {
        Error::Unreachable { what: self.shown.clone(), why: why.to_string().trim().to_owned() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is worth trying: one tries a server again that could not be reached, and
    /// the others go on without it.
    pub(super) fn admit(&self) -> Result<()> {
        let mut known = self.known();
        if known.is_mute() {
            let why = "it does not answer";
            self.say_away(&mut known, why);
            return Err(self.unreachable(why));
        }
        match &mut known.trouble {
            Some(trouble) if trouble.is_tried || Instant::now() < trouble.again => {
                Err(self.unreachable(&trouble.why))
            }
            Some(trouble) => {
                trouble.is_tried = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// How far its clock is ahead of this machine's, in milliseconds, where somebody listens:
    /// what several machines measure by a clock they measure by this one.
    pub(in crate::store) fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Whether it answers, as far as is known.
    pub(in crate::store) fn is_reachable(&self) -> bool {
        let known = self.known();
        !known.is_mute() && known.trouble.is_none()
    }

    /// What other machines write.
    pub(super) fn news(&self) -> &News {
        &self.news
    }

    /// In which schemas anybody has written.
    pub(super) fn sheet(&self) -> &Sheet {
        &self.sheet
    }

    /// Asks it all the time whether it is there, and hears of what others write there, as
    /// long as anybody holds this.
    pub(in crate::store) fn watch(self: &Arc<Self>, hear: Hear) {
        self.news.to(hear);
        if self.known().pulse.replace(Instant::now()).is_some() {
            return;
        }
        let held = Arc::downgrade(self);
        let listening = std::thread::Builder::new().name("pulse".to_owned()).spawn(move || {
            let mut open: Option<Connection> = None;
            let mut is_deaf = true;
            while let Some(cluster) = held.upgrade() {
                let began = Instant::now();
                // That one is open still does not say that a server in trouble opens another.
                let kept = open.take().filter(|_| cluster.known().trouble.is_none());
                let asked = match kept {
                    Some(connection) => Ok(connection),
                    None => cluster.open().inspect(|_| is_deaf = true),
                };
                let heard = asked.ok().and_then(|mut connection| {
                    let asked = moment::now();
                    let told = connection.now().ok()?;
                    // It looked at its clock between the question and the answer.
                    let here = asked + (moment::now() - asked) / 2;
                    cluster.ahead.store(told - here, Ordering::Relaxed);
                    cluster.sheet.read(&mut connection).ok()?;
                    if std::mem::take(&mut is_deaf) {
                        if let Err(error) = serves(&mut connection) {
                            tracing::warn!(%error, "who takes the records away does not see this server");
                        }
                        if let Err(error) = cluster.news.listen(&mut connection) {
                            tracing::warn!(%error, "changes of other nodes are seen at the next look only");
                        }
                    }
                    Some(connection)
                });
                if heard.is_some() {
                    cluster.found(began);
                } else {
                    cluster.sheet.lose();
                }
                open = heard;
                cluster.rest(&mut open);
            }
        });
        if let Err(error) = listening {
            tracing::warn!(%error, "nobody listens whether the database server answers");
            self.known().pulse = None;
        }
    }

    /// Passes on what others write until it is time to ask again.
    fn rest(self: Arc<Self>, open: &mut Option<Connection>) {
        let held = Arc::downgrade(&self);
        drop(self);
        let began = Instant::now();
        while began.elapsed() < PULSE {
            std::thread::sleep(if open.is_some() { EAR } else { PULSE });
            let (Some(cluster), Some(connection)) = (held.upgrade(), open.as_mut()) else { return };
            if cluster.news.pass(connection).is_err() {
                *open = None;
            }
        }
    }

    /// It answered what was asked then.
    pub(super) fn found(&self, asked: Instant) {
        if let Some(outage) = self.known().found(asked) {
            let seconds = outage.began.elapsed().as_secs();
            tracing::info!(database = self.shown, seconds, "the database server answers again");
        }
    }

    /// Says that it is away: when that is noticed first, and now and then while it lasts.
    /// Whoever needs it meanwhile says nothing.
    fn say_away(&self, known: &mut Known, why: &str) {
        let outage = known.outage.get_or_insert_with(|| {
            let now = Instant::now();
            tracing::error!(
                database = self.shown,
                why,
                "the database server does not answer; what is open goes on answering, and nothing can be changed"
            );
            Outage { began: now, said: now }
        });
        if outage.said.elapsed() >= SAID {
            outage.said = Instant::now();
            let seconds = outage.began.elapsed().as_secs();
            tracing::error!(database = self.shown, seconds, why, "the database server still does not answer");
        }
    }

    /// It did not answer what was asked then, and what is open is of no use any more.
    pub(super) fn lost(&self, asked: Instant, why: impl ToString) -> Error {
        let why = why.to_string().trim().to_owned();
        let mut known = self.known();
        if known.lost(asked, &why) {
            self.say_away(&mut known, &why);
            drop(known);
            self.forget_idle();
        }
        self.unreachable(why)
    }

    /// A connection of its own.
    pub(super) fn open(&self) -> Result<Connection> {
        let url = self.way.as_ref().map_or(&self.url, |way| &way.url);
        let server = PgConnection::establish(url).map_err(|e| self.unreachable(e))?;
        let mut connection = Connection::Postgres(server);
        connection.batch_execute(SETTINGS).map_err(|e| self.unreachable(e))?;
        Ok(connection)
    }

    /// Asks it whether it is there; why it cannot be reached, where that may pass by itself.
    ///
    /// # Errors
    /// When it will be the same until somebody changes something: another password, another
    /// database, whom to believe.
    pub(in crate::store) fn reach(&self) -> Result<Option<Error>> {
        match self.open() {
            Ok(_) => Ok(None),
            Err(Error::Unreachable { what, why }) if may_pass(&why) => {
                Ok(Some(Error::Unreachable { what, why }))
            }
            Err(error) => Err(error),
        }
    }

    /// Closes what is open and not lent.
    pub(super) fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn take(&self, schema: &str) -> Option<Turned> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().rposition(|one| one.schema == schema).or(idle.len().checked_sub(1))?;
        Some(idle.remove(at))
    }

    pub(super) fn put(&self, turned: Turned) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && turned.turns < TURNS {
            idle.push(turned);
        }
    }

    /// Waits until not too many connections are lent, or for long enough.
    pub(super) fn permit(self: &Arc<Self>) -> Permit {
        let (lent, waiting) = &self.lent;
        let held = lent.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut held, _) = waiting
            .wait_timeout_while(held, TURN, |held| *held >= LENT)
            .unwrap_or_else(PoisonError::into_inner);
        *held += 1;
        drop(held);
        Permit(Arc::clone(self))
    }
}

/// What libpq, the system, and the server itself say of one that is not there yet: it starts,
/// or its machine or the way to it does. Of whatever else they say it is not known that
/// waiting helps.
const PASSING: [&str; 18] = [
    "Connection refused",
    "No such file or directory",
    "Connection reset",
    "Broken pipe",
    "timeout expired",
    "timed out",
    "does not answer",
    "No route to host",
    "Host is down",
    "Network is unreachable",
    "could not translate host name",
    "failed to lookup address",
    "server closed the connection",
    "early eof",
    "could not receive data from server",
    "the database system is ",
    "too many clients already",
    "remaining connection slots",
];

fn may_pass(why: &str) -> bool {
    PASSING.iter().any(|words| why.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for passing in [
            "connection to server at \"db\" (10.0.0.5), port 5432 failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            "connection to server on socket \"/run/.s.PGSQL.5432\" failed: No such file or directory",
            "connection to server at \"db\", port 5432 failed: FATAL:  the database system is starting up",
            "could not translate host name \"db\" to address: Temporary failure in name resolution",
            "FATAL:  db:5432: Connection refused (os error 111)",
        ] {
            assert!(may_pass(passing), "{passing}");
        }
        for lasting in [
            "connection to server at \"db\", port 5432 failed: FATAL:  password authentication failed for user \"zhida\"",
            "connection to server at \"db\", port 5432 failed: FATAL:  database \"nope\" does not exist",
            "FATAL:  db:5432: TLS: invalid peer certificate: UnknownIssuer",
            "FATAL:  db:5432: it does not speak TLS (ssl = on in its postgresql.conf)",
        ] {
            assert!(!may_pass(lasting), "{lasting}");
        }
    }

    #[test]
    fn who_was_asked_before_it_went_does_not_say_that_it_is_back() {
        let mut known = Known::default();
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        assert!(known.lost(early, "closed"));
        known.outage = Some(Outage { began: early, said: early });
        assert!(known.found(early).is_none());
        assert!(known.trouble.is_some());
        assert!(known.found(late).is_some());
        assert!(known.trouble.is_none());
    }

    #[test]
    fn who_asked_before_it_came_back_does_not_say_that_it_went() {
        let mut known = Known::default();
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        assert!(known.found(late).is_none());
        assert!(!known.lost(early, "refused"));
        assert!(known.trouble.is_none());
        assert!(known.lost(late, "refused"));
    }

    #[test]
    fn an_address_shows_no_password() {
        let cluster = Cluster::at("postgres://me:hush@db.example:5432/zhida?sslmode=disable");
        assert_eq!(format!("{:?}", cluster.expect("an address")), "postgres://me@db.example:5432/zhida");
        assert!(Cluster::at("mysql://db").is_err());
    }
}

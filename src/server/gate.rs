//! Who is let in, and how often?
//!
//! Everything that stands between a request and its handler: the key, the
//! origin of the page that sends it, the pace, the month's questions, the room
//! that a tenant has left. What was asked is counted from the events, and which keys
//! were used is gathered in memory, by [`Gate::look`] on a timer. A question is counted
//! before it is answered ([`Gate::reserve`]), so that those who ask at the same time get
//! no more than there is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use super::error::{Kind, Problem};
use super::metering;
use super::origins::is_own;
use super::peer::{Client, text};
use super::shown::{Refused, grant};
use super::tenants::Tenant;
use crate::access::{Identity, Left, Limits, Rates, Refusals, Right, Role, Throttle, moment};
use crate::store::{Access, Counted, Table};

/// How often what was asked is counted.
const WRITE: Duration = Duration::from_secs(1);
/// How often the last use of a key is written.
const USED: Duration = Duration::from_secs(60);
/// How often the room that a tenant takes is measured.
pub(super) const MEASURE: Duration = Duration::from_secs(60);

/// Who may reach a server that has no keys and no people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exposure {
    /// Programs of its own machine; not web pages of other sites in its browsers.
    #[default]
    Machine,
    /// Whoever reaches the port, as the operator has said (`--insecure`).
    Anybody,
}

/// The door of a server.
pub(super) struct Gate {
    access: Access,
    exposure: Exposure,
    rates: Rates,
    throttle: Throttle,
    /// Who was refused while they must wait.
    pub(super) refusals: Refusals,
    /// Who everybody is on a server without keys.
    nobody: Arc<Identity>,
    counts: Mutex<Counts>,
}

/// What was gathered since it was last written.
struct Counts {
    month: String,
    /// Of the month, by all processes, as of the last writing.
    known: Counted,
    /// Asked here, or about to be, and not in `known` yet.
    fresh: Counted,
    /// Of those, what is in no event.
    not_stored: Counted,
    /// Of those, what the next `known` will have.
    settled: Counted,
    used: HashMap<String, i64>,
    /// When sessions were used last.
    seen: HashMap<String, i64>,
    written: Instant,
    used_written: Instant,
}

impl Counts {
    /// Whether so many questions are left in this month of what a key and its tenant may use.
    fn left(&self, identity: &Identity, limits: [&Limits; 2], questions: u64) -> Result<(), Problem> {
        let id = identity.id.as_deref().unwrap_or_default();
        for ((whose, name), limits) in [("key", id), ("tenant", "")].into_iter().zip(limits) {
            let Some(limit) = limits.per_month else { continue };
            let now = moment::now();
            let of = (identity.tenant.clone(), name.to_owned());
            let known = self.known.get(&of).filter(|_| self.month == moment::month(now));
            let asked = known.unwrap_or(&0) + self.fresh.get(&of).unwrap_or(&0);
            let left = limit.saturating_sub(asked);
            if questions > left {
                let seconds = moment::until_next_month(now);
                let detail = if left == 0 {
                    format!(
                        "the {limit} questions of this {whose} for this month were asked; the next month begins in {seconds} s, or ask whoever gave you the key for more"
                    )
                } else {
                    format!(
                        "{questions} questions at once are more than the {left} that are left of the {limit} of this {whose} for this month; send no more than {left}, or ask whoever gave you the key for more"
                    )
                };
                let left = Left { limit, left, seconds };
                return Err(Problem::new(Kind::QuotaUsedUp, detail).limited(headers(
                    whose,
                    left,
                    30 * 86_400,
                )));
            }
        }
        Ok(())
    }
}

/// Who may come in, as it was looked up for a request: once is enough for it.
#[derive(Clone)]
struct LookedAt(Arc<Table>);

/// Somebody who was let in.
pub(super) struct Entry {
    pub(super) identity: Arc<Identity>,
    /// What is left of their limits, to be told in the response.
    pub(super) told: Vec<(HeaderName, HeaderValue)>,
}

impl Gate {
    pub(super) fn new(access: Access, exposure: Exposure) -> Self {
        // A long time ago: the first look reads.
        let now = Instant::now();
        Self {
            access,
            exposure,
            rates: Rates::default(),
            throttle: Throttle::default(),
            refusals: Refusals::default(),
            nobody: Arc::new(Identity::of_the_machine()),
            counts: Mutex::new(Counts {
                month: String::new(),
                known: Counted::new(),
                fresh: Counted::new(),
                not_stored: Counted::new(),
                settled: Counted::new(),
                used: HashMap::new(),
                seen: HashMap::new(),
                written: now,
                used_written: now,
            }),
        }
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Lets somebody in who may use a route, or says why not.
    pub(super) async fn enter(&self, right: Right, request: &Parts) -> Result<Entry, Problem> {
        let looked = request.extensions.get::<LookedAt>().map(|looked| Arc::clone(&looked.0));
        let mut table = looked.unwrap_or_else(|| self.access.table());
        if table.is_open() {
            return Ok(Entry { identity: Arc::clone(&self.nobody), told: Vec::new() });
        }
        let mut shown = grant(&table, request);
        if let Err(refused) = &mut shown
            && refused.may_be_new
        {
            if self.access.catch_up().await {
                table = self.access.table();
                shown = grant(&table, request);
            } else {
                let detail = "whether this key or session is valid cannot be looked up: the database does not answer; try again soon";
                refused.problem = Problem::new(Kind::DatabaseAway, detail);
            }
        }
        let grant = match shown {
            Ok(grant) => grant,
            Err(Refused { problem, is_attempt, .. }) => {
                if is_attempt {
                    self.slow_down(Client::of(&request.extensions).address).await;
                }
                return Err(problem);
            }
        };
        let identity = grant.identity;
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            match (&identity.session, &identity.id) {
                (Some(session), _) => counts.seen.insert(session.clone(), moment::now()),
                (None, Some(id)) => counts.used.insert(id.clone(), moment::now()),
                (None, None) => None,
            };
        }
        let is_own_page = Client::of(&request.extensions).is_own_page;
        from_page(&grant.origins, &request.headers, is_own_page)?;
        if !identity.may(right) {
            let roles: Vec<&str> = right.roles().map(Role::name).collect();
            let (whose, one) =
                if identity.is_person() { ("you are", "somebody") } else { ("this key is", "one") };
            let of = if right == Right::Operator { " of the tenant that owns the server" } else { "" };
            let detail = format!(
                "{whose} for `{}`; {} {} needs {one} for `{}`{of}",
                identity.role.name(),
                request.method,
                request.uri.path(),
                roles.join("` or `")
            );
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        let of_tenant = table.limits(&identity.tenant);
        let told = self.take(&identity, &grant.limits, &of_tenant)?;
        Ok(Entry { identity, told })
    }

    /// Takes a request of the tenant's pace for somebody who comes without a key of theirs.
    pub(super) fn take_of_tenant(&self, identity: &Identity) -> Result<(), Problem> {
        let of_tenant = self.access.table().limits(&identity.tenant);
        self.take(identity, &Limits::default(), &of_tenant).map(drop)
    }

    /// Makes whoever guesses wait, and nobody else.
    pub(super) async fn slow_down(&self, from: IpAddr) {
        let wait = self.throttle.failed(from, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a request of the pace of the key and of the tenant.
    fn take(
        &self,
        identity: &Identity,
        key: &Limits,
        tenant: &Limits,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
        let id = identity.id.as_deref().unwrap_or_default();
        // No id of a key has a stroke.
        let paces = [
            ("key", id.to_owned(), key.per_second),
            ("tenant", format!("tenant/{}", identity.tenant), tenant.per_second),
        ];
        let mut tightest: Option<(&str, Left)> = None;
        for (whose, name, pace) in paces {
            let Some(pace) = pace else { continue };
            let left = self.rates.take(&name, pace).map_err(|left| {
                let detail = format!(
                    "this {whose} may make {} requests a second on the average; come back after {} s",
                    left.limit, left.seconds
                );
                Problem::new(Kind::RateLimited, detail).limited(headers(whose, left, 1))
            })?;
            if tightest.is_none_or(|(_, known)| left.left < known.left) {
                tightest = Some((whose, left));
            }
        }
        Ok(tightest.map(|(whose, left)| headers(whose, left, 1)).unwrap_or_default())
    }

    /// Counts questions that somebody is about to ask, all of them or none.
    ///
    /// # Errors
    /// When not so many are left of the month.
    pub(super) fn reserve(&self, identity: &Identity, questions: u64) -> Result<(), Problem> {
        // Whoever has questions was let in a moment ago, by a look of its own.
        let table = self.access.as_seen();
        let key = identity.id.as_deref().map(|id| table.limits_of_key(id)).unwrap_or_default();
        let mut counts = self.counts();
        counts.left(identity, [&key, &table.limits(&identity.tenant)], questions)?;
        count(&mut counts.fresh, identity, questions);
        Ok(())
    }

    /// Counts a question that somebody is about to ask though none is left.
    pub(super) fn reserve_beyond(&self, identity: &Identity) {
        count(&mut self.counts().fresh, identity, 1);
    }

    /// Gives back questions that were reserved and not asked.
    pub(super) fn release(&self, identity: &Identity, questions: u64) {
        let mut unasked = Counted::new();
        count(&mut unasked, identity, questions);
        take_away(&mut self.counts().fresh, &unasked);
    }

    /// Counts a question of somebody that could not be stored.
    pub(super) fn not_stored(&self, identity: &Identity) {
        let mut counts = self.counts();
        count(&mut counts.not_stored, identity, 1);
    }

    /// The questions that each tenant has asked with keys in this month.
    pub(super) fn counted(&self) -> HashMap<String, u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.known.iter().filter(|_| counts.month == moment::month(moment::now()));
        let mut asked = HashMap::new();
        // Under no key's name: all of the tenant.
        for ((tenant, _), number) in known.chain(&counts.fresh).filter(|((_, key), _)| key.is_empty()) {
            *asked.entry(tenant.clone()).or_default() += number;
        }
        asked
    }

    /// Has everything counted that was asked, reads what others have counted, and forgets
    /// the pace of keys that are gone. Called on a timer, on a blocking thread.
    pub(super) fn look(&self, tenants: &[Arc<Tenant>]) {
        let month = moment::month(moment::now());
        {
            let mut counts = self.counts();
            if counts.written.elapsed() < WRITE && counts.month == month {
                return;
            }
            counts.written = Instant::now();
        }
        self.record_refusals(false);
        self.write(month, tenants);
        let table = self.access.table();
        self.rates.retain(|whose| match whose.strip_prefix("tenant/") {
            Some(tenant) => table.has_tenant(tenant),
            None => table.has_key(whose),
        });
    }

    /// The same when the process ends.
    pub(super) fn end(&self, tenants: &[Arc<Tenant>]) {
        self.record_refusals(true);
        self.write(moment::month(moment::now()), tenants);
    }

    fn write(&self, month: String, tenants: &[Arc<Tenant>]) {
        // Without keys nothing is limited; but on a server usage is told from what is kept there.
        let is_open = self.access.table().is_open();
        if is_open && !self.access.is_on_server() {
            return;
        }
        let metered = self.meter(tenants);
        let settled = metering::settled(tenants);
        let (not_stored, used, seen) = {
            let mut counts = self.counts();
            add(&mut counts.settled, &settled);
            let (used, seen) = if counts.used_written.elapsed() >= USED || counts.month.is_empty() {
                counts.used_written = Instant::now();
                (std::mem::take(&mut counts.used), std::mem::take(&mut counts.seen))
            } else {
                Default::default()
            };
            (std::mem::take(&mut counts.not_stored), used, seen)
        };
        if is_open {
            return;
        }
        let known = metered.and_then(|()| self.access.count(&month, &not_stored));
        let mut counts = self.counts();
        match known {
            Ok(known) => {
                (counts.month, counts.known) = (month, known);
                let settled = std::mem::take(&mut counts.settled);
                take_away(&mut counts.fresh, &settled);
                take_away(&mut counts.fresh, &not_stored);
            }
            Err(error) => {
                tracing::debug!(%error, "questions cannot be counted now; they are kept for the next time");
                add(&mut counts.not_stored, &not_stored);
                // What was known of the last month says nothing of this one.
                if counts.month != month {
                    counts.known.clear();
                }
                counts.month = month;
            }
        }
        drop(counts);
        if !used.is_empty() {
            let used: Vec<(String, i64)> = used.into_iter().collect();
            if let Err(error) = self.access.used(&used) {
                tracing::debug!(%error, "the last use of keys cannot be noted");
            }
        }
        if !seen.is_empty() {
            let seen: Vec<(String, i64)> = seen.into_iter().collect();
            if let Err(error) = self.access.seen(&seen) {
                tracing::debug!(%error, "the last use of sessions cannot be noted");
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what a browser sends for a page of another site to a server that
    /// asks nobody for a key: its own machine's browsers reach it too.
    pub(super) fn refuse_foreign(
        &self,
        request: &mut Request,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<(), Problem> {
        if self.exposure == Exposure::Anybody {
            return Ok(());
        }
        let table = self.access.table();
        let is_open = table.is_open();
        request.extensions_mut().insert(LookedAt(table));
        if !is_open {
            return Ok(());
        }
        let headers = request.headers();
        let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
        let host = host.or_else(|| text(headers, &header::HOST).map(str::to_owned));
        // A name of somebody else that leads here was made to lead here.
        if let Some(host) = &host
            && !is_of_the_machine(host)
        {
            let detail = format!(
                "this server has no keys and no people, and answers its own machine only, as localhost or 127.0.0.1; {host:?} is another name. Make a key with `zhida key create --role admin`, and it answers under every name"
            );
            return Err(Problem::new(Kind::ForeignHost, detail));
        }
        // A proxy on this machine asks for others, whatever name it uses.
        if let Some(name) = FORWARDING.iter().find(|name| headers.contains_key(**name)) {
            let detail = format!(
                "this server has no keys and no people, and answers its own machine only; `{name}` says that a proxy asks for somebody else. Make a key with `zhida key create --role admin`"
            );
            return Err(Problem::new(Kind::ForeignHost, detail));
        }
        if let Some(origin) = text(headers, &header::ORIGIN)
            && !is_own(origin, host.as_deref())
            && !allowed(origin)
        {
            let detail = format!(
                "a page of {origin} may not ask this server; name it with `--cors-origin {origin}` if it may"
            );
            return Err(Problem::new(Kind::ForeignOrigin, detail));
        }
        Ok(())
    }
}

/// What proxies say of whom they ask for.
const FORWARDING: [&str; 5] = ["x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via"];

/// Counts questions of somebody with a key, and of their tenant.
fn count(counted: &mut Counted, identity: &Identity, questions: u64) {
    let Some(id) = &identity.id else { return };
    for key in [id.as_str(), ""] {
        *counted.entry((identity.tenant.clone(), key.to_owned())).or_default() += questions;
    }
}

fn add(to: &mut Counted, more: &Counted) {
    for (of, number) in more {
        *to.entry(of.clone()).or_default() += number;
    }
}

fn take_away(from: &mut Counted, fewer: &Counted) {
    for (of, number) in fewer {
        if let Some(left) = from.get_mut(of) {
            *left = left.saturating_sub(*number);
        }
    }
    from.retain(|_, left| *left > 0);
}

/// Refuses pages that the key is not for.
fn from_page(origins: &[String], headers: &HeaderMap, is_own: bool) -> Result<(), Problem> {
    let Some(origin) = text(headers, &header::ORIGIN) else { return Ok(()) };
    if origins.is_empty() || is_own || origins.iter().any(|allowed| allowed == origin) {
        return Ok(());
    }
    let detail = format!("this key is not for pages of {origin}");
    Err(Problem::new(Kind::ForeignOrigin, detail))
}

/// Whether a name with or without a port means the machine itself, whoever is
/// asked for its address.
fn is_of_the_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// What is left, as draft-ietf-httpapi-ratelimit-headers has it.
pub(super) fn headers(whose: &str, left: Left, window: u64) -> Vec<(HeaderName, HeaderValue)> {
    let Left { limit, left, seconds } = left;
    let said = [
        ("ratelimit-policy", format!("\"{whose}\";q={limit};w={window}")),
        ("ratelimit", format!("\"{whose}\";r={left};t={seconds}")),
    ];
    let mut headers: Vec<(HeaderName, HeaderValue)> = said
        .into_iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
        })
        .collect();
    if left == 0 {
        headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
    }
    headers
}

/// Tells what is left.
pub(super) fn tell(response: &mut Response, told: Vec<(HeaderName, HeaderValue)>) {
    for (name, value) in told {
        // Who was let in does not wait.
        if name != header::RETRY_AFTER {
            response.headers_mut().insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_many_names_and_others_none() {
        for own in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
            "[::1]",
            "a.localhost",
            "localhost.",
        ] {
            assert!(is_of_the_machine(own), "{own}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:8080",
            "0.0.0.0",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_of_the_machine(other), "{other}");
        }
    }
}

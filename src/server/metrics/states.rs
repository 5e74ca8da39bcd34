//! What is the case now?
//!
//! Gathered when somebody reads it, so nothing is kept up to date in vain and
//! what is gone is not shown any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as Registered;

use crate::candidates::Candidates;
use crate::encoder::Encoder;
use crate::server::tenants::Tenant;
use crate::server::{Admission, Server};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kb {
    kb: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Whose {
    tenant: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    pool: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Turn {
    turn: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    version: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Search {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Drifting {
    tenant: String,
    kb: String,
    of: &'static str,
}

/// Metrics that are set once.
struct Sheet(Registered);

impl Sheet {
    /// Something that goes up and down.
    fn gauge<L>(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (L, i64)>)
    where
        L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let family: Family<L, Gauge> = Family::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    /// The same of the server as a whole.
    fn one(&mut self, name: &str, help: &str, value: i64) {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    /// A time that goes up and down.
    fn seconds<L>(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (L, f64)>)
    where
        L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let family: Family<L, Gauge<f64, AtomicU64>> = Family::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    /// Something that only grows while the server runs.
    fn counter<L>(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (L, u64)>)
    where
        L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let family: Family<L, Counter> = Family::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }
}

/// What is the case now.
pub(super) fn gathered(server: &Server) -> Registered {
    let mut sheet = Sheet(Registered::with_prefix("zhida"));
    let version = Version { version: env!("CARGO_PKG_VERSION") };
    sheet.gauge("build_info", "The version that runs", [(version, 1)]);
    pools(&mut sheet, server);
    let connections = server.connections();
    sheet.one("connections", "Clients that are connected", whole(connections.count()));
    sheet.one("connections_limit", "Clients that may be connected", whole(connections.most()));
    let tenants = server.tenants().all();
    releases(&mut sheet, &tenants);
    share(&mut sheet, server);
    caches(&mut sheet, &tenants);
    waiting(&mut sheet, &tenants);
    events(&mut sheet, &tenants);
    usage(&mut sheet, server, &tenants);
    soundness(&mut sheet, server, &tenants);
    candidates(&mut sheet, server);
    sheet.0
}

/// Nothing on a server that needs no engine for them.
fn candidates(sheet: &mut Sheet, server: &Server) {
    let Some(report) = server.registry().candidates().map(Candidates::report) else { return };
    let is_asked = i64::from(report.lost.is_none());
    sheet.one("candidates_reachable", "Whether the engine for candidates is asked", is_asked);
    let waiting = report.ready.iter().filter(|(_, ready)| !ready).count();
    sheet.one("candidates_waiting", "Releases whose rows are not in that engine yet", whole(waiting));
    let searches = [("told", report.told), ("here", report.here), ("lost", report.failed)];
    let searches = searches.map(|(outcome, count)| (Search { outcome }, count));
    sheet.counter("candidates_searches", "Searches for that engine, by what became of them", searches);
}

fn pools(sheet: &mut Sheet, server: &Server) {
    let pools =
        [("questions", server.admission()), ("authors", server.authoring()), ("desks", server.desks())];
    let each = |count: fn(&Admission) -> usize| {
        pools.map(|(pool, admission)| (Pool { pool }, whole(count(admission))))
    };
    sheet.gauge("permits", "Requests that may be worked on at a time", each(Admission::total));
    sheet.gauge("in_flight", "Requests being worked on", each(Admission::in_flight));
    sheet.gauge("waiting", "Requests waiting for their turn", each(Admission::waiting));
}

fn releases(sheet: &mut Sheet, tenants: &[Arc<Tenant>]) {
    let (mut numbers, mut made, mut edits) = (Vec::new(), Vec::new(), Vec::new());
    let mut degraded = BTreeMap::new();
    for tenant in tenants {
        let view = tenant.registry().view();
        for (name, engine) in view.engines() {
            let kb = tenant.label(name);
            let manifest = engine.release().manifest();
            numbers.push((Kb { kb: kb.clone() }, i64::from(manifest.number)));
            made.push((Kb { kb: kb.clone() }, manifest.created.unix_timestamp()));
            edits.push((Kb { kb: kb.clone() }, whole(engine.release().edits())));
            degraded.insert(kb, 0);
        }
        for name in view.degraded() {
            degraded.insert(tenant.label(name), 1);
        }
    }
    sheet.gauge("release", "Number of the release that is served", numbers);
    sheet.gauge("release_created_timestamp_seconds", "When the release that is served was made", made);
    sheet.gauge("release_live_edits", "Edits on top of the release that is served", edits);
    sheet.gauge(
        "degraded",
        "Whether another release than the one that should be is served, or none",
        by_kb(degraded),
    );
    let failures = tenants.iter().map(|tenant| (whose(tenant), tenant.registry().open_failures()));
    sheet.counter("release_open_failures", "Attempts to open a release that failed", failures);
}

fn share(sheet: &mut Sheet, server: &Server) {
    let share = server.share();
    let ((bytes, open), (opened, closed)) = (share.holding().held(), share.holding().turns());
    sheet.one("open_knowledge_bases", "Knowledge bases that are open", whole(open));
    sheet.one("open_knowledge_bases_bytes", "What they take in memory, by estimate", size(bytes));
    if let Some(budget) = share.holding().budget() {
        sheet.one("open_knowledge_bases_budget_bytes", "What they may take", size(budget));
    }
    let turns = [(Turn { turn: "opened" }, opened), (Turn { turn: "closed" }, closed)];
    sheet.counter(
        "knowledge_base_turns",
        "Knowledge bases opened because they were asked for, and closed to make room",
        turns,
    );
    let Some(nodes) = share.nodes() else { return };
    sheet.one("nodes", "Nodes that share the knowledge bases and are alive", whole(nodes.members().len()));
    let (sent, missed) = nodes.sent();
    let outcomes = [(Sent { outcome: "answered" }, sent), (Sent { outcome: "unreachable" }, missed)];
    sheet.counter("sent_on", "Requests sent on to the node that holds what they ask for", outcomes);
}

fn caches(sheet: &mut Sheet, tenants: &[Arc<Tenant>]) {
    let mut known: Vec<*const Encoder> = Vec::new();
    let mut recalled: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for tenant in tenants {
        for (_, engine) in tenant.registry().view().engines() {
            let Some(encoder) = engine.release().encoder() else { continue };
            let place = std::ptr::from_ref(&**encoder);
            if known.contains(&place) {
                continue;
            }
            known.push(place);
            let (hits, misses) = encoder.recalled();
            let of = recalled.entry(encoder.manifest().id.clone()).or_default();
            *of = (of.0 + hits, of.1 + misses);
        }
    }
    let hits = recalled.iter().map(|(model, (hits, _))| (Model { model: model.clone() }, *hits));
    sheet.counter("encoder_cache_hits", "Questions whose vector was known", hits);
    let misses = recalled.iter().map(|(model, (_, misses))| (Model { model: model.clone() }, *misses));
    sheet.counter("encoder_cache_misses", "Questions whose vector had to be made", misses);
}

fn waiting(sheet: &mut Sheet, tenants: &[Arc<Tenant>]) {
    let (mut handoffs, mut oldest, mut tickets) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut due, mut age, mut dead, mut readable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for tenant in tenants {
        for (name, _) in tenant.registry().view().engines() {
            let kb = tenant.label(name);
            handoffs.insert(kb.clone(), 0);
            oldest.insert(kb.clone(), 0.0);
            tickets.insert(kb, 0);
        }
        // A replica keeps no conversations, and would have to copy those that it sees.
        if tenant.registry().is_read_only() {
            continue;
        }
        let now = tenant.desk().now();
        let found = tenant.desk().talk().overview();
        readable.push((whose(tenant), i64::from(found.is_ok())));
        let Ok(found) = found else { continue };
        for pending in &found.handoffs {
            let kb = tenant.label(&pending.kb);
            handoffs.insert(kb.clone(), pending.count);
            oldest.insert(kb, pending.seconds(now));
        }
        for pending in &found.tickets {
            tickets.insert(tenant.label(&pending.kb), pending.count);
        }
        due.push((whose(tenant), found.outbox.count));
        age.push((whose(tenant), found.outbox.seconds(now)));
        dead.push((whose(tenant), found.dead));
    }
    sheet.gauge("handoffs_waiting", "Conversations that wait for a person", by_kb(handoffs));
    sheet.seconds(
        "handoffs_oldest_wait_seconds",
        "How long the first of them has been waiting",
        by_kb(oldest),
    );
    sheet.gauge("tickets_open", "Tickets that nobody has looked at", by_kb(tickets));
    sheet.gauge("outbox_waiting", "Deliveries to webhooks and platforms that are due", due);
    sheet.seconds("outbox_oldest_age_seconds", "How long the oldest of them has been due", age);
    sheet.gauge("outbox_dead_letters", "Deliveries that were given up", dead);
    sheet.gauge("conversations_readable", "Whether conversations can be read", readable);
}

fn events(sheet: &mut Sheet, tenants: &[Arc<Tenant>]) {
    let health: Vec<_> = tenants.iter().map(|tenant| (whose(tenant), tenant.log().health())).collect();
    let lost = health.iter().map(|(whose, health)| (whose.clone(), health.lost));
    sheet.counter("events_lost", "Events that could not be stored since the start", lost);
    let failing = health.iter().map(|(whose, health)| (whose.clone(), i64::from(health.failing.is_some())));
    sheet.gauge("events_failing", "Whether events cannot be stored now", failing);
    let unsynced = health.iter().map(|(whose, health)| (whose.clone(), i64::from(health.unsynced.is_some())));
    sheet.gauge("events_unsynced", "Whether the disk does not promise to keep events", unsynced);
    let backlog = tenants.iter().map(|tenant| (whose(tenant), whole(tenant.log().backlog())));
    sheet.gauge("events_backlog", "Closed days that are not compacted yet", backlog);
    let mut drift = Vec::new();
    for (whose, health) in &health {
        for (kb, days) in &health.seen.drift {
            for of in ["unanswered", "confidence"] {
                let out = days.iter().any(|day| day.out.contains(&of));
                let labels = Drifting { tenant: whose.tenant.clone(), kb: kb.clone(), of };
                drift.push((labels, i64::from(out)));
            }
        }
    }
    sheet.gauge(
        "drift",
        "Whether a figure of today or yesterday left the band of the days before, by the events of all nodes",
        drift,
    );
    let missing = health.iter().map(|(whose, health)| (whose.clone(), whole(health.seen.missing.len())));
    sheet.gauge(
        "drift_missing_nodes",
        "Nodes whose latest events that lacks, for they do not answer",
        missing,
    );
}

fn usage(sheet: &mut Sheet, server: &Server, tenants: &[Arc<Tenant>]) {
    let table = server.gate().access().table();
    let counted = server.gate().counted();
    let asked = tenants
        .iter()
        .map(|tenant| (whose(tenant), size(counted.get(tenant.name()).copied().unwrap_or_default())));
    sheet.gauge("tenant_questions_this_month", "Questions with keys in this month (+08:00)", asked);
    let limits: Vec<_> = tenants.iter().map(|tenant| (whose(tenant), table.limits(tenant.name()))).collect();
    let most = limits.iter().filter_map(|(whose, limits)| Some((whose.clone(), size(limits.per_month?))));
    sheet.gauge("tenant_questions_limit", "Questions that a tenant may ask in a month", most);
    let room = tenants.iter().filter_map(|tenant| Some((whose(tenant), size(tenant.measured()?))));
    sheet.gauge("tenant_storage_bytes", "What a tenant's data took when they were measured last", room);
    let most = limits.iter().filter_map(|(whose, limits)| Some((whose.clone(), size(limits.storage?))));
    sheet.gauge("tenant_storage_limit_bytes", "What a tenant's data may take", most);
}

fn soundness(sheet: &mut Sheet, server: &Server, tenants: &[Arc<Tenant>]) {
    let first = server.registry();
    let ready = i64::from(first.is_ready() && !server.is_stopping());
    sheet.one("ready", "Whether questions may be sent", ready);
    let readable =
        tenants.iter().map(|tenant| (whose(tenant), i64::from(tenant.registry().view().is_readable())));
    sheet.gauge("database_readable", "Whether drafts and releases can be looked up", readable);
    let reachable = i64::from(first.store().is_reachable());
    sheet.one("database_reachable", "Whether the server of the records answers; 1 for files", reachable);
    let current = i64::from(!server.certificate().is_some_and(|certificate| certificate.is_refused()));
    sheet.one(
        "certificate_current",
        "Whether the TLS certificate is that of its files; 1 without one",
        current,
    );
    if let Some(bytes) = first.room() {
        sheet.one("disk_free_bytes", "What may still be written where the data lie", size(bytes));
    }
    if let Some(ago) = server.soundness().looked() {
        let gauge: Gauge<f64, AtomicU64> = Gauge::default();
        gauge.set(ago.as_secs_f64());
        sheet.0.register("look_age_seconds", "How long ago the data directory was looked at last", gauge);
    }
    let audit = tenants
        .iter()
        .filter_map(|tenant| Some((whose(tenant), i64::from(server.soundness().audit(tenant.name())?))));
    sheet.gauge("audit_sound", "Whether the record of changes was whole when it was verified last", audit);
}

fn whose(tenant: &Tenant) -> Whose {
    Whose { tenant: tenant.name().to_owned() }
}

fn by_kb<V>(rows: BTreeMap<String, V>) -> impl Iterator<Item = (Kb, V)> {
    rows.into_iter().map(|(kb, value)| (Kb { kb }, value))
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn size(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

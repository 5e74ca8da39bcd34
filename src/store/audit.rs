//! Who did what?
//!
//! The links of [`crate::access::chain`], a chain for each tenant. Beside the
//! database every hash is noted in `audit.heads`, a text to which lines are
//! only added, so that a database whose end was cut off does not look whole.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use diesel::prelude::*;
use serde::Serialize;

use super::access::Access;
use super::database::door::{audit, audit_begins};
use super::database::lower;
use super::database::upsert::OnConflict;
use super::pattern::{ESCAPE, holding};
use crate::access::chain::{Check, Deed, Head, Link};
use crate::access::moment;
use crate::error::{Error, Result};

/// Links that are read at a time.
const PAGE: i64 = 1_000;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit)]
struct Row {
    tenant: String,
    seq: i64,
    at: i64,
    who: Option<String>,
    name: String,
    source: String,
    request: Option<String>,
    action: String,
    object: String,
    before: Option<String>,
    after: Option<String>,
    reason: Option<String>,
    previous: String,
    hash: String,
}

impl From<Row> for Link {
    fn from(row: Row) -> Self {
        let deed = Deed {
            who: row.who,
            name: row.name,
            from: row.source,
            request: row.request,
            action: row.action,
            object: row.object,
            before: row.before,
            after: row.after,
            reason: row.reason,
        };
        Self { seq: row.seq, at: row.at, deed, previous: row.previous, hash: row.hash }
    }
}

impl Row {
    fn of(tenant: &str, link: &Link) -> Self {
        let deed = link.deed.clone();
        Self {
            tenant: tenant.to_owned(),
            seq: link.seq,
            at: link.at,
            who: deed.who,
            name: deed.name,
            source: deed.from,
            request: deed.request,
            action: deed.action,
            object: deed.object,
            before: deed.before,
            after: deed.after,
            reason: deed.reason,
            previous: link.previous.clone(),
            hash: link.hash.clone(),
        }
    }
}

/// Which links are wanted.
#[derive(Debug, Clone, Default)]
pub struct WantedAudit {
    /// Only those before this number.
    pub before: Option<i64>,
    /// Only those from this moment on, in milliseconds since 1970 (UTC).
    pub from: Option<i64>,
    /// Only those up to this moment.
    pub to: Option<i64>,
    /// Only this action.
    pub action: Option<String>,
    /// Only what this key, person or name did.
    pub who: Option<String>,
    /// Only what was done to something whose name holds this.
    pub object: Option<String>,
    /// Only with this in the object, the name, what was before or after, or the reason.
    pub text: Option<String>,
    /// At most this many.
    pub limit: i64,
}

/// Whether a chain is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = AuditVerdict)]
pub struct Verdict {
    /// Whether nothing was altered, removed or reordered.
    pub sound: bool,
    /// How many records were looked at.
    pub records: u64,
    /// The number of the last record …
    pub seq: i64,
    /// … and its hash; noted elsewhere, it shows later that the chain was replaced as a whole.
    pub hash: String,
    /// What is wrong, one sentence each; at most 100.
    pub faults: Vec<String>,
}

impl Access {
    /// Records a deed of a tenant.
    pub fn record(&self, tenant: &str, deed: Deed) -> Result<Link> {
        let link = self.database.write(|connection| {
            let last: Option<(i64, String)> = audit::table
                .filter(audit::tenant.eq(tenant))
                .order(audit::seq.desc())
                .select((audit::seq, audit::hash))
                .first(connection)
                .optional()?;
            let last = last.as_ref().map(|(seq, hash)| (*seq, hash.as_str()));
            let link = Link::after(last, tenant, moment::now(), deed);
            diesel::insert_into(audit::table).values(Row::of(tenant, &link)).execute(connection)?;
            Ok(link)
        })?;
        self.note(tenant, &link)?;
        // Whoever keeps the log elsewhere holds the chain's heads there.
        tracing::info!(
            tenant,
            seq = link.seq,
            hash = link.hash,
            action = link.deed.action,
            request_id = link.deed.request,
            "audit"
        );
        Ok(link)
    }

    fn heads(&self) -> PathBuf {
        self.root.join("audit.heads")
    }

    fn note(&self, tenant: &str, link: &Link) -> Result<()> {
        let path = self.heads();
        let line = format!("{tenant} {} {}\n", link.seq, link.hash);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|e| Error::io("write", &path, e))
    }

    /// The heads of a tenant's chain that were noted.
    fn noted(&self, tenant: &str) -> Result<Vec<Head>> {
        let path = self.heads();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        // A line that a power cut has torn says nothing.
        let read = |line: &str| {
            let mut parts = line.split(' ');
            let (of, seq, hash) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
            (of == tenant && hash.len() == 64).then(|| Head { seq, hash: hash.to_owned() })
        };
        Ok(text.lines().filter_map(read).collect())
    }

    /// Whether the file in which heads are noted has gone. Where several nodes share a server
    /// each notes what it has recorded itself, and one that has recorded nothing has none.
    pub(super) fn has_lost_its_heads(&self) -> bool {
        !self.is_on_server() && !self.heads().exists()
    }

    /// Notes where the chain of a tenant has got to, where records come without what was noted
    /// of them.
    pub(super) fn note_last(&self, tenant: &str) -> Result<()> {
        let last: Option<Option<Row>> = self.database.read(|connection| {
            Ok(audit::table
                .filter(audit::tenant.eq(tenant))
                .order(audit::seq.desc())
                .select(Row::as_select())
                .first(connection)
                .optional()?)
        })?;
        last.flatten().map_or(Ok(()), |row| self.note(tenant, &row.into()))
    }

    /// Whether records of changes were noted, and there is not a single one: the database
    /// was taken away or emptied, and with it who may come in.
    pub fn has_lost_its_records(&self) -> Result<bool> {
        let noted = fs::metadata(self.heads()).is_ok_and(|heads| heads.len() > 0);
        if !noted {
            return Ok(false);
        }
        let any = self.database.read(|connection| {
            Ok(audit::table.select(audit::seq).first::<i64>(connection).optional()?.is_some())
        })?;
        Ok(!any.unwrap_or_default())
    }

    /// The links of a tenant, the newest first.
    pub fn audit(&self, tenant: &str, wanted: &WantedAudit) -> Result<Vec<Link>> {
        let rows = self.database.read(|connection| {
            let mut query = audit::table
                .filter(audit::tenant.eq(tenant))
                .order(audit::seq.desc())
                .limit(wanted.limit)
                .select(Row::as_select())
                .into_boxed();
            if let Some(before) = wanted.before {
                query = query.filter(audit::seq.lt(before));
            }
            if let Some(from) = wanted.from {
                query = query.filter(audit::at.ge(from));
            }
            if let Some(to) = wanted.to {
                query = query.filter(audit::at.lt(to));
            }
            if let Some(action) = &wanted.action {
                query = query.filter(audit::action.eq(action));
            }
            if let Some(who) = &wanted.who {
                query = query.filter(audit::who.eq(who).or(audit::name.eq(who)).assume_not_null());
            }
            if let Some(object) = &wanted.object {
                let pattern = holding(&object.to_ascii_lowercase());
                query = query.filter(lower(audit::object).like(pattern).escape(ESCAPE));
            }
            if let Some(text) = &wanted.text {
                let pattern = || holding(&text.to_ascii_lowercase());
                query = query.filter(
                    lower(audit::object)
                        .like(pattern())
                        .escape(ESCAPE)
                        .or(lower(audit::name).like(pattern()).escape(ESCAPE))
                        .or(audit::before
                            .is_not_null()
                            .and(lower(audit::before.assume_not_null()).like(pattern()).escape(ESCAPE)))
                        .or(audit::after
                            .is_not_null()
                            .and(lower(audit::after.assume_not_null()).like(pattern()).escape(ESCAPE)))
                        .or(audit::reason
                            .is_not_null()
                            .and(lower(audit::reason.assume_not_null()).like(pattern()).escape(ESCAPE))),
                );
            }
            Ok(query.load::<Row>(connection)?)
        })?;
        Ok(rows.unwrap_or_default().into_iter().map(Link::from).collect())
    }

    /// Shows every link of a tenant, the oldest first, to `see`.
    pub fn every_link(&self, tenant: &str, mut see: impl FnMut(Link) -> Result<()>) -> Result<()> {
        let mut after = i64::MIN;
        loop {
            let rows = self.database.read(|connection| {
                let rows: Vec<Row> = audit::table
                    .filter(audit::tenant.eq(tenant))
                    .filter(audit::seq.gt(after))
                    .order(audit::seq)
                    .limit(PAGE)
                    .select(Row::as_select())
                    .load(connection)?;
                Ok(rows)
            })?;
            let rows = rows.unwrap_or_default();
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.seq;
            for row in rows {
                see(row.into())?;
            }
        }
    }

    /// Whether a tenant's chain is whole. `head` is what somebody noted of it
    /// elsewhere.
    pub fn verify(&self, tenant: &str, head: Option<Head>) -> Result<Verdict> {
        // Noted first: what is added meanwhile is not missed in the chain.
        let mut heads = self.noted(tenant)?;
        heads.extend(head);
        let begins = self.begins(tenant)?;
        let was_cut = begins.clone();
        let mut check = Check::new(tenant, begins, heads);
        let mut records = 0_u64;
        let mut is_told = was_cut.seq == 0;
        self.every_link(tenant, |link| {
            records += 1;
            // What was taken away is told by a link that stayed.
            is_told |= link.deed.action == PRUNED && link.deed.after.as_deref() == Some(&was_cut.hash);
            check.see(&link);
            Ok(())
        })?;
        let (mut faults, last) = check.end();
        if !is_told {
            faults.push(format!(
                "the chain begins behind record {}, and no record says that the older ones were taken away",
                was_cut.seq
            ));
        }
        if records > 0 && self.has_lost_its_heads() {
            faults.push(LOST_HEADS.to_owned());
        }
        let sound = faults.is_empty();
        faults.truncate(100);
        Ok(Verdict { sound, records, seq: last.seq, hash: last.hash, faults })
    }

    fn begins(&self, tenant: &str) -> Result<Head> {
        let found: Option<Option<(i64, String)>> = self.database.read(|connection| {
            Ok(audit_begins::table
                .find(tenant)
                .select((audit_begins::seq, audit_begins::hash))
                .first(connection)
                .optional()?)
        })?;
        Ok(found.flatten().map_or(Head { seq: 0, hash: String::new() }, |(seq, hash)| Head { seq, hash }))
    }

    /// Takes the links of a tenant away that are older than a moment, and records
    /// that: the chain begins behind them and can still be verified. The last
    /// link always stays.
    pub fn prune_audit(&self, tenant: &str, older: i64, deed: Deed) -> Result<u64> {
        let last: Option<(i64, String)> = self
            .database
            .read(|connection| {
                let newest: Option<i64> = audit::table
                    .filter(audit::tenant.eq(tenant))
                    .select(diesel::dsl::max(audit::seq))
                    .first(connection)?;
                Ok(audit::table
                    .filter(audit::tenant.eq(tenant))
                    .filter(audit::at.lt(older))
                    .filter(audit::seq.lt(newest.unwrap_or(0)))
                    .order(audit::seq.desc())
                    .select((audit::seq, audit::hash))
                    .first(connection)
                    .optional()?)
            })?
            .flatten();
        let Some((seq, hash)) = last else { return Ok(0) };
        let deed = Deed {
            action: PRUNED.to_owned(),
            object: format!("records up to {seq}"),
            after: Some(hash.clone()),
            ..deed
        };
        // Told first: a crash between leaves all of them, and that is told too.
        self.record(tenant, deed)?;
        let removed = self.database.write(|connection| {
            let removed =
                diesel::delete(audit::table.filter(audit::tenant.eq(tenant)).filter(audit::seq.le(seq)))
                    .execute(connection)?;
            diesel::insert_into(audit_begins::table)
                .values((
                    audit_begins::tenant.eq(tenant),
                    audit_begins::seq.eq(seq),
                    audit_begins::hash.eq(&hash),
                ))
                // Whoever took away more was not long ago, and had not seen this.
                .or("(tenant) DO UPDATE SET seq = excluded.seq, hash = excluded.hash WHERE excluded.seq > audit_begins.seq")
                .execute(connection)?;
            Ok(removed)
        })?;
        Ok(removed as u64)
    }
}

/// What it means that nothing is noted beside the database.
const LOST_HEADS: &str = "audit.heads is missing: every record is noted in it beside the database, and without it nobody can see whether the end of the record was cut off; put it back from a backup, or compare with a line that an earlier `zhida audit verify` printed (--head); the next change begins it anew";

/// How the removal of old links is recorded.
const PRUNED: &str = "prune_audit";

//! What is to be published at some time, and what came of it?
//!
//! A process takes up what is due by one change of the record, so that of several on
//! one data directory one does it. Who took it up says now and then that it is still
//! at work; what nobody speaks for any more is taken up again.

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};
use time::{OffsetDateTime, UtcOffset};

use super::database::schema::{kbs, schedules};
use super::database::{Connection, Outcome};
use super::signature::now;
use super::{Shelf, Store, draft};
use crate::error::{Error, Result};

/// Work that nobody has spoken for so many seconds is taken up by somebody else.
const LEASE: i64 = 600;

/// Something that is due and is being done.
#[derive(Debug, Clone)]
pub(super) struct Due {
    number: i64,
    /// What is told besides of what came of it.
    besides: String,
}

/// What is done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// The draft of that time is published.
    Publish,
    /// A release is served again.
    Rollback(u32),
}

/// How something that was scheduled stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ScheduleState)]
pub enum PlanState {
    /// Its time has not come.
    Waiting,
    /// It is being done.
    Running,
    /// It was done.
    Done,
    /// The draft was not fit to be served.
    Refused,
    /// It could not be done.
    Failed,
    /// Somebody has called it off.
    Cancelled,
}

impl PlanState {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Waiting, "waiting"),
        (Self::Running, "running"),
        (Self::Done, "done"),
        (Self::Refused, "refused"),
        (Self::Failed, "failed"),
        (Self::Cancelled, "cancelled"),
    ];

    /// The word in records.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(one, _)| *one == self).map_or("failed", |(_, name)| name)
    }

    fn named(name: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == name).map_or(Self::Failed, |(one, _)| *one)
    }
}

/// Something that was scheduled.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// Counts up from 1 within a knowledge base.
    pub number: i64,
    /// What is done.
    pub what: Planned,
    /// When, in the offset that it was said in.
    pub due: OffsetDateTime,
    /// The id of the key or person who set it.
    pub who: Option<String>,
    /// How they are named.
    pub author: String,
    /// Why.
    pub reason: Option<String>,
    /// When they set it, RFC 3339 in UTC.
    pub at: String,
    /// How it stands.
    pub state: PlanState,
    /// What came of it.
    pub outcome: Option<String>,
    /// When it ended, RFC 3339 in UTC.
    pub ended: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = schedules)]
struct Row {
    number: i64,
    action: String,
    release: Option<i32>,
    due: i64,
    zone: i32,
    who: Option<String>,
    author: String,
    reason: Option<String>,
    at: String,
    state: String,
    outcome: Option<String>,
    ended: Option<String>,
}

impl From<Row> for Scheduled {
    fn from(row: Row) -> Self {
        let due = OffsetDateTime::from_unix_timestamp(row.due).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let zone = UtcOffset::from_whole_seconds(row.zone).unwrap_or(UtcOffset::UTC);
        let release = row.release.and_then(|number| u32::try_from(number).ok());
        let what = match release {
            Some(number) if row.action == "rollback" => Planned::Rollback(number),
            _ => Planned::Publish,
        };
        Self {
            number: row.number,
            what,
            due: due.to_offset(zone),
            who: row.who,
            author: row.author,
            reason: row.reason,
            at: row.at,
            state: PlanState::named(&row.state),
            outcome: row.outcome,
            ended: row.ended,
        }
    }
}

fn waiting(connection: &mut Connection, kb: i32) -> Outcome<Option<i64>> {
    let open = schedules::table
        .filter(schedules::kb.eq(kb))
        .filter(schedules::state.eq_any(["waiting", "running"]))
        .select(schedules::number);
    Ok(open.first(connection).optional()?)
}

impl Shelf {
    /// Says what is to be done at a time, signed; one thing at a time for a knowledge
    /// base.
    ///
    /// # Errors
    /// [`Error::Conflict`] when something waits already.
    pub fn schedule(&self, what: Planned, due: OffsetDateTime, who: Option<&str>) -> Result<Scheduled> {
        let number = self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            if let Some(number) = waiting(connection, kb.id)? {
                let text = format!("schedule {number} of {} waits already; cancel it first", self.name);
                return Err(Error::Conflict(text).into());
            }
            let last: Option<i64> = schedules::table
                .filter(schedules::kb.eq(kb.id))
                .select(diesel::dsl::max(schedules::number))
                .first(connection)?;
            let number = last.unwrap_or(0) + 1;
            let (action, release) = match what {
                Planned::Publish => ("publish", None),
                Planned::Rollback(release) => ("rollback", i32::try_from(release).ok()),
            };
            diesel::insert_into(schedules::table)
                .values((
                    schedules::kb.eq(kb.id),
                    schedules::number.eq(number),
                    schedules::action.eq(action),
                    schedules::release.eq(release),
                    schedules::due.eq(due.unix_timestamp()),
                    schedules::zone.eq(due.offset().whole_seconds()),
                    schedules::who.eq(who),
                    schedules::author.eq(&self.signature.author),
                    schedules::reason.eq(&self.signature.reason),
                    schedules::at.eq(now()),
                    schedules::state.eq(PlanState::Waiting.name()),
                ))
                .execute(connection)?;
            Ok(number)
        })?;
        let found = self.schedules(1)?.into_iter().find(|one| one.number == number);
        found.ok_or_else(|| Error::internal("schedule", "what was just written is not there"))
    }

    /// What was scheduled, newest first.
    pub fn schedules(&self, limit: i64) -> Result<Vec<Scheduled>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(schedules::table
                .filter(schedules::kb.eq(kb.id))
                .order(schedules::number.desc())
                .limit(limit)
                .select(Row::as_select())
                .load(connection)?)
        })?;
        Ok(found.unwrap_or_default().into_iter().map(Scheduled::from).collect())
    }

    /// Calls something off whose time has not come; says whether it was still waiting.
    pub fn cancel_schedule(&self, number: i64) -> Result<bool> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let one = schedules::table.find((kb.id, number)).filter(schedules::state.eq("waiting"));
            let told = format!("cancelled by {}", self.signature.author);
            let changed = diesel::update(one)
                .set((
                    schedules::state.eq(PlanState::Cancelled.name()),
                    schedules::outcome.eq(Some(told)),
                    schedules::ended.eq(Some(now())),
                ))
                .execute(connection)?;
            Ok(changed > 0)
        })
    }

    /// Says that what was taken up is still being done.
    pub fn speak_for_schedule(&self, number: i64, at: OffsetDateTime) -> Result<()> {
        self.set_claim(number, "running", Some(at.unix_timestamp()))
    }

    /// Gives back what was taken up: it is due as before.
    pub fn put_back_schedule(&self, number: i64) -> Result<()> {
        self.set_claim(number, "waiting", None)
    }

    fn set_claim(&self, number: i64, state: &str, claimed: Option<i64>) -> Result<()> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let one = schedules::table.find((kb.id, number)).filter(schedules::state.eq("running"));
            diesel::update(one)
                .set((schedules::state.eq(state), schedules::claimed.eq(claimed)))
                .execute(connection)?;
            Ok(())
        })
    }

    /// The same knowledge base; whichever release is served next is what came of something
    /// that was taken up. Both are recorded together, so that a death between them does
    /// not have it done twice.
    #[must_use]
    pub fn for_schedule(self, number: i64, besides: String) -> Self {
        Self { due: Some(Due { number, besides }), ..self }
    }

    /// Records that a release is served now because that was due, if it was.
    pub(super) fn done_at_its_time(&self, connection: &mut Connection, kb: i32, release: u32) -> Outcome<()> {
        match &self.due {
            Some(Due { number, besides }) => {
                end(connection, kb, *number, PlanState::Done, &format!("版本 {release}{besides}"))
            }
            None => Ok(()),
        }
    }

    /// Records what came of something that was taken up, unless that was recorded.
    pub fn end_schedule(&self, number: i64, state: PlanState, outcome: &str) -> Result<()> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            end(connection, kb.id, number, state, outcome)
        })
    }
}

fn end(connection: &mut Connection, kb: i32, number: i64, state: PlanState, outcome: &str) -> Outcome<()> {
    let one = schedules::table.find((kb, number)).filter(schedules::state.eq("running"));
    diesel::update(one)
        .set((
            schedules::state.eq(state.name()),
            schedules::outcome.eq(Some(outcome)),
            schedules::ended.eq(Some(now())),
        ))
        .execute(connection)?;
    Ok(())
}

impl Store {
    /// Whether anything waits for its time, in any knowledge base.
    pub fn has_schedules(&self) -> Result<bool> {
        let found = self.database.read(|connection| {
            let open = schedules::table.filter(schedules::state.eq_any(["waiting", "running"]));
            Ok(open.count().get_result::<i64>(connection)? > 0)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Takes up what is due at a moment, with the names of the knowledge bases. What it
    /// gives, nobody else gets.
    pub fn take_up_schedules(&self, at: OffsetDateTime) -> Result<Vec<(String, Scheduled)>> {
        let at = at.unix_timestamp();
        let due = move || {
            let is_left = schedules::state.eq("running").and(schedules::claimed.le(at - LEASE));
            schedules::table
                .inner_join(kbs::table.on(kbs::id.eq(schedules::kb)))
                .filter(schedules::due.le(at))
                .filter(schedules::state.eq("waiting").or(is_left.assume_not_null()))
        };
        // Nothing is written as long as nothing is due.
        let found = self.database.read(|connection| Ok(due().count().get_result::<i64>(connection)?))?;
        if found.unwrap_or_default() == 0 {
            return Ok(Vec::new());
        }
        self.database.write(|connection| {
            let rows: Vec<(i32, String, Row)> = due()
                .order((schedules::due, schedules::kb))
                .select((schedules::kb, kbs::name, Row::as_select()))
                .load(connection)?;
            for (kb, _, row) in &rows {
                diesel::update(schedules::table.find((kb, row.number)))
                    .set((schedules::state.eq("running"), schedules::claimed.eq(Some(at))))
                    .execute(connection)?;
            }
            Ok(rows.into_iter().map(|(_, name, row)| (name, row.into())).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::KnowledgeBase;
    use crate::store::{IgnoredColumns, Signature};
    use time::Duration;
    use time::macros::datetime;

    const NINE: OffsetDateTime = datetime!(2026-12-01 09:00 +8);

    fn shelf(folder: &std::path::Path) -> Shelf {
        let shelf = Store::at(folder).shelf_to_create("gym").unwrap().signed(Signature::of("小王"));
        let empty = |_: KnowledgeBase| Ok(KnowledgeBase::of_validated(Vec::new()));
        shelf.change_draft(IgnoredColumns::default(), empty).unwrap();
        shelf
    }

    #[test]
    fn it_is_taken_up_when_it_is_due_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = shelf(folder.path());
        let set = shelf.schedule(Planned::Publish, NINE, Some("person 1")).unwrap();
        assert_eq!((set.author.as_str(), set.state, set.due), ("小王", PlanState::Waiting, NINE));
        assert_eq!(set.due.offset(), NINE.offset(), "in the zone that it was said in");
        assert!(matches!(shelf.schedule(Planned::Rollback(1), NINE, None), Err(Error::Conflict(_))));
        // Two processes on one data directory.
        let (one, other) = (Store::at(folder.path()), Store::at(folder.path()));
        assert_eq!(one.take_up_schedules(NINE - Duration::seconds(1)).unwrap(), []);
        assert!(one.has_schedules().unwrap());
        let taken = one.take_up_schedules(NINE).unwrap();
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].0.as_str(), taken[0].1.what), ("gym", Planned::Publish));
        assert_eq!(other.take_up_schedules(NINE).unwrap(), []);
        assert!(!shelf.cancel_schedule(1).unwrap(), "it is being done");
        shelf.end_schedule(1, PlanState::Refused, "two errors").unwrap();
        let told = shelf.schedules(10).unwrap();
        assert_eq!((told[0].state, told[0].outcome.as_deref()), (PlanState::Refused, Some("two errors")));
        assert!(!other.has_schedules().unwrap());
        assert_eq!(other.take_up_schedules(NINE + Duration::days(9)).unwrap(), []);
    }

    #[test]
    fn who_does_not_speak_for_it_any_more_has_lost_it() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = shelf(folder.path());
        shelf.schedule(Planned::Rollback(3), NINE, None).unwrap();
        let store = Store::at(folder.path());
        assert_eq!(store.take_up_schedules(NINE).unwrap().len(), 1);
        shelf.speak_for_schedule(1, NINE + Duration::seconds(300)).unwrap();
        let lease = Duration::seconds(LEASE);
        assert_eq!(store.take_up_schedules(NINE + lease).unwrap(), []);
        let again = store.take_up_schedules(NINE + Duration::seconds(300) + lease).unwrap();
        assert_eq!(again[0].1.what, Planned::Rollback(3));
        shelf.put_back_schedule(1).unwrap();
        assert!(shelf.cancel_schedule(1).unwrap());
        assert_eq!(store.take_up_schedules(NINE + Duration::days(1)).unwrap(), []);
    }
}

//! Which day is it?
//!
//! Days are those of China, +08:00 all year: what an operator calls yesterday.

use std::fmt;
use std::str::FromStr;

use time::format_description::well_known::Iso8601;
use time::{Date, Duration, OffsetDateTime, UtcOffset};

use crate::error::{Error, Result};

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// China's time, which knows no summer.
const OFFSET_MS: i64 = 8 * 3_600_000;

/// A day in China.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl Day {
    /// The day of a moment in Unix milliseconds.
    pub fn of(at: i64) -> Self {
        let days = (at + OFFSET_MS).div_euclid(DAY_MS);
        // The clock of no machine leaves the calendar of `time`.
        Self(Date::from_julian_day(i32::try_from(days + 2_440_588).unwrap_or(2_440_588)).unwrap_or(Date::MAX))
    }

    /// The present day.
    pub fn today() -> Self {
        Self::of(now())
    }

    /// Its first moment in Unix milliseconds.
    pub fn start(self) -> i64 {
        i64::from(self.0.to_julian_day() - 2_440_588) * DAY_MS - OFFSET_MS
    }

    /// The first moment after it.
    pub fn end(self) -> i64 {
        self.start() + DAY_MS
    }

    /// The day that lies so many days after it.
    #[must_use]
    pub fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(Duration::days(days)))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Date::parse(text, &Iso8601::DATE)
            .map(Self)
            .map_err(|_| Error::Refused(format!("{text:?} is no day; write it as 2026-11-27")))
    }
}

/// Days from one to another, both counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: Day,
    /// The last.
    pub to: Day,
}

impl Days {
    /// A span of days.
    ///
    /// # Errors
    /// When it ends before it begins.
    pub fn new(from: Day, to: Day) -> Result<Self> {
        if to < from {
            return Err(Error::Refused(format!("from {from} to {to}: the first day comes after the last")));
        }
        Ok(Self { from, to })
    }

    /// How many they are.
    pub fn count(self) -> i64 {
        (self.to.end() - self.from.start()) / DAY_MS
    }

    /// As many days just before them.
    #[must_use]
    pub fn before(self) -> Self {
        Self { from: self.from.plus(-self.count()), to: self.from.plus(-1) }
    }

    /// Whether a moment in Unix milliseconds lies in them.
    pub fn hold(self, at: i64) -> bool {
        (self.from.start()..self.to.end()).contains(&at)
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Day> {
        (0..self.count()).map(move |at| self.from.plus(at))
    }
}

/// The present moment in Unix milliseconds.
pub(super) fn now() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The hour of a day in China, 0..24.
pub(super) fn hour(at: i64) -> u8 {
    u8::try_from((at + OFFSET_MS).rem_euclid(DAY_MS) / 3_600_000).unwrap_or(0)
}

/// A moment as interfaces write it: RFC 3339 in UTC.
pub(super) fn rfc3339(at: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .to_offset(UtcOffset::UTC);
    moment.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_sixteen_hours_utc() {
        let day: Day = "2026-11-27".parse().expect("a day");
        assert_eq!(rfc3339(day.start()), "2026-11-26T16:00:00Z");
        assert_eq!((Day::of(day.start()), Day::of(day.end() - 1)), (day, day));
        assert_eq!(Day::of(day.end()), day.plus(1));
        assert_eq!(day.to_string(), "2026-11-27");
        assert_eq!((hour(day.start()), hour(day.end() - 1)), (0, 23));
    }

    #[test]
    fn the_days_before_are_as_many() {
        let days = Days::new("2026-11-20".parse().expect("a day"), "2026-11-26".parse().expect("a day"))
            .expect("in order");
        assert_eq!(days.count(), 7);
        assert_eq!(days.before().from.to_string(), "2026-11-13");
        assert_eq!(days.before().to.to_string(), "2026-11-19");
        assert!(Days::new(days.to, days.from).is_err());
        assert!("27.11.2026".parse::<Day>().is_err());
    }
}

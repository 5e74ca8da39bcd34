//! When are people there?
//!
//! The week says when they are there as a rule; a holiday takes a day out of
//! it, and a make-up workday (调休) puts one in. Times are those of the service's
//! own time zone.

use serde::Deserialize;
use time::{Date, Duration, OffsetDateTime, Time, UtcOffset, Weekday};

/// A day that is looked for is at most this many days ahead.
const FORESEEN: i64 = 400;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The `[hours]` of a service document; without any, somebody is always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    zone: UtcOffset,
    /// By days from Monday; `None` means all day, every day.
    week: Option<[Vec<Span>; 7]>,
    holidays: Vec<(Date, Date)>,
    workdays: Vec<(Date, Date)>,
    workday_hours: Vec<Span>,
}

/// From one minute of a day to another one; past [`DAY`] on the day after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: u16,
    to: u16,
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    time_zone: Option<String>,
    weekdays: Option<Vec<String>>,
    weekend: Option<Vec<String>>,
    monday: Option<Vec<String>>,
    tuesday: Option<Vec<String>>,
    wednesday: Option<Vec<String>>,
    thursday: Option<Vec<String>>,
    friday: Option<Vec<String>>,
    saturday: Option<Vec<String>>,
    sunday: Option<Vec<String>>,
    #[serde(default)]
    holidays: Vec<String>,
    #[serde(default)]
    workdays: Vec<String>,
    workday_hours: Option<Vec<String>>,
}

/// China's time, which a document without a time zone means.
pub(super) const CHINA: UtcOffset = time::macros::offset!(+8);

impl Default for Hours {
    fn default() -> Self {
        Self {
            zone: CHINA,
            week: None,
            holidays: Vec::new(),
            workdays: Vec::new(),
            workday_hours: Vec::new(),
        }
    }
}

/// A fault with the key that it stands under.
type Fault = (&'static str, String);

impl Hours {
    /// Reads what is written; every fault is told with its key, in Chinese.
    pub(super) fn of(written: Written) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let zone = match written.time_zone.as_deref().map(zone) {
            None => CHINA,
            Some(Some(zone)) => zone,
            Some(None) => {
                faults.push(("time_zone", "时区要写成“+08:00”这样".to_owned()));
                CHINA
            }
        };
        let mut read = |key: &'static str, spans: Option<&Vec<String>>| -> Option<Vec<Span>> {
            let spans = spans?.iter().map(|text| {
                span(text).ok_or_else(|| {
                    (key, format!("“{text}”不是时间段；要写成“09:00-18:00”，过夜写成“22:00-06:00”"))
                })
            });
            let (good, bad): (Vec<_>, Vec<_>) = spans.partition(Result::is_ok);
            faults.extend(bad.into_iter().filter_map(Result::err));
            Some(good.into_iter().filter_map(Result::ok).collect())
        };
        let weekdays = read("weekdays", written.weekdays.as_ref());
        let weekend = read("weekend", written.weekend.as_ref());
        let days = [
            read("monday", written.monday.as_ref()),
            read("tuesday", written.tuesday.as_ref()),
            read("wednesday", written.wednesday.as_ref()),
            read("thursday", written.thursday.as_ref()),
            read("friday", written.friday.as_ref()),
            read("saturday", written.saturday.as_ref()),
            read("sunday", written.sunday.as_ref()),
        ];
        let workday_hours = read("workday_hours", written.workday_hours.as_ref());
        let says = weekdays.is_some() || weekend.is_some() || days.iter().any(Option::is_some);
        let week = says.then(|| {
            let mut place = 0;
            days.map(|own| {
                let common = if place < 5 { &weekdays } else { &weekend };
                place += 1;
                own.or_else(|| common.clone()).unwrap_or_default()
            })
        });
        let all_day = || vec![Span { from: 0, to: DAY }];
        let first_open = || {
            let open = week.iter().flatten().find(|spans| !spans.is_empty());
            open.cloned().unwrap_or_else(all_day)
        };
        let workday_hours = workday_hours.unwrap_or_else(first_open);
        let holidays = dates("holidays", &written.holidays, &mut faults);
        let workdays = dates("workdays", &written.workdays, &mut faults);
        let both = workdays.iter().find_map(|&(first, last)| {
            let overlaps = holidays.iter().find(|&&(from, to)| first <= to && from <= last);
            overlaps.map(|&(from, _)| first.max(from))
        });
        if let Some(day) = both {
            faults.push(("workdays", format!("{day} 既是 holidays 又是 workdays；请只留一个")));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { zone, week, holidays, workdays, workday_hours })
    }

    /// Whether somebody is there at a moment.
    pub fn is_open(&self, at: OffsetDateTime) -> bool {
        let local = at.to_offset(self.zone);
        let minute = minutes(local.time());
        let covers = |span: &Span, minute: u16| (span.from..span.to).contains(&minute);
        self.spans(local.date()).iter().any(|span| covers(span, minute))
            || local.date().previous_day().is_some_and(|before| {
                self.spans(before).iter().any(|span| covers(span, minute.saturating_add(DAY)))
            })
    }

    /// When somebody is there again; the moment itself when somebody is there,
    /// `None` when nobody is for more than a year.
    pub fn next_opening(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        if self.is_open(at) {
            return Some(at);
        }
        let local = at.to_offset(self.zone);
        (0..FORESEEN).find_map(|ahead| {
            let day = local.date().checked_add(Duration::days(ahead))?;
            let midnight = day.midnight().assume_offset(self.zone);
            let openings =
                self.spans(day).into_iter().map(|span| midnight + Duration::minutes(i64::from(span.from)));
            openings.filter(|opening| *opening > at).min()
        })
    }

    /// The time zone that the hours are meant in.
    pub fn zone(&self) -> UtcOffset {
        self.zone
    }

    /// When people are there on a day.
    fn spans(&self, day: Date) -> Vec<Span> {
        if stands_in(&self.workdays, day) {
            return self.workday_hours.clone();
        }
        if stands_in(&self.holidays, day) {
            return Vec::new();
        }
        match &self.week {
            None => vec![Span { from: 0, to: DAY }],
            Some(week) => week[usize::from(place(day.weekday()))].clone(),
        }
    }
}

fn place(day: Weekday) -> u8 {
    day.number_days_from_monday()
}

fn minutes(time: Time) -> u16 {
    u16::from(time.hour()) * 60 + u16::from(time.minute())
}

fn stands_in(ranges: &[(Date, Date)], day: Date) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&day))
}

/// `+08:00`.
fn zone(text: &str) -> Option<UtcOffset> {
    let (sign, rest) = match text.trim().split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i8, i8) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

/// `09:00-18:00`.
fn span(text: &str) -> Option<Span> {
    let (from, to) = text.trim().split_once(['-', '–', '—', '~', '～'])?;
    let (from, to) = (minute(from)?, minute(to)?);
    match (from, to) {
        (from, _) if from == DAY => None,
        (from, to) if from == to => None,
        (from, to) if from < to => Some(Span { from, to }),
        (from, to) => Some(Span { from, to: to + DAY }),
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once([':', '：'])?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

/// Days and ranges of days: `2026-10-01`, `2026-10-01..2026-10-08`.
fn dates(key: &'static str, texts: &[String], faults: &mut Vec<Fault>) -> Vec<(Date, Date)> {
    let mut read = Vec::new();
    for text in texts {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        match (date(first), date(last)) {
            (Some(first), Some(last)) if first <= last => read.push((first, last)),
            _ => faults.push((
                key,
                format!("“{text}”不是日期；要写成“2026-10-01”，连续几天写成“2026-10-01..2026-10-08”"),
            )),
        }
    }
    read
}

fn date(text: &str) -> Option<Date> {
    Date::parse(text.trim(), time::macros::format_description!("[year]-[month]-[day]")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::well_known::Rfc3339;

    fn hours(text: &str) -> Hours {
        Hours::of(toml::from_str(text).unwrap()).unwrap()
    }

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    const OFFICE: &str = "weekdays = [\"09:00-12:00\", \"13:30-18:00\"]\nsaturday = [\"10:00-16:00\"]\nholidays = [\"2026-10-01..2026-10-08\"]\nworkdays = [\"2026-10-10\"]";

    #[test]
    fn week_holidays_and_make_up_days() {
        let office = hours(OFFICE);
        for (moment, open) in [
            ("2026-09-28T08:59:59+08:00", false),
            ("2026-09-28T09:00:00+08:00", true),
            ("2026-09-28T11:59:59+08:00", true),
            ("2026-09-28T12:00:00+08:00", false),
            ("2026-09-28T01:00:00Z", true),
            ("2026-09-27T10:00:00+08:00", false),
            ("2026-10-01T10:00:00+08:00", false),
            ("2026-10-08T10:00:00+08:00", false),
            ("2026-10-09T10:00:00+08:00", true),
            // A Saturday that is worked as a Monday.
            ("2026-10-10T09:30:00+08:00", true),
            ("2026-10-10T17:00:00+08:00", true),
            ("2026-10-17T09:30:00+08:00", false),
        ] {
            assert_eq!(office.is_open(at(moment)), open, "{moment}");
        }
    }

    #[test]
    fn the_next_opening_is_found_across_holidays() {
        let office = hours(OFFICE);
        for (moment, next) in [
            ("2026-09-30T18:00:00+08:00", "2026-10-09T09:00:00+08:00"),
            ("2026-09-28T12:30:00+08:00", "2026-09-28T13:30:00+08:00"),
            ("2026-10-10T20:00:00+08:00", "2026-10-12T09:00:00+08:00"),
        ] {
            assert_eq!(office.next_opening(at(moment)), Some(at(next)), "{moment}");
        }
        assert_eq!(hours("weekdays = []").next_opening(at("2026-10-01T00:00:00Z")), None);
        assert!(Hours::default().is_open(at("2026-10-01T00:00:00Z")));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = hours("friday = [\"22:00-06:00\"]\ntime_zone = \"+08:00\"");
        assert!(night.is_open(at("2026-10-09T23:00:00+08:00")));
        assert!(night.is_open(at("2026-10-10T05:59:00+08:00")));
        assert!(!night.is_open(at("2026-10-10T06:00:00+08:00")));
        assert!(!night.is_open(at("2026-10-10T23:00:00+08:00")));
        assert!(hours("weekdays=[\"00:00-24:00\"]").is_open(at("2026-10-09T23:59:59+08:00")));
    }

    #[test]
    fn faults_name_their_key() {
        let written = "time_zone = \"东八区\"\nmonday = [\"9点\"]\nholidays = [\"国庆\", \"2026-10-08..2026-10-01\"]\nworkdays = [\"2026-02-30\"]";
        let faults = Hours::of(toml::from_str(written).unwrap()).unwrap_err();
        let keys: Vec<&str> = faults.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["time_zone", "monday", "holidays", "holidays", "workdays"]);
        let both = "holidays = [\"2026-10-01\"]\nworkdays = [\"2026-10-01\"]";
        assert!(Hours::of(toml::from_str(both).unwrap()).is_err());
    }
}

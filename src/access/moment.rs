//! When is it?

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

/// Now, in milliseconds since 1970 (UTC).
pub fn now() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// A moment as interfaces tell it.
pub fn told(at: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Reads a moment: RFC 3339, or a day, which begins at midnight in China.
pub fn read(text: &str) -> Option<i64> {
    let moment = match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(moment) => moment,
        Err(_) => {
            let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
            day.midnight().assume_offset(UtcOffset::from_hms(8, 0, 0).ok()?)
        }
    };
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The month of a moment in China, such as `2026-11`: quotas count by it.
pub fn month(at: i64) -> String {
    let local = at.saturating_add(8 * 3_600_000);
    told(local).get(..7).unwrap_or_default().to_owned()
}

/// Seconds until the month ends in China.
pub fn until_next_month(at: i64) -> u64 {
    let this = month(at);
    // At most 31 days; a month ends at midnight, so hours are enough to look at.
    let hour = 3_600_000;
    let mut next = at - at.rem_euclid(hour) + hour;
    while month(next) == this && next - at < 32 * 24 * hour {
        next += hour;
    }
    u64::try_from((next - at) / 1_000).unwrap_or(0).max(1)
}

/// Reads a span such as `90s`, `30m`, `24h` or `7d`, in milliseconds.
pub fn span(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let each = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_those_of_china() {
        assert_eq!(read("2026-12-01").map(told).as_deref(), Some("2026-11-30T16:00:00Z"));
        assert_eq!(read("2026-11-30T16:00:00Z").map(month).as_deref(), Some("2026-12"));
        assert_eq!(read("2026-11-30T15:59:59Z").map(month).as_deref(), Some("2026-11"));
        assert_eq!(read("2026-11-30T15:59:30Z").map(until_next_month), Some(30));
        assert_eq!(read("soon"), None);
    }

    #[test]
    fn a_span_has_a_unit() {
        assert_eq!((span("24h"), span("7d"), span("0s")), (Some(86_400_000), Some(604_800_000), Some(0)));
        assert_eq!((span("24"), span("h"), span("1w"), span("")), (None, None, None, None));
    }
}

//! Which moment does an author mean?
//!
//! RFC 3339 says it all. Spreadsheets hold dates and clock times without a
//! zone; these are taken in the zone of the import, China's unless another one
//! is given. A bare date is the beginning of that day, so an entry that is
//! valid until 2026-02-01 is given up to the last second of January.

use time::format_description::well_known::Rfc3339;
use time::macros::offset;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// The zone of times that come without one: China has no other.
pub const BEIJING: UtcOffset = offset!(+8);

/// The forms that [`instant`] reads, for messages.
pub(super) const FORMS: &str = "2026-01-31、2026-01-31 18:00 或 2026-01-31T00:00:00+08:00";

/// An instant as authors write it; `zone` is for those without one.
pub(super) fn instant(text: &str, zone: UtcOffset) -> Option<OffsetDateTime> {
    let text = text.trim();
    if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(instant);
    }
    let (date, clock) = text.split_once([' ', 'T', '\u{3000}']).unwrap_or((text, "0:00"));
    let numbers = |text: &str, marks: &[char]| -> Option<Vec<u16>> {
        text.trim().trim_end_matches('日').split(marks).map(|part| part.trim().parse().ok()).collect()
    };
    let date = numbers(date, &['-', '/', '.', '年', '月'])?;
    let clock = numbers(clock, &[':', '：'])?;
    let [year, month, day] = date[..] else { return None };
    let (hour, minute, second) = match clock[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let small = |number: u16| u8::try_from(number).ok();
    if year < 1900 {
        return None;
    }
    let date =
        Date::from_calendar_date(i32::from(year), Month::try_from(small(month)?).ok()?, small(day)?).ok()?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_offset(zone))
}

/// A zone as operators write it: `+08:00`, `-05:30`, `Z`.
///
/// # Errors
/// When it is none; the text says what to write.
pub fn zone(text: &str) -> Result<UtcOffset, String> {
    let wrong = || {
        // A + in an address arrives as a blank.
        let how = if text.starts_with(' ') { "; in an address + is written %2B" } else { "" };
        format!("{text:?} is no time zone; write an offset from UTC such as +08:00, -05:30 or Z{how}")
    };
    if matches!(text, "Z" | "z") {
        return Ok(UtcOffset::UTC);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(wrong()),
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "00"));
    let number = |text: &str, limit: i8| {
        let two = text.len() <= 2 && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i8>().ok().filter(|number| two && *number <= limit)
    };
    let (hours, minutes) = number(hours, 14).zip(number(minutes, 59)).ok_or_else(wrong)?;
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_authors_write_them() {
        for text in [
            "2026-01-31",
            "2026/1/31",
            "2026年1月31日",
            "2026.1.31",
            "2026-01-31 00:00:00",
            "2026-01-31T00:00:00+08:00",
        ] {
            let read = instant(text, BEIJING).and_then(|instant| instant.format(&Rfc3339).ok());
            assert_eq!(read.as_deref(), Some("2026-01-31T00:00:00+08:00"), "{text}");
        }
        for text in ["明天", "2026-02-30", "2026", "12:00", "46053"] {
            assert_eq!(instant(text, BEIJING), None, "{text}");
        }
    }

    #[test]
    fn a_zone_is_for_times_that_have_none() {
        let in_zone =
            |text| instant(text, zone("-05:30").unwrap_or(BEIJING)).and_then(|i| i.format(&Rfc3339).ok());
        assert_eq!(in_zone("2026-01-31 18:00").as_deref(), Some("2026-01-31T18:00:00-05:30"));
        assert_eq!(in_zone("2026-01-31T18:00:00+09:00").as_deref(), Some("2026-01-31T18:00:00+09:00"));
        assert_eq!(zone("Z"), Ok(UtcOffset::UTC));
        assert_eq!(zone("+8"), Ok(BEIJING));
        for wrong in ["", "8", "+8:75", "+25", "+-8", "北京", "+08:00:00", "+"] {
            assert!(zone(wrong).is_err(), "{wrong}");
        }
    }
}

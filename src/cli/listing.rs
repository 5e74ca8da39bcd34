//! How is a list printed for people?

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Prints rows to stdout. What their columns are, or that there is no row, goes to stderr:
/// whoever reads the rows need not pass over it.
pub(super) fn list(columns: &str, rows: impl IntoIterator<Item = String>) {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        eprintln!("{}", either!("(none)", "（没有）"));
        return;
    }
    eprintln!("{columns}");
    rows.for_each(|row| say!("{row}"));
}

/// A moment as people in China tell it, to the second: days and months are theirs too. What
/// cannot be told so stays as it is.
pub(super) fn in_china(moment: &str) -> String {
    let local = OffsetDateTime::parse(moment, &Rfc3339).ok().and_then(|at| {
        let at = at.to_offset(UtcOffset::from_hms(8, 0, 0).ok()?);
        at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
    });
    local.unwrap_or_else(|| moment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::in_china;

    #[test]
    fn moments_are_those_of_china_to_the_second() {
        assert_eq!(in_china("2026-11-30T16:00:00.123456789Z"), "2026-12-01T00:00:00+08:00");
        assert_eq!(in_china("-"), "-");
    }
}

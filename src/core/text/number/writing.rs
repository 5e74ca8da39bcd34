//! In which one way is an amount written?

use super::measure::Measured;
use super::numeral::ONE;
use super::unit::{self, Kind, Unit};

/// A number of millionths as a decimal number.
pub(super) fn decimal(value: i64) -> String {
    let (whole, part) = (value / ONE, (value % ONE).abs());
    let sign = if value < 0 && whole == 0 { "-" } else { "" };
    let text = format!("{sign}{whole}.{part:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The one writing of a number with its unit.
pub(super) fn written(one: &Measured) -> String {
    let ordinal = if one.ordinal { "第" } else { "" };
    let text = match one.unit {
        None => match (one.number.low == one.number.high, one.number.style) {
            (true, _) => decimal(one.low),
            (false, _) => joined(&decimal(one.low), &decimal(one.high)),
        },
        // The third week is no 21st day.
        Some(unit) if one.ordinal => format!("{}{}", decimal(one.number.low), unit.name),
        Some(unit) => write_span(unit, one.low, one.high),
    };
    format!("{ordinal}{text}")
}

/// From one amount to another, or one of both when they are equal.
pub(super) fn write_span(unit: Unit, low: i64, high: i64) -> String {
    if low == high {
        return write(unit, low);
    }
    if unit.kind == Kind::Clock {
        return joined(&write(unit, low), &write(unit, high));
    }
    let (measure, name) = measure(unit, &[low, high]);
    format!("{}{name}", joined(&decimal(low / measure), &decimal(high / measure)))
}

/// From one number to another, so that a minus is read as one.
pub(super) fn joined(low: &str, high: &str) -> String {
    let to = if high.starts_with('-') { "到" } else { "-" };
    format!("{low}{to}{high}")
}

/// The one writing of an amount in millionths of its kind's measure.
pub(super) fn write(unit: Unit, value: i64) -> String {
    if unit.kind == Kind::Clock && value % (60 * ONE) != 0 {
        let minutes = value / ONE;
        return format!("{}:{:02}", minutes / 60, minutes % 60);
    }
    let (measure, name) = measure(unit, &[value]);
    format!("{}{name}", decimal(value / measure))
}

/// The largest measure in which amounts are whole, with its name.
pub(super) fn measure(unit: Unit, values: &[i64]) -> (i64, &'static str) {
    let measures: &[(i64, &str)] = match unit.kind {
        Kind::Duration if unit != unit::WORKDAYS => {
            &[(86_400, "天"), (3_600, "小时"), (60, "分钟"), (1, "秒")]
        }
        Kind::Months => &[(1, "个月")],
        // 1000g may be a weight.
        Kind::Data if unit != unit::TERA => &[(1_000, "g"), (1, "m")],
        Kind::Weight => &[(1_000, "kg"), (1, "g")],
        Kind::Length => &[(1, "mm")],
        Kind::Volume => &[(1, "ml")],
        Kind::Ratio => &[(100, "%")],
        _ => return (unit.factor, unit.name),
    };
    let whole = |&&(measure, _): &&(i64, &str)| values.iter().all(|value| value % (measure * ONE) == 0);
    measures.iter().find(whole).copied().unwrap_or(measures[measures.len() - 1])
}

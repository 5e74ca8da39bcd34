//! Which number with which unit begins here?

use super::numeral::{self, Numeral, ONE, Style, is_numeral};
use super::reader::Reader;
use super::unit::{self, Kind, Unit};

/// What beside a number of two digits says that 年 counts years: behind it, …
const YEARS_BEHIND: &str = "内以之期限老后多左质保贷房长前免起";
/// … and before it.
const YEARS_BEFORE: &str = "满贷款作揭龄社还保过了近超存租用开期分交缴供戴穿干做修到质够足整";

/// A number that was read with its unit.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) start: usize,
    /// Where its first digit or numeral stands.
    pub(super) digits: usize,
    pub(super) end: usize,
    pub(super) number: Numeral,
    pub(super) unit: Option<Unit>,
    /// In millionths of the kind's measure.
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) ordinal: bool,
    /// 零下5度, 负一楼, -5.
    pub(super) negative: bool,
}

impl Measured {
    pub(super) fn kind(&self) -> Kind {
        self.unit.map_or(Kind::Plain, |unit| unit.kind)
    }
}

impl Reader<'_> {
    /// The number at a place with its unit.
    pub(super) fn measured(&self, at: usize) -> Option<Measured> {
        let number = self.number(at)?;
        let (number, mut end) = self.with_point(number, false);
        let ordinal = self.before(at) == Some('第');
        let start = if ordinal { at - 1 } else { at };
        let letter = self.before(at).is_some_and(|c| c.is_ascii_alphabetic());
        let mut number = number;
        let mut unit = None;
        if let Some((read, behind)) = self.half_behind(end) {
            // 一个半小时.
            (number.low, number.high) = (number.low + ONE / 2, number.high + ONE / 2);
            (unit, end) = (Some(read), behind);
        } else if let Some((read, behind)) = unit::read(self.chars, end) {
            // The m of “v8m” is no unit.
            let latin = self.get(end).is_some_and(|c| c.is_ascii_alphabetic());
            if !(letter && latin) && self.may_measure(at, &number, read, end, behind) {
                (unit, end) = (Some(self.meant(at, &number, read, behind)), behind);
            }
        } else if matches!(self.get(at), Some('俩' | '仨')) && number.end == at + 1 {
            unit = Some(unit::PIECES);
        }
        let mut start = start;
        if self.before(start) == Some('¥') && unit.is_none_or(|unit| unit.kind == Kind::Plain) {
            (start, unit) = (start - 1, Some(unit::MONEY));
        }
        let factor = unit.map_or(1, |unit| unit.factor);
        let scaled = |value: i64| value.saturating_mul(factor);
        let mut measured = Measured {
            start,
            digits: at,
            end,
            number,
            unit,
            low: scaled(number.low),
            high: scaled(number.high),
            ordinal,
            negative: false,
        };
        if let Some((minutes, end)) = self.clock(&measured) {
            measured.unit = Some(unit::CLOCK);
            (measured.low, measured.high, measured.end) = (minutes, minutes, end);
            return Some(measured);
        }
        if unit.is_some_and(|unit| unit.kind == Kind::Year) {
            let year = calendar_year(number.low / ONE);
            (measured.low, measured.high) = (year * ONE, year * ONE);
        }
        if unit == Some(unit::DISCOUNT) && number.low > 10 * ONE && number.low == number.high {
            // 85折 is 8.5折.
            (measured.low, measured.high) = (number.low / 10, number.low / 10);
        }
        if !ordinal {
            self.and_parts(&mut measured);
        }
        self.minus(&mut measured);
        Some(measured)
    }

    /// The minutes of 12:30, and the place behind it.
    fn clock(&self, hours: &Measured) -> Option<(i64, usize)> {
        let end = hours.number.end;
        let whole = hours.number.style == (Style::Digits { scaled: false }) && hours.unit.is_none();
        let digits = self.chars.get(end + 1..)?.iter().take_while(|c| c.is_ascii_digit()).count();
        if !whole || self.get(end) != Some(':') || digits != 2 || hours.number.low % ONE != 0 {
            return None;
        }
        let minutes: i64 = self.chars[end + 1..end + 3].iter().collect::<String>().parse().ok()?;
        let hours = hours.number.low / ONE;
        (hours <= 24 && minutes < 60).then_some(((hours * 60 + minutes) * ONE, end + 3))
    }

    /// Whether a number that ends at a place has a unit of its own.
    fn number_has_unit(&self, end: usize) -> bool {
        unit::read(self.chars, end).is_some() || self.get(end).is_some_and(|c| c.is_ascii_alphabetic())
    }

    /// Takes a minus before an amount that can be less than nothing.
    fn minus(&self, amount: &mut Measured) {
        if !amount.kind().may_be_negative() || amount.ordinal {
            return;
        }
        for word in ["零下", "负", "-"] {
            let Some(from) = amount.start.checked_sub(word.chars().count()) else { continue };
            let of_code = word == "-" && self.before(from).is_some_and(|c| c.is_ascii_alphanumeric());
            if self.has(from, word) && !of_code {
                (amount.low, amount.high) = (-amount.high, -amount.low);
                (amount.start, amount.negative) = (from, true);
                return;
            }
        }
    }

    /// 三点五折: digits behind the point, if a unit follows or must.
    pub(super) fn with_point(&self, number: Numeral, is_ratio: bool) -> (Numeral, usize) {
        let end = number.end;
        let counts = matches!(number.style, Style::Single | Style::Counted);
        if self.get(end) != Some('点') || !counts || number.low != number.high {
            return (number, end);
        }
        let digit =
            |at: usize| self.get(at).filter(|&c| !matches!(c, '两' | '俩' | '仨')).and_then(numeral::digit);
        let digits: Vec<i64> = (end + 1..).map_while(digit).take(5).collect();
        let behind = end + 1 + digits.len();
        let continues = self.get(behind).is_some_and(is_numeral);
        let measures = unit::read(self.chars, behind).is_some_and(|(unit, _)| unit.kind != Kind::Duration);
        if digits.is_empty() || continues || !(is_ratio || measures) {
            return (number, end);
        }
        let part = digits.iter().fold((0, ONE), |(sum, one), digit| (sum + digit * one / 10, one / 10)).0;
        let value = number.low + part;
        (Numeral { low: value, high: value, style: Style::Counted, end: behind, ..number }, behind)
    }

    /// The unit of 个半小时, 个半月, and the place behind it.
    fn half_behind(&self, at: usize) -> Option<(Unit, usize)> {
        if !self.has(at, "个半") {
            return None;
        }
        if self.has(at + 2, "月") {
            return Some((unit::MONTHS, at + 3));
        }
        unit::read(self.chars, at + 2).filter(|(unit, _)| unit.kind == Kind::Duration)
    }

    /// Whether a unit belongs to a number, and is not a word that begins like it.
    fn may_measure(&self, at: usize, number: &Numeral, unit: Unit, from: usize, behind: usize) -> bool {
        match number.style {
            // 半天 is a long time; 半价 is a price.
            Style::Half => {
                matches!(unit.kind, Kind::Duration | Kind::Months | Kind::Month | Kind::Weight)
                    && !self.has(from, "天")
            }
            // 一块 is together; 周三号 is a Wednesday.
            Style::Single => {
                let together = self.get(at) == Some('一') && self.has(from, "块") && behind == from + 1;
                let weekday = matches!(self.before(at), Some('周' | '期' | '拜')) && !self.has(from, "点");
                !together && !weekday
            }
            _ => true,
        }
    }

    /// What a unit with several meanings means behind this number.
    fn meant(&self, at: usize, number: &Numeral, unit: Unit, behind: usize) -> Unit {
        let short = matches!(self.get(at), Some('俩' | '仨' | '两')) && number.end == at + 1;
        match unit.kind {
            Kind::Month if number.style == Style::Half || short => unit::MONTHS,
            Kind::Months if unit == unit::YEARS && self.is_year(at, number, behind) => unit::YEAR,
            Kind::Duration if self.has(behind - 1, "日") && self.before(at) == Some('月') => {
                unit::DAY_OF_MONTH
            }
            _ => unit,
        }
    }

    /// Whether 年 behind a number names a year and counts none.
    fn is_year(&self, at: usize, number: &Numeral, behind: usize) -> bool {
        if number.low % ONE != 0 || !matches!(number.style, Style::Digits { scaled: false } | Style::Spelled)
        {
            return false;
        }
        let value = number.low / ONE;
        match number.end - at {
            4 => (1900..2100).contains(&value),
            2 => {
                let month = self.number(behind).is_some_and(|month| self.get(month.end) == Some('月'));
                let behind = self.get(behind).is_some_and(|c| YEARS_BEHIND.contains(c));
                let before = self.before(at).is_some_and(|c| YEARS_BEFORE.contains(c) || c == '第');
                let likely = (!(40..70).contains(&value) && value % 10 != 0) || value == 0;
                month || likely && !behind && !before
            }
            _ => false,
        }
    }

    /// Adds what stands behind an amount and belongs to it: 一年半, 12点30分,
    /// 1小时30分钟.
    fn and_parts(&self, amount: &mut Measured) {
        let Some(unit) = amount.unit else { return };
        let half = self.get(amount.end) == Some('半')
            && !self.get(amount.end + 1).is_some_and(|c| "价路夜天个年小月斤".contains(c));
        if half && matches!(unit.kind, Kind::Duration | Kind::Months | Kind::Clock | Kind::Weight) {
            let part = unit.factor * ONE / 2;
            (amount.low, amount.high, amount.end) = (amount.low + part, amount.high + part, amount.end + 1);
            return;
        }
        if matches!(unit, unit::MONEY | unit::METRES) {
            // 1米75, 3块5.
            let digits = self.chars[amount.end..].iter().take_while(|c| c.is_ascii_digit()).count();
            let end = amount.end + digits;
            let most = if unit == unit::METRES { 2 } else { 1 };
            let continues =
                self.get(end).is_some_and(|c| c == '.' || numeral::begins(c)) || self.number_has_unit(end);
            if (1..=most).contains(&digits) && !continues {
                let part: String = self.chars[amount.end..end].iter().collect();
                let tenths = unit.factor * ONE / if digits == 1 { 10 } else { 100 };
                let part = part.parse::<i64>().unwrap_or_default() * tenths;
                (amount.low, amount.high, amount.end) = (amount.low + part, amount.high + part, end);
            }
            return;
        }
        match unit.kind {
            Kind::Clock => {
                let Some(minutes) = self.number(amount.end).filter(|minutes| minutes.low < 60 * ONE) else {
                    return;
                };
                let end = minutes.end + usize::from(self.get(minutes.end) == Some('分'));
                let other =
                    unit::read(self.chars, minutes.end).is_some() || self.get(minutes.end) == Some('-');
                if minutes.style != Style::Half && minutes.style != Style::Single && !other {
                    let part = minutes.low;
                    (amount.low, amount.high, amount.end) = (amount.low + part, amount.high + part, end);
                }
            }
            Kind::Duration | Kind::Months if self.get(amount.end).is_some_and(numeral::begins) => {
                let Some(number) = self.number(amount.end).filter(|n| n.style != Style::Half) else { return };
                let Some((smaller, end)) = unit::read(self.chars, number.end) else { return };
                if smaller.kind == unit.kind && smaller.factor < unit.factor {
                    let part = |value: i64| value.saturating_mul(smaller.factor);
                    amount.low = amount.low.saturating_add(part(number.low));
                    amount.high = amount.high.saturating_add(part(number.high));
                    amount.end = end;
                    amount.unit = Some(smaller);
                    self.and_parts(amount);
                }
            }
            _ => {}
        }
    }
}

/// A year of two digits: 14 is 2014, 98 is 1998.
fn calendar_year(value: i64) -> i64 {
    match value {
        0..40 => 2000 + value,
        40..100 => 1900 + value,
        _ => value,
    }
}

//! Which numbers belong together: from one to another, in a list, in a code?

use super::amount::Amount;
use super::measure::Measured;
use super::numeral::{self, ONE, Style};
use super::reader::Reader;
use super::unit::{self, Kind, Unit};
use super::writing::{decimal, joined, write_span, written};

/// More digits in a row are no amount from one number to another.
const LONGEST_RANGE: usize = 6;

impl Reader<'_> {
    /// 2024.5.1, 5x8小时, 400-800-1234: digits with signs that are compared as
    /// they are written.
    pub(super) fn code(&mut self, first: &Measured) -> Option<usize> {
        let number = first.number;
        let plain = number.style == (Style::Digits { scaled: false });
        if !plain || first.ordinal || first.negative || first.kind() == Kind::Clock {
            return None;
        }
        let joins = |c: char| matches!(c, '.' | '/' | ':' | 'x' | '^' | '-');
        let digit = |at: usize| self.get(at).is_some_and(|c| c.is_ascii_digit());
        let mut end = number.end;
        while self.get(end).is_some_and(joins) && digit(end + 1) {
            end += 1;
            end += self.chars[end..].iter().take_while(|c| c.is_ascii_digit()).count();
        }
        let begin = first.digits;
        let parts: String = self.chars[begin..end].iter().collect();
        let signs: Vec<char> = parts.chars().filter(|&c| joins(c)).collect();
        if let Some(parts) = date(&parts) {
            let [year, month, day] = parts;
            let writing = format!("{year}年{month}月{day}号");
            self.push(begin, end, Amount::new(Kind::Year, year * ONE, year * ONE), true, Some(writing));
            self.push(end, end, Amount::new(Kind::Month, month * ONE, month * ONE), true, None);
            self.push(end, end, Amount::new(Kind::Day, day * ONE, day * ONE), true, None);
            return Some(end);
        }
        let (kind, value, end) = match signs.as_slice() {
            [] | ['.'] => return None,
            ['-'] | ['.', '-'] | ['-', '.'] | ['.', '-', '.'] if self.is_span_of(&parts, begin) => {
                return None;
            }
            _ => {
                let unit = unit::read(self.chars, end).filter(|(unit, _)| unit.tells_apart());
                let kind = unit.map_or(Kind::Plain, |(unit, _)| unit.kind);
                (kind, code_of(&parts), unit.map_or(end, |(_, end)| end))
            }
        };
        self.push(begin, end, Amount::new(kind, value, value), true, None);
        Some(end)
    }

    /// Whether two numbers with a dash are from one to the other, or a coupon's
    /// 满300-50.
    fn is_span_of(&self, parts: &str, begin: usize) -> bool {
        let Some((from, to)) = parts.split_once('-') else { return false };
        let short = |part: &str| {
            part.len() <= LONGEST_RANGE && !(part.len() > 1 && part.starts_with('0') && !part.contains('.'))
        };
        let value = |part: &str| part.parse::<f64>().unwrap_or_default();
        let scaled = matches!(self.get(begin + parts.len()), Some('万' | '亿' | 'w'));
        short(from) && short(to) && (value(from) < value(to) || scaled || self.before(begin) == Some('满'))
    }

    /// From one number to another, and lists of numbers with one unit.
    pub(super) fn span(&mut self, mut first: Measured) -> Option<usize> {
        let sign = self.get(first.end).filter(|c| matches!(c, '-' | '至' | '到' | '、'))?;
        let minus = ["第", "-", "零下", "负"].into_iter().find(|word| self.has(first.end + 1, word));
        let again = first.end + 1 + minus.map_or(0, |word| word.chars().count());
        if !self.get(again).is_some_and(numeral::begins) {
            return None;
        }
        let second = self.measured(again)?;
        let spelled_out =
            |one: &Measured| matches!(one.number.style, Style::Single | Style::Half) && one.unit.is_none();
        if first.unit.is_some() && second.unit.is_none()
            || sign != '-' && sign != '、' && spelled_out(&second)
        {
            return None;
        }
        if sign == '-' && self.before(first.start) == Some('满') && first.low > second.low {
            // A coupon: 满300-50 is 满300减50.
            let (low, high) = (first.low, first.high);
            let writing = format!("{}减", written(&first));
            self.push(first.start, first.end + 1, Amount::new(first.kind(), low, high), true, Some(writing));
            return Some(first.end + 1);
        }
        if first.unit.is_none() {
            first.unit = second.unit;
            let factor = second.unit.map_or(1, |unit| unit.factor);
            let closes = last_scale(&self.chars[second.digits..second.number.end]);
            let unscaled = first.low < closes * ONE;
            let factor = factor.saturating_mul(if unscaled { closes } else { 1 });
            (first.low, first.high) = (first.low.saturating_mul(factor), first.high.saturating_mul(factor));
        }
        if first.kind() != second.kind() {
            return None;
        }
        let mut high = second.high;
        if sign == '、' {
            let known = second.unit.is_some() || second.low > second.number.low.min(9 * ONE);
            high = if first.ordinal || !known { 0 } else { next_to(&first, &second) };
            if high == 0 {
                // A list: each for itself, with the unit that stands behind the last.
                let amount =
                    Amount { ordinal: first.ordinal, ..Amount::new(first.kind(), first.low, first.high) };
                let text = if first.number.style == (Style::Digits { scaled: false })
                    || spelled_out(&first) && second.unit.is_none()
                {
                    None
                } else {
                    Some(format!("{}{}", if first.ordinal { "第" } else { "" }, decimal(first.number.low)))
                };
                self.push(first.start, first.end, amount, true, text);
                return Some(again);
            }
        }
        if first.low >= high {
            return None;
        }
        let unit = second.unit;
        let amount = Amount { ordinal: first.ordinal, ..Amount::new(second.kind(), first.low, high) };
        let ordinal = if first.ordinal { "第" } else { "" };
        let writing = match self.shown(unit, second.end) {
            Some(unit) => write_span(unit, first.low, high),
            None => joined(&decimal(first.low), &decimal(high)),
        };
        let tells = unit.is_none_or(Unit::tells_apart);
        self.finish(first.start, second.end, amount, tells, Some(format!("{ordinal}{writing}")))
    }
}

/// The factor of 万 or 亿 at the end of a number, or 1.
fn last_scale(number: &[char]) -> i64 {
    match number.last() {
        Some('万' | 'w') => 10_000,
        Some('亿') => 100_000_000,
        _ => 1,
    }
}

/// 17、8万: the end of two numbers that follow each other, or 0.
fn next_to(first: &Measured, second: &Measured) -> i64 {
    let factor = second.unit.map_or(1, |unit| unit.factor);
    let (low, other) = (first.low / factor, second.low / factor);
    let step = [1, 10_000, 100_000_000].into_iter().rev().find(|step| other % (step * ONE) == 0 && other > 0);
    let Some(step) = step.map(|step| step * ONE) else { return 0 };
    let last = low / step % 10;
    if other / step == last + 1 && low / step >= 10 {
        second.low.saturating_add((low / step - last).saturating_mul(step).saturating_mul(factor))
    } else if other == low + step {
        second.high
    } else {
        0
    }
}

/// Year, month and day of 2024.5.1, 2024-05-01 and 2024/5/1.
fn date(text: &str) -> Option<[i64; 3]> {
    let sign = text.chars().find(|c| !c.is_ascii_digit()).filter(|c| matches!(c, '.' | '-' | '/'))?;
    let mut parts = text.split(sign).map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let fits = (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    (fits && parts.next().is_none()).then_some([year, month, day])
}

/// A number that no other writing has, far from all amounts.
fn code_of(text: &str) -> i64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    i64::MIN / 2 - i64::try_from(hasher.finish() >> 4).unwrap_or_default()
}

//! Which amounts stand in a text?

use super::Found;
use super::amount::{Amount, Bound};
use super::bound::{BEFORE, BEHIND};
use super::numeral::{self, Numeral, ONE, Style, is_numeral};
use super::unit::{self, Kind, Unit};
use super::words;
use super::writing::{decimal, write, write_span, written};

/// More digits in a row are no amount from one number to another.
const LONGEST_RANGE: usize = 6;

/// Words for the years around this one.
const YEARS: [(&str, i64); 4] = [("前年", -2), ("去年", -1), ("今年", 0), ("明年", 1)];

/// What beside a number of two digits says that 年 counts years: behind it, …
const YEARS_BEHIND: &str = "内以之期限老后多左质保贷房长前免起";
/// … and before it.
const YEARS_BEFORE: &str = "满贷还保过了近超存租用开龄期分交缴供戴穿干做修到质够足整";

/// A number that was read with its unit.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) number: Numeral,
    pub(super) unit: Option<Unit>,
    /// In millionths of the kind's measure.
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) ordinal: bool,
}

impl Measured {
    fn kind(&self) -> Kind {
        self.unit.map_or(Kind::Plain, |unit| unit.kind)
    }
}

pub(super) struct Reader<'a> {
    chars: &'a [char],
    /// Which characters belong to words that are no numbers.
    words: Vec<bool>,
    found: Vec<Found>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &str, chars: &'a [char]) -> Self {
        let mut words = vec![false; chars.len()];
        if chars.iter().any(|&c| is_numeral(c)) {
            let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            for span in words::spans(text) {
                let from = starts.partition_point(|&at| at < span.start);
                let to = starts.partition_point(|&at| at < span.end);
                words[from..to].fill(true);
            }
        }
        Self { chars, words, found: Vec::new() }
    }

    pub(super) fn run(mut self) -> Vec<Found> {
        let mut at = 0;
        while at < self.chars.len() {
            at = self.special(at).or_else(|| self.amount(at)).unwrap_or(at + 1).max(at + 1);
        }
        self.found
    }

    fn has(&self, at: usize, text: &str) -> bool {
        let mut here = self.chars[at.min(self.chars.len())..].iter();
        text.chars().all(|c| here.next() == Some(&c))
    }

    fn get(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    /// The character before a place.
    fn before(&self, at: usize) -> Option<char> {
        at.checked_sub(1).and_then(|at| self.get(at))
    }

    fn number(&self, at: usize) -> Option<Numeral> {
        let is_word = |at: usize| self.words.get(at) == Some(&true);
        let is_counted = |at: usize| {
            unit::read(self.chars, at).is_some_and(|(unit, _)| unit.kind != Kind::Plain)
                || matches!(self.get(at), Some('起' | '样' | '手' | '共'))
        };
        numeral::read(self.chars, at, &is_word, &is_counted)
    }

    /// Amounts that do not begin with their number.
    fn special(&mut self, at: usize) -> Option<usize> {
        match self.chars[at] {
            '百' | '千' | '万' if !self.before(at).is_some_and(numeral::begins) => self.scaled(at),
            '首' | '初' | '头' => {
                let word = ["首次", "初次", "头一次"].into_iter().find(|word| self.has(at, word))?;
                let (unit, _) = unit::read(&['次'], 0)?;
                let mut amount = Amount::new(unit.kind, ONE, ONE);
                amount.ordinal = true;
                let end = at + word.chars().count();
                self.push(at, end, amount, true, Some("第1次".to_owned()));
                Some(end)
            }
            '前' | '去' | '今' | '明' => {
                let (_, year) = YEARS.into_iter().find(|(word, _)| self.has(at, word))?;
                self.push(at, at + 2, Amount::new(Kind::Year, year * ONE, year * ONE), true, None);
                Some(at + 2)
            }
            _ => None,
        }
    }

    /// 百分之三, 千兆.
    fn scaled(&mut self, at: usize) -> Option<usize> {
        let (all, one) = match self.chars[at] {
            '百' => (100, 100),
            '千' => (1_000, 10),
            _ => (10_000, 1),
        };
        if self.has(at + 1, "兆") {
            let value = all * ONE;
            self.push(
                at,
                at + 2,
                Amount::new(Kind::Data, value, value),
                true,
                Some(write(unit::MEGA, value)),
            );
            return Some(at + 2);
        }
        if !self.has(at + 1, "分之") {
            return None;
        }
        let number = self.number(at + 3)?;
        let (number, end) = self.with_point(number, true);
        let value = |value: i64| value.saturating_mul(one);
        let amount =
            Amount { vague: number.vague, ..Amount::new(Kind::Ratio, value(number.low), value(number.high)) };
        let writing = write_span(unit::PERCENT, amount.low, amount.high);
        self.finish(at, end, amount, true, Some(writing))
    }

    /// A number with its unit that begins at a place, with all that belongs to
    /// it; gives the place behind it.
    fn amount(&mut self, at: usize) -> Option<usize> {
        if !numeral::begins(self.chars[at]) || self.words[at] {
            return None;
        }
        let first = self.measured(at)?;
        let weekday = matches!(self.before(at), Some('周' | '期' | '拜'));
        if weekday && first.number.style == Style::Single && first.unit.is_none() {
            return Some(first.end);
        }
        if let Some(end) = self.code(&first) {
            return Some(end);
        }
        if let Some(end) = self.span(first) {
            return Some(end);
        }
        self.alone(first)
    }

    /// The number at a place with its unit.
    fn measured(&self, at: usize) -> Option<Measured> {
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
        let factor = unit.map_or(1, |unit| unit.factor);
        let scaled = |value: i64| value.saturating_mul(factor);
        let mut measured = Measured {
            start,
            end,
            number,
            unit,
            low: scaled(number.low),
            high: scaled(number.high),
            ordinal,
        };
        if unit.is_some_and(|unit| unit.kind == Kind::Year) {
            let year = calendar_year(number.low / ONE);
            (measured.low, measured.high) = (year * ONE, year * ONE);
        }
        if !ordinal {
            self.and_parts(&mut measured);
        }
        Some(measured)
    }

    /// 三点五折: digits behind the point, if a unit follows or must.
    fn with_point(&self, number: Numeral, is_ratio: bool) -> (Numeral, usize) {
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
                !(self.get(at) == Some('一') && self.has(from, "块") && behind == from + 1)
                    && !(matches!(self.before(at), Some('周' | '期' | '拜')) && !self.has(from, "点"))
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

    /// 12:30, 2024.5.1, 5x8小时, 400-800-1234: digits with signs that are
    /// compared as they are written, a time of day apart.
    fn code(&mut self, first: &Measured) -> Option<usize> {
        let number = first.number;
        if number.style != (Style::Digits { scaled: false }) || first.ordinal {
            return None;
        }
        let joins = |c: char| matches!(c, '.' | '/' | ':' | 'x' | '^' | '-');
        let digit = |at: usize| self.get(at).is_some_and(|c| c.is_ascii_digit());
        let mut end = number.end;
        while self.get(end).is_some_and(joins) && digit(end + 1) {
            end += 1;
            end += self.chars[end..].iter().take_while(|c| c.is_ascii_digit()).count();
        }
        let begin = number_start(first);
        let parts: String = self.chars[begin..end].iter().collect();
        let signs: Vec<char> = parts.chars().filter(|&c| joins(c)).collect();
        let is_clock = |part: &str| clock(part).is_some();
        let (kind, low, high, end) = match signs.as_slice() {
            [] | ['.'] => return None,
            [':'] if is_clock(&parts) => {
                let at = clock(&parts)?;
                (Kind::Clock, at, at, end)
            }
            [':', '-', ':'] if parts.split('-').all(is_clock) => {
                let (from, to) = parts.split_once('-')?;
                (Kind::Clock, clock(from)?, clock(to)?, end)
            }
            ['-'] | ['.', '-'] | ['-', '.'] | ['.', '-', '.'] if self.is_span_of(&parts, begin) => {
                return None;
            }
            _ => {
                let unit = unit::read(self.chars, end).filter(|(unit, _)| unit.tells_apart());
                let value = code_of(&parts);
                (
                    unit.map_or(Kind::Plain, |(unit, _)| unit.kind),
                    value,
                    value,
                    unit.map_or(end, |(_, end)| end),
                )
            }
        };
        self.push(begin, end, Amount::new(kind, low, high), true, None);
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
    fn span(&mut self, mut first: Measured) -> Option<usize> {
        let sign = self.get(first.end).filter(|c| matches!(c, '-' | '至' | '到' | '、'))?;
        let again = first.end + 1 + usize::from(self.get(first.end + 1) == Some('第'));
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
            let closes = last_scale(&self.chars[number_start(&second)..second.number.end]);
            let unscaled = first.low < closes * ONE;
            let factor = factor.saturating_mul(if unscaled { closes } else { 1 });
            (first.low, first.high) = (first.low.saturating_mul(factor), first.high.saturating_mul(factor));
        }
        if first.kind() != second.kind() {
            return None;
        }
        let mut high = second.high;
        if sign == '、' {
            let known = second.unit.is_some() || second.number.style != first.number.style;
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
        let writing = match unit {
            Some(unit) => write_span(unit, first.low, high),
            None => format!("{}-{}", decimal(first.low), decimal(high)),
        };
        let tells = unit.is_none_or(Unit::tells_apart);
        self.finish(first.start, second.end, amount, tells, Some(format!("{ordinal}{writing}")))
    }

    /// One number with or without a unit.
    fn alone(&mut self, one: Measured) -> Option<usize> {
        let number = one.number;
        let mut amount = Amount {
            vague: number.vague,
            ordinal: one.ordinal,
            ..Amount::new(one.kind(), one.low, one.high)
        };
        let spelled_out = !matches!(number.style, Style::Digits { .. });
        let bare = one.unit.is_none();
        // A bare 一 or 三 is mostly a part of another word, and so is 七八.
        let no_amount = bare && !one.ordinal && matches!(number.style, Style::Single | Style::Half)
            || bare && number.low < number.high && number.high < 10 * ONE
            || number.style == Style::Half && bare;
        if no_amount {
            return Some(one.end);
        }
        let is_one = number.style == Style::Single && self.get(number_start(&one)) == Some('一');
        let vague_one =
            is_one && !one.ordinal && one.unit.is_some_and(|unit| unit.may_be_any() || unit == unit::CLOCK);
        let long = bare && number.low >= 1_000_000_000 * ONE;
        let tells = !vague_one && !long && one.unit.is_none_or(Unit::tells_apart);
        if one.unit.is_some_and(|unit| !unit.tells_apart()) {
            amount.kind = Kind::Plain;
        }
        let scaled = number.style == Style::Digits { scaled: true };
        let writing = (!number.vague && !(vague_one && one.unit == Some(unit::CLOCK)))
            .then(|| if bare && !scaled && !spelled_out { None } else { Some(written(&one)) })
            .flatten();
        // “3个” counts like a bare number; “三个” mostly means some.
        let tells = tells || one.unit.is_some_and(|unit| !unit.tells_apart()) && !spelled_out;
        self.finish(one.start, one.end, amount, tells, writing)
    }

    /// Looks for what stands around an amount, and takes it.
    fn finish(
        &mut self,
        start: usize,
        end: usize,
        amount: Amount,
        tells: bool,
        writing: Option<String>,
    ) -> Option<usize> {
        let (mut start, mut end, mut amount, mut writing) = (start, end, amount, writing);
        let own: String = self.chars[start..end].iter().collect();
        let taken = self.found.last().map_or(0, |found| found.end);
        let before = |start: usize, text: &str| {
            let from = start.checked_sub(text.chars().count()).filter(|&from| from >= taken);
            from.filter(|&from| self.has(from, text))
        };
        let minus =
            ["零下", "负", "-"].into_iter().find_map(|word| before(start, word).map(|from| (word, from)));
        if let Some((word, from)) = minus
            && amount.kind.may_be_negative()
            && !(word == "-"
                && from.checked_sub(1).and_then(|at| self.get(at)).is_some_and(|c| c.is_ascii_alphanumeric()))
        {
            start = from;
            (amount.low, amount.high) = (-amount.high, -amount.low);
            writing = Some(format!("-{}", writing.unwrap_or_else(|| own.clone())));
        }
        let sign = BEFORE
            .into_iter()
            .find_map(|(word, bound, sign)| Some((before(start, word)?, bound, sign, word)));
        if let Some((from, bound, sign, word)) = sign {
            let kept = writing.unwrap_or_else(|| self.chars[start..end].iter().collect());
            start = from;
            amount.bound = bound;
            amount.strict = matches!(word, "<" | ">");
            writing = Some(format!("{sign}{kept}"));
        } else if before(start, "满").is_some() {
            amount.bound = Bound::High;
        }
        let behind = BEHIND.into_iter().find(|(word, _, _, not_before)| {
            let next = self.get(end + word.chars().count());
            self.has(end, word) && !next.is_some_and(|c| not_before.contains(c))
        });
        if let Some((word, bound, short, _)) = behind {
            let kept = writing.unwrap_or_else(|| self.chars[start..end].iter().collect());
            end += word.chars().count();
            amount.bound = bound;
            writing = Some(format!("{kept}{short}"));
        }
        self.push(start, end, amount, tells, writing);
        Some(end)
    }

    fn push(&mut self, start: usize, end: usize, amount: Amount, tells: bool, writing: Option<String>) {
        self.found.push(Found { start, end, amount, tells, writing });
    }
}

/// Where the number itself begins.
fn number_start(one: &Measured) -> usize {
    one.start + usize::from(one.ordinal)
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

/// A year of two digits: 14 is 2014, 98 is 1998.
fn calendar_year(value: i64) -> i64 {
    match value {
        0..40 => 2000 + value,
        40..100 => 1900 + value,
        _ => value,
    }
}

/// The minutes of 12:30.
fn clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hour, minute): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hour <= 24 && minute < 60 && minutes.len() == 2).then_some((hour * 60 + minute) * ONE)
}

/// A number that no other writing has, far from all amounts.
fn code_of(text: &str) -> i64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    i64::MIN / 2 - i64::try_from(hasher.finish() >> 4).unwrap_or_default()
}

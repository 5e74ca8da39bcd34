//! Which amounts stand in a text?

use super::amount::{Amount, Bound};
use super::bound::{BEFORE, BEHIND};
use super::measure::Measured;
use super::numeral::{self, Numeral, ONE, Style, is_numeral};
use super::unit::{self, Kind, Unit};
use super::writing::{write, write_span, written};
use super::{Found, words};

/// From here on digits are those of a telephone or an order.
const TELEPHONE: i64 = 1_000_000_000;

/// With 不到 or 没到 behind them these say that something did not succeed.
const VERBS: &str = "搜收找看查买用领拿见听连打取抢达碰接登";

/// Words for the years around this one.
const YEARS: [(&str, i64); 4] = [("前年", -2), ("去年", -1), ("今年", 0), ("明年", 1)];

pub(super) struct Reader<'a> {
    pub(super) chars: &'a [char],
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
                // 20万一年 has no 万一, 一百度 no 百度.
                let of_number = !numeral::begins(chars[from])
                    && from.checked_sub(1).is_some_and(|before| numeral::begins(chars[before]));
                words[from..to].fill(!(is_numeral(chars[from]) && of_number));
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

    pub(super) fn has(&self, at: usize, text: &str) -> bool {
        let mut here = self.chars[at.min(self.chars.len())..].iter();
        text.chars().all(|c| here.next() == Some(&c))
    }

    pub(super) fn get(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    /// The character before a place.
    pub(super) fn before(&self, at: usize) -> Option<char> {
        at.checked_sub(1).and_then(|at| self.get(at))
    }

    pub(super) fn number(&self, at: usize) -> Option<Numeral> {
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
        if let Some(word) = ["百分之百", "百分百"].into_iter().find(|word| self.has(at, word)) {
            let whole = 10_000 * ONE;
            let writing = write(unit::PERCENT, whole);
            let end = at + word.chars().count();
            return self.finish(at, end, Amount::new(Kind::Ratio, whole, whole), true, Some(writing));
        }
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
            || bare && number.low < number.high && number.high < 10 * ONE;
        if no_amount {
            return Some(one.end);
        }
        let is_one = number.style == Style::Single && self.get(one.digits) == Some('一');
        let vague_one = is_one
            && !one.ordinal
            && !one.negative
            && one.unit.is_some_and(|unit| unit.may_be_any() || unit == unit::CLOCK);
        let counted = matches!(number.style, Style::Digits { scaled: true } | Style::Counted);
        let long = bare && !counted && number.low >= TELEPHONE * ONE;
        let tells = !vague_one && !long && one.unit.is_none_or(Unit::tells_apart);
        if one.unit.is_some_and(|unit| !unit.tells_apart()) {
            amount.kind = Kind::Plain;
        }
        let scaled = number.style == Style::Digits { scaled: true };
        let one = Measured { unit: self.shown(one.unit, one.end), ..one };
        let bare_writing = bare && !scaled && !spelled_out && self.chars[one.start].is_ascii();
        let stays = number.vague || vague_one && one.unit == Some(unit::CLOCK) || bare_writing;
        let writing = (!stays).then(|| written(&one));
        // “3个” counts like a bare number; “三个” mostly means some.
        let tells = tells || one.unit.is_some_and(|unit| !unit.tells_apart()) && !spelled_out;
        self.finish(one.start, one.end, amount, tells, writing)
    }

    /// The unit that is written: 180块的套餐 is the 180的套餐.
    pub(super) fn shown(&self, unit: Option<Unit>, end: usize) -> Option<Unit> {
        unit.filter(|&unit| unit != unit::MONEY || !matches!(self.get(end), Some('的' | '减' | '券')))
    }

    /// Looks for what stands around an amount, and takes it.
    pub(super) fn finish(
        &mut self,
        start: usize,
        end: usize,
        amount: Amount,
        tells: bool,
        writing: Option<String>,
    ) -> Option<usize> {
        let (mut start, mut end, mut amount, mut writing) = (start, end, amount, writing);
        let (inner, plain) = (start..end, writing.clone());
        let taken = self.found.last().map_or(0, |found| found.end);
        let before = |start: usize, text: &str| {
            let from = start.checked_sub(text.chars().count()).filter(|&from| from >= taken);
            from.filter(|&from| self.has(from, text))
        };
        let sign = BEFORE
            .into_iter()
            .find_map(|(word, bound, sign)| Some((before(start, word)?, bound, sign, word)))
            // 收不到5g is no 收<5g.
            .filter(|(from, _, _, word)| {
                !word.ends_with('到') || !self.before(*from).is_some_and(|c| VERBS.contains(c))
            });
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
            // 18岁以上 is ≥18岁.
            let sign = match short {
                "以上" if amount.bound == Bound::At => "≥",
                "以下" if amount.bound == Bound::At => "≤",
                _ => "",
            };
            amount.bound = bound;
            let short = if sign.is_empty() { short } else { "" };
            writing = Some(format!("{sign}{kept}{short}"));
        }
        self.found.push(Found { start, end, amount, tells, inner, plain, writing });
        Some(end)
    }

    pub(super) fn push(
        &mut self,
        start: usize,
        end: usize,
        amount: Amount,
        tells: bool,
        writing: Option<String>,
    ) {
        let plain = writing.clone();
        self.found.push(Found { start, end, amount, tells, inner: start..end, plain, writing });
    }
}

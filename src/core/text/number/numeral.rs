//! Which number is written here, in digits or in Chinese numerals?
//!
//! 2500, 两千五, 2千5, 贰仟伍佰; 二〇二四 and 九五五六六, digit by digit; 十七八万 and 三五百
//! from one number to another; 三十几 and 二十多, which say none exactly.

/// Numbers are whole millionths, so that 0.5 and 6.985 are exact.
pub(super) const ONE: i64 = 1_000_000;

/// More digits in a row are a telephone or order number.
const DIGITS: usize = 12;

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// In digits, perhaps with 万 or 亿 behind them (`scaled`).
    Digits {
        /// Whether 十 to 亿 take part.
        scaled: bool,
    },
    /// Digit by digit in Chinese numerals.
    Spelled,
    /// Two Chinese numerals or more that count: 十五, 三百二.
    Counted,
    /// One Chinese numeral.
    Single,
    /// 半.
    Half,
}

/// A number in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numeral {
    /// In millionths.
    pub(super) low: i64,
    /// Above `low` where from one number to another is said.
    pub(super) high: i64,
    /// Whether it says no number exactly: 三十几.
    pub(super) vague: bool,
    pub(super) style: Style,
    /// The place behind it.
    pub(super) end: usize,
}

/// The value of a Chinese digit.
pub(super) fn digit(c: char) -> Option<i64> {
    Some(match c {
        '零' | '〇' | '○' => 0,
        '一' | '壹' | '幺' => 1,
        '二' | '两' | '贰' | '俩' => 2,
        '三' | '叁' | '仨' => 3,
        '四' | '肆' => 4,
        '五' | '伍' => 5,
        '六' | '陆' => 6,
        '七' | '柒' => 7,
        '八' | '捌' => 8,
        '九' | '玖' => 9,
        _ => return None,
    })
}

fn scale(c: char) -> Option<i64> {
    Some(match c {
        '十' | '拾' => 10,
        '百' | '佰' => 100,
        '千' | '仟' => 1_000,
        '万' => 10_000,
        '亿' => 100_000_000,
        _ => return None,
    })
}

/// Whether a number may begin with a character.
pub(super) fn begins(c: char) -> bool {
    c.is_ascii_digit() || digit(c).is_some() || matches!(c, '十' | '拾' | '半' | '几' | '数')
}

/// Whether a character may be part of a Chinese numeral.
pub(in crate::text) fn is_numeral(c: char) -> bool {
    digit(c).is_some() || scale(c).is_some()
}

/// The number that begins at a place. `is_word` says which characters belong to
/// words that are no numbers, `is_counted` whether something that is counted
/// begins at a place: in 五百一次 the 一 is no part of 五百.
pub(super) fn read(
    chars: &[char],
    at: usize,
    is_word: &dyn Fn(usize) -> bool,
    is_counted: &dyn Fn(usize) -> bool,
) -> Option<Numeral> {
    if is_word(at) {
        return None;
    }
    if *chars.get(at)? == '半' {
        return Some(Numeral { low: ONE / 2, high: ONE / 2, vague: false, style: Style::Half, end: at + 1 });
    }
    spelled(chars, at, is_word).or_else(|| Reading::new(chars, at).run(is_word, is_counted))
}

/// Digits one by one: three or more, or the two of a year or a discount.
fn spelled(chars: &[char], at: usize, is_word: &dyn Fn(usize) -> bool) -> Option<Numeral> {
    let one = |at: usize| {
        let c = *chars.get(at)?;
        (!matches!(c, '两' | '俩' | '仨') && !is_word(at)).then(|| digit(c)).flatten()
    };
    // One more than counts says that there are too many; a file may hold any number of them.
    let digits: Vec<i64> = (at..).map_while(one).take(DIGITS + 1).collect();
    let end = at + digits.len();
    let next = chars.get(end).copied();
    if next.is_some_and(|c| scale(c).is_some()) || digits.len() > DIGITS {
        return None;
    }
    let counts_up = digits.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let is_code = digits.len() > 3 || digits.len() == 3 && !counts_up;
    // 一四年 is a year and 八五折 a discount; 三五年 are three to five.
    let of_two = digits.len() == 2 && matches!(next, Some('年' | '折')) && !counts_up && digits != [3, 5];
    if !is_code && !of_two {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| value * 10 + digit).checked_mul(ONE)?;
    Some(Numeral { low: value, high: value, vague: false, style: Style::Spelled, end })
}

/// A lowest and a highest number.
type Span = (i64, i64);

fn plus(a: Span, b: Span) -> Option<Span> {
    Some((a.0.checked_add(b.0)?, a.1.checked_add(b.1)?))
}

fn times(a: Span, factor: i64) -> Option<Span> {
    Some((a.0.checked_mul(factor)?, a.1.checked_mul(factor)?))
}

/// A number on its way from left to right.
struct Reading<'a> {
    chars: &'a [char],
    begin: usize,
    at: usize,
    /// What 万 and 亿 have closed.
    total: Span,
    /// What 十, 百 and 千 have closed since.
    section: Span,
    /// What no scale has closed.
    open: Option<Span>,
    /// Whether that is one digit, and where it stands.
    single: Option<usize>,
    last: i64,
    zero: bool,
    digits: bool,
    scaled: bool,
    vague: bool,
}

impl<'a> Reading<'a> {
    fn new(chars: &'a [char], at: usize) -> Self {
        Self {
            chars,
            begin: at,
            at,
            total: (0, 0),
            section: (0, 0),
            open: None,
            single: None,
            last: 0,
            zero: false,
            digits: false,
            scaled: false,
            vague: false,
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(mut self, is_word: &dyn Fn(usize) -> bool, is_counted: &dyn Fn(usize) -> bool) -> Option<Numeral> {
        while let Some(c) = self.peek(0).filter(|_| !is_word(self.at)) {
            if !self.step(c)? {
                break;
            }
        }
        // 两千五 is 2500, 一百零八 is 108, and in 五百一次 there are two numbers.
        if let (Some(open), Some(place)) = (self.open, self.single)
            && self.last >= 100
            && !self.zero
        {
            if is_counted(self.at) {
                self.open = None;
                self.at = place;
            } else {
                self.open = Some(times(open, self.last / 10)?);
            }
        }
        let (low, high) = plus(plus(self.total, self.section)?, self.open.unwrap_or((0, 0)))?;
        let nothing = self.open.is_none() && !self.scaled;
        if nothing || self.at == self.begin {
            return None;
        }
        let style = match (self.digits, self.at - self.begin) {
            (true, _) => Style::Digits { scaled: self.scaled },
            (false, 1) => Style::Single,
            (false, _) => Style::Counted,
        };
        Some(Numeral { low, high, vague: self.vague, style, end: self.at })
    }

    /// Takes a character; `Some(false)` when it is no part of the number,
    /// `None` when the number is too large.
    fn step(&mut self, c: char) -> Option<bool> {
        if c.is_ascii_digit() {
            return self.decimal();
        }
        if let Some(value) = digit(c) {
            return Some(self.digit(value * ONE));
        }
        if let Some(scale) = scale(c) {
            return self.scale(scale);
        }
        match c {
            // 20w is 20万, but 20wh and w3 are not.
            'w' if self.digits
                && self.open.is_some()
                && !self.scaled
                && !self.peek(1).is_some_and(|c| c.is_ascii_alphanumeric()) =>
            {
                self.scale(10_000)
            }
            // 几十, 三十几.
            '几' | '数' if self.open.is_none() => {
                let before = self.scaled && c == '几';
                if !before && self.peek(1).is_none_or(|c| scale(c).is_none()) {
                    return Some(false);
                }
                self.open = Some((ONE, 9 * ONE));
                self.single = Some(self.at);
                self.vague = true;
                self.at += 1;
                Some(true)
            }
            // 三十多, 一百来.
            '多' | '余' | '来' if self.scaled && self.open.is_none() && !self.vague => {
                let of_another_word = match c {
                    '来' => !self.peek(1).is_some_and(|c| "天个元块年月小分岁斤人件公".contains(c)),
                    _ => self.peek(1).is_some_and(|c| matches!(c, '少' | '额' | '次' | '久' | '大')),
                };
                if of_another_word {
                    return Some(false);
                }
                let rest = (self.last - 1) * ONE;
                let closed = if self.last >= 10_000 { &mut self.total } else { &mut self.section };
                closed.1 = closed.1.checked_add(rest)?;
                self.vague = true;
                self.at += 1;
                Some(true)
            }
            _ => Some(false),
        }
    }

    /// Digits with what stands behind their point.
    fn decimal(&mut self) -> Option<bool> {
        if self.open.is_some() {
            return Some(false);
        }
        let run = |from: usize| {
            self.chars[from..].iter().take(DIGITS + 1).take_while(|c| c.is_ascii_digit()).count()
        };
        let whole = run(self.at);
        let mut end = self.at + whole;
        if whole > DIGITS {
            return None;
        }
        let number =
            |from: usize, to: usize| self.chars[from..to].iter().collect::<String>().parse::<i64>().ok();
        let mut value = number(self.at, end)?.checked_mul(ONE)?;
        let behind = if self.chars.get(end) == Some(&'.') { run(end + 1) } else { 0 };
        if (1..=6).contains(&behind) {
            let part = number(end + 1, end + 1 + behind)?;
            value = value.checked_add(part * 10i64.pow(6 - u32::try_from(behind).ok()?))?;
            end += 1 + behind;
        }
        self.single = (whole == 1 && behind == 0).then_some(self.at);
        self.open = Some((value, value));
        self.digits = true;
        self.at = end;
        Some(true)
    }

    fn digit(&mut self, value: i64) -> bool {
        match self.open {
            None if value == 0 && self.scaled => self.zero = true,
            None => {
                self.open = Some((value, value));
                self.single = Some(self.at);
            }
            // 七八, 三五: from one to the other.
            Some((low, high))
                if self.single.is_some()
                    && low == high
                    && low > 0
                    && !self.digits
                    && (value == low + ONE || low == 3 * ONE && value == 5 * ONE) =>
            {
                self.open = Some((low, value));
            }
            Some(_) => return false,
        }
        self.at += 1;
        true
    }

    fn scale(&mut self, scale: i64) -> Option<bool> {
        if scale >= 10_000 {
            let group = plus(self.section, self.open.unwrap_or((0, 0)))?;
            let closed = if scale == 10_000 { group } else { plus(self.total, group)? };
            let falls = scale > 10_000 || self.total.1 % (100_000_000 * ONE) == 0;
            if closed.1 == 0 || !falls {
                return Some(false);
            }
            let closed = times(closed, scale)?;
            self.total = if scale == 10_000 { plus(self.total, closed)? } else { closed };
            (self.section, self.open) = ((0, 0), None);
        } else {
            let falls = self.section.1 == 0 || scale < self.last;
            let value = match self.open {
                Some(open) => open,
                // 十五, 一百零十五; 百 alone is a part of a word.
                None if scale == 10 && (!self.scaled || self.zero) => (ONE, ONE),
                None => return Some(false),
            };
            if !falls {
                return Some(false);
            }
            self.section = plus(self.section, times(value, scale)?)?;
            self.open = None;
        }
        (self.single, self.last, self.zero, self.scaled) = (None, scale, false, true);
        self.at += 1;
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(i64, i64, bool, usize)> {
        let chars: Vec<char> = text.chars().collect();
        let is_counted = |at: usize| chars.get(at).is_some_and(|c| "次天个件".contains(*c));
        read(&chars, 0, &|_| false, &is_counted).map(|n| (n.low / 10_000, n.high / 10_000, n.vague, n.end))
    }

    #[test]
    fn numbers_as_people_write_them() {
        for (text, hundredths) in [
            ("七", 700),
            ("十", 1_000),
            ("十五", 1_500),
            ("二十", 2_000),
            ("一百零八", 10_800),
            ("一百八", 18_000),
            ("一百八十", 18_000),
            ("一百五十二", 15_200),
            ("两千五", 250_000),
            ("两千零五", 200_500),
            ("两千五百", 250_000),
            ("两千零五十", 205_000),
            ("一千八百五", 185_000),
            ("一万二", 1_200_000),
            ("一万零二百", 1_020_000),
            ("二十万", 20_000_000),
            ("贰拾万", 20_000_000),
            ("伍万", 5_000_000),
            ("三亿五千万", 35_000_000_000),
            ("二十万八千", 20_800_000),
            ("20万", 20_000_000),
            ("20w", 20_000_000),
            ("1.5万", 1_500_000),
            ("2万5", 2_500_000),
            ("3千5", 350_000),
            ("1万2千", 1_200_000),
            ("200000", 20_000_000),
            ("1.5", 150),
            ("0.985", 98),
            ("九五五六六", 9_556_600),
            ("幺二三零六", 1_230_600),
            ("二〇二四", 202_400),
            ("二零一四", 201_400),
            ("两", 200),
            ("半", 50),
        ] {
            let length = text.chars().count();
            assert_eq!(of(text), Some((hundredths, hundredths, false, length)), "{text}");
        }
    }

    #[test]
    fn from_one_number_to_another_and_none_exactly() {
        for (text, low, high, vague) in [
            ("七八", 7, 8, false),
            ("十七八", 17, 18, false),
            ("十七八万", 170_000, 180_000, false),
            ("二三十", 20, 30, false),
            ("五六百", 500, 600, false),
            ("三五", 3, 5, false),
            ("两三", 2, 3, false),
            ("三十几", 31, 39, true),
            ("几十", 10, 90, true),
            ("二十多", 20, 29, true),
            ("三百多", 300, 399, true),
        ] {
            let length = text.chars().count();
            assert_eq!(of(text), Some((100 * low, 100 * high, vague, length)), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_ends_before() {
        for text in ["百货", "千万别", "万达", "几天", "数据", "来了", "9999999999999"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(of("五百一次"), Some((50_000, 50_000, false, 2)), "one time costs 500");
        assert_eq!(of("一百八的套餐"), Some((18_000, 18_000, false, 3)));
        assert_eq!(of("20wh"), Some((2_000, 2_000, false, 2)));
        assert_eq!(of("20多少钱"), Some((2_000, 2_000, false, 2)));
        assert_eq!(of("九万九万"), Some((9_900_000, 9_900_000, false, 3)), "one 万 only");
        assert_eq!(of(&"亿".repeat(40)), None);
    }
}

//! Which signs carry meaning?
//!
//! A sign between or before digits is part of the number: -5℃, 3~5天, 第1、2期, <18岁,
//! 5*8小时, 12:30, 10². Elsewhere it is noise. Every sign that stays is written
//! in one way, and what goes from between two digits leaves a space, so that
//! no two numbers ever become one.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::number;

/// Characters between a number and a sign behind it: the unit.
const UNIT: usize = 3;

/// Digits of the number of an item in a list.
const LIST: usize = 2;

static PUNCTUATION: LazyLock<Regex> = LazyLock::new(|| super::normalize::regex(r"[\p{P}\p{Sk}~`^|<>=]"));

/// Writes out what Unicode's compatibility form would run into its neighbours:
/// 10² is 10^2, ①② is 1、2, 1½ is 1.5. A circled number in front is that of an
/// item in a list.
pub(super) fn written_out(text: &str) -> Cow<'_, str> {
    let special = |c: char| {
        superscript(c).is_some()
            || circled(c).is_some()
            || fraction(c).is_some()
            || matches!(c, '⁄' | '\u{20E3}')
    };
    if text.is_ascii() || !text.chars().any(special) {
        return Cow::Borrowed(text);
    }
    let chars: Vec<char> = text.chars().collect();
    let is_digit = |c: char| matches!(c, '0'..='9' | '０'..='９');
    let mut out = String::with_capacity(text.len() + 8);
    let mut at = 0;
    let mut raised = false;
    // What was written last is a whole number that nothing may be added to.
    let mut closed = false;
    while at < chars.len() {
        let c = chars[at];
        let after_digit = out.chars().next_back().is_some_and(is_digit);
        if let Some(plain) = superscript(c).filter(|_| after_digit || raised) {
            if !raised {
                out.push('^');
            }
            out.push(plain);
            (raised, closed) = (true, true);
            at += 1;
            continue;
        }
        raised = false;
        let keycap = is_digit(c) && keycap_end(&chars, at).is_some();
        if let Some(value) = circled(c).or_else(|| keycap.then(|| digit_value(c)).flatten()) {
            let end = keycap_end(&chars, at).unwrap_or(at + 1);
            let first = out.trim().is_empty();
            if after_digit {
                out.push('、');
            }
            out.push_str(&value.to_string());
            let next = chars.get(end).copied();
            let follows = next.is_some_and(|next| is_digit(next) || circled(next).is_some());
            if first && !follows && next.is_some() {
                out.push('.');
            }
            (at, closed) = (end, true);
            continue;
        }
        if let Some((decimal, parts)) = fraction(c) {
            match (decimal, after_digit && !closed) {
                (Some(decimal), true) => out.push_str(decimal),
                (Some(decimal), false) => {
                    out.push('0');
                    out.push_str(decimal);
                }
                (None, joined) => {
                    if joined {
                        out.push('又');
                    }
                    out.push_str(parts);
                }
            }
        } else if c == '⁄' {
            out.push('/');
        } else {
            if closed && after_digit && is_digit(c) {
                out.push('、');
            }
            out.push(c);
        }
        closed = false;
        at += 1;
    }
    Cow::Owned(out)
}

fn superscript(c: char) -> Option<char> {
    Some(match c {
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁺' => '+',
        '⁻' => '-',
        '⁰' | '⁴'..='⁹' => char::from_digit(c as u32 - '⁰' as u32, 10)?,
        _ => return None,
    })
}

/// The value of a number in a circle, in brackets or with a full stop.
fn circled(c: char) -> Option<u32> {
    let from = |first: char, value: u32| Some(c as u32 - first as u32 + value);
    match c {
        '①'..='⑳' => from('①', 1),
        '⑴'..='⒇' => from('⑴', 1),
        '⒈'..='⒛' => from('⒈', 1),
        '⓵'..='⓾' => from('⓵', 1),
        '❶'..='❿' => from('❶', 1),
        '➀'..='➉' => from('➀', 1),
        '➊'..='➓' => from('➊', 1),
        '㉑'..='㉟' => from('㉑', 21),
        '㊱'..='㊿' => from('㊱', 36),
        '㈠'..='㈩' => from('㈠', 1),
        '㊀'..='㊉' => from('㊀', 1),
        '⓪' => Some(0),
        _ => None,
    }
}

fn digit_value(c: char) -> Option<u32> {
    c.to_digit(10).or_else(|| (c as u32).checked_sub('０' as u32))
}

/// The place behind a digit on a key (1️⃣).
fn keycap_end(chars: &[char], at: usize) -> Option<usize> {
    let selector = usize::from(chars.get(at + 1) == Some(&'\u{FE0F}'));
    (chars.get(at + 1 + selector) == Some(&'\u{20E3}')).then_some(at + 2 + selector)
}

/// What a fraction adds to a whole number before it, and its two parts.
fn fraction(c: char) -> Option<(Option<&'static str>, &'static str)> {
    Some(match c {
        '½' => (Some(".5"), "1/2"),
        '¼' => (Some(".25"), "1/4"),
        '¾' => (Some(".75"), "3/4"),
        '⅛' => (Some(".125"), "1/8"),
        '⅜' => (Some(".375"), "3/8"),
        '⅝' => (Some(".625"), "5/8"),
        '⅞' => (Some(".875"), "7/8"),
        '⅓' => (None, "1/3"),
        '⅔' => (None, "2/3"),
        '⅕' => (None, "1/5"),
        '⅖' => (None, "2/5"),
        '⅗' => (None, "3/5"),
        '⅘' => (None, "4/5"),
        _ => return None,
    })
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '~' | '∼' | '〜')
}

fn is_times(c: char) -> bool {
    matches!(c, '*' | '×' | '✕' | '✖' | '╳')
}

/// The text without its punctuation, but for what is part of a number or code.
pub(super) fn punctuation(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut signs = Signs { chars: &chars, out: String::with_capacity(text.len()), tag: false };
    let mut at = signs.list_number();
    while at < chars.len() {
        at = signs.take(at);
    }
    // Punctuation may have been all that kept two spaces apart.
    super::normalize::blanks(&signs.out)
}

struct Signs<'a> {
    chars: &'a [char],
    out: String,
    /// Whether a `<` that is no sign is still open.
    tag: bool,
}

impl Signs<'_> {
    fn get(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    fn before(&self, at: usize) -> Option<char> {
        at.checked_sub(1).and_then(|at| self.get(at))
    }

    /// Whether a number begins at a place.
    fn number_at(&self, at: usize) -> bool {
        self.get(at).is_some_and(number::begins)
    }

    /// Whether a number with its unit ends before a place.
    fn number_before(&self, at: usize) -> bool {
        let before = self.chars[..at].iter().rev();
        let unit = |c: &&char| !number::begins(**c) && !PUNCTUATION.is_match(c.encode_utf8(&mut [0; 4]));
        let skipped = before.clone().take(UNIT).take_while(|c| unit(c) || **c == '%').count();
        before.clone().nth(skipped).is_some_and(|&c| number::begins(c))
    }

    /// Takes the number of an item in a list, which stays with a full stop
    /// behind it: “1、”, “(1)”, “一、”, “【1】”. Gives the place behind it.
    fn list_number(&mut self) -> usize {
        let open = usize::from(matches!(self.get(0), Some('(' | '[' | '【' | '〔')));
        let digits = |is: &dyn Fn(char) -> bool| self.chars[open..].iter().take_while(|&&c| is(c)).count();
        let count = digits(&|c| c.is_ascii_digit()).max(digits(&number::is_numeral));
        let end = open + count;
        let closes = match self.get(end) {
            Some(')' | ']' | '】' | '〕') => true,
            Some('.' | '、' | '．') => open == 0,
            _ => false,
        };
        let next = self.get(end + 1);
        let stands_alone = next.is_some_and(|next| !number::begins(next) && !next.is_ascii_punctuation());
        if !(1..=LIST).contains(&count) || !closes || !stands_alone {
            return 0;
        }
        self.out.extend(&self.chars[open..end]);
        self.out.push('.');
        end + 1
    }

    /// Takes one character or a run of dashes; gives the place behind it.
    fn take(&mut self, at: usize) -> usize {
        let c = self.chars[at];
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let (before, after) = (self.before(at), self.get(at + 1));
        if is_dash(c) {
            return self.dashes(at);
        }
        if is_times(c) && digit(after) && self.number_before(at) {
            self.out.push('x');
            return at + 1;
        }
        match c {
            '%' | '#' | '&' | '‰' | '‱' => self.out.push(c),
            '<' | '>' | '=' | '≦' | '≧' | '⩽' | '⩾' | '≤' | '≥' => return self.comparison(at),
            ',' | '、' if self.number_before_directly(at) && self.number_at(at + 1) => {
                let thousands = c == ',' && self.groups_thousands(at);
                self.out.push_str(if thousands { "" } else { "、" });
            }
            '^' | '∶' if digit(before) && digit(after) => self.out.push(if c == '∶' { ':' } else { c }),
            '^' if digit(before) && matches!(after, Some('-' | '+')) => self.out.push(c),
            '.' | '/' | ':' | '_' | '@'
                if before.is_some_and(|c| c.is_ascii_alphanumeric())
                    && after.is_some_and(|c| c.is_ascii_alphanumeric()) =>
            {
                self.out.push(c);
            }
            _ if !PUNCTUATION.is_match(c.encode_utf8(&mut [0; 4])) => self.out.push(c),
            _ if self.out.ends_with(|c: char| c.is_ascii_digit()) => self.out.push(' '),
            _ => {}
        }
        at + 1
    }

    fn number_before_directly(&self, at: usize) -> bool {
        self.before(at).is_some_and(number::begins)
    }

    /// Dashes and tildes: from one number to another, a minus, a part of a code.
    fn dashes(&mut self, at: usize) -> usize {
        let run = self.chars[at..].iter().take_while(|&&c| is_dash(c)).count();
        let end = at + run;
        let (before, after) = (self.before(at), self.get(end));
        let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let in_code = run == 1 && self.chars[at] == '-' && latin(before) && latin(after);
        let range = self.number_at(end) && self.number_before(at);
        let power = self.out.ends_with('^') && self.number_at(end);
        let minus = run == 1
            && !matches!(self.chars[at], '~' | '∼' | '〜')
            && !latin(before)
            && number::may_be_negative(self.chars, end);
        // -10~-5度: from one to another, and a minus.
        let both = run == 2
            && matches!(self.chars[at + 1], '-' | '−')
            && self.chars[at] != self.chars[at + 1]
            && self.number_before(at)
            && number::may_be_negative(self.chars, end);
        if both {
            self.out.push_str("到-");
        } else if in_code || range || minus || power {
            self.out.push('-');
        }
        end
    }

    /// `<18岁`, `>=18岁`; not the brackets of a tag, and no arrow.
    fn comparison(&mut self, at: usize) -> usize {
        let (one, two) = (self.chars[at], self.get(at + 1));
        let (sign, end) = match (one, two) {
            ('<', Some('=')) | ('=', Some('<')) => ('≤', at + 2),
            ('>', Some('=')) | ('=', Some('>')) => ('≥', at + 2),
            ('≦' | '⩽', _) => ('≤', at + 1),
            ('≧' | '⩾', _) => ('≥', at + 1),
            _ => (one, at + 1),
        };
        let arrow = matches!(self.before(at), Some('-' | '=' | '>' | '<'));
        let closes = one == '>' && std::mem::take(&mut self.tag);
        if sign == '=' {
            let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            if digit(self.before(at)) && digit(two) {
                self.out.push('=');
            }
        } else if self.number_at(end) && !arrow && !closes || matches!(one, '≤' | '≥') {
            self.out.push(sign);
        } else {
            self.tag |= one == '<';
        }
        end
    }

    /// Whether a comma stands between thousands: 1,299.
    fn groups_thousands(&self, at: usize) -> bool {
        let in_run = |c: &&char| c.is_ascii_digit() || **c == ',';
        let start = at - self.chars[..at].iter().rev().take_while(in_run).count();
        let run: String = self.chars[start..].iter().take_while(in_run).collect();
        let mut groups = run.trim_matches(',').split(',');
        let first =
            groups.next().is_some_and(|first| (1..=3).contains(&first.len()) && !first.starts_with('0'));
        first && groups.all(|group| group.len() == 3)
    }
}

#[cfg(test)]
mod tests {
    use crate::text::normalize::Normalizer;

    fn written(text: &str) -> String {
        Normalizer::default().written(text)
    }

    #[test]
    fn a_sign_of_a_number_stays_in_one_writing() {
        for (text, expected) in [
            ("－5℃能启动吗", "-5°c能启动吗"),
            ("气温 −5 度", "气温-5度"),
            ("3~5天", "3-5天"),
            ("3 — 5 天", "3-5天"),
            ("3天～5天", "3天-5天"),
            ("三——五天", "三-五天"),
            ("100元-200元", "100元-200元"),
            ("第1、2期", "第1、2期"),
            ("第1,2期", "第1、2期"),
            ("十七、八万", "十七、八万"),
            ("1,299元和12,345,678", "1299元和12345678"),
            ("＜18岁", "<18岁"),
            ("年龄>=18岁", "年龄≥18岁"),
            ("5*8小时", "5x8小时"),
            ("5 × 8小时", "5x8小时"),
            ("20cm*30cm", "20cmx30cm"),
            ("12：30－13：30", "12:30-13:30"),
            ("-10~-5度", "-10到-5度"),
            ("10²和10⁻³", "10^2和10^-3"),
            ("1½小时和½小时", "1.5小时和0.5小时"),
            ("①②", "1、2"),
            ("选②还是③", "选2还是3"),
            ("1️⃣2️⃣", "1、2"),
            ("5‰", "5‰"),
        ] {
            assert_eq!(written(text), expected, "{text}");
            assert_eq!(written(expected), expected, "{text}");
        }
    }

    #[test]
    fn other_signs_go() {
        for (text, expected) in [
            ("退货——怎么办", "退货怎么办"),
            ("- 7天能退吗", "7天能退吗"),
            ("~5天", "5天"),
            ("退货-7天内", "退货7天内"),
            ("<p>3天</p>", "3天"),
            ("套餐->5g", "套餐5g"),
            ("怎么退，谢谢", "怎么退谢谢"),
            ("138****1234", "138 1234"),
            ("5(3)天", "5 3天"),
            ("我买了3。5天没到", "我买了3 5天没到"),
        ] {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    #[test]
    fn the_number_of_an_item_stands_apart() {
        for text in ["1. 怎么退货", "①怎么退货", "(1)怎么退货", "1、怎么退货", "【1】怎么退货", "⒈怎么退货"]
        {
            assert_eq!(written(text), "1.怎么退货", "{text}");
        }
        assert_eq!(written("一、怎么退货"), "一.怎么退货");
        assert_eq!(written("1、2期怎么还"), "1、2期怎么还");
        assert_eq!(written("123.怎么退货"), "123怎么退货");
    }
}

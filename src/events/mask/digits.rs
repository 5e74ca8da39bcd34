//! Which numbers lead to a person?
//!
//! Digits are gathered into groups, groups with a blank or a hyphen between
//! them into runs; how the groups of a run are cut says much: 3-4-4 is how a
//! mobile number is written, 4-4-3 is three prices in a row.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Folded, Found, Sort};

/// How far before a number a word may stand that says what it is.
const NEAR: usize = 10;

static OF_PHONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)电话|手机|座机|固话|热线|号码|联系|拨打|拨|打给|致电|来电|回电|tel|phone|mobile|call")
});
static OF_CARD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"卡号|银行卡|信用卡|储蓄卡|借记卡|账号|帐号|账户|打款|开户行"));
static OF_ID: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)身份证|证件|证号|\bid\b"));
static OF_ORDER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"订单|单号|运单|流水|编号|编码|货号|条码|序列号|物流|快递单|发票号|工单"));
pub(super) static ORDER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:订单号?码?|订单编号|运单号?|快递单号|物流单号|单号|流水号|工单号?)(?:是|为|:|：|\s|#|No\.?)*([A-Za-z]{0,4}[0-9][0-9A-Za-z-]{6,30}[0-9A-Za-z])",
    )
});

/// What is counted or paid is no number to call.
const UNITS: [&str; 22] = [
    "元", "块", "万", "件", "个", "积分", "分", "米", "斤", "克", "毫", "ml", "kg", "g", "次", "人", "张",
    "份", "台", "左右", "以上", "折",
];

/// Letters that may stand right before a telephone number.
const CALLS: [&str; 10] = ["tel", "phone", "mobile", "vx", "wx", "v", "wechat", "call", "t", "qq"];

/// The pattern of a rule; it is part of the program.
pub(super) fn pattern(text: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "a pattern of the program itself; every test compiles it")]
    Regex::new(text).expect("a pattern")
}

/// Digits that stand side by side, all of one script.
struct Group {
    at: Range<usize>,
    digits: String,
    chinese: bool,
}

/// A digit, and whether it is written in Chinese.
fn digit(c: char) -> Option<(char, bool)> {
    let value = match c {
        '0'..='9' => return Some((c, false)),
        '〇' | '零' => '0',
        '一' | '幺' | '壹' => '1',
        '二' | '贰' => '2',
        '三' | '叁' => '3',
        '四' | '肆' => '4',
        '五' | '伍' => '5',
        '六' | '陆' => '6',
        '七' | '柒' => '7',
        '八' | '捌' => '8',
        '九' | '玖' => '9',
        _ => return None,
    };
    Some((value, true))
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '·' | '_' | '(' | ')' | '~' | '\u{200B}' | '\t')
}

/// The groups of a text, in runs: between two of a run stand at most two separators.
fn runs(folded: &Folded) -> Vec<Vec<Group>> {
    let mut runs: Vec<Vec<Group>> = Vec::new();
    let mut at = 0;
    while let Some(&c) = folded.chars.get(at) {
        let Some((_, chinese)) = digit(c) else {
            at += 1;
            continue;
        };
        let start = at;
        let mut digits = String::new();
        while let Some((value, _)) =
            folded.chars.get(at).and_then(|c| digit(*c)).filter(|(_, script)| *script == chinese)
        {
            digits.push(value);
            at += 1;
        }
        let group = Group { at: start..at, digits, chinese };
        let follows = runs.last().and_then(|run| run.last()).is_some_and(|last| {
            let between = &folded.chars[last.at.end..group.at.start];
            // Of two scripts only what touches belongs together.
            between.len() <= 2
                && between.iter().all(|c| is_separator(*c))
                && (last.chinese == group.chinese || between.is_empty())
        });
        match runs.last_mut() {
            Some(run) if follows => run.push(group),
            _ => runs.push(vec![group]),
        }
    }
    runs
}

/// Whether digits are a code with its 0 and a number there; `cut` is how long the first piece
/// is that they are written in, 0 where they are written in one.
fn is_with_code(digits: &str, cut: usize) -> bool {
    let code = if matches!(digits.as_bytes().get(1), Some(b'1' | b'2')) { 3 } else { 4 };
    let known = match code {
        3 => digits.starts_with("010") || digits.starts_with("02"),
        _ => matches!(digits.as_bytes().get(1), Some(b'3'..=b'9')),
    };
    let local = digits.len().saturating_sub(code);
    let begins = digits.as_bytes().get(code).is_some_and(|digit| (b'2'..=b'8').contains(digit));
    known && begins && (7..=8).contains(&local) && (cut == 0 || cut == code)
}

/// Some groups of a run that follow each other, as one number.
struct Number<'a> {
    at: Range<usize>,
    digits: String,
    shape: Vec<usize>,
    folded: &'a Folded,
}

impl<'a> Number<'a> {
    fn of(folded: &'a Folded, groups: &[Group]) -> Option<Self> {
        let (first, last) = (groups.first()?, groups.last()?);
        Some(Self {
            at: first.at.start..last.at.end,
            digits: groups.iter().map(|group| group.digits.as_str()).collect(),
            shape: groups.iter().map(|group| group.digits.len()).collect(),
            folded,
        })
    }

    fn near(&self, words: &Regex) -> bool {
        words.is_match(self.folded.before(self.at.start, NEAR))
    }

    /// Whether letters stand right before it: then it is part of a name of something.
    fn is_part_of_a_word(&self) -> bool {
        let before: String = self
            .folded
            .before(self.at.start, 8)
            .chars()
            .rev()
            .take_while(char::is_ascii_alphabetic)
            .collect();
        let word: String = before.chars().rev().collect::<String>().to_ascii_lowercase();
        // 13812345678vx同号 says behind it what it is called.
        let behind = self.folded.after(self.at.end, 8).chars().take_while(char::is_ascii_alphabetic);
        let behind = behind.collect::<String>().to_ascii_lowercase();
        let is_name = |word: &String| !(word.is_empty() || CALLS.contains(&word.as_str()));
        is_name(&word) || is_name(&behind)
    }

    fn is_counted(&self) -> bool {
        let after = self.folded.after(self.at.end, 4).trim_start();
        UNITS.iter().any(|unit| after.to_ascii_lowercase().starts_with(unit))
            || ['¥', '￥', '$'].iter().any(|sign| self.folded.before(self.at.start, 2).contains(*sign))
    }

    /// A number that stands in one piece or in pieces as people cut it.
    fn is_cut(&self, shapes: &[&[usize]]) -> bool {
        self.shape.len() == 1
            || self.shape.iter().all(|length| *length == 1)
            || shapes.contains(&self.shape.as_slice())
    }

    fn sort(&self) -> Option<Sort> {
        if self.is_id_card() {
            Some(Sort::IdCard)
        } else if self.is_bank_card() {
            Some(Sort::BankCard)
        } else if self.is_mobile() || self.is_landline() || self.is_service_line() {
            Some(Sort::Phone)
        } else {
            None
        }
    }

    fn is_mobile(&self) -> bool {
        let number = ["0086", "86"].iter().find_map(|code| self.digits.strip_prefix(code));
        let number = number.filter(|number| number.len() == 11).unwrap_or(&self.digits);
        let coded = number.len() < self.digits.len();
        let bytes = number.as_bytes();
        if bytes.len() != 11
            || bytes[0] != b'1'
            || !(b'3'..=b'9').contains(&bytes[1])
            || self.is_part_of_a_word()
        {
            return false;
        }
        let shapes: [&[usize]; 4] = [&[3, 4, 4], &[3, 8], &[7, 4], &[3, 3, 5]];
        coded || self.is_cut(&shapes) || self.near(&OF_PHONE) || self.is_mixed()
    }

    /// Written partly in Chinese: nobody writes a price so.
    fn is_mixed(&self) -> bool {
        let written = &self.folded.chars[self.at.clone()];
        let chinese = written.iter().filter_map(|c| digit(*c)).filter(|(_, chinese)| *chinese).count();
        chinese > 0 && chinese < self.digits.len()
    }

    fn is_landline(&self) -> bool {
        let length = self.digits.len();
        if self.is_part_of_a_word() || self.is_counted() {
            return false;
        }
        // +86 755 8888 8888 has no 0 before its code.
        let abroad = ["0086", "86"].iter().find_map(|country| self.digits.strip_prefix(country));
        let abroad = abroad.filter(|_| self.shape.len() > 1 && matches!(self.shape[0], 2 | 4));
        if let Some(rest) = abroad {
            return is_with_code(&format!("0{rest}"), self.shape[1] + 1);
        }
        if self.digits.starts_with('0') {
            return is_with_code(&self.digits, if self.shape.len() == 1 { 0 } else { self.shape[0] });
        }
        let shapes: [&[usize]; 2] = [&[4, 4], &[3, 4]];
        static BARE: LazyLock<Regex> = LazyLock::new(|| {
            pattern(r"(?:座机|固话|固定电话|电话|电话号码|热线)(?:号码|号|是|为|:|\s|打|拨){0,3}$")
        });
        (7..=8).contains(&length)
            && self.is_cut(&shapes)
            && (b'2'..=b'8').contains(&self.digits.as_bytes()[0])
            && self.near(&BARE)
    }

    fn is_service_line(&self) -> bool {
        let shapes: [&[usize]; 4] = [&[3, 3, 4], &[3, 4, 3], &[4, 3, 3], &[3, 7]];
        self.digits.len() == 10
            && (self.digits.starts_with("400") || self.digits.starts_with("800"))
            && self.is_cut(&shapes)
            && !self.is_part_of_a_word()
            && !self.is_counted()
            && !self.digits.ends_with("00000")
    }

    fn is_id_card(&self) -> bool {
        let digits = self.digits.as_bytes();
        let (length, shapes): (usize, [&[usize]; 6]) = (
            digits.len(),
            [&[6, 8, 4], &[6, 4, 4, 4], &[6, 4, 2, 2, 4], &[3, 3, 4, 4, 4], &[6, 12], &[6, 6, 3]],
        );
        if !(length == 18 || length == 15) || !is_province(&self.digits[..2]) {
            return false;
        }
        let part = |from: usize, to: usize| self.digits[from..to].parse::<u32>().unwrap_or(0);
        let (century, month, day) = if length == 18 {
            (part(6, 8), part(10, 12), part(12, 14))
        } else {
            (19, part(8, 10), part(10, 12))
        };
        let plausible = (19..=20).contains(&century) && (1..=12).contains(&month) && (1..=31).contains(&day);
        let told = self.near(&OF_ID);
        // A wrong check digit is a slip of the hand, unless an order is spoken of.
        plausible
            && (self.is_cut(&shapes) || told)
            && (told || !self.near(&OF_ORDER))
            && (told || length == 15 || check_digit(digits) == digits[17] || !self.near(&OF_CARD))
    }

    fn is_bank_card(&self) -> bool {
        let length = self.digits.len();
        if !(15..=19).contains(&length) || self.is_part_of_a_word() {
            return false;
        }
        let told = self.near(&OF_CARD);
        if self.near(&OF_ORDER) && !told {
            return false;
        }
        let issuers =
            ["62", "60", "65", "68", "69", "4", "51", "52", "53", "54", "55", "34", "35", "36", "37", "9558"];
        let issued = issuers.iter().any(|code| self.digits.starts_with(code))
            && (length >= 16 || self.digits.starts_with('3'));
        let fours = self.shape.len() >= 4 && self.shape.iter().rev().skip(1).all(|length| *length == 4);
        let shapes: [&[usize]; 4] = [&[6, 13], &[6, 10], &[4, 6, 5], &[6, 4, 4, 5]];
        let cut = self.is_cut(&shapes) || fours;
        (told && length >= 16) || (issued && cut && luhn(self.digits.bytes()))
    }
}

/// An identity card's last character is an X in one of eleven; it is read as the digit colon.
const TEN: char = ':';

/// The character that the first seventeen digits of an identity card ask for.
fn check_digit(digits: &[u8]) -> u8 {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = WEIGHTS.iter().zip(digits).map(|(weight, digit)| weight * u32::from(digit - b'0')).sum();
    b"10:98765432"[(sum % 11) as usize]
}

fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let digits = digits.rev().map(|digit| u32::from(digit.wrapping_sub(b'0'))).enumerate();
    let sum: u32 = digits.map(|(at, digit)| if at % 2 == 1 { doubled(digit) } else { digit }).sum();
    sum.is_multiple_of(10)
}

/// The first two digits of the areas that issue identity cards.
fn is_province(code: &str) -> bool {
    matches!(code.parse(), Ok(11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91))
}

/// Finds telephones, identity cards and bank cards.
pub(super) fn numbers(folded: &Folded, found: &mut Found) {
    for mut run in runs(folded) {
        // Nothing that leads to a person is shorter.
        if run.iter().map(|group| group.digits.len()).sum::<usize>() < 7 {
            continue;
        }
        // The X at the end of an identity card is its eighteenth digit.
        if let Some(last) = run.last_mut()
            && matches!(folded.chars.get(last.at.end), Some('X' | 'x' | '×' | '\u{2715}'))
            && !folded.chars.get(last.at.end + 1).is_some_and(char::is_ascii_alphanumeric)
        {
            last.digits.push(TEN);
            last.at.end += 1;
            let whole =
                Number::of(folded, &run).filter(|number| number.digits.len() == 18 && number.is_id_card());
            if let Some(number) = whole {
                found.claim(number.at, Sort::IdCard);
                continue;
            }
            if let Some(last) = run.last_mut() {
                last.digits.pop();
                last.at.end -= 1;
            }
        }
        let mut from = 0;
        while from < run.len() {
            // The longest number that begins here.
            let hit = (from + 1..=run.len()).rev().find_map(|to| {
                let number = Number::of(folded, &run[from..to])?;
                number.sort().map(|sort| (to, number.at, sort))
            });
            match hit {
                Some((to, at, sort)) => {
                    let at = if sort == Sort::Phone { with_extension(folded, at) } else { at };
                    found.claim(at, sort);
                    from = to;
                }
                None => from += 1,
            }
        }
    }
}

/// A telephone number with the sign before its country and its extension.
fn with_extension(folded: &Folded, mut at: Range<usize>) -> Range<usize> {
    static EXTENSION: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^\s?(?:转|分机号?|ext\.?|-)\s?(?:分机)?:?\s?[0-9]{1,5}"));
    while at.start > 0 && matches!(folded.chars[at.start - 1], '+' | '(') {
        at.start -= 1;
    }
    if let Some(extension) = EXTENSION.find(folded.after(at.end, 12)) {
        at.end += extension.as_str().chars().count();
    }
    at
}

/// Whether a character is one that [`orders`] finds nothing without.
pub(super) fn is_of_an_order(c: char) -> bool {
    matches!(c, '单' | '流')
}

/// Finds numbers of orders and parcels, so that nothing else takes them for its own.
pub(super) fn orders(folded: &Folded, found: &mut Found) {
    for captured in ORDER.captures_iter(&folded.text) {
        if let Some(number) = captured.get(1) {
            found.claim(folded.chars_of(number.range()), Sort::Order);
        }
    }
}

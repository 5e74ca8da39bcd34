//! Where do names of models stand in a text?
//!
//! A code is read piece by piece: a make, names of series, a number, what
//! follows it. Blanks and hyphens between the pieces say nothing.

use super::pieces::{Gap, Piece, Placed, numeral, pieces};
use super::words::{Chinese, WORDS};
use super::{Code, Kind};
use crate::text::normalize::is_han;

/// Letters behind a number that are part of it: h1b, s23fe, 4060ti. More of
/// them are the next word.
const TAIL: usize = 3;

/// Letters of a code that is nothing but the same letter, or one: A, AAA, XXL.
const GRADE: usize = 4;

/// What makes a number behind a name an amount of its own: 苹果15元, Type-C 2米线.
/// Where one of `except` follows the unit, it is none: win10年费, vip1月卡.
const UNITS: [(&str, &[&str]); 34] = [
    ("元", &["旦"]),
    ("块", &[]),
    ("个", &["人", "性"]),
    ("箱", &[]),
    ("袋", &[]),
    ("盒", &["子"]),
    ("颗", &[]),
    ("瓶", &[]),
    ("包", &["邮", "装", "含", "括", "吗", "换", "退"]),
    ("粒", &[]),
    ("折", &[]),
    ("天", &["猫", "津", "线"]),
    ("日", &["版", "本", "常", "期", "语"]),
    ("年", &["费", "级", "款", "货", "卡", "付", "会"]),
    ("月", &["费", "供", "租", "卡", "付", "会"]),
    ("小时", &[]),
    ("分钟", &[]),
    ("秒", &["杀"]),
    ("米", &["家", "粉", "色"]),
    ("厘米", &[]),
    ("公里", &[]),
    ("公分", &[]),
    ("斤", &[]),
    ("公斤", &[]),
    ("克", &[]),
    ("升", &["级", "降"]),
    ("毫升", &[]),
    ("人", &["工", "脸", "像"]),
    ("次", &["日", "要", "列", "车"]),
    ("匹", &["配"]),
    ("岁", &[]),
    ("件", &[]),
    ("台", &["式"]),
    ("%", &[]),
];

/// The codes of a normalised text, from left to right.
pub(super) fn read(text: &str) -> Vec<Code> {
    if !text.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return Vec::new();
    }
    let pieces = pieces(text);
    let mut reader = Reader { text, codes: Vec::new(), open: Open::default() };
    let mut at = 0;
    while at < pieces.len() {
        at += reader.take(&pieces[at..]);
    }
    reader.close();
    reader.codes
}

/// A number in the form in which two spellings of it are equal: 3.0 is 3.
fn plain(number: &str) -> String {
    if let Some(value) = number.chars().next().and_then(numeral) {
        return value.to_string();
    }
    number.strip_suffix(".0").unwrap_or(number).to_owned()
}

/// Whether a number is one of the things that stand behind it.
fn is_amount(behind: &str) -> bool {
    UNITS.iter().any(|(unit, except)| {
        behind.strip_prefix(unit).is_some_and(|rest| !except.iter().any(|word| rest.starts_with(word)))
    })
}

/// What was read of a code so far.
#[derive(Debug, Default)]
struct Open {
    start: usize,
    end: usize,
    make: Option<&'static str>,
    /// Whether there is nothing but a Chinese make, which alone is no code.
    chinese: bool,
    /// The first of the words.
    head: String,
    words: String,
    /// Whether the last of them is a known one, which another may follow.
    known: bool,
    number: Option<String>,
    suffixes: Vec<String>,
    spelled: String,
}

impl Open {
    fn is_empty(&self) -> bool {
        self.spelled.is_empty()
    }

    /// Whether it has something that a sign behind it could belong to.
    fn has_name(&self) -> bool {
        self.make.is_some() || !self.words.is_empty() || !self.suffixes.is_empty()
    }
}

struct Reader<'a> {
    text: &'a str,
    codes: Vec<Code>,
    open: Open,
}

impl<'a> Reader<'a> {
    /// Takes the first of some pieces, or the first ones; gives back how many.
    fn take(&mut self, pieces: &[Placed<'a>]) -> usize {
        let this = pieces[0];
        let glued = this.gap == Gap::None;
        if this.gap == Gap::Wide {
            self.close();
        }
        match this.piece {
            Piece::Word(word) => return self.word(word, pieces),
            Piece::Number(number) => return self.number(number, pieces),
            Piece::Sign(sign) => {
                if self.open.is_empty() || !glued || !self.open.has_name() {
                    self.close();
                } else if sign == "+" && !(self.open.number.is_none() && self.open.suffixes.is_empty()) {
                    self.suffix("plus", "plus", this);
                } else {
                    self.suffix(sign, sign, this);
                }
            }
            Piece::Chinese(Chinese::Make(make)) => {
                self.close();
                self.open.chinese = true;
                self.open.make = Some(make);
                self.extend(&self.text[this.start..this.end], this);
            }
            Piece::Chinese(Chinese::Edition(edition)) => {
                let name = &self.text[this.start..this.end];
                if self.open.is_empty() || self.open.chinese && self.open.number.is_none() {
                    self.close();
                } else if let Some(suffix) = edition {
                    self.suffix(suffix, name, this);
                } else {
                    self.extend(name, this);
                }
            }
        }
        1
    }

    fn word(&mut self, word: &'a str, pieces: &[Placed<'a>]) -> usize {
        let this = pieces[0];
        let next = pieces.get(1).filter(|next| next.gap != Gap::Wide);
        if let Some(size) = size(word).filter(|_| self.open.is_empty()) {
            // What goes on is no size: s23, xs max.
            let goes_on = next.is_some_and(|next| match next.piece {
                Piece::Word(word) => next.gap == Gap::None || WORDS.is_long_suffix(word),
                Piece::Number(_) | Piece::Sign(_) => true,
                Piece::Chinese(_) => false,
            });
            if !goes_on {
                self.size(size, this);
                return 1;
            }
        }
        if let (Some(second), true) = (next, this.gap != Gap::None || self.open.is_empty())
            && let Piece::Word(end) = second.piece
            && WORDS.are_joined(word, end)
        {
            let whole = format!("{word}{end}");
            let joined = Placed { end: second.end, ..this };
            match WORDS.make(&whole) {
                Some(make) => self.make(make, &whole, joined),
                None => self.name(&whole, &whole, joined),
            }
            return 2;
        }
        let behind_number = self.open.number.is_some();
        if let Some(make) = WORDS.make(word).or_else(|| WORDS.meant(word).and_then(|name| WORDS.make(name))) {
            self.make(make, word, this);
        } else if WORDS.is_long_suffix(word)
            || behind_number && this.gap == Gap::None && WORDS.is_suffix(word)
        {
            self.suffix(word, word, this);
        } else if behind_number {
            let known = WORDS.is_series(word) || WORDS.is_common(word);
            if this.gap == Gap::None && !known && word.len() <= TAIL {
                self.tail(word, this);
            } else {
                self.close();
                self.name(word, word, this);
            }
        } else {
            let meant = WORDS.meant(word).unwrap_or(word);
            let series = WORDS.is_series(meant);
            // A letter begins the number of a name (galaxy s23) or stands for it (type c).
            let letter = word.len() == 1;
            let goes_on = self.open.known && (series || letter)
                || self.open.make.is_some() && self.open.words.is_empty() && !WORDS.is_common(word);
            if !goes_on {
                self.close();
            }
            self.name(meant, word, this);
        }
        1
    }

    fn number(&mut self, number: &'a str, pieces: &[Placed<'a>]) -> usize {
        let this = pieces[0];
        let glued = |place: usize| pieces.get(place).filter(|piece| piece.gap == Gap::None);
        let unit = glued(1).and_then(|next| match next.piece {
            Piece::Word(unit) => storage(unit, number, &self.open),
            _ => None,
        });
        let ends = !matches!(glued(2).map(|next| next.piece), Some(Piece::Number(_)));
        if let (Some(gigabytes), true) = (unit, ends) {
            self.close();
            let end = pieces[1].end;
            self.extend(&format!("{}g", plain(&gigabytes)), Placed { end, ..this });
            self.open.number = Some(gigabytes);
            self.finish(Kind::Storage);
            return 2;
        }
        if let Some(next) = glued(1).filter(|_| self.open.is_empty())
            && let Piece::Word(word) = next.piece
            && let ("xl", Ok(count @ 1..=9)) = (word, number.parse::<usize>())
        {
            let size = if count == 1 { word.to_owned() } else { format!("{count}{word}") };
            self.size(size, Placed { end: next.end, ..this });
            return 2;
        }
        let behind = &self.text[this.end..];
        if !self.open.is_empty() && is_amount(behind) {
            self.close();
            return 1;
        }
        if self.open.number.is_some() {
            self.close();
        }
        self.open.number = Some(plain(number));
        self.extend(number, this);
        1
    }

    fn size(&mut self, size: String, at: Placed<'_>) {
        self.extend(&size, at);
        self.open.words = size;
        self.finish(Kind::Size);
    }

    fn make(&mut self, make: &'static str, spelled: &str, at: Placed<'_>) {
        // 苹果 iphone 15 names the make twice.
        if self.open.make != Some(make) || !self.open.words.is_empty() || self.open.number.is_some() {
            self.close();
        }
        self.open.make = Some(make);
        self.open.chinese = false;
        self.open.known = true;
        self.extend(spelled, at);
    }

    fn name(&mut self, word: &str, spelled: &str, at: Placed<'_>) {
        if self.open.words.is_empty() {
            word.clone_into(&mut self.open.head);
        }
        self.open.words.push_str(word);
        self.open.known = WORDS.is_series(word);
        self.open.chinese = false;
        self.extend(spelled, at);
    }

    /// Letters behind a number, which may be short for a suffix: 15pm.
    fn tail(&mut self, word: &str, at: Placed<'_>) {
        let mut forms = WORDS.long_forms(word);
        if let (Some(long), None) = (forms.next(), forms.next()) {
            self.open.suffixes.extend(long.iter().map(|&suffix| suffix.to_owned()));
            self.extend(word, at);
        } else {
            self.suffix(word, word, at);
        }
    }

    fn suffix(&mut self, suffix: &str, spelled: &str, at: Placed<'_>) {
        self.open.suffixes.push(suffix.to_owned());
        self.open.chinese = false;
        self.extend(spelled, at);
    }

    fn extend(&mut self, spelled: &str, at: Placed<'_>) {
        if self.open.is_empty() {
            self.open.start = at.start;
        }
        self.open.end = at.end;
        self.open.spelled.push_str(spelled);
    }

    /// What was read so far is a code, or none.
    fn close(&mut self) {
        let Open { make, chinese, words, number, suffixes, .. } = &self.open;
        let named = !words.is_empty() || make.is_some() && (!chinese || number.is_some());
        let common = WORDS.is_common(words) && number.is_none() && suffixes.is_empty();
        if named && !common || !suffixes.is_empty() {
            self.finish(Kind::Model);
        } else {
            self.open = Open::default();
        }
    }

    fn finish(&mut self, kind: Kind) {
        let Open { start, end, make, head, words, number, mut suffixes, spelled, .. } =
            std::mem::take(&mut self.open);
        suffixes.sort_unstable();
        suffixes.dedup();
        let grade = number.is_none() && suffixes.is_empty() && make.is_none() && is_grade(&words);
        let kind = if kind == Kind::Model && grade { Kind::Grade } else { kind };
        let nameless = make.is_none() && words.is_empty();
        let stem = if nameless && suffixes.iter().any(|suffix| WORDS.is_long_suffix(suffix)) {
            thing(&self.text[..start])
                .map(|thing| format!("{thing}{}", number.as_deref().unwrap_or_default()))
        } else {
            None
        };
        self.codes.push(Code {
            kind,
            make,
            head,
            words,
            number,
            suffixes,
            spelled,
            start,
            end,
            stem,
            before: self.text[..start].chars().next_back().filter(|&c| c != ' '),
            after: self.text[end..].chars().next().filter(|&c| c != ' '),
        });
    }
}

/// The two Chinese characters that end a text.
fn thing(text: &str) -> Option<&str> {
    let (at, second) = text.char_indices().rev().nth(1)?;
    (is_han(second) && text.ends_with(is_han)).then(|| &text[at..])
}

/// A letter, or the same one several times: A级, AAA级.
fn is_grade(words: &str) -> bool {
    let mut bytes = words.bytes();
    let first = bytes.next();
    first.is_some() && words.len() <= GRADE && bytes.all(|byte| Some(byte) == first)
}

/// A size of clothes in the form in which two spellings are equal: xxl is 2xl.
fn size(word: &str) -> Option<String> {
    let extra = word.len() - word.trim_start_matches('x').len();
    match (&word[extra..], extra) {
        ("s" | "m" | "l", 0) | ("s" | "l", 1) => Some(word.to_owned()),
        ("s" | "l", 2..=9) => Some(format!("{extra}x{}", &word[extra..])),
        _ => None,
    }
}

/// Gigabytes of a number with a unit of storage, or the generation of a network
/// (5g); `None` where the letters are the name's own: Note 12T.
fn storage(unit: &str, number: &str, open: &Open) -> Option<String> {
    let bare = !open.has_name() || open.number.is_some();
    match unit {
        "g" | "gb" => Some(plain(number)),
        "tb" => Some(plain(number)),
        "t" if bare => Some(plain(number)),
        _ => return None,
    }
    .map(|value| match (unit, value.parse::<u32>()) {
        ("t" | "tb", Ok(terabytes)) => terabytes.saturating_mul(1024).to_string(),
        ("t" | "tb", Err(_)) => format!("{value}t"),
        _ => value,
    })
}

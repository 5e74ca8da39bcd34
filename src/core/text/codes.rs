//! Which model, size or code does a text name?
//!
//! "iPhone 15", "iPhone 15 Pro Max" and "iPhone 14" share most of their
//! letters and are three telephones; "S23 Ultra" is no "S23+", "XXL" no "XL",
//! "C++" no "C". Names of this kind are regular: a make or a series, a number,
//! suffixes; blanks, hyphens, width and case say nothing. They are read here,
//! and two texts that name different ones are about different things however
//! alike they are else.
//!
//! Only Latin letters and digits make a code, with a Chinese make before or a
//! Chinese edition behind them (苹果15, 小米14青春版).

mod pieces;
mod read;
mod words;

use std::borrow::Cow;
use std::ops::Range;

use words::WORDS;

/// What kind of thing a code names. Only those of one kind can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A product or anything else with a name: iphone15promax, typec, c++, java.
    Model,
    /// A size of clothes: m, 2xl.
    Size,
    /// Nothing but a letter, or the same one several times: a, aaa.
    Grade,
    /// Gigabytes, or the generation of a network: 256g, 5g.
    Storage,
}

/// One code of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Code {
    kind: Kind,
    make: Option<&'static str>,
    /// The first of the words.
    head: String,
    /// The series, or the name itself; empty where only the make is there.
    words: String,
    number: Option<String>,
    /// Sorted.
    suffixes: Vec<String>,
    /// Without blanks and hyphens.
    spelled: String,
    /// Of a suffix without a name: the end of the Chinese one before it, with
    /// the number, "手环8" of 手环8pro.
    stem: Option<String>,
    /// Byte offsets in the text.
    start: usize,
    end: usize,
    /// What stands beside it; `None` for a blank or the end of the text.
    before: Option<char>,
    after: Option<char>,
}

/// How two codes stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Relation {
    /// They name the same, or one of them names the family of the other.
    Same,
    /// They name two things of one family, or one in the place of the other.
    Other,
    /// They may be about two matters of one text.
    Apart,
}

/// Whether two texts name the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// One of them names nothing that the other could contradict.
    Open,
    /// What the question names, the entry names too.
    Same,
    /// The question names something that the entry does not, and the entry
    /// something that may have another part in the sentence.
    Unlike,
    /// The question names another thing than the entry.
    Other,
}

impl Code {
    fn has_family(&self) -> bool {
        self.make.is_some() || !self.words.is_empty()
    }

    /// Whether both are of one family as far as both say it.
    fn of_family(&self, other: &Self) -> bool {
        let makes = self.make.is_none() || other.make.is_none() || self.make == other.make;
        let named = self.words == other.words && (!self.words.is_empty() || self.make == other.make);
        makes && (named || !self.has_family() || !other.has_family())
    }

    /// Whether suffixes are the same, one of them perhaps cut short: 15pm.
    fn suffixed_like(&self, other: &Self) -> bool {
        let cut = |short: &Self, long: &Self| match short.suffixes.as_slice() {
            [one] => WORDS.long_forms(one).any(|form| {
                form.len() == long.suffixes.len() && long.suffixes.iter().all(|s| form.contains(&s.as_str()))
            }),
            _ => false,
        };
        self.suffixes == other.suffixes || cut(self, other) || cut(other, self)
    }

    /// Whether this code of an entry names the family of which the question's
    /// is a member: "Windows 怎么激活" is an answer for Windows 10, too.
    fn is_family_of(&self, asked: &Self) -> bool {
        let bare = self.number.is_none() && self.suffixes.is_empty() && self.kind == Kind::Model;
        bare && asked.number.is_some() && self.has_family() && asked.has_family() && self.of_family(asked)
    }

    /// How the code of a question stands to that of an entry.
    fn relation(&self, stored: &Self) -> Relation {
        let letters = |code: &Self| matches!(code.kind, Kind::Size | Kind::Grade);
        let together = self.before.is_some() && self.before == stored.before
            || self.after.is_some() && self.after == stored.after;
        if self.kind != stored.kind && !(letters(self) && letters(stored)) {
            // C课程, C++课程.
            let bare = (letters(self) || letters(stored)) && (together || self.words == stored.words);
            return if bare { Relation::Other } else { Relation::Apart };
        }
        match self.kind {
            Kind::Size | Kind::Grade => {
                let sizes = self.kind == Kind::Size && stored.kind == Kind::Size;
                let same = self.words == stored.words;
                let other = sizes || together;
                if same {
                    Relation::Same
                } else if other {
                    Relation::Other
                } else {
                    Relation::Apart
                }
            }
            Kind::Storage => {
                if self.number == stored.number {
                    Relation::Same
                } else {
                    Relation::Other
                }
            }
            Kind::Model => self.model_relation(stored, together),
        }
    }

    fn model_relation(&self, stored: &Self, together: bool) -> Relation {
        let family = self.of_family(stored);
        if family && self.number == stored.number && self.suffixed_like(stored) || stored.is_family_of(self) {
            return Relation::Same;
        }
        let both = self.has_family() && stored.has_family();
        let number = self.number.is_some() && self.number == stored.number;
        let suffix = self
            .suffixes
            .iter()
            .any(|suffix| WORDS.is_long_suffix(suffix) && stored.suffixes.contains(suffix));
        let series = self.head == stored.head && !self.head.is_empty();
        let unit = !self.has_family() && !stored.has_family() && self.suffixes == stored.suffixes;
        if family && both || series || number || unit || !both && suffix {
            return Relation::Other;
        }
        let model = |code: &Self| code.number.is_some() || !code.suffixes.is_empty() || code.make.is_some();
        let alone = self.before == stored.before && self.after == stored.after;
        if together && (model(self) || model(stored) || alone) { Relation::Other } else { Relation::Apart }
    }
}

/// The codes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes<'a> {
    text: &'a str,
    codes: Vec<Code>,
}

impl<'a> Codes<'a> {
    /// Reads a normalised text.
    pub fn of(text: &'a str) -> Self {
        Self { text, codes: read::read(text) }
    }

    /// Whether nothing in the text could be another thing than what an entry names.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty() && !self.text.bytes().any(|byte| byte.is_ascii_digit())
    }

    /// Where the names of models stand, in bytes.
    pub(super) fn places(&self) -> Vec<std::ops::Range<usize>> {
        self.codes.iter().map(|code| code.start..code.end).collect()
    }

    /// Whether a code of an entry names what a question asks for.
    fn has(&self, asked: &Code) -> bool {
        self.codes.iter().any(|one| asked.relation(one) == Relation::Same)
    }

    /// Whether an entry names what a question names, these being its codes:
    /// `best` are the phrasings that the question is most like, `all` is every
    /// one.
    pub fn naming<'p>(&self, best: &[&'p str], all: impl Iterator<Item = &'p str> + Clone) -> Naming {
        if self.is_empty() {
            return Naming::Open;
        }
        let best: Vec<Codes<'p>> = best.iter().map(|text| Codes::of(text)).collect();
        let mut missing: Vec<&Code> =
            self.codes.iter().filter(|asked| !best.iter().any(|codes| codes.has(asked))).collect();
        for codes in all.clone().map(Codes::of) {
            if missing.is_empty() {
                break;
            }
            missing.retain(|asked| !codes.has(asked));
        }
        // What stands in a phrasing and is asked for contradicts nothing.
        let named = |one: &Code| self.codes.iter().any(|asked| asked.relation(one) == Relation::Same);
        let mut others = best.iter().flat_map(|codes| &codes.codes).filter(|one| !named(one));
        if missing.is_empty() {
            let plain = others.any(|one| {
                one.number.is_some()
                    && self.is_plain(one)
                    && !all.clone().any(|text| Codes::of(text).is_plain(one))
            });
            return if plain {
                Naming::Other
            } else if self.codes.is_empty() {
                Naming::Open
            } else {
                Naming::Same
            };
        }
        let plain = missing.iter().any(|asked| best.iter().any(|codes| codes.is_plain(asked)));
        let nearest = others.flat_map(|one| missing.iter().map(|asked| asked.relation(one))).min();
        match nearest {
            _ if plain => Naming::Other,
            Some(Relation::Other) => Naming::Other,
            Some(_) => Naming::Unlike,
            None if missing.len() < self.codes.len() => Naming::Same,
            None => Naming::Open,
        }
    }

    /// Whether a text names the thing of which a code names the model with a
    /// suffix, without that: 手环8 where the code is that of 手环8pro.
    fn is_plain(&self, suffixed: &Code) -> bool {
        let suffixes = self.codes.iter().filter(|code| code.stem == suffixed.stem).count();
        suffixed.stem.as_deref().is_some_and(|stem| self.text.matches(stem).count() > suffixes)
    }
}

/// A text with its codes in the one spelling in which blanks, hyphens and
/// "plus" say nothing: "iphone-15 pro max" as "iphone15promax", "s23+" as
/// "s23plus".
pub fn spelling(text: &str) -> Cow<'_, str> {
    let codes = read::read(text);
    if codes.iter().all(|code| text[code.start..code.end] == code.spelled) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for code in &codes {
        out.push_str(&text[at..code.start]);
        out.push_str(&code.spelled);
        at = code.end;
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}

/// Where codes stand in a text, each with the units that it counts as: those
/// of 苹果15pm are those of "iphone 15 pro max".
pub(super) fn units(text: &str) -> impl Iterator<Item = (Range<usize>, Vec<String>)> {
    read::read(text).into_iter().map(|code| {
        let mut units: Vec<String> = code.make.into_iter().map(str::to_owned).collect();
        match code.kind {
            Kind::Storage => units.push(code.spelled),
            _ => {
                let names = WORDS.pieces(&code.words).into_iter().filter(|name| !name.is_empty());
                units.extend(names.map(str::to_owned));
                units.extend(code.number);
                units.extend(code.suffixes);
            }
        }
        (code.start..code.end, units)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(question: &str, phrasing: &str) -> Naming {
        let key = crate::text::written;
        let phrasing = key(phrasing);
        Codes::of(&key(question)).naming(&[&phrasing], std::iter::once(phrasing.as_str()))
    }

    /// One after another, what each code of a text is made of.
    fn read(text: &str) -> String {
        let part = |code: &Code| {
            let number = code.number.as_deref().unwrap_or_default();
            format!("{}/{}/{number}/{}", code.make.unwrap_or_default(), code.words, code.suffixes.join("+"))
        };
        Codes::of(&crate::text::written(text)).codes.iter().map(part).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn codes_are_read_piece_by_piece() {
        for (text, codes) in [
            ("iPhone 15 Pro Max 多少钱", "iphone//15/max+pro"),
            ("苹果１５ＰＲＯＭＡＸ", "iphone//15/max+pro"),
            ("三星 Galaxy S23+ 现在什么价", "samsung/s/23/plus"),
            ("Redmi Note-12 Pro+", "redmi/note/12/plus+pro"),
            ("红米Note12T和K60", "redmi/note/12/t /k/60/"),
            ("15pro max", "//15/max+pro"),
            ("Type-C转HDMI", "/typec// /hdmi//"),
            ("C++、C#和C课程", "/c//++ /c//# /c//"),
            ("H1B和B1/B2签证", "/h/1/b /b/1/ /b/2/"),
            ("XXL和3XL，还有xl", "/2xl// /3xl// /xl//"),
            ("AT&T的卡", "/at&t//"),
            ("家里的Wi-Fi 6", "/wifi/6/"),
            ("AirPods二代", "/airpods/2/"),
            ("小米14青春版和小米14标准版", "xiaomi//14/lite xiaomi//14/"),
            ("iPhone15 1T版", "iphone//15/ //1024/"),
            ("固件v1.12", "/v/1.12/"),
            ("iphone-se 3", "iphone//3/se"),
            ("18650电池", ""),
            ("苹果15元一斤", ""),
            ("苹果5斤多少钱", ""),
            ("Type-C 2米的线", "/typec//"),
            ("Win10年费", "windows//10/"),
            ("12+256", ""),
            ("满18+才能买", ""),
            ("app打不开", ""),
            ("怎么退款", ""),
        ] {
            assert_eq!(read(text), codes, "{text}");
        }
    }

    #[test]
    fn another_model_is_another_thing() {
        for (question, phrasing) in [
            ("iphone15多少钱", "iPhone 15 Pro Max 多少钱"),
            ("iphone 15 pro 多少钱", "iPhone 15 Pro Max 多少钱"),
            ("15 plus多少钱", "iPhone 15 Pro Max 多少钱"),
            ("iPhone多少钱", "iPhone 15 Pro Max 多少钱"),
            ("苹果14多少钱", "iPhone 15 多少钱"),
            ("小米15多少钱", "iPhone 15 多少钱"),
            ("S23现在什么价", "三星 S23+ 多少钱"),
            ("s23 ultra多少钱", "S23+ 现在什么价"),
            ("红米K12多少钱", "红米 Note 12 多少钱"),
            ("红米Note12Pro多少钱", "红米 Note 12 多少钱"),
            ("小米14青春版有货吗", "小米14有货吗"),
            ("V8 Slim怎么换滤网", "V8 吸尘器怎么换滤网"),
            ("V8s怎么换滤网", "V8 吸尘器怎么换滤网"),
            ("Type-A线有吗", "Type-C 线有卖吗"),
            ("Model Y多久提车", "Model 3 多久提车"),
            ("C++课多少钱", "C课程多少钱"),
            ("C课程多少钱", "C#课程多少钱"),
            ("F#课程多少钱", "C#课程多少钱"),
            ("有XXL的吗", "有XL码吗"),
            ("AA级会员有什么权益", "AAA级会员有什么权益"),
            ("B类户口怎么办", "A类户口怎么办"),
            ("1T版本多少钱", "256G 版本多少钱"),
            ("4G套餐怎么办", "5G套餐怎么办"),
            ("100W充电器多少钱", "65W充电器多少钱"),
            ("小米手环8Pro防水吗", "小米手环 8 防水吗"),
            ("小米手环8防水吗", "小米手环 8 Pro 防水吗"),
            ("小爱音箱Pro怎么连", "小爱音箱怎么连"),
            ("VIP2有什么权益", "VIP1有什么权益"),
            ("v1.2怎么升级", "v1.12怎么升级"),
            ("B2签证要多久", "B1签证要多久"),
            ("AX1800能穿墙吗", "AX3000能穿墙吗"),
        ] {
            assert_eq!(naming(question, phrasing), Naming::Other, "{question} / {phrasing}");
        }
    }

    #[test]
    fn the_same_in_another_spelling_is_the_same() {
        for (question, phrasing) in [
            ("苹果15promax价格", "iPhone 15 Pro Max 多少钱"),
            ("15pm多少钱", "iPhone 15 Pro Max 多少钱"),
            ("爱疯15多少钱", "iPhone-15 多少钱"),
            ("ipone15多少钱", "iPhone 15 多少钱"),
            ("galaxy s23 plus", "三星S23+"),
            ("s23u多少钱", "S23 Ultra 多少钱"),
            ("华为mate60有货吗", "Mate 60 有货吗"),
            ("USB 3.0的线", "usb3线"),
            ("XXXL有吗", "3XL有吗"),
            ("256GB版本", "256g版本"),
            ("1TB多少钱", "1T多少钱"),
            ("小米14标准版", "小米14"),
            ("小米14专业版", "小米14 Pro"),
            ("Win10怎么激活", "Windows 怎么激活"),
            ("iPhone 15 Pro Max 和 iPhone 15 差多少钱", "iPhone 15 多少钱"),
        ] {
            assert_eq!(naming(question, phrasing), Naming::Same, "{question} / {phrasing}");
        }
    }

    #[test]
    fn what_says_nothing_of_the_other_contradicts_nothing() {
        assert_eq!(naming("多少钱", "iPhone 15 多少钱"), Naming::Open);
        assert_eq!(naming("iPhone 15 怎么退货", "怎么退货"), Naming::Open);
        assert_eq!(naming("手环8怎么退货", "手环8 Pro 和手环8 怎么退货"), Naming::Open);
        assert_eq!(naming("7天能退吗", "plus会员7天能退吗"), Naming::Open);
        assert_eq!(naming("Java课程多少钱", "微信课程多少钱"), Naming::Open);
        assert_eq!(naming("S23的手机壳", "65W充电器多少钱"), Naming::Unlike);
        let all = ["iPhone 14 多少钱", "iPhone 15 多少钱"].map(crate::text::written);
        let all = || all.iter().map(String::as_str);
        assert_eq!(Codes::of("iphone15现在多少钱").naming(&["iphone14多少钱"], all()), Naming::Same);
    }

    #[test]
    fn a_code_counts_as_the_same_units_however_it_is_written() {
        let units = |text| units(text).flat_map(|(_, units)| units).collect::<Vec<_>>();
        assert_eq!(units("爱疯15pm多少钱"), units("iphone 15 pro max多少钱"));
        assert_eq!(units("iphone15promax"), ["iphone", "15", "max", "pro"]);
        assert_eq!(units("galaxy s23+"), ["samsung", "s", "23", "plus"]);
        assert_eq!(units("c++和xxl"), ["c", "++", "2xl"]);
        assert_eq!(units("256gb"), ["256g"]);
        assert!(units("怎么退款").is_empty());
    }

    #[test]
    fn one_spelling_for_all_and_never_for_two() {
        for (text, spelled) in [
            ("iphone-15 pro max多少钱", "iphone15promax多少钱"),
            ("iphone15pro max多少钱", "iphone15promax多少钱"),
            ("s23+多少钱", "s23plus多少钱"),
            ("note12 pro+", "note12proplus"),
            ("wi-fi密码", "wifi密码"),
            ("wi fi密码", "wifi密码"),
            ("type-c线", "typec线"),
            ("galaxy s23", "galaxys23"),
            ("xxxl", "3xl"),
            ("256gb", "256g"),
            ("c++", "c++"),
            ("c+", "c+"),
            ("note1 2", "note1 2"),
            ("n1-n5", "n1-n5"),
            ("a-b", "a-b"),
            ("12-5", "12-5"),
            ("怎么退款", "怎么退款"),
        ] {
            assert_eq!(spelling(text), spelled, "{text}");
            assert_eq!(spelling(spelled), spelled, "{text} twice");
        }
    }
}

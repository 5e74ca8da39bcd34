//! How many things does one message ask?
//!
//! The normal forms have lost the signs that show where a clause ends, so this
//! reads the text as it was typed: sentence signs, commas, line breaks, blanks
//! between Chinese words, list numbers, and words such as 另外 and 和怎么. What a
//! clause means is not known here, only whether it asks, and whether it can be
//! understood by itself.

use std::sync::LazyLock;

use regex::Regex;

use super::normalize::{is_han, regex, unwrapped};

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Its words, without the signs and joining words at its ends.
    pub text: String,
    /// Whether it asks something, and says of what.
    pub asks: bool,
    /// Whether it says nothing that the answer could depend on: a greeting, a
    /// name, a number, how urgent it is.
    pub idle: bool,
}

/// Longer messages are letters: looking at each clause would take too long,
/// and no clause of a letter stands for itself.
const LONGEST: usize = 400;

/// More clauses are looked at by nobody.
const MOST: usize = 24;

/// What shows that something is asked.
static ASKING: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"怎么|怎样|咋|如何|啥|什么|甚么|多少|多久|多长|多大|多重|几[天点时个号日年月周次折元块分岁人]|哪|谁|为何|吗|嘛$|么$|呢$|能否|可否|是否|有无|有没有|能不能|可不可以|可以不|会不会|要不要|行不行|好不好|是不是|包不包|支不支持|需不需要|用不用|退不退|给不给|\b(?:how|what|when|where|who|why|which|can|could|do|does|is|are)\b",
    )
});

/// What an asking clause may be made of without saying of what it asks.
static EMPTY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"怎么办理?|怎么(?:弄|搞|整|处理|解决|回事|说|操作)|怎么样?|怎样|如何|咋[办弄整]?|为什么|为何|什么时候|什么(?:情况|原因|意思|流程|条件)?|啥|多少钱?|多长时间|多久|几[天点个]|可不可以|可以|能不能|能否|是不是|有没有|会不会|行不行|好不好|在[吗么]|有人[吗么]?|怎|请问|到底|究竟|现在|这个?|那个?|这样|那样|这种|情况|哪里|哪儿|哪个?|谁|我们?|你们?|您|它|他|她|能|会|有|没有?|不|是|要|得|想|该|行|好|对|在|吗|呢|啊|呀|么|嘛|吧|了|的|就|还|都|也|又|再|给|一下|谢谢|[^\p{L}\p{N}]",
    )
});

/// Between two clauses, before what asks.
static JOINT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:另外|顺便|以及|同时|并且|还有|再问一?下|还想问|[和跟与及])(?:再|请|想|帮我|还|我|就是)*(?:问一?下|问问|问|说一?下)?(?<next>怎么|怎样|如何|多久|多少|什么时候|几天|几点|哪里|哪儿|谁|能不能|能否|可不可以|可以|是否|是不是|有没有|为什么|什么)|(?:另外|顺便问一?下|再问一?下|还想问一?下?)",
    )
});

/// At the beginning of a clause, before what it says.
static OPENING: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:(?:另外|顺便|以及|同时|并且|再就是|还有就是|还有个问题|最后|其次|首先|第[一二三四]个?|然后|那么?)(?:再|请|想|帮我|还|我|就是|也)*(?:问一?下|问问|问|咨询一?下)?|(?:还|也|再|我再|我还|我也)想?(?:请)?问(?:一?下|问)?|(?:还有|和|跟)(?:请问|想问|我想问)?(?<next>怎么|怎样|如何|多久|什么时候|几天|哪里|能不能|能|可不可以|可以|是否|为什么|谁|我|你们))",
    )
});

static IDLE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:(?:我叫|我姓|本人|姓名是?|名字是?)[:：]?\p{Han}{1,4}|[^\d]{0,8}[0-9]{7,}|亲+|客服|老板|(?:您|你|你们)?好啊?|哈喽|hello|hi|早上好|上午好|中午好|下午好|晚上好|谢谢?(?:您|你|啦|了)?|感谢|多谢|麻烦(?:您|你)?(?:了|一下)?|辛苦了?|打扰一?下?了?|不好意思|请?帮(?:我|忙)看(?:看|一?下)|急+|很急|挺急的?|急用|急死了?|在线等|求解答?|求回复|快点?(?:回复)?|尽快回复|(?:我)?想?(?:请)?问一?下|咨询一?下|是这样的?|(?:我)?有个问题|ok|嗯+|哦+|那个)$",
    )
});

/// "1." and "(2)", "一、", and what is one character.
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?<before>^|[\s。，,;；!?！？、]|\p{Han})[(（【]?(?<number>[1-9]|[一二三四五六])[.、)）】:：](?<after>[^\d])",
    )
});

/// The clauses of a message, in their order; one that cannot be understood by
/// itself ("怎么办") stays with its neighbour. A message that is no more than
/// one clause, or a letter, is none.
pub fn clauses(text: &str) -> Vec<Clause> {
    if !text.contains(may_part) || text.chars().nth(LONGEST).is_some() {
        return Vec::new();
    }
    let pieces = pieces(&unnumbered(&unwrapped(&uncircled(text))));
    if pieces.len() < 2 || pieces.len() > MOST {
        return Vec::new();
    }
    joined(pieces)
}

/// Whether a character may have a part in what stands between two clauses; most
/// questions have none of them, and nothing more is done for those.
fn may_part(c: char) -> bool {
    !c.is_alphanumeric() || is_circled(c) || "和跟与與及另顺順以同时時并並还還再".contains(c)
}

/// Circled list numbers as line breaks; they are digits to everything later.
fn uncircled(text: &str) -> String {
    text.replace(is_circled, "\n")
}

fn is_circled(c: char) -> bool {
    matches!(c, '\u{2460}'..='\u{2473}' | '\u{2776}'..='\u{277F}')
}

/// List numbers as line breaks, if there is a first and a second one.
fn unnumbered(text: &str) -> String {
    let numbers: Vec<&str> =
        NUMBERED.captures_iter(text).filter_map(|found| Some(found.name("number")?.as_str())).collect();
    let listed = |first: &str, second: &str| numbers.contains(&first) && numbers.contains(&second);
    if listed("1", "2") || listed("一", "二") {
        NUMBERED.replace_all(text, "$before\n$after").into_owned()
    } else {
        text.to_owned()
    }
}

/// A part of the text with the sign that ends it.
struct Piece {
    text: String,
    /// A question mark stands behind it.
    marked: bool,
}

fn pieces(text: &str) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut current = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).map(|at| chars[at]), chars.get(at + 1).copied());
        let number = c == ' ' && ends_in_long_number(&current) && after.is_some_and(is_han);
        if !number && !ends_clause(before, c, after) {
            current.push(c);
            continue;
        }
        let marked = matches!(c, '?' | '？');
        if current.trim().is_empty() {
            if let (true, Some(last)) = (marked, pieces.last_mut()) {
                let last: &mut Piece = last;
                last.marked = true;
            }
        } else {
            cut_at_joints(&std::mem::take(&mut current), marked, &mut pieces);
        }
        current.clear();
    }
    if !current.trim().is_empty() {
        cut_at_joints(&current, false, &mut pieces);
    }
    pieces
}

/// Whether a sign stands between two clauses and not inside a number, a code
/// or a name.
fn ends_clause(before: Option<char>, c: char, after: Option<char>) -> bool {
    let wide = |c: Option<char>| c.is_none_or(|c| is_han(c) || !c.is_alphanumeric());
    match c {
        '。' | '！' | '？' | '；' | '，' | '\n' | '…' => true,
        '!' | '?' | ';' | ',' | '~' | '、' => {
            !(before.is_some_and(char::is_numeric) && after.is_some_and(char::is_numeric))
        }
        // Two Chinese words need no blank between them; who writes one parts them.
        '.' | ' ' | '\t' => wide(before) && wide(after),
        _ => false,
    }
}

/// The number of an order or a phone ends what is said of it; the 15 of a
/// model does not.
fn ends_in_long_number(text: &str) -> bool {
    const LONG: usize = 8;
    text.bytes().rev().take_while(u8::is_ascii_digit).count() >= LONG
}

/// Cuts a piece where a joining word stands between two things that are asked.
fn cut_at_joints(piece: &str, marked: bool, pieces: &mut Vec<Piece>) {
    let mut rest = piece.trim();
    let mut from = 0;
    while let Some(found) = JOINT.captures_at(rest, from) {
        let Some(whole) = found.get(0) else { break };
        let next = found.name("next").map_or(whole.end(), |next| next.start());
        let (left, right) = (&rest[..whole.start()], &rest[next..]);
        if says_what_it_asks(left, false) && says_what_it_asks(right, marked) {
            pieces.push(Piece { text: left.to_owned(), marked: false });
            (rest, from) = (right, 0);
        } else {
            from = whole.end();
        }
    }
    pieces.push(Piece { text: rest.to_owned(), marked });
}

fn asks(text: &str, marked: bool) -> bool {
    marked || has_question_word(text)
}

/// Whether a text has a word that asks: 怎么, 多久, 吗.
pub fn has_question_word(text: &str) -> bool {
    ASKING.is_match(text)
}

fn says_what_it_asks(text: &str, marked: bool) -> bool {
    asks(text, marked) && says_something(text)
}

/// Whether a text says of what it speaks, beside words that any question has.
pub fn says_something(text: &str) -> bool {
    EMPTY.replace_all(text, "").chars().any(char::is_alphanumeric)
}

/// Puts what cannot be understood by itself beside its neighbour.
fn joined(pieces: Vec<Piece>) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::with_capacity(pieces.len());
    let mut waiting = String::new();
    for Piece { text, marked } in pieces {
        let text = OPENING.replace(text.trim(), "$next");
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        // 是退货，还是换货 is one question.
        let alternative = text.starts_with("还是") || text.starts_with("或者");
        if (alternative || !says_something(text)) && asks(text, marked) {
            match clauses.last_mut() {
                Some(last) => {
                    last.text = format!("{}，{text}", last.text);
                    last.asks = true;
                }
                None => waiting = format!("{waiting}{text}，"),
            }
            continue;
        }
        let asks = asks(text, marked);
        let idle = !asks && IDLE.is_match(text);
        clauses.push(Clause { text: format!("{}{text}", std::mem::take(&mut waiting)), asks, idle });
    }
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Vec<String> {
        clauses(text).into_iter().filter(|clause| clause.asks).map(|clause| clause.text).collect()
    }

    #[test]
    fn several_questions_are_parted() {
        for (text, parts) in [
            ("怎么退货，运费谁出？", vec!["怎么退货", "运费谁出"]),
            ("1.怎么开发票 2.怎么换货", vec!["怎么开发票", "怎么换货"]),
            ("①怎么开发票②怎么换货", vec!["怎么开发票", "怎么换货"]),
            ("一、怎么开发票；二、怎么换货", vec!["怎么开发票", "怎么换货"]),
            ("怎么开发票和怎么换货", vec!["怎么开发票", "怎么换货"]),
            ("物流怎么查？发什么快递？包邮吗？", vec!["物流怎么查", "发什么快递", "包邮吗"]),
            ("密码忘了怎么找回，另外怎么换绑手机号", vec!["密码忘了怎么找回", "怎么换绑手机号"]),
            ("怎么開發票？還有怎麼換貨", vec!["怎么开发票", "怎么换货"]),
            ("怎么改地址 多久发货", vec!["怎么改地址", "多久发货"]),
        ] {
            assert_eq!(asked(text), parts, "{text}");
        }
    }

    #[test]
    fn one_question_stays_one() {
        for text in [
            "我昨天买的衣服，尺码不合适，怎么退货",
            "退款多久到账？急",
            "收到货是坏的，怎么办？",
            "在吗？怎么退货",
            "是退货，还是换货",
            "苹果和安卓都能用吗",
            "手机还有货吗",
            "1.5升的多少钱",
            "满100,000元怎么算",
            "怎么开发票",
            "退款多久到账？？？",
            "",
        ] {
            assert!(asked(text).len() < 2, "{text}: {:?}", asked(text));
        }
    }
}

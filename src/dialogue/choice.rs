//! Which of the questions that were shown is meant?
//!
//! A choice is a whole message: "第二个" chooses, "第二个月的费用" asks. So every pattern
//! here is for the whole of what is left of a message without politeness.

use std::sync::LazyLock;

use regex::Regex;

/// What a message points to, before anybody looks at the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pointer {
    /// Places, in the order in which they were named.
    Places(Vec<Place>),
    /// All of them.
    All,
    /// None of them, and what the customer says instead, if anything.
    None(Option<String>),
    /// What was answered before.
    Before,
    /// The one behind what was taken from a list; of two the lower one.
    Next,
    /// What was answered last, once more.
    Again,
}

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Counted from 1.
    First(usize),
    /// Counted from 1 from the end.
    Last(usize),
    /// The first so many.
    FirstFew(usize),
    /// The last so many.
    LastFew(usize),
    /// The upper one of two.
    Upper,
    /// The lower one of two.
    Lower,
    /// The middle one.
    Middle,
}

impl Place {
    /// The indices in a list of some length: `None` when the list has no such
    /// place, none at all when it may be several.
    pub(super) fn indices(self, length: usize) -> Option<Vec<usize>> {
        let within = |index: Option<usize>| index.filter(|index| *index < length).map(|index| vec![index]);
        match self {
            Self::First(number) => within(number.checked_sub(1)),
            Self::Last(number) => within(length.checked_sub(number)),
            Self::FirstFew(count) => (1..=length).contains(&count).then(|| (0..count).collect()),
            Self::LastFew(count) => (1..=length).contains(&count).then(|| (length - count..length).collect()),
            Self::Upper | Self::Lower if length > 2 => Some(Vec::new()),
            Self::Upper => within(Some(0)),
            Self::Lower => within(length.checked_sub(1)),
            Self::Middle if length % 2 == 1 => within(Some(length / 2)),
            Self::Middle => Some(Vec::new()),
        }
    }
}

#[expect(clippy::expect_used, reason = "the patterns are right or no test passes")]
fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("a pattern of a list")
}

/// What stands before a choice and says nothing of it.
const OPENING: &str = r"(?:我|您?好的?|嗯+|哦|噢|啊|行|对|对的|是的?|那|那么|就|还是|应该|大概|可能|好像|估计|请|帮我|给我|麻烦你?|谢谢|亲|你好|我?(?:想|要|来|得)?(?:选择?|挑|看看?|问问?|咨询|了解|知道|说|指|点|答|回答?)?(?:一下)?(?:的|得)?(?:是|就是|要)?)*";

/// What stands behind a choice and says nothing of it.
const CLOSING: &str = r"(?:吧|呢|呀|啊|哦|哈|嘛|吗|的|了|也|再|还|说一下|说说|讲讲|讲一下|看一下|看看|看下|问一下|想知道|想看|要|就行|就好|就可以|可以|谢谢[你您]?|谢了|麻烦了|一下|这个|那个|问题|选项)*";

/// The things that are counted in a list.
const THING: &str = r"(?:那|这)?一?(?:个|個|条|项|款|种|点|道|号|行|题|选项|问题)(?:那个|问题|选项|题)?";

const NUMERAL: &str = r"[0-9]{1,3}|[一二三四五六七八九十两]{1,3}";

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    whole(&format!(
        r"{OPENING}(?:(?:第|[弟递地]|选项?|选择|问题|编号|序号|no\.?|答案)(?:第)?(?P<ordinal>{NUMERAL})(?:{THING})?|(?P<bare>{NUMERAL})(?:号|那个|号选项|号问题|那条|[.)、])?|倒数第?(?P<last>{NUMERAL})(?:{THING})?|(?P<final>最后面?|最末尾?|最下面?|最下边|末尾|最底下)(?:面|边)?的?(?:那|这)?一?(?:{THING}|个|条)?|(?P<initial>最上面?|最上边|最前面?|头一|首|开头|最先)(?:面|边)?的?(?:那|这)?一?(?:{THING}|个|条)|(?P<upper>上|前|上面|上边|前面|前边)的?(?:那|这)一?(?:个|条)|(?P<lower>下|后|下面|下边|后面|后边|后一)的?(?:那|这)?一?(?:个|条)|(?P<middle>中间|当中|正中)的?(?:那|这)?一?(?:个|条)|(?P<few>前|头)(?P<many>[两二三四五2-5])(?:个|条|项)|(?P<tail>后|最后)(?P<rest>[两二三四五2-5])(?:个|条|项)|di ?(?P<sound>yi|er|san|si|wu|[1-9]) ?(?:ge|tiao|xiang)?|(?P<end>zui ?hou ?(?:yi|na)? ?ge)){CLOSING}"
    ))
});

static ALL: LazyLock<Regex> = LazyLock::new(|| {
    whole(&format!(
        r"{OPENING}(?:(?:这|以上|上面)?(?:些|[两二三四五2-5几])?(?:个|条|项)?(?:问题)?(?:都要|都想|都问|都是|都有|全部|全都|都说|都看|都)(?:要|想|问|看|说|选|知道|了解|一下|是|讲)*){CLOSING}"
    ))
});

static NONE: LazyLock<Regex> = LazyLock::new(|| {
    whole(
        r"(?:呃|额|啊|嗯|哦|唉|哎|可是|但是|但|好像|感觉|看了|看了下|看了一下)*(?:(?:以上|上面|上述|下面|这|这里)?(?:这?些|这?[几两三四五]个|里面?)?(?:问题|选项)?(?:都|全|全部|全都|一个都|一个也|一条都|哪个都|哪个也|没一个)(?:还?不是|不对|没有|不符合|不相关|不行|不沾边|是|对|不要|无关|没说对)(?:我?(?:要|想|想要|要问|想问|想了解|说|需要|要找)的?|这个意思|这些)*|没有?一?(?:个|条)?(?:是|对|符合|合适|相关|沾边)(?:的|我?(?:要|想|想要|要问|想问|说)的)*|(?:这里|里面|上面|列表里)?没有?(?:我|我们)(?:要|想|想要|要问|想问|要找|需要)的?(?:问题|选项|内容|那个)?|不是(?:这|那|上面|以上|它|下面)(?:些|[几两三]个|个)?(?:问题|意思)?|不是我?(?:要|想|想要|要问|想问)(?:问|说)?的(?:问题)?|不是|不对|没有|都没|没有合适的|没有符合的|没有对的|没有正确的|以上皆非|皆非|都错了?|答非所问|跟这些没关系|dou ?bu ?shi)(?:吧|啊|呀|呢|哦|的|了|诶|耶|哎|谢谢)*",
    )
});

static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    whole(&format!(
        r"(?:我|想|要|再|请|帮我|给我|麻烦|那)*(?:回到?|返回|退回|看看?|说说?|回去看?|切回|倒回)?(?:上|前)一?个(?:问题|答案|回答|那个)?(?:再?(?:说|发|看|讲|来)(?:一?遍|一?下|一?次))?(?:是什么|是啥)?{CLOSING}"
    ))
});

static NEXT: LazyLock<Regex> = LazyLock::new(|| {
    whole(&format!(
        r"(?:我|想|要|再|请|帮我|给我|麻烦|那|继续)*(?:看看?|说说?|去看?|切到)?(?:下|后)一(?:个|条|题)(?:问题|答案|回答|那个)?(?:是什么|是啥)?{CLOSING}"
    ))
});

static AGAIN: LazyLock<Regex> = LazyLock::new(|| {
    whole(
        r"(?:我|想|要|请|帮我|给我|麻烦|能|可以|你|您|不好意思)*(?:刚才|刚刚)?(?:那个|的)?(?:问题|答案|回答)?(?:再|重新|重)(?:给我)?(?:说|发|讲|来|回答)(?:我)?(?:一?遍|一?下|一?次)(?:刚才|刚刚)?(?:的)?(?:答案|回答|那个)?(?:吧|吗|呢|谢谢|好吗|可以吗|行吗)*",
    )
});

/// What parts the places in "第一个和第三个", "1、3".
static BETWEEN: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the pattern is right or no test passes")]
    Regex::new(r"[、，,;；/&+\s]+|和|跟|与|以及|还有|加上|还要").expect("a class")
});

/// What ends a clause.
const SIGNS: [char; 12] = ['，', ',', '。', '.', '！', '!', '；', ';', '、', '\n', ' ', '？'];

/// What a message points to; `None` when it is no pointer. `written` puts a
/// text into the form in which spellings are equal and numbers are as they
/// were written.
pub(super) fn pointer(text: &str, written: &dyn Fn(&str) -> String) -> Option<Pointer> {
    let all = written(text);
    // "没有了" is the end of the questions, and no word on the list.
    if NONE.is_match(&all) && !all.starts_with("没有了") {
        return Some(Pointer::None(None));
    }
    if NEXT.is_match(&all) {
        return Some(Pointer::Next);
    }
    if let Some(place) = place(&all) {
        return Some(Pointer::Places(vec![place]));
    }
    if BEFORE.is_match(&all) {
        return Some(Pointer::Before);
    }
    if AGAIN.is_match(&all) {
        return Some(Pointer::Again);
    }
    if ALL.is_match(&all) {
        return Some(Pointer::All);
    }
    // "都不是，我想问运费" says no, and then asks.
    if let Some((first, rest)) = text.trim().split_once(SIGNS)
        && NONE.is_match(&written(first))
        && rest.chars().any(char::is_alphanumeric)
    {
        let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        // "不是，是第二个" and "不对，不是这些".
        return match pointer(rest, written) {
            Some(deeper) => Some(deeper),
            None => Some(Pointer::None(Some(rest.to_owned()))),
        };
    }
    places(text, written)
}

/// Several places that are named one by one.
fn places(text: &str, written: &dyn Fn(&str) -> String) -> Option<Pointer> {
    let text = text.trim();
    let parts: Vec<String> = BETWEEN
        .split(text)
        .filter(|part| !part.trim().is_empty())
        .map(written)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() < 2 {
        return None;
    }
    let mut found = Vec::new();
    for part in &parts {
        match place(part) {
            Some(place) => found.push(place),
            // "第二个，谢谢" is one place and politeness.
            None if POLITE.is_match(part) => {}
            None => return None,
        }
    }
    found.dedup();
    (!found.is_empty()).then_some(Pointer::Places(found))
}

static POLITE: LazyLock<Regex> = LazyLock::new(|| {
    whole(
        r"(?:谢谢[你您]?|谢了|多谢|麻烦[你您]?了?|辛苦了|好的?|嗯+|你好|您好|亲|急|在线等|对|是的?|ok|应该是|我想问的?|我选)+",
    )
});

fn place(written: &str) -> Option<Place> {
    let found = PLACE.captures(written)?;
    let number = |name: &str| found.name(name).map(|text| numeral(text.as_str()));
    if let Some(number) = number("ordinal").or_else(|| number("bare")) {
        return number.map(Place::First);
    }
    if let Some(number) = number("last") {
        return number.map(Place::Last);
    }
    if let Some(count) = number("many") {
        return count.map(Place::FirstFew);
    }
    if let Some(count) = number("rest") {
        return count.map(Place::LastFew);
    }
    if let Some(sound) = found.name("sound") {
        let sounds = ["yi", "er", "san", "si", "wu"];
        let number = sounds.iter().position(|one| *one == sound.as_str()).map(|at| at + 1);
        return number.or_else(|| sound.as_str().parse().ok()).map(Place::First);
    }
    let named = |name: &str| found.name(name).is_some();
    if named("final") || named("end") {
        Some(Place::Last(1))
    } else if named("initial") {
        Some(Place::First(1))
    } else if named("upper") {
        Some(Place::Upper)
    } else if named("lower") {
        Some(Place::Lower)
    } else if named("middle") {
        Some(Place::Middle)
    } else {
        None
    }
}

/// A number up to 99.
fn numeral(text: &str) -> Option<usize> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let digit = |c: char| match c {
        '两' => Some(2),
        _ => "一二三四五六七八九".chars().position(|one| one == c).map(|at| at + 1),
    };
    match text.chars().collect::<Vec<_>>().as_slice() {
        ['十'] => Some(10),
        ['十', one] => Some(10 + digit(*one)?),
        [ten, '十'] => Some(10 * digit(*ten)?),
        [ten, '十', one] => Some(10 * digit(*ten)? + digit(*one)?),
        [one] => digit(*one),
        _ => None,
    }
}

/// What names a question by a part of its words: 退货那个, 是退货的那个.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the pattern is right or no test passes")]
    Regex::new(
        r"^(?:我|就|应该|大概|可能|好像|那|还是|选择?|想?要?问的?|说的?|指的?|的?是|关于|有关|就是|嗯|哦|对|好的?|看|问的?|要)*(?P<words>.+?)(?:的)?(?P<that>那|这)?(?:一)?(?:个|条|项)(?:问题|选项)?(?:吧|呢|啊|呀|哦|的|谢谢)*$",
    )
    .expect("a pattern")
});

/// The words by which a message names one of a list outright: 退货 in 退货那个;
/// `None` when it does not say "that one".
pub(super) fn named(written: &str) -> Option<&str> {
    let found = NAMED.captures(written)?;
    found.name("that")?;
    found.name("words").map(|words| words.as_str())
}

/// What stands before the words by which a message goes on about a list.
static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the pattern is right or no test passes")]
    Regex::new(
        r"^(?:我?(?:说|问|指|想问|想说|要问)的?是|是|就是|应该是|我是|关于|不是,?|对,?|嗯,?|那)?(?P<words>.+?)(?:的|的问题|这种|这个|的话|的情况)?$",
    )
    .expect("a pattern")
});

/// A core without "我说的是" before it and "的" behind it.
pub(super) fn plain(core: &str) -> &str {
    PLAIN.captures(core).and_then(|found| found.name("words")).map_or(core, |words| words.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    fn said(text: &str) -> Option<Pointer> {
        pointer(text, &|text| text::written(text))
    }

    #[test]
    fn a_place_is_a_whole_message() {
        for (text, place) in [
            ("2", Place::First(2)),
            ("２", Place::First(2)),
            ("②", Place::First(2)),
            ("2。", Place::First(2)),
            ("2.", Place::First(2)),
            ("二", Place::First(2)),
            ("第二个", Place::First(2)),
            ("第２個", Place::First(2)),
            ("第二个吧，谢谢", Place::First(2)),
            ("选第2个", Place::First(2)),
            ("我选2", Place::First(2)),
            ("我想问的是第三个", Place::First(3)),
            ("第三条", Place::First(3)),
            ("选项3", Place::First(3)),
            ("那第一个呢", Place::First(1)),
            ("第十二个", Place::First(12)),
            ("最后一个", Place::Last(1)),
            ("最后那个", Place::Last(1)),
            ("倒数第二个", Place::Last(2)),
            ("最上面那个", Place::First(1)),
            ("上面那个", Place::Upper),
            ("下面那个", Place::Lower),
            ("后面那个", Place::Lower),
            ("中间那个", Place::Middle),
            ("di er ge", Place::First(2)),
            ("不是，是第二个", Place::First(2)),
        ] {
            assert_eq!(said(text), Some(Pointer::Places(vec![place])), "{text}");
        }
        for (text, places) in [
            ("第一个和第三个", vec![Place::First(1), Place::First(3)]),
            ("1、3", vec![Place::First(1), Place::First(3)]),
            ("1 3", vec![Place::First(1), Place::First(3)]),
            ("前两个", vec![Place::FirstFew(2)]),
            ("第二个和最后一个", vec![Place::First(2), Place::Last(1)]),
        ] {
            assert_eq!(said(text), Some(Pointer::Places(places)), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_choice_is_none() {
        for text in [
            "2号线怎么走",
            "第二个月的费用",
            "第二张卡怎么办",
            "下一个工作日到账吗",
            "下一个月的账单",
            "都不是本人可以办吗",
            "最后一个工作日",
            "好的那运费谁出",
            "不用了怎么退",
            "上一个订单怎么查",
            "第二件半价",
            "二维码",
            "12306",
            "95588",
            "1000",
            "2天",
            "3个月",
            "前两个月的账单",
            "第一次",
            "没有收到",
            "不是正品",
            "不对账",
            "上面写的是什么",
            "都要什么材料",
            "最后期限",
            "两个账号能合并吗",
            "还款日是几号",
            "怎么退货",
            "你好",
            "",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn none_before_and_again() {
        for text in [
            "都不是",
            "都不对",
            "以上都不是",
            "没有我要的",
            "一个都不对",
            "没一个是",
            "不是这些",
            "都不是我想问的",
            "都唔系".replace("唔系", "不是").as_str(),
        ] {
            assert_eq!(said(text), Some(Pointer::None(None)), "{text}");
        }
        let rest = said("都不是，我想问运费谁出");
        assert_eq!(rest, Some(Pointer::None(Some("我想问运费谁出".to_owned()))));
        for text in ["上一个", "上一个问题", "回到上一个", "看上一个", "前一个问题"] {
            assert_eq!(said(text), Some(Pointer::Before), "{text}");
        }
        for text in ["下一个", "下一条", "看下一个问题", "那下一个呢"] {
            assert_eq!(said(text), Some(Pointer::Next), "{text}");
        }
        for text in ["再说一遍", "刚才那个再发一下", "请再说一次"] {
            assert_eq!(said(text), Some(Pointer::Again), "{text}");
        }
        for text in ["都要", "都想知道", "这两个都要", "全部"] {
            assert_eq!(said(text), Some(Pointer::All), "{text}");
        }
    }

    #[test]
    fn a_list_has_its_places() {
        assert_eq!(Place::First(2).indices(3), Some(vec![1]));
        assert_eq!(Place::First(4).indices(3), None);
        assert_eq!(Place::First(0).indices(3), None);
        assert_eq!(Place::Last(2).indices(3), Some(vec![1]));
        assert_eq!(Place::Last(4).indices(3), None);
        assert_eq!(Place::Upper.indices(2), Some(vec![0]));
        assert_eq!(Place::Lower.indices(2), Some(vec![1]));
        assert_eq!(Place::Upper.indices(3), Some(vec![]), "which of them?");
        assert_eq!(Place::Middle.indices(3), Some(vec![1]));
        assert_eq!(Place::Middle.indices(4), Some(vec![]));
        assert_eq!(Place::FirstFew(2).indices(3), Some(vec![0, 1]));
        assert_eq!(Place::LastFew(2).indices(3), Some(vec![1, 2]));
    }

    #[test]
    fn a_part_is_named_by_that_one() {
        assert_eq!(named("退货那个"), Some("退货"));
        assert_eq!(named("我说的是退货的那个"), Some("退货"));
        assert_eq!(named("问的还没发货那个吧"), Some("还没发货"));
        assert_eq!(named("怎么退货"), None);
        assert_eq!(named("买两个"), None);
    }
}

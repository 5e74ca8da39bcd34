//! Which messages go to a person unseen?

use std::sync::LazyLock;

use foldhash::{HashMap, HashSet};
use regex::Regex;

use super::Reason;
use super::characters::{Model, Seen};
use super::claims::Claims;
use crate::text::lexicon::items;
use crate::text::{self, clauses};

const RULES: &str = include_str!("data/handoff.txt");

/// What the lines of the list claim: a request, a request if it is the whole
/// message, and what a person must see.
const KINDS: [&str; 3] = ["requested", "alone", "sensitive"];

static CLAIMS: LazyLock<Option<Claims>> = LazyLock::new(|| Claims::compile(RULES, &KINDS));

/// What a keyword list would hold, as the yardstick of the detector.
pub const KEYWORDS: [&str; 10] =
    ["人工", "真人", "活人", "坐席", "客服", "不要机器人", "human", "agent", "representative", "operator"];

/// Whole messages that are a request however they are written, as long as they
/// sound like this: 专人工 and "zhuan ren gong" for 转人工.
const SOUNDS: [&str; 18] = [
    "人工",
    "人工客服",
    "人工服务",
    "客服人工",
    "真人客服",
    "转人工",
    "转人工客服",
    "转人工服务",
    "转接人工",
    "转接人工客服",
    "接人工",
    "找人工",
    "找人工客服",
    "找真人",
    "要人工",
    "我要人工",
    "我要转人工",
    "我要人工客服",
];

static SPOKEN: LazyLock<HashSet<String>> =
    LazyLock::new(|| SOUNDS.iter().filter_map(|said| text::letters(said)).collect());

/// No request that is heard by its sound is longer, in bytes.
const LONGEST_SOUND: usize = 30;

/// Whether a normalised text sounds like a request that is one in any spelling.
fn is_spoken(core: &str) -> bool {
    core.len() <= LONGEST_SOUND && text::letters(core).is_some_and(|letters| SPOKEN.contains(&letters))
}

/// What every request for a person speaks of, in some spelling.
static MENTIONS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"人|坐席|座席|客服|接线员|话务员|仁工|认工|任工|机器|机械|智能|自动回复|ai|bot|machine|售后|售前|专员|同事|员工|顾问|经理|领导|主管|负责|老板|店长|组长|上级|管理|管事|做主|明白|[找来换叫派]个|投诉|财务|理赔|human|person|agent|repres|operator|someone|somebody|staff|support|customer service|live chat|manager|supervisor|\brep\b|ren ?gong|不想活|活着没|想死|自杀|去死|活不下去|轻生|割腕|跳楼|生命|性命|寻短见|自残")
    .ok()
});

/// Whether a normalised text speaks of a person or a machine at all; few do,
/// and only they can be a request.
pub fn may_request(core: &str) -> bool {
    MENTIONS.as_ref().is_some_and(|pattern| pattern.is_match(core))
}

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::read(include_str!("data/requested.tsv")));

/// Of a shorter message only the list is asked.
const SHORTEST: usize = 4;

/// Whether a message is too short for the model.
pub fn is_short(seen: &Seen) -> bool {
    seen.length() < SHORTEST
}

/// What the model sees of a message that it weighs where the list finds no request.
pub fn seen(text: &str) -> Seen {
    Seen::of(text, Vec::new())
}

/// Whether the list alone finds a reason in a message, whose core is given too, or
/// in one of its clauses.
pub fn listed(text: &str, core: &str, core_of: impl Fn(&str) -> String) -> Option<Reason> {
    before_search(core).or_else(|| {
        let clauses = if may_request(core) { clauses(text) } else { Vec::new() };
        clauses.iter().find_map(|clause| in_clause(&core_of(&clause.text)))
    })
}

/// Why a normalised message goes to a person without a search, if it does.
pub fn before_search(core: &str) -> Option<Reason> {
    reason(core, |_| true)
}

/// The same for a message as it was typed, whose core is given too, and for
/// its clauses; `core_of` gives the core of a clause.
pub fn heard(text: &str, core: &str, core_of: impl Fn(&str) -> String) -> Option<Reason> {
    listed(text, core, core_of).or_else(|| {
        let seen = seen(text);
        (!is_short(&seen) && MODEL.says(&seen)).then_some(Reason::Requested)
    })
}

/// The same for a clause of a message that [`may_request`].
pub fn in_clause(core: &str) -> Option<Reason> {
    reason(core, |kind| kind != "alone")
}

fn reason(core: &str, counts: impl Fn(&str) -> bool) -> Option<Reason> {
    if is_spoken(core) {
        return Some(Reason::Requested);
    }
    if !may_request(core) {
        return None;
    }
    CLAIMS.as_ref()?.find(core, counts).map(|kind| match kind {
        "sensitive" => Reason::Sensitive,
        _ => Reason::Requested,
    })
}

const NOTHING_ASKED: &str = include_str!("data/nothing_asked.txt");

/// What may stand behind such a word: "好的呀", "知道了", "算了吧".
const PARTICLES: [char; 14] =
    ['了', '啊', '呀', '哈', '哦', '嘛', '啦', '吧', '呢', '哟', '哒', '嘞', '的', ' '];

/// No message of this kind is longer, in characters.
const LONGEST: usize = 16;

/// The list of what asks nothing.
struct Pleasantries {
    /// Each word with the bit of its kind.
    words: HashMap<&'static str, u32>,
    /// What they begin with.
    first: HashSet<char>,
    /// The length of the longest in characters.
    longest_word: usize,
}

static PLEASANTRIES: LazyLock<Pleasantries> = LazyLock::new(|| {
    let words: HashMap<&str, u32> = items(NOTHING_ASKED)
        .enumerate()
        .flat_map(|(kind, line)| line.split_whitespace().skip(1).map(move |word| (word, 1 << kind)))
        .collect();
    let first = words.keys().filter_map(|word| word.chars().next()).collect();
    let longest_word = words.keys().map(|word| word.chars().count()).max().unwrap_or(0);
    Pleasantries { words, first, longest_word }
});

/// The kinds of words, one bit each, that a normalised text is made of if it is
/// made of nothing but thanks, agreement, farewells and the like; 0 if not.
fn pleasantries(core: &str) -> u32 {
    let Pleasantries { words, first, longest_word } = &*PLEASANTRIES;
    // Every phrasing of a release is looked at; few begin like this.
    if !core.starts_with(|character| first.contains(&character)) {
        return 0;
    }
    let ends: Vec<usize> = core.char_indices().map(|(at, _)| at).chain([core.len()]).collect();
    let characters = ends.len() - 1;
    if characters > LONGEST {
        return 0;
    }
    // made_of[n]: the kinds of the first n characters; `None` if they hold
    // anything else.
    let mut made_of = vec![None; characters + 1];
    made_of[0] = Some(0u32);
    for end in 1..=characters {
        let particle = made_of[end - 1]
            .filter(|kinds| *kinds != 0 && core[ends[end - 1]..ends[end]].starts_with(PARTICLES));
        let word = (end.saturating_sub(*longest_word)..end)
            .find_map(|start| Some(made_of[start]? | words.get(&core[ends[start]..ends[end]]).copied()?));
        made_of[end] = word.or(particle);
    }
    made_of[characters].unwrap_or(0)
}

/// The kinds of a text that [`nothing_asked`]: `greeting`, `thanks`, `consent`,
/// `refusal`, `farewell`, `wait`, `mood`; empty when it holds anything else.
pub fn kinds_of_nothing(core: &str) -> Vec<&'static str> {
    let kinds = pleasantries(core);
    let names = items(NOTHING_ASKED).filter_map(|line| line.split_whitespace().next());
    names.enumerate().filter(|(kind, _)| kinds & (1 << kind) != 0).map(|(_, name)| name).collect()
}

/// Whether a normalised text is of a kind that asks nothing.
pub fn is_pleasantry(core: &str) -> bool {
    pleasantries(core) != 0
}

/// Whether a normalised text asks nothing, and none of a knowledge base's own
/// questions is of its kind.
pub fn nothing_asked<'a>(core: &str, questions: impl IntoIterator<Item = &'a str>) -> bool {
    let kinds = pleasantries(core);
    kinds != 0 && !questions.into_iter().any(|question| pleasantries(question) & kinds != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_nothing() {
        for text in [
            "谢谢",
            "好的谢谢",
            "不用了谢谢",
            "不用了",
            "嗯嗯好的知道了",
            "在吗",
            "ok thanks",
            "没有了",
            "哈哈哈",
            "先这样吧拜拜",
            "等一下我看看",
            "没问题了谢谢",
        ] {
            assert!(nothing_asked(text, []), "{text}");
        }
        for text in [
            "",
            "了",
            "不要了",
            "怎么退货",
            "好的怎么退货",
            "不用密码可以吗",
            "有货吗",
            "要多久",
            "可以退吗",
            "知道了密码怎么改",
            "没有收到",
            "没收到",
            "等一下能退吗",
            "你好能退货吗",
            "对公账户",
            "是正品吗",
            "行李额",
        ] {
            assert!(!nothing_asked(text, []), "{text}");
        }
        // Whoever has answers to thanks gives them, to other thanks too.
        assert!(!nothing_asked("多谢", ["怎么退货", "谢谢你"]));
        assert!(!nothing_asked("好的谢谢", ["谢谢你"]));
        assert!(nothing_asked("再见", ["谢谢你"]));
    }

    #[test]
    fn no_kind_has_a_word_of_another() {
        let listed: usize = items(NOTHING_ASKED).map(|line| line.split_whitespace().count() - 1).sum();
        assert_eq!(PLEASANTRIES.words.len(), listed);
    }

    #[test]
    fn every_rule_compiles() {
        assert!(CLAIMS.as_ref().is_some_and(|claims| claims.len() > 10));
    }

    #[test]
    fn asking_for_a_person_is_heard_and_only_that() {
        for text in [
            "转人工",
            "我要找人工客服",
            "帮我转接人工",
            "人工",
            "找个真人",
            "退款一直没到转人工",
            "我不要和机器人说话我要人工",
            "有没有人工客服",
            "转人公",
            "揾真人",
            "专人工",
            "zhuan rengong",
            "转售后人工",
            "想找个活人说句话",
            "别让机器人回我",
            "让你们负责人给我打电话",
            "need human support",
            "talk to a real person",
        ] {
            assert_eq!(before_search(text), Some(Reason::Requested), "{text}");
        }
        assert_eq!(before_search("人工客服在吗"), Some(Reason::Requested));
        assert_eq!(in_clause("人工客服在吗"), None, "a clause like this greets");
        for text in [
            "人工智能是什么",
            "人工费怎么算",
            "你们的年轻生活馆几点开门",
            "跳楼价是真的吗",
            "转账",
            "客服几点上班",
            "人工授精",
            "不用转人工",
            "怎么转人工",
            "找人工维修",
            "换人办理可以吗",
            "人工客服昨天让我等",
            "机器人可以转人工吗",
            "转让",
            "安装需要联系客服吗",
        ] {
            assert_eq!(before_search(text), None, "{text}");
        }
        for text in ["我真的不想活了", "我想结束自己的生命", "想寻短见", "孩子自残"] {
            assert_eq!(before_search(text), Some(Reason::Sensitive), "{text}");
        }
        for text in ["老人不想活动怎么办", "电池的生命周期多长", "包安装费含人工吗"]
        {
            assert_eq!(before_search(text), None, "{text}");
        }
    }
}

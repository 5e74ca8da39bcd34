//! In which details can two texts differ that else say the same?
//!
//! "付款三分钟没到账" and "付款十五分钟没到账" share nearly every character, and so do
//! "怎么开通" and "怎么关闭", "从杭州到西安" and "从西安到杭州". What counts characters, and
//! what compares meanings, takes such texts for the same question. Here they
//! are read for what cannot be meant at the same time: amounts
//! ([`super::number`]), words of `data/contrasts.txt` and of the knowledge base's own
//! contrasts, a negation, and things that have changed places.
//!
//! It is a reading of single words, so it is worth something only for texts
//! that are alike; how much alike is for `decide` to say.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

use super::lexicon::{Lexicon, items};
use super::number::{self, Amount, Bound};
use super::{Query, Token, spelling, states};

const CONTRASTS: &str = include_str!("data/contrasts.txt");

/// Characters that may lie between two things whose order counts.
const REACH: usize = 8;

/// What gives an order its meaning when it stands between two things: "A 转给 B".
const DIRECTIONS: [&str; 16] =
    ["到", "至", "转", "给", "比", "换", "改", "变", "成", "还", "推荐", "飞", "往", "借", "送", "后"];

/// Words for people that are stop words else.
const PEOPLE: [&str; 4] = ["我", "你", "他", "她"];

/// What stands in the way of something. As a part of one text that the other
/// has nothing in place of, it turns the meaning.
const NEGATIONS: [&str; 16] = [
    "不", "没", "未", "无", "别", "没有", "不能", "不会", "不是", "不要", "不用", "不想", "无法", "没法",
    "并未", "还没",
];

/// Texts with more characters than these are not laid side by side: a story
/// repeats no phrasing, and the time for it grows with the square.
pub(super) const ALIGNED: usize = 60;

/// Longer pieces are no words that took each other's place.
const PIECE: usize = 3;

/// Between things of a list the order says nothing.
const LISTING: [&str; 8] = ["和", "或", "与", "跟", "及", "还是", "同", "又"];

/// Groups of words that cannot be meant at the same time.
///
/// A group has sides, a side has the words that mean the same.
#[derive(Debug, Clone)]
pub(super) struct Contrasts {
    finder: AhoCorasick,
    /// For each word that `finder` knows the groups and sides that it belongs to.
    places: Vec<Vec<(usize, usize)>>,
}

impl Contrasts {
    /// # Errors
    /// When the words are too many for one automaton.
    pub(super) fn new<W: AsRef<str>>(groups: &[Vec<Vec<W>>]) -> Result<Self, BuildError> {
        let mut places: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
        for (group, sides) in groups.iter().enumerate() {
            for (side, words) in sides.iter().enumerate() {
                for word in words {
                    places.entry(word.as_ref()).or_default().push((group, side));
                }
            }
        }
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(places.keys())?;
        Ok(Self { finder, places: places.into_values().collect() })
    }

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A text without the words of a group, for comparing it with others.
    fn without(&self, text: &str, group: usize) -> String {
        let (mut rest, mut at) = (String::with_capacity(text.len()), 0);
        for (place, ..) in self.places_in(text).filter(|(_, of, _)| *of == group) {
            // A word that stands on two sides of a group is found twice.
            if place.start >= at {
                rest.push_str(&text[at..place.start]);
                rest.push('\0');
                at = place.end;
            }
        }
        rest.push_str(&text[at..]);
        rest
    }

    /// The groups whose words stand in a text, each with the side.
    fn in_text<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, u64)> + 'a {
        self.places_in(text).map(|(_, group, side)| (group, side as u64))
    }

    /// The same with the words' places in bytes.
    pub(super) fn places_in<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = (Range<usize>, usize, usize)> + 'a {
        // "s" is no word of "ems".
        let ends_a_word = |at: usize| {
            let (before, after) = text.split_at(at);
            let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            !(latin(before.chars().next_back()) && latin(after.chars().next()))
        };
        let whole = move |found: &aho_corasick::Match| ends_a_word(found.start()) && ends_a_word(found.end());
        self.finder.find_iter(text).filter(whole).flat_map(|found| {
            let places = &self.places[found.pattern().as_usize()];
            places.iter().map(move |(group, side)| (found.range(), *group, *side))
        })
    }
}

#[expect(clippy::expect_used, reason = "no words make no automaton that is too large")]
impl Default for Contrasts {
    fn default() -> Self {
        Self::new::<&str>(&[]).expect("no words")
    }
}

/// The lines of `data/contrasts.txt`: whether the words count only in each
/// other's place, and the sides.
fn shipped_lines() -> impl Iterator<Item = (bool, Vec<Vec<&'static str>>)> {
    items(CONTRASTS).map(|line| {
        let sides = line.trim_start_matches('~').split('|');
        (line.starts_with('~'), sides.map(|side| side.split_whitespace().collect()).collect())
    })
}

/// The words of every side that has a word.
pub(super) fn alike_of(word: &str) -> Vec<&'static str> {
    shipped_lines().flat_map(|(_, sides)| sides).filter(|side| side.contains(&word)).flatten().collect()
}

/// All of them.
#[expect(clippy::expect_used, reason = "a few hundred words make no automaton that is too large")]
pub(super) static ALL: LazyLock<Contrasts> = LazyLock::new(|| {
    let groups: Vec<_> = shipped_lines().map(|(_, sides)| sides).collect();
    Contrasts::new(&groups).expect("few words")
});

/// Those that count wherever they stand.
#[expect(clippy::expect_used, reason = "a few hundred words make no automaton that is too large")]
static SHIPPED: LazyLock<Contrasts> = LazyLock::new(|| {
    let groups: Vec<_> = shipped_lines().filter(|(local, _)| !local).map(|(_, sides)| sides).collect();
    Contrasts::new(&groups).expect("few words")
});

/// Those that count only in each other's place.
static LOCAL: LazyLock<Vec<Vec<Vec<&'static str>>>> =
    LazyLock::new(|| shipped_lines().filter(|(local, _)| *local).map(|(_, sides)| sides).collect());

/// What a detail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A line of `data/contrasts.txt`.
    Contrast(usize),
    /// A contrast of the knowledge base.
    Own(usize),
}

/// What a text commits itself to.
#[derive(Debug, Clone, Default, PartialEq)]
struct Details {
    /// Each with the side of the line.
    found: Vec<(Kind, u64)>,
    /// Numbers with what they count.
    amounts: Vec<Amount>,
}

impl Details {
    /// Reads the core of a text.
    fn of(core: &str, own: &Contrasts) -> Self {
        let plain = without_alternatives(core);
        let mut found: Vec<(Kind, u64)> = Vec::new();
        found.extend(SHIPPED.in_text(&plain).map(|(group, side)| (Kind::Contrast(group), side)));
        let own =
            own.in_text(&spelling(&plain)).map(|(group, side)| (Kind::Own(group), side)).collect::<Vec<_>>();
        found.extend(own);
        let amounts =
            number::read(&plain).into_iter().filter(|one| one.tells).map(|one| one.amount).collect();
        Self { found, amounts }
    }

    /// Whether the text has none.
    fn is_empty(&self) -> bool {
        self.found.is_empty() && self.amounts.is_empty()
    }

    fn has(&self, kind: Kind, value: u64) -> bool {
        self.found.contains(&(kind, value))
    }

    /// Whether a question asks for another matter than an entry: it has a
    /// detail that no phrasing of the entry (`all`) has, and the phrasing that
    /// it is most like (`best`) has another one of the same kind in its place.
    /// That is rare, and all phrasings are many: they are read for it only.
    fn differ<'a>(&self, best: &Self, all: impl Fn() -> &'a [Self]) -> bool {
        self.found.iter().any(|&(kind, value)| {
            best.found.iter().any(|&(of, other)| of == kind && !self.has(of, other))
                && !all().iter().any(|phrasing| phrasing.has(kind, value))
        }) || self.amounts.iter().any(|amount| {
            best.amounts.iter().any(|other| amount.excludes(other) && !self.says(other))
                && !all().iter().any(|phrasing| phrasing.says(amount))
        })
    }

    /// Whether an amount of the text means another text's, on the same side of
    /// a number: 七天 says nothing of 超过七天.
    fn says(&self, other: &Amount) -> bool {
        self.amounts.iter().any(|amount| {
            amount.is_comparable(other)
                && !amount.excludes(other)
                && (other.bound == Bound::At
                    || amount.bound == other.bound
                    || amount.ordinal != other.ordinal)
        })
    }
}

/// 能不能用 asks whether it is 能用, and says nothing of 不能用.
fn without_alternatives(core: &str) -> String {
    let characters: Vec<char> = core.chars().collect();
    let mut plain = String::with_capacity(core.len());
    let mut at = 0;
    while at < characters.len() {
        let this = characters[at];
        plain.push(this);
        let again = characters.get(at + 2) == Some(&this);
        at += if again && matches!(characters[at + 1], '不' | '没') { 3 } else { 1 };
    }
    plain
}

/// Whether a question is about another matter than one of the phrasings `best`
/// of an entry, or than `all` its phrasings, as far as single words can tell:
/// the shipped ones and those of a lexicon. Texts are given by their cores.
pub fn differ<'a>(
    lexicon: &Lexicon,
    question: &Query,
    best: &[&str],
    all: impl Iterator<Item = &'a str>,
) -> bool {
    let core = &question.text.core;
    let short = |text: &str| text.chars().count() <= ALIGNED;
    let apart = |best: &str| exchanged(core, &question.tokens, best) || replaced(core, best);
    if short(core) && best.iter().any(|best| short(best) && apart(best)) {
        return true;
    }
    let all: Vec<&str> = all.collect();
    if short(core) && states::apart(core, all.iter().copied().filter(|phrasing| short(phrasing))) {
        return true;
    }
    let details = |core: &str| Details::of(core, lexicon.contrasts());
    let asked = details(core);
    if asked.is_empty() {
        return false;
    }
    let all = LazyCell::new(|| all.into_iter().map(details).collect::<Vec<_>>());
    best.iter().any(|best| asked.differ(&details(best), || all.as_slice()))
}

/// Whether a question leaves open what a contrast of the knowledge base keeps apart: it
/// names no side of one, or several, and the phrasings `best` of an entry say nothing but
/// one of `others` does, which belong to other entries, but for the side. Who asks what
/// 绝育 costs means 公猫 as well as 母猫.
pub fn left_open<'a>(
    lexicon: &Lexicon,
    question: &str,
    best: &[&str],
    others: impl Iterator<Item = &'a str> + Clone,
) -> bool {
    let own = lexicon.contrasts();
    if own.is_empty() {
        return false;
    }
    let plain = |core: &str| spelling(&without_alternatives(core)).into_owned();
    let sides = |text: &str, group: usize| -> BTreeSet<u64> {
        own.in_text(text).filter(|(of, _)| *of == group).map(|(_, side)| side).collect()
    };
    let (question, best) = (plain(question), best.iter().map(|text| plain(text)).collect::<Vec<_>>());
    let groups: BTreeSet<usize> =
        best.iter().flat_map(|text| own.in_text(text).map(|(group, _)| group)).collect();
    groups.into_iter().any(|group| {
        let named = sides(&question, group);
        let of_best: Vec<BTreeSet<u64>> = best.iter().map(|text| sides(text, group)).collect();
        // Some phrasing of its own leaves it open as well, or compares both.
        if of_best.iter().any(|sides| sides.len() != 1) || named.len() == 1 {
            return false;
        }
        best.iter().zip(&of_best).any(|(text, side)| {
            if !named.is_empty() && named.is_disjoint(side) {
                return false;
            }
            let rest = own.without(text, group);
            others.clone().any(|other| {
                let other = plain(other);
                let theirs = sides(&other, group);
                theirs.len() == 1
                    && theirs.is_disjoint(side)
                    && (named.is_empty() || theirs.is_subset(&named))
                    && own.without(&other, group) == rest
            })
        })
    })
}

/// Whether two things of a question stand in the other order in a phrasing, with
/// something between them that makes it count: "从杭州到西安", "从西安到杭州".
fn exchanged(core: &str, tokens: &[Token], phrasing: &str) -> bool {
    let things: Vec<&Token> = tokens
        .iter()
        .filter(|token| !token.stop || PEOPLE.contains(&token.text.as_str()))
        .filter(|token| {
            !DIRECTIONS.contains(&token.text.as_str()) && core.find(&token.text) == Some(token.start)
        })
        .collect();
    let listing = |part: &str| LISTING.iter().any(|word| part.contains(word));
    let directed = |part: &str| {
        part.chars().count() <= REACH && DIRECTIONS.iter().any(|direction| part.contains(direction))
    };
    let long = |token: &Token| token.text.chars().count() > 1 || PEOPLE.contains(&token.text.as_str());
    things.iter().enumerate().any(|(at, first)| {
        things[at + 1..].iter().any(|second| {
            let (Some(a), Some(b)) = (phrasing.find(&first.text), phrasing.find(&second.text)) else {
                return false;
            };
            let here = core.get(first.start + first.text.len()..second.start).unwrap_or_default();
            let there = phrasing.get(b + second.text.len()..a).unwrap_or_default();
            if here.is_empty() || there.is_empty() || listing(here) || listing(there) {
                return false;
            }
            // The same between them, or for whole words a direction.
            here == there || long(first) && long(second) && directed(here) && directed(there)
        })
    })
}

/// Whether a phrasing has the opposite in the place of something, or a negation
/// more or less.
fn replaced(core: &str, phrasing: &str) -> bool {
    let (core, phrasing) = (without_alternatives(core), without_alternatives(phrasing));
    let blocks = blocks(&core, &phrasing);
    let last = blocks.len().saturating_sub(1);
    blocks.into_iter().enumerate().any(|(at, (here, there))| {
        // 可以带宠物不 asks: what ends a text denies nothing.
        let ends = |piece: &str, text: &str| at == last && text.ends_with(piece);
        if here.is_empty() || there.is_empty() {
            let denies =
                |piece: &String, text: &str| NEGATIONS.contains(&piece.as_str()) && !ends(piece, text);
            return denies(&here, &core) || denies(&there, &phrasing);
        }
        // "不取消预订" denies what "怎么取消预订" asks for.
        let denied = |piece: &str, other: &str, text: &str| {
            // "可以不开发票吗" asks to do without what "能开发票吗" asks for.
            let bare = piece.strip_prefix("可以").or_else(|| piece.strip_prefix('能')).unwrap_or(piece);
            let asks = without_asking(other).chars().all(|c| c == '能');
            let is_negation = |piece: &str| NEGATIONS.contains(&piece.strip_prefix('我').unwrap_or(piece));
            asks && !ends(piece, text) && is_negation(bare)
        };
        if denied(&here, &there, &core) || denied(&there, &here, &phrasing) {
            return true;
        }
        // "怎么设置" in the place of "忘记" is 设置 in its place.
        let (here, there) = (without_asking(&here), without_asking(&there));
        if here.chars().count().max(there.chars().count()) > PIECE {
            return false;
        }
        // What the other text has anywhere is not gone from it.
        let only = |piece: &str, other: &str, side: &[&str]| {
            side.iter().any(|word| piece.contains(word)) && !side.iter().any(|word| other.contains(word))
        };
        LOCAL.iter().any(|sides| {
            let side_of = |piece: &str, other: &str| sides.iter().position(|side| only(piece, other, side));
            match (side_of(&here, &phrasing), side_of(&there, &core)) {
                (Some(one), Some(another)) => one != another,
                _ => false,
            }
        })
    })
}

/// A piece without the words that only make a question of it.
pub(super) fn without_asking(piece: &str) -> String {
    const ASKING: [&str; 9] = ["怎么", "怎样", "如何", "可以", "我想", "我要", "请问", "吗", "了"];
    ASKING.iter().fold(piece.to_owned(), |piece, word| piece.replace(word, ""))
}

/// What two texts do not share, where they are laid side by side along their
/// longest common subsequence: pairs of pieces, one of which may be empty.
pub(super) fn blocks(a: &str, b: &str) -> Vec<(String, String)> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // longest[i][j]: that of a[i..] and b[j..].
    let mut longest = vec![vec![0u8; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = if a[i] == b[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut found, mut open) = (Vec::new(), (String::new(), String::new()));
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            if open != Default::default() {
                found.push(std::mem::take(&mut open));
            }
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && longest[i + 1][j] >= longest[i][j + 1] {
            open.0.push(a[i]);
            i += 1;
        } else {
            open.1.push(b[j]);
            j += 1;
        }
    }
    if open != Default::default() {
        found.push(open);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Analyzer, AuthoredLexicon};

    fn differ_from(question: &str, best: &str, all: &[&str]) -> bool {
        with(Lexicon::shipped(), question, best, all)
    }

    fn with(lexicon: Lexicon, question: &str, best: &str, all: &[&str]) -> bool {
        let analyzer = Analyzer::new(lexicon);
        super::differ(analyzer.lexicon(), &analyzer.query(question).unwrap(), &[best], all.iter().copied())
    }

    fn differ(question: &str, phrasing: &str) -> bool {
        differ_from(question, phrasing, &[phrasing])
    }

    #[test]
    fn numbers_with_their_units() {
        assert!(differ("付款15分钟没到账", "付款三分钟没到账"));
        assert!(!differ("付款15分钟没到账", "付款十五分钟没到账"));
        assert!(differ("付款15分钟没到账", "付款三天没到账"), "durations in two units");
        assert!(!differ("付款15分钟没到账", "付款三次没到账"), "of two kinds");
        assert!(!differ("付款15分钟没到账", "付款了没到账"));
        assert!(differ("满三百减五十怎么用", "满五百减五十怎么用"));
        assert!(!differ("三百块的券", "满300元减50的券"));
        assert!(differ("第二件半价", "第三件半价"));
        assert!(!differ("给我一张发票", "要两张发票"), "any one");
        assert!(differ("一年多少钱", "半年多少钱"));
        assert!(!differ("便宜一点", "早上8点"));
        assert!(differ("第8天不想要了可以退吗", "七天内不想要了可以退吗"));
        assert!(differ("超过七天不想要了可以退吗", "七天内不想要了可以退吗"));
        assert!(differ("半个月内可以退货吗", "七天内可以退货吗"));
        let all = ["七天内不想要了可以退吗", "怎么申请七天无理由退货"];
        assert!(differ_from("超过七天不想要了可以退吗", all[0], &all));
        assert!(!differ_from("一周内不想要了可以退吗", all[0], &all));
        assert!(!differ("一周内可以退货吗", "七天内可以退货吗"));
        assert!(differ("首次开卡免费吗", "第2次开卡免费吗"));
        assert!(differ("去年的账单怎么查", "2024年的账单怎么查"));
        assert!(differ("存20一年利息多少", "存20万一年利息多少"));
        assert!(!differ("存20w一年利息多少", "存二十万一年利息多少"));
        assert!(differ("95566-1是什么电话", "95566是什么电话"));
        assert!(!differ("一直登录不了", "三番五次登录不了"));
    }

    #[test]
    fn contrasts() {
        assert!(differ("怎么开通自动续费", "怎么取消自动续费"));
        assert!(!differ("怎么打开自动续费", "怎么开通自动续费"), "of one side");
        assert!(!differ("怎么开通和取消自动续费", "怎么取消自动续费"), "both are asked for");
        assert!(!differ("能不能用微信", "能用微信吗"), "a question says neither");
        assert!(differ("一直没收到验证码", "收到验证码了"));
        // What any phrasing of the entry says is no difference.
        let all = ["自动续费怎么取消", "自动续费怎么开通"];
        assert!(!differ_from("打开自动续费", all[0], &all));
    }

    #[test]
    fn what_is_denied_is_not_what_is_asked_for() {
        assert!(differ("不取消预订", "怎么取消预订"));
        assert!(differ("我不想取消预订", "怎么取消预订"));
        assert!(differ("不带宠物可以吗", "可以带宠物吗"));
        assert!(differ("没收到发票", "怎么收到发票"));
        assert!(!differ("不用了怎么注销", "如何注销"), "a reason, and no denial");
        assert!(!differ("我想取消预订", "怎么取消预订"));
        assert!(!differ("可以带宠物不", "可以带宠物吗"), "the end only asks");
        assert!(!differ("能不能带宠物", "可以带宠物吗"));
        assert!(differ("可以不开发票吗", "能开发票吗") && differ("可以不预约吗", "可以预约吗"));
        assert!(!differ("开票不", "开票") && !differ("可以退卡不", "退卡") && !differ("到账没有", "到账"));
        assert!(differ("不开票", "开票") && !differ("可不可以开发票", "能开发票吗"));
        assert!(!differ("怎么取消不了预订", "取消预订怎么取消不了"));
    }

    #[test]
    fn contrasts_of_the_knowledge_base() {
        let lines = "{\"contrast\":[\"金卡\",\"白金卡\",\"飞马卡\"]}\n{\"contrast\":[\"S\",\"XS\"]}\n\
            {\"synonyms\":[\"飞马卡\",\"老马卡\"]}";
        let authored = AuthoredLexicon::read("words", lines.as_bytes()).unwrap();
        let differ = |question, phrasing| with(Lexicon::of(&authored, []), question, phrasing, &[phrasing]);
        assert!(differ("白金卡年费多少", "金卡年费多少"), "the longer word is another one");
        assert!(!differ("金卡年费多少", "金卡年费多少钱"));
        assert!(!differ("飞马卡年费多少", "老马卡年费多少"), "synonyms stand on one side");
        assert!(differ("老马卡年费多少", "金卡年费多少"));
        assert!(!differ("银卡年费多少", "金卡年费多少"), "nobody has said so");
        assert!(differ("XS码有货吗", "s码有货吗"));
        assert!(!differ("XS码有货吗", "ems码有货吗"), "no word of its own");
        assert!(!differ("金卡和白金卡的年费", "金卡年费多少"), "both are asked for");
    }

    #[test]
    fn a_side_that_is_not_named_is_left_open() {
        let lines = "{\"contrast\":[\"公\",\"母\"]}\n{\"contrast\":[\"寄养\",\"住院\",\"日托\"]}";
        let authored = AuthoredLexicon::read("words", lines.as_bytes()).unwrap();
        let lexicon = Lexicon::of(&authored, []);
        let open = |question: &str, best: &[&str], others: &[&str]| {
            left_open(&lexicon, question, best, others.iter().copied())
        };
        let (cats, tom) = (["母猫绝育多少钱"], ["公猫绝育多少钱", "狗绝育多少钱"]);
        assert!(open("猫绝育多少钱", &cats, &tom));
        assert!(open("绝育多少钱", &cats, &tom));
        assert!(open("公猫和母猫绝育多少钱", &cats, &tom), "both are asked for");
        assert!(!open("母猫绝育多少钱啊", &cats, &tom));
        assert!(!open("猫绝育多少钱", &cats, &["公猫绝育要住院吗"]), "nobody else answers that");
        assert!(!open("猫绝育多少钱", &["猫绝育多少钱"], &tom), "it is open there, too");
        assert!(!open("猫绝育多少钱", &["母猫绝育多少钱", "猫绝育费用"], &tom));
        assert!(open("一天多少钱", &["寄养一天多少钱"], &["住院一天多少钱"]));
        assert!(open("寄养和日托一天多少钱", &["寄养一天多少钱"], &["日托一天多少钱"]));
        assert!(!open("寄养和日托一天多少钱", &["寄养一天多少钱"], &["住院一天多少钱"]), "not asked for");
        assert!(!left_open(&Lexicon::shipped(), "猫绝育多少钱", &cats, tom.iter().copied()));
    }

    #[test]
    fn contrasts_see_through_blanks_hyphens_and_capitals() {
        let lines = "{\"contrast\":[\"x20pro\",\"X20 Pro Max\",\"X20+\"]}";
        let authored = AuthoredLexicon::read("words", lines.as_bytes()).unwrap();
        let differ = |question, phrasing| with(Lexicon::of(&authored, []), question, phrasing, &[phrasing]);
        let stored = "炫音 x20 pro max 怎么连";
        assert!(differ("炫音X20 Pro怎么连", stored), "the longer one is another");
        assert!(differ("炫音x20plus怎么连", stored));
        assert!(!differ("炫音X-20promax怎么连", stored));
    }

    #[test]
    fn what_stands_in_the_place_of_something() {
        assert!(differ("检查前要空腹吗", "检查后要空腹吗"));
        assert!(differ("大件能送上楼吗", "小件能送上楼吗"));
        assert!(!differ("件太大了能送上楼吗", "小区没电梯能送上楼吗"), "not in its place");
        assert!(differ("拼团人数不够会退钱吗", "拼团人数够会退钱吗"));
        assert!(!differ("登录不了怎么办", "登录失败怎么办"), "said in another way");
        assert!(!differ("能不能带宠物", "能带宠物吗"));
        assert!(!differ("双人房和单人房有什么区别", "单人房和双人房的区别"));
        let expected = [("住后".to_owned(), String::new()), (String::new(), "后住".to_owned())];
        assert_eq!(blocks("先住后付", "先付后住"), expected);
        assert_eq!(blocks("", ""), []);
        let story = "今天".repeat(40);
        assert!(!differ(&format!("{story}检查前要空腹吗"), &format!("{story}检查后要空腹吗")), "too long");
    }

    #[test]
    fn things_that_change_places() {
        assert!(differ("从杭州到西安的票", "从西安到杭州的票"));
        assert!(!differ("从杭州到西安的票", "杭州到西安还有票吗"));
        assert!(!differ("去西安的票从杭州出发", "从杭州到西安的票"), "another way to say it");
        assert!(differ("信用卡可以还储蓄卡吗", "储蓄卡可以还信用卡吗"));
        assert!(differ("我转给他的钱", "他转给我的钱"));
        assert!(differ("先住后付的酒店", "先付后住的酒店"));
        assert!(!differ("怎么开通花呗", "花呗怎么开通"));
        assert!(!differ("苹果好还是安卓好", "安卓好还是苹果好"), "a list");
    }

    #[test]
    fn the_shipped_groups_are_sound() {
        for (_, sides) in shipped_lines() {
            assert!(sides.len() > 1 && sides.iter().all(|side| !side.is_empty()), "{sides:?}");
            let mut words = sides.concat();
            let count = words.len();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), count, "a word stands twice in: {sides:?}");
        }
    }
}

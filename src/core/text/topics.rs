//! Is a question about another thing than a phrasing that it repeats else?
//!
//! A Chinese question mostly names its topic first and then says something of it:
//! "考场几点开门", "训练场几点开门". What counts characters takes the two for nearly the
//! same, and no list of contrasts can have all the things of all trades. So the
//! two are laid side by side: where they are the same but for what they begin
//! with, and both begin with something that can be a thing, it is another thing.
//! Whether two words name one thing is for an encoder to say, where there is one.
//! Further back in a sentence the same is no sign of it: there most pieces that
//! took each other's place say one thing in two ways (corpora/README.md, *Details*).

use super::details::{ALIGNED, blocks, without_asking};
use super::{Lexicon, Query, Token};

/// Characters that say nothing about what a text is about, as signs do.
const LIGHT: &str = "的了地得着啊呢吧呀哦嘛啦吗么我你您他她它也都就又还很太在是有会要把被给让对从到上下里呗能可以需请问想去来过";

/// Words that questions begin with and that are not what they are about: times,
/// people in general, what is asked for, and what only leads on.
const NO_TOPICS: &str = "现在 目前 最近 近来 今天 今晚 明天 昨天 后天 刚才 刚刚 以前 以后 之前 之后 接下来 突然 忽然 \
    一直 经常 已经 再次 每次 后续 快点 赶快 赶紧 马上 谁 有人 大家 人家 哪位 大神 高手 亲 亲们 客服 老板 帮忙 麻烦 告诉 \
    咨询 询问 请教 了解 说说 讲讲 说下 说一下 介绍 推荐 求 跪求 求助 找 查 查询 查看 看看 打开 开启 启动 播放 设置 修改 更改 变更 \
    显示 提示 办理 申请 使用 进行 操作 处理 准备 打算 需要 觉得 认为 感觉 知道 希望 遇到 面对 碰到 出现 发生 关于 有关 \
    对于 如果 假如 要是 因为 由于 为什么 为啥 为何 什么 啥 哪里 哪儿 哪个 哪些 哪家 哪种 多少 几个 几款 几首 一个 一款 一首 一些 \
    这个 那个 这种 那种 这些 那些 某个 自己";

/// What a question is about and what each of the phrasings `best` of an entry is about, which
/// say the same of it; `None` unless all of them do, and where any phrasing in `all` of the
/// entry names what the question is about.
pub fn other_topics<'a>(
    lexicon: &Lexicon,
    question: &Query,
    best: &[&str],
    all: impl Iterator<Item = &'a str> + Clone,
) -> Option<Vec<(String, String)>> {
    let of = |phrasing: &&str| {
        topics(question, phrasing).filter(|(asked, stored)| {
            lexicon.canonical(asked) != lexicon.canonical(stored)
                && !question.text.core.contains(stored)
                && !all.clone().any(|phrasing| phrasing.contains(asked))
        })
    };
    let all: Vec<_> = best.iter().map(of).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

/// The things that a question and a phrasing begin with, where both say the same of them.
fn topics(question: &Query, phrasing: &str) -> Option<(String, String)> {
    let core = question.text.core.as_str();
    let (asked, stored) = (core.chars().count(), phrasing.chars().count());
    if core.chars().next() == phrasing.chars().next() || asked.max(stored) > ALIGNED {
        return None;
    }
    let blocks = blocks(core, phrasing);
    let (first, others) = blocks.split_first()?;
    let own: usize = blocks.iter().map(|(here, _)| here.chars().count()).sum();
    if 2 * (asked - own) < asked.max(stored)
        || others.iter().any(|(here, there)| !here.chars().chain(there.chars()).all(is_light))
    {
        return None;
    }
    let (here, there) = first;
    // 门禁 and 停车 are 门禁卡 and 停车卡: what both share belongs to the word.
    let ends = |token: &&Token| (token.start + 1..token.start + token.text.len()).contains(&here.len());
    let word = question.tokens.iter().find(ends).map_or(here.len(), |token| token.start + token.text.len());
    let rest = core.get(here.len()..word)?;
    let shared: String = rest
        .chars()
        .zip(phrasing.get(there.len()..)?.chars())
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a)
        .collect();
    let (here, there) = (thing(&format!("{here}{shared}"))?, thing(&format!("{there}{shared}"))?);
    (!is_one_thing(&here, &there)).then_some((here, there))
}

fn is_light(c: char) -> bool {
    !c.is_alphanumeric() || LIGHT.contains(c)
}

/// What may be a thing in the piece that a text begins with.
fn thing(piece: &str) -> Option<String> {
    let piece = without_asking(piece);
    let mut rest = piece.trim_matches(is_light);
    while let Some(less) = NO_TOPICS.split_whitespace().find_map(|word| rest.strip_prefix(word)) {
        rest = less.trim_start_matches(is_light);
    }
    (rest.chars().count() > 1).then(|| rest.to_owned())
}

/// Whether two words that share characters may say the same: 小孩 and 孩子, 男人 and 男生.
/// Those that end alike are two of a kind: 浴巾 and 毛巾.
fn is_one_thing(one: &str, other: &str) -> bool {
    one.chars().any(|c| other.contains(c)) && one.chars().next_back() != other.chars().next_back()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Analyzer, AuthoredLexicon};

    fn with(lexicon: Lexicon, question: &str, best: &[&str], all: &[&str]) -> bool {
        let analyzer = Analyzer::new(lexicon);
        let question = analyzer.query(question).unwrap();
        other_topics(analyzer.lexicon(), &question, best, all.iter().copied()).is_some()
    }

    fn other(question: &str, phrasing: &str) -> bool {
        with(Lexicon::shipped(), question, &[phrasing], &[phrasing])
    }

    #[test]
    fn another_thing_in_the_same_words() {
        assert!(other("考场几点开门", "训练场几点开门"));
        assert!(other("补考费包含在学费里吗", "体检费包含在学费里吗"));
        assert!(other("停车卡丢了怎么办", "门禁卡丢了怎么办"), "the word ends alike");
        assert!(other("转校要带什么材料", "报名需要带什么材料"), "small words more or less");
        assert!(other("请问米饭要另外收钱吗", "餐具要另外收钱吗"));
    }

    #[test]
    fn the_same_thing_in_other_words() {
        assert!(!other("训练场几点开门", "训练场几点开门"));
        assert!(!other("小孩鼻塞怎么办", "孩子鼻塞怎么办"));
        assert!(!other("男人都喜欢绿茶吗", "男生都喜欢绿茶吗"));
        assert!(!other("电费怎么交", "怎么交电费"), "in another order");
        assert!(!other("显示已签收但我没收到", "提示已签收但我没收到"), "no things");
        assert!(!other("现在天气情况", "今天天气情况"));
        assert!(!other("关于少林寺的电视剧", "有关少林寺的电视剧"));
        assert!(!other("怎么开发票", "在哪里开发票"));
        assert!(!other("费用谁出", "运费谁承担"), "too little is the same");
        assert!(!other("训练场几点开门", "") && !other("？", "训练场几点开门"));
    }

    #[test]
    fn what_any_phrasing_names_is_no_other_thing() {
        let all = ["训练场几点开门", "考场和训练场的开放时间"];
        assert!(!with(Lexicon::shipped(), "考场几点开门", &all[..1], &all));
        let both = ["训练场几点开门", "场地几点开始营业"];
        assert!(!with(Lexicon::shipped(), "考场几点开门", &both, &both), "the other says less of the same");
        let authored =
            AuthoredLexicon::read("words", "{\"synonyms\":[\"考场\",\"训练场\"]}".as_bytes()).unwrap();
        let lexicon = Lexicon::of(&authored, []);
        assert!(!with(lexicon, "考场几点开门", &all[..1], &all[..1]));
    }
}

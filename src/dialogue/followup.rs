//! What does a message leave out that was said before?
//!
//! "那要多久呢" leaves out of what, "那信用卡的呢" leaves out what is asked of it. A
//! fragment of that kind is put together with the question before; whether
//! that is the better reading is for the matchers and for `decide` to say, and
//! whether the entry that it leads to speaks of what the fragment asks, is
//! said here ([`Fragment::is_spoken_of`]).

use std::sync::LazyLock;

use regex::Regex;

use crate::text::{Analyzer, alike, exchanged, has_question_word, says_something};

/// A longer message says enough by itself.
const LONGEST: usize = 16;

/// A message that may lack something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fragment {
    /// Its core without what joins it to the turn before.
    core: String,
    kind: Kind,
    /// Whether it shows that it goes on from something: 那…, …呢.
    goes_on: bool,
}

/// What a fragment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What is asked, and not of what: 要多久, 怎么操作.
    Ask,
    /// Of what, and not what is asked: 换货呢, 信用卡的呢.
    Topic,
    /// Both; it may stand for itself, or be a part of the matter before.
    Both,
}

#[expect(clippy::expect_used, reason = "the patterns are right or no test passes")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of a list")
}

/// What joins a message to what was said before.
static JOINING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:好的|好吧|好滴|行吧|嗯+|哦|噢|知道了|明白了?|了解了|这样啊|谢谢|原来如此|原来是这样)*(?:可是|但是|但|然后|所以|要是|如果|假如|万一|我说的是|我是说|我问的是|我是问|我指的是|我的是|我这是|就是)?",
    )
});

/// Where the message is only pointed to.
static POINTING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:这个|这种|这样|这项|这笔|这单|这张|这|它|那个|那种|那样|那张|那笔|那单|该)(?:业务|东西|情况|的话)?(?:的)?",
    )
});

/// Words that only say which side of a matter is asked: time, money, papers, places.
static ASPECTS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"手续费|费用|收费|免费|花费|花钱|价格|价钱|贵不贵|贵|钱|费|多长|时间|时效|周期|期限|最快|最慢|最晚|最迟|大概|一般|大约|材料|资料|证件|手续|流程|步骤|条件|要求|限制|办得了|办理|申请|操作|手机上|网上|线上|线下|线上|app|小程序|电话|现场|柜台|本人|自己|亲自|需要|准备|提供|携带|带|去|来|处理|解决|生效|完成|到账|审核|通过|具体|怎么个|用|找|办|查|看|改|弄|走|交|收|算|必须|一定|原因|回事|理由",
    )
});

/// Kinds of asking, each with what an answer has that speaks of it.
static SIDES: LazyLock<Vec<(Regex, Regex)>> = LazyLock::new(|| {
    [
        (
            r"多久|多长|几天|几小时|几分钟|时效|多快|最快|几个?月|期限",
            r"[0-9一二两三四五六七八九十半几] ?个?(?:~|-|–|到|至)? ?[0-9一二两三四五六七八九十]* ?个?(?:天|日内|小时|分钟|工作日|自然日|周|月|年|秒)|随时|立即|立刻|马上|实时|即时|当天|当日|次日|秒到",
        ),
        (
            r"什么时候|何时|几时|时间|几点|几号|哪天",
            r"[0-9一二两三四五六七八九十半几]+(?:个)?(?:~|-|到|至)?[0-9一二两三四五六七八九十]*(?:个)?(?:天|日|小时|分钟|工作日|自然日|周|月|年|点|秒)|随时|立即|立刻|马上|实时|当天|当日|次日|即时|秒到|全天|[0-9]:[0-9]",
        ),
        (
            r"多少钱|要钱|收钱|花钱|收费|费用|免费|手续费|价格|价钱|贵|几块|几元|多少费|要交钱|付钱|钱",
            r"元|免费|费|价|收取|[0-9]+块|不收",
        ),
        (
            r"哪里|哪儿|在哪|去哪|哪个(?:地方|页面|入口|窗口|菜单)|什么地方|入口|地址|窗口",
            r"「|在|进入|打开|网点|窗口|柜台|页面|门店|营业厅|地址|楼|首页|菜单|我的",
        ),
        (
            r"材料|资料|证件|带什么|带啥|准备什么|准备啥|需要什么|要什么|要啥|提供什么",
            r"身份证|证件|材料|证明|户口|凭|照片|截图|提供|携带|带|护照|护照|合同|发票|单号|填",
        ),
        (r"为什么|为啥|为何|原因|怎么回事|咋回事|凭什么|理由", r"因为|因|由于|原因|防|避免|规定|规则|可能|通常|一般|如果"),
        (r"网上|线上|手机上|app|小程序|自己操作", r"App|app|线上|网上|手机|「|小程序|公众号|网银|掌厅|自助"),
        (r"本人|亲自|代办|别人", r"本人|代办|代理|他人|家属|亲属|亲自"),
        (r"条件|要求|限制", r"条件|要求|须|需|必须|满|符合|年龄|不支持|仅|只"),
    ]
    .into_iter()
    .map(|(asked, told)| (pattern(asked), pattern(told)))
    .collect()
});

/// Messages that ask one side of a matter and nothing else, each with the words that
/// knowledge bases mostly have for it: 收费吗 for 要钱吗.
static PLAINLY: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (
            r"^(?:还|另外|额外|是否|需要|要不要|用不用|要|用|得|会)*(?:花|交|收|付|给)?(?:钱|费|费用)的?(?:吗|么|嘛|不|没)?$",
            "收费吗",
        ),
        (r"^(?:大概|一般|是|要|得)*(?:多少费用?|什么价|什么价格|什么价钱|价格|价钱|几块钱|贵吗|贵不贵)$", "多少钱"),
        (r"^(?:大概|一般|最快|需要|得|要)*(?:几天|多少天|多长时间|多少时间|多长|几个?工作日)$", "要多久"),
        (r"^(?:需要|要|得)*(?:带|准备|提供|拿|交)(?:些|点)?(?:什么|啥|哪些)(?:东西|资料|证件|手续)?$", "需要什么材料"),
    ]
    .into_iter()
    .map(|(asked, plain)| (pattern(asked), plain))
    .collect()
});

impl Fragment {
    /// What a message lacks, by its core and by its written form, which has the
    /// particle at the end still; `None` when it is too long or says nothing.
    pub(super) fn of(core: &str, written: &str) -> Option<Self> {
        let joined = JOINING.find(core).map_or(0, |found| found.end());
        // "是的" is no "的": what joins must leave something.
        let rest = if core.len() > joined { &core[joined..] } else { core };
        let (rest, joined) = match rest.strip_prefix("那么").or_else(|| rest.strip_prefix("那")) {
            // 那种 and 那张 point to something.
            Some(after) if !after.is_empty() && !POINTING.is_match(rest) => (after, joined + 1),
            _ => (rest, joined),
        };
        let pointed = POINTING.find(rest).map_or(0, |found| found.end());
        let points = pointed > 0 && rest.len() > pointed;
        let rest = if points { &rest[pointed..] } else { rest };
        if rest.is_empty() || core.chars().count() > LONGEST {
            return None;
        }
        let asked = has_question_word(rest);
        let matter = says_something(&ASPECTS.replace_all(rest, ""));
        let goes_on = written.ends_with(['呢', '的']) || joined > 0 || points;
        let kind = match (matter, asked || !says_something(rest) || ASPECTS.is_match(rest) && !matter) {
            (false, _) => Kind::Ask,
            (true, true) if !is_open(rest, written) => Kind::Both,
            (true, _) if goes_on || rest.chars().count() <= 6 => Kind::Topic,
            (true, _) => return None,
        };
        let core = if kind == Kind::Topic { rest.trim_end_matches(['呢', '的']) } else { rest };
        Some(Self { core: core.to_owned(), kind, goes_on })
    }

    /// What it has.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The same in the words that knowledge bases mostly have for it, where it asks one
    /// side of a matter in others.
    pub(super) fn plainly(&self) -> Option<Self> {
        let asks = (self.kind == Kind::Ask).then_some(&self.core)?;
        let (_, plain) = PLAINLY.iter().find(|(asked, _)| asked.is_match(asks))?;
        (plain != asks).then(|| Self { core: (*plain).to_owned(), ..self.clone() })
    }

    /// Its words.
    pub(super) fn core(&self) -> &str {
        &self.core
    }

    /// The questions that it may mean after one with this core, the likelier
    /// first; at most two.
    pub(super) fn completed(&self, analyzer: &Analyzer, before: &str) -> Vec<String> {
        let matter = matter(analyzer, before);
        let mut questions = match self.kind {
            Kind::Ask => vec![format!("{matter}{}", self.core)],
            Kind::Both => {
                let exchanged = exchanged(analyzer, &matter, &self.core);
                vec![exchanged.map_or_else(|| format!("{matter}{}", self.core), |_| self.core.clone())]
            }
            Kind::Topic => match exchanged(analyzer, before, &self.core) {
                Some(question) => vec![question],
                // A bare word is a matter of its own.
                None if before.contains(&self.core) || !self.goes_on => Vec::new(),
                None => vec![format!("{}{before}", self.core), format!("{matter}{}", self.core)],
            },
        };
        questions.retain(|question| *question != self.core && question != before);
        questions
    }

    /// A question with what the fragment names in the place of its own.
    pub(super) fn exchanged(&self, analyzer: &Analyzer, before: &str) -> Option<String> {
        exchanged(analyzer, before, &self.core)
    }

    /// Whether a message lacks what it is about, so that its own reading is a
    /// guess.
    pub(super) fn is_lacking(&self, analyzer: &Analyzer, before: &str) -> bool {
        match self.kind {
            Kind::Ask => true,
            Kind::Topic => self.exchanged(analyzer, before).is_some(),
            Kind::Both => false,
        }
    }

    /// Whether an entry speaks of what the fragment is about: its own words
    /// stand there, and an answer to what it asks may. Where a word was `exchanged`
    /// for one of the question, those on its side of the contrast do as well:
    /// 借记卡 for 储蓄卡.
    pub(super) fn is_spoken_of(
        &self,
        analyzer: &Analyzer,
        texts: &[&str],
        answer: &str,
        exchanged: bool,
    ) -> bool {
        let written: Vec<String> = texts.iter().chain(&[answer]).map(|text| analyzer.written(text)).collect();
        let lexicon = analyzer.lexicon();
        let stands = |word: &str| {
            let (group, side) = (lexicon.group(word), alike(word));
            let any = |text: &String| {
                text.contains(word)
                    || group.iter().any(|other| text.contains(other))
                    || exchanged && side.iter().any(|other| text.contains(other))
            };
            written.iter().any(any)
        };
        let tokens = analyzer.segment(&self.core);
        let content = tokens.iter().filter(|token| !token.stop && says_something(&token.text));
        let own = |text: &str| says_something(&ASPECTS.replace_all(text, ""));
        let named = content.filter(|token| own(&token.text)).all(|token| stands(&token.text));
        let sides = SIDES.iter().filter(|(asked, _)| asked.is_match(&self.core));
        named && sides.into_iter().all(|(_, told)| told.is_match(answer))
    }
}

/// Whether a fragment with a matter asks only by its particle: 换货呢.
fn is_open(rest: &str, written: &str) -> bool {
    let without = rest.trim_end_matches('呢');
    written.ends_with('呢') && !has_question_word(without)
}

/// Words of a question that only ask.
const ASKING: [&str; 46] = [
    "怎么",
    "怎样",
    "如何",
    "怎么样",
    "怎么办",
    "什么",
    "什么样",
    "多少",
    "多久",
    "多少钱",
    "几",
    "几点",
    "几天",
    "哪里",
    "哪儿",
    "哪",
    "哪些",
    "哪个",
    "哪天",
    "在哪",
    "谁",
    "为什么",
    "为何",
    "吗",
    "呢",
    "能",
    "可以",
    "会",
    "要",
    "想",
    "是",
    "有",
    "能不能",
    "可不可以",
    "是不是",
    "有没有",
    "是什么",
    "什么时候",
    "需要",
    "应该",
    "不能",
    "多长时间",
    "多长",
    "怎么回事",
    "咋",
    "啥",
];

/// Of what a question asks: its words but for those that ask.
pub(super) fn matter(analyzer: &Analyzer, core: &str) -> String {
    let asks = |text: &str| ASKING.contains(&text);
    let tokens = analyzer.segment(core);
    let kept = tokens.iter().filter(|token| !asks(&token.text) && (!token.stop || token.text == "我"));
    let matter: String = kept.map(|token| token.text.as_str()).collect();
    if matter.is_empty() { core.to_owned() } else { matter }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Lexicon;

    fn kind(text: &str) -> Option<Kind> {
        let analyzer = Analyzer::new(Lexicon::shipped());
        Fragment::of(&analyzer.normalize(text).core, &analyzer.written(text)).map(|fragment| fragment.kind())
    }

    #[test]
    fn what_a_fragment_has() {
        for text in [
            "那要多久呢",
            "要多久",
            "怎么操作",
            "要钱吗",
            "在哪里办",
            "为什么",
            "需要什么材料",
            "那怎么办理",
            "这个要多久",
            "手机上能办吗",
            "要本人去吗",
            "几天能到账",
        ] {
            assert_eq!(kind(text), Some(Kind::Ask), "{text}");
        }
        for text in ["换货呢", "那信用卡的呢", "那周末呢", "如果丢了呢", "电子的呢", "信用卡"]
        {
            assert_eq!(kind(text), Some(Kind::Topic), "{text}");
        }
        for text in ["那运费谁出", "运费谁出呢", "发票怎么开", "好的那运费谁出", "退款退到哪里"]
        {
            assert_eq!(kind(text), Some(Kind::Both), "{text}");
        }
        for text in ["我昨天买的衣服尺码不合适想换一件大一点的可以吗", "我的快递一直没有更新物流信息"]
        {
            assert_eq!(kind(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_missing_comes_from_the_question_before() {
        let analyzer = Analyzer::new(Lexicon::shipped());
        for (before, text, questions) in [
            ("怎么申请七天无理由退货", "那要多久呢", vec!["申请七天无理由退货要多久"]),
            ("怎么申请七天无理由退货", "换货呢", vec!["怎么申请七天无理由换货"]),
            ("借记卡丢了怎么挂失", "那信用卡的呢", vec!["信用卡丢了怎么挂失"]),
            ("网点几点上班", "那周末呢", vec!["周末网点几点上班", "网点上班周末"]),
        ] {
            let fragment = Fragment::of(&analyzer.normalize(text).core, &analyzer.written(text)).unwrap();
            assert_eq!(fragment.completed(&analyzer, before), questions, "{text}");
        }
    }

    #[test]
    fn one_side_of_a_matter_is_asked_in_many_words() {
        let analyzer = Analyzer::new(Lexicon::shipped());
        let plainly = |text: &str| {
            let fragment = Fragment::of(&analyzer.normalize(text).core, &analyzer.written(text))?;
            fragment.plainly().map(|plain| plain.core)
        };
        for (text, plain) in [
            ("要钱吗", "收费吗"),
            ("那要花钱吗", "收费吗"),
            ("这个需要钱么", "收费吗"),
            ("贵不贵", "多少钱"),
            ("那要多长时间", "要多久"),
            ("要带什么", "需要什么材料"),
        ] {
            assert_eq!(plainly(text).as_deref(), Some(plain), "{text}");
        }
        for text in ["收费吗", "要多久", "钱退到哪里", "换货要钱吗", "在哪里办"] {
            assert_eq!(plainly(text), None, "{text}");
        }
    }

    #[test]
    fn an_entry_speaks_of_what_is_asked() {
        let analyzer = Analyzer::new(Lexicon::shipped());
        let fragment =
            |text: &str| Fragment::of(&analyzer.normalize(text).core, &analyzer.written(text)).unwrap();
        let answer = "退款原路退回，支付宝1到3个工作日，信用卡3到7个工作日。";
        let spoken = |text: &str| fragment(text).is_spoken_of(&analyzer, &["退款多久到账"], answer, false);
        assert!(spoken("那要多久呢"));
        assert!(spoken("那信用卡的呢"));
        assert!(!spoken("那花呗的呢"), "nobody speaks of it");
        assert!(!spoken("要钱吗"));
    }
}

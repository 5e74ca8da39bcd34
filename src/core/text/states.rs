//! Which state of things does a text suppose, and which way is it to go?
//!
//! "还没发货能取消吗" and "发货了能取消吗" share all their words but for the small ones
//! around the event, and "怎么取消亲情号" has nothing but its verb that "怎么办亲情号"
//! lacks. Both are read here by the pattern, not by the word: an event of
//! [`AWAITED`] or [`MISHAPS`] with what says whether it has happened, a term of
//! [`TERMS`] that runs or is over, and an
//! action that undoes ([`UNDOING`]) where the action is what is asked for.

use std::sync::LazyLock;

use regex::Regex;

/// Events that are waited for. Whether such a one is yet to come is told only
/// where a text says so: "多久到账" and "还没到账" are one matter.
const AWAITED: [&str; 34] = [
    "发货", "发出", "寄出", "出库", "付款", "支付", "付钱", "到账", "到货", "签收", "收货", "拆封", "开封",
    "拆开", "激活", "下单", "审核", "出票", "取票", "入住", "起飞", "登机", "发车", "取号", "就诊", "安装",
    "绑定", "实名", "注册", "还清", "结清", "满月", "成年", "毕业",
];

/// Events that nobody wants. A text that has one without a word about it
/// supposes that it has happened.
const MISHAPS: [&str; 16] = [
    "逾期", "过期", "到期", "清零", "欠费", "停机", "限速", "冻结", "超时", "破损", "损坏", "丢失", "失效",
    "断网", "扣费", "受潮",
];

/// Terms with a beginning and an end: what holds in such a one does not hold after it.
const TERMS: &str = "(?:犹豫|等待|保修|质保|维保|三包|试用|冷静|免息|宽限|有效|保质|合约|合同|观察|退货|退换货?|换货|保障|保险|缴费|还款|优惠|活动|会员|体验|锁定|封闭|免租|募集|公示|报名|申请)期";

/// An event that is yet to come, or has been spared.
const NOT: &str = "(?:还没有|没有|没|未|不)(?:被|能|有)?";

/// Actions that take back what another one has made.
const UNDOING: &str = "关闭|关掉|关了|关|停用|停掉|停了|取消|解除|解绑|注销|销户|销号|销|退订|撤销|撤回|卸载|删除|\
    删掉|删|移除|退出|退掉|退|拆|不用|不想|不要|不让|不需要|别";

/// What makes an action the one that is asked for.
const ASKING: &str = "怎么|如何|怎样|怎么样|我想|我要|想要|能不能|可不可以|可以|能|帮我|给我|在哪|哪里";

#[expect(clippy::expect_used, reason = "a pattern of our own")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of our own")
}

/// "已经发货", "发货了", "发货后": group 1 is the event. "发货了吗" asks and supposes nothing.
static HAPPENED: LazyLock<Regex> = LazyLock::new(|| {
    let events = AWAITED.join("|");
    pattern(&format!(
        "(?:已经?|刚刚?)(?:被|给)?({events})|({events})(?:成功|完|好)*(?:了(?:$|[^吗没么嘛])|之?后|以后|过)"
    ))
});

/// "还没发货", "发货前".
static AHEAD: LazyLock<Regex> = LazyLock::new(|| {
    let events = AWAITED.join("|");
    pattern(&format!("{NOT}({events})|({events})(?:之?前|以前)"))
});

/// "犹豫期过了", "过了犹豫期", "超过保修期", "保修期外"; group 1 or 2 is the term. "过了吗" asks.
static OVER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        "(?:^|[^没未不有])(?:超?过|超出|出)了?({TERMS})|({TERMS})限?(?:已经?|都|刚刚?|早就?|要是)*(?:(?:过|过完|过去|结束|满)了(?:$|[^吗没么嘛])|已经?(?:过|结束|满)(?:$|[^了吗没么嘛])|一过|之?后|以后|之?外|以外)"
    ))
});

/// "犹豫期内", "没过犹豫期", "保修期还没到".
static WITHIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        "(?:还没有?|没有?|未|尚未|不)(?:超?过|超出|出)了?({TERMS})|({TERMS})限?(?:之?内|以内|期?间|里|中|(?:都|还|尚)?(?:没有?|未)(?:过|满|结束|到))"
    ))
});

/// "打疫苗前"; group 1 is what it is before, by its last two characters.
static BEFORE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\p{Han}{2})(?:之|以)?前"));

/// "打疫苗后", "打完疫苗".
static AFTER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\p{Han}{2})(?:之|以)?后|完了?(\p{Han}{2})"));

/// "科目二", "阶段三", "方案一": group 1 is what is numbered, group 2 the number, group 3 what
/// stands behind it.
static NUMBERED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(科目?|\p{Han}{2})([一二三四五六七八九十])(.?)"));

/// Behind a number these make an amount, a date or a word of it, which others read.
const COUNTED: &str = "一二三四五六七八九十百千万亿两半点个天次年月日号元块角分钱张件位人台部套岁周度楼层站路期批名级斤克吨米里家间双条杯瓶盒包箱种类项份只支本遍顿口下起直样般定些共切致时再律旦齐道遇同小几";

/// Any mishap, with what denies it as group 1.
static MISHAP: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!("({NOT})?({})(?:之?前|以前)?", MISHAPS.join("|"))));

/// An action that undoes, where it is what is asked for: "怎么取消亲情号", "副卡怎么注销",
/// "取消国际漫游". In "订单取消后多久退款" it is a circumstance.
static ASKED_TO_UNDO: LazyLock<Regex> = LazyLock::new(|| {
    const STRONG: &str = "关闭|关掉|停用|取消|解除|解绑|注销|销户|退订|撤销|撤回|卸载|删除|删掉|移除";
    pattern(&format!("(?:(?:{ASKING})(?:把.{{1,8}})?(?:申请)?(?:{STRONG})|^(?:{STRONG}))(?:$|[^了后的过])"))
});

/// Anything that undoes, however said.
static UNDOES: LazyLock<Regex> = LazyLock::new(|| pattern(UNDOING));

/// What brings back what has been undone, where it is what is asked for.
static ASKED_TO_RESTORE: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!("(?:{ASKING})(?:把.{{1,8}})?(?:恢复|反悔|救回)|^(?:恢复|反悔|救回)")));

/// Anything that brings back.
static RESTORES: LazyLock<Regex> = LazyLock::new(|| pattern("恢复|反悔|找回|撤回|重新|重置|复机|开机|解|救"));

/// What a text supposes of events: `true` where one has happened.
fn suppositions(core: &str) -> Vec<(&str, bool)> {
    let mut found: Vec<(&str, bool)> = Vec::new();
    let ahead: Vec<(usize, &str)> = AHEAD.captures_iter(core).filter_map(|c| event(&c)).collect();
    let happened = HAPPENED.captures_iter(core).filter_map(|c| event(&c));
    // "还没发货了" is not "发货了".
    found.extend(happened.filter(|it| !ahead.contains(it)).map(|(_, event)| (event, true)));
    found.extend(ahead.iter().map(|&(_, event)| (event, false)));
    found
}

fn event<'a>(captures: &regex::Captures<'a>) -> Option<(usize, &'a str)> {
    captures.get(1).or_else(|| captures.get(2)).map(|found| (found.start(), found.as_str()))
}

/// What a text speaks of the time before or after, `true` where it is after.
fn turns(core: &str) -> Vec<(&str, bool)> {
    let found = |pattern: &'static Regex, after: bool| {
        pattern.captures_iter(core).filter_map(|c| event(&c)).map(move |(_, event)| (event, after))
    };
    found(&BEFORE, false).chain(found(&AFTER, true)).collect()
}

/// Which members of series a text names: 科目二 and 科二 are one.
fn members(core: &str) -> Vec<(&str, &str)> {
    let named = NUMBERED.captures_iter(core).filter_map(|c| {
        let (series, number, behind) = (c.get(1)?.as_str(), c.get(2)?.as_str(), c.get(3)?.as_str());
        let series = if series.starts_with('科') || series.ends_with('科') { "科" } else { series };
        let is_date = matches!(series, "星期" | "礼拜") || series.ends_with(['周', '第', '月', '初', '十']);
        (!is_date && !behind.chars().any(|c| COUNTED.contains(c))).then_some((series, number))
    });
    named.collect()
}

/// Whether a question names one member of a series and the phrasings another one, never this.
fn other_member<'a>(question: &str, phrasings: impl Iterator<Item = &'a str> + Clone) -> bool {
    members(question).iter().any(|&(series, number)| {
        let known = || phrasings.clone().flat_map(members).filter(|(of, _)| *of == series);
        known().next().is_some() && known().all(|(_, other)| other != number)
    })
}

/// Terms that a text speaks of, `true` where they are over.
fn terms(core: &str) -> Vec<(&str, bool)> {
    let found = |pattern: &'static Regex, over: bool| {
        pattern.captures_iter(core).filter_map(|c| event(&c)).map(move |(_, term)| (term, over))
    };
    let within: Vec<(&str, bool)> = found(&WITHIN, false).collect();
    // "没过犹豫期" has "过犹豫期" in it.
    let over = found(&OVER, true).filter(|(term, _)| !within.contains(&(*term, false)));
    over.chain(within.iter().copied()).collect()
}

/// Mishaps that a text has, `true` where it does not deny them.
fn mishaps(core: &str) -> Vec<(&str, bool)> {
    let found = MISHAP.captures_iter(core).filter(|c| !c[0].ends_with('前'));
    found.filter_map(|c| c.get(2).map(|event| (event.as_str(), c.get(1).is_none()))).collect()
}

/// Whether a question supposes another state than the phrasings of an entry
/// do, or asks to undo what they ask to do, or the other way round. Texts are given by their cores.
pub(super) fn apart<'a>(question: &str, phrasings: impl Iterator<Item = &'a str> + Clone) -> bool {
    let opposed = |asked: Vec<(&str, bool)>, read: fn(&str) -> Vec<(&str, bool)>| {
        let known = || phrasings.clone().flat_map(read);
        asked.iter().any(|&(event, happened)| {
            known().any(|it| it == (event, !happened)) && known().all(|it| it != (event, happened))
        })
    };
    opposed(suppositions(question), suppositions)
        || opposed(mishaps(question), mishaps)
        || opposed(terms(question), terms)
        || opposed(turns(question), turns)
        || other_member(question, phrasings.clone())
        || ASKED_TO_UNDO.is_match(question) && phrasings.clone().all(|phrasing| !UNDOES.is_match(phrasing))
        || ASKED_TO_RESTORE.is_match(question)
            && phrasings.clone().all(|phrasing| !RESTORES.is_match(phrasing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(question: &str, phrasings: &[&str]) -> bool {
        apart(question, phrasings.iter().copied())
    }

    #[test]
    fn before_and_after_an_event() {
        for question in ["发货了能取消吗", "已经发货了能取消吗", "发货后能取消吗", "已发货怎么取消"]
        {
            assert!(differ(question, &["怎么取消订单", "还没发货能取消吗"]), "{question}");
        }
        for question in ["没发货能取消吗", "发货前能取消吗", "未发货的订单怎么取消"] {
            assert!(!differ(question, &["怎么取消订单", "还没发货能取消吗"]), "{question}");
            assert!(differ(question, &["发货后怎么取消"]), "{question}");
        }
        assert!(!differ("怎么还没发货", &["多久发货"]), "one matter");
        assert!(!differ("发货了吗", &["怎么还没发货"]), "a question supposes nothing");
        assert!(!differ("退款没到账", &["退款多久到账"]));
        assert!(!differ("付款了还没发货", &["怎么还没发货"]), "another event");
    }

    #[test]
    fn members_of_a_series() {
        for question in ["科目二多少分及格", "科二多少分过", "科目三没过怎么补考"] {
            assert!(differ(question, &["科目一多少分及格", "科目一没过怎么补考"]), "{question}");
            assert!(!differ(question, &["科目二和科目三怎么约"]), "{question}");
            assert!(!differ(question, &["多少分及格"]), "nobody speaks of it: {question}");
        }
        assert!(differ("方案二多少钱", &["方案一多少钱"]));
        for question in ["退款三天没到账", "我想问下星期二上班吗", "退款一般多久", "还款一次可以吗"]
        {
            let known = ["退款五天没到账", "星期一上班吗", "退款二维码", "还款二次"];
            assert!(!differ(question, &known), "{question}");
        }
    }

    #[test]
    fn before_and_after_anything() {
        for question in ["打完疫苗能洗澡吗", "打疫苗后可以洗澡吗", "疫苗打完能洗吗，打了疫苗之后"]
        {
            assert!(differ(question, &["打疫苗前能不能洗澡"]), "{question}");
            assert!(!differ(question, &["打疫苗前能不能洗澡", "接种疫苗后能洗澡吗"]), "{question}");
            assert!(!differ(question, &["疫苗能洗澡吗"]), "nobody speaks of it: {question}");
        }
        assert!(differ("手术前要空腹吗", &["手术后多久能吃饭"]));
        assert!(differ("三天前下的单", &["三天后会到吗"]));
        assert!(!differ("可以提前还款吗", &["提前还款要违约金吗", "还款后多久恢复额度"]));
        assert!(!differ("申请售后多久处理", &["售后怎么申请"]));
    }

    #[test]
    fn mishaps_that_did_not_happen() {
        assert!(differ("信用卡没逾期会上征信吗", &["信用卡逾期有什么后果"]));
        assert!(differ("积分没清零怎么办", &["积分什么时候清零"]));
        assert!(!differ("合约没到期能换套餐吗", &["合约没到期能换吗", "合约到期怎么换"]));
        assert!(!differ("优惠券没过期为什么用不了", &["优惠券为什么用不了"]));
        assert!(!differ("券过期了怎么办", &["优惠券过期能补吗"]));
        assert!(!differ("过期前怎么提醒", &["什么时候过期"]), "no denial");
    }

    #[test]
    fn terms_that_run_and_terms_that_are_over() {
        let within = ["犹豫期内退保怎么退", "犹豫期退保"];
        for question in [
            "犹豫期过了怎么退保",
            "过了犹豫期还能退保吗",
            "已过犹豫期怎么退",
            "超过犹豫期能全额退吗",
            "犹豫期已经过了还能退吗",
            "犹豫期后退保",
            "犹豫期已过怎么退",
            "犹豫期外退保",
        ] {
            assert!(differ(question, &within), "{question}");
            assert!(!differ(question, &["犹豫期过了退保扣多少"]), "{question}");
            assert!(!differ(question, &["怎么退保"]), "nobody speaks of it: {question}");
        }
        for question in ["犹豫期内能退吗", "没过犹豫期能退保吗", "犹豫期还没过能退吗", "未过犹豫期怎么退"]
        {
            assert!(!differ(question, &within), "{question}");
            assert!(differ(question, &["犹豫期过了退保扣多少"]), "{question}");
        }
        assert!(!differ("保修期过了能修吗", &within), "another term");
        assert!(!differ("犹豫期是多久", &within), "neither");
        assert!(!differ("犹豫期过了吗", &within), "a question supposes nothing");
        assert!(!differ("保修期过了怎么修", &["保修期内免费修吗", "过保修期修要钱吗"]), "both");
    }

    #[test]
    fn what_is_to_be_undone() {
        assert!(differ("怎么取消亲情号", &["怎么办亲情号", "加一个亲情号码"]));
        assert!(differ("副卡怎么注销", &["副卡怎么办", "副卡能办几张"]));
        assert!(differ("怎么关闭骚扰电话拦截", &["怎么屏蔽骚扰电话", "防骚扰怎么开"]));
        assert!(!differ("怎么取消自动续费", &["自动续费怎么关"]), "said in another way");
        assert!(!differ("怎么取消短信提醒", &["不想要余额变动短信了"]));
        assert!(differ("怎么恢复注销的账号", &["怎么注销账号", "怎么注销会员"]));
        assert!(!differ("停机了怎么恢复", &["欠费停机怎么开机"]));
        assert!(!differ("订单取消后多久退款", &["退款多久到账"]), "a circumstance");
        assert!(!differ("取消了的订单在哪看", &["订单在哪看"]));
    }
}

//! Which words are a person's name?
//!
//! Only behind words that announce one. After the strong ones (姓名, 收件人, 我叫)
//! a surname and one or two characters are a name; after 我是 and 本人, which
//! announce many things, only when the sentence ends there.

use std::sync::LazyLock;

use regex::Regex;

use super::digits::pattern;
use super::{Folded, Found, Sort};

/// The surnames of more than nine in ten people.
const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁房滕屈饶解牟艾尤时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝封谈鞠匡萧";

/// Surnames of two characters.
const DOUBLE: [&str; 14] = [
    "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "端木", "夏侯",
    "南宫",
];

/// Words that begin with what else is a surname.
const WORDS: [&str; 138] = [
    "方式", "方便", "方法", "方面", "高级", "高中", "高三", "高二", "高一", "高考", "高端", "高铁", "黄金",
    "黄色", "白金", "白色", "白天", "白羊", "金额", "金卡", "金牌", "金色", "马上", "马来", "任何", "任意",
    "成功", "成年", "成都", "成员", "安全", "安装", "安卓", "安徽", "江苏", "江西", "温州", "温度", "何时",
    "何处", "应该", "应届", "万一", "万达", "常州", "时间", "时候", "尚未", "卫生", "单位", "单号", "单独",
    "单亲", "包裹", "包邮", "包装", "包含", "左右", "石家", "游客", "游戏", "易碎", "明天", "明白", "明显",
    "明年", "项目", "顾客", "毛衣", "路由", "路过", "关于", "关键", "关注", "武汉", "余额", "向你", "向您",
    "华为", "华东", "宁波", "宁夏", "连续", "连接", "师傅", "师范", "农村", "农业", "农民", "党员", "牛奶",
    "商家", "商品", "商城", "商户", "全部", "全新", "全国", "全职", "解决", "边上", "许可", "许多", "严重",
    "严格", "计划", "管理", "司机", "钱包", "季度", "季节", "苏州", "苏宁", "沈阳", "东方", "段时", "谢谢",
    "周一", "周二", "周三", "周四", "周五", "周六", "周日", "周末", "程序", "于是", "文员", "左撇", "应当",
    "关系", "费用", "车主", "房东", "房主", "成人", "单身", "高管",
];

/// Words that follow a name of two characters without a stop between them.
const FOLLOW: [&str; 64] = [
    "电话", "手机", "身份", "地址", "我", "你", "您", "想", "要", "请", "的", "是", "在", "昨", "今", "下单",
    "订", "号", "这", "那", "从", "和", "改", "换", "买", "住", "帮", "能", "可以", "麻烦", "急", "申请",
    "已", "还", "不", "没", "把", "给", "来", "有", "需", "联系", "收", "退", "查", "吗", "吧", "呢", "了",
    "上", "也", "就", "先生", "女士", "小姐", "同学", "老师", "怎", "为", "、", "或", "名字", "姓名", "行吗",
];

/// What no given name begins with.
const NOT_FIRST: &str = "的是我你您吗呢吧了请怎这那";

/// How a person is addressed.
const TITLES: [&str; 6] = ["先生", "女士", "小姐", "太太", "同学", "老师"];

/// What no name ends with, and what often follows 我是.
const NO_END: &str = "人员的吗呢吧户店号师客卡了们部家粉区级款岁元";

pub(super) static STRONG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:姓名|名字|真名|我叫|叫做|我的名字|收件人|收货人|联系人|寄件人|发件人|户主|户名|持卡人|开户人|开户名|机主|乘机人|乘客|旅客|入住人|入住登记人|预订人|预定人|投保人|被保人|受益人|签收人|取件人|购买人|下单人|申请人|订票人|参保人|参赛人|监护人|患者|就诊人|(?:儿子|女儿|孩子|小孩|老公|老婆|爱人|妈|爸|父亲|母亲|朋友|同事)名?叫|联系|抬头|name)(名字|姓名|名称)?(?:是|为|叫|写的是|写成|写的|写|填的是|填成|填|改成|改为|改)?([:： 　,，]*)(?:是|叫)?",
    )
});
pub(super) static WEAK: LazyLock<Regex> =
    LazyLock::new(|| pattern("(?:我是|本人|我姓|这里是|这边是|我这边是)[ :,，]?"));
static CORRECTED: LazyLock<Regex> = LazyLock::new(|| pattern("改成|改为|换成|应该是|不是|而是"));
static LATIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Z][a-z]{1,14}(?: [A-Z][a-z]{1,14}){1,2}"));
/// Names of other peoples: with a point, or of any characters where a colon says that one comes.
static POINTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\p{Han}{2,6}[·•]\p{Han}{2,8}"));
static ANY: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\p{Han}{2,4}(?:$|[\s,，。;；、!！/0-9(（])"));
/// What stands behind a colon and is no name.
static NO_NAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "怎|什么|谁|哪|可以|能|吗|修改|填|写|错|没|不|必须|公司|要求|信息|方式|电话|地址|同上|本人|未知|客服|实名|一致|多少",
    )
});

/// Whether a character is one that no strong word is without.
pub(super) fn is_of_a_strong_word(c: char) -> bool {
    "名叫人主客者联抬mM".contains(c)
}

/// Whether a character is one that no weak word is without.
pub(super) fn is_of_a_weak_word(c: char) -> bool {
    "是本姓".contains(c)
}

/// Finds names.
pub(super) fn names(folded: &Folded, found: &mut Found) {
    // Most texts announce nobody, and a reply waits for this.
    let strong = folded.has(is_of_a_strong_word).then(|| STRONG.captures_iter(&folded.text));
    for cue in strong.into_iter().flatten() {
        let Some(whole) = cue.get(0) else { continue };
        let start = folded.chars_of(whole.range()).end;
        let told = cue.get(2).is_some_and(|stop| stop.as_str().contains([':', '：']));
        let doubtful = whole.as_str().starts_with("联系") && !whole.as_str().starts_with("联系人")
            || whole.as_str().starts_with("抬头");
        let length = if doubtful {
            titled(folded, start).or_else(|| {
                told.then(|| chinese(folded, start)).flatten().filter(|length| ends(folded, start + length))
            })
        } else {
            other(folded, start, told)
                .or_else(|| titled(folded, start))
                .or_else(|| any(folded, start, told))
                // 投保人和被保人 are two people without names.
                .or_else(|| chinese(folded, start).filter(|_| told || folded.chars[start] != '和'))
        };
        if let Some(length) = length {
            found.claim(start..start + length, Sort::Name);
        }
    }
    // Where one name was corrected, another one follows.
    let corrected = found.spans.iter().any(|span| span.sort == Sort::Name);
    let weak = folded.has(is_of_a_weak_word).then(|| WEAK.find_iter(&folded.text));
    let correcting = corrected.then(|| CORRECTED.find_iter(&folded.text));
    for cue in weak.into_iter().chain(correcting).flatten() {
        let start = folded.chars_of(cue.range()).end;
        let length = titled(folded, start).or_else(|| {
            chinese(folded, start).filter(|length| {
                let last = folded.chars[start + length - 1];
                ends(folded, start + length) && !NO_END.contains(last)
            })
        });
        if let Some(length) = length {
            found.claim(start..start + length, Sort::Name);
        }
    }
}

/// Whether a sentence, or what may be a name, ends at a place.
fn ends(folded: &Folded, at: usize) -> bool {
    let after = folded.after(at, 2);
    after.chars().next().is_none_or(|c| !c.is_alphabetic() || c.is_ascii_digit())
        || ["电话", "手机", "身份", "我的", "我想", "我要", "昨天", "今天"].contains(&after)
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '𠀀'..='𪛟')
}

/// Characters of the surname that stands at a place.
fn surname(folded: &Folded, at: usize) -> Option<usize> {
    if DOUBLE.contains(&folded.after(at, 2)) {
        return Some(2);
    }
    let is_word = WORDS.contains(&folded.after(at, 2));
    folded.chars.get(at).filter(|c| SURNAMES.contains(**c) && !is_word).map(|_| 1)
}

/// Length of a surname with a title: 王先生.
fn titled(folded: &Folded, at: usize) -> Option<usize> {
    let surname = surname(folded, at)?;
    let follows = |given: usize| TITLES.iter().any(|title| folded.after(at + surname + given, 2) == *title);
    let given = (0..=2).find(|given| follows(*given))?;
    let all_han = folded.chars[at..at + surname + given].iter().all(|c| is_han(*c));
    all_han.then_some(surname + given)
}

/// Length of a Chinese name: a surname and one or two characters.
fn chinese(folded: &Folded, at: usize) -> Option<usize> {
    let surname = surname(folded, at)?;
    let given = |nth: usize| folded.chars.get(at + surname + nth).copied().filter(|c| is_han(*c));
    let follows = |place: usize| {
        let (one, two) = (folded.after(place, 1), folded.after(place, 2));
        FOLLOW.contains(&one) || FOLLOW.contains(&two)
    };
    let first = given(0)?;
    if NOT_FIRST.contains(first) || FOLLOW.contains(&folded.after(at + surname, 2)) {
        return None;
    }
    let second = given(1).is_some() && !follows(at + surname + 1);
    Some(surname + 1 + usize::from(second))
}

/// Length of a name in Latin letters or with a point.
fn other(folded: &Folded, at: usize, told: bool) -> Option<usize> {
    let rest = folded.after(at, 40);
    let latin = LATIN.find(rest).filter(|_| told || at > 0);
    let name = POINTED.find(rest).or(latin)?;
    Some(name.as_str().chars().count())
}

/// Length of anything that is as long as a name, where a colon announces one.
fn any(folded: &Folded, at: usize, told: bool) -> Option<usize> {
    let rest = folded.after(at, 5);
    let name = ANY.find(rest).filter(|_| told)?;
    let length = name.as_str().chars().take_while(|c| is_han(*c)).count();
    (!NO_NAME.is_match(rest)).then_some(length)
}

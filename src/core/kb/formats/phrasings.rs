//! Which questions does an author write into one cell?
//!
//! Numbers, bullets and signs between questions are taken for what they are
//! when that is safe: when every piece could be asked by itself. “支持微信/支付宝
//! 支付吗” is one question. What only looks like a list is kept as it is, and
//! the author is told.

use std::sync::LazyLock;

use regex::Regex;

use super::cells::{json_list, lines_of};

/// What a cell with questions says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Phrasings {
    pub texts: Vec<String>,
    /// A piece that looks like several questions and was left as it is.
    pub doubtful: Option<String>,
}

/// The questions of a cell; a JSON list says exactly what it says.
pub(super) fn phrasings(cell: &str) -> Phrasings {
    if let Some(texts) = json_list(cell) {
        return Phrasings { texts, doubtful: None };
    }
    let (mut texts, mut doubtful) = (Vec::new(), None);
    for line in lines_of(cell) {
        match apart(line) {
            Apart::Pieces(pieces) => texts.extend(pieces),
            Apart::One => texts.push(line.to_owned()),
            Apart::Doubtful => {
                doubtful.get_or_insert_with(|| line.to_owned());
                texts.push(line.to_owned());
            }
        }
    }
    let texts = texts.iter().map(|text| tidied(text)).filter(|text| !text.is_empty()).collect();
    Phrasings { texts, doubtful }
}

/// The questions in the cell of a standard question: several only when each
/// of them asks something.
pub(super) fn questions(cell: &str) -> Phrasings {
    let whole = tidied(cell);
    let lines = lines_of(&whole);
    let asks = |texts: &[String]| texts.iter().all(|text| asks(text));
    let texts: Vec<String> = if lines.len() > 1 && !whole.contains(['|', '｜']) {
        lines.iter().map(|line| tidied(line)).collect()
    } else {
        match apart(&whole) {
            Apart::Pieces(pieces) => pieces.iter().map(|piece| tidied(piece)).collect(),
            Apart::One => return Phrasings { texts: vec![whole], doubtful: None },
            Apart::Doubtful => return Phrasings { texts: vec![whole.clone()], doubtful: Some(whole) },
        }
    };
    if texts.len() > 1 && asks(&texts) {
        return Phrasings { texts, doubtful: None };
    }
    Phrasings { texts: vec![whole.clone()], doubtful: Some(whole) }
}

/// The words of a cell: keywords and labels hold none of the signs between them.
pub(super) fn words(cell: &str) -> Phrasings {
    if let Some(texts) = json_list(cell) {
        return Phrasings { texts, doubtful: None };
    }
    let (mut texts, mut doubtful) = (Vec::new(), None);
    for line in lines_of(cell) {
        if let Some(pieces) = enumerated(line) {
            texts.extend(pieces.into_iter().map(str::to_owned));
            continue;
        }
        for piece in line.split(['；', ';', '、', '，', ',']).flat_map(|piece| piece.split("##")) {
            let piece = piece.trim_matches(|c: char| c.is_whitespace() || matches!(c, '#' | '·' | '•'));
            let parts: Vec<&str> = piece.split('/').map(str::trim).collect();
            // “Wi-Fi/无线” are two words, “TCP/IP” is one.
            if parts.len() > 1 && parts.iter().all(|part| part.chars().filter(|&c| is_han(c)).count() > 1) {
                texts.extend(parts.into_iter().map(str::to_owned));
            } else if !piece.is_empty() {
                if parts.len() > 2 {
                    doubtful.get_or_insert_with(|| piece.to_owned());
                }
                texts.push(piece.to_owned());
            }
        }
    }
    Phrasings { texts, doubtful }
}

/// Whether and how a line is several questions.
enum Apart {
    One,
    Pieces(Vec<String>),
    /// It looks so, and may be one.
    Doubtful,
}

fn apart(line: &str) -> Apart {
    let owned = |pieces: Vec<&str>| Apart::Pieces(pieces.into_iter().map(str::to_owned).collect());
    if let Some(pieces) = enumerated(line) {
        return owned(pieces);
    }
    // Signs that stand in no question.
    for mark in ["###", "##", "&&", "||", "；", ";", "\t"] {
        // `&nbsp;` ends with one of them.
        if !line.contains(mark) || mark == ";" && ENTITY.is_match(line) {
            continue;
        }
        let pieces = pieces(line, mark);
        if pieces.len() > 1 {
            let speak = pieces.iter().all(|piece| (2..=60).contains(&piece.chars().count()));
            return if speak { owned(pieces) } else { Apart::Doubtful };
        }
    }
    // Signs that stand in questions too.
    for mark in ["/", "、", "·"] {
        let pieces = if line.contains(mark) { pieces(line, mark) } else { Vec::new() };
        if pieces.len() < 2 {
            continue;
        }
        let asking = pieces.iter().filter(|piece| asks(piece)).count();
        let wish = pieces.iter().all(|piece| asks(piece) || wishes(piece));
        // The last of “苹果、华为手机能用吗” asks for all of them.
        let safe = asking == pieces.len() || pieces.len() > 2 && wish && 2 * asking >= pieces.len();
        if safe && pieces.iter().all(|piece| piece.chars().count() >= 4) {
            return owned(pieces);
        }
        if pieces.len() > 2 && is_enumeration(&pieces) {
            return owned(pieces);
        }
        let long = pieces.iter().filter(|piece| piece.chars().count() >= 4).count();
        return if long > 1 || is_enumeration(&pieces) && asking == 0 { Apart::Doubtful } else { Apart::One };
    }
    if !line.contains(['，', ',']) {
        return Apart::One;
    }
    let pieces: Vec<&str> = line.split(['，', ',']).map(str::trim).collect();
    if pieces.len() > 2 && is_enumeration(&pieces) { Apart::Doubtful } else { Apart::One }
}

/// The pieces between signs, without blanks.
fn pieces<'a>(line: &'a str, mark: &str) -> Vec<&'a str> {
    line.split(mark).map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

/// Whether all pieces are short names of things to do, and none of them asks.
fn is_enumeration(pieces: &[&str]) -> bool {
    pieces.iter().all(|piece| {
        (2..=6).contains(&piece.chars().count())
            && piece.chars().all(is_han)
            && !ASKS.is_match(piece)
            && !piece.contains(['和', '或', '的', '是', '我', '了'])
    }) || pieces.len() > 2
        && pieces.iter().all(|piece| {
            (2..=6).contains(&piece.chars().count()) && piece.chars().all(is_han) && !ASKS.is_match(piece)
        })
        && pieces.iter().filter(|piece| piece.ends_with('了')).count() == 1
}

fn is_han(c: char) -> bool {
    ('\u{3400}'..='\u{9fff}').contains(&c)
}

/// What asks.
static ASKS: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        "怎么|怎样|咋|如何|什么|啥|多少|多久|多长|多大|哪|几[个天点号种次时]|为何|为什么|是否|有没有|能不能|可不可以|是不是|要不要|会不会|吗|呢|么$|[?？]\
         |(?:流程|方法|步骤|条件|规则|入口|时间|地址|费用|价格|电话|政策|标准|方式|教程|手续)$",
    )
});

/// What a customer says who wants something.
static WISHES: LazyLock<Regex> = LazyLock::new(|| compiled("^(?:我|想|要|请|帮|能|可以|不|没|忘|无法)"));

/// An entity of HTML.
static ENTITY: LazyLock<Regex> = LazyLock::new(|| compiled("&(?:[a-z]{2,6}|#[0-9]+);"));

/// A number before an item, in its kinds: the number stands in a group.
static NUMBERS: LazyLock<[Regex; 7]> = LazyLock::new(|| {
    [
        // A full stop is no decimal point.
        compiled(r"(?:^|[\s；;，,。？?！!])\s*(\d{1,2})\s*(?:[、．)）]|\.(?:[^\d]))"),
        compiled(r"[(（](\d{1,2})[)）]"),
        compiled(r"[【\[](\d{1,2})[】\]]"),
        compiled(r"([①-⑳])"),
        compiled(r"(?:^|[\s；;])\s*[QqＱ](\d{1,2})\s*[:：.、]"),
        compiled(r"(?:^|[\s；;])\s*问(?:题)?(\d{1,2})\s*[:：.、]"),
        compiled(r"(?:^|[\s；;])\s*([一二三四五六七八九十])、"),
    ]
});

fn compiled(pattern: &str) -> Regex {
    #[allow(clippy::expect_used, reason = "a constant pattern, compiled by the tests")]
    Regex::new(pattern).expect("a sound pattern")
}

/// The items of a line that counts them: 1、…2、…3、…; at least two, from one on.
fn enumerated(line: &str) -> Option<Vec<&str>> {
    // Most lines count nothing.
    if !line.contains(['2', '②', '二']) {
        return None;
    }
    NUMBERS.iter().find_map(|numbers| {
        let mut expected = 1;
        let mut cuts: Vec<(usize, usize)> = Vec::new();
        let mut from = 0;
        while let Some(found) = numbers.captures_at(line, from) {
            let (whole, number) = (found.get(0)?, found.get(1)?);
            if count(number.as_str()) == Some(expected) {
                // A full stop takes the character behind it along.
                let takes = whole.as_str().rfind(['.', '、', '．', ')', '）', '】', ']', ':', '：']);
                let end = match takes {
                    Some(at) => {
                        let sign = whole.as_str()[at..].chars().next().map_or(1, char::len_utf8);
                        whole.start() + at + sign
                    }
                    None => whole.end(),
                };
                // The sign before a number may belong to the item before it.
                let lead =
                    whole.as_str().chars().next().filter(|c| matches!(c, '？' | '?' | '！' | '!' | '。'));
                cuts.push((whole.start() + lead.map_or(0, char::len_utf8), end));
                expected += 1;
                from = end;
            } else {
                from = whole.end();
            }
        }
        let first = cuts.first()?;
        if cuts.len() < 2 || !line[..first.0].trim().is_empty() {
            return None;
        }
        let ends = cuts.iter().skip(1).map(|cut| cut.0).chain([line.len()]);
        let items: Vec<&str> = cuts
            .iter()
            .zip(ends)
            .map(|((_, start), end)| {
                line[*start..end]
                    .trim_matches(|c: char| c.is_whitespace() || matches!(c, '；' | ';' | '，' | ','))
            })
            .collect();
        items.iter().all(|item| item.chars().count() > 1).then_some(items)
    })
}

/// The number that digits, a circled digit or a Chinese numeral mean.
fn count(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let first = text.chars().next()?;
    if let Some(circled) = u32::from(first).checked_sub(u32::from('①')).filter(|at| *at < 20) {
        return Some(circled + 1);
    }
    let at = "一二三四五六七八九十".chars().position(|c| c == first)?;
    u32::try_from(at + 1).ok()
}

/// Whether a text asks something by itself.
fn asks(text: &str) -> bool {
    text.chars().count() > 2 && ASKS.is_match(text)
}

fn wishes(text: &str) -> bool {
    WISHES.is_match(text)
}

/// A number, a label or a mark before a question.
static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"^(?:\d{1,3}\s*(?:[、．)）]|\.\s|\.(?:[^\d\s])|[:：]\s)|[(（]\d{1,3}[)）]|[【\[]\d{1,3}[】\]]|[①-⑳]|[一二三四五六七八九十]{1,2}、|[QqＱ]\d{0,3}\s*[:：.、]|问(?:题)?\d{0,3}\s*[:：]|[·•●◆■★☆]\s*|[-*–—]\s+|>\s+)",
    )
});

/// Whether a number, a label or a mark may begin with a character: most
/// questions begin with none, and need no search.
fn may_lead(c: char) -> bool {
    c.is_ascii_digit()
        || ('①'..='⑳').contains(&c)
        || "(（【[一二三四五六七八九十QqＱ问·•●◆■★☆-*–—>".contains(c)
}

/// A topic in brackets before a question.
static TOPIC: LazyLock<Regex> = LazyLock::new(|| compiled(r"^【[^【】]{1,8}】\s*"));

/// What an author remarks behind a question.
static REMARK: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\s*[(（【\[](?:重要|非常重要|必看|必读|新|新增|更新|已更新|热门|置顶|常见|常见问题|高频|待确认|待补充|推荐|已确认|重点|注意)[)）】\]]$",
    )
});

/// A tag of HTML.
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"(?i)</?(?:p|br|div|span|b|i|u|strong|em|font|li|ul|ol|h[1-6]|a)(?:\s[^<>]*)?/?>")
});

/// Before an answer: that it is one.
static ANSWER: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*(?:答(?:案|复)?|[AaＡ])\d{0,3}\s*[:：]\s*"));

/// A question without blanks around it and without tags.
fn tidied_ends(text: &str) -> String {
    let text = if text.contains('<') { TAG.replace_all(text, " ").into_owned() } else { text.to_owned() };
    let text = if text.contains('&') { text.replace("&nbsp;", " ").replace("&amp;", "&") } else { text };
    text.trim_matches(is_blank).to_owned()
}

/// A question without what stands around it: its number, what says that it is
/// a question, tags, a topic, remarks.
pub(super) fn tidied(text: &str) -> String {
    let mut text = tidied_ends(text);
    loop {
        let mut rest = &text[..];
        if let Some(lead) = rest.starts_with(may_lead).then(|| LEAD.find(rest)).flatten() {
            // The character behind a full stop belongs to the question.
            let end = lead.as_str();
            let extra = end.chars().last().filter(|c| !c.is_whitespace() && end.contains('.') && *c != '.');
            rest = &rest[lead.end() - extra.map_or(0, char::len_utf8)..];
        } else if let Some(topic) = rest.starts_with('【').then(|| TOPIC.find(rest)).flatten() {
            rest = &rest[topic.end()..];
        } else if let Some(remark) =
            rest.ends_with([')', '）', ']', '】']).then(|| REMARK.find(rest)).flatten()
        {
            rest = &rest[..remark.start()];
        }
        let rest = rest.trim_matches(is_blank);
        // “1、2期” and “一、二线城市” are no numbered items.
        let counts = |c: char| c.is_ascii_digit() || "一二三四五六七八九十".contains(c);
        if rest.starts_with(counts) && text.starts_with(counts) {
            return text;
        }
        // Something to ask must be left.
        if rest.len() == text.len() || rest.chars().filter(|c| c.is_alphanumeric()).count() < 2 {
            return text;
        }
        text = rest.to_owned();
    }
}

/// An answer without what says that it is one.
pub(super) fn tidied_answer(text: &str) -> &str {
    let begins = |c: char| c == '答' || matches!(c, 'A' | 'a' | 'Ａ');
    if !text.trim_start().starts_with(begins) {
        return text;
    }
    match ANSWER.find(text) {
        Some(lead) if lead.end() < text.len() => &text[lead.end()..],
        _ => text,
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{200b}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_in_one_cell_are_taken_apart_where_it_is_safe() {
        for (cell, texts) in [
            ("怎么退|退货流程", vec!["怎么退", "退货流程"]),
            (
                "退货流程是什么；不想要了能退吗；想把东西退掉",
                vec!["退货流程是什么", "不想要了能退吗", "想把东西退掉"],
            ),
            ("续费;续卡;续期怎么办", vec!["续费", "续卡", "续期怎么办"]),
            (
                "退货流程是什么/不想要了能退吗/想把东西退掉",
                vec!["退货流程是什么", "不想要了能退吗", "想把东西退掉"],
            ),
            ("怎么退货/如何退款/退货流程是什么", vec!["怎么退货", "如何退款", "退货流程是什么"]),
            ("怎么退货、如何退款、退货流程是什么", vec!["怎么退货", "如何退款", "退货流程是什么"]),
            ("怎么退货###如何退款", vec!["怎么退货", "如何退款"]),
            ("怎么退货&&如何退款", vec!["怎么退货", "如何退款"]),
            (
                "1、退货流程是什么 2、不想要了能退吗 3、想把东西退掉",
                vec!["退货流程是什么", "不想要了能退吗", "想把东西退掉"],
            ),
            ("1.升级 2.换年卡 3.加钱换卡", vec!["升级", "换年卡", "加钱换卡"]),
            ("1、怎么退货？2、怎么退款？", vec!["怎么退货？", "怎么退款？"]),
            ("①洗澡②淋浴③热水", vec!["洗澡", "淋浴", "热水"]),
            ("【1】充电【2】充电宝", vec!["充电", "充电宝"]),
            ("【1】充电\n【2】充电宝", vec!["充电", "充电宝"]),
            ("（1）充电（2）充电宝", vec!["充电", "充电宝"]),
            ("Q1:停车 Q2:车位", vec!["停车", "车位"]),
            ("- 吃饭\n- 食堂\n· 轻食", vec!["吃饭", "食堂", "轻食"]),
            ("一、签到\n二、打卡\n三、刷脸", vec!["签到", "打卡", "刷脸"]),
            ("1)借伞\n2)雨伞", vec!["借伞", "雨伞"]),
            ("约课、订课、报课", vec!["约课", "订课", "报课"]),
            ("怎么退货·如何退款", vec!["怎么退货", "如何退款"]),
            ("[\"1、甲；乙\"]", vec!["1、甲；乙"]),
        ] {
            assert_eq!(
                phrasings(cell),
                Phrasings { texts: texts.into_iter().map(str::to_owned).collect(), doubtful: None },
                "{cell}"
            );
        }
    }

    #[test]
    fn what_may_be_one_question_stays_one() {
        for cell in [
            "支持微信/支付宝支付吗",
            "苹果、华为手机能用吗",
            "可以退/换货吗",
            "5/8 的券能用吗",
            "尺码 S/M/L 有什么区别",
            "第1、2期怎么还",
            "北京、上海、广州的门店几点关门",
            "1.5 元的券怎么用",
            "-5℃能启动吗",
            "3、4 月的账单在哪看",
            "and/or 怎么写",
            "https://a.cn/b/c 打不开怎么办",
            "我买了鞋，不合适，想退",
            "阿里·巴巴是什么公司",
        ] {
            assert_eq!(phrasings(cell).texts, [cell], "{cell}");
            assert_eq!(questions(cell).texts, [cell], "{cell}");
        }
        for cell in ["支持微信支付/支持支付宝支付", "改密码，换密码，密码忘了", "会员折扣/生日礼物"]
        {
            let read = phrasings(cell);
            assert_eq!(
                (read.texts.as_slice(), read.doubtful.as_deref()),
                (&[cell.to_owned()][..], Some(cell))
            );
        }
    }

    #[test]
    fn questions_without_what_stands_around_them() {
        for (text, bare) in [
            ("1、怎么退货？", "怎么退货？"),
            ("3.运费谁出？", "运费谁出？"),
            ("12. 运费谁出", "运费谁出"),
            ("Q4：多久发货", "多久发货"),
            ("问：怎么开发票", "怎么开发票"),
            ("<p>怎么修改密码</p>", "怎么修改密码"),
            ("【账户】怎么注销账号", "怎么注销账号"),
            ("怎么绑定手机 （重要）", "怎么绑定手机"),
            ("\u{a0}怎么退\u{b}\r\n", "怎么退"),
            ("（3）怎么退", "怎么退"),
            ("· 怎么退", "怎么退"),
            ("1.5 元的券", "1.5 元的券"),
            ("-5℃能启动吗", "-5℃能启动吗"),
            ("5℃能启动吗", "5℃能启动吗"),
            ("1", "1"),
            ("Q", "Q"),
            ("【满减】", "【满减】"),
            ("<18岁能办卡吗", "<18岁能办卡吗"),
            ("2026年活动", "2026年活动"),
            ("问题反馈在哪", "问题反馈在哪"),
            ("一、二线城市包邮吗", "一、二线城市包邮吗"),
            ("1、2期怎么还", "1、2期怎么还"),
        ] {
            assert_eq!(tidied(text), bare, "{text}");
        }
        assert_eq!(tidied_answer("答：七天内可退"), "七天内可退");
        assert_eq!(tidied_answer("答案在订单页"), "答案在订单页");
    }

    #[test]
    fn words_in_one_cell() {
        for (cell, texts) in [
            ("退货、退款；换货", vec!["退货", "退款", "换货"]),
            ("退货,退款，换货", vec!["退货", "退款", "换货"]),
            ("无线/网络", vec!["无线", "网络"]),
            ("TCP/IP", vec!["TCP/IP"]),
            ("①退货②退款", vec!["退货", "退款"]),
            ("#退货#退款", vec!["退货#退款"]),
        ] {
            assert_eq!(words(cell).texts, texts, "{cell}");
        }
    }
}

//! Is the customer angry at the service?
//!
//! A list tells abuse that is aimed at the service and words of feeling from
//! what is asked ("差评怎么删") and from what is said of others ("楼上太吵，气死我了").
//! No list holds all that anger says: what it does not find is weighed by a small
//! linear model over its [`super::characters`].

use std::sync::LazyLock;

use super::characters::{Model, Seen};
use super::claims::Claims;
use crate::text::written;

const LIST: &str = include_str!("data/anger.txt");
const KINDS: [&str; 6] = ["insult", "anger", "asks", "others", "ours", "plain"];

static CLAIMS: LazyLock<Option<Claims>> = LazyLock::new(|| Claims::compile(LIST, &KINDS));

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::read(include_str!("data/anger.tsv")));

/// What a keyword list would hold, as the yardstick of the detector: the words
/// that shop systems suggest for "negative feeling".
pub const KEYWORDS: [&str; 24] = [
    "垃圾", "骗子", "骗人", "投诉", "差评", "气死", "生气", "愤怒", "恶心", "无语", "失望", "坑", "黑心",
    "无耻", "滚", "傻逼", "他妈", "妈的", "废物", "有病", "过分", "离谱", "12315", "曝光",
];

/// What ends a clause, as typed. A blank does not: it also stands inside words.
const SIGNS: [char; 16] =
    ['。', '！', '!', '？', '?', '；', ';', '，', ',', '、', '\n', '…', '~', '～', '：', '—'];

/// Of a shorter message only the list is asked: its characters say too little.
const SHORTEST: usize = 5;

/// Whether a message shows strong negative feeling towards the service.
pub fn is_angry(text: &str) -> bool {
    is_listed(text) || {
        let seen = seen(text);
        !is_short(&seen) && MODEL.says(&seen) && !says(&written(text), "plain")
    }
}

/// Whether a message is too short for the model.
pub fn is_short(seen: &Seen) -> bool {
    seen.length() < SHORTEST
}

/// What the model sees of a message: its characters, whether it asks and of whom it
/// speaks. What the list finds is left out: where it is in sight, the characters
/// would learn nothing.
pub fn seen(text: &str) -> Seen {
    let asks = text.split(SIGNS).map(written).any(|clause| says(&clause, "asks"));
    let whole = written(text);
    let mut signs = Vec::new();
    signs.extend(asks.then_some("#asks"));
    signs.extend(says(&whole, "others").then_some("#others"));
    signs.extend(says(&whole, "ours").then_some("#ours"));
    Seen::of(text, signs)
}

/// Whether the list has a text as this kind.
fn says(text: &str, kind: &str) -> bool {
    CLAIMS.as_ref().is_some_and(|claims| claims.find(text, |other| other == kind).is_some())
}

/// Whether the list alone finds abuse or feeling: clause by clause, for who asks
/// in one clause may be angry in the next one.
pub fn is_listed(text: &str) -> bool {
    let Some(claims) = &*CLAIMS else { return false };
    let whole = written(text);
    // Who is angry at a neighbour is none to be calmed down by us.
    if says(&whole, "others") && !says(&whole, "ours") {
        return false;
    }
    text.split(SIGNS).map(written).filter(|clause| !clause.is_empty()).any(|clause| {
        match claims.find(&clause, |kind| matches!(kind, "insult" | "anger")) {
            Some("insult") => true,
            Some(_) => !says(&clause, "asks"),
            None => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_failed_an_exam_is_not_angry_at_us() {
        for text in ["考了三次都没过", "要是五次都没过呢", "科目二挂了两次还没过怎么办"]
        {
            assert!(!is_angry(text), "{text}");
        }
        assert!(is_angry("打了三次电话都没人理，垃圾公司"));
    }

    #[test]
    fn every_line_of_the_list_and_of_the_model_is_read() {
        assert!(CLAIMS.as_ref().is_some_and(|claims| claims.len() > 20));
        assert_eq!(MODEL.len(), include_str!("data/anger.tsv").lines().count());
        assert!(MODEL.len() > 1_000);
    }

    #[test]
    fn anger_at_the_service_is_heard_and_only_that() {
        for text in [
            "你们这什么垃圾服务，气死我了",
            "退款怎么还不到？骗子公司！",
            "我現在非常生氣",
            "垃 圾 平 台",
            "再不处理我就打12315",
        ] {
            assert!(is_angry(text), "{text}");
        }
        for text in [
            "",
            "差评怎么删",
            "垃圾分类怎么分",
            "这个太好用了我气死同行",
            "投诉电话是多少",
            "骗子太多怎么防范",
            "楼上太吵，气死我了，物业电话多少",
            "烦请帮我查一下物流",
            "我不生气，就是问问",
            "怎么退货",
        ] {
            assert!(!is_angry(text), "{text}");
        }
    }
}

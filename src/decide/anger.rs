//! Is the customer angry at the service?
//!
//! A list tells abuse that is aimed at the service from words of feeling, and
//! both from what is named in a question ("差评怎么删") or said of somebody else
//! ("楼上太吵，气死我了"). It is read clause by clause: who asks in one clause may
//! be angry in the next one.

use std::sync::LazyLock;

use super::claims::Claims;
use crate::text::written;

const LIST: &str = include_str!("data/anger.txt");
const KINDS: [&str; 5] = ["asks", "others", "ours", "insult", "anger"];

static CLAIMS: LazyLock<Option<Claims>> = LazyLock::new(|| Claims::compile(LIST, &KINDS));

/// What a keyword list would hold, as the yardstick of the detector: the words
/// that shop systems suggest for "negative feeling".
pub const KEYWORDS: [&str; 24] = [
    "垃圾", "骗子", "骗人", "投诉", "差评", "气死", "生气", "愤怒", "恶心", "无语", "失望", "坑", "黑心",
    "无耻", "滚", "傻逼", "他妈", "妈的", "废物", "有病", "过分", "离谱", "12315", "曝光",
];

/// What ends a clause, as typed. A blank does not: it also stands inside words.
const SIGNS: [char; 16] =
    ['。', '！', '!', '？', '?', '；', ';', '，', ',', '、', '\n', '…', '~', '～', '：', '—'];

/// Whether a message shows strong negative feeling towards the service.
pub fn is_angry(text: &str) -> bool {
    let Some(claims) = &*CLAIMS else { return false };
    let whole = written(text);
    let says = |text: &str, kind: &str| claims.find(text, |other| other == kind).is_some();
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
    fn every_line_compiles() {
        assert!(CLAIMS.as_ref().is_some_and(|claims| claims.len() > 20));
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
        ] {
            assert!(!is_angry(text), "{text}");
        }
    }
}

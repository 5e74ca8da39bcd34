//! Is the customer angry at the service?
//!
//! A list tells abuse that is aimed at the service and words of feeling from
//! what is asked ("差评怎么删") and from what is said of others ("楼上太吵，气死我了").
//! No list holds all that anger says: what it does not find is weighed by a small
//! linear model over the characters of the message, which is trained on
//! `corpora/anger.jsonl` by `zhida eval detectors --train`.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use super::claims::Claims;
use crate::text::written;

const LIST: &str = include_str!("data/anger.txt");
const KINDS: [&str; 5] = ["insult", "anger", "asks", "others", "ours"];

static CLAIMS: LazyLock<Option<Claims>> = LazyLock::new(|| Claims::compile(LIST, &KINDS));

/// A feature a line, then a tab and its weight; the empty feature is the bias.
const WEIGHTS: &str = include_str!("data/anger.tsv");

static MODEL: LazyLock<HashMap<&'static str, f64>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let (feature, weight) = line.rsplit_once('\t')?;
        Some((feature, weight.parse().ok()?))
    };
    WEIGHTS.lines().filter_map(line).collect()
});

/// What a keyword list would hold, as the yardstick of the detector: the words
/// that shop systems suggest for "negative feeling".
pub const KEYWORDS: [&str; 24] = [
    "垃圾", "骗子", "骗人", "投诉", "差评", "气死", "生气", "愤怒", "恶心", "无语", "失望", "坑", "黑心",
    "无耻", "滚", "傻逼", "他妈", "妈的", "废物", "有病", "过分", "离谱", "12315", "曝光",
];

/// What ends a clause, as typed. A blank does not: it also stands inside words.
const SIGNS: [char; 16] =
    ['。', '！', '!', '？', '?', '；', ';', '，', ',', '、', '\n', '…', '~', '～', '：', '—'];

/// The longest piece of a message that is looked at, in characters: anger shows
/// at once, and a letter holds every pair of characters.
const LONGEST: usize = 200;

/// Of a shorter message only the list is asked: its characters say too little.
const SHORTEST: usize = 5;

/// The longest run of characters that is a feature.
const GRAM: usize = 3;

/// Whether a message shows strong negative feeling towards the service.
pub fn is_angry(text: &str) -> bool {
    if is_listed(text) {
        return true;
    }
    if is_short(text) {
        return false;
    }
    let features = features(text);
    weigh(&features, |feature| MODEL.get(feature).copied().unwrap_or_default()) > 0.0
}

/// Whether a message is too short for the model.
pub fn is_short(text: &str) -> bool {
    written(text).chars().count() < SHORTEST
}

/// What speaks for and against: the weights of the features over the root of
/// their number, so that long messages are no surer than short ones, and the
/// bias.
pub fn weigh(features: &BTreeSet<String>, weight: impl Fn(&str) -> f64) -> f64 {
    let sum: f64 = features.iter().map(|feature| weight(feature)).sum();
    weight("") + sum / (features.len().max(1) as f64).sqrt()
}

/// What the model sees of a message: its runs of one to three characters
/// between a beginning (`^`) and an end (`$`), whether it asks and of whom it speaks
/// (`#asks` …), and roughly how long it is. What the list finds is left out: where
/// it is in sight, the characters would learn nothing.
pub fn features(text: &str) -> BTreeSet<String> {
    let cut: String = text.chars().take(LONGEST).collect();
    let whole = written(&cut);
    let characters: Vec<char> = std::iter::once('^').chain(whole.chars()).chain(['$']).collect();
    let mut features: BTreeSet<String> = BTreeSet::new();
    for size in 1..=GRAM {
        features.extend(characters.windows(size).map(|gram| gram.iter().collect::<String>()));
    }
    let asks = cut.split(SIGNS).map(written).any(|clause| says(&clause, "asks"));
    features.extend(asks.then(|| "#asks".to_owned()));
    features.extend(
        ["others", "ours"].into_iter().filter(|kind| says(&whole, kind)).map(|kind| format!("#{kind}")),
    );
    features.insert(format!("#length{}", (whole.chars().count() / 5).min(4)));
    features
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
    fn every_line_of_the_list_and_of_the_model_is_read() {
        assert!(CLAIMS.as_ref().is_some_and(|claims| claims.len() > 20));
        assert_eq!(MODEL.len(), WEIGHTS.lines().count());
        assert!(MODEL.len() > 1_000 && MODEL.contains_key(""));
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

//! What did programs write around the customer's words?
//!
//! A web form sends HTML, a chat program names its pictures (`[微笑]`, `/::)`),
//! whom a message is for, and what it replies to, a phone signs what it sends.
//! None of it was said by the customer, so it goes before anything is compared.
//! What may carry meaning stays: `<18岁`, `[2023]`, `a<b`, an address. Nothing
//! goes that would leave no text.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::lexicon::items;
use super::normalize::regex;

const EMOTICONS: &str = include_str!("data/emoticons.txt");

/// Tags that end a line, and those that do not.
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?is)<!--.*?-->|<(?:style|script)\b[^<>]*>.*?</(?:style|script)>|</?(?:(?<block>br|p|div|li|ul|ol|tr|table|tbody|thead|td|th|h[1-6]|hr|blockquote|section|article|pre)|html|body|head|b|i|u|s|a|em|strong|span|font|img|small|big|sub|sup|code|label|del|ins|mark|strike|center|o:p)(?:\s[^<>]*)?/?>",
    )
});

/// An entity; programs that do not know of each other have written `&amp;nbsp;`.
static ENTITY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)&(?:amp;|#38;|#x26;)*(?:#(?<decimal>[0-9]{1,7})|#x(?<hex>[0-9a-f]{1,6})|(?<name>nbsp|ensp|emsp|thinsp|lt|gt|amp|quot|apos|ldquo|rdquo|lsquo|rsquo|hellip|mdash|ndash|middot|times|yen|copy|reg|deg|plusmn|divide|zwnj|zwj));",
    )
});

/// The text without HTML: tags go, entities become their characters, and what
/// was a tag before a program wrote it with entities goes too.
pub(super) fn markup(text: &str) -> String {
    let plain = without_tags(text);
    if !plain.contains('&') {
        return plain;
    }
    without_tags(&ENTITY.replace_all(&plain, |entity: &Captures<'_>| character(entity)))
}

fn without_tags(text: &str) -> String {
    if !text.contains('<') {
        return text.to_owned();
    }
    let end = |tag: &Captures<'_>| if tag.name("block").is_some() { "\n" } else { "" };
    kept(text, |text| TAG.replace_all(text, end).into_owned())
}

/// What an entity stands for; the entity itself when it stands for nothing.
fn character(entity: &Captures<'_>) -> String {
    let number = entity
        .name("decimal")
        .and_then(|digits| digits.as_str().parse().ok())
        .or_else(|| entity.name("hex").and_then(|digits| u32::from_str_radix(digits.as_str(), 16).ok()));
    if let Some(number) = number {
        return char::from_u32(number).map_or_else(|| entity[0].to_owned(), String::from);
    }
    let name = entity.name("name").map(|name| name.as_str().to_lowercase());
    match name.as_deref() {
        Some("lt") => "<",
        Some("gt") => ">",
        Some("amp") => "&",
        Some("quot" | "ldquo" | "rdquo") => "\"",
        Some("apos" | "lsquo" | "rsquo") => "'",
        Some("hellip") => "…",
        Some("mdash" | "ndash") => "–",
        Some("middot") => "·",
        Some("times") => "×",
        Some("yen") => "¥",
        Some("copy") => "©",
        Some("reg") => "®",
        Some("deg") => "°",
        Some("plusmn") => "±",
        Some("divide") => "÷",
        Some("zwnj" | "zwj") => "",
        _ => " ",
    }
    .to_owned()
}

static NAMES: LazyLock<HashSet<&str>> =
    LazyLock::new(|| items(EMOTICONS).flat_map(str::split_whitespace).collect());

fn is_emoticon(name: &str) -> bool {
    NAMES.contains(name) || NAMES.contains(name.to_lowercase().as_str())
}

/// `[微笑]`, `#[流泪]`, `[em]e100[/em]`.
static BRACKETS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\[em\]e?[0-9]{1,6}\[/em\]|#?\[/?(?<name>[^\[\]\s]{1,8})\]"));

/// `/::)` and its kin of WeChat.
static SLASHES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)/::[\x21-\x7e]|/:(?:8-\)|,@[\x21-\x7e]|[!@?&x<>#|,.;'*-][\x21-\x7e-]?|&-\(|rose|fade|showlove|heart|break|cake|li\b|bome|kn\b|footb|ladybug|shit|moon|sun|gift|hug|strong|weak|share|v\b|jj|bad|lvu|no\b|ok\b|love|jump|shake|circle|kotow|turn|skip|oy|hiphot|kiss|pig|bye|wipe|dig|handclap|eat|pd|basketb|oo|coffee|beer)",
    )
});

/// `/微笑`, not behind a word (苹果/安卓).
static SLASHED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?<before>^|[^\p{L}\p{N}/])/(?<name>\p{Han}{1,4})"));

/// Earlier messages, as programs quote them.
static QUOTED: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    [
        regex(r"^\s*「[^」]*」\s*(?:[-—–_]\s?){3,}\s*"),
        regex(r"^\s*「[^」\n]{1,20}?[:：][^」]*」\s*"),
        regex(r"(?m)^[ \t]*>(?:[ \t]*>)*[ \t]*(?:[^\s\d>][^\n]*)?(?:\n|\z)"),
        regex(
            r"(?is)(?:\A|\n)\s*-{2,}\s*(?:原始邮件|原始郵件|原邮件|转发邮件|original message|forwarded message).*\z",
        ),
    ]
});

/// The line before a quoted mail.
static WROTE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?im)^(?:在|于|on )[^\n]{4,80}(?:写道|寫道|wrote)[:：]?[ \t]*(?:\n|\z)"));

/// `@客服` at the beginning, `@小王` at either end.
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s*(?:@(?:人工|在线|智能|官方)?(?:客服|小助手|机器人|機器人|管理员|群主|店主|店家|卖家|所有人)[\s,:，：]*|@[^\s@]{1,20}\s+)+|(?:\s@[^\s@]{1,20})+\s*$",
    )
});

/// What phones and mail programs sign with, at the end.
static SIGNATURE: LazyLock<Regex> = LazyLock::new(|| {
    const DEVICE: &str = "iphone|ipad|android|安卓|手机|手機|平板|华为|華為|荣耀|榮耀|小米|红米|紅米|oppo|vivo|一加|三星|魅族|realme|mate|nova|harmonyos|鸿蒙|qq|网易|網易|outlook|foxmail|微信|钉钉|邮箱|客户端|移动端";
    regex(&format!(
        r"(?i)(?:^|[\s。，,.!?;；！？—-])(?:(?:发|發|寄)自(?:我的?)? ?(?:{DEVICE})(?:[a-z0-9 +]|手机|手機|邮箱|郵箱|大师|客户端|平板){{0,24}}|\n来自(?:我的)?(?:{DEVICE})[a-z0-9 +]{{0,16}}(?:手机|客户端)?|(?:sent )?from my (?:{DEVICE}|phone|mobile|galaxy|pixel|xiaomi|huawei)[a-z0-9 +]{{0,24}}|get outlook for [a-z]+)[.。!\s]*$"
    ))
});

/// The text without what chat programs, mail programs and phones put around
/// it; expects it with its line breaks.
pub(super) fn wrapping(text: &str) -> String {
    let mut rest = text.to_owned();
    if rest.contains(['「', '>']) || rest.contains("---") {
        rest = kept(&rest, |rest| WROTE.replace_all(rest, "").into_owned());
        for quoted in &*QUOTED {
            rest = kept(&rest, |rest| quoted.replace_all(rest, "").into_owned());
        }
    }
    if rest.contains('[') {
        rest = kept(&rest, |rest| {
            let name = |found: &Captures<'_>| {
                let known = found.name("name").is_none_or(|name| is_emoticon(name.as_str()));
                if known { " ".to_owned() } else { found[0].to_owned() }
            };
            BRACKETS.replace_all(rest, name).into_owned()
        });
    }
    if rest.contains('/') {
        rest = kept(&rest, |rest| {
            let rest = SLASHES.replace_all(rest, " ");
            let name = |found: &Captures<'_>| {
                let known = is_emoticon(&found["name"]);
                if known { format!("{} ", &found["before"]) } else { found[0].to_owned() }
            };
            SLASHED.replace_all(&rest, name).into_owned()
        });
    }
    if rest.contains('@') {
        rest = kept(&rest, |rest| MENTION.replace(rest, "").into_owned());
    }
    if rest.contains('自') || [" my ", " My ", "utlook "].iter().any(|sign| rest.contains(sign)) {
        rest = kept(&rest, |rest| SIGNATURE.replace(rest, "").into_owned());
    }
    rest
}

/// What a step leaves, or the text as it was when that holds no text.
fn kept(text: &str, step: impl Fn(&str) -> String) -> String {
    let rest = step(text);
    if rest.chars().any(char::is_alphanumeric) { rest } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::normalize::{encoder_text, exact_key};

    #[test]
    fn what_programs_write_around_a_question_goes() {
        for wrapped in [
            "<p>怎么开发票</p>",
            "<div class=\"msg\">怎么开<b>发票</b><br/></div>",
            "&nbsp;怎么开发票&#160;&amp;nbsp;",
            "&lt;p&gt;怎么开发票&lt;/p&gt;",
            "怎么开发票[微笑][玫瑰]",
            "[图片] 怎么开发票",
            "怎么开发票#[流泪]",
            "/::)怎么开发票/:rose",
            "怎么开发票 /微笑",
            "怎么开发票\n发自我的iPhone",
            "怎么开发票 from my iPhone",
            "怎么开发票\n\nSent from my HUAWEI Mate 60",
            "怎么开发票\n發自我的手機",
            "「小王：您好，请问有什么可以帮您？」\n- - - - - - - - - - - - - - -\n怎么开发票",
            "> 您好，这里是客服\n> 请讲\n怎么开发票",
            "@客服 怎么开发票",
            "@在线客服怎么开发票",
            "怎么开发票 @小美",
        ] {
            assert_eq!(exact_key(wrapped), "怎么开发票", "{wrapped}");
            assert!(!encoder_text(wrapped).contains(['<', '[', '&', '@']), "{wrapped}");
        }
    }

    #[test]
    fn what_may_carry_meaning_stays() {
        for (text, key) in [
            ("[2023]版怎么买", "2023版怎么买"),
            ("[红色]有货吗", "红色有货吗"),
            ("C#课程多少钱", "c#课程多少钱"),
            ("怎么关闭发自我的iPhone", "怎么关闭发自我的iphone"),
            ("苹果/安卓都能用吗", "苹果安卓都能用吗"),
            ("发到a@b.com可以吗", "发到a@b.com可以吗"),
            ("[图片]", "图片"),
            ("R&D是什么", "r&d是什么"),
            ("来自新疆的能发吗", "来自新疆的能发吗"),
        ] {
            assert_eq!(exact_key(text), key, "{text}");
        }
        assert_eq!(encoder_text("a<b 怎么算"), "a<b怎么算");
    }
}

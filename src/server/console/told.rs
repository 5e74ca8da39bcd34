//! How are moments, spans, shares and codes told to people?

use maud::{Markup, html};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::page::Page;
use crate::kb::shown::is_address;

/// A moment in RFC 3339 as a person in China reads it; scripts tell it in the
/// reader's own time.
pub(super) fn when(moment: &str) -> Markup {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let china = UtcOffset::from_hms(8, 0, 0).ok();
    let local = OffsetDateTime::parse(moment, &Rfc3339)
        .ok()
        .zip(china)
        .and_then(|(at, china)| at.to_offset(china).format(&format).ok());
    html! { time datetime=(moment) { (local.as_deref().unwrap_or(moment)) } }
}

/// A span in seconds, in its two largest units.
pub(super) fn span(page: &Page, seconds: i64) -> String {
    let units = [
        (86_400, page.say(" 天", " d")),
        (3_600, page.say(" 小时", " h")),
        (60, page.say(" 分", " min")),
        (1, page.say(" 秒", " s")),
    ];
    let seconds = seconds.max(0);
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let parts = units.iter().skip(first).take(2).filter_map(|(size, name)| {
        let count = rest / size;
        rest %= size;
        (count > 0).then(|| format!("{count}{name}"))
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { format!("0{}", units[3].1) } else { parts.join(" ") }
}

/// The pictures and links beside an answer, as places to open: these pages load nothing
/// from elsewhere, so that nobody there sees who works on what.
pub(super) fn beside(page: &Page, images: &Value, links: &Value) -> Markup {
    let list = |all: &Value| all.as_array().cloned().unwrap_or_default();
    let (images, links) = (list(images), list(links));
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    // Whoever wrote it, only addresses of the web can be opened.
    let open = |url: &str, words: &str| {
        html! { @if is_address(url) { a href=(url) target="_blank" rel="noopener noreferrer" { (words) } } @else { (words) } }
    };
    if images.is_empty() && links.is_empty() {
        return html! {};
    }
    html! {
        ul.beside {
            @for one in &images {
                @let alt = text(one, "alt");
                li { span.tag { (page.say("图片", "picture")) } " " (open(&text(one, "url"), if alt.is_empty() { page.say("没有说明", "no description") } else { &alt })) }
            }
            @for one in &links {
                li { span.tag { (page.say("链接", "link")) } " " (open(&text(one, "url"), &text(one, "title")))
                    @if !text(one, "text").is_empty() { " " span.soft { (text(one, "text")) } }
                    @if !text(one, "image").is_empty() { " " (open(&text(one, "image"), page.say("图片", "picture"))) } }
            }
        }
    }
}

/// A share as percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Why a conversation went to people.
pub(super) fn reason<'a>(page: &Page, code: &'a str) -> &'a str {
    match code {
        "requested" => page.say("要求人工", "asked for a person"),
        "no_match" => page.say("没有匹配", "nothing matched"),
        "low_confidence" => page.say("把握不足", "not sure enough"),
        "ambiguous" => page.say("有歧义", "ambiguous"),
        "repeated_miss" => page.say("连续答不上", "missed several times"),
        "repeated_question" => page.say("重复提问", "asked again"),
        "sensitive" => page.say("敏感词", "sensitive words"),
        "angry" => page.say("情绪激动", "angry"),
        "handoff_rule" => page.say("转人工规则", "a rule"),
        "several_questions" => page.say("多个问题", "several questions"),
        "no_text" => page.say("没有文字", "no text"),
        "none_of_these" => page.say("都不是", "none of these"),
        "unclear_choice" => page.say("选择不明", "unclear choice"),
        other => other,
    }
}

/// How far a handoff or ticket is, and which tag it wears.
pub(super) fn state(page: &Page, code: &str) -> Markup {
    let (class, text) = match code {
        "waiting" => ("warn", page.say("等待中", "waiting")),
        "claimed" => ("good", page.say("已接待", "taken")),
        "answered" => ("good", page.say("已回复", "answered")),
        "returned" => ("", page.say("已交还机器人", "given back")),
        "expired" => ("", page.say("无人接待", "nobody came")),
        "withdrawn" => ("", page.say("顾客不等了", "withdrawn")),
        "open" => ("warn", page.say("待处理", "open")),
        "pending" => ("", page.say("等待回音", "pending")),
        "solved" => ("good", page.say("已解决", "solved")),
        "closed" => ("", page.say("已关闭", "closed")),
        other => ("", other),
    };
    html! { span class={ "tag " (class) } { (text) } }
}

#[cfg(test)]
mod tests {
    use super::when;

    #[test]
    fn a_moment_is_told_in_chinas_time() {
        let told = when("2026-11-27T18:40:00Z").into_string();
        assert_eq!(told, "<time datetime=\"2026-11-27T18:40:00Z\">2026-11-28 02:40</time>");
        assert_eq!(when("<b>").into_string(), "<time datetime=\"&lt;b&gt;\">&lt;b&gt;</time>");
    }
}

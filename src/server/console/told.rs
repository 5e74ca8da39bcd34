//! How are moments, spans, shares and codes told to people?

use axum::http::header;
use axum::response::IntoResponse;
use maud::{Markup, html};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::inside::{Refusal, part};
use super::page::{Outcome, Page};
use crate::dialogue::told::in_china;
use crate::events::stats::reason_words;
use crate::kb::formats::{self, Format};
use crate::kb::shown::is_address;

/// A moment in RFC 3339 as a person in China reads it; scripts tell it in the
/// reader's own time.
pub(super) fn when(moment: &str) -> Markup {
    let local = OffsetDateTime::parse(moment, &Rfc3339).ok();
    let local = local.map(|at| in_china(at.unix_timestamp().saturating_mul(1_000)));
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

/// A table as a file for people, named after its title, of which its sheet has the beginning;
/// `xlsx` or CSV.
pub(super) fn table(title: &str, headings: &[String], rows: Vec<Vec<String>>, format: &str) -> Outcome {
    let format = if format == "xlsx" { Format::Xlsx } else { Format::Csv };
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    // Spreadsheets take no more than 31 characters for the name of a sheet.
    let sheet = title.split('-').next().unwrap_or(title);
    let bytes = formats::written_table(sheet, &headings, rows, format).map_err(|e| Refusal {
        code: 422,
        detail: e.to_string(),
        ..Refusal::default()
    })?;
    let name = format!("attachment; filename*=UTF-8''{}.{}", part(title), format.name());
    let headers =
        [(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, bytes).into_response())
}

/// A browser by what it says of itself: its name and its system, as people call them;
/// `None` for one that says nothing.
pub(super) fn device(agent: &str) -> Option<String> {
    // Those that are built on others name them as well: the more special one first.
    const BROWSERS: [(&str, &str); 13] = [
        ("wxwork/", "企业微信"),
        ("MicroMessenger/", "微信"),
        ("DingTalk/", "钉钉"),
        ("Lark/", "飞书"),
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("QQBrowser/", "QQ 浏览器"),
        ("HuaweiBrowser/", "华为浏览器"),
        ("Firefox/", "Firefox"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("HarmonyOS", "HarmonyOS"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let known = |list: &[(&str, &'static str)]| {
        list.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name)
    };
    match (known(&BROWSERS), known(&SYSTEMS)) {
        (Some(browser), Some(system)) => Some(format!("{browser} · {system}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => {
            Some(agent.trim().chars().take(40).collect()).filter(|name: &String| !name.is_empty())
        }
    }
}

/// A share as percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Why a conversation went to people.
pub(super) fn reason<'a>(page: &Page, code: &'a str) -> &'a str {
    reason_words(code).map_or(code, |(chinese, english)| page.say(chinese, english))
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
    use super::{device, when};

    #[test]
    fn a_browser_is_called_as_people_call_it() {
        let told = |agent: &str| device(agent).unwrap_or_default();
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        assert_eq!(told(windows), "Chrome · Windows");
        assert_eq!(told(&format!("{windows} Edg/140.0")), "Edge · Windows");
        assert_eq!(
            told("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) MicroMessenger/8.0"),
            "微信 · iPhone"
        );
        assert_eq!(told("my-monitor/2"), "my-monitor/2");
        assert_eq!(device(" "), None);
    }

    #[test]
    fn a_moment_is_told_in_chinas_time() {
        let told = when("2026-11-27T18:40:00Z").into_string();
        assert_eq!(told, "<time datetime=\"2026-11-27T18:40:00Z\">2026-11-28 02:40</time>");
        assert_eq!(when("<b>").into_string(), "<time datetime=\"&lt;b&gt;\">&lt;b&gt;</time>");
    }
}

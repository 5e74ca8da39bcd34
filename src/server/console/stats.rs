//! What did the robot do in some days, and what came of it?

use std::collections::BTreeMap;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::Server;
use super::author::names::Names;
use super::chart::{self, Column};
use super::form::Form;
use super::inside::{address, part};
use super::page::{Outcome, Page, Sheet};
use super::told::{percent, reason, table, when};
use crate::events::stats::{DEFINITIONS, by_words};

pub(super) fn routes() -> Router<Server> {
    Router::new().route("/console/stats", get(figures)).route("/console/stats/export", get(export))
}

/// Groups that are drawn, and those that are listed.
const DRAWN: usize = 31;
const LISTED: usize = 200;
/// Entries that are listed because nobody was answered with them; each is looked up.
const COLD: usize = 100;

/// What groups can be told apart by.
const APART: [&str; 6] = ["day", "hour", "channel", "topic", "entry", "release"];

#[derive(Deserialize)]
pub(super) struct Counts {
    pub(super) questions: u64,
    pub(super) answered: u64,
    pub(super) clarified: u64,
    pub(super) handed_off: u64,
    handed_off_by_reason: BTreeMap<String, u64>,
    sessions: u64,
    pub(super) disliked: u64,
}

#[derive(Deserialize)]
pub(super) struct Share {
    pub(super) numerator: u64,
    pub(super) denominator: u64,
    pub(super) value: Option<f64>,
    interval: Option<[f64; 2]>,
    before: Option<f64>,
    pub(super) change: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct Latency {
    pub(super) p50: u32,
    pub(super) p95: u32,
    p99: u32,
}

#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) key: String,
    pub(super) counts: Counts,
    pub(super) shares: BTreeMap<String, Share>,
    questions_before: u64,
    rating: Option<f64>,
    pub(super) latency_us: Option<Latency>,
}

#[derive(Deserialize)]
struct Unanswered {
    text: String,
    count: u64,
    reason: String,
    last: String,
}

/// What a customer wrote about an answer.
#[derive(Deserialize)]
struct Comment {
    text: String,
    entry: Option<String>,
    solved: Option<bool>,
    rating: Option<i64>,
    at: String,
}

/// The figures as the API tells them.
#[derive(Deserialize)]
pub(super) struct Stats {
    from: String,
    to: String,
    pub(super) all: Group,
    pub(super) groups: Vec<Group>,
    cold: Vec<String>,
    unanswered: Vec<Unanswered>,
    comments: Vec<Comment>,
    lost: u64,
    damaged: u64,
    missing_nodes: Vec<String>,
}

async fn figures(page: Page) -> Response {
    page.reply(shown(&page).await)
}

/// The knowledge base that is asked for, or the first.
fn kb<'a>(page: &'a Page, asked: &'a Form) -> &'a str {
    match asked.get("kb") {
        "" => page.me.knowledge_bases.first().map_or("", String::as_str),
        named => named,
    }
}

fn api(kb: &str, asked: &Form, by: &str, format: &str) -> String {
    let path = format!("/v1/kbs/{}/stats", part(kb));
    address(&path, &[("from", asked.get("from")), ("to", asked.get("to")), ("by", by), ("format", format)])
}

async fn shown(page: &Page) -> Outcome {
    let asked = page.query();
    let kb = kb(page, &asked);
    let title = page.say("统计", "Figures");
    if kb.is_empty() {
        let body = html! { p.empty { (page.say("还没有知识库。", "There is no knowledge base yet.")) } };
        return Ok(page.show(Sheet::new(title, body)));
    }
    let by = APART.into_iter().find(|by| *by == asked.get("by")).unwrap_or("day");
    let stats: Stats = page.inside.get(&api(kb, &asked, by, "")).read().await?;
    let groups = stats.groups.iter().take(LISTED).map(|group| group.key.as_str()).filter(|_| by == "entry");
    let written = stats.comments.iter().filter_map(|one| one.entry.as_deref());
    let shown = groups.chain(written).chain(stats.cold.iter().take(COLD).map(String::as_str));
    let names = Names::of(page, kb, shown).await;
    let body = html! {
        (wanted(page, kb, &stats, by))
        @if stats.lost + stats.damaged > 0 {
            div.card.problem { (page.say("有事件没有存下或已损坏，数字不全：", "Some events were lost or damaged, and are missing here: ")) (stats.lost + stats.damaged) }
        }
        @if !stats.missing_nodes.is_empty() {
            div.card.problem { (page.say("有节点联系不上，它们记录的事件不在这些数字里：", "Some nodes cannot be asked; what happened there is missing here: ")) (stats.missing_nodes.join(" ")) }
        }
        (overview(page, &stats.all))
        @if stats.all.counts.questions == 0 { p.empty { (page.say("这段时间没有人提问。", "Nobody asked in these days.")) } }
        @else {
            (apart(page, kb, &stats.groups, by, &names))
            (all_shares(page, &stats.all))
            (reasons(page, &stats.all.counts))
        }
        (comments(page, kb, &stats.comments, &names))
        (open_questions(page, kb, &stats, &names))
    };
    Ok(page.show(Sheet::new(title, body)))
}

/// Which figures.
fn wanted(page: &Page, kb: &str, stats: &Stats, by: &str) -> Markup {
    let file = |format: &str| {
        let named = [("kb", kb), ("from", &stats.from), ("to", &stats.to), ("by", by), ("format", format)];
        address("/console/stats/export", &named)
    };
    html! {
        form.row method="get" action="/console/stats" {
            label { span.label { (page.say("知识库", "Knowledge base")) } select name="kb" {
                @for name in &page.me.knowledge_bases { option value=(name) selected[name == kb] { (name) } }
            } }
            label { span.label { (page.say("从", "From")) } input type="date" name="from" value=(stats.from); }
            label { span.label { (page.say("到", "To")) } input type="date" name="to" value=(stats.to); }
            label { span.label { (page.say("分组", "By")) } select name="by" {
                @for one in APART { option value=(one) selected[one == by] { (by_word(page, one)) } }
            } }
            button.button.primary type="submit" { (page.say("查看", "Show")) }
        }
        div.toolbar {
            a.button.small href=(file("csv")) { (page.say("导出 CSV", "Export CSV")) }
            a.button.small href=(file("xlsx")) { (page.say("导出 Excel", "Export XLSX")) }
            span.soft { (page.say("日期按北京时间；“之前”指前面同样长的一段。", "Days are those of China; “before” is as many days before.")) }
        }
    }
}

fn by_word(page: &Page, by: &str) -> &'static str {
    let (chinese, english) = by_words(by);
    page.say(chinese, english)
}

/// The figures that are looked at first.
fn overview(page: &Page, all: &Group) -> Markup {
    let tiles = [
        ("answer_rate", page.say("直接回答", "Answered")),
        ("clarify_rate", page.say("反问", "Asked back")),
        ("handoff_rate", page.say("没答上（应转人工）", "Not answered (handed off)")),
        ("solved_confirmed_rate", page.say("确认解决", "Solved, confirmed")),
        ("solved_assumed_rate", page.say("推定解决", "Solved, assumed")),
        ("satisfied_rate", page.say("满意", "Satisfied")),
    ];
    html! {
        dl.tiles {
            div.card { dt { (page.say("问题", "Questions")) } dd { b { (all.counts.questions) } span.soft { (page.say("之前 ", "before ")) (all.questions_before) } } }
            div.card { dt { (page.say("会话", "Sessions")) } dd { b { (all.counts.sessions) } } }
            @for (name, text) in tiles {
                @if let Some(share) = all.shares.get(name) {
                    div.card { dt { (text) } dd {
                        b { (share.value.map_or_else(|| "—".to_owned(), percent)) }
                        span.soft { (share.numerator) " / " (share.denominator) }
                        (change(page, share.change))
                    } }
                }
            }
            div.card { dt { (page.say("报错（答得不对）", "Reported wrong")) } dd { b { (all.counts.disliked) } } }
            div.card { dt { (page.say("评分", "Rating")) } dd { b { (all.rating.map_or_else(|| "—".to_owned(), |stars| format!("{stars:.2}"))) } } }
            div.card { dt { (page.say("耗时", "Latency")) } dd {
                @match &all.latency_us {
                    Some(latency) => { b { (millis(latency.p95)) } span.soft { "p95 · p50 " (millis(latency.p50)) " · p99 " (millis(latency.p99)) } }
                    None => b { "—" },
                }
            } }
        }
    }
}

pub(super) fn millis(micros: u32) -> String {
    format!("{:.1} ms", f64::from(micros) / 1000.0)
}

/// How a share has changed, in points.
fn change(page: &Page, change: Option<f64>) -> Markup {
    html! {
        @if let Some(change) = change {
            span.soft { (page.say("变化 ", "change ")) (format!("{:+.1}", change * 100.0)) (page.say(" 个百分点", " points")) }
        }
    }
}

/// What groups are called that nobody has named.
const NAMELESS: (&str, &str) = ("（未注明）", "(not said)");

/// Volume by group, as a chart and a table.
fn apart(page: &Page, kb: &str, groups: &[Group], by: &str, entries: &Names) -> Markup {
    let nameless = page.say(NAMELESS.0, NAMELESS.1);
    let name = |group: &Group| match group.key.as_str() {
        "" => nameless.to_owned(),
        id if by == "entry" => entries.named(id).to_owned(),
        key => key.to_owned(),
    };
    let names: Vec<String> = groups.iter().take(DRAWN).map(name).collect();
    let columns: Vec<Column<'_>> = groups
        .iter()
        .zip(&names)
        .map(|(group, name)| {
            let counts = &group.counts;
            let parts = vec![
                ("answered", counts.answered),
                ("clarified", counts.clarified),
                ("handed", counts.handed_off),
            ];
            Column { name, parts }
        })
        .collect();
    let title = format!("{} · {}", page.say("问题数", "Questions"), by_word(page, by));
    html! {
        section.card {
            h2 { (title) }
            div.figure {
                div {
                    (chart::columns(&title, &columns))
                    p.soft.legend { span.key.answered {} (page.say("回答 ", "answered ")) span.key.clarified {} (page.say("反问 ", "asked back ")) span.key.handed {} (page.say("没答上", "handed off")) }
                }
                div.scroll tabindex="0" role="region" aria-label=(title) {
                    table.list.numbers {
                        thead { tr {
                            th { (by_word(page, by)) } th { (page.say("问题", "Questions")) } th { (page.say("回答", "Answered")) } th { (page.say("反问", "Asked back")) }
                            th { (page.say("没答上", "Handed off")) } th { (page.say("回答率", "Answer rate")) } th { (page.say("确认解决", "Confirmed")) } th { "p95" }
                        } }
                        tbody { @for group in groups.iter().take(LISTED) { tr {
                            td { @if by == "entry" && !group.key.is_empty() { (entries.link(kb, &group.key)) } @else { (name(group)) } } td { (group.counts.questions) } td { (group.counts.answered) } td { (group.counts.clarified) } td { (group.counts.handed_off) }
                            @for share in ["answer_rate", "solved_confirmed_rate"] { td { (group.shares.get(share).and_then(|share| share.value).map_or_else(|| "—".to_owned(), percent)) } }
                            td { (group.latency_us.as_ref().map_or_else(|| "—".to_owned(), |latency| millis(latency.p95))) }
                        } } }
                    }
                }
            }
            @if groups.len() > LISTED { p.soft { (page.say("只列出前 200 组，全部请导出。", "The first 200 groups; export for all.")) } }
        }
    }
}

/// What a share is called on pages and in files, in the reader's language: a word, not the
/// code that programs have.
fn share_name(page: &Page, (code, _, chinese): &(&str, &str, &str)) -> String {
    // In Chinese the name stands before its definition.
    let name = chinese.split('：').next().unwrap_or(chinese);
    if page.is_english() { code.replace('_', " ") } else { name.to_owned() }
}

/// Every share with its interval, as a chart and a table.
fn all_shares(page: &Page, all: &Group) -> Markup {
    let title = page.say("各项比率（95% 区间）", "Shares (95 % intervals)");
    let known: Vec<(&str, &str, &Share)> = DEFINITIONS
        .iter()
        .filter_map(|(name, english, chinese)| {
            let text = if page.is_english() { *english } else { *chinese };
            Some((*name, text, all.shares.get(*name)?))
        })
        .collect();
    let names: Vec<String> = DEFINITIONS
        .iter()
        .filter(|(name, ..)| all.shares.contains_key(*name))
        .map(|definition| share_name(page, definition))
        .collect();
    let rows: Vec<chart::Share<'_>> = known
        .iter()
        .zip(&names)
        .map(|((_, _, share), name)| chart::Share {
            name,
            value: share.value,
            interval: share.interval,
            before: share.before,
        })
        .collect();
    html! {
        section.card {
            h2 { (title) }
            div.figure {
                div { (chart::shares(title, &rows)) p.soft { (page.say("横线是 95% 区间，竖线是之前的值。", "The line is the 95 % interval, the stroke the value before.")) } }
                div.scroll tabindex="0" role="region" aria-label=(title) {
                    table.list.numbers {
                        thead { tr { th { (page.say("比率", "Share")) } th { (page.say("值", "Value")) } th { (page.say("分子 / 分母", "Of")) } th { (page.say("区间", "Interval")) } th { (page.say("之前", "Before")) } } }
                        tbody { @for ((_, text, share), row) in known.iter().zip(&rows) { tr {
                            td { details { summary { (row.name) } p { (text) } } }
                            td { (share.value.map_or_else(|| "—".to_owned(), percent)) }
                            td { (share.numerator) " / " (share.denominator) }
                            td { @if let Some([low, high]) = share.interval { (percent(low)) "–" (percent(high)) } @else { "—" } }
                            td { (share.before.map_or_else(|| "—".to_owned(), percent)) }
                        } } }
                    }
                }
            }
        }
    }
}

/// Why people were brought in.
fn reasons(page: &Page, counts: &Counts) -> Markup {
    if counts.handed_off == 0 {
        return html! {};
    }
    let mut known: Vec<(&str, u64)> =
        counts.handed_off_by_reason.iter().map(|(code, count)| (reason(page, code), *count)).collect();
    known.sort_by_key(|one| std::cmp::Reverse(one.1));
    let columns: Vec<Column<'_>> =
        known.iter().take(10).map(|(name, count)| Column { name, parts: vec![("handed", *count)] }).collect();
    let title = page.say("没答上的原因", "Why it was handed off");
    html! {
        section.card {
            h2 { (title) }
            div.figure {
                div { (chart::columns(title, &columns)) }
                table.list.numbers {
                    thead { tr { th { (page.say("原因", "Reason")) } th { (page.say("次数", "Times")) } th { (page.say("占比", "Share")) } } }
                    tbody { @for (name, count) in &known { tr { td { (name) } td { (count) } td { (percent(*count as f64 / counts.handed_off as f64)) } } } }
                }
            }
        }
    }
}

/// What customers wrote about answers.
fn comments(page: &Page, kb: &str, comments: &[Comment], names: &Names) -> Markup {
    let title = page.say("顾客的评价", "What customers wrote");
    let says = |one: &Comment| match (one.solved, one.rating) {
        (_, Some(stars)) => format!("{stars}{}", page.say(" 星", " stars")),
        (Some(true), None) => page.say("已解决", "solved").to_owned(),
        (Some(false), None) => page.say("没有解决", "not solved").to_owned(),
        (None, None) => "—".to_owned(),
    };
    html! {
        @if !comments.is_empty() {
            section.card #comments {
                h2 { (title) }
                p.soft { (page.say("最近的 50 条，新的在前；原话怎样保存，评价就怎样保存。", "The last 50, the newest first; kept as customers' words are.")) }
                div.scroll tabindex="0" role="region" aria-label=(title) {
                    table.list {
                        thead { tr { th { (page.say("评价", "Comment")) } th { (page.say("评分", "Rating")) } th { (page.say("条目", "Entry")) } th { (page.say("时间", "When")) } } }
                        tbody { @for one in comments { tr {
                            td { (one.text) } td { (says(one)) }
                            td { @if let Some(entry) = &one.entry { (names.link(kb, entry)) } @else { "—" } }
                            td { (when(&one.at)) }
                        } } }
                    }
                }
            }
        }
    }
}

/// What got no answer, and what nobody asked for.
fn open_questions(page: &Page, kb: &str, stats: &Stats, names: &Names) -> Markup {
    html! {
        @if !stats.unanswered.is_empty() {
            section.card {
                h2 { (page.say("没有答上的问题", "Questions without an answer")) }
                div.scroll tabindex="0" role="region" aria-label=(page.say("没有答上的问题", "Questions without an answer")) {
                    table.list {
                        thead { tr { th { (page.say("问题", "Question")) } th { (page.say("次数", "Times")) } th { (page.say("原因", "Reason")) } th { (page.say("最近", "Last")) } } }
                        tbody { @for one in &stats.unanswered { tr { td { (one.text) } td { (one.count) } td { (reason(page, &one.reason)) } td { (when(&one.last)) } } } }
                    }
                }
            }
        }
        @if !stats.cold.is_empty() {
            details.card {
                summary { (page.say("30 天没有用到的条目", "Entries that nobody was answered with")) " (" (stats.cold.len()) ")" }
                ul { @for entry in stats.cold.iter().take(COLD) { li { (names.link(kb, entry)) } } }
                @if stats.cold.len() > COLD { p.soft { (page.say("只列出前 100 个；全部见条目列表的“没人问”筛选。", "The first 100; the list of entries has all of them under “Not asked for”.")) } }
            }
        }
    }
}

/// The figures as a table for people: what they are called on the page, and shares in percent.
async fn export(page: Page) -> Response {
    page.reply(exported(&page).await)
}

async fn exported(page: &Page) -> Outcome {
    let asked = page.query();
    let kb = kb(page, &asked);
    let by = APART.into_iter().find(|by| *by == asked.get("by")).unwrap_or("day");
    let stats: Stats = page.inside.get(&api(kb, &asked, by, "")).read().await?;
    let is_entry = by == "entry";
    let ids = stats.groups.iter().map(|group| group.key.as_str()).filter(|_| is_entry);
    let names = Names::of(page, kb, ids).await;
    let mut headings: Vec<String> = vec![by_word(page, by).to_owned()];
    if is_entry {
        headings.push(page.say("编号", "id").to_owned());
    }
    let counts = [
        page.say("问题", "questions"),
        page.say("回答", "answered"),
        page.say("反问", "asked back"),
        page.say("没答上", "handed off"),
        page.say("会话", "sessions"),
        page.say("报错", "reported wrong"),
    ];
    headings.extend(counts.map(str::to_owned));
    for definition in &DEFINITIONS {
        let name = share_name(page, definition);
        headings.extend([
            format!("{name} %"),
            format!("{name} {}", page.say("分子", "numerator")),
            format!("{name} {}", page.say("分母", "denominator")),
        ]);
    }
    headings.extend([page.say("评分", "rating").to_owned()]);
    headings.extend(["p50", "p95", "p99"].map(|name| format!("{name} {}", page.say("毫秒", "ms"))));
    let all = page.say("合计", "all");
    let nameless = page.say(NAMELESS.0, NAMELESS.1);
    let named = stats.groups.iter().map(|group| {
        let key = if group.key.is_empty() { nameless } else { group.key.as_str() };
        (group, key)
    });
    let rows = named.chain([(&stats.all, all)]);
    let rows = rows.map(|(group, key)| {
        let mut row = vec![if is_entry { names.named(key).to_owned() } else { key.to_owned() }];
        if is_entry {
            row.push(group.key.clone());
        }
        let counts = &group.counts;
        let numbers = [
            counts.questions,
            counts.answered,
            counts.clarified,
            counts.handed_off,
            counts.sessions,
            counts.disliked,
        ];
        row.extend(numbers.map(|number| number.to_string()));
        for (name, ..) in &DEFINITIONS {
            match group.shares.get(*name) {
                Some(share) => row.extend([
                    share.value.map_or_else(String::new, |value| format!("{:.1}", value * 100.0)),
                    share.numerator.to_string(),
                    share.denominator.to_string(),
                ]),
                None => row.extend([const { String::new() }; 3]),
            }
        }
        row.push(group.rating.map_or_else(String::new, |stars| format!("{stars:.2}")));
        let millis = |micros: u32| format!("{:.1}", f64::from(micros) / 1000.0);
        match &group.latency_us {
            Some(latency) => row.extend([latency.p50, latency.p95, latency.p99].map(millis)),
            None => row.extend([const { String::new() }; 3]),
        }
        row
    });
    let title = format!("{}-{kb}-{}-{}", page.say("统计", "figures"), stats.from, stats.to);
    table(&title, &headings, rows.collect(), asked.get("format"))
}

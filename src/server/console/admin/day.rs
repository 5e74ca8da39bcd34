//! How is today?

use std::collections::BTreeMap;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use futures_util::future::try_join3;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::super::Server;
use super::super::chart::{self, Column};
use super::super::inside::{Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::stats::{Group, Stats, millis};
use super::super::told::{percent, span};
use super::day as day_before;

/// Knowledge bases whose figures are gathered; more would keep the page waiting.
const GATHERED: usize = 20;

pub(super) fn routes() -> Router<Server> {
    Router::new().route("/console/admin", get(show))
}

#[derive(Deserialize)]
struct Health {
    warnings: Vec<Warning>,
    waiting: Waiting,
}

#[derive(Deserialize)]
struct Warning {}

#[derive(Deserialize)]
struct Waiting {
    handoffs: i64,
    handoffs_since: Option<String>,
    taken: i64,
    dead: i64,
}

/// What happened in one day, of all knowledge bases together.
#[derive(Default, Clone, Copy)]
struct Day {
    questions: u64,
    answered: u64,
    clarified: u64,
    handed_off: u64,
    wrong: u64,
    solved: u64,
    solved_of: u64,
}

impl Day {
    fn add(&mut self, group: &Group) {
        self.questions += group.counts.questions;
        self.answered += group.counts.answered;
        self.clarified += group.counts.clarified;
        self.handed_off += group.counts.handed_off;
        self.wrong += group.counts.disliked;
        if let Some(share) = group.shares.get("solved_confirmed_rate") {
            self.solved += share.numerator;
            self.solved_of += share.denominator;
        }
    }
}

/// A figure of a day, as it is told.
type Told = fn(&Day) -> String;

fn share(part: u64, of: u64) -> String {
    if of == 0 { "—".to_owned() } else { percent(part as f64 / of as f64) }
}

async fn show(page: Page) -> Response {
    page.reply(shown(&page).await)
}

async fn figures(page: &Page, kb: &str, ago: i64, by: &str) -> Result<Stats, Refusal> {
    let day = day_before(ago);
    let path = format!("/v1/kbs/{}/stats", part(kb));
    page.inside.get(&address(&path, &[("from", &day), ("to", &day), ("by", by)])).read().await
}

async fn shown(page: &Page) -> Outcome {
    let health: Health = page.inside.get("/v1/health").read().await?;
    let names = &page.me.knowledge_bases;
    let mut days = [Day::default(); 3];
    let mut hours: BTreeMap<String, Day> = BTreeMap::new();
    let mut rows = Vec::new();
    for kb in names.iter().take(GATHERED) {
        let (today, yesterday, week) =
            try_join3(figures(page, kb, 0, "hour"), figures(page, kb, 1, "day"), figures(page, kb, 7, "day"))
                .await?;
        for group in &today.groups {
            hours.entry(group.key.clone()).or_default().add(group);
        }
        days[1].add(&yesterday.all);
        days[2].add(&week.all);
        days[0].add(&today.all);
        rows.push((kb, today.all));
    }
    let body = html! {
        (unwell(page, &health))
        (tiles(page, &days, &health.waiting))
        @if names.len() > GATHERED { p.soft { (page.say("只合计前 20 个知识库；其余请看统计。", "The first 20 knowledge bases only; see the figures of the others.")) } }
        @if days[0].questions > 0 { (by_hour(page, &hours)) (by_kb(page, &rows)) }
        @else { p.empty { (page.say("今天还没有人提问。", "Nobody has asked today.")) } }
    };
    Ok(page.show(Sheet::new(page.say("今天", "Today"), body).of_admin()))
}

/// What needs somebody.
fn unwell(page: &Page, health: &Health) -> Markup {
    let dead = health.waiting.dead;
    html! {
        @if !health.warnings.is_empty() || dead > 0 {
            div.card.problem role="alert" {
                b { (page.say("有需要处理的情况：", "Something needs you: ")) }
                @if !health.warnings.is_empty() { (health.warnings.len()) (page.say(" 条告警", " warnings")) " " }
                @if dead > 0 { (dead) (page.say(" 条消息没送到", " messages given up")) " " }
                a href="/console/admin/health" { (page.say("查看", "Look")) }
            }
        }
    }
}

fn tiles(page: &Page, days: &[Day; 3], waiting: &Waiting) -> Markup {
    let [today, yesterday, week] = days;
    let since = waiting.handoffs_since.as_deref().and_then(seconds_since);
    let counted: [(&str, Told); 6] = [
        (page.say("问题", "Questions"), |day| day.questions.to_string()),
        (page.say("直接回答", "Answered"), |day| share(day.answered, day.questions)),
        (page.say("反问", "Asked back"), |day| share(day.clarified, day.questions)),
        (page.say("没答上", "Handed off"), |day| share(day.handed_off, day.questions)),
        (page.say("确认解决", "Solved, confirmed"), |day| share(day.solved, day.solved_of)),
        (page.say("报错（答得不对）", "Reported wrong"), |day| day.wrong.to_string()),
    ];
    html! {
        dl.tiles {
            @for (name, value) in counted {
                div.card { dt { (name) } dd {
                    b { (value(today)) }
                    span.soft { (page.say("昨天 ", "yesterday ")) (value(yesterday)) (page.say(" · 上周同日 ", " · a week ago ")) (value(week)) }
                } }
            }
            div.card { dt { (page.say("等待人工", "Waiting for people")) } dd {
                b { a href="/console/desk" { (waiting.handoffs) } }
                span.soft {
                    @if let Some(since) = since { (page.say("最久 ", "longest ")) (span(page, since)) " · " }
                    (page.say("接待中 ", "taken ")) (waiting.taken)
                }
            } }
        }
        p.soft { (page.say("昨天和上周同日是全天的数字；日期按北京时间。", "Yesterday and a week ago are whole days; days are those of China.")) }
    }
}

fn seconds_since(moment: &str) -> Option<i64> {
    let at = time::OffsetDateTime::parse(moment, &time::format_description::well_known::Rfc3339).ok()?;
    Some((time::OffsetDateTime::now_utc() - at).whole_seconds())
}

fn by_hour(page: &Page, hours: &BTreeMap<String, Day>) -> Markup {
    let title = page.say("今天各时段的问题", "Questions of today by hour");
    let columns: Vec<Column<'_>> = hours
        .iter()
        .map(|(name, day)| Column {
            name,
            parts: vec![("answered", day.answered), ("clarified", day.clarified), ("handed", day.handed_off)],
        })
        .collect();
    html! {
        section.card {
            h2 { (title) }
            div.figure {
                div {
                    (chart::columns(title, &columns))
                    p.soft.legend { span.key.answered {} (page.say("回答 ", "answered ")) span.key.clarified {} (page.say("反问 ", "asked back ")) span.key.handed {} (page.say("没答上", "handed off")) }
                }
                div.scroll tabindex="0" role="region" aria-label=(title) {
                    table.list.numbers {
                        thead { tr { th { (page.say("时段", "Hour")) } th { (page.say("问题", "Questions")) } th { (page.say("回答", "Answered")) } th { (page.say("反问", "Asked back")) } th { (page.say("没答上", "Handed off")) } } }
                        tbody { @for (name, day) in hours { tr { td { (name) } td { (day.questions) } td { (day.answered) } td { (day.clarified) } td { (day.handed_off) } } } }
                    }
                }
            }
        }
    }
}

fn by_kb(page: &Page, rows: &[(&String, Group)]) -> Markup {
    let title = page.say("各知识库", "By knowledge base");
    html! {
        section.card {
            h2 { (title) }
            div.scroll tabindex="0" role="region" aria-label=(title) {
                table.list.numbers {
                    thead { tr { th { (page.say("知识库", "Knowledge base")) } th { (page.say("问题", "Questions")) } th { (page.say("回答率", "Answer rate")) } th { (page.say("没答上", "Handoff rate")) } th { "p50" } th { "p95" } } }
                    tbody { @for (kb, group) in rows { tr {
                        td { a href=(address("/console/stats", &[("kb", kb)])) { (kb) } }
                        td { (group.counts.questions) }
                        td { (share(group.counts.answered, group.counts.questions)) }
                        td { (share(group.counts.handed_off, group.counts.questions)) }
                        @match &group.latency_us {
                            Some(latency) => { td { (millis(latency.p50)) } td { (millis(latency.p95)) } }
                            None => { td { "—" } td { "—" } }
                        }
                    } } }
                }
            }
        }
    }
}

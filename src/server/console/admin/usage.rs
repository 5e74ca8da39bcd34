//! How much was asked, and by whom?

use std::collections::BTreeMap;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;
use serde::Deserialize;

use super::super::super::Server;
use super::super::chart::{self, Column};
use super::super::form::Form;
use super::super::inside::address;
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::table;

/// Rows that are listed; the file has all.
const LISTED: usize = 500;
/// Days that are drawn.
const DRAWN: usize = 31;

pub(super) fn routes() -> Router<Server> {
    Router::new().route("/console/admin/usage", get(show)).route("/console/admin/usage/export", get(export))
}

#[derive(Deserialize)]
struct Row {
    day: String,
    kb: String,
    channel: String,
    key: String,
    questions: u64,
    answered: u64,
}

#[derive(Deserialize)]
struct Usage {
    from: String,
    to: String,
    questions: u64,
    items: Vec<Row>,
    lost: u64,
    missing_nodes: Vec<String>,
}

fn api(asked: &Form) -> String {
    address("/v1/usage", &["from", "to", "kb"].map(|name| (name, asked.get(name))))
}

async fn show(page: Page) -> Response {
    page.reply(shown(&page).await)
}

async fn shown(page: &Page) -> Outcome {
    let asked = page.query();
    let usage: Usage = page.inside.get(&api(&asked)).read().await?;
    let keys = keys(page).await;
    let mut days: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for row in &usage.items {
        let (answered, other) = days.entry(&row.day).or_default();
        *answered += row.answered;
        *other += row.questions - row.answered.min(row.questions);
    }
    let first = days.len().saturating_sub(DRAWN);
    let columns: Vec<Column<'_>> = days
        .iter()
        .skip(first)
        .map(|(name, (answered, other))| Column {
            name,
            parts: vec![("answered", *answered), ("clarified", *other)],
        })
        .collect();
    let title = page.say("每天的提问", "Questions by day");
    let file = |format: &str| {
        let named =
            [("from", usage.from.as_str()), ("to", &usage.to), ("kb", asked.get("kb")), ("format", format)];
        address("/console/admin/usage/export", &named)
    };
    let nothing = page.say("（没有）", "(none)");
    let or = |text: &'_ str| if text.is_empty() { nothing.to_owned() } else { text.to_owned() };
    let body = html! {
        form.row method="get" {
            label { span.label { (page.say("从", "From")) } input type="date" name="from" value=(usage.from); }
            label { span.label { (page.say("到", "To")) } input type="date" name="to" value=(usage.to); }
            label { span.label { (page.say("知识库", "Knowledge base")) } select name="kb" {
                option value="" { (page.say("全部", "all")) }
                @for name in &page.me.knowledge_bases { option value=(name) selected[name == asked.get("kb")] { (name) } }
            } }
            button.button.primary type="submit" { (page.say("查看", "Show")) }
        }
        div.toolbar {
            a.button.small href=(file("csv")) { (page.say("导出 CSV", "Export CSV")) }
            a.button.small href=(file("xlsx")) { (page.say("导出 Excel", "Export XLSX")) }
            span.soft { (page.say("每个已答复的提问计一次，寒暄和点选也算，所以比统计里的问题数多；日期按北京时间。", "Every message that was replied to counts once, small talk and choices too, so that it is more than the questions of the statistics; days are those of China.")) }
        }
        @if usage.lost > 0 { div.card.problem { (page.say("没有存下的提问（没有计入）：", "Questions that could not be stored, and are not counted: ")) (usage.lost) } }
        @if !usage.missing_nodes.is_empty() { div.card.problem { (page.say("有节点失去了联系，它们最后一秒的提问要等恢复后才能计入：", "Some nodes have vanished; what they were asked in their last second may be missing until they are back: ")) (usage.missing_nodes.join(" ")) } }
        dl.tiles { div.card { dt { (page.say("提问", "Questions")) } dd { b { (usage.questions) } } } }
        @if usage.items.is_empty() { p.empty { (page.say("这段时间没有人提问。", "Nobody asked in these days.")) } }
        @else {
            section.card {
                h2 { (title) }
                div.figure {
                    div { (chart::columns(title, &columns)) p.soft.legend { span.key.answered {} (page.say("回答 ", "answered ")) span.key.clarified {} (page.say("反问和没答上", "asked back or handed off")) } }
                    div.scroll tabindex="0" role="region" aria-label=(title) { table.list.numbers {
                        thead { tr { th { (page.say("日期", "Day")) } th { (page.say("提问", "Questions")) } th { (page.say("回答", "Answered")) } } }
                        tbody { @for (day, (answered, other)) in &days { tr { td { (day) } td { (answered + other) } td { (answered) } } } }
                    } }
                }
            }
            section.card {
                h2 { (page.say("明细", "In detail")) }
                div.scroll tabindex="0" role="region" aria-label=(page.say("明细", "In detail")) { table.list {
                    thead { tr { th { (page.say("日期", "Day")) } th { (page.say("知识库", "Knowledge base")) } th { (page.say("渠道", "Channel")) } th { (page.say("密钥", "Key")) } th { (page.say("提问", "Questions")) } th { (page.say("回答", "Answered")) } } }
                    tbody { @for row in usage.items.iter().take(LISTED) { tr {
                        td.nowrap { (row.day) } td { (row.kb) } td { (or(&row.channel)) } td { @match keys.get(&row.key).filter(|name| !name.is_empty()) { Some(name) => span title=(row.key) { (name) }, None => code { (or(&row.key)) } } } td.number { (row.questions) } td.number { (row.answered) }
                    } } }
                } }
                @if usage.items.len() > LISTED { p.soft { (page.say("只列出前 500 行，全部请导出。", "The first 500 rows; export for all.")) } }
            }
        }
    };
    Ok(page.show(Sheet::new(page.say("用量", "Usage"), body).of_admin()))
}

async fn export(page: Page) -> Response {
    page.reply(exported(&page).await)
}

/// All rows as a table for people.
async fn exported(page: &Page) -> Outcome {
    let asked = page.query();
    let usage: Usage = page.inside.get(&api(&asked)).read().await?;
    let keys = keys(page).await;
    let headings = [
        page.say("日期", "day"),
        page.say("知识库", "knowledge base"),
        page.say("渠道", "channel"),
        page.say("密钥", "key"),
        page.say("密钥编号", "key id"),
        page.say("提问", "questions"),
        page.say("回答", "answered"),
    ];
    let rows = usage.items.iter().map(|row| {
        let name = keys.get(&row.key).cloned().unwrap_or_default();
        let (questions, answered) = (row.questions.to_string(), row.answered.to_string());
        vec![row.day.clone(), row.kb.clone(), row.channel.clone(), name, row.key.clone(), questions, answered]
    });
    let title = format!("{}-{}-{}", page.say("用量", "usage"), usage.from, usage.to);
    table(&title, &headings.map(str::to_owned), rows.collect(), asked.get("format"))
}

#[derive(Deserialize)]
struct Key {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Keys {
    items: Vec<Key>,
}

/// What keys are called, by their ids.
async fn keys(page: &Page) -> BTreeMap<String, String> {
    // Who may not list them sees their ids.
    let known = page.inside.get("/v1/keys").read::<Keys>().await;
    known.map_or_else(
        |_| BTreeMap::new(),
        |keys| keys.items.into_iter().map(|key| (key.id, key.name)).collect(),
    )
}

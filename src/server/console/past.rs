//! What became of the conversations that are over?

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;
use serde::Deserialize;

use super::super::Server;
use super::desk::Handoff;
use super::inside::address;
use super::page::{Outcome, Page, Sheet};
use super::told::{reason, state, when};

const PLACE: &str = "/console/desk/past";

/// Conversations of a page.
const LISTED: &str = "50";

const FILTERS: [&str; 5] = ["q", "agent", "kb", "from", "to"];

pub(super) fn routes() -> Router<Server> {
    Router::new().route(PLACE, get(list))
}

#[derive(Deserialize)]
struct Past {
    items: Vec<Handoff>,
    next: Option<i64>,
}

async fn list(page: Page) -> Response {
    page.reply(listed(&page).await)
}

async fn listed(page: &Page) -> Outcome {
    let asked = page.query();
    let filters = FILTERS.map(|name| match name {
        "agent" => (name, page.login(asked.get(name))),
        _ => (name, asked.get(name)),
    });
    let wanted = [filters.as_slice(), &[("before", asked.get("before")), ("limit", LISTED)]].concat();
    let (found, refused) = match page.inside.get(&address("/v1/handoffs/past", &wanted)).read().await {
        Ok(found) => (found, None),
        // What was filled in stands below it, to be mended.
        Err(refusal) if refusal.code == 422 => (Past { items: Vec::new(), next: None }, Some(refusal)),
        Err(refusal) => return Err(refusal),
    };
    let Past { items, next } = found;
    let more =
        next.map(|next| address(PLACE, &[filters.as_slice(), &[("before", &next.to_string())]].concat()));
    let mine = page.me.name.as_str();
    let body = html! {
        p { a href="/console/desk" { "← " (page.say("坐席工作台", "Desk")) } }
        @if let Some(refusal) = &refused { p.fault role="alert" { (page.fault(refusal)) } }
        form.row method="get" action=(PLACE) {
            label { span.label { (page.say("问题、聊天记录、顾客资料或会话编号", "Question, words, customer or conversation")) } input type="search" name="q" value=(asked.get("q")); }
            label { span.label { (page.say("坐席", "Agent")) } input name="agent" value=(asked.get("agent")) list="agents"; }
            datalist #agents { option value=(mine) { (page.called(mine)) } }
            @if page.me.knowledge_bases.len() > 1 {
                label { span.label { (page.say("知识库", "Knowledge base")) } select name="kb" {
                    option value="" { (page.say("全部", "All")) }
                    @for name in &page.me.knowledge_bases { option value=(name) selected[name == asked.get("kb")] { (name) } }
                } }
            }
            label { span.label { (page.say("从", "From")) } input type="date" name="from" value=(asked.get("from")); }
            label { span.label { (page.say("到（不含）", "To (not included)")) } input type="date" name="to" value=(asked.get("to")); }
            button.button.primary type="submit" { (page.say("查找", "Search")) }
        }
        div.toolbar { a.button.small href=(address(PLACE, &[("agent", mine)])) { (page.say("只看我的", "Mine only")) } }
        @if refused.is_some() {}
        @else if items.is_empty() { p.empty { (page.say("没有符合条件的会话。", "No conversation fits.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("会话记录", "Past conversations")) {
                table.list {
                    thead { tr {
                        th { (page.say("问题与摘要", "Question and summary")) } th { (page.say("结果", "Outcome")) } th { (page.say("原因", "Reason")) }
                        th { (page.say("坐席", "Agent")) } th { (page.say("知识库 · 渠道", "Knowledge base · channel")) } th { (page.say("结束", "Ended")) }
                    } }
                    tbody { @for one in &items { tr {
                        td { a href=(one.place()) { b { (one.about()) } } p.soft.clip { (one.summary) } }
                        td { (state(page, &one.state)) }
                        td { (reason(page, &one.reason)) }
                        td { (one.agent.as_deref().map_or("—".into(), |agent| page.called(agent))) }
                        td { (one.kb) " · " (one.channel.as_deref().unwrap_or("—")) }
                        td.nowrap { @if let Some(ended) = &one.ended_at { (when(ended)) } }
                    } } }
                }
            }
            @if let Some(more) = more { p { a href=(more) { (page.say("更早的", "Older")) } } }
        }
    };
    let sheet = Sheet::new(page.say("会话记录", "Past conversations"), body);
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

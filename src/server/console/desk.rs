//! Who waits for a person, and whom do I talk to?

use axum::Router;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Server;
use super::form::Form;
use super::inside::{Refusal, address, part};
use super::page::{Outcome, Page, Sheet};
use super::told::{reason, span, state, when};

pub(super) fn routes() -> Router<Server> {
    Router::new().route("/console/desk", get(queue)).route("/console/desk/presence", post(presence))
}

/// A handoff as the API tells it.
#[derive(Deserialize)]
pub(super) struct Handoff {
    pub(super) id: String,
    pub(super) number: i64,
    pub(super) conversation: String,
    pub(super) kb: String,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) rule: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) customer: Option<Value>,
    pub(super) waiting_s: i64,
    pub(super) position: Option<i64>,
    pub(super) summary: String,
    pub(super) question: String,
    pub(super) candidates: Vec<Named>,
    pub(super) shown: Vec<Named>,
    pub(super) transcript: Vec<Line>,
    pub(super) release: String,
    pub(super) agent: Option<String>,
    pub(super) created_at: String,
    pub(super) ended_at: Option<String>,
    pub(super) lease_until: Option<String>,
}

/// An entry of a handoff.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) entry: String,
    pub(super) question: String,
    pub(super) confidence: Option<f64>,
}

/// Something that was said.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) seq: i64,
    pub(super) role: String,
    pub(super) text: String,
    pub(super) at: String,
    pub(super) author: Option<String>,
    pub(super) decision: Option<String>,
    #[serde(default)]
    pub(super) suggestions: Vec<Named>,
    pub(super) picture: Option<Picture>,
    #[serde(default)]
    pub(super) images: Value,
    #[serde(default)]
    pub(super) links: Value,
}

#[derive(Deserialize)]
pub(super) struct Picture {
    pub(super) id: String,
    pub(super) name: String,
}

impl Handoff {
    /// Where its page is.
    pub(super) fn place(&self) -> String {
        format!("/console/desk/{}", part(&self.id))
    }

    /// What it is about: of somebody who only asked for a person, what they had said before.
    pub(super) fn about(&self) -> &str {
        let said = || self.transcript.iter().rev().filter(|line| line.role == "customer");
        match self.reason.as_str() {
            "requested" => {
                said().find(|line| line.text != self.question).map_or(&self.question, |line| &line.text)
            }
            _ => &self.question,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state == "waiting"
    }

    /// Whether somebody has it who is called so.
    pub(super) fn is_of(&self, name: &str) -> bool {
        matches!(self.state.as_str(), "claimed" | "answered") && self.agent.as_deref() == Some(name)
    }
}

/// Those that are open.
#[derive(Deserialize)]
struct Handoffs {
    items: Vec<Handoff>,
    next: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Somebody {
    pub(super) agent: String,
    pub(super) state: String,
}

/// Who is at the desk.
#[derive(Deserialize)]
pub(super) struct Presence {
    pub(super) items: Vec<Somebody>,
    /// Under which name the reader acts.
    pub(super) you: String,
}

async fn queue(page: Page) -> Response {
    page.reply(shown(&page).await)
}

async fn shown(page: &Page) -> Outcome {
    let asked = page.query();
    let (kb, after) = (asked.get("kb"), asked.get("after"));
    let list = address("/v1/handoffs", &[("kb", kb), ("after", after), ("limit", "100"), ("lines", HEARD)]);
    let Handoffs { items, next } = page.inside.get(&list).read().await?;
    let presence: Presence = page.inside.get("/v1/presence").read().await?;
    let mine = held(page, &presence.you, kb).await?;
    let (waiting, mut others): (Vec<_>, Vec<_>) = items.iter().partition(|one| one.is_waiting());
    others.retain(|one| !one.is_of(&presence.you));
    let more = next.map(|next| address("/console/desk", &[("kb", kb), ("after", &next.to_string())]));
    let body = html! {
        div data-desk="queue" data-you=(presence.you) data-csrf=(page.me.csrf_token.as_deref().unwrap_or_default()) {
            div.toolbar {
                (there(page, &presence))
                label.switch hidden data-sound { input type="checkbox"; " " (page.say("新会话提示音", "Sound on new work")) }
                a.button.small href="/console/desk/past" { (page.say("会话记录", "Past conversations")) }
                a.button.small href="/console/desk/replies" { (page.say("常用语", "Canned replies")) }
                a.button.small href=(page.here) { (page.say("刷新", "Refresh")) }
                @if page.me.knowledge_bases.len() > 1 { (by_kb(page, kb)) }
            }
            p.soft role="status" data-status { }
            div #live-queue data-live data-waiting=(waiting.len()) {
                h2 { (page.say("我的会话", "My conversations")) " (" (mine.len()) ")" }
                @if mine.is_empty() { p.empty { (page.say("您现在没有接待中的会话。", "You have no conversation now.")) } }
                @else { ul.works { @for one in &mine { (work(page, one, true)) } } }
                h2 { (page.say("等待接待", "Waiting")) " (" (waiting.len()) @if next.is_some() { "+" } ")" }
                @if waiting.is_empty() { p.empty { (page.say("没有人在等待。", "Nobody is waiting.")) } }
                @else { (table(page, &waiting)) }
                @if let Some(more) = more { p { a href=(more) { (page.say("下一页", "Next page")) } } }
                @if !others.is_empty() {
                    details #others {
                        summary { (page.say("同事正在接待", "With colleagues")) " (" (others.len()) ")" }
                        ul.works { @for one in &others { (work(page, one, false)) } }
                    }
                }
            }
        }
    };
    Ok(page.show(Sheet::new(page.say("坐席工作台", "Desk"), body).with_script("desk.js")))
}

/// Lines from which a list tells what a conversation is about, and what was said last.
const HEARD: &str = "10";

/// The conversations that somebody has now, wherever they stand among all that are open.
pub(super) async fn held(page: &Page, agent: &str, kb: &str) -> Result<Vec<Handoff>, Refusal> {
    let asked = [("agent", agent), ("kb", kb), ("limit", "200"), ("lines", HEARD)];
    let Handoffs { items, .. } = page.inside.get(&address("/v1/handoffs", &asked)).read().await?;
    Ok(items)
}

/// Who is there, and a word for oneself.
fn there(page: &Page, presence: &Presence) -> Markup {
    let own = presence.items.iter().find(|one| one.agent == presence.you);
    let own = own.map_or("offline", |one| one.state.as_str());
    let choices = [
        ("online", page.say("在线", "Online")),
        ("away", page.say("离开", "Away")),
        ("offline", page.say("下线", "Offline")),
    ];
    let online = presence.items.iter().filter(|one| one.state == "online").count();
    html! {
        form.presence method="post" action="/console/desk/presence" data-presence {
            (page.csrf())
            fieldset {
                legend.soft { (page.say("我的状态", "My state")) }
                @for (name, text) in choices {
                    button.button.small type="submit" name="state" value=(name) aria-pressed=(if own == name { "true" } else { "false" }) { (text) }
                }
            }
        }
        p.soft #live-presence data-live {
            (page.say("在线 ", "Online: ")) (online) (page.say(" 人", ""))
            @if !presence.items.is_empty() { "：" }
            @for (at, one) in presence.items.iter().enumerate() {
                @if at > 0 { "、" }
                (page.called(&one.agent))
                @if one.state != "online" { (page.say("（离开）", " (away)")) }
            }
        }
    }
}

fn by_kb(page: &Page, chosen: &str) -> Markup {
    html! {
        form.row method="get" action="/console/desk" {
            label { span.label { (page.say("知识库", "Knowledge base")) }
                select name="kb" {
                    option value="" { (page.say("全部", "All")) }
                    @for name in &page.me.knowledge_bases { option value=(name) selected[name == chosen] { (name) } }
                }
            }
            button.button.small type="submit" { (page.say("筛选", "Filter")) }
        }
    }
}

/// What waits, the first in the queue first.
fn table(page: &Page, waiting: &[&Handoff]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(page.say("等待接待的会话", "Waiting conversations")) {
            table.list.queue {
                thead { tr {
                    th { (page.say("已等待", "Waiting")) }
                    th { (page.say("原因", "Reason")) }
                    th { (page.say("问题与摘要", "Question and summary")) }
                    th { (page.say("知识库 · 渠道", "Knowledge base · channel")) }
                    th { span.hidden-label { (page.say("操作", "Action")) } }
                } }
                tbody { @for one in waiting {
                    tr {
                        td.wait { b data-since=(one.waiting_s) { (span(page, one.waiting_s)) } }
                        td { span.tag.warn { (reason(page, &one.reason)) } }
                        td { a href=(one.place()) { b { (one.about()) } } p.soft.clip { (one.summary) } }
                        td { (one.kb) " · " (one.channel.as_deref().unwrap_or("—")) }
                        td { (claim(page, one)) }
                    }
                } }
            }
        }
    }
}

/// The button that takes a conversation.
pub(super) fn claim(page: &Page, one: &Handoff) -> Markup {
    html! {
        form method="post" action={ (one.place()) "/claim" } {
            (page.csrf())
            button.button.primary.small type="submit" aria-label={ (page.say("接待：", "Take: ")) (one.about()) } { (page.say("接待", "Take")) }
        }
    }
}

/// A conversation that somebody has; the script hears the customers of the reader's own.
pub(super) fn work(page: &Page, one: &Handoff, is_mine: bool) -> Markup {
    let last = one.transcript.iter().rev().find(|line| line.role == "customer");
    html! {
        li.card data-own=[is_mine.then_some(&one.id)] {
            div.verdict-head {
                (state(page, &one.state))
                a href=(one.place()) { b { (one.about()) } }
                span.soft { (one.kb) " · " (one.channel.as_deref().unwrap_or("—")) @if let Some(agent) = &one.agent { " · " (page.called(agent)) } }
            }
            @if let Some(last) = last { p.clip { (page.say("顾客：", "Customer: ")) (last.text) " " span.soft { (when(&last.at)) } } }
        }
    }
}

async fn presence(page: Page, form: Form) -> Response {
    let said = json!({"state": form.get("state")});
    match form.ask(&page, Method::PUT, "/v1/presence").json(&said).got().await {
        Ok(_) => page.go("/console/desk", page.say("状态已更新。", "Your state is set.")),
        Err(refusal) => page.denied(&form, &refusal, "/console/desk"),
    }
}

//! Which questions were left behind, and what became of them?

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::Server;
use super::desk::{Handoff, Presence};
use super::form::Form;
use super::inside::{Refusal, address, part};
use super::page::{Outcome, Page, Sheet};
use super::told::{state, when};
use crate::dialogue::ticket::TicketState;

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route("/console/tickets", get(list))
        .route("/console/tickets/export", get(export))
        .route("/console/tickets/new", get(new).post(make))
        .route("/console/tickets/{number}", get(one).post(change))
}

/// Stands before the name of a field that the author made: it may be called as one of ours.
const ASKED: &str = "field.";

const NEW: &str = "/console/tickets/new";

const STATES: [&str; 4] = ["open", "pending", "solved", "closed"];

#[derive(Deserialize)]
struct Ticket {
    number: i64,
    kb: String,
    conversation: Option<String>,
    state: String,
    version: i64,
    assignee: Option<String>,
    channel: Option<String>,
    fields: Map<String, Value>,
    /// What the form calls them.
    #[serde(default)]
    labels: Map<String, Value>,
    summary: String,
    notes: Vec<Note>,
    created_at: String,
    updated_at: String,
}

#[derive(Deserialize)]
struct Note {
    author: String,
    text: String,
    at: String,
}

#[derive(Deserialize)]
struct Tickets {
    items: Vec<Ticket>,
    next: Option<i64>,
}

impl Ticket {
    /// What it is about, in a line.
    fn about(&self) -> String {
        // The shipped form calls the question so; of another one the longest answer tells most.
        let question = self.fields.get("text").and_then(Value::as_str);
        let longest =
            || self.fields.values().filter_map(Value::as_str).max_by_key(|text| text.chars().count());
        let first = question.or_else(longest);
        let text = first.filter(|text| !text.is_empty()).unwrap_or(&self.summary);
        text.chars().take(80).collect()
    }
}

/// A state as people read it.
fn word<'a>(page: &Page, code: &'a str) -> &'a str {
    match TicketState::named(code) {
        Some(state) if !page.is_english() => state.in_chinese(),
        _ => code,
    }
}

async fn list(page: Page) -> Response {
    page.reply(listed(&page).await)
}

async fn listed(page: &Page) -> Outcome {
    let asked = page.query();
    let (kept, assignee, kb) = (asked.get("state"), page.login(asked.get("assignee")), asked.get("kb"));
    let filters = [("state", kept), ("assignee", assignee), ("kb", kb)];
    let mut wanted = filters.to_vec();
    wanted.push(("before", asked.get("before")));
    let Tickets { items, next } = page.inside.get(&address("/v1/tickets", &wanted)).read().await?;
    let more = next.map(|next| {
        let next = next.to_string();
        let mut wanted = filters.to_vec();
        wanted.push(("before", &next));
        address("/console/tickets", &wanted)
    });
    let file =
        |format: &str| address("/console/tickets/export", &[("state", kept), ("kb", kb), ("format", format)]);
    let mine = page.me.name.as_str();
    let body = html! {
        form.row method="get" action="/console/tickets" {
            label { span.label { (page.say("状态", "State")) } select name="state" {
                option value="" { (page.say("全部", "All")) }
                @for code in STATES { option value=(code) selected[code == kept] { (word(page, code)) } }
            } }
            label { span.label { (page.say("负责人", "Assignee")) } input name="assignee" value=(assignee) list="agents"; }
            datalist #agents { option value=(mine) { (page.called(mine)) } }
            label { span.label { (page.say("知识库", "Knowledge base")) } select name="kb" {
                option value="" { (page.say("全部", "All")) }
                @for name in &page.me.knowledge_bases { option value=(name) selected[name == kb] { (name) } }
            } }
            button.button type="submit" { (page.say("筛选", "Filter")) }
        }
        div.toolbar {
            a.button.small href=(address("/console/tickets/new", &[("kb", kb)])) { (page.say("新建工单", "New ticket")) }
            a.button.small href=(address("/console/tickets", &[("assignee", mine)])) { (page.say("只看我的", "Mine only")) }
            a.button.small href=(file("csv")) { (page.say("导出 CSV", "Export CSV")) }
            a.button.small href=(file("xlsx")) { (page.say("导出 Excel", "Export XLSX")) }
        }
        @if items.is_empty() { p.empty { (page.say("没有符合条件的工单。", "No ticket fits.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("工单", "Tickets")) {
                table.list {
                    thead { tr {
                        th { (page.say("编号", "Number")) } th { (page.say("内容", "About")) } th { (page.say("状态", "State")) }
                        th { (page.say("负责人", "Assignee")) } th { (page.say("知识库 · 渠道", "Knowledge base · channel")) } th { (page.say("创建", "Made")) }
                    } }
                    tbody { @for ticket in &items { tr {
                        td { a href={ "/console/tickets/" (ticket.number) } { "#" (ticket.number) } }
                        td { (ticket.about()) }
                        td { (state(page, &ticket.state)) }
                        td { (ticket.assignee.as_deref().map_or("—".into(), |name| page.called(name))) }
                        td { (ticket.kb) " · " (ticket.channel.as_deref().unwrap_or("—")) }
                        td { (when(&ticket.created_at)) }
                    } } }
                }
            }
            @if let Some(more) = more { p { a href=(more) { (page.say("下一页", "Next page")) } } }
        }
    };
    Ok(page.show(Sheet::new(page.say("工单", "Tickets"), body)))
}

/// The export of the API under an address of the pages, so that whoever is not
/// signed in any more is asked to.
async fn export(page: Page) -> Response {
    let asked = page.query();
    let names = ["state", "kb", "format"].map(|name| (name, asked.get(name)));
    match page.inside.get(&address("/v1/tickets/export", &names)).got().await {
        Ok(got) => (got.headers, got.body).into_response(),
        Err(refusal) => page.failed(refusal),
    }
}

/// What a ticket asks for.
#[derive(Deserialize)]
struct Asked {
    kb: String,
    form: Asking,
}

#[derive(Deserialize)]
struct Asking {
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    label: String,
    kind: String,
    required: bool,
    #[serde(default)]
    options: Vec<String>,
    max_chars: usize,
}

async fn new(page: Page) -> Response {
    page.reply(newly(&page, None).await)
}

/// The form of a ticket that somebody at the desk makes, for a conversation or for itself.
async fn newly(page: &Page, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let asked = page.query();
    let handoff: Option<Handoff> = match asked.get("handoff") {
        "" => None,
        id => Some(page.inside.get(&format!("/v1/handoffs/{}", part(id))).read().await?),
    };
    let kb = handoff.as_ref().map_or_else(|| asked.get("kb"), |handoff| handoff.kb.as_str());
    let Asked { kb, form: Asking { fields } } =
        page.inside.get(&address("/v1/tickets/form", &[("kb", kb)])).read().await?;
    // What is known already need not be written again.
    let question = fields.iter().find(|field| field.kind == "long").or_else(|| fields.last());
    let known = |field: &Field| match (&refused, &handoff) {
        (Some((form, _)), _) => form.raw(&format!("{ASKED}{}", field.name)).to_owned(),
        (None, Some(handoff)) if question.is_some_and(|one| one.name == field.name) => {
            handoff.about().to_owned()
        }
        (None, Some(handoff)) => {
            let told = handoff.customer.as_ref().and_then(|customer| customer.get(&field.name));
            told.and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        (None, None) => String::new(),
    };
    let is_wrong = |name: &str| refused.is_some_and(|(_, refusal)| refusal.field.as_deref() == Some(name));
    let body = html! {
        @match &handoff {
            Some(handoff) => p { a href=(handoff.place()) { "← " (handoff.about()) } },
            None => p { a href="/console/tickets" { "← " (page.say("工单", "Tickets")) } },
        }
        @if handoff.is_none() && page.me.knowledge_bases.len() > 1 {
            form.row method="get" action=(NEW) {
                label { span.label { (page.say("知识库", "Knowledge base")) } select name="kb" {
                    @for name in &page.me.knowledge_bases { option value=(name) selected[*name == kb] { (name) } }
                } }
                button.button.small type="submit" { (page.say("换用它的表单", "Take its form")) }
            }
        }
        form.card method="post" action=(page.here) data-keep {
            (page.csrf())
            input type="hidden" name="client_id" value=(refused.map_or_else(crate::desk::new_id, |(form, _)| form.get("client_id").to_owned()));
            input type="hidden" name="kb" value=(kb);
            @if let Some(handoff) = &handoff {
                input type="hidden" name="session" value=(handoff.conversation);
                input type="hidden" name="channel" value=(handoff.channel.as_deref().unwrap_or_default());
            }
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (page.fault(refusal)) } }
            @for field in &fields { (filled_in(field, &known(field), is_wrong(&field.name))) }
            button.button.primary type="submit" { (page.say("建工单", "Make the ticket")) }
        }
    };
    let sheet = Sheet::new(page.say("新建工单", "New ticket"), body);
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

fn filled_in(field: &Field, value: &str, is_wrong: bool) -> Markup {
    let name = format!("{ASKED}{}", field.name);
    html! {
        label {
            span.label { (field.label) @if field.required { " *" } }
            @match field.kind.as_str() {
                "long" => textarea name=(name) rows="5" maxlength=(field.max_chars) required[field.required] aria-invalid[is_wrong] { "\n" (value) },
                "choice" => select name=(name) required[field.required] aria-invalid[is_wrong] {
                    option value="" {}
                    @for option in &field.options { option value=(option) selected[option == value] { (option) } }
                },
                _ => input name=(name) value=(value) maxlength=(field.max_chars) required[field.required] aria-invalid[is_wrong];
            }
        }
    }
}

async fn make(page: Page, form: Form) -> Response {
    let fields: Map<String, Value> = form
        .fields()
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(ASKED)?, value)))
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| (name.to_owned(), value.trim().into()))
        .collect();
    let mut made = json!({"kb": form.get("kb"), "client_id": form.get("client_id"), "fields": fields});
    for name in ["session", "channel"] {
        if !form.get(name).is_empty() {
            made[name] = form.get(name).into();
        }
    }
    let sent = form.ask(&page, Method::POST, "/v1/tickets").json(&made).got().await;
    match sent.and_then(|got| got.read::<Value>()) {
        Ok(ticket) => page.go(
            &format!("/console/tickets/{}", ticket["number"]),
            page.say("工单已建立。", "The ticket is made."),
        ),
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(newly(&page, Some((&form, &refusal))).await),
        },
    }
}

async fn one(page: Page, Path(number): Path<String>) -> Response {
    page.reply(shown(&page, &number, None).await)
}

async fn shown(page: &Page, number: &str, refused: Option<(&Form, String)>) -> Outcome {
    let to = format!("/v1/tickets/{}", part(number));
    let ticket: Ticket = page.inside.get(&to).read().await?;
    let presence: Presence = page.inside.get("/v1/presence").read().await?;
    let is_refused = refused.is_some();
    let body = html! {
        p { a href="/console/tickets" { "← " (page.say("工单", "Tickets")) } }
        div.desk {
            section.card {
                div.verdict-head {
                    (state(page, &ticket.state))
                    span.soft { (ticket.kb) " · " (ticket.channel.as_deref().unwrap_or("—")) " · " (when(&ticket.created_at)) }
                }
                h2 { (page.say("顾客填写", "What the customer wrote")) }
                dl.fields { @for (name, value) in &ticket.fields { dt { (ticket.labels.get(name).and_then(Value::as_str).unwrap_or(name)) } dd.words { @match value { Value::String(text) => (text), other => (other.to_string()) } } } }
                @if !ticket.summary.is_empty() { h2 { (page.say("之前的对话", "What was said before")) } p { (ticket.summary) } }
                @if let Some(conversation) = &ticket.conversation { p.soft { (page.say("会话 ", "Conversation ")) code { (conversation) } } }
                h2 { (page.say("备注", "Notes")) }
                @if ticket.notes.is_empty() { p.empty { (page.say("还没有备注。", "There is none yet.")) } }
                ul.plain { @for note in &ticket.notes { li { p.soft { b { (page.called(&note.author)) } " " (when(&note.at)) } p.words { (note.text) } } } }
            }
            (changes(page, &ticket, &presence, refused))
        }
    };
    let sheet = Sheet::new(format!("{} #{}", page.say("工单", "Ticket"), ticket.number), body);
    Ok(page.show(sheet.refused_if(is_refused)))
}

fn changes(page: &Page, ticket: &Ticket, presence: &Presence, refused: Option<(&Form, String)>) -> Markup {
    let (filled, fault) = match &refused {
        Some((form, fault)) => (Some(*form), Some(fault)),
        None => (None, None),
    };
    let chosen = filled.map_or(ticket.state.as_str(), |form| form.get("state"));
    let assignee =
        filled.map_or_else(|| ticket.assignee.as_deref().unwrap_or_default(), |form| form.get("assignee"));
    html! {
        form.card method="post" action={ "/console/tickets/" (ticket.number) } data-keep {
            (page.csrf())
            input type="hidden" name="version" value=(ticket.version);
            @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
            label { span.label { (page.say("状态", "State")) } select name="state" { @for code in STATES { option value=(code) selected[code == chosen] { (word(page, code)) } } } }
            label { span.label { (page.say("负责人", "Assignee")) } input name="assignee" value=(assignee) list="me" maxlength="100"; }
            datalist #me { @for name in [page.me.name.as_str()].into_iter().chain(presence.items.iter().map(|one| one.agent.as_str()).filter(|name| *name != page.me.name)) { option value=(name) { (page.called(name)) } } }
            @if page.called(assignee) != assignee { p.soft { (page.called(assignee)) } }
            label { span.label { (page.say("添加备注", "Add a note")) } textarea name="note" rows="4" maxlength="4000" { "\n" (filled.map_or("", |form| form.raw("note"))) } }
            div.toolbar {
                button.button.primary type="submit" { (page.say("保存", "Save")) }
                button.button type="submit" name="take" value="1" { (page.say("归我处理", "I see to it")) }
            }
            p.soft { (page.say("最近修改 ", "Changed ")) (when(&ticket.updated_at)) }
        }
    }
}

async fn change(page: Page, Path(number): Path<String>, form: Form) -> Response {
    let assignee = if form.has("take") { page.me.name.as_str() } else { page.login(form.get("assignee")) };
    let mut wanted = json!({"state": form.get("state"), "assignee": assignee, "note": form.raw("note")});
    if let Ok(version) = form.get("version").parse::<i64>() {
        wanted["version"] = version.into();
    }
    let api = format!("/v1/tickets/{}", part(&number));
    match form.ask(&page, Method::PATCH, &api).json(&wanted).got().await {
        Ok(_) => page.go(&format!("/console/tickets/{}", part(&number)), page.say("已保存。", "Saved.")),
        Err(refusal) => {
            if let Some(ended) = page.ended(&form, &refusal) {
                return ended;
            }
            let fault = match refusal.code {
                412 => page.say("同事刚改过这个工单：下面是您填写的，旁边是现在的内容；再保存一次即可。", "A colleague has just changed this ticket: here is what you filled in, beside it what there is now; save once more.").to_owned(),
                409 => page.say("工单已关闭；请先把状态改为待处理。", "The ticket is closed; set it to open first.").to_owned(),
                _ => page.fault(&refusal),
            };
            page.reply(shown(&page, &number, Some((&form, fault))).await)
        }
    }
}

//! Where do customers reach the robot, and does it work there?
//!
//! The list with how each channel stands; a form for each kind ([`kinds`]) that says
//! where every value stands in the platform's own console; what is to be pasted there;
//! and a check whose findings anybody understands ([`plain`]).

mod kinds;
mod one;
mod plain;

pub(super) use self::one::paste;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::kinds::{Field, Input, KINDS, Kind, kind};
use super::super::Server;
use super::form::Form;
use super::inside::{Refusal, address, part};
use super::page::{Outcome, Page, Sheet};
use super::told::when;

/// Where these pages are.
const PLACE: &str = "/console/admin/channels";
const API: &str = "/v1/channels";

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route(PLACE, get(list))
        .route("/console/admin/channels/new", get(new).post(one::create))
        .route("/console/admin/channels/of/{name}", get(one::show).post(one::change))
        .route("/console/admin/channels/of/{name}/test", post(one::test))
        .route("/console/admin/channels/of/{name}/remove", post(one::remove))
}

/// How a channel stands, as the API tells it.
#[derive(Deserialize)]
struct State {
    last_in: Option<String>,
    last_out: Option<String>,
    due: i64,
    dead: i64,
    error: Option<String>,
    error_at: Option<String>,
    reachable: i64,
    used_up: i64,
}

/// A channel, as the API tells it.
#[derive(Deserialize)]
struct Channel {
    name: String,
    kind: String,
    kb: String,
    path: Option<String>,
    site: Option<String>,
    settings: Map<String, Value>,
    secrets: Vec<String>,
    created_at: String,
    fault: Option<String>,
    state: State,
}

impl Channel {
    fn place(&self) -> String {
        place(&self.name)
    }
}

#[derive(Deserialize)]
struct All {
    items: Vec<Channel>,
    kinds: Vec<String>,
}

fn place(name: &str) -> String {
    format!("{PLACE}/of/{}", part(name))
}

/// The kind's name for people.
fn name_of<'a>(page: &Page, code: &'a str) -> &'a str {
    kind(code).map_or(code, |kind| kind.name(page))
}

/// How a channel is, in a word.
fn tag(page: &Page, channel: &Channel) -> Markup {
    let State { dead, error, due, .. } = &channel.state;
    let (class, text) = if channel.fault.is_some() {
        ("bad", page.say("设置有问题", "settings have a fault"))
    } else if *dead > 0 {
        ("bad", page.say("有消息没送到", "messages were given up"))
    } else if error.is_some() {
        ("warn", page.say("正在重试", "trying again"))
    } else if channel.state.last_in.is_none() {
        ("", page.say("还没有消息", "nothing came yet"))
    } else if *due > 0 {
        ("good", page.say("正在发送", "sending"))
    } else {
        ("good", page.say("正常", "fine"))
    };
    html! { span class={ "tag " (class) } { (text) } }
}

fn moment(page: &Page, at: Option<&str>) -> Markup {
    at.map_or_else(|| html! { span.soft { (page.say("还没有", "never")) } }, when)
}

async fn list(page: Page) -> Response {
    page.reply(listed(&page).await)
}

async fn listed(page: &Page) -> Outcome {
    let All { items, kinds } = page.inside.get(API).read().await?;
    let body = html! {
        @if items.is_empty() {
            p.empty { (page.say("还没有渠道。选一种开始：最快的是“网页”，一分钟就能看到效果。", "There are no channels yet. Choose one to begin; a web page takes a minute.")) }
        } @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr {
                    th scope="col" { (page.say("名称", "Name")) } th scope="col" { (page.say("类型", "Kind")) }
                    th scope="col" { (page.say("知识库", "Knowledge base")) } th scope="col" { (page.say("状态", "State")) }
                    th scope="col" { (page.say("最近收到", "Last in")) } th scope="col" { (page.say("最近发出", "Last out")) }
                    th.nowrap scope="col" { (page.say("待发 / 没送到", "Waiting / given up")) }
                } }
                tbody { @for one in &items { tr {
                    td { a href=(one.place()) { (one.name) } }
                    td { (name_of(page, &one.kind)) }
                    td { (one.kb) }
                    td { (tag(page, one)) }
                    td.nowrap { (moment(page, one.state.last_in.as_deref())) }
                    td.nowrap { (moment(page, one.state.last_out.as_deref())) }
                    td.nowrap { (one.state.due) " / " (one.state.dead) }
                } } }
            } }
        }
        h2 { (page.say("添加渠道", "Add a channel")) }
        ul.kinds {
            @for one in KINDS.iter().filter(|one| kinds.iter().any(|code| code == one.code)) {
                li.card {
                    div.verdict-head { b { (one.name(page)) } }
                    p { (one.about(page)) }
                    a.button.small href=(address("/console/admin/channels/new", &[("kind", one.code)])) aria-label={ (page.say("添加", "Add")) " " (one.name(page)) } { (page.say("添加", "Add")) }
                }
            }
        }
        @let bare: Vec<&String> = kinds.iter().filter(|code| kind(code).is_none()).collect();
        @if !bare.is_empty() {
            p.soft { (page.say("还可以用命令行添加：", "From the command line also: ")) @for code in bare { code { "zhida channel add --kind " (code) } " " } }
        }
    };
    Ok(page.show(Sheet::new(page.say("渠道", "Channels"), body).of_admin()))
}

async fn new(page: Page) -> Response {
    let asked = page.query();
    match kind(asked.get("kind")) {
        Some(kind) => fresh(&page, kind, None),
        None => page.go(PLACE, page.say("请先选择渠道类型。", "Choose a kind first.")),
    }
}

/// The form for a new channel.
fn fresh(page: &Page, kind: &Kind, refused: Option<(&Form, &Refusal)>) -> Response {
    let filled = |name: &str| refused.map_or("", |(form, _)| form.raw(name));
    let wrong = |name: &str| refused.is_some_and(|(_, refusal)| refusal.field.as_deref() == Some(name));
    let bases = &page.me.knowledge_bases;
    let title = format!("{}{}", page.say("添加渠道：", "Add a channel: "), kind.name(page));
    let body = html! {
        p { a href=(PLACE) { "← " (page.say("渠道", "Channels")) } }
        @if bases.is_empty() { div.card.problem role="alert" { (page.say("还没有知识库，请先导入一个。", "There is no knowledge base yet; import one first.")) } }
        form.card method="post" action=(address("/console/admin/channels/new", &[("kind", kind.code)])) data-keep {
            (page.csrf())
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (plain::fault(page, kind, refusal)) } }
            label.block { span.label { (page.say("名称", "Name")) }
                input.narrow name="name" required maxlength="64" pattern="[A-Za-z0-9_\\-]+" value=(filled("name")) autocomplete="off" aria-invalid[wrong("name")] aria-describedby="help-name"; }
            p.soft.help #help-name { (page.say("英文字母、数字、“-”或“_”，例如 ", "Letters, digits, '-' or '_', such as ")) code { (kind.code) "-1" } (page.say("。它会出现在地址里，以后不能改。", ". It is part of an address and stays.")) }
            (bases_of(page, filled("kb"), wrong("kb")))
            (fields(page, kind, &Filled { form: refused.map(|(form, _)| form), known: None, fault: refused.and_then(|(_, refusal)| refusal.field.as_deref()) }))
            button.button.primary type="submit" { (page.say("添加", "Add")) }
        }
    };
    let sheet = Sheet::new(title, body).of_admin();
    page.show(sheet.refused_if(refused.is_some()))
}

fn bases_of(page: &Page, chosen: &str, is_wrong: bool) -> Markup {
    html! {
        label.block { span.label { (page.say("由哪个知识库回答", "The knowledge base that answers")) }
            select.narrow name="kb" required aria-invalid[is_wrong] {
                // One that is gone is not changed for another one without a word.
                @if !chosen.is_empty() && !page.me.knowledge_bases.iter().any(|name| name == chosen) {
                    option value=(chosen) selected { (chosen) " " (page.say("（已删除）", "(removed)")) }
                }
                @for name in &page.me.knowledge_bases { option value=(name) selected[name == chosen] { (name) } }
            } }
    }
}

/// What a form is filled with.
struct Filled<'a> {
    /// What was sent and refused.
    form: Option<&'a Form>,
    /// What is kept.
    known: Option<&'a Channel>,
    /// The setting to blame.
    fault: Option<&'a str>,
}

impl Filled<'_> {
    fn text(&self, name: &str) -> String {
        if let Some(form) = self.form {
            return form.raw(name).to_owned();
        }
        match self.known.and_then(|known| known.settings.get(name)) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
            }
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    fn is_on(&self, name: &str) -> bool {
        match self.form {
            Some(form) => form.has(name),
            None => self.known.is_some_and(|known| known.settings.get(name) == Some(&Value::Bool(true))),
        }
    }

    fn has_secret(&self, name: &str) -> bool {
        self.known.is_some_and(|known| known.secrets.iter().any(|one| one == name))
    }
}

/// The settings of a kind: what is needed first, the rest folded away.
fn fields(page: &Page, kind: &Kind, filled: &Filled<'_>) -> Markup {
    let (needed, more): (Vec<&Field>, Vec<&Field>) = kind.fields.iter().partition(|field| field.is_needed);
    let is_open = more.iter().any(|field| filled.fault == Some(field.name)) || filled.known.is_some();
    html! {
        @for one in needed { (field(page, one, filled)) }
        @if !more.is_empty() {
            details open[is_open] {
                summary { (page.say("更多设置（可以不填）", "More, all of which may stay empty")) }
                @for one in more { (field(page, one, filled)) }
            }
        }
    }
}

fn field(page: &Page, field: &Field, filled: &Filled<'_>) -> Markup {
    let name = field.name;
    let help = format!("help-{name}");
    let is_wrong = filled.fault == Some(name);
    let is_set = filled.has_secret(name);
    let is_needed = field.is_needed && !is_set;
    html! {
        @match field.input {
            Input::Check => { p { label.check { input type="checkbox" name=(name) value="1" checked[filled.is_on(name)] aria-describedby=(help) aria-invalid[is_wrong]; " " (field.label(page)) } } }
            Input::People => {
                label.block { span.label { (field.label(page)) } select.narrow name=(name) aria-describedby=(help) aria-invalid[is_wrong] {
                    option value="ours" { (page.say("本系统的坐席", "Our own people")) }
                    option value="platform" selected[filled.text(name) == "platform"] { (page.say("平台自带的客服", "The platform's people")) }
                } }
            }
            Input::Security => {
                @let known = filled.text(name);
                label.block { span.label { (field.label(page)) } select.narrow name=(name) aria-describedby=(help) aria-invalid[is_wrong] {
                    option value="tls" { "TLS" }
                    option value="starttls" selected[known == "starttls"] { "STARTTLS" }
                    option value="plain" selected[known == "plain"] { (page.say("不加密（只限内网）", "none (inside the house only)")) }
                } }
            }
            Input::Lines => { label.block { span.label { (field.label(page)) } textarea name=(name) rows="3" required[is_needed] aria-describedby=(help) aria-invalid[is_wrong] { "\n" (filled.text(name)) } } }
            Input::Number => { label.block { span.label { (field.label(page)) } input.narrow name=(name) inputmode="numeric" pattern="[0-9]*" value=(filled.text(name)) aria-describedby=(help) aria-invalid[is_wrong]; } }
            Input::Text => { label.block { span.label { (field.label(page)) } input name=(name) required[is_needed] maxlength="2000" autocomplete="off" value=(filled.text(name)) aria-describedby=(help) aria-invalid[is_wrong]; } }
            Input::Secret => {
                label.block { span.label { (field.label(page)) }
                    input type="password" name=(name) required[is_needed] maxlength="2000" autocomplete="new-password" value=[filled.form.map(|form| form.raw(name))]
                        placeholder=[is_set.then_some(page.say("已保存，不改就留空", "Kept; leave it empty to keep it"))] aria-describedby=(help) aria-invalid[is_wrong]; }
                @if is_set && !field.is_needed { p { label.check { input type="checkbox" name="drop" value=(name); " " (page.say("清除已保存的 ", "Forget the ")) (field.label(page)) } } }
            }
        }
        p.soft.help id=(help) { (field.help(page)) }
    }
}

/// The settings that a form names, as the API takes them; `null` is what is empty.
fn settings(kind: &Kind, form: &Form) -> Value {
    let mut all = Map::new();
    for field in kind.fields {
        let (name, text) = (field.name, form.get(field.name));
        let value = match field.input {
            Input::Secret if text.is_empty() && !form.all("drop").any(|one| one == name) => continue,
            Input::Check => json!(form.has(name)),
            Input::Lines => json!(form.lines(name).collect::<Vec<_>>()),
            _ if text.is_empty() => Value::Null,
            Input::Number => text.parse::<i64>().map_or_else(|_| json!(text), Value::from),
            Input::Text | Input::Secret | Input::People | Input::Security => json!(text),
        };
        all.insert(name.to_owned(), value);
    }
    Value::Object(all)
}

//! Whose installations are these, and how much may each use?

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::super::super::Server;
use super::super::form::Form;
use super::super::inside::{Refusal, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::bytes;
use super::keys::{Limits, wanted_limits};

const PLACE: &str = "/console/admin/tenants";
const API: &str = "/v1/tenants";
const LIMITS: [&str; 4] = ["per_second", "per_month", "entries", "storage"];

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route(PLACE, get(list).post(create))
        .route("/console/admin/tenants/{name}", get(edit).post(change))
        .route("/console/admin/tenants/{name}/remove", post(remove))
}

#[derive(Deserialize)]
struct Tenant {
    name: String,
    created_at: Option<String>,
    limits: Limits,
}

#[derive(Deserialize)]
struct All {
    items: Vec<Tenant>,
}

async fn list(page: Page) -> Response {
    page.reply(listed(&page, None).await)
}

async fn listed(page: &Page, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let All { items } = page.inside.get(API).read().await?;
    let none = || html! { span.soft { (page.say("不限", "none")) } };
    let limit = |limit: Option<u64>| limit.map_or_else(none, |limit| html! { (limit) });
    let body = html! {
        p.soft { (page.say("每个租户有自己的知识库、密钥、人员、渠道和额度，互相看不见。", "Every tenant has knowledge bases, keys, people, channels and limits of its own; none sees another's.")) }
        div.scroll tabindex="0" role="region" aria-label=(page.say("租户", "Tenants")) { table.list {
            thead { tr {
                th scope="col" { (page.say("租户", "Tenant")) } th scope="col" { (page.say("每秒请求", "Requests a second")) } th scope="col" { (page.say("每月提问", "Questions a month")) }
                th scope="col" { (page.say("条目", "Entries")) } th scope="col" { (page.say("存储", "Storage")) } th scope="col" { (page.say("建于", "Since")) }
            } }
            tbody { @for one in &items { tr {
                td { a href={ (PLACE) "/" (part(&one.name)) } { (one.name) } @if one.created_at.is_none() { " " span.tag { (page.say("本机", "own")) } } }
                td.number { (limit(one.limits.per_second)) } td.number { (limit(one.limits.per_month)) } td.number { (limit(one.limits.entries)) }
                td.number { @match one.limits.storage { Some(most) => (bytes(most)), None => (none()) } }
                td.nowrap { @match &one.created_at { Some(at) => (when(at)), None => "—" } }
            } } }
        } }
        h2 #new { (page.say("新租户", "A new tenant")) }
        form.card method="post" action=(PLACE) data-keep {
            (page.csrf())
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (page.fault(refusal)) } }
            label.block { span.label { (page.say("名称", "Name")) } input.narrow name="name" required maxlength="64" value=(refused.map_or("", |(form, _)| form.raw("name"))) aria-describedby="help-name"; }
            p.soft #help-name { (page.say("小写英文字母、数字和“-”，例如 acme；以后不能改。", "Small letters, digits and '-', such as acme; it stays.")) }
            (fields(page, &|name| refused.map_or_else(String::new, |(form, _)| form.raw(name).to_owned())))
            button.button.primary type="submit" { (page.say("新建", "Make it")) }
        }
    };
    let sheet = Sheet::new(page.say("租户", "Tenants"), body).of_admin();
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

fn fields(page: &Page, filled: &dyn Fn(&str) -> String) -> Markup {
    let names = [
        ("per_second", page.say("每秒请求", "Requests a second")),
        ("per_month", page.say("每月提问", "Questions a month")),
        ("entries", page.say("条目总数", "Entries in all drafts")),
        ("storage", page.say("存储（字节）", "Storage (bytes)")),
    ];
    html! {
        fieldset {
            legend { (page.say("额度（不填就是不限）", "Limits (empty: none)")) }
            div.row { @for (name, text) in names {
                label { span.label { (text) } input.number name=(name) inputmode="numeric" pattern="[0-9]*" value=(filled(name)); }
            } }
        }
    }
}

async fn create(page: Page, form: Form) -> Response {
    let wanted = json!({"name": form.get("name"), "limits": wanted_limits(&form, &LIMITS)});
    match form.ask(&page, Method::POST, API).json(&wanted).got().await {
        Ok(_) => page.go(
            PLACE,
            page.say(
                "租户已建立。接着给它做一个管理员密钥或人员。",
                "The tenant is there; make an admin's key or person for it next.",
            ),
        ),
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(listed(&page, Some((&form, &refusal))).await),
        },
    }
}

async fn edit(page: Page, Path(name): Path<String>) -> Response {
    page.reply(edited(&page, &name, None).await)
}

async fn edited(page: &Page, name: &str, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let All { items } = page.inside.get(API).read().await?;
    let tenant = items.into_iter().find(|one| one.name == name).ok_or_else(Refusal::gone)?;
    let place = format!("{PLACE}/{}", part(name));
    let known = |field: &str| {
        let Limits { per_second, per_month, entries, storage } = &tenant.limits;
        let limit = match field {
            "per_second" => per_second,
            "per_month" => per_month,
            "entries" => entries,
            _ => storage,
        };
        limit.map_or(String::new(), |limit| limit.to_string())
    };
    let body = html! {
        p { a href=(PLACE) { "← " (page.say("租户", "Tenants")) } }
        form.card method="post" action=(place) data-keep {
            (page.csrf())
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (page.fault(refusal)) } }
            (fields(page, &|field| refused.map_or_else(|| known(field), |(form, _)| form.raw(field).to_owned())))
            button.button.primary type="submit" { (page.say("保存", "Save")) }
        }
        h2 { (page.say("管理员", "Admins")) }
        p { (page.say("第一个管理员在服务器上做：", "Its first admin is made on the server: ")) code { "zhida person create --tenant " (name) " --role admin NAME" } }
        @if tenant.created_at.is_some() {
            h2 { (page.say("删除", "Remove")) }
            form.card method="post" action={ (place) "/remove" } {
                (page.csrf())
                p { (page.say("它的知识库、会话、事件、密钥和人员都会删除，不能恢复。请先备份。", "Its knowledge bases, conversations, events, keys and people go, and do not come back. Make a backup first.")) }
                label.block { span.label { (page.say("请输入租户名称确认", "Type its name to confirm")) } input.narrow name="typed" required autocomplete="off" pattern=(name); }
                button.button.danger type="submit" { (page.say("删除租户", "Remove the tenant")) }
            }
        }
    };
    let sheet = Sheet::new(format!("{}{name}", page.say("租户：", "Tenant: ")), body).of_admin();
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

async fn change(page: Page, Path(name): Path<String>, form: Form) -> Response {
    let wanted = wanted_limits(&form, &LIMITS);
    match form.ask(&page, Method::PUT, &format!("{API}/{}", part(&name))).json(&wanted).got().await {
        Ok(_) => page.go(PLACE, page.say("已保存，马上生效。", "Saved; it counts at once.")),
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(edited(&page, &name, Some((&form, &refusal))).await),
        },
    }
}

async fn remove(page: Page, Path(name): Path<String>, form: Form) -> Response {
    let place = format!("{PLACE}/{}", part(&name));
    if form.get("typed") != name {
        return page.go_with_fault(
            &place,
            page.say("名称不对，没有删除。", "That is not its name; nothing was removed."),
        );
    }
    match form.ask(&page, Method::DELETE, &format!("{API}/{}?yes=true", part(&name))).got().await {
        Ok(_) => page.go(PLACE, page.say("租户已删除。", "The tenant is gone.")),
        Err(refusal) => page.denied(&form, &refusal, &place),
    }
}

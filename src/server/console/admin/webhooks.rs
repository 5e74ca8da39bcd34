//! Which systems are told what happens?

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
use super::{danger, once, scopes};
use crate::desk::webhooks::EVENTS;

const PLACE: &str = "/console/admin/webhooks";
const API: &str = "/v1/webhooks";

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route(PLACE, get(list).post(create))
        .route("/console/admin/webhooks/{id}/test", post(test))
        .route("/console/admin/webhooks/{id}/rotate", post(rotate))
        .route("/console/admin/webhooks/{id}/remove", post(remove))
}

#[derive(Deserialize)]
struct Webhook {
    id: String,
    name: String,
    url: String,
    events: Vec<String>,
    kbs: Vec<String>,
    created_at: String,
    secret: Option<String>,
}

#[derive(Deserialize)]
struct All {
    items: Vec<Webhook>,
}

#[derive(Deserialize)]
struct Tested {
    delivered: bool,
    status: Option<u16>,
    error: Option<String>,
}

/// What happens, in words.
fn event<'a>(page: &Page, code: &'a str) -> &'a str {
    match code {
        "handoff.created" => page.say("有人要人工", "somebody wants a person"),
        "handoff.claimed" => page.say("坐席接待", "somebody took over"),
        "handoff.answered" => page.say("坐席回复", "an agent replied"),
        "handoff.waiting" => page.say("重新等待", "waits again"),
        "handoff.closed" => page.say("人工结束", "was closed"),
        "handoff.returned" => page.say("交还机器人", "given back"),
        "handoff.expired" => page.say("没有人接待", "nobody came"),
        "handoff.withdrawn" => page.say("顾客不等了", "the customer waits no longer"),
        "message.sent" => page.say("坐席的消息", "a message of an agent"),
        "message.received" => page.say("顾客对人说的话", "a message to a person"),
        "message.undelivered" => page.say("消息没送到", "a message was given up"),
        "ticket.created" => page.say("新工单", "a new ticket"),
        "ticket.updated" => page.say("工单有变化", "a ticket changed"),
        other => other,
    }
}

async fn list(page: Page) -> Response {
    page.reply(listed(&page, None, None).await)
}

async fn listed(page: &Page, made: Option<&Webhook>, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let All { items } = page.inside.get(API).read().await?;
    let filled = |name: &str| refused.map_or("", |(form, _)| form.raw(name));
    let wrong = |name: &str| refused.is_some_and(|(_, refusal)| refusal.field.as_deref() == Some(name));
    let ticked = |field: &'static str| {
        move |name: &str| refused.is_some_and(|(form, _)| form.all(field).any(|one| one == name))
    };
    let body = html! {
        p.soft { (page.say("有事发生时，把它告诉您的系统（Standard Webhooks 签名）。", "Tells your own systems what happens, signed by Standard Webhooks.")) }
        @if let Some(Webhook { url, secret: Some(secret), .. }) = made {
            (once(page, &format!("{}{url}", page.say("签名密钥，用于 ", "The secret for ")), page.say("您的系统用它核对签名。", "Your system checks signatures with it."), secret))
        }
        @if items.is_empty() { p.empty { (page.say("还没有通知。", "There are no webhooks yet.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("通知", "Webhooks")) { table.list {
                thead { tr {
                    th scope="col" { (page.say("名称和地址", "Name and address")) } th scope="col" { (page.say("告诉什么", "What")) } th scope="col" { (page.say("知识库", "Knowledge bases")) }
                    th scope="col" { (page.say("建于", "Since")) } th scope="col" { (page.say("操作", "Do")) }
                } }
                tbody { @for one in &items { (row(page, one)) } }
            } }
        }
        h2 #new { (page.say("新通知", "A new one")) }
        form.card method="post" action=(PLACE) data-keep {
            (page.csrf())
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (page.fault(refusal)) } }
            label.block { span.label { (page.say("地址", "Address")) } input type="url" name="url" required maxlength="2000" placeholder="https://crm.example/zhida" value=(filled("url")) aria-invalid[wrong("url")]; }
            label.block { span.label { (page.say("名称", "Name")) } input.narrow name="name" maxlength="64" value=(filled("name")) aria-invalid[wrong("name")]; }
            fieldset {
                legend { (page.say("告诉什么（都不选就是全部）", "What (none ticked: everything)")) }
                @let is_ticked = ticked("event");
                @for code in EVENTS.iter().filter(|code| **code != "webhook.test") {
                    label.check { input type="checkbox" name="event" value=(code) checked[is_ticked(code)]; " " (event(page, code)) } " "
                }
            }
            (scopes(page, &[], &ticked("kb")))
            p { label.check { input type="checkbox" name="private" value="1" checked[refused.is_some_and(|(form, _)| form.has("private"))]; " " (page.say("地址在内网（允许私有地址）", "The address is inside (private addresses allowed)")) } }
            button.button.primary type="submit" { (page.say("添加", "Add")) }
        }
    };
    let sheet = Sheet::new(page.say("通知", "Webhooks"), body).of_admin().with_script("channels.js");
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

fn row(page: &Page, one: &Webhook) -> Markup {
    let place = format!("{PLACE}/{}", part(&one.id));
    let all = page.say("全部", "everything");
    let events: Vec<&str> = one.events.iter().map(|code| event(page, code)).collect();
    let gone = format!(
        "{}{}{}",
        page.say("将删除通知：", "This removes the webhook "),
        one.url,
        page.say("，还没送出的也会丢弃。", "; what is still to be delivered is dropped.")
    );
    html! {
        tr {
            td { @if !one.name.is_empty() { b { (one.name) } br; } code { (one.url) } }
            td { @if events.is_empty() { (all) } @else { (events.join(page.say("、", ", "))) } }
            td { @if one.kbs.is_empty() { (all) } @else { (one.kbs.join(page.say("、", ", "))) } }
            td.nowrap { (when(&one.created_at)) }
            td { div.toolbar {
                form method="post" action={ (place) "/test" } { (page.csrf()) button.button.small type="submit" { (page.say("试一下", "Test")) } }
                form method="post" action={ (place) "/rotate" } { (page.csrf()) button.button.small type="submit" data-confirm=(page.say("换一个签名密钥？旧的还能用一天。", "Make a new secret? The old one signs for a day more.")) { (page.say("换密钥", "New secret")) } }
                (danger(page, &format!("{place}/remove"), page.say("删除", "Remove"), &gone))
            } }
        }
    }
}

async fn create(page: Page, form: Form) -> Response {
    let wanted = json!({
        "url": form.get("url"), "name": form.get("name"), "private": form.has("private"),
        "events": form.all("event").collect::<Vec<_>>(), "kbs": form.all("kb").collect::<Vec<_>>(),
    });
    match form.ask(&page, Method::POST, API).json(&wanted).read::<Webhook>().await {
        Ok(made) => page.reply(listed(&page, Some(&made), None).await),
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(listed(&page, None, Some((&form, &refusal))).await),
        },
    }
}

async fn test(page: Page, Path(id): Path<String>, form: Form) -> Response {
    match form.ask(&page, Method::POST, &format!("{API}/{}/test", part(&id))).read::<Tested>().await {
        Ok(Tested { delivered: true, status, .. }) => {
            let status = status.map_or_else(String::new, |status| format!(" ({status})"));
            page.go(PLACE, &format!("{}{status}", page.say("对方收到了。", "It was received.")))
        }
        Ok(Tested { error, .. }) => {
            let why = error.unwrap_or_default();
            let why = page.sentence(&why);
            page.go_with_fault(PLACE, &format!("{}{why}", page.say("没有送到：", "It was not delivered: ")))
        }
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

async fn rotate(page: Page, Path(id): Path<String>, form: Form) -> Response {
    match form.ask(&page, Method::POST, &format!("{API}/{}/rotate", part(&id))).read::<Webhook>().await {
        Ok(made) => page.reply(listed(&page, Some(&made), None).await),
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

async fn remove(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let what = page.say(
        "将删除这个通知，还没送出的也会丢弃。",
        "This removes the webhook, and what is still to be delivered.",
    );
    if let Some(asked) = page.unsure(&form, what, PLACE) {
        return asked;
    }
    match form.ask(&page, Method::DELETE, &format!("{API}/{}", part(&id))).got().await {
        Ok(_) => page.go(PLACE, page.say("已删除。", "Removed.")),
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

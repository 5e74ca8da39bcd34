//! Which replies do I have at hand?

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Server;
use super::form::Form;
use super::inside::{Refusal, part};
use super::page::{Outcome, Page, Sheet};

/// Where these pages are.
const PLACE: &str = "/console/desk/replies";

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route(PLACE, get(list).post(create))
        .route("/console/desk/replies/{id}", get(edit).post(change))
        .route("/console/desk/replies/{id}/delete", post(delete))
}

/// A canned reply as the API tells it.
#[derive(Deserialize)]
pub(super) struct Canned {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) shared: bool,
}

#[derive(Deserialize)]
struct All {
    items: Vec<Canned>,
}

/// Those that the reader has at hand.
pub(super) async fn all(page: &Page) -> Result<Vec<Canned>, Refusal> {
    let All { items } = page.inside.get("/v1/canned-replies").read().await?;
    Ok(items)
}

async fn list(page: Page) -> Response {
    page.reply(listed(&page, None).await)
}

async fn listed(page: &Page, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let items = all(page).await?;
    let body = html! {
        p { a href="/console/desk" { "← " (page.say("坐席工作台", "Desk")) } }
        @if items.is_empty() { p.empty { (page.say("还没有常用语。", "There are no canned replies yet.")) } }
        @else {
            ul.works { @for one in &items {
                li.card {
                    div.verdict-head { b { (one.title) } @if one.shared { span.tag { (page.say("共用", "shared")) } } @else { span.tag.good { (page.say("我的", "mine")) } } }
                    p.answer-text { (one.text) }
                    div.toolbar {
                        a.button.small href={ (PLACE) "/" (part(&one.id)) } { (page.say("修改", "Change")) }
                        form method="post" action={ (PLACE) "/" (part(&one.id)) "/delete" } {
                            (page.csrf())
                            input type="hidden" name="title" value=(one.title);
                            button.button.small.danger type="submit" data-confirm={ (page.say("删除常用语：", "Remove the canned reply: ")) (one.title) } { (page.say("删除", "Remove")) }
                        }
                    }
                }
            } }
        }
        h2 { (page.say("新的常用语", "A new one")) }
        (fields(page, PLACE, None, refused))
    };
    let sheet = Sheet::new(page.say("常用语", "Canned replies"), body);
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

fn fields(page: &Page, to: &str, known: Option<&Canned>, refused: Option<(&Form, &Refusal)>) -> Markup {
    let filled = |name: &str, known: Option<&str>| match refused {
        Some((form, _)) => form.raw(name).to_owned(),
        None => known.unwrap_or_default().to_owned(),
    };
    let shared = match refused {
        Some((form, _)) => form.has("shared"),
        None => known.is_some_and(|known| known.shared),
    };
    let fault = refused.map(|(_, refusal)| refusal);
    let is_wrong = |name: &str| fault.is_some_and(|fault| fault.field.as_deref() == Some(name));
    html! {
        form.card method="post" action=(to) data-keep {
            (page.csrf())
            @if let Some(fault) = fault { p.fault role="alert" { (page.fault(fault)) } }
            label { span.label { (page.say("名称（用来查找）", "Title (to find it by)")) }
                input name="title" maxlength="60" required value=(filled("title", known.map(|one| one.title.as_str()))) aria-invalid[is_wrong("title")]; }
            label { span.label { (page.say("内容", "Words")) }
                textarea name="text" rows="4" maxlength="4000" required aria-invalid[is_wrong("text")] { "\n" (filled("text", known.map(|one| one.text.as_str()))) } }
            p { label { input type="checkbox" name="shared" value="1" checked[shared]; " " (page.say("所有坐席共用", "For everybody at the desk")) } }
            button.button.primary type="submit" { (page.say("保存", "Save")) }
        }
    }
}

fn wanted(form: &Form) -> Value {
    json!({"title": form.get("title"), "text": form.get("text"), "shared": form.has("shared")})
}

async fn create(page: Page, form: Form) -> Response {
    match form.ask(&page, Method::POST, "/v1/canned-replies").json(&wanted(&form)).got().await {
        Ok(_) => page.go(PLACE, page.say("已保存。", "Saved.")),
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(listed(&page, Some((&form, &refusal))).await),
        },
    }
}

async fn edit(page: Page, Path(id): Path<String>) -> Response {
    page.reply(edited(&page, &id, None).await)
}

async fn edited(page: &Page, id: &str, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let items = all(page).await?;
    let known = items.iter().find(|one| one.id == id).ok_or_else(Refusal::gone)?;
    let body = html! {
        p { a href=(PLACE) { "← " (page.say("常用语", "Canned replies")) } }
        (fields(page, &format!("{PLACE}/{}", part(id)), Some(known), refused))
    };
    let sheet = Sheet::new(page.say("修改常用语", "Change a canned reply"), body);
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

async fn change(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let to = format!("/v1/canned-replies/{}", part(&id));
    match form.ask(&page, Method::PUT, &to).json(&wanted(&form)).got().await {
        Ok(_) => page.go(PLACE, page.say("已保存。", "Saved.")),
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(edited(&page, &id, Some((&form, &refusal))).await),
        },
    }
}

async fn delete(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let what =
        format!("{}{}", page.say("将删除常用语：", "This removes the canned reply: "), form.get("title"));
    if let Some(asked) = page.unsure(&form, &what, PLACE) {
        return asked;
    }
    match form.ask(&page, Method::DELETE, &format!("/v1/canned-replies/{}", part(&id))).got().await {
        Ok(_) => page.go(PLACE, page.say("已删除。", "Removed.")),
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

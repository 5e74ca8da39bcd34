//! Where does somebody begin?

use axum::Router;
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::super::Server;
use super::super::address::is_ours;
use super::form::Form;
use super::inside::part;
use super::page::{Outcome, Page, Sheet};
use super::told::when;
use super::{language, words};

/// A year, in seconds: how long the language is kept that somebody has switched to.
const YEAR: u32 = 31_536_000;

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route("/", get(home))
        .route("/console", get(home))
        .route("/console/back", get(back))
        .route("/console/language", post(switch))
        .route("/console/leave", post(leave))
        .route("/login", post(enter))
}

/// A knowledge base as `GET /v1/kbs` lists it.
#[derive(Deserialize)]
struct Base {
    kb: String,
    release: String,
    entries: u64,
    phrasings: u64,
    created: String,
}

/// Handoffs that nobody has taken, as the API counts them.
#[derive(Deserialize)]
struct Waiting {
    waiting: i64,
}

#[derive(Deserialize)]
struct Bases {
    items: Vec<Base>,
}

/// Where somebody wants to go who has to sign in first: a page of ours.
fn wanted(page: &Page) -> String {
    let next = page.query().get("next").to_owned();
    if is_ours(&next) { next } else { "/console".to_owned() }
}

/// The door without a script.
async fn enter(page: Page, form: Form) -> Response {
    let said = json!({"name": form.get("name"), "password": form.raw("password")});
    match page.inside.ask(Method::POST, "/v1/login").json(&said).got().await {
        Ok(got) => {
            let mut response = Redirect::to(&wanted(&page)).into_response();
            got.pass_cookies(&mut response);
            response
        }
        Err(refusal) => page.failed(refusal),
    }
}

async fn home(page: Page) -> Response {
    page.reply(shown(&page).await)
}

async fn shown(page: &Page) -> Outcome {
    let served: Bases = page.inside.get("/v1/kbs").read().await?;
    let names = &page.me.knowledge_bases;
    let is_new = page.may("author") && names.iter().all(|name| name == "demo");
    let waiting = match page.may("agent") {
        true => Some(page.inside.get("/v1/handoffs/count").read::<Waiting>().await?.waiting),
        false => None,
    };
    let body = html! {
        @if is_new { (steps(page)) }
        @if let Some(count) = waiting {
            div.card {
                b { (page.say("等待人工的顾客：", "Customers who wait for a person: ")) (count) } " "
                a.button.small.primary[count > 0] href="/console/desk" { (page.say("去坐席工作台", "To the desk")) }
                @if page.may("admin") { " " a.button.small href="/console/admin" { (page.say("看今天", "Today's figures")) } }
            }
        }
        h2 { (page.say("知识库", "Knowledge bases")) @if page.may_create() && !is_new { " " a.button.small href="/console/new" { (page.say("新建知识库", "New knowledge base")) } } }
        @if names.is_empty() { p.empty { (page.say("还没有知识库。", "There is no knowledge base yet.")) } }
        ul.bases {
            @for name in names {
                @let known = served.items.iter().find(|base| base.kb == *name);
                li.card {
                    h3 { @if page.may("author") { a href={ "/console/kb/" (part(name)) } { (name) } } @else { (name) } }
                    @match known {
                        Some(base) => {
                            p { (page.say("版本 ", "Release ")) b { (base.release) } " · " (base.entries) (page.say(" 个条目 · ", " entries · ")) (base.phrasings) (page.say(" 个问法", " phrasings")) }
                            p.soft { (page.say("发布于 ", "Published ")) (when(&base.created)) }
                        }
                        None => { p.soft { (page.say("还没有发布。", "Not published yet.")) } }
                    }
                }
            }
        }
    };
    let title =
        if is_new { page.say("欢迎使用智答", "Welcome to zhida") } else { page.say("首页", "Home") };
    Ok(page.show(Sheet::new(title, body)))
}

/// What somebody does first.
fn steps(page: &Page) -> Markup {
    html! {
        ol.steps {
            li.card {
                h2 { (page.say("试试演示", "Try the demo")) }
                p { (page.say("演示知识库是一家网店，问它“东西不想要了怎么退”。", "The demo knowledge base is a shop: ask it how to return something.")) }
                a.button href="/console/kb/demo/try" { (page.say("去试问", "Ask it")) }
            }
            li.card {
                h2 { (page.say("带来您的文件", "Bring your file")) }
                p { (page.say("表格里有问题和答案就行，列名会自动认出来。", "A spreadsheet with questions and answers is enough; the columns are guessed.")) }
                a.button.primary href="/console/new" { (page.say("新建知识库", "New knowledge base")) }
            }
            li.card {
                h2 { (page.say("放到您的网页上", "Put it on your page")) }
                p { (page.say("一行代码，顾客就能在您的网页上提问。", "One line of code, and customers can ask on your page.")) }
                @if page.may("admin") { a.button href="/console/admin/channels/new?kind=web" { (page.say("添加网页渠道", "Add a page")) } }
                @else { p.soft { (page.say("请管理员在“管理 → 渠道”里添加网页渠道。", "Ask an admin to add it under Administration, Channels.")) } }
            }
        }
    }
}

/// Where whoever has signed in again in another window is told to go back.
async fn back(page: Page) -> Response {
    let text = page.say(
        "您已登录。请回到刚才的窗口，再发送一次。",
        "You are signed in. Go back to the window before and send it again.",
    );
    page.show(Sheet::new(page.say("已登录", "Signed in"), html! { p { (text) } }))
}

/// Changes the language; needs nobody to be known.
async fn switch(form: Form) -> Response {
    let back = form.get("back");
    // Only to a page of ours.
    let mut response = Redirect::to(if is_ours(back) { back } else { "/console" }).into_response();
    let to = if form.get("to") == "en" { "en" } else { "zh" };
    words::keep_everywhere(&mut response, language::COOKIE, to, YEAR);
    response
}

async fn leave(page: Page, form: Form) -> Response {
    match form.ask(&page, Method::POST, "/v1/logout").got().await {
        Ok(got) => {
            let mut response = Redirect::to("/login").into_response();
            got.pass_cookies(&mut response);
            response
        }
        Err(refusal) => page.failed(refusal),
    }
}

//! Who am I here, and where am I signed in?

use axum::Router;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::super::Server;
use super::admin::{role, scope};
use super::form::Form;
use super::inside::{Refusal, part};
use super::page::{Outcome, Page, Session, Sheet};
use super::told::{device, when};

const PLACE: &str = "/console/me";

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route(PLACE, get(show))
        .route("/console/me/password", post(password))
        .route("/console/me/sessions", post(end))
}

#[derive(Deserialize)]
struct Sessions {
    items: Vec<Session>,
}

async fn show(page: Page) -> Response {
    page.reply(shown(&page, None).await)
}

async fn shown(page: &Page, refused: Option<&Refusal>) -> Outcome {
    let me = &page.me;
    let is_person = me.kind == "person";
    let items = if is_person {
        page.inside.get("/v1/me/sessions").read::<Sessions>().await?.items
    } else {
        Vec::new()
    };
    let wrong = |name: &str| refused.is_some_and(|refusal| refusal.field.as_deref() == Some(name));
    let body = html! {
        dl.fields.card {
            @if is_person { dt { (page.say("登录名", "Signed in as")) } dd { code { (me.name) } } }
            @if let Some(name) = me.display_name.as_deref().filter(|name| !name.is_empty()) { dt { (page.say("姓名", "Name")) } dd { (name) } }
            dt { (page.say("角色", "Role")) } dd { (role(page, &me.role)) }
            dt { (page.say("知识库", "Knowledge bases")) } dd { (scope(page, me.kbs.as_deref())) }
            @if me.tenant != "default" { dt { (page.say("租户", "Tenant")) } dd { (me.tenant) } }
        }
        @if is_person {
            h2 { (page.say("换密码", "Change the password")) }
            form.card method="post" action={ (PLACE) "/password" } {
                (page.csrf())
                @if let Some(refusal) = refused { p.fault role="alert" { (page.fault(refusal)) } }
                label.block { span.label { (page.say("现在的密码", "The present password")) } input.narrow type="password" name="current" required autocomplete="current-password" aria-invalid[refused.is_some() && !wrong("new")]; }
                label.block { span.label { (page.say("新密码（至少 12 个字符）", "The new one (at least 12 characters)")) } input.narrow type="password" name="new" required minlength="12" autocomplete="new-password" aria-invalid[wrong("new")]; }
                label.block { span.label { (page.say("再输一遍新密码", "The new one again")) } input.narrow type="password" name="again" required minlength="12" autocomplete="new-password"; }
                p.soft { (page.say("换了之后，别的设备上都要重新登录。", "All other sessions end with it.")) }
                button.button.primary type="submit" { (page.say("换密码", "Change it")) }
            }
            h2 { (page.say("登录中的设备", "Where I am signed in")) }
            (sessions(page, &items, me.session.as_ref().map(|one| one.id.as_str()), &format!("{PLACE}/sessions")))
        } @else {
            p.soft { (page.say("这台服务还没有人员，只对本机开放。", "This server has no people yet: it is open to its own machine only.")) }
        }
    };
    let sheet = Sheet::new(page.say("我的账号", "My account"), body);
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

/// Sessions, each with a button that ends it; `own` is the reader's.
pub(super) fn sessions(page: &Page, items: &[Session], own: Option<&str>, to: &str) -> Markup {
    html! {
        @if items.is_empty() { p.empty { (page.say("没有登录中的设备。", "There are no sessions.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("登录中的设备", "Sessions")) { table.list {
                thead { tr {
                    th scope="col" { (page.say("设备", "Browser")) } th scope="col" { (page.say("地址", "Address")) } th scope="col" { (page.say("登录于", "Since")) }
                    th scope="col" { (page.say("最近使用", "Last seen")) } th scope="col" { (page.say("操作", "Do")) }
                } }
                tbody { @for one in items { tr {
                    td title=(one.agent) { (device(&one.agent).unwrap_or_else(|| page.say("（没有说明）", "(not said)").to_owned())) @if own == Some(&one.id) { " " span.tag.good { (page.say("这一台", "this one")) } } }
                    td { code { (one.source) } }
                    td.nowrap { (when(&one.created_at)) }
                    td.nowrap { (when(&one.seen_at)) }
                    td { @if own != Some(&one.id) { form method="post" action=(to) {
                        (page.csrf())
                        input type="hidden" name="session" value=(one.id);
                        button.button.small type="submit" { (page.say("退出", "Sign out")) }
                    } } }
                } } }
            } }
            @if items.iter().any(|one| own != Some(&one.id)) {
                form method="post" action=(to) { (page.csrf())
                    button.button.small.danger type="submit" { @if own.is_some() { (page.say("退出其他所有设备", "Sign out everywhere else")) } @else { (page.say("退出所有设备", "Sign out everywhere")) } }
                }
            }
        }
    }
}

async fn password(page: Page, form: Form) -> Response {
    if form.raw("new") != form.raw("again") {
        let refusal = Refusal {
            code: 422,
            kind: "/problems/invalid-field".to_owned(),
            title: "A field has the wrong type or value".to_owned(),
            detail: page.say("两次输入的新密码不一样", "the new password was not the same twice").to_owned(),
            field: Some("new".to_owned()),
            ..Refusal::default()
        };
        return page.reply(shown(&page, Some(&refusal)).await);
    }
    let wanted = json!({"current": form.raw("current"), "new": form.raw("new")});
    match form.ask(&page, Method::POST, "/v1/me/password").json(&wanted).got().await {
        Ok(got) => {
            let mut response = page.go(
                PLACE,
                page.say(
                    "密码已换，别的设备都已退出。",
                    "The password is changed; all other sessions have ended.",
                ),
            );
            got.pass_cookies(&mut response);
            response
        }
        // A wrong password is 401 too, and no reason to sign in again.
        Err(refusal) if refusal.slug() == "unauthorized" || refusal.slug() == "csrf" => {
            page.denied(&form, &refusal, PLACE)
        }
        Err(refusal) => page.reply(shown(&page, Some(&refusal)).await),
    }
}

async fn end(page: Page, form: Form) -> Response {
    let what = match form.get("session") {
        "" => "/v1/me/sessions".to_owned(),
        one => format!("/v1/me/sessions/{}", part(one)),
    };
    match form.ask(&page, Method::DELETE, &what).got().await {
        Ok(_) => page.go(PLACE, page.say("已退出。", "Signed out.")),
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

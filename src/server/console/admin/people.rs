//! Who may sign in, and as what?

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
use super::super::me;
use super::super::page::{Outcome, Page, Session, Sheet};
use super::super::told::when;
use super::{danger, once, role, roles, scope, scopes, wanted_scope};

const PLACE: &str = "/console/admin/people";
const API: &str = "/v1/people";

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route(PLACE, get(list).post(create))
        .route("/console/admin/people/{id}", get(edit).post(change))
        .route("/console/admin/people/{id}/link", post(link))
        .route("/console/admin/people/{id}/sessions", post(end))
        .route("/console/admin/people/{id}/remove", post(remove))
}

#[derive(Deserialize)]
struct Person {
    id: String,
    name: String,
    display_name: String,
    role: String,
    kbs: Option<Vec<String>>,
    sign_in: String,
    has_password: bool,
    created_at: String,
    signed_in_at: Option<String>,
    disabled_at: Option<String>,
}

impl Person {
    fn called(&self) -> &str {
        if self.display_name.is_empty() { &self.name } else { &self.display_name }
    }

    fn place(&self) -> String {
        format!("{PLACE}/{}", part(&self.id))
    }
}

#[derive(Deserialize)]
struct All {
    items: Vec<Person>,
}

#[derive(Deserialize)]
struct Link {
    link: String,
    expires_at: String,
}

#[derive(Deserialize)]
struct Created {
    person: Person,
    invitation: Option<Link>,
}

#[derive(Deserialize)]
struct Sessions {
    items: Vec<Session>,
}

/// A link that works once, shown once.
fn shown_link(page: &Page, person: &str, link: &Link) -> Markup {
    // The API says the path where it does not know the address.
    let whole = if link.link.starts_with('/') {
        format!("{}{}", page.inside.own_address(), link.link)
    } else {
        link.link.clone()
    };
    html! {
        (once(page, &format!("{}{person}", page.say("一次性链接，请交给 ", "A link that works once, for ")),
            page.say("对方打开它设置密码，然后就能登录。", "Whoever opens it sets a password and is signed in."), &whole))
        p.soft { (page.say("有效期到 ", "Good until ")) (when(&link.expires_at)) }
    }
}

async fn list(page: Page) -> Response {
    page.reply(listed(&page, None, None).await)
}

async fn listed(page: &Page, made: Option<&Created>, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let All { items } = page.inside.get(API).read().await?;
    let body = html! {
        @if let Some(Created { person, invitation: Some(link) }) = made { (shown_link(page, person.called(), link)) }
        @if items.is_empty() { p.empty { (page.say("还没有人员。第一个管理员会让这台服务要求登录。", "There are no people yet. With the first admin the server asks everybody to sign in.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("人员", "People")) { table.list {
                thead { tr {
                    th scope="col" { (page.say("姓名", "Name")) } th scope="col" { (page.say("登录名", "Signs in as")) } th scope="col" { (page.say("角色", "Role")) }
                    th scope="col" { (page.say("知识库", "Knowledge bases")) } th scope="col" { (page.say("状态", "State")) } th scope="col" { (page.say("最近登录", "Last signed in")) }
                } }
                tbody { @for one in &items { tr {
                    td { a href=(one.place()) { (one.called()) } }
                    td { code { (one.name) } }
                    td.nowrap { (role(page, &one.role)) }
                    td { (scope(page, one.kbs.as_deref())) }
                    td { (state(page, one)) }
                    td.nowrap { @match &one.signed_in_at { Some(at) => (when(at)), None => span.soft { (page.say("还没有", "never")) } } }
                } } }
            } }
        }
        h2 #new { (page.say("添加人员", "Add somebody")) }
        (fresh(page, refused))
    };
    let sheet = Sheet::new(page.say("人员", "People"), body).of_admin().with_script("channels.js");
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

fn state(page: &Page, one: &Person) -> Markup {
    html! {
        @if one.disabled_at.is_some() { span.tag.bad { (page.say("已停用", "turned out")) } }
        @else if one.sign_in != "password" { span.tag { (page.say("统一登录", "by the provider")) } }
        @else if one.has_password { span.tag.good { (page.say("正常", "good")) } }
        @else { span.tag.warn { (page.say("还没设密码", "no password yet")) } }
    }
}

fn fresh(page: &Page, refused: Option<(&Form, &Refusal)>) -> Markup {
    let filled = |name: &str| refused.map_or("", |(form, _)| form.raw(name));
    let wrong = |name: &str| refused.is_some_and(|(_, refusal)| refusal.field.as_deref() == Some(name));
    html! {
        form.card method="post" action=(PLACE) data-keep {
            (page.csrf())
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (page.fault(refusal)) } }
            div.row {
                label { span.label { (page.say("登录名", "Signs in as")) } input name="name" required maxlength="64" autocomplete="off" value=(filled("name")) aria-invalid[wrong("name")]; }
                label { span.label { (page.say("姓名（别人看到的）", "Name that others see")) } input name="display_name" maxlength="64" autocomplete="off" value=(filled("display_name")) aria-invalid[wrong("display_name")]; }
            }
            label.block { span.label { (page.say("角色", "Role")) } select name="role" aria-invalid[wrong("role")] {
                @for (code, text) in roles(page) { @if code != "ask" { option value=(code) selected[filled("role") == code] { (text) } } }
            } }
            (scopes(page, &[], &|name| refused.is_some_and(|(form, _)| form.all("kb").any(|one| one == name))))
            label.block { span.label { (page.say("怎么登录", "Signs in")) } select.narrow name="sign_in" {
                option value="password" { (page.say("用密码（给一个一次性链接）", "with a password (by a link that works once)")) }
                option value="provider" selected[filled("sign_in") == "provider"] { (page.say("用公司的统一登录", "at the company's provider")) }
            } }
            button.button.primary type="submit" { (page.say("添加", "Add")) }
        }
    }
}

async fn create(page: Page, form: Form) -> Response {
    let wanted = json!({
        "name": form.get("name"), "display_name": form.get("display_name"), "role": form.get("role"),
        "kbs": wanted_scope(&form), "sign_in": form.get("sign_in"),
    });
    match form.ask(&page, Method::POST, API).json(&wanted).read::<Created>().await {
        Ok(made) if made.invitation.is_none() => page.go(
            PLACE,
            page.say("已添加；对方在统一登录那里登录即可。", "Added; they sign in at the provider."),
        ),
        Ok(made) => match listed(&page, Some(&made), None).await {
            Ok(shown) => shown,
            // The first person of a server: from now on it asks who comes.
            Err(_) => alone(&page, made.person.called(), made.invitation.as_ref()),
        },
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(listed(&page, None, Some((&form, &refusal))).await),
        },
    }
}

fn alone(page: &Page, person: &str, link: Option<&Link>) -> Response {
    let body = html! {
        @if let Some(link) = link { (shown_link(page, person, link)) }
        p { (page.say("从现在起，打开控制台要先登录。", "From now on the console needs somebody who signs in.")) }
    };
    page.show(Sheet::new(page.say("人员", "People"), body).with_script("channels.js"))
}

async fn one(page: &Page, id: &str) -> Result<Person, Refusal> {
    let All { items } = page.inside.get(API).read().await?;
    items.into_iter().find(|one| one.id == id).ok_or_else(Refusal::gone)
}

async fn edit(page: Page, Path(id): Path<String>) -> Response {
    page.reply(edited(&page, &id, None, None).await)
}

async fn edited(page: &Page, id: &str, made: Option<&Link>, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let person = one(page, id).await?;
    let place = person.place();
    let Sessions { items } = page.inside.get(&format!("{API}/{}/sessions", part(id))).read().await?;
    let filled = |name: &str, known: &str| {
        refused.map_or_else(|| known.to_owned(), |(form, _)| form.raw(name).to_owned())
    };
    let chosen = |name: &str| match refused {
        Some((form, _)) => form.all("kb").any(|one| one == name),
        None => person.kbs.as_ref().is_some_and(|kbs| kbs.iter().any(|one| one == name)),
    };
    let is_off = refused.map_or(person.disabled_at.is_some(), |(form, _)| form.has("disabled"));
    let gone = format!(
        "{}{}{}",
        page.say("将删除人员：", "This removes "),
        person.called(),
        page.say(
            "。马上退出登录，名字留在历史和审计里。",
            ". They are signed out at once; histories and the audit keep the name."
        )
    );
    let body = html! {
        p { a href=(PLACE) { "← " (page.say("人员", "People")) } }
        @if let Some(link) = made { (shown_link(page, person.called(), link)) }
        dl.fields.card {
            dt { (page.say("登录名", "Signs in as")) } dd { code { (person.name) } }
            dt { (page.say("状态", "State")) } dd { (state(page, &person)) }
            dt { (page.say("添加于", "Since")) } dd { (when(&person.created_at)) }
        }
        form.card method="post" action=(place) data-keep {
            (page.csrf())
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (page.fault(refusal)) } }
            label.block { span.label { (page.say("姓名（别人看到的）", "Name that others see")) } input.narrow name="display_name" maxlength="64" value=(filled("display_name", &person.display_name)); }
            label.block { span.label { (page.say("角色", "Role")) } select name="role" {
                @for (code, text) in roles(page) { @if code != "ask" { option value=(code) selected[filled("role", &person.role) == code] { (text) } } }
            } }
            (scopes(page, person.kbs.as_deref().unwrap_or_default(), &chosen))
            p { label.check { input type="checkbox" name="disabled" value="1" checked[is_off]; " " (page.say("停用：不能再登录，已登录的马上退出", "Turned out: may not come in, sessions end at once")) } }
            button.button.primary type="submit" { (page.say("保存", "Save")) }
        }
        div.toolbar {
            @if person.sign_in == "password" {
                form method="post" action={ (place) "/link" } { (page.csrf()) button.button.small type="submit" { (page.say("给一个设密码的链接", "A link for a new password")) } }
            }
            (danger(page, &format!("{place}/remove"), page.say("删除", "Remove"), &gone))
        }
        h2 { (page.say("登录中的设备", "Sessions")) }
        (me::sessions(page, &items, None, &format!("{place}/sessions")))
    };
    let sheet = Sheet::new(person.called().to_owned(), body).of_admin().with_script("channels.js");
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

async fn change(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let wanted = json!({
        "display_name": form.get("display_name"), "role": form.get("role"), "kbs": wanted_scope(&form),
        "disabled": form.has("disabled"),
    });
    match form.ask(&page, Method::PATCH, &format!("{API}/{}", part(&id))).json(&wanted).got().await {
        Ok(_) => page.go(PLACE, page.say("已保存，马上生效。", "Saved; it counts at once.")),
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(edited(&page, &id, None, Some((&form, &refusal))).await),
        },
    }
}

async fn link(page: Page, Path(id): Path<String>, form: Form) -> Response {
    match form.ask(&page, Method::POST, &format!("{API}/{}/link", part(&id))).read::<Link>().await {
        Ok(made) => page.reply(edited(&page, &id, Some(&made), None).await),
        Err(refusal) => page.denied(&form, &refusal, &format!("{PLACE}/{}", part(&id))),
    }
}

async fn end(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let all = format!("{API}/{}/sessions", part(&id));
    let what =
        if form.get("session").is_empty() { all } else { format!("{all}/{}", part(form.get("session"))) };
    let back = format!("{PLACE}/{}", part(&id));
    match form.ask(&page, Method::DELETE, &what).got().await {
        Ok(_) => page.go(&back, page.say("已退出登录。", "Signed out.")),
        Err(refusal) => page.denied(&form, &refusal, &back),
    }
}

async fn remove(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let back = format!("{PLACE}/{}", part(&id));
    let person = match one(&page, &id).await {
        Ok(person) => person,
        Err(refusal) => return page.denied(&form, &refusal, PLACE),
    };
    let what = format!("{}{}", page.say("将删除人员：", "This removes "), person.called());
    if let Some(asked) = page.unsure(&form, &what, &back) {
        return asked;
    }
    match form.ask(&page, Method::DELETE, &format!("{API}/{}", part(&id))).got().await {
        Ok(_) => page.go(PLACE, page.say("已删除。", "Removed.")),
        Err(refusal) => page.denied(&form, &refusal, &back),
    }
}

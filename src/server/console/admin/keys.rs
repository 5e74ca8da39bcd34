//! Which programs may ask, and how do I let one in or turn it out?

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::super::Server;
use super::super::form::Form;
use super::super::inside::{Refusal, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::{once, role, roles, scope, scopes, wanted_scope};

const PLACE: &str = "/console/admin/keys";
const API: &str = "/v1/keys";

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route(PLACE, get(list).post(create))
        .route("/console/admin/keys/{id}", get(edit).post(change))
        .route("/console/admin/keys/{id}/rotate", post(rotate))
        .route("/console/admin/keys/{id}/revoke", post(revoke))
}

/// What a key may use, as the API tells it.
#[derive(Deserialize, Default)]
pub(super) struct Limits {
    pub(super) per_second: Option<u64>,
    pub(super) per_month: Option<u64>,
    pub(super) entries: Option<u64>,
    pub(super) storage: Option<u64>,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    role: String,
    kbs: Option<Vec<String>>,
    name: String,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    replaced_by: Option<String>,
    used_at: Option<String>,
    limits: Limits,
    origins: Vec<String>,
}

impl Key {
    /// Its name, or its id where it has none.
    fn called(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }

    fn place(&self) -> String {
        format!("{PLACE}/{}", part(&self.id))
    }
}

#[derive(Deserialize)]
struct All {
    items: Vec<Key>,
}

#[derive(Deserialize)]
struct Created {
    key: String,
    record: Key,
}

/// What the list says beside itself.
#[derive(Default)]
struct Beside<'a> {
    made: Option<&'a Created>,
    refused: Option<(&'a Form, &'a Refusal)>,
}

async fn list(page: Page) -> Response {
    page.reply(listed(&page, Beside::default()).await)
}

async fn listed(page: &Page, beside: Beside<'_>) -> Outcome {
    let All { mut items } = page.inside.get(API).read().await?;
    // Those that open something first.
    items.sort_by_key(|key| key.revoked_at.is_some());
    let body = html! {
        @if let Some(Created { key, record }) = beside.made {
            (once(page, &format!("{}{}", page.say("新密钥：", "The new key: "), record.called()),
                page.say("请求里带上 Authorization: Bearer 和这个密钥。", "Send it with requests, as Authorization: Bearer …."), key))
        }
        @if items.is_empty() { p.empty { (page.say("还没有密钥：服务只对本机开放。做第一个之后，所有请求都要带密钥或登录。", "There are no keys yet, and only this machine is answered. Once there is one, every request needs a key or a session.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("密钥", "Keys")) { table.list {
                thead { tr {
                    th scope="col" { (page.say("名称", "Name")) } th scope="col" { (page.say("角色", "Role")) } th scope="col" { (page.say("知识库", "Knowledge bases")) }
                    th scope="col" { (page.say("状态", "State")) } th scope="col" { (page.say("最近使用", "Last used")) } th scope="col" { (page.say("到期", "Expires")) } th scope="col" { (page.say("操作", "Do")) }
                } }
                tbody { @for key in &items { (row(page, key)) } }
            } }
        }
        h2 #new { (page.say("新密钥", "A new key")) }
        (fresh(page, beside.refused))
    };
    let sheet = Sheet::new(page.say("密钥", "Keys"), body).of_admin().with_script("channels.js");
    Ok(page.show(sheet.refused_if(beside.refused.is_some())))
}

fn row(page: &Page, key: &Key) -> Markup {
    let is_over = key.expires_at.as_deref().is_some_and(is_past);
    let is_live = key.revoked_at.is_none() && !is_over;
    html! {
        tr {
            td { @if is_live { a href=(key.place()) { (key.called()) } } @else { (key.called()) } br; code.soft { (key.id) } }
            td.nowrap { (role(page, &key.role)) }
            td { (scope(page, key.kbs.as_deref())) @for origin in &key.origins { br; code { (origin) } } }
            td { (state(page, key, is_over)) }
            td.nowrap { @match &key.used_at { Some(at) => (when(at)), None => span.soft { (page.say("还没用过", "never")) } } }
            td.nowrap { @match &key.expires_at { Some(at) => (when(at)), None => span.soft { (page.say("不过期", "never")) } } }
            td { @if is_live { div.toolbar {
                a.button.small href=(key.place()) { (page.say("设置和更换", "Settings, rotation")) }
                (super::danger(page, &format!("{}/revoke", key.place()), page.say("吊销", "Revoke"), &revoked_what(page, key.called())))
            } } }
        }
    }
}

/// Whether a moment in RFC 3339 is over.
fn is_past(moment: &str) -> bool {
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(moment, format).is_ok_and(|at| at <= time::OffsetDateTime::now_utc())
}

fn state(page: &Page, key: &Key, is_over: bool) -> Markup {
    html! {
        @if key.revoked_at.is_some() { span.tag.bad { (page.say("已吊销", "revoked")) } }
        @else if is_over { span.tag.warn { (page.say("已过期", "expired")) } }
        @else { span.tag.good { (page.say("可用", "good")) } }
        @if let Some(by) = &key.replaced_by { " " span.soft { (page.say("换成 ", "replaced by ")) code { (by) } } }
    }
}

fn revoked_what(page: &Page, name: &str) -> String {
    format!(
        "{}{name}{}",
        page.say("将吊销密钥：", "This revokes the key: "),
        page.say(
            "。用它的程序马上不能再提问，不能恢复。",
            ". Programs that use it are refused at once; it does not come back."
        )
    )
}

/// The form for a new key.
fn fresh(page: &Page, refused: Option<(&Form, &Refusal)>) -> Markup {
    let filled = |name: &str| refused.map_or("", |(form, _)| form.raw(name));
    let wrong = |name: &str| refused.is_some_and(|(_, refusal)| refusal.field.as_deref() == Some(name));
    html! {
        form.card method="post" action=(PLACE) data-keep {
            (page.csrf())
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (page.fault(refusal)) } }
            label.block { span.label { (page.say("名称（谁在用，例如“官网”）", "Name (who uses it, such as “web shop”)")) }
                input.narrow name="name" maxlength="100" value=(filled("name")) aria-invalid[wrong("name")]; }
            label.block { span.label { (page.say("角色", "Role")) } select name="role" aria-invalid[wrong("role")] {
                @for (code, text) in roles(page) { option value=(code) selected[filled("role") == code] { (text) } }
            } }
            (scopes(page, &[], &|name| refused.is_some_and(|(form, _)| form.all("kb").any(|one| one == name))))
            label.block { span.label { (page.say("到期日（不填就不过期）", "Expires (empty: never)")) }
                input.narrow type="date" name="expires" value=(filled("expires")) aria-invalid[wrong("expires")]; }
            details open[wrong("origins") || wrong("limits")] {
                summary { (page.say("限制（可以不填）", "Limits (all may stay empty)")) }
                (limits(page, &|name| filled(name).to_owned(), wrong("limits")))
                label.block { span.label { (page.say("可以使用它的网页来源，一行一个", "Origins of pages that may use it, one a line")) }
                    textarea name="origins" rows="2" placeholder="https://shop.example" aria-invalid[wrong("origins")] { "\n" (filled("origins")) } }
            }
            button.button.primary type="submit" { (page.say("生成密钥", "Make the key")) }
        }
    }
}

/// How much a key may use.
fn limits(page: &Page, filled: &dyn Fn(&str) -> String, is_wrong: bool) -> Markup {
    html! {
        div.row {
            label { span.label { (page.say("每秒请求", "Requests a second")) } input.number name="per_second" inputmode="numeric" pattern="[0-9]*" value=(filled("per_second")) aria-invalid[is_wrong]; }
            label { span.label { (page.say("每月提问", "Questions a month")) } input.number name="per_month" inputmode="numeric" pattern="[0-9]*" value=(filled("per_month")) aria-invalid[is_wrong]; }
        }
    }
}

/// Limits of a form as the API takes them: what is empty has none.
pub(super) fn wanted_limits(form: &Form, names: &[&str]) -> Value {
    let number = |text: &str| text.parse::<u64>().map_or_else(|_| json!(text), Value::from);
    let limit = |text: &str| if text.is_empty() { Value::Null } else { number(text) };
    let given = names.iter().map(|name| ((*name).to_owned(), limit(form.get(name))));
    Value::Object(given.collect::<Map<_, _>>())
}

async fn create(page: Page, form: Form) -> Response {
    let mut wanted = json!({
        "name": form.get("name"), "role": form.get("role"), "kbs": wanted_scope(&form),
        "limits": wanted_limits(&form, &["per_second", "per_month"]),
        "origins": form.lines("origins").collect::<Vec<_>>(),
    });
    if !form.get("expires").is_empty() {
        wanted["expires"] = json!(form.get("expires"));
    }
    match form.ask(&page, Method::POST, API).json(&wanted).read::<Created>().await {
        // The first key closes the door to whoever is nobody: they have it in their hands.
        Ok(made) => match listed(&page, Beside { made: Some(&made), ..Beside::default() }).await {
            Ok(shown) => shown,
            Err(_) => alone(&page, &made),
        },
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page
                .reply(listed(&page, Beside { refused: Some((&form, &refusal)), ..Beside::default() }).await),
        },
    }
}

/// The first key of a server: from now on it asks who comes.
fn alone(page: &Page, made: &Created) -> Response {
    let body = html! {
        (once(page, page.say("第一个密钥", "The first key"), page.say("从现在起，每个请求都要带密钥，打开控制台也要先登录。", "From now on every request needs a key, and the console needs somebody who signs in."), &made.key))
        p { (page.say("还没有人员时，请在服务器上运行 ", "Without people yet, run on the server: ")) code { "zhida person create --role admin NAME" } }
    };
    page.show(Sheet::new(page.say("密钥", "Keys"), body).with_script("channels.js"))
}

async fn one(page: &Page, id: &str) -> Result<Key, Refusal> {
    let All { items } = page.inside.get(API).read().await?;
    items.into_iter().find(|key| key.id == id).ok_or_else(Refusal::gone)
}

async fn edit(page: Page, Path(id): Path<String>) -> Response {
    page.reply(edited(&page, &id, None).await)
}

async fn edited(page: &Page, id: &str, refused: Option<(&Form, &Refusal)>) -> Outcome {
    let key = one(page, id).await?;
    let known = |name: &str| {
        let limit = match name {
            "per_second" => key.limits.per_second,
            _ => key.limits.per_month,
        };
        limit.map_or(String::new(), |limit| limit.to_string())
    };
    let filled = |name: &str| refused.map_or_else(|| known(name), |(form, _)| form.raw(name).to_owned());
    let origins = refused.map_or_else(|| key.origins.join("\n"), |(form, _)| form.raw("origins").to_owned());
    let wrong = |name: &str| refused.is_some_and(|(_, refusal)| refusal.field.as_deref() == Some(name));
    let body = html! {
        p { a href=(PLACE) { "← " (page.say("密钥", "Keys")) } }
        dl.fields.card {
            dt { (page.say("编号", "Id")) } dd { code { (key.id) } }
            dt { (page.say("角色", "Role")) } dd { (role(page, &key.role)) }
            dt { (page.say("知识库", "Knowledge bases")) } dd { (scope(page, key.kbs.as_deref())) }
            dt { (page.say("生成于", "Made")) } dd { (when(&key.created_at)) }
        }
        h2 { (page.say("更换", "Rotate")) }
        p { (page.say("得到一个同样用途的新密钥，旧的还可以再用一段时间。", "Makes a new key for the same things; the old one stays good for a while.")) }
        form.toolbar method="post" action={ (key.place()) "/rotate" } {
            (page.csrf())
            label { span.hidden-label { (page.say("旧密钥还能用多久", "The old one stays good for")) }
                select.narrow name="overlap" {
                    option value="24h" { (page.say("旧的再用一天", "old one for a day")) }
                    option value="1h" { (page.say("旧的再用一小时", "old one for an hour")) }
                    option value="0s" { (page.say("旧的马上失效", "old one ends now")) }
                } }
            button.button type="submit" { (page.say("更换", "Rotate")) }
        }
        h2 { (page.say("限制", "Limits")) }
        p.soft { (page.say("角色和知识库不能改：换一个密钥更清楚。", "Role and knowledge bases stay; make another key instead.")) }
        form.card method="post" action=(key.place()) data-keep {
            (page.csrf())
            @if let Some((_, refusal)) = refused { p.fault role="alert" { (page.fault(refusal)) } }
            (limits(page, &filled, wrong("limits")))
            label.block { span.label { (page.say("可以使用它的网页来源，一行一个", "Origins of pages that may use it, one a line")) }
                textarea name="origins" rows="3" aria-invalid[wrong("origins")] { "\n" (origins) } }
            button.button.primary type="submit" { (page.say("保存", "Save")) }
        }
    };
    let sheet = Sheet::new(format!("{}{}", page.say("密钥：", "Key: "), key.called()), body).of_admin();
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

async fn change(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let wanted = json!({
        "limits": wanted_limits(&form, &["per_second", "per_month"]),
        "origins": form.lines("origins").collect::<Vec<_>>(),
    });
    match form.ask(&page, Method::PATCH, &format!("{API}/{}", part(&id))).json(&wanted).got().await {
        Ok(_) => page.go(PLACE, page.say("已保存，马上生效。", "Saved; it counts at once.")),
        Err(refusal) => match page.ended(&form, &refusal) {
            Some(ended) => ended,
            None => page.reply(edited(&page, &id, Some((&form, &refusal))).await),
        },
    }
}

async fn rotate(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let wanted = json!({"overlap": form.get("overlap")});
    match form
        .ask(&page, Method::POST, &format!("{API}/{}/rotate", part(&id)))
        .json(&wanted)
        .read::<Created>()
        .await
    {
        Ok(made) => page.reply(listed(&page, Beside { made: Some(&made), ..Beside::default() }).await),
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

async fn revoke(page: Page, Path(id): Path<String>, form: Form) -> Response {
    if !form.has("sure") {
        let name = match one(&page, &id).await {
            Ok(key) => key.called().to_owned(),
            Err(refusal) => return page.denied(&form, &refusal, PLACE),
        };
        if let Some(asked) = page.unsure(&form, &revoked_what(&page, &name), PLACE) {
            return asked;
        }
    }
    match form.ask(&page, Method::DELETE, &format!("{API}/{}", part(&id))).got().await {
        Ok(_) => page.go(PLACE, page.say("密钥已吊销，马上失效。", "The key is revoked as of now.")),
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

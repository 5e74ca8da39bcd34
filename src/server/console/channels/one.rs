//! One channel: what belongs where, does it work, and what is changed of it?

use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::super::form::Form;
use super::super::inside::{Refusal, part};
use super::super::page::{Page, Sheet};
use super::super::told::when;
use super::kinds::kind;
use super::plain;
use super::{API, Channel, Filled, PLACE, bases_of, fields, fresh, moment, name_of, place, settings, tag};
use crate::desk::web;

#[derive(Deserialize)]
struct Created {
    channel: Channel,
    secret: Option<String>,
}

#[derive(Deserialize)]
struct Tested {
    works: bool,
    detail: String,
}

/// What a page of a channel says beside how it stands.
#[derive(Default)]
struct Beside<'a> {
    /// A secret that was made, shown this once.
    secret: Option<&'a str>,
    /// What a check came to.
    tested: Option<Tested>,
    /// A change that was not taken.
    refused: Option<(&'a Form, &'a Refusal)>,
}

async fn read(page: &Page, name: &str) -> Result<Channel, Refusal> {
    page.inside.get(&format!("{API}/{}", part(name))).read().await
}

pub(super) async fn create(page: Page, form: Form) -> Response {
    let asked = page.query();
    let Some(kind) = kind(asked.get("kind")) else { return page.go(PLACE, "") };
    let wanted = json!({
        "name": form.get("name"), "kind": kind.code, "kb": form.get("kb"), "settings": settings(kind, &form),
    });
    match form.ask(&page, Method::POST, API).json(&wanted).read::<Created>().await {
        Ok(Created { channel, secret: None }) => {
            page.go(&channel.place(), page.say("渠道已添加。", "The channel is added."))
        }
        // What is shown once is shown at once, and stands in no address.
        Ok(Created { channel, secret }) => {
            whole(&page, &channel, Beside { secret: secret.as_deref(), ..Beside::default() })
        }
        Err(refusal) => {
            page.ended(&form, &refusal).unwrap_or_else(|| fresh(&page, kind, Some((&form, &refusal))))
        }
    }
}

pub(super) async fn show(page: Page, Path(name): Path<String>) -> Response {
    match read(&page, &name).await {
        Ok(channel) => whole(&page, &channel, Beside::default()),
        Err(refusal) => page.reply(Err(refusal)),
    }
}

pub(super) async fn test(page: Page, Path(name): Path<String>, form: Form) -> Response {
    let to = format!("{API}/{}/test", part(&name));
    let tested = match form.ask(&page, Method::POST, &to).read::<Tested>().await {
        Ok(tested) => tested,
        Err(refusal) if refusal.code == 409 => Tested { works: false, detail: refusal.detail },
        Err(refusal) => return page.denied(&form, &refusal, &place(&name)),
    };
    match read(&page, &name).await {
        Ok(channel) => whole(&page, &channel, Beside { tested: Some(tested), ..Beside::default() }),
        Err(refusal) => page.reply(Err(refusal)),
    }
}

pub(super) async fn change(page: Page, Path(name): Path<String>, form: Form) -> Response {
    let known = match read(&page, &name).await {
        Ok(known) => known,
        Err(refusal) => return page.denied(&form, &refusal, PLACE),
    };
    let Some(kind) = kind(&known.kind) else { return page.go(&known.place(), "") };
    let mut wanted = json!({"settings": settings(kind, &form)});
    if form.get("kb") != known.kb {
        wanted["kb"] = form.get("kb").into();
    }
    match form.ask(&page, Method::PATCH, &format!("{API}/{}", part(&name))).json(&wanted).got().await {
        Ok(_) => page.go(&known.place(), page.say("已保存，马上生效。", "Saved; it counts at once.")),
        Err(refusal) => page.ended(&form, &refusal).unwrap_or_else(|| {
            whole(&page, &known, Beside { refused: Some((&form, &refusal)), ..Beside::default() })
        }),
    }
}

pub(super) async fn remove(page: Page, Path(name): Path<String>, form: Form) -> Response {
    let what = format!(
        "{} {name}{}",
        page.say("将删除渠道", "This removes the channel"),
        page.say(
            "：平台再发来的消息不会被处理，还没发出的消息会丢弃，保存的密钥也会删掉。已有的会话记录保留。",
            ": what the platform sends is not taken any more, what was not said yet is dropped, and its secrets go. Conversations stay.",
        )
    );
    if let Some(asked) = page.unsure(&form, &what, &place(&name)) {
        return asked;
    }
    match form.ask(&page, Method::DELETE, &format!("{API}/{}", part(&name))).got().await {
        Ok(_) => page.go(PLACE, page.say("渠道已删除。", "The channel is removed.")),
        Err(refusal) => page.denied(&form, &refusal, &place(&name)),
    }
}

/// Something to paste elsewhere, with a button that copies it.
pub(in super::super) fn paste(page: &Page, id: &str, text: &str) -> Markup {
    html! {
        div.toolbar {
            code.paste id=(id) { (text) }
            button.button.small type="button" data-copy=(id) data-done=(page.say("已复制", "Copied")) hidden { (page.say("复制", "Copy")) }
        }
    }
}

/// What belongs into the platform's console, or into pages of one's own.
fn address(page: &Page, channel: &Channel) -> Markup {
    let own = page.inside.own_address();
    let kind = kind(&channel.kind);
    html! {
        @if let Some(site) = &channel.site {
            h2 { (page.say("放进网页的一行代码", "The line for your pages")) }
            p { (page.say("粘贴到网页里 </body> 之前：", "Paste it in front of </body>:")) }
            (paste(page, "line", &web::line(&own, site)))
            p { a.button.small href={ "/widget/" (part(site)) } target="_blank" rel="noopener" { (page.say("预览聊天窗口（新窗口）", "Preview the chat (new window)")) } }
        } @else if let Some(path) = &channel.path {
            h2 { (page.say("填到平台后台的地址", "The address for the platform's console")) }
            @if let Some(kind) = kind { p { (kind.place(page)) } }
            (paste(page, "address", &format!("{own}{path}")))
            @if !own.starts_with("https://") { p.fault { (page.say("平台只接受公网的 https 地址；请把前面换成服务器的公网域名。", "Platforms take public https addresses only; put the server's public name in front.")) } }
            p.soft { (page.say("保存时平台会马上来校验，所以请先在这里填好 Token 等，再到平台保存。", "The platform checks the address when it is saved there: fill in token and keys here first.")) }
        }
    }
}

fn standing(page: &Page, channel: &Channel) -> Markup {
    let state = &channel.state;
    html! {
        dl.fields {
            dt { (page.say("状态", "State")) } dd { (tag(page, channel)) }
            dt { (page.say("类型", "Kind")) } dd { (name_of(page, &channel.kind)) }
            dt { (page.say("知识库", "Knowledge base")) } dd { a href={ "/console/kb/" (part(&channel.kb)) } { (channel.kb) } }
            dt { (page.say("最近收到", "Last in")) } dd { (moment(page, state.last_in.as_deref())) }
            dt { (page.say("最近发出", "Last out")) } dd { (moment(page, state.last_out.as_deref())) }
            dt { (page.say("等待发出", "Waiting")) } dd { (state.due) }
            dt { (page.say("没能送到", "Given up")) } dd { (state.dead) }
            @if state.reachable > 0 {
                dt { (page.say("现在可主动发消息的顾客", "Customers who may be written to")) }
                dd { (state.reachable - state.used_up) @if state.used_up > 0 { (page.say("（另有 ", " (")) (state.used_up) (page.say(" 位已用完条数，要等对方再说话）", " more have had as many as they may)")) } }
            }
            dt { (page.say("添加于", "Added")) } dd { (when(&channel.created_at)) }
        }
        @if let Some(fault) = &channel.fault {
            div.card.problem role="alert" { b { (plain::check(page, false, fault)) } p.soft lang="en" { (fault) } }
        }
        @if let Some(error) = &state.error {
            div.card.problem { b { (page.say("最近一次没成功：", "The latest that failed: ")) } p { (plain::check(page, false, error)) } p.soft lang="en" { (error) @if let Some(at) = &state.error_at { " · " (when(at)) } } }
        }
    }
}

fn whole(page: &Page, channel: &Channel, beside: Beside<'_>) -> Response {
    let Beside { secret, tested, refused } = beside;
    let kind = kind(&channel.kind);
    let to = channel.place();
    let body = html! {
        p { a href=(PLACE) { "← " (page.say("渠道", "Channels")) } }
        @if let Some(secret) = secret {
            div.card.notice role="status" {
                b { (page.say("渠道已添加。这是它的密钥，只显示这一次，请马上保存：", "The channel is added. This is its secret, shown this once; keep it:")) }
                (paste(page, "secret", secret))
                @if channel.site.is_some() { p.soft { (page.say("只有要识别登录用户时才用得到；放在网站的服务器上，不要写进网页。", "It is for identities of people who have signed in; it belongs on your server, into no page.")) } }
            }
        }
        @if let Some(Tested { works, detail }) = &tested {
            div.card.notice.problem[!*works] role="status" {
                b { (plain::check(page, *works, detail)) }
                p.soft lang="en" { (detail) }
            }
        }
        section.card { (standing(page, channel))
            form.toolbar method="post" action={ (to) "/test" } { (page.csrf()) button.button type="submit" { (page.say("检查能否连通", "Check it")) } }
        }
        section.card { (address(page, channel)) }
        @if let Some(kind) = kind {
            section.card {
                h2 { (page.say("修改", "Change")) }
                form method="post" action=(to) data-keep {
                    (page.csrf())
                    @if let Some((_, refusal)) = refused { p.fault role="alert" { (plain::fault(page, kind, refusal)) } }
                    (bases_of(page, refused.map_or(channel.kb.as_str(), |(form, _)| form.get("kb")), false))
                    (fields(page, kind, &Filled { form: refused.map(|(form, _)| form), known: Some(channel), fault: refused.and_then(|(_, refusal)| refusal.field.as_deref()) }))
                    button.button.primary type="submit" { (page.say("保存", "Save")) }
                }
            }
        }
        section.card {
            h2 { (page.say("删除", "Remove")) }
            form method="post" action={ (to) "/remove" } {
                (page.csrf())
                button.button.danger type="submit" { (page.say("删除这个渠道…", "Remove this channel…")) }
            }
        }
    };
    let title = format!("{}{}", page.say("渠道：", "Channel: "), channel.name);
    let sheet = Sheet::new(title, body).with_script("channels.js");
    page.show(sheet.refused_if(refused.is_some()))
}

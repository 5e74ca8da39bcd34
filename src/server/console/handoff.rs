//! What is this customer's matter, and what do I say?

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Server;
use super::canned::{self, Canned};
use super::desk::{Handoff, Line, Named, Picture, Presence, claim, held, work};
use super::form::{Form, Upload};
use super::inside::{Refusal, address, part};
use super::page::{Outcome, Page, Sheet};
use super::told::{beside, percent, reason, span, state, when};

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route("/console/desk/{id}", get(conversation))
        .route("/console/desk/{id}/claim", post(take))
        .route("/console/desk/{id}/reply", post(reply))
        .route("/console/desk/{id}/note", post(note))
        .route("/console/desk/{id}/picture", post(picture).layer(DefaultBodyLimit::max(PICTURE_FORM)))
        .route("/console/desk/{id}/transfer", post(transfer))
        .route("/console/desk/{id}/end", post(end))
}

/// Lines that go along with a handoff; there may be more behind as many.
const LINES: usize = 50;

/// The largest form with a picture, in bytes.
const PICTURE_FORM: usize = crate::desk::pictures::BYTES + (64 << 10);

/// A proposed answer less likely than this only costs the time to read it.
const WORTH: f64 = 0.01;

/// Proposed answers that have a key.
const KEYS: usize = 5;

#[derive(Deserialize)]
struct Proposal {
    entry: String,
    question: String,
    confidence: f64,
    text: String,
}

#[derive(Deserialize)]
struct Proposals {
    items: Vec<Proposal>,
}

#[derive(Deserialize)]
struct Note {
    author: String,
    text: String,
    at: String,
}

#[derive(Deserialize)]
struct Notes {
    items: Vec<Note>,
}

#[derive(Deserialize)]
struct Whole {
    turns: Vec<Line>,
}

/// A form that was to pass a conversation on, and why it was refused.
struct Passing<'a> {
    form: &'a Form,
    fault: String,
}

/// What stands in the reply box.
#[derive(Default)]
struct Draft {
    text: String,
    /// The entry whose proposed answer it is.
    entry: String,
    fault: Option<String>,
}

async fn conversation(page: Page, Path(id): Path<String>) -> Response {
    page.reply(shown(&page, &id, None, None).await)
}

async fn shown(page: &Page, id: &str, draft: Option<Draft>, passing: Option<&Passing<'_>>) -> Outcome {
    let api = format!("/v1/handoffs/{}", part(id));
    let one: Handoff = page.inside.get(&api).read().await?;
    let presence: Presence = page.inside.get(&address("/v1/presence", &[("kb", &one.kb)])).read().await?;
    let Notes { items: notes } = page.inside.get(&format!("{api}/notes")).read().await?;
    let is_mine = one.is_of(&presence.you);
    let is_open = one.ended_at.is_none();
    // A knowledge base that answers no more proposes nothing.
    let mut proposals = match page.inside.get(&format!("{api}/proposals")).read::<Proposals>().await {
        Ok(proposals) if is_open => proposals.items,
        _ => Vec::new(),
    };
    proposals.retain(|one| one.confidence >= WORTH);
    let mut open = held(page, &presence.you, "").await?;
    open.retain(|other| other.id != one.id);
    let at_hand = if is_mine { canned::all(page).await? } else { Vec::new() };
    let asked = page.query();
    let whole: Vec<Line> = if asked.has("all") {
        let to = format!("/v1/conversations/{}", part(&one.conversation));
        let Whole { turns } = page.inside.get(&address(&to, &[("kb", &one.kb)])).read().await?;
        turns
    } else {
        Vec::new()
    };
    let status =
        if draft.is_some() || passing.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let draft = draft.unwrap_or_else(|| taken(&asked, &proposals, &at_hand));
    let body = html! {
        div data-desk="handoff" data-handoff=(one.id) data-you=(presence.you) data-csrf=(page.me.csrf_token.as_deref().unwrap_or_default()) {
            p { a href="/console/desk" { "← " (page.say("坐席工作台", "Desk")) } " " a href=(page.here) { (page.say("刷新", "Refresh")) } }
            p.soft role="status" data-status { }
            div.desk {
                section.card aria-label=(page.say("对话", "Conversation")) {
                    div #live-state data-live data-mine[is_mine] data-open=(is_open) { (standing(page, &one, is_mine)) }
                    ol.talk #live-talk data-live tabindex="0" aria-label=(page.say("聊天记录", "What was said")) {
                        @let lines = if whole.is_empty() { &one.transcript } else { &whole };
                        @if whole.is_empty() && lines.len() >= LINES { li.event { a href={ (one.place()) "?all=1" } { (page.say("查看更早的消息", "Show earlier messages")) } } }
                        @for line in lines { (said(page, &one, line)) }
                    }
                    @if let Some(fault) = draft.fault.as_ref().filter(|_| !is_mine) {
                        div.card.problem role="alert" { (fault) @if !draft.text.is_empty() { p.words { (draft.text) } } }
                    }
                    @if is_mine { (reply_box(page, &one, &draft, &at_hand)) (picture_box(page, &one)) }
                    @if is_open { (ways_out(page, &one, is_mine)) (passed_on(page, &one, &presence, is_mine, passing)) }
                }
                div.beside {
                    div #live-others data-live { @if !open.is_empty() { section.card {
                        h2 { (page.say("我的其他会话", "My other conversations")) " (" (open.len()) ")" }
                        ul.works { @for other in &open { (work(page, other, true)) } }
                    } } }
                    section.card #live-proposals data-live { (proposed(page, &one, &proposals, is_mine)) }
                    section.card { (known(page, &one)) }
                    section.card { (noted(page, &one, &notes)) }
                }
            }
        }
    };
    let title: String = one.about().chars().take(40).collect();
    Ok(page.show(Sheet::new(title, body).with_script("desk.js").refused(status)))
}

/// What a link puts into the reply box.
fn taken(asked: &Form, proposals: &[Proposal], at_hand: &[Canned]) -> Draft {
    let proposal = proposals.iter().find(|one| one.entry == asked.get("take"));
    let canned = at_hand.iter().find(|one| one.id == asked.get("canned"));
    let text = proposal.map(|one| &one.text).or_else(|| canned.map(|one| &one.text));
    let entry = proposal.map(|one| one.entry.clone()).unwrap_or_default();
    Draft { text: text.cloned().unwrap_or_default(), entry, fault: None }
}

/// Whose turn it is.
fn standing(page: &Page, one: &Handoff, is_mine: bool) -> Markup {
    html! {
        div.verdict-head {
            (state(page, &one.state))
            span.tag.warn { (reason(page, &one.reason)) }
            @if let Some(rule) = &one.rule { span.soft { (page.say("规则 ", "rule ")) (rule) } }
            span.soft { (page.say("受理编号 ", "number ")) (one.number) " · " (one.kb) " · " (one.channel.as_deref().unwrap_or("—")) " · " (page.say("版本 ", "release ")) (one.release) }
        }
        @if one.is_waiting() {
            p { (page.say("已等待 ", "Waiting for ")) b data-since=(one.waiting_s) { (span(page, one.waiting_s)) }
                @if let Some(position) = one.position { (page.say("，排在第 ", ", number ")) (position) (page.say(" 位", " in the queue")) } }
            (claim(page, one))
        } @else if is_mine {
            p.soft { (page.say("由您接待", "It is yours")) @if let Some(until) = &one.lease_until { (page.say("；这一页开着就一直保留，否则保留到 ", "; kept while this page is open, else until ")) (when(until)) } }
        } @else if let Some(ended) = &one.ended_at {
            p.soft { (page.say("结束于 ", "Ended ")) (when(ended)) }
        } @else if let Some(agent) = &one.agent {
            p { b { (page.called(agent)) } (page.say(" 正在接待；您只能查看和备注。", " has it; you can read and note.")) }
        }
    }
}

fn said(page: &Page, one: &Handoff, line: &Line) -> Markup {
    let who = match line.role.as_str() {
        "customer" => page.say("顾客", "Customer").into(),
        "bot" => page.say("机器人", "Robot").into(),
        "agent" => match &line.author {
            Some(author) => page.called(author),
            None => page.say("坐席", "Agent").into(),
        },
        _ => {
            let text = match line.text.as_str() {
                "queued" => page.say("转人工，等待接待", "A person was asked for"),
                "agent" => page.say("坐席接待", "A person took over"),
                "bot" => page.say("机器人接待", "The robot took over"),
                "closed" => page.say("会话结束", "The conversation ended"),
                other => other,
            };
            return html! { li.event { (text) " " (when(&line.at)) } };
        }
    };
    let class = match line.role.as_str() {
        "customer" => "customer",
        "bot" => "bot",
        _ => "agent",
    };
    html! {
        li class={ "line " (class) } id={ "line-" (line.seq) } {
            p.soft { b { (who) } " " (when(&line.at)) @if line.decision.as_deref() == Some("handoff") { " " span.tag.warn { (page.say("转人工", "handoff")) } } }
            @match &line.picture {
                Some(picture) => (pictured(page, one, picture)),
                None => p.words { (line.text) },
            }
            (beside(page, &line.images, &line.links))
            @if !line.suggestions.is_empty() { ul.soft { @for one in &line.suggestions { li { (one.question) } } } }
        }
    }
}

/// A picture of the conversation; the large one is a page of its own.
fn pictured(page: &Page, one: &Handoff, picture: &Picture) -> Markup {
    let to = format!("/v1/conversations/{}/pictures/{}", part(&one.conversation), part(&picture.id));
    let to = address(&to, &[("kb", &one.kb)]);
    html! {
        p { a href=(to) target="_blank" rel="noopener" {
            img.picture src=(to) alt={ (page.say("图片 ", "Picture ")) (picture.name) (page.say("（点开看大图，新窗口）", " (opens large, in a new window)")) };
        } }
    }
}

/// A picture to show to the customer, where the channel has them.
fn picture_box(page: &Page, one: &Handoff) -> Markup {
    if one.channel.as_deref() != Some(crate::desk::web::KIND) {
        return html! {};
    }
    html! {
        details {
            summary { (page.say("发图片给顾客", "Show the customer a picture")) }
            form method="post" action={ (one.place()) "/picture" } enctype="multipart/form-data" {
                (page.csrf())
                input type="hidden" name="client_id" value=(crate::desk::new_id());
                label { span.label { (page.say("JPEG、PNG、GIF 或 WebP，不超过 5 MB", "JPEG, PNG, GIF or WebP, at most 5 MB")) }
                    input type="file" name="picture" accept="image/jpeg,image/png,image/gif,image/webp" required; }
                button.button.small type="submit" { (page.say("发送图片", "Send it")) }
            }
        }
    }
}

fn reply_box(page: &Page, one: &Handoff, draft: &Draft, at_hand: &[Canned]) -> Markup {
    html! {
        form #reply method="post" action={ (one.place()) "/reply" } data-draft=(one.id) {
            (page.csrf())
            input type="hidden" name="client_id" value=(crate::desk::new_id());
            input type="hidden" name="entry" value=(draft.entry);
            p.fault role="alert" data-fault { @if let Some(fault) = &draft.fault { (fault) } }
            label { span.label { (page.say("回复顾客（Ctrl+Enter 发送）", "Reply to the customer (Ctrl+Enter sends)")) }
                textarea name="text" rows="4" maxlength="4000" required aria-keyshortcuts="Control+Enter" { "\n" (draft.text) } }
            div.toolbar {
                button.button.primary type="submit" { (page.say("发送", "Send")) }
                span.soft data-kept { }
            }
        }
        @if at_hand.is_empty() { p.soft { a href="/console/desk/replies" { (page.say("添加常用语", "Add canned replies")) } } }
        @else {
            details.canned #canned {
                summary { (page.say("常用语", "Canned replies")) " (" (at_hand.len()) ")" }
                label hidden data-find { span.label { (page.say("查找", "Find")) } input type="search"; }
                ul.offers { @for reply in at_hand {
                    li { a.offer href={ (one.place()) "?canned=" (part(&reply.id)) "#reply" } data-put=(reply.text) { span { b { (reply.title) } " " (reply.text) } } }
                } }
                p { a href="/console/desk/replies" { (page.say("管理常用语", "Keep canned replies")) } }
            }
        }
    }
}

/// Back to the robot, or over.
fn ways_out(page: &Page, one: &Handoff, is_mine: bool) -> Markup {
    if !is_mine && !one.is_waiting() {
        return html! {};
    }
    html! {
        form.ways method="post" action={ (one.place()) "/end" } {
            (page.csrf())
            @if is_mine { label { span.label { (page.say("最后一句话（可不填）", "A last word (may be left out)")) } input name="text" maxlength="4000" autocomplete="off"; } }
            div.toolbar {
                button.button type="submit" name="how" value="return" { (page.say("交还机器人", "Back to the robot")) }
                button.button.danger type="submit" name="how" value="close" data-confirm=(page.say("结束这个会话？顾客再发消息会重新由机器人接待。", "End this conversation? With the next message it begins anew with the robot.")) { (page.say("结束会话", "End it")) }
            }
        }
    }
}

/// To a colleague, or whoever takes it next.
fn passed_on(
    page: &Page,
    one: &Handoff,
    presence: &Presence,
    is_mine: bool,
    passing: Option<&Passing<'_>>,
) -> Markup {
    let others = presence.items.iter().filter(|other| other.agent != presence.you);
    let (online, away): (Vec<_>, Vec<_>) = others.partition(|other| other.state == "online");
    // Who has it can always put it back; what waits needs somebody to give it to.
    if !is_mine && (!one.is_waiting() || online.is_empty() && away.is_empty()) {
        return html! {};
    }
    html! {
        @let chosen = passing.map(|passing| passing.form.get("to"));
        details open[passing.is_some()] {
            summary { (page.say("转交同事", "Pass it on")) }
            @if let Some(passing) = passing { p.fault role="alert" { (passing.fault) } }
            form method="post" action={ (one.place()) "/transfer" } {
                (page.csrf())
                label { span.label { (page.say("交给", "To")) } select name="to" {
                    // Nobody's customer waits for somebody who is away by mistake.
                    @for other in &online { option value=(other.agent) selected[chosen == Some(&other.agent)] { (page.called_both(&other.agent)) } }
                    @if is_mine { option value="" selected[chosen == Some("")] { (page.say("放回等待队列", "Back into the queue")) } }
                    @for other in &away {
                        option value=(other.agent) selected[chosen == Some(&other.agent)] { (page.called_both(&other.agent)) (page.say("（离开）", " (away)")) }
                    }
                } }
                label { span.label { (page.say("给同事的备注（可不填，顾客看不到）", "A note for them (may be left out; no customer sees it)")) }
                    textarea name="note" rows="2" maxlength="4000" { "\n" (passing.map_or("", |passing| passing.form.raw("note"))) } }
                button.button.small type="submit" { (page.say("转交", "Pass it on")) }
            }
        }
    }
}

/// Answers that could be sent as they are.
fn proposed(page: &Page, one: &Handoff, proposals: &[Proposal], is_mine: bool) -> Markup {
    html! {
        h2 { (page.say("建议答案", "Proposed answers")) @if is_mine { span.soft { (page.say("（按 1–5，在输入框里按 Alt+1–5）", " (keys 1–5; Alt+1–5 in the box)")) } } }
        @if proposals.is_empty() { p.empty { (page.say("没有合适的答案。", "There is none that fits.")) } }
        ol.proposals { @for (at, proposal) in proposals.iter().enumerate() {
            li {
                div.candidate-head { span { (proposal.question) } b { (percent(proposal.confidence)) } }
                p.words { (proposal.text) }
                @if is_mine {
                    @let key = (at < KEYS).then(|| (at + 1).to_string());
                    a.button.small href={ (one.place()) "?take=" (part(&proposal.entry)) "#reply" } data-put=(proposal.text) data-entry=(proposal.entry) data-key=[key.as_deref()] {
                        @if let Some(key) = &key { kbd { (key) } " " }
                        (page.say("用这个", "Use it"))
                        span.hidden-label { (page.say("：", ": ")) (proposal.question) }
                    }
                }
            }
        } }
    }
}

/// What the robot and the client knew.
fn known(page: &Page, one: &Handoff) -> Markup {
    let entries = |list: &[Named]| {
        html! { ul.plain { @for named in list {
            li {
                @if page.may("author") { a href={ "/console/kb/" (part(&one.kb)) "/entries/" (part(&named.entry)) } { (named.question) } } @else { (named.question) }
                @if let Some(confidence) = named.confidence { " " b { (percent(confidence)) } }
            }
        } } }
    };
    html! {
        h2 { (page.say("机器人所知", "What the robot knew")) }
        p { (one.summary) }
        @if !one.candidates.is_empty() { h3 { (page.say("最接近的条目", "What came nearest")) } (entries(&one.candidates)) }
        @if !one.shown.is_empty() { h3 { (page.say("已经给顾客看过", "What the customer has seen")) } (entries(&one.shown)) }
        h3 { (page.say("顾客", "Customer")) }
        @match &one.customer {
            Some(Value::Object(fields)) if !fields.is_empty() => dl.fields { @for (name, value) in fields { dt { (name) } dd { @match value { Value::String(text) => (text), other => (other.to_string()) } } } },
            Some(Value::String(text)) => p { (text) },
            _ => p.empty { (page.say("客户端没有提供资料。", "The client says nothing of them.")) },
        }
        p.soft { (page.say("会话 ", "Conversation ")) code { (one.conversation) } " · " (page.say("转人工于 ", "handed off ")) (when(&one.created_at)) }
        div.toolbar {
            a.button.small href=(address("/console/tickets/new", &[("handoff", &one.id)])) { (page.say("建工单", "Make a ticket")) }
            a.button.small href=(address("/console/desk/past", &[("q", &one.conversation)])) { (page.say("这位顾客以前的会话", "Earlier conversations of theirs")) }
        }
    }
}

/// What no customer sees.
fn noted(page: &Page, one: &Handoff, notes: &[Note]) -> Markup {
    html! {
        h2 { (page.say("内部备注", "Internal notes")) }
        ul.plain #live-notes data-live { @for note in notes { li { p.soft { b { (page.called(&note.author)) } " " (when(&note.at)) } p.words { (note.text) } } } }
        form method="post" action={ (one.place()) "/note" } {
            (page.csrf())
            label { span.label { (page.say("只有同事看得到", "Only colleagues see it")) } textarea name="text" rows="2" maxlength="4000" required {} }
            button.button.small type="submit" { (page.say("添加备注", "Add")) }
        }
    }
}

fn place(id: &str) -> String {
    format!("/console/desk/{}", part(id))
}

async fn take(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let api = format!("/v1/handoffs/{}", part(&id));
    match form.ask(&page, Method::POST, &format!("{api}/claim")).got().await {
        Ok(_) => page.go(&place(&id), page.say("已接待，请回复顾客。", "It is yours; please reply.")),
        Err(refusal) if refusal.code == 409 => {
            let now = page.inside.get(&api).read::<Handoff>().await;
            let text = match now.ok().and_then(|one| one.agent.filter(|_| one.ended_at.is_none())) {
                Some(agent) => format!(
                    "{}{}{}",
                    page.say("晚了一步：", "Too late: "),
                    page.called(&agent),
                    page.say(" 已经接待了这个会话。", " has this conversation.")
                ),
                None => page.say("这个会话已经结束。", "This conversation is over.").to_owned(),
            };
            page.go_with_fault(&place(&id), &text)
        }
        Err(refusal) => page.denied(&form, &refusal, "/console/desk"),
    }
}

async fn reply(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let mut said = json!({"text": form.raw("text"), "client_id": form.get("client_id")});
    if !form.get("entry").is_empty() {
        said["entry"] = form.get("entry").into();
    }
    let sent =
        form.ask(&page, Method::POST, &format!("/v1/handoffs/{}/reply", part(&id))).json(&said).got().await;
    match sent {
        // The page forgets what it kept of the draft.
        Ok(_) => page.go(&format!("{}?said=1#reply", place(&id)), page.say("已发送。", "Sent.")),
        Err(refusal) => again(&page, &id, &form, &refusal).await,
    }
}

/// The page once more with what was to be said, and why it was not.
async fn again(page: &Page, id: &str, form: &Form, refusal: &Refusal) -> Response {
    if let Some(ended) = page.ended(form, refusal) {
        return ended;
    }
    let fault = if refusal.code == 409 {
        page.say("没有发送：这个会话已不由您接待。", "Not sent: the conversation is not yours any more.")
            .to_owned()
    } else {
        page.fault(refusal)
    };
    let draft = Draft {
        text: form.raw("text").to_owned(),
        entry: form.get("entry").to_owned(),
        fault: Some(fault.clone()),
    };
    match shown(page, id, Some(draft), None).await {
        Ok(response) => response,
        Err(_) => page.go_with_fault("/console/desk", &fault),
    }
}

async fn picture(page: Page, Path(id): Path<String>, upload: Upload) -> Response {
    let Upload { form, file } = upload;
    let Some((name, bytes)) = file else {
        return page.go_with_fault(&place(&id), page.say("请先选一张图片。", "Choose a picture first."));
    };
    let to = format!("/v1/handoffs/{}/pictures", part(&id));
    let to = address(&to, &[("name", &name), ("client_id", form.get("client_id"))]);
    match form.ask(&page, Method::POST, &to).file("application/octet-stream", bytes).got().await {
        Ok(_) => page.go(&format!("{}#reply", place(&id)), page.say("图片已发送。", "The picture is sent.")),
        Err(refusal) if refusal.field.as_deref() == Some("picture") && refusal.code == 422 => {
            let text = page
                .say("这不是 JPEG、PNG、GIF 或 WebP 图片。", "This is no JPEG, PNG, GIF or WebP picture.");
            page.go_with_fault(&place(&id), text)
        }
        Err(refusal) => page.denied(&form, &refusal, &place(&id)),
    }
}

async fn note(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let to = format!("/v1/handoffs/{}/notes", part(&id));
    match form.ask(&page, Method::POST, &to).json(&json!({"text": form.raw("text")})).got().await {
        Ok(_) => page.go(&place(&id), page.say("备注已添加。", "Noted.")),
        Err(refusal) => page.denied(&form, &refusal, &place(&id)),
    }
}

async fn transfer(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let mut said = json!({});
    for (name, text) in [("to", form.get("to")), ("note", form.get("note"))] {
        if !text.is_empty() {
            said[name] = text.into();
        }
    }
    let to = form.get("to");
    match form
        .ask(&page, Method::POST, &format!("/v1/handoffs/{}/transfer", part(&id)))
        .json(&said)
        .got()
        .await
    {
        Ok(_) if to.is_empty() => {
            page.go("/console/desk", page.say("已放回等待队列。", "It waits in the queue again."))
        }
        Ok(_) => page.go(
            "/console/desk",
            &format!("{}{}{}", page.say("已转交给 ", "Passed on to "), page.called(to), page.say("。", ".")),
        ),
        Err(refusal) => {
            if let Some(ended) = page.ended(&form, &refusal) {
                return ended;
            }
            let passing = Passing { form: &form, fault: page.why(&refusal) };
            match shown(&page, &id, None, Some(&passing)).await {
                Ok(response) => response,
                Err(_) => page.go_with_fault("/console/desk", &passing.fault),
            }
        }
    }
}

async fn end(page: Page, Path(id): Path<String>, form: Form) -> Response {
    let closes = form.get("how") == "close";
    if closes {
        let what = page.say(
            "将结束这个会话；顾客再发消息会重新由机器人接待。",
            "This ends the conversation; with the next message it begins anew with the robot.",
        );
        if let Some(asked) = page.unsure(&form, what, &place(&id)) {
            return asked;
        }
    }
    let how = if closes { "close" } else { "return" };
    let mut said = json!({});
    if !form.get("text").is_empty() {
        said["text"] = form.raw("text").into();
    }
    match form.ask(&page, Method::POST, &format!("/v1/handoffs/{}/{how}", part(&id))).json(&said).got().await
    {
        Ok(_) if closes => page.go("/console/desk", page.say("会话已结束。", "The conversation is over.")),
        Ok(_) => page.go("/console/desk", page.say("已交还机器人。", "The robot has it again.")),
        Err(refusal) => page.denied(&form, &refusal, &place(&id)),
    }
}

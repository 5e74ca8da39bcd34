//! How does a whole knowledge base go?
//!
//! Nothing brings it back, so whoever may says which one they mean by its name.

use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::html;
use serde_json::Value;

use super::super::form::Form;
use super::super::inside::Refusal;
use super::super::page::{Outcome, Page, Sheet};
use super::parts::{api, base, count};

pub(super) async fn page(page: Page, Path(kb): Path<String>) -> Response {
    page.reply(shown(&page, &kb, None).await)
}

/// What goes, and the field for its name; `wrong` is what somebody has typed there.
async fn shown(page: &Page, kb: &str, wrong: Option<&str>) -> Outcome {
    if !page.may("admin") {
        return Err(Refusal { code: 403, kind: "/problems/forbidden".to_owned(), ..Refusal::default() });
    }
    let outline = super::entries::outline(page, kb).await?;
    let releases: Value = page.inside.get(&format!("{}/releases", api(kb))).read().await?;
    let body = html! {
        @if wrong.is_some() { div.card.problem role="alert" { (page.say("名字不对，没有删除。请照原样输入这个知识库的名字。", "That is not its name; nothing was deleted. Type the name as it is.")) } }
        form.card method="post" {
            (page.csrf())
            p { b { (page.say("这些会一起删除，不能恢复：", "All of this goes, and cannot be brought back:")) } }
            ul {
                li { (outline["entries"].to_string()) (page.say(" 个条目和它们的历史", " entries with their history")) }
                li { (page.say("词语、话术与规则、标注问题、评测报告、学习建议", "words, voice and rules, labelled questions, evaluations, suggestions")) }
                li { (count(&releases, "items")) (page.say(" 个发布过的版本", " releases")) }
            }
            @if !outline["current"].is_null() { p.fault { (page.say("顾客正在用它：删除以后，他们马上得不到回答。", "Customers use it: once it is gone, they get no answers.")) } }
            p.soft { (page.say("对话记录、工单和统计会留下。想留一份内容，请先", "Conversations, tickets and figures stay. To keep its content, ")) a href={ (base(kb)) "/export/xlsx" } { (page.say("导出 Excel", "export it to Excel first")) } (page.say("。", ".")) }
            label.block { span.label { (page.say("要删除，请输入知识库的名字：", "To delete it, type its name: ")) b { (kb) } }
                input.narrow type="text" name="name" required autocomplete="off" value=(wrong.unwrap_or_default()); }
            div.toolbar {
                button.button.danger type="submit" { (page.say("永久删除", "Delete for good")) }
                a.button href=(base(kb)) { (page.say("不删除", "Do not")) }
            }
        }
    };
    let title = format!("{}{kb}", page.say("删除知识库 ", "Delete knowledge base "));
    let sheet = Sheet::new(title, body).of_kb(kb);
    Ok(page.show(if wrong.is_some() { sheet.refused(StatusCode::UNPROCESSABLE_ENTITY) } else { sheet }))
}

pub(super) async fn delete(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(deleted(&page, &kb, &form).await)
}

async fn deleted(page: &Page, kb: &str, form: &Form) -> Outcome {
    if form.get("name") != kb {
        return shown(page, kb, Some(form.get("name"))).await;
    }
    let place = format!("{}?yes=true", api(kb));
    match form.ask(page, Method::DELETE, &place).got().await {
        Ok(_) if page.is_english() => {
            Ok(page.go("/console", &format!("The knowledge base {kb} was deleted.")))
        }
        Ok(_) => Ok(page.go("/console", &format!("知识库“{kb}”已删除。"))),
        Err(refusal) if refusal.code == 409 => {
            let told = page.say("它正在发布，请等发布完成。", "It is being published; wait for that.");
            Ok(page.go_with_fault(&format!("{}/delete", base(kb)), told))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

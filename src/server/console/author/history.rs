//! What has an entry been?

use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::super::form::Form;
use super::super::inside::{Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::parts::{api, base, entry_page, faults, field_name, list, shown as value_shown, text};

/// Revisions that are shown.
const SHOWN: &str = "100";

pub(super) async fn page(page: Page, Path((kb, id)): Path<(String, String)>) -> Response {
    page.reply(shown(&page, &kb, &id).await)
}

async fn revisions(page: &Page, kb: &str, id: &str) -> Result<Value, Refusal> {
    let place = address(&format!("{}/history", api(kb)), &[("entry", id), ("limit", SHOWN)]);
    page.inside.get(&place).read().await
}

async fn shown(page: &Page, kb: &str, id: &str) -> Outcome {
    let history = revisions(page, kb, id).await?;
    let newest = &history["revisions"][0];
    let body = html! {
        p { a.button.small href=(entry_page(kb, id)) { (page.say("回到条目", "Back to the entry")) } " " a.button.small href={ (base(kb)) "/entries" } { (page.say("返回列表", "Back to the list")) } }
        @if newest.is_null() { p.empty { (page.say("没有这个条目的历史。", "There is no history of this entry.")) } }
        @for revision in list(&history, "revisions") {
            section.card {
                div.verdict-head {
                    b { (action(page, text(revision, "action"))) }
                    span { (page.called(text(revision, "author"))) }
                    (when(text(revision, "at")))
                    @if revision["live"] == Value::Bool(true) { span.tag.good { (page.say("立即生效", "served at once")) } }
                    span.soft { "#" (revision["number"].to_string()) }
                }
                @if !text(revision, "reason").is_empty() { p.soft { (text(revision, "reason")) } }
                (changes(page, &revision["before"], &revision["after"]))
                @if !revision["after"].is_null() && revision["number"] != newest["number"] {
                    form method="post" {
                        (page.csrf())
                        input type="hidden" name="number" value=(revision["number"].to_string());
                        button.button.small type="submit" { (page.say("恢复到这个样子", "Restore this version")) }
                    }
                }
                @if revision["after"].is_null() && revision["number"] == newest["number"] {
                    form method="post" {
                        (page.csrf())
                        input type="hidden" name="number" value=(revision["number"].to_string());
                        input type="hidden" name="side" value="before";
                        button.button.small type="submit" { (page.say("恢复这个条目", "Bring it back")) }
                    }
                }
            }
        }
    };
    let last = if newest["after"].is_null() { &newest["before"] } else { &newest["after"] };
    let named = if text(last, "question").is_empty() { id } else { text(last, "question") };
    let title = format!("{}：{named}", page.say("历史", "History"));
    Ok(page.show(Sheet::new(title, body).of_kb(kb)))
}

pub(super) fn action(page: &Page, name: &str) -> &'static str {
    match name {
        "add" => page.say("新建", "Made"),
        "remove" => page.say("删除", "Deleted"),
        "enable" => page.say("启用", "Switched on"),
        "disable" => page.say("停用", "Switched off"),
        _ => page.say("修改", "Changed"),
    }
}

/// The fields that differ between two states.
fn changes(page: &Page, before: &Value, after: &Value) -> Markup {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        let only = if after.is_null() { before } else { after };
        return html! { p { (text(only, "question")) } p.soft.lines { (text(only, "answer")) } };
    };
    let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
    html! {
        div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table { tbody { @for name in names.filter(|name| before[name.as_str()] != after[name.as_str()]) {
            @let (was, is) = (&before[name.as_str()], &after[name.as_str()]);
            tr {
                td { (field_name(page, name)) }
                @if let (Some(was), Some(is)) = (was.as_array(), is.as_array()) {
                    td {
                        @for item in was.iter().filter(|item| !is.contains(item)) { div.gone { "− " (value_shown(page, item)) } }
                        @for item in is.iter().filter(|item| !was.contains(item)) { div.come { "+ " (value_shown(page, item)) } }
                        @if was.iter().all(|item| is.contains(item)) && is.iter().all(|item| was.contains(item)) { span.soft { (page.say("次序变了", "another order")) } }
                    }
                } @else {
                    td { div.gone { (value_shown(page, was)) } div.come { (value_shown(page, is)) } }
                }
            }
        } } } }
    }
}

pub(super) async fn restore(page: Page, Path((kb, id)): Path<(String, String)>, form: Form) -> Response {
    page.reply(restored(&page, &kb, &id, &form).await)
}

async fn restored(page: &Page, kb: &str, id: &str, form: &Form) -> Outcome {
    let history = revisions(page, kb, id).await?;
    let side = if form.get("side") == "before" { "before" } else { "after" };
    let number: Option<i64> = form.get("number").parse().ok();
    let wanted = list(&history, "revisions").find(|one| number.is_some_and(|number| one["number"] == number));
    let here = format!("{}/history", entry_page(kb, id));
    let Some(entry) = wanted.map(|one| &one[side]).filter(|entry| !entry.is_null()) else {
        return Ok(page.go_with_fault(&here, page.say("找不到那个版本。", "There is no such version.")));
    };
    let place = format!("{}/entries/{}", api(kb), part(id));
    let etag = match page.inside.get(&place).got().await {
        Ok(got) => got.etag(),
        Err(refusal) if refusal.slug() == "unknown-entry" => String::new(),
        Err(refusal) => return Err(refusal),
    };
    let put = form.ask(page, Method::PUT, &address(&place, &[("draft", "true")])).if_match(&etag);
    match put.json(entry).got().await {
        Ok(_) => Ok(page.go(&entry_page(kb, id), page.say("已恢复到草稿。", "Restored in the draft."))),
        Err(refusal) if [409, 412, 422].contains(&refusal.code) => {
            let told: Vec<String> = faults(page, &refusal).into_iter().map(|(_, message)| message).collect();
            Ok(page.go_with_fault(&here, &told.join("；")))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

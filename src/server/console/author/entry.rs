//! What does an entry say, and what becomes of it?

use axum::extract::{Path, Query};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::conflict;
use super::editor::{Editor, filled, tried};
use super::entries::{holders, outline};
use super::parts::{Asked, api, asked, base, entry_page, faults, looked, revision, text, undo};

/// An entry that is not there yet; what led here may say its question.
pub(super) async fn blank(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    let entry =
        json!({"question": asked(&query, "question"), "similar": [], "topic": asked(&query, "topic")});
    page.reply(edited(&page, &kb, &entry, "", &[], "").await)
}

pub(super) async fn page(
    page: Page,
    Path((kb, id)): Path<(String, String)>,
    Query(query): Asked,
) -> Response {
    page.reply(shown(&page, &kb, &id, asked(&query, "undo")).await)
}

async fn shown(page: &Page, kb: &str, id: &str, stretch: &str) -> Outcome {
    let got = match page.inside.get(&place(kb, id)).got().await {
        // Its history may still be read.
        Err(refusal) if refusal.slug() == "unknown-entry" => {
            return Ok(page.show(gone(page, kb, id, stretch)));
        }
        got => got?,
    };
    let (entry, etag) = (got.read::<Value>()?, got.etag());
    let offered = undo(page, kb, stretch, &entry_page(kb, id));
    sheet(page, kb, &entry, &etag, &[], "", None, offered).await
}

fn place(kb: &str, id: &str) -> String {
    format!("{}/entries/{}", api(kb), part(id))
}

/// The page of an entry that was deleted.
fn gone(page: &Page, kb: &str, id: &str, stretch: &str) -> Sheet {
    let body = html! {
        (undo(page, kb, stretch, &entry_page(kb, id)))
        p { (page.say("没有这个条目，可能已被删除。", "There is no such entry; it may have been deleted.")) }
        p { a.button href={ (entry_page(kb, id)) "/history" } { (page.say("看它的历史", "Its history")) } " " a.button href={ (base(kb)) "/entries" } { (page.say("返回列表", "Back to the list")) } }
    };
    Sheet::new(id, body).of_kb(kb).refused(StatusCode::NOT_FOUND)
}

/// The editor with what somebody has filled in.
async fn edited(
    page: &Page,
    kb: &str,
    entry: &Value,
    etag: &str,
    wrong: &[(String, String)],
    sentence: &str,
) -> Outcome {
    let told = if sentence.is_empty() {
        None
    } else {
        let wanted = json!({"rules": entry["rules"], "texts": [sentence]});
        Some(match looked(page, &format!("{}/rules/try", api(kb)), &wanted).await {
            Ok(told) => tried(page, &told),
            Err(refusal) => html! { p.fault { (page.why(&refusal)) } },
        })
    };
    sheet(page, kb, entry, etag, wrong, sentence, told, html! {}).await
}

#[expect(clippy::too_many_arguments, reason = "what an editor shows, put together in one place")]
async fn sheet(
    page: &Page,
    kb: &str,
    entry: &Value,
    etag: &str,
    wrong: &[(String, String)],
    sentence: &str,
    told: Option<Markup>,
    above: Markup,
) -> Outcome {
    let outline = outline(page, kb).await?;
    let held = holders(page, kb, entry).await.unwrap_or_default();
    let editor =
        Editor { kb, entry, etag, faults: wrong, holders: &held, outline: &outline, tried: told, sentence };
    let id = text(entry, "id");
    let body = html! {
        (above)
        @if !etag.is_empty() {
            nav.toolbar aria-label=(page.say("这个条目", "This entry")) {
                a.button.small href={ (entry_page(kb, id)) "/history" } { (page.say("历史", "History")) }
                a.button.small href=(address(&format!("{}/try", base(kb)), &[("text", text(entry, "question"))])) { (page.say("试问", "Try it")) }
                form method="post" action={ (entry_page(kb, id)) "/delete" } {
                    (page.csrf())
                    input type="hidden" name="etag" value=(etag);
                    button.button.small.danger name="ask" value="1" data-confirm=(page.say("删除这个条目？删除后可以马上撤销。", "Delete this entry? It can be undone right after.")) { (page.say("删除", "Delete")) }
                }
            }
        }
        (editor.form(page))
    };
    let title = match text(entry, "question") {
        "" => page.say("新建条目", "New entry").to_owned(),
        question => question.to_owned(),
    };
    let mut sheet = Sheet::new(title, body).of_kb(kb).with_script("author.js").with_script("entry.js");
    if !wrong.is_empty() {
        sheet = sheet.refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Ok(page.show(sheet))
}

pub(super) async fn create(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(created(&page, &kb, &form).await)
}

async fn created(page: &Page, kb: &str, form: &Form) -> Outcome {
    let entry = filled(form);
    if form.get("do") == "test" {
        return edited(page, kb, &entry, "", &[], form.get("sentence")).await;
    }
    let draft = if form.get("do") == "live" { "" } else { "true" };
    let place = address(&format!("{}/entries", api(kb)), &[("draft", draft)]);
    match form.ask(page, Method::POST, &place).json(&entry).read::<Value>().await {
        Ok(made) => {
            let told = page.say("已新建。", "It is there now.");
            Ok(page.go(&entry_page(kb, text(&made, "id")), told))
        }
        Err(refusal) => refused(page, kb, form, &entry, "", refusal).await,
    }
}

pub(super) async fn save(page: Page, Path((kb, id)): Path<(String, String)>, form: Form) -> Response {
    page.reply(saved(&page, &kb, &id, &form).await)
}

async fn saved(page: &Page, kb: &str, id: &str, form: &Form) -> Outcome {
    let mut entry = filled(form);
    entry["id"] = json!(id);
    if form.get("do") == "test" {
        return edited(page, kb, &entry, form.get("etag"), &[], form.get("sentence")).await;
    }
    put(page, kb, id, form, &entry).await
}

/// Puts an entry in the place of the one that a form is about.
pub(super) async fn put(page: &Page, kb: &str, id: &str, form: &Form, entry: &Value) -> Outcome {
    let is_live = form.get("do") == "live";
    let place = address(&place(kb, id), &[("draft", if is_live { "" } else { "true" })]);
    let before = revision(page, kb).await.unwrap_or(0);
    match form.ask(page, Method::PUT, &place).if_match(form.get("etag")).json(entry).got().await {
        Ok(_) => {
            let until = revision(page, kb).await?;
            let told = if is_live {
                page.say("已保存，顾客马上得到这个答案。", "Saved; customers get it now.")
            } else {
                page.say(
                    "已保存到草稿，发布以后顾客才会得到。",
                    "Saved to the draft; customers get it when it is published.",
                )
            };
            let stretch = if until > before { format!("{before}-{until}") } else { String::new() };
            Ok(page.go(&address(&entry_page(kb, id), &[("undo", &stretch)]), told))
        }
        Err(refusal) => refused(page, kb, form, entry, id, refusal).await,
    }
}

/// What somebody filled in is never lost, whatever the reason for refusing it.
async fn refused(page: &Page, kb: &str, form: &Form, entry: &Value, id: &str, refusal: Refusal) -> Outcome {
    if let Some(response) = page.ended(form, &refusal) {
        return Ok(response);
    }
    match (refusal.code, refusal.slug()) {
        (412, _) => conflict::shown(page, kb, id, form, entry).await,
        (409 | 413 | 422 | 400, _) => {
            edited(page, kb, entry, form.get("etag"), &wrong(page, &refusal), "").await
        }
        _ => Err(refusal),
    }
}

/// What is wrong, in words beside the fields.
fn wrong(page: &Page, refusal: &Refusal) -> Vec<(String, String)> {
    match refusal.slug() {
        // The editor itself names the owner beside the phrasing.
        "question-taken" => {
            let told = page.say(
                "有问法或关键词已属于别的条目，见下面的标记。",
                "A phrasing or keyword belongs to another entry; see the marks below.",
            );
            vec![("*".to_owned(), told.to_owned())]
        }
        "entry-exists" => {
            let told = page.say(
                "已有这个编号的条目（没有填编号时，编号来自标准问题）。",
                "There is an entry with this id (without one it comes from the question).",
            );
            vec![("id".to_owned(), told.to_owned())]
        }
        _ => faults(page, refusal),
    }
}

/// Asks before an entry goes, where no script has asked.
pub(super) async fn ask_delete(page: Page, Path((kb, id)): Path<(String, String)>) -> Response {
    page.reply(asking(&page, &kb, &id).await)
}

async fn asking(page: &Page, kb: &str, id: &str) -> Outcome {
    let got = page.inside.get(&place(kb, id)).got().await?;
    let entry: Value = got.read()?;
    let body = html! {
        form.card method="post" {
            (page.csrf())
            input type="hidden" name="etag" value=(got.etag());
            input type="hidden" name="sure" value="1";
            p { (page.say("要删除这个条目吗？删除后可以马上撤销，历史也一直在。", "Delete this entry? It can be undone right after, and its history stays.")) }
            p { b { (text(&entry, "question")) } }
            label.check { input type="checkbox" name="live" value="1"; " " (page.say("顾客也马上得不到它（否则从下次发布起）", "Customers lose it at once (else with the next publication)")) }
            p { button.button.danger type="submit" { (page.say("删除", "Delete")) } " " a.button href=(entry_page(kb, id)) { (page.say("不删除", "Do not")) } }
        }
    };
    Ok(page.show(Sheet::new(page.say("删除条目", "Delete entry"), body).of_kb(kb)))
}

pub(super) async fn delete(page: Page, Path((kb, id)): Path<(String, String)>, form: Form) -> Response {
    page.reply(deleted(&page, &kb, &id, &form).await)
}

async fn deleted(page: &Page, kb: &str, id: &str, form: &Form) -> Outcome {
    if !form.has("sure") {
        return asking(page, kb, id).await;
    }
    let before = revision(page, kb).await?;
    let place = address(&place(kb, id), &[("draft", if form.has("live") { "" } else { "true" })]);
    let done = form.ask(page, Method::DELETE, &place).if_match(form.get("etag")).got().await;
    match done {
        Ok(_) => {
            let stretch = format!("{before}-{}", revision(page, kb).await?);
            let list = address(&format!("{}/entries", base(kb)), &[("undo", &stretch)]);
            Ok(page.go(&list, page.say("已删除。", "Deleted.")))
        }
        Err(refusal) if refusal.code == 412 => {
            let told = page.say(
                "别人刚改过它，没有删除；请看过再决定。",
                "Somebody has just changed it, so it was not deleted; look at it first.",
            );
            Ok(page.go_with_fault(&entry_page(kb, id), told))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

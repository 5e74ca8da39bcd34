//! What is done to several entries at once?
//!
//! Each is changed as by itself, so that one that cannot be does not keep the
//! others back; all of it can be taken back.

use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use maud::html;
use serde_json::json;

use super::super::form::Form;
use super::super::inside::{Got, Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::parts::{api, base, hidden, list, revision};

pub(super) async fn page(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    match done(&page, &kb, &form).await {
        Ok(response) => response,
        Err(refusal) => page.ended(&form, &refusal).unwrap_or_else(|| page.failed(refusal)),
    }
}

async fn done(page: &Page, kb: &str, form: &Form) -> Outcome {
    let ids: Vec<&str> = form.all("id").collect();
    let whole = format!("{}/entries", base(kb));
    // Only to a list of ours.
    let back = Some(form.get("back")).filter(|back| back.starts_with(&whole)).unwrap_or(&whole);
    if ids.is_empty() {
        return Ok(page.go_with_fault(back, page.say("没有选中条目。", "No entry was chosen.")));
    }
    if form.get("do").is_empty() {
        return Ok(page.go_with_fault(
            back,
            page.say("请按要做的那个按钮。", "Press the button of what is to be done."),
        ));
    }
    if matches!(form.get("do"), "tag" | "untag") && form.get("tag").is_empty() {
        return Ok(page.go_with_fault(back, page.say("请先写上标签。", "Write the tag first.")));
    }
    if form.get("do") == "delete" && !form.has("sure") {
        return Ok(page.show(sure(page, kb, form, ids.len(), back)));
    }
    let before = revision(page, kb).await?;
    let (mut changed, mut failed) = (0_usize, Vec::new());
    for id in ids {
        match one(page, kb, form, id).await {
            Ok(()) => changed += 1,
            Err(refusal) if refusal.code == 401 || refusal.slug() == "csrf" => return Err(refusal),
            Err(refusal) => failed.push(format!("{id}: {}", page.why(&refusal))),
        }
    }
    let until = revision(page, kb).await?;
    let stretch = format!("{before}-{until}");
    let back =
        if until > before { address(&without_undo(back), &[("undo", &stretch)]) } else { back.to_owned() };
    let told = if page.is_english() {
        format!("{changed} entries changed.")
    } else {
        format!("已修改 {changed} 条。")
    };
    if failed.is_empty() {
        return Ok(page.go(&back, &told));
    }
    let told = format!("{told} {}", failed.join("；"));
    Ok(page.go_with_fault(&back, &told))
}

async fn one(page: &Page, kb: &str, form: &Form, id: &str) -> Result<(), Refusal> {
    let place = address(&format!("{}/entries/{}", api(kb), part(id)), &[("draft", "true")]);
    let patch =
        |change: serde_json::Value| form.ask(page, Method::PATCH, &place).if_match("*").json(&change).got();
    match form.get("do") {
        "enable" => patch(json!({"enabled": true})).await?,
        "disable" => patch(json!({"enabled": false})).await?,
        "tag" | "untag" => tag(page, form, kb, id).await?,
        "topic" => match form.get("topic") {
            "" => patch(json!({"topic": null})).await?,
            topic => patch(json!({"topic": topic})).await?,
        },
        "delete" => form.ask(page, Method::DELETE, &place).if_match("*").got().await?,
        _ => return Err(Refusal::gone()),
    };
    Ok(())
}

/// Adds a tag to an entry, or takes it away; one that is as wanted stays untouched.
async fn tag(page: &Page, form: &Form, kb: &str, id: &str) -> Result<Got, Refusal> {
    let place = format!("{}/entries/{}", api(kb), part(id));
    let got = page.inside.get(&place).got().await?;
    let entry: serde_json::Value = got.read()?;
    let wanted = form.get("tag");
    let mut tags: Vec<&str> = list(&entry, "tags").filter_map(serde_json::Value::as_str).collect();
    let before = tags.len();
    if form.get("do") == "untag" {
        tags.retain(|tag| *tag != wanted);
    } else if !tags.contains(&wanted) {
        tags.push(wanted);
    }
    if tags.len() == before {
        return Ok(got);
    }
    let place = address(&place, &[("draft", "true")]);
    // What was read is what is changed.
    form.ask(page, Method::PATCH, &place).if_match(&got.etag()).json(&json!({"tags": tags})).got().await
}

/// An offer of before is no offer of now.
fn without_undo(back: &str) -> String {
    let (path, query) = back.split_once('?').unwrap_or((back, ""));
    let kept: Vec<&str> =
        query.split('&').filter(|part| !part.is_empty() && !part.starts_with("undo=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Asks before several entries go, where no script has asked.
fn sure(page: &Page, kb: &str, form: &Form, count: usize, back: &str) -> Sheet {
    let title = page.say("删除条目", "Delete entries");
    let body = html! {
        form.card method="post" {
            (page.csrf())
            (hidden(form, &["csrf", "do"]))
            input type="hidden" name="sure" value="1";
            p { @if page.is_english() { "Delete " (count) " entries? It can be undone right after." } @else { "要删除选中的 " (count) " 个条目吗？删除后可以马上撤销。" } }
            button.button.danger name="do" value="delete" { (page.say("删除", "Delete")) } " "
            a.button href=(back) { (page.say("不删除", "Do not")) }
        }
    };
    Sheet::new(title, body).of_kb(kb)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_offer_of_before_goes() {
        assert_eq!(super::without_undo("/e?q=1&undo=2-3&topic=x"), "/e?q=1&topic=x");
        assert_eq!(super::without_undo("/e?undo=2-3"), "/e");
    }
}

//! What when two people edit the same entry?
//!
//! Nothing is lost: both versions stand side by side with what was there before.
//! Where only one of them changed something, that is taken; where both did, the
//! author chooses, and of lists may have both.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::editor::{carried, filled, local};
use super::entry::put;
use super::parts::{api, entry_page, field_name, list, shown as value_shown, text};

/// The fields that an author chooses between.
const FIELDS: [&str; 15] = [
    "question",
    "similar",
    "answer",
    "answers",
    "images",
    "links",
    "topic",
    "enabled",
    "keywords",
    "rules",
    "valid_from",
    "valid_until",
    "max_wrong",
    "tags",
    "related",
];

/// A field as it counts: what is not there is empty.
fn of(entry: &Value, field: &str) -> Value {
    match (&entry[field], field) {
        (Value::Null, "enabled") => json!(true),
        (Value::Null, "similar" | "keywords" | "rules" | "tags" | "related" | "images" | "links") => {
            json!([])
        }
        (Value::Null, "answers") => json!({}),
        (Value::String(text), _) if text.is_empty() => Value::Null,
        (Value::String(moment), "valid_from" | "valid_until") => json!(local(moment)),
        (value, _) => value.clone(),
    }
}

/// Both versions, for whoever came second.
pub(super) async fn shown(page: &Page, kb: &str, id: &str, form: &Form, mine: &Value) -> Outcome {
    let place = format!("{}/entries/{}", api(kb), part(id));
    let got = match page.inside.get(&place).got().await {
        Ok(got) => Some(got),
        Err(refusal) if refusal.slug() == "unknown-entry" => None,
        Err(refusal) => return Err(refusal),
    };
    let (theirs, etag) = match &got {
        Some(got) => (got.read::<Value>()?, got.etag()),
        None => (Value::Null, String::new()),
    };
    // What both began with.
    let history = address(&format!("{}/history", api(kb)), &[("entry", id), ("limit", "200")]);
    let history: Value = page.inside.get(&history).read().await?;
    let seen: Option<i64> = form.get("etag").trim_matches('"').parse().ok();
    let began =
        list(&history, "revisions").find(|revision| seen.is_some_and(|number| revision["number"] == number));
    let began = began.map(|revision| revision["after"].clone());
    let last = history["revisions"][0].clone();
    let differing: Vec<&str> =
        FIELDS.into_iter().filter(|field| of(mine, field) != of(&theirs, field)).collect();
    let title = page.say("别人也改了这个条目", "Somebody else has changed this entry too");
    let body = html! {
        div.card.problem role="alert" {
            b { (page.called(text(&last, "author"))) (page.say(" 在您编辑的时候也改了它", " has changed it while you were editing")) " (" (when(text(&last, "at"))) ")" }
            p { (page.say("您填写的内容都在下面，没有丢。请逐项选择，再保存。", "All that you filled in is below; nothing is lost. Choose what counts, and save.")) }
        }
        @if got.is_none() {
            form.card method="post" action={ "/console/kb/" (part(kb)) "/entries/new" } {
                p { (page.say("对方删除了这个条目。可以用您的版本重新建立它，或者就让它删除。", "They have deleted it. Make it again with your version, or leave it deleted.")) }
                (page.csrf())
                (carried(mine))
                input type="hidden" name="id" value=(id);
                button.button.primary name="do" value="draft" { (page.say("用我的版本重新建立", "Make it again with mine")) } " "
                a.button href={ "/console/kb/" (part(kb)) "/entries" } { (page.say("让它删除", "Leave it deleted")) }
            }
        } @else {
            form.card method="post" action={ (entry_page(kb, id)) "/merge" } {
                (page.csrf())
                (carried(mine))
                input type="hidden" name="etag" value=(etag);
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list.versions {
                    thead { tr { th { (page.say("项目", "Field")) } th { (page.say("我的", "Mine")) } th { (page.say("对方的", "Theirs")) } } }
                    tbody { @for field in differing {
                        @let base = began.as_ref().map(|began| of(began, field));
                        @let takes_theirs = base.as_ref() == Some(&of(mine, field));
                        @let name = format!("pick.{field}");
                        tr {
                            td { b { (field_name(page, field)) } }
                            td {
                                label.check { input type="radio" name=(name) value="mine" checked[!takes_theirs]; " " (page.say("用我的", "Mine")) }
                                (value_shown(page, &of(mine, field)))
                            }
                            td {
                                label.check { input type="radio" name=(name) value="theirs" checked[takes_theirs]; " " (page.say("用对方的", "Theirs")) }
                                (value_shown(page, &of(&theirs, field)))
                                @if of(mine, field).is_array() { label.check { input type="radio" name=(name) value="both"; " " (page.say("两边的都要", "Both")) } }
                            }
                        }
                    } }
                } }
                div.toolbar {
                    button.button.primary name="do" value="draft" { (page.say("按选择保存", "Save as chosen")) }
                    a.button href=(entry_page(kb, id)) { (page.say("放弃我的修改", "Drop my changes")) }
                }
            }
        }
    };
    Ok(page.show(Sheet::new(title, body).of_kb(kb).refused(StatusCode::CONFLICT)))
}

/// Saves what was chosen of both; when somebody was faster again, it is asked again.
pub(super) async fn merge(page: Page, Path((kb, id)): Path<(String, String)>, form: Form) -> Response {
    page.reply(merged(&page, &kb, &id, &form).await)
}

async fn merged(page: &Page, kb: &str, id: &str, form: &Form) -> Outcome {
    let mut entry = filled(form);
    let place = format!("{}/entries/{}", api(kb), part(id));
    let got = page.inside.get(&place).got().await?;
    let theirs: Value = got.read()?;
    for field in FIELDS {
        match form.get(&format!("pick.{field}")) {
            "theirs" => entry[field] = theirs[field].clone(),
            "both" => {
                let mut both: Vec<Value> = list(&theirs, field).cloned().collect();
                both.extend(
                    list(&entry, field).filter(|item| !both.contains(item)).cloned().collect::<Vec<_>>(),
                );
                entry[field] = Value::Array(both);
            }
            "mine" => {}
            // What did not differ is what both have.
            _ => entry[field] = theirs[field].clone(),
        }
    }
    entry["id"] = json!(id);
    if got.etag() != form.get("etag") {
        return shown(page, kb, id, form, &entry).await;
    }
    put(page, kb, id, form, &entry).await
}

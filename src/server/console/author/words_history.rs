//! What have the words been?
//!
//! Lines that were changed together stand together; the words can be made again what
//! they were after any change.

use axum::http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{Refusal, address};
use super::super::page::{Outcome, Page};
use super::super::told::when;
use super::parts::{api, base, faults, list, text};
use super::words::of_line;

/// Lines that are read; what was changed with the last of them may be cut.
const READ: &str = "300";
/// Changes that are shown.
const SHOWN: usize = 30;

/// Lines that were changed at once.
struct Step<'a> {
    first: &'a Value,
    lines: Vec<&'a Value>,
}

/// The history, below the words.
pub(super) async fn section(page: &Page, kb: &str, etag: &str) -> Result<Markup, Refusal> {
    let place = address(&format!("{}/history", api(kb)), &[("of", "words"), ("limit", READ)]);
    let history: Value = page.inside.get(&place).read().await?;
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in list(&history, "revisions") {
        match steps.last_mut() {
            Some(step) if step.first["at"] == line["at"] && step.first["author"] == line["author"] => {
                step.lines.push(line);
            }
            _ => steps.push(Step { first: line, lines: vec![line] }),
        }
    }
    Ok(html! {
        details.card #history { summary { (page.say("历史与恢复", "History")) }
            @if steps.is_empty() { p.empty { (page.say("还没有改过。", "They were never changed.")) } }
            @for (at, step) in steps.iter().take(SHOWN).enumerate() {
                section.card {
                    div.verdict-head {
                        span { (page.called(text(step.first, "author"))) }
                        (when(text(step.first, "at")))
                        span.soft { "#" (step.first["number"].to_string()) }
                    }
                    @if !text(step.first, "reason").is_empty() { p.soft { (text(step.first, "reason")) } }
                    @for line in step.lines.iter().take(20) {
                        @if !line["before"].is_null() { p.gone { "− " (told(&line["before"])) } }
                        @if !line["after"].is_null() { p.come { "+ " (told(&line["after"])) } }
                    }
                    @if step.lines.len() > 20 { p.soft { "… " (step.lines.len()) } }
                    @if at > 0 { (restore(page, etag, step.first["number"].as_i64().unwrap_or(0), page.say("恢复到这次修改之后", "Restore what they were after this"))) }
                }
            }
            @if let (Some(oldest), true) = (steps.last(), steps.len() <= SHOWN && list(&history, "revisions").count() < 300) {
                @let first = oldest.lines.iter().filter_map(|line| line["number"].as_i64()).min().unwrap_or(1);
                (restore(page, etag, first - 1, page.say("恢复到最初（没有自己的词）", "Restore the beginning: no words of its own")))
            }
        }
    })
}

fn told(line: &Value) -> String {
    of_line(line).1.join("、")
}

fn restore(page: &Page, etag: &str, number: i64, label: &str) -> Markup {
    html! { form method="post" {
        (page.csrf())
        input type="hidden" name="etag" value=(etag);
        input type="hidden" name="number" value=(number);
        button.button.small name="do" value="restore" { (label) }
    } }
}

/// Makes the words what they were.
pub(super) async fn restored(page: &Page, kb: &str, form: &Form) -> Outcome {
    let here = format!("{}/words", base(kb));
    let number = form.get("number").parse::<i64>().unwrap_or(0);
    let ask = form.ask(page, Method::POST, &format!("{}/lexicon/restore", api(kb)));
    match ask.if_match(form.get("etag")).json(&json!({"revision": number})).got().await {
        Ok(_) => Ok(page.go(
            &here,
            page.say(
                "词语已恢复到草稿，发布以后生效。",
                "The words are restored in the draft; they count once it is published.",
            ),
        )),
        Err(refusal) if [409, 412, 422].contains(&refusal.code) => {
            let told: Vec<String> = faults(page, &refusal).into_iter().map(|(_, message)| message).collect();
            Ok(page.go_with_fault(&here, &told.join("；")))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

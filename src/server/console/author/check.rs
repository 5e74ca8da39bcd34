//! What is wrong with the draft?
//!
//! What the check (知识体检) finds, worst first, each with its sentence, the entries
//! that it is about and, where that is safe, a button that mends it.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::names::Names;
use super::parts::{Asked, api, asked, base, count, entry_page, list, revision, text, undo};

/// Findings of one kind that are shown.
const SHOWN: usize = 100;

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, &query).await)
}

/// The last job of a kind that is done, or the one that is named.
pub(super) async fn last_job(
    page: &Page,
    kb: &str,
    kind: &str,
    named: &str,
) -> Result<Option<Value>, Refusal> {
    let jobs: Value = page.inside.get("/v1/jobs").read().await?;
    let is = |job: &&Value| {
        text(job, "kb") == kb && text(job, "kind") == kind && (named.is_empty() || text(job, "id") == named)
    };
    Ok(list(&jobs, "items").find(|job| is(job) && text(job, "state") != "cancelled").cloned())
}

/// Leads to a job that was begun, and from there on to a page.
pub(super) fn begun(kb: &str, job: &Value, then: &str) -> Response {
    let place = format!("{}/jobs/{}", base(kb), part(text(job, "id")));
    Redirect::to(&address(&place, &[("then", then)])).into_response()
}

async fn shown(page: &Page, kb: &str, query: &HashMap<String, String>) -> Outcome {
    page.inside.get(&format!("{}/goal", api(kb))).got().await?;
    let job = last_job(page, kb, "check", asked(query, "job")).await?;
    let here = format!("{}/check", base(kb));
    let all: Vec<&Value> = job.iter().flat_map(|job| list(&job["result"], "findings")).collect();
    let names = Names::in_findings(page, kb, &all).await;
    let body = html! {
        (undo(page, kb, asked(query, "undo"), &here))
        form.toolbar method="post" {
            (page.csrf())
            button.button.primary type="submit" { (if job.is_some() { page.say("再检查一次", "Check again") } else { page.say("开始检查", "Check the draft") }) }
            label.check { (page.say("提醒", "Tell of answers that expire within")) " " input.number type="number" name="days" min="0" max="3650" value="30" aria-label=(page.say("几天内失效", "days")); " " (page.say("天内失效的答案", "days")) }
        }
        @match &job {
            None => { p.empty { (page.say("检查会用草稿里每个问法去问草稿自己，找出重复、矛盾、分不开、找不到和过期的条目。", "The check asks the draft all its own phrasings, and finds what is double, contradicts, cannot be told apart, is not found or has expired.")) } }
            Some(job) if text(job, "state") == "running" => { p { a href={ (base(kb)) "/jobs/" (part(text(job, "id"))) "?then=" (part(&here)) } { (page.say("正在检查，看进度", "Checking; see how far it is")) } } }
            Some(job) if text(job, "state") == "failed" => { div.card.problem { (text(&job["problem"], "detail")) } }
            Some(job) => { (findings(page, kb, &job["result"], text(job, "id"), &names)) }
        }
    };
    Ok(page.show(Sheet::new(page.say("检查", "Check"), body).of_kb(kb).with_script("author.js")))
}

fn findings(page: &Page, kb: &str, result: &Value, job: &str, names: &Names) -> Markup {
    let all: Vec<&Value> = list(result, "findings").collect();
    let of = |severity: &str| all.iter().filter(|found| text(found, "severity") == severity).count();
    let severities = [
        ("error", page.say("必须先改", "Must be mended"), "tag bad"),
        ("warning", page.say("最好改", "Better mended"), "tag warn"),
        ("info", page.say("看一眼", "Worth a look"), "tag"),
    ];
    html! {
        @if all.is_empty() { div.card.notice { (page.say("没有发现问题。", "Nothing was found.")) } }
        @else { p.toolbar { @for (severity, name, class) in severities { @if of(severity) > 0 { span class=(class) { (name) " " (of(severity)) } } } } }
        @for (severity, name, class) in severities {
            @if of(severity) > 0 {
                section { h2 { (name) }
                    @for found in all.iter().filter(|found| text(found, "severity") == severity).take(SHOWN) { (finding(page, kb, found, (class, name), job, names)) }
                    @if of(severity) > SHOWN { p.soft { (page.say("只列出前 100 个，改好以后再检查。", "The first 100 are listed; mend them and check again.")) } }
                }
            }
        }
    }
}

/// One finding; `severity` is its class and its name, and with a job a button mends it.
pub(super) fn finding(
    page: &Page,
    kb: &str,
    found: &Value,
    severity: (&str, &str),
    job: &str,
    names: &Names,
) -> Markup {
    let (class, name) = severity;
    html! {
        article.card.finding {
            p { span class=(class) { (name) } " " (names.told(text(found, "message"))) }
            @if count(found, "entries") > 0 {
                p { (page.say("条目：", "Entries: ")) @for id in list(found, "entries").filter_map(Value::as_str) { a.chip href=(entry_page(kb, id)) title=(id) { (names.named(id)) } " " } }
            }
            p.soft { (page.say("怎么办：", "What to do: ")) (names.told(text(found, "fix"))) }
            @if let Some((told, field, drop)) = mend(page, found) {
                @if !job.is_empty() {
                    form method="post" action={ (base(kb)) "/check/fix" } {
                        (page.csrf())
                        input type="hidden" name="entry" value=(found["entries"][0].as_str().unwrap_or_default());
                        input type="hidden" name="field" value=(field);
                        input type="hidden" name="drop" value=(drop);
                        input type="hidden" name="job" value=(job);
                        button.button.small type="submit" { (told) }
                    }
                }
            }
        }
    }
}

/// What a button can mend without asking: its words, the field, and what is taken out.
fn mend<'a>(page: &Page, found: &'a Value) -> Option<(&'static str, &'static str, &'a str)> {
    let last = list(found, "texts").last().and_then(Value::as_str)?;
    let related = page.say("删除这个相关问题", "Take it out of the related ones");
    match text(found, "code") {
        "duplicate_phrasing" => {
            Some((page.say("删除多余的那个问法", "Take the second one out"), "similar", last))
        }
        "keyword_is_phrasing" => Some((page.say("删除这个关键词", "Take the keyword out"), "keywords", last)),
        "dangling_related" | "disabled_related" | "expired_related" | "self_related"
        | "duplicate_related" => Some((related, "related", last)),
        _ => None,
    }
}

pub(super) async fn start(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(started(&page, &kb, &form).await)
}

async fn started(page: &Page, kb: &str, form: &Form) -> Outcome {
    let days: u16 = form.get("days").parse().unwrap_or(30);
    let ask = form.ask(page, Method::POST, &format!("{}/check", api(kb)));
    let here = format!("{}/check", base(kb));
    match ask.json(&json!({"expiry_days": days})).read::<Value>().await {
        Ok(job) => Ok(begun(kb, &job, &here)),
        Err(refusal) if refusal.slug() == "not-now" => {
            let told = page.say("另一个任务正在进行，请等它完成。", "Another job is at work; wait for it.");
            Ok(page.go_with_fault(&here, told))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

pub(super) async fn fix(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(fixed(&page, &kb, &form).await)
}

async fn fixed(page: &Page, kb: &str, form: &Form) -> Outcome {
    let field = Some(form.get("field")).filter(|field| ["similar", "keywords", "related"].contains(field));
    let here = address(&format!("{}/check", base(kb)), &[("job", form.get("job"))]);
    let place = format!("{}/entries/{}", api(kb), part(form.get("entry")));
    let got = page.inside.get(&place).got().await?;
    let mut entry: Value = got.read()?;
    // Of what stands there twice the last one goes.
    let items = field.and_then(|field| entry[field].as_array_mut());
    let at = items.as_ref().and_then(|items| items.iter().rposition(|item| item == form.get("drop")));
    let (Some(items), Some(at)) = (items, at) else {
        let told = page.say("已经改过了。", "It is mended already.");
        return Ok(page.go(&here, told));
    };
    items.remove(at);
    let before = revision(page, kb).await?;
    let put = form.ask(page, Method::PUT, &address(&place, &[("draft", "true")])).if_match(&got.etag());
    match put.json(&entry).got().await {
        Ok(_) => {
            let stretch = format!("{before}-{}", revision(page, kb).await?);
            Ok(page.go(
                &address(&here, &[("undo", &stretch)]),
                page.say("改好了；再检查一次就不会列出来。", "Mended; the next check will not list it."),
            ))
        }
        Err(refusal) if [409, 412, 422].contains(&refusal.code) => {
            Ok(page.go_with_fault(&here, &page.why(&refusal)))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

//! How does a knowledge base stand, and what is to be done next?

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::super::inside::{address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::check::last_job;
use super::parts::{api, base, list, text};

pub(super) async fn page(page: Page, Path(kb): Path<String>) -> Response {
    page.reply(shown(&page, &kb).await)
}

/// Something to do, with where it is done.
struct Step {
    text: String,
    label: &'static str,
    place: String,
}

async fn shown(page: &Page, kb: &str) -> Outcome {
    let outline = super::entries::outline(page, kb).await?;
    let check = last_job(page, kb, "check", "").await?;
    let running = running(page, kb).await?;
    let history: Value =
        page.inside.get(&address(&format!("{}/history", api(kb)), &[("limit", "8")])).read().await?;
    let body = html! {
        @if let Some(job) = &running { p.card role="status" { a href={ (base(kb)) "/jobs/" (part(text(job, "id"))) } { (super::job::kind(page, text(job, "kind"))) (page.say("，看进度", "; see how far it is")) } } }
        (super::schedule::told(page, kb).await?)
        (figures(page, &outline))
        h2 { (page.say("接下来", "What next")) }
        ul.todo { @for step in next(page, kb, &outline, check.as_ref()) {
            li.card { span { (step.text) } a.button.small href=(step.place) { (step.label) } }
        } }
        h2 { (page.say("最近的修改", "Last changes")) }
        (recent(page, kb, &history))
        @if page.may("admin") { p { a.button.small.danger href={ (base(kb)) "/delete" } { (page.say("删除这个知识库…", "Delete this knowledge base…")) } } }
    };
    Ok(page.show(Sheet::new(kb, body).of_kb(kb)))
}

/// A job that is at work on the knowledge base.
async fn running(page: &Page, kb: &str) -> Result<Option<Value>, super::super::inside::Refusal> {
    let jobs: Value = page.inside.get("/v1/jobs").read().await?;
    Ok(list(&jobs, "items").find(|job| text(job, "kb") == kb && text(job, "state") == "running").cloned())
}

fn figures(page: &Page, outline: &Value) -> Markup {
    let served = outline["current"].as_u64().map_or_else(|| "–".to_owned(), |number| number.to_string());
    let figures = [
        (page.say("顾客正在用的版本", "Served release"), served),
        (page.say("条目", "Entries"), outline["entries"].to_string()),
        (page.say("停用的", "Switched off"), outline["off"].to_string()),
        (page.say("问法", "Phrasings"), outline["phrasings"].to_string()),
        (page.say("还没发布的条目", "Waiting to be published"), waiting(outline).to_string()),
    ];
    html! { dl.figures { @for (name, value) in figures { div.card { dt { (name) } dd { (value) } } } } }
}

/// Entries that customers get otherwise than the draft has them, removed ones among them.
fn waiting(outline: &Value) -> i64 {
    ["pending", "gone"].iter().filter_map(|name| outline[*name].as_i64()).sum()
}

/// What there is to do, the most urgent first.
fn next(page: &Page, kb: &str, outline: &Value, check: Option<&Value>) -> Vec<Step> {
    let number = |name: &str| outline[name].as_i64().unwrap_or(0);
    let place = |path: &str| format!("{}/{path}", base(kb));
    let mut steps = Vec::new();
    let mut step = |text: String, label: &'static str, place: String| steps.push(Step { text, label, place });
    if number("entries") == 0 {
        let told = page.say(
            "还没有条目：带来您的表格，或者手写一条。",
            "No entries yet: bring your spreadsheet, or write one.",
        );
        step(told.to_owned(), page.say("导入表格", "Import"), place("import"));
    }
    let findings = check.filter(|job| text(job, "state") == "done").map(|job| {
        let of = |severity: &str| {
            list(&job["result"], "findings").filter(|found| text(found, "severity") == severity).count()
        };
        (of("error"), of("warning"))
    });
    match findings {
        Some((errors, warnings)) if errors + warnings > 0 => {
            let told = if page.is_english() {
                format!("The last check found {errors} errors and {warnings} warnings.")
            } else {
                format!("上次检查发现 {errors} 个必须先改、{warnings} 个最好改的问题。")
            };
            step(told, page.say("去改", "Mend them"), place("check"));
        }
        None if number("entries") > 0 => {
            let told = page.say(
                "还没有检查过：重复、矛盾和找不到的条目，检查会列出来。",
                "Not checked yet: a check lists what is double, contradicts or is not found.",
            );
            step(told.to_owned(), page.say("检查", "Check"), place("check"));
        }
        _ => {}
    }
    if outline["current"].is_null() && number("entries") > 0 {
        let told =
            page.say("还没有发布，顾客得不到回答。", "Nothing was published; customers get no answer.");
        step(told.to_owned(), page.say("发布", "Publish"), place("releases"));
    } else if waiting(outline) > 0 {
        let told = if page.is_english() {
            format!("{} changed entries wait to be published.", waiting(outline))
        } else {
            format!("有 {} 个修改过的条目还没发布。", waiting(outline))
        };
        step(told, page.say("看看并发布", "Look and publish"), place("releases"));
    }
    if number("entries") > 0 {
        let told = page.say(
            "像顾客那样问一句，看现在和草稿各怎么回答。",
            "Ask as a customer would, and see what is answered now and from the draft.",
        );
        step(told.to_owned(), page.say("试问", "Try"), place("try"));
    }
    steps
}

fn recent(page: &Page, kb: &str, history: &Value) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list { tbody { @for one in list(history, "revisions") {
            @let entry = if one["after"].is_null() { &one["before"] } else { &one["after"] };
            tr {
                td.nowrap { (when(text(one, "at"))) }
                td { (page.called(text(one, "author"))) }
                td { (super::history::action(page, text(one, "action"))) " "
                    @match one["entry"].as_str() {
                        Some(id) => { a href=(super::parts::entry_page(kb, id)) { @if text(entry, "question").is_empty() { (id) } @else { (text(entry, "question")) } } }
                        None => { (page.say("词语或规则", "words or rules")) }
                    } }
            }
        } } } }
    }
}

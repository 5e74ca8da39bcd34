//! How does the draft get to customers, and how is that taken back?

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::check::{begun, finding, last_job};
use super::names::Names;
use super::parts::{
    Asked, api, asked, base, count, decision, difference, entry_page, in_words, list, of_release, text,
    would_be,
};
use super::service::history::changes;

/// Flips that are shown.
const SHOWN: usize = 100;

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, &query).await)
}

async fn shown(page: &Page, kb: &str, query: &HashMap<String, String>) -> Outcome {
    let releases: Value = page.inside.get(&format!("{}/releases", api(kb))).read().await?;
    let current = releases["current"].as_u64();
    let waiting: Option<Value> = match current {
        Some(_) => page.inside.get(&between(kb, "served", "draft")).read().await.ok(),
        None => None,
    };
    let job = match asked(query, "job") {
        "" => None,
        named => match last_job(page, kb, "publish", named).await? {
            None => last_job(page, kb, "preview", named).await?,
            found => found,
        },
    };
    let running = last_job(page, kb, "publish", "").await?.filter(|job| text(job, "state") == "running");
    let here = format!("{}/releases", base(kb));
    let names = named(page, kb, job.as_ref().map_or(&Value::Null, |job| &job["result"])).await;
    let body = html! {
        @if let Some(running) = running { p.card { a href={ (base(kb)) "/jobs/" (part(text(&running, "id"))) "?then=" (part(&here)) } { (page.say("正在发布，看进度", "Publishing; see how far it is")) } } }
        @if let Some(job) = &job { (outcome(page, kb, job, &names)) }
        section.card {
            h2 { (page.say("还没发布的修改", "Not published yet")) }
            (pending(page, kb, current, waiting.as_ref()))
            div.toolbar {
                form method="post" { (page.csrf()) button.button.primary name="do" value="publish" { (page.say("发布草稿", "Publish the draft")) } }
                @if current.is_some() { form method="post" { (page.csrf()) button.button name="do" value="preview" { (page.say("先看对顾客有什么变化", "First see what changes for customers")) } } }
                a.button href={ (base(kb)) "/check" } { (page.say("检查", "Check")) }
                a.button href={ (base(kb)) "/try" } { (page.say("试问", "Try")) }
            }
        }
        (super::schedule::section(page, kb, current, &releases).await?)
        (kept(page, kb, current, &releases))
    };
    Ok(page.show(Sheet::new(page.say("发布", "Publish"), body).of_kb(kb).with_script("author.js")))
}

/// What publishing would bring.
fn pending(page: &Page, kb: &str, current: Option<u64>, waiting: Option<&Value>) -> Markup {
    let Some(found) = waiting else {
        return html! {
            p { @if current.is_none() { (page.say("还没有发布过：发布以后，顾客就能提问了。", "Nothing was published yet; once it is, customers can ask.")) }
                @else { (page.say("现在的版本读不出来，无法比较；可以直接发布。", "What is served cannot be read for a comparison; publish all the same.")) } }
        };
    };
    let is_same = ["added", "removed", "changed"].iter().all(|name| count(found, name) == 0);
    html! {
        @if is_same && lines_of_words(found) == 0 && found["service"].is_null() { p { (page.say("没有：草稿和顾客现在得到的一样。", "None: the draft is what customers get.")) } }
        @else {
            p.big { (in_words(page, found)) }
            (beyond_entries(page, found))
            (difference(page, kb, found, 50))
        }
    }
}

/// Lines of the lexicon that differ.
fn lines_of_words(found: &Value) -> usize {
    ["added", "removed", "changed"].iter().map(|name| count(&found["lexicon"], name)).sum()
}

/// What differs beside entries.
fn beyond_entries(page: &Page, found: &Value) -> Markup {
    let lines = lines_of_words(found);
    let service = &found["service"];
    html! {
        @if lines > 0 { p { (page.say("词语改了 ", "Words: ")) (lines) (page.say(" 行", " lines changed")) } }
        @if !service.is_null() {
            details { summary { (page.say("话术与规则（服务时间也在其中）不一样", "Voice and rules, the hours among them, differ")) }
                (changes(page, text(service, "before"), text(service, "after"))) }
        }
    }
}

/// Where the difference between two states is told.
fn between(kb: &str, from: &str, to: &str) -> String {
    address(&format!("{}/diff", api(kb)), &[("from", from), ("to", to)])
}

/// The entries that the result of a publication tells of.
async fn named(page: &Page, kb: &str, result: &Value) -> Names {
    let report = &result["report"];
    let findings: Vec<&Value> = list(report, "errors").chain(list(report, "warnings")).collect();
    let mut names = Names::in_findings(page, kb, &findings).await;
    names.also(page, kb, flipped(&report["comparison"])).await;
    names
}

/// The entries of the labelled questions whose outcome is another one.
fn flipped(comparison: &Value) -> impl Iterator<Item = &str> {
    let shown = outcomes(comparison).into_iter().take(SHOWN);
    let sides = shown.flat_map(|flip| [&flip["before"], &flip["after"]]);
    sides.filter_map(|side| side["entry"].as_str())
}

/// What a job came to.
fn outcome(page: &Page, kb: &str, job: &Value, names: &Names) -> Markup {
    let result = &job["result"];
    if text(job, "state") == "failed" {
        return html! { div.card.problem role="alert" { b { (page.say("没有成功", "It failed")) } p { (text(&job["problem"], "detail")) } } };
    }
    if text(job, "kind") == "preview" {
        return flips(page, kb, result);
    }
    let report = &result["report"];
    if result["published"] == Value::Bool(true) {
        return html! {
            div.card.notice role="status" { b { (page.say("已发布版本 ", "Published release ")) (result["release"].to_string()) } " " (page.say("顾客马上得到新的答案。", "Customers get it from now on.")) }
            (warnings(page, kb, report, names))
        };
    }
    html! {
        section.card.rejected role="alert" {
            h2 { (page.say("没有发布：先改好下面的问题", "Not published: mend these first")) }
            @for found in list(report, "errors") { (finding(page, kb, found, ("tag bad", page.say("必须先改", "Must be mended")), "", names)) }
            @if report["comparison"]["regressed"] == Value::Bool(true) { p.fault { (page.say("标注问题的结果明显变差了。", "The labelled questions come out clearly worse.")) } (labelled(page, kb, &report["comparison"], names)) }
            details { summary { (page.say("仍然要发布", "Publish all the same")) }
                form method="post" {
                    (page.csrf())
                    label.block { span.label { (page.say("原因（会记在历史里）", "Why (it stands in the history)")) } input type="text" name="reason" required maxlength="500"; }
                    button.button.danger name="do" value="force" data-confirm=(page.say("不管这些问题，直接发布？", "Publish in spite of all this?")) { (page.say("强制发布", "Publish by force")) }
                }
            }
        }
    }
}

fn warnings(page: &Page, kb: &str, report: &Value, names: &Names) -> Markup {
    html! {
        @if count(report, "warnings") > 0 {
            details.card { summary { (page.say("发布了，但最好看看：", "Published, but worth a look: ")) (count(report, "warnings")) }
                @for found in list(report, "warnings").take(50) { (finding(page, kb, found, ("tag warn", page.say("最好改", "Better mended")), "", names)) }
            }
        }
        @let flips = outcomes(&report["comparison"]).len();
        @if flips > 0 { details.card { summary { (page.say("结果变了的标注问题：", "Labelled questions with another outcome: ")) (flips) } (labelled(page, kb, &report["comparison"], names)) } }
    }
}

/// The flips that customers would see: those of the last generation that both releases have.
fn outcomes(comparison: &Value) -> Vec<&Value> {
    let asked = comparison["generations"].as_object().into_iter().flatten();
    let last: Option<u64> = asked.filter_map(|(number, _)| number.parse().ok()).max();
    list(comparison, "flips").filter(|flip| flip["generation"].as_u64() == last).collect()
}

/// Labelled questions whose outcome is another one.
fn labelled(page: &Page, kb: &str, comparison: &Value, names: &Names) -> Markup {
    let flips = outcomes(comparison);
    let told = |side: &Value| html! { (decision(page, text(side, "decision"))) " " @if let Some(id) = side["entry"].as_str() { (names.link(kb, id)) } };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list { thead { tr { th { (page.say("问题", "Question")) } th { (page.say("原来", "Before")) } th { (page.say("以后", "After")) } } }
            tbody { @for flip in flips.iter().take(SHOWN) { tr { td { (text(flip, "text")) } td { (told(&flip["before"])) } td { (told(&flip["after"])) } } } } } }
    }
}

/// What customers would get another answer to.
fn flips(page: &Page, kb: &str, result: &Value) -> Markup {
    let side = |deed: &Value| {
        html! {
            (decision(page, text(deed, "decision"))) " "
            @if let (Some(id), Some(question)) = (deed["entry"].as_str(), deed["question"].as_str()) { a href=(entry_page(kb, id)) { (question) } }
        }
    };
    html! {
        section.card {
            h2 { (page.say("发布以后对顾客的变化", "What changes for customers")) }
            p { (page.say("试了标注问题 ", "Asked labelled questions: ")) b { (result["labelled"].to_string()) } (page.say(" 个，最近 30 天的问题 ", "; of the last 30 days: ")) b { (result["recent"].to_string()) } (page.say(" 个；结果会变的：", "; other outcomes: ")) b { (result["changed"].to_string()) } }
            @if count(result, "flips") > 0 {
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                    thead { tr { th { (page.say("问题", "Question")) } th { (page.say("现在", "Now")) } th { (page.say("发布以后", "Afterwards")) } th { (page.say("次数", "Asked")) } } }
                    tbody { @for flip in list(result, "flips").take(SHOWN) {
                        tr {
                            td { (text(flip, "text")) " "
                                @match text(flip, "verdict") { "better" => { span.tag.good { (page.say("变好", "better")) } } "worse" => { span.tag.bad { (page.say("变差", "worse")) } } _ => {} }
                                @if flip["labelled"] == Value::Bool(true) { " " span.tag { (page.say("标注", "labelled")) } } }
                            td { (side(&flip["before"])) } td { (side(&flip["after"])) @if flip["another_text"] == Value::Bool(true) { " " span.tag { (page.say("答案内容改了", "another text")) } } } td.number { (flip["count"].to_string()) }
                        }
                    } }
                } }
            }
        }
    }
}

/// What was published, newest first.
fn kept(page: &Page, kb: &str, current: Option<u64>, releases: &Value) -> Markup {
    let mut all: Vec<&Value> = list(releases, "items").collect();
    all.reverse();
    html! {
        h2 { (page.say("发布过的版本", "Releases")) }
        @if all.is_empty() { p.empty { (page.say("还没有。", "None yet.")) } }
        @else { div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
            thead { tr { th { (page.say("版本", "Release")) } th { (page.say("时间", "When")) } th { (page.say("谁", "Who")) } th { (page.say("操作", "Do")) } } }
            tbody { @for one in all {
                @let number = one["release"].to_string();
                @let is_current = one["release"].as_u64() == current;
                tr {
                    td { b { (number) } " " @if is_current { span.tag.good { (page.say("正在用", "served")) } } @if one["forced"] == Value::Bool(true) { " " span.tag.warn { (page.say("强制", "forced")) } } @if !text(one, "reason").is_empty() { br; span.soft { (text(one, "reason")) } } }
                    td.nowrap { (when(text(one, "at"))) }
                    td { (page.called(text(one, "author"))) }
                    td { a.button.small href={ (base(kb)) "/releases/" (number) } { (page.say("比较、回滚、恢复", "Compare, roll back, restore")) } }
                }
            } }
        } } }
    }
}

pub(super) async fn start(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(started(&page, &kb, &form).await)
}

async fn started(page: &Page, kb: &str, form: &Form) -> Outcome {
    let here = format!("{}/releases", base(kb));
    let ask = match form.get("do") {
        "preview" => form.ask(page, Method::POST, &format!("{}/preview", api(kb))),
        "force" => form
            .ask(page, Method::POST, &here_api(kb))
            .with("zhida-reason", &part(form.get("reason")))
            .json(&json!({"force": true})),
        _ => form.ask(page, Method::POST, &here_api(kb)).json(&json!({"force": false})),
    };
    match ask.read::<Value>().await {
        Ok(job) => Ok(begun(kb, &job, &here)),
        Err(refusal) if refusal.slug() == "not-now" => {
            let told = page.say("另一个任务正在进行，请等它完成。", "Another job is at work; wait for it.");
            Ok(page.go_with_fault(&here, told))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

fn here_api(kb: &str) -> String {
    format!("{}/releases", api(kb))
}

/// A release beside the draft and what is served, and the ways back to it.
pub(super) async fn one(page: Page, Path((kb, number)): Path<(String, String)>) -> Response {
    page.reply(compared(&page, &kb, &number).await)
}

async fn compared(page: &Page, kb: &str, number: &str) -> Outcome {
    let releases: Value = page.inside.get(&here_api(kb)).read().await?;
    let current = releases["current"].as_u64().map(|current| current.to_string());
    let draft: Value = page.inside.get(&between(kb, "draft", number)).read().await?;
    let served: Option<Value> = match &current {
        Some(current) if current != number => {
            Some(page.inside.get(&between(kb, "served", number)).read().await?)
        }
        _ => None,
    };
    let flipped = served.iter().flat_map(|served| flipped(&served["queries"]));
    let names = Names::of(page, kb, flipped).await;
    let body = html! {
        p { a.button.small href={ (base(kb)) "/releases" } { (page.say("返回发布", "Back")) } " " a.button.small href=(address(&format!("{}/export/xlsx", base(kb)), &[("release", number)])) { (page.say("下载这个版本", "Download it")) } }
        @match &served {
            None => { p { span.tag.good { (page.say("顾客现在得到的就是这个版本", "It is what customers get")) } } }
            Some(served) => { section.card {
                h2 { (page.say("回滚：让顾客重新得到这个版本", "Roll back: customers get this release again")) }
                p { (page.say("与顾客现在得到的相比：", "Against what customers get now: ")) (in_words(page, served)) }
                (beyond_entries(page, served))
                form method="post" { (page.csrf()) button.button.danger name="do" value="rollback" data-confirm=(page.say("让顾客马上得到这个版本？之后立即生效的修改（包括话术与规则）也一起退回，草稿不变。", "Serve this release at once? What was changed at once since goes back too, voice and rules included; the draft stays.")) { (page.say("回滚到版本 ", "Roll back to release ")) (number) } " " span.soft { (page.say("马上生效，草稿不变；再回滚回来也可以。", "At once; the draft stays. It can be rolled forward again.")) } }
                (would_be(page, kb, served, 50))
                @if !outcomes(&served["queries"]).is_empty() { h3 { (page.say("结果会变的标注问题", "Labelled questions with another outcome")) } (labelled(page, kb, &served["queries"], &names)) }
            } }
        }
        section.card {
            h2 { (page.say("恢复：把草稿变回这个版本", "Restore: the draft becomes this release")) }
            p { (page.say("草稿会有这些变化：", "It changes in the draft: ")) (in_words(page, &draft)) }
            (beyond_entries(page, &draft))
            form method="post" { (page.csrf()) button.button name="do" value="restore" data-confirm=(page.say("把草稿变回这个版本？可以撤销。", "Make the draft this release? It can be undone.")) { (page.say("恢复到草稿", "Restore the draft")) } " " span.soft { (page.say("顾客得到的不变，发布以后才会。", "Customers notice nothing until it is published.")) } }
            (would_be(page, kb, &draft, 50))
        }
    };
    let title = format!("{}{number}", page.say("版本 ", "Release "));
    Ok(page.show(Sheet::new(title, body).of_kb(kb)))
}

pub(super) async fn back(page: Page, Path((kb, number)): Path<(String, String)>, form: Form) -> Response {
    page.reply(went(&page, &kb, &number, &form).await)
}

async fn went(page: &Page, kb: &str, number: &str, form: &Form) -> Outcome {
    let here = format!("{}/releases", base(kb));
    let is_restore = form.get("do") == "restore";
    let before = super::parts::revision(page, kb).await?;
    let place = format!("{}/{}", api(kb), if is_restore { "restore" } else { "rollback" });
    match form.ask(page, Method::POST, &place).json(&of_release(number)).got().await {
        Ok(_) if is_restore => {
            let stretch = format!("{before}-{}", super::parts::revision(page, kb).await?);
            let to = address(&format!("{}/entries", base(kb)), &[("undo", &stretch)]);
            Ok(page.go(&to, page.say("草稿已变回那个版本。", "The draft is that release now.")))
        }
        Ok(_) => {
            Ok(page
                .go(&here, page.say("已回滚，顾客马上得到那个版本。", "Rolled back; customers get it now.")))
        }
        Err(refusal) if [409, 422].contains(&refusal.code) => {
            Ok(page.go_with_fault(&here, &page.why(&refusal)))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

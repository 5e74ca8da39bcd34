//! How good are the draft and what is served, and what has changed since?

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{Refusal, address};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::check::begun;
use super::names::Names;
use super::parts::{Asked, api, asked, base, decision, entry_page, list, percent, text};

/// Questions that are shown.
const SHOWN: usize = 200;

fn here(kb: &str) -> String {
    format!("{}/evaluations", base(kb))
}

fn of_api(kb: &str) -> String {
    format!("{}/evaluations", api(kb))
}

/// A share as people read it.
pub(super) fn share(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// A share with its interval.
pub(super) fn with_interval(value: &Value, interval: &Value) -> Markup {
    html! { (share(value)) @if interval.is_array() { br; span.soft { (share(&interval[0])) "–" (share(&interval[1])) } } }
}

/// What was asked.
fn of(page: &Page, summary: &Value) -> String {
    let release = text(summary, "release");
    if text(summary, "of") == "release" {
        format!("{}{release}", page.say("版本 ", "release "))
    } else {
        format!("{} #{}", page.say("草稿", "draft"), summary["revision"])
    }
}

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, &query).await)
}

async fn shown(page: &Page, kb: &str, query: &HashMap<String, String>) -> Outcome {
    let all: Value = page.inside.get(&of_api(kb)).read().await?;
    let outline = super::entries::outline(page, kb).await?;
    let failed = match asked(query, "job") {
        "" => None,
        named => super::check::last_job(page, kb, "evaluation", named)
            .await?
            .filter(|job| text(job, "state") == "failed"),
    };
    let items: Vec<&Value> = list(&all, "items").collect();
    let body = html! {
        @if let Some(job) = failed { div.card.problem role="alert" { b { (page.say("没有完成：", "It failed: ")) } (text(&job["problem"], "detail")) } }
        p { a.button.small href={ (base(kb)) "/queries" } { (page.say("返回标注与目标", "Back to labels and goal")) } }
        section.card {
            h2 { (page.say("评测", "Evaluate")) }
            p.soft { (page.say("用标注问题试问，算出答对、答错、转人工各多少；报告留着，可以比较。可以离开这一页，任务会继续。", "Asks the labelled questions and counts what is right, wrong or handed to a person; the reports are kept and can be compared. You may leave this page; the work goes on.")) }
            form.toolbar method="post" {
                (page.csrf())
                button.button.primary name="of" value="draft" { (page.say("评测草稿", "Evaluate the draft")) }
                @if !outline["current"].is_null() { button.button name="of" value="release" { (page.say("评测顾客正在用的版本", "Evaluate what is served")) } }
            }
        }
        h2 { (page.say("报告", "Reports")) }
        @if items.is_empty() { p.empty { (page.say("还没有。", "None yet.")) } }
        @else {
            form method="get" action={ (here(kb)) "/comparison" } {
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                    thead { tr { th { (page.say("比较", "Compare")) } th { (page.say("报告", "Report")) } th { (page.say("问题", "Questions")) } th { (page.say("直接回答", "Answered")) } th { (page.say("答错（占回答）", "Wrong of these")) } th { (page.say("答对（占能答的）", "Answered right")) } } }
                    tbody { @for (at, item) in items.iter().enumerate() {
                        @let summary = &item["summary"];
                        @let number = item["number"].to_string();
                        tr {
                            td.nowrap {
                                label.check { input type="radio" name="from" value=(number) checked[at == 1] aria-label={ (page.say("以前：报告 ", "from: report ")) (number) }; (page.say("前", "from")) } " "
                                label.check { input type="radio" name="to" value=(number) checked[at == 0] aria-label={ (page.say("以后：报告 ", "to: report ")) (number) }; (page.say("后", "to")) }
                            }
                            td { a href={ (here(kb)) "/" (number) } { "#" (number) " " (of(page, summary)) } br; time.soft datetime=(text(item, "at")) { (text(item, "at")) } " " span.soft { (page.called(text(item, "author"))) } }
                            td { (summary["queries"].to_string()) }
                            td { (with_interval(&summary["answer_rate"], &summary["intervals"]["answer_rate"])) }
                            td { (with_interval(&summary["wrong_rate"], &summary["intervals"]["wrong_rate"])) }
                            td { (with_interval(&summary["coverage"], &summary["intervals"]["coverage"])) }
                        }
                    } }
                } }
                @if items.len() > 1 { p { button.button type="submit" { (page.say("比较选中的两份", "Compare the two")) } } }
            }
            p.soft { (page.say("只保留最近 20 份。小字是 95% 区间。", "The last 20 are kept. Small print: 95 % intervals.")) }
        }
    };
    Ok(page.show(Sheet::new(page.say("评测", "Evaluations"), body).of_kb(kb).with_script("author.js")))
}

pub(super) async fn start(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(started(&page, &kb, &form).await)
}

async fn started(page: &Page, kb: &str, form: &Form) -> Outcome {
    let of = if form.get("of") == "release" { "release" } else { "draft" };
    match form.ask(page, Method::POST, &of_api(kb)).json(&json!({"of": of})).read::<Value>().await {
        Ok(job) => Ok(begun(kb, &job, &here(kb))),
        Err(refusal) if [409, 503].contains(&refusal.code) => {
            let goal: Value = page.inside.get(&of_api(kb)).read().await?;
            let told = if refusal.detail.contains("labelled") || goal["items"].is_null() {
                page.say(
                    "还没有标注问题，请先上传。",
                    "There are no labelled questions yet; upload some first.",
                )
            } else {
                page.say("另一个任务正在进行，请等它完成。", "Another job is at work; wait for it.")
            };
            Ok(page.go_with_fault(&here(kb), told))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

pub(super) async fn one(page: Page, Path((kb, number)): Path<(String, String)>) -> Response {
    page.reply(opened(&page, &kb, &number).await)
}

async fn read(page: &Page, kb: &str, number: &str) -> Result<Value, Refusal> {
    page.inside.get(&format!("{}/{}", of_api(kb), super::super::inside::part(number))).read().await
}

async fn opened(page: &Page, kb: &str, number: &str) -> Outcome {
    let found = read(page, kb, number).await?;
    let generations = found["report"]["generations"].as_object().cloned().unwrap_or_default();
    let last = generations.keys().next_back().cloned().unwrap_or_default();
    let by_tag = &found["report"]["generations"][last.as_str()]["by_tag"];
    let wrong: Vec<&Value> = list(&found, "wrong").collect();
    let expected = wrong.iter().take(SHOWN).flat_map(|one| list(one, "expect")).filter_map(Value::as_str);
    let names = Names::of(page, kb, expected).await;
    let body = html! {
        p { a.button.small href=(here(kb)) { (page.say("返回报告", "Back to the reports")) } " " span.soft { (of(page, &found["summary"])) " · " (when(text(&found, "at"))) " · " (page.called(text(&found, "author"))) " · " (found["report"]["model"].as_str().unwrap_or_default()) } }
        @for (name, figures) in &generations {
            section.card { h2 { (page.say("第 ", "Generation ")) (name) (page.say(" 代", "")) " " (goal(page, text(figures, "goal"), &found["report"]["max_wrong"])) } (headline(page, figures)) }
        }
        @if by_tag.as_object().is_some_and(|tags| !tags.is_empty()) {
            section.card { h2 { (page.say("按标签", "By tag")) } (tags(page, by_tag)) }
        }
        section.card {
            h2 { (page.say("答错的", "Wrong answers")) " " span.tag { (wrong.len()) } }
            @if wrong.is_empty() { p.empty { (page.say("没有。", "None.")) } }
            @else { div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr { th { (page.say("问题", "Question")) } th { (page.say("答成了", "Answered as")) } th { (page.say("应该是", "Should be")) } th { (page.say("把握", "Confidence")) } } }
                tbody { @for one in wrong.iter().take(SHOWN) { tr {
                    td { (text(one, "text")) @for tag in list(one, "tags").filter_map(Value::as_str) { " " span.tag { (tag) } } }
                    td { @if let Some(id) = one["entry"].as_str() { a href=(entry_page(kb, id)) { (one["question"].as_str().unwrap_or(id)) } } }
                    td { @for (at, id) in list(one, "expect").filter_map(Value::as_str).enumerate() { @if at > 0 { br; } (names.link(kb, id)) } @if list(one, "expect").next().is_none() { span.soft { (page.say("转人工", "a person")) } } }
                    td { (percent(&one["confidence"])) }
                } } }
            } } }
        }
        form method="post" { (page.csrf()) button.button.small.danger name="do" value="remove" data-confirm=(page.say("删除这份报告？不能恢复。", "Remove this report? It cannot be brought back.")) { (page.say("删除这份报告", "Remove this report")) } }
    };
    let title = format!("{}{number}", page.say("评测报告 ", "Evaluation "));
    Ok(page.show(Sheet::new(title, body).of_kb(kb).with_script("author.js")))
}

/// Whether the goal was kept.
fn goal(page: &Page, word: &str, max_wrong: &Value) -> Markup {
    let (class, told) = match word {
        "kept" => ("tag good", page.say("达到目标", "goal kept")),
        "broken" => ("tag bad", page.say("没达到目标", "goal broken")),
        "nothing answered" => ("tag", page.say("没有作答", "nothing answered")),
        _ => ("tag warn", page.say("略超目标，在误差范围内", "missed, within the interval")),
    };
    html! { span class=(class) { (told) " (" (share(max_wrong)) ")" } }
}

fn headline(page: &Page, figures: &Value) -> Markup {
    let shares = [
        ("answer_rate", page.say("直接回答", "Answered")),
        ("precision", page.say("回答里答对的", "Right of these")),
        ("wrong_rate", page.say("回答里答错的", "Wrong of these")),
        ("coverage", page.say("能答的里答对了", "Answered right of what is inside")),
        ("false_answer_rate", page.say("不归这里答的却答了", "Answered of what is outside")),
        ("clarify_rate", page.say("反问", "Asked back")),
        ("handoff_rate", page.say("转人工", "To a person")),
    ];
    html! {
        dl.figures { @for (name, label) in shares { div.card { dt { (label) } dd { (share(&figures[name])) } @if figures["intervals"][name].is_array() { dd.soft { (share(&figures["intervals"][name][0])) "–" (share(&figures["intervals"][name][1])) } } } } }
        p.soft { (page.say("问题 ", "Questions: ")) (figures["n"].to_string()) (page.say("，答对 ", ", right ")) (figures["right"].to_string()) (page.say("，答错 ", ", wrong ")) (figures["wrong"].to_string()) (page.say("，反问 ", ", asked back ")) (figures["clarified"].to_string()) (page.say("，转人工 ", ", to a person ")) (figures["handed_off"].to_string()) (page.say("。小字是 95% 区间。", ". Small print: 95 % intervals.")) }
    }
}

fn tags(page: &Page, by_tag: &Value) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
        thead { tr { th { (page.say("标签", "Tag")) } th { (page.say("问题", "Questions")) } th { (page.say("直接回答", "Answered")) } th { (page.say("答错（占回答）", "Wrong of these")) } th { (page.say("答对（占能答的）", "Answered right")) } } }
        tbody { @for (tag, figures) in by_tag.as_object().into_iter().flatten() { tr {
            td { (tag) } td { (figures["n"].to_string()) }
            @for name in ["answer_rate", "wrong_rate", "coverage"] { td { (with_interval(&figures[name], &figures["intervals"][name])) } }
        } } }
    } } }
}

pub(super) async fn forget(page: Page, Path((kb, number)): Path<(String, String)>, form: Form) -> Response {
    let what = page.say("删除这份报告？不能恢复。", "Remove this report? It cannot be brought back.");
    if let Some(asking) = page.unsure(&form, what, &here(&kb)) {
        return asking;
    }
    let place = format!("{}/{}", of_api(&kb), super::super::inside::part(&number));
    match form.ask(&page, Method::DELETE, &place).got().await {
        Ok(_) => page.go(&here(&kb), page.say("已删除。", "Removed.")),
        Err(refusal) => page.denied(&form, &refusal, &here(&kb)),
    }
}

pub(super) async fn comparison(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(compared(&page, &kb, asked(&query, "from"), asked(&query, "to")).await)
}

async fn compared(page: &Page, kb: &str, from: &str, to: &str) -> Outcome {
    let to = super::super::inside::part(to);
    let place = address(&format!("{}/{to}/comparison", of_api(kb)), &[("with", from)]);
    let found: Value = page.inside.get(&place).read().await?;
    let flips: Vec<&Value> = list(&found, "flips").collect();
    let shown = flips.iter().take(SHOWN).flat_map(|flip| [&flip["before"], &flip["after"]]);
    let names = Names::of(page, kb, shown.filter_map(|side| side["entry"].as_str())).await;
    let named = |item: &Value| format!("#{} {}", item["number"], of(page, &item["summary"]));
    let side = |told: &Value| html! { (decision(page, text(told, "decision"))) " " @if let Some(id) = told["entry"].as_str() { (names.link(kb, id)) } };
    let body = html! {
        p { a.button.small href=(here(kb)) { (page.say("返回报告", "Back to the reports")) } " " span.soft { (named(&found["from"])) " → " (named(&found["to"])) } }
        p { (page.say("两次都问过的问题：", "Questions that both were asked: ")) b { (found["common"].to_string()) } }
        div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
            thead { tr { th { (page.say("代", "Generation")) } th { (page.say("答对", "Right")) } th { (page.say("答错", "Wrong")) } th { (page.say("判断", "Verdict")) } } }
            tbody { @for (name, change) in found["generations"].as_object().into_iter().flatten() {
                tr { td { (name) }
                    @for kind in ["right", "wrong"] { td { (change[kind]["before"].to_string()) " → " (change[kind]["after"].to_string()) br; span.soft { "+" (change[kind]["gained"].to_string()) " −" (change[kind]["lost"].to_string()) " (p = " (format!("{:.3}", change[kind]["p"].as_f64().unwrap_or(1.0))) ")" } } }
                    td { @if change["regressed"] == json!(true) { span.tag.bad { (page.say("明显变差", "clearly worse")) } } @else { span.tag.good { (page.say("没有明显变差", "not clearly worse")) } } } }
            } }
        } }
        h2 { (page.say("结果变了的问题", "Questions with another outcome")) " " span.tag { (flips.len()) } }
        @if flips.is_empty() { p.empty { (page.say("没有。", "None.")) } }
        @else { div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
            thead { tr { th { (page.say("问题", "Question")) } th { (page.say("代", "Generation")) } th { (page.say("以前", "Before")) } th { (page.say("以后", "After")) } } }
            tbody { @for flip in flips.iter().take(SHOWN) { tr {
                td { (text(flip, "text")) " " @if text(flip, "flip").ends_with("_to_right") { span.tag.good { (page.say("变好", "better")) } } @else if text(flip, "flip").starts_with("right_to") || text(flip, "flip").ends_with("_to_wrong") { span.tag.bad { (page.say("变差", "worse")) } } }
                td { (flip["generation"].to_string()) } td { (side(&flip["before"])) } td { (side(&flip["after"])) }
            } } }
        } } }
    };
    Ok(page.show(Sheet::new(page.say("比较两份评测", "Two evaluations compared"), body).of_kb(kb)))
}

//! Which entries are there?
//!
//! Fifty at a time, found by their text or as a customer would ask, with what can
//! be done to several of them at once.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::inside::{Got, Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::parts::{Asked, api, asked, base, count, entry_page, list, looked, percent, text, undo};

/// Entries on a page.
const PAGE: &str = "50";

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, &query).await)
}

async fn shown(page: &Page, kb: &str, query: &HashMap<String, String>) -> Outcome {
    let (q, how) = (asked(query, "q"), asked(query, "how"));
    let outline: Value = page.inside.get(&format!("{}/outline", api(kb))).read().await?;
    if how == "ask" && !q.is_empty() {
        return Ok(match found(page, kb, q).await? {
            Ok(both) => page.show(sheet(page, kb, query, &outline, as_asked(page, kb, &both))),
            Err(waiting) => waiting,
        });
    }
    let enabled = match asked(query, "state") {
        "on" => "true",
        "off" => "false",
        _ => "",
    };
    let pending = if asked(query, "state") == "pending" { "true" } else { "" };
    let (topic, after) = (asked(query, "topic"), asked(query, "after"));
    let place = address(
        &format!("{}/entries", api(kb)),
        &[
            ("limit", PAGE),
            ("q", q),
            ("topic", topic),
            ("tag", asked(query, "tag")),
            ("enabled", enabled),
            ("pending", pending),
            ("valid", asked(query, "valid")),
            ("findings", asked(query, "findings")),
            (
                "asked",
                match asked(query, "heat") {
                    "hot" => "true",
                    "cold" => "false",
                    _ => "",
                },
            ),
            ("sort", asked(query, "sort")),
            ("after", after),
        ],
    );
    let entries: Value = match page.inside.get(&place).read().await {
        Ok(entries) => entries,
        // Findings are those of a check, and there was none.
        Err(refusal) if refusal.slug() == "not-now" => {
            let body = html! { p.empty { (page.say("还没有检查过草稿，不知道哪些条目有问题。", "The draft was not checked yet.")) " " a href={ (base(kb)) "/check" } { (page.say("去检查", "Check it")) } } };
            return Ok(page.show(sheet(page, kb, query, &outline, body)));
        }
        Err(refusal) => return Err(refusal),
    };
    let body = table(page, kb, query, &entries, &outline);
    Ok(page.show(sheet(page, kb, query, &outline, body)))
}

/// Asks the draft as a customer would; a large draft is indexed first, then this
/// page comes back by itself.
pub(super) async fn found(page: &Page, kb: &str, q: &str) -> Result<Result<Value, Response>, Refusal> {
    let token = page.me.csrf_token.as_deref().unwrap_or_default();
    let got: Got = page
        .inside
        .ask(axum::http::Method::POST, &format!("{}/try", api(kb)))
        .with("x-csrf-token", token)
        .json(&json!({"text": q}))
        .got()
        .await?;
    let read: Value = got.read()?;
    if got.status != StatusCode::ACCEPTED {
        return Ok(Ok(read));
    }
    let job = format!("{}/jobs/{}", base(kb), part(text(&read, "id")));
    Ok(Err(Redirect::to(&address(&job, &[("then", &page.here)])).into_response()))
}

fn sheet(page: &Page, kb: &str, query: &HashMap<String, String>, outline: &Value, body: Markup) -> Sheet {
    let state = asked(query, "state");
    let option = |value: &str, name: &str, chosen: &str| html! { option value=(value) selected[value == chosen] { (name) } };
    let whole = html! {
        (undo(page, kb, asked(query, "undo"), &format!("{}/entries", base(kb))))
        form.card.filters role="search" method="get" {
            div.row {
                label.wide { span.label { (page.say("查找", "Search")) } input type="search" name="q" value=(asked(query, "q")) placeholder=(page.say("问题、答案或编号里的字", "words of a question, answer or id")); }
                label { span.label { (page.say("怎么找", "How")) } select name="how" {
                    (option("", page.say("含有这些字", "contains it"), asked(query, "how")))
                    (option("ask", page.say("像顾客那样问", "as a customer asks"), asked(query, "how")))
                } }
                label { span.label { (page.say("主题", "Topic")) } select name="topic" {
                    option value="" { (page.say("全部", "All")) }
                    @for (name, entries) in outline["topics"].as_object().into_iter().flatten() {
                        option value=(name) selected[name == asked(query, "topic")] { (name) " (" (entries.to_string()) ")" }
                    }
                } }
                @if outline["tags"].as_object().is_some_and(|tags| !tags.is_empty()) || !asked(query, "tag").is_empty() {
                    label { span.label { (page.say("标签", "Tag")) } input type="text" name="tag" list="tags" value=(asked(query, "tag")) placeholder=(page.say("全部", "All")); }
                }
                (tags(outline))
                label { span.label { (page.say("状态", "State")) } select name="state" {
                    (option("", page.say("全部", "All"), state))
                    (option("on", page.say("启用", "On"), state))
                    (option("off", page.say("停用", "Off"), state))
                    (option("pending", page.say("还没发布的修改", "Not published yet"), state))
                } }
                button.button type="submit" { (page.say("查找", "Search")) }
            }
            (more_filters(page, query))
        }
        div.toolbar {
            a.button.primary href={ (base(kb)) "/entries/new" } { (page.say("新建条目", "New entry")) }
            a.button href={ (base(kb)) "/import" } { (page.say("从表格导入", "Import a spreadsheet")) }
            a.button href={ (base(kb)) "/export/xlsx" } { (page.say("导出 Excel", "Export to Excel")) }
        }
        (body)
    };
    Sheet::new(page.say("条目", "Entries"), whole).of_kb(kb).with_script("author.js")
}

/// Filters that are needed now and then.
fn more_filters(page: &Page, query: &HashMap<String, String>) -> Markup {
    let any = page.say("全部", "All");
    let filters = [
        (
            "valid",
            page.say("有效期", "Validity"),
            vec![
                ("", any),
                ("now", page.say("现在有效", "Valid now")),
                ("future", page.say("以后生效", "Later")),
                ("expired", page.say("已失效", "Expired")),
            ],
        ),
        (
            "findings",
            page.say("检查发现", "Check found"),
            vec![
                ("", any),
                ("any", page.say("有问题的", "Something")),
                ("errors", page.say("必须先改的", "Errors")),
                ("warnings", page.say("最好改的", "Warnings")),
            ],
        ),
        (
            "heat",
            page.say("最近 30 天", "Last 30 days"),
            vec![
                ("", any),
                ("hot", page.say("有人问", "Asked for")),
                ("cold", page.say("没人问", "Not asked for")),
            ],
        ),
        (
            "sort",
            page.say("次序", "Order"),
            vec![
                ("", page.say("作者的次序", "The author's")),
                ("asked", page.say("问得多的在前", "Asked most first")),
            ],
        ),
    ];
    let is_used = filters.iter().any(|(name, ..)| !asked(query, name).is_empty());
    html! {
        details open[is_used] { summary { (page.say("更多筛选", "More filters")) }
            div.row { @for (name, label, options) in filters {
                label { span.label { (label) } select name=(name) { @for (value, told) in options { option value=(value) selected[value == asked(query, name)] { (told) } } } }
            } }
        }
    }
}

fn table(page: &Page, kb: &str, query: &HashMap<String, String>, entries: &Value, outline: &Value) -> Markup {
    let total = entries["total"].as_i64().unwrap_or(0);
    if total == 0 {
        let is_empty = outline["entries"].as_u64() == Some(0);
        return html! {
            p.empty {
                @if is_empty { (page.say("这个知识库还没有条目：新建一条，或者从表格导入。", "There is no entry yet: write one, or import a spreadsheet.")) }
                @else { (page.say("没有符合条件的条目。", "No entry matches.")) }
            }
        };
    }
    let keep: Vec<(&str, &str)> = ["q", "topic", "tag", "state", "valid", "findings", "heat", "sort"]
        .into_iter()
        .map(|name| (name, asked(query, name)))
        .collect();
    let here = format!("{}/entries", base(kb));
    let next = entries["next"].as_i64().map(|next| next.to_string());
    let first = address(&here, &keep);
    html! {
        p.soft { (total) (page.say(" 条", " entries")) }
        form method="post" action={ (here) "/bulk" } data-bulk="1" {
            (page.csrf())
            input type="hidden" name="back" value=(page.here);
            // What Enter presses in a field does nothing.
            button.hidden-label type="submit" name="do" value="" tabindex="-1" aria-hidden="true" {}
            div.toolbar.bulk {
                label.check { input type="checkbox" data-all="1" aria-label=(page.say("选中本页全部", "All on this page")); " " (page.say("全选", "All")) }
                button.button.small name="do" value="enable" { (page.say("启用", "Switch on")) }
                button.button.small name="do" value="disable" { (page.say("停用", "Switch off")) }
                span.pair {
                    input.small type="text" name="topic" list="topics" maxlength="1000" placeholder=(page.say("主题", "topic")) aria-label=(page.say("新主题", "New topic"));
                    button.button.small name="do" value="topic" { (page.say("改主题", "Set topic")) }
                }
                span.pair {
                    input.small type="text" name="tag" list="tags" maxlength="1000" placeholder=(page.say("标签", "tag")) aria-label=(page.say("标签", "Tag"));
                    button.button.small name="do" value="tag" { (page.say("加标签", "Add tag")) }
                    button.button.small name="do" value="untag" { (page.say("去标签", "Remove tag")) }
                }
                button.button.small.danger name="do" value="delete" data-confirm=(page.say("删除选中的条目？删除后可以马上撤销。", "Delete the chosen entries? It can be undone right after.")) { (page.say("删除", "Delete")) }
            }
            (topics(outline))
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr {
                    th { span.hidden-label { (page.say("选择", "Choose")) } }
                    th { (page.say("问题", "Question")) } th { (page.say("主题和标签", "Topic and tags")) }
                    th { (page.say("问法", "Phrasings")) } th { (page.say("30 天内问", "Asked in 30 days")) } th { (page.say("状态", "State")) } th { (page.say("最后修改", "Changed")) }
                } }
                tbody { @for item in list(entries, "items") { (row(page, kb, item)) } }
            } }
        }
        nav.toolbar aria-label=(page.say("翻页", "Pages")) {
            @if !asked(query, "after").is_empty() { a.button.small href=(first) { (page.say("回第一页", "First page")) } }
            @if let Some(next) = next {
                @let more: Vec<(&str, &str)> = keep.iter().copied().chain([("after", next.as_str())]).collect();
                a.button.small href=(address(&here, &more)) rel="next" { (page.say("下一页", "Next page")) }
            }
        }
    }
}

/// The tags that there are, to choose from while typing.
pub(super) fn tags(outline: &Value) -> Markup {
    html! {
        datalist #tags { @for name in outline["tags"].as_object().into_iter().flat_map(|tags| tags.keys()) { option value=(name) {} } }
    }
}

/// The topics that there are, to choose from while typing.
pub(super) fn topics(outline: &Value) -> Markup {
    html! {
        datalist #topics { @for name in outline["topics"].as_object().into_iter().flat_map(|topics| topics.keys()) { option value=(name) {} } }
    }
}

fn row(page: &Page, kb: &str, item: &Value) -> Markup {
    let entry = &item["entry"];
    let id = text(entry, "id");
    let answer: String = text(entry, "answer").chars().take(60).collect();
    html! {
        tr {
            td { input type="checkbox" name="id" value=(id) aria-label=(text(entry, "question")); }
            td { a href=(entry_page(kb, id)) { (text(entry, "question")) } br; span.soft { (answer) } }
            td { (text(entry, "topic")) @for tag in list(entry, "tags").filter_map(Value::as_str) {
                " " a.tag href=(address(&format!("{}/entries", base(kb)), &[("tag", tag)])) { (tag) } } }
            td { (1 + count(entry, "similar")) }
            td { (item["asked"].to_string()) }
            td {
                @if entry["enabled"] == Value::Bool(false) { span.tag { (page.say("停用", "Off")) } } @else { span.tag.good { (page.say("启用", "On")) } }
                @if entry["valid_until"].is_string() || entry["valid_from"].is_string() { " " span.tag.warn { (page.say("限时", "Timed")) } }
            }
            td.nowrap { (when(text(item, "at"))) br; span.soft { (page.called(text(item, "author"))) } }
        }
    }
}

/// What a customer's question finds in the draft.
fn as_asked(page: &Page, kb: &str, both: &Value) -> Markup {
    let draft = &both["draft"];
    let candidates = ["generation2", "generation1"].into_iter().find_map(|generation| {
        let found = &draft["explain"][generation];
        (count(found, "candidates") > 0).then_some(found)
    });
    html! {
        @match candidates {
            None => { p.empty { (page.say("草稿里没有像这个问题的条目。", "Nothing in the draft is like this question.")) } }
            Some(found) => {
                p.soft { (page.say("草稿里与这句话最像的条目，按把握排列：", "Entries of the draft that are most like it, by how sure it is:")) }
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                    thead { tr { th { (page.say("问题", "Question")) } th { (page.say("把握", "Confidence")) } } }
                    tbody { @for one in list(found, "candidates") {
                        tr { td { a href=(entry_page(kb, text(one, "entry"))) { (text(one, "question")) } } td { (percent(&one["confidence"])) } }
                    } }
                } }
            }
        }
    }
}

/// The numbers of the draft.
pub(super) async fn outline(page: &Page, kb: &str) -> Result<Value, Refusal> {
    page.inside.get(&format!("{}/outline", api(kb))).read().await
}

/// Which phrasings and keywords other entries have.
pub(super) async fn holders(page: &Page, kb: &str, entry: &Value) -> Result<Value, Refusal> {
    let mut questions = vec![entry["question"].clone()];
    questions.extend(list(entry, "similar").cloned());
    let wanted = json!({"entry": entry["id"], "questions": questions, "keywords": entry["keywords"]});
    looked(page, &format!("{}/holders", api(kb)), &wanted).await
}

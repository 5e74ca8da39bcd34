//! Which questions is every publication asked, and how careful is it?
//!
//! Labelled questions to upload, look at and take away; and the goal: the most wrong
//! answers that are allowed, with what keeping it costs.

use axum::extract::{Path, Query};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::{Form, Upload};
use super::super::inside::address;
use super::super::page::{Outcome, Page, Sheet};
use super::evaluations::share;
use super::file;
use super::names::Names;
use super::parts::{Asked, api, asked, base, faults, list, percent, text};

/// Questions that are shown.
const SHOWN: usize = 200;

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, asked(&query, "at"), &[]).await)
}

async fn shown(page: &Page, kb: &str, at: &str, wrong: &[(String, String)]) -> Outcome {
    let got = page.inside.get(&format!("{}/queries", api(kb))).got().await?;
    let whole = String::from_utf8_lossy(&got.body).into_owned();
    let queries: Vec<Value> = whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let goal: Value = page.inside.get(&format!("{}/goal", api(kb))).read().await?;
    let served: Value = page.inside.get("/v1/kbs").read().await?;
    let served = list(&served, "items").find(|one| text(one, "kb") == kb);
    let curve = super::curve::section(page, kb, goal["max_wrong"].as_f64(), at).await?;
    let names = Names::of(page, kb, queries.iter().take(SHOWN).flat_map(expected)).await;
    let body = html! {
        @if !wrong.is_empty() { div.card.problem role="alert" {
            b { (page.say("没有保存：", "Not saved:")) } ul { @for (_, message) in wrong { li { (message) } } }
        } }
        (careful(page, kb, &goal, served))
        (curve)
        section.card {
            h2 { (page.say("标注问题", "Labelled questions")) " " span.tag { (queries.len()) } }
            p { (page.say("每次发布都会用它们试问；结果明显变差，发布会被拦下。表格要有两列：问题、期望（条目编号或标准问题，空着表示应转人工）。", "Every publication is asked them, and refused when they come out clearly worse. The sheet has two columns: 问题 (text) and 期望 (expect: an entry's id or question; blank means a person should answer).")) }
            form.row method="post" enctype="multipart/form-data" {
                (page.csrf())
                label.wide { span.label { (page.say("文件（.xlsx、.csv 或 .jsonl），替换现有的", "File (.xlsx, .csv or .jsonl), in the place of those that are there")) } input type="file" name="file" accept=".xlsx,.csv,.jsonl" required; }
                button.button.primary type="submit" { (page.say("上传", "Upload")) }
            }
            @if !queries.is_empty() {
                div.toolbar {
                    a.button.small href={ (base(kb)) "/evaluations" } { (page.say("评测与报告", "Evaluations")) }
                    a.button.small href={ (base(kb)) "/queries/file.jsonl" } { (page.say("下载", "Download")) }
                    form method="post" action={ (base(kb)) "/queries/remove" } { (page.csrf()) button.button.small.danger type="submit" data-confirm=(page.say("去掉全部标注问题？要留着请先下载。", "Take all labelled questions away? Download them first to keep them.")) { (page.say("全部去掉", "Take all away")) } }
                }
                (table(page, kb, &queries, &names))
            }
        }
    };
    let title = page.say("标注与目标", "Labels and goal");
    let mut sheet = Sheet::new(title, body).of_kb(kb).with_script("author.js").with_script("curve.js");
    if !wrong.is_empty() {
        sheet = sheet.refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Ok(page.show(sheet))
}

/// The goal, and what it costs.
fn careful(page: &Page, kb: &str, goal: &Value, served: Option<&Value>) -> Markup {
    let set = goal["max_wrong"].as_f64().map(|share| {
        let told = format!("{:.4}", share * 100.0);
        told.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    html! {
        section.card {
            h2 { (page.say("目标：最多答错多少", "Goal: how many may be wrong")) }
            p { (page.say("直接给出的答案里，答错的最多占这么多。越小越谨慎：答错更少，转人工和反问更多。马上生效，不用发布。", "Of the answers given, at most this share may be wrong. The smaller, the more careful: fewer wrong answers, more handed to people. It counts at once.")) }
            form.row method="post" action={ (base(kb)) "/queries/goal" } {
                (page.csrf())
                label.narrow { span.label { "% " (page.say("（空着用默认值）", "(blank: the default)")) } input type="number" name="percent" min="0.0001" max="99.9999" step="any" value=(set.as_deref().unwrap_or_default()); }
                // The first button is the one that Enter presses.
                button.button.primary name="do" value="goal" { (page.say("设定", "Set")) }
                @for preset in ["1", "2", "5", "10"] { button.button.small name="preset" value=(preset) formnovalidate { (preset) "%" } }
            }
            @if let Some(served) = served {
                @let kept = &served["goal"]["kept"];
                dl.figures {
                    div.card { dt { (page.say("现在的目标", "Goal now")) } dd { (share(&kept["max_wrong"])) } }
                    div.card { dt { (page.say("把握达到才回答", "Answers from confidence")) } dd { (percent(&kept["bar"])) } }
                    div.card { dt { (page.say("预计答错", "Expected wrong")) } dd { (share(&kept["expected_wrong_rate"])) } }
                    div.card { dt { (page.say("答错上界（90% 置信）", "Bound (90 %)")) } dd { (share(&kept["wrong_rate_bound"])) } }
                }
            }
        }
    }
}

/// The entries that may answer a labelled question; none when a person should.
fn expected(query: &Value) -> Vec<&str> {
    match &query["expect"] {
        Value::String(id) => vec![id],
        several => several.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    }
}

fn table(page: &Page, kb: &str, queries: &[Value], names: &Names) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
            thead { tr { th { (page.say("问题", "Question")) } th { (page.say("期望", "Expected")) } th { (page.say("标签", "Tags")) } } }
            tbody { @for query in queries.iter().take(SHOWN) {
                tr {
                    td { (text(query, "text")) }
                    td {
                        @for (at, id) in expected(query).into_iter().enumerate() { @if at > 0 { br; } (names.link(kb, id)) }
                        @if expected(query).is_empty() { span.soft { (page.say("转人工", "a person")) } }
                    }
                    td { (list(query, "tags").filter_map(Value::as_str).collect::<Vec<_>>().join("、")) }
                }
            } }
        } }
        @if queries.len() > SHOWN { p.soft { (page.say("只列出前 200 个。", "The first 200 are listed.")) } }
    }
}

/// Takes a file of labelled questions.
pub(super) async fn upload(page: Page, Path(kb): Path<String>, upload: Upload) -> Response {
    page.reply(uploaded(&page, &kb, upload).await)
}

async fn uploaded(page: &Page, kb: &str, upload: Upload) -> Outcome {
    let here = format!("{}/queries", base(kb));
    let Some((name, bytes)) = upload.file else {
        return Ok(page.go_with_fault(&here, page.say("请选择文件。", "Choose a file.")));
    };
    let ending = name.rsplit('.').next().unwrap_or_default().to_lowercase();
    let format = match ending.as_str() {
        "json" | "ndjson" => "jsonl",
        "tsv" | "txt" => "csv",
        other => other,
    };
    let place = address(&format!("{}/queries", api(kb)), &[("format", format)]);
    let put = upload.form.ask(page, Method::PUT, &place).file("application/octet-stream", bytes);
    match put.got().await {
        Ok(_) => Ok(page.go(
            &here,
            page.say("已保存，下次发布起用它们试问。", "Saved; publications are asked them from now on."),
        )),
        Err(refusal) if [400, 422].contains(&refusal.code) => {
            shown(page, kb, "", &faults(page, &refusal)).await
        }
        Err(refusal) => Err(refusal),
    }
}

pub(super) async fn remove(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    let here = format!("{}/queries", base(&kb));
    if !form.has("sure") {
        let body = html! {
            form.card method="post" {
                (page.csrf())
                input type="hidden" name="sure" value="1";
                p { (page.say("要去掉全部标注问题吗？要留着请先下载。", "Take all labelled questions away? Download them first to keep them.")) }
                button.button.danger type="submit" { (page.say("全部去掉", "Take all away")) } " "
                a.button href=(here) { (page.say("不", "Do not")) }
            }
        };
        return page.show(Sheet::new(page.say("标注与目标", "Labels and goal"), body).of_kb(&kb));
    }
    match form.ask(&page, Method::DELETE, &format!("{}/queries", api(&kb))).got().await {
        Ok(_) => page.go(&here, page.say("已去掉。", "Taken away.")),
        Err(refusal) => page.ended(&form, &refusal).unwrap_or_else(|| page.failed(refusal)),
    }
}

pub(super) async fn download(page: Page, Path(kb): Path<String>) -> Response {
    match page.inside.get(&format!("{}/queries", api(&kb))).got().await {
        Ok(got) => file("application/x-ndjson", &format!("{kb}-queries.jsonl"), got.body),
        Err(refusal) => page.failed(refusal),
    }
}

/// Sets the goal.
pub(super) async fn aim(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    let here = format!("{}/queries", base(&kb));
    let told = if form.has("preset") { form.get("preset") } else { form.get("percent") };
    let share = match told {
        "" => Value::Null,
        told => told
            .trim_end_matches(['%', '％'])
            .trim()
            .parse::<f64>()
            .map_or_else(|_| json!(told), |percent| json!((percent * 1e6).round() / 1e8)),
    };
    match form
        .ask(&page, Method::PUT, &format!("{}/goal", api(&kb)))
        .json(&json!({"max_wrong": share}))
        .got()
        .await
    {
        Ok(_) => page.go(&here, page.say("目标已设定，马上生效。", "The goal is set, and counts at once.")),
        Err(refusal) if refusal.code == 422 => page.go_with_fault(
            &here,
            page.say(
                "请填 0 到 100 之间的百分数，如 5。",
                "Fill in a percentage between 0 and 100, such as 5.",
            ),
        ),
        Err(refusal) => page.ended(&form, &refusal).unwrap_or_else(|| page.failed(refusal)),
    }
}

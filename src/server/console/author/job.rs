//! How far is something that takes a while?
//!
//! The page may be left and opened again: the work goes on. When it is done, the
//! page leads on to what came of it.

use axum::extract::{Path, Query};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde_json::Value;

use super::super::form::Form;
use super::super::inside::{address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::parts::{Asked, asked, base, list, text};

pub(super) async fn page(
    page: Page,
    Path((kb, id)): Path<(String, String)>,
    Query(query): Asked,
) -> Response {
    page.reply(shown(&page, &kb, &id, asked(&query, "then")).await)
}

async fn shown(page: &Page, kb: &str, id: &str, then: &str) -> Outcome {
    let job: Value = page.inside.get(&format!("/v1/jobs/{}", part(id))).read().await?;
    // Only to pages of this knowledge base.
    let then = if then.starts_with(&base(kb)) { then } else { "" };
    let (state, stage) = (text(&job, "state"), text(&job, "stage"));
    let on = address(then, &[("job", id)]);
    if state == "done" && !then.is_empty() {
        return Ok(Redirect::to(&on).into_response());
    }
    let (done, total) = (job["done"].as_u64().unwrap_or(0), job["total"].as_u64().unwrap_or(0));
    let left = job["remaining_seconds"].as_f64();
    let is_running = state == "running";
    let body = html! {
        section.card data-job=[is_running.then_some(id)] {
            @if is_running {
                p role="status" { b { (stage_name(page, stage)) } }
                progress value=[(total > 0).then_some(done)] max=(total.max(1)) aria-label=(page.say("进度", "Progress")) {}
                p.soft {
                    @if total > 0 { (done) " / " (total) " " }
                    @if let Some(left) = left { (page.say("大约还要 ", "about ")) (format!("{left:.0}")) (page.say(" 秒", " seconds left")) }
                }
                p.soft { (page.say("可以离开这一页，任务会继续；回来时从这里看进度。", "You may leave this page; the work goes on. Come back here to see how far it is.")) }
                form method="post" { (page.csrf()) button.button.small.danger type="submit" { (page.say("取消", "Cancel")) } }
                noscript { meta http-equiv="refresh" content="2"; }
            } @else if state == "failed" {
                p.fault { (page.say("没有完成：", "It failed: ")) (page.sentence(text(&job["problem"], "detail"))) }
                @for fault in list(&job["problem"], "problems").take(20) { p { (text(fault, "message")) } }
            } @else if state == "cancelled" {
                p { (page.say("已取消，什么都没有变。", "Cancelled; nothing has changed.")) }
            } @else {
                p.good { (page.say("完成了。", "Done.")) }
            }
        }
        @if !is_running {
            p { @if !then.is_empty() { a.button.primary href=(on) { (page.say("继续", "Go on")) } " " } a.button href=(base(kb)) { (page.say("回概览", "Overview")) } }
        }
    };
    let title = kind(page, text(&job, "kind"));
    Ok(page.show(Sheet::new(title, body).of_kb(kb).with_script("job.js")))
}

/// What a job does, in words.
pub(in super::super) fn kind(page: &Page, name: &str) -> &'static str {
    match name {
        "publish" => page.say("正在发布", "Publishing"),
        "check" => page.say("正在检查", "Checking"),
        "import" => page.say("正在导入", "Importing"),
        "preview" => page.say("正在比较发布前后", "Comparing before and after"),
        "index" => page.say("正在准备草稿", "Preparing the draft"),
        "evaluation" => page.say("正在评测", "Evaluating"),
        "rollback" => page.say("正在回滚", "Rolling back"),
        _ => page.say("任务", "Work"),
    }
}

fn stage_name(page: &Page, stage: &str) -> &'static str {
    match stage {
        "index" => page.say("建索引", "Indexing"),
        "vectors" => page.say("计算语义", "Meanings"),
        "links" => page.say("连接相近的问法", "Linking what is near"),
        "strangers" => page.say("认识无关问题", "Strangers"),
        "calibration" => page.say("校准把握", "Calibrating"),
        "checkup" => page.say("用自己的问法试问", "Asking its own phrasings"),
        "queries" => page.say("试问题", "Asking questions"),
        "generation 1" => page.say("试问题（第一代）", "Asking (generation 1)"),
        "generation 2" => page.say("试问题（第二代）", "Asking (generation 2)"),
        "goals" => page.say("试不同的目标", "Trying other goals"),
        "rows" => page.say("读表格", "Reading rows"),
        _ => page.say("准备中", "Getting ready"),
    }
}

pub(super) async fn cancel(page: Page, Path((kb, id)): Path<(String, String)>, form: Form) -> Response {
    match form.ask(&page, Method::DELETE, &format!("/v1/jobs/{}", part(&id))).got().await {
        Ok(_) => page.go(&base(&kb), page.say("已请求取消。", "It will be cancelled.")),
        Err(refusal) => page.failed(refusal),
    }
}

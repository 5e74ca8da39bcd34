//! Is everything running, and what could not be delivered?

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::Server;
use super::super::author::job_kind;
use super::super::form::Form;
use super::super::inside::{address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::bytes;

const PLACE: &str = "/console/admin/health";

pub(super) fn routes() -> Router<Server> {
    Router::new().route(PLACE, get(show)).route("/console/admin/health/letters/{number}/replay", post(replay))
}

#[derive(Deserialize)]
struct Health {
    version: String,
    read_only: bool,
    warnings: Vec<Warning>,
    releases: BTreeMap<String, String>,
    waiting: Waiting,
    conversations: i64,
    storage: u64,
    storage_limit: Option<u64>,
    free: Option<u64>,
}

#[derive(Deserialize)]
struct Warning {
    kb: String,
    reason: String,
    message: String,
}

#[derive(Deserialize)]
struct Waiting {
    handoffs: i64,
    taken: i64,
    due: i64,
    due_since: Option<String>,
    dead: i64,
}

#[derive(Deserialize)]
struct Jobs {
    items: Vec<Job>,
    missing_nodes: Vec<String>,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    kind: String,
    kb: String,
    state: String,
    done: u64,
    total: u64,
    seconds: f64,
    problem: Option<Value>,
}

#[derive(Deserialize)]
struct Letters {
    items: Vec<Letter>,
    next: Option<i64>,
}

#[derive(Deserialize)]
struct Letter {
    seq: i64,
    target: String,
    kind: String,
    kb: String,
    attempts: i32,
    error: Option<String>,
    created_at: String,
    body: Value,
}

async fn show(page: Page) -> Response {
    page.reply(shown(&page).await)
}

async fn shown(page: &Page) -> Outcome {
    let asked = page.query();
    let state = if asked.get("letters") == "due" { "due" } else { "dead" };
    let health: Health = page.inside.get("/v1/health").read().await?;
    let jobs: Jobs = page.inside.get("/v1/jobs").read().await?;
    let letters =
        address("/v1/dead-letters", &[("state", state), ("before", asked.get("before")), ("limit", "20")]);
    let letters: Letters = page.inside.get(&letters).read().await?;
    let body = html! {
        (warnings(page, &health))
        (facts(page, &health))
        (releases(page, &health))
        (working(page, &jobs))
        (undelivered(page, state, &letters))
    };
    Ok(page.show(Sheet::new(page.say("运行状况", "Health"), body).of_admin()))
}

/// What is wrong, in plain words first.
fn warnings(page: &Page, health: &Health) -> Markup {
    html! {
        @if health.warnings.is_empty() { p.good role="status" { (page.say("一切正常。", "All is well.")) } }
        @for one in &health.warnings {
            div.card.problem {
                b { (trouble(page, &one.reason)) @if !one.kb.is_empty() { (page.say("：", ": ")) (one.kb) } }
                details { summary { (page.say("原文", "In full")) } p lang="en" { (one.message) } }
            }
        }
        @if health.read_only { div.card { (page.say("这台服务是只读的：只回答，不能修改。", "This server is read-only: it answers, and nothing can be changed.")) } }
    }
}

/// A warning's reason for people.
fn trouble<'a>(page: &Page, reason: &'a str) -> &'a str {
    match reason {
        "database_unreadable" => {
            page.say("读不到草稿和版本：数据库不见了或已损坏", "the database is gone or damaged")
        }
        "conversations_unreadable" => page.say("读不到会话", "conversations cannot be read"),
        "release_damaged" => page.say(
            "有版本打不开，正用上一个好的版本回答",
            "a release cannot be opened; the one before answers",
        ),
        "service_faulty" => page.say("话术与规则有错，没有生效", "the service document has a fault"),
        "lagging" => page.say(
            "好一阵没有看到数据目录的新内容，最近的发布和修改可能还没生效",
            "the data directory was not looked at for a while",
        ),
        "disk_full" => page.say("磁盘快满了，请腾出空间", "next to nothing can be written any more"),
        "events_lost" => page.say("事件没有存下来，统计会不全", "events are not stored"),
        "events_unsynced" => page.say("事件还没有落盘，断电会丢", "a power loss may take events"),
        "database_unreachable" => page.say("数据库服务器没有回应", "the database server does not answer"),
        "candidates_lost" => page.say(
            "候选引擎没有回应，大的知识库暂时只按字词回答",
            "the engine for candidates does not answer; large knowledge bases are answered by words alone",
        ),
        "candidates_refused" => page.say(
            "候选引擎没有收下某个版本，暂时在本机检索",
            "the engine for candidates does not take a release, which is searched here",
        ),
        "certificate_refused" => page.say(
            "换上的 TLS 证书用不了，仍在用旧的，到期前请换好",
            "the new TLS certificate cannot be used; the old one goes on until it has expired",
        ),
        "audit_broken" => page.say("审计记录被改动过", "the record of changes is not whole"),
        other => other,
    }
}

fn facts(page: &Page, health: &Health) -> Markup {
    html! {
        dl.tiles {
            div.card { dt { (page.say("版本", "Version")) } dd { b { (health.version) } } }
            div.card { dt { (page.say("会话", "Conversations")) } dd { b { (health.conversations) } } }
            div.card { dt { (page.say("等待人工", "Waiting for people")) } dd { b { (health.waiting.handoffs) } span.soft { (page.say("接待中 ", "taken ")) (health.waiting.taken) } } }
            div.card { dt { (page.say("待送出", "To be delivered")) } dd { b { (health.waiting.due) }
                @if let Some(since) = &health.waiting.due_since { span.soft { (page.say("最早的写于 ", "oldest of ")) (when(since)) } } } }
            div.card { dt { (page.say("没送到", "Given up")) } dd { b { (health.waiting.dead) } } }
            div.card { dt { (page.say("存储", "Storage")) } dd { b { (bytes(health.storage)) }
                span.soft {
                    @if let Some(limit) = health.storage_limit { (page.say("额度 ", "limit ")) (bytes(limit)) " " }
                    @if let Some(free) = health.free { (page.say("磁盘剩余 ", "free ")) (bytes(free)) }
                } } }
        }
    }
}

fn releases(page: &Page, health: &Health) -> Markup {
    html! {
        h2 { (page.say("正在回答的版本", "What answers")) }
        @if health.releases.is_empty() { p.empty { (page.say("还没有发布过知识库。", "Nothing is published yet.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr { th scope="col" { (page.say("知识库", "Knowledge base")) } th scope="col" { (page.say("版本", "Release")) } } }
                tbody { @for (kb, release) in &health.releases { tr {
                    td { a href={ "/console/kb/" (part(kb)) } { (kb) } } td { (release) }
                } } }
            } }
        }
    }
}

fn working(page: &Page, listed: &Jobs) -> Markup {
    let jobs = &listed.items;
    html! {
        h2 { (page.say("任务", "Jobs")) }
        @if !listed.missing_nodes.is_empty() {
            div.card.problem { (page.say("有节点联系不上，它们的任务没有列出：", "Some nodes cannot be asked; their jobs are missing here: ")) (listed.missing_nodes.join(" ")) }
        }
        @if jobs.is_empty() { p.empty { (page.say("最近没有任务。", "There were no jobs.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr { th scope="col" { (page.say("任务", "Job")) } th scope="col" { (page.say("知识库", "Knowledge base")) } th scope="col" { (page.say("状态", "State")) } th scope="col" { (page.say("用时", "Took")) } } }
                tbody { @for job in jobs.iter().take(20) { tr {
                    td { a href={ "/console/kb/" (part(&job.kb)) "/jobs/" (part(&job.id)) } { (job_kind(page, &job.kind)) } }
                    td { (job.kb) }
                    td {
                        @match job.state.as_str() {
                            "running" => { span.tag.warn { (page.say("进行中", "running")) } @if job.total > 0 { " " (job.done) " / " (job.total) } }
                            "done" => span.tag.good { (page.say("完成", "done")) },
                            "cancelled" => span.tag { (page.say("已取消", "cancelled")) },
                            _ => { span.tag.bad { (page.say("失败", "failed")) } @if let Some(detail) = job.problem.as_ref().and_then(|problem| problem["detail"].as_str()) { br; span.soft { (page.sentence(detail).chars().take(200).collect::<String>()) } } }
                        }
                    }
                    td.number { (format!("{:.1}", job.seconds)) (page.say(" 秒", " s")) }
                } } }
            } }
        }
    }
}

fn undelivered(page: &Page, state: &str, letters: &Letters) -> Markup {
    let is_dead = state == "dead";
    html! {
        h2 #letters { @if is_dead { (page.say("没送到的消息", "Given up")) } @else { (page.say("还在送的消息", "To be delivered")) } }
        p {
            @if is_dead { a href={ (PLACE) "?letters=due#letters" } { (page.say("看还在送的", "Show what is still to be delivered")) } }
            @else { a href={ (PLACE) "#letters" } { (page.say("看没送到的", "Show what was given up")) } }
        }
        @if letters.items.is_empty() { p.empty { (page.say("没有。", "None.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("消息", "Messages")) { table.list {
                thead { tr {
                    th scope="col" { (page.say("写于", "Written")) } th scope="col" { (page.say("送给", "To")) } th scope="col" { (page.say("内容", "What")) }
                    th scope="col" { (page.say("试过", "Tries")) } th scope="col" { (page.say("原因", "Why not")) } th scope="col" { (page.say("操作", "Do")) }
                } }
                tbody { @for one in &letters.items { tr {
                    td.nowrap { (when(&one.created_at)) }
                    td { code { (one.target) } br; span.soft { (one.kb) } }
                    td { (one.kind) details { summary { (page.say("全文", "In full")) } pre.code { (format!("{:#}", one.body)) } } }
                    td.number { (one.attempts) }
                    td lang="en" { (one.error.as_deref().unwrap_or("—").chars().take(300).collect::<String>()) }
                    td { @if is_dead { form method="post" action={ (PLACE) "/letters/" (one.seq) "/replay" } { (page.csrf()) button.button.small type="submit" { (page.say("再送一次", "Try again")) } } } }
                } } }
            } }
            @if let Some(next) = letters.next { p { a.button.small href={ (PLACE) "?letters=" (state) "&before=" (next) "#letters" } { (page.say("更早的", "Older")) } } }
        }
    }
}

async fn replay(page: Page, Path(number): Path<i64>, form: Form) -> Response {
    match form.ask(&page, Method::POST, &format!("/v1/dead-letters/{number}/replay")).got().await {
        Ok(_) => page.go(PLACE, page.say("会马上再送一次。", "It is tried again now.")),
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

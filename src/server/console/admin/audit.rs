//! Who changed what, and is the record whole?

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::super::Server;
use super::super::form::Form;
use super::super::inside::{Refusal, address};
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;

const PLACE: &str = "/console/admin/audit";
/// Records of a page.
const LISTED: usize = 50;
/// Records of a file: pages of the API until there are no more, or so many.
const EXPORTED: usize = 20_000;

pub(super) fn routes() -> Router<Server> {
    Router::new().route(PLACE, get(show)).route("/console/admin/audit/export", get(export))
}

#[derive(Deserialize)]
struct Deed {
    seq: i64,
    at: String,
    name: String,
    from: String,
    action: String,
    object: String,
    before: Option<String>,
    after: Option<String>,
    reason: Option<String>,
    request: Option<String>,
    hash: String,
}

#[derive(Deserialize)]
struct Records {
    items: Vec<Deed>,
}

#[derive(Deserialize)]
struct Verdict {
    sound: bool,
    records: u64,
    hash: String,
    faults: Vec<String>,
}

const FILTERS: [&str; 6] = ["q", "who", "action", "object", "from", "to"];

fn api(page: &Page, asked: &Form, before: &str, limit: &str) -> String {
    // What is read in the table can be asked for.
    let code = |word| ACTIONS.iter().find(|(_, chinese, english)| word == *chinese || word == *english);
    let of = |name| match (name, asked.get(name)) {
        ("who", name) => page.login(name),
        ("action", word) => code(word).map_or(word, |(code, ..)| *code),
        (_, value) => value,
    };
    let wanted: Vec<(&str, &str)> = FILTERS.iter().map(|name| (*name, of(name))).collect();
    address("/v1/audit", &[wanted.as_slice(), &[("before", before), ("limit", limit)]].concat())
}

async fn show(page: Page) -> Response {
    page.reply(shown(&page).await)
}

async fn shown(page: &Page) -> Outcome {
    let asked = page.query();
    let limit = LISTED.to_string();
    let (Records { items }, refused) =
        match page.inside.get(&api(page, &asked, asked.get("before"), &limit)).read().await {
            Ok(found) => (found, None),
            // What was filled in stands below it, to be mended.
            Err(refusal) if refusal.code == 422 => (Records { items: Vec::new() }, Some(refusal)),
            Err(refusal) => return Err(refusal),
        };
    let verdict: Option<Verdict> = match asked.has("verify") {
        true => Some(page.inside.get("/v1/audit/verify").read().await?),
        false => None,
    };
    let here = |path: &str, more: &[(&str, &str)]| {
        let wanted: Vec<(&str, &str)> = FILTERS.iter().map(|name| (*name, asked.get(name))).collect();
        address(path, &[wanted.as_slice(), more].concat())
    };
    let older = items.last().filter(|_| items.len() == LISTED).map(|last| last.seq.to_string());
    let body = html! {
        @if let Some(refusal) = &refused { p.fault role="alert" { (page.fault(refusal)) } }
        form.row method="get" action=(PLACE) {
            label { span.label { (page.say("内容里含有", "Holds")) } input type="search" name="q" value=(asked.get("q")); }
            label { span.label { (page.say("谁", "Who")) } input name="who" value=(asked.get("who")) placeholder=(page.say("登录名或密钥编号", "name or key id")); }
            label { span.label { (page.say("做了什么", "Action")) } input name="action" value=(asked.get("action")) placeholder="publish_kb" list="actions"; }
            datalist #actions { @for (code, chinese, english) in ACTIONS { option value=(code) { (page.say(chinese, english)) } } }
            label { span.label { (page.say("对象里含有", "Object holds")) } input name="object" value=(asked.get("object")); }
            label { span.label { (page.say("从", "From")) } input type="date" name="from" value=(asked.get("from")); }
            label { span.label { (page.say("到（不含）", "To (not included)")) } input type="date" name="to" value=(asked.get("to")); }
            button.button.primary type="submit" { (page.say("查找", "Search")) }
        }
        div.toolbar {
            a.button.small href=(here("/console/admin/audit/export", &[])) { (page.say("导出", "Export")) }
            a.button.small href=(here(PLACE, &[("verify", "1")])) { (page.say("校验有没有被改动", "Verify the chain")) }
        }
        @if let Some(verdict) = &verdict { (verified(page, verdict)) }
        @if refused.is_some() {}
        @else if items.is_empty() { p.empty { (page.say("没有符合的记录。", "No record is like that.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("审计记录", "Records")) { table.list {
                thead { tr {
                    th scope="col" { "№" } th scope="col" { (page.say("时间", "When")) } th scope="col" { (page.say("谁", "Who")) }
                    th scope="col" { (page.say("做了什么", "Action")) } th scope="col" { (page.say("对象", "Object")) } th scope="col" { (page.say("之前 → 之后", "Before → after")) }
                } }
                tbody { @for one in &items { (row(page, one)) } }
            } }
            p {
                @if !asked.get("before").is_empty() { a.button.small href=(here(PLACE, &[])) { (page.say("最新的", "Newest")) } " " }
                @if let Some(older) = &older { a.button.small href=(here(PLACE, &[("before", older)])) { (page.say("更早的", "Older")) } }
            }
        }
    };
    let sheet = Sheet::new(page.say("审计", "Audit"), body).of_admin();
    Ok(page.show(sheet.refused_if(refused.is_some())))
}

fn row(page: &Page, one: &Deed) -> Markup {
    html! {
        tr {
            td.number { (one.seq) }
            td.nowrap { (when(&one.at)) }
            td { (page.called_both(&one.name)) br; code.soft { (one.from) } }
            td { (action(page, &one.action)) @if action(page, &one.action) != one.action { br; code.soft { (one.action) } } }
            td { (one.object) }
            td {
                @if let Some(before) = &one.before { span.gone { (before) } " " }
                @if let Some(after) = &one.after { span.come { (after) } }
                @if let Some(reason) = &one.reason { p.soft { (page.say("原因：", "Reason: ")) (reason) } }
                details { summary { (page.say("编号", "Ids")) }
                    @if let Some(request) = &one.request { p.soft { (page.say("请求 ", "request ")) code { (request) } } }
                    p.soft { (page.say("散列 ", "hash ")) code.clip { (one.hash) } }
                }
            }
        }
    }
}

/// What can be done, by the API's words, in Chinese and in English.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("login", "登录", "signed in"),
    ("login_failed", "登录失败", "failed to sign in"),
    ("lock_out", "登录被锁", "was locked out"),
    ("logout", "退出", "signed out"),
    ("change_password", "换密码", "changed the password"),
    ("end_sessions", "结束某人的全部登录", "ended somebody's sessions"),
    ("end_own_session", "结束自己的一个登录", "ended a session of their own"),
    ("end_other_sessions", "结束自己的其他登录", "ended their other sessions"),
    ("end_session", "结束某人的一个登录", "ended somebody's session"),
    ("create_link", "给一次性链接", "made a link"),
    ("redeem_link", "使用一次性链接", "used a link"),
    ("create_webhook", "添加通知", "added a webhook"),
    ("delete_webhook", "删除通知", "removed a webhook"),
    ("rotate_webhook", "更换通知密钥", "new secret of a webhook"),
    ("test_webhook", "试通知", "tried a webhook"),
    ("schedule_kb", "定时发布", "scheduled"),
    ("cancel_schedule", "取消定时", "called a schedule off"),
    ("create_key", "生成密钥", "made a key"),
    ("revoke_key", "吊销密钥", "revoked a key"),
    ("rotate_key", "更换密钥", "rotated a key"),
    ("create_person", "添加人员", "added somebody"),
    ("change_person", "修改人员", "changed somebody"),
    ("remove_person", "删除人员", "removed somebody"),
    ("create_first_admin", "第一个管理员", "became the first admin"),
    ("publish_kb", "发布", "published"),
    ("publish", "发布（命令行）", "published (command line)"),
    ("rollback_kb", "回滚", "rolled back"),
    ("rollback", "回滚（命令行）", "rolled back (command line)"),
    ("import_kb", "导入", "imported"),
    ("import", "导入（命令行）", "imported (command line)"),
    ("create_entry", "新建条目", "made an entry"),
    ("put_entry", "修改条目", "changed an entry"),
    ("patch_entry", "修改条目的几项", "changed fields of an entry"),
    ("delete_entry", "删除条目", "removed an entry"),
    ("set_goal", "修改目标", "set the goal"),
    ("put_service", "修改话术与规则", "changed voice and rules"),
    ("add_channel", "添加渠道", "added a channel"),
    ("change_channel", "修改渠道", "changed a channel"),
    ("remove_channel", "删除渠道", "removed a channel"),
    ("create_tenant", "新建租户", "made a tenant"),
    ("limit_tenant", "修改租户额度", "limited a tenant"),
    ("delete_tenant", "删除租户", "removed a tenant"),
    ("accept_suggestion", "采纳建议", "accepted a suggestion"),
    ("ignore_suggestion", "忽略建议", "ignored a suggestion"),
    ("decide_suggestions", "处理建议", "decided suggestions"),
    ("reopen_suggestions", "撤销处理建议", "reopened suggestions"),
    ("add_note", "写内部备注", "added a note"),
    ("claim_handoff", "接待会话", "took a conversation"),
    ("reply_handoff", "回复顾客", "replied to a customer"),
    ("transfer_handoff", "转交会话", "passed a conversation on"),
    ("return_handoff", "交还机器人", "gave a conversation back"),
    ("close_handoff", "结束会话", "ended a conversation"),
    ("make_ticket", "建工单", "made a ticket"),
    ("change_ticket", "修改工单", "changed a ticket"),
    ("create_canned_reply", "添加常用语", "made a canned reply"),
    ("change_canned_reply", "修改常用语", "changed a canned reply"),
    ("delete_canned_reply", "删除常用语", "removed a canned reply"),
    ("change_key", "修改密钥", "changed a key"),
    ("change_retention", "修改保留期", "changed how long things are kept"),
    ("replay_dead_letter", "重新投递通知", "sent a dead letter again"),
    ("delete_kb", "删除知识库", "removed a knowledge base"),
    ("restore_kb", "恢复到草稿", "restored to the draft"),
    ("rewind_draft", "撤销草稿修改", "rewound the draft"),
    ("collect_releases", "清理旧版本", "collected old releases"),
    ("put_lexicon", "修改词库", "changed the lexicon"),
    ("patch_lexicon", "增删词库的词", "changed words of the lexicon"),
    ("restore_lexicon", "恢复词库", "restored the lexicon"),
    ("patch_service", "修改话术与规则的几项", "changed parts of voice and rules"),
    ("put_queries", "修改标注问题", "changed labelled questions"),
    ("delete_queries", "删除标注问题", "removed labelled questions"),
    ("evaluate_kb", "运行评测", "ran an evaluation"),
    ("delete_evaluation", "删除评测报告", "removed an evaluation"),
    ("cancel_job", "取消任务", "cancelled a job"),
    ("forget", "删除顾客的内容", "forgot a customer"),
    ("prune_audit", "清理审计记录", "removed old records of the audit"),
    ("compact_events", "整理事件", "compacted events"),
    ("keep_events", "修改事件保留", "changed what is kept of events"),
    ("restore_backup", "恢复备份", "restored a backup"),
    ("copy_records", "迁移数据", "moved the records"),
    ("answer", "回答", "answered"),
    ("post_message", "发消息", "sent a message"),
    ("ask_for_person", "请求人工", "asked for a person"),
    ("feedback", "评价回答", "judged an answer"),
];

/// What was done, for people; what has no words here is told as the API calls it.
fn action<'a>(page: &Page, code: &'a str) -> &'a str {
    let known = ACTIONS.iter().find(|(known, ..)| *known == code);
    known.map_or(code, |(_, chinese, english)| page.say(chinese, english))
}

fn verified(page: &Page, verdict: &Verdict) -> Markup {
    html! {
        @if verdict.sound {
            div.card role="status" {
                b.good { (page.say("没有被改动。", "Nothing was altered.")) } " "
                (verdict.records) (page.say(" 条记录，最后一条的散列：", " records; the last one's hash: ")) code.clip { (verdict.hash) }
                p.soft { (page.say("把这个散列抄在别处，以后就能看出整条链有没有被换掉。", "Noted elsewhere, the hash shows later that the chain was not replaced as a whole.")) }
            }
        } @else {
            div.card.problem role="alert" {
                b { (page.say("记录被改动过：", "The record was altered:")) }
                ul { @for fault in &verdict.faults { li lang="en" { (fault) } } }
            }
        }
    }
}

/// The records that are searched for, as JSON lines.
async fn export(page: Page) -> Response {
    match lines(&page).await {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson; charset=utf-8")),
                (
                    header::CONTENT_DISPOSITION,
                    HeaderValue::from_static("attachment; filename=\"audit.jsonl\""),
                ),
            ];
            (headers, text).into_response()
        }
        Err(refusal) => page.failed(refusal),
    }
}

async fn lines(page: &Page) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Raw {
        items: Vec<serde_json::Value>,
    }
    let asked = page.query();
    let (mut text, mut before, mut count) = (String::new(), String::new(), 0);
    loop {
        let Raw { items } = page.inside.get(&api(page, &asked, &before, "1000")).read().await?;
        for item in &items {
            text.push_str(&item.to_string());
            text.push('\n');
        }
        count += items.len();
        match items.last().and_then(|last| last["seq"].as_i64()) {
            Some(seq) if items.len() == 1000 && count < EXPORTED => before = seq.to_string(),
            _ => return Ok(text),
        }
    }
}

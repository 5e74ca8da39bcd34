//! With what does the service run, and what does it keep?
//!
//! Every flag that is in force with where it comes from; what can be changed while it
//! runs is a form, and beside everything else stands what changes it.

use axum::Router;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::super::super::Server;
use super::super::form::Form;
use super::super::inside::part;
use super::super::page::{Outcome, Page, Sheet};
use super::super::told::when;
use super::{bytes, roles};

const PLACE: &str = "/console/admin/settings";
const FORGET: &str = "/console/admin/settings/forget";

/// A certificate that is valid no longer than so many days is told of.
const SOON: i64 = 30;

pub(super) fn routes() -> Router<Server> {
    Router::new().route(PLACE, get(show).post(keep)).route(FORGET, post(forget))
}

#[derive(Deserialize)]
struct Settings {
    version: String,
    data: String,
    read_only: bool,
    processor: Processor,
    models: Vec<Model>,
    tls: Option<Tls>,
    sign_in: Option<String>,
    flags: Vec<Flag>,
    limits: Limits,
}

#[derive(Deserialize)]
struct Processor {
    architecture: String,
    cores: usize,
    features: Vec<String>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    fingerprint: String,
    kbs: Vec<String>,
}

#[derive(Deserialize)]
struct Tls {
    file: String,
    expires: Option<String>,
}

#[derive(Deserialize)]
struct Flag {
    name: String,
    values: Vec<String>,
    source: String,
    variable: Option<String>,
}

#[derive(Deserialize)]
struct Limits {
    per_second: Option<u64>,
    per_month: Option<u64>,
    entries: Option<u64>,
    storage: Option<u64>,
}

#[derive(Deserialize)]
struct Kept {
    text: String,
    mask_orders: bool,
    text_days: u32,
    event_days: Option<u32>,
    conversation_days: Option<i64>,
}

async fn show(page: Page) -> Response {
    page.reply(shown(&page).await)
}

async fn shown(page: &Page) -> Outcome {
    let kept: Kept = page.inside.get("/v1/retention").read().await?;
    // How the process runs is the affair of whoever runs it, not of every tenant.
    let settings: Option<Settings> =
        if page.may("operator") { Some(page.inside.get("/v1/settings").read().await?) } else { None };
    let body = html! {
        @if let Some(settings) = &settings { (facts(page, settings)) }
        (retention(page, &kept))
        (forgetting(page))
        @if let Some(settings) = &settings { (limited(page, &settings.limits)) (flags(page, &settings.flags)) }
    };
    Ok(page.show(Sheet::new(page.say("设置", "Settings"), body).of_admin()))
}

fn facts(page: &Page, settings: &Settings) -> Markup {
    let Processor { architecture, cores, features } = &settings.processor;
    html! {
        dl.tiles {
            div.card { dt { (page.say("版本", "Version")) } dd { b { (settings.version) } @if settings.read_only { span.soft { (page.say("只读", "read-only")) } } } }
            div.card { dt { (page.say("数据目录", "Data directory")) } dd { code { (settings.data) } span.soft { (page.say("用 --data 改", "changed with --data")) } } }
            div.card { dt { (page.say("处理器", "Processor")) } dd { b { (cores) (page.say(" 核 ", " cores ")) (architecture) }
                span.soft { @if features.is_empty() { (page.say("通用指令", "portable code")) } @else { (page.say("用到 ", "uses ")) (features.join(", ")) } } } }
            div.card { dt { (page.say("加密连接", "Encryption")) } dd { @match &settings.tls {
                Some(tls) => { b { "TLS" } span.soft { code { (tls.file) } @if let Some(expires) = &tls.expires { " " (page.say("到期 ", "expires ")) (when(expires)) } }
                    @if tls.expires.as_deref().is_some_and(ends_soon) { span.tag.warn { (page.say("快到期了：换好文件，服务会自己重新读取", "soon over: replace the file, it is read anew by itself")) } } }
                None => { b { (page.say("没有", "none")) } span.soft { (page.say("用 --tls-cert 和 --tls-key 打开，或由前面的代理加密", "with --tls-cert and --tls-key, or by a proxy in front")) } }
            } } }
            div.card { dt { (page.say("单点登录", "Sign-in elsewhere")) } dd { @match &settings.sign_in {
                Some(issuer) => code { (issuer) },
                None => { b { (page.say("没有", "none")) } span.soft { (page.say("用 --oidc-issuer 打开", "with --oidc-issuer")) } }
            } } }
        }
        h2 { (page.say("模型", "Models")) }
        @if settings.models.is_empty() { p.empty { (page.say("现在只按字词回答，没有用到模型。", "It answers by words only; no model is in use.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("模型", "Models")) { table.list {
                thead { tr { th scope="col" { (page.say("名称", "Name")) } th scope="col" { (page.say("摘要", "Digest")) } th scope="col" { (page.say("知识库", "Knowledge bases")) } } }
                tbody { @for model in &settings.models { tr {
                    td { (model.id) } td { code { (model.fingerprint) } }
                    td { @for kb in &model.kbs { a href={ "/console/kb/" (part(kb)) } { (kb) } " " } }
                } } }
            } }
            p.soft { (page.say("换模型：启动时用 --model，或用 zhida adapt 训练自己的；换了以后要重新发布。", "Another model: --model at the start, or one of your own by zhida adapt; publish again afterwards.")) }
        }
    }
}

/// Whether a moment is near, or over.
fn ends_soon(moment: &str) -> bool {
    use time::format_description::well_known::Rfc3339;
    let now = time::OffsetDateTime::now_utc();
    time::OffsetDateTime::parse(moment, &Rfc3339).is_ok_and(|at| at - now < time::Duration::days(SOON))
}

/// What is kept of customers' words, which can be changed.
fn retention(page: &Page, kept: &Kept) -> Markup {
    let texts = [
        (
            "masked",
            page.say(
                "遮盖后的原话（手机号、姓名、门牌等换成[电话]、[姓名]、[门牌]等字样，路名保留）",
                "masked: numbers, names and house numbers of people become [电话], [姓名], [门牌] and the like; names of streets stay",
            ),
        ),
        ("full", page.say("完整原话", "in full")),
        ("none", page.say("不保存原话", "nothing")),
    ];
    html! {
        section.card #retention {
            h2 { (page.say("保留多久", "What is kept, and for how long")) }
            p.soft { (page.say("这里的修改马上生效，不用重启。天数改小以后，更早的内容会在下一次整理时抹掉，不能恢复。", "Changes count at once, without a restart. With fewer days, what is older is erased at the next maintenance and cannot be brought back.")) }
            form method="post" {
                (page.csrf())
                div.row {
                    label { span.label { (page.say("保存顾客的话", "Customers' words")) } select name="text" { @for (value, name) in texts { option value=(value) selected[value == kept.text] { (name) } } } }
                    label.narrow { span.label { (page.say("原话保留（天）", "Words are kept (days)")) } input type="number" name="text_days" min="1" max="36500" required value=(kept.text_days); }
                    label.narrow { span.label { (page.say("事件保留（天，空白为一直）", "Events are kept (days, blank: always)")) } input type="number" name="event_days" min="1" max="36500" value=[kept.event_days]; }
                }
                label.check { input type="checkbox" name="mask_orders" value="1" checked[kept.mask_orders]; " " (page.say("订单号和快递单号也遮盖", "Hide numbers of orders and parcels too")) }
                p { button.button.primary type="submit" data-confirm=(page.say("改小的天数会抹掉更早的内容，不能恢复。确定要保存吗？", "With fewer days what is older is erased for good. Save?")) { (page.say("保存", "Save")) } }
            }
            ul.soft {
                li { (page.say("会话内容：", "Conversations: ")) @match kept.conversation_days { Some(days) => { (days) (page.say(" 天", " days")) } None => { (page.say("有空间就一直保留", "as long as there is room")) } } (page.say("，用 --conversation-days 改", "; changed with --conversation-days")) }
                li { (page.say("审计记录：一直保留，", "The audit: always; ")) a href="/console/admin/audit" { (page.say("查看", "look")) } }
            }
        }
    }
}

/// Where a customer who asks for it is forgotten.
fn forgetting(page: &Page) -> Markup {
    html! {
        section.card #forget {
            h2 { (page.say("删除一位顾客的内容", "Forget a customer")) }
            p.soft { (page.say("顾客要求删除个人信息时用：他说过的话、会话、转人工记录、工单、图片和由此产生的建议都会删除，不能恢复；次数照旧计入统计。以前做的备份里还有，备份到期删除才没有。", "For customers who ask for it: what they said, their conversations, handoffs, tickets, pictures and the suggestions made of it go for good; counts stay. Backups keep what they hold.")) }
            form method="post" action=(FORGET) {
                (page.csrf())
                div.row {
                    label { span.label { (page.say("按什么找", "By")) } select name="whose" {
                        option value="customer" { (page.say("顾客编号（调用方在 fields 里传的 id，或渠道里的用户编号）", "the customer's id: that in `fields`, or the channel's own")) }
                        option value="conversation" { (page.say("会话编号（session）", "the conversation's name (`session`)")) }
                    } }
                    label { span.label { (page.say("编号", "The id")) } input type="text" name="id" required maxlength="500" autocomplete="off"; }
                }
                p { button.button.danger type="submit" data-confirm=(page.say("确定要永久删除吗？不能恢复。", "Forget it for good? Nothing brings it back.")) { (page.say("永久删除", "Forget for good")) } }
            }
        }
    }
}

fn limited(page: &Page, limits: &Limits) -> Markup {
    let number = |count: Option<u64>| match count {
        Some(count) => count.to_string(),
        None => page.say("不限", "no limit").to_owned(),
    };
    html! {
        section.card {
            h2 { (page.say("额度和角色", "Limits and roles")) }
            p { (page.say("每秒请求 ", "Requests a second ")) b { (number(limits.per_second)) } " · " (page.say("每月提问 ", "questions a month ")) b { (number(limits.per_month)) } " · "
                (page.say("条目 ", "entries ")) b { (number(limits.entries)) } " · " (page.say("存储 ", "storage ")) b { (limits.storage.map_or_else(|| page.say("不限", "no limit").to_owned(), bytes)) } }
            ul { @for (_, what) in roles(page) { li { (what) } } }
            p { a.button.small href="/console/admin/keys" { (page.say("各个密钥的额度", "Limits of keys")) } " "
                @if page.may("operator") { a.button.small href="/console/admin/tenants" { (page.say("各个租户的额度", "Limits of tenants")) } } }
        }
    }
}

fn flags(page: &Page, flags: &[Flag]) -> Markup {
    html! {
        h2 #flags { (page.say("启动参数", "Flags")) }
        @if flags.is_empty() { p.empty { (page.say("这台服务不是用 zhida serve 启动的。", "This server was not started by zhida serve.")) } }
        @else {
            p.soft { (page.say("这些要改参数或环境变量，再重启服务。密钥和密码都在文件里，这里只有文件名。", "These are changed by flag or environment and a restart. Secrets are in files; only their names stand here.")) }
            div.scroll tabindex="0" role="region" aria-label=(page.say("启动参数", "Flags")) { table.list {
                thead { tr { th scope="col" { (page.say("参数", "Flag")) } th scope="col" { (page.say("现在的值", "Value")) } th scope="col" { (page.say("来自", "From")) } } }
                tbody { @for flag in flags { tr {
                    td { code { (flag.name) } br; span.soft { (about(page, &flag.name)) } }
                    td { @if flag.values.is_empty() { span.soft { (page.say("没有设置", "not set")) } } @for value in &flag.values { code { (value) } " " } }
                    td { @match flag.source.as_str() {
                        "flag" => span.tag.good { (page.say("命令行", "command line")) },
                        "environment" => { span.tag.good { (page.say("环境变量", "environment")) } " " code { (flag.variable.as_deref().unwrap_or_default()) } }
                        _ => { span.tag { (page.say("默认", "default")) } @if let Some(variable) = &flag.variable { " " span.soft { code { (variable) } } } }
                    } }
                } } }
            } }
        }
    }
}

/// What a flag is for.
fn about(page: &Page, name: &str) -> &'static str {
    match name {
        "--data" => page.say("数据目录", "the data directory"),
        "--model" => page.say("回答用的模型", "the model"),
        "--secret-key-file" => {
            page.say("渠道和通知的密钥用它加密", "what secrets of channels are sealed with")
        }
        "--database" => page.say("数据放在哪个 PostgreSQL 服务器", "the server that holds the records"),
        "--releases" => page.say(
            "各节点共用的版本存放处（database 是同一个数据库）",
            "where all nodes find releases (database: with the records)",
        ),
        "--node-ca" => {
            page.say("其他节点的证书由谁签发才可信", "whose word for other nodes' certificates is believed")
        }
        "--node-url" => page.say("其他节点怎么找到本节点", "where the other nodes reach this one"),
        "--replicas" => page.say("每个知识库由几个节点承担", "how many nodes hold each knowledge base"),
        "--memory-mib" => page
            .say("打开的知识库最多占多少内存（MiB）", "how much memory open knowledge bases may take (MiB)"),
        "--listen" => page.say("监听的地址和端口", "the address to listen on"),
        "--max-wrong" => {
            page.say("没有自己目标的知识库，答错的比例最多多少", "the goal of knowledge bases without one")
        }
        "--default-kb" => {
            page.say("没有指明知识库时用哪一个", "the knowledge base of requests that name none")
        }
        "--read-only" => page.say("只回答，不能修改", "answers only"),
        "--cors-origin" => page.say("哪些网站的网页可以直接提问", "whose web pages may ask"),
        "--insecure" => page.say("没有密钥也对外开放", "open to others without keys"),
        "--setup-link" => page.say("打印第一个管理员的链接", "prints the first admin's link"),
        "--session-minutes" => page.say("多少分钟不操作要重新登录", "minutes until an idle session ends"),
        "--session-hours" => page.say("最多多少小时要重新登录", "hours until any session ends"),
        "--oidc-issuer" => page.say("单点登录的地址", "the OpenID provider"),
        "--oidc-client-id" => page.say("在单点登录那里的客户端编号", "who this server is there"),
        "--oidc-client-secret-file" => page.say("单点登录密钥的文件", "the file with the secret"),
        "--public-url" => page.say("浏览器看到的本服务地址", "this server's own address"),
        "--oidc-scope" => page.say("还要向单点登录请求的范围", "further scopes"),
        "--oidc-name-claim" => page.say("哪个字段是登录名", "the claim with the name"),
        "--oidc-tenant-claim" => page.say("哪个字段是租户", "the claim with the tenant"),
        "--oidc-role-claim" => page.say("哪个字段是角色", "the claim with the roles"),
        "--oidc-role" => page.say("字段的值对应什么角色", "which value means which role"),
        "--trust-proxy" => page.say("相信哪些网段的代理", "networks whose proxies are believed"),
        "--proxy-header" => {
            page.say("代理在哪个请求头里写来客地址", "the header in which they tell the client")
        }
        "--tls-cert" => page.say("证书文件", "the certificate"),
        "--tls-key" => page.say("证书私钥的文件", "the certificate's key"),
        "--otlp" => page.say("把调用链发到哪里", "where spans are sent"),
        "--candidates" => page.say("大知识库的候选从哪个 Milvus 来", "which Milvus names candidates"),
        "--candidates-token-file" => page.say("登录 Milvus 的令牌文件", "the file with its token"),
        "--candidates-from" => {
            page.say("多少条问法以上的知识库用它", "from how many phrasings on it is asked")
        }
        "--candidates-ms" => page.say("一次检索最多等它多少毫秒", "how long a search waits for it"),
        "--max-in-flight" => page.say("同时处理多少个提问", "questions at a time"),
        "--queue-ms" => page.say("提问最多排队多少毫秒", "how long a question may wait"),
        "--deadline-ms" => page.say("一个提问最多用多少毫秒", "how long a question may take"),
        "--conversation-minutes" => {
            page.say("静默多少分钟后算新的会话", "minutes of silence until a conversation begins anew")
        }
        "--handoff-minutes" => {
            page.say("多少分钟没人接待就还给机器人", "minutes until a waiting customer goes back")
        }
        "--conversations" => page.say("最多保留多少个会话", "how many conversations are kept"),
        "--conversation-days" => {
            page.say("会话内容保留多少天，0 为一直", "days that conversations are kept, 0: always")
        }
        "--shutdown-delay" => page.say(
            "收到停止信号后还接收多少秒请求（多个节点默认 2，单个 0）",
            "seconds that requests are taken after the signal to stop (default 2 with several nodes, else 0)",
        ),
        "--log" => page.say("日志的格式", "the form of the log"),
        "--lang" => page.say("命令行提示的语言", "the language of messages"),
        _ => page.say("见 zhida serve --help", "see zhida serve --help"),
    }
}

async fn forget(page: Page, form: Form) -> Response {
    #[derive(Deserialize)]
    struct Forgotten {
        events: u64,
        conversations: usize,
    }
    let whose = if form.get("whose") == "conversation" { "conversation" } else { "customer" };
    let what =
        format!("{}{}", page.say("将永久删除，不能恢复：", "This forgets for good: "), form.get("id").trim());
    if let Some(asked) = page.unsure(&form, &what, PLACE) {
        return asked;
    }
    let done = form.ask(&page, Method::POST, "/v1/forget").json(&json!({ whose: form.get("id").trim() }));
    match done.read::<Forgotten>().await {
        Ok(Forgotten { events: 0, conversations: 0 }) => page.go_with_fault(
            PLACE,
            page.say(
                "没有找到这个编号的内容，请核对编号。",
                "Nothing is known by that id; look at it again.",
            ),
        ),
        Ok(Forgotten { events, conversations }) => {
            let told = if page.is_english() {
                format!("Forgotten: {conversations} conversations, {events} events.")
            } else {
                format!("已删除：{conversations} 个会话，{events} 条事件中的个人内容。")
            };
            page.go(PLACE, &told)
        }
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

async fn keep(page: Page, form: Form) -> Response {
    let what = page.say(
        "改小的天数会抹掉更早的内容，不能恢复。确定要保存吗？",
        "With fewer days what is older is erased for good. Save it?",
    );
    if let Some(asked) = page.unsure(&form, what, PLACE) {
        return asked;
    }
    let days = |name: &str| form.get(name).parse::<u32>().ok();
    let wanted = json!({
        "text": form.get("text"), "mask_orders": form.has("mask_orders"), "text_days": days("text_days"),
        "event_days": if form.get("event_days").is_empty() { Some(0) } else { days("event_days") },
    });
    match form.ask(&page, Method::PATCH, "/v1/retention").json(&wanted).got().await {
        Ok(_) => page.go(PLACE, page.say("已保存，马上生效。", "Saved; it counts at once.")),
        Err(refusal) => page.denied(&form, &refusal, PLACE),
    }
}

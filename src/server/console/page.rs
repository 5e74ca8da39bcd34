//! What surrounds every page?
//!
//! Who looks at it, in which language, where they can go, and what came of the form
//! that they sent. A page is made by a handler as [`Sheet`], and framed here.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::super::Server;
use super::super::peer::Client;
use super::called::Called;
use super::form::{Form, SignedIn};
use super::inside::{Inside, Refusal, address, part};
use super::{headed, language, words};
use crate::explained;

/// Keeps what a page says after a form was sent, until it was shown.
const NOTICE: &str = "zhida_notice";

/// Who looks at a page, as `GET /v1/me` says it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Me {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    pub(super) rights: Vec<String>,
    pub(super) knowledge_bases: Vec<String>,
    /// Those that they are limited to; `None` for all.
    pub(super) kbs: Option<Vec<String>>,
    pub(super) csrf_token: Option<String>,
    pub(super) tenant: String,
    pub(super) role: String,
    pub(super) session: Option<Session>,
}

/// A session as the API tells it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) created_at: String,
    pub(super) seen_at: String,
    pub(super) source: String,
    pub(super) agent: String,
}

/// Somebody who looks at a page or sends its form.
pub(super) struct Page {
    pub(super) inside: Inside,
    pub(super) me: Me,
    called: Called,
    is_english: bool,
    /// Path and query of the request.
    pub(super) here: String,
    notice: Option<(bool, String)>,
    method: Method,
}

/// The inside of a page.
pub(super) struct Sheet {
    title: String,
    body: Markup,
    /// The knowledge base that the page is about.
    kb: Option<String>,
    /// Whether it is one of the operator's pages.
    is_admin: bool,
    scripts: Vec<&'static str>,
    status: StatusCode,
}

impl Sheet {
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self {
            title: title.into(),
            body,
            kb: None,
            is_admin: false,
            scripts: Vec::new(),
            status: StatusCode::OK,
        }
    }

    /// Says which knowledge base the page is about; its own pages stand in the menu then.
    pub(super) fn of_kb(mut self, kb: &str) -> Self {
        self.kb = Some(kb.to_owned());
        self
    }

    /// Says that the page is one of the operator's; the others stand in the menu then.
    pub(super) fn of_admin(mut self) -> Self {
        self.is_admin = true;
        self
    }

    /// Adds a script of ours, such as `desk.js`.
    pub(super) fn with_script(mut self, name: &'static str) -> Self {
        self.scripts.push(name);
        self
    }

    /// Says whether the form that the page shows again was refused for what stands in it.
    pub(super) fn refused_if(self, is_refused: bool) -> Self {
        if is_refused { self.refused(StatusCode::UNPROCESSABLE_ENTITY) } else { self }
    }

    /// Says that the form was not taken, such as with 422.
    pub(super) fn refused(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// What a handler of a page comes to.
pub(super) type Outcome = Result<Response, Refusal>;

impl FromRequestParts<Server> for Page {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Response> {
        let Some(inside) = Inside::of(parts, server) else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let here = parts.uri.path_and_query().map_or("/", |all| all.as_str()).to_owned();
        let is_english = language::is_english(&inside, &parts.headers);
        let notice = inside.cookie(NOTICE).and_then(words::unpack);
        let me = inside.get("/v1/me").read().await;
        let method = parts.method.clone();
        if method != Method::GET && !Client::of(&parts.extensions).is_own_page {
            // Not even what is in the form is shown: one press of its button would send it.
            let me = me.unwrap_or_else(|_| Me::nobody());
            let called = Called::default();
            let page = Self { inside, me, called, is_english, here, notice, method };
            return Err(page.failed(Refusal::foreign()));
        }
        let called = if me.is_ok() { Called::of(&inside).await } else { Called::default() };
        match me {
            Ok(me) => {
                parts.extensions.insert(SignedIn);
                Ok(Self { inside, me, called, is_english, here, notice, method })
            }
            // Whoever sends a form hears from the API that they are nobody any more, and
            // gets back what they have filled in ([`Self::ended`]).
            // A file is not kept for that.
            Err(refusal) if refusal.code == 401 && method != Method::GET && !is_file(&parts.headers) => {
                Ok(Self { inside, me: Me::nobody(), called, is_english, here, notice, method })
            }
            Err(refusal) => {
                let me = Me::nobody();
                let page = Self { inside, me, called, is_english, here, notice, method };
                Err(page.at_the_door(refusal))
            }
        }
    }
}

/// Whether a form comes with a file.
fn is_file(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/"))
}

impl Me {
    fn nobody() -> Self {
        Self {
            kind: "nobody".to_owned(),
            name: String::new(),
            display_name: None,
            rights: Vec::new(),
            knowledge_bases: Vec::new(),
            kbs: None,
            csrf_token: None,
            tenant: String::new(),
            role: String::new(),
            session: None,
        }
    }
}

impl Page {
    /// What a text says in the reader's language.
    pub(super) const fn say(&self, chinese: &'static str, english: &'static str) -> &'static str {
        if self.is_english { english } else { chinese }
    }

    /// What somebody is called, by what they sign in with or act under: whoever is named on
    /// a page is named by this.
    pub(super) fn called<'a>(&'a self, login: &'a str) -> Cow<'a, str> {
        self.called.name(login)
    }

    /// The same with what they sign in with beside it, where somebody is to be chosen.
    pub(super) fn called_both(&self, login: &str) -> String {
        self.called.both(login)
    }

    /// Whom a form means that names somebody by any of their names.
    pub(super) fn login<'a>(&'a self, typed: &'a str) -> &'a str {
        self.called.login(typed)
    }

    pub(super) const fn is_english(&self) -> bool {
        self.is_english
    }

    /// Whether whoever looks may do something, by the name of a right of the API.
    pub(super) fn may(&self, right: &str) -> bool {
        self.me.rights.iter().any(|known| known == right)
    }

    /// Whether whoever looks may make a knowledge base: who is limited to some may not.
    pub(super) fn may_create(&self) -> bool {
        self.may("author") && self.me.kbs.is_none()
    }

    /// The hidden field that every form needs which changes something.
    pub(super) fn csrf(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.me.csrf_token.as_deref().unwrap_or_default()); }
    }

    /// Whoever is not known is sent to the door, and comes back here afterwards. What
    /// they have filled in is not lost: they cannot be asked for it again.
    fn at_the_door(&self, refusal: Refusal) -> Response {
        if refusal.code == 401 && self.method == Method::GET {
            return Redirect::to(&address("/login", &[("next", &self.here)])).into_response();
        }
        self.failed(refusal)
    }

    /// The response of a handler.
    pub(super) fn reply(&self, outcome: Outcome) -> Response {
        outcome.unwrap_or_else(|refusal| self.failed(refusal))
    }

    /// Leads somewhere else after a form, where `notice` is shown once.
    pub(super) fn go(&self, to: &str, notice: &str) -> Response {
        self.gone(to, true, notice)
    }

    /// The same when something went wrong.
    pub(super) fn go_with_fault(&self, to: &str, notice: &str) -> Response {
        self.gone(to, false, notice)
    }

    fn gone(&self, to: &str, is_good: bool, notice: &str) -> Response {
        let mut response = Redirect::to(to).into_response();
        words::keep(&mut response, NOTICE, &words::pack(is_good, notice));
        response
    }

    /// What the API refused, as a page of its own.
    pub(super) fn failed(&self, refusal: Refusal) -> Response {
        let status = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = words::problem(&refusal, self.is_english);
        let body = html! {
            div.card.problem role="alert" {
                b { (title) }
                @if let Some(field) = &refusal.field {
                    p { @match words::field(field) {
                        Some(name) if !self.is_english => { "哪一项：" (name) }
                        _ => { (self.say("接口里的名称：", "Field: ")) code { (field) } }
                    } }
                }
                @if !refusal.detail.is_empty() {
                    @match self.told(&refusal) {
                        Some(detail) => p { (detail) },
                        None => details { summary { "详情（英文）" } p lang="en" { (refusal.detail) } },
                    }
                }
                @if let Some(id) = &refusal.trace_id { p.soft { (self.say("编号：", "Number: ")) code { (id) } } }
            }
            p { a.button href=(self.here) { (self.say("重新打开", "Open again")) } " " a href="/console" { (self.say("回首页", "Home")) } }
        };
        self.show(Sheet::new(title, body).refused(status))
    }

    /// The page for a form whose sender is not signed in any more, or that does not come from
    /// our own page: what was filled in is kept in the page, and sent again when they want.
    pub(super) fn ended(&self, form: &Form, refusal: &Refusal) -> Option<Response> {
        if refusal.code != 401 && refusal.slug() != "csrf" {
            return None;
        }
        let login = address("/login", &[("next", "/console/back")]);
        // Signed in again, but the form is still of the session before.
        let is_back = self.me.csrf_token.is_some() && refusal.slug() == "csrf";
        // No session has ended: whoever made the form did not know what our pages know.
        let is_bare = is_back && form.get("csrf").is_empty();
        let body = html! {
            div.card.problem role="alert" {
                @if is_bare {
                    b { (self.say("表单里没有防伪标记，没有执行。", "The form came without the token of this page, and nothing was done.")) }
                    p { (self.say("您的登录没有过期。内容是您自己填的，请再发送一次；不是，请关掉这个页面。", "Your session goes on. If you filled this in yourself, send it once more; if not, close this page.")) }
                }
                @else { b { (self.say("登录已过期，您填写的内容还在。", "Your session has ended; what you filled in is still here.")) } }
                @if is_bare {}
                @else if is_back { p { (self.say("您已重新登录，请再发送一次。", "You are signed in again: send it once more.")) } }
                @else { p { (self.say("请在新窗口登录，然后回到这里再发送一次。", "Sign in in a new window, then come back here and send it again.")) } }
            }
            @if !is_back { p { a.button href=(login) target="_blank" rel="opener" { (self.say("登录（新窗口）", "Sign in (new window)")) } } }
            form method="post" action=(self.here) data-resend="1" {
                @for (name, value) in form.fields().iter().filter(|(name, _)| name != "csrf") {
                    textarea hidden name=(name) { "\n" (value) }
                }
                (self.csrf())
                button.button.primary type="submit" { (self.say("再发送一次", "Send again")) }
            }
        };
        if is_bare {
            let title = self.say("表单没有防伪标记", "The form came without its token");
            return Some(self.show(Sheet::new(title, body).refused(StatusCode::FORBIDDEN)));
        }
        let title = self.say("登录已过期", "Your session has ended");
        Some(self.show(Sheet::new(title, body).refused(StatusCode::UNAUTHORIZED)))
    }

    /// What the address asks for behind its path.
    pub(super) fn query(&self) -> Form {
        Form::of(self.here.split_once('?').map_or("", |(_, query)| query).as_bytes())
    }

    /// What came of a form that the API refused: back to a page, where it is said.
    pub(super) fn denied(&self, form: &Form, refusal: &Refusal, to: &str) -> Response {
        self.ended(form, refusal).unwrap_or_else(|| self.go_with_fault(to, &self.fault(refusal)))
    }

    /// What the API refused, in a sentence or two.
    pub(super) fn fault(&self, refusal: &Refusal) -> String {
        let mut told = words::problem(refusal, self.is_english);
        if let Some(field) = refusal.field.as_deref().and_then(words::field).filter(|_| !self.is_english) {
            told = format!("“{field}”：{told}");
        }
        match self.told(refusal) {
            _ if refusal.detail.is_empty() => told,
            Some(detail) if self.is_english => format!("{told} ({detail})"),
            Some(detail) => format!("{told}（{}）", detail.trim_end_matches('。')),
            None => format!("{told}（{}）", refusal.detail),
        }
    }

    /// What the API says of a refusal, in the reader's language; `None` when it says so in
    /// English only.
    fn told(&self, refusal: &Refusal) -> Option<String> {
        // Authors are told in Chinese already.
        if self.is_english || explained::is_chinese(&refusal.detail) {
            return Some(refusal.detail.clone());
        }
        explained::in_chinese(&refusal.detail, words::field)
    }

    /// A sentence of the API in the reader's language, or else as it is.
    pub(super) fn sentence(&self, detail: &str) -> String {
        if self.is_english { None } else { explained::in_chinese(detail, words::field) }
            .unwrap_or_else(|| detail.to_owned())
    }

    /// Why the API refused, in a sentence for the reader: what it says itself, as far as
    /// that is in their language.
    pub(super) fn why(&self, refusal: &Refusal) -> String {
        self.told(refusal).filter(|told| !told.is_empty()).unwrap_or_else(|| self.fault(refusal))
    }

    /// Asks whether something is meant that cannot be taken back, unless the form says
    /// so already; `what` says what goes.
    pub(super) fn unsure(&self, form: &Form, what: &str, back: &str) -> Option<Response> {
        if form.has("sure") {
            return None;
        }
        let body = html! {
            div.card {
                p { (what) }
                form.toolbar method="post" action=(self.here) {
                    @for (name, value) in form.fields().iter().filter(|(name, _)| name != "csrf") {
                        textarea hidden name=(name) { "\n" (value) }
                    }
                    (self.csrf())
                    button.button.danger type="submit" name="sure" value="1" { (self.say("确定", "Yes, do it")) }
                    a.button href=(back) { (self.say("取消", "Cancel")) }
                }
            }
        };
        Some(self.show(Sheet::new(self.say("请确认", "Please confirm"), body)))
    }

    /// A whole page.
    pub(super) fn show(&self, sheet: Sheet) -> Response {
        let language = if self.is_english { "en" } else { "zh-CN" };
        let kb = sheet.kb.as_deref();
        let document = html! {
            (DOCTYPE)
            html lang=(language) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (sheet.title) " · " (self.say("智答", "zhida")) }
                    link rel="icon" href="/console/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/console.css";
                    script src="/console/frame.js" type="module" {}
                    @for name in &sheet.scripts {
                        script src={ "/console/" (name) } type="module" {}
                    }
                }
                body {
                    a.skip href="#main" { (self.say("跳到正文", "Skip to content")) }
                    header.top { (self.head(kb)) }
                    @if let Some(kb) = kb { nav.tabs aria-label=(self.say("知识库页面", "Pages of the knowledge base")) { (self.tabs(kb)) } }
                    @if sheet.is_admin { nav.tabs aria-label=(self.say("管理页面", "Pages of the administration")) { (self.admin_tabs()) } }
                    main #main.inner tabindex="-1" {
                        h1 { (sheet.title) }
                        @if let Some((is_good, text)) = &self.notice {
                            div.card.notice.problem[!is_good] role="status" { (text) }
                        }
                        (sheet.body)
                    }
                    footer.inner {
                        (self.say("智答 · 本页不加载任何外部资源", "zhida · this page loads nothing from elsewhere"))
                    }
                }
            }
        };
        let mut response = headed("text/html; charset=utf-8", document.into_string());
        *response.status_mut() = sheet.status;
        response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        if self.notice.is_some() {
            words::keep(&mut response, NOTICE, "");
        }
        response
    }

    /// The menu above.
    fn head(&self, kb: Option<&str>) -> Markup {
        let places = [
            ("/console", self.say("首页", "Home"), "own"),
            ("/console/desk", self.say("坐席", "Desk"), "agent"),
            ("/console/tickets", self.say("工单", "Tickets"), "agent"),
            ("/console/stats", self.say("统计", "Figures"), "author"),
            ("/console/admin", self.say("管理", "Administration"), "admin"),
        ];
        let path = self.here.split('?').next().unwrap_or_default();
        let is_at = |place: &str| if place == "/console" { path == place } else { path.starts_with(place) };
        let other = if self.is_english { ("zh", "中文") } else { ("en", "English") };
        html! {
            div.inner {
                a.brand href="/console" { span.mark aria-hidden="true" { "智" } b { (self.say("智答", "zhida")) } }
                nav.places aria-label=(self.say("主菜单", "Main menu")) {
                    @for (place, name, right) in places {
                        @if self.may(right) {
                            a href=(place) aria-current=[is_at(place).then_some("page")] { (name) }
                        }
                    }
                    @if self.may("author") && !self.me.knowledge_bases.is_empty() {
                        details.kbs {
                            summary { (self.say("知识库", "Knowledge bases")) @if let Some(kb) = kb { ": " b { (kb) } } }
                            ul {
                                @for name in &self.me.knowledge_bases { li { a href={ "/console/kb/" (part(name)) } { (name) } } }
                                @if self.may_create() { li { a href="/console/new" { (self.say("＋ 新建知识库", "＋ New knowledge base")) } } }
                            }
                        }
                    }
                }
                div.who {
                    form method="post" action="/console/language" {
                        input type="hidden" name="back" value=(self.here);
                        button.link type="submit" name="to" value=(other.0) lang=(other.0) { (other.1) }
                    }
                    @match self.me.kind.as_str() {
                        "person" => {
                            a href="/console/me" { (self.me.display_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.me.name)) }
                            form method="post" action="/console/leave" { (self.csrf()) button.link type="submit" { (self.say("退出", "Sign out")) } }
                        }
                        "machine" => { span.soft title=(self.say("这台服务没有密钥和人员，只对本机开放", "This server has no keys and no people: it is open to its own machine only")) { (self.say("本机", "This machine")) } }
                        "nobody" => { a href="/login" { (self.say("登录", "Sign in")) } }
                        _ => { span.soft { (self.me.name) } }
                    }
                }
            }
        }
    }

    /// The pages of a knowledge base.
    fn tabs(&self, kb: &str) -> Markup {
        let base = format!("/console/kb/{}", part(kb));
        let tabs = [
            ("", self.say("概览", "Overview")),
            ("/entries", self.say("条目", "Entries")),
            ("/import", self.say("导入", "Import")),
            ("/check", self.say("检查", "Check")),
            ("/try", self.say("试问", "Try")),
            ("/releases", self.say("发布", "Publish")),
            ("/inbox", self.say("学习", "Learn")),
            ("/words", self.say("词语", "Words")),
            ("/service", self.say("话术与规则", "Voice and rules")),
            ("/queries", self.say("标注与目标", "Labels and goal")),
        ];
        self.links(&base, &tabs)
    }

    /// The operator's pages, as far as the reader may open them.
    fn admin_tabs(&self) -> Markup {
        let mut tabs = vec![
            ("", self.say("今天", "Today")),
            ("/health", self.say("运行状况", "Health")),
            ("/keys", self.say("密钥", "Keys")),
            ("/people", self.say("人员", "People")),
            ("/channels", self.say("渠道", "Channels")),
            ("/webhooks", self.say("通知", "Webhooks")),
            ("/usage", self.say("用量", "Usage")),
            ("/audit", self.say("审计", "Audit")),
            ("/settings", self.say("设置", "Settings")),
        ];
        if self.may("operator") {
            tabs.push(("/tenants", self.say("租户", "Tenants")));
        }
        self.links("/console/admin", &tabs)
    }

    /// Pages below a place, the open one marked.
    fn links(&self, base: &str, tabs: &[(&str, &str)]) -> Markup {
        let path = self.here.split('?').next().unwrap_or_default();
        html! {
            div.inner {
                @for (place, name) in tabs {
                    @let whole = format!("{base}{place}");
                    @let is_here = if place.is_empty() { path == whole } else { path.starts_with(&whole) };
                    a href=(whole) aria-current=[is_here.then_some("page")] { (name) }
                }
            }
        }
    }
}

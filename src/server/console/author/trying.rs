//! What would a customer get, now and with the draft?
//!
//! Both answers side by side and why, and a way to say which entry is right.
//! Nothing that is asked here counts as a customer's question.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::check::begun;
use super::names::Names;
use super::parts::{
    Asked, api, asked, base, beside, count, decision, entry_page, list, percent, reason, revision, text, undo,
};

/// Candidates that are shown.
const SHOWN: usize = 5;

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, &query).await)
}

async fn shown(page: &Page, kb: &str, query: &HashMap<String, String>) -> Outcome {
    let (wanted, channel) = (asked(query, "text"), asked(query, "channel"));
    let outline = super::entries::outline(page, kb).await?;
    let mut both = Value::Null;
    if !wanted.is_empty() {
        let token = page.me.csrf_token.as_deref().unwrap_or_default();
        let body = if channel.is_empty() {
            json!({"text": wanted})
        } else {
            json!({"text": wanted, "channel": channel})
        };
        let ask = page.inside.ask(Method::POST, &format!("{}/try", api(kb))).with("x-csrf-token", token);
        let got = match ask.json(&body).got().await {
            // Something else works on the knowledge base: the question is asked when it is done.
            Err(refusal) if refusal.slug() == "not-now" => {
                let jobs: Value = page.inside.get("/v1/jobs").read().await?;
                let runs = |job: &&Value| text(job, "kb") == kb && text(job, "state") == "running";
                return match list(&jobs, "items").find(runs) {
                    Some(job) => Ok(begun(kb, job, &page.here)),
                    None => Err(refusal),
                };
            }
            got => got?,
        };
        both = got.read()?;
        if got.status == StatusCode::ACCEPTED {
            return Ok(begun(kb, &both, &page.here));
        }
    }
    let names = Names::of(page, kb, seen(&both)).await;
    let body = html! {
        (undo(page, kb, asked(query, "undo"), &address(&format!("{}/try", base(kb)), &[("text", wanted)])))
        form.card role="search" method="get" {
            div.row {
                label.wide { span.label { (page.say("像顾客那样问一句", "Ask as a customer would")) } input type="search" name="text" value=(wanted) required maxlength="2000" autofocus[wanted.is_empty()]; }
                label.narrow { span.label { (page.say("渠道", "Channel")) } input type="text" name="channel" list="channels" value=(channel) placeholder=(page.say("不限", "any")); }
                button.button.primary type="submit" { (page.say("试问", "Ask")) }
            }
            datalist #channels { @for name in outline["channels"].as_object().into_iter().flat_map(|known| known.keys()) { option value=(name) {} } }
            p.soft { (page.say("这里的提问不算顾客的问题，不进统计。", "What is asked here is no customer's question and counts nowhere.")) }
        }
        @if !wanted.is_empty() {
            div.columns {
                (side(page, kb, page.say("现在", "Now"), &both["now"], page.say("还没有发布，顾客现在得不到回答。", "Nothing was published; customers get no answer yet."), &names))
                (side(page, kb, page.say("草稿", "Draft"), &both["draft"], page.say("草稿里没有启用的条目。", "Nothing in the draft is switched on."), &names))
            }
            @if !both["now"].is_null() && !both["draft"].is_null() { (same(page, &both)) }
            (teach(page, kb, wanted, channel, &both["draft"]))
        }
    };
    Ok(page.show(Sheet::new(page.say("试问", "Try"), body).of_kb(kb)))
}

/// The entries that an explanation names by their ids only.
fn seen(both: &Value) -> impl Iterator<Item = &str> {
    let sides = ["now", "draft"].into_iter().map(|side| &both[side]["explain"]);
    sides
        .flat_map(|explain| {
            let lists = ["lexical", "semantic"].into_iter().flat_map(|name| list(explain, name).take(SHOWN));
            lists.chain([&explain["exact"]])
        })
        .filter_map(|one| one["entry"].as_str())
}

/// Whether the draft changes anything for the question.
fn same(page: &Page, both: &Value) -> Markup {
    let (now, draft) = (&both["now"], &both["draft"]);
    let is_same = text(now, "decision") == text(draft, "decision") && now["answer"] == draft["answer"];
    html! {
        @if is_same { p.soft { (page.say("草稿和现在的结果一样。", "The draft gives the same as now.")) } }
        @else { p { span.tag.warn { (page.say("发布以后会变", "Publishing changes this")) } } }
    }
}

/// One reply, and why. The draft is no release, and has no number.
fn side(page: &Page, kb: &str, title: &str, reply: &Value, none: &str, names: &Names) -> Markup {
    html! {
        section.card {
            h2 { (title) @if !["", "0"].contains(&text(reply, "release")) { " " span.soft { (page.say("版本 ", "release ")) (text(reply, "release")) } } }
            @if reply.is_null() { p.empty { (none) } } @else {
                div.verdict-head {
                    (decision(page, text(reply, "decision")))
                    span.reason { (reason(page, text(reply, "reason"))) }
                    span { (page.say("把握 ", "confidence ")) b { (percent(&reply["confidence"])) } }
                }
                @if let Some(answer) = reply["answer"].as_object() {
                    @let answer = Value::Object(answer.clone());
                    p.answer-question { a href=(entry_page(kb, text(&answer, "entry"))) { (text(&answer, "question")) } }
                    p.answer-text { (text(&answer, "text")) }
                    (beside(page, &answer))
                }
                @if !text(reply, "message").is_empty() { p.answer-text { (text(reply, "message")) } }
                @if count(reply, "suggestions") > 0 && reply["answer"].is_null() {
                    p.hint { (page.say("会列出这些问题请顾客选：", "The customer is offered these:")) }
                    ul { @for one in list(reply, "suggestions") { li { a href=(entry_page(kb, text(one, "entry"))) { (text(one, "question")) } } } }
                }
                (why(page, kb, &reply["explain"], names))
            }
        }
    }
}

/// What every stage saw.
fn why(page: &Page, kb: &str, explain: &Value, names: &Names) -> Markup {
    let generations = [
        ("generation2", page.say("语义加字词", "Meaning and words")),
        ("generation1", page.say("只看字词", "Words only")),
    ];
    html! {
        details { summary { (page.say("为什么", "Why")) }
            @if let Some(hit) = explain["exact"].as_object() {
                @let hit = Value::Object(hit.clone());
                p { (page.say("直接命中条目 ", "Settled by entry ")) (names.link(kb, text(&hit, "entry"))) }
            }
            p { (page.say("看到的话：", "What it saw: ")) code { (text(explain, "core")) } }
            @if count(explain, "steps") > 0 {
                ul { @for step in list(explain, "steps") { li { (step_name(page, text(step, "step"))) "：" code { (text(step, "text")) } } } }
            }
            @if count(explain, "tokens") > 0 {
                p.tokens { @for token in list(explain, "tokens") {
                    span.token.stop[token["stop"] == Value::Bool(true)] { (text(token, "text"))
                        @if text(token, "canonical") != text(token, "text") && !text(token, "canonical").is_empty() { small { " = " (text(token, "canonical")) } } }
                } }
            }
            @for (name, title) in generations {
                @let verdict = &explain[name];
                @if count(verdict, "candidates") > 0 {
                    h3 { (title) }
                    p.soft { (page.say("把握达到 ", "It answers from ")) (percent(&verdict["bar"])) (page.say(" 才直接回答", " on")) }
                    div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list { tbody { @for one in list(verdict, "candidates").take(SHOWN) {
                        tr { td { a href=(entry_page(kb, text(one, "entry"))) { (text(one, "question")) } } td.number { (percent(&one["confidence"])) } }
                    } } } }
                }
            }
            @for (name, title) in [("lexical", page.say("字词最像的问法", "Nearest phrasings by words")), ("semantic", page.say("意思最像的问法", "Nearest phrasings by meaning"))] {
                @if count(explain, name) > 0 {
                    h3 { (title) }
                    ul { @for one in list(explain, name).take(SHOWN) { li { (text(one, "phrasing")) " " span.soft { (names.named(text(one, "entry"))) " · " (format!("{:.2}", one["score"].as_f64().unwrap_or(0.0))) } } } }
                }
            }
        }
    }
}

/// A step of the normalisation, in words.
fn step_name<'a>(page: &Page, step: &'a str) -> &'a str {
    match step {
        "markup" => page.say("去掉网页标记", "markup"),
        "nfkc" => page.say("全角转半角", "width"),
        "lower_case" => page.say("统一小写", "lower case"),
        "wrapping" => page.say("去掉引用、签名和表情代码", "quotes and signatures"),
        "simplified" => page.say("繁体转简体", "simplified"),
        "blanks" => page.say("清理空白", "blanks"),
        "punctuation" => page.say("去掉标点", "punctuation"),
        "emoji" => page.say("去掉表情", "emoji"),
        "repeats" => page.say("合并重复", "repeats"),
        "fillers" => page.say("去掉客套", "fillers"),
        "numeral_words" => page.say("还原词里的数字", "numeral words"),
        "numbers" => page.say("统一数字写法", "numbers"),
        "list_number" => page.say("去掉序号", "list number"),
        "references" => page.say("去掉单号和电话", "references"),
        "hesitation" => page.say("去掉口头语", "hesitation"),
        "echo" => page.say("合并说了几遍的话", "echo"),
        "heard" | "heard_too" => page.say("按读音还原", "as heard"),
        other => other,
    }
}

/// Which entry should have answered: the question becomes one of its phrasings.
fn teach(page: &Page, kb: &str, wanted: &str, channel: &str, draft: &Value) -> Markup {
    let explain = &draft["explain"];
    let candidates = ["generation2", "generation1"]
        .into_iter()
        .map(|name| &explain[name])
        .find(|one| count(one, "candidates") > 0);
    html! {
        section.card {
            h2 { (page.say("不对？告诉它该由谁回答", "Not right? Say which entry it belongs to")) }
            form method="post" {
                (page.csrf())
                input type="hidden" name="text" value=(wanted);
                input type="hidden" name="channel" value=(channel);
                div.row {
                    label.wide { span.label { (page.say("条目", "Entry")) } select name="entry" {
                        @for one in candidates.into_iter().flat_map(|found| list(found, "candidates")) { option value=(text(one, "entry")) { (text(one, "question")) } }
                    } }
                    button.button type="submit" { (page.say("把这句话加为它的问法", "Make this one of its phrasings")) }
                    a.button href=(address(&format!("{}/entries/new", base(kb)), &[("question", wanted)])) { (page.say("写一个新条目", "Write a new entry")) }
                }
            }
        }
    }
}

/// Adds a question to the phrasings of an entry.
pub(super) async fn add(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(added(&page, &kb, &form).await)
}

async fn added(page: &Page, kb: &str, form: &Form) -> Outcome {
    let here = |stretch: &str| {
        let query = [("text", form.get("text")), ("channel", form.get("channel")), ("undo", stretch)];
        address(&format!("{}/try", base(kb)), &query)
    };
    let place = format!("{}/entries/{}", api(kb), part(form.get("entry")));
    let got = page.inside.get(&place).got().await?;
    let mut entry: Value = got.read()?;
    let before = revision(page, kb).await?;
    if let Some(similar) = entry["similar"].as_array_mut() {
        similar.push(json!(form.get("text")));
    }
    let put = form.ask(page, Method::PUT, &address(&place, &[("draft", "true")])).if_match(&got.etag());
    match put.json(&entry).got().await {
        Ok(_) => {
            let stretch = format!("{before}-{}", revision(page, kb).await?);
            Ok(page.go(
                &here(&stretch),
                page.say(
                    "已加到草稿，右边是现在的结果。",
                    "Added to the draft; its side shows what comes of it.",
                ),
            ))
        }
        Err(refusal) if refusal.slug() == "question-taken" => {
            let told = page.say("这句话已是另一个条目的问法。", "It is a phrasing of another entry already.");
            Ok(page.go_with_fault(&here(""), told))
        }
        Err(refusal) if [412, 422].contains(&refusal.code) => {
            Ok(page.go_with_fault(&here(""), &page.why(&refusal)))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

//! What do several pages of authors show?
//!
//! Addresses, undo, differences in words, decisions and reasons.

use std::collections::HashMap;

use axum::http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{Refusal, address, part};
use super::super::page::Page;

/// What stands behind the `?` of an address.
pub(super) type Asked = axum::extract::Query<HashMap<String, String>>;

/// A value of it; empty when it is not there.
pub(super) fn asked<'a>(query: &'a HashMap<String, String>, name: &str) -> &'a str {
    query.get(name).map_or("", |value| value.trim())
}

/// The pages of a knowledge base.
pub(super) fn base(kb: &str) -> String {
    format!("/console/kb/{}", part(kb))
}

/// The knowledge base in the API.
pub(super) fn api(kb: &str) -> String {
    format!("/v1/kbs/{}", part(kb))
}

/// An entry's page.
pub(super) fn entry_page(kb: &str, id: &str) -> String {
    format!("{}/entries/{}", base(kb), part(id))
}

/// A text in a JSON value; empty when it is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The items of a list in a JSON value.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

/// How many items a list has.
pub(super) fn count(value: &Value, name: &str) -> usize {
    value[name].as_array().map_or(0, Vec::len)
}

/// The last revision of a knowledge base: what is done after it can be taken back.
pub(super) async fn revision(page: &Page, kb: &str) -> Result<i64, Refusal> {
    let place = address(&format!("{}/history", api(kb)), &[("limit", "1")]);
    let history: Value = page.inside.get(&place).read().await?;
    Ok(history["revisions"][0]["number"].as_i64().unwrap_or(0))
}

/// Something that only looks, though it is sent.
pub(super) async fn looked(page: &Page, place: &str, body: &Value) -> Result<Value, Refusal> {
    let token = page.me.csrf_token.as_deref().unwrap_or_default();
    page.inside.ask(Method::POST, place).with("x-csrf-token", token).json(body).read().await
}

/// The offer to take back what was done between two revisions, as `after-until`.
pub(super) fn undo(page: &Page, kb: &str, stretch: &str, back: &str) -> Markup {
    let Some((after, until)) = stretch.split_once('-') else { return html! {} };
    if after.parse::<i64>().is_err() || until.parse::<i64>().is_err() {
        return html! {};
    }
    html! {
        form.card.undo method="post" action={ (base(kb)) "/rewind" } {
            (page.csrf())
            input type="hidden" name="after" value=(after);
            input type="hidden" name="until" value=(until);
            input type="hidden" name="back" value=(back);
            span { (page.say("刚才的修改可以撤销，别人之后改过的条目除外。", "What was just done can be undone, but for entries that others have changed since.")) }
            button.button.small type="submit" { (page.say("撤销", "Undo")) }
        }
    }
}

/// The faults of a form that the API names, by field; `*` where none is named.
pub(super) fn faults(page: &Page, refusal: &Refusal) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = Vec::new();
    for fault in refusal.more.get("problems").and_then(Value::as_array).into_iter().flatten() {
        let field = text(fault, "field");
        let field = if field.is_empty() { "*" } else { field };
        told.push((field.to_owned(), in_form(page, field, text(fault, "message"))));
    }
    if told.is_empty() {
        let field = refusal.field.as_deref().unwrap_or("*");
        told.push((field.to_owned(), in_form(page, field, &page.why(refusal))));
    }
    told
}

/// What the API says of a field, in the words of the form: forms tell shares in percent.
fn in_form(page: &Page, field: &str, message: &str) -> String {
    if field != "max_wrong" {
        return message.to_owned();
    }
    let told = page.say(
        "请填大于 0、小于 100 的百分数，如 1 或 2.5",
        "Fill in a percentage above 0 and below 100, such as 1 or 2.5",
    );
    told.to_owned()
}

/// What a form would say that somebody filled in.
pub(super) fn hidden(form: &Form, but: &[&str]) -> Markup {
    html! {
        @for (name, value) in form.fields().iter().filter(|(name, _)| !but.contains(&name.as_str())) {
            textarea hidden name=(name) { "\n" (value) }
        }
    }
}

/// The name of a field of an entry.
pub(super) fn field_name(page: &Page, field: &str) -> &'static str {
    match field {
        "id" => page.say("编号", "Id"),
        "question" => page.say("标准问题", "Question"),
        "similar" => page.say("相似问法", "Phrasings"),
        "answer" => page.say("答案", "Answer"),
        "keywords" => page.say("关键词", "Keywords"),
        "rules" => page.say("规则", "Rules"),
        "topic" => page.say("主题", "Topic"),
        "tags" => page.say("标签", "Tags"),
        "valid_from" => page.say("生效时间", "Valid from"),
        "valid_until" => page.say("失效时间", "Valid until"),
        "answers" => page.say("渠道答案", "Answers by channel"),
        "images" => page.say("图片", "Pictures"),
        "links" => page.say("链接和卡片", "Links and cards"),
        "max_wrong" => page.say("错答上限", "Most wrong"),
        "related" => page.say("相关问题", "Related"),
        "enabled" => page.say("启用", "Enabled"),
        _ => page.say("其他", "Other"),
    }
}

/// A value of an entry as people read it, a line an item.
pub(super) fn shown(page: &Page, value: &Value) -> Markup {
    match value {
        Value::Null => html! { span.soft { (page.say("（空）", "(empty)")) } },
        Value::Bool(true) => html! { (page.say("是", "yes")) },
        Value::Bool(false) => html! { (page.say("否", "no")) },
        Value::String(text) if text.is_empty() => html! { span.soft { (page.say("（空）", "(empty)")) } },
        Value::String(text) => html! { span.lines { (text) } },
        Value::Number(number) => html! { (number.to_string()) },
        Value::Array(items) if items.is_empty() => html! { span.soft { (page.say("（空）", "(empty)")) } },
        Value::Array(items) => html! { ul.plain { @for item in items { li { (shown(page, item)) } } } },
        Value::Object(fields) => html! {
            ul.plain { @for (name, value) in fields { li { b { (part_name(page, name)) } ": " (shown(page, value)) } } }
        },
    }
}

/// A part of a rule, a picture or a link, or a channel.
fn part_name<'a>(page: &Page, name: &'a str) -> &'a str {
    match name {
        "contains" => page.say("同时含有", "contains all"),
        "without" => page.say("但不含", "but not"),
        "exact" => page.say("整句等于", "equals"),
        "regex" => page.say("正则表达式", "pattern"),
        "url" => page.say("网址", "address"),
        "alt" => page.say("图片说明", "shows"),
        "title" => page.say("标题", "title"),
        "text" => page.say("说明", "text"),
        "image" => page.say("图片", "picture"),
        channel => channel,
    }
}

/// What a difference of entries comes to, in words.
pub(super) fn in_words(page: &Page, diff: &Value) -> String {
    let (added, changed, removed) = (count(diff, "added"), count(diff, "changed"), count(diff, "removed"));
    let same = diff["unchanged"].as_u64().unwrap_or(0);
    if page.is_english() {
        format!("{added} new, {changed} changed, {removed} removed, {same} as they were")
    } else {
        format!("新增 {added} 条，修改 {changed} 条，删除 {removed} 条，{same} 条不变")
    }
}

/// A difference of entries, field by field, up to so many; what is new stands in the draft.
pub(super) fn difference(page: &Page, kb: &str, diff: &Value, most: usize) -> Markup {
    compared(page, kb, diff, most, true)
}

/// The same before it is made: what would be new has no page yet.
pub(super) fn would_be(page: &Page, kb: &str, diff: &Value, most: usize) -> Markup {
    compared(page, kb, diff, most, false)
}

fn compared(page: &Page, kb: &str, diff: &Value, most: usize, is_made: bool) -> Markup {
    let link = |one: &Value| html! { a href=(entry_page(kb, text(one, "id"))) { (text(one, "question")) } };
    html! {
        @for (name, title) in [("added", page.say("新增", "New")), ("removed", page.say("删除", "Removed"))] {
            @if count(diff, name) > 0 {
                details open[count(diff, name) <= 20] {
                    summary { (title) " " (count(diff, name)) }
                    ul { @for one in list(diff, name).take(most) {
                        li { @if name == "added" && is_made { (link(one)) } @else { (text(one, "question")) } }
                    } }
                    @if count(diff, name) > most { p.soft { "…" } }
                }
            }
        }
        @if count(diff, "changed") > 0 {
            details open[count(diff, "changed") <= 10] {
                summary { (page.say("修改", "Changed")) " " (count(diff, "changed")) }
                @for one in list(diff, "changed").take(most) {
                    p.change { (link(one)) }
                    div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table { tbody { @for field in list(one, "fields") {
                        tr {
                            td { (field_name(page, text(field, "field"))) }
                            @if field["added"].is_array() {
                                td { @for item in list(field, "removed") { p.gone { "− " (shown(page, item)) } }
                                     @for item in list(field, "added") { p.come { "+ " (shown(page, item)) } } }
                            } @else {
                                td { div.gone { (shown(page, &field["before"])) } div.come { (shown(page, &field["after"])) } }
                            }
                        }
                    } } } }
                }
                @if count(diff, "changed") > most { p.soft { "…" } }
            }
        }
    }
}

/// The pictures and links of an answer, as places to open: these pages load nothing from
/// elsewhere, so that nobody there sees who works on what.
pub(super) fn beside(page: &Page, answer: &Value) -> Markup {
    super::super::told::beside(page, &answer["images"], &answer["links"])
}

/// What a decision is called.
pub(super) fn decision(page: &Page, name: &str) -> Markup {
    let (class, told) = match name {
        "answer" => ("badge small answer", page.say("直接回答", "Answer")),
        "clarify" => ("badge small clarify", page.say("反问", "Ask back")),
        _ => ("badge small handoff", page.say("转人工", "To a person")),
    };
    html! { span class=(class) { (told) } }
}

/// Why it was decided so.
pub(super) fn reason(page: &Page, name: &str) -> &'static str {
    match name {
        "exact_question" => page.say("与一个问法相同", "equals a phrasing"),
        "keyword" => page.say("正好是关键词", "is a keyword"),
        "rule" => page.say("规则命中", "a rule caught it"),
        "confident" => page.say("把握足够大", "sure enough"),
        "ambiguous" => page.say("几个条目都像", "several entries are alike"),
        "several_questions" => page.say("一句话问了几件事", "several questions at once"),
        "low_confidence" => page.say("把握不够", "not sure enough"),
        "no_match" => page.say("知识库里没有", "not in the knowledge base"),
        "no_text" => page.say("没有文字", "no text"),
        "no_question" => page.say("没有提问", "asks nothing"),
        "requested" => page.say("要求人工", "asks for a person"),
        "sensitive" => page.say("敏感内容，交给人工", "sensitive: a person must see it"),
        "repeated_miss" => page.say("连续答不上", "missed repeatedly"),
        "repeated_question" => page.say("反复问同一件事", "asked again and again"),
        "angry" => page.say("顾客生气了", "the customer is angry"),
        "handoff_rule" => page.say("转人工规则", "a handoff rule"),
        "chosen" => page.say("顾客选的", "chosen by the customer"),
        "small_talk" => page.say("寒暄", "small talk"),
        "closed" => page.say("不在服务时间", "outside hours"),
        "withdrawn" => page.say("顾客不等人工了", "waits for a person no longer"),
        _ => page.say("其他原因", "another reason"),
    }
}

/// A probability in percent.
pub(super) fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |share| format!("{:.0}%", share * 100.0))
}

/// A body that names a release.
pub(super) fn of_release(number: &str) -> Value {
    json!({"release": number.parse::<u32>().unwrap_or(0)})
}

//! Which words does a knowledge base add, and what do they do?
//!
//! The lexicon line by line, lines to add and to take out, the whole of it as a text,
//! and beside it a sentence cut into its words.

use axum::extract::{Path, Query};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::Refusal;
use super::super::page::{Outcome, Page, Sheet};
use super::parts::{Asked, api, asked, base, list, looked, text};

/// Lines that are shown as a table; who has more edits them as a text or a sheet.
const SHOWN: usize = 500;

/// Kinds of lines that a form makes.
const KINDS: [&str; 6] = ["synonyms", "contrast", "protected", "word", "stop", "background"];

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, asked(&query, "text"), &[], &Form::default()).await)
}

fn kind_name(page: &Page, kind: &str) -> &'static str {
    match kind {
        "synonyms" => page.say("同义词：意思一样", "Synonyms: they mean the same"),
        "contrast" => page.say("要分清的词：意思不同", "Contrast: they mean different things"),
        "protected" => page.say("专有名词：不拆不改", "Protected: stays as it is"),
        "word" => page.say("整词：不要拆开", "Word: kept whole"),
        "stop" => page.say("停用词：说明不了问题", "Stop word: says nothing"),
        _ => page.say("无关问题：不归这里回答", "Background: a question that is not answered here"),
    }
}

/// `form` is what was filled in and not taken; empty at first.
async fn shown(page: &Page, kb: &str, sentence: &str, wrong: &[String], form: &Form) -> Outcome {
    let written = Some(form.raw("whole")).filter(|whole| !whole.is_empty());
    let got = page.inside.get(&format!("{}/lexicon", api(kb))).got().await?;
    let whole = String::from_utf8_lossy(&got.body).into_owned();
    let lines: Vec<Value> = whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let anatomy = if sentence.is_empty() {
        None
    } else {
        Some(looked(page, &format!("{}/tokens", api(kb)), &json!({"text": sentence})).await?)
    };
    let history = super::words_history::section(page, kb, &got.etag()).await?;
    let body = html! {
        @for message in wrong { div.card.problem role="alert" { (message) } }
        p.soft { (page.say("词语从下一次发布起对顾客有效；这里的试验马上用上。", "Words count for customers from the next publication on; the test here uses them at once.")) }
        div.columns {
            section.card {
                h2 { (page.say("加一行", "Add a line")) }
                form method="post" {
                    (page.csrf())
                    label.block { span.label { (page.say("种类", "Kind")) } select name="kind" { @for kind in KINDS { option value=(kind) selected[kind == form.get("kind")] { (kind_name(page, kind)) } } } }
                    label.block { span.label { (page.say("词（同义词、要分清的词一行一个，第一个代表大家）", "Words (of synonyms and contrasts one a line, the first stands for all)")) } textarea name="words" rows="4" required { "\n" (form.raw("words")) } }
                    label.block { span.label { (page.say("备注", "Note")) } input type="text" name="note" value=(form.get("note")); }
                    p { button.button.primary name="do" value="add" { (page.say("加上", "Add")) } }
                }
            }
            section.card {
                h2 { (page.say("试一句话", "Try a sentence")) }
                form method="get" role="search" {
                    label.block { span.label { (page.say("顾客说的话", "What a customer says")) } input type="search" name="text" value=(sentence) maxlength="2000"; }
                    p { button.button type="submit" { (page.say("看看怎么拆", "See its words")) } }
                }
                @if let Some(anatomy) = &anatomy { (taken_apart(page, anatomy)) }
            }
        }
        (table(page, &lines))
        details.card open[written.is_some()] { summary { (page.say("全部写成文本（JSONL，一行一个）", "All of it as a text (JSONL, one a line)")) }
            form method="post" data-keep="1" {
                (page.csrf())
                input type="hidden" name="etag" value=(got.etag());
                label { span.hidden-label { (page.say("词表", "Lexicon")) } textarea.code name="whole" rows="14" spellcheck="false" { "\n" (written.unwrap_or(&whole)) } }
                p { button.button name="do" value="replace" { (page.say("保存整个词表", "Save all of it")) } }
            }
        }
        (history)
    };
    let mut sheet = Sheet::new(page.say("词语", "Words"), body).of_kb(kb).with_script("author.js");
    if !wrong.is_empty() {
        sheet = sheet.refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Ok(page.show(sheet))
}

/// What kind of line it is, and its words.
pub(super) fn of_line(line: &Value) -> (&'static str, Vec<&str>) {
    let kind = KINDS.into_iter().find(|kind| !line[*kind].is_null()).unwrap_or("word");
    let words = match line[kind].as_str() {
        Some(only) => vec![only],
        None => list(line, kind).filter_map(Value::as_str).collect(),
    };
    (kind, words)
}

fn table(page: &Page, lines: &[Value]) -> Markup {
    html! {
        h2 { (page.say("词表", "Lexicon")) " " span.tag { (lines.len()) } }
        @if lines.is_empty() { p.empty { (page.say("还没有自己的词。常用的同义词和停用词已经内置。", "No words of its own yet. Common synonyms and stop words are built in.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr { th { (page.say("种类", "Kind")) } th { (page.say("词", "Words")) } th { (page.say("备注", "Note")) } th {} } }
                tbody { @for line in lines.iter().take(SHOWN) {
                    @let (kind, words) = of_line(line);
                    tr {
                        td { (kind_name(page, kind)) }
                        td { (words.join("、")) @if !text(line, "canonical").is_empty() { br; span.soft { (page.say("代表：", "stands for all: ")) (text(line, "canonical")) } } }
                        td { (text(line, "note")) }
                        td { form method="post" {
                            (page.csrf())
                            input type="hidden" name="line" value=(line.to_string());
                            button.button.small.danger name="do" value="remove" data-confirm={ (page.say("删除这一行？", "Take this line out? ")) (words.join("、")) } { (page.say("删除", "Remove")) }
                        } }
                    }
                } }
            } }
            @if lines.len() > SHOWN { p.soft { (page.say("只列出前 500 行，全部在下面的文本里。", "The first 500 are listed; all are in the text below.")) } }
        }
    }
}

fn taken_apart(page: &Page, anatomy: &Value) -> Markup {
    html! {
        p.tokens { @for word in list(anatomy, "words") {
            span.token.stop[word["stop"] == Value::Bool(true)] { (text(word, "text"))
                @if text(word, "canonical") != text(word, "text") { small { " = " (text(word, "canonical")) } } }
        } }
        @for word in list(anatomy, "words").filter(|word| word["group"].as_array().is_some_and(|group| group.len() > 1)) {
            p.soft { (text(word, "text")) "：" (list(word, "group").filter_map(Value::as_str).take(12).collect::<Vec<_>>().join("、"))
                @if word["own_group"] == Value::Bool(true) { " " span.tag.good { (page.say("自己的", "own")) } } }
        }
        @if text(anatomy, "core") != text(anatomy, "text") { p.soft { (page.say("整理成：", "Read as: ")) code { (text(anatomy, "core")) } } }
    }
}

/// What is wrong with the words; in a text of many lines, where.
fn wrong(page: &Page, refusal: &Refusal, is_text: bool) -> Vec<String> {
    let told = refusal.more.get("problems").and_then(Value::as_array);
    let line = |fault: &Value| match fault["line"].as_u64().filter(|line| is_text && *line > 0) {
        Some(line) if page.is_english() => format!("Line {line}: {}", text(fault, "message")),
        Some(line) => format!("第 {line} 行：{}", text(fault, "message")),
        None => text(fault, "message").to_owned(),
    };
    match told.filter(|told| !told.is_empty()) {
        Some(told) => told.iter().map(line).collect(),
        None => vec![page.why(refusal)],
    }
}

pub(super) async fn change(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(changed(&page, &kb, &form).await)
}

async fn changed(page: &Page, kb: &str, form: &Form) -> Outcome {
    if form.get("do") == "restore" {
        return super::words_history::restored(page, kb, form).await;
    }
    let place = format!("{}/lexicon", api(kb));
    let here = format!("{}/words", base(kb));
    let patch = |body: Value| form.ask(page, Method::PATCH, &place).json(&body);
    let ask = match form.get("do") {
        "replace" => form
            .ask(page, Method::PUT, &place)
            .if_match(form.get("etag"))
            .file("application/x-ndjson", form.raw("whole").to_owned()),
        "remove" => {
            let line: Value = serde_json::from_str(form.get("line")).unwrap_or_default();
            let (kind, words) = of_line(&line);
            // A line is named by its kind and words.
            let named = if line[kind].is_array() { json!(words) } else { json!(words.first()) };
            patch(json!({"remove": [{kind: named}]}))
        }
        _ => {
            let words: Vec<&str> = form.lines("words").collect();
            let kind = KINDS.into_iter().find(|kind| *kind == form.get("kind")).unwrap_or("synonyms");
            let one = |word: &str| {
                let mut line = json!({kind: word});
                if !form.get("note").is_empty() {
                    line["note"] = json!(form.get("note"));
                }
                line
            };
            let put: Vec<Value> = if ["synonyms", "contrast"].contains(&kind) {
                let mut line = one("");
                line[kind] = json!(words);
                vec![line]
            } else {
                words.into_iter().map(one).collect()
            };
            patch(json!({"put": put}))
        }
    };
    match ask.got().await {
        Ok(_) => Ok(page.go(&here, page.say("已保存到草稿。", "Saved to the draft."))),
        Err(refusal) if refusal.code == 412 => {
            let told = page.say(
                "别人刚改过词表；您的内容在下面，请核对后再保存。",
                "Somebody has just changed the lexicon; yours is below, look at it and save again.",
            );
            shown(page, kb, "", &[told.to_owned()], form).await
        }
        Err(refusal) if [400, 409, 422].contains(&refusal.code) => {
            shown(page, kb, "", &wrong(page, &refusal, form.has("whole")), form).await
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

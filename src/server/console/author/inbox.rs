//! What should be added, and who says so?
//!
//! Suggestions from what customers asked and got no good answer to, each with what
//! speaks for it, what it would gain and harm; decided with one key each, or several
//! at once. Below them the groups of open questions.

use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::parts::{Asked, api, asked, base, count, entry_page, list, percent, revision, text, undo};

/// Suggestions on a page.
const SHOWN: &str = "100";

pub(super) async fn page(page: Page, Path(kb): Path<String>, axum::extract::Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, asked(&query, "undo"), asked(&query, "days")).await)
}

async fn shown(page: &Page, kb: &str, stretch: &str, days: &str) -> Outcome {
    let of = |name: &str| address(&format!("{}/{name}", api(kb)), &[("limit", SHOWN), ("days", days)]);
    let here = format!("{}/inbox", base(kb));
    let title = page.say("学习", "Learn");
    let suggestions: Value = match page.inside.get(&of("suggestions")).read().await {
        Err(Refusal { code: 503 | 404, kind, .. }) if !kind.ends_with("unknown-kb") => {
            let body = html! {
                p.empty { (page.say("发布以后，这里会列出顾客问了却没有好答案的问题，并建议怎么补。", "Once it is published, questions without a good answer are listed here, with what to do about them.")) }
                p { a.button href={ (base(kb)) "/releases" } { (page.say("去发布", "Publish")) } }
            };
            return Ok(page.show(Sheet::new(title, body).of_kb(kb)));
        }
        found => found?,
    };
    let groups: Value = page.inside.get(&of("groups")).read().await?;
    let open = count(&suggestions, "items");
    let body = html! {
        (undo(page, kb, stretch, &here))
        p.soft { (page.say("键盘：j / k 上下，a 采纳，e 修改，i 忽略，n 永不再提。", "Keys: j / k to move, a accept, e edit, i ignore, n never again.")) }
        h2 { (page.say("建议", "Suggestions")) " " span.tag { (open) } }
        @if open == 0 { p.empty { (page.say("没有要处理的建议。", "Nothing is open.")) } }
        @else {
            form #bulk.toolbar method="post" {
                (page.csrf())
                label.check { input type="checkbox" data-all="1"; " " (page.say("全选", "All")) }
                @for (verdict, name) in verdicts(page) { button.button.small name="bulk" value=(verdict) { (page.say("选中的：", "Chosen: ")) (name) } }
            }
            @for one in list(&suggestions, "items") { (suggestion(page, kb, one)) }
        }
        h2 { (page.say("没有好答案的问题", "Questions without a good answer")) " " span.tag { (groups["open"].to_string()) } }
        (open_questions(page, kb, &groups))
    };
    Ok(page.show(Sheet::new(title, body).of_kb(kb).with_script("author.js").with_script("inbox.js")))
}

fn verdicts(page: &Page) -> [(&'static str, &'static str); 3] {
    [
        ("accept", page.say("采纳", "Accept")),
        ("ignore", page.say("忽略", "Ignore")),
        ("never", page.say("永不再提", "Never again")),
    ]
}

fn kind(page: &Page, name: &str) -> &'static str {
    match name {
        "similar" => page.say("加一个问法", "Add a phrasing"),
        "entry" => page.say("写一个新条目", "Write a new entry"),
        "synonym" => page.say("加一组同义词", "Add synonyms"),
        "contrast" => page.say("加一组要分清的词", "Add words to tell apart"),
        "keyword" => page.say("加一个关键词", "Add a keyword"),
        "outdated" => page.say("答案可能过时", "The answer may be outdated"),
        "split" => page.say("拆成两个条目", "Split the entry"),
        "merge" => page.say("合并两个条目", "Merge two entries"),
        "small_talk" => page.say("加一句寒暄", "Add small talk"),
        _ => page.say("建议", "Suggestion"),
    }
}

fn suggestion(page: &Page, kb: &str, one: &Value) -> Markup {
    let (id, kind_name) = (text(one, "id"), text(one, "kind"));
    let trial = &one["trial"];
    let writes = ["entry", "outdated", "merge", "small_talk", "split"].contains(&kind_name);
    html! {
        article.card.suggestion tabindex="0" data-suggestion=(id) {
            div.verdict-head {
                input type="checkbox" name="id" value=(id) form="bulk" aria-label=(text(one, "text"));
                span.tag { (kind(page, kind_name)) }
                b { "“" (text(one, "text")) "”" }
                @if let Some(entry) = one["entry"].as_str() { span { "→ " a href=(entry_page(kb, entry)) { (nearest(one, entry)) } } }
                @if let Some(other) = one["other"].as_str() { span { "＋ " a href=(entry_page(kb, other)) { (nearest(one, other)) } } }
                @if one["sure"] == Value::Bool(true) { span.tag.good { (page.say("把握大", "sure")) } }
            }
            p { (text(one, "why")) }
            p.soft {
                (page.say("问过 ", "Asked ")) (one["count"].to_string()) (page.say(" 次", " times"))
                @if trial["tried"] == Value::Bool(true) { " · " span.good { (page.say("多答对 ", "gains ")) (one["gain"].to_string()) } " · " span.fault { (page.say("会答错 ", "harms ")) (one["harm"].to_string()) } }
                @if one["confirmed"].as_u64().unwrap_or(0) > 0 { " · " (page.say("被选中 ", "confirmed ")) (one["confirmed"].to_string()) (page.say(" 次", " times")) }
            }
            (halves(page, one))
            @if count(one, "examples") > 0 || count(trial, "changes") > 0 {
                details { summary { (page.say("依据", "Evidence")) }
                    ul { @for example in list(one, "examples").filter_map(Value::as_str) { li { (example) } } }
                    @for change in list(trial, "changes") { p.soft {
                        @match text(change, "verdict") { "better" => { span.tag.good { (page.say("变好", "better")) } } "worse" => { span.tag.bad { (page.say("变差", "worse")) } } _ => { span.tag { (page.say("不确定", "open")) } } }
                        " " (text(change, "text")) } }
                }
            }
            form.decide method="post" {
                (page.csrf())
                input type="hidden" name="id" value=(id);
                details.edit { summary { (page.say("修改后采纳", "Edit, then accept")) }
                    label.block { span.label { (page.say("文字", "Text")) } input type="text" name="text" value=(text(one, "text")); }
                    label.block { span.label { (page.say("条目编号（换成另一个条目）", "Entry id (another entry)")) } input type="text" name="entry" value=(text(one, "entry")) list={ "near-" (id) }; }
                    datalist id={ "near-" (id) } { @for near in list(one, "nearest") { option value=(text(near, "entry")) { (text(near, "question")) " " (percent(&near["confidence"])) } } }
                    @if writes { label.block { span.label { (page.say("答案", "Answer")) } textarea name="answer" rows="3" { "\n" (text(one, "draft")) } } }
                    @if kind_name == "split" { fieldset { legend { (page.say("移到新条目的问法", "Phrasings that go to the new entry")) }
                        input type="hidden" name="sorted" value="1";
                        @for (goes, text) in sorted(one) { label.check { input type="checkbox" name="moves" value=(text) checked[goes]; " " (text) } } } }
                    @if kind_name == "entry" || kind_name == "similar" { label.check { input type="checkbox" name="examples" value="1"; " " (page.say("例句也加为问法", "The examples become phrasings too")) } }
                    button.button.small name="verdict" value="edit" { (page.say("按修改采纳", "Accept as edited")) }
                }
                div.toolbar {
                    button.button.small.primary name="verdict" value="accept" { (page.say("采纳", "Accept")) " (a)" }
                    button.button.small name="verdict" value="ignore" { (page.say("忽略", "Ignore")) " (i)" }
                    button.button.small.danger name="verdict" value="never" { (page.say("永不再提", "Never again")) " (n)" }
                }
            }
        }
    }
}

/// The phrasings that each of two entries has after a split or a merger.
fn halves(page: &Page, one: &Value) -> Markup {
    let named = match text(one, "kind") {
        "split" => [page.say("留在原条目", "Stays"), page.say("移到新条目", "Goes to the new entry")],
        _ => [page.say("保留的条目", "The entry that stays"), page.say("并入的问法", "Comes to it")],
    };
    html! {
        @if one["halves"].is_object() {
            @for (name, side) in named.into_iter().zip(["stays", "goes"]) {
                @let texts: Vec<&str> = list(&one["halves"], side).filter_map(Value::as_str).collect();
                @if !texts.is_empty() { p { span.tag { (name) } " " (texts.join(" / ")) } }
            }
        }
    }
}

/// The phrasings of a split with whether they go; the standard question stays.
fn sorted(one: &Value) -> Vec<(bool, &str)> {
    let side =
        |name, goes| list(&one["halves"], name).filter_map(Value::as_str).map(move |text| (goes, text));
    side("goes", true).chain(side("stays", false).skip(1)).collect()
}

/// An entry's question, where the suggestion says it.
fn nearest<'a>(one: &'a Value, entry: &'a str) -> &'a str {
    list(one, "nearest")
        .find(|near| text(near, "entry") == entry)
        .map_or(entry, |near| text(near, "question"))
}

fn open_questions(page: &Page, kb: &str, groups: &Value) -> Markup {
    html! {
        @if count(groups, "items") == 0 { p.empty { (page.say("没有。", "None.")) } } @else {
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr { th { (page.say("问题", "Question")) } th { (page.say("次数", "Asked")) } th { (page.say("最近 7 天", "Last 7 days")) } th { (page.say("最像的条目", "Nearest entry")) } th {} } }
                tbody { @for group in list(groups, "items") {
                    tr {
                        td { b { (text(group, "title")) } @for example in list(group, "examples").filter_map(Value::as_str).filter(|example| *example != text(group, "title")).take(3) { br; span.soft { (example) } } }
                        td { (group["count"].to_string()) }
                        td { (group["trend"][0].to_string()) span.soft { " ← " (group["trend"][1].to_string()) } }
                        td { @if let Some(near) = group["nearest"].get(0) { a href=(entry_page(kb, text(near, "entry"))) { (text(near, "question")) } " " span.soft { (percent(&near["confidence"])) } } }
                        td { a.button.small href=(address(&format!("{}/entries/new", base(kb)), &[("question", text(group, "title"))])) { (page.say("写条目", "Write it")) } }
                    }
                } }
            } }
        }
    }
}

pub(super) async fn decide(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(decided(&page, &kb, &form).await)
}

async fn decided(page: &Page, kb: &str, form: &Form) -> Outcome {
    let here = format!("{}/inbox", base(kb));
    let before = revision(page, kb).await?;
    let place = format!("{}/suggestions", api(kb));
    let done = match (form.get("bulk"), form.get("verdict")) {
        ("", "edit") => {
            let mut change = json!({"examples": form.has("examples")});
            for name in ["text", "entry", "answer"] {
                if !form.get(name).is_empty() {
                    change[name] = json!(form.get(name));
                }
            }
            if form.has("sorted") {
                change["moves"] = form.all("moves").collect();
            }
            let place = format!("{place}/{}/accept", part(form.get("id")));
            form.ask(page, Method::POST, &place).json(&change).read::<Value>().await
        }
        (bulk, verdict) => {
            let verdict = if bulk.is_empty() { verdict } else { bulk };
            let verdict = Some(verdict).filter(|known| ["accept", "ignore", "never"].contains(known));
            let ids: Vec<&str> = form.all("id").collect();
            let Some(verdict) = verdict.filter(|_| !ids.is_empty()) else {
                return Ok(page.go_with_fault(&here, page.say("没有选中建议。", "No suggestion was chosen.")));
            };
            form.ask(page, Method::POST, &place).json(&json!({verdict: ids})).read::<Value>().await
        }
    };
    match done {
        Ok(done) => {
            let failed: Vec<&str> = list(&done, "items")
                .filter(|one| !one["problem"].is_null())
                .map(|one| text(&one["problem"], "detail"))
                .collect();
            let until = revision(page, kb).await?;
            let stretch = if until > before { format!("{before}-{until}") } else { String::new() };
            let here = address(&here, &[("undo", &stretch)]);
            if form.has("brief") {
                // A script goes on by itself: all of the page again would cost more than the decision.
                let body = html! { @if failed.is_empty() { p.notice { (page.say("好了", "Done")) } } @else { p.problem { (failed.join("；")) } } };
                return Ok(page.show(Sheet::new(page.say("学习", "Learn"), body)));
            }
            if failed.is_empty() {
                return Ok(page.go(
                    &here,
                    page.say("好了；采纳的已在草稿里。", "Done; what was accepted is in the draft."),
                ));
            }
            Ok(page.go_with_fault(&here, &failed.join("；")))
        }
        Err(refusal) if [404, 409, 422].contains(&refusal.code) && form.has("brief") => Err(refusal),
        Err(refusal) if [404, 409, 422].contains(&refusal.code) => {
            Ok(page.go_with_fault(&here, &page.why(&refusal)))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

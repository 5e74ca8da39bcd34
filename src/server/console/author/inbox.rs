//! What should be added, and who says so?
//!
//! Suggestions from what customers asked and got no good answer to, each with what
//! speaks for it, what it would gain and harm; decided with one key each, or several
//! at once, and every decision can be taken back. Below them the groups of open
//! questions, and what was left.

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

/// What was just decided and can be taken back.
#[derive(Default)]
struct Done<'a> {
    /// What was accepted: a stretch of the history.
    stretch: &'a str,
    /// What was left: names of suggestions with commas between them.
    left: &'a str,
}

/// What keeps a suggestion from being accepted, and what was filled in for it.
struct Wrong<'a> {
    message: &'a str,
    form: &'a Form,
}

pub(super) async fn page(page: Page, Path(kb): Path<String>, axum::extract::Query(query): Asked) -> Response {
    let done = Done { stretch: asked(&query, "undo"), left: asked(&query, "left") };
    page.reply(shown(&page, &kb, &done, asked(&query, "days"), None).await)
}

async fn shown(page: &Page, kb: &str, done: &Done<'_>, days: &str, wrong: Option<&Wrong<'_>>) -> Outcome {
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
    let left = format!("{}/suggestions/left", api(kb));
    let left: Value = page.inside.get(&address(&left, &[("limit", SHOWN)])).read().await?;
    let open = count(&suggestions, "items");
    let body = html! {
        div #said aria-live="polite" { (back(page, kb, done, &here)) }
        p.soft { (page.say("键盘：j / k 上下，a 采纳，e 修改，i 忽略，n 永不再提。", "Keys: j / k to move, a accept, e edit, i ignore, n never again.")) }
        h2 { (page.say("建议", "Suggestions")) " " span.tag { (open) } }
        @if open == 0 { p.empty { (page.say("没有要处理的建议。", "Nothing is open.")) } }
        @else {
            form #bulk.toolbar method="post" {
                (page.csrf())
                label.check { input type="checkbox" data-all="1"; " " (page.say("全选", "All")) }
                @for (verdict, name) in verdicts(page) { button.button.small name="bulk" value=(verdict) { (page.say("选中的：", "Chosen: ")) (name) } }
            }
            @for one in list(&suggestions, "items") { (suggestion(page, kb, one, wrong.filter(|wrong| wrong.form.get("id") == text(one, "id")))) }
        }
        h2 { (page.say("没有好答案的问题", "Questions without a good answer")) " " span.tag { (groups["open"].to_string()) } }
        (open_questions(page, kb, &groups))
        (dismissed(page, kb, &left))
    };
    let sheet = Sheet::new(title, body).of_kb(kb).with_script("author.js").with_script("inbox.js");
    Ok(page.show(sheet.refused_if(wrong.is_some())))
}

/// The offer to take back what was just decided.
fn back(page: &Page, kb: &str, done: &Done<'_>, here: &str) -> Markup {
    let ids: Vec<&str> = done.left.split(',').filter(|id| !id.is_empty()).collect();
    html! {
        (undo(page, kb, done.stretch, here))
        @if !ids.is_empty() {
            form.card.undo method="post" action=(here) {
                (page.csrf())
                @for id in &ids { input type="hidden" name="id" value=(id); }
                span { @if page.is_english() { "Left: " (ids.len()) @if ids.len() == 1 { " suggestion." } @else { " suggestions." } } @else { "刚才收起了 " (ids.len()) " 条建议，可以放回来。" } }
                button.button.small name="verdict" value="reopen" { (page.say("撤销", "Undo")) }
            }
        }
    }
}

/// What was left, to be put back.
fn dismissed(page: &Page, kb: &str, left: &Value) -> Markup {
    html! {
        @if count(left, "items") > 0 {
            details.card #left { summary { (page.say("忽略的和不再提的建议 ", "Suggestions that were left ")) (left["total"].to_string()) }
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                    thead { tr { th { (page.say("建议", "Suggestion")) } th { (page.say("怎么处理的", "Decision")) } th { (page.say("谁", "Who")) } th {} } }
                    tbody { @for one in list(left, "items") {
                        tr {
                            td { span.tag { (kind(page, text(one, "kind"))) } " “" (text(one, "text")) "”" @if let Some(entry) = one["entry"].as_str() { " " a.soft href=(entry_page(kb, entry)) { (page.say("看条目", "Entry")) } } }
                            td { @if text(one, "verdict") == "never" { (page.say("永不再提", "Never again")) } @else { (page.say("忽略", "Ignored")) } }
                            td { (page.called(text(one, "author"))) br; time.soft datetime=(text(one, "at")) { (text(one, "at")) } }
                            td { form method="post" { (page.csrf()) input type="hidden" name="id" value=(text(one, "id")); button.button.small name="verdict" value="reopen" { (page.say("放回来", "Put back")) } } }
                        }
                    } }
                } }
            }
        }
    }
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

fn suggestion(page: &Page, kb: &str, one: &Value, wrong: Option<&Wrong<'_>>) -> Markup {
    // What was filled in stays.
    let filled = |name: &str, otherwise: &str| match wrong.filter(|wrong| wrong.form.has(name)) {
        Some(wrong) => wrong.form.raw(name).to_owned(),
        None => otherwise.to_owned(),
    };
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
            @if let Some(wrong) = wrong { p.fault.told role="alert" { (wrong.message) } }
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
                details.edit open[wrong.is_some()] { summary { (page.say("修改后采纳", "Edit, then accept")) }
                    label.block { span.label { (page.say("文字", "Text")) } input type="text" name="text" value=(filled("text", text(one, "text"))); }
                    label.block { span.label { (page.say("条目编号（换成另一个条目）", "Entry id (another entry)")) } input type="text" name="entry" value=(filled("entry", text(one, "entry"))) list={ "near-" (id) }; }
                    datalist id={ "near-" (id) } { @for near in list(one, "nearest") { option value=(text(near, "entry")) { (text(near, "question")) " " (percent(&near["confidence"])) } } }
                    @if writes { label.block { span.label { (page.say("答案", "Answer")) } textarea name="answer" rows="3" autofocus[wrong.is_some()] { "\n" (filled("answer", text(one, "draft"))) } } }
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
    let ids: Vec<&str> = form.all("id").collect();
    let verdict = if form.get("bulk").is_empty() { form.get("verdict") } else { form.get("bulk") };
    if ids.is_empty() || !["accept", "edit", "ignore", "never", "reopen"].contains(&verdict) {
        return Ok(page.go_with_fault(&here, page.say("没有选中建议。", "No suggestion was chosen.")));
    }
    if verdict == "reopen" {
        return reopened(page, kb, form, &ids, &here).await;
    }
    let before = revision(page, kb).await?;
    let place = format!("{}/suggestions", api(kb));
    let done = if verdict == "edit" {
        let place = format!("{place}/{}/accept", part(ids[0]));
        form.ask(page, Method::POST, &place).json(&edited(form)).read::<Value>().await
    } else {
        form.ask(page, Method::POST, &place).json(&json!({verdict: ids})).read::<Value>().await
    };
    let failed: Vec<(String, String)> = match done {
        Ok(done) => list(&done, "items")
            .filter(|one| !one["problem"].is_null())
            .map(|one| (text(one, "id").to_owned(), why(page, &one["problem"])))
            .collect(),
        Err(refusal) if refusal.code == 404 => {
            return Ok(page.go_with_fault(&here, &page.why(&refusal)));
        }
        Err(refusal) if [409, 422].contains(&refusal.code) => {
            let problem = json!({"detail": page.why(&refusal), "problems": refusal.more.get("problems")});
            vec![(ids[0].to_owned(), why(page, &problem))]
        }
        Err(refusal) => return page.ended(form, &refusal).ok_or(refusal),
    };
    let until = revision(page, kb).await?;
    let stretch = if until > before { format!("{before}-{until}") } else { String::new() };
    let is_left = ["ignore", "never"].contains(&verdict);
    let left: Vec<&str> =
        ids.iter().copied().filter(|id| is_left && failed.iter().all(|(other, _)| other != id)).collect();
    let done = Done { stretch: &stretch, left: &left.join(",") };
    let told = match verdict {
        "ignore" => {
            page.say("已忽略；问的人多一倍时会再提。", "Ignored; it comes back when twice as many ask.")
        }
        "never" => page.say("以后不再提这条建议。", "It will not be suggested again."),
        _ => page.say("好了；采纳的已在草稿里。", "Done; what was accepted is in the draft."),
    };
    if form.has("brief") {
        // A script goes on by itself: all of the page again would cost more than the decision.
        let body = html! {
            @match failed.first() {
                None => { div #said { p.card.notice role="status" { (told) } (back(page, kb, &done, &here)) } }
                Some((_, message)) => { p.problem { (message) } }
            }
        };
        return Ok(page.show(Sheet::new(page.say("学习", "Learn"), body).refused_if(!failed.is_empty())));
    }
    let there = address(&here, &[("undo", done.stretch), ("left", done.left)]);
    match failed.as_slice() {
        [] => Ok(page.go(&there, told)),
        // What is missing is asked for where it is to be filled in.
        [(_, message)] if ids.len() == 1 => shown(page, kb, &done, "", Some(&Wrong { message, form })).await,
        several => Ok(page.go_with_fault(&there, &named(page, kb, several).await?)),
    }
}

/// What an author has changed about a suggestion.
fn edited(form: &Form) -> Value {
    let mut change = json!({"examples": form.has("examples")});
    for name in ["text", "entry", "answer"] {
        if !form.get(name).is_empty() {
            change[name] = json!(form.get(name));
        }
    }
    if form.has("sorted") {
        change["moves"] = form.all("moves").collect();
    }
    change
}

/// Why a suggestion was not accepted, in the words of this page.
fn why(page: &Page, problem: &Value) -> String {
    let fault = list(problem, "problems").next().unwrap_or(&Value::Null);
    match text(fault, "field") {
        "answer" => page
            .say(
                "请先在“修改后采纳”里写答案；如果它属于已有的条目，就换成那个条目。",
                "Write the answer first, under “Edit, then accept”; or name the entry that it belongs to.",
            )
            .to_owned(),
        _ if fault.is_object() => text(fault, "message").to_owned(),
        _ => page.sentence(text(problem, "detail")),
    }
}

/// What failed of several, by the texts of the suggestions.
async fn named(page: &Page, kb: &str, failed: &[(String, String)]) -> Result<String, Refusal> {
    let place = address(&format!("{}/suggestions", api(kb)), &[("limit", SHOWN)]);
    let open: Value = page.inside.get(&place).read().await?;
    let called = |id: &str| {
        let found = list(&open, "items").find(|one| text(one, "id") == id);
        found.map_or(id, |one| text(one, "text")).to_owned()
    };
    let told: Vec<String> = failed.iter().map(|(id, why)| format!("“{}”：{why}", called(id))).collect();
    Ok(told.join("；"))
}

/// Takes decisions back.
async fn reopened(page: &Page, kb: &str, form: &Form, ids: &[&str], here: &str) -> Outcome {
    let place = format!("{}/suggestions/reopen", api(kb));
    match form.ask(page, Method::POST, &place).json(&json!({"ids": ids})).got().await {
        Ok(_) => Ok(page.go(
            here,
            page.say(
                "已放回来；最近 30 天还有人这样问，它就在建议里。",
                "Put back; it is suggested as long as customers of the last 30 days ask so.",
            ),
        )),
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

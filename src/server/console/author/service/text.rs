//! What is the whole service document?
//!
//! As a text with its faults at their lines, the tests of its rules beside it.

use super::*;

pub(super) async fn page(page: &Page, kb: &str) -> Outcome {
    shown(page, kb, None, None).await
}

/// What somebody has written, and what was wrong with it.
struct Written<'a> {
    document: &'a str,
    etag: String,
    wrong: Markup,
}

async fn shown(page: &Page, kb: &str, written: Option<Written<'_>>, tested: Option<Value>) -> Outcome {
    let got = page.inside.get(&format!("{}/service", api(kb))).got().await?;
    let saved = String::from_utf8_lossy(&got.body).into_owned();
    let outline = super::super::entries::outline(page, kb).await?;
    let is_refused = written.as_ref().is_some_and(|written| !written.wrong.clone().into_string().is_empty());
    let (document, etag, wrong) = match &written {
        Some(written) => (written.document, written.etag.clone(), written.wrong.clone()),
        None => (saved.as_str(), got.etag(), html! {}),
    };
    let body = html! {
        (wrong)
        @if let Some(tested) = &tested { (report(page, tested)) }
        form.card method="post" data-keep="1" {
            (begin(page, "text", &etag))
            p.soft { (page.say("欢迎语、没有答案时说什么、寒暄、人工时间、工单、转人工规则，都写在这一份文件里；每一段上面有说明。", "Greeting, what is said without an answer, small talk, hours, tickets and handoff rules stand in this document; each part says how it is written.")) }
            label { span.label { (page.say("服务文件", "Service document")) } textarea.code name="document" rows="28" spellcheck="false" data-numbers="1" { "\n" (document) } }
            div.toolbar {
                button.button.primary name="do" value="draft" { (page.say("保存到草稿", "Save to the draft")) }
                button.button name="do" value="test" { (page.say("只试规则，不保存", "Only run the tests")) }
                @if !outline["current"].is_null() { button.button name="do" value="live" data-confirm=(page.say("顾客马上按这份文件得到服务？", "Serve customers by this document at once?")) { (page.say("保存并立即生效", "Save and serve at once")) } }
                button.button.danger name="do" value="reset" data-confirm=(page.say("改回出厂的文件？您的文件留在历史里。", "Go back to the shipped document? Yours stays in the history.")) { (page.say("改回出厂设置", "Shipped document")) }
            }
        }
    };
    let mut sheet = sheet(page, kb, "text", body);
    if is_refused {
        sheet = sheet.refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Ok(page.show(sheet))
}

/// What the rules' own tests say.
pub(super) fn report(page: &Page, tested: &Value) -> Markup {
    let failed = tested["failed"].as_u64().unwrap_or(0);
    html! {
        section.card {
            h2 { (page.say("规则的测试", "Tests of the rules")) }
            p { span.tag.good { (page.say("通过 ", "passed ")) (tested["passed"].to_string()) } " "
                @if failed > 0 { span.tag.bad { (page.say("没通过 ", "failed ")) (failed) } " " }
                (page.say("规则 ", "rules ")) (tested["rules"].to_string()) }
            @if failed > 0 {
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                    thead { tr { th { (page.say("规则", "Rule")) } th { (page.say("顾客说", "Customer says")) } th { (page.say("应该命中", "Should fire")) } th { (page.say("实际", "Does")) } } }
                    tbody { @for test in list(tested, "tests").filter(|test| test["passed"] != Value::Bool(true)) {
                        tr { td { code { (said(test, "rule")) } } td { (said(test, "text")) } td { (yes(page, &test["expected"])) }
                            td { (yes(page, &test["fired"])) @if !said(test, "winner").is_empty() { " " span.soft { (said(test, "winner")) } } @if !said(test, "failed").is_empty() { br; span.soft { (said(test, "failed")) } } } }
                    } }
                } }
            }
            @if list(tested, "untested").next().is_some() { p.soft { (page.say("没有测试的规则：", "Rules without a test: ")) (list(tested, "untested").filter_map(Value::as_str).collect::<Vec<_>>().join("、")) } }
        }
    }
}

fn yes(page: &Page, value: &Value) -> &'static str {
    if *value == Value::Bool(true) { page.say("是", "yes") } else { page.say("否", "no") }
}

pub(super) async fn change(page: &Page, kb: &str, form: &Form) -> Outcome {
    let to = format!("{}/service", api(kb));
    let document = form.raw("document");
    let kept = |wrong: Markup| Written { document, etag: form.get("etag").to_owned(), wrong };
    if form.get("do") == "test" {
        let ask = form.ask(page, Method::POST, &format!("{to}/test"));
        return match ask.file("application/toml", document.to_owned()).read::<Value>().await {
            Ok(tested) => shown(page, kb, Some(kept(html! {})), Some(tested)).await,
            Err(refusal) => refused(page, kb, form, refusal).await,
        };
    }
    let is_live = form.get("do") == "live";
    let sent = if form.get("do") == "reset" { String::new() } else { document.to_owned() };
    let to = address(&to, &[("live", if is_live { "true" } else { "" })]);
    let ask = form.ask(page, Method::PUT, &to).if_match(form.get("etag"));
    match ask.file("application/toml", sent).read::<Value>().await {
        Ok(done) => {
            let failed = done["tests"]["failed"].as_u64().unwrap_or(0);
            let here = place(kb, "text");
            if failed > 0 {
                let told = page.say("已保存，但有规则的测试没通过，发布时会被拦下；点“只试规则”看是哪些。", "Saved, but tests of rules fail, and publishing will refuse them; run the tests to see which.");
                return Ok(page.go_with_fault(&here, told));
            }
            let told = if is_live {
                page.say("已保存，立即生效。", "Saved, and served at once.")
            } else {
                page.say(
                    "已保存到草稿，发布以后生效。",
                    "Saved to the draft; it counts once it is published.",
                )
            };
            Ok(page.go(&here, told))
        }
        Err(refusal) => refused(page, kb, form, refusal).await,
    }
}

/// What was written stays, with what is wrong line by line.
async fn refused(page: &Page, kb: &str, form: &Form, refusal: Refusal) -> Outcome {
    if let Some(response) = page.ended(form, &refusal) {
        return Ok(response);
    }
    let (mut etag, document) = (form.get("etag").to_owned(), form.raw("document"));
    let wrong = match refusal.code {
        412 => {
            let got = page.inside.get(&format!("{}/service", api(kb))).got().await?;
            etag = got.etag();
            let theirs = String::from_utf8_lossy(&got.body).into_owned();
            html! {
                div.card.problem role="alert" { (page.say("别人刚改过这份文件。您写的在下面的框里；对方的版本在这里，请合并后再保存。", "Somebody has just changed the document. Yours is in the box below; theirs is here: put them together and save.")) }
                details.card { summary { (page.say("对方的版本", "Their version")) } pre.code { (theirs) } }
            }
        }
        400 | 413 | 422 => html! {
            div.card.problem role="alert" {
                b { (page.say("没有保存，请改好这些：", "Not saved; mend these:")) }
                @if count_problems(&refusal) == 0 { p { (page.why(&refusal)) } }
                ul { @for fault in refusal.more.get("problems").and_then(Value::as_array).into_iter().flatten() {
                    li { @if let Some(line) = fault["line"].as_u64() { b { (page.say("第 ", "Line ")) (line) (page.say(" 行：", ": ")) } } (said(fault, "message")) @if !said(fault, "field").is_empty() { " " code { (said(fault, "field")) } } }
                } }
            }
        },
        _ => return Err(refusal),
    };
    shown(page, kb, Some(Written { document, etag, wrong }), None).await
}

fn count_problems(refusal: &Refusal) -> usize {
    refusal.more.get("problems").and_then(Value::as_array).map_or(0, Vec::len)
}

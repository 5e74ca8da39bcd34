//! What has an import done, and how is it taken back?

use axum::extract::{Path, Query};
use axum::http::{Method, header};
use axum::response::Response;
use maud::html;
use serde_json::{Value, json};

use super::super::form::Form;
use super::super::inside::{address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::file;
use super::parts::{Asked, api, asked, base, count, difference, in_words, list, text, undo};

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    page.reply(shown(&page, &kb, asked(&query, "job")).await)
}

async fn shown(page: &Page, kb: &str, job: &str) -> Outcome {
    let job: Value = page.inside.get(&format!("/v1/jobs/{}", part(job))).read().await?;
    let result = &job["result"];
    let diff = &result["diff"];
    let bad = result["rejected"]["entries"].as_u64().unwrap_or(0);
    let stretch = format!("{}-{}", result["before"], result["until"]);
    let body = html! {
        @if text(&job, "state") != "done" {
            div.card.problem role="alert" { (page.say("没有导入，草稿没有变。", "Nothing was imported; the draft has not changed.")) p { (text(&job["problem"], "detail")) }
                @for fault in list(&job["problem"], "problems").take(20) { p { (text(fault, "message")) } } }
            p { a.button href={ (base(kb)) "/import" } { (page.say("重新导入", "Import again")) } }
        } @else {
            (undo(page, kb, &stretch, &format!("{}/entries", base(kb))))
            section.card {
                p.big { (in_words(page, diff)) }
                @if bad > 0 { p.fault { (bad) (page.say(" 行没有导入，改好下载的表格后再导入即可。", " rows were not taken; mend the download and import it.")) } }
                div.toolbar {
                    a.button.primary href={ (base(kb)) "/try" } { (page.say("试问一下", "Try it")) }
                    a.button href={ (base(kb)) "/check" } { (page.say("检查问题", "Check it")) }
                    a.button href={ (base(kb)) "/releases" } { (page.say("去发布", "Publish")) }
                    a.button href={ (base(kb)) "/entries" } { (page.say("看条目", "The entries")) }
                }
                (difference(page, kb, diff, 100))
            }
        }
    };
    Ok(page.show(Sheet::new(page.say("导入结果", "What was imported"), body).of_kb(kb)))
}

/// Takes back what was done between two revisions.
pub(super) async fn rewind(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(rewound(&page, &kb, &form).await)
}

async fn rewound(page: &Page, kb: &str, form: &Form) -> Outcome {
    let number = |name: &str| form.get(name).parse::<i64>().unwrap_or(0);
    let body = json!({"after": number("after"), "until": number("until")});
    let back = Some(form.get("back")).filter(|back| back.starts_with(&base(kb)));
    let back = back.map_or_else(|| format!("{}/entries", base(kb)), str::to_owned);
    match form.ask(page, Method::POST, &format!("{}/rewind", api(kb))).json(&body).read::<Value>().await {
        Ok(done) => {
            let mut told = format!("{}{}", page.say("已撤销：", "Undone: "), in_words(page, &done["diff"]));
            if count(&done, "live") > 0 {
                told += page.say("；顾客得到的也恢复了", "; customers get what was there before, too");
            }
            let stays = [
                ("kept", page.say("个条目别人又改过，没有撤销", "entries were changed by others since and stay")),
                (
                    "still_live",
                    page.say(
                        "个条目原来的内容没有发布过，顾客得到的要等下次发布才变",
                        "entries were never published as they were: customers keep what they get until the next publication",
                    ),
                ),
            ];
            let stays: String = stays
                .iter()
                .filter(|(list, _)| count(&done, list) > 0)
                .map(|(list, why)| format!("；{} {why}", count(&done, list)))
                .collect();
            let go = if stays.is_empty() { Page::go } else { Page::go_with_fault };
            Ok(go(page, &back, &format!("{told}{stays}")))
        }
        Err(refusal) if refusal.code == 422 => Ok(page.go_with_fault(&back, &page.why(&refusal))),
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

/// The draft as a file, with Chinese headings.
pub(super) async fn export(
    page: Page,
    Path((kb, name)): Path<(String, String)>,
    Query(query): Asked,
) -> Response {
    let place = address(
        &format!("{}/export", api(&kb)),
        &[
            ("format", &name),
            ("headings", if page.is_english() { "en" } else { "zh" }),
            ("release", asked(&query, "release")),
        ],
    );
    match page.inside.get(&place).got().await {
        Ok(got) => {
            let kind = got.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            file(kind.unwrap_or("application/octet-stream"), &format!("{kb}.{name}"), got.body.clone())
        }
        Err(refusal) => page.failed(refusal),
    }
}

//! What is published at some time without anybody there?

use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::super::form::Form;
use super::super::inside::{Refusal, part};
use super::super::page::{Outcome, Page};
use super::parts::{api, base, list, text};

async fn all(page: &Page, kb: &str) -> Result<Value, Refusal> {
    page.inside.get(&format!("{}/schedule", api(kb))).read().await
}

fn open(one: &Value) -> bool {
    ["waiting", "running"].contains(&text(one, "state"))
}

/// What is done, and when, in words.
fn in_words(page: &Page, one: &Value) -> String {
    let what = match one["release"].as_u64() {
        Some(release) => format!("{}{release}", page.say("回滚到版本 ", "Roll back to release ")),
        None => page.say("发布草稿", "Publish the draft").to_owned(),
    };
    format!("{what} · {}", moment(text(one, "due")))
}

/// A time with its zone, as people read it.
fn moment(due: &str) -> String {
    let plain = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second] (UTC[offset_hour sign:mandatory]:[offset_minute])"
    );
    OffsetDateTime::parse(due, &Rfc3339)
        .ok()
        .and_then(|due| due.format(plain).ok())
        .unwrap_or_else(|| due.to_owned())
}

fn state(page: &Page, name: &str) -> (&'static str, &'static str) {
    match name {
        "waiting" => ("tag warn", page.say("等待中", "waiting")),
        "running" => ("tag warn", page.say("正在做", "at work")),
        "done" => ("tag good", page.say("已完成", "done")),
        "refused" => ("tag bad", page.say("没有发布", "not published")),
        "failed" => ("tag bad", page.say("失败", "failed")),
        _ => ("tag", page.say("已取消", "called off")),
    }
}

/// On the overview: what waits, and what went wrong last.
pub(super) async fn told(page: &Page, kb: &str) -> Result<Markup, Refusal> {
    let all = all(page, kb).await?;
    let newest = &all["items"][0];
    let mut is_bad = ["refused", "failed"].contains(&text(newest, "state"));
    if is_bad {
        // Whoever has published since knows of it.
        let releases: Value = page.inside.get(&format!("{}/releases", api(kb))).read().await?;
        is_bad = !list(&releases, "items").any(|one| text(one, "at") > text(newest, "ended"));
    }
    Ok(html! {
        @if open(newest) { div.card.undo role="status" { span { b { (page.say("已定时：", "Scheduled: ")) } (in_words(page, newest)) " " span.soft { (page.called(text(newest, "author"))) } } (cancelling(page, kb, newest)) } }
        @else if is_bad { div.card.problem role="alert" { b { (page.say("定时的发布没有完成", "A scheduled publication was not done")) } p { (in_words(page, newest)) "：" (text(newest, "outcome")) } p { a href={ (base(kb)) "/releases" } { (page.say("去发布", "Publish")) } } } }
    })
}

fn cancelling(page: &Page, kb: &str, one: &Value) -> Markup {
    html! {
        @if text(one, "state") == "waiting" { form method="post" action={ (base(kb)) "/schedule" } {
            (page.csrf())
            input type="hidden" name="number" value=(one["number"].to_string());
            button.button.small.danger name="do" value="cancel" { (page.say("取消定时", "Call it off")) }
        } }
    }
}

/// The zone in which people of the knowledge base tell the time: that of its hours.
async fn zone(page: &Page, kb: &str) -> UtcOffset {
    let values: Option<Value> = page.inside.get(&format!("{}/service/values", api(kb))).read().await.ok();
    let told = values.as_ref().map_or("", |values| text(&values["hours"], "time_zone")).to_owned();
    let form = format_description!("[offset_hour sign:mandatory]:[offset_minute]");
    UtcOffset::parse(&told, form).unwrap_or(time::macros::offset!(+8))
}

/// On the page of releases: a form to set one, what waits and what came of others.
pub(super) async fn section(
    page: &Page,
    kb: &str,
    current: Option<u64>,
    releases: &Value,
) -> Result<Markup, Refusal> {
    let all = all(page, kb).await?;
    let zone = zone(page, kb).await;
    let name = zone
        .format(format_description!("UTC[offset_hour sign:mandatory]:[offset_minute]"))
        .unwrap_or_default();
    let now = OffsetDateTime::now_utc().to_offset(zone);
    let now = now.format(format_description!("[year]-[month]-[day]T[hour]:[minute]")).unwrap_or_default();
    let waits = list(&all, "items").find(|one| open(one));
    let others: Vec<u64> = list(releases, "items")
        .filter_map(|one| one["release"].as_u64())
        .filter(|number| Some(*number) != current)
        .collect();
    Ok(html! {
        section.card #schedule {
            h2 { (page.say("定时", "Schedule")) }
            @if let Some(one) = waits { div.card.undo { span { b { (in_words(page, one)) } " " span.soft { (page.called(text(one, "author"))) } } (cancelling(page, kb, one)) } }
            @else {
                p.soft { (page.say("到时候再检查一次草稿：有必须先改的问题就不发布，概览里会说明。", "The draft is checked again at that time, and not published with errors; the overview says so.")) }
                form.row method="post" action={ (base(kb)) "/schedule" } {
                    (page.csrf())
                    input type="hidden" name="zone" value=(zone.whole_seconds());
                    label { span.label { (page.say("做什么", "What")) } select name="what" {
                        option value="publish" { (page.say("发布草稿", "Publish the draft")) }
                        @for number in others.iter().rev() { option value=(number) { (page.say("回滚到版本 ", "Roll back to release ")) (number) } }
                    } }
                    label { span.label { (page.say("什么时候（", "When (")) (name) (page.say("）", ")")) } input type="datetime-local" name="at" min=(now) step="1" required; }
                    label { span.label { (page.say("原因（可以不写）", "Why (optional)")) } input type="text" name="reason" maxlength="500"; }
                    button.button name="do" value="set" { (page.say("定时", "Schedule")) }
                }
            }
            @let ended: Vec<&Value> = list(&all, "items").filter(|one| !open(one)).take(5).collect();
            @if !ended.is_empty() { details { summary { (page.say("以前的定时", "Earlier ones")) }
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                    thead { tr { th { (page.say("定时", "Schedule")) } th { (page.say("结果", "Outcome")) } th { (page.say("谁", "Who")) } } }
                    tbody { @for one in ended { @let (class, told) = state(page, text(one, "state"));
                        tr { td { (in_words(page, one)) @if !text(one, "reason").is_empty() { br; span.soft { (text(one, "reason")) } } } td { span class=(class) { (told) } " " (text(one, "outcome")) } td { (page.called(text(one, "author"))) } } } }
                } }
            } }
        }
    })
}

pub(super) async fn change(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    page.reply(changed(&page, &kb, &form).await)
}

async fn changed(page: &Page, kb: &str, form: &Form) -> Outcome {
    let here = format!("{}/releases", base(kb));
    let place = format!("{}/schedule", api(kb));
    if form.get("do") == "cancel" {
        let one = format!("{place}/{}", part(form.get("number")));
        return Ok(match form.ask(page, Method::DELETE, &one).got().await {
            Ok(_) => page.go(&here, page.say("已取消定时。", "Called off.")),
            Err(refusal) => page.denied(form, &refusal, &here),
        });
    }
    let zone =
        form.get("zone").parse::<i32>().ok().and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok());
    let Some(due) = said(form.get("at"), zone.unwrap_or(time::macros::offset!(+8))) else {
        return Ok(page.go_with_fault(&here, page.say("请填日期和时间。", "Fill in the day and the time.")));
    };
    let wanted = match form.get("what").parse::<u32>() {
        Ok(release) => json!({"action": "rollback", "release": release, "at": due}),
        Err(_) => json!({"action": "publish", "at": due}),
    };
    let mut ask = form.ask(page, Method::POST, &place).json(&wanted);
    if !form.get("reason").is_empty() {
        ask = ask.with("zhida-reason", &part(form.get("reason")));
    }
    Ok(match ask.got().await {
        Ok(_) => {
            let told = format!("{}{}", page.say("已定时：", "Scheduled: "), moment(&due));
            page.go(&here, &told)
        }
        Err(refusal) if refusal.slug() == "invalid-field" => page.go_with_fault(
            &here,
            page.say("时间要在以后，400 天以内。", "The time must be in the future, within 400 days."),
        ),
        Err(refusal) => page.denied(form, &refusal, &here),
    })
}

/// What a browser sends as a time, in a zone.
fn said(typed: &str, zone: UtcOffset) -> Option<String> {
    let long = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let short = format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let read =
        PrimitiveDateTime::parse(typed, long).or_else(|_| PrimitiveDateTime::parse(typed, short)).ok()?;
    read.assume_offset(zone).format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::{moment, said};

    #[test]
    fn times_keep_their_zone() {
        let zone = time::macros::offset!(+8);
        assert_eq!(said("2026-12-01T09:00", zone).as_deref(), Some("2026-12-01T09:00:00+08:00"));
        assert_eq!(said("2026-12-01T09:00:05", zone).as_deref(), Some("2026-12-01T09:00:05+08:00"));
        assert_eq!(said("tomorrow", zone), None);
        assert_eq!(moment("2026-12-01T09:00:05+08:00"), "2026-12-01 09:00:05 (UTC+08:00)");
    }
}
